"""`SliceMaps`: the map of a volume from the maps of its slices, with a network of images."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cameval.data import Sample
from cameval.errors import CamevalError, DataError, SettingError, ShapeError
from cameval.evaluation._digests import weights_hash
from cameval.evaluation._preparation_words import record_of_preparation
from cameval.evaluation._sources import prepare_targets
from cameval.evaluation.labels import setting_text
from cameval.evaluation.preparation import Preparation, Prepare, Prepared
from cameval.extractor import CAMExtractor, network_name
from cameval.maps import upsample
from cameval.networks._images import prepared_images

__all__ = ["SliceMaps"]


@dataclass(frozen=True)
class SliceMaps:
    """Maps of volumes from a network of images: the maps of all slices, one above the other.

    It is a source of maps for :func:`cameval.evaluate_maps`. Slices are those of the first axis.
    All of them have the same target class, and their maps are not scaled, so values of different
    slices can be compared: a threshold is one of the volume, and the maximum is that of the volume.

    Parameters
    ----------
    extract
        The extractor of the network.
    prepare
        From a slice, a `Sample` of its own, to the network's input. By default ``Preparation()``.
        It must show the whole slice: squeezed or padded, but not cropped.
    target_class
        The class of the maps. By default that of the sample's target.
    batch_size
        Slices in one pass through the network.

    Raises
    ------
    SettingError
        If the extractor is none, or the batch size is not a whole number from 1.
    ShapeError
        In a call, if the sample is no volume, or `prepare` shows a part of the slice.
    DataError
        In a call, if the sample has no label and there is no target class.

    Examples
    --------
    >>> import numpy as np
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMExtractor, Preparation, Sample
    >>> from cameval.evaluation import SliceMaps
    >>> volume = np.zeros((6, 40, 32), np.float32)
    >>> scan = Sample("scan 1", volume, volume > 0, label=1, spacing=(5, 1, 1))
    >>> make_map = SliceMaps(CAMExtractor(resnet18(num_classes=2)), Preparation(size=64))
    >>> make_map(scan).shape
    torch.Size([6, 40, 32])
    """

    extract: CAMExtractor
    prepare: Prepare = field(default_factory=Preparation)
    target_class: int | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Check the settings."""
        if not isinstance(self.extract, CAMExtractor):
            raise SettingError(
                f"extract must be a CAMExtractor, got {type(self.extract).__name__}; pass "
                "CAMExtractor(net, method=...)"
            )
        size = self.batch_size
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise SettingError(f"batch_size must be a whole number from 1, got {size!r}")

    def __call__(self, sample: Sample, /) -> Tensor:
        """Return the map ``(D, H, W)`` of a volume."""
        if len(sample.shape) != 3:
            raise ShapeError(
                f"sample {sample.name!r} must be a volume (D, H, W), got an image of "
                f"{sample.shape}; pass images to cameval.evaluate"
            )
        chosen = sample.label if self.target_class is None else self.target_class
        if chosen is None:
            raise DataError(
                f"sample {sample.name!r} must have a label where no target_class is given, got none"
            )
        slices = [self._prepared(sample, number) for number in range(sample.shape[0])]
        batches = [
            self._maps(slices[first : first + self.batch_size], chosen, sample.shape[1:])
            for first in range(0, len(slices), self.batch_size)
        ]
        return torch.cat(batches)

    def record(self) -> dict[str, Any]:
        """Return network, weights, layer, method and preparation, as results store them.

        Examples
        --------
        >>> from torchvision.models import squeezenet1_1
        >>> from cameval import CAMExtractor
        >>> from cameval.evaluation import SliceMaps
        >>> record = SliceMaps(CAMExtractor(squeezenet1_1())).record()
        >>> record["network"], record["layer"], record["method"]
        ('SqueezeNet', 'features', 'grad_cam')
        """
        extract, model = self.extract, self.extract.model
        return {
            "network": network_name(model),
            "weights": weights_hash(model),
            "layer": model.layer or "features",
            "alignment": extract.alignment,
            "method": setting_text(extract.method),
            "target_class": self.target_class,
            "prepare": setting_text(self.prepare),
            "preparation": record_of_preparation(self.prepare),
        }

    def _prepared(self, sample: Sample, number: int) -> Prepared:
        """Return the input of one slice."""
        name = f"{sample.name}, slice {number}"
        plane = Sample(
            name,
            sample.image[number],
            sample.mask[number],
            sample.label,
            sample.group,
            info=sample.info,
            spacing=None if sample.spacing is None else sample.spacing[1:],
        )
        try:
            (found,) = prepare_targets(self.prepare, [plane])
        except CamevalError as error:
            raise type(error)(f"sample {name!r}: {error}") from error
        if tuple(found.truth.shape) != plane.shape:
            raise ShapeError(
                f"prepare must show whole slices of {plane.shape}, got a truth of "
                f"{tuple(found.truth.shape)} for sample {name!r}; leave out crop, fit='crop' and "
                "truth_size"
            )
        return found

    def _maps(self, slices: list[Prepared], chosen: int, size: tuple[int, ...]) -> Tensor:
        """Return the maps ``(n, H, W)`` of some slices."""
        images = torch.stack([each.image for each in slices])
        weights = next(self.extract.model.parameters(), images)
        with prepared_images():
            result = self.extract(images.to(weights.device), classes=chosen, size=size)
        window = slices[0].window
        if window is None:
            return result.maps
        centers = getattr(self.extract.model, "cell_centers", None)
        return upsample(
            result.coarse,
            size,
            cell_centers=centers if self.extract.alignment == "receptive_field" else None,
            image_size=tuple(images.shape[2:]),
            window=window,
        )
