"""Made-up scores of samples with several targets, and tables of them, without a network."""

import json
from zlib import crc32

import numpy as np

from cameval.evaluation import Column, Meanings, Results
from cameval.evaluation._batch import BatchScores
from cameval.evaluation.meaning import MetricMeaning
from cameval.evaluation.results import results_of
from cameval.metrics import (
    coverage,
    dice,
    false_positive_rate,
    iou,
    marked_area,
    precision,
    specificity,
)
from cameval.metrics.properties import higher_is_better, value_range

RATIOS = {
    metric.__name__: metric
    for metric in (iou, dice, coverage, precision, false_positive_rate, specificity, marked_area)
}
MEANINGS = Meanings(
    metrics={
        name: MetricMeaning(name, "masks", higher_is_better(m), value_range=value_range(m))
        for name, m in RATIOS.items()
    }
).to_record()
SETTINGS = {"model": "net", "task": "multilabel", "class_names": ["a", "b", "c", "d"]}

# Two targets of the first image, one of the second, three of the third.
SAMPLES = ["x", "x", "y", "z", "z", "z"]
LABELS = [0, 2, 0, 2, 1, 0]
INFO = [
    {"view": "lateral", "age": 61, "dose": 0.1, "pregnant": True, "=note": ""},
    {"view": "", "age": 2**53 + 1, "dose": 3, "pregnant": None, "=note": "-1"},
    {"view": None, "dose": None, "other": "1"},
]


def batch(
    samples=SAMPLES,
    labels=LABELS,
    *,
    values=None,
    weights=None,
    info=None,
    present=None,
    predicted=None,
    probability=None,
    columns=2,
) -> BatchScores:
    """Make the scores of a batch; by default random ones, every target present."""
    n = len(samples)
    rng = np.random.default_rng(0)
    values = rng.random((n, columns)) if values is None else np.asarray(values, float)
    weights = np.full(values.shape, np.nan) if weights is None else np.asarray(weights, float)
    if info is None:
        of_name = dict(zip(dict.fromkeys(samples), INFO, strict=False))
        info = [json.dumps(of_name.get(name, {})) for name in samples]
    present = np.ones(n, bool) if present is None else np.asarray(present)
    return BatchScores(
        sample=np.array(samples),
        group=np.array([f"person {name}" for name in samples]),
        label=np.array(labels, np.int64),
        predicted=np.array(labels if predicted is None else predicted, np.int64),
        probability=np.full(n, 0.75) if probability is None else np.asarray(probability, float),
        area=present * rng.uniform(0.1, 0.2, n),
        present=present,
        info=np.array(info),
        checksum=np.arange(n, dtype=np.uint32),
        sums=np.array(
            [[crc32(str(name).encode()), k] for k, name in enumerate(samples)], np.uint32
        ),
        brightest=np.ones(n, np.float32),
        ignored=np.zeros(n),
        map_sums=np.zeros((n, 0), np.uint32),
        axes=np.full(n, 2),
        spacing=np.full((n, 3), np.nan),
        values=values,
        codes=np.isnan(values).astype(np.uint8),
        weights=weights,
    )


def columns_of(methods=("cam", "grad"), binarizers=("p80",), metrics=("iou",)) -> list[Column]:
    return [
        Column("true", "method", method, binarizer, metric)
        for method in methods
        for binarizer in binarizers
        for metric in metrics
    ]


def made(*parts: BatchScores, columns=None, model: str = "net", **settings) -> Results:
    provenance = {"settings": {**SETTINGS, "model": model, **settings}, "meanings": MEANINGS}
    return results_of(parts or [batch()], columns or columns_of(), provenance)
