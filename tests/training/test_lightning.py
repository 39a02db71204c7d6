"""`MapScoreCallback` with a real trainer: what it logs, when, and what it leaves as it was."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader
from training.loops import batches, evaluated, some_samples, trained_network

from cameval import iou, pixel_auroc
from cameval.binarizers import PercentileBinarizer
from cameval.errors import ArrayTypeError, SettingError
from cameval.training import MapScore

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning", reason="the extra 'training' is not installed")
    from lightning.pytorch import LightningModule, Trainer

    from cameval.training import MapScoreCallback
    from cameval.training._lightning import arguments_of

pytestmark = pytest.mark.filterwarnings("ignore")


class Module(LightningModule):
    """Train a small network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = trained_network()

    def training_step(self, batch, _):
        """Return the loss."""
        return nn.functional.cross_entropy(self.net(batch["images"]), batch["labels"])

    def validation_step(self, batch, _):
        """Do nothing but run the network."""
        self.net(batch["images"])

    def configure_optimizers(self):
        """Return plain gradient descent."""
        return torch.optim.SGD(self.net.parameters(), lr=0.05)


class Watch(lightning.pytorch.Callback):
    """Keep what was logged, and the weights that it was logged for."""

    def __init__(self):
        self.logged, self.weights = [], []

    def on_validation_end(self, trainer, module):
        """Keep the numbers of a validation."""
        if not trainer.sanity_checking:
            values = {name: value.item() for name, value in trainer.callback_metrics.items()}
            self.logged.append(values)
            self.weights.append({k: v.clone() for k, v in module.net.state_dict().items()})


def fit(tmp_path, *callbacks, epochs=2, **settings):
    """Train for some epochs; return the module and what was logged."""
    watch, module = Watch(), Module()
    made = list(batches(some_samples(), 4))
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[*callbacks, watch],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **settings,
    )
    torch.manual_seed(1)
    loader = DataLoader(made, batch_size=None)
    trainer.fit(module, loader, loader)
    return module, watch


def test_the_numbers_that_are_logged_are_those_of_evaluate(tmp_path):
    score = MapScore(metric=[iou, pixel_auroc])
    _, watch = fit(tmp_path, MapScoreCallback(score, "net"), num_sanity_val_steps=2)
    assert len(watch.logged) == 2
    for logged, weights in zip(watch.logged, watch.weights, strict=True):
        net = trained_network()
        net.load_state_dict(weights)
        table = evaluated(
            net,
            some_samples(),
            4,
            methods=score._scorer.plan.methods,
            metrics=[iou, pixel_auroc],
            binarizers=PercentileBinarizer(95),
        ).summary()
        for _, row in table.iterrows():
            label = "/".join(filter(None, row[["method", "binarizer", "metric"]]))
            for name in ("mean", "low", "high"):  # logged in float32
                assert logged[f"map_score/{label}/{name}"] == np.float32(row[name])
    assert watch.logged[0] != watch.logged[1]
    assert score.compute()["grad_cam/pixel_auroc"].n == 9


def test_training_is_the_same_with_and_without(tmp_path):
    first, _ = fit(tmp_path, epochs=1)
    for settings in ({}, {"inference_mode": False}, {"precision": "bf16-mixed"}):
        plain = first if "precision" not in settings else fit(tmp_path, epochs=1, **settings)[0]
        callback = MapScoreCallback(MapScore(), lambda module: module.net, prefix="maps")
        scored, watch = fit(tmp_path, callback, epochs=1, **settings)
        for name, tensor in plain.net.state_dict().items():
            assert torch.equal(tensor, scored.net.state_dict()[name]), (settings, name)
        assert set(watch.logged[0]) == {"maps/mean", "maps/low", "maps/high"}
        assert plain.net.training == scored.net.training


def test_every_second_validation_is_scored(tmp_path):
    score = MapScore()
    updates = []
    update = score.update
    score.update = lambda *args, **given: (updates.append(1), update(*args, **given))
    _, watch = fit(
        tmp_path, MapScoreCallback(score, "net", every_n_epochs=2), epochs=3, num_sanity_val_steps=1
    )
    assert len(updates) == 6  # of three batches, in the first and third epoch
    assert watch.logged[0] == watch.logged[1] != watch.logged[2]


def test_batches_of_other_forms(tmp_path):
    found = []
    for change in (
        dict,
        lambda batch: (batch["images"], batch["masks"], batch["labels"]),
        lambda batch: [batch["images"], batch["masks"]],
    ):
        score = MapScore()
        callback = MapScoreCallback(
            score, "net", batch=lambda batch, change=change: arguments_of(change(batch))
        )
        fit(tmp_path, callback, epochs=1)
        found.append(score.compute().estimate)
    assert found[0] == found[1] == found[2]
    with pytest.raises(ArrayTypeError, match="a batch must be"):
        arguments_of(torch.zeros(3))


def test_settings_are_checked():
    for given, words in [
        (("iou", "net"), "score must be a MapScore, got str"),
        ((MapScore(), None), "network must be the name of an attribute or a function"),
    ]:
        with pytest.raises(SettingError, match=words):
            MapScoreCallback(*given)
    with pytest.raises(SettingError, match="every_n_epochs must be a positive integer"):
        MapScoreCallback(MapScore(), "net", every_n_epochs=0)
