"""What a report claims: only what the objects say of themselves, and what the tests bear out."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from evaluations import SMALL, samples, small_network
from pages import BASELINES, KNOWN, Page, bare, made, undefined, written
from torch import Tensor

import cameval
from cameval import concat, evaluate
from cameval.baselines import center_baseline, knows
from cameval.evaluation import Origin, Results, choose_binarizers
from cameval.evaluation._numbers import format_short as short
from cameval.evaluation._numbers import short_writer
from cameval.evaluation.meaning import MetricMeaning
from cameval.metrics import coverage, of_maps, of_masks
from cameval.protocols import BaselineInput
from cameval.report import (
    format_difference,
    format_interval,
    format_number,
    format_p,
    page_tests,
)
from cameval.statistics import holm, sign_flip_test

pytestmark = pytest.mark.usefixtures("no_figures")


def plainly(page: Page) -> str:
    return re.sub(r"\s+", " ", page.text)


# --- Baselines ------------------------------------------------------------------------------------


def center_of_mass_of_truth(batch: BaselineInput) -> Tensor:
    return batch.truth.float()


def oracle_free_guess(batch: BaselineInput) -> Tensor:
    return center_baseline(batch)


@of_maps
def pointing_error(maps: Tensor, target: Tensor) -> Tensor:
    """Measure a distance, and do not say that less of it is better."""
    return (maps * target).sum((-2, -1))


def run(**settings) -> Results:
    settings = {"metrics": [cameval.iou], "methods": {"cam": cameval.cam}} | settings
    return evaluate(
        small_network(),
        samples(24),
        binarizers={"p80": cameval.PercentileBinarizer(80), "otsu": cameval.OtsuBinarizer()},
        prepare=SMALL,
        progress=False,
        **settings,
    )


def test_names_mean_nothing(tmp_path) -> None:
    results = run(metrics=[pointing_error], baselines=[center_of_mass_of_truth, oracle_free_guess])
    page = written(results, tmp_path)
    looks = dict(re.findall(r'<th scope="row">(\w+) <small>([\w ]+)</small>', page.source))
    assert looks == {"center_of_mass_of_truth": "unspecified", "oracle_free_guess": "unspecified"}
    assert 'class="truth"' not in page.source
    text = plainly(page)
    assert page.chip == "? No direction"
    assert page.headline == "It is not known whether a higher pointing error is better."
    said = text.replace("oracle_free_guess", "")
    assert not re.search(r"the best of|upper bound of|Better|Worse|guess", said)
    assert "best" not in text.replace("no baseline is called the best", "")


def test_baselines_are_what_they_say(tmp_path) -> None:
    marked = {
        "random guess": knows("truth")(lambda batch: batch.truth.float()),
        "truth": knows("nothing")(lambda batch: center_baseline(batch)),
        "center": knows("labels")(lambda batch: center_baseline(batch)),
        "mask": cameval.baselines.intensity_baseline,
    }
    page = written(run(baselines=marked), tmp_path)
    rows = r'<tr class="\w+"><th scope="row">([\w ]+) <small>([\w ]+)</small>'
    looks = dict(re.findall(rows, page.source))
    assert looks == {
        "random guess": "truth",
        "truth": "blind",
        "center": "labels",
        "mask": "image",
    }
    assert "does not see the image (here truth)." in page.guess
    blocks = {block.split(",")[0] for block, _, _ in page.table("Paired differences").rows}
    assert blocks == {"minus truth (blind)", "minus center (labels)", "minus mask (image)"}


def test_a_baseline_that_does_not_say_what_it_knows_is_called_that(tmp_path) -> None:
    page = written(made(baselines={"mine": None, "center": "nothing"}), tmp_path)
    heads = {head for _, head, _ in page.table("IoU of all maps").rows}
    assert heads == {"cam", "grad_cam", "mine | unspecified", "center | blind"}
    assert "(here center)." in page.guess


def test_truth_baselines_alone_have_no_summary(tmp_path) -> None:
    page = written(made(methods=(), baselines={"grid": "truth"}), tmp_path)
    assert page.chip == "? No score"
    assert page.headline == "There is no score of maps: there are no maps but of the truth."
    page = written(made(baselines={"grid": "truth"}), tmp_path / "methods")
    assert page.chip == "? Nothing to compare with"
    assert page.headline == "No guess was evaluated beside the maps."
    assert "guess" not in page.says + page.caution


# --- Labels ---------------------------------------------------------------------------------------


def test_without_labels_there_is_no_accuracy(tmp_path) -> None:
    page = written(made(label=lambda i: None), tmp_path)
    text = plainly(page)
    assert "net · 24 images · 8 groups · no labels ·" in text
    assert "classified" not in text
    told = "The images have no labels: the accuracy is not known, nor whether a map is for the "
    assert f"{told}class of the object." in page.caution
    assert text.count("have no labels") == text.count("accuracy is not known") == 1
    assert "classifies" not in text
    assert "Right and wrong" not in text
    assert "true class" not in text
    assert "within classes" not in text
    assert "Rank correlation with the size of the object: " in text
    table = page.table("IoU of all images")
    assert [head for _, head, _ in table.rows] == ["all images"]
    assert "classes" not in page.ids


def test_what_has_no_label_is_neither_right_nor_wrong(tmp_path) -> None:
    results = made(n=30, label=lambda i: i % 3 if i < 20 else None)
    page = written(results, tmp_path)
    labeled = results.samples["label"].notna()
    right = (results.samples["label"] == results.samples["predicted"]).fillna(False)
    share = f"{100 * right[labeled].mean():.1f}\xa0%"
    assert f"net classifies {share} " in page.text
    assert "of 20 labeled images correctly" in page.text
    table = page.table("IoU by true class")
    counts = {head: int(cells[0]) for _, head, cells in table.rows if cells[0]}
    assert counts.pop("all images") == sum(counts.values()) == 30
    assert counts["without a label"] == 10
    table = page.table("IoU of right and wrong")
    counts = [int(cells[0]) for _, _, cells in table.rows if cells[0]]
    assert counts == [right.sum(), (labeled & ~right).sum()]


def test_a_missing_prediction_is_neither_right_nor_wrong(tmp_path) -> None:
    results = made()
    samples = results.samples.assign(
        predicted=results.samples["predicted"].where(np.arange(24) > 3)
    )
    page = written(replace(results, samples=samples), tmp_path)
    assert "of 20 labeled images correctly" in page.text
    nothing = results.samples.assign(predicted=pd.array([None] * 24, dtype="Int64"))
    for names in (results, replace(results, provenance={**results.provenance, "settings": {}})):
        page = written(replace(names, samples=nothing), tmp_path / "none")
        assert "classifies" not in page.text
        assert "Right and wrong" not in page.text


def test_of_one_class_there_is_no_mean_of_classes(tmp_path) -> None:
    page = written(made(label=lambda i: 2), tmp_path)
    heads = [head for _, head, _ in page.table("IoU by true class").rows]
    assert heads == ["long", "all images"]
    assert "mean of classes" not in page.text


def test_each_model_has_its_own_labels(tmp_path) -> None:
    known = made(n=12)
    unknown = made(n=12, models=("other",), label=lambda i: None)
    names = unknown.samples["sample"] + " of another part"
    unknown = replace(unknown, samples=unknown.samples.assign(sample=names))
    page = written(concat([known, unknown]), tmp_path)
    assert "net classifies" in page.text
    assert "other classifies" not in page.text
    assert "The images of other have no labels: " in page.caution
    assert {block for block, _, _ in page.table("IoU of right and wrong").rows} == {
        page.table("IoU by true class").rows[0][0]
    }


# --- Verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_verdict_is_that_of_the_adjusted_test_and_nothing_else(seed, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    levels: dict[str, float] = {}

    def level(column) -> float:
        return levels.setdefault(column.method, 0.3 + rng.normal(0, 0.02))

    more = {"center": "nothing", "truth": "truth", "random": "nothing", "mean mask": "labels"}
    groups = int(rng.integers(4, 30))
    metric = ("iou", "hd")[seed % 2]
    results = made(30, groups=groups, metrics=(metric,), baselines=more, value=level)
    page = written(results, tmp_path)
    best = min if metric == "hd" else max
    means = results.summary().set_index(["method", "binarizer"])["mean"]
    maps = {one: means[one] for one in means.index if one[0] in ("cam", "grad_cam")}
    method, binarizer = best(maps, key=maps.get)
    guess = best(("center", "random"), key=lambda one: means[one, binarizer])
    tests = page_tests(results).set_index(["first", "second"])
    test = tests.loc[(method, guess)]
    assert f"(here {guess})." in page.guess
    excludes = test["low_holm"] > 0 or test["high_holm"] < 0
    assert excludes == (test["p_holm"] < 0.05)
    better = (test["difference"] > 0) == (metric == "iou")
    words = "Better" if better else "Worse"
    assert (f"{words} than guessing" in page.chip) == excludes
    assert excludes or page.chip in ("\u2248 No clear difference from guessing", "? Too few groups")
    pair = means[method, binarizer], means[guess, binarizer]
    means_shown = ", best guess ".join(map(short_writer([pair]), pair)) + "."
    assert means_shown in page.says
    if not np.isnan(test["low_holm"]):
        symbol = ("\u25b2" if better else "\u25bc") if excludes else "\u2248"
        row = page.table(f"{'IoU' if metric == 'iou' else 'hd'} of all maps")
        (cell,) = [
            cells[row.titles.index("minus best guess") - 1]
            for _, head, cells in row.rows
            if head == method and cells[0] == binarizer
        ]
        number = format_difference(abs(test["difference"]))
        assert cell.startswith(symbol)
        assert number in cell


def test_one_test_has_one_p_wherever_it_is_shown(tmp_path) -> None:
    level = {"cam": 0.33, "grad_cam": 0.31, "center": 0.31, "intensity": 0.28}
    results = made(
        40,
        groups=20,
        models=("a", "b"),
        target_class=("predicted", "true"),
        binarizers=("p95",),
        value=lambda c: level.get(c.method, 0.5) + 0.01 * (c.target_class == "true"),
    )
    page = written(results, tmp_path, method="cam")
    models = results.samples["model"]
    at = {column: k for k, column in enumerate(results.columns) if column.metric == "iou"}
    values = {
        (model, c.target_class, c.method): results.values[models == model, k]
        for c, k in at.items()
        for model in "ab"
    }
    maps = next(
        k
        for k, c in enumerate(results.columns)
        if (c.target_class, c.method, c.metric) == ("predicted", "cam", "pixel_auroc")
    )
    groups = results.samples["group"][models == "a"].to_numpy().astype(str)
    pairs = {}
    for model in "ab":
        for first, second in (
            ("grad_cam", "cam"),
            *((m, b) for b in ("center", "intensity") for m in ("cam", "grad_cam")),
        ):
            pairs[f"{model}: minus {second}", first] = (
                values[model, "predicted", first],
                values[model, "predicted", second],
            )
        pairs[f"{model}: cam", "the true class"] = (
            values[model, "true", "cam"],
            values[model, "predicted", "cam"],
        )
    pairs["a minus", "b"] = values["a", "predicted", "cam"], values["b", "predicted", "cam"]
    of_maps = (results.values[models == model, maps] for model in "ab")
    pairs["AUROC: a minus", "b"] = tuple(of_maps)
    p = [sign_flip_test(*pair, groups, seed=3).p for pair in pairs.values()]
    due = dict(zip(pairs, map(format_p, holm(p)), strict=True))
    assert len(due) == 14
    shown = {}
    for table in page.tables:
        if table.titles[1:3] == ["difference", "p"]:
            for block, head, cells in table.rows:
                of_maps = "AUROC: " * table.caption.startswith("Paired differences in AUROC")
                key = of_maps + block.split(" (")[0].split(", ")[0], head
                shown[key] = cells[1].split(" | ")[0]
    assert shown == due
    assert set(re.findall(r"method for the (\d+) tests", page.text)) == {"14"}
    for model in "ab":
        data = page.table(f"{model}: cam minus center")
        assert (
            data.find("p, corrected for all tests of the page", "value")
            == due[f"{model}: minus center", "cam"]
        )


def test_verdict_and_means_are_of_one_estimand(tmp_path) -> None:
    results = made(51, methods=("cam",), baselines={"center": "nothing"}, binarizers=("p95",))
    big = np.arange(51) < 40
    groups = np.where(big, "big", [f"person {i}" for i in range(51)])
    values = results.values.copy()
    for k, column in enumerate(results.columns):
        if column.metric == "iou":
            better = big if column.kind == "method" else ~big
            values[:, k] = np.where(better, 0.7, 0.05 + 0.001 * np.arange(51))
    results = replace(results, values=values, samples=results.samples.assign(group=groups))
    page = written(results, tmp_path)
    means = results.select(metric="iou").summary().set_index("method")["mean"]
    assert means["cam"] > means["center"] + 0.2
    assert f"{short(means['cam'])}, best guess {short(means['center'])}." in page.says
    (row,) = page.table("Paired differences").rows
    assert row[2][0].startswith(format_number(means["cam"] - means["center"]))
    assert "Worse" not in page.chip


def test_a_difference_of_fewer_images_than_the_means_says_so(tmp_path) -> None:
    results = made(48, groups=12, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    at = [k for k, column in enumerate(results.columns) if column.method == "center"]
    results = undefined(results, np.ix_(range(7), at), 3)
    page = written(results, tmp_path)
    both = results.select(method="cam").values[7:, 0], results.select(method="center").values[7:, 0]
    ours, theirs = (short(float(values.mean())) for values in both)
    text = f"{ours}, best guess {theirs} (on the 41 images that have both scores)."
    assert text in page.says
    assert f"Of 41 images, {int((both[0] < both[1]).sum())} score" in page.says
    nothing = undefined(results, np.ix_(range(7, 48), [0]), 1)
    page = written(nothing, tmp_path)
    assert page.headline == "No image has a score of both the maps and a guess."


def test_the_means_beside_a_verdict_are_those_that_were_tested(tmp_path) -> None:
    """The maps are undefined where the baseline is worst: over all its images it looks worse."""
    baselines = {"center": "nothing"}
    results = made(24, methods=("cam",), baselines=baselines, binarizers=("p95",), metrics=("iou",))
    first = np.arange(24) < 12
    values = results.values.copy()
    for k, column in enumerate(results.columns):
        both = (0.4, np.nan) if column.kind == "method" else (0.6, 0.0)
        values[:, k] = np.where(first, *both) + 0.002 * np.arange(24)
    results = replace(results, values=values)
    results = replace(results, samples=results.samples.assign(group=results.samples["sample"]))
    page = written(results, tmp_path)
    assert ".41, best guess .61 (on the 12 images that have both scores)." in page.says
    assert page.chip == "\u25bc Worse than guessing"


def test_what_does_not_differ_is_not_called_undecided(tmp_path) -> None:
    results = made(20, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    same = replace(results, values=np.repeat(results.values[:, :1], 4, 1))
    page = written(same, tmp_path)
    assert page.chip == "\u2248 No clear difference from guessing"
    assert "Of 20 images, 0 score below the guess." in page.says


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_no_test_of_five_groups_can_tell(groups, tmp_path) -> None:
    results = made(30, groups=groups, value=lambda c: 0.7 if c.kind == "method" else 0.1)
    page = written(results, tmp_path)
    count = "1 group is" if groups == 1 else f"{groups} groups are"
    assert (page.chip, page.headline) == ("? Too few groups", f"{count} too few to tell.")
    assert not any("[" in cells[0] for _, _, cells in page.table("Paired differences").rows)


def test_groups_that_do_not_differ_do_not_count_as_evidence(tmp_path) -> None:
    results = made(40, groups=40, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    values = np.repeat(results.values[:, :1], results.values.shape[1], 1)
    values[:3, 0] += 0.2
    page = written(replace(results, values=values), tmp_path)
    assert page.headline == "3 of 40 groups differ: too few to tell."
    table = page.table("Paired differences")
    assert table.find("cam", "p", "center") == ".500"
    assert table.find("cam", "groups", "center") == "40"
    assert table.find("cam", "groups that differ", "center") == "3"
    assert "Where fewer than ten groups differ, p may be too small" in page.text


def test_a_verdict_of_few_groups_says_how_few(tmp_path) -> None:
    results = made(
        45,
        groups=9,
        methods=("cam",),
        baselines={"center": "nothing"},
        binarizers=("p95",),
        metrics=("iou",),
        value=lambda c: 0.6 if c.kind == "method" else 0.1,
    )
    page = written(results, tmp_path)
    assert page.chip == "\u25b2 Better than guessing"
    assert page.caution.startswith("There are only 9 groups: intervals may be too narrow.")


# --- Intervals ------------------------------------------------------------------------------------


def test_intervals_of_few_groups_are_marked(tmp_path) -> None:
    note = "* An interval of fewer than ten groups may be too narrow."
    results = made(60, groups=7)
    page = written(results, tmp_path / "few")
    for caption in ("IoU of all maps", "Metrics of maps", "IoU by true class"):
        rows = page.table(caption).rows
        details = [
            c for _, _, cells in rows for c in cells if "[" in c and c[0] not in "\u25b2\u2248?"
        ]
        assert details
        assert all(detail.endswith("] *") for detail in details)
    assert page.text.count(note) >= 4
    assert "%; only 7 groups] of 60 labeled images" in page.text
    assert note not in written(made(60, groups=60), tmp_path / "enough").text


def test_only_the_rows_of_few_groups_are_marked(tmp_path) -> None:
    results = made(60, groups=60, label=lambda i: 0 if i < 6 else 1 + i % 2)
    table = written(results, tmp_path).table("IoU by true class")
    marks = {head: cells[2].endswith("] *") for _, head, cells in table.rows}
    assert marks.pop("round") is True
    assert not any(marks.values())


def test_a_difference_of_parts_is_of_as_few_groups_as_its_smaller_part(tmp_path) -> None:
    table = written(made(24, groups=24), tmp_path).table("IoU of right and wrong")
    marks = {head: cells[2].endswith("] *") for _, head, cells in table.rows}
    assert marks == {
        "right predictions": False,
        "wrong predictions": True,
        "right minus wrong": True,
    }


def test_single_images_of_few_are_warned_of_twice(tmp_path) -> None:
    text = written(made(6, groups=6), tmp_path).text
    assert "Every image is its own group." in text
    assert text.count("There are only 6 groups: intervals may be too narrow.") >= 1


def test_an_end_or_a_p_is_never_rounded_across_its_limit() -> None:
    assert format_interval(0.0004, 0.2) == "[.0004, .200]"
    assert format_interval(-0.2, -0.00003) == "[-.200, -.00003]"
    assert format_interval(0, 0.2) == "[.000, .200]"
    assert (format_p(0.04999), format_p(0.05), format_p(0.0501)) == ("< .050", ".050", ".050")


# --- Metrics --------------------------------------------------------------------------------------


@of_masks(bounds=coverage)
def largest_coverage(pred: Tensor, target: Tensor) -> Tensor:
    marked, true = (mask.double().sum((-2, -1)) for mask in (pred, target))
    return (marked / true).clamp(max=1)


@of_masks(higher_is_better=False)
def missed(pred: Tensor, target: Tensor) -> Tensor:
    return (target & ~pred).double().sum((-2, -1))


@of_masks(categories=("left", "right"))
def side(pred: Tensor, target: Tensor) -> Tensor:
    half = pred.shape[-1] // 2
    return (pred[..., half:].sum((-2, -1)) > pred[..., :half].sum((-2, -1))).double()


@of_maps(categories=("dark", "bright"))
def tone(maps: Tensor, target: Tensor) -> Tensor:
    return (maps.mean((-2, -1)) > 0).double()


def test_an_upper_bound_is_of_the_metric_that_it_says(tmp_path) -> None:
    page = written(run(metrics=[largest_coverage, coverage, cameval.iou]), tmp_path)
    text = plainly(page)
    assert page.says.startswith("Mean coverage with the true masks: ")
    assert "Masks of these areas could have reached" in page.says
    assert "The largest coverage is an upper bound of the coverage of the same masks." in text
    assert "largest coverage" in page.table("coverage of all maps").titles
    page = written(run(metrics=[cameval.iou, coverage, largest_coverage]), tmp_path / "other")
    assert "upper bound of IoU" not in page.text
    assert "could have reached" not in page.says
    title = "largest coverage (upper bound of coverage)"
    assert title in page.table("IoU of all maps").titles


def test_a_bound_of_nothing_that_was_evaluated_bounds_nothing(tmp_path) -> None:
    text = written(made(metrics=("coverage", "area_bound")), tmp_path).text
    assert "upper bound of" not in text
    assert "area bound (direction not known)" in text


def test_a_metric_of_the_users_says_that_less_is_better(tmp_path) -> None:
    results = run(metrics=[missed], baselines={"center": center_baseline})
    page = written(results, tmp_path)
    means = results.select(kind="method").summary()
    best = means.loc[means["mean"].idxmin()]
    said = f"Mean missed with the true masks (lower is better): {short(best['mean'])}"
    assert page.says.startswith(said)
    assert "missed (lower is better)" in page.table("missed of all maps").titles
    assert "worse than the guess" in page.says
    assert "above .5" not in page.text


def test_categories_are_counted_under_their_own_names(tmp_path) -> None:
    results = run(metrics=[side, tone, cameval.iou], baselines={"center": center_baseline})
    table = written(results, tmp_path).table("Number of images in each category")
    assert table.titles == ["map", "dark", "bright", "left", "right", "undefined"]
    blocks = {block for block, _, _ in table.rows}
    assert {block.split(" · ")[0] for block in blocks} == {"side", "tone"}
    for block, head, cells in table.rows:
        counts = [int(cell.split(" | ")[0]) if cell else None for cell in cells]
        mine = counts[:2] if block.startswith("tone") else counts[2:4]
        other = counts[2:4] if block.startswith("tone") else counts[:2]
        metric = block.split(" · ")[0]
        of = results.select(metric=metric, method=head.split(" | ")[0])
        binarizer = block.partition(" · ")[2].split(":")[0]
        values = of.select(binarizer=binarizer).values
        assert mine == [int((values == code).sum()) for code in (0, 1)]
        assert other == [None, None]
        assert sum(mine) + counts[-1] == len(results)


def test_without_a_direction_nothing_is_best_and_all_is_shown(tmp_path) -> None:
    results = made(metrics={"mine": MetricMeaning("mine", "masks"), "iou": KNOWN["iou"]})
    page = written(results, tmp_path)
    assert page.chip == "? No direction"
    table = page.table("mine of all maps")
    assert table.titles[:4] == ["map", "masks by", "mine (direction not known)", "IoU"]
    assert len(page.table("Paired differences").rows) == 5
    assert "are the first of 4 combinations that were evaluated." in page.text
    assert "guess" not in page.text
    assert "\u25b2" not in page.text


# --- Where it comes from --------------------------------------------------------------------------


def test_without_its_record_nothing_is_claimed_of_a_table(tmp_path) -> None:
    results = made(48, groups=12, value=lambda c: 0.6 if c.kind == "method" else 0.2)
    results.to_csv(tmp_path / "results.csv")
    (tmp_path / "results.json").unlink()
    again = Results.from_csv(tmp_path / "results.csv")
    assert again.provenance == {}
    page = written(again, tmp_path)
    text = plainly(page)
    assert page.headline == "It is not known whether a higher iou is better."
    for words in ("guess", "upper bound of", "ptimistic", "\u25b2"):
        assert words not in text
    roles = dict(re.findall(r'<th scope="row">([\w ]+?) <small>([\w ]+)</small>', page.source))
    assert set(roles.values()) == {"unspecified"}
    assert set(roles) == set(BASELINES)
    assert "not recorded: these results came without a record of them" in text
    assert len(page.table("iou of all maps").rows) == 10


@pytest.mark.parametrize(
    ("chosen_on", "warned"),
    [
        ("other images", ""),
        ("other images, perhaps of the same groups", ", which may be an optimistic choice"),
        ("other images of the same groups", ", which may be an optimistic choice"),
        ("these same images", ", an optimistic choice"),
    ],
)
def test_how_a_binarizer_was_chosen_is_said_by_its_origin(chosen_on, warned, tmp_path) -> None:
    results = made()
    table = results.samples
    other = table.assign(
        sample=table["sample"] + ("" if chosen_on == "these same images" else " b"),
        group=table["group"] + (" b" if chosen_on == "other images" else ""),
    )
    if chosen_on == "other images, perhaps of the same groups":
        other = other.assign(group=other["sample"])
    choice = choose_binarizers(replace(results, samples=other))
    mine = choice.apply(results, "best of test, a validated oracle")
    assert mine.meanings.origin("best of test, a validated oracle") == Origin(
        chosen_on, "iou", True
    )
    label = "best of test, a validated oracle"
    page = written(mine, tmp_path, binarizer=label, method="cam")
    words = f"The binarizer of each map was chosen on {chosen_on} by the highest mean IoU{warned}."
    assert words in page.text
    assert f"threshold chosen on {chosen_on}" in page.text
    cautions = {
        "other images, perhaps of the same groups": "Optimistic: the thresholds were chosen on "
        "other images, perhaps of the same groups.",
        "other images of the same groups": "Optimistic: the thresholds were chosen on other images "
        "of the same groups.",
        "these same images": "Optimistic: the thresholds were chosen on these same images.",
    }
    if chosen_on == "other images":
        cautions[chosen_on] = (
            "The thresholds were chosen on 24 other images of 8 groups, fewer than 10."
        )
    few = "There are only 8 groups: intervals may be too narrow."
    assert page.caution.startswith(f"{cautions[chosen_on]} {few}")
    here = "The binarizer was chosen by these same scores" in page.text
    assert here == (chosen_on == "these same images")


def test_a_choice_of_the_least_is_called_that(tmp_path) -> None:
    results = made(metrics=("hd",))
    mine = choose_binarizers(results, "hd").apply(results, "optimum")
    text = written(mine, tmp_path, binarizer="optimum").text
    assert "chosen on these same images by the lowest mean hd, an optimistic choice" in text


def test_settings_of_several_runs_are_all_shown(tmp_path) -> None:
    first, second = made(n=6), made(n=6, models=("other",))
    settings = {**second.provenance["settings"], "alignment": "receptive_field", "seed": 4}
    second = replace(second, provenance={**second.provenance, "settings": settings})
    text = plainly(written(concat([first, second]), tmp_path))
    assert "Random seed 3; 4" in text.replace("seed3", "seed 3")
    assert "divide the image evenly; receptive field: each cell" in text


def test_the_target_class_is_what_the_results_say(tmp_path) -> None:
    results = made(target_class=("1", "predicted"))
    page = written(results, tmp_path)
    table = page.table("IoU of all maps")
    assert table.titles[:2] == ["map", "target class"]
    assert {cells[0] for _, _, cells in table.rows} == {"class square", "the predicted class"}
    page = written(bare(results), tmp_path / "bare")
    assert "class square" not in page.text


def test_the_family_is_tested_once_and_agrees_with_its_own_p() -> None:
    results = made(40, groups=16, models=("a", "b"), target_class=("predicted", "true"))
    tests = page_tests(results)
    assert len(tests) == 15
    assert set(tests["tests"]) == {15}
    for end in ("", "_holm"):
        excludes_0 = (tests[f"low{end}"] > 0) | (tests[f"high{end}"] < 0)
        assert (excludes_0 == (tests[f"p{end}"] < 0.05)).all()
    assert np.allclose(tests["confidence_holm"], 1 - 0.05 * tests["p"] / tests["p_holm"])
    assert (tests["confidence_holm"] > 0.95).any()
    at_level = tests["low_holm"].notna() & (tests["confidence_holm"] > 0.95)
    wide, narrow = (tests[f"high{end}"] - tests[f"low{end}"] for end in ("_holm", ""))
    assert (wide >= narrow)[at_level].all()
    means = results.select(model="a", metric="iou", kind="method", target_class="predicted")
    best = means.summary().sort_values("mean").iloc[-1]
    of_best = results.select(
        method=best["method"], binarizer=best["binarizer"], metric="iou", target_class="predicted"
    )
    a, b = (of_best.select(model=model) for model in "ab")
    groups = a.samples["group"].to_numpy().astype(str)
    alone = sign_flip_test(a.values[:, 0], b.values[:, 0], groups, seed=3)
    of_models = tests[tests["kind"] == "model"]
    assert of_models["binarizer"].tolist() == ["p95", "otsu", ""]
    assert set(of_models["method"]) == {best["method"]}
    (of_models,) = of_models[of_models["binarizer"] == best["binarizer"]].itertuples()
    assert of_models.difference == alone.difference
    assert of_models.p >= alone.p  # adjusted for more than the models


# --- Ranges ---------------------------------------------------------------------------------------


def test_intervals_stay_within_what_a_metric_says_that_it_can_give(tmp_path) -> None:
    said = KNOWN["iou"]
    for name, meaning, within in (
        ("said", said, True),
        ("unsaid", replace(said, value_range=None), False),
    ):
        results = made(18, groups=6, metrics={"iou": meaning}, value=lambda c: 0.0)
        page = written(results, tmp_path / name)
        ends = [
            float(low.replace("\u2212", "-"))
            for caption in ("IoU by true class", "IoU of right and wrong")
            for _, head, cells in page.table(caption).rows
            if "minus" not in head
            for cell in cells
            for low in re.findall(r"\[([\u2212-]?[\d.]+),", cell)
        ]
        assert len(ends) >= 4
        assert (min(ends) >= 0) == within
        assert ("> .5" in page.table("IoU by true class").titles) == within
        assert ("images above .5" in page.text) == within


def test_what_is_above_one_half_is_told_of_metrics_from_0_to_1_alone(tmp_path) -> None:
    for name, meaning in (
        ("wide", replace(KNOWN["iou"], value_range=(-1, 1))),
        ("less", replace(KNOWN["iou"], higher_is_better=False)),
    ):
        page = written(made(metrics={"mine": meaning}), tmp_path / name)
        assert "above .5" not in page.text
        assert "> .5" not in page.table("IoU by true class").titles


# --- Missing brackets and baselines of labels -----------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (4, "No interval is drawn: each class has fewer than 5 groups."),
        (24, "A line is the 95 % interval of the mean, by group."),
    ],
)
def test_the_figure_of_classes_says_which_intervals_it_has(groups, said, tmp_path) -> None:
    text = plainly(written(made(groups=groups), tmp_path))
    assert said in text
    assert "No bracket: fewer than two groups, or equal scores" in text


def test_a_class_without_an_interval_is_told(tmp_path) -> None:
    label = [0] * 3 + [1] * 12
    text = plainly(written(made(15, groups=15, label=lambda i: label[i]), tmp_path))
    assert "by group; a class of fewer than 5 groups has none." in text


def test_the_legend_of_classes_promises_no_interval_that_is_not_drawn(
    tmp_path, figures_drawn
) -> None:
    for groups, promised in ((4, False), (24, True)):
        source = written(made(groups=groups), tmp_path / str(groups)).source
        assert "mean of the images" in source
        assert ("mean of the images, 95 % interval by group" in source) == promised


def test_equal_scores_without_known_limits_have_no_interval(tmp_path) -> None:
    meaning = MetricMeaning("mine", "masks", higher_is_better=True)
    results = made(30, groups=30, metrics={"mine": meaning})
    flat = replace(results, values=np.full_like(results.values, 0.25))
    text = plainly(written(flat, tmp_path))
    assert "No interval is drawn: each class has equal scores." in text


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ((0.2, 0.3, 0.4), "from .20 (round) to .40 (long)."),
        ((0.201, 0.202, 0.204), "from .201 (round) to .204 (long)."),
        ((0.2011, 0.2012, 0.2013), ".201 in each class, to three decimals."),
    ],
)
def test_means_of_classes_have_the_digits_that_tell_them_apart(means, said, tmp_path) -> None:
    results = made()
    values = np.array(means)[results.samples["label"].astype(int)][:, None]
    page = written(replace(results, values=np.broadcast_to(values, results.values.shape)), tmp_path)
    assert f"Mean IoU by true class: {said}" in plainly(page)


def test_correlations_are_within_classes_if_there_are_several(tmp_path) -> None:
    text = plainly(written(made(), tmp_path / "several"))
    assert "Rank correlation with the size of the object within classes: " in text
    assert "Rank correlation of IoU with the size of the object within classes" in text
    assert "No bracket: fewer than three groups" in text
    alone = plainly(written(made(label=lambda i: 1), tmp_path / "one"))
    assert "Rank correlation with the size of the object: " in alone
    assert "within classes" not in alone


def test_a_difference_without_a_bracket_is_told(tmp_path) -> None:
    few = "A difference has no bracket where the groups are too few for any difference"
    assert plainly(written(made(groups=5), tmp_path / "few")).count(few) == 2  # of both tables
    assert few not in plainly(written(made(groups=24), tmp_path / "many"))


def test_whether_differences_from_a_class_mean_are_tested_is_told(tmp_path) -> None:
    results = made(baselines={"center": "nothing", "class mean": "labels"})
    page = written(results, tmp_path / "tested", binarizer="otsu")
    told = (
        "Differences from class mean, which knows the label, are tested in IoU of masks by otsu "
        "alone, under Paired tests."
    )
    assert set(page_tests(results, binarizer="otsu")["binarizer"]) == {"otsu"}
    shown = [
        one
        for one in page.tables
        if "class mean" in [head.split(" | ")[0] for _, head, _ in one.rows]
    ]
    assert len(shown) == plainly(page).count(told) > 3
    undefined_there = results.values.copy()
    undefined_there[:, [c.method == "class mean" for c in results.columns]] = np.nan
    record = {key: value for key, value in results.provenance.items() if key != "identity"}
    without = replace(results, values=undefined_there, provenance=record)
    page = written(without, tmp_path / "not", binarizer="otsu")
    assert "Differences from class mean are not tested." in plainly(page)
    assert told not in plainly(page)
    assert "Differences from class mean" not in plainly(written(made(), tmp_path / "none"))
