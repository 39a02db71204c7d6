"""Preparation of samples: crop, resize or pad, and normalize images; the truth for the scores."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad
from torchvision.transforms.v2.functional import resize

from cameval._checks import check_size
from cameval.data import Objects, Sample
from cameval.data._mask_sizes import resize_mask
from cameval.errors import SettingError, ShapeError
from cameval.networks._trial import input_channels, timm_configuration

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Preparation", "Prepared"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a gray image, of ITU-R BT.601."""

Fit: TypeAlias = Literal["squeeze", "crop", "pad"]
"""How an image of another aspect ratio fits the network's input."""

Window: TypeAlias = tuple[tuple[int, int], ...]
"""First and last pixel of the network's input, along each axis, that show the image."""

Span: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sample as it is evaluated: the network's input, and the truth of one target.

    A function of your own for ``evaluate(..., prepare=...)`` may return one, or just the pair
    ``(image, truth)``.

    Parameters
    ----------
    image
        The network's input ``(channels, h, w)``, or ``(channels, d, h, w)`` of a volume.
    truth
        The true mask ``(H, W)`` on the grid on which maps are scored; ``(D, H, W)`` of a volume.
    ignore
        Pixels of this grid that count for nothing; None if all count.
    objects
        The objects of the target on this grid; None if they are the components of the mask.
    window
        First and last pixel (exclusive) of the input along each axis that show what the grid shows,
        where the input is padded; None if all of it does.
    spacing
        Distance between the pixels of the grid along each axis; None if it is not known.

    Examples
    --------
    >>> import torch
    >>> from cameval.evaluation import Prepared
    >>> Prepared(torch.zeros(3, 8, 8), torch.zeros(4, 6, dtype=torch.bool)).truth.shape
    torch.Size([4, 6])
    """

    image: Tensor
    truth: Tensor
    ignore: Tensor | None = None
    objects: Objects | None = None
    window: Window | None = None
    spacing: tuple[float, ...] | None = None


Prepare: TypeAlias = Callable[[Sample], tuple[Tensor, Tensor] | Prepared]
"""From a sample with one target to the network's input ``(channels, h, w)`` and the true mask
``(H, W)`` on the grid on which maps are scored. Both must show the same part of the image."""


def _channel_numbers(name: str, values: Any) -> tuple[float, ...]:
    """Return numbers of the channels as they were given, checked."""
    try:
        numbers: tuple[float, ...] = tuple(values)
        if numbers and all(map(isfinite, numbers)):
            return numbers
    except TypeError:
        pass
    raise SettingError(
        f"{name} must be finite numbers, one for each channel, such as (0.5, 0.5, 0.5), got "
        f"{values!r}"
    )


SLICE_ADVICE = (
    "for a network of images see cameval.evaluation.SliceMaps and cameval.evaluate_maps, which "
    "make the map of a volume from its slices"
)


@dataclass(frozen=True)
class Preparation:
    """Crop, resize or pad, and normalize images as networks expect, with their truth.

    The image is cropped, and resized to `size` for the network. The maps of the network are
    upsampled to the grid of the true mask, on which they are scored: by default the mask's own
    pixels, so that the truth is not resampled.

    Parameters
    ----------
    size
        Height and width of the network's input, or one number for both; depth, height and width
        for volumes. None keeps the size of the image; those of a batch must then be equal.
    fit
        How an image of another aspect ratio fits the input. ``"squeeze"`` resizes each axis by
        itself. ``"crop"`` keeps the largest centered part with the input's aspect ratio. ``"pad"``
        keeps the aspect ratio and surrounds the image with the mean color (letterbox); the padding
        is not on the grid of the scores, so no metric and no baseline sees it. Images are resized
        bilinearly and antialiased.
    crop
        Keep only the centered square with this share of the shorter side; torchvision's own
        transforms keep .875. With ``fit="crop"`` the share of the largest centered part. By default
        all.
    truth_size
        Size of the grid of the scores, or one number for its height and width. A pixel is true, or
        ignored, where more than half of it is. By default the mask's own.
    mean, std
        One number for each channel of the input, by default ImageNet's three, of images in [0, 1],
        as those of a `Sample` are; divide numbers for [0, 255] by 255. Gray images get that many
        equal channels; of images of three channels a single one is the luma of ITU-R BT.601.

    Raises
    ------
    SettingError
        If a setting is out of its range, or a mean and its standard deviation are both above 1, as
        those of images in [0, 255] are.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Preparation, Sample
    >>> from cameval.data import phantom_samples
    >>> image, truth = Preparation(size=64)(next(phantom_samples()))
    >>> image.shape, truth.shape
    (torch.Size([3, 64, 64]), torch.Size([128, 128]))

    A wide photograph in a square input, with rows of the mean color above and below:

    >>> photo = np.ones((50, 100), np.float32)
    >>> prepared = Preparation(size=64, fit="pad").prepare(Sample("photo", photo, photo > 0))
    >>> prepared.image.shape, prepared.window, prepared.truth.shape
    (torch.Size([3, 64, 64]), ((16, 48), (0, 64)), torch.Size([50, 100]))
    """

    size: int | tuple[int, ...] | None = 224
    crop: float | None = None
    truth_size: int | tuple[int, ...] | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    fit: Fit = "squeeze"

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("size", "truth_size"):
            size = getattr(self, name)
            if size is not None:
                pair = (size, size) if isinstance(size, int) else tuple(size)
                object.__setattr__(self, name, check_size(pair))
        if self.crop is not None and not 0 < self.crop <= 1:
            raise SettingError(f"crop must be in (0, 1] or None, got {self.crop}")
        if self.fit not in get_args(Fit):
            raise SettingError(f"fit must be one of {get_args(Fit)}, got {self.fit!r}")
        if self.fit != "squeeze" and self.size is None:
            raise SettingError(f"fit must be 'squeeze' where size is None, got {self.fit!r}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, _channel_numbers(name, getattr(self, name)))
        if len(self.mean) != len(self.std):
            raise SettingError(
                "mean and std must have one number for each channel, "
                f"got {self.mean} and {self.std}"
            )
        if min(self.std) <= 0:
            raise SettingError(f"std must be positive, got {self.std}")
        if any(mean > 1 and std > 1 for mean, std in zip(self.mean, self.std, strict=True)):
            raise SettingError(
                f"mean and std must be those of images in [0, 1], got {self.mean} and {self.std}; "
                "divide them by 255 if they are of images in [0, 255]"
            )

    @classmethod
    def for_channels(cls, channels: int) -> "Preparation":
        """Return the default preparation for a network whose images have this many channels.

        Three channels are normalized as ImageNet's, and one by the means of its mean and standard
        deviation. Images of any other number of channels are not normalized.

        Examples
        --------
        >>> from cameval import Preparation
        >>> Preparation.for_channels(1).mean, Preparation.for_channels(5).std
        ((0.449,), (1.0, 1.0, 1.0, 1.0, 1.0))
        """
        if channels == 3:
            return cls()
        if channels == 1:
            return cls(mean=(0.449,), std=(0.226,))
        return cls(mean=(0.0,) * channels, std=(1.0,) * channels)

    @classmethod
    def for_network(cls, net: nn.Module) -> "Preparation":
        """Return the default preparation for a network, or for a model that `adapt` returned.

        The size of the input, means and standard deviations are those of the configuration that
        timm's networks have (``net.pretrained_cfg``), also inside of another module. For others
        they are by `for_channels`, with the channels of the network's first convolution.

        Examples
        --------
        >>> from torchvision.models import resnet18
        >>> from cameval import Preparation
        >>> net = resnet18()
        >>> Preparation.for_network(net) == Preparation()
        True
        >>> half = (0.5, 0.5, 0.5)
        >>> net.pretrained_cfg = {"input_size": (3, 384, 384), "mean": half, "std": half}
        >>> Preparation.for_network(net).size, Preparation.for_network(net).mean
        ((384, 384), (0.5, 0.5, 0.5))
        """
        channels = input_channels(net)
        usual = cls() if channels is None else cls.for_channels(channels)
        known = timm_configuration(net)
        mean, std = (tuple(known.get(name) or ()) for name in ("mean", "std"))
        if not len(mean) == len(std) == len(usual.mean):
            mean, std = usual.mean, usual.std
        size = tuple(known.get("input_size") or (0, 224, 224))[1:]
        return cls(size, mean=mean, std=std)

    def __call__(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Return the network's input ``(channels, h, w)`` and the true mask ``(H, W)``."""
        return self.image(sample)[0], self._truth(sample.mask, self._part(sample.shape))

    def prepare(self, sample: Sample) -> Prepared:
        """Return the sample as it is evaluated, for a sample with one target."""
        image, window = self.image(sample)
        return self.with_truth(sample, image, window)

    def image(self, sample: Sample) -> tuple[Tensor, Window | None]:
        """Return the network's input, and the part of it that shows the image if it is padded."""
        shape = sample.shape
        image = torch.from_numpy(sample.image)
        channels = image[None] if image.ndim == len(shape) else image.movedim(-1, 0)
        if len(self.mean) == 1 and channels.shape[0] == 3:
            channels = torch.einsum("k,k...->...", channels.new_tensor(_LUMA), channels)[None]
        if channels.shape[0] not in (1, len(self.mean)):
            raise ShapeError(
                f"image must be gray or have {len(self.mean)} channels, got {channels.shape[0]}; "
                "give a mean and std for each of its channels"
            )
        channels = channels[(slice(None), *self._part(shape))]
        size = self._size(shape)
        inner = self._inner(tuple(channels.shape[1:]), size)
        channels = _resize(channels, inner)
        axes = (..., *(None for _ in shape))
        mean, std = (torch.tensor(values)[axes] for values in (self.mean, self.std))
        normalized = (channels.expand(len(self.mean), *inner) - mean).div_(std)
        if inner == size:
            return normalized, None
        before = [(whole - part) // 2 for whole, part in zip(size, inner, strict=True)]
        window = tuple((b, b + part) for b, part in zip(before, inner, strict=True))
        ends = [(b, whole - e) for (b, e), whole in zip(window, size, strict=True)]
        return pad(normalized, [n for pair in reversed(ends) for n in pair]), window

    def with_truth(self, sample: Sample, image: Tensor, window: Window | None) -> Prepared:
        """Return a sample with one target as it is evaluated, with the input that it has.

        Parameters
        ----------
        sample
            A sample with one target.
        image, window
            What `image` returns for the sample.

        Examples
        --------
        The image of a sample with several targets is prepared once:

        >>> import numpy as np
        >>> from cameval import Preparation, Sample
        >>> photo = np.ones((4, 8), np.float32)
        >>> sample = Sample("photo", photo, np.zeros((4, 8), bool))
        >>> prepare = Preparation(size=16, fit="pad")
        >>> image, window = prepare.image(sample)
        >>> prepared = prepare.with_truth(sample, image, window)
        >>> prepared.image is image, prepared.window, prepared.truth.shape
        (True, ((4, 12), (0, 16)), torch.Size([4, 8]))
        """
        part = self._part(sample.shape)
        (target,) = sample.targets
        ignore = None if sample.ignore is None else self._truth(sample.ignore, part)
        truth = self._truth(target.mask, part)
        spacing = sample.spacing
        grid = self._grid
        if spacing is not None and grid is not None:
            cut = [len(range(n)[s]) for n, s in zip(sample.shape, part, strict=True)]
            steps = zip(spacing, cut, grid, strict=True)
            spacing = tuple(step * length / new for step, length, new in steps)
        changed = grid is not None or tuple(truth.shape) != sample.shape
        objects = self._objects(target.objects, part, tuple(truth.shape)) if changed else None
        return Prepared(
            image,
            truth,
            ignore if ignore is None or ignore.any() else None,
            objects if changed else None,
            window,
            None if spacing is None else tuple(spacing),
        )

    @property
    def _grid(self) -> tuple[int, ...] | None:
        """The size of the grid of the scores if it is set."""
        assert not isinstance(self.truth_size, int)  # since `__post_init__`
        return self.truth_size

    def _part(self, shape: tuple[int, ...]) -> Span:
        """Return the part of the image that is shown to the network."""
        share = 1.0 if self.crop is None else self.crop
        if self.fit == "crop":
            size = self._size(shape)
            scale = min(have / want for have, want in zip(shape, size, strict=True))
            sides = [
                min(n, max(1, round(share * scale * w))) for n, w in zip(shape, size, strict=True)
            ]
        elif self.crop is not None:
            sides = [max(1, round(share * min(shape)))] * len(shape)
        else:
            return tuple(slice(0, length) for length in shape)
        starts = [(length - side) // 2 for length, side in zip(shape, sides, strict=True)]
        return tuple(slice(b, b + side) for b, side in zip(starts, sides, strict=True))

    def _size(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size of the network's input for an image of this shape."""
        if self.size is None:
            return tuple(len(range(n)[s]) for n, s in zip(shape, self._part(shape), strict=True))
        size = self.size
        assert not isinstance(size, int)  # since `__post_init__`
        if len(size) != len(shape):
            volumes = f", or None to keep the size; {SLICE_ADVICE}" if len(shape) == 3 else ""
            raise ShapeError(
                f"size must have one number for each axis of the image, got {size} for an image of "
                f"{shape}; give {'three for volumes' if volumes else 'two for images'}{volumes}"
            )
        return size

    def _inner(self, shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size to which the image is resized."""
        if self.fit != "pad":
            return size
        scale = min(want / have for have, want in zip(shape, size, strict=True))
        return tuple(min(w, max(1, round(n * scale))) for n, w in zip(shape, size, strict=True))

    def _truth(self, mask: NDArray[np.bool_], part: Span) -> Tensor:
        """Return a mask on the grid of the scores."""
        cut, grid = mask[part], self._grid
        if grid is None or cut.shape == grid:
            return torch.from_numpy(cut)
        return torch.from_numpy(resize_mask(cut, grid))

    def _objects(self, objects: Objects, part: Span, shape: tuple[int, ...]) -> Objects:
        """Return objects on the grid of the scores; those that are not on it are left out."""
        lengths = [s.stop - s.start for s in part]
        starts = np.array([s.start for s in part][::-1] * 2, float)
        scale = np.array([new / n for new, n in zip(shape, lengths, strict=True)][::-1] * 2)
        limits = np.array(list(shape)[::-1] * 2, float)
        boxes = ((objects.boxes - starts) * scale).clip(0, limits)
        axes = len(shape)
        kept = (boxes[:, :axes] < boxes[:, axes:]).all(1)
        if objects.given_masks is None:
            return Objects(shape, boxes[kept])
        masks = [self._truth(mask, part).numpy() for mask in objects.given_masks]
        kept &= np.array([mask.any() for mask in masks], np.bool_)
        stack = np.stack(masks)[kept] if kept.any() else np.zeros((0, *shape), np.bool_)
        given = None if objects.given_boxes is None else boxes[kept]
        return Objects(shape, given, stack)


def _resize(channels: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize an image ``(channels, h, w)`` or a volume linearly, antialiased."""
    if tuple(channels.shape[1:]) == size:
        return channels
    if len(size) == 2:
        return resize(channels.contiguous(), list(size), antialias=True)
    flat = channels.flatten(0, 1)
    planes = resize(flat, list(size[1:]), antialias=True) if flat.shape[1:] != size[1:] else flat
    stack = planes.reshape(len(channels), -1, size[1] * size[2])
    if stack.shape[1] != size[0]:
        stack = resize(stack, [size[0], stack.shape[2]], antialias=True)
    return stack.reshape(len(channels), *size)
