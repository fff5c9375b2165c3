"""What may go: what other settings or older code have left of a profile's runs, and what was set aside as damaged.

Nothing else in the library removes what was finished. Tables, figures and answers stay in any case.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from nrsed_lib.artefacts import run_folder
from nrsed_lib.errors import PipelineError
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import all_jobs, executed, work


def superfluous(profile: Profile) -> list[Path]:
    """Folders of artefacts and executed notebooks that are not those of the profile as it is now, and damaged files."""
    wanted = {of(profile, *job) for of in (run_folder, executed) for job in all_jobs(profile)}
    by_key = [*work(profile).glob(f"[0-9][0-9]_*/{'[0-9a-f]' * 16}"), *(work(profile) / "notebooks").glob("*.ipynb")]
    gone = {path for path in by_key if path not in wanted}
    damaged = {path for path in work(profile).rglob("*.damaged-*") if not gone & set(path.parents)}
    return sorted(gone | damaged)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; a link counts nothing."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def clean(profile: Profile) -> None:
    """Remove what is `superfluous`. Raises PipelineError while a run is writing there."""
    try:
        with FileLock(work(profile) / "run.lock", timeout=0):
            for path in superfluous(profile):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    except Timeout:
        raise PipelineError(f"a run is writing to {work(profile)}; wait for it or stop it") from None
