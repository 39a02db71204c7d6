"""Maps and truths whose scores are stored, and the program that stores them.

    python tests/stored_results.py

The maps are made by arithmetic that has the same bits on every machine: no matrix products, no sums
over pixels. The scores were stored by version 0.1.0 before maps were scored together. To store them
again is to say that they were wrong.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameval import Results, Sample, evaluate_maps
from cameval.binarizers import (
    MedianBinarizer,
    MultiOtsuBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    TopAreaBinarizer,
)
from cameval.metrics import (
    Outcomes,
    average_precision_skill,
    cohen_kappa,
    coverage,
    dice,
    false_positive_rate,
    informedness,
    iou,
    iou_at_true_area,
    marked_area,
    matthews_correlation,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    precision,
    relevance_rank_accuracy,
    size_standardized_iou,
    specificity,
)

FILE = Path(__file__).with_suffix(".npz")

AVERAGE_PRECISION = ("pixel_average_precision", "average_precision_skill")
"""Sums in floating point, whose last digits depend on the order."""

_METRICS = [
    *(pointing_game, pixel_auroc, pixel_average_precision, average_precision_skill),
    *(relevance_rank_accuracy, iou_at_true_area, iou, dice, size_standardized_iou, coverage),
    *(precision, informedness, matthews_correlation, cohen_kappa, false_positive_rate),
    *(specificity, marked_area, Outcomes()),
]

_BINARIZERS = [
    *(PercentileBinarizer(95), PercentileBinarizer(72.5), MedianBinarizer(), TopAreaBinarizer()),
    *(OtsuBinarizer(), MultiOtsuBinarizer()),
]


def random_samples() -> Iterator[Sample]:
    """Yield truths of several sizes, empty and full ones, some with pixels that are ignored."""
    random = np.random.default_rng(0)
    for number in range(24):
        size = [(64, 80), (65, 63), (9, 11), (128, 96)][number % 4]
        mask = _smooth(random, size) > random.random()
        if number in (5, 6):
            mask[:] = number == 5
        ignore = random.random(size) < 0.2 if number % 3 == 2 else None
        image = np.zeros(size, np.float32)
        yield Sample(f"random {number}", image, mask, ignore=ignore)


def pets(data: Path) -> Iterator[Sample]:
    """Yield the masks of photographs."""
    for file in sorted((data / "pets" / "masks").iterdir())[::5]:
        mask = np.asarray(Image.open(file)) > 0
        yield Sample(file.stem, np.zeros(mask.shape, np.float32), mask)


def slices(data: Path) -> Iterator[Sample]:
    """Yield the masks of tumors."""
    with h5py.File(data / "figshare" / "slices_224.h5") as packed:
        for index in range(0, len(packed["mask_packbits"]), 60):
            bits = np.unpackbits(packed["mask_packbits"][index])
            mask = bits.reshape(224, 224).astype(bool)
            yield Sample(f"slice {index}", np.zeros(mask.shape, np.float32), mask)


def evaluate_stored(samples: Iterator[Sample]) -> Results:
    """Score six kinds of maps of samples."""
    return evaluate_maps(
        {
            "smooth": lambda sample: _smooth(_random(sample), sample.mask.shape),
            "signed": lambda sample: _smooth(_random(sample), sample.mask.shape) * 90 - 30,
            "rough": lambda sample: _random(sample).standard_normal(sample.mask.shape, np.float32),
            "tied": lambda sample: np.round(_smooth(_random(sample), sample.mask.shape) * 8) / 8,
            "double": lambda sample: _random(sample).random(sample.mask.shape) * 1e-3,
            "constant": lambda sample: np.full(sample.mask.shape, -0.5, np.float32),
        },
        [*samples],
        metrics=_METRICS,
        binarizers=_BINARIZERS,
        baselines={},
        progress=False,
    )


def _random(sample: Sample) -> np.random.Generator:
    return np.random.default_rng([*sample.name.encode()])


def _smooth(random: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a bilinear map of 7 x 7 random cells."""
    found = random.random((7, 7), np.float32)
    for length in size:
        position = np.arange(length, dtype=np.float32) * np.float32(6 / length)
        cell = position.astype(np.intp)
        share = (position - cell)[:, None]
        found = (found[cell] * (1 - share) + found[cell + 1] * share).T
    return found


def main() -> None:
    """Store the scores."""
    data = Path(os.environ["CAMEVAL_TEST_DATA"]) / "data"
    stored: dict[str, NDArray[np.generic]] = {}
    for name, samples in (
        ("random", random_samples()),
        ("pets", pets(data)),
        ("slices", slices(data)),
    ):
        results = evaluate_stored(samples)
        stored |= {f"{name} values": results.values, f"{name} codes": results.codes}
        stored |= {
            f"{name} weights": results.weights,
            f"{name} names": results.samples["sample"].to_numpy(str),
        }
        stored["columns"] = np.array([str(column) for column in results.columns])
    np.savez_compressed(FILE, **stored)


if __name__ == "__main__":
    main()
