"""The texts about each class of sound: its caption, more captions, held-out phrasings, acoustic knowledge.

    captions = captions_of(profile.data.classes + profile.data.noise_classes)
    captions["Dog"].original, captions["Dog"].augmented["paraphrase"][:3], captions["Dog"].knowledge

Replayed from data/captions/answers: nothing is asked here, and no key is needed.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.records import PROJECT, replay
from nrsed_lib.profile import Data
from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.questions import KNOWLEDGE, PARSE, TextAnswer, TextQuestion, augmentations, task_of
from nrsed_lib.studies.texts.sounds import FOLDER, Sound, sounds_of

BY_PROJECT = FOLDER / "answers" / "project.json"  # what was written here; beside it a file of each model
Words = tuple[int, int] | None  # the least and most words of a text, instead of the task's own
SHOTS = 5  # of both parsers, as in OpenSep


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


def questions(task: str, sounds: Mapping[str, Sound], shots: int = 0, words: Words = None) -> list[TextQuestion]:
    """What is asked about each sound, in their order: the task on its caption."""
    asked = task_of(task)
    asked = replace(asked, words=words or asked.words)
    return [TextQuestion(asked, sound.caption, shots, name, sounds) for name, sound in sounds.items()]


def questions_on(
    data: Data, names: Sequence[str], shots: Sequence[int] = (0,), words: Words = None, inputs: Path | None = None
) -> list[TextQuestion]:
    """The questions of the named tasks on a profile's sounds, each with every one of `shots`.

    names: "augment" stands for all its prompts. inputs: a file of captions to be parsed, one a line. Raises AnswerError
    for an unknown task, too many shots, impossible words, or "parse" without a file of captions.
    """
    if words and not 1 <= words[0] <= words[1]:
        raise AnswerError(f"--words {words[0]} {words[1]}: give the least and the most, from 1")
    lines: Iterable[str] = ()
    if PARSE in names:
        if inputs is None or not inputs.is_file():
            raise AnswerError(f"{inputs or 'no file'}: name a file of captions to be parsed with --inputs")
        try:
            lines = dict.fromkeys(filter(None, map(str.strip, inputs.read_text(encoding="utf-8-sig").splitlines())))
        except (OSError, ValueError) as error:
            raise AnswerError(f"--inputs {inputs} cannot be read ({error}): save it as text in UTF-8") from None
        if not lines or any(not line.isprintable() or len(line) > 1000 for line in lines):
            raise AnswerError(
                f"--inputs {inputs} is no list of captions: write one a line, of at most 1,000 characters"
            )
    every_prompt = [f"augment/{prompt}" for prompt in augmentations()]
    asked: list[TextQuestion] = []
    for name in dict.fromkeys(task for short in names for task in (every_prompt if short == "augment" else [short])):
        for nb in shots:
            if name == PARSE:
                asked += [TextQuestion(task_of(PARSE), line, nb) for line in lines]
            else:
                asked += questions(name, sounds_of(data.classes + data.noise_classes), nb, words)
    return asked


def captions_of(classes: Iterable[str]) -> dict[str, Caption]:
    """What this project wrote about the classes, in their order.

    Raises AnswerError naming the class and the file when something is missing or breaks a rule; the rules hold the
    classes apart from one another, not from those of other profiles.
    """
    sounds = sounds_of(dict.fromkeys(classes))

    def written(task: str, shots: int = 0) -> list[tuple[str, ...]]:
        return [answer.texts for answer in replay(questions(task, sounds, shots), BY_PROJECT, _read(BY_PROJECT))]

    augmented, captions = {prompt: written(f"augment/{prompt}") for prompt in augmentations()}, {}
    for i, (sound, [knowledge]) in enumerate(zip(sounds.values(), written(KNOWLEDGE, SHOTS), strict=True)):
        more = {prompt: texts[i] for prompt, texts in augmented.items()}
        captions[sound.name] = Caption(sound.name, sound.caption, more, sound.held_out, sound.words, knowledge)
    return captions


def texts_of(task: str, classes: Iterable[str], by: str = PROJECT, shots: int = 0) -> dict[str, tuple[str, ...]]:
    """The recorded texts of one author or model for the classes; classes it gave nothing usable for are left out.

    by: `PROJECT`, or a model as it is called in data/captions/answers (see `recorded_by`).
    """
    known = {a.key: a.texts for a in recorded() if a.by == by and a.fault is None}
    asked = questions(task, sounds_of(dict.fromkeys(classes)), shots)
    return {str(q.sound): known[q.key] for q in asked if q.key in known}


def recorded_files() -> list[Path]:
    """The committed files of texts: this project's own, then those of models."""
    return sorted(BY_PROJECT.parent.glob("*.json"), key=lambda path: (path != BY_PROJECT, path.name))


def recorded() -> list[TextAnswer]:
    """Every committed record, of all authors and models; `review.acceptance` makes a table of them."""
    return [answer for path in recorded_files() for answer in _read(path)]


def recorded_by(task: str) -> dict[str, list[int]]:
    """Who answered a task, and with which numbers of shots."""
    answers = [answer for answer in recorded() if answer.task == task]
    return {by: sorted({a.shots for a in answers if a.by == by}) for by in dict.fromkeys(a.by for a in answers)}


@functools.cache
def _read(path: Path) -> list[TextAnswer]:
    return TextAnswer.read(path)


def classes_named(text: str, captions: Mapping[str, rules.Named]) -> set[str]:
    """The classes among `captions` that a text names, by their `words`: a rule of spelling, see `rules.named`."""
    return set(rules.named({name: caption.words for name, caption in captions.items()}, text))


def spoken(classes: Collection[str], captions: Mapping[str, Caption]) -> str:
    """One caption for several sounds at once: their captions, joined by "while" and "and"."""
    first, *others = [captions[name].original.rstrip(".") for name in classes]
    lowered = [other[0].lower() + other[1:] for other in others]
    joined = f"{', '.join(lowered[:-1])} and {lowered[-1]}" if len(lowered) > 1 else "".join(lowered)
    return f"{first} while {joined}." if joined else f"{first}."
