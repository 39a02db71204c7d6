"""Means with intervals, pivots, paired tests and dependence of a table of results."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval._checks import warn_user
from cameval._names import list_near_names
from cameval.errors import SettingError
from cameval.evaluation._interval_reasons import reasons
from cameval.evaluation.meaning import Column, Meanings, MetricMeaning
from cameval.evaluation.same_data import areas_differ
from cameval.statistics import (
    PairedTest,
    Summary,
    describe_columns,
    rank_correlation,
)
from cameval.statistics.paired import compare_in_parts

_COMPARED = (
    *("first", "second", "difference", "low", "high", "p"),
    *("p_holm", "low_holm", "high_holm"),
    *("reason", "reason_holm", "is_reliable"),
)


_NO_PARTS = (
    *("kind", "target_class", "method", "binarizer", "metric"),
    *("value", "reason", "constant", "weight"),
    *(field.name for field in fields(PairedTest)),
    *("reason_holm", "is_reliable", "n_unpaired"),
)
"""The columns of a table that `compare` does not split by, as its own table has them."""


_VARYING = ("model", "target_class", "method", "binarizer", "metric")


NUMBERS = (
    *("n", "n_groups", "n_undefined", "n_constant", "n_negative"),
    *("mean", "low", "high", "macro", "pooled", "median", "q25", "q75"),
)


RESERVED = (*NUMBERS, "is_reliable")
"""The columns of the summary that are its own."""


Ends = tuple[float, float] | None


def summary(
    samples: pd.DataFrame,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    constant: NDArray[np.bool_],
    by: Sequence[str],
    meanings: Meanings,
    *,
    confidence: float,
    weights: NDArray[np.float64] | None = None,
    multilabel: bool = False,
) -> pd.DataFrame:
    """Return means, interval, quartiles and counts of each column and part of the samples."""
    parts = split_rows(samples, by, multilabel=multilabel)
    if weights is None:
        weights = np.full(values.shape, np.nan)
    rows: list[dict[str, Any]] = []
    present = samples["present"].to_numpy(bool)
    for key, part in parts:
        at = part.index.to_numpy()
        here = values[at]
        ends = [
            _range_of(meanings.metric(column.metric), scores)
            for column, scores in zip(columns, here.T, strict=True)
        ]
        found = _describe(here, _groups(part), ends, confidence)
        macro = macro_means(here, part["label"])
        pooled = pooled_means(here, weights[at])
        n_constant = constant[at].sum(0)
        n_negative = (~np.isnan(here) & ~present[at][:, None]).sum(0)
        for k, (column, one) in enumerate(zip(columns, found, strict=True)):
            rows.append(
                dict(zip(by, key, strict=True))
                | asdict(column)
                | {
                    "n": one.n,
                    "n_groups": one.n_groups,
                    "n_undefined": one.n_undefined,
                    "n_constant": int(n_constant[k]),
                    "n_negative": int(n_negative[k]),
                    "mean": one.mean,
                    "low": one.low,
                    "high": one.high,
                    "macro": _clip(macro[k], ends[k]),
                    "pooled": _clip(pooled[k], ends[k]),
                    "median": one.median,
                    "q25": one.q25,
                    "q75": one.q75,
                    "is_reliable": one.is_reliable,
                }
            )
    return pd.DataFrame(rows)


def split_rows(
    samples: pd.DataFrame, by: Sequence[str], *, multilabel: bool
) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Return the rows of each part of a summary, with the values of `by` there."""
    known = samples.assign(correct=correct(samples, multilabel=multilabel))
    if strange := [name for name in by if name not in known.columns]:
        near = list_near_names(strange[0], known.columns)
        raise SettingError(
            f"by must name columns of {list(known.columns)}, got {strange[0]!r}; near names: {near}"
        )
    if taken := [name for name in by if name in RESERVED]:
        raise SettingError(
            f"by must name no column of the summary itself, got {taken[0]!r}; give the column of "
            "info another name"
        )
    if {"label", "class_name"} & set(by):
        known = known.sort_values("label", kind="stable")
    return list(known.groupby(list(by), sort=False, observed=True, dropna=False))


def correct(samples: pd.DataFrame, *, multilabel: bool) -> pd.Series:
    """Return whether each row is classified correctly, missing where that is not known.

    In a task with several labels, whether the label is predicted where it is present, and not where
    it is absent.
    """
    if not multilabel:
        return samples["label"] == samples["predicted"]
    predicted = samples["predicted"].notna()
    known = samples["label"].notna() & (predicted | samples["probability"].notna())
    return (predicted == samples["present"]).astype("boolean").where(known)


def macro_means(values: NDArray[np.float64], labels: pd.Series) -> NDArray[np.float64]:
    """Return the mean over the labels of the mean of each label, of each column.

    Labels without a defined value, and rows without a label, do not count.
    """
    codes, names = pd.factorize(labels)
    sums, counts = np.zeros((2, len(names), values.shape[1]))
    known, defined = codes >= 0, ~np.isnan(values)
    np.add.at(sums, codes[known], np.where(defined, values, 0)[known])
    np.add.at(counts, codes[known], defined[known])
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return _ratio(means.sum(0), (counts > 0).sum(0).astype(np.float64))


def pooled_means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of the pixels of all rows taken together, of each column.

    A score times its weight, the denominator, is its numerator. A score that is undefined has the
    numerator 0, as IoU where no pixel is true. The result is undefined if no score is defined, or
    the scores have no weights. If all weights are 0, it is the mean.
    """
    defined, weighted = ~np.isnan(values), ~np.isnan(weights)
    known = np.where(weighted, weights, 0.0)
    plain = np.where(defined & weighted, values, 0.0)
    count = (defined & weighted).sum(0).astype(np.float64)
    total = np.where(count > 0, known.sum(0), 0.0)
    pooled, mean = _ratio((plain * known).sum(0), total), _ratio(plain.sum(0), count)
    return np.where(total > 0, pooled, mean)


def _ratio(numerator: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ratio, NaN where the denominator is 0."""
    found = np.full(numerator.shape, np.nan)
    np.divide(numerator, count, out=found, where=count > 0)
    return found


def _describe(
    values: NDArray[np.float64], groups: NDArray[np.str_], ranges: Sequence[Ends], confidence: float
) -> list[Summary]:
    """Return the summary of each column, with intervals inside the range of its metric."""
    found: dict[int, Summary] = {}
    for ends in dict.fromkeys(ranges):
        at = [k for k, other in enumerate(ranges) if other == ends]
        several = values[:, at] if ends is None else values[:, at].clip(*ends)
        one = describe_columns(several, groups, confidence=confidence, bounds=ends)
        found |= dict(zip(at, one, strict=True))
    return [found[k] for k in range(len(ranges))]


def _clip(value: float, ends: Ends) -> float:
    """Return a mean without the rounding error that takes it out of its range."""
    return float(value if ends is None else np.clip(value, *ends))


def _range_of(meaning: MetricMeaning | None, values: NDArray[np.float64]) -> Ends:
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
    table: pd.DataFrame,
    over: str,
    reference: str | None,
    resamples: int,
    seed: int,
    by: Sequence[str] = (),
) -> pd.DataFrame:
    """Test differences between the values of the column `over`, paired by sample and label.

    The tests are made in each part of the samples, and corrected for all of them.
    """
    if over not in ("model", "target_class", "method", "binarizer"):
        raise SettingError(
            f"over must be 'model', 'target_class', 'method' or 'binarizer', got {over!r}"
        )
    _check_fixed(table, {over})
    group_of = table.drop_duplicates(["sample", "group"]).set_index("sample")["group"].astype(str)
    if group_of.index.has_duplicates:
        name = group_of.index[group_of.index.duplicated()][0]
        raise SettingError(f"a sample must have one group, got several of {name!r}")
    pair = table.groupby(["sample", "label"], sort=False, observed=True, dropna=False).ngroup()
    names = list(dict.fromkeys(table[over].astype(str)))
    _check_truths(table, pair, over)
    if len(names) < 2:
        raise SettingError(f"{over} must have at least two values to compare, got {names}")
    if reference is not None and reference not in names:
        raise SettingError(f"reference must be one of {names}, got {reference!r}")
    parts = _split_pairs(table, pair, over, by)
    wide = table[[over, "value"]].assign(pair=pair).pivot(index="pair", columns=over)["value"]
    of_pair = table["group"].groupby(pair).first().loc[wide.index].to_numpy().astype(str)
    families = compare_in_parts(
        [({name: wide[name].to_numpy()[at] for name in names}, of_pair[at]) for _, at in parts],
        reference=reference,
        resamples=resamples,
        seed=seed,
    )
    there = pd.crosstab(pair, table[over].astype(str)) > 0  # a value that is NaN is a row, too
    for test in families[0]:
        of_first, of_second = (
            table.loc[table[over].astype(str) == one, "sample"].astype(str).unique()
            for one in (test.first, test.second)
        )
        n_names = len(np.intersect1d(of_first, of_second))
        _check_paired(there[test.first], there[test.second], over, n_names=n_names)
    rows = [
        dict(zip(by, key, strict=True))
        | asdict(test)
        | reasons(test)
        | {"is_reliable": test.is_reliable}
        | _count_paired(there.iloc[at], test)
        for (key, at), tests in zip(parts, families, strict=True)
        for test in tests
    ]
    found = pd.DataFrame(rows)
    return found[[*by, *_COMPARED, *(n for n in found.columns if n not in (*by, *_COMPARED))]]


def _split_pairs(
    table: pd.DataFrame, pair: pd.Series, over: str, by: Sequence[str]
) -> list[tuple[tuple[Any, ...], NDArray[np.intp]]]:
    """Return the values of `by` of each part of the pairs, and the positions of its pairs."""
    if strange := [name for name in by if name not in table.columns or name in _NO_PARTS]:
        known = [str(name) for name in table.columns if name not in _NO_PARTS]
        near = list_near_names(strange[0], known)
        raise SettingError(
            f"by must name columns of {known}, got {strange[0]!r}; near names: {near}"
        )
    first = table.loc[~pair.duplicated()].assign(pair=pair).set_index("pair").sort_index()
    if not by:
        return [((), np.arange(len(first)))]
    for name in by:
        several = table[name].groupby(pair).nunique(dropna=False) > 1
        if several.any():
            raise SettingError(
                f"by must be the same for each {over} of a sample and label, got several values of "
                f"{name!r} for {first['sample'].iloc[int(several.to_numpy().argmax())]!r}"
            )
    order = first.reset_index(drop=True)
    if {"label", "class_name"} & set(by):
        order = order.sort_values("label", kind="stable")
    groups = order.groupby(list(by), sort=False, observed=True, dropna=False)
    return [(key, np.sort(part.index.to_numpy())) for key, part in groups]


def _check_paired(first: pd.Series, second: pd.Series, over: str, *, n_names: int) -> None:
    """Check that two have samples in common, and warn of those that one of them has alone.

    `n_names` are the names that both have, with any label.
    """
    n_both, n_one = int((first & second).sum()), int((first ^ second).sum())
    if n_both == 0:
        advice = "compare results of the same data, with the same names"
        if n_names:
            advice = (
                f"{n_names:,} have the same name and another label: label them by the same list of "
                "classes, or leave the labels out"
            )
        raise SettingError(
            f"{over} {first.name!r} and {second.name!r} must have samples in common, of the same "
            f"name and label, got none; {advice}"
        )
    if n_one:
        warn_user(
            f"{n_one} of {n_both + n_one} samples and labels are in one {over} only, of "
            f"{first.name!r} and {second.name!r}; they are not compared"
        )


def _count_paired(there: pd.DataFrame, test: PairedTest) -> dict[str, int]:
    """Return how many values of a test are undefined, and how many are in one column only."""
    first, second = there[test.first], there[test.second]
    n_both = int((first & second).sum())
    return {"n_undefined": n_both - test.n, "n_unpaired": int((first ^ second).sum())}


def _check_truths(table: pd.DataFrame, pair: pd.Series, over: str) -> None:
    """Warn if a sample and label has truths of different areas, which are different truths."""
    differ = areas_differ(table, pair)
    if differ.any():
        at = int((pair == differ.index[differ.to_numpy()][0]).to_numpy().argmax())
        warn_user(
            f"{int(differ.sum())} of {len(differ)} samples and labels have truths of different "
            f"area in different values of {over}, as {table['sample'].iloc[at]!r}: scores of "
            "different truths, or of different crops, are not comparable",
        )


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
