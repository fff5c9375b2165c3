"""The building blocks of every sound: oscillators, slow controls, shaped noise, modal rings, moving filters.

Signals are float64 `(nb_samples,)`. To give the same int16 samples on every machine, nothing here amplifies
rounding: phases are whole numbers of 2⁻²⁴ cycles, noise is uniform (exact) before it is shaped, filters are
products in the frequency domain instead of recursions, and no BLAS is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

Signal = NDArray[np.float64]
Spectrum = Sequence[tuple[float, float]]  # (Hz, dB) points of a magnitude response

PHASE_STEPS = 1 << 24  # of a cycle: the frequency grid is 0.001 Hz at 16 kHz


@dataclass(frozen=True)
class Take:
    """What a sound is made with: its generator of random numbers, its length, its sample rate in Hz."""

    rng: np.random.Generator
    nb_samples: int
    sample_rate: int

    def of(self, nb_samples: int) -> Take:
        """The same with another length: of a part of the sound."""
        return replace(self, nb_samples=nb_samples)

    @property
    def seconds(self) -> float:
        return self.nb_samples / self.sample_rate

    @property
    def time(self) -> Signal:
        """Seconds since the start."""
        return np.arange(self.nb_samples) / self.sample_rate

    # ---- oscillators

    def phase(self, hz: ArrayLike) -> Signal:
        """Cycles in [0, 1) of an oscillator at `hz` (scalar or (nb_samples,)), accumulated exactly in integers."""
        cycles = np.broadcast_to(np.asarray(hz) * (PHASE_STEPS / self.sample_rate), (self.nb_samples,))
        return (np.cumsum(np.rint(cycles).astype(np.int64)) & (PHASE_STEPS - 1)) / PHASE_STEPS

    # ---- slow controls

    def contour(self, points: ArrayLike, at: ArrayLike | None = None) -> Signal:
        """Straight lines through `points`, evenly spread over the sound or at the fractions `at` in [0, 1]."""
        points = np.asarray(points, float)
        at = np.linspace(0, 1, len(points)) if at is None else np.asarray(at, float)
        return np.interp(np.arange(self.nb_samples) / max(self.nb_samples - 1, 1), at, points)

    def drift(self, hz: float, low: float = -1, high: float = 1) -> Signal:
        """A random walk of corners in [low, high], about `hz` a second."""
        nb_corners = max(2, 2 + int(self.seconds * hz))
        return self.contour(low + (high - low) * self.rng.random(nb_corners))

    def fade(self, attack: float, release: float) -> Signal:
        """Rises from 0 in `attack` seconds, falls to 0 in the last `release` seconds."""
        t = (np.arange(self.nb_samples) + 0.5) / self.sample_rate
        return np.minimum(1, np.minimum(t / max(attack, 1e-4), (self.seconds - t) / max(release, 1e-4)))

    # ---- noise

    def shape(self, signal: Signal, spectrum: Spectrum) -> Signal:
        """`signal` filtered by a zero-phase magnitude response: straight lines in dB over log frequency."""
        size = fft.next_fast_len(len(signal), real=True)
        bins = fft.rfft(signal, size)
        # the response is smooth: 2048 points of it are plenty, straight lines between them
        coarse = np.linspace(0, self.sample_rate / 2, 2048)
        hz, db = zip(*spectrum, strict=True)
        gain = 10 ** (np.interp(np.log(np.maximum(coarse, 1)), np.log(hz), db) / 20)
        bins *= np.interp(np.arange(len(bins)) * (self.sample_rate / size), coarse, gain)
        return fft.irfft(bins, size)[: len(signal)]

    def noise(self, spectrum: Spectrum) -> Signal:
        """Noise with a given spectrum and unit RMS."""
        return unit_rms(self.shape(self.rng.random(self.nb_samples) - 0.5, spectrum))

    # ---- impacts

    def ring(self, hz: ArrayLike, seconds: ArrayLike, gains: ArrayLike) -> Signal:
        """A struck body: decaying sines with frequencies `hz`, decay times `seconds` (to -8.7 dB) and `gains`.

        As long as six times the longest decay. Modes above 0.48 of the sample rate are left out.
        """
        hz, seconds, gains = (np.asarray(a, float) for a in np.broadcast_arrays(hz, seconds, gains))
        whole = self.of(max(8, int(6 * seconds.max() * self.sample_rate)))
        t, out = whole.time, np.zeros(whole.nb_samples)
        for f, d, g in zip(hz, seconds, gains, strict=True):
            if f < 0.48 * self.sample_rate:
                m = min(whole.nb_samples, int(7 * d * self.sample_rate) + 8)
                out[:m] += g * np.exp(-t[:m] / d) * sine(self.of(m).phase(f))
        return out

    def thud(self, low: float, high: float, seconds: float) -> Signal:
        """A noise burst in a band, decaying with time constant `seconds`: what an impact adds to a ring."""
        n = max(64, int(6 * seconds * self.sample_rate))
        return peak(self.of(n).noise(band(low, high)) * np.exp(-np.arange(n) / (seconds * self.sample_rate)))

    def poisson(self, seconds: float, rate: float) -> Signal:
        """Onset times in [0, seconds) of about `rate` independent events a second, in order; at least one."""
        return np.sort(self.rng.random(max(1, int(self.rng.poisson(rate * seconds))))) * seconds

    def steady(self, seconds: float, rate: float, jitter: float) -> Signal:
        """Onset times about 1/rate apart, each late or early by up to `jitter` of a period."""
        nb = max(1, int(seconds * rate))
        return (np.arange(nb) + 0.5 + jitter * (self.rng.random(nb) - 0.5)) / rate

    def place(self, onsets: ArrayLike, sounds: Sequence[Signal], gains: ArrayLike = 1.0) -> Signal:
        """The i-th of `sounds` (taken in turn) starts at onsets[i] seconds; what passes the end is cut."""
        out = np.zeros(self.nb_samples)
        onsets = np.asarray(onsets, float)
        for i, (onset, gain) in enumerate(zip(onsets, np.broadcast_to(gains, onsets.shape), strict=True)):
            sound, start = sounds[i % len(sounds)], int(onset * self.sample_rate)
            if 0 <= start < self.nb_samples:
                out[start : start + len(sound)] += gain * sound[: self.nb_samples - start]
        return out

    def shower(self, rate: float, drops: Sequence[Signal]) -> Signal:
        """About `rate` impacts a second at random times, each one of `drops`, most of them weak (strength uniform³)."""
        kernels = np.zeros((len(drops), max(map(len, drops))))
        for kernel, drop in zip(kernels, drops, strict=True):
            kernel[: len(drop)] = drop
        n = self.nb_samples
        nb = max(1, int(self.rng.poisson(rate * n / self.sample_rate)))
        where = self.rng.integers(0, n, nb)[:, None] + np.arange(kernels.shape[1])  # (nb, nb_taps)
        values = kernels[self.rng.integers(0, len(drops), nb)] * self.rng.random((nb, 1)) ** 3
        return np.bincount(where.ravel(), values.ravel(), minlength=n)[:n].astype(np.float64)


def sine(cycles: ArrayLike) -> Signal:
    return np.sin(2 * np.pi * np.asarray(cycles))


def buzz(cycles: Signal, ratio: ArrayLike) -> Signal:
    """All harmonics h >= 1 with amplitudes ratio**(h - 1): Σ ratio^(h-1) sin(2πh·cycles), in closed form.

    With ratio = exp(-f0 / f_tilt) the spectrum falls by 8.7 dB every f_tilt Hz whatever the pitch.
    """
    r, half = np.asarray(ratio), np.pi * cycles
    up = np.sin(half)
    # 1 - 2 r cos + r² written so that nothing cancels at the pulse, where the sum is largest
    return 2 * up * np.cos(half) / (np.square(1 - r) + 4 * r * np.square(up))


def tilt(f0: ArrayLike, hz: float) -> Signal:
    """The `ratio` of `buzz` at pitch f0 for a spectrum that falls 8.7 dB every `hz`."""
    return np.exp(-np.asarray(f0) / hz)


def band(low: float, high: float, slope: float = 24) -> Spectrum:
    """Flat from low to high Hz, falling by `slope` dB an octave outside."""
    return [(low / 16, -4 * slope), (low, 0), (high, 0), (high * 16, -4 * slope)]


def unit_rms(signal: Signal) -> Signal:
    return signal / np.sqrt(np.mean(np.square(signal)) + 1e-30)


def peak(signal: Signal) -> Signal:
    return signal / (np.max(np.abs(signal)) + 1e-30)


def together(a: Signal, b: Signal) -> Signal:
    """The sum of two sounds that start together, as long as the longer."""
    out = np.zeros(max(len(a), len(b)))
    out[: len(a)] += a
    out[: len(b)] += b
    return out


# ---- moving filters

HOP, WINDOW = 128, 512  # frame i of a moving filter is centred at sample (i - 1) * HOP


def frames(n: int) -> int:
    """Number of frames of `moving_filter` for n samples."""
    return n // HOP + WINDOW // HOP


def moving_filter(signal: Signal, gains: Signal) -> Signal:
    """`signal` through a response that changes every HOP samples; gains: (frames(nb_samples), WINDOW // 2 + 1)."""
    n, nb_frames = len(signal), frames(len(signal))
    padded = np.zeros((nb_frames - 1) * HOP + WINDOW)
    padded[WINDOW - HOP : WINDOW - HOP + n] = signal
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * window  # (nb_frames, WINDOW)
    pieces = fft.irfft(fft.rfft(pieces) * gains, WINDOW) * window
    out = np.zeros((nb_frames + WINDOW // HOP - 1, HOP))
    for i, part in enumerate(np.split(pieces, WINDOW // HOP, axis=1)):
        out[i : i + nb_frames] += part
    return out.ravel()[WINDOW - HOP : WINDOW - HOP + n] / 1.5  # Hann² at a quarter overlap adds up to 1.5


def formants(tracks: Signal, widths: ArrayLike, sample_rate: int) -> Signal:
    """Gains of resonances in cascade: tracks (nb_frames, nb_formants) Hz -> (nb_frames, WINDOW // 2 + 1).

    Each is |H(f)| of a second-order resonator of unit gain at 0 Hz (Fant's all-pole vocal tract).
    """
    f2 = np.square(np.arange(WINDOW // 2 + 1) * (sample_rate / WINDOW))  # (bins,)
    gains = np.ones((len(tracks), len(f2)))
    for centre, width in zip(tracks.T, np.broadcast_to(widths, tracks.shape[1]), strict=True):
        c2 = np.square(centre)[:, None]
        gains *= c2 / np.sqrt(np.square(c2 - f2) + f2 * width**2)
    return gains
