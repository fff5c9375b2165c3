"""OpenSep's way from a mixture to its sounds (arXiv 2409.19270, Fig. 2): caption, sources, knowledge, separation.

Nobody says what is in the mixture: a captioner does, a parser takes the sources from its sentence, and each is asked
for by one sentence of how it sounds. The same reading, without the separator, writes queries for the detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.llm.asking import ask_all
from nrsed_lib.profile import Llm
from nrsed_lib.studies.opensep.captioner import Captioner, SmallCaptioner, load_captioner
from nrsed_lib.studies.texts.captions import SHOTS, Caption, captions_of, classes_named
from nrsed_lib.studies.texts.parsing import Parser, parser_of
from nrsed_lib.studies.texts.questions import KNOWLEDGE, TextAnswer, TextQuestion, task_of
from nrsed_lib.training import device

BATCH = 8  # sounds separated at once


class Separates(Protocol):
    """Any separator that is asked with texts: mixtures (B, nb_samples), classes (B, nb_outputs) rows of `texts` ->
    (B, nb_outputs, nb_samples)."""

    def separate(self, mixtures: Tensor, classes: Tensor, texts: list[str]) -> Tensor: ...


@dataclass(frozen=True)
class Source:
    """text: as parsed. classes: those it names, of the profile's. prompt: what the separator is asked with."""

    text: str
    classes: frozenset[str]
    prompt: str


@dataclass(frozen=True)
class Reading:
    """Of one mixture."""

    caption: str
    sources: list[Source]

    @property
    def classes(self) -> frozenset[str]:
        """All that its sources name."""
        return frozenset().union(*(source.classes for source in self.sources))


@dataclass(frozen=True)
class Reader:
    """captions: of every class of the profile. live: the settings of a model to be asked for the knowledge of a source
    that nothing was written about, and the files of its answers (see `ask_all`); None: its own text is the prompt."""

    captioner: Captioner
    parser: Parser
    captions: Mapping[str, Caption]
    live: tuple[Llm, Sequence[Path]] | None = None

    def read(self, waveforms: Tensor) -> list[Reading]:
        """(nb_clips, nb_samples) -> nb_clips readings. Raises LlmError when a live model cannot be asked."""
        return [self.parsed(caption) for caption in self.captioner.caption(waveforms)]

    def queries(self, waveforms: Tensor, classes: Sequence[str]) -> Tensor:
        """Which of the classes the sources parsed from each mixture's caption name.

        waveforms: (nb_clips, nb_samples) float32 in [-1, 1), on any device -> (nb_clips, nb_classes) bool, there.
        """
        return named_classes(self.read(waveforms), classes).to(waveforms.device)

    def parsed(self, caption: str) -> Reading:
        return Reading(caption, [self.source(text) for text in self.parser(caption)])

    def source(self, text: str) -> Source:
        named = frozenset(classes_named(text, self.captions))
        return Source(text, named, self.knowledge(text, named))

    def knowledge(self, text: str, named: frozenset[str]) -> str:
        """One sentence of how a source sounds: what was written about the class it names, or the first in the alphabet
        if it names several; for any other source a live model's answer, or else the text itself."""
        if named:
            return self.captions[min(named)].knowledge
        if self.live is not None:
            llm, paths = self.live
            answered = ask_all([TextQuestion(task_of(KNOWLEDGE), text, SHOTS)], llm, paths)[0].texts
            return answered[0] if answered else text
        return text


def reader_of(run: Run, captioner: Captioner | None = None) -> Reader:
    """The reader of a run of notebook 11 or of one that reads it: with the captioner trained there, or another.

    Sources are parsed, and knowledge given, as recorded, or with llm.mode=live by a model. Raises StoreError when
    notebook 11 has not left its captioner.
    """
    captions = captions_of(run.profile.data.classes + run.profile.data.noise_classes)
    live = (run.profile.llm, TextAnswer.live_files(run.profile.llm.model)) if run.profile.llm.mode == "live" else None
    captioner = captioner or load_captioner(run.find("captioner"), run.profile)
    # One that speaks of the profile's classes alone is parsed by rules that know them.
    parser = parser_of(run, captions if isinstance(captioner, SmallCaptioner) else None)
    return Reader(captioner, parser, captions, live)


def named_classes(readings: Sequence[Reading], classes: Sequence[str]) -> Tensor:
    """(nb_readings, nb_classes) bool: which of the classes each reading names."""
    named = [[name in reading.classes for name in classes] for reading in readings]
    return torch.tensor(named, dtype=torch.bool).reshape(len(readings), len(classes))


@torch.inference_mode()
def separate_sources(separator: Separates, waveforms: Tensor, readings: Sequence[Reading]) -> list[Tensor]:
    """(nb_clips, nb_samples) -> of each clip the tracks of its sources (nb_sources, nb_samples), on the CPU."""
    asked = [(clip, source.prompt) for clip, reading in enumerate(readings) for source in reading.sources]
    prompts = list(dict.fromkeys(prompt for _, prompt in asked))
    number = {prompt: i for i, prompt in enumerate(prompts)}
    tracks = [waveforms.new_zeros(0, waveforms.shape[1], device="cpu")]
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        mixtures = waveforms[[clip for clip, _ in some]].to(device())
        rows = torch.tensor([[number[prompt]] for _, prompt in some], device=mixtures.device)
        tracks.append(separator.separate(mixtures, rows, prompts)[:, 0].cpu())
    return list(torch.cat(tracks).split([len(reading.sources) for reading in readings]))
