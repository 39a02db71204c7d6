"""Sorted pixels against NumPy's sort, and levels against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cameval import _sorting
from cameval._sorting import SortedPixels

KINDS = {
    "float32": arrays(np.float32, st.integers(1, 40), elements=st.floats(-2, 2, width=32)),
    "wide": arrays(
        np.float32, st.integers(1, 40), elements=st.floats(-(2.0**127), 2.0**127, width=32)
    ),
    "subnormal": arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 2**-140, width=32)),
    "float64": arrays(np.float64, st.integers(1, 40), elements=st.floats(-1, 1)),
    "huge": arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e300, 1e300)),
    "tied": arrays(
        np.float32, st.integers(1, 40), elements=st.sampled_from([-1.0, -0.0, 0.0, 2.0])
    ),
    "int64": arrays(np.int64, st.integers(1, 40), elements=st.integers(-(2**53), 2**53)),
    "uint8": arrays(np.uint8, st.integers(1, 40)),
}


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_values_and_levels(kind: str, data: st.DataObject) -> None:
    values = data.draw(KINDS[kind])
    truth = data.draw(arrays(np.bool_, values.shape))
    before = values.copy(), truth.copy()
    pixels = SortedPixels.of(values, truth)
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(truth, before[1])
    ordered = np.sort(values)
    np.testing.assert_array_equal(pixels.values, ordered)
    assert pixels.values.dtype == values.dtype
    ranks = [0, values.size // 2, -1]
    np.testing.assert_array_equal(pixels.values_at(ranks), ordered[ranks])
    limits = ordered[:: max(1, values.size // 5)]
    np.testing.assert_array_equal(pixels.count_below(limits), np.searchsorted(ordered, limits))
    highest = values == values.max()
    assert pixels.top == ((highest & truth).sum(), highest.sum())
    assert [*zip(*pixels.levels, strict=True)] == levels(values, truth)


def levels(values: NDArray[np.generic], truth: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Count the pixels above, at least as high, and true, for each value of a true pixel."""
    held = sorted({float(value) for value in values[truth]}, reverse=True)
    return [((values > v).sum(), (values >= v).sum(), (truth & (values == v)).sum()) for v in held]


@pytest.mark.parametrize("faster", [False, True])
def test_both_ways_to_sort_integers_agree(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sorting, "_torch_is_faster", lambda: faster)
    keys = np.random.default_rng(0).integers(-(2**31), 2**31, 5000, dtype=np.int32)
    np.testing.assert_array_equal(_sorting._sort(keys.copy()), np.sort(keys))
