"""From images to maps on those images: the one object that most users hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.geometry import Place
from cameval.maps import upsample
from cameval.methods import CAMMethod, grad_cam
from cameval.networks import Activations, Target, adapt, check_cut
from cameval.networks.activations import check_classes, recording, without_graph
from cameval.networks.outputs import check_no_sigmoid, count_classes

__all__ = [
    "Alignment",
    "CAMExtractor",
    "CAMResult",
    "Classes",
    "TopClasses",
    "all_classes",
    "check_alignment",
    "check_images",
    "check_parts",
    "choose",
    "coarse_maps",
    "explain",
]

Classes = int | Sequence[int] | Tensor | NDArray[np.integer[Any]] | Callable[[Tensor], Tensor]
"""One class for all images, one per image ``(N,)``, several per image ``(N, k)``, or a function
that chooses classes by the logits."""

Alignment = Literal["half_pixel", "receptive_field"]
"""How maps are laid on the image; see :class:`CAMExtractor`."""


@dataclass(frozen=True, eq=False)
class CAMResult:
    """What one call of a :class:`CAMExtractor` gives.

    Parameters
    ----------
    maps
        Raw maps on the images, ``(N, H, W)``; with several classes per image ``(N, k, H, W)``.
    coarse
        The same maps as the method gave them, on the feature grid, ``(N, h, w)``.
    logits
        What the network returned: class scores ``(N, C)``.
    classes
        The class that each map explains, ``(N,)``; -1 where it explains a function of the output.
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
    alignment
        How the coarse map is laid on the image. ``"half_pixel"``, the custom of the field, lets its
        cells fill the image evenly. ``"receptive_field"`` puts each cell where its receptive field
        has its center, which in ResNet-like networks is half a cell further up and left.
    check
        Whether the first batch is also shown to the network that was cut, and the outputs are
        compared (see `check_cut`). It costs one more pass, once for each extractor.

    Raises
    ------
    UnsupportedModelError
        If the network is of no declared family; in the first call, if the cut does not compute what
        the network computes.
    SettingError
        If alignment by receptive fields is asked for where the place of the cells is not known.

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
    alignment: Alignment = "half_pixel"
    check: bool = True
    _checked: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_parts(self.model, self.method)
        object.__setattr__(self, "model", adapt(self.model))
        check_alignment(self.alignment, adapt(self.model).place)

    def __call__(
        self,
        images: Tensor,
        classes: Classes | None = None,
        *,
        target: Callable[[Tensor], Tensor] | None = None,
        size: tuple[int, ...] | None = None,
        create_graph: bool = False,
    ) -> CAMResult:
        """Make one map per image, or per image and class.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)``, normalized as the network expects. Volumes ``(N,
            channels, D, H, W)`` give volumes of maps.
        classes
            The class to explain: an int for all images, one per image ``(N,)``, or several per
            image ``(N, k)``. A function chooses by the logits, as :func:`all_classes` and
            :class:`TopClasses` do. By default each image's predicted class. One logit z stands for
            two classes: the map of class 1 is that of z, the map of class 0 that of -z.
        target
            Explain instead a function of what the network returns, one score per image: a sum of
            classes, an output of a regression, a region of a segmentation.
        size
            Height and width of the maps, by default those of the images. Give the size of the masks
            to score maps on the masks' own grid.
        create_graph
            Keep the graph of the maps, so that they can be part of a loss. The network then runs in
            its own mode, and its weights learn.

        Returns
        -------
        CAMResult
            Maps, coarse maps, logits and classes. Maps are raw: signed where the method is, not
            scaled, interpolated linearly and nothing else.

        Raises
        ------
        ShapeError
            If `images` have another number of axes, or `classes` are not one or several per image.
        ClassIndexError
            If a class is not one of the network's.
        SettingError
            If `classes` and `target` are both given, or a graph is asked for without autograd.
        UnsupportedModelError
            If the cut does not compute what the network computes, or the network writes to its
            buffers in evaluation mode. If a class is to be predicted by the only output, and that
            is of a sigmoid.
        UnsupportedHeadError
            If the method needs a head that this one is not, or its map is not as exact as it says.
        """
        check_images(images)
        model = adapt(self.model)
        activations = model.activations(images, create_graph=create_graph)
        if self.check and not self._checked and not create_graph:
            check_cut(model, images, activations.logits)
            if classes is None and target is None and activations.logits.shape[1:] == (1,):
                check_no_sigmoid(activations.logits, activations.network, images)
            self._checked.append(True)
        chosen = choose(classes, target, activations.logits)
        place = model.place if self.alignment == "receptive_field" else None
        return explain(activations, self.method, chosen, target, place, size)


def explain(
    activations: Activations,
    method: CAMMethod,
    classes: Tensor,
    target: Callable[[Tensor], Tensor] | None,
    place: Place | None,
    size: tuple[int, ...] | None,
) -> CAMResult:
    """Apply a method to the activations, once for each class, and lay the maps on the images."""
    image_size = tuple(activations.images.shape[2:])
    with recording(activations.create_graph):
        columns = [classes] if classes.ndim == 1 else classes.unbind(1)
        coarse = [coarse_maps(activations, method, target or column) for column in columns]
        stacked = coarse[0] if classes.ndim == 1 else torch.stack(coarse, 1)
        maps = upsample(stacked, size or image_size, place=place, image_size=image_size)
    return CAMResult(maps, stacked, activations.logits, classes)


def coarse_maps(activations: Activations, method: CAMMethod, target: Target) -> Tensor:
    """Apply a method to the activations and check what it gives."""
    maps: object = method(activations, target)
    shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
    count, axes = len(activations.features), activations.features.ndim - 1
    if not isinstance(maps, Tensor) or maps.ndim != axes or len(maps) != count:
        raise ShapeError(
            f"a method must return maps of shape (N, h, w) with N = {count}, got {shape}"
        )
    return maps


def check_parts(model: object, *methods: object) -> None:
    """Check that maps can be made with these parts."""
    if not isinstance(model, nn.Module):
        raise ArrayTypeError(f"model must be an nn.Module, got {type(model).__name__}")
    for method in methods:
        if not callable(method):
            raise SettingError(
                f"method must be callable as method(activations, target), got {method!r}"
            )


def check_alignment(alignment: str, place: Place | None) -> None:
    """Check the name of an alignment, and that it can be had."""
    if alignment not in get_args(Alignment):
        raise SettingError(
            f"alignment must be one of {', '.join(get_args(Alignment))}, got {alignment!r}"
        )
    if alignment == "receptive_field" and place is None:
        raise SettingError(
            "alignment by receptive fields needs the place of the cells, which is known for the "
            "last features of torchvision's networks alone; give it, as in "
            "cameval.CAMModel(features, head, place=cameval.Place(offset, stride))"
        )


def check_images(images: object) -> None:
    """Check the images that a network is to be shown."""
    if not isinstance(images, Tensor) or not images.is_floating_point():
        came = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ArrayTypeError(f"images must be a floating-point torch tensor, got {came}")
    if images.ndim not in (4, 5):
        hint = "; add a batch axis with images[None]" if images.ndim == 3 else ""
        raise ShapeError(
            f"images must have shape (N, channels, H, W), got {tuple(images.shape)}{hint}"
        )


def choose(
    classes: Classes | None, target: Callable[[Tensor], Tensor] | None, logits: Tensor
) -> Tensor:
    """Return the classes to explain, ``(N,)`` or ``(N, k)``; -1 for another target."""
    if target is not None:
        if classes is not None:
            raise SettingError("classes and target must not both be given, got both")
        return torch.full((len(logits),), -1, device=logits.device)
    with without_graph():
        if classes is None:
            classes = _predicted
        if callable(classes):
            classes = classes(logits.detach())
        chosen = torch.as_tensor(classes, device=logits.device)
        if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
            raise ArrayTypeError(f"classes must be integers, got {chosen.dtype}")
        if chosen.ndim == 0:
            chosen = chosen.expand(len(logits))
        # A copy is a normal tensor, even of labels made in inference mode.
        chosen = chosen.to(torch.int64, copy=True)
    if chosen.ndim not in (1, 2) or chosen.shape[1:] == (0,):
        raise ShapeError(
            f"classes must have shape ({len(logits)},) or ({len(logits)}, k), "
            f"got {tuple(chosen.shape)}"
        )
    for column in [chosen] if chosen.ndim == 1 else chosen.unbind(1):
        check_classes(column, logits)
    return chosen


def all_classes(logits: Tensor, /) -> Tensor:
    """Choose every class of every image, ``(N, C)``, in order.

    Examples
    --------
    >>> all_classes(torch.rand(2, 3))
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    count = count_classes(logits)
    return torch.arange(count, device=logits.device).expand(len(logits), count)


@dataclass(frozen=True)
class TopClasses:
    """Choose the `count` classes of highest logits, the highest first.

    Parameters
    ----------
    count
        How many, at least 1.

    Raises
    ------
    SettingError
        If `count` is not positive.

    Examples
    --------
    >>> TopClasses(2)(torch.tensor([[0.1, 3.0, 2.0]]))
    tensor([[1, 2]])
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingError(f"count must be at least 1, got {self.count}")

    def __call__(self, logits: Tensor, /) -> Tensor:
        """Return class indices ``(N, count)`` of logits ``(N, C)``."""
        if count_classes(logits) < self.count:
            raise SettingError(
                f"count must be at most the network's {count_classes(logits)} classes, "
                f"got {self.count}"
            )
        of_classes = torch.cat([-logits, logits], 1) if logits.shape[1] == 1 else logits
        return of_classes.topk(self.count, dim=1).indices


def _predicted(logits: Tensor) -> Tensor:
    if logits.ndim != 2:
        raise ShapeError(
            "the network must return logits (N, C) for a class to be predicted, got shape "
            f"{tuple(logits.shape)}; give a function of its output as the target"
        )
    return TopClasses(1)(logits)[:, 0] if logits.shape[1] == 1 else logits.argmax(1)
