"""Binarizers: from score maps to masks, each map by its own threshold.

A mask is ``map > threshold``, strictly. A binarizer is any callable from maps to masks; those here
are frozen dataclasses that also show their thresholds. Two rules hold for all of them:

- the threshold of a constant map is its value, so its mask is empty (`is_constant` finds them);
- a map with NaN or infinity raises `NonFiniteError`.
"""

from cameval.binarizers.components import LargestComponent
from cameval.binarizers.door import Binarizer
from cameval.binarizers.histograms import MultiOtsuBinarizer, OtsuBinarizer
from cameval.binarizers.local import AdaptiveBinarizer, NiblackBinarizer, SauvolaBinarizer
from cameval.binarizers.plugged import SkimageBinarizer
from cameval.binarizers.tuned import CandidateScore, FittedBinarizer, TunedBinarizer
from cameval.binarizers.whole import (
    FractionOfMaxBinarizer,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    PercentileBinarizer,
    TopAreaBinarizer,
)
from cameval.maps import is_constant

__all__ = [
    "AdaptiveBinarizer",
    "Binarizer",
    "CandidateScore",
    "FittedBinarizer",
    "FractionOfMaxBinarizer",
    "LargestComponent",
    "MeanBinarizer",
    "MeanSDBinarizer",
    "MedianBinarizer",
    "MultiOtsuBinarizer",
    "NiblackBinarizer",
    "OtsuBinarizer",
    "PercentileBinarizer",
    "SauvolaBinarizer",
    "SkimageBinarizer",
    "TopAreaBinarizer",
    "TunedBinarizer",
    "is_constant",
]
