"""Make the runs of the brain-tumor study that the documentation shows, and write its tables.

``run`` makes the runs of ``study/catalog.py``, one after another; a run that was interrupted
continues. ``pages`` writes the tables, quoted numbers and pictures of the documentation from the
runs that are there::

    python examples/study_runs.py run --data DIR --weights WEIGHTS --runs runs
    python examples/study_runs.py pages --runs runs
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import brain_tumor_study
from PIL import Image
from study import rst
from study.catalog import RUNS
from study.charts import draw_charts

DOCS = Path(__file__).parents[1] / "docs"


def make_runs(names: Sequence[str], data: str, weights: str, runs: str) -> int:
    """Make runs in their order; return the exit status of the first that fails."""
    for planned in RUNS.values():
        if planned.name in (names or RUNS):
            print(f"\n{planned.name}: {planned.title}\n$ {rst.command(planned)}", flush=True)
            if status := brain_tumor_study.main(planned.arguments(data, weights, runs)):
                return status
    return 0


def write_pages(runs: Path, docs: Path) -> None:
    """Write the tables, the quoted numbers and the pictures."""
    (docs / "study_tables.rst").write_text(rst.tables_page(runs))
    text = (docs / "study.rst").read_text()
    (docs / "study_numbers.txt").write_text(rst.numbers_file(runs, text))
    draw_charts(runs, docs / "images")
    for picture in (runs / "slice" / "figures").glob("paper-figure-*.png"):
        place = docs / "images" / f"study-{picture.stem}.jpg"
        Image.open(picture).convert("RGB").save(place, quality=88)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    kinds = parser.add_subparsers(dest="kind", required=True)
    run = kinds.add_parser("run", help="make runs")
    run.add_argument("names", nargs="*", choices=[*RUNS, []], metavar="RUN", help="all, or these")
    run.add_argument("--data", required=True, metavar="DIR", help="folder of the .mat files")
    run.add_argument("--weights", required=True, metavar="DIR", help="folder of the weights")
    pages = kinds.add_parser("pages", help="write the tables of the documentation")
    pages.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="where to write")
    for one in (run, pages):
        one.add_argument("--runs", default="runs", metavar="DIR", help="where the runs are (runs)")
    given = parser.parse_args(arguments)
    if given.kind == "run":
        return make_runs(given.names, given.data, given.weights, given.runs)
    write_pages(Path(given.runs), given.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
