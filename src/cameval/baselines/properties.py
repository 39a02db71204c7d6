"""Information that a baseline uses: nothing, the labels, the image or the truth."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar, get_args

from cameval.errors import SettingError

__all__ = ["Knowledge", "Pattern", "knowledge_of", "knows", "pattern_of"]

Knowledge = Literal["nothing", "image", "labels", "truth"]
"""What a baseline knows of the sample that its map is for.

``"nothing"``
    The size of the image, and statistics of other samples.
``"labels"``
    Also the target class, which is the true label or the class that the network predicted. The
    baseline does not see the image.
``"image"``
    The image, with or without its class.
``"truth"``
    The true mask.
"""

Pattern = Literal["center", "noise", "mean"]
"""What a baseline that does not see the image marks.

``"center"``
    The middle of the image.
``"noise"``
    Pixels at random.
``"mean"``
    The places that are often marked in masks of other images.
"""


F = TypeVar("F", bound=Callable[..., object])


def knows(
    what: Knowledge,
    *,
    label: str | None = None,
    needs_network: bool = False,
    pattern: Pattern | None = None,
) -> Callable[[F], F]:
    """Mark a baseline with what it knows of the sample that its map is for.

    A class has an attribute of that name instead, as in ``knows: ClassVar[Knowledge] = "image"``. A
    baseline without the attribute gets no role: it is neither a blind baseline nor a bound.

    Parameters
    ----------
    what
        ``"nothing"``, ``"labels"``, ``"image"`` or ``"truth"``. If several apply, the last one in
        this order.
    label
        The label of the baseline in tables and on the command line. By default the name of the
        function.
    pattern
        What a baseline that does not see the image marks: ``"center"``, ``"noise"`` or ``"mean"``.
        A report that has no blind baseline but noise says so.

    Returns
    -------
    Callable
        A decorator of a function, a class or a ``functools.partial``.

    Raises
    ------
    SettingError
        If `what` or `pattern` is another word, `label` is not a word, or the baseline cannot have
        attributes.

    Examples
    --------
    >>> from cameval.baselines import knowledge_of, knows
    >>> @knows("truth", label="mask")
    ... def true_mask(batch):
    ...     return batch.truth.float()
    >>> knowledge_of(true_mask), true_mask.label
    ('truth', 'mask')
    """
    attributes: dict[str, object] = {"knows": _check_knowledge(what, "knows")}
    if needs_network:
        attributes["needs_network"] = True
    if pattern is not None:
        attributes["pattern"] = _check_pattern(pattern, "pattern")
    if label is not None:
        attributes["label"] = _check_label(label)

    def mark(baseline: F) -> F:
        try:
            for name, value in attributes.items():
                setattr(baseline, name, value)
        except (AttributeError, TypeError) as error:
            raise SettingError(
                f"baseline must be a function, a class or a partial, got {baseline!r}, which "
                "cannot have attributes; mark its class, or a functools.partial of it"
            ) from error
        return baseline

    return mark


def knowledge_of(baseline: object) -> Knowledge | None:
    """Return what a baseline knows of its sample, or None if the baseline has no such attribute.

    A ``functools.partial`` has the attribute of its function, unless it has its own.

    Raises
    ------
    SettingError
        If the attribute is not one of `Knowledge`.

    Examples
    --------
    >>> from cameval.baselines import center_baseline, intensity_baseline, knowledge_of
    >>> knowledge_of(center_baseline), knowledge_of(intensity_baseline)
    ('nothing', 'image')
    >>> print(knowledge_of(lambda batch: batch.truth.float()))
    None
    """
    while isinstance(baseline, partial) and not hasattr(baseline, "knows"):
        baseline = baseline.func
    value = getattr(baseline, "knows", None)
    return None if value is None else _check_knowledge(value, f"knows of {baseline!r}")


def pattern_of(baseline: object) -> Pattern | None:
    """Return what a baseline marks that does not see the image, or None if it does not say.

    Raises
    ------
    SettingError
        If the attribute is not one of `Pattern`.

    Examples
    --------
    >>> from cameval.baselines import RandomBaseline, center_baseline, pattern_of
    >>> pattern_of(center_baseline), pattern_of(RandomBaseline())
    ('center', 'noise')
    """
    while isinstance(baseline, partial) and not hasattr(baseline, "pattern"):
        baseline = baseline.func
    value = getattr(baseline, "pattern", None)
    return None if value is None else _check_pattern(value, f"pattern of {baseline!r}")


def needs_network(baseline: object) -> bool:
    """Tell whether a baseline uses the network or its feature grid, so that it needs one.

    Examples
    --------
    >>> from cameval.baselines import center_baseline, truth_baseline
    >>> from cameval.baselines.properties import needs_network
    >>> needs_network(center_baseline), needs_network(truth_baseline)
    (False, True)
    """
    while isinstance(baseline, partial) and not hasattr(baseline, "needs_network"):
        baseline = baseline.func
    return bool(getattr(baseline, "needs_network", False))


def _check_knowledge(value: Any, name: str) -> Knowledge:
    for known in get_args(Knowledge):
        if isinstance(value, str) and value == known:
            word: Knowledge = known
            return word
    raise SettingError(
        f"{name} must be one of {', '.join(map(repr, get_args(Knowledge)))}, got {value!r}"
    )


def _check_pattern(value: Any, name: str) -> Pattern:
    for known in get_args(Pattern):
        if isinstance(value, str) and value == known:
            word: Pattern = known
            return word
    raise SettingError(
        f"{name} must be one of {', '.join(map(repr, get_args(Pattern)))}, got {value!r}"
    )


def _check_label(label: object) -> str:
    if not isinstance(label, str) or not re.fullmatch(r"[\w.-]+", label):
        raise SettingError(f"label must be a word of letters, digits and _, got {label!r}")
    return label
