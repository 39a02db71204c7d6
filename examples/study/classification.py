"""How well the networks tell the tumors apart: Table 2 of the paper."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from cameval.statistics import mean_interval
from study import paper
from study.candidates import Candidate
from study.words import estimate, number, percent

SCORES = ("accuracy", "precision", "recall", "F1")
"""Accuracy, and the means over the classes of the rest (macro averages)."""


def fold_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score each fold of each model.

    Predictions have the columns model, fold, label and predicted.
    """
    rows = []
    for (model, fold), part in predictions.groupby(["model", "fold"], sort=False):
        precision, recall, f1, _ = precision_recall_fscore_support(
            part["label"], part["predicted"], average="macro", zero_division=0
        )
        accuracy = accuracy_score(part["label"], part["predicted"])
        rows.append(
            {"model": model, "fold": fold, "accuracy": float(accuracy)}
            | {"precision": float(precision), "recall": float(recall), "F1": float(f1)}
        )
    return pd.DataFrame(rows)


def best_model(predictions: pd.DataFrame) -> str:
    """Return the model with the highest mean accuracy over the folds, as VGG-19 in the paper."""
    by_model = fold_scores(predictions).groupby("model", sort=False)["accuracy"].mean()
    return str(by_model.idxmax())


def table_2(predictions: pd.DataFrame) -> pd.DataFrame:
    """Table 2 of the paper, the paper's own rows beside ours, and the most frequent class below.

    Mean and standard deviation over folds (divided by n - 1), and of all slices together the
    accuracy with its interval by patient.
    """
    scores = fold_scores(predictions)
    rows: list[dict[str, Any]] = []
    beside: set[str] = set()
    for model, part in scores.groupby("model", sort=False):
        of_model = predictions[predictions["model"] == model]
        right = (of_model["label"] == of_model["predicted"]).to_numpy(float)
        pooled = mean_interval(right, of_model["group"].to_numpy(str), bounds=(0, 1))
        cells = {s: mean_and_sd(part[s].mean(), part[s].std()) for s in SCORES}
        of_all = estimate(pooled.estimate, pooled.low, pooled.high)
        rows.append({"model": model} | cells | {"all slices": of_all})
        network = Candidate.parse(str(model)).network
        if network in paper.TABLE_2 and network not in beside:
            rows.append(_paper_row(network))
            beside.add(network)
    rows += [_paper_row(network) for network in paper.TABLE_2 if not beside]
    counts = predictions.drop_duplicates("sample")["label"].value_counts()
    share = counts.iloc[0] / counts.sum()
    rows.append({"model": "always the most frequent class", "all slices": number(share)})
    return pd.DataFrame(rows).fillna("")


def over_folds(folds: int) -> str:
    """Say what is in Table 2; which standard deviation the paper prints, it does not say."""
    return (
        f"mean and standard deviation over {folds} folds. The deviations are those of a sample, "
        f"divided by {folds - 1}; divided by {folds}, they are "
        f"{number(sqrt((folds - 1) / folds))} times these."
    )


def mean_and_sd(mean: float, sd: float) -> str:
    """Write a mean and a standard deviation as the paper does."""
    return f"{number(mean)} ({number(sd)})"


def confusion(predictions: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Count what each class was taken for."""
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (predictions["label"], predictions["predicted"]), 1)
    table = pd.DataFrame({"true class": names})
    for k, name in enumerate(names):
        table[f"predicted {name}"] = [f"{count:,}" for count in counts[:, k]]
    table["recall"] = [percent(c) for c in counts.diagonal() / counts.sum(1).clip(1)]
    return table


def _paper_row(network: str) -> dict[str, str]:
    means = [mean_and_sd(*pair) for pair in paper.TABLE_2[network]]
    return {"model": f"the paper's {network}"} | dict(zip(SCORES, means, strict=True))
