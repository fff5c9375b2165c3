"""Weight files that must not be trusted: what is broken, what must be said, and what must be left."""

from __future__ import annotations

import copy
import errno
import functools
import io
import json
import os
import pickle
import resource
import shutil
import signal
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from published import beats_checkpoint, clap_state, filled, lightning_checkpoint
from torch import Tensor
from typer.testing import CliRunner

from nrsed_lib import store
from nrsed_lib.convert.convert import check, convert
from nrsed_lib.errors import UserError, WeightsError
from nrsed_lib.lass import clap
from nrsed_lib.lass.resunet import ResUNet
from nrsed_lib.lass.training import take_weights
from nrsed_lib.profile import Lass
from nrsed_lib.run.cli import app
from nrsed_lib.sed.encoders.beats import load_beats
from nrsed_lib.studies.opensep.networks.text import RobertaReader
from nrsed_lib.weights import about_weights, find_weights, weights_fingerprint

NAN, INF = float("nan"), float("inf")
TEXT = {"nb_layers": 1, "size": 64, "hidden": 32, "nb_words": 40}
TRAIN = {"steps": 1, "warmup_steps": 0, "batch": 1, "seconds": 1}
NORM, WORDS = "layer_norm.weight", "text_branch.embeddings.word_embeddings.weight"
NET, CLAP_WORDS = "ss_model.base.after_conv.weight", f"module.{WORDS}"
TABLE = "encoder.layers.0.self_attn.relative_attention_bias.weight"
Make = Callable[[Path], Any]


@functools.cache
def good(kind: str) -> dict[str, Any]:
    if kind == "beats":
        return beats_checkpoint(nb_layers=1, size=64, hidden=96, nb_heads=4)
    if kind == "clap":
        return {"state_dict": {f"module.{name}": value for name, value in clap_state(**TEXT).items()}}
    with torch.device("meta"):
        net = ResUNet(513, 3, [4, 6, 8], 512, 0, 5)
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if v.is_floating_point()}
    return lightning_checkpoint(shapes, clap_state(**TEXT))


def state_of(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return checkpoint.get("model") or checkpoint["state_dict"]


def changed(kind: str, change: Callable[[dict[str, Any]], Any], **how: Any) -> Make:
    """The checkpoint, good but for a change."""

    def make(path: Path) -> None:
        checkpoint = copy.deepcopy(good(kind))
        change(checkpoint)
        torch.save(checkpoint, path, **how)

    return make


def tensor(kind: str, name: str, change: Callable[[Tensor], Any]) -> Make:
    """The checkpoint with one value of its state in another way."""
    return changed(kind, lambda c: state_of(c).update({name: change(state_of(c)[name].clone())}))


def put(value: float, nb: int = 1) -> Callable[[Tensor], Tensor]:
    """`value` in `nb` places."""

    def change(there: Tensor) -> Tensor:
        there.view(-1)[:nb] = value
        return there

    return change


def raw(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def saved(content: Any, **how: Any) -> Make:
    return lambda path: torch.save(content, path, **how)


def cut(share: float, legacy: bool = False) -> Make:
    def make(path: Path) -> None:
        torch.save(good("beats"), path, _use_new_zipfile_serialization=not legacy)
        os.truncate(path, int(share * path.stat().st_size))

    return make


def rezipped(change: Callable[[dict[str, bytes]], Any], how: int = zipfile.ZIP_STORED) -> Make:
    """A good archive of torch's, its members changed."""

    def make(path: Path) -> None:
        torch.save(good("beats"), path)
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        change(files)
        with zipfile.ZipFile(path, "w", how) as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return make


def member(name: str, content: bytes, how: int = zipfile.ZIP_STORED) -> Make:
    return rezipped(lambda files: files.update({f"{next(iter(files)).partition('/')[0]}/{name}": content}), how)


def flipped(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


def script(path: Path) -> None:
    with pytest.warns(DeprecationWarning):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def quantised(there: Tensor) -> Tensor:
    return torch.quantize_per_tensor(there, 0.1, 0, torch.qint8)


class Hostile:
    """Unpickled, it calls something."""

    def __init__(self, call: Callable, *given: Any) -> None:
        self.call, self.given = call, given

    def __reduce__(self) -> tuple:
        return self.call, self.given


def hostile(call: Callable, *given: Any, zipped: bool = True) -> Make:
    """`{mark}` among what is given is a file that must not come to be."""

    def make(path: Path) -> None:
        mark = str(path.with_name("mark"))
        evil = Hostile(call, *(g.format(mark=mark) if isinstance(g, str) else g for g in given))
        checkpoint = good("beats") | {"model": good("beats")["model"] | {"x": evil}}
        torch.save(checkpoint, path) if zipped else path.write_bytes(pickle.dumps(checkpoint, protocol=2))

    return make


def st(header: Any, data: bytes = b"", length: int | None = None) -> Make:
    """A file of safetensors, byte by byte."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return raw(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


TWICE = b'{"a": %s, "a": %s}' % tuple(json.dumps(entry([1], i, i + 4)).encode() for i in (0, 4))


def zeros(checkpoint: dict[str, Any]) -> None:
    state_of(checkpoint).update({name: torch.zeros_like(value) for name, value in state_of(checkpoint).items()})


def without_blocks(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if "block" not in k}


def st_cut(path: Path) -> None:
    safetensors.torch.save_file(clap_state(**TEXT), path)
    os.truncate(path, path.stat().st_size // 2)


def st_nan(path: Path) -> None:
    state = clap_state(**TEXT)
    put(NAN, 7)(state[WORDS])
    safetensors.torch.save_file(state, path)


def unreadable(path: Path) -> None:
    raw(b"x")(path)
    path.chmod(0)


GIVE, AGAIN, PUBLISHED = "give the path", "again", "published file"  # the remedies
BROKEN, NOT_RUN = ("damaged or no checkpoint", AGAIN), "Nothing of it was run"

# What is broken: how `a.pt` is made, and what must be said beside its name.
FILES: dict[str, tuple[Any, ...]] = {
    # No file, or none of weights.
    "missing": (lambda path: None, "is missing", GIVE),
    "folder": (Path.mkdir, "is a folder", GIVE),
    "fifo": (os.mkfifo, "is no regular file", GIVE),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is no regular file", GIVE),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "is missing", GIVE),
    "link to itself": (lambda path: path.symlink_to("a.pt"), "is missing", GIVE),
    "name too long": (lambda path: None, "is missing", GIVE),
    "name with NUL": (lambda path: None, "is missing", GIVE),
    "empty": (raw(b""), *BROKEN),
    "one byte": (raw(b"\x80"), *BROKEN),
    "text": (raw(b"weights\n" * 9), AGAIN),
    "page": (raw(b"<!doctype html><html>Sign in to download</html>"), AGAIN),
    "pointer of LFS": (raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), AGAIN),
    "zeros": (raw(bytes(4096)), AGAIN),
    "noise": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(4096)), AGAIN),
    "WAV": (raw(b"RIFF\x24\0\0\0WAVEfmt "), AGAIN),
    # torch's archives.
    "cut at 10 %": (cut(0.1), *BROKEN),
    "cut at 50 %": (cut(0.5), *BROKEN),
    "cut at 99 %": (cut(0.99), *BROKEN),
    "legacy, cut at 5 %": (cut(0.05, legacy=True), AGAIN),
    "legacy, cut at 90 %": (cut(0.9, legacy=True), *BROKEN),
    "no pickle in it": (rezipped(lambda f: f.pop(next(iter(f)))), *BROKEN),
    "a storage is not in it": (rezipped(lambda f: f.pop(list(f)[5])), *BROKEN),
    "a storage is short": (member("data/0", b"1234"), *BROKEN),
    "pickle cut": (member("data.pkl", b"\x80\x02}q\0("), *BROKEN),
    "pickle of opcodes": (member("data.pkl", b"\x80\x02aaaaubsRRR."), AGAIN),
    "pickle of endless lists": (member("data.pkl", b"\x80\x02" + b"]" * 99), AGAIN),
    "bomb": (member("data/0", bytes(1 << 24), zipfile.ZIP_DEFLATED), "unpack to", AGAIN),
    "bomb beside": (member("more", bytes(1 << 24), zipfile.ZIP_DEFLATED), "unpack to", AGAIN),
    "climbing name": (rezipped(lambda f: f.update({"../../evil": b"x"})), "../../evil", AGAIN),
    "absolute name": (rezipped(lambda f: f.update({"/etc/evil": b"x"})), "/etc/evil", AGAIN),
    "zip of something": (lambda p: zipfile.ZipFile(p, "w").writestr("readme", "x"), AGAIN),
    "TorchScript": (script, "TorchScript", AGAIN),
    # Pickles that would run something.
    "os.mkdir": (hostile(os.mkdir, "{mark}"), "asks for posix.mkdir to be run", NOT_RUN),
    "os.system": (hostile(os.system, "touch {mark}"), "posix.system", NOT_RUN),
    "bare pickle": (hostile(os.system, "touch {mark}", zipped=False), "refused", NOT_RUN),
    "eval": (hostile(eval, "open('{mark}', 'w')"), "asks for eval", NOT_RUN),
    "exec": (hostile(exec, "open('{mark}', 'w')"), "asks for exec", NOT_RUN),
    "Popen": (hostile(subprocess.Popen, ["touch", "{mark}"]), "Popen", NOT_RUN),
    "getattr": (hostile(getattr, "x", "upper"), "refused", NOT_RUN),
    "torch.load": (hostile(torch.load, "{mark}"), "torch.serialization.load", NOT_RUN),
    "numpy": (hostile(np.fromfile, "{mark}"), "fromfile", NOT_RUN),
    "bytes": (hostile(bytearray, 10), "a.pt"),
    # No checkpoint's dictionary, or another's.
    "list": (saved([1, 2]), "holds a list", "dictionary"),
    "number": (saved(3), "holds a int", "dictionary"),
    "one tensor": (saved(torch.zeros(3)), "holds a Tensor", "dictionary"),
    "empty dictionary": (saved({}), "looks like none of beats, audiosep, clap", "--kind"),
    "another network": (saved({"conv.weight": torch.ones(2)}), "looks like none of", "conv.weight", "--kind"),
    "state is None": (saved({"state_dict": None}), "looks like none of", "state_dict", "--kind"),
    "state is a list": (saved({"state_dict": [torch.ones(2)]}), "looks like none of", "state_dict", "--kind"),
    "state is empty": (saved({"state_dict": {}}), "looks like none of", "--kind"),
    "model is empty": (changed("beats", lambda c: c.update(model={})), "model", "no tensors", PUBLISHED),
    "model is a tensor": (changed("beats", lambda c: c.update(model=torch.ones(1))), "model is a Tensor", PUBLISHED),
    "cfg is text": (changed("beats", lambda c: c.update(cfg="deep")), "'cfg' and 'model'"),
    "cfg of another": (changed("beats", lambda c: c["cfg"].update(deep_norm=0.5)), "cfg", "deep_norm", "0.5"),
    "reach is text": (changed("beats", lambda c: c["cfg"].update(max_distance="far")), "max_distance", "far"),
    "reach below zero": (changed("beats", lambda c: c["cfg"].update(max_distance=-1)), "max_distance", "-1"),
    "nested": (changed("clap", lambda c: c.update(state_dict={"module": c["state_dict"]})), "--kind"),
    "nested, one": (tensor("beats", NORM, lambda t: {"value": t}), NORM, "dict", PUBLISHED),
    "key is a number": (changed("beats", lambda c: c["model"].update({5: torch.ones(1)})), "5", "name"),
    "key is None": (changed("clap", lambda c: c["state_dict"].update({None: torch.ones(1)})), "None", "name"),
    "value is text": (tensor("beats", NORM, lambda t: "1.0"), NORM, "str", PUBLISHED),
    "value is a number": (tensor("audiosep", NET, lambda t: 1.0), NET, "float", PUBLISHED),
    "value is None": (tensor("clap", CLAP_WORDS, lambda t: None), WORDS, "NoneType", PUBLISHED),
    # Tensors that are not weights.
    "nan": (tensor("beats", NORM, put(NAN, 3)), NORM, "3 of 512", "not finite", PUBLISHED),
    "inf": (tensor("beats", NORM, put(INF)), NORM, "1 of 512", "not finite", PUBLISHED),
    "minus inf": (tensor("audiosep", NET, put(-INF)), NET, "1 of 12", "not finite", PUBLISHED),
    "nan in CLAP": (tensor("clap", CLAP_WORDS, put(NAN, 2)), WORDS, "2 of 2560", "not finite"),
    "nan in its text branch": (tensor("audiosep", f"query_encoder.model.{WORDS}", put(NAN)), WORDS, "1 of 2560"),
    "infinite in half": (tensor("beats", NORM, lambda t: (t * 1e9).half()), NORM, "not finite"),
    "integers": (tensor("beats", NORM, lambda t: t.long()), NORM, "torch.int64", PUBLISHED),
    "integers in a net": (tensor("audiosep", NET, lambda t: t.int()), NET[9:], "torch.int32", PUBLISHED),
    "booleans": (tensor("clap", CLAP_WORDS, lambda t: t > 0), "word_embeddings.weight", "torch.bool", PUBLISHED),
    "complex": (tensor("beats", NORM, lambda t: t + 1j), NORM, "torch.complex64", PUBLISHED),
    "quantised": (tensor("beats", NORM, quantised), NORM, "torch.qint8", PUBLISHED),
    "sparse": (tensor("beats", NORM, lambda t: t.to_sparse()), NORM, "torch.sparse_coo", PUBLISHED),
    "on no device": (tensor("beats", NORM, lambda t: t.to("meta")), NORM, "meta", PUBLISHED),
    "one number for all": (tensor("clap", CLAP_WORDS, lambda t: torch.ones(1, 1).expand(1 << 40, 64)), WORDS),
    "all zeros": (changed("clap", zeros), "every weight is zero", PUBLISHED),
    "missing tensor": (changed("beats", lambda c: c["model"].pop(NORM)), "missing: layer_norm.weight [512]"),
    "extra tensor": (changed("beats", lambda c: c["model"].update(more=torch.ones(3))), "unexpected: more [3]"),
    "wrong shape": (tensor("beats", NORM, lambda t: t[:9]), "shape of layer_norm.weight: [9]", "[512]"),
    "no dimension": (tensor("beats", "post_extract_proj.weight", torch.sum), "post_extract_proj.weight", "[]"),
    "no channel": (tensor("beats", "encoder.pos_conv.0.weight_v", lambda t: t[:, :0]), "weight_v", "[64, 0, 128]"),
    "heads that do not divide": (tensor("beats", TABLE, lambda t: t[:, :3]), "3", PUBLISHED),
    "no heads": (tensor("beats", TABLE, lambda t: t[:, :0]), TABLE, "[320, 0]"),
    "net without blocks": (changed("audiosep", without_blocks), "conv2.weight is missing", "another kind"),
    "100 channels": (tensor("clap", CLAP_WORDS, lambda t: torch.ones(40, 100)), "100 channels", "64"),
    "safetensors by another name": (lambda p: safetensors.torch.save_file(clap_state(**TEXT), p), AGAIN),
}  # fmt: skip

# The same for `a.safetensors`.
SAFETENSORS: dict[str, tuple[Any, ...]] = {
    "empty": (raw(b""), *BROKEN),
    "text": (raw(b"<html>Sign in</html>"), *BROKEN),
    "cut": (st_cut, *BROKEN),
    "folder": (Path.mkdir, "is a folder", GIVE),
    "fifo": (os.mkfifo, "is no regular file", GIVE),
    "header of 2**60": (st({}, length=1 << 60), *BROKEN),
    "header longer than the file": (st({}, length=999), *BROKEN),
    "header no JSON": (st(b"{oh"), *BROKEN),
    "header a list": (st([1]), *BROKEN),
    "header not UTF-8": (st(b'{"\xff\xfe": 1}'), *BROKEN),
    "overlap": (st({"a": entry([1], 0, 4), "b": entry([1], 2, 6)}, bytes(6)), *BROKEN),
    "hole": (st({"a": entry([1], 4, 8)}, bytes(8)), *BROKEN),
    "beyond its end": (st({"a": entry([9], 0, 36)}, bytes(4)), *BROKEN),
    "backwards": (st({"a": entry([1], 4, 0)}, bytes(4)), *BROKEN),
    "shape lies": (st({"a": entry([1 << 40], 0, 4)}, bytes(4)), *BROKEN),
    "unknown type": (st({"a": entry([1], 0, 4, "F33")}, bytes(4)), *BROKEN),
    "name twice": (st(TWICE, bytes(8)), *BROKEN),
    "bytes left over": (st({"a": entry([1], 0, 4)}, bytes(99)), *BROKEN),
    "no tensors": (st({}), "looks like none of", "--kind"),
    "nan": (st_nan, WORDS, "7 of 2560", "not finite", PUBLISHED),
    "a pickle": (changed("clap", dict), *BROKEN),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder with something in it that must stay."""
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)  # where a name that is none would be written
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "beats.safetensors").write_bytes(b"what was there")
    return tmp_path / "weights"


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def said(words: tuple[str, ...], *call: Any) -> str:
    """The one error of a call: all words are in it, and it is short enough to be read."""
    with pytest.raises(UserError) as caught:
        call[0](*call[1:])
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 1500, message
    return message


ODD_NAMES = {"a.pt: name too long": "a" * 300 + ".pt", "a.pt: name with NUL": "a\0.pt"}
CASES = [(f"a.pt: {case}", *row) for case, row in FILES.items()]
CASES += [(f"a.safetensors: {case}", *row) for case, row in SAFETENSORS.items()]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_file_that_cannot_be_converted(case: tuple[Any, ...], tmp_path: Path, folder: Path) -> None:
    name, make, *words = case
    path = tmp_path / ODD_NAMES.get(name, name.partition(":")[0])
    make(path)
    before = content(folder)
    said((path.name.partition("\0")[0], *words), convert, path)
    assert content(folder) == before
    assert not (tmp_path / "mark").exists()


def test_the_hostile_pickles_would_have_worked(tmp_path: Path) -> None:
    for call, given in ((os.mkdir, tmp_path / "a"), (eval, f"open({str(tmp_path / 'b')!r}, 'w')")):
        pickle.load(io.BytesIO(pickle.dumps(Hostile(call, str(given)))))
    assert (tmp_path / "a").exists() and (tmp_path / "b").exists()


# Files that are odd and good: a format of before torch 1.6, half precision, one storage for all, what is left out.
GOOD: dict[str, Make] = {
    "legacy": changed("beats", lambda c: None, _use_new_zipfile_serialization=False),
    "half": changed("beats", lambda c: c.update(model={k: v.half() for k, v in c["model"].items()})),
    "one storage": changed("beats", lambda c: [c["model"].update({k: v.clone().T.contiguous().T for k, v in
                                               c["model"].items() if v.ndim == 2})]),
    "parameters": changed("beats", lambda c: c["model"].update({NORM: torch.nn.Parameter(c["model"][NORM])})),
    "nan in what is left out": tensor("clap", "module.audio_branch.bn0.weight", put(NAN)),
    "a bias of zeros": tensor("beats", "layer_norm.bias", torch.zeros_like),
    "bare state": lambda p: torch.save(clap_state(**TEXT), p),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_a_file_that_is_odd_but_good(case: str, tmp_path: Path, folder: Path) -> None:
    GOOD[case](tmp_path / "a.pt")
    path, _ = convert(tmp_path / "a.pt", out="mine")
    assert path == find_weights("mine") and about_weights(path)["content_sha256"] == weights_fingerprint("mine")
    assert check().set_index("weights").state["mine"] == "good"


# Kinds: what is in the file, what it is called, and what must be said.
KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "CLAP as BEATs": ("clap", "beats", ("'cfg' and 'model'",)),
    "AudioSep as BEATs": ("audiosep", "beats", ("'cfg' and 'model'",)),
    "BEATs as AudioSep": ("beats", "audiosep", ("state_dict", "ss_model.")),
    "CLAP as AudioSep": ("clap", "audiosep", ("ss_model.",)),
    "BEATs as CLAP": ("beats", "clap", ("cfg",)),
    "AudioSep as CLAP": ("audiosep", "clap", ("word_embeddings.weight is missing",)),
    "no such kind": ("beats", "panns", ("no kind 'panns'", "beats, audiosep, clap")),
    "empty kind": ("beats", "", ("no kind ''", "beats, audiosep, clap")),
    "kind in capitals": ("beats", "BEATS", ("no kind 'BEATS'", "beats, audiosep, clap")),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_kind_that_is_given_wrongly(case: str, tmp_path: Path, folder: Path) -> None:
    holds, kind, words = KINDS[case]
    torch.save(good(holds), tmp_path / "a.pt")
    before = content(folder)
    said(words, convert, tmp_path / "a.pt", kind)
    assert content(folder) == before


# Names for what is made, and what must be said.
NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "climbing": ("../evil", ("'../evil'", "letters")),
    "into a folder": ("a/b", ("'a/b'", "letters")),
    "absolute": ("/tmp/evil", ("'/tmp/evil'", "letters")),
    "of Windows": ("..\\evil", ("evil'", "letters")),
    "dots": ("..", ("'..'", "letters")),
    "hidden": (".evil", ("'.evil'", "letters")),
    "empty": ("", ("''", "letters")),
    "new line": ("a\nb", ("'a\\nb'", "letters")),
    "NUL": ("a\0b", ("'a\\x00b'", "letters")),
    "an option": ("-rf", ("'-rf'", "letters")),
    "too long": ("a" * 300, ("aaa", "letters")),
    "there, another": ("beats", ("beats.safetensors", "is there", "--again", "--out")),
    "only an ending": (".safetensors", ("'.safetensors'", "letters")),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_cannot_be_taken(case: str, tmp_path: Path, folder: Path) -> None:
    name, words = NAMES[case]
    torch.save(good("beats"), tmp_path / "a.pt")
    before = content(tmp_path)
    said(words, convert, tmp_path / "a.pt", None, name)
    assert content(tmp_path) == before


def test_what_is_there_is_replaced_when_it_is_said(tmp_path: Path, folder: Path) -> None:
    torch.save(good("beats"), tmp_path / "a.pt")
    tensor("beats", NORM, put(0.5))(tmp_path / "b.pt")
    (folder / "beats.safetensors").unlink()
    path, _ = convert(tmp_path / "a.pt")
    before = content(folder)
    convert(tmp_path / "a.pt")  # the same again: it stays
    assert content(folder) == before
    said((str(path), "is there", "a.pt", "--again"), convert, tmp_path / "b.pt")
    assert content(folder) == before
    flipped(path, 0.9)
    said((str(path), "--again"), convert, tmp_path / "a.pt")
    told = CliRunner().invoke(app, ["weights", "convert", str(tmp_path / "a.pt"), "--again"])
    assert told.exit_code == 0 and content(folder) == before
    convert(tmp_path / "b.pt", again=True)
    assert about_weights(path)["source"] == "b.pt"
    report = tmp_path / "notes.csv"
    report.write_text("mine")
    said((str(report), "is there", "--again"), convert, tmp_path / "a.pt", None, str(tmp_path / "notes.safetensors"))
    assert report.read_text() == "mine"


def test_a_place_that_is_no_file_stays(tmp_path: Path, folder: Path) -> None:
    torch.save(good("beats"), tmp_path / "a.pt")
    (folder / "dir.safetensors").mkdir()
    os.mkfifo(folder / "fifo.safetensors")
    (tmp_path / "file").write_text("x")
    for out, again in (("dir", False), ("dir", True), ("fifo", False), (str(tmp_path / "file/x.safetensors"), False)):
        said((Path(out).stem,), functools.partial(convert, tmp_path / "a.pt", out=out, again=again))
    assert (folder / "dir.safetensors").is_dir() and (folder / "fifo.safetensors").is_fifo()


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


DISKS: dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "tensors": lambda patch: patch.setattr(safetensors.torch, "save_file", full),
    "report": lambda patch: patch.setattr("pandas.DataFrame.to_csv", full),
    "rename": lambda patch: patch.setattr(os, "replace", full),
    "limit": lambda patch: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY)),
}


@pytest.mark.parametrize("again", [False, True], ids=["new", "again"])
@pytest.mark.parametrize("case", DISKS)
def test_a_full_disk_leaves_what_was_there(
    case: str, again: bool, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(good("beats"), tmp_path / "a.pt")
    (folder / "beats.csv").write_text("the report that was there")
    before = content(folder)
    limit, told = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with monkeypatch.context() as patch:
            DISKS[case](patch)
            call = functools.partial(convert, tmp_path / "a.pt", out="beats" if again else "new", again=again)
            said(("cannot be written", "room"), call)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, told)
    assert content(folder) == before
    convert(tmp_path / "a.pt", out="beats", again=True)  # with room again, it goes on


# Converted weights, and how they are damaged.
def header(change: Callable[[dict[str, Any]], Any], signed: bool = False) -> Make:
    """Another word in the header; signed: as if it had been so from the beginning."""

    def make(path: Path) -> None:
        tensors, about = store.read_tensors(path)
        change(about)
        if signed and (about := dict(about)):
            about["digest"] = store.digest({k: v for k, v in about.items() if k != "digest"})
        store.write_tensors(path, tensors, **about)

    return make


def tensors_of(change: Callable[[dict[str, Tensor]], Any]) -> Make:
    def make(path: Path) -> None:
        tensors, about = store.read_tensors(path)
        change(tensors)
        store.write_tensors(path, tensors, **about)

    return make


def bare(path: Path) -> None:
    safetensors.torch.save_file(store.read_tensors(path)[0], path)


def replaced(make: Make) -> Make:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


CONVERT = "nrsed weights convert"
DAMAGED: dict[str, tuple[Any, ...]] = {
    "byte in the last tensor": (lambda p: flipped(p, 0.99), "damaged"),
    "byte in the middle": (lambda p: flipped(p, 0.5), "damaged"),
    "byte in the header's length": (lambda p: flipped(p, 0.0), "damaged"),
    "byte in the header": (lambda p: flipped(p, 100 / p.stat().st_size), CONVERT),
    "cut": (lambda p: os.truncate(p, 5000), "damaged"),
    "empty": (lambda p: os.truncate(p, 0), "damaged"),
    "longer": (lambda p: p.write_bytes(p.read_bytes() + b"x"), "damaged"),
    "a page": (raw(b"<html>"), "damaged"),
    "a pickle": (replaced(hostile(os.system, "touch {mark}")), "damaged"),
    "folder": (replaced(Path.mkdir), "is a folder"),
    "fifo": (replaced(os.mkfifo), "is no regular file"),
    "link to nothing": (replaced(lambda p: p.symlink_to("nowhere")), "is "),
    "nothing said": (bare, "was not made by"),
    "no kind": (header(lambda a: a.pop("kind")), "kind"),
    "kind of none": (header(lambda a: a.update(kind="panns"), signed=True), "kind", "panns"),
    "no architecture": (header(lambda a: a.pop("architecture"), signed=True), "architecture"),
    "architecture is text": (header(lambda a: a.update(architecture="x"), signed=True), "architecture"),
    "architecture changed": (header(lambda a: a["architecture"].update(reach=80)), "digest"),
    "source's hash lies": (header(lambda a: a.update(sha256="0" * 64)), "digest"),
    "source's hash is short": (header(lambda a: a.update(sha256="abc"), signed=True), "sha256"),
    "no hash": (header(lambda a: a.pop("content_sha256"), signed=True), "content_sha256"),
    "hash lies": (header(lambda a: a.update(content_sha256="0" * 64), signed=True), "damaged"),
    "newer layout": (header(lambda a: a.update(layout=99), signed=True), "layout", "99"),
    "unknown word": (header(lambda a: a.update(more=1), signed=True), "more"),
    "tensor gone": (tensors_of(lambda t: t.pop("layer_norm.bias")), "damaged"),
    "tensor more": (tensors_of(lambda t: t.update(more=torch.ones(1))), "damaged"),
    "nan": (tensors_of(lambda t: put(NAN)(t[NORM])), "damaged"),
    "tensor of another type": (tensors_of(lambda t: t.update({NORM: t[NORM].half()})), "damaged"),
}  # fmt: skip
# What only the network can tell.
LIES: dict[str, tuple[Any, ...]] = {
    "kind of another": (header(lambda a: a.update(kind="clap"), signed=True), "clap"),
    "architecture of another": (header(lambda a: a["architecture"].update(nb_layers=2), signed=True), "nb_layers"),
    "architecture lacks a size": (header(lambda a: a["architecture"].pop("nb_heads"), signed=True), "architecture"),
    "architecture has too many": (header(lambda a: a["architecture"].update(x=1), signed=True), "x"),
    "architecture of texts": (header(lambda a: a["architecture"].update(nb_layers="two"), signed=True), "two"),
}  # fmt: skip


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Good conversions, to be copied."""
    folder, made = tmp_path_factory.mktemp("converted"), {}
    for kind in ("beats", "audiosep", "clap"):
        torch.save(good(kind), folder / f"{kind}.pt")
        made[kind] = convert(folder / f"{kind}.pt", kind, str(folder / f"{kind}.safetensors"))[0]
    return made


@pytest.mark.parametrize("case", DAMAGED | LIES)
def test_converted_weights_that_are_damaged(case: str, folder: Path, converted: dict[str, Path]) -> None:
    damage, *words = (DAMAGED | LIES)[case]
    path = folder / "beats.safetensors"
    path.write_bytes(converted["beats"].read_bytes())
    load_beats()
    damage(path)
    said((str(path), *words, CONVERT), load_beats)
    row = check().set_index("weights").loc["beats"]
    assert row.state == ("good" if case in LIES else "damaged")
    assert case in LIES or all(word in row.remedy for word in words), row.remedy
    assert not (folder / "mark").exists()


def test_every_door_checks(
    folder: Path, tmp_path: Path, converted: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A separator's weights, and CLAP's in a file of its own or in a separator's."""
    settings = Lass(nb_channels=[4, 6, 8], train=TRAIN)
    files = tmp_path / "separator.safetensors", tmp_path / "history.csv"
    for name in ("audiosep", "clap"):
        path = folder / f"{name}.safetensors"
        path.write_bytes(converted[name].read_bytes())
        if name == "audiosep":
            take_weights(files, settings, name)
            files[0].unlink()
        flipped(path, 0.99)
        monkeypatch.setattr(clap, "load_tokenizer", lambda: None)
        doors: list[Callable] = [functools.partial(clap.ClapText(path, 512)._compute, ["dog"])]
        if name == "audiosep":
            doors.append(functools.partial(take_weights, files, settings, name))
        for door in doors:
            said((str(path), "damaged", CONVERT), door)
    assert not files[0].exists()
    said(("'../x'", "letters"), find_weights, "../x")
    said(("'a/b'", "letters"), weights_fingerprint, "a/b")


def test_texts_that_are_damaged_are_embedded_anew(
    folder: Path, converted: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "clap.safetensors"
    path.write_bytes(converted["clap"].read_bytes())
    monkeypatch.setattr(clap.ClapText, "_compute", lambda _, texts: {text: torch.ones(512) for text in texts})
    damages: list[Make] = [lambda p: flipped(p, 0.99), lambda p: os.truncate(p, 9), lambda p: p.write_text("<html>")]
    for damage in (*damages, lambda p: shutil.rmtree(p.parent / store.SUMS)):  # the last: of nobody knows what
        text = clap.ClapText(path, 512)
        text.embed(["dog", "cat"])
        damage(text.kept)
        assert torch.equal(clap.ClapText(path, 512).embed(["dog"]), torch.ones(1, 512))
        assert set(store.read_tensors(text.kept)[0]) == {"dog"}


# The vocabulary in the weights folder: what is broken in it.
VOCABULARY: dict[str, Callable[[Path], Any]] = {
    "nothing in it": lambda folder: None,
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
    "tokenizer cut": lambda folder: (folder / "tokenizer.json").write_text('{"version": "1.0", "mod'),
    "tokenizer of another": lambda folder: (folder / "tokenizer.json").write_text('{"version": 7}'),
    "config no JSON": lambda folder: (folder / "config.json").write_text("<html>"),
    "config of none": lambda folder: (folder / "config.json").write_text('{"model_type": "no-such"}'),
    "config runs code": lambda folder: (folder / "config.json").write_text(
        '{"model_type": "x", "auto_map": {"AutoTokenizer": ["evil.Evil", null], "AutoConfig": "evil.Evil"}}'
    ),
}


@pytest.mark.parametrize("case", VOCABULARY)
def test_a_vocabulary_that_cannot_be_read(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clap, "TOKENIZER", "no-such-tokenizer")  # transformers' cache may have the real one
    place = folder / "no-such-tokenizer"
    place.mkdir()
    (place / "evil.py").write_text(f"open({str(folder / 'mark')!r}, 'w')")
    VOCABULARY[case](place)
    said((str(place), "put config.json"), clap.load_tokenizer)
    assert not (folder / "mark").exists()


# RoBERTa's weights beside it: what is broken in them.
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 9}
ROBERTA: dict[str, tuple[Make, str]] = {
    "no tensors": (st({}), ""),
    "of another network": (lambda path: safetensors.torch.save_file({"a": torch.ones(1)}, path), "are missing"),
    "empty": (raw(b""), ""),
    "page": (raw(b"<html>Sign in</html>"), ""),
    "cut": (st_cut, ""),
    "a pickle": (hostile(os.mkdir, "{mark}"), ""),
}


@pytest.mark.parametrize("case", ROBERTA)
def test_roberta_that_cannot_be_read(case: str, folder: Path) -> None:
    make, word = ROBERTA[case]
    place = folder / clap.TOKENIZER
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "roberta"} | SIZES))
    make(place / "model.safetensors")
    said((str(place), word, "put config.json", "anew"), RobertaReader, 768)
    assert not (place / "mark").exists()


def test_the_command_says_one_line(tmp_path: Path) -> None:
    for words in (
        ["convert", str(tmp_path / "none.pt")],
        ["convert", str(tmp_path)],
        ["convert", "a.pt", "--kind", "x"],
    ):
        told = CliRunner().invoke(app, ["weights", *words])
        assert told.exit_code == 1 and isinstance(told.exception, WeightsError), told.output
    assert filled({"a": (1,)})  # the recipe that the checkpoints here are made by
