"""What a report claims: only what the objects say of themselves, and what the tests bear out."""

import re
from collections.abc import Iterator
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
from cameval.evaluation.meaning import MetricMeaning
from cameval.metrics import coverage, of_maps, of_masks
from cameval.protocols import BaselineInput
from cameval.report import format_interval, format_number, format_p, page_tests
from cameval.statistics import holm, sign_flip_test

pytestmark = pytest.mark.usefixtures("no_figures")

VERDICT = re.compile(
    r"scores (?P<size>[\d.]+) (?P<direction>higher|lower) than the best \w+ baseline "
    r"\([^,]+, (?P<mean>[\d.]+)(?P<of> against \S+ on the \d+ images [^)]*)?\): "
    r"(?P<words>clearly better|clearly worse|no clear difference|too few groups to tell) "
    r"\((?:95 % CI of the difference \[(?P<low>-?[\d.]+), (?P<high>-?[\d.]+)\], )?"
    r"p (?P<sign>[=<]) (?P<p>[\d.]+)"
)


def verdicts(page: Page) -> Iterator[dict[str, str]]:
    yield from (found.groupdict() for found in VERDICT.finditer(page.text))


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
    assert not re.search(r"blind baseline \(|truth baseline \(|the best of|upper bound of", text)
    assert "No blind baseline was evaluated" in text
    assert "It is not known whether a higher pointing error is better" in text
    assert "clearly" not in text
    assert "best" not in text.replace("no baseline is called the best", "")
    assert not list(verdicts(page))


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
    text = plainly(page)
    assert "than the best blind baseline (truth, " in text
    assert "than the best labels baseline (center, " in text
    assert "than the best image baseline (mask, " in text
    assert "The best truth baseline (random guess) has a mean of 1.000" in text


def test_a_baseline_that_does_not_say_what_it_knows_is_called_that(tmp_path) -> None:
    page = written(made(baselines={"mine": None, "center": "nothing"}), tmp_path)
    assert "than the best unspecified baseline (mine, " in page.text
    assert page.table("IoU of each map").titles[2:4] == [
        "best blind baseline",
        "best unspecified baseline",
    ]


def test_truth_baselines_alone_have_no_summary(tmp_path) -> None:
    page = written(made(methods=(), baselines={"grid": "truth"}), tmp_path)
    assert "the results have no maps other than those of truth baselines" in page.text
    page = written(made(baselines={"grid": "truth"}), tmp_path / "methods")
    assert "No blind baseline was evaluated" in page.text


# --- Labels ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("figures_drawn")
def test_without_labels_there_is_no_accuracy(tmp_path) -> None:
    page = written(made(label=lambda i: None), tmp_path)
    text = plainly(page)
    assert "net · 24 images · 8 groups · no labels ·" in text
    assert "The images have no labels, so the accuracy is not known." in text
    assert "classifies" not in text
    assert "Right and wrong" not in text
    assert "true class" not in text
    assert "within classes" not in text
    assert "The rank correlation of IoU with the area of the object is" in text
    table = page.table("IoU of all images")
    assert [head for _, head, _ in table.rows] == ["all images"]
    assert "<h2>All images</h2>" in page.source
    assert "<h2>Classes</h2>" not in page.source
    assert not (tmp_path / "figures" / "classes.png").exists()


@pytest.mark.usefixtures("figures_drawn")
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
    assert "The images of other have no labels" in page.text
    assert {block for block, _, _ in page.table("IoU of right and wrong").rows} == {
        page.table("IoU by true class").rows[0][0]
    }


# --- Verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_a_verdict_is_that_of_the_adjusted_test_and_nothing_else(seed, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    levels: dict[str, float] = {}

    def level(column) -> float:
        return levels.setdefault(column.method, 0.3 + rng.normal(0, 0.02))

    more = {**BASELINES, "random": "nothing", "mine": None, "mean mask": "labels"}
    groups = int(rng.integers(4, 30))
    metric = ("iou", "hd")[seed % 2]
    results = made(30, groups=groups, metrics=(metric,), baselines=more, value=level)
    page = written(results, tmp_path)
    table = page.table("Paired differences")
    found = list(verdicts(page))
    assert len(found) == 4
    for one in found:
        bound = float(one["p"])
        below = bound <= 0.05 if one["sign"] == "<" else bound < 0.05
        claimed = one["words"].startswith("clearly")
        assert claimed == below
        if one["low"] is not None:
            low, high = float(one["low"]), float(one["high"])
            assert (low > 0 or high < 0) == claimed
            better = (low > 0) == (metric == "iou")
            assert not claimed or one["words"].endswith("better" if better else "worse")
        else:
            assert not claimed
    for _, _, (difference, p, *_) in table.rows:
        ends = re.findall(r"-?[\d.]+", difference.partition(" | ")[2])
        p = p.split(" | ")[0]
        below = float(p.removeprefix("< ")) <= 0.05 if "<" in p else float(p) < 0.05
        if ends:
            low, high = map(float, ends)
            assert (low > 0 or high < 0) == below
        else:
            assert not below


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
    p = [sign_flip_test(*pair, groups, seed=3).p for pair in pairs.values()]
    due = dict(zip(pairs, map(format_p, holm(p)), strict=True))
    assert len(due) == 13
    shown = {}
    for table in page.tables:
        if table.titles[1:3] == ["difference", "p"]:
            for block, head, cells in table.rows:
                key = block.split(" (")[0].split(", ")[0], head
                shown[key] = cells[1].split(" | ")[0]
    assert shown == due
    assert set(re.findall(r"both adjusted for (\d+) tests", page.text)) == {"13"}
    assert set(re.findall(r"method for the (\d+) tests", page.text)) == {"13"}
    said = [f"{'< ' * (v['sign'] == '<')}{v['p']}" for v in verdicts(page)]
    assert said == [due[f"{m}: minus {b}", "cam"] for m in "ab" for b in ("center", "intensity")]


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
    (verdict,) = verdicts(page)
    means = results.select(metric="iou").summary().set_index("method")["mean"]
    assert means["cam"] > means["center"] + 0.2
    assert verdict["size"] == format_number(means["cam"] - means["center"])
    assert verdict["direction"] == "higher"
    assert not verdict["words"].endswith("worse")


def test_a_difference_of_fewer_images_than_the_means_says_so(tmp_path) -> None:
    results = made(48, groups=12, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    at = [k for k, column in enumerate(results.columns) if column.method == "center"]
    results = undefined(results, np.ix_(range(7), at), 3)
    page = written(results, tmp_path)
    of = [v["of"] for v in verdicts(page) if v["of"]]
    iou = results.select(method="cam").values[7:, 0].mean()
    assert of == [f" against {format_number(iou)} on the 41 images that have both scores"]
    nothing = undefined(results, np.ix_(range(7, 48), [0]), 1)
    text = written(nothing, tmp_path).text
    assert "There is no test against the best blind baseline (center" in text
    assert "no image has both scores." in text


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
    (verdict,) = verdicts(page)
    assert verdict["mean"] == ".611"
    assert verdict["of"] == " against .411 on the 12 images that have both scores"
    assert verdict["words"] == "clearly worse"


def test_what_does_not_differ_is_not_called_undecided(tmp_path) -> None:
    results = made(20, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    same = replace(results, values=np.repeat(results.values[:, :1], 4, 1))
    assert "do not differ in any group" in written(same, tmp_path).text


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_no_test_of_five_groups_can_tell(groups, tmp_path) -> None:
    results = made(30, groups=groups, value=lambda c: 0.7 if c.kind == "method" else 0.1)
    page = written(results, tmp_path)
    text = plainly(page)
    count = "1 group" if groups == 1 else f"{groups} groups"
    assert re.search(rf"too few groups to tell \([^)]*; only {count} differs?\)", text)
    assert "clearly better" not in text
    assert all(v["low"] is None for v in verdicts(page))


def test_groups_that_do_not_differ_do_not_count_as_evidence(tmp_path) -> None:
    results = made(40, groups=40, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    values = np.repeat(results.values[:, :1], results.values.shape[1], 1)
    values[:3, 0] += 0.2
    page = written(replace(results, values=values), tmp_path)
    assert re.search(r"too few groups to tell \([^)]*; only 3 groups differ\)", page.text)
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
        metrics=("iou",),
        value=lambda c: 0.6 if c.kind == "method" else 0.1,
    )
    text = plainly(written(results, tmp_path))
    assert re.search(r"clearly better \([^)]*; only 9 groups differ\)", text)


# --- Intervals ------------------------------------------------------------------------------------


def test_intervals_of_few_groups_are_marked(tmp_path) -> None:
    note = "* An interval of fewer than ten groups may be too narrow."
    results = made(60, groups=7)
    page = written(results, tmp_path / "few")
    for caption in ("IoU of each map", "Metrics of maps", "IoU by true class"):
        details = [c for _, _, cells in page.table(caption).rows for c in cells if "[" in c]
        assert details
        assert all(detail.endswith("] *") for detail in details)
    assert page.text.count(note) >= 4
    assert re.search(r"have a mean IoU of [\d.]+ \[[\d., ]+; only 7 groups\]", page.text)
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
    assert "There are only 6 groups: intervals may be too narrow." in text


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
    assert "have a mean coverage of" in text
    assert "The upper bound of coverage for these masks (largest coverage) has a mean of" in text
    assert "The largest coverage is an upper bound of the coverage of the same masks." in text
    assert "area" not in page.table("coverage of each map").titles
    page = written(run(metrics=[cameval.iou, coverage, largest_coverage]), tmp_path / "other")
    assert "upper bound of IoU" not in page.text
    title = "largest coverage (upper bound of coverage)"
    assert title in page.table("IoU of each map").titles


def test_a_bound_of_nothing_that_was_evaluated_bounds_nothing(tmp_path) -> None:
    text = written(made(metrics=("coverage", "area_bound")), tmp_path).text
    assert "upper bound of" not in text
    assert "area bound (direction not known)" in text


def test_a_metric_of_the_users_says_that_less_is_better(tmp_path) -> None:
    results = run(metrics=[missed], baselines={"center": center_baseline})
    page = written(results, tmp_path)
    means = results.select(kind="method").summary()
    best = means.loc[means["mean"].idxmin()]
    assert f"thresholded by {best['binarizer']}, have a mean missed of" in page.text
    assert "missed (lower is better)" in page.table("missed of each map").titles
    for found in verdicts(page):
        sign = found["direction"] == "lower"
        assert not found["words"].startswith("clearly") or found["words"].endswith(
            "better" if sign else "worse"
        )
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
    assert "are the first of 4 combinations that were evaluated." in page.text
    table = page.table("mine of each map")
    assert table.titles[:3] == ["map", "mine (direction not known)", "IoU"]
    assert len(page.table("Paired differences").rows) == 5
    assert "best blind baseline" not in page.text
    assert "scores" in page.text
    assert not list(verdicts(page))


# --- Where it comes from --------------------------------------------------------------------------


def test_without_its_record_nothing_is_claimed_of_a_table(tmp_path) -> None:
    results = made(48, groups=12, value=lambda c: 0.6 if c.kind == "method" else 0.2)
    results.to_csv(tmp_path / "results.csv")
    (tmp_path / "results.json").unlink()
    again = Results.from_csv(tmp_path / "results.csv")
    assert again.provenance == {}
    page = written(again, tmp_path)
    text = plainly(page)
    assert not list(verdicts(page))
    assert "It is not known whether a higher IoU is better" in text
    for words in ("clearly", "upper bound of", "optimistic", "truth baseline ("):
        assert words not in text
    roles = dict(re.findall(r'<th scope="row">([\w ]+?) <small>([\w ]+)</small>', page.source))
    assert set(roles.values()) == {"unspecified"}
    assert set(roles) == set(BASELINES)
    assert "not recorded: these results came without a record of them" in text
    assert len(page.table("IoU of each map").rows) == 10


@pytest.mark.parametrize(
    ("chosen_on", "warned"),
    [
        ("other images", ""),
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
    choice = choose_binarizers(replace(results, samples=other))
    mine = choice.apply(results, "best of test, a validated oracle")
    assert mine.meanings.origin("best of test, a validated oracle") == Origin(
        chosen_on, "iou", True
    )
    label = "best of test, a validated oracle"
    page = written(mine, tmp_path, binarizer=label, method="cam")
    words = f"The binarizer of each map was chosen on {chosen_on} by the highest mean IoU{warned}."
    assert words in page.text
    assert f"thresholded by {label}, have" in page.text
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
    assert "maps of" in page.text
    assert "for class square, thresholded" in page.text
    assert "maps for the predicted class" in {
        part for block, _, _ in page.table("IoU of each map").rows for part in block.split(" · ")
    }
    page = written(bare(results), tmp_path / "bare")
    assert "for class square" not in page.text


def test_the_family_is_tested_once_and_agrees_with_its_own_p() -> None:
    results = made(40, groups=16, models=("a", "b"), target_class=("predicted", "true"))
    tests = page_tests(results)
    assert len(tests) == 13
    assert set(tests["tests"]) == {13}
    excludes_0 = (tests["low"] > 0) | (tests["high"] < 0)
    assert (excludes_0 == (tests["p"] < 0.05)).all()
    means = results.select(model="a", metric="iou", kind="method", target_class="predicted")
    best = means.summary().sort_values("mean").iloc[-1]
    of_best = results.select(
        method=best["method"], binarizer=best["binarizer"], metric="iou", target_class="predicted"
    )
    a, b = (of_best.select(model=model) for model in "ab")
    groups = a.samples["group"].to_numpy().astype(str)
    alone = sign_flip_test(a.values[:, 0], b.values[:, 0], groups, seed=3)
    (of_models,) = tests[tests["kind"] == "model"].itertuples()
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
            float(low)
            for caption in ("IoU by true class", "IoU of right and wrong")
            for _, head, cells in page.table(caption).rows
            if "minus" not in head
            for cell in cells
            for low in re.findall(r"\[(-?[\d.]+),", cell)
        ]
        assert len(ends) >= 4
        assert (min(ends) >= 0) == within
        assert ("> .5" in page.table("IoU by true class").titles) == within
        assert ("IoU is above .5 on" in page.text) == within


def test_what_is_above_one_half_is_told_of_metrics_from_0_to_1_alone(tmp_path) -> None:
    for name, meaning in (
        ("wide", replace(KNOWN["iou"], value_range=(-1, 1))),
        ("less", replace(KNOWN["iou"], higher_is_better=False)),
    ):
        page = written(made(metrics={"mine": meaning}), tmp_path / name)
        assert "above .5" not in page.text
        assert "> .5" not in page.table("mine by true class").titles
