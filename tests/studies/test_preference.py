"""The blind comparison: sides are hidden and even, votes are kept, and counted as in Table 3."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_split
from nrsed_lib.profile import load_profile
from nrsed_lib.studies.opensep.blind_test import BlindTest
from nrsed_lib.studies.opensep.chain import Reader
from nrsed_lib.studies.opensep.preference import (
    Pair,
    Votes,
    chosen_clips,
    draw_pairs,
    outcomes,
    preference_table,
    preferences,
    sides_of,
    votes_of,
)
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.studies.texts.parsing import RuleParser

RATE = 16_000
BASELINES = ("PIT", "AudioSep")


def pairs(nb: int) -> list[Pair]:
    """OpenSep's tracks are ones, the baseline's twos."""
    return [
        Pair(f"clip{i}", BASELINES[i % 2], torch.ones(800), torch.ones(2, 800), 2 * torch.ones(1 + i % 3, 800))
        for i in range(nb)
    ]


def vote(test: BlindTest, label: str) -> None:
    test.choice.value = label
    assert not test.button.disabled
    test.button.click()


def test_sides_are_even_and_differ_by_rater() -> None:
    one, other = sides_of(20, "one", 0), sides_of(20, "other", 0)
    assert one.count("A") == one.count("B") == 10
    assert one != other
    assert one == sides_of(20, "one", 0)
    assert abs(sides_of(7, "one", 0).count("A") - 3.5) == 0.5
    pair = pairs(1)[0]
    assert float(pair.sides("A")["A"].mean()) == 1
    assert float(pair.sides("B")["A"].mean()) == 2


def test_raters_with_known_tastes(tmp_path: Path) -> None:
    """One always prefers OpenSep, one hears no difference, one prefers OpenSep to AudioSep and PIT to OpenSep."""
    votes = Votes(tmp_path / "votes.csv")
    compared = pairs(10)
    for rater in ("fan", "deaf", "mixed"):
        test = BlindTest(compared, votes, rater, RATE)
        for i in range(10):
            opensep = test.opensep_is[i]
            letter = {"fan": opensep, "mixed": opensep if i % 2 else "AB".replace(opensep, "")}.get(rater)
            vote(test, f"{letter} is better" if letter else "no difference")
        assert test.todo == []
        assert "That was all" in test.box.children[0].value
    table = preferences(votes.read()).set_index(["baseline", "outcome"])
    for baseline, means in {"PIT": (100 / 3, 100 / 3, 100 / 3), "AudioSep": (200 / 3, 100 / 3, 0)}.items():
        assert table.loc[baseline, "mean"].tolist() == pytest.approx(means)
    assert table.loc[("PIT", "wins"), "spread"] == pytest.approx(torch.tensor([100.0, 0.0, 0.0]).std().item())
    assert set(table.nb_raters) == {3}
    assert set(table.nb_votes) == {15}


def test_a_test_goes_on_where_it_was_left(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.csv")
    first = BlindTest(pairs(3), votes, "me", RATE)
    assert first.button.disabled  # nothing chosen
    first.button.click()
    assert len(votes.read()) == 0
    vote(first, "no difference")
    again = BlindTest(pairs(3), votes, "me", RATE)
    assert again.todo == [1, 2]
    assert again.opensep_is == first.opensep_is
    votes.add("me", 0, pairs(1)[0], "A", "B")  # a change of mind
    assert votes.read().choice.tolist() == ["B"]
    assert outcomes(votes.read()).tolist() == ["loses"]


def test_nothing_shown_tells_the_sides(tmp_path: Path) -> None:
    test = BlindTest(pairs(2), Votes(tmp_path / "votes.csv"), "me", RATE)

    def texts(widget) -> str:
        own = str(getattr(widget, "value", "")) if not isinstance(getattr(widget, "value", ""), bytes) else ""
        return own + "".join(texts(child) for child in getattr(widget, "children", ()))

    shown = texts(test.box)
    for name in ("OpenSep", "PIT", "clip0"):
        assert name not in shown


def test_bad_votes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    with pytest.raises(ValueError, match="needs a name"):
        BlindTest(pairs(1), Votes(path), " ", RATE)
    with pytest.raises(ValueError, match="use one of A, B, draw"):
        Votes(path).add("me", 0, pairs(1)[0], "A", "C")
    path.write_text("rater,pair\nme,0\n")
    with pytest.raises(ValueError, match=r"votes\.csv has no column mixture, baseline"):
        Votes(path).read()
    path.write_text("rater,pair,mixture,baseline,opensep_was,choice\nme,0,x,PIT,A,maybe\n")
    with pytest.raises(ValueError, match=r"row 2 has .*maybe"):
        Votes(path).read()
    path.write_text("rater,pair,mixture,baseline,opensep_was,choice\n" + 2 * "me,0,x,PIT,A,A\n")
    with pytest.raises(ValueError, match="row 3 is a second vote"):
        Votes(path).read()


def test_table_with_and_without_votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    run = Run(load_profile("smoke"), "11", 0)
    table = preference_table(run)
    assert table.loc["AudioSep", ("AudioCaps, published", "wins")] == "65.8 ± 7.3"
    assert {where for where, _ in table.columns} == {"AudioCaps, published"}
    assert not (run.tables / "opensep_preference.csv").exists()
    votes_of(run).add("me", 0, pairs(1)[0], "B", "B")
    table = preference_table(run)
    assert table.loc["PIT", ("smoke", "wins")] == "100.0"
    assert table.loc["PIT", ("smoke", "loses")] == "0.0"
    assert table.loc["LASSNet", ("smoke", "wins")] == ""
    assert len(pd.read_csv(run.tables / "opensep_preference.csv")) == 3


class Outputs:
    """A method with two outputs, or one for each class that it is asked for: the mixture times the output's number."""

    def __init__(self, asked: bool) -> None:
        self.asked = asked
        self.texts: list[str] = []

    def separate(self, mixtures: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        self.texts = texts
        nb = classes.shape[1] if self.asked else 2
        return mixtures[:, None] * torch.arange(1.0, nb + 1)[:, None].to(mixtures)


def test_pairs_are_drawn_from_test_clips(smoke_data: Run) -> None:
    class Always:
        name = "always"

        def caption(self, waveforms: Tensor) -> list[str]:
            return ["A dog barks while a person speaks and food is frying."] * len(waveforms)

    captions = captions_of(smoke_data.profile.data.classes)
    reader = Reader(Always(), RuleParser(captions), captions)
    clips = load_split(smoke_data, "test")
    baselines = {"PIT": Outputs(False), "AudioSep": Outputs(True)}
    drawn = draw_pairs(smoke_data, reader, Outputs(True), baselines, nb_pairs=4)
    assert [pair.baseline for pair in drawn] == ["PIT", "AudioSep", "PIT", "AudioSep"][: len(drawn)]
    for pair in drawn:
        labels = clips.label_sets[clips.names.index(pair.mixture)]
        assert len(labels) in (2, 3)
        assert len(pair.opensep) == 3
        assert len(pair.other) == (2 if pair.baseline == "PIT" else len(labels))
        torch.testing.assert_close(pair.sound, clips.waveforms([clips.names.index(pair.mixture)])[0])
    assert chosen_clips(clips, 3, 0) == chosen_clips(clips, 3, 0)
