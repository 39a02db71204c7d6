"""Several processes under `torch.distributed`: shares of the batches, gathering of the table."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch.distributed as dist

from cameval.errors import ProcessError, SettingError
from cameval.evaluation._identity import differences

T = TypeVar("T")


class Shards:
    """Which process of how many we are; the only one where nothing is initialized."""

    def __init__(self) -> None:
        active = dist.is_available() and dist.is_initialized()
        self.rank, self.count = (dist.get_rank(), dist.get_world_size()) if active else (0, 1)

    def mine(self, number: int) -> bool:
        """Tell whether a batch is done by this process."""
        return number % self.count == self.rank


@dataclass(frozen=True)
class _Failed:
    """That a process failed, in words, which always travel."""

    why: str


class Identified(Protocol):
    """Something that can be told from others of its kind."""

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it apart, as `differences` compares it."""
        ...


J = TypeVar("J", bound=Identified)


def same_run(job: J | Exception, shards: Shards) -> J:
    """Return the job after checking that it is that of all processes; no work is done before.

    Raises
    ------
    SettingError
        If the weights, a setting or the number of samples of one differ from those of another, or
        cannot be compared; the part is named, on all processes.
    ProcessError
        If another process failed before.
    """
    everyone = _exchanged(job if isinstance(job, Exception) else job.identity, shards)
    assert not isinstance(job, Exception)
    for rank, other in enumerate(everyone):
        if rank and (changes := differences(everyone[0], other)):
            raise SettingError(
                "every process must run the same evaluation, got processes 0 and "
                f"{rank} with another {'; another '.join(changes)}"
            )
    return job


def gathered(part: dict[int, T] | Exception, shards: Shards) -> dict[int, T]:
    """Put together the parts of all processes, in order; raise on all if one has failed."""
    whole: dict[int, T] = {}
    for other in _exchanged(part, shards):
        whole |= other
    return dict(sorted(whole.items()))


def _exchanged(mine: T | Exception, shards: Shards) -> list[T]:
    """Return what each process has; raise on all if one has failed."""
    sent: T | _Failed
    sent = _Failed(f"{type(mine).__name__}: {mine}") if isinstance(mine, Exception) else mine
    received: list[T | _Failed] = [sent]
    if shards.count > 1:
        received = [sent] * shards.count
        dist.all_gather_object(received, sent)
    if isinstance(mine, Exception):
        raise mine
    parts: list[T] = []
    for rank, other in enumerate(received):
        if isinstance(other, _Failed):
            raise ProcessError(f"every process must succeed, process {rank} failed: {other.why}")
        parts.append(other)
    return parts
