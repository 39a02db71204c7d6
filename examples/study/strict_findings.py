"""What the strict protocol found, one paragraph a finding; every word follows from the data."""

from collections.abc import Iterator

import pandas as pd

from cameval import Results
from cameval.errors import DataError
from cameval.report.comparisons import method_tests
from cameval.report.facts import Facts, Preferred
from cameval.statistics import bootstrap_difference
from study.classification import fold_scores
from study.looking import MAP, OPTIMUM, VALIDATED
from study.settings import Settings
from study.strict_tables import BLIND, CEILING, IMAGE, best_of
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
        " ".join(_small_tumors(scores, best)),
        " ".join(_parts(of_best)),
        " ".join(_grid(resolution, best)),
        *_recipes(settings, scores),
    ]


def _what_was_run(results: Results, settings: Settings) -> str:
    samples = results.samples
    what = "phantom slices" if settings.data == "phantom" else "MRI slices"
    trained = (
        "features frozen" if settings.freeze else "at most " + count_of(settings.epochs, "epoch")
    )
    count = samples["sample"].nunique()
    text = (
        f"{count:,} {what} of {samples['group'].nunique()} patients, {settings.folds} folds by "
        f"patient: three parts, one to train on, one to choose on, one to test on. "
        f"{settings.size} px, {trained}, seed {settings.seed}."
    )
    if settings.data == "phantom":
        text += " The phantom is for trying things out: nothing clinical follows from it."
    return text


def _looking(
    of_best: Results, scores: Scores, predictions: pd.DataFrame, best: str
) -> Iterator[str]:
    accuracy = fold_scores(predictions).groupby("model")["accuracy"].mean()[best]
    tests = _tests(of_best)
    yield (
        f"{best} classifies {percent(accuracy)} of the slices right, the mean of the folds. Its "
        f"class activation maps, at thresholds chosen on other patients, reach a mean IoU of "
        f"{scores.text(best, MAP, VALIDATED)} with the tumors."
    )
    several = ((BLIND, "blind map"), (IMAGE, "map made without the trained network"))
    for methods, kind in several:
        rival = best_of(scores, best, methods, VALIDATED)
        test = tests[(tests["first"] == MAP) & (tests["second"] == rival)].iloc[0]
        word = "more than" if test["difference"] > 0 else "less than"
        yield (
            f"That is {word if test['p_holm'] < 0.05 else 'not clearly different from'} the "
            f"{number(scores.mean(best, rival, VALIDATED))} of the best {kind} ({rival}); the "
            f"difference by patient is {number(test['difference'])} "
            f"{between(test['low'], test['high'])}, p {_p(test['p_holm'])}."
        )
    yield (
        f"Masks of these areas could have reached {number(_cap(scores, best))}, the tumors "
        f"themselves on the network's grid {number(scores.mean(best, CEILING, VALIDATED))}."
    )


def _tests(of_best: Results) -> pd.DataFrame:
    """Return the family of tests of which the page shows the table, so that p values agree."""
    facts = Facts(of_best.select(binarizer=["", VALIDATED]), Preferred(VALIDATED, MAP))
    model = facts.models[0]
    column = facts.best(model)
    family = None if column is None else method_tests(facts, model, column)
    if family is None:
        raise DataError("the results must hold maps and baselines to compare, got none")
    return family


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
        "on smooth maps they mark too much, so that they lower the IoU against the 95th percentile "
        "and raise the coverage."
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


def _small_tumors(scores: Scores, best: str) -> Iterator[str]:
    blind = max(
        BLIND, key=lambda method: scores.mean(best, method, VALIDATED, "size_standardized_iou")
    )
    ours, theirs = (
        scores.mean(best, method, VALIDATED, "size_standardized_iou") for method in (MAP, blind)
    )
    yield (
        "With the size of the tumors taken out, the size-standardized IoU (r = .05) is "
        f"{scores.text(best, MAP, VALIDATED, 'size_standardized_iou')}, and {number(theirs)} for "
        f"the best blind map ({blind})."
    )
    yield (
        "So it is not the small size of the tumors that puts the maps behind a blind one."
        if ours <= theirs
        else "So where size does not count, the maps are ahead of every blind one."
    )


def _parts(of_best: Results) -> Iterator[str]:
    one = of_best.select(metric="iou", method=MAP, binarizer=VALIDATED, explained="predicted")
    right = (one.samples["label"] == one.samples["predicted"]).to_numpy()
    if 0 < right.sum() < len(right):
        groups = one.samples["group"].to_numpy(str)
        gap = bootstrap_difference(one.values[:, 0], right, groups)
        apart = gap.low > 0 or gap.high < 0
        word = ("higher" if gap.estimate > 0 else "lower") if apart else "not clearly different"
        yield (
            f"Where the prediction is right, the IoU is {word} than where it is wrong (difference "
            f"{number(gap.estimate)} {between(gap.low, gap.high)})."
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


def _grid(resolution: pd.DataFrame, best: str) -> Iterator[str]:
    row = resolution.set_index("model").loc[best]
    yield (
        f"The grid of {best} ({row['grid']} cells) allows an IoU of "
        f"{row['truth, best threshold']} at the best threshold; the maps reach {row['IoU / best']} "
        "of it."
    )
    if resolution["grid"].nunique() > 1:
        ranked = resolution.assign(
            value=resolution["IoU"].map(lambda cell: float(cell.text)),
            allowed=resolution["truth, best threshold"].astype(float),
        ).sort_values("allowed")
        coarsest, finest = ranked.iloc[0], ranked.iloc[-1]
        word = "more" if finest["value"] > coarsest["value"] else "no more"
        yield (
            f"The finest grid ({finest['model']}, {finest['grid']}) allows "
            f"{finest['truth, best threshold']} and reaches {finest['IoU'].text}, {word} than the "
            f"{coarsest['IoU'].text} of the coarsest ({coarsest['model']}, {coarsest['grid']})."
        )


def _recipes(settings: Settings, scores: Scores) -> Iterator[str]:
    for candidate in settings.candidates:
        if candidate.recipe != "gain":
            continue
        others = [
            f"{scores.text(str(one), MAP, VALIDATED)} for {one}"
            for one in settings.candidates
            if one.trunk == candidate.trunk and one.recipe != "gain"
        ]
        omega, sigma = settings.mining
        yield (
            f"{candidate} is trained with attention mining (GAIN, omega {omega:g}, sigma "
            f"{sigma:g}) and reaches an IoU of {scores.text(str(candidate), MAP, VALIDATED)}; "
            f"without it {', '.join(others) or 'nothing was trained'}. The recipe +longer has as "
            "many passes through the network as +gain, and no mining."
        )


def _cap(scores: Scores, best: str) -> float:
    return scores.mean(best, MAP, VALIDATED, "area_cap")


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
