"""Paired tests of the study: against baselines, and those that were planned."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cameval import Results
from cameval.report import format_number as number
from cameval.report import format_p
from cameval.statistics import paired_tests
from study.evaluation import MAP, P95, VALIDATED
from study.tables import COMPARED, MINUS, SIZED, Row, Scores, estimate

PLANNED = "planned tests"
TEST_COLUMNS = [
    *("metric", "binarizer", "first", "second", "difference", "low_holm", "high_holm", "p"),
    *("p_holm", "confidence_holm", "n_groups"),
]
_CORRECTED = ["difference", "low_holm", "high_holm", "p_holm"]


def test_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Write paired tests, with the names of `page_tests`: intervals and p are corrected."""
    found = tests[["difference", "low_holm", "high_holm"]].to_numpy()
    columns = {
        "comparison": tests["first"] + f" {MINUS} " + tests["second"],
        "metric": tests["metric"],
        "binarizer": tests["binarizer"],
        "difference": [estimate(*row) for row in found],
        "confidence": tests["confidence_holm"].map("{:.2%}".format),
        "p": tests["p_holm"].map(format_p),
        "p uncorrected": tests["p"].map(format_p),
        "tests": tests["tests"].map(str),
        "family": tests["family"],
        "patients": tests["n_groups"],
    }
    return pd.DataFrame(columns)


def baseline_tests(
    results: Results,
    binarizer: str,
    names: Sequence[str],
    seed: int,
    tests: pd.DataFrame | None = None,
) -> Any:
    """Test the IoU of the map against three baselines, of each class and of all slices.

    The baselines are the center of the frame, the mean mask of the class and the brightness. The
    three tests of a class are one family. ``tests`` are those of the page, with the same masks:
    then the tests of all slices are taken from these, so that each has one p on the page.
    """
    one = results.select(metric="iou", binarizer=binarizer, target_class="predicted")
    labels, patients = one.samples["label"].to_numpy(int), one.samples["group"].to_numpy(str)
    values = {name: one.select(method=name).values[:, 0] for name in (MAP, *COMPARED)}
    rows = []
    for label, name in (*enumerate(names), (-1, "all")):
        of_class = labels == label if label >= 0 else np.ones(len(labels), bool)
        own = values[MAP][of_class]
        if not np.isfinite(own).any():
            continue
        differences = {key: own - values[key][of_class] for key in COMPARED}
        differences["zero"] = np.zeros(len(own))
        for test in paired_tests(differences, patients[of_class], reference="zero", seed=seed):
            row: Row = {"class": name, "slices": test.n, "baseline": test.first}
            row["map"] = number(float(np.nanmean(own)))
            row["of the baseline"] = number(float(np.nanmean(values[test.first][of_class])))
            found = (test.difference, test.low_holm, test.high_holm, test.p_holm)
            if name == "all" and tests is not None:
                of_pair = (tests["first"] == MAP) & (tests["second"] == test.first)
                found = tuple(tests.loc[of_pair, _CORRECTED].to_numpy()[0])
            difference, low, high, p = found
            row["difference"] = estimate(difference, low, high)
            rows.append(row | {"p": format_p(p)})
    return pd.DataFrame(rows)


def planned_tests(scores: Scores, model: str, seed: int) -> pd.DataFrame:
    """Test what was planned beside the IoU at the validated threshold, as one family.

    That is the size-standardized IoU against the best map that is made without the image, and the
    IoU and coverage of Otsu's and the adaptive threshold against the 95th percentile.
    """
    without = scores.best_baseline(model, VALIDATED, "nothing", "labels", metric=SIZED)
    pairs = [(SIZED, (MAP, VALIDATED), (without, VALIDATED))]
    for metric in ("iou", "coverage"):
        pairs += [(metric, (MAP, name), (MAP, P95)) for name in ("otsu", "adaptive")]
    differences = {
        str(k): scores.values(model, *one, metric) - scores.values(model, *other, metric)
        for k, (metric, one, other) in enumerate(pairs)
    }
    patients = scores.results.select(model=model).samples["group"].to_numpy(str)
    differences["zero"] = np.zeros(len(patients))
    rows = []
    for k, test in enumerate(paired_tests(differences, patients, reference="zero", seed=seed)):
        metric, one, other = pairs[k]
        names = (one[0], other[0]) if metric == SIZED else (one[1], other[1])
        binarizer = VALIDATED if metric == SIZED else ""  # else two are compared
        numbers = (test.difference, test.low_holm, test.high_holm, test.p, test.p_holm)
        confidence = 1 - 0.05 * test.p / test.p_holm
        rows.append((metric, binarizer, *names, *numbers, confidence, test.n_groups))
    table = pd.DataFrame(rows, columns=TEST_COLUMNS)
    return table.assign(tests=table["p"].notna().sum(), family=PLANNED)


def best_binarizer(results: Results) -> str:
    """Return the binarizer whose masks of the map have the highest mean IoU: the verdict's."""
    of_map = results.select(method=MAP, metric="iou")
    means = {
        column.binarizer: float(np.nanmean(of_map.values[:, k]))
        for k, column in enumerate(of_map.columns)
    }
    return max(means, key=lambda label: means[label])
