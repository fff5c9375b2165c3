"""Sounds made by things that are struck, dropped, closed or pressed: modal rings and thuds in time."""

from __future__ import annotations

import numpy as np

from .blocks import Signal, Take, band, buzz, sine, together

# Partials of bars, plates, shells and boards over their lowest; the shells after thin-walled cups and bowls
PARTIALS = {
    "china": np.array([1.0, 2.27, 3.94, 5.6, 7.3]),
    "steel": np.array([1.0, 1.52, 2.76, 4.1, 5.4, 6.9]),
    "wood": np.array([1.0, 1.58, 2.24, 2.92, 4.2]),
    "bell": np.array([0.5, 1.0, 1.19, 1.51, 2.0, 2.66, 3.01, 4.1]),
}


def struck(take: Take, body: str, hz: float, seconds: float, hardness: float) -> Signal:
    """One blow on a body: its partials detuned a little, the higher the shorter; hardness (0..1) lifts them."""
    partials = PARTIALS[body]
    modes = hz * partials * (1 + 0.03 * (take.rng.random(len(partials)) - 0.5))
    gains = (0.4 + 0.6 * take.rng.random(len(partials))) * partials ** (2 * hardness - 2.0)
    return take.ring(modes, seconds / np.sqrt(partials), gains)


def dishes(take: Take, *, hz: float, ring_s: float, rate: float, hardness: float) -> Signal:
    """Plates, cups and cutlery put together: a few pieces, each with its own modes, clink at irregular times."""
    pieces = []
    for body, lift in (("china", 1.0), ("china", 1.45), ("steel", 1.9), ("steel", 0.8)):
        clink = struck(take, body, hz * lift * (0.85 + 0.3 * take.rng.random()), ring_s * lift**-0.5, hardness)
        tick = 0.3 * take.thud(3000, 7500, 0.003)
        clink[: len(tick)] += tick[: len(clink)]
        pieces.append(clink / np.abs(clink).max())
    onsets = take.steady(max(0.1, take.seconds - 0.25), rate, 1.4)
    onsets = np.concatenate([onsets, onsets + 0.03 + 0.05 * take.rng.random(len(onsets))])
    order = [pieces[i] for i in take.rng.integers(len(pieces), size=len(onsets))]
    return take.place(onsets, order, 0.25 + 0.75 * take.rng.random(len(onsets)) ** 2)


def blows(
    take: Take,
    *,
    hz: float,
    ring_s: float,
    rate: float,
    hardness: float,
    jitter: float = 0.3,
    body: str = "wood",
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
        blow = struck(take, body, hz, ring_s, hardness)
        sounds.append(together(blow / np.abs(blow).max(), dull * take.thud(*dull_band, dull_s)))
    onsets = np.maximum(take.steady(take.seconds, rate, jitter) - 0.4 / rate, 0.005)
    onsets = onsets[onsets % (on + off) < on]
    return take.place(onsets, sounds, 0.6 + 0.4 * take.rng.random(len(onsets)))


def door(take: Take, *, hz: float, creak: float, slam_s: float, latch: float) -> Signal:
    """Hinges that creak (stick-slip pulses through the panel), a slam, the click of the latch."""
    m = int(0.55 * take.nb_samples)
    slips = take.poisson(1, 60) * m / take.sample_rate
    squeak = take.ring(creak * np.array([1, 1.9, 2.9]), 0.006, [1, 0.7, 0.4])
    out = 0.35 * take.place(slips, [squeak], 0.3 + 0.7 * take.rng.random(len(slips)))
    panel = struck(take, "wood", hz, slam_s, 0.2)
    at = m / take.sample_rate + 0.05
    out += take.place([at], [panel / np.abs(panel).max()])
    out += take.place([at], [take.thud(50, 900, slam_s)])
    lock = take.ring(latch * np.array([1, 1.7, 2.6]), 0.005, [1, 0.8, 0.5])
    return out + take.place(at + np.array([0.01, 0.09]), [0.5 * lock])


def cupboard(take: Take, *, hz: float, ring_s: float, rattle: float, latch: float) -> Signal:
    """A magnet or latch lets go, the hinges rub, the board shuts and what stands inside rattles."""
    board = struck(take, "wood", hz, ring_s, 0.35)
    glass = struck(take, "china", rattle, 0.03, 0.6)
    lock = take.ring(latch * np.array([1, 1.8, 2.9]), 0.004, [1, 0.7, 0.4])
    rub = take.noise(band(300, 1800, 12)) * np.maximum(0, take.contour([0, 0.05, 0.06, 0, 0]))
    shut = 0.6 * take.nb_samples / take.sample_rate
    jingle = shut + 0.02 + 0.2 * np.sort(take.rng.random(5))
    out = rub + take.place([0.01], [0.6 * lock])
    out += take.place([shut, shut + 0.07], [board / np.abs(board).max()], [1, 0.4])
    return out + take.place(jingle, [glass / np.abs(glass).max()], 0.3 * take.rng.random(5))


def typing(take: Take, *, rate: float, hz: float, bottom: float) -> Signal:
    """Keys pressed and released at an uneven pace: a click of the key top and a duller stop of the board."""
    keys = []
    for _ in range(6):
        click = take.ring(hz * (0.8 + 0.4 * take.rng.random()) * np.array([1, 1.6, 2.3]), 0.003, [1, 0.7, 0.5])
        keys.append(together(click / np.abs(click).max(), 0.6 * take.thud(bottom, 3 * bottom, 0.008)))
    down = take.poisson(take.seconds, rate)
    both = np.concatenate([down, down + 0.07 + 0.04 * take.rng.random(len(down))])
    gains = np.concatenate([0.5 + 0.5 * take.rng.random(len(down)), 0.15 + 0.2 * take.rng.random(len(down))])
    order = [keys[i] for i in take.rng.integers(6, size=len(both))]
    return take.place(both, order, gains)


def clock(take: Take, *, rate: float, hz: float, ring_s: float, tock: float) -> Signal:
    """An escapement: tick and tock of slightly different pitch, as regular as a clock."""
    tick, tack = (take.ring(hz * lift * np.array([1, 1.7, 2.9]), ring_s, [1, 0.6, 0.4]) for lift in (1, tock))
    return take.place(np.arange(0.05, take.seconds, 1 / rate), [tick, 0.8 * tack])


def bell(
    take: Take, *, hz: float, ring_s: float, strikes: float, gongs: float = 1.0, on: float = 99.0, off: float = 0.0
) -> Signal:
    """A clapper on one gong, or on two a ratio `gongs` apart, `strikes` times a second; on and off seconds in turn."""
    bodies = [struck(take, "bell", hz * lift, ring_s, 0.75) for lift in (1.0, gongs)]
    onsets = take.steady(take.seconds, strikes, 0.08)
    onsets = onsets[(onsets % (on + off) < on) & (onsets < max(0.3, take.seconds - 2 * ring_s))]
    return take.place(onsets, bodies, 0.8 + 0.2 * take.rng.random(len(onsets)))


def beeper(take: Take, *, hz: float, rate: float, duty: float, group: float, edge: float) -> Signal:
    """A piezo buzzer: square-like tones with odd harmonics, `rate` a second for `duty` of the time, in groups.

    group: beeps before a rest as long as one beep and a half (rounded); edge: level of the third harmonic.
    """
    nb = max(1, round(group))
    cycles = take.phase(hz)
    tone = sine(cycles) + edge * sine(3 * cycles % 1) * (3 * hz < 0.45 * take.sample_rate)
    beat = take.phase(rate / (nb + 1.5)) * (nb + 1.5)
    within = beat % 1
    gate = (beat < nb) * np.clip(np.minimum(within, duty - within) / rate * 250, 0, 1)
    return tone * gate


def siren(take: Take, *, low: float, span: float, rate: float, hold: float) -> Signal:
    """A horn swept between low and span·low Hz, `rate` times a second; hold > 0.5 flattens it to two tones."""
    swing = sine(take.phase(rate))
    swing = np.clip(swing * (1 + 8 * max(0.0, hold - 0.5)), -1, 1)
    hz = low * (1 + (span - 1) * (0.5 + 0.5 * swing))
    cycles = take.phase(hz)
    far = take.contour([0.5, 1, 0.6]) * (1 + 0.2 * take.drift(2))
    return (sine(cycles) + 0.5 * sine(2 * cycles % 1) + 0.35 * sine(3 * cycles % 1) + 0.15 * sine(5 * cycles % 1)) * far


def horn(take: Take, *, hz: float, ratio: float, honk: float) -> Signal:
    """Two reeds a third or so apart, with many harmonics, sounded once or a few times for `honk` seconds."""
    gate, t = np.zeros(take.nb_samples), 0.05
    while t < take.seconds - 0.1:
        part = take.of(int(honk * (0.6 + 0.8 * take.rng.random()) * take.sample_rate))
        a = int(t * take.sample_rate)
        gate[a : a + part.nb_samples] = part.fade(0.02, 0.04)[: take.nb_samples - a]
        t += part.seconds + 0.15 + 0.6 * take.rng.random()
    r = 0.82
    return gate * (buzz(take.phase(hz), r) + buzz(take.phase(hz * ratio), r))


def warble(take: Take, *, hz: float, ratio: float, rate: float, on: float, off: float) -> Signal:
    """An electronic telephone: two tones in quick turns, `on` seconds of ringing and `off` of silence."""
    turn = take.phase(rate) < 0.5
    cycles = take.phase(np.where(turn, hz, hz * ratio))
    ringing = take.phase(1 / (on + off)) * (on + off)
    gate = np.clip(np.minimum(ringing, on - ringing) * 100, 0, 1)
    return (sine(cycles) + 0.4 * sine(2 * cycles % 1) + 0.2 * sine(3 * cycles % 1)) * gate
