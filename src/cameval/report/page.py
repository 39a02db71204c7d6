"""`write_report`: the sections of the page, in order, and the writing of its files."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from cameval.errors import SettingError
from cameval.evaluation import Results
from cameval.evaluation._run_folder import write_atomically
from cameval.report._answers import Known
from cameval.report._browser import make_browser
from cameval.report._caveats import caveats, describe_limits, describe_run
from cameval.report._class_tables import class_table, correctness_table, target_class_table
from cameval.report._contents import contents_of, targets_of
from cameval.report._figures import draw_figures
from cameval.report._files import make_folder, write_bytes
from cameval.report._findings import findings
from cameval.report._headline import MOST_MODELS, headline_of
from cameval.report._info_tables import info_section
from cameval.report._label_tables import means_table, positives_table
from cameval.report._names import Names, names_of, one_line, replace_unprintable
from cameval.report._negatives import negatives_section
from cameval.report._run_settings import (
    constant_table,
    list_rules,
    list_settings,
    undefined_table,
)
from cameval.report._sanity_section import sanity_section
from cameval.report._score_tables import category_table, main_table, map_table, other_table
from cameval.report._scores import images_by_model, scores_of
from cameval.report._test_tables import method_tests, model_tests, target_class_tests
from cameval.report.comparisons import compare_all, seed_of
from cameval.report.facts import StudyFacts
from cameval.report.formatting import format_count
from cameval.report.reviewers import review, reviewers_section, to_record
from cameval.report.sections import Picture, Section, Table

__all__ = ["write_report"]

TITLE = "Where the network looks, and how well that agrees with the truth"
TITLE_OF_MAPS = "Where the maps are high, and how well that agrees with the truth"
ANCHORS = (
    *("masks", "maps", "classes", "negatives", "parts", "predictions"),
    *("tests", "figures", "images", "sanity", "undefined", "reviewers"),
)
_AROUND = ("in-short", "findings", "methods")
_OWN_FIGURES = r"(means|classes|size|confidence|random-weights)(-\d+)?\.png"


def write_report(
    results: Results,
    folder: str | PathLike[str],
    *,
    title: str | None = None,
    lead: str | Sequence[str] = (),
    sections: Sequence[Section] = (),
    binarizer: str | None = None,
    method: str | None = None,
    facts: StudyFacts | None = None,
) -> Path:
    """Write an evaluation as one HTML page, ``report.html``.

    The page needs no other file: style and figures are inside. The figures are also written to
    ``figures/``, and the section for reviewers to ``reviewers.json``. Pictures that `draw_images`
    wrote to the folder are shown if they are of these results.

    Parameters
    ----------
    results
        Results of `evaluate`; for several models, of `concat`.
    folder
        Where to write; it is made when needed.
    title
        Title of the page.
    lead
        The first text of the page: a paragraph of plain text, or several.
    sections
        Sections of your own. They follow the findings, before the sections of the evaluation;
        their pictures are written to ``figures/`` too.
    binarizer, method
        Labels of those that the findings and figures are about, if these were fixed before the
        scores were known, as by `Choice.apply`. By default those that score best on these same
        images, which the findings call an optimistic choice.
    facts
        What only the author knows, for the section for reviewers; see also `reviewer_summary`.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    SettingError
        If the folder cannot be made, the binarizer or method was not evaluated, two sections have
        the same anchor or one that the page itself uses, or two pictures the same file.
    DataError
        If ``report_files/index.json`` is damaged.

    Examples
    --------
    ``write_report(evaluate(network, samples), Path("run"), title="ResNet-50 on chest X-rays")``
    """
    folder = Path(folder)
    contents = contents_of(results, first_binarizer=binarizer)
    targets = targets_of(results, contents)
    scored = targets.scored
    scores = scores_of(scored, contents)
    headline = headline_of(contents, scores, method=method, binarizer=binarizer)
    _check_sections(sections)
    pictures_in = make_folder(folder / "figures")
    names, images = names_of(targets, contents), images_by_model(scored)
    everything = images_by_model(results) if targets.are_split else images
    browser = make_browser(results, names, folder, headline.columns)
    pictures = draw_figures(scored, images, contents, headline, scores, names)
    family = compare_all(contents, headline, images, seed_of(results))
    masks = (
        main_table(contents, headline, scores, names),
        means_table(targets, contents, headline, scores, names),
        other_table(contents, headline, scores, names),
        category_table(contents, images, names),
    )
    predictions = (
        correctness_table(images, headline, names),
        target_class_table(contents, images, headline, names),
        target_class_tests(headline, names, family),
    )
    tests = (
        method_tests(contents, headline, names, family),
        model_tests(headline, names, family),
    )
    maps = map_table(contents, scores, names, scored.samples["area"])
    classes = (
        positives_table(everything, contents, headline, scores, names),
        class_table(images, contents, headline, scores, names),
    )
    reviewed = review(Known(targets, contents, images, headline, scores, names, family), facts)
    sanity = sanity_section(results, headline, names)
    undefined = _present(undefined_table(results), constant_table(results, names))
    has_labels = any(one.has_labels for one in images.values())
    has_accuracy = any(one.has_accuracy for one in images.values())
    shown = [
        *sections,
        Section("masks", "Masks", tables=_present(*masks)),
        Section("maps", "Maps without a threshold", tables=_present(maps)),
        Section(
            "classes",
            "Classes" if has_labels else f"All {names.row}s",
            tables=_present(*classes),
        ),
        negatives_section(targets, everything, contents, headline, scores, names),
        info_section(images, headline, scores, names),
        Section(
            "predictions",
            _title_of_predictions(names) if has_accuracy else "Target classes",
            tables=_present(*predictions),
        ),
        Section("tests", "Paired tests", tables=_present(*tests)),
        Section("figures", "Figures", _describe_figures(pictures, names), pictures=pictures),
        sanity,
        Section(
            "undefined",
            "Undefined scores and constant maps",
            "" if undefined else "Every score is defined, and no map is constant.",
            undefined,
        ),
        reviewers_section(reviewed),
    ]
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=one_line(title or (TITLE if contents.has_network else TITLE_OF_MAPS), 200),
            run=describe_run(results, contents, names),
            lead=[part for part in ([lead] if isinstance(lead, str) else lead) if part.strip()],
            findings=[
                findings(
                    *(targets, everything[model], images[model], contents),
                    *(headline, scores, names, family),
                )
                for model in contents.models[:MOST_MODELS]
            ],
            more_models=_describe_more_models(len(contents.models) - MOST_MODELS),
            caveats=caveats(targets, names),
            warning=describe_limits(contents),
            browser=browser,
            sections=[section for section in shown if not section.empty],
            settings=list_settings(results, names),
            rules=list_rules(results, names),
        )
    )
    for picture in (*pictures, *sanity.pictures, *_pictures(sections)):
        write_bytes(pictures_in / picture.file, picture.data)
    record = json.dumps(to_record(reviewed), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "reviewers.json", replace_unprintable(record))
    page = folder / "report.html"
    write_atomically(page, replace_unprintable(text))
    return page


# --- Sections -----------------------------------------------------------------------------------


def _check_sections(sections: Sequence[Section]) -> None:
    """Validate sections of the user: types, unique anchors and file names."""
    things = sections if isinstance(sections, Sequence) else [None]
    if strange := [thing for thing in things if not isinstance(thing, Section)]:
        came = type(sections if strange[0] is None else strange[0]).__name__
        raise SettingError(f"sections must be a list of Section, got {came}")
    anchors = [section.anchor for section in sections]
    if taken := sorted({*anchors} & {*ANCHORS, *_AROUND}):
        raise SettingError(
            f"anchors must be others than {', '.join((*ANCHORS, *_AROUND))}, which are sections of "
            f"the page itself, got {taken[0]!r}"
        )
    _check_unique(anchors, "anchors of sections")
    files = [picture.file.lower() for picture in _pictures(sections)]
    if taken := [file for file in files if re.fullmatch(_OWN_FIGURES, file)]:
        raise SettingError(
            f"files must be others than those of the page's own figures, got {taken[0]!r}"
        )
    _check_unique(files, "files of pictures")


def _check_unique(words: Sequence[str], what: str) -> None:
    if repeated := [word for word in words if words.count(word) > 1]:
        raise SettingError(f"{what} must be unique, got {repeated[0]!r} twice")


def _pictures(sections: Iterable[Section]) -> list[Picture]:
    return [picture for section in sections for picture in section.pictures]


def _present(*tables: Table | None) -> list[Table]:
    return [table for table in tables if table is not None]


def _describe_figures(pictures: Sequence[Picture], names: Names) -> str:
    """Return of what the figures are, if that is not everything."""
    if not pictures or not names.are_split:
        return ""
    return f"The figures are of the {names.row}s{names.with_object}."


def _title_of_predictions(names: Names) -> str:
    return "Found and missed targets" if names.is_multilabel else "Right and wrong predictions"


def _describe_more_models(more: int) -> str:
    """Return how many models the findings leave out."""
    if more <= 0:
        return ""
    return (
        f"{format_count(more, 'more model')} {'is' if more == 1 else 'are'} in the tables of masks "
        "and of maps, and in the tests between models."
    )


# --- Writing ------------------------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cameval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    return environment


def _data_url(data: bytes) -> str:
    """Return the bytes of a PNG file as the address of an image; it has nothing to escape."""
    return "data:image/png;base64," + b64encode(data).decode("ascii")
