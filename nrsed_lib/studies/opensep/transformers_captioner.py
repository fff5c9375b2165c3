"""Any published captioner that transformers can run: audio in, text out, as Whisper fine-tuned on captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchaudio.functional import resample

from nrsed_lib.training import device

BATCH = 8


class CaptionerError(RuntimeError):
    """A model that is not there, or is of a kind that cannot caption; the message says what to do."""


class TransformersCaptioner:
    """model: a folder with a model as `save_pretrained` leaves it, or the name of one on the Hugging Face hub.

    Nothing is downloaded unless `download` is set, weights are read as safetensors only, and no code that comes with a
    model is run. options: of its `generate`, e.g. max_new_tokens, num_beams. Raises CaptionerError.
    """

    def __init__(self, model: str | Path, sample_rate: int, download: bool = False, **options: Any) -> None:
        from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor  # seconds to import

        self.name, self.sample_rate, self.options = str(model), sample_rate, options
        where: dict[str, Any] = {"local_files_only": not download, "trust_remote_code": False}
        try:
            self.processor = AutoProcessor.from_pretrained(self.name, **where)
            self.model = AutoModelForSpeechSeq2Seq.from_pretrained(self.name, use_safetensors=True, **where)
        except (OSError, ValueError) as error:
            remedy = "" if download else ", or set download=True to fetch it from the hub"
            raise CaptionerError(
                f"no audio captioning model in {self.name!r}: name a folder with config.json, model.safetensors and "
                f"the processor's files, of a model that turns audio into text{remedy} ({str(error).splitlines()[0]})"
            ) from error
        self.model.to(device()).eval()

    @torch.inference_mode()
    def caption(self, waveforms: Tensor) -> list[str]:
        """(nb_clips, nb_samples) float32 at `sample_rate` -> nb_clips captions."""
        rate = self.processor.feature_extractor.sampling_rate
        captions: list[str] = []
        for some in waveforms.split(BATCH):
            heard = [wave.numpy() for wave in resample(some.cpu(), self.sample_rate, rate)]
            inputs = self.processor(heard, sampling_rate=rate, return_tensors="pt").to(self.model.device)
            tokens = self.model.generate(**inputs, **self.options)
            captions += [text.strip() for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        return captions
