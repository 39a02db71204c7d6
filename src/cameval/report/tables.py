"""The page's tables of scores: every method beside the baselines, with and without a threshold."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cameval.evaluation import Column
from cameval.metrics.outcome import OUTCOMES, count_outcomes
from cameval.report.cells import Block, Cell, Row, Table
from cameval.report.facts import Facts
from cameval.report.roles import ROLES, Role
from cameval.report.scores import Score
from cameval.report.text import between, metric_title, name, number, percent

__all__ = [
    "main_table",
    "other_table",
    "outcome_table",
    "scored",
    "threshold_free_table",
]

_EXTRAS = ("size_standardized_iou", "coverage", "precision", "informedness")
_MOST_EXTRAS = 5
_BESIDE: dict[Role, str] = {
    "blind": "best blind map",
    "image": "best of image alone",
    "other": "best baseline",
    "ceiling": "ceiling",
}


def scored(score: Score | None) -> Cell:
    """Write a mean with its interval."""
    return Cell("") if score is None else Cell(number(score.mean), between(score.low, score.high))


def main_table(facts: Facts) -> Table | None:
    """Return every map under every binarizer, beside what it is held against."""
    headline = facts.headline
    if headline is None or headline not in facts.mask_metrics:
        return None
    cap = facts.labeled("area_cap")
    roles = [role for role in _BESIDE if role in facts.baselines.values()]
    extras = _extras(facts)
    notes = [f"Scores are means over images{_of_intervals(facts)}"]
    if facts.less_is_better(headline):
        notes.append(f"Of {metric_title(headline)}, less is better.")
    if roles:
        notes.append("Best of each kind of baseline is taken under the same binarizer.")
    if cap and cap != headline:
        notes.append("Area cap: the highest IoU that masks of these areas could reach.")
    if "ceiling" in roles:
        notes.append(
            "Ceiling: the truth itself on the network's own grid, through the same binarizer."
        )
    if chosen := [name(label) for label in facts.binarizers if facts.chosen(label)]:
        notes.append(
            f"But under {' and '.join(chosen)} each map and each baseline has the binarizer that "
            "was chosen for it."
        )
    if reference := _reference_area(facts):
        notes.append(reference)
    titles = [
        "map",
        metric_title(headline),
        *(_BESIDE[role] for role in roles),
        *(["area cap"] if cap and cap != headline else []),
        *map(metric_title, extras),
        *("n", "undefined", "constant maps"),
    ]
    blocks = []
    for model, explained, binarizer in _parts(facts, facts.binarizers):
        rows = []
        for column in _maps(facts, explained, binarizer, headline):
            if (score := facts.scores.get((model, column))) is None:
                continue
            cells = [scored(score)]
            cells += [_beside(facts, model, column, role) for role in roles]
            if cap and cap != headline:
                cells.append(_mean(facts.beside(model, column, cap)))
            cells += [scored(facts.beside(model, column, extra)) for extra in extras]
            rows.append(_row(facts, column, [*cells, *_counts(score)]))
        blocks.append(Block(rows, _heading(facts, model, explained, binarizer)))
    return Table(
        f"{metric_title(headline)} of each map and binarizer, beside its baselines",
        titles,
        blocks,
        notes,
        look="lead",
    )


def other_table(facts: Facts) -> Table | None:
    """Return the metrics of masks that the main table has no room for."""
    shown = {facts.headline, facts.labeled("area_cap"), *_extras(facts)}
    others = [label for label in facts.mask_metrics if label not in shown]
    return _plain(facts, others, facts.binarizers, "Other metrics of masks") if others else None


def threshold_free_table(facts: Facts) -> Table | None:
    """Return the metrics of maps themselves."""
    if not facts.map_metrics:
        return None
    table = _plain(facts, facts.map_metrics, ("",), "Scores of the maps themselves")
    area = number(float(facts.results.samples["area"].mean()))
    chance = {
        "pixel_auroc": "AUROC: .500",
        "pixel_average_precision": f"AP: the truth's share of the image, here {area} on average",
        "pointing_game": f"pointing game: the same share, {area}",
    }
    levels = [text for metric, text in chance.items() if facts.labeled(metric)]
    note = [f"What chance scores. {'; '.join(levels)}."] if levels else []
    return replace(table, notes=[*table.notes, *note])


def outcome_table(facts: Facts) -> Table | None:
    """Count what became of the objects."""
    blocks = []
    for label in facts.outcomes:
        for model, explained, binarizer in _parts(facts, facts.binarizers):
            rows = []
            for column in _maps(facts, explained, binarizer, label):
                if column in facts.results.columns:
                    counts = count_outcomes(facts.values(model, column))
                    total = max(1, sum(counts.values()))
                    cells = [Cell(f"{n:,}", percent(n / total)) for n in counts.values()]
                    rows.append(_row(facts, column, cells))
            heading = _heading(facts, model, explained, binarizer)
            several = len(facts.outcomes) > 1
            blocks.append(Block(rows, f"{name(label)} · {heading}" if several else heading))
    if not blocks:
        return None
    return Table(
        "What the masks are to the truth: number of images",
        ["map", *OUTCOMES, "undefined"],
        blocks,
        [
            "The first that holds. Match: the masks agree. Miss: the truth is hardly touched. "
            "Includes: the mask holds the truth and much more. Inside: the mask is a small part of "
            "the truth. Partial: none of these."
        ],
    )


# --- Parts --------------------------------------------------------------------------------------


def _plain(facts: Facts, metrics: Sequence[str], binarizers: Sequence[str], caption: str) -> Table:
    blocks = []
    for model, explained, binarizer in _parts(facts, binarizers):
        rows = []
        for column in _maps(facts, explained, binarizer, metrics[0]):
            found = [facts.beside(model, column, metric) for metric in metrics]
            if any(score is not None for score in found):
                rows.append(_row(facts, column, [*map(scored, found), *_worst_counts(found)]))
        blocks.append(Block(rows, _heading(facts, model, explained, binarizer)))
    titles = [metric_title(m) + (" (less is better)" * facts.less_is_better(m)) for m in metrics]
    notes = [f"Scores are means over images{_of_intervals(facts)}"]
    return Table(caption, ["map", *titles, "n", "undefined", "constant maps"], blocks, notes)


def _extras(facts: Facts) -> list[str]:
    """Return the metrics that the main table shows beside its headline."""
    taken = {facts.headline, facts.labeled("area_cap")}
    first = [found for metric in _EXTRAS if (found := facts.labeled(metric))]
    several = dict.fromkeys([*first, *facts.mask_metrics])
    return [label for label in several if label not in taken and label in facts.mask_metrics][
        :_MOST_EXTRAS
    ]


def _parts(facts: Facts, binarizers: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for model in facts.models:
        for explained in facts.explained:
            for binarizer in binarizers:
                yield model, explained, binarizer


def _maps(facts: Facts, explained: str, binarizer: str, metric: str) -> Iterator[Column]:
    for method in facts.methods:
        yield Column(explained, "method", method, binarizer, metric)
    for label, _ in sorted(facts.baselines.items(), key=lambda item: list(ROLES).index(item[1])):
        yield Column(explained, "baseline", label, binarizer, metric)


def _heading(facts: Facts, model: str, explained: str, binarizer: str) -> str:
    """Say what is the same in all rows of a block."""
    parts = []
    if len(facts.models) > 1:
        parts.append(name(model))
    if len(facts.explained) > 1:
        parts.append(f"class explained: {name(explained)}")
    if binarizer:
        described = facts.setting("binarizers", binarizer)
        same = described == binarizer
        parts.append(name(binarizer) if same else f"{name(binarizer)}: {name(described)}")
    return " · ".join(parts)


def _row(facts: Facts, column: Column, cells: Sequence[Cell]) -> Row:
    if column.kind == "method":
        return Row(Cell(name(column.method)), cells, "method")
    role = facts.baselines[column.method]
    look = "ceiling" if role == "ceiling" else "baseline"
    return Row(Cell(name(column.method), ROLES[role]), cells, look)


def _beside(facts: Facts, model: str, column: Column, role: Role) -> Cell:
    if column.kind == "baseline":
        return Cell("")
    best = facts.best_baseline(model, column, role)
    if best is None:
        return Cell("")
    return Cell(number(facts.scores[model, best].mean), name(best.method, 24))


def _mean(score: Score | None) -> Cell:
    return Cell("") if score is None else Cell(number(score.mean))


def _counts(score: Score) -> list[Cell]:
    return [Cell(f"{n:,}") for n in (score.n, score.n_undefined, score.n_degenerate)]


def _worst_counts(found: Sequence[Score | None]) -> list[Cell]:
    """Return counts for a row of several metrics: a range where they differ."""
    scores = [score for score in found if score is not None]
    cells = []
    for field in ("n", "n_undefined", "n_degenerate"):
        several = [getattr(score, field) for score in scores]
        low, high = min(several), max(several)
        cells.append(Cell(f"{low:,}" if low == high else f"{low:,} to {high:,}"))
    return cells


def _of_intervals(facts: Facts) -> str:
    if all(np.isnan(score.low) for score in facts.scores.values()):
        return "; there are no intervals, for which at least two groups are needed."
    return ", in brackets the 95 % interval, for which whole groups are resampled."


def _reference_area(facts: Facts) -> str:
    label = facts.labeled("size_standardized_iou")
    described = facts.setting("metrics", label) if label else ""
    if not label:
        return ""
    reference = described.partition("reference=")[2].partition(")")[0].partition(",")[0] or "0.05"
    return (
        "sIoU: the IoU that these rates of hits and false alarms would give on an object whose "
        f"share of the image is {name(reference, 12).removeprefix('0')}."
    )
