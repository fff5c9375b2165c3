"""The separator of the pipeline, trained once more with everything there is to say of a class (notebook 10),
for the systems that notebook 12 adds.

Network, loss, mixtures and budget are those of notebook 05, to the drawn sample; only the texts differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.training import train_separator
from nrsed_lib.studies.texts.captions import Caption, captions_of


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
    """Leave `augmented.safetensors` and `history.csv` in the notebook's folder; see `train_separator`."""
    return train_separator(run, "augmented", every_wording(captions_of(load_sources(run, "train").by_label)))
