"""Tables with colours, captions and columns of text, for a notebook."""

from __future__ import annotations

import html
import re
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler


def styled(table: pd.DataFrame, caption: str = "") -> Styler:
    """pandas' Styler of a table whose cells, headings and caption are text: it takes them for HTML otherwise."""
    escaped = table.map(_text).rename(index=_text, columns=_text)
    return escaped.rename_axis(index=_text, columns=_text).style.set_caption(_text(caption))


def condition_text(name: str) -> str:
    """A condition by its name, e.g. "10dB" -> "10 dB"; what is none stays."""
    return re.sub(r"^(-?\d+(?:\.\d+)?)dB$", r"\1 dB", name)


def _text(value: Any) -> Any:
    return html.escape(value, quote=False) if isinstance(value, str) else value
