"""What this project wrote about its sounds: data/captions/*.yaml, read and put together by class.

sounds*.yaml: class -> words, caption and, for each augmentation prompt, five more captions. heldout.yaml: class ->
three phrasings by another hand, for tests only. knowledge.yaml: class -> one sentence of acoustic properties.
prompts.yaml: what a language model is asked, and the examples it is shown.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from nrsed_lib.errors import AnswerError, faults_of, one_line
from nrsed_lib.paths import DATA, not_a_file

FOLDER = DATA / "captions"
NB_TEXTS, NB_HELD_OUT = 5, 3


@dataclass(frozen=True)
class Sound:
    """A class of sound as this project wrote it down.

    words: what it is called, see `rules`. also: words of other sounds it is made of, which its captions may use.
    """

    name: str
    words: tuple[str, ...]
    also: tuple[str, ...]
    caption: str
    held_out: tuple[str, ...]


Text = Annotated[str, StringConstraints(pattern=r"\S")]
Texts = Annotated[list[Text], Field(min_length=1)]


class Entry(BaseModel):
    """A class in sounds*.yaml; what is beside these are the captions of an augmentation prompt."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Texts]
    words: Texts
    also: Texts = []
    caption: Text


FORMS: dict[str, Any] = {"sounds": dict[Text, Entry], "heldout": dict[Text, Texts]}  # of others: by name


def read(name: str) -> Any:
    """A file of data/captions. Raises AnswerError when it is missing, no YAML, or naming the entry that is none."""
    path = FOLDER / name
    if fault := not_a_file(path):
        raise AnswerError(f"{path} {fault}: restore it")
    try:
        content = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        TypeAdapter(FORMS.get(path.stem.rstrip("0123456789"), dict[Text, Any])).validate_python(content)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        said = faults_of(error) if isinstance(error, ValidationError) else one_line(error, 200)
        raise AnswerError(f"{path} cannot be read: {said}; correct it") from error
    return content


def files() -> list[Path]:
    return sorted(FOLDER.glob("sounds*.yaml"))


@functools.cache
def written() -> dict[str, dict[str, Any]]:
    """class -> its entry, of all files together. Raises AnswerError for a class that two files have."""
    entries: dict[str, dict[str, Any]] = {}
    for path in files():
        new = read(path.name)
        if twice := sorted(entries.keys() & new):
            raise AnswerError(f"{path}: {', '.join(twice)} have an entry in another file too; keep one")
        entries |= new
    return entries


@functools.cache
def all_sounds() -> dict[str, Sound]:
    """Every class that something was written about."""
    phrasings, sounds = read("heldout.yaml"), {}
    for name, entry in written().items():
        held_out, path = tuple(phrasings.get(name, ())), FOLDER / "heldout.yaml"
        if len(held_out) != NB_HELD_OUT:
            raise AnswerError(f"{path} has {len(held_out)} phrasings for {name!r}; write {NB_HELD_OUT}")
        words, also = tuple(entry["words"]), tuple(entry.get("also", ()))
        sounds[name] = Sound(name, words, also, entry["caption"].strip(), held_out)
    return sounds


def sounds_of(classes: Iterable[str]) -> dict[str, Sound]:
    """The classes' sounds, in this order. Raises AnswerError naming the class and the files it is missing from."""
    known = all_sounds()
    for name in classes:
        if name not in known:
            raise AnswerError(
                f"{name!r} has no caption in {', '.join(str(path) for path in files())}; write an entry for it "
                "(words, caption, and five texts for each augmentation prompt)"
            )
    return {name: known[name] for name in classes}
