"""Sounds made by things that are struck, dropped, closed or pressed: modal rings and thuds in time."""

from __future__ import annotations

import numpy as np

from .blocks import Signal, band, buzz, contour, drift, fade, noise, phase, place, poisson, ring, sine, steady, thud

# Partials of bars, plates, shells and boards over their lowest; the shells after thin-walled cups and bowls
CHINA = np.array([1.0, 2.27, 3.94, 5.6, 7.3])
STEEL = np.array([1.0, 1.52, 2.76, 4.1, 5.4, 6.9])
WOOD = np.array([1.0, 1.58, 2.24, 2.92, 4.2])
BELL = np.array([0.5, 1.0, 1.19, 1.51, 2.0, 2.66, 3.01, 4.1])


def struck(
    rng: np.random.Generator, sample_rate: int, partials: Signal, hz: float, seconds: float, hardness: float
) -> Signal:
    """One blow on a body: its partials detuned a little, the higher the shorter; hardness (0..1) lifts them."""
    modes = hz * partials * (1 + 0.03 * (rng.random(len(partials)) - 0.5))
    gains = (0.4 + 0.6 * rng.random(len(partials))) * partials ** (2 * hardness - 2.0)
    return ring(modes, seconds / np.sqrt(partials), gains, sample_rate)


def dishes(
    rng: np.random.Generator, n: int, sample_rate: int, *, hz: float, ring_s: float, rate: float, hardness: float
) -> Signal:
    """Plates, cups and cutlery put together: a few pieces, each with its own modes, clink at irregular times."""
    pieces = []
    for partials, lift in ((CHINA, 1.0), (CHINA, 1.45), (STEEL, 1.9), (STEEL, 0.8)):
        clink = struck(
            rng, sample_rate, partials, hz * lift * (0.85 + 0.3 * rng.random()), ring_s * lift**-0.5, hardness
        )
        tick = 0.3 * thud(rng, sample_rate, 3000, 7500, 0.003)
        clink[: len(tick)] += tick[: len(clink)]
        pieces.append(clink / np.abs(clink).max())
    onsets = steady(rng, max(0.1, n / sample_rate - 0.25), rate, 1.4)
    onsets = np.concatenate([onsets, onsets + 0.03 + 0.05 * rng.random(len(onsets))])
    order = [pieces[i] for i in rng.integers(len(pieces), size=len(onsets))]
    return place(n, sample_rate, onsets, order, 0.25 + 0.75 * rng.random(len(onsets)) ** 2)


def blows(
    rng: np.random.Generator,
    n: int,
    sample_rate: int,
    *,
    hz: float,
    ring_s: float,
    rate: float,
    hardness: float,
    jitter: float = 0.3,
    partials: Signal = WOOD,
    dull: float = 0.5,
    dull_band: tuple[float, float] = (80, 1500),
    dull_s: float = 0.02,
    on: float = 99.0,
    off: float = 0.0,
) -> Signal:
    """The same body struck about `rate` times a second: knocks, hammer, chopping, footsteps.

    dull: level of the noise burst in dull_band, decaying in dull_s seconds, beside the modal ring;
    on, off: seconds of blows and of rest in turn.
    """
    sounds = []
    for _ in range(3):
        body = struck(rng, sample_rate, partials, hz, ring_s, hardness)
        burst = thud(rng, sample_rate, *dull_band, dull_s)
        out = np.zeros(max(len(body), len(burst)))
        out[: len(body)] += body / np.abs(body).max()
        out[: len(burst)] += dull * burst
        sounds.append(out)
    onsets = np.maximum(steady(rng, n / sample_rate, rate, jitter) - 0.4 / rate, 0.005)
    onsets = onsets[onsets % (on + off) < on]
    return place(n, sample_rate, onsets, sounds, 0.6 + 0.4 * rng.random(len(onsets)))


def door(
    rng: np.random.Generator, n: int, sample_rate: int, *, hz: float, creak: float, slam_s: float, latch: float
) -> Signal:
    """Hinges that creak (stick-slip pulses through the panel), a slam, the click of the latch."""
    m = int(0.55 * n)
    slips = poisson(rng, 1, 60) * m / sample_rate
    squeak = ring(creak * np.array([1, 1.9, 2.9]), 0.006, [1, 0.7, 0.4], sample_rate)
    out = 0.35 * place(n, sample_rate, slips, [squeak], 0.3 + 0.7 * rng.random(len(slips)))
    panel = struck(rng, sample_rate, WOOD, hz, slam_s, 0.2)
    at = m / sample_rate + 0.05
    out += place(n, sample_rate, [at], [panel / np.abs(panel).max()])
    out += place(n, sample_rate, [at], [thud(rng, sample_rate, 50, 900, slam_s)])
    lock = ring(latch * np.array([1, 1.7, 2.6]), 0.005, [1, 0.8, 0.5], sample_rate)
    return out + place(n, sample_rate, at + np.array([0.01, 0.09]), [0.5 * lock])


def cupboard(
    rng: np.random.Generator, n: int, sample_rate: int, *, hz: float, ring_s: float, rattle: float, latch: float
) -> Signal:
    """A magnet or latch lets go, the hinges rub, the board shuts and what stands inside rattles."""
    board = struck(rng, sample_rate, WOOD, hz, ring_s, 0.35)
    glass = struck(rng, sample_rate, CHINA, rattle, 0.03, 0.6)
    lock = ring(latch * np.array([1, 1.8, 2.9]), 0.004, [1, 0.7, 0.4], sample_rate)
    rub = noise(rng, n, sample_rate, band(300, 1800, 12)) * np.maximum(0, contour([0, 0.05, 0.06, 0, 0], n))
    shut = 0.6 * n / sample_rate
    jingle = shut + 0.02 + 0.2 * np.sort(rng.random(5))
    out = rub + place(n, sample_rate, [0.01], [0.6 * lock])
    out += place(n, sample_rate, [shut, shut + 0.07], [board / np.abs(board).max()], [1, 0.4])
    return out + place(n, sample_rate, jingle, [glass / np.abs(glass).max()], 0.3 * rng.random(5))


def typing(rng: np.random.Generator, n: int, sample_rate: int, *, rate: float, hz: float, bottom: float) -> Signal:
    """Keys pressed and released at an uneven pace: a click of the key top and a duller stop of the board."""
    keys = []
    for _ in range(6):
        click = ring(hz * (0.8 + 0.4 * rng.random()) * np.array([1, 1.6, 2.3]), 0.003, [1, 0.7, 0.5], sample_rate)
        stop = thud(rng, sample_rate, bottom, 3 * bottom, 0.008)
        out = np.zeros(max(len(click), len(stop)))
        out[: len(click)] += click / np.abs(click).max()
        out[: len(stop)] += 0.6 * stop
        keys.append(out)
    down = poisson(rng, n / sample_rate, rate)
    both = np.concatenate([down, down + 0.07 + 0.04 * rng.random(len(down))])
    gains = np.concatenate([0.5 + 0.5 * rng.random(len(down)), 0.15 + 0.2 * rng.random(len(down))])
    order = [keys[i] for i in rng.integers(6, size=len(both))]
    return place(n, sample_rate, both, order, gains)


def clock(
    rng: np.random.Generator, n: int, sample_rate: int, *, rate: float, hz: float, ring_s: float, tock: float
) -> Signal:
    """An escapement: tick and tock of slightly different pitch, as regular as a clock."""
    tick, tack = (ring(hz * lift * np.array([1, 1.7, 2.9]), ring_s, [1, 0.6, 0.4], sample_rate) for lift in (1, tock))
    return place(n, sample_rate, np.arange(0.05, n / sample_rate, 1 / rate), [tick, 0.8 * tack])


def bell(
    rng: np.random.Generator,
    n: int,
    sample_rate: int,
    *,
    hz: float,
    ring_s: float,
    strikes: float,
    gongs: float = 1.0,
    on: float = 99.0,
    off: float = 0.0,
) -> Signal:
    """A clapper on one gong, or on two a ratio `gongs` apart, `strikes` times a second; on and off seconds in turn."""
    bodies = [struck(rng, sample_rate, BELL, hz * lift, ring_s, 0.75) for lift in (1.0, gongs)]
    onsets = steady(rng, n / sample_rate, strikes, 0.08)
    onsets = onsets[(onsets % (on + off) < on) & (onsets < max(0.3, n / sample_rate - 2 * ring_s))]
    return place(n, sample_rate, onsets, bodies, 0.8 + 0.2 * rng.random(len(onsets)))


def beeper(
    rng: np.random.Generator,
    n: int,
    sample_rate: int,
    *,
    hz: float,
    rate: float,
    duty: float,
    group: float,
    edge: float,
) -> Signal:
    """A piezo buzzer: square-like tones with odd harmonics, `rate` a second for `duty` of the time, in groups.

    group: beeps before a rest as long as one beep and a half (rounded); edge: level of the third harmonic.
    """
    nb = max(1, round(group))
    cycles = phase(hz, n, sample_rate)
    tone = sine(cycles) + edge * sine(3 * cycles % 1) * (3 * hz < 0.45 * sample_rate)
    beat = phase(rate / (nb + 1.5), n, sample_rate) * (nb + 1.5)
    within = beat % 1
    gate = (beat < nb) * np.clip(np.minimum(within, duty - within) / rate * 250, 0, 1)
    return tone * gate


def siren(
    rng: np.random.Generator, n: int, sample_rate: int, *, low: float, span: float, rate: float, hold: float
) -> Signal:
    """A horn swept between low and span·low Hz, `rate` times a second; hold > 0.5 flattens it to two tones."""
    swing = sine(phase(rate, n, sample_rate))
    swing = np.clip(swing * (1 + 8 * max(0.0, hold - 0.5)), -1, 1)
    hz = low * (1 + (span - 1) * (0.5 + 0.5 * swing))
    cycles = phase(hz, n, sample_rate)
    far = contour([0.5, 1, 0.6], n) * (1 + 0.2 * drift(rng, n, sample_rate, 2))
    return (sine(cycles) + 0.5 * sine(2 * cycles % 1) + 0.35 * sine(3 * cycles % 1) + 0.15 * sine(5 * cycles % 1)) * far


def horn(rng: np.random.Generator, n: int, sample_rate: int, *, hz: float, ratio: float, honk: float) -> Signal:
    """Two reeds a third or so apart, with many harmonics, sounded once or a few times for `honk` seconds."""
    gate, t = np.zeros(n), 0.05
    while t < n / sample_rate - 0.1:
        m = int(honk * (0.6 + 0.8 * rng.random()) * sample_rate)
        piece = fade(m, sample_rate, 0.02, 0.04)
        a = int(t * sample_rate)
        gate[a : a + m] = piece[: n - a]
        t += m / sample_rate + 0.15 + 0.6 * rng.random()
    r = 0.82
    return gate * (buzz(phase(hz, n, sample_rate), r) + buzz(phase(hz * ratio, n, sample_rate), r))


def warble(
    rng: np.random.Generator, n: int, sample_rate: int, *, hz: float, ratio: float, rate: float, on: float, off: float
) -> Signal:
    """An electronic telephone: two tones in quick turns, `on` seconds of ringing and `off` of silence."""
    turn = phase(rate, n, sample_rate) < 0.5
    cycles = phase(np.where(turn, hz, hz * ratio), n, sample_rate)
    ringing = phase(1 / (on + off), n, sample_rate) * (on + off)
    gate = np.clip(np.minimum(ringing, on - ringing) * 100, 0, 1)
    return (sine(cycles) + 0.4 * sine(2 * cycles % 1) + 0.2 * sine(3 * cycles % 1)) * gate
