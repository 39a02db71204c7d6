"""Questions to a table of results: means with intervals, pivots, paired tests, dependence."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import SettingError
from cameval.evaluation.plan import Column
from cameval.statistics import bootstrap_means, paired_tests, rank_correlation

__all__ = ["compare", "dependence", "pivot", "summary"]

_VARYING = ("model", "explained", "method", "binarizer", "metric")


def summary(
    samples: pd.DataFrame,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    degenerate: NDArray[np.bool_],
    by: Sequence[str],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return mean, interval, quartiles and counts of each column and part of the samples."""
    known = samples.assign(correct=samples["label"] == samples["predicted"])
    if strange := [name for name in by if name not in known.columns]:
        raise SettingError(f"by must name columns of {list(known.columns)}, got {strange[0]!r}")
    rows: list[dict[str, Any]] = []
    for key, part in known.groupby(list(by), sort=False, observed=True):
        at = part.index.to_numpy()
        intervals = bootstrap_means(
            values[at],
            part["group"].to_numpy().astype(str),
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        for k, (column, found) in enumerate(zip(columns, intervals, strict=True)):
            defined = values[at, k][~np.isnan(values[at, k])]
            quartiles = np.quantile(defined, [0.25, 0.5, 0.75]) if defined.size else [np.nan] * 3
            rows.append(
                dict(zip(by, key, strict=True))
                | asdict(column)
                | {
                    "n": found.n,
                    "n_groups": found.n_groups,
                    "n_undefined": found.n_undefined,
                    "n_degenerate": int(degenerate[at, k].sum()),
                    "mean": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "median": quartiles[1],
                    "q25": quartiles[0],
                    "q75": quartiles[2],
                }
            )
    return pd.DataFrame(rows)


def pivot(table: pd.DataFrame, index: str, columns: str) -> pd.DataFrame:
    """Return the mean value for each pair of what runs down and across."""
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
    """Test differences between what `over` names, paired by sample."""
    if over not in ("model", "explained", "method", "binarizer"):
        raise SettingError(
            f"over must be 'model', 'explained', 'method' or 'binarizer', got {over!r}"
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
    return pd.DataFrame([asdict(test) for test in tests])


def dependence(
    samples: pd.DataFrame,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    on: str,
    seed: int,
) -> pd.DataFrame:
    """Return rank correlations with what `on` names, for each model and column."""
    if on not in ("area", "probability"):
        raise SettingError(f"on must be 'area' or 'probability', got {on!r}")
    rows: list[dict[str, Any]] = []
    for model, part in samples.groupby("model", sort=False, observed=True):
        at = part.index.to_numpy()
        groups = part["group"].to_numpy().astype(str)
        for k, column in enumerate(columns):
            found = rank_correlation(part[on].to_numpy(), values[at, k], groups, seed=seed)
            rows.append({"model": model} | asdict(column) | {"on": on} | asdict(found))
    return pd.DataFrame(rows)


def _check_fixed(table: pd.DataFrame, free: set[str]) -> None:
    for name in _VARYING:
        several = table[name].astype(str).unique()
        if name not in free and len(several) > 1:
            raise SettingError(
                f"{name} must be fixed here, got {', '.join(several[:5])}; choose one, as in "
                f"{name}={several[0]!r}"
            )
