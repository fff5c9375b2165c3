"""What the paper's own noise selection asks: DESED's label sets, AudioSet-Strong's classes, and the bill.

Both are committed as small tables (`data/vocabulary/`), so that the bill can be read before anything is
downloaded or asked; `python -m nrsed_lib.llm.paper` derives them from the published metadata.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from nrsed_lib.data.download import fetch_published
from nrsed_lib.llm.noise import noise_questions
from nrsed_lib.paths import DATA
from nrsed_lib.store import write_table

LABEL_SETS = DATA / "vocabulary" / "desed_label_sets.csv"
AUDIOSET_STRONG = DATA / "vocabulary" / "audioset_strong.csv"

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; a model's own tokenizer gives the exact number
SHARE_CHOSEN = 0.4  # of the vocabulary in an answer; the recorded ones choose .47 (`mini`), .39 (`open`), .40 (`paper`)

# Strong labels one row an event, weak ones one row a clip with its classes between commas.
STRONG, WEAK = ("synthetic21_train/soundscapes.tsv", "audioset_strong.tsv"), ("weak.tsv",)


def paper_vocabulary() -> list[str]:
    """Uγ: the classes of AudioSet-Strong (447 in the published label file; the paper counts 356)."""
    return pd.read_csv(AUDIOSET_STRONG)["class"].tolist()


def paper_label_sets() -> dict[frozenset[str], int]:
    """Distinct label sets of DESED's labelled training clips -> number of clips, frequent ones first."""
    table = pd.read_csv(LABEL_SETS)
    return {frozenset(s.split(" + ")): n for s, n in zip(table["label_set"], table["nb_clips"], strict=True)}


def derive_label_sets() -> pd.DataFrame:
    """label_set (joined by " + "), nb_clips: from DESED's and AudioSet-Strong's training metadata (downloaded)."""
    counts: Counter[frozenset[str]] = Counter()
    for name in STRONG:
        events = pd.read_csv(fetch_published(name), sep="\t").dropna(subset="event_label")
        counts.update(events.groupby("filename")["event_label"].agg(frozenset))
    for name in WEAK:
        counts.update(
            frozenset(line.split(",")) for line in pd.read_csv(fetch_published(name), sep="\t")["event_labels"]
        )
    rows = [(" + ".join(sorted(labels)), n) for labels, n in counts.items()]
    table = pd.DataFrame(rows, columns=["label_set", "nb_clips"])
    return table.sort_values(["nb_clips", "label_set"], ascending=[False, True], ignore_index=True)


def derive_vocabulary() -> pd.DataFrame:
    """class: the label file of AudioSet-Strong (downloaded), in its order."""
    return pd.DataFrame({"class": list(json.loads(fetch_published("labeldict_audioset_strong.json").read_text()))})


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


def main() -> None:
    for path, table in ((LABEL_SETS, derive_label_sets()), (AUDIOSET_STRONG, derive_vocabulary())):
        write_table(path, table)
        print(f"{path}: {len(table)} rows")


if __name__ == "__main__":
    main()
