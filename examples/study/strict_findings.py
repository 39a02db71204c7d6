"""What the strict protocol found, one paragraph a finding; every word follows from the data."""

from collections.abc import Iterator
from math import prod

import pandas as pd

from cameval import Results
from cameval.statistics import bootstrap_difference
from study.classification import fold_scores
from study.looking import MAP, OPTIMUM, VALIDATED
from study.settings import Settings
from study.strict_tables import BLIND, CEILING, IMAGE, best_of
from study.training import epochs_of
from study.words import Scores, between, count_of, number, p_value, percent


def findings(
    results: Results,
    scores: Scores,
    predictions: pd.DataFrame,
    best: str,
    settings: Settings,
    resolution: pd.DataFrame,
) -> list[str]:
    """Return the findings as paragraphs."""
    of_best = results.select(model=best)
    return [
        _what_was_run(results, settings),
        " ".join(_looking(of_best, scores, predictions, best)),
        _optimism(scores, best),
        " ".join(_proposed_thresholds(of_best, scores, best)),
        " ".join(_small_tumors(of_best, scores, best)),
        " ".join(_parts(of_best)),
        " ".join(_grid(results, resolution, best)),
        *_recipes(results, settings, scores),
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
    several = len(set(predictions["model"])) > 1
    chosen = ", the best of the networks on the validation patients," if several else ""
    yield (
        f"{best}{chosen} classifies {percent(accuracy)} of the slices right, the mean of the "
        "folds. Its class activation maps, at thresholds chosen on other patients, reach a mean "
        f"IoU of {scores.text(best, MAP, VALIDATED)} with the tumors."
    )
    tests = _planned(of_best, "iou")
    for methods, kind in ((BLIND, "blind map"), (IMAGE, "map made without the trained network")):
        rival = best_of(scores, best, methods, VALIDATED)
        yield (
            f"The best {kind} ({rival}) reaches {number(scores.mean(best, rival, VALIDATED))}; "
            f"{_apart(tests, rival)}."
        )
    yield (
        f"Masks of these areas could have reached "
        f"{number(scores.mean(best, MAP, VALIDATED, 'area_cap'))}, the tumors themselves on the "
        f"network's grid {number(scores.mean(best, CEILING, VALIDATED))}."
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


def _apart(tests: pd.DataFrame, rival: str) -> str:
    """Say how far a map is ahead of, or behind, another, patient by patient."""
    test = tests[tests["first"] == rival].iloc[0]
    ahead, low, high = -test["difference"], -test["high"], -test["low"]
    clear = "clearly" if test["p_holm"] < 0.05 else "not clearly"
    word = "ahead" if ahead > 0 else "behind"
    return (
        f"by patient the class activation map is {clear} {word}, by {number(abs(ahead))} "
        f"(difference {number(ahead)} {between(low, high)}, p {_p(test['p_holm'])}, corrected for "
        f"{count_of(len(tests), 'comparison')})"
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
        f"{_apart(_planned(of_best, metric), blind)}."
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


def _grid(results: Results, resolution: pd.DataFrame, best: str) -> Iterator[str]:
    row = resolution.set_index("model").loc[best]
    yield (
        f"The grid of {best} ({row['grid']} cells) allows an IoU of "
        f"{row['truth, best threshold']} at the best threshold; the maps reach {row['IoU / best']} "
        "of it."
    )
    if resolution["grid"].nunique() > 1:
        ranked = resolution.assign(
            cells=[prod(map(int, str(grid).split(" \u00d7 "))) for grid in resolution["grid"]]
        ).sort_values("cells", kind="stable")
        coarsest, finest = ranked.iloc[0], ranked.iloc[-1]
        test = results.compare(
            "iou",
            over="model",
            reference=str(coarsest["model"]),
            model=[str(coarsest["model"]), str(finest["model"])],
            method=MAP,
            kind="method",
            binarizer=VALIDATED,
            explained="predicted",
        ).iloc[0]
        clear = "clearly" if test["p_holm"] < 0.05 else "not clearly"
        way = "more" if test["difference"] > 0 else "less"
        yield (
            f"The finest grid ({finest['model']}, {finest['grid']}) allows "
            f"{finest['truth, best threshold']} and reaches {finest['IoU'].text}; the coarsest "
            f"({coarsest['model']}, {coarsest['grid']}) reaches {coarsest['IoU'].text}, so the "
            f"finer one reaches {clear} {way} (by patient {number(test['difference'])} "
            f"{between(test['low'], test['high'])})."
        )


def _recipes(results: Results, settings: Settings, scores: Scores) -> Iterator[str]:
    for candidate in settings.candidates:
        rival = next(
            (
                one
                for one in settings.candidates
                if one.trunk == candidate.trunk and one.recipe == "longer"
            ),
            None,
        )
        if candidate.recipe != "gain" or rival is None:
            continue
        test = results.compare(
            "iou",
            over="model",
            reference=str(rival),
            model=[str(rival), str(candidate)],
            method=MAP,
            kind="method",
            binarizer=VALIDATED,
            explained="predicted",
        ).iloc[0]
        omega, sigma = settings.mining
        clear = "clearly" if test["p_holm"] < 0.05 else "not clearly"
        way = "more" if test["difference"] > 0 else "less"
        yield (
            f"{candidate} is trained with attention mining (GAIN, omega {omega:g}, sigma "
            f"{sigma:g}) and reaches an IoU of {scores.text(str(candidate), MAP, VALIDATED)}; "
            f"{rival}, with as many passes through the network and no mining, "
            f"{scores.text(str(rival), MAP, VALIDATED)}. By patient, mining reaches {clear} {way} "
            f"(difference {number(test['difference'])} {between(test['low'], test['high'])}, p "
            f"{_p(test['p_holm'])})."
        )


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
