"""Reports of several targets of an image, of negatives, of columns of users, of maps of others."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import KNOWN, bare, cell, elsewhere, made, of_targets, undefined, written

from cameval.evaluation import Results, concat
from cameval.evaluation._numbers import MISSING
from cameval.evaluation.meaning import MetricMeaning
from cameval.report import format_number, format_percent, page_tests
from cameval.report._marks import are_marked
from cameval.statistics import mean_interval

pytestmark = pytest.mark.usefixtures("no_figures")

METRICS = ("pixel_auroc", "iou", "area_bound", "false_positive_rate", "zero_without_object:iou")
ZERO = "IoU (0 for marks on negatives)"


def absent(i: int) -> bool:
    return i % 5 in (1, 2)


def several(n: int = 60, *, negatives: bool = True, **options) -> Results:
    """Return results of three targets of each image."""
    options = {"metrics": METRICS, "target_class": ("true",), **options}
    return of_targets(made(n, **options), absent=absent if negatives else lambda i: False)


def percent(values, groups) -> str:
    """Write a share as a cell of a page."""
    share = mean_interval(np.asarray(values, float), groups, bounds=(0, 1))
    few = " *" if share.n_groups < 10 else ""
    interval = ""
    if share.low == share.low:
        interval = f" | [{format_percent(share.low)}, {format_percent(share.high)}]{few}"
    return format_percent(share.estimate) + interval


def groups_of(samples: pd.DataFrame) -> np.ndarray:
    return samples["group"].to_numpy().astype(str)


# --- Targets and images ---------------------------------------------------------------------------


def test_targets_and_images_are_counted_apart(tmp_path) -> None:
    results = several()
    positives = results.samples[results.samples["present"]]
    page = written(results, tmp_path)
    assert "net · 20 images · 60 targets, 24 negatives · 10 groups · 3 classes" in page.text
    said = f"Mean IoU with the true masks of the {len(positives)} targets with an object: "
    assert page.says.startswith(said)
    assert "24 of 60 targets have no object. Their scores are in a section of their own" in (
        page.text
    )
    assert "maps for the class of the target" in page.text
    assert "A score is computed for each target of each image." in page.text
    assert "60 images" not in page.text
    assert "an undefined score" not in page.text  # of positives every score is defined


def test_without_negatives_nothing_is_said_of_them(tmp_path) -> None:
    page = written(several(negatives=False), tmp_path)
    assert page.says.startswith("Mean IoU with the true masks: ")
    assert "Each mean is over 60 targets;" in page.text
    assert "with an object" not in page.text
    assert "without an object" not in page.text
    assert "with a mark" not in page.text
    assert "negatives" not in page.ids
    assert "The specificity is not known." in page.text


def test_one_target_an_image_is_an_image(tmp_path) -> None:
    page = written(made(), tmp_path)
    assert "Each mean is over 24 images;" in page.text
    assert "targets" not in page.text.lower().replace("target class", "")


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_every_table_of_scores_is_of_targets_with_an_object(task, tmp_path) -> None:
    results = of_targets(made(60, metrics=METRICS), absent=absent, task=task)
    page = written(results, tmp_path)
    table, free = page.table("IoU of all maps"), page.table("Metrics of maps")
    found = {
        (head.split(" | ")[0], cells[0]): dict(zip(table.titles[1:], cells, strict=True))
        for _, head, cells in table.rows
    }
    assert table.caption.endswith(", targets with an object")
    for row in results.select(present=True).summary().itertuples():
        if row.metric == "iou":
            assert found[row.method, row.binarizer]["IoU"] == cell(row)
            assert row.n == 36
        if row.metric == "false_positive_rate":
            title = "false positive rate (lower is better)"
            assert found[row.method, row.binarizer][title] == cell(row)
        if row.metric == "pixel_auroc":
            assert free.find(row.method, "AUROC") == cell(row)
    assert not any(ZERO in title for title in table.titles)


def test_the_tests_are_of_targets_with_an_object(tmp_path) -> None:
    results = several()
    written(results, tmp_path)
    found, expected = page_tests(results), page_tests(results.select(present=True))
    pd.testing.assert_frame_equal(found, expected)
    assert len(found)


def test_models_are_compared_target_by_target() -> None:
    results = several(30, models=("a", "b"), methods=("cam",), binarizers=("p95",))
    first = several(30, methods=("cam",), binarizers=("p95",))
    second = replace(first, values=first.values * 0.5)
    models = [
        replace(one, samples=one.samples.assign(model=name))
        for name, one in (("a", first), ("b", second))
    ]
    both = concat([models[0], models[1]])
    (row,) = page_tests(both).query("kind == 'model' and metric == 'iou'").to_dict("records")
    iou = first.select(metric="iou", kind="method", present=True).values[:, 0]
    assert row["difference"] == pytest.approx((iou / 2).mean())
    assert len(results)


# --- Several labels -------------------------------------------------------------------------------


def test_the_three_means_are_those_of_the_summary(tmp_path) -> None:
    results = several()
    page = written(results, tmp_path)
    table = page.table("Micro, macro and pooled means of IoU")
    assert table.titles == ["map", "micro", "macro", "pooled", "pooled with negatives"]
    everything = results.select(metric="iou").summary()
    for row, whole in zip(
        results.select(metric="iou", present=True).summary().itertuples(),
        everything.itertuples(),
        strict=True,
    ):
        numbers = [row.macro, row.pooled, whole.pooled]
        for title, number in zip(table.titles[2:], numbers, strict=True):
            assert table.find(row.method, title, row.binarizer) == format_number(number)
        assert table.find(row.method, "micro", row.binarizer) == cell(row)


def test_means_that_are_not_defined_have_no_column(tmp_path) -> None:
    results = replace(several(), weights=None)
    table = written(results, tmp_path / "a").table("Micro and macro means of IoU")
    assert table.titles == ["map", "micro", "macro"]
    unlabeled = results.samples.assign(label=pd.array([pd.NA] * 60, dtype="Int64"))
    unlabeled["sample"] = [f"{name} {i}" for i, name in enumerate(unlabeled["sample"])]
    page = written(replace(results, samples=unlabeled), tmp_path / "b")
    assert "means of" not in " ".join(table.caption for table in page.tables)


def test_each_class_has_its_positives_and_negatives(tmp_path) -> None:
    results = several(methods=("cam",), binarizers=("p95",))
    page = written(results, tmp_path)
    table = page.table("Classes, their positives and negatives")
    known = results.samples
    reports = (known["probability"] > 0.5).to_numpy()
    fpr = results.select(metric="false_positive_rate", method="cam").values[:, 0]
    iou = results.select(metric="iou", method="cam", present=True).summary(by="label")
    auroc = results.select(metric="pixel_auroc", method="cam", present=True).summary(by="label")
    for label, name in enumerate(("round", "square", "long")):
        here = (known["label"] == label).to_numpy(bool)
        positive, negative = here & known["present"], here & ~known["present"]
        assert table.find(name, "positives") == str(positive.sum())
        assert table.find(name, "negatives") == str(negative.sum())
        assert table.find(name, "IoU") == cell(next(iou[iou["label"] == label].itertuples()))
        assert table.find(name, "AUROC") == cell(next(auroc[auroc["label"] == label].itertuples()))
        for title, where, right in (
            ("sensitivity", positive, reports),
            ("specificity", negative, ~reports),
            ("accuracy", here, reports == known["present"]),
            ("negatives with a mark", negative, fpr > 0),
        ):
            expected = percent(right[where], groups_of(known)[where])
            assert table.find(name, title) == expected, title
    assert table.find("all classes", "positives") == "36"


OBJECTS = {
    "object_recall": MetricMeaning("ObjectRecall()", "masks", True, truth="objects"),
    "box_iou": MetricMeaning("box_iou", "masks", True, value_range=(0, 1), truth="objects"),
    "pointing_recall": MetricMeaning("pointing_recall", "maps", True, truth="objects"),
    "matched_f1": MetricMeaning("matched_f1", "masks", True, truth="objects"),
}


@pytest.mark.parametrize("count", [0, 1, 3, 4])
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_classes_have_the_metrics_of_objects(task, count, tmp_path) -> None:
    of_objects = dict(list(OBJECTS.items())[:count])
    metrics = {"iou": KNOWN["iou"], "pixel_auroc": KNOWN["pixel_auroc"], **of_objects}
    results = of_targets(
        made(60, metrics=metrics, methods=("cam",), binarizers=("p95",)), absent=absent, task=task
    )
    page = written(results, tmp_path)
    captions = ["IoU by class"]
    captions += ["Classes, their positives and negatives"] if task == "multilabel" else []
    summary = results.select(present=True, method="cam").summary(by="label")
    titles = [one.replace("_", " ") for one in OBJECTS]
    for table in map(page.table, captions):
        shown = [one.replace("_", " ") for one in of_objects if count <= 3]
        known = [one for one in titles if one in table.titles]
        assert known == shown
        for row in summary[summary["metric"].isin(list(of_objects))].itertuples():
            if count > 3:
                continue
            name = ("round", "square", "long")[row.label]
            text = table.find(name, row.metric.replace("_", " "))
            assert text.split(" | ")[0] == format_number(row.mean)
        assert ("AUROC" in table.titles) == table.caption.startswith("Classes")


def test_one_class_has_no_metrics_of_objects(tmp_path) -> None:
    metrics = {"iou": KNOWN["iou"], "object_recall": OBJECTS["object_recall"]}
    page = written(made(metrics=metrics, label=lambda i: 1), tmp_path)
    assert "object recall" not in page.table("IoU by true class").titles


def test_sensitivity_and_specificity_are_said(tmp_path) -> None:
    results = several()
    text = written(results, tmp_path).text
    known = results.samples
    reports = (known["probability"] > 0.5).to_numpy()
    for name, where, right, words in (
        ("sensitivity", known["present"], reports, "36 targets with the object"),
        ("specificity", ~known["present"], ~reports, "24 targets without"),
    ):
        at = where.to_numpy()
        share = percent(right[at], groups_of(known)[at]).replace(" | ", " ")
        assert f"a {name} of {share} on {words}" in text
    assert "classifies" not in text
    assert "Right and wrong predictions" not in text
    assert "predicted minus not predicted" in text
    assert "Predicted: the probability of the class of the target is above .5." in text
    assert "It does not tell how often a class is predicted." in text
    assert not re.search("found targets|missed targets|classes are found", text)


def test_of_one_prediction_for_several_targets_the_words_say_so(tmp_path) -> None:
    results = of_targets(made(30), task="multiclass")
    page = written(results, tmp_path)
    right = (results.samples["label"] == results.samples["predicted"])[
        results.samples["predicted"].notna()
    ]
    share = format_percent(float(right.mean()))
    assert f"The class that net predicts is that of the target for {share}" in page.text
    assert "classifies" not in page.text


# --- Negatives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["false_positive_rate", "specificity"])
def test_negatives_have_a_block_of_their_own(metric, tmp_path) -> None:
    results = several(metrics=("pixel_auroc", "iou", metric))
    page = written(results, tmp_path)
    negatives = results.select(present=False)
    images = negatives.samples["sample"].nunique()
    said = f"24 of 60 targets, in {images} images of 10 groups, are negatives: they have no true"
    assert said in page.text
    table = page.table("Marks on negatives, beside scores of targets with an object")
    title = metric.replace("_", " ")
    assert table.titles == [
        *("map", "negatives with a mark", f"{title} of negatives", "n negatives"),
        *("IoU with an object", "AUROC with an object", "n with an object"),
    ]
    groups = groups_of(negatives.samples)
    for row in negatives.select(metric=metric).summary().itertuples():
        assert table.find(row.method, f"{title} of negatives", row.binarizer) == cell(row)
        assert table.find(row.method, "n negatives", row.binarizer) == "24"
        assert table.find(row.method, "n with an object", row.binarizer) == "36"
        one = negatives.select(metric=metric, method=row.method, binarizer=row.binarizer)
        values = one.values[:, 0]
        marked = values > 0 if metric == "false_positive_rate" else values < 1
        assert 0 < marked.mean() < 1
        expected = percent(marked, groups)
        assert table.find(row.method, "negatives with a mark", row.binarizer) == expected
    positives = results.select(present=True)
    for row in positives.select(metric="iou").summary().itertuples():
        assert table.find(row.method, "IoU with an object", row.binarizer) == cell(row)
    for row in positives.select(metric="pixel_auroc").summary().itertuples():
        assert table.find(row.method, "AUROC with an object", "p95") == cell(row)


def test_the_convention_of_chexlocalize_is_named(tmp_path) -> None:
    results = several()
    page = written(results, tmp_path)
    table = page.table(f"{ZERO}: targets with an object and negatives in one mean")
    assert "the convention of CheXlocalize. Any mark on a negative scores 0" in page.text
    for row in results.select(metric="zero_without_object:iou").summary().itertuples():
        assert table.find(row.method, ZERO, row.binarizer) == cell(row)
        assert table.find(row.method, "n", row.binarizer) == str(row.n)
        assert table.find(row.method, "of them negatives", row.binarizer) == str(row.n - 36)
        assert table.find(row.method, "undefined", row.binarizer) == str(row.n_undefined)


def test_the_convention_alone_tells_where_marks_are(tmp_path) -> None:
    results = several(metrics=("iou", "zero_without_object:iou"))
    table = written(results, tmp_path).table("Marks on negatives")
    zeros = results.select(metric="zero_without_object:iou", present=False, method="cam")
    for binarizer in ("p95", "otsu"):
        one = zeros.select(binarizer=binarizer)
        expected = percent(one.values[:, 0] == 0, groups_of(one.samples))
        assert table.find("cam", "negatives with a mark", binarizer) == expected


def test_if_every_negative_scores_0_marks_are_not_known(tmp_path) -> None:
    results = several(metrics=("iou", "zero_without_object:iou"))
    at = [c.metric == "zero_without_object:iou" for c in results.columns]
    values = results.values.copy()
    values[np.ix_(~results.samples["present"].to_numpy(bool), at)] = 0  # marked, or both_empty=0
    page = written(replace(results, values=values), tmp_path)
    assert not [table for table in page.tables if table.caption.startswith("Marks on")]
    assert "so it is not known" not in page.text


def test_a_metric_of_all_targets_alone_says_of_what_its_mean_is(tmp_path) -> None:
    results = several(metrics=("zero_without_object:iou",), methods=("cam",), binarizers=("p95",))
    page = written(results, tmp_path)
    row = results.summary().iloc[0]
    absent = int(row["n"]) - 36
    said = f"of {int(row['n'])} targets, {absent} of them without an object: "
    assert said in page.says
    assert "Where a score is defined for them, it is in the same means." in page.text
    assert "the convention of CheXlocalize" in page.text


def test_without_a_metric_of_negatives_it_is_said_that_marks_are_not_known(tmp_path) -> None:
    page = written(several(metrics=("pixel_auroc", "iou")), tmp_path)
    assert "so it is not known what is marked there" in page.text
    assert "have a mark" not in page.text


def test_the_findings_say_how_many_negatives_are_marked(tmp_path) -> None:
    results = several(methods=("cam",), binarizers=("p95",))
    text = written(results, tmp_path).text
    one = results.select(metric="false_positive_rate", method="cam", present=False)
    share = percent(one.values[:, 0] > 0, groups_of(one.samples)).replace(" | ", " ")
    assert f"The masks have a mark on {share} of 24 targets without an object." in text


def test_what_a_score_says_of_marks() -> None:
    nan = np.nan
    for kind, values, expected in (
        ("false_positive_rate", [0, 0.1, nan], [0, 1, nan]),
        ("specificity", [0, 0.9, 1], [1, 1, 0]),
        ("zero_without_object:iou", [0, nan, 1], [1, 0, 0]),
    ):
        found = are_marked(np.array(values, float), KNOWN[kind])
        np.testing.assert_array_equal(found, expected)


# --- Columns of users -----------------------------------------------------------------------------


def with_columns(results: Results, **columns) -> Results:
    return replace(results, samples=results.samples.assign(**columns))


def test_scores_are_shown_by_columns_of_few_values(tmp_path) -> None:
    order = np.arange(60)
    results = with_columns(
        several(methods=("cam",), binarizers=("p95",)),
        view=[None if i % 7 == 0 else ("lateral", "frontal")[i % 2] for i in order],
        site=pd.array([pd.NA if i % 4 == 0 else i % 3 for i in order], dtype="Int64"),
        contrast=pd.array(order % 2 == 0, dtype="boolean"),
        age=order + 20.0,
        country=["X"] * 60,
    )
    page = written(results, tmp_path)
    captions = [table.caption for table in page.tables]
    shown = [c for c in captions if re.match(r"IoU by (view|site|contrast|age|country)", c)]
    assert shown == [
        f"IoU by {one}, targets with an object" for one in ("view", "site", "contrast")
    ]
    assert "With more than 12 values, and not shown: age." in page.text
    positives = results.select(metric="iou", present=True)
    words = {"view": str, "site": str, "contrast": lambda b: "yes" if b else "no"}
    for name, word in words.items():
        table = page.table(f"IoU by {name}")
        scores = positives.select(method="cam").summary(by=name)
        blind = positives.select(method="center").summary(by=name)
        for row, other in zip(scores.itertuples(), blind.itertuples(), strict=True):
            value = getattr(row, name)
            title = "not known" if pd.isna(value) else word(value)
            assert table.find(title, "IoU") == cell(row)
            assert table.find(title, "n") == str(row.n)
            assert table.find(title, "groups") == str(row.n_groups)
            expected = f"{format_number(other.mean)} | center"
            assert table.find(title, "best blind baseline") == expected
        assert table.find("all targets with an object", "n") == "36"
    assert [head for _, head, _ in page.table("IoU by view").rows][:3] == [
        *("frontal", "lateral", "not known")
    ]


def test_columns_without_a_known_value_are_left_out(tmp_path) -> None:
    results = with_columns(made(), nothing=[None] * 24, numbers=np.full(24, np.nan))
    assert "parts" not in written(results, tmp_path).ids


# --- Maps made elsewhere --------------------------------------------------------------------------

NO_CLASSIFIER = re.compile(
    r"classif|accura|predict|probabilit|network|right|wrong|sensitiv|specific|given class"
    r"|trained|layer|weights",
    re.IGNORECASE,
)


@pytest.mark.parametrize("negatives", [False, True])
@pytest.mark.parametrize("labels", [False, True])
def test_of_maps_made_elsewhere_nothing_is_said_of_a_classifier(
    negatives, labels, tmp_path
) -> None:
    results = elsewhere(several(negatives=negatives))
    if not labels:
        table = results.samples.assign(label=pd.array([pd.NA] * 60, dtype="Int64"))
        table["sample"] = [f"image {i}" for i in range(60)]
        results = replace(results, samples=table)
    page = written(results, tmp_path)
    shown = page.text.replace("gives each target the same weight", "")
    words = NO_CLASSIFIER.findall(shown.replace("gives each image the same weight", ""))
    assert words == []
    assert not NO_CLASSIFIER.search(" ".join(image["alt"] for image in page.images))
    assert "maps made elsewhere: cam, grad_cam" in page.text
    assert re.search(r"(grad_)?cam · masks by", page.text)
    assert "Maps and binarizer are the best of 4 combinations" in page.text
    assert "predictions" not in page.ids


def test_given_predictions_are_called_so(tmp_path) -> None:
    base = made()
    page = written(elsewhere(base, predictions=True), tmp_path)
    right = (base.samples["label"] == base.samples["predicted"]).mean()
    said = f"The given predictions are right for {format_percent(float(right))}"
    assert said in page.text
    assert "of 24 labeled images." in page.text
    assert "classifies" not in page.text
    assert "network" not in page.text
    assert page.table("IoU of right and wrong predictions")


def test_given_predictions_of_images_without_labels(tmp_path) -> None:
    base = elsewhere(made(label=lambda i: None), predictions=True)
    text = written(base, tmp_path).text
    assert "have no labels, so it is not known which of the given predictions are right" in text


def test_baselines_of_maps_made_elsewhere_are_for_no_class(tmp_path) -> None:
    text = written(elsewhere(made(methods=())), tmp_path).text
    assert "No method was evaluated beside the baselines." in text
    assert "maps for the" not in text


def test_maps_made_elsewhere_beside_those_of_a_network(tmp_path) -> None:
    base = made(value=lambda c: 0.6 if c.method == "grad_cam" else 0.3)
    meanings = base.meanings
    methods = {m: replace(one, given=m == "grad_cam") for m, one in meanings.methods.items()}
    record = replace(meanings, methods=methods).to_record()
    results = replace(base, provenance={**base.provenance, "meanings": record})
    text = written(results, tmp_path).text
    assert "grad_cam · masks by" in text
    assert "net classifies" in text
    assert "Maps that were made elsewhere are not scaled." in text
    assert "Maps of cameval's methods are raw" in text


# --- What may come in -----------------------------------------------------------------------------


def one_model_without_positives() -> Results:
    parts = {"methods": ("cam",), "binarizers": ("p95",)}
    first = several(30, **parts)
    second = of_targets(
        made(30, metrics=METRICS, target_class=("true",), **parts), absent=lambda i: True
    )
    named = [
        replace(one, samples=one.samples.assign(model=name))
        for name, one in (("a", first), ("b", second))
    ]
    return concat(named)


def without_labels(results: Results) -> Results:
    table = results.samples.assign(
        label=pd.array([pd.NA] * len(results), dtype="Int64"),
        predicted=pd.array([pd.NA] * len(results), dtype="Int64"),
        probability=np.nan,
        sample=[f"image {i}" for i in range(len(results))],
    )
    return replace(results, samples=table)


@pytest.mark.usefixtures("figures_drawn")
@pytest.mark.parametrize(
    "results",
    [
        pytest.param(several(), id="negatives"),
        pytest.param(several(negatives=False), id="positives"),
        pytest.param(
            of_targets(made(12, metrics=METRICS), absent=lambda i: True), id="negatives alone"
        ),
        pytest.param(
            of_targets(made(12, metrics=("zero_without_object:iou",)), absent=lambda i: True),
            id="negatives alone, by convention",
        ),
        pytest.param(
            of_targets(made(12, metrics=METRICS), absent=lambda i: i % 3 == 0),
            id="one class without positives",
        ),
        pytest.param(of_targets(made(1, metrics=METRICS)), id="one row"),
        pytest.param(
            of_targets(made(1, metrics=METRICS), absent=lambda i: True), id="one row, a negative"
        ),
        pytest.param(
            of_targets(made(3, metrics=METRICS), absent=lambda i: i > 0), id="one positive"
        ),
        pytest.param(without_labels(several()), id="no labels"),
        pytest.param(one_model_without_positives(), id="a model without positives"),
        pytest.param(bare(several()), id="no provenance"),
        pytest.param(several(metrics=("pixel_auroc",), binarizers=()), id="maps alone"),
        pytest.param(several(metrics=("outcome",)), id="categories alone"),
        pytest.param(several(baselines={}), id="no baselines"),
        pytest.param(several(methods=()), id="baselines alone"),
        pytest.param(several(classes=()), id="no class names"),
        pytest.param(undefined(several(), np.s_[:], 5), id="all undefined"),
        pytest.param(elsewhere(several()), id="maps made elsewhere"),
        pytest.param(elsewhere(made(1)), id="one map made elsewhere"),
        pytest.param(
            with_columns(made(2), view=["a", None], site=["", "b"]), id="columns of two rows"
        ),
        pytest.param(several(30, target_class=("predicted", "true")), id="target classes"),
    ],
)
def test_whatever_targets_come_they_are_reported(results, tmp_path) -> None:
    page = written(results, tmp_path)
    assert "nan" not in re.findall(r"[a-z]+", page.text.lower())
    assert "None" not in page.text.replace("cells=None", "")


def test_negatives_alone_have_no_score_of_an_object(tmp_path) -> None:
    results = of_targets(made(12, metrics=METRICS), absent=lambda i: True)
    page = written(results, tmp_path)
    assert page.headline == "No target has a defined score: empty truth."
    assert "12 of 12 targets have no object: scores that need an object are undefined." in page.text
    table = page.table("Marks on negatives")
    assert "with an object" not in " ".join(table.titles)
    assert page.table("Classes, their positives").find("round", "IoU") == MISSING


def test_a_page_of_a_table_that_was_read_is_the_same(tmp_path) -> None:
    results = with_columns(several(30), view=["a", "b", None] * 10)
    results = replace(results, weights=np.where(np.isnan(results.values), np.nan, results.weights))
    first = written(results, tmp_path / "a").source
    results.to_csv(tmp_path / "results.csv")
    assert written(Results.from_csv(tmp_path / "results.csv"), tmp_path / "b").source == first
