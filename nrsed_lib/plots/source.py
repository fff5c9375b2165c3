"""The library's own source, shown in a notebook beside what it computes: the function that runs, never a copy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from textwrap import dedent
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from nrsed_lib.paths import ROOT


@dataclass(frozen=True)
class Shown:
    """Functions, methods or classes as a notebook shows them: text, or HTML that folds.

    Styles stand in the elements themselves, since pages that strip style sheets (GitHub) leave readable code then.
    """

    parts: tuple[Any, ...]
    folded: bool

    def __repr__(self) -> str:
        return "\n\n".join(f"# {place(part)}\n{source(part)}" for part in self.parts)

    def _repr_html_(self) -> str:
        opened = "" if self.folded else " open"
        formatter = HtmlFormatter(noclasses=True, cssstyles="padding:.4em .8em;overflow:auto")
        return "\n".join(
            f"<details{opened}><summary><b>{escape(part.__qualname__)}</b> <code>{escape(place(part))}</code>"
            f"</summary>\n{highlight(source(part), PythonLexer(), formatter)}</details>"
            for part in self.parts
        )


def show_source(*parts: Callable | type, folded: bool = False) -> Shown:
    """The source of functions, methods or classes, for the last line of a cell; `folded`: closed until clicked.

    Raises TypeError for what was not written in Python, and OSError where its file is not there.
    """
    for part in parts:
        source(part)
    return Shown(parts, folded)


def source(part: Any) -> str:
    """From the first decorator to the last line, at no indentation, without a newline at the end."""
    return dedent(inspect.getsource(part)).rstrip("\n")


def place(part: Any) -> str:
    """File and first line, e.g. "nrsed_lib/sed/augment.py:20"; of a decorated function, those of what it wraps."""
    file = Path(inspect.getfile(inspect.unwrap(part))).resolve()
    name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.name
    return f"{name}:{inspect.getsourcelines(part)[1]}"
