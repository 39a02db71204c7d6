"""What the classifier said: one logit, several, or probabilities already."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from evaluations import PLAN, SMALL, samples, small_network
from torch import Tensor, nn

import cameval
from cameval import CAMExtractor, CAMModel, GAPHead, concat, evaluate
from cameval.errors import (
    ClassIndexError,
    DataError,
    SettingError,
    ShapeError,
    UnsupportedModelError,
)
from cameval.evaluation import Results
from cameval.evaluation._plan import check_task, task_of
from cameval.extractor import CAMSweep, ProbabilityWarning
from cameval.metrics import average_drop, increase_in_confidence
from cameval.metrics.properties import of_maps, of_network
from cameval.report import verdict_lines

METHODS = {"cam": cameval.cam, "grad": cameval.grad_cam}


def one_logit(bias: float = 0.0) -> CAMModel:
    """Make a network of one logit that says both on the samples, if it is not shifted."""
    net = small_network(1)
    with torch.no_grad():
        net.head.linear.bias.fill_(0)
        logits = net(torch.stack([SMALL(sample)[0] for sample in samples()]))
        net.head.linear.bias.fill_(bias - logits.median())
    return net


def two_logits(net: CAMModel) -> CAMModel:
    """Make the network of -z / 2 and z / 2, whose softmax is the sigmoid of z."""
    line, twice = net.head.linear, nn.Linear(6, 2)
    with torch.no_grad():
        twice.weight.copy_(torch.cat([-line.weight, line.weight]) / 2)
        twice.bias.copy_(torch.cat([-line.bias, line.bias]) / 2)
    return CAMModel(net.features, GAPHead(twice)).eval()


def logits_of(net: nn.Module) -> Tensor:
    with torch.no_grad():
        return net(torch.stack([SMALL(sample)[0] for sample in samples()]))


def run(net: nn.Module, data: object = None, **options: object) -> Results:
    options = {**PLAN, "prepare": SMALL, "baselines": {}, "progress": False} | options
    return evaluate(net, binary() if data is None else data, **options)


@of_maps(higher_is_better=True)
def sum_inside(maps: Tensor, target: Tensor) -> Tensor:
    return (maps * target).sum((-2, -1))


def binary(count: int = 7) -> list[cameval.Sample]:
    """Make samples whose labels are 0 and 1."""
    return [cameval.Sample(s.name, s.image, s.mask, k % 2) for k, s in enumerate(samples(count))]


# --- One logit ------------------------------------------------------------------------------------


def test_one_logit_predicts_by_its_sign() -> None:
    net = one_logit()
    z = logits_of(net)[:, 0].double()
    found = run(net).samples
    assert set(found["predicted"]) == {0, 1}
    assert found["predicted"].tolist() == (z > 0).int().tolist()
    np.testing.assert_allclose(found["probability"], torch.sigmoid(z.abs()), rtol=1e-6)


@pytest.mark.parametrize(("bias", "said"), [(-5.0, 0), (5.0, 1), (-500.0, 0), (500.0, 1)])
def test_a_shifted_logit_predicts_one_class_alone(bias, said) -> None:
    net = one_logit(bias)
    found = run(net).samples
    assert (found["predicted"] == said).all()
    expected = torch.sigmoid(logits_of(net)[:, 0].double().abs())
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-6)


def negated(net: CAMModel) -> CAMModel:
    """Make the network whose logit is -z."""
    line = nn.Linear(6, 1)
    with torch.no_grad():
        line.weight.copy_(-net.head.linear.weight)
        line.bias.copy_(-net.head.linear.bias)
    return CAMModel(net.features, GAPHead(line)).eval()


@pytest.mark.parametrize("method", METHODS)
def test_the_map_of_the_first_class_is_that_of_minus_the_logit(method) -> None:
    options = {"methods": {method: METHODS[method]}, "metrics": [sum_inside]}
    net = one_logit()
    first, second = (run(net, classes=k, **options).values for k in (0, 1))
    np.testing.assert_allclose(first, run(negated(net), classes=1, **options).values, rtol=1e-6)
    assert (first != second).all()
    if method == "cam":  # Grad-CAM has a ReLU
        np.testing.assert_allclose(first, -second, rtol=1e-6)
    extract = CAMExtractor(net, METHODS[method])
    image, truth = SMALL(samples()[0])
    maps = extract(image[None], 1, size=tuple(truth.shape)).maps
    np.testing.assert_allclose(second[0], sum_inside(maps, truth[None]), rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_map_of_the_predicted_and_of_the_true_class_is_that_of_the_sign(method) -> None:
    net, data = one_logit(), binary()
    options = {"methods": {method: METHODS[method]}, "metrics": [sum_inside]}
    found = run(net, data, classes=["predicted", "true", 0, 1], **options)
    values = {
        c.target_class: column for c, column in zip(found.columns, found.values.T, strict=True)
    }
    by_class = np.stack([values["0"], values["1"]])
    for target_class, name in (("predicted", "predicted"), ("true", "label")):
        classes = found.samples[name].to_numpy(int)
        assert set(classes) == {0, 1}
        np.testing.assert_array_equal(values[target_class], by_class[classes, np.arange(7)])


def test_one_logit_is_scored_as_the_two_that_say_the_same() -> None:
    net, data = one_logit(), binary()
    metrics = {**PLAN["metrics"], "drop": average_drop, "rise": increase_in_confidence}
    options = {"classes": ["predicted", "true", 0, 1], "metrics": metrics, "batch_size": 3}
    one, two = run(net, data, **options), run(two_logits(net), data, **options)
    assert one.task == "binary"
    assert two.task == "multiclass"
    assert one.samples["predicted"].tolist() == two.samples["predicted"].tolist()
    np.testing.assert_allclose(one.samples["probability"], two.samples["probability"], rtol=1e-5)
    np.testing.assert_allclose(one.values, two.values, rtol=1e-4, atol=1e-6)
    assert (one.select(metric="drop").values > 0).any()


@pytest.mark.parametrize("classes", [2, -1, [0, 2], lambda logits: torch.full((len(logits),), 2)])
def test_one_logit_has_no_third_class(classes) -> None:
    with pytest.raises(ClassIndexError, match=r"\[0, 2\), got (2|-1)"):
        run(one_logit(), classes=classes)


@pytest.mark.parametrize("classes", ["true", "predicted", 1])
def test_a_label_of_a_third_class_is_refused_whatever_the_target_class_is(classes) -> None:
    with pytest.raises(ClassIndexError, match=r"'image 2': label must be one of .* 2 classes, 0"):
        run(one_logit(), samples(), classes=classes)


def test_images_without_labels_have_a_prediction_all_the_same() -> None:
    data = [cameval.Sample(s.name, s.image, s.mask) for s in samples()]
    found = run(one_logit(), data)
    assert found.samples["label"].isna().all()
    assert set(found.samples["predicted"]) == {0, 1}
    with pytest.raises(DataError, match="sample 'image 0': maps of the true class need a label"):
        run(one_logit(), data, classes="true")


# --- Probabilities --------------------------------------------------------------------------------


class _Softmax(nn.Module):
    """A head whose outputs are probabilities already."""

    def __init__(self, head: nn.Module, finish: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head = head
        self.finish = finish

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.head(x))


def finished(net: CAMModel, finish: Callable[[Tensor], Tensor]) -> CAMModel:
    return CAMModel(net.features, _Softmax(net.head, finish)).eval()


IGNORED = pytest.mark.filterwarnings("ignore::cameval.extractor.ProbabilityWarning")


@IGNORED
def test_outputs_that_are_probabilities_are_taken_as_they_are() -> None:
    plain = small_network()
    net = finished(plain, lambda z: z.softmax(1))
    expected = logits_of(plain).double().softmax(1).amax(1)
    found = run(net, methods=[cameval.grad_cam]).samples
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-6)
    twice = logits_of(net).double().softmax(1).amax(1)
    assert (found["probability"] > twice.numpy() + 0.01).all()


def test_a_network_that_returns_probabilities_is_told() -> None:
    net, words = finished(small_network(), lambda z: z.softmax(1)), "without its last softmax"
    images = torch.rand(2, 3, 32, 32)
    extract = CAMExtractor(net)
    with pytest.warns(ProbabilityWarning, match=words):
        extract(images)
    extract(images)  # told once
    CAMExtractor(net)(images, target=lambda outputs: outputs[:, 0].log())
    with pytest.warns(ProbabilityWarning, match=words):
        CAMSweep(net, {"grad_cam": cameval.grad_cam})(images)
    with pytest.warns(ProbabilityWarning, match=words):
        CAMSweep(net, {"grad_cam": cameval.grad_cam}, ["features"])(images)
    with pytest.warns(ProbabilityWarning, match=words):
        found = run(net, methods=[cameval.grad_cam])
    caution = "The outputs are probabilities, not logits: maps by gradients vanish"
    assert caution in " ".join(verdict_lines(found))
    assert caution not in " ".join(verdict_lines(run(small_network(), methods=[cameval.grad_cam])))


def test_metrics_of_the_network_are_those_of_its_probabilities() -> None:
    """A softmax is not taken twice."""
    plain = small_network()
    with torch.no_grad():
        plain.head.linear.weight *= 20
    options = {
        "metrics": {"drop": average_drop, "rise": increase_in_confidence},
        "methods": {},
        "baselines": {"center": cameval.baselines.center_baseline},
    }
    one, other = (run(n, **options) for n in (plain, finished(plain, lambda z: z.softmax(1))))
    np.testing.assert_allclose(one.values, other.values, rtol=1e-4, atol=1e-6)
    assert (one.select(metric="drop").values > 0.01).any()


@IGNORED
def test_a_metric_of_the_network_is_given_logits_whose_softmax_are_the_probabilities() -> None:
    @of_network(higher_is_better=True)
    def confidence(network, images, maps, classes):
        return network(images).softmax(1).gather(1, classes[:, None])[:, 0]

    for net in (finished(small_network(), lambda z: z.softmax(1)), small_network()):
        options = {"metrics": [confidence], "methods": [cameval.grad_cam]}
        table = run(net, **options).to_pandas()
        np.testing.assert_allclose(table["value"], table["probability"], rtol=1e-5)


def test_sigmoids_of_several_classes_are_taken_for_logits_and_the_user_is_told() -> None:
    net = finished(small_network(), torch.sigmoid)
    expected = logits_of(net).double().softmax(1).amax(1)
    with pytest.warns(
        UserWarning, match=r"^pass the network .*: all 3 outputs .* as those of sigmoids"
    ):
        found = run(net, methods=[cameval.grad_cam]).samples
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-6)


def test_a_single_sigmoid_is_refused_where_a_class_is_predicted_by_it() -> None:
    """As a logit it would be positive for every image."""
    net = finished(one_logit(-1.0), torch.sigmoid)
    images = torch.stack([SMALL(sample)[0] for sample in samples()])
    with pytest.raises(
        UnsupportedModelError,
        match=r"^pass the network without its last sigmoid: .* must return the logit, got num",
    ):
        run(net, methods=[cameval.grad_cam])
    with pytest.raises(UnsupportedModelError, match="must return the logit, got numbers in"):
        CAMExtractor(net)(images)
    assert CAMExtractor(net)(images, 1).maps.isfinite().all()
    unchecked = run(CAMExtractor(net, check=False), methods=[cameval.grad_cam])
    assert (unchecked.samples["predicted"] == 1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("classes", [1, 3])
def test_logits_that_lie_between_zero_and_one_by_chance_are_logits(classes) -> None:
    net = small_network(classes)
    with torch.no_grad():
        net.head.linear.weight *= 0.1
        net.head.linear.bias.fill_(0.5)
    logits = logits_of(net)
    assert ((logits > 0) & (logits < 1)).all()
    found = run(net, methods=[cameval.grad_cam]).samples
    expected = logits.double().sigmoid() if classes == 1 else logits.double().softmax(1)
    np.testing.assert_allclose(found["probability"], expected.amax(1), rtol=1e-6)


# --- The task -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "asked", "task"),
    [
        (1, None, "binary"),
        (1, "binary", "binary"),
        (2, None, "multiclass"),
        (2, "binary", "binary"),
        (2, "multiclass", "multiclass"),
        (3, None, "multiclass"),
        (3, "multiclass", "multiclass"),
    ],
)
def test_the_task_follows_from_the_logits_or_is_asked_for(count, asked, task, tmp_path) -> None:
    found = run(small_network(count), samples(2), task=asked)
    assert found.task == task_of(torch.zeros(4, count), asked) == task
    assert found.provenance["settings"]["task"] == task
    found.to_csv(tmp_path / "table.csv")
    assert Results.from_csv(tmp_path / "table.csv").task == task


@pytest.mark.parametrize(
    ("count", "asked", "message"),
    [
        (3, "binary", "a binary task must have one logit or two, got 3"),
        (1, "multiclass", "a multiclass task must have at least two logits, got 1; .*'binary'"),
        (3, "regression", "task must be one of .* got 'regression'"),
        (3, "", "task must be one of"),
        (3, True, "task must be one of .* got True"),
        (3, ["binary"], "task must be one of"),
    ],
)
def test_a_task_that_is_not_the_networks_is_refused(count, asked, message, tmp_path) -> None:
    with pytest.raises(SettingError, match=message):
        run(small_network(count), task=asked, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())  # before anything was begun


def test_logits_must_be_a_row_for_each_image() -> None:
    with pytest.raises(ShapeError, match=r"must return logits \(N, C\)"):
        task_of(torch.zeros(4), None)
    assert check_task(None) is None


def test_another_task_is_another_run(tmp_path) -> None:
    run(small_network(2), samples(2), out=tmp_path / "run")
    with pytest.raises(SettingError, match=r"another task \(multiclass and binary\)"):
        run(small_network(2), samples(2), task="binary", out=tmp_path / "run")


def test_results_of_several_tasks_have_none_together() -> None:
    one, two = (
        run(small_network(count), samples(2), name=f"net {count}", methods=[cameval.cam])
        for count in (1, 3)
    )
    assert (one.task, two.task) == ("binary", "multiclass")
    assert concat([one, two]).task is None
    assert concat([two, run(small_network(3), samples(2), methods=[cameval.cam])]).task == (
        "multiclass"
    )
