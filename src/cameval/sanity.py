"""Sanity checks: sensitivity of maps to random weights, and repeatability across seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, finite_maps, map_pair
from cameval._checks import check_count
from cameval.errors import ShapeError
from cameval.extractor import CAMExtractor
from cameval.maps import are_constant, normalize_maps
from cameval.networks._randomize import randomized_copies, untrained_copy
from cameval.target_classes import Classes

__all__ = [
    "Cascade",
    "Similarity",
    "cascading_randomization",
    "random_pair_similarity",
    "randomized_copies",
    "repeatability",
    "untrained_copy",
]

Floats = NDArray[np.float64]

_WINDOW = 11  # of SSIM's Gaussian with sigma 1.5, as published


class Similarity(NamedTuple):
    """Similarity of two stacks of maps, pair by pair.

    Attributes
    ----------
    ssim
        Structural similarity ``(...)``, at most 1.
    spearman
        Rank correlation over the pixels ``(...)``, in [-1, 1]; NaN where a map is constant.

    Examples
    --------
    >>> import torch
    >>> from cameval.sanity import repeatability
    >>> maps = torch.arange(256.0).reshape(1, 16, 16)
    >>> similarity = repeatability(maps, -maps)  # the opposite order of the pixels
    >>> similarity.spearman
    tensor([-1.])
    """

    ssim: Tensor | Floats
    spearman: Tensor | Floats


def repeatability(maps: Array, again: Array, /) -> Similarity:
    """Compare two maps of each image, as of two seeds, two networks or two runs.

    Maps of networks that differ only in their seed should be similar; `random_pair_similarity` is
    the similarity of maps of different images, for comparison.

    Parameters
    ----------
    maps, again
        Real, finite maps ``(..., H, W)`` of one shape and kind, with sides of at least 11.

    Returns
    -------
    Similarity
        SSIM of the maps, each scaled to [0, 1] by its own extremes (a constant map becomes zeros),
        with a Gaussian window of sigma 1.5; and Spearman's rank correlation of the raw maps, NaN
        where a map is constant.

    Raises
    ------
    ArrayTypeError
        If the two are not of one kind, or not real.
    ShapeError
        If the shapes differ, or a side is too short for the window.
    NonFiniteError
        If a value is NaN or infinite.

    References
    ----------
    Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 13 (2004).
    N. Arun et al., "Assessing the Trustworthiness of Saliency Maps for Localizing Abnormalities in
    Medical Imaging", Radiology: Artificial Intelligence 3 (2021).

    Examples
    --------
    >>> import torch
    >>> from cameval.sanity import repeatability
    >>> maps = torch.rand(3, 16, 16)
    >>> repeatability(maps, 2 * maps - 1)
    Similarity(ssim=tensor([1., 1., 1.]), spearman=tensor([1., 1., 1.]))
    """
    first, second = map_pair(maps, again)
    _check_window(first)
    leading = first.shape[:-2]
    stacks = zip(_as_stack(first), _as_stack(second), strict=True)
    similarities = [_compare_maps(a, b) for a, b in stacks]
    ssim, spearman = torch.tensor(similarities, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return Similarity(
        as_scores(ssim.reshape(leading), maps), as_scores(spearman.reshape(leading), maps)
    )


def random_pair_similarity(
    maps: Array, /, *, pairs: int = 50, seed: int = 0
) -> tuple[float, float]:
    """Return the mean similarity of maps of different images, as a reference level.

    Parameters
    ----------
    maps
        Real, finite maps ``(N, H, W)``, with sides of at least 11.
    pairs
        Number of pairs, drawn with replacement.
    seed
        Seed of the pairs. The global random state is not changed.

    Returns
    -------
    ssim, spearman : float
        Means over the pairs; NaN with fewer than two maps. The mean rank correlation leaves out
        pairs with a constant map.

    Raises
    ------
    ArrayTypeError
        If the maps are not real.
    ShapeError
        If they are not ``(N, H, W)``, or a side is too short.
    NonFiniteError
        If a value is NaN or infinite.
    SettingError
        If `pairs` is not positive.

    References
    ----------
    N. Arun et al., "Assessing the Trustworthiness of Saliency Maps for Localizing Abnormalities in
    Medical Imaging", Radiology: Artificial Intelligence 3 (2021).

    Examples
    --------
    >>> import torch
    >>> from cameval.sanity import random_pair_similarity
    >>> random_pair_similarity(torch.arange(256.0).reshape(1, 16, 16).repeat(5, 1, 1))
    (1.0, 1.0)
    """
    check_count("pairs", pairs)
    checked = finite_maps(maps)
    if checked.ndim != 3:
        raise ShapeError(f"maps must have shape (N, H, W), got {tuple(checked.shape)}")
    _check_window(checked)
    count = len(checked)
    if count < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    first = rng.integers(count, size=pairs)
    second = (first + rng.integers(1, count, size=pairs)) % count
    similar = repeatability(checked[first], checked[second])
    ssim, spearman = (exact(torch.as_tensor(values)) for values in similar)
    return float(ssim.mean()), float(spearman.nanmean())


@dataclass(frozen=True, eq=False)
class Cascade:
    """Result of `cascading_randomization` for L layers and N images.

    Attributes
    ----------
    layers
        The layers down to which the network was randomized, from the top, L of them.
    ssim, spearman
        Similarity of the maps to those of the original network, ``(L, N)``.
    random_ssim, random_spearman
        Mean similarity of maps of different images, of the original network.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.sanity import Cascade
    >>> similarity = np.array([[0.5, 0.7]])  # of one layer and two images
    >>> cascade = Cascade(("head.linear",), similarity, similarity, 0.2, 0.1)
    >>> for row in cascade.records():
    ...     print(row)
    {'layer': 'head.linear', 'image': 0, 'ssim': 0.5, 'spearman': 0.5}
    {'layer': 'head.linear', 'image': 1, 'ssim': 0.7, 'spearman': 0.7}
    """

    layers: tuple[str, ...]
    ssim: Floats
    spearman: Floats
    random_ssim: float
    random_spearman: float

    def records(self) -> list[dict[str, str | int | float]]:
        """Return a row for each layer and image, as for ``pandas.DataFrame``."""
        return [
            {
                "layer": layer,
                "image": image,
                "ssim": float(self.ssim[stop, image]),
                "spearman": float(self.spearman[stop, image]),
            }
            for stop, layer in enumerate(self.layers)
            for image in range(self.ssim.shape[1])
        ]


def cascading_randomization(
    extract: CAMExtractor,
    images: Tensor,
    classes: Classes | None = None,
    *,
    layers: Sequence[str] | None = None,
    seed: int = 0,
    pairs: int = 50,
) -> Cascade:
    """Randomize the weights from the top layer down, and compare the maps with the original ones.

    A method whose maps stay the same does not depend on the learned weights. The target classes are
    those of the original network throughout.

    Parameters
    ----------
    extract
        The extractor to be tested. Its model is not changed.
    images
        Images ``(N, channels, H, W)``, with sides of at least 11.
    classes
        The target classes, as for :class:`CAMExtractor` but one per image; by default the predicted
        ones.
    layers
        Names in ``extract.model.named_modules()`` down to which to randomize; by default each
        module that has weights of its own. See `randomized_copies`.
    seed
        Seed of the random weights and of the random pairs.
    pairs
        Number of random pairs of maps; see `random_pair_similarity`.

    Returns
    -------
    Cascade
        Similarities for each layer and image, and those of random pairs of images.

    Raises
    ------
    ShapeError
        If there are several classes per image, or images are too small.
    LayerError
        If the network has no such layer, or it has no weights.
    NonFiniteError
        If a map is NaN or infinite.
    SettingError
        If `pairs` is not positive.

    Notes
    -----
    Maps are compared at the size of the image. The map of a random network may be constant, as for
    a class without a positive gradient under a ReLU: its rank correlation is NaN.

    References
    ----------
    J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
    N. Arun et al., "Assessing the Trustworthiness of Saliency Maps for Localizing Abnormalities in
    Medical Imaging", Radiology: Artificial Intelligence 3 (2021).

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead, hires_cam
    >>> from cameval.sanity import cascading_randomization
    >>> body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    >>> extract = CAMExtractor(CAMModel(body, GAPHead(nn.Linear(8, 2))), hires_cam)
    >>> cascade = cascading_randomization(extract, torch.rand(4, 3, 16, 16))
    >>> cascade.layers, cascade.ssim.shape
    (('head.linear', 'features.2', 'features.0'), (3, 4))
    """
    original = extract(images, classes)
    if original.classes.ndim != 1:
        raise ShapeError(
            "classes must be one per image for the cascade, got shape "
            f"{tuple(original.classes.shape)}"
        )
    reference = random_pair_similarity(original.maps, pairs=pairs, seed=seed)
    names, similarities = [], []
    for name, copy in randomized_copies(extract.model, seed, layers):
        maps = replace(extract, model=copy)(images, original.classes).maps
        names.append(name)
        similarity = repeatability(_as_numpy(original.maps), _as_numpy(maps))
        similarities.append([np.asarray(values) for values in similarity])
    ssim, spearman = np.array(similarities).reshape(len(names), 2, len(images)).transpose(1, 0, 2)
    return Cascade(tuple(names), ssim, spearman, *reference)


def _as_numpy(maps: Tensor) -> Floats:
    return maps.detach().cpu().double().numpy()


def _as_stack(maps: Tensor) -> Tensor:
    """Return maps ``(n, H, W)`` on the CPU."""
    return exact(maps.cpu()).flatten(0, -3) if maps.ndim > 2 else exact(maps.cpu())[None]


def _compare_maps(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Return SSIM and Spearman's correlation of two maps ``(H, W)``."""
    from scipy.stats import spearmanr
    from skimage.metrics import structural_similarity

    ssim = structural_similarity(
        normalize_maps(a).numpy(),
        normalize_maps(b).numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    if are_constant(a) or are_constant(b):
        return float(ssim), float("nan")
    return float(ssim), float(spearmanr(a.numpy(), b.numpy(), axis=None).statistic)


def _check_window(maps: Tensor) -> None:
    if min(maps.shape[-2:]) < _WINDOW:
        raise ShapeError(
            f"maps must have sides of at least {_WINDOW} for SSIM, got {tuple(maps.shape[-2:])}; "
            "compare maps of the size of the image, not of the feature grid"
        )
