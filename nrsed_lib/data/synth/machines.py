"""Sounds made by motors: a shaft with its harmonics, its load, its gears and the air it moves."""

from __future__ import annotations

import numpy as np

from .blocks import Signal, Spectrum, Take, band, buzz, sine, tilt, unit_rms


def motor(
    take: Take,
    *,
    f0: float,
    brightness: float,
    spin: float = 0.3,
    load: float = 0.0,
    load_hz: float = 2.0,
    whine: float = 0.0,
    gear: float = 9.0,
    air: float = 0.3,
    air_band: tuple[float, float] = (300, 3000),
    air_slope: float = 12,
    ripple: float = 0.0,
    ripple_hz: float = 8.0,
) -> Signal:
    """A rotating machine.

    f0: shaft or commutator pitch (Hz); brightness: spectral tilt (Hz per 8.7 dB); spin: seconds to reach full speed
    and to stop; load: share of the speed lost at the heaviest load, which changes load_hz times a second; whine: level
    of the gear whine at `gear` times f0; air: level of the noise of moved air or liquid in air_band, whose amplitude
    ripples (depth `ripple`) about ripple_hz times a second.
    """
    burden = 0.5 + 0.5 * take.drift(load_hz)
    speed = (0.3 + 0.7 * take.fade(spin, spin)) * (1 - load * burden)
    hz = f0 * speed * (1 + 0.004 * take.drift(12))
    tone = unit_rms(buzz(take.phase(hz), tilt(f0, brightness))) * (1 + 2 * load * (burden - 0.5))
    if whine:
        tone += whine * sine(take.phase(hz * gear))
    wind = take.noise(band(*air_band, air_slope))
    if ripple:
        wind *= 1 + ripple * take.drift(2 * ripple_hz)
    return (tone + air * wind) * speed**2 * take.fade(0.02, 0.05)


def blender(take: Take, *, gurgle: float, **settings: float) -> Signal:
    """A loaded motor and what it stirs: pieces that hit the jar, liquid that gurgles."""
    machine = motor(take, air_band=(400, 2500), ripple=0.6, ripple_hz=6, **settings)
    jar = np.array([520, 1130, 1900])
    hits = [take.ring(jar * lift, [0.008, 0.006, 0.004], [1, 0.8, 0.5]) for lift in (0.7, 1.0, 1.4)]
    pieces = unit_rms(take.shower(45, hits))
    return unit_rms(machine) + gurgle * pieces * take.contour([1, 0.7, 0.4])


def shaver(take: Take, *, f0: float, brightness: float, comb: float, contact: float) -> Signal:
    """An armature driven to and fro: a bright, very steady buzz, through a small case that resonates at `comb` Hz.

    contact: how much pressing it on the skin darkens and shakes the tone.
    """
    press = 0.5 + 0.5 * take.drift(1.5)
    hz = f0 * (1 - 0.01 * contact * press)
    cycles = take.phase(hz)
    reed = buzz(cycles, tilt(f0, brightness)) - 0.5 * buzz((2 * cycles) % 1, tilt(2 * f0, brightness))
    case: Spectrum = [(60, -15), (comb / 2, -6), (comb, 9), (comb * 1.6, -3), (2.6 * comb, 5), (7000, -6), (8000, -12)]
    body = take.shape(unit_rms(reed), case)
    grit = take.noise(band(2500, 6500)) * np.maximum(0, sine(cycles)) * press
    return (unit_rms(body) * (1 - 0.4 * contact * press) + 0.35 * contact * grit) * take.fade(0.04, 0.04)


def drill(take: Take, **settings: float) -> Signal:
    """The trigger is pulled several times; between pulls the chuck runs down."""
    pulls = take.place([0.0], [np.ones(take.nb_samples)])
    for start in np.arange(1.5, take.seconds - 0.6, 2.2):
        a = int((start + 0.8 * take.rng.random()) * take.sample_rate)
        pulls[a : a + int(0.3 * take.sample_rate)] = 0.08
    smooth = take.shape(pulls, [(1, 0), (4, -3), (20, -40)])
    return motor(take, air_band=(700, 4500), **settings) * np.maximum(0.02, smooth)


def piston_engine(take: Take, *, rpm: float, brightness: float, swing: float, hiss: float, unevenness: float) -> Signal:
    """Firings at rpm / 60 Hz per cylinder pair, uneven from one to the next, through a muffler, plus intake noise.

    swing: how far the throttle moves the speed; unevenness: how much firings differ (a chainsaw, an idling engine).
    """
    hz = rpm / 60 * (1 + swing * take.drift(0.7)) * (1 + 0.02 * take.drift(15))
    cycles = take.phase(hz)
    pulse = buzz(cycles, tilt(rpm / 60, brightness)) + unevenness * buzz(
        take.phase(hz / 2), tilt(rpm / 120, brightness)
    )
    roar = take.noise(band(150, 3500, 9)) * (0.4 + np.maximum(0, sine(cycles)))
    return unit_rms(pulse) * (1 + 0.2 * take.drift(rpm / 120)) + hiss * roar


def sewing_machine(take: Take, *, f0: float, stitch: float, brightness: float) -> Signal:
    """A small motor in bursts, with the clatter of the needle `stitch` times a second."""
    gate = np.clip(4 * (take.drift(0.8) + 0.8), 0, 1)
    needle = [
        take.ring([900, 2300, 4100], [0.006, 0.005, 0.003], [1, 0.7, 0.5]),
        take.thud(400, 3000, 0.006),
    ]
    strokes = take.place(take.steady(take.seconds, 2 * stitch, 0.05), needle)
    hum = unit_rms(buzz(take.phase(f0 * (0.6 + 0.4 * gate)), tilt(f0, brightness)))
    return (hum + 0.7 * unit_rms(strokes)) * gate


def washing_machine(take: Take, *, f0: float, turn: float, slosh: float) -> Signal:
    """A drum that turns `turn` times a second one way and the other, water that falls in it, a humming motor."""
    drum = np.abs(sine(take.phase(turn / 4)))
    water = take.noise(band(150, 1200, 12)) * np.maximum(0, sine(take.phase(turn))) ** 2
    hum = unit_rms(buzz(take.phase(f0 * (0.9 + 0.1 * drum)), tilt(f0, 300)))
    return hum * (0.2 + 0.8 * drum) + slosh * water * drum + 0.15 * take.noise(band(60, 500, 9))


def printer(take: Take, *, sweep: float, f0: float, feed: float) -> Signal:
    """A carriage that whirs across the page `sweep` times a second, stops, and feeds the paper a line."""
    across = take.phase(sweep)
    moving = np.clip(np.minimum(across, 0.8 - across) * 15, 0, 1)
    whir = buzz(take.phase(f0 * (0.5 + 0.5 * moving)), tilt(f0, 700))
    jets = take.noise(band(1500, 6000)) * np.maximum(0, sine(take.phase(6 * f0 / 40)))
    step = take.thud(300, 2500, 0.02)
    lines = take.place(np.arange(0.85, take.seconds * sweep, 1) / sweep, [step])
    return moving * (unit_rms(whir) + 0.6 * jets) + feed * lines


def microwave(take: Take, *, f0: float, fan: float, beep: float) -> Signal:
    """A transformer's hum and a fan; three beeps and a click when it is done."""
    end = take.nb_samples - int(2.2 * take.sample_rate)
    hum = unit_rms(buzz(take.phase(f0), 0.6)) + fan * take.noise(band(150, 1500, 9))
    hum[max(0, end) :] *= 0.02
    part = take.of(int(0.35 * take.sample_rate))
    tone = 1.5 * sine(part.phase(beep)) * part.fade(0.01, 0.01)
    done = max(0, end) / take.sample_rate
    return hum + take.place(done + np.array([0.3, 0.95, 1.6]), [tone])


def passing(take: Take, *, speed: float, f0: float, road: float, width: float) -> Signal:
    """A vehicle drives by: engine harmonics with Doppler shift and tyre noise that swell and fade.

    speed: share of the speed of sound; width: seconds during which it is loud; road: upper edge of the noise (Hz).
    """
    t = (np.arange(take.nb_samples) - take.nb_samples * (0.4 + 0.2 * take.rng.random())) / take.sample_rate / width
    near = 1 / np.sqrt(1 + t * t)
    doppler = 1 - speed * t * near
    hum = unit_rms(buzz(take.phase(f0 * doppler), tilt(f0, 250)))
    tyres = take.noise(band(120, road, 9)) + 0.6 * near * take.noise(band(road, 4 * road, 9))
    return (0.6 * hum + tyres) * near**2


def train(take: Take, *, wheels: float, rumble: float, squeal: float) -> Signal:
    """Rumble and wheels over rail joints: two double clacks a carriage, `wheels` times a second; flanges squeal."""
    low = take.noise(band(40, rumble, 9)) * (1 + 0.3 * take.drift(4))
    clack = [take.thud(100, 1500, 0.05), 0.8 * take.thud(100, 2200, 0.04)]
    first = take.steady(take.seconds, wheels, 0.03)
    joints = take.place(np.sort(np.concatenate([first, first + 0.2 / wheels])), clack)
    flange = take.noise(band(squeal, 1.06 * squeal, 60)) * np.maximum(0, take.drift(0.8))
    return low + 2.5 * joints + 0.4 * flange


def aircraft(take: Take, *, f0: float, thrust: float, whine: float, swell: float) -> Signal:
    """Overhead: a roar up to `thrust` Hz that swells and fades, blades at f0, a turbine whine; pitches sink."""
    level = take.contour([0.3, 1, 0.9, 0.3], [0, 0.4 + 0.2 * swell, 0.6 + 0.2 * swell, 1])
    roar = take.noise(band(50, thrust, 6)) * (1 + 0.25 * take.drift(3))
    sinking = take.contour([1.08, 0.92])
    blades = unit_rms(buzz(take.phase(f0 * sinking), tilt(f0, 300)))
    return level * (roar + 0.4 * blades + 0.12 * sine(take.phase(whine * sinking)))
