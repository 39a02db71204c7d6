"""Masks as sets of pixels, for references of mask metrics."""

from itertools import product

__all__ = ["as_set", "double", "frame", "side_by_side"]

import numpy as np


def double(score):
    """Return a score in float64, with NumPy arrays as inputs."""

    def scored(pred, target, *args):
        return float(score(pred.numpy(), target.numpy(), *args))

    return scored


def frame(mask):
    """Return all pixels of a mask's image."""
    height, width = mask.shape
    return set(product(range(height), range(width)))


def as_set(mask):
    """Return the pixels of a mask."""
    return {(y, x) for y, x in frame(mask) if mask[y, x]}


def side_by_side(predicted, true, both, pixels=1000):
    """Return a predicted and a true mask of one row with these numbers of pixels."""
    pred, target = np.zeros((2, 1, pixels), bool)
    pred[:, :predicted] = True
    target[:, predicted - both : predicted - both + true] = True
    return pred, target
