"""A notebook's folder holds only what its own code and settings made; nothing half-written is ever seen."""

import pandas as pd
import pytest
import torch

from nrsed_lib import artefacts
from nrsed_lib.artefacts import open_run, run_folder, run_key, shown_folder
from nrsed_lib.errors import StoreError
from nrsed_lib.profile import load_profile
from nrsed_lib.run.jobs import jobs
from nrsed_lib.series import SERIES, STUDIES
from nrsed_lib.store import atomic, read_tensors, write_table, write_tensors


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    return tmp_path


def test_other_settings_have_a_folder_of_their_own_and_harm_no_other():
    kept = open_run("03", "smoke").folder / "kept"
    write_table(kept, pd.DataFrame({"a": [1]}))
    other = open_run("03", "smoke", {"sed.train.steps": 5})
    assert not (other.folder / "kept").exists() and kept.read_text() == "a\n1\n"
    assert open_run("03", "smoke").folder == kept.parent


def test_results_of_other_settings_are_shown_elsewhere(results):
    shown = [shown_folder(load_profile(*of)) for of in (("smoke",), ("smoke", {"seed": 0}), ("smoke", {"seed": 3}))]
    assert shown[0] == shown[1] == results / "smoke"
    assert shown[2].parent == results and shown[2].name.startswith("smoke-")


def test_a_key_follows_what_a_notebook_reads_and_no_more():
    base, longer, other_lass = (
        load_profile("smoke", o) for o in ({}, {"sed.finetune.steps": 9}, {"lass.train.steps": 9})
    )

    def keys(profile):
        return {stage: run_key(stage, profile, 0) for stage in SERIES}

    assert {s for s, k in keys(longer).items() if k != keys(base)[s]} == {"04", "06", "07", "08", "12"}
    heard = {"05", "06", "07", "08", *STUDIES}
    assert {s for s, k in keys(other_lass).items() if k != keys(base)[s]} == heard


def test_a_key_follows_code_that_is_imported_from_afar(monkeypatch):
    profile = load_profile("smoke")
    before = {stage: run_key(stage, profile, 0) for stage in SERIES}
    real = artefacts.file_digest
    monkeypatch.setattr(artefacts, "file_digest", lambda p: "edited" if p == "nrsed_lib/lass/stft.py" else real(p))
    after = {stage: run_key(stage, profile, 0) for stage in SERIES}
    changed = {s for s in before if before[s] != after[s]}
    assert changed - set(STUDIES) == {"05", "06", "07", "08"} and {"10", "12"} <= changed


def test_seeds_have_their_own_folders_and_keys():
    one, two = open_run("03", "smoke", seed=1), open_run("03", "smoke", seed=2)
    assert one.folder != two.folder
    assert run_key("03", one.profile, 1) != run_key("03", one.profile, 2)


def test_what_publishers_have_dealt_is_the_same_for_all_seeds():
    several = load_profile("smoke", {"seeds": [1, 2]})
    published = several.model_copy(update={"data": several.data.model_copy(update={"source": "desed"})})
    for profile, alike in ((several, False), (published, True)):
        for notebook in ("01", "02"):
            assert (run_key(notebook, profile, 1) == run_key(notebook, profile, 2)) is alike
            assert (run_folder(profile, notebook, 1) == run_folder(profile, notebook, 2)) is alike
        assert run_key("05", profile, 1) != run_key("05", profile, 2)
        assert [seed for id_, seed in jobs(profile) if id_ == "01"] == ([1] if alike else [1, 2])


def test_the_studies_are_of_the_first_seed_and_tables_of_all():
    one, two = load_profile("smoke"), load_profile("smoke", {"seeds": [0, 1]})
    same = {id_ for id_ in SERIES if run_key(id_, one, 0) == run_key(id_, two, 0)}
    assert same == {*SERIES} - {"07", "08"}


def test_what_is_missing_says_who_makes_it():
    with pytest.raises(StoreError, match=r"theta\.safetensors is missing.*03_sed_training.*--only 03"):
        open_run("06", "smoke").find("theta")
    with pytest.raises(StoreError, match="no notebook '3'"):
        open_run("3", "smoke")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, pd.DataFrame({"a": [1]}))
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "a\n1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_come_back_with_what_was_said_of_them(tmp_path):
    tensors = {"a": torch.randn(2, 3).half(), "b": torch.arange(4).view(2, 2).t()}
    write_tensors(tmp_path / "t.safetensors", tensors, seed=3, classes=["Dog"])
    back, about = read_tensors(tmp_path / "t.safetensors")
    assert about == {"seed": 3, "classes": ["Dog"]}
    assert all(torch.equal(back[k], v) for k, v in tensors.items())
