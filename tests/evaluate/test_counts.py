"""Counts are small and exact: what is read gives the numbers of the scores themselves, and nothing else is read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from labelled import draw_labels, draw_scores

from nrsed_lib.data.clips import list_digest
from nrsed_lib.errors import DataError, StoreError
from nrsed_lib.evaluate import counts as counting
from nrsed_lib.evaluate.counts import ANY_FRAME, DRAWS, Counts, count_run
from nrsed_lib.evaluate.evidence import Evidence
from nrsed_lib.evaluate.psds import psds_of_draws
from nrsed_lib.evaluate.recall import recall_of_draws
from nrsed_lib.evaluate.resampling import clip_weights

CONDITIONS, SYSTEMS = ("clean", "5dB"), {"1": "no separation", "7": "ours"}
LABELS = draw_labels(12, 3)
RECORDINGS = [[f"dog{i // 2}", *([f"cat{i % 2}"] if i % 3 else [])] for i in range(12)]
CLASSES = {r: r[:3] for clip in RECORDINGS for r in clip}


def left(_run, condition: str, seed: int) -> tuple[dict, dict]:
    """Scores and predictions as notebook 06 leaves them."""
    number = 10 * seed + CONDITIONS.index(condition)
    scores = {s: draw_scores(LABELS, 1.0 + i, seed=number + i) for i, s in enumerate(SYSTEMS)}
    clip_wise = {"full": scores["7"].amax(-1).float() - 0.1, f"full{ANY_FRAME}": scores["7"].amax(-1).float()}
    return scores, clip_wise | {"truth": torch.ones(12, 3)}


@pytest.fixture
def counted(monkeypatch):
    """A function: the counts of a seed's test."""
    clips = SimpleNamespace(**vars(LABELS))
    monkeypatch.setattr(counting, "load_split", lambda *_: clips)
    monkeypatch.setattr(counting, "recordings_of", lambda *_: RECORDINGS)
    sources = {
        split: SimpleNamespace(recordings=[*CLASSES][:nb], labels=[*CLASSES.values()][:nb])
        for split, nb in (("test", len(CLASSES)), ("train", 4))
    }
    monkeypatch.setattr(counting, "load_sources", lambda _, s: SimpleNamespace(select=lambda _: sources[s]))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    data = SimpleNamespace(conditions=dict.fromkeys(CONDITIONS), source="recordings")
    profile = SimpleNamespace(data=data, lass=SimpleNamespace(weights=None))

    def count(seed: int) -> Counts:
        return count_run(SimpleNamespace(profile=profile, seed=seed), SYSTEMS, {"7": "full"}, {"commit": "abc"}, left)

    return count


def test_what_is_read_gives_the_numbers_of_the_scores(counted, tmp_path):
    file = tmp_path / "seed1.npz"
    counted(1).write(file)
    found = Counts.read(file)
    weights = clip_weights(RECORDINGS, CLASSES, 100, seed=1)
    evidence = Evidence.of([found], 100)
    for condition in CONDITIONS:
        scores, queries = left(None, condition, 1)
        for system in SYSTEMS:
            slow = psds_of_draws(scores[system], LABELS, weights)
            np.testing.assert_allclose(evidence.psds[condition, system][0], slow, atol=1e-12)
        present = np.array(
            [[any(c == label for *_, label in LABELS.ground_truth[n]) for c in LABELS.classes] for n in LABELS.names]
        )
        for by, who in ((evidence.recall, "full"), (evidence.recall_any, f"full{ANY_FRAME}")):
            slow = recall_of_draws((queries[who] > 0.5).numpy(), present, weights)
            np.testing.assert_allclose(by[condition, "7"][0], slow, atol=1e-12)
            assert set(by) == {(c, "7") for c in CONDITIONS}
    assert found.about.made == {"commit": "abc"} and found.about.clips == list_digest(LABELS.names)
    assert found.share == evidence.share == len(CLASSES) / 4


def test_the_same_counts_are_the_same_bytes(counted, tmp_path):
    first, again, other = (tmp_path / f"{name}.npz" for name in "abc")
    counted(1).write(first)
    Counts.read(first).write(again)
    counted(2).write(other)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


def test_seeds_stand_side_by_side_with_draws_of_their_own(counted):
    one, two = counted(1), counted(2)
    both = Evidence.of([one, two], 50)
    assert both.seeds == [1, 2] and both.common == 1  # here they are tested on the same recordings
    for i, alone in enumerate((one, two)):
        for cell, psds in Evidence.of([alone], 50).psds.items():
            np.testing.assert_array_equal(both.psds[cell][i], psds[0])
    assert (one.draws(50).weights != two.draws(50).weights).any()


def test_seeds_that_tested_other_things_are_not_compared(counted):
    one, two = counted(1), counted(2)
    two.about.systems["8"] = "one more"
    with pytest.raises(DataError, match=r"seeds 2 and 1 were not tested alike \(systems"):
        Evidence.of([one, two], 5)


def test_more_draws_than_the_counts_are_for_are_refused(counted):
    with pytest.raises(StoreError, match=f"what {DRAWS} draws need, not {DRAWS + 1}"):
        counted(1).draws(DRAWS + 1)


FAULTS = {
    "a clip that is not there": lambda a: a | {"clip": np.where(a["clip"] == 0, 200, a["clip"]).astype(np.uint8)},
    "a kind that is none": lambda a: a | {"kind": a["kind"] + 9},
    "entries that are cut off": lambda a: a | {"value": a["value"][:-1]},
    "numbers that are none": lambda a: a | {"value": a["value"] + 0.5},
    "a recording that is not there": lambda a: a | {"cut_from": a["cut_from"] + 50},
    "lengths below zero": lambda a: a | {"durations": -a["durations"]},
    "a clip less": lambda a: a | {"seconds": a["seconds"][:-1]},
    "an array less": lambda a: {name: values for name, values in a.items() if name != "asked"},
    "a share that is none": lambda a: a | {"share": np.array(np.nan)},
    "another text": lambda a: a | {"about": np.array('{"seed": 1}')},
    "objects": lambda a: a | {"about": np.array([{"a": 1}], dtype=object)},
}


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS.keys())
def test_what_cannot_be_counts_is_refused_in_one_line(counted, tmp_path, spoil):
    file = tmp_path / "seed1.npz"
    counted(1).write(file)
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez_compressed(file, **spoil(arrays))
    with pytest.raises(DataError) as error:
        Counts.read(file)
    said = str(error.value)
    assert said.startswith(f"{file} cannot be read") and "run notebook 06" in said and "\n" not in said


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_file_is_named(counted, tmp_path: Path, damage):
    file = tmp_path / "seed1.npz"
    counted(1).write(file)
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(DataError, match=r"seed1\.npz cannot be read"):
        Counts.read(file)


def test_a_file_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "LARGEST", 1e6)
    file = tmp_path / "seed1.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.npy", b"0" * 2_000_000)
    with pytest.raises(DataError, match="unpacks to more than 1 MB"):
        Counts.read(file)
