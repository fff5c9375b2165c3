"""Files of task 9, FSD50K and Clotho, and submissions: what is broken, what must be said, and what must be left."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from typer.testing import CliRunner

from nrsed_lib.errors import UserError
from nrsed_lib.run.cli import app
from nrsed_lib.studies.task9 import submission
from nrsed_lib.studies.task9.development import Listed, pieces_of, read_captions, read_clotho, read_fsd50k
from nrsed_lib.studies.task9.evaluation import SETS, mixtures, read_queries
from nrsed_lib.studies.task9.submission_check import validate
from nrsed_lib.studies.task9.validation_list import ABOUT, AUDIO, LIST, mixed, read_about, read_list

SYNTH, REAL = SETS["synth"], SETS["real"]
RATE, NB = 16_000, 400  # Hz and samples of every sound
NAME, TEAM, WHO = "Ray_INST_task9_1", "Ray_INST_task9", "Ray_INST"
FSD50K, CLOTHO, CAPTIONS = "nrsed data fetch fsd50k", "nrsed data fetch clotho", "nrsed data fetch task9-captions"
VALIDATION, EVALUATION = "nrsed data fetch task9-validation", "nrsed data fetch task9-evaluation"
HEAD = "source, noise, snr, caption\n"
FSD = "fname,labels,mids,split\n"
CLO = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
Q = "file_name,query\n"
Make = Callable[[Path], Any]


def silence() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(NB), RATE, format="WAV")
    return file.getvalue()


def wav(nb: int = NB, rate: int = RATE, channels: int = 1, value: Any = None, **how: str) -> bytes:
    """A sound as the bytes of a file."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((nb, channels))
    if value is not None:
        samples[3:5] = value
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **({"format": "WAV", "subtype": "FLOAT"} | how))
    return file.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, small and good: the validation list, both evaluation sets, FSD50K, Clotho, and a submission."""
    root = tmp_path_factory.mktemp("task9")
    files: dict[str, str | bytes] = {
        LIST: "source, noise, snr, caption\na-1,b-2,-15,A dog.\nb-2,a-1,7,Rain.\n",
        ABOUT: json.dumps([{"Index": i, "Tags": [t], "Captions": ["A.", 0]} for i, t in (("a-1", "x"), ("b-2", "y"))]),
        f"{AUDIO}/a-1.wav": wav(),
        f"{AUDIO}/b-2.wav": wav(),
        "FSD50K/FSD50K.ground_truth/dev.csv": f'{FSD}1,"Dog,Animal","/m/0,/m/1",train\n2,Rain,/m/2,val\n',
        "fsd50k_dev_auto_caption.json": json.dumps({"data": [{"wav": f"{i}.wav", "caption": "A."} for i in (1, 2)]}),
        "FSD50K/FSD50K.dev_audio/1.wav": wav(),
        "clotho/clotho_captions_development.csv": f"{CLO}A b.wav,1,2,3,4,5\n",
        "clotho/development/A b.wav": wav(),
    }  # fmt: skip
    for part, where in SETS.items():
        files[where.list] = f"file_name,query\n{part}-0.wav,A dog.\n{part}-1.wav,Rain.\n"
        files |= {f"{where.audio}/{part}-{i}.wav": wav() for i in range(2)}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for part in SETS:
        tracks = ((f"{part}-{i}.wav", torch.linspace(-0.5, 0.5, NB)) for i in range(2))
        submission.write_tracks(root / f"sent/{WHO}/{NAME}.{part}.zip", tracks, RATE)
    meta = yaml.safe_load(yaml.safe_dump(submission.TEMPLATE))
    meta["submission"]["label"] = NAME
    (root / "meta.yaml").write_text(yaml.safe_dump(meta))
    here = submission.write_system(root / "sent", submission.Meta.model_validate(meta), "https://example.org/x")
    (here / f"{NAME}.technical_report.pdf").write_bytes(b"%PDF-1.7")
    submission.pack(root / "sent", TEAM)
    assert validate(root / "sent", root).empty
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    shutil.copytree(whole, tmp_path / "task9")
    return tmp_path / "task9"


# Who reads which file: its name, the call, and where to get it anew.
READERS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "list": (LIST, lambda root: read_list(root / LIST), VALIDATION),
    "about": (ABOUT, lambda root: read_about(root / ABOUT), VALIDATION),
    "synth": (SYNTH.list, lambda root: read_queries(root, "synth"), EVALUATION),
    "fsd50k": ("FSD50K/FSD50K.ground_truth/dev.csv", lambda root: read_fsd50k(root / "FSD50K", "dev"), FSD50K),
    "captions": (
        "fsd50k_dev_auto_caption.json",
        lambda root: read_captions(root / "fsd50k_dev_auto_caption.json", root),
        CAPTIONS,
    ),
    "clotho": (
        "clotho/clotho_captions_development.csv",
        lambda root: read_clotho(root / "clotho", "development"),
        CLOTHO,
    ),
    "clip": (f"{AUDIO}/b-2.wav", lambda root: [*mixed(read_list(root / LIST), root / AUDIO, RATE, 8)], VALIDATION),
    "mixture": (f"{SYNTH.audio}/synth-1.wav", lambda root: [*mixtures(root, "synth", RATE, 8)], EVALUATION),
}  # fmt: skip


def made(how: Make) -> Make:
    """Something else in the place of the file."""

    def change(path: Path) -> None:
        path.unlink()
        how(path)

    return change


def cut(share: float) -> Make:
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


def huge(path: Path) -> None:
    os.truncate(path, 1 << 33)


# In the place of any of the files: what must be said beside its name and where to get it.
ANY: dict[str, tuple[Any, ...]] = {
    "missing": (Path.unlink,),
    "folder": (made(Path.mkdir),),
    "fifo": (made(os.mkfifo),),
    "link to itself": (made(lambda path: path.symlink_to(path)),),
    "link to zeros": (made(lambda path: path.symlink_to("/dev/zero")),),
    "empty": (made(Path.touch),),
    "noise": (made(lambda path: path.write_bytes(np.random.default_rng(0).bytes(999))),),
    "page": (made(lambda path: path.write_text("<!doctype html>\n<html>\n<p>Sign in</p>\n</html>\n")),),
    "a zip": (made(lambda path: zipfile.ZipFile(path, "w").writestr("x", "x")),),
    "zeros": (made(lambda path: path.write_bytes(bytes(999))),),
    "8 GB": (huge,),
}
EVERY = [(f"{who}: {what}", who, *row) for who in READERS for what, row in ANY.items()
         if not (what == "8 GB" and who in ("clip", "mixture"))]  # fmt: skip

# Texts: who reads it, what it holds, and what must be said.
TEXTS: dict[str, tuple[Any, ...]] = {
    # The list.
    "no rows": ("list", HEAD, "has no rows"),
    "column missing": ("list", "source,noise,snr\na,b,1\n", "has no column ['caption']", "['source', 'noise', 'snr']"),
    "column twice": ("list", "source,noise,snr,snr,caption\na,b,1,2,x\n", "several columns ['snr']"),
    "no header": ("list", "a,b,1,x\nb,a,1,x\n", "has no column", "source"),
    "header in capitals": ("list", HEAD.upper() + "a,b,1,x\n", "has no column", "SOURCE"),
    "semicolons": ("list", HEAD.replace(",", ";") + "a;b;1;x\n", "has no column", "source; noise"),
    "tabs": ("list", HEAD.replace(",", "\t") + "a\tb\t1\tx\n", "has no column"),
    "field missing": ("list", HEAD + "a,b,1,x\na,b,1\n", "line 3", "3 fields", "4"),
    "field too many": ("list", HEAD + "a,b,1,A dog, barking.\n", "line 2", "5 fields", "4"),
    "field too many in all": ("list", HEAD + "0,a,b,1,x\n1,a,b,1,x\n", "line 2", "5 fields", "4"),
    "quote open": ("list", HEAD + 'a,b,1,"x\n', "line 2", "unexpected end of data"),
    "quote in a field": ("list", HEAD + 'a,b,1,"x"y\n', "line 2", "expected after"),
    "field empty": ("list", HEAD + "a,b,1,x\na,,1,x\n", "line 3", "a field is empty", "'noise': ''"),
    "field of spaces": ("list", HEAD + 'a,b,1,"  "\n', "line 2", "a field is empty"),
    "snr 1.5": ("list", HEAD + "a,b,1,x\na,b,1.5,x\n", "line 3", "snr is not a whole number", "'1.5'"),
    "snr nan": ("list", HEAD + "a,b,nan,x\n", "line 2", "snr is not a whole number", "'nan'"),
    "snr infinite": ("list", HEAD + "a,b,-inf,x\n", "line 2", "snr is not a whole number", "'-inf'"),
    "snr 1e3": ("list", HEAD + "a,b,1e3,x\n", "line 2", "snr is not a whole number", "'1e3'"),
    "snr huge": ("list", HEAD + f"a,b,{10**30},x\n", "line 2", "snr is not a whole number", "1000000"),
    "snr in Arabic": ("list", HEAD + "a,b,٣,x\n", "line 2", "snr is not a whole number"),
    "snr in hex": ("list", HEAD + "a,b,0x1,x\n", "line 2", "snr is not a whole number", "'0x1'"),
    "climbing": ("list", HEAD + "../a,b,1,x\n", "line 2", "no name of a clip", "'../a'"),
    "absolute": ("list", HEAD + "a,/etc/passwd,1,x\n", "line 2", "no name of a clip", "'/etc/passwd'"),
    "of Windows": ("list", HEAD + "a,C:\\b,1,x\n", "line 2", "no name of a clip"),
    "dots": ("list", HEAD + "a,..,1,x\n", "line 2", "no name of a clip", "'..'"),
    "line in a name": ("list", HEAD + '"a\nb",b,1,x\n', "line 3", "no name of a clip"),
    "name too long": ("list", HEAD + f"{'a' * 300},b,1,x\n", "line 2", "no name of a clip", "aaa"),
    "field of 200 kB": ("list", HEAD + f"a,b,1,{'x' * 200_000}\n", "line 2", "field larger than"),
    "NUL": ("list", HEAD + "a,b,1,x\na,b,1,x\0\n", "NUL in line 3"),
    "Latin-1": ("list", (HEAD + "a,b,1,Ein Gerät.\n").encode("latin-1"), "no text in UTF-8", "0xe4"),
    "UTF-16": ("list", (HEAD + "a,b,1,x\n").encode("utf-16"), "no text in UTF-8"),
    # An evaluation set.
    "q: column missing": ("synth", "name,query\na.wav,x\n", "has no column ['file_name']", "'name'"),
    "q: both names": ("synth", "file_name,wav,query\na.wav,b.wav,x\n", "several columns ['file_name']"),
    "q: field empty": ("synth", Q + "a.wav,\n", "line 2", "a field is empty"),
    "q: name twice": ("synth", Q + "a.wav,x\na.wav,y\n", "line 3", "the name was there before", "a.wav"),
    "q: name in another case": ("synth", Q + "a.wav,x\nA.wav,y\n", "line 3", "the name was there before", "A.wav"),
    "q: climbing": ("synth", Q + "../a.wav,x\n", "line 2", "no name of a WAV file", "../a.wav"),
    "q: absolute": ("synth", Q + "/a.wav,x\n", "line 2", "no name of a WAV file", "/a.wav"),
    "q: of Windows": ("synth", Q + "b\\a.wav,x\n", "line 2", "no name of a WAV file"),
    "q: FLAC": ("synth", Q + "a.flac,x\n", "line 2", "no name of a WAV file", "a.flac"),
    "q: only an ending": ("synth", Q + ".wav,x\n", "line 2", "no name of a WAV file"),
    # FSD50K.
    "f: column missing": ("fsd50k", "fname,mids\n1,/m/0\n", "has no column ['labels']"),
    "f: label empty": ("fsd50k", FSD + "1,,,\n", "line 2", "a field is empty"),
    "f: label between commas": ("fsd50k", FSD + '1,"Dog,,Animal",x,train\n', "line 2", "a label is empty"),
    "f: comma at the end": ("fsd50k", FSD + '1,"Dog,",x,train\n', "line 2", "a label is empty", "Dog,"),
    "f: labels not quoted": ("fsd50k", FSD + "1,Dog,Animal,/m/0,train\n", "line 2", "5 fields"),
    "f: twice": ("fsd50k", FSD + "1,Dog,x,train\n1,Rain,x,train\n", "line 3", "the clip was there before", "'1'"),
    "f: climbing": ("fsd50k", FSD + "../1,Dog,x,train\n", "line 2", "fname is no number", "../1"),
    "f: with its ending": ("fsd50k", FSD + "1.wav,Dog,x,train\n", "line 2", "fname is no number", "1.wav"),
    "f: a float": ("fsd50k", FSD + "1.0,Dog,x,train\n", "line 2", "fname is no number", "1.0"),
    "f: nan": ("fsd50k", FSD + "nan,Dog,x,train\n", "line 2", "fname is no number", "nan"),
    "f: without a caption": ("fsd50k", FSD + "77,Dog,x,train\n", "1 clips", "77.wav", "no caption", CAPTIONS),
    # Clotho.
    "c: column missing": ("clotho", "file_name,caption_1\na.wav,x\n", "has no column ['caption_2'"),
    "c: caption empty": ("clotho", CLO + "a.wav,1,,3,4,5\n", "line 2", "a field is empty", "a.wav"),
    "c: caption missing": ("clotho", CLO + "a.wav,1,2,3,4\n", "line 2", "5 fields", "6"),
    "c: twice": ("clotho", CLO + "a.wav,1,2,3,4,5\na.wav,1,2,3,4,5\n", "line 3", "the clip was there before"),
    "c: climbing": ("clotho", CLO + "../../a.wav,1,2,3,4,5\n", "line 2", "no name of a WAV file", "../../a.wav"),
    "c: no WAV": ("clotho", CLO + "a.exe,1,2,3,4,5\n", "line 2", "no name of a WAV file", "a.exe"),
    "c: Latin-1": ("clotho", (CLO + "a.wav,é,2,3,4,5\n").encode("latin-1"), "no text in UTF-8", "0xe9"),
    # Captions as JSON.
    "j: cut": ("captions", '{"data": [{"wav": "1.wav", "cap', "is not {", "Unterminated string"),
    "j: a list": ("captions", "[]", "is not {", "got []"),
    "j: null": ("captions", "null", "is not {", "got None"),
    "j: a number": ("captions", "7", "is not {", "got 7"),
    "j: no data": ("captions", "{}", "is not {", "data: Field required"),
    "j: no clips": ("captions", '{"data": []}', "is not {", "data"),
    "j: data an object": ("captions", '{"data": {"1.wav": "x"}}', "is not {", "data", "1.wav"),
    "j: entry a text": ("captions", '{"data": ["1.wav"]}', "is not {", "data.0", "'1.wav'"),
    "j: caption missing": ("captions", '{"data": [{"wav": "1.wav"}]}', "is not {", "data.0.caption: Field required"),
    "j: caption empty": ("captions", '{"data": [{"wav": "1.wav", "caption": " "}]}', "data.0.caption", "got ' '"),
    "j: caption a number": ("captions", '{"data": [{"wav": "1.wav", "caption": 5}]}', "data.0.caption", "got 5"),
    "j: caption null": ("captions", '{"data": [{"wav": "1.wav", "caption": null}]}', "data.0.caption", "got None"),
    "j: caption NaN": ("captions", '{"data": [{"wav": "1.wav", "caption": NaN}]}', "data.0.caption", "got nan"),
    "j: caption a list": ("captions", '{"data": [{"wav": "1.wav", "caption": ["A."]}]}', "data.0.caption", "['A.']"),
    "j: wav a number": ("captions", '{"data": [{"wav": 1, "caption": "x"}]}', "data.0.wav", "got 1"),
    "j: climbing": ("captions", '{"data": [{"wav": "../../1.wav", "caption": "x"}]}', "data.0.wav", "../../1.wav"),
    "j: surrogate": ("captions", '{"data": [{"wav": "1.wav", "caption": "\\ud800"}]}', "is not {", "hex escape"),
    "j: NUL": ("captions", '{"data": [{"wav": "1\\u0000.wav", "caption": "x"}]}', "data.0.wav"),
    "j: data twice": ("captions", '{"data": [], "data": [{"wav": "1.wav", "caption": "x"}]}', "is there twice"),
    "j: caption twice": ("captions", '{"data": [{"wav": "1.wav", "caption": "x", "caption": "y"}]}', "is there twice"),
    "j: deep": ("captions", '{"data": ' + "[" * 9999, "is not {", "recursion"),
    "j: comma at the end": ("captions", '{"data": [{"wav": "1.wav", "caption": "x"},]}', "is not {"),
    "j: single quotes": ("captions", "{'data': []}", "is not {", "double quotes"),
    "j: two values": ("captions", '{"data": []} {"data": []}', "is not {", "Extra data"),
    "j: Latin-1": ("captions", '{"data": [{"wav": "1.wav", "caption": "é"}]}'.encode("latin-1"), "no text in UTF-8"),
    # Tags and captions of the validation clips.
    "a: an object": ("about", "{}", "is not a list of {Index, Tags, Captions}"),
    "a: nothing in it": ("about", '[{"Index": "a"}]', "is not a list of", "0.Tags: Field required"),
    "a: index a number": ("about", '[{"Index": 1, "Tags": ["x"], "Captions": ["A."]}]', "0.Index", "got 1"),
    "a: tags a text": ("about", '[{"Index": "a", "Tags": "dog", "Captions": ["A."]}]', "0.Tags", "got 'dog'"),
    "a: tag empty": ("about", '[{"Index": "a", "Tags": [""], "Captions": ["A."]}]', "0.Tags.0", "got ''"),
    "a: captions null": ("about", '[{"Index": "a", "Tags": ["x"], "Captions": null}]', "0.Captions", "got None"),
    "a: twice": ("about", json.dumps([{"Index": "a", "Tags": ["x"], "Captions": ["A."]}] * 2), "1 clips twice"),
}  # fmt: skip


def at(field: int, value: bytes) -> Make:
    """Bytes of a WAV's header, or of its sound, in another way."""

    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[field : field + len(value)] = value
        path.write_bytes(content)

    return change


def sound(*given: Any, **how: Any) -> Make:
    return lambda path: path.write_bytes(wav(*given, **how))


# Sounds: how the file is made, and what must be said.
SOUNDS: dict[str, tuple[Any, ...]] = {
    "cut at 60 %": (cut(0.6), "truncated"),
    "cut in the header": (cut(0.015),),
    "only a header": (sound(0), "no samples"),
    "rate": (sound(rate=8000), "8000 Hz", "16000"),
    "rate of 0": (at(24, struct.pack("<I", 0)),),
    "stereo": (sound(channels=2), "2 channels, not one"),
    "shorter": (sound(NB - 1), "399 samples", "400"),
    "longer": (sound(NB + 1), "401 samples", "400"),
    "nan": (sound(value=np.nan), "not finite"),
    "infinite": (sound(value=-np.inf), "not finite"),
    "1e30": (sound(value=1e30),),
    "MIDI": (made(lambda path: path.write_bytes(b"MThd\0\0\0\6")),),
}
EVERY += [(f"{who}: {what}", who, *row) for who in ("clip", "mixture") for what, row in SOUNDS.items()]
EVERY += [("clip: silent", "clip", lambda path: soundfile.write(path, np.zeros(NB), RATE), "is silent")]
EVERY += [
    (what, who, lambda path, text=text: path.write_bytes(text if isinstance(text, bytes) else text.encode()), *words)
    for what, (who, text, *words) in TEXTS.items()
]


def said(words: tuple[str, ...], call: Callable[[], Any]) -> str:
    """The one error of a call: all words are in it, and it is short enough to be read."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 1200, message
    return message


@pytest.mark.parametrize("case", EVERY, ids=[case[0] for case in EVERY])
def test_a_file_that_is_not_as_published(case: tuple[Any, ...], root: Path) -> None:
    _, who, damage, *words = case
    name, call, remedy = READERS[who]
    call(root)
    damage(root / name)
    if CAPTIONS in words:  # what is wrong is that the other file has no such clip
        remedy = CAPTIONS
    said((Path(name).name if who != "clip" else "b-2", remedy, *words), lambda: call(root))


# What is odd and good: who reads it, and what it holds.
GOOD: dict[str, tuple[str, str | bytes]] = {
    "BOM": ("list", "\ufeff" + HEAD + "a,b,1,x\n"),
    "CRLF": ("list", (HEAD + "a,b,1,x\n").replace("\n", "\r\n")),
    "no line end": ("list", HEAD + "a,b,1,x"),
    "blank lines": ("list", HEAD + "\na,b,1,x\n\n"),
    "columns in another order, and more": ("list", "snr,caption,noise,more,source\n1,x,b,,a\n"),
    "NaN as a caption": ("list", HEAD + "a,b,1,nan\na,b,1,None\na,b,1,0\n"),
    "quotes and lines in a caption": ("list", HEAD + 'a,b,1,"A ""dog"",\nbarking."\n'),
    "spaces": ("synth", "wav, caption\na.wav, x\n"),
    "name with spaces": ("clotho", CLO + "03 Rain (in) bamboo.wav,1,2,3,4,5\n"),
    "captions with BOM": ("captions", '\ufeff{"data": [{"wav": "a/1.wav", "caption": "x", "more": NaN}]}'),
    "whole paths": ("captions", '{"data": [{"wav": "/data/1.wav", "caption": "x"}]}'),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_file_that_is_odd_but_good(case: str, root: Path) -> None:
    who, text = GOOD[case]
    name, call, _ = READERS[who]
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert len(call(root))


def test_captions_of_two_clips_of_one_name(root: Path) -> None:
    path = root / "fsd50k_dev_auto_caption.json"
    path.write_text(json.dumps({"data": [{"wav": f"{i}/1.wav", "caption": "x"} for i in "ab"]}))
    said((path.name, "1 clips", "name of another", CAPTIONS), lambda: read_fsd50k(root / "FSD50K", "dev"))


@pytest.mark.parametrize("damage", [cut(0.6), cut(0), made(os.mkfifo), made(Path.mkdir), at(24, bytes(4))])
def test_lengths_of_clips_that_cannot_be_read(damage: Make, root: Path) -> None:
    """They are one piece each, which the conversion names."""
    path = root / "FSD50K/FSD50K.dev_audio/1.wav"
    damage(path)
    assert [item.seconds for _, item in pieces_of([Listed("1.wav", path, ("x",))], 1.0)] == [1.0]


def rezip(path: Path, change: Callable[[dict[str, Any]], Any], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        files: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    files |= change(files)
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)


def zipped(how: int = zipfile.ZIP_STORED, **files: Any) -> Make:
    """The zip with other files; None: taken away."""
    return lambda path: rezip(path, lambda _: {k.replace("__", "-") + ".wav": v for k, v in files.items()}, how)


def track(*given: Any, **how: Any) -> Make:
    return zipped(real__1=wav(*given, **how))


def flag(bit: int) -> Make:
    """A bit of the flags of the first member, in both places where a zip keeps them."""

    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[6] |= bit
        content[content.index(b"PK\1\2") + 8] |= bit
        path.write_bytes(content)

    return change


def method(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8] = content[content.index(b"PK\1\2") + 10] = 97
    path.write_bytes(content)


def twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("real-1.wav", wav())


def many(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(4_000):
            archive.writestr(f"{i}", b"")


# A zip of tracks: what is done to it, and the breach.
TRACKS: dict[str, tuple[Any, ...]] = {
    "zip missing": (Path.unlink, "is missing: a zip of 2"),
    "zip a folder": (made(Path.mkdir), "is a folder"),
    "zip a fifo": (made(os.mkfifo), "is no regular file"),
    "zip empty": (cut(0), "is not a zip"),
    "zip cut": (cut(0.5), "is not a zip"),
    "zip a page": (made(lambda path: path.write_text("<html>")), "is not a zip"),
    "track missing": (zipped(real__1=None), "1 of 2 mixtures are missing, e.g. real-1.wav"),
    "all missing": (made(lambda path: zipfile.ZipFile(path, "w").close()), "2 of 2 mixtures are missing"),
    "track more": (zipped(more=wav()), "1 files are named like no mixture, e.g. more.wav"),
    "track in another case": (lambda p: rezip(p, lambda _: {"Real-1.wav": wav()}), "like no mixture, e.g. Real-1.wav"),
    "track in a folder": (lambda p: rezip(p, lambda f: {"a/real-1.wav": wav()}), "lie in folders, e.g. a/real-1.wav"),
    "climbing": (lambda p: rezip(p, lambda f: {"../evil.wav": wav()}), "lie in folders, e.g. ../evil.wav"),
    "absolute": (lambda p: rezip(p, lambda f: {"/evil.wav": wav()}), "lie in folders, e.g. /evil.wav"),
    "twice": (twice, "1 names are there more than once, e.g. real-1.wav"),
    "4,000 files": (many, "4000 files are named like no mixture"),
    "rate": (track(rate=8000), "real-1.wav", "is at 8000 Hz, not 16000"),
    "stereo": (track(channels=2), "real-1.wav", "has 2 channels, not one"),
    "shorter": (track(NB - 1), "real-1.wav", "has 399 samples, its mixture 400"),
    "longer": (track(NB + 1), "real-1.wav", "has 401 samples, its mixture 400"),
    "no samples": (track(0), "real-1.wav", "has 0 samples"),
    "an hour": (track(4_000_000), "real-1.wav", "bytes", "at most"),
    "FLAC": (track(format="FLAC", subtype="PCM_16"), "real-1.wav", "is FLAC, not WAV"),
    "AIFF": (track(format="AIFF"), "real-1.wav", "is AIFF, not WAV"),
    "raw": (zipped(real__1=bytes(2 * NB)), "real-1.wav", "cannot be read"),
    "empty": (zipped(real__1=b""), "real-1.wav", "cannot be read"),
    "text": (zipped(real__1="no sound"), "real-1.wav", "cannot be read"),
    "cut": (zipped(real__1=wav()[:900]), "real-1.wav", "samples, its mixture 400"),
    "nan": (track(value=np.nan), "real-1.wav", "has 2 samples that are not finite"),
    "infinite": (track(value=np.inf), "real-1.wav", "has 2 samples that are not finite"),
    "minus infinite in 64 bits": (track(value=-np.inf, subtype="DOUBLE"), "real-1.wav", "has 2 samples that are not"),
    "silent": (lambda path: rezip(path, lambda _: {"real-1.wav": silence()}), "real-1.wav", "is silent"),
    "bomb": (zipped(zipfile.ZIP_DEFLATED, real__1=bytes(1 << 26)), "real-1.wav", "67108864 bytes", "at most"),
    "encrypted": (flag(1), "real-0.wav", "is encrypted"),
    "unknown method": (method, "real-0.wav", "cannot be read"),
    "a byte": (at(200, b"\xff\xfe"), "real-0.wav", "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", TRACKS)
def test_tracks_that_break_a_rule(case: str, root: Path) -> None:
    damage, *words = TRACKS[case]
    damage(root / f"sent/{WHO}/{NAME}.real.zip")
    found = validate(root / "sent", root)
    assert found["where"].str.contains("real.zip").all(), "nothing else is wrong"
    assert len(found) <= 4
    lines = [f"{where}: {breach}" for where, breach in found.itertuples(index=False)]
    assert any(all(word in line for word in words) for line in lines), lines


SOUND = {"16 bits": {"subtype": "PCM_16"}, "24 bits": {"subtype": "PCM_24"}, "64 bits": {"subtype": "DOUBLE"},
         "clipped": {"value": 7.0, "subtype": "PCM_16"}, "extensible": {"format": "WAVEX"}}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
def test_tracks_that_break_none(case: str, root: Path) -> None:
    track(**SOUND[case])(root / f"sent/{WHO}/{NAME}.real.zip")
    assert validate(root / "sent", root).empty


HERE = f"sent/{TEAM}/{NAME}/{NAME}"


def rewritten(path: str, text: str | bytes) -> Make:
    return lambda root: (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())


def without(path: str) -> Make:
    return lambda root: (root / path).unlink()


def instead(path: str, how: Make) -> Make:
    return lambda root: made(how)(root / path)


def told(old: str, new: str) -> Make:
    return lambda root: (root / "meta.yaml").write_text((root / "meta.yaml").read_text().replace(old, new))


META = f"{HERE}.meta.yaml"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{k}: &{k} [{','.join([f'*{j}'] * 9)}]\n" for j, k in zip("abcdefghij", "bcdefghijk", strict=True)
)
# The other files of a submission: what is done to its folder, and the breach.
OTHERS: dict[str, tuple[Any, ...]] = {
    "meta missing": (without(META), "meta.yaml", "is missing"),
    "meta a fifo": (instead(META, os.mkfifo), "meta.yaml", "is missing"),
    "meta empty": (rewritten(META, ""), "meta.yaml", "the whole"),
    "meta a list": (rewritten(META, "[1]"), "meta.yaml", "the whole", "[1]"),
    "meta no YAML": (rewritten(META, "a: [1"), "meta.yaml", "no YAML"),
    "meta Latin-1": (rewritten(META, "a: é".encode("latin-1")), "meta.yaml", "no text in UTF-8"),
    "meta runs code": (rewritten(META, "!!python/object/apply:os.mkdir [mark]"), "meta.yaml", "no YAML"),
    "meta a bomb": (rewritten(META, BOMB), "meta.yaml", "stands for another"),
    "meta deep": (rewritten(META, "[" * 5000), "meta.yaml", "no YAML"),
    "link missing": (without(f"{HERE}.audio_url.txt"), "audio_url.txt", "is missing"),
    "link none": (rewritten(f"{HERE}.audio_url.txt", "on my disk"), "audio_url.txt", "must be one line"),
    "link binary": (rewritten(f"{HERE}.audio_url.txt", b"\xff\xfe\0"), "audio_url.txt", "must be one line"),
    "report missing": (without(f"{HERE}.technical_report.pdf"), "technical_report.pdf", "is missing"),
    "report a draft": (rewritten(f"{HERE}.technical_report.pdf", "draft"), "technical_report.pdf", "is not a PDF"),
    "report empty": (rewritten(f"{HERE}.technical_report.pdf", ""), "technical_report.pdf", "is not a PDF"),
    "a file more": (rewritten(f"sent/{TEAM}/{NAME}/notes.txt", "x"), "notes.txt", "remove it"),
    "package missing": (without(f"sent/{TEAM}.zip"), f"{TEAM}.zip", "nrsed task9 pack"),
    "package a folder": (instead(f"sent/{TEAM}.zip", Path.mkdir), f"{TEAM}.zip", "nrsed task9 pack"),
    "package cut": (lambda root: cut(0.5)(root / f"sent/{TEAM}.zip"), f"{TEAM}.zip", "nrsed task9 pack"),
    "package damaged": (lambda root: at(90, b"\xff" * 9)(root / f"sent/{TEAM}.zip"), f"{TEAM}.zip", "nrsed task9 pack"),
    "package encrypted": (lambda root: flag(1)(root / f"sent/{TEAM}.zip"), f"{TEAM}.zip", "nrsed task9 pack"),
    "in the folder of another team": (
        lambda root: (root / f"sent/{TEAM}").rename(root / "sent/Other_X_task9"), f"{TEAM}/{NAME}", "is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_the_rest_of_a_submission_that_breaks_a_rule(case: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    damage, *words = OTHERS[case]
    damage(root)
    found = validate(root / "sent", root)
    lines = [f"{where}: {breach}" for where, breach in found.itertuples(index=False)]
    assert any(all(word in line for word in words) for line in lines), lines
    assert max(map(len, lines)) < 1200
    assert not (root / "mark").exists()


# Tracks that a separator may give back, and what must be said when they are to be written.
GIVEN: dict[str, tuple[Any, ...]] = {
    "nan": ("a.wav", torch.tensor([0.1, float("nan"), float("nan")]), "'a.wav'", "2 of 3 samples", "not finite"),
    "infinite": ("a.wav", torch.tensor([0.1, float("inf")]), "'a.wav'", "1 of 2 samples", "not finite"),
    "silent": ("a.wav", torch.zeros(9), "'a.wav'", "silent"),
    "no samples": ("a.wav", torch.zeros(0), "'a.wav'", "[0]"),
    "stereo": ("a.wav", torch.ones(2, 9), "'a.wav'", "[2, 9]"),
    "a number": ("a.wav", torch.tensor(1.0), "'a.wav'", "[]"),
    "integers": ("a.wav", torch.ones(9, dtype=torch.int16), "'a.wav'", "torch.int16"),
    "complex": ("a.wav", torch.ones(9) + 1j, "'a.wav'", "torch.complex64"),
    "name twice": ("first.wav", torch.ones(9), "'first.wav'", "twice"),
    "climbing": ("../a.wav", torch.ones(9), "'../a.wav'", "not named"),
    "no WAV": ("a.mp3", torch.ones(9), "'a.mp3'", "not named"),
    "no name": ("", torch.ones(9), "''", "not named"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_tracks_that_are_none_are_not_written(case: str, tmp_path: Path) -> None:
    name, samples, *words = GIVEN[case]
    path = tmp_path / "x.zip"
    path.write_bytes(b"what was there")
    tracks = [("first.wav", torch.ones(9)), (name, samples)]
    said((str(path), *words, "nothing is written"), partial(submission.write_tracks, path, tracks, RATE))
    assert os.listdir(tmp_path) == ["x.zip"] and path.read_bytes() == b"what was there"


# Commands: what is done to the folder before, the words of the command, and what must be said.
SUBMIT = [
    "submit",
    "new",
    "--meta",
    "meta.yaml",
    "--link",
    "https://example.org/x",
    "--profile",
    "smoke",
    "--evaluation",
    ".",
]


def unfiled(root: Path) -> None:
    shutil.rmtree(root / f"sent/{TEAM}")


def nothing(root: Path) -> None:
    """The words of the command are at fault."""


COMMANDS: dict[str, tuple[Any, ...]] = {
    "meta missing": (without("meta.yaml"), SUBMIT, "meta.yaml", "is missing", "nrsed task9 template"),
    "meta a folder": (instead("meta.yaml", Path.mkdir), SUBMIT, "meta.yaml", "is a folder"),
    "meta a fifo": (instead("meta.yaml", os.mkfifo), SUBMIT, "meta.yaml", "is no regular file"),
    "meta binary": (rewritten("meta.yaml", b"\xff\xfe"), SUBMIT, "meta.yaml", "no text in UTF-8"),
    "sdr nan": (told("sdr: 0.0", "sdr: .nan"), SUBMIT, "results.validation_sdr", "nan"),
    "sdr infinite": (told("sdr: 0.0", "sdr: .inf"), SUBMIT, "results.validation_sdr", "inf"),
    "label climbs": (told(NAME, f"../{NAME}"), SUBMIT, "submission.label", f"../{NAME}"),
    "link none": (nothing, [*SUBMIT, "--link", "my disk"], "--link 'my disk'", "https://"),
    "link of two lines": (nothing, [*SUBMIT, "--link", "https://a\nb"], "--link", "https://"),
    "system is there": (nothing, ["submit", "sent", *SUBMIT[2:]], NAME, "is there already", "--again"),
    "zip is there": (unfiled, ["submit", "sent", *SUBMIT[2:]], f"{NAME}.synth.zip", "is there already", "--again"),
    "no evaluation set": (nothing, [*SUBMIT, "--evaluation", "sent"], SYNTH.list, EVALUATION),
    "mixture missing": (without(f"{REAL.audio}/real-1.wav"), SUBMIT, "real-1.wav", EVALUATION),
    "mixture cut": (lambda root: cut(0.6)(root / f"{REAL.audio}/real-1.wav"), SUBMIT, "real-1.wav", "truncated"),
    "not trained": (nothing, SUBMIT, "AudioSep-DP", "09"),
    "no such network": (nothing, [*SUBMIT, "--variant", "nonsense"], "nonsense"),
    "nothing to pack": (nothing, ["pack", "FSD50K"], "FSD50K", "nrsed task9 submit"),
    "nowhere to pack": (nothing, ["pack", "nowhere"], "nowhere", "nrsed task9 submit"),
    "template is there": (nothing, ["template", "meta.yaml"], "meta.yaml", "is there"),
    "template in a file": (nothing, ["template", "meta.yaml/x.yaml"], "meta.yaml/x.yaml"),
    "validate nothing": (nothing, ["validate", "sent", "--evaluation", "nowhere"], "is missing", EVALUATION),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_that_cannot_be_done(case: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("NRSED_RESULTS", str(root / "results"))
    damage, command, *words = COMMANDS[case]
    damage(root)
    before = {str(p): p.read_bytes() for p in (root / "sent").rglob("*") if p.is_file()}
    told = CliRunner().invoke(app, ["task9", *command])
    assert isinstance(told.exception, UserError), (told.output, told.exception)
    assert [word for word in words if word not in str(told.exception)] == [], str(told.exception)
    assert before == {str(p): p.read_bytes() for p in (root / "sent").rglob("*") if p.is_file()}
    assert not (root / "new").exists()


def test_a_submission_is_written_again_when_it_is_said(root: Path) -> None:
    meta = submission.read_meta(root / "meta.yaml")
    zips = submission.places(root / "sent", meta, "https://example.org/x", again=True)
    assert set(zips) == set(SETS) and all(path.is_file() for path in zips.values())
