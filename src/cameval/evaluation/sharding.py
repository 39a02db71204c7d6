"""Several processes: who does which batch, and how everyone gets the whole table.

Started by ``torchrun``, or any other way in which `torch.distributed` is initialized.
"""

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


def gathered(part: dict[int, T] | Exception, shards: Shards) -> dict[int, T]:
    """Put together the parts of all processes, in order; raise on all if one has failed."""
    parts: list[dict[int, T] | Exception] = [part]
    if shards.count > 1:
        parts = [part] * shards.count
        dist.all_gather_object(parts, part)
    if isinstance(part, Exception):
        raise part
    whole: dict[int, T] = {}
    for rank, other in enumerate(parts):
        if isinstance(other, Exception):
            raise ProcessError(f"every process must succeed, process {rank} failed: {other}")
        whole |= other
    return dict(sorted(whole.items()))
