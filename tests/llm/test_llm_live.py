"""The live path against a server that misbehaves in every way an endpoint can."""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from endpoint import Response, choose, completion, error, serve

from nrsed_lib.errors import LlmError
from nrsed_lib.llm.asking import ask_all
from nrsed_lib.llm.client import Client
from nrsed_lib.llm.noise import PROMPT, NoiseAnswer, noise_questions
from nrsed_lib.llm.records import replay
from nrsed_lib.llm.review import acceptance
from nrsed_lib.profile import Llm, load_profile
from nrsed_lib.run.cli import choose_noise

KEY = "sk-very-secret"
VOCABULARY = ["Door", "Rain", "Telephone bell ringing", "Tick-tock"]
ALARM, DOG, SPEECH = (frozenset({label}) for label in ("Alarm_bell_ringing", "Dog", "Speech"))
GOOD = choose("Door", "Rain")


def settings(**changed) -> Llm:
    return Llm(**{"mode": "live", "answers": "none.json", "model": "tiny", "timeout_s": 5, "max_retries": 2, **changed})


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return lambda endpoint: monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)


def answer_of(key, *script, labels=ALARM, **changed):
    with serve(*script) as endpoint, TemporaryDirectory() as folder:
        key(endpoint)
        path = Path(folder) / "a.json"
        [answer] = ask_all(noise_questions([labels], VOCABULARY), settings(**changed), [path], keep_going=False)
        assert NoiseAnswer.read(path) == [answer]
        return answer, endpoint.requests


def test_a_good_answer_is_taken_with_the_name_the_endpoint_gave(key):
    answer, requests = answer_of(key, GOOD)
    assert answer.noise_classes == ["Door", "Rain"] and answer.label_set == ["Alarm_bell_ringing"]
    assert (answer.model, answer.asked, answer.author) == ("tiny-2026", "tiny", None)
    [(authorization, body, _)] = requests
    assert authorization == f"Bearer {KEY}"
    assert body["model"] == "tiny"
    assert body["messages"][-1]["content"] == PROMPT.format(events="Alarm bell ringing")
    assert all(noise in body["messages"][1]["content"].splitlines() for noise in VOCABULARY)
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["required"] == ["noise_classes"]
    assert schema["schema"]["additionalProperties"] is False


@pytest.mark.parametrize("first", [error(429), error(500), error(503), Response("not JSON at all", 502)])
def test_busy_and_broken_servers_are_tried_again(key, first):
    answer, requests = answer_of(key, first, GOOD)
    assert answer.noise_classes == ["Door", "Rain"] and len(requests) == 2
    assert requests[0][1] == requests[1][1]  # the same question, not a repair


def test_retry_after_is_honoured(key):
    _, requests = answer_of(key, error(429, **{"Retry-After": "1.5"}), GOOD)
    assert requests[1][2] - requests[0][2] >= 1.5  # without the header the first back-off is at most 0.5 s


def test_a_time_out_is_tried_again(key):
    slow = completion("{}")
    slow.delay_s = 1.0
    answer, requests = answer_of(key, slow, GOOD, timeout_s=0.3)
    assert answer.noise_classes == ["Door", "Rain"] and len(requests) == 2


def test_retries_end_in_an_error_that_says_what_happened(key):
    with pytest.raises(
        LlmError, match=r"127\.0\.0\.1 gave no reply from 'tiny' after at most 1 retries.*500.*run again"
    ):
        answer_of(key, error(500), max_retries=1)


def test_a_wrong_key_is_not_tried_again_and_not_repeated(key):
    with serve(error(401, f"Incorrect API key provided: {KEY}")) as endpoint:
        key(endpoint)
        with pytest.raises(LlmError, match="401") as caught:
            Client(settings()).ask([{"role": "user", "content": "?"}], noise_questions([DOG], VOCABULARY)[0].form)
    assert len(endpoint.requests) == 1
    assert KEY not in str(caught.value)
    assert caught.value.__suppress_context__  # the original, which repeats the key, is not shown


@pytest.mark.parametrize(
    "bad, reason",
    [
        (completion('{"noise_classes": ["Do', finish="length"), "cut off"),
        (completion('{"noise_classes": ["Do'), "not the JSON"),
        (completion("Door and rain, I would say."), "not the JSON"),
        (completion('{"noises": ["Door"]}'), "not the JSON"),
        (completion(None, refusal="I cannot help with that."), "refused: I cannot help"),
        (completion(None, finish="content_filter"), "refused: content filter"),
        (completion(None), "not the JSON"),
        (Response({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}), "no choices"),
        (choose("Door", "Chainsaw"), r"\['Chainsaw'\] are not in Uγ"),
        (choose("Door", "Telephone bell ringing"), "'Telephone bell ringing' is similar to Alarm_bell_ringing"),
        (choose(), "the list is empty"),
    ],
)
def test_faulty_answers_are_asked_for_again_with_the_reason(key, bad, reason):
    answer, requests = answer_of(key, bad, GOOD)
    assert answer.noise_classes == ["Door", "Rain"] and len(requests) == 2
    before, after = (body["messages"] for _, body, _ in requests)
    assert after[: len(before)] == before
    assert [message["role"] for message in after[len(before) :]] == ["assistant", "user"]
    with pytest.raises(LlmError, match=rf"(?s)\['Alarm_bell_ringing'\].* in 3 attempts.*{reason}"):
        answer_of(key, bad, max_repairs=2)


def test_a_class_named_twice_counts_once(key):
    assert answer_of(key, choose("Rain", "Door", "Rain"))[0].noise_classes == ["Rain", "Door"]


def test_whoever_decodes_by_the_schema_can_say_nothing_but_the_vocabulary(key):
    _, [(_, body, _)] = answer_of(key, GOOD)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["additionalProperties"] is False and schema["required"] == ["noise_classes"]
    said = schema["properties"]["noise_classes"]
    assert {key: said[key] for key in ("type", "items", "minItems", "maxItems")} == {
        "type": "array", "items": {"type": "string", "enum": VOCABULARY}, "minItems": 1, "maxItems": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    "stubborn, kept, refused",
    [
        (choose("Door", "Telephone bell ringing", "Door"), ["Door"], ["Telephone bell ringing"]),
        (choose("Telephone bell ringing"), [], None),  # nothing is left
        (choose("Door", "Chainsaw", "Telephone bell ringing"), [], None),  # a class that nobody listed
        (completion("Door"), [], None),
    ],
)
def test_a_recorder_takes_what_the_rule_leaves_of_an_answer_never_mended(key, tmp_path, stubborn, kept, refused):
    path, question = tmp_path / "a.json", noise_questions([ALARM], VOCABULARY)
    with serve(stubborn) as endpoint:
        key(endpoint)
        [answer] = ask_all(question, settings(max_repairs=2), [path])
    assert len(endpoint.requests) == answer.attempts == 3
    assert answer.noise_classes == kept and answer.refused == (refused or [])
    assert (answer.fault is None) == bool(kept) and NoiseAnswer.read(path) == [answer]
    if kept:
        assert replay(question, path) == [answer]
    at_once, again = (answer.model_copy(update={"attempts": n, "refused": [], "fault": None}) for n in (1, 2))
    counts = acceptance([answer, at_once, at_once, again])
    assert counts.to_dict() == {"at once": 2, "asked again": 1, "left out": bool(kept), "never": not kept}


def test_the_command_asks_about_every_label_set_and_says_how_it_went(key, tmp_path, capsys):
    with serve(choose("Door")) as endpoint:
        key(endpoint)
        choose_noise("tiny", "smoke", ["data.max_events_per_clip=1"], tmp_path / "a.json", ["temperature=0"])
    assert {tuple(a.label_set) for a in NoiseAnswer.read(tmp_path / "a.json")} == {
        (name,) for name in load_profile("smoke").data.classes
    }
    assert {body["temperature"] for _, body, _ in endpoint.requests} == {0}
    assert "at once" in capsys.readouterr().out


def test_repairs_are_bounded(key, tmp_path):
    path = tmp_path / "a.json"
    with serve(choose()) as endpoint:
        key(endpoint)
        with pytest.raises(LlmError, match="1 attempts"):
            ask_all(noise_questions([DOG], VOCABULARY), settings(max_repairs=0), [path], keep_going=False)
    assert len(endpoint.requests) == 1 and not path.exists()  # only what is accepted is filed


def events_asked_about(endpoint) -> list[str]:
    questions = [body["messages"][-1]["content"] for _, body, _ in endpoint.requests]
    return [question.split("present this clip: ")[1].split(". ")[0] for question in questions]


def killed(endpoint, path):
    """SIGKILL while the second answer is under way."""
    arguments = (noise_questions([ALARM, DOG, SPEECH], VOCABULARY), settings(), [path])
    process = multiprocessing.get_context("fork").Process(target=ask_all, args=arguments)
    process.start()
    while len(endpoint.requests) < 2:
        time.sleep(0.01)
    process.kill()
    process.join()


def out_of_credit(endpoint, path):
    with pytest.raises(LlmError, match="out of credit"):
        ask_all(noise_questions([ALARM, DOG, SPEECH], VOCABULARY), settings(), [path])


@pytest.mark.parametrize(
    "stop, second", [(killed, replace(GOOD, delay_s=1.0)), (out_of_credit, error(400, "out of credit"))]
)
def test_nothing_is_asked_twice_after_a_stop(key, tmp_path, stop, second):
    path = tmp_path / "answers-tiny.json"

    with serve(GOOD, second) as endpoint:
        key(endpoint)
        stop(endpoint, path)
    assert events_asked_about(endpoint) == ["Alarm bell ringing", "Dog"]
    assert [answer.label_set for answer in NoiseAnswer.read(path)] == [["Alarm_bell_ringing"]]

    with serve(GOOD) as endpoint:
        key(endpoint)
        answers = ask_all(noise_questions([ALARM, DOG, SPEECH], VOCABULARY), settings(), [path])
    assert events_asked_about(endpoint) == ["Dog", "Speech"]
    assert [a.label_set for a in answers] == [["Alarm_bell_ringing"], ["Dog"], ["Speech"]]

    with serve(error(500)) as endpoint:
        key(endpoint)
        twice = noise_questions([SPEECH, ALARM, SPEECH], VOCABULARY)
        assert ask_all(twice, settings(), [path]) == [answers[2], answers[0]]
    assert endpoint.requests == []


def test_only_the_same_models_answers_are_reused(key, tmp_path):
    recorded, filed = tmp_path / "recorded.json", tmp_path / "filed.json"
    with serve(GOOD) as endpoint:
        key(endpoint)
        ask_all(noise_questions([DOG], VOCABULARY), settings(), [recorded])
        before = recorded.read_text()
        ask_all(noise_questions([DOG], VOCABULARY), settings(), [recorded, filed])
        assert len(endpoint.requests) == 1
        ask_all(noise_questions([DOG], VOCABULARY), settings(model="other"), [recorded, filed])
    assert [body["model"] for _, body, _ in endpoint.requests] == ["tiny", "other"]
    assert recorded.read_text() == before  # new answers go to the last file


def test_another_vocabulary_is_another_question(key, tmp_path):
    with serve(GOOD) as endpoint:
        key(endpoint)
        for vocabulary in (VOCABULARY, VOCABULARY[:3]):
            ask_all(noise_questions([DOG], vocabulary), settings(), [tmp_path / "a.json"])
    assert len(endpoint.requests) == 2


def test_the_key_is_in_no_file(key, tmp_path: Path):
    echo = completion(json.dumps({"noise_classes": ["Door"]}), model=f"tiny {KEY}")
    with serve(choose(f"{KEY}"), echo) as endpoint:
        key(endpoint)
        ask_all(noise_questions([DOG], VOCABULARY), settings(), [tmp_path / "a.json"])
    assert len(endpoint.requests) == 2 and KEY not in json.dumps(endpoint.requests[1][1])
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not any(KEY in text for text in written)


def test_live_without_a_key_says_what_to_do(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(LlmError, match=r"OPENAI_API_KEY is not set.*replay"):
        Client(settings())
