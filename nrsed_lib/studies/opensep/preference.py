"""Which of two separations sounds better, asked blindly (Table 3 and appendix A.5 of arXiv 2409.19270).

A rater hears a mixture and what two systems made of it, not knowing which is which: OpenSep, which nobody told what is
there, and a baseline, which is told the true classes if it wants to be asked. No ground truth is needed, so natural
mixtures can be compared. Votes are rows of a CSV file; a rater who votes again on a pair replaces the first vote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Clips
from nrsed_lib.data.prepare import load_split
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.errors import DataError, one_line
from nrsed_lib.store import write_table
from nrsed_lib.studies.opensep.chain import Reader, separate_sources
from nrsed_lib.studies.opensep.methods import Method
from nrsed_lib.studies.opensep.tables import published, shown
from nrsed_lib.studies.ratings import in_turn, kept_file, read_rows
from nrsed_lib.training import device, step_generator

NB_PAIRS = 20  # a rater is given so many mixtures
NB_SOURCES = (2, 3)  # classes in each
LABELS = {"A is better": "A", "B is better": "B", "no difference": "draw"}  # what a rater is offered
CHOICES = (*LABELS.values(),)
OUTCOMES = ("wins", "draws", "loses")  # of OpenSep
VOTE_COLUMNS = ["rater", "pair", "mixture", "baseline", "opensep_was", "choice"]


@dataclass(frozen=True)
class Pair:
    """What is compared. mixture: its name; sound: (nb_samples,); opensep, other: the tracks of OpenSep and of the
    baseline (nb_tracks, nb_samples), as many as each has found."""

    mixture: str
    baseline: str
    sound: Tensor
    opensep: Tensor
    other: Tensor

    def sides(self, opensep_is: str) -> dict[str, Tensor]:
        """Tracks of "A" and "B". opensep_is: which of them is OpenSep."""
        first, second = (self.opensep, self.other) if opensep_is == "A" else (self.other, self.opensep)
        return {"A": first, "B": second}


@torch.inference_mode()
def draw_pairs(
    run: Run, reader: Reader, opensep: Method, baselines: Mapping[str, Method], nb_pairs: int = NB_PAIRS
) -> list[Pair]:
    """Test clips of two or three classes by lot, each separated by OpenSep and by one baseline after the other.

    Raises ValueError when there are no such clips.
    """
    clips = load_split(run, "test")
    numbers = chosen_clips(clips, nb_pairs, run.seed)
    sounds = clips.waveforms(numbers)
    tracks = separate_sources(opensep, sounds, reader.read(sounds))
    pairs = []
    for i, number in enumerate(numbers):
        name, baseline = list(baselines.items())[i % len(baselines)]
        others = told_tracks(baseline, sounds[i], sorted(clips.label_sets[number]))
        pairs.append(Pair(clips.names[number], name, sounds[i], tracks[i], others))
    return pairs


def chosen_clips(clips: Clips, nb: int, seed: int) -> list[int]:
    """Numbers of at most `nb` clips with two or three classes, by lot, in the order drawn."""
    fit = [i for i, labels in enumerate(clips.label_sets) if len(labels) in NB_SOURCES]
    if not fit:
        raise ValueError(f"no test clip has {NB_SOURCES} classes; use a profile with more or denser test clips")
    order = torch.randperm(len(fit), generator=step_generator(seed, "preference", 0))[:nb]
    return [fit[i] for i in order.tolist()]


def told_tracks(method: Method, sound: Tensor, classes: Sequence[str]) -> Tensor:
    """What a method makes of a mixture (nb_samples,): (nb_tracks, nb_samples), on the CPU.

    One that is asked is asked for the true classes, as the source does by hand; of any other, all its outputs.
    """
    rows = torch.arange(len(classes), device=device())[None]
    return method.separate(sound[None].to(device()), rows, [query_text(name) for name in classes])[0].cpu()


def sides_of(nb_pairs: int, rater: str, seed: int) -> list[str]:
    """Behind which letter OpenSep is in each pair, for this rater: by lot, each letter as often (give or take one)."""
    letters = ["A", "B"] * ((nb_pairs + 1) // 2)
    order = torch.randperm(len(letters), generator=step_generator(seed, f"sides for {rater}", 0))
    return [letters[i] for i in order.tolist()][:nb_pairs]


@dataclass(frozen=True)
class Votes:
    """The votes of all raters, in one CSV file."""

    path: Path

    def read(self) -> pd.DataFrame:
        """One row a vote (`VOTE_COLUMNS`); none when nobody has voted. Raises DataError naming the file and what is
        wrong with it: columns missing, an unknown choice, a rater who votes twice on a pair."""
        if not self.path.exists():
            return pd.DataFrame(columns=VOTE_COLUMNS)
        table = read_rows(self.path, VOTE_COLUMNS, ["pair"])
        wrong = table[~table.choice.isin(CHOICES) | ~table.opensep_was.isin(CHOICES[:2])]
        if len(wrong):
            row = one_line(str(dict(wrong.iloc[0])), 200)
            raise DataError(f"{self.path}: row {wrong.index[0] + 2} has {row}; choices are {CHOICES}")
        twice = table[table.duplicated(["rater", "pair"])]
        if len(twice):
            raise DataError(f"{self.path}: row {twice.index[0] + 2} is a second vote on one pair; keep one of them")
        return table

    def add(self, rater: str, pair: int, what: Pair, opensep_was: str, choice: str) -> None:
        """Keep a vote at once. Raises ValueError for a choice that is none, or a rater without a name."""
        if choice not in CHOICES or not rater.strip():
            raise ValueError(f"vote {choice!r} of rater {rater!r}: use one of {', '.join(CHOICES)}, and name the rater")
        with in_turn(self.path):
            table = self.read()
            table = table[(table.rater != rater) | (table.pair != str(pair))]
            row = pd.DataFrame(
                [[rater, str(pair), what.mixture, what.baseline, opensep_was, choice]], columns=VOTE_COLUMNS
            )
            write_table(self.path, pd.concat([table, row], ignore_index=True))

    def done(self, rater: str) -> set[int]:
        """The pairs that a rater has voted on."""
        table = self.read()
        return {int(pair) for pair in table.pair[table.rater == rater]}


def votes_of(run: Run) -> Votes:
    """Those of a profile, which its runs leave alone."""
    return Votes(kept_file(run, "opensep_preference_votes.csv"))


def outcomes(votes: pd.DataFrame) -> pd.Series:
    """Of each vote: whether OpenSep "wins", "draws" or "loses"."""
    won = (votes.choice == votes.opensep_was).map({True: "wins", False: "loses"})
    return won.where(votes.choice != "draw", "draws").rename("outcome")


def preferences(votes: pd.DataFrame) -> pd.DataFrame:
    """One row a baseline and outcome: mean and spread over raters of the percentage of a rater's votes on it.

    Columns: baseline, outcome, mean, spread (standard deviation, NaN for one rater), nb_raters, nb_votes.
    """
    counts = pd.crosstab([votes.baseline, votes.rater], outcomes(votes)).reindex(columns=list(OUTCOMES), fill_value=0)
    shares = 100 * counts.div(counts.sum(1), axis=0)
    by_rater = shares.stack(future_stack=True)  # noqa: PD013 (baseline after baseline)
    groups = by_rater.groupby(level=["baseline", "outcome"], sort=False)
    table = groups.agg(mean="mean", spread="std", nb_raters="size").reset_index()
    return table.assign(nb_votes=table.baseline.map(votes.baseline.value_counts()))


def preference_table(run: Run) -> pd.DataFrame:
    """Table 3: a row a baseline, the published percentages and, where there are votes, ours; "mean ± spread".

    With votes, ours are also written to `opensep_preference.csv` among the tables.
    """
    theirs = published(3).rename(columns={"row": "baseline", "value": "mean"})
    theirs["outcome"] = theirs.column.str.extract(f"({'|'.join(OUTCOMES)})", expand=False)
    tables = {"AudioCaps, published": theirs}
    votes = votes_of(run).read()
    if len(votes):
        tables = {run.profile.name: preferences(votes)} | tables
        write_table(run.tables / "opensep_preference.csv", tables[run.profile.name])
    long = pd.concat([table.assign(where=where) for where, table in tables.items()], ignore_index=True)
    long["text"] = [shown(mean, spread, 1) for mean, spread in zip(long["mean"], long.spread, strict=True)]
    wide = long.pivot_table(index="baseline", columns=["where", "outcome"], values="text", aggfunc="first", sort=False)
    return wide.fillna("")
