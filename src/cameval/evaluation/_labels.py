"""Labels of methods, binarizers, metrics and baselines."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cameval.errors import SettingError


def _words(thing: object) -> str:
    """Return how a thing is written, without addresses, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", label_of(thing))


def labeled(things: object, what: str) -> dict[str, Any]:
    """Give every thing its label: that of a mapping, or its own."""
    if isinstance(things, Mapping):
        strange = [name for name in things if not isinstance(name, str) or not name]
        if strange:
            raise SettingError(f"labels of {what} must be words, got {strange[0]!r}")
        return dict(things)
    several = list(things) if isinstance(things, Sequence) and not isinstance(things, str) else None
    labels: dict[str, Any] = {}
    for thing in [things] if several is None else several:
        label = label_of(thing)
        if label in labels:
            raise SettingError(
                f"{what} must have different labels, got {label!r} twice; "
                f"name them, as in {what}={{'first': ..., 'second': ...}}"
            )
        labels[label] = thing
    return labels


def label_of(thing: object) -> str:
    """Name a function by its name, a partial by its settings too, anything else by its repr."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, partial):
        settings = [repr(a) for a in thing.args]
        settings += [f"{name}={value!r}" for name, value in thing.keywords.items()]
        return f"{label_of(thing.func)}({', '.join(settings)})"
    name = getattr(thing, "__name__", None)
    return name if isinstance(name, str) else repr(thing)
