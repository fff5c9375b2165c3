"""Notebook 09: AudioSep and AudioSep-DP, trained as the baseline of DCASE 2024 task 9 is, and measured on its list.

A training mixture has two sounds of different kinds. Their loudness ratio is uniform in dB, and the query is a
caption of the first. The loss is the L1 distance of waveforms, descended by AdamW.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.lass.separator import Separator, load_separator
from nrsed_lib.lass.training import energy_and_mask
from nrsed_lib.profile import Lass, Profile
from nrsed_lib.store import remove
from nrsed_lib.studies.settings import Task9, studies_of
from nrsed_lib.studies.task9.development import task9_root
from nrsed_lib.studies.task9.own_list import own_list
from nrsed_lib.studies.task9.ratios import challenge_sdr, challenge_si_sdr
from nrsed_lib.studies.task9.sounds import Unmixed, training_sounds
from nrsed_lib.studies.task9.validation_list import AUDIO, LIST, mix, mixed, read_list
from nrsed_lib.studies.task9.variants import NETWORKS, OTHER_LOSS, variants
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.studies.trials import Trial, measure_trials
from nrsed_lib.training import Loss, Optimiser, Step, descend, device, keep, kept, warmup_and_cosine

PUBLISHED = {"AudioSep": 5.708, "AudioSep-DP": 8.10}  # dB SDR on the official list; AudioSep's SDRi there is 5.673
OPTIMISER = Optimiser(torch.optim.AdamW, warmup_and_cosine, {"betas": (0.9, 0.99)})


def network(profile: Profile, variant: str) -> Lass:
    """The profile's separator without or with a DPRNN at its bottleneck, at its own size."""
    layers = 0 if variant == NETWORKS[0] else max(1, profile.lass.dprnn_layers)
    return profile.lass.model_copy(update={"dprnn_layers": layers})


def waveform_error(separator: Separator, mixtures: Tensor, targets: Tensor, conditions: Tensor) -> dict[str, Loss]:
    """The baseline's: mean |ŝ - s| over samples and mixtures."""
    return {"loss": Loss((separator(mixtures, conditions) - targets).abs().mean())}


LOSSES: dict[str, Callable[[Separator, Tensor, Tensor, Tensor], dict[str, Loss]]] = {
    **dict.fromkeys(NETWORKS, waveform_error),
    OTHER_LOSS: energy_and_mask,  # notebook 05's
}


def validation_list(run: Run) -> tuple[Path, pd.DataFrame, list[str]]:
    """The folder of the list, its rows, and for each row a caption of the same class that training had."""
    if settings_of(run).official_list:
        table = read_list(task9_root() / LIST)
        return task9_root(), table, table.caption.tolist()
    captions = captions_of([*run.profile.data.classes, *run.profile.data.noise_classes])
    folder = own_list(run, captions)
    table = read_list(folder / LIST)
    originals = {text: caption.original for caption in captions.values() for text in caption.held_out}
    return folder, table, [originals[text] for text in table.caption]


def settings_of(run: Run) -> Task9:
    return studies_of(run.profile).task9


def train_trial(run: Run, trial: Trial) -> Separator:
    """The separator of a trial in eval mode, left as `<trial>.safetensors` with `<trial>-history.csv`.

    The history has one row a step: the loss, its terms and the rate. Killed, it resumes; done, it only reads.
    """
    settings, path = settings_of(run), run.folder / f"{trial.name}.safetensors"
    files = path, run.folder / f"{trial.name}-history.csv"
    if kept(*files) is None:
        torch.manual_seed(trial.seed)
        separator = Separator(network(run.profile, trial.variant)).to(device())
        sounds = training_sounds(run, round(settings.seconds * run.profile.data.sample_rate))
        loss_of = LOSSES[trial.variant]

        def draw(step: Step) -> tuple[Tensor, Tensor, Tensor, list[str]]:
            drawn = sounds.draw(settings.batch, step.generator)
            texts = list(dict.fromkeys(drawn.queries))
            asked = torch.tensor([texts.index(query) for query in drawn.queries])
            return *training_mixtures(drawn, settings.snr_db, step.generator), asked, texts

        def losses(_: Step, mixtures: Tensor, targets: Tensor, asked: Tensor, texts: list[str]) -> dict[str, Loss]:
            return loss_of(separator, mixtures, targets, separator.embed(texts)[asked])

        history = descend(
            trial.name, separator, draw, losses, OPTIMISER, settings, (settings.batch,), run.folder, trial.seed
        )
        about = network(run.profile, trial.variant).model_dump()
        keep(*files, separator.state_dict(), history, lass=about)
        remove(run.folder / f"{trial.name}.checkpoint.pt")
    return load_trial(run, trial)


def load_trial(run: Run, trial: Trial) -> Separator:
    """The separator that `train_trial` left, in eval mode on the device. Raises StoreError saying how to make it."""
    profile = run.profile.model_copy(update={"lass": network(run.profile, trial.variant)})
    return load_separator(run.find(trial.name), profile)


def training_mixtures(drawn: Unmixed, snr_db: tuple[float, float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mixtures and targets, (B, nb_samples) each, at loudness ratios (of mean powers) uniform in `snr_db`."""
    low, high = snr_db
    ratio = low + (high - low) * torch.rand(len(drawn.queries), generator=generator)
    return mix(drawn.targets, drawn.noises, ratio)


@torch.inference_mode()
def measure(run: Run, trial: Trial) -> pd.DataFrame:
    """One row a mixture of the validation list, ratios in dB.

    Columns: those of the list; sdr_in, of the mixture itself; sdr, sdri, si_sdr (`task9.ratios`) of what is
    given back for the list's caption; sdr_trained, for a caption of the class that training had instead (on the
    challenge's list, where there is none, the same as sdr).
    """
    rate = run.profile.data.sample_rate
    if settings_of(run).official_list:  # what is not there is said before hours of training
        folder, table, _ = validation_list(run)
        next(mixed(table, folder / AUDIO, rate, 1))
    with torch.inference_mode(False):
        separator = train_trial(run, trial)
    folder, table, trained = validation_list(run)
    asked, known = separator.embed(table.caption.tolist()), separator.embed(trained)
    parts = []
    batches = mixed(table, folder / AUDIO, rate, run.profile.evaluate.batch)
    nb_batches = -(-len(table) // run.profile.evaluate.batch)
    for rows, mixtures, targets in tqdm(batches, desc=trial.name, total=nb_batches, mininterval=1.0, leave=None):
        heard, wanted = mixtures.to(asked.device), targets.to(asked.device)
        estimates = separator(heard, asked[rows])
        before, after = challenge_sdr(heard, wanted), challenge_sdr(estimates, wanted)
        columns = {
            "sdr_in": before,
            "sdr": after,
            "sdri": after - before,
            "si_sdr": challenge_si_sdr(estimates, wanted),
            "sdr_trained": challenge_sdr(separator(heard, known[rows]), wanted),
        }
        parts.append(pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()}, index=rows))
    return table.join(pd.concat(parts))


def study(run: Run, only: str | None = None) -> pd.DataFrame:
    """Train and measure every trial of notebook 09 (or the one named `only`): a row a mixture, variant and seed."""
    return measure_trials(run, variants(run.profile), measure, only)
