"""Which images are drawn where there are too many: at equal steps of the score in each class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cameval.report.formatting import format_count

MOST_IN_PAGE = 100
"""The most images of a model whose pictures are inside the page itself."""


def choose_images(
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    images: NDArray[np.intp],
    limit: int,
    *,
    required: Sequence[int] = (),
) -> NDArray[np.intp]:
    """Return the numbers of the images to draw, in order.

    Each class has a share of them, and so have the images without a score. In a class the images
    are at equal steps of the rank of their score, the lowest and the highest among them.

    Parameters
    ----------
    scores, labels, images
        The score, label and image of each target, ``(n,)``; an image is chosen by its first target
        with a score.
    limit
        The most images, at least 1.
    required
        Images that are drawn in any case, as far as the limit allows.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.report._image_choice import choose_images
    >>> scores, labels = np.arange(10.0), np.zeros(10, int)
    >>> choose_images(scores, labels, np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    different = np.unique(images)
    if len(different) <= limit:
        return different
    kept = np.array(list(dict.fromkeys(required))[:limit], np.intp)
    order = np.lexsort((np.arange(len(images)), np.isnan(scores), images))
    first = order[np.unique(images[order], return_index=True)[1]]
    first = first[~np.isin(images[first], kept)]
    strata = np.where(np.isnan(scores[first]), -2, labels[first])
    names, sizes = np.unique(strata, return_counts=True)
    chosen = [kept]
    for name, count in zip(names, _shares(sizes, limit - len(kept)), strict=True):
        inside = first[strata == name]
        ranked = inside[np.lexsort((images[inside], scores[inside]))]
        steps = np.linspace(0, len(ranked) - 1, count) if count > 1 else [(len(ranked) - 1) // 2]
        chosen.append(images[ranked[np.rint(steps[:count]).astype(int)]])
    numbers: NDArray[np.intp] = np.sort(np.concatenate(chosen))
    return numbers


def describe_choice(chosen: int, total: int, method: str, binarizer: str) -> str:
    """Return how images were chosen, by the scores of a method and a binarizer, as a sentence."""
    return (
        f"{chosen:,} of {format_count(total, 'image')} are shown: those at equal steps of the rank "
        f"of their score in each class, by {', '.join(filter(None, (method, binarizer)))}."
    )


def _shares(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Return how many of each class are drawn, in proportion, by largest remainders."""
    exact = sizes * (total / sizes.sum())
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[rest] += 1
    return counts
