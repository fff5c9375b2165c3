"""What kinds of values settings have: each a type that a section of a profile names, with its bounds.

A ValueError says what is wrong and, after a semicolon, what to write instead.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

T = TypeVar("T", bound=Any)


def short(value: Any) -> str:
    """A value as Python writes it, of at most 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # of more digits than Python writes
        text = "a number of very many digits"
    return text if len(text) <= 80 else text[:77] + "..."


def condition(snr_db: float) -> str:
    """What a test condition is called."""
    return f"{snr_db:g}dB"


def _distinct(values: list[T]) -> list[T]:
    if twice := [value for value, nb in Counter(values).items() if nb > 1]:
        raise ValueError(f"lists {short(twice)} more than once; list each once")
    return values


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"({ends[0]:g}, {ends[1]:g}) falls; write (low, high)")
    return ends


def _falling(snrs: list[float]) -> list[float]:
    if any(a <= b for a, b in pairwise(snrs)):
        raise ValueError("does not fall from easy to hard; write e.g. [10, 5, 0, -5]")
    _distinct([condition(snr) for snr in snrs])
    return snrs


def _text(pattern: str, fault: str) -> AfterValidator:
    def match(text: str) -> str:
        if not re.fullmatch(pattern, text) or not text.isprintable():
            raise ValueError(fault)
        return text

    return AfterValidator(match)


# Above its upper end a number is a slip of the hand, not a setting.
Count = Annotated[int, Field(ge=1, le=10_000_000)]  # of clips, steps, draws
Size = Annotated[int, Field(ge=1, le=65_536)]  # of a part of a network, a hop, a batch
Sizes = Annotated[list[Size], Field(min_length=1, max_length=64)]
Depth = Annotated[int, Field(ge=0, le=64)]  # layers
Tries = Annotated[int, Field(ge=0, le=100)]
Window = Annotated[int, Field(ge=32, le=65_536, multiple_of=2)]  # samples
Rate = Annotated[int, Field(ge=8_000, le=192_000, multiple_of=25)]  # Hz, with factors to resample by
Seconds = Annotated[float, Field(ge=0.5, le=600)]
Patience = Annotated[float, Field(gt=0, le=86_400)]  # seconds
Hertz = Annotated[float, Field(ge=0, le=96_000)]
Decibels = Annotated[float, Field(ge=-100, le=100)]
Share = Annotated[float, Field(gt=0, le=1)]
Part = Annotated[float, Field(ge=0, lt=1)]  # a share that leaves something
Weight = Annotated[float, Field(ge=0, le=1000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

Distinct = AfterValidator(_distinct)
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=1000), Distinct]
Conditions = Annotated[list[Decibels], Field(min_length=1, max_length=100), AfterValidator(_falling)]  # dB
SnrRange = Annotated[tuple[Decibels, Decibels], Field(strict=False), AfterValidator(_rising)]  # a list will do
Pair = Annotated[tuple[Size, Size], Field(strict=False)]
Line = Annotated[str, _text(r"\S(.{0,198}\S)?", "is no line; write 1 to 200 characters, no blanks around them")]
Lines = Annotated[list[Line], Field(min_length=1)]
FileName = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "is no file name; use letters, digits, ., - and _")]
_FREE = r"(?!(?i:runs|bench|kept)$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}"  # of the folders of results/
FolderName = Annotated[
    str, _text(_FREE, "is no free folder name; use up to 64 letters, digits, - and _, not runs, bench or kept")
]
