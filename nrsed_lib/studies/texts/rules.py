"""Rules on texts about sounds, by words alone: which sound is named, is the meaning kept, is it one sentence.

A sound's `words` are the words people have for it, or their stems ("sizzl"); a text names the sound when one of
them begins a word of the text, and what follows within that word is an ending (so "cat" is in "cats", not in
"catch"). It is a rule of spelling, no understanding: irony, negation and homonyms pass it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from nrsed_lib.studies.texts.sounds import Sound


class Named(Protocol):
    """Something with words: a sound, or the caption of one."""

    @property
    def words(self) -> tuple[str, ...]: ...


ENDING = r"(?:e|es|s|ed|d|er|ers|r|rs|ing|ings|y|ies|ion|ation|le|les|led|ling)?(?:'s|')?"
STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """a an the of and or is are was be being it its in on at to from by with as while then there this that some
        someone somebody something one two several few sound sounds noise noises recording audio clip heard hear
        background distance foreground nearby followed after before during into over out up off""",
    )
)


@functools.lru_cache(maxsize=1 << 14)
def normal(text: str) -> str:
    """Lower case, words apart by one space, no punctuation but apostrophes."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


@functools.cache
def _pattern(word: str) -> re.Pattern[str]:
    stem = normal(word)
    return re.compile(rf"\b{re.escape(stem)}(?:{re.escape(stem[-1])}?{ENDING})(?![a-z0-9'])")


def spans(words: Iterable[str], text: str) -> list[tuple[int, int, str]]:
    """Where `text` (normal) has one of the words: begin, end (of the whole word), the word as it is listed."""
    likely = [word for word in words if normal(word) in text]  # many times faster than the patterns
    return [(m.start(), m.end(), word) for word in likely for m in _pattern(word).finditer(text)]


def named(words: Mapping[str, Sequence[str]], text: str) -> dict[str, list[str]]:
    """The sounds a text names, each with those of its words that are found.

    words: sound -> its words. What lies inside a longer name of another sound does not count: "rain on the roof"
    is no "rain" to who knows both, "dishwasher" no "dish". Names of one place that are equally long all count.
    """
    plain = normal(text)
    found = {sound: spans(own, plain) for sound, own in words.items()}
    every = {span[:2] for of_sound in found.values() for span in of_sound}
    whole = {(b, e) for b, e in every if not any((x <= b and e <= y) and (x, y) != (b, e) for x, y in every)}
    called = {sound: [word for b, e, word in of_sound if (b, e) in whole] for sound, of_sound in found.items()}
    return {sound: list(dict.fromkeys(of_sound)) for sound, of_sound in called.items() if of_sound}


def stems(text: str) -> set[str]:
    """What is left of a text's content words without their endings; enough to see that two texts share one."""
    content = (word for word in normal(text).split() if word not in STOPWORDS)
    return {re.sub(r"(?<=\w{3})(?:ings?|ed|es|s|e|er|ers|'s)$", "", word) for word in content}


def share_a_word(a: str, b: str) -> bool:
    """Whether two texts have a content word in common: "bees buzz" and "A bee buzzes", "yelling" and "yells"."""
    return any(x.startswith(y) or y.startswith(x) for x in stems(a) for y in stems(b) if min(len(x), len(y)) > 1)


def meaning_faults(text: str, sound: Sound, sounds: Mapping[str, Sound]) -> list[str]:
    """No source lost, none added: `text` names `sound`, and no other one but by words that are its own too.

    Its own are those of its `also`, and a word that is part of what names it in the text, or has that as its part
    ("alarm" in "alarm clock").
    """
    plain = normal(text)
    ours = [part for b, e, word in spans(sound.words, plain) for part in (plain[b:e], normal(word))]
    found = [] if ours else [f"{text!r} does not name the sound; use one of: {', '.join(sound.words)}"]
    ours += [normal(word) for word in sound.also]
    for other, words in named({**{s.name: s.words for s in sounds.values()}, sound.name: sound.words}, text).items():
        alien = [word for word in words if not any(normal(word) in own or own in normal(word) for own in ours)]
        if other != sound.name and alien:
            found.append(f"{text!r} names another sound ({', '.join(alien)})")
    return found


def length_faults(text: str, least: int, most: int) -> list[str]:
    nb_words = len(text.split())
    if least <= nb_words <= most:
        return []
    return [f"{text!r} has {nb_words} words; write {f'{least} to {most}' if least > 1 else f'at most {most}'}"]


def repeated(texts: Sequence[str], besides: Collection[str] = ()) -> list[str]:
    """Faults of texts that say the same twice, or the same as one of `besides`."""
    plain, taken = [normal(text) for text in texts], {normal(text) for text in besides}
    twice = [f"{text!r} is there twice" for i, text in enumerate(texts) if plain[i] in plain[:i]]
    return twice + [f"{text!r} is the original" for text, p in zip(texts, plain, strict=True) if p in taken]


def is_one_sentence(text: str) -> bool:
    """Whether nothing follows the end of a sentence; "e.g.", "1.5 kHz" and the like end none."""
    inner = re.sub(r"\b(?:e\.g|i\.e|approx|ca|etc|vs)\.", "", text.strip(), flags=re.IGNORECASE)
    return bool(inner) and "\n" not in inner and not re.search(r"[.!?][\"”')]*\s+\S", inner)
