"""What notebook 09 trains."""

from __future__ import annotations

from nrsed_lib.profile import Profile

NETWORKS = ("AudioSep", "AudioSep-DP")  # without and with a DPRNN at the bottleneck
OTHER_LOSS = "AudioSep-DP-loss05"  # and the latter with the loss of notebook 05


def variants(_: Profile) -> list[str]:
    """The same in every profile."""
    return [*NETWORKS, OTHER_LOSS]
