"""`MapScoreCallback`: `MapScore` in the validation of a Lightning trainer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from cameval._checks import check_count
from cameval.errors import ArrayTypeError, SettingError
from cameval.extractor import CAMExtractor
from cameval.statistics import Interval
from cameval.training.map_score import MapScore

_ARGUMENTS = ("images", "masks", "classes", "groups", "labels", "names")


class MapScoreCallback(Callback):
    """Score the maps on the validation batches, and log the mean with its interval.

    Parameters
    ----------
    score
        What is scored.
    network
        Where the network is: the name of an attribute of the Lightning module, or a function from
        the module to a network or a :class:`CAMExtractor`.
    batch
        From a validation batch to the arguments of `MapScore.update`, as a dictionary. By default a
        batch is such a dictionary (other entries are left out), or ``(images, masks)``, or
        ``(images, masks, labels)``.
    prefix
        The beginning of the names that are logged: ``prefix/mean``, ``prefix/low`` and
        ``prefix/high``; of several scores ``prefix/label/mean`` and so on.
    every_n_epochs
        Score only in every n-th validation. The first is scored.

    Raises
    ------
    SettingError
        If a setting is of another type or out of its range.

    Notes
    -----
    Sanity checks before the training are not scored. An end of an interval that is not defined, as
    with one group, is logged as NaN. With several processes every one logs the numbers of all.
    `score` is reset before each validation that is scored, and keeps its scores until then.
    """

    def __init__(
        self,
        score: MapScore,
        network: str | Callable[[Any], nn.Module | CAMExtractor],
        *,
        batch: Callable[[Any], Mapping[str, Any]] | None = None,
        prefix: str = "map_score",
        every_n_epochs: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(score, MapScore):
            raise SettingError(f"score must be a MapScore, got {type(score).__name__}")
        if not isinstance(network, str) and not callable(network):
            raise SettingError(
                "network must be the name of an attribute or a function of the Lightning module, "
                f"got {network!r}"
            )
        check_count("every_n_epochs", every_n_epochs)
        self.score, self.prefix, self.every_n_epochs = score, prefix, every_n_epochs
        self._network, self._batch = network, batch or arguments_of
        self._validations, self._active = 0, False

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last validation."""
        self._active = not trainer.sanity_checking and (
            self._validations % self.every_n_epochs == 0
        )
        if not trainer.sanity_checking:
            self._validations += 1
        if self._active:
            self.score.reset()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score a batch."""
        if not self._active:
            return
        network = self._network
        net = getattr(pl_module, network) if isinstance(network, str) else network(pl_module)
        self.score.update(net, **self._batch(batch))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the means and their intervals."""
        if not self._active:
            return
        found = self.score.compute()
        single = isinstance(found, Interval)
        by_label = {"": found} if isinstance(found, Interval) else found
        for label, one in by_label.items():
            start = self.prefix if single else f"{self.prefix}/{label}"
            pl_module.log_dict(
                {
                    f"{start}/mean": one.estimate,
                    f"{start}/low": one.low,
                    f"{start}/high": one.high,
                }
            )


def arguments_of(batch: Any) -> Mapping[str, Any]:
    """Return the arguments of `MapScore.update` that a batch holds."""
    if isinstance(batch, Mapping):
        return {name: batch[name] for name in _ARGUMENTS if name in batch}
    if isinstance(batch, Sequence) and len(batch) in (2, 3):
        return dict(zip(("images", "masks", "labels"), batch, strict=False))
    raise ArrayTypeError(
        "a batch must be (images, masks), (images, masks, labels) or a dictionary with images and "
        f"masks, got {type(batch).__name__}; give batch=, a function from it to such a dictionary"
    )
