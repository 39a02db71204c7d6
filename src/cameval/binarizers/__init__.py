"""Binarizers: masks from maps, each map by its own threshold.

A mask is ``map > threshold``, strictly. A binarizer is any callable from maps to masks; those here
are frozen dataclasses that also return their thresholds. Two rules hold for all of them:

- the threshold of a constant map is its value, so its mask is empty (see `is_constant`);
- a map with NaN or infinity raises `NonFiniteError`.

To choose a binarizer on validation data, use `cameval.choose_binarizers`.
"""

from cameval.binarizers.components import LargestComponent
from cameval.binarizers.global_thresholds import (
    FractionOfMaxBinarizer,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    MultiOtsuBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    PercentileWarning,
    TopAreaBinarizer,
)
from cameval.binarizers.local_thresholds import (
    AdaptiveBinarizer,
    NiblackBinarizer,
    SauvolaBinarizer,
)
from cameval.binarizers.skimage import SkimageBinarizer
from cameval.maps import is_constant

__all__ = [
    "AdaptiveBinarizer",
    "FractionOfMaxBinarizer",
    "LargestComponent",
    "MeanBinarizer",
    "MeanSDBinarizer",
    "MedianBinarizer",
    "MultiOtsuBinarizer",
    "NiblackBinarizer",
    "OtsuBinarizer",
    "PercentileBinarizer",
    "PercentileWarning",
    "SauvolaBinarizer",
    "SkimageBinarizer",
    "TopAreaBinarizer",
    "is_constant",
]
