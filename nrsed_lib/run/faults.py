"""What the command says of an error: one clear line; of one that nobody foresaw, also where its whole story is."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import sys
import tempfile
import traceback
from datetime import datetime
from pathlib import Path

from nrsed_lib.errors import UserError
from nrsed_lib.paths import results_root, variable_of

REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "allow it"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP), "name another"),
    **dict.fromkeys((errno.EIO, errno.ESTALE), "look after the disk"),
    errno.EMFILE: "allow more open files (ulimit -n)",
}


@functools.cache  # who says it again has no other log
def said(error: BaseException) -> str:
    """One clear line on an error: what a user can mend, with a remedy; else where its whole story was written."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and (remedy := REMEDIES.get(error.errno or 0)):
        path = os.fsdecode(error.filename or "what is printed")
        if variable := variable_of(Path(path)):
            remedy += f", or name another folder in {variable}"
        return f"{path}: {(error.strerror or '').lower()}; {remedy} and run the same again"
    if isinstance(error, MemoryError):
        return f"not enough memory{f' ({error})' if str(error) else ''}; run with --cores 1, or on a larger machine"
    first = next(iter(str(error).splitlines()), "")[:200]
    return f"{type(error).__name__}: {first}; this is a fault of nrsed's: the whole story is in {_written(error)}"


def _written(error: BaseException) -> str:
    """Where the traceback is, in a file of its own: with the results, or else with the temporary files."""
    story = f"{sys.argv}\n{''.join(traceback.format_exception(error))}"
    name = f"nrsed-fault-{datetime.now():%Y%m%dT%H%M%S}-{os.getpid()}.log"
    for root in (results_root, lambda: Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError, UserError):
            file = root() / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(story, encoding="utf-8", errors="backslashreplace")
            return str(file)
    return "no file, as none can be written: `nrsed --debug` shows it"


def settle_streams() -> None:
    """Make what is printed go somewhere: streams may be closed, and a terminal may not know all letters."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # or else a file of ours would become one of them
        pass
    os.close(handle)
    for number, name in enumerate(("stdout", "stderr"), 1):
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115 (for the whole command)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write out what was printed, while there is someone to hear that it can not be. Raises OSError."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or else Python tries again, and complains, when it ends
        raise
