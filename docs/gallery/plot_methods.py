"""
All methods on one image
========================

One pass through the network serves all methods. The maps are raw; each is scaled to [0, 1] for
display only.
"""

# %%
# The image shows a cross, the class that the network has learned, and two squares, which belong to
# no class. ``trained.py`` has the images and the network: four convolutions, global average pooling
# and a linear layer.

import matplotlib.pyplot as plt
import torch
from trained import PREPARE, SHAPES, classifier, samples

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
# Methods are plain callables, so a method of your own can be added to the dictionary. The last two
# are for comparison: random channel weights, and the map of another class.

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
    "SmoothGradCAMpp": more.SmoothGradCAMpp(),
    "AblationCAM": more.AblationCAM(),
    "ReciproCAM": more.ReciproCAM(),
    "ScoreCAM": ScoreCAM(),
    "SSCAM": more.SSCAM(),
    "ISCAM": more.ISCAM(),
    "GroupCAM": more.GroupCAM(),
    "OptiCAM": more.OptiCAM(),
    "eigen_cam": eigen_cam,
    "eigen_grad_cam": more.eigen_grad_cam,
    "KPCACAM": more.KPCACAM(),
    "lafam": more.lafam,
    "RandomCAM": more.RandomCAM(),
    "OtherClass(cam)": more.OtherClass(cam),
}
sweep = CAMSweep(net, methods)
results = sweep(image[None], classes=sample.label)
maps = {name: results["features", name].maps[0] for name in methods}

# %%
# Methods over several layers take an extractor each.

several = {
    "RefineCAM": more.RefineCAM(grad_cam, ("features.8", "features.11")),
    "ZoomCAM": more.ZoomCAM(("features.8", "features.11")),
    "WinsorCAM": more.WinsorCAM(0.8, layers=("features.5", "features.8", "features.11")),
}
for name, method in several.items():
    maps[name] = CAMExtractor(net, method=method)(image[None], classes=sample.label).maps[0]

# %%
# The title of each picture is the AUROC of the pixels: the probability that a pixel of the cross
# has a higher value than another pixel.

figure, axes = plt.subplots(5, 6, figsize=(10, 9.4), layout="constrained")
axes = axes.ravel()
overlay(axes[0], sample.image, truth=truth)
axes[0].set_title("image and truth", fontsize=9)
for ax, (name, one) in zip(axes[1:], maps.items(), strict=False):
    overlay(ax, sample.image, score_map=one, truth=truth)
    ax.set_title(f"{name}\n{pixel_auroc(one, truth):.2f}", fontsize=9)
for ax in axes[1 + len(maps) :]:
    ax.set_axis_off()

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
# One method on six images, with masks of 5 % of the image (orange) and the truth (blue and dashed):

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
