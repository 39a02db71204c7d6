"""Charts of the documentation, drawn from what is kept of the runs."""

import re
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.records import has_tables, read_table
from study.tables import PAPER_IOU

STYLE = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
}
BLUE, ORANGE, GREEN, PURPLE, GRAY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a7a7a"
SHORT = {  # of the runs by patient
    "patient-frozen": "VGG-16, frozen",
    "patient": "VGG-16, block 5 trained",
    "patient-block4": "VGG-16, blocks 4 and 5 trained",
}


def draw_charts(records: Path, folder: Path) -> None:
    """Draw the charts of which the runs are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.style.context(["default", STYLE]):
        if _has(records, "slice", "slice-frozen"):
            _save(_thresholds(records), folder / "study-thresholds.png")
        if _has(records, "patient", "patient-frozen"):
            _save(_classes(records), folder / "study-classes.png")


def values_of(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return the numbers of a column of cells, nan where there is none."""
    found = (re.match(r"[\u2212-]?\d*\.\d+", cell) for cell in frame[column])
    return np.array([float(m[0].replace("\u2212", "-")) if m else np.nan for m in found])


def intervals_of(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return the intervals of a column of cells ``(2, N)``, nan where there is none."""
    pattern = r"\[([\u2212-]?\d*\.\d+), ([\u2212-]?\d*\.\d+)\]"
    found = (re.search(pattern, cell) for cell in frame[column])
    pairs = [m.groups() if m else ("nan", "nan") for m in found]
    return np.array([[float(text.replace("\u2212", "-")) for text in pair] for pair in pairs]).T


def _has(records: Path, *names: str) -> bool:
    return all(has_tables(records, name) for name in names)


def _thresholds(records: Path) -> Figure:
    """Draw the IoU at the five thresholds by slice, beside baselines and the area bound."""
    trained, frozen = (
        read_table(records / name, "thresholds") for name in ("slice", "slice-frozen")
    )
    figure, axes = _axes(3.4)
    places = np.arange(len(trained))
    lines = (
        ("VGG-16, block 5 trained", trained, "IoU", BLUE, "o", "-"),
        ("VGG-16, frozen", frozen, "IoU", GREEN, "s", "-"),
        ("class-mean mask", trained, "class mean", ORANGE, "^", "--"),
        ("center of the frame", trained, "center", PURPLE, "v", "--"),
        ("bound for masks of this area, block 5", trained, "area bound", GRAY, "", ":"),
    )
    for label, frame, column, color, marker, style in lines:
        y = values_of(frame, column)
        axes.plot(places, y, color=color, marker=marker, linestyle=style, label=label)
    last = places[-1]
    axes.plot(last, PAPER_IOU, "k*", markersize=11, label="the paper (VGG-19)", linestyle="")
    axes.set_xticks(places, trained["threshold"])
    axes.set_ylabel("mean IoU, last fold by slice")
    axes.set_ylim(0)
    axes.legend(loc="upper left", fontsize=8.5)
    return figure


def _classes(records: Path) -> Figure:
    """Draw the IoU by class of networks and baselines, by patient."""
    present = [name for name in SHORT if _has(records, name)]
    figure, axes = _axes(3.6)
    tables = [read_table(records / name, "classes-validated") for name in present]
    against = read_table(records / "patient", "baselines-validated")
    baselines = {
        "brightness of the slice": ("intensity", GRAY, "D"),
        "center of the frame": ("center", PURPLE, "v"),
        "class-mean mask": ("class mean", ORANGE, "^"),
    }
    classes = tables[0]["class"].tolist()
    places, count = np.arange(len(classes)), len(present) + len(baselines)
    shifts = (np.arange(count) - (count - 1) / 2) * 0.7 / count
    looks = ((GREEN, "s"), (BLUE, "o"), ("#000000", "P"))
    for k, (name, frame) in enumerate(zip(present, tables, strict=True)):
        y, interval = values_of(frame, "IoU"), intervals_of(frame, "IoU")
        color, marker = looks[list(SHORT).index(name)]
        errors = np.abs(interval - y)
        axes.errorbar(
            *(places + shifts[k], y, errors), fmt=marker, color=color, label=SHORT[name], capsize=2
        )
    for k, (label, (name, color, marker)) in enumerate(baselines.items(), len(present)):
        rows = against[against["baseline"] == name]
        y = values_of(rows, "of the baseline")
        axes.plot(places + shifts[k], y, marker, color=color, label=label)
    axes.set_xticks(places, classes)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("mean IoU by patient, validated threshold")
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.legend(loc="upper left", fontsize=8.5, ncols=2)
    return figure


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.6, height), layout="constrained")
    return figure, figure.subplots()


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=144, metadata={"Software": None})
