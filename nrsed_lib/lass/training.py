"""Stage 05: the separator learns by mix-and-separate.

Sounds whose class is known are mixed at a known SNR; the network is asked for one of them by name
and is told how far off its waveform was. No recording of a real mixture is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Sources
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.learn import descend
from nrsed_lib.lass.mixtures import Mixer, Mixtures
from nrsed_lib.lass.pretrained import take_weights
from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import LassTrain
from nrsed_lib.store import write_table, write_tensors
from nrsed_lib.training import device

NOISE_QUERIES = 0.1  # of the queries name a noise class: "separate anything", not only the targets
ABSENT = 0.05  # of the queries name what is not there: a detector's false alarms will, too
FLOOR = 1e-3  # error, as a share of the mixture's energy, below which more accuracy earns nothing: 30 dB
MASK_WEIGHT = 4.0  # of the mask's cross entropy beside the residual in dB
LEVEL_DB = 10.0  # mixtures come up to this much louder or softer than the sources

Draw = Callable[[Mixer, LassTrain, torch.Generator], Mixtures]


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


def train_separator(run: Run) -> pd.DataFrame:
    """Leave `separator.safetensors` and `history.csv` in the stage's folder; return the history.

    One row a step: residual (dB, see `residual_db`) and entropy of the mask (nat). Killed, it resumes
    from its last checkpoint to the same weights; done, it only reads. With `lass.weights` nothing is trained:
    those weights are taken, and the history has no rows.
    """
    done = run.folder / "history.csv"
    if done.exists():
        return pd.read_csv(done)
    settings = run.profile.lass
    if settings.weights is not None:
        return take_weights(run, settings.weights)
    torch.manual_seed(settings.train.seed)
    separator = Separator(settings).to(device()).train()
    history = learn(separator, load_sources(run, "train").to(device()), settings.train, run)
    if sharding.is_first():
        write_tensors(run.folder / "separator.safetensors", separator.state_dict(), lass=settings.model_dump())
        write_table(done, history)
    sharding.wait()
    return history


def one_of(texts: Sequence[str], generator: torch.Generator) -> str:
    """One of the texts at random; a single text costs no randomness."""
    return texts[0] if len(texts) == 1 else texts[int(torch.randint(len(texts), (), generator=generator))]


def events_in_noise(mixer: Mixer, schedule: LassTrain, generator: torch.Generator) -> Mixtures:
    """What a pipeline for target classes needs to learn: these asked for most, among up to three other sounds."""
    return mixer.draw(schedule.batch, schedule.snr_db, generator, NOISE_QUERIES, ABSENT)


def learn(
    separator: Separator,
    sources: Sources,
    schedule: LassTrain,
    run: Run,
    wordings: Mapping[str, Sequence[str]] | None = None,
    draw: Draw = events_in_noise,
    folder: Path | None = None,
) -> pd.DataFrame:
    """One row a step. wordings: the texts that ask for each class, of which every step draws one; by default
    its name alone. draw: a batch of mixtures; texts are drawn after it, so that other texts change no mixture.
    folder: of the checkpoint, the run's by default."""
    mixer = Mixer(sources, round(schedule.seconds * sources.sample_rate))
    texts = [wordings[label] if wordings else [query_text(label)] for label in mixer.labels]
    share = sharding.Share((schedule.batch,))
    sharding.as_one(separator, share)

    def losses(generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        drawn = draw(mixer, schedule, generator)
        gain_db = LEVEL_DB * (2 * torch.rand(schedule.batch, 1, generator=generator) - 1)
        gain = (10 ** (gain_db / 20)).to(drawn.mixtures)
        mixtures, targets = share.of(gain * drawn.mixtures), share.of(gain * drawn.targets)
        spectra, features = separator.analyse(mixtures)
        conditions = separator.embed([one_of(said, generator) for said in texts])
        logits = separator.logits(features, conditions[share.of(drawn.queries)])
        estimates = separator.synthesise(spectra, separator.mask(logits), mixtures.shape[-1])
        cross = separator.bands.add_up((separator.stft(targets) * spectra.conj()).real)
        entropy = mask_entropy(logits[:, 0], cross, separator.bands.add_up(spectra.abs().square()))
        residual, entropy = residual_db(estimates, targets, mixtures).mean(), entropy.mean()
        residual, entropy = share.weight(1) * residual, share.weight(1) * entropy
        return residual + MASK_WEIGHT * entropy, {"residual": residual, "entropy": entropy}

    return descend("separator", separator, losses, schedule, folder or run.folder, schedule.seed)
