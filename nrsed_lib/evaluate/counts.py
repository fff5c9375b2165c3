"""What resampling needs of a seed's test, in one small file: `nrsed verify` computes every interval from these alone.

Kept are integers: how the counts behind PSDS change with the threshold, for each system, condition and clip, as far as
any of DRAWS can tell (`roc.condensed`); what is in each clip, who asked for what in it, and which recordings it is cut
from. No scores, no audio. A seed with 35 systems in five conditions takes less than a megabyte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import list_digest
from nrsed_lib.data.prepare import load_sources, load_split, recordings_of
from nrsed_lib.errors import StoreError, reading
from nrsed_lib.evaluate.psds import Labels, changes_of, durations_of, events_of
from nrsed_lib.evaluate.resampling import clip_weights
from nrsed_lib.evaluate.roc import CT, SCENARIOS, Changes, Weighted, condensed
from nrsed_lib.processes import each
from nrsed_lib.sed.detector import THRESHOLD
from nrsed_lib.store import atomic, read_tensors

DRAWS = 2000  # of recordings, whose PSDS the counts give exactly
UNKNOWN_SHARE = 0.5  # test recordings a training recording, where that is not known
ANY_FRAME = ", any frame"  # after the name of who asks: above 0.5 in any frame, as the released code asks
LARGEST = 200e6  # bytes that a file may hold when it is unpacked: a hundred times what `open` needs

Cell = tuple[str, str]  # (condition, system)
Tensors = dict[str, torch.Tensor]
# What a test left for a condition: frame scores (nb_clips, nb_classes, nb_frames) by system, and clip-wise predictions
# (nb_clips, nb_classes) by who could ask by them.
Tested = Callable[[Run, str, int], tuple[Tensors, Tensors]]


@dataclass(frozen=True)
class About:
    """What counts are of. systems: name -> what it is. asks: system -> who writes its queries, a key of `asked`.
    source: of the clips, `data.source`. separator: the converted weights that it is, "" of one trained here. clips:
    digest of their names. made: the commit, and the ids of its trees."""

    seed: int
    source: str
    separator: str
    classes: list[str]
    conditions: list[str]
    systems: dict[str, str]
    asks: dict[str, str]
    askers: list[str]
    clips: str
    made: dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """Of one seed. nb_events, seconds: (nb_clips, nb_classes) of the truth. durations: (nb_clips,) s. recordings: of
    each clip, what its targets are cut from; classes: of each recording. share: test recordings a training recording.
    asked: (condition, who) -> bool (nb_clips, nb_classes). changes: (condition, system, scenario) -> Changes."""

    about: About
    nb_events: NDArray[np.integer]
    seconds: NDArray[np.floating]
    durations: NDArray[np.floating]
    recordings: list[list[str]]
    classes: dict[str, str]
    share: float
    asked: dict[Cell, NDArray[np.bool_]]
    changes: dict[tuple[str, str, str], Changes]

    @property
    def nb_clips(self) -> int:
        return len(self.durations)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(nb_clips, nb_classes): the weak labels."""
        return self.nb_events > 0

    def draws(self, nb_draws: int) -> Weighted:
        """The study itself, and so many draws of its recordings. Raises StoreError for more than DRAWS."""
        if nb_draws > DRAWS:
            raise StoreError(f"counts hold what {DRAWS} draws need, not {nb_draws}; set evaluate.nb_bootstrap lower")
        weights = clip_weights(self.recordings, self.classes, nb_draws, self.about.seed)
        return Weighted.of(weights, self.nb_events, self.seconds, self.durations)

    def write(self, path: Path) -> None:
        names = sorted(self.classes)
        number = {name: i for i, name in enumerate(names)}
        cut = [(i, number[name]) for i, clip in enumerate(self.recordings) for name in clip]
        every = [self.changes[key] for key in self._cells()]
        clip, kind, value, last = (np.concatenate([c.entries[i] for c in every]) for i in range(4))
        text = json.dumps(asdict(self.about) | {"recordings": [[name, self.classes[name]] for name in names]})
        with atomic(path) as temporary:
            np.savez_compressed(
                temporary,
                about=np.array(text),
                share=np.array(self.share),
                nb_events=_small(self.nb_events),
                seconds=self.seconds,
                durations=self.durations,
                cut_from=np.array(cut, dtype=np.uint32).reshape(-1, 2),
                asked=np.packbits([self.asked[c, who] for c in self.about.conditions for who in self.about.askers]),
                clip=_small(clip),
                kind=_small(kind),
                value=_small(value),
                last=np.packbits(last),
                nb_entries=_small(np.array([np.diff(c.begin) for c in every])),
            )

    @classmethod
    def read(cls, path: Path) -> Counts:
        """Raises DataError naming the file, and what about it cannot be. Nothing in it is unpickled."""
        remedy = "take it from the repository again, or run notebook 06"
        with reading(path, remedy), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if sum(member.file_size for member in archive.zip.infolist()) > LARGEST:
                raise ValueError(f"it unpacks to more than {LARGEST / 1e6:.0f} MB")
            return cls._of({name: archive[name] for name in archive.files})

    @classmethod
    def _of(cls, arrays: dict[str, NDArray]) -> Counts:
        told = json.loads(str(arrays["about"]))
        named = [(str(name), str(label)) for name, label in told.pop("recordings")]
        about = About(**told)
        nb_clips, nb_classes = arrays["nb_events"].shape
        _require(nb_classes == len(about.classes), "classes")
        shapes = {"durations": (nb_clips,), "seconds": (nb_clips, nb_classes), "share": ()}
        _require(all(arrays[name].shape == shape for name, shape in shapes.items()), "clips")
        _require(all(np.isfinite(arrays[name]).all() and (arrays[name] >= 0).all() for name in shapes), "durations")
        cut = arrays["cut_from"].astype(int)
        _require(cut.shape == (len(cut), 2) and all(map(_within, cut.T, (nb_clips, len(named)))), "recordings")
        recordings: list[list[str]] = [[] for _ in range(nb_clips)]
        for clip, which in cut:
            recordings[clip].append(named[which][0])
        shape = (len(about.conditions), len(about.askers), nb_clips, nb_classes)
        bits = np.unpackbits(arrays["asked"], count=int(np.prod(shape))).astype(bool).reshape(shape)
        asked = {
            (c, who): bits[i, j] for i, c in enumerate(about.conditions) for j, who in enumerate(about.askers)
        }  # fmt: skip
        empty = cls(
            about, arrays["nb_events"], arrays["seconds"], arrays["durations"],
            recordings, dict(named), float(arrays["share"]), asked, {},
        )  # fmt: skip
        cells = empty._cells()
        empty.changes.update(zip(cells, _split(arrays, len(cells), nb_clips, nb_classes), strict=True))
        return empty

    def _cells(self) -> list[tuple[str, str, str]]:
        about = self.about
        return [(c, s, scenario) for c in about.conditions for s in about.systems for scenario in SCENARIOS]


def _split(arrays: dict[str, NDArray], nb_cells: int, nb_clips: int, nb_classes: int) -> list[Changes]:
    """The changes of each cell, from those of all in a row."""
    nb = arrays["nb_entries"].astype(int)
    columns = [arrays[a] for a in ("clip", "kind", "value")]
    _require(nb.shape == (nb_cells, nb_classes) and (nb >= 0).all(), "nb_entries")
    _require(all(a.dtype.kind in "iu" and a.shape == (nb.sum(),) for a in columns), "entries")
    _require(_within(columns[0], nb_clips) and _within(columns[1], CT + nb_classes), "entries")
    columns.append(np.unpackbits(arrays["last"], count=nb.sum()).astype(bool))
    ends = np.cumsum(nb.sum(1))[:-1]
    parts = [np.split(column, ends) for column in columns]
    begins = np.concatenate([np.zeros((nb_cells, 1), int), nb.cumsum(1)], axis=1)
    return [Changes(*part) for part in zip(*parts, begins, strict=True)]


def _require(fine: bool | np.bool_, what: str) -> None:
    if not fine:
        raise ValueError(f"its {what} cannot be those of a test")


def _within(numbers: NDArray, nb: int) -> bool:
    return bool(((numbers >= 0) & (numbers < nb)).all())


def _small(integers: NDArray) -> NDArray:
    """In the smallest type that holds them."""
    return integers.astype(np.result_type(*map(np.min_scalar_type, (integers.min(initial=0), integers.max(initial=0)))))


def tested(run: Run, condition: str, seed: int) -> tuple[Tensors, Tensors]:
    """What notebook 06 left."""
    scores, queries = (read_tensors(run.find(f"{name}_{condition}", seed))[0] for name in ("scores", "queries"))
    return scores, queries


def count_run(
    run: Run,
    systems: Mapping[str, str],
    asks: Mapping[str, str],
    made: Mapping[str, Any] | None = None,
    left: Tested = tested,
) -> Counts:
    """Counts of what notebook 06 (or `left`) left for the run's seed.

    systems: name -> what it is. asks: system -> whose clip-wise predictions are its queries. made: what the code was,
    as `history.made_on` says it.
    """
    clips, conditions = load_split(run, "test"), list(run.profile.data.conditions)
    labels = Labels.of(clips)
    recordings, classes, share = _recordings(run)
    asked: dict[Cell, NDArray[np.bool_]] = {}
    scores: dict[Cell, NDArray] = {}
    for condition in conditions:
        tensors, queries = left(run, condition, run.seed)
        scores |= {(condition, s): tensors[s].numpy() for s in systems}
        asked |= {(condition, who): (values > THRESHOLD).numpy() for who, values in queries.items() if who != "truth"}
    about = About(
        run.seed, run.profile.data.source, run.profile.lass.weights or "", list(clips.classes), conditions,
        dict(systems), dict(asks), list(dict.fromkeys(who for _, who in asked)), list_digest(clips.names),
        dict(made or {}),
    )  # fmt: skip
    nb_events, seconds = events_of(labels)
    counts = Counts(
        about, nb_events.astype(int), seconds, durations_of(labels), recordings, classes, share, asked, {}
    )  # fmt: skip
    found = each(partial(_count, labels=labels, draws=counts.draws(DRAWS)), [*scores.values()], torch.get_num_threads())
    cells = dict(tqdm(found, total=len(scores), desc="counts behind PSDS", mininterval=1.0))
    for number, (condition, system) in enumerate(scores):
        counts.changes.update({(condition, system, name): of for name, of in cells[number].items()})
    return counts


def _count(frame_scores: NDArray, labels: Labels, draws: Weighted) -> dict[str, Changes]:
    found = changes_of(torch.from_numpy(frame_scores), labels)
    return {name: condensed(changes, draws, SCENARIOS[name]["alpha_ct"]) for name, changes in found.items()}


def _recordings(run: Run) -> tuple[list[list[str]], dict[str, str], float]:
    """Of each test clip the recordings that its targets are cut from; the class of each; how many there are for one of
    training (UNKNOWN_SHARE where clips are not cut from any: then each is a recording of its own).

    What a seed synthesises is its own, whatever it is called.
    """
    cut, source = recordings_of(run), run.profile.data.source
    if source == "desed":
        return cut, {name: "clip" for names in cut for name in names}, UNKNOWN_SHARE
    test, train = (load_sources(run, split).select("target") for split in ("test", "train"))
    mark = f"{run.seed}:" if source == "synth" else ""
    classes = {mark + name: label for name, label in zip(test.recordings, test.labels, strict=True)}
    return [[mark + name for name in names] for names in cut], classes, len(classes) / len(set(train.recordings))
