"""Losses in which a network's own map takes part: training that shapes where it looks."""

from cameval.losses.attention_mining import AttentionMining, MiningLoss

__all__ = ["AttentionMining", "MiningLoss"]
