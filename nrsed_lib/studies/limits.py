"""What the separation studies can work with: texts that were written, and networks that can be put together."""

from __future__ import annotations

from collections.abc import Iterator

from nrsed_lib.lass.limits import halving, nb_features, of_spectrum
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Profile
from nrsed_lib.settings.plain_yaml import table
from nrsed_lib.settings.section import Check
from nrsed_lib.studies.settings import studies_of

ROBERTA_SIZE = 768  # of a token
LEAST_FEATURES = 16  # that WeakSup's classifier halves four times
LEAST_MELS = 8  # that a captioner without an encoder halves three times


def checks(profile: Profile) -> Iterator[Check]:
    if profile.studies is None:
        return
    data, opensep, channels = profile.data, studies_of(profile).opensep, "studies.opensep.nb_channels"
    for key in ("classes", "noise_classes"):
        silent = [name for name in getattr(data, key) if name not in table(DATA / "captions" / "heldout.yaml")]
        yield silent, f"data.{key}", f"{silent[:5]} have no captions in data/captions", "leave studies out"
    few = profile.sed.encoder == "none" and profile.sed.mel.nb_mels < LEAST_MELS
    yield few, "sed.mel.nb_mels", "is too low for the captioner of the studies", f"at least {LEAST_MELS}"
    yield from of_spectrum("studies.opensep", opensep, opensep.seconds, data.sample_rate)
    halved = nb_features(opensep), nb_features(profile.lass) // 2 * 2  # its own, and of AudioSep beside it
    yield from (halving(channels, nb, len(opensep.nb_channels) - 1) for nb in halved)
    remedy = f"at least {LEAST_FEATURES}"
    yield halved[0] < LEAST_FEATURES, "studies.opensep.nb_bands", "is too low to be halved four times", remedy
    most, attended = len(opensep.nb_channels), opensep.nb_channels[-opensep.nb_attended :]
    yield len(attended) < opensep.nb_attended, "studies.opensep.nb_attended", f"is more than {most} stages", "lower it"
    odd = [nb for nb in attended if nb % opensep.nb_heads]
    yield odd, "studies.opensep.nb_heads", f"does not share the {odd} channels of attended stages", "let it divide them"
    other = opensep.text == "roberta" and opensep.condition_size != ROBERTA_SIZE
    yield other, "studies.opensep.condition_size", "is not that of RoBERTa's tokens", f"make it {ROBERTA_SIZE}"
