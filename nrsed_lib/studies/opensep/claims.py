"""What the source claims of its separators, and whether it can be seen here: paired differences and intervals."""

from __future__ import annotations

from itertools import product

import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.evaluate.resampling import by_seed, verdict
from nrsed_lib.store import write_table
from nrsed_lib.studies.opensep.tables import CLASSES, METRICS
from nrsed_lib.studies.trials import estimate

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
    for (claim, sides), (scope, classes), metric in product(CLAIMS.items(), CLASSES.items(), METRICS):
        better, other = (by_seed(rows[rows.variant == f"{side}-{scope}"], metric.lower()) for side in sides)
        value, low, high = estimate(better - other)
        found.append((claim, classes, metric, value, low, high, verdict(low, high)))
    table = pd.DataFrame(found, columns=["claim", "classes", "metric", "difference", "low", "high", "verdict"])
    if run is not None:
        write_table(run.tables / "opensep_claims.csv", table)
    return table
