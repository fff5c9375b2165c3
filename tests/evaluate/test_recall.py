"""Macro recall against closed forms, and the paper's released predictions against real labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from nrsed_lib.evaluate.published import RELEASED_COUNTS, count_released, counts_of, paper_table, released_recall
from nrsed_lib.evaluate.recall import macro_recall, recall_of_draws
from nrsed_lib.evaluate.resampling import draw_counts


def test_recall_is_the_mean_over_classes_that_are_there():
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]])
    scores = torch.tensor([[0.9, 0.9, 0.9], [0.6, 0.4, 0.9], [0.5, 0.9, 0.9], [0.51, 0.9, 0.9]])
    # Class 0: three of four (0.5 itself is no query); class 1: none of one; class 2 is nowhere.
    assert macro_recall(scores, labels) == pytest.approx((3 / 4 + 0) / 2)
    assert macro_recall(labels.float(), labels) == 1
    assert macro_recall(1 - labels.float(), labels) == 0


def test_recall_of_unlabelled_clips_is_refused():
    with pytest.raises(ValueError, match="no clip of 3"):
        macro_recall(torch.ones(3, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="differ in shape"):
        macro_recall(torch.ones(3, 2), torch.ones(3, 4))


def test_every_draw_is_the_recall_of_the_resampled_clips():
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(20, 6, generator=generator) < 0.15).float()  # some classes are missing from some draws
    scores = torch.rand(20, 6, generator=generator)
    counts = draw_counts(20, 50)
    slow = []
    for row in counts:
        rows = np.repeat(np.arange(20), row)
        slow.append(macro_recall(scores[rows], labels[rows]))
    assert any((labels[np.repeat(np.arange(20), row)].sum(0) == 0).any() for row in counts)
    np.testing.assert_allclose(recall_of_draws(scores, labels, counts), slow, atol=1e-12)


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
