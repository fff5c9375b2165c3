"""What kind of noise was chosen: does it fit a home, and does it sound like something that is there already?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from nrsed_lib.data.ontology import Ontology

KINDS = ("not chosen", "fits", "not heard in a home", "similar")


def review(
    selection: Mapping[frozenset[str], Collection[str]],
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


def title(labels: Collection[str]) -> str:
    """A label set in one line."""
    return " + ".join(label.replace("_", " ") for label in sorted(labels))


def shown(counts: Mapping[frozenset[str], int], nb_sets: int = 16) -> list[frozenset[str]]:
    """Label sets worth a look: the single classes, then the most frequent of the others; `nb_sets` in all."""
    single = sorted((s for s in counts if len(s) == 1), key=sorted)
    return [*single, *(s for s in counts if len(s) > 1)][:nb_sets]
