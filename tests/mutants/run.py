"""Apply each fault to a copy of the library, and count how many of them the tests catch.

Run ``make mutants``, or ``PYTHONPATH=tests python -m mutants.run --only metrics``. The working tree
is not changed. A fault is caught if one of its tests fails. If none does, all tests of its area and
the examples of its module run too.
"""

import argparse
import compileall
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import Queue
from time import perf_counter

from mutants.fault import AREAS, Fault
from mutants.faults import FAULTS

ROOT = Path(__file__).parents[2]
LEAST_SHARE = 0.95
"""The share of the faults that must be caught; explained ones do not count."""
SECONDS = 600
"""Tests that take longer have failed: with some faults a loop does not end."""
PASSED, NOT_COLLECTED, CANNOT_RUN = 0, 2, 3


@dataclass(frozen=True)
class Outcome:
    """A fault, how long its tests took, and the test that failed, if any."""

    fault: Fault
    seconds: float
    failed: str | None

    @property
    def caught(self) -> bool:
        """Whether a test failed."""
        return self.failed is not None

    def __str__(self) -> str:
        word = "caught" if self.caught else "explained" if self.fault.explained else "SURVIVED"
        by = f"  {self.failed}" if self.failed else ""
        return f"{word:9} {self.seconds:6.1f} s  {self.fault.area}: {self.fault.name}{by}"


class Copy:
    """A copy of the library's source to which one fault at a time is applied."""

    def __init__(self, folder: Path) -> None:
        self.source, self.compiled = folder / "src", folder / "compiled"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", self.source, ignore=ignored)
        # Compiled files are checked by contents: a fault may keep the size and the second.
        mode = PycInvalidationMode.CHECKED_HASH
        sys.pycache_prefix = str(self.compiled)
        compileall.compile_dir(self.source, quiet=1, invalidation_mode=mode)

    @contextmanager
    def apply(self, fault: Fault) -> Iterator[Path]:
        """Apply a fault to its file, and restore the file at the end."""
        file = self.source / "cameval" / fault.path
        text = file.read_text(encoding="utf-8")
        if text.count(fault.before) != 1:
            raise SystemExit(f"{fault.name}: {fault.before!r} must occur once in {fault.path}")
        file.write_text(text.replace(fault.before, fault.after), encoding="utf-8")
        try:
            yield file
        finally:
            file.write_text(text, encoding="utf-8")

    def first_failure(self, tests: Sequence[str]) -> str | None:
        """Run tests with this copy, and return the name of the first that fails."""
        log = self.source.parent / "log"
        process = _FORKS.Process(target=_run_tests, args=(self, tests, log))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            return f"no test within {SECONDS} s"
        if process.exitcode > NOT_COLLECTED:
            raise SystemExit(f"{' '.join(tests)} cannot be run: {log.read_text()[-2000:]}")
        if process.exitcode == PASSED:
            return None
        found = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(.*?)(?: - |$)", log.read_text(), re.M)
        return found[1] if found else "the process"


_FORKS = multiprocessing.get_context("forkserver")
_LIBRARIES = ("matplotlib.pyplot", "pandas", "scipy.stats", "skimage.filters", "torchvision")
_FORKS.set_forkserver_preload([*_LIBRARIES])
"""Each run is a process in which the imports of cameval have been made already."""


def _run_tests(copy: Copy, tests: Sequence[str], log: Path) -> None:
    """Run pytest in this process, and exit with its status."""
    import pytest

    os.chdir(ROOT)
    multiprocessing.set_start_method(None, force=True)  # as in a process that was not forked
    os.environ |= {"PYTHONPATH": str(copy.source), "PYTHONPYCACHEPREFIX": str(copy.compiled)}
    sys.pycache_prefix = str(copy.compiled)
    sys.path.insert(0, str(copy.source))
    code = CANNOT_RUN
    with log.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        try:
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
        except Exception:
            traceback.print_exc()
    sys.exit(code)


def paths_of(names: Iterable[str]) -> list[str]:
    """Return the paths of test files, folders and single tests as arguments of pytest."""
    return [f"tests/{name}" for name in names]


def judge(fault: Fault, copy: Copy, *, quick: bool) -> Outcome:
    """Apply a fault, and run its tests and, if none fails, those of its area."""
    start = perf_counter()
    with copy.apply(fault) as file:
        failed = copy.first_failure(paths_of(fault.tests))
        if failed is None and not (fault.explained or quick):
            more = sorted({*AREAS[fault.area]} - {*fault.tests})
            failed = copy.first_failure([*paths_of(more), str(file)])
    return Outcome(fault, perf_counter() - start, failed)


def select(only: Sequence[str]) -> list[Fault]:
    """Return the faults of these names or areas; all if none is given."""
    known = {fault.name for fault in FAULTS} | {*AREAS}
    if strange := [word for word in only if word not in known]:
        raise SystemExit(f"--only must name faults or areas, got {', '.join(strange)}")
    return [fault for fault in FAULTS if not only or {fault.name, fault.area} & {*only}]


def table_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of a table: how many faults of each area were caught."""
    yield f"{'area':14}{'faults':>8}{'caught':>8}{'explained':>11}"
    for area in dict.fromkeys(outcome.fault.area for outcome in outcomes):
        yield _row(area, [outcome for outcome in outcomes if outcome.fault.area == area])
    yield _row("all", outcomes)


def _row(title: str, outcomes: Sequence[Outcome]) -> str:
    caught = sum(outcome.caught for outcome in outcomes)
    explained = sum(bool(o.fault.explained) and not o.caught for o in outcomes)
    return f"{title:14}{len(outcomes):8}{caught:8}{explained:11}"


def main() -> int:
    """Judge all faults, print a table, and return 1 if too few were caught."""
    parser = argparse.ArgumentParser(description=__doc__, prog="mutants")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="faults or areas")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="parallel processes (1)")
    parser.add_argument(
        "--check", action="store_true", help="first run the tests without a fault: they must pass"
    )
    parser.add_argument("--quick", action="store_true", help="run only the tests of each fault")
    parser.add_argument(
        "--list", action="store_true", help="print the names of the faults and exit"
    )
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    faults = select(options.only)
    if options.list:
        print("\n".join(f"{fault.area:12} {fault.name}" for fault in faults))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Copy] = Queue()
        for number in range(options.jobs):
            copies.put(Copy(Path(folder) / str(number)))
        if options.check:
            _check_without_a_fault(faults, copies)

        def judge_one(fault: Fault) -> Outcome:
            copy = copies.get()
            try:
                outcome = judge(fault, copy, quick=options.quick)
            finally:
                copies.put(copy)
            print(outcome, flush=True)
            return outcome

        with ThreadPoolExecutor(options.jobs) as pool:
            outcomes = list(pool.map(judge_one, faults))
    print("\n".join(table_lines(outcomes)))
    counted = [outcome for outcome in outcomes if outcome.caught or not outcome.fault.explained]
    share = sum(outcome.caught for outcome in counted) / max(1, len(counted))
    print(f"{100 * share:.1f} % caught in {sum(o.seconds for o in outcomes):.0f} s")
    return 0 if share >= LEAST_SHARE else 1


def _check_without_a_fault(faults: Sequence[Fault], copies: "Queue[Copy]") -> None:
    """Run all tests of the faults once without a fault: they must pass."""
    copy = copies.get()
    tests = sorted({name for fault in faults for name in fault.tests})
    if failed := copy.first_failure(paths_of(tests)):
        raise SystemExit(f"the tests must pass without a fault, got a failure of {failed}")
    copies.put(copy)


if __name__ == "__main__":
    sys.exit(main())
