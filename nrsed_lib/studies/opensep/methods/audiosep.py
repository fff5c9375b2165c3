"""AudioSep (Liu et al. 2023): the ResUNet of notebook 05 with a shift by the query in every layer; L1 on waveforms."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.lass.separator import Separator
from nrsed_lib.studies.opensep.methods.base import Method, Setup, pairs_of


class AudioSep(Method):
    """The front end is that of the profile's section `lass`; the widths are those of the other methods here."""

    asked = True

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        widths = setup.settings.nb_channels
        self.separator = Separator(setup.lass.model_copy(update={"nb_channels": widths, "dprnn_layers": 0}))

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        pairs = pairs_of(drawn.sounds)  # (2 B, 2, nb_samples)
        mixtures = pairs.sum(1)
        estimates = self.separate(mixtures, pairs_of(drawn.classes).to(pairs.device), texts)
        # of the mixture's level, so that loud and soft mixtures count the same
        return ((estimates - pairs).abs().mean((1, 2)) / mixtures.abs().mean(1).clamp(min=1e-6)).mean()

    def separate(self, mixtures: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        nb_asked = classes.shape[1]
        conditions = self.separator.embed(texts)[classes.flatten()]
        return self.separator(mixtures.repeat_interleave(nb_asked, 0), conditions).unflatten(0, (-1, nb_asked))

    def masks(self, magnitudes: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        raise TypeError("AudioSep masks spectra in its own front end: use `separate`")
