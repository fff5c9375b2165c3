"""What the detector can work with: spectra that a clip has, and pooling that leaves something of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce

from nrsed_lib.profile import Mel, Profile
from nrsed_lib.settings.section import Fault


def faults(profile: Profile) -> Iterator[Fault]:
    data, mel, crnn = profile.data, profile.sed.mel, profile.sed.crnn
    if mel.f_max > data.sample_rate / 2:
        yield Fault("sed.mel.f_max", f"is above half the sample rate, {data.sample_rate / 2:g} Hz", "lower it")
    elif mel.f_min < mel.f_max and (empty := empty_bands(mel, data.sample_rate)):
        yield Fault(
            "sed.mel.nb_mels", f"leaves {empty} bands without a bin of the spectrum", "lower it, or raise n_fft"
        )
    if data.nb_samples <= mel.n_fft // 2:
        yield Fault(
            "sed.mel.n_fft", f"is more than two clips of {data.clip_seconds:g} s", "lower it, or lengthen clips"
        )
    times, bands = zip(*crnn.pooling, strict=True) if crnn.pooling else ((), ())
    if (left := reduce(int.__floordiv__, bands, mel.nb_mels)) != 1:
        yield Fault("sed.crnn.pooling", f"leaves {left} of {mel.nb_mels} bands", "let 1 be left")
    frames = reduce(int.__floordiv__, times, data.nb_samples // mel.hop + 1)
    if frames < profile.sed.median_frames:
        remedy = "shorten the median (sed.median_frames), pool time less or lower sed.mel.hop"
        yield Fault("sed.crnn.pooling", f"leaves {frames} frames of a clip, less than the median is over", remedy)


def empty_bands(mel: Mel, sample_rate: int) -> int:
    """How many of the triangles, at even distances in mel, lie between two bins of the spectrum."""
    low, high = (math.log10(1 + f / 700) for f in (mel.f_min, mel.f_max))
    edges = [700 * (10 ** (low + (high - low) * i / (mel.nb_mels + 1)) - 1) for i in range(mel.nb_mels + 2)]
    width = sample_rate / mel.n_fft
    return sum((math.floor(a / width) + 1) * width >= b for a, b in zip(edges, edges[2:], strict=False))
