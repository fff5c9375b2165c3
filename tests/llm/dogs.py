"""What the tests of texts share: a few sounds, a question about one, good answers to it, a record of them."""

from __future__ import annotations

import json

from endpoint import Response, completion

from nrsed_lib.profile import load_profile
from nrsed_lib.studies.texts.questions import TextAnswer, TextQuestion, task_of
from nrsed_lib.studies.texts.sounds import Sound

KEY = "sk-very-secret"
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


def augment(sound: str = "Dog") -> TextQuestion:
    return TextQuestion(task_of("augment/paraphrase"), SOUNDS[sound].caption, 0, sound, SOUNDS)


def record(**changed) -> TextAnswer:
    question = augment()
    fields = {
        "task": question.task.name, "input": question.text, "sound": "Dog", "shots": 0, "texts": tuple(GOOD),
        "author": "us", "model": None, "words": (1, 20), "prompt": question.prompt, "date": "2026-11-21",
    }  # fmt: skip
    return TextAnswer(**{**fields, **changed})


def classes_of(profile: str) -> list[str]:
    data = load_profile(profile).data
    return data.classes + data.noise_classes
