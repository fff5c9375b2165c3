"""Renews the sources that notebooks show, after an edit of the library: `python -m tools.sources` (seconds)."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nrsed_lib.paths import NOTEBOOKS
from nrsed_lib.plots.source import Shown
from nrsed_lib.store import write_json

SHOWS = "show_source("  # what such a cell begins with; it is one expression


def code(cell: dict) -> str:
    """A code cell without its magics."""
    return "".join(line for line in cell["source"] if not line.startswith(("%", "!")))


def imported(notebook: dict) -> dict[str, Any]:
    """The names that the imports of a notebook bind."""
    cells = [ast.parse(code(cell)) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    imports: list[ast.stmt] = [
        node for cell in cells for node in cell.body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(imports, []), "imports", "exec"), names)
    return names


def shown(notebook: dict) -> Iterator[tuple[dict, Shown]]:
    """Each cell that shows sources, and what it would show now. Raises NameError or AttributeError for what is gone."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and code(cell).startswith(SHOWS)]
    names = imported(notebook) if cells else {}
    for cell in cells:
        yield cell, eval(code(cell), names)


def renew(path: Path) -> int:
    """Put the sources of today into a notebook's outputs; returns how many were others."""
    notebook, changed = json.loads(path.read_text()), 0
    for cell, now in shown(notebook):
        data = {"text/html": now._repr_html_(), "text/plain": repr(now)}
        cell["execution_count"] = cell["execution_count"] or 1  # without a number nbval takes it for never run
        output = {
            "data": {kind: text.splitlines(keepends=True) for kind, text in data.items()},
            "execution_count": cell["execution_count"],
            "metadata": {},
            "output_type": "execute_result",
        }
        changed += cell["outputs"] != [output]
        cell["outputs"] = [output]
    if changed:
        write_json(path, notebook)
    return changed


if __name__ == "__main__":
    for notebook_path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(f"{notebook_path.name}: {renew(notebook_path)} renewed")
