"""What a separator can work with: a spectrum that can be put together again, and halved as often as its U-Net does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nrsed_lib.profile import Profile
from nrsed_lib.settings.section import Check

CLAP_SIZE = 512  # of a text in AudioSep's CLAP


def checks(profile: Profile) -> Iterator[Check]:
    lass, rate = profile.lass, profile.data.sample_rate
    seconds = min(lass.train.seconds, profile.data.clip_seconds)
    yield from of_spectrum("lass", lass, seconds, rate)
    yield halving("lass.nb_channels", nb_features(lass) // 2 * 2, len(lass.nb_channels) - 1)
    step, nb_frames = 2 ** (len(lass.nb_channels) - 2), round(seconds * rate) // lass.hop + 1
    what, remedy = f"leaves {nb_frames} frames of {seconds:g} s, less than the {step} that are made one", "shorten it"
    yield nb_frames < step, "lass.hop", what, remedy
    other = lass.text == "clap" and lass.condition_size != CLAP_SIZE
    yield other, "lass.condition_size", "is not that of the texts of CLAP", f"make it {CLAP_SIZE}"
    unasked = lass.weights is not None and lass.text != "clap"
    yield unasked, "lass.text", "is not what published separators are asked with", "set it to clap, or train"


def nb_features(front: Any) -> int:
    """Bins or bands of a section with n_fft, hop and nb_bands."""
    return front.nb_bands or front.n_fft // 2 + 1


def of_spectrum(at: str, front: Any, seconds: float, sample_rate: int) -> Iterator[Check]:
    """Checks of such a section, whose keys begin with `at`. seconds: of what is heard."""
    nb_bins, longer = front.n_fft // 2 + 1, f"is more than twice what is heard, {seconds:g} s"
    most = f"at most {nb_bins}"
    yield front.hop > nb_bins, f"{at}.hop", "is over half a window: sounds cannot be put together again", most
    yield nb_features(front) > nb_bins, f"{at}.nb_bands", f"is more than the {nb_bins} bins of its n_fft", most
    yield seconds * sample_rate <= front.n_fft // 2, f"{at}.n_fft", longer, "lower it, or give more seconds"


def halving(key: str, nb_features: int, times: int) -> Check:
    remedy = f"make their number a multiple of {2**times}, or give fewer channels"
    return nb_features % 2**times, key, f"halves {nb_features} bins or bands {times} times", remedy
