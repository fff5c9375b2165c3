"""The ten DESED events: a row a class, a parametrised physical model with the ranges of its parameters."""

from __future__ import annotations

from .elements import frying, running_water
from .machines import blender, motor, shaver
from .model import Model
from .objects import beeper, bell, dishes
from .ranges import Range
from .voices import calls, speech


def log(low: float, high: float) -> Range:
    return Range(low, high, log=True)


TARGETS: dict[str, tuple[Model, ...]] = {
    "Alarm_bell_ringing": (
        Model(bell, Range(1.0, 4.0), hz=log(1100, 2200), ring_s=log(0.15, 0.4), strikes=Range(9, 20)),
        Model(
            beeper,
            Range(1.0, 4.0),
            hz=log(1400, 3600),
            rate=log(2.5, 8),
            duty=Range(0.4, 0.7),
            group=Range(2, 6),
            edge=Range(0.1, 0.5),
        ),
    ),
    "Blender": (
        Model(
            blender,
            Range(2.5, 9.0),
            f0=log(130, 270),
            brightness=log(900, 1800),
            spin=Range(0.2, 0.6),
            load=Range(0.05, 0.18),
            load_hz=Range(1.5, 5),
            whine=Range(0.1, 0.4),
            gear=Range(5, 9),
            air=Range(0.3, 0.7),
            gurgle=Range(0.3, 0.7),
        ),
    ),
    "Cat": (
        Model(
            calls,
            Range(0.6, 2.5),
            f0=log(420, 800),
            rise=Range(0.6, 0.85),
            fall=Range(0.55, 0.8),
            length=Range(0.5, 1.1),
            pause=Range(0.15, 0.5),
            tract=log(1.0, 1.35),
            breath=Range(0.02, 0.1),
            brightness=log(900, 1800),
            attack=Range(0.05, 0.15),
            constants={"mouth": ((350, 2100, 3200), (900, 1700, 3100), (850, 1300, 2900), (400, 900, 2700))},
        ),
    ),
    "Dishes": (
        Model(
            dishes,
            Range(0.35, 2.5),
            hz=log(1300, 2600),
            ring_s=log(0.03, 0.12),
            rate=log(2.5, 8),
            hardness=Range(0.6, 1),
        ),
    ),
    "Dog": (
        Model(
            calls,
            Range(0.3, 2.2),
            f0=log(280, 650),
            rise=Range(0.55, 0.8),
            fall=Range(0.45, 0.7),
            length=log(0.12, 0.28),
            pause=Range(0.12, 0.5),
            tract=log(0.8, 1.15),
            breath=Range(0.3, 0.8),
            brightness=log(1200, 2500),
            attack=Range(0.005, 0.02),
            roughness=Range(0.2, 0.7),
            constants={"mouth": ((500, 1200, 2500), (900, 1500, 2700), (600, 1100, 2500))},
        ),
    ),
    "Electric_shaver_toothbrush": (
        Model(
            shaver,
            Range(2.5, 9.0),
            f0=log(85, 135),
            brightness=log(2500, 5000),
            comb=log(700, 1500),
            contact=Range(0.2, 0.9),
        ),
        Model(
            shaver,
            Range(2.5, 9.0),
            f0=log(230, 290),
            brightness=log(2500, 5000),
            comb=log(900, 1800),
            contact=Range(0.2, 0.9),
        ),
    ),
    "Frying": (
        Model(
            frying,
            Range(3.0, 10.0),
            crackle=log(60, 350),
            hiss=log(2200, 4200),
            pop=log(2500, 5000),
            wet=Range(0.3, 0.9),
        ),
    ),
    "Running_water": (
        Model(
            running_water,
            Range(2.5, 10.0),
            stream=log(900, 2400),
            sink=log(250, 650),
            splash=Range(0.15, 0.45),
            bubble=Range(0.4, 1.0),
        ),
    ),
    "Speech": (
        Model(
            speech,
            Range(0.8, 4.0),
            f0=log(90, 165),
            tract=log(0.95, 1.08),
            rate=Range(3.2, 5.5),
            effort=log(1000, 2000),
        ),
        Model(
            speech,
            Range(0.8, 4.0),
            f0=log(165, 270),
            tract=log(1.1, 1.25),
            rate=Range(3.2, 5.5),
            effort=log(1000, 2000),
        ),
    ),
    "Vacuum_cleaner": (
        Model(
            motor,
            Range(3.0, 10.0),
            f0=log(320, 700),
            brightness=log(500, 1000),
            spin=Range(0.4, 1.2),
            load=Range(0.01, 0.06),
            load_hz=Range(0.4, 1.5),
            whine=Range(0.1, 0.4),
            gear=Range(1.9, 3.1),
            air=Range(1.2, 2.4),
            constants={"air_band": (180, 2200), "air_slope": 9, "ripple": 0.1, "ripple_hz": 2},
        ),
    ),
}
