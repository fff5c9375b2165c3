"""The study: every variant is trained, and measured on the same mixtures of two held-out recordings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.evaluate.separation import sdr
from nrsed_lib.lass.mixtures import Apart, Mixer
from nrsed_lib.lass.training import OPTIMISER
from nrsed_lib.store import read_tensors
from nrsed_lib.studies.opensep.bss import bss_eval
from nrsed_lib.studies.opensep.classes import ClassSplit, class_split
from nrsed_lib.studies.opensep.methods import BUILD, Method, Setup
from nrsed_lib.studies.opensep.methods.match import best_match
from nrsed_lib.studies.opensep.variants import SCOPES, recipe_of, variants
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.trials import Trial, measure_trials
from nrsed_lib.training import Loss, Step, descend, device, keep

BATCH = 10  # mixtures separated and measured at once
AUDIBLE = 1e-3  # share of a mixture's energy that each of its sounds has at least: -30 dB
MAX_DRAWS = 50  # of which a mixture has to be audible
LIMIT_DB = 60.0  # of a ratio either way: about the precision of float32


def study(run: Run, only: str | None = None) -> pd.DataFrame:
    """Train and measure every variant with every seed, or the trial named `only`; what is done is kept.

    One row a mixture: variant, seed, mixture (its number), first, second (its classes), and means over its two
    sounds, in dB: sdr, sir (BSS-eval, 512 taps).
    """
    return measure_trials(run, variants(run.profile), train_and_measure, only)


def train_and_measure(run: Run, trial: Trial) -> pd.DataFrame:
    """Its rows; leaves `<trial>/separator.safetensors` and `history.csv` in the notebook's folder."""
    _, recipe, scope = recipe_of(trial.variant, run.profile)
    test = held_out_mixer(run)
    return measure(load_method(run, trial), held_out_pairs(run, scope, test), recipe.prompts(test.labels), test.labels)


def load_method(run: Run, trial: Trial) -> Method:
    """A variant, trained: at once if it was trained before. In eval mode, on the device."""
    _, recipe, scope = recipe_of(trial.variant, run.profile)
    settings = studies_of(run.profile).opensep
    mixer = training_mixer(run)
    torch.manual_seed(trial.seed)
    method = BUILD[recipe.method](Setup(settings, run.profile.lass, mixer.labels, recipe.levels)).to(device())
    path = run.folder / trial.name / "separator.safetensors"
    if not path.exists():
        train_method(method, mixer, split_of(run, scope), recipe.prompts(mixer.labels), path.parent, run, trial.seed)
    method.load_state_dict(read_tensors(path)[0])
    return method.eval()


def training_mixer(run: Run) -> Mixer:
    """Draws training sounds, as long as the training mixtures of the profile."""
    sources = load_sources(run, "train")
    return Mixer(sources.to(device()), round(studies_of(run.profile).opensep.seconds * sources.sample_rate))


def held_out_mixer(run: Run) -> Mixer:
    """Draws held-out sounds; what is measured is as long as what is learned from."""
    seconds = studies_of(run.profile).opensep.seconds
    return Mixer(load_sources(run, "test"), round(seconds * run.profile.data.sample_rate))


def train_method(
    method: Method, mixer: Mixer, split: ClassSplit, texts: list[str], folder: Path, run: Run, seed: int
) -> None:
    """Leave `separator.safetensors` and `history.csv` in `folder`.

    The same sounds in the same steps for every method: `batch` times four, of which it makes its own mixtures.
    """
    settings = studies_of(run.profile).opensep
    among = torch.tensor([label in set(split.trained) for label in mixer.labels])

    def draw(step: Step) -> tuple[Tensor, Tensor]:
        drawn = mixer.draw_apart(settings.batch, 4, levels_db(settings.snr_db), step.generator, among)
        return drawn.sounds, drawn.classes

    def losses(_: Step, sounds: Tensor, classes: Tensor) -> dict[str, Loss]:
        return {"loss": Loss(method.loss(Apart(sounds, classes), texts))}

    history = descend("separator", method, draw, losses, OPTIMISER, settings, (settings.batch,), folder, seed)
    files = folder / "separator.safetensors", folder / "history.csv"
    keep(*files, method.state_dict(), history, opensep=settings.model_dump())


def levels_db(snr_db: tuple[float, float]) -> tuple[float, float]:
    """Levels of two sounds whose difference then lies in `snr_db`."""
    return snr_db[0] / 2, snr_db[1] / 2


def split_of(run: Run, scope: str) -> ClassSplit:
    return class_split(load_sources(run, "train"), load_sources(run, "test"), scope, run.seed)


def held_out_pairs(run: Run, scope: str, mixer: Mixer) -> Apart:
    """`studies.nb_mixtures` pairs of held-out sounds, the same at every call, each audible in the mixture of both.

    Raises ValueError when too few are: the test recordings are mostly silent.
    """
    nb, snr_db = studies_of(run.profile).nb_mixtures, studies_of(run.profile).opensep.snr_db
    among = torch.tensor([label in set(split_of(run, scope).tested) for label in mixer.labels])
    generator = torch.Generator().manual_seed(run.seed)
    kept: list[Apart] = []
    for _ in range(MAX_DRAWS):
        drawn = mixer.draw_apart(nb, 2, levels_db(snr_db), generator, among)
        energy = drawn.sounds.square().sum(-1)  # (B, 2)
        audible = (energy > AUDIBLE * energy.sum(1, keepdim=True)).all(1)
        kept.append(Apart(drawn.sounds[audible], drawn.classes[audible]))
        if sum(len(k.classes) for k in kept) >= nb:
            return Apart(torch.cat([k.sounds for k in kept])[:nb], torch.cat([k.classes for k in kept])[:nb])
    raise ValueError(f"{MAX_DRAWS * nb} pairs of test sounds have fewer than {nb} in which both are heard")


@torch.inference_mode()
def measure(method: Method, pairs: Apart, texts: list[str], labels: list[str]) -> pd.DataFrame:
    """One row a mixture (see `study`). texts: of every class, for a method that is asked; the outputs of one that is
    not are matched with the sounds as their SDR is best."""
    tables = []
    for sounds, classes in zip(pairs.sounds.to(device()).split(BATCH), pairs.classes.split(BATCH), strict=True):
        mixtures = sounds.sum(1)
        estimates = method.separate(mixtures, classes.to(device()), texts)
        if not method.asked:
            found = best_match(-sdr(estimates[:, :, None], sounds[:, None]))[1]  # (B, 2)
            estimates = estimates.gather(1, found[:, :, None].expand_as(sounds))
        tables.append(ratios(sounds, estimates))
    first, second = ([labels[i] for i in column] for column in pairs.classes.T.tolist())
    about = pd.DataFrame({"mixture": range(len(first)), "first": first, "second": second})
    return about.join(pd.concat(tables, ignore_index=True))


def ratios(sounds: Tensor, estimates: Tensor) -> pd.DataFrame:
    """(B, 2, nb_samples) each -> one row a mixture: sdr and sir of BSS-eval, means over the two sounds, in dB.

    A ratio is kept within ±LIMIT_DB: single precision cannot tell more interference from none, and one infinite ratio
    would be the mean of all.
    """
    measured = bss_eval(sounds, estimates)
    kept = {name: getattr(measured, name).clamp(-LIMIT_DB, LIMIT_DB) for name in ("sdr", "sir")}
    return pd.DataFrame({name: ratio.mean(1).cpu().numpy() for name, ratio in kept.items()})


def untouched(run: Run) -> pd.DataFrame:
    """The same rows for the mixtures as they are, taken for each of their sounds; `variant` "mixture-<scope>"."""
    mixer = held_out_mixer(run)
    tables = []
    for scope in SCOPES:
        sounds = held_out_pairs(run, scope, mixer).sounds
        tables.append(ratios(sounds, sounds.sum(1, keepdim=True).expand_as(sounds)).assign(variant=f"mixture-{scope}"))
    return pd.concat(tables, ignore_index=True)
