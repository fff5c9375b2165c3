"""Whether bfloat16 changes what is scored: systems of Table I with and without it, by the networks of a finished run.

    python -m tools.precision --profile open --seed 0

Everything but the precision of the products is the same: networks, clips, queries' texts, this process. Nothing is
trained and the run is only read. Writes results/bench/precision.csv and precision.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.errors import DownloadError, ProfileError, StoreError, WeightsError
from nrsed_lib.evaluate.psds import SCENARIOS, psds
from nrsed_lib.profile import Profile, load_profile
from nrsed_lib.run.jobs import facts
from nrsed_lib.run.provenance import commit, machine
from nrsed_lib.store import atomic, write_table
from nrsed_lib.systems import SYSTEMS, Networks
from nrsed_lib.testing import score_mixtures
from nrsed_lib.training import device, has_bfloat16
from tools.full_size import BENCH

GOAL = 0.002  # largest difference of a P1 or P2
CHOSEN = ["1", "2", "3", "7"]  # nothing separated; the true queries; all queries; predicted ones
CONDITIONS = ["clean", "0dB"]
NEEDED = ("03", "04", "05")  # the stages whose networks are scored


def in_precision(profile: Profile, bfloat16: bool) -> Profile:
    """The profile with every network that may compute in bfloat16 doing so, or none."""
    sections = {name: getattr(profile, name).model_copy(update={"bfloat16": bfloat16}) for name in ("sed", "lass")}
    return profile.model_copy(update=sections)


def frame_scores(run: Run, condition: str, bfloat16: bool) -> dict[str, Tensor]:
    """(nb_clips, nb_classes, nb_frames) float16 by system, on the CPU: what stage 06 keeps, in either precision."""
    profile, clips = in_precision(run.profile, bfloat16), load_split(run, "test")
    networks = Networks.of(replace(run, profile=profile))
    scores, _ = score_mixtures(networks, load_condition(run, condition), clips.weak())
    return {name: s.half().cpu() for name, s in scores.items()}


def compare(run: Run, conditions: list[str], systems: list[str]) -> pd.DataFrame:
    """One row a system and condition.

    Columns: system, about, condition, psds1_bfloat16, psds1_float32, psds1_difference (bfloat16 minus float32), the
    same of psds2, frame_difference (largest of a frame's score), nb_clips, seed. Raises StoreError naming what the
    run has not left, and ProfileError for a condition or system that is not there.
    """
    for known, asked in ((run.profile.data.conditions, conditions), (SYSTEMS, systems)):
        if strange := [name for name in asked if name not in known]:
            raise ProfileError(f"profile {run.profile.name} has no {strange[0]!r}: use some of {', '.join(known)}")
    clips, rows = load_split(run, "test"), []
    heard: dict[tuple[str, bool], dict[str, Tensor]] = {}
    for condition, low in tqdm([(c, low) for c in conditions for low in (True, False)], desc="precision"):
        heard[condition, low] = frame_scores(run, condition, low)
    for condition, name in tqdm([(c, s) for c in conditions for s in systems], desc="PSDS", mininterval=1.0):
        half, full = heard[condition, True][name], heard[condition, False][name]
        measured = psds(half, clips), psds(full, clips)
        row: dict[str, object] = {"system": name, "about": SYSTEMS[name].about, "condition": condition}
        for score in SCENARIOS:
            a, b = (of[score] for of in measured)
            row |= {f"{score}_bfloat16": a, f"{score}_float32": b, f"{score}_difference": a - b}
        gap = (half.float() - full.float()).abs().max().item()
        rows.append(row | {"frame_difference": gap, "nb_clips": len(clips), "seed": run.seed})
    return pd.DataFrame(rows)


def report(profile: Profile, table: pd.DataFrame) -> str:
    """The table in Markdown, a row a system, condition and seed, saying of which networks and where it was measured."""
    here, seeds = machine(), [int(seed) for seed in table["seed"].unique()]
    made = sorted({facts(profile, stage, seed).get("commit", "unknown") for stage in NEEDED for seed in seeds})
    differences = table[["system", "condition", *(f"{score}_difference" for score in SCENARIOS)]]
    largest = {"": differences, " of a mean over seeds": differences.groupby(["system", "condition"]).mean()}
    found = [
        f"{gap:.4f}{what}, {'within' if gap <= GOAL else 'beyond'} the goal of {GOAL:g}"
        for what, of in list(largest.items())[: len(seeds)]
        for gap in [float(of.select_dtypes("number").abs().to_numpy().max())]
    ]
    lines = [
        f"The same networks (profile `{profile.name}`, seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}, made at commit {', '.join(made)}) on the same {table['nb_clips'].iloc[0]} test "
        f"clips, in bfloat16 and in float32, on {datetime.now(UTC):%Y-%m-%d} at commit {commit()}: "
        f"{here['gpu'] or here['cpu']}, {here['cores']} cores. The largest difference of a PSDS is {'; '.join(found)}.",
        "",
        "| system | condition | seed | PSDS1 bfloat16 | float32 | difference | PSDS2 bfloat16 | float32 | difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in table.to_dict("records"):
        cells = [f"{r[f'{s}_bfloat16']:.4f} | {r[f'{s}_float32']:.4f} | {r[f'{s}_difference']:+.4f}" for s in SCENARIOS]
        lines.append(f"| #{r['system']} | {r['condition']} | {r['seed']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(
    profile: Annotated[str, typer.Option(help="whose finished run")] = "open",
    seed: Annotated[list[int] | None, typer.Option(help="of training; the profile's first; may be repeated")] = None,
    condition: Annotated[list[str], typer.Option(help="may be repeated")] = CONDITIONS,
    every: Annotated[bool, typer.Option("--all", help="all conditions and systems")] = False,
    if_there: Annotated[bool, typer.Option("--if-there", help="without a finished run say so, and do nothing")] = False,
) -> None:
    """Score with and without bfloat16 and write the table."""
    chosen = load_profile(profile)
    runs = [Run(chosen, "06", s) for s in seed or chosen.seeds[:1]]
    try:
        if not has_bfloat16(torch.empty(0, device=device())):
            raise StoreError("this machine does not multiply bfloat16 in hardware: everything would be float32")
        asked = (list(chosen.data.conditions), list(SYSTEMS)) if every else (condition, CHOSEN)
        table = pd.concat([compare(run, *asked) for run in runs], ignore_index=True)
    except (StoreError, ProfileError, DownloadError, WeightsError) as error:
        typer.echo(f"precision, profile {chosen.name}: not measured: {error}", err=not if_there)
        raise typer.Exit(not if_there) from None
    text = report(chosen, table)
    write_table(BENCH / "precision.csv", table)
    with atomic(BENCH / "precision.md") as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    typer.run(main)
