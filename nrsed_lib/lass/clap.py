"""CLAP's text branch, which AudioSep is conditioned on: RoBERTa's pooled output, projected, of length 1.

A pipeline asks for the same few class names in every process, so each text is embedded once and kept in
`<weights folder>/texts/`; RoBERTa (500 MB, and seconds to import) is loaded for new texts only.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from nrsed_lib.errors import WeightsError
from nrsed_lib.paths import weights_folder
from nrsed_lib.store import digest, keep_sums, read_tensors, whole, write_tensors
from nrsed_lib.weights import about_weights, find_weights, must_fit, read_weights, remedy

TOKENIZER = "roberta-base"
TOKENIZER_URL = "https://huggingface.co/FacebookAI/roberta-base/tree/main"
PREFIX = "text."  # of these tensors in the weights of a separator
MAX_TOKENS = 512


def clap_weights(separator: str | None) -> Path:
    """The weights that hold the text branch: the separator's own, or else "clap". Raises WeightsError without any."""
    if separator is not None:
        path = find_weights(separator)
        if "text" in about_weights(path)["architecture"]:
            return path
    return find_weights("clap")


class ClapText(nn.Module):
    """weights: a converted file with a text branch. size: of the embeddings.

    Raises WeightsError naming the file when it has no text branch, or one of another size.
    """

    here: Tensor

    def __init__(self, weights: Path, size: int) -> None:
        super().__init__()
        about = about_weights(weights)
        self.weights = weights
        self.config = about["architecture"] if about["kind"] == "clap" else about["architecture"].get("text")
        if not self.config:
            raise WeightsError(f"{weights} has no text branch: use the weights 'clap', or a checkpoint that has one")
        if self.config["projection_dim"] != size:
            raise WeightsError(
                f"{weights} embeds texts in {self.config['projection_dim']} numbers, lass.condition_size is {size}; "
                "make them the same"
            )
        self.kept = weights_folder() / "texts" / f"{digest(about['content_sha256'], self.config)}.safetensors"
        self.known: dict[str, Tensor] = {}
        self.register_buffer("here", torch.empty(0), persistent=False)  # follows the separator to its device

    @torch.no_grad()  # not inference mode: what is conditioned on it may learn
    def embed(self, texts: list[str]) -> Tensor:
        """nb_texts texts → (nb_texts, size), L2-normalised, on the module's device.

        Raises ValueError for an empty text, and WeightsError when a text is new and RoBERTa's vocabulary not there.
        """
        if not all(text.strip() for text in texts):
            raise ValueError(f"query {next(t for t in texts if not t.strip())!r} has no word in it; name a sound")
        keep_sums(self.kept.parent)
        if set(texts) - set(self.known) and whole(self.kept):
            self.known |= read_tensors(self.kept)[0]
        if new := sorted(set(texts) - set(self.known)):
            self.known |= self._compute(new)
            write_tensors(self.kept, self.known, weights=self.weights.name)
        return torch.stack([self.known[text] for text in texts]).to(self.here.device)

    def _compute(self, texts: list[str]) -> dict[str, Tensor]:
        """One text at a time: nothing is padded, and what a text gives does not depend on its neighbours."""
        from transformers import ClapTextConfig, ClapTextModelWithProjection

        tokenizer = load_tokenizer()
        tensors, _ = read_weights(self.weights)
        own = {name.removeprefix(PREFIX): value for name, value in tensors.items() if not name.startswith("net.")}
        with must_fit(self.weights, self.config, remedy(self.weights.stem, " --again")):
            network = ClapTextModelWithProjection(ClapTextConfig(**self.config)).eval()
            keys = network.load_state_dict(own, strict=False)
            if strange := [
                k for k in (*keys.missing_keys, *keys.unexpected_keys) if not k.endswith("_ids")
            ]:  # counters
                raise LookupError(f"{strange} are missing or too many")
        known = {}
        for text in tqdm(texts, desc="CLAP", unit="text", mininterval=1.0):
            tokens = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            embedding = network(tokens["input_ids"], tokens["attention_mask"]).text_embeds[0]
            known[text] = nn.functional.normalize(embedding, dim=-1)
        return known


def load_tokenizer():
    """RoBERTa's tokenizer, from `<weights folder>/roberta-base` or else transformers' cache; never from the network.

    Raises WeightsError saying which files to put where.
    """
    from transformers import AutoTokenizer

    folder = weights_folder() / TOKENIZER
    try:
        place = folder if folder.is_dir() else TOKENIZER
        return AutoTokenizer.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises that and nothing finer
        raise WeightsError(
            f"no vocabulary of {TOKENIZER} in {folder} or in transformers' cache: put config.json, vocab.json, "
            f"merges.txt and tokenizer.json of {TOKENIZER_URL} into that folder"
        ) from error
