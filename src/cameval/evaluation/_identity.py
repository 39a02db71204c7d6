"""Identity of a run: what its scores depend on, and in what two identities differ."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from cameval.distributed import gather
from cameval.errors import SettingError

_NO_CONTENTS = "has no contents that can be compared"

_MUST_BE_KNOWN = frozenset(("structure", "prepare"))
"""Parts for which None stands for contents that cannot be compared."""

_CONTENTS = frozenset(("outputs", "structure", "prepare", "contents of the samples"))
"""Parts that are digests or numbers, which a message does not print."""


class Identified(Protocol):
    """A run that has an identity."""

    @property
    def identity(self) -> dict[str, Any]:
        """What its scores depend on, as `differences` compares it."""
        ...


R = TypeVar("R", bound=Identified)


def same_run(plan: Callable[[], R]) -> R:
    """Plan a run in every process, and check that all have planned the same one.

    Raises
    ------
    SettingError
        If the weights, a setting or the samples of one process differ from those of another, or
        cannot be compared; the part is named, in all processes.
    ProcessError
        If another process failed.
    """
    planned: list[R] = []

    def identify() -> dict[str, Any]:
        planned.append(plan())
        return planned[0].identity

    first, *others = gather(identify)
    for rank, other in enumerate(others, start=1):
        if changes := differences(first, other):
            raise SettingError(
                f"every process must run the same evaluation, got processes 0 and {rank} with "
                f"{'; '.join(map(with_other, changes))}"
            )
    return planned[0]


def fixed_image(shape: Iterable[int]) -> Tensor:
    """Return the image of noise ``(1, channels, H, W)`` on which networks are compared."""
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


def outputs_of(logits: Tensor) -> list[float]:
    """Return the first outputs of a network for `fixed_image`, and the norm of all.

    They are compared with a tolerance, since the last digits depend on the machine.
    """
    outputs = logits.detach().flatten().cpu().double()
    return [*outputs[:16].tolist(), outputs.norm().item()]


def with_other(change: str) -> str:
    """Return a part of an identity with the word other, or another, before it.

    Examples
    --------
    >>> from cameval.evaluation._identity import with_other
    >>> with_other("methods (cam and grad_cam)"), with_other("seed (0 and 1)")
    ('other methods (cam and grad_cam)', 'another seed (0 and 1)')
    """
    part = re.split(r"\W", change, maxsplit=1)[0]
    several = part.endswith("s") and not part.endswith("ss")
    return f"{'other' if several else 'another'} {change}"


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return the parts in which two identities of runs differ, each described for a message.

    A part is a plain value, a mapping of labels to digests, or ``"outputs"``, which are compared
    with a tolerance. None stands for what cannot be compared, and differs from everything.

    Examples
    --------
    >>> from cameval.evaluation._identity import differences
    >>> differences({"seed": 0, "metrics": {"iou": "a1"}}, {"seed": 1, "metrics": {"iou": None}})
    ["metrics, of which 'iou' has no contents that can be compared", 'seed (0 and 1)']
    """
    parts = {part: (there.get(part), here.get(part)) for part in sorted({*there, *here})}
    compared = (_difference(part, *values) for part, values in parts.items())
    return [text for text in compared if text is not None]


def _difference(part: str, one: Any, other: Any) -> str | None:
    """Return a description of how a part differs; None where it is the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _difference_of_digests(part, one, other)
    if part in _MUST_BE_KNOWN and None in (one, other):
        return f"{part}, which {_NO_CONTENTS}"
    if one == other or (part == "outputs" and _are_close(one, other)):
        return None
    return part if part in _CONTENTS else f"{part} ({_shorten(one)} and {_shorten(other)})"


def _difference_of_digests(
    part: str, one: Mapping[str, Any], other: Mapping[str, Any]
) -> str | None:
    """Return how digests by label differ: in their labels, their order or their contents."""
    if sorted(one) != sorted(other):
        return f"{part} ({_shorten(', '.join(one))} and {_shorten(', '.join(other))})"
    if [*one] != [*other]:
        return f"order of its {part}"
    for label in one:
        if None in (one[label], other[label]):
            return f"{part}, of which {label!r} {_NO_CONTENTS}"
    changed = [label for label in one if one[label] != other[label]]
    return f"{part}, of which {changed[0]!r} has other contents" if changed else None


def _are_close(one: Any, other: Any) -> bool:
    try:
        a, b = np.asarray(one, float), np.asarray(other, float)
    except (TypeError, ValueError):  # a record that was written by something else
        return False
    if a.shape != b.shape:
        return False
    largest = np.abs(a[np.isfinite(a)]).max(initial=0)
    return bool(np.isclose(a, b, rtol=0, atol=1e-3 * largest, equal_nan=True).all())


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
