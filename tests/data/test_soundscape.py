"""Soundscapes: labels that are exact, rules that are kept, the same bytes again."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsed_lib.data.activity import active_power
from nrsed_lib.data.clips import Sources, to_int16
from nrsed_lib.data.soundscapes import (
    BACKGROUND_DBFS,
    EVENT_DB,
    Home,
    compose,
    generator,
    merged,
    plan,
    quiet_room,
    soundscape,
    unlabelled,
    weakly_labelled,
)
from nrsed_lib.profile import load_profile

DATA = load_profile("mini", {"data.clip_seconds": 4.0, "data.nb_test": 12}).data
HOME = Home.read()


@pytest.fixture(scope="module")
def tones() -> Sources:
    """One tone a class, each at its own frequency, so that it can be found again in a mixture."""
    seconds = [6.0 if c in HOME.steady else 0.4 + 0.1 * i for i, c in enumerate(DATA.classes)]
    lengths = torch.tensor([round(s * DATA.sample_rate) for s in seconds])
    audio = np.zeros((len(lengths), int(lengths.max())), np.int16)
    for i, n in enumerate(lengths.tolist()):
        audio[i, :n] = to_int16(0.05 * np.sin(2 * np.pi * hertz(i) * np.arange(n) / DATA.sample_rate))
    names = [f"{c}/0" for c in DATA.classes]
    roles = ["target"] * len(names)
    return Sources(names, list(DATA.classes), roles, torch.from_numpy(audio), lengths, DATA.sample_rate)


def hertz(i: int) -> int:
    return 1000 + 500 * i


def test_events_are_where_the_labels_say(tones, monkeypatch):
    """Each tone is looked for with a filter of 20 ms at its frequency, against the strong labels.

    Nothing is heard twice here: a tone over itself may cancel.
    """
    monkeypatch.setattr(Home, "read", lambda: Home(HOME.rooms, list(DATA.classes)))
    clips, _ = compose(DATA, tones, "test", 40, 0)
    step = 320  # samples: every frequency makes whole periods in it
    times = np.arange(DATA.nb_samples) / DATA.sample_rate
    on = clips.strong(DATA.nb_samples // step).numpy().astype(bool)
    for i in range(len(DATA.classes)):
        carrier = np.exp(-2j * np.pi * hertz(i) * times)
        level = np.abs(
            (clips.waveforms().numpy() * carrier).reshape(len(clips), -1, step).mean(2)
        )  # (nb_clips, frames)
        edges = np.abs(np.diff(on[:, i].astype(int), prepend=0, append=0)) > 0
        inside = ~(edges[:, :-1] | edges[:, 1:])  # a frame that holds an onset or offset may go either way
        floor = 10 ** (BACKGROUND_DBFS[1] / 20)
        assert (level[~on[:, i] & inside] < floor).all()
        # The weakest event: 15 dB over its background of -60 dB, rms to half the peak of a tone.
        assert (level[on[:, i] & inside] > 0.4 * 10 ** ((BACKGROUND_DBFS[0] + EVENT_DB[0]) / 20) * np.sqrt(2)).all()


def test_recordings_of_a_clip_are_those_that_are_heard_in_it():
    """Three recordings a class, each a tone of its own; which are in a clip is read from its spectrum."""
    nb, rate = 3 * len(DATA.classes), DATA.sample_rate
    hertz = 800 + 200 * np.arange(nb)
    tones = to_int16(0.05 * np.sin(2 * np.pi * hertz[:, None] * np.arange(2 * rate) / rate))
    labels, names = [c for c in DATA.classes for _ in range(3)], [f"recording {i}/part/0" for i in range(nb)]
    lengths = torch.full((nb,), 2 * rate)
    sources = Sources(names, labels, ["target"] * nb, torch.from_numpy(tones), lengths, rate)
    clips, table = compose(DATA, sources, "test", 40, 0)
    spectrum = np.abs(np.fft.rfft(clips.waveforms().numpy() * np.hanning(DATA.nb_samples))) ** 2  # bins of 1/4 Hz
    bands = spectrum[:, : 4 * 8000].reshape(len(clips), -1, 80)  # of 20 Hz, each tone at the beginning of one
    at = np.maximum(bands[:, hertz // 20].max(2), bands[:, hertz // 20 - 1].max(2))
    beside = bands[:, hertz // 20 + 4].max(2)  # 80 Hz above
    heard = at > 100 * beside
    for name, row in zip(clips.names, heard, strict=True):
        assert table.recording[table.filename == name].tolist() == sorted(f"recording {i}" for i in np.flatnonzero(row))
    assert len(table) == heard.sum() > 2 * len(clips)


def test_the_same_clip_again_and_in_any_order(tones):
    one, _ = compose(DATA, tones, "test", 6, 0)
    again, _ = compose(DATA, tones, "test", 3, 0)
    assert torch.equal(one.audio[:3], again.audio)
    assert one.events[one.events.filename.isin(again.names)].equals(again.events)
    assert not torch.equal(again.audio, compose(DATA, tones, "validation", 3, 0)[0].audio)
    assert not torch.equal(again.audio, compose(DATA, tones, "test", 3, 1)[0].audio)


@settings(max_examples=100, deadline=None)
@given(index=st.integers(0, 10_000), most=st.integers(1, 6))
def test_plans_keep_the_rules(index, most):
    data = DATA.model_copy(update={"max_events_per_clip": most})
    labels = plan(HOME, data, index, generator(0, "plan", index))
    assert labels[0] == data.classes[index % len(data.classes)]
    assert 1 <= len(labels) <= most
    assert len(set(labels)) <= 3
    assert any(set(labels) <= set(room) for room in HOME.rooms.values())
    assert all(labels.count(c) == 1 for c in HOME.steady if c in labels)


def test_classes_lead_equally_often_and_clips_differ():
    plans = [plan(HOME, DATA, i, generator(0, i)) for i in range(400)]
    leads = [p[0] for p in plans]
    assert {leads.count(c) for c in DATA.classes} == {40}
    assert {len(p) for p in plans} == {1, 2, 3, 4}


def test_a_class_without_a_room_is_named():
    with pytest.raises(ValueError, match="'Zebra' is in no room"):
        plan(HOME, DATA.model_copy(update={"classes": ["Zebra"]}), 0, generator(0))


def test_event_levels_are_over_the_background(tones):
    for i in range(20):
        rng = generator(0, "soundscape", "test", i)
        background_db = rng.uniform(*BACKGROUND_DBFS)  # the first thing that is drawn
        audio, events, _ = soundscape(HOME, DATA, tones, i, generator(0, "soundscape", "test", i))
        assert np.abs(audio).max() <= 0.99
        if len(events) == 1:
            start, stop = (round(t * DATA.sample_rate) for t in events[0][:2])
            power = float(active_power(torch.from_numpy(audio[start:stop])[None])[0])
            assert EVENT_DB[0] - 0.5 < 10 * np.log10(power) - background_db < EVENT_DB[1] + 0.5


def test_the_background_has_unit_power_and_falls_with_frequency():
    for i in range(5):
        sound = quiet_room(64_000, 16_000, generator(i))
        assert np.mean(sound**2) == pytest.approx(1.0)
        spectrum = np.abs(np.fft.rfft(sound)) ** 2  # bins of 1/4 Hz
        assert spectrum[1000:2000].mean() > 2 * spectrum[20_000:30_000].mean()


events = st.lists(st.tuples(st.floats(0, 9), st.floats(0.01, 3), st.sampled_from("ab")), max_size=8)


@settings(max_examples=100, deadline=None)
@given(events)
def test_merged_events_cover_the_same_and_are_apart(parts):
    spans = [(on, on + length, label) for on, length, label in parts]
    joined = merged(spans)
    for label in "ab":
        mine = [(on, off) for on, off, c in joined if c == label]
        assert all(b[0] - a[1] >= 0.15 for a, b in itertools.pairwise(mine))
        for on, off, c in spans:
            assert c != label or any(a <= on and off <= b for a, b in mine)
        assert all(any(on == s[0] and c == label for s in spans for c in [s[2]]) for on, _ in mine)


def test_weak_and_unlabelled_clips_do_not_tell_when(tones):
    strong, _ = compose(DATA, tones, "weak", 8, 0)
    weak, none = weakly_labelled(strong), unlabelled(strong)
    assert torch.equal(weak.weak(), strong.weak())
    assert set(weak.events.onset) == {0.0} and set(weak.events.offset) == {4.0}
    assert not none.weak().any() and torch.equal(none.audio, strong.audio)
