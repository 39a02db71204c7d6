"""What the strict protocol found, one paragraph a finding; every word follows from the data."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval import Results
from cameval.statistics import difference_interval
from study.candidates import Candidate
from study.classification import fold_scores
from study.comparisons import Comparison, PageTests, ahead, family
from study.looking import MAP, METHODS, OPTIMUM, TRUTH_ON_GRID, VALIDATED, WRONG_CLASS
from study.settings import Settings
from study.strict_tables import WITHOUT_IMAGE, rivals
from study.training import epochs_of
from study.words import Scores, between, count_of, number, percent

SIZED = "size_standardized_iou"
EXPECTED = {"iou": -1, "coverage": 1}
"""Signs of what Otsu's and adaptive thresholds were said to change, before it was measured."""


def findings(
    results: Results,
    scores: Scores,
    predictions: pd.DataFrame,
    best: str,
    settings: Settings,
    resolution: pd.DataFrame,
    tests: PageTests,
) -> list[str]:
    """Return the findings as paragraphs.

    Differences in IoU at the validated threshold are those of the page's `tests`. Those that the
    page does not test are one family more.
    """
    of_best = results.select(model=best)
    own = planned(of_best, scores, best, settings.seed)
    return [
        _what_was_run(results, settings),
        " ".join(_looking(scores, predictions, best, tests)),
        " ".join(_other_methods(scores, best, tests)),
        _optimism(scores, best),
        " ".join(_proposed_thresholds(scores, best, own)),
        " ".join(_small_tumors(scores, best, own)),
        " ".join(_parts(of_best)),
        " ".join(_grid(resolution, best, tests)),
        *_recipes(settings, scores, tests),
    ]


# --- Tests that the page does not have ----------------------------------------------------------


def planned(
    of_best: Results, scores: Scores, best: str, seed: int
) -> dict[tuple[str, str], Comparison]:
    """Test what was planned beside the IoU at the validated threshold, as one family.

    That is the size-standardized IoU against the best map that is made without the image, and the
    IoU and coverage of Otsu's and the adaptive threshold against the 95th percentile. A pair is the
    metric and the map or threshold.
    """
    groups = of_best.samples["group"].to_numpy(str)
    without, _ = rivals(scores, best, VALIDATED, SIZED)
    pairs = {
        (SIZED, without): _scores(of_best, SIZED, MAP, VALIDATED)
        - _scores(of_best, SIZED, without, VALIDATED)
    }
    for metric in EXPECTED:
        usual = _scores(of_best, metric, MAP, "p95")
        for binarizer in ("otsu", "adaptive"):
            pairs[metric, binarizer] = _scores(of_best, metric, MAP, binarizer) - usual
    return family(pairs, groups, seed)


def _scores(of_best: Results, metric: str, method: str, binarizer: str) -> NDArray[np.float64]:
    one = of_best.select(
        metric=metric, method=method, binarizer=binarizer, target_class="predicted"
    )
    return one.values[:, 0]


# --- Paragraphs ---------------------------------------------------------------------------------


def _what_was_run(results: Results, settings: Settings) -> str:
    samples = results.samples
    what = "phantom slices" if settings.data == "phantom" else "MRI slices"
    networks = ", ".join(
        f"{one} ({settings.size_of(one)} px"
        + ("" if settings.freeze else f", at most {count_of(epochs_of(one, settings), 'epoch')}")
        + ")"
        for one in settings.candidates
    )
    text = (
        f"{samples['sample'].nunique():,} {what} of {samples['group'].nunique()} patients in "
        f"{settings.folds} folds by patient, one at a time to test on, one to choose on, the "
        f"others to train on: {networks}{', features frozen' if settings.freeze else ''}, seed "
        f"{settings.seed}."
    )
    if settings.data == "phantom":
        text += " The phantom is for trying things out: nothing clinical follows from it."
    return text


def _looking(
    scores: Scores, predictions: pd.DataFrame, best: str, tests: PageTests
) -> Iterator[str]:
    accuracy = fold_scores(predictions).groupby("model")["accuracy"].mean()[best]
    yield (
        f"{best} classifies {percent(accuracy)} of the slices right, the mean of the folds. Its "
        "class activation maps, at thresholds chosen on other patients, have a mean IoU of "
        f"{scores.text(best, MAP, VALIDATED)} with the tumors."
    )
    words = ("made without the image", "made of the image without the trained network")
    for rival, what in zip(rivals(scores, best, VALIDATED), words, strict=True):
        reached = number(scores.mean(best, rival, VALIDATED))
        yield f"The best map {what} ({rival}) has {reached}{_tested(tests, best, MAP, rival)}."
    yield (
        "Masks of these areas could have a mean IoU of "
        f"{number(scores.mean(best, MAP, VALIDATED, 'area_bound'))} at most. The tumors themselves, "
        "drawn on the network's grid, have "
        f"{number(scores.mean(best, TRUTH_ON_GRID, VALIDATED))} at the thresholds chosen for them; "
        "other maps of the grid may have more."
    )
    if predictions["model"].nunique() > 1:
        yield (
            f"Of the networks {best} is the one described here because it classifies the "
            "validation patients best. Over all folds these are the tested patients too, so "
            "that, unlike the thresholds, this choice is a little optimistic; each network has "
            "tables of its own."
        )


def _tested(tests: PageTests, model: str, first: str, second: str) -> str:
    """Return the end of a sentence: how two maps of a model compare, where they were tested."""
    found = tests.of_methods(model, first, second)
    return "" if found is None else f": {ahead(found)}"


def _other_methods(scores: Scores, best: str, tests: PageTests) -> Iterator[str]:
    said = []
    for method in [method for method in METHODS if method != MAP]:
        found = tests.of_methods(best, method, MAP)
        word = "not tested"
        if found is not None:
            more = "more" if found.difference > 0 else "less"
            word = more if found.clear else "no clear difference"
        name = "the map of the wrong class" if method == WRONG_CLASS else method
        said.append(f"{name} {scores.text(best, method, VALIDATED)} ({word})")
    yield (
        "On the same network, beside the class activation map's "
        f"{number(scores.mean(best, MAP, VALIDATED))}, other methods have: {', '.join(said)}."
    )
    rightful = [method for method in METHODS if method != WRONG_CLASS]
    top = scores.best_of(best, rightful, VALIDATED)
    without = scores.best_of(best, scores.baselines(*WITHOUT_IMAGE), VALIDATED)
    if top != MAP:
        yield (
            f"Against the best map made without the image ({without}), "
            f"{number(scores.mean(best, without, VALIDATED))}"
            f"{_tested(tests, best, top, without)}; but {top} is the best of {len(rightful)} "
            "methods on these same slices."
        )


def _optimism(scores: Scores, best: str) -> str:
    validated, optimum = (scores.mean(best, MAP, label) for label in (VALIDATED, OPTIMUM))
    return (
        "Had the threshold been chosen on the tested slices of each fold, the IoU would read "
        f"{number(optimum)} instead of {number(validated)}: an optimism of "
        f"{number(optimum - validated)}."
    )


def _proposed_thresholds(
    scores: Scores, best: str, own: dict[tuple[str, str], Comparison]
) -> Iterator[str]:
    yield (
        "The paper proposes Otsu's and locally adaptive thresholds. Stated before it was measured: "
        "on smooth maps they lower the IoU against the 95th percentile and raise the coverage. "
        "These four tests, and that of the size-standardized IoU, are a family of their own."
    )
    for metric, expected in EXPECTED.items():
        said = []
        for binarizer in ("otsu", "adaptive"):
            found = own[metric, binarizer]
            as_said = (found.difference > 0) == (expected > 0)
            word = "no clear difference" if not found.clear else "so" if as_said else "not so"
            text = scores.text(best, MAP, binarizer, metric)
            said.append(f"{binarizer} {text} ({word}: {found.numbers})")
        title = "IoU" if metric == "iou" else "Coverage"
        yield f"{title} {scores.text(best, MAP, 'p95', metric)} at p95, {', '.join(said)}."


def _small_tumors(
    scores: Scores, best: str, own: dict[tuple[str, str], Comparison]
) -> Iterator[str]:
    without, _ = rivals(scores, best, VALIDATED, SIZED)
    yield (
        "The size-standardized IoU (r = .05), the IoU at the same recall and false-positive rate "
        f"on a tumor of 5 % of the frame, is {scores.text(best, MAP, VALIDATED, SIZED)}, and "
        f"{number(scores.mean(best, without, VALIDATED, SIZED))} for the best map made without the "
        f"image ({without}): {ahead(replace(own[SIZED, without], first=MAP, second=without))}."
    )


def _parts(of_best: Results) -> Iterator[str]:
    one = of_best.select(metric="iou", method=MAP, binarizer=VALIDATED, target_class="predicted")
    right = (one.samples["label"] == one.samples["predicted"]).to_numpy(bool)
    if 0 < right.sum() < len(right):
        groups = one.samples["group"].to_numpy(str)
        gap = difference_interval(one.values[:, 0], right, groups, bounds=(0, 1))
        yield (
            "The mean IoU where the prediction is right, minus that where it is wrong, is "
            f"{_with_interval(gap.estimate, gap.low, gap.high)}."
        )
    for on, what in (("area", "the size of the tumor"), ("probability", "the confidence")):
        row = of_best.dependence(
            "iou", on=on, method=MAP, binarizer=VALIDATED, target_class="predicted"
        ).iloc[0]
        yield (
            f"The rank correlation of the IoU with {what}, within classes, is "
            f"{_with_interval(row['estimate'], row['low'], row['high'])}."
        )


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{number(value)} {between(low, high)}".strip()


def _grid(resolution: pd.DataFrame, best: str, tests: PageTests) -> Iterator[str]:
    rows = {row["model"]: row for row in resolution.to_dict("records")}
    yield (
        f"Drawn on the grid of {best} ({rows[best]['grid']} cells), the tumors themselves have a "
        f"mean IoU of {rows[best]['truth on grid, best threshold']} at the best threshold of each "
        f"slice, and some maps of this grid have {rows[best]['some map, at least']} or more."
    )
    for coarse, fine in grids_of_one_network({model: row["cells"] for model, row in rows.items()}):
        found = tests.of_models(fine, coarse)
        if found is not None:
            reached = [
                f"{model} ({rows[model]['grid']}) has an IoU of {rows[model]['IoU'].text}, the "
                f"tumors on its grid {rows[model]['truth on grid, best threshold']}"
                for model in (fine, coarse)
            ]
            yield f"{'; '.join(reached)}. Between the two maps: {ahead(found)}."


def grids_of_one_network(cells: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the coarsest and the finest of the candidates that differ in nothing but the grid."""
    alike: dict[tuple[str, str], list[str]] = {}
    for model in cells:
        candidate = Candidate.parse(model)
        alike.setdefault((candidate.network, candidate.recipe), []).append(model)
    for several in alike.values():
        ranked = sorted(several, key=lambda model: cells[model])
        if cells[ranked[0]] < cells[ranked[-1]]:
            yield ranked[0], ranked[-1]


def _recipes(settings: Settings, scores: Scores, tests: PageTests) -> Iterator[str]:
    for candidate in settings.candidates:
        rival = replace(candidate, recipe="longer")
        found = tests.of_models(str(candidate), str(rival))
        if candidate.recipe != "gain" or found is None:
            continue
        omega, sigma = settings.mining
        yield (
            f"{candidate} is trained with attention mining (GAIN, omega {omega:g}, sigma "
            f"{sigma:g}) and has an IoU of {scores.text(str(candidate), MAP, VALIDATED)}; "
            f"{rival}, with as many passes through the network and no mining, "
            f"{scores.text(str(rival), MAP, VALIDATED)}. Between the two: {ahead(found)}."
        )
