"""What people give the command reaches every job as it was given: settings, profiles, folders of any name."""

import base64
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from papermill.translators import PythonTranslator
from snakemake.utils import format as filled_in

from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import load_profile
from nrsed_lib.run.jobs import executed, jobs, work
from nrsed_lib.run.options import pairs, words
from nrsed_lib.run.pipeline import _snakemake, where
from nrsed_lib.store import write_json

# What is written after `--set key=` -> the value that the notebook gets.
VALUES = {
    "null": None,
    "~": None,
    "": None,
    " null ": None,
    "true": True,
    "True": True,
    "yes": True,
    "false": False,
    "off": False,
    "3": 3,
    "-1": -1,
    "+1": 1,
    "1_000": 1000,
    "0x1F": 31,
    "1e-3": 0.001,
    "1E5": 1e5,
    ".5": 0.5,
    "-0.5": -0.5,
    "NaN": math.nan,
    "-Infinity": -math.inf,
    "[0,1]": [0, 1],
    "[0, 1]": [0, 1],
    "[a, b]": ["a", "b"],
    "[1e-3]": [0.001],
    '["a b", null]': ["a b", None],
    "{a: 1}": {"a": 1},
    '{"a": [1, {"b": null}]}': {"a": [1, {"b": None}]},
    "[]": [],
    "{}": {},
    '"3"': "3",
    '"null"': "null",
    "'null'": "null",
    '"a\\nb"': "a\nb",
    "gpt-4o": "gpt-4o",
    "gpt-oss:20b": "gpt-oss:20b",
    "org/big": "org/big",
    "5dB": "5dB",
    "-5dB": "-5dB",
    "None": "None",
    "a b": "a b",
    "a=b": "a=b",
    "a: 1": "a: 1",
    "- a": "- a",
    "# no": "# no",
    "x # y": "x # y",
    "&a b": "&a b",
    "*a": "*a",
    "!!python/object/apply:os.system [ls]": "!!python/object/apply:os.system [ls]",
    "@x": "@x",
    "%x": "%x",
    "`ls`": "`ls`",
    "|": "|",
    '"open': '"open',
    "'open": "'open",
    "it's here": "it's here",
    "2024-01-01": "2024-01-01",
    "1:30": "1:30",
    "x'$(touch PWNED)'y": "x'$(touch PWNED)'y",
    "$HOME": "$HOME",
    "${HOME}": "${HOME}",
    "a;ls": "a;ls",
    "a && ls": "a && ls",
    "a\nls": "a\nls",
    "a\tb": "a\tb",
    "{x}": {"x": None},
    "%s %d": "%s %d",
    'say "hi"': 'say "hi"',
    "a\\b": "a\\b",
    "a\\": "a\\",
    "é λ 音 🔊": "é λ 音 🔊",
    "*": "*",
    "?": "?",
    "~/x": "~/x",
    "--set": "--set",
    "-p": "-p",
    "<b>": "<b>",
    "a|b": "a|b",
    "x{params.seed}": "x{params.seed}",
    "a>b": "a>b",
    "!ls": "!ls",
    "1" * 400: int("1" * 400),
    "x" * 5000: "x" * 5000,
}


def same(a, b) -> bool:
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize("text", VALUES, ids=lambda text: repr(text)[:40])
def test_a_setting_is_one_value_from_the_command_to_the_notebook(text):
    """Command -> shell, as Snakemake quotes for it -> the job's command -> papermill -> the notebook's cell."""
    given = pairs([f"some.key={text}"])
    assert same(given["some.key"], VALUES[text]) and type(given["some.key"]) is type(VALUES[text])
    CHOSEN = words("mini", given)  # noqa: F841 (as in the Snakefile)
    heard = shlex.split(filled_in("{CHOSEN:q}"))
    assert heard[:2] == ["--profile", "mini"] and heard[2].startswith("--set=")
    again = pairs([heard[2].removeprefix("--set=")])
    cell: dict = {}
    exec(PythonTranslator.codify({"overrides": again}), cell)
    assert same(cell["overrides"]["some.key"], VALUES[text])


WRONG = {  # --set -> what is said
    "seed": ("--set 'seed'", "key=value"),
    "": ("--set ''", "key=value"),
    "=3": ("--set '=3'", "key=value"),
    " =3": ("--set ' =3'", "key=value"),
    "seeds=[0,1": ("--set 'seeds=[0,1'", "JSON"),
    "seeds=[1,,2]": ("--set 'seeds=[1,,2]'", "JSON"),
    "seeds=[2024-01-01]": ("2024-01-01", "JSON"),
    "a={": ("--set 'a={'", "JSON"),
    "a={{x}}y": ("--set 'a={{x}}y'", "JSON"),
    "a=[&a 1, *a]": ("&a", "JSON"),
    "a=[!!python/object/apply:os.system [ls]]": ("os.system", "JSON"),
    "a=" + "[" * 100_000: ("--set 'a=[[[", "JSON"),
    "a=\udcff": (r"a=\udcff", "UTF-8"),
    '"a="\udcff': (r"\udcff", "UTF-8"),
    'a="\\ud800"': ("ud800", "UTF-8"),
    "\udcff=3": (r"\udcff=3", "UTF-8"),
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text)[:40])
def test_what_is_no_setting_is_said_in_one_line(text):
    with pytest.raises(ProfileError) as error:
        pairs(["data.nb_test=1", text])
    message = str(error.value)
    assert all(word in message for word in WRONG[text]) and "\n" not in message and len(message) < 200
    message.encode()


def test_a_setting_that_is_given_twice_is_named():
    with pytest.raises(ProfileError, match=r"'seed=4'.*seed was given before"):
        pairs(["seed=3", "seed=4"])


NASTY = [
    "it's here, too",
    'a "b" c',
    "a $HOME",
    "$(touch PWNED)",
    "`touch PWNED`",
    "a;touch PWNED;b",
    "{x}",
    "{{x}}",
    "100 %s",
    "back\\slash",
    "two\nlines",
    "é λ 音",
    " led by a space",
    "-x",
    "&",
    "a|b",
    "#a",
    "*",
    "~",
]


NAME = "".join(NASTY).replace("/", "")
SETTINGS = {"llm.model": "".join(x for x in NASTY if x.isprintable()), "data.nb_test": 7}
SMOKE = load_profile("smoke", SETTINGS)
DONE = [("01", 0), ("02", 0), ("05", 0)]  # though the times of their files, and what Snakemake remembers, are all wrong


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory):
    """Words of all jobs that Snakemake would hand to a shell; checkout, results and settings have nasty names."""
    root = tmp_path_factory.mktemp("shell") / NAME
    root.mkdir()
    for name in ("nrsed_lib", "notebooks", "data", ".venv"):
        (root / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root))
        patch.setenv("NRSED_RESULTS", str(root / NAME[::-1]))
        request = {"profile": "smoke", "overrides": SETTINGS, "devices": 2, "ahead": True}
        write_json(file := work(SMOKE) / "request.json", request)
        for hours, job in enumerate(DONE):
            (ran := executed(SMOKE, *job)).parent.mkdir(exist_ok=True)
            ran.write_text("{}")
            os.utime(ran, (time.time() + 3600 * (len(DONE) - hours),) * 2)
            for folder in ("metadata", "incomplete"):
                remembered = (
                    work(SMOKE) / ".snakemake" / folder / base64.b64encode(f"notebooks/{ran.name}".encode()).decode()
                )
                remembered.parent.mkdir(parents=True, exist_ok=True)
                remembered.write_text('{"params": [')
        python = str(root / ".venv" / "bin" / "python")
        _, *line = _snakemake(SMOKE, [job for job in jobs(SMOKE) if job not in DONE], where(None, 2))
        line[line.index("--snakefile") + 1] = str(root / "notebooks" / "Snakefile")
        line = [python, *line[: line.index("--quiet")], "--configfile", str(file), "-n", "-p"]
        ran = subprocess.run(line, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr[-2000:]
        assert not list(root.parent.glob("**/PWNED"))
    said = re.findall(r"^Shell command: (OMP.*?)\n(?=\n\[|Job stats)", ran.stdout + ran.stderr, flags=re.S | re.M)
    return python, [shlex.split(command) for command in said]


def test_a_shell_gives_jobs_the_words_that_were_meant(scheduled):
    python, commands = scheduled
    chosen = ["--profile", "smoke", *(f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items())]
    for command in commands:
        assert command[2] == python and command[-4:] == chosen
        assert command[command.index("nrsed_lib.run.cli") - 1] == "-m" and "--seed" in command
    shared = [command for command in commands if "torch.distributed.run" in command]
    assert {command[command.index("compute") + 1] for command in shared} == {"03", "04"}
    assert any("--part=-5dB" in command for command in commands)


def test_what_is_not_done_is_run_and_nothing_else(scheduled):
    """Times in the future and in a wrong order, and a cut memory of the scheduler, change nothing."""
    executes = [command[command.index("execute") + 1] for command in scheduled[1] if "execute" in command]
    assert sorted(executes) == ["03", "04", "06", "07", "08"]


# What make is given -> the words of the command.
MADE = {
    "reproduce": ["run", "--profile", "mini"],
    "open|SET=seed=3": ["run", "--profile", "open", "--set", "seed=3"],
    "open|SET=seed=3 sed.train.steps=50": [
        "run",
        "--profile",
        "open",
        "--set",
        "seed=3",
        "--set",
        "sed.train.steps=50",
    ],
    "open|SET=a=b c": ["run", "--profile", "open", "--set", "a=b c"],
    'open|SET=seeds=[0, 1] b={"c": 1}': ["run", "--profile", "open", "--set", "seeds=[0, 1]", "--set", 'b={"c": 1}'],
    "open|SET=seed": ["run", "--profile", "open", "--set", "seed"],
    "open|SET=m=x'$(touch PWNED)'y": ["run", "--profile", "open", "--set", "m=x'$(touch PWNED)'y"],
    "open|SET=m=$(shell touch PWNED)": ["run", "--profile", "open", "--set", "m=$(shell touch PWNED)"],
    "open|SET=m=`touch PWNED`;touch PWNED": ["run", "--profile", "open", "--set", "m=`touch PWNED`;touch PWNED"],
    "open|SET=m=$HOME \\ % {x} é": ["run", "--profile", "open", "--set", "m=$HOME \\ % {x} é"],
    "open|CORES=2|SET=a=1": ["run", "--profile", "open", "--cores", "2", "--set", "a=1"],
    "open|CORES=2; touch PWNED": ["run", "--profile", "open", "--cores", "2; touch PWNED"],
    "paper|EXECUTOR=slurm|DEVICES=8": ["run", "--profile", "paper", "--executor", "slurm", "--devices", "8"],
    "studies|PROFILE=it's $HOME.yaml": ["run", "--studies", "--profile", "it's $HOME.yaml"],
    'studies|PROFILE="open"': ["run", "--studies", "--profile", '"open"'],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkout, installed in a folder of a nasty name, whose Python writes down what it is called with."""
    root = tmp_path_factory.mktemp("make") / "it's here, too $HOME {x} %"
    (root / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml", ".ci"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, root / name)
    for name in ("python", "uv"):
        (root / ".venv" / "bin" / name).write_text('#!/bin/sh\nprintf "%s\\0" "$@" >> heard\nprintf "\\n" >> heard\n')
        (root / ".venv" / "bin" / name).chmod(0o755)
    (root / ".venv" / ".ready").touch()
    return root


def heard(root: Path) -> list[list[str]]:
    lines = (root / "heard").read_text().split("\0\n")[:-1]
    (root / "heard").unlink()
    return [line.split("\0") for line in lines]


@pytest.mark.parametrize("given", MADE)
def test_make_hands_on_what_it_was_given(made, given):
    subprocess.run(["make", "-C", str(made), *given.split("|")], check=True, capture_output=True)
    option, module, *command = heard(made)[-1]
    assert (option, module) == ("-m", "nrsed_lib.run.cli")
    assert [word.rstrip() for word in command] == MADE[given]
    assert not list(made.rglob("PWNED"))


def test_what_ci_calls_runs_in_any_folder(made):
    subprocess.run([str(made / ".ci" / "run")], check=True, capture_output=True)
    assert [command[:2] for command in heard(made)] == [
        ["-m", "ruff"],
        ["-m", "ruff"],
        ["-m", "mypy"],
        ["-m", "pytest"],
    ]


def test_no_script_is_started_by_its_first_line():
    """It is the path of the checkout, which a space ends; pip's and uv's own are no scripts."""
    recipes = re.findall(r"\$\(BIN\)/(\w+)", (ROOT / "Makefile").read_text())
    assert set(recipes) == {"python", "uv"}
