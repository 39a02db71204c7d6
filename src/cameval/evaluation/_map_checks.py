"""Checks of a map that was made elsewhere: it must fit the image of its sample."""

import torch
from torch import Tensor

from cameval._arrays import as_tensor, finite_maps, same_ratio
from cameval.data import Sample
from cameval.errors import ShapeError


def check_map(array: object, sample: Sample, *, stretch: bool = False) -> Tensor:
    """Check the map that a source returns for a sample. The errors do not name the sample.

    Parameters
    ----------
    array
        What the source returned: a NumPy array or a torch tensor ``(h, w)``, ``(d, h, w)`` for a
        volume. Leading axes of length 1 are removed.
    sample
        The sample.
    stretch
        Whether a map may be of another aspect ratio than the image, as where the image was resized
        to a square for the network.

    Returns
    -------
    Tensor
        The map, detached, in float32 if this holds its values exactly, or else in float64; on the
        device where it was.

    Raises
    ------
    ArrayTypeError
        If it is no array of real numbers.
    ShapeError
        If it has another number of axes than the image, no values, or another aspect ratio.
    NonFiniteError
        If it has NaN or infinite values.

    Notes
    -----
    A map of any size is resized to the image as a whole, so its cells must cover the whole image
    evenly. A map of another aspect ratio is evidence that they do not: the network may have seen a
    crop, or the image with a border, and the map would be scored beside the objects. A network with
    one stride rounds height and width to whole cells, so the height of a map may differ from the
    width times the image's ratio by one cell, or the width from the height times its inverse. Where
    the image was resized without its aspect ratio, the map does cover it, and `stretch` says so.
    Along the depth of a volume a network often has another stride; no ratio is compared.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.evaluation._map_checks import check_map
    >>> image = np.zeros((480, 640), np.float32)
    >>> sample = Sample("1", image, image > 0)
    >>> check_map(np.ones((1, 15, 20)), sample).shape
    torch.Size([15, 20])
    >>> check_map(np.ones((7, 7)), sample, stretch=True).shape
    torch.Size([7, 7])
    """
    tensor = finite_maps(_squeezed(as_tensor(array, "the map"), len(sample.shape)), "the map")
    if tensor.ndim != len(sample.shape):
        raise ShapeError(
            f"the map must have {len(sample.shape)} axes, as the image has, got "
            f"{tuple(tensor.shape)}; return the map of the class sample.label alone"
        )
    if 0 in tensor.shape:
        raise ShapeError(f"the map must have at least one value, got {tuple(tensor.shape)}")
    if not stretch and not same_ratio(tuple(tensor.shape[-2:]), sample.shape[-2:]):
        raise ShapeError(
            f"the map must have the aspect ratio of the image, {sample.shape}, to within one cell, "
            f"got {tuple(tensor.shape)}; if it covers the whole image, as where the image was "
            "resized to a square, resize it to the image or set MapFolder(..., stretch=True), or "
            "--stretch; if the network saw a crop, give the samples cropped in the same way; if it "
            "saw a padded image, cut the padding off the map, as upsample(..., window=) does"
        )
    exact = tensor.is_floating_point() and tensor.dtype != torch.float64
    few_bits = tensor.dtype in (torch.uint8, torch.int8, torch.int16)
    return tensor.to(torch.float32 if exact or few_bits else torch.float64)


def _squeezed(tensor: Tensor, axes: int) -> Tensor:
    while tensor.ndim > axes and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor
