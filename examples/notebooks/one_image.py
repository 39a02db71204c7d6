# %% [markdown]
# # A first map
#
# Where did a classifier look in an image, and how well does that agree with the object? This
# notebook trains a small network, computes class activation maps of one image, turns them into
# masks, and scores the masks.
#
# It needs `pip install '.[notebooks]'` in a checkout, downloads nothing, and runs within a minute.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from skimage.data import brick, grass, gravel
from skimage.draw import ellipse
from torch import nn
from torch.nn.functional import cross_entropy

import cameval
from cameval import CAMExtractor, CAMModel, GAPHead, PercentileBinarizer
from cameval.baselines import area_bound
from cameval.plots import grid, overlay
from cameval.protocols import CAMMethod

NAMES = ("brick", "grass", "gravel")
textures = torch.from_numpy(np.stack([brick(), grass(), gravel()])).float() / 255

figure, axes = plt.subplots(1, 3, figsize=(6, 2.2), layout="constrained")
for ax, name, texture in zip(axes, NAMES, textures, strict=True):
    ax.imshow(texture[::4, ::4], cmap="gray")
    ax.set_title(name)
    ax.set_axis_off()

# %% [markdown]
# ## A network
#
# The three textures are photographs of scikit-image, 512 x 512 pixels. The network learns to tell
# 64 x 64 patches of their upper halves apart. It has convolutions, global average pooling and a
# linear layer. It never sees where something is: each patch has one texture.

# %%
torch.manual_seed(0)


def patches(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random patches of the upper halves, and their classes."""
    labels = torch.randint(3, (count,))
    places = torch.stack([torch.randint(256 - 64, (count,)), torch.randint(512 - 64, (count,))], 1)
    found = [
        textures[label, y : y + 64, x : x + 64]
        for label, (y, x) in zip(labels.tolist(), places.tolist(), strict=True)
    ]
    return torch.stack(found)[:, None], labels


layers: list[nn.Module] = []
for inputs, outputs in ((1, 16), (16, 32), (32, 32)):
    layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
net = CAMModel(nn.Sequential(*layers), GAPHead(nn.Linear(32, 3)))

optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
losses = []
for _ in range(150):
    images, labels = patches(32)
    loss = cross_entropy(net(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
net.eval()

figure, ax = plt.subplots(figsize=(5, 2), layout="constrained")
ax.plot(losses)
ax.set_yscale("log")
ax.set_xlabel("step")
ax.set_ylabel("loss")
plt.show()

# %% [markdown]
# ## One image with its truth
#
# The image is brick with an ellipse of grass, both of the lower halves. The truth is the mask of
# the ellipse.

# %%
truth = np.zeros((256, 256), dtype=bool)
truth[ellipse(90, 170, 48, 62)] = True
photo = np.where(truth, textures[1, 256:, :256].numpy(), textures[0, 256:, 256:].numpy())

figure, ax = plt.subplots(figsize=(2.6, 2.6), layout="constrained")
overlay(ax, photo, truth=truth)

# %% [markdown]
# ## The map of a class
#
# An extractor has a network and a method. It returns the logits of the network and one map for each
# image. Without classes the maps are those of the predicted class; here the image is given three
# times, with each of the three classes. The network is not changed: no mode, hook or gradient.

# %%
batch = torch.from_numpy(photo).expand(3, 1, -1, -1)
extract = CAMExtractor(net, method=cameval.cam)
result = extract(batch, classes=[0, 1, 2])
maps = dict(zip(NAMES, result.maps, strict=True))

for name, probability in zip(NAMES, result.logits[0].softmax(dim=0), strict=True):
    print(f"{name:6} {probability:.3f}")
result.plot(batch, class_names=NAMES)
plt.show()

# %% [markdown]
# The network says brick, with a probability above .99, since most of the image is brick. Where it
# looked for this answer is the map of brick, and that is not the ellipse. The ellipse is the truth
# for another question: where does the network find *grass* in this image? The scores below answer
# this one, with the map of grass. Those of brick are given for comparison.
#
# ## From the map to a mask, and to a score
#
# A map is signed and has no scale, so a threshold makes the mask: here a percentile of the map. A
# score by itself says little. Three numbers give it a meaning:
#
# * the IoU of a *blind* map, the center of the frame, which sees no image;
# * the *area bound*: the highest IoU that a mask of this area can have;
# * the same threshold on the map of another class.

# %%
target = torch.from_numpy(truth)
center = cameval.center_map((256, 256))
rows = []
for percentile in (50, 75, 90, 95):
    binarize = PercentileBinarizer(percentile)
    mask = binarize(maps["grass"])
    rows.append(
        {
            "percentile": percentile,
            "grass": cameval.iou(mask, target).item(),
            "brick": cameval.iou(binarize(maps["brick"]), target).item(),
            "center of the frame": cameval.iou(binarize(center), target).item(),
            "area bound": area_bound(mask, target).item(),
        }
    )
pd.DataFrame(rows).set_index("percentile").round(3)

# %% [markdown]
# ## Scores without a threshold
#
# The pointing game asks whether the highest value of the map is inside of the truth. The area
# under the ROC curve asks whether pixels inside have higher values than pixels outside; one half
# is chance. Both need no mask.

# %%
pd.DataFrame(
    {
        name: {
            "pointing game": cameval.pointing_game(score_map, target).item(),
            "pixel AUROC": cameval.pixel_auroc(score_map, target).item(),
        }
        for name, score_map in {**maps, "center of the frame": center}.items()
    }
).T.round(3)

# %% [markdown]
# ## Methods side by side
#
# All methods take the same network. The dashed outline is the truth, the other one the mask of the
# pixels above the 80th percentile. `eigen_cam` asks for no class: its map is the main direction of
# the features, which here is the brick.

# %%
methods: dict[str, CAMMethod] = {
    "cam": cameval.cam,
    "layer_cam": cameval.layer_cam,
    "ScoreCAM": cameval.ScoreCAM(),
    "eigen_cam": cameval.eigen_cam,
}
binarize = PercentileBinarizer(80)
found = {name: CAMExtractor(net, method=m)(batch[:1], 1).maps for name, m in methods.items()}
masks = {name: binarize(score_maps) for name, score_maps in found.items()}
grid([photo], found, masks_by_method=masks, truth=[truth])
plt.show()
pd.DataFrame({name: [cameval.iou(masks[name][0], target).item()] for name in masks}, ["IoU"]).round(
    3
)

# %% [markdown]
# The next notebook, [data_set.ipynb](data_set.ipynb), scores a whole data set with intervals and
# tests.
