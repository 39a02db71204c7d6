"""Pictures of all images, for the browser of a page: photos, maps, masks and truths."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cameval.data import Sample
from cameval.data.map_files import maps_at
from cameval.errors import DataError, SettingError
from cameval.evaluation import Choice, Preparation, Results
from cameval.evaluation._contents import Contents, contents_of
from cameval.evaluation._headline import headline_metric
from cameval.evaluation._loading import SizedSamples, read_sample
from cameval.evaluation._plan import MapSource, Named, TargetClass, callables_by_label
from cameval.evaluation.preparation import Prepare
from cameval.extractor import Alignment
from cameval.protocols import Binarizer, CAMMethod
from cameval.report._drawing import Drawing, Drawn
from cameval.report._image_choice import (
    choose_images,
    describe_choice,
)
from cameval.report._image_folder import FolderWriter, finish, new_folder, remove_pictures
from cameval.report._image_index import ModelPictures, Strip, Tile
from cameval.report._image_rows import Rows
from cameval.report._mask_checks import (
    check_binarizers,
    check_choices,
    check_scores,
    metric_to_check,
)
from cameval.report.formatting import format_count

__all__ = ["draw_images"]

BATCH = 16


def draw_images(
    results: Results,
    samples: SizedSamples,
    model: nn.Module | None,
    folder: str | PathLike[str],
    *,
    methods: Named[CAMMethod],
    binarizers: Named[Binarizer],
    choices: Mapping[str, Choice] | None = None,
    maps: Mapping[str, MapSource | str | PathLike[str]] | None = None,
    prepare: Prepare | None = None,
    alignment: Alignment = "half_pixel",
    limit: int = 5000,
) -> int:
    """Draw all images with their maps, masks and truths, for the browser of `write_report`.

    The maps are computed again. The folder ``report_files`` then has photos in gray of two sizes,
    the outlines of the scored masks and of the truth, the maps on few cells, and for each method
    and binarizer overlays of its worst, its median and its best image; of images with the same
    score, the one whose object is nearest in size to their median. `write_report` shows those that
    are of its results, and the overlays of the method and binarizer that its verdict is about. The
    photos leave with the page: the folder must go where the page goes, and to nobody who must not
    see the images. ``write_report(..., single_file=True)`` moves them into the page.

    Parameters
    ----------
    results
        Results of one model. Of several models, call the function for each: the pictures that
        other models have in the folder stay, those of the same model are replaced.
    samples
        What was evaluated, in the same order.
    model
        The network; None for maps made elsewhere.
    folder
        The folder of the report. ``report_files`` in it is replaced when all is drawn; if
        something fails, it is as it was.
    methods, binarizers
        Some of those evaluated: one, several, or several by label, as for `evaluate`; the browser
        shows the scores of these. Without a network there are no methods. Without binarizers there
        are no masks.
    choices
        Choices of binarizers (`choose_binarizers`) by the labels with which they were applied to
        the results, such as ``{"validated": choice}``. The binarizers that were chosen must be
        among `binarizers`; each map has the mask of its own. For the first screen of
        ``write_report(..., binarizer="validated")`` nothing else is needed.
    maps
        Maps made elsewhere, by their labels: functions or folders, as for `evaluate_maps`.
    prepare, alignment
        As they were for `evaluate`.
    limit
        The most images to draw. Of more the browser shows some: those at equal steps of the rank of
        their score in each class, in proportion to the sizes of the classes, and the worst, the
        median and the best as far as these are few. 0 draws none, and removes the pictures of all
        models that are in the folder.

    Returns
    -------
    int
        The number of images that were drawn.

    Raises
    ------
    SettingError
        If the results are of several models, lack a method, maps or a binarizer, have no metric
        other than counted categories, or have target classes that were chosen by functions alone;
        if a binarizer or a choice is another than that of its label in the results; if neither
        methods with their model nor maps are given; if `limit` is negative; or if something else
        is in the place of ``report_files``.
    DataError
        If a sample is not the one that was evaluated, the score of a mask is another than in the
        results, or the index of the folder is damaged.

    Notes
    -----
    The masks are scored again, and must have the scores of the results up to rounding, by the first
    metric of the page. This is done if that is one of cameval's own metrics which count pixels,
    such as IoU, and the network computed in full precision (``precision="exact"``). Maps whose
    range is that of rounding are left out.

    A sample with several targets has a picture for each. Of a volume the slice is shown where the
    truth is largest. An outline differs from that of the mask by at most one pixel. Names of files
    are numbers; no name of a sample is in them.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import OtsuBinarizer, Sample, evaluate_maps, iou
    >>> from cameval.report import draw_images
    >>> truth = np.zeros((32, 32), dtype=bool)
    >>> truth[8:24, 8:24] = True
    >>> images = np.random.default_rng(0).random((12, 32, 32), dtype=np.float32)
    >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
    >>> maps = {"exact": lambda one: 1.0 * one.mask}
    >>> results = evaluate_maps(
    ...     maps, samples, metrics=iou, binarizers={"otsu": OtsuBinarizer()}, progress=False
    ... )
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     draw_images(
    ...         *(results, samples, None, folder),
    ...         methods={},
    ...         maps=maps,
    ...         binarizers={"otsu": OtsuBinarizer()},
    ...     )
    12
    """
    if limit < 0:
        raise SettingError(f"limit must be at least 0, got {limit}")
    if limit == 0:
        remove_pictures(Path(folder))
        return 0
    contents = contents_of(results)
    methods = callables_by_label(methods, "methods", "cameval.methods")
    binarizers = callables_by_label(binarizers, "binarizers", "cameval.binarizers")
    given = dict(maps or {})
    chosen_by = dict(choices or {})
    labels = (*binarizers, *chosen_by)
    pairs, classes = _pairs_of(results, contents, model, methods, given, labels)
    check_binarizers(results, binarizers)
    check_choices(results, chosen_by, binarizers, list(dict.fromkeys(pair[:2] for pair in pairs)))
    if prepare is None:
        prepare = Preparation() if contents.has_network else Preparation(size=None)
    sources = {
        label: maps_at(one, results.class_names) if isinstance(one, str | PathLike) else one
        for label, one in given.items()
    }
    metric = pairs[0][3]
    again = metric_to_check(results, metric) if metric in contents.mask_metrics else None
    of_masks = binarizers, prepare, alignment, list(chosen_by.values()), again
    drawing = Drawing.of(model, methods, sources, classes, *of_masks)
    rows = Rows.of(results, contents, pairs, list(chosen_by))
    required = rows.required(limit)
    chosen = choose_images(
        rows.scores[:, rows.best], rows.labels, rows.images, limit, required=required
    )
    total = len(np.unique(rows.images))
    by, more = pairs[rows.best][1:3], not {*required} <= {*rows.images_of(rows.best)}
    rule = "" if len(chosen) == total else describe_choice(len(chosen), total, *by, more=more)
    with new_folder(Path(folder), contents.models[0]) as writer:
        tiles, strips = _draw(drawing, rows, pairs, chosen, samples, writer)
        finish(writer, ModelPictures(contents.models[0], total, rule, pairs, tiles, strips))
    return len(chosen)


# --- What is drawn --------------------------------------------------------------------------------


def _pairs_of(
    results: Results,
    contents: Contents,
    model: nn.Module | None,
    methods: Mapping[str, CAMMethod],
    maps: Mapping[str, object],
    binarizers: Sequence[str],
) -> tuple[list[tuple[str, str, str, str]], dict[str, TargetClass]]:
    """Return each target class, method, binarizer and metric, and the target classes."""
    if len(contents.models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(contents.models)}; choose one, as in "
            f"results.select(model={contents.models[0]!r})"
        )
    if not (methods or maps) or bool(methods) != (model is not None):
        raise SettingError(
            "draw_images must have methods with their model, or maps, or both; got "
            f"{format_count(len(methods), 'method')}, {format_count(len(maps), 'source')} of maps "
            f"and {'no model' if model is None else 'a model'}"
        )
    metric = headline_metric(contents)
    if metric is None:
        raise SettingError(
            "results must have a metric to show images by, got counted categories alone"
        )
    needs_mask = metric in contents.mask_metrics
    if needs_mask and not binarizers:
        raise SettingError(f"binarizers must name at least one for the scores {metric}, got none")
    classes = _computable(results, contents, computed=model is not None)
    for target_class in classes:
        for method in (*methods, *maps):
            own = results.select(method=method, kind="method", target_class=target_class)
            for binarizer in binarizers if needs_mask else ():
                own.select(binarizer=binarizer, metric=metric)
    pairs = [
        (target_class, method, binarizer, metric)
        for target_class in classes
        for method in (*methods, *maps)
        for binarizer in binarizers or ("",)
    ]
    return pairs, classes


def _computable(results: Results, contents: Contents, *, computed: bool) -> dict[str, TargetClass]:
    """Return the target classes whose maps can be computed again."""
    known = results.meanings.target_class
    if not computed:  # any, as the maps are given
        return dict.fromkeys(contents.target_classes[:1], "given")
    found: dict[str, TargetClass] = {}
    for label in contents.target_classes:
        how = known[label].classes if label in known else None
        if how in ("predicted", "true") or isinstance(how, int):
            found[label] = cast(TargetClass, how)
    if not found:
        raise SettingError(
            "results must have the target class 'predicted', 'true' or a class index, so that "
            f"maps can be computed again, got {', '.join(contents.target_classes)}"
        )
    return found


# --- Drawing --------------------------------------------------------------------------------------


def _draw(
    drawing: Drawing,
    rows: Rows,
    pairs: Sequence[tuple[str, str, str, str]],
    chosen: NDArray[np.intp],
    samples: SizedSamples,
    writer: FolderWriter,
) -> tuple[list[Tile], list[Strip]]:
    """Draw the chosen images, and return their tiles and the ready-made overlays."""
    wanted = rows.wanted(chosen)
    tiles: list[Tile] = []
    strips: dict[tuple[int, str], Strip] = {}
    for image, targets in _images(drawing, chosen, rows, samples):
        found = list(_match(targets, np.flatnonzero(rows.images == image), rows))
        places = writer.add_image([drawn for _, drawn in found])
        for (row, drawn), (part, place) in zip(found, places, strict=True):
            if drawing.masks_of_map:
                check_scores(drawn.scores, rows.scores[row].tolist(), pairs, drawn.sample.name)
            for pair, pick in wanted.get(row, ()):
                file = writer.add_strip(_strip(drawn, pair, drawing.masks_of_map))
                strips[pair, pick] = Strip(pair, pick, len(tiles), file)
            photo, thumb, large = writer.add_photo(drawn)
            scores = [None if np.isnan(one) else float(one) for one in rows.scores[row]]
            aspect, remark = round(drawn.photo.aspect, 4), drawn.remark
            tiles.append(
                Tile(
                    *rows.keys[row],
                    thumb,
                    large,
                    part,
                    place,
                    aspect,
                    remark,
                    scores,
                    photo,
                )
            )
    writer.close_part()
    order = [(pair, pick) for pair, picks in rows.picks.items() for pick in picks]
    return tiles, [strips[one] for one in order if one in strips]


def _images(
    drawing: Drawing, chosen: NDArray[np.intp], rows: Rows, samples: SizedSamples
) -> Iterator[tuple[int, list[Drawn]]]:
    """Yield each chosen image with what is drawn of its targets."""
    names = {int(image): key[0] for image, key in zip(rows.images, rows.keys, strict=True)}
    for first in range(0, len(chosen), BATCH):
        numbers = [int(number) for number in chosen[first : first + BATCH]]
        batch = [(number, _read(samples, number, names[number])) for number in numbers]
        drawn = drawing(batch)
        for number in numbers:
            yield number, [one for one in drawn if one.number == number]


def _read(samples: SizedSamples, number: int, expected: str) -> Sample:
    """Return a sample, if it is the one that was evaluated."""
    if number >= len(samples):
        raise DataError(f"samples must be those of the results, got only {len(samples)}")
    sample = read_sample(samples, number)
    if sample.name != expected:
        raise DataError(
            f"sample {number} must be {expected!r}, as in the results, got {sample.name!r}"
        )
    return sample


def _match(
    targets: Sequence[Drawn], of_image: NDArray[np.intp], rows: Rows
) -> Iterator[tuple[int, Drawn]]:
    """Yield each row of an image with what is drawn of its target."""
    left = list(targets)
    for row in of_image.tolist():
        name, label, _ = rows.keys[row]
        found = next((one for one in left if one.sample.label == label), None)
        if found is None:
            raise DataError(f"sample {name!r} must have a target of class {label}, got none")
        left.remove(found)
        yield row, found


def _strip(drawn: Drawn, pair: int, binarizers: int) -> bytes:
    score_map = drawn.maps[pair // max(binarizers, 1)]
    mask = drawn.masks[pair] if binarizers else []
    values = None if score_map is None else score_map.values
    return drawn.photo.overlay(values, mask, drawn.truth, drawn.grid)
