"""What notebook 10 trains: the same separator, with captions added by one prompt or another, few or many.

Variants differ in the texts that ask for a class in training; whichever it was, it is measured in all PHRASINGS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.profile import Profile
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.texts.captions import Caption

PLAIN, MIXED = "original", "mixed"  # no captions added; those of all prompts in turn
PHRASINGS = ("original", "held-out", "class name")


def variants(profile: Profile) -> list[str]:
    """`original`, `<prompt>-<n>` for every prompt at one number, `mixed-<n>` for every number of added captions."""
    study = studies_of(profile).captions
    by_prompt = [f"{prompt}-{study.compared_at}" for prompt in study.prompts]
    return [PLAIN, *by_prompt, *(f"{MIXED}-{n}" for n in study.numbers if n)]


def training_texts(captions: Mapping[str, Caption], variant: str, prompts: Sequence[str]) -> dict[str, list[str]]:
    """Class -> its original caption and those that the variant adds to it (see `variants`).

    "<prompt>-3": the first three of that prompt. "mixed-3": of three prompts the first, and from one class to the next
    another prompt begins, so that "mixed-1" too has captions of every prompt. Raises ValueError when a prompt has no
    recorded captions, or too few of them.
    """
    texts = {label: [caption.original] for label, caption in captions.items()}
    if variant == PLAIN:
        return texts
    name, _, number = variant.rpartition("-")
    for i, (label, caption) in enumerate(captions.items()):
        for j in range(int(number)):
            prompt, which = (prompts[(i + j) % len(prompts)], j // len(prompts)) if name == MIXED else (name, j)
            recorded = caption.augmented.get(prompt, ())
            if which >= len(recorded):
                raise ValueError(
                    f"{variant}: prompt {prompt!r} has {len(recorded)} recorded captions of {label!r}; set "
                    "studies.captions.numbers and .prompts to what data/captions has, or record more"
                )
            texts[label].append(recorded[which])
    return texts


def asked(captions: Mapping[str, Caption], labels: Sequence[str], phrasing: str) -> list[str]:
    """The text that asks for each of the labels, nb_mixtures of them. Of the held-out phrasings of a class each
    mixture has one, the next mixture the next one: the same ones for every variant."""
    if phrasing == "original":
        return [captions[label].original for label in labels]
    if phrasing == "class name":
        return [query_text(label) for label in labels]
    held_out = [captions[label].held_out for label in labels]
    return [texts[i % len(texts)] for i, texts in enumerate(held_out)]
