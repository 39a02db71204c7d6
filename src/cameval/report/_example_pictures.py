"""The picture of one target: its map on the image, and its mask, with the truth."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from cameval._spatial import binarize_kept, for_volumes, with_sample_settings
from cameval.data import Sample
from cameval.evaluation import Preparation, Prepared, Results
from cameval.evaluation._plan import MapSource
from cameval.evaluation._sources import given_map, prepare_targets
from cameval.evaluation.preparation import Fit, Prepare
from cameval.extractor import CAMExtractor
from cameval.maps import upsample
from cameval.networks import CAMModel, LayerModel
from cameval.plots import overlay
from cameval.protocols import Binarizer
from cameval.report._files import draw_png


# --- Maps ---------------------------------------------------------------------------------------
class MapOf(Protocol):
    """From a prepared sample with one target, and its row, to its map on the grid of the scores."""

    def __call__(self, sample: Sample, prepared: Prepared, row: int) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class NetworkMap:
    """Maps of a network, for the target class of the results."""

    extract: CAMExtractor
    results: Results
    target_class: str

    def __call__(self, sample: Sample, prepared: Prepared, row: int) -> Tensor:
        seen, model = prepared.image, self.extract.model
        assert isinstance(model, CAMModel | LayerModel)
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        coarse = self.extract(seen[None].to(device), self._class(row)).coarse.detach()
        by_cells = self.extract.alignment == "receptive_field"
        return upsample(
            coarse,
            tuple(prepared.truth.shape),
            cell_centers=model.cell_centers if by_cells else None,
            image_size=tuple(seen.shape[1:]),
            window=prepared.window,
        )[0]

    def _class(self, row: int) -> int | None:
        """Return the index of the target class of a row; None for the predicted one."""
        classes = self.results.meanings.target_class[self.target_class].classes
        if isinstance(classes, int):
            return classes
        sample = self.results.samples.iloc[row]
        if classes == "true":
            return int(sample["label"])
        several = self.results.task == "multilabel"  # predicted is of the row's label there
        return None if several else int(sample["predicted"])


@dataclass(frozen=True, eq=False)
class GivenMap:
    """Maps made elsewhere."""

    name: str
    source: MapSource

    def __call__(self, sample: Sample, prepared: Prepared, row: int) -> Tensor:
        size = tuple(prepared.truth.shape)
        found = given_map(self.source, self.name, sample)
        return found if found.shape == size else upsample(found, size)


# --- Drawing ------------------------------------------------------------------------------------
def draw_target(
    sample: Sample, row: int, map_of: MapOf, binarizer: Binarizer, prepare: Prepare
) -> tuple[bytes, str]:
    """Draw map and truth, and beside it mask and truth; return the picture with a remark."""
    (prepared,) = prepare_targets(prepare, [sample])
    truth, ignore = prepared.truth.cpu(), prepared.ignore
    ignore = None if ignore is None else ignore.cpu()
    scores = map_of(sample, prepared, row).cpu()
    mask = _binarize(binarizer, scores, ignore, prepared.spacing)
    picture = crop_image(sample, prepare, prepared.image, tuple(truth.shape))
    remarks = []
    steps = prepared.spacing or (1.0,) * truth.ndim
    if truth.ndim == 3:
        number, why = _largest_slice(truth, mask)
        remarks.append(f"slice {number + 1} of {len(truth)}{why}")
        picture = picture[number]
        truth, scores, mask = (one[number] for one in (truth, scores, mask))
        ignore = None if ignore is None else ignore[number]
    if ignore is not None and ignore.any():
        remarks.append("stripes: ignored pixels")
    height, width = (n * step for n, step in zip(truth.shape, steps[-2:], strict=True))
    figure = Figure(figsize=(6.4, 3.2 * min(max(height / width, 0.25), 2.5)))
    left = figure.add_axes((0, 0, 0.497, 1))
    right = figure.add_axes((0.503, 0, 0.497, 1))
    overlay(left, picture, score_map=scores, truth=truth, ignore=ignore)
    overlay(right, picture, mask=mask, truth=truth, ignore=ignore)
    for axes in (left, right):
        axes.set_aspect(steps[-2] / steps[-1])
    return draw_png(figure, dpi=110), ", ".join(remarks)


def _binarize(
    binarizer: Binarizer, scores: Tensor, ignore: Tensor | None, spacing: tuple[float, ...] | None
) -> Tensor:
    """Return the mask of a map, as it was scored."""
    if scores.ndim == 3:
        of_volumes = cast("tuple[float, float, float] | None", spacing)
        fitted = for_volumes(binarizer, spacing=of_volumes)
    else:
        fitted = with_sample_settings(binarizer, spacing=spacing, spatial_axes=2)
    if ignore is None:
        return torch.as_tensor(fitted(scores[None]))[0]
    return binarize_kept(fitted, scores[None], ~ignore)[0]


def _largest_slice(truth: Tensor, mask: Tensor) -> tuple[int, str]:
    """Return the number of the slice that is shown, and why it is that one."""
    for what, one in (("truth", truth), ("mask", mask)):
        if one.any():
            return int(one.sum((1, 2)).argmax()), f", where the {what} is largest"
    return len(truth) // 2, ", the middle"


def crop_image(
    sample: Sample, prepare: Prepare, seen: Tensor, size: tuple[int, ...]
) -> NDArray[Any]:
    """Return the part of the image that the truth covers, on its grid, in [0, 1]."""
    if isinstance(prepare, Preparation):
        fit: Fit = "crop" if prepare.fit == "crop" else "squeeze"  # the grid has no padding
        seen, _ = replace(prepare, size=size, fit=fit).image(sample)
        axes = (slice(None), *(None for _ in size))
        mean, std = (torch.tensor(v)[axes] for v in (prepare.mean, prepare.std))
        image = np.asarray((seen * std + mean).clamp(0, 1).movedim(0, -1))
    elif sample.shape == size:
        image = np.asarray(sample.image)
    else:  # another part of the image: show the input of the network
        low, high = seen.min(), seen.max()
        scaled = ((seen - low) / (high - low).clamp(min=1e-12)).float().cpu()
        mode = "bilinear" if len(size) == 2 else "trilinear"
        resized = interpolate(scaled[None], size=size, mode=mode, antialias=len(size) == 2)[0]
        image = np.asarray(resized.clamp(0, 1).movedim(0, -1))
    if image.ndim > len(size) and image.shape[-1] != 3:
        image = image.mean(-1)
    return image
