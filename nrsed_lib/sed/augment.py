"""Augmentation of features, batched on their device. Mels and embeddings are always treated alike.

Randomness comes from torch's global generator, which `training.fit` seeds at each step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.mel import scale

MASK_SECONDS = 0.5  # longest gap in the student's spectrogram
MASK_BANDS = 1 / 8  # widest, as a share of the bands
MIXUP_ALPHA = 0.2
MIXUP_PROBABILITY = 0.5


def augment(
    features: Features, strong: Tensor, weak: Tensor, sizes: Sequence[int], detector: Detector
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """Shift, mixup and masks: what student and teacher hear, and its labels.

    → scaled mels with gaps in them, for the student; the same whole, for the teacher; embeddings, for both; strong
    and weak labels. Shapes as for `mixup`.
    """
    seconds = (detector.frame_seconds, detector.mel_seconds, detector.embedding_seconds)
    features, strong = shift(features, strong, *seconds)
    (mels, embeddings), strong, weak = mixup(features, strong, weak, sizes)
    mels = scale(mels)
    masked = mask(mels, 2, round(MASK_SECONDS / detector.mel_seconds), nb_masks=2)
    masked = mask(masked, 1, round(MASK_BANDS * mels.shape[1]))
    return masked, mels, embeddings, strong, weak


def mixup(features: Features, strong: Tensor, weak: Tensor, sizes: Sequence[int]) -> tuple[Features, Tensor, Tensor]:
    """Mix half of the clips with another of their group; labels are mixed in the same proportion (soft labels).

    Linear amplitudes are mixed, as sounds are; embeddings too. sizes: clips in each group, in order
    (strong, weak, unlabelled), so that a clip is never mixed with one whose labels are not known.
    features and strong (B, nb_classes, nb_frames), weak (B, nb_classes) → the same shapes.
    """
    firsts = torch.tensor([0, *sizes[:-1]]).cumsum(0).tolist()
    other = torch.cat([first + torch.randperm(size) for first, size in zip(firsts, sizes, strict=True)])
    other = other.to(weak.device)
    share = torch.distributions.Beta(MIXUP_ALPHA, MIXUP_ALPHA).sample((len(other),))
    share = torch.where(torch.rand(len(other)) < MIXUP_PROBABILITY, share, 1.0).to(weak)

    def mix(x: Tensor) -> Tensor:
        return torch.lerp(x.index_select(0, other), x, share.view(-1, *[1] * (x.ndim - 1)))

    mels, embeddings = features
    return Features(mix(mels), None if embeddings is None else mix(embeddings)), mix(strong), mix(weak)


def shift(
    features: Features, strong: Tensor, frame_seconds: float, mel_seconds: float, embedding_seconds: float | None
) -> tuple[Features, Tensor]:
    """Turn each clip round in time by a random amount, the same for mels, embeddings and frame labels.

    The amount is a whole number of the coarsest frames, so that the three stay aligned.
    features; strong: (B, nb_classes, nb_frames); the seconds between their frames → the same shapes.
    """
    step = embedding_seconds or frame_seconds
    nb_steps = int(strong.shape[-1] * frame_seconds / step)
    seconds = torch.randint(nb_steps, (len(strong),), device=strong.device) * step  # (B,)
    mels, embeddings = features
    mels = roll(mels, seconds / mel_seconds)
    if embeddings is not None and embedding_seconds:
        embeddings = roll(embeddings, seconds / embedding_seconds)
    return Features(mels, embeddings), roll(strong, seconds / frame_seconds)


def roll(x: Tensor, frames: Tensor) -> Tensor:
    """Each row rolled along its last axis. x: (B, C, T); frames: (B,), rounded → (B, C, T)."""
    source = (torch.arange(x.shape[-1], device=x.device) - frames.round().long()[:, None]) % x.shape[-1]  # (B, T)
    return x.gather(-1, source[:, None].expand_as(x))


def mask(x: Tensor, axis: int, longest: int, nb_masks: int = 1) -> Tensor:
    """Spans of up to `longest` positions along `axis`, set to each row's mean (SpecAugment).

    x: (B, C, T) → the same shape. Labels are left as they are: an event that shows at both ends of a
    gap is still there.
    """
    size, mean = x.shape[axis], x.mean((1, 2), keepdim=True)
    position = torch.arange(size, device=x.device).view([-1 if i == axis else 1 for i in range(x.ndim)])
    for _ in range(nb_masks):
        length = torch.randint(longest + 1, (len(x), 1, 1), device=x.device)
        first = (torch.rand(len(x), 1, 1, device=x.device) * (size - length)).long()
        x = torch.where((position >= first) & (position < first + length), mean, x)
    return x
