"""Cell centers of the features of torchvision's networks."""

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
from cameval.networks._module_types import any_global_hook, bare, hooked, plain
from cameval.networks.families import InceptionInput, declared_class, foreign_forward, split

_FAMILIES = {
    *(tv.AlexNet, tv.ConvNeXt, tv.DenseNet, tv.EfficientNet, tv.GoogLeNet, tv.Inception3),
    *(tv.MNASNet, MobileNetV2, MobileNetV3, tv.RegNet, tv.ResNet, tv.ShuffleNetV2, tv.SqueezeNet),
    *(tv.SwinTransformer, tv.VGG),
}


class _Cells(NamedTuple):
    """Where cells lie, and whether their channels come last."""

    rows: CellCenters
    columns: CellCenters
    channels_last: bool = False


_PIXELS = _Cells(CellCenters(0.5, 1.0), CellCenters(0.5, 1.0))


class _Unknown(Exception):
    """A module whose geometry is not known."""


def cell_centers_of(net: nn.Module) -> CellCenters | None:
    """Return the place of a network's last features at its cut, None where it is not known.

    Examples
    --------
    >>> from torchvision.models import resnet50, vgg11
    >>> cell_centers_of(vgg11())
    CellCenters(offset=16.0, stride=32.0)
    >>> cell_centers_of(resnet50(replace_stride_with_dilation=[False, True, True]))
    CellCenters(offset=0.5, stride=8.0)
    """
    changed = hooked(net) or any_global_hook() or foreign_forward(net) is not None
    if declared_class(net) not in _FAMILIES or changed:
        return None
    try:
        cells = _after(split(net).features, _PIXELS)
    except _Unknown:
        return None
    return cells.rows if cells.rows == cells.columns and not cells.channels_last else None


def _after(module: nn.Module, cells: _Cells) -> _Cells:
    """Return where the outputs of a module lie, for inputs that lie at `cells`."""
    inner = bare(module)
    if inner is not module:
        return _checked(_after(inner, cells), not hooked(module))
    kind = type(module)
    _checked(cells, plain(module, kind) and not hooked(module))
    if kind in _ANYWHERE:
        return cells
    if kind is nn.Linear or kind in _MERGING or kind in _ATTENTION:  # along the last axis
        _checked(cells, cells.channels_last)
        return _windowed(cells, (2, 2), (2, 2), (0, 0)) if kind in _MERGING else cells
    if kind is Permute:
        return _permuted(cast(Permute, module), cells)
    if kind in _CHAINS:
        return _through(module.children(), cells)
    if kind in _BLOCKS:
        return _agreed(_BLOCKS[kind](module, cells))
    _checked(cells, not cells.channels_last)
    return _windowed(cells, *_window(module))


def _checked(cells: _Cells, known: bool) -> _Cells:
    if not known:
        raise _Unknown
    return cells


def _through(modules: Iterable[nn.Module], cells: _Cells) -> _Cells:
    for module in modules:
        cells = _after(module, cells)
    return cells


def _agreed(branches: Iterable[_Cells]) -> _Cells:
    """Return where all branches lie, which are added or set side by side."""
    first, *others = branches
    return _checked(first, all(other == first for other in others))


def _permuted(permute: Permute, cells: _Cells) -> _Cells:
    turn = (tuple(permute.dims), cells.channels_last)
    _checked(cells, turn in {((0, 2, 3, 1), False), ((0, 3, 1, 2), True)})
    return cells._replace(channels_last=not cells.channels_last)


_Pair = tuple[int, int]


def _windowed(
    cells: _Cells, kernel: _Pair, stride: _Pair, padding: _Pair, dilation: _Pair = (1, 1)
) -> _Cells:
    down, right = zip(kernel, stride, padding, dilation, strict=True)
    return cells._replace(rows=cells.rows.after(*down), columns=cells.columns.after(*right))


def _window(module: nn.Module) -> tuple[_Pair, _Pair, _Pair, _Pair]:
    """Kernel, stride, padding and dilation of a layer, each ``(rows, columns)``."""
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
    kernel, stride, padding, dilation = (_pair(size) for size in sizes)
    return kernel, stride, padding, dilation


def _padding(conv: nn.Conv2d) -> int | tuple[int, ...]:
    """Return the cells that are added at the top and at the left."""
    if isinstance(conv.padding, tuple):
        return conv.padding
    if conv.padding == "valid":
        return 0
    widths = zip(conv.kernel_size, conv.dilation, strict=True)
    return tuple((kernel - 1) * dilation // 2 for kernel, dilation in widths)


def _pair(size: int | tuple[int, ...]) -> _Pair:
    rows, columns = (size, size) if isinstance(size, int) else size
    return rows, columns


# What is known, by exact class.
_ANYWHERE: set[type[nn.Module]] = {
    *(nn.Identity, nn.Dropout, nn.Dropout2d, StochasticDepth),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Sigmoid, nn.Hardsigmoid, nn.Hardswish, nn.Tanh, nn.PReLU),
    *(nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm, FrozenBatchNorm2d),
    *(nn.LayerNorm, LayerNorm2d),
    *(SqueezeExcitation, InceptionInput),  # these scale channels
}
"""What acts on each position alike, wherever the channels are, and moves nothing."""


_CHAINS: set[type[nn.Module]] = {
    *(nn.Sequential, ConvNormActivation, Conv2dNormActivation, MLP, densenet._Transition),
    *(regnet.SimpleStemIN, regnet.AnyStage, regnet.BottleneckTransform),
}
"""What runs its children one after the other, in the order of registration."""


_MERGING = (swin_transformer.PatchMerging, swin_transformer.PatchMergingV2)
"""Four neighbors become the channels of one cell."""


_ATTENTION = (
    swin_transformer.ShiftedWindowAttention,
    swin_transformer.ShiftedWindowAttentionV2,
)
"""Cells of a window are mixed; on average none moves."""


_Branches = Callable[[nn.Module, _Cells], Iterator[_Cells]]


def _named(module: nn.Module, names: str, cells: _Cells) -> _Cells:
    """Go through children by their names, in the order in which the module runs them."""
    for name in names.split():
        child = getattr(module, name, None)
        _checked(cells, isinstance(child, nn.Module))
        cells = _after(cast(nn.Module, child), cells)
    return cells


def _side_by_side(*paths: str) -> _Branches:
    """Return the branches of a block, each given by the names of its parts; "" is the input."""

    def branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
        for path in paths:
            yield _named(module, path, cells)

    return branches


def _residual(path: str, shortcut: str | None = None, flag: str | None = None) -> _Branches:
    """Return the branches of a block whose input is added: as it is, through a module, or not.

    `shortcut` names a module that may be None, `flag` an attribute that says whether it is added.
    """

    def branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
        yield _named(module, path, cells)
        side = None if shortcut is None else getattr(module, shortcut, None)
        if side is not None:
            yield _after(side, cells)
        elif flag is None or getattr(module, flag):
            yield cells

    return branches


def _shuffled(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
    """Return the branches of ShuffleNet's block: without a stride, half of the channels pass."""
    yield _named(module, "branch2", cells)
    yield cells if module.stride == 1 else _named(module, "branch1", cells)


def _pooled(kernel: int, stride: int, padding: int, rest: str, *paths: str) -> _Branches:
    """Return branches of which one begins with a pooling that is a function call."""
    windows = [(size, size) for size in (kernel, stride, padding)]

    def branches(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
        for path in paths:
            yield _named(module, path, cells)
        yield _named(module, rest, _windowed(cells, *windows))

    return branches


_INCEPTION_A = "branch_pool", "branch1x1", "branch5x5_1 branch5x5_2"


_DOUBLE = "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"


_SEVEN = "branch7x7_1 branch7x7_2 branch7x7_3"


_DOUBLE_SEVEN = "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5"


_BLOCKS: dict[type[nn.Module], _Branches] = {
    resnet.BasicBlock: _residual("conv1 bn1 relu conv2 bn2 relu", "downsample"),
    resnet.Bottleneck: _residual("conv1 bn1 relu conv2 bn2 conv3 bn3 relu", "downsample"),
    regnet.ResBottleneckBlock: _residual("f activation", "proj"),
    InvertedResidualV2: _residual("conv", flag="use_res_connect"),
    InvertedResidualV3: _residual("block", flag="use_res_connect"),
    MBConv: _residual("block stochastic_depth", flag="use_res_connect"),
    FusedMBConv: _residual("block stochastic_depth", flag="use_res_connect"),
    mnasnet._InvertedResidual: _residual("layers", flag="apply_residual"),
    shufflenet.InvertedResidual: _shuffled,
    densenet._DenseLayer: _side_by_side("norm1 relu1 conv1 norm2 relu2 conv2"),
    squeezenet.Fire: _side_by_side(
        "squeeze squeeze_activation expand1x1 expand1x1_activation",
        "squeeze squeeze_activation expand3x3 expand3x3_activation",
    ),
    CNBlock: _residual("block stochastic_depth"),
    swin_transformer.SwinTransformerBlock: _residual("norm1 attn norm2 mlp stochastic_depth"),
    swin_transformer.SwinTransformerBlockV2: _residual("attn norm1 mlp norm2 stochastic_depth"),
    GoogLeNetConv2d: _side_by_side("conv bn"),
    Inception: _side_by_side("branch1", "branch2", "branch3", "branch4"),
    inception.BasicConv2d: _side_by_side("conv bn"),
    inception.InceptionA: _pooled(3, 1, 1, *_INCEPTION_A, _DOUBLE),
    inception.InceptionB: _pooled(3, 2, 0, "", "branch3x3", _DOUBLE),
    inception.InceptionC: _pooled(3, 1, 1, "branch_pool", "branch1x1", _SEVEN, _DOUBLE_SEVEN),
    inception.InceptionD: _pooled(
        *(3, 2, 0, "", "branch3x3_1 branch3x3_2"),
        "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4",
    ),
    inception.InceptionE: _pooled(
        *(3, 1, 1, "branch_pool", "branch1x1"),
        *("branch3x3_1 branch3x3_2a", "branch3x3_1 branch3x3_2b"),
        *("branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a",),
        *("branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3b",),
    ),
}
"""Blocks whose parts are found by name, since the order of registration may be another one."""


def _dense(module: nn.Module, cells: _Cells) -> Iterator[_Cells]:
    """Return the input and the layers of a dense block, all of which are set side by side."""
    yield cells
    for layer in module.children():
        yield _after(layer, cells)


_BLOCKS[densenet._DenseBlock] = _dense
