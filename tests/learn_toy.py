"""Learn small detectors and a separator on made tensors; run by test_sharding.py, alone or under torchrun.

    learn_toy.py FOLDER/NAME:STEPS …        e.g. one/float64:10 one/separator:5

Everything that makes rows depend on each other or on chance is in it: batch norm, both kinds of dropout,
mean teacher, mixup, shifts and masks; batches that two processes can not share evenly.
"""

import os
import sys
from types import SimpleNamespace

import torch

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Sources
from nrsed_lib.lass.separator import Separator
from nrsed_lib.lass.training import mix_and_separate
from nrsed_lib.profile import Lass, load_profile
from nrsed_lib.sed.crnn import CRNN
from nrsed_lib.sed.detector import Features
from nrsed_lib.sed.mean_teacher import train_student
from nrsed_lib.sed.mel import SCALERS
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.training import device

NB_CLIPS, NB_CLASSES, NB_FRAMES = 30, 4, 20
RELEASED = {
    f"sed.ways.{way}": "as_released" for way in ("scaler", "clip_loss", "teacher", "warmup", "augmentation", "batches")
}


def detector(name: str, steps: int) -> None:
    """name: a precision, ours; or "released", the released ways in float64."""
    dtype, ways = (torch.float64, RELEASED) if name == "released" else (getattr(torch, name), {})
    batch = {"strong": 3, "weak": 2, "unlabelled": 4}
    profile = load_profile("smoke", {f"sed.batch.{of}": nb for of, nb in batch.items()} | ways)
    run = Run(profile, "03", 0)
    schedule = profile.sed.train.model_copy(update={"steps": steps, "warmup_steps": 2, "lr": 1e-3})
    torch.manual_seed(0)
    crnn = CRNN(NB_CLASSES, [8, 8], [(2, 4), (1, 8)], 8, 1, embedding_size=6, projection=5).to(device(), dtype)
    features = Features(torch.rand(NB_CLIPS, 32, 2 * NB_FRAMES), torch.randn(NB_CLIPS, 6, 5))
    features = Features(*(x.to(device(), dtype) for x in features))
    strong = (torch.rand(NB_CLIPS, NB_CLASSES, NB_FRAMES) < 0.3).to(device(), dtype)
    clips = TrainingSet(torch.zeros(NB_CLIPS, 1), strong, strong.amax(-1), [], (10, 8, 12))
    whole = SimpleNamespace(
        crnn=crnn,
        nb_frames=NB_FRAMES,
        classes=profile.data.classes,
        scale=SCALERS[profile.sed.ways.scaler],
        frame_seconds=profile.data.clip_seconds / NB_FRAMES,
        mel_seconds=profile.sed.mel.hop / profile.data.sample_rate,
        embedding_seconds=profile.data.clip_seconds / 5,
    )
    share = sharding.Share(tuple(batch.values()))

    def hear(index, _) -> Features:
        return share.each(features.rows, index)  # as a noisy ear: each its share, then put together

    train_student(run, name, whole, hear, clips, schedule)  # type: ignore[arg-type]
    torch.save(crnn.state_dict(), run.folder / f"{name}-rank{sharding.rank()}.pt")


def separator(name: str, steps: int) -> None:
    torch.manual_seed(0)
    labels = ["Dog", "Cat", "Speech", "Rain", "Wind"] * 2
    kinds = ["target", "target", "target", "noise", "noise"] * 2
    audio = (8000 * torch.randn(10, 8000)).to(torch.int16).to(device())
    sources = Sources([f"{i}/0" for i in range(10)], labels, kinds, audio, torch.full((10,), 8000), 8000)
    sizes = {"n_fft": 64, "hop": 32, "nb_bands": 16, "nb_channels": [4, 6, 8], "condition_size": 8}
    train = {"steps": steps, "warmup_steps": 1, "batch": 5, "seconds": 0.5, "lr": 1e-3}
    settings = Lass(**sizes, dprnn_layers=1, dprnn_hidden=4, train=train)  # type: ignore[arg-type]
    run = Run(load_profile("smoke"), "05", 0)
    net = Separator(settings).to(device())
    mix_and_separate(net, sources, settings.train, run.folder, run.seed)


torch.set_num_threads(1)
sharding.start()
for task in sys.argv[1:]:
    path, _, steps = task.partition(":")
    os.environ["NRSED_RESULTS"], name = path.rsplit("/", 1)
    (separator if name == "separator" else detector)(name, int(steps))
