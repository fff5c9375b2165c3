"""Ways to learn: each differs by what is said of it; as released, a training takes the published steps."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from golden import draw, fill, read
from sed_scores_eval.intersection_based import fscore
from torch import Tensor, nn

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.clips import Clips
from nrsed_lib.errors import ProfileError
from nrsed_lib.evaluate.psds import score_tables
from nrsed_lib.llm.selection import select
from nrsed_lib.profile import Batch, Mel, Schedule, load_profile
from nrsed_lib.sed import augment, mean_teacher
from nrsed_lib.sed.crnn import CRNN
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.finetuning import RECIPES, NoisyEar, finetune, noisy_ears, stage_at
from nrsed_lib.sed.mel import SCALERS, LinearMel
from nrsed_lib.sed.training import train_detector
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.sed.validation import BestEpoch, intersection_f1, weak_f1
from nrsed_lib.store import read_tensors
from nrsed_lib.training import Step, full_then_warmup, warmup

WAYS = ("scaler", "clip_loss", "teacher", "warmup", "augmentation", "batches", "kept")
RELEASED: dict[str, Any] = {f"sed.ways.{way}": "as_released" for way in WAYS} | {"sed.weak_share": 0.5}


# The published training step, stepped beside ours.


def released_run(config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, dict, pd.DataFrame]:
    """Our training on the drawn weights and batches, as released but for augmentation: student, teacher, history."""
    strong, weak, unlabelled = config["batch"]
    sizes = {"sed.batch.strong": strong, "sed.batch.weak": weak, "sed.batch.unlabelled": unlabelled}
    ways = RELEASED | {"sed.ways.augmentation": "as_written", "sed.ways.kept": "ours", "sed.ways.batches": "ours"}
    profile = load_profile("smoke", ways | sizes | {"sed.ema": config["ema"], "sed.consistency": config["consistency"]})
    crnn = CRNN(
        config["nb_classes"], config["nb_filters"], config["pooling"], config["nb_rnn_cells"], config["nb_rnn_layers"],
        config["dropout"], batchnorm_momentum=0.99, embedding_size=config["embedding_size"],
    )  # fmt: skip
    fill(crnn).double()  # Adam takes whole steps along gradients that are rounding alone: here they are none
    nb, steps = sum(config["batch"]), config["steps"]
    labels = torch.cat([draw(f"labels/{i}", (nb, config["nb_classes"], config["nb_frames"])) > 1 for i in range(steps)])

    class InOrder(TrainingSet):
        def draw(self, batch: Batch, step: Step, key: tuple[int, str] = (0, "")) -> Tensor:
            return step.number * nb + torch.arange(nb)

    monkeypatch.setitem(mean_teacher.DRAWS, "ours", InOrder.draw)
    clips = InOrder(torch.zeros(1), labels.double(), labels.any(-1).double(), [], (nb, 0, 0))
    mel = LinearMel(Mel(), config["sample_rate"])

    def hear(index: Tensor, step: int) -> Features:
        mels = mel(0.1 * draw(f"audio/{step}", (nb, config["nb_samples"])))
        shape = (nb, config["embedding_size"], config["nb_embedding_frames"])
        return Features(mels.double(), draw(f"embeddings/{step}", shape).double())

    detector: Any = SimpleNamespace(crnn=crnn, classes=(), scale=SCALERS["as_released"])
    schedule = Schedule(steps=steps, warmup_steps=config["warmup_steps"], lr=config["lr"])
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    run = Run(profile, "03", 0)
    history = mean_teacher.train_student(run, "released", detector, hear, clips, schedule)
    saved = torch.load(run.folder / "released.checkpoint.pt", weights_only=True)["state"]
    return saved["network"], saved["teacher"], history


def assert_alike(ours: dict[str, Tensor], golden: dict[str, dict], tolerance: float) -> None:
    """Every tensor, to `tolerance` of its rms (or of 1e-3, Adam's step, where it is next to nothing)."""
    assert {name for name, x in ours.items() if x.is_floating_point()} == golden.keys()
    for name, of in golden.items():
        x = ours[name].double().flatten()
        sample = x[torch.linspace(0, len(x) - 1, min(8, len(x))).long()]
        scale = max(of["rms"], 1e-3)
        assert (sample - torch.tensor(of["sample"], dtype=torch.float64)).abs().max() < tolerance * scale, name
        assert abs(float(x.mean()) - of["mean"]) < tolerance * scale, name


def test_a_training_takes_the_published_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in float64 but spectrograms and the ramp: float32's rounding, 6e-8, in decibels and what follows."""
    golden = read("released_step")
    student, teacher, history = released_run(golden["config"], tmp_path, monkeypatch)
    for term in ("loss", "strong", "weak", "consistency_strong", "consistency_weak", "lr"):
        np.testing.assert_allclose(history[term], golden["steps"][term], rtol=1e-5, atol=1e-8, err_msg=term)
    weight = (history["loss"] - history["strong"] - history["weak"]) / (
        history["consistency_strong"] + history["consistency_weak"]
    )
    np.testing.assert_allclose(weight[1:], golden["steps"]["consistency_weight"][1:], rtol=1e-5)
    assert_alike(student, golden["student"], 1e-5)
    assert_alike(teacher, golden["teacher"], 1e-5)


def test_the_released_scale_is_of_another_network() -> None:
    """-1 … 1 as the published scaler gives it, for a clip as for a constant one."""
    golden = read("released_step")
    nb, samples = sum(golden["config"]["batch"]), golden["config"]["nb_samples"]
    mels = LinearMel(Mel(), 16_000)(0.1 * draw("audio/0", (nb, samples)))
    scaled = SCALERS["as_released"](mels)
    assert_alike({"mels": scaled}, {"mels": golden["scaled_mels"]}, 1e-5)
    torch.testing.assert_close(scaled, 2 * SCALERS["ours"](mels) - 1)
    assert (SCALERS["as_released"](torch.ones(1, 2, 3)) == -1).all()


def test_dropout_stands_where_it_is_asked_for() -> None:
    def layers(**how: Any) -> list[str]:
        return [name.rstrip("0") for name, _ in CRNN(2, [4], [(1, 8)], 4, 1, **how).cnn.cnn.named_children()]

    assert layers()[-2:] == ["pooling", "dropout"]
    assert layers(dropout_before_pooling=True)[-2:] == ["dropout", "pooling"]


def test_clips_that_learn_from_clip_wise_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    frames, clips = torch.rand(2, 6, 3, 5, generator=generator), torch.rand(2, 6, 3, generator=generator)
    seen, labels = (frames[0], clips[0]), (frames[1], clips[1])
    found = {way: mean_teacher.label_loss(seen, labels, (2, 1, 3), of) for way, of in mean_teacher.CLIP_LOSS.items()}
    by_hand = [-(y * math.log(p) + (1 - y) * math.log(1 - p)) for p, y in zip(*clips[:, 2].tolist(), strict=True)]
    assert float(found["as_released"][1]) == pytest.approx(sum(by_hand) / 3, rel=1e-5)  # of the weak clip alone
    assert found["ours"][0] == found["as_released"][0]
    assert abs(found["ours"][1] - found["as_released"][1]) > 0.01


def test_batch_statistics_are_averaged_or_left_alone() -> None:
    teacher, student = nn.BatchNorm2d(1), nn.BatchNorm2d(1)
    for x in (student.weight.data, student.running_mean):
        assert x is not None
        x.fill_(4.0)
    mean_teacher.update_teacher(teacher, student, 1, 0.9, statistics=False)
    assert teacher.weight.item() == 2.5 and float(teacher.running_mean) == 0  # half of 1 and of 4; of its own
    mean_teacher.update_teacher(teacher, student, 1, 0.9)
    assert teacher.weight.item() == 3.25 and float(teacher.running_mean) == 2


def test_the_first_step_and_those_after() -> None:
    schedule = Schedule(steps=8, warmup_steps=4)
    assert [full_then_warmup(i, schedule) for i in range(5)] == [1.0, *(warmup(i, schedule) for i in (2, 3, 4, 5))]
    assert warmup(0, schedule) == pytest.approx(math.exp(-5))


class Ear:
    """A detector as augmentation knows it, whose scale has zeros nowhere."""

    scale = staticmethod(lambda mels: mels + 1)


def augmented(seed: int) -> augment.Augmented:
    """Rows carry their own number: two strong, three weak, two unlabelled."""
    torch.manual_seed(seed)
    number = torch.arange(7.0)
    mels, embeddings, strong, weak = (
        number.view(7, *[1] * len(shape)).expand(7, *shape).clone() for shape in ((40, 30), (6, 4), (3, 10), (3,))
    )
    detector: Any = Ear()
    return augment.as_released(Features(mels, embeddings), strong, weak, (2, 3, 2), detector)


def test_released_mixup_is_of_labelled_mels_in_one_proportion() -> None:
    mixed = 0
    for seed in range(40):
        student, teacher, embeddings, strong, weak = augmented(seed)
        assert embeddings is not None and torch.equal(embeddings[:, 0, 0], torch.arange(7.0))
        labels = weak[:, 0]
        for heard in (student, teacher):
            whole = heard.flatten(1).amax(1)  # where there is no gap
            torch.testing.assert_close(whole, labels + 1)
        torch.testing.assert_close(strong.flatten(1), labels[:, None].expand(7, 30))
        assert torch.equal(labels[5:], torch.tensor([5.0, 6.0]))
        assert (labels[2:5] >= 2).all() and (labels[2:5] <= 4).all()
        torch.testing.assert_close(labels[:2].sum(), torch.tensor(1.0))  # of 0 and 1: c and 1 - c
        mixed += not torch.equal(labels, torch.arange(7.0))
    assert 5 <= mixed <= 25  # half of them, less those that are mixed with themselves


def test_released_gaps_are_of_each_network() -> None:
    longest = {1: 0, 2: 0}
    for seed in range(60):
        student, teacher, *_ = augmented(seed)
        for heard in (student, teacher):
            gaps = heard == 0
            for axis in longest:
                longest[axis] = max(longest[axis], int(gaps.all(3 - axis).sum(1).max()))
    assert longest == {1: augment.RELEASED_BANDS - 1, 2: augment.RELEASED_FRAMES - 1}
    assert not torch.equal(student, teacher)


def test_as_written_nothing_is_augmented() -> None:
    features, detector = Features(torch.rand(3, 4, 5), torch.rand(3, 2, 2)), Ear()
    heard = augment.as_written(features, torch.rand(3, 1, 5), torch.rand(3, 1), (1, 1, 1), detector)  # type: ignore[arg-type]
    assert torch.equal(heard[0], features.mels + 1) and heard[1] is heard[0] and heard[2] is features.embeddings


def training_set(nb: tuple[int, int, int], weak_share: float = 1.0) -> TrainingSet:
    zeros = torch.zeros(sum(nb), 1)
    return TrainingSet(zeros.short(), zeros[..., None], zeros, [], nb, weak_share)


def test_an_epoch_hears_every_clip_of_its_smallest_set_once() -> None:
    clips, batch = training_set((50, 20, 40), 0.5), Batch(strong=4, weak=2, unlabelled=3)
    assert clips.drawn == (50, 10, 40) and clips.epoch(batch) == 5
    assert clips.held_out.tolist() == list(range(60, 70))
    key, steps = (0, "theta"), [Step(i, torch.Generator(), batch.sizes) for i in range(10)]
    index = torch.stack([clips.deal(batch, step, key) for step in steps])  # (10, 9)
    first, second = index[:5], index[5:]
    for epoch in (first, second):
        assert sorted(epoch[:, 4:6].flatten().tolist()) == list(range(50, 60))
        assert len(epoch[:, :4].unique()) == 20 and epoch[:, :4].max() < 50
        assert len(epoch[:, 6:].unique()) == 15 and epoch[:, 6:].min() >= 70
    assert not torch.equal(first, second)
    assert torch.equal(clips.deal(batch, steps[7], key), index[7])  # a resumed training draws the same
    assert not torch.equal(clips.deal(batch, steps[7], (1, "theta")), index[7])
    with pytest.raises(ValueError, match=r"\(50, 1, 40\).*batch of \(4, 2, 3\)"):
        training_set((50, 1, 40)).epoch(batch)


def test_parts_are_dealt_by_lot_and_the_first_stays_clean() -> None:
    settings = load_profile("paper").sed.finetune
    allowed = torch.ones(130, 1, dtype=torch.bool)
    ear = NoisyEar(training_set((101, 9, 20)), None, allowed, RECIPES["full"], settings, seed=3)  # type: ignore[arg-type]
    ends = [settings.steps * (k + 1) // 5 - 1 for k in range(5)]
    dealt = [ear.levels(stage_at(settings, ear.recipe, end)) for end in ends]
    for nb, levels in enumerate(dealt, 1):
        assert levels[101:].isinf().all()  # weak and unlabelled clips
        counts = {snr: levels[:101].tolist().count(snr) for snr in (math.inf, 10, 5, 0, -5)}
        size = 101 // nb
        expected = [size] * (nb - 1) + [101 - size * (nb - 1)] + [0] * (5 - nb)  # the last takes the rest
        assert list(counts.values()) == expected
    assert ((dealt[3] == 10) != (dealt[4] == 10)).sum() > 10  # dealt anew
    assert torch.equal(dealt[4], ear.levels(settings.curriculum[4]))
    at_random = NoisyEar(ear.clips, ear.bank, allowed, RECIPES["no_curriculum"], settings)
    levels = at_random.levels(stage_at(settings, at_random.recipe, 0))
    assert levels[:101].isnan().all() and levels[101:].isinf().all()


def test_the_best_epoch_is_kept() -> None:
    scores, net = iter([0.3, 0.9, 0.9, 0.1]), nn.Linear(1, 1, bias=False)
    validation: Any = SimpleNamespace(objective=lambda student: next(scores), first=2)
    best = BestEpoch(net, net, validation, length=2, steps=9)
    for step in range(9):  # ends at 1 (too early), 3, 5, 7 and 8, the last
        nn.init.constant_(net.weight, step)
        best.look(step)
        if step == 5:
            resumed = BestEpoch(net, net, validation, length=2, steps=9)
            resumed.load_state_dict(best.state_dict())
    assert best.score == resumed.score == 0.9
    assert best.weights["weight"].item() == resumed.weights["weight"].item() == 5  # the first of equals


def test_the_objective_is_two_f1_scores() -> None:
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0]])
    heard = torch.tensor([[0.9, 0.6, 0.1], [0.4, 0.8, 0.1], [0.1, 0.1, 0.1]])
    assert weak_f1(heard, labels) == pytest.approx((2 / 3 + 2 / 3) / 2)  # one hit, one missed; one hit, one false
    events = pd.DataFrame(
        [["x", 0.0, 4.0, "a"], ["x", 6.0, 8.0, "a"], ["y", 0.0, 10.0, "b"]],
        columns=["filename", "onset", "offset", "event_label"],
    )
    clips = Clips(["x", "y"], torch.zeros(2, 80_000, dtype=torch.int16), events, ("a", "b"), 8_000)
    frames = torch.zeros(2, 2, 10)
    frames[0, 0, :3] = 0.7  # three of four seconds: found
    frames[0, 0, 9:] = 0.8  # another: false; and from 6 to 8 s nothing: missed
    frames[1, 1, :4] = 0.9  # four of ten seconds: too few
    assert intersection_f1(frames, clips) == pytest.approx((2 / 4 + 0) / 2)
    assert intersection_f1(torch.zeros(2, 2, 10), clips) == 0


def test_intersection_f1_is_the_librarys() -> None:
    rng = np.random.default_rng(0)
    names, classes = [f"c{i}" for i in range(30)], ("a", "b", "c")
    onset = rng.uniform(0, 8, 80)
    events = pd.DataFrame(
        {"filename": rng.choice(names, 80), "onset": onset, "offset": onset + rng.uniform(0.2, 2, 80)}
    )
    events = events.assign(event_label=rng.choice(classes, 80)).drop_duplicates(["filename", "event_label"])
    clips = Clips(names, torch.zeros(30, 80_000, dtype=torch.int16), events, classes, 8_000)
    frames = (0.3 * torch.from_numpy(rng.random((30, 3, 50))) + 0.6 * clips.strong(50)).roll(1, -1)
    frames = torch.where(torch.from_numpy(rng.random((30, 3, 50)) < 0.02), 0.9, frames)
    found = fscore(score_tables(frames, clips), clips.ground_truth, 0.5, dtc_threshold=0.5, gtc_threshold=0.5)[0]
    assert 0.3 < found["macro_average"] < 0.9
    assert intersection_f1(frames, clips) == pytest.approx(found["macro_average"], abs=1e-9)


@pytest.fixture(scope="module")
def selected(smoke_data: Run) -> Run:
    run = open_run("02", smoke_data.profile)
    select(run)
    return run


def test_a_run_as_released(selected: Run) -> None:
    """Both stages of the smallest profile; the epoch is chosen, and is not the last step of ours."""
    parts = [{"share": 0.5, "snr_db": None}, {"share": 0.5, "parts_db": [None, 5.0]}]
    settings = RELEASED | {"sed.finetune.curriculum": parts, "sed.finetune.noisy": "strong", "sed.labelled_share": 0.0}
    profile = load_profile("smoke", settings)
    for notebook, names in (("03", ["theta"]), ("04", ["full", "no_curriculum"])):
        run = open_run(notebook, profile)
        for name in names:
            history = train_detector(run) if name == "theta" else finetune(run, name)
            assert np.isfinite(history.to_numpy()).all()
            saved = torch.load(run.folder / f"{name}.checkpoint.pt", weights_only=True)["state"]
            kept = read_tensors(run.folder / f"{name}.safetensors")[0]
            assert saved["best"]["score"] >= 0
            assert all(torch.equal(saved["best"]["weights"][k], x) for k, x in kept.items())


def test_noise_comes_to_strong_clips_of_noisy_parts_alone(selected: Run) -> None:
    parts = [{"share": 1.0, "parts_db": [None, 5.0]}]
    profile = load_profile("smoke", {"sed.finetune.curriculum": parts, "sed.finetune.noisy": "strong"})
    train_detector(open_run("03", profile))
    run = open_run("04", profile)
    ear = noisy_ears(run, ["full"], Detector(profile).eval())["full"]
    index = torch.arange(24)
    heard = ear.hear(index, 0)
    same = (heard.mixtures == ear.clips.audio[index] / 32768).all(1)
    assert torch.equal(same, heard.snr_db.isinf()) and torch.equal(same, (heard.noises < 0).all(1))
    assert same[:12].sum() == 6 and same[12:].all()


def test_the_papers_schedule_is_200_epochs() -> None:
    profile = load_profile("paper")
    data, sed = profile.data, profile.sed
    clips = training_set((data.nb_strong, data.nb_weak, data.nb_unlabelled), sed.weak_share)
    assert clips.epoch(sed.batch) == 59
    for schedule in (sed.train, sed.finetune):
        assert (schedule.steps, schedule.warmup_steps) == (200 * 59, 50 * 59)
    assert set(sed.ways.model_dump().values()) == {"as_released"}


@pytest.mark.parametrize("profile", ["mini", "open", "smoke"])
def test_others_go_our_way(profile: str) -> None:
    assert set(load_profile(profile).sed.ways.model_dump().values()) == {"ours"}


BOTH = [{"share": 1.0, "snr_db": [0.0, 5.0], "parts_db": [None, 5.0]}]
RISING = [{"share": 0.5, "parts_db": [0.0]}, {"share": 0.5, "parts_db": [None, 5.0]}]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sed.ways.teacher": "released"}, ["sed.ways.teacher", "'ours' or 'as_released'"]),
        ({"sed.ways.scaler": "as_written"}, ["sed.ways.scaler", "'ours' or 'as_released'"]),
        ({"sed.ways.kept": "as_released"}, ["sed.weak_share", "no weak clip to choose the epoch by"]),
        ({"sed.weak_share": 0.0}, ["sed.weak_share", "more than 0"]),
        ({"sed.labelled_share": 1.5}, ["sed.labelled_share", "too high"]),
        ({"sed.ways.batches": "as_released", "sed.weak_share": 0.1}, ["sed.weak_share", "leaves 1 of 6 weak clips"]),
        ({"sed.finetune.noisy": "weak"}, ["sed.finetune.noisy", "'all' or 'strong'"]),
        ({"sed.finetune.curriculum": BOTH}, ["sed.finetune.curriculum", "both snr_db and parts_db"]),
        ({"sed.finetune.curriculum": RISING}, ["sed.finetune.curriculum", "fall from easy to hard"]),
        ({"sed.finetune.curriculum": [{"share": 1.0, "parts_db": []}]}, ["parts_db", "1 or more"]),
    ],
)
def test_what_can_not_be_is_said(settings: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ProfileError) as error:
        load_profile("smoke", settings)
    assert all(words in str(error.value) for words in said)
