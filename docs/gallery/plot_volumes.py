"""
Volumes
=======

Networks of volumes have maps of volumes. Masks, components, distances and baselines are then those
of the volume, in the unit of its spacing.
"""

# %%
# A volume shows a ball, in 16 slices that are twice as far apart as pixels. The network tells balls
# with a dark core from even ones.

from functools import partial

import matplotlib.pyplot as plt
import torch
from trained import PREPARE, inputs, labels, volume_classifier, volumes

from cameval import (
    CAMExtractor,
    PercentileBinarizer,
    cam,
    evaluate,
    iou,
    normalize_maps,
    pointing_game,
)
from cameval.binarizers import LargestComponent
from cameval.metrics import HausdorffDistance, SurfaceDice
from cameval.plots import overlay

net, test = volume_classifier(), volumes(30, seed=1)
result = CAMExtractor(net, method=cam)(inputs(test))
print(test[0].image.shape, "spacing", test[0].spacing)
print("coarse", tuple(result.coarse.shape), "maps", tuple(result.maps.shape))
print(f"accuracy {(result.classes == labels(test)).double().mean():.2f}")

# %%
# One volume with a dark core, and its map of this class, in slices:

sample = next(s for s, k in zip(test, result.classes, strict=True) if s.label == k == 1)
n = test.index(sample)
score_map = result.maps[n]
binarize = LargestComponent(PercentileBinarizer(95), spatial_axes=3)
mask = binarize(score_map)
inside = sample.mask.any((1, 2)).nonzero()[0]
first, last = max(0, inside[0] - 1), min(15, inside[-1] + 1)
chosen = torch.linspace(float(first), float(last), 6).round().int().tolist()
share = normalize_maps(score_map, spatial_axes=3)

figure, axes = plt.subplots(2, 6, figsize=(9, 3.4), layout="constrained")
for (above, below), z in zip(axes.T, chosen, strict=True):
    above.imshow(sample.image[z], cmap="gray", vmin=0, vmax=1)
    above.set_axis_off()
    above.set_title(f"slice {z}", fontsize=13)
    overlay(below, sample.image[z], mask=mask[z], truth=sample.mask[z])
    below.imshow(share[z], cmap="autumn", vmin=0, vmax=1, alpha=0.8 * share[z])

# %%
# All slices share one color scale and one threshold, which is that of the volume: a slice in which
# the map is low has little color, and little of it is marked. Scaled slice by slice, something
# would be bright in each of them.

results = evaluate(
    net,
    test,
    methods=[cam],
    binarizers=[PercentileBinarizer(95), LargestComponent(PercentileBinarizer(95))],
    metrics=[
        iou,
        SurfaceDice(tolerance=2),
        HausdorffDistance(),
        partial(pointing_game, tolerance=2),
    ],
    prepare=PREPARE,
    progress=False,
)
table = results.summary()
table = table[table["method"].isin(["cam", "center", "intensity", "truth"])]
table = table[table["binarizer"] != ""]
table.pivot(index=["method", "binarizer"], columns="metric", values="mean").round(2)

# %%
# - The tolerance of the surface Dice and of the pointing game, and the Hausdorff distance, are in
#   the unit of the spacing. A tolerance of 2 is one slice, or two pixels.
# - A few bright voxels of the texture are far from the ball. The intensity has a large Hausdorff
#   distance because of them, until only the largest component is kept. It then scores more than the
#   map, as in :doc:`/jobs/volumes`.
# - The truth baseline has the grid of this network, so its scores show what cells of this size do
#   to the truth; neighboring cells are four pixels apart.
# - The mask lies too far down and to the right; :doc:`plot_alignment` is about such a shift.
# - For a network of single slices, :class:`~cameval.evaluation.SliceMaps` stacks the maps of a
#   scan; :doc:`/jobs/volumes` shows it, with NIfTI files.
