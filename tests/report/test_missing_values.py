"""Images without a label or a prediction, and undefined scores, as the page counts them."""

from dataclasses import replace

import numpy as np
import pytest
from pages import made, undefined, written

from cameval.evaluation import Results

pytestmark = pytest.mark.usefixtures("no_figures")


def without(results: Results, column: str, missing: np.ndarray) -> Results:
    """Return results in which a column of the samples has no value in some rows."""
    values = results.samples[column].where(~missing)
    return replace(results, samples=results.samples.assign(**{column: values}))


@pytest.mark.parametrize(
    ("labels", "predictions", "counted"), [(4, 4, 20), (4, 0, 20), (0, 4, 20), (2, 5, 19)]
)
def test_only_images_with_label_and_prediction_are_right_or_wrong(
    labels, predictions, counted, tmp_path
) -> None:
    order = np.arange(24)
    results = without(made(24), "label", order < labels)
    results = without(results, "predicted", order < predictions)
    page = written(results, tmp_path)
    both = order >= max(labels, predictions)
    right = (results.samples["label"] == results.samples["predicted"])[both].astype(float)
    assert f"classifies {100 * right.mean():.1f}" in page.text
    assert f"of {counted} labeled images correctly" in page.text
    rows = page.table("IoU of right and wrong").rows
    counts = [int(cells[0]) for _, _, cells in rows if cells[0]]
    assert counts == [right.sum(), counted - right.sum()]


def test_each_reason_of_an_undefined_score_is_counted_alone(tmp_path) -> None:
    results = made(binarizers=("p95",), baselines={"center": "nothing"}, methods=("cam",))
    columns = [k for k, column in enumerate(results.columns) if column.metric == "coverage"]
    results = undefined(results, np.ix_(range(7), columns), 3)
    results = undefined(results, np.ix_(range(10, 12), columns), 1)
    table = written(results, tmp_path).table("Undefined scores")
    assert table.titles[1:3] == ["empty truth", "empty prediction"]
    assert [cells[:3] for _, _, cells in table.rows] == [["2", "7", "24"]] * 2
