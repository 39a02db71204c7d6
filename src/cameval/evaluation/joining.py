"""Parts put under each other: batches of a run, results of several models or parts of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cameval.errors import DataError, SettingError
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
    for part in parts:
        if part.columns != first.columns:
            strange = sorted(set(part.columns) ^ set(first.columns))
            raise SettingError(f"results must have the same columns, got {strange[:1]} in one only")
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
    return provenance | {"parts": [dict(part.provenance) for part in parts]}
