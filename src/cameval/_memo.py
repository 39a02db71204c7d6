"""Memoization of intermediate results that several functions compute from the same tensors.

Six binarizers sort the same map, eight metrics count the same pixels. Each remains a plain function
of its arrays. Inside ``with memo():`` a `memoized` function stores its result for each tensor until
the block ends; outside it nothing is stored.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from torch import Tensor

P = ParamSpec("P")


T = TypeVar("T")


_Memory = dict[Hashable, tuple[object, Any]]


_memory: ContextVar[_Memory | None] = ContextVar("cameval_memo", default=None)


@contextmanager
def memo() -> Iterator[None]:
    """Cache the results of `memoized` functions until the end of the block.

    Tensors must not be changed in place within the block. Each thread has its own cache; an inner
    block starts with an empty one.

    Examples
    --------
    >>> import torch
    >>> from cameval import PercentileBinarizer
    >>> from cameval._memo import memo
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
    """Tell whether results are cached, so that it pays to compute more than one call needs."""
    return _memory.get() is not None


def memoized(function: Callable[P, T]) -> Callable[P, T]:
    """Let `memo` cache the results of a function of tensors and hashable settings.

    The result must not be changed in place.
    """

    @wraps(function)
    def cached(*args: P.args, **kwargs: P.kwargs) -> T:
        memory = _memory.get()
        if memory is None:
            return function(*args, **kwargs)
        named = tuple(sorted(kwargs.items()))
        key = (cached, *map(_key, args), *((name, _key(value)) for name, value in named))
        if key not in memory:  # the arguments are stored, so that their memory is not reused
            memory[key] = (args, kwargs), function(*args, **kwargs)
        return cast(T, memory[key][1])

    return cached


def remember(function: Callable[P, T], result: T, *args: Any) -> None:
    """Let `memo` return a result of a `memoized` function that was found in another way."""
    memory = _memory.get()
    if memory is not None:
        memory[(function, *map(_key, args))] = args, result


def recall(function: Callable[P, T], *args: Any) -> T | None:
    """Return a result of a `memoized` function if `memo` has it."""
    memory = _memory.get()
    found = None if memory is None else memory.get((function, *map(_key, args)))
    return None if found is None else cast(T, found[1])


def _key(argument: Any) -> Hashable:
    """Return a key that is equal for the same values in the same memory only."""
    if not isinstance(argument, Tensor):
        return (type(argument), argument)
    where = argument.device, argument.data_ptr(), argument.dtype
    return (*where, argument.shape, argument.stride(), argument.is_neg(), argument.is_conj())
