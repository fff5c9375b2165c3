"""Mixtures of two sounds of different kinds: what a study of open queries learns from and is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.activity import active_power
from nrsed_lib.data.mixing import mix_at_snr
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.evaluate.separation import held_out_mixer
from nrsed_lib.lass.mixtures import Mixer, Mixtures
from nrsed_lib.profile import LassTrain
from nrsed_lib.studies.settings import studies_of

SNR_DB = (-10.0, 10.0)  # of what is measured


@dataclass(frozen=True)
class Pairs(Mixtures):
    """others: (B,) rows of `Mixer.labels`, of the sound that is not asked for."""

    others: Tensor


def draw_pairs(
    mixer: Mixer, batch: int, snr_db: tuple[float, float], generator: torch.Generator, among: Tensor | None = None
) -> Pairs:
    """`batch` mixtures of two sounds of different kinds at an SNR uniform in `snr_db`; the first is asked for.

    Every class (of `among`, see `Mixer.draw_apart`), a target of the pipeline or a noise, is asked for as often.
    """
    apart = mixer.draw_apart(batch, 2, (0.0, 0.0), generator, among)
    targets, others = apart.sounds.unbind(1)  # (B, nb_samples) each
    low, high = snr_db
    snr = low + (high - low) * torch.rand(batch, generator=generator)
    mixtures, _ = mix_at_snr(targets, others, snr.to(targets))
    return Pairs(mixtures, targets, apart.classes[:, 0], snr, apart.classes[:, 1])


def pairs(mixer: Mixer, schedule: LassTrain, generator: torch.Generator) -> Mixtures:
    """A training batch (see `lass.training.mix_and_separate`)."""
    return draw_pairs(mixer, schedule.batch, schedule.snr_db, generator)


def held_out_pairs(run: Run) -> tuple[Pairs, list[str]]:
    """The `studies.nb_mixtures` mixtures that are measured, and the class names their rows mean; the same at each call.

    As long as the clips of the pipeline, of test sources, of classes that training has too: the recording is new,
    and the phrasing. Both are heard: a crop of a sound may be silent, and a silent target has no SDR.
    """
    nb = studies_of(run.profile).nb_mixtures
    mixer = held_out_mixer(run)
    generator = torch.Generator().manual_seed(run.seed)
    trained = load_sources(run, "train").by_label
    known = torch.tensor([label in trained for label in mixer.labels])
    drawn = draw_pairs(mixer, 2 * nb, SNR_DB, generator, known)
    heard = (active_power(drawn.targets) > 0) & (active_power(drawn.mixtures - drawn.targets) > 0)
    rows = heard.nonzero()[:nb, 0]
    if len(rows) < nb:
        raise ValueError(f"{len(rows)} of {2 * nb} drawn test mixtures have two sounds in them; {nb} are needed")
    parts = (drawn.mixtures, drawn.targets, drawn.queries, drawn.snr_db, drawn.others)
    return Pairs(*(part[rows] for part in parts)), mixer.labels
