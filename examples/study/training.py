"""How the networks are trained; nothing here knows about maps.

Everything random of an epoch follows from the study's seed, the fold and the epoch's number. So a
training that was killed goes on from its last whole epoch and ends with the same weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from cameval import CAMModel
from cameval.errors import DataError, NonFiniteError
from cameval.evaluation import IMAGENET_MEAN, IMAGENET_STD
from cameval.losses import AttentionMining
from cameval.networks.zoo import read_weights
from study.augmentation import augment
from study.candidates import SMALL, Candidate
from study.folds import Split
from study.settings import Settings
from study.slices import Pictures

BATCH = 16


@dataclass(frozen=True, eq=False)
class Material:
    """What a network may learn from: the slices of a study, and the split that says which."""

    pictures: Pictures
    labels: Tensor
    split: Split


def normalized(images: Tensor, device: torch.device) -> Tensor:
    """Turn gray images ``(N, H, W)`` in [0, 1] into what a network expects, on its device.

    Three normalized channels, channels last in memory: the same numbers, up to three times as fast
    on a CPU.
    """
    mean, std = (torch.tensor(v)[:, None, None].to(device) for v in (IMAGENET_MEAN, IMAGENET_STD))
    channels = (images.to(device)[:, None] - mean) / std
    return channels.contiguous(memory_format=torch.channels_last)


def fine_tune(
    candidate: Candidate,
    material: Material,
    settings: Settings,
    checkpoint: Path,
    device: torch.device,
    bar: "tqdm[None]",
) -> None:
    """Train all layers of a network in one fold, and keep the best epoch as the checkpoint.

    AdamW, one learning-rate cycle. The best epoch is that of the lowest loss on the validation
    slices; training stops as soon as `patience` epochs were no better, of which those of the first
    half do not count, since the learning rate is still too high to tell. Where there are no
    validation slices, as in the paper's protocol, it is the last. Recipes do not stop before their
    last epoch, so that those that are compared have had the same budget. A pretrained network keeps
    the statistics of its batch normalization, which small batches of another kind of image would
    spoil.
    """
    epochs, images = epochs_of(candidate, settings), len(material.split.train)
    training = Training(candidate, material, settings, device)
    kept = checkpoint.with_suffix(".epoch")
    state = _resumed(kept, training.parts)
    bar.update(state["epoch"] * images)
    for epoch in range(state["epoch"], epochs):
        if state["stale"] >= settings.patience and not candidate.recipe:
            bar.total -= (epochs - epoch) * images
            bar.refresh()
            break
        training.one_epoch(epoch, bar)
        loss = training.validation_loss()
        if loss is not None and not isfinite(loss):
            raise NonFiniteError(
                f"the validation loss must be finite, got {loss} in epoch {epoch + 1} of fold "
                f"{material.split.fold + 1}; look at the slices"
            )
        if loss is None or loss < state["best_loss"]:
            state |= {"best": training.weights, "best_loss": loss or 0.0, "stale": 0}
        elif epoch >= epochs // 2:
            state["stale"] += 1
        state["epoch"] = epoch + 1
        parts = {name: part.state_dict() for name, part in training.parts.items()}
        save_atomically(state | parts, kept)
    save_atomically(state["best"], checkpoint)
    kept.unlink()


class Training:
    """A network in training: all that an epoch changes, and what it learns from."""

    def __init__(
        self, candidate: Candidate, material: Material, settings: Settings, device: torch.device
    ) -> None:
        split, classes = material.split, int(material.labels.max()) + 1
        self.material, self.settings, self.device = material, settings, device
        with _seeded(settings.seed, split.fold, 0, device):
            self.model = candidate.build(settings.pretrained, classes).to(device)
        self.pretrained = candidate.network not in SMALL and settings.pretrained != "none"
        self.class_weights = class_weights(material, settings).to(device)
        self.mining = attention_mining(candidate, settings, self.class_weights)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=3e-4 if self.pretrained else 3e-3,
            total_steps=epochs_of(candidate, settings)
            * len(batches(torch.from_numpy(split.train))),
        )
        bfloat = device.type != "cuda" or torch.cuda.is_bf16_supported()
        self.half = torch.bfloat16 if bfloat else torch.float16
        scaled = settings.mixed_precision and self.half == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)

    @property
    def parts(self) -> dict[str, Any]:
        """What an epoch changes: all of it is kept after each."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "scaler": self.scaler,
        }

    @property
    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights."""
        return {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}

    def one_epoch(self, epoch: int, bar: "tqdm[None]") -> None:
        """Show the network every training slice once, in an order and with changes by chance."""
        train_mode(self.model, keep_statistics=self.pretrained)
        pictures, split = self.material.pictures, self.material.split
        with _seeded(self.settings.seed, split.fold, epoch + 1, self.device):
            order = torch.from_numpy(split.train)[torch.randperm(len(split.train))]
            for chosen in batches(order):
                images, _ = augment(
                    pictures.images[chosen], pictures.masks[chosen], self.settings.augment
                )
                labels = self.material.labels[chosen].to(self.device)
                self.optimizer.zero_grad()
                loss = self.loss(normalized(images, self.device), labels)
                if not loss.isfinite():
                    raise NonFiniteError(
                        f"the loss must be finite, got {loss.item()} in fold {split.fold + 1}, "
                        f"epoch {epoch + 1}; train with --no-mixed-precision, or look at the slices"
                    )
                self.scaler.scale(loss).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()
                self.schedule.step()
                bar.update(len(chosen))
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch: of the classification, and of attention mining with GAIN."""
        with torch.autocast(self.device.type, self.half, self.settings.mixed_precision):
            if self.mining is not None:
                return self.mining(self.model, images, labels).total
            return cross_entropy(self.model(images), labels, self.class_weights)

    def validation_loss(self) -> float | None:
        """Return the loss on the validation slices; None where there are none."""
        chosen = torch.from_numpy(self.material.split.validation)
        if len(chosen) == 0:
            return None
        logits = predict(self.model, self.material.pictures.images[chosen])
        return float(cross_entropy(logits, self.material.labels[chosen], self.class_weights.cpu()))


def batches(order: Tensor) -> list[Tensor]:
    """Cut slices into batches; a last one of a single slice, which has no statistics, is joined."""
    cut = list(order.split(BATCH))
    if len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [torch.cat(cut[-2:])]
    return cut


def epochs_of(candidate: Candidate, settings: Settings) -> int:
    """Return the most epochs of a candidate.

    ``longer`` passes each slice through the network twice as often, as ``gain`` does.
    """
    return settings.epochs * (2 if candidate.recipe == "longer" else 1)


def attention_mining(
    candidate: Candidate, settings: Settings, weights: Tensor
) -> AttentionMining | None:
    """Return GAIN's loss with the study's settings, where the candidate is trained by it."""
    if candidate.recipe != "gain":
        return None
    omega, sigma = settings.mining
    return AttentionMining(omega, sigma, class_weights=weights)


def class_weights(material: Material, settings: Settings) -> Tensor:
    """Weigh classes so that each has the same share in the loss, or all slices the same."""
    counts = torch.bincount(material.labels[torch.from_numpy(material.split.train)]).float()
    if settings.class_weights == "none":
        return torch.ones_like(counts)
    return counts.sum() / (len(counts) * counts)


def train_mode(model: CAMModel, *, keep_statistics: bool) -> None:
    """Switch to training, but for the statistics of batch normalization where they are kept."""
    model.train()
    for module in model.modules():
        if keep_statistics and isinstance(module, nn.BatchNorm2d):
            module.eval()


def predict(model: CAMModel, images: Tensor) -> Tensor:
    """Logits ``(N, C)`` by a network, in evaluation mode from here on."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = [model(normalized(batch, device)).cpu() for batch in images.split(BATCH)]
    return torch.cat(logits)


def load_trained(
    candidate: Candidate,
    pretrained: str,
    checkpoint: Path,
    num_classes: int,
    device: torch.device,
) -> CAMModel:
    """Load a network that this study has trained, in evaluation mode.

    GoogLeNet and Inception are built with another input where they are pretrained, so they are
    built as they were for the training.
    """
    changes = candidate.network in ("googlenet", "inception_v3")
    model = candidate.build(pretrained if changes else "none", num_classes)
    model.load_state_dict(read_weights(checkpoint))
    return model.eval().to(device)


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_name(path.name + ".part"))
    path.with_name(path.name + ".part").replace(path)


def _resumed(kept: Path, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the state that an interrupted training has kept, and load its parts."""
    fresh = {"epoch": 0, "best": {}, "best_loss": float("inf"), "stale": 0}
    if not kept.exists():
        return fresh
    try:
        state = torch.load(kept, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises what it likes
        raise DataError(f"{kept} must be an epoch of this study, got {error}; delete it") from error
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return {name: state[name] for name in fresh}


@contextmanager
def _seeded(seed: int, fold: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed what is random inside; what was random outside goes on as if nothing had been."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(np.random.SeedSequence([seed, fold, epoch]).generate_state(1)[0]))
        yield
