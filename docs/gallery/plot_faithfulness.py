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
from trained import PREPARE, SHAPES, classifier, samples

from cameval import CAMExtractor, cam, evaluate, layer_cam, pixel_auroc
from cameval.baselines import RandomBaseline, center_baseline, intensity_baseline
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

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
overlay(axes[0], sample.image, score_map=score_map, truth=sample.mask)
axes[0].set_title(f"map of {SHAPES[sample.label]}", fontsize=10)
for ax, step in zip(axes[1:3], (2, 6), strict=True):
    overlay(ax, (deleted[step, 0] * 0.25 + 0.5).clamp(0, 1))
    title = f"{100 * shares[step]:.0f} % deleted: p = {probability['deletion'][step]:.2f}"
    ax.set_title(title, fontsize=10)
for name, values in probability.items():
    axes[3].plot(shares, values, label=f"{name}, area {torch.trapezoid(values, shares):.2f}")
axes[3].set(xlabel="share of pixels", ylim=(0, 1.05))
axes[3].set_title("probability", fontsize=10)
axes[3].legend(frameon=False, fontsize=8)

# %%
# The same for several maps and 20 images. They are metrics of the network: `evaluate` runs it again
# for each map. Lower is better for deletion, higher for insertion.

results = evaluate(
    net,
    samples(30, seed=1)[:20],
    methods={"cam": cam, "layer_cam": layer_cam, "other": OtherClass(cam)},
    binarizers={},
    metrics=[pixel_auroc, Deletion(steps=20), Insertion(steps=20)],
    baselines=[center_baseline, intensity_baseline, RandomBaseline()],
    prepare=PREPARE,
    progress=False,
)
table = results.summary().pivot(index="method", columns="metric", values="mean")
table.round(2)

# %%

figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
for method, row in table.iterrows():
    at = (row["pixel_auroc"], row["insertion:20"])
    ax.plot(*at, "o", color="C1")
    offset = (6, -12) if method == "cam" else (6, 4)
    ax.annotate(method, at, xytext=offset, textcoords="offset points")
ax.margins(x=0.15)
ax.set(xlabel="pixel AUROC (agreement with the truth)", ylabel="insertion (faithfulness)")

# %%
# How to read it:
#
# - The two axes are different questions. The image itself, taken as a map, has about the pixel
#   AUROC of ``layer_cam``, and a lower insertion. It marks the squares, too.
# - The map of another class has an insertion below that of a random map.
# - With deleted pixels the network sees images that it was not trained on. A random map and the
#   center are therefore part of the comparison. :class:`~cameval.metrics.ROAD` fills removed pixels
#   by interpolation of their neighbors instead.
