"""The executed notebooks for readers: HTML with an index page, and outputs in notebooks/ for those who only look."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pandas as pd

from nrsed_lib.evaluate.difference import differences
from nrsed_lib.paths import results_root
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import NOTEBOOKS, all_jobs, executed, index_page
from nrsed_lib.series import SERIES
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
    for stage, seed in all_jobs(profile):
        notebook = executed(profile, stage, seed)
        if not notebook.exists():
            continue
        page = index.parent / f"{notebook.stem}.html"
        if not page.exists() or page.stat().st_mtime < notebook.stat().st_mtime:
            with atomic(page) as temporary:
                temporary.write_text(exporter.from_filename(str(notebook))[0])
        rows.append(f'<li><a href="{page.name}">{html.escape(notebook.stem)}</a>: {html.escape(title(notebook))}</li>')
    tables = results_root() / profile.name
    parts = [f"<h1>nrsed, profile {profile.name}</h1>", "<h2>Notebooks</h2><ul>", *rows, "</ul>"]
    if (tables / "table1.csv").exists():
        parts += ["<h2>Table I</h2>", table1(profile).to_html()]
        scores = every_score(tables)
        if "list_hash" in scores:  # on the paper's own clips
            about = f"{scores['nb_clips'].iloc[0]} clips, list {scores['list_hash'].iloc[0]}"
            parts += [f"<h2>Ours minus the paper's ({about})</h2>", differences(scores).to_html()]
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


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    for cell in json.loads(notebook.read_text())["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("#"):
                return line.lstrip("# ")
    return notebook.stem


def every_score(tables: Path) -> pd.DataFrame:
    """What notebook 07 wrote of its systems and, where it ran, notebook 12 of those beyond them: a row a system,
    condition and seed."""
    first = pd.read_csv(tables / "table1.csv", dtype={"system": str})
    if not (tables / "language.csv").exists():
        return first
    more = pd.read_csv(tables / "language.csv", dtype={"system": str})
    return pd.concat([first, more[~more["system"].isin(first["system"])]], ignore_index=True)


def table1(profile: Profile) -> pd.DataFrame:
    """PSDS1 / PSDS2 by system and condition, the mean over seeds."""
    table = every_score(results_root() / profile.name)
    mean = table.pivot_table(index="system", columns="condition", values=["psds1", "psds2"])
    text = pd.DataFrame(mean["psds1"]).map("{:.3f}".format) + " / " + pd.DataFrame(mean["psds2"]).map("{:.3f}".format)
    return text.reindex(index=table["system"].unique(), columns=list(profile.data.conditions))


def show(profile: Profile) -> None:
    """Print Table I and where the report is."""
    if (results_root() / profile.name / "table1.csv").exists():
        nb_seeds = len(profile.seeds)
        print(f"\nTable I on profile {profile.name}, PSDS1 / PSDS2, {nb_seeds} seed{'s' if nb_seeds > 1 else ''}\n")
        print(table1(profile).to_string())
    if index_page(profile).exists():
        print(f"\nreport: {index_page(profile)}")


def publish(profile: Profile) -> list[Path]:
    """Copy the outputs of the first seed's executed notebooks into notebooks/; cells stay as they are.

    Raises ValueError for profiles of real recordings, whose outputs stay out of the repository.
    """
    if profile.data.source != "synth":
        raise ValueError(f"profile {profile.name}: only outputs of synthesised data are published")
    written = []
    for stage, spec in SERIES.items():
        target, ran = NOTEBOOKS / f"{spec.name}.ipynb", executed(profile, stage, profile.seeds[0])
        notebook, run = json.loads(target.read_text()), json.loads(ran.read_text())
        outputs = {c["id"]: c for c in run["cells"] if c["cell_type"] == "code"}
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code" and cell["id"] in outputs:
                done = outputs[cell["id"]]
                cell["outputs"], cell["execution_count"] = done["outputs"], done["execution_count"]
        with atomic(target) as temporary:
            temporary.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        written.append(target)
    return written
