"""Undefined scores by reason, and constant maps."""

from collections import Counter
from typing import Any

import numpy as np

from cameval.evaluation import REASONS, Results
from cameval.evaluation.meaning import CONSTANT
from cameval.report._names import Names, first_names, metric_title, one_line
from cameval.report.sections import Block, Cell, Row, Table


def undefined_table(results: Results) -> Table | None:
    """Count the undefined scores by metric and reason; metrics with the same counts share a row."""
    reasons = results.codes & ~np.uint8(CONSTANT)
    present = [code for code in range(1, len(REASONS)) if (reasons == code).any()]
    if not present:
        return None
    titles_by_counts: dict[tuple[Any, ...], list[str]] = {}
    n_metrics: Counter[str] = Counter()
    for kind, binarizer, metric in dict.fromkeys(
        (c.kind, c.binarizer, c.metric) for c in results.columns
    ):
        at = [
            k
            for k, c in enumerate(results.columns)
            if (c.kind, c.binarizer, c.metric) == (kind, binarizer, metric)
        ]
        here = reasons[:, at]
        counts = tuple(int((here == code).sum()) for code in present)
        title = metric_title(metric) + (f", {one_line(binarizer)}" if binarizer else "")
        samples = results.samples["sample"][(here > 0).max(1)]
        key = kind, counts, here.size, first_names(samples)
        titles_by_counts.setdefault(key, []).append(title)
        n_metrics[kind] += 1
    rows = []
    for (kind, counts, size, samples), titles in titles_by_counts.items():
        if any(counts):
            every = len(titles) == n_metrics[kind]
            head = "all metrics" if every and len(titles) > 1 else "; ".join(titles)
            maps = f"{kind}s" + (", each" if len(titles) > 1 else "")
            cells = [*(Cell(f"{n:,}") for n in counts), Cell(f"{size:,}"), Cell(samples)]
            rows.append(Row(Cell(head, maps), cells))
    return Table(
        "Undefined scores, by reason",
        ["metric", *(REASONS[code] for code in present), "of", "images"],
        [Block(rows)],
        ["Means leave undefined scores out. Counts are over all maps and models."],
        look="words",
    )


def constant_table(results: Results, names: Names) -> Table | None:
    """Return which methods and baselines give constant maps, and on how many images."""
    contents = names.contents
    constant = (results.codes & CONSTANT) > 0
    rows = []
    for model in contents.models:
        of_model = (results.samples["model"] == model).to_numpy()
        for target_class, kind, method in dict.fromkeys(
            (c.target_class, c.kind, c.method) for c in results.columns
        ):
            at = [
                (c.target_class, c.kind, c.method) == (target_class, kind, method)
                for c in results.columns
            ]
            where = constant[:, at].any(1) & of_model
            if where.any():
                parts = [one_line(method)]
                parts += [one_line(model)] * (len(contents.models) > 1)
                parts += [names.target_class(target_class)] * (len(contents.target_classes) > 1)
                cells = [
                    Cell(f"{int(where.sum()):,}"),
                    Cell(f"{int(of_model.sum()):,}"),
                    Cell(first_names(results.samples["sample"][where])),
                ]
                rows.append(Row(Cell(", ".join(parts), f"{kind}"), cells))
    if not rows:
        return None
    return Table(
        "Constant maps",
        ["map", "constant", "of", "images"],
        [Block(rows)],
        ["A constant map has no highest value. Binarizers of cameval give an empty mask for it."],
        look="words",
    )
