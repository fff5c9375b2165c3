"""Test noise: compatible with the clip, active most of the time, named in vocabularies."""

import numpy as np
import pandas as pd
import pytest
import torch

from nrsed_lib.data.clips import EVENT_COLUMNS, Clips, Sources
from nrsed_lib.data.scenarios import Scenarios, compose_noise, repeated
from nrsed_lib.profile import load_profile

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


@pytest.mark.parametrize("source", PROFILES)
def test_every_three_classes_have_a_choice_of_scenarios(source):
    data, scenarios = load_profile(PROFILES[source]).data, Scenarios.read(source)
    available = set(data.noise_classes)
    for a in data.classes:
        for b in data.classes:
            for c in data.classes:
                fit = scenarios.compatible(frozenset({a, b, c}), available)
                assert len(fit) >= 3
                heard = {noise for classes in fit.values() for noise in classes}
                assert not heard & {noise for label in (a, b, c) for noise in scenarios.similar[label]}


def test_labels_that_leave_nothing_are_named():
    with pytest.raises(ValueError, match=r"no scenario fits a clip of \['Frying'\].*\['Rain'\]"):
        Scenarios({"a": ["Rain", "Wind"]}, {"Frying": ["Rain"]}).compatible(frozenset({"Frying"}), {"Rain"})


@pytest.fixture(scope="module")
def laid():
    """Noise for thirty clips: half a second of white noise a class, so that pauses matter."""
    data = load_profile("mini").data
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(rng.normal(0, 1600, (len(data.noise_classes), 8000)).astype(np.int16))
    names = [f"{c}/0" for c in data.noise_classes]
    lengths = torch.full((len(names),), 8000)
    sources = Sources(names, list(data.noise_classes), ["noise"] * len(names), audio, lengths, data.sample_rate)
    files = [f"{i}.wav" for i in range(30)]
    labels = [data.classes[i % 10] for i in range(30)]
    events = pd.DataFrame([(f, 1.0, 2.0, c) for f, c in zip(files, labels, strict=True)], columns=EVENT_COLUMNS)
    clips = Clips(files, torch.zeros(30, 10, dtype=torch.int16), events, tuple(data.classes), data.sample_rate)
    return data, clips, sources, *compose_noise(data, clips, sources, 0)


def test_noise_is_active_most_of_the_time(laid):
    data, _, _, audio, _ = laid
    active = audio.float().unfold(1, 512, 512).square().mean(2) > 0  # (nb_clips, nb_frames)
    assert audio.shape == (30, data.nb_samples) and audio.dtype == torch.int16
    # The worst case: .5 s of sound, .5 s of pause, again and again.
    assert float(active.float().mean(1).min()) > 0.5
    assert float(active.float().mean()) > 0.7


def test_noise_fits_the_clip_and_is_on_record(laid):
    data, clips, _, audio, table = laid
    scenarios = Scenarios.read("synth")
    for (name, rows), labels, track in zip(table.groupby("filename", sort=False), clips.label_sets, audio, strict=True):
        assert 2 <= len(rows) <= 4
        assert len(set(rows.scenario)) == 1
        assert set(rows.event_label) <= set(scenarios.scenarios[rows.scenario.iloc[0]])
        assert not set(rows.event_label) & {n for label in labels for n in scenarios.similar[label]}
        covered = torch.zeros(data.nb_samples, dtype=torch.bool)
        for on, off in zip(rows.onset, rows.offset, strict=True):
            covered[round(on * data.sample_rate) : round(off * data.sample_rate)] = True
        assert not track[~covered].any(), name
    assert table.scenario.nunique() >= 5


def test_the_same_noise_again_and_by_clip(laid):
    data, clips, sources, audio, table = laid
    few = Clips(clips.names[:5], clips.audio[:5], clips.events[:5], clips.classes, clips.sample_rate)
    again, rows = compose_noise(data, few, sources, 0)
    assert torch.equal(again, audio[:5])
    assert rows.equals(table[: len(rows)])


def test_short_sounds_are_heard_again():
    assert repeated(np.ones(2), 7, 1).tolist() == [1, 1, 0, 1, 1, 0, 1]
    assert repeated(np.arange(5.0), 3, 1).tolist() == [0, 1, 2]
