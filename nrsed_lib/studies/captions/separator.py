"""The separator of the pipeline, trained once more with everything there is to say of a class (notebook 10),
for the systems that notebook 12 adds.

Network, loss, mixtures and budget are those of notebook 05, to the drawn sample; only the texts differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.separator import Separator
from nrsed_lib.lass.training import mix_and_separate
from nrsed_lib.studies.texts.captions import Caption, captions_of
from nrsed_lib.training import device, keep, kept


def every_wording(captions: Mapping[str, Caption]) -> dict[str, list[str]]:
    """Class -> the texts that ask for it: its name, its caption, what is known of its sound, and every added caption.

    The first three are listed as often as there are added captions, so that each kind of text is drawn as often:
    the pipeline asks by one text, which one draw in thirty would not teach.
    """
    wordings = {}
    for label, caption in captions.items():
        added = [text for texts in caption.augmented.values() for text in texts]
        wordings[label] = len(added) * [query_text(label), caption.original, caption.knowledge] + added
    return wordings


def train_augmented(run: Run) -> pd.DataFrame:
    """Leave `augmented.safetensors` (for `separator.load_separator`) and its history in the notebook's folder.

    Returns the history: one row a step, as `lass.training.train_separator`. The schedule is `lass.train`, as in
    notebook 05. Killed, it resumes; done, it only reads.
    """
    files = run.folder / "augmented.safetensors", run.folder / "augmented-history.csv"
    if (history := kept(*files)) is not None:
        return history
    settings, sources = run.profile.lass, load_sources(run, "train").to(device())
    torch.manual_seed(settings.train.seed)
    separator = Separator(settings).to(device())
    texts = every_wording(captions_of(sources.by_label))
    history = mix_and_separate(separator, sources, settings.train, run.folder, texts)
    keep(*files, separator.state_dict(), history, lass=settings.model_dump())
    return history
