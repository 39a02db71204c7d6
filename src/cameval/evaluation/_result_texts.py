"""Results as short texts: for a terminal and a notebook."""

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from cameval.evaluation._contents import Contents, contents_of, count_rows, with_object
from cameval.evaluation._headline import headline_metric, headline_of
from cameval.evaluation._numbers import format_percent, plain_spaces
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import images_by_model, scores_of
from cameval.evaluation._words import counted, map_and_mask, one_line

_MOST_NAMES = 3


def short_text(results: ScoreTable) -> str:
    """Return what results are of, with the best mean of each model, on one line."""
    facts = dict(_facts(results))
    last = [facts.pop(name) for name in ("accuracy", "best mean") if name in facts]
    parts = ", ".join(f"{name} {shown}" for name, shown in facts.items() if name != "samples")
    return f"Results({'; '.join([', '.join(filter(None, [facts['samples'], parts])), *last])})"


def short_page(results: ScoreTable) -> str:
    """Return the same as a small table for a notebook."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(shown)}</td></tr>'
        for name, shown in _facts(results)
    )
    return f"<table><caption>Results</caption>{rows}</table>"


def _facts(results: ScoreTable) -> Iterator[tuple[str, str]]:
    contents = contents_of(results)
    counts = {"sample": (known := count_rows(results)).pop("image"), **known}
    if counts["target"] == counts["sample"]:
        del counts["target"]
    if len(contents.models) > 1:
        counts["model"] = len(contents.models)
    yield "samples", ", ".join(counted(count, name) for name, count in counts.items())
    metrics = dict.fromkeys(column.metric for column in results.columns)
    for name, labels in (
        ("models", contents.models),
        ("methods", contents.methods),
        ("baselines", [*contents.baselines]),
        ("binarizers", [*contents.binarizers]),
        ("metrics", [*metrics]),
    ):
        if labels:
            yield name, _some(labels)
    undefined = int(np.isnan(results.values).sum())
    if undefined:
        yield "undefined values", f"{undefined:,}"
    yield from _accuracies(results, contents)
    yield from _best_means(results, contents)


def _some(labels: Sequence[str]) -> str:
    """Return the first labels, and the number of the others."""
    more = len(labels) - _MOST_NAMES
    shown = ", ".join(one_line(label, 30) for label in labels[:_MOST_NAMES])
    return shown + (f" and {more} more" if more > 0 else "")


def _accuracies(results: ScoreTable, contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the share of right predictions of each model, where it is known."""
    shown = []
    for model, images in images_by_model(results).items():
        if not np.isnan(share := images.accuracy):
            of_model = f"{one_line(model, 30)}: " if len(contents.models) > 1 else ""
            shown.append(f"{of_model}{plain_spaces(format_percent(share))} classified right")
    if shown:
        yield "accuracy", "; ".join(shown)


def _best_means(results: ScoreTable, contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the best mean of the first metric of each model, and what it is called.

    If binarizers were chosen on other images, it is the best with these.
    """
    metric = headline_metric(contents)
    if metric is None:
        return
    table = with_object(results, contents).select(metric=metric)
    contents = contents_of(table)
    scores = scores_of(table, contents)
    headline = headline_of(contents, scores)
    means = []
    for model, column in headline.columns.items():
        of_model = f"{one_line(model, 30)}: " if len(contents.models) > 1 else ""
        mean = scores.by_column[model, column].mean
        means.append(f"{of_model}mean {contents.title(metric)} {mean:.3f} ({map_and_mask(column)})")
    if means:
        yield "best mean", "; ".join(means)
