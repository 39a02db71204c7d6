"""Maps are scored in a thread beside the forward pass of the next batch."""

import threading
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import small_network
from torch import Tensor

from cameval import Preparation, Sample, evaluate
from cameval._sorting import map_in_threads
from cameval.errors import DataError
from cameval.metrics import iou, of_masks

PREPARE = Preparation(size=32)
NETWORK = small_network()


def samples(number: int) -> list[Sample]:
    random = np.random.default_rng(0)
    masks = random.random((number, 32, 32)) < 0.3
    images = random.random((number, 32, 32, 3), np.float32)
    return [Sample(f"image {k}", images[k], masks[k]) for k in range(number)]


def run(data: Any, **options: Any) -> Any:
    settings = {"prepare": PREPARE, "batch_size": 2, "baselines": {}, "metrics": iou}
    return evaluate(NETWORK, data, progress=False, **settings | options)


class Failing(list[Sample]):
    """Samples of which the fifth cannot be read."""

    def __getitem__(self, index: Any) -> Any:
        if index == 4:
            raise DataError("it is damaged")
        return super().__getitem__(index)


def test_the_next_batch_is_begun_before_the_scores_are_there() -> None:
    begun = threading.Event()
    calls = count()

    def prepare(sample: Sample) -> Any:
        if sample.name == "image 2":  # of the second batch
            begun.set()
        return PREPARE(sample)

    @of_masks(higher_is_better=True)
    def waits(pred: Tensor, target: Tensor) -> Tensor:
        if next(calls) == 0:
            assert threading.current_thread() is not threading.main_thread()
            assert begun.wait(60)
        return (pred & target).sum((-2, -1))

    assert len(run(samples(3), prepare=prepare, metrics=[waits])) == 3


def test_a_batch_is_written_if_the_next_one_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sample 4: it is damaged"):
        run(Failing(samples(6)), out=tmp_path / "run")
    assert sorted(file.stem for file in (tmp_path / "run" / "batches").glob("*.npz")) == [
        "000000",
        "000001",
    ]
    whole, continued = run(samples(6)), run(samples(6), out=tmp_path / "run")
    np.testing.assert_array_equal(whole.values, continued.values)


def test_the_error_of_the_earlier_batch_is_raised(tmp_path: Path) -> None:
    @of_masks
    def broken(pred: Tensor, target: Tensor) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run(Failing(samples(6)), metrics=[broken])
    assert caught.value.__notes__[-1] == "while scoring samples 'image 0' to 'image 1'"


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_thread_has_the_modes_of_the_caller(mode: Any) -> None:
    modes = []

    @of_masks
    def asks(pred: Tensor, target: Tensor) -> Tensor:
        modes.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
        return pred.sum((-2, -1))

    with mode():
        expected = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        run(samples(3), metrics=[asks])
    assert set(modes) == {expected}


def test_calls_in_threads_are_those_of_a_loop() -> None:
    rows = [np.arange(k) for k in range(40)]
    expected = [float((a * b).sum()) for a, b in zip(rows, rows, strict=True)]
    assert map_in_threads(lambda a, b: float((a * b).sum()), rows, rows) == expected
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda a: 1 // len(a), rows)
