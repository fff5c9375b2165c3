"""Separate and remix (Eq. 4-5): every (clip, query) pair of a test set, in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from nrsed_lib.lass.separator import Separator


@torch.inference_mode()
def separate(separator: Separator, mixtures: Tensor, pairs: Tensor, conditions: Tensor, batch: int) -> Tensor:
    """Eq. 4: one track a pair, s = h(x, q).

    mixtures: (nb_clips, nb_samples) float32. pairs: (nb_pairs, 2) int64, clip and query of each, in
    any order. conditions: (nb_queries, condition_size), embedded once. batch: how many clips are
    analysed, and how many pairs go through the network, at a time. -> (nb_pairs, nb_samples).

    A clip is analysed once, however many queries it has, and not at all without one.
    """
    tracks = mixtures.new_empty(len(pairs), mixtures.shape[-1])
    order = pairs[:, 0].argsort(stable=True)
    clips, which = pairs[order, 0].unique_consecutive(return_inverse=True)  # which: row of `clips` of each pair
    for start in range(0, len(clips), batch):
        here = (which >= start) & (which < start + batch)
        spectra, features = separator.analyse(mixtures[clips[start : start + batch]])
        for some in order[here].split(batch):
            row = torch.searchsorted(clips, pairs[some, 0]) - start
            masks = separator.mask(separator.logits(features[row], conditions[pairs[some, 1]]))
            tracks[some] = separator.synthesise(spectra[row], masks, mixtures.shape[-1])
    return tracks


def remix(tracks: Tensor, pairs: Tensor, mixtures: Tensor) -> Tensor:
    """Eq. 5: the mean of a clip's tracks; a clip without a query passes unchanged.

    tracks: (nb_pairs, nb_samples). pairs: (nb_pairs, 2) int64, of which the clip is read. mixtures:
    (nb_clips, nb_samples). -> (nb_clips, nb_samples).
    """
    nb_tracks = torch.bincount(pairs[:, 0], minlength=len(mixtures))[:, None]  # (nb_clips, 1)
    sums = torch.zeros_like(mixtures).index_add_(0, pairs[:, 0], tracks)
    return torch.where(nb_tracks > 0, sums / nb_tracks.clamp(min=1), mixtures)
