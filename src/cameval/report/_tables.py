"""Tables of scores: methods beside baselines."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.evaluation.meaning import BinarizerMeaning
from cameval.report._format import between, chosen_words, metric_title, name, number, percent
from cameval.report._view import BEST_OF, ROLES, Facts, Role, Score
from cameval.report.sections import Block, Cell, Row, Table

_MOST_EXTRAS = 5


def scored(score: Score | None) -> Cell:
    """Write a mean with its interval."""
    if score is None:
        return Cell("")
    return Cell(number(score.mean), between(score.low, score.high), score.few)


def main_table(facts: Facts) -> Table | None:
    """Return every map under every binarizer, beside the best baselines and the upper bound."""
    headline = facts.headline
    if headline is None or headline not in facts.mask_metrics:
        return None
    bound, higher = facts.bound, facts.higher_is_better(headline)
    roles = [role for role in BEST_OF if role in facts.baselines.values() and higher is not None]
    extras = _extras(facts)
    notes = [f"Scores are means over images{_of_intervals(facts)}"]
    notes += _of_direction(headline, higher)
    if roles:
        notes.append(
            "The best of a kind of baseline is the one with the best mean on these same images "
            "under the same binarizer."
        )
    if bound:
        notes.append(
            f"The {metric_title(bound)} is an upper bound of the {metric_title(headline)} of the "
            "same masks."
        )
    if "truth" in roles:
        notes.append(
            "From the truth: maps made of the true masks. They show what such a map scores, and "
            "are no upper bound: another map may score better."
        )
    if chosen := [name(label) for label in facts.binarizers if facts.chosen(label)]:
        notes.append(
            f"Under {' and '.join(chosen)}, each map and each baseline has the binarizer that was "
            "chosen for it."
        )
    if reference := _reference_area(facts):
        notes.append(reference)
    titles = [
        "map",
        _titled(facts, headline),
        *(BEST_OF[role] for role in roles),
        *([metric_title(bound)] if bound else []),
        *(_titled(facts, extra) for extra in extras),
        *("n", "undefined", "constant maps"),
    ]
    blocks = []
    for model, target_class, binarizer in _parts(facts, facts.binarizers):
        rows = []
        for column in _maps(facts, target_class, binarizer, headline):
            if (score := facts.scores.get((model, column))) is None:
                continue
            cells = [scored(score)]
            cells += [_beside(facts, model, column, role) for role in roles]
            if bound:
                cells.append(_mean(facts.beside(model, column, bound)))
            cells += [scored(facts.beside(model, column, extra)) for extra in extras]
            rows.append(_row(facts, column, [*cells, *_counts(score)]))
        blocks.append(Block(rows, _heading(facts, model, target_class, binarizer)))
    return Table(
        f"{metric_title(headline)} of each map and binarizer",
        titles,
        blocks,
        notes,
        look="lead",
    )


def other_table(facts: Facts) -> Table | None:
    """Return the metrics of masks that the main table does not show."""
    shown = {facts.headline, facts.bound, *_extras(facts)}
    others = [label for label in facts.mask_metrics if label not in shown]
    return _plain(facts, others, facts.binarizers, "Other metrics of masks") if others else None


def threshold_free_table(facts: Facts) -> Table | None:
    """Return the metrics of maps themselves."""
    if not facts.map_metrics:
        return None
    table = _plain(facts, facts.map_metrics, ("",), "Scores of the maps themselves")
    areas = facts.results.samples["area"]
    area = number(float(areas[areas > 0].mean()))
    levels = {"half": ".500", "area": f"the truth's share of the image, here {area} on average"}
    known = [(label, facts.meanings.metric(label)) for label in facts.map_metrics]
    expected: dict[str, list[str]] = {}
    for label, meaning in known:
        if meaning is not None and meaning.chance is not None:
            expected.setdefault(levels[meaning.chance], []).append(metric_title(label))
    chance = [f"{' and '.join(titles)} {level}" for level, titles in expected.items()]
    text = f"Expected of maps that are independent of the truth: {'; '.join(chance)}."
    note = [text] if chance else []
    return replace(table, notes=[*table.notes, *note])


def outcome_table(facts: Facts) -> Table | None:
    """Count the images of each category, of the metrics whose scores are categories."""
    blocks = []
    titles = dict.fromkeys(title for label in facts.outcomes for title in facts.categories(label))
    for label in facts.outcomes:
        for model, target_class, binarizer in _parts(facts, ("", *facts.binarizers)):
            rows = []
            for column in _maps(facts, target_class, binarizer, label):
                if column in facts.results.columns:
                    codes = facts.values(model, column)
                    rows.append(
                        _row(facts, column, _counted(facts.categories(label), codes, titles))
                    )
            heading = [metric_title(label)] if len(facts.outcomes) > 1 else []
            heading += filter(None, [_heading(facts, model, target_class, binarizer)])
            if rows:
                blocks.append(Block(rows, " · ".join(heading)))
    if not blocks:
        return None
    of = f" of {metric_title(facts.outcomes[0])}" if len(facts.outcomes) == 1 else ""
    caption = f"Number of images in each category{of}"
    return Table(caption, ["map", *titles, "undefined"], blocks)


def _counted(
    categories: Sequence[str], codes: NDArray[np.float64], titles: Iterable[str]
) -> list[Cell]:
    """Return the number and the share of each code, under its title."""
    counts = {category: int((codes == code).sum()) for code, category in enumerate(categories)}
    counts["undefined"] = int(np.isnan(codes).sum())
    total = max(1, codes.size)
    return [
        Cell(f"{counts[t]:,}", percent(counts[t] / total)) if t in counts else Cell("")
        for t in (*titles, "undefined")
    ]


# --- Parts --------------------------------------------------------------------------------------
def _plain(facts: Facts, metrics: Sequence[str], binarizers: Sequence[str], caption: str) -> Table:
    blocks = []
    for model, target_class, binarizer in _parts(facts, binarizers):
        rows = []
        for column in _maps(facts, target_class, binarizer, metrics[0]):
            found = [facts.beside(model, column, metric) for metric in metrics]
            if any(score is not None for score in found):
                rows.append(_row(facts, column, [*map(scored, found), *_worst_counts(found)]))
        blocks.append(Block(rows, _heading(facts, model, target_class, binarizer)))
    titles = [_titled(facts, metric) for metric in metrics]
    notes = [f"Scores are means over images{_of_intervals(facts)}"]
    return Table(caption, ["map", *titles, "n", "undefined", "constant maps"], blocks, notes)


def _titled(facts: Facts, metric: str) -> str:
    """Write a metric's title, with its direction where a reader may not expect it."""
    if (bounded := facts.bounded_by(metric)) is not None:
        return f"{metric_title(metric)} (upper bound of {metric_title(bounded)})"
    known = {True: "", False: " (less is better)", None: " (better: not known)"}
    return metric_title(metric) + known[facts.higher_is_better(metric)]


def _extras(facts: Facts) -> list[str]:
    """Return the metrics that the main table shows beside its headline."""
    taken = {facts.headline, facts.bound}
    return [label for label in facts.mask_metrics if label not in taken][:_MOST_EXTRAS]


def _of_direction(metric: str, higher: bool | None) -> list[str]:
    """Say why no baseline is called the best, where the direction of a metric is not known."""
    if higher is not None:
        return []
    return [
        f"It is not known whether more {metric_title(metric)} is better: no baseline is called "
        "the best."
    ]


def _parts(facts: Facts, binarizers: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for model in facts.models:
        for target_class in facts.target_class:
            for binarizer in binarizers:
                yield model, target_class, binarizer


def _maps(facts: Facts, target_class: str, binarizer: str, metric: str) -> Iterator[Column]:
    for method in facts.methods:
        yield Column(target_class, "method", method, binarizer, metric)
    for label, _ in sorted(facts.baselines.items(), key=lambda item: list(ROLES).index(item[1])):
        yield Column(target_class, "baseline", label, binarizer, metric)


def _heading(facts: Facts, model: str, target_class: str, binarizer: str) -> str:
    """Say what is the same in all rows of a block."""
    parts = []
    if len(facts.models) > 1:
        parts.append(name(model))
    if len(facts.target_class) > 1:
        parts.append(f"maps for {facts.target_class_words(target_class)}")
    if binarizer:
        known = facts.meanings.binarizers.get(binarizer)
        alone = known is None or known.setting == binarizer
        parts.append(name(binarizer) if alone else f"{name(binarizer)}: {_stands_for(known)}")
    return " · ".join(parts)


def _stands_for(known: BinarizerMeaning | None) -> str:
    if known is None:
        return ""
    return name(known.setting) if known.origin is None else chosen_words(known.origin)


def _row(facts: Facts, column: Column, cells: Sequence[Cell]) -> Row:
    if column.kind == "method":
        return Row(Cell(name(column.method)), cells, "method")
    role = facts.baselines[column.method]
    look = "truth" if role == "truth" else "baseline"
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
    return [Cell(f"{n:,}") for n in (score.n, score.n_undefined, score.n_constant)]


def _worst_counts(found: Sequence[Score | None]) -> list[Cell]:
    """Return counts for a row of several metrics: a range where they differ."""
    scores = [score for score in found if score is not None]
    cells = []
    for field in ("n", "n_undefined", "n_constant"):
        several = [getattr(score, field) for score in scores]
        low, high = min(several), max(several)
        cells.append(Cell(f"{low:,}" if low == high else f"{low:,} to {high:,}"))
    return cells


def _of_intervals(facts: Facts) -> str:
    if all(np.isnan(score.low) for score in facts.scores.values()):
        return "; there are no intervals, which need two groups with different scores."
    return ", in brackets the 95 % interval by group."


def _reference_area(facts: Facts) -> str:
    known = [(label, facts.meanings.metric(label)) for label in facts.mask_metrics]
    found = [
        (label, m.reference) for label, m in known if m is not None and m.reference is not None
    ]
    return " ".join(
        f"{metric_title(label)}: the IoU that a mask with this recall and false-positive rate "
        f"would have on an object whose share of the image is {number(reference)}."
        for label, reference in found
    )
