"""Macro recall against closed forms, and the paper's released predictions against real labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nrsed_lib.evaluate.published import RELEASED_COUNTS, count_released, counts_of, paper_table, released_recall
from nrsed_lib.evaluate.recall import recall_of_draws
from nrsed_lib.evaluate.resampling import draw_counts


def macro_recall(asked: np.ndarray, present: np.ndarray) -> float:
    """Slow and obvious: class by class."""
    return float(np.mean([asked[there, c].mean() for c, there in enumerate(present.T) if there.any()]))


def test_recall_is_the_mean_over_classes_that_are_there():
    present = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]], bool)
    asked = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], bool)
    once = np.ones((1, 4))
    # Class 0: three of four; class 1: none of one; class 2 is nowhere.
    assert recall_of_draws(asked, present, once) == pytest.approx((3 / 4 + 0) / 2) == macro_recall(asked, present)
    assert recall_of_draws(present, present, once) == 1
    assert recall_of_draws(~present, present, once) == 0


def test_every_draw_is_the_recall_of_the_resampled_clips():
    rng = np.random.default_rng(0)
    present, asked = rng.random((20, 6)) < 0.15, rng.random((20, 6)) < 0.5  # some classes are missing from some draws
    counts = draw_counts(20, 50)
    rows = [np.repeat(np.arange(20), count) for count in counts]
    assert any((present[row].sum(0) == 0).any() for row in rows)
    slow = [macro_recall(asked[row], present[row]) for row in rows]
    np.testing.assert_allclose(recall_of_draws(asked, present, counts), slow, atol=1e-12)


def test_released_predictions_meet_the_real_labels():
    """Fig. 2's #7 on 1,168 clips, of which 15 have no prediction."""
    table = released_recall().set_index("condition")
    expected = {"clean": 0.9103, "10dB": 0.8293, "5dB": 0.7909, "0dB": 0.7490, "-5dB": 0.6934}
    assert table.recall.round(4).to_dict() == expected
    assert set(table.nb_clips) == {1168}
    assert set(table.nb_missing) == {15}


def test_the_committed_counts_are_those_of_the_released_files(shared, monkeypatch, tmp_path):
    monkeypatch.setenv("NRSED_MIRROR", str(shared / "mirror"))
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path))
    pd.testing.assert_frame_equal(count_released(), pd.read_csv(RELEASED_COUNTS))


def test_predictions_for_strange_clips_or_events_are_refused(tmp_path):
    (tmp_path / "truth.tsv").write_text("filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\nb.wav\t\t\t\n")
    truth = pd.read_csv(tmp_path / "truth.tsv", sep="\t")
    for line, name in (("c.wav\tdog", "c.wav"), ("a.wav\tcow", "cow")):
        (tmp_path / "predictions.txt").write_text(f"{line}\n")
        with pytest.raises(ValueError, match=name):
            counts_of(tmp_path / "predictions.txt", truth)
    (tmp_path / "predictions.txt").write_text("b.wav\tdog\na.wav\tdog\n")
    counts = counts_of(tmp_path / "predictions.txt", truth).iloc[0]
    assert counts[["nb_present", "nb_found", "nb_clips", "nb_missing"]].tolist() == [1, 1, 2, 0]  # b holds no dog


def test_the_paper_table_is_whole():
    table = paper_table()
    assert len(table) == 7 * 5
    assert not table.duplicated(["system", "condition"]).any()
    assert table[["psds1", "psds2"]].apply(lambda c: c.between(0, 1)).all(axis=None)
