"""
Baselines and bounds: what a score is compared with
===================================================

An IoU of .4 can be much, or what a blind baseline has. Baselines and an upper bound give it a
context.
"""

# %%
# A baseline declares what it sees of the sample: nothing, the labels, the image, or the truth.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
from trained import PREPARE, classifier, inputs, labels, samples, seeded

from cameval import CAMExtractor, PercentileBinarizer, cam, evaluate, iou, pixel_auroc
from cameval.baselines import (
    ClassMeanBaseline,
    RandomBaseline,
    UntrainedBaseline,
    area_bound,
    center_baseline,
    edge_baseline,
    intensity_baseline,
    knowledge_of,
    truth_baseline,
)
from cameval.plots import overlay
from cameval.protocols import BaselineInput

net, train, test = classifier(), samples(600, seed=0), samples(90, seed=1)
baselines = {
    "center": center_baseline,
    "class mean": ClassMeanBaseline.of(train, 3),
    "random": RandomBaseline(),
    "edges": edge_baseline,
    "untrained": UntrainedBaseline(CAMExtractor(seeded(1, 3).eval(), method=cam)),
    "intensity": intensity_baseline,
    "truth": truth_baseline,
}
for name, baseline in baselines.items():
    print(f"{name}: {knowledge_of(baseline)}")

# %%
# The maps of one image. The truth baseline is the true mask, averaged over the cells of the
# network. It is no upper bound: another map may score more. Orange outline: the mask, 5 % of the
# image. Blue and dashed: the truth.

shown = list(test[27:28])
batch = BaselineInput(
    shown, inputs(shown), PREPARE(shown[0])[1][None], labels(shown), cells=(12, 12)
)
maps = {"cam": CAMExtractor(net, method=cam)(batch.images, classes=batch.classes).maps}
maps |= {name: baseline(batch) for name, baseline in baselines.items()}
figure, axes = plt.subplots(2, 4, figsize=(7.5, 4.6), layout="constrained")
for ax, (name, one) in zip(axes.ravel(), maps.items(), strict=True):
    mask = PercentileBinarizer(95)(one[0])
    overlay(ax, shown[0].image, score_map=one[0], mask=mask, truth=shown[0].mask)
    ax.set_title(f"{name}\nIoU {iou(mask, batch.truth[0]):.2f}", fontsize=11)

# %%
# All 90 images. The summary has intervals by group.

results = evaluate(
    net,
    test,
    methods=[cam],
    binarizers=[PercentileBinarizer(95)],
    metrics=[iou, area_bound, pixel_auroc],
    baselines=baselines,
    prepare=PREPARE,
    progress=False,
)
summary = results.summary()
table = summary.loc[summary["metric"].isin(["iou", "pixel_auroc"])]
table[["method", "metric", "mean", "low", "high", "n_groups"]].round(2)

# %%
# The colors of the bars tell what a map is computed from. The class mean reads the label of each
# image and no pixel, the blind baselines neither. The area bound is that of the masks of ``cam``,
# 5 % of the image each; a baseline whose masks have another area has another bound.

colors = {"nothing": "0.7", "labels": "C4", "image": "C2", "truth": "C0", None: "C1"}
names = {None: "network", "nothing": "nothing (blind)"}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 4), sharey=True, layout="constrained")
for ax, metric in zip(axes, ("iou", "pixel_auroc"), strict=True):
    part = summary[summary["metric"] == metric].set_index("method").loc[["cam", *baselines]]
    ends = np.abs(part[["low", "high"]].to_numpy().T - part["mean"].to_numpy())
    seen = [None, *map(knowledge_of, baselines.values())]
    ax.barh(part.index, part["mean"], xerr=ends, color=[colors[one] for one in seen], height=0.7)
    ax.set(xlim=(0, 1))
bound = summary[(summary["metric"] == "area_bound") & (summary["method"] == "cam")]["mean"].item()
axes[0].axvline(bound, color="black", linestyle="dashed")
axes[0].set_xlabel("IoU\n(dashed: area bound of cam)")
axes[1].axvline(0.5, color="black", linestyle="dotted")
axes[1].set_xlabel("pixel AUROC\n(dotted: chance level)")
axes[0].invert_yaxis()
handles = [Patch(color=color, label=names.get(seen, seen)) for seen, color in colors.items()]
figure.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=9, frameon=False)

# %%
# How to read it:
#
# - Objects lie near the center here, so a blind baseline has a pixel AUROC far above the chance
#   level of .5.
# - The shapes are brighter than their surroundings, so the intensity of the image has the pixel
#   AUROC of the maps, without any network. A high pixel AUROC is no evidence here. The IoU of the
#   intensity is lower than that of the maps, because its masks contain parts of the squares.
# - Masks of 5 % of the image cannot match all truths: the area bound is below 1.
#
# Whether a difference is more than chance is a paired test by group:

tests = results.compare("iou", binarizer="percentile:95", reference="cam", resamples=2000)
tests[["first", "second", "difference", "low_holm", "high_holm", "p_holm"]].round(3)

# %%
# :doc:`/guide` shows the same step by step, and :doc:`/api/baselines` lists all baselines.
