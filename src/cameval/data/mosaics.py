"""`MosaicDataset`: images of different classes side by side, for the grid pointing game."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import resize

from cameval.data.predictions import Prediction
from cameval.data.readers import check_index, shorten_names
from cameval.data.samples import Sample
from cameval.data.targets import Target
from cameval.errors import DataError, SettingError, ShapeError

__all__ = ["MosaicDataset"]


class MosaicDataset(Dataset[Sample]):
    """Mosaics of images of different classes, in which each cell is the truth of its class.

    A mosaic has as many targets as cells: the class of the image that is there, with the cell as
    its mask. The maps of a class are thus scored by how much of them lies in its own image, which
    needs no masks of objects. This is the grid pointing game (GridPG)::

        mosaics = MosaicDataset(samples, size=(224, 224), predictions=predictions)
        evaluate(net, mosaics, classes="true", task="multiclass", metrics=grid_pointing_game,
                 prepare=Preparation(size=(448, 448)))

    Parameters
    ----------
    samples
        A dataset or list of samples with one label each. Their masks are not used. Samples are read
        when their mosaic is; labels and names are taken from the dataset's attributes ``labels``
        and ``names`` if it has them, else every sample is read once before.
    grid
        Rows and columns of a mosaic.
    size
        Height and width of a cell. Images of another size are resized bilinearly and antialiased.
        By default images are not resized, and must have one size.
    names
        Names of the samples to choose from; by default all.
    predictions
        Predictions of the classifier by name, as of :func:`read_predictions`. Images are then used
        only if they are classified correctly with a probability above `confidence`, as in the
        published game: an image whose class the network does not see says little about its maps.
    confidence
        The probability above which a prediction counts as confident.
    count
        Number of mosaics; by default as many as there can be, each image in at most one.
    seed
        Seed of the choice of classes and images. The same seed gives the same mosaics.

    Raises
    ------
    SettingError
        If a setting is out of its range, or names one that is no sample.
    DataError
        If a chosen sample has no single label, or there are too few classes or images.

    Notes
    -----
    Each mosaic is a group of its own. If several images are of one patient, intervals by group are
    too narrow: choose one image of each by `names`.

    The task must be given to `evaluate`, because an image with several targets of a network with
    one answer is otherwise warned about.

    References
    ----------
    M. Böhle, M. Fritz, B. Schiele, "Convolutional Dynamic Alignment Networks for Interpretable
    Classifications", CVPR 2021.
    S. Rao, M. Böhle, B. Schiele, "Towards Better Understanding Attribution Methods", CVPR 2022.

    Examples
    --------
    >>> from cameval.data import MosaicDataset, phantom_samples
    >>> samples = list(phantom_samples(slices=12, patients=6, size=32))
    >>> mosaics = MosaicDataset(samples, grid=(1, 3))
    >>> mosaics
    MosaicDataset(3 mosaics of 1 x 3 images)
    >>> first = mosaics[0]
    >>> first.shape, sorted(target.label for target in first.targets)
    ((32, 96), [0, 1, 2])
    """

    def __init__(
        self,
        samples: Dataset[Sample] | Sequence[Sample],
        grid: tuple[int, int] = (2, 2),
        *,
        size: tuple[int, int] | None = None,
        names: Collection[str] | None = None,
        predictions: Mapping[str, Prediction] | None = None,
        confidence: float = 0.5,
        count: int | None = None,
        seed: int = 0,
    ) -> None:
        rows, columns = _two_counts("grid", grid)
        if rows * columns < 2:
            raise SettingError(f"grid must have at least two cells, got {grid}")
        if size is not None:
            _two_counts("size", size)
        if not 0 <= confidence < 1:
            raise SettingError(f"confidence must be in [0, 1), got {confidence}")
        if count is not None and count < 1:
            raise SettingError(f"count must be a positive integer or None, got {count!r}")
        self._samples = cast(Sequence[Sample], samples)
        self._grid, self._size = (rows, columns), size
        self._class_names = tuple(getattr(samples, "class_names", ()))
        found = list(_labels(self._samples))
        if names is not None:
            known = {one.name for one in found}
            if strange := [name for name in names if name not in known]:
                raise SettingError(f"names must be of samples, got {shorten_names(strange)}")
            found = [one for one in found if one.name in set(names)]
        if predictions is not None:
            found = [one for one in found if _is_confident(predictions, one, confidence)]
        self._cells = list(_choose(_by_class(found), rows * columns, seed))
        if len(self._cells) < (count or 1):
            raise DataError(
                f"there must be images of {rows * columns} classes for each of {count or 1} "
                f"mosaics, each image in one, got {len(found)} images of "
                f"{len({one.label for one in found})} classes, enough for {len(self._cells)}"
            )
        self._cells = self._cells[:count]

    def __repr__(self) -> str:
        """Return the number of mosaics and their cells."""
        rows, columns = self._grid
        return f"{type(self).__name__}({len(self)} mosaics of {rows} x {columns} images)"

    def __len__(self) -> int:
        """Return the number of mosaics."""
        return len(self._cells)

    def __getitem__(self, index: int, /) -> Sample:
        """Read the images of a mosaic; its ``info["images"]`` has their names, row by row."""
        number = check_index(index, len(self)) % len(self)
        cells = self._cells[number]
        read = [self._samples[one.index] for one in cells]
        images = [_image(sample, self._size) for sample in read]
        height, width = images[0].shape[:2]
        for sample, image in zip(read, images, strict=True):
            if image.shape[:2] != (height, width):
                raise ShapeError(
                    f"images of a mosaic must have one size, got {image.shape[:2]} of "
                    f"{sample.name!r} after {(height, width)}; give the size of a cell"
                )
        rows, columns = self._grid
        channels = max(image.shape[2] for image in images)
        whole = np.empty((rows * height, columns * width, channels), np.float32)
        targets = []
        for k, (one, image) in enumerate(zip(cells, images, strict=True)):
            y, x = divmod(k, columns)
            cell = slice(y * height, (y + 1) * height), slice(x * width, (x + 1) * width)
            whole[cell] = image
            mask = np.zeros(whole.shape[:2], np.bool_)
            mask[cell] = True
            targets.append(Target(one.label, mask))
        return Sample(
            f"mosaic {number + 1}",
            whole[..., 0].copy() if channels == 1 else whole,
            targets=targets,
            info={"images": ", ".join(one.name for one in cells)},
        )

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """The names of the images of each mosaic, row by row."""
        return tuple(tuple(one.name for one in cells) for cells in self._cells)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of label 0, 1, ...; empty if the classes have no names."""
        return self._class_names


def _two_counts(what: str, given: object) -> tuple[int, int]:
    match given:
        case (int(first), int(second)) if min(first, second) > 0:
            return first, second
    raise SettingError(f"{what} must be two positive integers, got {given!r}")


@dataclass(frozen=True)
class _Labeled:
    """The name and the label of a sample, and its place in the dataset."""

    index: int
    name: str
    label: int | None


def _labels(samples: Sequence[Sample]) -> Iterator[_Labeled]:
    names, labels = getattr(samples, "names", None), getattr(samples, "labels", None)
    if isinstance(names, Sequence) and labels is not None:
        for index, (name, label) in enumerate(zip(names, labels, strict=True)):
            yield _Labeled(index, name, None if label is None else int(label))
        return
    for index in range(len(samples)):
        sample = samples[index]
        yield _Labeled(index, sample.name, sample.label)


def _is_confident(predictions: Mapping[str, Prediction], one: _Labeled, confidence: float) -> bool:
    """Tell whether an image is classified correctly and confidently."""
    if one.name not in predictions:
        return False
    predicted, probability = predictions[one.name].of(one.label)
    return predicted == one.label and probability is not None and probability > confidence


def _by_class(images: Sequence[_Labeled]) -> dict[int, list[_Labeled]]:
    found: dict[int, list[_Labeled]] = {}
    for one in images:
        if one.label is None:
            raise DataError(
                f"sample {one.name!r} must have one label to be a cell of a mosaic, got none or "
                "several; choose samples by names"
            )
        found.setdefault(one.label, []).append(one)
    return dict(sorted(found.items()))


def _choose(by_class: dict[int, list[_Labeled]], cells: int, seed: int) -> Iterator[list[_Labeled]]:
    """Yield the images of each mosaic: of random classes, the next of each in a random order."""
    draw = np.random.default_rng(seed)
    left = {
        label: [images[k] for k in draw.permutation(len(images))]
        for label, images in by_class.items()
    }
    while len(labels := [label for label, images in left.items() if images]) >= cells:
        chosen = draw.choice(labels, cells, replace=False)
        yield [left[int(label)].pop() for label in chosen]


def _image(sample: Sample, size: tuple[int, int] | None) -> NDArray[np.float32]:
    """Return an image with channels last, of this size."""
    image = sample.image
    if len(sample.shape) != 2:
        raise ShapeError(f"sample {sample.name!r} must be an image, got a volume {sample.shape}")
    channels = image[..., None] if image.ndim == 2 else image
    if size is None or channels.shape[:2] == tuple(size):
        return channels
    resized = resize(torch.from_numpy(channels).movedim(-1, 0), list(size), antialias=True)
    whole: NDArray[np.float32] = resized.clamp(0, 1).movedim(0, -1).numpy()
    return whole
