"""The notebooks on data in DESED's published layout: generated audio, the paper's label sets and noise vocabulary."""

import json
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest
import yaml
from desed_tree import CLASSES, make_tree
from IPython.core.interactiveshell import InteractiveShell

from nrsed_lib.artefacts import SHOWN, Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.lass.mixtures import Mixer
from nrsed_lib.paths import NOTEBOOKS, results_root
from nrsed_lib.profile import PROFILES, load_profile
from nrsed_lib.run.jobs import jobs
from nrsed_lib.series import SERIES
from nrsed_lib.systems import systems_of

pytestmark = pytest.mark.timeout(900)
NB_CLIPS = 24  # of each part: enough that each class has a real clip held out for the tests of separation


def tiny() -> dict:
    """The smoke profile's networks on DESED's classes, the paper's vocabulary and answers."""
    raw = yaml.safe_load((PROFILES / "smoke.yaml").read_text())
    raw["name"] = "tiny-desed"
    raw["data"] |= {
        "source": "desed", "classes": CLASSES, "noise_classes": ["AudioSet-Strong"], "clip_seconds": 1.0,
        "nb_strong": 12, "nb_draws_per_class": 3, "nb_noise_draws_per_class": 3,
    }  # fmt: skip
    raw["llm"] = {"answers": "paper.json"}
    raw["lass"]["train"]["seconds"] = 0.5
    del raw["studies"]  # they have captions of the other profiles' sounds
    return raw


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """All notebooks, cell by cell in this process: what they import is imported once."""
    root = tmp_path_factory.mktemp("desed")
    path = root / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny()))
    make_tree(root / "dataset", NB_CLIPS)
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("DATA", "dataset"), ("CACHE", "cache"), ("RESULTS", "results"), ("PROFILE", path.name)):
            patch.setenv(f"NRSED_{name}", str(root / value))
        patch.setenv("NRSED_MIRROR", str(root / "no mirror"))  # nothing may be downloaded
        for notebook, _ in jobs(load_profile(path)):
            run_cells(NOTEBOOKS / f"{SERIES[notebook].name}.ipynb")
        yield load_profile(path)


def run_cells(notebook: Path) -> None:
    shell = InteractiveShell()
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            lines = [line for line in cell["source"] if not line.startswith("%")]  # %matplotlib: there is no screen
            result = shell.run_cell("".join(lines))
            fault = result.error_before_exec or result.error_in_exec
            assert fault is None, f"{notebook.name}, cell {cell['id']}: {fault!r}"
    plt.close("all")


def table(profile, name):
    (path,) = (results_root() / profile.name / "work").glob(f"*/*/{SHOWN}/{name}")
    return pd.read_csv(path, dtype={"system": str})


def test_every_system_is_scored_on_the_clips_of_the_list_that_is_named(done):
    scores, data = table(done, "table1.csv"), table(done, "data.csv").set_index("split")
    assert set(zip(scores["system"], scores["condition"], strict=True)) == {
        (s, c) for s in systems_of(done) for c in ("clean", "5dB", "-5dB")
    }
    assert (scores["nb_clips"] == data.loc["test", "used"]).all()
    assert scores["psds1"].between(0, 1).all() and scores["psds2"].between(0, 1).all()
    recall = table(done, "recall.csv")
    assert len(recall) == 4 * 3
    for beside in (scores, recall):
        assert (beside["list_hash"] == data.loc["test", "list_hash"]).all()
    assert set(scores["system"][scores["paper_psds1"].notna()]) == set("1234567")
    # the separator is not the paper's: what is between its numbers and these says nothing
    assert not any(column.startswith("minus_paper") for column in scores)


def test_a_kind_of_a_target_is_never_mixed_with_that_target(done):
    sources = load_sources(Run(done, "05", 0), "train")
    male = "Male speech, man speaking"
    assert dict(zip(sources.labels, sources.roles, strict=True))[male] == "noise/Speech"
    assert male in sources.select("noise").by_label  # a random choice of noise may still fall on it
    mixer = Mixer(sources, 8000)
    zero = {(mixer.labels[i], mixer.labels[j]) for i, j in (mixer.interferers == 0).nonzero().tolist()}
    assert zero == {(label, label) for label in mixer.labels} | {("Speech", male), (male, "Speech")}
    assert mixer.is_target.tolist() == [label in CLASSES for label in mixer.labels]


def test_a_label_of_both_roles_is_one_target(done):
    sources = load_sources(Run(done, "05", 0), "train")
    renamed = replace(sources, labels=["Dog" if label == "Rain" else label for label in sources.labels])
    mixer = Mixer(renamed, 8000)
    assert mixer.is_target[mixer.labels.index("Dog")]
    assert mixer.counts[mixer.labels.index("Dog")] == sources.labels.count("Dog") + sources.labels.count("Rain")
