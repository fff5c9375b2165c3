"""OpenSep and its baselines: shapes, conditions, what is learned from, and that it learns."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.clips import Sources
from nrsed_lib.lass.mixtures import Apart, Mixer
from nrsed_lib.profile import load_profile
from nrsed_lib.studies.opensep import measure
from nrsed_lib.studies.opensep.classes import class_split
from nrsed_lib.studies.opensep.methods import BUILD, Method, Setup
from nrsed_lib.studies.opensep.methods.opensep import OpenSepMethod, levels_of
from nrsed_lib.studies.opensep.networks.front_end import FrontEnd, features_of, mask_error
from nrsed_lib.studies.opensep.networks.text import Tokens, WordReader
from nrsed_lib.studies.opensep.networks.unet import AttentionUNet
from nrsed_lib.studies.opensep.tables import over_seeds, published, table
from nrsed_lib.studies.opensep.variants import METHODS, SCOPES, recipe_of, recipes, variants
from nrsed_lib.studies.settings import CaptionerTrain, OpenSep
from nrsed_lib.studies.trials import Trial, trials
from nrsed_lib.training import device

RATE, NB = 1600, 1600  # a second
LABELS = [f"tone {i}" for i in range(6)]
SETTINGS = OpenSep(
    steps=40, warmup_steps=5, batch=4, seconds=1.0, lr=5e-3, n_fft=126, hop=64, nb_channels=[8, 8, 16, 16],
    nb_attended=2, nb_heads=2, condition_size=16, captioner=CaptionerTrain(steps=1, warmup_steps=0),
)  # fmt: skip
SMOKE = load_profile("smoke")


def setup(**more) -> Setup:
    return Setup(SETTINGS, SMOKE.lass.model_copy(update={"n_fft": 126, "hop": 64, "nb_bands": 16}), LABELS, **more)


def built(key: str, **more) -> Method:
    torch.manual_seed(0)
    return BUILD[key](setup(**more)).to(device())


def tones() -> Sources:
    t = torch.arange(NB) / RATE
    audio = torch.stack([torch.sin(2 * torch.pi * (60 + 110 * (i // 2)) * t) for i in range(12)])
    labels = [label for label in LABELS for _ in range(2)]
    return Sources(
        [f"{label}-{i}/0" for i, label in enumerate(labels)], labels, ["noise"] * 12, (8000 * audio).short(),
        torch.full((12,), NB), RATE,
    )  # fmt: skip


def drawn(batch: int = 3, nb_sources: int = 4) -> Apart:
    return Mixer(tones(), NB).draw_apart(batch, nb_sources, (-5, 5), torch.Generator().manual_seed(1))


@pytest.mark.parametrize("key", METHODS)
def test_each_method_separates_any_batch_alike(key: str) -> None:
    method, pairs = built(key).eval(), drawn(nb_sources=2)
    mixtures, classes = pairs.sounds.sum(1).to(device()), pairs.classes.to(device())
    with torch.inference_mode():
        whole = method.separate(mixtures, classes, LABELS)
        nb_outputs = {"mixit": 4, "mixit_pit": 4}.get(key, 2)
        assert whole.shape == (3, nb_outputs, NB)
        one_by_one = [method.separate(mixtures[[i]], classes[[i]], LABELS) for i in range(3)]
        torch.testing.assert_close(torch.cat(one_by_one), whole, atol=1e-5, rtol=1e-4)
        if key != "audiosep":  # which masks in its own front end
            masks = method.masks(method.front.magnitudes(mixtures), classes, LABELS)
            assert masks.min() >= 0 and masks.max() <= 1
            assert masks.shape == (3, nb_outputs, 1 + NB // 64, 64)


@pytest.mark.parametrize("key", METHODS)
def test_each_loss_reaches_every_parameter(key: str) -> None:
    method = built(key, levels=True).train()
    loss = method.loss(drawn(), LABELS)
    assert loss.ndim == 0 and torch.isfinite(loss)
    loss.backward()
    unused = [name for name, p in method.named_parameters() if p.grad is None]
    # AudioSep's published layout carries layers that nothing uses
    assert not [name for name in unused if "bn2" not in name and "beta2" not in name], unused


@pytest.mark.parametrize("key", [key for key in METHODS if BUILD[key].asked])
def test_what_is_asked_for_matters(key: str) -> None:
    method, pairs = built(key).eval(), drawn(nb_sources=2)
    mixtures, classes = pairs.sounds.sum(1).to(device()), pairs.classes.to(device())
    with torch.inference_mode():
        out = method.separate(mixtures, classes, LABELS)
        torch.testing.assert_close(method.separate(mixtures, classes.flip(1), LABELS), out.flip(1))
        assert (out[:, 0] - out[:, 1]).abs().max() > 1e-5


def test_a_text_does_not_depend_on_the_length_of_others() -> None:
    method, pairs = built("opensep").eval(), drawn(nb_sources=2)
    mixtures = pairs.sounds.sum(1).to(device())
    first = torch.zeros(3, 1, dtype=torch.long, device=device())
    with torch.inference_mode():
        alone = method.separate(mixtures, first, ["a dog barks"])
        beside = method.separate(mixtures, first, ["a dog barks", "the sound of rain is a soft and steady patter"])
    torch.testing.assert_close(beside, alone, atol=1e-5, rtol=1e-4)


def test_word_reader() -> None:
    reader = WordReader(8)
    tokens = reader.read(["dog", "dog barks " * 300])
    assert tokens.vectors.shape == (2, 512, 8) and tokens.padding.sum(1).tolist() == [511, 0]
    torch.testing.assert_close(tokens.vectors[0, 0], tokens.vectors[1, 0])
    with pytest.raises(ValueError, match="'  ' has no word"):
        reader.read(["dog", "  "])


def test_levels_are_four_sounds_and_two_pairs() -> None:
    """Each class's text is one token that says which class it is."""
    known = Tokens(torch.arange(6.0)[:, None, None], torch.zeros(6, 1, dtype=torch.bool))
    texts = levels_of(known, torch.tensor([[5, 0, 3, 2], [1, 2, 4, 0]]))
    said = [
        [int(v) for v, padded in zip(vectors.flatten(), padding, strict=True) if not padded]
        for vectors, padding in zip(texts.vectors, texts.padding, strict=True)
    ]
    assert said == [[5], [0], [3], [2], [5, 0], [3, 2], [1], [2], [4], [0], [1, 2], [4, 0]]


def test_the_multi_level_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tones that do not overlap: the ideal mask of a pair is the sum of those of its sounds."""
    method = built("opensep", levels=True)
    assert isinstance(method, OpenSepMethod)
    apart = drawn(1)
    sounds = apart.sounds[0].to(device())
    mixture = method.front.magnitudes(sounds.sum(0, keepdim=True))[0]
    parts = [*sounds, sounds[0] + sounds[1], sounds[2] + sounds[3]]
    shares = [(method.front.magnitudes(p[None])[0] / mixture.clamp(min=1e-8)).clamp(max=1) for p in parts]
    monkeypatch.setattr(method, "_asked", lambda magnitudes, text: torch.stack(shares)[None])
    assert float(method.loss(apart, LABELS)) == pytest.approx(0, abs=1e-5)

    everything = torch.ones(1, 6, *mixture.shape, device=device())
    monkeypatch.setattr(method, "_asked", lambda magnitudes, text: everything)
    weight = features_of(mixture)
    by_hand = [float((weight * (1 - share)).sum() / weight.sum()) for share in shares]
    assert float(method.loss(apart, LABELS)) == pytest.approx(sum(by_hand) / 6, rel=1e-4)
    assert sum(by_hand[4:]) / 2 < sum(by_hand[:4]) / 4  # a pair is nearer to the mixture than a sound is


def test_mask_error_is_cut_where_sounds_cancel() -> None:
    mixture, target = torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), 0.9)
    assert float(mask_error(torch.ones(1, 2, 2), mixture, target)) == 0
    assert float(mask_error(torch.full((1, 2, 2), 0.25), mixture, target)) == pytest.approx(0.75)


def test_a_mask_of_ones_gives_the_mixture_back() -> None:
    for nb_bands in (None, 16):
        front = FrontEnd(SETTINGS.model_copy(update={"nb_bands": nb_bands}))
        mixtures = drawn().sounds.sum(1)
        ones = torch.ones(3, 1, 1 + NB // 64, front.nb_features)
        torch.testing.assert_close(front.separate(mixtures, ones)[:, 0], mixtures, atol=1e-5, rtol=1e-4)


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        AttentionUNet(60, 1, [4, 4, 4, 4])
    with pytest.raises(ValueError, match="nb_heads"):
        AttentionUNet(64, 1, [4, 4, 6], nb_attended=1, nb_heads=4, text_size=8)


def test_the_published_size() -> None:
    """43.2 million in the source, whose kernels are not published: ours has 2 % more."""
    settings = OpenSep(
        steps=1, warmup_steps=0, batch=1, seconds=10.0, captioner=CaptionerTrain(steps=1, warmup_steps=0)
    )
    with torch.device("meta"):
        net = AttentionUNet(512, 1, settings.nb_channels, settings.nb_attended, settings.nb_heads, 768)
    assert len(net.encoders) == len(net.decoders) == 7 and len(net.cross) == len(net.own) == 4
    assert sum(p.numel() for p in net.parameters()) / 43.2e6 == pytest.approx(1.02, abs=0.005)


def labelled(roles: dict[str, str]) -> Sources:
    nb = len(roles)
    audio = torch.zeros(nb, 4, dtype=torch.int16)
    return Sources([f"{i}/0" for i in range(nb)], list(roles), list(roles.values()), audio, torch.full((nb,), 4), RATE)


def test_half_of_the_classes_are_held_out() -> None:
    train = labelled({f"c{i}": "noise" for i in range(10)} | {"Dog": "target", "Puppy": "noise/Dog"})
    test = labelled({f"c{i}": "noise" for i in range(4, 14)} | {"Dog": "target"})
    everything, half = (class_split(train, test, scope, 0) for scope in SCOPES)
    assert set(everything.trained) == set(train.labels)
    assert set(everything.tested) == {f"c{i}" for i in range(4, 10)} | {"Dog", "Puppy"}
    assert not set(half.trained) & set(half.tested)
    assert {"c10", "c11", "c12", "c13"} <= set(half.tested)  # nobody can learn from them
    assert ("Dog" in half.trained) == ("Puppy" in half.trained)
    held_out = {label for label in (*train.labels, *test.labels) if label not in half.trained} - {"Puppy"}
    assert len(held_out) == 15 // 2
    assert class_split(train, test, "half", 0) == half != class_split(train, test, "half", 1)
    with pytest.raises(ValueError, match="needs two"):
        class_split(train, labelled({"c0": "noise"}), "all", 0)


@pytest.fixture
def run(smoke_data: Run) -> Run:
    return open_run("11", "smoke")


def test_what_is_held_out_is_never_heard_in_training(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = measure.split_of(run, "half")
    mixer = measure.training_mixer(run)
    heard: set[str] = set()

    def loss(self: Method, apart: Apart, texts: list[str]) -> Tensor:
        heard.update(mixer.labels[i] for i in apart.classes.flatten().tolist())
        return next(iter(self.parameters())).sum() * 0

    monkeypatch.setattr(BUILD["pit"], "loss", loss)
    measure.train_method(built("pit"), mixer, split, mixer.labels, tmp_path, run, 0)
    assert heard and heard <= set(split.trained) and not heard & set(split.tested)


def test_the_measured_pairs_are_the_same_and_audible(run: Run) -> None:
    test = measure.held_out_mixer(run)
    first, again = (measure.held_out_pairs(run, "half", test) for _ in range(2))
    assert torch.equal(first.sounds, again.sounds) and len(first.sounds) == run.profile.studies.nb_mixtures
    energy = first.sounds.square().sum(-1)
    assert (energy > measure.AUDIBLE * energy.sum(1, keepdim=True)).all()
    tested = set(measure.split_of(run, "half").tested)
    assert {test.labels[i] for i in first.classes.flatten().tolist()} <= tested


class Oracle(Method):
    def __init__(self, sounds: Tensor, asked: bool) -> None:
        super().__init__(setup())
        self.sounds, self.asked = sounds.to(device()), asked

    def separate(self, mixtures: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        return torch.cat([self.sounds.flip(1), 0.1 * self.sounds[:, :1]], dim=1)[:, : 2 if self.asked else 3]

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor: ...
    def masks(self, magnitudes: Tensor, classes: Tensor, texts: list[str]) -> Tensor: ...


def test_outputs_are_matched_only_when_nothing_was_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = Apart(torch.randn(2, 2, 4000, generator=generator), torch.zeros(2, 2, dtype=torch.long))
    matched = measure.measure(Oracle(pairs.sounds, asked=False), pairs, ["a"], ["a"])
    assert list(matched.columns) == ["mixture", "first", "second", "sdr", "sir"] and matched.sdr.min() > 40
    assert measure.measure(Oracle(pairs.sounds, asked=True), pairs, ["a"], ["a"]).sir.max() < 0


@pytest.mark.parametrize("key", ["pit", "opensep"])
def test_training_lowers_the_loss(key: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = run.profile.studies.model_copy(update={"opensep": SETTINGS})
    here = Run(run.profile.model_copy(update={"studies": studies}), "11", 0)
    mixer = Mixer(tones(), NB)
    split = class_split(tones(), tones(), "all", 0)
    measure.train_method(built(key, levels=True).train(), mixer, split, LABELS, tmp_path, here, 0)
    loss = pd.read_csv(tmp_path / "history.csv").loss
    assert loss[-5:].mean() < 0.7 * loss[:5].mean()


def test_every_row_of_the_tables_is_a_trial() -> None:
    assert set(METHODS) <= set(recipes(SMOKE))
    names = {trial.name for trial in trials(variants(SMOKE), SMOKE.studies.seeds)}
    assert {f"{row}-{scope}-seed0" for row in recipes(SMOKE) for scope in SCOPES} == names
    assert recipe_of("opensep_classes-half", SMOKE)[1].by is None
    for row in ("opensep_classes_levels", "opensep"):
        assert recipes(SMOKE)[row].levels


def test_a_trial_is_measured_and_kept(run: Run) -> None:
    name = Trial("opensep-half", 0).name
    rows = measure.study(run, only=name)
    assert len(rows) == run.profile.studies.nb_mixtures and set(rows.variant) == {"opensep-half"}
    assert rows[["sdr", "sir"]].notna().all().all()
    made = (run.folder / name / "separator.safetensors").stat().st_mtime
    pd.testing.assert_frame_equal(measure.study(run, only=name), rows)
    assert (run.folder / name / "separator.safetensors").stat().st_mtime == made


def test_tables_have_ours_beside_the_published() -> None:
    rows = pd.DataFrame(
        {"variant": ["pit-all"] * 4, "seed": [0, 0, 1, 1], "sdr": [1.0, 2, 3, 4], "sir": [5.0, 5, 5, 5]}
    )
    ours = over_seeds(rows).loc[("pit-all", "SDR")]
    assert (ours["mean"], ours.nb_seeds, ours.nb_mixtures) == (2.5, 2, 2)
    assert ours.spread == pytest.approx(2**0.5)  # of 1.5 and 3.5
    shown = table(1, rows, SMOKE)
    assert shown.loc["PIT", ("smoke", "seen SDR")] == "2.50 ± 1.41"
    assert shown.loc["PIT", ("VGGSound", "seen SDR")] == "2.01 ± 0.32"
    assert shown.loc["OpenSep", ("smoke", "seen SDR")] == ""
    assert list(shown.index) == list(METHODS.values())
    assert "unseen SDR" not in shown["smoke"].columns


def test_the_published_tables() -> None:
    """Spot checks; and what the text says about them: +64 % and +180 % SDR on unseen sources over AudioSep."""
    values = published().set_index(["table", "row", "column"]).value
    assert len(values) == 152 and values.index.is_unique
    for dataset, gain in (("MUSIC", 64), ("VGGSound", 180)):
        best, ours = (values[2, row, f"{dataset} unseen SDR"] for row in ("AudioSep", "OpenSep"))
        assert 100 * (ours / best - 1) == pytest.approx(gain, abs=1)
    seen = "VGGSound seen SDR"
    assert values[1, "OpenSep", seen] == values[4, "knowledge and levels", seen] == values[5, "5", seen]
