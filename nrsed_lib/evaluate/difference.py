"""Our scores minus the paper's, where both are of the same test clips: DESED's real validation set and WildDESED."""

from __future__ import annotations

import pandas as pd

from nrsed_lib.data.clips import Clips, list_digest
from nrsed_lib.evaluate.psds import SCENARIOS
from nrsed_lib.profile import Profile


def clip_list(profile: Profile, clips: Clips) -> dict[str, str]:
    """The column that stands beside every score on DESED, whose copies miss clips: `list_hash`, SHA-256 (12
    digits) of the sorted names of the test clips, as in results/<profile>/data.csv. Other data: none."""
    return {"list_hash": list_digest(clips.names)} if profile.data.source == "desed" else {}


def with_differences(profile: Profile, table: pd.DataFrame, clips: Clips) -> pd.DataFrame:
    """`table1` with a column for each score minus the paper's (empty where it has none) and the clips' list_hash.

    On data that are not the paper's a difference says nothing: the table stays as it is.
    """
    if profile.data.source != "desed":
        return table
    minus = {f"minus_paper_{name}": table[name] - table[f"paper_{name}"] for name in SCENARIOS}
    return table.assign(**minus, **clip_list(profile, clips))


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """The layout of Table I: a row a system of the paper, P1 and P2 of each condition across; ours minus the paper's.

    Mean over seeds. table: of `with_differences`.
    """
    printed = table.dropna(subset="minus_paper_psds1")
    parts = {
        (condition, metric): rows.groupby(["system", "about"], sort=False)[f"minus_paper_{name}"].mean()
        for condition, rows in printed.groupby("condition", sort=False)
        for metric, name in zip(("P1", "P2"), SCENARIOS, strict=True)
    }
    return pd.DataFrame(parts).map("{:+.3f}".format).reindex(printed["system"].unique(), level="system")
