"""Scores are those that were stored, to the bit: a faster way changes no value."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import stored_results as stored

from cameval import Sample


@pytest.mark.parametrize("kind", ["random", "pets", "slices"])
def test_scores_are_those_that_were_stored(kind: str, request: pytest.FixtureRequest) -> None:
    found = stored.evaluate_stored(_samples(kind, request))
    with np.load(stored.FILE) as known:
        names, columns = known[f"{kind} names"], known["columns"]
        values, codes, weights = (
            known[f"{kind} {part}"] for part in ("values", "codes", "weights")
        )
    assert found.samples["sample"].tolist() == names.tolist()
    assert [str(column) for column in found.columns] == columns.tolist()
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.weights, weights)
    summed = np.array([c.metric in stored.AVERAGE_PRECISION for c in found.columns])
    np.testing.assert_array_equal(found.values[:, ~summed], values[:, ~summed])
    np.testing.assert_allclose(found.values[:, summed], values[:, summed], rtol=0, atol=1e-12)


def _samples(kind: str, request: pytest.FixtureRequest) -> Iterator[Sample]:
    if kind == "random":
        return stored.random_samples()
    data: Path = request.getfixturevalue("shared_data") / "data"
    return stored.pets(data) if kind == "pets" else stored.slices(data)
