"""Cell centers of torchvision's networks, from their kernels, strides and paddings.

The cell centers follow from the kernels, strides and paddings between input and features. They are
read from the network's own modules, not looked up by its name, so that they are right for a dilated
ResNet, a smaller stem or a VGG without its last pooling. Only modules of exactly known classes are
followed; with any other module, or any hook, the centers are unknown. Parallel branches must agree.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, cast

import torchvision.models as tv
from torch import nn
from torchvision.models import (
    densenet,
    inception,
    mnasnet,
    regnet,
    resnet,
    squeezenet,
    swin_transformer,
)
from torchvision.models import shufflenetv2 as shufflenet
from torchvision.models.convnext import CNBlock, LayerNorm2d
from torchvision.models.efficientnet import FusedMBConv, MBConv
from torchvision.models.googlenet import BasicConv2d as GoogLeNetConv2d
from torchvision.models.googlenet import Inception
from torchvision.models.mobilenetv2 import InvertedResidual as InvertedResidualV2
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidual as InvertedResidualV3
from torchvision.models.mobilenetv3 import MobileNetV3
from torchvision.ops import MLP, FrozenBatchNorm2d, Permute, SqueezeExcitation, StochasticDepth
from torchvision.ops.misc import Conv2dNormActivation, ConvNormActivation

from cameval.maps import CellCenters
from cameval.networks._module_types import has_global_hooks, has_hooks, is_exactly, unwrap_compiled
from cameval.networks.families import InceptionInput, declared_class, forward_override

_FAMILIES = {
    *(tv.AlexNet, tv.ConvNeXt, tv.DenseNet, tv.EfficientNet, tv.GoogLeNet, tv.Inception3),
    *(tv.MNASNet, MobileNetV2, MobileNetV3, tv.RegNet, tv.ResNet, tv.ShuffleNetV2, tv.SqueezeNet),
    *(tv.SwinTransformer, tv.VGG),
}


class _Cells(NamedTuple):
    """Centers of cells along both axes, and whether their channels come last."""

    rows: CellCenters
    columns: CellCenters
    channels_last: bool = False


_PIXELS = _Cells(CellCenters(0.5, 1.0), CellCenters(0.5, 1.0))


class _Unknown(Exception):
    """The centers are not known after this module."""


def cell_centers_of(net: nn.Module, features: nn.Module) -> CellCenters | None:
    """Return the cell centers of the features of a network, None where they are not known.

    Examples
    --------
    >>> from torchvision.models import resnet50, vgg11
    >>> from cameval import split
    >>> from cameval.networks._receptive_fields import cell_centers_of
    >>> net = vgg11()
    >>> cell_centers_of(net, net.features)
    CellCenters(offset=16.0, stride=32.0)
    >>> net = resnet50(replace_stride_with_dilation=[False, True, True])
    >>> cell_centers_of(net, split(net).features)
    CellCenters(offset=0.5, stride=8.0)
    """
    changed = has_hooks(net) or has_global_hooks() or forward_override(net) is not None
    if declared_class(net) not in _FAMILIES or changed:
        return None
    try:
        cells = _cells_after(features, _PIXELS)
    except _Unknown:
        return None
    return cells.rows if cells.rows == cells.columns and not cells.channels_last else None


def _cells_after(module: nn.Module, cells: _Cells) -> _Cells:
    """Return the cells of a module's output, for the cells of its input."""
    inner = unwrap_compiled(module)
    if inner is not module:
        _require(not has_hooks(module))
        return _cells_after(inner, cells)
    kind = type(module)
    _require(is_exactly(module, kind) and not has_hooks(module))
    if kind in _POINTWISE:
        return cells
    if kind is nn.Linear or kind in _MERGING or kind in _ATTENTION:  # along the last axis
        _require(cells.channels_last)
        return _slide_window(cells, (2, 2), (2, 2), (0, 0)) if kind in _MERGING else cells
    if kind is Permute:
        return _permute(cast(Permute, module), cells)
    if kind in _SEQUENCES:
        return _cells_after_all(module.children(), cells)
    if kind in _BLOCKS:
        return _common_cells(_BLOCKS[kind](module, cells))
    _require(not cells.channels_last)
    return _slide_window(cells, *_window(module))


def _require(known: bool) -> None:
    """Stop where the centers are not known."""
    if not known:
        raise _Unknown


def _cells_after_all(modules: Iterable[nn.Module], cells: _Cells) -> _Cells:
    for module in modules:
        cells = _cells_after(module, cells)
    return cells


def _common_cells(branches: Iterable[_Cells]) -> _Cells:
    """Return the cells that all branches have, which are added or concatenated."""
    first, *others = branches
    _require(all(other == first for other in others))
    return first


def _permute(permute: Permute, cells: _Cells) -> _Cells:
    order = (tuple(permute.dims), cells.channels_last)
    _require(order in {((0, 2, 3, 1), False), ((0, 3, 1, 2), True)})
    return cells._replace(channels_last=not cells.channels_last)


_Pair = tuple[int, int]


def _slide_window(
    cells: _Cells, kernel: _Pair, stride: _Pair, padding: _Pair, dilation: _Pair = (1, 1)
) -> _Cells:
    down, right = zip(kernel, stride, padding, dilation, strict=True)
    return cells._replace(rows=cells.rows.after(*down), columns=cells.columns.after(*right))


def _window(module: nn.Module) -> tuple[_Pair, _Pair, _Pair, _Pair]:
    """Return kernel, stride, padding and dilation of a layer, each ``(rows, columns)``."""
    sizes: tuple[int | tuple[int, ...], ...]
    match module:
        case nn.Conv2d() if type(module) is nn.Conv2d and module.padding_mode != "circular":
            sizes = (module.kernel_size, module.stride, _padding(module), module.dilation)
        case nn.MaxPool2d() if type(module) is nn.MaxPool2d:
            sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
        case nn.AvgPool2d() if type(module) is nn.AvgPool2d:
            sizes = (module.kernel_size, module.stride, module.padding, 1)
        case _:
            raise _Unknown
    kernel, stride, padding, dilation = (_as_pair(size) for size in sizes)
    return kernel, stride, padding, dilation


def _padding(conv: nn.Conv2d) -> int | tuple[int, ...]:
    """Return how many cells are added at the top and at the left."""
    if isinstance(conv.padding, tuple):
        return conv.padding
    if conv.padding == "valid":
        return 0
    widths = zip(conv.kernel_size, conv.dilation, strict=True)
    return tuple((kernel - 1) * dilation // 2 for kernel, dilation in widths)


def _as_pair(size: int | tuple[int, ...]) -> _Pair:
    rows, columns = (size, size) if isinstance(size, int) else size
    return rows, columns


# Tables by exact class.
_POINTWISE: set[type[nn.Module]] = {
    *(nn.Identity, nn.Dropout, nn.Dropout2d, StochasticDepth),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Sigmoid, nn.Hardsigmoid, nn.Hardswish, nn.Tanh, nn.PReLU),
    *(nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm, FrozenBatchNorm2d),
    *(nn.LayerNorm, LayerNorm2d),
    *(SqueezeExcitation, InceptionInput),  # these scale channels
}
"""Modules that treat all positions alike, for any order of axes, and move nothing."""


_SEQUENCES: set[type[nn.Module]] = {
    *(nn.Sequential, ConvNormActivation, Conv2dNormActivation, MLP, densenet._Transition),
    *(regnet.SimpleStemIN, regnet.AnyStage, regnet.BottleneckTransform),
}
"""Modules that run their children one after the other, in the order of registration."""

_MERGING = (swin_transformer.PatchMerging, swin_transformer.PatchMergingV2)
"""Modules that make the channels of one cell of four neighboring cells."""

_ATTENTION = (
    swin_transformer.ShiftedWindowAttention,
    swin_transformer.ShiftedWindowAttentionV2,
)
"""Modules that mix the cells of a window, and on average move none."""

_Branches = Callable[[nn.Module, _Cells], Iterator[_Cells]]


def _cells_after_children(module: nn.Module, names: str, cells: _Cells) -> _Cells:
    """Return the cells after these children, in the order in which the module runs them."""
    for name in names.split():
        child = getattr(module, name, None)
        _require(isinstance(child, nn.Module))
        cells = _cells_after(cast(nn.Module, child), cells)
    return cells


def _parallel(*paths: str) -> _Branches:
    """Describe a block of parallel branches by the names of their parts; "" is the input."""

    def branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
        for path in paths:
            yield _cells_after_children(module, path, cells)

    return branches


def _residual(path: str, shortcut: str | None = None, flag: str | None = None) -> _Branches:
    """Describe a block whose input is added to its output: directly, through a module, or not.

    `shortcut` names a module on the way, which may be None; `flag` names an attribute that tells
    whether the input is added.
    """

    def branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
        yield _cells_after_children(module, path, cells)
        side = None if shortcut is None else getattr(module, shortcut, None)
        if side is not None:
            yield _cells_after(side, cells)
        elif flag is None or getattr(module, flag):
            yield cells

    return branches


def _shuffle_branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
    """Yield the branches of ShuffleNet's block: without a stride, one is the input itself."""
    yield _cells_after_children(module, "branch2", cells)
    yield cells if module.stride == 1 else _cells_after_children(module, "branch1", cells)


def _pooling_branches(kernel: int, stride: int, padding: int, rest: str, *paths: str) -> _Branches:
    """Describe a block in which the branch `rest` begins with a pooling that is a function call."""
    windows = [(size, size) for size in (kernel, stride, padding)]

    def branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
        for path in paths:
            yield _cells_after_children(module, path, cells)
        yield _cells_after_children(module, rest, _slide_window(cells, *windows))

    return branches


_INCEPTION_A = "branch_pool", "branch1x1", "branch5x5_1 branch5x5_2"

_BRANCH3X3DBL = "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"

_BRANCH7X7 = "branch7x7_1 branch7x7_2 branch7x7_3"

_BRANCH7X7DBL = "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5"


_BLOCKS: dict[type[nn.Module], _Branches] = {
    resnet.BasicBlock: _residual("conv1 bn1 relu conv2 bn2 relu", "downsample"),
    resnet.Bottleneck: _residual("conv1 bn1 relu conv2 bn2 conv3 bn3 relu", "downsample"),
    regnet.ResBottleneckBlock: _residual("f activation", "proj"),
    InvertedResidualV2: _residual("conv", flag="use_res_connect"),
    InvertedResidualV3: _residual("block", flag="use_res_connect"),
    MBConv: _residual("block stochastic_depth", flag="use_res_connect"),
    FusedMBConv: _residual("block stochastic_depth", flag="use_res_connect"),
    mnasnet._InvertedResidual: _residual("layers", flag="apply_residual"),
    shufflenet.InvertedResidual: _shuffle_branches,
    densenet._DenseLayer: _parallel("norm1 relu1 conv1 norm2 relu2 conv2"),
    squeezenet.Fire: _parallel(
        "squeeze squeeze_activation expand1x1 expand1x1_activation",
        "squeeze squeeze_activation expand3x3 expand3x3_activation",
    ),
    CNBlock: _residual("block stochastic_depth"),
    swin_transformer.SwinTransformerBlock: _residual("norm1 attn norm2 mlp stochastic_depth"),
    swin_transformer.SwinTransformerBlockV2: _residual("attn norm1 mlp norm2 stochastic_depth"),
    GoogLeNetConv2d: _parallel("conv bn"),
    Inception: _parallel("branch1", "branch2", "branch3", "branch4"),
    inception.BasicConv2d: _parallel("conv bn"),
    inception.InceptionA: _pooling_branches(3, 1, 1, *_INCEPTION_A, _BRANCH3X3DBL),
    inception.InceptionB: _pooling_branches(3, 2, 0, "", "branch3x3", _BRANCH3X3DBL),
    inception.InceptionC: _pooling_branches(
        3, 1, 1, "branch_pool", "branch1x1", _BRANCH7X7, _BRANCH7X7DBL
    ),
    inception.InceptionD: _pooling_branches(
        *(3, 2, 0, "", "branch3x3_1 branch3x3_2"),
        "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4",
    ),
    inception.InceptionE: _pooling_branches(
        *(3, 1, 1, "branch_pool", "branch1x1"),
        *("branch3x3_1 branch3x3_2a", "branch3x3_1 branch3x3_2b"),
        *("branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a",),
        *("branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3b",),
    ),
}
"""Blocks by the names of their parts, which need not be registered in the order of running."""


def _dense_branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
    """Yield the input and the layers of a dense block, which are all concatenated."""
    yield cells
    for layer in module.children():
        yield _cells_after(layer, cells)


_BLOCKS[densenet._DenseBlock] = _dense_branches
