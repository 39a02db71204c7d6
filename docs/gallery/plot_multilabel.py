"""
Multi-label targets
===================

An image can show several classes, or none of them. Each class is a target of its own: it has a map,
a mask and a row in the table, also where it is absent.
"""

# %%
# The network has one sigmoid for each of three shapes. A sample has one `Target` for each class;
# the mask of an absent class is empty.

import matplotlib.pyplot as plt
from trained import PREPARE, SHAPES, inputs, multilabel_classifier, multilabel_samples

from cameval import (
    CAMExtractor,
    PercentileBinarizer,
    cam,
    choose_binarizers,
    evaluate,
    iou,
    pointing_game,
)
from cameval.baselines import center_baseline, intensity_baseline
from cameval.metrics import false_positive_rate
from cameval.plots import overlay
from cameval.target_classes import all_classes

net, test = multilabel_classifier(), multilabel_samples(60, seed=1)
print(test[0])

# %%
# One pass of the network gives the maps of all classes.

wanted = [n for n, s in enumerate(test) if 0 < sum(t.mask.any() for t in s.targets) < 3][:3]
shown = [test[n] for n in wanted]
result = CAMExtractor(net, method=cam)(inputs(shown), classes=all_classes)
print(tuple(result.maps.shape))

figure, axes = plt.subplots(3, 4, figsize=(9, 8), layout="constrained")
for row, sample, maps, logits in zip(axes, shown, result.maps, result.logits, strict=True):
    overlay(row[0], sample.image)
    for ax, target, one, logit in zip(row[1:], sample.targets, maps, logits, strict=True):
        overlay(ax, sample.image, score_map=one, truth=target.mask)
        there = "present" if target.mask.any() else "absent"
        title = f"{SHAPES[target.label]}: {there}\np = {logit.sigmoid():.2f}"
        ax.set_title(title, fontsize=13)

# %%
# The map of an absent class is scaled to [0, 1] for display, too, so something is always bright.
# Only the probability says that the class is not there.
#
# ``task="multilabel"`` gives each output its own probability. There is one row for each image and
# class, and one threshold is chosen for each class on other images.

settings = {
    "task": "multilabel",
    "methods": [cam],
    "binarizers": [PercentileBinarizer(q) for q in (85, 90, 95, 97)],
    "metrics": [iou, pointing_game, false_positive_rate],
    "baselines": {"center": center_baseline, "intensity": intensity_baseline},
    "prepare": PREPARE,
    "class_names": SHAPES,
    "progress": False,
}
validation = evaluate(net, multilabel_samples(60, seed=2), **settings)
choice = choose_binarizers(validation, metric="iou", by="label")
results = choice.apply(evaluate(net, test, **settings))
print(results)

# %%
# Scores by class, on the images that show it. The others have no IoU; they are counted in
# ``n_undefined``.

scores = results.select(binarizer="validated", metric="iou")
by_class = scores.summary(by="class_name")
columns = ["class_name", "method", "n", "n_undefined", "mean", "low", "high"]
by_class[columns].round(2)

# %%

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for k, (method, color) in enumerate({"cam": "C1", "intensity": "C2", "center": "0.7"}.items()):
    part = by_class[by_class["method"] == method].set_index("class_name").loc[list(SHAPES)]
    at = [n + 0.25 * (k - 1) for n in range(3)]
    ax.bar(at, part["mean"], 0.22, color=color, label=method)
    ax.vlines(at, part["low"], part["high"], color="black", linewidth=1)
ax.set(xticks=range(3), xticklabels=SHAPES, ylabel="mean IoU", ylim=(0, 1))
ax.legend(frameon=False)

# %%
# Where a class is absent, every marked pixel is a false positive:

negatives = results.select(present=False, binarizer="validated", metric="false_positive_rate")
negatives.summary(by="class_name")[["class_name", "method", "n", "mean"]].round(2)

# %%
# :doc:`/jobs/multilabel_xray` is the same for X-rays with several findings, from files to a report.
