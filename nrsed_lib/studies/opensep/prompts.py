"""The texts that ask for a sound: the name of its class, or a sentence of what is known about how it sounds."""

from __future__ import annotations

from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.studies.opensep.variants import MethodRecipe
from nrsed_lib.studies.texts.captions import texts_of
from nrsed_lib.studies.texts.questions import KNOWLEDGE


def prompts(recipe: MethodRecipe, labels: list[str]) -> list[str]:
    """A text for each class, in their order. Where the recipe's author gave nothing usable about a class (see
    `unanswered`), its name."""
    known = {} if recipe.by is None else texts_of(KNOWLEDGE, labels, recipe.by, recipe.shots)
    return [known[label][0] if label in known else query_text(label) for label in labels]


def unanswered(recipe: MethodRecipe, labels: list[str]) -> list[str]:
    """Classes about which the recipe's author gave no usable sentence."""
    return [] if recipe.by is None else sorted(set(labels) - set(texts_of(KNOWLEDGE, labels, recipe.by, recipe.shots)))
