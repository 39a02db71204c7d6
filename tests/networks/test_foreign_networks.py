"""Networks of other packages, adapted without being told where to cut."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torchvision.models as tv
from families import state
from torch import Tensor, nn

from cameval import CAMExtractor, CAMModel, adapt, cam, grad_cam

pytestmark = pytest.mark.filterwarnings("ignore")  # what other packages warn of at import


class Case(NamedTuple):
    """A network, and where an independent reference reads its features.

    `package` is what must be installed, `layer` the path of the module, and `axes` the layout of
    its output: "NCHW", "NHWC", or the number of tokens before those of the patches.
    """

    package: str
    make: Callable[[], nn.Module]
    size: tuple[int, ...]
    layer: str
    axes: str | int = "NCHW"
    exact: bool = True
    relu: bool = False
    options: dict[str, Any] = {}  # noqa: RUF012


def timm_net(name: str, **settings: Any) -> Callable[[], nn.Module]:
    """Make a network of timm."""

    def make() -> nn.Module:
        import timm

        net: nn.Module = timm.create_model(name, num_classes=4, **settings)
        return net

    return make


def hugging_face(kind: str, **settings: Any) -> Callable[[], nn.Module]:
    """Make a small image classifier of transformers."""

    def make() -> nn.Module:
        import transformers

        config = getattr(transformers, f"{kind}Config")(num_labels=4, **settings)
        net: nn.Module = getattr(transformers, f"{kind}ForImageClassification")(config)
        return net

    return make


def monai_net() -> nn.Module:
    """Make a network of volumes with one channel."""
    from monai.networks.nets import DenseNet

    return DenseNet(3, 1, 4, init_features=8, growth_rate=4, block_config=(1, 1))


def xray_net() -> nn.Module:
    """Make a network of chest X-rays with one channel."""
    import torchxrayvision

    return torchxrayvision.models.DenseNet(
        num_classes=4, growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=8
    )


def lightning_module() -> nn.Module:
    """Make a Lightning module around a network."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = tv.squeezenet1_1().features
            self.fc = nn.Linear(512, 4)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.backbone(images).mean((2, 3)))

    return Module()


class Wrapped(nn.Module):
    """A network with its normalization, as many users have it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = tv.mnasnet0_5(num_classes=4)

    def forward(self, images: Tensor) -> Tensor:
        """Normalize and classify."""
        return self.backbone((images - 0.45) / 0.225)


VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
HF_VIT = dict(
    **{
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    },
    **{"image_size": 32, "patch_size": 8},
)

CASES: dict[str, Case] = {
    "timm resnet": Case("timm", timm_net("resnet10t"), (64, 96), "layer4"),
    "timm convnext": Case("timm", timm_net("convnext_atto"), (64, 96), "stages"),
    "timm efficientnet": Case("timm", timm_net("tinynet_e"), (64, 96), "bn2"),
    "timm mobilenetv3": Case(
        *("timm", timm_net("mobilenetv3_small_050"), (64, 96), "blocks"), exact=False
    ),
    "timm regnet": Case("timm", timm_net("regnetx_002"), (64, 96), "s4"),
    "timm densenet": Case(
        *("timm", timm_net("densenet121", growth_rate=4, block_config=(1, 1, 1, 1)), (64, 96)),
        "features",
    ),
    "timm resnetv2": Case("timm", timm_net("resnetv2_50", layers=(1, 1, 1, 1)), (64, 96), "norm"),
    "timm vit": Case(
        *("timm", timm_net("vit_tiny_patch16_224", **VIT), (32, 32), "blocks.1.norm1"),
        *(1, False),
    ),
    "timm vit with average pooling": Case(
        *("timm", timm_net("vit_tiny_patch16_224", global_pool="avg", **VIT), (32, 32)),
        *("blocks", 1, True),
    ),
    "timm deit": Case(
        *("timm", timm_net("deit_tiny_distilled_patch16_224", **VIT), (32, 32)),
        *("blocks.1.norm1", 2, False),
    ),
    "timm swin": Case(
        "timm",
        timm_net(
            "swin_tiny_patch4_window7_224",
            **{
                "img_size": 64,
                "window_size": 4,
                "embed_dim": 8,
                "depths": (1, 1),
                "num_heads": (1, 2),
            },
        ),
        (64, 64),
        "norm",
        "NHWC",
    ),
    "transformers resnet": Case(
        "transformers",
        hugging_face("ResNet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
        (64, 96),
        "resnet.encoder.stages.1",
    ),
    "transformers convnext": Case(
        "transformers",
        hugging_face("ConvNext", num_stages=2, hidden_sizes=[8, 16], depths=[1, 1]),
        (64, 96),
        "convnext.encoder.stages.1",
    ),
    "transformers vit": Case(
        *("transformers", hugging_face("ViT", **HF_VIT), (32, 32)),
        *("vit.layers.1.layernorm_before", 1, False),
    ),
    "transformers swin": Case(
        "transformers",
        hugging_face(
            "Swin",
            **{
                "image_size": 64,
                "patch_size": 4,
                "embed_dim": 8,
                "depths": [1, 1],
                "num_heads": [1, 2],
            },
            window_size=4,
        ),
        (64, 64),
        "swin.layernorm",
        0,
    ),
    "monai densenet of volumes": Case("monai", monai_net, (16, 24, 32), "class_layers.relu"),
    "torchxrayvision densenet": Case("torchxrayvision", xray_net, (64, 96), "features", relu=True),
    "torchvision video": Case("torch", lambda: small_video(), (8, 32, 48), "layer4"),
    "torchvision quantizable": Case(
        *("torch", lambda: tv.quantization.mobilenet_v2(num_classes=4), (64, 96), "features"),
    ),
    "torchvision segmentation": Case(
        "torch",
        lambda: tv.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=4),
        (64, 96),
        "backbone.16",
        exact=False,
        options={
            "layer": "backbone.16",
            "select": lambda outputs: outputs["out"].mean((2, 3)),
        },
    ),
    "lightning module": Case("lightning", lightning_module, (64, 96), "backbone"),
    "own": Case("torch", Wrapped, (64, 96), "backbone.layers"),
    "own in a sequence": Case(
        *("torch", lambda: nn.Sequential(nn.BatchNorm2d(3), tv.resnet18(num_classes=4))),
        *((64, 96), "1.layer4"),
    ),
}


def small_video() -> nn.Module:
    """Make a small network of videos."""
    from torchvision.models.video import resnet as video

    return video.VideoResNet(
        video.BasicBlock, [video.Conv3DSimple] * 4, [1, 1, 1, 1], video.BasicStem, num_classes=4
    )


def feature_maps(output: Tensor, case: Case) -> Tensor:
    """Read the output of the reference's layer as feature maps."""
    if case.axes == "NHWC":
        return output.permute(0, 3, 1, 2)
    if isinstance(case.axes, int):
        patches = output[:, case.axes :]
        side = round(patches.shape[1] ** 0.5)
        return patches.permute(0, 2, 1).reshape(len(output), -1, side, side)
    return output


def reference(net: nn.Module, case: Case, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits, the features, and the gradient of class 1, by a hook and autograd."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.relu() if case.relu else output)
        return kept[0]

    select = case.options.get("select", lambda out: getattr(out, "logits", out))
    handle = net.get_submodule(case.layer).register_forward_hook(keep)
    (gradient,) = torch.autograd.grad(select(net(images))[:, 1].sum(), kept)
    kept.clear()
    with torch.no_grad():  # torch may choose another algorithm with autograd
        logits = select(net(images))
    handle.remove()
    return logits, feature_maps(kept[0], case), feature_maps(gradient, case)


@pytest.mark.parametrize("name", CASES)
def test_a_network_from_elsewhere_gives_the_maps_of_hooks_and_autograd(name: str) -> None:
    case = CASES[name]
    pytest.importorskip(case.package)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = case.make().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d | nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
        first = next(m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
        images = torch.randn(2, first.in_channels, *case.size)
    before = state(net)
    model = adapt(net, **case.options)
    result = CAMExtractor(model, grad_cam)(images, 1)
    assert state(net) == before
    logits, features, gradient = reference(net, case, images)
    assert torch.equal(result.logits, logits)
    activations = model.activations(images)
    assert torch.equal(activations.features, features)
    if case.relu:  # a ReLU in place has no gradient at 0, and the features are what it returns
        gradient = gradient.amax((2, 3), keepdim=True).expand_as(features)
        torch.testing.assert_close(activations.gradients(torch.ones(2, dtype=torch.long)), gradient)
    else:
        found = activations.gradients(torch.ones(2, dtype=torch.long))
        assert torch.equal(found, gradient)
        # The order of the sums follows the layout in memory.
        gradient = torch.empty_like(found, memory_format=torch.preserve_format).copy_(gradient)
    axes = tuple(range(2, features.ndim))
    expected = (gradient.mean(axes, keepdim=True) * activations.features).sum(1).relu()
    assert torch.equal(result.coarse, expected) or case.relu
    if case.exact:
        assert isinstance(model, CAMModel)
        maps = CAMExtractor(model, cam)(images, 1).coarse
        mean = maps.flatten(1).mean(1) + model.head.bias[1].detach()
        torch.testing.assert_close(mean, logits[:, 1], rtol=1e-4, atol=1e-5)


def test_a_batch_norm_of_a_foreign_network_is_not_written_to() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), tv.resnet18(num_classes=4)).train()
    before = state(net)
    CAMExtractor(net, cam)(torch.randn(2, 3, 64, 64))
    assert state(net) == before
