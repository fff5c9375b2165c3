"""Augmentation of features, batched on their device: a row of `AUGMENTATIONS` by `sed.ways.augmentation`.

Randomness comes from torch's global generator, which `training.fit` seeds at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nrsed_lib.sed.detector import Detector, Features

MASK_SECONDS = 0.5  # longest gap in the student's spectrogram
MASK_BANDS = 1 / 8  # widest, as a share of the bands
MIXUP_ALPHA = 0.2
MIXUP_PROBABILITY = 0.5
RELEASED_FRAMES, RELEASED_BANDS = 5, 10  # a released gap has fewer

# What the student hears and what the teacher does, scaled mels; embeddings, for both; strong and weak labels.
Augmented = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]


def augment(features: Features, strong: Tensor, weak: Tensor, sizes: Sequence[int], detector: Detector) -> Augmented:
    """Shift, mixup and masks: clips with gaps for the student, the same whole for the teacher. Shapes as for `mixup`.

    Mels and embeddings are treated alike.
    """
    seconds = (detector.frame_seconds, detector.mel_seconds, detector.embedding_seconds)
    features, strong = shift(features, strong, *seconds)
    (mels, embeddings), strong, weak = mixup(features, strong, weak, sizes)
    mels = detector.scale(mels)
    masked = mask(mels, 2, round(MASK_SECONDS / detector.mel_seconds), nb_masks=2)
    masked = mask(masked, 1, round(MASK_BANDS * mels.shape[1]))
    return masked, mels, embeddings, strong, weak


def as_released(
    features: Features, strong: Tensor, weak: Tensor, sizes: Sequence[int], detector: Detector
) -> Augmented:
    """In half of the batches mels and labels of the strong clips are mixed, all in one proportion, and so of the weak.

    Embeddings are as they were. Student and teacher have a gap in time and one in frequency, each its own, at the
    scale's zero. Shapes as for `mixup`.
    """
    (mels, embeddings), (nb_strong, nb_weak, *_) = features, sizes
    if torch.rand(()) < MIXUP_PROBABILITY:
        other, share = torch.arange(len(mels)), torch.ones(len(mels))
        for rows in (slice(0, nb_strong), slice(nb_strong, nb_strong + nb_weak)):
            other[rows] = other[rows][torch.randperm(len(other[rows]))]
            share[rows] = torch.distributions.Beta(MIXUP_ALPHA, MIXUP_ALPHA).sample()
        mels, strong, weak = (mix(x, other.to(x.device), share.to(x)) for x in (mels, strong, weak))
    mels = detector.scale(mels)
    student, teacher = (
        mask(mask(mels, 1, RELEASED_BANDS - 1, fill=0.0), 2, RELEASED_FRAMES - 1, fill=0.0) for _ in range(2)
    )
    return student, teacher, embeddings, strong, weak


def as_written(features: Features, strong: Tensor, weak: Tensor, sizes: Sequence[int], detector: Detector) -> Augmented:
    """The paper names no augmentation. Shapes as for `mixup`."""
    mels = detector.scale(features.mels)
    return mels, mels, features.embeddings, strong, weak


AUGMENTATIONS: dict[str, Callable[..., Augmented]] = {
    "ours": augment,
    "as_released": as_released,
    "as_written": as_written,
}


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
    mels, embeddings = features
    mixed = Features(mix(mels, other, share), None if embeddings is None else mix(embeddings, other, share))
    return mixed, mix(strong, other, share), mix(weak, other, share)


def mix(x: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """share · x + (1 - share) · x[other]. x: (B, …); other, share: (B,) → (B, …)."""
    return torch.lerp(x.index_select(0, other), x, share.view(-1, *[1] * (x.ndim - 1)))


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


def mask(x: Tensor, axis: int, longest: int, nb_masks: int = 1, fill: float | None = None) -> Tensor:
    """Spans of up to `longest` positions along `axis`, set to `fill` or to each row's mean (SpecAugment).

    x: (B, C, T) → the same shape. Labels are left as they are: an event that shows at both ends of a
    gap is still there.
    """
    size = x.shape[axis]
    filled = x.mean((1, 2), keepdim=True) if fill is None else x.new_tensor(fill)
    position = torch.arange(size, device=x.device).view([-1 if i == axis else 1 for i in range(x.ndim)])
    for _ in range(nb_masks):
        length = torch.randint(longest + 1, (len(x), 1, 1), device=x.device)
        first = (torch.rand(len(x), 1, 1, device=x.device) * (size - length)).long()
        x = torch.where((position >= first) & (position < first + length), filled, x)
    return x
