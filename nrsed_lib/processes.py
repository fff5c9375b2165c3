"""Processes of this machine: one pool for all that is computed piece by piece, and an end for who is left alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import psutil

PARENT = "NRSED_PARENT"  # in the environment of a command's jobs: the process that they end with
LOOK_EVERY_S = 1  # whether another process is still there
ENDING_S = 10  # that a process has to end by itself

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
