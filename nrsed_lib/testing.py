"""Stage 3 for whole test sets: every system in every condition, with nothing detected or separated twice.

What it computes is `systems.follow` of each clip; what costs time is shared between the systems and done in batches.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.calibration import calibrate, read_thresholds
from nrsed_lib.data.prepare import load_condition, load_empty, load_split
from nrsed_lib.lass.remix import remix, separate
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import predict
from nrsed_lib.store import read_tensors, write_table, write_tensors
from nrsed_lib.systems import THRESHOLD, Networks, Queries, System, Threshold, asking, systems_of
from nrsed_lib.training import device

CLIPS_AT_ONCE = 16


def separate_and_remix(networks: Networks, mixtures: Tensor, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 4-5 for several query tables at once: nothing is separated, or remixed, twice.

    mixtures: (nb_clips, nb_samples). asked: (nb_tables, nb_clips, nb_classes) bool. Returns the distinct remixes
    (nb_remixes, nb_samples), which one belongs to each table and clip (nb_tables, nb_clips), and the energy of each
    track against its mixture (nb_clips, nb_classes), dB, NaN where nobody asked.
    """
    pairs = asked.any(0).nonzero()  # (nb_pairs, 2): clip, query
    tracks = separate(networks.separator, mixtures, pairs, networks.conditions, networks.batch)
    energies = mixtures.new_full(asked.shape[1:], torch.nan)
    energies[pairs[:, 0], pairs[:, 1]] = decibels(tracks) - decibels(mixtures)[pairs[:, 0]]
    place = torch.zeros(asked.shape[1:], dtype=torch.long, device=pairs.device)
    place[pairs[:, 0], pairs[:, 1]] = torch.arange(len(pairs), device=pairs.device)
    clip = torch.arange(len(mixtures), device=pairs.device).expand(len(asked), -1)  # (nb_tables, nb_clips)
    rows = torch.cat([clip[..., None], asked.long()], -1).flatten(0, 1)
    distinct, which = rows.unique(dim=0, return_inverse=True)  # (nb_remixes, 1 + nb_classes)
    clips = distinct[:, 0]
    wanted = distinct[:, 1:].nonzero()  # (nb_wanted, 2): remix, query
    remixes = remix(tracks[place[clips[wanted[:, 0]], wanted[:, 1]]], wanted, mixtures[clips])
    return remixes, which.view(clip.shape), energies


def decibels(waveforms: Tensor) -> Tensor:
    """Mean power (…, nb_samples) -> (…), dB; of silence -100."""
    return 10 * waveforms.square().mean(-1).clamp(min=1e-10).log10()


class Scored(NamedTuple):
    """What a test leaves. frame_scores: system -> (nb_clips, nb_classes, nb_frames). clip_scores: who could ask by them
    -> (nb_clips, nb_classes), weak labels under "truth"; under "<model>, any frame" the highest frame score, which is
    what the released code asks by. energies: of tracks against mixtures (nb_clips, nb_classes), dB."""

    frame_scores: dict[str, Tensor]
    clip_scores: dict[str, Tensor]
    energies: Tensor


@torch.inference_mode()
def score_mixtures(
    networks: Networks,
    mixtures: Tensor,
    labels: Tensor,
    systems: Mapping[str, System],
    clips_at_once: int = CLIPS_AT_ONCE,
) -> Scored:
    """`systems` on one condition, as `systems.follow` goes clip by clip; only what they need is heard, and once.

    mixtures: (nb_clips, nb_samples). labels: (nb_clips, nb_classes), weak.
    """
    sources = [None, *dict.fromkeys(s.queries for s in systems.values() if s.queries)]  # None: the mixture itself
    needs: dict[str, set[Queries | None]] = {model: {None} for model in networks.detectors}
    for system in systems.values():
        for model, what in system.detectors:
            needs[model].add(system.queries if what == "remix" else None)
    askers = [who for who, _ in asking(systems.values()) if who in networks.askers]
    frames: dict[tuple[str, Queries | None], list[Tensor]] = defaultdict(list)  # by model, and whose remix it heard
    clip_scores: dict[str, list[Tensor]] = defaultdict(list)
    energies = []
    chunks = list(zip(mixtures.split(clips_at_once), labels.split(clips_at_once), strict=True))
    for mixture, truth in tqdm(chunks, desc="test", unit=f"{clips_at_once} clips", mininterval=1.0):
        mixture, truth = mixture.to(device()), truth.to(device())
        every = torch.ones_like(truth[:, 0], dtype=torch.bool)
        heard, scores = networks.hear(mixture, dict.fromkeys(needs, every), askers)
        scores |= {"truth": truth} | {f"{model}, any frame": strong.amax(-1) for model, strong in heard.items()}
        asked = [s.asked(scores, networks.thresholds) if s else torch.zeros_like(truth).bool() for s in sources]
        remixes, which, energy = separate_and_remix(networks, mixture, torch.stack(asked))
        at = dict(zip(sources, which, strict=True))  # whose -> (nb_clips,), the number of the remix
        rows = {model: torch.zeros(len(remixes), dtype=torch.bool, device=which.device) for model in needs}
        for model, hears in needs.items():
            rows[model][torch.cat([at[s] for s in hears])] = True
            rows[model][at[None]] = False  # these are the mixtures, which it has heard
        more, _ = networks.hear(remixes, rows)
        for model, hears in needs.items():
            strong = heard[model].new_zeros(len(remixes), *heard[model].shape[1:])
            strong[at[None]] = heard[model]
            if model in more:
                strong[rows[model]] = more[model]
            for s in hears:
                frames[model, s].append(strong[at[s]])
        for name, values in scores.items():
            clip_scores[name].append(values)
        energies.append(energy)
    whole = {key: torch.cat(parts) for key, parts in frames.items()}
    by_clip = {name: torch.cat(parts) for name, parts in clip_scores.items()}
    decided = {}
    for name, system in systems.items():
        heard_by = [whole[model, system.queries if what == "remix" else None] for model, what in system.detectors]
        decided[name] = networks.decide(system, heard_by, by_clip)
    return Scored(decided, by_clip, torch.cat(energies))


def networks_of(run: Run, profile: Profile | None = None) -> Networks:
    """`Networks.of` a run, with the thresholds of queries that its systems have set on validation."""
    networks = Networks.of(run, profile=profile)
    calibrated = [s for s in systems_of(run.profile).values() if s.queries and s.queries.threshold != "half"]
    return replace(networks, thresholds=calibrate(run, networks)) if calibrated else networks


def test_systems(run: Run, only: str | None = None) -> None:
    """Stage 3 for every condition; one file a condition, so that a killed run resumes at the next.

    Leaves scores_<condition>.safetensors (a float16 tensor by system), queries_<condition>.safetensors (float32 by
    query source) and energies_<condition>.safetensors (`Scored`) in the notebook's folder; of `only` one condition,
    just its files.
    """
    clips, networks, systems = load_split(run, "test"), networks_of(run), systems_of(run.profile)
    for condition in run.profile.data.conditions:
        left = {what: run.folder / f"{what}_{condition}.safetensors" for what in ("energies", "queries", "scores")}
        if only not in (None, condition) or all(path.exists() for path in left.values()):
            continue
        scored = score_mixtures(networks, load_condition(run, condition), clips.weak(), systems)
        about = {"condition": condition, "seed": run.seed, "nb_clips": len(clips.names)}
        write_tensors(left["energies"], {"energies": scored.energies}, **about)
        write_tensors(left["queries"], scored.clip_scores, **about)
        write_tensors(left["scores"], {name: s.half() for name, s in scored.frame_scores.items()}, **about)


def asked_tables(run: Run, condition: str) -> tuple[dict[str, Tensor], Tensor]:
    """Who asked for what in a condition that was tested: bool (nb_clips, nb_classes) by system; and the truth."""
    clip_scores, _ = read_tensors(run.folder / f"queries_{condition}.safetensors")
    systems, thresholds = systems_of(run.profile), read_thresholds(run)
    asked = {name: s.queries.asked(clip_scores, thresholds) for name, s in systems.items() if s.queries}
    return asked, clip_scores["truth"] > THRESHOLD


def measure_energies(run: Run) -> pd.DataFrame:
    """How loud tracks are against their mixtures, dB: quartiles by condition, class ("all" pools them), whether the
    class is present, and whether #7 asked for it; kept as `energies.csv`.

    All classes were asked for (#3), so what a query for nothing brings is heard of every class in every clip.
    """
    parts = []
    for condition in run.profile.data.conditions:
        energies = read_tensors(run.folder / f"energies_{condition}.safetensors")[0]["energies"]
        asked, truth = asked_tables(run, condition)
        tracks = {"present": truth, "asked_by_7": asked["7"], "dB": energies}
        about = {"condition": condition, "class": run.profile.data.classes * len(truth)}
        parts.append(pd.DataFrame(about | {name: values.flatten().numpy() for name, values in tracks.items()}))
    each = pd.concat(parts)
    pooled = pd.concat([each.assign(**{"class": "all"}), each])
    groups = pooled.groupby(["condition", "class", "present", "asked_by_7"], sort=False)["dB"]
    found = {name: groups.quantile(share) for name, share in (("low", 0.25), ("median", 0.5), ("high", 0.75))}
    table = pd.DataFrame(found | {"nb_tracks": groups.size(), "seed": run.seed}).reset_index()
    write_table(run.folder / "energies.csv", table)
    return table


def measure_false_alarms(run: Run) -> pd.DataFrame:
    """Of clips in which no target is heard, the share in which who could ask asks for any class, at each kind of
    threshold, and in which a system finds any event: a frame above 0.5 after the median; kept as `false_alarms.csv`.

    DESED has no such clips, and the table no rows there.
    """
    rows = []
    if run.profile.data.source != "desed":
        clips, _ = load_empty(run)
        networks = networks_of(run)
        kinds: tuple[Threshold, ...] = ("half", *networks.thresholds)
        systems = {name: s for name, s in systems_of(run.profile).items() if not s.queries or s.queries.usable}
        scored = score_mixtures(networks, clips.waveforms(), clips.weak(), systems)
        for queries in (Queries(who, kind) for who in networks.who_asks if who in scored.clip_scores for kind in kinds):
            asked = queries.asked(scored.clip_scores, networks.thresholds)  # (nb_clips, nb_classes)
            rows.append(("asks", queries.who, queries.threshold, asked.any(1)))
        for name, frame_scores in scored.frame_scores.items():
            rows.append(("detects", name, "half", (frame_scores > THRESHOLD).flatten(1).any(1)))
    found = [(*of, any_.float().mean().item(), len(any_), run.seed) for *of, any_ in rows]
    table = pd.DataFrame(found, columns=["what", "who", "threshold", "share", "nb_clips", "seed"])
    write_table(run.folder / "false_alarms.csv", table)
    return table


def measure_costs(run: Run) -> pd.DataFrame:
    """Queries a clip and seconds a clip of each system, by condition; kept as `costs.csv` in the notebook's folder.

    The queries are those that `test_systems` left. A detector's clip and a separator's query are timed here, on this
    machine, and counted for each system that has to do them.
    """
    clean = load_condition(run, next(iter(run.profile.data.conditions)))
    detect, separation = _seconds(Networks.of(run, ["theta"]), clean[:CLIPS_AT_ONCE])
    rows = []
    for condition in run.profile.data.conditions:
        asked, truth = asked_tables(run, condition)
        for name, system in systems_of(run.profile).items():
            nb_queries = asked[name].sum().item() / len(truth) if system.queries else 0.0
            nb_detections = len(asking([system]) | set(system.detectors))
            rows.append(
                {
                    "system": name,
                    "condition": condition,
                    "queries_per_clip": nb_queries,
                    "seconds_per_clip": nb_detections * detect + nb_queries * separation,
                    "nb_clips": len(truth),
                    "seed": run.seed,
                }
            )
    table = pd.DataFrame(rows)
    write_table(run.folder / "costs.csv", table)
    return table


@torch.inference_mode()
def _seconds(networks: Networks, mixtures: Tensor) -> tuple[float, float]:
    """Of detecting in a clip, and of separating and remixing a query, in batches; all classes are asked for."""
    mixtures = mixtures.to(device())
    asked = torch.ones(1, len(mixtures), len(networks.texts), dtype=torch.bool, device=mixtures.device)
    work = (
        lambda nb: predict(networks.detectors["theta"], mixtures[:nb], networks.batch),
        lambda nb: separate_and_remix(networks, mixtures[:nb], asked[:, :nb]),
    )
    seconds = []
    for do in work:
        do(1)  # what the first call sets up is not counted
        start = _now()
        do(len(mixtures))
        seconds.append(_now() - start)
    return seconds[0] / len(mixtures), seconds[1] / asked.sum().item()


def _now() -> float:
    """Seconds, when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
