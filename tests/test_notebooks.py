"""The committed notebooks: short cells, guarded outputs, the sources of today, and tables that equal results/mini."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nrsed_lib.paths import NOTEBOOKS, REFERENCE
from tools.sources import code, shown

MOST_LINES = 15
GUARD = "nbval-check-output"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
Grid = list[list[str]]  # rows of texts


def cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def tables(cell: dict) -> dict[str, str]:
    """Of a cell tagged "table:<name>=<file>", which tables of results/mini it shows: name in the cell -> file."""
    named = (tag.removeprefix("table:").split("=") for tag in tags(cell) if tag.startswith("table:"))
    return dict(named)


def read(file: str, nudge: int = 0) -> pd.DataFrame:
    """A committed table, its numbers moved by `nudge` halves of their sixth digit: files keep six, cells had all."""
    table = pd.read_csv(REFERENCE / "mini" / file, dtype={"system": str, "row": str})
    for name in table.select_dtypes("float"):
        size = 10.0 ** np.floor(np.log10(table[name].abs().replace(0, np.nan)))
        table[name] += nudge * 0.499e-5 * size.fillna(0)
    texts = table.select_dtypes("object").columns
    return table.assign(**table[texts].fillna(""))  # a text that is empty


class Rows(HTMLParser):
    """The texts of an HTML table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: Grid = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag not in ("th", "td")

    def handle_data(self, text: str) -> None:
        if self.inside:
            self.rows[-1][-1] += text.strip()


def kept(cell: dict) -> Grid:
    """What a committed cell shows: lines of text, then rows of tables."""
    lines = [line for o in cell["outputs"] if o.get("name") == "stdout" for line in "".join(o["text"]).splitlines()]
    html = ["".join(o["data"]["text/html"]) for o in cell["outputs"] if "text/html" in o.get("data", {})]
    return [[line] for line in lines] + [row for text in html for row in Rows(text).rows]


def rendered(cell: dict, names: dict) -> Grid:
    """The same, of the cell's code run on the names given."""
    *body, last = ast.parse(code(cell)).body
    results: list = []
    names = names | {"display": lambda *values: results.extend(values)}
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        exec(compile(ast.Module(body, []), cell["id"], "exec"), names)
        if isinstance(last, ast.Expr):
            results.append(eval(compile(ast.Expression(last.value), cell["id"], "eval"), names))
        else:
            exec(compile(ast.Module([last], []), cell["id"], "exec"), names)
    html = [result._repr_html_() for result in results if result is not None]
    return [[line] for line in text.getvalue().splitlines()] + [row for one in html for row in Rows(one).rows]


def differences(here: Grid, allowed: list[Grid]) -> list[str]:
    """Where a shown text is none of those that the files give (in the order of a table's rows and columns)."""
    given = allowed[0]
    if [len(row) for row in here] != [len(row) for row in given]:
        return [f"{len(here)} rows of {len(here[-1]) if here else 0}, of the files {len(given)} of {len(given[-1])}"]
    return [
        f"row {i} ({' '.join(row[:2])[:60]}), column {j}: shown {text!r}, of the files {given[i][j]!r}"
        for i, row in enumerate(here)
        for j, text in enumerate(row)
        if text not in {grid[i][j] for grid in allowed}
    ]


@pytest.fixture(scope="module", params=PATHS, ids=[path.stem for path in PATHS])
def path(request) -> Path:
    return request.param


def test_cells_are_short(path):
    """At most 15 lines, or a tag "long: <reason>"; imports of the library stand alone."""
    for cell in cells(path):
        nb_lines = len(cell["source"])
        assert nb_lines <= MOST_LINES or any(tag.startswith("long: ") for tag in tags(cell)), (cell["id"], nb_lines)
        nodes = ast.parse(code(cell)).body
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        if any("nrsed_lib" in ast.unparse(node) for node in imports):
            assert len(imports) == len(nodes), f"cell {cell['id']} imports the library and does something else"


def test_outputs_are_guarded(path):
    guarded = [cell for cell in cells(path) if GUARD in tags(cell)]
    assert len(guarded) >= 2
    for cell in guarded:
        assert cell["outputs"] and cell["execution_count"], f"cell {cell['id']} is guarded and shows nothing"


def test_shown_sources_are_those_that_run(path):
    found = list(shown(json.loads(path.read_text())))
    assert found, "a notebook shows the code that its method is"
    for cell, now in found:
        there = ["".join(output["data"]["text/plain"]) for output in cell["outputs"]]
        assert there == [repr(now)], f"cell {cell['id']} shows another source; renew it: python -m tools.sources"


@pytest.fixture
def as_in_a_notebook(monkeypatch):
    """Profile mini; pandas as a kernel begins with, whatever a notebook's cells set."""
    monkeypatch.delenv("NRSED_PROFILE", raising=False)
    with pd.option_context("display.max_colwidth", 50, "display.max_columns", 20):
        yield


def test_shown_tables_are_the_committed_ones(path, as_in_a_notebook):
    tagged = [cell for cell in cells(path) if tables(cell)]
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells(path)[: 3 if tagged else 0]:  # parameters, imports, the run
            exec(code(cell), names)
    for cell in tagged:
        files = tables(cell)
        allowed = [
            rendered(cell, names | {name: read(file, nudge) for name, file in files.items()}) for nudge in (0, -1, 1)
        ]
        wrong = differences(kept(cell), allowed)
        assert not wrong, f"{path.name}, cell {cell['id']}, {', '.join(files.values())}:\n" + "\n".join(wrong)


def test_every_table_of_the_systems_is_shown():
    """The tables that the paper's claims and ours rest on."""
    files = {file for path in PATHS for cell in cells(path) for file in tables(cell).values()}
    assert files >= {
        "table1.csv", "claims.csv", "recall.csv", "separation.csv", "task9.csv", "captions.csv", "opensep.csv",
        "opensep_claims.csv", "language.csv", "language_claims.csv", "language_recall.csv",
    }  # fmt: skip


def test_a_stale_number_is_named():
    table = pd.DataFrame({"system": ["#7"], "recall": [0.7125]})
    html = table.round(3).to_html()
    stale = Rows(html.replace("0.712", "0.715")).rows
    assert differences(Rows(html).rows, [Rows(html).rows]) == []
    assert differences(stale, [Rows(html).rows]) == ["row 1 (0 #7), column 2: shown '0.715', of the files '0.712'"]
    assert differences([["one"]], [[["one"], ["two"]]]) == ["1 rows of 1, of the files 2 of 1"]
