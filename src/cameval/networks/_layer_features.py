"""`LayerFeatures`: a network up to one of its layers, as a module of its own."""

import torch
from torch import Tensor, nn

from cameval.errors import LayerError
from cameval.networks._copies import private_copy
from cameval.networks.grids import Grid, grid_for, identity


class _Reached(BaseException):
    """Ends a forward pass at the layer; no ``except Exception`` of the network catches it."""


class LayerFeatures(nn.Module):
    """The output of a layer of a network, as feature maps ``(N, K, h, w)``.

    Parameters
    ----------
    net
        A network. It is shared, and hooks are put on private copies only.
    layer
        The dotted name of a module.
    grid
        How its output becomes feature maps.
    run
        Which of its runs in a forward pass, from 0.
    rectify
        Whether a ReLU follows, which the network calls as a function.
    """

    def __init__(
        self,
        net: nn.Module,
        layer: str,
        grid: Grid = identity,
        *,
        run: int = 0,
        rectify: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.layer = layer
        self.grid = grid
        self.run = run
        self.rectify = rectify

    def forward(self, images: Tensor) -> Tensor:
        """Run the network until the layer, in its own mode, and return the feature maps."""
        clone = private_copy(self.net, create_graph=True)
        features, _ = self._run(clone, images, whole=False)
        return features

    def with_outputs(self, images: Tensor, *, private: bool) -> tuple[Tensor, object]:
        """Run the whole network; return the feature maps, and what the network returns.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)``.
        private
            Whether the network is a private copy already.
        """
        clone = self.net if private else private_copy(self.net)
        return self._run(clone, images, whole=True)

    def _run(self, clone: nn.Module, images: Tensor, *, whole: bool) -> tuple[Tensor, object]:
        found: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: object) -> None:
            if not isinstance(output, Tensor):
                raise LayerError(
                    f"layer {self.layer!r} must return one tensor, got {type(output).__name__}"
                )
            found.append(output.clone() if whole else output)
            if not whole and len(found) > self.run:
                raise _Reached

        handle = clone.get_submodule(self.layer).register_forward_hook(keep)
        outputs: object = None
        try:
            outputs = clone(images)
        except _Reached:
            pass
        finally:
            handle.remove()
        if len(found) <= self.run:
            raise LayerError(
                f"layer {self.layer!r} must run {self.run + 1} times in a forward pass, "
                f"got {len(found)} runs"
            )
        features = grid_for(self.grid, images)(found[self.run])
        return (torch.relu(features) if self.rectify else features), outputs
