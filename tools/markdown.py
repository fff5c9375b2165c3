"""Tables in Markdown, for the pages that are generated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A row a line; a column in which nothing stands is left out."""
    columns = [(name, cells) for name, *cells in zip(header, *rows, strict=True) if any(cell != "" for cell in cells)]
    shown = ([name, "---", *map(_cell, cells)] for name, cells in columns)
    return "\n".join("| " + " | ".join(line) + " |" for line in zip(*shown, strict=True))


def _cell(value: object) -> str:
    """A bar or a new line would end a cell; of HTML there is none but small print and what stands in code."""
    text = re.sub(r"(\\*)\|", r"\1\1\\|", " ".join(str(value).splitlines()))
    return re.sub(r"(`+).*?\1|<(?!/?(?:br|sub)>)", lambda found: found[0] if found[1] else "&lt;", text)


def code(text: str) -> str:
    """In backticks, more of them than the text has in a row."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def duration(seconds: float | None) -> str:
    """ "42 s", "5.7 min"; "" for what was not measured."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def number(value: float, form: str = ".3f") -> str:
    """ "" for what was not measured or printed."""
    return "" if pd.isna(value) else format(value, form)


def with_interval(value: float, low: float, high: float, form: str = "+.3f") -> str:
    """ "+0.120 [+0.055, +0.179]"; without the brackets where there is no interval."""
    return number(value, form) + ("" if pd.isna(low) else f" [{low:{form}}, {high:{form}}]")


def small(text: str) -> str:
    """A line of small print within a cell; "" stays so."""
    return f"<br><sub>{text}</sub>" if text else ""
