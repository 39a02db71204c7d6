"""From images to maps on those images: the one object that most users hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.maps import upsample
from cameval.methods import CAMMethod, grad_cam
from cameval.networks import adapt
from cameval.networks.activations import check_classes, without_graph

__all__ = ["CAMExtractor", "CAMResult", "Classes"]

Classes = int | Sequence[int] | Tensor | NDArray[np.integer[Any]]
"""One class for all images, or one per image."""


@dataclass(frozen=True, eq=False)
class CAMResult:
    """What one call of a :class:`CAMExtractor` gives.

    Parameters
    ----------
    maps
        Raw maps on the images, ``(N, H, W)``.
    coarse
        The same maps as the method gave them, on the feature grid, ``(N, h, w)``.
    logits
        The network's class scores, ``(N, C)``.
    classes
        The class that each map explains, ``(N,)``.
    """

    maps: Tensor
    coarse: Tensor
    logits: Tensor
    classes: Tensor


@dataclass(frozen=True)
class CAMExtractor:
    """Class activation maps of a network, on the images it is shown.

    Parameters
    ----------
    model
        A network. A plain ``nn.Module`` is adapted (see `adapt`); it is never changed, whatever its
        mode, and may be shared between threads.
    method
        How the map is made, by default :func:`grad_cam`, which every network supports.

    Raises
    ------
    UnsupportedModelError
        If the network is of no declared family.

    Notes
    -----
    The trunk runs without autograd and a gradient, where the method needs one, is taken of the head
    alone, so that a map costs little more than the prediction. It works on frozen networks, and
    inside ``torch.no_grad()`` and ``torch.inference_mode()``.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> extract = CAMExtractor(resnet18(), method=grad_cam)
    >>> result = extract(torch.rand(2, 3, 64, 64))
    >>> result.maps.shape, result.coarse.shape, result.logits.shape, result.classes.shape
    (torch.Size([2, 64, 64]), torch.Size([2, 2, 2]), torch.Size([2, 1000]), torch.Size([2]))
    """

    model: nn.Module
    method: CAMMethod = grad_cam

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise ArrayTypeError(f"model must be an nn.Module, got {type(self.model).__name__}")
        if not callable(self.method):
            raise SettingError(
                f"method must be callable as method(activations, classes), got {self.method!r}"
            )
        object.__setattr__(self, "model", adapt(self.model))

    def __call__(
        self,
        images: Tensor,
        classes: Classes | None = None,
        *,
        size: tuple[int, int] | None = None,
    ) -> CAMResult:
        """Make one map per image.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)``, normalized as the network expects.
        classes
            The class to explain: an int for all images or one per image. By default each image's
            predicted class.
        size
            Height and width of the maps, by default those of the images. Give the size of the masks
            to score maps on the masks' own grid.

        Returns
        -------
        CAMResult
            Maps, coarse maps, logits and classes. Maps are raw: signed where the method is, not
            scaled, upsampled bilinearly (``align_corners=False``) and nothing else.

        Raises
        ------
        ShapeError
            If `images` is not four-dimensional, or `classes` are not one per image.
        ClassIndexError
            If a class is not one of the network's.
        """
        _check_images(images)
        activations = adapt(self.model).activations(images)
        with without_graph():
            chosen = _classes(classes, activations.logits)
            coarse = self.method(activations, chosen)
            _check_coarse(coarse, len(images))
            maps = upsample(coarse, size or (images.shape[-2], images.shape[-1]))
        return CAMResult(maps, coarse, activations.logits, chosen)


def _check_images(images: object) -> None:
    if not isinstance(images, Tensor) or not images.is_floating_point():
        came = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ArrayTypeError(f"images must be a floating-point torch tensor, got {came}")
    if images.ndim != 4:
        hint = "; add a batch axis with images[None]" if images.ndim == 3 else ""
        raise ShapeError(
            f"images must have shape (N, channels, H, W), got {tuple(images.shape)}{hint}"
        )


def _classes(classes: Classes | None, logits: Tensor) -> Tensor:
    """Return one class index per image."""
    if classes is None:
        return logits.argmax(1)
    chosen = torch.as_tensor(classes, device=logits.device)
    if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
        raise ArrayTypeError(f"classes must be integers, got {chosen.dtype}")
    if chosen.ndim == 0:
        chosen = chosen.expand(len(logits))
    chosen = chosen.to(torch.int64, copy=True)  # a normal tensor even of one made in inference mode
    check_classes(chosen, logits)
    return chosen


def _check_coarse(coarse: object, count: int) -> None:
    shape = tuple(coarse.shape) if isinstance(coarse, Tensor) else type(coarse).__name__
    if not isinstance(coarse, Tensor) or coarse.ndim != 3 or len(coarse) != count:
        raise ShapeError(
            f"a method must return maps of shape (N, h, w) with N = {count}, got {shape}"
        )
