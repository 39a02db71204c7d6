"""`write_report`: the sections of the page, in order, and the writing of its files."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from os import PathLike
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from cameval.errors import SettingError
from cameval.evaluation import Results
from cameval.evaluation._comparisons import compare_all, seed_of
from cameval.evaluation._contents import contents_of_page
from cameval.evaluation._headline import headline_of
from cameval.evaluation._numbers import with_minus
from cameval.evaluation._run_folder import write_atomically
from cameval.evaluation._scores import images_by_model, scores_of
from cameval.evaluation._words import one_line, replace_unprintable
from cameval.report._answers import Known
from cameval.report._browser import make_browser
from cameval.report._caveats import describe_run
from cameval.report._chart import Charts
from cameval.report._files import make_folder, write_bytes
from cameval.report._first_screen import first_screen_of
from cameval.report._image_folder import pictures_in, remove_pictures
from cameval.report._layout import Evaluated, sections_of
from cameval.report._names import names_of
from cameval.report._score_figure_drawing import chart_of
from cameval.report._strip import missing_strips, strip_of
from cameval.report._targets import targets_of
from cameval.report._verdict import verdicts_of
from cameval.report.facts import StudyFacts
from cameval.report.reviewers import review, to_record
from cameval.report.sections import Picture, Section

__all__ = ["write_report"]

TITLE = "Where the network looks, and how well that agrees with the truth"
TITLE_OF_MAPS = "Where the maps are high, and how well that agrees with the truth"
ANCHORS = (
    *(
        "summary",
        "networks",
        "images",
        "guessing",
        "classes",
        "class-data",
        "size",
        "by-threshold",
        "choices",
    ),
    *("predictions", "right-and-wrong", "scores", "maps", "more-scores", "details", "tests"),
    *("undefined", "negatives", "parts", "sanity", "reviewers", "methods"),
)
"""Names of the sections of the page itself."""


def write_report(
    results: Results,
    folder: str | PathLike[str],
    *,
    title: str | None = None,
    banner: str = "",
    opening: str = "",
    lead: str | Sequence[str] = (),
    sections: Sequence[Section] = (),
    binarizer: str | None = None,
    method: str | None = None,
    facts: StudyFacts | None = None,
    names: Mapping[str, str] | None = None,
    single_file: bool = False,
) -> Path:
    """Write an evaluation as one HTML page, ``report.html``.

    The page begins with a verdict: whether the maps are shown to find the object better than a
    guess, which is the best blind baseline. Figures and tables follow. Style, script and figures
    are inside the page; it is complete without the script. The section for reviewers is also
    written to ``reviewers.json``. Images that `draw_images` wrote to the folder are shown if they
    are of these results.

    Parameters
    ----------
    results
        Results of `evaluate`; for several models, of `concat`.
    folder
        Where to write; it is made when needed.
    title
        Title of the page, above the verdict.
    banner
        A sentence in a frame at the top of the page, such as that the images are made up.
    opening
        A sentence that the headline begins with, before the verdict on the maps: another answer
        of your own, such as the accuracy.
    lead
        Text after the verdict: a paragraph of plain text, or several.
    sections
        Sections of your own. They follow the first screen, before the sections of the evaluation;
        their pictures are written to ``figures/`` too.
    binarizer, method
        Labels of those that the verdict and figures are about, if these were fixed before the
        scores were known, or chosen on other images: ``choice.apply(results)`` adds the binarizer
        ``"validated"``, and ``choice.best_method()`` is the best method there, which the page then
        calls chosen on these images. By default the binarizer is the one that was chosen on other
        images, if there is one; otherwise method and binarizer are those that score best on the
        images of the page, which it calls optimistic.
    facts
        What only the author knows, for the section for reviewers; see also `reviewer_summary`.
    names
        The user's words for the nouns "group" and "groups", such as ``{"group": "patient"}``, in
        the sentences, tables and figures of the page; a plural that is not given is the singular
        with an s. Other words of the mapping, such as those of labels, which `Results.plot` takes,
        are ignored.
    single_file
        Whether the pictures of the images are moved into the page, so that it shows them wherever
        it is sent. At most 100 images of each model are shown; of more some are chosen, by the rule
        of `draw_images`. If the page would be too large, it has the thumbnails alone. The folder
        ``report_files`` is removed; before the page is written again, `unpack_pictures` makes it
        again.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    SettingError
        If the folder cannot be made, the binarizer or method was not evaluated, two sections have
        the same anchor or one that the page itself uses, or two pictures the same file; or, with
        `single_file`, if something else is in the place of ``report_files``.
    DataError
        If ``report_files/index.json`` is damaged, or a picture is missing that the page needs.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval import Sample, evaluate_maps, iou
    >>> from cameval.report import write_report
    >>> truth = np.zeros((32, 32), dtype=bool)
    >>> truth[8:24, 8:24] = True
    >>> images = np.random.default_rng(0).random((12, 32, 32), dtype=np.float32)
    >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
    >>> results = evaluate_maps(
    ...     {"exact": lambda one: 1.0 * one.mask}, samples, metrics=iou, progress=False
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     page = write_report(results, folder, title="Exact maps")
    ...     "The maps find the object better than a guess." in page.read_text()
    True
    """
    folder = Path(folder)
    contents = contents_of_page(results, binarizer)
    targets = targets_of(results, contents)
    scored = targets.scored
    scores = scores_of(scored, contents)
    headline = headline_of(contents, scores, method=method, binarizer=binarizer)
    _check_sections(sections)
    make_folder(folder)
    if single_file:
        pictures_in(folder)
    words, images = names_of(targets, contents, names), images_by_model(scored)
    everything = images_by_model(results) if targets.are_split else images
    family = compare_all(contents, headline, images, seed_of(results))
    verdicts = verdicts_of(scored, contents, images, headline, scores, family)
    known = Known(targets, contents, images, headline, scores, words, family)
    reviewed = review(known, facts)
    charts = Charts(scored, images, headline, scores, words, verdicts)
    shown = sections_of(Evaluated(known, everything, charts, reviewed))
    browser = make_browser(results, words, folder, headline.columns, single_file=single_file)
    strips = strip_of(results, folder, headline.columns)
    missing = missing_strips(results, folder, headline.columns, strips)
    environment = _environment()
    files = ["report.js", *(["browser.js"] if browser is not None else [])]
    scripts = [environment.get_template(file).render(names=words) for file in files]
    text = environment.get_template("report.html.j2").render(
        title=one_line(title or (TITLE if contents.has_network else TITLE_OF_MAPS), 200),
        own_title=one_line(title, 200) if title else "",
        banner=one_line(banner, 200) if banner else "",
        opening=one_line(opening, 200) if opening else "",
        run=describe_run(results, contents, words),
        lead=[part for part in ([lead] if isinstance(lead, str) else lead) if part.strip()],
        first=first_screen_of(known, charts, strips, missing),
        own=[section for section in sections if not section.empty],
        sections=shown,
        browser=browser,
        names=words,
        policy=_policy(scripts, single_file=single_file),
        scripts=scripts,
    )
    for picture in (*_pictures(shown), *_pictures(sections)):
        write_bytes(make_folder(folder / "figures") / picture.file, picture.data)
    record = json.dumps(to_record(reviewed), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "reviewers.json", replace_unprintable(record))
    page = folder / "report.html"
    write_atomically(page, replace_unprintable(text))
    if single_file:
        remove_pictures(folder)
    return page


# --- Sections -----------------------------------------------------------------------------------


def _check_sections(sections: Sequence[Section]) -> None:
    """Validate sections of the user: types, unique anchors and file names."""
    things = sections if isinstance(sections, Sequence) else [None]
    if strange := [thing for thing in things if not isinstance(thing, Section)]:
        came = type(sections if strange[0] is None else strange[0]).__name__
        raise SettingError(f"sections must be a list of Section, got {came}")
    anchors = [section.anchor for section in sections]
    if taken := sorted({*anchors} & {*ANCHORS}):
        raise SettingError(
            f"anchors must be others than {', '.join(ANCHORS)}, which are sections of "
            f"the page itself, got {taken[0]!r}"
        )
    _check_unique(anchors, "anchors of sections")
    files = [picture.file.lower() for picture in _pictures(sections)]
    if taken := [file for file in files if file.startswith("random-weights")]:
        raise SettingError(
            f"files must be others than those of the page's own figures, got {taken[0]!r}"
        )
    _check_unique(files, "files of pictures")


def _check_unique(words: Sequence[str], what: str) -> None:
    if repeated := [word for word in words if words.count(word) > 1]:
        raise SettingError(f"{what} must be unique, got {repeated[0]!r} twice")


def _pictures(sections: Iterable[Section]) -> list[Picture]:
    """Return the pictures of sections and of what is folded in them."""
    found = []
    for section in sections:
        found += [*section.pictures, *_pictures(getattr(section, "folds", ()))]
    return found


# --- Writing ------------------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    """Return the templates; each is compiled once."""
    environment = Environment(
        loader=PackageLoader("cameval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    environment.filters["webp_url"] = _webp_url
    environment.filters["minus"] = with_minus
    environment.filters["chart"] = chart_of
    return environment


def _policy(scripts: Iterable[str], *, single_file: bool) -> str:
    """Return what the page may load: its own scripts by their hashes, and files beside it.

    With a single file there is nothing beside it.
    """
    hashes = [
        f"'sha256-{b64encode(sha256(_inside(script).encode()).digest()).decode()}'"
        for script in scripts
    ]
    beside = "" if single_file else "'self' "
    return (
        f"default-src 'none'; img-src {beside}data:; style-src 'unsafe-inline'; "
        f"script-src {beside}{' '.join(hashes)}"
    )


def _inside(script: str) -> str:
    """Return the text of a script element as the template writes it."""
    return f"\n{script}\n"


def _data_url(data: bytes) -> str:
    """Return the bytes of a PNG file as the address of an image; it has nothing to escape."""
    return "data:image/png;base64," + b64encode(data).decode("ascii")


def _webp_url(data: bytes) -> str:
    """Return the bytes of a WebP file as the address of an image."""
    return "data:image/webp;base64," + b64encode(data).decode("ascii")
