"""What a separator can work with: a spectrum that can be put together again, and halved as often as its U-Net does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from nrsed_lib.profile import Data, Profile
from nrsed_lib.settings.section import Fault

CLAP_SIZE = 512  # of a text in AudioSep's CLAP


class FrontEnd(Protocol):
    """The settings of a separator's spectrum."""

    n_fft: int
    hop: int
    nb_bands: int | None


def faults(profile: Profile) -> Iterator[Fault]:
    lass, data = profile.lass, profile.data
    seconds = min(lass.train.seconds, data.clip_seconds)
    yield from front_end_faults("lass", lass, seconds, data)
    yield from halving_faults("lass.nb_channels", nb_features(lass) // 2 * 2, lass.nb_channels)
    nb_frames, step = 1 + round(seconds * data.sample_rate) // lass.hop, 2 ** (len(lass.nb_channels) - 2)
    if nb_frames < step:
        what = f"is as long as {nb_frames} frames of {seconds:g} s, which the U-Net halves to less than one"
        yield Fault(
            "lass.hop", what, f"shorten it to {round(seconds * data.sample_rate) // step} or give fewer channels"
        )
    if lass.text == "clap" and lass.condition_size != CLAP_SIZE:
        yield Fault("lass.condition_size", "is not that of the texts of CLAP", f"make it {CLAP_SIZE}")
    if lass.weights is not None and lass.text != "clap":
        yield Fault("lass.text", "is not what published separators are asked with", "set it to clap, or train")


def nb_features(front: FrontEnd) -> int:
    """Bins or bands."""
    return front.nb_bands or front.n_fft // 2 + 1


def front_end_faults(at: str, front: FrontEnd, seconds: float, data: Data) -> Iterator[Fault]:
    nb_bins = front.n_fft // 2 + 1
    if front.hop > nb_bins:
        yield Fault(
            f"{at}.hop", "is longer than half a window: sounds cannot be put together again", f"at most {nb_bins}"
        )
    if nb_features(front) > nb_bins:
        yield Fault(f"{at}.nb_bands", f"is more than the {nb_bins} bins of n_fft {front.n_fft}", f"at most {nb_bins}")
    if seconds * data.sample_rate <= front.n_fft // 2:
        yield Fault(f"{at}.n_fft", f"is more than twice what is heard, {seconds:g} s", "lower it, or give more seconds")


def halving_faults(key: str, nb_features: int, nb_channels: list[int]) -> Iterator[Fault]:
    times = len(nb_channels) - 1
    if nb_features % 2**times:
        what = f"halves {nb_features} bins or bands {times} times"
        yield Fault(key, what, f"make their number a multiple of {2**times}, or give fewer channels")
