"""Separate and remix against the slow way: one clip, one query at a time."""

import pytest
import torch
from test_front_end import SMALL

from nrsed_lib.lass.remix import remix, separate
from nrsed_lib.lass.separator import Separator

PAIRS = torch.tensor([[3, 1], [0, 0], [3, 0], [1, 2], [0, 2], [3, 2], [4, 1]])  # no query for clip 2; no order


@pytest.fixture
def separator() -> Separator:
    torch.manual_seed(0)
    return Separator(SMALL).eval()


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
def test_a_batch_is_one_by_one(separator: Separator, batch: int) -> None:
    mixtures = 0.1 * torch.randn(5, 1000)
    conditions = separator.embed(["dog", "running water", "speech"])
    tracks = separate(separator, mixtures, PAIRS, conditions, batch)
    with torch.inference_mode():
        slow = torch.cat([separator(mixtures[c : c + 1], conditions[q : q + 1]) for c, q in PAIRS.tolist()])
    torch.testing.assert_close(tracks, slow, rtol=0, atol=1e-6)


def test_a_clip_is_analysed_once(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    analyse = separator.analyse
    monkeypatch.setattr(separator, "analyse", lambda x: (seen.append(x), analyse(x))[1])
    mixtures = torch.randn(5, 500)
    separate(separator, mixtures, PAIRS, separator.embed(["a", "b", "c"]), 2)
    torch.testing.assert_close(torch.cat(seen), mixtures[[0, 1, 3, 4]])


def test_no_pairs_no_tracks(separator: Separator) -> None:
    mixtures = torch.randn(2, 500)
    none = torch.zeros(0, 2, dtype=torch.long)
    tracks = separate(separator, mixtures, none, separator.embed(["dog"]), 4)
    assert tracks.shape == (0, 500)
    torch.testing.assert_close(remix(tracks, none, mixtures), mixtures)


def test_remix_is_the_mean_of_a_clips_tracks() -> None:
    tracks, mixtures = torch.randn(7, 50), torch.randn(5, 50)
    out = remix(tracks, PAIRS, mixtures)
    for clip in range(5):
        own = [t for t, (c, _) in zip(tracks, PAIRS.tolist(), strict=True) if c == clip]
        expected = sum(own) / len(own) if own else mixtures[clip]
        torch.testing.assert_close(out[clip], expected)
