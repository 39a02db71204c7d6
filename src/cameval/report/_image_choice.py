"""Which images are drawn where there are too many, and which are shown first."""

from collections.abc import Iterable, Sequence

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


def pick_rows(
    scores: NDArray[np.float64],
    images: NDArray[np.intp],
    areas: NDArray[np.float64],
    *,
    higher_is_better: bool | None,
) -> dict[str, int]:
    """Return the rows of the worst, the median and the best score; of fewer if there are fewer.

    Of rows with the same score it is one of an image that is not among the others, if there is one;
    of these the one whose area is nearest to the median of their areas; of these the first.

    Parameters
    ----------
    scores, images, areas
        The score, image and area of the object of each target, ``(n,)``.
    higher_is_better
        Of the score; without it the names are lowest, median and highest.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.report._image_choice import pick_rows
    >>> scores, areas = np.array([0, 0, 0, 0.2, 0.5]), np.array([0.1, 0.4, 0.2, 0.3, 0.3])
    >>> pick_rows(scores, np.arange(5), areas, higher_is_better=True)
    {'worst': 2, 'median': 0, 'best': 4}
    """
    defined = np.flatnonzero(~np.isnan(scores))
    ranked = defined[np.argsort(scores[defined], kind="stable")]
    names = ("lowest", "median", "highest")
    if higher_is_better is not None:
        names = ("worst", "median", "best") if higher_is_better else ("best", "median", "worst")
    wanted = [(), (1,), (0, 2), (0, 2, 1)][min(len(ranked), 3)]
    places = (0, (len(ranked) - 1) // 2, len(ranked) - 1)
    picked: dict[str, int] = {}
    for k in wanted:
        rows = ranked[scores[ranked] == scores[ranked[places[k]]]]
        rows = np.sort(rows[~np.isin(rows, list(picked.values()))])
        elsewhere = rows[~np.isin(images[rows], images[list(picked.values())])]
        rows = elsewhere if len(elsewhere) else rows
        size = np.nan_to_num(areas[rows])
        picked[names[k]] = int(rows[np.argmin(np.abs(size - np.median(size)))])
    order = ("worst", "lowest", "median", "best", "highest")
    return {name: picked[name] for name in order if name in picked}


def required_images(sets: Iterable[Iterable[int]], limit: int) -> list[int]:
    """Return the images that are drawn in any case: the first set, and others while they are few.

    Parameters
    ----------
    sets
        The numbers of the worst, the median and the best image by the scores of each pair of method
        and binarizer, in the order in which they are wanted.
    limit
        The most images that are drawn. With those of a set after the first, the required ones are
        at most a quarter of them.

    Examples
    --------
    >>> from cameval.report._image_choice import required_images
    >>> required_images([(4, 2, 7), (4, 3, 9), (1, 2, 7)], 16)
    [4, 2, 7, 1]
    """
    kept: dict[int, None] = {}
    for number, images in enumerate(sets):
        more = kept | dict.fromkeys(images)
        if number == 0 or len(more) <= limit // 4:
            kept = more
    return list(kept)


def describe_choice(
    chosen: int, total: int, method: str, binarizer: str, *, more: bool = False
) -> str:
    """Return how images were chosen, by the scores of a method and a binarizer, as a sentence.

    With `more` there are also those that `required_images` gives of other pairs.
    """
    others = "; also the worst, the median and the best by others" if more else ""
    return (
        f"{chosen:,} of {format_count(total, 'image')} are shown: those at equal steps of the rank "
        f"of their score in each class, by {', '.join(filter(None, (method, binarizer)))}{others}."
    )


def _shares(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Return how many of each class are drawn, in proportion, by largest remainders."""
    exact = sizes * (total / sizes.sum())
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[rest] += 1
    return counts
