"""`MapScore`: the mean score of the maps over a validation loop, with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cameval.binarizers import PercentileBinarizer
from cameval.distributed import gather
from cameval.errors import DataError
from cameval.evaluation import REASONS, Results
from cameval.evaluation._plan import Named, Task
from cameval.evaluation.meaning import CONSTANT
from cameval.extractor import CAMExtractor
from cameval.methods import grad_cam
from cameval.metrics import iou
from cameval.protocols import Binarizer, CAMMethod, Metric
from cameval.statistics import Interval
from cameval.training._records import Record, check_alike, read_records
from cameval.training._scoring import Integers, Masks, Scorer, Words

__all__ = ["MapScore"]


class MapScore:
    """Mean score of the maps of a network over the batches of a loop, with its interval.

    It gives the numbers that `cameval.evaluate` gives for the same images, masks and settings. It
    keeps scores, names and groups, and no maps.

    Parameters
    ----------
    method, binarizer, metric
        One, several, or several by label, as for `cameval.evaluate`. Metrics of maps need no
        binarizer, and all methods share one pass of the network.
    task
        ``"multiclass"``, ``"binary"`` or ``"multilabel"``, as for `cameval.evaluate`.
    confidence
        Confidence of the intervals, in (0, 1).

    Raises
    ------
    SettingError
        If a setting is out of its range, or labels are not unique.

    Notes
    -----
    The network is run in evaluation mode and without autocast, and is not changed: its mode,
    gradients, buffers and hooks stay as they are. A network in training mode is copied for each
    batch (its weights are shared). Data-parallel wrappers and compiled networks are run without
    their wrapper. The cut is checked once for each network, and again after `reset`.

    Under `torch.distributed` each process updates its own object, and `compute`, which all of them
    must call, uses the images of all. Rows are in the order of a `DistributedSampler` that does not
    shuffle. If the dataset does not divide evenly, this sampler repeats samples: give `names` to
    `update`, such as indices of the dataset, so that each sample counts once.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, iou, pixel_auroc
    >>> from cameval.training import MapScore
    >>> net = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))  # in training mode
    >>> score = MapScore(metric=[iou, pixel_auroc])
    >>> for _ in range(3):
    ...     images, masks = torch.rand(4, 3, 16, 16), torch.rand(4, 16, 16) > 0.5
    ...     score.update(net, images, masks)
    >>> found = score.compute()
    >>> list(found), found["grad_cam/pixel_auroc"].n
    (['grad_cam/pixel_auroc', 'grad_cam/percentile:95/iou'], 12)
    >>> score.reset()
    """

    def __init__(
        self,
        method: Named[CAMMethod] = grad_cam,
        binarizer: Named[Binarizer] = PercentileBinarizer(95),  # noqa: B008  # it is frozen
        metric: Named[Metric] = iou,
        *,
        task: Task | None = None,
        confidence: float = 0.95,
    ) -> None:
        self._scorer = Scorer.of(method, binarizer, metric, task, confidence)
        self._records: list[Record] = []

    def __repr__(self) -> str:
        """Return the labels of the scores and the number of images of this process."""
        images = sum(record.images for record in self._records)
        return f"{type(self).__name__}({', '.join(self.labels)}: {images} images)"

    @property
    def labels(self) -> list[str]:
        """The label of each score: those of method, binarizer and metric, with slashes between."""
        return self._scorer.labels

    def update(
        self,
        net: nn.Module | CAMExtractor,
        images: Tensor,
        masks: Masks,
        classes: Integers | None = None,
        groups: Words | None = None,
        labels: Integers | None = None,
        names: Words | None = None,
    ) -> None:
        """Score the maps of a batch.

        Parameters
        ----------
        net
            The network, in either mode, or a :class:`CAMExtractor` of it.
        images
            Images ``(N, channels, H, W)``, normalized or as your network takes them; or volumes.
            Values above 20 in the first batch cause one warning, as they may be bytes.
        masks
            True masks ``(N, H, W)`` of any size, or a list of masks of different sizes. Maps are
            scored on the pixels of the masks. With several classes an image ``(N, k, H, W)``.
        classes
            The target class of each map, ``(N,)``; by default the predicted one. Several for each
            image ``(N, k)``, all different, as in a multi-label task; -1 stands for none.
        groups
            The group of each image, such as its patient, by which intervals are computed. By
            default each image is a group.
        labels
            The true class of each image, ``(N,)``, for tables of `results` by label. By default not
            known; in a multi-label task, and with several classes an image, the target classes.
        names
            Names of the samples, as text or integers. A sample that comes again, as in the padding
            of a `DistributedSampler`, is counted once: the first time.

        Raises
        ------
        ArrayTypeError
            If images, masks, classes or names are of another type.
        ShapeError
            If the shapes do not fit.
        ClassIndexError
            If a class is not one of the network's.
        NonFiniteError
            If a map is NaN or infinite.
        SettingError
            If names or classes are given in some updates only, or a multi-label task has no
            classes.
        UnsupportedModelError
            If the network cannot be cut.
        """
        record = self._scorer.record(net, images, masks, classes, groups, labels, names)
        if record is not None:
            check_alike([*self._records[-1:], record])
            self._records.append(record)

    def compute(self, *, synchronize: bool = True) -> Interval | dict[str, Interval]:
        """Return the mean with its interval by group; of several scores, a dictionary by label.

        Parameters
        ----------
        synchronize
            Whether to use the images of all processes of `torch.distributed`, which must all call
            it. Without, those of this process.

        Returns
        -------
        Interval or dict of str to Interval
            With one method, binarizer and metric a :class:`~cameval.statistics.Interval`:
            ``estimate`` (the mean), ``low``, ``high``, and the numbers ``n`` of defined scores,
            ``n_groups`` and ``n_undefined``. With several, a dictionary of these by label. A label
            is ``"method/binarizer/metric"``, of a metric of maps ``"method/metric"``; `labels` has
            them all, in their order. The numbers are those of `Results.summary`.

        Raises
        ------
        DataError
            If no image was scored.
        ProcessError
            If another process failed.

        Examples
        --------
        One score:

        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead, iou, pixel_auroc
        >>> from cameval.training import MapScore
        >>> net = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
        >>> images, masks = torch.rand(4, 3, 16, 16), torch.rand(4, 16, 16) > 0.5
        >>> score = MapScore()
        >>> score.update(net, images, masks, groups=["p1", "p1", "p2", "p3"])
        >>> mean = score.compute()
        >>> mean.low <= mean.estimate <= mean.high, mean.n, mean.n_groups, mean.n_undefined
        (True, 4, 3, 0)

        As text it is the mean with the ends of its interval, as ``.412 [.380, .445]``. A logger
        takes one number for each name:

        >>> text = f"IoU {mean}"
        >>> logged = {"iou": mean.estimate, "iou/low": mean.low, "iou/high": mean.high}

        The same of several scores:

        >>> score = MapScore(metric=[iou, pixel_auroc])
        >>> score.update(net, images, masks)
        >>> means = {label: one.estimate for label, one in score.compute().items()}
        >>> list(means)
        ['grad_cam/pixel_auroc', 'grad_cam/percentile:95/iou']
        """
        found = self._scorer.intervals(self._gathered(synchronize))
        return next(iter(found.values())) if len(found) == 1 else found

    def reasons(self, *, synchronize: bool = True) -> dict[str, dict[str, int]]:
        """Return how many scores are undefined for which reason, by label.

        Parameters
        ----------
        synchronize
            As of `compute`.

        Raises
        ------
        DataError
            If no image was scored.

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> from cameval.training import MapScore
        >>> net = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
        >>> score = MapScore()
        >>> score.update(net, torch.rand(3, 3, 16, 16), torch.zeros(3, 16, 16, dtype=torch.bool))
        >>> score.reasons()
        {'grad_cam/percentile:95/iou': {'empty truth': 3}}
        """
        results = self.results(synchronize=synchronize)
        counts = {}
        for label, codes, values in zip(
            self.labels, results.codes.T, results.values.T, strict=True
        ):
            why = codes[np.isnan(values)] & ~np.uint8(CONSTANT)
            numbers, times = np.unique(why, return_counts=True)
            counts[label] = {REASONS[k]: int(n) for k, n in zip(numbers, times, strict=True)}
        return counts

    def results(self, *, synchronize: bool = True) -> Results:
        """Return the table of all scores, for summaries by label, tests and files.

        Parameters
        ----------
        synchronize
            As of `compute`.

        Raises
        ------
        DataError
            If no image was scored.

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> from cameval.training import MapScore
        >>> net = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
        >>> score = MapScore()
        >>> score.update(net, torch.rand(4, 3, 16, 16), torch.rand(4, 16, 16) > 0.5)
        >>> results = score.results()
        >>> len(results), results.columns[0].binarizer, results.values.shape
        (4, 'percentile:95', (4, 1))
        """
        return self._scorer.results(self._gathered(synchronize))

    def reset(self) -> None:
        """Delete all scores, and release the network."""
        self._records.clear()
        self._scorer.forget()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the scores of this process as a tensor of bytes, for a checkpoint.

        Examples
        --------
        >>> from cameval.training import MapScore
        >>> MapScore().state_dict()
        {'records': tensor([], dtype=torch.uint8)}
        """
        stream = bytearray(b"".join(record.to_bytes() for record in self._records))
        return {"records": torch.tensor(list(stream), dtype=torch.uint8)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the scores by those of a state.

        Parameters
        ----------
        state
            What `state_dict` returned.

        Raises
        ------
        DataError
            If the state is of something else.

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from cameval import CAMModel, GAPHead
        >>> from cameval.training import MapScore
        >>> net = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
        >>> score, other = MapScore(), MapScore()
        >>> score.update(net, torch.rand(4, 3, 16, 16), torch.rand(4, 16, 16) > 0.5)
        >>> other.load_state_dict(score.state_dict())
        >>> other.compute() == score.compute(), other.compute().n
        (True, 4)
        """
        if not isinstance(state.get("records"), Tensor):
            raise DataError(f"the state must be that of a MapScore, got {sorted(state)}")
        self._records = list(read_records(bytes(state["records"].cpu().to(torch.uint8).tolist())))

    def _gathered(self, synchronize: bool) -> Sequence[Record]:
        """Return the records of all processes."""
        if not synchronize:
            return self._records
        shares = gather(lambda: self._records)
        return [record for share in shares for record in share]
