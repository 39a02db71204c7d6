"""Ready-made pictures of the worst, the median and the best image of each model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd

from cameval.errors import DataError
from cameval.evaluation import Column, Results
from cameval.evaluation._contents import contents_of
from cameval.evaluation._numbers import short_writer
from cameval.evaluation._words import one_line
from cameval.report._image_index import FOLDER, ModelPictures, Strip, read_index
from cameval.report._image_records import best_guess, bound_of
from cameval.report._names import Names, names_of
from cameval.report._targets import targets_of


@dataclass(frozen=True)
class StripPicture:
    """A ready-made picture: a photo with map, mask and truth.

    Parameters
    ----------
    data
        The bytes of a WebP file.
    alt
        What it shows: image, class, score, guess, bound.
    pick
        ``"worst"``, ``"median"`` or ``"best"``; ``"lowest"`` and ``"highest"`` for a metric that
        does not state which is better.
    text
        Its score, and that of the best guess.
    """

    data: bytes
    alt: str
    pick: str
    text: str


def strip_of(
    results: Results, folder: Path, columns: Mapping[str, Column] | None = None
) -> dict[str, list[StripPicture]]:
    """Return the pictures of each model that are of these results.

    Parameters
    ----------
    results
        All results of the page.
    folder
        The folder of the report.
    columns
        The column of each model whose pictures are wanted. By default, of the pairs of method and
        binarizer that were drawn, the one with the best mean.

    Raises
    ------
    DataError
        If the index of the pictures is damaged, or a picture is missing.
    """
    contents = contents_of(results)
    names = names_of(targets_of(results, contents), contents)
    found: dict[str, list[StripPicture]] = {}
    for pictures in read_index(folder / FOLDER):
        if pictures.model not in contents.models or not pictures.strips:
            continue
        column = pictures.column(pictures.strips[0].pair, results.columns)
        if columns is not None:
            column = columns.get(pictures.model)
        if column is None:
            continue
        rows = pictures.rows_in(results)
        strips = pictures.strips_of(column, results.columns)
        shown = [(strip, rows[strip.tile]) for strip in strips]
        made = [
            _picture(results, names, folder / FOLDER, pictures, strip, row, column)
            for strip, row in shown
            if row is not None
        ]
        if made:
            found[pictures.model] = made
    return found


def missing_strips(
    results: Results,
    folder: Path,
    columns: Mapping[str, Column],
    strips: Mapping[str, Sequence[StripPicture]],
) -> dict[str, str]:
    """Return of each model why `strip_of` has no pictures; nothing if no images were drawn at all.

    Parameters
    ----------
    results, folder, columns
        Those of `strip_of`.
    strips
        What it returned.
    """
    index = {pictures.model: pictures for pictures in read_index(folder / FOLDER)}
    if not index:
        return {}
    return {
        model: "The worst, the median and the best image are not shown: "
        f"{_reason(results, index.get(model), model, column)}."
        for model, column in columns.items()
        if model not in strips
    }


def _reason(results: Results, pictures: ModelPictures | None, model: str, column: Column) -> str:
    """Return why there are no pictures of a column."""
    if pictures is None:
        return f"the images of {one_line(model, 40)} were not drawn"
    drawn = {pictures.column(k, results.columns) for k in range(len(pictures.pairs))}
    by = ", ".join(filter(None, (one_line(column.method), one_line(column.binarizer))))
    if column not in drawn:
        what = "masks" if column.binarizer else "maps"
        return f"the {what} of {by} were not drawn"
    if not pictures.strips_of(column, results.columns):
        return f"no overlays of {by} were drawn"
    return "the images were drawn of other results"


def _picture(
    results: Results,
    names: Names,
    folder: Path,
    pictures: ModelPictures,
    strip: Strip,
    row: int,
    column: Column,
) -> StripPicture:
    file, sample = folder / strip.file, results.samples.iloc[row]
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} must be a picture, got {error}; draw the images again") from error
    guess = best_guess(results, names.contents, pictures.model, column)
    bound = bound_of(names.contents, column)

    def score(one: Column | None) -> float:
        known = one is not None and one in results.columns
        return float(results.values[row, results.columns.index(one)]) if known else np.nan

    parts = {names.contents.title(column.metric): score(column), "guess": score(guess)}
    write = short_writer([(score(column), score(guess))])
    said = [f"{name} {write(value)}" for name, value in parts.items() if not isnan(value)]
    more = [f"bound {write(score(bound))}"] if not isnan(score(bound)) else []
    label = "" if pd.isna(sample["label"]) else f", {names.class_name(int(sample['label']))}"
    alt = (
        f"Map, mask and truth on image {one_line(sample['sample'])}{label}: "
        f"{', '.join(said + more)}."
    )
    return StripPicture(data, alt, strip.pick, ", ".join(said))
