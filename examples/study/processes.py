"""Several processes under ``torchrun``: each trains its share of the networks."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from cameval.errors import ProcessError

T = TypeVar("T")

LONGEST = timedelta(days=7)
"""How long a process waits for another, which may still be training."""


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes, if ``torchrun`` started several; alone, do nothing."""
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    dist.init_process_group(
        "gloo", timeout=LONGEST
    )  # messages are small: which fold is done, tables of scores
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return the number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def device_of(device: torch.device) -> torch.device:
    """Return this process's device: a GPU of its own where there are several."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def together(work: Callable[[], T]) -> T:
    """Do some work in this process and wait for the others; raise on all if one has failed."""
    failure: BaseException | None = None
    try:
        done = work()
    except (Exception, KeyboardInterrupt) as error:
        failure = error
    messages: list[str | None] = [None] * count()
    mine = None if failure is None else f"{type(failure).__name__}: {failure}"
    if count() > 1:
        dist.all_gather_object(messages, mine)
    if failure is not None:
        raise failure
    for number, message in enumerate(messages):
        if message is not None:
            raise ProcessError(f"every process must succeed, process {number} failed: {message}")
    return done


def by_the_first(work: Callable[[], object]) -> None:
    """Do some work in the first process alone, and let the others wait for it."""
    together(lambda: work() if rank() == 0 else None)


def first_alone(work: Callable[[], T]) -> T:
    """Do some work in the first process, and then, when it is done, in each of the others."""
    done = together(lambda: work() if rank() == 0 else None)
    return together(lambda: work() if done is None else done)


def agreed(value: T) -> T:
    """Return what the first process has: the folder named after the time, for one."""
    values = [value]
    if count() > 1:
        dist.broadcast_object_list(values, src=0)
    return values[0]


def share_of(jobs: Sequence[T]) -> list[T]:
    """Return what this process has to do."""
    return list(jobs[rank() :: count()])
