"""Where an image classifier looked, and how well that agrees with ground-truth masks.

The names here are those of the usual flow, from a network to scores. Everything else is in the
sub-packages and modules, which are imported when they are first used:

- the flow: `data`, `networks`, `methods`, `extractor`, `target_classes`, `maps`, `binarizers`,
  `metrics`, `baselines`, `evaluation`, `statistics`;
- what else there is to do: `report`, `plots`, `sanity`, `losses`, `training` and
  `distributed`;
- what others build on: `protocols` and `errors`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cameval import (  # noqa: F401 - `cameval.metrics` and the like, without another import
        baselines,
        binarizers,
        data,
        distributed,
        errors,
        evaluation,
        extractor,
        losses,
        maps,
        methods,
        metrics,
        networks,
        plots,
        protocols,
        report,
        sanity,
        statistics,
        target_classes,
        training,
    )
    from cameval.baselines import center_map
    from cameval.binarizers import (
        AdaptiveBinarizer,
        MeanBinarizer,
        MedianBinarizer,
        OtsuBinarizer,
        PercentileBinarizer,
        SkimageBinarizer,
    )
    from cameval.data import Sample, Target
    from cameval.evaluation import (
        Preparation,
        Results,
        choose_binarizers,
        concat,
        evaluate,
        evaluate_maps,
    )
    from cameval.extractor import CAMExtractor, CAMResult, CAMSweep
    from cameval.maps import normalize_maps
    from cameval.methods import (
        ScoreCAM,
        cam,
        eigen_cam,
        grad_cam,
        grad_cam_pp,
        hires_cam,
        layer_cam,
        xgrad_cam,
    )
    from cameval.metrics import (
        coverage,
        dice,
        informedness,
        iou,
        pixel_auroc,
        pixel_average_precision,
        pointing_game,
        precision,
        relevance_mass_accuracy,
        relevance_rank_accuracy,
        size_standardized_iou,
    )
    from cameval.networks import CAMModel, GAPHead, adapt, split
else:
    from cameval._lazy import import_when_used

    __getattr__, __dir__ = import_when_used(
        __name__,
        {
            "baselines": ["center_map"],
            "binarizers": [
                "AdaptiveBinarizer",
                "MeanBinarizer",
                "MedianBinarizer",
                "OtsuBinarizer",
                "PercentileBinarizer",
                "SkimageBinarizer",
            ],
            "data": ["Sample", "Target"],
            "distributed": [],
            "errors": [],
            "evaluation": [
                "Preparation",
                "Results",
                "choose_binarizers",
                "concat",
                "evaluate",
                "evaluate_maps",
            ],
            "extractor": ["CAMExtractor", "CAMResult", "CAMSweep"],
            "losses": [],
            "maps": ["normalize_maps"],
            "methods": [
                "ScoreCAM",
                "cam",
                "eigen_cam",
                "grad_cam",
                "grad_cam_pp",
                "hires_cam",
                "layer_cam",
                "xgrad_cam",
            ],
            "metrics": [
                "coverage",
                "dice",
                "informedness",
                "iou",
                "pixel_auroc",
                "pixel_average_precision",
                "pointing_game",
                "precision",
                "relevance_mass_accuracy",
                "relevance_rank_accuracy",
                "size_standardized_iou",
            ],
            "networks": ["CAMModel", "GAPHead", "adapt", "split"],
            "plots": [],
            "protocols": [],
            "report": [],
            "sanity": [],
            "statistics": [],
            "target_classes": [],
            "training": [],
        },
    )

__version__ = "0.1.0"

__all__ = [
    "AdaptiveBinarizer",
    "CAMExtractor",
    "CAMModel",
    "CAMResult",
    "CAMSweep",
    "GAPHead",
    "MeanBinarizer",
    "MedianBinarizer",
    "OtsuBinarizer",
    "PercentileBinarizer",
    "Preparation",
    "Results",
    "Sample",
    "ScoreCAM",
    "SkimageBinarizer",
    "Target",
    "adapt",
    "cam",
    "center_map",
    "choose_binarizers",
    "concat",
    "coverage",
    "dice",
    "eigen_cam",
    "errors",
    "evaluate",
    "evaluate_maps",
    "grad_cam",
    "grad_cam_pp",
    "hires_cam",
    "informedness",
    "iou",
    "layer_cam",
    "normalize_maps",
    "pixel_auroc",
    "pixel_average_precision",
    "pointing_game",
    "precision",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "size_standardized_iou",
    "split",
    "xgrad_cam",
]
