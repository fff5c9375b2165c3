"""A submission is whole, or every breach of the rules is named; the listening sheet and the ranking."""

import io
import shutil
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from typer.testing import CliRunner

from nrsed_lib.artefacts import open_run
from nrsed_lib.errors import DataError
from nrsed_lib.lass.separator import Separator
from nrsed_lib.run.cli import app
from nrsed_lib.store import write_tensors
from nrsed_lib.studies.task9 import submission as make
from nrsed_lib.studies.task9.evaluation import SETS, own_evaluation, read_queries
from nrsed_lib.studies.task9.listening import SCALE, blank_sheet, ranking, rate, read_sheet, scores
from nrsed_lib.studies.task9.study import network
from nrsed_lib.studies.task9.submission_check import validate
from nrsed_lib.studies.trials import Trial

NAME, TEAM, WHO = "Ray_INST_task9_1", "Ray_INST_task9", "Ray_INST"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """Evaluation sets of three mixtures each, and a submission for them without a fault."""
    root = tmp_path_factory.mktemp("task9")
    evaluation, folder = root / "evaluation", root / "submission"
    random = np.random.default_rng(0)
    for part, where in SETS.items():
        (evaluation / where.audio).mkdir(parents=True)
        names = [f"{part}-{i}.wav" for i in range(3)]
        for name in names:
            soundfile.write(evaluation / where.audio / name, 0.1 * random.standard_normal(4000), 16000)
        header = "file_name,query" if part == "real" else "wav, caption"
        text = "".join(f'{name},"a dog, barking"\r\n' for name in names)
        (evaluation / where.list).write_text(f"{header}\r\n{text}")
    meta = yaml.safe_load(yaml.safe_dump(make.TEMPLATE))
    meta["submission"]["label"] = NAME
    settings = open_run("09", "smoke").profile.lass
    separator = Separator(settings).eval()
    for part in SETS:
        tracks = make.separated(separator, evaluation, part, 16000, batch=2)
        make.write_tracks(folder / WHO / f"{NAME}.{part}.zip", tracks, 16000)
    here = make.write_system(folder, make.Meta.model_validate(meta), "https://drive.google.com/x")
    (here / f"{NAME}.technical_report.pdf").write_bytes(b"%PDF-1.7 and so on")
    make.pack(folder, TEAM)
    return evaluation, folder


@pytest.fixture
def parts(made, tmp_path: Path) -> tuple[Path, Path]:
    """A copy to be damaged."""
    shutil.copytree(made[1], tmp_path / "submission")
    return made[0], tmp_path / "submission"


def test_a_whole_submission_has_no_breach(made) -> None:
    evaluation, folder = made
    assert validate(folder, evaluation).empty
    with zipfile.ZipFile(folder / WHO / f"{NAME}.synth.zip") as archive:
        assert archive.namelist() == ["synth-0.wav", "synth-1.wav", "synth-2.wav"]
    with zipfile.ZipFile(folder / f"{TEAM}.zip") as archive:
        stems = sorted(name.removeprefix(f"{TEAM}/{NAME}/{NAME}.") for name in archive.namelist())
    assert stems == ["audio_url.txt", "meta.yaml", "technical_report.pdf"]


def test_breaches_of_a_zip_as_a_whole(parts) -> None:
    evaluation, folder = parts
    synth, real = (folder / WHO / f"{NAME}.{part}.zip" for part in SETS)
    whole = synth.read_bytes()
    at = whole.index(b"RIFF") + 100
    synth.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    assert validate(folder, evaluation).breach.str.contains("cannot be read: Bad CRC-32").any()
    synth.write_bytes(b"not a zip")
    real.unlink()
    assert validate(folder, evaluation).breach.str[:20].tolist() == ["is not a zip: File i", "is missing: a zip of"]
    shutil.copyfile(folder / f"{TEAM}.zip", folder / WHO / "Ray_INST_task9_2.synth.zip")
    assert validate(folder, evaluation).breach.str.contains("belongs to no system").any()


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (lambda m: m["submission"].pop("authors"), "submission.authors: Field required"),
        (
            lambda m: m["submission"].update(abbreviation="longer than ten"),
            "submission.abbreviation: String should have",
        ),
        (lambda m: m["submission"].update(label="Ray_INST_task9_2"), "submission.label is 'Ray_INST_task9_2'"),
        (lambda m: m["submission"].update(label="Ray"), "submission.label: String should match"),
        (lambda m: m["submission"]["authors"][0].update(corresponding=False), "exactly one author"),
        (lambda m: m["submission"]["authors"][0].update(email="at home"), "submission.authors.0.email"),
        (lambda m: m["system"]["complexity"].update(total_parameters="many"), "system.complexity.total_parameters"),
        (lambda m: m["system"].pop("external_resources"), "system.external_resources: Field required"),
        (lambda m: m["results"].update(validation_sdr=None), "results.validation_sdr"),
    ],
)
def test_breaches_of_the_metadata_name_the_field(parts, change, breach: str) -> None:
    evaluation, folder = parts
    path = folder / TEAM / NAME / f"{NAME}.meta.yaml"
    meta = yaml.safe_load(path.read_text())
    change(meta)
    path.write_text(yaml.safe_dump(meta))
    make.pack(folder, TEAM)
    (found,) = validate(folder, evaluation).itertuples(index=False)
    assert breach in found.breach and "meta.yaml" in found[0]


def test_breaches_of_folders_and_texts(parts) -> None:
    evaluation, folder = parts
    here = folder / TEAM / NAME
    (here / f"{NAME}.audio_url.txt").write_text("on my disk")
    (here / f"{NAME}.technical_report.pdf").write_text("a draft")
    (here / "notes.txt").write_text("x")
    found = validate(folder, evaluation).breach.str.cat(sep="\n")
    for breach in (
        "must be one line, `Google Drive:",
        "is not a PDF",
        "none of the files asked for",
        "nrsed task9 pack",
    ):
        assert breach in found, found
    (here / f"{NAME}.meta.yaml").unlink()
    assert "is missing" in validate(folder, evaluation).breach.tolist()


def test_a_fifth_system_and_a_wrong_name(parts) -> None:
    evaluation, folder = parts
    for index in (2, 3, 4, 5):
        (folder / TEAM / f"{TEAM}_{index}").mkdir()
    found = validate(folder, evaluation)
    assert "5 systems; at most 4 are allowed: remove ['Ray_INST_task9_5']" in found.breach.tolist()
    assert "Ray_INST_task9_5" in found["where"].tolist(), "an index beyond 4"
    (folder / "Other_X_task9" / "Other_X_task9_1").mkdir(parents=True)
    assert found.breach.str.contains("several teams").sum() == 0
    assert validate(folder, evaluation).breach.str.contains("systems of several teams").any()
    assert "no system in it" in validate(folder.parent, evaluation).breach[0]
    assert "no such folder" in validate(folder / "nowhere", evaluation).breach[0]


def test_the_official_real_list_is_read(shared: Path, tmp_path: Path) -> None:
    path = next((shared / "mirror").glob("Vincent-La/lass-final-project/*/lass_real_evaluation.csv"), None)
    if path is None:
        pytest.skip("the challenge's list is not among the shared material")
    shutil.copyfile(path, tmp_path / path.name)
    table = read_queries(tmp_path, "real")
    assert len(table) == 200 and table.file_name[199] == "test-real-case-199.wav"


def test_a_profile_has_evaluation_sets_of_its_own(smoke_data) -> None:
    run = open_run("09", "smoke")
    folder = own_evaluation(run)
    for part, where in SETS.items():
        table = read_queries(folder, part)
        assert len(table) >= 4
        for name in table.file_name:
            about = soundfile.info(folder / where.audio / name)
            assert (about.samplerate, about.channels, about.frames) == (16000, 1, run.profile.data.nb_samples)


def test_the_command_line_writes_and_checks(made, tmp_path: Path, monkeypatch) -> None:
    """submit, with what a training of notebook 09 left; validate; template."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path / "results"))  # the shared one may hold trained networks
    run = open_run("09", "smoke")
    trial = Trial("AudioSep", 0)
    torch.manual_seed(0)
    separator = Separator(network(run.profile, trial.variant))
    write_tensors(run.folder / f"{trial.name}.safetensors", separator.state_dict())
    nrsed = partial(CliRunner().invoke, app)
    evaluation = ["--evaluation", str(made[0])]
    assert nrsed(["task9", "template", str(tmp_path / "meta.yaml")]).exit_code == 0
    words = [str(tmp_path / "mine"), "--meta", str(tmp_path / "meta.yaml"), "--link", "https://drive.google.com/x"]
    result = nrsed(["task9", "submit", *words, "--variant", trial.variant, "--profile", "smoke", *evaluation])
    assert result.exit_code == 1 and "technical_report.pdf: is missing\n1 breaches of the rules" in result.output
    (run.folder / f"{trial.name}.safetensors").unlink()
    (system,) = (tmp_path / "mine").glob("*_task9/*")
    (system / f"{system.name}.technical_report.pdf").write_bytes(b"%PDF-1")
    assert nrsed(["task9", "pack", str(tmp_path / "mine")]).exit_code == 0
    good = nrsed(["task9", "validate", str(tmp_path / "mine"), *evaluation])
    assert good.exit_code == 0 and "0 breaches of" in good.output, good.output
    nowhere = nrsed(["task9", "validate", str(made[1]), "--evaluation", str(tmp_path)])
    assert isinstance(nowhere.exception, DataError) and "nrsed data fetch task9-evaluation" in str(nowhere.exception)


QUERIES = pd.DataFrame({"file_name": ["a.wav", "b.wav"], "query": ["dog", "rain, falling"]})


def test_a_sheet_is_blank_blind_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "you.csv"
    sheet = blank_sheet(path, ["X", "Y"], QUERIES, rater="you")
    assert len(sheet) == 4 and sheet.REL.isna().all() and sorted(sheet.example) == [1, 2, 3, 4]
    order = blank_sheet(tmp_path / "me.csv", ["X", "Y", "Z"], QUERIES, rater="me").system.tolist()
    assert order != sorted(order), "in an order that tells which system it is"
    assert scores(sheet).empty
    rate(path, 1, REL=4, OVL=2)
    rate(path, 2, REL=5)
    sheet = blank_sheet(path, ["X", "Y"], QUERIES, rater="you")  # what is there is kept
    first = sheet[sheet.example == 1].iloc[0]
    assert (first.REL, first.OVL) == (4, 2) and sheet.OVL.notna().sum() == 1
    (row,) = scores(sheet).itertuples(index=False)
    assert (row.system, row.nb_rated, row.score) == (first.system, 1, 3.0)
    for example, ratings in ((9, {"REL": 3}), (1, {"REL": 6}), (1, {"LOUD": 3})):
        with pytest.raises(DataError, match=f"example {example}"):
            rate(path, example, **ratings)


def test_a_sheet_filled_in_by_hand_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "you.csv"
    good = blank_sheet(path, ["X", "Y"], QUERIES, rater="you").astype(str).replace("<NA>", "")
    for value in ("0", "6", "3.5", "good"):
        good.assign(OVL=["", "3", "", value]).to_csv(path, index=False)
        with pytest.raises(DataError, match=f"line 5: OVL is {value!r}: rate with a whole number, 1 to 5"):
            read_sheet(path)
    pd.concat([good, good.head(1)]).to_csv(path, index=False)
    with pytest.raises(DataError, match="line 6: this rater has rated that example before"):
        read_sheet(path)
    assert list(SCALE) == [1, 2, 3, 4, 5]


def test_ranking_is_that_of_the_rules() -> None:
    """Best of a team by SDR, five teams by SDR, then by the mean of REL and OVL."""
    sdrs = {"A1": 9.0, "A2": 5.0, "B1": 7.0, "C1": 6.0, "D1": 8.0, "E1": 6.5, "F1": 5.9}
    systems = pd.DataFrame([(name[0], name, sdr) for name, sdr in sdrs.items()], columns=["team", "system", "sdr"])
    heard = {"A1": [(2, 2), (2, 4)], "A2": [(5, 5)], "B1": [(5, 4)], "C1": [(3, 3)], "D1": [(3, 3)]}
    heard |= {"E1": [(1, 2)], "F1": [(5, 5)]}
    sheet = pd.DataFrame([(s, *r) for s, several in heard.items() for r in several], columns=["system", "REL", "OVL"])
    table = ranking(systems, sheet)
    assert table.system.tolist() == ["B1", "D1", "C1", "A1", "E1"]
    assert table["rank"].tolist() == [1, 2, 2, 4, 5] and table.score.tolist() == [4.5, 3, 3, 2.5, 1.5]
    assert table.set_index("system").OVL["A1"] == 3
    with pytest.raises(DataError, match=r"\['B1'\] are among the 5 and have no rating"):
        ranking(systems, sheet[sheet.system != "B1"])


def test_tracks_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    wave = torch.sin(torch.arange(1000) / 10) * 2
    make.write_tracks(tmp_path / "x.zip", [("a.wav", wave), ("b.wav", wave / 4)], 16000)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        loud, soft = (soundfile.read(io.BytesIO(archive.read(name)))[0] for name in ("a.wav", "b.wav"))
    np.testing.assert_allclose(loud, wave.numpy() / wave.abs().max().item(), atol=1e-4)
    np.testing.assert_allclose(soft, wave.numpy() / 4, atol=1e-4)
