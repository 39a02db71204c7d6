"""The page's paired tests: methods against each other and against baselines, models in pairs."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from cameval.evaluation import Column
from cameval.evaluation.origins import SAME_IMAGES
from cameval.report.cells import Block, Cell, Row, Table
from cameval.report.facts import Facts
from cameval.report.parts import in_words
from cameval.report.roles import ROLES
from cameval.report.text import between, count_of, metric_title, name, number, p_value
from cameval.statistics import holm

__all__ = ["compared_with", "method_tests", "model_table", "test_table"]


def method_tests(facts: Facts, model: str, column: Column) -> pd.DataFrame | None:
    """Test all methods against the first and against each baseline, as one family.

    The table is that of `Results.compare`, with ``p_holm`` corrected over all its rows.
    """
    first = [facts.preferred.method or facts.methods[0]] if len(facts.methods) > 1 else []
    against = [*first, *facts.floors]
    tables = []
    for reference in against:
        several = list(dict.fromkeys([*facts.methods, reference]))
        if len(several) > 1:
            tables.append(
                facts.results.compare(
                    column.metric,
                    over="method",
                    reference=reference,
                    model=model,
                    explained=column.explained,
                    binarizer=column.binarizer,
                    method=several,
                )
            )
    if not tables:
        return None
    family = pd.concat(tables, ignore_index=True)
    return family.assign(p_holm=holm(family["p"].to_numpy()))


def compared_with(family: pd.DataFrame | None, first: str, second: str) -> pd.Series | None:
    """Return the test of one label against another."""
    if family is None:
        return None
    rows = family[(family["first"] == first) & (family["second"] == second)]
    return None if rows.empty else rows.iloc[0]


def test_table(facts: Facts, families: Mapping[str, pd.DataFrame | None]) -> Table | None:
    """Return differences between methods, and to the baselines."""
    blocks, under = [], ""
    for model, column in facts.of_models():
        family = families.get(model)
        if family is None:
            continue
        if column.binarizer and len(facts.models) == 1:
            under = f", {name(column.binarizer)}"
        for reference, rows in family.groupby("second", sort=False):
            label = str(reference)
            role = f" ({ROLES[facts.baselines[label]]})" if label in facts.baselines else ""
            heading = f"against {name(label)}{role}"
            if len(facts.models) > 1:
                heading = f"{name(model)}: {heading}"
            blocks.append(Block(_rows(rows), heading))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    size = max(len(family) for family in families.values() if family is not None)
    return Table(
        f"Paired differences in {title}{under}",
        ["map", *_TITLES],
        blocks,
        [
            "Differences are of means by group, first within each group, so they weigh groups "
            f"equally. p: sign-flip test, Holm-corrected over {count_of(size, 'comparison')}"
            f"{' of a model' * (len(facts.models) > 1)}. Effect: the difference in "
            f"standard deviations of the groups' differences.{_chosen_here(facts)}"
        ],
    )


def _chosen_here(facts: Facts) -> str:
    """Say what was chosen on the images that are tested."""
    prefer = facts.preferred
    origin = facts.chosen(prefer.binarizer) if prefer.binarizer is not None else None
    binarizer = prefer.binarizer is None or (origin is not None and origin.where == SAME_IMAGES)
    what = {
        (True, True): "Methods and binarizer were",
        (True, False): "Methods were",
        (False, True): "The binarizer was",
    }.get((prefer.method is None, binarizer))
    return f" {what} chosen on these same images." if what else ""


def model_table(facts: Facts) -> Table | None:
    """Return differences between models, each pair, with the methods and binarizer of the first."""
    if len(facts.models) < 2 or (column := facts.best(facts.models[0])) is None:
        return None
    tests = facts.results.compare(
        column.metric,
        over="model",
        explained=column.explained,
        method=column.method,
        binarizer=column.binarizer,
    )
    blocks = [
        Block(_rows(part), f"{name(first)} minus")
        for first, part in tests.assign(first=tests["second"], of=tests["first"]).groupby(
            "of", sort=False
        )
    ]
    return Table(
        f"Paired differences in {metric_title(column.metric)} between models, "
        f"{in_words(facts, column)}",
        ["model", *_TITLES],
        blocks,
        [f"p: sign-flip test, Holm-corrected over {count_of(len(tests), 'pair')} of models."],
    )


_TITLES = ("difference", "p", "p, uncorrected", "p, Wilcoxon", "effect", "n", "groups")


def _rows(tests: pd.DataFrame) -> Sequence[Row]:
    return [_row(test) for test in tests.to_dict("records")]


def _row(test: dict[Hashable, Any]) -> Row:
    undefined = f"{test['n_undefined']} undefined" if test["n_undefined"] else ""
    return Row(
        Cell(name(test["first"])),
        [
            Cell(number(test["difference"]), between(test["low"], test["high"])),
            Cell(p_value(test["p_holm"])),
            Cell(p_value(test["p"])),
            Cell(p_value(test["p_wilcoxon"])),
            Cell(number(test["effect"]), between(test["effect_low"], test["effect_high"])),
            Cell(f"{test['n']:,}", undefined),
            Cell(f"{test['n_groups']:,}"),
        ],
    )
