"""Several processes: who does which batch, and how everyone gets the whole table.

Started by ``torchrun``, or any other way in which `torch.distributed` is initialized.
"""

from dataclasses import dataclass
from typing import TypeVar

import torch.distributed as dist

from cameval.errors import ProcessError

__all__ = ["Shards", "gathered"]

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


def gathered(part: dict[int, T] | Exception, shards: Shards) -> dict[int, T]:
    """Put together the parts of all processes, in order; raise on all if one has failed."""
    mine = _Failed(f"{type(part).__name__}: {part}") if isinstance(part, Exception) else part
    parts: list[dict[int, T] | _Failed] = [mine]
    if shards.count > 1:
        parts = [mine] * shards.count
        dist.all_gather_object(parts, mine)
    if isinstance(part, Exception):
        raise part
    whole: dict[int, T] = {}
    for rank, other in enumerate(parts):
        if isinstance(other, _Failed):
            raise ProcessError(f"every process must succeed, process {rank} failed: {other.why}")
        whole |= other
    return dict(sorted(whole.items()))
