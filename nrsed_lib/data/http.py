"""What servers send: resumed where it broke off, of the length that is due, at a pace, and never without end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

PATIENCE = 60.0  # s without a byte, and the time over which the pace is measured
SLOWEST = 1024  # bytes/s
CHUNK = 1 << 20  # bytes, at most, at a time
LARGEST = 1 << 38  # bytes of a file of which nobody says how long it is
BUSY = (408, 425, 429)  # of the answers 400 to 499 those that asking again may change
WORTH_A_BAR = 10 << 20  # bytes


def ask(url: str, start: int = 0) -> requests.Response:
    """The server's answer, its body still to come, from byte `start` on if it can.

    Raises OSError for an answer that will stay, requests.RequestException (an OSError, too) for one that may change.
    """
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})  # lengths as stored
    reply = _in_time(partial(requests.get, url, headers=headers, stream=True, timeout=PATIENCE))
    if reply.status_code not in ((200, 206, 416) if start else (200, 206)):
        reply.close()
        stays = 400 <= reply.status_code < 500 and reply.status_code not in BUSY
        raise (OSError if stays else requests.HTTPError)(f"the server answers {reply.status_code} {reply.reason}")
    return reply


def _in_time(call: Callable[[], requests.Response]) -> requests.Response:
    """What `call` returns, before long: the time-out of a socket begins anew with every byte of a header."""
    done: SimpleQueue = SimpleQueue()

    def run() -> None:
        try:
            done.put((call(), None))
        except Exception as error:
            done.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        reply, error = done.get(timeout=3 * PATIENCE)
    except Empty:
        raise requests.Timeout(f"no whole answer came in {3 * PATIENCE:g} s") from None
    if error:
        raise error
    return reply


def body(reply: requests.Response, most: int) -> Iterator[bytes]:
    """Piece by piece what comes. Raises requests.RequestException when it breaks off, drips, or passes `most` bytes."""
    since, nb, total = time.monotonic(), 0, 0
    try:
        while piece := reply.raw.read1(CHUNK):  # what is there: to wait for more is to wait for ever
            total, nb = total + len(piece), nb + len(piece)
            if total > most:
                raise requests.RequestException(f"more comes than the {most} bytes that are due")
            yield piece
            if (passed := time.monotonic() - since) > PATIENCE:
                if nb < SLOWEST * passed:
                    raise requests.Timeout(f"only {nb} bytes came in {passed:.0f} s")
                since, nb = time.monotonic(), 0
    except HTTPError as error:  # urllib3's, of the raw body
        raise requests.ConnectionError(f"the connection ended: {error}") from error


def resume(url: str, part: Path, nb_bytes: int = 0) -> None:
    """Download into `part`, after what an earlier call left there. nb_bytes: of the whole, if known.

    Raises OSError or requests.RequestException (see `ask`); what came is kept.
    """
    have = part.stat().st_size if part.exists() else 0
    with ask(url, have) as reply:
        if reply.status_code == 416:  # nothing comes after what is there: the hash will tell
            return
        came_from = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range", ""))
        if reply.status_code == 206 and came_from and int(came_from[1]) != have:
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(f"the server sends another part than asked for: from byte {have} on")
        have = have if reply.status_code == 206 else 0  # a server that cannot resume sends all of it
        length = reply.headers.get("Content-Length", "")
        due = have + int(length) if length.isdecimal() else 0
        if nb_bytes and due and due != nb_bytes:
            part.unlink(missing_ok=True)
            raise OSError(f"the server has {due} bytes of it, not {nb_bytes}")
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(
                total=due or None, initial=have, desc=Path(url).name, unit="B", unit_scale=True, mininterval=1.0,
                disable=due < WORTH_A_BAR,
            ) as bar,
        ):  # fmt: skip
            for piece in body(reply, (due or nb_bytes or LARGEST) - have):
                bar.update(file.write(piece))
        if part.stat().st_size < (due or nb_bytes):
            raise requests.ConnectionError(f"the connection ended after {part.stat().st_size} of {due} bytes")
