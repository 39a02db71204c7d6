# %% [markdown]
# # Evaluate a data set
#
# One image shows what a map is; a data set shows how good the maps are. This notebook makes a
# data set with exact masks, trains a network on its labels, and scores the maps of the network: a
# table with intervals, blind baselines, a threshold that is chosen on validation images, tests,
# and a report.
#
# It needs `pip install '.[notebooks]'` in a checkout, downloads nothing, and runs in a minute.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.data import brick, grass, gravel
from skimage.draw import ellipse
from torch import nn
from torch.nn.functional import cross_entropy

import cameval
from cameval import Sample
from cameval.plots import grid, overlay
from cameval.report import write_report

# %% [markdown]
# ## A data set
#
# An image is brick with an ellipse of grass or gravel, at a random place and of random size. The
# class is what the ellipse is of; its mask is the truth. Training and test images are cut from
# different halves of the photographs of the textures.
#
# A `Sample` has a name, an image with values in [0, 1], a mask, and a label. For files there are
# readers: folders, tables, COCO, VOC, DICOM, NIfTI and others.

# %%
NAMES = ("grass", "gravel")
SIZE = 96
photographs = np.stack([brick(), grass(), gravel()]).astype(np.float32) / 255
background, *objects = photographs[:, ::2, ::2]


def draw(rng: np.random.Generator, name: str, rows: slice) -> Sample:
    """Return a new image, from these rows of the photographs."""

    def patch(texture: np.ndarray) -> np.ndarray:
        """Return a random part of a texture."""
        part = texture[rows]
        y, x = (rng.integers(length - SIZE + 1) for length in part.shape)
        return part[y : y + SIZE, x : x + SIZE]

    label = int(rng.integers(2))
    height, width = rng.uniform(10, 24, 2)
    y, x = rng.uniform(height, SIZE - height), rng.uniform(width, SIZE - width)
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[ellipse(y, x, height, width, shape=mask.shape)] = True
    return Sample(name, np.where(mask, patch(objects[label]), patch(background)), mask, label=label)


rng = np.random.default_rng(0)
training = [draw(rng, f"train {i}", slice(0, 128)) for i in range(300)]
validation = [draw(rng, f"validation {i}", slice(128, 256)) for i in range(60)]
test = [draw(rng, f"test {i}", slice(128, 256)) for i in range(120)]

figure, axes = plt.subplots(1, 5, figsize=(7, 1.7), layout="constrained")
for ax, sample in zip(axes, test, strict=False):
    overlay(ax, sample.image, truth=sample.mask)
    ax.set_title(NAMES[sample.label or 0], fontsize=9)

# %% [markdown]
# ## A network
#
# It is trained on labels only. Any `nn.Module` will do: cameval finds the last feature maps and
# the head by itself, or says which layers there are to choose from.

# %%
torch.manual_seed(0)
images = torch.stack([torch.from_numpy(sample.image) for sample in training])[:, None]
images = (images - 0.5) / 0.25  # as `Preparation` below normalizes them
labels = torch.tensor([sample.label for sample in training])

layers: list[nn.Module] = []
for inputs, outputs in ((1, 16), (16, 32), (32, 32)):
    layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2))

optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for batch in torch.randperm(15 * len(images)).remainder(len(images)).split(30):  # 15 epochs
    loss = cross_entropy(net(images[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
net = net.eval()

# %% [markdown]
# ## All scores in one call
#
# Samples x methods x thresholds x metrics, with baselines. The network runs once for each batch
# of images. `Preparation` says what the network expects: here one channel, the size as it is, and
# the normalization of the training. The text of the results ends in the accuracy: where a network
# classifies no better than chance, look for the reason before you read scores of its maps.


# %%
def evaluate(samples: list[Sample]) -> cameval.Results:
    """Score all maps on these samples."""
    return cameval.evaluate(
        net,
        samples,
        methods=[cameval.cam, cameval.layer_cam, cameval.eigen_cam],
        binarizers=[cameval.PercentileBinarizer(p) for p in (50, 75, 90, 95)],
        prepare=cameval.Preparation(size=None, mean=(0.5,), std=(0.25,)),
        class_names=NAMES,
        progress=False,
    )


validated, tested = evaluate(validation), evaluate(test)
tested

# %% [markdown]
# ## Means over the test images
#
# Baselines are in the same table: *blind* ones do not see the image, *image* ones see it but not
# the network, and the *truth* baseline is the true mask on the grid of the network, which shows
# how much the coarse grid alone costs.

# %%
tested.pivot("iou").round(3)

# %% [markdown]
# ## A threshold that is chosen on other images
#
# The best threshold of a map on the test images is an optimistic choice. `choose_binarizers`
# makes the choice on the validation images, for each map by itself, baselines too; `apply` adds
# its scores on the test images under the name `validated`. The intervals are of 95 %.

# %%
choice = cameval.choose_binarizers(validated, metric="iou")
results = choice.apply(tested)
means = results.select(metric="iou", binarizer="validated").summary()
means["chosen"] = [
    choice.binarizer(*row)
    for row in means[["target_class", "kind", "method"]].itertuples(index=False)
]
means[["kind", "method", "chosen", "n", "mean", "low", "high"]].round(3)

# %% [markdown]
# The same as a picture, with the paired difference of each method to the best blind baseline.

# %%
figure, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
chosen = results.select(metric=["iou", "area_bound"], binarizer="validated")
chosen.plot(axes=ax, metric="iou")
plt.show()

# %% [markdown]
# ## Classes apart
#
# A mean over all images hides what differs between classes. The network has only to find one of
# the two textures: an image without grass is gravel.

# %%
figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
chosen.plot("classes", axes=ax, metric="iou", method="cam")
plt.show()

# %% [markdown]
# ## Differences, image by image
#
# Two intervals that overlap do not say that there is no difference. `compare` tests differences
# paired by image, and corrects for the number of tests (Holm).

# %%
differences = results.compare("iou", binarizer="validated", reference="cam")
differences[["first", "second", "difference", "low_holm", "high_holm", "p_holm"]].round(4)

# %% [markdown]
# `eigen_cam` scores higher than `cam`, and the difference is more than chance. It does not use the
# class: its map is the main direction of the features. So the features alone find the ellipse, and
# the score of `cam` is no evidence for what the weights of the class add. A method that ignores the
# class belongs in each such table.

# %% [markdown]
# ## Best, median and worst
#
# Look at images before you believe a mean. At the left is the IoU of the map of `cam`. The
# dashed outline is the truth, the other one the mask at the chosen threshold.

# %%
scores = results.select(metric="iou", binarizer="validated", method="cam").to_pandas()
ranked = scores.set_index("sample")["value"].sort_values()
shown = [ranked.index[-1], ranked.index[len(ranked) // 2], ranked.index[0]]
by_name = {sample.name: sample for sample in test}
pictures = [by_name[name].image for name in shown]

maps, masks = {}, {}
for method in (cameval.cam, cameval.layer_cam):
    name = method.__name__
    percentile = choice.binarizer("predicted", "method", name).rpartition(":")[2]
    batch = (torch.from_numpy(np.stack(pictures)) - 0.5) / 0.25
    maps[name] = cameval.CAMExtractor(net, method=method)(batch[:, None]).maps
    masks[name] = cameval.PercentileBinarizer(float(percentile))(maps[name])

titles = [f"{NAMES[by_name[name].label or 0]}\nIoU {ranked[name]:.2f}" for name in shown]
truth = [by_name[name].mask for name in shown]
grid(pictures, maps, masks_by_method=masks, truth=truth, titles=titles)
plt.show()

# %% [markdown]
# ## A report
#
# One page with tables, figures and findings in words. It needs no other files and can be sent.

# %%
page = write_report(results, "runs/data_set")
sorted(
    str(path)
    for path in Path("runs/data_set").rglob("*")
    if path.suffix in (".html", ".json", ".csv")
)

# %% [markdown]
# The next notebook, [medical.ipynb](medical.ipynb), has patients.
