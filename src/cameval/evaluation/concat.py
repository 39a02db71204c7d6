"""Concatenation of results of several models or parts of the data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from cameval.errors import SettingError
from cameval.evaluation import (
    _map_shift,
    _normalized_twice,
    _sample_sums,
    dark_images,
    preparation_check,
    spacings,
)
from cameval.evaluation._info import concatenated
from cameval.evaluation._run_folder import runs
from cameval.evaluation._tables import KEY
from cameval.evaluation.meaning import Column, Meanings
from cameval.evaluation.results import Results, SanityResults
from cameval.networks import _placement

__all__ = ["concat"]

_OF_ONE_RUN = (
    *(_map_shift, _normalized_twice, _placement, _sample_sums),
    *(dark_images, preparation_check, spacings),
)
"""What the record of a run has of it alone."""


def concat(parts: Sequence[Results]) -> Results:
    """Concatenate results of several models, or of several parts of the data.

    Columns are put into the order of the first. A column of ``Sample.info`` that a part lacks is
    missing for its samples.

    Parameters
    ----------
    parts
        At least one. The same model may be in several with different samples. Files are read first,
        with :meth:`Results.load` (a folder), `Results.from_csv` or `Results.from_parquet`.

    Returns
    -------
    Results
        All rows. ``provenance["parts"]`` holds the record of each run. Sanity checks are kept if
        all parts have them with the same columns.

    Raises
    ------
    SettingError
        If there is no part or one is something else, such as a path or a table of pandas; if their
        columns differ, a model has a sample twice with the same label, a sample has other groups in
        another model, binarizers of one name were not chosen in the same way in all parts, or a
        name stands for different classes, methods, metrics or binarizers, or for baselines with
        different knowledge.

    Notes
    -----
    Classes, methods, metrics and binarizers are compared by their contents, as far as the runs
    recorded them; those that `Choice.apply` added may differ between the parts. The
    meaning of a label is known in the result if it is known in every part.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, concat, evaluate_maps, pixel_auroc
    >>> values = np.arange(4, dtype=np.float32).reshape(2, 2) / 3
    >>> samples = [Sample("x-ray 7", values, values > 0.5)]
    >>> parts = [
    ...     evaluate_maps(lambda sample: sample.image, samples, metrics=pixel_auroc, name=name)
    ...     for name in ("first", "second")
    ... ]
    >>> both = concat(parts)
    >>> len(both), both.samples["model"].tolist()
    (2, ['first', 'second'])
    """
    parts = _check_results(parts)
    first = parts[0]
    parts = [_in_order(part, first.columns) for part in parts]
    _check_meanings(parts)
    samples = concatenated([part.samples for part in parts])
    again = samples[samples.duplicated(list(KEY))]
    if len(again):
        raise SettingError(
            "a model must have a sample once with each label, got "
            f"{again['sample'].iloc[0]!r} twice; "
            "give the models names, as in evaluate(..., name='resnet50, seed 1'), or of finished "
            "runs Results.load(folder, name='resnet50, seed 1')"
        )
    _check_groups(samples)
    return replace(
        first,
        samples=samples,
        values=np.concatenate([part.values for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        provenance=_provenance(parts),
        sanity=_sanity([part.sanity for part in parts]),
    )


def _check_results(parts: object) -> list[Results]:
    """Return the parts as a list, of which each must be results."""
    alone = isinstance(parts, Results | str | PathLike | pd.DataFrame)
    several = [*parts] if isinstance(parts, Iterable) and not alone else [parts]
    found: list[Results] = []
    if not several:
        raise SettingError("parts must hold at least one Results, got none")
    for part in several:
        if isinstance(part, str | PathLike):
            raise SettingError(
                f"parts must be Results, got the path {str(part)!r}; read it first: "
                "Results.load(folder), Results.from_csv(file) or Results.from_parquet(file)"
            )
        if isinstance(part, pd.DataFrame):
            raise SettingError(
                "parts must be Results, got a DataFrame; concatenate the results before "
                "to_pandas(), or read their files with Results.from_csv"
            )
        if not isinstance(part, Results):
            raise SettingError(f"parts must be Results, got {type(part).__name__}")
        found.append(part)
    if alone:
        raise SettingError("parts must be a list of Results, got one; write concat([results])")
    return found


def _check_groups(samples: pd.DataFrame) -> None:
    """Check that a sample has the same group in all models, by which differences are tested."""
    names, groups = (samples[column].astype(str) for column in ("sample", "group"))
    if not pd.DataFrame({"sample": names, "group": groups}).drop_duplicates()["sample"].is_unique:
        of_model = groups.groupby([names, samples["model"].astype(str)]).unique().map(frozenset)
        several = of_model.groupby(level=0).nunique() > 1
        if several.any():
            name = several.index[several.to_numpy()][0]
            first, second = ("/".join(sorted(one)) for one in of_model.loc[name].unique()[:2])
            raise SettingError(
                f"a sample must have the same group in all models, got {first!r} and {second!r} "
                f"for {name!r}; evaluate all of them with the same groups"
            )


def _sanity(parts: Sequence[SanityResults | None]) -> SanityResults | None:
    """Return the sanity checks of all parts; None if one has none, or has other columns."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or len({frozenset(one.scores.columns) for one in known}) > 1:
        return None
    similarities = pd.concat([one.similarities for one in known], ignore_index=True)
    return SanityResults(concat([one.scores for one in known]), similarities)


def _provenance(parts: Sequence[Results]) -> Mapping[str, Any]:
    """Return the record of the first part, without what differs, and the records of all runs."""
    first = parts[0]
    provenance = dict(first.provenance)
    settings = dict(provenance.get("settings") or {})
    for name in ("class_names", "task"):
        if any(_settings(part.provenance).get(name) != settings.get(name) for part in parts):
            settings[name] = None
    provenance["settings"] = settings
    if any(part.provenance.get("chosen") != provenance.get("chosen") for part in parts):
        provenance.pop("chosen", None)
    for part in _OF_ONE_RUN:
        provenance.pop(part.RECORD, None)
    if "meanings" in provenance:
        provenance["meanings"] = _common([part.meanings for part in parts]).to_record()
    return provenance | {"parts": [run for part in parts for run in _runs(part)]}


def _common(known: Sequence[Meanings]) -> Meanings:
    """Return the meanings of the labels that all parts know, as in the first."""
    common: dict[str, Any] = {
        part: {
            label: meaning
            for label, meaning in things.items()
            if all(label in getattr(other, part) for other in known)
        }
        for part, things in known[0].parts.items()
    }
    return Meanings(**common)


def _runs(part: Results) -> list[dict[str, Any]]:
    """Return the records of the runs of a part whose models are still in it."""
    models = set(part.samples["model"].astype(str))
    found = runs(part.provenance)
    return [run for run in found if str(_settings(run).get("model")) in models] or found


def _settings(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    return provenance.get("settings") or {}


def _in_order(part: Results, columns: tuple[Column, ...]) -> Results:
    """Return a part with its columns in the order of the first part's."""
    if part.columns == columns:
        return part
    if strange := sorted(set(part.columns) ^ set(columns)):
        raise SettingError(
            f"results must have the same columns, got {strange[0]} in one only; keep what all of "
            "them have, as in results.select(metric=...)"
        )
    at = [part.columns.index(column) for column in columns]
    return replace(
        part,
        columns=columns,
        values=part.values[:, at],
        codes=part.codes[:, at],
        weights=part.weights[:, at],
    )


def _check_meanings(parts: Sequence[Results]) -> None:
    """Check that a label stands for the same in all parts.

    Binarizers that `Choice.apply` added may differ, but not in how they were chosen.
    """
    columns, known = parts[0].columns, [part.meanings for part in parts]
    fixed: set[str] = set()
    for label in dict.fromkeys(c.binarizer for c in columns if c.binarizer):
        origins = {meanings.origin(label) for meanings in known}
        if len(origins) > 1:
            _refuse(label, known, "leave its columns out with results.select, or choose alike")
        if origins == {None}:
            fixed.add(label)
            if len({m.binarizers[label].setting for m in known if label in m.binarizers}) > 1:
                _refuse(label, known, "give each its own label, or choose with choose_binarizers")
    for label in dict.fromkeys(c.metric for c in columns):
        if len({m.metrics[label] for m in known if label in m.metrics}) > 1:
            _refuse(label, known, "evaluate all parts with one metric, or give each its own label")
    for label in dict.fromkeys(c.method for c in columns if c.kind == "baseline"):
        if len({m.baselines[label].knows for m in known if label in m.baselines}) > 1:
            _refuse(label, known, "give baselines with different knowledge different labels")
    methods = {c.method for c in columns if c.kind == "method"}
    several = {"target_class": {c.target_class for c in columns}, "methods": methods}
    several |= {"binarizers": fixed}
    for kind, labels in (several | {"metrics": {c.metric for c in columns}}).items():
        for label in sorted(labels):
            _check_contents(parts, kind, label)


def _check_contents(parts: Sequence[Results], kind: str, label: str) -> None:
    """Check that the runs which know the contents behind a label have the same.

    The code of functions is compared within one version of Python, on which it depends.
    """
    of_version: dict[str, set[str]] = {}
    for run in (run for part in parts for run in _runs(part)):
        identity = run.get("identity")
        things = identity.get(kind) if isinstance(identity, Mapping) else None
        digest = things.get(label) if isinstance(things, Mapping) else None
        if digest is not None:
            of_version.setdefault(str(_settings(run).get("versions")), set()).add(str(digest))
    if any(len(digests) > 1 for digests in of_version.values()):
        raise SettingError(
            f"label {label!r} must mean the same in all parts, got {kind} with other contents; "
            "evaluate all parts with the same one, or give each its own label"
        )


def _refuse(label: str, known: Sequence[Meanings], way_out: str) -> NoReturn:
    several = dict.fromkeys(
        things[label]
        for meanings in known
        for things in (meanings.binarizers, meanings.metrics, meanings.baselines)
        if label in things
    )
    came = (
        " and ".join(map(str, several))
        if len(several) > 1
        else f"{next(iter(several))} in one only"
    )
    raise SettingError(f"label {label!r} must mean the same in all parts, got {came}; {way_out}")
