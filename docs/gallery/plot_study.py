"""
The brain-tumor study in short
==============================

VGG-16 classifies MRI slices of brain tumors. In the split by slices, as in the paper, its class
activation maps have about the IoU of a mean mask of training slices. In folds by patient they have
less.
"""

# %%
# The numbers are read from the file that :doc:`/study` is written with; nothing is trained here.

import re
from pathlib import Path

import matplotlib.pyplot as plt

file = Path("study_numbers.txt")  # beside this script, or one folder above
page = (file if file.exists() else ".." / file).read_text(encoding="utf-8")
numbers = dict(re.findall(r"^\.\. \|(.+?)\| replace:: (.+)$", page, re.MULTILINE))


def value(name: str) -> float:
    """Return a number of the study, without its interval."""
    return float(numbers[name].split()[0])


# %%
# By slice, as in the paper: slices of one patient are in training and test images.

print("accuracy:", numbers["slice accuracy"])
rows = {
    "map of the network": "IoU",
    "mean mask of the class": "class mean",
    "disc in the middle": "center",
    "brightness": "intensity",
}
classes = ("meningioma", "glioma", "pituitary", "all")

figure, ax = plt.subplots(figsize=(6.5, 3.9), layout="constrained")
for k, (label, row) in enumerate(rows.items()):
    at = [n + 0.2 * (k - 1.5) for n in range(4)]
    color = ("C1", "0.45", "0.7", "C2")[k]
    ax.bar(at, [value(f"slice {name} {row}") for name in classes], 0.18, color=color, label=label)
ax.set(xticks=range(4), xticklabels=classes, ylabel="mean IoU, 95th percentile")
ax.legend(frameon=False)
print("all slices, map:", numbers["slice all IoU"], "mean mask:", numbers["slice all class mean"])

# %%
# The mean mask uses the slice only for the predicted class. The maps score more for meningioma,
# about the same for glioma, and less for pituitary tumor.
#
# In folds by patient no patient is in training and test slices. These are the slices whose patients
# are known, fewer than above, with 95 % intervals by patient. The threshold is chosen on other
# patients. The maps now have a lower IoU than the mean mask:


def interval(name: str) -> tuple[float, float, float]:
    """Return a number of the study and the ends of its interval."""
    found = re.fullmatch(r"([.\d]+) \[([.\d]+), ([.\d]+)\]", numbers[name])
    mean, low, high = map(float, found.groups())
    return mean, mean - low, high - mean


methods = {
    "class activation map": "CAM",
    "Grad-CAM++": "Grad-CAM++",
    "LayerCAM": "LayerCAM",
    "Eigen-CAM": "Eigen-CAM",
    "disc in the middle": "center",
    "mean mask of the class": "class mean",
}
figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for n, name in enumerate(methods.values()):
    mean, below, above = interval(f"patient {name} IoU")
    color = ("0.7", "0.45")[n - 4] if n > 3 else "C1"
    ax.barh(n, mean, xerr=[[below], [above]], color=color)
ax.set(yticks=range(len(methods)), yticklabels=methods, xlabel="mean IoU")
ax.invert_yaxis()
print("accuracy:", numbers["patient accuracy"])
print("map minus mean mask:", numbers["patient CAM minus class mean iou"])

# %%
# :doc:`/study` has the other protocols, thresholds, methods and grids, :doc:`/study_tables` every
# table and the command of each run.
