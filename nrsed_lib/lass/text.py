"""Query texts to conditions: `embed(texts) -> (nb_texts, condition_size)`, each of length 1.

`learned` is small and trained with the separator: the words and letter triples of a text are hashed
into a table of vectors, whose mean is projected. Texts that share words start out close, and any
text has an embedding. `clap` is AudioSep's: it comes with the published weights.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

from nrsed_lib.profile import Lass
from nrsed_lib.series import plugin


def tokens(text: str) -> list[str]:
    """Words and the letter triples of each, in lower case: "dog" -> "dog", "<do", "dog>" … with marked ends."""
    words = text.lower().split()
    marked = [f"<{word}>" for word in words]
    return marked + [word[i : i + 3] for word in marked for i in range(len(word) - 2)]


class LearnedText(nn.Module):
    """Raises ValueError for an empty text, which names nothing to separate."""

    def __init__(self, size: int, nb_buckets: int = 4096) -> None:
        super().__init__()
        self.nb_buckets = nb_buckets
        self.table = nn.EmbeddingBag(nb_buckets, size, mode="mean")
        self.project = nn.Linear(size, size)

    def embed(self, texts: list[str]) -> Tensor:
        """nb_texts texts -> (nb_texts, size), L2-normalised."""
        bags = [[zlib.crc32(token.encode()) % self.nb_buckets for token in tokens(text)] for text in texts]
        if not all(bags):
            raise ValueError(f"query {texts[[bool(b) for b in bags].index(False)]!r} has no word in it; name a sound")
        device = self.project.weight.device
        flat = torch.tensor([bucket for bag in bags for bucket in bag], device=device)
        starts = torch.tensor([0] + [len(bag) for bag in bags[:-1]], device=device).cumsum(0)
        return nn.functional.normalize(self.project(self.table(flat, starts)), dim=-1)


def text_encoder(settings: Lass) -> nn.Module:
    """Raises WeightsError for CLAP without its weights."""
    if settings.text == "clap":
        clap = plugin("lass.text", "clap")
        return clap.ClapText(clap.clap_weights(settings.weights), settings.condition_size)
    return LearnedText(settings.condition_size)
