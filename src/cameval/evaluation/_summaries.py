"""Means with intervals, pivots, paired tests and dependence of a table of results."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import SettingError
from cameval.evaluation.meaning import Column, Meanings, MetricMeaning
from cameval.statistics import Summary, describe_columns, paired_tests, rank_correlation

_COMPARED = (
    *("first", "second", "difference", "low", "high", "p"),
    *("p_holm", "low_holm", "high_holm"),
)


_VARYING = ("model", "target_class", "method", "binarizer", "metric")


def summary(
    samples: pd.DataFrame,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    constant: NDArray[np.bool_],
    by: Sequence[str],
    meanings: Meanings,
    *,
    confidence: float,
) -> pd.DataFrame:
    """Return mean, interval, quartiles and counts of each column and part of the samples."""
    known = samples.assign(correct=samples["label"] == samples["predicted"])
    if strange := [name for name in by if name not in known.columns]:
        raise SettingError(f"by must name columns of {list(known.columns)}, got {strange[0]!r}")
    rows: list[dict[str, Any]] = []
    for key, part in known.groupby(list(by), sort=False, observed=True, dropna=False):
        at = part.index.to_numpy()
        found = _describe(values[at], _groups(part), columns, meanings, confidence)
        for k, (column, one) in enumerate(zip(columns, found, strict=True)):
            rows.append(
                dict(zip(by, key, strict=True))
                | asdict(column)
                | {
                    "n": one.n,
                    "n_groups": one.n_groups,
                    "n_undefined": one.n_undefined,
                    "n_constant": int(constant[at, k].sum()),
                    "mean": one.mean,
                    "low": one.low,
                    "high": one.high,
                    "median": one.median,
                    "q25": one.q25,
                    "q75": one.q75,
                }
            )
    return pd.DataFrame(rows)


def _describe(
    values: NDArray[np.float64],
    groups: NDArray[np.str_],
    columns: Sequence[Column],
    meanings: Meanings,
    confidence: float,
) -> list[Summary]:
    """Return the summary of each column, with intervals inside the range of its metric."""
    found: dict[int, Summary] = {}
    ranges = [_range_of(meanings.metric(c.metric), values[:, k]) for k, c in enumerate(columns)]
    for ends in dict.fromkeys(ranges):
        at = [k for k, other in enumerate(ranges) if other == ends]
        several = values[:, at] if ends is None else values[:, at].clip(*ends)
        one = describe_columns(several, groups, confidence=confidence, bounds=ends)
        found |= dict(zip(at, one, strict=True))
    return [found[k] for k in range(len(columns))]


def _range_of(
    meaning: MetricMeaning | None, values: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Return the range of a metric; None if it has none, or a value is outside beyond rounding."""
    ends = None if meaning is None else meaning.value_range
    if ends is None or not ((values < ends[0] - 1e-9) | (values > ends[1] + 1e-9)).any():
        return ends
    return None


def pivot(table: pd.DataFrame, index: str, columns: str) -> pd.DataFrame:
    """Return the mean value for each pair of a row and a column."""
    for name in (index, columns):
        if name not in table.columns:
            raise SettingError(f"index and columns must be of {list(table.columns)}, got {name!r}")
    _check_fixed(table, {index, columns})
    return table.pivot_table(
        "value", index, columns, aggfunc="mean", sort=False, observed=True, dropna=False
    )


def compare(
    table: pd.DataFrame, over: str, reference: str | None, resamples: int, seed: int
) -> pd.DataFrame:
    """Test differences between the values of the column `over`, paired by sample."""
    if over not in ("model", "target_class", "method", "binarizer"):
        raise SettingError(
            f"over must be 'model', 'target_class', 'method' or 'binarizer', got {over!r}"
        )
    _check_fixed(table, {over})
    group_of = table.drop_duplicates(["sample", "group"]).set_index("sample")["group"].astype(str)
    if group_of.index.has_duplicates:
        name = group_of.index[group_of.index.duplicated()][0]
        raise SettingError(f"a sample must have one group, got several of {name!r}")
    wide = table.pivot(index="sample", columns=over, values="value")
    names = list(dict.fromkeys(table[over].astype(str)))
    if len(names) < 2:
        raise SettingError(f"{over} must have at least two values to compare, got {names}")
    if reference is not None and reference not in names:
        raise SettingError(f"reference must be one of {names}, got {reference!r}")
    tests = paired_tests(
        {name: wide[name].to_numpy() for name in names},
        group_of.loc[wide.index].to_numpy().astype(str),
        reference=reference,
        resamples=resamples,
        seed=seed,
    )
    found = pd.DataFrame([asdict(test) for test in tests])
    return found[[*_COMPARED, *(name for name in found.columns if name not in _COMPARED)]]


def dependence(
    samples: pd.DataFrame,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    on: str,
) -> pd.DataFrame:
    """Return rank correlations with the column `on`, for each model and column.

    They are computed within the labels; images without a label are one class.
    """
    if on not in ("area", "probability"):
        raise SettingError(f"on must be 'area' or 'probability', got {on!r}")
    rows: list[dict[str, Any]] = []
    for model, part in samples.groupby("model", sort=False, observed=True):
        at = part.index.to_numpy()
        groups, x = _groups(part), part[on].to_numpy(np.float64)
        classes, _ = pd.factorize(part["label"])
        for k, column in enumerate(columns):
            found = rank_correlation(x, values[at, k], groups, within=classes)
            rows.append({"model": model} | asdict(column) | {"on": on} | asdict(found))
    return pd.DataFrame(rows)


def _groups(samples: pd.DataFrame) -> NDArray[np.str_]:
    names: NDArray[np.str_] = samples["group"].to_numpy().astype(str)
    return names


def _check_fixed(table: pd.DataFrame, free: set[str]) -> None:
    for name in _VARYING:
        several = table[name].astype(str).unique()
        if name not in free and len(several) > 1:
            raise SettingError(
                f"{name} must be fixed here, got {', '.join(several[:5])}; choose one, as in "
                f"{name}={several[0]!r}"
            )
