"""Spatial axes of metrics and binarizers: settings of a sample, volumes, pixels that are ignored.

A metric or binarizer says how it depends on places. It is *pixelwise* if its result depends only on
the values of the pixels: then an image is its list of pixels, ``(1, n)``, also a volume, and pixels
that are ignored are left out of the list. Others have settings that are taken `from_sample`:
``spacing``, ``spatial_axes``.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import partial
from inspect import signature
from numbers import Real
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from cameval._arrays import as_tensor, exact
from cameval._memo import memoized
from cameval.errors import SettingError, ShapeError

T = TypeVar("T")


FROM_SAMPLE = ("spacing", "spatial_axes")
"""Settings that differ between samples."""


_COPIED = ("takes", "higher_is_better", "categories", "bounds", "value_range", "denominator")
"""Properties of a metric that do not depend on its axes."""


def read_property(thing: object, name: str, default: object = None) -> Any:
    """Return an attribute; for a partial its own, then that of its function."""
    while isinstance(thing, partial) and not hasattr(thing, name):
        thing = thing.func
    return getattr(thing, name, default)


def read_pixelwise(thing: object) -> bool:
    """Tell whether a metric or binarizer says that it depends on the pixels' values only."""
    return check_pixelwise(read_property(thing, "pixelwise", False), thing)


def read_from_sample(thing: object) -> tuple[str, ...]:
    """Return the settings that a metric or binarizer takes from each sample."""
    return check_from_sample(read_property(thing, "from_sample", ()), thing)


def read_title(metric: object) -> str | None:
    """Return the title of a metric, with the settings of a partial; None if it has none."""
    settings: dict[str, object] = {}
    while isinstance(metric, partial) and "title" not in vars(metric):
        settings = metric.keywords | settings
        metric = metric.func
    title = getattr(metric, "title", None)
    if title is None:
        return None
    if not isinstance(title, str) or not title.strip():
        raise SettingError(f"title must be a non-empty text, got {title!r} of {metric!r}")
    if not settings:
        return title
    known, from_sample = signature(cast(Any, metric)).parameters, read_from_sample(metric)
    defaults = {name: one.default for name, one in known.items() if name not in from_sample}
    return with_settings(title, settings, defaults)


def with_changed_settings(title: str, thing: Any, *names: str) -> str:
    """Return a title with those of some settings of a dataclass that differ from the defaults."""
    defaults = {field.name: field.default for field in fields(thing)}
    return with_settings(title, {name: getattr(thing, name) for name in names}, defaults)


def with_settings(
    title: str, settings: Mapping[str, object], defaults: Mapping[str, object]
) -> str:
    """Return a title with the settings that differ from their defaults and are numbers or text.

    Examples
    --------
    >>> from cameval._spatial import with_settings
    >>> with_settings("distance", {"spacing": (5, 0.5), "seed": 0}, {"spacing": 1.0, "seed": 0})
    'distance (spacing 5 / 0.5)'
    """
    shown = []
    for name, value in settings.items():
        values = value if isinstance(value, tuple | list) else (value,)
        plain = all(one is None or isinstance(one, str | Real) for one in values)
        if plain and not (name in defaults and value == defaults[name]):
            words = (f"{one:g}" if isinstance(one, float) else str(one) for one in values)
            shown.append(f"{name.replace('_', ' ')} {' / '.join(words)}")
    return f"{title} ({', '.join(shown)})" if shown else title


def check_pixelwise(value: Any, thing: object) -> bool:
    """Return the property, a bool."""
    if not isinstance(value, bool):
        raise SettingError(f"pixelwise must be True or False, got {value!r} of {thing!r}")
    return value


def check_from_sample(value: Any, thing: object) -> tuple[str, ...]:
    """Return the property, a tuple of known words."""
    if not (isinstance(value, tuple) and set(value) <= set(FROM_SAMPLE)):
        raise SettingError(
            f"from_sample must be a tuple of {FROM_SAMPLE}, got {value!r} of {thing!r}"
        )
    return value


def check_spatial_axes(value: Any) -> int:
    """Return the number of spatial axes: 2 for images, 3 for volumes."""
    if isinstance(value, bool) or value not in (2, 3):
        raise SettingError(f"spatial_axes must be 2 for images or 3 for volumes, got {value!r}")
    return int(value)


def check_volumes(array: Tensor, spatial_axes: int, name: str) -> None:
    """Check that an array whose pixels are checked already has enough axes."""
    if array.ndim < spatial_axes or 0 in array.shape[-spatial_axes:]:
        raise ShapeError(
            f"{name} must be volumes (..., D, H, W) with at least one voxel for "
            f"spatial_axes={spatial_axes}, got {tuple(array.shape)}"
        )


def with_sample_settings(
    thing: T, *, spacing: tuple[float, ...] | None = None, spatial_axes: int | None = None
) -> T:
    """Return a metric or binarizer with the settings of a sample.

    Settings are those that `thing` declares as `from_sample`. A setting that the user chose stays:
    a keyword of a partial, or a field that differs from its default. Metrics and binarizers in the
    fields of `thing` get their settings too.

    Parameters
    ----------
    thing
        A function, a partial, or a frozen dataclass.
    spacing
        Distance between pixels along each axis; None if the sample has none. Volumes without a
        spacing have cubic voxels of side 1.
    spatial_axes
        2 for images, 3 for volumes; None if it is not known.

    Returns
    -------
    Callable
        The same object if there is nothing to set. A spacing of one number that the user chose
        becomes one for each axis of a volume.

    Raises
    ------
    SettingError
        If a setting that the user chose does not fit the number of axes.
    """
    if spacing is None and spatial_axes == 3:
        spacing = (1.0, 1.0, 1.0)
    if is_dataclass(thing) and not isinstance(thing, type):
        inner = {
            field.name: with_sample_settings(value, spacing=spacing, spatial_axes=spatial_axes)
            for field in fields(thing)
            if field.init and callable(value := getattr(thing, field.name))
        }
        changed = {name: new for name, new in inner.items() if new is not getattr(thing, name)}
        if changed:
            thing = replace(thing, **changed)
    given = {"spacing": spacing, "spatial_axes": spatial_axes}
    values: dict[str, object] = {}
    for name in read_from_sample(thing):
        chosen = _chosen(thing, name)
        if chosen is not MISSING:
            chosen = _fit(name, chosen, spatial_axes, thing)
        value = given[name] if chosen is MISSING else chosen
        if value is not None and value is not _current(thing, name):
            values[name] = value
    result: T = _with_settings(thing, values)
    return result


def _chosen(thing: object, name: str) -> Any:
    """Return the setting that the user chose, or `MISSING`."""
    while isinstance(thing, partial):
        if name in thing.keywords:
            return thing.keywords[name]
        thing = thing.func
    for field in fields(thing) if is_dataclass(thing) else ():
        if field.name == name:
            value, default = getattr(thing, name), field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            return MISSING if default is not MISSING and value == default else value
    return MISSING


def _current(thing: object, name: str) -> object:
    """Return a setting as the thing has it, or `MISSING` where it is a default of a function."""
    chosen = _chosen(thing, name)
    return getattr(thing, name, MISSING) if chosen is MISSING else chosen


def _fit(name: str, value: object, spatial_axes: int | None, thing: object) -> object:
    """Return a setting that the user chose, for images or volumes."""
    if spatial_axes is None:
        return value
    if name == "spatial_axes":
        count: object = value
    elif isinstance(value, Real):
        return value if spatial_axes == 2 else (value,) * spatial_axes
    else:
        count = len(value) if isinstance(value, tuple | list) else value
    if count != spatial_axes:
        what = {2: "an image", 3: "a volume"}.get(spatial_axes, "a sample")
        raise SettingError(
            f"{name} of {thing!r} must fit {what}, which has {spatial_axes} spatial axes, got "
            f"{value!r}; leave it out to take it from the sample"
        )
    return value


def _with_settings(thing: Any, values: dict[str, object]) -> Any:
    own = {field.name for field in fields(thing)} if is_dataclass(thing) else set()
    if own:
        settings = {name: value for name, value in values.items() if name in own}
        if not settings:  # they belong to a thing in one of its fields
            return thing
        return replace(thing, **settings)
    return partial(thing, **values) if values else thing


def for_volumes(thing: T, *, spacing: tuple[float, float, float] | None = None) -> T:
    """Return a metric or binarizer of images as one of volumes ``(..., D, H, W)``.

    Raises
    ------
    SettingError
        If it neither is pixelwise nor has settings for the number of axes.
    """
    if isinstance(thing, _PixelsOfVolumes):
        return thing
    if read_pixelwise(thing):
        return _PixelsOfVolumes(thing)  # type: ignore[arg-type,return-value]
    if not read_from_sample(thing):
        raise SettingError(
            "a metric or binarizer of volumes must be pixelwise or take spatial_axes or spacing "
            f"from the sample, got {thing!r}; mark it with pixelwise=True if its result depends on "
            "no pixel's place"
        )
    return with_sample_settings(thing, spacing=spacing, spatial_axes=3)


@dataclass(frozen=True)
class _PixelsOfVolumes:
    """A pixelwise metric or binarizer that is applied to the voxels of volumes."""

    thing: Callable[..., Any]

    def __post_init__(self) -> None:
        for name in (*_COPIED, "label"):
            value = read_property(self.thing, name)
            if value is not None:
                object.__setattr__(self, name, value)
        if (title := read_title(self.thing)) is not None:
            object.__setattr__(self, "title", title)

    def __call__(self, *arrays: Any) -> Any:
        """Return the results for arrays ``(..., D, H, W)``: scores ``(...)``, or masks."""
        for array in arrays:
            check_volumes(as_tensor(array, "arrays"), 3, "arrays")
        flat = [array.reshape(*array.shape[:-3], -1, array.shape[-1]) for array in arrays]
        result = self.thing(*flat)
        if read_property(self.thing, "takes") is not None:
            return result
        return result.reshape(arrays[0].shape)


@memoized
def kept_pixels(arrays: Tensor, keep: Tensor) -> Tensor:
    """Return the pixels that are not ignored of each image, as images ``(..., 1, n)``."""
    return arrays[..., keep].unsqueeze(-2)


@memoized
def fill_ignored(given: Tensor, keep: Tensor, *, below: bool = False) -> Tensor:
    """Return masks that are false on ignored pixels, or maps with their lowest kept value there.

    Parameters
    ----------
    given
        Masks or maps ``(..., *keep.shape)``.
    keep
        Pixels that are not ignored, at least one, ``(H, W)`` or ``(D, H, W)``.
    below
        Whether ignored pixels of maps get the next number below the lowest kept value, so that no
        ignored pixel is a maximum, also if the map is constant.
    """
    if given.dtype == torch.bool:
        return given & keep
    values = given if given.is_floating_point() else exact(given)
    lowest = values[..., keep].amin(-1)
    if below:
        lower = torch.nextafter(lowest, torch.full_like(lowest, -torch.inf))
        lowest = lower.where(lower.isfinite(), lowest)
    return values.where(keep, lowest[(..., *[None] * keep.ndim)])


def without_ignored_pixels(
    metric: Callable[..., Any], given: Tensor, truth: Any, keep: Tensor
) -> tuple[Callable[..., Any], Tensor, Any]:
    """Return a metric with masks or maps of one sample and its truth, without ignored pixels.

    A pixelwise metric gets the kept pixels as an image ``(1, n)``. Any other metric gets images in
    which ignored pixels are background: false in masks and truth, below the lowest kept value in
    maps. For it a border of the kept region is a border of an object that extends beyond it.

    Parameters
    ----------
    metric
        A metric of masks or of maps. For volumes it must be one of volumes already, if it is not
        pixelwise.
    given
        Masks or maps ``(..., *keep.shape)``; ignored pixels may hold NaN.
    truth
        True masks of that shape. `Objects` are passed on as they are.
    keep
        Pixels that are not ignored, at least one, ``(H, W)`` or ``(D, H, W)``.

    Returns
    -------
    tuple
        The metric to call, and its two arguments.
    """
    if isinstance(metric, _PixelsOfVolumes):
        metric = metric.thing
    if read_pixelwise(metric):
        return metric, kept_pixels(given, keep), kept_pixels(truth, keep)
    true = fill_ignored(truth, keep) if isinstance(truth, Tensor) else truth
    return metric, fill_ignored(given, keep, below=True), true


def binarize_kept(binarizer: Callable[..., Any], maps: Tensor, keep: Tensor) -> Tensor:
    """Binarize maps of one sample without the pixels that are ignored, which are not marked.

    A pixelwise binarizer gets the kept pixels as an image ``(1, n)``. A binarizer with a method
    ``on_kept(maps, keep)`` decides for itself, such as the largest component of another's masks.
    Any other gets maps with the lowest kept value on ignored pixels.

    Parameters
    ----------
    binarizer
        A binarizer; for volumes one of volumes already, if it is not pixelwise.
    maps
        Maps ``(..., *keep.shape)``; ignored pixels may hold NaN.
    keep
        Pixels that are not ignored, ``(H, W)`` or ``(D, H, W)``.

    Returns
    -------
    Tensor
        Masks of the maps' shape; empty if every pixel is ignored.
    """
    if isinstance(binarizer, _PixelsOfVolumes):
        binarizer = binarizer.thing
    masks = torch.zeros(maps.shape, dtype=torch.bool, device=maps.device)
    if not keep.any():
        return masks
    if read_pixelwise(binarizer):
        masks[..., keep] = binarizer(kept_pixels(maps, keep)).squeeze(-2)
        return masks
    if callable(on_kept := getattr(binarizer, "on_kept", None)):
        found: Tensor = on_kept(maps, keep)
        return found & keep
    found = binarizer(fill_ignored(maps, keep))
    return found & keep
