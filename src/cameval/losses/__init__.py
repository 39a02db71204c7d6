"""Losses that include a network's own class activation map."""

from cameval.losses.attention_mining import AttentionMining, MiningLoss

__all__ = ["AttentionMining", "MiningLoss"]
