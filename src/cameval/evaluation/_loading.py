"""Batches of samples from datasets, iterables and loaders, shared by the processes of a run."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count, islice
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeAlias, TypeGuard

from torch.utils.data import DataLoader, RandomSampler

from cameval.data import Sample
from cameval.errors import ArrayTypeError, CamevalError, ProcessError, SettingError
from cameval.evaluation._samples import as_sample, unbatch


class SizedSamples(Protocol):
    """A map-style dataset: it has a length and items."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """Read one sample."""
        ...


Samples: TypeAlias = SizedSamples | Iterable[Any]
"""Any map-style or iterable dataset of `torch.utils.data`, a list or a generator of samples, or a
`DataLoader`."""


def names_of_classes(samples: object) -> tuple[str, ...] | None:
    """Return the names of the classes of a dataset, also of one in a subset or a loader.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from torch.utils.data import Subset
    >>> from cameval.evaluation._loading import names_of_classes
    >>> names_of_classes(Subset(SimpleNamespace(class_names=["cat", "dog"]), [1]))
    ('cat', 'dog')
    """
    while (names := getattr(samples, "class_names", None)) is None:
        if not hasattr(samples, "dataset"):
            return None
        samples = samples.dataset
    return tuple(str(name) for name in names)


def as_samples(samples: Samples) -> Samples:
    """Return samples as they are, and those of a `DataLoader` one by one.

    Raises
    ------
    SettingError
        If the loader shuffles: names and order of the samples would differ between runs.
    """
    if not isinstance(samples, DataLoader):
        return samples
    if isinstance(samples.sampler, RandomSampler):
        raise SettingError(
            "samples must come in one order, got a DataLoader that shuffles; set shuffle=False"
        )
    return samples if samples.batch_sampler is None else unbatch(samples)


def number_of_batches(samples: Samples, batch_size: int) -> int | None:
    """Return how many batches there will be, if the samples can be counted beforehand."""
    return -(-len(samples) // batch_size) if is_sized(samples) else None


def peek(samples: Samples) -> tuple[Sample | None, Samples]:
    """Return the first sample, None if there is none, and all samples; it is not read twice."""
    if is_sized(samples):
        if not len(samples):
            return None, samples
        first = _check(_read(samples, 0), 0)
        return first, _Peeked(samples, first)
    stream = iter(_check_iterable(samples))
    for first_read in stream:
        return _check(first_read, 0), chain([first_read], stream)
    return None, ()


class _Peeked:
    """A dataset whose first sample has been read already, and is returned once."""

    def __init__(self, samples: SizedSamples, first: Sample) -> None:
        self.samples = samples
        self.first: Sample | None = first

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        if index == 0 and self.first is not None:
            first, self.first = self.first, None
            return first
        return self.samples[index]


@dataclass(eq=False)
class Workers:
    """The processes that read samples beside this one; none if the count is 0."""

    count: int
    processes: list[BaseProcess] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Name a worker that has died. torch raises a RuntimeError then, at any place.

        Raises
        ------
        ProcessError
            If a worker has died.
        """
        try:
            yield
        except RuntimeError as error:
            if all(process.exitcode in (None, 0) for process in self.processes):
                raise
            raise ProcessError(
                f"workers must live until all samples are read, got: {error}; the memory may have "
                "been too small: use fewer workers, or workers=0 to see what fails; batches that "
                "are finished stay in the folder of the run"
            ) from error


def read_batches(
    samples: Samples, batch_size: int, wanted: Callable[[int], bool], workers: Workers
) -> Iterator[tuple[int, list[Sample]]]:
    """Yield the wanted batches with their numbers, in order; the last may be smaller.

    Of a map-style dataset only the wanted samples are read, by this process or by others.
    Of an iterable all are read.
    """
    if is_sized(samples):
        if workers.count:
            yield from _by_workers(samples, batch_size, wanted, workers)
            return
        for number in range(-(-len(samples) // batch_size)):
            if wanted(number):
                first = number * batch_size
                indices = range(first, min(first + batch_size, len(samples)))
                yield number, [_check(_read(samples, i), i) for i in indices]
        return
    if workers.count:
        raise SettingError("workers must be 0 for samples without a length, got an iterable")
    stream = iter(_check_iterable(samples))
    for number in count():
        batch = list(islice(stream, batch_size))
        if not batch:
            return
        if wanted(number):
            first = number * batch_size
            yield number, [_check(sample, first + i) for i, sample in enumerate(batch)]


def _by_workers(
    samples: SizedSamples, batch_size: int, wanted: Callable[[int], bool], workers: Workers
) -> Iterator[tuple[int, list[Sample]]]:
    numbers = [n for n in range(-(-len(samples) // batch_size)) if wanted(n)]
    indices = [
        list(range(n * batch_size, min((n + 1) * batch_size, len(samples)))) for n in numbers
    ]
    reader: Any = _ErrorsAsItems(samples)
    loader = DataLoader(reader, batch_sampler=indices, num_workers=workers.count, collate_fn=list)
    others = {*active_children()}
    batches = iter(loader)
    workers.processes += {*active_children()} - others
    for number, places, batch in zip(numbers, indices, batches, strict=True):
        yield number, [_check(sample, i) for i, sample in zip(places, batch, strict=True)]


class _ErrorsAsItems:
    """A dataset that returns its errors, so that they keep their type on the way from a worker."""

    def __init__(self, samples: SizedSamples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> object:
        sample = _read(self.samples, index)
        if isinstance(sample, Exception):
            try:  # a worker whose error cannot be pickled would never answer
                pickle.loads(pickle.dumps(sample))
            except Exception:
                return RuntimeError(f"{type(sample).__name__}: {sample}")
        return sample


def read_sample(samples: SizedSamples, index: int) -> Sample:
    """Return one sample of a dataset; an error has its number."""
    return _check(_read(samples, index), index)


def _read(samples: SizedSamples, index: int) -> object:
    try:
        return samples[index]
    except Exception as error:
        return error


def _check(sample: object, index: int) -> Sample:
    """Return a sample, or raise the error of reading it with its number."""
    if isinstance(sample, Sample):
        return sample
    if isinstance(sample, CamevalError):
        raise type(sample)(f"sample {index}: {sample}") from sample
    if isinstance(sample, Exception):
        sample.add_note(f"while reading sample {index}")
        raise sample
    try:
        return as_sample(sample, index)
    except CamevalError as error:
        raise type(error)(f"sample {index}: {error}") from error


def _check_iterable(samples: object) -> Iterable[Sample]:
    if isinstance(samples, Iterable):
        return samples
    raise ArrayTypeError(
        "samples must be a dataset or an iterable of cameval.data.Sample, "
        f"got {type(samples).__name__}"
    )


def is_sized(samples: object) -> TypeGuard[SizedSamples]:
    return hasattr(samples, "__len__") and hasattr(samples, "__getitem__")
