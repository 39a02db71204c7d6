"""How often a classifier is right, in sentences; nothing where no classifier is known."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._class_order import other_order
from cameval.evaluation._scores import Images
from cameval.evaluation._words import one_line
from cameval.report._names import Names, join_words
from cameval.report._sentences import MOST_NAMED
from cameval.report.formatting import format_count, format_percent
from cameval.statistics import Interval, mean_interval


def describe_accuracy(images: Images, names: Names) -> str:
    """Return how many images the model classifies correctly, or why that is not known.

    What is said of missing and of foreign labels of a network is not said again. Nothing is
    returned where no classifier is known.
    """
    model, of_model = one_line(images.model), names.of_model(images.model)
    has_network, several = names.contents.has_network, names.several
    if not has_network and not images.has_predictions:
        return ""
    if not images.has_labels:
        if has_network:
            return ""
        return (
            f"The {names.row}s{of_model} have no labels, so it is not known which of the given "
            "predictions are right."
        )
    if not images.has_accuracy:
        if images.is_multilabel:
            return f"No probability of a label{of_model} is known."
        if not images.samples["predicted"].notna().any():
            return f"No predicted class{of_model} is known."
        if has_network:
            return ""
        return (
            f"The labels of the {names.row}s do not seem to be classes of the given predictions"
            f"{of_model}, so the accuracy is not known."
        )
    known = images.correct | images.wrong
    if images.is_multilabel:
        return _describe_sensitivity(images, known, names)
    (counted,) = _counted(images, names)
    share, interval, count = _share_right(images, counted, names)
    if several:
        of_images = format_count(images.samples["sample"][counted].nunique(), "image")
        subject = f"The class that {model} predicts"
        if not has_network:
            subject = f"The class of the given predictions{of_model}"
        return (
            f"{subject} is that of the target for {share}{interval} of "
            f"{format_count(count, 'labeled target')} in {of_images}. One class is predicted for "
            f"each image."
        )
    if has_network:
        images_ = format_count(count, "labeled image")
        return f"{model} classifies {share}{interval} of {images_} correctly."
    return (
        f"The given predictions{of_model} are right for {share}{interval} of "
        f"{format_count(count, 'labeled image')}."
    )


def describe_missing_labels(all_images: Iterable[Images], names: Names) -> str:
    """Return that images of a network have no labels, and what is not known without them."""
    every = list(all_images) if names.contents.has_network else []
    without = [one.model for one in every if not one.has_labels]
    if not without:
        return ""
    whose = _of_some(without, len(every)) if len(without) < len(every) else ""
    return (
        f"The {names.row}s{whose} have no labels: the accuracy is not known, nor whether a map is "
        "for the class of the object."
    )


def describe_foreign_labels(all_images: Iterable[Images], names: Names) -> str:
    """Return of which networks the labels do not seem to be classes, and what that means."""
    every = list(all_images) if names.contents.has_network else []
    foreign = [one.model for one in every if _has_foreign_labels(one)]
    if not foreign:
        return ""
    whose = f"network{'s' * (len(foreign) > 1)}"
    return (
        f"The labels do not seem to be classes{_of_some(foreign, len(every))}: the accuracy is not "
        f"known, and target classes are those of the {whose}, not of the labels. If they are, no "
        "prediction is right: check the weights and the normalization of the images."
    )


def _has_foreign_labels(images: Images) -> bool:
    known = images.has_labels and images.samples["predicted"].notna().any()
    return bool(known) and not images.is_multilabel and not images.has_accuracy


def _of_some(models: Sequence[str], count: int) -> str:
    """Return " of" and some of the networks by their names, or how many they are."""
    if len(models) == count > 1:
        return f" of the {count:,} networks"
    if len(models) > MOST_NAMED:
        return f" of {len(models):,} of {count:,} networks"
    return f" of {join_words([one_line(model, 40) for model in models])}"


_FEW = 0.5
"""The interval must be below this share, so that a few wrong predictions do not ask."""


def ask_for_order(all_images: Iterable[Images], names: Names) -> str:
    """Return sentences that ask for the order of the classes; empty if it is not in doubt.

    It is in doubt where far more predictions are right in another order; or where the share of
    right ones is below that of chance, one over the number of classes, and its whole interval is
    below one half. Of enough groups it is, as the normalization of the images, also where all
    predictions are one class or the share is not shown to be above chance.
    """
    every = list(all_images)
    found = [text for one in every if (text := _ask_of_model(one, names, len(every)))]
    more = len(found) - MOST_NAMED
    texts = found[:MOST_NAMED]
    if more > 0:
        texts.append(f"The same is asked of {more:,} more {names.noun}{'s' * (more > 1)}.")
    return " ".join(texts)


def _ask_of_model(images: Images, names: Names, count: int) -> str:
    if images.is_multilabel or not images.has_labels or not images.has_accuracy:
        return ""
    has_network, whose = names.contents.has_network, one_line(images.model, 40)
    if (order := other_order(images)) is not None:
        return order.describe(names.classes, f" ({whose})" if count > 1 else "")
    (counted,) = _counted(images, names)
    share = _mean_right(images, counted)
    seen = images.samples[["label", "predicted"]].max().max()
    classes = images.n_named or max(2, int(seen) + 1)
    if np.isnan(share.high):
        return ""
    of_whom = f" of {whose}" if count > 1 else ""
    check = "check the order of the classes"
    if has_network:
        check = "check the normalization of the images and the order of the classes"
    samples = images.samples[counted]
    predicted = samples["predicted"].unique()
    if share.is_reliable and len(predicted) == 1 < samples["label"].nunique():
        name = names.class_name(int(predicted[0]))
        return f"All {share.n:,} predictions{of_whom} are {name}: {check}."
    can_be_chance = share.low <= 1 / classes and share.high >= min(_FEW, 1 / classes)
    if share.is_reliable and images.n_named and can_be_chance:
        return (
            f"The predictions{of_whom} are not shown to be right more often than by chance, "
            f"{format_percent(1 / classes)} of {classes:,} classes: {check}."
        )
    if share.high >= _FEW or share.estimate * classes >= 1:
        return ""
    predictions = f"predictions{of_whom}"
    chance = (
        f"Fewer {predictions} are right than by chance, {format_percent(1 / classes)} of "
        f"{classes:,} classes"
    )
    if not has_network:
        return f"{chance}: do labels and predictions have the classes in the same order?"
    if not images.n_named:
        return f"{chance}: do the labels have the order of the network's outputs?"
    return (
        f"{chance}: are the class names in the order of the network's outputs (on the command "
        "line: --class-names)?"
    )


def describe_brackets(all_images: Iterable[Images], names: Names) -> str:
    """Return what the brackets of shares of right predictions are; nothing if none has one."""
    shares = (
        _share_right(images, where, names)
        for images in all_images
        if images.has_labels and images.has_accuracy
        for where in _counted(images, names)
        if where.any()
    )
    if not any(interval for _, interval, _ in shares):
        return ""
    return f"In brackets: the 95 % interval by {names.group}, cut off at 0 % and 100 %."


def _counted(images: Images, names: Names) -> list[NDArray[np.bool_]]:
    """Return the predictions of each share that a sentence has."""
    known = images.correct | images.wrong
    if images.is_multilabel:
        return [known & images.present, known & ~images.present]
    return [known & images.present if names.several else known]


def _describe_sensitivity(images: Images, known: NDArray[np.bool_], names: Names) -> str:
    """Return sensitivity and specificity over all classes of a task with several labels."""
    predictor = one_line(images.model)
    if not names.contents.has_network:
        predictor = f"the given predictions{names.of_model(images.model)}"
    parts = []
    for name, kind, where in (
        ("sensitivity", "target with the object", images.present),
        ("specificity", "target without", ~images.present),
    ):
        if (known & where).any():
            share, interval, count = _share_right(images, known & where, names)
            noun = kind.replace("target", "targets", 1)
            parts.append(f"a {name} of {share}{interval} on {format_count(count, kind, noun)}")
    have = "has" if names.contents.has_network else "have"
    text = f"Over all classes, at a probability of .5, {predictor} {have} {' and '.join(parts)}."
    if len(parts) == 1:
        missing = "specificity" if images.present[known].any() else "sensitivity"
        text += f" The {missing} is not known."
    return text


def _mean_right(images: Images, known: NDArray[np.bool_]) -> Interval:
    """Return the share of right predictions among some images."""
    return mean_interval(images.correct[known].astype(float), images.groups[known], bounds=(0, 1))


def _share_right(images: Images, known: NDArray[np.bool_], names: Names) -> tuple[str, str, int]:
    """Return the share of right predictions among some images, its interval, and their number."""
    share = _mean_right(images, known)
    interval = ""
    if not np.isnan(share.low):
        few = "" if share.is_reliable else f"; only {names.count_groups(share.n_groups)}"
        interval = f" [{format_percent(share.low)}, {format_percent(share.high)}{few}]"
    return format_percent(share.estimate), interval, share.n
