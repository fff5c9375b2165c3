"""Stage 01 as a whole, on the smoke profile."""

import hashlib
import json

import numpy as np
import pytest
import torch
from make_manifest import MANIFEST, manifest

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.mixing import measured_snr_db, mix_at_snr, noisy
from nrsed_lib.data.prepare import (
    CLIP_SPLITS,
    load_condition,
    load_empty,
    load_noise,
    load_noise_events,
    load_sources,
    load_split,
    prepare,
    recordings_of,
)
from nrsed_lib.data.sources import SPLITS
from nrsed_lib.data.synth import sources as synth
from nrsed_lib.errors import DataError


def test_every_split_is_there_with_the_sizes_of_the_profile(smoke_data):
    data = smoke_data.profile.data
    for split in CLIP_SPLITS:
        clips = load_split(smoke_data, split)
        assert clips.audio.shape == (getattr(data, f"nb_{split}"), data.nb_samples)
        assert clips.classes == tuple(data.classes)
        assert clips.audio.any(1).all()
    assert load_noise(smoke_data).shape == (data.nb_test, data.nb_samples)
    assert load_noise(smoke_data, "validation").shape == (data.nb_validation, data.nb_samples)
    assert load_empty(smoke_data)[0].audio.shape == (data.nb_empty, data.nb_samples)
    for split in ("test", "validation", "empty"):
        assert set(load_noise_events(smoke_data, split).filename) == set(load_split(smoke_data, split).names)


def test_the_bytes_are_those_on_record(smoke_data):
    """Same seed, same bytes, on every machine. A change that is meant to change them runs make_manifest.py."""
    assert manifest(smoke_data.folder) == json.loads(MANIFEST.read_text())


def test_splits_share_no_draw_and_no_sound(smoke_data):
    seen: dict[bytes, str] = {}
    for split in ("train", "validation", "test"):
        sources = load_sources(smoke_data, split)
        assert set(sources.labels) == {*smoke_data.profile.data.classes, *smoke_data.profile.data.noise_classes}
        for name, row in zip(sources.names, sources.audio, strict=True):
            content = hashlib.sha256(np.trim_zeros(row.numpy()).tobytes()).digest()
            assert content not in seen, (name, seen[content])
            seen[content] = name
            assert split in name


@pytest.mark.parametrize(("split", "sounds"), [("test", "test"), ("validation", "validation"), ("empty", "test")])
def test_noise_is_of_recordings_of_its_own_split(smoke_data, split, sounds):
    noises, table = load_sources(smoke_data, sounds).select("noise"), load_noise_events(smoke_data, split)
    assert set(zip(table.recording, table.event_label, strict=True)) <= {
        *zip(noises.recordings, noises.labels, strict=True)
    }
    elsewhere = {r for s in SPLITS if s != sounds for r in load_sources(smoke_data, s).recordings}
    assert not set(table.recording) & elsewhere


@pytest.mark.parametrize("split", CLIP_SPLITS)
def test_each_clip_is_cut_from_recordings_of_its_classes(smoke_data, split):
    sounds = load_sources(smoke_data, CLIP_SPLITS[split][0]).select("target")
    label_of = dict(zip(sounds.recordings, sounds.labels, strict=True))
    found = recordings_of(smoke_data, split)
    clips = load_split(smoke_data, split)
    assert len(found) == len(clips) and all(found)
    if split != "unlabelled":
        assert [frozenset(label_of[r] for r in recordings) for recordings in found] == clips.label_sets


def test_test_noise_mixes_at_every_test_snr(smoke_data):
    clips, noise = load_split(smoke_data, "test").waveforms(), load_noise(smoke_data).float() / 32768
    for snr in smoke_data.profile.data.snrs_db:
        wanted = torch.full((len(clips),), snr)
        scaled = mix_at_snr(clips, noise, wanted)[1]
        torch.testing.assert_close(measured_snr_db(clips, scaled), wanted, atol=0.01, rtol=0)


def test_a_condition_is_the_clips_mixed_with_their_noise(smoke_data):
    clips, noise = load_split(smoke_data, "test").waveforms(), load_noise(smoke_data).float() / 32768
    for condition, snr in smoke_data.profile.data.conditions.items():
        heard = load_condition(smoke_data, condition)
        assert torch.equal(heard, noisy(clips, noise, snr))
        assert torch.equal(load_condition(smoke_data, condition, [1, 0]), heard[[1, 0]])
        calm, rough = load_split(smoke_data, "validation").waveforms(), load_noise(smoke_data, "validation").float()
        assert torch.equal(load_condition(smoke_data, condition, split="validation"), noisy(calm, rough / 32768, snr))


def test_what_is_done_is_kept_and_what_is_missing_is_made(smoke_data, monkeypatch):
    folder = smoke_data.folder
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    for name in ("weak.npy", "test_noise.npy", "recordings_test.csv", "empty_noise.tsv"):
        (folder / name).unlink()
    monkeypatch.setattr(synth, "synthesised_sources", None)  # the sounds are there: calling it would fail
    prepare(smoke_data)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_data_that_are_not_there_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setenv("NRSED_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"(?s)synthetic_train: no label file.*NRSED_DATA.*wild_test_-5dB"):
        prepare(open_run("01", "paper"))
