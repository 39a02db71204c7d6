"""The networks of the study and how they are trained; nothing here knows about maps or masks."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from cameval import CAMModel, GAPHead, Place, adapt
from cameval.errors import CamevalError

BATCH = 16
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = {"small_cnn_8px": 3, "small_cnn_16px": 4}  # halvings: one cell of the map covers 8 or 16 px


class WeightsError(CamevalError, ValueError):
    """Pretrained weights cannot be had or do not fit."""


def build(name: str, pretrained: str, num_classes: int) -> CAMModel:
    """Make a network with global average pooling and one linear layer for `num_classes`.

    Small networks start from nothing; torchvision's from ``imagenet`` (a download), ``none``, or a
    file of weights, or a folder with a file whose name starts with the network's.
    """
    if name in SMALL:
        return small_cnn(SMALL[name], num_classes)
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise WeightsError(
            f"a model must be one of {', '.join(SMALL)} or a torchvision classifier, got {name!r}"
        )
    options = {}
    if name in {"googlenet", "inception_v3"}:  # their weights expect another normalization
        options = {"init_weights": False, "transform_input": pretrained != "none"}
    net = torchvision.models.get_model(name, weights=None, **options)
    if pretrained == "imagenet":
        weights = torchvision.models.get_model_weights(name)["DEFAULT"]
        try:
            net.load_state_dict(weights.get_state_dict(progress=True))
        except OSError as error:
            raise WeightsError(
                f"the ImageNet weights of {name} must be downloadable, got {error}; "
                "give a file with --pretrained PATH, or train from nothing with --pretrained none"
            ) from error
    elif pretrained != "none":
        load_weights(net, name, Path(pretrained))
    return adapt(net, num_classes=num_classes)


def small_cnn(halvings: int, num_classes: int) -> CAMModel:
    """Make a plain convolutional network that trains from nothing in a minute."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (16, 32, 64, 96)[:halvings]:
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        channels = width
    layers += [nn.Conv2d(channels, 96, 3, padding=1, bias=False), nn.BatchNorm2d(96)]
    layers += [nn.ReLU(inplace=True)]
    cell = 2**halvings  # max-pooling keeps the first cell half a cell inside the image
    place = Place(offset=cell / 2, stride=cell)
    return CAMModel(nn.Sequential(*layers), GAPHead(nn.Linear(96, num_classes)), place)


def load_weights(net: nn.Module, name: str, path: Path) -> None:
    """Load a state dict into a torchvision network, without unpickling anything but tensors."""
    if path.is_dir():
        found = sorted(path.glob(f"{name}*.pth"))
        if not found:
            raise WeightsError(f"{path} must hold a file {name}*.pth, got none")
        path = found[0]
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict({key: value.float() for key, value in weights.items()})
    except (OSError, RuntimeError, AttributeError, EOFError, UnpicklingError) as error:
        raise WeightsError(f"{path} must hold the weights of {name}, got {error}") from error


def prepare(images: Tensor, model: CAMModel) -> Tensor:
    """Turn gray images ``(N, H, W)`` in [0, 1] into what a network expects, on its device.

    Three normalized channels, channels last in memory: the same numbers, up to three times as fast
    on a CPU.
    """
    device = next(model.parameters()).device
    mean, std = (
        torch.tensor(values, device=device)[:, None, None]
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    channels = (images.to(device)[:, None] - mean) / std
    return channels.contiguous(memory_format=torch.channels_last)


def fine_tune(
    model: CAMModel,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    pretrained: bool,
    bar: "tqdm[None]",
) -> None:
    """Train all layers: AdamW, one learning-rate cycle, images mirrored at random.

    A pretrained network keeps the statistics of its batch normalization, which small batches of
    another kind of image would spoil.
    """
    model.train()
    for module in model.modules():
        if pretrained and isinstance(module, nn.BatchNorm2d):
            module.eval()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3e-4 if pretrained else 3e-3, total_steps=steps
    )
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            batch, mirrored = images[chosen], torch.rand(len(chosen)) < 0.5
            batch = torch.where(mirrored[:, None, None], batch.flip(-1), batch)
            logits = model(prepare(batch, model))
            loss = cross_entropy(logits, labels[chosen].to(logits.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update(len(chosen))
            bar.set_postfix(loss=f"{loss.item():.3f}")


def pooled_features(model: CAMModel, images: Tensor) -> Tensor:
    """Features averaged over positions, ``(N, K)``: all that a frozen trunk can tell its head."""
    model.eval()
    with torch.no_grad():
        batches = tqdm(images.split(BATCH), desc="frozen features", unit="batch", leave=False)
        pooled = [model.features(prepare(batch, model)).mean((2, 3)).cpu() for batch in batches]
    return torch.cat(pooled)


def fit_head(model: CAMModel, pooled: Tensor, labels: Tensor) -> None:
    """Fit the linear layer to frozen features by logistic regression, every class present."""
    fitted = LogisticRegression(max_iter=5000).fit(pooled.numpy(), labels.numpy())
    weights = {"weight": fitted.coef_, "bias": fitted.intercept_}
    linear = model.get_submodule("head.linear")
    linear.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})


def predict(model: CAMModel, images: Tensor) -> Tensor:
    """Class probabilities ``(N, C)`` by a network in evaluation mode."""
    with torch.no_grad():
        logits = [model(prepare(batch, model)).cpu() for batch in images.split(BATCH)]
    return torch.cat(logits).softmax(1)


def load_trained(name: str, checkpoint: Path, num_classes: int) -> CAMModel:
    """Load a network that this study has trained, in evaluation mode."""
    model = build(name, "none", num_classes)
    model.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return model.eval()


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)
