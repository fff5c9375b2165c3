"""Data sets in the published layout, with generated audio: what the tests of DESED read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from nrsed_lib.data.desed.layout import PARTS

RATE = 44_100  # of the official audio
CLASSES = ["Cat", "Dog", "Speech"]
NAMES = {"/m/male": "Male speech, man speaking", "/m/rain": "Rain", "/m/clock": "Clock"}


def tone(name: str, seconds: float = 1.0, rate: int = RATE, gain: float = 0.3) -> np.ndarray:
    """A sine whose pitch tells the clip, float64 (nb_samples,)."""
    hertz = 200 + sum(map(ord, name)) * 37 % 4000
    return gain * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_clips(folder: Path, names: Iterable[str], seconds: float = 1.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        soundfile.write(folder / name, tone(name, seconds), RATE)


def write_lines(path: Path, lines: Iterable[str], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def strong_lines(rows: Iterable[tuple[str, str, str, str]]) -> list[str]:
    return ["filename\tonset\toffset\tevent_label", *("\t".join(row) for row in rows)]


def names_of(part: str, nb: int) -> list[str]:
    if part.startswith("synthetic"):
        return [f"{i}.wav" for i in range(nb)]
    return [f"Y{part[:2]}{i:09d}_30.000_31.000.wav" for i in range(nb)]


def folder_of(root: Path, part: str) -> Path:
    return root / PARTS[part].folders[0].replace("**/", "")


def make_tree(root: Path, nb: int = 3) -> Path:
    """Every part with `nb` one-second clips; the third of the test clips has no event."""
    for part in ("synthetic_train", "strong_real", "synthetic_validation", "real_validation"):
        names = names_of(part, nb)
        rows = [(n, "0.100", "0.900", CLASSES[i % 3]) for i, n in enumerate(names)]
        rows += [(names[0], "0.200", "0.400", "Speech")]
        if part == "real_validation":
            rows = [r for r in rows if r[0] != names[2]] + [(names[2], "", "", "")]
        write_lines(root / PARTS[part].metadata[0], strong_lines(rows))
        write_clips(folder_of(root, part), names)
    weak, unlabelled = names_of("weak", nb), names_of("unlabelled", nb)
    write_lines(root / PARTS["weak"].metadata[0], ["filename\tevent_labels", *(f"{n}\tDog,Speech" for n in weak)])
    write_lines(root / PARTS["unlabelled"].metadata[0], ["filename", *unlabelled])
    write_clips(folder_of(root, "weak"), weak)
    write_clips(folder_of(root, "unlabelled"), unlabelled)
    for snr in (10, 5, 0, -5):
        write_clips(root / f"WildDESED/test{snr}db", names_of("real_validation", nb))
    make_audioset(root)
    return root


def make_audioset(root: Path, nb: int = 60) -> None:
    """Segments with rain alone, and a clock under speech for half of them."""
    segments = [f"{i:011d}_30000" for i in range(nb)]
    lines = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    for i, segment in enumerate(segments):
        lines += [f"{segment}\t0.000\t0.400\t/m/rain", f"{segment}\t0.500\t1.000\t/m/clock"]
        lines += [f"{segment}\t0.600\t0.900\t/m/male"] * (i % 2)
    write_lines(root / "audioset_strong/audioset_train_strong.tsv", lines)
    write_lines(root / "audioset_strong/mid_to_display_name.tsv", map("\t".join, NAMES.items()))
    write_clips(root / "audioset_strong/audio", [f"Y{s[:11]}_30.000_40.000.wav" for s in segments])


SMALL = {
    "data.classes": CLASSES,
    "data.noise_classes": ["Rain", "Clock", "Thunder"],
    "data.clip_seconds": 1.0,
    "data.nb_draws_per_class": 3,
    "data.nb_noise_draws_per_class": 3,
}
