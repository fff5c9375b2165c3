"""The four promises of the README, each under its own name. What they rest on is tested case by case beside this."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from toy import train
from tqdm import tqdm
from wire import http, wire

from nrsed_lib import store
from nrsed_lib.artefacts import Run, open_run, run_folder
from nrsed_lib.errors import StoreError
from nrsed_lib.llm.asking import ask_all
from nrsed_lib.llm.noise import NoiseAnswer, noise_questions
from nrsed_lib.profile import Llm, load_profile
from nrsed_lib.run.clean import clean, superfluous
from nrsed_lib.run.jobs import executed, show
from nrsed_lib.store import keep_sums, write_json, write_table, write_tensors

SMOKE = load_profile("smoke")
STEPS = 2


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    return tmp_path


def learn() -> None:
    """A notebook that trains, with a checkpoint at every step, and leaves weights, a history and a table."""
    run = open_run("03", SMOKE)
    _, history = train(run, STEPS, checkpoint_every_s=0)
    write_table(run.tables / "learnt.csv", pd.read_csv(history))
    show(SMOKE, ("03", 0))


def killed_at(replacement: int, late: bool, work: Callable[[], object] = learn) -> bool:
    """`work` in a process of its own that is killed at its nth replacement of a file, before or after it; False if
    it came to its end."""
    if (child := os.fork()) == 0:
        real, count = os.replace, 0

        def replace(*of: Path) -> None:
            nonlocal count
            count += 1
            if late:
                real(*of)
            if count == replacement:
                os.kill(os.getpid(), signal.SIGKILL)
            if not late:
                real(*of)

        tqdm.set_lock(threading.RLock())  # its own is shared with the parent, and would be held for ever
        store.os.replace = replace  # type: ignore[attr-defined]
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "it failed on what an earlier kill had left"
    return status == signal.SIGKILL


def content(folder: Path) -> dict[str, str]:
    """Everything there that a reader may look at: its bytes, and of a checkpoint what is in it."""
    files = [file for file in folder.rglob("[!.]*") if file.is_file() and store.SUMS not in file.parts]
    bytes_of = {file: str(torch.load(file)).encode() if file.suffix == ".pt" else file.read_bytes() for file in files}
    return {str(file.relative_to(folder)): hashlib.sha256(found).hexdigest() for file, found in bytes_of.items()}


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_killed_run_resumes_to_the_same_bytes(results: Path, tmp_path: Path, monkeypatch, late: bool) -> None:
    """Killed at every single replacement of a file in turn, and gone on with; in the end nothing tells of it."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path / "whole"))
    learn()  # here, so that what is imported and read on the way is there in every child
    whole = content(tmp_path / "whole")
    assert {name.rpartition("/")[2] for name in whole} >= {"theta.safetensors", "learnt.csv", "history_theta.csv"}
    for n in range(1, 40):  # each begins anew, is killed at the nth, then at the first of what is left, then goes on
        root = tmp_path / f"killed-{n}"
        monkeypatch.setenv("NRSED_RESULTS", str(root))
        if not killed_at(n, late):
            break
        killed_at(1, late)
        assert not killed_at(0, late)
        assert content(root) == whole, f"killed at replacement {n}"
    assert n > 2 * (STEPS + 3), "it was killed at every file it wrote, and every note of one"


def test_a_finished_artefact_is_removed_or_replaced_only_when_you_say_so(results: Path) -> None:
    """Not by a run with other settings, nor by other code, nor by another execution; by `nrsed clean --yes`."""
    learn()
    before = content(results)
    ran = executed(SMOKE, "03", 0)
    keep_sums(ran.parent)
    write_json(ran, {"cells": [], "metadata": {}})
    other = open_run("03", "smoke", {"sed.train.steps": 1000})
    write_tensors(other.folder / "theta.safetensors", {"weight": torch.ones(2)})
    write_table(other.tables / "learnt.csv", pd.DataFrame({"loss": [9.0]}))
    show(other.profile, ("03", 0))
    learn()
    after = content(results)
    assert before.items() <= after.items()
    assert len([name for name in after if name.endswith("/learnt.csv")]) == 4  # each in its folder, and each shown
    assert superfluous(SMOKE) == [other.folder]  # listed, and there until it is said
    assert before.items() <= content(results).items() and other.folder.is_dir()
    clean(SMOKE)
    assert before.items() <= content(results).items() and not other.folder.exists() and ran.exists()


def test_nothing_damaged_is_used(results: Path) -> None:
    learn()
    path = run_folder(SMOKE, "03", 0) / "theta.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreError, match=r"theta\.safetensors is damaged.*--only 03"):
        Run(SMOKE, "04", 0).find("theta")
    learn()
    assert Run(SMOKE, "04", 0).find("theta").read_bytes() == whole


def test_nothing_asked_and_answered_is_asked_again_or_lost(tmp_path: Path, monkeypatch) -> None:
    """Killed after every single answer; each is paid for once, and all are there."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123")
    questions = noise_questions([[label] for label in ("Dog", "Speech", "Cat")], ["Door", "Rain"])
    llm = Llm(mode="live", answers="none.json", model="tiny", timeout_s=60, max_retries=0, max_repairs=0)
    good = {"model": "tiny-1", "choices": [{"message": {"content": json.dumps({"noise_classes": ["Door"]})}}]}
    path = tmp_path / "answers.json"
    with wire(http(good)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        ask_all(questions[:1], llm, [tmp_path / "other.json"])  # so that every child finds all imported
        paid = len(server.requests)
        for n in range(len(questions)):
            assert killed_at(1, True, lambda: ask_all(questions, llm, [path])), "no answer was filed by itself"
            assert len(NoiseAnswer.read(path)) == n + 1
        answers = ask_all(questions, llm, [path])
        assert len(server.requests) - paid == len(questions) == len(answers) == len(NoiseAnswer.read(path))
