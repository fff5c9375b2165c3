"""What the paper's own noise selection asks: DESED's label sets, AudioSet-Strong's classes, and the bill.

Both are committed as small tables (`data/vocabulary/`), so that the bill can be read before anything is
downloaded or asked; `python -m tools.vocabulary` derives them from the published metadata.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

import pandas as pd

from nrsed_lib.llm.noise import noise_questions
from nrsed_lib.paths import DATA
from nrsed_lib.profile import VOCABULARIES, Data

LABEL_SETS = DATA / "vocabulary" / "desed_label_sets.csv"
AUDIOSET_STRONG = VOCABULARIES["AudioSet-Strong"]

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; a model's own tokenizer gives the exact number
SHARE_CHOSEN = 0.4  # of the vocabulary in an answer; the recorded ones choose .47 (`mini`), .39 (`open`), .40 (`paper`)


def paper_vocabulary() -> list[str]:
    """Uγ: the classes of AudioSet-Strong (447 in the published label file; the paper counts 356)."""
    return pd.read_csv(AUDIOSET_STRONG)["class"].tolist()


def paper_label_sets() -> dict[frozenset[str], int]:
    """Distinct label sets of DESED's labelled training clips -> number of clips, frequent ones first."""
    table = pd.read_csv(LABEL_SETS)
    return {frozenset(s.split(" + ")): n for s, n in zip(table["label_set"], table["nb_clips"], strict=True)}


def every_label_set(data: Data) -> list[frozenset[str]]:
    """All that can be asked about: the sets that a soundscape's events can make, or DESED's."""
    if data.source == "desed":
        return [*paper_label_sets()]
    sizes = range(1, data.max_events_per_clip + 1)
    return [frozenset(classes) for size in sizes for classes in combinations(sorted(data.classes), size)]


def cost(sets: Iterable[Collection[str]], vocabulary: Sequence[str]) -> pd.DataFrame:
    """What a live run would ask for, one row a label set: label_set, prompt_tokens, answer_tokens (estimates).

    One call a label set; each repair of an answer adds one more. Tokens are characters over
    `CHARACTERS_PER_TOKEN`; an answer is taken to hold `SHARE_CHOSEN` of the vocabulary.
    """
    listed = sum(len(name) + 4 for name in vocabulary)  # quotes, comma, space
    answer = round(SHARE_CHOSEN * listed / CHARACTERS_PER_TOKEN)
    rows = []
    for question in noise_questions(sets, vocabulary):
        characters = sum(len(message["content"]) for message in question.conversation())
        rows.append((" + ".join(sorted(question.label_set)), round(characters / CHARACTERS_PER_TOKEN), answer))
    return pd.DataFrame(rows, columns=["label_set", "prompt_tokens", "answer_tokens"])
