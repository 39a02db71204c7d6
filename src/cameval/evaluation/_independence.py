"""Checks that binarizers and metrics treat each map of a batch independently of the others."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cameval._spatial import read_pixelwise
from cameval.binarizers import SkimageBinarizer
from cameval.errors import SettingError

_LEAST_RANGE = 1e-3
"""The least range of a map that is used, as a share of its largest absolute value."""


class IndependenceChecks:
    """Checks of things that are not the library's own, each made once, on the first map that fits.

    A thing gets two batches of three maps. The map in the middle is the same in both, the maps
    around it are not; so its mask or score must be the same. Both batches have one shape, so that
    sums are rounded alike. Their values are in the range of a map of the run.

    A thing that fails on these batches, or that returns something else for the same batch when it
    is called again, is not judged.
    """

    def __init__(self) -> None:
        self._done: set[tuple[str, str]] = set()

    def check_binarizer(
        self, label: str, binarizer: object, call: Callable[[Tensor], Any], maps: Tensor
    ) -> None:
        """Check a binarizer on maps ``(m, *spatial)``; `call` has the settings of the maps' grid.

        Raises
        ------
        SettingError
            If the mask of a map depends on the other maps.
        """
        if ("binarizer", label) in self._done or _is_own(binarizer):
            return
        if (k := _most_varied(maps)) is None:
            return
        self._done.add(("binarizer", label))
        one = torch.nan_to_num(maps[k].detach())
        low, middle, high = (_squeezed(one, share) for share in (0.0, 0.375, 0.75))

        def mask(around: Tensor) -> Tensor | None:
            masks = call(torch.stack([around, middle, around]))
            good = isinstance(masks, Tensor) and masks.shape == (3, *one.shape)
            return masks[1].clone() if good else None

        if _depends(partial(mask, low), partial(mask, high)):
            raise SettingError(
                "a binarizer must treat each map independently of the others, got masks of "
                f"{label} that depend on the other maps of the batch; reduce over the last "
                f"{_last_axes(binarizer, one, 'map.mean')}, keepdim=True)"
            )

    def check_metric(
        self,
        label: str,
        metric: object,
        call: Callable[[Tensor, Tensor], Tensor],
        given: Tensor,
        truth: Tensor,
    ) -> None:
        """Check a metric on masks or maps ``(m, *spatial)`` with true masks of that shape.

        Raises
        ------
        SettingError
            If the score of an image depends on the other images.
        """
        if ("metric", label) in self._done or _is_own(metric):
            return
        if given.dtype == torch.bool:
            marked = (given & truth).flatten(1).any(1).nonzero()
            if not len(marked):
                return
            k = int(marked[0])
            one, other = given[k], ~given[k]
        else:
            best = _most_varied(given, truth.flatten(1).any(1))
            if best is None:
                return
            k = best
            one = torch.nan_to_num(given[k].detach())
            other = _squeezed(one, 0.75)
        self._done.add(("metric", label))
        true = truth[k]

        def score(around: Tensor, true_around: Tensor) -> Tensor:
            batch = torch.stack([around, one, around])
            return call(batch, torch.stack([true_around, true, true_around]))[1]

        if _depends(partial(score, one, true), partial(score, other, ~true)):
            raise SettingError(
                "a metric must score each image independently of the others, got scores of "
                f"{label} that depend on the other images of the batch; reduce over the last "
                f"{_last_axes(metric, one, 'pred.sum')})"
            )


def _depends(first: Callable[[], Tensor | None], second: Callable[[], Tensor | None]) -> bool:
    """Tell whether two calls have different results, and the first has the same when repeated."""
    try:
        found, other = first(), second()
        if found is None or other is None or _same(found, other):
            return False
        again = first()
    except Exception:  # what it cannot take in the run fails there
        return False
    return again is not None and _same(found, again)


def _same(one: Tensor, other: Tensor) -> bool:
    if one.dtype == torch.bool or other.dtype == torch.bool:
        return torch.equal(one, other)
    return torch.allclose(one.double(), other.double(), rtol=1e-4, atol=1e-7, equal_nan=True)


def _most_varied(maps: Tensor, allowed: Tensor | None = None) -> int | None:
    """Return the index of the map with the largest relative range, None if none has enough."""
    flat = torch.nan_to_num(maps.detach()).flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    share = torch.nan_to_num((high - low) / torch.maximum(low.abs(), high.abs()))
    if allowed is not None:
        share = share * allowed
    k = int(share.argmax())
    return k if share[k] >= _LEAST_RANGE else None


def _squeezed(one: Tensor, share: float) -> Tensor:
    """Return a map squeezed to a quarter of its range, which begins at a share of it."""
    low, high = one.amin(), one.amax()
    return (low + share * (high - low) + (one - low) / 4).clamp(low, high)


def _last_axes(thing: object, one: Tensor, call: str) -> str:
    """Return the axes of a map in words; to what is pixelwise a volume is given as an image."""
    if one.ndim == 3 and not read_pixelwise(thing):
        return f"three axes: {call}((-3, -2, -1)"
    return f"two axes: {call}((-2, -1)"


def _is_own(thing: Any) -> bool:
    """Tell whether a thing is of this library, and holds no function from elsewhere.

    `SkimageBinarizer` calls its function for each map by itself.
    """
    if isinstance(thing, SkimageBinarizer):
        return True
    if isinstance(thing, partial):
        return _is_own(thing.func)
    named = thing if hasattr(thing, "__code__") or isinstance(thing, type) else type(thing)
    if str(named.__module__).partition(".")[0] != __name__.partition(".")[0]:
        return False
    return all(_is_own(one) for one in getattr(thing, "__dict__", {}).values() if callable(one))
