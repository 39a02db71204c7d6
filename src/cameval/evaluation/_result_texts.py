"""Results as short texts: for a terminal, a notebook and LaTeX."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape

import numpy as np
import pandas as pd

from cameval.errors import SettingError
from cameval.evaluation._contents import Contents, contents_of, with_object
from cameval.evaluation._headline import headline_metric, headline_of
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import scores_of
from cameval.evaluation._summaries import NUMBERS
from cameval.evaluation._words import map_and_mask, metric_title, one_line

_MOST_NAMES = 3


# --- Terminal and notebook ----------------------------------------------------------------------
def short_text(results: ScoreTable) -> str:
    """Return what results are of, with the best mean of each model, on one line."""
    facts = dict(_facts(results))
    means = facts.pop("best mean", "")
    parts = ", ".join(f"{name} {shown}" for name, shown in facts.items() if name != "samples")
    return f"Results({facts['samples']}, {parts}{'; ' * bool(means)}{means})"


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
    n = len(results.samples[["model", "sample"]].drop_duplicates())
    samples = f"{n:,} sample{'s' * (n != 1)}"
    yield "samples", samples if n == len(results) else f"{samples}, {len(results):,} targets"
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
    if means := "; ".join(_best_means(results, contents)):
        yield "best mean", means


def _some(labels: Sequence[str]) -> str:
    """Return the first labels, and the number of the others."""
    more = len(labels) - _MOST_NAMES
    shown = ", ".join(one_line(label, 30) for label in labels[:_MOST_NAMES])
    return shown + (f" and {more} more" if more > 0 else "")


def _best_means(results: ScoreTable, contents: Contents) -> Iterator[str]:
    """Yield the best mean of the first metric of each model."""
    metric = headline_metric(contents)
    if metric is None:
        return
    table = with_object(results, contents).select(metric=metric)
    contents = contents_of(table)
    scores = scores_of(table, contents)
    for model, column in headline_of(contents, scores).columns.items():
        of_model = f"{one_line(model, 30)}: " if len(contents.models) > 1 else ""
        mean = scores.by_column[model, column].mean
        yield f"{of_model}mean {metric_title(metric)} {mean:.3f} ({map_and_mask(column)})"


# --- LaTeX --------------------------------------------------------------------------------------
_MAP = ("model", "target_class", "kind", "method", "binarizer")


_FIELD = re.compile(rf"\b({'|'.join(NUMBERS)})\b")


_SPECIAL = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def latex_table(results: ScoreTable, cell: str) -> str:
    """Return the summary as a table of LaTeX, as `Results.to_latex`."""
    if not isinstance(cell, str) or not _FIELD.search(cell):
        raise SettingError(
            f"cell must have at least one number of the summary ({', '.join(NUMBERS)}), got "
            f"{cell!r}"
        )
    contents = contents_of(results)
    metrics = [m for m in _metrics_of(results) if m in contents.averaged_metrics]
    if not metrics:
        raise SettingError("a table needs a metric whose scores are averaged, got none")
    summary = results.select(metric=metrics).summary()
    keys = ["model"] * (len(contents.models) > 1)
    keys += ["target_class"] * (len(contents.target_classes) > 1)
    keys += ["method"] + ["binarizer"] * bool(contents.binarizers)
    heads = [escape_latex(key.replace("_", " ")) for key in keys]
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(keys)}{'r' * len(metrics)}}}",
        r"\toprule",
        " & ".join([*heads, *(escape_latex(metric_title(m)) for m in metrics)]) + r" \\",
    ]
    before = None
    rows = summary.groupby([*_MAP], sort=False)
    for key, part in rows:
        named = dict(zip(_MAP, key, strict=True))
        block = named["model"], named["target_class"], named["kind"]
        if block != before:
            lines.append(r"\midrule")
            before = block
        by_metric = {row["metric"]: row for _, row in part.iterrows()}
        cells = [_guarded(escape_latex(str(named[name]))) for name in keys]
        cells += [_cell(cell, by_metric[m]) if m in by_metric else "" for m in metrics]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def escape_latex(text: str) -> str:
    r"""Return a name as LaTeX writes it.

    Examples
    --------
    >>> from cameval.evaluation._result_texts import escape_latex
    >>> print(escape_latex("grad_cam & 50 %"))
    grad\_cam \& 50 \%
    """
    return "".join(_SPECIAL.get(c, c) for c in one_line(text))


def _metrics_of(results: ScoreTable) -> list[str]:
    return list(dict.fromkeys(asdict(column)["metric"] for column in results.columns))


def _guarded(name: str) -> str:
    r"""Return a name that is no argument of the ``\\`` before it."""
    return f"{{}}{name}" if name.startswith(("[", "*")) else name


def _cell(cell: str, row: "pd.Series[float]") -> str:
    """Return the numbers of a cell; an interval without ends is left out."""
    shown = _FIELD.sub(lambda found: _number(row[found[1]]), cell)
    return re.sub(r"\s*[\[(]--, --[\])]", "", shown)


def _number(value: float) -> str:
    if np.isnan(value):
        return "--"
    if isinstance(value, int | np.integer):
        return str(value)
    text = f"{abs(value):.3f}" if abs(value) < 9.9995 else f"{abs(value):.1f}"
    sign = "$-$" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)
