"""The command ``compare``: two runs of the same images, for a build that fails if scores fall."""

import sys
import warnings
from argparse import Namespace
from dataclasses import replace
from math import isfinite
from pathlib import Path

from cameval.errors import SettingError
from cameval.evaluation import Column, Results, concat


def compare_runs(options: Namespace) -> int:
    """Print the paired difference of two runs; return 1 if the second is shown to be worse.

    It is shown to be worse if the whole 95 % interval of the difference is on the worse side of the
    margin.
    """
    if not (isfinite(options.margin) and options.margin >= 0):
        raise SettingError(f"--margin must be a number of at least 0, got {options.margin}")
    base = _read(options.base, "base", options)
    new = _read(options.new, "new", options)
    higher_is_better = _direction(base, options.metric)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        table = concat([base, new]).compare(options.metric, over="model", reference="base")
    for note in notes:
        print(f"note: {note.message}", file=sys.stderr)
    (row,) = table.to_dict("records")
    (column,) = base.columns
    about = " ".join(part for part in (options.metric, column.method, column.binarizer) if part)
    count = f"{row['n']} targets in {row['n_groups']} groups"
    if row["n"] and row["n_differing"] == 0:
        print(f"{about}: no score differs, {count}")
        return 0
    low, high = (row["low"], row["high"]) if higher_is_better else (-row["high"], -row["low"])
    if not (isfinite(low) and isfinite(high)):
        raise SettingError(
            "the difference must have an interval, for which six groups or more must differ, got "
            f"{row['n_differing']} of {count}; compare runs of more images"
        )
    print(
        f"{about}: new - base = {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] "
        f"(95 % by group), {count}"
    )
    worse = high < -options.margin
    by = f" by more than {options.margin:g}" if options.margin else ""
    print(f"new is worse{by}" if worse else f"new is not shown to be worse{by}")
    return int(worse)


def _read(path: str, name: str, options: Namespace) -> Results:
    """Read the one column of one model that is compared."""
    file = Path(path) / "results.csv" if Path(path).is_dir() else Path(path)
    results = Results.from_csv(file)
    results = results.select(kind="method", metric=options.metric)
    wanted = {"method": options.method, "binarizer": options.binarizer}
    results = results.select(**{field: one for field, one in wanted.items() if one is not None})
    models = list(dict.fromkeys(results.samples["model"].astype(str)))
    if len(models) > 1:
        raise SettingError(f"{file} must hold one model, got {', '.join(models)}")
    for field in ("method", "binarizer", "target_class"):
        several = _labels(results.columns, field)
        if len(several) > 1:
            option = f"; choose one with --{field}" if field in wanted else ""
            raise SettingError(f"{file} must have one {field}, got {', '.join(several)}{option}")
    return replace(results, samples=results.samples.assign(model=name))


def _labels(columns: tuple[Column, ...], field: str) -> list[str]:
    return list(dict.fromkeys(str(getattr(column, field)) for column in columns))


def _direction(results: Results, metric: str) -> bool:
    meaning = results.meanings.metric(metric)
    if meaning is None or meaning.higher_is_better is None:
        raise SettingError(
            f"--metric must say whether more is better, got {metric!r}, of which it is not known"
        )
    return meaning.higher_is_better
