"""How the networks are trained; nothing here knows about maps.

Everything random of an epoch follows from the seed, the fold and the number of the epoch, so that a
training that was killed continues from its last whole epoch and ends with the same weights.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.transforms.v2 import InterpolationMode, RandomAffine
from tqdm import tqdm

from cameval import CAMModel
from cameval.data import Fold
from cameval.distributed import rank
from cameval.errors import DataError, NonFiniteError
from cameval.evaluation import IMAGENET_MEAN, IMAGENET_STD
from cameval.losses import AttentionMining
from cameval.networks import fit_linear_head, pooled_features
from study.frozen import FrozenLayers, KeptOutputs, cut_of, freeze, identity_of
from study.networks import Candidate
from study.settings import Augmentation, Settings

BATCH = 16


@dataclass(frozen=True, eq=False)
class Material:
    """What a network learns from: slices, labels, and the fold that says which to use."""

    images: Tensor  # (N, S, S), in [0, 1]
    labels: Tensor
    fold: Fold
    frozen: Path | None = None  # where outputs of frozen layers are kept


def fine_tune(
    candidate: Candidate,
    material: Material,
    settings: Settings,
    checkpoint: Path,
    device: torch.device,
) -> None:
    """Train the layers of a network in one fold, and keep the best epoch as the checkpoint.

    AdamW, one learning-rate cycle. The best epoch has the lowest loss on the validation slices;
    training stops after `patience` epochs of the second half that were no better. Without
    validation slices, as in the paper's protocol, it is the last. Recipes do not stop early, so
    that those that are compared have the same budget.
    """
    epochs, count = settings.epochs_of(candidate), len(material.fold.train)
    training = Training(candidate, material, settings, device)
    kept = checkpoint.with_suffix(".epoch")
    state = _resume(kept, training.parts)
    title = f"training {candidate}, fold {material.fold.number + 1}"
    with tqdm(total=epochs * count, desc=title, unit="img", disable=rank() > 0) as bar:
        bar.update(state["epoch"] * count)
        while state["epoch"] < epochs:
            if state["stale"] >= settings.patience and not candidate.recipe:
                break
            training.one_epoch(state["epoch"], bar)
            loss = training.validation_loss()
            check_finite(loss, state["epoch"], material.fold)
            if loss < state["best_loss"] or not len(material.fold.validation):
                weights = training.model.state_dict().items()
                best = {name: value.detach().cpu().clone() for name, value in weights}
                state |= {"best": best, "best_loss": loss, "stale": 0}
            elif state["epoch"] >= epochs // 2:  # before it the learning rate is too high to tell
                state["stale"] += 1
            state["epoch"] += 1
            parts = {name: part.state_dict() for name, part in training.parts.items()}
            save_atomically(state | parts, kept)
    save_atomically(state["best"], checkpoint)
    kept.unlink()


class Training:
    """A network in training: all that an epoch changes, and what it learns from."""

    def __init__(
        self, candidate: Candidate, material: Material, settings: Settings, device: torch.device
    ) -> None:
        fold, classes = material.fold, int(material.labels.max()) + 1
        self.material, self.settings, self.device = material, settings, device
        with _seeded(settings.seed, fold.number, 0, device):
            self.model = candidate.build(settings.pretrained, classes).to(device)
        self.trained = with_frozen(self.model, candidate, settings, material.frozen)
        self.pretrained = settings.is_pretrained(candidate)
        self.class_weights = class_weights(material, settings).to(device)
        self.mining = None
        if candidate.recipe == "gain":
            omega, sigma = settings.gain or (0.0, 0.0)
            self.mining = AttentionMining(omega, sigma, class_weights=self.class_weights)
        parameters = [one for one in self.model.parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(parameters, weight_decay=0.01)
        steps = settings.epochs_of(candidate) * len(batches(torch.from_numpy(fold.train)))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.rate_of(candidate), total_steps=steps
        )
        bfloat = device.type != "cuda" or torch.cuda.is_bf16_supported()
        self.half = torch.bfloat16 if bfloat else torch.float16
        scaled = settings.mixed_precision and self.half == torch.float16
        scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self.parts: dict[str, Any] = {"model": self.model, "optimizer": optimizer}
        self.parts |= {"schedule": schedule, "scaler": scaler}

    def one_epoch(self, epoch: int, bar: "tqdm[None]") -> None:
        """Train on every training slice once, in random order and with random changes.

        A pretrained network keeps the statistics of its batch normalization, which small batches
        of another kind of image would spoil.
        """
        optimizer, scaler = self.parts["optimizer"], self.parts["scaler"]
        self.trained.train()
        for module in self.trained.modules():
            if self.pretrained and isinstance(module, nn.BatchNorm2d):
                module.eval()
        fold = self.material.fold
        with _seeded(self.settings.seed, fold.number, epoch + 1, self.device):
            order = torch.from_numpy(fold.train)[torch.randperm(len(fold.train))]
            for chosen in batches(order):
                images = augment(self.material.images[chosen], self.settings.augment)
                labels = self.material.labels[chosen].to(self.device)
                optimizer.zero_grad()
                loss = self.loss(normalize(images, self.device), labels)
                check_finite(loss.item(), epoch, fold)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                self.parts["schedule"].step()
                bar.update(len(chosen))
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch: of the classification, and of attention mining with GAIN."""
        with torch.autocast(self.device.type, self.half, self.settings.mixed_precision):
            if self.mining is not None:
                return self.mining(self.trained, images, labels).total
            return cross_entropy(self.trained(images), labels, self.class_weights)

    def validation_loss(self) -> float:
        """Return the loss on the validation slices, 0 where there are none."""
        chosen = self.material.fold.validation
        if not len(chosen):
            return 0.0
        logits = predict(self.trained, self.material.images[chosen])
        return float(cross_entropy(logits, self.material.labels[chosen], self.class_weights.cpu()))


def check_finite(loss: float, epoch: int, fold: Fold) -> None:
    """Refuse a loss that is not finite."""
    if not math.isfinite(loss):
        raise NonFiniteError(
            f"the loss must be finite, got {loss} in fold {fold.number + 1}, epoch {epoch + 1}; "
            "train with --no-mixed-precision, or look at the slices"
        )


def normalize(images: Tensor, device: torch.device) -> Tensor:
    """Turn gray images ``(N, H, W)`` in [0, 1] into normalized channels, on a device."""
    mean, std = (torch.tensor(v)[:, None, None].to(device) for v in (IMAGENET_MEAN, IMAGENET_STD))
    channels = (images.to(device)[:, None] - mean) / std
    return channels.contiguous(memory_format=torch.channels_last)  # up to three times as fast


def augment(images: Tensor, how: Augmentation) -> Tensor:
    """Mirror slices left to right at random; by ``"affine"``, also turn, shift and scale them."""
    if how == "none":
        return images
    mirrored = torch.rand(len(images)) < 0.5
    flipped = images.where(~mirrored[:, None, None].to(images.device), images.flip(-1))
    if how == "mirror":
        return flipped
    affine = RandomAffine(
        [-10, 10], [0.05, 0.05], [0.9, 1.1], interpolation=InterpolationMode.BILINEAR
    )
    return torch.stack([affine(image[None])[0] for image in flipped])


def batches(order: Tensor) -> list[Tensor]:
    """Cut slices into batches; a last one of a single slice, which has no statistics, is joined."""
    cut = list(order.split(BATCH))
    if len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [torch.cat(cut[-2:])]
    return cut


def class_weights(material: Material, settings: Settings) -> Tensor:
    """Return weights by which each class has the same share in the loss, or equal ones."""
    counts = torch.bincount(material.labels[torch.from_numpy(material.fold.train)]).float()
    if settings.class_weights == "none":
        return torch.ones_like(counts)
    return counts.sum() / (len(counts) * counts)


def predict(model: CAMModel, images: Tensor) -> Tensor:
    """Return logits ``(N, C)``; the network is in evaluation mode afterwards."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = [model(normalize(batch, device)).cpu() for batch in images.split(BATCH)]
    return torch.cat(logits)


def train_linear(
    candidate: Candidate,
    material: Material,
    settings: Settings,
    checkpoint: Path,
    device: torch.device,
    kept: Path,
) -> None:
    """Train the linear layer of a network in one fold; all folds share the frozen features."""
    classes = int(material.labels.max()) + 1
    model = candidate.build_seeded(settings.pretrained, classes, settings.seed).to(device)
    if not kept.exists():
        frozen = with_frozen(model, candidate, settings, material.frozen)
        bar = tqdm(material.images.split(BATCH), desc="frozen features", unit="batch")
        save_atomically(pooled_features(frozen, (normalize(b, device) for b in bar)), kept)
    features = torch.load(kept, weights_only=True)
    fold, balanced = material.fold, settings.class_weights == "balanced"
    parts = fold.train, fold.validation
    fit_linear_head(model, features, material.labels, *parts, balanced=balanced)
    save_atomically(model.cpu().state_dict(), checkpoint)


def with_frozen(
    model: CAMModel, candidate: Candidate, settings: Settings, folder: Path | None
) -> CAMModel:
    """Return a network with the layers that `settings` freezes; it is the network without any."""
    layer, precision, size = settings.freeze_until, settings.keep, settings.size_of(candidate)
    if layer is None:
        return model
    cut = cut_of(model, layer, size)
    if folder is None or precision == "none":
        return freeze(model, cut, None)
    identity = identity_of(candidate.network, model, cut, precision)
    name = f"{candidate.network}-{size}-{layer}-{identity[:12]}"
    return freeze(model, cut, KeptOutputs(folder / name, precision, identity))


def keep_outputs(model: CAMModel, images: Tensor, *, mirrored: bool, title: str) -> None:
    """Compute what frozen layers return for slices, and for mirrored slices, unless it is kept."""
    layers = model.features[0] if isinstance(model.features, nn.Sequential) else None
    if not isinstance(layers, FrozenLayers) or layers.kept is None:
        return
    device = next(model.parameters()).device
    copies = [images, images.flip(-1)] if mirrored else [images]
    count = sum(len(one.split(BATCH)) for one in copies)
    with tqdm(total=count, desc=title, unit="batch", disable=rank() > 0) as bar:
        for copy in copies:
            batches = (normalize(batch, device) for batch in copy.split(BATCH))
            layers.kept.add(_counted(batches, bar), layers.compute)


def _counted(batches: Iterable[Tensor], bar: "tqdm[None]") -> Iterator[Tensor]:
    for batch in batches:
        yield batch
        bar.update()


def save_atomically(state: Any, path: Path) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    part.replace(path)


def _resume(kept: Path, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the state that an interrupted training has kept, and load its parts."""
    fresh = {"epoch": 0, "best": {}, "best_loss": float("inf"), "stale": 0}
    if not kept.exists():
        return fresh
    try:
        state = torch.load(kept, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise DataError(f"{kept} must be an epoch of this study, got {error}; delete it") from error
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return {name: state[name] for name in fresh}


@contextmanager
def _seeded(seed: int, fold: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block; outside, its generator continues as before."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence([seed, fold, epoch]).generate_state(1)[0]))
        yield
