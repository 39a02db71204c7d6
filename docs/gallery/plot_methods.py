"""
All methods on one image
========================

One pass through the network serves all methods that read its features and the gradients of its
head. Others, such as Score-CAM, run the network again on changed images.
"""

# %%
# The image shows a cross, the class that the network has learned, and two squares, which belong to
# no class. ``trained.py`` has the images and the network: four convolutions, global average pooling
# and a linear layer.

import matplotlib.pyplot as plt
import torch
from trained import PREPARE, SHAPES, classifier, samples, thin_outline

from cameval import (
    CAMExtractor,
    CAMSweep,
    PercentileBinarizer,
    ScoreCAM,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_pp,
    hires_cam,
    layer_cam,
    pixel_auroc,
    xgrad_cam,
)
from cameval import methods as more
from cameval.plots import overlay

net = classifier()
sample = samples(30, seed=1)[8]
image, truth = PREPARE(sample)
probability = net(image[None]).softmax(1)[0, sample.label]
print(f"{SHAPES[sample.label]}: {probability:.2f}")

# %%
# Methods are plain callables, so a method of your own can be added to a dictionary. These need one
# pass through the network, which serves all of them:

methods = {
    "cam": cam,
    "grad_cam": grad_cam,
    "hires_cam": hires_cam,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
    "grad_cam_pp": grad_cam_pp,
    "grad_cam_elementwise": more.grad_cam_elementwise,
    "shapley_cam": more.shapley_cam,
    "local_linear_cam": more.local_linear_cam,
    "AblationCAM": more.AblationCAM(),
    "eigen_grad_cam": more.eigen_grad_cam,
    "ReciproCAM": more.ReciproCAM(),
    "eigen_cam": eigen_cam,
    "KPCACAM": more.KPCACAM(),
    "lafam": more.lafam,
    "RandomCAM": more.RandomCAM(),
    "OtherClass(cam)": more.OtherClass(cam),
}
results = CAMSweep(net, methods)(image[None], classes=sample.label)
maps = {name: results["features", name].maps[0] for name in methods}

# %%
# Colors: a map is scaled to [0, 1] for display only. It is transparent at its minimum, orange above
# it, and yellow at its maximum. The truth is outlined in blue. The number is the AUROC of the
# pixels: the probability that a pixel of the cross has a higher value than another pixel.


def draw(panels, rows):
    """Draw maps with their names and scores, four in a row."""
    axes = plt.figure(figsize=(7.5, 2.3 * rows), layout="constrained").subplots(rows, 4)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_axis_off()
    for ax, (name, one) in zip(axes.ravel(), panels.items(), strict=False):
        overlay(ax, sample.image, score_map=one)
        thin_outline(ax, truth, "C0")
        score = "" if one is None else f"{pixel_auroc(one, truth):.2f}"
        ax.set_title(f"{name}\n{score}", fontsize=11)


draw({"image and truth": None} | dict(list(maps.items())[:11]), rows=3)

# %%
# ``ReciproCAM`` passes each cell through the head. The maps of ``eigen_cam``, ``KPCACAM`` and
# ``lafam`` do not depend on the class. The last two of these are for comparison: random channel
# weights, and the map of another class.

draw(dict(list(maps.items())[11:]), rows=2)

# %%
# These run the network again: on noisy images, on images that are masked by channels, or to read
# several layers.

repeated = {
    "SmoothGradCAMpp": more.SmoothGradCAMpp(),
    "ScoreCAM": ScoreCAM(),
    "SSCAM": more.SSCAM(),
    "ISCAM": more.ISCAM(),
    "GroupCAM": more.GroupCAM(),
    "OptiCAM": more.OptiCAM(),
    "RefineCAM": more.RefineCAM(grad_cam, ("features.8", "features.11")),
    "ZoomCAM": more.ZoomCAM(("features.8", "features.11")),
    "WinsorCAM": more.WinsorCAM(0.8, layers=("features.5", "features.8", "features.11")),
}
more_maps = {
    name: CAMExtractor(net, method=method)(image[None], classes=sample.label).maps[0]
    for name, method in repeated.items()
}
draw(more_maps, rows=3)

# %%
# The maps of four methods are alike, and this is no error: where pooling and one linear layer
# follow the features, the gradient is the weight of the layer divided by the number of cells.
# ``cam``, ``grad_cam``, ``hires_cam`` and ``xgrad_cam`` are then the same map up to a factor and a
# ReLU.

exact = results["features", "cam"].coarse.relu()
for name in ("grad_cam", "hires_cam", "xgrad_cam", "layer_cam"):
    other = results["features", name].coarse.relu()
    same = torch.allclose(exact / exact.max(), other / other.max(), atol=1e-3)
    print(f"{name}: {'equal' if same else 'another map'}")

# %%
# ``cam`` adds up to the logit, which the library checks on every call:

coarse = results["features", "cam"].coarse[0]
logit = results["features", "cam"].logits[0, sample.label]
print(f"{coarse.mean() + net.fc.bias[sample.label]:.4f} = {logit:.4f}")

# %%
# One method on six images, with the outlines of masks of 5 % of the image (orange) and of the truth
# (blue and dashed):

shown = [samples(30, seed=1)[n] for n in (0, 3, 5, 13, 17, 24)]
figure, axes = plt.subplots(1, 6, figsize=(10, 1.75), layout="constrained")
for ax, one in zip(axes, shown, strict=True):
    image, truth = PREPARE(one)
    score_map = CAMExtractor(net, method=cam)(image[None], classes=one.label).maps[0]
    mask = PercentileBinarizer(95)(score_map)
    overlay(ax, one.image, score_map=score_map, mask=mask, truth=truth)

# sphinx_gallery_thumbnail_number = 1

# %%
# A score on one image says nothing about a method. :doc:`/methods` says what each method computes
# and what it costs, and :doc:`plot_baselines` how to score many images.
