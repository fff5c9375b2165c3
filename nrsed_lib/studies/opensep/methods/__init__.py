"""The nine methods of Tables 1 and 2 by the keys of `variants.METHODS`; one small file each."""

from __future__ import annotations

from nrsed_lib.studies.opensep.methods.audiosep import AudioSep
from nrsed_lib.studies.opensep.methods.base import Method, Setup
from nrsed_lib.studies.opensep.methods.clipsep import ClipSep
from nrsed_lib.studies.opensep.methods.lassnet import LassNet
from nrsed_lib.studies.opensep.methods.mixit import MixIt
from nrsed_lib.studies.opensep.methods.mixit_pit import MixItPit
from nrsed_lib.studies.opensep.methods.mixpit import MixPit
from nrsed_lib.studies.opensep.methods.opensep import OpenSepMethod
from nrsed_lib.studies.opensep.methods.pit import Pit
from nrsed_lib.studies.opensep.methods.weaksup import WeakSup

BUILD: dict[str, type[Method]] = {
    "pit": Pit,
    "mixit": MixIt,
    "mixpit": MixPit,
    "mixit_pit": MixItPit,
    "clipsep": ClipSep,
    "weaksup": WeakSup,
    "lassnet": LassNet,
    "audiosep": AudioSep,
    "opensep": OpenSepMethod,
}

__all__ = ["BUILD", "Method", "Setup"]
