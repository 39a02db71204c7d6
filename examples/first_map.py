"""A first map: where a network looks in a photograph, and how well that agrees with a mask.

    python examples/first_map.py [WEIGHTS]

Without a file of weights, torchvision downloads those of MobileNetV2. Writes first_map.png.
"""

import sys

import numpy as np
import torch
from matplotlib.figure import Figure
from skimage.data import coffee
from skimage.draw import ellipse
from torchvision.models import get_model_weights

from cameval import CAMExtractor, PercentileBinarizer, Preparation, Sample, cam, center_map, iou
from cameval.networks import load_network
from cameval.plots import overlay

photo = coffee().astype(np.float32) / 255  # a cup of espresso, (400, 600, 3)
truth = np.zeros(photo.shape[:2], dtype=bool)
truth[ellipse(150, 290, 135, 118)] = True  # the cup

net = load_network("mobilenet_v2", sys.argv[1] if len(sys.argv) > 1 else "DEFAULT")
image, _ = Preparation()(Sample("espresso", photo, truth))  # resized and normalized for the network
result = CAMExtractor(net, method=cam)(image[None], size=truth.shape)

score_map, target = result.maps[0], torch.from_numpy(truth)
mask = PercentileBinarizer(80)(score_map)
blind = PercentileBinarizer(80)(center_map((400, 600)))
categories = get_model_weights("mobilenet_v2")["DEFAULT"].meta["categories"]
print(f"class {categories[result.classes.item()]}, IoU {iou(mask, target).item():.2f}")
print(f"center of the image: IoU {iou(blind, target).item():.2f}")

figure = Figure(figsize=(6, 4), layout="constrained")
overlay(figure.subplots(), photo, score_map=score_map, mask=mask, truth=truth)
figure.savefig("first_map.png")
