"""The regularization of a fitted head is that of the lowest loss on the validation rows."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from cameval import CAMModel, GAPHead
from cameval.networks import fit_linear_head

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
TRAIN, VALIDATION = slice(0, 60), slice(60, 90)


def rows(noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make features of three classes; with much noise a strong regularization is better."""
    labels = np.arange(90) % 3
    means = np.eye(3, 6)[labels]
    noises = np.random.default_rng(seed).normal(0, noise, means.shape)
    return (means + noises).astype(np.float32), labels


def losses(features: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the mean negative log-likelihood of the validation rows for each strength."""
    found = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=5000).fit(features[TRAIN], labels[TRAIN])
        chances = model.predict_proba(features[VALIDATION])
        found.append(-np.log(chances[np.arange(30), labels[VALIDATION]]).mean())
    return found


@pytest.mark.parametrize(("noise", "best"), [(3.0, 0.01), (0.9, 0.1), (0.6, 1.0), (0.2, 10.0)])
def test_the_strength_with_the_lowest_validation_loss_is_chosen(noise, best) -> None:
    features, labels = rows(noise, seed=0)
    by_strength = dict(zip(STRENGTHS, losses(features, labels), strict=True))
    assert min(by_strength, key=by_strength.get) == best
    model = CAMModel(nn.Conv2d(3, 6, 3), GAPHead(nn.Linear(6, 3)))
    fit_linear_head(model, torch.from_numpy(features), labels, range(60), range(60, 90))
    with torch.no_grad():
        logits = model.head.linear(torch.from_numpy(features[VALIDATION]))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[VALIDATION])).item()
    assert loss == pytest.approx(by_strength[best], abs=1e-5)
