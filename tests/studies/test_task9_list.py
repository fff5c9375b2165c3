"""The validation list: the official one as it is, damaged ones, the mixing of its rows, and a profile's own."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.errors import DataError
from nrsed_lib.evaluate.separation import sdr, si_sdr
from nrsed_lib.studies.task9.own_list import every_class_in_turn, own_list
from nrsed_lib.studies.task9.ratios import challenge_sdr, challenge_si_sdr
from nrsed_lib.studies.task9.validation_list import (
    ABOUT,
    AUDIO,
    LIST,
    check_list,
    mix,
    mixed,
    read_about,
    read_clips,
    read_list,
)
from nrsed_lib.studies.texts.captions import captions_of

HEADER = "source, noise, snr, caption\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two clips of half a second, and a list of two rows."""
    random = np.random.default_rng(0)
    (tmp_path / AUDIO).mkdir()
    for name, level in (("1_a-hq", 0.1), ("2_b-hq", 0.02)):
        soundfile.write(tmp_path / AUDIO / f"{name}.wav", level * random.standard_normal(8000), 16000, subtype="FLOAT")
    (tmp_path / LIST).write_text(HEADER + '1_a-hq,2_b-hq,-15,"A dog, barking."\n2_b-hq,1_a-hq,7,Rain falls.\n')
    about = [("1_a-hq", ["dog"], "A dog, barking."), ("2_b-hq", ["rain", "water"], "Rain falls.")]
    (tmp_path / ABOUT).write_text(json.dumps([{"Index": i, "Tags": t, "Captions": [c] * 3} for i, t, c in about]))
    return tmp_path


def test_the_official_header_is_read_with_its_spaces(tree: Path) -> None:
    table = read_list(tree / LIST)
    assert list(table.columns) == ["source", "noise", "snr", "caption"]
    assert table.snr.tolist() == [-15, 7] and table.caption[0] == "A dog, barking."
    found = check_list(table, read_about(tree / ABOUT)).set_index("what").found
    assert found["mixtures"] == 2 and found["rows that share a tag"] == 0 and found["captions a clip"] == "3"


def test_what_is_promised_and_not_kept_is_counted(tree: Path) -> None:
    (tree / LIST).write_text(HEADER + "1_a-hq,1_a-hq,20,0\n1_a-hq,2_b-hq,3,Rain falls.\n1_a-hq,9,3,x\n")
    found = check_list(read_list(tree / LIST), read_about(tree / ABOUT)).set_index("what").found
    assert found["rows with a clip in itself"] == 1 and found["rows that share a tag"] == 1
    assert found["highest SNR / dB"] == 20 and found["rows with a caption without a letter"] == 1
    assert found["rows with a caption of another clip"] == 2 and found["rows of clips that the JSON does not have"] == 1
    with pytest.raises(DataError, match=r"not a list of \{Index, Tags, Captions\}"):
        (tree / ABOUT).write_text('[{"Index": 1}]')
        read_about(tree / ABOUT)


def test_the_official_list_keeps_its_promises_but_for_one_caption(shared: Path) -> None:
    folder = next((shared / "mirror" / "Vincent-La" / "lass-final-project").glob("*"), None)
    if folder is None:
        pytest.skip("the challenge's list is not among the shared material")
    check = check_list(read_list(folder / LIST), read_about(folder / ABOUT)).set_index("what")
    found = check.found.to_dict()
    assert found["mixtures"] == 3000 and found["clips asked for"] == 1000 and found["clips used as noise"] == 950
    assert (found["lowest SNR / dB"], found["highest SNR / dB"], found["captions a clip"]) == (-15, 15, "3")
    kept = check[check.expected == 0].found
    assert kept[kept != 0].to_dict() == {
        "rows with a caption without a letter": 1,
        "rows of one clip with one caption twice": 24,
    }


def by_hand(source: np.ndarray, noise: np.ndarray, snr: float) -> tuple[np.ndarray, np.ndarray]:
    """The mixing of one row, written from its description."""
    noise = noise * np.sqrt(np.mean(source**2) / 10 ** (snr / 10) / np.mean(noise**2))
    mixture = source + noise
    peak = np.abs(mixture).max()
    return (mixture * 0.9 / peak, source * 0.9 / peak) if peak > 1 else (mixture, source)


def test_rows_are_mixed_as_described(tree: Path) -> None:
    ((rows, mixtures, targets),) = mixed(read_list(tree / LIST), tree / AUDIO, 16000, batch=8)
    clips = {name: soundfile.read(tree / AUDIO / f"{name}.wav")[0] for name in ("1_a-hq", "2_b-hq")}
    assert rows == [0, 1]
    for k, (source, noise, snr) in enumerate((("1_a-hq", "2_b-hq", -15), ("2_b-hq", "1_a-hq", 7))):
        mixture, target = by_hand(clips[source], clips[noise], snr)
        np.testing.assert_allclose(mixtures[k].numpy(), mixture, atol=1e-6)
        np.testing.assert_allclose(targets[k].numpy(), target, atol=1e-6)
        assert challenge_sdr(mixtures[k], targets[k]).item() == pytest.approx(snr, abs=1e-3)
    assert mixtures[0].abs().max() == pytest.approx(0.9)  # the first would have clipped
    assert mixtures[1].abs().max() < 0.9


def test_silent_noise_stays_silent() -> None:
    target = torch.randn(1, 100) * 0.1
    mixture, same = mix(target, torch.zeros(1, 100), torch.tensor([5]))
    assert torch.equal(mixture, target) and torch.equal(same, target)


def test_clips_that_are_not_as_published_are_named(tree: Path) -> None:
    table, path = read_list(tree / LIST), tree / AUDIO / "2_b-hq.wav"
    good = soundfile.read(path)[0]
    for audio, rate, complaint in (
        (good, 8000, "2_b-hq.wav is at 8000 Hz, not 16000"),
        (np.stack([good, good], 1), 16000, "has 2 channels"),
        (0 * good, 16000, "is silent"),
    ):
        soundfile.write(path, audio, rate)
        with pytest.raises(DataError, match=complaint):
            list(mixed(table, tree / AUDIO, 16000, 8))
    soundfile.write(path, good[:100], 16000)
    with pytest.raises(DataError, match="has 100 samples where others have 8000"):
        read_clips(tree / AUDIO, ["1_a-hq", "2_b-hq"], 16000)
    path.unlink()
    with pytest.raises(
        DataError, match=r"1 of 2 clips of the list are not in .*, e.g. 2_b-hq.wav: Zenodo record 10886481"
    ):
        list(mixed(table, tree / AUDIO, 16000, 8))


def test_the_challenge_measures_are_ours_but_for_silence() -> None:
    targets, estimates = torch.randn(2, 5, 4000, dtype=torch.float64)
    torch.testing.assert_close(challenge_sdr(estimates, targets), sdr(estimates, targets))
    torch.testing.assert_close(challenge_si_sdr(estimates, targets), si_sdr(estimates, targets), atol=1e-3, rtol=0)
    silence = torch.zeros(1, 4000)
    loud = torch.full((1, 4000), 0.1)  # mean power 0.01
    assert challenge_sdr(silence, loud).item() == pytest.approx(0)
    assert challenge_sdr(loud, loud).item() == pytest.approx(80, abs=1e-5)  # 0.01 over the floor of 1e-10
    assert challenge_sdr(loud, silence).item() == pytest.approx(-80, abs=1e-5)
    # the overlap is 0, so the target is scaled by ε / (ε + 40), and next to nothing is left of it or beside it
    assert challenge_si_sdr(silence, loud).item() == pytest.approx(0, abs=1e-6)


def test_a_profile_has_a_list_of_its_own(smoke_data, tmp_path, monkeypatch) -> None:
    run = open_run("09", "smoke")
    captions = captions_of([*run.profile.data.classes, *run.profile.data.noise_classes])
    folder = own_list(run, captions)
    table, about = read_list(folder / LIST), read_about(folder / ABOUT)
    found = check_list(table, about)
    assert len(table) == run.profile.studies.task9.nb_validation
    assert (found.found[found.expected == 0] == 0).all(), found
    assert table.snr.between(-15, 15).all()
    trained = {text for c in captions.values() for text in (c.original, *c.augmented["paraphrase"])}
    assert not trained & set(table.caption)
    pd.testing.assert_frame_equal(pd.read_csv(run.tables / "task9_validation.csv"), table)
    for _, mixtures, targets in mixed(table, folder / AUDIO, run.profile.data.sample_rate, 2):
        assert mixtures.shape[1] == run.profile.data.nb_samples and targets.abs().sum() > 0
    before = (folder / LIST).stat().st_mtime_ns
    own_list(run, captions)
    assert (folder / LIST).stat().st_mtime_ns == before, "made twice"


def test_every_class_comes_before_any_comes_again(smoke_data) -> None:
    sources = load_sources(smoke_data, "test")
    nb_classes = len(sources.by_label)
    chosen = every_class_in_turn(sources, nb_classes + 3, np.random.default_rng(0))
    assert len({sources.labels[row] for row in chosen[:nb_classes]}) == nb_classes
    assert len(set(chosen)) == nb_classes + 3
    assert len(sources.kinds) == len(sources)
