"""What kind of task a classifier has."""

from typing import Literal, TypeAlias, get_args

from torch import Tensor

from cameval.errors import SettingError, ShapeError

__all__ = ["Task", "check_task", "task_of"]

Task: TypeAlias = Literal["multiclass", "binary"]
"""``"multiclass"``: one of several logits is the prediction. ``"binary"``: one logit, positive for
class 1, or two logits."""


def check_task(task: object) -> Task | None:
    """Check the name of a task; None leaves it to the number of logits.

    Raises
    ------
    SettingError
        If there is no such task.
    """
    if task == "multilabel":
        raise SettingError(
            "task must be 'multiclass' or 'binary', got 'multilabel', which needs several targets "
            "an image; evaluate each class by itself, with classes=index and no labels"
        )
    if task is not None and task not in get_args(Task):
        raise SettingError(f"task must be one of {get_args(Task)} or None, got {task!r}")
    return None if task is None else "binary" if task == "binary" else "multiclass"


def task_of(logits: Tensor, asked: Task | None) -> Task:
    """Return the task of logits ``(N, C)``: as asked, else binary where there is one logit.

    Raises
    ------
    ShapeError
        If the logits are not ``(N, C)``.
    SettingError
        If the network has another number of logits than the task.
    """
    if logits.ndim != 2:
        raise ShapeError(
            "the network must return logits (N, C) to be evaluated, got shape "
            f"{tuple(logits.shape)}; wrap it in a module that picks them"
        )
    count = logits.shape[1]
    if asked == "binary" and count > 2:
        raise SettingError(f"a binary task must have one logit or two, got {count}")
    if asked == "multiclass" and count < 2:
        raise SettingError(
            "a multiclass task must have at least two logits, got 1; a network of one logit has "
            "the task 'binary'"
        )
    return asked or ("binary" if count == 1 else "multiclass")
