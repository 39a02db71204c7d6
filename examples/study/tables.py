"""The tables of the study, with the paper's numbers beside its own."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from cameval import Preparation, Results
from cameval.baselines import Knowledge, grid_bound, reachable_iou
from cameval.metrics import share_above, share_below
from cameval.report import Cell, format_interval
from cameval.report import format_number as number
from cameval.report import format_percent as percent
from cameval.statistics import mean_interval
from study.data import Slices
from study.evaluation import (
    BINARIZERS,
    CLASS_MEAN,
    MAP,
    METHODS,
    OPTIMUM,
    P95,
    PAPER_BINARIZERS,
    TRUTH,
    VALIDATED,
    WRONG_CLASS,
    FoldResult,
    Variation,
)
from study.networks import Candidate, Grid

DASH, MINUS = "\u2013", "\u2212"
PAPER_TABLE_2 = {  # mean and standard deviation over five folds: accuracy, precision, recall, F1
    "alexnet": ((0.902, 0.086), (0.900, 0.091), (0.896, 0.089), (0.896, 0.089)),
    "vgg16": ((0.928, 0.089), (0.926, 0.082), (0.928, 0.072), (0.924, 0.087)),
    "vgg19": ((0.950, 0.040), (0.944, 0.048), (0.946, 0.038), (0.944, 0.043)),
}
PAPER_IOU = 0.153  # of VGG-19 at the 95th percentile, as the shares of slices below
PAPER_ABOVE_HALF = {"meningioma": 0.23, "glioma": 0.05, "pituitary": 0.0}
PAPER_BELOW_HUNDREDTH = {"meningioma": 0.02, "glioma": 0.33, "pituitary": 0.85, "all": 0.42}
# Share of all 3,064 slices with which masks of 5 % of the frame can have an IoU above .5:
ALL_ABOVE_HALF = {"meningioma": 0.229, "glioma": 0.355, "pituitary": 0.023, "all": 0.225}
SIZED = "size_standardized_iou"
COMPARED = ("center", CLASS_MEAN, "intensity")  # nothing, the label, the brightness

Row = dict[str, Any]  # text, or a `Cell` of a number with its interval, by column


def estimate(value: float, low: float, high: float) -> Cell:
    """Write a number with its interval."""
    return Cell(number(value), format_interval(low, high))


def mean_of(values: "pd.Series[Any]", patients: "pd.Series[Any]") -> Cell:
    """Write a mean of scores in [0, 1] with its interval by patient."""
    found = mean_interval(values.to_numpy(float), patients.to_numpy(str), bounds=(0, 1))
    return estimate(found.estimate, found.low, found.high)


# --- Both protocols -------------------------------------------------------------------------------


def describe_accuracy(predictions: pd.DataFrame, model: str) -> str:
    """Say how a network classifies: the mean over the folds, and its standard deviation."""
    folds = fold_scores(predictions[predictions["model"] == model])["accuracy"]
    whose = f" of {model}" if predictions["model"].nunique() > 1 else ""
    spread = f"SD {number(folds.std())} over {len(folds)} folds"
    return f"Accuracy{whose} {number(folds.mean())} ({spread})."


def fold_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and macro means of precision, recall and F1, for each model and fold."""
    rows = []
    for (model, fold), part in predictions.groupby(["model", "fold"], sort=False):
        label, predicted = part["label"], part["predicted"]
        macro = precision_recall_fscore_support(label, predicted, average="macro", zero_division=0)
        rows.append((model, fold, accuracy_score(label, predicted), *macro[:3]))
    return pd.DataFrame(rows, columns=["model", "fold", "accuracy", "precision", "recall", "F1"])


def best_model(predictions: pd.DataFrame) -> str:
    """Return the model with the highest mean accuracy over the folds, as VGG-19 in the paper."""
    means = fold_scores(predictions).groupby("model", sort=False)["accuracy"].mean()
    return str(means.idxmax())


def classification_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return Table 2 of the paper: mean and standard deviation over folds, divided by n - 1."""
    rows: list[Row] = []
    paper = dict(PAPER_TABLE_2)
    for model, folds in fold_scores(predictions).groupby("model", sort=False):
        part = predictions[predictions["model"] == model]
        row: Row = {"model": model}
        for name in ("accuracy", "precision", "recall", "F1"):
            row[name] = f"{number(folds[name].mean())} ({number(folds[name].std())})"
        row["all slices"] = mean_of(part["label"] == part["predicted"], part["group"])
        rows.append(row)
        network = Candidate.parse(str(model)).network
        rows += [_paper_row(network, paper.pop(network))] if network in paper else []
    rows += [_paper_row(network, scores) for network, scores in paper.items()]
    shares = predictions.drop_duplicates("sample")["label"].value_counts(normalize=True)
    rows.append({"model": "always the most frequent class", "all slices": number(shares.iloc[0])})
    return pd.DataFrame(rows).fillna("")


def _paper_row(network: str, scores: Sequence[tuple[float, float]]) -> Row:
    cells = [f"{number(mean)} ({number(sd)})" for mean, sd in scores]
    names = ("model", "accuracy", "precision", "recall", "F1")
    return dict(zip(names, [f"the paper's {network}", *cells], strict=True))


def confusion_table(predictions: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Count the predicted classes of each class."""
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (predictions["label"], predictions["predicted"]), 1)
    table = pd.DataFrame({"true class": names})
    for k, name in enumerate(names):
        table[f"predicted {name}"] = [f"{count:,}" for count in counts[:, k]]
    return table.assign(recall=[percent(c) for c in counts.diagonal() / counts.sum(1).clip(1)])


def class_table(
    scores: pd.DataFrame, names: Sequence[str], of_all: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the IoU of each class, and the paper's two shares of slices with their counts.

    ``scores`` has a row for each slice: label, patient, iou, area_bound, and maybe class_mean.
    """
    rows = []
    for name in (*names, "all"):
        part = scores if name == "all" else scores[scores["label"] == name]
        values = part["iou"].dropna().to_numpy()
        above, below = int((values > 0.5).sum()), int((values < 0.01).sum())
        row: Row = {"class": name, "slices": _count(part)}
        row["IoU"] = mean_of(part["iou"], part["patient"])
        row["median"] = number(part["iou"].median())
        if "class_mean" in part:
            row["class-mean mask"] = number(part["class_mean"].mean())
        row["> .5"] = Cell(percent(share_above(values, 0.5)), f"({above}/{len(values)})")
        detail = f"({percent(of_all[name])} of all 3,064)" if of_all else ""
        row["> .5 at most"] = Cell(percent(share_above(part["area_bound"].to_numpy(), 0.5)), detail)
        row["paper > .5"] = paper_share(PAPER_ABOVE_HALF, name)
        row["< .01"] = Cell(percent(share_below(values, 0.01)), f"({below}/{len(values)})")
        row["paper < .01"] = paper_share(PAPER_BELOW_HUNDREDTH, name)
        rows.append(row)
    return pd.DataFrame(rows)


def paper_share(shares: Mapping[str, float], name: str) -> str:
    """Write a share of the paper as it prints it, or a dash if it gives none."""
    return f"{shares[name]:.0%}".replace("%", "\u00a0%") if name in shares else DASH


def _count(scores: pd.DataFrame) -> str:
    """Count slices, and those on which the IoU is undefined: a crop may leave no tumor."""
    undefined = int(scores["iou"].isna().sum())
    return f"{len(scores):,}" + (f" ({undefined} undefined)" if undefined else "")


# --- The strict protocol --------------------------------------------------------------------------


class Scores:
    """Means with intervals over all folds, for maps of the predicted class."""

    def __init__(self, results: Results) -> None:
        self.results = results.select(target_class="predicted")
        self.table = self.results.summary()
        self._rows: Any = self.table.set_index(["model", "method", "binarizer", "metric"])

    def mean(self, model: str, method: str, binarizer: str, metric: str = "iou") -> float:
        """Return a mean."""
        return float(self._rows.loc[(model, method, binarizer, metric), "mean"])

    def interval(
        self, model: str, method: str, binarizer: str, metric: str = "iou"
    ) -> tuple[float, float, float]:
        """Return a mean and the ends of its interval."""
        row = self._rows.loc[(model, method, binarizer, metric)]
        return float(row["mean"]), float(row["low"]), float(row["high"])

    def cell(self, model: str, method: str, binarizer: str, metric: str = "iou") -> Cell:
        """Return a mean with its interval."""
        return estimate(*self.interval(model, method, binarizer, metric))

    def values(self, model: str, method: str, binarizer: str, metric: str = "iou") -> Any:
        """Return the score of each slice."""
        one = self.results.select(model=model, method=method, binarizer=binarizer, metric=metric)
        return one.values[:, 0]

    def best_baseline(self, model: str, binarizer: str, *of: Knowledge, metric: str = "iou") -> str:
        """Return the baseline of the highest mean among those that know one of these things."""
        known = self.results.meanings.baselines.items()
        labels = [label for label, meaning in known if meaning.knows in of]
        return max(labels, key=lambda label: self.mean(model, label, binarizer, metric))


def by_slice(scores: Scores, model: str, binarizer: str, names: Sequence[str]) -> pd.DataFrame:
    """Return the scores of each slice as `class_table` takes them."""
    samples = scores.results.select(model=model).samples
    columns = {
        "label": [names[k] for k in samples["label"].to_numpy(int)],
        "patient": samples["group"].to_numpy(str),
        "iou": scores.values(model, MAP, binarizer),
        "area_bound": scores.values(model, MAP, binarizer, "area_bound"),
        "class_mean": scores.values(model, CLASS_MEAN, binarizer),
    }
    return pd.DataFrame(columns)


def threshold_table(scores: Scores, model: str) -> pd.DataFrame:
    """Return the IoU at each threshold, beside baselines, the truth map and the area bound."""
    rows = []
    for name in (VALIDATED, OPTIMUM, *BINARIZERS):
        without = scores.best_baseline(model, name, "nothing", "labels")
        image = scores.best_baseline(model, name, "image")
        row: Row = {"threshold": name, "IoU": scores.cell(model, MAP, name)}
        row["best without image"] = Cell(number(scores.mean(model, without, name)), f"({without})")
        row["best of the image"] = Cell(number(scores.mean(model, image, name)), f"({image})")
        row["truth"] = number(scores.mean(model, TRUTH, name))
        row["area bound"] = number(scores.mean(model, MAP, name, "area_bound"))
        row["coverage"] = scores.cell(model, MAP, name, "coverage")
        rows.append(row)
    return pd.DataFrame(rows)


def method_table(scores: Scores, model: str) -> pd.DataFrame:
    """Return the scores of every method and baseline, of masks at the validated threshold."""
    meanings, rows = scores.results.meanings.baselines, []
    for name in (*METHODS, *meanings):
        row: Row = {"map": name, "knows": meanings[name].knows if name in meanings else ""}
        row["IoU"] = scores.cell(model, name, VALIDATED)
        row["IoU at percentile:95"] = scores.cell(model, name, P95)
        row["size-standardized IoU"] = scores.cell(model, name, VALIDATED, SIZED)
        row["coverage"] = scores.cell(model, name, VALIDATED, "coverage")
        row["pointing game"] = number(scores.mean(model, name, "", "pointing_game"))
        row["AUROC"] = number(scores.mean(model, name, "", "pixel_auroc"))
        rows.append(row)
    return pd.DataFrame(rows)


def size_table(scores: Scores, model: str) -> pd.DataFrame:
    """Return scores that standardize the size of the tumor, at the validated threshold."""
    metrics = {
        "IoU": "iou",
        "sIoU, r = .01": "sIoU_.01",
        "sIoU, r = .05": SIZED,
        "sIoU, r = .10": "sIoU_.10",
        "informedness": "informedness",
    }
    rows = []
    for name in (MAP, WRONG_CLASS, *COMPARED, TRUTH):
        row: Row = {"map": name}
        row |= {title: scores.cell(model, name, VALIDATED, m) for title, m in metrics.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def choice_table(folds: Sequence[FoldResult], scores: Scores) -> pd.DataFrame:
    """Return the threshold that each fold chose, and the optimism of a choice on the test."""
    rows: dict[str, Row] = {}
    for fold in folds:
        row = rows.setdefault(fold.validated.model, {"model": fold.validated.model})
        best = f"(best on the test: {fold.optimum.binarizer('predicted', 'method', MAP)})"
        row[f"fold {len(row)}"] = Cell(fold.validated.binarizer("predicted", "method", MAP), best)
    for model, row in rows.items():
        gap = scores.mean(model, MAP, OPTIMUM) - scores.mean(model, MAP, VALIDATED)
        row["optimism"] = number(gap)
    return pd.DataFrame(rows.values())


def resolution_table(
    scores: Scores, grids: Mapping[str, Grid], slices: Slices, crop: float | None
) -> pd.DataFrame:
    """Return the IoU beside that of the tumors themselves on the network's grid, on all slices."""
    bounds = {grid: grid_bounds(grid, slices, crop) for grid in dict.fromkeys(grids.values())}
    titles = ("truth, best threshold", "some map, at least", "whole cells, at most")
    rows = []
    for model, grid in grids.items():
        row: Row = {"model": model, "input": f"{grid.size} px"}
        row["grid"] = " \u00d7 ".join(map(str, grid.cells))
        row["IoU"] = scores.cell(model, MAP, VALIDATED)
        row["truth"] = number(scores.mean(model, TRUTH, VALIDATED))
        rows.append(row | dict(zip(titles, map(number, bounds[grid]), strict=True)))
    return pd.DataFrame(rows)


def grid_bounds(grid: Grid, slices: Slices, crop: float | None) -> list[float]:
    """Return mean IoUs that a grid can hold, on the pixels of each slice.

    First that of the truth map, with the best threshold of each slice, which is no bound;
    then of the best map found for each slice, which some maps reach; then of the best masks of
    whole cells, which no such mask exceeds.
    """
    prepare, rows = Preparation(grid.size, crop), []
    size = (grid.size, grid.size) if grid.cell_centers else None
    lies: dict[str, Any] = {"cell_centers": grid.cell_centers, "image_size": size}
    truths = (prepare(slices[index])[1] for index in range(len(slices)))
    for _, near in groupby(enumerate(truths), lambda pair: (pair[0] // 32, pair[1].shape)):
        truth = torch.stack([one for _, one in near])
        maps = [reachable_iou(truth, grid.cells, steps=steps, **lies) for steps in (0, 50)]
        scores = (*maps, grid_bound(truth, grid.cells, **lies))
        rows.append(np.stack([np.asarray(score) for score in scores], axis=1))
    return [float(mean) for mean in np.nanmean(np.concatenate(rows), axis=0)]


# --- The paper's protocol -------------------------------------------------------------------------


def best_threshold(scores: pd.DataFrame) -> str:
    """Return the threshold with the highest mean IoU on the tested slices."""
    return str(scores.groupby("threshold", sort=False)["iou"].mean().idxmax())


def paper_threshold_table(scores: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Return the IoU at the five thresholds, beside blind baselines and the area bound."""
    rows = []
    for name in PAPER_BINARIZERS:
        part = scores[scores["threshold"] == name]
        row: Row = {"threshold": name, "mask area": percent(part["mask_area"].mean())}
        row["IoU"] = mean_of(part["iou"], part["patient"])
        row["paper"] = number(PAPER_IOU) if name == P95 else DASH
        for baseline in ("center", CLASS_MEAN):
            one = results.select(metric="iou", binarizer=name, method=baseline)
            row[baseline] = number(float(np.nanmean(one.values)))
        row["area bound"] = number(part["area_bound"].mean())
        row["coverage"] = number(part["coverage"].mean())
        row["IoU > .5"] = percent(share_above(part["iou"].to_numpy(), 0.5))
        row["IoU < .01"] = percent(share_below(part["iou"].to_numpy(), 0.01))
        rows.append(row)
    return pd.DataFrame(rows)


def switch_table(varied: Sequence[tuple[Variation, pd.DataFrame]]) -> pd.DataFrame:
    """Return the result of each variation, and its difference from the study as it was run."""
    base = varied[0][1]
    once = base[base["label"] == base["predicted"]]
    ours = base.groupby("threshold")["iou"].mean().max()
    right = Variation("which slices", "rightly classified alone")
    rows = []
    for variation, scores in [*varied, *([(right, once)] if len(once) else [])]:
        threshold = best_threshold(scores)
        part, p95 = (scores[scores["threshold"] == name] for name in (threshold, P95))
        iou = float(part["iou"].mean())
        row: Row = {"question": Cell(variation.question, "(trained again)" * variation.trains)}
        row |= {"answer": variation.answer, "slices": _count(part)}
        row["accuracy"] = number(float((part["label"] == part["predicted"]).mean()))
        row |= {"best threshold": threshold, "IoU": number(iou)}
        row["change"] = "" if scores is base else signed(iou - ours)
        row["> .5"] = percent(share_above(part["iou"].to_numpy(), 0.5))
        row["< .01"] = percent(share_below(part["iou"].to_numpy(), 0.01))
        row["IoU at percentile:95"] = number(p95["iou"].mean())
        row["area at percentile:95"] = percent(p95["mask_area"].mean())
        row["area bound at percentile:95"] = number(p95["area_bound"].mean())
        rows.append(row)
    return pd.DataFrame(rows)


def signed(value: float) -> str:
    """Write a difference with its sign; what rounds to nothing has none."""
    text = number(abs(value))
    return text if text == number(0) else ("+" if value > 0 else MINUS) + text
