"""Texts about sounds: the questions, what is recorded, and replay."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from dogs import GOOD, augment, classes_of, record

from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.records import PROJECT, replay, write_records
from nrsed_lib.studies.texts import authored as authored_texts
from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.captions import (
    BY_PROJECT,
    captions_of,
    classes_named,
    recorded_by,
    recorded_files,
    texts_of,
)
from nrsed_lib.studies.texts.questions import (
    KNOWLEDGE,
    PARSE,
    TextAnswer,
    TextQuestion,
    augmentations,
    task_of,
    tasks,
)
from nrsed_lib.studies.texts.sounds import sounds_of

PROMPTS = ["paraphrase", "tags", "detailed", "viewpoints", "chain_of_thought"]


def test_the_tasks_and_the_form_of_their_answers():
    assert list(tasks()) == [*(f"augment/{name}" for name in PROMPTS), PARSE, KNOWLEDGE]
    assert augmentations() == PROMPTS
    schema = augment().form.model_json_schema()
    assert schema["properties"]["texts"] | {"title": ""} == {
        "items": {"type": "string"}, "maxItems": 5, "minItems": 5, "title": "", "type": "array",
    }  # fmt: skip
    assert schema["required"] == ["texts"] and schema["additionalProperties"] is False
    assert (
        "maxItems" not in TextQuestion(task_of(PARSE), "A dog barks.").form.model_json_schema()["properties"]["texts"]
    )


def test_examples_are_earlier_turns_in_the_same_words():
    for shots in (0, 2, 5):
        turns = TextQuestion(task_of(KNOWLEDGE), "A dog barks.", shots).conversation()
        assert [turn["role"] for turn in turns] == ["system", *["user", "assistant"] * shots, "user"]
        examples = task_of(KNOWLEDGE).examples[:shots]
        for (text, answer), user, assistant in zip(examples, turns[1:-1:2], turns[2::2], strict=True):
            assert user["content"] == turns[-1]["content"].replace("A dog barks.", text)
            assert json.loads(assistant["content"])["texts"] == list(answer)
    assert "1 string." in turns[0]["content"] and "5 strings." in augment().conversation()[0]["content"]
    assert "Write 5 captions" in augment().conversation()[1]["content"]
    prompts = {TextQuestion(task_of(name), "A dog barks.", s).prompt for name in (PARSE, KNOWLEDGE) for s in range(6)}
    assert len(prompts) == 12
    with pytest.raises(AnswerError, match=r"6 examples are to be shown for 'parse', but .* has 5"):
        TextQuestion(task_of(PARSE), "A dog barks.", 6)
    with pytest.raises(AnswerError, match=r"no task 'augment/poem'.*augment/paraphrase"):
        task_of("augment/poem")
    with pytest.raises(AnswerError, match="say which sound"):
        TextQuestion(task_of("augment/tags"), "A dog barks.")


def test_the_examples_keep_the_rules_and_give_nothing_away():
    every = sounds_of(dict.fromkeys(name for p in ("mini", "open") for name in classes_of(p)))
    for name in (PARSE, KNOWLEDGE):
        for text, answer in task_of(name).examples:
            assert TextQuestion(task_of(name), text, 5).faults(answer) == []
            assert text not in {sound.caption for sound in every.values()}


@pytest.mark.parametrize("profile", ["mini", "open", "smoke"])
def test_every_class_of_the_profiles_has_its_texts_within_the_rules(profile):
    captions = captions_of(classes_of(profile))  # which checks those of augmentation and knowledge
    assert list(captions) == classes_of(profile)
    for name, caption in captions.items():
        assert list(caption.augmented) == PROMPTS and caption.words
        assert name in classes_named(caption.original, captions)
        assert len(caption.original.split()) <= 20
        assert [len(given) for given in caption.augmented.values()] == [5] * 5
        every = [caption.original, *(text for given in caption.augmented.values() for text in given)]
        assert rules.repeated(every) == []
        assert len(caption.held_out) == 3 and rules.repeated(caption.held_out, every) == []
        assert max(len(text.split()) for text in caption.held_out) <= 20
        assert rules.is_one_sentence(caption.knowledge) and 15 <= len(caption.knowledge.split()) <= 100


def test_texts_written_here_name_no_model_and_are_what_is_in_the_files_they_are_composed_from():
    answers = TextAnswer.read(BY_PROJECT)
    assert answers == authored_texts.answer_all()
    assert {(a.author, a.model, a.asked, a.attempts) for a in answers} == {(PROJECT, None, None, None)}
    about = json.loads(BY_PROJECT.read_text())["about"]
    assert "not replies of a language model" in about and about == authored_texts.about()


def test_recorded_replies_of_models_keep_the_rules_they_were_accepted_under():
    every = sounds_of(dict.fromkeys(name for p in ("mini", "open") for name in classes_of(p)))
    by_profile = [sounds_of(classes_of(p)) for p in ("mini", "open")]
    for path in recorded_files()[1:]:
        for answer in TextAnswer.read(path):
            assert answer.model and answer.asked and answer.attempts and answer.author is None
            task = replace(task_of(answer.task), words=answer.words)
            if answer.task.startswith("augment/"):
                asked = [TextQuestion(task, answer.input, answer.shots, answer.sound, s) for s in by_profile if
                         answer.sound in s]  # fmt: skip
            else:
                asked = [TextQuestion(task, answer.input, answer.shots, answer.sound, every)]
            assert asked[0].key == answer.key, f"{path}: {answer.input!r} was asked in other words than those in use"
            assert answer.fault or any(question.faults(answer.texts) == [] for question in asked)


def test_texts_by_task_and_author():
    assert recorded_by(KNOWLEDGE)[PROJECT] == [5]
    captions = captions_of(["Dog", "Speech"])
    assert texts_of(KNOWLEDGE, ["Dog", "Speech"], shots=5) == {n: (c.knowledge,) for n, c in captions.items()}
    assert texts_of("augment/tags", ["Dog"]) == {"Dog": captions["Dog"].augmented["tags"]}
    assert texts_of(KNOWLEDGE, ["Dog"], by="nobody", shots=5) == {}


def test_replay_says_what_is_missing(tmp_path, monkeypatch):
    with pytest.raises(AnswerError, match=r"'Yeti' has no caption in .*sounds1\.yaml.*write an entry"):
        captions_of(["Dog", "Yeti"])
    path = tmp_path / "a.json"
    with pytest.raises(AnswerError, match=r"a\.json does not exist.*nrsed llm texts"):
        TextAnswer.read(path)
    path.write_text('{"answers": [{"task": "parse"}]}')
    with pytest.raises(AnswerError, match="not a file of recorded answers"):
        TextAnswer.read(path)
    with pytest.raises(AnswerError, match=r"a\.json has no answer to 'augment/paraphrase' of 'A dog barks.' \(Dog\)"):
        replay([augment()], path, [])
    bad = record(texts=(*GOOD[:4], "Rain"))
    with pytest.raises(AnswerError, match=r"a\.json: the answer to .* breaks a rule: 'Rain' does not name"):
        replay([augment()], path, [bad])
    assert replay([augment()], path, [record()])[0].texts == tuple(GOOD)


def test_a_record_has_one_origin_and_either_texts_or_a_fault(tmp_path):
    for wrong in ({"model": "m"}, {"author": None}, {"texts": ()}, {"fault": "why"}):
        with pytest.raises(ValueError, match="give"):
            record(**wrong)
    write_records(tmp_path / "a.json", [record(), record(author=None, model="m", asked="m", attempts=2)], "test")
    assert TextAnswer.read(tmp_path / "a.json")[1].by == "m" and len(TextAnswer.read(tmp_path / "a.json")) == 2
