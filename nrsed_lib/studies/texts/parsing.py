"""From a caption to the sources it mentions: by a language model's recorded or live answers, or by plain rules.

OpenSep (arXiv 2409.19270, section 3.1) asks an LLM with five examples. `LlmParser` does so, and replays what was
recorded; `RuleParser` is no LLM but a handful of rules of English, for captions that nobody recorded an answer for.
Each parser says which it is in `name`, to be shown beside its results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from nrsed_lib.artefacts import Run
from nrsed_lib.llm.asking import ask_all
from nrsed_lib.profile import Llm
from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.captions import SHOTS, recorded
from nrsed_lib.studies.texts.questions import PARSE, TextAnswer, TextQuestion, task_of

# What stands between two sources, and what is said of a source besides what it is.
BETWEEN = re.compile(
    r"\s*(?:[,;.]|\b(?:(?:and|which is|is|are) (?:then |later )?(?:followed|accompanied|joined) by|(?:followed|"
    r"accompanied|joined) by|while|whilst|as|and then|and|then|before|after|with|over|amid|along with|plus)\b)\s*",
    re.IGNORECASE,
)
ASIDE = re.compile(
    r"\b(?:(?:somewhere )?in the (?:background|foreground|distance)|(?:far|close) by|nearby|at the same time|meanwhile|"
    r"afterwards|again|also|later|at first|in turn)\b",
    re.IGNORECASE,
)
OPENING = re.compile(
    r"^(?:there (?:is|are)|we hear|one (?:can )?hears?|you (?:can )?hear|(?:an? )?(?:audio )?recording of|"
    r"(?:the )?(?:sounds?|noises?) of)\s+",
    re.IGNORECASE,
)


class Parser(Protocol):
    """caption -> its sources, each a short text, none twice. name: who or what parses."""

    name: str

    def __call__(self, caption: str) -> list[str]: ...


class RuleParser:
    """Splits a caption at commas and at "and", "while", "followed by" …; no LLM, and no understanding.

    sounds (any mapping of classes to something with `words`): where given, a piece that names none of them goes with
    the piece before it ("a dog growls and | snaps"), and pieces that name the same ones are one source. Without them
    pieces are one source when they have the same content words. A caption of no piece is its own only source.
    """

    name = "rules (no LLM)"

    def __init__(self, sounds: Mapping[str, rules.Named] | None = None):
        self.words = {name: sound.words for name, sound in (sounds or {}).items()}

    def __call__(self, caption: str) -> list[str]:
        bare = ASIDE.sub("", caption)
        pieces = [OPENING.sub("", piece.strip()) for piece in BETWEEN.split(bare)]
        pieces = [piece for piece in pieces if rules.stems(piece)]
        if self.words:
            pieces = self._joined(pieces)
        sources: dict[frozenset[str], str] = {}
        for piece in pieces:
            sources.setdefault(self._identity(piece), f"{piece[0].upper()}{piece[1:]}.")
        return list(sources.values()) or [caption.strip()]

    def _identity(self, piece: str) -> frozenset[str]:
        return frozenset(rules.named(self.words, piece) or rules.stems(piece))

    def _joined(self, pieces: Sequence[str]) -> list[str]:
        joined: list[str] = []
        for piece in pieces:
            if joined and (not rules.named(self.words, piece) or not rules.named(self.words, joined[-1])):
                joined[-1] += f" and {piece}"
            else:
                joined.append(piece)
        return joined


class LlmParser:
    """A model's answers to the parse question: recorded, or asked for now.

    answers: records to replay. otherwise: parses what has no usable answer. live: the settings of a model to be asked
    for what has no record, and the files of its answers (see `ask_all`).
    """

    def __init__(
        self, answers: Iterable[TextAnswer], otherwise: Parser, live: tuple[Llm, Sequence[Path]] | None = None
    ) -> None:
        self.name = f"{live[0].model if live else 'recorded answers'}, {SHOTS} shots; else {otherwise.name}"
        self.otherwise, self.live = otherwise, live
        self.known = {a.key: a.texts for a in answers if a.task == PARSE and a.fault is None}

    def __call__(self, caption: str) -> list[str]:
        """Raises LlmError when a live model cannot be asked; for an answer it cannot mend, `otherwise` takes over."""
        question = TextQuestion(task_of(PARSE), caption, SHOTS)
        if question.key not in self.known and self.live is not None:
            llm, paths = self.live
            self.known[question.key] = ask_all([question], llm, paths)[0].texts
        return list(self.known.get(question.key, ())) or self.otherwise(caption)


def recorded_parser(sounds: Mapping[str, rules.Named] | None = None) -> Parser:
    """The committed answers, and for other captions rules that know `sounds`."""
    return LlmParser(recorded(), RuleParser(sounds))


def parser_of(run: Run, sounds: Mapping[str, rules.Named] | None = None) -> Parser:
    """What a run parses with: recorded answers, else rules; with llm.mode=live, its model, whose answers are kept."""
    if run.profile.llm.mode == "replay":
        return recorded_parser(sounds)
    return LlmParser((), RuleParser(sounds), (run.profile.llm, TextAnswer.live_files(run.profile.llm.model)))
