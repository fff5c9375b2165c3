"""Files become rows: every kind of damage is told, nothing is lost by a kill, any clip is as near as the next."""

import hashlib

import numpy as np
import pytest
import soundfile
from desed_tree import RATE, tone

from nrsed_lib.data.clips import load_audio
from nrsed_lib.data.desed import shards
from nrsed_lib.data.desed.shards import Format, Item, convert, survey, take
from nrsed_lib.errors import DataError

FORM = Format(16_000, 16_000)


def item(path) -> Item:
    return Item(path.name, path)


def found_of(path, form=FORM):
    return dict(zip(shards.FOUND[1:], take(item(path), form)[1], strict=True))


def test_a_clip_of_44_100_hz_in_stereo_becomes_16_khz_mono(tmp_path):
    both = np.stack([tone("a"), np.zeros(RATE)], 1)
    soundfile.write(tmp_path / "a.wav", both, RATE)
    sound, row = take(item(tmp_path / "a.wav"), FORM)
    assert row == ("", RATE, 2, 16_000, False, False)
    np.testing.assert_allclose(sound[800:-800] / 32768, tone("a", rate=16_000)[800:-800] / 2, atol=1e-3)


def test_a_clip_of_the_right_rate_is_kept_to_the_bit(tmp_path):
    original = np.round(tone("a", 2.5, 16_000) * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", original, 16_000)
    np.testing.assert_array_equal(take(item(tmp_path / "a.flac"), FORM)[0], original[:16_000])  # cut to a second


def test_a_file_with_the_wrong_extension_is_read_by_its_content(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone("a"), RATE)
    (tmp_path / "a.flac").rename(tmp_path / "a.wav")
    assert found_of(tmp_path / "a.wav")["problem"] == ""


def test_silent_clipped_and_short_are_told_but_used(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "loud.wav", tone("a", gain=3).clip(-1, 1), RATE)
    soundfile.write(tmp_path / "short.wav", tone("a", 0.25), RATE)
    soundfile.write(tmp_path / "fine.wav", tone("a", gain=0.99), RATE)
    told = {p.stem: found_of(p) for p in tmp_path.glob("*.wav")}
    assert all(row["problem"] == "" for row in told.values())
    assert {name for name, row in told.items() if row["silent"]} == {"silent"}
    assert {name for name, row in told.items() if row["clipped"]} == {"loud"}
    assert {name for name, row in told.items() if row["length"] != 16_000} == {"short"}
    assert told["short"]["length"] == 4000


def test_a_part_of_a_file_at_the_common_level(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(RATE), tone("a", 1, gain=0.01)]), RATE)
    level = Format(16_000, 16_000, level=True)
    sound, row = take(Item("x", tmp_path / "a.wav", 1.0, 0.5), level)
    assert row[3] == 8000
    assert np.sqrt(np.mean((sound / 32768) ** 2)) == pytest.approx(0.05, rel=0.01)
    assert take(Item("x", tmp_path / "a.wav", 0.0, 0.5), level)[1][0] == "silent"


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Ten clips in pieces of three; the fourth is broken."""
    monkeypatch.setattr(shards, "PIECE", 3)
    monkeypatch.setattr(shards, "nb_cores", lambda: 1)
    for i in range(10):
        soundfile.write(tmp_path / f"{i}.wav", tone(str(i), 0.5 + 0.05 * i), RATE)
    (tmp_path / "3.wav").write_bytes(b"broken")
    return [item(tmp_path / f"{i}.wav") for i in range(10)]


def test_the_shard_has_the_good_clips_in_order(many, tmp_path):
    path, index = convert(many, FORM, tmp_path / "out", "part")
    assert index["name"].tolist() == [i.name for i in many]
    good = index[index.problem == ""]
    assert good.name.tolist() == [f"{i}.wav" for i in range(10) if i != 3]
    audio = load_audio(path)
    for row, (name, length) in zip(audio, zip(good.name, good.length, strict=True), strict=True):
        sound = take(Item(name, tmp_path / name), FORM)[0]
        assert len(sound) == length
        np.testing.assert_array_equal(row[:length], sound)
        assert not row[length:].any()
    assert not list((tmp_path / "out").glob("*.pieces"))


def test_the_work_is_done_once_and_a_killed_one_goes_on(many, tmp_path, monkeypatch):
    taken = []
    real = shards.take

    def dying(thing, form):
        if len(taken) == 7:
            raise KeyboardInterrupt
        taken.append(thing.name)
        return real(thing, form)

    monkeypatch.setattr(shards, "take", dying)
    with pytest.raises(KeyboardInterrupt):
        convert(many, FORM, tmp_path / "out", "part")
    assert not list((tmp_path / "out").glob("*.npy")), "half a shard was left"
    monkeypatch.setattr(shards, "take", lambda thing, form: (taken.append(thing.name), real(thing, form))[1])
    path, index = convert(many, FORM, tmp_path / "out", "part")
    assert taken == [*(f"{i}.wav" for i in range(7)), *(f"{i}.wav" for i in range(6, 10))]  # two pieces were kept
    monkeypatch.setattr(shards, "take", None)
    again, same = convert(many, FORM, tmp_path / "out", "part")
    assert again == path and same.equals(index)
    assert survey(many, FORM, tmp_path / "out", "part").equals(index), "what was converted need not be looked at again"


def test_another_file_another_shard(many, tmp_path):
    path, _ = convert(many, FORM, tmp_path / "out", "part")
    soundfile.write(tmp_path / "3.wav", tone("3"), RATE)  # mended
    other, index = convert(many, FORM, tmp_path / "out", "part")
    assert other != path and (index.problem == "").all()


def test_a_survey_finds_what_a_conversion_finds(many, tmp_path):
    before = survey(many, FORM, tmp_path / "out", "part")
    assert before.equals(convert(many, FORM, tmp_path / "out", "part")[1])


def test_processes_make_the_same_bytes(many, tmp_path, monkeypatch):
    alone = convert(many, FORM, tmp_path / "alone", "part")[0]
    monkeypatch.setattr(shards, "nb_cores", lambda: 2)
    together = convert(many, FORM, tmp_path / "together", "part")[0]
    digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (alone, together)]
    assert digests[0] == digests[1]


def test_nothing_to_use_and_no_room_are_said(many, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"part: none of 1 clips can be used; e\.g\. 3\.wav: unreadable"):
        convert(many[3:4], FORM, tmp_path / "out", "part")
    monkeypatch.setattr(shards.shutil, "disk_usage", lambda path: shards.shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(DataError, match=r"part needs 0\.0 GB in .*NRSED_CACHE"):
        convert(many, FORM, tmp_path / "other", "part")
