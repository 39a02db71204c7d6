"""
Alignment: half-pixel and receptive fields
==========================================

A map has one value for each cell of the feature grid. Where a cell lies in the image depends on the
convolutions of the network. The usual interpolation ignores this.
"""

# %%
# Three convolutions of stride 2, padded by one pixel, center the first cell on the first pixel. The
# usual interpolation (*half-pixel*) assumes that the cells fill the image evenly.

import matplotlib.pyplot as plt
import torch
from trained import PREPARE, SIZE, classifier, inputs, labels, samples

from cameval import CAMExtractor, PercentileBinarizer, adapt, cam, iou
from cameval.plots import overlay
from cameval.statistics import sign_flip_test

net = classifier()
model = adapt(net)
cells = SIZE // 8
fields = model.cell_centers.centers(cells)
even = (torch.arange(cells) + 0.5) * SIZE / cells
print(model.cell_centers)
print("shift:", float((even - fields).mean()), "pixels")

# %%
# The same coarse map, placed in both ways. Dots are the assumed centers of the cells.

sample = samples(30, seed=1)[27]
image, truth = PREPARE(sample)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
overlay(axes[0], sample.image, truth=truth)
axes[0].set_title("image and truth\n", fontsize=13)
for ax, alignment, centers in zip(
    axes[1:], ("half_pixel", "receptive_field"), (even, fields), strict=True
):
    extract = CAMExtractor(net, method=cam, alignment=alignment)
    one = extract(image[None], classes=sample.label).maps[0]
    mask = PercentileBinarizer(95)(one)
    overlay(ax, sample.image, score_map=one, mask=mask, truth=truth)
    y, x = torch.meshgrid(centers - 0.5, centers - 0.5, indexing="ij")
    ax.scatter(x, y, s=2, color="white")
    ax.set_title(f"{alignment}\nIoU {iou(mask, truth):.2f}", fontsize=13)

# %%
# On 90 images: how far the centroid of the mask lies to the right of the centroid of the truth, and
# below it.

test = samples(90, seed=1)
truths = torch.stack([PREPARE(sample)[1] for sample in test])


def centroids(masks):
    """Return the mean row and column of each mask."""
    counts = masks.sum((1, 2))
    rows = (masks.sum(2) * torch.arange(SIZE)).sum(1) / counts
    columns = (masks.sum(1) * torch.arange(SIZE)).sum(1) / counts
    return torch.stack([rows, columns], 1)


scores, shifts = {}, {}
for alignment in ("half_pixel", "receptive_field"):
    extract = CAMExtractor(net, method=cam, alignment=alignment)
    masks = PercentileBinarizer(95)(extract(inputs(test), classes=labels(test)).maps)
    scores[alignment] = iou(masks, truths)
    shifts[alignment] = centroids(masks) - centroids(truths)
    down, right = shifts[alignment].median(0).values.tolist()
    print(f"{alignment:<16} median {right:+.1f} right, {down:+.1f} down", end=", ")
    print(f"mean IoU {scores[alignment].mean():.3f}")

figure, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
for n, (alignment, shift) in enumerate(shifts.items()):
    ax.scatter(shift[:, 1], shift[:, 0], s=14, alpha=0.6, color=f"C{n}", label=alignment)
ax.axhline(0, color="0.8", zorder=0)
ax.axvline(0, color="0.8", zorder=0)
ax.set(xlabel="to the right (pixels)", ylabel="down (pixels)", xlim=(-15, 15), ylim=(15, -15))
ax.set_title("from the truth to the mask", fontsize=12)
ax.legend(frameon=False)

# %%
# The difference in IoU, tested by group:

groups = [sample.group for sample in test]
gain = sign_flip_test(scores["receptive_field"], scores["half_pixel"], groups)
print(f"{gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}], p = {gain.p:.4f}")

# %%
# Networks with a deeper grid have a larger shift: half a cell of a ResNet at 224 pixels is 15.5
# pixels. :doc:`/alignment` has the cell centers of each family, and errors near the border, which
# neither alignment removes.
