"""Embeddings kept in a file: the same as computed, in float16; a killed computation goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.llm.selection import select
from nrsed_lib.profile import CurriculumStage, Profile, load_profile
from nrsed_lib.sed import detector as detectors
from nrsed_lib.sed import embeddings as kept_embeddings
from nrsed_lib.sed.detector import Detector, load_detector
from nrsed_lib.sed.embeddings import keep_embeddings
from nrsed_lib.sed.encoders.beats import Beats, BeatsEncoder
from nrsed_lib.sed.finetuning import NoisyBatch, NoisyEar, features_of, finetune, noisy_ears
from nrsed_lib.sed.training import train_detector


class SmallBeats(BeatsEncoder):
    """BEATs' layout with few channels, at random."""

    size = 32

    def __init__(self, sample_rate: int) -> None:
        torch.manual_seed(0)
        super().__init__(sample_rate, Beats(16, 32, 1, 48, 2, 320, 800, 128, 16))


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setattr(detectors, "build_encoder", lambda name, rate, bfloat16: SmallBeats(rate))
    return load_profile("smoke", {"sed.encoder": "beats"})


@pytest.fixture
def detector(profile: Profile) -> Detector:
    torch.manual_seed(1)
    return Detector(profile).eval()


def clips(detector: Detector, nb: int, profile: Profile) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return (3000 * torch.randn(nb, profile.data.nb_samples, generator=generator)).short()


def test_finer_embeddings_are_averaged_to_the_output_frames(detector: Detector, profile: Profile) -> None:
    waveforms = clips(detector, 2, profile).float() / FULL_SCALE
    assert detector.encoder is not None
    fine = detector.encoder(waveforms)
    assert fine.shape[-1] > detector.nb_frames
    features = detector.features(waveforms)
    assert features.embeddings is not None
    assert features.embeddings.shape == (2, 32, detector.nb_frames)
    assert detector.embedding_seconds == detector.frame_seconds
    # the CRNN would have done the same, later
    expected = detector.detect(features._replace(embeddings=fine))
    for ours, theirs in zip(detector.detect(features), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    frames = torch.stack([f.mean(-1) for f in _windows(fine, detector.nb_frames)], -1)  # by hand
    torch.testing.assert_close(features.embeddings, frames, rtol=1e-5, atol=1e-6)


def _windows(x: Tensor, nb: int) -> list[Tensor]:
    size = x.shape[-1]
    return [x[..., i * size // nb : -((i + 1) * size // -nb)] for i in range(nb)]


def test_kept_are_as_computed_in_float16(detector: Detector, profile: Profile, tmp_path: Path) -> None:
    audio = clips(detector, 5, profile)
    kept = keep_embeddings(detector, audio, tmp_path / "embeddings.npy")
    index = torch.tensor([4, 0, 4])
    rows, computed = kept.rows(index), detector.features(audio[index].float() / FULL_SCALE)
    assert torch.equal(rows.mels, computed.mels)
    assert rows.embeddings is not None and computed.embeddings is not None
    assert rows.embeddings.dtype == torch.float32
    torch.testing.assert_close(rows.embeddings, computed.embeddings, rtol=2**-11, atol=1e-6)
    assert isinstance(np.load(tmp_path / "embeddings.npy", mmap_mode="r"), np.memmap)
    assert [p.name for p in tmp_path.iterdir()] == ["embeddings.npy"]


def test_killed_goes_on_and_done_is_read(
    detector: Detector, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_embeddings, "BATCH", 2)
    audio = clips(detector, 7, profile)
    whole = keep_embeddings(detector, audio, tmp_path / "whole.npy").embeddings
    compute, calls = detector.embeddings, []

    def killed(waveforms: Tensor) -> Tensor | None:
        calls.append(len(waveforms))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(waveforms)

    monkeypatch.setattr(detector, "embeddings", killed)
    with pytest.raises(KeyboardInterrupt):
        keep_embeddings(detector, audio, tmp_path / "killed.npy")
    assert not (tmp_path / "killed.npy").exists()
    resumed = keep_embeddings(detector, audio, tmp_path / "killed.npy").embeddings
    assert calls == [2, 2, 2, 2, 1]  # the third batch was killed, and is the first of the second run
    assert torch.equal(resumed, whole)
    keep_embeddings(detector, audio, tmp_path / "killed.npy")
    assert len(calls) == 5


def elsewhere(smoke_data: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *notebooks: str) -> None:
    """Results of their own, with what notebooks of other tests of this session have made: folders are shared."""
    work = tmp_path / "smoke" / "work"
    work.mkdir(parents=True)
    for notebook in ("01", *notebooks):
        made = Run(smoke_data.profile, notebook, 0).folder.parent
        (work / made.name).symlink_to(made)
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))


def test_stage_1_learns_from_kept_embeddings(
    profile: Profile, smoke_data: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(smoke_data, tmp_path, monkeypatch)
    monkeypatch.setattr("nrsed_lib.sed.training.all_features", None)  # nothing is gathered in memory
    run = Run(profile, "03", 0)
    run.folder.mkdir(parents=True)
    assert len(train_detector(run)) == profile.sed.train.steps
    data = profile.data
    shape = np.load(run.folder / "embeddings.npy", mmap_mode="r").shape
    assert shape == (data.nb_strong + data.nb_weak + data.nb_unlabelled, 32, Detector(profile).nb_frames)
    assert (run.folder / "theta.safetensors").exists()


def test_stage_2_embeds_what_hears_noise_and_looks_up_the_rest(
    profile: Profile, smoke_data: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select(open_run("02", smoke_data.profile))
    elsewhere(smoke_data, tmp_path, monkeypatch, "02")
    parts = [CurriculumStage(share=1.0, parts_db=[None, 5.0])]
    tune = profile.sed.finetune.model_copy(update={"curriculum": parts, "noisy": "strong"})
    profile = profile.model_copy(update={"sed": profile.sed.model_copy(update={"finetune": tune})})
    for notebook in ("03", "04"):
        Run(profile, notebook, 0).folder.mkdir(parents=True)
    train_detector(Run(profile, "03", 0))
    run = Run(profile, "04", 0)
    detector = load_detector(run.find("theta"), profile)
    ear = noisy_ears(run, ["full"], detector)["full"]

    kept = keep_embeddings(detector, ear.clips.audio, run.find("theta").with_name("embeddings.npy"))
    heard, index = ear.hear(torch.arange(24), 0), torch.arange(24)
    assert 0 < heard.snr_db.isfinite().sum() < 24
    rows = torch.tensor([23, 0, 5, 1, 7])
    found, computed = features_of(heard, rows, index, detector, kept), detector.features(heard.mixtures[rows])
    assert found.embeddings is not None and computed.embeddings is not None
    assert torch.equal(found.mels, computed.mels)
    torch.testing.assert_close(found.embeddings, computed.embeddings, rtol=2**-11, atol=1e-5)

    embed, hear, counts = Detector.embeddings, NoisyEar.hear, {"embedded": 0, "in noise": 0}

    def embedding(self: Detector, waveforms: Tensor) -> Tensor | None:
        counts["embedded"] += len(waveforms)
        return embed(self, waveforms)

    def hearing(self: NoisyEar, index: Tensor, step: int) -> NoisyBatch:
        batch = hear(self, index, step)
        counts["in noise"] += int(batch.snr_db.isfinite().sum())
        return batch

    monkeypatch.setattr(Detector, "embeddings", embedding)
    monkeypatch.setattr(NoisyEar, "hear", hearing)
    finetune(run, "full", ear)
    assert 0 < counts["embedded"] == counts["in noise"] < tune.steps * 4
    assert not (run.folder / "embeddings.npy").exists()
