"""Several processes of ``torchrun``: each does its share of the work, and all stop if one fails.

Every function also works in a single process.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from cameval.errors import ProcessError, SettingError

__all__ = [
    "first_alone",
    "gather",
    "number_of_processes",
    "of_first",
    "own_device",
    "process_group",
    "rank",
    "share_of",
    "wait_for_all",
]

T = TypeVar("T")

_LONGEST_WAIT = timedelta(days=7)


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that ``torchrun`` started; do nothing where there is only one.

    Messages are Python objects over gloo. A process waits up to a week for another one.

    Raises
    ------
    ProcessError
        If the processes cannot connect.

    Examples
    --------
    >>> from cameval.distributed import process_group, rank
    >>> with process_group():
    ...     rank()
    0
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or _is_initialized():
        yield
        return
    try:
        dist.init_process_group("gloo", timeout=_LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise ProcessError(
            f"the processes must be started by torchrun, which connects them, got: {error}"
        ) from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return the number of this process, from 0.

    Examples
    --------
    >>> from cameval.distributed import rank
    >>> rank()  # without torchrun
    0
    """
    return dist.get_rank() if _is_initialized() else 0


def number_of_processes() -> int:
    """Return how many processes there are.

    Examples
    --------
    >>> from cameval.distributed import number_of_processes
    >>> number_of_processes()  # without torchrun
    1
    """
    return dist.get_world_size() if _is_initialized() else 1


def share_of(jobs: Sequence[T]) -> list[T]:
    """Return the jobs of this process: each job is that of one process.

    Examples
    --------
    >>> from cameval.distributed import share_of
    >>> share_of(["fold 1", "fold 2"])
    ['fold 1', 'fold 2']
    """
    return list(jobs[rank() :: number_of_processes()])


def own_device(device: torch.device) -> torch.device:
    """Return the device of this process: of ``cuda`` without a number, one of the GPUs.

    Parameters
    ----------
    device
        The device that is asked for. ``cuda`` without a number becomes the GPU whose number is the
        local rank of the process, modulo the number of GPUs; others are returned as they are.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    SettingError
        If the device is not there.

    Examples
    --------
    >>> import torch
    >>> from cameval.distributed import own_device
    >>> own_device(torch.device("cpu"))
    device(type='cpu')
    >>> own_device(torch.device("meta"))
    Traceback (most recent call last):
        ...
    cameval.errors.SettingError: device must be available, got 'meta': it holds no numbers; use \
cpu, or a device that is there
    """
    if (reason := _why_missing(device)) is not None:
        raise SettingError(
            f"device must be available, got {str(device)!r}: {reason}; use cpu, or a device that "
            "is there"
        )
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def _why_missing(device: torch.device) -> str | None:
    """Return why a device is not there, None if it is."""
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            return "torch finds no GPU for CUDA"
        known = device.index is None or device.index < count
        return None if known else f"there are {count} GPUs, with numbers from 0"
    if device.type == "meta":
        return "it holds no numbers"
    if device.type == "mps":
        return None if torch.backends.mps.is_available() else "torch finds no GPU for Metal"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return str(error).splitlines()[0]
    return None


def of_first(value: T) -> T:
    """Return the value that the first process has.

    Parameters
    ----------
    value
        The value of this process. That of the first process is pickled. All processes must call.

    Returns
    -------
    object
        The same value in all processes.

    Examples
    --------
    >>> from cameval.distributed import of_first
    >>> of_first("run 1")
    'run 1'
    """
    values = [value]
    if number_of_processes() > 1:
        dist.broadcast_object_list(values, src=0)
    return values[0]


def gather(work: Callable[[], T]) -> list[T]:
    """Do some work in every process and return what each of them returned, in order of their ranks.

    Parameters
    ----------
    work
        What this process does. Its result is pickled.

    Returns
    -------
    list
        One result for each process, the same list in all of them.

    Raises
    ------
    ProcessError
        If the work of another process failed. An error of this process is raised as it is.

    Examples
    --------
    >>> from cameval.distributed import gather
    >>> gather(lambda: 7)
    [7]
    """
    failure: BaseException | None = None
    sent: T | _Failure
    try:
        sent = work()
    except (Exception, KeyboardInterrupt) as error:
        failure = error
        sent = _Failure(f"{type(error).__name__}: {error}")
    received = [sent]
    if number_of_processes() > 1:
        received = [sent] * number_of_processes()
        dist.all_gather_object(received, sent)
    if failure is not None:
        raise failure
    results: list[T] = []
    for number, one in enumerate(received):
        if isinstance(one, _Failure):
            raise ProcessError(f"every process must succeed, process {number} failed: {one.reason}")
        results.append(one)
    return results


def wait_for_all(work: Callable[[], T]) -> T:
    """Do some work in every process and wait until all have finished.

    The result stays in its process and need not be one that can be pickled.

    Parameters
    ----------
    work
        What this process does.

    Returns
    -------
    object
        What `work` returned in this process.

    Raises
    ------
    ProcessError
        If the work of another process failed. An error of this process is raised as it is.

    Examples
    --------
    >>> from cameval.distributed import wait_for_all
    >>> wait_for_all(lambda: 7)
    7
    """
    results: list[T] = []
    gather(lambda: results.append(work()))
    return results[0]


def first_alone(work: Callable[[], T]) -> T:
    """Do some work in the first process and then in the others, which find its files.

    Parameters
    ----------
    work
        What this process does. The others begin only after the first one has succeeded.

    Returns
    -------
    object
        What `work` returned in this process.

    Raises
    ------
    ProcessError
        As of `wait_for_all`.

    Examples
    --------
    >>> from cameval.distributed import first_alone
    >>> first_alone(lambda: 7)
    7
    """
    results = wait_for_all(lambda: [work()] if rank() == 0 else [])
    return wait_for_all(lambda: results[0] if results else work())


@dataclass(frozen=True)
class _Failure:
    """That a process failed. Text can always be pickled; an error may not."""

    reason: str


def _is_initialized() -> bool:
    return dist.is_available() and dist.is_initialized()
