"""Pictures of all images: outlines of the scored masks, maps, files, the results they are of."""

import json
import re
import shutil
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_images import browser_of, drawn_in, overlap, records_of, small_map
from evaluations import SMALL, samples, small_network
from PIL import Image
from torch import nn

import cameval
from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    Preparation,
    Sample,
    Target,
    concat,
    evaluate,
    evaluate_maps,
)
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results
from cameval.evaluation._numbers import format_number, format_short
from cameval.evaluation._sources import prepare_targets
from cameval.evaluation.meaning import CONSTANT, TargetClassMeaning
from cameval.evaluation.settings import area_bound
from cameval.maps import CellCenters, upsample
from cameval.metrics import false_positive_rate
from cameval.metrics.outcome import Outcomes
from cameval.report import _image_folder as files
from cameval.report import draw_images, write_report
from cameval.report import images as drawing
from cameval.report._drawing import largest_slice
from cameval.report._image_choice import choose_images
from cameval.report._image_index import read_index
from cameval.report._mask_checks import MaskScore, is_noise
from cameval.report._outlines import fill_outlines, trace_mask
from cameval.report._photos import crop_image
from cameval.report._strip import strip_of

METHODS = {"cam": cameval.cam, "grad_cam": cameval.grad_cam}
BINARIZERS = {"p80": cameval.PercentileBinarizer(80), "mean": cameval.MeanBinarizer()}
METRICS: dict[str, Any] = {"iou": cameval.iou, "area_bound": area_bound}
DRAWN: dict[str, Any] = {"methods": METHODS, "binarizers": BINARIZERS}
HOSTILE = ["</script><script>alert(1)</script>", '"><img src=x>', "a/../b", "x" * 300, "\u202eab"]


def evaluated(net: nn.Module, made: list[Any], **options: Any) -> Results:
    parts: dict[str, Any] = {"prepare": SMALL, "metrics": METRICS, **DRAWN, "progress": False}
    return evaluate(net, made, **parts | options)


def x_rays(count: int = 6) -> list[Sample]:
    """Make images of other shapes than the network's, with two targets, one of them absent."""
    made = []
    for i, sample in enumerate(samples(count)):
        image = np.pad(sample.image, ((0, 0), (0, 12)))
        mask = np.pad(sample.mask, ((0, 0), (0, 12)))
        ignore = np.zeros_like(mask)
        ignore[: i % 3 * 4] = True
        targets = [Target(2, mask), Target(i % 2, np.roll(mask, 5, 1)), Target(3, mask & False)]
        made.append(Sample(sample.name, image, targets=targets, group=sample.group, ignore=ignore))
    return made


def volume_network() -> CAMModel:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv3d(1, 6, 3, stride=2, padding=1), nn.ReLU())
    return CAMModel(body, GAPHead(nn.Linear(6, 2))).eval()


def volumes(count: int = 4) -> list[Sample]:
    rng = np.random.default_rng(2)
    made = []
    for i in range(count):
        image = rng.random((8, 12, 16), dtype=np.float32) * 0.5
        mask = np.zeros(image.shape, bool)
        mask[2:5, 3:8, 4:9] = True
        mask[3 + i % 2, 2:10, 4:9] = True  # the largest slice
        image[mask] += 0.4
        made.append(Sample(f"scan {i}", image, mask, i % 2, f"p{i}", spacing=(5.0, 1.0, 2.0)))
    return made


pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(scope="module")
def run() -> tuple[Results, list[Sample], CAMModel]:
    data, net = samples(9), small_network()
    names = ["round", "<long>", "square"]
    return evaluated(net, data, class_names=names, name="net"), data, net


@pytest.fixture(scope="module")
def multilabel() -> tuple[Results, list[Sample], CAMModel, Preparation]:
    net, made, prepare = small_network(4), x_rays(), Preparation(size=32, fit="pad")
    names = ["round", "square", "long", "flat"]
    metrics = METRICS | {"fpr": false_positive_rate}
    options = {"task": "multilabel", "prepare": prepare, "class_names": names, "metrics": metrics}
    return evaluated(net, made, **options), made, net, prepare


# --- Outlines -------------------------------------------------------------------------------------
@pytest.mark.parametrize("smooth", [0, 1, 4, 9])
def test_a_filled_outline_is_the_mask(smooth) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(smooth)
    for share in (0.02, 0.3, 0.75):
        shape = rng.integers(3, 90, 2)
        noise = gaussian_filter(rng.random(shape), smooth)
        mask = noise > np.quantile(noise, share)
        assert overlap(fill_outlines(trace_mask(mask), mask.shape), mask) >= 0.98


def test_special_masks_have_outlines() -> None:
    ring = np.ones((9, 9), bool)
    ring[3:6, 3:6] = False
    point = np.zeros((5, 4), bool)
    point[2, 3] = True
    for mask in (ring, point, np.ones((3, 7), bool), np.ones((1, 1), bool)):
        outlines = trace_mask(mask)
        assert (fill_outlines(outlines, mask.shape) == mask).all()
        assert all(isinstance(number, int) for one in outlines for number in one)
    assert len(trace_mask(ring)) == 2
    assert trace_mask(point & False) == []


def test_an_outline_is_simplified() -> None:
    rows, columns = np.indices((200, 200)) - 100
    disc = rows**2 + columns**2 < 80**2
    [outline] = trace_mask(disc)
    assert len(outline) < 100


# --- What is drawn --------------------------------------------------------------------------------
def check_pictures(results, made, net, prepare, folder, *, alignment="half_pixel") -> None:
    """Check every outline and map against the network, by other ways than those of the drawing."""
    parts, [index] = drawn_in(folder), read_index(folder / "report_files")
    names = {sample.name: sample for sample in made}
    assert len(index.tiles) == len(results)
    for tile in index.tiles:
        record = parts[tile.part][tile.place]
        targets = names[tile.sample].by_target()
        [place] = [k for k, one in enumerate(targets) if one.label == tile.label]
        prepared = prepare_targets(prepare, targets)[place]
        shape = tuple(prepared.truth.shape)
        keep = torch.ones_like(prepared.truth) if prepared.ignore is None else ~prepared.ignore
        truth = np.asarray(prepared.truth & keep)
        assert record["size"] == [shape[1], shape[0]]
        assert overlap(fill_outlines(record["truth"], shape), truth) >= 0.98
        assert overlap(fill_outlines(record["ignored"], shape), ~np.asarray(keep)) >= 0.98
        row = results.samples[
            (results.samples["sample"] == tile.sample)
            & (results.samples["label"] == tile.label if tile.label is not None else True)
        ].iloc[0]
        classes = tile.label if results.task == "multilabel" else int(row["predicted"])
        for k, (_, method, binarizer, metric) in enumerate(index.pairs):
            extract = CAMExtractor(net, METHODS[method], alignment)
            coarse = extract(prepared.image[None], classes).coarse.detach()
            centers = extract.model.cell_centers if alignment == "receptive_field" else None
            size = tuple(prepared.image.shape[1:])
            where = {"cell_centers": centers, "image_size": size, "window": prepared.window}
            scores = upsample(coarse, shape, **where)[0]
            mask = torch.zeros_like(keep)
            mask[keep] = BINARIZERS[binarizer](scores[keep][None, None])[0, 0]
            filled = fill_outlines(record["masks"][k], shape)
            assert overlap(filled, mask.numpy()) >= 0.98
            column = next(
                c for c in results.columns if c.method == method and c.binarizer == binarizer
            )
            known = results.values[row.name, results.columns.index(replace(column, metric=metric))]
            drawn = tile.scores[k]
            assert drawn == known if drawn is not None else np.isnan(known)
            low, high = float(scores[keep].min()), float(scores[keep].max())
            if low == high:
                assert record["maps"][k // len(BINARIZERS)] is None
                continue
            level = ((scores - low) / (high - low)).numpy()[np.asarray(keep)]
            found = small_map(record["maps"][k // len(BINARIZERS)], shape)[np.asarray(keep)]
            np.testing.assert_allclose(found, level, atol=0.02)


def test_outlines_and_maps_are_those_that_were_scored(run, tmp_path) -> None:
    results, data, net = run
    assert draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN) == 9
    check_pictures(results, data, net, SMALL, tmp_path)


def test_methods_and_binarizers_may_be_lists_as_for_evaluate(tmp_path) -> None:
    net, data = small_network(), samples(2)
    grad_cam, otsu = cameval.grad_cam, cameval.OtsuBinarizer()
    lists: dict[str, Any] = {"methods": [grad_cam], "binarizers": [otsu]}
    results = evaluated(net, data, **lists)
    single: dict[str, Any] = {"methods": grad_cam, "binarizers": otsu}
    for place, given in (("lists", lists), ("single", single)):
        draw_images(results, data, net, tmp_path / place, prepare=SMALL, **given)
        pairs = read_index(tmp_path / place / "report_files")[0].pairs
        assert {pair[1:3] for pair in pairs} == {("grad_cam", "otsu")}


def test_a_picture_is_of_one_target_without_its_padding(multilabel, tmp_path) -> None:
    results, made, net, prepare = multilabel
    assert draw_images(results, made, net, tmp_path, prepare=prepare, **DRAWN) == 6
    check_pictures(results, made, net, prepare, tmp_path)
    parts, [index] = drawn_in(tmp_path), read_index(tmp_path / "report_files")
    for tile in index.tiles:
        record = parts[tile.part][tile.place]
        others = [k for k, one in enumerate(index.tiles) if one.sample == tile.sample]
        assert sorted([*record["others"], tile.place]) == others
        assert bool(record["truth"]) == (tile.label != 3)
    shown = records_of(results, tmp_path)
    assert shown["row"] == "target"
    [model] = shown["models"]
    assert len(model["label"]) == len(results)
    absent = results.samples.index[~results.samples["present"]].tolist()
    assert [int(k) for k in model["pairs"][0]["why"]] == absent


def test_targets_are_found_by_their_labels(multilabel, tmp_path) -> None:
    results, made, net, prepare = multilabel
    turned = [
        Sample(s.name, s.image, targets=s.targets[::-1], group=s.group, ignore=s.ignore)
        for s in made
    ]
    draw_images(results, turned, net, tmp_path, prepare=prepare, **DRAWN)
    check_pictures(results, made, net, prepare, tmp_path)


def test_maps_are_aligned_as_in_the_run(tmp_path) -> None:
    net, data = small_network(), samples(4)
    placed = CAMModel(net.features, net.head, CellCenters(offset=0.5, stride=4)).eval()
    extract = CAMExtractor(placed, alignment="receptive_field")
    results = evaluated(extract, data)
    aligned = {"prepare": SMALL, "alignment": "receptive_field", **DRAWN}
    draw_images(results, data, placed, tmp_path, **aligned)
    check_pictures(results, data, placed, SMALL, tmp_path, alignment="receptive_field")


def test_of_a_volume_the_slice_with_most_of_the_truth_is_shown(tmp_path) -> None:
    net, made = volume_network(), volumes()
    prepare = Preparation(size=None, mean=(0.5,), std=(0.5,))
    results = evaluated(net, made, prepare=prepare)
    draw_images(results, made, net, tmp_path, prepare=prepare, **DRAWN)
    parts, [index] = drawn_in(tmp_path), read_index(tmp_path / "report_files")
    for i, tile in enumerate(index.tiles):
        assert tile.remark == f"slice {4 + i % 2} of 8, where the truth is largest"
        assert tile.aspect == round(16 * 2 / 12, 4)
        record = parts[tile.part][tile.place]
        truth = made[i].mask[3 + i % 2]
        assert (fill_outlines(record["truth"], truth.shape) == truth).all()
    [model] = records_of(results, tmp_path)["models"]
    assert len(set(model["remark"])) == 2


def test_a_slice_is_chosen_without_a_truth_too() -> None:
    empty, mask = np.zeros((2, 6, 4, 4), bool)
    assert largest_slice(empty, mask) == (3, ", the middle")
    mask[1, 0, 0] = True
    assert largest_slice(empty, mask) == (1, ", where the mask is largest")
    assert largest_slice(empty) == (3, ", the middle")


def test_constant_maps_and_undefined_scores_are_known(run, tmp_path) -> None:
    _, data, _ = run
    flat = [replace(s, image=np.zeros_like(s.image)) for s in data]
    blank = small_network()
    nn.init.zeros_(blank.features[0].bias)
    plain = Preparation(size=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    of_blank = evaluated(blank, flat, prepare=plain)
    draw_images(of_blank, flat, blank, tmp_path, prepare=plain, **DRAWN)
    records = [one for part in drawn_in(tmp_path).values() for one in part]
    assert all(one["maps"] == [None, None] and one["masks"] == [[]] * 4 for one in records)
    [model] = records_of(of_blank, tmp_path)["models"]
    assert all(len(pair["constant"]) == 9 for pair in model["pairs"])
    assert (of_blank.codes & CONSTANT).any()


@pytest.mark.parametrize("labels", [True, False])
def test_maps_made_elsewhere_are_drawn_without_a_network(labels, tmp_path) -> None:
    made = x_rays() if labels else [replace(s, label=None) for s in samples(6)]
    folder = tmp_path / "maps"
    folder.mkdir()
    for sample in made:
        np.save(folder / f"{sample.name}.npy", sample.image[::2, ::2])

    def bright(sample: Sample) -> np.ndarray:
        return sample.image

    maps = {"theirs": folder, "bright": bright}
    parts = {"binarizers": BINARIZERS, "metrics": METRICS, "baselines": {}, "progress": False}
    results = evaluate_maps(maps, made, **parts)
    out = tmp_path / "report"
    drawn = {"methods": {}, "maps": maps, "binarizers": BINARIZERS}
    assert draw_images(results, made, None, out, **drawn) == 6
    parts, [index] = drawn_in(out), read_index(out / "report_files")
    for tile in index.tiles:
        record = parts[tile.part][tile.place]
        shape = record["size"][::-1]
        truth = fill_outlines(record["truth"], shape)
        for k, score in enumerate(tile.scores):
            found = overlap(fill_outlines(record["masks"][k], shape), truth)
            assert score is None or found == pytest.approx(score, abs=0.03)
        assert all(one[0] <= 32 and one[1] <= 32 for one in record["maps"])
    assert records_of(results, out)["methods"] == ["theirs", "bright"]


# --- Files ----------------------------------------------------------------------------------------
def test_photos_are_gray_and_small_and_named_by_numbers(tmp_path) -> None:
    rng = np.random.default_rng(0)
    shapes = [(900, 300), (40, 60), (700, 800), (64, 64), (32, 32)]
    made = []
    for name, shape in zip(HOSTILE, shapes, strict=True):
        mask = np.zeros(shape, bool)
        mask[5:20, 5:20] = True
        made.append(Sample(name, rng.random((*shape, 3), np.float32), mask, 0, f"of {name}"))
    net = small_network()
    results = evaluated(net, made)
    draw_images(results, made, net, tmp_path, prepare=SMALL, **DRAWN)
    folder = tmp_path / "report_files"
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "index.json",
        "part-0001.js",
        *(f"{kind}-{k:05d}.webp" for kind in ("thumb", "large") for k in range(1, 6)),
        *(f"strip-{k:05d}.webp" for k in range(1, len(names) - 11)),
    }
    [index] = read_index(folder)
    assert {strip.file for strip in index.strips} == {one for one in names if one[:5] == "strip"}
    for kind, longest in (("thumb", 224), ("large", 640), ("strip", 320)):
        for file in sorted(folder.glob(f"{kind}-*")):
            with Image.open(BytesIO(file.read_bytes())) as picture:
                assert picture.format == "WEBP"
                assert max(picture.size) <= longest
                pixels = np.asarray(picture.convert("RGB")).astype(int)
            if kind != "strip":
                assert np.abs(pixels - pixels.mean(2, keepdims=True)).max() < 3
    with Image.open(folder / "large-00001.webp") as picture:
        assert picture.size == (213, 640)
    with Image.open(folder / "large-00002.webp") as picture:
        assert picture.size == (60, 40)  # never enlarged
    browser = browser_of(results, tmp_path)
    assert "<" not in browser.data
    shown = records_of(results, tmp_path)
    assert [shown["samples"][k] for k in shown["models"][0]["sample"]] == HOSTILE


def test_two_runs_give_the_same_bytes(run, tmp_path) -> None:
    results, data, net = run
    for place in ("a", "b", "b"):  # the second time in the place of the first
        draw_images(results, data, net, tmp_path / place, prepare=SMALL, **DRAWN)
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / place / "report_files").iterdir()}
        for place in ("a", "b")
    )
    assert first == second
    assert [one.name for one in (tmp_path / "b").iterdir()] == ["report_files"]


def test_parts_are_of_some_images(run, tmp_path, monkeypatch) -> None:
    results, data, net = run
    monkeypatch.setattr(files, "IMAGES_IN_PART", 4)
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    parts = drawn_in(tmp_path)
    assert [len(part) for part in parts.values()] == [4, 4, 1]
    [index] = read_index(tmp_path / "report_files")
    assert [(tile.part, tile.place) for tile in index.tiles] == [
        (f"part-{1 + k // 4:04d}.js", k % 4) for k in range(9)
    ]


def test_several_models_share_the_photos(run, tmp_path) -> None:
    results, data, net = run
    other = replace(results, samples=results.samples.assign(model="other"))
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    draw_images(other, data, net, tmp_path, prepare=SMALL, **DRAWN)
    folder = tmp_path / "report_files"
    assert len(list(folder.glob("thumb-*"))) == len(list(folder.glob("large-*"))) == 9
    assert len(list(folder.glob("part-*"))) == 2
    both = concat([results, other])
    shown = records_of(both, tmp_path)
    assert [model["name"] for model in shown["models"]] == ["net", "other"]
    assert set(strip_of(both, tmp_path)) == {"net", "other"}
    before = {file.name for file in folder.iterdir()}
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)  # in the place of its own
    assert {file.name for file in folder.iterdir()} == before
    assert len(records_of(both, tmp_path)["models"]) == 2


def test_a_folder_that_fails_stays_as_it_was(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    with pytest.raises(DataError, match=r"sample \d must be 'image \d', as in the results"):
        draw_images(results, data[::-1], net, tmp_path, prepare=SMALL, **DRAWN)
    assert {f: f.read_bytes() for f in tmp_path.rglob("*.*") if f.is_file()} == before


def test_a_folder_of_something_else_is_refused(run, tmp_path) -> None:
    results, data, net = run
    (tmp_path / "report_files").mkdir()
    (tmp_path / "report_files" / "mine.txt").write_text("mine")
    for limit in (0, 5):
        with pytest.raises(SettingError, match="must be a folder of pictures or not be there"):
            draw_images(results, data, net, tmp_path, prepare=SMALL, limit=limit, **DRAWN)
    assert (tmp_path / "report_files" / "mine.txt").read_text() == "mine"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report_files").write_text("mine")
    with pytest.raises(SettingError, match="got a file"):
        draw_images(results, data, net, tmp_path / "a", prepare=SMALL, **DRAWN)


# --- Which images ---------------------------------------------------------------------------------
def test_above_the_limit_some_of_each_class_are_drawn(run, tmp_path) -> None:
    results, data, net = run
    assert draw_images(results, data, net, tmp_path, prepare=SMALL, limit=6, **DRAWN) == 6
    browser = browser_of(results, tmp_path)
    assert browser.count == 6
    [note] = browser.notes
    assert note.startswith("6 of 9 images are shown: those at equal steps of the rank of their")
    [index] = read_index(tmp_path / "report_files")
    assert {tile.label for tile in index.tiles} == {0, 1, 2}
    scores = {pick.pick: index.tiles[pick.tile].scores[pick.pair] for pick in index.strips[:3]}
    pair = index.column(index.strips[0].pair, results.columns)
    values = np.sort(results.values[:, results.columns.index(pair)])
    assert [scores[pick] for pick in ("worst", "median", "best")] == values[[0, 4, 8]].tolist()


def test_the_choice_is_by_rank_in_each_class() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 0.8, np.nan])
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    images = np.arange(9)
    assert choose_images(scores, labels, images, 9).tolist() == list(range(9))
    assert choose_images(scores, labels, images, 5).tolist() == [0, 2, 5, 7, 8]
    assert choose_images(scores, labels, images, 3, required=[4, 4]).tolist() == [2, 4, 7]
    assert choose_images(scores, labels, images, 1, required=[6, 2]).tolist() == [6]
    several = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])
    for limit in range(1, 5):
        assert len(choose_images(scores, labels, several, limit)) == limit


def test_no_images_are_drawn_if_none_are_wanted(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    assert draw_images(results, data, net, tmp_path, limit=0, **DRAWN) == 0
    assert list(tmp_path.iterdir()) == []
    assert browser_of(results, tmp_path) is None
    assert strip_of(results, tmp_path) == {}
    assert draw_images(results, data, net, tmp_path, limit=0, **DRAWN) == 0
    with pytest.raises(SettingError, match="limit must be at least 0, got -1"):
        draw_images(results, data, net, tmp_path, limit=-1, **DRAWN)


def test_pictures_of_other_results_are_not_shown(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    other = replace(results, values=results.values * 0.5 + 0.1)
    assert browser_of(other, tmp_path) is None
    assert strip_of(other, tmp_path) == {}
    values = results.values.copy()
    values[2:4] *= 0.5
    partly = browser_of(replace(results, values=values), tmp_path)
    assert partly.count == 7
    assert "2 pictures in the folder are of other results, and are not shown." in partly.notes
    renamed = replace(results, samples=results.samples.assign(model="other"))
    assert browser_of(renamed, tmp_path) is None
    assert browser_of(results.select(method="center"), tmp_path) is None


def test_pictures_of_results_that_were_read_or_selected_are_shown(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    results.to_csv(tmp_path / "results.csv")
    again = Results.from_csv(tmp_path / "results.csv")
    assert browser_of(again, tmp_path) == browser_of(results, tmp_path)
    part = results.select(label=[0, 2], binarizer="p80")
    [model] = records_of(part, tmp_path)["models"]
    assert len(model["sample"]) == 6
    assert len(model["pairs"]) == 2


def test_the_scores_of_the_page_are_those_of_the_results(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    shown = records_of(results, tmp_path)
    [model] = shown["models"]
    means = results.summary().query("metric == 'iou'").set_index(["method", "binarizer"])["mean"]
    for pair in model["pairs"]:
        method, binarizer = (shown[f"{n}s"][pair[n]] for n in ("method", "binarizer"))
        known = {
            c.metric: results.values[:, k]
            for k, c in enumerate(results.columns)
            if c.method == method and c.binarizer == binarizer
        }
        blind = means[["center", "random"] if "random" in means else ["center"]]
        best = blind.xs(binarizer, level="binarizer").idxmax()
        column = next(
            k
            for k, c in enumerate(results.columns)
            if (c.method, c.binarizer, c.metric) == (best, binarizer, "iou")
        )
        assert pair["by"] == best
        for number, kind, expected in (
            (pair["score"], "<f8", known["iou"]),
            (pair["guess"], "<f8", results.values[:, column]),
            (pair["bound"], "<f4", known["area_bound"].astype("<f4")),
        ):
            found = np.frombuffer(b64decode(shown["arrays"][number]), kind)
            assert (found == expected).all()
    start = model["pairs"][model["start"]]
    of_maps = means[means.index.get_level_values("method").isin(METHODS)]
    pair = shown["methods"][start["method"]], shown["binarizers"][start["binarizer"]]
    assert pair == of_maps.idxmax()


def test_the_strip_is_of_the_best_pair(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    [index] = read_index(tmp_path / "report_files")
    strip = strip_of(results, tmp_path)["net"]
    column = index.column(index.strips[0].pair, results.columns)
    assert [one.pick for one in strip] == ["worst", "median", "best"]
    assert all(one.data[8:12] == b"WEBP" for one in strip)
    assert re.fullmatch(r"IoU \.\d\d\d?, guess \.\d\d\d?", strip[0].text)
    said = (
        r"Map, mask and truth on image image \d, [\w<>]+: IoU [.\d]+, guess [.\d]+, bound [.\d]+\."
    )
    assert all(re.fullmatch(said, one.alt) for one in strip)
    assert strip_of(results, tmp_path, {"net": column})["net"] == strip
    assert strip_of(results, tmp_path, {"net": replace(column, method="x")}) == {}
    (tmp_path / "report_files" / index.strips[0].file).unlink()
    with pytest.raises(DataError, match="must be a picture"):
        strip_of(results, tmp_path)


def test_every_method_and_binarizer_has_a_strip(run, tmp_path) -> None:
    results, data, net = run
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    [index] = read_index(tmp_path / "report_files")
    assert len(index.strips) == 3 * len(index.pairs) == 12
    for pair in range(4):
        column = index.column(pair, results.columns)
        values = np.sort(results.values[:, results.columns.index(column)])[[0, 4, 8]]
        texts = [one.text for one in strip_of(results, tmp_path, {"net": column})["net"]]
        for text, score in zip(texts, values, strict=True):
            assert text.split(",")[0] in (
                f"IoU {format_short(score)}",
                f"IoU {format_number(score)}",
            )


@pytest.mark.parametrize("fixed", [{}, {"method": "cam"}, {"method": "grad_cam"}])
def test_the_page_has_the_strip_of_the_binarizer_that_was_fixed(run, tmp_path, fixed) -> None:
    _, data, net = run
    results, choice = chosen(run)
    both = concat([results, replace(results, samples=results.samples.assign(model="other"))])
    for model in ("net", "other"):
        one = both.select(model=model)
        draw_images(one, data, net, tmp_path, choices={"validated": choice}, prepare=SMALL, **DRAWN)
    page = write_report(both, tmp_path, binarizer="validated", **fixed).read_text("utf-8")
    assert page.count('<div class="strip">') == 2
    assert page.count("<b>worst</b>") == 2
    page = write_report(both, tmp_path, binarizer="p80", single_file=True, **fixed).read_text(
        "utf-8"
    )
    assert page.count('<div class="strip">') == 2
    assert "best image are not shown" not in page


def test_the_page_says_why_it_has_no_strip(run, tmp_path) -> None:
    _, data, net = run
    results, choice = chosen(run)
    both = concat([results, replace(results, samples=results.samples.assign(model="other"))])
    draw_images(results, data, net, tmp_path, prepare=SMALL, **DRAWN)
    start = "The worst, the median and the best image are not shown: "

    def said(results: Results, **fixed: str) -> list[str]:
        page = write_report(results, tmp_path, **fixed).read_text("utf-8")
        return re.findall(rf'<p class="note">{start}(.*)</p>', page)

    fixed = {"binarizer": "validated", "method": "cam"}
    assert said(both, **fixed) == [
        "the masks of cam, validated were not drawn.",
        "the images of other were not drawn.",
    ]
    assert said(results, binarizer="p80") == []
    changed = replace(results, values=1 - results.values)
    assert said(changed, binarizer="p80") == ["the images were drawn of other results."]
    parts = {"prepare": SMALL, **DRAWN, "choices": {"validated": choice}}
    draw_images(results, data, net, tmp_path, limit=1, **parts)
    assert said(results, **fixed) == ["no overlays of cam, validated were drawn."]
    shutil.rmtree(tmp_path / "report_files")
    assert said(results, **fixed) == []


def test_strips_of_choices_are_drawn_above_the_limit_too(tmp_path) -> None:
    data, net = samples(30), small_network()
    run = evaluated(net, data, name="net"), data, net
    results, choice = chosen(run)
    parts = {"prepare": SMALL, **DRAWN, "choices": {"validated": choice}}
    assert draw_images(results, data, net, tmp_path, limit=24, **parts) == 24
    [index] = read_index(tmp_path / "report_files")
    with_strip = {index.pairs[strip.pair][2] for strip in index.strips}
    assert "validated" in with_strip
    counts = Counter(strip.pair for strip in index.strips)
    assert set(counts.values()) == {3}
    files = {(index.pairs[strip.pair][1:3], strip.pick): strip.file for strip in index.strips}
    for method, used in (("cam", "p80"), ("grad_cam", "mean")):  # equal overlays are one file
        for pick in ("worst", "median", "best"):
            one = files[(method, "validated"), pick]
            assert files.get(((method, used), pick), one) == one
    [note] = browser_of(results, tmp_path).notes
    assert note.startswith("24 of 30 images are shown: those at equal steps of the rank")


# --- What fits together ---------------------------------------------------------------------------
def test_the_target_class_is_that_of_the_results(run, tmp_path, monkeypatch) -> None:
    results, data, net = run
    seen: list[Any] = []
    drawing_of = drawing.Drawing.of

    def spy(*parts: Any) -> Any:
        seen.append(parts[3])
        return drawing_of(*parts)

    monkeypatch.setattr(drawing.Drawing, "of", spy)

    def with_target_class(label: str, classes: str | int | None) -> Results:
        columns = tuple(replace(column, target_class=label) for column in results.columns)
        known = replace(results.meanings, target_class={label: TargetClassMeaning(label, classes)})
        provenance = {**results.provenance, "meanings": known.to_record(), "identity": {}}
        return replace(results, columns=columns, provenance=provenance)  # not checked by scores

    for label, classes in (("true", "true"), ("1", 1), ("predicted", 2)):  # a label says nothing
        seen.clear()
        of_class = with_target_class(label, classes)
        draw_images(of_class, data, net, tmp_path, prepare=SMALL, **DRAWN)
        assert seen == [{label: classes}]
    with pytest.raises(SettingError, match="target class 'predicted', 'true' or a class index"):
        draw_images(with_target_class("predicted", None), data, net, tmp_path, **DRAWN)


def test_what_does_not_fit_is_refused(run, tmp_path) -> None:
    results, data, net = run
    parts = {"prepare": SMALL, **DRAWN}
    with pytest.raises(DataError, match="samples must be those of the results, got only 1"):
        draw_images(results, data[:1], net, tmp_path, **parts)
    two = concat([results, replace(results, samples=results.samples.assign(model="other"))])
    with pytest.raises(SettingError, match="results must be of one model, got 2"):
        draw_images(two, data, net, tmp_path, **parts)
    with pytest.raises(SettingError, match="method must be one of"):
        draw_images(results, data, net, tmp_path, **parts | {"methods": {"x": cameval.cam}})
    with pytest.raises(SettingError, match="binarizer must be one of"):
        draw_images(
            results, data, net, tmp_path, **parts | {"binarizers": {"x": BINARIZERS["p80"]}}
        )
    with pytest.raises(SettingError, match="binarizers must name at least one for the scores iou"):
        draw_images(results, data, net, tmp_path, **parts | {"binarizers": {}})
    maps = {"cam": lambda sample: sample.image}
    for model, changed in ((net, {"methods": {}}), (None, {}), (None, {"maps": maps})):
        with pytest.raises(SettingError, match="must have methods with their model, or maps"):
            draw_images(results, data, model, tmp_path, **parts | changed)
    counted = evaluated(net, data, metrics={"outcome": Outcomes()})
    with pytest.raises(SettingError, match="a metric to show images by"):
        draw_images(counted, data, net, tmp_path, **parts)
    assert list(tmp_path.iterdir()) == []


def chosen(
    run: tuple[Results, list[Sample], CAMModel],
) -> tuple[Results, cameval.evaluation.Choice]:
    """Choose on other images, and return the results with the scores of the chosen binarizers."""
    results, data, net = run
    others = [
        replace(s, name=f"other {s.name}", group=f"other {s.group}", image=1 - s.image)
        for s in data
    ]
    choice = cameval.choose_binarizers(evaluated(net, others, name="net"))
    different = {"cam": "p80", "grad_cam": "mean"}
    columns = [
        replace(column, binarizer=different.get(column.method, column.binarizer))
        for column in choice.columns
    ]
    choice = replace(choice, columns=tuple(columns))
    return choice.apply(results), choice


def test_the_masks_of_a_choice_are_those_of_each_map(run, tmp_path) -> None:
    _, data, net = run
    results, choice = chosen(run)
    used = {m: choice.binarizer("predicted", "method", m) for m in METHODS}
    assert len({*used.values()}) == 2
    parts = {"prepare": SMALL, **DRAWN}
    draw_images(results, data, net, tmp_path, choices={"validated": choice}, **parts)
    [index] = read_index(tmp_path / "report_files")
    assert [pair[2] for pair in index.pairs] == [*BINARIZERS, "validated"] * 2
    [records] = drawn_in(tmp_path).values()
    for record in records:
        masks = dict(zip([pair[1:3] for pair in index.pairs], record["masks"], strict=True))
        for method, binarizer in used.items():
            assert masks[method, "validated"] == masks[method, binarizer]
    other = replace(choice, columns=choice.columns[::-1])
    with pytest.raises(SettingError, match="another choice 'validated'"):
        draw_images(results, data, net, tmp_path, choices={"validated": other}, **parts)
    few = parts | {"binarizers": {"p80": BINARIZERS["p80"]}}
    with pytest.raises(SettingError, match="those that were chosen, got no 'mean'"):
        draw_images(results, data, net, tmp_path, choices={"validated": choice}, **few)
    both = parts | {"binarizers": BINARIZERS | {"validated": BINARIZERS["p80"]}}
    with pytest.raises(SettingError, match="labels of no binarizer, got 'validated' in both"):
        draw_images(results, data, net, tmp_path, choices={"validated": choice}, **both)


def test_masks_that_were_not_scored_are_refused(run, tmp_path) -> None:
    _, data, net = run
    results, _ = chosen(run)
    wrong = {"binarizers": {"validated": cameval.PercentileBinarizer(30)}}
    parts: dict[str, Any] = {"prepare": SMALL, **DRAWN}
    message = f"those that were scored, got iou 0.* of cam validated for sample '{data[0].name}'"
    with pytest.raises(DataError, match=message):
        draw_images(results, data, net, tmp_path, **parts | wrong)
    wrong = {"binarizers": {"p80": cameval.PercentileBinarizer(30)}}
    with pytest.raises(SettingError, match=r"'p80' must be the one .*PercentileBinarizer.*30"):
        draw_images(results, data, net, tmp_path, **parts | wrong)
    other = {"methods": {"cam": lambda activations, _: -activations.features.mean(1)}}
    with pytest.raises(DataError, match="must be those that were scored"):
        draw_images(results, data, net, tmp_path, **parts | other)
    assert list(tmp_path.iterdir()) == []


def test_scores_of_a_mask_agree_up_to_rounding() -> None:
    mask = np.zeros((10, 10), bool)
    mask[2:8, 2:8] = True
    truth, keep = np.roll(mask, 1, 0), np.ones_like(mask)
    keep[:, :5] = False
    score = MaskScore.of(cameval.iou, mask, truth, keep)
    assert score.value == pytest.approx(15 / 21)
    assert score.agrees(14 / 21)
    assert not score.agrees(8 / 21)
    assert not score.agrees(np.nan)
    assert MaskScore.of(cameval.iou, mask, mask & False, None).agrees(np.nan)
    assert MaskScore.of(cameval.iou, mask, truth, mask & False).agrees(np.nan)
    assert is_noise(1.0, 1.00001)
    assert not is_noise(0.0, 1e-9)


def test_another_target_is_refused(multilabel, tmp_path) -> None:
    results, made, net, prepare = multilabel
    others = [
        Sample(s.name, s.image, targets=[Target(1, s.targets[0].mask)], group=s.group) for s in made
    ]
    with pytest.raises(DataError, match="must have a target of class"):
        draw_images(results, others, net, tmp_path, prepare=prepare, **DRAWN)


def test_metrics_of_maps_need_no_masks(run, tmp_path) -> None:
    _, data, net = run
    results = evaluated(net, data, metrics={"pixel_auroc": cameval.pixel_auroc})
    for binarizers in ({}, BINARIZERS):
        parts = {"methods": METHODS, "binarizers": binarizers, "prepare": SMALL}
        draw_images(results, data, net, tmp_path, **parts)
        shown = records_of(results, tmp_path)
        assert shown["metric"] == "AUROC"
        assert shown["binarizers"] == [*binarizers]
        [records] = drawn_in(tmp_path).values()
        assert [len(one["masks"]) for one in records] == [2 * len(binarizers)] * 9


def test_tuples_are_samples_too(tmp_path) -> None:
    net = small_network()
    made = [(s.image, s.mask, s.label) for s in samples(4)]
    results = evaluated(net, made)
    assert draw_images(results, made, net, tmp_path, prepare=SMALL, **DRAWN) == 4


def test_the_part_of_the_image_that_was_scored_is_shown() -> None:
    image = np.zeros((40, 60), np.float32)
    image[10:30, 20:40] = 1  # the centered half
    sample = Sample("a", image, image > 0, 0, "g")
    prepare = Preparation(size=16, crop=0.5)
    seen, truth = prepare(sample)
    shown = crop_image(sample, prepare, seen, tuple(truth.shape))
    assert shown.shape == (20, 20, 3)
    np.testing.assert_allclose(shown, 1, atol=1e-6)

    def own(sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
        part = torch.from_numpy(sample.image[:20, :30])
        return part.expand(3, -1, -1) * 7 - 2, part > 0

    seen, truth = own(sample)
    shown = crop_image(sample, own, seen, tuple(truth.shape))
    np.testing.assert_allclose(shown, np.repeat(image[:20, :30, None], 3, 2), atol=1e-6)


@pytest.fixture(scope="module")
def drawn(run, tmp_path_factory) -> Path:
    """Return the folder of the pictures of a run, which no test changes."""
    results, data, net = run
    folder = tmp_path_factory.mktemp("drawn")
    draw_images(results, data[:9], net, folder, prepare=SMALL, **DRAWN)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda words: "{", "must be the index of the pictures as JSON"),
        (lambda words: [], "must be an index of this version"),
        (lambda words: words | {"format": 7}, "must be an index of this version"),
        (lambda words: words["models"][0]["tiles"][0].update(thumb="../a.webp"), "the file"),
        (lambda words: words["models"][0]["tiles"][0].update(part="/etc/a.js"), "the file"),
        (lambda words: words["models"][0]["tiles"][0].update(scores=[1]), "the tile"),
        (lambda words: words["models"][0]["tiles"][0].update(more=1), "a Tile with"),
        (lambda words: words["models"][0]["strips"][0].update(tile=99), "IndexError"),
        (lambda words: words["models"][0].update(pairs=[["a"]]), "the pair"),
    ],
)
def test_a_damaged_index_is_refused(run, drawn, tmp_path, change, message) -> None:
    results, _, _ = run
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "report_files" / "index.json"
    words = json.loads(file.read_text())
    changed = change(words)
    changed = words if changed is None else changed
    file.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(DataError, match=message):
        browser_of(results, tmp_path)
