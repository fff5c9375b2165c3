"""What kind of noise was chosen: does it fit a home, sound like something that is there, and is it what tests lay?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from nrsed_lib.data.ontology import Ontology
from nrsed_lib.data.scenarios import Scenarios
from nrsed_lib.llm.noise import NoiseAnswer

Choice = Mapping[frozenset[str], Collection[str]]  # label set -> noise classes
KINDS = ("not chosen", "fits", "not heard in a home", "similar")


def review(
    selection: Choice,
    vocabulary: Sequence[str],
    ontology: Ontology,
    at_home: Collection[str],
) -> pd.DataFrame:
    """One of KINDS for each noise class (rows) and label set (columns, in the order given).

    similar: by the ontology's rule. at_home: noise classes that may be heard in a home; a class that is
    both similar and not of a home counts as similar.
    """

    def kind(noise: str, labels: frozenset[str], chosen: Collection[str]) -> str:
        if noise not in chosen:
            return "not chosen"
        if any(ontology.similar(noise, label) for label in labels):
            return "similar"
        return "fits" if noise in at_home else "not heard in a home"

    columns = {labels: [kind(n, labels, chosen) for n in vocabulary] for labels, chosen in selection.items()}
    return pd.DataFrame({title(labels): column for labels, column in columns.items()}, index=list(vocabulary))


def shares(reviewed: pd.DataFrame) -> pd.Series:
    """Of all chosen (label set, noise class) pairs, the share of each kind; indexed by KINDS but the first."""
    counts = pd.Series(reviewed.to_numpy().ravel()).value_counts().reindex(KINDS[1:], fill_value=0)
    return counts / counts.sum()


def overlaid(scenarios: Scenarios, sets: Iterable[frozenset[str]], vocabulary: Collection[str]) -> Choice:
    """The noise classes that some household scenario of the tests would lay over clips of each label set."""
    fit = {labels: scenarios.compatible(labels, {*vocabulary}).values() for labels in sets}
    return {labels: sorted(set().union(*classes)) for labels, classes in fit.items()}


def quality(choices: Mapping[str, Choice], allowed: Choice, tested: Choice | None = None) -> pd.DataFrame:
    """How good each choice is, by judges that made none of them. Rows: who chose; columns, over all label sets:

    classes: mean number of classes chosen;
    answers: number of different choices (1: whoever chose did not look at what the clip has);
    refused: of the chosen (label set, class) pairs, the share that is not `allowed` (by the ontology's rule);
    precision, recall: of the chosen pairs the share that is `tested` (`overlaid`), and of those the share chosen; left
    out without `tested`.
    """

    def pairs(choice: Choice) -> set[tuple[frozenset[str], str]]:
        return {(labels, noise) for labels, noises in choice.items() for noise in noises}

    rows = {}
    for who, choice in choices.items():
        chosen, different = pairs(choice), {frozenset(noises) for noises in choice.values()}
        rows[who] = {"classes": len(chosen) / len(choice), "answers": len(different)}
        rows[who]["refused"] = len(chosen - pairs(allowed)) / len(chosen)
        if tested is not None:
            right = len(chosen & pairs(tested))
            rows[who] |= {"precision": right / len(chosen), "recall": right / len(pairs(tested))}
    return pd.DataFrame(rows).T


def acceptance(answers: Sequence[NoiseAnswer]) -> pd.Series:
    """How many of a model's answers kept the rules at once, how many when asked again, of how many classes had to be
    left out to the last, and how many questions never had an answer."""

    def how(answer: NoiseAnswer) -> str:
        if answer.fault:
            return "never"
        return "left out" if answer.refused else "at once" if answer.attempts == 1 else "asked again"

    kinds = ("at once", "asked again", "left out", "never")
    return pd.Series([how(answer) for answer in answers]).value_counts().reindex(kinds, fill_value=0)


def title(labels: Collection[str]) -> str:
    """A label set in one line."""
    return " + ".join(label.replace("_", " ") for label in sorted(labels))


def shown(counts: Mapping[frozenset[str], int], nb_sets: int = 16) -> list[frozenset[str]]:
    """Label sets worth a look: the single classes, then the most frequent of the others; `nb_sets` in all."""
    single = sorted((s for s in counts if len(s) == 1), key=sorted)
    return [*single, *(s for s in counts if len(s) > 1)][:nb_sets]
