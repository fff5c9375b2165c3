"""Tables of words that people edit, the ontology's and the captions': what is broken, and what must be said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nrsed_lib.data import ontology
from nrsed_lib.errors import UserError
from nrsed_lib.studies.texts import sounds

CLASSES = "class,audioset\n"
NODES = "id,name,parents\n/m/1,Alarm,\n/m/2,Bell,/m/1\n"
# The two tables of the ontology: which, what it holds, and what must be said.
TABLES: dict[str, tuple[Any, ...]] = {
    "class: column missing": ("classes.csv", "class,node\nDog,Bell\n", "has no column audioset"),
    "class: field missing": ("classes.csv", CLASSES + "Dog\n", "line 2", "audioset"),
    "class: field more": ("classes.csv", CLASSES + "Dog,Bell,Alarm\n", "line 2", "Alarm"),
    "class: no name": ("classes.csv", CLASSES + ",Bell\n", "line 2", "class"),
    "class: twice": ("classes.csv", CLASSES + "Dog,Bell\nDog,Alarm\n", "line 3", "class is that of line 2"),
    "class: of no node": ("classes.csv", CLASSES + "Dog,Bel\n", "'Dog' is mapped to ['Bel']", "correct"),
    "class: other separator": ("classes.csv", CLASSES + "Dog,Bell; Alarm\n", "['Bell; Alarm']", "correct"),
    "class: Latin-1": ("classes.csv", (CLASSES + "Gerät,Bell\n").encode("latin-1"), "no text in UTF-8"),
    "node: empty": ("audioset.csv", "", "has no column id, name, parents"),
    "node: column missing": ("audioset.csv", "id,name\n/m/1,Bell\n", "has no column parents"),
    "node: id twice": ("audioset.csv", NODES + "/m/1,Dog,\n", "line 4", "id is that of line 2"),
    "node: no name": ("audioset.csv", NODES + "/m/3,,/m/1\n", "line 4", "name"),
    "node: parent unknown": ("audioset.csv", NODES + "/m/3,Dog,/m/9\n", "1 parents are no nodes", "/m/9"),
    "node: names not quoted": ("audioset.csv", NODES + "/m/3,Dog, bark,/m/1\n", "line 4", "/m/1"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_a_table_of_the_ontology_that_cannot_be_read(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "classes.csv").write_text(CLASSES + "Dog,Bell\n")
    (tmp_path / "audioset.csv").write_text(NODES)
    monkeypatch.setattr(ontology, "CLASSES", tmp_path / "classes.csv")
    monkeypatch.setattr(ontology, "TABLE", tmp_path / "audioset.csv")
    assert ontology.load_ontology.__wrapped__().similar("Bell", "Dog")
    name, text, *words = TABLES[case]
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        ontology.load_ontology.__wrapped__().similar("Bell", "Dog")
    assert [word for word in (name, *words) if word not in str(caught.value)] == [], str(caught.value)


def appended(text: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(path.read_text() + text)


def instead(how: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda path: (path.unlink(), how(path))


# The project's own texts: which file, what is done to it, and what must be said.
TEXTS: dict[str, tuple[Any, ...]] = {
    "missing": ("heldout.yaml", Path.unlink, "is missing"),
    "folder": ("heldout.yaml", instead(Path.mkdir), "is a folder"),
    "fifo": ("heldout.yaml", instead(os.mkfifo), "is no regular file"),
    "empty": ("sounds1.yaml", lambda path: path.write_text(""), "dictionary", "None"),
    "a list": ("heldout.yaml", lambda path: path.write_text("[1]"), "dictionary", "[1]"),
    "no YAML": ("heldout.yaml", lambda path: path.write_text("a: [1"), "correct it"),
    "Latin-1": ("heldout.yaml", lambda path: path.write_bytes(b"a: \xe9"), "0xe9"),
    "runs code": ("heldout.yaml", appended("\nX: !!python/object/apply:os.mkdir [m]\n"), "python/object"),
    "deep": ("heldout.yaml", lambda path: path.write_text("[" * 3000), "correct it"),
    "words missing": ("sounds1.yaml", appended("\nX:\n  caption: A yell.\n"), "X.words: Field required"),
    "words a text": ("sounds1.yaml", appended("\nX:\n  words: yell\n  caption: A.\n"), "X.words", "'yell'"),
    "no words": ("sounds1.yaml", appended("\nX:\n  words: []\n  caption: A.\n"), "X.words", "[]"),
    "caption missing": ("sounds1.yaml", appended("\nX:\n  words: [a]\n"), "X.caption: Field required"),
    "caption a number": ("sounds1.yaml", appended("\nX:\n  words: [a]\n  caption: 5\n"), "X.caption", "5"),
    "caption empty": ("sounds1.yaml", appended("\nX:\n  words: [a]\n  caption: ' '\n"), "X.caption", "' '"),
    "a text is null": ("sounds1.yaml", appended("\nX: {words: [a], caption: A., tags: [~]}\n"), "X.tags.0", "None"),
    "class a number": ("sounds1.yaml", appended("\n5:\n  words: [a]\n  caption: A.\n"), "5"),
    "in two files": ("sounds1.yaml", appended("\nAirplane: {words: [a], caption: A.}\n"), "Airplane", "another file"),
    "two phrasings": ("heldout.yaml", appended("\nBlender: [One., Two.]\n"), "2 phrasings for 'Blender'", "write 3"),
    "a phrasing is a number": ("heldout.yaml", appended("\nBlender: [1, 2, 3]\n"), "Blender.0", "1"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_texts_that_cannot_be_read(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(sounds.FOLDER, tmp_path / "captions", ignore=shutil.ignore_patterns("answers"))
    monkeypatch.setattr(sounds, "FOLDER", tmp_path / "captions")
    monkeypatch.setattr(sounds, "written", sounds.written.__wrapped__)
    monkeypatch.chdir(tmp_path)
    name, damage, *words = TEXTS[case]
    damage(tmp_path / "captions" / name)
    with pytest.raises(UserError) as caught:
        sounds.all_sounds.__wrapped__()
    message = str(caught.value)
    assert [word for word in ((".yaml" if case == "in two files" else name), *words) if word not in message] == [], (
        message
    )
    assert len(message) < 1000 and not (tmp_path / "mark").exists()
