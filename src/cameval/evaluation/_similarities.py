"""Similarity of maps in a table: its rows, its means with intervals, its file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError
from cameval.evaluation._csv_tables import quote_formulas
from cameval.evaluation._run_folder import part_of, raise_output_errors, read_arrays
from cameval.statistics import Interval, mean_interval

Floats = NDArray[np.float64]

Check: TypeAlias = Literal["random weights", "other training", "other image"]
"""With what a map is compared: the map of the same network with random weights, that of another
training of the network, or that of another image."""

_KEY = ("model", "method", "check", "step")

_KINDS = {
    **dict.fromkeys(("model", "sample", "group", "label", "method", "check", "step"), "text"),
    "label": "whole",
    "random_modules": "whole",
    **dict.fromkeys(("ssim", "spearman"), "number"),
    "same_prediction": "truth",
}

_MEASURES = ("ssim", "spearman")


def summarize(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the mean similarity of each model, method, check and step, with its intervals."""
    rows: list[dict[str, Any]] = []
    group_of = {
        (model, sample): group
        for model, sample, group in zip(
            table["model"], table["sample"], table["group"], strict=True
        )
    }
    pairs = table["check"] == "other image"
    keyed = table.assign(step=table["step"].where(~pairs, ""))
    for key, part in keyed.groupby([*_KEY], sort=False, observed=True):
        row: dict[str, Any] = dict(zip(_KEY, key, strict=True))
        row["random_modules"] = part["random_modules"].iloc[0]
        row["n"] = len(part)
        for name in _MEASURES:
            values, groups = part[name].to_numpy(np.float64), part["group"].to_numpy(str)
            if key[2] == "other image":
                others = table.loc[part.index, "step"]
                found = [group_of[row["model"], other] for other in others]
                one = pair_interval(values, groups, np.array(found), confidence)
            else:
                one = _interval(values, groups, confidence)
            row |= {name: one.estimate, f"{name}_low": one.low, f"{name}_high": one.high}
            row[f"n_groups_{name}"] = one.n_groups
            row[f"n_undefined_{name}"] = one.n_undefined
        same = part["same_prediction"].dropna()
        row["same_prediction"] = float(same.mean()) if len(same) else float("nan")
        rows.append(row)
    return pd.DataFrame(rows)


def _interval(values: Floats, groups: NDArray[np.str_], confidence: float) -> Interval:
    """Return the mean with its interval; equal values, as of maps that do not change, have none."""
    one = mean_interval(values, groups, confidence=confidence, bounds=(-1, 1))
    known = values[~np.isnan(values)]
    if known.size and np.ptp(known) > 1e-9:
        return one
    return replace(one, low=float("nan"), high=float("nan"))


def pair_interval(
    values: Floats, first: NDArray[np.str_], second: NDArray[np.str_], confidence: float
) -> Interval:
    """Return the mean over pairs of images with a jackknife interval over groups.

    A group is left out with all pairs that have an image of it. The interval has Student's t with
    one degree of freedom less than there are groups.
    """
    from scipy.special import stdtrit

    known = ~np.isnan(values)
    undefined = int((~known).sum())
    values, first, second = values[known], first[known], second[known]
    groups = np.unique(np.concatenate([first, second]))
    count = len(groups)
    mean = float(values.mean()) if len(values) else float("nan")
    without = [values[(first != group) & (second != group)] for group in groups]
    if count < 3 or not all(map(len, without)):
        return Interval(mean, float("nan"), float("nan"), len(values), count, undefined)
    means = np.array([part.mean() for part in without])
    deviation = np.sqrt((count - 1) / count * ((means - means.mean()) ** 2).sum())
    reach = float(stdtrit(count - 1, (1 + confidence) / 2) * deviation)
    ends = max(-1.0, mean - reach), min(1.0, mean + reach)
    return Interval(mean, *ends, len(values), count, undefined)


def pairs_of(groups: Sequence[str], seed: int, *, partners: int = 4) -> list[tuple[int, int]]:
    """Return pairs of different images, of different groups if there are any.

    Each image is paired with the next ones of a random order; a pair is there once.
    """
    count = len(groups)
    order = np.random.default_rng(seed).permutation(count).tolist()
    several = len(set(groups)) > 1
    pairs: dict[tuple[int, int], None] = {}
    for place, image in enumerate(order):
        after = [order[(place + step) % count] for step in range(1, count)]
        others = [one for one in after if not several or groups[one] != groups[image]]
        for other in others[:partners]:
            pairs[min(image, other), max(image, other)] = None
    return sorted(pairs)


def rows_of_image(
    model: str, unit: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows of the maps of one image: one for each step and method."""
    return [
        {
            **_image(model, unit),
            "method": method,
            "check": step["check"],
            "step": step["name"],
            "random_modules": step["random_modules"],
            "ssim": float(unit["ssim"][i, k]),
            "spearman": float(unit["spearman"][i, k]),
            "same_prediction": bool(unit["same"][i]),
        }
        for i, step in enumerate(record["steps"])
        for k, method in enumerate(record["methods"])
    ]


def rows_of_pairs(
    model: str, unit: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows of the pairs of one image: one for each other image and method."""
    return [
        {
            **_image(model, unit),
            "method": method,
            "check": "other image",
            "step": str(other),
            "random_modules": None,
            "ssim": float(unit["ssim"][i, k]),
            "spearman": float(unit["spearman"][i, k]),
            "same_prediction": None,
        }
        for i, other in enumerate(unit["other"])
        for k, method in enumerate(record["methods"])
    ]


def rows_in(folder: Path, model: str, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of what is finished of the comparisons in a folder."""
    kinds = {"similarities": rows_of_image, "pairs": rows_of_pairs}
    return [
        row
        for name, rows_of in kinds.items()
        for file in sorted((folder / name).glob("*.npz"))
        for row in rows_of(model, read_arrays(file), record)
    ]


def _image(model: str, unit: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    label = int(unit["label"])
    image = {"model": model, "sample": str(unit["sample"]), "group": str(unit["group"])}
    return image | {"label": None if label < 0 else label}


def table_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table; it is empty if there are none."""
    return _typed(pd.DataFrame(list(rows), columns=[*_KINDS]))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table of similarities as CSV."""
    texts = [name for name, kind in _KINDS.items() if kind == "text"]
    safe = table.assign(**{name: quote_formulas(table[name]) for name in texts})
    with raise_output_errors("path", path):
        part = part_of(path)
        try:
            safe.to_csv(part, index=False)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Raises
    ------
    DataError
        If the file is no such table.
    """
    try:
        if not path.is_file():
            raise OSError("no plain file")
        table = pd.read_csv(path, dtype=str, keep_default_na=False, compression=None)
        if [*table.columns] != [*_KINDS]:
            raise ValueError(f"the columns {[*table.columns]}")
        for name, kind in _KINDS.items():
            read = _READ[kind]
            table[name] = pd.Series([read(word) for word in table[name]], dtype=object)
    except (OSError, ValueError, KeyError, MemoryError) as error:
        raise DataError(f"{path} must be a table of similarities, got {error}") from error
    return _typed(table)


_READ: dict[str, Any] = {
    "text": lambda word: word.removeprefix("'"),
    "whole": lambda word: int(word) if word else None,
    "number": lambda word: float(word) if word else float("nan"),
    "truth": {"True": True, "False": False, "": None}.__getitem__,
}


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    kinds: dict[str, Any]
    kinds = {"text": "object", "whole": "Int64", "number": "float64", "truth": "boolean"}
    return table.astype({name: kinds[kind] for name, kind in _KINDS.items()})
