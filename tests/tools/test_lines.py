"""The count of the library's lines: what is counted, and that no number of it is typed by hand."""

import re

from nrsed_lib.paths import ROOT
from tools.lines import library_files, lines_of, paper_files, room


def test_what_notebooks_of_the_paper_import_is_followed():
    mini, paper = paper_files("mini"), paper_files("paper")
    assert mini < library_files()
    assert {"nrsed_lib/sed/mean_teacher.py", "nrsed_lib/data/synth/voices.py", "nrsed_lib/plots/results.py"} <= mini
    named = {"nrsed_lib/data/desed/prepare.py", "nrsed_lib/sed/encoders/beats.py", "nrsed_lib/lass/clap.py"}
    assert named <= paper - mini, "what a profile names is counted with that profile alone"
    assert not {room(file) for file in mini} & {"studies", "convert", "run"}


def test_lines_are_those_of_the_files():
    path = "nrsed_lib/paths.py"
    assert lines_of({path}) == {path: (ROOT / path).read_text().count("\n")}


def test_no_number_of_lines_is_typed_by_hand():
    """`python -m tools.lines` prints it; a number in a text would be wrong after the next commit."""
    for path in (p for pattern in ("*.md", "docs/*.md") for p in ROOT.glob(pattern)):
        assert not re.search(r"\d[\d,]*\d\s+lines", path.read_text()), path.name
