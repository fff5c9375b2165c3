"""Mixtures with a known answer, drawn from sounds that say who they are."""

import pytest
import torch

from nrsed_lib.data.clips import Sources
from nrsed_lib.data.mixing import measured_snr_db
from nrsed_lib.lass.mixtures import Mixer

RATE = 1600
CLASSES = {"Dog": "target", "Cat": "target", "Speech": "target", "Rain": "noise", "Wind": "noise"}


def tones(seconds: float, per_class: int = 3) -> Sources:
    """Each class is a tone of its own frequency, so that a spectrum tells who is there."""
    nb_samples = round(seconds * RATE)
    t = torch.arange(nb_samples) / RATE
    labels = [label for label in CLASSES for _ in range(per_class)]
    audio = torch.stack([torch.sin(2 * torch.pi * 100 * (1 + list(CLASSES).index(label)) * t) for label in labels])
    return Sources(
        [f"{label}-{i}/0" for i, label in enumerate(labels)],
        labels,
        [CLASSES[label] for label in labels],
        (8000 * audio).to(torch.int16),
        torch.full((len(labels),), nb_samples),
        RATE,
    )


def who(waveforms: torch.Tensor) -> torch.Tensor:
    """(B, nb_samples of one second) -> (B, nb_classes): which tones are in it."""
    spectrum = torch.fft.rfft(waveforms, n=RATE).abs()
    return spectrum[:, [100 * (1 + i) for i in range(len(CLASSES))]] > 1e-3 * spectrum.amax(1, keepdim=True)


def draw(seed: int = 0, batch: int = 200, **shares: float):
    mixer = Mixer(tones(2.0), RATE)
    return mixer, mixer.draw(batch, (-10.0, 10.0), torch.Generator().manual_seed(seed), **shares)


def test_the_target_is_the_queried_sound_and_no_interferer_is() -> None:
    mixer, drawn = draw()
    order = torch.tensor([list(CLASSES).index(label) for label in mixer.labels])
    queried = torch.nn.functional.one_hot(order[drawn.queries], len(CLASSES)).bool()
    assert (who(drawn.targets) == queried).all()
    others = who(drawn.mixtures - drawn.targets)
    assert not (others & queried).any()
    assert set(others.sum(1).tolist()) == {1, 2, 3}


def test_snr_is_the_projects() -> None:
    _, drawn = draw()
    measured = measured_snr_db(drawn.targets, drawn.mixtures - drawn.targets)
    torch.testing.assert_close(measured, drawn.snr_db, rtol=0, atol=0.01)
    assert drawn.snr_db.min() >= -10
    assert drawn.snr_db.max() <= 10
    assert abs(drawn.snr_db.mean()) < 3 * 5.8 / 200**0.5  # uniform: standard deviation 5.8


def test_shares_of_queries() -> None:
    mixer, drawn = draw(batch=600)
    assert not (~mixer.is_target[drawn.queries]).any()
    _, drawn = draw(batch=600, noise_queries=0.5, absent=0.25)
    assert 0.4 < (~mixer.is_target[drawn.queries]).float().mean() < 0.6
    assert 0.18 < (drawn.targets.abs().amax(1) == 0).float().mean() < 0.32


def test_the_seed_decides() -> None:
    _, first = draw(seed=1)
    _, again = draw(seed=1)
    _, other = draw(seed=2)
    assert torch.equal(first.mixtures, again.mixtures)
    assert not torch.equal(first.queries, other.queries)


def test_a_short_sound_is_placed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tones(0.25)
    monkeypatch.setattr("nrsed_lib.lass.mixtures.TWICE_SHARE", 0.0)
    drawn = Mixer(sources, RATE).draw(100, (0.0, 0.0), torch.Generator().manual_seed(0))
    energy = drawn.targets.square().sum(1) / sources.waveforms()[0].square().sum()
    single = drawn.targets.ne(0).sum(1) <= 0.25 * RATE
    assert single.sum() > 50
    assert (energy[single].log10().abs() < 0.51).all()  # whole, at a level within 5 dB
    starts = (drawn.targets[single] != 0).float().argmax(1)
    assert starts.min() < 0.2 * RATE
    assert starts.max() > 0.5 * RATE


def test_too_few_classes_is_an_error() -> None:
    with pytest.raises(ValueError, match="a mixture needs 4 classes"):
        Mixer(tones(1.0).select("target"), RATE)
