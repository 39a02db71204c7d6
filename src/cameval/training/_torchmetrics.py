"""`MapScoreMetric`: `MapScore` as a metric of torchmetrics."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric as TorchMetric

from cameval.binarizers import PercentileBinarizer
from cameval.evaluation import Results
from cameval.evaluation._plan import Named, Task
from cameval.extractor import CAMExtractor
from cameval.methods import grad_cam
from cameval.metrics import higher_is_better, iou
from cameval.protocols import Binarizer, CAMMethod, Metric
from cameval.training._records import read_records
from cameval.training._scoring import Integers, Masks, Scorer, Words


class MapScoreMetric(TorchMetric):
    """Mean score of the maps of a network, with its interval, as a metric of torchmetrics.

    Parameters
    ----------
    method, binarizer, metric, task, confidence
        As of :class:`cameval.training.MapScore`.
    **settings
        Settings of `torchmetrics.Metric`, such as ``dist_sync_on_step``.

    Notes
    -----
    ``update(net, images, masks, ...)`` has the arguments of `MapScore.update`. `compute` gives a
    dictionary of scalars: ``"mean"``, ``"low"`` and ``"high"``; of several scores with the label
    before, as in ``"grad_cam/percentile:95/iou/mean"``. torchmetrics synchronizes the state.

    The state is a list of tensors with the scores, names and groups of the updates, one byte in
    each number, so that it can be gathered also from a process without images. It is in a state
    dictionary after ``metric.persistent(True)``.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.training import MapScoreMetric
    >>> net = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2)))
    >>> metric = MapScoreMetric()
    >>> metric.update(net, torch.rand(4, 3, 16, 16), torch.rand(4, 16, 16) > 0.5)
    >>> sorted(metric.compute())
    ['high', 'low', 'mean']
    """

    is_differentiable = False
    full_state_update = False
    records: list[Tensor] | Tensor

    def __init__(
        self,
        method: Named[CAMMethod] = grad_cam,
        binarizer: Named[Binarizer] = PercentileBinarizer(95),  # noqa: B008  # it is frozen
        metric: Named[Metric] = iou,
        *,
        task: Task | None = None,
        confidence: float = 0.95,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._scorer = Scorer.of(method, binarizer, metric, task, confidence)
        self.add_state("records", [], dist_reduce_fx="cat")

    @property
    def higher_is_better(self) -> bool | None:
        """Whether higher scores are better; None if the metrics differ in that, or do not say."""
        directions = {higher_is_better(one) for one in self._scorer.plan.metrics.values()}
        return directions.pop() if len(directions) == 1 else None

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
        """Score the maps of a batch; see `MapScore.update`."""
        record = self._scorer.record(net, images, masks, classes, groups, labels, names)
        if record is not None:
            content = bytearray(record.to_bytes())
            numbers = torch.frombuffer(content, dtype=torch.uint8).to(self.device, self.dtype)
            assert isinstance(self.records, list)
            self.records.append(numbers)

    def compute(self) -> dict[str, Tensor]:
        """Return the mean and the ends of its interval, of each score.

        Returns
        -------
        dict of str to Tensor
            Scalars: ``"mean"``, ``"low"`` and ``"high"``; of several scores with the label before,
            as in ``"grad_cam/percentile:95/iou/mean"``.

        Raises
        ------
        DataError
            If no image was scored.
        """
        found = self._scorer.intervals(list(read_records(self._stream())))
        numbers = {}
        for label, one in found.items():
            prefix = "" if len(found) == 1 else f"{label}/"
            for name, value in (("mean", one.estimate), ("low", one.low), ("high", one.high)):
                numbers[prefix + name] = torch.tensor(
                    value, dtype=torch.float64 if self.device.type != "mps" else None
                ).to(self.device)
        return numbers

    def results(self) -> Results:
        """Return the table of the scores of this process; inside `sync_context`, of all."""
        return self._scorer.results(list(read_records(self._stream())))

    def _stream(self) -> bytes:
        parts = self.records if isinstance(self.records, list) else [self.records]
        return b"".join(part.to("cpu", torch.uint8).numpy().tobytes() for part in parts)
