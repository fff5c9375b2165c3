"""Texts written for this project, recorded as answers: `python -m nrsed_lib.studies.texts.authored`.

What was written by hand (data/captions/*.yaml) is put in the form in which a model's answers would be recorded, one
record for each class and task; each says its author, and none names a model, for none was asked.
"""

from __future__ import annotations

from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.records import write_records
from nrsed_lib.studies.texts.captions import BY_PROJECT, SHOTS, questions
from nrsed_lib.studies.texts.questions import KNOWLEDGE, TextAnswer, augmentations
from nrsed_lib.studies.texts.sounds import NB_TEXTS, all_sounds, read, written

ABOUT = (
    "Texts written for this project ({author}), not replies of a language model: none was asked. Composed from "
    "data/captions/*.yaml by `python -m nrsed_lib.studies.texts.authored`; `prompt` is the hash of the prompt answered."
)


def texts_written(task: str) -> dict[str, tuple[str, ...]]:
    """class -> what was written for a task. Raises AnswerError naming class and file when something is missing."""
    if task == KNOWLEDGE:
        sentences, where, nb = read("knowledge.yaml")["sounds"], "knowledge.yaml", 1
        given = {name: [sentences[name]] if name in sentences else [] for name in all_sounds()}
    else:
        prompt, where, nb = task.removeprefix("augment/"), "sounds*.yaml", NB_TEXTS
        given = {name: entry.get(prompt, []) for name, entry in written().items()}
    if missing := [name for name, texts in given.items() if len(texts) != nb]:
        raise AnswerError(f"data/captions/{where}: {task} of {', '.join(missing)} is missing or not complete; write it")
    return {name: tuple(text.strip() for text in texts) for name, texts in given.items()}


def answer_all() -> list[TextAnswer]:
    """A record for every class and task; the rules are checked when they are read, profile by profile."""
    knowledge, sounds = read("knowledge.yaml"), all_sounds()
    origin = {"author": knowledge["author"], "model": None, "date": str(knowledge["date"])}
    answers = []
    for task, shots in [*((f"augment/{name}", 0) for name in augmentations()), (KNOWLEDGE, SHOTS)]:
        texts = texts_written(task)
        answers += [asked.record(texts[str(asked.sound)], **origin) for asked in questions(task, sounds, shots)]
    return answers


def about() -> str:
    """What the file of these answers says of itself."""
    return ABOUT.format(author=read("knowledge.yaml")["author"])


def main() -> None:
    answers = answer_all()
    write_records(BY_PROJECT, answers, about())
    print(f"{BY_PROJECT}: {len(answers)} answers")


if __name__ == "__main__":
    main()
