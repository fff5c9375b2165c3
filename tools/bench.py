"""`make bench`: what is measured, each by its key; writes results/bench/measurements.json, key by key.

    python -m tools.bench --list
    python -m tools.bench --only ways --only sizes.beats

Sounds are noise bursts made here and weights are random: the time depends on neither. What was measured with the code
as it is now is not measured again, so that a killed run goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated

import torch
import typer
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import DownloadError, ProfileError, StoreError, WeightsError
from nrsed_lib.profile import Profile, load_profile
from nrsed_lib.systems import systems_of
from tools import full_size, measuring, ways
from tools.measuring import Measurement
from tools.precision import CHOSEN, CONDITIONS, precision

Bench = Callable[[Profile, int], Iterator[Measurement]]

# first words of the keys -> the profile whose networks and batches are measured, and how
BENCHES: dict[str, tuple[str, Bench]] = {
    "ways.remix": ("mini", ways.separate_and_remix),
    "ways.training_step": ("mini", ways.training_step),
    "ways.mixing": ("mini", ways.mixing),
    "sizes.matrix": ("paper", full_size.matrices),
    "sizes.resunet30": ("paper", partial(full_size.separator, False)),
    "sizes.resunet30_dprnn": ("paper", partial(full_size.separator, True)),
    "sizes.beats": ("paper", full_size.embedding),
    "sizes.stage1": ("paper", full_size.training),  # and stage 2
    "sizes.shard": ("paper", full_size.shards),
    "sizes.psds": ("paper", full_size.scoring),
}


def in_both_precisions(
    seed: int, conditions: Sequence[str], systems: Sequence[str], profile: Profile, turns: int
) -> Iterator[Measurement]:
    return precision(Run(profile, "06", seed), conditions, systems)


def main(
    only: Annotated[list[str] | None, typer.Option(help="keys, or how they begin; may be repeated")] = None,
    show: Annotated[bool, typer.Option("--list", help="list the keys that can be measured, and stop")] = False,
    again: Annotated[bool, typer.Option("--again", help="measure what is current too")] = False,
    profile: Annotated[str, typer.Option(help="whose networks and batches, instead of each key's own")] = "",
    turns: Annotated[int, typer.Option(help="measured repetitions; 0: 5 on a CPU, 20 on a GPU")] = 0,
    seed: Annotated[list[int] | None, typer.Option(help="precision: of which trainings; the profile's first")] = None,
    condition: Annotated[list[str] | None, typer.Option(help="precision: may be repeated")] = None,
    every: Annotated[bool, typer.Option("--all", help="precision: all conditions and systems")] = False,
) -> None:
    """Measure, and write results/bench/measurements.json after each key."""
    benches = dict(BENCHES)
    finished = load_profile(profile or "open")  # whose run's networks are scored in both precisions
    asked = (list(finished.data.conditions), list(systems_of(finished))) if every else (condition or CONDITIONS, CHOSEN)
    for number in seed or finished.seeds[:1]:
        scored: Bench = partial(in_both_precisions, number, *asked)
        benches[f"precision.{finished.name}-seed{number}"] = (finished.name, scored)
    chosen = {
        key: bench
        for key, bench in benches.items()
        if not only or any(key.startswith(of) or of.startswith(f"{key}.") for of in only)
    }
    if not chosen:
        raise typer.BadParameter(f"nothing is measured as {', '.join(only or [])}: see --list")
    if show:
        print("\n".join(f"{key}  (profile {of})" for key, (of, _) in chosen.items()))
        return
    turns = turns or (20 if torch.cuda.is_available() else 5)
    missing = []
    with tqdm(chosen.items(), desc="bench", unit="key") as bar:
        for key, (of, bench) in bar:
            measured = load_profile(profile or of)
            aside = "." if measured.name == of else f"-{measured.name}."  # `nrsed plan` reads of the paper's sizes only
            bar.set_postfix_str(key)
            if measuring.is_current(key.replace(".", aside, 1)) and not again:
                tqdm.write(f"{key}: measured already with this code (--again repeats it)")
                continue
            try:
                found = [m._replace(key=m.key.replace(".", aside, 1)) for m in bench(measured, turns)]
            except (StoreError, ProfileError, DownloadError, WeightsError) as error:
                tqdm.write(f"{key}: not measured: {error}")
                missing.append(key)
                continue
            measuring.add(found, " ".join(["python -m tools.bench", *sys.argv[1:]]), torch.get_num_threads())
            for m in found:
                tqdm.write(f"{m.key} = {m.value:.4g} {m.unit} ({m.on})")
    if missing and only:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
