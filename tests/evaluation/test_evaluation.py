"""`evaluate`: every cell of the table is what the pieces give one by one."""

import dataclasses
import pickle
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from evaluations import PLAN, SMALL, Lazy, Stream, mean_inside, samples, small_network
from torch import Tensor, nn

import cameval
from cameval import CAMExtractor, evaluate
from cameval.data import Sample
from cameval.errors import (
    ArrayTypeError,
    ClassIndexError,
    DataError,
    NonFiniteError,
    SettingError,
    ShapeError,
)
from cameval.evaluation import Preparation, Results, SanityChecks
from cameval.metrics import BoundaryIoU, Deletion, ZeroWithoutObject, of_masks
from cameval.metrics.properties import of_maps, of_network
from cameval.protocols import BaselineInput


def run(data=None, **options) -> Results:
    options = {**PLAN, "prepare": SMALL, "baselines": {}, "progress": False} | options
    net = options.pop("net", None)
    return evaluate(net or small_network(), samples() if data is None else data, **options)


def flat(batch: BaselineInput) -> Tensor:
    """Return maps that see nothing and are constant."""
    return torch.ones(batch.truth.shape)


# --- Values ---------------------------------------------------------------------------------------


def test_every_cell_is_what_the_pieces_give_one_by_one() -> None:
    data, net = samples(), small_network()
    results = run(data, classes=["predicted", "true", 2], baselines={"flat": flat})
    table = results.to_pandas()
    assert len(table) == len(data) * 3 * 3 * (1 + 2 * 2)
    table = table.set_index(["sample", "target_class", "method", "binarizer", "metric"])["value"]
    for sample in data:
        image, truth = SMALL(sample)
        for target_class in ("predicted", "true", "2"):
            classes = {"predicted": None, "true": sample.label, "2": 2}[target_class]
            for label, method in PLAN["methods"].items():
                extract = CAMExtractor(net, method)
                maps = extract(image[None], classes, size=tuple(truth.shape)).maps[0]
                key = sample.name, target_class, label
                auroc = cameval.pixel_auroc(maps.numpy(), truth.numpy())
                assert table[*key, "", "auroc"] == pytest.approx(auroc, abs=1e-6)
                for name, binarize in PLAN["binarizers"].items():
                    mask = binarize(maps)
                    for metric in ("iou", "coverage"):
                        score = PLAN["metrics"][metric](mask.numpy(), truth.numpy())
                        assert table[*key, name, metric] == pytest.approx(score, abs=1e-6)
            assert table[sample.name, target_class, "flat", "p80", "iou"] == 0
            assert table[sample.name, target_class, "flat", "", "auroc"] == 0.5


def test_what_is_known_of_a_sample_stands_beside_its_scores() -> None:
    data, net = samples(), small_network()
    found = run(data, net=net).samples
    with torch.no_grad():
        logits = net(torch.stack([SMALL(sample)[0] for sample in data]))
    assert found["sample"].tolist() == [sample.name for sample in data]
    assert found["group"].tolist() == [sample.group for sample in data]
    assert found["label"].tolist() == [sample.label for sample in data]
    assert found["predicted"].tolist() == logits.argmax(1).tolist()
    np.testing.assert_allclose(found["probability"], logits.softmax(1).amax(1), rtol=1e-5)
    assert found["area"].tolist() == [sample.mask.mean() for sample in data]
    assert set(found["model"]) == {"CAMModel"}


def test_scores_hardly_depend_on_the_batch() -> None:
    one, all_at_once = run(batch_size=1), run(batch_size=7)
    np.testing.assert_allclose(one.values, all_at_once.values, rtol=1e-5)


def test_lists_datasets_iterables_and_workers_give_the_same_table() -> None:
    data = samples()
    lazy = Lazy(data)
    expected = run(data, batch_size=2)
    for given, options in [
        (lazy, {}),
        (Stream(data), {}),
        ((sample for sample in data), {}),
        (Lazy(data), {"workers": 2}),
    ]:
        found = run(given, batch_size=2, **options)
        assert found.samples.equals(expected.samples)
        assert np.array_equal(found.values, expected.values)
    assert lazy.read == list(range(7))


def test_an_extractor_of_a_network_gives_the_name_of_the_network() -> None:
    net = torchvision.models.squeezenet1_1(num_classes=3).eval()
    results = run(net=CAMExtractor(net), data=samples(2), prepare=Preparation(size=64))
    assert results.samples["model"].tolist() == ["SqueezeNet"] * 2


def test_an_inner_layer_can_be_evaluated() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    results = run(
        net=cameval.adapt(net, layer="1"), methods=[cameval.layer_cam], metrics=[cameval.iou]
    )
    assert results.provenance["settings"]["layer"] == "1"


def test_metrics_of_the_user_and_of_the_network() -> None:
    seen = []

    @of_network(higher_is_better=True)
    def confidence(network, images, maps, classes):
        seen.append((tuple(images.shape), tuple(maps.shape)))
        return network(images).softmax(1).gather(1, classes[:, None])[:, 0]

    small_reference = partial(cameval.size_standardized_iou, reference=0.01)
    results = run(metrics=[mean_inside, confidence, small_reference], baselines={"flat": flat})
    labels = {column.metric for column in results.columns}
    assert labels == {"mean_inside", "confidence", "size_standardized_iou:reference=0.01"}
    assert set(seen) == {((7, 3, 32, 32), (7, 32, 32))}
    table = results.select(metric="confidence").to_pandas()
    np.testing.assert_allclose(table["value"], table["probability"], rtol=1e-6)
    assert results.select(method="flat", metric="mean_inside").values.tolist() == [[1.0]] * 7


def of_arrays(maps: object, target: object) -> object:
    """Score maps with what only NumPy arrays have."""
    return (maps * target).astype(float).sum((-2, -1)) / target.astype(float).sum((-2, -1))


MAP_METRICS = {
    "a tensor": mean_inside,
    "an array": lambda maps, target: np.asarray(mean_inside(maps, target)),
    "a list of floats": lambda maps, target: mean_inside(maps, target).tolist(),
    "a list of tensors": lambda maps, target: list(mean_inside(maps, target)),
    "NumPy alone": of_arrays,
    "a float of one image": lambda maps, target: float((maps * target).sum() / target.sum()),
    "a scalar of NumPy": lambda maps, target: np.float64((maps * target).sum() / target.sum()),
    "a tensor without axes": lambda maps, target: (maps * target).sum() / target.sum(),
}


@pytest.mark.parametrize("metric", MAP_METRICS.values(), ids=MAP_METRICS)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_map_metric_of_the_users_own_may_return_any_kind_of_number(metric, batch_size) -> None:
    expected = run(metrics=[mean_inside], batch_size=batch_size)
    results = run(metrics={"mine": of_maps(partial(metric))}, batch_size=batch_size)
    np.testing.assert_allclose(results.values, expected.values, rtol=1e-5)


@pytest.mark.parametrize("wrong", ["high", None, [1.0, 2.0], {"score": 1.0}, [[1.0], [1.0, 2.0]]])
def test_a_metric_that_returns_no_score_per_image_is_refused(wrong) -> None:
    with pytest.raises(
        ShapeError, match=r"metric mine must return one score per image, \(8,\), got"
    ):
        run(metrics={"mine": of_maps(lambda maps, target: wrong)})


def test_an_error_of_a_map_metric_that_is_not_decorated_names_the_decorator() -> None:
    def mine(maps: Tensor, target: Tensor) -> Tensor:
        return maps.mean((-2, -1))  # masks have no mean

    with (
        pytest.warns(UserWarning, match="'mine' does not say what it takes"),
        pytest.raises(RuntimeError) as raised,
    ):
        run(metrics=[mine])
    assert "decorate a metric of maps with cameval.metrics.of_maps" in raised.value.__notes__[0]
    assert "while scoring samples 'image 0' to 'image 6'" in raised.value.__notes__[1]


def test_an_argument_that_evaluate_does_not_have_is_named_as_python_does() -> None:
    lazy = Lazy(samples())
    message = r"evaluate\(\) got an unexpected keyword argument 'batchsize'"
    with pytest.raises(TypeError, match=message):
        run(lazy, batchsize=3)
    assert not lazy.read


def mean_outside(maps: Tensor, target: Tensor) -> Tensor:
    return (maps * ~target).sum((-2, -1))


@pytest.mark.parametrize(
    "silent",
    [
        mean_outside,
        partial(mean_outside),
        lambda maps, target: mean_outside(maps, target),
        type("Scored", (), {"__call__": lambda _, maps, target: mean_outside(maps, target)})(),
    ],
)
def test_a_metric_that_does_not_say_what_it_takes_is_named_with_the_remedy(silent) -> None:
    message = r"'mine' does not say what it takes, and is given masks; decorate it with "
    message += r"cameval\.metrics\.of_masks, of_maps or of_network"
    with pytest.warns(UserWarning, match=message) as said:
        results = run(metrics={"mine": silent, "iou": cameval.iou})
    assert len(said) == 1
    meaning = results.meanings.metrics["mine"]
    assert (meaning.takes, meaning.higher_is_better) == ("masks", None)
    assert {column.binarizer for column in results.columns} == {"p80", "mean"}


class Scored:
    """A metric that says what it takes as an attribute of its class."""

    takes = "maps"
    higher_is_better = False

    def __call__(self, maps: Tensor, target: Tensor) -> Tensor:
        """Score maps."""
        return mean_outside(maps, target)


@pytest.mark.parametrize(
    ("metric", "takes", "higher"),
    [
        (Scored(), "maps", False),
        (partial(Scored()), "maps", False),
        (mean_inside, "maps", True),
        (partial(mean_inside), "maps", True),
        (of_maps(partial(mean_outside)), "maps", None),
        (of_masks(partial(mean_outside), higher_is_better=False), "masks", False),
        (cameval.iou, "masks", True),
    ],
)
def test_a_metric_that_says_what_it_takes_is_given_it_without_a_word(
    metric, takes, higher, recwarn
) -> None:
    results = run(metrics={"mine": metric})
    assert not recwarn.list
    meaning = results.meanings.metrics["mine"]
    assert (meaning.takes, meaning.higher_is_better) == (takes, higher)
    binarizers = {column.binarizer for column in results.columns}
    assert binarizers == ({""} if takes == "maps" else {"p80", "mean"})


def test_a_mark_that_is_none_is_refused() -> None:
    class Wrong(Scored):
        takes = "pictures"

    class Turned(Scored):
        higher_is_better = "yes"

    for metric, message in ((Wrong(), "takes must be one of"), (Turned(), "must be True, False")):
        with pytest.raises(SettingError, match=message):
            run(metrics={"mine": metric})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_network_is_shown_images_as_they_were_prepared(dtype) -> None:
    def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
        image, truth = SMALL(sample)
        return image.to(dtype), truth

    found = run(net=small_network().to(dtype), prepare=prepare)
    np.testing.assert_allclose(found.samples["probability"], run().samples["probability"], 1e-5)


def test_the_network_is_left_as_it_is() -> None:
    net = small_network().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    run(net=net)
    assert all(module.training for module in net.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


# --- Undefined ------------------------------------------------------------------------------------


def test_what_is_undefined_says_why() -> None:
    image = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    nothing, everything = np.zeros((32, 32), bool), np.ones((32, 32), bool)
    data = [
        Sample("empty", image, nothing, 0, "a"),
        Sample("full", image, everything, 1, "b"),
        samples(1)[0],
    ]

    def negative(batch: BaselineInput) -> Tensor:
        return -1 - torch.rand(batch.truth.shape)

    results = run(
        data,
        methods={"cam": cameval.cam},
        binarizers={"mean": cameval.MeanBinarizer()},
        metrics=[cameval.iou, cameval.informedness, cameval.relevance_mass_accuracy],
        baselines={"negative": negative, "flat": flat},
    )
    table = results.to_pandas().set_index(["sample", "method", "metric"])
    assert (table.loc["empty", "value"].isna()).all()
    assert (table.loc["empty", "reason"] == "empty truth").all()
    assert table.loc[("full", "cam", "informedness"), "reason"] == "truth is everything"
    assert table.loc[("full", "cam", "iou"), "reason"] == ""
    mass = table.loc[("image 0", "negative", "relevance_mass_accuracy")]
    assert np.isnan(mass["value"])
    assert mass["reason"] == "map without a positive value"
    assert table["constant"].eq(table.index.get_level_values("method") == "flat").all()
    assert table.loc[("image 0", "flat", "iou"), "value"] == 0
    summary = results.summary().set_index(["method", "metric"])
    assert summary.loc[("cam", "iou"), "n_undefined"] == 1
    assert summary.loc[("cam", "informedness"), "n_undefined"] == 2
    assert summary.loc[("flat", "iou"), "n_constant"] == 3
    assert summary.loc[("negative", "relevance_mass_accuracy"), "n_undefined"] == 3


def test_a_map_that_is_not_finite_names_the_sample() -> None:
    def broken(activations, target):
        maps = activations.features.mean(1)
        maps[3, 0, 0] = float("nan")
        return maps

    with pytest.raises(NonFiniteError, match="broken for sample 'image 3'"):
        run(methods={"broken": broken})


def test_logits_that_are_not_finite_name_the_sample() -> None:
    net = small_network()
    with torch.no_grad():
        net.head.linear.bias[1] = float("nan")
    with pytest.raises(NonFiniteError, match=r"logits must be finite, got NaN .* 'image 0'"):
        run(net=net, methods=[cameval.cam])


def test_a_metric_must_not_return_infinity() -> None:
    @of_masks
    def endless(pred: Tensor, target: Tensor) -> Tensor:
        return torch.full(pred.shape[:1], float("inf"))

    with pytest.raises(NonFiniteError, match="metric endless must return numbers"):
        run(metrics=[endless])


# --- Mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": {}}, "methods must name at least one"),
        ({"metrics": {}}, "metrics must name at least one"),
        ({"binarizers": {}}, "binarizers must name at least one for metrics of masks .iou"),
        ({"methods": [cameval.cam, cameval.cam]}, "methods must have different labels, got 'cam'"),
        ({"methods": {"x": cameval.cam}, "baselines": {"x": flat}}, r"labels, got \['x'\] twice"),
        ({"methods": {1: cameval.cam}}, "labels of methods must be non-empty text, got 1"),
        ({"methods": {"grad_cam": cameval.cam}}, "names of others, got 'grad_cam' for cam; leave"),
        ({"metrics": {"IoU": cameval.coverage}}, "names of others, got 'IoU' for coverage; leave"),
        (
            {"metrics": {"dice": partial(cameval.pointing_game, tolerance=3)}},
            r"labels of metrics must not be the names of others, got 'dice' for pointing_game\(tol",
        ),
        (
            {"binarizers": {"otsu": cameval.MeanBinarizer()}},
            r"labels of binarizers must not be the names of others, got 'otsu' for MeanBinarizer",
        ),
        (
            {"baselines": {"intensity": cameval.baselines.center_baseline}},
            "labels of baselines must not be the names of others, got 'intensity' for center",
        ),
        ({"methods": {"x": 3}}, "methods must be callable, got 3"),
        ({"classes": "guessed"}, "classes must be 'predicted', 'true', a class index"),
        ({"classes": []}, "classes must name at least one target class"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"workers": -1}, "workers must be an integer of at least 0, got -1"),
    ],
)
def test_settings_are_checked_before_anything_is_read(options, message) -> None:
    lazy = Lazy(samples())
    with pytest.raises(SettingError, match=message):
        run(lazy, **options)
    assert not lazy.read


def test_a_label_may_be_the_name_of_what_is_inside_or_of_a_function_of_ones_own() -> None:
    @of_masks
    def own(pred, target):
        return cameval.iou(pred, target)

    inside = run(metrics={"iou": ZeroWithoutObject(cameval.iou)})
    assert {one.metric for one in inside.columns} == {"iou"}
    assert {one.metric for one in run(metrics={"iou": own}).columns} == {"iou"}


WORDS: dict[str, tuple[dict[str, Any], str]] = {
    "a metric": (
        {"metrics": ["iou"]},
        "metrics must be callable, got 'iou'; import it: from cameval import iou",
    ),
    "one word": ({"metrics": "specificity"}, "from cameval.metrics import specificity"),
    "by label": ({"metrics": {"mine": "dice"}}, "from cameval import dice"),
    "a binarizer": (
        {"binarizers": ["otsu"]},
        "from cameval import OtsuBinarizer, and write OtsuBinarizer()",
    ),
    "with settings": ({"binarizers": ["percentile:95"]}, "and write PercentileBinarizer(95)"),
    "settings that are needed": ({"binarizers": ["percentile"]}, "PercentileBinarizer(...)"),
    "nested": (
        {"binarizers": ["largest_component:percentile:95"]},
        "from cameval.binarizers import LargestComponent, and write LargestComponent(...)",
    ),
    "a baseline": ({"baselines": ["center"]}, "from cameval.baselines import center_baseline"),
    "a method": ({"methods": ["grad_cam"]}, "methods must be callable, got 'grad_cam'; import it"),
    "unknown": ({"metrics": ["iuo"]}, "got 'iuo'; those of cameval are in cameval.metrics"),
    "a class": (
        {"methods": [cameval.ScoreCAM]},
        "methods must be instances, got the class ScoreCAM; write ScoreCAM()",
    ),
    "one class": (
        {"binarizers": cameval.PercentileBinarizer},
        "got the class PercentileBinarizer; write PercentileBinarizer(...)",
    ),
    "a class by label": ({"metrics": {"b": BoundaryIoU}}, "class BoundaryIoU; write BoundaryIoU()"),
}


@pytest.mark.parametrize(("options", "message"), WORDS.values(), ids=WORDS)
def test_words_and_classes_are_refused_with_what_to_write(options, message, recwarn) -> None:
    lazy = Lazy(samples())
    with pytest.raises(SettingError, match=re.escape(message)):
        run(lazy, **options)
    assert not recwarn.list
    assert not lazy.read


def test_words_and_classes_are_refused_in_sanity_checks() -> None:
    with pytest.raises(SettingError, match=r"got 'random'; .* and write RandomBaseline\(\)"):
        SanityChecks(controls=["random"])
    with pytest.raises(SettingError, match=r"got the class Deletion; write Deletion\(\)"):
        SanityChecks(faithfulness=[Deletion])


def test_the_warning_of_a_silent_metric_is_at_the_line_of_the_user() -> None:
    with pytest.warns(UserWarning, match="'mean_outside' does not say") as said:
        evaluate(small_network(), samples(1), metrics=[mean_outside], progress=False)
    assert said[0].filename == __file__


class Plain:
    """A binarizer without a name and a representation."""

    def __call__(self, maps: Tensor) -> Tensor:
        """Binarize maps."""
        return maps > 0


def test_an_object_without_a_label_has_that_of_its_class_in_all_tables() -> None:
    results = run(binarizers=[Plain()])
    assert {column.binarizer for column in results.columns if column.binarizer} == {"Plain"}
    assert results.meanings.binarizers["Plain"].setting == "Plain"


def test_an_iterable_has_no_workers() -> None:
    with pytest.raises(SettingError, match="workers must be 0 for samples without a length"):
        run(Stream(samples()), workers=2)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([], DataError, "samples must hold at least one"),
        (5, ArrayTypeError, "samples must be a dataset or an iterable"),
        ([samples(1)[0], (1, 2)], ArrayTypeError, "sample 1: image must be an array or tensor"),
        ([samples(1)[0], 7], ArrayTypeError, "sample 1: samples must be .* got int; wrap"),
        (samples(1) * 2, DataError, "names of samples must be unique, got 'image 0' twice"),
        ([*samples(3), *samples(1)], DataError, "unique, got 'image 0' twice"),
    ],
)
def test_samples_are_checked(data, error, message) -> None:
    with pytest.raises(error, match=message):
        run(data, batch_size=2)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_read_is_named(workers) -> None:
    class Broken(Lazy):
        def __getitem__(self, index: int) -> Sample:
            if index == 4:
                raise DataError("scan 4.png must be an image, got a poem")
            return super().__getitem__(index)

    with pytest.raises(DataError, match=r"sample 4: scan 4\.png must be an image"):
        run(Broken(samples()), workers=workers, batch_size=2)


def test_an_error_that_cannot_travel_comes_back_in_words() -> None:
    class Broken(Lazy):
        def __getitem__(self, index: int) -> Sample:
            if index < 3:
                return super().__getitem__(index)
            error = ValueError("no such scan")
            error.file = lambda: 0
            raise error

    with pytest.raises(RuntimeError, match="ValueError: no such scan"):
        run(Broken(samples()), workers=1)


def test_an_error_of_the_users_own_keeps_its_type() -> None:
    class Broken(Lazy):
        def __getitem__(self, index: int) -> Sample:
            raise KeyError("no such scan")

    with pytest.raises(KeyError) as caught:
        run(Broken(samples()))
    assert caught.value.__notes__ == ["while reading sample 0"]


def test_an_error_in_a_metric_says_of_which_samples() -> None:
    @of_masks
    def broken(pred: Tensor, target: Tensor) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run(metrics=[broken], batch_size=3)
    assert caught.value.__notes__ == [
        "metric 'broken' was called with torch.bool (4, 32, 32) and true masks",
        "while scoring samples 'image 0' to 'image 2'",
    ]


def test_a_label_that_is_no_class_is_named_whatever_the_target_class_is() -> None:
    data = [*samples(2), dataclasses.replace(samples(3)[2], label=9)]
    for classes in ("predicted", "true"):
        with pytest.raises(ClassIndexError, match="sample 'image 2': label must be one of the n"):
            run(data, classes=classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": {"bad": of_masks(lambda *_: torch.zeros(3))}}, "metric bad must return one"),
        ({"binarizers": {"bad": lambda maps: maps[0]}}, "binarizer bad must return boolean"),
        ({"baselines": {"bad": lambda batch: torch.zeros(2)}}, "baseline bad must return maps"),
        ({"prepare": lambda s: (torch.zeros(3, 8, 8), torch.zeros(4))}, "must return a boolean"),
        (
            {"prepare": lambda s: (torch.zeros(3, 8, int(s.name[-1]) + 8), torch.ones(4, 4) > 0)},
            "'image 1': prepare must return images of one shape",
        ),
    ],
)
def test_parts_that_give_the_wrong_shape_are_named(options, message) -> None:
    with pytest.raises(ShapeError, match=message):
        run(**options)


# --- Preparation ----------------------------------------------------------------------------------


def test_the_whole_frame_is_squeezed_and_the_truth_is_kept() -> None:
    image = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    sample = Sample("a", image, image > 0.5, 0, "a")
    prepared, truth = Preparation(size=(20, 30), mean=(0, 0, 0), std=(1, 1, 1))(sample)
    assert np.array_equal(truth.numpy(), sample.mask)
    np.testing.assert_allclose(prepared[1], image.reshape(20, 2, 30, 2).mean((1, 3)), atol=0.02)
    assert torch.equal(prepared[0], prepared[2])


def test_a_crop_takes_image_and_truth_alike() -> None:
    image = np.zeros((40, 60), np.float32)
    image[5:35, 15:45] = 1  # the centered square of three quarters of 40
    sample = Sample("a", image, image > 0.5, 0, "a")
    prepared, truth = Preparation(size=16, crop=0.75, mean=(0, 0, 0), std=(1, 1, 1))(sample)
    assert truth.shape == (30, 30)
    assert truth.all()
    assert torch.allclose(prepared, torch.ones(()))


def test_one_number_is_the_height_and_width_of_the_grid_of_the_scores() -> None:
    mask = np.zeros((8, 12), np.bool_)
    mask[:4] = True
    sample = Sample("a", np.zeros((8, 12), np.float32), mask)
    prepare = Preparation(size=6, truth_size=4)
    assert prepare == Preparation(size=(6, 6), truth_size=(4, 4))
    assert prepare(sample)[1].tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
    with pytest.raises(SettingError, match="positive integers"):
        Preparation(size=6, truth_size=0)


def test_the_truth_is_resized_by_majority() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0, :3] = mask[1, 0] = True  # three quarters of one cell, a quarter of another
    sample = Sample("a", np.zeros((4, 4), np.float32), mask, 0, "a")
    _, truth = Preparation(size=8, truth_size=(2, 2))(sample)
    assert truth.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be"),
        ({"size": "big"}, "size must be"),
        ({"crop": 1.5}, "crop must be"),
        ({"mean": (0, 0)}, "mean and std must have one number for each channel"),
        ({"std": (1, 0, 1)}, "std must be positive"),
        ({"mean": 0, "std": 1}, r"mean must be finite numbers, one for each channel, .*, got 0"),
        ({"mean": ()}, r"mean must be finite numbers, one for each channel, .*, got \(\)"),
        ({"std": "abc"}, "std must be finite numbers, one for each channel, .*, got 'abc'"),
        (
            {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)},
            r"must be those of images in \[0, 1\], got .*; divide them by 255",
        ),
    ],
)
def test_settings_of_a_preparation_are_checked(settings, message) -> None:
    with pytest.raises(SettingError, match=message):
        Preparation(**settings)


def test_sizes_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Preparation(size=8, truth_size=(4, 6))
    monkeypatch.setattr("cameval.evaluation.preparation.check_size", None)
    image, truth = prepare(Sample("a", np.zeros((9, 9), np.float32), np.zeros((9, 9), bool)))
    assert (image.shape, truth.shape) == ((3, 8, 8), (4, 6))


def test_five_channels_are_refused() -> None:
    sample = Sample("a", np.zeros((4, 4, 5), np.float32), np.zeros((4, 4), bool), 0, "a")
    with pytest.raises(ShapeError, match="3 channels, got 5"):
        Preparation(size=8)(sample)


def test_results_can_be_sent_to_another_process() -> None:
    results = run()
    again = pickle.loads(pickle.dumps(results))
    assert np.array_equal(again.values, results.values)


def test_a_photo_is_averaged_when_it_is_made_smaller() -> None:
    image = np.zeros((64, 64), np.float32)
    image[:, ::4] = 1  # plain interpolation reads only between these lines
    prepare = Preparation(size=16, mean=(0, 0, 0), std=(1, 1, 1))
    prepared, _ = prepare(Sample("lines", image, image > 0))
    torch.testing.assert_close(prepared[:, 2:-2, 2:-2], torch.full((3, 12, 12), 0.25))


def test_a_map_of_zeros_alone_is_told_from_one_with_a_negative_value() -> None:
    def zeros(batch: BaselineInput) -> Tensor:
        return torch.zeros(batch.truth.shape)

    def dip(batch: BaselineInput) -> Tensor:
        return torch.zeros(batch.truth.shape).index_fill(1, torch.tensor([0]), -1.0)

    def bump(batch: BaselineInput) -> Tensor:
        return -dip(batch)

    @of_maps(higher_is_better=True)
    def nowhere(maps: Tensor, target: Tensor) -> Tensor:
        return torch.full(maps.shape[:1], torch.nan)

    blind = {"zeros": zeros, "dip": dip, "bump": bump}
    table = run(samples(2), methods={}, baselines=blind, metrics=[nowhere]).to_pandas()
    reasons = dict(zip(table["method"], table["reason"], strict=True))
    assert reasons == {
        "zeros": "map without a positive value",
        "dip": "map without a positive value",
        "bump": "undefined",
    }


def test_half_a_cell_of_truth_is_no_majority() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:, 1] = True
    mask[:3, 2:] = True
    _, truth = Preparation(size=4, truth_size=(2, 2))(
        Sample("half", np.ones_like(mask, np.float32), mask)
    )
    assert truth.tolist() == [[False, True], [False, False]]


def test_a_distance_of_an_empty_mask_says_that_it_is_empty() -> None:
    distance = cameval.metrics.HausdorffDistance()
    blind = {"flat": flat, "varied": lambda batch: batch.truth.float()}
    table = run(samples(2), methods={}, baselines=blind, metrics={"hd": distance}).to_pandas()
    reasons = table.groupby("method", observed=True)["reason"].unique()
    assert reasons["flat"].tolist() == ["empty prediction"]
    assert reasons["varied"].tolist() == [""]
