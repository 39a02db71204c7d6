"""Selection of the target classes of each image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import check_integers
from cameval._checks import check_count
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.networks._outputs import count_classes
from cameval.networks.activations import check_classes, check_logits, without_graph

__all__ = ["Classes", "TopClasses", "all_classes"]

Classes = (
    int
    | Sequence[int]
    | Tensor
    | NDArray[np.integer[Any]]
    | Callable[[Tensor], Tensor]
    | Literal["predicted"]
)
"""One class for all images, one per image ``(N,)``, several per image ``(N, k)``, a function that
chooses classes by the logits, or ``"predicted"``."""


def given_classes(classes: Classes | None) -> Classes | None:
    """Return the classes that are given; None stands for the predicted ones, also by that word."""
    if isinstance(classes, str):
        if classes != "predicted":
            raise SettingError(
                "classes must be class indices, a function of the logits or 'predicted', got "
                f"{classes!r}; of the true classes give the labels, one for each image"
            )
        return None
    return classes


def choose_classes(
    classes: Classes | None, target: Callable[[Tensor], Tensor] | None, logits: Tensor
) -> Tensor:
    """Return the target classes, ``(N,)`` or ``(N, k)``; -1 where the target is a function."""
    if target is not None:
        if classes is not None:
            raise SettingError("classes and target must not both be given, got both")
        return torch.full((len(logits),), -1, device=logits.device)
    classes = given_classes(classes)
    with without_graph():
        if classes is None:  # those of highest logits are classes of the network
            return _predicted_classes(logits.detach())
        if callable(classes):
            classes = classes(logits.detach())
        try:
            chosen = torch.as_tensor(classes)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArrayTypeError(
                "classes must be class indices: an int, one for each image, or as many for each "
                f"image, got {classes!r:.80}; of names give their positions in the list of class "
                "names: [class_names.index(name) for name in ...]"
            ) from error
        check_integers(chosen, "classes")
        if chosen.ndim == 0:
            chosen = chosen.expand(len(logits))
        # A copy is a normal tensor, also of labels that are inference tensors.
        chosen = chosen.to(torch.int64, copy=True)
    if chosen.ndim not in (1, 2) or chosen.shape[1:] == (0,):
        raise ShapeError(
            f"classes must have shape ({len(logits)},) or ({len(logits)}, k), "
            f"got {tuple(chosen.shape)}"
        )
    for column in [chosen] if chosen.ndim == 1 else chosen.unbind(1):
        check_classes(column, logits)
    return chosen.to(logits.device)


def all_classes(logits: Tensor, /) -> Tensor:
    """Return all classes for each image, ``(N, C)``, in order.

    Examples
    --------
    >>> import torch
    >>> from cameval.target_classes import all_classes
    >>> all_classes(torch.rand(2, 3))
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    count = count_classes(logits)
    return torch.arange(count, device=logits.device).expand(len(logits), count)


@dataclass(frozen=True)
class TopClasses:
    """Choose the `count` classes of highest logits, the highest first.

    Parameters
    ----------
    count
        Number of classes, at least 1.

    Raises
    ------
    SettingError
        If `count` is not positive.

    Examples
    --------
    >>> import torch
    >>> from cameval.target_classes import TopClasses
    >>> TopClasses(2)(torch.tensor([[0.1, 3.0, 2.0]]))
    tensor([[1, 2]])
    """

    count: int

    def __post_init__(self) -> None:
        check_count("count", self.count)

    def __call__(self, logits: Tensor, /) -> Tensor:
        """Return class indices ``(N, count)`` of logits ``(N, C)``."""
        if count_classes(logits) < self.count:
            raise SettingError(
                f"count must be at most the network's {count_classes(logits)} classes, "
                f"got {self.count}"
            )
        of_classes = torch.cat([-logits, logits], 1) if logits.shape[1] == 1 else logits
        return of_classes.topk(self.count, dim=1).indices


def _predicted_classes(logits: Tensor) -> Tensor:
    check_logits(logits)
    return TopClasses(1)(logits)[:, 0] if logits.shape[1] == 1 else logits.argmax(1)
