"""The report: a page that says what the numbers say, whatever came in, and needs nothing else."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import KNOWN, bare, cell, made, undefined, written

from cameval import concat
from cameval.errors import SettingError
from cameval.evaluation import Results
from cameval.evaluation._comparisons import compare_all, seed_of
from cameval.evaluation._contents import contents_of
from cameval.evaluation._headline import headline_of
from cameval.evaluation._numbers import format_short
from cameval.evaluation._scores import images_by_model, scores_of
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import BinarizerMeaning, MethodMeaning
from cameval.report import (
    format_number,
    format_percent,
    page_tests,
    verdict_lines,
    write_report,
)
from cameval.report import page as writing
from cameval.report._answers import Known
from cameval.report._chart import Charts
from cameval.report._figures import figure_text
from cameval.report._first_screen import first_screen_of
from cameval.report._names import names_of
from cameval.report._targets import targets_of
from cameval.report._verdict import verdicts_of
from cameval.report._verdict_words import FAITHFULNESS

# --- Numbers --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
def test_the_tables_say_what_the_summary_says(tmp_path) -> None:
    results = undefined(made(), np.s_[:2], 1)
    page = written(results, tmp_path)
    table, free = page.table("IoU of all maps"), page.table("Metrics of maps")
    cells_of = {
        (head.split(" | ")[0], cells[0]): dict(zip(table.titles[1:], cells, strict=True))
        for _, head, cells in table.rows
    }
    titles = {"iou": "IoU", "coverage": "coverage"}
    seen = 0
    for row in results.summary().itertuples():
        if row.metric == "pixel_auroc":
            assert free.find(row.method, "AUROC") == cell(row)
        elif row.metric in titles:
            assert cells_of[row.method, row.binarizer][titles[row.metric]] == cell(row)
        elif row.metric == "area_bound":
            shown = cells_of[row.method, row.binarizer]["area bound"]
            assert shown == format_number(row.mean)
        seen += 1
    assert seen == len(results.columns)
    assert "Each mean is over 22 images; 2 are undefined and no map is constant." in page.text
    for kind in dict.fromkeys(block for block, _, _ in table.rows):
        means = [float(cells[1].split(" | ")[0]) for block, _, cells in table.rows if block == kind]
        assert len(means) > 1
        assert means == sorted(means, reverse=True)


@pytest.mark.usefixtures("no_figures")
def test_all_scores_are_grouped_by_what_the_maps_are_and_not_by_names(tmp_path) -> None:
    known = {"truth center": "nothing", "cam": "labels", "blind": "truth", "x": None, "y": "image"}
    made_up = made(methods=("intensity", "random"), baselines=known, binarizers=("p95",))
    methods = {"intensity": MethodMeaning("a"), "random": MethodMeaning("b", control=True)}
    record = replace(made_up.meanings, methods=methods).to_record()
    results = replace(made_up, provenance={**made_up.provenance, "meanings": record})
    table = written(results, tmp_path).table("IoU of all maps")
    assert [(block.split(":")[0], head.split(" | ")[0]) for block, head, _ in table.rows] == [
        ("methods", "intensity"),
        ("controls", "random"),
        ("blind baselines", "truth center"),
        ("baselines that use labels or predictions alone", "cam"),
        ("baselines that use the image without the trained network", "y"),
        ("baselines that do not state what they use", "x"),
        ("baselines that use the truth", "blind"),
    ]


@pytest.mark.usefixtures("no_figures")
def test_counts_that_differ_have_columns(tmp_path) -> None:
    results = made()
    results = undefined(results, np.ix_(range(3), [1]), 1)
    table = written(results, tmp_path).table("IoU of all maps")
    assert table.titles[-3:] == ["n (IoU)", "undefined (IoU)", "constant maps"]
    counts = sorted(tuple(cells[-3:]) for _, _, cells in table.rows)
    assert counts == sorted([("21", "3", "0"), *[("24", "0", "0")] * (len(table.rows) - 1)])


@pytest.mark.usefixtures("no_figures")
def test_verdict_figure_table_and_terminal_have_the_same_numbers(tmp_path) -> None:
    results = made(48, groups=24, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    page = written(results, tmp_path)
    lines = verdict_lines(results)
    means = results.summary().set_index("method")
    ours, guess = means.loc["cam"], means.loc["center"]
    interval = f"[{format_number(ours['low'])}, {format_number(ours['high'])}]"
    assert f"{format_short(ours['mean'])}, best guess {format_short(guess['mean'])}." in page.says
    rows = {head.split(" | ")[0]: cells for _, head, cells in page.table("IoU of all maps").rows}
    assert rows["cam"][1] == f"{format_number(ours['mean'])} | {interval}"
    assert page.table("IoU of each map").find("cam", "IoU") == rows["cam"][1]
    (row,) = [line for line in lines if "cam" in line]
    assert f"{format_number(ours['mean'])} {interval}" in row
    assert f"{format_number(guess['mean'])} center" in row
    assert any(page.headline in line for line in lines)
    label = f"{format_short(ours['mean'])} {interval}; best guess (center) "
    values = results.values
    below = int((values[:, 0] < values[:, 1]).sum())
    assert f"Of 48 images, {below} score below the guess." in page.says
    assert f"{below} of 48 images below the guess" in page.text
    assert f"{48 - below} of 48 images score higher than the best guess, {below} lower" in page.text
    drawn = first_label(results)
    assert label in drawn


@pytest.mark.usefixtures("no_figures")
def test_negative_numbers_have_a_minus_sign(tmp_path) -> None:
    source = written(made(), tmp_path).source
    text = re.sub(r"<(style|script)>.*?</\1>", "", source, flags=re.DOTALL)
    assert "\u2212." in text
    assert not re.search(r"[\[> ]-\.?\d", re.sub(r"<[^>]*>", "<>", text))


def first_label(results: Results) -> str:
    """Return what the headline figure says in words."""
    contents = contents_of(results)
    targets = targets_of(results, contents)
    scores, images = scores_of(results, contents), images_by_model(results)
    headline = headline_of(contents, scores)
    family = compare_all(contents, headline, images, seed_of(results))
    verdicts = verdicts_of(results, contents, images, headline, scores, family)
    names = names_of(targets, contents)
    known = Known(targets, contents, images, headline, scores, names, family)
    charts = Charts(results, images, headline, scores, names, verdicts)
    (panel,) = first_screen_of(known, charts, {}, {}).panels
    return panel.drawing.label


@pytest.mark.usefixtures("no_figures")
def test_classes_and_predictions_say_what_the_summary_says(tmp_path) -> None:
    results = undefined(made(n=30), np.s_[[0, 3]], 1)
    page = written(results, tmp_path)
    means = results.select(metric="iou", kind="method").summary()
    best = means.loc[means["mean"].idxmax()]
    of_best = results.select(metric="iou", method=best["method"], binarizer=best["binarizer"])
    table = page.table("IoU by true class")
    for row in of_best.summary(by="label").itertuples():
        title = ("round", "square", "long")[row.label]
        assert table.find(title, "IoU") == cell(row)
        assert table.find(title, "median") == format_number(row.median)
        assert table.find(title, "groups") == "8"
        values = of_best.values[(results.samples["label"] == row.label).to_numpy(bool), 0]
        defined = values[~np.isnan(values)]
        assert table.find(title, "> .5") == format_percent((defined > 0.5).mean())
    assert table.find("round", "n") == "8 | 2 undefined"
    by_label = of_best.summary(by="label")["mean"]
    assert table.find("mean of classes", "IoU") == format_number(by_label.mean())
    assert table.find("all images", "IoU") == cell(next(of_best.summary().itertuples()))
    table = page.table("IoU of right and wrong")
    for row in of_best.summary(by="correct").itertuples():
        head = "right predictions" if row.correct else "wrong predictions"
        assert table.find(head, "IoU") == cell(row)
        assert table.find(head, "n").split(" | ")[0] == str(row.n)


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("cam", "image", "chip", "headline"),
    [
        (
            0.6,
            0.2,
            "\u25b2 Better than guessing",
            "The maps find the object better than a guess.",
        ),
        (
            0.6,
            0.8,
            "\u25b2 Better than guessing, not than the image alone",
            "The maps find the object better than a guess, but are not shown to do so better than "
            "the image alone.",
        ),
        (
            0.3,
            0.2,
            "\u2248 No clear difference from guessing",
            "The maps are not shown to find the object better than a guess.",
        ),
        (
            0.1,
            0.2,
            "\u25bc Worse than guessing",
            "The maps find the object worse than a guess.",
        ),
    ],
)
def test_the_verdict_follows_the_numbers(cam, image, chip, headline, tmp_path) -> None:
    level = {"cam": cam, "intensity": image}
    results = made(
        48,
        groups=12,
        methods=("cam",),
        binarizers=("p95",),
        value=lambda c: level.get(c.method, 0.3),
    )
    page = written(results, tmp_path)
    assert (page.chip, page.headline) == (chip, headline)
    values = results.select(metric="iou", method="cam").values
    assert f"{int((values > 0.5).sum())} of 48 images above .5" in page.text
    right = (results.samples["label"] == results.samples["predicted"]).fillna(False)
    assert f"{100 * right.mean():.0f}\xa0% classified right" in page.text
    assert f"{int((~right).sum())} of 48 images classified wrong" in page.text
    assert FAITHFULNESS in page.text


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("levels", "chip", "headline"),
    [
        ((0.6, 0.6), "\u25b2 Better than guessing", "The maps of both networks find the object "),
        ((0.3, 0.3), "\u2248 No clear", "The maps of neither network are shown to find "),
        ((0.1, 0.1), "\u25bc Worse than", "The maps of both networks find the object worse than "),
        (
            (0.6, 0.3),
            "\u25b2 Better than guessing: 1 of 2 networks",
            "The maps of net 0, one of 2 networks, find the object better than a guess.",
        ),
        (
            (0.6, 0.1),
            "\u25b2 Better than guessing: 1 of 2 networks",
            "The maps of net 0, one of 2 networks, find the object better than a guess, those of 1 "
            "worse.",
        ),
        (
            (0.3, 0.1),
            "\u25bc Worse than guessing: 1 of 2 networks",
            "The maps of net 1, one of 2 networks, find the object worse than a guess.",
        ),
        (
            (0.6, 0.6, 0.6),
            "\u25b2 Better than guessing",
            "The maps of all three networks find ",
        ),
        ((0.3, 0.3, 0.3), "\u2248 No clear", "The maps of none of the three networks are shown "),
    ],
)
def test_the_verdict_on_several_networks(levels, chip, headline, tmp_path) -> None:
    parts = [
        made(
            48,
            groups=24,
            models=(f"net {k}",),
            methods=("cam",),
            baselines={"center": "nothing"},
            binarizers=("p95",),
            metrics=("iou",),
            value=lambda c, level=level: level if c.kind == "method" else 0.3,
        )
        for k, level in enumerate(levels)
    ]
    page = written(concat(parts), tmp_path)
    assert page.chip.startswith(chip)
    assert page.headline.startswith(headline)
    assert page.source.count('class="chip small"') == (len(levels) if len({*levels}) > 1 else 0)


@pytest.mark.usefixtures("no_figures")
def test_for_distances_less_is_better(tmp_path) -> None:
    results = made(
        48,
        groups=12,
        metrics=("hd",),
        value=lambda c: {"cam": 0.3, "grad_cam": 0.6}.get(c.method, 0.36),
    )
    page = written(results, tmp_path)
    assert page.chip.startswith("\u25b2 Better than guessing")
    assert page.says.startswith("Mean hd with the true masks (lower is better): .")
    (best,) = {*re.findall(r"masks by (\w+)", page.text)}
    cam, center = (results.select(method=m, binarizer=best).values[:, 0] for m in ("cam", "center"))
    assert 0 < int((cam > center).sum()) < 24
    assert f"{int((cam > center).sum())} of 48 images worse than the guess" in page.text
    assert page.table("hd of all maps").titles[2] == "hd (lower is better)"
    rows = page.table("hd of all maps").rows
    for kind in {block for block, _, _ in rows}:
        means = [float(cells[1].split(" | ")[0]) for block, _, cells in rows if block == kind]
        assert means == sorted(means)


@pytest.mark.usefixtures("no_figures")
def test_few_groups_and_undefined_scores_and_constant_maps_are_said(tmp_path) -> None:
    results = undefined(made(n=6, groups=2), np.s_[:1], 1)
    codes = results.codes.copy()
    codes[2, :4] |= 0x80
    page = written(replace(results, codes=codes), tmp_path)
    assert "only 2 groups: intervals may be too narrow" in page.text
    assert page.headline == "2 groups are too few to tell."
    assert "1 of 6 images has an undefined score" in page.text
    assert "1 of 6 images has a constant map" in page.text
    table = page.table("Undefined scores")
    assert table.titles == ["metric", "empty truth", "of", "images"]
    heads = {head: cells for _, head, cells in table.rows}
    assert heads == {
        "all metrics | methods, each": ["2", "12", "image 0"],
        "all metrics | baselines, each": ["3", "18", "image 0"],
    }
    assert page.table("Constant maps").rows == [("", "cam | method", ["1", "6", "image 2"])]


@pytest.mark.usefixtures("no_figures")
def test_what_is_undefined_is_told_apart(tmp_path) -> None:
    results = made()
    at = [k for k, c in enumerate(results.columns) if c.metric == "coverage"]
    results = undefined(results, np.ix_(range(7), at), 3)
    table = written(results, tmp_path).table("Undefined scores")
    assert table.titles[1:] == ["empty prediction", "of", "images"]
    heads = {head: cells for _, head, cells in table.rows}
    names = "image 0, image 1, image 2, image 3, image 4 and 2 more"
    assert heads == {
        "coverage, p95; coverage, otsu | methods, each": ["14", "48", names],
        "coverage, p95; coverage, otsu | baselines, each": ["21", "72", names],
    }


@pytest.mark.usefixtures("one_width")
def test_every_image_alone_is_said(tmp_path) -> None:
    text = written(made(groups=24), tmp_path).text
    assert "Every image is its own group. If several images are of one group (such as a" in text


@pytest.mark.usefixtures("no_figures")
def test_without_baselines_nothing_is_claimed(tmp_path) -> None:
    page = written(made(baselines={}), tmp_path)
    assert page.chip == "? Nothing to compare with"
    assert page.headline == "No guess was evaluated beside the maps."
    assert "best" not in page.says + page.text.partition("Reading the figure")[2][:300]
    assert "minus best guess" not in page.table("IoU of all maps").titles


@pytest.mark.usefixtures("no_figures")
def test_a_verdict_without_a_score_has_its_most_frequent_reason(tmp_path) -> None:
    results = undefined(made(n=9), np.s_[:4], 3)
    page = written(undefined(results, np.s_[4:], 1), tmp_path)
    assert page.chip == "? No score"
    assert page.headline == "No image has a defined score: empty truth."
    assert page.says == ""


# --- What may come in -----------------------------------------------------------------------------


def all_undefined(results: Results) -> Results:
    return undefined(results, np.s_[:], 1)


@pytest.mark.usefixtures("one_width")
@pytest.mark.parametrize(
    "results",
    [
        pytest.param(made(n=1), id="one sample"),
        pytest.param(made(n=2, groups=1), id="one group"),
        pytest.param(all_undefined(made()), id="all undefined"),
        pytest.param(all_undefined(made(n=1)), id="one sample, undefined"),
        pytest.param(made(metrics=("pixel_auroc",), binarizers=()), id="maps alone"),
        pytest.param(made(metrics=("dice", "coverage")), id="no iou"),
        pytest.param(made(metrics=("area_bound",)), id="bound alone"),
        pytest.param(made(methods=()), id="baselines alone"),
        pytest.param(made(methods=("cam",), baselines={}, binarizers=("p95",)), id="one column"),
        pytest.param(made(models=("a", "b", "c")), id="models", marks=pytest.mark.slow),
        pytest.param(
            made(models=("a", "b"), target_class=("predicted", "true")),
            id="target_class",
            marks=pytest.mark.slow,
        ),
        pytest.param(made(classes=()), id="no class names"),
        pytest.param(made(label=lambda i: 7), id="labels without a name"),
        pytest.param(bare(made()), id="no provenance"),
        pytest.param(
            made(methods=tuple(f"m{i}" for i in range(17)), binarizers=tuple("abcdefghi")),
            id="many columns",
        ),
    ],
)
def test_whatever_comes_is_reported(results, tmp_path) -> None:
    page = written(results, tmp_path)
    assert "nan" not in page.text.lower().replace("nano", "").split()
    assert "None" not in page.text


@pytest.mark.usefixtures("one_width")
def test_of_many_classes_the_most_frequent_are_shown(tmp_path) -> None:
    counts = np.repeat(np.arange(1000), np.where(np.arange(1000) % 40 == 3, 3, 1))
    results = made(n=len(counts), label=lambda i: int(counts[i]), classes=(), groups=300)
    page = written(results, tmp_path)
    table = page.table("IoU by true class")
    shown = [head for _, head, _ in table.rows][:-2]
    assert shown == [f"class {label}" for label in range(1000) if label % 40 == 3]
    assert "The 25 most frequent classes are shown, 975 are left out" in page.text


@pytest.mark.usefixtures("no_figures")
def test_labels_outside_the_network_say_nothing_of_right_and_wrong(tmp_path) -> None:
    results = made()
    foreign = results.samples.assign(predicted=results.samples["predicted"] + 400)
    page = written(replace(results, samples=foreign), tmp_path)
    told = (
        "The labels do not seem to be classes of net: the accuracy is not known, and target "
        "classes are those of the network, not of the labels. If they are, no prediction is right: "
        "check the weights and the normalization of the images."
    )
    assert told in page.caution
    assert page.text.count("do not seem to be classes") == 1
    assert page.text.count("accuracy is not known") == 1
    lines = " ".join(verdict_lines(replace(results, samples=foreign)))
    assert lines.count("do not seem to be classes") == 1
    assert "Right and wrong" not in page.text
    assert "classifies" not in page.text


@pytest.mark.usefixtures("no_figures")
def test_the_networks_with_other_classes_than_those_of_the_labels_are_named(tmp_path) -> None:
    results = made(models=("own", "foreign", "other"))
    of = results.samples["model"]
    added = of.map({"own": 0, "foreign": 400, "other": 400})
    foreign = results.samples.assign(predicted=results.samples["predicted"] + added)
    page = written(replace(results, samples=foreign), tmp_path / "some")
    assert "The labels do not seem to be classes of foreign and other: " in page.caution
    assert "own classifies" in page.text
    foreign = results.samples.assign(predicted=results.samples["predicted"] + 400)
    page = written(replace(results, samples=foreign), tmp_path / "all")
    assert "The labels do not seem to be classes of the 3 networks: " in page.caution
    assert "target classes are those of the networks, not of the labels." in page.caution
    assert "classes of the" not in written(results, tmp_path / "none").caution


@pytest.mark.usefixtures("no_figures")
def test_outcomes_are_counted_and_never_averaged(tmp_path) -> None:
    results = made(n=12, metrics=("iou", "outcome"))
    at = [k for k, column in enumerate(results.columns) if column.metric == "outcome"]
    values = results.values.copy()
    values[:, at] = (np.arange(12) % 3)[:, None]
    results = replace(results, values=values)
    page = written(results, tmp_path)
    table = page.table("Number of images in each category of outcome")
    assert table.titles == [*("map", "match", "miss", "includes", "inside", "partial", "undefined")]
    assert [c.split(" | ")[0] for c in table.rows[0][2]] == ["4", "4", "4", "0", "0", "0"]
    assert not any("outcome" in t for table in page.tables for t in table.titles)
    alone = results.select(metric="outcome")
    page = written(alone, tmp_path / "alone")
    assert page.headline == "There is no score of maps: the metrics are counted only."
    assert [table.caption for table in page.tables] == [
        "Predicted class by label",
        "Number of images in each category of outcome",
        "Questions and answers",
        "What each metric asks",
    ]


@pytest.mark.usefixtures("no_figures")
def test_a_metric_that_is_only_called_like_outcomes_is_averaged(tmp_path) -> None:
    results = made(metrics=("iou", "outcome_score"))
    page = written(results, tmp_path)
    assert "outcome score (direction not known)" in page.table("IoU of all maps").titles


@pytest.mark.usefixtures("one_width")
def test_models_are_compared(tmp_path) -> None:
    results = made(models=("a", "b", "c"))
    page = written(results, tmp_path)
    table = page.table("Paired differences in IoU between models")
    assert [(block, head) for block, head, _ in table.rows] == [
        (f"{pair[0]} minus {pair[1]}", binarizer)
        for pair in ("ab", "ac", "bc")
        for binarizer in ("p95", "otsu")
    ]
    assert page.source.count('<section class="panel"') == 4  # one of the differences
    assert all(f"{model} classifies" in page.text for model in "abc")


@pytest.mark.usefixtures("no_figures")
def test_target_classes_are_compared(tmp_path) -> None:
    results = made(
        target_class=("predicted", "true"), value=lambda c: 0.2 + 0.3 * (c.target_class == "true")
    )
    table = written(results, tmp_path).table("IoU by target class")
    heads = [head for _, head, _ in table.rows]
    assert heads[:2] == ["all images, the predicted class", "all images, the true class"]
    assert float(table.rows[1][2][-1].split(" | ")[0]) > 0.2


# --- Names ----------------------------------------------------------------------------------------

EVIL = (
    "<script>alert(1)</script>",
    "\"quoted\" 'twice' & <b>",
    "first\nsecond\r\tthird",
    "$x_1$ and $\\frac{1}{0",
    "long " * 400,
    "שלום עולם",
    "‮reversed",
    "\U0001f9e0 brain",
    "nul \x00 bell \x07 half \ud800",
    "{{ 7 * 7 }}{% raw %}{# #}",
)


@pytest.mark.usefixtures("one_width")
@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_names_stay_text(evil, tmp_path) -> None:
    whole = evil.replace("\ud800", "")  # which no table holds
    base = made(
        n=9,
        methods=(whole,),
        baselines={"b " + whole: "nothing", "t " + whole: "truth"},
        binarizers=("p " + whole, "otsu"),
        metrics={
            "m " + whole: KNOWN["iou"],
            "u " + whole: replace(KNOWN["area_bound"], bounds="m " + whole),
            "c " + whole: replace(KNOWN["outcome"], categories=("k " + whole, "other")),
            "d " + whole: replace(KNOWN["hd"], setting=whole),
        },
        target_class=("predicted", "e " + whole),
        classes=(evil, "b", "c"),
    )
    table = base.samples.assign(
        model="m " + whole,
        sample=[f"{whole} {i}" for i in range(9)],
        group=[f"{whole} {i % 3}" for i in range(9)],
    )
    settings = {**base.provenance["settings"], "prepare": evil, "model": evil}
    provenance = {**base.provenance, "settings": settings, "started": evil}
    results = replace(base, samples=table, provenance=provenance)
    page = written(undefined(results, np.s_[:2], 1), tmp_path, title="t " + evil)
    title = re.search("<title>(.*)</title>", page.source).group(1)
    assert "<" not in title
    assert one_line("t " + evil, 200) in page.text
    assert "49" not in title
    assert evil.count("<script>") == 0 or "<script>" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f]", page.source)


def test_figures_write_what_their_font_has() -> None:
    assert figure_text("a $x_1$ \u202e\U0001f9e0 b") == "a $x_1$ \u25a1 b"
    assert len(figure_text("long " * 9, 12)) == 12


@given(st.text(), st.integers(5, 90))
def test_a_name_is_one_short_line(text, longest) -> None:
    line = one_line(text, longest)
    assert len(line.strip("\u2068\u2069")) <= longest
    assert "\n" not in line
    line.encode("utf-8")
    assert line.count("\u2068") >= line.count("\u2069") or "\u2069" in text


@given(st.floats(-9.9, 9.9))
def test_a_number_is_what_it_was_to_three_decimals(value) -> None:
    text = format_number(value)
    assert abs(float(text) - value) <= 0.0005 + 1e-12
    assert re.fullmatch(r"-?[1-9]?\.\d{3}", text)
    assert text != "-.000"


# --- Files ----------------------------------------------------------------------------------------


def test_a_page_is_there_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    results = made(n=6)
    before = write_report(results, tmp_path).read_bytes()
    files = sorted(p.name for p in tmp_path.rglob("*"))

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_report(results, tmp_path, title="another")
    assert (tmp_path / "report.html").read_bytes() == before
    assert sorted(p.name for p in tmp_path.rglob("*")) == files


def test_the_same_results_give_the_same_page(tmp_path) -> None:
    first = write_report(made(), tmp_path / "a").read_bytes()
    assert write_report(made(), tmp_path / "b").read_bytes() == first


def test_a_report_of_a_table_that_was_read_is_the_same(tmp_path) -> None:
    results = undefined(made(), np.s_[3, :], 3)
    results.to_csv(tmp_path / "results.csv")
    again = Results.from_csv(tmp_path / "results.csv")
    first = write_report(results, tmp_path / "a").read_bytes()
    assert write_report(again, tmp_path / "b").read_bytes() == first


def test_a_folder_that_cannot_be_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="folder must be one that can be written"):
        write_report(made(n=2), tmp_path / "file")


def test_nothing_global_is_changed(tmp_path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    write_report(made(n=6), tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_templates_ship_with_the_package() -> None:
    folder = Path(writing.__file__).parent / "templates"
    assert {"report.html.j2", "report.js", "style.css"} <= {p.name for p in folder.iterdir()}


# --- What is told below tables and figures --------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
def test_the_figure_of_thresholds_names_the_binarizers(tmp_path) -> None:
    page = written(made(binarizers=("p95", "otsu")), tmp_path / "a")
    assert "Binarizers that are compared: p95 and otsu." in page.text
    labels = tuple(f"p{k}" for k in range(80, 95))
    many = made(binarizers=(*labels, "otsu"))
    meanings = {k: BinarizerMeaning(k, marked=1 - int(k[1:]) / 100) for k in labels}
    meanings["otsu"] = BinarizerMeaning("otsu")
    record = replace(many.meanings, binarizers=meanings).to_record()
    many = replace(many, provenance={**many.provenance, "meanings": record})
    page = written(many, tmp_path / "b")
    assert "compared: 15 of a fixed share, from p94 to p80 and otsu." in page.text


@pytest.mark.usefixtures("no_figures")
def test_the_level_of_intervals_of_differences_is_told(tmp_path) -> None:
    results = made(48, groups=24, value=lambda c: 0.6 if c.kind == "method" else 0.3)
    page = written(results, tmp_path)
    tests = page_tests(results)
    levels = tests["confidence_holm"]
    assert levels.min() < 0.98
    low, high = (f"{100 * one:.2f}".rstrip("0").rstrip(".") for one in (min(levels), max(levels)))
    text = f"The interval of a difference is {low}\u00a0% to {high}\u00a0%, by test"
    assert text in page.text


@pytest.mark.usefixtures("no_figures")
def test_a_share_below_all_is_not_written_as_all(tmp_path) -> None:
    n = 2500
    results = made(n, groups=n, methods=("cam",), binarizers=("p95",), metrics=("iou",))
    labels = results.samples["label"]
    wrong = np.arange(n) == 7
    predicted = labels.where(~wrong, (labels + 1) % 3)
    page = written(replace(results, samples=results.samples.assign(predicted=predicted)), tmp_path)
    assert "classifies 99.96\u00a0% [99." in page.text
    assert "99.96\u00a0% classified right" in page.text
    assert "In brackets: the 95 % interval by group, cut off at 0 % and 100 %." in page.text


@pytest.mark.usefixtures("no_figures")
def test_the_page_tells_once_what_a_group_is(tmp_path) -> None:
    page = written(made(), tmp_path)
    assert page.text.count("Images with the same group id, such as those of one patient") == 1
    unlabeled = made(label=lambda i: None)
    assert "by group, cut off at" not in written(unlabeled, tmp_path).text


@pytest.mark.usefixtures("no_figures")
def test_predicted_classes_by_label_are_a_table(tmp_path) -> None:
    results = made(24, groups=24)
    labels = results.samples["label"]
    predicted = labels.where(np.arange(24) >= 6, (labels + 1) % 3)
    results = replace(results, samples=results.samples.assign(predicted=predicted))
    table = written(results, tmp_path / "a").table("Predicted class by label")
    assert table.titles == ["label", "round", "square", "long", "found"]
    assert [head for _, head, _ in table.rows] == ["round", "square", "long"]
    assert [cells[:3] for _, _, cells in table.rows] == [
        ["6", "2", "0"],
        ["0", "6", "2"],
        ["2", "0", "6"],
    ]
    assert all(cells[3].startswith("75.0\u00a0%") for _, _, cells in table.rows)
    many = made(26, groups=26, label=lambda i: i % 13, classes=tuple("abcdefghijklm"))
    unlabeled = made(label=lambda i: None)
    for k, other in enumerate((many, unlabeled)):
        assert "Predicted class by label" not in written(other, tmp_path / str(k)).text
