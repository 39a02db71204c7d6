"""Memoization of intermediate results that several formulas need of the same arrays."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from torch import Tensor

P = ParamSpec("P")


T = TypeVar("T")


_Memory = dict[Hashable, tuple[object, Any]]


_memory: ContextVar[_Memory | None] = ContextVar("cameval_sharing", default=None)


@contextmanager
def memo() -> Iterator[None]:
    """Let functions marked `memoized` remember their results until the block ends.

    The block's tensors must not be written to in place. Blocks of other threads are apart; an inner
    block begins with nothing remembered.

    Examples
    --------
    >>> maps = torch.rand(8, 224, 224)
    >>> with memo():  # sorts the maps once
    ...     masks = [PercentileBinarizer(p)(maps) for p in (50, 75, 90, 95)]
    """
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def memo_active() -> bool:
    """Tell whether results are remembered here, so that work for several formulas pays."""
    return _memory.get() is not None


def memoized(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a function of tensors and hashable settings as one whose result may be remembered.

    The result must not be written to.
    """

    @wraps(function)
    def remembering(*args: P.args, **kwargs: P.kwargs) -> T:
        memory = _memory.get()
        if memory is None:
            return function(*args, **kwargs)
        named = tuple(sorted(kwargs.items()))
        key = (function, *map(_key, args), *((name, _key(value)) for name, value in named))
        if key not in memory:  # the arguments are kept, so that their memory is not used again
            memory[key] = (args, kwargs), function(*args, **kwargs)
        return cast(T, memory[key][1])

    return remembering


def _key(argument: Any) -> Hashable:
    """Tell the same numbers in the same memory from any other."""
    if not isinstance(argument, Tensor):
        return (type(argument), argument)
    where = argument.device, argument.data_ptr(), argument.dtype
    return (*where, argument.shape, argument.stride(), argument.is_neg(), argument.is_conj())
