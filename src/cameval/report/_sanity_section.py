"""The section of sanity checks: what each check can show and cannot show, and its numbers."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cameval.evaluation import Column, Results, SanityResults
from cameval.evaluation._contents import contents_of
from cameval.evaluation._headline import Headline
from cameval.evaluation._scores import Score, scores_of
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import MetricMeaning
from cameval.report._fewer import notes_on_fewer
from cameval.report._figures import COLORS, MARKERS, PALE, STYLE, figure_text
from cameval.report._files import draw_png
from cameval.report._names import Names
from cameval.report._score_tables import compared_cell, map_row, metric_heading
from cameval.report.formatting import (
    format_count,
    format_interval,
    format_interval_after,
    format_number,
    format_percent,
)
from cameval.report.sections import Block, Cell, Picture, Row, Section, Table
from cameval.statistics import ENOUGH_GROUPS

_MEASURES = {"spearman": "rank correlation", "ssim": "SSIM"}

_MOST_MAP_METRICS = 3

_MOST_METHODS = 6

_MOST_TICKS = 8

_WEIGHTS = (
    "Random weights. The weights of the network are replaced by random ones, from the last module "
    "to the first, and each map is compared with the original one, for the same class. The check "
    "can show that maps do not depend on the learned weights: they then stay similar. It cannot "
    "show that maps are right, since a map that changes may have been wrong before. Maps can also "
    "be similar for other reasons, for example if all are high in the center: maps of different "
    "images are there for comparison."
)

_TRAININGS = (
    "Other trainings. The maps of the same image and class by another training of the network are "
    "compared with the original ones. The check can show that maps depend on chance in the "
    "training: they then differ. It cannot show that maps are right, since all trainings may "
    "use the same wrong part of the image."
)

_FAITHFULNESS = (
    "Faithfulness. Parts of the image are removed or added in the order of the map, and the "
    "probability of the class is measured. These metrics can show whether the pixels that a map "
    "marks matter to the network. They do not use the true mask: a map can be faithful and far "
    "from the object, or on the object and not faithful. Changed images differ from the images of "
    "the training, and this affects the scores of all maps."
)

_CONTROLS = (
    "The blind baselines in the table are controls, whose maps do not depend on the image: each "
    "score is to be read beside theirs."
)

_NOTES = {
    "insertion": "Insertion: area under the curve of the probability as pixels are added to the "
    "blurred image, the highest first.",
    "deletion": "Deletion: the same as pixels are removed, the highest first.",
    "road": "ROAD: half the difference of the probability between removing the lowest and the "
    "highest pixels; around 0 for a random order.",
    "adcc": "ADCC: harmonic mean of coherency, of one minus complexity and of one minus average "
    "drop. A map that does not depend on the image has the highest coherency by definition.",
}


def sanity_section(results: Results, headline: Headline, names: Names) -> Section:
    """Return the section of the sanity checks; it is empty if there are none."""
    checks = results.sanity
    if checks is None:
        return Section("sanity", "Sanity checks")
    summary = checks.summary()
    lead, tables = [_describe_sample(results, checks, names)], []
    has = set(summary["check"])
    if "random weights" in has:
        lead += [_WEIGHTS, *_describe_weights(summary, _modules_of(checks), names)]
        tables += _tables_of_weights(summary, names)
    if "other training" in has:
        lead += [_TRAININGS]
        tables += [_table_of_trainings(summary, names)]
    table = _table_of_scores(checks.scores, headline, names)
    if table is not None:
        knowledge = {one.knows for one in checks.scores.meanings.baselines.values()}
        lead += [f"{_FAITHFULNESS} {_CONTROLS}" if knowledge == {"nothing"} else _FAITHFULNESS]
        tables.append(table)
    pictures = draw_cascades(summary, names) if "random weights" in has else []
    return Section("sanity", "Sanity checks", lead, tables, pictures)


def _describe_sample(results: Results, checks: SanityResults, names: Names) -> str:
    """Return on how many images the checks were done."""
    samples = checks.scores.samples
    count, total = samples["sample"].nunique(), results.samples["sample"].nunique()
    groups = names.count_groups(samples["group"].nunique())
    every = results.samples.drop_duplicates(["sample", "label"])
    one = ", with one target of each" if every.duplicated("sample").any() else ""
    some = (
        "all of them"
        if count == total
        else f"chosen from {total:,} by names and not by scores, those with an object first"
    )
    return (
        f"These checks are of {format_count(count, 'image')} of {groups}{one}, {some}. They are "
        "about the maps and the network. Only scores of agreement use the truth. In brackets: "
        f"95 % intervals by {names.group}."
    )


def _modules_of(checks: SanityResults) -> int | None:
    """Return the number of modules with weights, if it is one for all models."""
    provenance = checks.scores.provenance
    records = [part.get("sanity") for part in provenance.get("parts") or [provenance]]
    counts = {record["modules"] for record in records if isinstance(record, Mapping)}
    return int(counts.pop()) if len(counts) == 1 else None


def _describe_weights(summary: pd.DataFrame, modules: int | None, names: Names) -> list[str]:
    """Return what is left of the maps of each method when the most weights are random."""
    texts: list[str] = []
    described: set[object] = set()
    weights = summary[summary["check"] == "random weights"]
    for (model, method), part in [*weights.groupby(["model", "method"], sort=False)][
        :_MOST_METHODS
    ]:
        last = part.sort_values("random_modules").iloc[-1]
        pairs = summary[
            (summary["check"] == "other image")
            & (summary["model"] == model)
            & (summary["method"] == method)
        ]
        count = int(last["random_modules"])
        whole = modules is not None and count == modules
        with_random = "all weights" if whole else format_count(count, "module")
        text = (
            f"{names.with_model(str(model), one_line(str(method)))}: with {with_random} random, "
            f"the maps have a mean rank correlation of {_with_interval(last, 'spearman', names)} "
            "with the original ones"
        )
        undefined = int(last["n_undefined_spearman"])
        if undefined:
            text += f" (undefined for {format_count(undefined, 'constant map')})"
        if len(pairs):
            others = _with_interval(pairs.iloc[0], "spearman", names)
            text += f"; maps of different images have {others}"
        if model not in described:
            described.add(model)
            same = format_percent(last["same_prediction"])
            text += f". This network predicts the same class as before for {same} of the images"
        texts.append(f"{text}.")
    return texts


def _with_interval(row: "pd.Series[Any]", measure: str, names: Names) -> str:
    ends = row[f"{measure}_low"], row[f"{measure}_high"]
    after = format_interval_after(*ends, int(row[f"n_groups_{measure}"]), names.nouns)
    return format_number(row[measure]) + after


def _cell(row: "pd.Series[Any]", measure: str) -> Cell:
    interval = format_interval(row[f"{measure}_low"], row[f"{measure}_high"])
    few = int(row[f"n_groups_{measure}"]) < ENOUGH_GROUPS
    return Cell(format_number(row[measure]), interval, few)


def _tables_of_weights(summary: pd.DataFrame, names: Names) -> list[Table]:
    """Return the similarity with the original maps at each stop, for each model."""
    tables = []
    weights = summary[summary["check"] == "random weights"]
    for model, of_model in weights.groupby("model", sort=False):
        stops = of_model.drop_duplicates("step").sort_values("random_modules")
        blocks = []
        for measure, words in _MEASURES.items():
            rows = []
            for method, part in of_model.groupby("method", sort=False):
                cells = [
                    _cell(part[part["step"] == step].iloc[0], measure) for step in stops["step"]
                ]
                cells.append(_other_image(summary, model, method, measure))
                rows.append(Row(Cell(one_line(str(method))), cells, "method"))
            blocks.append(Block(rows, words))
        steps = zip(stops["random_modules"], stops["step"], strict=True)
        listed = ", ".join(f"{int(count):,} down to {one_line(str(name))}" for count, name in steps)
        titles = [format_count(int(count), "module") for count in stops["random_modules"]]
        tables.append(
            Table(
                names.with_model(str(model), "Similarity of maps to those with random weights"),
                ["map", *titles, "different images"],
                blocks,
                [f"Modules with random weights, from the last one: {listed}."],
            )
        )
    return tables


def _other_image(summary: pd.DataFrame, model: object, method: object, measure: str) -> Cell:
    """Return the similarity of maps of different images."""
    found = summary[
        (summary["check"] == "other image")
        & (summary["model"] == model)
        & (summary["method"] == method)
    ]
    return _cell(found.iloc[0], measure) if len(found) else Cell("")


def _table_of_trainings(summary: pd.DataFrame, names: Names) -> Table:
    """Return the similarity of maps of other trainings, beside that of different images."""
    blocks = []
    for model, of_model in summary.groupby("model", sort=False):
        rows = []
        trainings = of_model[of_model["check"] == "other training"]
        for place in range(len(trainings)):
            one = trainings.iloc[place]
            head = Cell(one_line(str(one["method"])), one_line(str(one["step"])))
            cells = []
            for measure in _MEASURES:
                cells.append(_cell(one, measure))
                cells.append(_other_image(summary, model, one["method"], measure))
            same = Cell(format_percent(one["same_prediction"]))
            rows.append(Row(head, [*cells, same], "method"))
        blocks.append(Block(rows, names.with_model(str(model), "")))
    titles = [
        title for words in _MEASURES.values() for title in (words, f"{words}, different images")
    ]
    return Table(
        "Similarity of maps to those of other trainings of the network",
        ["map", *titles, "same prediction"],
        [block for block in blocks if block.rows],
    )


def _table_of_scores(scores: Results, headline: Headline, names: Names) -> Table | None:
    """Return faithfulness beside the agreement with the truth; None without faithfulness."""
    known, contents = scores.meanings.metrics, contents_of(scores)
    labels = list(dict.fromkeys(column.metric for column in scores.columns))
    faithful = [one for one in labels if _takes(known, one) == "network"]
    if not faithful:
        return None
    of_maps = [one for one in labels if _takes(known, one) == "maps"][:_MOST_MAP_METRICS]
    first = [headline.metric] if headline.metric in labels else []
    beside = list(dict.fromkeys([*first, *of_maps]))
    found: dict[tuple[str, ...], Score] = {}
    for (model, column), score in scores_of(scores, contents).by_column.items():
        at = (model, column.kind, column.method, column.metric, column.binarizer)
        found.setdefault(at, score)
    blocks = []
    for model in contents.models:
        best = headline.columns.get(model)
        binarizer = "" if best is None else best.binarizer
        rows = []
        maps = dict.fromkeys((column.kind, column.method) for column in scores.columns)
        for kind, method in maps:
            means = []
            for label in (*beside, *faithful):
                by = binarizer if _takes(known, label) == "masks" else ""
                means.append(found.get((model, kind, method, label, by)))
            most = max((mean.n for mean in means if mean is not None), default=0)
            cells = [compared_cell(mean, most, names) for mean in means]
            rows.append(map_row(contents, Column("", kind, method, "", ""), cells))
        thresholded = f"masks by {one_line(binarizer)}" if binarizer else ""
        blocks.append(Block(rows, names.with_model(model, thresholded)))
    titles = ["map", *(metric_heading(one, contents) for one in (*beside, *faithful))]
    notes = [_NOTES[label] for label in faithful if label in _NOTES]
    return Table(
        "Agreement with the truth, and faithfulness to the network, of the same images",
        titles,
        blocks,
        [*notes, *notes_on_fewer(titles, blocks, names)],
    )


def _takes(known: Mapping[str, MetricMeaning], label: str) -> str:
    return known[label].takes if label in known else "masks"


def draw_cascades(summary: pd.DataFrame, names: Names) -> list[Picture]:
    """Draw the similarity of maps against the number of modules with random weights."""
    pictures = []
    models = list(summary["model"].unique())
    for k, model in enumerate(models, start=1):
        of_model = summary[summary["model"] == model]
        with matplotlib.style.context(STYLE):
            figure = Figure(figsize=(6.4, 3.4), layout="constrained")
            panels = figure.subplots(1, 2, sharey=True)
            for axes, (measure, words) in zip(panels, _MEASURES.items(), strict=True):
                _draw_cascade(axes, of_model, measure, words)
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
            data = draw_png(figure)
        suffix = f"-{k}" if len(models) > 1 else ""
        pictures.append(
            Picture(
                f"random-weights{suffix}.png",
                "Lines of the similarity of maps against the number of modules with random "
                "weights, and dotted lines of the similarity of maps of different images.",
                names.with_model(
                    str(model),
                    "Similarity of the maps to the original ones as more modules get random "
                    f"weights. Bars: 95 % intervals by {names.group}. Dotted lines: maps of "
                    "different images by the method of the same color. Without random weights the "
                    "similarity is 1 by definition.",
                ),
                data,
            )
        )
    return pictures


def _draw_cascade(axes: Axes, summary: pd.DataFrame, measure: str, words: str) -> None:
    weights = summary[summary["check"] == "random weights"]
    pairs = summary[summary["check"] == "other image"].set_index("method")[measure]
    methods = list(weights["method"].unique())[:_MOST_METHODS]
    counts = sorted(set(weights["random_modules"].astype(int)))
    looks = zip(methods, cycle(COLORS), cycle(MARKERS), strict=False)
    for k, (method, color, marker) in enumerate(looks):
        part = weights[weights["method"] == method].sort_values("random_modules")
        places = [counts.index(int(count)) + 1 for count in part["random_modules"]]
        x = np.array(places) + 0.07 * (k - (len(methods) - 1) / 2)
        mean, low, high = (
            part[name].to_numpy(float) for name in (measure, f"{measure}_low", f"{measure}_high")
        )
        look: dict[str, Any] = {"color": color, "marker": marker, "ms": 4, "lw": 1.2}
        axes.plot([0, *x], [1, *mean], label=figure_text(str(method)), **look)
        axes.vlines(x, low, high, color=color, lw=1)
        if method in pairs.index and np.isfinite(pairs[method]):
            axes.axhline(pairs[method], color=color, ls=":", lw=1.2)
    axes.axhline(0, color=PALE, lw=0.8)
    axes.set_xlabel("modules with random weights", fontsize=9)
    axes.set_title(words, fontsize=10)
    most = min(_MOST_TICKS, len(counts) + 1)
    places = np.linspace(0, len(counts), most).round().astype(int).tolist()
    axes.set_xticks(places, [f"{[0, *counts][place]:,}" for place in places])
    axes.set_xlim(-0.3, len(counts) + 0.4)
