"""Pages in which nothing is alive: no script, nothing from the network, and text from elsewhere is text.

Words of models, names of files, messages and table cells come from elsewhere; so does what an executed notebook shows.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import bleach
import nbformat
from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer
from markupsafe import Markup
from matplotlib.mathtext import math_to_image
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets.config import Config

from nrsed_lib.errors import reading

# What a page may load: pictures and sounds that lie in it, and the figures beside it (`file:`, since some browsers take
# no file on a disk for 'self'). Styles stand in the pages. Nothing else: no frame, form, request or script, not even
# one of ours (formulas are drawn when the page is made, so that MathJax, which is on the network, is not needed).
POLICY = (
    "default-src 'none'; img-src 'self' file: data:; media-src data:; font-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
META = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
STYLE = Markup(
    """body{font:16px/1.55 system-ui,sans-serif;max-width:62rem;margin:2.5rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-size:14px}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}img{max-width:100%}a{color:#0b57a4}"""
)
PAGE = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">' + META + "<title>{title}</title>"
    "<style>{style}</style></head><body>{body}</body></html>\n"
)
# nbconvert's page without its scripts (require.js, MathJax, mermaid, widgets), all of them from the network.
TEMPLATE = (
    "{% extends 'lab/index.html.j2' %}{% block html_head %}"
    + META
    + "{{ super() }}{% endblock %}"
    + "".join(
        f"{{% block {name} %}}{{% endblock %}}"
        for name in ("html_head_js", "html_head_js_mathjax", "html_head_js_mermaidjs", "jupyter_widgets")
    )
)
# Kinds of outputs, of which the first counts. Not among them: JavaScript, widgets (scripts show them), bare SVG.
SHOWN = ["text/html", "text/markdown", "image/png", "image/jpeg", "text/latex", "text/plain"]

TAGS = bleach.ALLOWED_TAGS | {
    "audio", "br", "caption", "dd", "del", "details", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "img", "kbd", "p", "pre", "s", "source", "span", "sub", "summary", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "u",
}  # fmt: skip
ATTRIBUTES = {"alt", "class", "colspan", "controls", "id", "open", "rowspan", "scope", "start", "title"}
VALUES = {  # how those of other attributes begin; `//` would be a place on the network
    ("a", "href"): r"https?://|#|(?!//)[\w./%-]+([?#]|$)",
    ("audio", "src"): "data:audio/ogg;base64,",
    ("source", "src"): "data:audio/(ogg|wav);base64,",  # IPython's own player
    ("img", "src"): "data:image/(png|jpeg|svg[+]xml);base64,",  # scripts in an image are never run
    "style": r"[^(\\@]*$",  # no url(…)
}
PROTOCOLS = {"http", "https", "data"}
# pandas' Styler writes one sheet of rules for the cells of its own table; a frame's own table needs none.
OF_STYLER = re.compile(r'\s*<style type="text/css">\s*(#T_[\w\s,#.:-]*\{[\w\s:;,.#%!-]*\}\s*)*</style>')
OF_FRAME = re.compile(r"<style scoped>[^<]*</style>")


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page; of `title` and `parts`, what is no `Markup` is text."""
    return str(PAGE.format(title=title, style=STYLE, body=Markup("").join(parts)))


def harmless(html: Any) -> str:
    """HTML with the elements and attributes of text, tables, pictures and our players; all else shows as it is written.

    nbconvert's own way to sanitise (its filter `clean_html`, in whose place this one stands) has no lists, heads of
    tables, headings, pictures, styles or sounds.
    """
    text = html.decode() if isinstance(html, bytes) else str(html)
    sheet = OF_STYLER.match(text)
    rest = OF_FRAME.sub("", text[sheet.end() if sheet else 0 :])
    styles = CSSSanitizer(ALLOWED_CSS_PROPERTIES | {"background", "padding"})
    return (sheet[0] if sheet else "") + bleach.clean(rest, TAGS, _allowed, PROTOCOLS, css_sanitizer=styles)


def _allowed(tag: str, name: str, value: str) -> bool:
    return name in ATTRIBUTES or bool((right := VALUES.get((tag, name), VALUES.get(name))) and re.match(right, value))


class _Drawn(IPythonRenderer):
    """Markdown whose formulas are pictures; one that matplotlib cannot draw stays as it is written."""

    def inline_math(self, body: str) -> str:
        tex, file = f"${body.strip()}$", io.BytesIO()
        text = self.escape_html(tex).replace('"', "&quot;")
        try:
            depth = math_to_image(tex.replace("\n", " "), file, format="svg")
        except ValueError:
            return f"<code>{text}</code>"
        source = base64.b64encode(file.getvalue()).decode()
        return f'<img alt="{text}" style="vertical-align:-{depth:.0f}pt" src="data:image/svg+xml;base64,{source}">'

    def block_math(self, body: str) -> str:
        return f'<span style="display:block;text-align:center">{self.inline_math(body)}</span>'


@cache
def _exporter() -> HTMLExporter:
    def markdown(source: str) -> str:
        return MarkdownWithMath(renderer=_Drawn(escape=False)).render(source)

    chosen = Config({"NbConvertBase": {"display_data_priority": SHOWN}})
    exporter = HTMLExporter(chosen, raw_template=TEMPLATE, sanitize_html=True)
    exporter.register_filter("clean_html", harmless)
    exporter.register_filter("markdown2html", markdown)
    return exporter


def read_notebook(path: Path) -> NotebookNode:
    """An executed notebook that is a valid one. Raises DataError naming one that is not."""
    with reading(path):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        return notebook


def notebook_page(notebook: NotebookNode, name: str) -> str:
    """A notebook as a page. What it says of itself is left out: the template puts tags and sizes in as they are."""
    notebook.metadata = NotebookNode(language_info={"name": "ipython", "pygments_lexer": "ipython3"})
    for part in (part for cell in notebook.cells for part in (cell, *cell.get("outputs", []))):
        part.update({"metadata": {}} if "metadata" in part else {})
    return _exporter().from_notebook_node(notebook, {"metadata": {"name": name}})[0]


def title(notebook: NotebookNode, otherwise: str) -> str:
    """Its first heading."""
    lines = (line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), otherwise)
