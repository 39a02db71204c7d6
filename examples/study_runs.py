"""Make the runs of the brain-tumor study that the documentation shows, and write its tables.

``run`` makes the runs of ``study/catalog.py``, one after another; a run that was interrupted
continues. ``keep`` copies the tables of finished runs, and the IoU of each slice, to the
documentation. ``pages`` writes tables, quoted numbers and charts of the documentation from what is
kept::

    python examples/study_runs.py run --data DIR --weights WEIGHTS --runs runs
    python examples/study_runs.py keep --runs runs
    python examples/study_runs.py pages
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import brain_tumor_study
from PIL import Image
from study import records, rst
from study.catalog import RUNS
from study.charts import draw_charts

DOCS, RECORDS = Path(__file__).parents[1] / "docs", "study_runs"


def make_runs(names: Sequence[str], data: str, weights: str, runs: str) -> int:
    """Make runs in their order; return the exit status of the first that fails."""
    for planned in RUNS.values():
        if planned.name in (names or RUNS):
            print(f"\n{planned.name}: {planned.title}\n$ {rst.command(planned)}", flush=True)
            if status := brain_tumor_study.main(planned.arguments(data, weights, runs)):
                return status
    return 0


def keep_runs(runs: Path, docs: Path) -> None:
    """Copy what the documentation shows of the runs that are finished."""
    records.keep(runs, docs / RECORDS)
    (docs / "images").mkdir(exist_ok=True)
    for picture in (runs / "slice" / "figures").glob("paper-figure-*.png"):
        place = docs / "images" / f"study-{picture.stem}.jpg"
        Image.open(picture).convert("RGB").save(place, quality=88)


def write_pages(docs: Path) -> None:
    """Write the tables, the quoted numbers and the charts."""
    kept, text = docs / RECORDS, (docs / "study.rst").read_text()
    (docs / "study_tables.rst").write_text(rst.tables_page(kept))
    (docs / "study_numbers.txt").write_text(rst.numbers_file(kept, text))
    draw_charts(kept, docs / "images")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    kinds = parser.add_subparsers(dest="kind", required=True)
    run = kinds.add_parser("run", help="make runs")
    run.add_argument("names", nargs="*", choices=[*RUNS, []], metavar="RUN", help="all, or these")
    run.add_argument("--data", required=True, metavar="DIR", help="folder of the .mat files")
    run.add_argument("--weights", required=True, metavar="DIR", help="folder of the weights")
    keep = kinds.add_parser("keep", help="copy the tables of runs to the documentation")
    pages = kinds.add_parser("pages", help="write the pages of the documentation")
    for one in (run, keep):
        one.add_argument("--runs", default="runs", metavar="DIR", help="where the runs are (runs)")
    for one in (keep, pages):
        one.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="where to write")
    given = parser.parse_args(arguments)
    if given.kind == "run":
        return make_runs(given.names, given.data, given.weights, given.runs)
    if given.kind == "keep":
        keep_runs(Path(given.runs), given.docs)
    else:
        write_pages(given.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
