"""The `nrsed` command: run the companion, see how far it is, check its data, convert weights."""

from __future__ import annotations

import locale
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nrsed_lib.artefacts import maker_of
from nrsed_lib.paths import REFERENCE, settle
from nrsed_lib.processes import PARENT, as_ctrl_c, end_with
from nrsed_lib.profile import load_profile
from nrsed_lib.run import faults
from nrsed_lib.run.options import AgainOption, OptionOption, ProfileOption, SetOption, absolute, chosen, live, pairs
from nrsed_lib.run.task9_commands import task9
from nrsed_lib.series import SERIES, STUDIES
from nrsed_lib.weights import KINDS, about_weights

MOST_SAID = 40  # differences, of a command that lists them

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__
)
data = typer.Typer(no_args_is_help=True, help="Look at the data of a profile.")
llm = typer.Typer(no_args_is_help=True, help="Record answers of language models; look at them.")
weights = typer.Typer(no_args_is_help=True, help="Convert published weights, and see which are there.")
for name, group in {"data": data, "llm": llm, "weights": weights, "task9": task9}.items():
    app.add_typer(group, name=name)


@app.callback()
def begin(
    debug: Annotated[bool, typer.Option("--debug", help="show where in the code an error was")] = False,
) -> None:
    """What comes before every command."""
    settle()
    if parent := os.environ.get(PARENT):
        end_with(int(parent))


@app.command()
def run(
    profile: ProfileOption = "mini",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help=f"a notebook, {min(SERIES)} to {max(SERIES)}, and what it needs; may be repeated"),
    ] = None,
    studies: Annotated[bool, typer.Option("--studies", help="the separation studies, and what they need")] = False,
    settings: SetOption = None,
    cores: Annotated[int | None, typer.Option(min=1, help="how many cores to use; all by default")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what is done and what is not")] = False,
    executor: Annotated[
        str | None, typer.Option(help="where jobs run: a Snakemake executor, e.g. slurm; --cores is how many at once")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="processes (GPUs) in each training, on one machine")] = 1,
) -> None:
    """Run the paper's notebooks of a profile, or others. What is up to date is left; what was killed resumes."""
    from nrsed_lib.run import pipeline, report

    about, asked = chosen(profile, settings), [*(only or []), *(STUDIES if studies else [])]
    command = "nrsed " + shlex.join(sys.argv[1:])
    pipeline.run_all(absolute(profile), about, pairs(settings), asked, cores, dry_run, command, executor, devices)
    if not dry_run:
        report.show(about)


@app.command()
def study(
    splits: Annotated[str, typer.Option(help="seeds, each of which deals recordings, noise and trainings: 1-10")],
    profile: ProfileOption = "open",
    settings: SetOption = None,
    cores: Annotated[int | None, typer.Option(min=1, help="how many cores to use; all by default")] = None,
    commit: Annotated[
        bool, typer.Option("--commit", help="publish in results/ and commit that when the run has ended well")
    ] = False,
) -> None:
    """Run the paper's notebooks for many seeds, one after the other, and gather them. What was killed resumes.

    With --commit, of other seeds than the profile's own the counts alone are kept, from which `nrsed verify` and a
    later run over all of them compute every number.
    """
    from nrsed_lib.run import pipeline, report, study

    given = pairs(settings) | {"seeds": study.splits(splits)}
    about = load_profile(absolute(profile), given)
    command = "nrsed " + shlex.join(sys.argv[1:])
    pipeline.run_all(absolute(profile), about, given, cores=cores, command=command)
    report.show(about)
    if commit:
        for line in study.publish_and_commit(about):
            typer.echo(line)


@app.command()
def compute(
    notebook: Annotated[str, typer.Argument(help=f"{', '.join(i for i, spec in SERIES.items() if spec.parts)}")],
    part: Annotated[str | None, typer.Option(help="one of its parts, e.g. full or 5dB; all by default")] = None,
    profile: ProfileOption = "mini",
    settings: SetOption = None,
    seed: Annotated[int | None, typer.Option(help="of training; the profile's first by default")] = None,
) -> None:
    """Compute what a notebook will show. Under torchrun, on any number of devices and nodes."""
    from nrsed_lib.run import parts

    about = chosen(profile, settings)
    parts.compute(notebook, about, about.seeds[0] if seed is None else seed, part)


@app.command()
def status(
    profile: ProfileOption = "mini",
    settings: SetOption = None,
    time: Annotated[bool, typer.Option("--time", help="where the CPU-minutes went, dearest first")] = False,
) -> None:
    """Which notebooks are done, stale, begun or missing; seconds and memory of each."""
    from nrsed_lib.run import jobs

    about = chosen(profile, settings)
    typer.echo(jobs.as_text((jobs.times if time else jobs.status)(about)))
    for job in jobs.all_jobs(about):
        for path in jobs.not_shown(about, job).values() if jobs.state(about, *job) == "done" else ():
            typer.echo(f"{path} is not as {jobs.job_name(*job)} made it; `nrsed run` puts that back")


@app.command()
def clean(
    profile: ProfileOption = "mini",
    settings: SetOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove it; without this it is only listed")] = False,
) -> None:
    """List, or remove, what other settings and older code have left of a profile. Tables, figures, answers stay."""
    from nrsed_lib.run import clean as cleaning

    about = chosen(profile, settings)
    found = {path: cleaning.size(path) for path in cleaning.superfluous(about)}
    for path, size in found.items():
        typer.echo(f"{size / 1e6:9.1f} MB  {path}")
    if yes:
        cleaning.clean(about)
    done = "removed" if yes else "to be removed with --yes"
    typer.echo(f"{sum(found.values()) / 1e6:9.1f} MB {done}; tables, figures and answers stay")


@app.command()
def plan(profile: ProfileOption = "mini", settings: SetOption = None) -> None:
    """What a run needs and takes: data, weights, answers, memory, disk, time. Status 1 if it cannot start."""
    from nrsed_lib.run.plan import plan as look

    found = look(chosen(profile, settings))
    typer.echo(found.text())
    if found.stopped:
        raise typer.Exit(1)


@app.command()
def report(profile: ProfileOption = "mini", settings: SetOption = None) -> None:
    """Write the executed notebooks as HTML with an index page (beside the run's tables)."""
    from nrsed_lib.run.report import write_report

    typer.echo(f"report: {write_report(chosen(profile, settings))}")


@app.command(hidden=True)
def execute(notebook: str, profile: ProfileOption = "mini", settings: SetOption = None, seed: int = 0) -> None:
    """Run one notebook (what the Snakefile calls)."""
    from nrsed_lib.run.execute import execute as run_notebook

    run_notebook(notebook, absolute(profile), chosen(profile, settings), pairs(settings), seed)


@app.command()
def publish(profile: ProfileOption = "mini") -> None:
    """Make a run the committed reference: tables and figures in results/, outputs in notebooks/; says what it replaces.

    Outputs of real recordings stay out of the repository. The pages of the committed results are renewed.
    """
    from nrsed_lib.run import publish as publishing

    for line in publishing.publish(chosen(profile, None)):
        typer.echo(line)
    publishing.renew_pages()


@app.command()
def verify(
    profile: ProfileOption = "open",
    folder: Annotated[Path | None, typer.Option(help="of results; results/<profile> by default")] = None,
    estimates: Annotated[bool, typer.Option("--estimates", help="only what needs no draws; seconds")] = False,
) -> None:
    """Make Table I, the ledger and recall again from the committed counts. Status 1, and which cells, if they differ.

    Without training: minutes for ten seeds. Commits that the results name are looked up in this history.
    """
    from nrsed_lib.run.verify import verify as look

    looked, differs = look(folder or REFERENCE / profile, estimates)
    shown = [*differs[:MOST_SAID], *([f"… and {len(differs) - MOST_SAID} more"] if len(differs) > MOST_SAID else [])]
    typer.echo("\n".join([*looked, *shown, "all as committed" if not differs else f"{len(differs)} differences"]))
    if differs:
        raise typer.Exit(1)


@data.command("check")
def check_data(profile: ProfileOption = "mini", settings: SetOption = None) -> None:
    """Walk the data of a profile: clips listed, present, missing, silent, clipped; a hash of each clip list.

    DESED is walked on disk (NRSED_DATA), before it is prepared; other data as data preparation left them.
    """
    run = maker_of("strong", chosen(profile, settings))
    if run.profile.data.source == "desed":
        from nrsed_lib.data.desed.check import check_desed as look
    else:
        from nrsed_lib.data.check import check_data as look
    table = look(run)
    typer.echo(table.drop(columns="remedy").to_string(index=False, na_rep=""))
    for name, remedy in zip(table.iloc[:, 0], table["remedy"], strict=True):
        if remedy:
            typer.echo(f"{name}: {remedy}")


@data.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="synthetic, labels, strong-labels, public-eval, wild, wild-2; of task 9: fsd50k, clotho, "
            "task9-captions, task9-validation, task9-evaluation"
        ),
    ],
) -> None:
    """Download records of Zenodo by their hashes, resuming, and unpack them where they are looked for."""
    from nrsed_lib.data.desed.zenodo import fetch_record

    for name in names:
        for path in fetch_record(name):
            typer.echo(f"{name}: {path}")


@weights.command()
def convert(
    file: Annotated[Path, typer.Argument(help="a published checkpoint; nothing in it is run")],
    kind: Annotated[str | None, typer.Option(help=f"{', '.join(KINDS)}; told by the file's names by default")] = None,
    out: Annotated[
        str | None, typer.Option(help="name in the weights folder, or a path ending in .safetensors")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="replace what is there")] = False,
) -> None:
    """Make safetensors of a checkpoint, and say which tensor became which."""
    from nrsed_lib.convert.convert import convert as make

    path, table = make(file, kind, out, again)
    about, left_out = about_weights(path), (table.here == "").sum()
    typer.echo(f"{file.name} (sha256 {about['sha256']})\n  is {about['kind']}, {about['architecture']}")
    typer.echo(f"  {len(table) - left_out} tensors mapped, {left_out} left out: see {path.with_suffix('.csv')}")
    typer.echo(f"  {path}")


@weights.command("check")
def check_weights() -> None:
    """Each file: good, damaged or missing; its source and SHA-256; where to get it. Status 1 if one is damaged."""
    from nrsed_lib.convert.convert import check as look

    table = look()
    typer.echo(table.to_string(index=False))
    if (table.state == "damaged").any():
        raise typer.Exit(1)


@llm.command()
def compare(
    a: Annotated[Path, typer.Argument(help="a file of answers, e.g. data/answers/paper.json")],
    b: Annotated[Path, typer.Argument(help="another, e.g. results/kept/answers/gpt-4.json")],
    profile: ProfileOption = "paper",
    settings: SetOption = None,
) -> None:
    """How far two files of answers to a profile's question agree: a row a label set, and the means."""
    from nrsed_lib.llm.agreement import agreement, means
    from nrsed_lib.llm.noise import NoiseAnswer

    table = agreement(NoiseAnswer.read(a), NoiseAnswer.read(b), chosen(profile, settings).data.noise_classes)
    for part in (table, means(table).to_frame("mean").T):
        typer.echo(part.to_string(index=False, float_format="{:.3f}".format) + "\n")


@llm.command("noise")
def choose_noise(
    model: Annotated[str, typer.Option(help="as the endpoint calls it")],
    profile: ProfileOption = "open",
    settings: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="file of answers; results/kept/answers/<model>.json")] = None,
    option: OptionOption = None,
    again: AgainOption = False,
) -> None:
    """Ask a live model (OPENAI_BASE_URL, OPENAI_API_KEY) which noise goes with each label set there can be; resumes.

    Of an answer that keeps similar classes to the last the others are taken; says how often that was.
    """
    from nrsed_lib.llm import noise, paper, review
    from nrsed_lib.llm.asking import ask_all

    about = live(profile, settings, model)
    paths = [out] if out else noise.NoiseAnswer.live_files(model)
    questions = noise.noise_questions(paper.every_label_set(about.data), about.data.noise_classes)
    answers = ask_all(questions, about.llm, paths, again=again, **pairs(option, "--option"))
    typer.echo(f"{paths[-1]}\n{review.acceptance(answers).to_string()}")


@llm.command()
def texts(
    task: Annotated[list[str], typer.Option(help="augment (all its prompts), augment/<prompt>, knowledge or parse")],
    model: Annotated[str, typer.Option(help="as the endpoint calls it")],
    shots: Annotated[list[int] | None, typer.Option(help="examples shown first; 0 by default; may be repeated")] = None,
    profile: ProfileOption = "mini",
    settings: SetOption = None,
    inputs: Annotated[Path | None, typer.Option(help="for parse: captions to be parsed, one a line")] = None,
    out: Annotated[Path | None, typer.Option(help="file of answers; results/kept/texts/<model>.json")] = None,
    option: OptionOption = None,
    words: Annotated[tuple[int, int] | None, typer.Option(help="least and most of a text, not the task's own")] = None,
    keep_going: Annotated[bool, typer.Option(help="list what is never answered in an acceptable way; or stop")] = True,
    again: AgainOption = False,
) -> None:
    """Ask a live model (OPENAI_BASE_URL, OPENAI_API_KEY) for texts on a profile's sounds; resumes.

    Says how many answers were accepted at first, after repair, and never.
    """
    from nrsed_lib.llm.asking import ask_all
    from nrsed_lib.studies.texts.captions import questions_on
    from nrsed_lib.studies.texts.questions import TextAnswer
    from nrsed_lib.studies.texts.review import acceptance

    about = live(profile, settings, model)
    paths = [out] if out else TextAnswer.live_files(model)
    questions = questions_on(about.data, task, shots or [0], words, inputs)
    answers = ask_all(questions, about.llm, paths, keep_going, again, **pairs(option, "--option"))
    for answer in answers:
        if answer.fault:
            typer.echo(f"never: {answer.task}, {answer.shots} shots, {answer.input!r}: {answer.fault}")
    typer.echo(f"{paths[-1]}\n{acceptance(answers).to_string(index=False)}")


def main() -> None:
    """`nrsed`: an error is one clear line, not a traceback."""
    if locale.getpreferredencoding(False).lower() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"  # files are, whatever the terminal is
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    faults.settle_streams()
    as_ctrl_c()
    try:
        try:
            app(prog_name="nrsed")
        finally:
            faults.flush()
    except BrokenPipeError:  # who read it has read enough
        sys.exit(1)
    except Exception as error:
        if "--debug" in sys.argv[:2]:
            raise
        typer.echo(f"nrsed: {faults.said(error)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
