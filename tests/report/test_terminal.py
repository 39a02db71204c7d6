"""The verdict as lines of text: what the page says, in 80 columns."""

from dataclasses import replace

import numpy as np
import pytest
from pages import KNOWN, made, of_targets, undefined, written

from cameval import concat
from cameval.errors import SettingError
from cameval.evaluation.meaning import CONSTANT
from cameval.report import format_interval, format_number, verdict_lines

pytestmark = pytest.mark.usefixtures("no_figures")


def test_a_row_has_the_means_of_the_summary_and_the_headline_follows(tmp_path) -> None:
    level = {"a": 0.6, "b": 0.3}
    parts = [
        made(
            40,
            groups=20,
            models=(model,),
            methods=("cam",),
            binarizers=("p95",),
            value=lambda c, model=model: level[model] if c.kind == "method" else 0.3,
        )
        for model in level
    ]
    results = concat(parts)
    lines = verdict_lines(results)
    means = results.summary().set_index(["model", "method", "metric"])
    assert lines[0] == "40 images, 3 classes, 20 groups \u00b7 mean IoU [95 % by group]"
    for model, symbol in (("a", "\u25b2"), ("b", "\u2248")):
        ours = means.loc[(model, "cam", "iou")]
        guess, bound = (
            means.loc[(model, *of), "mean"]
            for of in (
                ("center", "iou"),
                ("cam", "area_bound"),
            )
        )
        score = f"{format_number(ours['mean'])} {format_interval(ours['low'], ours['high'])}"
        row = [model, symbol, *f"{score} cam p95".split(), format_number(guess), "center"]
        assert [*row, format_number(bound)] in [line.split() for line in lines]
    page = written(results, tmp_path)
    assert f"\u25b2 {page.headline}" in " ".join(lines)
    assert lines[-1] == "Undefined scores: 0. Constant maps: 0."


@pytest.mark.parametrize(
    "results",
    [
        made(models=("a network with a long name " * 4, "b"), methods=("m" * 90,)),
        made(binarizers=("b" * 100,), baselines={"g" * 100: "nothing"}),
        made(n=3, groups=1, label=lambda i: None),
        made(baselines={}),
        made(methods=()),
        made(metrics=("pixel_auroc",), binarizers=()),
        made(metrics=("outcome",)),
        made(metrics={"d" * 80: KNOWN["hd"]}),
        undefined(made(), np.s_[:], 1),
        of_targets(made(60), absent=lambda i: i % 5 < 2),
    ],
)
def test_no_line_is_longer_than_80_columns(results) -> None:
    lines = verdict_lines(results)
    assert max(map(len, lines)) <= 80
    assert not any("nan" in line.split() for line in lines)
    for line in verdict_lines(results, ascii_only=True):
        assert line.isascii()


def test_constant_maps_and_undefined_scores_are_counted() -> None:
    results = undefined(made(binarizers=("p95",), methods=("cam",)), np.s_[:3], 1)
    codes = results.codes.copy()
    codes[5, [c.kind == "method" for c in results.columns]] |= 0x80
    lines = verdict_lines(replace(results, codes=codes))
    assert lines[-1] == "Undefined scores: 3. Constant maps: 1."


def test_the_share_of_right_predictions_and_missing_groups_are_said() -> None:
    results = made(40, groups=20)
    text = " ".join(" ".join(verdict_lines(results)).split())
    samples = results.samples
    right = (samples["predicted"] == samples["label"]).mean()
    assert f"classifies {100 * right:.1f} % [" in text
    assert "of 40 labeled images correctly." in text
    assert "No groups were given" not in text
    own = replace(results, samples=samples.assign(group=samples["sample"]))
    said = "each of 40 images counts as its own; the intervals may be too narrow."
    assert said in " ".join(verdict_lines(own))
    unlabeled = verdict_lines(made(40, label=lambda i: None))
    assert not any("classifies" in line or "accuracy" in line for line in unlabeled)


@pytest.mark.parametrize(
    ("right", "named", "asked"),
    [
        (
            0,
            True,
            "Fewer predictions are right than by chance, 33.3 % of 3 classes: are the class names",
        ),
        (
            4,
            False,
            "Fewer predictions are right than by chance, 33.3 % of 3 classes: do the labels have",
        ),
        (14, True, "not shown to be right more often than by chance, 33.3 % of 3 classes: check"),
        (40, True, ""),
    ],
)
def test_fewer_right_predictions_than_by_chance_are_asked_about(right, named, asked) -> None:
    results = made(40, groups=20, label=lambda i: i % 3)
    labels = results.samples["label"]
    i = np.arange(40)
    predicted = labels.where(i < right, (labels + 1 + i // 3 % 2) % 3)  # no other order is better
    results = replace(results, samples=results.samples.assign(predicted=predicted))
    if not named:
        settings = {**results.provenance["settings"], "class_names": None}
        results = replace(results, provenance={**results.provenance, "settings": settings})
    text = " ".join(" ".join(verdict_lines(results)).split())
    assert (asked in text) if asked else ("by chance" not in text)


def test_predictions_of_one_class_are_told() -> None:
    results = made(40, groups=20, label=lambda i: i % 3)
    samples = results.samples.assign(predicted=1)
    one = replace(results, samples=samples)
    text = " ".join(" ".join(verdict_lines(one)).split())
    said = ": check the normalization of the images and the order of the classes."
    assert f"All 40 predictions are {one.class_names[1]}{said}" in text
    alike = replace(one, samples=samples.assign(label=1))  # so are the labels
    assert "All 40 predictions" not in " ".join(verdict_lines(alike))
    both = concat([one, results.renamed("other")])
    assert "All 40 predictions of net are" in " ".join(" ".join(verdict_lines(both)).split())


def test_of_few_images_nothing_is_asked() -> None:
    results = made(6, groups=6, label=lambda i: i % 3)  # the interval reaches above one half
    predicted = results.samples["label"].map(lambda label: (label + 1) % 3)
    lines = verdict_lines(replace(results, samples=results.samples.assign(predicted=predicted)))
    text = " ".join(" ".join(lines).split())
    assert "classifies 0.0 %" in text
    assert "by chance" not in text


def test_what_was_fixed_is_the_row() -> None:
    results = made()
    lines = verdict_lines(results, method="cam", binarizer="otsu")
    assert any("cam otsu" in line for line in lines)
    assert not any("Optimistic" in line for line in lines)
    with pytest.raises(SettingError, match="binarizer must be one of"):
        verdict_lines(results, binarizer="other")


def test_pairs_of_networks_say_how_many_images_are_compared() -> None:
    level = {"cam": 0.5, "grad_cam": 0.3}
    parts = [
        made(
            models=(model,),
            value=lambda c: level.get(c.method, 0.2),
            metrics=("iou",),
            binarizers=("p95",),
        )
        for model in ("old", "new")
    ]
    values, codes = parts[1].values.copy(), parts[1].codes.copy()
    for at, column in enumerate(parts[1].columns):
        if column.method == "grad_cam":
            values[:5, at] = np.nan
            codes[:5, at] |= CONSTANT
    results = concat([parts[0], replace(parts[1], values=values, codes=codes)])
    lines = verdict_lines(results)
    assert lines[-2:] == [
        "Undefined scores: 0. Constant maps: 0.",
        "Of other maps: grad_cam of new 5 undefined, 5 constant.",
    ]
    text = " ".join(" ".join(verdict_lines(results, method="grad_cam")).split())
    found = results.compare("iou", over="model", method="grad_cam")
    assert found["n"].unique().tolist() == [19]
    assert "Undefined scores leave 19 of 24 pairs." in text
    assert text.count("(19 of 24 pairs)") == len(found)
    assert "Undefined scores: 5. Constant maps: 5." in text
    assert "of 24 pairs" not in " ".join(verdict_lines(results, method="cam"))
