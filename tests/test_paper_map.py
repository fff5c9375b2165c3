"""PAPER.md, the map from the sources to the code: all that it names is there, and its numbers are the profiles'."""

from __future__ import annotations

import ast
import functools
import json
import re
from typing import Any, NamedTuple

import pytest
import yaml

from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import load_profile

PROFILES = ("mini", "open", "paper")
CODE = re.compile(r"`([\w/]+\.py):([\w.]+)(?: = ([^`]+))?`")  # file:name, and a constant's value
LINK = re.compile(r"\[`([\w/]+\.py):[\w.]+`\]\(([^)]*)\)")
SETTING = re.compile(r"`(len\()?([a-z][\w.]*)\)? = ([^`]+)`")  # key = value (profiles), value (profiles)
VALUE = re.compile(r"(.+?) \(([a-z, ]+)\)(?:, |$)")
OVERRIDE = re.compile(r"`([a-z_]+(?:\.\w+)+)=([\w-]+)`")
SECTION = re.compile(r"\[(\d\d)\]\(([^)]*)\) ([^|]+)")  # of a notebook
PATH = re.compile(r"`((?:data|tests|notebooks|results|nrsed_lib)/[^`:]*)`")

COLUMNS = {"Find it in a minute": 3, "What no source has": 5}  # else six

# What a source has that a row has to be about, and how many rows there are at least.
COMPLETE = {
    "The paper": (
        60,
        "Eq. 1:|Eq. 2:|Eq. 3:|Eq. 4:|Eq. 5:|Fig. 1|Fig. 2|Table I:|II-A|II-B|II-C|III-A|III-B|III-C|IV-A|IV-B|IV-C",
    ),
    "DCASE 2024 task 9": (20, "Fig. 1|FSD50K|Clotho|-15 to 15 dB|SDR|REL and OVL|200,000 steps|5.708"),
    "Caption augmentation": (12, "several captions|prompts|5.70|8.61|validation set"),
    "OpenSep": (
        25,
        "Fig. 1|Fig. 2|Fig. 3|Figs. 4, 5, 6|Fig. 7|Tables 1 and 2|Table 3|Table 4|Table 5|Table 6|Table 7|Table 8|"
        "Table 9|3.1|3.2|3.3|3.4|4.1|4.2|4.3|A.1|A.2|A.3|A.4|A.5",
    ),
}


class Row(NamedTuple):
    """A row of a table. source: the heading "## …" it stands under; cells: in the order of the columns."""

    source: str
    cells: list[str]

    @property
    def text(self) -> str:
        return " | ".join(self.cells)


def rows_of(markdown: str) -> list[Row]:
    """All rows but the heads of tables."""
    source, found, head = "", [], True
    for line in markdown.splitlines():
        if line.startswith("## "):
            source = line.removeprefix("## ").strip()
        if not line.startswith("|"):
            head = True
        elif set(line) <= set("|-: "):
            head = False
        elif not head:
            found.append(Row(source, [cell.strip() for cell in line.strip().strip("|").split("|")]))
    return found


@functools.cache
def module(file: str) -> ast.Module | None:
    path = ROOT / "nrsed_lib" / file
    return ast.parse(path.read_text()) if path.is_file() else None


def definition(file: str, dotted: str) -> ast.AST | None:
    """The function, class, method or assignment of that name."""
    here: Any = module(file)
    for name in dotted.split("."):
        here = next((node for node in getattr(here, "body", ()) if name in names_of(node)), None)
    return here


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def code_faults(text: str) -> list[str]:
    """Names that are not in the code, constants of another value, links to another file."""
    faults = [f"the link of {file} goes to {link}" for file, link in LINK.findall(text) if link != f"nrsed_lib/{file}"]
    for file, name, stated in CODE.findall(text):
        node: Any = definition(file, name)
        if node is None:
            faults.append(f"nrsed_lib/{file} has no {name}" if module(file) else f"no file nrsed_lib/{file}")
        elif stated and ast.literal_eval(node.value) != yaml_or_tuple(stated):
            faults.append(f"{file}:{name} is {ast.unparse(node.value)}, not {stated}")
    return faults


def yaml_or_tuple(text: str) -> Any:
    return ast.literal_eval(text) if text.startswith("(") else yaml.safe_load(text)


@functools.cache
def settings(profile: str) -> dict[str, Any]:
    return load_profile(profile).model_dump(mode="json")


def setting(profile: str, key: str) -> Any:
    """The value of a dotted key; numbers are places in a list. Raises an error where there is none."""
    here: Any = settings(profile)
    for name in key.split("."):
        here = here[int(name) if isinstance(here, list) else name]
    return here


def setting_faults(text: str) -> list[str]:
    """Keys that no profile has, and values that are not the profile's."""
    faults = []
    for length, key, stated in SETTING.findall(text):
        values = VALUE.findall(stated)
        if not values or "".join(VALUE.sub("", stated)):
            faults.append(f"`{key} = {stated}` is not `key = value (profiles), …`")
        for value, named in values:
            for profile in PROFILES if named == "all" else named.split(", "):
                try:
                    found = setting(profile, key)
                except (LookupError, TypeError, ValueError):
                    faults.append(f"{profile}.yaml has no {key}")
                    continue
                if (len(found) if length else found) != yaml.safe_load(value):
                    faults.append(f"{profile}.yaml: {key} is {len(found) if length else found}, not {value}")
    for key, value in OVERRIDE.findall(text):
        try:
            load_profile("mini" if key.startswith("studies.") else "paper", {key: value})
        except ProfileError as error:
            faults.append(str(error))
    spans = [span for span in re.findall(r"`[^`]*`", text) if " = " in span]
    unread = [span for span in spans if not CODE.match(span) and not SETTING.match(span)]
    return faults + [f"{span} is neither a setting nor a constant" for span in unread]


@functools.cache
def headings(notebook: str) -> frozenset[str]:
    cells = json.loads((ROOT / notebook).read_text())["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in "".join(cell["source"]).split("\n")]
    return frozenset(line.lstrip("#").strip() for line in lines if line.startswith("#"))


def notebook_faults(text: str) -> list[str]:
    faults = []
    for number, link, heading in SECTION.findall(text):
        if not (ROOT / link).is_file() or not link.startswith(f"notebooks/{number}_"):
            faults.append(f"[{number}] goes to {link}, which is no notebook of that number")
        elif heading.strip() not in headings(link):
            faults.append(f"{link} has no heading {heading.strip()!r}")
    return faults


def path_faults(text: str) -> list[str]:
    return [f"no file or folder {path}" for path in PATH.findall(text) if not (ROOT / path).exists()]


def faults_of(text: str) -> list[str]:
    return [*code_faults(text), *setting_faults(text), *notebook_faults(text), *path_faults(text)]


MAP = (ROOT / "PAPER.md").read_text()
ROWS = rows_of(MAP)
OF_SOURCES = [row for row in ROWS if re.fullmatch(r"[A-Z]\d+", row.cells[0])]


def test_all_that_the_map_names_is_there() -> None:
    lines = [(f"line {number}", line) for number, line in enumerate(MAP.splitlines(), 1)]
    named = {row.text: f"row {row.cells[0]}" for row in ROWS}
    faults = [
        f"PAPER.md, {named.get(line.strip().strip('|').strip(), where)}: {fault}"
        for where, line in lines
        for fault in faults_of(line)
    ]
    assert not faults, "\n".join(faults)


def test_every_row_has_code_and_a_section_of_a_notebook() -> None:
    for row in ROWS:
        assert len(row.cells) == COLUMNS.get(row.source, 6), f"row {row.cells[0]} has {len(row.cells)} cells"
        assert all(row.cells), f"row {row.cells[0]} has an empty cell"
        assert CODE.search(row.cells[-2]), f"row {row.cells[0]} names no code"
        assert SECTION.search(row.cells[-1]), f"row {row.cells[0]} names no section of a notebook"


def test_rows_are_numbered() -> None:
    by_letter: dict[str, list[int]] = {}
    for row in OF_SOURCES:
        by_letter.setdefault(row.cells[0][0], []).append(int(row.cells[0][1:]))
    assert {letter: list(range(1, len(found) + 1)) for letter, found in by_letter.items()} == by_letter
    for letter, number in re.findall(r"\(([PTCOB])(\d+)", MAP):  # "(T10)": one row refers to another
        assert int(number) in by_letter[letter], f"there is no row {letter}{number}"


@pytest.mark.parametrize("source", COMPLETE)
def test_a_source_is_complete(source: str) -> None:
    least, parts = COMPLETE[source]
    said = [row.cells[1] for row in OF_SOURCES if row.source == source]
    assert len(said) >= least
    assert not [part for part in parts.split("|") if not any(part in sentence for sentence in said)]


@pytest.mark.parametrize("sentence", ["the mean of the tracks", "the student's moving average", "ends at -10 dB"])
def test_what_is_asked_most_is_in_the_index(sentence: str) -> None:
    assert any(sentence in row.cells[0] for row in ROWS if row.source == "Find it in a minute")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`lass/remix.py:mix_again`", "nrsed_lib/lass/remix.py has no mix_again"),
        ("`sed/finetuning.py:NoisyEar.see`", "nrsed_lib/sed/finetuning.py has no NoisyEar.see"),
        ("`sed/nowhere.py:see`", "no file nrsed_lib/sed/nowhere.py"),
        ("`evaluate/roc.py:MAX_EFPR = 50.0`", "evaluate/roc.py:MAX_EFPR is 100.0, not 50.0"),
        ("[`lass/remix.py:remix`](nrsed_lib/lass/text.py)", "the link of lass/remix.py goes to nrsed_lib/lass/text.py"),
        ("`sed.median_frames = 5 (mini)`", "mini.yaml: sed.median_frames is 7, not 5"),
        ("`sed.nothing = 5 (paper)`", "paper.yaml has no sed.nothing"),
        ("`sed.median_frames = 7`", "`sed.median_frames = 7` is not `key = value (profiles), …`"),
        ("`What is this = 7`", "`What is this = 7` is neither a setting nor a constant"),
        ("[04](notebooks/04_curriculum_finetuning.ipynb) Nowhere", "notebooks/04_curriculum_finetuning.ipynb has no"),
        ("[04](notebooks/05_lass_model.ipynb) The network", "[04] goes to notebooks/05_lass_model.ipynb"),
        ("`data/nothing.csv`", "no file or folder data/nothing.csv"),
    ],
)
def test_a_fault_is_found(text: str, fault: str) -> None:
    (found,) = faults_of(text)
    assert found.startswith(fault)
