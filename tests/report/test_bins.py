"""Figures of many images: rectangles with counts in their titles, and the means as data."""

import re

import numpy as np
import pytest
from pages import Page, made, written

from cameval.evaluation import Results
from cameval.evaluation._score_bins import MOST_DOTS, score_bins
from cameval.report import format_number, format_percent

N = MOST_DOTS + 200


@pytest.fixture(scope="module")
def results() -> Results:
    return made(N, groups=60, methods=("cam",), binarizers=("otsu",))


@pytest.fixture(scope="module")
def page(results, tmp_path_factory) -> Page:
    return written(results, tmp_path_factory.mktemp("bins"))


def figures(page: Page, anchor: str) -> list[str]:
    """Return the figure of a section in each width."""
    section = re.search(rf'<section id="{anchor}">.*?</section>', page.source, re.DOTALL)[0]
    found = re.findall(r"<svg viewBox.*?</svg>", section, re.DOTALL)
    assert len(found) == 2
    return found


@pytest.mark.parametrize("anchor", ["size", "predictions"])
def test_the_counts_of_the_rectangles_are_all_images(page, anchor) -> None:
    for figure in figures(page, anchor):
        found = re.findall(
            r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" '
            r'style="fill: var\(--net\); opacity: ([\d.]+)"><title>([\d,]+) images?: ',
            figure,
        )
        counts = np.array([int(one[-1].replace(",", "")) for one in found])
        assert counts.sum() == N
        opacity = np.array([float(one[4]) for one in found])[np.argsort(counts)]
        assert (np.diff(opacity) >= 0).all()
        wide, high = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', figure).groups())
        for x, y, width, height, *_ in found:
            assert 0 < float(x) < float(x) + float(width) < wide
            assert 0 < float(y) < float(y) + float(height) < high
        assert "h0" not in figure  # the path of many dots
        assert figure.count("<use ") < 250


@pytest.mark.parametrize(
    ("caption", "column", "log"),
    [
        ("Mean IoU by size of the object", "area", True),
        ("Mean IoU by probability", "probability", False),
    ],
)
def test_the_data_are_the_means_of_columns(page, results, caption, column, log) -> None:
    table = page.table(caption)
    x = results.samples[column].to_numpy()
    scores = results.select(metric="iou", method="cam").values[:, 0]
    guess = results.select(metric="iou", method="center").values[:, 0]
    bins = score_bins(x, scores, (0, 1), log=log)
    assert sum(int(cells[0].replace(",", "")) for _, _, cells in table.rows) == N
    for k, (_, head, cells) in enumerate(table.rows):
        low, high = bins.x_edges[k : k + 2]
        assert head == f"{format_percent(low)} to {format_percent(high)}"
        inside = bins.column == k
        assert int(cells[0].replace(",", "")) == inside.sum()
        if inside.sum() >= 5:
            found = dict(zip(table.titles[1:], cells, strict=True))
            assert found["mean IoU"] == format_number(scores[inside].mean())
            assert found["best guess"] == format_number(guess[inside].mean())
    assert ("bound" in table.titles) == (column == "area")
    assert {"right predictions", "wrong predictions"} < {*table.titles}


def test_the_words_say_that_images_are_counted(page) -> None:
    said = f"Rectangles count {N:,} images: the stronger the color, the more."
    assert page.text.count(said) == 2
    labels = re.findall(r'aria-label="([^"]*)"', page.source)
    assert sum(said in label for label in labels) == 4  # two figures in two widths


def test_few_images_are_dots(tmp_path) -> None:
    page = written(made(40, methods=("cam",), binarizers=("otsu",)), tmp_path)
    assert "Rectangles count" not in page.text
    assert "<title>1 image:" not in page.source
