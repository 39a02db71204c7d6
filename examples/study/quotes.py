"""The numbers of the runs that the text of the documentation quotes, by the name of each."""

from typing import NamedTuple

from study.catalog import RUNS
from study.evaluation import P95, VALIDATED


class Quote(NamedTuple):
    """A cell of a table: the cells that choose its row, by column, and its column.

    Without a run the table is one of all runs. ``interval`` keeps the interval.
    """

    run: str | None
    table: str
    row: dict[str, str]
    column: str
    interval: bool = False


VGG = {"model": "vgg16"}
THRESHOLDS = ("mean", "median", "percentile:75", "percentile:90", P95)
CLASSES = ("meningioma", "glioma", "pituitary", "all")
MAPS = ("CAM", "Grad-CAM++", "LayerCAM", "Eigen-CAM", "class mean", "center", "intensity", "truth")
SHARES = {"> .5": "above .5", "> .5 at most": "above .5 at most", "< .01": "below .01"}
PATIENT_RUNS = ("patient", "patient-frozen")


def _of_slices() -> dict[str, Quote]:
    """Return the numbers of the runs by slice."""
    quotes = {}
    for run in ("slice", "slice-frozen"):
        quotes[f"{run} accuracy"] = Quote(run, "classification", VGG, "accuracy")
        for threshold in THRESHOLDS:
            row = {"threshold": threshold}
            for column in ("IoU", "class mean", "center", "area bound", "coverage"):
                name = f"{run} {threshold.replace(':', ' ')} {column}"
                quotes[name] = Quote(run, "thresholds", row, column)
        for kind in CLASSES:
            row = {"class": kind}
            quotes[f"{run} {kind} IoU"] = Quote(run, "classes", row, "IoU")
            for column, name in SHARES.items():
                quotes[f"{run} {kind} {name}"] = Quote(run, "classes", row, column)
            for baseline in ("center", "class mean", "intensity"):
                row = {"class": kind, "baseline": baseline}
                name = f"{run} {kind} {baseline}"
                quotes[name] = Quote(run, "baselines", row, "of the baseline")
    return quotes


def _of_patients(run: str) -> dict[str, Quote]:
    """Return the numbers of a run by patient."""
    quotes = {f"{run} accuracy": Quote(run, "classification", VGG, "all slices", interval=True)}
    for name in MAPS:
        for column in ("IoU", "size-standardized IoU", "coverage", "AUROC"):
            quote = Quote(run, "methods-vgg16", {"map": name}, column, interval=True)
            quotes[f"{run} {name} {column}"] = quote
    for kind in CLASSES:
        row = {"class": kind}
        quotes[f"{run} {kind} IoU"] = Quote(run, "classes-validated", row, "IoU", interval=True)
    return quotes


FROZEN = {
    "first": RUNS["patient"].title,
    "second": RUNS["patient-frozen"].title,
    "threshold": VALIDATED,
}
QUOTES: dict[str, Quote] = {
    "frozen compared": Quote(None, "comparisons", FROZEN, "difference", interval=True),
    **_of_slices(),
    **{name: quote for run in PATIENT_RUNS for name, quote in _of_patients(run).items()},
}
