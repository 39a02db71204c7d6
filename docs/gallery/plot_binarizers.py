"""
All binarizers on one map
=========================

A binarizer turns a map into a mask: the pixels whose value is above a threshold. The threshold
decides how much is marked, and with that much of the IoU.
"""

# %%
# The map is the class activation map of a small network on a synthetic image; see
# :doc:`plot_methods`.

import matplotlib.pyplot as plt
import torch
from skimage.filters import threshold_li, threshold_triangle
from trained import PREPARE, classifier, samples, thin_outline

from cameval import (
    AdaptiveBinarizer,
    CAMExtractor,
    MeanBinarizer,
    MedianBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    SkimageBinarizer,
    cam,
    iou,
)
from cameval.baselines import area_bound
from cameval.binarizers import (
    FractionOfMaxBinarizer,
    LargestComponent,
    MeanSDBinarizer,
    MultiOtsuBinarizer,
    NiblackBinarizer,
    SauvolaBinarizer,
    TopAreaBinarizer,
)
from cameval.evaluation import label_of
from cameval.plots import overlay

sample = samples(30, seed=1)[28]
image, truth = PREPARE(sample)
score_map = CAMExtractor(classifier(), method=cam)(image[None], classes=sample.label).maps[0]

binarizers = [
    MeanBinarizer(),
    MedianBinarizer(),
    MeanSDBinarizer(2),
    PercentileBinarizer(75),
    PercentileBinarizer(95),
    TopAreaBinarizer(0.04),
    FractionOfMaxBinarizer(0.5),
    OtsuBinarizer(),
    MultiOtsuBinarizer(),
    SkimageBinarizer(threshold_li),
    SkimageBinarizer(threshold_triangle),
    AdaptiveBinarizer(),
    NiblackBinarizer(),
    SauvolaBinarizer(),
    LargestComponent(MeanBinarizer()),
]

# %%
# Orange: the mask. Blue and dashed: the truth. The title gives the share of the image that is
# marked, the IoU, and the area bound: the highest IoU that any mask of this area can have on this
# truth.

figure, axes = plt.subplots(6, 3, figsize=(7.5, 17.5), layout="constrained")
axes = axes.ravel()
for ax in axes:
    ax.set_axis_off()
overlay(axes[0], sample.image, score_map=score_map, truth=truth)
axes[0].set_title("map and truth\n", fontsize=11)
for ax, binarize in zip(axes[1:], binarizers, strict=False):
    mask = binarize(score_map)
    overlay(ax, sample.image)
    thin_outline(ax, mask, "C1", fill=0.35)
    thin_outline(ax, truth, "C0", dashed=True)
    numbers = f"{100 * mask.double().mean():.0f} %, IoU {iou(mask, truth):.2f}"
    numbers += f" of {area_bound(mask, truth):.2f}"
    ax.set_title(f"{label_of(binarize)}\n{numbers}", fontsize=11)

# %%
# Binarizers with one threshold for the image differ only in where they cut the same ranking of
# pixels. This curve is the IoU of every such mask; the points are four of the binarizers above.

areas = torch.linspace(0.005, 0.6, 120)
curve = [iou(TopAreaBinarizer(float(area))(score_map), truth) for area in areas]
bound = [area_bound(TopAreaBinarizer(float(area))(score_map), truth) for area in areas]

figure, ax = plt.subplots(figsize=(6.5, 3.9), layout="constrained")
ax.plot(areas, bound, color="0.6", linestyle="dashed", label="area bound")
ax.plot(areas, curve, color="C1", label="this map")
for binarize in (MeanBinarizer(), MedianBinarizer(), PercentileBinarizer(95), OtsuBinarizer()):
    mask = binarize(score_map)
    at = (float(mask.double().mean()), float(iou(mask, truth)))
    ax.plot(*at, "o", color="black")
    ax.annotate(label_of(binarize), at, xytext=(6, 6), textcoords="offset points", fontsize=9)
ax.set(xlabel="share of the image that is marked", ylabel="IoU", xlim=(0, 0.6), ylim=(0, 1.02))
ax.legend(frameon=False)

# %%
# The best area on this image is known only because the truth is. Choose the binarizer on other
# images: :doc:`plot_thresholds`.

# sphinx_gallery_thumbnail_number = 2
