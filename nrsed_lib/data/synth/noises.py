"""The noises of a home and its surroundings: a row a class, as in targets.py.

Some are the near twins of a target on purpose: the drill of the blender, rain of running water, the hair dryer of the
vacuum cleaner, telephone and siren of the alarm, the cupboard of the dishes, the crying baby of the cat, the sewing
machine of the shaver. Durations: steady sounds fill a clip of ten seconds, events are shorter.
"""

from __future__ import annotations

from .elements import rainfall, surf, thunder, toilet, wind
from .machines import (
    aircraft,
    drill,
    microwave,
    motor,
    passing,
    piston_engine,
    printer,
    sewing_machine,
    train,
    washing_machine,
)
from .model import Model
from .objects import STEEL, bell, blows, clock, cupboard, door, horn, siren, typing, warble
from .ranges import Range
from .targets import log
from .voices import birdsong, calls, crickets, frog, snore

STEADY = Range(9.5, 10.5)
LONG = Range(6.0, 10.0)
EVENT = Range(2.0, 5.0)
SHORT = Range(0.6, 1.6)

NOISES: dict[str, tuple[Model, ...]] = {
    # weather and water
    "Rain": (Model(rainfall, STEADY, drops=log(120, 500), roof=log(900, 2600), wash=log(2000, 4500)),),
    "Wind": (Model(wind, STEADY, cut=log(100, 300), howl=log(350, 900), gust=log(0.3, 1.0)),),
    "Thunder": (Model(thunder, LONG, crack=log(400, 1500), roll=log(60, 140), length=log(0.5, 1.5)),),
    "Waves, surf": (Model(surf, STEADY, period=Range(4, 8), wash=log(200, 600), hiss=log(1200, 2800)),),
    "Toilet flush": (Model(toilet, LONG, rush=log(400, 1100), gurgle=log(150, 350), refill=log(2000, 3500)),),
    # animals and people
    "Bird vocalization, bird call, bird song": (
        Model(birdsong, LONG, f0=log(2300, 4800), span=log(1.1, 1.35), rate=Range(3, 8)),
    ),
    "Cricket": (Model(crickets, STEADY, f0=log(3800, 5800), trill=log(24, 50), chirp=log(1.5, 4)),),
    "Frog": (Model(frog, LONG, f0=log(250, 900), pulses=log(18, 50), length=log(0.2, 0.6)),),
    "Baby cry, infant cry": (
        Model(
            calls,
            Range(3.0, 7.0),
            f0=log(350, 560),
            rise=Range(0.7, 0.95),
            fall=Range(0.65, 0.85),
            length=Range(0.7, 1.3),
            pause=Range(0.2, 0.5),
            tract=log(1.25, 1.6),
            breath=Range(0.05, 0.2),
            brightness=log(1500, 3000),
            attack=Range(0.03, 0.08),
            vibrato=Range(0.01, 0.04),
            roughness=Range(0.0, 0.4),
            constants={"mouth": ((700, 1500, 2900), (900, 1500, 2900), (800, 1400, 2900))},
        ),
    ),
    "Snoring": (Model(snore, STEADY, f0=log(28, 70), length=Range(1.2, 2.0), throat=log(180, 500)),),
    "Walk, footsteps": (
        Model(
            blows,
            LONG,
            hz=log(120, 300),
            ring_s=log(0.01, 0.03),
            rate=Range(1.5, 2.4),
            hardness=Range(0.2, 0.6),
            dull=Range(0.5, 1.2),
            constants={"dull_band": (150, 3500), "dull_s": 0.015, "jitter": 0.15},
        ),
    ),
    # things of the house
    "Door": (Model(door, SHORT, hz=log(70, 160), creak=log(500, 1400), slam_s=log(0.03, 0.09), latch=log(1200, 2600)),),
    "Knock": (
        Model(
            blows,
            EVENT,
            hz=log(150, 400),
            ring_s=log(0.012, 0.035),
            rate=Range(3.5, 6.5),
            hardness=Range(0.2, 0.5),
            on=Range(0.6, 1.1),
            off=Range(0.7, 1.5),
            constants={"dull": 0.6, "dull_band": (100, 900), "jitter": 0.15},
        ),
    ),
    "Cupboard open or close": (
        Model(cupboard, SHORT, hz=log(150, 420), ring_s=log(0.02, 0.06), rattle=log(1400, 3000), latch=log(900, 2400)),
    ),
    "Chopping (food)": (
        Model(
            blows,
            LONG,
            hz=log(350, 800),
            ring_s=log(0.01, 0.025),
            rate=Range(2.5, 5.5),
            hardness=Range(0.3, 0.7),
            dull=Range(0.3, 0.9),
            constants={"dull_band": (600, 5000), "dull_s": 0.008, "jitter": 0.2},
        ),
    ),
    "Typing": (Model(typing, LONG, rate=Range(4, 9), hz=log(1800, 3600), bottom=log(300, 700)),),
    "Tick-tock": (
        Model(
            clock, STEADY, rate=Range(1.0, 4.0), hz=log(1500, 3500), ring_s=log(0.003, 0.012), tock=Range(0.75, 0.95)
        ),
    ),
    "Telephone bell ringing": (
        Model(
            bell,
            LONG,
            hz=log(1300, 2200),
            ring_s=log(0.08, 0.2),
            strikes=Range(18, 26),
            gongs=Range(1.12, 1.3),
            on=Range(1.2, 2.0),
            off=Range(1.5, 2.5),
        ),
        Model(
            warble,
            LONG,
            hz=log(750, 1300),
            ratio=Range(1.15, 1.35),
            rate=log(8, 16),
            on=Range(0.8, 1.5),
            off=Range(1.0, 2.0),
        ),
    ),
    # machines of the house
    "Microwave oven": (Model(microwave, STEADY, f0=log(95, 125), fan=Range(0.5, 1.2), beep=log(1800, 2400)),),
    "Washing machine": (Model(washing_machine, STEADY, f0=log(70, 160), turn=log(0.6, 1.4), slosh=Range(0.5, 1.2)),),
    "Mechanical fan": (
        Model(
            motor,
            STEADY,
            f0=log(60, 130),
            brightness=log(120, 300),
            air=Range(0.8, 2.0),
            ripple=Range(0.2, 0.6),
            ripple_hz=Range(3, 9),
            constants={"air_band": (100, 900), "air_slope": 9},
        ),
    ),
    "Air conditioning": (
        Model(
            motor,
            STEADY,
            f0=log(95, 125),
            brightness=log(100, 220),
            air=Range(1.5, 3.0),
            whine=Range(0.02, 0.1),
            gear=Range(6, 14),
            constants={"air_band": (80, 1500), "air_slope": 6, "spin": 0.02},
        ),
    ),
    "Hair dryer": (
        Model(
            motor,
            LONG,
            f0=log(240, 420),
            brightness=log(400, 900),
            spin=Range(0.2, 0.7),
            air=Range(1.8, 3.2),
            whine=Range(0.1, 0.4),
            gear=Range(3, 5),
            constants={"air_band": (500, 4500), "air_slope": 9},
        ),
    ),
    "Printer": (Model(printer, LONG, sweep=log(0.6, 1.4), f0=log(180, 420), feed=Range(0.5, 1.5)),),
    "Drill": (
        Model(
            drill,
            LONG,
            f0=log(170, 380),
            brightness=log(1200, 2400),
            spin=Range(0.1, 0.4),
            load=Range(0.05, 0.2),
            load_hz=Range(0.5, 1.5),
            whine=Range(0.3, 0.8),
            gear=Range(8, 13),
            air=Range(0.3, 0.8),
        ),
    ),
    "Hammer": (
        Model(
            blows,
            LONG,
            hz=log(500, 1300),
            ring_s=log(0.03, 0.1),
            rate=Range(1.5, 3.2),
            hardness=Range(0.5, 0.9),
            dull=Range(0.5, 1.2),
            constants={"partials": STEEL, "dull_band": (150, 3000), "dull_s": 0.015},
        ),
    ),
    "Sewing machine": (Model(sewing_machine, LONG, f0=log(80, 160), stitch=Range(6, 13), brightness=log(2000, 4000)),),
    # garden and street
    "Lawn mower": (
        Model(
            piston_engine,
            STEADY,
            rpm=log(2600, 3600),
            brightness=log(250, 600),
            swing=Range(0.01, 0.05),
            hiss=Range(0.5, 1.2),
            unevenness=Range(0.3, 0.8),
        ),
    ),
    "Chainsaw": (
        Model(
            piston_engine,
            LONG,
            rpm=log(5500, 9500),
            brightness=log(900, 1800),
            swing=Range(0.15, 0.35),
            hiss=Range(0.3, 0.8),
            unevenness=Range(0.5, 1.2),
        ),
    ),
    "Engine": (
        Model(
            piston_engine,
            STEADY,
            rpm=log(800, 2200),
            brightness=log(150, 350),
            swing=Range(0.02, 0.25),
            hiss=Range(0.2, 0.6),
            unevenness=Range(0.3, 1.0),
        ),
    ),
    "Car passing by": (
        Model(passing, LONG, speed=Range(0.03, 0.08), f0=log(60, 140), road=log(500, 1200), width=Range(0.5, 1.3)),
    ),
    "Vehicle horn, car horn, honking": (
        Model(horn, EVENT, hz=log(330, 480), ratio=Range(1.18, 1.32), honk=log(0.25, 1.2)),
    ),
    "Siren": (
        Model(siren, LONG, low=log(450, 750), span=Range(1.6, 2.4), rate=log(0.15, 0.5), hold=Range(0.0, 0.5)),
        Model(siren, LONG, low=log(380, 600), span=Range(1.25, 1.45), rate=log(0.4, 0.9), hold=Range(0.8, 1.0)),
    ),
    "Aircraft": (
        Model(aircraft, STEADY, f0=log(60, 130), thrust=log(250, 800), whine=log(1200, 2800), swell=Range(0.0, 1.0)),
    ),
    "Train": (Model(train, STEADY, wheels=log(0.8, 2.2), rumble=log(200, 600), squeal=log(1800, 3500)),),
}
