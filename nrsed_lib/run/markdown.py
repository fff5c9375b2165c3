"""Tables in Markdown, for the pages that are generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A row a line; a bar within a cell would end it, so it is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float, form: str = ".3f") -> str:
    """ "" for what was not measured or printed."""
    return "" if pd.isna(value) else format(value, form)


def with_interval(value: float, low: float, high: float, form: str = "+.3f") -> str:
    """ "+0.120 [+0.055, +0.179]"; without the brackets where there is no interval."""
    return number(value, form) + ("" if pd.isna(low) else f" [{low:{form}}, {high:{form}}]")


def small(text: str) -> str:
    """A line of small print within a cell; "" stays so."""
    return f"<br><sub>{text}</sub>" if text else ""
