"""The whole companion in the smoke profile: it runs, it resumes, and it runs again only what an edit asks for."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from nrsed_lib.artefacts import job_name
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import load_profile
from nrsed_lib.run import pipeline
from nrsed_lib.run.jobs import executed, jobs, log_of, state, times
from nrsed_lib.run.pipeline import provenance
from nrsed_lib.series import STUDIES
from nrsed_lib.systems import systems_of

pytestmark = pytest.mark.timeout(900)
SMOKE = load_profile("smoke")


def nrsed(*words: str, results: Path, **more) -> subprocess.CompletedProcess:
    environment = os.environ | {"NRSED_RESULTS": str(results)}
    return subprocess.run(
        [sys.executable, "-m", "nrsed_lib.run.cli", *words], env=environment, capture_output=True, text=True, **more
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A run that was killed in the middle of a notebook, and then run again."""
    root = tmp_path_factory.mktemp("results")
    process = subprocess.Popen(
        [sys.executable, "-m", "nrsed_lib.run.cli", "run", "--profile", "smoke"],
        env=os.environ | {"NRSED_RESULTS": str(root)}, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    detector = root / "smoke" / "work" / "03_sed_training-seed0"
    deadline = time.monotonic() + 300
    while not detector.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    assert detector.exists(), "the run never got to notebook 03"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (root / "began").write_text(str(executed_at(root, "01_data_preparation")))
    done = nrsed("run", "--profile", "smoke", results=root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (root / "output.txt").write_text(done.stdout)
    return root


def executed_at(results: Path, name: str) -> float:
    (file,) = (results / "smoke" / "work" / "notebooks").glob(f"{name}-*.ipynb")
    return file.stat().st_mtime


@pytest.fixture
def here(results, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(results))
    return results


def test_a_killed_run_goes_on_where_it_was(here):
    assert {state(SMOKE, *job) for job in jobs(SMOKE)} == {"done"}
    assert float((here / "began").read_text()) == executed_at(here, "01_data_preparation")


def test_a_terminated_run_leaves_nothing_running(tmp_path):
    """SIGTERM, as a batch system sends it: the run says so, and its notebook's processes are gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nrsed_lib.run.cli", "run", "--profile", "smoke", "--only", "01"],
        env=os.environ | {"NRSED_RESULTS": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    children: list[psutil.Process] = []
    while not any("ipykernel_launcher" in " ".join(c.cmdline()) for c in children) and time.monotonic() < deadline:
        time.sleep(0.1)
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(process.pid).children(recursive=True)
    assert children, "the notebook never began"
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "stopped; the same command goes on where this one was" in said
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_the_run_prints_the_papers_table_where_the_report_is_and_what_is_next(here):
    output = (here / "output.txt").read_text()
    _, _, shown = output.partition("Table I")
    first_words = {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert first_words & set(systems_of(SMOKE)) == set(paper_table()["system"])  # the seven, and no other
    assert str(here / "smoke" / "report" / "index.html") in shown
    assert shown.splitlines()[-1].startswith("next: `make studies PROFILE=smoke`")


def test_the_terminal_has_the_jobs_and_nothing_of_the_scheduler_or_the_kernels(here):
    output = (here / "output.txt").read_text()
    for job in jobs(SMOKE):
        if job[0] != "01":  # done before
            assert f"\n{job_name(*job)}: done in " in output
    log = log_of(SMOKE, "snakemake").read_text()
    assert "Building DAG" in log and "Building DAG" not in output
    said = [line for line in (log + output).splitlines() if "IPKernelApp" in line]
    ended = "[IPKernelApp] ERROR | KeyboardInterrupt caught in kernel."  # as Jupyter ends one, now and then
    assert not [line for line in said if not line.endswith(ended)], "kernels are reached over ports"
    assert "IPKernelApp" not in output


def test_tables_have_every_system_and_condition(here):
    table = pd.read_csv(here / "smoke" / "table1.csv", dtype={"system": str})
    wanted = {(s, c) for s in systems_of(SMOKE) for c in SMOKE.data.conditions}
    assert set(zip(table.system, table.condition, strict=True)) == wanted
    assert (table.nb_clips == SMOKE.data.nb_test).all()
    assert table["psds1"].between(0, 1).all() and table["psds2"].between(0, 1).all()
    assert (here / "smoke" / "recall.csv").exists()
    assert (here / "smoke" / "claims.csv").exists()


def test_run_json_says_what_ran_and_where(here):
    made = json.loads((here / "smoke" / "run.json").read_text())
    assert set(made["stages"]) == {job_name(*job) for job in jobs(SMOKE)}
    for facts in made["stages"].values():
        assert facts["finished"] and facts["commit"] and facts["cpu_seconds"] > 0
        assert set(facts["trees"]) == {"nrsed_lib", "notebooks", "data"} and isinstance(facts["dirty"], bool)
    assert made["settings"]["sed.train.steps"] == SMOKE.sed.train.steps
    (run,) = made["runs"]  # the killed one never got to say
    assert run["machine"]["cores"] == os.cpu_count() and run["trees"] == facts["trees"]
    assert run["cpu_seconds"] > sum(made["stages"][name]["cpu_seconds"] for name in run["ran"]) / 2
    assert all(f"{os.cpu_count()} cores" in facts["machine"] for facts in made["stages"].values())
    assert run["command"].startswith("nrsed run")
    assert "01_data_preparation" not in run["ran"] and "07_ablations" in run["ran"]
    assert made["stage_seconds"] > 0 and run["wall_seconds"] > 0 and 100 < run["peak_mb"] < 4096


def test_what_made_a_table_is_known_after_its_artefacts_are_gone(here, monkeypatch):
    made = json.loads((here / "smoke" / "run.json").read_text())
    known = pipeline.facts
    monkeypatch.setattr(
        pipeline, "facts", lambda profile, notebook, seed: {} if notebook == "05" else known(profile, notebook, seed)
    )
    again = provenance(SMOKE, {"command": "another"})
    assert again["stages"] == made["stages"] and [run["command"] for run in again["runs"]][1:] == ["another"]


def test_the_report_reads_without_python(here):
    report = here / "smoke" / "report"
    index = (report / "index.html").read_text()
    for job in jobs(SMOKE):
        page = f"{job_name(*job)}.html"
        assert f'href="{page}"' in index
        assert "<html" in (report / page).read_text()
    assert "Table I" in index


def test_a_second_run_does_nothing_and_says_so(here):
    before = {job: executed(SMOKE, *job).stat().st_mtime for job in jobs(SMOKE)}
    done = nrsed("run", "--profile", "smoke", results=here)
    assert "nothing to do" in done.stdout
    assert before == {job: executed(SMOKE, *job).stat().st_mtime for job in jobs(SMOKE)}


def test_status_and_dry_run_name_what_a_changed_setting_makes_stale(here):
    done = nrsed("run", "--profile", "smoke", "--dry-run", "--set", "sed.finetune.steps=5", results=here)
    states = dict(line.split(": ") for line in done.stdout.splitlines() if ": " in line)
    assert {name[:2] for name, value in states.items() if value != "done"} == {"04", "06", "07", "08"}
    listed = nrsed("status", "--profile", "smoke", results=here).stdout
    assert listed.count(" done ") == len(jobs(SMOKE)) and listed.count(" missing") == len(STUDIES)


def test_the_studies_run_when_asked_for_with_what_they_need(here):
    done = nrsed("run", "--profile", "smoke", "--studies", "--dry-run", results=here)
    states = dict(line.split(": ") for line in done.stdout.splitlines())
    assert {name[:2] for name, value in states.items() if value == "missing"} == set(STUDIES)
    assert {name[:2] for name, value in states.items() if value == "done"} == {"01", "02", "03", "04", "05", "06"}


def test_the_time_goes_where_status_says(here):
    *rows, whole = times(SMOKE)
    assert [row["notebook"] for row in rows if not row["part"]] == [row["notebook"] for row in rows]  # none ahead
    assert {row["notebook"] for row in rows} == {job_name(*job) for job in jobs(SMOKE)}
    minutes = [row["cpu_minutes"] for row in rows]
    assert minutes == sorted(minutes, reverse=True) and min(minutes) > 0
    assert whole["cpu_minutes"] == pytest.approx(sum(minutes)) and all(row["longest cell"] for row in rows)
    listed = nrsed("status", "--profile", "smoke", "--time", results=here).stdout.splitlines()
    assert listed[1].startswith(rows[0]["notebook"]) and listed[-1].startswith("all")


def test_papermill_on_one_notebook_takes_the_same_parameters(here, tmp_path):
    notebooks = ["notebooks/08_recall.ipynb", str(tmp_path / "out.ipynb")]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", *notebooks, "-p", "profile", "smoke"],
        env=os.environ | {"NRSED_RESULTS": str(here)}, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "--profile", "smok"], "no profile 'smok'"),
        (["run", "--profile", "smoke", "--set", "sed.train.stps=3"], "sed.train.stps"),
        (["run", "--profile", "smoke", "--set", "seed"], "key=value"),
        (["run", "--profile", "smoke", "--only", "99"], "--only 99"),
    ],
)
def test_a_wrong_command_is_one_clear_line(here, words, named):
    done = nrsed(*words, results=here)
    assert done.returncode == 1
    assert named in done.stderr and "Traceback" not in done.stderr


def test_every_command_has_help(here):
    for words in ([], ["run"], ["status"], ["report"], ["publish"], ["data", "check"]):
        assert "--help" in nrsed(*words, "--help", results=here).stdout


def content(root: Path) -> dict[str, bytes]:
    """What a run computes and shows, but for what tells of times, and figures, where points are strewn."""
    timed = (
        "facts*",
        "costs*",
        "run.json",
        "*.html",
        "*.ipynb",
        "*.log",
        "*.lock",
        "request-*",
        "*.damaged-*",
        "*.png",
    )
    files = [f for f in (root / "smoke").rglob("[!.]*") if f.is_file() and not any(f.match(p) for p in timed)]
    return {str(f.relative_to(root)): f.read_bytes() for f in files if not {".sums", ".snakemake"} & set(f.parts)}


def test_of_a_damaged_run_the_same_bytes_are_made_again_and_no_more_is_run(tmp_path, here, monkeypatch):
    """Weights, a table, an executed notebook and a shown table at once; each kind alone is in tests/faults."""
    shutil.copytree(here / "smoke", tmp_path / "smoke", ignore=shutil.ignore_patterns("run.lock"))
    before, untouched = content(tmp_path), [executed_at(tmp_path, name) for name in ("04_curriculum*", "05_lass*")]
    (notebook,) = (tmp_path / "smoke" / "work" / "notebooks").glob("08_recall-*.ipynb")
    hurt = {
        "work/03_*/*/theta.safetensors": lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x07"),
        "work/07_*/*/shown/table1.csv": lambda file: file.write_text(file.read_text().replace("0", "1", 1)),
        f"work/notebooks/{notebook.name}": lambda file: file.write_bytes(file.read_bytes()[:99]),
        "claims.csv": Path.unlink,
    }
    for pattern, damage in hurt.items():
        (file,) = (tmp_path / "smoke").glob(pattern)
        damage(file)
    done = nrsed("run", "--profile", "smoke", results=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    names = {name[:2] for name in done.stdout.partition("to run: ")[2].splitlines()[0].split(", ")}
    assert names == {"03", "07", "08"}
    assert content(tmp_path) == before
    assert [executed_at(tmp_path, name) for name in ("04_curriculum*", "05_lass*")] == untouched
    assert len([*(tmp_path / "smoke").rglob("*.damaged-*")]) >= len(hurt) - 1, "what was damaged is set aside"


def test_a_failing_notebook_names_the_cell_and_keeps_what_was_done(tmp_path, here, monkeypatch):
    shutil.copytree(here / "smoke", tmp_path / "smoke", ignore=shutil.ignore_patterns("0[2-8]_*", "report"))
    first = executed_at(tmp_path, "01_data_preparation")
    done = nrsed("run", "--profile", "smoke", "--only", "02", "--set", "llm.answers=mini.json", results=tmp_path)
    assert done.returncode == 1
    assert "02_llm_noise_selection stopped" in done.stderr + done.stdout
    assert "mini.json has no answer" in done.stderr + done.stdout
    assert executed_at(tmp_path, "01_data_preparation") == first
    assert not [*(tmp_path / "smoke" / "work" / "notebooks").glob("02_llm_noise_selection-*")]

    # after an edit of what the first notebook reads, the same command makes that anew and goes on to what was missing
    done = nrsed("run", "--profile", "smoke", "--only", "02", "--set", "data.nb_test=5", results=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    edited = load_profile("smoke", {"data.nb_test": 5})
    assert {state(edited, notebook, 0) for notebook in ("01", "02")} == {"done"}
