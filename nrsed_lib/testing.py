"""Stage 3 for whole test sets: every system in every condition, with nothing detected or separated twice.

What it computes is `systems.follow` of each clip; what costs time is shared between the systems and done in batches.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.lass.remix import remix, separate
from nrsed_lib.sed.detector import predict
from nrsed_lib.store import read_tensors, write_table, write_tensors
from nrsed_lib.systems import MODELS, SYSTEMS, THRESHOLD, Networks, System
from nrsed_lib.training import device

CLIPS_AT_ONCE = 16


def query_table(clip_scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Who asks for what: name -> (nb_clips, nb_classes) bool, for the predictions in `clip_scores`
    (probabilities, the weak labels under "truth") and for all event texts."""
    asked = {name: scores > THRESHOLD for name, scores in clip_scores.items()}
    return asked | {"all": torch.ones_like(asked["truth"])}


def separate_and_remix(networks: Networks, mixtures: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 4-5 for several query tables at once: nothing is separated, or remixed, twice.

    mixtures: (nb_clips, nb_samples). asked: (nb_tables, nb_clips, nb_classes) bool. Returns the distinct remixes
    (nb_remixes, nb_samples), and which one belongs to each table and clip (nb_tables, nb_clips).
    """
    pairs = asked.any(0).nonzero()  # (nb_pairs, 2): clip, query
    tracks = separate(networks.separator, mixtures, pairs, networks.conditions, networks.batch)
    place = torch.zeros(asked.shape[1:], dtype=torch.long, device=pairs.device)
    place[pairs[:, 0], pairs[:, 1]] = torch.arange(len(pairs), device=pairs.device)
    clip = torch.arange(len(mixtures), device=pairs.device).expand(len(asked), -1)  # (nb_tables, nb_clips)
    rows = torch.cat([clip[..., None], asked.long()], -1).flatten(0, 1)
    distinct, which = rows.unique(dim=0, return_inverse=True)  # (nb_remixes, 1 + nb_classes)
    clips = distinct[:, 0]
    wanted = distinct[:, 1:].nonzero()  # (nb_wanted, 2): remix, query
    remixes = remix(tracks[place[clips[wanted[:, 0]], wanted[:, 1]]], wanted, mixtures[clips])
    return remixes, which.view(clip.shape)


@torch.inference_mode()
def score_mixtures(
    networks: Networks,
    mixtures: Tensor,
    labels: Tensor,
    systems: Mapping[str, System] = SYSTEMS,
    clips_at_once: int = CLIPS_AT_ONCE,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Frame scores of `systems` (all of Table I by default) on one condition, as `systems.follow` gives them.

    mixtures: (nb_clips, nb_samples). labels: (nb_clips, nb_classes), weak. Returns frame scores (nb_clips,
    nb_classes, nb_frames) by system, and clip-wise predictions (nb_clips, nb_classes) by who could ask by them.
    """
    sources = sorted({s.queries for s in systems.values() if s.queries})
    on_remixes = {(model, s.queries) for s in systems.values() for model, what in s.detectors if what == "remix"}
    frames: dict[tuple[str, str | None], list[Tensor]] = defaultdict(list)  # by model, and whose remix it heard
    clip_scores: dict[str, list[Tensor]] = defaultdict(list)
    chunks = list(zip(mixtures.split(clips_at_once), labels.split(clips_at_once), strict=True))
    for mixture, truth in tqdm(chunks, desc="test", unit=f"{clips_at_once} clips", mininterval=1.0):
        mixture = mixture.to(device())
        predictions = {"truth": truth.to(device())}
        for model, (strong, weak) in _detect(networks, mixture).items():
            frames[model, None].append(strong)
            predictions[model] = weak
        predictions |= {name: ask(mixture).to(mixture) for name, ask in networks.askers.items() if name in sources}
        asked = query_table(predictions)
        remixes, which = separate_and_remix(networks, mixture, torch.stack([asked[s] for s in sources]))
        detected = _detect(networks, remixes)
        for model, queries in on_remixes:
            assert queries is not None  # no remix without a query source
            frames[model, queries].append(detected[model][0][which[sources.index(queries)]])
        for name, scores in predictions.items():
            clip_scores[name].append(scores)
    whole = {key: torch.cat(parts) for key, parts in frames.items()}
    decided = {
        name: networks.decide(whole[model, s.queries if what == "remix" else None] for model, what in s.detectors)
        for name, s in systems.items()
    }
    return decided, {name: torch.cat(parts) for name, parts in clip_scores.items()}


def _detect(networks: Networks, waveforms: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Frame and clip scores of each detector; the front end, which does not learn, is shared."""
    parts = defaultdict(list)
    for some in waveforms.split(networks.batch):
        features = next(iter(networks.detectors.values())).features(some)
        for model, detector in networks.detectors.items():
            parts[model].append(detector.detect(features))
    return {model: (torch.cat([s for s, _ in p]), torch.cat([w for _, w in p])) for model, p in parts.items()}


def test_systems(run: Run, only: str | None = None) -> None:
    """Stage 3 for every condition; one file a condition, so that a killed run resumes at the next.

    Leaves scores_<condition>.safetensors (a float16 tensor by system) and queries_<condition>.safetensors (float32 by
    query source) in the notebook's folder; of `only` one condition, just its files.
    """
    clips, networks = load_split(run, "test"), Networks.of(run)
    for condition in run.profile.data.conditions:
        path, asked = (run.folder / f"{what}_{condition}.safetensors" for what in ("scores", "queries"))
        if (path.exists() and asked.exists()) or only not in (None, condition):
            continue
        scores, queries = score_mixtures(networks, load_condition(run, condition), clips.weak())
        about = {"condition": condition, "seed": run.seed, "nb_clips": len(clips.names)}
        write_tensors(asked, queries, **about)
        write_tensors(path, {name: s.half() for name, s in scores.items()}, **about)


def measure_costs(run: Run) -> pd.DataFrame:
    """Queries a clip and seconds a clip of each system, by condition; kept as `costs.csv` in the notebook's folder.

    The queries are those that `test_systems` left. A detector's clip and a separator's query are timed here, on this
    machine, and counted for each system that has to do them.
    """
    clean = load_condition(run, next(iter(run.profile.data.conditions)))
    detect, separation = _seconds(Networks.of(run), clean[:CLIPS_AT_ONCE])
    rows = []
    for condition in run.profile.data.conditions:
        queries, about = read_tensors(run.folder / f"queries_{condition}.safetensors")
        asked = query_table(queries)
        for name, system in SYSTEMS.items():
            nb_queries = asked[system.queries].sum().item() / about["nb_clips"] if system.queries else 0.0
            asks = {(system.queries, "mixture")} if system.queries in MODELS else set()
            rows.append(
                {
                    "system": name,
                    "condition": condition,
                    "queries_per_clip": nb_queries,
                    "seconds_per_clip": len(asks | set(system.detectors)) * detect + nb_queries * separation,
                    "nb_clips": about["nb_clips"],
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
