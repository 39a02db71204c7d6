"""Networks whose features are frozen: each slice passes once, and each fold fits a linear layer."""

from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor
from tqdm import tqdm

from cameval import CAMModel
from cameval.errors import SettingError
from study.candidates import Candidate
from study.settings import Settings
from study.slices import Pictures
from study.training import BATCH, Material, normalized, save_atomically

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularizations among which the validation slices choose; without them it is 1."""


def build_frozen(candidate: Candidate, settings: Settings, num_classes: int) -> CAMModel:
    """Make a network whose features are the same in every fold, also where they are random."""
    with torch.random.fork_rng([]):
        torch.manual_seed(settings.seed)
        return candidate.build(settings.pretrained, num_classes).eval()


def pooled_features(
    model: CAMModel, pictures: Pictures, kept: Path, device: torch.device
) -> Tensor:
    """Features averaged over positions, ``(N, K)``: all that a frozen trunk can tell its head.

    They are computed once for all folds, and kept in a file.
    """
    if kept.exists():
        return torch.from_numpy(np.load(kept, allow_pickle=False))
    model = model.to(device)
    with torch.no_grad():
        batches = tqdm(pictures.images.split(BATCH), desc="frozen features", unit="batch")
        pooled = [model.features(normalized(b, device)).mean((2, 3)).cpu() for b in batches]
    features = torch.cat(pooled)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part.npy")
    np.save(part, features.numpy())
    part.replace(kept)
    return features


def fit_head(model: CAMModel, features: Tensor, material: Material, settings: Settings) -> None:
    """Fit the linear layer to frozen features by logistic regression.

    Of several strengths of regularization that with the lowest loss on the validation slices is
    taken.
    """
    linear = getattr(model.head, "linear", None)
    if linear is None:
        raise SettingError(
            "--freeze must be given with networks that end in one linear layer, got a "
            f"{type(model.head).__name__}; take the head gap, or train without --freeze"
        )
    values, labels = features.numpy(), material.labels.numpy()
    train, validation = material.split.train, material.split.validation
    balanced = "balanced" if settings.class_weights == "balanced" else None
    fitted = [
        LogisticRegression(C=strength, class_weight=balanced, max_iter=5000).fit(
            values[train], labels[train]
        )
        for strength in (STRENGTHS if len(validation) else (1.0,))
    ]
    if len(validation):
        fitted.sort(
            key=lambda one: log_loss(
                labels[validation], one.predict_proba(values[validation]), labels=one.classes_
            )
        )
    best = fitted[0]
    weights = {"weight": best.coef_, "bias": best.intercept_}
    linear.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})


def train_frozen(
    candidate: Candidate,
    material: Material,
    settings: Settings,
    checkpoint: Path,
    kept: Path,
    device: torch.device,
) -> None:
    """Train the linear layer of a network in one fold."""
    model = build_frozen(candidate, settings, int(material.labels.max()) + 1)
    features = pooled_features(model, material.pictures, kept, device)
    fit_head(model, features, material, settings)
    save_atomically(model.cpu().state_dict(), checkpoint)
