"""The linear layer that is fitted to frozen features."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from cameval import CAMModel, GAPHead
from cameval.errors import SettingError
from cameval.networks import PooledHead, fit_linear_head, pooled_features


def network(classes: int) -> CAMModel:
    return CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, classes))).eval()


def test_the_head_of_pooled_features_is_the_head_of_the_network() -> None:
    model, images = network(3), torch.rand(5, 3, 16, 16)
    features = pooled_features(model, images.split(2))
    with torch.no_grad():
        torch.testing.assert_close(model.head.linear(features), model(images))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_the_logits_are_those_of_a_logistic_regression(classes: int, balanced: bool) -> None:
    rng = np.random.default_rng(0)
    labels = np.minimum(np.arange(60) % 4, classes - 1)
    features = torch.from_numpy(rng.normal(labels[:, None], 1.5, (60, 8))).float()
    model = network(classes)
    fit_linear_head(model, features, labels, range(60), balanced=balanced)
    weight = "balanced" if balanced else None
    expected = LogisticRegression(class_weight=weight, max_iter=5000).fit(features, labels)
    with torch.no_grad():
        chances = model.head.linear(features).softmax(1).numpy()
    np.testing.assert_allclose(chances, expected.predict_proba(features), atol=1e-5)


def test_the_head_learns_from_training_rows_and_validation_rows_choose_alone() -> None:
    features, labels = torch.rand(60, 8), torch.arange(60) % 3
    spoiled = features.clone()
    spoiled[50:] = torch.nan
    heads = []
    for values in (features, spoiled):
        model = network(3)
        fit_linear_head(model, values, labels, range(40), range(40, 50))
        heads.append(model.head.linear.weight.detach())
    assert torch.equal(*heads)
    far = features.clone()
    far[40:50] *= -50
    model = network(3)
    fit_linear_head(model, far, labels, range(40), range(40, 50))
    assert not torch.equal(model.head.linear.weight, heads[0])


def test_a_head_of_several_layers_is_refused() -> None:
    head = PooledHead(nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3)))
    model = CAMModel(nn.Conv2d(3, 8, 3), head)
    with pytest.raises(SettingError, match="must have one linear layer, got a PooledHead"):
        fit_linear_head(model, torch.rand(6, 8), [0, 1, 2] * 2, range(6))


def test_a_network_that_is_not_adapted_is_refused() -> None:
    with pytest.raises(SettingError, match="one linear layer, got a Linear; use adapt"):
        fit_linear_head(nn.Linear(8, 3), torch.rand(6, 8), [0, 1, 2] * 2, range(6))


@pytest.mark.parametrize("train", [[0, 1, 3, 4], [0, 3]])
def test_training_rows_without_a_class_are_refused(train: list[int]) -> None:
    with pytest.raises(SettingError, match=r"train must have all 3 classes of the head .* got 0"):
        fit_linear_head(network(3), torch.rand(6, 8), [0, 1, 2] * 2, train, [2, 5])


def test_labels_from_one_are_told() -> None:
    with pytest.raises(SettingError, match="got 1, 2, 3; count the labels from 0"):
        fit_linear_head(network(3), torch.rand(6, 8), [1, 2, 3] * 2, [0, 1, 2], [3, 4, 5])


def test_booleans_are_the_rows_that_they_mark() -> None:
    features, labels = torch.rand(60, 8), torch.arange(60) % 3
    part = torch.arange(60) < 40
    heads = []
    for train, validation in ((range(40), range(40, 60)), (part, ~part)):
        model = network(3)
        fit_linear_head(model, features, labels, train, validation)
        heads.append(model.head.linear.weight.detach())
    assert torch.equal(*heads)


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (range(40), range(39, 50), "got 1 rows in both"),
        (range(-1, 40), (), r"indices of train must be in 0 ... 59, got -1 ... 39"),
        (range(40), [60], r"indices of validation must be in 0 ... 59, got 60 ... 60"),
        ([0.0, 1.0, 2.0], (), "got float64 of shape"),
        (np.ones(59, bool), (), "60 booleans, got bool of shape"),
    ],
)
def test_rows_in_both_parts_and_rows_that_are_not_there_are_refused(
    train: object, validation: object, message: str
) -> None:
    labels = torch.arange(60) % 3
    with pytest.raises(SettingError, match=message):
        fit_linear_head(network(3), torch.rand(60, 8), labels, train, validation)
