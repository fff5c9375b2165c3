"""The systems of Table I, and the rows it leaves out, as a table of data (section III, Table I).

A system is: who writes the queries, and which detectors hear what. Everything else is shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.remix import remix, separate
from nrsed_lib.lass.separator import Separator, load_separator
from nrsed_lib.sed.detector import Detector, load_detector, median_filter, predict
from nrsed_lib.store import read_tensors, write_table, write_tensors
from nrsed_lib.training import device

MODELS = ("theta", "random", "no_curriculum", "full")  # g_theta, and the fine-tuned g_alpha of #5, #6 and #7
THRESHOLD = 0.5  # of a clip-wise prediction to become a query (section II-C)

Heard = Literal["mixture", "remix"]


@dataclass(frozen=True)
class System:
    """queries: None (no separation), "truth", "all", or the model whose predictions they are.
    detectors: (model, what it hears); more than one: the mean of their frame scores."""

    about: str
    queries: str | None
    detectors: tuple[tuple[str, Heard], ...] = (("theta", "remix"),)


SYSTEMS = {
    "1": System("no separation", None, (("theta", "mixture"),)),
    "2": System("ground truth", "truth"),
    "3": System("all event texts", "all"),
    "4": System("ours without fine-tuning", "theta"),
    "5": System("ours without LLM", "random"),
    "6": System("ours without curriculum", "no_curriculum"),
    "7": System("ours", "full"),
}
for _name, _model in (("5", "random"), ("6", "no_curriculum"), ("7", "full")):
    SYSTEMS |= {
        f"{_name}-direct": System(f"g_alpha of #{_name} on the mixture", None, ((_model, "mixture"),)),
        f"{_name}-remix": System(f"g_alpha of #{_name} on the remix", _model, ((_model, "remix"),)),
        f"{_name}-both": System(
            f"mean of {_name}-direct and {_name}-remix", _model, ((_model, "mixture"), (_model, "remix"))
        ),
    }


def query_table(clip_scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Who asks for what: name -> (nb_clips, nb_classes) bool, for the predictions in `clip_scores`
    (probabilities, the weak labels under "truth") and for all event texts."""
    asked = {name: scores > THRESHOLD for name, scores in clip_scores.items()}
    return asked | {"all": torch.ones_like(asked["truth"])}


def separate_and_remix(
    separator: Separator, mixtures: Tensor, asked: Tensor, conditions: Tensor, batch: int
) -> tuple[Tensor, Tensor]:
    """Eq. 4-5 for several query tables at once: nothing is separated, or remixed, twice.

    mixtures: (nb_clips, nb_samples). asked: (nb_tables, nb_clips, nb_classes) bool. conditions:
    (nb_classes, condition_size), the embedded query texts. Returns the distinct remixes (nb_remixes,
    nb_samples), and which one belongs to each table and clip (nb_tables, nb_clips).
    """
    pairs = asked.any(0).nonzero()  # (nb_pairs, 2): clip, query
    tracks = separate(separator, mixtures, pairs, conditions, batch)  # (nb_pairs, nb_samples)
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
    mixtures: Tensor,
    truth: Tensor,
    detectors: dict[str, Detector],
    separator: Separator,
    texts: list[str],
    batch: int,
    median_frames: int = 7,
    clips_at_once: int = 16,
    systems: Mapping[str, System] = SYSTEMS,
    asking: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, float]]:
    """Frame scores of `systems` (all of Table I by default) on one condition.

    mixtures: (nb_clips, nb_samples). truth: (nb_clips, nb_classes) weak labels. detectors: those that
    `systems` name. asking: who else writes queries: waveforms (B, nb_samples) -> (B, nb_classes), above
    THRESHOLD where a class is asked for. Returns
    median-filtered frame scores (nb_clips, nb_classes, nb_frames) by system, clip-wise predictions
    (nb_clips, nb_classes) by who writes the queries, and seconds by what they were spent on.
    """
    conditions = separator.embed(texts)  # once, not once a clip
    sources = sorted({s.queries for s in systems.values() if s.queries})
    wanted = sorted({(model, s.queries) for s in systems.values() for model, heard in s.detectors if heard == "remix"})
    start = _now()
    predict(detectors["theta"], mixtures[:clips_at_once], batch)
    seconds = {"detect_a_clip": (_now() - start) / len(mixtures[:clips_at_once]), "separate": 0.0}
    frames: dict[tuple[str, str | None], list[Tensor]] = {}
    clip_scores: dict[str, list[Tensor]] = {}
    chunks = list(zip(mixtures.split(clips_at_once), truth.split(clips_at_once), strict=True))
    for chunk, labels in tqdm(chunks, desc="test", unit=f"{clips_at_once} clips", mininterval=1.0):
        chunk = chunk.to(device())
        predictions = {"truth": labels.to(device())}
        for model, (strong, weak) in _detect(detectors, chunk, batch).items():
            frames.setdefault((model, None), []).append(strong)
            predictions[model] = weak
        predictions |= {name: ask(chunk).to(chunk) for name, ask in (asking or {}).items()}
        start = _now()
        asked = query_table(predictions)
        remixes, which = separate_and_remix(
            separator, chunk, torch.stack([asked[s] for s in sources]), conditions, batch
        )
        seconds["separate"] += _now() - start
        detected = _detect(detectors, remixes, batch)
        for model, queries in wanted:
            assert queries is not None  # no remix without a query source
            frames.setdefault((model, queries), []).append(detected[model][0][which[sources.index(queries)]])
        for name, scores in predictions.items():
            clip_scores.setdefault(name, []).append(scores)
    heard = {key: torch.cat(parts) for key, parts in frames.items()}
    scores = {
        name: median_filter(
            torch.stack(
                [heard[model, system.queries if what == "remix" else None] for model, what in system.detectors]
            ).mean(0),
            median_frames,
        )
        for name, system in systems.items()
    }
    return scores, {name: torch.cat(parts) for name, parts in clip_scores.items()}, seconds


def _now() -> float:
    """Seconds, when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _detect(detectors: dict[str, Detector], waveforms: Tensor, batch: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Frame and clip scores of each detector; the front end, which does not learn, is shared."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {model: [] for model in detectors}
    for some in waveforms.split(batch):
        features = next(iter(detectors.values())).features(some)
        for model, detector in detectors.items():
            parts[model].append(detector.detect(features))
    return {model: (torch.cat([s for s, _ in p]), torch.cat([w for _, w in p])) for model, p in parts.items()}


def test_systems(run: Run, only: str | None = None) -> None:
    """Stage 3 for every condition; one file a condition, so that a killed run resumes at the next.

    Leaves scores_<condition>.safetensors (a float16 tensor by system), queries_<condition>.safetensors
    (float32 by query source) and costs.csv in the stage's folder; of `only` one condition, just its files.
    """
    profile = run.profile
    clips = load_split(run, "test")
    detectors = {m: load_detector(run.find(m), profile).to(device()) for m in MODELS}
    separator = load_separator(run.find("separator"), profile).to(device())
    texts = [query_text(name) for name in clips.classes]
    for condition in profile.data.conditions:
        path = run.folder / f"scores_{condition}.safetensors"
        if path.exists() or only not in (None, condition):
            continue
        mixtures = load_condition(run, condition)  # (nb_clips, nb_samples)
        scores, queries, seconds = score_mixtures(
            mixtures, clips.weak(), detectors, separator, texts, profile.evaluate.batch, profile.sed.median_frames
        )
        about = {"condition": condition, "seed": run.seed, "nb_clips": len(clips.names), "seconds": seconds}
        write_tensors(run.folder / f"queries_{condition}.safetensors", queries, **about)
        write_tensors(path, {name: s.half() for name, s in scores.items()}, **about)
    if only is None:
        write_table(run.folder / "costs.csv", _costs(run))


def _costs(run: Run) -> pd.DataFrame:
    """Queries a clip and seconds a clip of each system, by condition."""
    rows = []
    for condition in run.profile.data.conditions:
        queries, about = read_tensors(run.folder / f"queries_{condition}.safetensors")
        asked = query_table(queries)
        nb_clips = about["nb_clips"]
        nb_separated = torch.stack(list(asked.values())).any(0).sum().item()
        detect = about["seconds"]["detect_a_clip"]
        pair = about["seconds"]["separate"] / nb_separated
        for name, system in SYSTEMS.items():
            nb_queries = asked[system.queries].sum().item() / nb_clips if system.queries else 0.0
            heard = set(system.detectors) | ({(system.queries, "mixture")} if system.queries in MODELS else set())
            rows.append(
                {
                    "system": name,
                    "condition": condition,
                    "queries_per_clip": nb_queries,
                    "seconds_per_clip": len(heard) * detect + nb_queries * pair,
                    "nb_clips": nb_clips,
                    "seed": run.seed,
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Followed:
    """One clip on its way through stage 3; all tensors on the CPU."""

    name: str
    condition: str
    events: pd.DataFrame  # onset, offset, event_label of the truth
    mixture: Tensor  # (nb_samples,)
    clip_scores: Tensor  # (nb_classes,) of the model that writes the queries
    queries: list[str]  # the classes asked for
    tracks: Tensor  # (nb_queries, nb_samples)
    remix: Tensor  # (nb_samples,)
    before: Tensor  # (nb_classes, nb_frames): g_theta on the mixture, #1
    after: Tensor  # (nb_classes, nb_frames): g_theta on the remix, #7


@torch.inference_mode()
def follow_clip(run: Run, clip: int | str, condition: str, queries: str = "full") -> Followed:
    """Take one test clip through stage 3, keeping what is heard on the way.

    clip: its name or index. condition: "clean" or e.g. "0dB". queries: the model that writes them,
    "truth" or "all". Raises ValueError naming a clip, condition or query source that is not there.
    """
    clips, conditions = load_split(run, "test"), run.profile.data.conditions
    index = clips.names.index(clip) if isinstance(clip, str) and clip in clips.names else clip
    if not isinstance(index, int) or not 0 <= index < len(clips.names):
        raise ValueError(
            f"no test clip {clip!r}: use a name such as {clips.names[0]!r}, or 0 to {len(clips.names) - 1}"
        )
    if condition not in conditions:
        raise ValueError(f"no condition {condition!r}: use one of {', '.join(conditions)}")
    if queries not in {"truth", "all", *MODELS}:
        raise ValueError(f"no query source {queries!r}: use truth, all, {', '.join(MODELS)}")
    separator = load_separator(run.find("separator"), run.profile).to(device())
    theta = load_detector(run.find("theta"), run.profile).to(device())
    mixture = load_condition(run, condition, [index]).to(device())
    predictions = {"truth": clips.weak()[[index]].to(device())}
    if queries in MODELS:
        asking = load_detector(run.find(queries), run.profile).to(device())
        predictions[queries] = predict(asking, mixture)[1]
    asked = query_table(predictions)[queries]
    pairs = asked.nonzero()
    texts = separator.embed([query_text(name) for name in clips.classes])
    tracks = separate(separator, mixture, pairs, texts, run.profile.evaluate.batch)
    remixed = remix(tracks, pairs, mixture)
    frames = run.profile.sed.median_frames
    before, after = (median_filter(predict(theta, heard)[0], frames)[0].cpu() for heard in (mixture, remixed))
    events = clips.events[clips.events["filename"] == clips.names[index]]
    return Followed(
        clips.names[index],
        condition,
        events,
        mixture[0].cpu(),
        predictions.get(queries, asked.float())[0].cpu(),
        [clips.classes[q] for q in pairs[:, 1].tolist()],
        tracks.cpu(),
        remixed[0].cpu(),
        before,
        after,
    )
