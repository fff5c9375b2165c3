"""Work shared by processes of this machine: one pool for all that is computed piece by piece."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import torch

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
    with ProcessPoolExecutor(nb_processes, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        numbers = {pool.submit(work, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
