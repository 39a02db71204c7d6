"""What a baseline is given, and what of it a baseline uses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeVar, get_args

from torch import Tensor

from cameval.data import Sample
from cameval.errors import SettingError
from cameval.geometry import Place

__all__ = ["Baseline", "Batch", "Knows", "knows", "what_it_knows"]

Knows = Literal["nothing", "image", "labels", "truth"]
"""What a baseline knows of the sample that its map is for.

``"nothing"``
    The size of the frame, and what it learned from other samples.
``"labels"``
    Also the class that is explained. That is the true label, or the class that the network
    predicted; of the image itself the baseline sees nothing.
``"image"``
    The image, with or without its class.
``"truth"``
    The true mask.
"""

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, eq=False)
class Batch:
    """Images that are scored together, on one grid.

    Parameters
    ----------
    samples
        The records, ``N`` of them.
    images
        What the network saw, ``(N, channels, h, w)``, normalized.
    truth
        True masks on the grid of the scores, ``(N, H, W)``.
    classes
        The class that each map explains, ``(N,)``.
    cells
        Height and width of the network's coarse maps.
    place
        Where these cells lie in the images; None lets the cells fill the image evenly.
    """

    samples: Sequence[Sample]
    images: Tensor
    truth: Tensor
    classes: Tensor
    cells: tuple[int, ...]
    place: Place | None = None


class Baseline(Protocol):
    """Any callable from a batch to maps that the network's are compared with.

    A map must depend on its own sample alone, not on the rest of the batch.
    """

    def __call__(self, batch: Batch, /) -> Tensor:
        """Return floating maps ``(N, H, W)`` on the grid of ``batch.truth``."""
        ...


def knows(what: Knows) -> Callable[[F], F]:
    """Mark a baseline with what it knows of the sample that its map is for.

    A class has an attribute of that name instead, as in ``knows: ClassVar[Knows] = "image"``. A
    baseline that does not say it gets no role: it is neither called blind nor a bound.

    Parameters
    ----------
    what
        ``"nothing"``, ``"labels"``, ``"image"`` or ``"truth"``; of several the last in this order.

    Returns
    -------
    Callable
        A decorator of a function, a class or a ``functools.partial``.

    Raises
    ------
    SettingError
        If `what` is another word, or what is decorated cannot have attributes.

    Examples
    --------
    >>> @knows("truth")
    ... def truth_itself(batch):
    ...     return batch.truth.float()
    >>> what_it_knows(truth_itself)
    'truth'
    """
    _check(what, "knows")

    def mark(baseline: F) -> F:
        try:
            setattr(baseline, "knows", what)  # noqa: B010 - a function has no such attribute
        except (AttributeError, TypeError) as error:
            raise SettingError(
                f"baseline must be a function, a class or a partial, got {baseline!r}, which "
                "cannot have attributes; mark its class, or a functools.partial of it"
            ) from error
        return baseline

    return mark


def what_it_knows(baseline: object) -> Knows | None:
    """Return what a baseline knows of the sample that its map is for; None if it does not say.

    A ``functools.partial`` is read as its function, but for an attribute of its own.

    Raises
    ------
    SettingError
        If it says anything else than one of `Knows`.

    Examples
    --------
    >>> from cameval.baselines import center_prior, intensity_prior
    >>> what_it_knows(center_prior), what_it_knows(intensity_prior), what_it_knows(lambda batch: 0)
    ('nothing', 'image', None)
    """
    while isinstance(baseline, partial) and not hasattr(baseline, "knows"):
        baseline = baseline.func
    said = getattr(baseline, "knows", None)
    return None if said is None else _check(said, f"knows of {baseline!r}")


def _check(said: Any, name: str) -> Knows:
    """Return one of `Knows`."""
    for known in get_args(Knows):
        if isinstance(said, str) and said == known:
            word: Knows = known
            return word
    raise SettingError(
        f"{name} must be one of {', '.join(map(repr, get_args(Knows)))}, got {said!r}"
    )
