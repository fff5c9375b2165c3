"""Stage 01 and the check on whole trees in the published layout, sound and damaged."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from desed_tree import (
    CLASSES,
    RATE,
    SMALL,
    folder_of,
    make_tree,
    names_of,
    strong_lines,
    tone,
    write_clips,
    write_lines,
)  # fmt: skip
from typer.testing import CliRunner

from nrsed_lib.artefacts import open_run, shown_folder
from nrsed_lib.data.clips import list_digest
from nrsed_lib.data.desed import audioset
from nrsed_lib.data.desed.check import check_desed
from nrsed_lib.data.desed.layout import PARTS, listing
from nrsed_lib.data.prepare import load_condition, load_noise, load_sources, load_split, prepare
from nrsed_lib.errors import DataError, StoreError
from nrsed_lib.profile import PROFILES, load_profile
from nrsed_lib.run.cli import app


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, folder in (("NRSED_DATA", "dataset"), ("NRSED_CACHE", "cache"), ("NRSED_RESULTS", "results")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    return make_tree(tmp_path / "dataset")


def opened(**more):
    return open_run("01", "paper", SMALL | more)


def prepared(**more):
    run = opened(**more)
    prepare(run)
    return run


def checked(run):
    return check_desed(run).set_index("part")


def test_a_whole_tree_loads_as_any_other_data(tree):
    run = prepared()
    for split, nb in (("strong", 6), ("weak", 3), ("unlabelled", 3), ("validation", 3), ("test", 3)):
        clips = load_split(run, split)
        assert clips.audio.shape == (nb, 16_000) and clips.classes == tuple(CLASSES)
        for name, wave in zip(clips.names, clips.waveforms(), strict=True):
            np.testing.assert_allclose(wave[800:-800], tone(name, rate=16_000)[800:-800], atol=2e-3)
    assert load_split(run, "weak").events.drop_duplicates("filename").onset.tolist() == [0, 0, 0]
    assert load_split(run, "weak").label_sets == [frozenset({"Dog", "Speech"})] * 3
    assert load_split(run, "unlabelled").label_sets == [frozenset()] * 3
    test = load_split(run, "test")
    assert [len(events) for events in test.ground_truth.values()] == [2, 1, 0]
    assert test.durations == dict.fromkeys(test.names, 1.0)
    for path in run.folder.glob("*.npy"):
        assert path.is_symlink(), f"{path} is a copy"
    table = pd.read_csv(run.tables / "data.csv").set_index("split")
    assert table.used.to_dict() == {"strong": 6, "weak": 3, "unlabelled": 3, "validation": 3, "test": 3}


def test_each_condition_is_the_noisy_release(tree):
    names = names_of("real_validation", 3)
    for name in names:
        soundfile.write(tree / "WildDESED/test-5db" / name, 0.1 * tone(name), RATE)
    run = prepared()
    clean, noisy = load_condition(run, "clean"), load_condition(run, "-5dB")
    torch.testing.assert_close(clean, load_split(run, "test").waveforms())
    torch.testing.assert_close(noisy[:, 800:-800], clean[:, 800:-800] / 10, atol=1e-3, rtol=0)
    torch.testing.assert_close(load_condition(run, "-5dB", [2]), noisy[[2]])
    torch.testing.assert_close(load_condition(run, "0dB"), clean)
    with pytest.raises(StoreError, match=r"test_noise\.npy is missing"):
        load_noise(run)


def test_a_missing_and_a_broken_clip_are_left_out_everywhere(tree):
    names = names_of("real_validation", 3)
    (tree / "WildDESED/test0db" / names[0]).unlink()
    folder = folder_of(tree, "weak")
    (folder / names_of("weak", 3)[1]).write_bytes(b"RIFF")
    run = prepared()
    test, weak = load_split(run, "test"), load_split(run, "weak")
    assert test.names == names[1:] and set(test.events.filename) == {names[1]}
    assert list(test.durations) == list(test.ground_truth) == names[1:]
    for condition in run.profile.data.conditions:
        wave = load_condition(run, condition)
        assert wave.shape == (2, 16_000)
        np.testing.assert_allclose(wave[0, 800:-800], tone(names[1], rate=16_000)[800:-800], atol=2e-3)
    assert weak.names == [n for i, n in enumerate(names_of("weak", 3)) if i != 1]
    assert pd.read_csv(run.tables / "data.csv").set_index("split").used[["weak", "test"]].tolist() == [2, 2]


def test_short_recordings_keep_their_durations(tree):
    name = names_of("real_validation", 3)[1]
    soundfile.write(folder_of(tree, "real_validation") / name, tone(name, 0.5), RATE)
    clips = load_split(prepared(), "test")
    assert clips.durations[name] == 0.5 and clips.seconds == 1.0
    assert not clips.waveforms([1])[0, 8000:].any()


def test_what_is_wholly_missing_is_said_at_once(tree):
    for path in (tree / "WildDESED/test5db").iterdir():
        path.unlink()
    (tree / PARTS["weak"].metadata[0]).unlink()
    with pytest.raises(
        DataError, match=r"(?s)weak: no label file.*wild_test_5dB: none of its clips.*14013803.*data check"
    ):
        prepared()


def test_fewer_clips_are_taken_at_even_distances(tree):
    strong = load_split(prepared(**{"data.nb_strong": 2, "sed.batch.strong": 2}), "strong")
    assert strong.names == [names_of("synthetic_train", 3)[0], names_of("strong_real", 3)[-1]]


def test_a_second_run_converts_nothing(tree, monkeypatch):
    prepare(run := prepared())
    before = {p.name: p.stat().st_mtime_ns for p in run.folder.iterdir() if p.is_file()}
    from nrsed_lib.data.desed import shards

    monkeypatch.setattr(shards, "take", None)
    for path in run.folder.glob("*.npy"):
        path.unlink()  # the stage was emptied, say because code changed; the shards were not
    prepare(run)
    assert set(before) == {p.name for p in run.folder.iterdir() if p.is_file()}


def test_sounds_are_split_by_video_and_heard_alone(tree):
    run = prepared()
    sources = {split: load_sources(run, split) for split in ("train", "validation", "test")}
    heard = [set(s.recordings) for s in sources.values()]
    assert sum(map(len, heard)) == len(set.union(*heard))
    train = sources["train"]
    assert set(train.select("noise").by_label) == {"Rain", "Clock"}
    assert {len(rows) for rows in train.select("noise").by_label.values()} == {3}
    clocks = {int(n.split("/")[0]) for n, label in zip(train.names, train.labels, strict=True) if label == "Clock"}
    assert all(i % 2 == 0 for i in clocks), "speech is heard in a sound of a clock"
    assert set(train.lengths.tolist()) <= {6400, 8000, 12_800}
    level = torch.stack(
        [w[: int(n)].square().mean().sqrt() for w, n in zip(train.waveforms(), train.lengths, strict=True)]
    )
    torch.testing.assert_close(level, torch.full_like(level, 0.05), rtol=0.02, atol=0)


def test_a_video_of_the_test_clips_is_no_noise(tree):
    before = set(load_sources(prepared(), "train").recordings)
    video = sorted(before & {f"{i:011d}" for i in range(60)})[0]
    path = tree / PARTS["real_validation"].metadata[0]
    path.write_text(path.read_text() + f"Y{video}_30.000_31.000.wav\t0.1\t0.2\tDog\n")
    sounds, _ = audioset.isolated_sounds(opened().profile.data)
    assert video not in {item.name.split("/")[0] for items in sounds.values() for item, *_ in items}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("00000000000_30000\t0.1\t0.2\t/m/xxx", "label '/m/xxx' has no name"),
        ("00000000000\t0.1\t0.2\t/m/rain", "segment_id '00000000000' is not <video>_<milliseconds>"),
        ("00000000000_30000\t0.3\t0.2\t/m/rain", "end_time_seconds '0.2' of '.*' is not after the onset"),
    ],
)
def test_a_wrong_row_of_audioset_is_named(tree, row, message):
    path = tree / audioset.LABELS
    nb = len(path.read_text().splitlines())
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(DataError, match=rf"audioset_train_strong\.tsv, line {nb + 1}: {message}"):
        audioset.isolated_sounds(opened().profile.data)


def test_pure_is_what_a_slow_loop_finds():
    rng = np.random.default_rng(0)
    events = pd.DataFrame({"clip": rng.integers(20, size=300), "onset": rng.uniform(0, 9, 300).round(1)})
    events["offset"] = events.onset + rng.uniform(0.1, 2, 300).round(1)
    events["target"] = rng.choice(["", "", "Dog", "Cat"], 300)
    rows = list(events.itertuples(index=False))
    slow = [
        not any(
            o.clip == e.clip and o.target not in ("", e.target) and o.onset < e.offset and e.onset < o.offset
            for o in rows
        )
        for e in rows
    ]
    assert 30 < sum(slow) < 270
    assert audioset.pure(events).tolist() == slow


def test_the_check_of_a_sound_tree(tree):
    table = checked(opened())
    used = table[table.split != "not used"]
    assert (used.remedy[used.index != "audioset_strong"] == "").all()
    assert (used.present == used.listed).all()
    assert table.loc["real_validation", "list_hash"] == list_digest(listing("real_validation", CLASSES).names)
    assert table.loc["real_validation", ["wrong_rate", "multichannel", "silent", "clipped"]].tolist() == [3, 0, 0, 0]
    assert "Thunder" in table.remedy["audioset_strong"]
    assert "Zenodo record" in table.remedy["public_eval"] and table.listed["public_eval"] == 0


def test_the_check_of_a_damaged_tree(tree):
    folder, names = folder_of(tree, "unlabelled"), [f"u {i}.wav" for i in range(9)]
    write_clips(folder, names)
    (folder / names[0]).unlink()
    soundfile.write((folder / names[1]).with_suffix(".flac"), np.random.default_rng(0).uniform(-1, 1, RATE), RATE)
    (folder / names[1]).unlink()
    flac = (folder / names[1]).with_suffix(".flac")
    flac.write_bytes(flac.read_bytes()[:30_000])
    (folder / names[2]).write_bytes(b"")
    soundfile.write(folder / names[3], np.stack([tone("x")] * 2, 1), RATE)
    soundfile.write(folder / names[4], tone("x", rate=16_000), 16_000)
    soundfile.write(folder / names[5], np.zeros(RATE), RATE)
    soundfile.write(folder / names[6], tone("x", 0.1), RATE)
    soundfile.write(folder / names[7], tone("x", gain=9).clip(-1, 1), RATE)
    (folder / names[8]).rename((folder / names[8]).with_suffix(".FLAC"))
    write_lines(tree / PARTS["unlabelled"].metadata[0], ["filename", *names, names[8]], end="\r\n")
    run = opened()
    row = checked(run).loc["unlabelled"]
    found = {
        "listed": 9, "present": 8, "missing": 1, "unreadable": 2, "wrong_rate": 5, "multichannel": 1, "silent": 1,
        "short": 1, "clipped": 1, "renamed": 2, "duplicate_rows": 1,
    }  # fmt: skip
    assert row[list(found)].to_dict() == found
    path = shown_folder(run.profile) / "missing" / "unlabelled.tsv"
    assert str(path) in row.remedy and "the form on https://project.inria.fr/desed/" in row.remedy
    faults = pd.read_csv(path, sep="\t").set_index("filename").error
    assert faults.index.tolist() == names[:3] and faults.iloc[[0, 2]].tolist() == ["missing", "empty file"]
    prepare(run)
    assert load_split(run, "unlabelled").names == names[3:]


def test_a_label_file_that_breaks_a_rule_is_a_row_of_the_check(tree):
    write_lines(tree / PARTS["strong_real"].metadata[0], strong_lines([("a.wav", "0", "1", "Zebra")]))
    row = checked(opened()).loc["strong_real"]
    assert row.listed == 0 and "line 2: event_label 'Zebra'" in row.remedy
    with pytest.raises(DataError, match="Zebra"):
        prepared()


REAL = "mirror/cai525/Transformer4SED/becbea2a265ed361e244d1c9ca5b1fce15620d7c/meta/desed"
SAMPLE = 4  # clips of a part that get audio


def test_the_published_label_files_with_audio_for_a_few_clips(tree, shared):
    """The whole way on the real lists: everything else is told to be missing, and the rest is heard."""
    if not (shared / REAL).is_dir():
        pytest.skip(f"{shared / REAL} is not there")
    paper = load_profile("paper").data
    published = {
        "synthetic_train": "train/synthetic21_train/soundscapes.tsv",
        "strong_real": "train/audioset_strong.tsv",
        "weak": "train/weak.tsv",
        "synthetic_validation": "validation/synthetic21_validation/soundscapes.tsv",
        "real_validation": "validation/validation.tsv",
    }
    sample = {}
    for part, file in published.items():
        (tree / PARTS[part].metadata[0]).write_bytes((shared / REAL / file).read_bytes())
        names = listing(part, paper.classes).names
        sample[part] = [names[i] for i in np.linspace(0, len(names) - 1, SAMPLE).astype(int)]
        shutil.rmtree(folder_of(tree, part))
        write_clips(folder_of(tree, part), sample[part])
    for snr in (10, 5, 0, -5):
        write_clips(tree / f"WildDESED/test{snr}db", sample["real_validation"])
    run = opened(**{"data.classes": paper.classes})
    table = checked(run)
    for part in published:
        row = table.loc[part]
        assert (row.listed, row.present, row.unreadable) == (PARTS[part].nb_clips, SAMPLE, 0)
        missing = pd.read_csv(shown_folder(run.profile) / "missing" / f"{part}.tsv", sep="\t")
        assert row.missing == len(missing) == row.listed - SAMPLE
    assert table.loc["wild_test_-5dB", "present"] == SAMPLE
    prepare(run)
    test = load_split(run, "test")
    assert test.names == sample["real_validation"] and len(load_split(run, "strong")) == 2 * SAMPLE
    labels = pd.read_csv(shared / REAL / published["real_validation"], sep="\t").dropna()
    for name, events in test.ground_truth.items():
        own = labels[labels.filename == name]
        assert events == list(zip(own.onset, own.offset, own.event_label, strict=True))


def test_the_command_prints_the_table_and_what_to_do(tree, tmp_path):
    (folder_of(tree, "weak") / names_of("weak", 3)[0]).unlink()
    profile = tmp_path / "small.yaml"
    raw = yaml.safe_load((PROFILES / "paper.yaml").read_text())
    profile.write_text(yaml.safe_dump(raw | {"data": raw["data"] | {k[5:]: v for k, v in SMALL.items()}}))
    reply = CliRunner().invoke(app, ["data", "check", "--profile", str(profile)])
    assert reply.exit_code == 0, reply.output
    assert "weak: 1 missing: named in " in reply.output
    assert "real_validation" in reply.output and "\nreal_validation:" not in reply.output
