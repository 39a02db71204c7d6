"""A network in two parts: features, then head."""

from contextlib import nullcontext, suppress
from functools import partial

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedHeadError, UnsupportedModelError
from cameval.maps import CellCenters
from cameval.networks._copies import Origin, needs_copy, private_copy, refuse_changes
from cameval.networks._dtypes import run_on
from cameval.networks._layer_features import LayerFeatures
from cameval.networks._module_types import is_exactly, modules_of
from cameval.networks._outputs import agree
from cameval.networks._placement import Placement
from cameval.networks._selection import SelectedOutput, own_name, own_network
from cameval.networks.activations import Activations, check_feature_maps, fresh_leaf, recording
from cameval.networks.heads import ClassMapHead, ConvHead, GAPHead, MeanHead, NormHead, PooledHead

__all__ = ["CAMModel"]


class CAMModel(nn.Module):
    """A classifier in two parts: features, then head.

    Parameters
    ----------
    features
        From images to the last feature maps ``(N, K, h, w)``.
    head
        From feature maps to logits ``(N, C)``. A :class:`GAPHead` makes the class activation map
        exact.
    cell_centers
        Centers of the cells of the features in the image, if they are known.

    Notes
    -----
    ``model(x)`` is ``head(features(x))``. It is trained, saved and moved as any module. Both parts
    may share their modules with another network, as after `adapt`.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    >>> model = CAMModel(body, GAPHead(nn.Linear(8, 2)))
    >>> model(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 2])
    """

    placement: Placement | None = None  # None: not looked at yet
    _head_dtype: torch.dtype | None = None  # where features and head have different ones

    def __init__(
        self, features: nn.Module, head: nn.Module, cell_centers: CellCenters | None = None
    ) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self.cell_centers = cell_centers
        self._origin: Origin | None = None

    @property
    def origin(self) -> nn.Module | None:
        """The network that `adapt` cut, as long as the modules of the cut are the same; else None.

        Examples
        --------
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead, adapt
        >>> net = nn.Sequential(
        ...     nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        ... ).eval()
        >>> adapt(net).origin is net
        True
        >>> CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).origin is None  # nothing was cut
        True
        """
        origin: Origin | None = self.__dict__.get("_origin")
        if origin is None or origin.modules != tuple(modules_of(self))[1:]:
            return None
        return origin.net

    @property
    def _is_stale(self) -> bool:
        """Whether modules of the network were replaced since, and those of this model were not."""
        origin: Origin | None = self.__dict__.get("_origin")
        if origin is None:
            return False
        if all(module._modules.get(name) is child for module, name, child in origin.places):
            return False
        # The features of a proved cut contain the network itself.
        parts = [self.head] if isinstance(self.features, LayerFeatures) else [*self.children()]
        recorded = {id(module) for module in origin.modules}
        return all(id(module) in recorded for part in parts for module in modules_of(part))

    @property
    def layer(self) -> str | None:
        """The name of the layer of `origin` whose output the features are; None if there is none.

        Where the features of a proved cut are that output after a ReLU that is no module, the name
        ends in ``" (after ReLU)"``. With ``adapt(net, layer=...)`` they are the output before it.

        Examples
        --------
        >>> from torch import nn
        >>> from torchvision.models import resnet18
        >>> from cameval import CAMModel, GAPHead, adapt
        >>> adapt(resnet18()).layer
        'layer4'
        >>> CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).layer is None
        True
        """
        if isinstance(self.features, LayerFeatures):
            name = own_name(self.features.net, self.features.layer)
            return f"{name} (after ReLU)" if self.features.rectify else name
        names: dict[nn.Module, str] = {}
        if self.origin is not None:
            names = {module: name for name, module in self.origin.named_modules()}
        last = self.features
        while last not in names and is_exactly(last, nn.Sequential) and len([*last.children()]):
            last = [*last.children()][-1]
        return names.get(last) or None

    def cut_from(self, net: nn.Module) -> "CAMModel":
        """Store the network that was cut, so that outputs can be compared, and return the model.

        Parameters
        ----------
        net
            The network, of which features and head are parts.

        Returns
        -------
        CAMModel
            This model, whose `origin` is the network.

        Examples
        --------
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> body, linear = nn.Conv2d(3, 8, 3), nn.Linear(8, 2)
        >>> net = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
        >>> CAMModel(body, GAPHead(linear)).cut_from(net).origin is net
        True
        """
        places = ((one, *child) for one in modules_of(net) for child in one.named_children())
        self._origin = Origin(net, tuple(modules_of(self))[1:], tuple(places))
        return self

    def __repr__(self) -> str:
        """Return the types of the network or of both parts, and the layer, without the modules."""
        parts = (
            [f"features={type(self.features).__name__}", f"head={type(self.head).__name__}"]
            if self.origin is None
            else [type(own_network(self.origin)).__name__]
        )
        inside = ", ".join([*parts, *filter(None, [self.extra_repr()])])
        return f"{type(self).__name__}({inside})"

    def extra_repr(self) -> str:
        """Return the name of the layer, and the channels if the head knows them, for the repr.

        Examples
        --------
        >>> from torchvision.models import resnet18
        >>> from cameval import adapt
        >>> adapt(resnet18())
        CAMModel(ResNet, layer='layer4', channels=512)
        >>> adapt(resnet18()).extra_repr()
        "layer='layer4', channels=512"
        """
        layer = "" if self.layer is None else f"layer={self.layer!r}"
        channels: object = None
        with suppress(UnsupportedHeadError):  # it does not say so
            channels = getattr(self.head, "in_channels", None)
        known = f"channels={channels}" if isinstance(channels, int) else ""
        return ", ".join(filter(None, [layer, known]))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of images ``(N, channels, H, W)``."""
        logits: Tensor = self.head(self._for_head(run_on(self.features, images, self.features)))
        return logits

    def with_head_in(self, dtype: torch.dtype) -> "CAMModel":
        """Cast the features to the dtype of the head, and return the model.

        Parameters
        ----------
        dtype
            The dtype that the head takes, where it is not that of the features.

        Returns
        -------
        CAMModel
            This model.

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> body, head = nn.Conv2d(3, 8, 3).bfloat16(), GAPHead(nn.Linear(8, 2))
        >>> model = CAMModel(body, head).with_head_in(torch.float32)
        >>> model(torch.rand(1, 3, 8, 8, dtype=torch.bfloat16)).dtype
        torch.float32
        """
        self._head_dtype = dtype
        return self

    def _for_head(self, features: Tensor) -> Tensor:
        """Return features in the dtype of the head, where the two differ."""
        return features if self._head_dtype is None else features.to(self._head_dtype)

    def activations(self, images: Tensor, *, create_graph: bool = False) -> Activations:
        """Run the features without a graph, and record the graph of the head.

        The pass is in evaluation mode. A network in training mode is not changed: a private copy of
        it runs.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)`` as the network expects them.
        create_graph
            Record the graph of the whole network, in its own mode, so that maps can be part of a
            loss.

        Returns
        -------
        Activations
            Features, logits, and the gradient between them.

        Raises
        ------
        LayerError
            If the features are not one tensor ``(N, K, h, w)``.
        UnsupportedModelError
            If the network that was cut has other modules than at that time, such as a new head, if
            it writes to its buffers in evaluation mode, or a network in training mode cannot be
            copied without references to its modules.
        SettingError
            If `create_graph` is set where autograd is switched off.

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
        >>> images = torch.rand(4, 3, 16, 16)
        >>> activations = model.activations(images)
        >>> activations.features.shape, torch.allclose(activations.logits, model(images))
        (torch.Size([4, 8, 14, 14]), True)
        >>> activations.gradients(torch.tensor([0, 1, 1, 0])).shape  # of the classes' logits
        torch.Size([4, 8, 14, 14])
        """
        if self._is_stale:
            raise UnsupportedModelError(
                "a network must have the modules that it had when it was adapted, got others, such "
                "as a new head; adapt it again, with cameval.adapt(net)"
            )
        images = images.clone() if images.is_inference() else images
        direct = create_graph or not needs_copy(self, MODELESS)
        model = self if direct else private_copy(self)
        guard = nullcontext() if create_graph else refuse_changes(self, restore=direct)
        logits: object = None
        with guard, recording(create_graph):
            found: object
            if isinstance(model.features, LayerFeatures) and self.origin and not create_graph:
                with_outputs = partial(model.features.with_outputs, private=not direct)
                found, logits = run_on(model.features, images, with_outputs)
            else:
                found = run_on(model.features, images, model.features)
            features = model._for_head(check_feature_maps(found, "the features"))
            if not features.requires_grad:
                features = fresh_leaf(features)
            with torch.enable_grad():
                # A clone, since a head may begin with an in-place operation.
                outputs = model.head(features.clone())
        if isinstance(logits, Tensor) and isinstance(model.features, LayerFeatures):
            _check_proof(model.features, outputs.detach().to(logits.dtype), logits)
            if model._head_dtype is not None:
                logits = None  # those of the head are more precise
        return Activations.record(
            images,
            features,
            outputs,
            network=model,
            rerun=lambda others, _images: model.head(others),
            head=model.head,
            logits=logits if isinstance(logits, Tensor) else None,
            create_graph=create_graph,
        )


def _check_proof(features: LayerFeatures, found: Tensor, logits: Tensor) -> None:
    """Refuse a cut that was proved for trial images, but does not hold for these.

    Raises
    ------
    UnsupportedModelError
        If the outputs of the head and of the network differ by more than rounding.
    """
    if not agree(found, logits):
        layer = own_name(features.net, features.layer)
        raise UnsupportedModelError(
            "a cut must give what the network gives for all images, got a difference of up to "
            f"{(found - logits).abs().max().item():.3g} between the network and the cut after "
            f"layer {layer!r}, which was equal for random images: a step after this layer depends "
            f'on the image; use cameval.adapt(net, layer="{layer}") and a gradient method'
        )


MODELESS = (
    *(nn.Sequential, nn.Identity, CAMModel, LayerFeatures, SelectedOutput),
    *(GAPHead, ClassMapHead, ConvHead, MeanHead, NormHead, PooledHead),
)
