"""The recorded captions, looked at before anything learns from them: lengths, duplicates, what the rules refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations

import numpy as np
import pandas as pd

from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.captions import Caption, recorded, spoken
from nrsed_lib.studies.texts.questions import TextAnswer, TextQuestion, task_of
from nrsed_lib.studies.texts.sounds import sounds_of

OTHERS = ("its own held-out phrasings", "another sound's caption", "its caption and another's in one")


def text_statistics(captions: Mapping[str, Caption]) -> pd.DataFrame:
    """A row a kind of text: nb_texts; words a text (mean, least, most); vocabulary, the number of different stems;
    new, the share of a text's content words that its class's original caption does not have; duplicates, texts that are
    (but for case and punctuation) there before, in this kind or one above.
    """
    prompts, every = next(iter(captions.values())).augmented, captions.values()
    pairs = {"original": [(c.original, c.original) for c in every]}  # a class's original caption, and a text
    pairs |= {prompt: [(c.original, text) for c in every for text in c.augmented[prompt]] for prompt in prompts}
    pairs |= {"held-out": [(c.original, text) for c in every for text in c.held_out]}
    rows, seen = [], set[str]()
    for kind, of in pairs.items():
        stems = [(rules.stems(text), rules.stems(original)) for original, text in of]
        new = [len(own - of_original) / max(len(own), 1) for own, of_original in stems]
        lengths, plain = [len(text.split()) for _, text in of], {rules.normal(text) for _, text in of}
        row = {"kind": kind, "nb_texts": len(of), "words": np.mean(lengths), "least": min(lengths)}
        row |= {"most": max(lengths), "vocabulary": len(set[str]().union(*(own for own, _ in stems)))}
        rows.append(row | {"new": np.mean(new), "duplicates": len(of) - len(plain - seen)})
        seen |= plain
    return pd.DataFrame(rows)


def refusals(captions: Mapping[str, Caption], label: str, other: str, prompt: str) -> pd.DataFrame:
    """What the rules say to five captions of `label` of which the last is spoilt, each in a way of its own.

    Columns: spoilt, text, said. `other`: the sound that is confused with it, or added to it.
    """
    sounds = sounds_of(captions)
    question = TextQuestion(task_of(f"augment/{prompt}"), captions[label].original, 0, label, sounds)
    good = list(captions[label].augmented[prompt][:-1])
    spoilt = {
        "source lost": captions[other].original,
        "source added": spoken([label, other], captions),
        "too long": " ".join([captions[label].original.rstrip("."), *["again and"] * 10, "again."]),
        "said before": good[0].upper(),
        "the original": captions[label].original,
        "no text": " ",
    }
    said = {how: question.faults([*good, text]) for how, text in spoilt.items()}
    return pd.DataFrame([{"spoilt": how, "text": spoilt[how], "said": "; ".join(said[how])} for how in spoilt])


def meaning_rule(captions: Mapping[str, Caption]) -> pd.DataFrame:
    """How often the meaning rule refuses: texts that keep the meaning and were not written to pass it (the held-out
    phrasings), and such as do not. One row a kind of text: kind, nb_texts, refused (share).
    """
    sounds = sounds_of(captions)
    others = list(permutations(captions, 2))
    texts: dict[str, Sequence[tuple[str, str]]] = {
        OTHERS[0]: [(label, text) for label, caption in captions.items() for text in caption.held_out],
        OTHERS[1]: [(label, captions[other].original) for label, other in others],
        OTHERS[2]: [(label, spoken([label, other], captions)) for label, other in others],
    }
    rows = []
    for kind, pairs in texts.items():
        refused = [bool(rules.meaning_faults(text, sounds[label], sounds)) for label, text in pairs]
        rows.append({"kind": kind, "nb_texts": len(pairs), "refused": np.mean(refused)})
    return pd.DataFrame(rows)


def answers_of_models() -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the rules made of models' answers to the augmentation prompts: how many were accepted (see
    `acceptance`), and the last fault of each that was not (by, task, input, fault). No rows when no model
    was asked.
    """
    asked = [answer for answer in recorded() if answer.model and answer.task.startswith("augment/")]
    never = [(a.by, a.task, a.input, a.fault) for a in asked if a.fault is not None]
    return acceptance(asked), pd.DataFrame(never, columns=["by", "task", "input", "fault"])


def acceptance(answers: Iterable[TextAnswer]) -> pd.DataFrame:
    """What became of questions to models, one row for each (by, task, shots).

    nb_asked, at_first, after_repair, never: counts of questions.
    """
    rows = []
    for answer in answers:
        if answer.model:
            outcome = "never" if answer.fault else "at_first" if (answer.attempts or 1) == 1 else "after_repair"
            rows.append({"by": answer.by, "task": answer.task, "shots": answer.shots, "nb_asked": 1, outcome: 1})
    columns = ["by", "task", "shots", "nb_asked", "at_first", "after_repair", "never"]
    table = pd.DataFrame(rows, columns=columns).fillna(0).astype(dict.fromkeys(columns[3:], int))
    return table.groupby(columns[:3], as_index=False, sort=False).sum()
