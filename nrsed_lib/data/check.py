"""`nrsed data check`: what is on disk of a profile's data, and what is wrong with it."""

from __future__ import annotations

import pandas as pd
import torch

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE, list_digest
from nrsed_lib.data.prepare import CLIP_SPLITS, load_split
from nrsed_lib.errors import UserError

SILENT = 1e-4  # rms re full scale: -80 dB


def check_data(run: Run) -> pd.DataFrame:
    """One row a split: clips listed and present, silent and clipped ones, wrong lengths, hash of the list.

    A clip is clipped when three samples in a row stand at full scale. list_hash: SHA-256 (12 digits)
    of the sorted clip names; state it beside every score. DESED is walked on disk instead: `desed.check`.
    """
    data, rows = run.profile.data, []
    for split in CLIP_SPLITS:
        listed = getattr(data, f"nb_{split}")
        try:
            clips = load_split(run, split)
        except UserError as error:
            rows.append({"split": split, "listed": listed, "present": 0, "remedy": str(error)})
            continue
        silent = clipped = 0
        for part in torch.arange(len(clips)).split(64):
            waves = clips.waveforms(part)  # (64, nb_samples)
            silent += int((waves.square().mean(1).sqrt() < SILENT).sum())
            full = waves.abs() >= (FULL_SCALE - 1) / FULL_SCALE
            clipped += int((full[:, 2:] & full[:, 1:-1] & full[:, :-2]).any(1).sum())
        rows.append(
            {
                "split": split,
                "listed": listed,
                "present": len(clips),
                "silent": silent,
                "clipped": clipped,
                "wrong_length": 0 if clips.nb_samples == data.nb_samples else len(clips),
                "events": len(clips.events),
                "list_hash": list_digest(clips.names),
                "remedy": "",
            }
        )
    return pd.DataFrame(rows)
