"""Plots and texts of results: what is drawn is what the summary says."""

import re
import subprocess
import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from evaluations import SMALL, samples, small_network
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pages import bare, elsewhere, made, of_targets, undefined, written

from cameval import CAMExtractor, PercentileBinarizer, concat, evaluate, grad_cam, iou
from cameval.baselines import area_bound
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.evaluation import REASONS, Column, Results, choose_binarizers
from cameval.evaluation._plot_marks import difference_text
from cameval.evaluation._score_axis import axis_ends, round_ticks
from cameval.evaluation._score_bins import MOST_DOTS
from cameval.evaluation.meaning import BinarizerMeaning, MethodMeaning, MetricMeaning, Origin
from cameval.extractor import CAMSweep
from cameval.methods import RandomCAM
from cameval.plots._axes import BOUND, GUESS, NETWORK
from cameval.report import page_tests

KINDS = ("headline", "classes", "pairs", "size", "thresholds", "choices", "confidence")


def level(column) -> float:
    """Make grad_cam with otsu the best, far above the guess; cam with otsu far below."""
    if column.metric == "area_bound":
        return 0.8
    best = {("grad_cam", "otsu"): 0.6, ("cam", "otsu"): 0.2, ("center", "otsu"): 0.4}
    return best.get((column.method, column.binarizer), 0.3)


@pytest.fixture(scope="module")
def results() -> Results:
    return made(value=level)


def meant(results: Results, **meanings) -> Results:
    """Return results with other meanings."""
    record = replace(results.meanings, **meanings).to_record()
    return replace(results, provenance={**results.provenance, "meanings": record})


def drawn(results: Results, kind: str, **options) -> Axes:
    """Draw a plot, also on a canvas: with warnings as errors, no glyph is missing."""
    axes = Figure(layout="constrained").subplots()
    assert results.plot(kind, axes, **options) is axes
    axes.figure.canvas.draw()
    return axes


def marks(axes: Axes, color: str, marker: str) -> list[tuple[float, float]]:
    """Return the places of the marks of a color."""
    return [
        (float(x), float(y))
        for line in axes.lines
        if line.get_marker() == marker and to_hex(line.get_color()) == color.lower()
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def dots(axes: Axes, label: str) -> np.ndarray:
    """Return the places of the dots with a label in the legend."""
    (found,) = [one for one in axes.collections if str(one.get_label()).startswith(label)]
    return np.asarray(found.get_offsets())


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def mean(results: Results, method: str, binarizer: str = "otsu", metric: str = "iou") -> float:
    part = results.select(method=method, binarizer=binarizer, metric=metric)
    return float(part.summary()["mean"].item())


# --- All kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_is_on_the_given_axes_with_title_and_labels(results, kind) -> None:
    axes = drawn(results, kind)
    assert axes.get_title(loc="left")
    assert "net" in axes.get_title(loc="left")
    assert axes.get_xlabel()
    assert axes.get_ylabel()


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_over_another_and_none_is_cut(results, kind) -> None:
    assert_texts_are_apart(results.plot(kind))


def assert_texts_are_apart(axes: Axes) -> None:
    """Check the texts of a new figure, and close it."""
    figure = axes.figure
    try:
        figure.canvas.draw()
        texts = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        texts += [] if axes.get_legend() is None else axes.get_legend().get_texts()
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [one.label1 for one in axis.get_major_ticks() if low <= one.get_loc() <= high]
        boxes = [t.get_window_extent() for t in texts if t.get_text() and t.get_visible()]
        width, height = figure.canvas.get_width_height()
        for k, box in enumerate(boxes):
            assert -1 <= box.x0 <= box.x1 <= width + 1
            assert -1 <= box.y0 <= box.y1 <= height + 1
            assert not any(box.shrunk(0.9, 0.9).overlaps(other) for other in boxes[:k])
    finally:
        pyplot.close(figure)


NAMES = {
    **{"grad_cam": "Grad-CAM$^2$", "cam": "Zhou's CAM", "otsu": "Otsu 1979", "iou": "Jaccard"},
    **{"center": "Center map", "net": "Our network", "round": "Rund", "group": "patient"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_a_plot_are_written_as_the_user_says(results, kind) -> None:
    def texts(axes: Axes) -> str:
        found = [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel(), *legend_of(axes)]
        found += [one.get_text() for one in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        return "\n".join([*found, *(str(one.get_gid()) for one in axes.patches)])

    plain, named = (texts(drawn(results, kind, names=names)) for names in (None, NAMES))
    for label, name in NAMES.items():
        usual = "IoU" if label == "iou" else label
        pattern = re.compile(rf"(?<![\w-]){usual}s?(?![\w-])")
        assert name not in plain
        assert len(pattern.findall(plain)) == named.count(name), (label, plain, named)
        assert not pattern.findall(named), label
    assert named.count("Jaccard") > 0


def legend_of(axes: Axes) -> list[str]:
    return [] if axes.get_legend() is None else legend(axes)


def test_nothing_global_is_changed(results) -> None:
    before, figures = dict(mpl.rcParams), pyplot.get_fignums()
    for kind in KINDS:
        drawn(results, kind)
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == figures
    axes = results.plot()  # a figure that pyplot shows
    assert [*figures, axes.figure.number] == pyplot.get_fignums()
    pyplot.close(axes.figure)


def test_a_plot_that_fails_makes_no_figure(results) -> None:
    figures = pyplot.get_fignums()
    with pytest.raises(SettingError):
        made(baselines={}).plot("pairs")
    assert pyplot.get_fignums() == figures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pie"}, "kind must be one of headline, models, classes, pairs, .* got 'pie'"),
        ({"model": "other"}, r"model must be one of those evaluated \(net\), got 'other'"),
        ({"method": "center"}, r"method must be one of .* \(cam, grad_cam\), got 'center'"),
        ({"binarizer": "p1"}, r"binarizer must be one of .* \(p95, otsu\), got 'p1'"),
        ({"metric": "dice"}, "metric must be one of those evaluated .* got 'dice'"),
    ],
)
def test_what_was_not_evaluated_is_refused_with_the_choices(results, options, message) -> None:
    with pytest.raises(SettingError, match=message):
        results.plot(**options)


def test_axes_must_be_axes(results) -> None:
    with pytest.raises(ArrayTypeError, match="axes must be Axes of Matplotlib, got Figure"):
        results.plot("size", Figure())


def test_several_models_need_a_choice() -> None:
    both = made(models=("one", "two"))
    with pytest.raises(SettingError, match="model must be one of one, two where there are several"):
        both.plot()
    axes = drawn(both, "headline", model="two")
    assert "two" in axes.get_title(loc="left")
    means = [round(x, 9) for x, _ in marks(axes, NETWORK, "o")]
    of_two = both.select(model="two", metric="iou", kind="method").summary()["mean"]
    assert set(means) <= {round(m, 9) for m in of_two}


def test_seven_models_can_each_be_drawn() -> None:
    many = made(n=6, models=tuple("abcdefgh"), metrics=("iou",), methods=("cam",))
    assert "h" in drawn(many, "headline", model="h").get_title(loc="left")


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda: made(baselines={}), "pairs", "no blind baseline was evaluated with it"),
        (lambda: made(metrics=("own",)), "pairs", "own does not say whether more is better"),
        (lambda: made(label=lambda i: None), "classes", "images with labels, got none"),
        (lambda: made(label=lambda i: 1), "classes", "at least two classes with a score, got 1"),
        (lambda: elsewhere(made()), "confidence", "images with a probability and a score"),
        (lambda: made(metrics=("pixel_auroc",)), "thresholds", "a metric of masks, got 'pixel_"),
        (lambda: made(metrics=("pixel_auroc",)), "choices", "a metric of masks, got 'pixel_"),
        (lambda: undefined(made(), np.s_[:], 1), "headline", "got no defined score"),
    ],
)
def test_what_cannot_be_drawn_says_why(change, kind, message) -> None:
    with pytest.raises(SettingError, match=message):
        change().plot(kind, Figure().subplots())


def test_results_without_a_record_are_drawn_as_far_as_known(results) -> None:
    for kind in ("headline", "classes", "size", "confidence"):
        assert not marks(drawn(bare(results), kind), GUESS, "D")


def test_names_of_users_are_drawn_as_they_are() -> None:
    odd = made(
        methods=("$a_b$", "\u202eevil\u0300" * 30), models=("日本 $x$",), baselines={"c": "nothing"}
    )
    for kind in KINDS:
        drawn(odd, kind)
    labels = [t.get_text() for t in drawn(odd, "headline").get_yticklabels()]
    assert any(label.startswith(r"\$a_b\$") for label in labels)


def test_targets_without_an_object_do_not_count() -> None:
    many = of_targets(made(30, metrics=("false_positive_rate", "iou")), absent=lambda i: i % 2)
    axes = drawn(many, "headline", metric="false_positive_rate")
    present = many.select(present=True, metric="false_positive_rate", binarizer="p95")
    expected = present.select(kind="method").summary()["mean"]
    assert {round(x, 9) for x, _ in marks(axes, NETWORK, "o")} <= {
        *expected.round(9),
        *many.select(present=True, binarizer="otsu", kind="method").summary()["mean"].round(9),
    }


@pytest.mark.parametrize("n", [30, MOST_DOTS + 60])
@pytest.mark.parametrize("kind", ["size", "confidence"])
def test_targets_of_several_labels_are_predicted_or_not(n, kind) -> None:
    words = legend(drawn(of_targets(made(n, methods=("cam",))), kind))
    for word in ("predicted targets", "targets not predicted"):
        assert [one for one in words if one.endswith(f"cam, {word}")]
    assert not [one for one in words if "found" in one or "missed" in one]


def low(column) -> float:
    return 0.28 if column.metric == "area_bound" else 0.12


@pytest.mark.parametrize("kind", ["headline", "classes", "pairs", "size", "thresholds"])
def test_the_axis_of_scores_ends_at_what_is_drawn(kind) -> None:
    axes = drawn(made(value=low), kind)
    first, last = axes.get_xlim() if kind in ("headline", "classes") else axes.get_ylim()
    assert -0.02 <= first <= 0 < last < 0.6
    data = axes.dataLim.intervalx if kind in ("headline", "classes") else axes.dataLim.intervaly
    assert first <= min(data)
    assert max(data) < last
    axis = axes.xaxis if kind in ("headline", "classes") else axes.yaxis
    assert 0 in axis.get_ticklocs()


@given(
    st.lists(st.floats(-1, 1), max_size=9), st.sampled_from([None, (0, 1), (-1, 1), (0, np.inf)])
)
def test_the_ends_of_an_axis_have_all_numbers_and_0_between_them(numbers, value_range) -> None:
    ends = axis_ends([*numbers, np.nan], value_range)
    assert ends[0] <= min([0, *numbers]) + 1e-9
    assert ends[1] >= max([0, *numbers]) - 1e-9
    assert ends[0] < ends[1]
    if value_range is not None and all(value_range[0] <= n <= value_range[1] for n in numbers):
        assert value_range[0] <= ends[0] < ends[1] <= value_range[1]
    assert 1 <= len(round_ticks(*ends)) <= 7


# --- Headline -------------------------------------------------------------------------------------


def test_the_headline_is_of_the_best_binarizer_by_mean(results) -> None:
    axes = drawn(results, "headline")
    assert [x for x, _ in marks(axes, NETWORK, "o")] == [
        pytest.approx(mean(results, method)) for method in ("grad_cam", "cam")
    ]
    assert [y for _, y in marks(axes, NETWORK, "o")] == [0, 1]
    assert [x for x, _ in marks(axes, GUESS, "D")] == [pytest.approx(mean(results, "center"))]
    assert [x for x, _ in marks(axes, BOUND, "|")] == [
        pytest.approx(mean(results, method, metric="area_bound")) for method in ("grad_cam", "cam")
    ]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert [label.split()[0] for label in labels] == ["grad_cam", "cam", "center", "intensity"]
    assert labels[0].split()[1] == f"{mean(results, 'grad_cam'):.2f}"[1:]
    assert "otsu" in axes.get_title(loc="left")
    assert axes.get_xlim() == pytest.approx((-0.02, 1.02))


def test_the_headline_has_intervals_and_the_band_of_the_guess(results) -> None:
    axes = drawn(results, "headline")
    rows = results.select(metric="iou", binarizer="otsu").summary().set_index("method")
    lines = [[float(x) for x in line.get_xdata()] for line in axes.lines]
    for method in ("grad_cam", "cam", "center", "intensity"):
        assert any(x == pytest.approx(rows.loc[method, ["low", "high"]].tolist()) for x in lines)
    widths = sorted(patch.get_width() for patch in axes.patches)
    guess = rows.loc["center"]
    assert widths == [pytest.approx(guess["high"] - guess["low"]), pytest.approx(guess["mean"])]


def test_the_headline_says_what_the_page_tests(results) -> None:
    axes = drawn(results, "headline")
    written = [text.get_text().replace("\u2212", "-") for text in axes.texts]
    tests = page_tests(results).query("second == 'center'").set_index("first")
    for method, symbol in (("grad_cam", "▲"), ("cam", "▼")):
        row = tests.loc[method]
        assert symbol in written
        text = f"{row['difference']:+.3f} [{row['low_holm']:.3f}, {row['high_holm']:.3f}]"
        assert text.replace("0.", ".") in written
    equal = drawn(made(), "headline")
    assert "≈" in [text.get_text() for text in equal.texts]
    few = drawn(made(groups=4, value=level), "headline")
    assert "?" in [text.get_text() for text in few.texts]


def notes(axes: Axes) -> list[str]:
    """Return the sentences below the axis, without their line breaks."""
    text = axes.get_xlabel().replace("\n", " ")
    return re.findall(r"[A-Z][^.]*\.", text.partition("by group")[2] or text)


def symbols(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text() in "▲▼≈?="]


@pytest.mark.parametrize("pattern", ["noise", "center"])
def test_maps_are_not_better_than_random_maps_alone_as_on_the_page(
    results, pattern, tmp_path
) -> None:
    record = results.meanings.to_record()
    record["baselines"]["center"]["pattern"] = pattern
    known = replace(results, provenance={**results.provenance, "meanings": record})
    axes = drawn(known, "headline")
    page = written(known, tmp_path)
    told = "Only compared with random maps: no mask in the middle was evaluated."
    alone = pattern == "noise"
    assert symbols(axes) == (["?", "▼"] if alone else ["▲", "▼"])
    assert page.chip.startswith("?" if alone else "▲")
    assert (told in notes(axes)) == (told in page.caution) == alone
    assert ("? +.211" in page.text) == alone
    assert ("▲ +.211" in page.text) == (not alone)
    legend_of_page = "? too few groups to tell, or better than random maps alone, = the same."
    assert (legend_of_page in page.text) == alone
    assert_texts_are_apart(known.plot("headline"))


def test_baselines_of_an_evaluation_that_are_left_are_random_alone() -> None:
    run = {"methods": grad_cam, "prepare": SMALL, "progress": False}
    found = evaluate(small_network(), samples(6), **run).select(method=["grad_cam", "random"])
    assert notes(drawn(found, "headline"))[0].startswith("Only compared with random maps")


def subtitle(axes: Axes) -> str:
    return axes.get_title(loc="left").partition("\n")[2]


def test_the_headline_says_of_how_many_images_and_groups_it_is(results) -> None:
    assert subtitle(drawn(results, "headline")) == "net · otsu · 24 images of 8 groups"
    words = {"group": "patient", "image": "slice"}
    axes = drawn(results, "headline", names=words)
    assert subtitle(axes) == "net · otsu · 24 slices of 8 patients"
    half = of_targets(made(30), absent=lambda i: i % 2)
    targets = "net · otsu · 15 targets with an object in 10 images of 5 groups"
    assert subtitle(drawn(half, "headline")) == targets
    some = results.samples["sample"] != results.samples["sample"].iloc[0]
    samples_ = results.samples.assign(present=some)
    axes = drawn(replace(results, samples=samples_), "headline")
    assert subtitle(axes) == "net · otsu · 23 images with an object, of 8 groups"


def test_long_names_leave_the_counts_a_line_of_their_own(results) -> None:
    words = {"net": "a network with a rather long name", "otsu": "Otsu's threshold of 1979"}
    axes = results.plot("headline", names=words)
    lines = subtitle(axes).splitlines()
    assert lines == [" · ".join(words.values()), "24 images of 8 groups"]
    assert_texts_are_apart(axes)
    words = {"net": "a network with a rather long name", "grad_cam": "Gradient-weighted " * 2}
    assert_texts_are_apart(results.plot("headline", names=words))


def test_the_headline_says_which_of_the_evaluated_images_are_left_out() -> None:
    run = {"methods": [grad_cam], "prepare": SMALL, "progress": False}
    found = evaluate(small_network(), samples(24, sizes=(32,)), **run)
    assert notes(drawn(found, "headline")) == []
    names = found.samples["sample"].tolist()
    axes = drawn(found.select(sample=names[:20]), "headline")
    assert subtitle(axes).endswith(" · 20 images of 10 groups")
    assert notes(axes) == ["Evaluated, and left out here: 4 of 24 images."]
    assert notes(drawn(found.select(metric="iou"), "headline")) == []
    one = drawn(found.select(binarizer="otsu"), "headline")
    assert notes(one) == ["Evaluated, and left out here: 1 of 2 pairs of method and binarizer."]
    left_out = {"unnamed": 10, "without_mask": 3}
    skipped = replace(found, provenance={**found.provenance, "left_out": left_out})
    axes = skipped.plot("headline")
    told = "Images are left out: 10 that --names does not name and 3 without a mask."
    assert notes(axes) == [told]
    assert_texts_are_apart(axes)


def test_the_headline_says_what_the_page_says_of_groups(results, tmp_path) -> None:
    few = made(groups=3, value=level)
    told = "There are only 3 groups: intervals may be too narrow."
    assert notes(drawn(few, "headline")) == [told]
    assert told in written(few, tmp_path / "few").caution
    told = "There are only 3 patients: intervals may be too narrow."
    words = " ".join(drawn(few, "headline", names={"group": "patient"}).get_xlabel().split())
    assert told in words
    alone = replace(few, samples=few.samples.assign(group=few.samples["sample"]))
    axes = drawn(alone, "headline")
    told = (
        "No groups were given: each of 24 images counts as its own; the intervals may be too "
        "narrow."
    )
    assert notes(axes) == [told]
    assert told in written(alone, tmp_path / "alone").caution
    assert subtitle(axes) == "net · otsu · 24 images"
    assert notes(drawn(made(groups=12, value=level), "headline")) == []


def test_the_method_that_the_headline_is_about_is_bold(results) -> None:
    def bold(**options) -> list[str]:
        labels = drawn(results, "headline", **options).get_yticklabels()
        return [one.get_text().split()[0] for one in labels if one.get_fontweight() == "bold"]

    assert bold() == ["grad_cam"]
    assert bold(method="cam") == ["cam"]
    assert len(drawn(results, "headline", method="cam").get_yticklabels()) == 4


def test_less_can_be_better() -> None:
    axes = drawn(
        made(
            methods=("bad", "good"),
            metrics=("hd",),
            baselines={"center": "nothing"},
            value=lambda c: {"bad": 0.6, "good": 0.2, "center": 0.4}[c.method],
        ),
        "headline",
    )
    labels = [text.get_text().split()[0] for text in axes.get_yticklabels()]
    assert labels == ["good", "bad", "center"]
    symbols = [text.get_text() for text in axes.texts if text.get_text() in "▲▼"]
    assert symbols == ["▲", "▼"]


def test_the_headline_has_the_best_baseline_of_each_kind() -> None:
    """The one that knows the class can be the best of all, and is no guess."""
    kinds = {"disc": "nothing", "class_mean": "labels", "edges": "image", "truth": "truth"}
    values = {"cam": 0.2, "disc": 0.3, "class_mean": 0.6, "edges": 0.1, "truth": 0.9}
    shown = made(
        methods=("cam",), baselines=kinds, metrics=("iou",), value=lambda c: values[c.method]
    )
    axes = drawn(shown, "headline")
    labels = [text.get_text().split()[0] for text in axes.get_yticklabels()]
    assert labels == ["cam", "disc", "class_mean", "edges"]
    said = [text.get_text() for text in axes.texts]
    assert "uses labels or predictions" in said


def test_a_control_is_hollow_and_below_the_methods(results) -> None:
    methods = {"cam": MethodMeaning("cam"), "grad_cam": MethodMeaning("x", control=True)}
    axes = drawn(meant(results, methods=methods), "headline")
    labels = [text.get_text().split()[0] for text in axes.get_yticklabels()]
    assert labels[:2] == ["cam", "grad_cam"]
    faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert faces == [NETWORK, "white"]
    assert "control" in legend(axes)


def test_metrics_of_a_users_own_have_the_bound_if_it_is_named() -> None:
    run = {"methods": grad_cam, "binarizers": PercentileBinarizer(95), "prepare": SMALL}
    for metrics, has_bound in (([iou, area_bound], True), (iou, False), (None, True)):
        found = evaluate(small_network(), samples(4), **run, metrics=metrics, progress=False)
        assert ("area_bound" in set(found.summary()["metric"])) is has_bound
        assert ("bound of these masks" in legend(drawn(found, "headline"))) is has_bound


def test_no_bound_is_drawn_where_there_is_none(results) -> None:
    axes = drawn(results, "headline", metric="coverage")
    assert not marks(axes, BOUND, "|")
    assert "coverage" in axes.get_xlabel()


def test_a_binarizer_or_a_method_can_be_fixed(results) -> None:
    axes = drawn(results, "headline", binarizer="p95")
    means = [mean(results, method, "p95") for method in ("cam", "grad_cam")]
    assert sorted(x for x, _ in marks(axes, NETWORK, "o")) == [
        pytest.approx(m) for m in sorted(means)
    ]
    axes = drawn(results, "pairs", method="cam", binarizer="otsu")
    assert "cam · otsu" in axes.get_title(loc="left")


def without_scores(results: Results, counts: dict[str, int], metric: str = "iou") -> Results:
    """Return results in which the first images have no score of some maps."""
    for method, count in counts.items():
        at = [k for k, c in enumerate(results.columns) if (c.method, c.metric) == (method, metric)]
        code = REASONS.index("empty prediction")
        results = undefined(results, np.ix_(range(count), at), code)
    return results


def test_means_over_fewer_images_are_marked_with_their_counts(results) -> None:
    fewer = without_scores(results, {"cam": 7, "center": 2})
    axes = drawn(fewer, "headline")
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert [label.endswith("\u2020") for label in labels] == [False, True, True, False]
    note = "\u2020 mean over fewer images: cam 17 of 24; center 22 of 24"
    assert axes.get_xlabel().splitlines()[-1] == note
    assert_texts_are_apart(fewer.plot("headline"))
    axes = drawn(fewer, "headline", names={"cam": "CAM", "image": "slice"})
    assert "fewer slices: CAM 17 of 24; center 22" in axes.get_xlabel()
    axes = drawn(results, "headline")
    assert "\u2020" not in axes.get_xlabel() + "".join(t.get_text() for t in axes.get_yticklabels())


def test_means_that_all_lack_the_same_images_are_marked_if_the_maps_are_why(results) -> None:
    maps = dict.fromkeys(("cam", "grad_cam", "center", "intensity"), 5)
    label = drawn(without_scores(results, maps), "headline").get_xlabel()
    assert "fewer images: grad_cam, cam, center, intensity 19 of 24" in " ".join(label.split())
    at = [k for k, c in enumerate(results.columns) if c.metric == "iou"]
    negatives = undefined(results, np.ix_(range(5), at), REASONS.index("empty truth"))
    assert "\u2020" not in drawn(negatives, "headline").get_xlabel()


def test_choices_and_thresholds_tell_of_fewer_images(results) -> None:
    fewer = without_scores(results, {"cam": 7})
    found = cells(drawn(fewer, "choices"))
    assert all(("\u2020" in text) == (row == 1) for (row, _), text in found.items())
    choices = fewer.plot("choices")
    assert choices.get_xlabel() == "binarizer\n\u2020 mean over 17 of 24 images"
    assert_texts_are_apart(choices)
    thresholds = fewer.plot("thresholds")
    assert thresholds.get_xlabel().endswith("\nmeans over 17 to 24 of 24 images")
    assert_texts_are_apart(thresholds)
    for kind in ("choices", "thresholds"):
        assert "over" not in drawn(results, kind).get_xlabel()


def test_the_headline_says_that_its_binarizer_is_the_best_on_these_images(results) -> None:
    note = "binarizer: the best of 2 on these same images"
    assert note in drawn(results, "headline").get_xlabel().splitlines()
    assert note in drawn(results, "headline", method="cam").get_xlabel()
    alone = results.select(binarizer="p95")
    assert "binarizer" not in drawn(alone, "headline").get_xlabel()
    assert "binarizer" not in drawn(results, "headline", binarizer="p95").get_xlabel()
    assert "binarizer" not in drawn(results, "headline", metric="pixel_auroc").get_xlabel()
    unknown = made(metrics=("own",), baselines={})
    assert "binarizer" not in drawn(unknown, "headline").get_xlabel()


@pytest.mark.parametrize(
    ("place", "note"),
    [
        ("other images", ""),
        ("other images of the same groups", "chosen on other images of the same patients"),
        ("these same images", "chosen on these same images"),
    ],
)
def test_the_headline_says_where_its_binarizer_was_chosen(results, place, note) -> None:
    chosen = BinarizerMeaning("p95", origin=Origin(place, "iou", higher_is_better=True))
    known = meant(results, binarizers={"otsu": BinarizerMeaning("otsu"), "p95": chosen})
    for one in (known, known.select(binarizer="p95")):
        axes = drawn(one, "headline", binarizer="p95", names={"group": "patient"})
        found = [line for line in axes.get_xlabel().splitlines() if "binarizer" in line]
        assert found == ([f"binarizer: {note}"] if note else [])


def test_maps_without_a_network_are_called_maps(results) -> None:
    assert "map of the network" in legend(drawn(results, "headline"))
    names = legend(drawn(elsewhere(results), "headline"))
    assert "map" in names
    assert not any("network" in name for name in names)
    both = {"cam": MethodMeaning("cam"), "grad_cam": MethodMeaning("x", given=True)}
    names = legend(drawn(meant(results, methods=both), "headline"))
    assert [name for name in names if name.startswith("map")] == ["map"]


# --- Models ---------------------------------------------------------------------------------------


def models(*names: str, **options) -> Results:
    """Return results of models with a mean of their own with otsu, and the same with p95."""
    at = {"a": 0.6, "b": 0.3, "c": 0.31, "d": 0.7}
    parts = []
    for name in names:
        part = made(
            models=(name,),
            groups=24,
            value=lambda c, name=name: at[name] if c.binarizer == "otsu" else 0.3,
            **options,
        )
        shift = np.random.default_rng(ord(name)).normal(0, 0.02, part.values.shape)
        parts.append(replace(part, values=np.clip(part.values + shift, 0, 1)))
    return concat(parts)


def differences(axes: Axes) -> list[tuple[str, float, bool, list[float]]]:
    """Return the binarizer of each dot, its place, whether it is filled, and its interval."""
    names = dict(zip(axes.get_yticks(), axes.get_yticklabels(), strict=True))
    found = [one for one in axes.lines if one.get_marker() == "o"]
    ends = {one.get_ydata()[0]: list(one.get_xdata()) for one in axes.lines if one not in found}
    rows = [(float(one.get_ydata()[0]), one) for one in found]
    return [
        (names[y].get_text(), one.get_xdata()[0], one.get_markerfacecolor() != "white", ends[y])
        for y, one in sorted(rows, key=lambda row: row[0])
    ]


@pytest.mark.parametrize("names", ["ab", "abc"])
@pytest.mark.parametrize("options", [{}, {"binarizer": "otsu"}, {"method": "cam"}])
def test_models_have_the_differences_that_the_page_tests(names, options) -> None:
    both = models(*names)
    tests = page_tests(both, **options).query("kind == 'model'")
    assert len(tests) >= len(names) - 1
    for metric in tests["metric"].unique():
        axes = drawn(both, "models", metric=metric, **options)
        here = tests[tests["metric"] == metric]
        expected = [
            (
                row.binarizer or row.method,
                pytest.approx(row.difference),
                row.p_holm < 0.05,
                pytest.approx([row.low_holm, row.high_holm]),
            )
            for row in here.itertuples()
        ]
        assert differences(axes) == expected
        written = [text.get_text() for text in axes.texts]
        for row in here.itertuples():
            assert difference_text(row.difference, row.low_holm, row.high_holm) in written
        assert f"adjusted for {tests['tests'].iloc[0]} tests" in axes.get_xlabel()
        assert here["method"].iloc[0] in axes.get_title(loc="left")
        assert sum(axes.get_xlim()) == pytest.approx(0)
    assert {row[2] for row in differences(drawn(both, "models"))} == {True, False}
    assert legend(drawn(both, "models")) == ["no difference shown", "difference shown"]


def sides(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if {*"\u2190\u2192"} & {*text.get_text()}]


def test_each_side_has_the_name_of_the_better_model() -> None:
    two = models("a", "b")
    assert sides(drawn(two, "models")) == ["\u2190 b better", "a better \u2192"]
    metric = {"error": MetricMeaning("error", "masks", False, value_range=(0, 1))}
    axes = drawn(models("a", "b", metrics=metric, baselines={}), "models")
    assert sides(axes) == ["\u2190 a better", "b better \u2192"]
    assert "▼" in [text.get_text() for text in axes.texts]  # of otsu: a has more error
    axes = drawn(models("a", "b", metrics=("own",), baselines={}), "models")
    assert sides(axes) == ["\u2190 b higher", "a higher \u2192"]


def test_a_metric_that_the_page_does_not_compare_has_its_own_tests() -> None:
    two = models("a", "b")
    alone = two.select(metric="coverage")
    shown, expected = (drawn(one, "models", metric="coverage") for one in (two, alone))
    assert differences(shown) == differences(expected)
    assert shown.get_xlabel() == expected.get_xlabel()
    assert "coverage" in shown.get_xlabel()


def test_a_metric_of_maps_has_one_row_for_each_pair() -> None:
    options = {"metric": "pixel_auroc", "method": "cam"}
    for binarizer in (None, "otsu"):  # of the page, whose tests are then fewer
        axes = drawn(models("a", "b", "c"), "models", binarizer=binarizer, **options)
        assert [text.get_text() for text in axes.get_yticklabels()] == ["cam"] * 3
        assert axes.get_ylabel() == "map"


def test_a_binarizer_that_was_chosen_on_other_images_is_the_one_of_the_models() -> None:
    chosen = []
    for part in (models("a"), models("b")):
        other = part.samples.assign(
            sample=part.samples["sample"] + " b", group=part.samples["group"] + " b"
        )
        chosen.append(choose_binarizers(replace(part, samples=other)).apply(part))
    both = concat(chosen)
    axes = drawn(both, "models")
    assert [name for name, *_ in differences(axes)] == ["validated"]
    tests = page_tests(both, binarizer="validated")
    assert f"adjusted for {len(tests)} tests" in axes.get_xlabel()
    assert [name for name, *_ in differences(drawn(both, "models", binarizer="p95"))] == ["p95"]
    here = [choose_binarizers(one).apply(one, "optimum") for one in (models("a"), models("b"))]
    names = [name for name, *_ in differences(drawn(concat(here), "models"))]
    assert names == ["p95", "otsu", "optimum"]


def test_of_many_models_the_pairs_with_one_are_drawn() -> None:
    four = models("a", "b", "c", "d")
    first = [f"{n} better" for n in ("b", "a", "c", "a", "d", "a")]
    assert [text.strip("\u2190\u2192 ") for text in sides(drawn(four, "models"))] == first
    assert [name for name, *_ in differences(drawn(four, "models"))] == ["otsu"] * 3
    of_c = sides(drawn(four, "models", model="c"))
    assert len(of_c) == 6
    assert sum("c better" in text for text in of_c) == 3
    two_of_three = sides(drawn(models("a", "b", "c"), "models", model="b"))
    assert len(two_of_three) == 4


def test_names_of_models_are_written_as_the_user_says() -> None:
    names = {"a": "ResNet$^2$", "otsu": "Otsu 1979", "iou": "Jaccard", "group": "patient"}
    axes = drawn(models("a", "b"), "models", names=names)
    assert sides(axes) == ["\u2190 b better", "ResNet$^2$ better \u2192"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["p95", "Otsu 1979"]
    assert "Jaccard with interval by patient" in axes.get_xlabel()
    assert "Jaccard" in axes.get_title(loc="left")


@pytest.mark.parametrize("names", ["ab", "abc", "abcd"])
def test_no_text_of_models_is_over_another_and_none_is_cut(names) -> None:
    long = {name: f"{name} {'fine-tuned ' * 2}" for name in names}
    assert_texts_are_apart(models(*names).plot("models", names=long))


def test_models_that_are_not_compared_say_why(results) -> None:
    with pytest.raises(SettingError, match=r"two models or more, got one \(net\); join"):
        results.plot("models", Figure().subplots())
    apart = models("a", "b")
    samples = apart.samples.copy()
    samples.loc[samples["model"] == "b", "sample"] += " again"
    with pytest.raises(SettingError, match=r"of the same images, in IoU of .* got no test"):
        replace(apart, samples=samples).plot("models", Figure().subplots())
    with pytest.raises(SettingError, match="model must be one of those evaluated"):
        apart.plot("models", Figure().subplots(), model="other")


def test_equal_models_have_no_interval() -> None:
    one = made()
    samples = one.samples.assign(model="same")
    axes = drawn(concat([one, replace(one, samples=samples)]), "models")
    assert [text.get_text() for text in axes.texts if text.get_text() in ("=", ".000")]
    assert [one.get_xdata()[0] for one in axes.lines if one.get_marker() == "o"] == [0, 0]
    assert legend(axes) == ["no difference shown"]


# --- Images ---------------------------------------------------------------------------------------


def test_classes_have_their_means_and_their_images(results) -> None:
    axes = drawn(results, "classes")
    best = results.select(metric="iou", binarizer="otsu", method="grad_cam")
    table = best.summary(by="class_name").sort_values("mean", ascending=False)
    names = [text.get_text().rpartition(" ")[0] for text in axes.get_yticklabels()]
    assert names == table["class_name"].tolist()
    assert [x for x, _ in marks(axes, NETWORK, "o")] == [pytest.approx(m) for m in table["mean"]]
    assert np.concatenate([c.get_offsets()[:, 0] for c in axes.collections]).size == len(results)
    guess = results.select(metric="iou", binarizer="otsu", method="center").summary(by="class_name")
    expected = guess.set_index("class_name")["mean"].loc[names]
    assert [x for x, _ in marks(axes, GUESS, "D")] == [pytest.approx(m) for m in expected]
    intervals = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert len(intervals) == (table["n_groups"] >= 5).sum()


def test_the_legend_of_classes_has_an_interval_only_where_one_is_drawn() -> None:
    few = drawn(made(24, groups=4), "classes")
    assert not [line for line in few.lines if len(line.get_xdata()) == 2]
    assert not any("interval" in text for text in legend(few))
    assert "mean of the images" in legend(few)
    some = made(24, groups=24, label=lambda i: 0 if i < 21 else 1 + i % 2)  # one class of many
    axes = drawn(some, "classes")
    assert len([line for line in axes.lines if len(line.get_xdata()) == 2]) == 1
    assert legend(axes).count("mean of the images, 95 % interval by group") == 1


def test_of_many_classes_the_best_and_the_worst_are_drawn() -> None:
    many = made(124, label=lambda i: i % 31, metrics=("iou",))
    axes = drawn(many, "classes")
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 25
    assert labels[12] == "(7 other classes)"
    column = drawn(many, "classes").get_title(loc="left").split(" · ")
    part = many.select(metric="iou", method=column[1], binarizer=column[2]).summary(by="label")
    means = part["mean"].sort_values(ascending=False).tolist()
    assert [x for x, _ in marks(axes, NETWORK, "o")] == [
        pytest.approx(m) for m in (*means[:12], *means[-12:])
    ]
    exactly = drawn(made(90, label=lambda i: i % 30, metrics=("iou",)), "classes")
    assert len(exactly.get_yticklabels()) == 30


def test_pairs_have_a_line_for_each_image(results) -> None:
    axes = drawn(results, "pairs")
    values = {
        method: results.select(metric="iou", binarizer="otsu", method=method).values[:, 0]
        for method in ("center", "grad_cam")
    }
    *lines, average = [line.get_ydata() for line in axes.lines]
    assert np.array(lines) == pytest.approx(np.stack([values["center"], values["grad_cam"]], 1))
    assert average == pytest.approx([values["center"].mean(), values["grad_cam"].mean()])
    better = int((values["grad_cam"] > values["center"]).sum())
    assert f"{better} of {len(results)} better" in legend(axes)
    solid = [line for line in axes.lines[:-1] if line.get_linestyle() == "-"]
    assert len(solid) == better


def test_many_pairs_are_a_histogram_of_differences() -> None:
    many = made(160, value=level)
    axes = drawn(many, "pairs")
    pair = [
        many.select(metric="iou", binarizer="otsu", method=m).values for m in ("grad_cam", "center")
    ]
    difference = pair[0] - pair[1]
    bars = [(bar.get_x(), bar.get_height()) for bar in axes.patches]
    assert sum(height for _, height in bars) == 160
    assert sum(height for x, height in bars if x >= -1e-9) == (difference > 0).sum()
    at = [line.get_xdata()[0] for line in axes.lines]
    assert at == [0, pytest.approx(float(difference.mean()))]
    assert len(drawn(made(150, value=level), "pairs").lines) == 151


@pytest.mark.parametrize(("kind", "x"), [("size", "area"), ("confidence", "probability")])
def test_dots_are_the_scores_of_images(results, kind, x) -> None:
    axes = drawn(results, kind)
    right = results.samples["label"].eq(results.samples["predicted"]).to_numpy(bool)
    scores = results.select(metric="iou", binarizer="otsu", method="grad_cam").values[:, 0]
    at = results.samples[x].to_numpy()
    expected = np.stack([at, scores], 1)
    assert dots(axes, "grad_cam, right") == pytest.approx(expected[right])
    assert dots(axes, "grad_cam, wrong") == pytest.approx(expected[~right])
    (wrong,) = [c for c in axes.collections if str(c.get_label()).startswith("grad_cam, wrong")]
    assert not wrong.get_facecolors().size  # hollow
    guess = results.select(metric="iou", binarizer="otsu", method="center").values[:, 0]
    assert dots(axes, "best guess") == pytest.approx(np.stack([at, guess], 1))
    assert any("bound" in label for label in legend(axes)) == (kind == "size")


def test_the_bound_of_masks_of_one_area_is_a_curve(results) -> None:
    area = results.samples["area"].to_numpy()
    values = results.values.copy()
    for k, column in enumerate(results.columns):
        if column.metric == "area_bound":
            values[:, k] = np.minimum(area, 0.05) / np.maximum(area, 0.05)
    axes = drawn(replace(results, values=values), "size")
    (curve,) = axes.lines
    x, y = curve.get_data()
    assert y == pytest.approx(np.minimum(x, 0.05) / np.maximum(x, 0.05))
    assert "bound of masks of 5 % of the image" in legend(axes)


def test_without_labels_no_dot_is_hollow() -> None:
    axes = drawn(made(label=lambda i: None), "size")
    assert not any("wrong" in label for label in legend(axes))


# --- Thresholds -----------------------------------------------------------------------------------


def test_binarizers_of_a_fixed_share_are_joined_and_the_others_beside_them() -> None:
    known = made(binarizers=("p95", "p50", "otsu"), value=level)
    meanings = {b: BinarizerMeaning(b, marked=m) for b, m in (("p95", 0.05), ("p50", 0.5))}
    axes = drawn(meant(known, binarizers=meanings), "thresholds")
    (line,) = [one for one in axes.lines if one.get_label() == "grad_cam"]
    assert line.get_xdata().tolist() == [5, 50]
    assert line.get_ydata().tolist() == [
        pytest.approx(mean(known, "grad_cam", b)) for b in ("p95", "p50")
    ]
    hollow = [one for one in axes.lines if one.get_markerfacecolor() == "white"]
    assert all(one.get_xdata()[0] > 50 for one in hollow)
    assert sorted(float(one.get_ydata()[0]) for one in hollow) == [
        pytest.approx(m)
        for m in sorted(
            [mean(known, m) for m in ("cam", "grad_cam", "center")]
            + [mean(known, "grad_cam", metric="area_bound")]
        )
    ]
    assert legend(axes)[0] == "grad_cam"  # the order of the best means
    assert "otsu" in [text.get_text() for text in axes.get_xticklabels()]


@pytest.mark.parametrize(
    ("shares", "names"),
    [
        ((0.05, 0.25), ["0 %", "10 %", "20 %", "30 %", "otsu"]),
        ((0.1, 0.2), ["0 %", "5 %", "10 %", "15 %", "20 %", "otsu"]),
        ((0.001, 0.005), ["0 %", "0.1 %", "0.2 %", "0.3 %", "0.4 %", "0.5 %", "otsu"]),
        ((0.05, 0.5), ["0 %", "10 %", "20 %", "30 %", "40 %", "50 %", "otsu"]),
        ((0.05, 0.6), ["0 %", "25 %", "50 %", "75 %", "100 %", "otsu"]),
    ],
)
def test_the_axis_of_shares_ends_at_a_round_number(shares, names) -> None:
    known = made(binarizers=("p95", "p50", "otsu"), value=level)
    pairs = zip(("p95", "p50"), shares, strict=True)
    known = meant(known, binarizers={b: BinarizerMeaning(b, marked=m) for b, m in pairs})
    for binarizers, expected in ((["p95", "p50", "otsu"], names), (["p95", "p50"], names[:-1])):
        axes = drawn(known.select(binarizer=binarizers), "thresholds")
        assert [text.get_text() for text in axes.get_xticklabels()] == expected
        last = float(names[-2].split()[0])
        assert axes.get_xticks()[len(names) - 2] == pytest.approx(last)
        places = [float(x) for one in axes.lines if one.get_marker() for x in one.get_xdata()]
        fixed = [x for x in places if x <= last]
        assert sorted({*fixed}) == pytest.approx([100 * share for share in shares])
        assert (len(fixed) < len(places)) == ("otsu" in binarizers)
        first, end = axes.get_xlim()
        assert first < 0
        assert max(last, *places) < end < 1.5 * last


def test_without_a_fixed_share_there_is_no_curve(results) -> None:
    axes = drawn(results, "thresholds")
    assert all(line.get_linestyle() == "None" for line in axes.lines)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["p95", "otsu"]
    assert "share of the image that is marked" not in axes.get_xlabel()


def test_a_single_fixed_share_is_a_place_with_its_name() -> None:
    for binarizers, names in (
        (("p95",), ["p95 (5 %)"]),
        (("otsu", "p95"), ["otsu", "p95 (5 %)"]),
    ):
        known = made(binarizers=binarizers, value=level)
        meanings = {"p95": BinarizerMeaning("PercentileBinarizer(95)", marked=0.05)}
        axes = drawn(meant(known, binarizers=meanings), "thresholds")
        assert [text.get_text() for text in axes.get_xticklabels()] == names
        assert all(line.get_linestyle() == "None" for line in axes.lines)
        filled = [one for one in axes.lines if one.get_markerfacecolor() != "white"]
        ours = next(one for one in filled if to_hex(one.get_color()) == NETWORK.lower())
        place = 14 * binarizers.index("p95")
        assert place <= ours.get_xdata()[0] < place + 7
        assert len({float(one.get_xdata()[0]) for one in filled if one.get_marker() in "os"}) == 2
        assert len(legend(axes)) == len({*legend(axes)}) == 4
        assert axes.get_xlabel().startswith("binarizer (share of the image that is marked)")
        assert ("hollow" in axes.get_xlabel()) == (len(binarizers) == 2)


def test_a_chosen_binarizer_is_a_circle_around_the_one_it_is() -> None:
    known = made(binarizers=("p95", "p50", "otsu"), value=level)
    meanings = {b: BinarizerMeaning(b, marked=m) for b, m in (("p95", 0.05), ("p50", 0.5))}
    known = meant(known, binarizers=meanings)
    chosen = choose_binarizers(known)
    axes = drawn(chosen.apply(known, "the best"), "thresholds", binarizer="the best")
    (circles,) = [one for one in axes.lines if one.get_label() == "the best, of each map"]
    wanted = {
        (method, chosen.binarizer("predicted", kind, method))
        for kind, method in (("method", "cam"), ("method", "grad_cam"), ("baseline", "center"))
    }
    assert sorted(circles.get_ydata()) == [
        pytest.approx(m) for m in sorted(mean(known, *one) for one in wanted)
    ]
    assert circles.get_markerfacecolor() == "none"
    assert "the best" not in [text.get_text() for text in axes.get_xticklabels()]
    alone = drawn(known, "thresholds")
    assert len(axes.lines) == len(alone.lines) + 1


def cells(axes: Axes) -> dict[tuple[int, int], str]:
    """Return the texts of the cells by row and column."""
    return {
        (round(y), round(x)): text.get_text()
        for text in axes.texts
        for x, y in [text.get_position()]
    }


def test_choices_are_the_means_of_all_pairs_and_of_the_best_guesses(results) -> None:
    axes = drawn(results, "choices")
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["grad_cam", "cam", "best guess"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["p95", "otsu"]
    found = cells(axes)
    for x, binarizer in enumerate(("p95", "otsu")):
        for y, method in enumerate(names[:2]):
            assert found[y, x] == f"{mean(results, method, binarizer):.2f}"[1:]
        guess = max(mean(results, name, binarizer) for name in ("center", "intensity"))
        assert found[2, x] == f"{guess:.2f}"[1:]
    titles = [str(one.get_gid()) for one in axes.patches if one.get_gid()]
    assert len(titles) == 6
    assert any(title.startswith("title:grad_cam, otsu: IoU .") for title in titles)
    (frame,) = [one for one in axes.patches if not one.get_fill() or one.get_gid() is None]
    assert (round(frame.get_y() + 0.44), round(frame.get_x() + 0.47)) == (0, 1)


def test_the_color_of_a_choice_is_stronger_the_better_it_is() -> None:
    for metric, best in (("iou", "high"), ("hd", "low")):
        two = made(
            methods=("high", "low"),
            metrics=(metric,),
            binarizers=("p95",),
            baselines={"center": "nothing"},
            value=lambda c: {"high": 0.6, "low": 0.2, "center": 0.4}[c.method],
        )
        axes = drawn(two, "choices")
        assert axes.get_yticklabels()[0].get_text() == best
        opacity = [one.get_alpha() for one in axes.patches if one.get_gid()]
        assert opacity == sorted(opacity[:2], reverse=True) + opacity[2:]
        assert opacity[1] < opacity[2] < opacity[0]


def test_a_control_is_below_the_methods_of_the_choices(results) -> None:
    methods = {"cam": MethodMeaning("cam"), "grad_cam": MethodMeaning("x", control=True)}
    axes = drawn(meant(results, methods=methods), "choices")
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["cam", "grad_cam (control)", "best guess"]


def test_an_evaluation_knows_its_controls_and_its_fixed_shares() -> None:
    found = evaluate(
        small_network(),
        samples(3),
        methods=[grad_cam, RandomCAM()],
        binarizers=PercentileBinarizer(95),
        baselines={},
        prepare=SMALL,
        progress=False,
    )
    assert found.meanings.methods["random_cam"].control
    assert not found.meanings.methods["grad_cam"].control
    assert found.meanings.binarizers["percentile:95"].marked == 0.05


# --- Texts ----------------------------------------------------------------------------------------


def test_a_table_of_latex_has_the_summary(results) -> None:
    text = results.to_latex()
    comments, lines = (
        [line for line in text.splitlines() if line.startswith("%") == is_comment]
        for is_comment in (True, False)
    )
    assert comments[0] == "% 24 images, 24 targets, 8 groups; intervals of 95 % by group"
    assert lines[0] == r"\begin{tabular}{llrrrr}"
    assert lines[2] == r"method & binarizer & AUROC & IoU & area bound & coverage \\"
    row = results.select(method="grad_cam", binarizer="otsu", metric="iou").summary().iloc[0]
    cells = next(line for line in lines if line.startswith(r"grad\_cam & otsu")).split(" & ")
    expected = f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]".replace("0.", ".")
    assert cells[3] == f"{expected}*"  # of eight groups
    assert cells[2] == ""
    assert lines[-3:] == [
        r"\bottomrule",
        r"\multicolumn{6}{l}{* fewer than 10 groups: may be too narrow} \\",
        r"\end{tabular}",
    ]
    enough = made(24, groups=12).to_latex()
    assert "*" not in enough
    assert "*" not in results.to_latex("mean (n)")


def test_metrics_of_maps_are_in_the_row_of_the_one_binarizer() -> None:
    one = made(24, binarizers=("otsu",), baselines={}, metrics=("pixel_auroc", "iou"))
    lines = one.to_latex("mean").splitlines()
    assert lines[2] == "% metrics of maps, without a binarizer: AUROC"
    at = lines.index(r"\midrule")
    rows = [line.removesuffix(r" \\").split(" & ") for line in lines[at + 1 : at + 3]]
    assert [row[:2] for row in rows] == [["cam", "otsu"], [r"grad\_cam", "otsu"]]
    for row, method in zip(rows, ("cam", "grad_cam"), strict=True):
        expected = [mean(one, method, "", "pixel_auroc"), mean(one, method)]
        assert row[2:] == [f"{value:.3f}".removeprefix("0") for value in expected]
    assert lines[at + 3] == r"\bottomrule"
    maps = one.select(metric="pixel_auroc").to_latex("mean")
    assert "binarizer" not in maps
    assert r"method & AUROC \\" in maps


def test_rows_of_latex_are_under_what_their_baseline_knows() -> None:
    baselines = {"b": "truth", "mean_mask": "labels", "a": "nothing", "own": None, "c": "image"}
    run = made(6, baselines=baselines, binarizers=("otsu",), metrics=("iou",), groups=6)
    run = meant(
        run,
        methods={"cam": MethodMeaning("cam", control=True), "grad_cam": MethodMeaning("grad_cam")},
    )
    body = run.to_latex("mean").partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    shown = [line.split(" & ")[0] for line in body.split("\n") if line and line != r"\midrule"]
    assert shown == [
        r"grad\_cam",
        *(r"\multicolumn{3}{l}{\emph{controls}} \\", "cam"),
        *(r"\multicolumn{3}{l}{\emph{blind baselines}} \\", "a"),
        *(r"\multicolumn{3}{l}{\emph{baselines that use labels or predictions}} \\", r"mean\_mask"),
        *(r"\multicolumn{3}{l}{\emph{baselines that use the image}} \\", "c"),
        *(r"\multicolumn{3}{l}{\emph{baselines that do not state what they use}} \\", "own"),
        *(r"\multicolumn{3}{l}{\emph{baselines that use the truth}} \\", "b"),
    ]
    assert body.count(r"\midrule") == 6


def test_latex_has_a_column_for_each_class(results) -> None:
    part = results.select(kind="method", metric=["iou", "coverage"])
    lines = part.to_latex("mean", by="class_name", names={"round": "$R$"}).splitlines()
    at = lines.index(r"\toprule")
    assert lines[at - 1] == r"\begin{tabular}{llrrrrrr}"
    assert lines[at + 1 : at + 4] == [
        r" &  & \multicolumn{3}{c}{IoU} & \multicolumn{3}{c}{coverage} \\",
        r"\cmidrule(lr){3-5}\cmidrule(lr){6-8}",
        r"method & binarizer & $R$ & square & long & $R$ & square & long \\",
    ]
    one = results.select(method="cam", binarizer="otsu", metric="iou", class_name="long")
    cells = next(line for line in lines if line.startswith("cam & otsu")).split(" & ")
    assert cells[4] == f"{one.summary()['mean'].iloc[0]:.3f}".removeprefix("0")
    heads = part.to_latex("n", by=["label", "correct"])
    assert "label 0, correct True" in heads
    with pytest.raises(SettingError, match="got 'class'; near names: class_name"):
        part.to_latex(by="class")


def test_names_in_latex_are_those_of_the_paper(results) -> None:
    names = {"cam": "CAM", "otsu": r"Otsu~\cite{otsu}", "iou": r"IoU (\%)", "other": "x"}
    names |= {"blind baselines": "Guesses", "binarizer": "Threshold", "group": "patient"}
    assert "24 targets, 8 patients; intervals of 95 % by patient" in results.to_latex(names=names)
    assert "* fewer than 10 patients: may be" in results.to_latex(names=names)
    text = results.to_latex("mean", names=names)
    assert r"method & Threshold & AUROC & IoU (\%) &" in text
    assert r"CAM & Otsu~\cite{otsu} & " in text
    assert r"\emph{Guesses}" in text
    assert r"grad\_cam & p95" in text


def test_latex_has_the_rule_of_the_threshold(results) -> None:
    origin = Origin("other images", "iou", higher_is_better=True, by="label")
    binarizers = {
        "otsu": BinarizerMeaning("OtsuBinarizer()"),
        "p95": BinarizerMeaning("p95", origin=origin),
    }
    chosen = meant(results, binarizers=binarizers)
    rule = "chosen for each map and true class on other images, by the highest mean"
    comments = chosen.to_latex("mean").splitlines()[1:3]
    assert sorted(comments) == ["% otsu: OtsuBinarizer()", f"% p95: {rule} IoU"]
    assert f"% p95: {rule} Jaccard\n" in chosen.to_latex("mean", names={"iou": "Jaccard"})


def test_latex_has_the_thresholds_of_each_network() -> None:
    both = concat([validated("a", "p95"), validated("b", "otsu")])
    text = both.to_latex("mean", names={"grad_cam": "Grad-CAM"})
    rule = "chosen for each map of each network on other images of the same groups, by the highest"
    assert text.partition("\\begin")[0].splitlines()[1:] == [
        "% p95: PercentileBinarizer(percentile=95)",
        "% otsu: OtsuBinarizer()",
        f"% validated: {rule} mean IoU",
        "%   For a (chosen on 12 images of 8 groups) it is p95 for cam; otsu for Grad-CAM",
        "%   For b (chosen on 12 images of 8 groups) it is otsu for cam; p95 for Grad-CAM",
    ]
    one = both.select(model="b").to_latex("mean").splitlines()
    assert "%   It is otsu for cam; p95 for grad_cam" in one


def validated(model: str, best: str) -> Results:
    """Return results with chosen binarizers, whose other binarizer is better on their images."""

    def level(column: Column) -> float:
        return 0.6 if (column.method == "cam") == (column.binarizer == best) else 0.2

    run = made(24, models=(model,), value=level, metrics=("iou",), baselines={})
    names = run.samples["sample"].tolist()
    test = run.select(sample=names[12:])
    return choose_binarizers(run.select(sample=names[:12])).apply(
        replace(test, values=0.9 - test.values)
    )


@pytest.mark.parametrize("word", ["std", "SD", "sem"])
def test_a_number_that_the_summary_has_not_is_refused(results, word) -> None:
    with pytest.raises(SettingError, match=f"got '{word}', which the summary does not have"):
        results.to_latex(f"mean ({word})")


@pytest.mark.parametrize(
    ("cell", "near"),
    [("mean [lo, high]", "low"), ("mean hi", "high"), ("mean means", "mean"), ("mean q50", "q25")],
)
def test_a_word_of_a_cell_that_is_like_a_number_is_refused(results, cell, near) -> None:
    with pytest.raises(SettingError, match=f"unlike them, got .*near names: .*{near}"):
        results.to_latex(cell)


def test_other_words_of_a_cell_are_text(results) -> None:
    for cell in (r"mean of n in n_groups groups", r"\textbf{mean} \quad n", r"mean \lo and n = n"):
        assert results.to_latex(cell)


def test_cells_of_latex_are_as_asked(results) -> None:
    part = results.select(method="cam", binarizer="otsu", metric="iou")
    row = part.summary().iloc[0]
    assert f"{row['mean']:.3f} (24)".replace("0.", ".") in part.to_latex("mean (n)")
    single = made(3, groups=1, metrics=("iou",), methods=("cam",), baselines={})
    assert "[" not in single.to_latex()
    for cell in ("average", "", 3):
        with pytest.raises(SettingError, match="cell must have at least one number of the summary"):
            results.to_latex(cell)


def test_names_in_latex_are_escaped() -> None:
    odd = made(4, methods=("a_b & 50 % {$x$}\\~^#", "[c]"), models=("m_1", "m_2"), baselines={})
    text = odd.to_latex("mean")
    assert r"a\_b \& 50 \% \{\$x\$\}\textbackslash{}\textasciitilde{}\textasciicircum{}\#" in text
    assert "{}[c]" in text
    assert text.partition(r"\toprule")[2].lstrip().startswith("model & method & binarizer")


def test_a_notebook_shows_a_small_table(results) -> None:
    page = results._repr_html_()
    assert "grad_cam" in page
    assert f"{mean(results, 'grad_cam'):.3f}" in page
    assert "<script>" not in made(4, methods=("<script>",))._repr_html_()


def test_the_mean_of_a_repr_is_that_of_the_binarizers_chosen_on_other_images() -> None:
    results = validated("net", "p95")
    for one in (results, results.select(method="cam")):
        means = one.select(binarizer="validated").summary()["mean"]
        assert means.max() < one.select(binarizer=["p95", "otsu"]).summary()["mean"].max() - 0.2
        for text in (repr(one), one._repr_html_()):
            assert f"mean IoU {means.max():.3f} (" in text
            assert ", validated)" in text
    both = concat([validated("a", "p95"), validated("b", "otsu")])
    assert repr(both).count(", validated)") == 2
    here = choose_binarizers(one.select(binarizer=["p95", "otsu"])).apply(one, label="optimum")
    optimum = here.select(binarizer=["p95", "otsu", "optimum"])
    assert "(cam, otsu)" in repr(optimum)


def test_the_repr_of_any_results_is_short() -> None:
    many = made(6, models=("one", "two"), binarizers=tuple("abcdefg"))
    for some in (many, bare(many), undefined(many, np.s_[:], 1), made(metrics=("outcome",))):
        start = repr(some).split(", ")[:2]
        assert start in (["Results(6 samples", "6 groups"], ["Results(24 samples", "8 groups"])
        assert len(repr(some)) < 500
    assert "one: mean IoU" in repr(many)
    assert "two: mean IoU" in repr(many)


# --- Maps of one call -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def call():
    images = torch.rand(2, 3, 32, 32)
    return images, CAMExtractor(small_network())(images, classes=torch.tensor([[0, 1], [2, 0]]))


def test_maps_are_drawn_in_a_row_on_their_images(call) -> None:
    images, found = call
    given = Figure().subplots(2, 2)
    axes = found.plot(images, given, class_names=["round", "square"])
    assert axes == [*given.ravel()]
    assert [one.get_title() for one in axes] == ["round", "square", "class 2", "round"]
    shown = [one.images[0].get_array() for one in axes]
    assert (shown[0] == shown[1]).all()
    assert not (shown[0] == shown[2]).all()
    peaks = [np.asarray(one.images[1].get_array())[..., 3].argmax() for one in axes]
    assert peaks == [int(m.argmax()) for m in found.maps.flatten(0, 1)]
    made_here = found.plot()
    assert len(made_here) == 4
    pyplot.close(made_here[0].figure)


def test_maps_need_their_images_and_as_many_axes(call) -> None:
    images, found = call
    with pytest.raises(ShapeError, match="images must be those of the call"):
        found.plot(images[:1], Figure().subplots(2, 2))
    with pytest.raises(SettingError, match="axes must be one for each of the 4 maps, got 2"):
        found.plot(images, Figure().subplots(1, 2))
    with pytest.raises(ArrayTypeError, match="axes must be Axes of Matplotlib, got str"):
        found.plot(images, ["a", "b", "c", "d"])
    volumes = CAMExtractor(small_network())(images, classes=0)
    with pytest.raises(ShapeError, match="plot a slice"):
        replace(volumes, maps=volumes.maps[:, None].repeat(1, 4, 1, 1)).plot()


def test_what_is_printed_of_a_call_is_short(call) -> None:
    _, found = call
    assert repr(found) == "CAMResult(4 maps of 32 x 32 from 8 x 8 cells, classes 0, 1, 2, 0, cpu)"
    assert "data:image/png;base64," in found._repr_html_()
    net = small_network()
    assert repr(CAMExtractor(net)) == "CAMExtractor(CAMModel, method=grad_cam)"
    assert "RandomCAM(seed=0)" in repr(CAMExtractor(net, RandomCAM()))
    assert repr(CAMSweep(net, {"a": grad_cam})) == "CAMSweep(CAMModel, methods=a)"


def test_without_matplotlib_a_plot_says_what_to_install() -> None:
    code = """
import sys
sys.modules["matplotlib"] = None
import torch
from cameval.extractor import CAMResult
from cameval.errors import MissingPackageError, SettingError
found = CAMResult(torch.rand(1, 4, 4), torch.rand(1, 2, 2), torch.rand(1, 3), torch.tensor([0]))
assert "<img" not in found._repr_html_()
try:
    found.plot()
except ImportError as error:
    assert isinstance(error, MissingPackageError) and isinstance(error, SettingError)
    assert "plots need matplotlib, which is not installed" in str(error)
    assert "pip install matplotlib, or cameval with its extra 'report'" in str(error)
    assert error.name == "matplotlib"
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_label_of_few_classes_is_no_longer_than_the_axes(results) -> None:
    two = results.select(label=sorted(set(results.samples["label"].dropna()))[:2])
    axes = two.plot("classes")
    axes.figure.canvas.draw()
    label, inside = axes.yaxis.label.get_window_extent(), axes.get_window_extent()
    assert label.height <= inside.height
    assert 0 <= label.y0 <= label.y1 <= axes.figure.canvas.get_width_height()[1]


def test_a_method_has_the_same_mark_in_the_plots_of_all_networks_whatever_is_best() -> None:
    marks = []
    for best in ("cam", "grad_cam"):
        levels = {"cam": 0.3, "grad_cam": 0.3} | {best: 0.6}
        results = made(metrics=("iou",), value=lambda c, of=levels: of.get(c.method, 0.2))
        lines = drawn(results, "thresholds").get_lines()
        named = {line.get_label(): line.get_marker() for line in lines}
        marks.append([named["cam"], named["grad_cam"]])
    assert marks[0] == marks[1]
    assert len({*marks[0]}) == 2


def test_the_headline_states_the_level_of_the_intervals_of_differences(results) -> None:
    axes = drawn(results, "headline", binarizer="otsu")
    tests = page_tests(results, binarizer="otsu")
    levels = tests.loc[tests["kind"] == "method", "confidence_holm"]
    about = axes.get_xlabel().split("\n")[1]
    assert about.startswith("differences: ")
    assert f"{100 * levels.max():.2f}".rstrip("0").rstrip(".") in about
    assert about.endswith(f"interval, adjusted for {tests['p_holm'].notna().sum()} tests")
