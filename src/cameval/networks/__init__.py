"""Networks: where they are cut, and what can be read at the cut."""

from cameval.networks._placement import PlacementWarning
from cameval.networks.activations import Activations, ScoreTarget
from cameval.networks.adapt import adapt
from cameval.networks.families import Split, split
from cameval.networks.grids import Grid, TokenGrid, channels_last_grid
from cameval.networks.heads import (
    ClassMapHead,
    ConvHead,
    ExactHead,
    GAPHead,
    MeanHead,
    NormHead,
    PooledHead,
)
from cameval.networks.layers import LayerModel
from cameval.networks.linear_head import fit_linear_head, pooled_features
from cameval.networks.model import CAMModel
from cameval.networks.transformer_parts import TransformerParts, transformer_parts
from cameval.networks.weights import CHECKPOINT_ENTRIES, load_weights, read_weights
from cameval.networks.zoo import (
    NetworkFacts,
    describe_network,
    find_weights,
    load_network,
    network_names,
)

__all__ = [
    "CHECKPOINT_ENTRIES",
    "Activations",
    "CAMModel",
    "ClassMapHead",
    "ConvHead",
    "ExactHead",
    "GAPHead",
    "Grid",
    "LayerModel",
    "MeanHead",
    "NetworkFacts",
    "NormHead",
    "PlacementWarning",
    "PooledHead",
    "ScoreTarget",
    "Split",
    "TokenGrid",
    "TransformerParts",
    "adapt",
    "channels_last_grid",
    "describe_network",
    "find_weights",
    "fit_linear_head",
    "load_network",
    "load_weights",
    "network_names",
    "pooled_features",
    "read_weights",
    "split",
    "transformer_parts",
]
