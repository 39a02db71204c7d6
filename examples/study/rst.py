"""Pages of the documentation, written from the tables of runs."""

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
from study.evaluation import MAP, P95, VALIDATED
from study.quotes import QUOTES, Quote

INTERVAL = re.compile(r" \[[^\]]*\]")
COUNTS = re.compile(r" \((\d+/\d+|[^)]* of all [^)]*)\)")
GENERATED = ".. Written by examples/study_runs.py from the results; do not edit.\n"
LEAD = """\
All tables of the runs that :doc:`study` is about, as the runs wrote them. ``python
examples/study_runs.py run`` makes the runs, with the commands below: ``DIR`` holds the slices,
``WEIGHTS`` the files of weights. In brackets: 95 % intervals by patient, in the runs of which the
patients are known.
"""
COMPARED = """\
IoU of the class activation maps of two runs, on the same slices. Sign-flip tests of whole patients;
each p is corrected by Holm's method for the tests of this table, and each interval agrees with its
p.
"""


# --- Both files -----------------------------------------------------------------------------------


def tables_page(runs: Path) -> str:
    """Return the page with all tables of the runs that are there."""
    present = [one for one in RUNS.values() if (runs / one.name / "tables").exists()]
    missing = [one.title for one in RUNS.values() if one not in present]
    parts = [GENERATED, heading("Tables of the study", "="), LEAD]
    if compared := list(comparisons(runs)):
        parts += [heading("Runs compared", "-"), COMPARED]
        parts += [table(pd.DataFrame(compared), "Differences of IoU")]
    if seeds := list(seed_rows(runs)):
        parts += [
            heading("Seeds", "-"),
            table(pd.DataFrame(seeds), "The same study with other seeds"),
        ]
    for one in present:
        parts += [heading(one.title, "-"), *_of_run(one, runs / one.name)]
    if missing:
        parts += [heading("Not run", "-"), *(f"- {title}" for title in missing), ""]
    return "\n".join(parts)


def numbers_file(runs: Path, text: str) -> str:
    """Return the numbers that a text quotes, as substitutions, of the runs that are there."""
    used = {" ".join(name.split()) for name in re.findall(r"\|([^|]+)\|", text)}

    @cache
    def frame_of(run: str | None, table: str) -> pd.DataFrame:
        return quoted_table(runs, run, table)

    lines = [
        f".. |{name}| replace:: {cell_of(frame_of(quote.run, quote.table), quote)}\n"
        for name, quote in QUOTES.items()
        if name in used and (quote.run is None or (runs / quote.run / "tables").exists())
    ]
    return "".join([f"{GENERATED}\n", *lines])


def quoted_table(runs: Path, run: str | None, table: str) -> pd.DataFrame:
    """Return a table of a run, or of all runs.

    Intervals are of runs alone of which all patients are known.
    """
    if run is None:
        return pd.DataFrame(OF_RUNS[table](runs))
    frame = read_table(runs / run, table)
    return frame if RUNS[run].intervals else without_intervals(frame)


def cell_of(frame: pd.DataFrame, quote: Quote) -> str:
    """Return a cell of a table without counts, and without its interval unless it is asked for."""
    rows = frame[(frame[list(quote.row)] == list(quote.row.values())).all(axis=1)]
    if len(rows) != 1 or quote.column not in frame:
        raise DataError(f"{quote} must be one cell, got {len(rows)} rows")
    text = COUNTS.sub("", str(rows[quote.column].iloc[0]))
    if quote.column == "p":
        return f"p {text}" if text.startswith("<") else f"p = {text}"
    return text if quote.interval else INTERVAL.sub("", text)


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


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of a run, all cells as text."""
    return pd.read_csv(folder / "tables" / f"{name}.csv", dtype=str, keep_default_na=False)


def without_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without intervals and p values."""
    kept = [column for column in frame.columns if column not in ("p", "tests", "patients")]
    return frame[kept].map(lambda cell: INTERVAL.sub("", cell))


def title_of(maps: Maps) -> str:
    """Return the title of a run, and the network if the run has several."""
    return RUNS[maps.run].title + (f": {maps.network}" if maps.network else "")


def iou_of(runs: Path, maps: Maps, binarizer: str) -> pd.DataFrame | None:
    """Return the IoU of class activation maps on each slice of a run, if it is there."""
    file = runs / maps.run / "scores.csv"
    if not file.exists():
        return None
    frame = pd.read_csv(file, dtype={"sample": str, "group": str})
    chosen = {"method": MAP, "binarizer": binarizer, "metric": "iou"}
    if maps.network is not None:
        chosen["model"] = maps.network
    rows = frame[(frame[list(chosen)] == list(chosen.values())).all(axis=1)]
    return rows.set_index("sample").sort_index()


def comparisons(runs: Path) -> Iterator[dict[str, str]]:
    """Yield the difference of each pair of runs that are there, as one family of tests."""
    titles: list[tuple[str, str, str]] = []
    values: dict[str, Any] = {}
    groups: Any = None
    for first, second in COMPARISONS:
        for binarizer in COMPARED_AT:
            one, other = (iou_of(runs, maps, binarizer) for maps in (first, second))
            if one is None or other is None:
                continue
            if not one.index.equals(other.index) or (
                groups is not None and len(groups) != len(one)
            ):
                names = f"{first.run} and {second.run}"
                raise DataError(f"{names} must have the same slices, got others")
            groups = one["group"].to_numpy(str)
            values[str(len(titles))] = (one["value"] - other["value"]).to_numpy(float)
            titles.append((title_of(first), title_of(second), binarizer))
    if not titles:
        return
    values["zero"] = np.zeros(len(groups))
    for (one_title, other_title, binarizer), test in zip(
        titles, paired_tests(values, groups, reference="zero"), strict=True
    ):
        interval = format_interval(test.low_holm, test.high_holm)
        yield {
            "first": one_title,
            "second": other_title,
            "threshold": binarizer,
            "difference": f"{number(test.difference)} {interval}",
            "p": format_p(test.p_holm),
            "patients": str(test.n_groups),
        }


def seed_rows(runs: Path) -> Iterator[dict[str, str]]:
    """Yield accuracy and IoU of each seed, and their mean and standard deviation."""
    found: dict[str, list[float]] = {"accuracy": [], VALIDATED: [], P95: []}
    seeds = [run for run in SEEDS if (runs / run / "scores.csv").exists()]
    for run in seeds:
        predictions = pd.read_csv(runs / run / "predictions.csv")
        found["accuracy"].append(float((predictions["label"] == predictions["predicted"]).mean()))
        for binarizer in (VALIDATED, P95):
            scores = iou_of(runs, Maps(run), binarizer)
            found[binarizer].append(
                float("nan") if scores is None else float(scores["value"].mean())
            )
    titles = {"accuracy": "accuracy", VALIDATED: f"IoU, {VALIDATED}", P95: f"IoU, {P95}"}
    for key, values in found.items():
        if len(values) > 1:
            row = {
                "": titles[key],
                **{RUNS[run].title: number(v) for run, v in zip(seeds, values, strict=True)},
            }
            yield row | {"mean": number(mean(values)), "sd": number(stdev(values))}


OF_RUNS = {"comparisons": comparisons, "seeds": seed_rows}


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
    """Return text in which no character is markup."""
    return re.sub(r"([\\*`|]|_(?=\W|$))", r"\\\1", text)
