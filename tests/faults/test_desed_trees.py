"""Trees of DESED and WildDESED that are broken on disk: one line says what, where and what to do, nothing half-made is
taken as made, and nothing hangs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import desed_tree
import numpy as np
import pandas as pd
import pytest
import soundfile
from desed_tree import CLASSES, SMALL, folder_of, make_tree, names_of, tone

from nrsed_lib.artefacts import open_run, shown_folder
from nrsed_lib.data.desed import check, shards
from nrsed_lib.data.desed.audioset import AUDIO, LABELS, NAMES
from nrsed_lib.data.desed.layout import PARTS, listing
from nrsed_lib.data.prepare import load_condition, load_split, prepare
from nrsed_lib.errors import DataError

RATE = 16_000  # of the tree here: nothing is resampled
STRONG, WEAK, NONE, TEST = "strong_real", "weak", "unlabelled", "real_validation"
HEAD = {STRONG: "filename\tonset\toffset\tevent_label", WEAK: "filename\tevent_labels", NONE: "filename"}
HEAD[TEST], HEAD["audioset"] = HEAD[STRONG], "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
ROW = {STRONG: "{}\t0.1\t0.9\tDog", WEAK: "{}\tDog", NONE: "{}"}
ROOT_READS_ALL = pytest.mark.skipif(os.geteuid() == 0, reason="root reads what is not readable")

Break = Callable[[Path], object]


def labels_of(root: Path, part: str) -> Path:
    return root / (LABELS if part == "audioset" else PARTS[part].metadata[0])


def content(data: str | bytes) -> Break:
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data.encode())


def rows(part: str, *lines: str) -> Break:
    """The file with these lines after the good ones."""
    return lambda path: path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


def instead(make: Break) -> Break:
    def put(path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        make(path)

    return put


def changed(how: Callable[[str], str]) -> Break:
    return lambda path: path.write_text(how(path.read_text()))


def strong(onset="0.1", offset="0.9", label="Dog", name="b.wav") -> Break:
    return rows(STRONG, f"{name}\t{onset}\t{offset}\t{label}")


gone = instead(lambda path: None)
a_folder = instead(Path.mkdir)
a_pipe = instead(os.mkfifo)
a_loop = instead(lambda path: path.symlink_to(path.name))
nowhere = instead(lambda path: path.symlink_to("nowhere"))
unreadable = lambda path: path.chmod(0)  # noqa: E731
LONG = "x" * 1_000_000

# What is broken: (part, its label file is …, words of what is said beside the file's name).
LABEL_FILES = {
    "gone": (STRONG, gone, "no label file|NRSED_DATA|get it from"),
    "a link to nothing": (STRONG, nowhere, "no label file|NRSED_DATA"),
    "a link to itself": (STRONG, a_loop, "no label file|NRSED_DATA"),
    "a folder": (STRONG, a_folder, "cannot be read|download it again"),
    "a pipe": (STRONG, a_pipe, "cannot be read|download it again"),
    "empty": (STRONG, content(""), "cannot be read|download it again"),
    "a blank line": (STRONG, content("\n\n\n"), "download it again"),
    "a header alone": (STRONG, content(HEAD[STRONG] + "\n"), "lists no clip|download it again"),
    "a header and blanks": (STRONG, content(HEAD[STRONG] + "\n\t\t\t\n\n"), "lists no clip"),
    "weak, a header alone": (WEAK, content(HEAD[WEAK] + "\n"), "lists no clip"),
    "unlabelled, a header alone": (NONE, content(HEAD[NONE] + "\n"), "lists no clip"),
    "unlabelled, empty": (NONE, content(""), "cannot be read"),
    "without a header": (STRONG, changed(lambda t: t.split("\n", 1)[1]), "no column 'filename'|separated by tabs"),
    "another header": (STRONG, changed(lambda t: t.replace("onset", "start")), "no column 'onset'|another file"),
    "header in capitals": (STRONG, changed(lambda t: t.replace("filename", "FILENAME")), "no column 'filename'"),
    "a column twice": (STRONG, changed(lambda t: t.replace("offset", " onset ")), "no column 'o|another file"),
    "commas": (STRONG, changed(lambda t: t.replace("\t", ",")), "no column|separated by tabs"),
    "semicolons": (STRONG, changed(lambda t: t.replace("\t", ";")), "no column|separated by tabs"),
    "blanks for tabs": (STRONG, changed(lambda t: t.replace("\t", "    ")), "no column|separated by tabs"),
    "a weak list for a strong one": (STRONG, content("filename\tevent_labels\na.wav\tDog\n"), "no column 'onset'"),
    "a strong list for a weak one": (WEAK, content(HEAD[STRONG] + "\na.wav\t0\t1\tDog\n"), "no column 'event_labels'"),
    "a page": (STRONG, content("<!doctype html>\n<title>404</title>\n"), "no column|another file"),
    "a picture": (STRONG, content(b"\x89PNG\r\n\x1a\n" + bytes(range(256))), "cannot be read"),
    "gzip": (STRONG, content(b"\x1f\x8b\x08\0\0\0\0\0" + bytes(range(128, 256))), "cannot be read"),
    "UTF-16": (STRONG, content((HEAD[STRONG] + "\na.wav\t0\t1\tDog\n").encode("utf-16")), "cannot be read"),
    "Latin-1": (STRONG, content((HEAD[STRONG] + "\né.wav\t0\t1\tDog\n").encode("latin-1")), "cannot be read"),
    "NUL bytes": (STRONG, content(bytes(2000)), "cannot be read|NUL"),
    "NUL in a name": (STRONG, content(HEAD[STRONG] + "\na\0b.wav\t0\t1\tDog\n"), "cannot be read|NUL"),
    "a row of more cells": (STRONG, rows(STRONG, "b.wav\t0\t1\tDog\tx\ty"), "cannot be read|download it again"),
    "a row of fewer cells": (STRONG, rows(STRONG, "b.wav\t0.5"), "line 6|event_label ''|beside times|correct the file"),
    "a cell of a million characters": (STRONG, strong(label=LONG), "line 6|'xxxx|...|correct the file"),
    "a name of a million characters": (STRONG, strong(name=LONG), "line 6|filename 'xxxx"),
    "a header of a million characters": (STRONG, content(LONG + "\n"), "no column|another file"),
    "a time of a million digits": (STRONG, strong(offset="9" * 1_000_000), "line 6|offset '999"),
    "unknown class": (STRONG, strong(label="Zebra"), "line 6|event_label 'Zebra' of 'b.wav'|none of the classes"),
    "class in small letters": (STRONG, strong(label="dog"), "event_label 'dog'"),
    "class of a neighbour": (STRONG, strong(label="Dog Speech"), "event_label 'Dog Speech'"),
    "weak, unknown class": (WEAK, rows(WEAK, "b.wav\tDog,Zebra"), "line 5|event_label 'Zebra' of 'b.wav'"),
    "weak, semicolons": (WEAK, rows(WEAK, "b.wav\tDog;Cat"), "event_label 'Dog;Cat'"),
    "test, unknown class": (TEST, strong(label="Zebra"), "event_label 'Zebra'"),
    "onset is no number": (STRONG, strong("soon"), "onset 'soon' of 'b.wav'|is no number of seconds"),
    "onset is blank": (STRONG, strong(""), "onset ''|is no number of seconds"),
    "onset has a comma": (STRONG, strong("0,1"), "onset '0,1'|is no number"),
    "onset is nan": (STRONG, strong("nan"), "onset 'nan'|is no number"),
    "offset is inf": (STRONG, strong(offset="inf"), "offset 'inf'|is no number"),
    "onset is -inf": (STRONG, strong("-inf"), "onset '-inf'|is no number"),
    "onset is negative": (STRONG, strong("-0.1"), "onset '-0.1'|before the clip"),
    "offset before onset": (STRONG, strong("0.9", "0.1"), "offset '0.1'|not after the onset"),
    "offset at the onset": (STRONG, strong("0.5", "0.5"), "not after the onset"),
    "offset is huge": (STRONG, strong(offset="1e9"), "offset '1000000000.0'|after the end"),
    "offset beyond any clip": (STRONG, strong(offset="16"), "offset '16.0'|after the end"),
    "test, offset is huge": (TEST, strong(offset="1e300"), "after the end"),
    "name leads out": (STRONG, strong(name="../../b.wav"), "filename '../../b.wav'|is no file name"),
    "name is absolute": (STRONG, strong(name="/etc/passwd"), "filename '/etc/passwd'|is no file name"),
    "name in a folder": (WEAK, rows(WEAK, "a/b.wav\tDog"), "filename 'a/b.wav'|is no file name"),
    "name in a folder of Windows": (NONE, rows(NONE, "a\\b.wav"), "is no file name"),
    "name is blank": (STRONG, strong(name=""), "filename ''|is no file name"),
    "name is the folder": (NONE, rows(NONE, "."), "filename '.'|is no file name"),
    "name is the folder above": (NONE, rows(NONE, ".."), "filename '..'|is no file name"),
    "name has controls": (NONE, rows(NONE, "a\x07b.wav"), "is no file name"),
    "name is too long": (NONE, rows(NONE, "y" * 300 + ".wav"), "is no file name"),
    "one file by two names": (NONE, rows(NONE, "b.wav", "b.flac"), "filename 'b.flac'|another extension"),
    "only clips that are not there": (WEAK, content(HEAD[WEAK] + "\nb.wav\tDog\n"), "1 missing|none of its clips"),
    "not readable": pytest.param(STRONG, unreadable, "cannot be read", marks=ROOT_READS_ALL),
    "segments: gone": ("audioset", gone, "no label file|audioset_train_strong"),
    "segments: a pipe": ("audioset", a_pipe, "no label file"),
    "segments: empty": ("audioset", content(""), "cannot be read"),
    "segments: a header alone": ("audioset", content(HEAD["audioset"] + "\n"), "no sound of"),
    "segments: of one video": ("audioset", changed(lambda t: "\n".join(t.splitlines()[:3]) + "\n"), "no sound of|for "),
    "segments: another header": ("audioset", changed(lambda t: t.replace("label", "mid")), "no column 'label'"),
    "segments: no video": ("audioset", rows("", "x_1\t0\t1\t/m/rain"), "segment_id 'x_1'|is not <video>"),
    "segments: number too long": ("audioset", rows("", "00000000000_" + "9" * 5000 + "\t0\t1\t/m/rain"), "segment_id"),
    "segments: other digits": ("audioset", rows("", "00000000000_٣\t0\t1\t/m/rain"), "segment_id"),
    "segments: leads out": ("audioset", rows("", "../../../..._1\t0\t1\t/m/rain"), "segment_id"),
    "segments: unknown label": ("audioset", rows("", "00000000000_1\t0\t1\t/m/x"), "label '/m/x' has no name"),
    "segments: reversed": ("audioset", rows("", "00000000000_1\t1\t0\t/m/rain"), "not after"),
    "segments: infinite": ("audioset", rows("", "00000000000_1\t0\tinf\t/m/rain"), "is no number"),
    "segments: negative": ("audioset", rows("", "00000000000_1\t-1\t1\t/m/rain"), "before the clip"),
    "segments: Latin-1": ("audioset", content((HEAD["audioset"] + "\né").encode("latin-1")), "cannot be read"),
}  # fmt: skip


def without_list(make: Break) -> Break:
    return lambda folder: (make(folder), gone(labels_of(folder.parents[2], NONE)))


def twin(folder: Path) -> None:
    (folder.parent / "x" / folder.name).mkdir(parents=True)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
HERE = "3 missing|none of its clips"
WILD, LAYOUT, SEGMENTS = "wild_test_0dB", "layout.yaml", "audioset"
# Another place of the tree is …: (part, place, broken by, words).
PLACES = {
    "clips gone": (WEAK, "folder", gone, HERE),
    "clips are a file": (WEAK, "folder", instead(content("x")), "is no folder|layout.yaml"),
    "clips are a pipe": (WEAK, "folder", a_pipe, "is no folder|layout.yaml"),
    "clips are a link to nothing": (WEAK, "folder", nowhere, HERE),
    "clips are a link to themselves": (WEAK, "folder", a_loop, HERE),
    "clips gone, with no list": (NONE, "folder", without_list(gone), "no label file"),
    "no clip, with no list": (NONE, "folder", without_list(instead(Path.mkdir)), "no clip is in"),
    "noisy clips are a file": (WILD, "folder", instead(content("x")), "is no folder|layout.yaml"),
    "noisy clips gone": (WILD, "folder", gone, HERE),
    "noisy clips in two places": (WILD, "folder", twin, "could all be it|layout.yaml"),
    "layout: no YAML": (WEAK, LAYOUT, content("a: [b"), "cannot be read|weak"),
    "layout: a tag": (WEAK, LAYOUT, content("weak: !!python/object/apply:os.system [true]"), "cannot be read"),
    "layout: a list": (WEAK, LAYOUT, content("[1, 2]"), "cannot be read|write one of"),
    "layout: a word": (WEAK, LAYOUT, content("weak"), "cannot be read|write one of"),
    "layout: bytes": (WEAK, LAYOUT, content(b"\xff\xfe\0"), "cannot be read"),
    "layout: a folder": (WEAK, LAYOUT, Path.mkdir, "cannot be read"),
    "layout: a pipe": (WEAK, LAYOUT, os.mkfifo, "cannot be read"),
    "layout: unknown part": (WEAK, LAYOUT, content("week: {folder: x}"), "week|is not understood|write one of"),
    "layout: unknown key": (WEAK, LAYOUT, content("weak: {audio: x}"), "weak|'audio'|is not understood"),
    "layout: a number": (WEAK, LAYOUT, content("weak: {folder: 3}"), "3|is not understood"),
    "layout: a list of folders": (WEAK, LAYOUT, content("weak: {folder: [a]}"), "is not understood"),
    "layout: nothing": (WEAK, LAYOUT, content("weak:"), "None|is not understood"),
    "layout: NUL": (WEAK, LAYOUT, content('weak: {folder: "a\\0b"}'), "is not understood"),
    "layout: a pattern": (WEAK, LAYOUT, content("weak: {folder: '/**/x'}"), "/**/x|is no folder"),
    "layout: labels not there": (WEAK, LAYOUT, content("weak: {metadata: x.tsv}"), "x.tsv|cannot be read"),
    "layout: labels are a folder": (WEAK, LAYOUT, content("weak: {metadata: audio}"), "audio|cannot be read"),
    "layout: clips not there": (WEAK, LAYOUT, content("weak: {folder: x}"), "x|is no folder"),
    "layout: a bomb of aliases": (WEAK, LAYOUT, content(BOMB), "is not understood"),
    "names of labels: Latin-1": (SEGMENTS, NAMES, content(b"/m/rain\tRa\xefn\n"), "display_name|cannot be read"),
    "names of labels: empty": (SEGMENTS, NAMES, content(""), "label '/m/rain' has no name"),
    "names of labels: commas": (SEGMENTS, NAMES, content("/m/rain,Rain\n"), "label '/m/rain' has no name"),
    "sounds are a file": (SEGMENTS, AUDIO, instead(content("x")), "no sound of"),
    "sounds are gone": (SEGMENTS, AUDIO, gone, "no sound of"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A tree without fault, and the cache of what was found in it, so that only what is broken is looked at again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desed_tree, "RATE", RATE)
        root = tmp_path_factory.mktemp("sound")
        make_tree(root / "dataset")
        yield root


@pytest.fixture
def tree(sound, tmp_path, monkeypatch):
    for name, folder in (("NRSED_DATA", "dataset"), ("NRSED_CACHE", "cache"), ("NRSED_RESULTS", "results")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(shards, "nb_cores", lambda: 1)
    shutil.copytree(sound / "dataset", tmp_path / "dataset", copy_function=os.link)
    for path in [*(tmp_path / "dataset").rglob("*.tsv")]:  # these are written to
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text)
    return tmp_path / "dataset"


def opened():
    return open_run("01", "paper", SMALL)


def said_by_check(run, part: str, monkeypatch) -> str:
    """What the check says of a part; the other ones are not walked."""
    monkeypatch.setattr(check, "PARTS", {part: PARTS[part]} if part in PARTS else {})
    if part != "audioset":
        monkeypatch.setattr(check, "_sounds", lambda data: {"part": "audioset_strong", "listed": 0, "remedy": ""})
    return check.check_desed(run).set_index("part")["remedy"].get(part if part in PARTS else "audioset_strong")


def refused(run, words: str, monkeypatch, part: str) -> None:
    checked = said_by_check(run, part, monkeypatch)
    with pytest.raises(DataError) as error:
        prepare(run)
    lines = [line for line in str(error.value).splitlines() if words.split("|")[-1] in line]
    line = next((line for line in lines if part in line), lines[0])
    for said in (checked, line):
        assert len(said) < 1200 and "\n" not in said
    for word in words.split("|"):
        assert word in checked or word in line, f"{word!r} is not said: {checked!r}, {line!r}"
    assert not [*run.folder.glob("*.npy")], "something was left as if it were made"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("case", LABEL_FILES)
def test_a_broken_label_file_is_told_before_anything_is_made(tree, case, monkeypatch):
    found = LABEL_FILES[case]
    part, damage, words = found.values if hasattr(found, "values") else found
    path = labels_of(tree, part)
    damage(path)
    if hasattr(found, "marks") and os.geteuid() == 0:
        pytest.skip("root reads what is not readable")
    run = opened()
    refused(run, words, monkeypatch, part)
    assert path.name in said_by_check(run, part, monkeypatch) or "clips" in words


@pytest.mark.timeout(30)
@pytest.mark.parametrize("case", PLACES)
def test_a_broken_place_is_told_before_anything_is_made(tree, case, monkeypatch):
    part, place, damage, words = PLACES[case]
    damage(folder_of(tree, part) if place == "folder" else tree / place)
    refused(opened(), words, monkeypatch, part)


def test_no_tree_at_all(tree, monkeypatch):
    monkeypatch.setenv("NRSED_DATA", str(tree / "nowhere"))
    refused(opened(), "no label file|NRSED_DATA", monkeypatch, STRONG)


# What a label file may have without harm.
FINE = {
    "as it is": lambda t: t,
    "a byte order mark": lambda t: "\ufeff" + t,
    "line ends of Windows": lambda t: t.replace("\n", "\r\n"),
    "line ends of old Macs": lambda t: t.replace("\n", "\r"),
    "no end of the last line": lambda t: t.rstrip("\n"),
    "blank lines": lambda t: t.replace("\n", "\n\n"),
    "blanks around cells": lambda t: t.replace("\t", " \t "),
    "rows twice": lambda t: t + t.split("\n", 1)[1],
    "a column more": lambda t: "".join(f"{line}\tx\n" for line in t.splitlines()),
    "a tab at each end": lambda t: t.replace("\n", "\t\n"),
    "columns in another order": lambda t: "".join("\t".join(line.split("\t")[::-1]) + "\n" for line in t.splitlines()),
}


@pytest.mark.parametrize("how", FINE)
def test_what_does_no_harm_changes_nothing(tree, how):
    before = listing(STRONG, CLASSES)
    path = labels_of(tree, STRONG)
    path.write_bytes(FINE[how](path.read_text()).encode())
    after = listing(STRONG, CLASSES)
    assert after.names == before.names and after.events.equals(before.events) and after.files == before.files


# --- clips: each is told by name in missing/<part>.tsv, and left out everywhere ------------------------------------


def audio(samples, rate=RATE, **more) -> Break:
    return lambda path: soundfile.write(path, samples, rate, **more)


def cut(share: float, **more) -> Break:
    def write(path: Path) -> None:
        soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE, **more)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return write


FLOATS = np.full(RATE, 0.1)
CLIPS = {  # name: (written by, what is said; "" if it can be used)
    "good": (audio(tone("a", rate=RATE)), ""),
    "good, short": (audio(tone("a", 0.1, RATE)), ""),
    "good, five channels": (audio(np.stack([tone("a", rate=RATE)] * 5, 1)), ""),
    "good, another rate": (audio(tone("a", rate=8000), 8000), ""),
    "good, silent": (audio(np.zeros(RATE)), ""),
    "not there": (lambda path: None, "missing"),
    "empty": (content(""), "empty file"),
    "no sample": (audio(np.zeros(0)), "no samples"),
    "words": (content("no sound at all"), "unreadable"),
    "page": (content("<!doctype html><title>404</title>"), "unreadable"),
    "folder": (Path.mkdir, "no regular file: a folder"),
    "pipe": (os.mkfifo, "no regular file: a pipe"),
    "link to nothing": (nowhere, "missing|unreadable"),
    "link to itself": (a_loop, "missing|unreadable"),
    "header alone": (cut(0.001), "unreadable|truncated|no samples"),
    "cut": (cut(0.6), "truncated"),
    "cut, flac": (cut(0.6, format="FLAC"), "truncated|unreadable"),
    "not a number": (audio(np.where(np.arange(RATE) == 5, np.nan, FLOATS), subtype="FLOAT"), "not finite"),
    "infinite": (audio(np.where(np.arange(RATE) == 5, np.inf, FLOATS), subtype="FLOAT"), "not finite"),
    "far too loud": (audio(1e30 * FLOATS, subtype="DOUBLE"), "too loud"),
    "not readable": (lambda path: (audio(FLOATS)(path), path.chmod(0)), "" if os.geteuid() == 0 else "unreadable"),
}


@pytest.fixture(scope="module")
def sick(sound, tmp_path_factory):
    """The row of the check, its list of faults, and the run, of a tree that has each of the clips among the unlabelled
    ones."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("sick")
        for name, folder in (("NRSED_DATA", "dataset"), ("NRSED_CACHE", "cache"), ("NRSED_RESULTS", "results")):
            patch.setenv(name, str(root / folder))
        patch.setattr(shards, "nb_cores", lambda: 1)
        patch.setattr(desed_tree, "RATE", RATE)
        tree = make_tree(root / "dataset")
        for name, (write, _) in CLIPS.items():
            write(folder_of(tree, NONE) / f"{name}.wav")
        labels_of(tree, NONE).write_text("\n".join(["filename", *(f"{name}.wav" for name in CLIPS)]) + "\n")
        run = opened()
        patch.setattr(check, "PARTS", {NONE: PARTS[NONE]})
        row = check.check_desed(run).set_index("part").loc[NONE]
        prepare(run)
        faults = pd.read_csv(shown_folder(run.profile) / "missing" / f"{NONE}.tsv", sep="\t")
        yield row, faults.set_index("filename")["error"], load_split(run, NONE).names


@pytest.mark.timeout(60)
@pytest.mark.parametrize("clip", CLIPS)
def test_a_broken_clip_is_named_and_left_out(sick, clip):
    _, faults, used = sick
    said = CLIPS[clip][1]
    assert (f"{clip}.wav" in used) == (not said)
    assert (f"{clip}.wav" in faults.index) == bool(said)
    if said:
        assert re.search(said, faults[f"{clip}.wav"]) and len(faults[f"{clip}.wav"]) < 200


def test_the_check_counts_them_and_says_where_to_get_them(sick):
    row, faults, used = sick
    assert row.listed == len(CLIPS) and row.missing + row.unreadable == len(faults) == len(CLIPS) - len(used)
    assert f"{NONE}.tsv" in row.remedy and "project.inria.fr/desed" in row.remedy


# --- what is too little, and what does not fit together ------------------------------------------------------------


def all_broken(tree: Path) -> None:
    for path in folder_of(tree, WEAK).iterdir():
        path.unlink()
        path.write_bytes(b"no sound")


def no_common_clip(tree: Path) -> None:
    names = names_of(TEST, 3)
    for snr, keep in ((10, names[0]), (5, names[1]), (0, names[2])):
        for name in names:
            if name != keep:
                (tree / f"WildDESED/test{snr}db" / name).unlink()


TOO_LITTLE = {
    "no weak clip can be read": (all_broken, "weak|none of 3 clips can be used|data check"),
    "no test clip is there in all conditions": (no_common_clip, "test|in every condition|data check"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", TOO_LITTLE)
def test_too_little_is_one_line_and_the_split_is_not_there(tree, case):
    make, words = TOO_LITTLE[case]
    make(tree)
    run = opened()
    with pytest.raises(DataError) as error:
        prepare(run)
    said = str(error.value)
    assert "\n" not in said and all(word in said for word in words.split("|")), said
    split = words.split("|")[0]
    assert not [*run.folder.glob(f"{split}*.npy")]


def test_a_clip_that_ends_before_its_events_is_not_the_one_that_was_labelled(tree, monkeypatch):
    monkeypatch.setitem(SMALL, "data.clip_seconds", 5.0)
    name = names_of(STRONG, 3)[0]
    labels_of(tree, STRONG).write_text(
        f"{HEAD[STRONG]}\n{name}\t0.1\t4.9\tDog\n{names_of(STRONG, 3)[1]}\t0.1\t0.9\tDog\n"
    )
    run = opened()
    assert "1 truncated" in said_by_check(run, STRONG, monkeypatch)


def test_names_that_differ_by_case_are_two_clips_and_no_other_file_is_taken_for_them(tree):
    folder = folder_of(tree, NONE)
    (folder / "Clip.WAV").write_bytes(b"x")
    labels_of(tree, NONE).write_text("filename\nclip.wav\nClip.wav\n")
    assert listing(NONE, CLASSES).files == {"Clip.wav": folder / "Clip.WAV"}


def test_mended_it_is_made(tree):
    """After the fault, the same command goes on, and what was made then is heard in every condition."""
    (tree / "WildDESED/test0db").rename(tree / "away")
    run = opened()
    with pytest.raises(DataError, match=r"wild_test_0dB: none of its clips is there"):
        prepare(run)
    (tree / "away").rename(tree / "WildDESED/test0db")
    prepare(run)
    assert len(load_split(run, "test")) == 3 and load_condition(run, "0dB").shape == (3, RATE)
