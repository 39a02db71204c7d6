"""Every keyword argument of `evaluate` is recorded, and changes the results."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import Lazy, samples, small_network
from numpy.typing import NDArray
from torch import nn

import cameval
from cameval import CAMExtractor, CAMModel, GAPHead, evaluate
from cameval.baselines import center_baseline, intensity_baseline
from cameval.data import Sample
from cameval.errors import SettingError, UnsupportedModelError
from cameval.evaluation import Preparation, Results, RunSettings, _loop
from cameval.maps import CellCenters

BASE: dict[str, Any] = {
    "methods": {"map": cameval.cam},
    "binarizers": {"p80": cameval.PercentileBinarizer(80)},
    "metrics": {"score": cameval.iou},
    "baselines": {"guess": center_baseline},
    "prepare": Preparation(size=32),
    "progress": False,
}


def network() -> CAMModel:
    """Make a network of three classes whose cell centers are known."""
    model = small_network()
    return CAMModel(model.features, model.head, cell_centers=CellCenters(2.5, 4.0)).eval()


def run(
    model: nn.Module | CAMExtractor | None = None, *, labels: int = 3, **options: Any
) -> Results:
    data = [replace(one, label=one.label % labels) for one in samples(5)]
    return evaluate(model or network(), data, **BASE | options)


def setting(name: str) -> Callable[[Results], Any]:
    """Return a function that reads a setting in the record of a run."""
    return lambda results: results.provenance["settings"][name]


def meanings(kind: str) -> Callable[[Results], Any]:
    """Return a function that reads the settings of the methods, of the metrics, and so on."""
    return lambda results: {
        label: one.setting for label, one in getattr(results.meanings, kind).items()
    }


def numbers(results: Results) -> list[float]:
    return results.values.ravel().tolist()


@dataclass(frozen=True)
class Case:
    """A value of an argument, where it is recorded, and what it changes."""

    value: Any
    record: Callable[[Results], Any]
    effect: Callable[[Results], Any] = numbers
    others: dict[str, Any] = field(default_factory=dict)
    """Other arguments, without which it changes nothing."""


def brightness(sample: Sample) -> NDArray[np.float32]:
    """Return the image as its map."""
    return sample.image


CASES = {
    "methods": Case({"map": cameval.grad_cam_pp}, meanings("methods")),
    "binarizers": Case({"p80": cameval.MeanBinarizer()}, meanings("binarizers")),
    "metrics": Case({"score": cameval.dice}, meanings("metrics")),
    "baselines": Case({"guess": intensity_baseline}, meanings("baselines")),
    "maps": Case({"brightness": brightness}, meanings("methods")),
    "classes": Case("true", meanings("target_class")),
    "task": Case("binary", setting("task"), setting("task")),  # of two logits: no number changes
    "prepare": Case(Preparation(size=32, crop=0.5), setting("prepare")),
    "batch_size": Case(2, setting("batch_size"), setting("batch_size")),
    "name": Case("ours", setting("model"), lambda results: results.samples["model"].tolist()),
    "class_names": Case(["a", "b", "c"], setting("class_names"), lambda r: r.class_names),
    "precision": Case("channels_last", setting("precision"), setting("precision")),
    "seed": Case(5, setting("seed"), others={"baselines": None}),
}
NOT_RECORDED = {"workers", "out", "progress", "sanity"}
"""Arguments that do not change the results; each has a test of its own."""


def test_every_keyword_argument_has_a_case() -> None:
    names = {
        name
        for name, parameter in inspect.signature(evaluate).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert names | {*RunSettings.__annotations__} == {*CASES} | NOT_RECORDED


@pytest.mark.parametrize("name", CASES)
def test_every_argument_is_recorded_and_changes_the_results(name: str) -> None:
    case = CASES[name]
    labels = 2 if name == "task" else 3
    model = small_network(2) if name == "task" else network()
    usual = run(model, labels=labels, **case.others)
    changed, again = (
        run(model, labels=labels, **case.others | {name: case.value}) for _ in range(2)
    )
    assert case.record(usual) != case.record(changed)
    assert case.effect(usual) != case.effect(changed)
    assert case.record(again) == case.record(changed)
    assert np.array_equal(again.values, changed.values, equal_nan=True)


def test_a_task_that_the_outputs_do_not_allow_is_refused() -> None:
    with pytest.raises(SettingError, match="a binary task must have one logit"):
        run(task="binary")


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5])])
def test_the_network_sees_batches_of_the_batch_size(batch_size: int, sizes: list[int]) -> None:
    model, seen = network(), []
    model.features.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    run(model, batch_size=batch_size)
    assert seen[-len(sizes) :] == sizes  # before them the network runs on two images of a check
    assert len(seen) < len(sizes) + 5


def test_workers_read_the_samples_in_other_processes() -> None:
    here, there = Lazy(samples(5)), Lazy(samples(5))
    expected = evaluate(network(), here, **BASE)
    found = evaluate(network(), there, workers=1, **BASE)
    assert here.read == [0, 1, 2, 3, 4]
    assert there.read == [0]  # the first sample, on which the network is tried
    assert numbers(found) == numbers(expected)


def test_a_run_is_written_to_the_folder_out(tmp_path: Path) -> None:
    written = run(out=tmp_path / "run", batch_size=2)
    assert len(list((tmp_path / "run" / "batches").iterdir())) == 3
    assert numbers(Results.load(tmp_path / "run")) == numbers(written)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace the progress bar, and return the list of the options and counts of each."""
    noted: list[dict[str, Any]] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            noted.append(options | {"count": 0})

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self) -> None:
            noted[-1]["count"] += 1

    monkeypatch.setattr(_loop, "tqdm", Bar)
    return noted


@pytest.mark.parametrize(("progress", "disable"), [(True, None), (False, True)])
def test_the_progress_bar_is_shown_if_it_is_wanted(bars, progress, disable) -> None:
    run(progress=progress, batch_size=2)
    [bar] = bars
    assert bar["disable"] is disable  # None: hidden where there is no terminal
    assert bar["total"] == bar["count"] == 3


def test_the_progress_of_an_iterable_has_no_total(bars) -> None:
    evaluate(network(), (sample for sample in samples(5)), batch_size=2, **BASE)
    [bar] = bars
    assert bar["total"] is None
    assert bar["count"] == 3


# --- The settings of an extractor -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "record"),
    [
        ({"method": cameval.hires_cam}, meanings("methods")),
        ({"alignment": "receptive_field"}, setting("alignment")),
    ],
)
def test_the_settings_of_an_extractor_are_recorded_and_change_the_results(change, record) -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))
    model = CAMModel(network().features, head, cell_centers=CellCenters(2.5, 4.0)).eval()
    usual = CAMExtractor(model, cameval.grad_cam)
    options = {"methods": None, "metrics": {"auroc": cameval.pixel_auroc}}
    first, second = run(usual, **options), run(replace(usual, **change), **options)
    assert record(first) != record(second)
    assert numbers(first) != numbers(second)
    images = torch.stack([BASE["prepare"](sample)[0] for sample in samples(5)[::2]])
    expected = replace(usual, **change)(images).maps
    truth = torch.from_numpy(np.stack([sample.mask for sample in samples(5)[::2]]))
    [label] = second.meanings.methods
    found = second.select(method=label).values[::2, 0]
    torch.testing.assert_close(
        torch.from_numpy(found), cameval.pixel_auroc(expected, truth).double()
    )


def test_baselines_on_the_grid_are_aligned_as_the_maps() -> None:
    first, second = (
        run(CAMExtractor(network(), alignment=alignment), baselines=None)
        for alignment in ("half_pixel", "receptive_field")
    )
    for name, changes in {"random": True, "truth": True, "center": False}.items():
        one, other = (numbers(results.select(method=name)) for results in (first, second))
        assert (one != other) == changes


def test_an_extractor_without_its_check_is_evaluated_without_it() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(GAPHead(nn.Linear(6, 1)), nn.Sigmoid())
    model = CAMModel(nn.Conv2d(3, 6, 5, stride=4), head).eval()
    options = {"methods": {"grad_cam": cameval.grad_cam}, "labels": 2}
    with pytest.raises(UnsupportedModelError, match="must return the logit"):
        run(CAMExtractor(model), **options)
    assert len(run(CAMExtractor(model, check=False), **options)) == 5


def test_each_truth_of_a_mixed_batch_is_scored_with_its_own_image() -> None:
    """Truths of two sizes are scored on two grids, each with the images of its samples."""
    options = BASE | {"baselines": {"intensity": intensity_baseline}}
    data = samples(5, sizes=(32, 40))
    together = evaluate(network(), data, **options)
    for k, sample in enumerate(data):
        alone = evaluate(network(), [sample], **options)
        np.testing.assert_allclose(together.values[k], alone.values[0], rtol=1e-5)
