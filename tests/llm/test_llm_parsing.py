"""Captions taken apart: recorded answers, live ones, and rules."""

from __future__ import annotations

import pytest
from dogs import SOUNDS, classes_of, record, texts
from endpoint import serve

from nrsed_lib.artefacts import Run
from nrsed_lib.llm.records import write_records
from nrsed_lib.profile import load_profile
from nrsed_lib.studies.texts.captions import captions_of, classes_named, spoken
from nrsed_lib.studies.texts.parsing import LlmParser, RuleParser, parser_of, recorded_parser
from nrsed_lib.studies.texts.questions import PARSE, TextAnswer, TextQuestion, task_of


@pytest.mark.parametrize(
    "caption, sources",
    [
        (
            "Children yelling while a dog is barking in the background and a car horn honks afterwards",
            ["Children yelling.", "A dog is barking.", "A car horn honks."],
        ),
        ("A cat meows and a cat meows.", ["A cat meows."]),
        ("A man speaks followed by whistling.", ["A man speaks.", "Whistling."]),
        ("Music, laughter, and the sound of rain", ["Music.", "Laughter.", "Rain."]),
        ("In the background", ["In the background"]),  # nothing to name: the caption itself
    ],
)
def test_rules_parse_plain_captions(caption, sources):
    assert RuleParser()(caption) == sources
    assert recorded_parser()(caption) == sources  # nobody recorded these
    assert "no LLM" in RuleParser().name and "no LLM" in recorded_parser().name


def test_rules_that_know_the_sounds_keep_together_what_is_one_source():
    parser = RuleParser(SOUNDS)
    assert parser("A dog growls and snaps, then it barks") == ["A dog growls and snaps."]
    assert parser("Rain, dogs, a puppy and a voice") == ["Rain.", "Dogs.", "A voice."]


@pytest.mark.parametrize("profile", ["mini", "open"])
def test_captions_of_several_sounds_are_parsed_into_them(profile):
    captions = captions_of(classes_of(profile)[:24])
    parser = recorded_parser(captions)
    names = list(captions)
    for i in range(0, len(names) - 4):
        for chosen in (names[i : i + 1], names[i : i + 4 : 2], names[i : i + 4]):
            sources = parser(spoken(chosen, captions))
            assert [classes_named(source, captions) for source in sources] == [{name} for name in chosen]


def test_recorded_and_live_answers_come_before_the_rules(key, tmp_path, monkeypatch):
    caption, path = "A dog and a cat cry", tmp_path / "a.json"
    question = TextQuestion(task_of(PARSE), caption, 5)
    answer = record(task=PARSE, input=caption, sound=None, shots=5, texts=("A dog.", "A cat."), prompt=question.prompt)
    write_records(path, [answer], "test")
    assert LlmParser(TextAnswer.read(path), RuleParser())(caption) == ["A dog.", "A cat."]
    assert LlmParser((), RuleParser())(caption) == RuleParser()(caption)

    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setenv("NRSED_KEPT", str(tmp_path / "kept"))
    run = Run(load_profile("smoke", {"llm.mode": "live", "llm.model": "tiny", "llm.max_repairs": 0}), "02", 0)
    with serve(texts("A dog cries.", "A cat cries."), texts("Elephants.")) as endpoint:
        key(endpoint)
        parser = parser_of(run)
        assert parser(caption) == ["A dog cries.", "A cat cries."] == parser(caption)
        assert parser("Rain and wind") == ["Rain.", "Wind."]  # its answer is of no use: the rules
    assert len(endpoint.requests) == 2 and [
        a.input for a in TextAnswer.read(TextAnswer.live_files(run.profile.llm.model)[-1])
    ] == [
        caption,
        "Rain and wind",
    ]
    assert parser_of(Run(load_profile("smoke"), "02", 0))("Rain and wind") == ["Rain.", "Wind."]
