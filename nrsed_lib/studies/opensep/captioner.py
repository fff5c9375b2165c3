"""Mixtures in, captions out: the first step of OpenSep (arXiv 2409.19270, section 3.1), behind one interface.

The source takes a published captioner (ms-CLAP). `TransformersCaptioner` takes any that transformers can run;
`SmallCaptioner` is trained here, for the classes of a profile, in a minute or two on a CPU. It has ears, which say
how likely each class is heard and when, and a mouth, a GRU that puts the likely ones into words.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nrsed_lib.profile import Profile
from nrsed_lib.sed.encoders.base import build_encoder
from nrsed_lib.sed.mel import LinearMel
from nrsed_lib.store import read_tensors
from nrsed_lib.studies.opensep.caption_words import BEGIN, END, NEXT, Words
from nrsed_lib.training import device, has_bfloat16

NB_HEARD = 6  # sounds that a caption can tell of
MAX_WORDS = 60
THRESHOLD = 0.2  # probability from which a class is said: where precision and recall balance on validation sounds
SHARPNESS = 3.0  # of the mean over frames: between the mean (0) and the maximum (infinity)
BATCH = 16  # clips captioned at once


class Captioner(Protocol):
    """name: to be shown beside its results."""

    name: str

    def caption(self, waveforms: Tensor) -> list[str]:
        """(nb_clips, nb_samples) float32 at the profile's sample rate -> nb_clips captions, each a sentence."""
        ...


class Front(nn.Module):
    """What is computed from a waveform without learning: embeddings where the profile's detector has an encoder,
    else a log-mel spectrogram. `forward`: (B, nb_samples) -> (B, size, nb_frames)."""

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self.encoder = build_encoder(profile.sed.encoder, profile.data.sample_rate, profile.sed.bfloat16)
        self.mel = LinearMel(profile.sed.mel, profile.data.sample_rate)
        self.size = self.encoder.size if self.encoder else profile.sed.mel.nb_mels

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        if self.encoder is not None:
            return self.encoder(waveforms)
        return ((self.mel(waveforms) + 1e-4).log() + 5) / 3  # about 0 ± 1 for sounds at usual levels


class Hearing(NamedTuple):
    """What is heard in clips, by onset, and what is to be said of it; all (B, NB_HEARD).

    classes: their numbers; said: bool; onsets and offsets as shares of the clip.
    """

    classes: Tensor
    said: Tensor
    onsets: Tensor
    offsets: Tensor

    def in_order(self) -> Hearing:
        """Those that are said come first, each by its onset."""
        order = (self.onsets + 2.0 * ~self.said).argsort(dim=1, stable=True)
        return Hearing(*(column.gather(1, order) for column in self))

    @property
    def gaps(self) -> Tensor:
        """From when all before it are over to its onset: negative when it begins before; -1 for the first."""
        over = self.offsets.cummax(1).values.roll(1, 1)
        return torch.cat([torch.full_like(over[:, :1], -1.0), (self.onsets - over)[:, 1:]], 1)


class Ears(nn.Module):
    """Features to logits of each class in each frame. Of spectrograms, convolutions; of embeddings, one layer."""

    def __init__(self, size: int, nb_classes: int, spectrogram: bool, width: int = 256) -> None:
        super().__init__()
        channels = (1, 32, 64, 128, 128)
        layers: list[nn.Module] = []
        for i, (nb_in, nb_out) in enumerate(itertools.pairwise(channels)):
            layers += [nn.Conv2d(nb_in, nb_out, 3, padding=1, bias=False), nn.BatchNorm2d(nb_out), nn.ReLU()]
            layers += [nn.AvgPool2d(2)] if i < 3 else []
        self.cnn = nn.Sequential(*layers) if spectrogram else None
        self.hidden = nn.Linear(channels[-1] * (size // 8) if spectrogram else size, width)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(width, nb_classes)
        nn.init.constant_(self.out.bias, -3.0)  # few of the classes are heard
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def forward(self, features: Tensor) -> Tensor:
        """(B, size, nb_frames) -> (B, nb_classes, nb_frames or an eighth)."""
        with torch.autocast(features.device.type, torch.bfloat16, enabled=has_bfloat16(features)):
            if self.cnn is not None:
                image = features[:, None].contiguous(memory_format=torch.channels_last)
                features = self.cnn(image).flatten(1, 2)  # (B, channels * bands, T)
            x = self.dropout(F.relu(self.hidden(features.transpose(1, 2))))
        return self.out(x.float()).transpose(1, 2)


def clip_logits(frames: Tensor) -> Tensor:
    """(B, nb_classes, nb_frames) -> (B, nb_classes): a mean that short, clear sounds are not lost in."""
    return (torch.logsumexp(SHARPNESS * frames, -1) - math.log(frames.shape[-1])) / SHARPNESS


def heard(frames: Tensor) -> Hearing:
    """The likeliest classes of logits (B, nb_classes, nb_frames). Said are those from `THRESHOLD`, and the likeliest;
    a class is active where its probability is at least half of its highest."""
    logits, classes = clip_logits(frames).topk(min(NB_HEARD, frames.shape[1]), dim=1)  # (B, NB_HEARD), falling
    said = torch.sigmoid(logits) >= THRESHOLD
    said[:, 0] = True
    curves = torch.sigmoid(frames.gather(1, classes[:, :, None].expand(-1, -1, frames.shape[2])))
    active = (curves >= 0.5 * curves.amax(-1, keepdim=True)).float()  # (B, NB_HEARD, T)
    nb = frames.shape[2]
    return Hearing(classes, said, active.argmax(-1) / nb, 1 - active.flip(-1).argmax(-1) / nb).in_order()


class Mouth(nn.Module):
    """A GRU that says word after word, with one sound before it at a time: its attention moves on when it says NEXT,
    and after the last sound there is nothing but END to say."""

    def __init__(self, nb_classes: int, nb_words: int, width: int = 128) -> None:
        super().__init__()
        self.words = nn.Embedding(nb_words, 64)
        self.classes = nn.Embedding(nb_classes, 63)
        self.rnn = nn.GRU(128, width, batch_first=True)
        self.out = nn.Linear(width, nb_words)

    def sounds(self, what: Hearing) -> Tensor:
        """(B, NB_HEARD + 1, 64): a vector for each sound that is said, zeros after the last."""
        after = (what.gaps >= 0)[:, :, None]
        sounds = torch.cat([self.classes(what.classes), after], -1) * what.said[:, :, None]
        return F.pad(sounds, (0, 0, 0, 1))

    def forward(self, sounds: Tensor, words: Tensor, at: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """sounds (B, nb, 64); the words so far, and which sound is looked at after each, (B, nb_words) -> logits of
        each next word (B, nb_words, vocabulary), and the GRU's state."""
        looked_at = sounds.gather(1, at[:, :, None].expand(-1, -1, sounds.shape[2]))
        x, state = self.rnn(torch.cat([self.words(words), looked_at], -1), state)
        return self.out(x), state


class SmallCaptioner(nn.Module):
    """Trained by `captioner_training`; ears and mouth are what it learns and all that is saved of it."""

    name = "trained here"

    def __init__(self, profile: Profile, words: Words) -> None:
        super().__init__()
        self.phrases = words
        self.front = Front(profile)
        self.ears = Ears(self.front.size, len(words.phrases), spectrogram=self.front.encoder is None)
        self.mouth = Mouth(len(words.phrases), len(words.vocabulary))

    def learned(self) -> dict[str, Tensor]:
        """The weights of what learns."""
        return {key: value for key, value in self.state_dict().items() if not key.startswith("front.")}

    @torch.inference_mode()
    def hear(self, waveforms: Tensor) -> Hearing:
        """(nb_clips, nb_samples) -> what is heard in each clip."""
        parts = [heard(self.ears(self.front(some.to(device())))) for some in waveforms.split(BATCH)]
        return Hearing(*(torch.cat(column) for column in zip(*parts, strict=True)))

    @torch.inference_mode()
    def say(self, what: Hearing) -> list[str]:
        """The likeliest word after each word, for all clips at once."""
        sounds = self.mouth.sounds(what)
        word = torch.full((len(sounds), 1), BEGIN, device=sounds.device)
        at, said, state = torch.zeros_like(word), [word], None
        for _ in range(MAX_WORDS):
            logits, state = self.mouth(sounds, word, at, state)
            word = logits.argmax(-1)
            at = (at + (word == NEXT)).clamp(max=sounds.shape[1] - 1)
            said.append(word)
            if (torch.cat(said, 1) == END).any(1).all():
                break
        return [self.phrases.text(numbers) for numbers in torch.cat(said, 1).tolist()]

    def caption(self, waveforms: Tensor) -> list[str]:
        """See `Captioner`; for no clips, no captions."""
        return self.say(self.hear(waveforms)) if len(waveforms) else []


def load_captioner(path: Path, profile: Profile) -> SmallCaptioner:
    """The captioner that notebook 11 left at `path`, in eval mode on the device.

    Raises ValueError naming the file when its weights do not fit the profile's features.
    """
    weights, about = read_tensors(path)
    captioner = SmallCaptioner(profile, Words(about["phrases"]))
    mine = captioner.learned()
    if {key: value.shape for key, value in weights.items()} != {key: value.shape for key, value in mine.items()}:
        raise ValueError(f"{path} was trained for other features than sed.encoder {profile.sed.encoder!r}; retrain it")
    captioner.load_state_dict(weights, strict=False)
    return captioner.to(device()).eval()
