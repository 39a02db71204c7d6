"""Measure how often the intervals hold the true value that they are to hold in 95 % of studies.

Studies are simulated: groups (patients) of images whose scores resemble each other within a group,
in the usual shapes: near-normal scores, skewed ones, scores of which many are 0 as those of IoU
are, and shares. For each shape, number of groups and spread of their sizes it prints how often the
interval holds the true value, with the standard error of this frequency::

    python benchmarks/coverage.py
    python benchmarks/coverage.py --studies 10000 --only mean

Ends with an error if a goal is missed by more than two standard errors.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from cameval.statistics import (
    clustered_regression,
    difference_interval,
    mean_intervals,
    paired_tests,
    rank_correlation,
)

Floats = NDArray[np.float64]
GROUPS = (5, 8, 10, 12, 20, 35, 50, 134)
NOMINAL = 0.95


@dataclass(frozen=True)
class Shape:
    """How scores are distributed: their quantiles, and their mean."""

    name: str
    quantiles: Callable[[Floats], Floats]
    mean: float
    goal: tuple[int, float] | None = None
    """From how many groups on what coverage is to be reached."""


@dataclass(frozen=True)
class Sizes:
    """How many images the groups have, and how much these resemble each other."""

    name: str
    pattern: tuple[int, ...]
    alike: float
    """Correlation of two images of a group before they are given their shape."""

    def groups(self, n_groups: int) -> NDArray[np.intp]:
        """Return the group of each image."""
        return np.repeat(np.arange(n_groups), np.resize(self.pattern, n_groups))


def beta(a: float, b: float, zeros: float = 0) -> Callable[[Floats], Floats]:
    """Return the quantiles of a beta distribution, or of 0 in a share of the images."""

    def quantiles(level: Floats) -> Floats:
        inside = np.clip((level - zeros) / (1 - zeros), 0, 1)
        found: Floats = np.where(level < zeros, 0, betaincinv(a, b, inside))
        return found

    return quantiles


def share(p: float) -> Callable[[Floats], Floats]:
    """Return the quantiles of a share."""
    return lambda level: (level > 1 - p).astype(np.float64)


SHAPES = (
    Shape("near-normal", beta(5, 5), 0.5, (10, 0.93)),
    Shape("skewed (exponential)", lambda level: -np.log1p(-level), 1),
    Shape("60 % zeros", beta(2, 3, 0.6), 0.4 * 0.4, (20, 0.90)),
    Shape("85 % zeros", beta(2, 3, 0.85), 0.15 * 0.4, (20, 0.90)),
    Shape("share of .05", share(0.05), 0.05, (20, 0.90)),
    Shape("share of .2", share(0.2), 0.2),
    Shape("share of .5", share(0.5), 0.5),
)
SIZES = (
    Sizes("1", (1,), 0),
    Sizes("5", (5,), 0.3),
    Sizes("1 to 13", (1, 2, 1, 5, 3, 13, 2, 8), 0.3),
    Sizes("1 to 13, very alike", (1, 2, 1, 5, 3, 13, 2, 8), 0.7),
)


@dataclass(frozen=True)
class Coverage:
    """One row of the table: a share of studies for each number of groups."""

    procedure: str
    shape: str
    sizes: str
    shares: tuple[float, ...]
    studies: int
    goal: tuple[int, float] | None

    def missed(self) -> bool:
        """Whether a goal is missed by more than two standard errors."""
        if self.goal is None:
            return False
        least, wanted = self.goal
        error = (wanted * (1 - wanted) / self.studies) ** 0.5
        return any(
            found < wanted - 2 * error
            for n_groups, found in zip(GROUPS, self.shares, strict=True)
            if n_groups >= least
        )


# --- Simulated studies ----------------------------------------------------------------------------


def levels(
    groups: NDArray[np.intp], alike: float, studies: int, rng: np.random.Generator
) -> Floats:
    """Draw levels in (0, 1) for the images of as many studies, ``(N, studies)``."""
    return ndtr(latent(groups, alike, studies, rng)).clip(1e-12, 1 - 1e-12)


def latent(
    groups: NDArray[np.intp], alike: float, studies: int, rng: np.random.Generator
) -> Floats:
    """Draw standard normal numbers that correlate within groups, ``(N, studies)``."""
    of_group = rng.normal(size=(groups.max() + 1, studies))[groups]
    own = rng.normal(size=(groups.size, studies))
    found: Floats = np.sqrt(alike) * of_group + np.sqrt(1 - alike) * own
    return found


def covered(ends: Iterable[tuple[float, float]], true: float) -> float:
    """Return the share of the intervals that hold the true value; NaN of less than half of them.

    Studies that have no interval are left out.
    """
    low, high = np.array([*ends]).T
    defined = ~np.isnan(low)
    if defined.mean() < 0.5:
        return float("nan")
    return float(np.mean((low <= true + 1e-12) & (true - 1e-12 <= high), where=defined))


def of_mean(shape: Shape, sizes: Sizes, n_groups: int, studies: int) -> float:
    """Coverage of `mean_interval`."""
    groups = sizes.groups(n_groups)
    values = shape.quantiles(levels(groups, sizes.alike, studies, np.random.default_rng(n_groups)))
    return covered(((m.low, m.high) for m in mean_intervals(values, groups)), shape.mean)


def of_paired(shape: Shape, sizes: Sizes, n_groups: int, studies: int) -> float:
    """Coverage of the paired test's interval for a method that scores .7 times as much less."""
    rng, groups = np.random.default_rng(n_groups), sizes.groups(n_groups)
    first, second = (shape.quantiles(levels(groups, sizes.alike, studies, rng)) for _ in range(2))
    columns = {str(k): column for k, column in enumerate((first - 0.3 * second).T)}
    tests = paired_tests(
        columns | {"zero": np.zeros(groups.size)}, groups, reference="zero", resamples=1999
    )
    return covered(((t.low, t.high) for t in tests), 0.7 * shape.mean)


def of_effect(shape: Shape, sizes: Sizes, n_groups: int, studies: int) -> float:
    """Coverage of the interval of the effect size, for scores less half their mean."""
    rng, groups = np.random.default_rng(n_groups), sizes.groups(n_groups)
    values = shape.quantiles(levels(groups, sizes.alike, studies, rng)) - shape.mean / 2
    many = shape.quantiles((np.arange(100_000) + 0.5) / 100_000)
    columns = {str(k): column for k, column in enumerate(values.T)}
    tests = paired_tests(
        columns | {"zero": np.zeros(groups.size)}, groups, reference="zero", resamples=1999
    )
    true = shape.mean / 2 / many.std()
    return covered(((t.effect_low, t.effect_high) for t in tests), true)


def of_difference(shape: Shape, sizes: Sizes, n_groups: int, studies: int) -> float:
    """Coverage of `difference_interval` where a third of the images is in the second part."""
    rng, groups = np.random.default_rng(n_groups), sizes.groups(n_groups)
    values = shape.quantiles(levels(groups, sizes.alike, studies, rng))
    where = rng.random(values.shape) < 2 / 3
    found = (
        difference_interval(column, chosen, groups)
        for column, chosen in zip(values.T, where.T, strict=True)
    )
    return covered(((one.low, one.high) for one in found), 0)


def of_slope(alike: bool) -> Callable[[Shape, Sizes, int, int], float]:
    """Coverage of a slope of `clustered_regression`, on what varies by group or by image."""

    def measure(shape: Shape, sizes: Sizes, n_groups: int, studies: int) -> float:
        rng, groups = np.random.default_rng(n_groups), sizes.groups(n_groups)
        values = shape.quantiles(levels(groups, sizes.alike, studies, rng))
        x = latent(groups, float(alike), studies, rng)
        fits = (
            clustered_regression(y, {"x": column}, groups)["x"]
            for y, column in zip(values.T, x.T, strict=True)
        )
        return covered(((fit.low, fit.high) for fit in fits), 0)

    return measure


def of_rank(correlation: float) -> Callable[[Shape, Sizes, int, int], float]:
    """Coverage of `rank_correlation` within two classes that differ in both properties."""

    def measure(shape: Shape, sizes: Sizes, n_groups: int, studies: int) -> float:
        rng, groups = np.random.default_rng(n_groups), sizes.groups(n_groups)
        x, own = (latent(groups, sizes.alike, studies, rng) for _ in range(2))
        y = correlation * x + np.sqrt(1 - correlation**2) * own
        classes = groups % 2
        y = shape.quantiles(ndtr(y).clip(1e-12, 1 - 1e-12)) + classes[:, None]
        true = true_rank_correlation(shape, correlation)
        found = (
            rank_correlation(one + classes, other, groups, within=classes)
            for one, other in zip(x.T, y.T, strict=True)
        )
        return covered(((one.low, one.high) for one in found), true)

    return measure


def true_rank_correlation(shape: Shape, correlation: float) -> float:
    """Return Spearman's coefficient of a normal number and one that is given the shape."""
    level = (np.arange(20_000) + 0.5) / 20_000
    values = shape.quantiles(level)
    _, count = np.unique(values, return_counts=True)
    if count.size == values.size:
        return float(6 / np.pi * np.arcsin(correlation / 2))
    # all levels below an edge have one value, and so one mean rank
    edge = count.max() / level.size
    rng = np.random.default_rng(0)
    x, own = rng.normal(size=(2, 2_000_000))
    y = ndtr(correlation * x + np.sqrt(1 - correlation**2) * own)
    ranks = np.where(y < edge, edge / 2, y)
    return float(np.corrcoef(ndtr(x), ranks)[0, 1])


# --- The table ------------------------------------------------------------------------------------

Measure = Callable[[Shape, Sizes, int, int], float]


def plan() -> Iterator[tuple[str, Measure, Sequence[Shape], Sequence[Sizes], float]]:
    """Yield each procedure with its shapes and sizes, and the share of studies that it is given."""
    near, skewed, zeros, sparse, rare, _, half = SHAPES
    without_goals = [
        Shape(shape.name, shape.quantiles, shape.mean)
        for shape in (near, skewed, zeros, sparse, rare, half)
    ]
    near, skewed, zeros, sparse, rare, half = without_goals
    yield "mean", of_mean, SHAPES, SIZES, 1
    yield "paired", of_paired, [near, skewed, zeros, sparse, rare, half], SIZES[:3], 0.25
    yield "effect", of_effect, [near, zeros], SIZES[:3], 0.25
    yield "difference", of_difference, [near, zeros, sparse, rare], SIZES[1:3], 0.25
    yield "slope, by group", of_slope(True), [near, zeros], SIZES[1:3], 0.25
    yield "slope, by image", of_slope(False), [near, zeros], SIZES[1:3], 0.25
    yield "rank correlation 0", of_rank(0), [near, zeros], SIZES[:3], 0.15
    yield "rank correlation .5", of_rank(0.5), [near, zeros], SIZES[:3], 0.15


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each kind, for means")
    parser.add_argument("--only", default="", help="procedures whose name starts like this")
    given = parser.parse_args()
    print(f"nominal coverage {NOMINAL}\n")
    print("| interval of | scores | images per group |", *(f" {n} groups |" for n in GROUPS), "± |")
    print("| --- | --- | --- |", *(" --- |" for _ in GROUPS), "--- |")
    missed = []
    for name, measure, shapes, all_sizes, part in plan():
        if not name.startswith(given.only):
            continue
        studies = max(1, round(given.studies * part))
        for shape in shapes:
            for sizes in all_sizes:
                shares = tuple(measure(shape, sizes, n, studies) for n in GROUPS)
                row = Coverage(name, shape.name, sizes.name, shares, studies, shape.goal)
                missed += [row] if row.missed() else []
                error = (NOMINAL * (1 - NOMINAL) / studies) ** 0.5
                cells = [f"{one:.3f}" for one in (*shares, error)]
                print(
                    f"| {name} | {shape.name} | {sizes.name} |",
                    " | ".join(cells),
                    "|",
                    "missed" if row.missed() else "",
                    flush=True,
                )
    if missed:
        sys.exit(f"{len(missed)} goals are missed")


if __name__ == "__main__":
    main()
