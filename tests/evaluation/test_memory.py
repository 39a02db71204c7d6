"""Too little memory on the device, and workers that die: the same table, or a clear error."""

import os
import signal
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import PLAN, SMALL, Lazy, samples, small_network
from torch import Tensor, nn

from cameval import CAMModel, Sample, evaluate
from cameval.errors import ProcessError, SettingError
from cameval.evaluation._batch import BatchScores
from cameval.evaluation._halving import HalvedBatches

TOO_LARGE = "the network got too many images"


class Small(nn.Module):
    """Features that have memory for a few images only."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner, self.most = inner, most
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """Features of images."""
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError(TOO_LARGE)
        return self.inner(images)


def limited(most: int) -> CAMModel:
    net = small_network()
    return CAMModel(Small(net.features, most), net.head).eval()


def run(net: CAMModel, **settings: object) -> object:
    return evaluate(net, samples(7), prepare=SMALL, progress=False, **PLAN, **settings)


@pytest.mark.parametrize("most", [2, 3, 5])
def test_the_table_is_the_same_with_less_memory(most: int) -> None:
    net = limited(most)
    with pytest.warns(UserWarning, match=r"too little for 7 samples; .* give batch_size=") as told:
        found = run(net, batch_size=7)
    expected = run(limited(99), batch_size=7)
    assert len(told) == 1
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-6, equal_nan=True)
    assert np.array_equal(found.codes, expected.codes)
    assert found.samples["sample"].tolist() == expected.samples["sample"].tolist()


def test_one_sample_that_does_not_fit_is_named(tmp_path: Path) -> None:
    class Growing(Small):
        def forward(self, images: Tensor) -> Tensor:
            if float(images[-1, 0, 0, 0]) == pytest.approx(float(self.last), abs=1e-6):
                raise torch.OutOfMemoryError(TOO_LARGE)
            return super().forward(images)

    net = small_network()
    features = Growing(net.features, 9)
    features.last = SMALL(samples(7)[6])[0][0, 0, 0]
    net = CAMModel(features, net.head).eval()
    with pytest.raises(SettingError, match=r"must hold one sample .* got too little for 'image 6'"):
        run(net, batch_size=2, out=tmp_path)
    assert len([*(tmp_path / "batches").glob("*.npz")]) == 3  # the batches before it are kept


# --- The function by itself -----------------------------------------------------------------------


def scores_of(batch: Sequence[Sample]) -> BatchScores:
    n = len(batch)
    return BatchScores(
        sample=np.array([one.name for one in batch]),
        group=np.array([one.group for one in batch]),
        label=np.arange(n),
        predicted=np.arange(n),
        probability=np.ones(n),
        area=np.ones(n),
        present=np.ones(n, bool),
        info=np.array(["{}"] * n),
        checksum=np.arange(n, dtype=np.uint32),
        sums=np.arange(2 * n, dtype=np.uint32).reshape(n, 2),
        brightest=np.ones(n, np.float32),
        ignored=np.zeros(n),
        map_sums=np.zeros((n, 0), np.uint32),
        axes=np.full(n, 2),
        spacing=np.full((n, 3), np.nan),
        values=np.random.default_rng(n).random((n, 2)),
        codes=np.zeros((n, 2), np.uint8),
        weights=np.ones((n, 2)),
    )


class Limited:
    """Begins batches; in one of its two steps there is memory for `most` samples."""

    def __init__(self, most: int, step: str) -> None:
        self.most, self.step = most, step
        self.tried: list[int] = []

    def __call__(self, batch: Sequence[Sample]) -> Callable[[], BatchScores]:
        """Begin a batch."""
        self.tried.append(len(batch))
        self.check("begin", batch)

        def finish() -> BatchScores:
            self.check("finish", batch)
            return scores_of(batch)

        return finish

    def check(self, step: str, batch: Sequence[Sample]) -> None:
        """Run out of memory, if it is the step."""
        if step == self.step and len(batch) > self.most:
            raise torch.OutOfMemoryError(TOO_LARGE)


@pytest.mark.parametrize("step", ["begin", "finish"])
def test_a_batch_is_halved_until_it_fits(step: str) -> None:
    limited = Limited(3, step)
    begin = HalvedBatches(limited)
    with pytest.warns(UserWarning, match="in parts of 2: give batch_size=2") as told:
        found = [begin(samples(8))() for _ in range(3)]
    assert len(told) == 1
    assert limited.tried == [8, 4, *[2] * 12]  # the size that fits is known for later batches
    for one in found:
        assert one.sample.tolist() == [f"image {i}" for i in range(8)]
        assert one.values.shape == (8, 2)


def test_an_error_of_memory_waits_until_the_batch_before_it_is_finished() -> None:
    begin = HalvedBatches(Limited(1, "begin"))
    finish = begin(samples(2))  # raises nothing
    with pytest.warns(UserWarning, match="parts of 1"):
        assert len(finish().sample) == 2


def test_other_errors_are_not_caught() -> None:
    class Broken(RuntimeError):
        pass

    def fail(_batch: object) -> None:
        raise Broken("another")

    with pytest.raises(Broken):
        HalvedBatches(fail)(samples(2))


def test_tensors_of_a_failed_batch_are_freed() -> None:
    held: list[weakref.ref[Tensor]] = []

    def work(batch: Sequence[Sample]) -> BatchScores:
        assert all(one() is None for one in held)
        large = torch.zeros(3)
        held.append(weakref.ref(large))
        if len(batch) > 1:
            raise torch.OutOfMemoryError(TOO_LARGE)
        return scores_of(batch)

    with ThreadPoolExecutor(1) as thread:  # what comes of it keeps the error
        finish = HalvedBatches(lambda batch: thread.submit(work, batch).result)(samples(4))
        with pytest.warns(UserWarning, match="parts of 1"):
            finish()
    assert len(held) == 6


# --- Workers --------------------------------------------------------------------------------------


class Deadly(Lazy):
    """A dataset whose fifth sample kills the process that reads it."""

    def __getitem__(self, index: int) -> Sample:
        if index == 5 and torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    settings = {"prepare": SMALL, "progress": False, "batch_size": 1, "out": tmp_path} | PLAN
    with pytest.raises(ProcessError, match=r"workers must live .* DataLoader worker .* workers=0"):
        evaluate(small_network(), Deadly(samples(7)), workers=1, **settings)
    kept = len([*(tmp_path / "batches").glob("*.npz")])
    assert kept > 0
    again = evaluate(small_network(), Deadly(samples(7)), workers=0, **settings)
    whole = evaluate(small_network(), samples(7), **settings | {"out": None})
    assert np.array_equal(again.values, whole.values, equal_nan=True)
