"""Map extraction: `CAMExtractor` for one method, `CAMSweep` for several methods and layers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from cameval._arrays import shape_or_type, unwritten
from cameval._checks import check_callable, warn_user
from cameval._deferred import holds
from cameval._other_names import init_with_hints, with_hints
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.maps import CellCenters, upsample
from cameval.methods import grad_cam
from cameval.networks import CAMModel, LayerModel, ScoreTarget, adapt
from cameval.networks._cuts import check_cut
from cameval.networks._images import are_prepared, check_finite, check_images, explain_channels
from cameval.networks._outputs import are_probabilities, check_no_sigmoid
from cameval.networks._placement import Placement
from cameval.networks._search import find_layer_name
from cameval.networks._selection import own_name, own_network
from cameval.networks.activations import Activations, recording
from cameval.networks.adapt import unwrap, warn_of_compiled
from cameval.networks.grids import identity
from cameval.networks.layers import layer_activations
from cameval.plots._maps import plot_maps, small_picture
from cameval.plots._overlay import OPAQUE, Alpha
from cameval.protocols import CAMMethod
from cameval.target_classes import Classes, choose_classes, given_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Alignment",
    "CAMExtractor",
    "CAMResult",
    "CAMSweep",
    "ImageRangeWarning",
    "NormalizedTwiceWarning",
    "ProbabilityWarning",
]

Alignment = Literal["half_pixel", "receptive_field"]
"""How coarse maps are aligned with the image; see :class:`CAMExtractor`."""

_BRIGHTEST = 50.0


class ImageRangeWarning(UserWarning):
    """Images have no negative value, and one above 50, as pixels from 0 to 255 have.

    Images that are divided by 255 reach 1, and the usual means and standard deviations bring them
    into [-3, 3]; a normalization by a mean has negative values. A network that takes pixels from 0
    to 255, since it normalizes them itself, is right to get them. For it, filter the warning:
    ``warnings.simplefilter("ignore", cameval.extractor.ImageRangeWarning)``. Only
    :class:`CAMExtractor` and :class:`CAMSweep` warn, and only of images that are given to them:
    those that a :class:`~cameval.Preparation` makes are as it says.
    """


class NormalizedTwiceWarning(UserWarning):
    """A network normalizes images itself, and gets images that are normalized already.

    It is known where the input of the first convolution is, in each channel, a multiple of the
    image plus a constant. Judged is whether the network divides by less than 2/3, an image has a
    negative value, and a value beyond 5 reaches the first convolution: the usual means and standard
    deviations bring images into [-3, 3]. Give the network images in [0, 1]; in an evaluation with
    ``prepare=Preparation(mean=(0, 0, 0), std=(1, 1, 1))``, or on the command line with ``--mean 0
    --std 1``.
    """


class ProbabilityWarning(UserWarning):
    """A network returns probabilities, as after a softmax, and not logits.

    Maps by gradients are then those of a probability: its gradient depends on all logits, and
    vanishes where it is near 0 or 1. Known where the outputs of an image lie in [0, 1] and have the
    sum 1.
    """


def warn_of_probabilities() -> None:
    """Warn that the outputs of a network are probabilities."""
    warn_user(
        "a network must return logits, got probabilities, as after a softmax; give the network "
        "without its last softmax. The gradient of a probability vanishes where it is near 0 or 1, "
        "and so do maps by gradients",
        ProbabilityWarning,
    )


def warn_of_range(placement: Placement | None, images: Tensor) -> None:
    """Warn of images that look like pixels from 0 to 255, or that are normalized twice.

    Warns
    -----
    ImageRangeWarning
        If no value is negative, and one is above 50.
    NormalizedTwiceWarning
        If the network normalizes images that are normalized already.
    """
    values = images.detach()
    if are_prepared() or not values.numel():
        return
    if not holds((values.amin() < 0) | (values.amax() <= _BRIGHTEST)):
        warn_user(
            f"images must be normalized as in training, got values from {values.min().item():.3g} "
            f"to {values.max().item():.3g}; divide by 255 and normalize: (images / 255 - mean) / "
            "std. If the network normalizes images itself, filter this ImageRangeWarning",
            ImageRangeWarning,
        )
    largest = None if placement is None else placement.largest_if_normalized_twice(values)
    if largest is not None:
        warn_user(
            "images for a network that normalizes them itself must be in [0, 1], got negative "
            f"values, and values up to {largest:.3g} at the first convolution: they are normalized "
            "twice; leave out one of the two",
            NormalizedTwiceWarning,
        )


@dataclass(frozen=True, eq=False)
class CAMResult:
    """Result of a :class:`CAMExtractor`: maps, logits and target classes.

    Parameters
    ----------
    maps
        Raw maps on the images, ``(N, H, W)``; with several classes per image ``(N, k, H, W)``.
    coarse
        The output of the method: maps on the feature grid, ``(N, h, w)``.
    logits
        The output of the network: class scores ``(N, C)``.
    classes
        The target class of each map, ``(N,)``; -1 where the target is a function of the output.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import squeezenet1_1
    >>> from cameval import CAMExtractor
    >>> result = CAMExtractor(squeezenet1_1())(torch.rand(2, 3, 64, 64), classes=7)
    >>> result
    CAMResult(2 maps of 64 x 64 from 3 x 3 cells, classes 7, 7, cpu)
    >>> result.logits.shape
    torch.Size([2, 1000])
    >>> from matplotlib.figure import Figure
    >>> first, second = result.plot(axes=Figure().subplots(1, 2))
    >>> first.get_title()
    'class 7'
    """

    maps: Tensor
    coarse: Tensor
    logits: Tensor
    classes: Tensor

    def __repr__(self) -> str:
        """Return the number and sizes of the maps, and their classes."""
        size, cells = (" x ".join(map(str, self._axes_of(one))) for one in (self.maps, self.coarse))
        several = self.classes.flatten().tolist()
        shown = ", ".join(map(str, several[:6])) + ", ..." * (len(several) > 6)
        return (
            f"CAMResult({len(several)} maps of {size} from {cells} cells, classes {shown}, "
            f"{self.maps.device})"
        )

    def _repr_html_(self) -> str:
        """Return the same with a small picture, for notebooks."""
        picture = small_picture(self.maps.detach(), self.classes)
        return f"<div>{picture}<p>{escape(repr(self))}</p></div>"

    def _axes_of(self, maps: Tensor) -> tuple[int, ...]:
        """Return height and width of maps, of volumes also the depth."""
        return tuple(maps.shape[self.classes.ndim :])

    def plot(
        self,
        images: Tensor | None = None,
        axes: "Axes | Sequence[Axes] | None" = None,
        *,
        class_names: Sequence[str] = (),
        alpha: Alpha = OPAQUE,
    ) -> "list[Axes]":
        """Plot the maps in a row, on their images. Needs Matplotlib, of the extra ``report``.

        Parameters
        ----------
        images
            The images of the call, ``(N, channels, H, W)``. They are shown in gray, each by its own
            minimum and maximum. Without them the maps are on an even gray.
        axes
            Axes of Matplotlib, one for each map, image by image; by default a row in a new figure
            of pyplot, which a notebook shows. No other global state of Matplotlib is changed.
        class_names
            Names of the classes for the titles, by default the numbers.
        alpha
            The opacity of the maps at their maximum, in [0, 1]; with ``"map"`` low values are
            nearly transparent. See :func:`cameval.plots.overlay`.

        Returns
        -------
        list of matplotlib.axes.Axes
            The axes; see :func:`cameval.plots.overlay` for the colors.

        Raises
        ------
        ShapeError
            If the maps are volumes, or the images are not those of the maps.
        SettingError
            If axes of another number are given, or `alpha` is out of range.
        MissingPackageError
            If Matplotlib is not installed.
        ArrayTypeError
            If `axes` are something else.

        Examples
        --------
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from torchvision.models import resnet18
        >>> from cameval import CAMExtractor
        >>> images = torch.rand(2, 3, 64, 64)
        >>> result = CAMExtractor(resnet18())(images, classes=[281, 207])
        >>> axes = result.plot(images, Figure().subplots(1, 2))
        >>> [one.get_title() for one in axes]
        ['class 281', 'class 207']
        """
        return plot_maps(self.maps, self.classes, images, axes, class_names, alpha)


@init_with_hints
@dataclass(frozen=True)
class CAMExtractor:
    """Class activation maps of a network, at the size of its images.

    Parameters
    ----------
    model
        A network. An ``nn.Module`` is adapted (see `adapt`); it is never changed, in either mode,
        and may be shared between threads.
    method
        The method that computes the maps, by default :func:`grad_cam`, which works at any layer on
        which the logits depend. Where no layer is declared or proved, one is named:
        ``CAMExtractor(adapt(net, layer="..."))``.
    alignment
        How the coarse map is aligned with the image. With ``"half_pixel"``, the standard, its cells
        fill the image evenly. With ``"receptive_field"`` each cell lies at the center of its
        receptive field, which in ResNet-like networks is half a cell further up and left.
    check
        Whether the outputs on the first batch are compared with those of the network that was cut.
        It costs one more pass, once for each extractor.

    Raises
    ------
    UnsupportedModelError
        If no layer of the maps is declared or proved; the error lists layers, of which one is named
        with ``adapt(net, layer=...)``. In the first call, if the cut does not compute what the
        network computes.
    SettingError
        If `method` is a word or a class, or alignment by receptive fields is chosen but the cell
        centers are not known.

    Notes
    -----
    The features are computed without autograd, and gradients, where the method needs them, are
    those of the head alone, so that a map costs little more than the prediction. It works on frozen
    networks, and inside ``torch.no_grad()`` and ``torch.inference_mode()``.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMExtractor, grad_cam
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

    def __repr__(self) -> str:
        """Return the names of the network and the method."""
        aligned = "" if self.alignment == "half_pixel" else f", alignment={self.alignment!r}"
        return f"CAMExtractor({network_name(self.model)}, method={_name(self.method)}{aligned})"

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy begins with: the settings. A copy is checked again."""
        return _unchecked(self)

    def __post_init__(self) -> None:
        check_parts(self.model, self.method)
        model = adapt(self.model)
        object.__setattr__(self, "model", model)
        check_alignment(self.alignment, model.cell_centers)

    @with_hints
    def __call__(
        self,
        images: Tensor,
        classes: Classes | None = None,
        *,
        target: Callable[[Tensor], Tensor] | None = None,
        size: tuple[int, ...] | None = None,
        create_graph: bool = False,
    ) -> CAMResult:
        """Compute one map per image, or per image and class.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)``, normalized as the network expects; there is an
            :class:`~cameval.extractor.ImageRangeWarning` of values from 0 to above 50. Volumes
            ``(N, channels, D, H, W)`` give volumes of maps. Images of another floating dtype than
            that of the network are cast to it.
        classes
            The target classes: an int for all images, one per image ``(N,)``, or several per image
            ``(N, k)``. A function chooses them by the logits, as :func:`all_classes` and
            :class:`TopClasses` do. By default, or with ``"predicted"``, each image's predicted
            class. One logit z stands for two classes: the map of class 1 is that of z, the map of
            class 0 that of -z.
        target
            Instead of a class, a function of the network's output that returns one score per image:
            a sum of classes, an output of a regression, a region of a segmentation.
        size
            Height and width of the maps, by default those of the images. Give the size of the masks
            to score maps on the masks' own grid.
        create_graph
            Keep the graph of the maps, so that they can be part of a loss. The network then runs in
            its own mode, and its weights get gradients.

        Returns
        -------
        CAMResult
            Maps, coarse maps, logits and classes. Maps are raw: signed where the method is, not
            scaled, only interpolated.

        Raises
        ------
        ArrayTypeError
            If `images` are no floating-point tensor, or `classes` are no integers.
        ShapeError
            If `images` have another number of axes, or of channels than the network takes, or
            `classes` are not one or several per image.
        NonFiniteError
            If a value of `images` is NaN or infinite.
        ClassIndexError
            If a class is not one of the network's.
        SettingError
            If `classes` and `target` are both given, or `create_graph` is set without autograd.
        UnsupportedModelError
            If the cut does not compute what the network computes, or the network writes to its
            buffers in evaluation mode. Also if the predicted class is needed and the network has
            one output, which is that of a sigmoid.
        UnsupportedHeadError
            If the method does not support the head, or its map is not exact though it must be.
        """
        check_images(images)
        classes = given_classes(classes)
        check_finite(images)
        model = adapt(self.model)  # the same model, checked again: hooks may have been added
        warn_of_range(model.placement, images)
        with explain_channels(model, images):
            activations = model.activations(images, create_graph=create_graph)
        if self.check and not self._checked and not create_graph:
            _check_outputs(model, images, activations.logits, target)
            if classes is None and target is None and activations.logits.shape[1:] == (1,):
                check_no_sigmoid(activations.logits, activations.network, images)
            self._checked.append(True)
        chosen = choose_classes(classes, target, activations.logits)
        cell_centers = model.cell_centers if self.alignment == "receptive_field" else None
        return compute_maps(activations, self.method, chosen, target, cell_centers, size)


def _check_outputs(
    model: CAMModel | LayerModel,
    images: Tensor,
    logits: Tensor,
    target: Callable[[Tensor], Tensor] | None,
) -> None:
    """Check the outputs of the first call; a target of the user may be of probabilities."""
    check_cut(model, images, logits)
    if target is None and are_probabilities(logits):
        warn_of_probabilities()


def compute_maps(
    activations: Activations,
    method: CAMMethod,
    classes: Tensor,
    target: Callable[[Tensor], Tensor] | None,
    cell_centers: CellCenters | None,
    size: tuple[int, ...] | None,
) -> CAMResult:
    """Apply a method to the activations, once for each class, and upsample the maps."""
    image_size = tuple(activations.images.shape[2:])
    with recording(activations.create_graph):
        columns = [classes] if classes.ndim == 1 else classes.unbind(1)
        coarse = [
            coarse_maps(activations, method, target or column, cell_centers) for column in columns
        ]
        stacked = coarse[0] if classes.ndim == 1 else torch.stack(coarse, 1)
        maps = upsample(
            stacked, size or image_size, cell_centers=cell_centers, image_size=image_size
        )
    return CAMResult(maps, stacked, activations.logits, classes)


def coarse_maps(
    activations: Activations,
    method: CAMMethod,
    target: ScoreTarget,
    cell_centers: CellCenters | None = None,
) -> Tensor:
    """Apply a method to the activations, and check its output.

    Cell centers are those of the features: with them maps must be on the feature grid.
    """
    with unwritten("a method", activations.features):
        maps: object = method(activations, target)
    count, axes = len(activations.features), activations.features.ndim - 1
    if not isinstance(maps, Tensor) or maps.ndim != axes or len(maps) != count:
        raise ShapeError(
            f"a method must return maps of shape (N, h, w) with N = {count}, "
            f"got {shape_or_type(maps)}"
        )
    grid, features = tuple(maps.shape[1:]), tuple(activations.features.shape[2:])
    if len(grid) == 2 and grid != features and grid == features[::-1]:
        raise ShapeError(
            f"a method must return maps (N, h, w), as the features have them, {features}, got "
            f"{grid}, which is (N, w, h); exchange the last two axes"
        )
    if cell_centers is not None and grid != features:
        raise SettingError(
            f"maps must be on the feature grid {features} for alignment by receptive fields, got "
            f"{grid}, as of a method over several layers; use alignment='half_pixel'"
        )
    return maps


def check_parts(model: object, *methods: object) -> None:
    """Check that the model is a module and that the methods are callable."""
    if not isinstance(model, nn.Module):
        raise ArrayTypeError(f"model must be an nn.Module, got {type(model).__name__}")
    for method in methods:
        check_callable("method", method, "cameval.methods")


def network_name(net: nn.Module) -> str:
    """Return the class of the network that was cut, and the layer where one was named."""
    if isinstance(net, CAMModel) and net.origin is not None:
        net = net.origin
    if isinstance(net, LayerModel):
        inner = net.net.origin or net.net if isinstance(net.net, CAMModel) else net.net
        return f"{type(own_network(inner)).__name__} at {own_name(inner, net.layer)}"
    return type(own_network(net)).__name__


def _methods_by_name(methods: object) -> dict[str, CAMMethod]:
    """Return methods by the names that they are given, or by their own."""
    if isinstance(methods, Mapping):
        return dict(methods)
    several: list[Any] = [methods]
    if isinstance(methods, Sequence) and not isinstance(methods, str):
        several = list(methods)
    named: dict[str, CAMMethod] = {}
    for one in several:
        label = getattr(one, "label", None)
        name = label if isinstance(label, str) and label else _name(one)
        if name in named:
            raise SettingError(
                f"methods must have different names, got {name!r} twice; give them names, as in "
                "methods={'first': ..., 'second': ...}"
            )
        named[name] = one
    return named


def _name(thing: object) -> str:
    """Return the name or short repr of a method."""
    named = getattr(thing, "__name__", None)
    return named if isinstance(named, str) else f"{repr(thing).partition(' at 0x')[0]:.60}"


def _unchecked(extract: object) -> dict[str, object]:
    """Return the state of an extractor that has not been called yet."""
    return vars(extract) | {"_checked": []}


def check_alignment(alignment: str, cell_centers: CellCenters | None) -> None:
    """Check the name of an alignment, and that the cell centers it needs are known."""
    if alignment not in get_args(Alignment):
        raise SettingError(
            f"alignment must be one of {', '.join(get_args(Alignment))}, got {alignment!r}"
        )
    if alignment == "receptive_field" and cell_centers is None:
        raise SettingError(
            "cell centers must be known for alignment by receptive fields, got a model without "
            "them; they are known for the last features of torchvision's networks. Set them with "
            "cameval.networks.Split(features, head, cell_centers) for a registered family, or in "
            "cameval.CAMModel(features, head, cell_centers), with "
            "cell_centers = cameval.maps.CellCenters(offset, stride)"
        )


@dataclass(frozen=True)
class CAMSweep:
    """Maps by several methods, at several layers, from a single pass through the network.

    Parameters
    ----------
    model
        A network, as for :class:`CAMExtractor`.
    methods
        One, several, or several by name; the results have these names. Without them each has its
        own, as in :func:`cameval.evaluate`.
    layers
        Inner layers: one, or several, as names or modules. By default the last features of `model`,
        under the name ``"features"``.
    alignment
        How maps are aligned with the image, as for :class:`CAMExtractor`; the cell centers of inner
        layers are not known.
    check
        Whether the outputs on the first batch are compared with those of the network that was cut,
        as for :class:`CAMExtractor`.

    Raises
    ------
    SettingError
        If there is no method, or the cell centers that the alignment needs are not known.
    LayerError
        If the network has no such layer.

    Notes
    -----
    The features are computed once. Each class takes one backward pass down to the first of the
    layers, shared by all gradient methods.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMSweep, cam, grad_cam, layer_cam
    >>> from cameval.target_classes import TopClasses
    >>> sweep = CAMSweep(resnet18(), {"cam": cam, "grad_cam": grad_cam})
    >>> results = sweep(torch.rand(2, 3, 64, 64), classes=TopClasses(3))
    >>> results["features", "cam"].maps.shape
    torch.Size([2, 3, 64, 64])
    >>> sweep = CAMSweep(resnet18(), {"layer_cam": layer_cam}, layers=["layer3", "layer4"])
    >>> [result.coarse.shape[-2:] for result in sweep(torch.rand(1, 3, 64, 64)).values()]
    [torch.Size([4, 4]), torch.Size([2, 2])]
    """

    model: nn.Module
    methods: Mapping[str, CAMMethod] | Sequence[CAMMethod] | CAMMethod = field(hash=False)
    layers: Sequence[str | nn.Module] | str | nn.Module | None = field(default=None, hash=False)
    alignment: Alignment = "half_pixel"
    check: bool = True
    _methods: Mapping[str, CAMMethod] = field(init=False, repr=False, compare=False)
    _layers: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)
    _placement: Placement | None = field(default=None, init=False, repr=False, compare=False)
    _checked: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return the names of the network, the methods and the layers."""
        layers = "" if self.layers is None else f", layers={', '.join(self._layers)}"
        return f"CAMSweep({network_name(self.model)}, methods={', '.join(self._methods)}{layers})"

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy begins with: the settings. A copy is checked again."""
        return _unchecked(self)

    def __post_init__(self) -> None:
        methods = _methods_by_name(self.methods)
        if not methods:
            raise SettingError("methods must name at least one method, got none")
        check_parts(self.model, *methods.values())
        object.__setattr__(self, "_methods", methods)
        if self.layers is None:
            model = adapt(self.model)
            object.__setattr__(self, "model", model)
            check_alignment(self.alignment, model.cell_centers)
        else:
            layers: list[str | nn.Module] = (
                [self.layers] if isinstance(self.layers, str | nn.Module) else [*self.layers]
            )
            if not layers:
                raise SettingError("layers must name at least one layer or be None, got none")
            warn_of_compiled(self.model)
            object.__setattr__(self, "model", unwrap(self.model))
            names = tuple(find_layer_name(self.model, layer) for layer in layers)
            object.__setattr__(self, "_layers", names)
            placement = adapt(self.model, layer=names[0]).placement
            object.__setattr__(self, "_placement", placement)
            check_alignment(self.alignment, None)

    def __call__(
        self,
        images: Tensor,
        classes: Classes | None = None,
        *,
        target: Callable[[Tensor], Tensor] | None = None,
        size: tuple[int, ...] | None = None,
        create_graph: bool = False,
    ) -> dict[tuple[str, str], CAMResult]:
        """Compute the maps of all layers and methods, with the arguments of `CAMExtractor`.

        Returns
        -------
        dict of (str, str) to CAMResult
            Results by layer and method.
        """
        check_images(images)
        classes = given_classes(classes)
        check_finite(images)
        cell_centers = None
        passes: Mapping[str, Activations]
        if self.layers is None:
            model = adapt(self.model)  # the same model, checked again: hooks may have been added
            warn_of_range(model.placement, images)
            name = model.layer if isinstance(model, LayerModel) else "features"
            with explain_channels(model, images):
                passes = {name: model.activations(images, create_graph=create_graph)}
            if self.check and not self._checked and not create_graph:
                _check_outputs(model, images, passes[name].logits, target)
                self._checked.append(True)
            cell_centers = model.cell_centers if self.alignment == "receptive_field" else None
        else:
            warn_of_range(self._placement, images)
            grids = dict.fromkeys(self._layers, identity)
            with explain_channels(self.model, images):
                passes = layer_activations(self.model, grids, images, create_graph=create_graph)
            if self.check and not self._checked and not create_graph:
                name = self._layers[0]
                layer = LayerModel(self.model, name)
                _check_outputs(layer, images, passes[name].logits, target)
                self._checked.append(True)
        first = next(iter(passes.values()))
        chosen = choose_classes(classes, target, first.logits)
        return {
            (layer, name): compute_maps(activations, method, chosen, target, cell_centers, size)
            for layer, activations in passes.items()
            for name, method in self._methods.items()
        }
