"""Plots of images with maps, masks and truth."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cameval import center_map
from cameval.baselines import center_disc
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.extractor import CAMResult
from cameval.plots import grid, overlay

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


def test_the_mask_is_solid_orange_and_the_truth_dashed_blue() -> None:
    disc = center_disc(SIZE, 0.2)
    share = {}
    for name, strong, weak in (("mask", 0, 2), ("truth", 2, 0)):
        picture = pixels(**{name: disc})
        ink = is_colored(picture)
        assert ink.any()
        assert (picture[ink][:, strong] >= picture[ink][:, weak]).all()
        share[name] = ink.sum()
        assert (picture.max(-1) < 40).any()  # the dark line below
    assert share["truth"] < 0.8 * share["mask"]  # dashes have gaps


def test_a_map_goes_from_transparent_over_orange_to_yellow() -> None:
    scores = torch.linspace(0, 1, SIZE[1]).expand(SIZE)
    picture = pixels(score_map=scores)[100]
    left, middle, right = picture[2], picture[100], picture[197]
    assert np.abs(left - 127).max() <= 3
    assert middle[0] > middle[1] > middle[2]
    assert right[1] - right[2] > middle[1] - middle[2]  # yellow has more green
    assert right.min() < 140


def test_alpha_is_the_opacity_at_the_maximum_of_the_map() -> None:
    scores = torch.linspace(0, 1, SIZE[1]).expand(SIZE)
    assert (pixels(score_map=scores) == pixels(score_map=scores, alpha=0.8)).all()
    assert (pixels(score_map=scores, alpha=0) == pixels()).all()
    full, half = (pixels(score_map=scores, alpha=one)[100, 197] for one in (1, 0.5))
    assert np.abs(full - 255 * np.array([1, 0.93, 0.35])).max() <= 8
    assert np.abs(half - (full + 127) / 2).max() <= 3


def test_an_opacity_that_follows_the_map_leaves_low_values_to_the_image() -> None:
    scores = torch.linspace(0, 1, SIZE[1]).expand(SIZE)
    gray = pixels()[100].astype(float)
    tint = {k: np.abs(pixels(score_map=scores, alpha=k)[100] - gray).max(-1) for k in (0.8, "map")}
    assert tint["map"][50] < 10 < 20 < tint[0.8][50]  # at a quarter of the range
    assert np.abs(tint["map"][:20]).max() <= 3
    assert abs(tint["map"][197] - tint[0.8][197]) <= 3  # at the maximum they are the same


@pytest.mark.parametrize("alpha", [-0.1, 1.01, float("nan"), "maps", None, True, [0.5]])
def test_an_opacity_out_of_range_is_refused(alpha) -> None:
    with pytest.raises(SettingError, match=r"alpha must be a number in \[0, 1\] or 'map', got"):
        pixels(alpha=alpha)
    with pytest.raises(SettingError, match="alpha must be a number"):
        grid(torch.rand(1, *SIZE), {"a": torch.rand(1, *SIZE)}, figure=Figure(), alpha=alpha)


def test_a_grid_and_maps_of_a_call_have_the_same_opacity() -> None:
    scores = torch.linspace(0, 1, SIZE[1]).expand(1, *SIZE)
    result = CAMResult(scores, scores, torch.zeros(1, 2), torch.zeros(1, dtype=torch.long))
    for alpha, expected in ((0.3, 0.3 * scores[0]), ("map", 0.8 * scores[0] ** 2)):
        panel = grid(scores, {"a": scores}, figure=Figure(), alpha=alpha).axes[1]
        (own,) = result.plot(axes=Figure().subplots(), alpha=alpha)
        for axes in (panel, own):
            assert np.allclose(axes.images[1].get_array()[..., 3], expected, atol=1e-6)
    with pytest.raises(SettingError, match="alpha must be"):
        result.plot(axes=Figure().subplots(), alpha=2)


def test_the_image_has_no_color_of_its_own() -> None:
    axes = Figure().subplots()
    red = np.zeros((*SIZE, 3))
    red[..., 0] = 1
    overlay(axes, red)
    assert axes.images[0].get_array().shape == SIZE
    assert np.allclose(axes.images[0].get_array(), 0.299)


def test_a_constant_map_is_blank_and_labeled() -> None:
    axes = Figure().subplots()
    overlay(axes, torch.rand(SIZE), score_map=torch.ones(SIZE))
    assert len(axes.images) == 1
    assert [text.get_text() for text in axes.texts] == ["constant map"]
    varied = Figure().subplots()
    overlay(varied, torch.rand(SIZE), score_map=center_map(SIZE))
    assert not varied.texts


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


# --- Grids ----------------------------------------------------------------------------------------


def two() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Make two images and two maps of each, with one bright pixel at a place of its own."""
    maps = torch.zeros(2, 2, *SIZE)
    for method in range(2):
        for image in range(2):
            maps[method, image, 5 + 10 * method, 7 + 20 * image] = 1
    return torch.rand(2, *SIZE), {"a": maps[0], "b $ c": maps[1]}


def test_long_titles_of_rows_stay_in_their_row() -> None:
    images, maps = two()
    long = "patient 17, slice 204, meningioma with edema in the left frontal lobe, follow-up of May"
    found = grid(images, maps, titles=[long, "patient_18_slice_0000000000000000000000000000000"])
    found.canvas.draw()
    height = found.canvas.get_width_height()[1] / 2
    boxes = [one.texts[0].get_window_extent() for one in np.array(found.axes).reshape(2, 3)[:, 0]]
    assert all(box.height <= height for box in boxes)
    assert boxes[0].y0 >= boxes[1].y1
    assert min(box.x0 for box in boxes) >= 0
    assert found.axes[0].texts[0].get_text().endswith("…")


def test_line_breaks_of_titles_are_kept() -> None:
    images, maps = two()
    four = "patient 18, slice 204, meningioma\nthird\nfourth\nfifth"
    found = grid(images, maps, titles=["patient 17\nslice 204\nIoU $.31", four])
    first, second = (panels[0].texts[0] for panels in np.array(found.axes).reshape(2, 3))
    assert first.get_text() == "patient 17\nslice 204\nIoU \\$.31"
    assert second.get_text().split("\n")[2:] == ["third …"]
    found.canvas.draw()
    assert not first.get_window_extent().overlaps(second.get_window_extent())
    assert min(one.get_window_extent().x0 for one in (first, second)) >= 0


def test_a_grid_has_a_row_for_each_image_and_a_column_for_each_method() -> None:
    images, maps = two()
    figure = Figure()
    truth = center_disc(SIZE).expand(2, *SIZE)
    assert grid(images, maps, truth=truth, titles=["x", "y"], figure=figure) is figure
    panels = np.array(figure.axes).reshape(2, 3)
    assert [one.get_title() for one in panels[0]] == ["image", "a", r"b \$ c"]
    assert [row[0].texts[0].get_text() for row in panels] == ["x", "y"]
    for k, row in enumerate(panels):
        assert (row[0].images[0].get_array() == images[k].numpy()).all()
        assert len(row[0].images) == 1
        for method, panel in enumerate(row[1:]):
            opacity = panel.images[1].get_array()[..., 3]
            assert np.argwhere(opacity).tolist() == [[5 + 10 * method, 7 + 20 * k]]
        assert all(panel.collections for panel in row)  # the truth


def test_a_grid_takes_images_of_different_sizes_and_masks() -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((20, 30, 3)), rng.random((40, 24))]
    maps = {"a": [torch.rand(20, 30), torch.rand(40, 24)]}
    masks = {"a": [m > 0.5 for m in maps["a"]]}
    figure = grid(images, maps, masks_by_method=masks, figure=Figure())
    assert [len(axes.collections) for axes in figure.axes] == [0, 2, 0, 2]


def test_a_grid_needs_one_of_each_for_each_image() -> None:
    images, maps = two()
    for options, message in [
        ({"truth": torch.zeros(3, *SIZE, dtype=torch.bool)}, "truth must be .* 2 images, got 3"),
        ({"titles": ["x"]}, "titles must be one for each of the 2 images, got 1"),
        ({"masks_by_method": {"z": []}}, "names of methods .* got 'z'"),
    ]:
        with pytest.raises(SettingError, match=message):
            grid(images, maps, figure=Figure(), **options)
    with pytest.raises(SettingError, match="maps of 'a' must be one for each"):
        grid(images, {"a": maps["a"][:1]}, figure=Figure())
    with pytest.raises(SettingError, match="must have an image and a method, got 2 images and 0"):
        grid(images, {}, figure=Figure())
    with pytest.raises(ShapeError, match="score_map must have the image's height"):
        grid(images, {"a": torch.rand(2, 3, 3)}, figure=Figure())
