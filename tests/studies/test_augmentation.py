"""Caption augmentation: what differs between variants is the texts, and what is measured is the same for all."""

import numpy as np
import pandas as pd
import pytest
import torch

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.activity import active_power
from nrsed_lib.data.mixing import measured_snr_db
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.lass import training as train
from nrsed_lib.lass.mixtures import Mixer
from nrsed_lib.lass.separator import load_separator
from nrsed_lib.profile import load_profile
from nrsed_lib.run.parts import compute
from nrsed_lib.studies.captions import study as augmentation
from nrsed_lib.studies.captions.separator import every_wording, train_augmented
from nrsed_lib.studies.captions.variants import PHRASINGS, asked, training_texts, variants
from nrsed_lib.studies.pairs import draw_pairs, held_out_pairs
from nrsed_lib.studies.texts import review as caption_review
from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.captions import Caption, captions_of
from nrsed_lib.studies.texts.questions import TextAnswer
from nrsed_lib.studies.trials import Trial

PROMPTS = ["paraphrase", "tags", "detailed"]
MINI, OPEN, SMOKE = (load_profile(name) for name in ("mini", "open", "smoke"))


def caption(label: str) -> Caption:
    texts = {p: tuple(f"{label} {p} {i}" for i in range(5)) for p in PROMPTS}
    return Caption(label, f"{label} original", texts, tuple(f"{label} held {i}" for i in range(3)), (label,), "known")


CAPTIONS = {label: caption(label) for label in ("A", "B", "C", "D")}


@pytest.fixture(scope="module")
def run(smoke_data):
    return open_run("10", SMOKE)


def test_every_prompt_and_every_number_is_a_variant():
    assert variants(MINI) == [
        "original", "paraphrase-3", "tags-3", "detailed-3", "viewpoints-3", "chain_of_thought-3",
        "mixed-1", "mixed-3", "mixed-5",
    ]  # fmt: skip


def test_texts_of_a_variant():
    assert training_texts(CAPTIONS, "original", PROMPTS)["B"] == ["B original"]
    assert training_texts(CAPTIONS, "tags-2", PROMPTS)["B"] == ["B original", "B tags 0", "B tags 1"]
    mixed = training_texts(CAPTIONS, "mixed-5", PROMPTS)
    assert mixed["A"][1:] == ["A paraphrase 0", "A tags 0", "A detailed 0", "A paraphrase 1", "A tags 1"]
    one = training_texts(CAPTIONS, "mixed-1", PROMPTS)  # from class to class another prompt
    assert [texts[1] for texts in one.values()] == ["A paraphrase 0", "B tags 0", "C detailed 0", "D paraphrase 0"]


@pytest.mark.parametrize("variant", ["tags-6", "haiku-1", "mixed-16"])
def test_captions_that_nobody_recorded_are_named(variant):
    with pytest.raises(ValueError, match=f"{variant}: prompt '.*' has [05] recorded captions of 'A'; set studies"):
        training_texts(CAPTIONS, variant, PROMPTS)


def test_ways_to_ask():
    labels = ["A", "A", "Tick-tock", "A"]
    captions = CAPTIONS | {"Tick-tock": caption("Tick-tock")}
    assert asked(captions, labels, "original")[2] == "Tick-tock original"
    assert asked(captions, labels, "class name") == ["a", "a", "tick-tock", "a"]
    assert asked(captions, labels, "held-out") == ["A held 0", "A held 1", "Tick-tock held 2", "A held 0"]


@pytest.mark.parametrize("profile", [MINI, OPEN], ids=["mini", "open"])
def test_no_training_has_the_held_out_phrasings(profile):
    captions = captions_of(profile.data.classes + profile.data.noise_classes)
    held_out = {rules.normal(text) for c in captions.values() for text in c.held_out}
    for variant in variants(profile):
        texts = training_texts(captions, variant, profile.studies.captions.prompts)
        assert held_out.isdisjoint(rules.normal(text) for of_class in texts.values() for text in of_class)


def test_pairs_are_of_two_kinds_at_their_snr(smoke_data):
    mixer = Mixer(load_sources(smoke_data, "train"), 16_000)
    drawn = draw_pairs(mixer, 300, (-10.0, 10.0), torch.Generator().manual_seed(0))
    assert not mixer.alike[drawn.queries, drawn.others].any()
    assert (torch.bincount(drawn.queries, minlength=len(mixer.labels)) > 10).all()  # 30 each are expected
    others = drawn.mixtures - drawn.targets
    heard = (active_power(drawn.targets) > 0) & (active_power(others) > 0)
    assert heard.sum() > 250
    snr = measured_snr_db(drawn.targets[heard], others[heard])
    torch.testing.assert_close(snr, drawn.snr_db[heard], atol=0.01, rtol=0)
    assert drawn.snr_db.min() < -9 and drawn.snr_db.max() > 9


def test_what_is_measured_is_always_the_same(run):
    (one, labels), (two, _) = held_out_pairs(run), held_out_pairs(run)
    assert torch.equal(one.mixtures, two.mixtures) and one.mixtures.shape == (4, SMOKE.data.nb_samples)
    assert (active_power(one.targets) > 0).all() and set(labels) == set(load_sources(run, "test").labels)


def test_variants_start_alike_and_hear_the_same(run, monkeypatch):
    """Equal weights before, equal mixtures at every step; the texts differ."""
    seed, heard, said = 7, {}, {}  # a seed that no other test trains
    draw, embed = augmentation.pairs, augmentation.Separator.embed
    for variant in ("original", "tags-1"):
        mixtures, texts = heard.setdefault(variant, []), said.setdefault(variant, [])
        monkeypatch.setattr(augmentation, "pairs", lambda *a, kept=mixtures: kept.append(draw(*a)) or kept[-1])
        monkeypatch.setattr(
            augmentation.Separator, "embed", lambda self, t, kept=texts: kept.append(t) or embed(self, t)
        )
        augmentation.trained(run, Trial(variant, seed))
    assert len(heard["original"]) == SMOKE.studies.captions.steps
    assert all(torch.equal(a.mixtures, b.mixtures) for a, b in zip(*heard.values(), strict=True))
    assert said["original"] != said["tags-1"]
    before = [augmentation.new_separator(run, Trial(variant, seed)).state_dict() for variant in heard]
    assert all(torch.equal(before[0][name], before[1][name]) for name in before[0])


def test_a_trial_is_a_part_and_the_study_finds_it(run):
    compute("10", SMOKE, 0, "tags-1-seed0")
    assert [p.name for p in run.folder.glob("*.csv")] == ["tags-1-seed0.csv"]
    weights = run.folder / "tags-1-seed0" / "separator.safetensors"
    made = weights.stat().st_mtime_ns
    table = augmentation.study(run)
    assert weights.stat().st_mtime_ns == made
    nb = SMOKE.studies.nb_mixtures
    assert table.groupby(["variant", "seed", "phrasing"]).size().eq(nb).all() and len(table) == 4 * 3 * nb
    same = table.groupby(["mixture"])[["query", "other", "sdr_in", "snr"]].nunique()
    assert same.eq(1).all().all()
    np.testing.assert_allclose(table.improvement, table.sdr_out - table.sdr_in, atol=1e-4)  # six digits are kept
    distances = augmentation.text_distances(run)
    assert list(distances.variant) == ["untrained", *variants(SMOKE)]
    assert distances[["same", "different"]].abs().max().max() <= 1 + 1e-6 and distances.right.between(0, 1).all()


def test_the_comparison_finds_what_was_put_in(run):
    """Gains of 1, -1 and about 0 dB on spread that all variants share."""
    rng = np.random.default_rng(0)
    named, gains = variants(SMOKE), (0.0, 1.0, -1.0, 0.0)
    level = rng.normal(5, 4, (3, 50))  # (nb_seeds, nb_mixtures)
    rows = [
        {"variant": v, "seed": s, "mixture": m, "phrasing": p, "improvement": level[s, m] + g + 0.3 * rng.normal()}
        for v, g in zip(named, gains, strict=True) for p in PHRASINGS for s in range(3) for m in range(50)
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(sdr_out=1.0)
    compared = augmentation.gain_table(run, table)
    verdicts = compared.groupby("variant", sort=False).verdict.unique()
    assert [list(v) for v in verdicts[named[1:3]]] == [["holds"], ["does not hold"]]
    assert compared[compared.variant == named[0]].gain.isna().all()
    means = table.groupby(["variant", "phrasing"]).improvement.mean()
    found = compared.set_index(["variant", "phrasing"]).improvement
    pd.testing.assert_series_equal(found.sort_index(), means.sort_index(), check_names=False)
    assert set(compared[compared.variant == named[1]].seeds_for) == {"3/3"}
    assert list(augmentation.by_number(compared).added.unique()) == [0, 1]
    assert set(augmentation.by_prompt(compared).prompt) == {"paraphrase", "tags", "mixed"}


def test_nearest_original():
    cosines = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.5]])
    found = augmentation.closeness(cosines, torch.tensor([0, 1, 1]))
    assert found == pytest.approx({"same": 1.6 / 3, "different": 1.2 / 3, "right": 2 / 3})


def test_every_way_to_spoil_an_answer_is_refused():
    captions = captions_of(MINI.data.classes + MINI.data.noise_classes)
    table = caption_review.refusals(captions, "Dog", "Siren", "paraphrase").set_index("spoilt")
    expected = {
        "source lost": "does not name the sound", "source added": "names another sound", "too long": "words",
        "said before": "is there twice", "the original": "is the original", "no text": "empty",
    }  # fmt: skip
    assert all(part in table.said[how] for how, part in expected.items()) and len(table) == len(expected)


def test_the_meaning_rule_catches_other_sounds():
    captions = captions_of(MINI.data.classes + MINI.data.noise_classes)
    own, another, both = caption_review.meaning_rule(captions).refused
    assert another > 0.99 and both > 0.99 and own < 0.3


def test_statistics_of_texts():
    table = caption_review.text_statistics({"A": CAPTIONS["A"], "B": CAPTIONS["B"]}).set_index("kind")
    assert table.nb_texts.to_dict() == {"original": 2, "paraphrase": 10, "tags": 10, "detailed": 10, "held-out": 6}
    assert (table.duplicates == 0).all() and table.words["held-out"] == 3
    twice = Caption("C", "A original!", {"tags": ("x", "X.")}, ("y",), (), "")
    alone = caption_review.text_statistics({"C": twice})
    assert list(alone.duplicates) == [0, 1, 0]
    assert alone.new[0] == 0 and alone.new[1] == 1  # none of its words is in the original


def test_what_models_answered_is_counted(monkeypatch):
    about = {"task": "augment/tags", "shots": 0, "words": (1, 20), "prompt": "p", "date": "2026-11-21"}
    answers = [
        TextAnswer(input="A dog barks.", texts=("dog",), author=None, model="m", attempts=2, **about),
        TextAnswer(input="It rains.", texts=(), author=None, model="m", attempts=4, fault="'sun' …", **about),
        TextAnswer(input="It rains.", texts=("rain",), author="somebody", model=None, **about),
    ]
    monkeypatch.setattr(caption_review, "recorded", lambda: answers)
    accepted, refused = caption_review.answers_of_models()
    assert accepted.to_dict("records") == [
        {"by": "m", "task": "augment/tags", "shots": 0, "nb_asked": 2, "at_first": 0, "after_repair": 1, "never": 1}
    ]
    assert refused[["input", "fault"]].to_numpy().tolist() == [["It rains.", "'sun' …"]]
    monkeypatch.setattr(caption_review, "recorded", lambda: answers[2:])
    assert [len(table) for table in caption_review.answers_of_models()] == [0, 0]


def test_the_pipelines_separator_with_every_wording(smoke_data, monkeypatch):
    """As notebook 05 trains it, to the drawn mixture."""
    captions = captions_of(["Dog", "Speech"])
    texts = every_wording(captions)["Dog"]
    count = {text: texts.count(text) for text in texts}
    assert count["dog"] == count[captions["Dog"].original] == count[captions["Dog"].knowledge] == 25
    assert len(texts) == 100 and all(count[t] == 1 for of in captions["Dog"].augmented.values() for t in of)

    heard = {}
    for notebook, name, learns in (("05", "separator", train.train_separator), ("10", "augmented", train_augmented)):
        notebook_run, draw = open_run(notebook, SMOKE), train.Mixer.draw
        kept = heard.setdefault(notebook, [])
        monkeypatch.setattr(train.Mixer, "draw", lambda *a, d=draw, k=kept: k.append(d(*a)) or k[-1])
        learns(notebook_run)
        monkeypatch.undo()
        load_separator(notebook_run.find(name), SMOKE)
    assert len(heard["05"]) == SMOKE.lass.train.steps == len(heard["10"])
    assert all(torch.equal(a.mixtures, b.mixtures) for a, b in zip(heard["05"], heard["10"], strict=True))
    again = train_augmented(open_run("10", SMOKE))  # done: draws nothing
    assert len(again) == SMOKE.lass.train.steps and again.residual.notna().all()
    assert len(heard["10"]) == SMOKE.lass.train.steps
