"""Pairs of maps and samples, which the published protocols score: checks, one target at a time."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from cameval._arrays import Maps, as_numpy, as_tensor
from cameval.data import Sample, Target
from cameval.errors import ArrayTypeError, NonFiniteError, ShapeError
from cameval.metrics import pointing_game

Floats = NDArray[np.float64]

Label = int | None

Value = TypeVar("Value", bound=np.generic)

Pairs = Iterable[tuple[Maps, Sample]]
"""Maps with their samples: a map ``(H, W)``, or ``(T, H, W)`` with one for each target."""


class MapOfTarget(NamedTuple):
    """The map of one target, with the lowest kept value on ignored pixels."""

    map: Floats
    target: Target
    sample: Sample

    @property
    def kept(self) -> NDArray[np.bool_]:
        """The pixels that count."""
        ignore = self.sample.ignore
        return np.ones(self.sample.shape, np.bool_) if ignore is None else ~ignore


def each_target(pairs: Pairs) -> Iterator[MapOfTarget]:
    """Yield the targets of all samples with their maps.

    A map of the size of the image belongs to all targets of the sample.
    """
    if not isinstance(pairs, Iterable):
        raise ArrayTypeError(
            f"pairs must be an iterable of maps with their samples, got {type(pairs).__name__}; "
            "write pair_maps(maps, samples)"
        )
    for number, pair in enumerate(pairs, start=1):
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Sample)):
            raise ArrayTypeError(
                f"pairs must be tuples of a map and its Sample, got {_kind(pair)} as number "
                f"{number}; write ((make_map(sample), sample) for sample in samples)"
            )
        given, sample = pair
        maps = _check_maps(given, sample)
        kept = None if sample.ignore is None else ~sample.ignore
        for values, target in zip(maps, sample.targets, strict=True):
            counted = values if kept is None else values[kept]
            if not np.isfinite(counted).all():
                raise NonFiniteError(
                    f"maps must be finite, got NaN or infinite values in that of sample "
                    f"{sample.name!r}"
                )
            filled = values if kept is None else np.where(kept, values, counted.min())
            yield MapOfTarget(filled, target, sample)


def kept_pixels(array: NDArray[Value], one: MapOfTarget) -> NDArray[Value]:
    """Return the pixels that count as an image ``(1, n)``."""
    return array[one.kept][None]


def pointing_score(one: MapOfTarget, tolerance: float = 0) -> float:
    """Return the `pointing_game` of one image without its ignored pixels; NaN without an object."""
    values = np.where(one.kept, one.map, one.map.min() - 1)  # no ignored pixel is a maximum
    return float(pointing_game(values, one.target.mask & one.kept, tolerance=tolerance))


def _check_maps(given: object, sample: Sample) -> Floats:
    """Return the maps of all targets ``(T, ...)``."""
    tensor = as_tensor(given, f"the map of sample {sample.name!r}")
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ArrayTypeError(
            f"maps must hold real numbers, got {tensor.dtype} for sample {sample.name!r}"
        )
    values: Floats = as_numpy(tensor).astype(np.float64)
    targets = len(sample.targets)
    if values.shape == sample.shape:
        return np.broadcast_to(values, (targets, *sample.shape))
    if values.shape == (targets, *sample.shape):
        return values
    raise ShapeError(
        f"maps must have the shape of the image, {sample.shape}, or {(targets, *sample.shape)} "
        f"with one for each target, got {values.shape} for sample {sample.name!r}; resize them "
        "first, as cameval.upsample does"
    )


def _kind(pair: Any) -> str:
    """Return what was given as a pair, for messages."""
    if isinstance(pair, tuple):
        return f"a tuple of {', '.join(type(each).__name__ for each in pair) or 'nothing'}"
    return f"one {type(pair).__name__}"
