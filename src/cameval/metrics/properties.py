"""Properties of a metric: what it takes, its direction, its range; where a score is undefined."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Literal, TypeVar, get_args, overload

from torch import Tensor

from cameval.errors import SettingError

__all__ = ["higher_is_better", "of_maps", "of_masks", "of_network", "takes"]

Takes = Literal["masks", "maps", "network"]
"""What a metric is given: predicted masks, score maps, or the network itself."""


F = TypeVar("F", bound=Callable[..., object])


@overload
def of_masks(
    metric: F,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> F: ...


@overload
def of_masks(
    metric: None = None,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> Callable[[F], F]: ...


def of_masks(
    metric: F | None = None,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> F | Callable[[F], F]:
    """Mark a metric that scores predicted masks: ``metric(masks, target)``.

    Parameters
    ----------
    metric
        A function, a class or a ``functools.partial``. Without it a decorator is returned, so that
        both ``@of_masks`` and ``@of_masks(higher_is_better=False)`` work.
    higher_is_better
        True for scores, False for errors and distances. None says nothing: such a metric gets no
        verdict, and no binarizer can be chosen by it. ``functools.wraps`` copies what the wrapped
        metric says; mark a wrapper that turns it round.
    categories
        Names of the codes of a metric whose scores are codes and not amounts; the code is the
        index.
    bounds
        The metric that this one is an upper bound of, on the same masks.

    Returns
    -------
    Callable
        The same object, with attributes.

    Raises
    ------
    SettingError
        If `higher_is_better` is neither a bool nor None, or the metric cannot have attributes.

    Examples
    --------
    >>> @of_masks(higher_is_better=False)
    ... def missed(pred, target):
    ...     return (target & ~pred).sum((-2, -1)) / target.sum((-2, -1))
    >>> takes(missed), higher_is_better(missed)
    ('masks', False)
    """
    return _marked("masks", metric, higher_is_better, categories, bounds)


@overload
def of_maps(
    metric: F,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> F: ...


@overload
def of_maps(
    metric: None = None,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> Callable[[F], F]: ...


def of_maps(
    metric: F | None = None,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> F | Callable[[F], F]:
    """Mark a metric that scores the map itself: ``metric(maps, target)``.

    Parameters and errors are those of `of_masks`.

    Examples
    --------
    >>> @of_maps(higher_is_better=True)
    ... def mean_inside(maps, target):
    ...     return (maps * target).sum((-2, -1)) / target.sum((-2, -1))
    >>> takes(mean_inside), takes(iou)
    ('maps', 'masks')
    """
    return _marked("maps", metric, higher_is_better, categories, bounds)


@overload
def of_network(
    metric: F,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> F: ...


@overload
def of_network(
    metric: None = None,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> Callable[[F], F]: ...


def of_network(
    metric: F | None = None,
    *,
    higher_is_better: bool | None = None,
    categories: tuple[str, ...] = (),
    bounds: Callable[..., object] | None = None,
) -> F | Callable[[F], F]:
    """Mark a metric that needs the network: ``metric(network, images, maps, classes)``.

    Parameters and errors are those of `of_masks`.
    """
    return _marked("network", metric, higher_is_better, categories, bounds)


def takes(metric: object) -> Takes | None:
    """Return what a metric is given, or None if it does not say.

    A ``functools.partial`` is read as its function, but for attributes of its own.

    Raises
    ------
    SettingError
        If it says anything else than ``"masks"``, ``"maps"`` or ``"network"``.
    """
    kind = _said(metric, "takes", None)
    if kind is not None and kind not in get_args(Takes):
        raise SettingError(
            f"takes must be one of {', '.join(map(repr, get_args(Takes)))}, got {kind!r} of "
            f"{metric!r}; mark the metric with of_masks, of_maps or of_network"
        )
    known: Takes | None = kind
    return known


def higher_is_better(metric: object) -> bool | None:
    """Return whether higher scores of a metric are better, or None if it does not say.

    It is read from the attribute of that name, as torchmetrics has it too. A ``functools.partial``
    is read as its function, but for attributes of its own.

    Raises
    ------
    SettingError
        If it says anything else than True, False or None.

    Examples
    --------
    >>> from functools import partial
    >>> from cameval.metrics import HausdorffDistance
    >>> higher_is_better(HausdorffDistance(95)), higher_is_better(partial(iou))
    (False, True)
    >>> print(higher_is_better(lambda pred, target: pred.sum((-2, -1))))
    None
    """
    return _direction(_said(metric, "higher_is_better", None), metric)


def categories(metric: object) -> tuple[str, ...]:
    """Return the names of the codes of a metric whose scores are codes; for all others none.

    Raises
    ------
    SettingError
        If they are not a tuple of names.

    Examples
    --------
    >>> from cameval.metrics import Outcomes
    >>> categories(Outcomes()), categories(iou)
    (('match', 'miss', 'includes', 'inside', 'partial'), ())
    """
    return _names(_said(metric, "categories", ()), metric)


def bounds(metric: object) -> Callable[..., object] | None:
    """Return the metric that a metric is an upper bound of, on the same masks; None for no bound.

    Raises
    ------
    SettingError
        If it is neither a function nor None.

    Examples
    --------
    >>> from cameval.baselines import area_bound
    >>> bounds(area_bound) is iou, bounds(iou) is None
    (True, True)
    """
    return _function(_said(metric, "bounds", None), metric)


def within(low: float, high: float) -> Callable[[F], F]:
    """Mark a metric whose scores lie between two numbers; the intervals of its means end there.

    A class has the attribute ``value_range`` instead.

    Raises
    ------
    SettingError
        If the numbers are not finite and ascending.

    Examples
    --------
    >>> @of_masks(higher_is_better=False)
    ... @within(0, 1)
    ... def missed(pred, target):
    ...     return (target & ~pred).sum((-2, -1)) / target.sum((-2, -1))
    >>> value_range(missed)
    (0.0, 1.0)
    """
    ends = _range((float(low), float(high)), "within")

    def mark(one: F) -> F:
        vars(one)["value_range"] = ends
        return one

    return mark


def value_range(metric: object) -> tuple[float, float] | None:
    """Return the least and the highest score that a metric can give, or None if it does not say.

    Raises
    ------
    SettingError
        If it says anything else than two finite ascending numbers.

    Examples
    --------
    >>> value_range(iou), value_range(informedness)
    ((0.0, 1.0), (-1.0, 1.0))
    """
    return _range(_said(metric, "value_range", None), metric)


def _range(said: Any, metric: object) -> tuple[float, float] | None:
    if said is None:
        return None
    pair = said if isinstance(said, tuple) and len(said) == 2 else None
    good = pair is not None and all(isinstance(end, int | float) for end in pair)
    if not good or not -inf < said[0] < said[1] < inf:
        raise SettingError(
            f"value_range must be two finite ascending numbers or None, got {said!r} of {metric!r}"
        )
    return float(said[0]), float(said[1])


def _marked(
    kind: Takes,
    metric: F | None,
    higher: bool | None,
    names: tuple[str, ...],
    bounded: Callable[..., object] | None,
) -> F | Callable[[F], F]:
    """Write what a metric says onto it, or return the decorator that does."""
    _direction(higher, metric), _names(names, metric), _function(bounded, metric)

    def mark(one: F) -> F:
        said: dict[str, object] = {"takes": kind}
        if higher is not None:
            said["higher_is_better"] = higher
        if names:
            said["categories"] = names
        if bounded is not None:  # of a class it must not become a method
            said["bounds"] = staticmethod(bounded) if isinstance(one, type) else bounded
        try:
            for name, value in said.items():
                setattr(one, name, value)
        except (AttributeError, TypeError) as error:
            raise SettingError(
                f"metric must be a function, a class or a partial, got {one!r}, which cannot have "
                "attributes; mark its class, or a functools.partial of it"
            ) from error
        return one

    return mark if metric is None else mark(metric)


def _said(metric: object, name: str, default: object) -> Any:
    """Read an attribute of a metric, of a partial first its own and then its function's."""
    while isinstance(metric, partial) and not hasattr(metric, name):
        metric = metric.func
    return getattr(metric, name, default)


def _direction(said: Any, metric: object) -> bool | None:
    if not (said is None or isinstance(said, bool)):
        raise SettingError(
            f"higher_is_better must be True, False or None, got {said!r} of {metric!r}"
        )
    return said


def _names(said: Any, metric: object) -> tuple[str, ...]:
    if not (isinstance(said, tuple) and all(isinstance(name, str) for name in said)):
        raise SettingError(f"categories must be a tuple of names, got {said!r} of {metric!r}")
    return said


def _function(said: Any, metric: object) -> Callable[..., object] | None:
    if not (said is None or callable(said)):
        raise SettingError(f"bounds must be a metric or None, got {said!r} of {metric!r}")
    bounded: Callable[..., object] | None = said
    return bounded


def undefined_without_truth(scores: Tensor, true: Tensor) -> Tensor:
    """Return `scores`, but NaN where no pixel is true."""
    return scores.where(true > 0, float("nan"))
