"""Back to the paper: three systems more, whose queries or whose separator come from the separation studies.

#8 asks for what OpenSep's chain hears: a caption of the clip, its sources, those of them that are target
classes. #9 asks as #7 does, of a separator that was trained with captions beside names. #10 asks the
same separator in descriptions of the sounds. All else is as in #7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.evaluate.claims import Claim
from nrsed_lib.evaluate.counts import Tensors, tested
from nrsed_lib.lass.separator import load_separator
from nrsed_lib.sed.detector import load_detector
from nrsed_lib.store import read_tensors, write_tensors
from nrsed_lib.studies.opensep.chain import reader_of
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.systems import Networks, Queries, System
from nrsed_lib.testing import score_mixtures

PARSED = "parsed"  # who writes the queries of #8


@dataclass(frozen=True)
class Language:
    """A system, the separator that it asks, and in which words."""

    system: System
    separator: Literal["separator", "augmented"] = "augmented"
    wording: Literal["name", "description"] = "name"


MORE = {
    "8": Language(System("queries parsed from a caption", Queries(PARSED)), separator="separator"),
    "9": Language(System("separator trained with added captions", Queries("full"))),
    "10": Language(System("#9 asked in descriptions", Queries("full")), wording="description"),
}

SOURCE = "beyond the paper"
CLAIMS = (
    Claim("parsed queries beat the fine-tuned model's", SOURCE, ("8",), ("7",), "noise"),
    Claim("parsed queries find more than the fine-tuned model's", SOURCE, ("8",), ("7",), "noise", "recall"),
    Claim("parsed queries beat no separation", SOURCE, ("8",), ("1",), "noise"),
    Claim("a separator that knows captions is better asked by name", SOURCE, ("9",), ("7",), "noise"),
    Claim("the same on clean audio", SOURCE, ("9",), ("7",), "clean"),
    Claim("descriptions ask better than names", SOURCE, ("10",), ("9",), "noise"),
    Claim("descriptions ask better than the paper's route", SOURCE, ("10",), ("7",), "noise"),
    Claim("captions and descriptions reach true queries", SOURCE, ("10",), ("2",), "noise"),
)


def test_languages(run: Run) -> None:
    """Test MORE in every condition; a condition that is done is kept.

    Leaves `scores_<condition>.safetensors` (float16 frame scores by system) and `queries_…` in
    the notebook's folder.
    """
    clips, reader, captions = load_split(run, "test"), reader_of(run), captions_of(run.profile.data.classes)
    names = [query_text(label) for label in clips.classes]
    texts = {"name": names, "description": [captions[label].knowledge for label in clips.classes]}
    separators = {of.separator: load_separator(run.find(of.separator), run.profile) for of in MORE.values()}
    detectors = {model: load_detector(run.find(model), run.profile) for model in ("theta", "full")}
    for condition in run.profile.data.conditions:
        path, asked = (run.folder / f"{what}_{condition}.safetensors" for what in ("scores", "queries"))
        if path.exists() and asked.exists():
            continue
        mixtures = load_condition(run, condition)
        scores: Tensors = {}
        queries: Tensors = {}
        for name, language in MORE.items():
            networks = Networks(
                detectors,
                separators[language.separator],
                texts[language.wording],
                run.profile.evaluate.batch,
                run.profile.sed.median_frames,
                {PARSED: lambda waveforms, _: reader.queries(waveforms, clips.classes).float()},
            )
            found, by, _ = score_mixtures(networks, mixtures, clips.weak(), {name: language.system})
            scores |= found
            queries |= by
        about = {"condition": condition, "seed": run.seed, "nb_clips": len(clips.names)}
        write_tensors(asked, queries, **about)
        write_tensors(path, {name: frames.half() for name, frames in scores.items()}, **about)


def all_tested(run: Run, condition: str, seed: int) -> tuple[Tensors, Tensors]:
    """What notebook 06 and, in this run's own folder, `test_languages` left: as `evaluate.counts.tested`."""
    scores, queries = tested(run, condition, seed)
    more_scores, more_queries = (
        read_tensors(run.folder / f"{name}_{condition}.safetensors")[0] for name in ("scores", "queries")
    )
    return scores | more_scores, queries | more_queries
