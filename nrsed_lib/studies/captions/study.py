"""Caption augmentation (arXiv 2406.11248), put to the test: the same training with more captions of each sound.

Variants differ in the texts of their queries and in nothing else: a seed's network starts from the same weights and
hears the same mixtures in the same order, whatever is said about them. Measured on sounds and phrasings that no
training had.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.evaluate.resampling import NB_DRAWS, by_seed, verdict
from nrsed_lib.evaluate.separation import sdr_gained
from nrsed_lib.lass.remix import separate
from nrsed_lib.lass.separator import Separator, load_separator
from nrsed_lib.lass.training import mix_and_separate
from nrsed_lib.studies.captions.variants import MIXED, PHRASINGS, PLAIN, asked, training_texts, variants
from nrsed_lib.studies.pairs import held_out_pairs, pairs
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.studies.trials import Trial, estimate, measure_trials
from nrsed_lib.training import device, keep

PUBLISHED_SDR = (5.70, 8.61)  # dB, without and with added captions (the abstract), on task 9's validation set
BATCH = 10  # mixtures a forward pass: more leave a CPU's cache


def study(run: Run, only: str | None = None) -> pd.DataFrame:
    """Train and measure every variant with every seed, or the trial named `only`; done, it only reads.

    One row a held-out mixture, phrasing, variant and seed: variant, seed, mixture, query, other (the classes),
    phrasing, text, snr (drawn, of active samples); sdr_in of the mixture itself, sdr_out of the estimate,
    improvement = sdr_out - sdr_in, and silence, the improvement that an all-zero estimate would get; all in dB.
    """
    return measure_trials(run, variants(run.profile), _measure, only)


def new_separator(run: Run, trial: Trial) -> Separator:
    """As it is before the first step: of every variant of a seed the same."""
    torch.manual_seed(trial.seed)
    return Separator(run.profile.lass).to(device())


def trained(run: Run, trial: Trial) -> Separator:
    """The separator of a trial in eval mode; trained when there is none, resumed when there is a part of it."""
    path = run.folder / trial.name / "separator.safetensors"
    if not path.exists():
        settings = studies_of(run.profile).captions
        sources = load_sources(run, "train").to(device())
        texts = training_texts(captions_of(sources.by_label), trial.variant, settings.prompts)
        separator = new_separator(run, trial)
        history = mix_and_separate(separator, sources, settings, path.parent, trial.seed, texts, pairs)
        about = {"variant": trial.variant, "seed": trial.seed}
        keep(path, path.with_name("history.csv"), separator.state_dict(), history, **about)
    return load_separator(path, run.profile)


def _measure(run: Run, trial: Trial) -> pd.DataFrame:
    separator = trained(run, trial)
    held_out, labels = held_out_pairs(run)
    captions = captions_of(labels)
    names, others = ([labels[i] for i in rows.tolist()] for rows in (held_out.queries, held_out.others))
    mixtures = held_out.mixtures.to(device())
    each = torch.arange(len(names), device=mixtures.device)
    tables = []
    for phrasing in PHRASINGS:
        texts = asked(captions, names, phrasing)
        conditions = separator.embed(texts).detach()
        estimates = separate(separator, mixtures, torch.stack([each, each], 1), conditions, BATCH)
        levels = {"snr": held_out.snr_db} | sdr_gained(estimates.cpu(), held_out.mixtures, held_out.targets)
        said = {"mixture": range(len(names)), "query": names, "other": others, "phrasing": phrasing, "text": texts}
        heard = {name: values.numpy() for name, values in levels.items()}
        tables.append(pd.DataFrame(said | heard))
    return pd.concat(tables, ignore_index=True)


def gain_table(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """What `study` measured, a row a variant and phrasing, with the paired bootstrap over mixtures and seeds.

    Columns: variant, prompt, added (captions a class); phrasing; sdr; improvement and gain, the improvement less
    that of `original`, in dB, each with <name>_low and <name>_high (95 %); verdict on "these captions help";
    seeds_for ("2/3": seeds in which they do); nb_mixtures, seeds, draws.
    """
    cells = dict(iter(table.groupby(["variant", "phrasing"])))
    improvement = {cell: by_seed(rows, "improvement") for cell, rows in cells.items()}
    nb_seeds, nb_mixtures = improvement[PLAIN, PHRASINGS[0]].shape
    compared = []
    for variant, phrasing in itertools.product(variants(run.profile), PHRASINGS):
        here = improvement[variant, phrasing]
        prompt, _, number = variant.rpartition("-")
        row = {"variant": variant, "prompt": prompt, "added": int(number) if prompt else 0, "phrasing": phrasing}
        row |= {"sdr": cells[variant, phrasing].sdr_out.mean()} | named("improvement", estimate(here))
        if variant != PLAIN:
            more = here - improvement[PLAIN, phrasing]
            gain = estimate(more)
            row |= named("gain", gain) | {"verdict": verdict(*gain[1:])}
            row |= {"seeds_for": f"{int((more.mean(1) > 0).sum())}/{nb_seeds}"}
        compared.append(row | {"nb_mixtures": nb_mixtures, "seeds": nb_seeds, "draws": NB_DRAWS})
    return pd.DataFrame(compared)


def text_distances(run: Run) -> pd.DataFrame:
    """How the text encoder takes phrasings it never read, before any training and after that of each trial.

    One row a variant ("untrained" first) and seed, over every class and its held-out phrasings: same, the mean cosine
    of a phrasing's condition with that of its class's original caption; different, with those of other classes; right,
    the share of phrasings whose nearest original is that of their class.
    """
    labels = sorted(load_sources(run, "train").by_label)
    captions = captions_of(labels)
    rows = []
    for seed in studies_of(run.profile).seeds:
        encoders = {"untrained": new_separator(run, Trial(PLAIN, seed)).eval()}
        encoders |= {v: trained(run, Trial(v, seed)) for v in variants(run.profile)}
        for variant, separator in encoders.items():
            originals = separator.embed([captions[label].original for label in labels])  # (nb_classes, size)
            phrasings = separator.embed([text for label in labels for text in captions[label].held_out])
            own = torch.tensor([i for i, label in enumerate(labels) for _ in captions[label].held_out])
            cosines = (phrasings @ originals.T).detach().cpu()  # (nb_phrasings, nb_classes)
            rows.append({"variant": variant, "seed": seed} | closeness(cosines, own))
    return pd.DataFrame(rows)


def closeness(cosines: Tensor, own: Tensor) -> dict[str, float]:
    """cosines: (nb_phrasings, nb_classes); own: (nb_phrasings,), the class of each."""
    is_own = torch.nn.functional.one_hot(own, cosines.shape[1]).bool()
    return {
        "same": float(cosines[is_own].mean()),
        "different": float(cosines[~is_own].mean()),
        "right": float(np.mean((cosines.argmax(1) == own).numpy())),
    }


def by_number(comparison: pd.DataFrame) -> pd.DataFrame:
    """The rows of `gain_table` in which only the number of added captions differs: 0, then `mixed-<n>`."""
    return comparison[comparison.prompt.isin(["", MIXED])].sort_values("added", kind="stable")


def by_prompt(comparison: pd.DataFrame) -> pd.DataFrame:
    """The rows of `gain_table` in which only the prompt differs: the same number of added captions, mixed ones last."""
    others = comparison[~comparison.prompt.isin(["", MIXED])]
    return comparison[(comparison.added == others.added.iloc[0]) & (comparison.prompt != "")]


def named(name: str, interval: tuple[float, float, float]) -> dict[str, float]:
    """Columns of a value and its 95 % interval."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))
