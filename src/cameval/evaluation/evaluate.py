"""`evaluate`: from a network and samples to a table of scores."""

from os import PathLike
from typing import Unpack

from torch import nn

from cameval.distributed import rank
from cameval.evaluation._class_order import warn_of_class_order
from cameval.evaluation._loading import Samples
from cameval.evaluation._loop import score_run
from cameval.evaluation._normalized_twice import warn_of_normalized_twice
from cameval.evaluation._plan import MapSource, Named, Plan, TargetClass, Task
from cameval.evaluation._run import Network, Run, plan_run
from cameval.evaluation._sanity_run import score_with_checks
from cameval.evaluation._softmax import warn_of_softmax
from cameval.evaluation.dark_images import warn_of_dark_images
from cameval.evaluation.evaluate_maps import named_maps
from cameval.evaluation.preparation import Preparation, Prepare
from cameval.evaluation.preparation_check import warn_of_preparation
from cameval.evaluation.results import Results
from cameval.evaluation.same_maps import warn_of_same_maps
from cameval.evaluation.sanity_checks import SanityChecks, checks_of
from cameval.evaluation.settings import (
    RunSettings,
    Settings,
    check_names,
    default_baselines,
    default_binarizers,
    default_methods,
    default_metrics,
)
from cameval.evaluation.spacings import warn_of_mixed_spacings
from cameval.extractor import CAMExtractor
from cameval.networks._precision import without_autocast
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
    maps: Named[MapSource | str | PathLike[str]] | None = None,
    classes: Named[TargetClass] | None = None,
    task: Task | None = None,
    prepare: Prepare | None = None,
    sanity: SanityChecks | bool | None = None,
    **settings: Unpack[RunSettings],
) -> Results:
    """Score the maps of a network and of baselines on every target of every sample.

    The network runs once for each batch, whatever the number of methods, binarizers, metrics and
    targets of an image.

    Parameters
    ----------
    model
        A network, or a :class:`CAMExtractor` with the default method, the alignment of the maps,
        and whether the cut is checked on two images first. It runs on its device in evaluation
        mode, and is never changed.
    samples
        Any dataset of `torch.utils.data`, list or iterable of :class:`cameval.Sample`. In place of
        samples also tuples ``(image, mask)`` or ``(image, mask, label)``, or dictionaries of the
        arguments of a sample, or a `DataLoader` of batches of these. Images are then NumPy arrays
        or tensors, ``(C, H, W)`` if they are tensors, with values in [0, 1] or of 8 bits.
    methods, binarizers, metrics, baselines
        One, several, or several by label. Without labels each has its own; see :func:`label_of`.
        Defaults: :func:`default_methods`, :func:`default_binarizers`, :func:`default_metrics` and
        :func:`default_baselines`. ``baselines={}`` means none. A metric of your own returns one
        score per image; if it returns a single number, it is called for each image by itself.
        The upper bound of IoU is one of the default metrics. With metrics of your own, name it as
        well, ``metrics=[iou, area_bound]`` (:func:`~cameval.baselines.area_bound`), or summaries,
        plots and reports have no bound.
    maps
        Maps made elsewhere, scored beside those of the methods; as for :func:`evaluate_maps`. Those
        of the network's grid have the alignment of the run.
    classes
        The target class of the maps: ``"predicted"``, ``"true"`` (the class of the target, which
        then needs a label), an index, a function of the logits, or several of these. By default
        ``"true"`` in a multi-label task, else ``"predicted"``.
    task
        ``"multiclass"``, ``"binary"`` or ``"multilabel"``; by default binary if the network has one
        logit, else multiclass. In a multi-label task each logit has its own sigmoid: a target is
        predicted if the probability of its class is above one half; outputs of sigmoids are such
        probabilities already. In a binary task one logit z stands for two classes: the predicted
        one is 1 where z is positive, its probability is the sigmoid, and the map of class 0 is that
        of -z. Several logits have their softmax as probabilities, unless the first outputs are
        probabilities already (rows in [0, 1] with sum 1). In these tasks the output of a sigmoid is
        refused; of several there is a warning.
    prepare
        From a sample to the network's input and the true mask on the grid of the scores. By default
        the whole image at 224 x 224 in the channels of the network's first convolution, three of
        them normalized as ImageNet's, and scores on the mask's own pixels. Networks of timm have
        the size, means and deviations of their configuration; see
        :meth:`~cameval.Preparation.for_network`.
    sanity
        Also check on a sub-sample whether the maps depend on the weights, whether other trainings
        give the same maps, and how faithful they are: True, or :class:`SanityChecks` with settings.
        The checks are in ``Results.sanity``. By default none.
    **settings
        Batch size, workers, folder of the run, names, seed, progress bar, precision; see
        :class:`RunSettings`.

    Returns
    -------
    Results
        One value for each column and each target of each sample, in the order of the samples.

    Raises
    ------
    SettingError
        If a setting is out of its range, the device does not have the precision, labels are not
        unique or one is the name of another thing of its kind, `out` holds another run or one with
        an object whose contents cannot be compared, the network has another number of logits than
        the task, processes have different settings, the masks of a binarizer or the scores of a
        metric depend on the other maps of a batch, or one of them writes into its tensors.
    UnsupportedModelError
        If the network cannot be cut, or its only output is that of a sigmoid.
    ClassIndexError
        If a label or class index is no class of the network.
    DataError
        If a sample cannot be read (its number is named) or lacks the label that is needed, two have
        one name, there are none, or only some in a list have a spacing and a metric uses it.
    NonFiniteError
        If a map is NaN or infinite; the sample is named.
    ProcessError
        If another process of the run failed.

    Notes
    -----
    Methods, binarizers, metrics and baselines must not write into the tensors that they are given.
    Outside of ``torch.inference_mode`` it is noticed, but not through NumPy arrays that share their
    memory.

    Under ``torchrun`` (where `torch.distributed` is initialized) each process scores every n-th
    batch, and all return the whole table. The last digits of a network's outputs depend on the
    number of threads: tables are equal to the bit where ``torch.get_num_threads()`` is equal, and a
    run in a folder continues with the same number only. The same is true of the kind of device, of
    `precision`, and of torch's settings of precision, such as TF32.

    Images are cast to the dtype of a network in half or double precision. Maps are scored in single
    precision or wider. ``torch.autocast`` is switched off, with a warning if it was on. A network
    that ``torch.compile`` compiled as a whole runs uncompiled, with a warning; compiled features of
    an adapted network run compiled.

    If more than half of the images are almost black, as where 12 bits are stored in files of 16,
    there is a :class:`~cameval.evaluation.DarkImagesWarning`, and reports of the results say so.

    If a function for `prepare` crops, flips or turns the image and not the mask, there is a
    :class:`~cameval.evaluation.PreparationWarning`, and reports say so.

    If the network normalizes images itself, and `prepare` has done so already, there is a
    :class:`~cameval.extractor.NormalizedTwiceWarning`, and reports say so.

    Distances are in the unit of each sample's spacing, and in pixels without one. Samples in a list
    must all have a spacing, or none, if a metric uses it. Of others, such as a dataset that is read
    while the run goes on, there is a :class:`~cameval.evaluation.MixedSpacingWarning` at the end.

    If the network returns probabilities, as after a softmax, there is a
    :class:`~cameval.extractor.ProbabilityWarning`, and reports say so.

    If far more images are predicted rightly in another order of the classes, as where two names of
    `class_names` are exchanged, there is a :class:`~cameval.data.ClassOrderWarning`, and reports
    say so. Most images of each exchanged class are then predicted as the other one, by a one-sided
    sign test over groups with p below .05, corrected for the number of orders like it.

    Sanity checks are kept in the folder ``sanity`` of `out`. Other checks of the same run need that
    folder deleted; the table of the run stays.

    Examples
    --------
    >>> from itertools import islice
    >>> from torchvision.models import squeezenet1_1
    >>> from cameval import PercentileBinarizer, Preparation, evaluate, grad_cam, iou, layer_cam
    >>> from cameval import pixel_auroc
    >>> from cameval.data import phantom_samples
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
    check_names(settings, "evaluate")
    checks = checks_of(sanity)

    def plan() -> Run:
        checked = Settings(**settings)
        planned = Plan.of(
            classes=_classes_of(classes, task),
            methods=_methods_of(model) if methods is None else methods,
            maps=named_maps(maps, settings.get("class_names"), samples),
            baselines=default_baselines(checked.seed) if baselines is None else baselines,
            binarizers=default_binarizers() if binarizers is None else binarizers,
            metrics=default_metrics() if metrics is None else metrics,
        )
        return plan_run(
            Network.of(model, planned.methods),
            planned,
            samples,
            prepare=_preparation_for(model) if prepare is None else prepare,
            task=task,
            settings=checked,
        )

    with without_autocast():
        results = score_run(plan) if checks is None else score_with_checks(plan, checks)
    if rank() == 0:
        warn_of_preparation(results.provenance)
        warn_of_normalized_twice(results.provenance)
        warn_of_softmax(results)
        warn_of_dark_images(results.provenance)
        warn_of_mixed_spacings(results.provenance)
        warn_of_class_order(results)
        warn_of_same_maps(results.provenance)
    return results


def _classes_of(classes: Named[TargetClass] | None, task: Task | None) -> Named[TargetClass]:
    """Return the target classes, by default those of the targets in a multi-label task."""
    if classes is not None:
        return classes
    return "true" if task == "multilabel" else "predicted"


def _methods_of(model: nn.Module | CAMExtractor) -> Named[CAMMethod]:
    """Return the methods to use if none are given: the extractor's, or the default."""
    return model.method if isinstance(model, CAMExtractor) else default_methods()


def _preparation_for(model: nn.Module | CAMExtractor) -> Preparation:
    """Return the default preparation for a network."""
    return Preparation.for_network(model.model if isinstance(model, CAMExtractor) else model)
