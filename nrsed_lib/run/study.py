"""Many seeds of a profile, and what they leave, published and committed when they have ended (PROTOCOL.md)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import PipelineError, ProfileError
from nrsed_lib.history import made_on
from nrsed_lib.paths import REFERENCE, ROOT
from nrsed_lib.profile import Profile, load_profile
from nrsed_lib.run.jobs import state
from nrsed_lib.run.publish import publish, renew_pages
from nrsed_lib.store import atomic

TESTS = "06"  # the last notebook of a seed, which keeps its counts
MOST = 1000  # seeds of a profile


def splits(text: str) -> list[int]:
    """Seeds in words, e.g. "1-10" or "0,3,5-7", in order. Raises ProfileError for what is none."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,18})(?:\s*-\s*(\d{1,18}))?\s*", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first or last - first >= MOST:
            raise ProfileError(f"--splits {text[:80]!r}: {part[:40]!r} names no seeds; write e.g. 1-10 or 0,3,5-7")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise ProfileError(f"--splits {text[:80]!r} names a seed twice; name each once")
    return seeds


def keep_counts(profile: Profile) -> Iterator[Path]:
    """Put the counts of all seeds that are tested into results/<profile>/counts; gives those that were not there so."""
    for seed in profile.seeds:
        if state(profile, TESTS, seed) != "done":
            continue
        made = Run(profile, TESTS, seed).find("counts")
        kept = REFERENCE / profile.name / "counts" / f"seed{seed}.npz"
        if kept.exists() and kept.read_bytes() == made.read_bytes():
            continue
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic(kept) as temporary:
            shutil.copyfile(made, temporary)
        yield kept


def commit(paths: Sequence[Path], message: str) -> str:
    """Commit these paths and nothing else; says which commit it is, or that nothing had changed.

    Raises PipelineError when git does not.
    """
    names = [str(path.relative_to(ROOT)) for path in paths]
    _git("add", "--", *names)
    if not _git("status", "--porcelain", "--", *names):
        return "nothing to commit: results are as they were"
    _git("commit", "--quiet", "-m", message, "--", *names)
    return f"committed: {_git('log', '-1', '--format=%h %s')}"


def publish_and_commit(profile: Profile) -> Iterator[str]:
    """Publish a run of the profile as it is; of one with other settings, its seeds say, the counts alone.

    Raises PipelineError when the code has changes that are in no commit: results name the commit that made them.
    """
    if made_on()["dirty"]:
        raise PipelineError("what made these results is in no commit: commit it, run again, and commit these then")
    if profile == load_profile(profile.name):
        yield from publish(profile)
        renew_pages()
        kept = [REFERENCE, ROOT / "README.md", *([ROOT / "notebooks"] if profile.data.source == "synth" else [])]
        yield commit(kept, f"results: {profile.name}, seeds {_ranges(profile.seeds)}")
    elif kept := [*keep_counts(profile)]:
        yield from (f"kept: {path}" for path in kept)
        yield commit(kept, f"results: counts of {profile.name}, seeds {_ranges(profile.seeds)}")


def _ranges(seeds: Sequence[int]) -> str:
    several = len(seeds) > 1 and [*seeds] == [*range(seeds[0], seeds[-1] + 1)]
    return f"{seeds[0]}-{seeds[-1]}" if several else ", ".join(map(str, seeds))


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(f"git {words[0]} did not work: {(done.stderr or done.stdout).strip()[:300]}")
    return done.stdout.strip()
