"""The one door for audio files from elsewhere: what comes through is whole, of a sensible size, and finite."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from nrsed_lib.errors import DataError

FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")  # those that tell, each in its way, when their end is missing
RATES = (1000, 400_000)  # Hz, lowest and highest
MOST_CHANNELS = 64
MOST_SAMPLES = 1 << 30  # of all channels: 6 h at 44.1 kHz
PADDING = 600  # samples that an MP3 may count and not give: its encoder filled the last frame with them
LOUDEST = 1e6  # re full scale: more is not of a sound, and as int16 at full scale of floats is less
KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


class AudioError(DataError):
    """A recording that cannot be used. reason: one line, without the file; what is before its colon is counted."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"cannot decode {path}: {reason}; {remedy}")
        self.reason = reason


@contextlib.contextmanager
def opened(path: Path, remedy: str = "get it again, or take it out") -> Iterator[soundfile.SoundFile]:
    """A recording to read from, by its content, whatever its name.

    Raises AudioError for what is no regular file, no audio, cut off, or has a rate, channels or a length that no
    recording has; also for an error of the decoder in the block.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # to open a pipe would wait for ever
            raise AudioError(path, f"no regular file: a {KINDS.get(stat.S_IFMT(mode), 'device')}", remedy)
        with open(path, "rb", buffering=0) as file:
            if not os.fstat(file.fileno()).st_size:
                raise AudioError(path, "empty file", remedy)
            missing = _missing(file)
            file.seek(0)
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                if fault := missing or _oddity(sound):
                    raise AudioError(path, fault, remedy)
                yield sound
    except DataError:
        raise
    except (soundfile.LibsndfileError, OSError, ValueError, MemoryError) as error:
        said = getattr(error, "strerror", None) or getattr(error, "error_string", None) or error  # without the path
        raise AudioError(path, f"unreadable: {said}", remedy) from error


def read_audio(
    path: Path, start: float = 0.0, seconds: float | None = None, remedy: str = "get it again, or take it out"
) -> tuple[NDArray[np.float32], int]:
    """(nb_samples, nb_channels) and the rate in Hz: a recording from `start` (s) on, all or at most `seconds`.

    Raises AudioError as `opened` does, when fewer samples come than the file says, and for numbers of no sound.
    """
    with opened(path, remedy) as sound:
        first = min(round(start * sound.samplerate), sound.frames)
        left = sound.frames - first
        nb = left if seconds is None else min(round(seconds * sound.samplerate), left)
        if nb == 0:
            raise AudioError(path, f"no samples: from {start:g} s on of {sound.frames / sound.samplerate:g} s", remedy)
        sound.seek(first)
        audio = sound.read(nb, dtype="float32", always_2d=True)
        if len(audio) < nb - PADDING * (sound.format == "MP3"):
            raise AudioError(path, f"truncated: {len(audio)} of {nb} samples can be read", remedy)
        if not np.isfinite(audio).all():
            raise AudioError(path, "numbers that are not finite", remedy)
        if (peak := float(np.abs(audio).max())) > LOUDEST:
            raise AudioError(path, f"too loud: {peak:g} times full scale", remedy)
        return audio, sound.samplerate


def _oddity(sound: soundfile.SoundFile) -> str:
    if sound.format not in FORMATS:
        return f"unreadable: {sound.format}, which is none of {', '.join(FORMATS)}"
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        return f"unreadable: {sound.samplerate} Hz, not {RATES[0]} to {RATES[1]}"
    if sound.channels > MOST_CHANNELS:
        return f"unreadable: {sound.channels} channels, more than {MOST_CHANNELS}"
    if sound.frames * sound.channels > MOST_SAMPLES:
        return f"unreadable: {sound.frames * sound.channels} samples, more than {MOST_SAMPLES}"
    return ""


def _missing(file: FileIO) -> str:
    """What says that the end of a WAV or OGG file is not there: libsndfile would take what is left for the whole."""
    size, head = os.fstat(file.fileno()).st_size, file.read(12)
    if head[:4] == b"RIFF":
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                there = size - file.tell()
                return f"truncated: {there} of {length} bytes of sound are there" if there < length else ""
            file.seek(length + length % 2, os.SEEK_CUR)
    if head[:4] == b"OggS":
        start = max(0, size - (1 << 17))  # two pages, if they are as long as can be
        file.seek(start)
        tail = file.read(size - start)
        page = tail[tail.rfind(b"OggS") :]  # flags at 5, the number of segments at 26, then the length of each
        if len(page) < 27 + (nb := page[26] if len(page) > 26 else 0) + sum(page[27 : 27 + nb]) or not page[5] & 4:
            return "truncated: without the last page of its stream"
    return ""
