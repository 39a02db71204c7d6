"""Many scores are counted in bins: every image once, and means of columns are of their images."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pages import made, undefined

from cameval.evaluation import Results
from cameval.evaluation._score_bins import MOST_BINS, MOST_DOTS, score_bins
from cameval.plots._axes import BOUND, GUESS, NETWORK

finite = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=60))
def test_every_image_is_in_one_bin_that_has_its_values(pairs) -> None:
    x, scores = np.array(pairs).T
    bins = score_bins(x, scores, None, log=False)
    assert bins.counts.sum() == len(pairs)
    assert max(bins.counts.shape) <= MOST_BINS + 1
    assert np.bincount(bins.column, minlength=len(bins.counts)).tolist() == (
        bins.counts.sum(1).tolist()
    )
    for edges, values in ((bins.x_edges, x), (bins.y_edges, scores)):
        assert (np.diff(edges) > 0).all()
        slack = 1e-6 * max(1e-6, np.abs(edges).max())
        assert edges[0] - slack <= values.min() <= values.max() <= edges[-1] + slack


def test_bins_are_those_of_a_histogram() -> None:
    rng = np.random.default_rng(0)
    x, scores = rng.uniform(0.4, 1, 2000), rng.random(2000)
    bins = score_bins(x, scores, (0, 1), log=False)
    assert bins.x_edges == pytest.approx(np.arange(0.4, 1.01, 0.05))
    assert bins.y_edges == pytest.approx(np.linspace(0, 1, 21))
    expected, _, _ = np.histogram2d(x, scores, [bins.x_edges, bins.y_edges])
    assert bins.counts.tolist() == expected.tolist()


def test_columns_of_areas_are_even_in_the_logarithm() -> None:
    area = np.geomspace(0.001, 0.5, 500)
    bins = score_bins(area, np.ones(500), (0, 1), log=True)
    assert bins.x_edges[[0, -1]].tolist() == [0.001, 0.5]
    assert np.diff(np.log(bins.x_edges)) == pytest.approx(np.log(500) / 20)
    assert bins.counts[:, -1].sum() == 500  # 1 is in the last bin
    assert bins.counts[:, -1].tolist() == pytest.approx([25] * 20, abs=1)


def test_equal_values_are_one_column() -> None:
    for log in (False, True):
        bins = score_bins(np.full(9, 0.2), np.zeros(9), (0, 1), log=log)
        assert bins.counts.shape == (1, 20)
        assert bins.counts[0, 0] == 9


def test_a_mean_needs_five_images_that_have_a_value() -> None:
    x = np.array([0.0] * 5 + [1.0] * 5)
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, np.nan])
    bins = score_bins(x, np.zeros(10), (0, 1), log=False)
    means = bins.means(values)
    assert means[0] == 3
    assert np.isnan(means[1:]).all()


# --- Plots ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> Results:
    """Return results of two more images than are drawn as dots; one has no score."""
    results = made(MOST_DOTS + 2, groups=50, methods=("cam",), binarizers=("otsu",))
    return undefined(results, np.s_[:1], 1)


def drawn(results: Results, kind: str) -> Axes:
    axes = Figure(layout="constrained").subplots()
    results.plot(kind, axes)
    axes.figure.canvas.draw()
    return axes


def counted(axes: Axes) -> list[int]:
    """Return the counts in the titles of the rectangles."""
    titles = [str(one.get_gid()).removeprefix("title:") for one in axes.patches]
    return [int(title.split()[0].replace(",", "")) for title in titles]


@pytest.mark.parametrize("kind", ["size", "confidence"])
def test_over_a_thousand_images_are_counted(many, kind) -> None:
    axes = drawn(many, kind)
    counts = counted(axes)
    assert sum(counts) == MOST_DOTS + 1
    assert not axes.collections
    assert {to_hex(one.get_facecolor()) for one in axes.patches} == {NETWORK.lower()}
    order = np.argsort(counts)
    opacity = np.array([one.get_alpha() for one in axes.patches])[order]
    assert (np.diff(opacity) >= 0).all()
    assert opacity[-1] > 2 * opacity[0]
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"cam: images in a bin, up to {max(counts)}" in words


@pytest.mark.parametrize(("kind", "x"), [("size", "area"), ("confidence", "probability")])
def test_the_lines_are_the_means_of_columns(many, kind, x) -> None:
    axes = drawn(many, kind)
    at = many.samples[x].to_numpy()[1:]
    scores = {
        name: many.select(metric=metric, method=method).values[1:, 0]
        for name, metric, method in (
            ("right", "iou", "cam"),
            ("guess", "iou", "center"),
            ("bound", "area_bound", "cam"),
        )
    }
    right = many.samples["label"].eq(many.samples["predicted"]).to_numpy(bool)[1:]
    edges = score_bins(at, scores["right"], (0, 1), log=kind == "size").x_edges
    lines = {str(line.get_label()): line for line in axes.lines}
    found = {
        "right": lines["mean of cam, right prediction"],
        "guess": lines["mean of the best guess (center)"],
    }
    assert to_hex(found["guess"].get_color()) == GUESS.lower()
    assert ("mean bound of the masks" in lines) == (kind == "size")
    if kind == "size":
        found["bound"] = lines["mean bound of the masks"]
        assert to_hex(found["bound"].get_color()) == BOUND.lower()
    assert lines["mean of cam, wrong prediction"].get_markerfacecolor() == "white"
    for name, line in found.items():
        means = np.asarray(line.get_ydata())
        for k in np.flatnonzero(~np.isnan(means)):
            inside = (at >= edges[k]) & (at < edges[k + 1])
            if name == "right":
                inside &= right
            if k + 1 < len(means):
                assert means[k] == pytest.approx(scores[name][inside].mean())


def test_a_thousand_images_are_dots(many) -> None:
    axes = drawn(replace_rows(many, MOST_DOTS + 1), "size")
    assert not axes.patches
    assert axes.collections


def replace_rows(results: Results, n: int) -> Results:
    """Return the first rows of results."""
    return replace(
        results,
        samples=results.samples.iloc[:n],
        values=results.values[:n],
        codes=results.codes[:n],
    )


def test_the_bound_of_masks_of_one_area_stays_a_curve(many) -> None:
    area = many.samples["area"].to_numpy()
    values = many.values.copy()
    for k, column in enumerate(many.columns):
        if column.metric == "area_bound":
            values[:, k] = np.minimum(area, 0.05) / np.maximum(area, 0.05)
    axes = drawn(replace(many, values=values), "size")
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "bound of masks of 5 % of the image" in words
    assert "mean bound of the masks" not in words
    assert sum(counted(axes)) == MOST_DOTS + 1
