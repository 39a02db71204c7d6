"""The command ``compare``: two runs of the same images, for a build that fails if scores fall."""

import sys
import warnings
from argparse import Namespace
from collections.abc import Mapping, Sequence
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import Any

from cameval.cli._near_words import list_near_words
from cameval.cli._run_differences import describe_differences, have_equal_weights
from cameval.errors import DataError, SettingError
from cameval.evaluation import Column, Results, concat, count_differing
from cameval.report import format_difference, format_percent
from cameval.statistics import ENOUGH_GROUPS

_OF_MAPS = {"method": "method", "binarizer": "binarizer", "target_class": "target class"}
"""What a run may have several of, of which one is compared, by the field of its columns."""

_ROUNDED = 1 - 1e-9

_NEEDED = 6  # groups that differ: of five, the least p of a sign-flip test is 2 / 2**5 = .0625


def compare_runs(options: Namespace) -> int:
    """Print the paired difference of two runs; return 1 if the second is worse.

    It is shown to be worse if the whole 95 % interval of the difference is on the worse side of the
    margin. It is also worse if the mean fell by more than ``--largest-fall``, whatever the
    interval.

    Raises
    ------
    DataError
        If there is no run at a path, or its table is damaged.
    SettingError
        If the runs cannot be compared, or the mean fell in so few groups that no test could show
        it.
    """
    for name, limit in (("margin", options.margin), ("largest-fall", options.largest_fall)):
        if limit is not None and not (isfinite(limit) and limit >= 0):
            raise SettingError(f"--{name} must be a number of at least 0, got {limit}")
    base, new = _read(options.base, options), _read(options.new, options)
    _check_columns(base, new, options)
    higher_is_better = _direction([base, new], options)
    _check_limits(options, _range_of([base, new], options.metric))
    _print_notes(base, new, options)
    base, new = base.renamed("base"), new.renamed("new")
    both = concat([base, new])
    _check_truths(both)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        table = both.compare(options.metric, over="model", reference="base")
    (found,) = table.to_dict("records")
    row = {str(name): value for name, value in found.items()}
    _check_pairs(both, row, allow=options.allow_unpaired)
    for note in notes:
        print(f"note: {note.message}", file=sys.stderr)
    (column,) = base.columns
    about = " ".join(part for part in (options.metric, column.method, column.binarizer) if part)
    shown = f"{about}: {_difference(row, _range_of([base, new], options.metric))}"
    return _verdict(row, shown, options, sign=1 if higher_is_better else -1)


def _check_limits(options: Namespace, value_range: tuple[float, float] | None) -> None:
    """Check that the limits, in the unit of the score, are no larger than a fall can be."""
    if value_range is None:
        return
    low, high = value_range
    for name, limit in (("margin", options.margin), ("largest-fall", options.largest_fall)):
        if limit is not None and limit > high - low:
            raise SettingError(
                f"--{name} must be at most {high - low:g}, the largest possible fall of "
                f"{options.metric}, got {limit:g}; it is in the unit of the score, not in percent: "
                f"{limit / 100:g} for {limit:g} points of 100"
            )


def _difference(row: Mapping[str, Any], value_range: tuple[float, float] | None) -> str:
    """Return the difference, its interval, and of how many groups they are."""
    count = f"{row['n']} targets in {row['n_groups']} groups"
    if row["n_differing"] == 0:
        return f"no group differs, {count}"
    text = f"new - base = {_signed(row['difference'])}"
    low, high = row["low"], row["high"]
    if isfinite(low) and isfinite(high):
        width = inf if value_range is None else value_range[1] - value_range[0]
        is_all = low <= _ROUNDED * -width and high >= _ROUNDED * width
        text += (
            " (the 95 % interval by group has all possible differences)"
            if is_all
            else f" [{_signed(low)}, {_signed(high)}] (95 % by group)"
        )
        if not row["is_reliable"]:
            count += f", of which {row['n_differing']} differ: with fewer than {ENOUGH_GROUPS} "
            return f"{text}, {count}the interval may be too narrow"
    return f"{text}, {count}, of which {row['n_differing']} differ"


def _signed(value: float) -> str:
    """Return a difference as reports write it, with its sign in ASCII."""
    return f"{'+' * (value > 0)}{format_difference(value)}"


def _range_of(runs: Sequence[Results], metric: str) -> tuple[float, float] | None:
    """Return the range of the metric, if a run has recorded it."""
    known = (results.meanings.metric(metric) for results in runs)
    return next((one.value_range for one in known if one is not None), None)


def _verdict(row: Mapping[str, Any], shown: str, options: Namespace, *, sign: int) -> int:
    """Print the difference and what follows from it; return the exit code."""
    print(shown)
    differing, margin, limit = row["n_differing"], options.margin, options.largest_fall
    if differing == 0:
        return 0
    fall = -sign * row["difference"]
    least = -row["high"] if sign > 0 else row["low"]  # of the falls in the interval
    by = f" by more than {format_difference(margin)}" if margin else ""
    if least > margin:
        print(f"new is worse{by}")
        return 1
    if limit is not None and fall > limit:
        largest = f"--largest-fall is {format_difference(limit)}"
        print(f"new is worse: the mean fell by {format_difference(fall)}, {largest}")
        return 1
    untested = row["n_groups"] < _NEEDED or (differing < _NEEDED and fall > margin)
    if untested and limit is None:
        raise SettingError(
            f"six groups or more must differ for a test to show a fall, got {differing} of "
            f"{row['n']} targets in {row['n_groups']} groups and a difference of "
            f"{_signed(row['difference'])}: no p below {format_difference(row['least_p'])} is "
            "possible; compare runs of more images, or give a limit of the mean with --largest-fall"
        )
    if untested:
        largest = f"--largest-fall is {format_difference(limit)}"
        print(f"new is not tested, for which {_NEEDED} groups must differ; {largest}")
    else:
        print(f"new is not shown to be worse{by}")
    return 0


def _check_truths(both: Results) -> None:
    """Check that most targets of the same name have the same truth, where it is recorded."""
    count, n = count_differing(both).get("truth", (0, 0))
    if 2 * count > n:
        raise SettingError(
            f"the truths of both runs must be the same, got others in {count} of {n} targets of "
            "the same name; compare runs of the same masks, and name samples by their files: names "
            "that count positions are of other images in another order"
        )


def _check_pairs(both: Results, row: Mapping[str, Any], *, allow: bool) -> None:
    """Check that the same targets have a score in both runs."""
    scores = both.to_pandas().groupby(["sample", "label"], observed=True, dropna=False)["value"]
    in_both, defined = scores.size() == 2, scores.count()
    if row["n"] == 0:
        raise SettingError(
            f"a target must have a score in both runs, got none of {len(defined)}, as all are "
            "undefined in one of them"
        )
    alone, undefined = int((~in_both).sum()), int((in_both & (defined == 1)).sum())
    if (alone or undefined) and not allow:
        raise SettingError(
            f"targets must be the same in both runs, got {alone} of {len(defined)} that are in one "
            f"run only, and {undefined} whose score is undefined in one run only; compare runs of "
            "the same images, or give --allow-unpaired to leave these targets out"
        )
    if undefined:
        print(
            f"note: {undefined} of {len(defined)} targets have a score in one run only; they are "
            "not compared",
            file=sys.stderr,
        )


def _print_notes(base: Results, new: Results, options: Namespace) -> None:
    """Print what the records of the runs say of their settings and weights."""
    notes = [
        f"{table.with_suffix('.json')} is missing, so settings and weights are not compared"
        for table in _tables_without_record(options)
    ]
    if differing := describe_differences(base, new):
        notes.append(f"the runs differ in {differing}")
    notes += _accuracies(base, new)
    if have_equal_weights(base, new):
        notes.append("both runs have the same weights")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _accuracies(base: Results, new: Results) -> list[str]:
    """Return a note on the share of right predictions, where both runs have labels."""
    shares = [_share_right(run) for run in (base, new)]
    if any(map(isnan, shares)) or not any(shares):  # none right: labels of other classes
        return []
    first, second = (format_percent(share).replace("\u00a0", " ") for share in shares)
    return [f"accuracy {first} and {second} (not tested)"]


def _share_right(results: Results) -> float:
    """Return the share of right predictions; NaN if it is not known, or of several labels."""
    samples = results.samples
    if samples["sample"].duplicated().any():  # several targets: those with an object
        samples = samples[samples["present"]]
    known = samples[["label", "predicted"]].dropna()
    if results.task == "multilabel" or known.empty:
        return nan
    return float((known["label"] == known["predicted"]).mean())


def _tables_without_record(options: Namespace) -> list[Path]:
    """Return the tables whose record, a file of the same name, is not there."""
    paths = [Path(path) for path in (options.base, options.new)]
    tables = [path / "results.csv" if path.is_dir() else path for path in paths]
    return [
        table
        for table in dict.fromkeys(tables)
        if table.is_file() and not table.with_suffix(".json").exists()
    ]


def _read(path: str, options: Namespace) -> Results:
    """Read the one column of one model that is compared."""
    if not Path(path).exists():
        raise DataError(
            f"{path} must be the folder of a run or a file results.csv, got no such file or folder"
        )
    reader = Results.load if Path(path).is_dir() else Results.from_csv
    results = reader(path)
    results = results.select(kind="method")
    models = _models(results)
    if options.model is not None:
        _check_word("model", options.model, models, path)
        results = results.select(model=options.model)
    elif len(models) > 1:
        columns = tuple(one for one in results.columns if one.metric == options.metric)
        labels = {field: _labels(columns, field) for field in ("method", "binarizer")}
        fixed = "".join(f", {k}={one[0]!r}" for k, one in labels.items() if len(one) > 1)
        raise SettingError(
            f"{path} must hold one model, got {', '.join(models)}; choose one with --model. Models "
            f"of one run are compared in Python: Results.{reader.__name__}({path!r}).compare("
            f"{options.metric!r}, over='model'{fixed})"
        )
    wanted = {"metric": options.metric} | {field: getattr(options, field) for field in _OF_MAPS}
    for field, one in wanted.items():
        if one is not None:
            _check_word(field, one, _labels(results.columns, field), path)
            results = results.select(**{field: one})
    for field, what in _OF_MAPS.items():
        several = _labels(results.columns, field)
        if len(several) > 1:
            raise SettingError(
                f"{path} must have one {what}, got {', '.join(several)}; choose one with "
                f"{_option(field)}"
            )
    return results


def _check_columns(base: Results, new: Results, options: Namespace) -> None:
    """Check that the maps and masks of both runs were made in the same way."""
    for field, what in _OF_MAPS.items():
        (one,), (other,) = (_labels(results.columns, field) for results in (base, new))
        if one != other:
            option = "--classes" if field == "target_class" else _option(field)
            raise SettingError(
                f"both runs must have the same {what}, got {one or 'none'} in {options.base} and "
                f"{other or 'none'} in {options.new}; compare runs of the same {option} of "
                "`cameval evaluate`"
            )


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _check_word(field: str, one: str, known: Sequence[str], path: str) -> None:
    """Check that a run has a label of this name."""
    if one not in known:
        listed = ", ".join(filter(None, known)) or "none"
        hint = ""
        if (field, one) == ("metric", "accuracy"):
            hint = "; the accuracy of two runs with labels is in a note, it is not tested"
        raise SettingError(
            f"{_option(field)} must be one of {listed} in {path}, got {one!r}; near names: "
            f"{list_near_words(one, known)}{hint}"
        )


def _labels(columns: tuple[Column, ...], field: str) -> list[str]:
    return list(dict.fromkeys(str(getattr(column, field)) for column in columns))


def _models(results: Results) -> list[str]:
    return list(dict.fromkeys(results.samples["model"].astype(str)))


def _direction(runs: Sequence[Results], options: Namespace) -> bool:
    """Return whether more is better: a run that has not recorded it takes it from the other."""
    for results in runs:
        meaning = results.meanings.metric(options.metric)
        if meaning is not None and meaning.higher_is_better is not None:
            return meaning.higher_is_better
    missing = [
        f"; {table.with_suffix('.json').name} is missing beside {table}; copy it too"
        for table in _tables_without_record(options)
    ]
    raise SettingError(
        f"--metric must say whether more is better, got {options.metric!r}, of which it is not "
        f"known{''.join(missing)}"
    )
