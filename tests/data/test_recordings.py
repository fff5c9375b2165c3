"""Real recordings: no source in two splits, clean resampling, exact regions."""

import hashlib
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import soundfile

from nrsed_lib.data import recordings
from nrsed_lib.data.recordings import decode, grouped, listed, pieces, recorded_sources, resampled, split_by_source
from nrsed_lib.errors import DataError
from nrsed_lib.profile import load_profile


@pytest.fixture(scope="module")
def dealt() -> pd.DataFrame:
    data = load_profile("open").data
    table = listed(data)
    return table.assign(split=split_by_source(table, 0))


@pytest.mark.parametrize("column", ["source", "sha256", "url"])
def test_no_source_and_no_file_is_in_two_splits(dealt, column):
    splits = defaultdict(set)
    for key, split in zip(dealt[column], dealt.split, strict=True):
        splits[key].add(split)
    assert not {key: s for key, s in splits.items() if len(s) > 1}


@pytest.mark.parametrize("seed", range(11))
def test_every_target_class_has_sources_in_every_split(dealt, seed):
    sources = dealt.assign(split=split_by_source(dealt, seed))
    sources = sources[sources.role == "target"].drop_duplicates(["label", "source"])
    nb = pd.crosstab(sources.label, sources.split)
    assert (nb.test >= 3).all() and (nb.validation >= 1).all()
    assert (nb.train >= 0.55 * nb.sum(axis=1)).all()  # 60 % less what a minimum takes
    assert nb.test.sum() / nb.to_numpy().sum() == pytest.approx(0.3, abs=0.03)


def test_noise_with_one_source_is_shared_out_between_training_and_test(dealt):
    noise = dealt[dealt.role == "noise"]
    single = noise.groupby("label").filter(lambda rows: len(set(rows.source)) == 1)
    counts = single.drop_duplicates("label").split.value_counts()
    assert set(counts.index) == {"train", "test"}
    assert abs(counts.train - counts.test) <= 1
    several = noise[~noise.label.isin(single.label)].groupby("label").split.agg(set)
    assert all({"train", "test"} <= splits for splits in several)


def test_another_seed_deals_otherwise(dealt):
    again = split_by_source(dealt, 0)
    assert again == dealt.split.tolist()
    assert split_by_source(dealt, 1) != again


def test_shared_sources_and_hashes_join_rows_through_others():
    table = pd.DataFrame({"source": ["a", "a", "b", "c", "d"], "sha256": ["1", "2", "2", "3", "4"]})
    group = grouped(table)
    assert group[0] == group[1] == group[2]
    assert len({group[0], group[3], group[4]}) == 3


def test_a_class_with_too_few_sources_is_named():
    rows = pd.DataFrame({"role": "target", "label": "Dog", "source": list("abcd"), "sha256": list("1234")})
    with pytest.raises(DataError, match="'Dog' has 4 sources"):
        split_by_source(rows, 0)


@pytest.mark.parametrize("rate", [44_100, 48_000, 24_000])
def test_resampling_keeps_what_fits_and_removes_the_rest(rate):
    def level_db(hertz: float) -> float:
        tone = np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate).astype(np.float32)
        return float(10 * np.log10(2 * np.mean(resampled(tone, rate, 16_000)[4000:-4000] ** 2)))

    assert all(abs(level_db(hertz)) < 0.05 for hertz in (50, 1000, 7000))
    assert all(level_db(hertz) < -80 for hertz in (8600, 10_000, 11_900))


def test_a_tone_stays_the_tone_it_was():
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(resampled(tone, 44_100, 16_000)[1000:-1000], expected[1000:-1000], atol=1e-3)


def test_stereo_becomes_mono_and_silence_is_named(tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([np.full(1600, 0.5), np.full(1600, 0.1)], 1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(decode(path, 16_000), 0.3, atol=1e-6)
    soundfile.write(path, np.zeros(100), 16_000)
    with pytest.raises(DataError, match=r"two\.wav is silent"):
        decode(path, 16_000)


def test_long_recordings_become_pieces_that_lose_nothing():
    sound = np.random.default_rng(0).standard_normal(16_000 * 25).astype(np.float32)
    parts = pieces(sound, 16_000, max_gap=np.inf, max_seconds=10)
    assert [round(len(p) / 16_000, 1) for p in parts] == [8.3, 8.3, 8.3]
    np.testing.assert_array_equal(np.concatenate(parts), sound[: sum(map(len, parts))])


def test_from_files_to_sounds(tmp_path, monkeypatch):
    """The whole way, on recordings made here: five sources a class, one file under two names."""
    rng, rows = np.random.default_rng(0), []
    for label, role, nb in (("Dog", "target", 5), ("Cat", "target", 6), ("Rain", "noise", 4)):
        for i in range(nb):
            name = f"{label}-{i}.wav"
            bark = rng.standard_normal(4000) * 0.1
            sound = np.concatenate([np.zeros(8000), bark, np.zeros(12_000), 0.5 * bark, np.zeros(800)])
            same = (label, i) == ("Cat", 5)
            soundfile.write(tmp_path / name, sound, 16_000)
            if same:
                (tmp_path / name).write_bytes((tmp_path / "Cat-4.wav").read_bytes())
            sha256 = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
            rows.append((f"https://nowhere.invalid/{name}", sha256, 0, role, label, f"{label}:{i}", "CC0"))
    columns = ["url", "sha256", "bytes", "role", "label", "source", "licence"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "recordings.csv", index=False)
    monkeypatch.setattr(recordings, "DATA", tmp_path)
    monkeypatch.setenv("NRSED_MIRROR", str(tmp_path))
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path / "cache"))
    data = load_profile("open").data.model_copy(update={"classes": ["Dog", "Cat"], "noise_classes": ["Rain"]})
    sources, table = recorded_sources(data, 0)

    heard = [set(s.recordings) for s in sources.values()]
    assert sum(map(len, heard)) == len(set.union(*heard)) == 14  # one of 15 is a copy
    assert table.split[table.label == "Cat"].tolist()[4] == table.split[table.label == "Cat"].tolist()[5]
    for split, kept in sources.items():
        for label, lengths in ((k, kept.lengths[v]) for k, v in kept.by_label.items()):
            # Targets end at the pause of .75 s; noise keeps it. Ends are found to a frame of 32 ms.
            seconds = 1.25 if label == "Rain" else 0.25
            assert ((lengths / 16_000 - seconds).abs() <= 2 * 0.032).all(), (split, label)
        peak = kept.waveforms().abs().amax(1)
        assert (peak > 0.05).all() and (peak < 1).all()
