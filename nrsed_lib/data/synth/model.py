"""A row of a table of sounds: a generator, how long it sounds, and the ranges of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .blocks import Signal
from .ranges import Range, Split


class Model:
    """`generator(rng, nb_samples, sample_rate, **parameters)` with a Range for its length and each parameter."""

    def __init__(
        self,
        generator: Callable[..., Signal],
        seconds: Range,
        constants: Mapping[str, Any] | None = None,
        **ranges: Range,
    ) -> None:
        self.generator = generator
        self.seconds = seconds
        self.ranges = ranges
        self.constants = dict(constants or {})

    def parameters(self, rng: np.random.Generator, split: Split) -> dict[str, float]:
        """One draw of every parameter from the cells of `split`."""
        return {name: range_.draw(rng, split) for name, range_ in self.ranges.items()}

    def render(self, rng: np.random.Generator, split: Split, sample_rate: int) -> Signal:
        """One draw of the sound, at any level: (nb_samples,)."""
        nb_samples = round(self.seconds.draw(rng, split) * sample_rate)
        return self.generator(rng, nb_samples, sample_rate, **self.constants, **self.parameters(rng, split))
