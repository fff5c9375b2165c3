"""How far two sets of answers agree: those recorded for this project and a live model's, or two models'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.noise import NoiseAnswer
from nrsed_lib.llm.review import title
from nrsed_lib.paths import DATA, kept_root, results_root


def agreement(a: Iterable[NoiseAnswer], b: Iterable[NoiseAnswer], vocabulary: Sequence[str]) -> pd.DataFrame:
    """One row for each prompt that both answered, in the order of `a`:

    label_set, nb_a, nb_b, nb_both: how many classes each chose, and both;
    jaccard: nb_both / (nb_a + nb_b - nb_both), 1 when they chose the same and 0 when they share nothing;
    agreed: share of the vocabulary on which they decide alike, chosen by both or by neither;
    kappa: `agreed` less what two independent choices of these sizes would agree on, as a share of what is
    left to agree on (Cohen 1960): 1 when the same, around 0 when one choice says nothing of the other; not a number
    where both chose everything.

    Raises AnswerError when no prompt is in both (other label sets, or another vocabulary or wording), or when an answer
    names a class that is not in `vocabulary`.
    """
    of_a, of_b = ({answer.prompt: answer for answer in answers} for answers in (a, b))
    prompts = [prompt for prompt in of_a if prompt in of_b]
    if not prompts:
        raise AnswerError(
            f"none of {len(of_a)} and {len(of_b)} answers are to the same prompt: compare answers to one profile's "
            "question (same label sets, noise vocabulary and wording)"
        )
    in_a, in_b = (_chosen([of[prompt] for prompt in prompts], vocabulary) for of in (of_a, of_b))
    nb_a, nb_b, nb_both = in_a.sum(1), in_b.sum(1), (in_a & in_b).sum(1)
    agreed = (in_a == in_b).mean(1)
    p, q = nb_a / len(vocabulary), nb_b / len(vocabulary)
    by_chance = p * q + (1 - p) * (1 - q)
    with np.errstate(invalid="ignore"):  # 0 / 0 where both chose everything
        kappa = (agreed - by_chance) / (1 - by_chance)
    sets, jaccard = [title(of_a[prompt].label_set) for prompt in prompts], nb_both / (nb_a + nb_b - nb_both)
    columns = {"nb_a": nb_a, "nb_b": nb_b, "nb_both": nb_both, "jaccard": jaccard, "agreed": agreed, "kappa": kappa}
    return pd.DataFrame({"label_set": sets, **columns})


def _chosen(answers: Sequence[NoiseAnswer], vocabulary: Sequence[str]) -> np.ndarray:
    """bool (nb_answers, nb_noise_classes): which classes each answer chose."""
    for answer in answers:
        if strange := sorted({*answer.noise_classes} - {*vocabulary}):
            raise AnswerError(
                f"the answer for {answer.label_set} chose {strange}, not among the {len(vocabulary)} noise classes "
                "compared on: name the profile whose question was answered"
            )
    return np.array([np.isin(vocabulary, answer.noise_classes) for answer in answers])


def agreement_with_live(run: Run) -> dict[str, pd.DataFrame]:
    """The answers recorded for a profile (a) beside those of each live run (b): file name of model -> `agreement`.

    Live runs file their answers in results/kept/answers/<model>.json; earlier versions did so beside the tables. Empty
    when there are none to this profile's question, or none recorded to compare them with.
    """
    recorded = DATA / "answers" / run.profile.llm.answers
    if not recorded.exists():
        return {}
    a, vocabulary = NoiseAnswer.read(recorded), run.profile.data.noise_classes
    before = results_root() / run.profile.name
    files = [*before.glob("answers-*.json"), *(kept_root() / NoiseAnswer.FILES).glob("[!.]*.json")]
    live = {path.stem.removeprefix("answers-"): NoiseAnswer.read(path) for path in sorted(files)}
    prompts = {answer.prompt for answer in a}
    return {name: agreement(a, b, vocabulary) for name, b in live.items() if prompts & {x.prompt for x in b}}


def means(table: pd.DataFrame) -> pd.Series:
    """Of an `agreement` table: how many label sets, mean sizes, and mean jaccard, agreed and kappa over label sets."""
    return pd.concat([pd.Series({"label sets": len(table)}), table.drop(columns="label_set").mean()])
