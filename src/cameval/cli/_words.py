"""Methods, binarizers, metrics and baselines by the words of the command line.

A word is a label as :func:`cameval.evaluation.label_of` writes it: ``otsu``, ``percentile:95``,
``size_standardized_iou:reference=0.1``, ``other_class:grad_cam``.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import Parameter, isclass, signature
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import cameval
from cameval import baselines, binarizers, methods, metrics
from cameval.errors import CamevalError, SettingError
from cameval.protocols import Binarizer, CAMMethod, MaskMetric

_NAME_AND_VALUE = re.compile(r"\s*([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)

_CLOSING = {"(": ")", "[": "]", "{": "}"}


def _by_label(*things: Any) -> dict[str, Any]:
    """Return functions and classes by the word that begins their labels."""
    return {getattr(thing, "label", thing.__name__): thing for thing in things}


METHODS = _by_label(
    cameval.cam,
    methods.local_linear_cam,
    cameval.grad_cam,
    cameval.grad_cam_pp,
    methods.SmoothGradCAMpp,
    cameval.xgrad_cam,
    cameval.hires_cam,
    cameval.layer_cam,
    methods.grad_cam_elementwise,
    methods.shapley_cam,
    cameval.eigen_cam,
    methods.eigen_grad_cam,
    methods.AblationCAM,
    cameval.ScoreCAM,
    methods.SSCAM,
    methods.ISCAM,
    methods.GroupCAM,
    methods.ReciproCAM,
    methods.OptiCAM,
    methods.RefineCAM,
    methods.WinsorCAM,
    methods.ZoomCAM,
    methods.lafam,
    methods.RandomCAM,
    methods.OtherClass,
)


BINARIZERS = _by_label(
    cameval.MeanBinarizer,
    cameval.MedianBinarizer,
    cameval.PercentileBinarizer,
    binarizers.TopAreaBinarizer,
    binarizers.FractionOfMaxBinarizer,
    binarizers.MeanSDBinarizer,
    cameval.OtsuBinarizer,
    binarizers.MultiOtsuBinarizer,
    cameval.AdaptiveBinarizer,
    binarizers.NiblackBinarizer,
    binarizers.SauvolaBinarizer,
    binarizers.LargestComponent,
)


METRICS = _by_label(
    metrics.iou,
    metrics.dice,
    metrics.coverage,
    metrics.precision,
    metrics.false_positive_rate,
    metrics.specificity,
    metrics.marked_area,
    metrics.overlap_coefficient,
    metrics.volumetric_similarity,
    metrics.informedness,
    metrics.size_standardized_iou,
    metrics.matthews_correlation,
    metrics.cohen_kappa,
    metrics.chance_corrected_overlap,
    metrics.box_iou,
    metrics.box_precision,
    metrics.pointing_game,
    metrics.pointing_recall,
    metrics.relevance_mass_accuracy,
    metrics.relevance_mass_skill,
    metrics.relevance_mass_ratio,
    metrics.relevance_rank_accuracy,
    metrics.iou_at_true_area,
    metrics.pixel_auroc,
    metrics.pixel_average_precision,
    metrics.average_precision_skill,
    metrics.max_iou,
    metrics.average_drop,
    metrics.average_gain,
    metrics.increase_in_confidence,
    baselines.area_bound,
    metrics.FBeta,
    metrics.Tversky,
    metrics.Outcomes,
    metrics.ZeroWithoutObject,
    metrics.ObjectRecall,
    metrics.ObjectF1,
    metrics.FalsePositivesPerImage,
    metrics.CentroidDistance,
    metrics.HausdorffDistance,
    metrics.AverageSurfaceDistance,
    metrics.SurfaceDice,
    metrics.BoundaryIoU,
    metrics.CoverageAtArea,
    metrics.AreaToCover,
    metrics.Deletion,
    metrics.Insertion,
    metrics.ROAD,
)


BASELINES = _by_label(
    baselines.center_baseline,
    baselines.GaussianBaseline,
    baselines.RandomBaseline,
    baselines.intensity_baseline,
    baselines.edge_baseline,
    baselines.truth_baseline,
)
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


_NESTED = {CAMMethod: METHODS, Binarizer: BINARIZERS, MaskMetric: METRICS}
"""The words of a setting that is itself a method, a binarizer or a metric."""


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
        names = ", ".join(sorted({*known, *makers}))
        raise SettingError(f"{option} must be one of {names}, got {name!r}")
    thing = known.get(name)
    if name not in makers and not isclass(thing) and not settings:
        return thing
    try:
        return _make(makers.get(name, thing), settings, word, calls=name in makers)
    except CamevalError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        reason = str(error).split("() ", 1)[-1]
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
    if calls:
        return maker(*args, **options)
    names = [one.name for one in parameters]
    if len(args) > len(names):
        raise TypeError(f"takes {len(names)} settings, got {len(args)}")
    if strange := [name for name in options if name not in names[len(args) :]]:
        raise TypeError(f"an unexpected keyword argument {strange[0]!r}")
    return partial(maker, **dict(zip(names, args, strict=False)), **options)


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
