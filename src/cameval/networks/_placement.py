"""What a network does to an image before its first convolution.

It may crop, pad, flip or turn it, so that maps are at another place; and it may normalize it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cameval._checks import warn_user
from cameval.networks._copies import private_copy
from cameval.networks._trial import CONVOLUTIONS, candidate_images
from cameval.networks.activations import without_graph

RECORD = "placement"
"""Where the record of a run has it."""

Place = Literal["unseen", "opposite", "elsewhere"]

_MARGIN = 1 / 32

_LEAST_SLOPE = 1.5
_LARGEST = 5.0

_SIDES = ("top", "bottom", "left", "right")


class PlacementWarning(UserWarning):
    """A network crops, pads, flips or turns the image before its first convolution.

    A map covers the whole input of the network. Where the layers see only a part of it, or see it
    at another place, the map is not where the network looked, although its values are exact. Do
    such steps in :class:`cameval.Preparation`, outside of the network: it does the same to the
    masks.

    A margin of 1/32 of a trial image is altered at each side, and the inputs of the first
    convolution are compared. Not found are steps that move the image by less, depend on the image,
    or come after the first convolution; and those of networks that have no convolution, or that mix
    all positions before it. A :class:`~cameval.CAMModel` that is built of parts is not looked at.
    """


@dataclass(frozen=True)
class Placement:
    """What a network does to an image before its first convolution.

    Parameters
    ----------
    places
        Where the first convolution sees the margin of each side that is not at its place.
    affine
        Slope and offset of each channel, if the input of the first convolution is such a function
        of the image; else empty.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks._placement import Placement
    >>> class Center(nn.Module):
    ...     def forward(self, x):
    ...         return x[..., 8:-8]
    >>> net = nn.Sequential(Center(), nn.Conv2d(3, 4, 3))
    >>> Placement.of(net, torch.rand(1, 3, 32, 32)).places
    {'left': 'unseen', 'right': 'unseen'}
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    affine: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, clone: nn.Module, image: Tensor) -> "Placement":
        """Return what a network does to an image ``(1, channels, H, W)``.

        The network gets hooks, which are removed. It is all right where it cannot be judged.
        """
        try:
            with without_graph():
                before, widths = _first_inputs(clone, image)
                image = image.cpu()
        except Exception:  # it does not take this batch
            return cls()
        if before is None or before.ndim != image.ndim:
            return cls()
        found = {
            side: _place(before[k + 1] - before[0], k, widths[k // 2] / image.shape[2 + k // 2])
            for k, side in enumerate(_sides(image))
        }
        places = {side: place for side, place in found.items() if place is not None}
        return cls(places, _affine(image, before[:1]))

    @classmethod
    def of_network(cls, net: nn.Module) -> "Placement":
        """Return what a network, which is not changed, does to a random image that it takes."""
        reference = next(chain(net.parameters(), net.buffers()), torch.empty(0))
        if reference.is_meta or not any(isinstance(m, CONVOLUTIONS) for m in net.modules()):
            return cls()
        for batch in candidate_images(net):
            image = batch[:1].to(reference.device, reference.dtype)
            devices = [reference.device] if reference.is_cuda else []
            with torch.random.fork_rng(devices), without_graph():
                try:
                    clone = private_copy(net)
                    clone(image.clone())
                except Exception:  # it takes no image of this size
                    continue
                return cls.of(clone, image)
        return cls()

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> "Placement":
        """Return what the record of a run has."""
        found = run.get(RECORD)
        places = found.items() if isinstance(found, Mapping) else ()
        return cls({str(side): place for side, place in places if place in get_args(Place)})

    def largest_if_normalized_twice(self, images: Tensor) -> float | None:
        """Return the largest value at the first convolution if images seem normalized already.

        None if they do not, or the network does not normalize them. They seem so if some value is
        negative, the network divides by less than 2/3, and values beyond 5 come out: the usual
        means and standard deviations bring images into [-3, 3].
        """
        if not any(slope > _LEAST_SLOPE for slope, _ in self.affine) or not (images < 0).any():
            return None
        slope, offset = images.new_tensor(self.affine).T.reshape(
            2, 1, -1, *(1 for _ in images.shape[2:])
        )
        largest = (slope * images + offset).abs().amax().item()
        return largest if largest > _LARGEST else None

    def to_record(self) -> dict[str, Any]:
        """Return what the record of a run has of it; nothing if all is at its place."""
        return {RECORD: dict(self.places)} if self.places else {}

    def __bool__(self) -> bool:
        """Return whether something is not at its place."""
        return bool(self.places)

    def __str__(self) -> str:
        """Return what the first convolution sees, in words."""
        words = {
            "unseen": "does not see the margin at the {sides}",
            "opposite": "sees the margin of the {sides} at the opposite side",
            "elsewhere": "sees the margin of the {sides} at another place",
        }
        return " and ".join(
            text.format(sides=", ".join(s for s, p in self.places.items() if p == place))
            for place, text in words.items()
            if place in self.places.values()
        )


def warn_of_placement(net: nn.Module, placement: Placement) -> None:
    """Warn that a network does not see the image at its place."""
    if placement:
        warn_user(
            "the layers of a network must see the whole image at its place for maps to fit it, "
            f"got a {type(net).__name__} whose first convolution {placement}: the image is "
            "cropped, padded, flipped or turned inside; do this in cameval.Preparation, outside of "
            "the network, which does the same to the masks, and adapt the network without it",
            PlacementWarning,
        )


class _Reached(BaseException):
    """Ends a forward pass at the first convolution; no ``except Exception`` catches it."""


def _first_inputs(clone: nn.Module, image: Tensor) -> tuple[Tensor | None, list[int]]:
    """Return what the convolution that runs first gets of an image, with altered margins, too.

    The first row is of the image, the others of the sides. None if no convolution runs, or it does
    not get as many images. The widths of the margins of each axis are at least what one pixel of
    the convolution's input sees.
    """
    widths = [max(1, round(_MARGIN * size)) for size in image.shape[2:]]
    before = _first_input(clone, _with_margins(image, widths))
    if before is not None and before.ndim == image.ndim:
        least = [-(-n // k) for n, k in zip(image.shape[2:], before.shape[2:], strict=True)]
        if any(width < one for width, one in zip(widths, least, strict=True)):
            widths = [max(pair) for pair in zip(widths, least, strict=True)]
            before = _first_input(clone, _with_margins(image, widths))
    return before, widths


def _with_margins(image: Tensor, widths: Sequence[int]) -> Tensor:
    """Return an image, and it with each margin altered: dark where it is bright, else bright."""
    altered = [image]
    low, high = image.min(), image.max()
    for axis, width in enumerate(widths, 2):
        for margin in (slice(0, width), slice(-width, None)):
            one = image.clone()
            part = one.movedim(axis, 0)[margin]
            part.copy_(torch.where(part > (low + high) / 2, low, high))
            altered.append(one)
    return torch.cat(altered)


def _first_input(clone: nn.Module, images: Tensor) -> Tensor | None:
    """Return the input of the convolution that runs first; None if it has not as many images."""
    with _keeping_inputs(clone) as inputs, suppress(_Reached):
        clone(images.clone())
    return inputs[0].cpu() if inputs and len(inputs[0]) == len(images) else None


def _affine(image: Tensor, before: Tensor) -> tuple[tuple[float, float], ...]:
    """Return slope and offset of each channel, if the input is such a function of the image."""
    if image.shape != before.shape:
        return ()
    x, y = (one.double().movedim(1, 0).flatten(1) for one in (image, before))
    centered = x - x.mean(1, keepdim=True)
    slope = (centered * y).sum(1) / centered.square().sum(1)
    offset = (y - slope[:, None] * x).mean(1)
    error = (slope[:, None] * x + offset[:, None] - y).abs().amax(1)
    if not bool((error <= 1e-3 * (y.amax(1) - y.amin(1))).all()):
        return ()
    return tuple(zip(slope.tolist(), offset.tolist(), strict=True))


@contextmanager
def _keeping_inputs(clone: nn.Module) -> Iterator[list[Tensor]]:
    inputs: list[Tensor] = []

    def keep(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs.append(given[0].clone())
        raise _Reached

    convolutions = [module for module in clone.modules() if isinstance(module, CONVOLUTIONS)]
    handles = [module.register_forward_pre_hook(keep) for module in convolutions]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()


def _sides(image: Tensor) -> tuple[str, ...]:
    """Return the names of the sides of an image or a volume: start and end of each axis."""
    return ("first slices", "last slices", *_SIDES) if image.ndim == 5 else _SIDES


def _place(change: Tensor, side: int, width: float) -> Place | None:
    """Return where a margin is seen; None if at its place, or if it cannot be judged.

    Parameters
    ----------
    change
        The difference ``(channels, h, w)`` that altering the margin makes.
    side
        Number of the side: start and end of each axis.
    width
        Width of the margin, as a part of the side of the image.
    """
    changed = change.abs().amax(0)
    seen = changed > changed.max() / 4  # less is due to a mean or a range of the whole image
    if not seen.any():
        return "unseen"
    if seen.float().mean() > 1 / 4:  # positions are mixed
        return None
    axis, at_end = side // 2, side % 2 == 1
    first, last = _extent(seen, axis)
    if at_end:
        first, last = 1 - last, 1 - first
    near = width + _MARGIN + 1 / seen.shape[axis]
    if last <= near:
        return None
    return "opposite" if first >= 1 - near else "elsewhere"


def _extent(seen: Tensor, axis: int) -> tuple[float, float]:
    """Return the first and the last position of an axis where something is seen, in [0, 1]."""
    others = [other for other in range(seen.ndim) if other != axis]
    found = seen.any(dim=others).nonzero()
    size = seen.shape[axis]
    return found.min().item() / size, (found.max().item() + 1) / size
