"""Sounds to hear in a notebook, in files small enough for one."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping

import ipywidgets as widgets
import soundfile
from IPython.display import HTML
from torch import Tensor

from nrsed_lib.profile import Data


def ogg(wave: Tensor, sample_rate: int, peak: float | None = None) -> bytes:
    """A sound (nb_samples,) as Ogg Vorbis. peak: its largest value in the file; None: as it is, at most full scale."""
    highest = wave.abs().max()
    samples = wave / highest.clamp(min=1) if peak is None else peak * wave / highest.clamp(min=1e-9)
    file = io.BytesIO()
    soundfile.write(file, samples.cpu().numpy(), sample_rate, format="OGG", subtype="VORBIS")
    return file.getvalue()


def listen(sounds: Mapping[str, Tensor], data: Data, peak: float | None = None) -> HTML:
    """A player for each sound (nb_samples,) below its title, as one block; peak as in `ogg`.

    Only for what this project synthesised: recordings are other people's and stay out of notebooks.
    """
    if data.source != "synth":
        how = f"IPython.display.Audio(wave.cpu().numpy(), rate={data.sample_rate})"
        names = html.escape(", ".join(sounds))
        return HTML(f"<p>{names}: recordings stay out of notebooks; to hear a wave, run <code>{how}</code></p>")
    return HTML("\n".join(_player(title, ogg(wave, data.sample_rate, peak)) for title, wave in sounds.items()))


def _player(title: str, file: bytes) -> str:
    source = f"data:audio/ogg;base64,{base64.b64encode(file).decode()}"
    return f'<figure><figcaption>{html.escape(title)}</figcaption><audio controls src="{source}"></audio></figure>'


def player_widget(wave: Tensor, sample_rate: int) -> widgets.Audio:
    """The same for a box of widgets, which a saved notebook does not keep; so recordings may be heard in it."""
    return widgets.Audio(value=ogg(wave, sample_rate), format="ogg", autoplay=False, loop=False)
