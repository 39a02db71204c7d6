"""Pictures of examples: the best, the median and the worst target of each class."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from cameval.data import Sample
from cameval.data.map_files import maps_at
from cameval.errors import DataError, SettingError
from cameval.evaluation import Column, Preparation, Results
from cameval.evaluation._contents import Contents, contents_of
from cameval.evaluation._headline import headline_metric
from cameval.evaluation._loading import SizedSamples
from cameval.evaluation._plan import MapSource
from cameval.evaluation._run_folder import write_atomically
from cameval.evaluation._samples import as_sample
from cameval.evaluation._scores import Images, images_by_model
from cameval.evaluation.preparation import Prepare
from cameval.extractor import Alignment, CAMExtractor
from cameval.protocols import Binarizer, CAMMethod
from cameval.report._example_pictures import GivenMap, MapOf, NetworkMap, draw_target
from cameval.report._files import make_folder, write_bytes
from cameval.report._targets import targets_of

__all__ = ["Example", "draw_examples"]


@dataclass(frozen=True)
class Example:
    """A picture of the map and mask of one target of a sample, and why it was chosen.

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
        The class of which it was chosen; None for all images.
    score
        Its value of the metric.
    file
        Name of the picture in ``figures/examples/``.
    target
        The label of the target; None if it is not known.
    remark
        What else is to be known of the picture, such as which slice of a volume it shows.
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
    target: int | None = None
    remark: str = ""


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
    names = {f.name for f in fields(Example)}
    if not isinstance(record, Mapping) or not names - _OPTIONAL <= set(record) <= names:
        raise DataError(f"{file}: an example must have the fields of Example, got {record!r:.80}")
    words: dict[str, Any] = dict(record)
    numbers = ("label", "score", "target")
    good = all(isinstance(v, str) for k, v in words.items() if k not in numbers)
    good &= all(_is_label(words.get(name)) for name in ("label", "target"))
    if not good or not isinstance(words["score"], int | float):
        raise DataError(f"{file}: an example must be words, a label, a score, got {record!r:.80}")
    if not re.fullmatch(r"[\w-]+\.png", words["file"], re.ASCII):
        raise DataError(f"{file}: file must be the name of a picture, got {words['file']!r:.80}")
    return Example(**words)


_OPTIONAL = {"target", "remark"}


def _is_label(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


MOST_CLASSES = 6


def draw_examples(
    results: Results,
    samples: SizedSamples,
    model: nn.Module | None,
    folder: str | PathLike[str],
    *,
    binarizer: tuple[str, Binarizer],
    method: tuple[str, CAMMethod] | None = None,
    maps: tuple[str, MapSource | str | PathLike[str]] | None = None,
    prepare: Prepare | None = None,
    alignment: Alignment = "half_pixel",
) -> list[Example]:
    """Draw the best, the median and the worst of all images and of each class.

    The maps are computed again, for the first target class of the results. Each picture shows the
    map in colors and, to its right, the outline of the mask, both with the outline of the truth.
    Pixels that the sample ignores are striped. A sample with several targets has a picture for
    each. Of a volume the slice is shown where the truth is largest. `write_report` shows the
    pictures that are in its folder.

    Parameters
    ----------
    results
        Results of one model.
    samples
        What was evaluated, in the same order.
    model
        The network; None for maps made elsewhere.
    folder
        Where ``figures/examples/`` and ``figures/examples.json`` are written.
    binarizer
        One of those evaluated: its label and the callable. Images are chosen by the first metric
        of masks, or of maps, that is no upper bound; without a true pixel they are only chosen if
        all are.
    method
        One of those evaluated: its label and the callable.
    maps
        Instead of a method, maps made elsewhere: their label and where they come from, as for
        `evaluate_maps`.
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
        If the results are of several models, lack the method, maps or binarizer, have no metric
        other than counted categories, or have target classes that were chosen by a function; or
        unless either a method with its model or maps are given.
    DataError
        If a sample is not the one that was evaluated.
    """
    contents = contents_of(results)
    if len(contents.models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(contents.models)}; choose one, as in "
            f"results.select(model={contents.models[0]!r})"
        )
    if (method is None) == (maps is None) or (maps is None and model is None):
        raise SettingError(
            "draw_examples must have either a method with its model, or maps; give one of them"
        )
    of_maps, source = maps or method or ("", None)
    scored = targets_of(results, contents).scored
    column = _select_column(scored, contents, of_maps, binarizer[0], computed=maps is None)
    if prepare is None:
        prepare = Preparation() if contents.has_network else Preparation(size=None)
    draw: MapOf
    if maps is None:
        assert model is not None
        assert method is not None
        extract = CAMExtractor(model, method[1], alignment)
        draw = NetworkMap(extract, scored, column.target_class)
    else:
        if isinstance(source, str | PathLike):
            source = maps_at(source, results.class_names)
        draw = GivenMap(of_maps, cast(MapSource, source))
    pictures = make_folder(Path(folder) / "figures" / "examples")
    images = images_by_model(scored)[contents.models[0]]
    higher = contents.averaged_metrics[column.metric].higher_is_better
    number = {
        name: k for k, name in enumerate(dict.fromkeys(results.samples["sample"].astype(str)))
    }
    drawn: dict[int, tuple[str, str]] = {}
    examples = []
    for label, pick, row in _pick_rows(images, column, higher_is_better=higher):
        name = str(images.samples["sample"].iloc[row])
        target = _label_of(images, row)
        if row not in drawn:
            sample = _read_target(samples, number[name], name, target)
            picture, remark = draw_target(sample, row, draw, binarizer[1], prepare)
            drawn[row] = f"sample-{row:06d}.png", remark
            write_bytes(pictures / drawn[row][0], picture)
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
                file=drawn[row][0],
                target=target,
                remark=drawn[row][1],
            )
        )
    write_examples(pictures.parent, examples)
    return examples


# --- Choosing -----------------------------------------------------------------------------------
def _select_column(
    results: Results, contents: Contents, method: str, binarizer: str, *, computed: bool
) -> Column:
    """Return the column by which examples are chosen, of maps that can be computed again."""
    known = results.meanings.target_class
    good: tuple[object, ...] = ("predicted", "true") if computed else ("predicted", "true", "given")
    target_class = next(
        (
            e
            for e in contents.target_classes
            if not computed
            or (e in known and (known[e].classes in good or isinstance(known[e].classes, int)))
        ),
        None,
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


def _label_of(images: Images, row: int) -> int | None:
    label = int(images.labels[row])
    return None if label < 0 else label


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


def _read_target(samples: SizedSamples, index: int, expected: str, label: int | None) -> Sample:
    """Return a sample of one target."""
    if index >= len(samples):
        raise DataError(f"samples must be those of the results, got only {len(samples)}")
    sample = as_sample(samples[index], index)
    if sample.name != expected:
        raise DataError(
            f"sample {index} must be {expected!r}, as in the results, got {sample.name!r}"
        )
    targets = sample.by_target()
    found = [one for one in targets if one.label == label]
    if not found and len(targets) > 1:
        raise DataError(f"sample {expected!r} must have a target of class {label}, got none")
    return (found or targets)[0]
