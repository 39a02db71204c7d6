"""Scores by metrics that run the network: on changed images, and on maps of changed images."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import unwritten
from cameval.evaluation._grid_scores import check_scores
from cameval.evaluation._plan import Task
from cameval.evaluation._sources import GivenMaps, Grid, Source, View
from cameval.maps import upsample
from cameval.networks import Activations

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class ScoredNetwork:
    """The network of a batch as metrics see it: its softmax gives the probabilities.

    The function for a class is the same one for all metrics, so that they share their passes.
    """

    view: View
    activations: Activations
    task: Task | None
    probabilities: bool
    _of_class: dict[int, Network] = field(default_factory=dict)
    _whole: list[Network] = field(default_factory=list)

    def score(
        self, metric: Any, name: str, source: Source, rows: Tensor, maps: Tensor, classes: Tensor
    ) -> NDArray[np.float64]:
        """Return the scores of maps on the input, ``(M, h, w)``: of one row of each sample."""
        if self.task == "multilabel":
            return self._score_each_class(metric, name, source, rows, maps, classes)
        fitted = self._with_source(metric, source, rows, classes)
        if fitted is None:
            return np.full(len(maps), np.nan)
        images = self.activations.images
        with unwritten(f"metric {name}", images, maps):
            found = fitted(self._network(), images, maps, classes)
        return check_scores(found, name, len(maps))

    def _score_each_class(
        self, metric: Any, name: str, source: Source, rows: Tensor, maps: Tensor, classes: Tensor
    ) -> NDArray[np.float64]:
        """Score maps of several sigmoid classes: each class against its absence."""
        scores = np.full(len(maps), np.nan)
        images = self.activations.images
        for index in classes.unique().tolist():
            at = (classes == index).nonzero()[:, 0]
            fitted = self._with_source(metric, source, rows[at.to(rows.device)], classes[at])
            if fitted is not None:
                given = images[at.to(images.device)], maps[at.to(maps.device)]
                found = fitted(self._class_network(index), *given, torch.ones_like(classes[at]))
                scores[at.cpu().numpy()] = check_scores(found, name, len(at))
        return scores

    def _with_source(
        self, metric: Any, source: Source, rows: Tensor, classes: Tensor
    ) -> Callable[..., object] | None:
        """Return a metric with the source of the maps, if it needs one; None if there is none."""
        if not getattr(metric, "uses_extract", False) or metric.extract is not None:
            function: Callable[..., object] = metric
            return function

        def extract(images: Tensor, _classes: Tensor) -> "MapsAgain":
            view = with_images(self.view, rows, images)
            again = source.again(view, classes)
            assert again is not None
            return MapsAgain(maps_on_input(view, again, images))

        if isinstance(source, GivenMaps):
            return None
        fitted: Callable[..., object] = replace(metric, extract=extract)
        return fitted

    def _network(self) -> Network:
        """Return the network with one logit for each class, with the probabilities as softmax."""
        if not self._whole:
            self._whole.append(_with_logits(self.activations, probabilities=self.probabilities))
        return self._whole[0]

    def _class_network(self, index: int) -> Network:
        """Return the network with two logits, for the absence and the presence of a class."""
        if index not in self._of_class:
            logits = _class_logits(self.activations, probabilities=self.probabilities)
            self._of_class[index] = partial(_presence, logits, index)
        return self._of_class[index]


@dataclass(frozen=True, eq=False)
class MapsAgain:
    """Maps of changed images, on these images."""

    maps: Tensor


def with_images(view: View, rows: Tensor, images: Tensor) -> View:
    """Return different rows of a batch as a batch, each with another input, ``(n, ...)``."""
    number = {row: k for k, row in enumerate(rows.tolist())}
    grids = []
    for grid in view.grids:
        at = [i for i, row in enumerate(grid.rows.tolist()) if row in number]
        new = [number[int(grid.rows[i])] for i in at]
        shown = [replace(grid.prepared[i], image=images[k]) for i, k in zip(at, new, strict=True)]
        if at:
            keep = None if grid.keep is None else grid.keep[at]
            samples = [grid.samples[i] for i in at]
            part = torch.tensor(new), grid.truth[at], keep, grid.window, grid.spacing
            grids.append(Grid(*part, shown, samples))
    kept = [view.rows[row] for row in rows.tolist()]
    where = torch.arange(len(kept)), torch.zeros(len(kept), dtype=torch.int64)
    return View(kept, kept, *where, list(images), grids, view.device)


def maps_on_input(view: View, source: Source, like: Tensor) -> Tensor:
    """Return the map of each row of a batch on the network's input, ``(N, h, w)``."""
    found = like.new_empty(len(view.rows), *like.shape[2:])
    for grid in view.grids:
        found[grid.rows.to(found.device)] = on_input(source(grid), grid, found)
    return found


def on_input(maps: Tensor, grid: Grid, like: Tensor) -> Tensor:
    """Return maps at the size of the network's input; its padding has the lowest value."""
    size = tuple(like.shape[1:])
    if grid.window is None:
        return upsample(maps, size).to(like.dtype)
    inner = tuple(stop - start for start, stop in grid.window)
    shown = upsample(maps, inner).to(like.dtype)
    whole = shown.flatten(1).amin(1)[(..., *(None for _ in size))].expand(-1, *size).clone()
    whole[(slice(None), *(slice(start, stop) for start, stop in grid.window))] = shown
    return whole


def _presence(logits: Network, index: int, images: Tensor) -> Tensor:
    return pad(logits(images)[:, index : index + 1], (1, 0))


def _class_logits(activations: Activations, *, probabilities: bool) -> Network:
    """Return the network with one logit for each class, also if it ends in sigmoids."""
    if not probabilities:
        return activations.network

    def logits(images: Tensor) -> Tensor:
        chances = activations.network(images)
        return chances.logit(torch.finfo(chances.dtype).eps)

    return logits


def _with_logits(activations: Activations, *, probabilities: bool) -> Network:
    network = activations.network
    if activations.logits.shape[1] == 1:
        return lambda images: pad(network(images), (1, 0))  # of class 0 the logit is 0
    if not probabilities:
        return network

    def logits(images: Tensor) -> Tensor:
        shares = network(images)
        return shares.clamp_min(torch.finfo(shares.dtype).tiny).log()

    return logits
