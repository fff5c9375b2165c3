"""Which noise for which clip: the LLM's choice per label set, and the random choice it is compared with."""

from __future__ import annotations

import datetime
import json
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.ontology import Ontology, load_ontology
from nrsed_lib.data.prepare import load_split
from nrsed_lib.errors import AnswerError, LlmError
from nrsed_lib.llm import paper
from nrsed_lib.llm.answers import Answer, Choice, faults, read_answers, write_answers
from nrsed_lib.llm.client import Client, Unusable
from nrsed_lib.llm.prompts import messages, prompt_hash
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Llm
from nrsed_lib.store import write_json

Selection = dict[frozenset[str], list[str]]  # label set -> noise classes

ABOUT_LIVE = (
    "Answers of language models, as recorded by a live run; `model` is the name the endpoint gave in its reply."
)


def label_sets(run: Run) -> dict[frozenset[str], int]:
    """The distinct label sets of the labelled training clips and how many clips have each, frequent ones first.

    Clips without events are left out: nothing is known of them that could be asked about.
    """
    counts: dict[frozenset[str], int] = {}
    for split in ("strong", "weak"):
        for labels in load_split(run, split).label_sets:
            if labels:
                counts[labels] = counts.get(labels, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], sorted(item[0]))))


def question(run: Run) -> tuple[dict[frozenset[str], int], list[str], Ontology]:
    """What a run asks about: its label sets with their counts, its noise vocabulary, the ontology to check by.

    DESED's label sets are known from its published metadata: none of its audio is needed, nor stage 01.
    """
    sets = paper.paper_label_sets() if run.profile.data.source == "desed" else label_sets(run)
    return sets, run.profile.data.noise_classes, load_ontology()


def select(run: Run) -> Selection:
    """Stage 02: an answer for every label set, from the records or from a live LLM, as `selection.json`.

    Raises AnswerError when a recorded answer is missing or breaks a rule; LlmError when a live model
    cannot be asked or does not mend its answer.
    """
    path, llm = run.folder / "selection.json", run.profile.llm
    if not path.exists():
        sets, vocabulary, ontology = question(run)
        recorded = DATA / "answers" / llm.answers
        if llm.mode == "replay":
            answers = replay(sets, vocabulary, recorded, ontology)
        else:
            answers = ask_all(sets, vocabulary, llm, [recorded, live_answers(run)], ontology)
        write_json(path, [answer.model_dump() for answer in answers])
    return load_selection(run)


def load_selection(run: Run) -> Selection:
    """What stage 02 left: label set -> noise classes. Raises StoreError when it has not run."""
    return {frozenset(a.label_set): a.noise_classes for a in selected_answers(run)}


def selected_answers(run: Run) -> list[Answer]:
    """The answers that stage 02 left, with who gave each; frequent label sets first."""
    return [Answer.model_validate(a) for a in json.loads(run.find("selection").read_text())]


def random_selection(
    selection: Mapping[frozenset[str], Sequence[str]], vocabulary: Sequence[str], seed: int
) -> Selection:
    """System #5: as many classes for each label set, uniform from the vocabulary, without the LLM.

    A label set's draw depends on the seed and on nothing else.
    """
    drawn = {}
    for labels, chosen in selection.items():
        rng = np.random.default_rng([seed, zlib.crc32("|".join(sorted(labels)).encode())])
        keep = np.sort(rng.choice(len(vocabulary), size=len(chosen), replace=False))
        drawn[labels] = [vocabulary[i] for i in keep]
    return drawn


def replay(sets: Iterable[Collection[str]], vocabulary: Sequence[str], path: Path, ontology: Ontology) -> list[Answer]:
    """The recorded answers to exactly these prompts. Raises AnswerError naming the label set and the file."""
    recorded, answers = read_answers(path), []
    for labels in sets:
        answer = recorded.get(prompt_hash(messages(labels, vocabulary)))
        if answer is None:
            raise AnswerError(
                f"{path} has no answer to the prompt for {sorted(labels)} with these {len(vocabulary)} noise classes "
                "(another label set, vocabulary or wording has another prompt): record it with llm.mode=live, or, "
                "for the answers written by this project, run `python -m nrsed_lib.llm.authored`"
            )
        if wrong := faults(answer.noise_classes, labels, vocabulary, ontology):
            raise AnswerError(f"{path}: the answer for {sorted(labels)} breaks a rule: {'; '.join(wrong)}; correct it")
        answers.append(answer)
    return answers


def live_answers(run: Run) -> Path:
    """Where a live run files its answers: beside the tables, so that they outlive changes of the code."""
    return run.tables / f"answers-{re.sub(r'[^A-Za-z0-9._-]+', '-', run.profile.llm.model)}.json"


def ask_all(
    sets: Iterable[Collection[str]], vocabulary: Sequence[str], llm: Llm, paths: Sequence[Path], ontology: Ontology
) -> list[Answer]:
    """An answer for every label set from the model `llm.model`; each is filed as soon as it is accepted.

    paths: files of answers; what this model answered in any of them is not asked again; new answers
    go to the last. Raises LlmError.
    """
    known = {k: a for path in paths if path.exists() for k, a in read_answers(path).items()}
    filed = {prompt: answer for prompt, answer in known.items() if answer.asked == llm.model}
    prompts = {frozenset(labels): prompt_hash(messages(labels, vocabulary)) for labels in sets}
    todo = [labels for labels, prompt in prompts.items() if prompt not in filed]
    client = Client(llm) if todo else None
    for labels in tqdm(todo, desc=f"asking {llm.model}", unit="label set"):
        assert client is not None
        answer = ask(client, labels, vocabulary, ontology)
        filed[answer.prompt] = answer
        write_answers(paths[-1], filed.values(), ABOUT_LIVE)
    return [filed[prompt] for prompt in prompts.values()]


def ask(client: Client, labels: Collection[str], vocabulary: Sequence[str], ontology: Ontology) -> Answer:
    """One accepted answer: a faulty one is asked for again with the reason, `llm.max_repairs` times.

    Raises LlmError naming the label set and the last fault.
    """
    question = messages(labels, vocabulary)
    try:
        settled = client.settle(question, Choice, lambda c: faults(c.noise_classes, labels, vocabulary, ontology))
    except Unusable as error:
        raise LlmError(
            f"{error.model} gave no usable answer for {sorted(labels)} in {error.attempts} attempts; the last "
            f"fault: {error.reason}. Raise llm.max_repairs or use another llm.model; the other answers are kept"
        ) from error
    return Answer(
        label_set=sorted(labels),
        noise_classes=list(dict.fromkeys(settled.value.noise_classes)),
        author=None,
        model=settled.model,
        asked=client.llm.model,
        prompt=prompt_hash(question),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
