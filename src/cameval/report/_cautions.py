"""What limits a verdict: dark images, guesses, choices on the same images, groups, no scores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from cameval.baselines import Pattern
from cameval.evaluation import Results
from cameval.evaluation._comparisons import ALPHA
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._map_shift import MapShift
from cameval.evaluation._normalized_twice import ADVICE, NormalizedTwice
from cameval.evaluation._numbers import format_short, short_writer, with_minus
from cameval.evaluation._run_folder import runs
from cameval.evaluation._same_data import count_common, count_copies, differing
from cameval.evaluation._words import one_line
from cameval.evaluation.dark_images import DarkImages
from cameval.evaluation.meaning import CONSTANT, ChosenOn, Column
from cameval.evaluation.preparation_check import PreparationOverlap
from cameval.evaluation.spacings import Spacings, spaced_metrics
from cameval.networks._placement import Placement
from cameval.report._choices import MethodChoice, method_choice
from cameval.report._names import Names, join_words
from cameval.report._p_values import equals
from cameval.report._sentences import MOST_NAMED, Part, Sentence, plain
from cameval.report._targets import Targets
from cameval.report._verdict import Verdict
from cameval.report.formatting import format_number, format_percent
from cameval.statistics import ENOUGH_GROUPS

NOISE_ALONE = "Only compared with random maps: no mask in the middle was evaluated."

MANY = 0.05
"""Shares of undefined scores or constant maps above this are in the line of caution."""


def caution_of(
    verdicts: Sequence[Verdict],
    targets: Targets,
    contents: Contents,
    headline: Headline,
    names: Names,
) -> Sentence:
    """Return the first caution that applies."""
    method = method_choice(contents, headline, runs(targets.everything.provenance))
    chosen, is_optimistic = _choice(verdicts, contents, headline, names, method)
    if is_optimistic:
        return (Part(f"Optimistic: {chosen}"),)
    groups = targets.scored.samples["group"].nunique()
    if groups < ENOUGH_GROUPS:
        only = f"There are only {names.count_groups(groups)}"
        only = f"There is only one {names.group}" if groups == 1 else only
        what = "means have no interval" if groups == 1 else "intervals may be too narrow"
        return (Part(f"{only}: {what}."),)
    for share, what in shares(verdicts, targets):
        if share > MANY:
            return (Part(f"{format_percent(share)} of {what}."),)
    return (Part(chosen[0].upper() + chosen[1:]),) if chosen else ()


def _runs_of_models(results: Results) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each run of the models of a table, with its model."""
    models = set(map(str, results.samples["model"].unique()))
    for run in runs(results.provenance):
        model = str((run.get("settings") or {}).get("model"))
        if model in models:
            yield model, run


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
    copied, n = count_copies(targets.everything)
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
        counts = run.get("left_out")
        known = counts if isinstance(counts, Mapping) else {}
        unnamed, without_mask = (known.get(name) for name in ("unnamed", "without_mask"))
        parts = []
        if isinstance(unnamed, int) and unnamed > 0:
            parts.append(f"{unnamed:,} that --names does not name")
        if isinstance(without_mask, int) and without_mask > 0:
            parts.append(f"{without_mask:,} without a mask")
        if parts:
            found[join_words(parts)] = None
    if not found:
        return ()
    return (Part(f"{n:,} images are in the table; left out were {'; '.join(found)}."),)


def other_data(targets: Targets, names: Names) -> Sentence:
    """Return that networks were scored on other images or truths, or only on some of the images."""
    results = targets.everything
    nouns = {"image": "images of the same name", "truth": "true masks"}
    said = [
        f"The {names.noun}s were scored on different {nouns[what]} ({count:,} of {n:,}): their "
        "scores are not comparable."
        for what, count, n in differing(results)
    ]
    common, n = count_common(results)
    if common < n:
        said.append(
            f"Only {common:,} of {n:,} images are of all {names.noun}s: their means are of "
            "different images, and their differences of those that both have."
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
    shown = join_words([one_line(model, 40) for model in [*dict.fromkeys(found)][:MOST_NAMED]])
    whose = f"of {shown} " if results.samples["model"].nunique() > 1 else ""
    return (
        Part(
            f"The images {whose}are normalized twice: by the preparation, and by the network "
            f"itself. Evaluate again with {ADVICE} (on the command line: --mean 0 --std 1)."
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


def _compared(candidates: Sequence[Column], contents: Contents) -> Sequence[Column]:
    """Return the candidates without those whose binarizer was chosen among the others."""
    binarizers = contents.binarizers
    return [
        one for one in candidates if not one.binarizer or binarizers[one.binarizer].origin is None
    ] or candidates


def _choice(
    verdicts: Sequence[Verdict],
    contents: Contents,
    headline: Headline,
    names: Names,
    method: MethodChoice | None,
) -> tuple[str, bool]:
    """Return how method and binarizer were chosen by scores, and whether that is optimistic."""
    candidates = [
        _compared(of, contents) for one in verdicts if (of := headline.candidates[one.model])
    ]
    if headline.meaning.higher_is_better is None or not candidates:
        return "", False
    most = max(candidates, key=len)
    methods, binarizers = {c.method for c in most}, {c.binarizer for c in most}
    if len(most) > 1:
        what = "pairs of method and binarizer"
        if len(binarizers) == 1:
            what = "methods" if most[0].kind == "method" else "baselines"
        elif len(methods) == 1:
            what = "binarizers"
        return f"the best of {len(most)} {what}, chosen on these same images.", True
    origins = [
        origin
        for one in verdicts
        if one.column is not None
        and one.column.binarizer
        and (origin := contents.binarizers[one.column.binarizer].origin) is not None
    ]
    places = {origin.chosen_on for origin in origins}
    if method is not None and places == {method.origin.chosen_on}:
        text = f"the {method.describe()} and the thresholds were chosen on {method.place(names)}."
        return text, method.origin.chosen_on != "other images"
    if not places:
        return "", False
    order: tuple[ChosenOn, ...] = get_args(ChosenOn)
    worst = max(places, key=order.index)  # from other images to these
    return f"the thresholds were chosen on {names.chosen_on(worst)}.", worst != order[0]


def shares(verdicts: Sequence[Verdict], targets: Targets) -> list[tuple[float, str]]:
    """Return the shares of undefined scores and of constant maps of the columns of the verdict."""
    scored = targets.scored
    undefined = total = constant = 0
    for one in verdicts:
        if one.column is None:
            continue
        of_model = (scored.samples["model"] == one.model).to_numpy()
        at = scored.columns.index(one.column)
        undefined += int(np.isnan(scored.values[of_model, at]).sum())
        constant += int(((scored.codes[of_model, at] & CONSTANT) > 0).sum())
        total += int(of_model.sum())
    total = max(1, total)
    return [
        (undefined / total, "the scores are undefined"),
        (constant / total, "the maps are constant"),
    ]


def no_groups(targets: Targets, names: Names) -> Sentence:
    """Return how many images are their own group, as those of which no group was given."""
    pairs = targets.scored.samples[["sample", "group"]].astype(str).drop_duplicates("sample")
    n = len(pairs)
    alone = ~pairs["group"].duplicated(keep=False)
    own = int((alone & (pairs["group"] == pairs["sample"])).sum())
    if n < 2 or not own:
        return ()
    text = f"No {names.groups} were given: each of {n:,} images counts as its own"
    if own < n:
        have = "have" if own > 1 else "has"
        text = f"{own:,} of {n:,} images {have} no {names.group}: each counts as its own"
    return (Part(f"{text}; the intervals may be too narrow."),)


# --- Guesses --------------------------------------------------------------------------------------


def other_guesses(verdicts: Sequence[Verdict], names: Names, *, is_named: bool = False) -> Sentence:
    """Return which binarizer gives a better guess than that of the maps, and its mean."""
    found = [
        (one.model, other)
        for one in verdicts
        if one.guess is not None and (other := one.guess.other) is not None
    ]
    texts = [
        f"with {one_line(other.column.binarizer, 40)} a guess scores {format_number(other.mean)}"
        for _, other in found
    ]
    if not texts:
        return ()
    if is_named or len(set(texts)) > 1 or len(found) < len(verdicts):
        models: dict[str, list[str]] = {}
        for (model, _), text in zip(found[:MOST_NAMED], texts, strict=False):
            models.setdefault(text, []).append(one_line(model, 40))
        texts = [f"{text} ({join_words(whose)})" for text, whose in models.items()]
    text = ", ".join(dict.fromkeys(texts))
    return (Part(f"{text[:1].upper()}{with_minus(text[1:])}."),)


def outguessed(verdicts: Sequence[Verdict], headline: Headline, names: Names) -> Sentence:
    """Return that a guess with another binarizer has a better mean than the maps."""
    some = [one for one in verdicts if one.is_outguessed]
    told = other_guesses(some, names, is_named=len(some) < len(verdicts))
    if not told:
        return ()
    is_best = headline.method is None and headline.binarizer is None
    maps = "the best map" if is_best else "these maps"
    return (Part(f"{plain(told)[:-1]}, better than {maps} (not tested)."),)


_PATTERNS: Mapping[Pattern, str] = {
    "center": "a mark in the middle",
    "noise": "a random map",
    "mean": "the mean of other masks",
}


def describe_guess(verdicts: Sequence[Verdict], contents: Contents) -> Sentence:
    """Return what a guess is, and which baseline it is here."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        if one.guess is not None:
            found.setdefault(one.guess.column.method, []).append(one.model)
    if not found:
        return ()
    parts = [Part("Guess: the best baseline that does not see the image (here ")]
    for k, (label, models) in enumerate(found.items()):
        pattern = contents.patterns.get(label)
        what = f", {_PATTERNS[pattern]}" if pattern is not None else ""
        whose = f" for {', '.join(one_line(model, 40) for model in models)}"
        parts += [Part("; " if k else ""), Part(one_line(label, 40), "name")]
        parts.append(Part(f"{what}{whose if len(found) > 1 else ''}"))
    parts.append(Part("). It guesses the place, not the class."))
    return (*parts, *_informed(verdicts))


def _informed(verdicts: Sequence[Verdict]) -> Sentence:
    """Return the mean of the best baseline that knows the class, of the first networks."""
    found: dict[str, dict[str, list[str]]] = {}
    informed = [(one.model, one.informed) for one in verdicts if one.informed is not None]
    for model, best in informed[:MOST_NAMED]:
        means = found.setdefault(best.column.method, {})
        means.setdefault(with_minus(format_short(best.mean)), []).append(one_line(model, 40))
    parts: list[Part] = []
    for k, (label, means) in enumerate(found.items()):
        several = len(verdicts) > 1
        texts = [
            f"{mean} ({join_words(models)})" if several else mean for mean, models in means.items()
        ]
        what = "" if k else ", which uses labels or predictions, not the image,"
        parts += [Part("; " if k else " "), Part(one_line(label, 40), "name")]
        parts.append(Part(f"{what} scores {join_words(texts)}"))
    return (*parts, Part(".")) if parts else ()


def out_of_reach(verdicts: Sequence[Verdict]) -> Sentence:
    """Return where no masks of the areas of the maps' masks could reach the mean of the guess."""
    found = [one for one in verdicts if one.is_out_of_reach]
    if not found:
        return ()
    whose = ""
    if len(verdicts) > 1:
        models = [one_line(one.model, 40) for one in found[:MOST_NAMED]]
        more = len(found) - len(models)
        whose = f" ({join_words([*models, *([f'{more:,} more'] if more else [])])})"
    return (
        Part(
            f"No masks of these areas can reach the mean of the best guess{whose}: the areas do "
            "not fit the objects. The binarizer, or a grid that is too coarse, may be the cause."
        ),
    )


def uncorrected(verdicts: Sequence[Verdict]) -> Sentence:
    """Return both p values of tests of which only the correction decides that nothing is shown."""
    found = [
        (one.model, comparison)
        for one in verdicts
        if one.state == "open"
        and one.guess is not None
        and (comparison := one.guess.comparison) is not None
        and comparison.test.p < ALPHA
    ]
    texts = [
        f"p {equals(test.p)} corrected for all tests of the page, p {equals(test.test.p)} alone"
        + (f" ({one_line(model, 40)})" if len(verdicts) > 1 else "")
        for model, test in found[:MOST_NAMED]
    ]
    return (Part(f"Test against the guess: {'; '.join(texts)}."),) if texts else ()


def other_orders(verdicts: Sequence[Verdict]) -> Sentence:
    """Return that the order of the two best methods, or their distance, is of the binarizer."""
    found = [(one.model, one.other_order) for one in verdicts if one.other_order is not None]
    texts = []
    for model, order in found[:MOST_NAMED]:
        write = short_writer([(order.first_mean, order.second_mean)])
        whose = f" ({one_line(model, 40)})" if len(verdicts) > 1 else ""
        what = "order of the methods" if order.is_reversed else "size of their difference"
        texts.append(
            f"With {one_line(order.binarizer, 40)} {one_line(order.second, 40)} scores "
            f"{write(order.second_mean)} and {one_line(order.first, 40)} "
            f"{write(order.first_mean)}{whose}, not tested: the {what} depends on the binarizer."
        )
    return (Part(with_minus(" ".join(texts))),) if texts else ()
