"""Against mir_eval, the reference implementation of BSS-eval, which is slow but independent of fast_bss_eval."""

import warnings

import mir_eval.separation
import numpy as np
import pytest
import torch

from nrsed_lib.studies.opensep.bss import bss_eval

NB_SAMPLES = 3000


def signals(seed: int = 0, nb_mixtures: int = 2, nb_sources: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Coloured sources, and estimates with interference, artefacts and a delay."""
    noise = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, nb_mixtures, nb_sources, NB_SAMPLES)))
    sources = noise[0] + 0.9 * noise[0].roll(1, -1)
    return sources, sources.roll(3, -1) + 0.3 * sources.roll(1, -2) + 0.2 * noise[1]


def reference(sources: torch.Tensor, estimates: torch.Tensor) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mir_eval 0.8 announces the end of this function in 0.9
        each = [
            mir_eval.separation.bss_eval_sources(s.numpy(), e.numpy(), compute_permutation=False)
            for s, e in zip(sources, estimates, strict=True)
        ]
    return [np.stack(column) for column in zip(*each, strict=True)][:3]  # the last is the order, as given


@pytest.mark.parametrize("nb_sources", [2, 3])
def test_ratios_are_those_of_mir_eval(nb_sources: int) -> None:
    sources, estimates = signals(nb_sources=nb_sources)
    ours = bss_eval(sources, estimates)
    for mine, theirs in zip(ours, reference(sources, estimates), strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs, atol=1e-6)


def test_float32_is_close_enough() -> None:
    sources, estimates = signals()
    for mine, theirs in zip(bss_eval(sources.float(), estimates.float()), bss_eval(sources, estimates), strict=True):
        torch.testing.assert_close(mine.double(), theirs.double(), atol=0.01, rtol=0)


def test_a_filtered_estimate_is_free_and_a_gain_too() -> None:
    sources, _ = signals()
    sources[..., -500:] = 0  # so that the delayed sound is whole
    assert float(bss_eval(sources, -3 * sources.roll(100, -1)).sdr.min()) > 100


def test_silence() -> None:
    sources, estimates = signals()
    estimates[0, 1] = 0
    ratios = bss_eval(sources, estimates)
    assert ratios.sdr[0, 1] == -torch.inf
    assert torch.isfinite(ratios.sdr).sum() == ratios.sdr.numel() - 1
    sources[1, 0] = 0
    with pytest.raises(ValueError, match=r"1 of 4 references are silent, the first at \[1, 0\]"):
        bss_eval(sources, estimates)
    with pytest.raises(ValueError, match="one shape"):
        bss_eval(sources, estimates[:, :1])
