"""One small, untrained network of every family, with random normalization statistics."""

from collections.abc import Callable
from functools import cache

import torch
import torchvision.models as tv
from torch import Tensor, nn

FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "alexnet": tv.alexnet,
    "vgg": tv.vgg11,
    "vgg_bn": tv.vgg11_bn,
    "resnet": tv.resnet18,
    "resnext": tv.resnext50_32x4d,
    "wide_resnet": tv.wide_resnet50_2,
    "densenet": tv.densenet121,
    "squeezenet": tv.squeezenet1_1,
    "googlenet": lambda: tv.googlenet(init_weights=False, transform_input=True),
    "inception_v3": lambda: tv.inception_v3(init_weights=False, transform_input=True),
    "mobilenet_v2": tv.mobilenet_v2,
    "mobilenet_v3": tv.mobilenet_v3_small,
    "mnasnet": tv.mnasnet0_5,
    "shufflenet": tv.shufflenet_v2_x0_5,
    "efficientnet": tv.efficientnet_b0,
    "efficientnet_v2": tv.efficientnet_v2_s,
    "regnet": tv.regnet_y_400mf,
    "convnext": tv.convnext_tiny,
    "swin": tv.swin_t,
    "swin_v2": tv.swin_v2_t,
    "maxvit": tv.maxvit_t,
}
EXACT = sorted(FAMILIES.keys() - {"alexnet", "vgg", "vgg_bn", "mobilenet_v3", "maxvit"})
GAP = sorted(set(EXACT) - {"squeezenet", "convnext"})


@cache
def family(name: str) -> nn.Module:
    """Build a network in evaluation mode. It is shared by the tests, which must not change it.

    Random numbers drawn afterwards do not depend on which test was the first to ask for it.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(sum(map(ord, name)))
        net = FAMILIES[name]().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        for parameter in list(net.parameters())[-2:]:  # a head whose logits differ from each other
            parameter.normal_(0, 0.1)
    return net


def images(name: str, count: int = 2, seed: int = 0) -> Tensor:
    """Make images of the smallest useful size, not square where the family allows it."""
    height, width = (224, 224) if name == "maxvit" else (96, 128)
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def state(net: nn.Module) -> list[object]:
    """Return everything about a network that a call could change."""
    return [
        [
            (
                name,
                id(module),
                module.training,
                {k: len(v) for k, v in vars(module).items() if "hook" in k and v},
            )
            for name, module in net.named_modules()
        ],
        [
            (
                name,
                id(p),
                p.data_ptr(),
                p._version,
                p.requires_grad,
                None if p.grad is None else p.grad.clone(),
            )
            for name, p in net.named_parameters()
        ],
        [(name, id(b), b.data_ptr(), b._version) for name, b in net.named_buffers()],
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
    ]


def reference_at_layer(
    net: nn.Module, layer: str, batch: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Return activation and gradient at a layer, by a hook on the network and a backward pass.

    The hook returns a copy, so that later modules cannot overwrite the layer's output.
    """
    kept: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()

    handle = net.get_submodule(layer).register_forward_hook(keep)
    try:
        logits = net(batch.clone().requires_grad_())
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), kept[0])
    return kept[0].detach(), gradient
