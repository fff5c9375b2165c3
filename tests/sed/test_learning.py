"""Losses, augmentation, mean teacher, noise on the fly and fine-tuning."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.mixing import measured_snr_db
from nrsed_lib.data.ontology import load_ontology
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.llm.selection import SMOLLM2, load_selection, random_selection, select, selected_answers
from nrsed_lib.profile import load_profile
from nrsed_lib.sed import augment, mean_teacher
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.finetuning import RECIPES, finetune, noisy_ears, stage_at
from nrsed_lib.sed.noise import NoiseBank, choose
from nrsed_lib.sed.training import train_detector
from nrsed_lib.store import read_tensors, write_json

SIZES = (2, 1, 3)  # strong, weak, unlabelled


def scores(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 0.98 + 0.01


def test_label_loss_is_the_sum_written_out() -> None:
    seen, labels = (scores(6, 3, 5, seed=0), scores(6, 3, seed=1)), (scores(6, 3, 5, seed=2), scores(6, 3, seed=3))

    def entropy(p: float, y: float) -> float:
        return -y * math.log(p) - (1 - y) * math.log(1 - p)

    frames = [
        entropy(float(seen[0][b, k, t]), float(labels[0][b, k, t]))
        for b in range(2)
        for k in range(3)
        for t in range(5)
    ]
    clips = [entropy(float(seen[1][b, k]), float(labels[1][b, k])) for b in range(3) for k in range(3)]
    strong, weak = mean_teacher.label_loss(seen, labels, SIZES)
    assert float(strong) == pytest.approx(np.mean(frames), rel=1e-5)
    assert float(weak) == pytest.approx(np.mean(clips), rel=1e-5)


def test_consistency_is_of_every_clip() -> None:
    student, teacher = (scores(6, 3, 5, seed=0), scores(6, 3, seed=1)), (scores(6, 3, 5, seed=2), scores(6, 3, seed=3))
    strong, weak = mean_teacher.consistency_loss(student, teacher)
    assert float(strong) == pytest.approx(np.mean((student[0].numpy() - teacher[0].numpy()) ** 2), rel=1e-5)
    assert float(weak) == pytest.approx(np.mean((student[1].numpy() - teacher[1].numpy()) ** 2), rel=1e-5)


def test_teacher_is_the_closed_form_average() -> None:
    """Students of value 1, 2, 3, …: a plain mean at first, then w ← a w + (1 - a) s."""
    student, teacher = torch.nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    for step in range(60):
        for value in (student.weight.data, student.running_mean):
            value.fill_(step + 1.0)
        mean_teacher.update_teacher(teacher, student, step, ema=0.9)
        if step == 8:
            expected = teacher.weight.item()
            assert expected == pytest.approx(5)  # the mean of 1 … 9: 1 - 1 / 9 < 0.9
    weights = [0.9 ** (59 - s) * 0.1 for s in range(9, 60)]
    expected = 0.9**51 * 5 + sum(w * (s + 1) for w, s in zip(weights, range(9, 60), strict=True))
    assert teacher.weight.item() == pytest.approx(expected, rel=1e-5)
    assert float(teacher.running_mean) == pytest.approx(expected, rel=1e-5)


def features(nb: int, nb_mels: int = 4, nb_frames: int = 20, embeddings: bool = True) -> Features:
    made = torch.rand(nb, 6, 4) if embeddings else None
    return Features(torch.rand(nb, nb_mels, nb_frames), made)


def test_mixup_mixes_all_alike_and_within_groups() -> None:
    """Each row carries its own number; the mixed rows must say the same numbers everywhere."""
    torch.manual_seed(0)
    number = torch.arange(6.0)
    rows = [number.view(6, *[1] * len(shape)).expand(6, *shape).clone() for shape in ((4, 20), (6, 4), (3, 10), (3,))]
    (mels, embeddings), strong, weak = augment.mixup(Features(rows[0], rows[1]), rows[2], rows[3], [2, 1, 3])
    mixed = weak[:, 0]
    for other in (mels, embeddings, strong):
        torch.testing.assert_close(other.flatten(1), mixed[:, None].expand(6, other[0].numel()))
    assert (mixed[:2] >= 0).all() and (mixed[:2] <= 1).all()
    assert mixed[2] == 2
    assert (mixed[3:] >= 3).all() and (mixed[3:] <= 5).all()
    assert (mixed != number).any()


def test_shift_keeps_mels_embeddings_and_labels_aligned() -> None:
    """An impulse in output frame 5 i is in mel frame 10 i and in embedding i before and after."""
    torch.manual_seed(0)
    rows = torch.arange(4)
    mels, embeddings, strong = torch.zeros(4, 1, 40), torch.zeros(4, 1, 4), torch.zeros(4, 1, 20)
    mels[rows, 0, 10 * rows], embeddings[rows, 0, rows], strong[rows, 0, 5 * rows] = 1, 1, 1
    (mels, embeddings), strong = augment.shift(Features(mels, embeddings), strong, 0.064, 0.032, 0.32)
    place = embeddings[:, 0].argmax(-1)
    assert (mels[rows, 0, 10 * place] == 1).all() and (strong[rows, 0, 5 * place] == 1).all()
    assert mels.sum() == embeddings.sum() == strong.sum() == 4
    assert (place != rows).any()


def test_roll_is_torchs() -> None:
    x, frames = torch.rand(3, 2, 11), torch.tensor([0.0, 3.0, 14.0])
    expected = torch.stack([torch.roll(row, int(n), -1) for row, n in zip(x, frames, strict=True)])
    torch.testing.assert_close(augment.roll(x, frames), expected, atol=0, rtol=0)


def test_masks_are_spans_no_longer_than_asked() -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 3, 30)
    changed = (augment.mask(x, 2, 5) != x).all(1)  # (200, 30)
    lengths = changed.sum(1)
    assert lengths.max() == 5 and lengths.min() == 0
    assert ((changed[:, 1:] != changed[:, :-1]).sum(1) <= 2).all()  # one span each


@pytest.fixture(scope="module")
def selected(smoke_data: Run) -> Run:
    run = open_run("02", smoke_data.profile)
    select(run)
    return run


@pytest.fixture(scope="module")
def trained(selected: Run) -> Run:
    run = open_run("03", selected.profile)
    history = train_detector(run)
    assert len(history) == selected.profile.sed.train.steps
    return run


def test_curriculum_goes_from_clean_to_noisy() -> None:
    settings = load_profile("mini").sed.finetune
    heard = [stage_at(settings, RECIPES["full"], step).snr_db for step in range(settings.steps)]
    assert heard[0] is None and heard[-1] == (-10, 10)
    lows = [math.inf if snrs is None else snrs[0] for snrs in heard]
    assert lows == sorted(lows, reverse=True)
    for stage in settings.curriculum:
        assert heard.count(stage.snr_db) == pytest.approx(stage.share * settings.steps, abs=1)
    assert {stage_at(settings, RECIPES["no_curriculum"], step).snr_db for step in range(settings.steps)} == {(-10, 10)}


def test_noise_is_what_was_chosen_at_the_snr_that_is_said(trained: Run) -> None:
    run = open_run("04", trained.profile)
    ear = noisy_ears(run, ["full"], Detector(run.profile).eval())["full"]
    ear = dataclasses.replace(ear, recipe=RECIPES["no_curriculum"])
    torch.manual_seed(0)
    index = torch.arange(12)
    heard = ear.hear(index, step=0)
    clean = ear.clips.audio[index].float() / 32768
    torch.testing.assert_close(measured_snr_db(clean, heard.mixtures - clean), heard.snr_db, atol=0.01, rtol=0)
    assert heard.snr_db.min() >= -10 and heard.snr_db.max() <= 10 and heard.snr_db.std() > 2
    for row, noises in enumerate(heard.noises.tolist()):
        present = [n for n in noises if n >= 0]
        assert 2 <= len(present) <= 4
        assert all(ear.allowed[row, ear.bank.members[:, n].argmax()] for n in present)


def test_tracks_repeat_a_sound_with_pauses_in_its_slot(smoke_data: Run) -> None:
    """Against a loop over samples, for one event that fills the clip: sound, pause, sound, …"""
    bank = NoiseBank.of(load_sources(smoke_data, "train"), smoke_data.profile.data.noise_classes, torch.device("cpu"))
    short = int(bank.lengths.argmin())
    length, audio = int(bank.lengths[short]), bank.audio[short].float() / 32768
    torch.manual_seed(0)
    track = bank.tracks(torch.tensor([[short]]), torch.tensor([[True]]), 40_000)[0]
    torch.manual_seed(0)
    uniform = torch.rand(4, 1)
    # On a grid of 160 samples: 250 blocks in the clip, 100 a second.
    start, period = 160 * int(-0.3 * uniform[0] * 250), 160 * (-(-length // 160) + int(100 * (0.1 + 0.4 * uniform[3])))
    gain = 10 ** ((-3 + 6 * float(uniform[2])) / 20)
    for t in range(0, 40_000, 997):
        position = (t - start) % period
        expected = gain * float(audio[position]) if position < length else 0.0
        assert float(track[t]) == pytest.approx(expected, abs=1e-6)


def test_nothing_allowed_is_silence(smoke_data: Run) -> None:
    bank = NoiseBank.of(load_sources(smoke_data, "train"), smoke_data.profile.data.noise_classes, torch.device("cpu"))
    allowed = bank.allowed([[], ["Rain"]])
    tracks = bank.tracks(*bank.draw(allowed), 8000)
    assert not tracks[0].any() and tracks[1].any()
    with pytest.raises(ValueError, match="Bagpipes"):
        bank.allowed([["Bagpipes"]])


def test_choosing_for_sets_that_were_never_asked_about() -> None:
    selection = {frozenset("a"): ["x"], frozenset("ab"): ["y"], frozenset("c"): ["z"]}
    assert choose(frozenset("ab"), selection) == ["y"]
    assert choose(frozenset("abd"), selection) == ["y"]
    assert choose(frozenset("cd"), selection) == ["z"]
    assert choose(frozenset(), selection) == ["x", "y", "z"]


@pytest.fixture(scope="module")
def reviewed(trained: Run) -> Run:
    """With the rows that a reviewer asks for; a model's answers are left beside the written ones."""
    profile = trained.profile.model_copy(
        update={
            "evaluate": trained.profile.evaluate.model_copy(update={"reviewer_rows": True}),
            "llm": trained.profile.llm.model_copy(update={"smollm2": "smoke.json"}),
        }
    )
    asked = open_run("02", profile)
    select(asked)
    answers = [a.model_copy(update={"noise_classes": ["Wind"]}) for a in selected_answers(asked)]
    write_json(asked.folder / f"{SMOLLM2}.json", [a.model_dump(mode="json") for a in answers])
    return open_run("04", profile)


def test_recipes_hear_what_their_chooser_chose(reviewed: Run) -> None:
    ears = noisy_ears(reviewed, list(RECIPES), Detector(reviewed.profile).eval())
    written, vocabulary = load_selection(reviewed), reviewed.profile.data.noise_classes
    drawn = random_selection(written, vocabulary, reviewed.seed)
    kept = {s: [n for n in vocabulary if not any(load_ontology().similar(n, label) for label in s)] for s in written}
    expected = {
        "random": drawn, "no_curriculum": written, "full": written, "longer": {s: [] for s in written},
        "smollm2": {s: ["Wind"] for s in written}, "filter": kept,
    }  # fmt: skip
    assert [*expected] == [*ears]
    for name, selection in expected.items():
        ear, rows = ears[name], ears[name].clips.label_sets
        chosen = [choose(labels, selection) for labels in rows]
        assert torch.equal(ear.allowed[: len(rows)], ear.bank.allowed(chosen)), name
    clean = ears["full"].clips.audio[:4].float() / 32768
    for step in (0, reviewed.profile.sed.finetune.steps - 1):
        state = torch.get_rng_state()
        heard = ears["longer"].hear(torch.arange(4), step)
        assert torch.equal(heard.mixtures, clean) and (heard.noises == -1).all() and torch.isinf(heard.snr_db).all()
        assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(ears["full"].hear(torch.arange(4), step).mixtures, clean)


def test_stage_4_trains_models_that_differ(trained: Run, reviewed: Run) -> None:
    run = open_run("04", reviewed.profile)
    weights = []
    for name in RECIPES:
        history = finetune(run, name)
        assert len(history) == run.profile.sed.finetune.steps
        assert np.isfinite(history.to_numpy()).all()
        weights.append(read_tensors(run.folder / f"{name}.safetensors")[0]["dense.weight"])
    start = read_tensors(trained.folder / "theta.safetensors")[0]["dense.weight"]
    assert all((a != b).any() for i, a in enumerate([start, *weights]) for b in [start, *weights][:i])


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ["theta", "full"])
def test_killed_and_resumed_is_uninterrupted(trained: Run, tmp_path, monkeypatch, name: str) -> None:
    """To the bit, wherever the kill comes: the same weights, batch statistics and history."""

    class Elsewhere(Run):
        @property
        def folder(self):
            return tmp_path

    make = {"theta": train_detector, "full": lambda run: finetune(run, "full")}[name]
    stage = {"theta": "03", "full": "04"}[name]
    whole = open_run(stage, trained.profile)
    make(whole)
    run = Elsewhere(trained.profile, stage, whole.seed)
    monkeypatch.setattr(Elsewhere, "find", lambda self, *where: whole.find(*where))
    draw, calls = mean_teacher.label_loss, []

    def dies_at_third(*args):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return draw(*args)

    monkeypatch.setattr("nrsed_lib.training.fit.__defaults__", (0.0,))  # a checkpoint after every step
    monkeypatch.setattr(mean_teacher, "label_loss", dies_at_third)
    with pytest.raises(Killed):
        make(run)
    assert not (tmp_path / f"{name}.safetensors").exists()
    make(run)  # the third call was the last to fail
    resumed, straight = (read_tensors(f / f"{name}.safetensors")[0] for f in (tmp_path, whole.folder))
    assert resumed.keys() == straight.keys()
    assert all(torch.equal(resumed[k], straight[k]) for k in straight)
    history = f"history_{name}.csv"
    assert (tmp_path / history).read_text() == (whole.folder / history).read_text()
