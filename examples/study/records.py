"""What the documentation keeps of each run: its tables, and the IoU of its maps on each slice."""

from pathlib import Path
from shutil import copytree, rmtree

import pandas as pd

from study.catalog import COMPARED_AT, RUNS, Maps
from study.evaluation import MAP

TABLES, IOUS = "tables", "ious.csv"


def keep(runs: Path, records: Path) -> None:
    """Keep the tables and the IoU of each run that is finished."""
    for name in RUNS:
        if not has_tables(runs, name):
            continue
        rmtree(records / name, ignore_errors=True)
        copytree(runs / name / TABLES, records / name / TABLES)
        table = pd.read_csv(runs / name / "scores.csv", dtype={"sample": str, "group": str})
        if "method" in table:  # by patient: only these runs are compared
            predictions = pd.read_csv(runs / name / "predictions.csv", dtype={"sample": str})
            ious_of(table, predictions).to_csv(records / name / IOUS, index=False)


def ious_of(scores: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the IoU of the class activation maps: a row for each network and slice.

    Patients are numbered in their order.
    """
    chosen = (scores["method"] == MAP) & (scores["metric"] == "iou")
    index = ["model", "sample", "group"]
    wide = scores[chosen].pivot(index=index, columns="binarizer", values="value").reset_index()
    right = (predictions["label"] == predictions["predicted"]).astype(int)
    predictions = predictions[["model", "sample"]].assign(right=right)
    wide = wide.merge(predictions, on=["model", "sample"], validate="one_to_one")
    wide["patient"] = wide["group"].rank(method="dense").astype(int)
    return wide[["model", "sample", "patient", "right", *COMPARED_AT]].round(6)


def has_tables(folder: Path, name: str) -> bool:
    """Tell whether the tables of a run are in a folder of runs or of records."""
    return (folder / name / TABLES).exists()


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of a run, all cells as text."""
    return pd.read_csv(folder / TABLES / f"{name}.csv", dtype=str, keep_default_na=False)


def read_ious(records: Path, maps: Maps) -> pd.DataFrame | None:
    """Read the IoU of class activation maps, a row for each slice in order, if it is kept."""
    file = records / maps.run / IOUS
    if not file.exists():
        return None
    table = pd.read_csv(file, dtype={"sample": str})
    if maps.network is not None:
        table = table[table["model"] == maps.network]
    return table.set_index("sample").sort_index()
