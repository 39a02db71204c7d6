"""Cell centers of the last features: measured, and compared with the declared ones."""

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from families import FAMILIES
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.testing import assert_close
from torchvision import transforms
from torchvision.models.convnext import CNBlock
from torchvision.models.resnet import BasicBlock
from torchvision.models.swin_transformer import ShiftedWindowAttention
from torchvision.ops import FrozenBatchNorm2d, Permute, SqueezeExcitation
from torchvision.transforms import v2

from cameval import CAMExtractor, split
from cameval.errors import SettingError
from cameval.maps import CellCenters
from cameval.networks._receptive_fields import cell_centers_of
from cameval.networks.families import InceptionInput

# Written down, not taken from the library: docs/alignment.rst shows the same table.
CENTERS = {
    **dict.fromkeys(FAMILIES, CellCenters(0.5, 32.0)),
    **dict.fromkeys(("vgg", "vgg_bn", "convnext", "swin", "swin_v2"), CellCenters(16.0, 32.0)),
    "alexnet": CellCenters(31.5, 32.0),
    "densenet": CellCenters(14.5, 32.0),
    "googlenet": CellCenters(22.5, 32.0),
    "inception_v3": CellCenters(37.5, 32.0),
    "squeezenet": CellCenters(15.5, 16.0),
    "squeezenet1_0": CellCenters(17.5, 16.0),
}
del CENTERS["maxvit"]
LARGE = ("alexnet", "inception_v3")  # they need more than 32 pixels
BUILDERS = FAMILIES | {"squeezenet1_0": tv.squeezenet1_0}


class Averaging(nn.Module):
    """A layer's window with equal, positive weights that add up to one, over all channels."""

    def __init__(self, layer: nn.Conv2d | nn.MaxPool2d | nn.Linear, channels: int | None) -> None:
        super().__init__()
        self.layer = layer
        self.channels = channels or getattr(layer, "out_channels", None)

    def forward(self, x: Tensor) -> Tensor:
        """Average each window."""
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return x.mean(-1, keepdim=True)
        if isinstance(layer, nn.MaxPool2d):
            return F.avg_pool2d(x, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
        window = torch.ones(1, 1, *layer.kernel_size, dtype=x.dtype)
        x = x.mean(1, keepdim=True) / window.numel()
        x = F.conv2d(x, window, None, layer.stride, layer.padding, layer.dilation)
        return x if self.channels == 1 else x.expand(-1, self.channels, -1, -1)


def averaging(net: nn.Module, channels: int | None = 1) -> nn.Module:
    """Make a network linear: windows average, and what acts on each pixel alone is left out.

    One channel is enough where a network does not count its channels.
    """
    for name, child in net.named_children():
        source = type(child).__module__.rpartition(".")[2]
        if isinstance(child, nn.Conv2d | nn.MaxPool2d | nn.Linear):
            setattr(net, name, Averaging(child, channels))
        elif source in ("activation", "batchnorm", "normalization") or isinstance(
            child, nn.LayerNorm | SqueezeExcitation | ShiftedWindowAttention | InceptionInput
        ):
            setattr(net, name, nn.Identity())
        else:
            averaging(child, channels)
    if isinstance(net, CNBlock):
        net.layer_scale = nn.Parameter(torch.ones(1, 1, 1, dtype=torch.float64))
    return net


@torch.no_grad()
def measured_centers(features: nn.Module, length: int, breadth: int = 80, axis: int = 1) -> Tensor:
    """Return the centers of the receptive fields along one axis, in pixels.

    The network is linear, so its output for an image of the pixels' positions, divided by its
    output for an image of ones, is the centroid of the input gradient, for all cells at once.
    """
    positions = torch.arange(length, dtype=torch.float64) + 0.5
    strip = torch.stack((positions, torch.ones_like(positions)))[:, None, None]
    strip = strip.expand(-1, 1, breadth, -1)
    position, one = features(strip if axis == 1 else strip.mT).mean(1)
    return (position / one).mean(1 - axis)


def centers_of(net: nn.Module) -> CellCenters | None:
    """Return the cell centers of the last features, where they are known."""
    return cell_centers_of(net, split(net).features)


def build(name: str) -> nn.Module:
    """Build a network without weights."""
    with torch.device("cpu" if name == "regnet" else "meta"):  # it computes its widths with torch
        return BUILDERS[name]().eval()


@pytest.fixture
def _average_pooling(monkeypatch):
    monkeypatch.setattr(F, "max_pool2d", F.avg_pool2d)  # Inception pools by function calls


# Inception alone has kernels that are not square.
@pytest.mark.usefixtures("_average_pooling")
@pytest.mark.parametrize(("name", "axis"), [*((name, 1) for name in CENTERS), ("inception_v3", 0)])
def test_a_cell_lies_in_the_middle_of_its_receptive_field(name, axis):
    net = build(name)
    assert centers_of(net) == CENTERS[name]
    check(net, CENTERS[name], 80 if name in LARGE else 32, axis)


def check(net: nn.Module, cell_centers: CellCenters, breadth: int = 32, axis: int = 1) -> None:
    channels = None if isinstance(net, tv.ShuffleNetV2) else 1
    found = measured_centers(averaging(split(net).features, channels), 2560, breadth, axis)
    inside = slice(len(found) // 2 - 2, len(found) // 2 + 3)  # the borders cut what the others see
    assert_close(
        found[inside], cell_centers.centers(len(found))[inside].double(), rtol=0, atol=1e-6
    )


def small_stem() -> nn.Module:
    """Build a ResNet for small images, as it is often made."""
    net = tv.resnet18()
    net.conv1 = nn.Conv2d(3, 64, 3, padding="same", bias=False)
    net.maxpool = nn.Identity()
    return net


def without_last_pooling() -> nn.Module:
    """Build the VGG of Zhou et al., with 14 x 14 cells on 224 pixels."""
    net = tv.vgg11()
    net.features = net.features[:-1]
    return net


def even_kernel(padding: str) -> nn.Module:
    """Build an AlexNet with a kernel that has no middle: `same` pads more behind than before."""
    net = tv.alexnet()
    net.features[3] = nn.Conv2d(64, 192, 4, padding=padding, dilation=3)
    return net


MODIFIED: dict[str, tuple[Callable[[], nn.Module], CellCenters]] = {
    "dilated": (
        lambda: tv.resnet50(replace_stride_with_dilation=[False, True, True]),
        CellCenters(0.5, 8.0),
    ),
    "small stem": (small_stem, CellCenters(0.5, 8.0)),
    "without last pooling": (without_last_pooling, CellCenters(8.0, 16.0)),
    "even kernel, same": (lambda: even_kernel("same"), CellCenters(31.5 + 8 * 0.5, 32.0)),
    "even kernel, valid": (lambda: even_kernel("valid"), CellCenters(31.5 + 8 * 4.5, 32.0)),
}


@pytest.mark.usefixtures("_average_pooling")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", MODIFIED)
def test_the_centers_of_a_modified_network_follow_from_its_layers(name):
    builder, cell_centers = MODIFIED[name]
    with torch.device("meta"):
        net = builder().eval()
    assert centers_of(net) == cell_centers
    check(net, cell_centers, 150)


class Unknown(nn.Identity):
    """It could do anything."""


class OwnConv(nn.Conv2d):
    """It pads by itself."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad at one side only."""
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class OwnPool(nn.MaxPool2d):
    """It pools a pixel further on."""

    def forward(self, x: Tensor) -> Tensor:
        """Shift, then pool."""
        return super().forward(x.roll(1, -1))


class OwnNorm(nn.BatchNorm2d):
    """It makes images smaller."""

    def forward(self, x: Tensor) -> Tensor:
        """Resize, then normalize."""
        return super().forward(F.interpolate(x, scale_factor=0.5))


class OwnChain(nn.Sequential):
    """It runs its parts on half of the image."""

    def forward(self, x: Tensor) -> Tensor:
        """Crop, then run."""
        return super().forward(x[..., ::2])


class OwnBlock(BasicBlock):
    """It does what its parent does, as far as anybody knows."""


def stem(*layers: nn.Module) -> nn.Module:
    """Put layers before the first convolution of a ResNet."""
    net = tv.resnet18()
    net.conv1 = nn.Sequential(*layers, net.conv1)
    return net


CHANGED: dict[str, Callable[[], nn.Module]] = {
    "unknown": lambda: stem(Unknown()),
    "own convolution": lambda: stem(OwnConv(3, 3, 3)),
    "upsampling": lambda: stem(nn.Upsample(scale_factor=2)),
    "adaptive pooling": lambda: stem(nn.AdaptiveAvgPool2d(7)),
    "not square": lambda: stem(nn.Conv2d(3, 3, (3, 5), padding=1)),
    "circular": lambda: stem(nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")),
    "resize": lambda: stem(transforms.Resize((112, 112))),
    "center crop": lambda: stem(transforms.CenterCrop(112)),
    "resize, v2": lambda: stem(v2.Resize((112, 112))),
    "normalize": lambda: stem(transforms.Normalize([0.5], [0.5])),
    "zero padding": lambda: stem(nn.ZeroPad2d((3, 0, 3, 0))),
    "reflection padding": lambda: stem(nn.ReflectionPad2d(4)),
    "pixel shuffle": lambda: stem(nn.PixelUnshuffle(2)),
    "transposed convolution": lambda: stem(nn.ConvTranspose2d(3, 3, 2, stride=2)),
    "fractional pooling": lambda: stem(nn.FractionalMaxPool2d(2, output_ratio=0.5)),
    "power pooling": lambda: stem(nn.LPPool2d(2, 2)),
    "own pooling": lambda: stem(OwnPool(2)),
    "own normalization": lambda: stem(OwnNorm(3)),
    "own chain": lambda: stem(OwnChain(nn.Identity())),
    "linear along the columns": lambda: stem(nn.Linear(64, 32)),
    "permuted": lambda: stem(Permute([0, 1, 3, 2])),
    "flattened": lambda: stem(nn.Flatten(2), nn.Unflatten(2, (8, 8))),
    "jit": lambda: stem(torch.jit.script(nn.ReLU())),
}


def at(name: str, part: str, module: nn.Module) -> nn.Module:
    """Put a module in the place of another."""
    net = build(name)
    owner, _, child = part.rpartition(".")
    setattr(net.get_submodule(owner), child, module)
    return net


CHANGED |= {
    "own block": lambda: at("resnet", "layer2.1", OwnBlock(128, 128)),
    "a pooling in a branch": lambda: at("googlenet", "inception4a.branch2", OwnPool(3, 1, 1)),
    "a shift in one branch": lambda: at(
        "googlenet", "inception4a.branch1", nn.Conv2d(480, 192, 4, padding="same")
    ),
    "a shift beside the identity": lambda: at(
        "resnet", "layer1.0.conv2", nn.Conv2d(64, 64, 4, padding="same")
    ),
    "a shift in a shortcut": lambda: at(
        "resnet", "layer2.0.downsample", nn.AvgPool2d(2, ceil_mode=True)
    ),
    "attention of the user's": lambda: at("swin", "features.1.0.attn", Unknown()),
    "a resize in the middle": lambda: at("vgg", "features.4", transforms.Resize((30, 30))),
    "a gate of the user's": lambda: at("mobilenet_v3", "features.1.block.1", Unknown()),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*antialias:UserWarning")
@pytest.mark.parametrize("name", CHANGED)
def test_no_centers_are_guessed(name):
    net = CHANGED[name]()
    assert centers_of(net) is None
    with pytest.raises(SettingError, match="cell centers must be known"):
        CAMExtractor(net, alignment="receptive_field")


def shifted(_module: object, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].roll(8, -1),)


@pytest.mark.parametrize("part", ["", "conv1", "layer2", "layer2.0", "layer2.0.relu"])
@pytest.mark.parametrize("hook", ["register_forward_hook", "register_forward_pre_hook"])
def test_centers_are_unknown_with_a_hook(part, hook):
    net = build("resnet")
    handle = getattr(net.get_submodule(part), hook)(shifted)
    assert centers_of(net) is None
    handle.remove()
    assert centers_of(net) == CellCenters(0.5, 32.0)


def test_centers_are_unknown_with_a_hook_on_all_modules():
    handle = register_module_forward_pre_hook(shifted)
    try:
        assert centers_of(build("resnet")) is None
    finally:
        handle.remove()


@pytest.mark.parametrize("part", ["", "conv1", "layer2", "layer2.0"])
def test_centers_are_unknown_with_a_patched_module(part):
    net = build("resnet")
    net.get_submodule(part).forward = lambda x: x
    assert centers_of(net) is None


def test_centers_do_not_depend_on_the_order_of_registration():
    net = build("inception_v3")
    for block, child in [("Mixed_6a", "branch3x3dbl_1"), ("", "Conv2d_1a_3x3")]:
        owner = net.get_submodule(block)
        module = getattr(owner, child)
        delattr(owner, child)
        setattr(owner, child, module)
    assert centers_of(net) == CellCenters(37.5, 32.0)


def test_compiling_a_part_does_not_change_the_centers():
    net = tv.resnet18()
    net.layer2 = torch.compile(net.layer2, backend="eager")
    net.layer3.compile(backend="eager")
    assert centers_of(net) == CellCenters(0.5, 32.0)


def test_other_normalizations_and_activations_do_not_change_the_centers():
    net = tv.resnet18(norm_layer=lambda channels: nn.GroupNorm(4, channels))
    net.relu, net.bn1 = nn.SiLU(), FrozenBatchNorm2d(64)
    assert centers_of(net) == CellCenters(0.5, 32.0)


def test_other_networks_have_no_known_centers():
    assert centers_of(build("maxvit")) is None
    conv = nn.Conv2d(3, 3, 3)
    assert cell_centers_of(conv, conv) is None


@pytest.fixture(scope="module")
def planted_blob() -> ModuleType:
    """Import the benchmark."""
    file = Path(__file__).parents[2] / "benchmarks" / "planted_blob.py"
    spec = spec_from_file_location("planted_blob", file)
    module = module_from_spec(spec)
    sys.modules["planted_blob"] = module  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "custom"), [("resnet18", 15.5), ("squeezenet1_1", 0.0)])
def test_a_planted_blob_is_located_with_receptive_fields(planted_blob, name, custom):
    images, has_blob, centers = planted_blob.plant(16, 160, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    net, outcomes = planted_blob.BUILDERS[name](), []
    for _ in range(2):
        planted_blob.calibrated(planted_blob.mirrored(net), images[:4])
        outcomes.append(planted_blob.examine(net, images, has_blob, centers))
    limit = centers_of(net).stride / 4  # half a cell off is twice as much
    placed = torch.cat([outcome.receptive_field for outcome in outcomes]).mean(0)
    assert placed.abs().max() < limit
    evenly = torch.cat([outcome.half_pixel for outcome in outcomes]).mean(0)
    assert (evenly - custom).abs().max() < limit
