"""Sanity of maps: they change when the network forgets, and stay when only a seed changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, finite_maps
from cameval._checks import check_count
from cameval.errors import ArrayTypeError, ShapeError
from cameval.extractor import CAMExtractor
from cameval.maps import constant, normalize_maps
from cameval.networks._randomize import randomized_copies, untrained
from cameval.target_classes import Classes

__all__ = [
    "Cascade",
    "Similarity",
    "cascading_randomization",
    "random_pair_similarity",
    "randomized_copies",
    "repeatability",
    "untrained",
]

Floats = NDArray[np.float64]

_WINDOW = 11  # of SSIM's Gaussian with sigma 1.5, as published


class Similarity(NamedTuple):
    """How alike two stacks of maps are, pair by pair.

    Attributes
    ----------
    ssim
        Structural similarity ``(...)``, at most 1.
    spearman
        Rank correlation over the pixels ``(...)``, in [-1, 1]; NaN where a map is constant.
    """

    ssim: Tensor | Floats
    spearman: Tensor | Floats


def repeatability(maps: Array, again: Array, /) -> Similarity:
    """Compare two maps of each image: of two seeds, two networks, two runs.

    Maps of networks that differ in their seed alone should be alike; see
    `random_pair_similarity` for what maps of different images reach.

    Parameters
    ----------
    maps, again
        Real, finite maps ``(..., H, W)`` of one shape and kind, with sides of at least 11.

    Returns
    -------
    Similarity
        SSIM of the maps, each scaled to [0, 1] by its own extremes (a constant one becomes zeros),
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
    >>> from cameval.sanity import repeatability
    >>> maps = torch.rand(3, 16, 16)
    >>> repeatability(maps, 2 * maps - 1)
    Similarity(ssim=tensor([1., 1., 1.]), spearman=tensor([1., 1., 1.]))
    """
    if isinstance(maps, Tensor) != isinstance(again, Tensor):
        raise ArrayTypeError(
            "maps and again must both be NumPy arrays or both torch tensors, "
            f"got {type(maps).__name__} and {type(again).__name__}"
        )
    first, second = finite_maps(maps), finite_maps(again, "again")
    if first.shape != second.shape:
        raise ShapeError(
            "maps and again must have one shape, "
            f"got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    _check_window(first)
    leading = first.shape[:-2]
    found = [_compare(a, b) for a, b in zip(_stack(first), _stack(second), strict=True)]
    ssim, spearman = torch.tensor(found, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return Similarity(
        as_scores(ssim.reshape(leading), maps), as_scores(spearman.reshape(leading), maps)
    )


def random_pair_similarity(
    maps: Array, /, *, pairs: int = 50, seed: int = 0
) -> tuple[float, float]:
    """Mean similarity of maps of different images: what a map without meaning may reach.

    Parameters
    ----------
    maps
        Real, finite maps ``(N, H, W)``, with sides of at least 11.
    pairs
        How many pairs to draw; a pair may come again.
    seed
        Of the pairs. No global random state is touched.

    Returns
    -------
    ssim, spearman : float
        Means over the pairs; NaN with fewer than two maps. Pairs with a constant map do not count
        for the rank correlation.

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
    ssim, spearman = (exact(torch.as_tensor(each)) for each in similar)
    return float(ssim.mean()), float(spearman.nanmean())


@dataclass(frozen=True, eq=False)
class Cascade:
    """What `cascading_randomization` finds for L stops and N images.

    Attributes
    ----------
    layers
        The layers down to which the network was random, from the top, L of them.
    ssim, spearman
        Similarity of the maps to those of the network as it is, ``(L, N)``.
    random_ssim, random_spearman
        Mean similarity of maps of different images, by the network as it is.
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
    """Make the network random from the top down, and see whether the maps notice.

    A method whose maps stay the same while the network forgets does not show what was learned. The
    classes are those of the network as it is, throughout.

    Parameters
    ----------
    extract
        The extractor whose maps are tested. Its model is not changed.
    images
        Images ``(N, channels, H, W)``, with sides of at least 11.
    classes
        The explained classes, as for :class:`CAMExtractor` but one per image; by default the
        predicted ones.
    layers
        Where to stop, as names in ``extract.model.named_modules()``; by default each module that
        has weights of its own. See `randomized_copies`.
    seed
        Of the random weights and of the random pairs.
    pairs
        How many random pairs of maps the level is the mean of.

    Returns
    -------
    Cascade
        Similarities for each layer and image, and the level of random pairs beside them.

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
    Maps are compared as they are on the image. A map of a random network may be constant, as that
    of a class without a positive gradient under a ReLU: its rank correlation is NaN.

    References
    ----------
    J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
    N. Arun et al., "Assessing the Trustworthiness of Saliency Maps for Localizing Abnormalities in
    Medical Imaging", Radiology: Artificial Intelligence 3 (2021).

    Examples
    --------
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
            "classes must be one per image to be followed through the cascade, got shape "
            f"{tuple(original.classes.shape)}"
        )
    level = random_pair_similarity(original.maps, pairs=pairs, seed=seed)
    names, found = [], []
    for name, copy in randomized_copies(extract.model, seed, layers):
        maps = replace(extract, model=copy)(images, original.classes).maps
        names.append(name)
        found.append(
            [np.asarray(each) for each in repeatability(_host(original.maps), _host(maps))]
        )
    ssim, spearman = np.array(found).reshape(len(names), 2, len(images)).transpose(1, 0, 2)
    return Cascade(tuple(names), ssim, spearman, *level)


def _host(maps: Tensor) -> Floats:
    return maps.detach().cpu().double().numpy()


def _stack(maps: Tensor) -> Tensor:
    """Return maps ``(n, H, W)`` on the host."""
    return exact(maps.cpu()).flatten(0, -3) if maps.ndim > 2 else exact(maps.cpu())[None]


def _compare(a: Tensor, b: Tensor) -> tuple[float, float]:
    """SSIM and Spearman's correlation of two maps ``(H, W)``."""
    ssim = structural_similarity(
        normalize_maps(a).numpy(),
        normalize_maps(b).numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    if constant(a) or constant(b):
        return float(ssim), float("nan")
    return float(ssim), float(spearmanr(a.numpy(), b.numpy(), axis=None).statistic)


def _check_window(maps: Tensor) -> None:
    if min(maps.shape[-2:]) < _WINDOW:
        raise ShapeError(
            f"maps must have sides of at least {_WINDOW} for SSIM, got {tuple(maps.shape[-2:])}; "
            "compare them on the image, not on the feature grid"
        )
