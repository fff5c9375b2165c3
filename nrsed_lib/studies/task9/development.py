"""The development set of DCASE 2024 task 9 as it is published: FSD50K and Clotho v2, and the captions of their clips.

Everything lies below `task9_root()`. The readers list what the label files name; `captioned_sounds` converts it once
to 16 kHz mono in pieces as long as a training segment, and leaves a table of what was found. What is listed and not
there is counted and named in `results/<profile>/missing/`, never passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
from pydantic import BaseModel, Field
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.audio import opened
from nrsed_lib.data.clips import FULL_SCALE, list_digest, load_audio
from nrsed_lib.data.desed.shards import Format, Item, convert
from nrsed_lib.errors import DataError
from nrsed_lib.paths import cache_root, data_root
from nrsed_lib.store import atomic, write_table
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.task9.published import NAME, Faults, Text, WavPath, read_json, read_table

SHORTEST = 0.5  # s: the baseline leaves out what is shorter
LONGEST = 3600.0  # s: no clip is longer, whatever its header says
FSD50K = "Zenodo record 4060432: `nrsed data fetch fsd50k`"
CLOTHO = "Zenodo record 4783391: `nrsed data fetch clotho`"
CAPTIONS = "Zenodo record 10887496: `nrsed data fetch task9-captions`"
FSD50K_FAULTS: Faults = {
    "fname is no number": lambda table: ~table.fname.str.fullmatch("[0-9]+"),
    "the clip was there before": lambda table: table.fname.duplicated(),
    "a label is empty": lambda table: ~table.labels.str.fullmatch(r"[^,\s][^,]*(,[^,]+)*"),
}
CLOTHO_FAULTS: Faults = {
    "the clip was there before": lambda table: table.file_name.duplicated(),
    "no name of a WAV file": lambda table: ~table.file_name.str.fullmatch(rf"{NAME}(?<=.\.wav)"),
}


def task9_root() -> Path:
    """`task9/` in the folder of the data sets (NRSED_DATA)."""
    return data_root() / "task9"


@dataclass(frozen=True)
class Listed:
    """A clip as a label file has it. kinds: its classes, () where it has none. captions: one or more."""

    name: str
    path: Path
    captions: tuple[str, ...]
    kinds: frozenset[str] = frozenset()


class _Caption(BaseModel):
    wav: WavPath
    caption: Text


class _Captions(BaseModel):
    data: Annotated[list[_Caption], Field(min_length=1)]


def read_captions(path: Path, folder: Path) -> list[Listed]:
    """The baseline's JSON, {"data": [{"wav": path, "caption": text}, …]}, relative paths being in `folder`.

    A wav that is there several times has several captions. Raises DataError naming the file and entry.
    """
    like = '{"data": [{"wav": …, "caption": …}, …]}'
    texts: dict[str, list[str]] = {}
    for entry in read_json(path, _Captions, like, CAPTIONS).data:
        texts.setdefault(entry.wav, []).append(entry.caption)
    return [Listed(Path(wav).name, folder / wav, tuple(captions)) for wav, captions in texts.items()]


def read_fsd50k(root: Path, split: str) -> list[Listed]:
    """FSD50K's "dev" or "eval": `FSD50K.<split>_audio/<fname>.wav`, `FSD50K.ground_truth/<split>.csv` (fname, labels,
    mids), and the captions of the task, `fsd50k_<split>_auto_caption.json`, at the root or beside.

    Raises DataError for a file that is missing, and for clips without a caption.
    """
    path = root / "FSD50K.ground_truth" / f"{split}.csv"
    labels = read_table(path, ["fname", "labels"], FSD50K, FSD50K_FAULTS)
    captions = f"fsd50k_{split}_auto_caption.json"
    beside = next((p for p in (root / captions, root.parent / captions) if p.is_file()), root.parent / captions)
    captioned = read_captions(beside, root)
    texts = {clip.name: clip.captions for clip in captioned}
    if len(texts) < len(captioned):
        raise DataError(f"{beside} has {len(captioned) - len(texts)} clips of the name of another: {CAPTIONS}")
    names = [f"{name}.wav" for name in labels.fname]
    if silent := [name for name in names if name not in texts]:
        raise DataError(f"{len(silent)} clips of {path}, e.g. {silent[0]}, have no caption in {beside}: {CAPTIONS}")
    folder = root / f"FSD50K.{split}_audio"
    return [
        Listed(name, folder / name, texts[name], frozenset(kinds.split(",")))
        for name, kinds in zip(names, labels.labels, strict=True)
    ]


def read_clotho(root: Path, split: str) -> list[Listed]:
    """Clotho's "development", "validation" or "evaluation": `clotho_captions_<split>.csv` (file_name, caption_1 …
    caption_5), audio in `<split>/` as the archive unpacks, or in `clotho_audio_<split>/`. It has no classes.

    Raises DataError for a file that is missing or a caption that is empty.
    """
    columns = [f"caption_{i}" for i in range(1, 6)]
    path = root / f"clotho_captions_{split}.csv"
    table = read_table(path, ["file_name", *columns], CLOTHO, CLOTHO_FAULTS)
    folder = next((f for f in (root / split, root / f"clotho_audio_{split}") if f.is_dir()), root / split)
    texts = table[columns].itertuples(index=False)
    return [Listed(name, folder / name, tuple(t)) for name, t in zip(table.file_name, texts, strict=True)]


def development_set(root: Path) -> dict[str, list[Listed]]:
    """What the baseline was trained on, by part: all of FSD50K, and what of Clotho has captions."""
    fsd50k = {f"fsd50k_{split}": read_fsd50k(root / "FSD50K", split) for split in ("dev", "eval")}
    splits = ("development", "validation", "evaluation")
    return fsd50k | {f"clotho_{split}": read_clotho(root / "clotho", split) for split in splits}


@dataclass(frozen=True)
class Captioned:
    """Pieces of clips, ready to be mixed. audio: shards of int16 (nb, nb_samples), one after the other; captions and
    kinds: of each of their rows."""

    audio: list[Tensor]
    captions: list[tuple[str, ...]]
    kinds: list[frozenset[str]]

    def __len__(self) -> int:
        return len(self.captions)

    def waveforms(self, rows: list[int]) -> Tensor:
        """(len(rows), nb_samples) float32; silence after a clip's end."""
        starts = torch.tensor([0, *(len(shard) for shard in self.audio)]).cumsum(0)
        at = torch.bucketize(torch.tensor(rows), starts[1:], right=True)
        picked = [self.audio[int(k)][row - int(starts[k])] for k, row in zip(at, rows, strict=True)]
        return torch.stack(picked).float() / FULL_SCALE


def captioned_sounds(run: Run) -> Captioned:
    """The development set below `task9_root()`, converted once (in the cache); what was found is told in
    results/<profile>/task9_data.csv. Raises DataError when a part is not there at all."""
    rate = run.profile.data.sample_rate
    form = Format(rate, round(studies_of(run.profile).task9.seconds * rate))
    folder = cache_root() / f"task9-{rate}"
    folder.mkdir(parents=True, exist_ok=True)
    shards, captions, kinds, rows = [], [], [], []
    for part, clips in development_set(task9_root()).items():
        there = [clip for clip in clips if clip.path.is_file()]
        missing = sorted({clip.name for clip in clips} - {clip.name for clip in there})
        if not there:
            raise DataError(f"none of {len(clips)} clips of {part} is in {clips[0].path.parent}: {FSD50K}; {CLOTHO}")
        pieces = pieces_of(there, studies_of(run.profile).task9.seconds)
        items = [item for _, item in pieces]
        shard, found = convert(items, form, folder, part)
        good = (found.problem == "").to_numpy()
        used = [clip for (clip, _), ok in zip(pieces, good, strict=True) if ok]
        shards.append(load_audio(shard))
        captions += [clip.captions for clip in used]
        kinds += [clip.kinds for clip in used]
        broken = sorted({clip.name for (clip, _), ok in zip(pieces, good, strict=True) if not ok})
        short = sorted({clip.name for clip in there} - {clip.name for clip, _ in pieces})
        names = sorted({clip.name for clip in used})
        counts = {"listed": len(clips), "missing": len(missing), "unreadable": len(broken), "short": len(short)}
        rows.append({"part": part, **counts, "used": len(names), "pieces": len(used), "list_hash": list_digest(names)})
        if missing:
            with atomic(run.tables / "missing" / f"task9_{part}.txt") as temporary:
                temporary.write_text("\n".join(missing) + "\n")
    write_table(run.tables / "task9_data.csv", pd.DataFrame(rows))
    return Captioned(shards, captions, kinds)


def pieces_of(clips: list[Listed], seconds: float) -> list[tuple[Listed, Item]]:
    """Each clip cut into pieces of `seconds`; what is left at the end, or a whole clip, is a piece if it has SHORTEST.

    A file that cannot be opened is one piece, which the conversion will name unreadable.
    """
    pieces = []
    for clip in tqdm(clips, desc="lengths", unit="clip", mininterval=1.0):
        try:
            with opened(clip.path) as sound:
                duration = min(sound.frames / sound.samplerate, LONGEST)
        except DataError:
            duration = seconds
        nb_whole = int(duration // seconds)
        nb = nb_whole + (duration - nb_whole * seconds >= SHORTEST)
        pieces += [(clip, Item(f"{clip.name}@{k * seconds:g}", clip.path, k * seconds, seconds)) for k in range(nb)]
    return pieces
