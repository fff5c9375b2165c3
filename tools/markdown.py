"""Tables in Markdown, for the pages that are generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A row a line; a column in which nothing stands is left out. A bar would end a cell, so it is escaped."""
    columns = [(name, cells) for name, *cells in zip(header, *rows, strict=True) if any(cell != "" for cell in cells)]
    shown = ([name, "---", *(str(cell).replace("|", "\\|") for cell in cells)] for name, cells in columns)
    return "\n".join("| " + " | ".join(line) + " |" for line in zip(*shown, strict=True))


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
