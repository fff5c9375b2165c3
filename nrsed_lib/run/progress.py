"""What a run's jobs are at: a line each, with percent and time left, rewritten in place on a terminal."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from nrsed_lib.artefacts import job_name
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import Job, done_parts, executed, log_of
from nrsed_lib.run.parts import parts
from nrsed_lib.run.provenance import last_line, said_of

SAID_EVERY_S = 30  # where lines can not be rewritten
BAR = re.compile(r"(?:(?P<what>.*?): +)?(?P<percent>\d+)%\|[^|]*\| *(?P<count>\S+)(?: \[[^<\]]*<(?P<left>[\d:]+))?")


class Progress:
    """Says when jobs begin and end, and in between how far they are, by what they leave on disk.

    expected: seconds of each job by name, where they are known of a machine like `like_here` says; else they tell how
    the jobs compare with each other, once one of them has ended here.
    """

    def __init__(
        self, profile: Profile, jobs: Sequence[Job], expected: Mapping[str, float], like_here: bool,
        out: TextIO = sys.stdout,
    ) -> None:  # fmt: skip
        self.profile, self.expected, self.out = profile, expected, out
        self.waiting = {job_name(*job): job for job in jobs}
        self.files = {job_name(*job): executed(profile, *job) for job in jobs}  # named by key: not there yet
        self.ahead = {job_name(*job): done_parts(profile, *job) for job in jobs}
        self.parts = {name: parts(notebook, profile) for name, (notebook, _) in self.waiting.items()}
        self.pace = 1.0 if like_here else None  # seconds here for one expected
        self.took: dict[str, float] = {}
        self.earlier = {name: changed(log_of(profile, name)) for name in self.waiting}  # of runs before this one
        self.running = dict[str, float]()
        self.on_terminal, self.nb_lines, self.said = out.isatty(), 0, time.time()

    def show(self) -> None:
        """Look at the disk and say what is new."""
        now, ended = time.time(), []
        for name in self.waiting:
            log = log_of(self.profile, name)
            if name not in self.running and changed(log) != self.earlier[name]:
                self.running[name] = now
            if self.files[name].exists():
                self.took[name] = now - self.running.get(name, now)
                ended.append((name, f"{name}: done in {clock(self.took[name])}"))
            elif name in self.running and said_of(log):
                ended.append((name, f"{name}: stopped"))
        for name, _ in ended:
            del self.waiting[name]
            self.running.pop(name, None)
        if known := [name for name in self.took if name in self.expected]:
            self.pace = sum(self.took[name] for name in known) / sum(self.expected[name] for name in known)
        due = self.on_terminal or now - self.said > SAID_EVERY_S
        at_work = [name for name in self.waiting if name in self.running or self._parts_done(name)] if due else []
        self._write([text for _, text in ended], [self.line(name, now) for name in at_work])

    def _parts_done(self, name: str) -> int:
        """How many parts jobs of their own have left."""
        return sum((self.ahead[name] / part).exists() for part in self.parts[name])

    def line(self, name: str, now: float) -> str:
        """Of a job: percent, time left, and its log's last line or how many of its parts are done."""
        if name not in self.running:
            done, nb = self._parts_done(name), len(self.parts[name])
            return f"{name}: {done / nb:4.0%}  {done} of {nb} parts"
        last = last_line(log_of(self.profile, name))
        bar, share, left = BAR.search(last), None, None
        if self.pace is not None and name in self.expected:
            whole, spent = self.expected[name] * self.pace, now - self.running[name]
            share, left = min(0.99, spent / whole), clock(max(0, whole - spent))
        elif bar:
            share, left = int(bar["percent"]) / 100, bar["left"]
        at = f"{bar['what'] or ''} {bar['count']}" if bar else last
        at = at.strip() or f"{clock(now - self.running[name])} so far"
        said = [f"{share:4.0%}" if share is not None else "", f"{left} left" if left else "", at]
        return f"{name}: {'  '.join(text for text in said if text)}"

    def _write(self, ended: Sequence[str], lines: Sequence[str]) -> None:
        if self.on_terminal:
            wide = shutil.get_terminal_size().columns - 1
            up = f"\x1b[{self.nb_lines}F\x1b[J" if self.nb_lines else ""
            self.out.write(up + "".join(f"{text[:wide]}\n" for text in [*ended, *lines]))
            self.nb_lines = len(lines)
        else:
            self.out.write("".join(f"{text}\n" for text in [*ended, *lines]))
            self.said = time.time() if lines else self.said
        self.out.flush()

    def close(self) -> None:
        """Say what ended last, and leave no line of what is no longer running."""
        self.show()
        if self.on_terminal:
            self._write([], [])


def changed(log: Path) -> int:
    """When a log was written to last, by a clock that may have been set since; 0 if it is not there."""
    return log.stat().st_mtime_ns if log.exists() else 0


def clock(seconds: float) -> str:
    """E.g. 0:42, 12:05 or 1:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
