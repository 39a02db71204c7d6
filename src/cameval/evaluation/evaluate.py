"""`evaluate`: from a network, samples and metrics to a table of scores."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from tqdm import tqdm

from cameval.data import Sample
from cameval.errors import CamevalError, DataError, SettingError
from cameval.evaluation._batch import BatchScores, fingerprint, score_batch
from cameval.evaluation._distributed import Shards, gathered, same_run
from cameval.evaluation._identity import (
    digest_of,
    digest_or_none,
    fixed_image,
    outputs_of,
    structure_of,
    weights_hash,
)
from cameval.evaluation._labels import label_of, labeled
from cameval.evaluation._loading import Samples, batches, number_of_batches, peeked
from cameval.evaluation._plan import Named, Plan, TargetClass, Task, check_task, task_of
from cameval.evaluation._run_folder import RunFolder, now, versions
from cameval.evaluation.defaults import (
    default_baselines,
    default_binarizers,
    default_methods,
    default_metrics,
)
from cameval.evaluation.preparation import Preparation, Prepare
from cameval.evaluation.results import Results
from cameval.extractor import Alignment, CAMExtractor, check_alignment, check_parts
from cameval.maps import CellCenters
from cameval.networks import CAMModel, LayerModel, adapt
from cameval.networks._cuts import check_cut
from cameval.networks._outputs import are_probabilities, check_no_sigmoid
from cameval.protocols import Baseline, Binarizer, CAMMethod, Metric

__all__ = ["evaluate"]


def evaluate(
    model: nn.Module | CAMExtractor,
    samples: Samples,
    *,
    methods: Named[CAMMethod] | None = None,
    binarizers: Named[Binarizer] | None = None,
    metrics: Named[Metric] | None = None,
    baselines: Named[Baseline] | None = None,
    classes: TargetClass | Sequence[TargetClass] | Mapping[str, TargetClass] = "predicted",
    task: Task | None = None,
    prepare: Prepare | None = None,
    alignment: Alignment | None = None,
    batch_size: int = 16,
    workers: int = 0,
    out: str | PathLike[str] | None = None,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Results:
    """Score where a network looks, on every sample, beside what blind maps score.

    One pass through the network for each batch serves the whole grid of methods, binarizers and
    metrics. Nothing but the table grows with the number of samples.

    Parameters
    ----------
    model
        A network, or a :class:`CAMExtractor` whose method and alignment are then the default. It is
        run on the device where it is, in evaluation mode, and never changed. Where it was cut, what
        the cut computes is first compared with what the network computes, on two images;
        ``CAMExtractor(net, check=False)`` leaves that out.
    samples
        Any dataset of `torch.utils.data`, list or iterable that gives :class:`cameval.data.Sample`.
    methods, binarizers, metrics, baselines
        One, several, or several by label; functions and dataclasses have labels of their own.
        By default Grad-CAM; the 95th percentile and Otsu; the overlap metrics with their cap and
        the threshold-free ones; and the baselines of
        :func:`cameval.baselines.default_baselines`. An empty mapping of baselines means none.
    classes
        Which class the maps explain: ``"predicted"``, ``"true"`` (every sample then needs a label),
        an index, a function of the logits, or several of these.
    task
        ``"multiclass"`` or ``"binary"``; by default binary where the network has one logit. One
        logit z stands for two classes: 1 is predicted where z is positive, with the sigmoid as its
        probability, and the map of class 0 is that of -z. The probabilities of several logits are
        their softmax; where the first outputs are probabilities already (rows in [0, 1] with sum
        1), all are taken as they are. A single output that a sigmoid has made is refused, and of
        several there is a warning.
    prepare
        From a sample to the network's input and the true mask on the grid of the scores, by default
        ``Preparation()``: the whole frame at 224 x 224, ImageNet's normalization, scores on the
        mask's own pixels.
    alignment
        How maps are laid on the image, as for :class:`CAMExtractor`.
    batch_size
        Samples in a batch. The last digits of a score may depend on it, as the network's do.
    workers
        Processes that read samples ahead; for datasets with a length.
    out
        A folder in which the run is kept as it goes. Started again with the same network, settings
        and samples, a run that was interrupted goes on, and ends with the same table. All are
        compared by their contents: weights, structure and outputs of the network, the code of your
        functions and what they read, the attributes of your objects.
    name
        The model's name in the table, by default its class.
    class_names
        Names of the classes, for reports; by default those that the dataset has.
    seed
        Seed of the random blind map, and of the intervals of the results.
    progress
        Show a progress bar where the standard error is a terminal.

    Returns
    -------
    Results
        One value for each sample and column, in the order of the samples.

    Raises
    ------
    SettingError
        If a setting is out of its range, labels are not unique, `out` holds another run or one
        with an object whose contents cannot be compared, or the network has another number of
        logits than the task. If processes are about to make different tables.
    UnsupportedModelError
        If the network is of no declared family, or its only output is that of a sigmoid.
    ClassIndexError
        If a label that is to be explained is no class of the network.
    DataError
        If a sample cannot be read (its number is named), two have one name, or there are none. If
        the true class is to be explained and a sample has no label.
    NonFiniteError
        If a map is NaN or infinite; the sample is named.
    ProcessError
        If another process of the run failed.

    Notes
    -----
    Binarizers and metrics must not write into the maps and masks that they are given.

    Where `torch.distributed` is initialized, as under ``torchrun``, each process takes every n-th
    batch, and all return the whole table, row for row what one process gives. The last digits of
    what a network computes depend on the number of threads, of which ``torchrun`` gives each
    process one: tables agree to the bit where ``torch.get_num_threads()`` does, and a kept run goes
    on with the same number only.

    Examples
    --------
    >>> from itertools import islice
    >>> from cameval.data import phantom_samples
    >>> from torchvision.models import squeezenet1_1
    >>> results = evaluate(
    ...     squeezenet1_1(num_classes=3),
    ...     list(islice(phantom_samples(seed=1), 4)),
    ...     methods=[grad_cam, layer_cam],
    ...     binarizers={"p95": PercentileBinarizer(95)},
    ...     metrics=[iou, pixel_auroc],
    ...     prepare=Preparation(size=64),
    ... )
    >>> len(results), results.to_pandas()["metric"].unique().tolist()
    (4, ['pixel_auroc', 'iou'])
    """
    shards = Shards()
    job: _Job | Exception
    try:
        job = _Job.of(
            _Run.of(model, methods, alignment, check_task(task)),
            samples,
            binarizers=default_binarizers() if binarizers is None else binarizers,
            metrics=default_metrics() if metrics is None else metrics,
            baselines=default_baselines(seed) if baselines is None else baselines,
            classes=classes,
            prepare=Preparation() if prepare is None else prepare,
            batch_size=batch_size,
            workers=workers,
            name=name,
            class_names=class_names,
            seed=seed,
        )
    except Exception as error:
        job = error
    job = same_run(job, shards)
    kept = dict(job.record)
    done: dict[int, BatchScores] | Exception
    try:
        folder = None if out is None else RunFolder(Path(out))
        kept = kept if folder is None else folder.claim(kept)
        done = dict(_scored(job, shards, folder, progress))
    except Exception as error:
        done = error
    parts = list(gathered(done, shards).values())
    return Results.of(parts, job.plan.columns, kept | {"processes": shards.count})


@dataclass(frozen=True, eq=False)
class _Run:
    """The network, taken apart, and what the caller's extractor says."""

    model: CAMModel | LayerModel
    methods: dict[str, CAMMethod]
    alignment: Alignment
    name: str
    task: Task | None
    check: bool

    @classmethod
    def of(
        cls,
        model: nn.Module | CAMExtractor,
        methods: Named[CAMMethod] | None,
        alignment: Alignment | None,
        task: Task | None,
    ) -> "_Run":
        net = model.model if isinstance(model, CAMExtractor) else model
        if isinstance(model, CAMExtractor):
            methods = model.method if methods is None else methods
            alignment = alignment or model.alignment
        named = labeled(default_methods() if methods is None else methods, "methods")
        check_parts(net, *named.values())
        adapted = adapt(net)
        check_alignment(alignment or "half_pixel", adapted.cell_centers)
        check = model.check if isinstance(model, CAMExtractor) else True
        return cls(adapted, named, alignment or "half_pixel", type(net).__name__, task, check)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        tensors = chain(self.model.parameters(), self.model.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    @property
    def cell_centers(self) -> CellCenters | None:
        """Where the cells lie, if maps are aligned by it."""
        return self.model.cell_centers if self.alignment == "receptive_field" else None


@dataclass(frozen=True, eq=False)
class _Job:
    """A run that is ready to begin: what is done, to which samples, and what tells it apart."""

    run: _Run
    plan: Plan
    prepare: Prepare
    samples: Samples
    batch_size: int
    workers: int
    probabilities: bool
    known: Sequence[Sample]
    record: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the scores; two jobs are one where it is equal.

        Of samples that are not in memory the first stands for all: each process reads its own.
        """
        checksums = [fingerprint(one) for one in self.known if isinstance(one, Sample)]
        return {**self.record["identity"], "contents of the samples": digest_of(checksums)}

    @classmethod
    def of(
        cls,
        run: _Run,
        samples: Samples,
        *,
        binarizers: Named[Binarizer],
        metrics: Named[Metric],
        baselines: Named[Baseline],
        classes: TargetClass | Sequence[TargetClass] | Mapping[str, TargetClass],
        prepare: Prepare,
        batch_size: int,
        workers: int,
        name: str | None,
        class_names: Sequence[str] | None,
        seed: int,
    ) -> "_Job":
        plan = Plan(
            target_class=_explained(classes),
            methods=run.methods,
            baselines=labeled(baselines, "baselines"),
            binarizers=labeled(binarizers, "binarizers"),
            metrics=labeled(metrics, "metrics"),
        )
        for setting, least, value in (("batch_size", 1, batch_size), ("workers", 0, workers)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SettingError(
                    f"{setting} must be an integer of at least {least}, got {value!r}"
                )
        names = getattr(samples, "class_names", None) if class_names is None else class_names
        settings = {
            "model": name or run.name,
            "weights": weights_hash(run.model),
            "layer": getattr(run.model, "layer", "features"),
            "alignment": run.alignment,
            "batch_size": batch_size,
            "threads": torch.get_num_threads(),
            "seed": seed,
            "samples": len(samples) if isinstance(samples, Sized) else None,
            "class_names": None if names is None else [str(each) for each in names],
            "versions": versions(),
        }
        in_memory = type(samples) in (list, tuple) and Shards().count > 1
        given = cast(Sequence[Sample], samples)
        first, samples = peeked(samples)
        if first is None:
            raise DataError("samples must hold at least one sample, got none")
        known = given if in_memory else [first]
        image = prepare(first)[0]
        images = torch.cat([fixed_image(image.shape).to(image.dtype), image[None]]).to(run.device)
        seen = run.model.activations(images)
        logits = seen.logits
        if run.check:
            check_cut(run.model, images, logits)
        settings["task"] = task_of(logits, run.task)
        probabilities = are_probabilities(logits)
        if run.check and not probabilities:
            check_no_sigmoid(logits, seen.network, images)
        settings["outputs_are"] = "probabilities" if probabilities else "logits"
        record = {
            "settings": settings | {"prepare": label_of(prepare)},
            "meanings": plan.meanings().to_record(),
            "identity": settings
            | {
                "structure": digest_or_none(structure_of, run.model),
                "outputs": outputs_of(logits[0]),
                "prepare": digest_or_none(digest_of, prepare),
            }
            | plan.identity(),
            "columns": [list(vars(column).values()) for column in plan.columns],
            "started": now(),
            "device": str(run.device),
        }
        return cls(run, plan, prepare, samples, batch_size, workers, probabilities, known, record)


def _explained(
    classes: TargetClass | Sequence[TargetClass] | Mapping[str, TargetClass],
) -> dict[str, TargetClass]:
    named = labeled(classes, "classes")
    for how in named.values():
        fixed = isinstance(how, int) and not isinstance(how, bool)
        if how not in ("predicted", "true") and not fixed and not callable(how):
            raise SettingError(
                "classes must be 'predicted', 'true', a class index or a function of the logits, "
                f"got {how!r}"
            )
    if not named:
        raise SettingError("classes must say which class the maps explain, got none")
    return named


def _scored(
    job: _Job, shards: Shards, folder: RunFolder | None, progress: bool
) -> Iterator[tuple[int, BatchScores]]:
    """Yield this process's batches: those kept in the folder, and the others as they are made."""
    kept = set(folder.numbers()) if folder else set()
    total = number_of_batches(job.samples, job.batch_size)
    mine = None if total is None else sum(map(shards.mine, range(total)))
    seen: set[str] = set()
    last = -1
    bar = tqdm(
        total=mine,
        desc="evaluate",
        unit="batch",
        disable=None if progress and shards.rank == 0 else True,
    )
    with bar:
        for number, batch in batches(job.samples, job.batch_size, shards.mine, job.workers):
            if folder and (number in kept or folder.has(number)):
                scores = folder.read(number, len(job.plan.columns))
                _check_same(scores, batch, folder)
            else:
                scores = _scored_batch(job, batch)
                if folder:
                    folder.write(number, scores)
            names = scores.sample.tolist()
            if twice := sorted({n for n in names if n in seen or names.count(n) > 1}):
                raise DataError(f"names of samples must be unique, got {twice[0]!r} twice")
            seen.update(names)
            yield number, scores
            bar.update()
            last = number
    if extra := [number for number in kept if number >= last + shards.count]:
        raise DataError(
            f"out must be a new folder or one of the same samples, got {folder and folder.path} "
            f"with {len(extra)} more batches than there are samples for"
        )


def _scored_batch(job: _Job, batch: Sequence[Sample]) -> BatchScores:
    """Score a batch; what goes wrong in a function of the user's says where."""
    run = job.run
    try:
        return score_batch(
            run.model,
            job.plan,
            job.prepare,
            batch,
            cell_centers=run.cell_centers,
            device=run.device,
            task=run.task,
            probabilities=job.probabilities,
        )
    except CamevalError:
        raise
    except Exception as error:
        error.add_note(f"while scoring samples {batch[0].name!r} to {batch[-1].name!r}")
        raise


def _check_same(scores: BatchScores, batch: Sequence[Any], folder: RunFolder) -> None:
    """Check that kept scores are those of these samples."""
    for name, checksum, sample in zip(scores.sample.tolist(), scores.checksum, batch, strict=False):
        if sample.name != name or fingerprint(sample) != checksum:
            raise DataError(
                f"out must be a new folder or one of the same samples, got {folder.path} with "
                f"another {name!r} than sample {sample.name!r} is now"
            )
    if len(batch) != len(scores.sample):
        raise DataError(
            f"out must be a new folder or one of the same samples, got {folder.path} with "
            f"{len(scores.sample)} in place of {len(batch)} samples in a batch"
        )
