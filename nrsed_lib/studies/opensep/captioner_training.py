"""The captioner of notebook 11 learns from mixtures of one to four training sounds, and from what is said of them.

Ears and mouth learn apart: the ears from mixtures whose classes are known, the mouth from made-up hearings of any
classes, which cost nothing.
"""

from __future__ import annotations

import math

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.lass.mixtures import Mixer
from nrsed_lib.lass.training import OPTIMISER
from nrsed_lib.store import read_tensors, remove, write_tensors
from nrsed_lib.studies.opensep.caption_words import END, NEXT, Words
from nrsed_lib.studies.opensep.captioner import NB_HEARD, Front, Hearing, SmallCaptioner, clip_logits
from nrsed_lib.studies.settings import CaptionerTrain, studies_of
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.training import Loss, Step, descend, device, keep, kept, step_generator

NB_SOURCES = (1, 2, 3, 4)  # of the mixtures, each as often
LEVEL_DB = (-5.0, 5.0)  # of each sound
NB_TOLD = 32  # made-up hearings a step
SAYING_LR, SAYING_SHARE = 6e-3, 0.6  # saying is learned by heart: at a higher rate, in a share of the steps
PREPARE = 16  # mixtures prepared at once


def train_captioner(run: Run) -> pd.DataFrame:
    """Leave `captioner.safetensors` and `captioner.csv` in the notebook's folder; return the history.

    One row a step: hear (cross entropy of a clip's classes, nat), say (of a word). One captioner serves all seeds.
    Killed, it resumes from its last checkpoint to the same weights; done, it only reads.
    """
    files = run.folder / "captioner.safetensors", run.folder / "captioner.csv"
    if (history := kept(*files)) is not None:
        return history
    settings = studies_of(run.profile).opensep.captioner
    sources = load_sources(run, "train").to(device())
    mixer = Mixer(sources, round(settings.seconds * sources.sample_rate))
    torch.manual_seed(settings.seed)
    captioner = SmallCaptioner(run.profile, Words.of(captions_of(mixer.labels))).to(device()).train()
    history = train_ears(captioner, mixer, settings, run)[["step", "hear"]]
    history = history.merge(train_mouth(captioner, settings, run)[["step", "say"]], on="step", how="left")
    keep(*files, captioner.learned(), history, phrases=captioner.phrases.phrases)
    remove(run.folder / "captioner-prepared.safetensors")
    return history


def train_ears(captioner: SmallCaptioner, mixer: Mixer, settings: CaptionerTrain, run: Run) -> pd.DataFrame:
    """From mixtures whose classes are known; the history's column `hear` is nat a clip."""
    ready = prepared(captioner.front, mixer, settings, run) if settings.nb_mixtures else None

    def draw(step: Step) -> tuple[Tensor, Tensor]:
        if ready is None:
            return draw_features(captioner.front, mixer, settings.batch, step.generator)
        rows = torch.randint(len(ready[0]), (settings.batch,), generator=step.generator).to(ready[0].device)
        return ready[0][rows].float(), ready[1][rows]

    def losses(_: Step, features: Tensor, present: Tensor) -> dict[str, Loss]:
        logits = clip_logits(captioner.ears(features))
        entropy = F.binary_cross_entropy_with_logits(logits, present.float(), reduction="none").sum(1)
        return {"hear": Loss(entropy.mean())}

    sizes = (settings.batch,)
    return descend(
        "captioner-ears", captioner.ears, draw, losses, OPTIMISER, settings, sizes, run.folder, settings.seed
    )


def train_mouth(captioner: SmallCaptioner, settings: CaptionerTrain, run: Run) -> pd.DataFrame:
    """From made-up hearings of any classes; the history's column `say` is nat a word."""
    nb_classes = len(captioner.phrases.phrases)
    schedule = settings.model_copy(update={"lr": SAYING_LR, "steps": math.ceil(SAYING_SHARE * settings.steps)})

    def draw(step: Step) -> Hearing:
        return made_up(nb_classes, NB_TOLD, step.generator)

    def losses(_: Step, *columns: Tensor) -> dict[str, Loss]:
        return {"say": Loss(saying_error(captioner, Hearing(*columns)))}

    return descend(
        "captioner-mouth", captioner.mouth, draw, losses, OPTIMISER, schedule, (NB_TOLD,), run.folder, settings.seed
    )


def draw_features(front: Front, mixer: Mixer, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Features of `batch` mixtures (B, size, nb_frames), and which classes are in them (B, nb_classes) bool."""
    mixtures, present = [], torch.zeros(batch, len(mixer.labels), dtype=torch.bool)
    numbers = torch.arange(batch).tensor_split(len(NB_SOURCES))
    for nb_sources, rows in zip(NB_SOURCES, numbers, strict=True):
        if len(rows):
            drawn = mixer.draw_apart(len(rows), nb_sources, LEVEL_DB, generator)
            mixtures.append(drawn.sounds.sum(1))
            present[rows[:, None], drawn.classes] = True
    together = torch.cat(mixtures)
    return front(together), present.to(together.device)


def prepared(front: Front, mixer: Mixer, settings: CaptionerTrain, run: Run) -> tuple[Tensor, Tensor]:
    """`nb_mixtures` of them, for features that cost more than what learns from them: (nb, size, nb_frames) float16 and
    (nb, nb_classes) bool. Kept in a file until the training is over."""
    path = run.folder / "captioner-prepared.safetensors"
    if sharding.is_first() and not path.exists():
        nb_parts = math.ceil((settings.nb_mixtures or 0) / PREPARE)
        parts = []
        for i in tqdm(range(nb_parts), desc="mixtures to caption", unit=f"{PREPARE} mixtures", mininterval=1.0):
            generator = step_generator(settings.seed, "captioner mixtures", i)
            features, present = draw_features(front, mixer, PREPARE, generator)
            parts.append((features.half(), present))
        features, present = (torch.cat(column) for column in zip(*parts, strict=True))
        write_tensors(path, {"features": features, "present": present})
    sharding.wait()
    tensors = read_tensors(path)[0]
    return tensors["features"].to(device()), tensors["present"].to(device())


def made_up(nb_classes: int, batch: int, generator: torch.Generator) -> Hearing:
    """Hearings of classes by lot, one to `NB_HEARD` of them said, at any times."""
    nb_heard = min(NB_HEARD, nb_classes)
    classes = torch.rand(batch, nb_classes, generator=generator).topk(nb_heard, dim=1).indices
    nb_said = 1 + (nb_heard * torch.rand(batch, 1, generator=generator)).floor()
    times = torch.rand(2, batch, nb_heard, generator=generator).sort(0).values
    what = Hearing(classes, torch.arange(nb_heard) < nb_said, *times)
    return Hearing(*(column.to(device()) for column in what)).in_order()


def saying_error(captioner: SmallCaptioner, what: Hearing) -> Tensor:
    """Mean cross entropy of the words that tell of what is heard, the end included: ()."""
    nb_said = what.said.sum(1).tolist()
    told = [zip(*told, strict=True) for told in zip(what.classes.tolist(), what.gaps.tolist(), strict=True)]
    rows = [captioner.phrases.caption(list(sounds)[:nb]) for sounds, nb in zip(told, nb_said, strict=True)]
    words = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=-1).to(device())
    inputs, wanted = words[:, :-1].clamp(min=END), words[:, 1:]
    at = (inputs == NEXT).cumsum(1)
    logits, _ = captioner.mouth(captioner.mouth.sounds(what), inputs, at)
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1)
