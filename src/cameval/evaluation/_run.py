"""A run before its first batch: network, plan and samples, and the record that identifies it."""

import warnings
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, cast

import torch
from torch import nn

from cameval.data import Sample
from cameval.data.readers import shorten_names
from cameval.distributed import number_of_processes
from cameval.errors import DataError, SettingError, ShapeError
from cameval.evaluation._batch import Predictions
from cameval.evaluation._digests import digest_of, digest_or_none, structure_of, weights_hash
from cameval.evaluation._identity import fixed_image, outputs_of
from cameval.evaluation._loading import Samples, as_samples, names_of_classes, peek
from cameval.evaluation._map_shift import MapShift
from cameval.evaluation._normalized_twice import NormalizedTwice
from cameval.evaluation._plan import Plan, Task, check_task, count_classes_of, task_of
from cameval.evaluation._preparation_words import record_of_preparation
from cameval.evaluation._run_folder import now, versions
from cameval.evaluation._sample_sums import fingerprint
from cameval.evaluation._softmax import OUTPUTS_ARE
from cameval.evaluation._sources import prepare_targets
from cameval.evaluation.labels import setting_text
from cameval.evaluation.preparation import SLICE_ADVICE, Preparation, Prepare
from cameval.evaluation.preparation_check import PreparationOverlap
from cameval.evaluation.settings import Settings
from cameval.evaluation.slice_maps import SliceMaps
from cameval.evaluation.spacings import check_spacings
from cameval.extractor import Alignment, CAMExtractor, check_alignment, check_parts, network_name
from cameval.maps import CellCenters
from cameval.networks import CAMModel, LayerModel, adapt
from cameval.networks._cuts import check_cut
from cameval.networks._dtypes import dtypes_of
from cameval.networks._module_types import calls_compiled
from cameval.networks._outputs import are_probabilities, are_sigmoids, check_no_sigmoid
from cameval.networks._placement import Placement
from cameval.networks._precision import (
    Precision,
    arithmetic_of,
    check_supported,
    in_precision,
)
from cameval.networks.adapt import unwrap, warn_of_compiled_parts
from cameval.protocols import CAMMethod


@dataclass(frozen=True, eq=False)
class Network:
    """The network, cut into features and head, and how its maps are aligned with the image."""

    model: CAMModel | LayerModel
    name: str
    alignment: Alignment = "half_pixel"
    check: bool = True
    own: CAMModel | LayerModel | None = None  # as it is, where `model` is in another precision

    @classmethod
    def of(cls, model: nn.Module | CAMExtractor, methods: Mapping[str, CAMMethod]) -> "Network":
        """Cut a network for some methods, or take that of an extractor with its settings."""
        extractor = model if isinstance(model, CAMExtractor) else None
        net = model.model if isinstance(model, CAMExtractor) else model
        check_parts(net, *methods.values())
        adapted = adapt(net)
        if extractor is None:
            return cls(adapted, network_name(unwrap(net)))
        check_alignment(extractor.alignment, adapted.cell_centers)
        name = network_name(net)
        return cls(adapted, name, extractor.alignment, extractor.check)

    @property
    def exact(self) -> CAMModel | LayerModel:
        """The network as it is."""
        return self.model if self.own is None else self.own

    def in_precision(self, precision: Precision, images: torch.Tensor) -> "Network":
        """Return the network in a precision, after a trial on some images."""
        warn_of_compiled_parts(self.model, copied=precision != "exact")
        if precision == "exact":
            return self
        return replace(self, model=in_precision(self.model, precision, images), own=self.model)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        tensors = chain(self.model.parameters(), self.model.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    @property
    def cell_centers(self) -> CellCenters | None:
        """The centers of the cells, if maps are aligned by them."""
        return self.model.cell_centers if self.alignment == "receptive_field" else None


@dataclass(frozen=True, eq=False)
class Run:
    """What is computed of which samples, with what settings.

    Parameters
    ----------
    network, plan, prepare, samples, settings
        The parts of the evaluation. Without a network all maps were made elsewhere.
    task
        The task that was asked for; None leaves it to the number of logits.
    probabilities
        Whether the network's outputs are probabilities already.
    known
        The samples that are compared between processes: all that are in memory, or the first.
    record
        Settings, meanings, identity and columns, as they are stored with the results.
    predictions
        The predictions of a classifier whose maps were made elsewhere.
    image
        The network's input for the first sample, ``(channels, h, w)``; None without a network.
    """

    network: Network | None
    plan: Plan
    prepare: Prepare
    samples: Samples
    settings: Settings
    task: Task | None
    probabilities: bool
    known: Sequence[Sample]
    record: dict[str, Any]
    predictions: Predictions | None = None
    image: torch.Tensor | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores depend on; two runs are the same where it is equal."""
        checksums = [fingerprint(one) for one in self.known if isinstance(one, Sample)]
        return {**self.record["identity"], "contents of the samples": digest_of(checksums)}


def plan_run(
    network: Network | None,
    plan: Plan,
    samples: Samples,
    *,
    prepare: Prepare,
    task: Task | None,
    settings: Settings,
    predictions: Predictions | None = None,
) -> Run:
    """Return the run, after its network has been tried on the first sample."""
    task = check_task(task)
    if network is not None:
        check_supported(settings.precision, network.device)
    elif settings.precision != "exact":
        raise SettingError(
            "precision must be 'exact' where no network runs, got "
            f"{settings.precision!r}; leave it out"
        )
    of_dataset = names_of_classes(samples)
    class_names = of_dataset if settings.class_names is None else settings.class_names
    samples = as_samples(samples)
    given, count = samples, len(samples) if isinstance(samples, Sized) else None
    first, samples = peek(samples)
    if first is None:
        raise DataError("samples must hold at least one sample, got none")
    meanings = plan.meanings()
    if type(given) in (list, tuple) and type(prepare) is Preparation:
        check_spacings(cast(Sequence[object], given), meanings)
    in_memory = type(given) in (list, tuple) and number_of_processes() > 1
    recorded = {
        "model": settings.name or ("maps" if network is None else network.name),
        "batch_size": settings.batch_size,
        "threads": torch.get_num_threads(),
        "seed": settings.seed,
        "samples": count,
        "class_names": None if class_names is None else [str(name) for name in class_names],
        "versions": versions(),
        "task": task if network is None else None,
    }
    contents: dict[str, Any] = {"prepare": digest_or_none(digest_of, prepare)}
    probabilities, cells, image, shift = False, None, None, None
    if network is None:
        contents["predictions"] = digest_or_none(digest_of, predictions)
    else:
        (prepared, *_) = prepare_targets(prepare, first.by_target()[:1])
        trial = try_network(network, prepared.image, task)
        probabilities, cells, image = trial.probabilities, trial.cells, prepared.image
        if network.alignment == "half_pixel" and network.model.cell_centers is not None:
            shift = MapShift.of_cells(network.model.cell_centers, image.shape[1:], cells)
        _check_class_names(class_names, trial.classes, of_dataset)
        if task is None and trial.task == "multiclass" and len(first.targets) > 1:
            warnings.warn(
                f"sample {first.name!r} has {len(first.targets)} targets, and one of the network's "
                "classes is taken as the prediction; give task='multilabel' if each output has its "
                "own sigmoid, or task='multiclass' if not",
                stacklevel=2,
            )
        recorded |= {
            "weights": weights_hash(network.model),
            "precision": settings.precision,
            "compiled": any(map(calls_compiled, network.model.modules())),
            "dtype": ", ".join(dtypes_of(network.model)),
            **arithmetic_of(network.device),
            "layer": network.model.layer or "features",
            "alignment": network.alignment,
            "task": trial.task,
            OUTPUTS_ARE: "probabilities" if probabilities else "logits",
        }
        contents["structure"] = digest_or_none(structure_of, network.model)
        contents["outputs"] = trial.outputs
        network = network.in_precision(settings.precision, trial.images)
    record = {
        "settings": recorded | {"prepare": setting_text(prepare)},
        "preparation": record_of_preparation(prepare),
        "meanings": meanings.to_record(),
        "identity": recorded | contents | plan.identity(),
        "columns": [list(vars(column).values()) for column in plan.columns],
        "started": now(),
        "device": "cpu" if network is None else str(network.device),
        "cells": cells,
    }
    if shift is not None:
        record |= shift.to_record()
    record |= PreparationOverlap.of(prepare, first.by_target()[0]).to_record()
    if network is not None and image is not None:
        placement = network.exact.placement
        placement = Placement() if placement is None else placement
        record |= placement.to_record() | NormalizedTwice.of_image(placement, image).to_record()
    by_slices = {k: one for k, one in plan.maps.items() if isinstance(one, SliceMaps)}
    if by_slices:
        record["slice_maps"] = {label: one.record() for label, one in by_slices.items()}
    known = cast(Sequence[Sample], given) if in_memory else [first]
    checked = task, probabilities, known, record, predictions, image
    return Run(network, plan, prepare, samples, settings, *checked)


def _check_class_names(
    names: Sequence[str] | None, classes: int, of_dataset: Sequence[str] | None
) -> None:
    """Check that there is a name for each class; a dataset may have the first classes only."""
    if not names or len(names) == classes:
        return
    of_data = [*names] == [*(of_dataset or ())]
    if of_data and len(names) > classes:
        raise SettingError(
            f"the data must have at most the network's {classes} classes, got {len(names)}: "
            f"{shorten_names(names)}; if these are subfolders that are no classes, such as those "
            "of patients, give the labels of the images with labels=, or --labels, and the "
            "patients with groups=, or --group-column"
        )
    if not of_data:
        raise SettingError(
            f"class_names must be one for each of the network's {classes} classes, in their order, "
            f"got {len(names)}"
        )


@dataclass(frozen=True)
class _Trial:
    """What the outputs of a network are, the outputs for the fixed image, and the cells of maps."""

    images: torch.Tensor
    task: Task
    classes: int
    probabilities: bool
    outputs: list[float]
    cells: list[int]


def _is_of_images(model: nn.Module) -> bool:
    """Tell whether a network has convolutions of images, and none of volumes."""
    modules = [*model.modules()]
    of_volumes = any(isinstance(one, nn.Conv3d | nn.ConvTranspose3d) for one in modules)
    return not of_volumes and any(isinstance(one, nn.Conv2d) for one in modules)


def try_network(network: Network, image: torch.Tensor, task: Task | None) -> _Trial:
    """Run the network on the fixed image and the first sample's; check its cut and outputs."""
    images = torch.cat([fixed_image(image.shape).to(image.dtype), image[None]]).to(network.device)
    try:
        activations = network.model.activations(images)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if images.ndim == 5 and _is_of_images(network.model):
            raise ShapeError(
                "the network must take volumes (N, C, D, H, W) where samples are volumes, got one "
                f"of images; {SLICE_ADVICE}"
            ) from error
        raise
    logits = activations.logits
    if network.check:
        check_cut(network.model, images, logits)
    kind = task_of(logits, task)
    if kind == "multilabel":
        probabilities = network.check and are_sigmoids(logits, activations.network, images)
    else:
        probabilities = are_probabilities(logits)
        if network.check and not probabilities:
            check_no_sigmoid(logits, activations.network, images)
    cells = list(activations.features.shape[2:])
    classes = count_classes_of(logits, kind)
    return _Trial(images, kind, classes, probabilities, outputs_of(logits[0]), cells)
