"""Networks: where they are cut, and what can be read at the cut."""

from cameval.networks.activations import Activations, ScoreTarget
from cameval.networks.adapt import adapt
from cameval.networks.families import Split, split
from cameval.networks.heads import ClassMapHead, ExactHead, GAPHead, NormHead, PooledHead
from cameval.networks.layers import Grid, LayerModel, TokenGrid, channels_last_grid
from cameval.networks.linear_head import fit_linear_head, pooled_features
from cameval.networks.model import CAMModel
from cameval.networks.zoo import NetworkFacts, describe_network, load_network, network_names

__all__ = [
    "Activations",
    "CAMModel",
    "ClassMapHead",
    "ExactHead",
    "GAPHead",
    "Grid",
    "LayerModel",
    "NetworkFacts",
    "NormHead",
    "PooledHead",
    "ScoreTarget",
    "Split",
    "TokenGrid",
    "adapt",
    "channels_last_grid",
    "describe_network",
    "fit_linear_head",
    "load_network",
    "network_names",
    "pooled_features",
    "split",
]
