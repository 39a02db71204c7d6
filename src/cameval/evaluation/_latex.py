"""Summaries of results as tables of LaTeX."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from cameval._names import near_names
from cameval.errors import SettingError
from cameval.evaluation._choice_words import ChoiceWords
from cameval.evaluation._contents import Contents, Role, contents_of, count_rows
from cameval.evaluation._label_words import LabelWords
from cameval.evaluation._left_out import LeftOut
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import ROLES
from cameval.evaluation._summaries import NUMBERS
from cameval.evaluation._undefined import Fewer, describe_fewer, is_due_to_maps, reasons_of_summary
from cameval.evaluation._words import counted, one_line
from cameval.evaluation.meaning import MetricMeaning
from cameval.statistics import ENOUGH_GROUPS

_MAP = ("model", "target_class", "kind", "method", "binarizer")


_HEADINGS: dict[Role, str] = {
    "nothing": "blind baselines",
    "labels": "baselines that use labels or predictions",
    "image": "baselines that use the image",
    None: "baselines that do not state what they use",
    "truth": "baselines that use the truth",
}


_WORD = re.compile(r"(?<![\\\w])[A-Za-z_]\w*")


_FIELD = re.compile(rf"(?<![\\\w])({'|'.join(NUMBERS)})\b")


_OF_DEFINED = {"mean", "low", "high", "macro", "median", "q25", "q75"}
"""Numbers of the scores that are defined."""


_INTERVAL = re.compile(r"(?<![\\\w])(low|high)\b")


_LIKE = 0.65  # of 1, as difflib counts: "lo" and "hi" are like "low" and "high"


_SPECIAL = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def latex_table(
    results: ScoreTable,
    cell: str,
    by: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> str:
    """Return the summary as a table of LaTeX, as `Results.to_latex`."""
    _check_cell(cell)
    contents = contents_of(results)
    of_results = dict.fromkeys(column.metric for column in results.columns)
    metrics = [m for m in of_results if m in contents.averaged_metrics]
    if not metrics:
        raise SettingError("a table needs a metric whose scores are averaged, got none")
    averaged = results.select(metric=metrics)
    summary, reasons = averaged.summary(by), reasons_of_summary(averaged, by)
    words = LabelWords(names or {}, results.class_names, results.meanings)
    of_maps = [words.metric(m) for m in metrics if m in contents.map_metrics]
    binarizers = set(summary["binarizer"]) - {""}
    is_merged = len(binarizers) == 1 and bool(of_maps)
    if is_merged:  # metrics of maps and of masks share the row of a map
        summary["binarizer"] = binarizers.pop()
    parts = list(dict.fromkeys(_part(row, by) for _, row in summary.iterrows()))
    keys = ["model"] * (len(contents.models) > 1)
    keys += ["target_class"] * (len(contents.target_classes) > 1)
    keys += ["method"] + ["binarizer"] * bool(contents.binarizers)
    titles = {metric: contents.title(metric) for metric in metrics}
    table = _Table(cell, keys, titles, parts, names or {}, bool(by), contents.averaged_metrics)
    body, marked = [], False
    fewer: dict[str, list[Fewer]] = {}
    most = {model: _most_rows(part, by) for model, part in summary.groupby("model", sort=False)}
    before: object = None
    for key, part in _rows(summary, contents):
        block = key["model"], key["target_class"], _kind(key, contents)
        if block != before:
            body += [r"\midrule", *table.heading(block[-1])]
            before = block
        numbers = {(row["metric"], _part(row, by)): row for _, row in part.iterrows()}
        less = table.find_fewer(numbers, most[key["model"]], reasons)
        for (metric, _), one in less.items():
            fewer.setdefault(metric, []).append(one)
        body.append(table.row(key, numbers, less))
        marked = marked or any(map(table.is_marked, numbers.values()))
    rows = count_rows(results)
    names_targets = rows["target"] != rows["image"]
    few = counted(ENOUGH_GROUPS, "group", table.names)
    lines = [
        *_comments(results, contents, cell, words),
        *([f"% metrics of maps, without a binarizer: {', '.join(of_maps)}"] * is_merged),
        rf"\begin{{tabular}}{{{'l' * len(keys)}{'r' * table.n_numbers}}}",
        r"\toprule",
        *table.head(),
        *body,
        r"\bottomrule",
        *([table.across(f"* fewer than {few}: may be too narrow")] * marked),
        *table.notes_on_fewer(fewer, "target" if names_targets else "image"),
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    r"""Return a name as LaTeX writes it.

    Examples
    --------
    >>> from cameval.evaluation._latex import escape_latex
    >>> print(escape_latex("grad_cam & 50 %"))
    grad\_cam \& 50 \%
    """
    return "".join(_SPECIAL.get(c, c) for c in one_line(text))


@dataclass(frozen=True)
class _Table:
    """What the lines of a table have in common.

    Parameters
    ----------
    cell
        What is in a cell of numbers.
    keys
        The columns of names.
    metrics, parts
        There is a column of numbers for each metric, given with its title, and part of the samples.
    names
        How labels are written.
    is_split
        Whether the samples are split into parts.
    meanings
        What is known of each metric.
    """

    cell: str
    keys: Sequence[str]
    metrics: Mapping[str, str]
    parts: Sequence[str]
    names: Mapping[str, str]
    is_split: bool
    meanings: Mapping[str, MetricMeaning]

    @property
    def n_numbers(self) -> int:
        """Number of columns of numbers."""
        return len(self.metrics) * len(self.parts)

    def name(self, label: str, usual: str | None = None) -> str:
        """Return a label as the user writes it, or its usual name, as LaTeX."""
        if label in self.names:
            return self.names[label]
        return escape_latex(label if usual is None else usual)

    def title(self, metric: str) -> str:
        """Return the name of a metric."""
        return self.name(metric, self.metrics[metric])

    def arrow(self, metric: str) -> str:
        """Return an arrow for a metric of which less is better, whatever its name."""
        return r" $\downarrow$" if self.meanings[metric].higher_is_better is False else ""

    def head(self) -> Iterator[str]:
        """Yield the lines of the head, two of them where each metric has several columns."""
        heads = [self.name(key, key.replace("_", " ")) for key in self.keys]
        titles = [self.title(metric) + self.arrow(metric) for metric in self.metrics]
        if self.is_split:
            k, first = len(self.parts), len(heads) + 1
            over = [rf"\multicolumn{{{k}}}{{c}}{{{title}}}" for title in titles]
            yield " & ".join([*([""] * len(heads)), *over]) + r" \\"
            ends = [(first + k * i, first + k * (i + 1) - 1) for i in range(len(titles))]
            yield "".join(rf"\cmidrule(lr){{{a}-{b}}}" for a, b in ends)
            titles = [self.name(part) for part in self.parts] * len(titles)
        yield " & ".join([*heads, *titles]) + r" \\"

    def heading(self, kind: str) -> list[str]:
        """Return the line above the rows of a kind; methods have none."""
        return [self.across(rf"\emph{{{self.name(kind)}}}")] if kind else []

    def across(self, text: str) -> str:
        """Return a line with one text in all columns."""
        return rf"\multicolumn{{{len(self.keys) + self.n_numbers}}}{{l}}{{{text}}} \\"

    def row(
        self,
        key: Mapping[str, str],
        numbers: Mapping[tuple[str, str], Any],
        fewer: Mapping[tuple[str, str], Fewer],
    ) -> str:
        """Return the line of one map."""
        cells = [_guarded(self.name(key[name])) for name in self.keys]
        for at in product(self.metrics, self.parts):
            shown = "" if numbers.get(at) is None else self._numbers(numbers[at])
            cells.append(shown + r"$^\dagger$" * (at in fewer))
        return " & ".join(cells) + r" \\"

    def is_marked(self, row: "pd.Series[Any]") -> bool:
        """Tell whether a cell has an interval that may be too narrow."""
        has_interval = _INTERVAL.search(self.cell) and not np.isnan(row["low"] + row["high"])
        return bool(has_interval) and not row["is_reliable"]

    def find_fewer(
        self,
        numbers: Mapping[tuple[str, str], Any],
        most: Mapping[str, int],
        reasons: Sequence[Mapping[str, int]],
    ) -> dict[tuple[str, str], Fewer]:
        """Return the cells of a line that are over fewer images than others, or than they could be.

        `most` is how many images a mean of a part is over at most.

        There are none if cells say how many they are over, or have no number of defined scores
        alone.
        """
        shown = {*_FIELD.findall(self.cell)}
        if {"n", "n_undefined"} & shown or not _OF_DEFINED & shown:
            return {}
        return {
            (metric, part): Fewer(row["n"], row["n_undefined"], reasons[row.name])
            for (metric, part), row in numbers.items()
            if row["n"] < most[part] or is_due_to_maps(reasons[row.name])
        }

    def notes_on_fewer(self, fewer: Mapping[str, Sequence[Fewer]], what: str) -> list[str]:
        """Return the lines below the table on the cells that are marked so."""

        def rows(n: int) -> str:
            return counted(n, what, self.names)

        return [
            self.across(rf"$\dagger$ {self.title(m)}: {describe_fewer(of, rows)}")
            for m, of in fewer.items()
        ]

    def _numbers(self, row: "pd.Series[Any]") -> str:
        """Return the numbers of a cell; an interval without ends is left out."""
        shown = _FIELD.sub(lambda found: _number(row[found[1]]), self.cell)
        return re.sub(r"\s*[\[(]--, --[\])]", "", shown) + "*" * self.is_marked(row)


def _most_rows(summary: "pd.DataFrame", by: Sequence[str]) -> dict[str, int]:
    """Return over how many images a mean is at most, for each part of the samples."""
    most: dict[str, int] = {}
    for _, row in summary.iterrows():
        part = _part(row, by)
        most[part] = max(most.get(part, 0), row["n"])
    return most


_NOT_IN_SUMMARY = {"std", "sd", "sem", "se"}
"""Numbers that other tables have, and this summary has not."""


def _check_cell(cell: str) -> None:
    """Check that a cell has a number, and no word that is like the name of one."""
    if not isinstance(cell, str) or not _FIELD.search(cell):
        raise SettingError(
            f"cell must have at least one number of the summary ({', '.join(NUMBERS)}), got "
            f"{cell!r}"
        )
    words = _WORD.findall(cell)
    for word in words:
        if word in NUMBERS or f"n_{word}" in words:  # "n_groups groups"
            continue
        if word.lower() in _NOT_IN_SUMMARY:
            raise SettingError(
                f"words of cell must be numbers of the summary ({', '.join(NUMBERS)}), or unlike "
                f"numbers, got {word!r}, which the summary does not have"
            )
        if near := near_names(word, NUMBERS[1:], least=_LIKE):  # all words are far from "n"
            raise SettingError(
                f"words of cell must be numbers of the summary, or unlike them, got {word!r}; near "
                f"names: {', '.join(near)}"
            )


def _rows(summary: pd.DataFrame, contents: Contents) -> list[tuple[dict[str, str], pd.DataFrame]]:
    """Return the maps with their numbers: methods, then baselines by what they know."""
    order = ["", "controls", *(_HEADINGS[role] for role in ROLES)]
    found = [
        (dict(zip(_MAP, map(str, key), strict=True)), part)
        for key, part in summary.groupby([*_MAP], sort=False)
    ]
    return sorted(
        found,
        key=lambda row: (
            contents.models.index(row[0]["model"]),
            contents.target_classes.index(row[0]["target_class"]),
            order.index(_kind(row[0], contents)),
        ),
    )


def _kind(key: Mapping[str, str], contents: Contents) -> str:
    """Return the heading of a map; empty for a method that is no control."""
    if key["kind"] == "baseline":
        return _HEADINGS[contents.baselines[key["method"]]]
    return "controls" if key["method"] in contents.controls else ""


def _part(row: "pd.Series[Any]", by: Sequence[str]) -> str:
    """Return the name of a part of the samples; numbers have the name of their column."""
    shown = []
    for name in by:
        value = row[name]
        if pd.isna(value):
            shown.append(f"{name.replace('_', ' ')} unknown")
        else:
            shown.append(value if isinstance(value, str) else f"{name.replace('_', ' ')} {value}")
    return ", ".join(shown)


def _comments(
    results: ScoreTable, contents: Contents, cell: str, words: LabelWords
) -> Iterator[str]:
    """Yield what the numbers are of, as comments."""
    shown = ", ".join(words.count(n, what) for what, n in count_rows(results).items())
    interval = f"; intervals of 95 % by {words.name('group')}" if _INTERVAL.search(cell) else ""
    yield f"% {shown}{interval}"
    if left_out := LeftOut.of(results):
        yield f"% evaluated, and left out here: {left_out}"
    for label, meaning in contents.binarizers.items():
        if meaning.origin is not None:
            choice = ChoiceWords(label, meaning.origin, results, words)
            yield f"% {one_line(label)}: {choice.rule}"
            yield from (f"%   {sentence}" for sentence in choice.list_chosen())
        elif meaning.setting != label:
            yield f"% {one_line(label)}: {one_line(meaning.setting, 200)}"


def _guarded(name: str) -> str:
    r"""Return a name that is no argument of the ``\\`` before it."""
    return f"{{}}{name}" if name.startswith(("[", "*")) else name


def _number(value: float) -> str:
    if np.isnan(value):
        return "--"
    if isinstance(value, int | np.integer):
        return str(value)
    text = f"{abs(value):.3f}" if abs(value) < 9.9995 else f"{abs(value):.1f}"
    sign = "$-$" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)
