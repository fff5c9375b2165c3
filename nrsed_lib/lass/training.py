"""The separator learns by mix-and-separate.

Sounds whose class is known are mixed at a known SNR; the network is asked for one of them by name
and is told how far off its waveform was. No recording of a real mixture is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Sources
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.errors import WeightsError
from nrsed_lib.lass.mixtures import Mixer, Mixtures
from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import Lass, LassTrain
from nrsed_lib.store import write_table, write_tensors
from nrsed_lib.training import Loss, Optimiser, Step, descend, device, keep, kept, warmup_and_cosine
from nrsed_lib.weights import about_weights, find_weights, must_fit, read_weights, remedy

NOISE_QUERIES = 0.1  # of the queries name a noise class: "separate anything", not only the targets
ABSENT = 0.05  # of the queries name what is not there: a detector's false alarms will, too
FLOOR = 1e-3  # error, as a share of the mixture's energy, below which more accuracy earns nothing: 30 dB
MASK_WEIGHT = 4.0  # of the mask's cross entropy beside the residual in dB
LEVEL_DB = 10.0  # mixtures come up to this much louder or softer than the sources

OPTIMISER = Optimiser(torch.optim.AdamW, warmup_and_cosine, {"betas": (0.9, 0.99)})

DrawMixtures = Callable[[Mixer, LassTrain, torch.Generator], Mixtures]


def residual_db(estimates: Tensor, targets: Tensor, mixtures: Tensor) -> Tensor:
    """10 log10((|s - ŝ|² + floor |x|²) / |x|²), (B, nb_samples) each -> (B,) dB.

    Where s is not silent its gradient is that of -SDR, which is what separation is judged by; AudioSep's
    L1 error counts a loud mixture more than a soft one and learns little from soft targets. It is
    also defined for a silent target, which -SDR is not.
    """
    energy = mixtures.square().sum(-1)
    error = (targets - estimates).square().sum(-1)
    return 10 * ((error + FLOOR * energy + 1e-10) / (energy + 1e-10)).log10()


def mask_entropy(logits: Tensor, cross: Tensor, energy: Tensor) -> Tensor:
    """Cross entropy of a mask and the one that would have been best, (B,).

    logits: (B, nb_frames, nb_features). cross, energy: Re(S X*) and |X|² in the same bands; the best
    real mask of a band is their ratio, kept in 0 … 1. A band counts by its energy to the power of
    0.3, about as it is heard. Says of every band what is wrong with it, where the residual adds up.
    """
    best = (cross / (energy + 1e-9)).clamp(0, 1)
    weight = energy**0.3
    entropy = binary_cross_entropy_with_logits(logits, best, reduction="none")
    return (weight * entropy).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-9)


def energy_and_mask(separator: Separator, mixtures: Tensor, targets: Tensor, conditions: Tensor) -> dict[str, Loss]:
    """The loss of notebook 05: `residual_db` of the tracks and `mask_entropy`, means over the mixtures.

    mixtures, targets: (B, nb_samples); conditions: (B, condition_size).
    """
    spectra, features = separator.analyse(mixtures)
    logits = separator.logits(features, conditions)
    estimates = separator.synthesise(spectra, separator.mask(logits), mixtures.shape[-1])
    cross = separator.bands.add_up((separator.stft(targets) * spectra.conj()).real)
    entropy = mask_entropy(logits[:, 0], cross, separator.bands.add_up(spectra.abs().square()))
    return {
        "residual": Loss(residual_db(estimates, targets, mixtures).mean()),
        "entropy": Loss(entropy.mean(), MASK_WEIGHT),
    }


def train_separator(
    run: Run, name: str = "separator", texts: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Leave `<name>.safetensors` and `history.csv` in the notebook's folder; return the history.

    One row a step: residual (dB, see `residual_db`) and entropy of the mask (nat), their weighted sum and the rate.
    Killed, it resumes from its last checkpoint to the same weights; done, it only reads. With `lass.weights` nothing
    is trained: those weights are taken, and the history has no rows; unless `texts` are given (see `mix_and_separate`).
    """
    files = run.folder / f"{name}.safetensors", run.folder / "history.csv"
    if (history := kept(*files)) is not None:
        return history
    settings = run.profile.lass
    if settings.weights is not None and texts is None:
        return take_weights(files, settings, settings.weights)
    torch.manual_seed(run.seed)
    separator = Separator(settings).to(device())
    sources = load_sources(run, "train").to(device())
    history = mix_and_separate(separator, sources, settings.train, run.folder, run.seed, texts)
    keep(*files, separator.state_dict(), history, lass=settings.model_dump())
    return history


def one_of(texts: Sequence[str], generator: torch.Generator) -> str:
    """One of the texts at random; a single text costs no randomness."""
    return texts[0] if len(texts) == 1 else texts[int(torch.randint(len(texts), (), generator=generator))]


def events_in_noise(mixer: Mixer, schedule: LassTrain, generator: torch.Generator) -> Mixtures:
    """What a pipeline for target classes needs to learn: these asked for most, among up to three other sounds."""
    return mixer.draw(schedule.batch, schedule.snr_db, generator, NOISE_QUERIES, ABSENT)


def mix_and_separate(
    separator: Separator,
    sources: Sources,
    schedule: LassTrain,
    folder: Path,
    seed: int,
    texts: Mapping[str, Sequence[str]] | None = None,
    draw_mixtures: DrawMixtures = events_in_noise,
) -> pd.DataFrame:
    """Train `separator` in place; its history, one row a step (see `train_separator`).

    folder: of the checkpoint. texts: those that ask for each class, of which every step draws one; by default its
    name alone. Texts are drawn after the mixtures, so that other texts change no mixture.
    """
    mixer = Mixer(sources, round(schedule.seconds * sources.sample_rate))
    of_class = [texts[label] if texts else [query_text(label)] for label in mixer.labels]

    def draw(step: Step) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        drawn = draw_mixtures(mixer, schedule, step.generator)
        gain_db = LEVEL_DB * (2 * torch.rand(schedule.batch, 1, generator=step.generator) - 1)
        gain = (10 ** (gain_db / 20)).to(drawn.mixtures)
        asked = [one_of(said, step.generator) for said in of_class]
        return gain * drawn.mixtures, gain * drawn.targets, drawn.queries, asked

    def losses(_: Step, mixtures: Tensor, targets: Tensor, queries: Tensor, asked: list[str]) -> dict[str, Loss]:
        return energy_and_mask(separator, mixtures, targets, separator.embed(asked)[queries])

    sizes = (schedule.batch,)
    return descend("separator", separator, draw, losses, OPTIMISER, schedule, sizes, folder, seed)


def take_weights(files: tuple[Path, Path], settings: Lass, name: str) -> pd.DataFrame:
    """Leave the weights `name` and, in the second of `files`, a history of no steps, as `train_separator` does.

    Raises WeightsError when they are missing, are no separator's, or of another architecture than the profile's.
    """
    path = find_weights(name)
    about = about_weights(path)
    require_separator(path, about, settings, name)
    net = {name: value for name, value in read_weights(path, "audiosep")[0].items() if name.startswith("net.")}
    history = pd.DataFrame(columns=["step", "residual", "entropy"], dtype=float)
    write_tensors(files[0], net, weights=name, sha256=about["sha256"])
    write_table(files[1], history)
    return history


def require_separator(path: Path, about: Mapping[str, Any], settings: Lass, name: str) -> None:
    """Raises WeightsError when the converted weights `name` are no separator's, or of another network."""
    if about["kind"] != "audiosep":
        raise WeightsError(
            f"{path} holds {about['kind']}, not a separator: set lass.weights to audiosep or audiosep-dp"
        )
    with must_fit(path, about["architecture"], remedy(name, " --again")):
        require_architecture(path, about["architecture"], settings)


def require_architecture(path: Path, found: Mapping[str, Any], settings: Lass) -> None:
    """Raises WeightsError naming each setting in which the file and the profile differ."""
    file = {
        "n_fft": 2 * (found["nb_features"] - 1),
        "nb_bands": None,
        "nb_channels": list(found["nb_channels"]),
        "condition_size": found["condition_size"],
        "dprnn_layers": found["dprnn_layers"],
    }
    if found["dprnn_layers"] or settings.dprnn_layers:
        file["dprnn_hidden"] = found["dprnn_hidden"]
    if different := [key for key, value in file.items() if getattr(settings, key) != value]:
        faults = [
            f"  lass.{key}: {file[key]} in the file, {getattr(settings, key)} in the profile" for key in different
        ]
        raise WeightsError(
            f"{path} is not the network of the profile:\n" + "\n".join(faults) + "\nset these to the file's"
        )
