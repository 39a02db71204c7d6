"""Compare methods on a folder of photographs: maps side by side, and their scores.

    python examples/compare_methods.py photos masks --weights weights.pth --show cat_1 dog_7

An image and its mask have the same file name but for the ending. Writes compared_maps.jpg, of the
images that are named, and compared_scores.png, of all.
"""

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

from cameval import (
    CAMExtractor,
    PercentileBinarizer,
    Preparation,
    eigen_cam,
    evaluate,
    grad_cam,
    grad_cam_pp,
    layer_cam,
)
from cameval.data import FolderDataset
from cameval.networks import load_network
from cameval.plots import grid

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("photos", type=Path)
parser.add_argument("masks", type=Path)
parser.add_argument("--model", default="mobilenet_v2", help="a network of torchvision")
parser.add_argument("--weights", default="DEFAULT", help="a file of weights")
parser.add_argument("--show", nargs="+", default=[], help="names of the images that are drawn")
given = parser.parse_args()

folder = FolderDataset(given.photos, given.masks)
samples = [folder[k] for k in range(len(folder))]
net, binarize = load_network(given.model, given.weights), PercentileBinarizer(75)
methods = {one.__name__: one for one in (grad_cam, grad_cam_pp, layer_cam, eigen_cam)}

shown = [sample for sample in samples if sample.name in given.show] or [samples[0], samples[1]]
maps: dict[str, list[torch.Tensor]] = {name: [] for name in methods}
for sample in shown:
    image, _ = Preparation()(sample)
    for name, method in methods.items():
        maps[name].append(CAMExtractor(net, method)(image[None], size=sample.mask.shape).maps[0])
figure = grid(
    [sample.image for sample in shown],
    maps,
    masks_by_method={name: [binarize(one) for one in several] for name, several in maps.items()},
    truth=[torch.from_numpy(sample.mask) for sample in shown],
    figure=Figure(figsize=(9.5, 1.75 * len(shown)), layout="constrained"),
)
figure.savefig("compared_maps.jpg", dpi=110, pil_kwargs={"quality": 82})

results = evaluate(net, samples, methods=methods, binarizers={"percentile:75": binarize})
figure = Figure(figsize=(7.5, 3.2), layout="constrained")
results.plot(axes=figure.subplots())
figure.savefig("compared_scores.png", dpi=140)
print(results.select(metric="iou").pivot("iou").round(3).to_string())
