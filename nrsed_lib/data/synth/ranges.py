"""Parameter ranges cut into cells: some to train on, some held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NB_CELLS = 10
CELLS: dict[str, tuple[int, ...]] = {"train": (0, 1, 3, 5, 6, 8, 9), "validation": (4,), "test": (2, 7)}


@dataclass(frozen=True)
class Range:
    """An interval [low, high) of a parameter, on a linear or logarithmic scale.

    The interval is cut into ten cells of equal width (on its scale). Each split owns some of them and draws
    uniformly from their union: the first, second, fourth... cells are trained on, the fifth is for validation, the
    third and eighth for test. A test value therefore lies inside the hull of the training values, with trained
    cells on both sides, but never in a trained cell: testing asks for interpolation, not for recall.
    """

    low: float
    high: float
    log: bool = False

    def at(self, unit: float) -> float:
        """The value at `unit` in [0, 1] of the interval."""
        if self.log:
            return float(self.low * (self.high / self.low) ** unit)
        return self.low + (self.high - self.low) * unit

    def draw(self, rng: np.random.Generator, split: str) -> float:
        """A value from the cells of `split`."""
        cells = CELLS[split]
        return self.at((cells[rng.integers(len(cells))] + rng.random()) / NB_CELLS)
