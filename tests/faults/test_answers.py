"""Answers, votes and ratings as files: damaged, shared by two processes, named alike, left by earlier versions."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from wire import http, wire

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import AnswerError, DataError, LlmError, UserError
from nrsed_lib.llm import asking
from nrsed_lib.llm.agreement import agreement_with_live
from nrsed_lib.llm.asking import ask_all
from nrsed_lib.llm.noise import NoiseAnswer, noise_questions
from nrsed_lib.llm.records import file_name, write_records
from nrsed_lib.paths import results_root
from nrsed_lib.profile import Llm, load_profile
from nrsed_lib.studies.opensep.preference import VOTE_COLUMNS, Pair, Votes, votes_of
from nrsed_lib.studies.task9.listening import COLUMNS, blank_sheet, rate, read_sheet, sheet_of
from nrsed_lib.studies.texts.captions import questions_on

LABELS = ["Dog", "Speech", "Cat", "Frying", "Blender", "Dishes"]
QUESTIONS = noise_questions([[label] for label in LABELS], ["Door", "Rain", "Wind"])
GOOD = http({"model": "tiny-1", "choices": [{"message": {"content": '{"noise_classes": ["Door", "Rain"]}'}}]})


def settings(model: str = "tiny", **changed: Any) -> Llm:
    given = {"mode": "live", "answers": "none.json", "timeout_s": 5, "max_retries": 0, "max_repairs": 0}
    return Llm(**{**given, "model": model, **changed})


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A key, results and kept things of its own."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123")
    for name, folder in (("NRSED_RESULTS", "runs"), ("NRSED_KEPT", "kept")):
        monkeypatch.setenv(name, str(tmp_path / folder))


@pytest.fixture
def endpoint(monkeypatch):
    with wire(GOOD) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def record(**changed: Any) -> dict[str, Any]:
    answer = QUESTIONS[0].record(["Door"], author=None, model="tiny-1", asked="tiny", attempts=1, date="2026-11-21")
    return {**answer.model_dump(mode="json"), **changed}


def answers(*records: Any, **more: Any) -> str:
    return json.dumps({"about": "test", "answers": list(records), **more})


# Files of answers: what is in them, and the words that have to be said of it.
DAMAGED: dict[str, tuple[str | bytes, list[str]]] = {
    "empty": ("", ["Invalid JSON"]),
    "zeros": (bytes(500), ["Invalid JSON"]),
    "cut": (answers(record())[:-20], ["Invalid JSON"]),
    "cut to half": (answers(record(), record())[:200], ["Invalid JSON"]),
    "one letter flipped": (answers(record()).replace('"answers"', '"answess"'), ["answers"]),
    "not JSON": ("a dog barks", ["Invalid JSON"]),
    "HTML": ("<html>404</html>", ["Invalid JSON"]),
    "YAML": ("answers:\n- prompt: x\n", ["Invalid JSON"]),
    "two in one": (2 * answers(record()), ["Invalid JSON"]),
    "a conflict of versions": (f"<<<<<<< HEAD\n{answers(record())}\n>>>>>>> x\n", ["Invalid JSON"]),
    "null": ("null", ["None"]),
    "a list": (json.dumps([record()]), ["object"]),
    "a number": ("5", ["5"]),
    "a text": ('"answers"', ["'answers'"]),
    "nothing in it": ("{}", ["answers", "required"]),
    "answers null": ('{"answers": null}', ["answers", "None"]),
    "answers an object": ('{"answers": {}}', ["answers"]),
    "answers a text": ('{"answers": "x"}', ["answers", "'x'"]),
    "an unknown field": (answers(record(), licence="CC"), ["licence", "CC"]),
    "about a number": (answers(record()).replace('"test"', "5"), ["about", "5"]),
    "a record null": (answers(None), ["answers.0", "None"]),
    "a record a list": (answers([]), ["answers.0"]),
    "a record a text": (answers("x"), ["answers.0", "'x'"]),
    "the second record a text": (answers(record(), "x"), ["answers.1", "'x'"]),
    "a record of nothing": (answers({}), ["answers.0", "required"]),
    "a record with an unknown field": (answers(record(score=5)), ["answers.0.score", "5"]),
    "a record of another kind": (answers(record(texts=["x"])), ["answers.0.texts"]),
    "prompt a number": (answers(record(prompt=5)), ["answers.0.prompt", "5"]),
    "prompt null": (answers(record(prompt=None)), ["answers.0.prompt", "None"]),
    "date a number": (answers(record(date=20261121)), ["answers.0.date", "20261121"]),
    "label set a text": (answers(record(label_set="Dog")), ["label_set", "'Dog'"]),
    "label set empty": (answers(record(label_set=[])), ["label_set"]),
    "classes a text": (answers(record(noise_classes="Door")), ["noise_classes", "'Door'"]),
    "classes numbers": (answers(record(noise_classes=[1])), ["noise_classes.0", "1"]),
    "classes of 1 MB": (answers(record(noise_classes="x" * 2**20)), ["noise_classes", "xxx"]),
    "no classes and no fault": (answers(record(noise_classes=[])), ["noise_classes", "fault"]),
    "classes and a fault": (answers(record(fault="no")), ["fault"]),
    "an author and a model": (answers(record(author="us")), ["author", "model"]),
    "neither": (answers(record(model=None)), ["author", "model"]),
    "attempts a text": (answers(record(attempts="1")), ["attempts", "'1'"]),
    "attempts below one": (answers(record(attempts=0)), ["attempts", "0"]),
    "attempts of 400 digits": (answers(record(attempts=10**400)), ["attempts", "1000"]),
    "attempts infinite": (answers(record()).replace('"attempts": 1', '"attempts": 1e999'), ["attempts", "inf"]),
    "a number of 10,000 digits": (answers(record()).replace('"attempts": 1', f'"attempts": {"9" * 10_000}'), ["JSON"]),
    "options a list": (answers(record(options=[])), ["options"]),
    "temperature not a number": (answers(record(options={"temperature": float("nan")})), ["options", "nan"]),
    "temperature a list": (answers(record(options={"temperature": [1]})), ["options"]),
    "an option of no name": (answers(record(options={"": 1})), ["options"]),
    "a lone surrogate": (answers(record(noise_classes=["\ud800"])), ["Invalid JSON"]),
    "a lone surrogate in a name": (answers(record(**{"\udc00": 1})), ["Invalid JSON"]),
    "100,000 brackets": ('{"answers": ' + "[" * 100_000, ["recursion"]),
    "latin-1": (answers(record(noise_classes=["caf\xe9"])).encode().replace(b"\\u00e9", b"\xe9"), ["Invalid JSON"]),
    "UTF-16": (answers(record()).encode("utf-16"), ["Invalid JSON"]),
    "a mark of the byte order": (b"\xef\xbb\xbf" + answers(record()).encode(), ["Invalid JSON"]),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00", ["Invalid JSON"]),
    "one question answered twice": (answers(record(), record(noise_classes=["Wind"])), ["answers 0 and 1", "keep one"]),
    "terminal codes": (answers(record(label_set="\x1b[2J")), ["label_set"]),
}


def refused(path: Path) -> str:
    """What is said of a file by who reads it and by who would add to it; it stays, and nothing is asked."""
    before = path.read_bytes() if path.is_file() else None
    for look in (lambda: NoiseAnswer.read(path), lambda: ask_all(QUESTIONS, settings(), [path])):
        with pytest.raises(AnswerError) as caught:
            look()
        said = str(caught.value)
        assert said.isprintable() and len(said) < len(str(path)) + 500, said
        assert str(path) in said
    assert (path.read_bytes() if path.is_file() else None) == before
    return said


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_named_and_left_as_it_is(case, tmp_path, endpoint):
    (content, words), path = DAMAGED[case], tmp_path / "answers.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused(path)
    assert all(word in said for word in words), said
    assert "left as it is" in said or "keep one" in said
    assert not endpoint.requests


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, folder, device])
def test_what_is_no_file_is_not_read(make, tmp_path, endpoint):
    make(tmp_path / "answers.json")
    assert "left as it is" in refused(tmp_path / "answers.json") and not endpoint.requests


# Places that cannot be written are said before anything is paid for.
@pytest.mark.parametrize("place", ["/dev/null/a.json", "/proc/nobody/a.json", "{}/" + "n" * 300])
def test_a_place_that_cannot_be_written_costs_nothing(place, tmp_path, endpoint):
    path = Path(place.format(tmp_path))
    with pytest.raises(AnswerError, match=r"cannot be written .*name another file") as caught:
        ask_all(QUESTIONS, settings(), [path])
    assert str(path) in str(caught.value) and not endpoint.requests


def test_on_a_full_disk_the_answer_is_in_the_message(tmp_path, endpoint, monkeypatch):
    path, write = tmp_path / "answers.json", asking.write_records

    def full(to: Path, records: Any, about: str) -> None:
        if len(endpoint.requests) == 2:
            raise OSError(28, "No space left on device")
        write(to, records, about)

    monkeypatch.setattr(asking, "write_records", full)
    with pytest.raises(AnswerError, match="No space left") as caught:
        ask_all(QUESTIONS, settings(), [path])
    unfiled = NoiseAnswer.model_validate_json(str(caught.value).partition("yet: ")[2])
    assert unfiled.label_set == ["Speech"] and [a.label_set for a in NoiseAnswer.read(path)] == [["Dog"]]


def test_what_is_filed_can_be_read_in_every_language(tmp_path):
    path = tmp_path / "answers.json"
    record = QUESTIONS[0].record(["“Türe”, 雨 🌧\u2028\\"], author="né", model=None, date="2026-11-21")
    write_records(path, [record], "Uγ")
    assert NoiseAnswer.read(path) == [record] and "雨" in path.read_bytes().decode()


# Names

ALIKE = [
    "org/big", "org:big", "org-big", "Org/Big", "ORG/BIG", "org/big ", "org big", "org//big", "org\\big", "org-big-",
    "örg/big", "org.big", "org_big", "", ".", "..", "/", "../../etc/passwd", "-", "gpt-4o", "GPT-4o", "gpt-4o@2024",
    "gpt-4o.json", "x" * 300, "x" * 301, "\0", "\n", "日本", "日本語", "$(touch x)", "a'b", 'a"b', "~", "con",
    "model@e3b0c442", "\udcff",
]  # fmt: skip


def test_each_model_has_a_file_of_its_own_also_where_capitals_are_not_told_apart():
    names = [file_name(model) for model in ALIKE]
    assert len({name.lower() for name in names}) == len(ALIKE)
    assert all(0 < len(name) < 120 and name.isascii() and not set(name) & set("/\\:\0\n '\"$*?<>|") for name in names)
    assert all(not name.startswith((".", "-")) and name == name.lower() for name in names)
    assert [file_name(name) for name in ("gpt-4o", "llama3.1", "org_big")] == ["gpt-4o", "llama3.1", "org_big"]


def test_models_named_alike_overwrite_nothing(endpoint):
    models = ["org/big", "org:big", "Org/Big", "org-big"]
    for model in models:
        ask_all(QUESTIONS[:2], settings(model), NoiseAnswer.live_files(model))
    for model in models:
        assert [a.asked for a in NoiseAnswer.read(NoiseAnswer.live_files(model)[-1])] == [model, model]
    assert len(endpoint.requests) == 8


# What earlier versions left


def test_answers_of_earlier_versions_are_found_and_kept(endpoint):
    """They lay beside the tables of each profile, in a file that models named alike shared."""
    old = results_root() / "smoke" / "answers-org-big.json"
    asked = [q.record(["Door"], author=None, model="m", asked=asked, attempts=1, date="2026-11-21")
             for q, asked in zip(QUESTIONS, ["org/big", "org:big", "org/big"], strict=False)]  # fmt: skip
    write_records(old, asked, "test")
    for model, left in (("org/big", 1), ("org:big", 2)):
        found = ask_all(QUESTIONS[:3], settings(model), NoiseAnswer.live_files(model))
        assert [a.noise_classes for a in found].count(["Door"]) == 3 - left
        old_too = NoiseAnswer.read(NoiseAnswer.live_files(model)[-1])
        assert len(old_too) == 3  # what was only there is here now
    assert len(endpoint.requests) == 3 and NoiseAnswer.read(old) == asked
    old.unlink()
    assert len(ask_all(QUESTIONS[:3], settings("org/big"), NoiseAnswer.live_files("org/big"))) == 3
    assert len(endpoint.requests) == 3


def test_an_answer_goes_before_a_fault_wherever_it_is(endpoint, tmp_path):
    [question] = QUESTIONS[:1]
    origin = {"author": None, "model": "m", "asked": "tiny", "attempts": 1, "date": "2026-11-21"}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    write_records(paths[0], [question.record(["Door"], **origin)], "test")
    write_records(paths[1], [question.record([], **origin, fault="refused")], "test")
    assert ask_all([question], settings(), paths)[0].noise_classes == ["Door"]
    assert NoiseAnswer.read(paths[1])[0].noise_classes == ["Door"] and not endpoint.requests


def test_an_answer_is_to_a_question_not_to_a_profile(monkeypatch):
    """Two profiles with one question pay once; and answers of each are compared with its own records only."""
    smoke, open_ = (Run(load_profile(name), "02", 0) for name in ("smoke", "open"))
    questions = noise_questions([["Dog"]], smoke.profile.data.noise_classes)
    with wire(http({"choices": [{"message": {"content": '{"noise_classes": ["Door", "Wind"]}'}}]})) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        for _ in (smoke, open_):
            ask_all(questions, settings(), NoiseAnswer.live_files("tiny"))
    assert len(server.requests) == 1
    NoiseAnswer.live_files("tiny")[-1].with_name(".tiny-x1y2.json").touch()  # what a kill may leave
    assert list(agreement_with_live(smoke)) == ["tiny"] and agreement_with_live(open_) == {}


# Two at once


def asks(path: Path, labels: list[str], started: Any) -> None:
    started.wait(10)
    ask_all(noise_questions([[label] for label in labels], ["Door", "Rain", "Wind"]), settings(), [path])


@pytest.mark.parametrize("shared", [LABELS, LABELS[:3], []])
def test_two_processes_lose_nothing_and_ask_nothing_twice(shared, tmp_path, monkeypatch):
    path, slow = tmp_path / "tiny.json", (0.02, *GOOD)
    context = multiprocessing.get_context("fork")
    own = [[label for label in LABELS if label not in shared][i::2] for i in range(2)]
    with wire(slow) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        started = context.Event()
        both = [context.Process(target=asks, args=(path, [*shared, *labels], started)) for labels in own]
        for process in both:
            process.start()
        started.set()
        for process in both:
            process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(a.label_set[0] for a in NoiseAnswer.read(path)) == sorted(LABELS)
    assert len(server.requests) == len(LABELS)


def test_threads_of_a_notebook_wait_for_each_other_too(endpoint, tmp_path):
    path = tmp_path / "tiny.json"
    threads = [threading.Thread(target=ask_all, args=([q], settings(), [path])) for q in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(NoiseAnswer.read(path)) == len(QUESTIONS) == len(endpoint.requests)


def test_what_is_filed_is_had_while_another_asks(endpoint, tmp_path, monkeypatch):
    path = tmp_path / "tiny.json"
    filed = ask_all(QUESTIONS[:1], settings(), [path])
    with wire((60.0,)) as mute:
        monkeypatch.setenv("OPENAI_BASE_URL", mute.url)
        slow = multiprocessing.get_context("fork").Process(target=ask_all, args=(QUESTIONS, settings(), [path]))
        slow.start()
        while not mute.requests:
            time.sleep(0.01)
        assert ask_all(QUESTIONS[:1], settings(), [path]) == filed
        slow.kill()
        slow.join()
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        assert len(ask_all(QUESTIONS, settings(), [path])) == len(QUESTIONS)  # a kill leaves nothing locked
    assert len(NoiseAnswer.read(path)) == len(QUESTIONS)


def test_a_fault_of_the_endpoint_leaves_the_lock_free(tmp_path, monkeypatch):
    with wire(GOOD, http("no", 400), GOOD) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with pytest.raises(LlmError, match="status 400: no"):
            ask_all(QUESTIONS, settings(), [tmp_path / "a.json"])
        assert len(ask_all(QUESTIONS, settings(), [tmp_path / "a.json"])) == len(QUESTIONS) == len(server.requests) - 1


# What is to be asked about

INPUTS: dict[str, tuple[str | bytes | None, dict[str, Any], list[str]]] = {
    "no file": (None, {}, ["c.txt", "--inputs"]),
    "empty": ("", {}, ["c.txt", "one a line"]),
    "blank": (" \n\n\t\n", {}, ["c.txt", "one a line"]),
    "latin-1": (b"caf\xe9\n", {}, ["c.txt", "UTF-8"]),
    "UTF-16": ("A dog barks.\n".encode("utf-16"), {}, ["c.txt", "UTF-8"]),
    "zeros": (bytes(100), {}, ["c.txt", "one a line"]),
    "a recording": (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00", {}, ["c.txt", "one a line"]),
    "terminal codes": ("A dog barks.\n\x1b[2J\n", {}, ["c.txt", "one a line"]),
    "a line of 1 MB": ("x" * 2**20, {}, ["c.txt", "1,000"]),
    "words the wrong way round": ("A dog barks.\n", {"words": (20, 5)}, ["--words 20 5"]),
    "no word": ("A dog barks.\n", {"words": (0, 5)}, ["--words 0 5"]),
    "fewer examples than none": ("A dog barks.\n", {"shots": [-1]}, ["-1", "shots"]),
    "more examples than there are": ("A dog barks.\n", {"shots": [99]}, ["99", "shots"]),
}


@pytest.mark.parametrize("case", INPUTS)
def test_what_cannot_be_asked_about_is_said_before_asking(case, tmp_path):
    (content, options, words), path = INPUTS[case], tmp_path / "c.txt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AnswerError) as caught:
        questions_on(load_profile("smoke").data, ["parse"], **{"inputs": path, **options})
    assert all(word in str(caught.value) for word in words), caught.value


# Votes and ratings

PAIR = Pair("clip", "PIT", torch.zeros(1), torch.zeros(1, 1), torch.zeros(1, 1))
QUERIES = pd.DataFrame({"file_name": ["a.wav", "b.wav"], "query": ["dog", "rain, falling"]})
VOTE, SHEET = ",".join(VOTE_COLUMNS) + "\n", ",".join(COLUMNS) + "\n"


def read_votes(path: Path) -> Any:
    return Votes(path).read()


def vote(path: Path, rater: str = "me", pair: int = 0) -> None:
    Votes(path).add(rater, pair, PAIR, "A", "B")


def rate_first(path: Path) -> None:
    rate(path, 1, REL=3)


# Reader, writer, content, words.
TABLES: dict[str, tuple[Any, Any, str | bytes, list[str]]] = {
    f"{kind}, {what}": (read, write, content, words)
    for kind, read, write, head in (("votes", read_votes, vote, VOTE), ("sheet", read_sheet, rate_first, SHEET))
    for what, content, words in (
        ("empty", "", ["has no column"]),
        ("zeros", bytes(300), ["people.csv"]),
        ("not a table", "a dog barks", ["has no column"]),
        ("latin-1", head.encode() + "é\n".encode("latin-1"), ["cannot be read"]),
        ("UTF-16", head.encode("utf-16"), ["cannot be read"]),
        ("semicolons", head.replace(",", ";"), ["has no column", "commas"]),
        ("a column missing", head.replace("rater,", "").replace(",rater", ""), ["has no column rater"]),
        ("a row cut", head + "me,1\n", ["line 2"]),
        ("a quote that is not closed", head + '"me,1\n', ["cannot be read"]),
        ("more in a row", head + ",".join("x" * 20) + "\n", ["line 2"]),
    )
} | {
    "votes, an unknown choice": (read_votes, vote, VOTE + "me,0,x,PIT,A,maybe\n", ["row 2", "maybe", "draw"]),
    "votes, an unknown side": (read_votes, vote, VOTE + "me,0,x,PIT,C,A\n", ["row 2", "'C'"]),
    "votes, a pair that is no number": (read_votes, vote, VOTE + "me,first,x,PIT,A,A\n", ["line 2", "'first'"]),
    "votes, a pair below nothing": (read_votes, vote, VOTE + "me,-1,x,PIT,A,A\n", ["line 2", "'-1'"]),
    "votes, a choice of 1 MB": (read_votes, vote, VOTE + f"me,0,x,PIT,A,{'x' * 2**16}\n", ["row 2", "xxx"]),
    "votes, a rater of 1 MB": (read_votes, vote, VOTE + f"{'x' * 2**20},0,x,PIT,A,A\n", ["cannot be read"]),
    "votes, twice on one pair": (read_votes, vote, VOTE + 2 * "me,0,x,PIT,A,A\n", ["row 3", "second vote"]),
    **{
        f"sheet, rated {value[:9]!r}": (read_sheet, rate_first, SHEET + f"1,X,a.wav,dog,me,{value},\n", words)
        for value, words in (("6", ["REL", "'6'"]), ("0", ["'0'"]), ("3.0", ["'3.0'"]), ("nan", ["'nan'"]),
                             ("x" * 2**16, ["xx"]), ("1e0", ["'1e0'"]), ("-1", ["'-1'"]),
                             ("good", ["'good'"]), ("\x1b[2J", ["REL"]))
    },
    "sheet, an example that is no number": (
        read_sheet, rate_first, SHEET + "first,X,a.wav,dog,me,1,\n", ["line 2", "'first'"]),
    "sheet, an example twice": (
        read_sheet, rate_first, SHEET + 2 * "1,X,a.wav,dog,me,1,\n", ["line 3", "keep one"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_a_damaged_table_of_people_is_named_and_left_as_it_is(case, tmp_path):
    (read, write, content, words), path = TABLES[case], tmp_path / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    for use in (read, write):
        with pytest.raises(DataError) as caught:
            use(path)
        said = str(caught.value)
        assert said.isprintable() and len(said) < len(str(path)) + 500, said
        assert all(word in said for word in [str(path), *words]), said
    assert path.read_bytes() == before


@pytest.mark.parametrize("make", [fifo, folder, device])
@pytest.mark.parametrize("read", [read_votes, read_sheet])
def test_a_table_that_is_no_file_is_not_read(read, make, tmp_path):
    make(tmp_path / "people.csv")
    with pytest.raises(DataError, match=r"people\.csv cannot be read"):
        read(tmp_path / "people.csv")


@pytest.mark.parametrize("write", [vote, lambda p: blank_sheet(p, ["X"], QUERIES, "me")])
def test_a_table_that_cannot_be_written_says_so(write):
    with pytest.raises(UserError, match=r"cannot be written .*NRSED_KEPT"):
        write(Path("/dev/null/people.csv"))


def votes_many(path: Path, rater: str) -> None:
    for pair in range(5):
        vote(path, rater, pair)


def rates_many(path: Path, system: str) -> None:
    for example in read_sheet(path).query("system == @system").example:
        rate(path, int(example), REL=3, OVL=4)


@pytest.mark.parametrize("act, who", [(votes_many, ["one", "two"]), (rates_many, ["X", "Y"])])
def test_two_people_at_once_lose_nothing(act, who, tmp_path):
    path, context = tmp_path / "people.csv", multiprocessing.get_context("fork")
    if act is rates_many:
        blank_sheet(path, who, QUERIES, "me")
    both = [context.Process(target=act, args=(path, name)) for name in who]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert len(read_votes(path)) == 10 if act is votes_many else read_sheet(path)[["REL", "OVL"]].notna().all(axis=None)


@pytest.mark.parametrize("where", ["", "work/09_dcase_task9", "work/09_dcase_task9/0123456789abcdef"])
def test_votes_and_ratings_of_earlier_versions_are_found_and_outlive_the_run(where):
    run = Run(load_profile("smoke"), "09", 0)
    old = results_root() / "smoke" / where
    vote(old / "opensep_preference_votes.csv")
    blank_sheet(old / "listening-you.csv", ["X"], QUERIES, "you")
    rate(old / "listening-you.csv", 1, REL=5, OVL=5)
    assert len(votes_of(run).read()) == 1
    sheet = sheet_of(run, "you")
    for file in old.glob("*.csv"):
        file.unlink()
    assert len(votes_of(run).read()) == 1 and read_sheet(sheet).REL.notna().sum() == 1
    assert not any(path.is_relative_to(results_root()) for path in (sheet, votes_of(run).path))


def test_ratings_stay_when_other_sounds_are_to_be_rated(tmp_path):
    path = tmp_path / "you.csv"
    blank_sheet(path, ["X", "Y"], QUERIES, "you")
    rate(path, 1, REL=5, OVL=4)
    rated = read_sheet(path).query("example == 1")[["system", "file_name"]].to_numpy().tolist()
    others = QUERIES.assign(file_name=["c.wav", "d.wav"])
    sheet = blank_sheet(path, ["X", "Y"], others, "you")
    assert len(sheet) == 5 and sheet.example.is_unique
    assert sheet[sheet.REL.notna()][["system", "file_name"]].to_numpy().tolist() == rated
    assert set(sheet[sheet.REL.isna()].file_name) == {"c.wav", "d.wav"}
    before = path.read_bytes()
    blank_sheet(path, ["X", "Y"], others, "you")
    assert path.read_bytes() == before
