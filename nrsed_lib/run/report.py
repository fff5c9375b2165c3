"""A run for readers: HTML with an index page, and what a terminal shows in the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from nrsed_lib.artefacts import job_name, shown_folder
from nrsed_lib.errors import UserError, reading
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.table import differences
from nrsed_lib.profile import Profile
from nrsed_lib.run.compare import Comparison, compare, read_scores
from nrsed_lib.run.jobs import all_jobs, executed, index_page, state
from nrsed_lib.series import STUDIES
from nrsed_lib.store import atomic


def write_report(profile: Profile) -> Path:
    """Every executed notebook as a page of its own, with pictures inside, and an index of them.

    What is damaged is named there, with what to do. Returns the index page, which is written last.
    """
    from nrsed_lib.run import html  # loads nbconvert, for which no run waits

    index, tables = index_page(profile), shown_folder(profile)
    parts = [Markup("<h1>nrsed, profile {}</h1><h2>Notebooks</h2><ul>").format(profile.name)]
    parts += [*_notebooks(profile, index.parent), Markup("</ul>")]
    for file, (heading, show) in SECTIONS.items():
        if os.path.lexists(tables / file) and (said := _said(tables / file, partial(show, profile, tables / file))):
            parts += [Markup("<h2>{}</h2>").format(heading), said]
    _write(index, html.page(f"nrsed: {profile.name}", parts))
    return index


def _said(file: Path, show: Callable[[], Markup]) -> Markup:
    """What `show` makes of a file; of a damaged one its name and what to do, since the others are to be seen."""
    try:
        with reading(file):
            return show()
    except UserError as error:
        return Markup("<p>{}</p>").format(str(error))


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, errors="replace")  # half of a surrogate pair cannot be written


def _notebooks(profile: Profile, folder: Path) -> Iterator[Markup]:
    """An item of the index for each executed notebook, of which a page is written if there is none yet."""
    from nrsed_lib.run import html

    def shown(ran: Path, page: Path) -> Markup:
        notebook = html.read_notebook(ran)
        made = page.read_text(errors="replace") if page.exists() else ""
        if not (html.META in made and ran.stem in made and page.stat().st_mtime >= ran.stat().st_mtime):
            _write(page, html.notebook_page(notebook, ran.stem))
        return Markup('<a href="{}">{}</a>: {}').format(page.name, page.stem, html.title(notebook, page.stem))

    for job in all_jobs(profile):
        ran = executed(profile, *job)
        if os.path.lexists(ran):
            yield Markup("<li>{}</li>").format(_said(ran, partial(shown, ran, folder / f"{job_name(*job)}.html")))


def _table(table: pd.DataFrame, **how: Any) -> Markup:
    """HTML, in which pandas escapes all text."""
    return Markup(table.to_html(**how))


def _scores(profile: Profile, file: Path) -> Markup:
    scores = every_score(file.parent)
    shown = _table(as_printed(profile, scores))
    if "list_hash" in scores:  # on the paper's own clips
        about = f"{scores['nb_clips'].iloc[0]} clips, list {scores['list_hash'].iloc[0]}"
        shown += Markup("<h2>Ours minus the paper's ({})</h2>").format(about) + _table(differences(scores))
    return shown


def _beside(profile: Profile, folder: Path) -> Markup:
    return Markup("").join(_compared(found) if (found := compare(profile)) else ())


def _compared(found: Comparison) -> Iterator[Markup]:
    """How many cells and verdicts agree, which do not, and every cell of Table I."""
    yield Markup("<p>{}</p>").format(found.about)
    for key, (ours, theirs) in found.differ.items():
        yield Markup("<p>not compared with other settings: {} is {!r}, not {!r}</p>").format(key, ours, theirs)
    for table in (found.summary(), found.otherwise()):
        yield _table(table, index=False) if len(table) else Markup("")
    if len(found.cells):
        within = found.cells.pivot_table(index="system", columns="condition", values="within", aggfunc=["sum", "count"])
        shown = pd.DataFrame(within["sum"]).astype(int).astype(str) + " of " + pd.DataFrame(within["count"]).astype(str)
        yield _table(shown)


def _claims(profile: Profile, file: Path) -> Markup:
    return _table(pd.read_csv(file), index=False, float_format=lambda v: f"{v:.3f}")


def _figures(profile: Profile, folder: Path) -> Markup:
    figure = Markup('<figure><img src="../figures/{}" alt="{}"><figcaption>{}</figcaption></figure>')
    there = sorted(f for f in folder.glob("[!.]*.png") if f.is_file())  # a dot: of a run that was killed
    return Markup("").join(figure.format(quote(f.name), f.stem, f.stem) for f in there)


def _how(profile: Profile, file: Path) -> Markup:
    return Markup("<pre>{}</pre>").format(file.read_text(errors="replace"))


# What a run leaves beside its notebooks -> the heading, and what is shown of it.
SECTIONS: dict[str, tuple[str, Callable[[Profile, Path], Markup]]] = {
    "table1.csv": ("Table I", _scores),
    "": ("Beside the committed results", _beside),
    "claims.csv": ("The paper's claims on this data", _claims),
    "language_claims.csv": ("Claims on #8 to #10", _claims),
    "figures": ("Figures", _figures),
    "run.json": ("How this was made", _how),
}


def every_score(tables: Path) -> pd.DataFrame:
    """What the run has of the paper's systems and, where that study ran, of those beyond them: a row a system,
    condition and seed."""
    first = read_scores(tables / "table1.csv")
    if not (tables / "language.csv").exists():
        return first
    more = read_scores(tables / "language.csv")
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
        scores = read_scores(file)
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
