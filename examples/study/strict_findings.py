"""What the strict protocol found, one paragraph a finding; every word follows from the data."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from cameval import Results
from cameval.statistics import bootstrap_difference
from study.candidates import Candidate
from study.classification import fold_scores
from study.looking import MAP, METHODS, OPTIMUM, VALIDATED, WRONG_CLASS
from study.settings import Settings
from study.strict_tables import BLIND, CEILING, IMAGE, best_of
from study.training import epochs_of
from study.words import Scores, apart, between, count_of, number, percent, verdict


def findings(
    results: Results,
    scores: Scores,
    predictions: pd.DataFrame,
    best: str,
    settings: Settings,
    resolution: pd.DataFrame,
    networks: pd.DataFrame | None,
) -> list[str]:
    """Return the findings as paragraphs.

    `networks` are the paired tests between the networks, where there are several.
    """
    of_best = results.select(model=best)
    return [
        _what_was_run(results, settings),
        " ".join(_looking(of_best, scores, predictions, best)),
        " ".join(_other_methods(of_best, scores, best)),
        _optimism(scores, best),
        " ".join(_proposed_thresholds(of_best, scores, best)),
        " ".join(_small_tumors(of_best, scores, best)),
        " ".join(_parts(of_best)),
        " ".join(_grid(resolution, best, networks)),
        *_recipes(settings, scores, networks),
    ]


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
    of_best: Results, scores: Scores, predictions: pd.DataFrame, best: str
) -> Iterator[str]:
    accuracy = fold_scores(predictions).groupby("model")["accuracy"].mean()[best]
    yield (
        f"{best} classifies {percent(accuracy)} of the slices right, the mean of the folds. Its "
        "class activation maps, at thresholds chosen on other patients, reach a mean IoU of "
        f"{scores.text(best, MAP, VALIDATED)} with the tumors."
    )
    tests = _planned(of_best, "iou")
    for methods, kind in ((BLIND, "blind map"), (IMAGE, "map made without the trained network")):
        rival = best_of(scores, best, methods, VALIDATED)
        yield (
            f"The best {kind} ({rival}) reaches {number(scores.mean(best, rival, VALIDATED))}; "
            f"{apart(tests, MAP, rival)}."
        )
    yield (
        f"Masks of these areas could have reached "
        f"{number(scores.mean(best, MAP, VALIDATED, 'area_cap'))}, the tumors themselves on the "
        f"network's grid {number(scores.mean(best, CEILING, VALIDATED))}."
    )
    if predictions["model"].nunique() > 1:
        yield (
            f"Of the networks {best} is the one described here because it classifies the "
            "validation patients best. Over all folds these are the tested patients too, so "
            "that, unlike the thresholds, this choice is a little optimistic; each network has "
            "tables of its own."
        )


def _planned(of_best: Results, metric: str) -> pd.DataFrame:
    """Test the map against what it must beat: a family of its own, planned before."""
    return of_best.compare(
        metric,
        reference=MAP,
        method=[MAP, *BLIND, *IMAGE],
        binarizer=VALIDATED,
        explained="predicted",
    )


def _other_methods(of_best: Results, scores: Scores, best: str) -> Iterator[str]:
    tests = of_best.compare(
        "iou",
        reference=MAP,
        method=list(METHODS),
        kind="method",
        binarizer=VALIDATED,
        explained="predicted",
    )
    said = []
    for method in [method for method in METHODS if method != MAP]:
        clear, more, _ = verdict(tests, method, MAP)
        way = "more" if more > 0 else "less"
        reached = scores.text(best, method, VALIDATED)
        name = "the map of the wrong class" if method == WRONG_CLASS else method
        said.append(f"{name} {reached} ({way if clear == 'clearly' else 'no clear difference'})")
    yield (
        "On the same network, beside the class activation map's "
        f"{number(scores.mean(best, MAP, VALIDATED))}, other methods reach: {', '.join(said)}."
    )
    rightful = [method for method in METHODS if method != WRONG_CLASS]
    top, blind = (best_of(scores, best, those, VALIDATED) for those in (rightful, BLIND))
    if top != MAP:
        tests = of_best.compare(
            "iou",
            reference=top,
            method=[top, *BLIND],
            binarizer=VALIDATED,
            explained="predicted",
        )
        yield (
            f"Against the best blind map ({blind}), {number(scores.mean(best, blind, VALIDATED))}: "
            f"{apart(tests, top, blind)}; but {top} is the best of {len(rightful)} methods on "
            "these same slices."
        )


def _optimism(scores: Scores, best: str) -> str:
    validated, optimum = (scores.mean(best, MAP, label) for label in (VALIDATED, OPTIMUM))
    return (
        f"Had the threshold been chosen on the tested slices of each fold, as the paper chose "
        f"its own, the IoU would read {number(optimum)} instead of {number(validated)}: an "
        f"optimism of {number(optimum - validated)}."
    )


def _proposed_thresholds(of_best: Results, scores: Scores, best: str) -> Iterator[str]:
    yield (
        "The paper proposes Otsu's and locally adaptive thresholds. Stated before it was measured: "
        "on smooth maps they lower the IoU against the 95th percentile and raise the coverage."
    )
    for metric in ("iou", "coverage"):
        tests = of_best.compare(
            metric,
            over="binarizer",
            reference="p95",
            binarizer=["p95", "otsu", "adaptive"],
            method=MAP,
            kind="method",
            explained="predicted",
        )
        expected = -1 if metric == "iou" else 1
        said = []
        for test in tests.to_dict("records"):
            apart = test["low"] > 0 or test["high"] < 0
            as_said = (test["difference"] > 0) == (expected > 0)
            verdict = "no clear difference" if not apart else "so" if as_said else "not so"
            said.append(
                f"{test['first']} {scores.text(best, MAP, test['first'], metric)} ({verdict})"
            )
        title = "IoU" if metric == "iou" else "Coverage"
        yield f"{title} {scores.text(best, MAP, 'p95', metric)} at p95, {', '.join(said)}."


def _small_tumors(of_best: Results, scores: Scores, best: str) -> Iterator[str]:
    metric = "size_standardized_iou"
    blind = max(BLIND, key=lambda method: scores.mean(best, method, VALIDATED, metric))
    yield (
        "With the size of the tumors taken out, the size-standardized IoU (r = .05) is "
        f"{scores.text(best, MAP, VALIDATED, metric)}, and "
        f"{number(scores.mean(best, blind, VALIDATED, metric))} for the best blind map ({blind}); "
        f"{apart(_planned(of_best, metric), MAP, blind)}."
    )


def _parts(of_best: Results) -> Iterator[str]:
    one = of_best.select(metric="iou", method=MAP, binarizer=VALIDATED, explained="predicted")
    right = (one.samples["label"] == one.samples["predicted"]).to_numpy()
    if 0 < right.sum() < len(right):
        groups = one.samples["group"].to_numpy(str)
        gap = bootstrap_difference(one.values[:, 0], right, groups)
        apart = gap.low > 0 or gap.high < 0
        word = "clearly" if apart else "not clearly"
        way = "higher" if gap.estimate > 0 else "lower"
        yield (
            f"Where the prediction is right, the IoU is {word} {way} than where it is wrong "
            f"(difference {number(gap.estimate)} {between(gap.low, gap.high)})."
        )
    for on, what in (("area", "the size of the tumor"), ("probability", "the confidence")):
        row = of_best.dependence(
            "iou", on=on, method=MAP, binarizer=VALIDATED, explained="predicted"
        ).iloc[0]
        clear = row["low"] > 0 or row["high"] < 0
        way = ("rises" if row["estimate"] > 0 else "falls") if clear else "does not clearly go"
        yield (
            f"The IoU {way} with {what} (rank correlation {number(row['estimate'])} "
            f"{between(row['low'], row['high'])})."
        )


def _grid(resolution: pd.DataFrame, best: str, networks: pd.DataFrame | None) -> Iterator[str]:
    rows = {row["model"]: row for row in resolution.to_dict("records")}
    yield (
        f"The grid of {best} ({rows[best]['grid']} cells) allows an IoU of "
        f"{rows[best]['truth, best threshold']} at the best threshold; the maps reach "
        f"{rows[best]['IoU / best']} of it."
    )
    for coarse, fine in grids_of_one_network({model: row["cells"] for model, row in rows.items()}):
        if networks is not None:
            clear, more, numbers = verdict(networks, fine, coarse)
            reached = [
                f"{model} ({rows[model]['grid']}) allows {rows[model]['truth, best threshold']} "
                f"and reaches {rows[model]['IoU'].text}"
                for model in (fine, coarse)
            ]
            yield (
                f"{', '.join(reached)}. By patient the finer grid reaches {clear} "
                f"{'more' if more > 0 else 'less'} ({numbers})."
            )


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


def _recipes(settings: Settings, scores: Scores, networks: pd.DataFrame | None) -> Iterator[str]:
    for candidate in settings.candidates:
        rival = replace(candidate, recipe="longer")
        if candidate.recipe != "gain" or rival not in settings.candidates or networks is None:
            continue
        omega, sigma = settings.mining
        clear, more, numbers = verdict(networks, str(candidate), str(rival))
        yield (
            f"{candidate} is trained with attention mining (GAIN, omega {omega:g}, sigma "
            f"{sigma:g}) and reaches an IoU of {scores.text(str(candidate), MAP, VALIDATED)}; "
            f"{rival}, with as many passes through the network and no mining, "
            f"{scores.text(str(rival), MAP, VALIDATED)}. By patient, mining reaches {clear} "
            f"{'more' if more > 0 else 'less'} ({numbers})."
        )
