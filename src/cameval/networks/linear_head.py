"""Train the linear layer of a network on frozen features.

Needs scikit-learn, as in the extra ``study``: ``pip install '.[study]'`` in a checkout.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from cameval._extras import needed_by
from cameval.errors import SettingError
from cameval.networks.model import CAMModel

__all__ = ["fit_linear_head", "pooled_features"]

_STRENGTHS = (0.01, 0.1, 1.0, 10.0)


def pooled_features(model: CAMModel, batches: Iterable[Tensor]) -> Tensor:
    """Return the features of images averaged over positions, as a head with one linear layer sees.

    Parameters
    ----------
    model
        A network that was adapted. It is not changed; put it into evaluation mode first.
    batches
        Batches of prepared images ``(N, C, H, W)``, or volumes, on the device of the network.

    Returns
    -------
    Tensor
        The features of all batches ``(N, K)``, on the CPU.

    Examples
    --------
    >>> import torch
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.networks import pooled_features
    >>> model = CAMModel(torch.nn.Conv2d(3, 8, 3), GAPHead(torch.nn.Linear(8, 2)))
    >>> pooled_features(model, [torch.rand(4, 3, 16, 16)]).shape
    torch.Size([4, 8])
    """
    with torch.no_grad():
        features = (model.features(images) for images in batches)
        return torch.cat([each.mean(tuple(range(2, each.ndim))).cpu() for each in features])


def fit_linear_head(
    model: CAMModel,
    features: Tensor,
    labels: ArrayLike,
    train: ArrayLike,
    validation: ArrayLike = (),
    *,
    balanced: bool = False,
) -> None:
    """Fit the linear layer of a network by logistic regression on frozen features.

    Parameters
    ----------
    model
        A network whose head has one linear layer, as ``adapt(net, num_classes=k)``. The weights of
        this layer are replaced.
    features
        Pooled features ``(N, K)``, as of `pooled_features`.
    labels
        The class of each row.
    train
        Indices of the rows that are fitted, or a boolean array of all rows.
    validation
        Indices of the rows, or a boolean array, that choose the strength of the regularization, by
        the lowest loss; with none it is 1.
    balanced
        Whether each class has the same share in the loss.

    Raises
    ------
    SettingError
        If the head has no single linear layer, the classes of the fitted rows are not those of the
        head, a row is in both parts, or an index is outside of the rows.
    MissingPackageError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import torch
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.networks import fit_linear_head
    >>> model = CAMModel(torch.nn.Conv2d(3, 2, 3), GAPHead(torch.nn.Linear(2, 2)))
    >>> features = torch.tensor([[0.0, 1.0], [1.0, 0.0]] * 5)
    >>> fit_linear_head(model, features, [0, 1] * 5, range(10))
    >>> model.head(features[:2, :, None, None]).argmax(1)
    tensor([0, 1])
    """
    with needed_by("linear heads need"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss

    head = model.head if isinstance(model, CAMModel) else model
    linear = getattr(head, "linear", None)
    if not isinstance(linear, nn.Linear) or not isinstance(model, CAMModel):
        raise SettingError(
            f"the head must have one linear layer, got a {type(head).__name__}; use "
            "adapt(net, num_classes=k)"
        )
    x, y = features.numpy(), np.asarray(labels)
    fitted, held_out = _rows("train", train, len(y)), _rows("validation", validation, len(y))
    if both := np.intersect1d(fitted, held_out).size:
        raise SettingError(
            f"the rows of validation must not be those of train, got {both} rows in both; choose "
            "the regularization on other images, of other groups"
        )
    present, known = set(y[fitted].tolist()), set(range(linear.out_features))
    if present != known:
        came = ", ".join(map(str, sorted(present))) or "none"
        way = "split so that each class is in every part"
        if present == {one + 1 for one in known}:
            way = "count the labels from 0"
        raise SettingError(
            f"the rows of train must have all {len(known)} classes of the head and no others, got "
            f"{came}; {way}"
        )
    models = [
        LogisticRegression(
            C=strength, class_weight="balanced" if balanced else None, max_iter=5000
        ).fit(x[fitted], y[fitted])
        for strength in (_STRENGTHS if held_out.size else (1.0,))
    ]

    def loss(one: Any) -> float:
        return float(log_loss(y[held_out], one.predict_proba(x[held_out]), labels=one.classes_))

    best = min(models, key=loss) if held_out.size else models[0]
    weights = {"weight": best.coef_, "bias": best.intercept_}
    if len(best.coef_) == 1:  # of two classes it is the difference of the logits
        weights = {name: np.concatenate([-one / 2, one / 2]) for name, one in weights.items()}
    linear.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})


def _rows(name: str, given: ArrayLike, count: int) -> NDArray[np.intp]:
    """Return the indices of rows, which are given as such or as a boolean array."""
    rows = np.asarray(given)
    if rows.dtype == bool and rows.shape == (count,):
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.zeros(0, np.intp)
    if not np.issubdtype(rows.dtype, np.integer) or rows.ndim != 1:
        raise SettingError(
            f"{name} must be indices of rows, or {count} booleans, got {rows.dtype} of shape "
            f"{rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= count:
        raise SettingError(
            f"indices of {name} must be in 0 ... {count - 1}, got {rows.min()} ... {rows.max()}"
        )
    return rows.astype(np.intp)
