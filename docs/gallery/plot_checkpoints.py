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
    "binarizers": [PercentileBinarizer(q) for q in (80, 90, 95)],
    "metrics": [iou, pointing_game],
    "prepare": PREPARE,
    "baselines": {"center": center_baseline, "intensity": intensity_baseline},
    "progress": False,
}
both = concat([evaluate(net, with_tag, name=name, **settings) for name, net in nets.items()])
summary = both.summary()
chosen = summary[summary["binarizer"].isin(["", "percentile:95"])]
chosen[["model", "method", "metric", "mean", "low", "high"]].round(2)

# %%
tests = both.compare("iou", over="model", method="cam", binarizer="percentile:95", resamples=2000)
tests[["first", "second", "difference", "low", "high", "p"]].round(4)

# %%
# The sign of a difference can change with the binarizer. `Results.plot` draws the difference with
# each; its intervals are those of a report, adjusted for all tests there.

both.plot("models", method="cam")

# %%
# A low score is right here: the map is faithful, and the network is at fault. The reverse does not
# hold. A high score would not show that a network uses the object, because it may mark it for
# another reason; see the baselines in :doc:`plot_baselines`.
