"""Copies of images in a table, and other images or truths of the same name in several models."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cameval.evaluation._run_folder import runs
from cameval.evaluation._sample_sums import NUMBERS, RECORD
from cameval.evaluation._score_table import ScoreTable


def _sums_of_run(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows in the record of a run; none if it has none."""
    found = run.get(RECORD)
    known = {name: found.get(name) for name in ("sample", "label", *NUMBERS)} if found else {}
    lists = [one for one in known.values() if isinstance(one, list)]
    if len(lists) < 4 or len({*map(len, lists)}) > 1:
        known = {name: [] for name in ("sample", "label", *NUMBERS)}
    return pd.DataFrame(known).astype(
        {"sample": str, "label": float, "image": float, "truth": float}
    )


def names_in_run(run: Mapping[str, Any]) -> list[str]:
    """Return the names of the samples that a run has evaluated; none if its record has none."""
    return _sums_of_run(run)["sample"].unique().tolist()


def rows_with_sums(results: ScoreTable) -> pd.DataFrame:
    """Return model, sample, group, label and presence of each row, with both checksums.

    The checksums of rows whose run has none recorded are missing.
    """
    table = results.samples[["model", "sample", "group", "label", "present"]].copy()
    table["key"] = table["label"].astype("Float64").fillna(-1).astype(float)
    for name in ("model", "sample", "group"):
        table[name] = table[name].astype(str)
    parts = []
    for run in runs(results.provenance):
        model = str((run.get("settings") or {}).get("model"))
        parts.append(_sums_of_run(run).rename(columns={"label": "key"}).assign(model=model))
    if not parts:
        return table.assign(image=np.nan, truth=np.nan)
    known = pd.concat(parts).drop_duplicates(["model", "sample", "key"])
    return table.merge(known, how="left", on=["model", "sample", "key"])


def content_keys(results: ScoreTable) -> frozenset[tuple[float, float]]:
    """Return the checksums of the rows that have an object."""
    rows = rows_with_sums(results)
    rows = rows[rows["present"].astype(bool)].dropna(subset=[*NUMBERS])
    return frozenset(zip(rows["image"], rows["truth"], strict=True))


def count_copies(results: ScoreTable) -> tuple[int, int]:
    """Return how many images are copies of another one in another group, and how many there are.

    Copies have the same image and the same truth, which has a true pixel.
    """
    rows = rows_with_sums(results)
    rows = rows[rows["model"] == rows["model"].iloc[0]] if len(rows) else rows
    known = rows[rows["present"].astype(bool)].dropna(subset=[*NUMBERS])
    alike = known.groupby([*NUMBERS, "key"], sort=False)
    several = known[alike["group"].transform("nunique") > 1]
    first = ~several.duplicated([*NUMBERS, "key"])
    return int(several.loc[~first, "sample"].nunique()), int(rows["sample"].nunique())


def differing(results: ScoreTable) -> Iterator[tuple[str, int, int]]:
    """Yield what differs between models for the same sample and label: how many, and of how many.

    It is the ``"image"`` or the ``"truth"``.
    """
    rows = rows_with_sums(results).dropna(subset=[*NUMBERS])
    of_pair = rows.groupby(["sample", "key"], sort=False)
    several = of_pair["model"].nunique() > 1
    for name in NUMBERS:
        differ = (of_pair[name].nunique() > 1) & several
        if differ.any():
            yield name, int(differ.sum()), int(several.sum())


def count_common(results: ScoreTable) -> tuple[int, int]:
    """Return how many images all models have, and how many there are."""
    table = results.samples[["model", "sample"]].astype(str).drop_duplicates()
    models = table["model"].nunique()
    counts = table["sample"].value_counts()
    return int((counts == models).sum()), len(counts)
