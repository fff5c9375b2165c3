"""What a text may say and how it may be written."""

from __future__ import annotations

import re

import pytest
from dogs import GOOD, SOUNDS, augment

from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.captions import classes_named
from nrsed_lib.studies.texts.questions import KNOWLEDGE, PARSE, TextQuestion, task_of


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
    knowledge = TextQuestion(task_of(KNOWLEDGE), "A dog barks.", 5)
    sentence = "The sound of a dog is " + "very " * 11 + "loud"
    assert knowledge.faults([sentence.replace("very ", "", 1)]) == []  # 15... words are counted below
    assert knowledge.faults([sentence]) == []
    assert "write 15 to 100" in "; ".join(knowledge.faults(["The sound of a dog is loud."]))
    assert "exactly one" in "; ".join(knowledge.faults([sentence + ". It stops."]))
    parsing = TextQuestion(task_of(PARSE), "Children yell while a dog is barking in the background", 5)
    assert parsing.faults(["Children yelling.", "A dog barks."]) == []
    assert parsing.faults(["Children yell while a dog is barking in the background"]) == []
    assert parsing.faults([]) == ["there are 0 texts; write at least one"]
    assert "'A car honks.' is not in the caption" in "; ".join(parsing.faults(["Children yell.", "A car honks."]))
    assert "is there twice" in "; ".join(parsing.faults(["A dog barks.", "A dog barks"]))
