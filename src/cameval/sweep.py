"""Many maps of one pass: several methods, several layers, several classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from cameval.errors import SettingError
from cameval.extractor import (
    Alignment,
    CAMResult,
    Classes,
    check_alignment,
    check_images,
    check_parts,
    choose,
    explain,
)
from cameval.methods import CAMMethod
from cameval.networks import LayerModel, adapt, check_cut
from cameval.networks.activations import Activations, same
from cameval.networks.adapt import unwrap
from cameval.networks.layers import check_layer, layer_activations

__all__ = ["CAMSweep"]


@dataclass(frozen=True)
class CAMSweep:
    """Maps by several methods, at several layers, from a single pass through the network.

    Parameters
    ----------
    model
        A network, as for :class:`CAMExtractor`.
    methods
        Methods by the name that their results get.
    layers
        Names of inner layers. By default the place at which `model` is cut, under the name
        ``"features"``.
    alignment
        How maps are laid on the image, as for :class:`CAMExtractor`; inner layers have no known
        place.
    check
        Whether the first batch is also shown to the network that was cut, as for
        :class:`CAMExtractor`.

    Raises
    ------
    SettingError
        If there is no method, or the alignment cannot be had.
    LayerError
        If the network has no such layer.

    Notes
    -----
    The trunk runs once. Each class takes one backward pass through what follows the first of the
    layers, shared by all gradient methods.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> sweep = CAMSweep(resnet18(), {"cam": cam, "grad_cam": grad_cam})
    >>> results = sweep(torch.rand(2, 3, 64, 64), classes=TopClasses(3))
    >>> results["features", "cam"].maps.shape
    torch.Size([2, 3, 64, 64])
    >>> sweep = CAMSweep(resnet18(), {"layer_cam": layer_cam}, layers=["layer3", "layer4"])
    >>> [result.coarse.shape[-2:] for result in sweep(torch.rand(1, 3, 64, 64)).values()]
    [torch.Size([4, 4]), torch.Size([2, 2])]
    """

    model: nn.Module
    methods: Mapping[str, CAMMethod] = field(hash=False)
    layers: Sequence[str] | None = field(default=None, hash=False)
    alignment: Alignment = "half_pixel"
    check: bool = True
    _checked: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.methods:
            raise SettingError("methods must name at least one method, got none")
        check_parts(self.model, *self.methods.values())
        if self.layers is None:
            object.__setattr__(self, "model", adapt(self.model))
            check_alignment(self.alignment, adapt(self.model).place)
        else:
            if not self.layers:
                raise SettingError("layers must name at least one layer or be None, got none")
            object.__setattr__(self, "model", unwrap(self.model))
            for layer in self.layers:
                check_layer(self.model, layer)
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
        """Make every map; the arguments are those of :class:`CAMExtractor`.

        Returns
        -------
        dict of (str, str) to CAMResult
            Results by layer and method, layer by layer.
        """
        check_images(images)
        place = None
        passes: Mapping[str, Activations]
        if self.layers is None:
            model = adapt(self.model)
            name = model.layer if isinstance(model, LayerModel) else "features"
            passes = {name: model.activations(images, create_graph=create_graph)}
            if self.check and not self._checked and not create_graph:
                check_cut(model, images, passes[name].logits)
                self._checked.append(True)
            place = model.place if self.alignment == "receptive_field" else None
        else:
            grids = dict.fromkeys(self.layers, same)
            passes = layer_activations(self.model, grids, images, create_graph=create_graph)
        first = next(iter(passes.values()))
        chosen = choose(classes, target, first.logits)
        return {
            (layer, name): explain(activations, method, chosen, target, place, size)
            for layer, activations in passes.items()
            for name, method in self.methods.items()
        }
