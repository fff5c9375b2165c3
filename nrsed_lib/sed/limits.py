"""What the detector can work with: spectra that a clip has, and pooling that leaves something of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce

from nrsed_lib.profile import Mel, Profile
from nrsed_lib.settings.section import Check


def checks(profile: Profile) -> Iterator[Check]:
    tagged = profile.evaluate.reviewer_rows and profile.sed.encoder != "mn04"
    yield tagged, "evaluate.reviewer_rows", "ask for tags of mn04, which is not sed.encoder", "leave them out"
    alone = profile.evaluate.reviewer_rows and not profile.llm.smollm2
    yield alone, "llm.smollm2", "names no answers, for which evaluate.reviewer_rows ask", "record them: nrsed llm noise"
    data, mel, crnn = profile.data, profile.sed.mel, profile.sed.crnn
    nb_weak, sed = round(profile.sed.weak_share * data.nb_weak), profile.sed
    few = "as_released" in (sed.ways.batches, sed.ways.kept) and nb_weak < sed.batch.weak
    what = f"leaves {nb_weak} of {data.nb_weak} weak clips, which do not fill a batch"
    yield few, "sed.weak_share", what, "raise it, or lower sed.batch.weak"
    half, empty = data.sample_rate / 2, empty_bands(mel, data.sample_rate)
    yield mel.f_max > half, "sed.mel.f_max", f"is above half the sample rate, {half:g} Hz", "lower it"
    yield empty, "sed.mel.nb_mels", f"leaves {empty} bands without a bin of the spectrum", "lower it, or raise n_fft"
    longer = f"is more than two clips of {data.clip_seconds:g} s"
    yield data.nb_samples <= mel.n_fft // 2, "sed.mel.n_fft", longer, "lower it, or lengthen clips"
    bands = reduce(int.__floordiv__, (pooled for _, pooled in crnn.pooling), mel.nb_mels)
    frames = reduce(int.__floordiv__, (pooled for pooled, _ in crnn.pooling), data.nb_samples // mel.hop + 1)
    yield bands != 1, "sed.crnn.pooling", f"leaves {bands} of {mel.nb_mels} bands", "let 1 be left"
    few, remedy = frames < profile.sed.median_frames, "shorten that (sed.median_frames) or sed.mel.hop, or pool less"
    yield few, "sed.crnn.pooling", f"leaves {frames} frames of a clip, less than the median is over", remedy


def empty_bands(mel: Mel, sample_rate: int) -> int:
    """How many of the triangles, at even distances in mel, lie between two bins of the spectrum."""
    low, high = (math.log10(1 + f / 700) for f in (mel.f_min, mel.f_max))
    edges = [700 * (10 ** (low + (high - low) * i / (mel.nb_mels + 1)) - 1) for i in range(mel.nb_mels + 2)]
    width = sample_rate / mel.n_fft
    between = ((math.floor(a / width) + 1) * width >= b for a, b in zip(edges, edges[2:], strict=False))
    return sum(between) if low < high else 0
