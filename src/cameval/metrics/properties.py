"""Properties of a metric: what it takes, its direction, its range; where a score is undefined.

Edge cases of all metrics:

===============================  ==================================================================
case                             score
===============================  ==================================================================
empty truth, any prediction      NaN: undefined, and counted as such; but `false_positive_rate`,
                                 `specificity` and `marked_area` are defined without an object, and
                                 `ZeroWithoutObject` scores marks there as 0
empty prediction, not the truth  the worst, 0 (for `informedness`, `matthews_correlation` and
                                 `cohen_kappa` also the level of chance); NaN for distances, or the
                                 image's diagonal if asked for; `false_positive_rate` and
                                 `marked_area` are 0
everything predicted             the plain formula
everything true                  NaN for all that counts false positives: `false_positive_rate`,
                                 `specificity`, `informedness`, `size_standardized_iou`,
                                 `matthews_correlation`, `cohen_kappa`, `chance_corrected_overlap`,
                                 `pixel_auroc` and the skills, since no pixel could be one
constant map                     `pixel_auroc` .5; `pixel_average_precision`,
                                 `relevance_rank_accuracy`, `max_iou` and `pointing_game` the area
                                 share of the truth; `relevance_mass_accuracy` the same if the
                                 constant is positive, else NaN; skills 0
ties in a map                    the expectation over all orders of the tied pixels
NaN or infinity in a map         `NonFiniteError`
other shapes or dtypes           an error: nothing is resized, masks are boolean
===============================  ==================================================================

Whether a score is defined depends on the truth (and on the map's positive part), never on how good
the prediction is; distances to an empty prediction are the exception, and `ZeroWithoutObject`,
which excludes the images that have neither object nor mark unless it is told what to score.
"""

from collections.abc import Callable
from math import isinf
from typing import Any, Literal, Protocol, TypeVar, cast, get_args, overload

from torch import Tensor

from cameval._spatial import (
    check_from_sample,
    check_pixelwise,
    read_from_sample,
    read_pixelwise,
    read_title,
)
from cameval._spatial import read_property as _read
from cameval.errors import SettingError

__all__ = [
    "higher_is_better",
    "is_pixelwise",
    "of_maps",
    "of_masks",
    "of_network",
    "takes",
    "title_of",
    "value_range",
    "within",
]

Takes = Literal["masks", "maps", "network"]
"""What a metric is given: predicted masks, score maps, or the network itself."""


Truth = Literal["mask", "objects"]
"""What of the truth a metric is given: the union of the objects, or a list of `Objects`."""


Unit = Literal["spacing"]
"""The unit of a metric's lengths, if it is that of the spacing of each sample."""


F = TypeVar("F", bound=Callable[..., object])


class _MetricDecorator(Protocol):
    """A decorator of metrics that can be used with and without settings."""

    @overload
    def __call__(
        self,
        metric: F,
        *,
        higher_is_better: bool | None = None,
        categories: tuple[str, ...] = (),
        bounds: Callable[..., object] | None = None,
        truth: Truth = "mask",
        pixelwise: bool = False,
        from_sample: tuple[str, ...] = (),
        denominator: Callable[..., object] | None = None,
        title: str | None = None,
        unit: Unit | None = None,
    ) -> F: ...

    @overload
    def __call__(
        self,
        metric: None = None,
        *,
        higher_is_better: bool | None = None,
        categories: tuple[str, ...] = (),
        bounds: Callable[..., object] | None = None,
        truth: Truth = "mask",
        pixelwise: bool = False,
        from_sample: tuple[str, ...] = (),
        denominator: Callable[..., object] | None = None,
        title: str | None = None,
        unit: Unit | None = None,
    ) -> Callable[[F], F]: ...


def _metric_decorator(kind: Takes, doc: str) -> _MetricDecorator:
    """Return the decorator of the metrics that take this."""

    def decorator(
        metric: F | None = None,
        *,
        higher_is_better: bool | None = None,
        categories: tuple[str, ...] = (),
        bounds: Callable[..., object] | None = None,
        truth: Truth = "mask",
        pixelwise: bool = False,
        from_sample: tuple[str, ...] = (),
        denominator: Callable[..., object] | None = None,
        title: str | None = None,
        unit: Unit | None = None,
    ) -> F | Callable[[F], F]:
        properties: dict[str, object] = {"takes": kind}
        if _check_direction(higher_is_better, metric) is not None:
            properties["higher_is_better"] = higher_is_better
        if _check_categories(categories, metric):
            properties["categories"] = categories
        if _check_bounded(bounds, metric) is not None:
            properties["bounds"] = bounds
        if _check_truth(truth, metric) != "mask":
            properties["truth"] = truth
        if check_pixelwise(pixelwise, metric):
            properties["pixelwise"] = True
        if check_from_sample(from_sample, metric):
            properties["from_sample"] = from_sample
        if _check_denominator(denominator, metric) is not None:
            properties["denominator"] = denominator
        if title is not None:
            properties["title"] = _check_title(title, metric)
        if _check_unit(unit, metric) is not None:
            properties["unit"] = unit

        def mark(one: F) -> F:
            _set_attributes(one, properties)
            return one

        return mark if metric is None else mark(metric)

    decorator.__name__ = decorator.__qualname__ = f"of_{kind}"
    decorator.__doc__ = doc
    return cast(_MetricDecorator, decorator)


def _set_attributes(metric: object, properties: dict[str, object]) -> None:
    try:
        for name, value in properties.items():
            method = isinstance(metric, type) and callable(value)  # it must not become one
            setattr(metric, name, staticmethod(cast(Any, value)) if method else value)
    except (AttributeError, TypeError) as error:
        raise SettingError(
            f"metric must be a function, a class or a partial, got {metric!r}, which cannot have "
            "attributes; mark its class, or a functools.partial of it"
        ) from error


of_masks = _metric_decorator(
    "masks",
    """Mark a metric that scores predicted masks: ``metric(masks, target)``.

    Parameters
    ----------
    metric
        A function, a class or a ``functools.partial``. Without it a decorator is returned, so that
        both ``@of_masks`` and ``@of_masks(higher_is_better=False)`` work.
    higher_is_better
        True for scores, False for errors and distances. None leaves it open: such a metric gets no
        verdict, and no binarizer can be chosen by it. ``functools.wraps`` copies the property of
        the wrapped metric; mark a wrapper that reverses the direction.
    categories
        Names of the codes, for a metric whose scores are codes and not amounts. A code is the index
        of its name.
    bounds
        The metric of which this one is an upper bound, on the same masks.
    truth
        ``"mask"`` if the metric is given the true mask of each image, ``"objects"`` if it is given
        a list with the :class:`cameval.data.Objects` of each.
    pixelwise
        Whether the score depends only on which pixels are marked or true (or on their values), not
        on where they lie. Such a metric is scored on the pixels that are not ignored, and on
        volumes, without more.
    from_sample
        Keyword settings that `cameval.evaluate` sets for each sample, unless they are set already:
        ``"spacing"``, and ``"spatial_axes"``, 2 for images and 3 for volumes.
    denominator
        Function of :class:`Counts` that returns the denominator of a score that is a ratio of pixel
        counts. It is the weight of the score in the pooled mean.
    title
        What reports, plots and texts call the metric. By default they show its label. A class may
        have a property ``title`` instead, which tells its settings.
    unit
        ``"spacing"`` if a length, in the scores or the settings, is in the unit of the spacing of
        each sample. Reports add the unit to the title, and there is an error or a warning if only
        some samples have a spacing.

    Returns
    -------
    Callable
        The same object, with attributes.

    Raises
    ------
    SettingError
        If `higher_is_better` is neither a bool nor None, the title is empty, or the metric cannot
        have attributes.

    Examples
    --------
    >>> from cameval.metrics import higher_is_better, of_masks, takes
    >>> @of_masks(higher_is_better=False)
    ... def miss_rate(pred, target):
    ...     return (target & ~pred).sum((-2, -1)) / target.sum((-2, -1))
    >>> takes(miss_rate), higher_is_better(miss_rate)
    ('masks', False)
    """,
)

of_maps = _metric_decorator(
    "maps",
    """Mark a metric that scores the map itself: ``metric(maps, target)``.

    Parameters and errors are those of `of_masks`.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.metrics import of_maps, takes
    >>> @of_maps(higher_is_better=True)
    ... def mean_inside(maps, target):
    ...     return (maps * target).sum((-2, -1)) / target.sum((-2, -1))
    >>> takes(mean_inside), takes(iou)
    ('maps', 'masks')
    """,
)

of_network = _metric_decorator(
    "network",
    """Mark a metric that runs the network: ``metric(network, images, maps, classes)``.

    Parameters and errors are those of `of_masks`.

    Examples
    --------
    The logit of the class for an image of which only the pixels above the map's median are left:

    >>> import torch
    >>> from cameval.metrics import of_network, takes
    >>> @of_network(higher_is_better=True)
    ... def logit_of_half(network, images, maps, classes):
    ...     kept = maps > maps.flatten(1).median(1).values[:, None, None]
    ...     return network(images * kept[:, None]).gather(1, classes[:, None])[:, 0]
    >>> takes(logit_of_half)
    'network'
    >>> images, maps = torch.ones(1, 1, 2, 2), torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> logit_of_half(lambda x: x.mean((2, 3)), images, maps, torch.tensor([0]))
    tensor([0.5000])
    """,
)


def within(low: float, high: float) -> Callable[[F], F]:
    """Mark a metric with the range of its scores. Intervals of its means end there.

    A class has the attribute ``value_range`` instead.

    Raises
    ------
    SettingError
        If the numbers are not ascending, or both are infinite.

    Examples
    --------
    >>> from cameval.metrics import of_masks, value_range, within
    >>> @of_masks(higher_is_better=False)
    ... @within(0, 1)
    ... def miss_rate(pred, target):
    ...     return (target & ~pred).sum((-2, -1)) / target.sum((-2, -1))
    >>> value_range(miss_rate)
    (0.0, 1.0)
    """
    ends = _check_range((float(low), float(high)), "within")

    def mark(one: F) -> F:
        vars(one)["value_range"] = ends
        return one

    return mark


def takes(metric: object) -> Takes | None:
    """Return what a metric takes, or None if it has no such property.

    A ``functools.partial`` has the properties of its function, unless it has its own.

    Raises
    ------
    SettingError
        If the property is not ``"masks"``, ``"maps"`` or ``"network"``.

    Examples
    --------
    >>> from cameval import iou, pixel_auroc
    >>> from cameval.metrics import Insertion, takes
    >>> takes(iou), takes(pixel_auroc), takes(Insertion())
    ('masks', 'maps', 'network')
    >>> print(takes(lambda pred, target: pred.sum((-2, -1))))
    None
    """
    kind = _read(metric, "takes", None)
    if kind is not None and kind not in get_args(Takes):
        raise SettingError(
            f"takes must be one of {', '.join(map(repr, get_args(Takes)))}, got {kind!r} of "
            f"{metric!r}; mark the metric with of_masks, of_maps or of_network"
        )
    return cast(Takes | None, kind)


def higher_is_better(metric: object) -> bool | None:
    """Return whether higher scores of a metric are better, or None if it has no such property.

    The attribute has the same name in torchmetrics. A ``functools.partial`` has the properties of
    its function, unless it has its own.

    Raises
    ------
    SettingError
        If the property is not True, False or None.

    Examples
    --------
    >>> from functools import partial
    >>> from cameval import iou
    >>> from cameval.metrics import HausdorffDistance, higher_is_better
    >>> higher_is_better(HausdorffDistance(95)), higher_is_better(partial(iou))
    (False, True)
    >>> print(higher_is_better(lambda pred, target: pred.sum((-2, -1))))
    None
    """
    return _check_direction(_read(metric, "higher_is_better", None), metric)


def title_of(metric: object) -> str | None:
    """Return the title of a metric with its settings, or None if it has none.

    A ``functools.partial`` has the title of its function with the settings that differ from the
    defaults, unless it has its own. The unit of a distance is not in the title: results add it,
    for they know which samples have a spacing.

    Raises
    ------
    SettingError
        If the property is not a text, or is empty.

    Examples
    --------
    >>> from functools import partial
    >>> from cameval import iou, pointing_game
    >>> from cameval.metrics import HausdorffDistance, title_of
    >>> title_of(iou), title_of(partial(pointing_game, tolerance=15))
    ('IoU', 'pointing game (tolerance 15)')
    >>> title_of(HausdorffDistance(95))
    '95% Hausdorff distance'
    >>> print(title_of(lambda pred, target: pred.sum((-2, -1))))
    None
    """
    return read_title(metric)


def unit_of(metric: object) -> Unit | None:
    """Return the unit of the lengths of a metric: that of each sample's spacing, or None.

    None stands for metrics without a length, and for those whose spacing is chosen.

    Raises
    ------
    SettingError
        If the property is another.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.metrics import HausdorffDistance
    >>> from cameval.metrics.properties import unit_of
    >>> unit_of(HausdorffDistance()), unit_of(HausdorffDistance(spacing=0.5)), unit_of(iou)
    ('spacing', None, None)
    """
    return _check_unit(_read(metric, "unit", None), metric)


def categories(metric: object) -> tuple[str, ...]:
    """Return the names of the codes of a metric whose scores are codes; an empty tuple for others.

    Raises
    ------
    SettingError
        If the property is not a tuple of names.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.metrics import Outcomes
    >>> from cameval.metrics.properties import categories
    >>> categories(Outcomes()), categories(iou)
    (('match', 'miss', 'includes', 'inside', 'partial'), ())
    """
    return _check_categories(_read(metric, "categories", ()), metric)


def bounds(metric: object) -> Callable[..., object] | None:
    """Return the metric of which a metric is an upper bound on the same masks; None for no bound.

    Raises
    ------
    SettingError
        If the property is neither a function nor None.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.baselines import area_bound
    >>> from cameval.metrics.properties import bounds
    >>> bounds(area_bound) is iou, bounds(iou) is None
    (True, True)
    """
    return _check_bounded(_read(metric, "bounds", None), metric)


def value_range(metric: object) -> tuple[float, float] | None:
    """Return the lowest and the highest possible score of a metric, or None if it has no range.

    Raises
    ------
    SettingError
        If the property is not two ascending numbers, one of which may be infinite.

    Examples
    --------
    >>> from cameval import informedness, iou
    >>> from cameval.metrics import value_range
    >>> value_range(iou), value_range(informedness)
    ((0.0, 1.0), (-1.0, 1.0))
    """
    return _check_range(_read(metric, "value_range", None), metric)


def truth_of(metric: object) -> Truth:
    """Return what of the truth a metric is given: ``"mask"`` or ``"objects"``.

    Raises
    ------
    SettingError
        If the property is another.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.metrics.properties import truth_of
    >>> truth_of(iou)
    'mask'
    """
    return _check_truth(_read(metric, "truth", "mask"), metric)


def is_pixelwise(thing: object) -> bool:
    """Tell whether a metric or binarizer depends on the pixels' values only, not on their places.

    Raises
    ------
    SettingError
        If the property is not a bool.

    Examples
    --------
    >>> from cameval import iou
    >>> from cameval.metrics import HausdorffDistance, is_pixelwise
    >>> is_pixelwise(iou), is_pixelwise(HausdorffDistance(95))
    (True, False)
    """
    return read_pixelwise(thing)


def settings_from_sample(thing: object) -> tuple[str, ...]:
    """Return the settings of a metric or binarizer that are set for each sample.

    Raises
    ------
    SettingError
        If the property is not a tuple of known words.
    """
    return read_from_sample(thing)


def denominator(metric: object) -> Callable[..., Any] | None:
    """Return the denominator of a ratio of pixel counts; None for other metrics.

    Raises
    ------
    SettingError
        If the property is neither a function nor None.
    """
    return _check_denominator(_read(metric, "denominator", None), metric)


def undefined_without_truth(scores: Tensor, true: Tensor) -> Tensor:
    """Return the scores, with NaN where no pixel is true."""
    return scores.where(true > 0, float("nan"))


def _check_direction(value: Any, metric: object) -> bool | None:
    if not (value is None or isinstance(value, bool)):
        raise SettingError(
            f"higher_is_better must be True, False or None, got {value!r} of {metric!r}"
        )
    return value


def _check_categories(value: Any, metric: object) -> tuple[str, ...]:
    if not (isinstance(value, tuple) and all(isinstance(name, str) for name in value)):
        raise SettingError(f"categories must be a tuple of names, got {value!r} of {metric!r}")
    return value


def _check_bounded(value: Any, metric: object) -> Callable[..., object] | None:
    if not (value is None or callable(value)):
        raise SettingError(f"bounds must be a metric or None, got {value!r} of {metric!r}")
    return cast(Callable[..., object] | None, value)


def _check_truth(value: Any, metric: object) -> Truth:
    if value not in get_args(Truth):
        raise SettingError(f"truth must be 'mask' or 'objects', got {value!r} of {metric!r}")
    return cast(Truth, value)


def _check_denominator(value: Any, metric: object) -> Callable[..., Any] | None:
    if not (value is None or callable(value)):
        raise SettingError(f"denominator must be a function or None, got {value!r} of {metric!r}")
    return cast("Callable[..., Any] | None", value)


def _check_unit(value: Any, metric: object) -> Unit | None:
    if value is not None and value not in get_args(Unit):
        raise SettingError(f"unit must be 'spacing' or None, got {value!r} of {metric!r}")
    return cast("Unit | None", value)


def _check_title(title: Any, metric: object) -> str:
    if not isinstance(title, str) or not title.strip():
        raise SettingError(f"title must be a non-empty text, got {title!r} of {metric!r}")
    return title


def _check_range(value: Any, metric: object) -> tuple[float, float] | None:
    if value is None:
        return None
    pair = value if isinstance(value, tuple) and len(value) == 2 else None
    numbers = pair is not None and all(isinstance(end, int | float) for end in pair)
    if not numbers or not value[0] < value[1] or (isinf(value[0]) and isinf(value[1])):
        raise SettingError(
            "value_range must be two ascending numbers, one of which may be infinite, or None, got "
            f"{value!r} of {metric!r}"
        )
    return float(value[0]), float(value[1])
