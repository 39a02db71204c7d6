"""Pages of a report, taken apart, and results to report that need no network."""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

from cameval.baselines import Knowledge
from cameval.evaluation import Column, Results, concat
from cameval.evaluation.meaning import (
    BaselineMeaning,
    BinarizerMeaning,
    Meanings,
    MethodMeaning,
    MetricMeaning,
    TargetClassMeaning,
)
from cameval.metrics.outcome import OUTCOMES
from cameval.report import format_interval, format_number, write_report
from cameval.report._svg import Drawing


def not_drawn(draw: object, *, title: str, label: str, **_: object) -> Drawing:
    """Return a figure without marks, in the place of `cameval.report._svg.draw_twice`."""
    return Drawing(title, label, "<svg></svg>", "<svg></svg>")


# --- Reading a page -------------------------------------------------------------------------------

IMAGE = re.compile("data:image/(png|webp);base64,")

VOID = {"meta", "img", "link", "br", "hr", "input"}


@dataclass
class Table:
    """A table as a reader finds it."""

    caption: str = ""
    titles: list[str] = field(default_factory=list)
    rows: list[tuple[str, str, list[str]]] = field(default_factory=list)  # block, head, cells

    def find(self, head: str, title: str, block: str = "") -> str:
        """Return the text of a cell."""
        at = self.titles.index(title) - 1
        (cells,) = [c for b, h, c in self.rows if h.split(" | ")[0] == head and block in b]
        return cells[at]


class Page(HTMLParser):
    """A page, taken apart; every element must be closed where it should."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags, self.ids, self.links, self.images = [], [], [], []
        self.tables, self.text, self.attributes, self.cell = [], "", [], ""
        self.marked: dict[str, str] = {
            "chip": "",
            "says": "",
            "caution": "",
            "h1": "",
            "guess-is": "",
        }
        self.inside: list[str] = []
        self.open: list[str] = []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        """Take in what the parser found."""
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.images += [found] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)
            self.inside.append(tag if tag == "h1" else found.get("class") or "")
        if tag == "table":
            self.tables.append(Table())
            self.block = ""
        if tag == "th":
            assert found["scope"] in ("row", "col", "rowgroup")
            self.scope = found["scope"]
        if tag == "tr":
            self.row: list[str] = []
        if tag in ("th", "td", "caption"):
            self.cell = ""
        if tag == "small":
            self.cell = self.cell.rstrip() + " | "

    def handle_endtag(self, tag: str) -> None:
        """Take in what the parser found."""
        assert self.open.pop() == tag
        self.inside.pop()
        if tag in ("th", "td"):
            if tag == "th" and self.scope == "rowgroup":
                self.block = self.cell
            self.row.append(self.cell)
        if tag == "caption":
            self.tables[-1].caption = self.cell
        if tag == "tr":
            table = self.tables[-1]
            if "thead" in self.open:
                table.titles = self.row
            elif len(self.row) > 1:
                assert len(self.row) == len(table.titles)
                table.rows.append((self.block, self.row[0], self.row[1:]))

    def handle_data(self, data: str) -> None:
        """Take in what the parser found, with a hyphen for the minus sign of the page."""
        data = data.replace("\u2212", "-")
        if self.open and self.open[-1] not in ("style", "script", "title"):
            self.text += data
            for name in {*self.marked} & {*self.inside}:
                self.marked[name] += data
            if {"th", "td", "caption"} & set(self.open):
                self.cell += data

    @property
    def chip(self) -> str:
        """Return the text of the verdict on all networks."""
        return " ".join(self.marked["chip"].split())

    @property
    def headline(self) -> str:
        """Return the headline."""
        return self.marked["h1"]

    @property
    def says(self) -> str:
        """Return the sentences below the headline."""
        return " ".join(self.marked["says"].split())

    @property
    def caution(self) -> str:
        """Return the line of caution."""
        return " ".join(self.marked["caution"].split())

    @property
    def guess(self) -> str:
        """Return what a guess is said to be."""
        return " ".join(self.marked["guess-is"].split())

    def table(self, caption: str) -> Table:
        """Return the one table of a caption that begins so."""
        (found,) = [table for table in self.tables if table.caption.startswith(caption)]
        return found


def written(results: Results, folder: Path, **options) -> Page:
    """Write a report and check what holds of every page."""
    file = write_report(results, folder, **options)
    assert file == folder / "report.html"
    page = Page(file)
    assert page.source.count("<h1>") == 1
    assert len(set(page.ids)) == len(page.ids)
    links = [link for link in page.links if not link.startswith("data:")]
    assert all(link.startswith("#") for link in links)
    assert {link.removeprefix("#").partition("?")[0] for link in links} <= set(page.ids)
    assert all(IMAGE.match(image["src"]) for image in page.images)
    assert all(image["alt"] for image in page.images)
    assert not {"link", "iframe", "object", "embed", "form"} & set(page.tags)
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("script", "src")]
    assert all(source.startswith("report_files/") for source in sources)
    assert not any(value.startswith("on") for _, value, _ in page.attributes)
    assert page.source.count("url(") == page.source.count("url(#")
    assert "@import" not in page.source
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page.source)
    assert all(table.caption and table.rows for table in page.tables)
    figures = {p.read_bytes() for p in (folder / "figures").glob("*.png")}
    shown = {b64decode(image["src"].partition(",")[2]) for image in page.images}
    assert figures <= shown
    assert not list(folder.rglob("*.part"))
    return page


READ = ("alt", "title", "aria-label", "placeholder", "summary")
"""Attributes that are read to users or shown to them."""


def says_nowhere(page: Page, word: str) -> None:
    """Check that a word, and its plural, is in no text of a page."""
    texts = [page.text, *(str(value) for _, name, value in page.attributes if name in READ)]
    around = rf"(?i).{{0,50}}\b{word}s?\b.{{0,30}}"
    assert [found for text in texts for found in re.findall(around, text)] == []


# --- Things to report -----------------------------------------------------------------------------

BASELINES: dict[str, Knowledge | None] = {
    "center": "nothing",
    "intensity": "image",
    "truth": "truth",
}
METRICS = ("pixel_auroc", "iou", "area_bound", "coverage")
KNOWN = {
    "pixel_auroc": MetricMeaning(
        "pixel_auroc", "maps", True, value_range=(0, 1), chance="half", title="AUROC"
    ),
    "iou": MetricMeaning("iou", "masks", True, value_range=(0, 1), title="IoU"),
    "dice": MetricMeaning("dice", "masks", True, value_range=(0, 1), title="Dice"),
    "coverage": MetricMeaning("coverage", "masks", True, value_range=(0, 1)),
    "area_bound": MetricMeaning("area_bound", "masks", bounds="iou", value_range=(0, 1)),
    "false_positive_rate": MetricMeaning(
        "fpr", "masks", False, value_range=(0, 1), without_object="marked"
    ),
    "specificity": MetricMeaning(
        "specificity", "masks", True, value_range=(0, 1), without_object="unmarked"
    ),
    "zero_without_object:iou": MetricMeaning(
        "ZeroWithoutObject(iou)",
        "masks",
        True,
        without_object="zero",
        title="IoU (0 for marks on negatives)",
    ),
    "hd": MetricMeaning("HausdorffDistance(percentile=95)", "masks", False),
    "outcome": MetricMeaning("Outcomes()", "masks", categories=OUTCOMES),
}
EXPLAINED = {"predicted": "predicted", "true": "true", "1": 1}
BINARIZERS = {"p95": "PercentileBinarizer(percentile=95)", "otsu": "OtsuBinarizer()"}


def made(
    n: int = 24,
    *,
    models: tuple[str, ...] = ("net",),
    methods: tuple[str, ...] = ("cam", "grad_cam"),
    baselines: Mapping[str, Knowledge | None] = BASELINES,
    binarizers: tuple[str, ...] = ("p95", "otsu"),
    metrics: Sequence[str] | Mapping[str, MetricMeaning] = METRICS,
    target_class: tuple[str, ...] = ("predicted",),
    classes: tuple[str, ...] = ("round", "square", "long"),
    label=lambda i: i % 3,
    groups: int = 8,
    value=None,
) -> Results:
    """Make results without a network; `value` gives the mean of a column.

    A metric that is given by its name alone and is not `KNOWN` says nothing of itself.
    """
    rng = np.random.default_rng(0)
    meaning = dict(metrics) if isinstance(metrics, Mapping) else {}
    meaning |= {m: KNOWN.get(m, MetricMeaning(m, "masks")) for m in metrics if m not in meaning}
    if "iou" not in metrics:
        meaning = {m: replace(one, bounds=None) for m, one in meaning.items()}
    of_masks = [m for m in metrics if meaning[m].takes == "masks"]
    kinds = [*(("method", m) for m in methods), *(("baseline", b) for b in baselines)]
    columns = tuple(
        Column(e, kind, source, binarizer, metric)
        for e in target_class
        for kind, source in kinds
        for binarizer, metric in [
            *(("", m) for m in metrics if m not in of_masks),
            *((b, m) for b in binarizers for m in of_masks),
        ]
    )
    parts = []
    for model in models:
        labels = pd.array([label(i) for i in range(n)], dtype="Int64")
        sure = np.array([i % 3 if label(i) is None else label(i) for i in range(n)])
        table = pd.DataFrame(
            {
                "model": model,
                "sample": [f"image {i}" for i in range(n)],
                "group": [f"person {i % groups}" for i in range(n)],
                "label": labels,
                "present": True,
                "predicted": pd.array(
                    [k if i % 4 else (k + 1) % 3 for i, k in enumerate(sure)], dtype="Int64"
                ),
                "probability": rng.uniform(0.4, 1, n),
                "area": rng.uniform(0.001, 0.2, n),
            }
        )
        means = [0.3 if value is None else value(column) for column in columns]
        values = np.clip(np.array(means) + rng.normal(0, 0.05, (n, len(columns))), 0, 1)
        settings = {
            "model": model,
            "seed": 3,
            "weights": "ab" * 32,
            "layer": "features",
            "alignment": "half_pixel",
            "class_names": list(classes),
            "versions": {"python": "3", "cameval": "0.1.0"},
        }
        provenance = {
            "settings": settings,
            "started": "2026-01-02T03:04:05+00:00",
            "meanings": Meanings(
                methods={m: MethodMeaning(m) for m in methods},
                baselines={b: BaselineMeaning(b, knows) for b, knows in baselines.items()},
                binarizers={b: BinarizerMeaning(BINARIZERS.get(b, b)) for b in binarizers},
                metrics=meaning,
                target_class={e: TargetClassMeaning(e, EXPLAINED.get(e)) for e in target_class},
            ).to_record(),
        }
        codes = np.zeros(values.shape, np.uint8)
        parts.append(Results(table, columns, values, codes, provenance))
    return concat(parts) if len(parts) > 1 else parts[0]


def of_targets(
    results: Results, *, per_image: int = 3, absent=lambda i: False, task: str | None = "multilabel"
) -> Results:
    """Return results as those of several targets of each image, some of them without an object."""
    n = len(results)
    order = np.arange(n)
    present = np.array([not absent(i) for i in range(n)])
    labels = order % per_image
    number = order // per_image
    probability = np.random.default_rng(5).uniform(0, 1, n)
    table = results.samples.assign(
        sample=[f"image {k}" for k in number],
        group=[f"person {k // 2}" for k in number],
        label=pd.array(labels, dtype="Int64"),
        present=present,
        area=results.samples["area"].where(present, 0.0),
        probability=probability,
        predicted=pd.array(np.where(probability > 0.5, labels, -1), dtype="Int64"),
    )
    table["predicted"] = table["predicted"].mask(table["predicted"] < 0)
    known = results.meanings.metrics
    needs = [known[c.metric].without_object is None for c in results.columns]
    values, codes = results.values.copy(), results.codes.copy()
    marked = np.random.default_rng(6).random(values.shape) < 0.6
    for k, column in enumerate(results.columns):
        kind = known[column.metric].without_object
        if kind is not None:  # where nothing is marked, and where something is
            empty = {"marked": 0.0, "unmarked": 1.0, "zero": np.nan}[kind]
            score = np.zeros(n) if kind == "zero" else values[:, k]
            values[:, k] = np.where(present, values[:, k], np.where(marked[:, k], score, empty))
    at = np.ix_(~present, needs)
    values[at], codes[at] = np.nan, 1
    weights = np.full(values.shape, np.nan)
    of_iou = [c.metric == "iou" for c in results.columns]
    weights[:, of_iou] = np.random.default_rng(7).integers(1, 50, (n, sum(of_iou)))
    settings = {**results.provenance["settings"], "task": task}
    provenance = {**results.provenance, "settings": settings}
    return replace(
        results, samples=table, values=values, codes=codes, weights=weights, provenance=provenance
    )


def elsewhere(results: Results, *, predictions: bool = False) -> Results:
    """Return results as those of maps that were made elsewhere."""
    known = results.meanings
    meanings = replace(
        known,
        methods={m: MethodMeaning(m, given=True) for m in known.methods},
        target_class={"given": TargetClassMeaning("given", "given")},
    )
    columns = tuple(replace(column, target_class="given") for column in results.columns)
    table = results.samples
    if not predictions:
        nothing = pd.array([pd.NA] * len(table), dtype="Int64")
        table = table.assign(predicted=nothing, probability=np.nan)
    settings = {**results.provenance["settings"], "model": "maps", "task": None}
    settings = {k: v for k, v in settings.items() if k not in ("weights", "layer", "alignment")}
    provenance = {**results.provenance, "settings": settings, "meanings": meanings.to_record()}
    table = table.assign(model="maps")
    return replace(results, samples=table, columns=columns, provenance=provenance)


def undefined(results: Results, where, code: int) -> Results:
    """Return results with values undefined, of metrics that are not on record."""
    values, codes = results.values.copy(), results.codes.copy()
    values[where], codes[where] = np.nan, code
    record = {key: value for key, value in results.provenance.items() if key != "identity"}
    return replace(results, values=values, codes=codes, provenance=record)


def bare(results: Results) -> Results:
    """Return results as a table without its record has them."""
    return replace(results, provenance={})


def cell(row) -> str:
    """Write a row of a summary as a cell of a page."""
    few = " *" if row.n_groups < 10 else ""
    interval = f" | {format_interval(row.low, row.high)}{few}" if row.low == row.low else ""
    return f"{format_number(row.mean)}{interval}"
