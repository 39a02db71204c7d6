"""Methods, binarizers, metrics and baselines by the words of the command line.

A word is a label as :func:`cameval.evaluation.label_of` writes it: ``otsu``, ``percentile:95``,
``size_standardized_iou:reference=0.1``, ``other_class:grad_cam``.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import Parameter, isclass, isfunction, signature
from types import MappingProxyType, ModuleType
from typing import Any, get_args, get_origin, get_type_hints

from cameval import baselines, binarizers, methods, metrics
from cameval.cli._near_words import near_words
from cameval.errors import CamevalError, SettingError
from cameval.networks import Activations
from cameval.protocols import Binarizer, CAMMethod, MaskMetric

_NAME_AND_VALUE = re.compile(r"\s*([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)

_NUMBER = re.compile(r"\d+(\.\d+)?")

_CLOSING = {"(": ")", "[": "]", "{": "}"}

_NESTABLE = (CAMMethod, Binarizer, MaskMetric)
"""The kinds of things that a word can have as a setting."""


def _words(wanted: Callable[[Any], bool], *packages: ModuleType) -> dict[str, Any]:
    """Return the public functions and classes that are wanted, by the word of their labels.

    Those that cannot be made from words, as they need a function of your own, are left out.
    """
    things = [thing for package in packages for thing in vars(package).values()]
    named = {
        getattr(thing, "label", None) or thing.__name__: thing
        for thing in things
        if (isclass(thing) or isfunction(thing)) and wanted(thing) and not _needs_code(thing)
    }
    return dict(sorted(named.items()))


def _needs_code(thing: Any) -> bool:
    """Tell whether a function or class needs a function of your own."""
    if isfunction(thing) and getattr(thing, "takes", None) == "network":
        return False  # its function is the network
    kinds = get_type_hints(thing.__init__ if isclass(thing) else thing)
    needed = [n for n, p in signature(thing).parameters.items() if p.default is Parameter.empty]
    return any(get_origin(kinds.get(name)) is Callable for name in needed)


def _is_method(thing: Any) -> bool:
    """Tell whether a thing computes a map for each image, of activations and a target."""
    call = thing.__call__ if isclass(thing) else thing
    kinds = list(get_type_hints(call).values())
    return kinds[:1] == [Activations] and thing is not methods.local_linear_constant


def _is_baseline(thing: Any) -> bool:
    """Tell whether a thing is a baseline that needs only a batch."""
    needed = [p for p in signature(thing).parameters.values() if p.default is Parameter.empty]
    made = not needed if isclass(thing) else len(needed) == 1
    return made and isinstance(getattr(thing, "knows", None), str)


METHODS = _words(_is_method, methods)

BINARIZERS = _words(lambda thing: isclass(thing) and hasattr(thing, "label"), binarizers)

METRICS = _words(lambda thing: isinstance(getattr(thing, "takes", None), str), metrics, baselines)

BASELINES = _words(_is_baseline, baselines)
"""Baselines that need only a batch."""

OF_THE_RUN = (baselines.LeaveGroupOutBaseline.label, baselines.UntrainedBaseline.label)
"""The words of the baselines that need the data or the network."""


NEED_NETWORK = frozenset(
    [
        baselines.UntrainedBaseline.label,
        *(word for word, one in BASELINES.items() if getattr(one, "needs_network", False)),
        *(word for word, one in METRICS.items() if metrics.takes(one) == "network"),
    ]
)
"""The words of baselines and metrics that need a network."""


_NESTED = dict(zip(_NESTABLE, (METHODS, BINARIZERS, METRICS), strict=True))
"""The words of a setting that is itself a method, a binarizer or a metric."""

_OPTIONS = {
    "--method": METHODS,
    "--binarizer": BINARIZERS,
    "--metric": METRICS,
    "--baseline": BASELINES | dict.fromkeys(OF_THE_RUN),
}


def words_of(option: str, *, with_network: bool) -> list[str]:
    """Return the words of an option, with those that need a network or without them."""
    return [word for word in _OPTIONS[option] if with_network or word not in NEED_NETWORK]


def parse_words(
    words: list[str],
    known: Mapping[str, Any],
    option: str,
    makers: Mapping[str, Callable[..., Any]] | None = None,
) -> dict[str, Any]:
    """Return the things that words stand for, by the words.

    Makers are functions by word that return the thing, for those that need more than a word.

    Raises
    ------
    SettingError
        If a word is unknown, comes twice, or its settings do not fit.
    """
    things: dict[str, Any] = {}
    for word in words:
        if word in things:
            raise SettingError(f"{option} must be named once, got {word!r} twice")
        things[word] = parse_word(word, known, option, makers or {})
    return things


def parse_word(
    word: str,
    known: Mapping[str, Any],
    option: str,
    makers: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
) -> Any:
    """Return the thing that a word stands for: the inverse of `label_of`.

    Raises
    ------
    SettingError
        If the word is unknown, or its settings do not fit.
    """
    name, _, settings = word.partition(":")
    if name not in known and name not in makers:
        raise SettingError(_unknown(name, [*known, *makers], option))
    thing = known.get(name)
    if name not in makers and not isclass(thing) and not settings:
        return thing
    try:
        return _make(makers.get(name, thing), settings, word, calls=name in makers)
    except CamevalError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        reason = re.sub(r"^[\w.]+\(\) ", "", str(error))
        raise SettingError(f"{word}: settings must fit, got: {reason}") from error


def _make(maker: Any, settings: str, word: str, *, calls: bool) -> Any:
    """Return an object of a class or of a maker, or a partial of a function, with settings."""
    parameters = list(signature(maker).parameters.values())
    calls = calls or isclass(maker)
    if not calls:  # its first parameters are the arrays
        parameters = [one for one in parameters if one.kind is not Parameter.POSITIONAL_ONLY]
        parameters = [one for one in parameters if one.default is not Parameter.empty]
    kinds = get_type_hints(maker)
    args: list[Any] = []
    options: dict[str, Any] = {}
    for part in _split(settings):
        if match := _NAME_AND_VALUE.fullmatch(part):
            options[match[1]] = _parse_value(match[2], kinds.get(match[1]), word)
        else:
            place = parameters[len(args)].name if len(args) < len(parameters) else ""
            args.append(_parse_value(part, kinds.get(place), word))
    names = [one.name for one in parameters]
    if strange := [name for name in options if name not in names]:
        raise TypeError(_no_setting(strange[0], names))
    if calls:
        return maker(*args, **options)
    if len(args) > len(names):
        raise TypeError(f"takes {len(names)} settings, got {len(args)}")
    if again := [name for name in options if name in names[: len(args)]]:
        raise TypeError(f"{again[0]!r} twice")
    return partial(maker, **dict(zip(names, args, strict=False)), **options)


def _unknown(name: str, known: list[str], option: str) -> str:
    """Return what is wrong with an unknown word: near words, the right option, or all words."""
    if others := [one for one, words in _OPTIONS.items() if name in words and one != option]:
        return f"{option} must be one of its own words, got {name!r}, a word of {others[0]}"
    if {*name.split(",")} <= {*known}:
        return f"{option} must have its words apart, got {name!r}; put spaces between several"
    near = near_words(name, known)
    if option == "--binarizer" and _NUMBER.fullmatch(name):
        near = [f"{binarizers.PercentileBinarizer.label}:{name}"]
    if near:
        return (
            f"{option} must be one of the names that --help lists, got {name!r}; near names: "
            f"{', '.join(near)}"
        )
    return f"{option} must be one of {', '.join(sorted(known))}, got {name!r}"


def _no_setting(name: str, known: list[str]) -> str:
    if not known:
        return f"{name!r}, but there are no settings"
    near = near_words(name, known)
    return f"no setting {name!r}, only {', '.join(known)}" + (
        f"; near name: {near[0]}" if near else ""
    )


def _parse_value(text: str, kind: Any, word: str) -> Any:
    """Return a setting: a nested thing if the class takes one, else a literal, else text."""
    text = text.strip()
    for protocol, known in _NESTED.items():
        if kind is protocol or protocol in get_args(kind):
            inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
            return parse_word(inner, known, f"{word}: the setting")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _split(settings: str) -> Iterator[str]:
    """Yield the parts between the commas that are in no brackets and no quotes."""
    part, ends = "", [""]
    for letter in settings:
        if letter == ends[-1]:
            ends.pop()
        elif ends[-1] not in ("'", '"') and letter in "'\"([{":
            ends.append(_CLOSING.get(letter, letter))
        if letter == "," and len(ends) == 1:
            if part.strip():
                yield part
            part = ""
        else:
            part += letter
    if part.strip():
        yield part
