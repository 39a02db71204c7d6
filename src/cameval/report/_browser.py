"""The browser of all images: what the page shows of the pictures that are of its results."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cameval.evaluation import Column, Results
from cameval.report._image_index import FOLDER, read_index
from cameval.report._image_records import Records
from cameval.report._names import Names
from cameval.report._photos import THUMB
from cameval.report.formatting import format_count
from cameval.report.single_file import pack_pictures


@dataclass(frozen=True)
class Browser:
    """The browser of all images.

    Parameters
    ----------
    count
        The number of images, or of targets if an image has several, of the first model.
    lead
        What the marks of a picture mean.
    notes
        Sentences on what is not shown.
    data
        JSON without the character <, for the script of the page.
    files
        The pictures as JSON without the character <; empty if they are in a folder.
    """

    count: int
    lead: str
    notes: tuple[str, ...]
    data: str
    files: str = ""

    title = "All images"
    anchor = "images"


def make_browser(
    results: Results,
    names: Names,
    folder: Path,
    columns: Mapping[str, Column] | None = None,
    *,
    single_file: bool = False,
) -> Browser | None:
    """Return the browser of the pictures that `draw_images` wrote, if any are of these results.

    Parameters
    ----------
    results
        All results of the page, targets without an object included.
    names
        The words of the page.
    folder
        The folder of the report.
    columns
        The column of each model that is shown first; by default the one with the best mean.
    single_file
        Whether the pictures are to be inside the page.

    Raises
    ------
    DataError
        If the index of the pictures is damaged, or a picture is missing.
    """
    packed = pack_pictures(folder / FOLDER, results, columns) if single_file else None
    index = read_index(folder / FOLDER) if packed is None else packed.models
    records = Records(results, names, columns or {})
    counts: list[int] = []
    notes: list[str] = []
    others = 0
    for pictures in index:
        if pictures.model not in names.contents.models:
            others += len(pictures.tiles)
            continue
        found = zip(pictures.tiles, pictures.rows_in(results), strict=True)
        shown = [(tile, row) for tile, row in found if row is not None]
        others += len(pictures.tiles) - len(shown)
        if not shown:
            continue
        shown.sort(key=lambda one: one[1])
        records.add(pictures, [tile for tile, _ in shown], [row for _, row in shown])
        counts.append(len(shown))
        if pictures.rule:
            notes.append(names.with_model(pictures.model, pictures.rule))
    if not counts:
        return None
    if others:
        are = "is of other results, and is" if others == 1 else "are of other results, and are"
        notes.append(f"{format_count(others, 'picture')} in the folder {are} not shown.")
    if packed is not None and not packed.has_large:
        notes.append(
            f"An enlarged image is its thumbnail, with sides of at most {THUMB} pixels, so that "
            "the page stays small."
        )
    files = "" if packed is None else packed.json()
    return Browser(counts[0], _lead(records), tuple(notes), records.json(), files)


def _lead(records: Records) -> str:
    """Return what the marks of a picture mean."""
    contents = records.names.contents
    metric = records.metric
    parts = [f"Bar: {records.names.contents.title(metric)}."]
    if "nothing" in contents.baselines.values():
        parts.append(
            "Gray tick: the best guess; beside the score the difference from it: \u25b2 better, "
            "\u25bc worse (dashed bar), = equal."
        )
    if any(meaning.bounds == metric for meaning in contents.mask_metrics.values()):
        parts.append("Blue tick: the bound.")
    if records.has_wrong:
        predicted = "a wrong prediction" if records.names.is_multilabel else "the class predicted"
        instead = "" if records.names.is_multilabel else " instead"
        parts.append(f"\u2715: {predicted}{instead}.")
    return " ".join(parts)
