"""Answers to reviewers about the analysis: tuning, metrics, intervals, baselines, tests, time."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cameval.evaluation._comparisons import ALPHA, FAMILY
from cameval.evaluation._headline import is_binarizer_chosen_here
from cameval.evaluation._left_out import LeftOut
from cameval.evaluation._scores import ROLES
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import Column, MetricMeaning
from cameval.report._answers import Answer, Known, capital
from cameval.report._choices import describe_choice, method_choice
from cameval.report._names import Names, join_words
from cameval.report.formatting import format_count
from cameval.statistics import ENOUGH_GROUPS

# --- Tuning and metrics ---------------------------------------------------------------------------


def answer_tuning(known: Known) -> Answer:
    """Answer what was chosen by scores, and on which images."""
    contents, headline = known.contents, known.headline
    sentences: list[str] = []
    method = method_choice(contents, headline, known.runs)
    for name, label in (("binarizer", headline.binarizer), ("method", headline.method)):
        is_chosen = (
            method is not None
            if name == "method"
            else label is not None and contents.binarizers[label].origin is not None
        )
        if label is not None and not is_chosen:
            sentences.append(
                f"The {name} {one_line(label)} was given to the report as fixed before the scores."
            )
    told: dict[str, list[str]] = {}
    for model, column in headline.columns.items():
        of_model = describe_choice(
            column,
            headline.candidates[model],
            contents.binarizers.get(column.binarizer),
            known.names,
            has_direction=headline.meaning.higher_is_better is not None,
            method=None if method is None else method.of_model(model),
        )
        told[model] = [*of_model]
    are_alike = all(one == next(iter(told.values())) for one in told.values())
    if method is not None and are_alike:
        told = {"": next(iter(told.values()))}
    for model, of in told.items():
        sentences += [known.names.with_model(model, one) if model else one for one in of]
    choices = list(_choices(known))
    compared = {
        "methods": list(contents.methods),
        "binarizers": [k for k, one in contents.binarizers.items() if one.origin is None],
        "combinations": {model: len(of) for model, of in headline.candidates.items()},
    }
    several = len(contents.methods) > 1 or len(compared["binarizers"]) > 1
    if not choices and several:
        methods = format_count(len(contents.methods), "method")
        binarizers = format_count(len(contents.binarizers), "binarizer")
        sentences.append(
            f"{methods} and {binarizers} are compared in the same tables, without a choice on "
            "other images."
        )
    sentences += [
        f"The choice {one_line(one['label'])} was made on {format_count(one['images'], 'image')}."
        for one in choices
        if one["images"] is not None and (method is None or one["label"] != method.label)
    ]
    if left_out := LeftOut.of(known.targets.everything):
        sentences.append(f"Evaluated, and not in this table: {left_out}.")
    if not sentences:
        pair = "one method and one binarizer were" if contents.binarizers else "one method was"
        sentences.append(f"In this run {pair} evaluated; earlier runs are not recorded.")
    tuned = "network, layer, methods or preparation" if contents.has_network else "the maps"
    sentences.append(f"Whether {tuned} were tuned on these images is not recorded.")
    values = {
        "fixed_binarizer": headline.binarizer,
        "fixed_method": headline.method,
        "method_chosen": None if method is None else method.records(),
        "compared": compared,
        "choices": choices,
        "left_out": asdict(left_out),
    }
    return Answer("tuning", "What was tuned, and where?", sentences, values)


def _choices(known: Known) -> Iterator[dict[str, Any]]:
    """Yield each label of chosen binarizers: on which images, how many, and by which metric."""
    recorded = [run.get("chosen") or {} for run in known.runs]
    for label, meaning in known.contents.binarizers.items():
        if meaning.origin is None:
            continue
        counts = {one[label].get("images") for one in recorded if label in one}
        yield {
            "label": label,
            "chosen_on": meaning.origin.chosen_on,
            "metric": meaning.origin.metric,
            "by": meaning.origin.by,
            "images": counts.pop() if len(counts) == 1 else None,
        }


def metrics_of(known: Known) -> dict[str, MetricMeaning]:
    """Return the metrics of the page with their meanings, in the order of its tables."""
    contents = known.contents
    return {**contents.averaged_metrics, **contents.conventions, **contents.category_metrics}


def answer_metrics(known: Known) -> Answer:
    """Answer what the metrics are about, and which are not there."""
    metrics = metrics_of(known)
    by_aspect: dict[str, list[str]] = {}
    for label, meaning in metrics.items():
        aspect = "not documented" if meaning.question is None else meaning.question.aspect
        by_aspect.setdefault(aspect, []).append(known.contents.title(label))
    parts = [f"{aspect}: {', '.join(titles)}" for aspect, titles in by_aspect.items()]
    sentences = [f"{capital('; '.join(parts))}."] if parts else ["No metric."]
    wanted = ["overlap", "border", "objects"] + ["faithfulness"] * known.contents.has_network
    checks, sub_sample = known.targets.everything.sanity, None
    if checks is not None:
        sub_sample = int(checks.scores.samples["sample"].nunique())
        sentences.append(f"Sanity checks were made on {format_count(sub_sample, 'image')}.")
        if any(one.takes == "network" for one in checks.scores.meanings.metrics.values()):
            by_aspect.setdefault("faithfulness", [])
    if absent := [one for one in wanted if one not in by_aspect]:
        sentences.append(f"No metric is about {join_words(absent, 'or')}.")
    falling = [
        known.contents.title(label)
        for label, one in metrics.items()
        if one.question is not None and one.question.falls_with_size and one.bounds is None
    ]
    if falling:
        sentences.append(
            "Of equally well placed maps, those of smaller objects score lower in "
            f"{join_words(falling)}."
        )
    sentences.append("The table below has the question of each.")
    records = [_metric_record(label, one) for label, one in metrics.items()]
    values = {"metrics": records, "images_with_sanity_checks": sub_sample}
    return Answer("metrics", "Which metrics, and why?", sentences, values)


def _metric_record(label: str, meaning: MetricMeaning) -> dict[str, Any]:
    question = meaning.question
    return {
        "label": label,
        "setting": meaning.setting,
        "takes": meaning.takes,
        "truth": meaning.truth,
        "higher_is_better": meaning.higher_is_better,
        "value_range": meaning.value_range,
        "chance": meaning.chance,
        "bounds": meaning.bounds,
        "aspect": None if question is None else question.aspect,
        "question": None if question is None else question.question,
        "misleads": None if question is None else question.misleads,
        "falls_with_size": None if question is None else question.falls_with_size,
    }


# --- Intervals, tests, computing -------------------------------------------------------


def answer_intervals(known: Known) -> Answer:
    """Answer how intervals are computed, and which may be too narrow."""
    names, groups = known.names, int(known.targets.scored.samples["group"].nunique())
    means = [one for one in known.scores.by_column.values() if not np.isnan(one.mean)]
    without = sum(bool(np.isnan(one.low) or np.isnan(one.high)) for one in means)
    few = sum(one.has_few_groups and not np.isnan(one.low) for one in means)
    sentences = [
        f"95 %, by {names.group}: each end is the farther one of Student's t, with a "
        "cluster-robust variance and Satterthwaite's degrees of freedom, and of a score interval, "
        "Wilson's for shares.",
        f"{names.count_groups(groups)} have a scored target."
        if groups != 1
        else f"There is one {names.group}, so that no mean has an interval.",
    ]
    if few:
        sentences.append(
            f"{few:,} of {format_count(len(means), 'mean')} are of fewer than {ENOUGH_GROUPS} "
            f"{names.groups}: their intervals are marked *, and may be too narrow."
        )
    elif groups > 1:
        sentences.append(
            f"An interval of fewer than {ENOUGH_GROUPS} {names.groups}, as of a class, is marked * "
            "and may be too narrow."
        )
    if without and groups > 1:
        sentences.append(f"{without:,} of {format_count(len(means), 'mean')} have no interval.")
    images = int(known.targets.scored.samples["sample"].nunique())
    if images == groups > 1:
        one = "patient" if names.group == "group" else names.group
        sentences.append(
            f"Each image is {names.a_group}: if several are of one {one}, the intervals are too "
            "narrow."
        )
    values = {
        "confidence": 0.95,
        "unit": "group",
        "groups": groups,
        "means": len(means),
        "of_few_groups": few,
        "without_interval": without,
        "fewer_than": ENOUGH_GROUPS,
        "nouns": dict(names.nouns),
    }
    return Answer("intervals", "How were intervals computed?", sentences, values)


_CHOSEN_HERE = "The binarizer was chosen by these same scores, which p does not take into account."


def _sign_flips(names: Names) -> str:
    return f"by flipping the signs of whole {names.groups}"


def answer_baselines(known: Known) -> Answer:
    """Answer which baselines there are, and from which of them a difference was tested."""
    contents = known.contents
    blind = [label for label, role in contents.baselines.items() if role == "nothing"]
    others = [
        f"{one_line(label)} ({ROLES[role]})"
        for label, role in contents.baselines.items()
        if role != "nothing"
    ]
    sentences = [
        f"Blind baselines, which see nothing: {', '.join(map(one_line, blind))}."
        if blind
        else "No blind baseline was evaluated."
    ]
    if others:
        sentences.append(f"Other baselines, by what they know: {', '.join(others)}.")
    compared = [_compared_with(known, *best) for best in known.headline.columns.items()]
    if contents.baselines:
        sentences += [
            known.names.with_model(str(one["model"]), _describe_compared(known, one))
            for one in compared
        ]
    values = {"baselines": dict(contents.baselines), "compared": compared}
    return Answer("baselines", "What were the maps compared with?", sentences, values)


def _compared_with(known: Known, model: str, column: Column) -> dict[str, Any]:
    """Return the best blind baseline of a model, and the baselines that are tested."""
    contents = known.contents
    best = known.scores.best_baseline(model, column, "nothing")
    tested = [
        label
        for label in contents.baselines
        if any(
            one.second == label and not np.isnan(one.p)
            for one in known.family.select("method", model)
        )
    ]
    return {
        "model": model,
        "target_class": column.target_class,
        "binarizer": column.binarizer,
        "metric": column.metric,
        "best_blind": None if best is None else best.method,
        "test": "sign flips of groups" if tested else None,
        "tested": tested,
        "not_tested": [label for label in contents.baselines if label not in tested],
    }


def _describe_compared(known: Known, one: Mapping[str, Any]) -> str:
    """Return what was compared in one sentence or more."""
    masks = f" of masks by {one_line(one['binarizer'])}" if one["binarizer"] else " of maps"
    parts = []
    if one["tested"]:
        tested = join_words([one_line(label) for label in one["tested"]])
        each = "each method is" if len(known.contents.methods) > 1 else "the method is"
        parts.append(
            f"in {known.headline.title}{masks}, {each} tested against {tested} "
            f"{_sign_flips(known.names)}."
        )
    if one["not_tested"]:
        labels = join_words([one_line(label) for label in one["not_tested"]], "or")
        parts.append(f"A difference from {labels} is not tested.")
    if one["best_blind"] is not None:
        parts.append(
            f"The best blind baseline{masks} is {one_line(one['best_blind'])}, chosen by its mean "
            "on these same images."
        )
    return capital(" ".join(parts))


def answer_tests(known: Known) -> Answer:
    """Answer how many tests there are, and how they are adjusted."""
    family, headline = known.family, known.headline
    size = family.size
    clear = sum(one.p < ALPHA for one in family.comparisons)
    few = sum(not np.isnan(one.p) and one.least >= ALPHA for one in family.comparisons)
    chosen = any(
        is_binarizer_chosen_here(known.contents, headline, column)
        for column in headline.columns.values()
    )
    metrics = list(
        dict.fromkeys(known.contents.title(one.column.metric) for one in family.comparisons)
    ) or [headline.title]
    if not size:
        sentences = ["No difference was tested."]
    else:
        adjusted = "; p is adjusted by Holm's method for all of them" if size > 1 else ""
        sentences = [
            f"{format_count(size, 'paired test')} of {join_words(metrics)}, "
            f"{_sign_flips(known.names)}"
            f"{adjusted}.",
            f"p is below .05 in {clear:,}.",
            *([f"In {few:,} the {known.names.groups} are too few for that."] if few else []),
            *([_CHOSEN_HERE] * chosen),
            "Other differences on the page are not tested.",
        ]
    values = {
        "tests": size,
        "family": FAMILY,
        "metric": headline.metric if size else None,
        "correction": "Holm" if size > 1 else None,
        "alpha": ALPHA,
        "p_holm_below_alpha": clear,
        "with_too_few_groups": few,
        "binarizer_chosen_by_these_scores": chosen,
        "comparisons": family.records(),
    }
    return Answer("tests", "Which tests, in which family?", sentences, values)


def answer_computing(known: Known) -> Answer:
    """Answer the computing time of each run, where, and by which versions."""
    found = [_computing_of(run) for run in known.runs]
    sentences = [
        f"{known.names.with_model(str(one['model']), _describe_time(one))}." for one in found
    ]
    if any(one["batches_timed"] for one in found):
        sentences.append(
            "This is the wall time of reading, maps and scores; training, sanity checks and this "
            "report are not included."
        )
    versions: Mapping[str, Any] = next((one["versions"] for one in found if one["versions"]), {})
    if versions:
        parts = [f"{one_line(name)} {one_line(version)}" for name, version in versions.items()]
        sentences.append(f"{', '.join(parts)}.")
    return Answer("computing", "How long did it take, and with what?", sentences, {"runs": found})


def _computing_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run has recorded of its computing time; None where it has not."""
    settings: Mapping[str, Any] = run.get("settings") or {}
    time: Mapping[str, Any] = run.get("computing") or {}
    images, size = settings.get("samples"), settings.get("batch_size")
    return {
        "model": settings.get("model"),
        "seconds": time.get("seconds"),
        "batches_timed": time.get("batches"),
        "batches": -(-images // size) if images and size else None,
        "sessions": time.get("sessions"),
        "processes": run.get("processes"),
        "threads": settings.get("threads"),
        "device": run.get("device"),
        "started": run.get("started"),
        "seed": settings.get("seed"),
        "versions": settings.get("versions") or {},
    }


def _describe_time(one: Mapping[str, Any]) -> str:
    timed, batches = one["batches_timed"], one["batches"]
    parts = ["Computing time is not recorded"]
    if timed:
        parts = [format_duration(one["seconds"])]
        if batches is not None and timed != batches:
            parts[0] += f" for {timed:,} of {format_count(batches, 'batch', 'batches')}"
        if (one["processes"] or 1) > 1:
            parts.append(f"summed over {one['processes']} processes")
    if one["device"]:
        parts.append(f"on {one_line(one['device'])}")
    if one["threads"]:
        parts.append(format_count(one["threads"], "thread"))
    return ", ".join(parts)


def format_duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours.

    Examples
    --------
    >>> from cameval.report._answers_on_analysis import format_duration
    >>> format_duration(0.04), format_duration(12.34), format_duration(125), format_duration(7300)
    ('0.04 s', '12 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
