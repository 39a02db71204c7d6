"""`MapScore` equals `evaluate`, in one process and in two, and leaves the network as it was."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import SMALL, small_network
from torch import nn
from training.loops import THINGS, batches, evaluated, some_samples, trained_network

import cameval.training
from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    Sample,
    Target,
    adapt,
    evaluate,
    grad_cam,
    hires_cam,
    iou,
    pixel_auroc,
)
from cameval.errors import (
    ArrayTypeError,
    ClassIndexError,
    DataError,
    MissingPackageError,
    SettingError,
    ShapeError,
)
from cameval.metrics import average_drop, relevance_mass_accuracy
from cameval.statistics import Interval
from cameval.training import MapScore

NUMBERS = ["mean", "low", "high", "n", "n_groups", "n_undefined"]


def numbers_of(one: Interval) -> list[float]:
    return [one.estimate, one.low, one.high, one.n, one.n_groups, one.n_undefined]


def check_same(found, results) -> None:
    """Check that means and intervals are equal to the bit, in the same order of columns."""
    table = results.summary()
    assert len(found) == len(table)
    for (label, one), (_, row) in zip(found.items(), table.iterrows(), strict=True):
        assert label == "/".join(filter(None, row[["method", "binarizer", "metric"]]))
        np.testing.assert_array_equal(numbers_of(one), row[NUMBERS].astype(float))


@pytest.mark.parametrize("make", [small_network, trained_network])
@pytest.mark.parametrize("known", [True, False])
def test_it_equals_evaluate_to_the_bit(make, known):
    net, samples, score = make(), some_samples(), MapScore(**THINGS)
    for batch in batches(samples, 3):
        classes = batch["labels"] if known else None
        score.update(net, **batch, classes=classes)
    results = evaluated(net, samples, 3, classes="true" if known else "predicted")
    check_same(score.compute(), results)
    ours = score.results()
    np.testing.assert_array_equal(ours.values, results.values)
    np.testing.assert_array_equal(ours.codes, results.codes)
    np.testing.assert_array_equal(ours.weights, results.weights)
    same = ["sample", "group", "label", "present", "predicted", "probability", "area"]
    assert ours.samples[same].equals(results.samples[same])
    table = results.to_pandas()
    counted = table[table["value"].isna()].groupby(["metric", "reason"], observed=True).size()
    reasons = score.reasons()
    assert reasons["cam/mean/iou"] == {"empty truth": 2}
    assert sum(sum(one.values()) for one in reasons.values()) == counted.sum()
    for label, one in score.compute().items():
        assert sum(reasons[label].values()) == one.n_undefined


def test_a_binarizer_that_mixes_maps_is_refused_and_others_are_checked_once():
    def above_mean_of_batch(maps):
        return maps > maps.mean()

    def above_mean(maps):
        calls.append(len(maps))
        return maps > maps.mean((-2, -1), keepdim=True)

    net, calls = small_network(), []
    with pytest.raises(SettingError, match="independently of the others"):
        MapScore(binarizer=above_mean_of_batch).update(net, **next(batches(some_samples(), 3)))
    score = MapScore(binarizer=above_mean)
    for batch in batches(some_samples(6), 3):
        score.update(net, **batch)
    assert calls == [2, 3, 3, 1, 2, 1]  # grids of two batches; three maps twice for the check


def test_without_names_and_groups_each_image_is_its_own():
    net, samples, score = small_network(), some_samples(), MapScore(metric=relevance_mass_accuracy)
    alone = [Sample(str(k), one.image, one.mask, one.label) for k, one in enumerate(samples)]
    for batch in batches(samples, 4):
        score.update(net, batch["images"], batch["masks"])
    results = evaluate(
        net,
        alone,
        methods=grad_cam,
        metrics=relevance_mass_accuracy,
        prepare=SMALL,
        baselines={},
        batch_size=4,
        progress=False,
    )
    one = score.compute()
    assert isinstance(one, Interval)
    check_same({score.labels[0]: one}, results)
    assert one.n_groups == one.n
    assert score.results().samples["sample"].tolist() == [str(k) for k in range(len(samples))]


def test_metrics_of_the_network_and_several_classes_an_image():
    torch.manual_seed(3)
    net, rng = small_network(), np.random.default_rng(5)
    samples, given = [], []
    for k in range(6):
        labels = [[0, 2], [1], [], [2, 1], [0], [1, 2]][k]
        image = rng.random((24, 24, 3), dtype=np.float32)
        masks = rng.random((2, 24, 24)) > 0.6
        targets = [Target(label, mask) for label, mask in zip(labels, masks, strict=False)]
        if targets:
            samples.append(Sample(f"scan {k}", image, targets=targets))
        given.append((image, masks, [*labels, -1, -1][:2]))
    score = MapScore(metric=[iou, pixel_auroc, average_drop], task="multilabel")
    for start in (0, 3):
        part = given[start : start + 3]
        images = [SMALL.image(Sample("x", image, masks[0]))[0] for image, masks, _ in part]
        score.update(
            net,
            torch.stack(images),
            torch.from_numpy(np.stack([masks for _, masks, _ in part])),
            classes=torch.tensor([labels for *_, labels in part]),
            names=[f"scan {k}" for k in range(start, start + 3)],
        )
    results = evaluate(
        net,
        samples,
        metrics=[iou, pixel_auroc, average_drop],
        binarizers=score._scorer.plan.binarizers,
        task="multilabel",
        prepare=SMALL,
        baselines={},
        batch_size=2,
        progress=False,
    )
    for one, (_, row) in zip(score.compute().values(), results.summary().iterrows(), strict=True):
        np.testing.assert_allclose(numbers_of(one), row[NUMBERS].astype(float), rtol=1e-6)
    ours = score.results().samples
    assert ours[["sample", "label"]].equals(results.samples[["sample", "label"]])
    with pytest.raises(SettingError, match="classes must be given in a multi-label task"):
        score.update(net, torch.rand(1, 3, 32, 32), torch.ones(1, 32, 32, dtype=torch.bool))


def test_volumes_and_extractors():
    net = nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    images = torch.rand(3, 1, 6, 8, 7, generator=torch.Generator().manual_seed(0))
    masks = images[:, 0] > 0.5
    model = cameval.adapt(net, layer="1")
    score = MapScore(hires_cam)
    score.update(CAMExtractor(model), images, masks)
    maps = CAMExtractor(model, hires_cam)(images).maps
    flat = maps.flatten(1)
    marked = flat > torch.quantile(flat, 0.95, dim=1, keepdim=True)
    scores = iou(marked[:, None], masks.flatten(1)[:, None])
    assert score.compute().estimate == pytest.approx(scores.mean().item(), abs=1e-6)


# --- The network stays as it was ----------------------------------------------------------------


def watched(net):
    """Return everything of a network that an update could change."""
    modules = dict(net.named_modules())
    return (
        {name: tensor.clone() for name, tensor in net.state_dict().items()},
        {name: module.training for name, module in modules.items()},
        {
            name: (dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks))
            for name, m in modules.items()
        },
        {name: None if p.grad is None else p.grad.clone() for name, p in net.named_parameters()},
        {name: p.requires_grad for name, p in net.named_parameters()},
    )


def check_unchanged(before, after):
    for one, other in zip(before, after, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            same = (
                torch.equal(value, other[name])
                if torch.is_tensor(value)
                else (value == other[name])
            )
            assert same, name


def test_a_network_in_training_is_not_changed_and_learns_the_same():
    one, two = trained_network(), trained_network()
    samples = some_samples()
    for net, score in ((one, None), (two, MapScore(**THINGS))):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        torch.manual_seed(7)
        for batch in batches(samples, 4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(batch["images"]), batch["labels"]).backward()
            if score is not None:
                before = watched(net)
                score.update(net, **batch)
                check_unchanged(before, watched(net))
            optimizer.step()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name


def test_autocast_inference_mode_and_gradients_make_no_difference():
    net, (batch, *_) = trained_network(), batches(some_samples(), 6)
    expected, found = MapScore(), []
    expected.update(net, **batch)
    for context in (
        torch.autocast("cpu", dtype=torch.bfloat16),
        torch.inference_mode(),
        torch.no_grad(),
        torch.enable_grad(),
    ):
        score = MapScore()
        with context:
            images = batch["images"].clone()
            if context.__class__.__name__ == "enable_grad":
                images.requires_grad_()
            score.update(net, **batch | {"images": images})
        found.append(score.compute())
        assert not images.requires_grad or images.grad is None
    assert found == [expected.compute()] * 4


def test_weights_are_those_of_the_update_and_a_copy_leaves_the_network_out():
    net, (batch, *_) = small_network(), batches(some_samples(), 6)
    score = MapScore()
    score.update(net, **batch)
    first = score.compute()
    for other in (copy.deepcopy(score), pickle.loads(pickle.dumps(score))):
        assert other.compute() == first
        assert other._scorer._network is None
    score.reset()
    assert score._scorer._network is None
    with torch.no_grad():
        net.head.linear.weight.neg_()
    score.update(net, **batch)
    fresh = MapScore()
    fresh.update(net, **batch)
    assert score.compute() == fresh.compute() != first


def test_another_network_is_cut_again():
    (batch, *_) = batches(some_samples(), 4)
    one, other = trained_network(), small_network()
    found = []
    for nets in ([one, other], [one], [other]):
        score = MapScore(metric=pixel_auroc)
        for k, net in enumerate(nets):
            score.update(net, **batch | {"names": [f"{k} {name}" for name in batch["names"]]})
        found.append(score.results().values[:, 0])
    np.testing.assert_array_equal(found[0], np.concatenate(found[1:]))


# --- State, names, errors -----------------------------------------------------------------------


def test_no_map_is_kept_and_the_state_is_small():
    net, score = small_network(), MapScore()
    for batch in batches(some_samples(), 4):
        score.update(net, **batch)
    held = [array for record in score._records for array in vars(record.scores).values()]
    assert max(array.size for array in held) <= 3 * 4  # the spacing of three axes
    state = score.state_dict()
    assert state["records"].dtype == torch.uint8
    other = MapScore()
    other.load_state_dict(state)
    assert other.compute() == score.compute()
    assert other.results().samples.equals(score.results().samples)
    for strange in ({}, {"records": torch.arange(30)}, {"records": torch.tensor([1, 2, 3])}):
        with pytest.raises(DataError, match="that of a MapScore"):
            other.load_state_dict(strange)


def test_a_sample_that_comes_again_counts_once():
    net, score, once = small_network(), MapScore(), MapScore()
    for batch in batches(some_samples(), 4):
        once.update(net, **batch)
        score.update(net, **batch)
    (batch, *_) = batches(some_samples(), 3)
    score.update(net, **batch)
    assert score.compute() == once.compute()
    without = MapScore()
    for _ in range(2):
        without.update(net, batch["images"], batch["masks"])
    assert len(without.results()) == 6


def test_rows_of_two_processes_are_in_the_order_of_a_sampler():
    net, samples, shares = small_network(), some_samples(7), []
    for process in (0, 1):
        score = MapScore()
        for batch in batches([*samples, samples[0]][process::2], 3):
            score.update(net, **batch)
        for record in score._records:
            record.head.update(rank=process, processes=2)
        shares += score._records
    merged = MapScore()
    merged._records = shares
    assert merged.results().samples["sample"].tolist() == [one.name for one in samples]


def test_integers_name_samples_and_groups():
    net, (batch, *_) = small_network(), batches(some_samples(), 4)
    score = MapScore()
    score.update(net, batch["images"], batch["masks"], names=torch.arange(4), groups=[7, 7, 8, 9])
    table = score.results().samples
    assert table["sample"].tolist() == ["0", "1", "2", "3"]
    assert table["group"].tolist() == ["7", "7", "8", "9"]


def test_masks_may_be_numbers_with_an_axis_of_channels():
    net, images = small_network(), torch.rand(2, 3, 32, 32)
    masks = torch.rand(2, 32, 32) > 0.5
    found = []
    for given in (masks, masks.float()[:, None], 255 * masks.to(torch.uint8), list(masks.numpy())):
        score = MapScore()
        score.update(net, images, given)
        found.append(score.compute())
    assert found == found[:1] * 4


def test_what_is_wrong_is_named():
    net, images = small_network(), torch.rand(2, 3, 32, 32)
    masks = torch.rand(2, 32, 32) > 0.5
    score = MapScore()
    with pytest.raises(DataError, match="at least one image must be scored first"):
        score.compute()
    cases = [
        (ShapeError, "masks must be one for each of 2 images, got 1", {"masks": masks[:1]}),
        (ShapeError, "masks must have 2 axes for each image", {"masks": masks[:, None, None]}),
        (DataError, "must hold 0 and one other value", {"masks": torch.rand(2, 32, 32)}),
        (ArrayTypeError, "classes must be integers", {"classes": torch.rand(2)}),
        (ShapeError, "classes must be one for each of 2", {"classes": [1]}),
        (ClassIndexError, r"\[0, 3\), got 3", {"classes": [1, 3]}),
        (ShapeError, "one for each of the 2 classes", {"classes": [[0, 1], [1, 2]]}),
        (SettingError, "labels must be left out", {"classes": [[0], [1]], "labels": [0, 1]}),
        (ShapeError, r"labels must have shape \(2,\)", {"labels": [[0], [1]]}),
        (ShapeError, "names must be one for each of 2", {"names": ["a"]}),
        (ArrayTypeError, "names must be text or integers, got 0.5", {"names": [0.5, 1.5]}),
        (ArrayTypeError, "groups must be text or integers, got ''", {"groups": ["", "b"]}),
        (ArrayTypeError, "images must be a floating-point", {"images": images.long()}),
    ]
    for error, words, changed in cases:
        with pytest.raises(error, match=words):
            score.update(net, **{"images": images, "masks": masks} | changed)
    assert score._records == []
    score.update(net, images, masks)
    with pytest.raises(SettingError, match="names must be given in every update or in none"):
        score.update(net, images, masks, names=["a", "b"])
    with pytest.raises(SettingError, match="classes must be given in every update or in none"):
        score.update(net, images, masks, classes=[0, 1])
    score.update(net, images[:0], masks[:0])
    assert score.compute().n == 2
    assert repr(score) == "MapScore(grad_cam/percentile:95/iou: 2 images)"
    for settings, words in [
        ({"confidence": 1}, r"confidence must be in \(0, 1\)"),
        ({"task": "regression"}, "task must be one of"),
        ({"metric": [iou, iou]}, "metrics must have different labels"),
    ]:
        with pytest.raises(SettingError, match=words):
            MapScore(**settings)


def test_channels_that_are_the_last_axis_are_named():
    images, masks = torch.rand(2, 32, 32, 3), torch.rand(2, 32, 32) > 0.5
    net, score = small_network(), MapScore()
    words = (
        r"shape \(N, 3, H, W\) for this network, got \(2, 32, 32, 3\); the channels are the last"
    )
    for given in (net, CAMExtractor(net, method=grad_cam), small_network().train()):
        with pytest.raises(ShapeError, match=words):
            score.update(given, images, masks)
    score.update(net, images.movedim(-1, 1), masks)
    with pytest.raises(ShapeError, match=words):  # of a network that is cut already
        score.update(net, images, masks)
    with pytest.raises(ShapeError, match="gray images can be repeated"):
        score.update(net, torch.rand(2, 1, 32, 32), masks)
    assert score.compute().n == 2


def test_images_that_are_not_normalized_cause_one_warning():
    images, masks = torch.rand(2, 3, 32, 32), torch.rand(2, 32, 32) > 0.5
    score, net = MapScore(), small_network()
    score.update(net, 20 * images, masks)  # no warning, which would be an error
    score.reset()
    with pytest.warns(UserWarning, match=r"got values up to 25\d.*divide bytes by 255") as caught:
        score.update(net, 255 * images, masks)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    score.update(net, 255 * images, masks)
    score.reset()
    score.update(small_network(), 255 * images, masks)


class Named(nn.Module):
    """A network whose logits are in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_network()

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits with the images."""
        return {"features": images, "logits": self.net(images)}


def test_a_network_that_returns_a_dictionary_is_adapted_once_and_learns():
    torch.manual_seed(0)
    images, masks = torch.rand(4, 3, 32, 32), torch.rand(4, 32, 32) > 0.5
    net = Named().train()
    model = adapt(net, select=lambda outputs: outputs["logits"])
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        nn.init.normal_(net.net.head.linear.weight)  # as a step of training
        score, plain = MapScore(), MapScore()
        score.update(model, images, masks)
        plain.update(net.net, images, masks)
        assert score.compute() == plain.compute()
        found.append(score.compute())
    assert found[0] != found[1]


def test_what_needs_an_extra_says_how_to_install_it(monkeypatch):
    for name, package in (("MapScoreMetric", "torchmetrics"), ("MapScoreCallback", "lightning")):
        module = {"torchmetrics": "_torchmetrics", "lightning": "_lightning"}[package]
        monkeypatch.delitem(sys.modules, f"cameval.training.{module}", raising=False)
        monkeypatch.delitem(vars(cameval.training), module, raising=False)
        for known in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, known)
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(vars(cameval.training), name, raising=False)
        words = rf"cameval\.training\.{name} needs {package}, .*its extra 'training'"
        with pytest.raises(MissingPackageError, match=words):
            getattr(cameval.training, name)
    with pytest.raises(AttributeError, match="no attribute 'MapMetric'"):
        _ = cameval.training.MapMetric


# --- Two processes ------------------------------------------------------------------------------

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler
from cameval.distributed import process_group, rank
from cameval.training import MapScore
from training.loops import THINGS, batches, some_samples, trained_network

torch.set_num_threads(1)
with process_group():
    net = DistributedDataParallel(trained_network())
    samples = some_samples()
    mine = [samples[k] for k in DistributedSampler(samples, shuffle=False)]
    named, unnamed, uneven = MapScore(**THINGS), MapScore(**THINGS), MapScore()
    for batch in batches(mine, 1):
        named.update(net, **batch)
        unnamed.update(net, batch["images"], batch["masks"])
        if rank() == 1:
            uneven.update(net, **batch)
    said = {
        "named": {name: list(vars(one).values()) for name, one in named.compute().items()},
        "order": named.results().samples["sample"].tolist(),
        "unnamed": {name: one.n for name, one in unnamed.compute().items()},
        "names": unnamed.results().samples["sample"].tolist(),
        "uneven": uneven.compute().n,
        "own": len(named.results(synchronize=False)),
    }
    Path(sys.argv[1], f"{rank()}.json").write_text(json.dumps(said))
"""


def run_two_processes(script: str, folder: Path) -> list[dict]:
    (folder / "script.py").write_text(script)
    command = [*(sys.executable, "-m", "torch.distributed.run", "--standalone")]
    command += ["--nproc-per-node=2", str(folder / "script.py"), str(folder)]
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": tests, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{k}.json").read_text()) for k in (0, 1)]


@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.uint8])
def test_images_and_masks_that_are_swapped_are_told(kind):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 1, 8, 8, generator=generator)
    masks = (images > 0.5).to(kind)
    score = MapScore()
    words = rf"images must come before masks, as in update\(net, .*got images of {kind} .*float32"
    net = CAMModel(nn.Conv2d(1, 4, 3), GAPHead(nn.Linear(4, 2)))
    with pytest.raises(ArrayTypeError, match=words):
        score.update(net, masks, images)
    with pytest.raises(ArrayTypeError, match=words):
        score.update(net, masks, images.numpy())
    score.update(net, images, masks.float())
    score.update(net, torch.zeros(2, 1, 8, 8), masks.float())  # black images
    assert score.compute().n == 4


def test_two_processes_give_the_numbers_of_one(tmp_path):
    first, second = run_two_processes(SCRIPT, tmp_path)
    assert (first.pop("own"), second.pop("own")) == (6, 6)
    assert first == second
    samples = some_samples()
    results = evaluated(trained_network(), samples, 1)
    found = {name: Interval(*numbers) for name, numbers in first["named"].items()}
    check_same(found, results)
    assert first["order"] == [one.name for one in samples]
    assert first["names"] == [str(k) for k in range(12)]  # the padding counts without names
    assert set(first["unnamed"].values()) == {10}  # two have no object
    assert first["uneven"] == 5
