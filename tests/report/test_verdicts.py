"""The verdict of a report on a difference: from its p and its groups to the sentence."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import Page, made, undefined, written

from cameval import choose_binarizers
from cameval.evaluation import Results
from cameval.evaluation._comparisons import ALPHA, least_adjusted
from cameval.evaluation.meaning import MetricMeaning
from cameval.metrics import coverage, false_positive_rate, question_of
from cameval.metrics.properties import higher_is_better
from cameval.report import format_p, verdict_lines
from cameval.statistics import holm, sign_flip_test

CHIPS = {
    "better": "\u25b2 Better than guessing",
    "worse": "\u25bc Worse than guessing",
    "better score": "\u25b2 Better score than guessing",
    "worse score": "\u25bc Worse score than guessing",
    "open": "\u2248 No clear difference from guessing",
    "same binarizer": "\u25b2 Better than a guess with the same binarizer",
    "noise alone": "? Only compared with random maps",
    "too few": "? Too few groups",
    "equal": "\u2248 No clear difference from guessing",
    "untested": "? Nothing to compare with",
}
"""The chip of each verdict."""

pytestmark = pytest.mark.usefixtures("no_figures")


def differing(
    differences: Sequence[float], *, rivals: int = 1, metric: str = "iou", seed: int = 3
) -> Results:
    """Make results of one image a group, in which the maps differ so from every blind map."""
    results = made(
        len(differences),
        groups=len(differences),
        methods=("cam",),
        baselines={f"blind {k}": "nothing" for k in range(rivals)},
        binarizers=("p95",),
        metrics=(metric,),
    )
    values = np.full(results.values.shape, 0.5)
    values[:, 0] += differences
    settings = results.provenance["settings"] | {"seed": seed}
    return replace(results, values=values, provenance={**results.provenance, "settings": settings})


def of_all_signs(differences: Sequence[float]) -> float:
    """Return the p value of a sign-flip test, by going through every pattern of signs."""
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    return float(np.mean([one >= sums[0] - 1e-9 for one in sums]))


HIGH = 0.2
"""A difference; what counts is its sign."""


@pytest.mark.parametrize(
    ("differences", "rivals", "p", "adjusted", "shown", "kind"),
    [
        pytest.param([HIGH] * 10, 1, 2 / 1024, 2 / 1024, "= .002", "better", id="10 of 10"),
        pytest.param([-HIGH] * 10, 1, 2 / 1024, 2 / 1024, "= .002", "worse", id="0 of 10"),
        pytest.param([HIGH] * 10, 5, 2 / 1024, 10 / 1024, "= .010", "better", id="of five tests"),
        pytest.param([HIGH] * 9, 1, 1 / 256, 1 / 256, "= .004", "better", id="9 groups"),
        pytest.param([HIGH] * 6, 1, 1 / 32, 1 / 32, "= .031", "better", id="6 groups"),
        pytest.param([HIGH] * 6, 2, 1 / 32, 1 / 16, "= .062", "too few", id="6 groups x 2"),
        pytest.param([HIGH] * 9 + [-HIGH], 1, 22 / 1024, 22 / 1024, "= .021", "better", id="9:1"),
        pytest.param([HIGH] * 9 + [-HIGH], 3, 22 / 1024, 66 / 1024, "= .064", "open", id="9:1 x 3"),
        pytest.param([-HIGH] * 9 + [HIGH], 2, 22 / 1024, 44 / 1024, "= .043", "worse", id="1:9"),
        pytest.param([HIGH] * 7 + [-HIGH] * 3, 1, 352 / 1024, 352 / 1024, "= .344", "open", id="7"),
        pytest.param([HIGH] * 5, 1, 1 / 16, 1 / 16, "= .062", "too few", id="5 groups"),
        pytest.param([-HIGH] * 5, 4, 1 / 16, 1 / 4, "= .250", "too few", id="5 groups x 4"),
        pytest.param([HIGH] * 5 + [0] * 5, 1, 1 / 16, 1 / 16, "= .062", "too few", id="5 differ"),
        pytest.param([HIGH] * 6 + [0] * 6, 1, 1 / 32, 1 / 32, "= .031", "better", id="6 differ"),
        pytest.param([HIGH], 1, 1, 1, "= 1.000", "too few", id="1 group"),
        pytest.param([0] * 12, 1, 1, 1, "", "equal", id="none differs"),
        pytest.param([np.nan] * 11 + [0], 1, 1, 1, "", "equal", id="one image"),
    ],
)
def test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ(
    differences, rivals, p, adjusted, shown, kind, tmp_path
) -> None:
    known = [one for one in differences if not np.isnan(one)]
    assert of_all_signs(known) == p
    assert holm([p] * rivals).tolist() == [adjusted] * rivals
    for metric in ("iou", "hd"):  # of distances less is better
        page = written(differing(differences, rivals=rivals, metric=metric), tmp_path / metric)
        turned = {"better": "worse", "worse": "better"} if metric == "hd" else {}
        assert page.chip == CHIPS[turned.get(kind, kind)]
        if not shown:
            continue
        table = page.table("Paired differences")
        assert {cells[1] for _, _, cells in table.rows} == {shown.removeprefix("= ")}
        assert (f"for the {rivals} tests of this page" in page.text) == (rivals > 1)
        groups = sum(one != 0 for one in known)
        assert {cells[-1] for _, _, cells in table.rows} == {str(groups)}
        assert ("Where fewer than ten groups differ" in page.text) == (groups < 10)
        least = f"{2 * 0.5**groups:.3g}".removeprefix("0")
        after = f" ({adjusted:.3g} after the correction)".replace("0.", ".") if rivals > 1 else ""
        possible = f"{2**groups} patterns of signs: no p below {least}{after} is possible."
        assert (possible in page.text) == (kind == "too few")
        assert ("is possible." in page.text) == (kind == "too few")
        assert "sign-flip test of groups with all patterns of signs" in page.text


def test_whether_signs_are_random_is_told(tmp_path) -> None:
    page = written(differing([HIGH] * 20 + [-HIGH]), tmp_path / "many")
    assert "with 10,000 random patterns of signs and the observed one" in page.text
    page = written(differing([HIGH] * 5 + [0] * 20), tmp_path / "few of many")
    assert "32 patterns of signs: no p below about .0625 is possible." in page.text
    both = differing([HIGH] * 20 + [-HIGH], rivals=2)
    values = both.values.copy()
    values[6:, 1] = np.nan  # the second baseline has scores in six groups
    page = written(replace(both, values=values), tmp_path / "both")
    told = "with all patterns of signs up to 6 groups, or 10,000 random patterns of signs and the"
    assert told in page.text


def headline_of(page: Page) -> tuple[str, str]:
    return page.chip, page.headline


def test_too_few_groups_are_counted_in_the_headline(tmp_path) -> None:
    page = written(differing([HIGH] * 5), tmp_path / "a")
    assert headline_of(page) == (CHIPS["too few"], "5 groups are too few to tell.")
    page = written(differing([HIGH] * 5 + [0] * 5), tmp_path / "b")
    assert page.headline == "5 of 10 groups differ: too few to tell."


def test_groups_that_are_too_few_for_several_tests_alone_are_called_that(tmp_path) -> None:
    page = written(differing([HIGH] * 7, rivals=4), tmp_path / "a")
    said = "7 groups are too few to tell after correction for 4 tests."
    assert headline_of(page) == (CHIPS["too few"], said)
    page = written(differing([HIGH] * 7 + [0] * 3, rivals=4), tmp_path / "b")
    assert page.headline == "7 of 10 groups differ: too few to tell after correction for 4 tests."
    page = written(differing([HIGH] * 5, rivals=4), tmp_path / "c")
    assert page.headline == "5 groups are too few to tell."


def of_two_methods(means: dict[tuple[str, str], float], metric: str = "iou") -> Results:
    results = made(
        methods=("cam", "grad_cam"),
        baselines={"disc": "nothing"},
        binarizers=("otsu", "p75"),
        metrics=(metric,),
    )
    values = [means.get((c.method, c.binarizer), 0.1) for c in results.columns]
    return replace(results, values=np.tile(values, (len(results), 1)))


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (
            (0.41, 0.387, 0.14, 0.389),
            "With p75 grad_cam scores .389 and cam .387, not tested: the order of the methods "
            "depends on the binarizer.",
        ),
        (
            (0.41, 0.387, 0.14, 0.35),
            "With p75 grad_cam scores .35 and cam .39, not tested: the size of their difference "
            "depends on the binarizer.",
        ),
        ((0.41, 0.387, 0.14, 0.2), ""),
        ((0.41, 0.387, 0.38, 0.386), ""),
        ((0.41, 0.387, 0.14, 0.1), ""),
    ],
)
def test_methods_that_another_binarizer_suits_are_named(means, said, tmp_path) -> None:
    keys = [(method, binarizer) for method in ("cam", "grad_cam") for binarizer in ("otsu", "p75")]
    results = of_two_methods(dict(zip(keys, means, strict=True)))
    page = written(results, tmp_path / "a")
    assert said in page.text
    assert said in " ".join(verdict_lines(results))
    assert ("depends on the binarizer" in page.text) == bool(said)
    other = results.samples.assign(sample="b " + results.samples["sample"])
    chosen = choose_binarizers(replace(results, samples=other)).apply(results)
    page = written(chosen, tmp_path / "b", binarizer="validated")
    assert "depends on the binarizer" not in page.text


@pytest.mark.parametrize(
    ("groups", "rivals"), [(6, 1), (6, 2), (7, 3), (7, 4), (8, 6), (8, 7), (10, 25), (10, 26)]
)
def test_groups_are_too_few_where_no_result_could_be_significant(groups, rivals, tmp_path) -> None:
    least = rivals * 2 / 2**groups
    page = written(differing([HIGH] * groups, rivals=rivals), tmp_path)
    assert page.chip == CHIPS["better" if least < ALPHA else "too few"]


@pytest.mark.parametrize(
    ("others", "kind"), [([HIGH] * 12, "open"), ([HIGH] * 6 + [-HIGH] * 6, "too few")]
)
def test_what_a_result_could_be_depends_on_its_place_among_the_tests(
    others, kind, tmp_path
) -> None:
    roles = {"blind": "nothing", "seeing": "image"}
    results = made(
        12, groups=12, methods=("cam",), baselines=roles, binarizers=("p95",), metrics=("iou",)
    )
    values = np.full(results.values.shape, 0.5)
    values[:, 2] -= others
    values[:6, 1] -= np.array([1, 1, 1, 1, -1, -1]) * HIGH
    page = written(replace(results, values=values), tmp_path)
    assert page.chip == CHIPS[kind]


@given(
    st.lists(
        st.lists(st.sampled_from([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0]), min_size=1, max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_the_least_adjusted_p_is_that_of_the_most_extreme_signs(families) -> None:
    tests = [sign_flip_test(one, np.zeros(len(one)), range(len(one))) for one in families]
    found = [of_all_signs(one) for one in families]
    for k, (one, least) in enumerate(zip(families, least_adjusted(tests), strict=True)):
        every = product((1, -1), repeat=len(one))
        adjusted = [
            holm([*found[:k], of_all_signs(np.multiply(one, signs)), *found[k + 1 :]])[k]
            for signs in every
        ]
        assert least == pytest.approx(min(adjusted))
        assert least <= holm(found)[k] + 1e-12


def test_what_is_not_tested_counts_in_no_place() -> None:
    tests = [sign_flip_test([one] * 6, [0.0] * 6, range(6)) for one in (1.0, np.nan)]
    assert least_adjusted(tests) == [1 / 32, pytest.approx(np.nan, nan_ok=True)]


@pytest.mark.parametrize("groups", [5, 7, 12])
def test_intervals_are_explained_where_there_are_some(groups, tmp_path) -> None:
    page = written(differing([HIGH] * (groups - 1) + [HIGH / 2]), tmp_path)
    table = page.table("Paired differences")
    (cells,) = [cells for _, _, cells in table.rows]
    assert ("[" in cells[table.titles.index("difference") - 1]) == (groups > 5)
    assert cells[table.titles.index("p") - 1] == format_p(2 / 2**groups)
    assert table.find("cam", "groups that differ") == str(groups)
    level = "The interval of a difference is 95\u00a0%, as those of scores are."
    assert (level in page.text) == (groups > 5)
    assert ("its interval is of the same level, and may include 0" in page.text) == (groups > 5)
    few = "Where fewer than ten groups differ, p may be too small"
    assert (f"{few} and the interval too narrow." in page.text) == (groups == 7)
    assert (f"{few}." in page.text) == (groups == 5)


def test_scores_of_no_common_image_are_not_tested(tmp_path) -> None:
    results = differing([HIGH] * 12)
    values = results.values.copy()
    values[:6, 0] = values[6:, 1] = np.nan
    page = written(replace(results, values=values), tmp_path)
    assert page.chip == CHIPS["untested"]
    assert page.headline == "No image has a score of both the maps and a guess."


def test_the_p_of_a_page_is_that_of_the_seed_of_the_run(tmp_path) -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.05, 25)
    said = set()
    for seed in (3, 4, 5):
        results = differing(differences, seed=seed)
        p = sign_flip_test(*results.values.T, results.samples["group"].to_numpy(), seed=seed).p
        page = written(results, tmp_path / str(seed))
        assert page.table("Paired differences").rows[0][2][1] == format_p(p)
        said.add(format_p(p))
    assert len(said) == 3


# --- Other guesses --------------------------------------------------------------------------------


def with_two_binarizers(guess_by_otsu: float, *, metric: str = "iou") -> Results:
    """Make maps of .42 (p95) and .2 (otsu), a guess of .39 (p95) and of another score (otsu)."""
    results = made(
        12,
        groups=12,
        methods=("cam",),
        baselines={"blind": "nothing"},
        binarizers=("p95", "otsu"),
        metrics=(metric,),
    )
    means = {("cam", "p95"): 0.42, ("cam", "otsu"): 0.2, ("blind", "p95"): 0.39}
    values = np.empty(results.values.shape)
    for k, column in enumerate(results.columns):
        values[:, k] = means.get((column.method, column.binarizer), guess_by_otsu)
    return replace(results, values=1 - values if metric == "hd" else values)


@pytest.mark.parametrize(
    ("by_otsu", "says", "caution"),
    [
        (0.38, False, False),
        (0.39, False, False),
        (0.4, True, False),
        (0.42, True, False),
        (0.44, False, True),
    ],
)
@pytest.mark.parametrize("metric", ["iou", "hd"])
def test_a_better_guess_with_another_binarizer_is_said(
    by_otsu, says, caution, metric, tmp_path
) -> None:
    results = with_two_binarizers(by_otsu, metric=metric)
    page = written(results, tmp_path)
    shown = by_otsu if metric == "iou" else 1 - by_otsu
    sentence = f"With otsu a guess scores {shown:.3f}".replace("0.", ".")
    assert (f"{sentence}." in page.says) == says
    assert page.caution.startswith(f"{sentence}, better than the best map (not tested).") == caution
    assert ("a guess scores" in page.says + page.caution) == (says or caution)
    lines = " ".join(verdict_lines(results))
    assert (sentence in lines) == (says or caution)
    same = " with the same binarizer"
    assert page.headline == f"The maps find the object better than a guess{same * caution}."
    assert page.chip == CHIPS["same binarizer" if caution else "better"]


@pytest.mark.parametrize("rivals", [1, 3])
def test_a_test_that_the_correction_decides_is_told_with_both_p(rivals, tmp_path) -> None:
    results = differing([HIGH] * 9 + [-HIGH], rivals=rivals)  # p 22 / 1024
    page = written(results, tmp_path)
    said = "Test against the guess: p = .064 corrected for all tests of the page, p = .021 alone."
    assert (said in page.caution) == (rivals == 3)
    assert (said in " ".join(verdict_lines(results))) == (rivals == 3)


def test_the_best_baseline_that_knows_the_class_is_told(tmp_path) -> None:
    kinds = {"disc": "nothing", "class_mean": "labels", "shape": "labels"}
    means = {"cam": 0.2, "disc": 0.3, "class_mean": 0.6, "shape": 0.1, "noise": 0.1}
    options = {"baselines": kinds, "metrics": ("iou",), "value": lambda c: means[c.method]}
    results = made(methods=("cam",), **options)
    at = results.select(binarizer="otsu", method="class_mean").summary()["mean"].item()
    told = f"class_mean, which uses labels or predictions, not the image, scores {at:.2f}."
    assert told.replace("0.", ".") in written(results, tmp_path / "a").guess
    del kinds["class_mean"], kinds["shape"]
    assert (
        "labels or predictions"
        not in written(made(methods=("cam",), **options), tmp_path / "b").guess
    )


def of_pattern(results: Results, **patterns: str) -> Results:
    """Return results whose baselines say what they mark."""
    record = results.meanings.to_record()
    for label, pattern in patterns.items():
        record["baselines"][label]["pattern"] = pattern
    return replace(results, provenance={**results.provenance, "meanings": record})


@pytest.mark.parametrize(
    ("patterns", "alone"),
    [
        (("noise", "noise"), True),
        (("noise", "center"), False),
        (("noise", "mean"), False),
        (("noise", None), False),
        ((None, None), False),
    ],
)
def test_maps_are_not_called_better_than_a_guess_where_all_guesses_are_noise(
    patterns, alone, tmp_path
) -> None:
    first, second = patterns
    results = differing([HIGH] * 12, rivals=2)
    results = of_pattern(results, **{"blind 0": first, "blind 1": second})
    page = written(results, tmp_path)
    caution = "Only compared with random maps: no mask in the middle was evaluated."
    assert page.caution.startswith(caution) == alone
    assert page.chip == CHIPS["noise alone" if alone else "better"]
    assert ("better than a guess" in page.headline) == (not alone)
    assert (caution in " ".join(verdict_lines(results))) == alone


def test_a_guess_is_explained_by_what_it_marks(tmp_path) -> None:
    results = differing([HIGH] * 12)
    known = "Guess: the best baseline that does not see the image (here blind 0"
    assert written(results, tmp_path / "a").guess.startswith(f"{known}).")
    results = of_pattern(results, **{"blind 0": "center"})
    page = written(results, tmp_path / "b")
    told = f"{known}, a mark in the middle). It guesses the place, not the class."
    assert page.guess.startswith(told)


def test_images_without_groups_are_said_to_count_as_their_own(tmp_path) -> None:
    results = differing([HIGH] * 12)
    said = "No groups were given: each of 12 images counts as its own; the intervals may be too"
    assert said not in written(results, tmp_path / "a").caution
    samples = results.samples.assign(group=results.samples["sample"])
    alone = replace(results, samples=samples)
    assert said in written(alone, tmp_path / "b").caution
    assert said in " ".join(verdict_lines(alone))


def test_images_without_a_group_beside_others_are_counted() -> None:
    results = differing([HIGH] * 12)
    names = results.samples["sample"].astype(str)
    first = results.samples["group"].astype(str)
    some = replace(
        results, samples=results.samples.assign(group=names.where(names.index < 5, first))
    )
    said = (
        "5 of 12 images have no patient: each counts as its own; the intervals may be too narrow."
    )
    assert said in " ".join(" ".join(verdict_lines(some, names={"group": "patient"})).split())
    one = replace(
        results, samples=results.samples.assign(group=names.where(names.index < 1, first))
    )
    assert "1 of 12 image" in " ".join(verdict_lines(one))
    of_several = names.where(names.index < 1, first).mask(names.index == 1, names[0])
    shared = replace(results, samples=results.samples.assign(group=of_several))
    assert "counts as its own" not in " ".join(verdict_lines(shared))


# --- Cautions -------------------------------------------------------------------------------------


def of_two_networks(means: dict[str, float]) -> Results:
    """Return two networks with the same scores of baselines, one of which uses labels."""
    return made(
        models=("first", "second"),
        methods=("cam",),
        baselines={"disc": "nothing", "class_mean": "labels"},
        binarizers=("p95",),
        metrics=("iou",),
        value=lambda column: means[column.method],
    )


def test_the_baseline_that_uses_labels_is_named_once_for_all_networks(tmp_path) -> None:
    results = of_two_networks({"cam": 0.5, "disc": 0.3, "class_mean": 0.4})
    at = [k for k, column in enumerate(results.columns) if column.method == "class_mean"]
    values = results.values.copy()
    values[:24, at], values[24:, at] = 0.41, 0.43
    told = written(replace(results, values=values), tmp_path / "a").guess
    assert told.count("class_mean") == 1
    assert told.endswith("not the image, scores .41 (first) and .43 (second).")
    values[24:, at] = 0.41
    told = written(replace(results, values=values), tmp_path / "b").guess
    assert told.endswith(
        "class_mean, which uses labels or predictions, not the image, scores .41 "
        "(first and second)."
    )


def test_the_first_screen_says_which_differences_are_counted(tmp_path) -> None:
    results = differing([HIGH] * 11 + [-1e-6])
    page = written(results, tmp_path)
    assert "Of 12 images, 1 score" in page.says
    rule = "Counts of scores below or above the guess include differences that round to zero."
    assert rule in page.text
    assert "Counts of scores" not in page.guess
    assert page.text.index("Reading the figure") < page.text.index(rule)
    page = written(made(baselines={"grid": "truth"}), tmp_path / "no guess")
    assert rule not in page.text


@pytest.mark.parametrize(
    ("bound", "is_told"), [(0.25, True), (0.3, False), (0.6, False), (None, False)]
)
def test_a_guess_that_masks_of_these_areas_cannot_reach_is_told(bound, is_told, tmp_path) -> None:
    metrics = ("iou",) if bound is None else ("iou", "area_bound")
    results = made(
        methods=("cam",), baselines={"disc": "nothing"}, binarizers=("otsu",), metrics=metrics
    )
    values = results.values.copy()
    for k, column in enumerate(results.columns):
        is_map = column.kind == "method"
        values[:, k] = 0.2 if is_map else 0.3
        if column.metric == "area_bound":
            values[:, k] = bound if is_map else 0.9
    results = replace(results, values=values)
    told = "No masks of these areas can reach the mean of the best guess: "
    assert (told in written(results, tmp_path).caution) == is_told
    assert (told in " ".join(verdict_lines(results))) == is_told


def test_only_images_with_both_scores_tell_that_a_guess_is_out_of_reach(tmp_path) -> None:
    results = made(
        methods=("cam",),
        baselines={"disc": "nothing"},
        binarizers=("otsu",),
        metrics=("iou", "area_bound"),
    )
    values = results.values.copy()
    for k, column in enumerate(results.columns):
        values[:, k] = 0.5 if column.metric == "area_bound" else 0.4
    guess = next(k for k, c in enumerate(results.columns) if c.kind == "baseline")
    values[:12, 0], values[:12, guess] = np.nan, 0.95
    bound = next(
        k for k, c in enumerate(results.columns) if (c.kind, c.metric) == ("method", "area_bound")
    )
    values[:12, bound] = np.nan
    results = replace(results, values=values)
    assert "can reach the mean" not in written(results, tmp_path).text


# --- Several cautions -----------------------------------------------------------------------------


def at(results: Results, **of: str) -> list[int]:
    """Return the places of columns of methods."""
    return [
        k
        for k, column in enumerate(results.columns)
        if all(getattr(column, key) == value for key, value in of.items())
    ]


def test_a_best_map_of_fewer_images_is_told_beside_the_choice(tmp_path) -> None:
    results = made(n=24, groups=12, metrics=("hd",)).select(binarizer="otsu")
    gaps = undefined(results, np.ix_(range(10), at(results, method="grad_cam")), 1)
    caution = written(gaps, tmp_path).caution
    assert caution.startswith("Optimistic: the best of 2 methods, chosen on these same images.")
    counts = {"cam": 24, "grad_cam": 14}
    best = min(counts, key=lambda m: gaps.select(method=m, kind="method").summary()["mean"].item())
    other = next(one for one in counts if one != best)
    assert (
        f"Means are over different images, without undefined scores: {best}, otsu over "
        f"{counts[best]} and {other}, otsu over {counts[other]} of 24 images. The best mean need "
        "not be that of the best map."
    ) in caution
    assert ("41.7 % of the scores are undefined." in caution) == (best == "grad_cam")
    assert "Means are over different images" in " ".join(verdict_lines(gaps))
    assert "different images" not in written(results, tmp_path).caution


def test_few_groups_are_told_beside_a_choice(tmp_path) -> None:
    caution = written(made(n=24, groups=9), tmp_path).caution
    assert "Optimistic: the best of 4 pairs of method and binarizer" in caution
    assert "There are only 9 groups: intervals may be too narrow." in caution


def test_a_guess_whose_scores_are_undefined_was_evaluated(tmp_path) -> None:
    results = made(n=24, groups=12, metrics=("hd",)).select(binarizer="otsu")
    places = at(results, method="center")
    assert places
    page = written(undefined(results, np.ix_(range(24), places), 1), tmp_path)
    assert "No guess has a defined score beside the maps." in page.text
    page = written(results.select(method=["cam", "grad_cam"]), tmp_path)
    assert "No guess was evaluated beside the maps." in page.text


@pytest.mark.parametrize(
    ("metric", "mask"),
    [(false_positive_rate, "An empty mask"), (coverage, "A mask of the whole image")],
)
def test_a_score_that_is_best_for_a_mask_without_the_truth_shows_no_object(
    metric, mask, tmp_path
) -> None:
    asked = question_of(metric)
    meaning = MetricMeaning(
        "this score", "masks", higher_is_better(metric), value_range=(0, 1), question=asked
    )
    for models in (("net",), ("net", "other")):
        results = made(n=24, groups=12, metrics={"score": meaning}, models=models)
        page = written(results, tmp_path / "-".join(models))
        assert "find the object" not in page.text.split("Reading the figure")[0]
        caution = f"{mask} has the best score: it does not show alone that the object is found."
        assert caution in page.caution
        assert caution in " ".join(verdict_lines(results))
        better = -0.25 if metric is false_positive_rate else 0.25
        of_maps = [better * (column.kind == "method") for column in results.columns]
        for sign, chip in ((1, CHIPS["better score"]), (-1, CHIPS["worse score"])):
            values = np.full(results.values.shape, 0.5) + sign * np.array(of_maps)
            page = written(replace(results, values=values), tmp_path / f"{len(models)} {sign}")
            assert page.chip == chip
    assert "does not show alone" not in written(made(n=24, groups=12), tmp_path / "iou").caution
