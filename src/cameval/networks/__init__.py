"""Networks: where they are cut, and what can be read at the cut."""

from cameval.networks.activations import Activations
from cameval.networks.adapt import adapt
from cameval.networks.families import Split, split
from cameval.networks.heads import ClassMapHead, ExactHead, GAPHead, NormHead, PooledHead
from cameval.networks.model import CAMModel, LayerModel

__all__ = [
    "Activations",
    "CAMModel",
    "ClassMapHead",
    "ExactHead",
    "GAPHead",
    "LayerModel",
    "NormHead",
    "PooledHead",
    "Split",
    "adapt",
    "split",
]
