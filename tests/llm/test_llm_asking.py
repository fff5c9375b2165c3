"""Asking a live model that misbehaves, and what is filed of it."""

from __future__ import annotations

import re

import pytest
from dogs import GOOD, KEY, augment, record, texts
from endpoint import Response, completion, error, serve
from typer.testing import CliRunner

from nrsed_lib.errors import AnswerError, LlmError
from nrsed_lib.llm.asking import ask, ask_all
from nrsed_lib.llm.client import Client
from nrsed_lib.llm.records import write_records
from nrsed_lib.profile import Llm, load_profile
from nrsed_lib.run import cli
from nrsed_lib.studies.texts.captions import questions, questions_on
from nrsed_lib.studies.texts.questions import KNOWLEDGE, PARSE, TextAnswer
from nrsed_lib.studies.texts.review import acceptance
from nrsed_lib.studies.texts.sounds import sounds_of


def settings(**changed) -> Llm:
    return Llm(**{"mode": "live", "answers": "none.json", "model": "tiny", "timeout_s": 5, "max_retries": 1, **changed})


@pytest.mark.parametrize(
    "bad, reason",
    [
        (completion('{"texts": ["A dog'), "not the JSON"),
        (completion('{"texts": ["A dog', finish="length"), "cut off"),
        (completion("A dog barks."), "not the JSON"),
        (completion(None, refusal="No."), "refused"),
        (texts(*GOOD[:3]), "at least 5 items"),
        (texts(*GOOD, "A dog"), "at most 5 items"),
        (texts(*GOOD[:4], GOOD[0]), "is there twice"),
        (texts(*GOOD[:4], "Rain"), "does not name the sound"),
        (texts(*GOOD[:4], "A dog in the rain"), r"names another sound \(rain\)"),
    ],
)
def test_faulty_texts_are_asked_for_again_with_the_reason(key, bad, reason):
    with serve(bad, texts(*GOOD)) as endpoint:
        key(endpoint)
        answer = ask(Client(settings(), temperature=0.0), augment())
    assert (answer.texts, answer.attempts, answer.fault) == (tuple(GOOD), 2, None)
    assert (answer.model, answer.asked, answer.options) == ("tiny-2026", "tiny", {"temperature": 0.0})
    bodies = [body for _, body, _ in endpoint.requests]
    assert all(body["temperature"] == 0.0 for body in bodies)
    assert bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["texts"]["minItems"] == 5
    assert [m["role"] for m in bodies[1]["messages"][-2:]] == ["assistant", "user"]
    assert re.search(reason, bodies[1]["messages"][-1]["content"])


def test_what_is_never_answered_is_filed_counted_and_not_asked_again(key, tmp_path):
    path = tmp_path / "texts.json"
    dog, rain = augment("Dog"), augment("Rain")
    rainy = [text.replace("a dog barks", "it rains") for text in GOOD]
    with serve(texts("x"), texts("x"), texts(*GOOD), texts(*rainy)) as endpoint:
        key(endpoint)
        asked = ask_all([dog, rain], settings(max_repairs=1), [path])
        again = ask_all([dog, rain], settings(max_repairs=1), [path])
        assert len(endpoint.requests) == 4 and again == asked == TextAnswer.read(path)
    assert asked[0].texts == () and "at least 5 items" in (asked[0].fault or "")
    [row] = acceptance(asked).to_dict("records")
    assert row == {"by": "tiny-2026", "task": dog.task.name, "shots": 0, "nb_asked": 2, "at_first": 0,
                   "after_repair": 1, "never": 1}  # fmt: skip
    with serve(texts(*GOOD)) as endpoint:
        key(endpoint)
        mended = ask_all([dog, rain], settings(), [path], again=True)
        assert len(endpoint.requests) == 1 and mended[0].texts == tuple(GOOD) and mended[1] == asked[1]
        assert len(TextAnswer.read(path)) == 2
    with serve(texts("x")) as endpoint:
        key(endpoint)
        with pytest.raises(LlmError, match=r"tiny-2026 gave no usable answer to .*A dog.* in 1 attempts.*5 items"):
            ask_all([dog, rain], settings(model="other", max_repairs=0), [path], keep_going=False)
    assert len(TextAnswer.read(path)) == 2


def test_a_stop_keeps_what_is_settled_and_other_models_records_stay(key, tmp_path):
    path = tmp_path / "texts.json"
    write_records(path, [record(author=None, model="m", asked="m", attempts=1)], "test")
    with serve(texts(*GOOD), error(400, f"out of credit {KEY}")) as endpoint:
        key(endpoint)
        with pytest.raises(LlmError, match="out of credit"):
            ask_all([augment("Dog"), augment("Rain")], settings(), [path])
    assert [(a.asked, a.sound) for a in TextAnswer.read(path)] == [("m", "Dog"), ("tiny", "Dog")]
    assert KEY not in path.read_text()


def test_the_questions_of_a_profile(tmp_path):
    data = load_profile("smoke").data
    asked = questions_on(data, ["augment", KNOWLEDGE], [0])
    assert len(asked) == 10 * 6 and len({q.key for q in asked}) == 60
    assert [q.shots for q in questions_on(data, [KNOWLEDGE], [1, 5], (3, 50))] == [1] * 10 + [5] * 10
    assert questions(KNOWLEDGE, sounds_of(["Dog"]), 0, (3, 50))[0].task.words == (3, 50)
    with pytest.raises(AnswerError, match="--inputs"):
        questions_on(data, [PARSE])
    (tmp_path / "c.txt").write_text("A dog barks.\n\nA dog barks.\nRain falls.\n")
    assert [q.text for q in questions_on(data, [PARSE], [5], inputs=tmp_path / "c.txt")] == [
        "A dog barks.",
        "Rain falls.",
    ]


def test_the_command(key, tmp_path):
    """A model that only knows dogs: one class of ten is answered, nine never are; a second run asks nothing."""

    def reply(body: dict) -> Response:
        return texts("A dog." if "A dog barks." in body["messages"][-1]["content"] else "No. Idea.")

    out = tmp_path / "texts.json"
    line = ["llm", "texts", "--task", "knowledge", "--shots", "5", "--profile", "smoke", "--model", "tiny"]
    line += ["--out", str(out), "--words", "1", "9", "--set", "llm.max_repairs=0"]
    with serve(reply) as endpoint:
        key(endpoint)
        for _ in range(2):
            done = CliRunner().invoke(cli.app, line, catch_exceptions=False)
            assert done.exit_code == 0
            assert done.stdout.splitlines()[-1].split() == ["tiny-2026", "knowledge", "5", "10", "1", "0", "9"]
            assert done.stdout.count("never: knowledge, 5 shots") == 9
        assert len(endpoint.requests) == 10
        with pytest.raises(LlmError, match="gave no usable answer"):  # which `main` says without a traceback
            CliRunner().invoke(cli.app, [*line, "--again", "--no-keep-going"], catch_exceptions=False)
    assert KEY not in out.read_text()
