"""Processes of this machine: one pool for all that is computed piece by piece, and an end for who is left alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TextIO, TypeVar

import psutil

PARENT = "NRSED_PARENT"  # in the environment of a command's jobs: the process that they end with
LOOK_EVERY_S = 1  # whether another process is still there
ENDING_S = 10  # that a process has to end by itself
STOPPING_S = 20  # that all that a command started has to end when it is stopped

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(work: Callable[[Job], Result], jobs: Sequence[Job], nb_processes: int) -> Iterator[tuple[int, Result]]:
    """(number of the job, work(job)) of every job, as they come; in this process if one is all there is.

    `work`, jobs and results are pickled between processes, each of which computes with one thread. What a job
    raises is raised here, at once; jobs that have not begun are then dropped.
    """
    nb_processes = min(len(jobs), nb_processes)
    if nb_processes <= 1:
        yield from enumerate(map(work, jobs))
        return
    # spawn: a fork of a process that has run torch's threads may hang
    with ProcessPoolExecutor(nb_processes, multiprocessing.get_context("spawn"), _begin, (os.getpid(),)) as pool:
        numbers = {pool.submit(work, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    import torch  # not for those who only look after processes

    torch.set_num_threads(1)
    end_with(parent)


def end_with(pid: int) -> None:
    """Let this process, and all it started, end soon after process `pid`, even one that is killed and can not say so.

    It is asked to, as by a batch system (SIGTERM); what does not listen is killed.
    """

    def look() -> None:
        while is_there(pid):
            time.sleep(LOOK_EVERY_S)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)  # who may be waiting for something
        time.sleep(ENDING_S)
        for one in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and whose parent has not asked about it does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def as_ctrl_c() -> None:
    """Let a batch system's kill and a terminal's end stop this process as Ctrl-C does (but not under nohup)."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def started(line: Sequence[str], environment: Mapping[str, str], log: TextIO) -> Iterator[subprocess.Popen]:
    """A command that runs, its words in `log`. With the block ends all that it started."""
    process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            _stop(process)


def _stop(process: subprocess.Popen) -> None:
    """End a command and all it started; who does not listen is killed."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        process.terminate()  # first, upon which Snakemake starts nothing more, and waits for the jobs
        for patience, end in ((STOPPING_S, psutil.Process.terminate), (1, psutil.Process.kill)):
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(one)
            _, family = psutil.wait_procs(family, timeout=patience)
        process.wait()
    except psutil.NoSuchProcess:
        process.wait()
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
