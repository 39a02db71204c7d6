"""Where a CNN classifier looked, and how well that agrees with ground-truth masks."""

from cameval.extractor import CAMExtractor, CAMResult
from cameval.methods import CAMMethod, cam, grad_cam, hires_cam, layer_cam
from cameval.networks import (
    Activations,
    CAMModel,
    ClassMapHead,
    ExactHead,
    GAPHead,
    LayerModel,
    NormHead,
    PooledHead,
    Split,
    adapt,
    split,
)

__all__ = [
    "Activations",
    "CAMExtractor",
    "CAMMethod",
    "CAMModel",
    "CAMResult",
    "ClassMapHead",
    "ExactHead",
    "GAPHead",
    "LayerModel",
    "NormHead",
    "PooledHead",
    "Split",
    "adapt",
    "cam",
    "grad_cam",
    "hires_cam",
    "layer_cam",
    "split",
]
