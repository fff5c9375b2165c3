"""The report's page of tables, read back: of a run on the paper's own clips, and of one that is not."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from nrsed_lib.data.clips import list_digest
from nrsed_lib.evaluate.evidence import Evidence
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.table import table1, with_differences
from nrsed_lib.paths import results_root
from nrsed_lib.profile import load_profile
from nrsed_lib.run.report import write_report
from nrsed_lib.store import write_table
from nrsed_lib.systems import SYSTEMS, systems_of

NAMES = ["a.wav", "b.wav", "c.wav"]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A function: write Table I of a profile, with draws that are known, and the report on it → the page, the draws."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))

    def write(name: str) -> tuple[str, Evidence]:
        profile, rng = load_profile(name), np.random.default_rng(0)
        cells = [(c, s) for c in profile.data.conditions for s in systems_of(profile)]
        about = {s: system.about for s, system in systems_of(profile).items()}
        measured = Evidence({cell: rng.uniform(size=(2, 2, 6)) for cell in cells}, {}, [0, 1], len(NAMES), about, {})
        counts = SimpleNamespace(
            source=profile.data.source, separator=profile.lass.weights or "", clips=list_digest(NAMES)
        )
        table = with_differences(table1(measured), SimpleNamespace(about=counts))
        write_table(results_root() / name / "table1.csv", table)
        return write_report(profile).read_text(), measured

    return write


def table_after(heading: str, page: str) -> list[list[str]]:
    """Cells of the first table below a heading, by rows."""
    (text,) = re.findall(rf"<h2>{heading}</h2>(<table.*?</table>)", page, flags=re.S)
    return [[cell.text or "" for cell in row] for row in ElementTree.fromstring(text).iter("tr")]


def test_ours_minus_the_papers_stands_on_the_page(page):
    text, measured = page("paper")
    (listed,) = pd.read_csv(results_root() / "paper" / "table1.csv")["list_hash"].unique()
    rows = table_after(rf"Ours minus the paper's \(3 clips, list {listed}\)", text)
    conditions = list(load_profile("paper").data.conditions)
    assert rows[0][2:] == conditions and rows[1][2:] == ["P1", "P2"] * 5  # each condition spans two columns
    paper = paper_table().set_index(["system", "condition"])
    body = [row for row in rows if row[0] in set("1234567")]
    assert [row[0] for row in body] == list("1234567"), "systems that the paper does not have can not be compared"
    for system, about, *cells in body:
        assert about == SYSTEMS[system].about
        ours = np.concatenate([measured.psds[c, system][..., 0].mean(0) for c in conditions])  # over seeds
        theirs = paper.loc[[(system, c) for c in conditions], ["psds1", "psds2"]].to_numpy().ravel()
        np.testing.assert_allclose([float(cell) for cell in cells], ours - theirs, atol=5.1e-4)  # three decimals
        assert all(cell[0] in "+-" for cell in cells)


def test_data_that_are_not_the_papers_are_not_compared_with_it(page):
    text, measured = page("smoke")
    assert "minus the paper" not in text
    body = {row[0]: row[1:] for row in table_after("Table I", text)}
    p1, p2 = measured.psds["5dB", "7"][..., 0].mean(0)
    assert body["7"][1] == f"{p1:.3f} / {p2:.3f}"
