"""Methods, binarizers, metrics and baselines from command-line words."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import isclass, signature
from typing import Any

import cameval
from cameval import baselines, binarizers, methods, metrics
from cameval.errors import CamevalError, SettingError


@dataclass(frozen=True)
class Maker:
    """A function that makes the thing that a word stands for, of the word's settings."""

    make: Callable[..., Any]


def _other_class(method: str = "grad_cam") -> methods.OtherClass:
    return methods.OtherClass(found([method], METHODS, "other_class")[method])


METHODS: dict[str, Any] = {
    "cam": cameval.cam,
    "local_linear_cam": methods.local_linear_cam,
    "grad_cam": cameval.grad_cam,
    "grad_cam_pp": cameval.grad_cam_pp,
    "smooth_grad_cam_pp": methods.SmoothGradCAMpp,
    "xgrad_cam": cameval.xgrad_cam,
    "hires_cam": cameval.hires_cam,
    "layer_cam": cameval.layer_cam,
    "grad_cam_elementwise": methods.grad_cam_elementwise,
    "shapley_cam": methods.shapley_cam,
    "eigen_cam": cameval.eigen_cam,
    "eigen_grad_cam": methods.eigen_grad_cam,
    "ablation_cam": methods.AblationCAM,
    "score_cam": cameval.ScoreCAM,
    "ss_cam": methods.SSCAM,
    "is_cam": methods.ISCAM,
    "random_cam": methods.RandomCAM,
    "other_class": Maker(_other_class),
}


BINARIZERS: dict[str, Any] = {
    "mean": cameval.MeanBinarizer,
    "median": cameval.MedianBinarizer,
    "percentile": cameval.PercentileBinarizer,
    "top_area": binarizers.TopAreaBinarizer,
    "fraction_of_max": binarizers.FractionOfMaxBinarizer,
    "mean_sd": binarizers.MeanSDBinarizer,
    "otsu": cameval.OtsuBinarizer,
    "multi_otsu": binarizers.MultiOtsuBinarizer,
    "adaptive": cameval.AdaptiveBinarizer,
    "niblack": binarizers.NiblackBinarizer,
    "sauvola": binarizers.SauvolaBinarizer,
}


METRICS: dict[str, Any] = {
    name: getattr(metrics, name)
    for name in (
        *("iou", "dice", "coverage", "precision", "false_positive_rate", "specificity"),
        *("overlap_coefficient", "volumetric_similarity", "informedness", "size_standardized_iou"),
        *("matthews_correlation", "cohen_kappa", "chance_corrected_overlap"),
        *("box_iou", "box_precision"),
        *("pointing_game", "relevance_mass_accuracy", "relevance_mass_skill"),
        *("relevance_mass_ratio", "relevance_rank_accuracy", "iou_at_true_area", "pixel_auroc"),
        *("pixel_average_precision", "average_precision_skill", "max_iou"),
        *("average_drop", "average_gain", "increase_in_confidence"),
    )
} | {
    "area_bound": baselines.area_bound,
    "f_beta": metrics.FBeta,
    "tversky": metrics.Tversky,
    "outcome": metrics.Outcomes,
    "centroid_distance": metrics.CentroidDistance,
    "hausdorff_distance": metrics.HausdorffDistance,
    "average_surface_distance": metrics.AverageSurfaceDistance,
    "surface_dice": metrics.SurfaceDice,
    "boundary_iou": metrics.BoundaryIoU,
    "pointing_game_within": metrics.PointingGame,
    "coverage_at_area": metrics.CoverageAtArea,
    "area_to_cover": metrics.AreaToCover,
    "deletion": metrics.Deletion,
    "insertion": metrics.Insertion,
    "road": metrics.ROAD,
}


BASELINES: dict[str, Any] = {
    "center": baselines.center_baseline,
    "gaussian": baselines.GaussianBaseline,
    "random": baselines.RandomBaseline,
    "intensity": baselines.intensity_baseline,
    "edges": baselines.edge_baseline,
    "truth": baselines.truth_baseline,
}
"""Those that need nothing but a batch. The command line adds ``mean_mask`` and ``untrained``."""


def found(words: list[str], known: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return what each word stands for, by the word.

    Raises
    ------
    SettingError
        If a word is unknown, comes twice, or its settings do not fit.
    """
    things: dict[str, Any] = {}
    for word in words:
        name, _, settings = word.partition(":")
        if name not in known:
            raise SettingError(f"{what} must be one of {', '.join(sorted(known))}, got {name!r}")
        if word in things:
            raise SettingError(f"{what} must be named once, got {word!r} twice")
        things[word] = _made(known[name], word, settings)
    return things


def _made(maker: Any, word: str, settings: str) -> Any:
    """Return a function as it is, or what a class makes of the settings."""
    made = isinstance(maker, Maker) or isclass(maker)
    if not made and not settings:
        return maker
    args: list[Any] = []
    options: dict[str, Any] = {}
    for part in filter(None, settings.split(",")):
        name, equals, value = part.partition("=")
        if equals:
            options[name.strip()] = _value(value)
        else:
            args.append(_value(part))
    try:
        if made:
            return (maker.make if isinstance(maker, Maker) else maker)(*args, **options)
        bound = signature(maker).bind(None, None, *args, **options)  # arrays, then settings
        return partial(maker, **dict([*bound.arguments.items()][2:]))
    except CamevalError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        reason = str(error).split("() ", 1)[-1]
        raise SettingError(f"{word}: settings must fit, got: {reason}") from error


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text.strip()
