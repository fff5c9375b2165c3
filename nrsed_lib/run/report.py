"""A run for readers: HTML with an index page, and what a terminal shows in the end."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from nrsed_lib.artefacts import job_name, shown_folder
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.table import differences
from nrsed_lib.profile import Profile
from nrsed_lib.run.compare import Comparison, compare
from nrsed_lib.run.jobs import all_jobs, executed, index_page, state
from nrsed_lib.series import STUDIES
from nrsed_lib.store import atomic

STYLE = """body{font:16px/1.55 system-ui,sans-serif;max-width:62rem;margin:2.5rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-size:14px}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}img{max-width:100%}a{color:#0b57a4}"""


def write_report(profile: Profile) -> Path:
    """Every executed notebook as a page of its own, with pictures inside, and an index of them.

    Returns the index page, which is written last.
    """
    from nbconvert import HTMLExporter

    index = index_page(profile)
    exporter = HTMLExporter()
    rows = []
    for job in all_jobs(profile):
        notebook = executed(profile, *job)
        if not notebook.exists():
            continue
        page = index.parent / f"{(name := job_name(*job))}.html"
        if not page.exists() or page.stat().st_mtime < notebook.stat().st_mtime:
            with atomic(page) as temporary:
                temporary.write_text(exporter.from_filename(str(notebook))[0])
        rows.append(f'<li><a href="{page.name}">{html.escape(name)}</a>: {html.escape(title(notebook))}</li>')
    tables = shown_folder(profile)
    parts = [f"<h1>nrsed, profile {profile.name}</h1>", "<h2>Notebooks</h2><ul>", *rows, "</ul>"]
    if (tables / "table1.csv").exists():
        scores = every_score(tables)
        parts += ["<h2>Table I</h2>", as_printed(profile, scores).to_html()]
        if "list_hash" in scores:  # on the paper's own clips
            about = f"{scores['nb_clips'].iloc[0]} clips, list {scores['list_hash'].iloc[0]}"
            parts += [f"<h2>Ours minus the paper's ({about})</h2>", differences(scores).to_html()]
    if (found := compare(profile)) is not None:
        parts += ["<h2>Beside the committed results</h2>", *_compared(found)]
    ledgers = {"claims.csv": "The paper's claims on this data", "language_claims.csv": "Claims on #8 to #10"}
    for file, heading in ledgers.items():
        if (tables / file).exists():
            claims = pd.read_csv(tables / file)
            parts += [f"<h2>{heading}</h2>", claims.to_html(index=False, float_format=lambda v: f"{v:.3f}")]
    figures = sorted((tables / "figures").glob("*.png"))
    parts += ["<h2>Figures</h2>"] if figures else []
    parts += [
        f'<figure><img src="../figures/{f.name}" alt="{f.stem}"><figcaption>{f.stem}</figcaption></figure>'
        for f in figures
    ]
    if (tables / "run.json").exists():
        parts += ["<h2>How this was made</h2><pre>", html.escape((tables / "run.json").read_text()), "</pre>"]
    with atomic(index) as temporary:
        temporary.write_text(
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nrsed: {profile.name}</title>'
            f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
        )
    return index


def _compared(found: Comparison) -> Iterator[str]:
    """How many cells and verdicts agree, which do not, and every cell of Table I."""
    yield f"<p>{html.escape(found.about)}</p>"
    for key, (ours, theirs) in found.differ.items():
        yield f"<p>not compared with other settings: {html.escape(f'{key} is {ours!r}, not {theirs!r}')}</p>"
    for table in (found.summary(), found.otherwise()):
        yield table.to_html(index=False) if len(table) else ""
    if len(found.cells):
        within = found.cells.pivot_table(index="system", columns="condition", values="within", aggfunc=["sum", "count"])
        shown = pd.DataFrame(within["sum"]).astype(int).astype(str) + " of " + pd.DataFrame(within["count"]).astype(str)
        yield shown.to_html()


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    for cell in json.loads(notebook.read_text())["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("#"):
                return line.lstrip("# ")
    return notebook.stem


def every_score(tables: Path) -> pd.DataFrame:
    """What the run has of the paper's systems and, where that study ran, of those beyond them: a row a system,
    condition and seed."""
    first = pd.read_csv(tables / "table1.csv", dtype={"system": str})
    if not (tables / "language.csv").exists():
        return first
    more = pd.read_csv(tables / "language.csv", dtype={"system": str})
    return pd.concat([first, more[~more["system"].isin(first["system"])]], ignore_index=True)


def as_printed(profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    """A row a system, a column a condition."""
    mean = table.pivot_table(index="system", columns="condition", values=["psds1", "psds2"])
    text = pd.DataFrame(mean["psds1"]).map("{:.3f}".format) + " / " + pd.DataFrame(mean["psds2"]).map("{:.3f}".format)
    return text.reindex(index=table["system"].unique(), columns=list(profile.data.conditions))


def show(profile: Profile) -> None:
    """Print the paper's seven systems, the run beside the committed results, where the report is, and what is next."""
    file = shown_folder(profile) / "table1.csv"
    if file.exists():
        scores = pd.read_csv(file, dtype={"system": str})
        the_papers = scores[scores["system"].isin(paper_table()["system"])]
        nb_seeds = len(profile.seeds)
        print(f"\nTable I on profile {profile.name}, PSDS1 / PSDS2, {nb_seeds} seed{'s' if nb_seeds > 1 else ''}\n")
        print(as_printed(profile, the_papers).to_string())
    if (found := compare(profile)) is not None:
        print(f"\n{found.text()}")
    if index_page(profile).exists():
        print(f"\nreport: {index_page(profile)}")
    if following := next_of(profile):
        print(f"next: {following}")


def next_of(profile: Profile) -> str:
    """What a reader may run after this; "" after everything."""
    if profile.studies and any(state(profile, *job) != "done" for job in all_jobs(profile)):
        named = "" if profile.name == "mini" else f" PROFILE={profile.name}"
        return f"`make studies{named}` runs the separation studies (notebooks {STUDIES[0]} to {STUDIES[-1]})"
    return "`make open` runs the same on real recordings" if profile.name == "mini" else ""
