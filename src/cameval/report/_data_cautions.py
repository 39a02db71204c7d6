"""What limits a verdict in the data: images, truths, groups, and where maps are placed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cameval.evaluation import Results
from cameval.evaluation._caution_words import describe_no_groups
from cameval.evaluation._contents import Contents, count_hidden
from cameval.evaluation._ignored_pixels import IgnoredPixels
from cameval.evaluation._left_out import LeftOut, describe_skipped
from cameval.evaluation._map_shift import MapShift
from cameval.evaluation._normalized_twice import ADVICE, NormalizedTwice
from cameval.evaluation._preparation_words import describe_crop
from cameval.evaluation._run_folder import runs
from cameval.evaluation._softmax import has_softmax
from cameval.evaluation._words import one_line, plain_name
from cameval.evaluation.dark_images import DarkImages
from cameval.evaluation.preparation_check import PreparationOverlap
from cameval.evaluation.same_data import (
    count_common,
    count_copies,
    count_differing,
    count_other_areas,
)
from cameval.evaluation.same_maps import same_maps_of
from cameval.evaluation.spacings import Spacings, spaced_metrics
from cameval.networks._placement import Placement
from cameval.report._names import Names, join_words
from cameval.report._sentences import MOST_NAMED, Part, Sentence
from cameval.report._targets import Targets
from cameval.report.formatting import format_number, format_percent

_LARGE = 0.9
"""Objects with a larger share of the scored pixels are as those of inverted masks."""

_HALF = 0.5
"""Some objects are far larger than the others if none of these covers more."""


def _runs_of_models(results: Results) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each run of the models of a table, with its model."""
    models = set(map(str, results.samples["model"].unique()))
    for run in runs(results.provenance):
        model = str((run.get("settings") or {}).get("model"))
        if model in models:
            yield model, run


def _whose(found: Sequence[str], results: Results) -> str:
    """Return of which models a caution is, if the results are of several."""
    if results.samples["model"].nunique() == 1:
        return ""
    return f"of {join_words([one_line(one, 40) for one in dict.fromkeys(found)][:MOST_NAMED])} "


def _counts(found: Mapping[str, object], models: int) -> str:
    """Return counts of models in a list, with their models where they differ or are not all."""
    counts = [*dict.fromkeys(map(str, found.values()))]
    if len(counts) > 1 or len(found) < models:
        shown = [*found.items()][:MOST_NAMED]
        counts = [f"{one} ({one_line(model, 40)})" for model, one in shown]
    return join_words(counts)


def dark_images(targets: Targets) -> Sentence:
    """Return that most images are almost black, if they are, and what to do."""
    results = targets.everything
    of_model = dict.fromkeys(map(str, results.samples["model"].unique()), DarkImages())
    for model, run in _runs_of_models(results):
        of_model[model] += DarkImages.of(run)
    found = {model: one for model, one in of_model.items() if one.are_most}
    if not found:
        return ()
    all_of_them = all(one.dark == one.judged for one in found.values())
    which = "The images" if all_of_them else "Most of the images"
    return (
        Part(
            f"{which} are almost black: {_counts(found, len(of_model))} have no value above 1/8 of "
            "the range that the network expects. Evaluate again with stretch=True (on the command "
            "line: --stretch-contrast), which scales each image by its own range."
        ),
    )


def copies(targets: Targets, names: Names) -> Sentence:
    """Return how many images are copies of others in other groups, if some are."""
    copied, again, n = count_copies(targets.everything)
    if not copied and again:
        are = "are copies of others" if again > 1 else "is a copy of another"
        return (
            Part(
                f"{again:,} of {n:,} images {are}, with the same truth, in the same {names.group}: "
                "they count several times in means and counts."
            ),
        )
    if not copied:
        return ()
    are = "are copies of others" if copied > 1 else "is a copy of another"
    return (
        Part(
            f"{copied:,} of {n:,} images {are}, with the same truth, in another {names.group}: the "
            "intervals are too narrow, and p is too small."
        ),
    )


def left_out(targets: Targets) -> Sentence:
    """Return how many images the command line left out, if any."""
    n = int(targets.everything.samples["sample"].nunique())
    found: dict[str, None] = {}
    for _, run in _runs_of_models(targets.everything):
        if told := describe_skipped(run):
            found[told] = None
    if not found:
        return ()
    return (Part(f"{n:,} images are in the table, without {'; '.join(found)}."),)


def selected(targets: Targets) -> Sentence:
    """Return what was evaluated and is not in the table, if anything."""
    found = LeftOut.of(targets.everything)
    if not found:
        return ()
    return (
        Part(
            f"Evaluated, and not in this table: {found}. No p value is corrected for a choice "
            "among them."
        ),
    )


def same_maps(targets: Targets) -> Sentence:
    """Return which maps made elsewhere are the same for several images, if any are."""
    results = targets.everything
    present = {column.method for column in results.columns}
    found: dict[str, tuple[int, int]] = {}
    for _, run in _runs_of_models(results):
        shared, images = same_maps_of(run)
        found |= {label: (n, images) for label, n in shared.items() if label in present}
    said = [
        f"{n:,} of {images:,} images have the same map as others ({one_line(label, 40)}): such a "
        "map does not depend on the image."
        for label, (n, images) in found.items()
    ]
    return (Part(" ".join(said)),) if said else ()


def large_objects(targets: Targets, names: Names) -> Sentence:
    """Return that objects cover almost all pixels, as those of inverted masks do.

    They are told if most objects do, if they are far larger than all others, or if they cover all
    pixels.
    """
    table = targets.everything.samples.drop_duplicates(["sample", "label"])
    table = table[table["present"].to_numpy(bool)]
    areas = table["area"].to_numpy(np.float64)
    large, full, n = areas > _LARGE, areas == 1, len(areas)
    check = "check whether the masks are inverted"
    check += ", or the crop shows nothing else" * bool(_crops(targets))
    if 2 * large.sum() > n:
        said = f"{format_percent(_LARGE)} of the scored pixels: {check}"
        return (
            Part(f"The objects of {large.sum():,} of {n:,} {names.row}s cover more than {said}."),
        )
    which = large if areas[~large].max(initial=0) <= _HALF else full
    if not which.any():
        return ()
    first = one_line(table["sample"].to_numpy()[which][0], 40)
    said = f"The objects of {which.sum():,} of {n:,} {names.row}s, such as {first}, cover"
    if which is full:
        return (Part(f"{said} all scored pixels: any marked pixel is in them."),)
    most = format_percent(float(areas[~large].max()))
    return (
        Part(
            f"{said} more than {format_percent(_LARGE)} of the scored pixels, the others {most} at "
            f"most: {check}."
        ),
    )


def _crops(targets: Targets) -> dict[str, str]:
    """Return to what the images of each network are cropped, without the others."""
    found: dict[str, str] = {}
    for model, run in _runs_of_models(targets.everything):
        record = run.get("preparation")
        if record and (text := describe_crop(record)):
            found[model] = text
    return found


def crops(targets: Targets) -> Sentence:
    """Return that what a crop cuts off is not scored, if images are cropped."""
    results = targets.everything
    by_text: dict[str, list[str]] = {}
    for model, text in _crops(targets).items():
        by_text.setdefault(text, []).append(model)
    if not by_text:
        return ()
    shown = [f"{_whose(models, results)}are {text}" for text, models in by_text.items()]
    return (Part(f"The images {join_words(shown)}: objects outside of it are not scored."),)


def hidden_objects(targets: Targets, names: Names) -> Sentence:
    """Return how many objects have no pixel that is scored, if some have none."""
    hidden, n = count_hidden(targets.everything.samples.drop_duplicates(["sample", "label"]))
    if not hidden:
        return ()
    return (
        Part(
            f"Of the objects of {hidden:,} of {n:,} {names.row}s no pixel is scored, after the "
            "preparation and without ignored pixels: most of their scores are undefined."
        ),
    )


def alike_groups(targets: Targets, names: Names) -> Sentence:
    """Return how many groups differ in spelling only, as numbers with and without zeros, if any."""
    groups = [*dict.fromkeys(targets.everything.samples["group"].astype(str))]
    spellings: dict[str, list[str]] = {}
    for one in groups:
        spellings.setdefault(plain_name(one), []).append(one)
    several = [alike for alike in spellings.values() if len(alike) > 1]
    if not several:
        return ()
    first, second = (one_line(one, 40) for one in several[0][:2])
    return (
        Part(
            f"{len(groups):,} {names.groups} are {len(spellings):,} without differences of "
            f"spelling, as between {first} and {second}: if these are the same, the intervals are "
            "too narrow."
        ),
    )


def ignored_pixels(targets: Targets) -> Sentence:
    """Return in how many images pixels are ignored, and what share of them, if any are."""
    found = IgnoredPixels.of(targets.everything)
    return () if found is None else (Part(found.describe()),)


def other_data(targets: Targets, names: Names) -> Sentence:
    """Return that networks were scored on other images or truths, or only on some of the images."""
    results = targets.everything
    nouns = {"image": "images of the same name", "truth": "true masks"}
    said = [
        f"The {names.noun}s were scored on different {nouns[what]} ({count:,} of {n:,}): their "
        "scores are not comparable."
        for what, (count, n) in count_differing(results).items()
    ]
    other_areas, pairs = count_other_areas(results)
    if other_areas and not said:
        said.append(
            f"The {names.noun}s were scored on different parts or grids of the true masks "
            f"({other_areas:,} of {pairs:,}): their scores are not comparable."
        )
    common, n = count_common(results)
    if common < n:
        said.append(
            f"The {names.noun}s have only {common:,} of {n:,} images in common: their means are of "
            "different images. A difference is that on the images that both have"
            f"{', of which there are none' * (common == 0)}."
        )
    return (Part(" ".join(said)),) if said else ()


def placements(targets: Targets) -> Sentence:
    """Return what networks do not see at its place in the image, if anything."""
    results = targets.everything
    by_words: dict[str, list[str]] = {}
    for model, run in _runs_of_models(results):
        if placement := Placement.of_run(run):
            by_words.setdefault(str(placement), []).append(one_line(model, 40))
    if not by_words:
        return ()
    several = results.samples["model"].nunique() > 1
    shown = [
        f"the first convolution{f' of {join_words(names[:MOST_NAMED])}' if several else ''} {words}"
        for words, names in by_words.items()
    ]
    text = f"{join_words(shown)} of the image: the maps are at other places than what was seen"
    return (
        Part(
            f"{text[0].upper()}{text[1:]}. Crop, pad, flip and turn images in cameval.Preparation, "
            "outside of the network, and evaluate again."
        ),
    )


def preparations(targets: Targets) -> Sentence:
    """Return that a preparation shows image and mask at different places."""
    runs_of = [
        (model, PreparationOverlap.of_run(run))
        for model, run in _runs_of_models(targets.everything)
    ]
    low = [one.iou for _, one in runs_of if one.is_low]
    if not low:
        return ()
    return (
        Part(
            "The preparation shows image and mask at different places: a box in both has an IoU of "
            f"{format_number(min(one for one in low if one is not None))} after it. Crop, flip and "
            "turn the mask with the image, and evaluate again."
        ),
    )


def normalized_twice(targets: Targets) -> Sentence:
    """Return that images are normalized by the preparation and by the network again."""
    results = targets.everything
    found = [model for model, run in _runs_of_models(results) if NormalizedTwice.of_run(run)]
    if not found:
        return ()
    return (
        Part(
            f"The images {_whose(found, results)}are normalized twice: by the preparation, and by "
            f"the network itself. Evaluate again with {ADVICE} (on the command line: --mean 0 "
            "--std 1)."
        ),
    )


def softmaxes(targets: Targets, contents: Contents) -> Sentence:
    """Return that maps by gradients are those of probabilities."""
    results = targets.everything
    if not {*contents.methods} - contents.given:
        return ()
    found = [model for model, run in _runs_of_models(results) if has_softmax(run)]
    if not found:
        return ()
    return (
        Part(
            f"The outputs {_whose(found, results)}are probabilities, not logits: maps by gradients "
            "vanish where a probability is near 0 or 1. Evaluate again without the last softmax."
        ),
    )


def map_shifts(targets: Targets) -> Sentence:
    """Return how far the maps of a network are from their cells, if that is far."""
    of_model = {model: MapShift.of_run(run) for model, run in _runs_of_models(targets.everything)}
    far = {model: one for model, one in of_model.items() if one is not None and one.is_far}
    if not far:
        return ()
    by_words: dict[str, list[str]] = {}
    for model, one in far.items():
        by_words.setdefault(str(one), []).append(one_line(model, 40))
    several = len(of_model) > 1
    shown = [
        f"of {join_words(names[:MOST_NAMED])} {words}" if several else words
        for words, names in by_words.items()
    ]
    differ = len({None if one is None else one.pixels for one in of_model.values()}) > 1
    between = " A part of the differences between networks may be due to it." if differ else ""
    return (
        Part(
            f"Half-pixel alignment places the maps {join_words(shown)} in the middle of the image. "
            'With alignment="receptive_field" (on the command line: --alignment receptive_field) '
            f"the scores may be others.{between}"
        ),
    )


def given_alignments(targets: Targets, contents: Contents) -> Sentence:
    """Return that maps made elsewhere may have another alignment than those of the methods."""
    given = [label for label in contents.methods if label in contents.given]
    by_fields = any(
        (run.get("settings") or {}).get("alignment") == "receptive_field"
        for _, run in _runs_of_models(targets.everything)
    )
    if not given or not by_fields:
        return ()
    shown = join_words([one_line(label, 40) for label in given[:MOST_NAMED]])
    return (
        Part(
            f"Maps of methods are aligned with receptive fields; those made elsewhere ({shown}) "
            "only if they have the grid of the network. Maps that were enlarged before are as they "
            "were enlarged."
        ),
    )


def mixed_spacings(targets: Targets, contents: Contents) -> Sentence:
    """Return that only some images have a spacing, if a metric uses it."""
    results = targets.everything
    labels = spaced_metrics(contents.meanings, [column.metric for column in results.columns])
    of_model: dict[str, Spacings] = {}
    for model, run in _runs_of_models(results):
        found = Spacings.of(run)
        of_model[model] = of_model[model] + found if model in of_model else found
    mixed = {model: one for model, one in of_model.items() if one.are_mixed}
    known = [one.known > 0 for one in of_model.values() if one.known or one.unknown]
    if not labels or not (mixed or len(set(known)) > 1):
        return ()
    titles = join_words([contents.title(label) for label in labels])
    if not mixed:
        without = [one_line(model, 40) for model, one in of_model.items() if not one.known]
        return (
            Part(
                f"The images of {join_words(without)} state no spacing, the others do: the units "
                f"of {titles} differ."
            ),
        )
    pixels = next(iter(mixed.values())).pixels
    return (
        Part(
            f"{_counts(mixed, len(of_model))} state no spacing: their distances are in {pixels}, "
            f"the others in the unit of the spacing; the mean of {titles} mixes them."
        ),
    )


def no_groups(targets: Targets, names: Names) -> Sentence:
    """Return how many images are their own group, as those of which no group was given."""
    told = describe_no_groups(targets.scored.samples, names.nouns)
    return (Part(told),) if told else ()
