"""Samples from what datasets return: tuples, dictionaries, and batches of these."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from cameval.data import Sample
from cameval.errors import ArrayTypeError, DataError

_ARGUMENTS = ("name", "image", "mask", "label", "group", "targets", "info", "ignore", "spacing")


def as_sample(item: object, index: int) -> Sample:
    """Return the sample that an item of a dataset stands for.

    Parameters
    ----------
    item
        A `Sample`; ``(image, mask)`` or ``(image, mask, label)``; or a dictionary with the
        arguments of a sample. Without a name, the sample is named by its index.
    index
        Its place in the dataset.

    Raises
    ------
    ArrayTypeError
        If it is none of these.
    DataError
        If a dictionary has another entry, or a part is not as in `Sample`.

    Examples
    --------
    >>> import torch
    >>> from cameval.evaluation._samples import as_sample
    >>> image = torch.zeros(3, 4, 6)
    >>> as_sample((image, image[0] > 0, 2), 7)
    Sample(name='7', label=2, group='7')
    """
    if isinstance(item, Sample):
        return item
    if isinstance(item, Mapping):
        parts = dict(item)
        if strange := [key for key in parts if key not in _ARGUMENTS]:
            raise DataError(
                f"a dictionary must have the arguments of a Sample ({', '.join(_ARGUMENTS)}), got "
                f"{strange[0]!r}"
            )
    elif isinstance(item, tuple | list) and len(item) in (2, 3):
        parts = dict(zip(("image", "mask", "label"), item, strict=False))
    else:
        what = f"{type(item).__name__}"
        if isinstance(item, tuple | list):
            what += f" of {len(item)} entries"
        raise ArrayTypeError(
            f"samples must be cameval.Sample, (image, mask), (image, mask, label) or dictionaries, "
            f"got {what}; wrap your dataset in one that returns Sample(name, image, mask)"
        )
    if "image" not in parts:
        raise DataError(f"a dictionary must have an image, got {sorted(parts)}")
    parts["image"] = _image(parts["image"])
    for name in ("mask", "ignore"):
        if parts.get(name) is not None:
            parts[name] = _mask(parts[name], name)
    name = parts.pop("name", None)
    return Sample(str(index) if name is None else name, **parts)


def unbatch(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield the samples of batches: of lists of samples, or of tensors of several images."""
    for batch in batches:
        whole = isinstance(batch, Sequence) and not isinstance(batch, str)
        if isinstance(batch, Mapping):
            lengths = {len(part) for part in batch.values()}
            if len(lengths) != 1:
                raise DataError(f"the parts of a batch must have one length, got {lengths}")
            for k in range(lengths.pop()):
                yield {name: part[k] for name, part in batch.items()}
        elif whole and batch and isinstance(batch[0], Tensor):
            yield from zip(*batch, strict=True)
        elif whole:
            yield from batch
        else:
            raise ArrayTypeError(
                "a DataLoader must return batches of (images, masks[, labels]), dictionaries or "
                f"lists of samples, got {type(batch).__name__}; use collate_fn=list"
            )


def _image(image: Any) -> NDArray[np.float32]:
    """Return an image with channels last, in float32; 8 and 16 bits are divided by their range."""
    if isinstance(image, Image):
        image = np.asarray(image)
    elif isinstance(image, Tensor):
        array = image.detach().cpu().numpy()
        image = array[0] if array.ndim == 3 and len(array) == 1 else array
        if image.ndim == 3:
            image = np.moveaxis(image, 0, -1)
    if isinstance(image, np.ndarray) and image.dtype in (np.uint8, np.uint16):
        return (image / np.float32(np.iinfo(image.dtype).max)).astype(np.float32)
    if isinstance(image, np.ndarray) and image.dtype.kind == "f":
        return np.ascontiguousarray(image, np.float32)
    advice = "; scale it first: (x - x.min()) / (x.max() - x.min()) as float32"
    raise ArrayTypeError(
        "image must be an array or tensor of floating numbers in [0, 1] or of unsigned 8 or 16 "
        f"bits, got {getattr(image, 'dtype', type(image).__name__)}"
        f"{advice if hasattr(image, 'dtype') else ''}"
    )


def _mask(mask: Any, name: str) -> NDArray[np.bool_]:
    """Return a mask as a boolean array; numbers must be 0 and one other."""
    if isinstance(mask, Image):
        mask = np.array(mask)
    if isinstance(mask, Tensor):
        mask = mask.detach().cpu().numpy()
    if not isinstance(mask, np.ndarray):
        raise ArrayTypeError(f"{name} must be an array or a tensor, got {type(mask).__name__}")
    if mask.ndim == 3 and len(mask) == 1:
        mask = mask[0]
    if mask.dtype != np.bool_:
        values = np.unique(mask)
        if values.size > 2 or (values.size == 2 and values[0] != 0):
            raise DataError(
                f"{name} must hold 0 and one other value, got {values[:4].tolist()}; compare "
                "first, as in mask > 0, or mask > 127 if it was a JPEG file, which has values "
                "between"
            )
        mask = mask != 0
    return np.ascontiguousarray(mask)
