"""How far two sets of answers agree: closed forms, files, the command, and a live run beside recorded answers."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from endpoint import choose, serve

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.agreement import agreement, agreement_with_live, means
from nrsed_lib.llm.noise import NoiseAnswer, noise_questions
from nrsed_lib.llm.records import write_records
from nrsed_lib.llm.selection import select
from nrsed_lib.paths import DATA
from nrsed_lib.profile import load_profile

VOCABULARY = list("abcdefgh")


def answers(chosen: dict[str, str]) -> list[NoiseAnswer]:
    """One answer a label; its noise classes are the letters given."""
    questions = noise_questions([[label] for label in chosen], VOCABULARY)
    return [
        question.record(list(letters), author="us", model=None, date="2026-11-20")
        for question, letters in zip(questions, chosen.values(), strict=True)
    ]


@pytest.mark.parametrize(
    "a, b, jaccard, agreed, kappa",
    [
        ("abcd", "dcba", 1, 1, 1),  # the order says nothing
        ("abcd", "efgh", 0, 0, -1),  # the very opposite: by chance 1/2
        ("abcd", "abef", 2 / 6, 1 / 2, 0),  # as independent as can be
        ("ab", "abcd", 2 / 4, 6 / 8, 1 / 2),  # by chance 1/4 1/2 + 3/4 1/2 = 1/2
        ("a", "abcdefgh", 1 / 8, 1 / 8, 0),  # who chooses everything says nothing
        ("abcdefgh", "abcdefgh", 1, 1, np.nan),
    ],
)
def test_one_label_set(a, b, jaccard, agreed, kappa):
    [row] = agreement(answers({"Dog": a}), answers({"Dog": b}), VOCABULARY).to_dict("records")
    assert (row["label_set"], row["nb_a"], row["nb_b"], row["nb_both"]) == ("Dog", len(a), len(b), len({*a} & {*b}))
    assert [row["jaccard"], row["agreed"], row["kappa"]] == pytest.approx([jaccard, agreed, kappa], nan_ok=True)


def test_label_sets_that_both_have_answered_and_their_means():
    a, b = answers({"Cat": "ab", "Dog": "ab", "Speech": "a"}), answers({"Speech": "b", "Dog": "ab", "Frying": "a"})
    table = agreement(a, b, VOCABULARY)
    assert table.label_set.tolist() == ["Dog", "Speech"]
    mean = means(table)
    assert (mean["label sets"], mean.nb_a, mean.jaccard, mean.agreed) == (2, 1.5, 0.5, (1 + 6 / 8) / 2)
    swapped = agreement(b, a, VOCABULARY).set_index("label_set").loc[table.label_set]
    assert swapped[["jaccard", "agreed", "kappa"]].to_numpy() == pytest.approx(
        table[["jaccard", "agreed", "kappa"]].to_numpy()
    )


def test_what_cannot_be_compared_says_so():
    with pytest.raises(AnswerError, match="none of 1 and 1 answers are to the same prompt"):
        agreement(answers({"Cat": "a"}), answers({"Dog": "a"}), VOCABULARY)
    with pytest.raises(AnswerError, match=r"\['h'\], not among the 3 noise classes"):
        agreement(answers({"Dog": "a"}), answers({"Dog": "h"}), VOCABULARY[:3])


def command(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "nrsed_lib.run.cli", "llm", "compare", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True)


def test_the_command(tmp_path):
    recorded = DATA / "answers" / "smoke.json"
    fewer = [a.model_copy(update={"noise_classes": a.noise_classes[:1]}) for a in NoiseAnswer.read(recorded)]
    write_records(tmp_path / "fewer.json", fewer, "test")
    done = command(recorded, tmp_path / "fewer.json", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    expected = agreement(NoiseAnswer.read(recorded), fewer, load_profile("smoke").data.noise_classes)
    lines = [line.split() for line in done.stdout.splitlines() if line]
    assert [line[-3] for line in lines[1 : 1 + len(fewer)]] == [f"{value:.3f}" for value in expected.jaccard]
    assert [line[-3] for line in lines[1 + len(fewer) :]] == ["jaccard", f"{expected.jaccard.mean():.3f}"]
    failed = command(recorded, DATA / "answers" / "open.json", "--profile", "smoke")
    assert failed.returncode == 1 and "same prompt" in failed.stderr and "Traceback" not in failed.stderr
    failed = command(tmp_path / "none.json", recorded)
    assert failed.returncode == 1 and "none.json does not exist" in failed.stderr


def test_a_live_run_on_the_papers_question_takes_the_place_of_the_recorded_answers(monkeypatch, tmp_path):
    """All 134 prompts to an endpoint that always likes the same six of 447 classes, of which one must be mended."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setenv("NRSED_KEPT", str(tmp_path / "kept"))
    monkeypatch.setenv("OPENAI_API_KEY", "k-1234")
    run = Run(load_profile("paper", {"llm.mode": "live", "llm.model": "tiny"}), "02", 0)
    liked = ["Door", "Wind", "Knock", "Purr", "Artillery fire", "Walk, footsteps"]
    without = [noise for noise in liked if noise != "Purr"]

    def reply(body: dict):
        return choose(*(liked if len(body["messages"]) == 3 else without))  # the question alone, or a fault after it

    assert agreement_with_live(run) == {}
    run.folder.mkdir(parents=True)
    with serve(reply) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        chosen = select(run)
    pets = [labels for labels in chosen if labels & {"Cat", "Dog"}]
    assert len(chosen) == 134 and len(endpoint.requests) == 134 + len(pets)
    assert all(noises == (without if labels in pets else liked) for labels, noises in chosen.items())
    recorded, live = DATA / "answers" / "paper.json", NoiseAnswer.live_files("tiny")[-1]
    assert {a["model"] for a in json.loads(live.read_text())["answers"]} == {"tiny-2026"}

    [(name, table)] = agreement_with_live(run).items()
    assert name == "tiny" and len(table) == 134
    # Nobody recorded Purr (a cat) or artillery (not at a home); the other four are heard in every room.
    nb_a, nb_b = table.nb_a, table.nb_b
    assert (table.nb_both == 4).all() and set(nb_b) == {5, 6}
    assert table.jaccard.tolist() == pytest.approx((4 / (nb_a + nb_b - 4)).tolist())
    assert table.agreed.tolist() == pytest.approx((1 - (nb_a + nb_b - 8) / 447).tolist())
    done = command(recorded, live)
    assert f"{table.jaccard.mean():.3f}" in done.stdout.split()
