"""The README, the pages beside the results, and docs: made of the committed tables, short, and without dead ends."""

import json
import re

import pandas as pd
import pytest

from nrsed_lib.paths import REFERENCE, ROOT
from tools.findings import difference, findings, refreshed
from tools.markdown import table
from tools.pages import page, pages, write_pages

README = ROOT / "README.md"
MADE = pages()
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("data/**/README.md")), *MADE]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M)


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MADE, ids=name)
def test_a_page_is_what_the_committed_tables_say(path):
    assert path.read_text() == MADE[path], f"{name(path)} is stale: `nrsed publish` makes it again"


def test_the_readme_tells_what_the_committed_tables_say():
    assert README.read_text() == refreshed(README.read_text(), REFERENCE), "stale: `nrsed publish` tells it again"


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150


def test_two_commands_set_up_and_they_exist():
    (first, *_) = re.findall(r"```sh\n(.*?)```", README.read_text(), flags=re.S)
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make reproduce", "make test"]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_target_of_make_exists(path):
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(), flags=re.M)) <= set(TARGETS)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"\w+:", link):
            continue
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name(path)} links to {link}"
        if heading:
            anchors = [anchor(line) for line in re.findall(r"^#+ (.*)$", target.read_text(), flags=re.M)]
            assert heading in anchors, f"{name(path)} links to {link}, of {anchors}"


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_command_of_nrsed_exists(path):
    from typer.main import get_command

    from nrsed_lib.run.cli import app

    for line in re.findall(r"(?:^|`|… )nrsed ([a-z][a-z0-9 ]*)", path.read_text(), flags=re.M):
        first, *more = line.split()
        command = get_command(app).commands[first]
        if hasattr(command, "commands") and more:
            assert more[0] in command.commands, line


def test_every_row_is_on_the_page_with_its_name_and_numbers():
    for folder in (path.parent for path in REFERENCE.glob("*/table1.csv")):
        text = page(folder)
        for file in ("table1.csv", "language.csv"):
            for row in pd.read_csv(folder / file, dtype=str).to_dict("records"):
                assert f"| #{row['system']} | {row['about']} |" in text
        for file in ("claims.csv", "language_claims.csv"):
            for row in pd.read_csv(folder / file).to_dict("records"):
                (line,) = [one for one in text.splitlines() if one.startswith(f"| {row['claim']} |")]
                assert f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" in line
                assert f"**{row['verdict']}**" in line


@pytest.fixture
def results(tmp_path):
    """A copy of the results of `open` that may be changed: the folder of all profiles."""
    (tmp_path / "open").mkdir()
    for file in ("claims.csv", "table1.csv", "run.json"):
        (tmp_path / "open" / file).write_text((REFERENCE / "open" / file).read_text())
    return tmp_path


def test_the_sentences_follow_the_tables(results):
    """Other numbers, other sentences: nothing in them is typed."""
    folder = results / "open"
    claims = pd.read_csv(folder / "claims.csv")
    of = claims.better.eq("#7") & claims.worse.eq("#5") & claims.statistic.eq("P1+P2")
    claims.loc[of, ["value", "low", "high", "verdict"]] = [0.2, 0.1, 0.3, "holds"]
    of = claims.better.eq("#7") & claims.worse.eq("#7-direct")
    claims.loc[of, ["value", "low", "high", "verdict"]] = [0.111, 0.011, 0.211, "holds"]
    claims.to_csv(folder / "claims.csv", index=False)
    told = findings(results)
    assert "the route over that detector +0.111 [+0.011, +0.211] (holds)" in told
    assert "(#7 over #5) +0.200 [+0.100, +0.300] (holds; the paper's +0.194 is inside)" in told


def test_what_no_ledger_compares_is_not_told(results):
    claims = pd.read_csv(results / "open" / "claims.csv")
    with pytest.raises(KeyError, match=r"no P1\+P2 of #7 and #1"):
        difference(claims[claims.worse != "#1"], "#7", "#1")


def test_pages_are_written_whole(results):
    readme = results / "README.md"
    readme.write_text(
        "before\n<!-- findings -->\ntold before\n<!-- end -->\nbetween\n<!-- costs -->\n<!-- end -->\nafter\n"
    )
    assert write_pages(results, readme) == [results / "open" / "README.md", readme]
    told = readme.read_text()
    assert (
        told.startswith("before\n") and "between\n" in told and told.endswith("after\n") and "told before" not in told
    )
    write_pages(results, readme)
    assert readme.read_text() == told, "telling it twice changes nothing"


def test_no_path_of_a_machine_is_on_a_page():
    for path in PAGES:
        assert not re.search(r"(?<![\w.])/(?:home|work|tmp|root)/", path.read_text()), path


def test_a_table_leaves_out_empty_columns_and_escapes_bars():
    assert table(["a", "b", "c"], [[1, "", "x|y"], ["", "", 0]]) == "| a | c |\n| --- | --- |\n| 1 | x\\|y |\n|  | 0 |"


def test_what_a_run_took_and_was_made_of_is_told_where_it_is_known(results):
    file = results / "open" / "run.json"
    assert "CPU time" not in page(results / "open")
    made = json.loads(file.read_text())
    made["runs"][0] |= {"cpu_seconds": 600, "trees": {"nrsed_lib": "0123456789", "data": "abcdefghij"}}
    file.write_text(json.dumps(made))
    (line,) = [
        one for one in page(results / "open").splitlines() if one.startswith(f"| `{made['runs'][0]['command']}` |")
    ]
    assert "10.0 min" in line and "<sub>nrsed_lib 0123456, data abcdefg</sub>" in line
