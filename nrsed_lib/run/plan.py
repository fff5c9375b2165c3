"""`nrsed plan`: everything a run needs is looked for before it starts, and what it will take is said.

By presence: audio files are counted, not read (`nrsed data check` reads them), weights are known by the hash that
their conversion recorded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import psutil
import torch

from nrsed_lib.artefacts import Run, job_name, maker_of, weights_of
from nrsed_lib.data.desed import audioset
from nrsed_lib.data.desed.layout import PARTS, condition_part, listing, parts_of
from nrsed_lib.data.desed.prepare import TRAINED_ON, noisy_conditions
from nrsed_lib.data.download import published
from nrsed_lib.data.recordings import listed
from nrsed_lib.errors import AnswerError, DataError, StoreError, WeightsError
from nrsed_lib.lass.clap import clap_weights, load_tokenizer
from nrsed_lib.lass.training import require_separator
from nrsed_lib.llm import paper
from nrsed_lib.llm.noise import NoiseAnswer
from nrsed_lib.llm.records import replay
from nrsed_lib.llm.selection import questions
from nrsed_lib.paths import DATA, cache_root, data_root, results_root
from nrsed_lib.profile import Profile
from nrsed_lib.run.budget import CLIPS, FINETUNED, SELECTION, SEPARATOR, THETA, Budget, hours
from nrsed_lib.run.jobs import as_text, jobs, state
from nrsed_lib.weights import about_weights, find_weights, weights_folder

GB = 1e9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. remedy: what to do, where something is missing; stops: and nothing works
    without it."""

    topic: str
    what: str
    found: str
    remedy: str = ""
    stops: bool = False


@dataclass(frozen=True)
class Plan:
    """notebooks: a row a notebook and seed, with state, hours, GB on disk and what it asks a language model."""

    notebooks: list[dict[str, str]]
    findings: list[Finding]

    @property
    def stopped(self) -> bool:
        return any(finding.stops for finding in self.findings)

    def text(self) -> str:
        looked = [
            {"": "" if nb else topic, "what": finding.what, "found": finding.found}
            for topic, of in groupby(self.findings, lambda finding: finding.topic)
            for nb, finding in enumerate(of)
        ]
        parts = [as_text(self.notebooks), as_text(looked)]
        for title, stops in (("missing, and nothing works without it", True), ("to know", False)):
            concerned: dict[str, list[str]] = {}
            for f in self.findings:
                if f.remedy and f.stops == stops:
                    concerned.setdefault(f.remedy, []).append(f.what)
            if concerned:
                parts.append("\n".join([f"{title}:", *(f"  {', '.join(w)}: {r}" for r, w in concerned.items())]))
        parts.append("the run can start" if not self.stopped else "the run cannot start yet")
        return "\n\n".join(parts)


def plan(profile: Profile) -> Plan:
    """Look at everything. Raises WeightsError for converted weights that are damaged."""
    budget, known, rows, to_do = Budget(profile), hours(profile), [], []
    for notebook, seed in jobs(profile):
        now = state(profile, notebook, seed)
        row = {"notebook": job_name(notebook, seed), "state": now, "time": "", "disk": ""}
        if now != "done":
            to_do.append(notebook)
            row["time"] = duration(known[notebook]) if notebook in known else "not measured"
            row["disk"] = size(budget.disk(notebook))
        rows.append(row | {"language model": _bill(profile)[0] if notebook == SELECTION and now != "done" else ""})
    findings = [
        *_data(profile, CLIPS in to_do),
        *_weights(profile),
        *_answers(profile),
        *_machine(profile, budget),
        *_disk(profile, budget, to_do),
    ]
    return Plan(rows, findings)


def duration(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.1f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


def size(nb_bytes: float) -> str:
    return f"{nb_bytes / GB:.1f} GB" if nb_bytes >= 0.05 * GB else "little"


def _data(profile: Profile, to_do: bool) -> Iterator[Finding]:
    """to_do: whether data preparation still has to read them; it leaves copies of all it needs."""
    data = profile.data
    if data.source == "recordings":
        files = listed(data)
        here = cache_root()
        nb = sum((here / Path(url.partition("://")[2].partition("/")[2])).exists() for url in files["url"])
        absent = len(files) - nb
        remedy = f"{absent} are downloaded by the run (or copied from NRSED_MIRROR)" if absent and to_do else ""
        yield Finding("data", "recordings", f"{nb} of {len(files)} in {here}", remedy)
    elif data.source == "synth":
        yield Finding("data", "sounds", "synthesised by the run")
    else:
        splits = {part: split for split in (*TRAINED_ON, "test") for part in parts_of(split)}
        for part in [*splits, *(condition_part(c) for c in noisy_conditions(data))]:
            yield _part(profile, part, to_do)
        yield _audioset(to_do)


def _part(profile: Profile, part: str, to_do: bool) -> Finding:
    try:
        of = listing(part, profile.data.classes)
    except DataError as error:
        fault, missing, where = str(error).partition("; get it from ")  # else a fault of the file
        found, remedy = ("no label file", f"{where} (in {data_root()}, or set NRSED_DATA)") if missing else ("", fault)
        return Finding("data", part, found or "not usable", remedy, to_do)
    there, nb = len(of.files), len(of.names)
    found = f"{there:,} of {nb:,} clips listed ({PARTS[part].nb_clips:,} published)"
    if there == nb:
        return Finding("data", part, found)
    what = f"{nb - there:,} clips are missing" + ("" if not there else " and would be left out of data and scores")
    return Finding("data", part, found, f"{what}; {PARTS[part].where}", to_do and not there)


def _audioset(to_do: bool) -> Finding:
    labels, folder = data_root() / audioset.LABELS, data_root() / audioset.AUDIO
    nb = sum(1 for _ in os.scandir(folder)) if folder.is_dir() else 0
    if labels.is_file() and nb:
        return Finding("data", "audioset_strong", f"label file, {nb:,} files of audio")
    absent = " and ".join(str(path) for path, there in ((labels, labels.is_file()), (folder, nb)) if not there)
    return Finding("data", "audioset_strong", "incomplete", f"not there: {absent}. {audioset.WHERE}", to_do)


def _weights(profile: Profile) -> Iterator[Finding]:
    """Converted weights by name, and what embeds texts; or that there is nothing to convert."""
    names = weights_of(THETA, profile) | weights_of(SEPARATOR, profile)
    if profile.sed.encoder == "mn04":
        file = published().loc["mn04_as_mAP_432.pt"]
        yield Finding("weights", "mn04", f"downloaded by the run, sha256 {file['sha256']}")
    elif not names:
        yield Finding("weights", "all networks", "trained by the run")
    if profile.data.source == "desed" and profile.lass.weights is None:
        remedy = "the paper takes AudioSep-DP: set lass.weights, or no difference from its numbers is printed"
        yield Finding("weights", "separator", "trained by the run", remedy)
    for name, there in names.items():
        if name == "clap" and profile.lass.weights in names and _text_branch(profile.lass.weights):
            yield Finding("weights", name, f"in {profile.lass.weights}")
            continue
        try:
            about = about_weights(find_weights(name))
            if name == profile.lass.weights:
                require_separator(find_weights(name), about, profile.lass, name)
        except WeightsError as error:
            yield Finding("weights", name, "not usable" if there else "missing", str(error), True)
            continue
        yield Finding("weights", name, f"of {about['source']}, sha256 {about['sha256']}")
    if profile.lass.text == "clap":
        found, fault = "texts are embedded already", ""
        if not any((weights_folder() / "texts").glob("*.safetensors")):
            try:
                load_tokenizer()
                found = "there"
            except WeightsError as error:
                found, fault = "missing", str(error)
        yield Finding("weights", "text vocabulary", found, fault, bool(fault))


def _text_branch(weights: str | None) -> bool:
    try:
        return clap_weights(weights).stem == weights
    except WeightsError:
        return False


def _bill(profile: Profile) -> tuple[str, int]:
    """What noise selection asks, in words, and how many calls; what a live run has filed is not asked for again."""
    if profile.llm.mode == "replay":
        return "none", 0
    run = maker_of("selection", profile)
    try:
        asked = questions(run)
    except StoreError:
        return f"known after {CLIPS}", 1
    files = [DATA / "answers" / profile.llm.answers, *NoiseAnswer.live_files(profile.llm.model)]
    answers = [answer for path in files if path.exists() for answer in NoiseAnswer.read(path)]
    filed = {answer.key for answer in answers if answer.asked == profile.llm.model}
    todo = [question.label_set for question in asked if question.key not in filed]
    calls = paper.cost(todo, profile.data.noise_classes)
    tokens = f"{calls.prompt_tokens.sum():,} + {calls.answer_tokens.sum():,} tokens"
    return f"{len(calls)} calls, about {tokens}", len(calls)


def _answers(profile: Profile) -> Iterator[Finding]:
    llm, run = profile.llm, maker_of("selection", profile)
    if llm.mode == "live":
        asked, nb = _bill(profile)
        key = bool(os.environ.get("OPENAI_API_KEY"))
        remedy = "" if key or not nb else "export OPENAI_API_KEY, or leave llm.mode at replay, which needs no key"
        yield Finding("answers", llm.model, f"{asked}; key {'set' if key else 'not set'}", remedy, bool(remedy))
    yield from (_recorded(name, run) for name in (llm.mode == "replay" and llm.answers, llm.smollm2) if name)


def _recorded(name: str, run: Run) -> Finding:
    """Whether a file of answers has one for every label set."""
    path = DATA / "answers" / name
    try:
        try:
            asked_about = questions(run)
        except StoreError:
            nb = len(NoiseAnswer.read(path))
            return Finding("answers", name, f"{nb} recorded; label sets are known after {CLIPS}")
        answers = replay(asked_about, path)
    except AnswerError as error:
        return Finding("answers", name, "incomplete", str(error), True)
    who = ", ".join(sorted({f"written by {a.author}" if a.author else str(a.model) for a in answers}))
    return Finding("answers", name, f"{len(answers)} of {len(asked_about)} label sets, all by the rules; {who}")


def _machine(profile: Profile, budget: Budget) -> Iterator[Finding]:
    memory = psutil.virtual_memory().total
    remedy = f"about {size(budget.memory)} are used beside mapped files" if budget.memory > 0.8 * memory else ""
    yield Finding("machine", "memory", f"{size(memory)}, of which about {size(budget.memory)} for data", remedy)
    if profile.data.source != "desed":
        return
    on_gpu, known, remedy = budget.gpu(), hours(profile), ""
    asks = ", ".join(f"{notebook} {size(most)}" for notebook, (_, most) in on_gpu.items() if most)
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        least, most = map(max, zip(*on_gpu.values(), strict=True))
        if least > total:
            remedy = f"data alone take {size(least)}: lower data.nb_noise_draws_per_class, or take a larger GPU"
        elif most > 0.8 * total:
            remedy = "clips stay in mapped files where they do not fit: steps are slower, numbers the same"
        found = f"{torch.cuda.get_device_name()}, {size(total)}; data by notebook: {asks}; networks come on top"
        yield Finding("machine", "GPU", found, remedy, least > total)
        return
    remedy = "how long the run takes without one was not measured here: `make bench` does, and says so"
    if {THETA, FINETUNED} <= known.keys():
        took = duration(known[THETA] + known[FINETUNED])
        remedy = f"without one, notebooks {THETA} and {FINETUNED} take {took} a seed here"
    yield Finding("machine", "GPU", f"none; data by notebook would take {asks}", remedy)


def _disk(profile: Profile, budget: Budget, to_do: Collection[str]) -> Iterator[Finding]:
    """Shards go to the cache, everything else to the results; both may be on one file system."""
    clips, rest = (sum(budget.disk(id_) for id_ in to_do if (id_ == CLIPS) == of_clips) for of_clips in (True, False))
    clips += budget.converting if clips else 0
    in_cache = clips if profile.data.source == "desed" else 0
    places: dict[int, list[tuple[Path, int, int]]] = {}  # file system → root, bytes free, bytes needed
    for root, takes in ((cache_root(), in_cache), (results_root(), clips - in_cache + rest)):
        there = next(p for p in (root, *root.absolute().parents) if p.exists())
        places.setdefault(there.stat().st_dev, []).append((root, shutil.disk_usage(there).free, takes))
    for rows in places.values():
        free, takes = rows[0][1], sum(takes for *_, takes in rows)
        where = " and ".join(str(root) for root, *_ in rows)
        remedy = f"{size(takes)} are needed: make room, or set NRSED_CACHE and NRSED_RESULTS to larger disks"
        short = takes > free
        yield Finding("disk", where, f"{size(free)} free, {size(takes)} needed", remedy if short else "", short)
