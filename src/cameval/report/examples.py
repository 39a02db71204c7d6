"""Examples of maps and masks on their images: the best, the median and the worst of each class."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cameval.binarizers import Binarizer
from cameval.data import Sample
from cameval.errors import DataError, SettingError
from cameval.evaluation import Column, Preparation, Results
from cameval.evaluation.loading import SizedSamples
from cameval.evaluation.prepare import Prepare
from cameval.extractor import Alignment, CAMExtractor
from cameval.methods import CAMMethod
from cameval.plots import overlay
from cameval.report.facts import Facts
from cameval.report.files import made, png, write_bytes
from cameval.report.listing import Example, write_examples

__all__ = ["draw_examples"]

MOST_CLASSES = 6


def draw_examples(
    results: Results,
    samples: SizedSamples,
    model: nn.Module,
    folder: Path,
    *,
    method: tuple[str, CAMMethod],
    binarizer: tuple[str, Binarizer],
    prepare: Prepare | None = None,
    alignment: Alignment = "half_pixel",
) -> list[Example]:
    """Draw the best, the median and the worst image of all and of each class.

    The maps are made again, for the class that the results explain first. Each picture shows the
    map in colors, and beside it the outline of the mask, both with the outline of the truth.
    `write_report` finds the pictures in the folder, and shows them.

    Parameters
    ----------
    results
        Results of one model.
    samples
        What was evaluated: row i of the results is sample i.
    model
        The network.
    folder
        Where ``figures/examples/`` and ``figures/examples.json`` are written.
    method, binarizer
        Which of those evaluated: label, and the thing itself. Images are chosen by IoU, or by the
        first metric of masks, or of maps, where that was not evaluated.
    prepare, alignment
        As they were for `evaluate`.

    Returns
    -------
    list of Example
        What was drawn, of at most six classes, the most frequent. A class with one defined score
        has one example, with two the best and the worst.

    Raises
    ------
    SettingError
        If the results are of several models, lack the method or binarizer, have no metric but
        counted outcomes, or explain what cannot be made again: a class that a function chose.
    DataError
        If a sample is not the one that was evaluated.
    """
    facts = Facts(results)
    if len(facts.models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(facts.models)}; choose one, as in "
            f"results.select(model={facts.models[0]!r})"
        )
    column = _column(facts, method[0], binarizer[0])
    prepare = Preparation() if prepare is None else prepare
    extract = CAMExtractor(model, method[1], alignment)
    pictures = made(Path(folder) / "figures" / "examples")
    drawn: dict[int, str] = {}
    examples = []
    for label, pick, row in _picks(facts, column):
        if row not in drawn:
            sample = _sample(samples, row, str(results.samples["sample"].iloc[row]))
            class_ = _class(facts, column.explained, row)
            drawn[row] = f"sample-{row:06d}.png"
            write_bytes(
                pictures / drawn[row], _drawn(sample, extract, class_, binarizer[1], prepare)
            )
        examples.append(
            Example(
                model=facts.models[0],
                sample=str(results.samples["sample"].iloc[row]),
                explained=column.explained,
                method=column.method,
                binarizer=column.binarizer,
                metric=column.metric,
                pick=pick,
                label=label,
                score=float(results.values[row, results.columns.index(column)]),
                file=drawn[row],
            )
        )
    write_examples(pictures.parent, examples)
    return examples


# --- Which --------------------------------------------------------------------------------------


def _column(facts: Facts, method: str, binarizer: str) -> Column:
    """Return the column by which examples are chosen."""
    explained = next((e for e in facts.explained if _what(facts, e) is not None), None)
    if explained is None:
        raise SettingError(
            "results must explain 'predicted', 'true' or a class index for maps to be made again, "
            f"got {', '.join(facts.explained)}"
        )
    of_method = facts.results.select(method=method, kind="method", explained=explained)
    if facts.mask_metrics:
        of_method = of_method.select(binarizer=binarizer)
    chosen = [c for c in of_method.columns if c.metric == facts.headline]
    if not chosen:
        raise SettingError(
            "results must have a metric to choose examples by, got counted outcomes alone"
        )
    return chosen[0]


def _what(facts: Facts, explained: str) -> str | int | None:
    """Return what a label of `explained` stands for, if that can be had again."""
    known = facts.meanings.explained.get(explained)
    return None if known is None else known.classes


def _class(facts: Facts, explained: str, row: int) -> int:
    what = _what(facts, explained)
    if isinstance(what, int):
        return what
    of_row = facts.results.samples.iloc[row]
    return int(of_row["predicted"] if what == "predicted" else of_row["label"])


def _picks(facts: Facts, column: Column) -> list[tuple[int | None, str, int]]:
    """Return class, pick and row of each example: of all images first."""
    values = facts.results.values[:, facts.results.columns.index(column)]
    labels = facts.labels(facts.models[0])
    counts = facts.results.samples["label"].dropna().value_counts()
    frequent = sorted(counts.index, key=lambda label: (-counts[label], label))[:MOST_CLASSES]
    parts: list[int | None] = [None]
    parts += sorted(map(int, frequent)) if len(counts) > 1 else []
    picks: list[tuple[int | None, str, int]] = []
    higher = facts.higher_is_better(column.metric)
    for label in parts:
        here = np.flatnonzero(~np.isnan(values) & (True if label is None else labels == label))
        ranked = here[np.argsort(values[here], kind="stable")]
        best, worst = ("highest", "lowest") if higher is None else ("best", "worst")
        if higher is False:
            ranked = ranked[::-1]
        places = {best: -1, "median": (len(ranked) - 1) // 2, worst: 0}
        shown = [(best,), (best, worst), (best, "median", worst)][min(len(ranked), 3) - 1]
        picks += [(label, pick, int(ranked[places[pick]])) for pick in shown if len(ranked)]
    return picks


def _sample(samples: SizedSamples, row: int, expected: str) -> Sample:
    if row >= len(samples):
        raise DataError(f"samples must be those of the results, got only {len(samples)}")
    sample = samples[row]
    if not isinstance(sample, Sample) or sample.name != expected:
        came = repr(sample.name) if isinstance(sample, Sample) else type(sample).__name__
        raise DataError(f"sample {row} must be {expected!r}, as in the results, got {came}")
    return sample


# --- Drawing ------------------------------------------------------------------------------------


def _drawn(
    sample: Sample, extract: CAMExtractor, class_: int, binarizer: Binarizer, prepare: Prepare
) -> bytes:
    """Draw a sample: map and truth, and beside it mask and truth."""
    seen, truth = prepare(sample)
    device = next((p.device for p in extract.model.parameters()), torch.device("cpu"))
    size = tuple(truth.shape)
    heat = extract(seen[None].to(device), class_, size=size).maps.detach()
    mask = binarizer(heat)[0]
    picture = _shown(sample, prepare, seen, size)
    figure = Figure(figsize=(6.4, 3.2 * size[0] / size[1]))
    left = figure.add_axes((0, 0, 0.497, 1))
    right = figure.add_axes((0.503, 0, 0.497, 1))
    overlay(left, picture, heat=heat[0].cpu(), truth=truth.cpu())
    overlay(right, picture, mask=mask.cpu(), truth=truth.cpu())
    return png(figure, dpi=110)


def _shown(
    sample: Sample, prepare: Prepare, seen: Tensor, size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the part of the image that is on the grid of the truth, in [0, 1]."""
    if isinstance(prepare, Preparation):
        height, width = size
        seen, _ = replace(prepare, size=(height, width))(sample)
        mean, std = (torch.tensor(v)[:, None, None] for v in (prepare.mean, prepare.std))
        return np.asarray((seen * std + mean).clamp(0, 1).movedim(0, 2))
    image = sample.image
    if image.shape[:2] != size:  # another part of the image: show what the network sees
        low, high = seen.min(), seen.max()
        scaled = ((seen - low) / (high - low).clamp(min=1e-12)).float().cpu()
        resized = interpolate(scaled[None], size=size, mode="bilinear", antialias=True)[0]
        image = np.asarray(resized.clamp(0, 1).movedim(0, 2))
    if image.ndim == 3 and image.shape[2] != 3:
        image = image.mean(2)
    return image
