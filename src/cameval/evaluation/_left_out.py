"""What was evaluated and is not in a table, because it was selected: images and columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cameval.evaluation._label_words import joined
from cameval.evaluation._run_folder import runs
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import Column
from cameval.evaluation.same_data import names_in_run

_MOST_NAMED = 4
"""Of more baselines or metrics there is only a count."""


@dataclass(frozen=True)
class LeftOut:
    """What the runs of a table have evaluated, and the table does not have.

    Parameters
    ----------
    images, n_images
        How many images, and of how many. Those of a choice do not count if no others are left out.
    pairs, n_pairs
        How many pairs of method and binarizer, and of how many. None are counted where all masks
        of the table are of a choice.
    binarizers
        Whether the pairs have binarizers; else they are methods.
    baselines, metrics
        Their labels, without bounds.
    networks
        The names of other networks that were put together with these.
    """

    images: int = 0
    n_images: int = 0
    pairs: int = 0
    n_pairs: int = 0
    binarizers: bool = False
    baselines: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    @classmethod
    def of(cls, results: ScoreTable) -> "LeftOut":
        """Return what the table of results does not have."""
        models = set(results.samples["model"].astype(str))
        by_model: dict[str, list[Mapping[str, Any]]] = {}
        for run in runs(results.provenance):
            by_model.setdefault(str((run.get("settings") or {}).get("model")), []).append(run)
        recorded = [run for model in by_model if model in models for run in by_model[model]]
        others = tuple(model for model in by_model if model not in models and recorded)
        present = set(results.samples["sample"].astype(str))
        evaluated = {name for run in recorded for name in names_in_run(run)}
        images = len(evaluated - present)
        if images in {n for run in recorded for n in _images_of_choices(run)}:
            images = 0
        columns = _columns_left_out(results, recorded)
        return cls(images, len(evaluated | present), **columns, networks=others)

    def __bool__(self) -> bool:
        """Tell whether something is left out."""
        return bool(self.images or self.pairs or self.baselines or self.metrics or self.networks)

    def __str__(self) -> str:
        """Return what is left out, as a list in words."""
        what = "pairs of method and binarizer" if self.binarizers else "methods"
        parts = [
            f"{self.images:,} of {self.n_images:,} images" if self.images else "",
            f"{self.pairs:,} of {self.n_pairs:,} {what}" if self.pairs else "",
            _named(self.baselines, "baseline"),
            _named(self.metrics, "metric"),
            _named(self.networks, "network"),
        ]
        return joined([part for part in parts if part])


def describe_skipped(run: Mapping[str, Any]) -> str:
    """Return how many images the command line left out before a run; nothing if none.

    Examples
    --------
    >>> from cameval.evaluation._left_out import describe_skipped
    >>> describe_skipped({"left_out": {"unnamed": 10, "without_mask": 3}})
    '10 that --names does not name and 3 without a mask'
    """
    counts = run.get("left_out")
    known = counts if isinstance(counts, Mapping) else {}
    unnamed, without_mask = (known.get(name) for name in ("unnamed", "without_mask"))
    parts = []
    if isinstance(unnamed, int) and unnamed > 0:
        parts.append(f"{unnamed:,} that --names does not name")
    if isinstance(without_mask, int) and without_mask > 0:
        parts.append(f"{without_mask:,} without a mask")
    return joined(parts) if parts else ""


def _columns_left_out(results: ScoreTable, recorded: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the pairs, baselines and metrics that are in a run, and not in the table."""
    before = [column for run in recorded for column in _columns_of(run)]
    known, present = results.meanings, {column.metric for column in results.columns}
    is_bound = {label for label, one in known.metrics.items() if one.bounds is not None}
    alike = [column for column in before if column.metric in present - is_bound]
    pairs, all_pairs = _pairs(results.columns), _pairs(alike)
    chosen = {label for label, one in known.binarizers.items() if one.origin is not None}
    of_choice = bool(pairs) and all(binarizer in chosen for _, binarizer in pairs)
    baselines, all_baselines = (
        {column.method: None for column in columns if column.kind == "baseline"}
        for columns in (results.columns, alike)
    )
    return {
        "pairs": 0 if of_choice else len(all_pairs - pairs),
        "n_pairs": len(all_pairs),
        "binarizers": any(binarizer for _, binarizer in all_pairs),
        "baselines": tuple(label for label in all_baselines if label not in baselines),
        "metrics": tuple(
            dict.fromkeys(c.metric for c in before if c.metric not in present | is_bound)
        ),
    }


def _pairs(columns: Sequence[Column]) -> set[tuple[str, str]]:
    """Return method and binarizer of each map of a method."""
    return {(column.method, column.binarizer) for column in columns if column.kind == "method"}


def _columns_of(run: Mapping[str, Any]) -> Iterator[Column]:
    """Yield the columns that a run has scored; none if its record has none."""
    columns = run.get("columns")
    for fields in columns if isinstance(columns, list | tuple) else ():
        if isinstance(fields, list | tuple) and len(fields) == 5:
            yield Column(*map(str, fields))  # type: ignore[arg-type]


def _images_of_choices(run: Mapping[str, Any]) -> Iterator[object]:
    """Yield on how many images each choice for a run was made."""
    chosen = run.get("chosen")
    for one in chosen.values() if isinstance(chosen, Mapping) else ():
        if isinstance(one, Mapping):
            yield one.get("images")


def _named(labels: Sequence[str], what: str) -> str:
    """Return labels with what they are; a count of many, and nothing of none."""
    if not labels:
        return ""
    if len(labels) > _MOST_NAMED:
        return f"{len(labels):,} {what}s"
    return f"the {what}{'s' * (len(labels) > 1)} {joined([one_line(one, 40) for one in labels])}"
