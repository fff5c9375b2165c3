"""What a run needs: found where it is, named with its remedy where it is not; sizes against arithmetic."""

import json
import shlex
import subprocess

import pytest
import torch
from desed_tree import SMALL, folder_of, make_tree, names_of
from typer.testing import CliRunner

from nrsed_lib.data.clips import load_audio, save_audio
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import load_profile
from nrsed_lib.run import measurements
from nrsed_lib.run.budget import Budget, embedded, hours
from nrsed_lib.run.cli import app
from nrsed_lib.run.plan import _machine, duration, plan
from nrsed_lib.run.provenance import kind, machine
from nrsed_lib.sed.training_set import Audio
from nrsed_lib.store import write_tensors
from nrsed_lib.weights import weights_folder

# The paper's vocabulary and answers on networks that need no weights.
OWN = {"data.clip_seconds": 1.0, "sed.encoder": "none", "lass.text": "learned", "lass.weights": None}


@pytest.fixture
def empty(tmp_path, monkeypatch):
    for name, folder in (("NRSED_DATA", "dataset"), ("NRSED_CACHE", "cache"), ("NRSED_RESULTS", "results")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(measurements, "FILE", tmp_path / "measurements.json")
    return tmp_path


def missing(found):
    return {f.what for f in found.findings if f.stops}


def test_on_an_empty_machine_all_that_is_missing_is_named_with_its_remedy(empty):
    found = plan(load_profile("paper"))
    assert found.stopped
    assert {"synthetic_train", "real_validation", "wild_test_-5dB", "audioset_strong", "beats", "clap"} <= missing(
        found
    )
    remedies = {f.what: f.remedy for f in found.findings}
    assert "nrsed data fetch synthetic" in remedies["synthetic_train"]
    assert "nrsed weights convert BEATs_iter3_plus_AS2M.pt" in remedies["beats"]
    answers = next(f for f in found.findings if f.topic == "answers")
    assert answers.found.startswith("134 of 134 label sets") and not answers.remedy
    assert "the run cannot start yet" in found.text()


def test_a_tree_without_some_clips_can_start_and_says_what_is_left_out(empty):
    make_tree(empty / "dataset", 3)
    profile = load_profile("paper", SMALL | OWN | {"data.noise_classes": ["AudioSet-Strong"]})
    assert not missing(plan(profile)) and "the run can start" in plan(profile).text()
    (folder_of(empty / "dataset", "weak") / names_of("weak", 3)[1]).unlink()
    found = plan(profile)
    weak = next(f for f in found.findings if f.what == "weak")
    assert weak.found.startswith("2 of 3 clips") and "would be left out" in weak.remedy and not found.stopped
    for path in folder_of(empty / "dataset", "weak").iterdir():
        path.unlink()
    assert missing(plan(profile)) == {"weak"}


@pytest.mark.parametrize("name", ["mini", "open"])
def test_other_profiles_need_nothing(empty, name):
    done = CliRunner().invoke(app, ["plan", "--profile", name])
    assert done.exit_code == 0 and "the run can start" in done.output
    assert done.output.count("missing ") == len(plan(load_profile(name)).notebooks)  # no notebook has run


def test_the_command_fails_when_the_run_cannot_start(empty):
    assert CliRunner().invoke(app, ["plan", "--profile", "paper"]).exit_code == 1


def test_a_live_model_needs_a_key_that_is_never_shown(empty, monkeypatch):
    profile = load_profile("paper", {"llm.mode": "live"})
    assert "gpt-4" in missing(plan(profile))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    found = plan(profile)
    assert "gpt-4" not in missing(found) and "sk-secret" not in found.text()
    asked = next(f.found for f in found.findings if f.what == "gpt-4")
    assert asked.startswith("134 calls, about ") and asked.endswith("tokens; key set")


def test_a_full_disk_stops_it(empty, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 20e9})())
    profile = load_profile("paper")
    disk = next(f for f in plan(profile).findings if f.topic == "disk")
    assert disk.stops and disk.found == "20.0 GB free, 33.5 GB needed"


def test_sizes_are_products_of_the_settings():
    of = Budget(load_profile("paper"))
    row = 2 * 160_000
    assert of.clips == row * (13_463 + 1578 + 14_412)
    assert of.all_clips == of.clips + row * (2500 + 5 * 1168)
    assert of.noises == row * 447 * 32 and of.all_sounds == row * (447 * 48 + 10 * 48)
    assert of.embeddings == 2 * (13_463 + 1578 + 14_412 + 2500) * 768 * 156
    assert of.scores == 2 * 5 * 16 * 1168 * 10 * 156
    assert of.converting == row * 14_412


def test_only_what_hears_noise_is_embedded_in_fine_tuning():
    """24 strong clips a step, of which each stage of the curriculum leaves one part clean; validation, once a model."""
    of = embedded(load_profile("paper"))
    curriculum, at_random = 2360 * 24 * (1 / 2 + 2 / 3 + 3 / 4 + 4 / 5), 11_800 * 24
    assert of == pytest.approx({"03": 31_953, "04": 2 * curriculum + at_random + 3 * 2500})
    everything = load_profile("paper", {"sed.finetune.noisy": "all", "sed.ways.kept": "ours"})
    assert embedded(everything)["04"] == pytest.approx(4 * (2 * curriculum + at_random))


def test_hours_are_known_only_where_the_bench_ran(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setattr(measurements, "FILE", tmp_path / "measurements.json")
    profile = load_profile("paper")
    assert hours(profile) == {}
    facts = {"value": 0.5, "unit": "s", "on": "a clip"}
    measured = {f"sizes.{what}.time": facts for what in ("stage1", "stage2", "beats.float32")}
    (tmp_path / "measurements.json").write_text(json.dumps({"NVIDIA H200, 16 cores": measured}))
    for gpu, there in (("NVIDIA H200", True), ("another", False), (None, False)):
        monkeypatch.setattr(measurements, "machine", lambda gpu=gpu: {"gpu": gpu, "cpu": "a CPU", "cores": 4})
        stage1 = 0.5 * (profile.sed.train.steps * 96 + 13_463 + 1578 + 14_412 + 2500) / 3600  # and clean clips, once
        both = {"03": stage1, "04": 3 * 0.5 * profile.sed.finetune.steps * 96 / 3600}  # scoring was not measured
        assert hours(profile) == pytest.approx(both if there else {})
    assert hours(load_profile("mini")) == {}
    assert [duration(h) for h in (0.01, 3, 100)] == ["0.6 min", "3.0 h", "4 days"]


def test_hours_are_of_notebooks_that_ran_on_this_kind_of_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    here, smoke = kind(machine()), load_profile("smoke")
    made = {"03_sed_training-seed0": (7200, here), "03_sed_training-seed1": (3600, here), "05_lass_model": (60, "else")}
    stages = {name: {"seconds": s, "machine": where, "finished": True} for name, (s, where) in made.items()}
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "run.json").write_text(json.dumps({"stages": stages}))
    assert hours(smoke) == {"03": 2.0}


def test_audio_of_several_files_is_indexed_as_one_tensor(tmp_path):
    parts = [torch.randint(-9, 9, (nb, 5), dtype=torch.int16) for nb in (4, 1, 6)]
    for i, part in enumerate(parts):
        save_audio(tmp_path / f"{i}.npy", part)
    audio = Audio(tuple(load_audio(tmp_path / f"{i}.npy") for i in range(3)), torch.device("cpu")).placed()
    whole = torch.cat(parts)
    assert len(audio) == 11 and audio.nbytes == whole.nbytes
    index = torch.tensor([10, 0, 4, 3, 5, 4])
    assert torch.equal(audio[index], whole[index])
    for some in (slice(3, 7), slice(5, None), slice(8, 20)):
        assert torch.equal(audio[some], whole[some])


def test_make_paper_looks_before_it_runs():
    lines = subprocess.run(
        ["make", "-n", "paper", "SET=seed=3", "READY="], capture_output=True, text=True, cwd=ROOT
    ).stdout.splitlines()
    commands = [line.partition("nrsed_lib.run.cli ")[2].strip() for line in lines if "nrsed_lib.run.cli " in line]
    assert [shlex.split(line) for line in commands] == [
        [c, "--profile", "paper", "--set", "seed=3"] for c in ("plan", "run")
    ]


def test_weights_are_named_with_the_hash_of_their_file(empty):
    folder = weights_folder()
    about = {"architecture": {}, "sha256": "01234567" * 8, "content_sha256": "45" * 32}
    write_tensors(folder / "beats.safetensors", {"w": torch.zeros(1)}, kind="beats", source="BEATs.pt", **about)
    lass = load_profile("paper").lass
    named = {key: getattr(lass, key) for key in ("nb_channels", "condition_size", "dprnn_layers", "dprnn_hidden")}
    named |= {"nb_features": lass.n_fft // 2 + 1, "text": {"layers": 2}}  # CLAP's texts come with it

    def write(**network: object) -> None:
        with_texts = about | {"architecture": named | network}
        write_tensors(folder / "dp.safetensors", {"w": torch.zeros(1)}, kind="audiosep", source="dp.ckpt", **with_texts)

    write()
    write_tensors(folder / "texts" / "1.safetensors", {"dog": torch.zeros(1)})
    found = plan(load_profile("paper", {"lass.weights": "dp"}))
    weights = {f.what: f for f in found.findings if f.topic == "weights"}
    assert weights["beats"].found == "of BEATs.pt, sha256 " + "01234567" * 8 and weights["clap"].found == "in dp"
    assert not any(f.stops for f in weights.values())

    write(dprnn_layers=2)  # of another depth than the profile's
    (dp,) = (f for f in plan(load_profile("paper", {"lass.weights": "dp"})).findings if f.what == "dp")
    assert dp.stops and dp.found == "not usable" and "lass.dprnn_layers: 2 in the file, 6 in the profile" in dp.remedy


def test_a_separator_that_is_not_the_papers_is_said(empty):
    found = {f.what: f for f in plan(load_profile("paper", {"lass.weights": None})).findings if f.topic == "weights"}
    assert not found["separator"].stops and "no difference from its numbers is printed" in found["separator"].remedy
    assert found.keys() == {"beats", "separator", "clap", "text vocabulary"}
    taken = {f.what: f for f in plan(load_profile("paper")).findings if f.topic == "weights"}
    assert taken["audiosep-dp"].stops and "separator" not in taken


@pytest.mark.parametrize(
    ("total", "says"), [(141e9, ""), (16e9, "clips stay in mapped files"), (8e9, "data alone take 14.0 GB")]
)
def test_a_gpu_is_held_against_what_the_data_take(empty, monkeypatch, total, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: type("Properties", (), {"total_memory": total}))
    profile = load_profile("paper", {"lass.weights": None})  # a training of the separator takes most
    gpu = next(f for f in _machine(profile, Budget(profile)) if f.what == "GPU")
    assert gpu.remedy.startswith(says) and bool(gpu.remedy) == bool(says)
    assert gpu.stops == (total == 8e9)
