"""Texts about sounds: the rules, what is recorded, replay, parsing, and a live model that misbehaves."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from endpoint import Response, completion, error, serve
from typer.testing import CliRunner

from nrsed_lib import cli
from nrsed_lib.llm import authored_texts, rules
from nrsed_lib.llm.answers import AnswerError
from nrsed_lib.llm.asking import ask, ask_all, questions_on
from nrsed_lib.llm.captions import captions_of, classes_named, questions, recorded_by, spoken, texts_of
from nrsed_lib.llm.client import Client, LlmError, Unusable
from nrsed_lib.llm.parsing import RuleParser, parse, parser_of, recorded_parser
from nrsed_lib.llm.sounds import Sound, sounds_of
from nrsed_lib.llm.text_answers import (
    PROJECT,
    RECORDED,
    TextAnswer,
    acceptance,
    live_texts,
    read_texts,
    recorded_files,
    replay_texts,
    write_texts,
)
from nrsed_lib.llm.texts import KNOWLEDGE, PARSE, Question, augmentations, task_of, tasks, texts_form
from nrsed_lib.profile import Llm, load_profile
from nrsed_lib.store import Run

KEY = "sk-very-secret"
PROMPTS = ["paraphrase", "tags", "detailed", "viewpoints", "chain_of_thought"]
SOUNDS = {
    "Dog": Sound("Dog", ("dog", "bark", "puppy"), (), "A dog barks.", ()),
    "Rain": Sound("Rain", ("rain",), (), "Rain falls.", ()),
    "Rain on roof": Sound("Rain on roof", ("rain on the roof", "roof"), (), "Rain drums on the roof.", ()),
    "Crowd": Sound("Crowd", ("crowd",), ("voice",), "A crowd murmurs.", ()),
    "Speech": Sound("Speech", ("voice", "talk"), (), "A person talks.", ()),
}
GOOD = [f"{text} a dog barks" for text in ("Here", "There", "Outside", "Inside", "Nearby")]


def texts(*given: str) -> Response:
    return completion(json.dumps({"texts": given}))


def augment(sound: str = "Dog") -> Question:
    return Question(task_of("augment/paraphrase"), SOUNDS[sound].caption, 0, sound, SOUNDS)


# Rules


@pytest.mark.parametrize(
    "text, sounds",
    [
        ("Dogs are barking", {"Dog"}),
        ("A dogma", set()),  # "ma" is no ending
        ("The puppies of a dog's neighbour", {"Dog"}),
        ("Rain patters, raining harder", {"Rain"}),
        ("Rain on the roof", {"Rain on roof"}),  # the rain in it is part of the longer name
        ("Rain, and then rain on the roof", {"Rain", "Rain on roof"}),
        ("A person is TALKING", {"Speech"}),
        ("Nothing", set()),
    ],
)
def test_which_sounds_a_text_names(text, sounds):
    assert classes_named(text, SOUNDS) == sounds


@pytest.mark.parametrize(
    "sound, text, fault",
    [
        ("Dog", "A dog barks at night.", None),
        ("Dog", "An animal cries.", "does not name the sound; use one of: dog, bark, puppy"),
        ("Dog", "A dog barks in the rain.", r"names another sound \(rain\)"),
        ("Crowd", "A crowd of many voices.", None),  # which it is made of
        ("Dog", "A dog answers a voice.", "names another sound"),
        ("Rain", "Rain on the roof.", None),  # a longer name with its own word in it
        ("Rain on roof", "Rain on the roof.", None),
        ("Rain on roof", "Rain, and a roof.", r"names another sound \(rain\)"),
    ],
)
def test_no_source_is_lost_and_none_added(sound, text, fault):
    found = rules.meaning_faults(text, SOUNDS[sound], SOUNDS)
    if fault is None:
        assert found == []
    else:
        assert re.search(fault, "; ".join(found))


def test_rules_on_the_texts_of_a_caption():
    question = augment()
    assert question.faults(GOOD) == []
    assert "there are 4 texts; write 5" in question.faults(GOOD[:4])
    assert "is there twice" in "; ".join(question.faults([*GOOD[:4], GOOD[0].upper() + "!"]))
    assert "is the original" in "; ".join(question.faults([*GOOD[:4], "a dog barks"]))
    assert "has 21 words; write at most 20" in "; ".join(question.faults([*GOOD[:4], "dog " * 21]))
    assert question.faults([*GOOD[:4], "dog " * 20]) == []
    assert "a text is empty" in question.faults([*GOOD[:4], " . "])


@pytest.mark.parametrize(
    "text, whole",
    [
        ("It hums at 1.5 kHz, e.g. like a fridge, and fades.", True),
        ("It hums", True),
        ("It hums. It fades.", False),
        ('It is "loud." And bright.', False),
        ("It hums\nIt fades", False),
        ("", False),
    ],
)
def test_one_sentence(text, whole):
    assert rules.is_one_sentence(text) == whole


def test_rules_on_knowledge_and_on_sources():
    knowledge = Question(task_of(KNOWLEDGE), "A dog barks.", 5)
    sentence = "The sound of a dog is " + "very " * 11 + "loud"
    assert knowledge.faults([sentence.replace("very ", "", 1)]) == []  # 15... words are counted below
    assert knowledge.faults([sentence]) == []
    assert "write 15 to 100" in "; ".join(knowledge.faults(["The sound of a dog is loud."]))
    assert "exactly one" in "; ".join(knowledge.faults([sentence + ". It stops."]))
    parsing = Question(task_of(PARSE), "Children yell while a dog is barking in the background", 5)
    assert parsing.faults(["Children yelling.", "A dog barks."]) == []
    assert parsing.faults(["Children yell while a dog is barking in the background"]) == []
    assert parsing.faults([]) == ["there are 0 texts; write at least one"]
    assert "'A car honks.' is not in the caption" in "; ".join(parsing.faults(["Children yell.", "A car honks."]))
    assert "is there twice" in "; ".join(parsing.faults(["A dog barks.", "A dog barks"]))


# Questions


def test_the_tasks_and_the_form_of_their_answers():
    assert list(tasks()) == [*(f"augment/{name}" for name in PROMPTS), PARSE, KNOWLEDGE]
    assert augmentations() == PROMPTS
    schema = texts_form(5).model_json_schema()
    assert schema["properties"]["texts"] | {"title": ""} == {
        "items": {"type": "string"}, "maxItems": 5, "minItems": 5, "title": "", "type": "array",
    }  # fmt: skip
    assert schema["required"] == ["texts"] and schema["additionalProperties"] is False
    assert "maxItems" not in texts_form(None).model_json_schema()["properties"]["texts"]


def test_examples_are_earlier_turns_in_the_same_words():
    for shots in (0, 2, 5):
        turns = Question(task_of(KNOWLEDGE), "A dog barks.", shots).conversation()
        assert [turn["role"] for turn in turns] == ["system", *["user", "assistant"] * shots, "user"]
        examples = task_of(KNOWLEDGE).examples[:shots]
        for (text, answer), user, assistant in zip(examples, turns[1:-1:2], turns[2::2], strict=True):
            assert user["content"] == turns[-1]["content"].replace("A dog barks.", text)
            assert json.loads(assistant["content"])["texts"] == list(answer)
    assert "1 string." in turns[0]["content"] and "5 strings." in augment().conversation()[0]["content"]
    assert "Write 5 captions" in augment().conversation()[1]["content"]
    prompts = {Question(task_of(name), "A dog barks.", s).prompt for name in (PARSE, KNOWLEDGE) for s in range(6)}
    assert len(prompts) == 12
    with pytest.raises(AnswerError, match=r"6 examples are to be shown for 'parse', but .* has 5"):
        Question(task_of(PARSE), "A dog barks.", 6)
    with pytest.raises(AnswerError, match=r"no task 'augment/poem'.*augment/paraphrase"):
        task_of("augment/poem")
    with pytest.raises(AnswerError, match="say which sound"):
        Question(task_of("augment/tags"), "A dog barks.")


def test_the_examples_keep_the_rules_and_give_nothing_away():
    every = sounds_of(dict.fromkeys(name for p in ("mini", "open") for name in classes_of(p)))
    for name in (PARSE, KNOWLEDGE):
        for text, answer in task_of(name).examples:
            assert Question(task_of(name), text, 5).faults(answer) == []
            assert text not in {sound.caption for sound in every.values()}


# What is recorded


def classes_of(profile: str) -> list[str]:
    data = load_profile(profile).data
    return data.classes + data.noise_classes


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
    answers = read_texts(RECORDED / "project.json")
    assert answers == authored_texts.answer_all()
    assert {(a.author, a.model, a.asked, a.attempts) for a in answers} == {(PROJECT, None, None, None)}
    about = json.loads((RECORDED / "project.json").read_text())["about"]
    assert "not replies of a language model" in about and about == authored_texts.about()


def test_recorded_replies_of_models_keep_the_rules_they_were_accepted_under():
    every = sounds_of(dict.fromkeys(name for p in ("mini", "open") for name in classes_of(p)))
    by_profile = [sounds_of(classes_of(p)) for p in ("mini", "open")]
    for path in recorded_files()[1:]:
        for answer in read_texts(path):
            assert answer.model and answer.asked and answer.attempts and answer.author is None
            task = replace(task_of(answer.task), words=answer.words)
            if answer.task.startswith("augment/"):
                asked = [Question(task, answer.input, answer.shots, answer.sound, s) for s in by_profile if
                         answer.sound in s]  # fmt: skip
            else:
                asked = [Question(task, answer.input, answer.shots, answer.sound, every)]
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
        read_texts(path)
    path.write_text('{"answers": [{"task": "parse"}]}')
    with pytest.raises(AnswerError, match="not a file of recorded texts"):
        read_texts(path)
    with pytest.raises(AnswerError, match=r"a\.json has no answer to 'augment/paraphrase' of 'A dog barks.' \(Dog\)"):
        replay_texts(augment(), path, [])
    bad = record(texts=(*GOOD[:4], "Rain"))
    with pytest.raises(AnswerError, match=r"a\.json: the answer to .* breaks a rule: 'Rain' does not name"):
        replay_texts(augment(), path, [bad])
    assert replay_texts(augment(), path, [record()]) == tuple(GOOD)


def record(**changed) -> TextAnswer:
    question = augment()
    fields = {
        "task": question.task.name, "input": question.text, "sound": "Dog", "shots": 0, "texts": tuple(GOOD),
        "author": "us", "model": None, "words": (1, 20), "prompt": question.prompt, "date": "2026-11-21",
    }  # fmt: skip
    return TextAnswer(**{**fields, **changed})


def test_a_record_has_one_origin_and_either_texts_or_a_fault(tmp_path):
    for wrong in ({"model": "m"}, {"author": None}, {"texts": ()}, {"fault": "why"}):
        with pytest.raises(ValueError, match="give"):
            record(**wrong)
    write_texts(tmp_path / "a.json", [record(), record(author=None, model="m", asked="m", attempts=2)], "test")
    assert read_texts(tmp_path / "a.json")[1].by == "m" and len(read_texts(tmp_path / "a.json")) == 2


# Parsing


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
    assert parse(caption) == sources  # nobody recorded these
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
    question = Question(task_of(PARSE), caption, 5)
    answer = record(task=PARSE, input=caption, sound=None, shots=5, texts=("A dog.", "A cat."), prompt=question.prompt)
    write_texts(path, [answer], "test")
    assert recorded_parser(paths=[path])(caption) == ["A dog.", "A cat."]
    assert recorded_parser(paths=[path], by="another")(caption) == RuleParser()(caption)

    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    run = Run(load_profile("smoke", {"llm.mode": "live", "llm.model": "tiny", "llm.max_repairs": 0}), "02", 0)
    with serve(texts("A dog cries.", "A cat cries."), texts("Elephants.")) as endpoint:
        key(endpoint)
        parser = parser_of(run)
        assert parser(caption) == ["A dog cries.", "A cat cries."] == parser(caption)
        assert parser("Rain and wind") == ["Rain.", "Wind."]  # its answer is of no use: the rules
    assert len(endpoint.requests) == 2 and [a.input for a in read_texts(live_texts(run))] == [caption, "Rain and wind"]
    assert parser_of(Run(load_profile("smoke"), "02", 0))("Rain and wind") == ["Rain.", "Wind."]


# Live


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return lambda endpoint: monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)


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
        assert len(endpoint.requests) == 4 and again == asked == read_texts(path)
    assert asked[0].texts == () and "at least 5 items" in (asked[0].fault or "")
    [row] = acceptance(asked).to_dict("records")
    assert row == {"by": "tiny-2026", "task": dog.task.name, "shots": 0, "nb_asked": 2, "at_first": 0,
                   "after_repair": 1, "never": 1}  # fmt: skip
    with serve(texts(*GOOD)) as endpoint:
        key(endpoint)
        mended = ask_all([dog, rain], settings(), [path], again=True)
        assert len(endpoint.requests) == 1 and mended[0].texts == tuple(GOOD) and mended[1] == asked[1]
        assert len(read_texts(path)) == 2
    with serve(texts("x")) as endpoint:
        key(endpoint)
        with pytest.raises(Unusable, match=r"tiny-2026 gave no usable answer in 1 attempts.*A dog barks"):
            ask_all([dog, rain], settings(model="other", max_repairs=0), [path], keep_going=False)
    assert len(read_texts(path)) == 2


def test_a_stop_keeps_what_is_settled_and_other_models_records_stay(key, tmp_path):
    path = tmp_path / "texts.json"
    write_texts(path, [record(author=None, model="m", asked="m", attempts=1)], "test")
    with serve(texts(*GOOD), error(400, f"out of credit {KEY}")) as endpoint:
        key(endpoint)
        with pytest.raises(LlmError, match="out of credit"):
            ask_all([augment("Dog"), augment("Rain")], settings(), [path])
    assert [(a.asked, a.sound) for a in read_texts(path)] == [("m", "Dog"), ("tiny", "Dog")]
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
        with pytest.raises(AnswerError, match="gave no usable answer"):  # which `main` says without a traceback
            CliRunner().invoke(cli.app, [*line, "--again", "--no-keep-going"], catch_exceptions=False)
    assert KEY not in out.read_text()
