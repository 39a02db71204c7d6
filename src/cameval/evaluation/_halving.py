"""Batches that do not fit into the memory of the device: they are scored in parts."""

import gc
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch

from cameval.data import Sample
from cameval.errors import SettingError
from cameval.evaluation._batch import BatchScores

T = TypeVar("T")

Finish = Callable[[], BatchScores]
"""What waits for the scores of a batch."""


@dataclass(eq=False)
class HalvedBatches:
    """Begin batches; one for which the memory is too small is scored in halves, one by one.

    The size that fits is kept for the batches after it. The scores are those of whole batches, up
    to the last digits of the network, which may depend on the size of a batch.

    Parameters
    ----------
    begin
        From the samples of a batch to what waits for its scores. Both steps may run out of memory.

    Warns
    -----
    UserWarning
        Once, with the size that fits.
    """

    begin: Callable[[Sequence[Sample]], Finish]
    size: int | None = None
    _warned: bool = False

    def __call__(self, batch: Sequence[Sample]) -> Finish:
        """Begin a batch, and return what waits for its scores.

        Raises
        ------
        SettingError
            If one sample does not fit. `__call__` itself raises no error of memory: what was begun
            before may have to be finished first.
        """
        if self.size is not None and len(batch) > self.size:
            return lambda: self._in_parts(batch)
        finish = _unless_too_large(lambda: self.begin(batch))
        if finish is None:
            self._halve(len(batch))
            return lambda: self._in_parts(batch)
        return lambda: self._finish(finish, batch)

    def _finish(self, finish: Finish, batch: Sequence[Sample]) -> BatchScores:
        scores = _unless_too_large(finish)
        if scores is not None:
            return scores
        self._halve(len(batch))
        return self._in_parts(batch)

    def _halve(self, count: int) -> None:
        size = max(1, (count + 1) // 2)
        self.size = size if self.size is None else min(self.size, size)

    def _in_parts(self, batch: Sequence[Sample]) -> BatchScores:
        """Score a batch in parts of the size that fits, one after the other."""
        found: list[BatchScores] = []
        at = 0
        while at < len(batch):
            part = batch[at : at + (self.size or len(batch))]
            scores = _unless_too_large(lambda part=part: self.begin(part)())  # type: ignore[misc]
            if scores is not None:
                found.append(scores)
                at += len(part)
            elif len(part) > 1:
                self._halve(len(part))
            else:
                raise SettingError(
                    "the memory of the device must hold one sample with its maps, got too little "
                    f"for {part[0].name!r}; give prepare= a smaller size, fewer methods or "
                    "metrics, or a network on another device"
                )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"the memory of the device must hold a batch, got too little for {len(batch)} "
                f"samples; they are scored in parts of {self.size}: give batch_size={self.size}",
                stacklevel=2,
            )
        return _join(found)


def _unless_too_large(work: Callable[[], T]) -> T | None:
    """Return the result of some work; None, with memory freed, if there was too little."""
    try:
        return work()
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # they hold tensors
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return None


def _join(parts: Sequence[BatchScores]) -> BatchScores:
    """Return the scores of the parts of a batch as those of one."""
    arrays = {f.name: [getattr(part, f.name) for part in parts] for f in fields(BatchScores)}
    return BatchScores(**{name: np.concatenate(found) for name, found in arrays.items()})
