"""Sanity checks of a run before the first image: what is compared and scored, and its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from cameval.baselines import RandomBaseline, knowledge_of
from cameval.errors import SettingError, ShapeError
from cameval.evaluation._digests import digest_of, digest_or_none, weights_hash
from cameval.evaluation._plan import Plan, callables_by_label
from cameval.evaluation._run import Network, Run
from cameval.evaluation._run_folder import RunFolder
from cameval.evaluation._sanity_cost import count_reruns, count_scoring
from cameval.evaluation.sanity_checks import SanityChecks, SanityCost, Training
from cameval.networks import CAMModel, LayerModel, adapt, load_weights
from cameval.networks._copies import private_copy
from cameval.networks._randomize import randomized_copies, stops_of, weighted_modules
from cameval.protocols import Baseline
from cameval.target_classes import choose_classes

Model = CAMModel | LayerModel

_SMALLEST = 11
"""Sides of the smallest maps whose structural similarity is defined."""


@dataclass(frozen=True, eq=False)
class CheckedRun:
    """A run with sanity checks.

    Parameters
    ----------
    run
        The run itself.
    checks
        The checks.
    plan
        What is scored of the sub-sample: the methods and maps of the run, and the controls.
    trainings
        Other trainings, cut as the network is.
    steps
        With what each map is compared: check, name and number of modules with random weights.
    cost
        The passes that the checks take at most.
    """

    run: Run
    checks: SanityChecks
    plan: Plan
    trainings: Mapping[str, Model]
    steps: Sequence[Mapping[str, Any]]
    cost: SanityCost

    @classmethod
    def of(cls, run: Run, checks: SanityChecks) -> "CheckedRun":
        """Plan the checks, and try them on the first sample.

        Raises
        ------
        SettingError
            If a checkpoint does not fit the network, or has the same weights.
        ShapeError
            If maps are too small to be compared, or a metric is not defined for volumes.
        LayerError
            If the network has no such layer.
        """
        network, image = run.network, run.image
        assert network is not None
        assert image is not None
        if min(image.shape[-2:]) < _SMALLEST:
            raise ShapeError(
                f"images must have sides of at least {_SMALLEST} for sanity checks, got "
                f"{tuple(image.shape[1:])}"
            )
        plan = _plan_of(run, checks)
        trainings = _trainings_of(network, checks.checkpoints)
        randomized = _stops_of(network.exact, checks.layers)
        steps: list[dict[str, Any]] = [
            *({"check": "random weights", "name": n, "random_modules": k} for n, k in randomized),
            *({"check": "other training", "name": n, "random_modules": None} for n in trainings),
        ]
        images = image[None].to(network.device)
        activations = network.exact.activations(images)
        for name, model in trainings.items():
            logits = model.activations(images).logits
            if logits.shape != activations.logits.shape:
                raise SettingError(
                    "checkpoints must be other trainings of the network, with "
                    f"{activations.logits.shape[1]} outputs, got {name!r} with {logits.shape[1]}"
                )
        classes = choose_classes(None, None, activations.logits)
        reruns = count_reruns(activations, plan.methods, classes)
        scoring = count_scoring(
            plan.metrics,
            methods=len(plan.methods),
            controls=len(plan.baselines),
            maps=len(plan.maps),
            reruns=reruns,
            task=run.task,
            outputs=activations.logits.shape[1],
            probabilities=run.probabilities,
            channels=image.shape[0],
            axes=image.ndim - 1,
        )
        count = run.record["settings"]["samples"]
        images_checked = checks.samples if count is None else min(checks.samples, count)
        cost = checks.cost_of(images_checked, scoring, len(randomized), reruns)
        return cls(run, checks, plan, trainings, steps, cost)

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores and the similarities depend on."""
        own = self._identity
        return self.run.identity | {f"sanity: {part}": own[part] for part in own}

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What the sanity checks depend on beside the run."""
        chosen = {"samples": self.checks.samples, "seed": self.checks.seed}
        return {
            **self.plan.identity(),
            "sanity": {name: digest_or_none(digest_of, one) for name, one in chosen.items()},
            "steps": [[step["check"], step["name"]] for step in self.steps],
            "checkpoints": {name: weights_hash(one) for name, one in self.trainings.items()},
        }

    @property
    def folder(self) -> Path | None:
        """The folder of the checks in that of the run."""
        out = self.run.settings.out
        return None if out is None else Path(out) / "sanity"

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record of the checks, as that of a run."""
        run = self.run
        return run.record | {
            "meanings": self.plan.meanings().to_record(),
            "identity": run.record["identity"] | self._identity,
            "columns": [list(vars(column).values()) for column in self.plan.columns],
            "sanity": {
                "samples": self.checks.samples,
                "seed": self.checks.seed,
                "methods": list(self.plan.methods),
                "steps": [dict(step) for step in self.steps],
                "modules": len(weighted_modules(self._model)),
                "cost": {**vars(self.cost), "total": self.cost.total},
            },
        }

    @property
    def _model(self) -> Model:
        assert self.run.network is not None
        return self.run.network.exact

    @cached_property
    def models(self) -> list[Model]:
        """The network of each step; those with random weights share them."""
        names = [step["name"] for step in self.steps if step["check"] == "random weights"]
        found = dict(randomized_copies(self._model, self.checks.seed, names))
        return [*(found[name] for name in names), *self.trainings.values()]

    def claim(self) -> None:
        """Check that the folder holds these checks, or none."""
        if self.folder is None:
            return
        RunFolder(self.folder.parent).claim(self.run.record)
        try:
            RunFolder(self.folder).claim(self.record)
        except SettingError as error:
            raise SettingError(
                f"{error}. The table of the run itself stays: delete {self.folder} to compute "
                "other checks of the same run"
            ) from error


def _plan_of(run: Run, checks: SanityChecks) -> Plan:
    """Return what is scored of the sub-sample, for the first target class of the run."""
    if not run.plan.methods:
        raise SettingError("sanity needs at least one method, got none")
    first = next(iter(run.plan.target_class))
    return replace(
        run.plan,
        target_class={first: run.plan.target_class[first]},
        baselines=_controls_of(run, checks),
        metrics={
            **run.plan.metrics,
            **{
                name: metric
                for name, metric in checks.metrics.items()
                if name not in run.plan.metrics
            },
        },
    )


def _controls_of(run: Run, checks: SanityChecks) -> dict[str, Baseline]:
    if checks.controls is not None:
        return callables_by_label(checks.controls, "controls", "cameval.baselines")
    known = run.plan.baselines.items()
    blind = {name: one for name, one in known if knowledge_of(one) == "nothing"}
    return blind or {"random": RandomBaseline(seed=run.settings.seed)}


def _stops_of(model: Model, layers: int | str | Sequence[str]) -> list[tuple[str, int]]:
    """Return where the randomization stops, and how many modules then have random weights."""
    downwards = weighted_modules(model)[::-1]
    if not downwards:
        raise SettingError("the network must have weights for sanity checks, got none")
    if isinstance(layers, int):
        places = np.linspace(0, len(downwards) - 1, layers).round().astype(int)
        return [(downwards[k], k + 1) for k in dict.fromkeys(places.tolist())]
    if isinstance(layers, str):
        return [(name, k + 1) for k, name in enumerate(downwards)]
    stops = stops_of(model, downwards[::-1], layers)
    return [(name, k + 1) for k, lowest in enumerate(downwards) for name in stops.get(lowest, ())]


def _trainings_of(network: Network, checkpoints: Mapping[str, Training]) -> dict[str, Model]:
    """Return other trainings, cut as the network is."""
    found: dict[str, Model] = {}
    own = weights_hash(network.exact)
    for name, given in checkpoints.items():
        net = given if isinstance(given, nn.Module) else _with_weights(network.exact, name, given)
        model = network.exact
        if isinstance(net, CAMModel | LayerModel):
            cut: Model = adapt(net)
        elif isinstance(model, LayerModel):
            cut = adapt(net, layer=model.layer, grid=model.grid)
        else:
            cut = adapt(net)
        if weights_hash(cut) == own:
            raise SettingError(
                f"checkpoints must be other trainings of the network, got {name!r} with the "
                "weights of the network itself"
            )
        devices = {tensor.device for tensor in cut.parameters()} - {network.device}
        if devices:
            raise SettingError(
                f"checkpoints must be on the device of the network, {network.device}, got "
                f"{name!r} on {devices.pop()}"
            )
        found[name] = cut
    return found


def _with_weights(model: Model, name: str, given: object) -> nn.Module:
    """Return the network that was cut with the weights of a state dict or file."""
    origin = model.net if isinstance(model, LayerModel) else model.origin
    net = _own_weights(private_copy(model if origin is None else origin))
    own = net.state_dict()
    try:
        if isinstance(given, Mapping):
            state = {
                key: one.to(own[key].device, own[key].dtype) if key in own else one
                for key, one in given.items()
            }
            net.load_state_dict(state)
        else:
            load_weights(net, given)  # type: ignore[arg-type]  # it says what a path must be
    except (RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()
        raise SettingError(
            "checkpoints must be networks, or state dicts that fit the network, got for "
            f"{name!r}: {' '.join(reason[:2])}"
        ) from error
    return net


def _own_weights(net: nn.Module) -> nn.Module:
    """Return a private copy with parameters and buffers of its own; shared ones stay shared."""
    known: dict[int, Tensor] = {}
    for module in net.modules():
        for kind in ("_parameters", "_buffers"):
            tensors = vars(module)[kind]
            for name, tensor in tensors.items():
                if isinstance(tensor, Tensor):
                    clone = known.setdefault(id(tensor), tensor.detach().clone())
                    parameter = kind == "_parameters"
                    tensors[name] = nn.Parameter(clone, requires_grad=False) if parameter else clone
    return net
