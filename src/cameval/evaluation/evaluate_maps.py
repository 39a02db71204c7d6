"""`evaluate_maps`: from maps made elsewhere and samples to a table of scores; `pair_maps`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from cameval._arrays import as_numpy
from cameval.baselines.properties import needs_network
from cameval.data import MapFile, MapFolder, Sample
from cameval.data.map_files import maps_at
from cameval.distributed import rank
from cameval.errors import SettingError
from cameval.evaluation._class_order import warn_of_class_order
from cameval.evaluation._given import GivenPredictions, PredictionsGiven
from cameval.evaluation._loading import Samples, Workers, as_samples, names_of_classes, read_batches
from cameval.evaluation._loop import score_run
from cameval.evaluation._plan import GIVEN, MapSource, Named, Plan, callables_by_label
from cameval.evaluation._run import Run, plan_run
from cameval.evaluation._sources import given_map
from cameval.evaluation.labels import map_by_label
from cameval.evaluation.preparation import Preparation, Prepare
from cameval.evaluation.preparation_check import warn_of_preparation
from cameval.evaluation.results import Results
from cameval.evaluation.same_maps import warn_of_same_maps
from cameval.evaluation.settings import (
    RunSettings,
    Settings,
    check_names,
    default_baselines,
    default_binarizers,
    default_metrics,
)
from cameval.evaluation.spacings import warn_of_mixed_spacings
from cameval.maps import upsample
from cameval.metrics import takes
from cameval.protocols import Baseline, Binarizer, Metric

__all__ = ["evaluate_maps", "pair_maps"]

_FILES = (str, PathLike, MapFile, MapFolder)
"""Maps in files: they have the name of their folder or file as label."""

Maps: TypeAlias = Named[MapSource | str | PathLike[str]]
"""Folders of map files or functions of a sample: one, several, or several by label."""


def evaluate_maps(
    maps: Maps,
    samples: Samples,
    *,
    binarizers: Named[Binarizer] | None = None,
    metrics: Named[Metric] | None = None,
    baselines: Named[Baseline] | None = None,
    predictions: PredictionsGiven | None = None,
    prepare: Prepare | None = None,
    **settings: Unpack[RunSettings],
) -> Results:
    """Score maps that were made elsewhere, and baselines, on every target of every sample.

    No network is needed. Everything else is as in :func:`evaluate`: binarizers, metrics, baselines,
    statistics, the folder of a run, several processes, the report.

    Parameters
    ----------
    maps
        Where the maps come from: the path of a folder of map files, a
        :class:`cameval.data.MapFolder` with settings, or a function from a `Sample` with one target
        to its map, an array ``(H, W)``; one, several, or several by label. Maps may have any size:
        they are interpolated linearly to the size of the mask.
    samples
        As for :func:`evaluate`.
    binarizers, metrics, baselines
        As for :func:`evaluate`. Metrics that run the network are refused. Baselines that need the
        network, as the truth on its feature grid, are left out of the defaults, and refused
        otherwise.
    predictions
        What a classifier predicted: the path of a CSV file with the columns name, predicted and
        probability, or a mapping from the sample's name to the predicted class, or to class and
        probability. By default nothing is known of a classifier, and nothing is said of it.
    prepare
        As for :func:`evaluate`, for the truth and the image that baselines see. By default the
        image as it is.
    **settings
        As for :func:`evaluate`. The default name is ``"maps"``.

    Returns
    -------
    Results
        One value for each column and each target of each sample. The target class is ``"given"``.

    Raises
    ------
    SettingError
        If a setting is out of its range, there are no maps, a metric needs a network, or the masks
        of a binarizer or the scores of a metric depend on the other maps of a batch.
    DataError
        If a sample has no map, or a file is not one of a map; sample and file are named. If only
        some samples in a list have a spacing, and a metric uses it.
    ShapeError
        If a map does not have the axes of its sample.
    NonFiniteError
        If a map holds NaN or infinity.

    Notes
    -----
    If far more of the given predictions are right in another order of the classes, there is a
    :class:`~cameval.data.ClassOrderWarning`, as of :func:`evaluate`.

    Examples
    --------
    >>> from itertools import islice
    >>> from cameval import evaluate_maps, iou, pointing_game
    >>> from cameval.data import phantom_samples
    >>> def brightness(sample):
    ...     return sample.image
    >>> samples = list(islice(phantom_samples(seed=1), 4))
    >>> results = evaluate_maps(brightness, samples, metrics=[iou, pointing_game])
    >>> len(results), results.samples["model"].unique().tolist()
    (4, ['maps'])
    """
    check_names(settings, "evaluate_maps")

    def plan() -> Run:
        checked = Settings(**settings)
        named = named_maps(maps, settings.get("class_names"), samples)
        if not named:
            raise SettingError("maps must name at least one source of maps, got none")
        given = default_baselines(checked.seed) if baselines is None else baselines
        names = class_names_of(settings.get("class_names"), samples)
        said = None if predictions is None else GivenPredictions.of(predictions, names)
        return plan_run(
            None,
            Plan.of(
                classes={GIVEN: GIVEN},
                methods={},
                maps=named,
                baselines=_without_network(given, default=baselines is None),
                binarizers=default_binarizers() if binarizers is None else binarizers,
                metrics=_of_maps(default_metrics() if metrics is None else metrics),
            ),
            samples,
            prepare=Preparation(size=None) if prepare is None else prepare,
            task=None if said is None else said.task,
            settings=checked,
            predictions=said,
        )

    results = score_run(plan)
    if rank() == 0:
        warn_of_preparation(results.provenance)
        warn_of_mixed_spacings(results.provenance)
        warn_of_class_order(results)
        warn_of_same_maps(results.provenance)
    return results


def pair_maps(
    maps: MapSource | str | PathLike[str],
    samples: Samples,
    *,
    class_names: Sequence[str] | None = None,
) -> Iterator[tuple[NDArray[np.floating[Any]], Sample]]:
    """Yield each sample with the maps of its targets, as the published protocols take them.

    Parameters
    ----------
    maps
        Where the maps come from: one source, as for :func:`evaluate_maps`.
    samples
        As for :func:`evaluate`.
    class_names
        Names of the classes, for map files that have them in their names; by default those of the
        dataset.

    Yields
    ------
    tuple of numpy.ndarray and Sample
        The maps ``(T, H, W)`` of the T targets, interpolated to the size of the image, and the
        sample. Samples are read one by one.

    Raises
    ------
    ArrayTypeError
        If an item of `samples` is no sample.
    DataError, ShapeError, NonFiniteError
        If a sample or its map cannot be read; the sample is named.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample
    >>> from cameval.evaluation import PointingProtocol, pair_maps
    >>> image = np.array([[0, 0, 1, 0]], np.float32)
    >>> sample = Sample("bright", image, image > 0, label=0)
    >>> PointingProtocol()(pair_maps(lambda sample: sample.image, [sample])).accuracy
    1.0
    """
    named = named_maps(maps, class_names, samples)
    if len(named) != 1:
        raise SettingError(f"maps must be one source of maps, got {len(named)}")
    ((label, source),) = named.items()
    for _, batch in read_batches(as_samples(samples), 1, lambda _: True, Workers(0)):
        for sample in batch:
            found = [given_map(source, label, one) for one in sample.by_target()]
            fitted = [m if m.shape == sample.shape else upsample(m, sample.shape) for m in found]
            yield as_numpy(torch.stack(fitted)), sample


def named_maps(
    maps: Maps | None, class_names: Sequence[str] | None, samples: object
) -> dict[str, MapSource]:
    """Return sources of maps by label; a path stands for the folder's map files."""
    if maps is None:
        return {}
    names = class_names_of(class_names, samples)
    if isinstance(maps, _FILES):
        maps = [maps]
    if isinstance(maps, Sequence) and maps and all(isinstance(one, _FILES) for one in maps):
        labels = [_name(one) for one in maps]
        if len(set(labels)) < len(labels):
            raise SettingError(
                f"folders of maps must have different names, got {labels}; give them labels, as in "
                "maps={'first': ..., 'second': ...}"
            )
        maps = dict(zip(labels, maps, strict=True))
    for one in _each(maps):
        if isinstance(one, type) or not (callable(one) or isinstance(one, _FILES)):
            raise SettingError(
                "maps must be folders or functions of a sample, got "
                f"{one.__name__ if isinstance(one, type) else type(one).__name__}; of maps in the "
                "order of the samples write {'mine': lambda sample: by_name[sample.name]}, with "
                "by_name = {sample.name: one for sample, one in zip(samples, maps)}"
            )
    named: dict[str, Any] = map_by_label(maps, "maps")
    return {
        label: maps_at(one, names) if isinstance(one, str | PathLike) else one
        for label, one in named.items()
    }


def _each(maps: object) -> Iterable[object]:
    if isinstance(maps, Mapping):
        return maps.values()
    return maps if isinstance(maps, Sequence) else [maps]


def class_names_of(class_names: Sequence[str] | None, samples: object) -> tuple[str, ...]:
    """Return the names of the classes: the given ones, or those of the dataset."""
    return tuple(class_names or names_of_classes(samples) or ())


def _name(files: Any) -> str:
    """Return the label of a folder or file of maps: its name."""
    path = files.path if isinstance(files, MapFile | MapFolder) else files
    return Path(path).name or str(path)


def _without_network(given: Named[Baseline], *, default: bool) -> dict[str, Baseline]:
    """Return the baselines that need no network; others are left out of the defaults only."""
    named: dict[str, Baseline] = callables_by_label(given, "baselines", "cameval.baselines")
    if needing := [label for label, one in named.items() if needs_network(one)]:
        if not default:
            raise SettingError(
                f"baselines must need no network where maps are given, got {needing}; leave them "
                "out, or evaluate the network with cameval.evaluate(net, samples, maps=...)"
            )
        named = {label: one for label, one in named.items() if label not in needing}
    return named


def _of_maps(given: Named[Metric]) -> dict[str, Metric]:
    """Return the metrics, none of which runs the network."""
    named: dict[str, Metric] = callables_by_label(given, "metrics", "cameval.metrics")
    if needing := [label for label, one in named.items() if takes(one) == "network"]:
        raise SettingError(
            f"metrics must take masks or maps where maps are given, got {needing}, which run the "
            "network; evaluate the network with cameval.evaluate(net, samples, maps=...)"
        )
    return named
