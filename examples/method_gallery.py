"""All methods on one image: one panel for each method, with the truth outlined.

    python examples/method_gallery.py photo.jpg mask.png --weights weights.pth --out gallery.jpg

Without a file of weights, torchvision downloads those of the network. Without --class the maps are
those of the predicted class. Each map is scaled to [0, 1] for display. The number below a name is
the area under the ROC curve of its pixels.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from cameval import CAMExtractor, Preparation, Sample, methods
from cameval.errors import CamevalError
from cameval.maps import upsample
from cameval.metrics import pixel_auroc
from cameval.networks import load_network
from cameval.plots import overlay
from cameval.protocols import CAMMethod

METHODS: dict[str, CAMMethod] = {
    "cam": methods.cam,
    "local_linear_cam": methods.local_linear_cam,
    "grad_cam": methods.grad_cam,
    "grad_cam_pp": methods.grad_cam_pp,
    "SmoothGradCAMpp": methods.SmoothGradCAMpp(),
    "xgrad_cam": methods.xgrad_cam,
    "hires_cam": methods.hires_cam,
    "layer_cam": methods.layer_cam,
    "grad_cam_elementwise": methods.grad_cam_elementwise,
    "shapley_cam": methods.shapley_cam,
    "eigen_grad_cam": methods.eigen_grad_cam,
    "AblationCAM": methods.AblationCAM(),
    "ScoreCAM": methods.ScoreCAM(),
    "SSCAM": methods.SSCAM(num_samples=1, std=0.5),
    "ISCAM": methods.ISCAM(num_samples=2),
    "GroupCAM": methods.GroupCAM(),
    "ReciproCAM": methods.ReciproCAM(),
    "OptiCAM": methods.OptiCAM(),
    "RefineCAM": methods.RefineCAM(),
    "WinsorCAM": methods.WinsorCAM(),
    "ZoomCAM": methods.ZoomCAM(),
    "eigen_cam *": methods.eigen_cam,
    "KPCACAM *": methods.KPCACAM(),
    "lafam *": methods.lafam,
    "RandomCAM *": methods.RandomCAM(),
}
"""The methods for CNNs, by the text above their panels; those with a star ignore the class.

SS-CAM and IS-CAM have fewer samples than by default, and SS-CAM less noise.
"""


def draw_gallery(
    net: nn.Module,
    image: NDArray[np.floating[Any]],
    truth: NDArray[np.bool_],
    *,
    target: int | None = None,
    by_name: Mapping[str, CAMMethod] = METHODS,
    columns: int = 4,
) -> Figure:
    """Draw the image, and a panel for each method that supports the network."""
    pixels, _ = Preparation()(Sample("image", image, truth))
    extract = CAMExtractor(net)
    size = (truth.shape[0], truth.shape[1])
    maps = {}
    for name, method in by_name.items():
        print(name, flush=True)
        try:
            found = CAMExtractor(extract.model, method, check=False)(pixels[None], target)
            maps[name] = upsample(found.coarse, size)[0]
        except CamevalError as error:
            print(f"  {error}")
    rows = -(-(len(maps) + 1) // columns)
    width = 1.9 * columns
    height = rows * (1.9 * size[0] / size[1] + 0.42)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    overlay(panels[0], image, truth=truth)
    panels[0].set_title("image and truth", fontsize=11)
    for panel, (name, one) in zip(panels[1:], maps.items(), strict=False):
        overlay(panel, image, score_map=one, truth=truth)
        auroc = float(pixel_auroc(one, torch.from_numpy(truth)))
        panel.set_title(f"{name}\n{auroc:.2f}", fontsize=11)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Save a figure; a JPEG with enough quality for text."""
    jpeg = Path(path).suffix.lower() in (".jpg", ".jpeg")
    settings: dict[str, Any] = {"pil_kwargs": {"quality": 78, "optimize": True}} if jpeg else {}
    figure.savefig(path, dpi=100, **settings)


def main() -> None:
    """Read the arguments, and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("mask", type=Path, help="a gray picture of the same size; not 0 is true")
    parser.add_argument("--model", default="mobilenet_v2", help="a network of torchvision")
    parser.add_argument("--weights", default="DEFAULT", help="a file of weights")
    parser.add_argument("--class", dest="target", type=int, help="index of the target class")
    parser.add_argument("--out", type=Path, default=Path("method_gallery.jpg"))
    arguments = parser.parse_args()
    with Image.open(arguments.image) as photo, Image.open(arguments.mask) as mask:
        image = np.asarray(photo.convert("RGB"), dtype=np.float32) / 255
        truth = np.asarray(mask.convert("L")) > 0
    net = load_network(arguments.model, arguments.weights)
    save(draw_gallery(net, image, truth, target=arguments.target), arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
