"""The series of notebooks: what each needs, reads and makes. This table is the graph, and is said once.

The Snakefile makes its rules from it, a run knows from it what is still to do, and whoever needs an artefact asks
for it by name (`artefacts.Run.find`).
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Literal

# Code that a profile names, and that is imported only where it does: setting -> name -> module.
PLUGINS: dict[str, dict[str, str]] = {
    "data.source": {
        "synth": "nrsed_lib.data.synth.sources",
        "recordings": "nrsed_lib.data.recordings",
        "desed": "nrsed_lib.data.desed.prepare",
    },
    "sed.encoder": {"mn04": "nrsed_lib.sed.encoders.mn04", "beats": "nrsed_lib.sed.encoders.beats"},
    "lass.text": {"clap": "nrsed_lib.lass.clap"},
    "studies": {"studies": "nrsed_lib.studies.settings"},
}

# Rooms that know what settings they can work with: `checks(profile)`, asked whenever a profile is loaded.
LIMITS = tuple(f"nrsed_lib.{room}.limits" for room in ("data", "sed", "lass", "studies"))


def plugin(setting: str, name: str) -> ModuleType:
    """The module that a profile's setting names, e.g. ("data.source", "synth")."""
    return importlib.import_module(PLUGINS[setting][name])


@dataclass(frozen=True)
class Parts:
    """What a notebook computes one after the other, and what jobs may compute ahead of it (`run.parts`).

    each: what there is a part for: an artefact, a test condition, a shard of a data set on disk, a trial of a study.
    make: "module:function" that makes one, given the run and its name. shared: several processes may make one
    together.
    """

    each: Literal["artefact", "condition", "shard", "trial"]
    make: str
    shared: bool = False


@dataclass(frozen=True)
class Notebook:
    """A notebook of the series.

    needs: ids of those before it. spared: data source -> those that it can do without there. reads: dotted sections
    of the profile. files: committed inputs, as patterns from the root. makes: artefacts that others ask for, by name
    or pattern -> how their files end. reviewer: those of them that are made only where `evaluate.reviewer_rows` are
    asked for. parts: what it computes in parts (`Parts`), if it takes long. tables: those of its results that tell one
    run from another (`run.compare`). per_seed: it runs for each seed; once: but not with these data sources, which
    were dealt by those who publish them. threads: of one execution. learns: it trains or tests networks, on a GPU
    where there is one. over_seeds: it reads every seed of what it needs. study: it is one of the separation studies,
    which run when they are asked for, with the profile's first seed.
    """

    name: str
    needs: tuple[str, ...] = ()
    spared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    makes: Mapping[str, str] = field(default_factory=dict)
    reviewer: tuple[str, ...] = ()
    parts: Parts | None = None
    tables: tuple[str, ...] = ()
    per_seed: bool = False
    once: tuple[str, ...] = ()
    threads: int = 1
    learns: bool = False
    over_seeds: bool = False
    study: bool = False

    def needed(self, source: str) -> tuple[str, ...]:
        """Ids of those before it, where clips come from `source`."""
        return tuple(id_ for id_ in self.needs if id_ not in self.spared.get(source, ()))

    def each_seed(self, source: str) -> bool:
        """Whether it runs for each seed, where clips come from `source`; else for the first alone."""
        return self.per_seed and source not in self.once

    def made(self, reviewer_rows: bool) -> list[str]:
        """What it makes, by name or pattern."""
        return [name for name in self.makes if reviewer_rows or name not in self.reviewer]


NETWORK = ".safetensors"
CAPTIONS = ("data/captions/*.yaml", "data/captions/answers/*.json")
FRONT_END = ("sed.encoder", "sed.bfloat16", "sed.mel")  # of a detector
LEARNING = ("sed.ways", "sed.labelled_share", "sed.weak_share", "sed.ema", "sed.consistency", "sed.median_frames")

SERIES: dict[str, Notebook] = {
    "01": Notebook(
        "01_data_preparation",
        reads=("data",),
        files=("data/recordings.csv", "data/*.yaml", "data/scenarios/*.yaml"),
        makes=dict.fromkeys(
            ("strong", "weak", "unlabelled", "validation", "validation_noise", "test", "test_*", "empty", "sources-*"),
            ".npy",
        )
        | {"empty_noise": ".tsv", "recordings_*": ".csv"},
        parts=Parts("shard", "nrsed_lib.data.desed.prepare:make_shard"),
        per_seed=True,
        once=("desed",),
    ),
    "02": Notebook(
        "02_llm_noise_selection",
        needs=("01",),
        spared={"desed": ("01",)},  # its label sets are committed
        reads=("llm",),
        files=("data/answers/*.json", "data/vocabulary/*.csv"),
        makes={"selection": ".json", "selection_smollm2": ".json"},
        per_seed=True,
        once=("desed",),
    ),
    "03": Notebook(
        "03_sed_training",
        needs=("01",),
        reads=(*FRONT_END, "sed.crnn", "sed.batch", "sed.train", *LEARNING),
        makes={"theta": NETWORK},
        parts=Parts("artefact", "nrsed_lib.sed.training:train_detector", shared=True),
        per_seed=True,
        learns=True,
    ),
    "04": Notebook(
        "04_curriculum_finetuning",
        needs=("01", "02", "03"),
        reads=("sed.finetune", "evaluate.reviewer_rows"),
        makes=dict.fromkeys(("random", "no_curriculum", "full", "longer", "smollm2", "filter"), NETWORK),
        reviewer=("longer", "smollm2", "filter"),
        parts=Parts("artefact", "nrsed_lib.sed.finetuning:finetune", shared=True),
        per_seed=True,
        learns=True,
    ),
    "05": Notebook(
        "05_lass_model",
        needs=("01",),
        reads=("lass", "evaluate.nb_separation_mixtures"),
        makes={"separator": NETWORK},
        parts=Parts("artefact", "nrsed_lib.lass.training:train_separator", shared=True),
        per_seed=True,
        learns=True,
    ),
    "06": Notebook(
        "06_lass_testing",
        needs=("01", "03", "04", "05"),
        reads=("evaluate.reviewer_rows",),
        makes={
            "scores_*": NETWORK,
            "queries_*": NETWORK,
            "costs": ".csv",
            "counts": ".npz",
            "energies": ".csv",
            "false_alarms": ".csv",
            "thresholds": ".json",
        },
        parts=Parts("condition", "nrsed_lib.testing:test_systems"),
        per_seed=True,
        threads=2,
        learns=True,
    ),
    "07": Notebook(
        "07_ablations",
        needs=("06",),
        reads=("seeds", "evaluate.nb_bootstrap"),
        files=("data/paper/table1.csv", "data/paper/claims.csv"),
        tables=("table1.csv", "claims.csv"),
        threads=2,
        over_seeds=True,
    ),
    "08": Notebook(
        "08_recall",
        needs=("06",),
        reads=("seeds", "evaluate.nb_bootstrap"),
        files=("data/published.csv",),
        over_seeds=True,
    ),
    "09": Notebook(
        "09_dcase_task9",
        needs=("01",),
        reads=("lass", "studies.seeds", "studies.task9"),
        files=CAPTIONS,
        makes={"AudioSep*": NETWORK},
        parts=Parts("trial", "nrsed_lib.studies.task9.study:study"),
        tables=("task9_differences.csv",),
        learns=True,
        study=True,
    ),
    "10": Notebook(
        "10_caption_augmentation",
        needs=("01",),
        reads=("lass", "studies.seeds", "studies.nb_mixtures", "studies.captions"),
        files=CAPTIONS,
        makes={"augmented": NETWORK},
        parts=Parts("trial", "nrsed_lib.studies.captions.study:study"),
        tables=("captions.csv",),
        learns=True,
        study=True,
    ),
    "11": Notebook(
        "11_opensep",
        needs=("01",),
        reads=("lass", "llm.mode", *FRONT_END, "studies.seeds", "studies.nb_mixtures", "studies.opensep"),
        files=(*CAPTIONS, "data/paper/opensep.csv"),
        makes={"captioner": NETWORK},
        parts=Parts("trial", "nrsed_lib.studies.opensep.measure:study"),
        tables=("opensep_claims.csv",),
        learns=True,
        study=True,
    ),
    "12": Notebook(
        "12_back_to_the_paper",
        needs=("06", "10", "11"),
        reads=("evaluate.nb_bootstrap", "lass"),
        files=(*CAPTIONS, "data/paper/table1.csv"),
        tables=("language_claims.csv",),
        learns=True,
        study=True,
    ),
}
STUDIES = tuple(id_ for id_, notebook in SERIES.items() if notebook.study)
PAPER = tuple(id_ for id_ in SERIES if id_ not in STUDIES)


def before(notebooks: Collection[str], source: str) -> set[str]:
    """Ids of all that some notebooks wait for, where clips come from `source`."""
    direct = {need for id_ in notebooks for need in SERIES[id_].needed(source)}
    return direct | before(direct, source) if direct else set()


def maker(artefact: str) -> tuple[str, str]:
    """Id of the notebook that makes an artefact, and how its file ends. Raises KeyError for a name that none makes."""
    for id_, notebook in SERIES.items():
        for pattern, suffix in notebook.makes.items():
            if fnmatchcase(artefact, pattern):
                return id_, suffix
    raise KeyError(f"no notebook makes {artefact!r}")
