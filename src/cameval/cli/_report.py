"""The report of a run: its pictures and its page, and the command ``report``."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cameval.cli._group_name import names_given
from cameval.cli._inputs import is_file
from cameval.cli._tables import print_verdict
from cameval.errors import DataError, MissingPackageError, SettingError
from cameval.evaluation import Preparation, Results
from cameval.protocols import Binarizer

MOST_IN_FOLDER, MOST_IN_PAGE = 5000, 100
"""The most images of a report with its folder, if no number is asked for, and of a single file."""


def rewrite_report(options: Namespace) -> int:
    """Write the report of the results.csv in a folder."""
    report = import_report()
    folder = Path(options.folder)
    if not is_file(folder / "results.csv"):
        raise DataError(
            f"{folder / 'results.csv'} must be the table of a finished run, got no such file; name "
            "the --out of the run"
        )
    results = Results.from_csv(folder / "results.csv")
    facts = None if options.facts is None else report.StudyFacts.read(options.facts)
    if options.report_images is not None:
        if options.report_images != 0:
            raise SettingError(
                f"--report-images must be 0, got {options.report_images}; the images are drawn by "
                "cameval evaluate and cameval score, which have them"
            )
        remove_images(folder)
    single_file = options.report_single_file
    if options.report_images is None and report.unpack_pictures(folder):
        single_file = True  # as it was
    labels = _labels_of_page(folder, results)
    names = names_given(options) or _names_of_page(folder)
    page = report.write_report(
        results,
        folder,
        title=options.title,
        facts=facts,
        single_file=single_file,
        names=names,
        **labels,
    )
    print_verdict(results, **labels, names=names)
    print(f"report  {page}")
    return 0


def _labels_of_page(folder: Path, results: Results) -> dict[str, str]:
    """Return the binarizer and the method with which the page in a folder was written, if any."""
    file, tuning = folder / "reviewers.json", _values_of_page(folder, "tuning")
    written = {name: tuning.get(f"fixed_{name}") for name in ("binarizer", "method")}
    kept = {name: str(label) for name, label in written.items() if label is not None}
    for name, label in kept.items():
        known = {getattr(column, name) for column in results.columns}
        if label not in known:
            raise DataError(
                f"{folder / 'report.html'} was written with {name}={label!r}, which the scores of "
                f"{folder / 'results.csv'} must have, got {', '.join(sorted(known - {''}))}; write "
                "the page in Python, by write_report(..., facts=StudyFacts.read(file)), or delete "
                f"{file} for a page of these scores"
            )
    return kept


def _names_of_page(folder: Path) -> dict[str, str]:
    """Return the words of the user with which the page in a folder was written, if any."""
    nouns = _values_of_page(folder, "intervals").get("nouns")
    known = nouns if isinstance(nouns, dict) else {}
    return {noun: word for noun, word in known.items() if isinstance(word, str)}


def _values_of_page(folder: Path, question: str) -> Mapping[str, Any]:
    """Return the values of an answer for reviewers; none of what is not of a report."""
    file = folder / "reviewers.json"
    if not is_file(file):
        return {}
    try:
        values = json.loads(file.read_text("utf-8"))["answers"][question]["values"]
    except (ValueError, LookupError, TypeError):
        return {}
    return values if isinstance(values, dict) else {}


def count_images(options: Namespace) -> int:
    """Return the most images that the report shows."""
    asked = options.report_images
    if asked is None:
        return MOST_IN_PAGE if options.report_single_file else MOST_IN_FOLDER
    if asked < 0:
        raise SettingError(f"--report-images must be at least 0, got {asked}")
    if options.report_single_file and asked > MOST_IN_PAGE:
        raise SettingError(
            f"--report-images must be at most {MOST_IN_PAGE} with --report-single-file, got "
            f"{asked}; leave out one of the two"
        )
    return int(asked)


def draw_images(
    results: Results,
    dataset: Any,
    net: nn.Module | None,
    prepare: Preparation,
    options: Namespace,
    binarizers: Mapping[str, Binarizer],
    **source: Any,
) -> None:
    """Draw the images of a network or of maps, with the binarizers of the table."""
    limit = count_images(options)
    if limit == 0:
        return
    used = {column.binarizer for column in results.columns}
    import_report().draw_images(
        results,
        dataset,
        net,
        Path(options.out),
        binarizers={label: one for label, one in binarizers.items() if label in used},
        prepare=prepare,
        limit=limit,
        **source,
    )


def remove_images(folder: Path) -> None:
    """Remove the pictures of an earlier run."""
    nothing: dict[str, Any] = {"methods": {}, "binarizers": {}, "limit": 0}
    import_report().draw_images(None, (), None, folder, **nothing)


def write_report(results: Results, options: Namespace, **labels: str | None) -> None:
    """Write the page; the labels are those of the binarizer and the method that it is about."""
    folder, single_file = Path(options.out), options.report_single_file
    names = names_given(options)
    import_report().write_report(results, folder, single_file=single_file, names=names, **labels)


def import_report(more: str = "") -> ModuleType:
    """Return the module of reports; `more` is what else helps where a package is missing."""
    from cameval import report

    try:
        _ = report.write_report  # needs the packages of the report
    except MissingPackageError as error:
        raise MissingPackageError(f"{error}{more}") from error
    return report
