"""Prompts, the ontology's rule, the recorded answers, and the choices made from them."""

from __future__ import annotations

import hashlib
import json
from itertools import combinations

import pandas as pd
import pytest
import yaml

from nrsed_lib.data import ontology
from nrsed_lib.data.scenarios import Scenarios
from nrsed_lib.errors import AnswerError, ProfileError
from nrsed_lib.llm import authored
from nrsed_lib.llm.noise import PROMPT, NoiseAnswer, NoiseQuestion, noise_questions
from nrsed_lib.llm.paper import every_label_set
from nrsed_lib.llm.records import replay, write_records
from nrsed_lib.llm.review import acceptance, overlaid, quality
from nrsed_lib.llm.selection import chosen_by, filter_selection, random_selection
from nrsed_lib.paths import DATA
from nrsed_lib.plots.llm import plot_quality
from nrsed_lib.profile import load_profile
from tools.ontology import parse

ONTOLOGY = ontology.load_ontology()
RECORDED = ["mini", "open", "smoke"]


def answers_of(name: str) -> dict[str, NoiseAnswer]:
    answers = NoiseAnswer.read(DATA / "answers" / load_profile(name).llm.answers)
    return {answer.prompt: answer for answer in answers}


def ask(labels, vocabulary) -> NoiseQuestion:
    return NoiseQuestion(frozenset(labels), vocabulary)


# Prompts


def test_the_prompt_is_the_papers(shared):
    text = " ".join((shared / "seeds" / "paper_noise_robust_sed.txt").read_text().split()).replace(" . ", ". ")
    start = text.index("“This is an audio clip") + 1
    assert PROMPT.format(events="a1,a2, ...,aK′") == text[start : text.index("”", start)]


def test_one_label_set_has_one_prompt():
    vocabulary = ["Rain", "Door"]
    sets = [["Dog", "Speech"], ["Speech", "Dog"], frozenset({"Dog", "Speech"}), ["Dog"], ["Speech"]]
    assert len(noise_questions(sets, vocabulary)) == len({ask(s, vocabulary).prompt for s in sets}) == 3
    assert len({NoiseQuestion(s, vocabulary).prompt for s in sets[:3]}) == 1
    assert ask(["Dog"], vocabulary).prompt != ask(["Dog"], vocabulary[:1]).prompt
    with pytest.raises(ValueError, match="empty label set"):
        ask([], vocabulary)


# Ontology


@pytest.mark.parametrize(
    "noise, present",
    [
        ("Telephone bell ringing", "Alarm_bell_ringing"),  # a kind of telephone, which is a kind of alarm
        ("Siren", "Alarm_bell_ringing"),
        ("Church bells", "Alarm_bell_ringing"),
        ("Rain", "Running_water"),  # a kind of water
        ("Baby cry", "Speech"),  # a kind of a sibling: crying
        ("Wolf", "Dog"),
        ("Wolf", "Cat"),  # a dog's howl is a kind of the cat's sibling
        ("Juicer", "Blender"),
    ],
)
def test_similar(noise, present):
    assert ONTOLOGY.similar(noise, present)


@pytest.mark.parametrize(
    "noise, present",
    [
        ("Typing", "Vacuum_cleaner"),  # both are domestic sounds: a heading
        ("Chopping (food)", "Frying"),
        ("Wind", "Running_water"),  # both are natural sounds: a heading
        ("Drill", "Alarm_bell_ringing"),  # both are sounds of things: a heading
        ("Snoring", "Speech"),
        ("Washing machine", "Running_water"),  # not in the ontology: nothing is known
    ],
)
def test_not_similar(noise, present):
    assert not ONTOLOGY.similar(noise, present)


def test_parents_are_similar_but_headings_are_not():
    table = pd.DataFrame(
        [("t", "Top", ""), ("v", "Voice", "t"), ("s", "Speech", "v"), ("m", "Monologue", "s"), ("o", "Other", "t")],
        columns=["id", "name", "parents"],
    )
    tree = ontology.build(table)
    similar = {noise for noise in ("Top", "Voice", "Speech", "Monologue", "Other") if tree.similar(noise, "Speech")}
    assert similar == {"Voice", "Speech", "Monologue"}


def test_the_committed_part_decides_like_the_whole_ontology(shared):
    path = next((shared / "mirror").glob("audioset/ontology/*/ontology.json"))
    whole = ontology.build(parse(path))
    for name in RECORDED:
        data = load_profile(name).data
        for noise in data.noise_classes:
            for label in data.classes:
                assert whole.similar(noise, label) == ONTOLOGY.similar(noise, label), (noise, label)
    mapped = pd.read_csv(ontology.CLASSES)["class"]
    assert mapped.is_unique
    for label in mapped:
        whole.ids_of(label)  # every name is in the ontology


# Recorded answers


@pytest.mark.parametrize("name", RECORDED)
def test_every_label_set_a_soundscape_can_have_is_answered_within_the_rules(name):
    data, answers = load_profile(name).data, answers_of(name)
    sets = [s for k in range(1, data.max_events_per_clip + 1) for s in combinations(data.classes, k)]
    assert len(answers) == len(sets)
    for labels in sets:
        answer = answers[ask(labels, data.noise_classes).prompt]
        assert answer.label_set == sorted(labels)
        assert ask(labels, data.noise_classes).faults(answer.noise_classes) == []
        assert len(set(answer.noise_classes)) == len(answer.noise_classes)


@pytest.mark.parametrize("name", RECORDED)
def test_answers_written_here_name_no_model_and_are_what_the_judgements_compose(name):
    assert [*answers_of(name).values()] == authored.answer_all(load_profile(name))
    assert {(a.author, a.model, a.asked) for a in answers_of(name).values()} == {("nrsed project", None, None)}
    about = json.loads((DATA / "answers" / f"{name}.json").read_text())["about"]
    assert "not replies of a language model" in about and about == authored.about(load_profile(name))


def test_judgements_name_only_known_classes():
    for vocabulary in yaml.safe_load(authored.JUDGEMENTS.read_text())["vocabularies"]:
        data = load_profile(vocabulary["profiles"][0]).data
        events = authored.judgements(vocabulary["profiles"][0])["events"]
        named = {n for event in events.values() for n in event["sounds_like"]}
        assert named | authored.household(load_profile(vocabulary["profiles"][0]), []) <= set(data.noise_classes)
        assert set(vocabulary["events"]) == set(data.classes)


def test_an_answer_has_one_origin(tmp_path):
    fields = {"label_set": ["Dog"], "noise_classes": ["Rain"], "prompt": "0", "date": "2026-11-20"}
    for origin in ({"author": "us", "model": "gpt"}, {"author": None, "model": None}):
        with pytest.raises(ValueError, match="author"):
            NoiseAnswer(**fields, **origin)


def test_faults_are_named():
    found = ask(["Alarm_bell_ringing"], ["Siren", "Rain"]).faults(["Chainsaw", "Siren"])
    assert len(found) == 2 and "Chainsaw" in found[0] and "'Siren' is similar to Alarm_bell_ringing" in found[1]
    assert "empty" in ask(["Dog"], ["Rain"]).faults([])[0]
    assert ask(["Dog"], ["Rain"]).faults(["Rain"]) == []


def test_replay_says_what_is_missing(tmp_path):
    data = load_profile("smoke").data
    path = DATA / "answers" / "smoke.json"
    assert replay([ask(["Dog"], data.noise_classes)], path)[0].label_set == ["Dog"]
    with pytest.raises(AnswerError, match=r"no answer to the prompt for \['Cat', 'Dog'\].*live"):
        replay([ask(["Dog", "Cat"], data.noise_classes)], path)
    with pytest.raises(AnswerError, match="5 noise classes"):
        replay([ask(["Dog"], data.noise_classes[:5])], path)
    with pytest.raises(AnswerError, match=r"none\.json does not exist.*live"):
        replay([ask(["Dog"], data.noise_classes)], tmp_path / "none.json")


def test_replay_checks_what_was_recorded(tmp_path):
    question, path = ask(["Alarm_bell_ringing"], ["Siren", "Rain"]), tmp_path / "a.json"
    write_records(path, [question.record(["Siren"], author="us", model=None, date="2026-11-20")], "test")
    with pytest.raises(AnswerError, match=r"a\.json.*'Alarm_bell_ringing'.*Siren.*similar"):
        replay([question], path)
    path.write_text('{"answers": [{"label_set": ["Dog"]}]}')
    with pytest.raises(AnswerError, match=r"a\.json is not a file of recorded answers"):
        NoiseAnswer.read(path)


# A small model's answers


def test_a_small_model_answered_every_label_set_and_what_the_rule_refused_is_named():
    profile = load_profile("open")
    vocabulary = profile.data.noise_classes
    questions = noise_questions(every_label_set(profile.data), vocabulary)
    answers = replay(questions, DATA / "answers" / profile.llm.smollm2)
    assert len(answers) == len(questions) == 8 + 28 + 56 + 70
    assert len(NoiseAnswer.read(DATA / "answers" / profile.llm.smollm2)) == len(answers)
    for question, answer in zip(questions, answers, strict=True):
        assert (answer.author, answer.model, answer.asked) == (None, *["SmolLM2-135M-Instruct"] * 2)
        assert set(answer.label_set) == question.label_set and set(answer.refused) <= set(vocabulary)
        by_rule = {n for n in answer.refused for label in answer.label_set if ONTOLOGY.similar(n, label)}
        assert by_rule == set(answer.refused) and not by_rule & set(answer.noise_classes)
        assert not answer.refused or answer.attempts == profile.llm.max_repairs + 1
    assert chosen_by(answers) == "SmolLM2-135M-Instruct" and chosen_by(answers_of("open").values()) == "written"
    counts = acceptance(answers)
    assert counts["never"] == 0 and counts["left out"] == sum(bool(a.refused) for a in answers)


def test_answers_that_are_not_there_are_named():
    with pytest.raises(ProfileError, match=r"llm\.smollm2.*none\.json.*nrsed llm noise"):
        load_profile("open", {"llm.smollm2": "none.json"})
    with pytest.raises(ProfileError, match=r"llm\.smollm2.*reviewer_rows"):
        load_profile("open", {"llm.smollm2": None})


# What needs no LLM


@pytest.mark.parametrize("name", ["mini", "open"])
def test_the_filter_leaves_what_no_label_refuses(name):
    data = load_profile(name).data
    sets = every_label_set(data)
    left = filter_selection(sets, data.noise_classes)
    assert [*left] == sets
    for labels in sets:
        refused = {n for label in labels for n in data.noise_classes if ONTOLOGY.similar(n, label)}
        assert left[labels] == [n for n in data.noise_classes if n not in refused]
        assert NoiseQuestion(labels, data.noise_classes).faults(left[labels]) == []
    assert min(map(len, left.values())) < len(data.noise_classes) == max(map(len, left.values()))


def test_quality_by_judges_counted_one_by_one():
    data, scenarios = load_profile("open").data, Scenarios.read("recordings")
    sets = every_label_set(data)[::7]
    written = {frozenset(a.label_set): a.noise_classes for a in answers_of("open").values()}
    choices = {
        "written": {s: written[s] for s in sets},
        "random": random_selection({s: written[s] for s in sets}, data.noise_classes, 0),
        "all": dict.fromkeys(sets, data.noise_classes),
    }
    tested = overlaid(scenarios, sets, data.noise_classes)
    table = quality(choices, filter_selection(sets, data.noise_classes), tested)
    for who, choice in choices.items():
        nb = similar = right = laid = 0
        for s in sets:
            heard = {n for classes in scenarios.compatible(s, {*data.noise_classes}).values() for n in classes}
            laid += len(heard)
            for noise in choice[s]:
                nb += 1
                similar += any(ONTOLOGY.similar(noise, label) for label in s)
                right += noise in heard
        expected = {
            "classes": nb / len(sets), "answers": len({tuple(c) for c in choice.values()}), "refused": similar / nb,
            "precision": right / nb, "recall": right / laid,
        }  # fmt: skip
        assert table.loc[who].to_dict() == pytest.approx(expected, rel=1e-12), who
    assert table.loc["written", "refused"] == 0 < table.loc["all", "refused"] and table.loc["all", "recall"] == 1
    assert table.loc["all", "answers"] == 1
    panels = plot_quality(table).axes
    assert [axis.get_title() for axis in panels] == [*table.columns]
    assert [bar.get_width() for bar in panels[2].patches] == pytest.approx([*100 * table["refused"]])


# Random selection


def test_random_selection_is_what_it_always_was():
    """As #5 was trained: another draw would be another experiment."""
    pinned = {"mini": ["9ac720394cc25973", "cb5d2d42daa5d297"], "open": ["40d9dcb86377c521", "8b35f9b1c82a6e72"]}
    for name, digests in pinned.items():
        chosen = {frozenset(a.label_set): a.noise_classes for a in answers_of(name).values()}
        for seed, digest in enumerate(digests):
            drawn = random_selection(chosen, load_profile(name).data.noise_classes, seed)
            text = json.dumps([drawn[labels] for labels in sorted(drawn, key=sorted)])
            assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


def test_random_selection_is_as_large_uniform_and_reproducible():
    data = load_profile("mini").data
    chosen = {frozenset(a.label_set): a.noise_classes for a in answers_of("mini").values()}
    drawn = random_selection(chosen, data.noise_classes, seed=0)
    assert {labels: len(set(noises)) for labels, noises in drawn.items()} == {k: len(v) for k, v in chosen.items()}
    assert drawn == random_selection(dict(reversed(chosen.items())), data.noise_classes, seed=0)
    assert drawn != random_selection(chosen, data.noise_classes, seed=1)

    nb_draws = 200
    counts = pd.Series(0, index=data.noise_classes)
    variance = 0.0
    for seed in range(nb_draws):
        for labels, noises in random_selection(
            {k: chosen[k] for k in [frozenset({"Dog"})]}, data.noise_classes, seed
        ).items():
            counts[noises] += 1
            p = len(chosen[labels]) / len(data.noise_classes)
            variance += p * (1 - p)
    assert (counts - nb_draws * p).abs().max() < 5 * variance**0.5  # 35 classes: 5 σ is one failure in 50,000
