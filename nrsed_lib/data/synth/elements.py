"""Sounds made by water, air and fire: shaped and modulated noise, bubbles, drops, crackle."""

from __future__ import annotations

import numpy as np

from .blocks import Signal, Take, band, sine, unit_rms


def bubbles(take: Take, rate: float, low: float, high: float) -> Signal:
    """Air bubbles: short decaying sines that rise in pitch (Minnaert resonances near the surface)."""
    sounds = []
    for _ in range(24):
        hz = low * (high / low) ** take.rng.random()
        part = take.of(int(take.sample_rate * 30 / hz))
        t = part.time
        rising = hz * (1 + 0.25 * t * hz / 30)
        sounds.append(np.exp(-t * hz / 8) * sine(part.phase(rising)) * part.fade(0.001, 0.001))
    onsets = take.poisson(take.seconds, rate)
    order = [sounds[i] for i in take.rng.integers(24, size=len(onsets))]
    return take.place(onsets, order, take.rng.random(len(onsets)) ** 2)


def running_water(take: Take, *, stream: float, sink: float, splash: float, bubble: float) -> Signal:
    """A tap: a jet of noise around `stream` Hz, bubbles in the basin, and a sink that resonates at `sink` Hz.

    splash: depth of the irregular modulation; bubble: level of the bubbles.
    """
    jet = take.noise([(80, -30), (sink, -4), (1.3 * sink, -12), (stream, 0), (3 * stream, -10), (8000, -24)])
    jet *= 1 + splash * take.drift(18)
    gulps = unit_rms(bubbles(take, 60, 0.7 * sink, 4 * sink))
    return (jet + bubble * gulps) * take.fade(0.15, 0.2)


def frying(take: Take, *, crackle: float, hiss: float, pop: float, wet: float) -> Signal:
    """Hot fat: a high hiss above `hiss` Hz and drops of water that burst, `crackle` a second, at `pop` Hz.

    wet: level of the hiss, which falls as the water boils off.
    """
    sizzle = take.noise([(200, -40), (hiss / 2, -12), (hiss, 0), (8000, -3)])
    sizes = pop * np.array([0.6, 0.75, 0.9, 1.1, 1.3, 1.6])
    bursts = [take.ring([hz, 1.7 * hz], [0.0010, 0.0007], [1, 0.7]) for hz in sizes]
    small = unit_rms(take.shower(crackle, bursts))
    spit = [take.thud(0.4 * pop, 1.6 * pop, 0.003) for _ in range(3)]
    big = unit_rms(take.shower(crackle / 20, spit))
    flow = take.contour([1, 0.8]) * (1 + 0.25 * take.drift(2))
    return (wet * sizzle + 0.8 * small + 0.5 * big) * flow * take.fade(0.1, 0.15)


def rainfall(take: Take, *, drops: float, roof: float, wash: float) -> Signal:
    """Drops on a roof (`drops` a second, around `roof` Hz) over the wash of the drops farther off."""
    far = take.noise([(100, -14), (600, -6), (wash, 0), (8000, -6)])
    taps = [take.thud(0.6 * lift * roof, 1.7 * lift * roof, 0.0025) for lift in (0.6, 0.8, 1.0, 1.2, 1.6)]
    near = unit_rms(take.shower(drops, taps))
    return (0.7 * far + near) * (1 + 0.15 * take.drift(0.7))


def wind(take: Take, *, cut: float, howl: float, gust: float) -> Signal:
    """Low turbulence that gusts, and a howl around `howl` Hz that is heard in the gusts."""
    force = (0.55 + 0.45 * take.drift(gust)) ** 1.5
    low = take.noise([(30, 0), (cut, -3), (4 * cut, -24), (8000, -60)])
    whistle = take.noise(band(0.85 * howl, 1.15 * howl, 36)) * force
    return (low * (1 + 0.4 * take.drift(9)) + 0.5 * whistle) * (0.1 + force)


def thunder(take: Take, *, crack: float, roll: float, length: float) -> Signal:
    """A crack and its echoes from ever farther along the channel, duller and duller."""
    near = take.noise([(30, 0), (crack, -3), (8000, -30)])
    far = take.noise([(25, 0), (roll, -3), (8 * roll, -40)])
    t = take.time
    echoes = np.zeros(take.nb_samples)
    for onset in take.poisson(0.7 * take.nb_samples / take.sample_rate, 2.0):
        late = np.maximum(0, t - onset)
        swelling = (t > onset) * np.exp(-late / length) * np.minimum(1, late * 30)
        echoes += swelling * take.rng.random() * np.exp(-onset / 3)
    first = np.exp(-np.maximum(0, t - 0.15) / 0.25) * (t > 0.15)
    return near * first * 1.5 + far * (0.1 * np.exp(-t / length) + echoes)


def surf(take: Take, *, period: float, wash: float, hiss: float) -> Signal:
    """Waves that rise, break and drain: the spectrum opens as the wave breaks."""
    swell = take.phase(1 / period * (1 + 0.15 * take.drift(0.3)))
    rising = np.minimum(swell / 0.35, np.maximum(0, 1 - swell) / 0.65)
    low = take.noise([(40, 0), (wash, -3), (8 * wash, -30)])
    foam = take.noise(band(hiss, 6000, 6))
    return low * (0.25 + rising) + 0.7 * foam * rising**2


def toilet(take: Take, *, rush: float, gurgle: float, refill: float) -> Signal:
    """A rush of water, the gurgle that empties the bowl, and the hiss of the cistern as it fills."""
    flow = take.noise([(80, -12), (rush, 0), (3 * rush, -9), (8000, -27)])
    flow *= take.contour([0, 1, 0.9, 0.15, 0], [0, 0.03, 0.35, 0.55, 1])
    low = unit_rms(bubbles(take, 25, gurgle, 3 * gurgle)) * take.contour([0, 0, 1.4, 0, 0], [0, 0.3, 0.5, 0.65, 1])
    hiss = take.noise(band(refill, 1.8 * refill, 24)) * take.contour([0, 0.15, 0.3, 0.25])
    return flow + low + hiss
