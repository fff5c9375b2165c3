"""What the separation studies can work with: texts that were written, and networks that can be put together."""

from __future__ import annotations

from collections.abc import Iterator

from nrsed_lib.lass.limits import front_end_faults, halving_faults, nb_features
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Profile
from nrsed_lib.settings.plain_yaml import table
from nrsed_lib.settings.section import Fault
from nrsed_lib.studies.settings import NB_TEXTS, studies_of

ROBERTA_SIZE = 768  # of a token
LEAST_FEATURES = 16  # that WeakSup's classifier halves four times
LEAST_MELS = 8  # that a captioner without an encoder halves three times


def faults(profile: Profile) -> Iterator[Fault]:
    if profile.studies is None:
        return
    data, lass, opensep, captions = (
        profile.data,
        profile.lass,
        studies_of(profile).opensep,
        studies_of(profile).captions,
    )
    for key in ("classes", "noise_classes"):
        if silent := [name for name in getattr(data, key) if name not in table(DATA / "captions" / "heldout.yaml")]:
            yield Fault(
                f"data.{key}", f"{silent[:5]} have no captions in data/captions", "write them, or leave studies out"
            )
    yield from front_end_faults("studies.opensep", opensep, opensep.seconds, data)
    channels = "studies.opensep.nb_channels"
    yield from halving_faults(channels, nb_features(opensep), opensep.nb_channels)
    yield from halving_faults(channels, nb_features(lass) // 2 * 2, opensep.nb_channels)  # of AudioSep beside it
    if nb_features(opensep) < LEAST_FEATURES:
        yield Fault("studies.opensep.nb_bands", "is too low to be halved four times", f"at least {LEAST_FEATURES}")
    if opensep.nb_attended > (most := len(opensep.nb_channels)):
        yield Fault("studies.opensep.nb_attended", f"is more than the {most} stages", f"at most {most}")
    if odd := [nb for nb in opensep.nb_channels[-opensep.nb_attended :] if nb % opensep.nb_heads]:
        what = f"does not share the {odd} channels of attended stages"
        yield Fault("studies.opensep.nb_heads", what, "let it divide them")
    if opensep.text == "roberta" and opensep.condition_size != ROBERTA_SIZE:
        yield Fault("studies.opensep.condition_size", "is not that of RoBERTa's tokens", f"make it {ROBERTA_SIZE}")
    if profile.sed.encoder == "none" and profile.sed.mel.nb_mels < LEAST_MELS:
        yield Fault("sed.mel.nb_mels", "is too low for the captioner of the studies", f"at least {LEAST_MELS}")
    if captions.numbers and max(captions.numbers) > (most := NB_TEXTS * len(captions.prompts)):
        yield Fault("studies.captions.numbers", f"is more than the {most} texts of so many prompts", "lower it")
