"""The listening sheet as widgets: one example at a time, two scales, and nothing that tells which system it is."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets as widgets
import pandas as pd
import torch
from torch import Tensor

from nrsed_lib.data.audio import read_audio
from nrsed_lib.lass.separator import Separator
from nrsed_lib.plots.audio import player_widget
from nrsed_lib.studies.task9.listening import RATINGS, SCALE, rate, read_sheet

# (mixture's name, system or None for the mixture itself) → the sound, (nb_samples,)
Wave = Callable[[str, str | None], Tensor]


def waves(folder: Path, queries: pd.DataFrame, separators: Mapping[str, Separator]) -> Wave:
    """Reads the mixtures in `folder`, and what each of the separators gives for their queries (file_name, query)."""
    texts = queries.set_index("file_name")["query"]

    @torch.inference_mode()
    def wave_of(name: str, system: str | None) -> Tensor:
        wave = torch.from_numpy(read_audio(folder / name)[0][:, 0])
        if system is None:
            return wave
        conditions = separators[system].embed([texts[name]])
        return separators[system](wave[None].to(conditions.device), conditions)[0].cpu()

    return wave_of


def listening_sheet(path: Path, wave_of: Wave, sample_rate: int) -> widgets.VBox:
    """Players and scales for the sheet at `path`, which is written after every rating; begins where it was left.

    Sounds are read when their example is shown, so that a saved notebook holds none.
    """
    begin = widgets.Button(description="first example without a rating", layout={"width": "auto"})
    done = widgets.Label()
    place = widgets.VBox()

    def show(_: object = None) -> None:
        sheet = read_sheet(path)
        left = sheet[sheet[RATINGS].isna().any(axis=1)].sort_values("example")
        done.value = f"{len(sheet) - len(left)} of {len(sheet)} rated in {path.name}"
        begin.description = "next example"
        place.children = _example(path, left.iloc[0], wave_of, sample_rate, done) if len(left) else []

    begin.on_click(show)
    return widgets.VBox([begin, done, place])


def _example(path: Path, row, wave_of: Wave, sample_rate: int, done: widgets.Label) -> list[widgets.Widget]:
    mixture, separated = (player_widget(wave_of(row.file_name, who), sample_rate) for who in (None, row.system))
    shown: list[widgets.Widget] = [
        widgets.HTML(f"<b>Example {int(row.example)}</b>, asked for: “{html.escape(str(row['query']))}”"),
        widgets.Label("the mixture"),
        mixture,
        widgets.Label("what was given back"),
        separated,
    ]
    for k, name in enumerate(RATINGS):
        options = [(f"{value} {SCALE[value][0]}", value) for value in SCALE]
        help_ = [SCALE[value][1 + k] for value in SCALE]
        scale = widgets.ToggleButtons(options=options, value=None, description=name, tooltips=help_)

        def put(change: dict, name: str = name) -> None:
            rate(path, int(row.example), **{name: change["new"]})
            done.value = f"example {row.example}: {name} {change['new']}"

        scale.observe(put, "value")
        shown.append(scale)
    return shown
