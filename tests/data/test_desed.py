"""DESED's label files and folders: dialects, damage, and what is said about it."""

import numpy as np
import pytest
import yaml
from desed_tree import CLASSES, folder_of, make_tree, strong_lines, write_clips, write_lines

from nrsed_lib.data.clips import list_digest
from nrsed_lib.data.desed.layout import PARTS, condition_part, find_files, listing, read_labels
from nrsed_lib.errors import DataError

GOOD = ("a.wav", "0.5", "1.5", "Dog")


def strong(path, *rows, end="\n"):
    write_lines(path, strong_lines(rows), end)
    return read_labels(path, "strong", CLASSES)


def test_strong_labels_and_a_clip_without_events(tmp_path):
    names, events, repeated = strong(tmp_path / "x.tsv", GOOD, ("b.wav", "", "", ""), ("a.wav", "1", "2", "Cat"))
    assert (names, repeated) == (["a.wav", "b.wav"], 0)
    assert events.to_numpy().tolist() == [["a.wav", 0.5, 1.5, "Dog"], ["a.wav", 1.0, 2.0, "Cat"]]


def test_windows_line_ends_and_a_byte_order_mark_and_blanks_do_not_matter(tmp_path):
    expected = strong(tmp_path / "unix.tsv", GOOD, ("b.wav", "", "", ""))
    strong(
        tmp_path / "windows.tsv", ("a.wav", "0.5 ", "1.5", "Dog "), ("b.wav", "", "", ""), ("", "", "", ""), end="\r\n"
    )
    path = tmp_path / "windows.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    names, events, _ = read_labels(path, "strong", CLASSES)
    assert names == expected[0]
    assert events.equals(expected[1])


def test_rows_that_repeat_are_dropped_and_counted(tmp_path):
    names, events, repeated = strong(tmp_path / "x.tsv", GOOD, GOOD, GOOD)
    assert (names, len(events), repeated) == (["a.wav"], 1, 2)


def test_names_with_spaces_are_names(tmp_path):
    names, events, _ = strong(tmp_path / "x.tsv", ("my dog (1).wav", "0", "1", "Dog"))
    assert names == ["my dog (1).wav"] == events.filename.tolist()


def test_weak_labels(tmp_path):
    write_lines(tmp_path / "w.tsv", ["filename\tevent_labels", "a.wav\tDog, Speech", "b.wav\tCat"])
    names, events, _ = read_labels(tmp_path / "w.tsv", "weak", CLASSES)
    assert names == ["a.wav", "b.wav"]
    assert events[["filename", "event_label"]].to_numpy().tolist() == [
        ["a.wav", "Dog"],
        ["a.wav", "Speech"],
        ["b.wav", "Cat"],
    ]
    assert events[["onset", "offset"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("b.wav", "0", "1", "Zebra"), r"line 3: event_label 'Zebra' of 'b.wav' is none of the classes \['Cat'"),
        (("b.wav", "2.0", "1.0", "Dog"), r"line 3: offset '1.0' of 'b.wav' is not after the onset"),
        (("b.wav", "1", "1", "Dog"), r"line 3: offset '1.0' .* is not after the onset \(1 such rows\)"),
        (("b.wav", "-1", "1", "Dog"), r"line 3: onset '-1.0' .* is before the clip"),
        (("b.wav", "soon", "1", "Dog"), r"line 3: onset 'soon' .* is no number of seconds"),
        (("b.wav", "", "1", "Dog"), r"line 3: onset '' .* is no number of seconds"),
        (("../../b.wav", "0", "1", "Dog"), r"line 3: filename '../../b.wav' .* is no file name"),
        (("", "0", "1", "Dog"), r"line 3: filename '' .* is no file name"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=r"x\.tsv, " + message):
        strong(tmp_path / "x.tsv", GOOD, row)


def test_a_wrong_class_in_weak_labels_is_named(tmp_path):
    write_lines(tmp_path / "w.tsv", ["filename\tevent_labels", "a.wav\tDog", "b.wav\tDog,Zebra"])
    with pytest.raises(DataError, match=r"w\.tsv, line 3: event_label 'Zebra' of 'b.wav'"):
        read_labels(tmp_path / "w.tsv", "weak", CLASSES)


def test_the_wrong_kind_of_file_is_named(tmp_path):
    write_lines(tmp_path / "w.tsv", ["filename\tevent_labels", "a.wav\tDog"])
    with pytest.raises(DataError, match=r"w\.tsv has no column 'onset' but .*'event_labels'"):
        read_labels(tmp_path / "w.tsv", "strong", CLASSES)
    (tmp_path / "empty.tsv").touch()
    with pytest.raises(DataError, match=r"empty\.tsv cannot be read"):
        read_labels(tmp_path / "empty.tsv", "strong", CLASSES)


def test_another_extension_will_do(tmp_path):
    write_clips(tmp_path, ["a_1.0_2.0.flac", "b.wav", "b.flac"])
    (tmp_path / "c.txt").touch()
    found = find_files(["a_1.0_2.0.wav", "b.wav", "c.wav"], tmp_path)
    assert {name: path.name for name, path in found.items()} == {"a_1.0_2.0.wav": "a_1.0_2.0.flac", "b.wav": "b.wav"}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_DATA", str(tmp_path / "dataset"))
    return make_tree(tmp_path / "dataset")


def test_every_part_of_the_method_is_found(tree):
    for name, part in PARTS.items():
        if part.split:
            of = listing(name, CLASSES)
            assert len(of.files) == len(of.names) == 3, name


def test_missing_labels_say_where_to_get_them(tree):
    (tree / "metadata/train/weak.tsv").unlink()
    with pytest.raises(
        DataError, match=r"weak: no label file metadata/train/weak\.tsv .*NRSED_DATA.*project\.inria\.fr/desed"
    ):
        listing("weak", CLASSES)


def test_unlabelled_clips_need_no_list(tree):
    (tree / "metadata/train/unlabel_in_domain.tsv").unlink()
    assert len(listing("unlabelled", CLASSES).names) == 3


def test_resampled_folders_of_the_task_will_do(tree):
    folder = folder_of(tree, "weak")
    folder.rename(folder.with_name("weak_16k"))
    assert len(listing("weak", CLASSES).files) == 3


def test_two_folders_that_could_be_meant_are_named(tree):
    (tree / "WildDESED/again/test-5db").mkdir(parents=True)
    with pytest.raises(DataError, match=r"wild_test_-5dB: .*could all be it; name one in .*layout\.yaml"):
        listing("wild_test_-5dB", CLASSES)
    (tree / "layout.yaml").write_text("wild_test_-5dB: {folder: WildDESED/test-5db}")
    assert len(listing("wild_test_-5dB", CLASSES).files) == 3


def test_a_layout_of_ones_own(tree, tmp_path):
    (tmp_path / "labels.tsv").write_bytes((tree / "metadata/train/weak.tsv").read_bytes())
    folder_of(tree, "weak").rename(tmp_path / "elsewhere")
    own = {"weak": {"folder": str(tmp_path / "elsewhere"), "metadata": str(tmp_path / "labels.tsv")}}
    (tree / "layout.yaml").write_text(yaml.safe_dump(own))
    assert len(listing("weak", CLASSES).files) == 3
    (tree / "layout.yaml").write_text("week: {folder: x}")
    with pytest.raises(DataError, match=r"layout\.yaml: week: .* is not understood; write one of synthetic_train"):
        listing("weak", CLASSES)


def test_an_snr_that_was_not_released_is_named():
    assert condition_part("-5dB") == "wild_test_-5dB" and condition_part("clean") == "real_validation"
    with pytest.raises(DataError, match=r"no test set at 3dB; use some of \[10, 5, 0, -5\]"):
        condition_part("3dB")


def test_the_hash_of_a_list_is_of_its_names_alone(tree):
    of = listing("weak", CLASSES)
    path = tree / PARTS["weak"].metadata[0]
    head, *rows = path.read_text().splitlines()
    write_lines(path, [head, *rows[::-1]])
    assert list_digest(listing("weak", CLASSES).names) == list_digest(of.names)
    assert list_digest(of.names) != list_digest(listing("strong_real", CLASSES).names)


REAL = "cai525/Transformer4SED/becbea2a265ed361e244d1c9ca5b1fce15620d7c/meta/desed"


@pytest.mark.parametrize(
    ("file", "labels", "nb_clips", "nb_rows"),
    [
        ("train/synthetic21_train/soundscapes.tsv", "strong", 10_000, 32_096),
        ("train/audioset_strong.tsv", "strong", 3463, 15_422),
        ("train/weak.tsv", "weak", 1578, None),
        ("validation/synthetic21_validation/soundscapes.tsv", "strong", 2500, 8132),
        ("validation/validation.tsv", "strong", 1168, 4239 - 15),
    ],
)
def test_the_published_label_files(shared, paper_classes, file, labels, nb_clips, nb_rows):
    path = shared / "mirror" / REAL / file
    if not path.exists():
        pytest.skip(f"{path} is not there")
    names, events, repeated = read_labels(path, labels, paper_classes)
    assert (len(names), repeated) == (nb_clips, 0)
    assert nb_clips in {part.nb_clips for part in PARTS.values()}
    assert nb_rows is None or len(events) == nb_rows
    assert set(events.event_label) == set(paper_classes)
    if labels == "strong":
        assert np.isfinite(events[["onset", "offset"]].to_numpy()).all()


@pytest.fixture(scope="module")
def paper_classes():
    from nrsed_lib.profile import load_profile

    return load_profile("paper").data.classes
