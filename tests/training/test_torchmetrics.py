"""`MapScoreMetric` in torchmetrics equals `evaluate`, also in collections and in two processes."""

import copy
import warnings

import numpy as np
import pytest
import torch
from evaluations import small_network
from training.loops import THINGS, batches, evaluated, some_samples, trained_network
from training.test_map_score import NUMBERS, run_two_processes

from cameval import cam, evaluation, grad_cam, iou, pixel_auroc
from cameval.errors import DataError
from cameval.metrics import HausdorffDistance
from cameval.training import MapScore

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torchmetrics = pytest.importorskip(
        "torchmetrics", reason="the extra 'training' is not installed"
    )
    from cameval.training import MapScoreMetric


def expected_of(results: evaluation.Results) -> dict[str, float]:
    found = {}
    for _, row in results.summary().iterrows():
        label = "/".join(filter(None, row[["method", "binarizer", "metric"]]))
        found |= {f"{label}/{name}": row[name] for name in NUMBERS[:3]}
    return found


def numbers_of(found: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in found.items()}


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_it_equals_evaluate_to_the_bit():
    net, samples, metric = trained_network(), some_samples(), MapScoreMetric(**THINGS)
    for batch in batches(samples, 3):
        metric.update(net, **batch)
    expected = expected_of(evaluated(net, samples, 3))
    assert numbers_of(metric.compute()) == expected
    assert metric.results().samples["sample"].tolist() == [one.name for one in samples]
    metric.reset()
    assert metric.records == []
    with pytest.raises(DataError, match="at least one image"):
        metric.compute()


def test_forward_gives_the_value_of_the_batch_and_runs_once(monkeypatch):
    net, samples, metric = small_network(), some_samples(), MapScoreMetric()
    passes = []
    net.features.register_forward_hook(lambda *_: passes.append(1))
    for batch in batches(samples, 4):
        alone = MapScore()
        alone.update(net, **batch)
        before = len(passes)
        value = metric(net, **batch)
        assert len(passes) - before <= 3  # one to score; of the first batch two to check the cut
        assert value["mean"].item() == alone.compute().estimate
    whole = MapScore()
    for batch in batches(samples, 4):
        whole.update(net, **batch)
    one = whole.compute()
    assert numbers_of(metric.compute()) == {"mean": one.estimate, "low": one.low, "high": one.high}


def test_a_collection_keeps_scores_apart_that_look_alike():
    """Both have the same labels, and the same first scores: torchmetrics must not merge them."""
    net, samples = small_network(), some_samples(8)
    other = {"grad_cam": lambda activations, target: cam(activations, target)}
    made = torchmetrics.MetricCollection(
        {"first": MapScoreMetric(), "second": MapScoreMetric(other), "third": MapScoreMetric(cam)}
    )
    for batch in batches(samples, 2):
        made.update(net, **batch)
    found = made.compute()
    for name, method in (("first", grad_cam), ("second", other), ("third", cam)):
        alone = MapScore(method)
        for batch in batches(samples, 2):
            alone.update(net, **batch)
        assert found[f"{name}_mean"].item() == alone.compute().estimate
    assert len(made.compute_groups) == 3
    fresh = made.clone(prefix="val_")
    fresh.reset()
    fresh.update(net, **next(batches(samples, 2)))
    assert all(name.startswith("val_") for name in fresh.compute())
    assert made.compute()["first_mean"] == found["first_mean"]


def test_state_dictionaries_copies_and_dtypes():
    net, samples, metric = (
        small_network(),
        some_samples(),
        MapScoreMetric(metric=[iou, pixel_auroc]),
    )
    metric.persistent(True)
    for batch in batches(samples, 4):
        metric.update(net, **batch)
    found = numbers_of(metric.compute())
    other = MapScoreMetric(metric=[iou, pixel_auroc])
    other.persistent(True)
    other.load_state_dict(metric.state_dict())
    other._update_count = 1
    assert numbers_of(other.compute()) == found
    assert not any(isinstance(one, torch.nn.Module) for one in metric.children())
    twin = copy.deepcopy(metric)
    assert twin._scorer._network is None
    twin.set_dtype(torch.bfloat16)  # torchmetrics rounds what was computed; the state is exact
    np.testing.assert_array_equal(twin.results().values, metric.results().values)
    twin.update(net, **next(batches(some_samples(12)[11:], 1)))
    assert twin.results().samples["sample"].nunique() == 12


def test_directions():
    assert MapScoreMetric().higher_is_better is True
    assert MapScoreMetric(metric=HausdorffDistance(95)).higher_is_better is False
    assert MapScoreMetric(metric=[iou, HausdorffDistance(95)]).higher_is_better is None


SCRIPT = """
import json, sys, warnings
from pathlib import Path
import torch
from torch.utils.data import DistributedSampler
from cameval.distributed import process_group, rank
from cameval.training import MapScoreMetric
from training.loops import THINGS, batches, some_samples, trained_network

warnings.simplefilter("ignore")
torch.set_num_threads(1)
with process_group():
    net, samples = trained_network(), some_samples()
    mine = [samples[k] for k in DistributedSampler(samples, shuffle=False)]
    metric, uneven = MapScoreMetric(**THINGS), MapScoreMetric()
    for batch in batches(mine, 1):
        metric.update(net, **batch)
        if rank() == 1:
            uneven.update(net, **batch)
    with metric.sync_context():
        names = metric.results().samples["sample"].tolist()
    said = {
        "numbers": {name: value.item() for name, value in metric.compute().items()},
        "names": names,
        "uneven": {name: value.item() for name, value in uneven.compute().items()},
        "own": len(metric.records),
    }
    Path(sys.argv[1], f"{rank()}.json").write_text(json.dumps(said))
"""


def test_two_processes_give_the_numbers_of_one(tmp_path):
    first, second = run_two_processes(SCRIPT, tmp_path)
    assert first == second
    samples = some_samples()
    assert first["numbers"] == expected_of(evaluated(trained_network(), samples, 1))
    assert first["names"] == [one.name for one in samples]
    assert first["own"] == 6
    half = MapScore()
    for batch in batches(samples[1::2] + samples[:1], 1):
        half.update(trained_network(), **batch)
    np.testing.assert_allclose(first["uneven"]["mean"], half.compute().estimate)
