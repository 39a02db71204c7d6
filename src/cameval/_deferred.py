"""Conditions that an accelerator is asked for later, so that the work does not wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_waiting: ContextVar[list[Tensor] | None] = ContextVar("cameval_deferred", default=None)


@contextmanager
def deferred_checks() -> Iterator[list[Tensor]]:
    """Collect the conditions on an accelerator for which `holds` has answered True unseen.

    Whoever opens the block looks at them once. If one of them is false, what was computed within
    the block counts for nothing and is computed again outside of it, where the check fails at its
    place.
    """
    found: list[Tensor] = []
    token = _waiting.set(found)
    try:
        yield found
    finally:
        _waiting.reset(token)


def holds(condition: Tensor) -> bool:
    """Tell whether a condition, a boolean tensor without axes, holds."""
    waiting = _waiting.get()
    if waiting is None or condition.is_cpu:
        return bool(condition)
    waiting.append(condition)
    return True
