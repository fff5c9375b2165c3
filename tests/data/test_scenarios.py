"""Household noise: compatible with the clip, a bed throughout, events at levels and for times as documented."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest

from nrsed_lib.data.activity import active_power
from nrsed_lib.data.clips import EVENT_COLUMNS, Clips, Sources, to_int16
from nrsed_lib.data.scenarios import EVENT_DB, EVENT_SECONDS, Scenarios, compose_empty, compose_noise, looped
from nrsed_lib.data.soundscapes import BACKGROUND_DBFS
from nrsed_lib.data.soundscapes import EVENT_DB as OVER_ROOM_DB
from nrsed_lib.profile import Data, load_profile

PROFILES = {"synth": "mini", "recordings": "open"}


@pytest.mark.parametrize("source", PROFILES)
def test_scenarios_speak_the_vocabulary_and_use_most_of_it(source):
    data, scenarios = load_profile(PROFILES[source]).data, Scenarios.read(source)
    used = {c for classes in scenarios.scenarios.values() for c in classes}
    assert len(scenarios.scenarios) >= 8
    assert used <= set(data.noise_classes)
    assert len(used) >= 0.9 * len(data.noise_classes)
    assert set(scenarios.similar) == set(data.classes)
    assert {c for classes in scenarios.similar.values() for c in classes} <= set(data.noise_classes)
    assert {*scenarios.steady, *scenarios.inhabited} <= set(data.noise_classes)
    assert all({*classes} & {*scenarios.steady} for classes in scenarios.scenarios.values())


@pytest.mark.parametrize("source", PROFILES)
def test_every_three_classes_have_a_choice_of_scenarios(source):
    data, scenarios = load_profile(PROFILES[source]).data, Scenarios.read(source)
    available = set(data.noise_classes)
    for three in itertools.combinations_with_replacement(data.classes, 3):
        fit = scenarios.compatible(frozenset(three), available)
        assert len(fit) >= 3
        heard = {noise for classes in fit.values() for noise in classes}
        assert not heard & {noise for label in three for noise in scenarios.similar[label]}
        assert all({*classes} & {*scenarios.steady} and len(classes) > 1 for classes in fit.values())


def test_labels_that_leave_nothing_are_named():
    scenarios = Scenarios({"a": ["Rain", "Wind"]}, ["Rain"], ["Wind"], {"Frying": ["Rain"]})
    with pytest.raises(ValueError, match=r"no scenario fits a clip of \['Frying'\].*\['Rain'\]"):
        scenarios.compatible(frozenset({"Frying"}), {"Rain"})
    assert scenarios.compatible(frozenset({"Frying"}), {"Rain", "Wind"}) == {"a": ["Wind"]}  # no bed, but a noise
    assert scenarios.compatible(frozenset(), {"Rain", "Wind"}) == {"a": ["Rain"]}  # where nothing may be heard


def clips_of(data: Data, nb: int) -> Clips:
    """Clips of a class each."""
    files = [f"{i}.wav" for i in range(nb)]
    rows = [(f, 1.0, 2.0, data.classes[i % len(data.classes)]) for i, f in enumerate(files)]
    events, audio = pd.DataFrame(rows, columns=EVENT_COLUMNS), torch.zeros(nb, 10, dtype=torch.int16)
    return Clips(files, audio, events, tuple(data.classes), data.sample_rate)


def noises_of(data: Data, audio: np.ndarray) -> Sources:
    """A recording of each noise class."""
    names, nb = [f"{c}-recording/0" for c in data.noise_classes], len(data.noise_classes)
    lengths = torch.full((nb,), audio.shape[1])
    rows = torch.from_numpy(audio.astype(np.int16))
    return Sources(names, list(data.noise_classes), ["noise"] * nb, rows, lengths, data.sample_rate)


@pytest.fixture(scope="module")
def laid():
    """Noise for thirty clips: half a second of white noise a class, so that the bed must go round."""
    data = load_profile("mini").data
    audio = np.random.default_rng(0).normal(0, 1600, (len(data.noise_classes), 8000))
    clips, sources = clips_of(data, 30), noises_of(data, audio)
    return data, clips, sources, *compose_noise(data, clips, sources, 0, "test")


def test_the_bed_is_heard_throughout_and_events_are_inside_the_clip(laid):
    data, clips, _, audio, table = laid
    frames = audio.float().unfold(1, 160, 160).square().mean(2).sqrt()  # (nb_clips, 1000), 10 ms each
    assert audio.shape == (30, data.nb_samples) and audio.dtype == torch.int16
    assert bool((frames > 0.4 * frames.median(1).values[:, None]).all())  # white noise in 10 ms is steadier than that
    steady = Scenarios.read("synth").steady
    for name, rows in table.groupby("filename", sort=False):
        bed, events = rows.iloc[0], rows.iloc[1:]
        assert (bed.onset, bed.offset) == (0, data.clip_seconds) and bed.event_label in steady, name
        assert 1 <= len(events) <= 5
        assert bed.event_label not in set(events.event_label)
        assert (events.onset >= 0).all() and (events.offset <= data.clip_seconds).all()
    assert set(table.groupby("filename").size()) == {2, 3, 4, 5, 6}
    assert list(dict.fromkeys(table.filename)) == clips.names


def test_noise_fits_the_clip_and_is_on_record(laid):
    _, clips, _, _, table = laid
    scenarios = Scenarios.read("synth")
    for (_, rows), labels in zip(table.groupby("filename", sort=False), clips.label_sets, strict=True):
        assert len(set(rows.scenario)) == 1
        assert set(rows.event_label) <= set(scenarios.scenarios[rows.scenario.iloc[0]])
        assert not set(rows.event_label) & {n for label in labels for n in scenarios.similar[label]}
    assert (table.recording == table.event_label + "-recording").all()
    assert table.scenario.nunique() >= 5


def test_the_same_noise_again_and_by_clip(laid):
    data, clips, sources, audio, table = laid
    few = Clips(clips.names[:5], clips.audio[:5], clips.events[:5], clips.classes, clips.sample_rate)
    again, rows = compose_noise(data, few, sources, 0, "test")
    assert torch.equal(again, audio[:5])
    assert rows.equals(table[: len(rows)])
    for seed, split in ((1, "test"), (0, "validation")):
        assert not (compose_noise(data, few, sources, seed, split)[0] == again).all(1).any()


def test_levels_and_durations_are_as_documented():
    """A tone a class, at frequencies that are orthogonal over 80 samples: each is measured apart from the others."""
    data = load_profile("mini").data
    times, hertz = np.arange(data.nb_samples) / data.sample_rate, 200 * np.arange(1, 1 + len(data.noise_classes))
    sources = noises_of(data, to_int16(0.07 * np.sin(2 * np.pi * hertz[:, None] * times)))
    audio, table = compose_noise(data, clips_of(data, 80), sources, 0, "test")
    over_bed, seconds = [], []
    for track, (_, rows) in zip(audio.numpy(), table.groupby("filename", sort=False), strict=True):
        once = rows.drop_duplicates("event_label", keep=False)  # tones of one class may cancel each other
        frequency = dict(zip(data.noise_classes, hertz, strict=True))
        level = {}
        for row in once.itertuples():
            wave = track * np.exp(-2j * np.pi * frequency[row.event_label] * times)
            frames = np.abs(wave.reshape(-1, 80).mean(1))  # 5 ms each
            first, last = int(row.onset * 200), int(row.offset * 200) + 1
            level[row.Index] = np.median(frames[first + 12 : last - 12])  # without 50 ms of fades
            assert np.r_[frames[:first], frames[last:], 0].max() < 0.3 * level[row.Index]  # a loud neighbour's fade
        over_bed += [20 * np.log10(level[i] / level[rows.index[0]]) for i in level if i != rows.index[0]]
        seconds += (rows.offset - rows.onset).tolist()[1:]
    # An event's level is that of its active samples, fades among them, which lower it by up to 1.3 dB in 0.25 s.
    assert EVENT_DB[0] - 0.1 < min(over_bed) < EVENT_DB[0] + 2
    assert EVENT_DB[1] - 2 < max(over_bed) < EVENT_DB[1] + 1.4
    assert np.mean(over_bed) == pytest.approx(np.mean(EVENT_DB), abs=1.2)
    low, high = np.log(EVENT_SECONDS)
    assert kstest(np.log(seconds), "uniform", (low, high - low)).pvalue > 0.01
    assert len(seconds) > 200


def test_a_loop_has_no_seam_and_keeps_its_power():
    slow = np.cos(np.arange(4000) / 500)  # ends 1.1 below its beginning
    twice = np.tile(looped(slow, 400), 2)
    assert len(twice) == 2 * 3600
    assert np.abs(np.diff(twice)).max() < 0.01  # of the wave 1 / 500, of the fade at most 2 · π / 800
    white = np.random.default_rng(0).standard_normal((400, 1000))
    power = np.square([looped(row, 200)[:200] for row in white]).mean()
    assert power == pytest.approx(1, abs=4 * np.sqrt(2 / 80_000))  # four deviations of a mean of 80,000 squares
    np.testing.assert_array_equal(looped(white[0], 0), white[0])
    assert len(looped(white[0][:5], 200)) == 3


def test_in_empty_clips_there_is_noise_and_nothing_else(laid):
    data, _, sources, *_ = laid
    clips, table = compose_empty(data, sources, 0)
    assert len(clips) == data.nb_empty and not len(clips.events) and not clips.weak().any()
    assert set(table.filename) == set(clips.names)
    level = 10 * active_power(clips.waveforms()).log10()  # dBFS, of noise and room together
    assert BACKGROUND_DBFS[0] + OVER_ROOM_DB[0] < level.min() and level.max() < BACKGROUND_DBFS[1] + OVER_ROOM_DB[1] + 1
    again, rows = compose_empty(data, sources, 0)
    assert torch.equal(clips.audio, again.audio) and table.equals(rows)
    assert not (clips.audio == compose_empty(data, sources, 1)[0].audio).all(1).any()


def test_in_empty_clips_nobody_lives():
    scenarios, data = Scenarios.read("recordings"), load_profile("open").data
    heard = {c for classes in scenarios.compatible(frozenset(), set(data.noise_classes)).values() for c in classes}
    assert not heard & set(scenarios.inhabited) and len(heard) > 40
