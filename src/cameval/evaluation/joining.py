"""Parts put under each other: batches of a run, results of several models or parts of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd

from cameval.errors import DataError, SettingError
from cameval.evaluation.origins import Origin
from cameval.evaluation.plan import Column
from cameval.evaluation.provenance import runs
from cameval.evaluation.scoring import BatchScores

if TYPE_CHECKING:
    from cameval.evaluation.results import Results

__all__ = ["joined", "sample_table"]

_OF_SAMPLES = ("sample", "group", "label", "predicted", "probability", "area")


def sample_table(batches: Sequence[BatchScores], model: str) -> pd.DataFrame:
    """Return one row for each sample of the batches of a model, in order."""
    columns = {
        name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _OF_SAMPLES
    }
    samples = pd.DataFrame(columns)
    samples.insert(0, "model", model)
    twice = samples["sample"][samples["sample"].duplicated()]
    if len(twice):
        raise DataError(f"names of samples must be unique, got {twice.iloc[0]!r} twice")
    return samples


def joined(parts: Sequence["Results"]) -> "Results":
    """Put results under each other; see `Results.concat`."""
    if not parts:
        raise SettingError("parts must hold at least one Results, got none")
    first = parts[0]
    parts = [_in_order(part, first.columns) for part in parts]
    _check_meanings(parts)
    samples = pd.concat([part.samples for part in parts], ignore_index=True)
    if samples.duplicated(["model", "sample"]).any():
        raise SettingError(
            "a model must have a sample once, got some twice; "
            "give the models names, as in evaluate(..., name='resnet50, seed 1')"
        )
    return replace(
        first,
        samples=samples,
        values=np.concatenate([part.values for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
        provenance=_provenance(parts),
    )


def _provenance(parts: Sequence["Results"]) -> Mapping[str, Any]:
    """Return what the first says, without what is not true of all, and what each says."""
    first = parts[0]
    provenance = dict(first.provenance)
    if any(part.class_names != first.class_names for part in parts):
        provenance["settings"] = {**provenance.get("settings", {}), "class_names": None}
    if any(part.provenance.get("chosen") != provenance.get("chosen") for part in parts):
        provenance.pop("chosen", None)
    return provenance | {"parts": [run for part in parts for run in _runs(part)]}


def _runs(part: "Results") -> list[dict[str, Any]]:
    """Return the record of each run that a part is of, as far as `select` has left it."""
    models = set(part.samples["model"].astype(str))
    found = runs(part.provenance)
    return [run for run in found if str(_settings(run).get("model")) in models] or found


def _settings(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    return provenance.get("settings") or {}


def _in_order(part: "Results", columns: tuple[Column, ...]) -> "Results":
    """Return a part with its columns in the order of the first part's."""
    if part.columns == columns:
        return part
    if strange := sorted(set(part.columns) ^ set(columns)):
        raise SettingError(
            f"results must have the same columns, got {strange[0]} in one only; keep what all of "
            "them have, as in results.select(metric=...)"
        )
    at = [part.columns.index(column) for column in columns]
    return replace(part, columns=columns, values=part.values[:, at], codes=part.codes[:, at])


def _check_meanings(parts: Sequence["Results"]) -> None:
    """Check that a label of chosen binarizers, or of a metric, says the same of all parts.

    Other binarizers may differ, as where each fold has fitted its own.
    """
    for label in dict.fromkeys(column.binarizer for column in parts[0].columns):
        meanings = _meanings(parts, "binarizers", label)
        if len(meanings) > 1 and any(map(Origin.of, meanings)):
            _refuse(label, meanings, "leave its columns out with results.select, or choose alike")
    for label in dict.fromkeys(column.metric for column in parts[0].columns):
        known = [words for words in _meanings(parts, "metrics", label) if words is not None]
        if len(known) > 1:
            _refuse(label, known, "evaluate all parts with one metric, or give each its own label")


def _meanings(parts: Sequence["Results"], what: str, label: str) -> list[str | None]:
    """Return what stands behind a label in the parts, each once; None where that is not known."""
    several = (_settings(part.provenance).get(what) for part in parts)
    return list(
        dict.fromkeys(
            str(known[label]) if isinstance(known, Mapping) and label in known else None
            for known in several
        )
    )


def _refuse(label: str, meanings: Sequence[str | None], way_out: str) -> NoReturn:
    first, second = (f"{words!r}" if words else "nothing that is known" for words in meanings[:2])
    raise SettingError(
        f"label {label!r} must mean the same in all parts, got {first} in one and {second} in "
        f"another; {way_out}"
    )
