"""FSD50K, Clotho and the caption JSON, read from small trees in the published layouts, whole and damaged."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import DataError
from nrsed_lib.profile import load_profile
from nrsed_lib.studies.task9.development import (
    captioned_sounds,
    pieces_of,
    read_captions,
    read_clotho,
    read_fsd50k,
    task9_root,
)
from nrsed_lib.studies.task9.sounds import ClipByClip, training_sounds

CLOTHO_COLUMNS = ["file_name", *(f"caption_{i}" for i in range(1, 6))]


def tone(path: Path, seconds: float, rate: int = 44100, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.stack([wave] * channels, 1), rate)


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """A tree of the development set: two clips a split of FSD50K, one a split of Clotho."""
    monkeypatch.setenv("NRSED_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path / "results"))
    root = task9_root()
    (root / "FSD50K" / "FSD50K.ground_truth").mkdir(parents=True)
    for split, names in (("dev", (64760, 16399)), ("eval", (37199, 175151))):
        rows = [
            (names[0], '"Dog,Domestic_animals_and_pets,Animal"', '"/m/0bt9lr,/m/068hy,/m/0jbk"'),
            (names[1], "Rain", "/m/06mb1"),
        ]
        text = "fname,labels,mids" + (",split" if split == "dev" else "") + "\n"
        text += "".join(f"{n},{labels},{mids}{',train' if split == 'dev' else ''}\n" for n, labels, mids in rows)
        (root / "FSD50K" / "FSD50K.ground_truth" / f"{split}.csv").write_text(text)
        data = [{"wav": f"{n}.wav", "caption": f"The sound of {i}."} for i, n in enumerate(names)]
        (root / f"fsd50k_{split}_auto_caption.json").write_text(json.dumps({"num_captions_per_audio": 1, "data": data}))
        tone(root / "FSD50K" / f"FSD50K.{split}_audio" / f"{names[0]}.wav", 1.3)
        tone(root / "FSD50K" / f"FSD50K.{split}_audio" / f"{names[1]}.wav", 0.7, channels=2)
    for split in ("development", "validation", "evaluation"):
        table = pd.DataFrame(
            [[f"{split} 1.wav", *(f"Caption {i}, “quoted”" for i in range(5))]], columns=CLOTHO_COLUMNS
        )
        (root / "clotho").mkdir(exist_ok=True)
        table.to_csv(root / "clotho" / f"clotho_captions_{split}.csv", index=False)
        folder = split if split != "validation" else f"clotho_audio_{split}"
        tone(root / "clotho" / folder / f"{split} 1.wav", 2.6)
    return root


def run_of(**overrides) -> Run:
    profile = load_profile("smoke", {"studies.task9.sounds": "development", **overrides})
    return Run(profile, "09", 0)


def test_published_layouts_are_read(root: Path) -> None:
    dog, rain = read_fsd50k(root / "FSD50K", "dev")
    assert dog.name == "64760.wav" and dog.path.is_file() and dog.captions == ("The sound of 0.",)
    assert dog.kinds == {"Dog", "Domestic_animals_and_pets", "Animal"} and rain.kinds == {"Rain"}
    (clip,) = read_clotho(root / "clotho", "validation")
    assert clip.path.is_file() and len(clip.captions) == 5 and clip.kinds == frozenset()


def test_the_development_set_becomes_pieces_of_16_khz(root: Path) -> None:
    run = run_of()  # segments of 1 s
    sounds = captioned_sounds(run)
    # 1.3 s: one piece (0.3 s is too little for a second); 0.7 s: one; 2.6 s: three
    assert len(sounds) == 4 * 1 + 3 * 3
    waves = sounds.waveforms(list(range(len(sounds))))
    assert waves.shape == (13, 16000)
    t = torch.arange(11000) / 16000
    torch.testing.assert_close(waves[1, 100:11000], 0.1 * torch.sin(2 * torch.pi * 440 * t)[100:], atol=2e-3, rtol=0)
    assert torch.equal(waves[1, 11300:], torch.zeros(4700)), "a clip of 0.7 s is followed by silence"
    assert torch.equal(sounds.waveforms([12, 1]), waves[[12, 1]])
    table = pd.read_csv(run.tables / "task9_data.csv")
    assert table.used.tolist() == [2, 2, 1, 1, 1] and not table.missing.any() and not table.unreadable.any()
    again = captioned_sounds(run)
    assert torch.equal(again.waveforms([3]), waves[[3]])


def test_pairs_are_of_different_kinds_and_asked_for_in_their_own_words(root: Path) -> None:
    sounds = training_sounds(run_of(), 16000)
    assert isinstance(sounds, ClipByClip)
    texts = {text for captions in sounds.captioned.captions for text in captions}
    for step in range(5):
        drawn = sounds.draw(6, torch.Generator().manual_seed(step))
        assert drawn.targets.shape == drawn.noises.shape == (6, 16000)
        assert set(drawn.queries) <= texts
    one_kind = [frozenset({"Dog"})] * len(sounds.captioned)
    sounds.captioned.kinds[:] = one_kind
    with pytest.raises(ValueError, match="is of another kind than"):
        sounds.draw(1, torch.Generator().manual_seed(0))


def test_what_is_missing_or_broken_is_named_and_counted(root: Path) -> None:
    (root / "FSD50K" / "FSD50K.dev_audio" / "64760.wav").unlink()
    (root / "FSD50K" / "FSD50K.eval_audio" / "37199.wav").write_bytes(b"no sound")
    tone(root / "clotho" / "development" / "development 1.wav", 2.6)
    run = run_of()
    captioned_sounds(run)
    table = pd.read_csv(run.tables / "task9_data.csv").set_index("part")
    assert table.missing.to_dict() == {name: int(name == "fsd50k_dev") for name in table.index}
    assert table.unreadable.to_dict() == {name: int(name == "fsd50k_eval") for name in table.index}
    assert (run.tables / "missing" / "task9_fsd50k_dev.txt").read_text() == "64760.wav\n"


def test_a_short_clip_is_counted_as_one(root: Path) -> None:
    tone(root / "FSD50K" / "FSD50K.dev_audio" / "16399.wav", 0.3)
    run = run_of()
    captioned_sounds(run)
    assert pd.read_csv(run.tables / "task9_data.csv").set_index("part").short["fsd50k_dev"] == 1
    clips = read_fsd50k(root / "FSD50K", "dev")
    assert [item.start for _, item in pieces_of(clips, 0.5)] == [0.0, 0.5], "1.3 s: two halves, and too little"


def test_a_part_that_is_not_there_stops_with_its_remedy(root: Path) -> None:
    (root / "clotho" / "evaluation" / "evaluation 1.wav").unlink()
    with pytest.raises(DataError, match=r"none of 1 clips of clotho_evaluation is in .*4783391"):
        captioned_sounds(run_of())
    (root / "FSD50K" / "FSD50K.ground_truth" / "dev.csv").unlink()
    with pytest.raises(DataError, match=r"dev.csv is missing: Zenodo record 4060432: `nrsed data fetch fsd50k`"):
        captioned_sounds(run_of())


def test_a_wav_with_several_captions_is_one_clip(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps({"data": [{"wav": "a/x.wav", "caption": c} for c in ("One.", "Two.")]}))
    (clip,) = read_captions(path, tmp_path)
    assert clip.captions == ("One.", "Two.") and clip.path == tmp_path / "a" / "x.wav"
