"""Evaluate a classifier on your data: folds by patient, thresholds chosen on other patients.

    python examples/evaluate_your_data.py [TABLE.csv]

The table has the columns image, mask, label and group (the patient). Without one, synthetic slices
are evaluated. Writes a page to runs/your-data.
"""

import sys
from itertools import islice

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch.nn.functional import cross_entropy

import cameval
from cameval.baselines import ClassMeanBaseline
from cameval.data import ManifestDataset, phantom_samples
from cameval.networks import load_network
from cameval.report import write_report

samples: list[cameval.Sample] = list(islice(phantom_samples(seed=0), 60))
if len(sys.argv) > 1:
    table = ManifestDataset(sys.argv[1])
    samples = [table[i] for i in range(len(table))]
prepare = cameval.Preparation(size=128)
images = torch.stack([prepare(sample)[0] for sample in samples])
labels = torch.tensor([sample.label for sample in samples])
patients, classes = [sample.group for sample in samples], int(labels.max()) + 1


def train(part: np.ndarray) -> torch.nn.Module:
    """Train a network from random weights on the images of these indices."""
    net = load_network("resnet18", num_classes=classes, seed=0).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for batch in torch.randperm(6 * len(part)).remainder(len(part)).split(16):  # 6 epochs
        loss = cross_entropy(net(images[part[batch]]), labels[part[batch]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


torch.manual_seed(0)
folds = [part for _, part in StratifiedGroupKFold(3).split(images, labels, patients)]
scored = []
for test, validation in zip(folds, folds[1:] + folds[:1], strict=True):
    training = np.setdiff1d(np.arange(len(samples)), [*test, *validation])
    net = train(training)
    mean_masks = ClassMeanBaseline.of((samples[i] for i in training), classes)
    validated, tested = (
        cameval.evaluate(
            net,
            [samples[i] for i in part],
            methods=[cameval.cam, cameval.grad_cam],
            binarizers=[cameval.PercentileBinarizer(p) for p in (50, 75, 90, 95)],
            baselines=cameval.evaluation.default_baselines() | {"class_mean": mean_masks},
            prepare=prepare,
        )
        for part in (validation, test)
    )
    scored.append(cameval.choose_binarizers(validated, metric="iou").apply(tested))

results = cameval.concat(scored)
means = results.select(metric="iou", binarizer="validated").summary()
print(means[["method", "n", "n_groups", "mean", "low", "high"]].round(3).to_string(index=False))
# The threshold was chosen on other patients, and the method before the scores were known.
print(write_report(results, "runs/your-data", binarizer="validated", method="grad_cam"))
