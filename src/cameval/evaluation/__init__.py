"""Evaluation: scores of maps on samples as a table, with summaries, tests and choices."""

from cameval.evaluation.chexlocalize import CheXlocalizeProtocol, CheXlocalizeScores
from cameval.evaluation.choice import Choice, choose_binarizers
from cameval.evaluation.concat import concat
from cameval.evaluation.dark_images import DarkImagesWarning, is_almost_black
from cameval.evaluation.evaluate import evaluate
from cameval.evaluation.evaluate_maps import evaluate_maps, pair_maps
from cameval.evaluation.labels import label_of
from cameval.evaluation.meaning import (
    REASONS,
    BaselineMeaning,
    BinarizerMeaning,
    Column,
    Meanings,
    MethodMeaning,
    MetricMeaning,
    Origin,
    TargetClassMeaning,
)
from cameval.evaluation.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation, Prepared
from cameval.evaluation.preparation_check import PreparationWarning
from cameval.evaluation.published_protocols import (
    KangScores,
    PointingProtocol,
    PointingScores,
    WSOLProtocol,
    WSOLScores,
    kang_protocol,
)
from cameval.evaluation.results import Results, SanityResults
from cameval.evaluation.same_data import count_differing
from cameval.evaluation.same_maps import SameMapsWarning
from cameval.evaluation.sanity_checks import (
    SanityChecks,
    SanityCost,
    Training,
    default_faithfulness,
)
from cameval.evaluation.settings import (
    RunSettings,
    default_baselines,
    default_binarizers,
    default_methods,
    default_metrics,
)
from cameval.evaluation.slice_maps import SliceMaps
from cameval.evaluation.spacings import MixedSpacingWarning

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "REASONS",
    "BaselineMeaning",
    "BinarizerMeaning",
    "CheXlocalizeProtocol",
    "CheXlocalizeScores",
    "Choice",
    "Column",
    "DarkImagesWarning",
    "KangScores",
    "Meanings",
    "MethodMeaning",
    "MetricMeaning",
    "MixedSpacingWarning",
    "Origin",
    "PointingProtocol",
    "PointingScores",
    "Preparation",
    "PreparationWarning",
    "Prepared",
    "Results",
    "RunSettings",
    "SameMapsWarning",
    "SanityChecks",
    "SanityCost",
    "SanityResults",
    "SliceMaps",
    "TargetClassMeaning",
    "Training",
    "WSOLProtocol",
    "WSOLScores",
    "choose_binarizers",
    "concat",
    "count_differing",
    "default_baselines",
    "default_binarizers",
    "default_faithfulness",
    "default_methods",
    "default_metrics",
    "evaluate",
    "evaluate_maps",
    "is_almost_black",
    "kang_protocol",
    "label_of",
    "pair_maps",
]
