"""All methods on one slice of the figshare data, by a linear layer on features of ImageNet.

    python examples/slice_gallery.py folder-of-mat-files --weights squeezenet.pth --out slice.jpg

The features stay as they are. Pooling and one linear layer are fitted to the three types of tumors
on the slices of some patients, and the accuracy is that on slices of others, among them the patient
of the slice that is drawn. Without a file of weights, torchvision downloads those of the network.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from method_gallery import draw_gallery, save
from torch import Tensor, nn

from cameval import CAMModel, Preparation, adapt
from cameval.data import CLASS_NAMES, FigshareDataset, folds_by_group
from cameval.networks import load_network


def pooled_features(model: CAMModel, data: FigshareDataset, numbers: list[int]) -> Tensor:
    """Return the mean of each feature over the cells, for some slices."""
    prepare, found = Preparation(), []
    for number in numbers:
        with torch.inference_mode():
            pixels, _ = prepare(data[number])
            found.append(model.features(pixels[None]).mean((2, 3))[0])
    return torch.stack(found).clone()


def fit(layer: nn.Linear, features: Tensor, labels: Tensor, decay: float = 1e-3) -> None:
    """Fit a linear layer in place: the least cross-entropy, with a penalty on large weights."""
    parameters = [*layer.parameters()]
    for one in parameters:
        nn.init.zeros_(one)
    optimizer = torch.optim.LBFGS(parameters, max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = nn.functional.cross_entropy(layer(features), labels)
        found = found + decay * layer.weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)


def main() -> None:
    """Fit the layer, print its accuracy, and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder of .mat files")
    parser.add_argument("--slice", default="213", help="the name of the slice that is drawn")
    parser.add_argument("--model", default="squeezenet1_0", help="a network of torchvision")
    parser.add_argument("--weights", default="DEFAULT", help="a file of weights")
    parser.add_argument("--every", type=int, default=4, help="use every fourth slice")
    parser.add_argument("--out", type=Path, default=Path("slice_gallery.jpg"))
    arguments = parser.parse_args()
    data, at = FigshareDataset(arguments.data), arguments.slice
    shown = data.names.index(at)
    labels = torch.from_numpy(np.asarray(data.labels, dtype=np.int64))
    fold = next(
        one for one in folds_by_group(data.labels, data.groups) if shown in one.test.tolist()
    )
    model = adapt(load_network(arguments.model, arguments.weights), num_classes=3)
    layer = model.head.linear
    assert isinstance(layer, nn.Linear)
    train = [*fold.train.tolist(), *fold.validation.tolist()][:: arguments.every]
    fit(layer, pooled_features(model, data, train), labels[train])
    test = fold.test.tolist()[:: arguments.every]
    with torch.inference_mode():
        found = layer(pooled_features(model, data, [*test, shown])).argmax(1)
    right = (found[:-1] == labels[test]).double().mean()
    print(f"right for {100 * right:.0f} % of {len(test)} slices of other patients")
    print(f"slice {at}: {CLASS_NAMES[labels[shown]]}, predicted {CLASS_NAMES[found[-1]]}")
    sample = data[shown]
    save(draw_gallery(model, sample.image, sample.mask), arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
