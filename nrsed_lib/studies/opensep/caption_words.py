"""Captions as words: the phrases of the classes and what joins them, and the numbers of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nrsed_lib.studies.texts.captions import Caption

END, BEGIN, NEXT = 0, 1, 2  # numbers of the words that are not spoken; NEXT: on to the next sound
SPECIAL = ["<end>", "<begin>", "<next>"]
AT_ONCE_FIRST, AT_ONCE, AFTER = ("while",), ("and",), ("and", "then")


@dataclass(frozen=True)
class Words:
    """phrases: class -> what is said of it, in lower case and without a full stop; in the order of the classes."""

    phrases: dict[str, str]

    @classmethod
    def of(cls, captions: Mapping[str, Caption]) -> Words:
        """The original captions as phrases."""
        return cls({name: caption.original.rstrip(". ").lower() for name, caption in captions.items()})

    @cached_property
    def vocabulary(self) -> list[str]:
        spoken = {word for phrase in self.phrases.values() for word in phrase.split()}
        return SPECIAL + sorted(spoken | {*AT_ONCE_FIRST, *AT_ONCE, *AFTER})

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.vocabulary)}

    @cached_property
    def _numbers(self) -> list[list[int]]:
        """Of the words of each class's phrase."""
        return [[self._number[word] for word in phrase.split()] for phrase in self.phrases.values()]

    def caption(self, sounds: Sequence[tuple[int, float]]) -> list[int]:
        """Numbers of the words that tell of sounds, BEGIN first, NEXT after each sound and END last.

        sounds: (class number, gap) in the order of their onsets; gap: from when all before it are over to its onset.
        A sound whose gap is not negative comes "and then"; others go on "while", later "and".
        """
        said, first = [BEGIN], True
        for place, (number, gap) in enumerate(sounds):
            if place:
                joint = AFTER if gap >= 0 else AT_ONCE_FIRST if first else AT_ONCE
                first = first and joint == AFTER
                said += [self._number[word] for word in joint]
            said += [*self._numbers[number], NEXT]
        return [*said, END]

    def text(self, numbers: Sequence[int]) -> str:
        """A sentence: words up to END, the first with a capital, and a full stop."""
        until = numbers.index(END) if END in numbers else len(numbers)
        text = " ".join(self.vocabulary[n] for n in numbers[:until] if n >= len(SPECIAL))
        return f"{text[:1].upper()}{text[1:]}." if text else ""
