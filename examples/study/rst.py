"""Pages of the documentation, written from what is kept of the runs."""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from cameval.errors import DataError
from cameval.report import format_interval, format_p
from cameval.report import format_number as number
from cameval.statistics import paired_tests
from study.catalog import COMPARED_AT, COMPARISONS, RUNS, SEEDS, Maps, PlannedRun
from study.quotes import QUOTES, Quote
from study.records import has_tables, read_ious, read_table
from study.tables import MINUS

INTERVAL = re.compile(r" \[[^\]]*\]")
NEGATIVE = re.compile(r"(?<![^\s\[(])-(?=\.?\d)")
COUNTS = re.compile(r" \((\d+/\d+|[^)]* of all [^)]*)\)")
GENERATED = ".. Written by examples/study_runs.py from the results; do not edit.\n"
LEAD = """\
All tables of the runs that :doc:`study` is about, as the runs wrote them. ``python
examples/study_runs.py run`` makes the runs, with the commands below: ``DIR`` holds the slices,
``WEIGHTS`` the files of weights. ``keep`` copies their tables to ``docs/study_runs``, from which
``pages`` writes this page. In brackets: 95 % intervals by patient, in the runs of which the
patients are known. Those of differences agree with p, which is corrected by Holm's method for the
number of tests that a table names, or for the tests of the table: the same pair can have another p
in a table of other tests.
"""
COMPARED = """\
IoU of the class activation maps of two runs, on the same slices. Sign-flip tests of whole patients;
each p is corrected by Holm's method for the tests of this table, and each interval agrees with its
p.
"""
OF_SEEDS = """\
Each seed has other folds and another training. The tests are of the same slices, and each p is
corrected for the tests of its own run.
"""


# --- Both files -----------------------------------------------------------------------------------


def tables_page(records: Path) -> str:
    """Return the page with all tables of the runs that are kept."""
    present = [one for one in RUNS.values() if has_tables(records, one.name)]
    missing = [one.title for one in RUNS.values() if one not in present]
    parts = [GENERATED, heading("Tables of the study", "="), LEAD]
    if len(compared := comparisons(records)):
        parts += [heading("Runs compared", "-"), COMPARED, table(compared, "Differences of IoU")]
    if len(of_seeds := seeds(records)):
        parts += [heading("Seeds", "-"), table(of_seeds, "The same study with other seeds")]
        parts += [OF_SEEDS, table(tests_by_seed(records), "Paired tests with three seeds")]
    for one in present:
        parts += [heading(one.title, "-"), *_of_run(one, records / one.name)]
    if missing:
        parts += [heading("Not run", "-"), *(f"- {title}" for title in missing), ""]
    return "\n".join(parts)


def numbers_file(records: Path, text: str) -> str:
    """Return the numbers that a text quotes, as substitutions, of the runs that are kept."""
    used = {" ".join(name.split()) for name in re.findall(r"\|([^|]+)\|", text)}

    @cache
    def frame_of(run: str | None, table: str) -> pd.DataFrame:
        return quoted_table(records, run, table)

    lines = [
        f".. |{name}| replace:: {cell_of(frame_of(quote.run, quote.table), quote)}\n"
        for name, quote in QUOTES.items()
        if name in used and (quote.run is None or has_tables(records, quote.run))
    ]
    return "".join([f"{GENERATED}\n", *lines])


def quoted_table(records: Path, run: str | None, table: str) -> pd.DataFrame:
    """Return a table of a run, or of all runs.

    Intervals are of runs alone of which all patients are known.
    """
    if run is None:
        return OF_RUNS[table](records)
    frame = read_table(records / run, table)
    return frame if RUNS[run].intervals else without_intervals(frame)


def cell_of(frame: pd.DataFrame, quote: Quote) -> str:
    """Return a cell of a table without counts, and without its interval unless it is asked for."""
    rows = frame[(frame[list(quote.row)] == list(quote.row.values())).all(axis=1)]
    if len(rows) != 1 or quote.column not in frame:
        raise DataError(f"{quote} must be one cell, got {len(rows)} rows")
    text = COUNTS.sub("", str(rows[quote.column].iloc[0]))
    if quote.column == "p":
        return with_p(text)
    return NEGATIVE.sub(MINUS, text if quote.interval else INTERVAL.sub("", text))


# --- Runs -----------------------------------------------------------------------------------------


def _of_run(planned: PlannedRun, folder: Path) -> Iterator[str]:
    yield f".. code-block:: console\n\n   $ {_wrapped(command(planned))}\n"
    for name, caption in json.loads((folder / "tables" / "captions.json").read_text()).items():
        frame = read_table(folder, name)
        yield table(frame if planned.intervals else without_intervals(frame), caption)


def command(planned: PlannedRun) -> str:
    """Return the command of a run, as a reader would type it."""
    arguments = planned.arguments("DIR", "WEIGHTS", "runs")
    arguments.remove("--resume")
    return shlex.join(["python", "examples/brain_tumor_study.py", *arguments])


def _wrapped(line: str) -> str:
    """Break a command before options."""
    lines = wrap(line, 80, break_long_words=False, break_on_hyphens=False)
    return " \\\n         ".join(lines)


def without_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without intervals and p values."""
    tested = ("p", "p uncorrected", "confidence", "tests", "family", "patients")
    kept = [column for column in frame.columns if column not in tested]
    return frame[kept].map(lambda cell: INTERVAL.sub("", cell))


def comparisons(records: Path) -> pd.DataFrame:
    """Return the difference of each pair of runs that are there, as one family of tests."""
    titles: list[tuple[str, str, str]] = []
    values: dict[str, Any] = {}
    patients: Any = None
    for first, second in COMPARISONS:
        one, other = (read_ious(records, maps) for maps in (first, second))
        if one is None or other is None:
            continue
        if not one.index.equals(other.index) or not (patients is None or len(patients) == len(one)):
            names = f"{first.run} and {second.run}"
            raise DataError(f"{names} must have the same slices, got others")
        patients = one["patient"].to_numpy(str)
        for binarizer in COMPARED_AT:
            values[str(len(titles))] = (one[binarizer] - other[binarizer]).to_numpy(float)
            titles.append((first.title, second.title, binarizer))
    if not titles:
        return pd.DataFrame()
    values["zero"] = np.zeros(len(patients))
    tests = paired_tests(values, patients, reference="zero")
    return pd.DataFrame(
        {
            "first": first,
            "second": second,
            "threshold": binarizer,
            "difference": f"{number(test.difference)} "
            + format_interval(test.low_holm, test.high_holm),
            "p": format_p(test.p_holm),
            "patients": str(test.n_groups),
        }
        for (first, second, binarizer), test in zip(titles, tests, strict=True)
    )


def seeds(records: Path) -> pd.DataFrame:
    """Return accuracy and IoU of each seed, and their mean and standard deviation."""
    read = {run: read_ious(records, Maps(run)) for run in SEEDS}
    found = {run: table for run, table in read.items() if table is not None}
    if len(found) < 2:
        return pd.DataFrame()
    titles = {"right": "accuracy"} | {one: f"IoU, {one}" for one in COMPARED_AT}
    rows = []
    for column, title in titles.items():
        means = {run: float(table[column].mean()) for run, table in found.items()}
        row = {"measure": title} | {RUNS[run].title: number(value) for run, value in means.items()}
        spread = {"mean": mean(means.values()), "sd": stdev(means.values())}
        rows.append(row | {name: number(value) for name, value in spread.items()})
    return pd.DataFrame(rows)


def tests_by_seed(records: Path) -> pd.DataFrame:
    """Return difference and p of each paired test, a column for each seed."""
    pair, found = ["comparison", "metric"], [run for run in SEEDS if has_tables(records, run)]
    tests = {run: read_table(records / run, "tests").set_index(pair) for run in found}
    cells = {
        f"seed {SEEDS.index(run)}": of_run["difference"] + "; " + of_run["p"].map(with_p)
        for run, of_run in tests.items()
    }
    return pd.DataFrame(cells).reset_index()


def with_p(text: str) -> str:
    """Return a p value as a sentence has it.

    Examples
    --------
    >>> with_p(".014"), with_p("< .001")
    ('p = .014', 'p < .001')
    """
    return f"p {text}" if text.startswith("<") else f"p = {text}"


OF_RUNS = {"comparisons": comparisons, "seeds": seeds}


# --- reStructuredText -----------------------------------------------------------------------------


def heading(title: str, mark: str) -> str:
    """Return a heading."""
    return f"{title}\n{mark * len(title)}\n"


def table(frame: pd.DataFrame, caption: str) -> str:
    """Return a table with a caption."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([escape(str(column)) or "\\ " for column in frame.columns])
    writer.writerows([escape(str(cell)) or "\\ " for cell in row] for row in frame.to_numpy())
    lines = "".join(f"   {line}\n" for line in text.getvalue().splitlines())
    return f".. csv-table:: {escape(caption)}\n   :header-rows: 1\n   :class: study\n\n{lines}"


def escape(text: str) -> str:
    """Return text in which no character is markup, and negative numbers have a minus sign."""
    return re.sub(r"([\\*`|]|_(?=\W|$))", r"\\\1", NEGATIVE.sub(MINUS, text))
