"""Examples of several targets, of padded inputs, ignored pixels, volumes and maps of others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import samples, small_network
from pages import written
from torch import nn

import cameval
from cameval import CAMModel, GAPHead, Preparation, Sample, Target, evaluate, evaluate_maps
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results
from cameval.evaluation._sources import prepare_targets
from cameval.metrics import false_positive_rate
from cameval.report import Example, draw_examples, format_number
from cameval.report import _example_pictures as pictures
from cameval.report import examples as drawing
from cameval.report._example_pictures import crop_image

pytestmark = pytest.mark.usefixtures("no_figures")

P80 = ("p80", cameval.PercentileBinarizer(80))
CAM = ("cam", cameval.cam)
PARTS: dict[str, Any] = {
    "metrics": {"iou": cameval.iou, "fpr": false_positive_rate},
    "binarizers": dict([P80]),
    "baselines": {},
    "progress": False,
}


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
        made.append(Sample(f"scan {i}", image, mask, i % 2, f"p{i}", spacing=(5.0, 1.0, 1.0)))
    return made


class Spy:
    """Keep the mask and the truth of each picture, on the grid of the scores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ious: list[tuple[str, int | None, float]] = []
        self.overlays: list[dict[str, Any]] = []
        draw, overlay = pictures.draw_target, pictures.overlay

        def drawn(sample, row, map_of, binarizer, prepare):
            (prepared,) = prepare_targets(prepare, [sample])
            scores = map_of(sample, prepared, row)
            mask = pictures._binarize(binarizer, scores, prepared.ignore, prepared.spacing)
            keep = torch.ones_like(prepared.truth) if prepared.ignore is None else ~prepared.ignore
            one = cameval.iou(mask[keep][None, None], prepared.truth[keep][None, None])
            self.ious.append((sample.name, sample.label, float(one)))
            return draw(sample, row, map_of, binarizer, prepare)

        def covered(axes, image, **layers):
            self.overlays.append(layers | {"image": image})
            overlay(axes, image, **layers)

        monkeypatch.setattr(drawing, "draw_target", drawn)
        monkeypatch.setattr(pictures, "overlay", covered)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


@pytest.fixture(scope="module")
def multilabel() -> tuple[Results, list[Sample], CAMModel, Preparation]:
    net, made, prepare = small_network(4), x_rays(), Preparation(size=32, fit="pad")
    names = ["round", "square", "long", "flat"]
    results = evaluate(
        net,
        made,
        methods=dict([CAM]),
        task="multilabel",
        prepare=prepare,
        class_names=names,
        **PARTS,
    )
    return results, made, net, prepare


@pytest.mark.parametrize("alignment", ["half_pixel"])
def test_a_picture_is_of_one_target_with_the_mask_that_was_scored(
    multilabel, spy, alignment, tmp_path
) -> None:
    results, made, net, prepare = multilabel
    examples = draw_examples(
        results,
        made,
        net,
        tmp_path,
        method=CAM,
        binarizer=P80,
        prepare=prepare,
        alignment=alignment,
    )
    scores = results.select(metric="iou", method="cam")
    known = {
        (row.sample, row.label): value
        for row, value in zip(scores.samples.itertuples(), scores.values[:, 0], strict=True)
    }
    assert len({(name, label) for name, label, _ in spy.ious}) == len(spy.ious)
    assert len({name for name, _, _ in spy.ious}) < len(spy.ious)  # two targets of one image
    for name, label, value in spy.ious:
        assert value == pytest.approx(known[name, label])
    for example in examples:
        assert example.score == known[example.sample, example.target]
        assert example.label in (None, example.target)
        assert example.target != 3  # a negative
    page = written(results, tmp_path)
    best = next(e for e in examples if e.label is None and e.pick == "best")
    name = ("round", "square", "long", "flat")[best.target]
    assert f"best {name}, IoU {format_number(best.score)}" in page.text
    assert "for the class of the target; the targets were chosen by IoU" in page.text
    assert "All targets with an object" in page.text
    shown = [image for image in page.images if image["alt"].startswith("Map and mask")]
    assert len(shown) == len(examples)


def test_ignored_pixels_are_striped_and_named(multilabel, spy, tmp_path) -> None:
    results, made, net, prepare = multilabel
    parts = {"method": CAM, "binarizer": P80, "prepare": prepare}
    examples = draw_examples(results, made, net, tmp_path, **parts)
    by_name = {sample.name: sample for sample in made}
    said = {e.sample: e.remark for e in examples}
    assert set(said.values()) == {"", "stripes: ignored pixels"}
    for name, remark in said.items():
        assert bool(remark) == bool(by_name[name].ignore.any())
    with_stripes = [one for one in spy.overlays if one["ignore"] is not None]
    assert with_stripes
    assert all(one["ignore"].shape == one["image"].shape[:2] for one in with_stripes)
    assert "stripes: ignored pixels" in written(results, tmp_path).text


def test_the_map_of_a_padded_input_is_drawn_on_the_image(multilabel, spy, tmp_path) -> None:
    results, made, net, prepare = multilabel
    draw_examples(results, made, net, tmp_path, method=CAM, binarizer=P80, prepare=prepare)
    by_shape = {sample.shape for sample in made}
    assert {one["image"].shape[:2] for one in spy.overlays} <= by_shape
    sample = made[0].by_target()[0]
    shown = crop_image(sample, prepare, prepare.image(sample)[0], sample.shape)
    np.testing.assert_allclose(shown, sample.image[..., None].repeat(3, 2), atol=1e-6)


def test_of_a_volume_the_slice_with_most_of_the_truth_is_shown(spy, tmp_path) -> None:
    net, made = volume_network(), volumes()
    prepare = Preparation(size=None, mean=(0.5,), std=(0.5,))
    results = evaluate(net, made, methods=dict([CAM]), prepare=prepare, **PARTS)
    examples = draw_examples(
        results, made, net, tmp_path, method=CAM, binarizer=P80, prepare=prepare
    )
    known = dict(zip(results.samples["sample"], results.values[:, 0], strict=True))
    for name, _, value in spy.ious:
        assert value == pytest.approx(known[name])
    for example in examples:
        number = 4 + int(example.sample.split()[1]) % 2
        assert example.remark == f"slice {number} of 8, where the truth is largest"
    for one, (name, _, _) in zip(spy.overlays[::2], spy.ious, strict=True):
        sample = next(s for s in made if s.name == name)
        k = int(sample.mask.sum((1, 2)).argmax())
        assert (np.asarray(one["truth"]) == sample.mask[k]).all()
        np.testing.assert_allclose(np.asarray(one["image"]), sample.image[k], atol=1e-6)
    assert "where the truth is largest" in written(results, tmp_path).text


def test_a_slice_is_chosen_without_a_truth_too() -> None:
    empty, mask = torch.zeros(2, 6, 4, 4, dtype=torch.bool)
    assert pictures._largest_slice(empty, mask) == (3, ", the middle")
    mask[1, 0, 0] = True
    assert pictures._largest_slice(empty, mask) == (1, ", where the mask is largest")


@pytest.mark.parametrize("labels", [True, False])
def test_maps_made_elsewhere_are_drawn_without_a_network(spy, labels, tmp_path) -> None:
    made = x_rays() if labels else [replace(s, label=None) for s in samples(6)]
    folder = tmp_path / "maps"
    folder.mkdir()
    for sample in made:
        np.save(folder / f"{sample.name}.npy", sample.image[::2, ::2])

    def bright(sample: Sample) -> np.ndarray:
        return sample.image

    results = evaluate_maps({"theirs": folder, "bright": bright}, made, **PARTS)
    for label, source in (("theirs", folder), ("theirs", str(folder)), ("bright", bright)):
        spy.ious.clear()
        out = tmp_path / "report"
        examples = draw_examples(results, made, None, out, maps=(label, source), binarizer=P80)
        scores = results.select(metric="iou", method=label)
        for name, target, value in spy.ious:
            own = scores.select(sample=name, label=target) if labels else scores.select(sample=name)
            assert value == pytest.approx(own.values[0, 0])
        assert {(e.method, e.target_class) for e in examples} == {(label, "given")}
        page = written(results, out)
        assert f"Maps of {label}, made elsewhere; the" in page.text
        assert "network" not in page.text
        assert [i for i in page.images if i["alt"].startswith("Map and mask")]


def test_what_does_not_fit_together_is_refused(multilabel, tmp_path) -> None:
    results, made, net, prepare = multilabel
    maps = ("cam", lambda sample: sample.image)
    for model, options in (
        (net, {}),
        (None, {}),
        (None, {"method": CAM}),
        (net, {"method": CAM, "maps": maps}),
    ):
        with pytest.raises(SettingError, match="either a method with its model, or maps"):
            draw_examples(results, made, model, tmp_path, binarizer=P80, **options)
    given = evaluate_maps({"cam": maps[1]}, made, **PARTS)
    with pytest.raises(SettingError, match="target class 'predicted', 'true' or a class index"):
        draw_examples(given, made, net, tmp_path, method=CAM, binarizer=P80)
    others = [
        Sample(
            s.name,
            s.image,
            targets=[Target(7, t.mask) for t in s.targets[:1]]
            + [Target(8, t.mask) for t in s.targets[1:2]],
            group=s.group,
        )
        for s in made
    ]
    with pytest.raises(DataError, match="must have a target of class"):
        draw_examples(results, others, net, tmp_path, method=CAM, binarizer=P80, prepare=prepare)


def test_tuples_are_samples_too(tmp_path) -> None:
    net = small_network()
    made = [(s.image, s.mask, s.label) for s in samples(4)]
    results = evaluate(net, made, methods=dict([CAM]), prepare=Preparation(size=32), **PARTS)
    parts = {"method": CAM, "binarizer": P80, "prepare": Preparation(size=32)}
    assert draw_examples(results, made, net, tmp_path, **parts)


def test_examples_of_an_earlier_version_are_read(multilabel, tmp_path) -> None:
    results, made, net, prepare = multilabel
    parts = {"method": CAM, "binarizer": P80, "prepare": prepare}
    draw_examples(results, made, net, tmp_path, **parts)
    file = tmp_path / "figures" / "examples.json"
    words = json.loads(file.read_text())
    for one in words["examples"]:
        del one["target"], one["remark"]
    file.write_text(json.dumps(words))
    written(results, tmp_path)
    words["examples"][0]["target"] = "round"
    file.write_text(json.dumps(words))
    with pytest.raises(DataError, match="must be words, a label, a score"):
        written(results, tmp_path)


def test_a_remark_stays_text(multilabel, tmp_path) -> None:
    results, made, net, prepare = multilabel
    parts = {"method": CAM, "binarizer": P80, "prepare": prepare}
    examples = draw_examples(results, made, net, tmp_path, **parts)
    evil = "<script>alert(1)</script>"
    drawing.write_examples(
        tmp_path / "figures", [Example(**vars(e) | {"remark": evil}) for e in examples]
    )
    page = written(results, Path(tmp_path))
    assert evil in page.text
    assert evil not in page.source
