"""What a baseline knows of its sample: nothing, the image, the labels or the truth."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar, get_args

from cameval.errors import SettingError

__all__ = ["Knowledge", "knowledge_of", "knows"]

Knowledge = Literal["nothing", "image", "labels", "truth"]
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


def knows(what: Knowledge) -> Callable[[F], F]:
    """Mark a baseline with what it knows of the sample that its map is for.

    A class has an attribute of that name instead, as in ``knows: ClassVar[Knowledge] = "image"``. A
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
    >>> knowledge_of(truth_itself)
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


def knowledge_of(baseline: object) -> Knowledge | None:
    """Return what a baseline knows of the sample that its map is for; None if it does not say.

    A ``functools.partial`` is read as its function, but for an attribute of its own.

    Raises
    ------
    SettingError
        If it says anything else than one of `Knowledge`.

    Examples
    --------
    >>> from cameval.baselines import center_baseline, intensity_baseline
    >>> knowledge_of(center_baseline), knowledge_of(intensity_baseline), knowledge_of(lambda batch: 0)
    ('nothing', 'image', None)
    """
    while isinstance(baseline, partial) and not hasattr(baseline, "knows"):
        baseline = baseline.func
    said = getattr(baseline, "knows", None)
    return None if said is None else _check(said, f"knows of {baseline!r}")


def _check(said: Any, name: str) -> Knowledge:
    """Return one of `Knowledge`."""
    for known in get_args(Knowledge):
        if isinstance(said, str) and said == known:
            word: Knowledge = known
            return word
    raise SettingError(
        f"{name} must be one of {', '.join(map(repr, get_args(Knowledge)))}, got {said!r}"
    )
