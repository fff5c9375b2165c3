"""The sound event detector g: waveforms to frame-wise and clip-wise probabilities (Eq. 1)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from nrsed_lib.profile import Profile
from nrsed_lib.sed.crnn import CRNN
from nrsed_lib.sed.encoders.base import build_encoder
from nrsed_lib.sed.mel import SCALERS, LinearMel
from nrsed_lib.store import read_tensors
from nrsed_lib.training import device

PROJECTION = {"mn04": 128}  # channels to which an encoder's embeddings are reduced; BEATs' are taken as they are
THRESHOLD = 0.5  # of a clip-wise probability, for an event to count as heard and be asked for (section II-C)


class Features(NamedTuple):
    """What is computed from a waveform without learning, and where augmentation acts.

    mels: (B, nb_mels, nb_mel_frames) linear amplitude. embeddings: (B, size, nb_embedding_frames) or None.
    """

    mels: Tensor
    embeddings: Tensor | None

    def rows(self, index: Tensor) -> Features:
        """The features of some clips. index: (B,)."""
        mels, embeddings = self
        return Features(mels[index], None if embeddings is None else embeddings[index])


class Detector(nn.Module):
    """Mel front end, frozen frame encoder and CRNN. Only `crnn` learns, and only it is saved."""

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        sed, data = profile.sed, profile.data
        self.classes = tuple(data.classes)
        self.mel = LinearMel(sed.mel, data.sample_rate)
        self.scale = SCALERS[sed.ways.scaler]
        self.encoder = build_encoder(sed.encoder, data.sample_rate, sed.bfloat16)
        self.crnn = CRNN(
            len(data.classes),
            **sed.crnn.model_dump(),
            embedding_size=self.encoder.size if self.encoder else 0,
            projection=PROJECTION.get(sed.encoder),
        )
        self.nb_frames = data.nb_samples // sed.mel.hop + 1
        for frames, _ in sed.crnn.pooling:
            self.nb_frames //= frames
        self.frame_seconds = data.clip_seconds / self.nb_frames
        self.mel_seconds = sed.mel.hop / data.sample_rate

    @property
    def embedding_seconds(self) -> float | None:
        """Between the embeddings of `features`; None without an encoder."""
        return max(self.encoder.frame_seconds, self.frame_seconds) if self.encoder else None

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """waveforms: (B, nb_samples) → strong (B, nb_classes, nb_frames), weak (B, nb_classes)."""
        return self.detect(self.features(waveforms))

    @torch.no_grad()
    def features(self, waveforms: Tensor) -> Features:
        """waveforms: (B, nb_samples) → the CRNN's inputs, before they are scaled."""
        return Features(self.mel(waveforms), self.embeddings(waveforms))

    @torch.no_grad()
    def embeddings(self, waveforms: Tensor) -> Tensor | None:
        """(B, nb_samples) → (B, size, nb_embedding_frames), no finer than the output: finer ones are averaged.

        The CRNN would average them too, but after augmentation; here there are a third as many numbers to keep. Both
        orders give the same but where clips are turned in time by what is no whole number of frames' embeddings.
        """
        if self.encoder is None:
            return None
        embeddings = self.encoder(waveforms)
        if self.encoder.frame_seconds < self.frame_seconds:
            return F.adaptive_avg_pool1d(embeddings, self.nb_frames)
        return embeddings

    def detect(self, features: Features) -> tuple[Tensor, Tensor]:
        """Features → strong (B, nb_classes, nb_frames), weak (B, nb_classes)."""
        return self.crnn(self.scale(features.mels), features.embeddings)


def load_detector(path: Path, profile: Profile) -> Detector:
    """The detector whose `crnn` a training left at `path`, in evaluation mode, on the device.

    Raises ValueError naming the file when it was trained for other classes.
    """
    weights, about = read_tensors(path)
    detector = Detector(profile)
    if tuple(about["classes"]) != detector.classes:
        raise ValueError(
            f"{path} detects {about['classes']}, the profile asks for {list(detector.classes)}; retrain it"
        )
    detector.crnn.load_state_dict(weights)
    return detector.eval().to(device())


@torch.no_grad()
def predict(detector: Detector, waveforms: Tensor, batch: int = 16) -> tuple[Tensor, Tensor]:
    """Probabilities of many clips, in evaluation mode, not yet median filtered.

    waveforms: (nb_clips, nb_samples) float32 → frame scores (nb_clips, nb_classes, nb_frames) and clip
    scores (nb_clips, nb_classes), on the CPU.
    """
    detector.eval()
    parts = tqdm(waveforms.split(batch), desc="detect", mininterval=1.0, leave=False)
    strong, weak = zip(*(detector(part.to(device())) for part in parts), strict=True)
    return torch.cat(strong).cpu(), torch.cat(weak).cpu()


def median_filter(scores: Tensor, frames: int) -> Tensor:
    """Median over `frames` (odd) frames around each, the ends repeated.

    scores: (nb_clips, nb_classes, nb_frames) → the same shape. Raises ValueError for an even window.
    """
    if frames % 2 == 0:
        raise ValueError(f"a median over {frames} frames has no middle; use an odd number")
    padded = F.pad(scores, (frames // 2, frames // 2), mode="replicate")
    return padded.unfold(-1, frames, 1).median(-1).values
