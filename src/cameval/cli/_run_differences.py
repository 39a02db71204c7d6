"""What two runs have recorded of their settings and weights, and in what they differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from cameval.evaluation import Results

_SETTINGS = (
    *("layer", "alignment", "task", "outputs_are", "precision", "dtype"),
    *("samples", "class_names"),
)
"""The recorded settings that are compared: those that say what was computed, and of what."""


def describe_differences(base: Results, new: Results) -> str:
    """Return the settings that both runs have recorded and that differ, with their values.

    Of the preparation, the fields that differ, where both runs have recorded them. Each run has one
    model.
    """
    runs = [_runs_of_model(results) for results in (base, new)]
    preparations = [[run.get("preparation") or {} for run in several] for several in runs]
    settings = [[run.get("settings") or {} for run in several] for several in runs]
    if all(record for several in preparations for record in several):
        fields = list(preparations[0][0])
        found = _differences([[*map(_fields, several)] for several in preparations], fields)
    else:
        found = _differences(settings, ["prepare"])
    return "; ".join(found + _differences(settings, _SETTINGS))


def have_equal_weights(base: Results, new: Results) -> bool:
    """Tell whether both runs have recorded the weights of a network, and these are the same."""
    one, other = (
        {(run.get("settings") or {}).get("weights") for run in _runs_of_model(results)}
        for results in (base, new)
    )
    return one == other and None not in one


def _runs_of_model(results: Results) -> list[Mapping[str, Any]]:
    """Return the records of the runs of the one model of some results."""
    (model,) = set(results.samples["model"].astype(str))
    every = results.provenance.get("parts") or [results.provenance]
    own = [run for run in every if (run.get("settings") or {}).get("model") == model]
    return own or every


def _fields(preparation: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a preparation as text."""
    return {name: _text(name, value) for name, value in preparation.items()}


def _text(field: str, value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return (" x " if field in ("size", "truth_size") else ", ").join(map(str, value))
    return str(value)


def _differences(known: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str]) -> list[str]:
    """Return the names whose values both runs know and that differ, with the values."""
    found = []
    for name in names:
        one, other = (
            sorted({str(run[name]) for run in runs if run.get(name) is not None}) for runs in known
        )
        if one and other and one != other:
            found.append(f"{name} ({_shown(one)} and {_shown(other)})")
    return found


def _shown(values: Sequence[str]) -> str:
    """Return the values of a setting on one line of at most 200 characters."""
    line = " ".join(", ".join(values).split())
    return line if len(line) <= 200 else f"{line[:140]}...{line[-57:]}"
