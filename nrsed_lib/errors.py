"""Faults that a user can mend: each message names the file or key, the value, and the remedy.

The command prints them as one clear message, without a traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def short(value: object, most: int = 80) -> str:
    """`value` as a message quotes it: on one line, at most `most` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[:most]} …"


def faults_of(error: ValidationError) -> str:
    """What a pydantic model found: where, what, and the value; the first few."""
    found = [
        f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg']}"
        + ("" if e["type"] == "missing" else f" (got {short(repr(e['input']))})")
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


def one_line(text: str, most: int = 80) -> str:
    """What a terminal shows of a text from elsewhere: on one line, at most so many characters, nothing to obey."""
    line = "".join(character if character.isprintable() else " " for character in text[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"
