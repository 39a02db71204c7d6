"""Several targets of an image: rows, one pass of the network, the multi-label task."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import SMALL, samples, small_network
from torch import nn
from torch.utils.data import Subset

import cameval
from cameval import CAMExtractor, Sample, Target, adapt, evaluate
from cameval.baselines import LeaveGroupOutBaseline, center_baseline, truth_baseline
from cameval.data import Objects
from cameval.errors import ClassIndexError, DataError, SettingError
from cameval.evaluation import Preparation, Prepared, Results
from cameval.methods import ScoreCAM
from cameval.metrics import Deletion, box_iou, false_positive_rate, of_masks

PARTS: dict[str, Any] = {
    "methods": {"cam": cameval.cam, "grad_cam": cameval.grad_cam, "score": ScoreCAM()},
    "binarizers": {"p80": cameval.PercentileBinarizer(80), "otsu": cameval.OtsuBinarizer()},
    "metrics": {
        "iou": cameval.iou,
        "auroc": cameval.pixel_auroc,
        "fpr": false_positive_rate,
        "deletion": Deletion(steps=3),
    },
    "baselines": {"center": center_baseline, "truth": truth_baseline},
    "prepare": SMALL,
    "progress": False,
}


def several(count: int = 6) -> list[Sample]:
    """Make images with one to three targets; the last target of each is absent."""
    made = []
    for i, sample in enumerate(samples(count)):
        targets = [
            Target(0, sample.mask),
            Target(1, np.roll(sample.mask, 3, 1)),
            Target(2, np.zeros_like(sample.mask)),
        ]
        info = {"view": "lateral" if i % 2 else "frontal", "age": 40 + i}
        made.append(
            Sample(
                sample.name, sample.image, group=sample.group, targets=targets[i % 3 :], info=info
            )
        )
    return made


def singles(made: list[Sample]) -> list[list[Sample]]:
    """Return samples with one target each: of each image its first target, then its second, ..."""
    most = max(len(sample.targets) for sample in made)
    return [
        [sample.by_target()[min(k, len(sample.targets) - 1)] for sample in made]
        for k in range(most)
    ]


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("classes", ["true", "predicted", 1])
def test_rows_of_several_targets_are_those_of_single_targets_bit_for_bit(task, classes) -> None:
    made, net = several(), small_network()
    with torch.no_grad():  # a logit is one product, which does not depend on the batch
        net.head.linear.weight.copy_(8 * torch.eye(3, 6))
    options = PARTS | {"task": task, "classes": classes, "batch_size": 4}
    whole = evaluate(net, made, **options)
    assert len(whole) == sum(len(sample.targets) for sample in made)
    parts = [evaluate(net, part, **options) for part in singles(made)]
    rows = {
        (name, label): (part.values[k], part.codes[k], part.weights[k])
        for part in parts
        for k, (name, label) in enumerate(
            zip(part.samples["sample"], part.samples["label"], strict=True)
        )
    }
    pairs = zip(whole.samples["sample"], whole.samples["label"], strict=True)
    for k, key in enumerate(pairs):
        for got, expected in zip(
            (whole.values[k], whole.codes[k], whole.weights[k]), rows[key], strict=True
        ):
            np.testing.assert_array_equal(got, expected)


def test_the_network_runs_once_for_all_targets() -> None:
    net, seen = adapt(small_network()), []
    net.features.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    options = PARTS | {"methods": {"cam": cameval.cam}, "metrics": {"iou": cameval.iou}}
    options |= {"task": "multilabel"}
    evaluate(net, several(6), batch_size=6, **options)
    counted = seen[:]
    seen.clear()
    evaluate(net, samples(6), batch_size=6, **options)
    assert counted == seen


def test_the_table_has_a_row_for_each_target_with_its_columns() -> None:
    results = evaluate(small_network(), several(3), task="multilabel", **PARTS)
    table = results.samples
    assert table["sample"].tolist() == ["image 0"] * 3 + ["image 1"] * 2 + ["image 2"]
    assert table["label"].tolist() == [0, 1, 2, 1, 2, 2]
    assert table["present"].tolist() == [True, True, False, True, False, False]
    assert table["view"].tolist() == ["frontal"] * 3 + ["lateral"] * 2 + ["frontal"]
    assert table["age"].tolist() == [40] * 3 + [41] * 2 + [42]


def test_probabilities_of_a_multilabel_task_are_sigmoids_of_the_targets() -> None:
    made, net = several(3), small_network()
    results = evaluate(net, made, task="multilabel", **PARTS)
    images = torch.stack([SMALL(sample.by_target()[0])[0] for sample in made])
    with torch.no_grad():
        chances = net(images).double().sigmoid()
    of_row = [(k, t.label) for k, sample in enumerate(made) for t in sample.targets]
    expected = [float(chances[k, label]) for k, label in of_row]
    np.testing.assert_allclose(results.samples["probability"], expected, rtol=0, atol=1e-7)
    said = results.samples["predicted"]
    for (_, label), chance, predicted in zip(of_row, expected, said, strict=True):
        assert (predicted == label) if chance > 0.5 else predicted is not None
        assert (chance > 0.5) == (not (predicted is None or str(predicted) == "<NA>"))
    assert results.task == "multilabel"


def test_maps_of_a_multilabel_task_are_of_the_class_of_the_target() -> None:
    made = several(4)
    default = evaluate(small_network(), made, task="multilabel", **PARTS)
    assert {column.target_class for column in default.columns} == {"true"}
    chosen = evaluate(small_network(), made, task="multilabel", classes="true", **PARTS)
    np.testing.assert_array_equal(default.values, chosen.values)


def test_faithfulness_of_a_multilabel_task_uses_the_sigmoid_of_the_class() -> None:
    made = [s for s in several(3) if len(s.targets) == 3]
    net = small_network()
    metric = Deletion(steps=3)
    parts = PARTS | {
        "methods": {"cam": cameval.cam},
        "metrics": {"deletion": metric},
        "baselines": {},
    }
    results = evaluate(net, made, task="multilabel", **parts)
    image = SMALL(made[0].by_target()[0])[0][None]
    maps = CAMExtractor(net, cameval.cam)(image, classes=torch.tensor([1])).maps

    def against_absence(images: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(net(images)[:, 1:2], (1, 0))

    with torch.no_grad():
        expected = metric(against_absence, image, maps, torch.tensor([1]))
    row = results.select(label=1, metric="deletion").values[0, 0]
    assert row == pytest.approx(float(expected), abs=1e-6)


def test_a_label_that_is_no_class_of_a_multilabel_network_is_refused() -> None:
    sample = samples(1)[0]
    made = [replace(sample, mask=None, label=None, targets=[Target(7, sample.mask)])]
    with pytest.raises(ClassIndexError, match="'image 0': label must be one of the network's 3"):
        evaluate(small_network(), made, task="multilabel", **PARTS | {"classes": 0})


@pytest.mark.parametrize("how", ["predicted", 0, "true"])
def test_a_label_that_is_no_class_of_the_network_is_refused(how) -> None:
    made = samples(4)
    made[3] = replace(made[3], label=3)
    match = "'image 3': label must be one of the network's 3 classes, 0 to 2, got 3.*from 0"
    with pytest.raises(ClassIndexError, match=match):
        evaluate(small_network(), made, batch_size=2, **PARTS | {"classes": how})


def test_there_is_a_class_name_for_each_output() -> None:
    for names in (["a", "b"], ["a", "b", "c", "d"]):
        with pytest.raises(
            SettingError, match=f"network's 3 classes, in their order, got {len(names)}"
        ):
            evaluate(small_network(), samples(2), class_names=names, **PARTS)


def test_a_dataset_may_have_the_first_classes_but_not_more() -> None:
    class Named(list[Sample]):
        class_names = ("a", "b")

    parts = PARTS | {"metrics": {"iou": cameval.iou}, "baselines": {}, "methods": cameval.cam}
    made = Named(samples(2))
    results = evaluate(small_network(), Subset(made, [1, 0]), **parts)
    assert results.class_names == ("a", "b")
    assert results.samples["sample"].tolist() == ["image 1", "image 0"]
    Named.class_names = ("a", "b", "c", "d")
    with pytest.raises(SettingError, match="got 4"):
        evaluate(small_network(), made, **parts)


def test_maps_of_the_targets_class_need_a_label() -> None:
    sample = samples(1)[0]
    with pytest.raises(DataError, match="'image 0': maps of the true class need a label"):
        evaluate(
            small_network(), [Sample("image 0", sample.image, sample.mask)], classes="true", **PARTS
        )


def test_a_leave_group_out_mean_is_that_of_the_targets_class() -> None:
    made = several(6)
    mean = LeaveGroupOutBaseline.of(made, (8, 8), by_class=True)
    options = PARTS | {"baselines": {"mean": mean}, "metrics": {"auroc": cameval.pixel_auroc}}
    results = evaluate(small_network(), made, task="multilabel", **options)
    assert np.isfinite(results.select(kind="baseline", present=True).values).all()


def test_a_run_of_several_targets_continues(tmp_path) -> None:
    made, out = several(6), tmp_path / "run"
    first = evaluate(small_network(), made, task="multilabel", out=out, batch_size=2, **PARTS)
    (out / "batches" / "000001.npz").unlink()
    again = evaluate(small_network(), made, task="multilabel", out=out, batch_size=2, **PARTS)
    np.testing.assert_array_equal(first.values, again.values)
    assert first.samples.equals(again.samples)
    assert Results.load(out).samples.equals(first.samples)
    changed = [*made[:-1], replace(made[-1], info={"view": "none", "age": 1})]
    with pytest.raises(DataError, match="another 'image 5'"):
        evaluate(small_network(), changed, task="multilabel", out=out, batch_size=2, **PARTS)


# --- Objects --------------------------------------------------------------------------------------


@of_masks(higher_is_better=True, truth="objects")
def count_objects(masks, objects):
    """Return the number of objects."""
    return torch.tensor([float(len(each)) for each in objects])


def _boxes(sample: Sample) -> Sample:
    height, width = sample.shape
    boxes = np.array([[0, 0, width // 2, height], [width // 2, 0, width, height]])
    return Sample(sample.name, sample.image, targets=[Target(1, boxes=boxes)])


OF_OBJECTS: dict[str, Any] = {
    "methods": {"cam": cameval.cam},
    "binarizers": {"p80": cameval.PercentileBinarizer(80)},
    "metrics": {"count": count_objects, "box_iou": box_iou, "iou": cameval.iou},
    "baselines": {},
    "progress": False,
}


def test_metrics_of_objects_see_boxes_that_touch_as_two() -> None:
    made = [_boxes(sample) for sample in samples(3)]
    results = evaluate(small_network(), made, prepare=SMALL, **OF_OBJECTS)
    assert results.select(metric="count").values.tolist() == [[2]] * 3
    split = SMALL.prepare(made[0])
    assert split.truth.all()
    assert split.objects is None  # those of the target


@pytest.mark.parametrize(
    ("prepare", "boxes"),
    [
        (Preparation(size=32, truth_size=(16, 16)), [[0, 0, 8, 16], [8, 0, 16, 16]]),
        (Preparation(size=32, crop=0.5), [[0, 0, 8, 16], [8, 0, 16, 16]]),
    ],
)
def test_objects_are_prepared_as_the_mask_is(prepare, boxes) -> None:
    made = _boxes(samples(1, sizes=(32,))[0])
    prepared = prepare.prepare(made)
    assert prepared.objects is not None
    assert prepared.objects.boxes.tolist() == boxes
    assert prepared.objects.shape == tuple(prepared.truth.shape)


def test_objects_outside_a_crop_are_left_out() -> None:
    image = np.zeros((32, 32), np.float32)
    boxes = np.array([[0.0, 0, 6, 6], [10, 10, 20, 20]])
    sample = Sample("a", image, targets=[Target(0, boxes=boxes)])
    prepared = Preparation(size=32, crop=0.5).prepare(sample)
    assert prepared.objects is not None
    assert prepared.objects.boxes.tolist() == [[2, 2, 12, 12]]


def test_objects_of_a_preparation_of_ones_own_are_its_components_or_its_own() -> None:
    def halves(sample):
        image, _ = SMALL(sample)
        truth = torch.zeros(8, 8, dtype=torch.bool)
        truth[0, :3] = truth[5:, 4] = True
        return image, truth

    def three(sample):
        image, truth = halves(sample)
        boxes = np.array([[0.0, 0, 1, 1], [1, 0, 2, 1], [4, 5, 5, 8]])
        return Prepared(image, truth, objects=Objects((8, 8), boxes))

    for prepare, count in ((halves, 2), (three, 3)):
        results = evaluate(small_network(), samples(2), prepare=prepare, **OF_OBJECTS)
        assert results.select(metric="count").values.tolist() == [[count]] * 2


def test_what_a_preparation_must_return() -> None:
    def wrong(sample):
        image, truth = SMALL(sample)
        return Prepared(image, truth, ignore=torch.ones_like(truth))

    with pytest.raises(DataError, match="'image 0': ignore must leave at least one pixel"):
        evaluate(small_network(), samples(2), prepare=wrong, **OF_OBJECTS)


def test_two_kinds_of_maps_with_one_label_are_refused() -> None:
    options = PARTS | {"maps": {"cam": lambda sample: sample.image}}
    with pytest.raises(SettingError, match="different labels, got \\['cam'\\] twice"):
        evaluate(small_network(), samples(2), **options)


def test_several_targets_without_a_task_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="has 3 targets.*task='multilabel'"):
        evaluate(small_network(), several(3), **PARTS)


def test_classes_are_selected_and_summarized_by_name() -> None:
    names = ["edema", "effusion", "mass"]
    results = evaluate(small_network(), several(6), task="multilabel", class_names=names, **PARTS)
    by_name, by_number = results.select(label="effusion"), results.select(label=1)
    np.testing.assert_array_equal(by_name.values, by_number.values)
    np.testing.assert_array_equal(
        results.select(label=["edema", 1]).values, results.select(label=[0, 1]).values
    )
    for wanted in ("mass", ["mass", "edema"]):
        by_name, by_label = results.select(class_name=wanted), results.select(label=wanted)
        np.testing.assert_array_equal(by_name.values, by_label.values)
        assert [*by_name.samples.columns] == [*results.samples.columns]
    with pytest.raises(SettingError, match=r"class_name must be one of .*edema.*, got tumor"):
        results.select(class_name="tumor")
    with pytest.raises(SettingError, match=r"conditions must be on .*near names: class_name"):
        results.select(class_nam="mass")
    with pytest.raises(SettingError, match=r"by must name .*'class_name'.*near names: class_name"):
        results.summary(by="class")
    table = results.select(metric="iou").summary(by="class_name")
    assert set(table["class_name"]) == set(names)
    of_mass = results.select(metric="fpr", label=2).summary()["mean"]
    found = results.select(metric="fpr").summary(by="class_name")
    np.testing.assert_array_equal(found[found["class_name"] == "mass"]["mean"], of_mass)
    with pytest.raises(SettingError, match="one of the names edema, effusion, mass, got 'tumor'"):
        results.select(label="tumor")
    unnamed = evaluate(small_network(), several(3), task="multilabel", **PARTS)
    with pytest.raises(SettingError, match="class_name needs results with class_names"):
        unnamed.summary(by="class_name")
    with pytest.raises(SettingError, match="class_name needs results with class_names"):
        unnamed.select(class_name="mass")
    with pytest.raises(SettingError, match="names none, got 'mass'"):
        unnamed.select(label="mass")


def test_a_run_that_ended_before_its_first_batch_may_change(tmp_path) -> None:
    made, out = several(3), tmp_path / "run"
    evaluate(small_network(), made, task="multilabel", out=out, **PARTS)
    for file in (out / "batches").iterdir():
        file.unlink()
    parts = PARTS | {"metrics": {"iou": cameval.iou}}
    results = evaluate(small_network(), made, task="multilabel", out=out, **parts)
    assert Results.load(out).columns == results.columns


class Sigmoid(nn.Module):
    """A head whose outputs are probabilities of several classes."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the probabilities."""
        return self.head(features).sigmoid()


def test_outputs_of_sigmoids_are_the_probabilities_of_a_multilabel_task(recwarn) -> None:
    plain, made = small_network(), several(4)
    ending = cameval.CAMModel(plain.features, Sigmoid(plain.head)).eval()
    parts = PARTS | {"methods": {"grad_cam": cameval.grad_cam}, "task": "multilabel"}
    usual, found = evaluate(plain, made, **parts), evaluate(ending, made, **parts)
    np.testing.assert_allclose(
        found.samples["probability"], usual.samples["probability"], rtol=0, atol=1e-6
    )
    assert found.provenance["settings"]["outputs_are"] == "probabilities"
    np.testing.assert_allclose(
        found.select(metric="deletion").values,
        usual.select(metric="deletion").values,
        rtol=0,
        atol=1e-4,
    )
    assert not [one for one in recwarn if "softmax" in str(one.message)]


def test_an_object_that_a_crop_hides_is_no_negative() -> None:
    image = np.random.default_rng(0).random((40, 80), np.float32)
    mask = np.zeros((40, 80), bool)
    mask[5:20, :10] = True
    parts = PARTS | {"prepare": Preparation(32, fit="crop"), "methods": {"cam": cameval.cam}}
    results = evaluate(small_network(), [Sample("wide", image, mask, 1)], **parts)
    assert results.samples["present"].tolist() == [True]
    assert results.samples["area"].tolist() == [0]
    assert np.isnan(results.select(metric="iou").values).all()


def test_a_summary_counts_the_negatives_in_a_mean() -> None:
    results = evaluate(small_network(), several(6), task="multilabel", **PARTS)
    table = results.select(metric=["fpr", "iou"]).summary()
    absent = int((~results.samples["present"]).sum())
    assert set(table[table["metric"] == "fpr"]["n_negative"]) == {absent}
    assert set(table[table["metric"] == "iou"]["n_negative"]) == {0}
