"""Plots of maps and masks on their images.

They need the extra ``report``: ``pip install '.[report]'`` in a checkout.

Everywhere orange is the network (its map, and its mask with a solid outline), and blue the truth,
with a dashed outline. The image itself is gray.
"""

from cameval.plots._grid import grid
from cameval.plots._overlay import overlay

__all__ = ["grid", "overlay"]
