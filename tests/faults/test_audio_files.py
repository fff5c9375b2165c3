"""Recordings from elsewhere, the tables that list them, and the times of their events: what is broken is said.

Every way of breaking an audio file is met by the two that read it: `decode`, which needs it, and `take`, which leaves
it out of a shard and says why.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from nrsed_lib.data import recordings
from nrsed_lib.data.desed.audioset import strong_labels
from nrsed_lib.data.desed.layout import read_labels
from nrsed_lib.data.desed.prepare import cut_short
from nrsed_lib.data.desed.shards import Format, Item, take
from nrsed_lib.data.recordings import decode, listed
from nrsed_lib.errors import DataError
from nrsed_lib.profile import load_profile

pytestmark = pytest.mark.timeout(20)  # what hangs has failed

NOISE = (np.random.default_rng(0).standard_normal(4000) * 0.1).astype(np.float32)


def wav(body=None, rate=16_000, channels=1, bits=16, tag=1, *, riff=None, data=None, align=None, before=b"", tail=b""):
    """The bytes of a WAV file, 16-bit noise by default; riff, data, align: what its header says instead."""
    body = (NOISE * 32767).astype("<i2").tobytes() if body is None else body
    align = channels * bits // 8 if align is None else align
    about = struct.pack("<HHIIHH", tag, channels, rate, min(rate * align, 2**32 - 1), align, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + about + before
    chunks += b"data" + struct.pack("<I", len(body) if data is None else data) + body + tail
    return b"RIFF" + struct.pack("<I", len(chunks) if riff is None else riff) + chunks


def floats(*values: float, bits: int = 32) -> bytes:
    """A WAV of floats: noise with some values in its midst."""
    sound = NOISE.astype(f"<f{bits // 8}")
    with np.errstate(over="ignore"):
        sound[1000 : 1000 + len(values)] = values
    return wav(sound.tobytes(), bits=bits, tag=3)


def coded(kind: str, share: float = 1.0, subtype: str | None = None, seconds: float = 3.0) -> bytes:
    """The first part of a file that libsndfile wrote."""
    file = BytesIO()
    sound = np.tile(NOISE, round(seconds * 4))
    soundfile.write(file, sound, 16_000, format=kind, subtype=subtype)
    return file.getvalue()[: round(len(file.getvalue()) * share)]


def flac_of(nb_samples: int, rate: int = 16_000) -> bytes:
    """A FLAC file whose header tells another number of samples, or another rate."""
    whole = bytearray(coded("FLAC"))
    packed = int.from_bytes(whole[18:26], "big")  # 20 bits rate, 3 channels, 5 depth, 36 samples
    packed = (rate << 44) | (packed & (0xFF << 36)) | nb_samples
    whole[18:26] = packed.to_bytes(8, "big")
    return bytes(whole)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(path.with_name(target))


def unix_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # such names are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
    os.chdir(here)


def unreadable(path: Path) -> None:
    path.write_bytes(wav())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("who runs this may read everything")


HTML = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"
EXTRA = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"made by hand.\0"
HOURS = 3 * 3600 * 16_000

# what is broken: name of the file, its bytes or how to make it, words of the reason
BROKEN = {
    # no file
    "missing": ("a.wav", lambda path: None, ["No such file"]),
    "directory": ("a.wav", Path.mkdir, ["no regular file", "folder"]),
    "fifo": ("a.wav", os.mkfifo, ["no regular file", "pipe"]),
    "socket": ("a.wav", unix_socket, ["no regular file", "socket"]),
    "device": ("a.wav", lambda path: path.symlink_to("/dev/zero"), ["no regular file", "device"]),
    "link to a fifo": ("a.wav", lambda path: (os.mkfifo(path.with_name("f")), link("f")(path)), ["pipe"]),
    "link to a directory": ("a.wav", lambda path: path.symlink_to(path.parent), ["no regular file"]),
    "link that dangles": ("a.wav", link("nothing.wav"), ["No such file"]),
    "link to itself": ("a.wav", link("a.wav"), ["symbolic links"]),
    "links in a circle": ("a.wav", lambda path: (link("b")(path), path.with_name("b").symlink_to(path)), ["links"]),
    "below a file": ("x/a.wav", lambda path: path.parent.write_bytes(b"x"), ["Not a directory"]),
    "unreadable": ("a.wav", unreadable, ["Permission denied"]),
    "name with a zero": ("a\0b.wav", lambda path: None, ["null"]),
    "name too long": ("a" * 300 + ".wav", lambda path: None, ["too long"]),
    # no sound
    "empty": ("a.wav", b"", ["empty file"]),
    "empty flac": ("a.flac", b"", ["empty file"]),
    "one byte": ("a.wav", b"R", ["unreadable"]),
    "zeros": ("a.wav", bytes(5000), ["unreadable"]),
    "text": ("a.wav", b"this is no sound\n" * 100, ["unreadable"]),
    "page of an error as flac": ("a.flac", HTML, ["unreadable"]),
    "page of an error as mp3": ("a.mp3", HTML, ["unreadable"]),
    "pointer of git lfs": ("a.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ["unreadable"]),
    "picture": ("a.ogg", b"\x89PNG\r\n\x1a\n" + bytes(200), ["unreadable"]),
    "zip": ("a.wav", b"PK\x03\x04" + bytes(200), ["unreadable"]),
    "another format": ("a.wav", coded("AIFF"), ["AIFF", "WAV"]),
    "rf64": ("a.wav", coded("RF64"), ["RF64", "WAV"]),
    "big-endian": ("a.wav", b"RIFX" + wav()[4:], ["unreadable"]),
    # WAV: cut in every part of the header, and in the sound
    "cut in RIFF": ("a.wav", wav()[:3], ["unreadable"]),
    "cut after RIFF": ("a.wav", wav()[:4], ["unreadable"]),
    "cut in its size": ("a.wav", wav()[:6], ["unreadable"]),
    "cut before WAVE": ("a.wav", wav()[:8], ["unreadable"]),
    "cut before fmt": ("a.wav", wav()[:12], ["unreadable"]),
    "cut in fmt": ("a.wav", wav()[:24], ["unreadable"]),
    "cut after fmt": ("a.wav", wav()[:36], ["unreadable"]),
    "cut in data": ("a.wav", wav()[:39], ["unreadable"]),
    "cut before the sound": ("a.wav", wav()[:44], ["truncated", "0 of 8000 bytes"]),
    "cut to a sample": ("a.wav", wav()[:46], ["truncated", "2 of 8000 bytes"]),
    "cut to 60 %": ("a.wav", wav()[:4844], ["truncated", "4800 of 8000 bytes"]),
    "cut by a byte": ("a.wav", wav()[:-1], ["truncated", "7999 of 8000 bytes"]),
    "cut, more chunks before": ("a.wav", wav(before=EXTRA)[:-100], ["truncated", "7900 of 8000 bytes"]),
    "cut, 8 bits": ("a.wav", wav(bytes(range(250)) * 8, bits=8)[:1044], ["truncated", "1000 of 2000 bytes"]),
    "cut, 24 bits": ("a.wav", coded("WAV", 0.6, "PCM_24"), ["truncated", "of 144000 bytes"]),
    "cut, 32 bits": ("a.wav", coded("WAV", 0.6, "PCM_32"), ["truncated", "of 192000 bytes"]),
    "cut, floats": ("a.wav", coded("WAV", 0.6, "FLOAT"), ["truncated", "of 192000 bytes"]),
    "cut, mu-law": ("a.wav", coded("WAV", 0.6, "ULAW"), ["truncated", "of 48000 bytes"]),
    "cut, ADPCM": ("a.wav", coded("WAV", 0.6, "IMA_ADPCM"), ["truncated"]),
    "cut, extensible": ("a.wav", coded("WAVEX", 0.6), ["truncated", "of 96000 bytes"]),
    # WAV: headers that lie
    "never finished": ("a.wav", wav(riff=2**32 - 1, data=2**32 - 1), ["truncated", "4294967295"]),
    "never finished, zeros": ("a.wav", wav(riff=0, data=0), ["no samples"]),
    "says three hours": ("a.wav", wav(data=2 * HOURS), ["truncated", f"8000 of {2 * HOURS} bytes"]),
    "says a byte more": ("a.wav", wav(data=8002), ["truncated", "8000 of 8002"]),
    "no channel": ("a.wav", wav(channels=0, align=2), ["unreadable"]),
    "5000 channels": ("a.wav", wav(channels=5000, align=10_000), ["unreadable"]),
    "100 channels": ("a.wav", wav(channels=100), ["100 channels", "64"]),
    "0 Hz": ("a.wav", wav(rate=0), ["unreadable"]),
    "1 Hz": ("a.wav", wav(rate=1), ["1 Hz", "1000"]),
    "999 Hz": ("a.wav", wav(rate=999), ["999 Hz"]),
    "1 GHz": ("a.wav", wav(rate=10**9), ["1000000000 Hz"]),
    "4 GHz": ("a.wav", wav(rate=2**32 - 1), ["unreadable"]),
    "0 bits": ("a.wav", wav(bits=0, align=2), ["unreadable"]),
    "unknown coding": ("a.wav", wav(tag=0x1234), ["unreadable"]),
    "no frame": ("a.wav", wav(b""), ["no samples"]),
    "half a frame": ("a.wav", wav(b"\0\0", channels=2), ["no samples"]),
    "no data chunk": ("a.wav", wav()[:36] + EXTRA, ["unreadable"]),
    # numbers
    "NaN": ("a.wav", floats(np.nan), ["not finite"]),
    "infinity": ("a.wav", floats(np.inf), ["not finite"]),
    "minus infinity": ("a.wav", floats(-np.inf), ["not finite"]),
    "both infinities": ("a.wav", floats(np.inf, -np.inf), ["not finite"]),
    "NaN in doubles": ("a.wav", floats(np.nan, bits=64), ["not finite"]),
    "doubles beyond floats": ("a.wav", floats(1e300, bits=64), ["not finite"]),
    "all NaN": ("a.wav", wav(np.full(4000, np.nan, "<f4").tobytes(), bits=32, tag=3), ["not finite"]),
    "1e30": ("a.wav", floats(1e30), ["loud"]),
    "-1e9": ("a.wav", floats(-1e9), ["loud"]),
    # FLAC, OGG, MP3
    "flac cut to 60 %": ("a.flac", coded("FLAC", 0.6), ["unreadable"]),
    "flac cut by 1 %": ("a.flac", coded("FLAC", 0.99), ["unreadable"]),
    "flac cut in its header": ("a.flac", coded("FLAC")[:30], ["unreadable"]),
    "flac without sound": ("a.flac", coded("FLAC")[:86], ["unreadable"]),
    "flac of three hours, it says": ("a.flac", flac_of(HOURS), ["unreadable"]),
    "flac of 2^36 samples, it says": ("a.flac", flac_of(2**36 - 1), ["68719476735 samples"]),
    "flac at 1 Hz": ("a.flac", flac_of(48_000, 1), ["1 Hz"]),
    "flac damaged": ("a.flac", coded("FLAC")[:20_000] + bytes(9000) + coded("FLAC")[29_000:], ["unreadable"]),
    "ogg cut to 60 %": ("a.ogg", coded("OGG", 0.6), ["truncated", "last page"]),
    "ogg cut by 1 %": ("a.ogg", coded("OGG", 0.99), ["truncated", "last page"]),
    "ogg cut by a byte": ("a.ogg", coded("OGG")[:-1], ["truncated", "last page"]),
    "ogg cut in its header": ("a.ogg", coded("OGG")[:100], ["unreadable"]),
    "ogg opus cut": ("a.ogg", coded("OGG", 0.6, "OPUS"), ["truncated", "last page"]),
    "mp3 cut to 60 %": ("a.mp3", coded("MP3", 0.6), ["truncated", "samples"]),
    "mp3 cut by 2 %": ("a.mp3", coded("MP3", 0.98), ["truncated", "samples"]),
    "mp3 cut in its header": ("a.mp3", coded("MP3")[:100], ["unreadable"]),
    "mp3 cut, called wav": ("a.wav", coded("MP3", 0.6), ["truncated", "samples"]),
}  # fmt: skip

# What `nrsed data check` counts.
COUNTED = (
    "no regular file", "empty file", "unreadable", "truncated", "no samples", "numbers that are not finite", "too loud",
)  # fmt: skip

# what is strange and yet a recording: name, bytes, seconds
GOOD = {
    "one frame": ("a.wav", wav(b"\1\2"), 1 / 16_000),
    "text after the sound": ("a.wav", wav(tail=EXTRA), 0.25),
    "garbage after the sound": ("a.wav", wav() + b"\0garbage" * 50, 0.25),
    "garbage after ogg": ("a.ogg", coded("OGG") + b"\0garbage" * 50, 3),
    "chunks before the sound": ("a.wav", wav(before=EXTRA + b"junk" + struct.pack("<I", 3) + b"abc\0"), 0.25),
    "RIFF size too small": ("a.wav", wav(riff=100), 0.25),
    "RIFF size too large": ("a.wav", wav(riff=10**9), 0.25),
    "RIFF size zero": ("a.wav", wav(riff=0), 0.25),
    "7 bytes a frame, it says": ("a.wav", wav(align=7), 0.25),
    "8 bits": ("a.wav", wav(bytes(range(250)) * 16, bits=8), 0.25),
    "24 bits": ("a.wav", coded("WAV", 1, "PCM_24"), 3),
    "32 bits": ("a.wav", coded("WAV", 1, "PCM_32"), 3),
    "doubles": ("a.wav", floats(0.5, bits=64), 0.25),
    "floats beyond full scale": ("a.wav", floats(3.0), 0.25),
    "64 channels": ("a.wav", wav((NOISE * 9999).astype("<i2").repeat(64).tobytes(), channels=64), 0.25),
    "8 kHz": ("a.wav", wav(rate=8000), 0.5),
    "192 kHz": ("a.wav", wav(rate=192_000), 4000 / 192_000),
    "mp3 called wav": ("a.wav", coded("MP3"), 3),
    "flac called wav": ("a.wav", coded("FLAC"), 3),
    "capitals": ("A.WAV", wav(), 0.25),
    "no ending": ("a", wav(), 0.25),
    "raw by its ending": ("a.raw", wav(), 0.25),
    "newline in its name": ("a\nb.wav", wav(), 0.25),
    "quotes in its name": ("it's \"a\".wav", wav(), 0.25),
    "blank at the end of its name": ("a.wav ", wav(), 0.25),
    "name of 255 bytes": ("a" * 251 + ".wav", wav(), 0.25),
    "name that is no UTF-8": (os.fsdecode(b"\xff\xfe.wav"), wav(), 0.25),
    "name like an option": ("-rf.wav", wav(), 0.25),
    "emoji": ("🐕.wav", wav(), 0.25),
    "link": ("a.wav", lambda path: (path.with_name("b").write_bytes(wav()), link("b")(path)), 0.25),
}  # fmt: skip


def put(folder: Path, name: str, content: bytes | Callable[[Path], object]) -> Path:
    path = folder / name
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    return path


@pytest.mark.parametrize(("name", "content", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_recording_is_named_and_not_used(tmp_path, name, content, words):
    path = put(tmp_path, name, content)
    with pytest.raises(DataError) as error:
        decode(path, 16_000)
    for word in (str(path), *words, "; "):
        assert word in str(error.value)
    sound, (problem, *_, silent, clipped) = take(Item("a", path), Format(16_000, 160_000))
    assert not len(sound) and not silent and not clipped
    assert problem.partition(":")[0] in COUNTED
    assert all(word in problem for word in words) and str(path) not in problem and "\n" not in problem


@pytest.mark.parametrize(("name", "content", "seconds"), GOOD.values(), ids=GOOD)
def test_a_strange_recording_is_read(tmp_path, name, content, seconds):
    path = put(tmp_path, name, content)
    assert len(decode(path, 16_000)) == pytest.approx(seconds * 16_000, abs=1)
    sound, (problem, *_) = take(Item("a", path), Format(16_000, 160_000))
    assert problem == "" and len(sound) == pytest.approx(seconds * 16_000, abs=1)


@pytest.mark.parametrize("start", [3.0, 3.5, 1e9])
def test_a_piece_that_begins_after_the_end_is_not_used(tmp_path, start):
    path = put(tmp_path, "a.wav", coded("WAV"))
    problem = take(Item("a", path, start, 1.0), Format(16_000, 160_000))[1][0]
    assert "no samples" in problem and f"{start:g} s" in problem and "3 s" in problem


def test_no_descriptor_stays_open(tmp_path):
    path, before = put(tmp_path, "a.wav", wav()[:100]), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(DataError):
            decode(path, 16_000)
    assert len(os.listdir("/proc/self/fd")) == before


# The table of recordings. A good row, and what makes it bad: column, value, words of the message.
COLUMNS = ("url", "sha256", "bytes", "role", "label", "source", "licence")
ROW = ("https://nowhere.invalid/a.wav", "0" * 64, "1000", "target", "Dog", "esc50:1", "CC0")
ROWS = {
    "hash too short": ("sha256", "0" * 63),
    "hash too long": ("sha256", "0" * 65),
    "hash with an o": ("sha256", "o" * 64),
    "hash empty": ("sha256", ""),
    "hash with its name": ("sha256", "md5:" + "0" * 32),
    "url empty": ("url", ""),
    "url without a scheme": ("url", "nowhere.invalid/a.wav"),
    "url of a file": ("url", "file:///etc/passwd"),
    "url of ftp": ("url", "ftp://nowhere.invalid/a.wav"),
    "url that climbs": ("url", "https://nowhere.invalid/../../a.wav"),
    "url that climbs in disguise": ("url", "https://nowhere.invalid/%2e%2e/%2e%2e/a.wav"),
    "url with a backslash": ("url", "https://nowhere.invalid/..%5Ca.wav"),
    "url with a zero": ("url", "https://nowhere.invalid/a%00.wav"),
    "url without a name": ("url", "https://nowhere.invalid/"),
    "url that is no url": ("url", "http://[::1/a.wav"),
    "bytes negative": ("bytes", "-1"),
    "bytes a fraction": ("bytes", "10.5"),
    "bytes not a number": ("bytes", "many"),
    "bytes NaN": ("bytes", "nan"),
    "bytes empty": ("bytes", ""),
    "role unknown": ("role", "targets"),
    "role empty": ("role", ""),
    "role in capitals": ("role", "Target"),
    "label empty": ("label", ""),
    "label of blanks": ("label", "  "),
    "source empty": ("source", ""),
    "source with a slash": ("source", "esc50/1"),
    "licence empty": ("licence", ""),
}  # fmt: skip


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "DATA", tmp_path)
    return tmp_path / "recordings.csv"


DATA = load_profile("open").data.model_copy(update={"classes": ["Dog"], "noise_classes": ["Rain"]})
RAIN = ("https://nowhere.invalid/r.wav", "1" * 64, "1000", "noise", "Rain", "esc50:2", "CC0")


def write(path: Path, *rows: tuple[str, ...], header: tuple[str, ...] = COLUMNS) -> None:
    path.write_text("".join(",".join(row) + "\n" for row in (header, *rows)))


def refused(path: Path, *words: str) -> None:
    with pytest.raises(DataError) as error:
        listed(DATA)
    for word in (str(path), *words):
        assert word in str(error.value), str(error.value)


def test_a_good_table_is_read(table):
    write(table, ROW, RAIN)
    assert listed(DATA).to_dict("records")[0] == dict(zip(COLUMNS, ROW, strict=True)) | {"bytes": 1000}


@pytest.mark.parametrize(("column", "value"), ROWS.values(), ids=ROWS)
def test_a_row_that_breaks_a_rule_is_named(table, column, value):
    write(table, RAIN, tuple(value if name == column else old for name, old in zip(COLUMNS, ROW, strict=True)))
    refused(table, "line 3", column, repr(value))


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_is_missing_is_named(table, column):
    at = COLUMNS.index(column)
    write(table, *((*row[:at], *row[at + 1 :]) for row in (ROW, RAIN)), header=(*COLUMNS[:at], *COLUMNS[at + 1 :]))
    refused(table, column)


# the bytes of the table, words of the message
LINE = ",".join(ROW).encode() + b"\n"
HEADER = ",".join(COLUMNS).encode() + b"\n"
TABLES = {
    "empty": (b"", ["url"]),
    "header only": (HEADER, ["Dog"]),
    "page of an error": (HTML, ["url"]),
    "binary": (b"\x89PNG\xff\xfe\0\0" * 20, ["UTF-8"]),
    "zeros": (HEADER + LINE[:10] + b"\0" * 20 + LINE[30:], ["line 2"]),
    "latin-1": (HEADER + LINE.replace(b"Dog", b"D\xf6g"), ["UTF-8"]),
    "tabs": ((HEADER + LINE).replace(b",", b"\t"), ["url"]),
    "a field too few": (HEADER + LINE.rpartition(b",")[0] + b"\n", ["line 2", "licence"]),
    "a field too many": (HEADER + LINE.strip() + b",more\n", ["line 2", "more"]),
    "a row twice": (HEADER + LINE + LINE, ["line 3", "line 2"]),
    "one file, two classes": (HEADER + LINE + LINE.replace(b"Dog", b"Cat"), ["line 3", "line 2"]),
    "one address, two hashes": (HEADER + LINE + LINE.replace(b"000", b"111"), ["line 3", "line 2"]),
    "cut": (HEADER + LINE + LINE[:60], ["line 3"]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), TABLES.values(), ids=TABLES)
def test_a_broken_table_is_named(table, content, words):
    table.write_bytes(content)
    refused(table, *words)


def test_a_table_that_is_not_there_is_named(table):
    refused(table, "No such file")


# Times of events: onset and offset of DESED's label files, and of AudioSet-Strong's; which of them is said.
TIMES = {
    "NaN": ("nan", "1", "onset"),
    "infinite onset": ("inf", "1", "onset"),
    "infinite offset": ("0", "inf", "offset"),
    "minus infinity": ("-inf", "1", "onset"),
    "1e400": ("0", "1e400", "offset"),
    "1e9 s": ("0", "1e9", "offset"),
    "an hour": ("3600", "3601", "offset"),
    "milliseconds": ("1500", "2500", "offset"),
    "twice the clip": ("19", "20.5", "offset"),
    "before the clip": ("-0.5", "1", "onset"),
    "reversed": ("2", "1", "offset"),
    "no length": ("1", "1", "offset"),
    "empty onset": ("", "1", "onset"),
    "empty offset": ("1", "", "offset"),
    "comma": ("0,5", "1", "onset"),
    "text": ("start", "1", "onset"),
    "minutes": ("0:01", "2", "onset"),
    "hexadecimal": ("0x1", "2", "onset"),
}  # fmt: skip


@pytest.mark.parametrize(("onset", "offset", "column"), TIMES.values(), ids=TIMES)
def test_a_time_that_cannot_be_is_named(tmp_path, onset, offset, column):
    path = tmp_path / "labels.tsv"
    text = onset if column == "onset" else offset
    finite = re.fullmatch(r"[-.\de]+", text) and np.isfinite(float(text))
    value = f"'{float(text):.10g}" if finite else f"'{text}'"
    path.write_text(f"filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\na.wav\t{onset}\t{offset}\tDog\n")
    with pytest.raises(DataError) as error:
        read_labels(path, "strong", ["Dog"])
    for word in (str(path), "line 3", column, value, "; "):
        assert word in str(error.value)
    path.write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        f"{'x' * 11}_0\t0\t1\t/m/0bt9lr\n{'x' * 11}_0\t{onset}\t{offset}\t/m/0bt9lr\n"
    )
    with pytest.raises(DataError) as error:
        strong_labels(path, {"/m/0bt9lr": "Dog"})
    name = {"onset": "start_time_seconds", "offset": "end_time_seconds"}[column]
    for word in (str(path), "line 3", name, value, "; "):
        assert word in str(error.value)


# Of a clip of at most 10 s: its length and the end of its last event (s), and whether that is another recording.
ENDS = {
    "whole": (10.0, 10.0, False),
    "labelled later than it ends, as published": (10.0, 11.0, False),
    "a bit short": (9.7, 10.0, False),
    "short, events before": (4.0, 3.0, False),
    "short, event to the end of ten": (9.0, 10.0, False),
    "cut to 60 %": (6.0, 9.0, True),
    "cut to nothing": (0.1, 9.0, True),
    "no events": (6.0, np.nan, False),
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "last", "cut"), ENDS.values(), ids=ENDS)
def test_a_clip_that_ends_before_its_events_is_another(seconds, last, cut):
    index = pd.DataFrame({"name": ["a.wav"], "length": [round(seconds * DATA.sample_rate)]})
    events = pd.DataFrame({"filename": ["a.wav", "a.wav"], "offset": [0.05, last]})
    assert cut_short(index, events, DATA).tolist() == [cut]
    assert cut_short(index, events.iloc[:0], DATA).tolist() == [False]
