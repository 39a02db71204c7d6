"""Where the last features of torchvision's networks lie in the image.

A place follows from the kernels, strides and paddings on the way. They are read from the network's
own modules and not looked up by its name, so that a dilated ResNet, a smaller stem or a VGG without
its last pooling are placed where they really are. Where branches run side by side, one of them
stands for all; the tests measure that the others agree.
"""

from collections.abc import Iterator

import torchvision.models as tv
from torch import nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import MobileNetV3
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
from torchvision.ops import SqueezeExcitation

from cameval.geometry import Place
from cameval.networks.families import InceptionInput, split

__all__ = ["place_of"]

_BESIDE: dict[type[nn.Module], tuple[str, ...]] = {
    tv.AlexNet: (),
    tv.ConvNeXt: (),
    tv.DenseNet: (),
    tv.EfficientNet: (),
    tv.GoogLeNet: (),
    tv.Inception3: ("branch3x3dbl", "branch7x7x3"),
    tv.MNASNet: (),
    MobileNetV2: (),
    MobileNetV3: (),
    tv.RegNet: ("proj",),
    tv.ResNet: ("downsample",),
    tv.ShuffleNetV2: ("branch1",),
    tv.SqueezeNet: (),
    tv.SwinTransformer: (),
    tv.VGG: (),
}
"""The known families, and how the names begin of strided branches beside the one that is walked."""

_PIXELWISE = ("activation", "batchnorm", "container", "dropout", "linear", "normalization")


def place_of(net: nn.Module) -> Place | None:
    """Return the place of a network's last features at its cut, None where it is not known.

    Examples
    --------
    >>> from torchvision.models import resnet50, vgg11
    >>> place_of(vgg11())
    Place(offset=16.0, stride=32.0)
    >>> place_of(resnet50(replace_stride_with_dilation=[False, True, True]))
    Place(offset=0.5, stride=8.0)
    """
    beside = next((names for family, names in _BESIDE.items() if isinstance(net, family)), None)
    if beside is None:
        return None
    rows = columns = Place(0.5, 1.0)  # the pixels
    for module in _walk(split(net).features, beside):
        window = _window(module)
        if window is None:
            return None
        (*down,), (*right,) = zip(*window, strict=True)
        rows, columns = rows.after(*down), columns.after(*right)
    return rows if rows == columns else None


def _walk(module: nn.Module, beside: tuple[str, ...]) -> Iterator[nn.Module]:
    """Yield the modules that may move or widen the grid, in the order in which they run."""
    if isinstance(module, nn.Conv2d | PatchMerging | PatchMergingV2):
        yield module
    elif isinstance(module, SqueezeExcitation | InceptionInput):
        return  # scales channels
    elif not _known(module):
        yield module
    elif children := [*module.named_children()]:
        for name, child in children:
            if not (beside and name.startswith(beside)):
                yield from _walk(child, beside)
    elif not _pixelwise(module):
        yield module


def _known(module: nn.Module) -> bool:
    return type(module).__module__.startswith(("torch.nn.", "torchvision."))


def _pixelwise(module: nn.Module) -> bool:
    room, _, kind = type(module).__module__.rpartition(".")
    return room != "torch.nn.modules" or kind in _PIXELWISE


_Size = int | tuple[int, ...]


def _window(module: nn.Module) -> tuple[tuple[int, int], ...] | None:
    """Kernel, stride, padding and dilation of a layer, each ``(rows, columns)``, if it has them."""
    sizes: tuple[_Size, ...]
    match module:
        case nn.Conv2d() if type(module).forward is nn.Conv2d.forward:
            sizes = (module.kernel_size, module.stride, _padding(module), module.dilation)
        case nn.MaxPool2d():
            sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
        case nn.AvgPool2d():
            sizes = (module.kernel_size, module.stride, module.padding, 1)
        case PatchMerging() | PatchMergingV2():  # four neighbors become the channels of one cell
            sizes = (2, 2, 0, 1)
        case _:
            return None
    return tuple(_pair(size) for size in sizes)


def _padding(conv: nn.Conv2d) -> _Size:
    """Return the cells that are added at the top and at the left."""
    if isinstance(conv.padding, tuple):
        return conv.padding
    if conv.padding == "valid":
        return 0
    widths = zip(conv.kernel_size, conv.dilation, strict=True)
    return tuple((kernel - 1) * dilation // 2 for kernel, dilation in widths)


def _pair(size: _Size) -> tuple[int, int]:
    rows, columns = (size, size) if isinstance(size, int) else size
    return rows, columns
