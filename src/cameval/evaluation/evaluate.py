"""`evaluate`: the loop over batches, from a network and samples to a table of scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from torch import nn
from tqdm import tqdm

from cameval.data import Sample
from cameval.distributed import gather, number_of_processes, rank
from cameval.errors import CamevalError, DataError
from cameval.evaluation._batch import BatchScores, fingerprint, score_batch
from cameval.evaluation._identity import same_run
from cameval.evaluation._loading import Samples, number_of_batches, read_batches
from cameval.evaluation._plan import Named, Plan, TargetClass, Task
from cameval.evaluation._run import Network, Run, plan_run
from cameval.evaluation._run_folder import RunFolder
from cameval.evaluation.labels import map_by_label
from cameval.evaluation.preparation import Preparation, Prepare
from cameval.evaluation.results import Results
from cameval.evaluation.settings import (
    RunSettings,
    Settings,
    check_names,
    default_baselines,
    default_binarizers,
    default_methods,
    default_metrics,
)
from cameval.extractor import CAMExtractor
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
    classes: Named[TargetClass] = "predicted",
    task: Task | None = None,
    prepare: Prepare | None = None,
    **settings: Unpack[RunSettings],
) -> Results:
    """Score the maps of a network and of baselines on every sample.

    The network runs once for each batch, whatever the number of methods, binarizers and metrics.

    Parameters
    ----------
    model
        A network, or a :class:`CAMExtractor` with the default method, the alignment of the maps,
        and whether the cut is checked on two images first. It runs on its device in evaluation
        mode, and is never changed.
    samples
        Any dataset of `torch.utils.data`, list or iterable of :class:`cameval.Sample`.
    methods, binarizers, metrics, baselines
        One, several, or several by label. Without labels each has its own; see :func:`label_of`.
        Defaults: :func:`default_methods`, :func:`default_binarizers`, :func:`default_metrics` and
        :func:`default_baselines`. ``baselines={}`` means none. A metric of your own returns one
        score per image; if it returns a single number, it is called for each image by itself.
    classes
        The target class of the maps: ``"predicted"``, ``"true"`` (every sample then needs a label),
        an index, a function of the logits, or several of these.
    task
        ``"multiclass"`` or ``"binary"``; by default binary if the network has one logit. One logit
        z stands for two classes: the predicted one is 1 where z is positive, its probability is the
        sigmoid, and the map of class 0 is that of -z. Several logits have their softmax as
        probabilities, unless the first outputs are probabilities already (rows in [0, 1] with sum
        1). The output of a sigmoid is refused; of several there is a warning.
    prepare
        From a sample to the network's input and the true mask on the grid of the scores. By default
        ``Preparation()``: the whole image at 224 x 224, ImageNet's normalization, scores on the
        mask's own pixels.
    **settings
        Batch size, workers, folder of the run, names, seed, progress bar; see :class:`RunSettings`.

    Returns
    -------
    Results
        One value for each sample and column, in the order of the samples.

    Raises
    ------
    SettingError
        If a setting is out of its range, labels are not unique, `out` holds another run or one with
        an object whose contents cannot be compared, the network has another number of logits than
        the task, or processes have different settings.
    UnsupportedModelError
        If the network cannot be cut, or its only output is that of a sigmoid.
    ClassIndexError
        If a label or class index is no class of the network.
    DataError
        If a sample cannot be read (its number is named) or lacks the label that is needed, two have
        one name, or there are none.
    NonFiniteError
        If a map is NaN or infinite; the sample is named.
    ProcessError
        If another process of the run failed.

    Notes
    -----
    Binarizers and metrics must not write into the maps and masks that they are given.

    Under ``torchrun`` (where `torch.distributed` is initialized) each process scores every n-th
    batch, and all return the whole table. The last digits of a network's outputs depend on the
    number of threads: tables are equal to the bit where ``torch.get_num_threads()`` is equal, and a
    run in a folder continues with the same number only.

    Examples
    --------
    >>> from itertools import islice
    >>> from cameval.data import phantom_samples
    >>> from torchvision.models import squeezenet1_1
    >>> results = evaluate(
    ...     squeezenet1_1(num_classes=3),
    ...     list(islice(phantom_samples(seed=1), 4)),
    ...     methods=[grad_cam, layer_cam],
    ...     binarizers=PercentileBinarizer(95),
    ...     metrics=[iou, pixel_auroc],
    ...     prepare=Preparation(size=64),
    ... )
    >>> len(results), results.to_pandas()["metric"].unique().tolist()
    (4, ['pixel_auroc', 'iou'])
    """
    check_names(settings)

    def plan() -> Run:
        checked = Settings(**settings)
        named = map_by_label(_methods_of(model) if methods is None else methods, "methods")
        return plan_run(
            Network.of(model, named),
            Plan.of(
                classes=classes,
                methods=named,
                baselines=default_baselines(checked.seed) if baselines is None else baselines,
                binarizers=default_binarizers() if binarizers is None else binarizers,
                metrics=default_metrics() if metrics is None else metrics,
            ),
            samples,
            prepare=Preparation() if prepare is None else prepare,
            task=task,
            settings=checked,
        )

    run = same_run(plan)
    shares = gather(lambda: _score_share(run))
    batches = {number: scores for share in shares for number, scores in share.batches.items()}
    record = shares[rank()].record | {"processes": len(shares)}
    return Results.of([batches[number] for number in sorted(batches)], run.plan.columns, record)


def _methods_of(model: nn.Module | CAMExtractor) -> Named[CAMMethod]:
    """Return the methods to use if none are given: the extractor's, or the default."""
    return model.method if isinstance(model, CAMExtractor) else default_methods()


@dataclass(frozen=True, eq=False)
class _Share:
    """The batches of one process by number, and the record of the run."""

    record: dict[str, Any]
    batches: dict[int, BatchScores]


def _score_share(run: Run) -> _Share:
    """Score the batches of this process, or read them from the folder of the run."""
    out = run.settings.out
    folder = None if out is None else RunFolder(Path(out))
    record = dict(run.record) if folder is None else folder.claim(run.record)
    return _Share(record, dict(_score_batches(run, folder)))


def _score_batches(run: Run, folder: RunFolder | None) -> Iterator[tuple[int, BatchScores]]:
    """Yield this process's batches; those that are in the folder are read and checked."""
    settings = run.settings
    written = set(folder.numbers()) if folder else set()
    total = number_of_batches(run.samples, settings.batch_size)
    mine = None if total is None else sum(map(_is_mine, range(total)))
    hide = None if settings.progress and rank() == 0 else True  # None: hidden but in a terminal
    names: set[str] = set()
    last = -1
    with tqdm(total=mine, desc="evaluate", unit="batch", disable=hide) as bar:
        for number, batch in read_batches(
            run.samples, settings.batch_size, _is_mine, settings.workers
        ):
            if folder and (number in written or folder.has(number)):
                scores = folder.read(number, len(run.plan.columns))
                _check_same(scores, batch, folder)
            else:
                scores = _score(run, batch)
                if folder:
                    folder.write(number, scores)
            _check_names_differ(scores, names)
            yield number, scores
            bar.update()
            last = number
    extra = [number for number in written if number >= last + number_of_processes()]
    if extra and folder:
        raise DataError(
            f"out must be a new folder or one of the same samples, got {folder.path} with "
            f"{len(extra)} more batches than there are samples for"
        )


def _is_mine(number: int) -> bool:
    """Tell whether a batch is scored by this process."""
    return number % number_of_processes() == rank()


def _score(run: Run, batch: Sequence[Sample]) -> BatchScores:
    """Score a batch; an error of a user's function gets a note with the samples."""
    try:
        return score_batch(
            run.network.model,
            run.plan,
            run.prepare,
            batch,
            cell_centers=run.network.cell_centers,
            device=run.network.device,
            task=run.task,
            probabilities=run.probabilities,
        )
    except CamevalError:
        raise
    except Exception as error:
        error.add_note(f"while scoring samples {batch[0].name!r} to {batch[-1].name!r}")
        raise


def _check_names_differ(scores: BatchScores, names: set[str]) -> None:
    """Check that no sample of a batch has the name of another, and add the names."""
    new = scores.sample.tolist()
    if again := sorted({name for name in new if name in names or new.count(name) > 1}):
        raise DataError(f"names of samples must be unique, got {again[0]!r} twice")
    names.update(new)


def _check_same(scores: BatchScores, batch: Sequence[Sample], folder: RunFolder) -> None:
    """Check that scores in a folder are those of these samples."""
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
