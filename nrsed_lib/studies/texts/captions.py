"""The texts about each class of sound: its caption, more captions, held-out phrasings, acoustic knowledge.

    captions = captions_of(profile.data.classes + profile.data.noise_classes)
    captions["Dog"].original, captions["Dog"].augmented["paraphrase"][:3], captions["Dog"].knowledge

Replayed from data/captions/answers: nothing is asked here, and no key is needed.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.answers import PROJECT, RECORDED, TextAnswer, read_texts, recorded_files, replay_all
from nrsed_lib.studies.texts.questions import KNOWLEDGE, Question, augmentations, task_of
from nrsed_lib.studies.texts.sounds import Sound, sounds_of

SHOTS = 5  # of the knowledge parser, as in OpenSep


@dataclass(frozen=True)
class Caption:
    """original: one short sentence. augmented: prompt name ("paraphrase" …) -> five more captions.

    held_out: three phrasings by another hand, for tests only. knowledge: one sentence of acoustic properties.
    words: what the sound is called (see `rules`).
    """

    sound: str
    original: str
    augmented: Mapping[str, tuple[str, ...]]
    held_out: tuple[str, ...]
    words: tuple[str, ...]
    knowledge: str


def questions(
    task: str, sounds: Mapping[str, Sound], shots: int = 0, words: tuple[int, int] | None = None
) -> list[Question]:
    """What is asked about each sound, in their order: the task on its caption.

    words: the least and most words of a text, instead of the task's own.
    """
    asked = task_of(task)
    if words is not None:
        asked = replace(asked, words=words)
    return [Question(asked, sound.caption, shots, name, sounds) for name, sound in sounds.items()]


def captions_of(classes: Iterable[str]) -> dict[str, Caption]:
    """What this project wrote about the classes, in their order.

    Raises AnswerError naming the class and the file when something is missing or breaks a rule; the rules hold the
    classes apart from one another, not from those of other profiles.
    """
    sounds = sounds_of(dict.fromkeys(classes))
    path = RECORDED / "project.json"
    answers = _read(path)
    augmented = {name: replay_all(questions(f"augment/{name}", sounds), path, answers) for name in augmentations()}
    knowledge = replay_all(questions(KNOWLEDGE, sounds, SHOTS), path, answers)
    return {
        name: Caption(
            name,
            sound.caption,
            {prompt: texts[i] for prompt, texts in augmented.items()},
            sound.held_out,
            sound.words,
            knowledge[i][0],
        )
        for i, (name, sound) in enumerate(sounds.items())
    }


def texts_of(task: str, classes: Iterable[str], by: str = PROJECT, shots: int = 0) -> dict[str, tuple[str, ...]]:
    """The recorded texts of one author or model for the classes; classes it gave nothing usable for are left out.

    by: `PROJECT`, or a model as it is called in data/captions/answers (see `recorded_by`).
    """
    sounds = sounds_of(dict.fromkeys(classes))
    known = {a.key: a.texts for a in recorded() if a.by == by and a.fault is None}
    asked = questions(task, sounds, shots)
    return {str(q.sound): known[q.key] for q in asked if q.key in known}


def recorded() -> list[TextAnswer]:
    """Every committed record, of all authors and models; `text_answers.acceptance` makes a table of them."""
    return [answer for path in recorded_files() for answer in _read(path)]


def recorded_by(task: str) -> dict[str, list[int]]:
    """Who answered a task, and with which numbers of shots."""
    found: dict[str, set[int]] = {}
    for answer in recorded():
        if answer.task == task:
            found.setdefault(answer.by, set()).add(answer.shots)
    return {by: sorted(shots) for by, shots in found.items()}


@functools.cache
def _read(path: Path) -> tuple[TextAnswer, ...]:
    return tuple(read_texts(path))


def classes_named(text: str, captions: Mapping[str, Caption] | Mapping[str, Sound]) -> set[str]:
    """The classes among `captions` that a text names, by their `words`: a rule of spelling, see `rules.named`."""
    return set(rules.named({name: caption.words for name, caption in captions.items()}, text))


def spoken(classes: Collection[str], captions: Mapping[str, Caption]) -> str:
    """One caption for several sounds at once: their captions, joined by "while" and "and"."""
    first, *others = [captions[name].original.rstrip(".") for name in classes]
    lowered = [other[0].lower() + other[1:] for other in others]
    joined = f"{', '.join(lowered[:-1])} and {lowered[-1]}" if len(lowered) > 1 else "".join(lowered)
    return f"{first} while {joined}." if joined else f"{first}."
