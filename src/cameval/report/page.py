"""The page: sections, and how they are written."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from cameval.errors import SettingError
from cameval.evaluation import Results
from cameval.evaluation._run_folder import write_atomically
from cameval.report import _settings as notes
from cameval.report import _tables as tables
from cameval.report._comparisons import Family, explained_tests, family_of, model_table, test_table
from cameval.report._figures import figures
from cameval.report._findings import caveats, findings, what_was_run
from cameval.report._format import count_of, made, name, printable, write_bytes
from cameval.report._parts import class_table, correctness_table, explained_table
from cameval.report._view import MOST_MODELS, Facts, Preferred
from cameval.report.examples import example_section
from cameval.report.sections import Picture, Section, Table

__all__ = ["write_report"]

TITLE = "Where the network looks, and how well that agrees with the truth"
ANCHORS = ("masks", "maps", "classes", "predictions", "tests", "figures", "examples", "undefined")
_AROUND = ("in-short", "findings", "methods")
_DRAWN = r"(means|classes|size|confidence)(-\d+)?\.png"


def write_report(
    results: Results,
    folder: Path,
    *,
    title: str | None = None,
    lead: str | Sequence[str] = (),
    sections: Sequence[Section] = (),
    binarizer: str | None = None,
    method: str | None = None,
) -> Path:
    """Write an evaluation as one page that anyone can open: ``report.html``.

    The page needs nothing but itself: style and figures are inside. The figures are also written
    to ``figures/``. Pictures that `draw_examples` wrote to the folder are shown, if they
    are of these results.

    Parameters
    ----------
    results
        What `evaluate` returned; of several models, what `concat` returned.
    folder
        Where to write; it is made when needed.
    title
        Title of the page.
    lead
        What comes first on the page: a paragraph of plain text, or several.
    sections
        Sections of your own. They follow the findings, before the sections of the evaluation;
        their pictures are written to ``figures/`` too.
    binarizer, method
        Labels of those that the findings and figures are of, where these were fixed before the
        scores were seen, as by `Choice.apply`. By default those that score best on these
        same images, which the findings call an optimistic choice.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    SettingError
        If the folder cannot be made, the binarizer or method was not evaluated, two sections have
        one anchor or one that the page itself uses, or two pictures one file.
    DataError
        If ``figures/examples.json`` is damaged.

    Examples
    --------
    ``write_report(evaluate(network, samples), Path("run"), title="ResNet-50 on chest X-rays")``
    """
    folder = Path(folder)
    facts = Facts(results, Preferred(binarizer, method))
    _check_own(sections)
    pictures_in = made(folder / "figures")
    examples = example_section(facts, folder)
    pictures = figures(facts)
    family = family_of(facts)
    shown = [*sections, *_sections(facts, family, pictures, examples)]
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=name(title or TITLE, 200),
            what_was_run=what_was_run(facts),
            lead=[part for part in ([lead] if isinstance(lead, str) else lead) if part.strip()],
            findings=[findings(facts, m, family) for m in facts.models[:MOST_MODELS]],
            more_models=_more_models(facts),
            caveats=caveats(facts),
            sections=[section for section in shown if not section.empty],
            settings=notes.settings(facts),
        )
    )
    for picture in (*pictures, *_pictures(sections)):
        write_bytes(pictures_in / picture.file, picture.data)
    page = folder / "report.html"
    write_atomically(page, printable(text))
    return page


# --- Sections -----------------------------------------------------------------------------------


def _check_own(sections: Sequence[Section]) -> None:
    """Check that the caller's sections are sections, with names that are free."""
    several = sections if isinstance(sections, Sequence) else [None]
    if strange := [one for one in several if not isinstance(one, Section)]:
        came = type(sections if strange[0] is None else strange[0]).__name__
        raise SettingError(f"sections must be a list of Section, got {came}")
    anchors = [section.anchor for section in sections]
    if taken := sorted({*anchors} & {*ANCHORS, *_AROUND}):
        raise SettingError(
            f"anchors must be others than {', '.join((*ANCHORS, *_AROUND))}, which are sections of "
            f"the page itself, got {taken[0]!r}"
        )
    _check_once(anchors, "anchors of sections")
    files = [picture.file.lower() for picture in _pictures(sections)]
    if drawn := [file for file in files if re.fullmatch(_DRAWN, file)]:
        raise SettingError(
            f"files must be others than those of the page's own figures, got {drawn[0]!r}"
        )
    _check_once(files, "files of pictures")


def _check_once(several: Sequence[str], what: str) -> None:
    if twice := [one for one in several if several.count(one) > 1]:
        raise SettingError(f"{what} must be unique, got {twice[0]!r} twice")


def _pictures(sections: Iterable[Section]) -> list[Picture]:
    return [picture for section in sections for picture in section.pictures]


def _sections(
    facts: Facts,
    family: Family,
    pictures: Sequence[Picture],
    examples: Section,
) -> list[Section]:
    def several(*found: Table | None) -> list[Table]:
        return [table for table in found if table is not None]

    undefined = several(notes.undefined_table(facts), notes.constant_table(facts))
    return [
        Section(
            "masks",
            "Masks",
            tables=several(
                tables.main_table(facts), tables.other_table(facts), tables.outcome_table(facts)
            ),
        ),
        Section(
            "maps", "Maps without a threshold", tables=several(tables.threshold_free_table(facts))
        ),
        Section(
            "classes",
            "Classes" if any(map(facts.labeled, facts.models)) else "All images",
            tables=several(class_table(facts)),
        ),
        Section(
            "predictions",
            "Right and wrong predictions"
            if any(map(facts.classified, facts.models))
            else "Classes that are explained",
            tables=several(
                correctness_table(facts), explained_table(facts), explained_tests(facts, family)
            ),
        ),
        Section(
            "tests",
            "Paired tests",
            tables=several(test_table(facts, family), model_table(facts, family)),
        ),
        Section("figures", "Figures", pictures=pictures),
        examples,
        Section(
            "undefined",
            "Undefined scores and constant maps",
            "" if undefined else "Every score is defined, and no map is constant.",
            undefined,
        ),
    ]


def _more_models(facts: Facts) -> str:
    """Say which models the findings leave out."""
    more = len(facts.models) - MOST_MODELS
    if more <= 0:
        return ""
    return (
        f"{count_of(more, 'more model')} {'is' if more == 1 else 'are'} in the tables of masks and "
        "of maps, and in the tests between models."
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
    environment.filters["as_png"] = _as_png
    return environment


def _as_png(data: bytes) -> str:
    """Return bytes of a PNG as the address of an image, which holds nothing to escape."""
    return "data:image/png;base64," + b64encode(data).decode("ascii")
