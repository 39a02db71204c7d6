"""Settings of `evaluate` that say how a run is done: batches, folder, names, seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TypedDict

from cameval.errors import SettingError

__all__ = ["RunSettings"]


class RunSettings(TypedDict, total=False):
    """Keyword arguments of `evaluate` that say how a run is done. Each may be left out.

    Parameters
    ----------
    batch_size
        Samples in a batch, by default 16. The last digits of a score may depend on it, as the
        network's do.
    workers
        Processes that read samples ahead, for datasets with a length; by default 0.
    out
        A folder to which the run is written batch by batch. An interrupted run that is started
        again with the same network, settings and samples continues, and ends with the same table.
        All are compared by their contents: weights, structure and outputs of the network, the code
        of your functions and what they read, the attributes of your objects. By default nothing is
        written.
    name
        The model's name in the table, by default its class.
    class_names
        Names of the classes, for reports; by default those of the dataset, if it has any.
    seed
        Seed of the random baseline, and of the intervals of the results; by default 0.
    progress
        Whether to show a progress bar where the standard error is a terminal; by default True.

    Examples
    --------
    >>> from cameval.evaluation import RunSettings
    >>> quick: RunSettings = {"batch_size": 64, "progress": False}

    ``evaluate(net, samples, **quick)``
    """

    batch_size: int
    workers: int
    out: str | PathLike[str] | None
    name: str | None
    class_names: Sequence[str] | None
    seed: int
    progress: bool


def check_names(settings: Mapping[str, object]) -> None:
    """Raise a TypeError, as Python does, if a keyword argument is no setting of a run."""
    for name in settings:
        if name not in RunSettings.__annotations__:
            raise TypeError(f"evaluate() got an unexpected keyword argument {name!r}")


@dataclass(frozen=True)
class Settings:
    """Checked settings of a run, with their defaults; see `RunSettings`.

    Raises
    ------
    SettingError
        If a number is out of its range.
    """

    batch_size: int = 16
    workers: int = 0
    out: str | PathLike[str] | None = None
    name: str | None = None
    class_names: Sequence[str] | None = None
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("workers", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SettingError(f"{name} must be an integer of at least {least}, got {value!r}")
