"""What each class sounds like: rows of `data/synth.yaml`, a generator with the ranges of its parameters.

The ranges are cut into cells: some to train on, some held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml

from nrsed_lib.paths import DATA

from . import elements, machines, objects, voices
from .blocks import Signal, Take

GENERATORS = vars(elements) | vars(machines) | vars(objects) | vars(voices)
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


@dataclass(frozen=True)
class Model:
    """`generator(take, **parameters)`, a Range for its length in seconds and for each parameter, and what is fixed."""

    generator: Callable[..., Signal]
    seconds: Range
    ranges: Mapping[str, Range]
    constants: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self, rng: np.random.Generator, split: str) -> dict[str, float]:
        """One draw of every parameter from the cells of `split`."""
        return {name: range_.draw(rng, split) for name, range_ in self.ranges.items()}

    def render(self, rng: np.random.Generator, split: str, sample_rate: int) -> Signal:
        """One draw of the sound, at any level: (nb_samples,)."""
        take = Take(rng, round(self.seconds.draw(rng, split) * sample_rate), sample_rate)
        return self.generator(take, **self.constants, **self.parameters(rng, split))


def _model(generator: str, settings: dict[str, Any]) -> Model:
    constants = settings.pop("constants", {})
    ranges = {name: Range(low, high, bool(log)) for name, (low, high, *log) in settings.items()}
    return Model(GENERATORS[generator], ranges.pop("seconds"), ranges, constants)


_TABLE = yaml.safe_load((DATA / "synth.yaml").read_text())
TARGETS, NOISES = (
    {label: [_model(*item) for row in rows for item in row.items()] for label, rows in _TABLE[part].items()}
    for part in ("targets", "noises")
)
