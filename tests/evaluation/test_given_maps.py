"""Maps made elsewhere: `evaluate_maps`, and maps beside those of a network."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import SMALL, samples, small_network
from torch.nn.functional import interpolate
from torchvision.models import mobilenet_v2

import cameval
from cameval import CAMExtractor, Sample, Target, evaluate, evaluate_maps, grad_cam, pixel_auroc
from cameval.baselines import center_baseline, truth_baseline
from cameval.data import MapFolder
from cameval.errors import (
    ArrayTypeError,
    DataError,
    NonFiniteError,
    SettingError,
    ShapeError,
)
from cameval.evaluation import Preparation, Results, SameMapsWarning
from cameval.metrics import Deletion
from cameval.report import verdict_lines

PARTS: dict[str, Any] = {
    "binarizers": {"p80": cameval.PercentileBinarizer(80)},
    "metrics": {"iou": cameval.iou, "auroc": cameval.pixel_auroc},
    "baselines": {"center": center_baseline},
    "progress": False,
}


def maps_of(net, made: list[Sample]) -> dict[str, np.ndarray]:
    """Return the map of each sample at the size of its mask."""
    extract = CAMExtractor(net, cameval.cam)
    return {
        sample.name: extract(SMALL(sample)[0][None], size=sample.shape).maps[0].numpy()
        for sample in made
    }


def of_name(maps, sample):
    return maps[sample.name]


def test_maps_of_a_network_score_as_the_network_does() -> None:
    net, made = small_network(), samples(5)
    expected = evaluate(net, made, methods={"cam": cameval.cam}, prepare=SMALL, **PARTS)
    given = evaluate_maps({"cam": partial(of_name, maps_of(net, made))}, made, **PARTS)
    for method in ("cam", "center"):
        np.testing.assert_allclose(
            given.select(method=method).values,
            expected.select(method=method).values,
            rtol=0,
            atol=1e-9,
        )
    assert {column.target_class for column in given.columns} == {"given"}
    assert given.task is None
    assert given.samples["predicted"].isna().all()
    assert given.samples["probability"].isna().all()


def test_maps_stand_beside_those_of_the_network() -> None:
    net, made = small_network(), samples(5)
    source = partial(of_name, maps_of(net, made))
    both = evaluate(
        net, made, methods={"cam": cameval.cam}, maps={"theirs": source}, prepare=SMALL, **PARTS
    )
    np.testing.assert_allclose(
        both.select(method="cam").values, both.select(method="theirs").values, rtol=0, atol=1e-9
    )
    assert both.compare("iou", binarizer="p80", kind="method").iloc[0]["difference"] == 0


def test_a_folder_of_files_is_a_source(tmp_path) -> None:
    net, made = small_network(), samples(5)
    maps = maps_of(net, made)
    for name, array in maps.items():
        np.save(tmp_path / f"{name}.npy", array)
    expected = evaluate_maps({"cam": partial(of_name, maps)}, made, **PARTS)
    for source in (tmp_path, str(tmp_path), MapFolder(tmp_path)):
        found = evaluate_maps({"cam": source}, made, **PARTS)
        np.testing.assert_array_equal(found.values, expected.values)
    [label] = {
        c.method for c in evaluate_maps(tmp_path, made, **PARTS).columns if c.kind == "method"
    }
    assert label == tmp_path.name


def test_maps_of_any_size_are_interpolated() -> None:
    made = samples(3)
    coarse = torch.rand(3, 8, 8, generator=torch.manual_seed(0))
    of_name = dict(zip([sample.name for sample in made], coarse, strict=True))
    results = evaluate_maps({"coarse": lambda sample: of_name[sample.name]}, made, **PARTS)
    for row, sample in enumerate(made):
        whole = cameval.maps.upsample(coarse[row : row + 1], sample.shape)
        expected = cameval.pixel_auroc(whole, torch.from_numpy(sample.mask)[None])
        assert results.select(method="coarse", metric="auroc").values[row, 0] == pytest.approx(
            float(expected)
        )


def test_one_map_for_all_images_is_told() -> None:
    made = samples(3)
    first = np.random.default_rng(0).random((8, 8))
    maps = {"same": lambda sample: first, "zero": lambda one: 0 * first}
    for size in (1, 3):
        text = "got maps of same that are the same as another's for 3 of 3 images"
        with pytest.warns(SameMapsWarning, match=text) as told:
            results = evaluate_maps(maps, made, **PARTS, batch_size=size)
        assert len(told) == 1
        assert told[0].filename == __file__
        text = "3 of 3 images have the same map as others (same)"
        assert text in " ".join(" ".join(verdict_lines(results)).split())
    one_truth = [replace(sample, mask=made[0].mask, targets=()) for sample in made[::2]]
    evaluate_maps({"truth": lambda sample: 1.0 * sample.mask}, one_truth, **PARTS)


def test_each_target_has_its_map() -> None:
    made = [
        Sample(s.name, s.image, targets=[Target(0, s.mask), Target(1, ~s.mask)]) for s in samples(3)
    ]

    def of_label(sample):
        return sample.mask.astype(float)

    results = evaluate_maps({"truth": of_label}, made, **PARTS)
    assert results.select(method="truth", metric="auroc").values.tolist() == [[1.0]] * 6


def test_predictions_are_given_by_name_or_file(tmp_path) -> None:
    made = samples(3)
    source = {"image": lambda sample: sample.image}
    given = {"image 0": 0, "image 1": (2, 0.75), "image 2": (2, None)}
    table = evaluate_maps(source, made, predictions=given, **PARTS).samples
    assert table["predicted"].tolist() == [0, 2, 2]
    assert table["probability"].fillna(-1).tolist() == [-1, 0.75, -1]
    file = tmp_path / "predictions.csv"
    file.write_text("name,predicted,probability\nimage 0,0,\nimage 1,2,0.75\nimage 2,2,\n")
    again = evaluate_maps(source, made, predictions=file, **PARTS).samples
    assert again.equals(table)


def test_probabilities_by_class_make_a_multilabel_task(tmp_path) -> None:
    made = [
        Sample(s.name, s.image, targets=[Target(0, s.mask), Target(1, ~s.mask)]) for s in samples(2)
    ]
    rows = [f"image {i},{k},{p}" for i in range(2) for k, p in ((0, 0.9), (1, 0.2))]
    file = tmp_path / "predictions.csv"
    file.write_text("name,label,probability\n" + "\n".join(rows) + "\n")
    results = evaluate_maps({"a": lambda s: s.image}, made, predictions=file, **PARTS)
    assert results.task == "multilabel"
    assert results.samples["probability"].tolist() == [0.9, 0.2] * 2
    assert results.samples["predicted"].isna().tolist() == [False, True] * 2


def test_defaults_leave_out_what_needs_a_network() -> None:
    results = evaluate_maps({"image": lambda s: s.image}, samples(2), progress=False)
    baselines = {column.method for column in results.columns if column.kind == "baseline"}
    assert baselines == {"center", "random", "intensity", "edges"}


IN_MEMORY = r"got (Tensor|ndarray); .* \{'mine': lambda sample: by_name\[sample.name\]"


def test_maps_in_memory_are_given_as_the_message_writes_it() -> None:
    made = samples(3)
    maps = [sample.image for sample in made]
    by_name = {sample.name: one for sample, one in zip(made, maps, strict=True)}
    ours = evaluate_maps({"mine": lambda sample: by_name[sample.name]}, made, **PARTS)
    same = evaluate_maps({"mine": lambda sample: sample.image}, made, **PARTS)
    np.testing.assert_array_equal(ours.values, same.values)


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no source": ({}, {}, SettingError, "at least one source of maps"),
    "a number": ({"a": 7}, {}, SettingError, "folders or functions of a sample, got int"),
    "maps in memory": ({"a": torch.rand(2, 8, 8)}, {}, SettingError, IN_MEMORY),
    "one array": (np.ones((2, 8, 8)), {}, SettingError, IN_MEMORY),
    "a list of arrays": ([np.ones((8, 8))] * 2, {}, SettingError, IN_MEMORY),
    "a class": ([dict], {}, SettingError, "functions of a sample, got dict"),
    "no folder": ({"a": "/none/there"}, {}, DataError, "/none/there"),
    "a metric of a network": (None, {"metrics": [Deletion()]}, SettingError, "run the network"),
    "the truth on a grid": (None, {"baselines": [truth_baseline]}, SettingError, "no network"),
    "two labels": (None, {"baselines": {"image": center_baseline}}, SettingError, "'image'"),
    "predictions of a type": (None, {"predictions": 7}, ArrayTypeError, "got int"),
    "too few predictions": (None, {"predictions": {"image 0": 1}}, DataError, "for 'image 1'"),
    "a class that is none": (
        None,
        {"predictions": {"image 0": -1, "image 1": 0}},
        DataError,
        "predicted class of 'image 0'",
    ),
    "three axes": ({"a": lambda s: np.ones((2, 32, 32))}, {}, ShapeError, "'image 0'"),
    "another shape": ({"a": lambda s: np.ones((4, 32))}, {}, ShapeError, "aspect ratio"),
    "no array": ({"a": lambda s: "map"}, {}, ArrayTypeError, "maps 'a', sample 'image 0'"),
    "NaN": ({"a": lambda s: s.image * np.nan}, {}, NonFiniteError, "sample 'image 0' of class 0"),
    "a mask": ({"a": lambda s: s.mask}, {}, ArrayTypeError, "real numbers"),
}


@pytest.mark.parametrize(("maps", "options", "error", "message"), BAD.values(), ids=BAD)
def test_what_is_no_map_is_refused(maps, options, error, message) -> None:
    source = {"image": lambda sample: sample.image} if maps is None else maps
    with pytest.raises(error, match=message):
        evaluate_maps(source, samples(2), **PARTS | options)


def test_a_run_of_given_maps_continues_and_notices_other_files(tmp_path) -> None:
    made, folder, out = samples(4), tmp_path / "maps", tmp_path / "run"
    folder.mkdir()
    for sample in made:
        np.save(folder / f"{sample.name}.npy", sample.image)
    first = evaluate_maps({"a": folder}, made, out=out, batch_size=2, **PARTS)
    (out / "batches" / "000000.npz").unlink()
    again = evaluate_maps({"a": folder}, made, out=out, batch_size=2, **PARTS)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(Results.load(out).values, first.values)
    np.save(folder / "image 0.npy", np.zeros((64, 64)))
    with pytest.raises(SettingError, match="other maps, of which 'a'"):
        evaluate_maps({"a": folder}, made, out=out, batch_size=2, **PARTS)


@pytest.mark.parametrize("alignment", ["half_pixel", "receptive_field"])
def test_maps_of_the_grid_of_the_network_have_the_alignment_of_the_run(alignment) -> None:
    torch.manual_seed(0)
    made, prepare = samples(4, sizes=(64,)), Preparation(size=64)
    extract = CAMExtractor(mobilenet_v2(num_classes=3).eval(), method=grad_cam, alignment=alignment)
    images = torch.stack([prepare(sample)[0] for sample in made])
    coarse = dict(zip([s.name for s in made], extract(images).coarse.numpy(), strict=True))
    enlarged = {
        name: interpolate(torch.from_numpy(one)[None, None], (32, 32), mode="bilinear")[0, 0]
        for name, one in coarse.items()
    }
    results = evaluate(
        extract,
        made,
        methods={"own": grad_cam},
        maps={"coarse": lambda s: coarse[s.name], "enlarged": lambda s: enlarged[s.name].numpy()},
        metrics=[pixel_auroc],
        baselines=[],
        prepare=prepare,
        progress=False,
    )
    own, same, other = (results.select(method=m).values for m in ("own", "coarse", "enlarged"))
    np.testing.assert_array_equal(own, same)
    text = " ".join(verdict_lines(results))
    by_fields = alignment == "receptive_field"
    assert (np.abs(own - other).max() > 0.01) == by_fields
    assert ("those made elsewhere (coarse and enlarged)" in text) == by_fields
    assert (
        "those of the grid of the network with each cell" in results.methods_text()
    ) == by_fields
