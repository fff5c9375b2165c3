"""OpenSep and its baselines (arXiv 2409.19270): every separator of Tables 1, 2 and 4 to 6 in one setup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from nrsed_lib.store import Run


def study(run: Run, only: str | None = None) -> pd.DataFrame:
    """See `measure.study`, which is imported when it is asked for: a run is planned without torch."""
    from nrsed_lib.studies.opensep.measure import study

    return study(run, only)
