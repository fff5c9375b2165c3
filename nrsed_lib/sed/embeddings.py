"""Embeddings of clean clips, computed once: encoding them is most of the work of a step with BEATs.

Noise that is mixed on the fly changes what the encoder hears, so only clean clips can be looked up: all of stage 1,
and in stage 2 those that no noise has come to. Kept embeddings differ from computed ones by float16's
rounding (2⁻¹¹ of a value) and by nothing else: both are averaged to the detector's frames before augmentation. The
published code averages after it; that differs where clips are mixed or turned only by rounding and by where a frame's
window of three to five embeddings is cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from nrsed_lib import sharding
from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.training_set import Audio
from nrsed_lib.store import atomic, place, remove

BATCH = 64
ROOM = 0.5  # of the device's free memory, at most, may be taken by embeddings


class KeptEmbeddings:
    """Features of clips by number: mels computed when asked for, embeddings looked up.

    audio: (nb_clips, nb_samples) int16. embeddings: (nb_clips, size, nb_frames) float16: on the device, or mapped
    from a file where they do not fit.
    """

    def __init__(self, detector: Detector, audio: Tensor | Audio, embeddings: Tensor) -> None:
        self.detector, self.audio, self.embeddings = detector, audio, embeddings

    def rows(self, index: Tensor) -> Features:
        """The features of some clips. index: (B,)."""
        mels = self.detector.mel(self.audio[index.to(self.audio.device)].to(index.device).float() / FULL_SCALE)
        return Features(mels, self.look_up(index))

    def look_up(self, index: Tensor) -> Tensor:
        """index: (B,) → (B, size, nb_frames)."""
        return self.embeddings[index.to(self.embeddings.device)].to(index.device, torch.float32)


def keep_embeddings(detector: Detector, audio: Tensor | Audio, path: Path) -> KeptEmbeddings:
    """Compute the embeddings of all clips into `path` (.npy, float16), or take up where a killed run left off.

    audio: (nb_clips, nb_samples) int16. For 29,460 clips of 10 s and BEATs the file is 7.1 GB.
    """
    device = next(detector.parameters()).device
    if not path.exists() and sharding.is_first():
        _compute(detector, audio, path, device)
    sharding.wait()
    kept = torch.from_numpy(np.load(path, mmap_mode="r+"))  # r+: torch warns of what it cannot write
    if device.type == "cuda" and kept.numel() * 2 < ROOM * torch.cuda.mem_get_info(device)[0]:
        kept = kept.to(device)
    return KeptEmbeddings(detector, audio, kept)


def _compute(detector: Detector, audio: Tensor | Audio, path: Path, device: torch.device) -> None:
    """Fill `<path>.part`, whose progress stands in `<path>.done`; the whole file takes its name at the end."""
    part, done = path.with_suffix(".part"), path.with_suffix(".done")
    nb_done = int(done.read_text()) if part.exists() and done.exists() else 0
    file = open_memmap(part, mode="r+") if nb_done else None
    bar = tqdm(total=len(audio), initial=nb_done, desc="embeddings", unit="clip", mininterval=1.0)
    for start in range(nb_done, len(audio), BATCH):
        some = audio[start : start + BATCH].to(device).float() / FULL_SCALE
        embeddings = cast(Tensor, detector.embeddings(some)).half().cpu().numpy()  # (B, size, nb_frames)
        if file is None:
            file = open_memmap(part, mode="w+", dtype=np.float16, shape=(len(audio), *embeddings.shape[1:]))
        file[start : start + len(some)] = embeddings
        file.flush()
        with atomic(done) as temporary:
            temporary.write_text(str(start + len(some)))
        bar.update(len(some))
    bar.close()
    place(part, path)
    remove(done)
