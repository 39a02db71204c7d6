"""Copies of images in a table, and other images or truths of the same name in several models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cameval.evaluation._run_folder import runs
from cameval.evaluation._sample_sums import NUMBERS, RECORD
from cameval.evaluation._score_table import ScoreTable

__all__ = ["count_differing"]


_AREA_ROUNDING = 1e-9


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


def count_copies(results: ScoreTable) -> tuple[int, int, int]:
    """Return how many images are copies in another group, in the same group, and of how many.

    Copies have the same image and the same truth, which has a true pixel.
    """
    rows = rows_with_sums(results)
    rows = rows[rows["model"] == rows["model"].iloc[0]] if len(rows) else rows
    known = rows[rows["present"].astype(bool)].dropna(subset=[*NUMBERS])
    alike = known.groupby([*NUMBERS, "key"], sort=False)
    again, in_several = known.duplicated([*NUMBERS, "key"]), alike["group"].transform("nunique") > 1
    others, same = (
        int(known.loc[again & which, "sample"].nunique()) for which in (in_several, ~in_several)
    )
    return others, same, int(rows["sample"].nunique())


def count_differing(results: ScoreTable) -> dict[str, tuple[int, int]]:
    """Return how many samples have other images, or other truths, in other models of a table.

    Scores of different images or truths are not comparable, though the samples have one name: as
    where names count the images of a folder, and a file was added. `evaluate` and `evaluate_maps`
    record a checksum of each image and truth, before any preparation.

    Parameters
    ----------
    results
        Results of several models, as of :func:`~cameval.concat`.

    Returns
    -------
    dict
        Under ``"image"`` and ``"truth"``, the number of pairs of sample and label that differ, and
        of how many that several models have. What differs nowhere is left out, and what was not
        recorded counts for nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, concat, evaluate_maps, iou
    >>> from cameval.evaluation import count_differing
    >>> image = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    >>> old, new = (
    ...     evaluate_maps(lambda one: one.image, [sample], metrics=iou, name=name, progress=False)
    ...     for name, sample in [
    ...         ("old", Sample("7", image, image > 0.9)),
    ...         ("new", Sample("7", image, image > 0.8)),
    ...     ]
    ... )
    >>> count_differing(concat([old, new]))
    {'truth': (1, 1)}
    """
    rows = rows_with_sums(results).dropna(subset=[*NUMBERS])
    of_pair = rows.groupby(["sample", "key"], sort=False)
    several = of_pair["model"].nunique() > 1
    counts = {name: int(((of_pair[name].nunique() > 1) & several).sum()) for name in NUMBERS}
    return {name: (count, int(several.sum())) for name, count in counts.items() if count}


def areas_differ(table: pd.DataFrame, pair: pd.Series) -> pd.Series:
    """Return for each pair of sample and label whether its truths have different areas."""
    areas = table["area"].astype(float).groupby(pair)
    present = table["present"].astype(float).groupby(pair)
    return (areas.max() - areas.min() > _AREA_ROUNDING) | (present.nunique() > 1)


def count_other_areas(results: ScoreTable) -> tuple[int, int]:
    """Return how many truths have other areas in other models, and how many are in several."""
    table = results.samples
    labels = table["label"].astype("Float64").fillna(-1).astype(float)
    keys = pd.MultiIndex.from_arrays([table["sample"].astype(str), labels])
    pair = pd.Series(pd.factorize(keys)[0], table.index)
    several = table["model"].astype(str).groupby(pair).nunique() > 1
    return int((areas_differ(table, pair) & several).sum()), int(several.sum())


def count_common(results: ScoreTable) -> tuple[int, int]:
    """Return how many images all models have, and how many there are."""
    table = results.samples[["model", "sample"]].astype(str).drop_duplicates()
    models = table["model"].nunique()
    counts = table["sample"].value_counts()
    return int((counts == models).sum()), len(counts)
