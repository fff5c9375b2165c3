"""Notebook 02 as a whole, on label sets that are given instead of drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from endpoint import choose, serve

from nrsed_lib.artefacts import Run
from nrsed_lib.data.ontology import load_ontology
from nrsed_lib.errors import AnswerError, StoreError
from nrsed_lib.llm import selection
from nrsed_lib.llm.noise import NoiseAnswer
from nrsed_lib.llm.review import review, shares, shown
from nrsed_lib.plots.llm import COLOURS, plot_choices, plot_shares
from nrsed_lib.profile import load_profile

SPLITS = {
    "strong": [{"Dog"}, {"Dog", "Speech"}, {"Dog"}, set()],
    "weak": [{"Frying"}, {"Speech", "Dog"}, {"Dog"}],
}
DOG, DOG_SPEECH, FRYING = frozenset({"Dog"}), frozenset({"Dog", "Speech"}), frozenset({"Frying"})


@pytest.fixture
def start(monkeypatch, tmp_path):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setenv("NRSED_KEPT", str(tmp_path / "kept"))
    clips = {split: SimpleNamespace(label_sets=[frozenset(s) for s in sets]) for split, sets in SPLITS.items()}
    monkeypatch.setattr(selection, "load_split", lambda run, split: clips[split])

    def open_run(**overrides) -> Run:
        run = Run(load_profile("smoke", {f"llm.{k}": v for k, v in overrides.items()}), "02", 0)
        run.folder.mkdir(parents=True)
        return run

    return open_run


def test_label_sets_of_labelled_clips_frequent_ones_first(start):
    assert list(selection.label_sets(start()).items()) == [(DOG, 3), (DOG_SPEECH, 2), (FRYING, 1)]


def test_replay_leaves_a_selection_that_needs_nothing_more(start, monkeypatch):
    run = start()
    with pytest.raises(StoreError, match="02_llm_noise_selection"):
        selection.load_selection(run)
    chosen = selection.select(run)
    assert list(chosen) == [DOG, DOG_SPEECH, FRYING]
    assert all(set(noises) <= set(run.profile.data.noise_classes) for noises in chosen.values())
    monkeypatch.setattr(selection, "load_split", None)  # not read again
    assert selection.select(run) == selection.load_selection(run) == chosen
    assert {a.author for a in selection.selected_answers(run)} == {"nrsed project"}


def test_a_profile_without_answers_says_so(start):
    with pytest.raises(AnswerError, match=r"none\.json does not exist.*llm\.mode=live"):
        run = start()
        llm = run.profile.llm.model_copy(update={"answers": "none.json"})  # there when the profile was loaded
        selection.select(replace(run, profile=run.profile.model_copy(update={"llm": llm})))


def test_a_small_models_answers_are_replayed_beside_the_others(start, monkeypatch):
    run = start(mode="live", smollm2="smoke.json")  # whoever is asked live, these are records
    chosen = selection.select(run, selection.SMOLLM2)
    assert list(chosen) == [DOG, DOG_SPEECH, FRYING] and not (run.folder / "selection.json").exists()
    assert selection.CHOOSERS["smollm2"](run) == chosen
    llm = run.profile.llm.model_copy(update={"smollm2": "none.json"})
    gone = replace(run, profile=run.profile.model_copy(update={"llm": llm}))
    with pytest.raises(AnswerError, match=r"none\.json does not exist"):
        selection.select(gone, selection.SMOLLM2)


def test_live_asks_once_a_label_set_and_not_for_what_people_answered(start, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k-1234")
    with serve(choose("Door", "Wind")) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        run = start(mode="live", model="org/tiny:1")
        chosen = selection.select(run)
        assert len(endpoint.requests) == 3
        assert selection.select(run) == chosen
        (run.folder / "selection.json").unlink()  # as when the code has changed
        assert selection.select(run) == chosen
    assert len(endpoint.requests) == 3
    assert set(map(tuple, chosen.values())) == {("Door", "Wind")}
    assert {(a.model, a.author) for a in selection.selected_answers(run)} == {("tiny-2026", None)}
    assert "k-1234" not in "".join(p.read_text() for p in run.tables.parent.rglob("*.json"))
    assert len(json.loads(NoiseAnswer.live_files("org/tiny:1")[-1].read_text())["answers"]) == 3


def test_review_tells_kinds_apart():
    alarm = frozenset({"Alarm_bell_ringing"})
    table = review(
        {alarm: ["Siren", "Rain", "Train"], DOG: ["Siren"]},
        ["Siren", "Rain", "Train", "Wind"],
        load_ontology(),
        {"Rain", "Wind"},
    )
    assert table["Alarm bell ringing"].tolist() == ["similar", "fits", "not heard in a home", "not chosen"]
    assert table["Dog"].tolist() == ["not heard in a home", "not chosen", "not chosen", "not chosen"]
    assert shares(table).tolist() == [0.25, 0.5, 0.25]  # fits, not of a home, similar
    assert shown({DOG_SPEECH: 9, DOG: 1, FRYING: 1}, 3) == [DOG, FRYING, DOG_SPEECH]
    figure = plot_choices({"LLM": table, "random": table})
    colours = {tuple(c) for c in figure.axes[0].collections[0].to_rgba([0, 1, 2, 3])}
    assert len(colours) == len(COLOURS)
    assert [axis.get_title() for axis in figure.axes] == ["LLM", "random"]
    bars = plot_shares(shares(table).to_frame("LLM").T)
    assert [patch.get_width() for patch in bars.axes[0].patches] == [25, 50, 25]
