"""Pictures of example images: the best, the median and the worst of each class."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cameval.data import Sample
from cameval.errors import DataError, SettingError
from cameval.evaluation import Column, Preparation, Results
from cameval.evaluation._loading import SizedSamples
from cameval.evaluation._run_folder import write_atomically
from cameval.evaluation._sources import prepare_targets
from cameval.evaluation.preparation import Prepare
from cameval.extractor import Alignment, CAMExtractor
from cameval.plots import overlay
from cameval.protocols import Binarizer, CAMMethod
from cameval.report._contents import Contents, contents_of
from cameval.report._files import draw_png, make_folder, write_bytes
from cameval.report._headline import headline_metric
from cameval.report._scores import Images, images_by_model

__all__ = ["Example", "draw_examples"]


@dataclass(frozen=True)
class Example:
    """A picture of one sample's map and mask, and why it was chosen.

    Parameters
    ----------
    model, sample
        Whose map, and of which image.
    target_class, method, binarizer, metric
        Which map and mask, and by which metric it was chosen; as of :class:`Column`.
    pick
        ``"best"``, ``"median"`` or ``"worst"``; ``"highest"`` and ``"lowest"`` for a metric that
        does not state which is better.
    label
        The true class of which it was chosen; None for all images.
    score
        Its value of the metric.
    file
        Name of the picture in ``figures/examples/``.
    """

    model: str
    sample: str
    target_class: str
    method: str
    binarizer: str
    metric: str
    pick: str
    label: int | None
    score: float
    file: str


def write_examples(figures: Path, examples: Sequence[Example]) -> None:
    """Write the list of examples."""
    text = json.dumps({"examples": [asdict(example) for example in examples]}, indent=2)
    write_atomically(figures / "examples.json", text)


def read_examples(folder: Path) -> list[Example]:
    """Return the examples that `draw_examples` wrote to the folder, if any.

    Raises
    ------
    DataError
        If the file is damaged, or a picture is missing.
    """
    file = folder / "figures" / "examples.json"
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file} must be the list of the examples as JSON, got {error}; delete it to have a "
            "report without them"
        ) from error
    records = words.get("examples") if isinstance(words, dict) else None
    if not isinstance(records, list):
        raise DataError(f"{file} must hold the list examples, got {str(words)[:60]}")
    examples = [_check_example(record, file) for record in records]
    for example in examples:
        if not (file.parent / "examples" / example.file).is_file():
            raise DataError(
                f"{file}: its pictures must be in {file.parent / 'examples'}, got no {example.file}"
            )
    return examples


def _check_example(record: object, file: Path) -> Example:
    """Return a record as an example, if it is one."""
    if not isinstance(record, Mapping) or set(record) != {f.name for f in fields(Example)}:
        raise DataError(f"{file}: an example must have the fields of Example, got {record!r:.80}")
    words: dict[str, Any] = dict(record)
    label, score = words["label"], words["score"]
    whole = isinstance(label, int) and not isinstance(label, bool)
    good = all(isinstance(v, str) for k, v in words.items() if k not in ("label", "score"))
    if not good or not (label is None or whole) or not isinstance(score, int | float):
        raise DataError(f"{file}: an example must be words, a label, a score, got {record!r:.80}")
    if not re.fullmatch(r"[\w-]+\.png", words["file"], re.ASCII):
        raise DataError(f"{file}: file must be the name of a picture, got {words['file']!r:.80}")
    return Example(**words)


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
    """Draw the best, the median and the worst of all images and of each class.

    The maps are computed again, for the first target class of the results. Each picture shows the
    map in colors and, to its right, the outline of the mask, both with the outline of the truth.
    `write_report` shows the pictures that are in its folder.

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
        One of those evaluated: its label and the callable. Images are chosen by the first metric
        of masks, or of maps, that is no upper bound.
    prepare, alignment
        As they were for `evaluate`.

    Returns
    -------
    list of Example
        The examples of all images and of the six most frequent classes. A class with one defined
        score has one example, a class with two has the best and the worst.

    Raises
    ------
    SettingError
        If the results are of several models, lack the method or binarizer, have no metric other
        than counted categories, or have target classes that were chosen by a function.
    DataError
        If a sample is not the one that was evaluated.
    """
    contents = contents_of(results)
    if len(contents.models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(contents.models)}; choose one, as in "
            f"results.select(model={contents.models[0]!r})"
        )
    column = _select_column(results, contents, method[0], binarizer[0])
    prepare = Preparation() if prepare is None else prepare
    extract = CAMExtractor(model, method[1], alignment)
    pictures = make_folder(Path(folder) / "figures" / "examples")
    images = images_by_model(results)[contents.models[0]]
    higher = contents.averaged_metrics[column.metric].higher_is_better
    files: dict[int, str] = {}
    examples = []
    for label, pick, row in _pick_rows(images, column, higher_is_better=higher):
        name = str(images.samples["sample"].iloc[row])
        if row not in files:
            sample = _read_sample(samples, row, name)
            class_ = _find_class(results, column.target_class, row)
            files[row] = f"sample-{row:06d}.png"
            picture = _draw_sample(sample, extract, class_, binarizer[1], prepare)
            write_bytes(pictures / files[row], picture)
        examples.append(
            Example(
                model=contents.models[0],
                sample=name,
                target_class=column.target_class,
                method=column.method,
                binarizer=column.binarizer,
                metric=column.metric,
                pick=pick,
                label=label,
                score=float(images.values(column)[row]),
                file=files[row],
            )
        )
    write_examples(pictures.parent, examples)
    return examples


# --- Choosing -----------------------------------------------------------------------------------
def _select_column(results: Results, contents: Contents, method: str, binarizer: str) -> Column:
    """Return the column by which examples are chosen."""
    known = results.meanings.target_class
    target_class = next(
        (e for e in contents.target_classes if e in known and known[e].classes is not None), None
    )
    if target_class is None:
        raise SettingError(
            "results must have the target class 'predicted', 'true' or a class index, so that "
            f"maps can be computed again, got {', '.join(contents.target_classes)}"
        )
    of_method = results.select(method=method, kind="method", target_class=target_class)
    if contents.mask_metrics:
        of_method = of_method.select(binarizer=binarizer)
    metric = headline_metric(contents)
    columns = [c for c in of_method.columns if c.metric == metric]
    if not columns:
        raise SettingError(
            "results must have a metric to choose examples by, got counted categories alone"
        )
    return columns[0]


def _find_class(results: Results, target_class: str, row: int) -> int:
    """Return the index of the target class of a row."""
    classes = results.meanings.target_class[target_class].classes
    if isinstance(classes, int):
        return classes
    sample = results.samples.iloc[row]
    return int(sample["predicted"] if classes == "predicted" else sample["label"])


def _pick_rows(
    images: Images, column: Column, *, higher_is_better: bool | None
) -> list[tuple[int | None, str, int]]:
    """Return class, pick and row of each example: of all images first."""
    values, labels = images.values(column), images.labels
    frequent, left_out = images.frequent_classes(MOST_CLASSES)
    parts: list[int | None] = [None]
    parts += sorted(frequent) if len(frequent) + left_out > 1 else []
    best, worst = ("best", "worst") if higher_is_better is not None else ("highest", "lowest")
    picks: list[tuple[int | None, str, int]] = []
    for label in parts:
        here = np.flatnonzero(~np.isnan(values) & (True if label is None else labels == label))
        ranked = here[np.argsort(values[here], kind="stable")]
        if higher_is_better is False:
            ranked = ranked[::-1]
        positions = {best: -1, "median": (len(ranked) - 1) // 2, worst: 0}
        shown = [(best,), (best, worst), (best, "median", worst)][min(len(ranked), 3) - 1]
        picks += [(label, pick, int(ranked[positions[pick]])) for pick in shown if len(ranked)]
    return picks


def _read_sample(samples: SizedSamples, row: int, expected: str) -> Sample:
    if row >= len(samples):
        raise DataError(f"samples must be those of the results, got only {len(samples)}")
    sample = samples[row]
    if not isinstance(sample, Sample) or sample.name != expected:
        came = repr(sample.name) if isinstance(sample, Sample) else type(sample).__name__
        raise DataError(f"sample {row} must be {expected!r}, as in the results, got {came}")
    return sample


# --- Drawing ------------------------------------------------------------------------------------
def _draw_sample(
    sample: Sample, extract: CAMExtractor, class_: int, binarizer: Binarizer, prepare: Prepare
) -> bytes:
    """Draw a sample: map and truth, and beside it mask and truth."""
    (prepared,) = prepare_targets(prepare, [sample])
    seen, truth = prepared.image, prepared.truth
    device = next((p.device for p in extract.model.parameters()), torch.device("cpu"))
    size = tuple(truth.shape)
    maps = extract(seen[None].to(device), class_, size=size).maps.detach()
    mask = binarizer(maps)[0]
    picture = _crop_image(sample, prepare, seen, size)
    figure = Figure(figsize=(6.4, 3.2 * size[0] / size[1]))
    left = figure.add_axes((0, 0, 0.497, 1))
    right = figure.add_axes((0.503, 0, 0.497, 1))
    overlay(left, picture, score_map=maps[0].cpu(), truth=truth.cpu())
    overlay(right, picture, mask=mask.cpu(), truth=truth.cpu())
    return draw_png(figure, dpi=110)


def _crop_image(
    sample: Sample, prepare: Prepare, seen: Tensor, size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the part of the image that the truth covers, on its grid, in [0, 1]."""
    if isinstance(prepare, Preparation):
        height, width = size
        seen, _ = replace(prepare, size=(height, width))(sample)
        mean, std = (torch.tensor(v)[:, None, None] for v in (prepare.mean, prepare.std))
        return np.asarray((seen * std + mean).clamp(0, 1).movedim(0, 2))
    image = sample.image
    if image.shape[:2] != size:  # another part of the image: show the input of the network
        low, high = seen.min(), seen.max()
        scaled = ((seen - low) / (high - low).clamp(min=1e-12)).float().cpu()
        resized = interpolate(scaled[None], size=size, mode="bilinear", antialias=True)[0]
        image = np.asarray(resized.clamp(0, 1).movedim(0, 2))
    if image.ndim == 3 and image.shape[2] != 3:
        image = image.mean(2)
    return image
