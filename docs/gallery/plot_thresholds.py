"""
Choosing thresholds on validation images
========================================

A threshold that is chosen on the tested images is too good for them. `choose_binarizers` chooses on
other images, for each map by itself, and for baselines too.
"""

# %%
# Nine percentiles are candidates. Validation and test images share no group.

import matplotlib.pyplot as plt
from trained import PREPARE, SHAPES, classifier, samples

from cameval import PercentileBinarizer, cam, choose_binarizers, evaluate, iou, layer_cam
from cameval.baselines import center_baseline, intensity_baseline

percentiles = (50, 60, 70, 80, 85, 90, 93, 95, 97, 99)
settings = {
    "methods": [cam, layer_cam],
    "binarizers": [PercentileBinarizer(q) for q in percentiles],
    "metrics": [iou],
    "baselines": {"center": center_baseline, "intensity": intensity_baseline},
    "prepare": PREPARE,
    "class_names": SHAPES,
    "progress": False,
}
net = classifier()
validation = evaluate(net, samples(60, seed=2), **settings)
test = evaluate(net, samples(90, seed=1), **settings)

choice = choose_binarizers(validation, metric="iou")
choice.to_pandas()[["kind", "method", "binarizer"]]

# %%
# Lines: the mean IoU on the validation images. Dots: the choice.

means = validation.pivot("iou")
colors = {"cam": "C1", "layer_cam": "C3", "center": "0.6", "intensity": "C2"}
figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for method in means.index:
    values = [means.loc[method, f"percentile:{q}"] for q in percentiles]
    kind = "baseline" if method in settings["baselines"] else "method"
    best = choice.binarizer("predicted", kind, method)
    ax.plot(percentiles, values, color=colors[method], label=method)
    q = int(best.removeprefix("percentile:"))
    ax.plot(q, means.loc[method, best], "o", color=colors[method])
ax.set(xlabel="percentile", ylabel="mean IoU, validation images", ylim=(0, None))
ax.legend(frameon=False)

# %%
# `Choice.apply` adds a binarizer, ``validated``, to the results on the test images. For comparison
# the threshold that is best on the test images themselves, which nobody may report as a result:

tuned = choice.apply(test)
optimum = choose_binarizers(test).apply(test, label="test optimum")
table = tuned.pivot("iou", binarizer=["percentile:95", "validated"])
table.join(optimum.pivot("iou", binarizer=["test optimum"])).round(3)

# %%
# One threshold for each class: small or thin shapes need a smaller mask.

by_label = choose_binarizers(validation, metric="iou", by="label")
table = by_label.to_pandas()
rows = table[(table["method"] == "cam") & table["label"].notna()]
for label, binarizer in zip(rows["label"], rows["binarizer"], strict=True):
    print(f"{SHAPES[label]}: {binarizer}")

both = by_label.apply(tuned, label="validated by class")
part = both.select(binarizer=["validated", "validated by class"])
part.pivot("iou").round(3)

# %%
# With the class in the choice, the class must be known where a mask is made: here it is the label.
# The provenance of the results has the choice, and the report says on which images it was made.
