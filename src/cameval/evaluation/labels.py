"""Labels of methods, binarizers, metrics, baselines and target classes.

A label is the word for a thing in tables, in Python and on the command line::

    label              otsu
    label:settings     percentile:95    adaptive:31,mean    adaptive:method=mean
    nested             largest_component:otsu    largest_component:(adaptive:31,mean)

Settings that have their default value are left out. The others are positional as long as none
before them is left out, and ``name=value`` after that. Values are Python literals; text has no
quotes where it cannot be mistaken. A nested thing is written by its label, in parentheses where
that has a comma.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from inspect import Parameter, signature
from typing import Any

import numpy as np

from cameval.errors import SettingError
from cameval.metrics.properties import settings_from_sample

__all__ = ["label_of"]

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

_PLAIN_TEXT = re.compile(r"(?!(True|False|None)$)[A-Za-z_][\w.-]*")
"""Text that is no other literal, and has nothing that separates settings."""


def label_of(thing: object) -> str:
    """Return the label of a method, binarizer, metric, baseline or target class.

    Text is its own label. A function has its attribute ``label`` or its name, an object of a class
    with an attribute ``label`` that word, both followed by the settings that differ from their
    defaults. Settings that cannot be written as a word, such as arrays and networks, are left out.
    The label of any other object is the name of its class, and of a dataclass also its settings.

    Parameters
    ----------
    thing
        What is to be labeled.

    Returns
    -------
    str
        The label, as the command line reads it.

    Examples
    --------
    >>> from functools import partial
    >>> from cameval import AdaptiveBinarizer, OtsuBinarizer, PercentileBinarizer, grad_cam
    >>> from cameval import size_standardized_iou
    >>> from cameval.binarizers import LargestComponent
    >>> from cameval.evaluation import label_of
    >>> label_of(PercentileBinarizer(95)), label_of(AdaptiveBinarizer(31, "mean"))
    ('percentile:95', 'adaptive:31,mean')
    >>> label_of(LargestComponent(OtsuBinarizer())), label_of(AdaptiveBinarizer(method="mean"))
    ('largest_component:otsu', 'adaptive:method=mean')
    >>> label_of(partial(size_standardized_iou, reference=0.1)), label_of(grad_cam)
    ('size_standardized_iou:reference=0.1', 'grad_cam')
    """
    if isinstance(thing, str):
        return thing
    if isinstance(thing, partial):
        base, settings = label_of(thing.func), _settings_of_partial(thing)
    else:
        base, settings = own_name(thing), _settings_of(thing)
    if not settings:
        return base
    return f"{base}{',' if ':' in base else ':'}{','.join(settings)}"


def is_own_label(label: str, thing: object) -> bool:
    """Tell whether a label is that of the thing itself, with or without its settings."""
    return label in (label_of(thing), own_name(thing))


def setting_text(thing: object) -> str:
    """Return how a thing is written in Python, for people to read, without memory addresses."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, partial):
        settings = [repr(value) for value in thing.args]
        settings += [f"{name}={value!r}" for name, value in thing.keywords.items()]
        return f"{setting_text(thing.func)}({', '.join(settings)})"
    name = getattr(thing, "__name__", None)
    if isinstance(name, str):
        return name
    plain = type(thing).__repr__ is object.__repr__  # it has an address and no settings
    return type(thing).__name__ if plain else _ADDRESS.sub("", repr(thing))


def map_by_label(things: object, what: str) -> dict[str, Any]:
    """Return things by their labels: those of a mapping, or their own."""
    if isinstance(things, Mapping):
        strange = [name for name in things if not isinstance(name, str) or not name]
        if strange:
            raise SettingError(f"labels of {what} must be non-empty text, got {strange[0]!r}")
        return dict(things)
    is_list = isinstance(things, Sequence) and not isinstance(things, str)
    labels: dict[str, Any] = {}
    for thing in things if is_list else [things]:  # type: ignore[attr-defined]
        label = label_of(thing)
        if label in labels:
            raise SettingError(
                f"{what} must have different labels, got {label!r} twice; "
                f"give them labels, as in {what}={{'first': ..., 'second': ...}}"
            )
        labels[label] = thing
    return labels


def own_name(thing: object) -> str:
    """Return a label without settings: the attribute ``label``, the name, or that of the class."""
    while isinstance(thing, partial):
        thing = thing.func
    label, name = getattr(thing, "label", None), getattr(thing, "__name__", None)
    if isinstance(label, str) and label:
        return label
    if isinstance(name, str):
        return name
    return str(thing) if isinstance(thing, int | float | np.generic) else type(thing).__name__


def _settings_of(thing: object) -> list[str]:
    """Return the settings of a dataclass, or an object with a label, that are no defaults."""
    labeled = isinstance(getattr(thing, "label", None), str) or is_dataclass(thing)
    if isinstance(thing, type) or not labeled:
        return []
    words: list[str] = []
    positional = True
    for parameter, value in _parameters(thing):
        if parameter.kind is Parameter.VAR_KEYWORD:
            words += _named(dict(value))
            continue
        default = _is_equal(value, _default_of(thing, parameter))
        word = None if default else _write(value)
        if word is None:
            positional = False
        elif positional and parameter.kind is not Parameter.KEYWORD_ONLY:
            words.append(word)
        else:
            words.append(f"{parameter.name}={word}")
    return words


def _parameters(thing: object) -> Iterator[tuple[Parameter, Any]]:
    """Yield the parameters with which an object was made, as far as its attributes hold them."""
    try:
        parameters = signature(type(thing)).parameters.values()
    except (TypeError, ValueError):  # a class without a signature, or a function
        return
    for parameter in parameters:
        value = getattr(thing, parameter.name, MISSING)
        if value is not MISSING:
            yield parameter, value


def _default_of(thing: object, parameter: Parameter) -> object:
    """Return the default of a parameter; `MISSING` if it has none."""
    for field in fields(thing) if is_dataclass(thing) else ():
        if field.name == parameter.name and field.default_factory is not MISSING:
            return field.default_factory()
    return MISSING if parameter.default is Parameter.empty else parameter.default


def _settings_of_partial(thing: "partial[Any]") -> list[str]:
    """Return the settings of a partial that differ from the defaults of its function.

    A setting that would be taken from each sample is one in any case.
    """
    from_sample = settings_from_sample(thing)
    try:
        known = signature(thing.func).parameters
    except (TypeError, ValueError):
        known = {}  # type: ignore[assignment]  # a function without a signature
    changed = {
        name: value
        for name, value in thing.keywords.items()
        if name in from_sample or name not in known or not _is_equal(value, known[name].default)
    }
    return [*filter(None, map(_write, thing.args)), *_named(changed)]


def _named(settings: Mapping[str, Any]) -> list[str]:
    words = {name: _write(value) for name, value in settings.items()}
    return [f"{name}={word}" for name, word in words.items() if word is not None]


def _is_equal(value: object, default: object) -> bool:
    try:
        return value is default or (type(default) is not bool and bool(value == default))
    except (ValueError, RuntimeError, TypeError):  # of arrays there is no one answer
        return False


def _write(value: Any) -> str | None:
    """Return a setting as the command line reads it; None if it cannot be written as a word."""
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | int():
            return repr(value)
        case float():
            return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        case str():
            return value if _PLAIN_TEXT.fullmatch(value) else repr(value)
        case tuple() | list():
            inner = [repr(one) if isinstance(one, str) else _write(one) for one in value]
            if None in inner:
                return None
            return f"({','.join(map(str, inner))}{',' if len(inner) == 1 else ''})"
    return _write_nested(value)


def _write_nested(value: object) -> str | None:
    """Return the label of a nested thing, in parentheses if it has a comma; None if it has none."""
    inner = value
    while isinstance(inner, partial):
        inner = inner.func
    label, name = getattr(inner, "label", None), getattr(inner, "__name__", None)
    if not isinstance(label, str) and not (isinstance(name, str) and name.isidentifier()):
        return None
    word = label_of(value)
    return f"({word})" if "," in word else word
