"""Work on several images at once, in threads."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def map_in_threads(function: Callable[..., T], *rows: Iterable[Any]) -> list[T]:
    """Call a function for each image, in as many threads as torch uses.

    The function must be one of NumPy operations on large arrays, which let other threads run.
    """
    calls = [*zip(*rows, strict=True)]
    threads = min(len(calls), torch.get_num_threads())
    if threads < 2:
        return [function(*call) for call in calls]
    return [*_pool(torch.get_num_threads(), os.getpid()).map(lambda call: function(*call), calls)]


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of a process; a process that was forked has none of its parent's."""
    return ThreadPoolExecutor(threads, thread_name_prefix="cameval")
