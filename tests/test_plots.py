"""Plots of images with maps, masks and truth."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cameval import center_map
from cameval.baselines import center_disc
from cameval.errors import ArrayTypeError, ShapeError
from cameval.plots import overlay

SIZE = (48, 64)


def pixels(**layers: object) -> np.ndarray:
    figure = Figure(figsize=(2, 2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    overlay(axes, torch.full(SIZE, 0.5), **layers)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def is_colored(picture: np.ndarray) -> np.ndarray:
    return picture.max(-1) - picture.min(-1) > 30


def test_an_image_alone_stays_gray() -> None:
    assert not is_colored(pixels()).any()


def test_the_mask_is_blue_and_the_truth_white() -> None:
    disc = center_disc(SIZE, 0.2)
    masked = pixels(mask=disc)
    blue = is_colored(masked)
    assert blue.any()
    assert (masked[blue][:, 2] >= masked[blue][:, 0]).all()
    true = pixels(truth=disc)
    assert not is_colored(true).any()
    assert (true.min(-1) > 240).sum() > (pixels().min(-1) > 240).sum()


def test_a_map_is_brightest_at_its_maximum() -> None:
    picture = pixels(score_map=center_map(SIZE).numpy())
    middle, edge = picture[100, 100], picture[100, 20]
    assert middle.sum() > edge.sum()


def test_empty_and_full_masks_have_no_outline() -> None:
    for mask in (torch.zeros(SIZE, dtype=torch.bool), torch.ones(SIZE, dtype=torch.bool)):
        assert (pixels(mask=mask, truth=mask) == pixels()).all()


def test_layers_must_fit_the_image() -> None:
    with pytest.raises(ShapeError, match=r"mask must have the image's height and width \(48, 64\)"):
        pixels(mask=torch.zeros(3, 3, dtype=torch.bool))
    with pytest.raises(ArrayTypeError, match="truth must be boolean"):
        pixels(truth=torch.zeros(SIZE))


def test_any_precision_and_a_graph_are_drawn() -> None:
    axes = Figure().subplots()
    score_map = torch.rand(SIZE).to(torch.bfloat16)
    overlay(axes, torch.rand(SIZE, requires_grad=True), score_map=score_map)


def test_an_image_is_as_bright_as_its_numbers_say() -> None:
    figure = Figure(figsize=(2, 2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    halves = torch.full(SIZE, 0.2)
    halves[:, SIZE[1] // 2 :] = 0.4
    overlay(axes, halves)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    left, right = np.asarray(canvas.buffer_rgba())[100, [50, 150], 0].astype(int)
    assert abs(left - 0.2 * 255) <= 1
    assert abs(right - 0.4 * 255) <= 1


def test_a_plot_does_not_depend_on_the_scale_of_the_map() -> None:
    scores = center_map(SIZE)
    assert (pixels(score_map=scores) == pixels(score_map=8 * scores - 4)).all()


def test_ignored_pixels_are_gray_stripes_and_do_not_scale_the_map() -> None:
    ignore = torch.zeros(SIZE, dtype=torch.bool)
    ignore[:12] = True
    scores = center_map(SIZE)
    loud = scores.clone()
    loud[:12] = 1e6
    picture = pixels(score_map=scores, ignore=ignore)
    assert (picture == pixels(score_map=loud, ignore=ignore)).all()
    assert not (picture == pixels(score_map=loud)).all()
    figure_rows = picture[30:60, 20:180]  # of the upper quarter of the image
    assert not is_colored(figure_rows).any()
    assert len(np.unique(figure_rows[..., 0])) > 1
    none, all_of_it = torch.zeros(SIZE, dtype=torch.bool), torch.ones(SIZE, dtype=torch.bool)
    assert (pixels(score_map=scores, ignore=none) == pixels(score_map=scores)).all()
    assert not is_colored(pixels(score_map=scores, ignore=all_of_it)).any()
    with pytest.raises(ShapeError, match="ignore must have the image's height and width"):
        pixels(ignore=torch.zeros(3, 3, dtype=torch.bool))
