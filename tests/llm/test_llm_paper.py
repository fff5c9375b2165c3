"""The paper's question and the answers recorded for it: 134 label sets, 447 noise classes, judged one by one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from nrsed_lib.artefacts import Run
from nrsed_lib.data import ontology
from nrsed_lib.llm import authored, paper
from nrsed_lib.llm.noise import NoiseAnswer, NoiseQuestion
from nrsed_lib.llm.selection import label_sets, select, selected_answers
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Data, load_profile
from tools import vocabulary

PROFILE = load_profile("paper")
VOCABULARY = PROFILE.data.noise_classes
ONTOLOGY = ontology.load_ontology()
ANSWERS = {answer.prompt: answer for answer in NoiseAnswer.read(DATA / "answers" / "paper.json")}
JUDGED = authored.judgement_table()


@pytest.fixture
def mirror(shared, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("NRSED_MIRROR", str(shared / "mirror"))
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path))


# The question


def test_the_committed_tables_are_the_published_metadata(mirror):
    derived = vocabulary.derive_label_sets()
    assert list(paper.paper_label_sets().items()) == [(frozenset(s.split(" + ")), n) for s, n in derived.to_numpy()]
    assert paper.paper_vocabulary() == vocabulary.derive_vocabulary()["class"].tolist()


def test_the_papers_label_sets():
    sets, noises = paper.paper_label_sets(), paper.paper_vocabulary()
    assert len(sets) == 134 and len(noises) == 447
    assert sum(sets.values()) == 10_000 + 3_463 + 1_578
    bill = paper.cost(sets, noises)
    assert len(bill) == 134
    characters = sum(len(m["content"]) for m in NoiseQuestion(next(iter(sets)), noises).conversation())
    assert bill.prompt_tokens[0] == round(characters / 4)
    assert bill.answer_tokens.gt(0).all()


def test_the_bill_of_the_answers_is_what_the_recorded_ones_would_have_cost():
    listed = sum(len(json.dumps(noise)) + 2 for answer in ANSWERS.values() for noise in answer.noise_classes)
    assert paper.cost(paper.paper_label_sets(), VOCABULARY).answer_tokens.sum() == pytest.approx(listed / 4, rel=0.1)


def test_audioset_strong_stands_for_its_whole_vocabulary():
    assert paper.paper_vocabulary() == VOCABULARY
    fields = {key: value for key, value in PROFILE.data.model_dump().items() if key != "noise_classes"}
    assert Data(**fields, noise_classes=["Applause at a wake", "AudioSet-Strong"]).noise_classes[1:] == VOCABULARY


def test_the_whole_ontology_forbids_little_of_it_and_the_committed_part_the_same(mirror):
    from nrsed_lib.data.download import fetch_published
    from tools.ontology import parse

    whole = ontology.build(parse(fetch_published("ontology.json")))
    for label in PROFILE.data.classes:
        refused = {noise for noise in VOCABULARY if whole.similar(noise, label)}
        assert 1 <= len(refused) < 0.1 * len(VOCABULARY) + 5, label
        assert refused == {noise for noise in VOCABULARY if ONTOLOGY.similar(noise, label)}


# The judgements


def test_every_class_is_judged_once_with_a_reason_in_known_terms():
    assert JUDGED["class"].tolist() == VOCABULARY
    assert JUDGED.reason.str.split().str.len().min() >= 2
    places = {place for event in authored.judgements("paper")["events"].values() for place in event["at"]}
    assert set(JUDGED.places.explode().dropna()) <= places | {"everywhere"}
    assert authored.judgements("paper")["events"].keys() == set(PROFILE.data.classes)
    for column in ("is", "sounds_like", "by_rule_only"):
        assert set(JUDGED[column].explode().dropna()) <= set(PROFILE.data.classes)
    named_twice = JUDGED[["is", "sounds_like", "by_rule_only"]].sum(axis=1).map(lambda c: len(c) != len(set(c)))
    assert not named_twice.any()


def test_where_the_rule_alone_says_similar_the_table_says_so_with_its_reason():
    apart = authored.disagreements(JUDGED, PROFILE.data.classes, ONTOLOGY)
    rule = apart[apart.who == "rule"]
    listed = JUDGED.explode("by_rule_only").dropna(subset="by_rule_only")
    assert [*zip(rule["class"], rule.target, strict=True)] == [*zip(listed["class"], listed.by_rule_only, strict=True)]
    assert (
        rule.reason.str.contains("Rule only for").all() and len(rule) == JUDGED.reason.str.contains("Rule only").sum()
    )
    assert not (apart.who == "ears").all() and len(apart) > len(rule)


def test_targets_and_their_kinds_are_known_as_such():
    """The classes from which the ten targets are named, and everything the ontology puts below dogs, cats and taps."""
    known = JUDGED.set_index("class")["is"]
    below = {
        noise: label
        for label in ("Cat", "Dog", "Frying", "Blender", "Vacuum_cleaner")
        for noise in VOCABULARY
        if ONTOLOGY.ids_of(label) & {a for n in ONTOLOGY.ids_of(noise) for a in ONTOLOGY.above(n)}
    }
    assert len(below) >= 14
    # A hiss is a kind of a cat's in the ontology, and of steam's: at a home it is rather a pan's.
    assert {noise for noise, label in below.items() if label not in known[noise]} == {"Hiss"}
    for noise, label in {"Doorbell": "Alarm_bell_ringing", "Conversation": "Speech", "Shower": "Running_water"}.items():
        assert known[noise] == [label]


# The answers


def test_every_label_set_is_answered_once_within_the_rules():
    sets = list(paper.paper_label_sets())
    assert [frozenset(a.label_set) for a in ANSWERS.values()] == sets and len(set(sets)) == 134
    targets = set(JUDGED["class"][JUDGED["is"].str.len() > 0])
    heard = set(JUDGED["class"][JUDGED.places.str.len() > 0])
    for prompt, answer in ANSWERS.items():
        question = NoiseQuestion(frozenset(answer.label_set), VOCABULARY)
        assert prompt == question.prompt
        assert question.faults(answer.noise_classes) == []
        assert len(set(answer.noise_classes)) == len(answer.noise_classes)
        assert set(answer.noise_classes) <= heard - targets
    used = {noise for answer in ANSWERS.values() for noise in answer.noise_classes}
    assert used == heard - targets  # no judgement is without an effect


def test_nothing_chosen_sounds_like_what_is_present():
    """From the file as it is, not as it was composed."""
    with (DATA / "answers" / "judgements_paper.csv").open(newline="") as file:
        alike = {row["class"]: row["sounds_like"].split(" | ") for row in csv.DictReader(file)}
    for answer in ANSWERS.values():
        assert not any(set(alike[noise]) & set(answer.label_set) for noise in answer.noise_classes)


def test_the_answers_say_who_wrote_them_and_are_what_the_judgements_compose():
    assert [*ANSWERS.values()] == authored.answer_all(PROFILE)
    assert {(a.author, a.model, a.asked) for a in ANSWERS.values()} == {("nrsed project", None, None)}
    about = json.loads((DATA / "answers" / "paper.json").read_text())["about"]
    assert about == authored.about(PROFILE)
    assert "not replies of a language model" in about and "judgements_paper.csv" in about


def test_noise_selection_needs_neither_audio_nor_key_nor_network(monkeypatch, tmp_path):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setenv("NRSED_MIRROR", str(tmp_path / "nothing"))
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    run = Run(PROFILE, "02", 0)
    run.folder.mkdir(parents=True)
    chosen = select(run)
    assert list(chosen) == list(label_sets(run)) == list(paper.paper_label_sets())
    assert selected_answers(run) == [*ANSWERS.values()]
