"""Labels against slow, obvious counting; what is saved is what is loaded."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsed_lib.data.clips import EVENT_COLUMNS, Clips, Sources, to_int16
from nrsed_lib.evaluate.psds import psds

CLASSES = ("Cat", "Dog", "Speech")
RATE, SECONDS = 1000, 4

event = st.tuples(
    st.integers(0, 2),  # clip
    st.floats(0, SECONDS - 0.01),
    st.floats(0.01, SECONDS),
    st.sampled_from(CLASSES),
)


def clips_of(events: list[tuple[int, float, float, str]]) -> Clips:
    names = [f"{i}.wav" for i in range(3)]
    rows = [(names[i], onset, min(onset + length, SECONDS), label) for i, onset, length, label in events]
    audio = torch.from_numpy(np.random.default_rng(0).integers(-32768, 32767, (3, RATE * SECONDS)).astype(np.int16))
    return Clips(names, audio, pd.DataFrame(rows, columns=EVENT_COLUMNS), CLASSES, RATE)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(event, max_size=1), nb_frames=st.integers(1, 80))
def test_a_frame_is_on_when_at_least_half_of_it_is_covered(events, nb_frames):
    strong = clips_of(events).strong(nb_frames).numpy()
    expected = np.zeros((3, 3, nb_frames))
    doubtful = np.zeros_like(expected)
    for i, onset, length, label in events:
        for k in range(nb_frames):
            start, stop = SECONDS * k / nb_frames, SECONDS * (k + 1) / nb_frames
            share = max(0.0, min(onset + length, SECONDS, stop) - max(onset, start)) / (stop - start)
            expected[i, CLASSES.index(label), k] = share >= 0.5
            doubtful[i, CLASSES.index(label), k] = abs(share - 0.5) < 1e-6
    assert np.array_equal(np.where(doubtful, 0, strong), np.where(doubtful, 0, expected))


def test_half_a_frame_is_enough_and_less_is_not():
    half = clips_of([(0, 0.5, 0.5, "Dog")]).strong(4)  # frames of 1 s
    assert half[0, 1].tolist() == [1, 0, 0, 0]
    assert not clips_of([(0, 0.55, 0.9, "Dog")]).strong(4)[0, 1, 0]


def test_two_events_can_fill_a_frame_together():
    assert clips_of([(0, 0.0, 0.3, "Dog"), (0, 0.6, 0.3, "Dog")]).strong(4)[0, 1, 0] == 1


@settings(max_examples=40, deadline=None)
@given(events=st.lists(event, max_size=6))
def test_weak_labels_and_ground_truth_say_the_same(events):
    clips = clips_of(events)
    for i, name in enumerate(clips.names):
        heard = {label for j, *_, label in events if j == i}
        assert {CLASSES[k] for k in clips.weak()[i].nonzero().flatten()} == heard == clips.label_sets[i]
        assert {label for *_, label in clips.ground_truth[name]} == heard
    assert clips.durations == dict.fromkeys(clips.names, 4.0)


def test_clips_come_back_as_they_were_saved(tmp_path):
    clips = clips_of([(0, 1 / 3, 1.0, "Dog"), (2, 0.1, 2.0, "Cat")])
    clips.save(tmp_path, "test")
    again = Clips.load(tmp_path, "test")
    assert torch.equal(again.audio, clips.audio)
    assert again.ground_truth == clips.ground_truth  # onsets to the last bit
    assert (again.names, again.classes, again.sample_rate) == (clips.names, clips.classes, clips.sample_rate)
    empty = Clips(clips.names, clips.audio, clips.events.iloc[:0], CLASSES, RATE)
    empty.save(tmp_path, "none")
    assert not Clips.load(tmp_path, "none").weak().any()


def test_waveforms_are_floats_below_one_of_the_rows_asked_for():
    clips = clips_of([])
    waves = clips.waveforms(torch.tensor([2, 0]))
    assert waves.dtype == torch.float32
    assert float(waves.abs().max()) <= 1.0
    assert torch.equal(waves * 32768, clips.audio[[2, 0]].float())
    assert torch.equal(clips.waveforms(slice(1, 2)), clips.waveforms([1]))


def test_unknown_labels_and_clips_are_errors():
    with pytest.raises(ValueError, match="Zebra"):
        clips_of([(0, 0.0, 1.0, "Zebra")])
    clips = clips_of([(0, 0.0, 1.0, "Dog")])
    with pytest.raises(ValueError, match="2 names for 3 clips"):
        Clips(["a", "b"], clips.audio, clips.events, CLASSES, RATE)


def test_sources_are_selected_and_saved(tmp_path):
    audio = torch.arange(12, dtype=torch.int16).reshape(3, 4)
    sources = Sources(
        ["a/0", "b/0", "b/1"],
        ["Dog", "Rain", "Rain"],
        ["target", "noise", "noise"],
        audio,
        torch.tensor([4, 3, 2]),
        RATE,
    )
    noise = sources.select("noise")
    assert (noise.names, noise.recordings, noise.lengths.tolist()) == (["b/0", "b/1"], ["b", "b"], [3, 2])
    assert torch.equal(noise.audio, audio[1:])
    assert {k: v.tolist() for k, v in sources.by_label.items()} == {"Dog": [0], "Rain": [1, 2]}
    sources.save(tmp_path, "train")
    again = Sources.load(tmp_path, "train")
    assert torch.equal(again.audio, audio) and torch.equal(again.lengths, sources.lengths)
    assert (again.names, again.labels, again.roles) == (sources.names, sources.labels, sources.roles)


def test_rounding_to_int16_stays_in_range():
    assert to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.0])).tolist() == [-32768, -32768, 0, 16384, 32767]


def test_recordings_shorter_than_their_rows_keep_their_durations(tmp_path):
    clips = replace(clips_of([(0, 1.0, 1.0, "Dog")]), lengths=torch.tensor([4000, 2500, 100]))
    clips.save(tmp_path, "x")
    loaded = Clips.load(tmp_path, "x")
    assert loaded.durations == {"0.wav": 4.0, "1.wav": 2.5, "2.wav": 0.1} and loaded.seconds == 4
    assert "lengths" not in json.loads((clips_of([]).save(tmp_path, "y"), (tmp_path / "y.json").read_text())[1])


def test_psds_counts_false_alarms_per_hour_of_recording():
    """Half the recorded time, the same false alarms: twice the rate."""
    clips = clips_of([(i, 0.0, 2.0, c) for i, c in enumerate(CLASSES)])
    scores = torch.rand(3, 3, 8, generator=torch.Generator().manual_seed(0))
    whole = psds(scores, clips)
    assert psds(scores, replace(clips, lengths=torch.full((3,), RATE * SECONDS))) == whole
    assert psds(scores, replace(clips, lengths=torch.full((3,), RATE * 2)))["psds2"] <= whole["psds2"]
