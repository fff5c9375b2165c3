"""The synthesiser: what each class sounds like is data; what every draw must obey is tested here."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from nrsed_lib.data.synth import CELLS, NOISES, TARGETS, Model, Range, blocks, synthesise
from nrsed_lib.data.synth.blocks import Take
from nrsed_lib.data.synth.machines import motor
from nrsed_lib.data.synth.model import NB_CELLS
from nrsed_lib.data.synth.objects import bell, siren
from nrsed_lib.data.synth.voices import calls, speech
from nrsed_lib.profile import load_profile

SR = 16_000
ROWS = {**TARGETS, **NOISES}
SHORT = {"Alarm_bell_ringing", "Cat", "Dishes", "Dog", "Speech"}


def draw(label, seed=0, split="train"):
    return synthesise(label, np.random.default_rng(seed), split, SR)


def take(seconds=1, seed=0):
    return Take(np.random.default_rng(seed), seconds * SR, SR)


def unit(range_, value):
    """Where a value lies in its interval, in [0, 1]: the inverse of `Range.at`."""
    if range_.log:
        return np.log(value / range_.low) / np.log(range_.high / range_.low)
    return (value - range_.low) / (range_.high - range_.low)


def spectrum(signal):
    """Power and frequencies (Hz), Hann window."""
    return np.square(np.abs(np.fft.rfft(signal * np.hanning(len(signal))))), np.fft.rfftfreq(len(signal), 1 / SR)


def peak_near(signal, hz, width):
    """Frequency of the strongest bin within hz ± width."""
    power, f = spectrum(signal)
    near = np.abs(f - hz) <= width
    return f[near][np.argmax(power[near])]


# ---- the tables


def test_the_tables_hold_the_classes_of_the_profile():
    data = load_profile("mini").data
    assert list(TARGETS) == sorted(data.classes)
    assert set(NOISES) == set(data.noise_classes)


@pytest.mark.parametrize("label", ROWS)
def test_every_draw_is_sound(label):
    for split in CELLS:
        signal = draw(label, 1, split)
        assert signal.dtype == np.float64 and signal.ndim == 1
        assert np.isfinite(signal).all()
        assert np.max(np.abs(signal)) == pytest.approx(0.9, abs=1e-12)
        assert abs(signal.mean()) < 1e-9  # no DC offset
        assert np.sqrt(np.mean(signal**2)) > 0.9 * 0.01  # not silent but for a click: crest factor under 40 dB
        assert np.abs(signal[[0, -1]]).max() < 1e-2  # the fades leave no click at the ends


@pytest.mark.parametrize("label", ROWS)
def test_a_draw_depends_on_the_generator_alone(label):
    first = draw(label, 7)
    np.random.default_rng(0).random(10)
    assert np.array_equal(first, draw(label, 7))
    other = draw(label, 8)
    n = min(len(first), len(other), SR // 4)
    assert np.abs(np.corrcoef(first[:n], other[:n])[0, 1]) < 0.9


@pytest.mark.parametrize("label", TARGETS)
def test_targets_last_as_long_as_such_events_do(label):
    seconds = [len(draw(label, seed, split)) / SR for seed in range(3) for split in CELLS]
    low, high = (0.1, 4.0) if label in SHORT else (2.0, 10.0)
    assert low <= min(seconds) and max(seconds) <= high


def test_unknown_labels_and_splits_are_named():
    with pytest.raises(ValueError, match="Bagpipes"):
        draw("Bagpipes")
    with pytest.raises(ValueError, match="holdout"):
        draw("Speech", split="holdout")


# ---- held-out ranges


def test_the_splits_share_no_cell_and_test_lies_between_trained_cells():
    cells = [cell for split in CELLS.values() for cell in split]
    assert sorted(cells) == list(range(NB_CELLS))
    for held_out in CELLS["test"] + CELLS["validation"]:
        assert min(CELLS["train"]) < held_out < max(CELLS["train"])


@pytest.mark.parametrize("label", ROWS)
def test_no_parameter_of_a_test_draw_lies_in_a_trained_cell(label):
    """Seen from outside: where the value lies in the interval tells the split."""
    rng = np.random.default_rng(3)
    for model in ROWS[label]:
        assert model.ranges
        for split, cells in CELLS.items():
            for _ in range(20):
                for name, value in {**model.parameters(rng, split), "seconds": model.seconds.draw(rng, split)}.items():
                    range_ = model.seconds if name == "seconds" else model.ranges[name]
                    assert range_.low <= value <= range_.high
                    cell = unit(range_, value) * NB_CELLS
                    assert any(c - 1e-9 <= cell <= c + 1 + 1e-9 for c in cells), (name, value, split)


def test_a_range_uses_all_its_cells_and_its_scale():
    rng = np.random.default_rng(0)
    for range_ in (Range(2, 4), Range(100, 1600, log=True)):
        for split, cells in CELLS.items():
            units = np.array([unit(range_, range_.draw(rng, split)) for _ in range(300)])
            assert set(np.floor(units * NB_CELLS).astype(int)) == set(cells)
    assert Range(100, 1600, log=True).at(0.5) == pytest.approx(400)
    assert Range(100, 1600).at(0.5) == 850


def test_a_model_passes_what_it_drew():
    heard = {}

    def generator(take, **settings):
        heard.update(settings, n=take.nb_samples, sample_rate=take.sample_rate)
        return np.zeros(take.nb_samples)

    model = Model(generator, Range(1, 2), {"pitch": Range(100, 200)}, {"fixed": "yes"})
    model.render(np.random.default_rng(0), "test", SR)
    assert heard["fixed"] == "yes" and heard["sample_rate"] == SR
    assert SR <= heard["n"] <= 2 * SR
    assert int((heard["pitch"] - 100) / 10) in CELLS["test"]


# ---- the building blocks against closed forms


def test_the_oscillator_keeps_exact_time():
    """16 384 000 steps of 2⁻²⁴ a second: 1000 Hz is 16 samples a cycle for ever, without drift."""
    cycles = take(10).phase(1000.0)
    assert np.array_equal(cycles, (np.arange(1, 10 * SR + 1) % 16) / 16)


def test_the_buzz_is_the_sum_of_its_harmonics():
    cycles = np.linspace(0, 1, 400, endpoint=False)
    slow = sum(0.8 ** (h - 1) * np.sin(2 * np.pi * h * cycles) for h in range(1, 200))
    np.testing.assert_allclose(blocks.buzz(cycles, 0.8), slow, atol=1e-12)


def test_the_tilt_is_in_decibels_per_hertz():
    signal = blocks.buzz(take().phase(200.0), blocks.tilt(200.0, 1000.0))
    power, _ = spectrum(signal)
    assert 10 * np.log10(power[200] / power[1200]) == pytest.approx(20 * np.log10(np.e), abs=0.1)


def test_a_ring_peaks_at_its_partials_and_decays_as_told():
    modes, seconds = [500.0, 1370.0, 2930.0], 0.1
    signal = take().ring(modes, seconds, 1.0)
    for hz in modes:
        assert peak_near(signal, hz, 100) == pytest.approx(hz, abs=2)
    first, later = signal[: SR // 20], signal[SR // 10 : SR // 10 + SR // 20]  # 0.1 s apart: one decay time
    assert np.sqrt(np.mean(first**2) / np.mean(later**2)) == pytest.approx(np.e, rel=0.02)


def test_a_partial_above_half_the_sample_rate_is_left_out():
    np.testing.assert_array_equal(take().ring([900.0, 9000.0], 0.05, 1.0), take().ring([900.0], 0.05, 1.0))


def test_noise_has_unit_rms_and_the_spectrum_asked_for():
    signal = take(20).noise(blocks.band(1000, 2000, 24))
    assert np.mean(signal**2) == pytest.approx(1, abs=1e-9)
    power, f = spectrum(signal)
    octave = {hz: power[(f > hz * 0.95) & (f < hz * 1.05)].mean() for hz in (500, 1400, 4000)}
    assert 10 * np.log10(octave[1400] / octave[500]) == pytest.approx(24, abs=1)
    assert 10 * np.log10(octave[1400] / octave[4000]) == pytest.approx(24, abs=1)


def test_a_moving_filter_that_does_nothing_returns_the_signal():
    signal = np.random.default_rng(0).standard_normal(5000)
    gains = np.ones((blocks.frames(5000), blocks.WINDOW // 2 + 1))
    np.testing.assert_allclose(blocks.moving_filter(signal, gains), signal, atol=1e-12)
    np.testing.assert_allclose(blocks.moving_filter(signal, 2 * gains), 2 * signal, atol=1e-12)


def test_formants_resonate_where_they_are():
    gains = blocks.formants(np.array([[700.0, 1200.0], [300.0, 2300.0]]), [90.0, 110.0], SR)
    f = np.arange(gains.shape[1]) * SR / blocks.WINDOW
    for row, centres in zip(gains, ([700, 1200], [300, 2300]), strict=True):
        tops = f[1:-1][(row[1:-1] > row[:-2]) & (row[1:-1] > row[2:])]
        np.testing.assert_allclose(tops, centres, atol=SR / blocks.WINDOW)
        assert row[0] == pytest.approx(1)


def test_impacts_land_where_they_are_placed():
    click = np.array([1.0, 0.5])
    out = take().place([0.1, 0.5, 0.99999], [click], [1.0, 0.3, 1.0])
    assert np.flatnonzero(out).tolist() == [1600, 1601, 8000, 8001, 15999]
    assert out[8001] == pytest.approx(0.15)


def test_a_shower_drops_as_often_as_asked():
    out = take(100).shower(50, [np.ones(1)])
    nb = np.count_nonzero(out)
    assert abs(nb - 5000) < 5 * np.sqrt(5000)


# ---- the models against the physics they claim


def test_a_motor_turns_at_its_speed_and_slows_under_load():
    free = motor(take(4), f0=200, brightness=800, air=0.0)[SR : 3 * SR]
    assert peak_near(free, 200, 60) == pytest.approx(200, abs=2)
    assert peak_near(free, 400, 60) == pytest.approx(400, abs=4)
    loaded = motor(take(8), f0=200, brightness=800, air=0.0, load=0.2)[SR : 7 * SR]
    power, f = spectrum(loaded)
    fundamental = power[(f > 0.78 * 200) & (f < 1.02 * 200)].sum()  # from 160 Hz at full load to 200 Hz, ± 2 %
    assert fundamental > 0.98 * power[f < 250].sum()
    assert fundamental > 3 * power[(f > 0.97 * 200) & (f < 250)].sum()


def test_a_bell_sounds_its_partials_and_is_struck_in_time():
    signal = bell(take(3), hz=1200, ring_s=0.02, strikes=10)
    assert peak_near(signal, 1200, 50) == pytest.approx(1200, abs=0.03 * 1200)
    loudness = np.abs(signal).reshape(-1, 160).max(1)  # 100 a second
    power = np.abs(np.fft.rfft(loudness - loudness.mean()))
    assert np.fft.rfftfreq(len(loudness), 0.01)[np.argmax(power)] == pytest.approx(10, abs=0.5)


def test_a_siren_stays_between_its_pitches():
    signal = siren(take(5), low=600, span=2.0, rate=0.4, hold=0.0)
    power, f = spectrum(signal)
    within = power[(f > 580) & (f < 1220)].sum()
    assert within > 100 * power[f < 560].sum()
    assert within > 0.4 * power.sum()  # the fundamental; the rest are its overtones


def test_a_call_has_the_pitch_it_was_given():
    silent_mouth = {"mouth": ((700, 1400, 2900),)}
    signal = calls(
        take(), f0=500, rise=1, fall=1, length=1.0, pause=1, tract=1.0, breath=0.0,
        brightness=1500, attack=0.05, **silent_mouth,
    )  # fmt: skip
    lags = np.correlate(signal[4000:8000], signal[4000:8000], "full")[3999:]
    assert SR / (20 + np.argmax(lags[20:60])) == pytest.approx(500, rel=0.08)  # pitch bends by up to 6 %


def test_speech_is_voiced_below_and_hissed_above_in_turn():
    """Syllables: the level rises and falls several times a second, and highs come when lows are weak."""
    signal = speech(take(4, seed=2), f0=120, tract=1.0, rate=4.5, effort=1500)
    pieces = signal[: 4 * SR // 400 * 400].reshape(-1, 400) * np.hanning(400)
    power = np.square(np.abs(np.fft.rfft(pieces)))  # 40 Hz a bin, 40 frames a second
    voiced, hissed = power[:, 2:25].sum(1), power[:, 100:].sum(1)
    assert (voiced > 30 * hissed).mean() > 0.3
    assert (hissed > voiced).mean() > 0.05
    rate = np.abs(np.fft.rfft(np.sqrt(voiced) - np.sqrt(voiced).mean()))
    hz = np.fft.rfftfreq(len(voiced), 1 / 40)
    assert rate[(hz > 2) & (hz < 9)].sum() > rate[(hz >= 9) & (hz < 20)].sum()


TWINS = [
    ("Blender", "Drill"),
    ("Running_water", "Rain"),
    ("Vacuum_cleaner", "Hair dryer"),
    ("Alarm_bell_ringing", "Telephone bell ringing"),
    ("Dishes", "Cupboard open or close"),
    ("Cat", "Baby cry, infant cry"),
    ("Electric_shaver_toothbrush", "Sewing machine"),
]


@pytest.fixture(scope="module")
def timbres():
    """Class -> mean over two draws of its band levels: their mean and their variation over time, standardised."""

    def timbre(signal):
        pieces = signal[: len(signal) // 512 * 512].reshape(-1, 512) * np.hanning(512)
        power = np.square(np.abs(np.fft.rfft(pieces)))
        edges = np.unique(np.geomspace(3, 257, 24).astype(int))
        bands = np.add.reduceat(power[:, :-1], edges[:-1], axis=1)
        levels = 10 * np.log10(bands / bands.max() + 1e-6)
        return np.concatenate([levels.mean(0), levels.std(0)])

    table = np.array([np.mean([timbre(draw(label, seed)) for seed in range(2)], axis=0) for label in ROWS])
    return dict(zip(ROWS, (table - table.mean(0)) / table.std(0), strict=True))


@pytest.mark.parametrize(("target", "twin"), TWINS)
def test_confusable_pairs_sound_alike(timbres, target, twin):
    """The twin is nearer to its target than most noises are."""
    distances = {label: np.linalg.norm(timbres[target] - timbres[label]) for label in NOISES}
    assert distances[twin] < np.median(list(distances.values()))


# ---- the same bytes everywhere


def test_rounding_to_16_bits_forgives_the_last_digits_of_libm():
    """Scaling a draw by one ulp, as another libm might, moves no 16-bit sample of ten thousand."""
    signal = np.concatenate([draw(label) for label in ("Speech", "Alarm_bell_ringing", "Cat")])
    other = np.nextafter(signal, np.inf)
    assert np.count_nonzero(np.rint(signal * 32767) != np.rint(other * 32767)) == 0


def test_draws_are_the_same_in_another_process():
    labels = ["Dishes", "Speech", "Door", "Rain", "Drill"]
    code = (
        "import sys, hashlib, numpy as np; from nrsed_lib.data.synth import synthesise\n"
        "for label in sys.argv[1:]:\n"
        "    x = synthesise(label, np.random.default_rng(5), 'test')\n"
        "    print(hashlib.sha256(np.rint(x * 32767).astype('<i2').tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code, *labels], capture_output=True, text=True, check=True).stdout
    here = [
        hashlib.sha256(np.rint(draw(label, 5, "test") * 32767).astype("<i2").tobytes()).hexdigest() for label in labels
    ]
    assert there.split() == here
