"""Sounds made by lungs: glottal pulses and breath through moving formants."""

from __future__ import annotations

import numpy as np

from .blocks import HOP, Signal, Take, band, buzz, formants, frames, moving_filter, peak, sine, tilt, unit_rms

WIDTHS = np.array([90.0, 120.0, 170.0])  # Hz, of the formants that move
UPPER = np.array([3500.0, 4500.0, 5500.0, 6500.0, 7500.0])  # Hz, those that do not: a tube of 17 cm
UPPER_WIDTHS = UPPER / 14

# F1, F2, F3 in Hz of an average male voice (after the classic measurements of American English vowels)
VOWELS = np.array(
    [
        (270, 2290, 3010),  # heed
        (390, 1990, 2550),  # hid
        (530, 1840, 2480),  # head
        (660, 1720, 2410),  # had
        (730, 1090, 2440),  # hod
        (570, 840, 2410),  # hawed
        (440, 1020, 2240),  # hood
        (300, 870, 2240),  # who
        (640, 1190, 2390),  # hud
        (490, 1350, 1690),  # heard
    ],
    float,
)
# low Hz, high Hz, level of the noise, level of the voice, seconds
CONSONANTS = np.array(
    [
        (3800, 7500, 0.50, 0.00, 0.10),  # s
        (2000, 5500, 0.50, 0.00, 0.10),  # sh
        (1200, 7000, 0.15, 0.00, 0.08),  # f
        (3500, 7500, 0.25, 0.30, 0.07),  # z
        (1500, 4500, 0.80, 0.00, 0.02),  # t, k: a burst after a silence
        (500, 2500, 0.60, 0.00, 0.02),  # p
        (300, 3000, 0.00, 0.35, 0.07),  # m, n
        (300, 3000, 0.00, 0.50, 0.05),  # l, r, w
    ],
    float,
)


def voice(
    take: Take, f0: Signal, level: Signal, breath: Signal | float, mouth: Signal, tract: float, brightness: float
) -> Signal:
    """Glottal pulses at f0 (nb_samples,) Hz with amplitude `level`, and breath noise, through a mouth that moves.

    mouth: the first three formants (frames(nb_samples), 3) in Hz; tract: scale of all formants (above 1: a short
    throat); brightness: spectral tilt of the pulses (Hz for each 8.7 dB).
    """
    jitter = 1 + 0.01 * take.drift(40)
    pulses = unit_rms(buzz(take.phase(f0 * jitter), tilt(f0, brightness)))
    source = pulses + breath * (take.rng.random(take.nb_samples) - 0.5) * np.sqrt(12)
    upper = np.broadcast_to(UPPER, (len(mouth), len(UPPER)))
    tracks = np.concatenate([mouth, upper], axis=1) * tract
    return moving_filter(source * level, formants(tracks, np.concatenate([WIDTHS, UPPER_WIDTHS]), take.sample_rate))


def speech(take: Take, *, f0: float, tract: float, rate: float, effort: float) -> Signal:
    """Syllables: a consonant (fricative, plosive, nasal or glide), a vowel, now and then a final consonant or a pause.

    f0: mean pitch (Hz); tract: scale of the formants; rate: syllables a second; effort: spectral tilt (Hz).
    """
    times, vowels, voiced, hiss, hiss_bands = [0.0], [VOWELS[take.rng.integers(10)]], [0.0], [], []
    t, seconds = 0.01, take.seconds

    def stay(duration: float, vowel: Signal, level: float) -> None:
        nonlocal t
        for at in (t + 0.2 * duration, t + 0.8 * duration):
            times.append(at)
            vowels.append(vowel)
            voiced.append(level)
        t += duration

    def consonant(following: Signal) -> None:
        low, high, noisy, voicing, duration = CONSONANTS[take.rng.integers(len(CONSONANTS))]
        duration *= 0.8 + 0.5 * take.rng.random()
        if duration < 0.03:
            stay(0.05, following, 0.0)
        if noisy:
            hiss.append((t, t + duration + 0.02, noisy))
            hiss_bands.append((low, high))
        stay(duration, following * (0.6, 1.1, 1.0) if voicing else following, voicing)

    while t < seconds - 0.12:
        vowel = VOWELS[take.rng.integers(10)]
        if take.rng.random() < 0.85:
            consonant(vowel)
        stay((0.45 + 0.5 * take.rng.random()) / rate, vowel, 0.6 + 0.4 * take.rng.random())
        if take.rng.random() < 0.3:
            consonant(vowel)
        if take.rng.random() < 0.1:
            stay(0.1 + 0.2 * take.rng.random(), vowel, 0.0)
    times.append(t)
    vowels.append(vowels[-1])
    voiced.append(0.0)

    level = np.interp(take.time, times, voiced)
    melody = f0 * take.contour([1.12, 0.88]) * (1 + 0.22 * take.drift(0.8 * rate))
    grid = (np.arange(frames(take.nb_samples)) - 1) * HOP / take.sample_rate
    mouth = np.stack([np.interp(grid, times, track) for track in np.array(vowels).T], 1)
    out = peak(voice(take, melody, level, 0.04, mouth, tract, effort))
    for (start, end, loud), (low, high) in zip(hiss, hiss_bands, strict=True):
        a, b = int(start * take.sample_rate), min(take.nb_samples, int(end * take.sample_rate))
        if b - a > 32:
            piece = take.of(b - a)
            out[a:b] += 0.15 * loud * (piece.noise(band(low, high)) * piece.fade(0.01, 0.02))
    return out


def calls(
    take: Take,
    *,
    f0: float,
    rise: float,
    fall: float,
    length: float,
    pause: float,
    tract: float,
    breath: float,
    brightness: float,
    attack: float,
    mouth: tuple[tuple[float, float, float], ...],
    vibrato: float = 0.0,
    roughness: float = 0.0,
) -> Signal:
    """Animal or infant calls: each glides rise·f0 -> f0 -> fall·f0 while the mouth moves through formant triples.

    length, pause: seconds of a call and of the silence after it; vibrato: depth at about 6 Hz; roughness: depth of
    the half-pitch amplitude modulation that makes a cry hoarse.
    """
    sounds, onsets, t, seconds = [], [], 0.0, take.seconds
    while t < seconds - min(0.6 * length, 0.15):
        wanted = int(length * (0.8 + 0.4 * take.rng.random()) * take.sample_rate)
        part = take.of(min(wanted, take.nb_samples - int(t * take.sample_rate)))
        bend = 1 + 0.12 * (take.rng.random(4) - 0.5)
        pitch = f0 * part.contour(np.array([rise, 1, 1, fall]) * bend, [0, 0.25, 0.6, 1])
        pitch = pitch * (1 + vibrato * sine(part.phase(5 + 2 * take.rng.random())))
        steps = part.of(frames(part.nb_samples))
        opening = np.stack([steps.contour(track) for track in np.array(mouth).T], 1)
        level = part.fade(attack, 0.4 * part.nb_samples / take.sample_rate) * (0.8 + 0.2 * part.drift(8))
        if roughness:
            level = level * (1 - roughness * (0.5 + 0.5 * sine(part.phase(pitch / 2))))
        sounds.append(peak(voice(part, pitch, level, breath, opening, tract, brightness)))
        onsets.append(t)
        t += part.seconds + pause * (0.5 + take.rng.random())
    return take.place(onsets, sounds, 0.7 + 0.3 * take.rng.random(len(onsets)))


def snore(take: Take, *, f0: float, length: float, throat: float) -> Signal:
    """Breathing in, noise through a throat that flutters at f0 (Hz); breathing out, a faint rush of air."""
    air = take.noise(band(0.5 * throat, 2.5 * throat, 18))
    t = take.phase(1 / (2.4 * length))
    inhale = np.clip(np.minimum(t / 0.1, (0.45 - t) / 0.1), 0, 1)
    exhale = 0.12 * np.clip(np.minimum((t - 0.55) / 0.1, (0.95 - t) / 0.1), 0, 1)
    flutter = buzz(take.phase(f0 * (1 + 0.15 * take.drift(4))), 0.6)
    return air * (inhale * (0.3 + np.maximum(flutter, 0)) + exhale)


def frog(take: Take, *, f0: float, pulses: float, length: float) -> Signal:
    """Croaks: a train of short pulses of a tone and its overtone, louder towards the middle."""
    onsets = np.arange(0, take.seconds, 2.1 * length) + 0.2 * length * take.rng.random()
    part = take.of(int(length * take.sample_rate))
    hz = f0 * part.contour([0.9, 1.05, 0.95])
    gate = np.maximum(0, sine(part.phase(pulses))) ** 2
    croak = buzz(part.phase(hz), 0.45) * gate * part.fade(0.3 * length, 0.3 * length)
    return take.place(onsets, [croak], 0.6 + 0.4 * take.rng.random(len(onsets)))


def birdsong(take: Take, *, f0: float, span: float, rate: float) -> Signal:
    """Phrases of short whistles that glide within `span` (a ratio) around f0, repeated a few times each."""
    sounds, onsets, t, seconds = [], [], 0.1 * take.rng.random(), take.seconds
    while t < seconds - 0.1:
        part = take.of(int(take.sample_rate * (0.4 + 0.5 * take.rng.random()) / rate))
        glide = part.contour(f0 * span ** (2 * take.rng.random(4) - 1))
        glide = glide * (1 + 0.04 * sine(part.phase(25 + 30 * take.rng.random())))
        note = sine(part.phase(glide)) * part.fade(0.01, 0.02)
        for _ in range(int(take.rng.integers(1, 5))):
            sounds.append(note)
            onsets.append(t)
            t += 1 / rate
        t += take.rng.random() * 0.8
    return take.place(onsets, sounds, 0.5 + 0.5 * take.rng.random(len(onsets)))


def crickets(take: Take, *, f0: float, trill: float, chirp: float) -> Signal:
    """A pure tone gated by wing strokes (`trill` Hz) in groups (`chirp` Hz); a second insect answers farther off."""
    out = np.zeros(take.nb_samples)
    for gain, detune in ((1.0, 1.0), (0.35, 1.04)):
        strokes = np.maximum(0, sine(take.phase(trill * detune)))
        group = take.phase(chirp * detune * (1 + 0.1 * take.drift(1)))
        gate = np.clip(np.minimum(group, 0.6 - group) * 12, 0, 1)
        out += gain * strokes * gate * sine(take.phase(f0 * detune))
    return out
