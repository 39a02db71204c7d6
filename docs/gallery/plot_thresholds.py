"""
Choosing thresholds on validation images
========================================

A threshold that is chosen on the tested images is too good for them. `choose_binarizers` chooses on
other images, for each map by itself, and for baselines too.
"""

# %%
# The candidates are 19 percentiles. Validation and test images share no group.

import matplotlib.pyplot as plt
from trained import PREPARE, SHAPES, classifier, samples

from cameval import PercentileBinarizer, cam, choose_binarizers, evaluate, iou, layer_cam
from cameval.baselines import center_baseline, intensity_baseline

percentiles = (50, 60, 70, 80, *range(85, 100))
settings = {
    "methods": [cam, layer_cam],
    "binarizers": [PercentileBinarizer(q) for q in percentiles],
    "metrics": [iou],
    "baselines": {"center": center_baseline, "intensity": intensity_baseline},
    "prepare": PREPARE,
    "class_names": SHAPES,
    "progress": False,
}
net, of_validation = classifier(), samples(60, seed=2)
validation = evaluate(net, of_validation, **settings)
test = evaluate(net, samples(90, seed=1), **settings)

choice = choose_binarizers(validation, metric="iou")
choice.to_pandas()[["kind", "method", "binarizer"]]

# %%
# Lines: the mean IoU on the validation images. Dots: the choice.

means = validation.pivot("iou")
colors = {"cam": "C1", "layer_cam": "C3", "center": "0.6", "intensity": "C2"}
styles = {"cam": {"linewidth": 4, "alpha": 0.6}, "layer_cam": {"linestyle": "dashed"}}
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for method in means.index:
    values = [means.loc[method, f"percentile:{q}"] for q in percentiles]
    kind = "baseline" if method in settings["baselines"] else "method"
    best = choice.binarizer("predicted", kind, method)
    ax.plot(percentiles, values, color=colors[method], label=method, **styles.get(method, {}))
    q = int(best.removeprefix("percentile:"))
    ax.plot(q, means.loc[method, best], "o", color=colors[method])
ax.set(xlabel="percentile", ylabel="mean IoU, validation images", ylim=(0, None))
ax.legend(frameon=False)

# %%
# `Results.plot` draws all pairs of a map and a binarizer, with the best guess of each binarizer in
# the last row. The framed mean is the highest of all pairs. On the images by which a pair was
# chosen, its mean is too high.

some = [f"percentile:{q}" for q in (50, 70, 80, 85, 90, 93, 95, 97, 99)]
validation.select(binarizer=some).plot("choices")

# %%
# `Choice.apply` adds a binarizer, ``validated``, to the results on the test images. For comparison:
# a choice from nine of the validation images, and the threshold that is best on the test images
# themselves, which nobody may report as a result.

few = validation.select(sample=[sample.name for sample in of_validation[:9]])
tuned = choice.apply(test)
table = tuned.pivot("iou", binarizer=["percentile:95", "validated"])
for label, images in (("from 9 images", few), ("test optimum", test)):
    other = choose_binarizers(images, metric="iou").apply(test, label=label)
    table = table.join(other.pivot("iou", binarizer=[label]))
table.round(3)

# %%
# The optimum of the test images is the highest of all columns by construction. The choice from 60
# images is near it. The choice from nine images costs the maps of the network about .02.
#
# One threshold for each class: shapes differ in area, and the disc, which is the largest, has the
# largest mask.

by_label = choose_binarizers(validation, metric="iou", by="label")
rows = by_label.to_pandas()
rows = rows[(rows["method"] == "cam") & rows["label"].notna()]
for label, binarizer in zip(rows["label"], rows["binarizer"], strict=True):
    areas = [sample.mask.mean() for sample in of_validation if sample.label == label]
    area = 100 * sum(areas) / len(areas)
    print(f"{SHAPES[label]}: {binarizer}, mean area of the truth {area:.1f} %")

both = by_label.apply(tuned, label="validated by class")
part = both.select(binarizer=["validated", "validated by class"])
part.pivot("iou").round(3)

# %%
# With the class in the choice, the class must be known where a mask is made: here it is the label.
# The provenance of the results has the choice, and the report says on which images it was made.
