"""
Comparing two checkpoints
=========================

Two networks can be equally accurate and look at different things. Here one of them was trained on
images with a tag in the corner that gives the class away.

Images and networks are in :download:`trained.py </gallery/trained.py>`. To run this script
elsewhere, put that file beside it.
"""

# %%
# The tag is a bright spot in the lower left corner, at a place that depends on the class.

import matplotlib.pyplot as plt
from trained import (
    PREPARE,
    SHAPES,
    classifier,
    inputs,
    labels,
    samples,
    shortcut_classifier,
    tagged,
)

from cameval import (
    CAMExtractor,
    PercentileBinarizer,
    cam,
    concat,
    evaluate,
    iou,
    pointing_game,
)
from cameval.baselines import center_baseline, intensity_baseline
from cameval.plots import overlay

clean, shortcut = classifier(), shortcut_classifier()
nets = {"clean": clean, "shortcut": shortcut}

# %%
# On tagged images both are right in most cases. Without the tag the second network is not.

test = samples(90, seed=1)
with_tag = [tagged(sample) for sample in test]
for name, net in nets.items():
    right = [
        float((net(inputs(part)).argmax(1) == labels(part)).double().mean())
        for part in (with_tag, test)
    ]
    print(f"{name}: accuracy with tag {right[0]:.2f}, without {right[1]:.2f}")

# %%
# If no image without a tag is at hand, the maps show the difference.

figure, axes = plt.subplots(2, 4, figsize=(7.5, 4.4), layout="constrained")
for row, (name, net) in zip(axes, nets.items(), strict=True):
    maps = CAMExtractor(net, method=cam)(inputs(with_tag[21:25])).maps
    for ax, sample, one in zip(row, with_tag[21:25], maps, strict=True):
        overlay(ax, sample.image, score_map=one, truth=sample.mask)
        ax.set_title(f"{name}: {SHAPES[sample.label]}", fontsize=11)

# %%
# The same method on the same images, so that a difference is one of the networks. `concat` joins
# the results, and `Results.compare` pairs them by image and tests by group.

settings = {
    "methods": [cam],
    "binarizers": [PercentileBinarizer(95)],
    "metrics": [iou, pointing_game],
    "prepare": PREPARE,
    "baselines": {"center": center_baseline, "intensity": intensity_baseline},
    "progress": False,
}
both = concat([evaluate(net, with_tag, name=name, **settings) for name, net in nets.items()])
summary = both.summary()
summary[["model", "method", "metric", "mean", "low", "high"]].round(2)

# %%
tests = both.compare("iou", over="model", method="cam", resamples=2000)
tests[["first", "second", "difference", "low", "high", "p"]].round(4)

# %%

values = both.select(method="cam", metric="iou").to_pandas()
paired = values.pivot(index="sample", columns="model", values="value")
figure, ax = plt.subplots(figsize=(4.4, 4.2), layout="constrained")
ax.scatter(paired["clean"], paired["shortcut"], s=14, alpha=0.7)
ax.plot([0, 1], [0, 1], color="0.7", zorder=0)
ax.set(xlabel="IoU, clean", ylabel="IoU, shortcut")
ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")

# %%
# A low score is right here: the map is faithful, and the network is at fault. The reverse does not
# hold. A high score would not show that a network uses the object, because it may mark it for
# another reason; see the baselines in :doc:`plot_baselines`.
