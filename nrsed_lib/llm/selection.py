"""Which noise for which clip: the choice per label set, recorded or of a live LLM, and those it is compared with."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_split
from nrsed_lib.llm import paper
from nrsed_lib.llm.asking import ask_all
from nrsed_lib.llm.noise import NoiseAnswer, NoiseQuestion, noise_questions
from nrsed_lib.llm.records import replay
from nrsed_lib.paths import DATA
from nrsed_lib.store import write_json

Selection = dict[frozenset[str], list[str]]  # label set -> noise classes
ANSWERS, SMOLLM2 = "selection", "selection_smollm2"  # what notebook 02 leaves: of `llm.answers` or live, `llm.smollm2`


def label_sets(run: Run) -> dict[frozenset[str], int]:
    """The distinct label sets of the labelled training clips and how many clips have each, frequent ones first.

    Clips without events are left out: nothing is known of them that could be asked about. DESED's label sets are
    known from its published metadata: none of its audio is needed, nor notebook 01.
    """
    if run.profile.data.source == "desed":
        return paper.paper_label_sets()
    clips = [labels for split in ("strong", "weak") for labels in load_split(run, split).label_sets]
    counts = Counter(frozenset(labels) for labels in clips if labels)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], sorted(item[0]))))


def questions(run: Run) -> list[NoiseQuestion]:
    """What a run asks: a question a label set. Raises StoreError when its clips are not prepared."""
    return noise_questions(label_sets(run), run.profile.data.noise_classes)


def select(run: Run, artefact: str = ANSWERS) -> Selection:
    """Notebook 02: an answer for every label set, from the records or from a live LLM.

    Raises AnswerError when a recorded answer is missing or breaks a rule; LlmError when a live model
    cannot be asked or does not mend its answer.
    """
    path, llm = run.folder / f"{artefact}.json", run.profile.llm
    if not path.exists():
        asked, recorded = questions(run), DATA / "answers" / str(llm.smollm2 if artefact == SMOLLM2 else llm.answers)
        if llm.mode == "replay" or artefact == SMOLLM2:
            answers = replay(asked, recorded)
        else:
            answers = ask_all(asked, llm, [recorded, *NoiseAnswer.live_files(llm.model)], keep_going=False)
        write_json(path, [answer.model_dump(mode="json") for answer in answers])
    return load_selection(run, artefact)


def load_selection(run: Run, artefact: str = ANSWERS) -> Selection:
    """What notebook 02 left: label set -> noise classes. Raises StoreError when it has not run."""
    return {frozenset(a.label_set): a.noise_classes for a in selected_answers(run, artefact)}


def selected_answers(run: Run, artefact: str = ANSWERS) -> list[NoiseAnswer]:
    """The answers that notebook 02 left, with who gave each; frequent label sets first."""
    return [NoiseAnswer.model_validate(answer) for answer in json.loads(run.find(artefact).read_text())]


def chosen_by(answers: Iterable[NoiseAnswer]) -> str:
    """Who chose, in a word or two: what people wrote is "written"; of a model its name."""
    return ", ".join(sorted({"written" if answer.author else str(answer.model) for answer in answers}))


def random_selection(
    selection: Mapping[frozenset[str], Sequence[str]], vocabulary: Sequence[str], seed: int
) -> Selection:
    """System #5: as many classes for each label set, uniform from the vocabulary, without the LLM.

    A label set's draw depends on the seed and on nothing else.
    """
    drawn = {}
    for labels, chosen in selection.items():
        rng = np.random.default_rng([seed, zlib.crc32("|".join(sorted(labels)).encode())])
        numbers = np.sort(rng.choice(len(vocabulary), size=len(chosen), replace=False))
        drawn[labels] = [vocabulary[i] for i in numbers]
    return drawn


def filter_selection(label_sets: Iterable[frozenset[str]], vocabulary: Sequence[str]) -> Selection:
    """No LLM: for each label set all of the vocabulary but what the ontology's rule finds similar to it."""
    return {question.label_set: question.allowed() for question in noise_questions(label_sets, vocabulary)}


# Who may choose the noise of a fine-tuning, of what notebook 02 left.
CHOOSERS: dict[str, Callable[[Run], Selection]] = {
    "answers": load_selection,
    "random": lambda run: random_selection(load_selection(run), run.profile.data.noise_classes, run.seed),
    "smollm2": lambda run: load_selection(run, SMOLLM2),
    "filter": lambda run: filter_selection(load_selection(run), run.profile.data.noise_classes),
    "none": lambda run: {labels: [] for labels in load_selection(run)},
}
