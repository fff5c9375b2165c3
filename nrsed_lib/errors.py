"""Faults that a user can mend: each message names the file or key, the value, and the remedy.

The command prints them as one clear message, without a traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def one_line(value: object, most: int = 80) -> str:
    """What a message quotes of something from elsewhere: on one line, at most so many characters, nothing to obey."""
    line = "".join(character if character.isprintable() else " " for character in str(value)[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def faults_of(error: ValidationError) -> str:
    """What a pydantic model found: where, what, and the value; the first few."""
    found = [
        f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg']}"
        + ("" if e["type"] == "missing" else f" (got {quoted(e['input'])})")
        for e in error.errors()
    ]
    return "; ".join(found[:5] + ([f"and {len(found) - 5} more"] if len(found) > 5 else []))


class UserError(RuntimeError):
    """The base of all of them."""


class FolderError(UserError):
    """A folder that the environment names and that cannot be one."""


class ProfileError(UserError, ValueError):
    """A profile that cannot be run."""


class StoreError(UserError):
    """Something that an earlier notebook should have left is missing."""


class DataError(UserError, ValueError):
    """Data on disk that cannot be used."""


class DownloadError(UserError):
    """A file could not be had, or is not the one that was recorded."""


class AnswerError(UserError):
    """An answer of a language model that is missing, unreadable or breaks a rule."""


class LlmError(UserError):
    """A language model that cannot be asked, or does not mend its answer."""


class WeightsError(UserError):
    """Weights that are missing or cannot be used."""


class PipelineError(UserError):
    """A run that stopped."""


@contextlib.contextmanager
def reading(path: Path, remedy: str = "remove it and run again") -> Iterator[None]:
    """In the block a file from elsewhere is read, and whatever is wrong with it there, is wrong with the file.

    Raises DataError naming it, the reason and the remedy, also for what no read would end of (a pipe, a device).
    """
    try:
        if not (path.is_file() or path.is_dir()):
            raise OSError("no such file, or none that holds data")
        yield
    except UserError:
        raise
    except Exception as error:  # parsers have errors of their own, and some let those of Python through
        raise DataError(f"{path} cannot be read ({type(error).__name__}: {one_line(str(error))}); {remedy}") from error


SHORT = Repr()  # a file may have aliases in which one value stands a million times
SHORT.maxstring = SHORT.maxother = 80
SHORT.maxlevel, SHORT.maxdict = 2, 3


def quoted(value: object) -> str:
    """A value of any depth as a message shows it: about 80 characters at most, and of what is nested the beginning."""
    return SHORT.repr(value)[:90]
