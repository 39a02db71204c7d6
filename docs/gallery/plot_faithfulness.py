"""
Faithfulness: deletion and insertion
====================================

A map can agree with the truth and still not show what the network used. Deletion removes the pixels
with the highest values first, and watches the probability; insertion adds them to an empty image.
"""

# %%
# Deleted pixels get the mean color, 0 after normalization.

import matplotlib.pyplot as plt
import torch
from trained import PREPARE, SHAPES, classifier, samples, shortcut_classifier, tagged

from cameval import CAMExtractor, cam, concat, evaluate, layer_cam, pixel_auroc
from cameval.baselines import RandomBaseline, center_baseline, intensity_baseline, truth_baseline
from cameval.methods import OtherClass
from cameval.metrics import Deletion, Insertion
from cameval.plots import overlay

net, sample = classifier(), samples(30, seed=1)[27]
image = PREPARE(sample)[0]
score_map = CAMExtractor(net, method=cam)(image[None], classes=sample.label).maps[0]
order = score_map.flatten().argsort(descending=True)
shares = torch.linspace(0, 1, 41)


def part_deleted(share: float) -> torch.Tensor:
    """Return the image without the highest values of the map."""
    changed = image.flatten(1).clone()
    changed[:, order[: round(share * order.numel())]] = 0
    return changed.view_as(image)


deleted = torch.stack([part_deleted(float(share)) for share in shares])
inserted = image - deleted
probability = {
    "deletion": net(deleted).softmax(1)[:, sample.label].detach(),
    "insertion": net(inserted).softmax(1)[:, sample.label].detach(),
}

figure, axes = plt.subplots(2, 2, figsize=(6.5, 6.4), layout="constrained")
axes = axes.ravel()
overlay(axes[0], sample.image, score_map=score_map, truth=sample.mask)
axes[0].set_title(f"map of {SHAPES[sample.label]}", fontsize=12)
for ax, step in zip(axes[1:3], (2, 6), strict=True):
    overlay(ax, (deleted[step, 0] * 0.25 + 0.5).clamp(0, 1))
    title = f"{100 * shares[step]:.0f} % deleted: p = {probability['deletion'][step]:.2f}"
    ax.set_title(title, fontsize=12)
for name, values in probability.items():
    axes[3].plot(shares, values, label=f"{name}, area {torch.trapezoid(values, shares):.2f}")
axes[3].set(xlabel="share of pixels", ylim=(0, 1.05))
axes[3].set_title("probability", fontsize=12)
axes[3].legend(frameon=False)

# %%
# The metrics for several maps and 20 images. `Insertion` begins with the blurred image, not with an
# empty one as the picture above, so that its areas are others. They are metrics of the network:
# `evaluate` runs it again for each map. Lower is better for deletion, higher for insertion.
#
# There are two networks. The second one is that of :doc:`plot_checkpoints`: it was trained on
# images with a tag in the corner that gives the class away, and is given such images here. The
# truth of both is the mask of the shape. One of the maps is this truth itself, averaged over the
# cells of the network.

images = samples(30, seed=1)[:20]
settings = {
    "methods": {"cam": cam, "layer_cam": layer_cam, "other class": OtherClass(cam)},
    "binarizers": {},
    "metrics": [pixel_auroc, Deletion(steps=20), Insertion(steps=20)],
    "baselines": [center_baseline, intensity_baseline, RandomBaseline(), truth_baseline],
    "prepare": PREPARE,
    "progress": False,
}
both = concat(
    [
        evaluate(net, images, name="shapes", **settings),
        evaluate(shortcut_classifier(), [tagged(one) for one in images], name="tag", **settings),
    ]
)
table = both.summary().pivot(index=["model", "method"], columns="metric", values="mean")
table.round(2)

# %%

shapes = dict(zip(table.loc["shapes"].index, "os^vDPX", strict=False))
figure, axes = plt.subplots(1, 2, figsize=(7, 4.4), sharex=True, sharey=True, layout="constrained")
for ax, model in zip(axes, ("shapes", "tag"), strict=True):
    for n, (method, row) in enumerate(table.loc[model].iterrows()):
        at = (row["pixel_auroc"], row["insertion:20"])
        ax.plot(*at, shapes[method], color=f"C{n}", label=method)
    ax.set_title(f"trained on: {model}", fontsize=12)
    ax.set(xlabel="pixel AUROC (agreement)", xlim=(0, 1.05))
axes[0].set_ylabel("insertion (faithfulness)")
handles, names = axes[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)

# %%
# How to read it:
#
# - The two axes are different questions. The first network uses the shape, so the maps that find it
#   have a high insertion, too, and the points rise together.
# - The second network uses the tag. The truth has the highest pixel AUROC of all maps, and an
#   insertion near that of a random map: it agrees, and is not faithful. ``cam`` has a pixel AUROC
#   near chance and, with ``layer_cam``, the highest insertion: it is faithful, and does not agree.
# - The image itself, taken as a map, has a high insertion for both, since shape and tag are bright.
#   It is computed without the network: insertion says which pixels matter, not how a map was made.
# - The map of another class has an insertion below that of a random map.
# - With deleted pixels the network sees images that it was not trained on. A random map and the
#   center are therefore part of the comparison. :class:`~cameval.metrics.ROAD` fills removed pixels
#   by interpolation of their neighbors instead.
