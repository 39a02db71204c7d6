"""A preparation in the words of a paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cameval.evaluation.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation

_FITS = {
    "squeeze": "each axis by itself",
    "crop": "after a cut to the aspect ratio of the input",
    "pad": "with the aspect ratio kept, on a ground of the mean color",
}


def record_of_preparation(prepare: object) -> dict[str, Any] | None:
    """Return the settings of a preparation for JSON; None for a function of the user."""
    return asdict(prepare) if type(prepare) is Preparation else None


def describe_preparation(record: Mapping[str, Any], what: str | None = None) -> str:
    """Return the settings of a preparation as a sentence.

    Parameters
    ----------
    record
        What `record_of_preparation` returned.
    what
        What is prepared. By default volumes if a size has three numbers, else images.

    Examples
    --------
    >>> from cameval import Preparation
    >>> from cameval.evaluation._preparation_words import (
    ...     describe_preparation,
    ...     record_of_preparation,
    ... )
    >>> print(describe_preparation(record_of_preparation(Preparation(64, mean=(0,), std=(1,)))))
    Images are resized to 64 x 64 pixels (each axis by itself).
    >>> print(describe_preparation(record_of_preparation(Preparation(None, truth_size=32))))
    Images are normalized as those of ImageNet, and maps are scored on 32 x 32 pixels.
    """
    parts = list(_parts(record))
    sizes = [size for name in ("size", "truth_size") if (size := record.get(name))]
    what = what or ("volumes" if any(len(size) == 3 for size in sizes) else "images")
    what = what[:1].upper() + what[1:]
    if grid := record.get("truth_size"):
        parts.append(f"maps are scored on {_size(grid)}")
    if not parts:
        return f"{what} are neither resized nor normalized."
    first, *others = parts
    if not first.startswith("maps"):
        first = f"{what} are {first}"
    joined = f"{', '.join([first, *others[:-1]])}, and {others[-1]}" if others else first
    return f"{joined[0].upper()}{joined[1:]}."


def describe_crop(record: Mapping[str, Any]) -> str:
    """Return to what part images are cropped; an empty text if they are not.

    Examples
    --------
    >>> from cameval import Preparation
    >>> from cameval.evaluation._preparation_words import describe_crop, record_of_preparation
    >>> describe_crop(record_of_preparation(Preparation(224, crop=0.875)))
    'cropped to the centered square with 87.5 % of the shorter side'
    """
    share = record["crop"]
    if record["fit"] == "crop":
        of = "" if share in (None, 1) else f" with {100 * share:g} % of the largest"
        return f"cropped to the centered part{of or ' with the aspect ratio of the input'}"
    if share is None:
        return ""
    return f"cropped to the centered square with {100 * share:g} % of the shorter side"


def _parts(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is done to the images."""
    if record["crop"] is not None:
        yield describe_crop(record)
    if record["size"] is not None:
        yield f"resized to {_size(record['size'])} ({_FITS[record['fit']]})"
    mean, std = tuple(record["mean"]), tuple(record["std"])
    if (mean, std) == (IMAGENET_MEAN, IMAGENET_STD):
        yield "normalized as those of ImageNet"
    elif any(mean) or set(std) != {1}:
        yield f"normalized by the means {_numbers(mean)} and standard deviations {_numbers(std)}"


def _size(size: Sequence[int]) -> str:
    return f"{' x '.join(map(str, size))} {'voxels' if len(size) == 3 else 'pixels'}"


def _numbers(several: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in several)
