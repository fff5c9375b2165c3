"""What the source claims of its separators, and whether it can be seen here: paired differences and intervals."""

from __future__ import annotations

import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.evaluate.resampling import Draws, by_seed, verdict
from nrsed_lib.store import write_table
from nrsed_lib.studies.opensep.tables import CLASSES, METRICS

CLAIMS = {  # claim -> the variant that should be better, and the one it is compared with
    "conditions help: AudioSep over PIT": ("audiosep", "pit"),
    "OpenSep over AudioSep": ("opensep", "audiosep"),
    "OpenSep over the best unconditional one there, MixIT + PIT": ("opensep", "mixit_pit"),
    "knowledge instead of class names": ("opensep_knowledge", "opensep_classes"),
    "training on two levels, with class names": ("opensep_classes_levels", "opensep_classes"),
    "training on two levels, with knowledge": ("opensep", "opensep_knowledge"),
}


def claims(rows: pd.DataFrame, run: Run | None = None) -> pd.DataFrame:
    """claim, classes, metric, difference with its 95 % interval in dB, verdict. run: also write `opensep_claims.csv`.

    The interval is that of other mixtures and, with several seeds, other trainings; the mixtures are the same for both.
    """
    found = []
    for claim, (better, other) in CLAIMS.items():
        for scope, classes in CLASSES.items():
            for metric in METRICS:
                first, second = (
                    by_seed(rows[rows.variant == f"{row}-{scope}"], metric.lower()) for row in (better, other)
                )
                value, low, high = Draws.of(first.shape[1], len(first)).estimate(first - second)
                found.append((claim, classes, metric, value, low, high, verdict(low, high)))
    table = pd.DataFrame(found, columns=["claim", "classes", "metric", "difference", "low", "high", "verdict"])
    if run is not None:
        write_table(run.tables / "opensep_claims.csv", table)
    return table
