"""What the paper's own noise selection asks: DESED's label sets, AudioSet-Strong's classes, and the bill."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from nrsed_lib.data.download import fetch_published
from nrsed_lib.llm.ontology import Ontology, load_ontology
from nrsed_lib.llm.prompts import messages

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; a model's own tokenizer gives the exact number
SHARE_CHOSEN = 0.4  # of the vocabulary in an answer; the recorded answers of `mini` and `open` choose .47 and .39

# Strong labels one row an event, weak ones one row a clip with its classes between commas.
STRONG, WEAK = ("synthetic21_train/soundscapes.tsv", "audioset_strong.tsv"), ("weak.tsv",)


def paper_vocabulary() -> list[str]:
    """Uγ: the classes of AudioSet-Strong (447 in the published label file; the paper counts 356)."""
    return list(json.loads(fetch_published("labeldict_audioset_strong.json").read_text()))


def paper_ontology() -> Ontology:
    """The whole AudioSet ontology."""
    return load_ontology(fetch_published("ontology.json"))


def paper_label_sets() -> dict[frozenset[str], int]:
    """Distinct label sets of DESED's labelled training clips -> number of clips, frequent ones first."""
    counts: Counter[frozenset[str]] = Counter()
    for name in STRONG:
        events = pd.read_csv(fetch_published(name), sep="\t").dropna(subset="event_label")
        counts.update(events.groupby("filename")["event_label"].agg(frozenset))
    for name in WEAK:
        counts.update(
            frozenset(line.split(",")) for line in pd.read_csv(fetch_published(name), sep="\t")["event_labels"]
        )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], sorted(item[0]))))


def cost(sets: Iterable[Collection[str]], vocabulary: Sequence[str]) -> pd.DataFrame:
    """What a live run would ask for, one row a label set: label_set, prompt_tokens, answer_tokens (estimates).

    One call a label set; each repair of an answer adds one more. Tokens are characters over
    `CHARACTERS_PER_TOKEN`; an answer is taken to hold `SHARE_CHOSEN` of the vocabulary.
    """
    listed = sum(len(name) + 4 for name in vocabulary)  # quotes, comma, space
    answer = round(SHARE_CHOSEN * listed / CHARACTERS_PER_TOKEN)
    rows = []
    for labels in sets:
        characters = sum(len(message["content"]) for message in messages(labels, vocabulary))
        rows.append((" + ".join(sorted(labels)), round(characters / CHARACTERS_PER_TOKEN), answer))
    return pd.DataFrame(rows, columns=["label_set", "prompt_tokens", "answer_tokens"])
