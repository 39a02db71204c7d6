"""A figure of the page: what it is drawn from, what it says, and its data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from cameval.evaluation import Column, Results
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import with_minus
from cameval.evaluation._plots import PlotKind
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._words import one_line
from cameval.report._names import Names
from cameval.report._svg import Drawing, draw_twice, fit_to_page
from cameval.report._verdict import Verdict
from cameval.report.sections import Section, Table


@dataclass(frozen=True)
class Chart:
    """A figure of one network.

    Parameters
    ----------
    title, subtitle
        The network, and its method and binarizer.
    drawing
        The figure.
    caption
        What it says.
    data
        Its tables.
    """

    title: str
    subtitle: str
    drawing: Drawing
    caption: str = ""
    data: Sequence[Table] = ()


@dataclass(frozen=True)
class ChartSection(Section):
    """A section of figures, followed by tables that are folded."""

    charts: Sequence[Chart] = ()
    folds: Sequence[Section] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.charts and all(fold.empty for fold in self.folds) and super().empty


@dataclass(frozen=True, eq=False)
class Charts:
    """What the figures are drawn from.

    Parameters
    ----------
    results
        The results that are scored.
    images, headline, scores, names
        As in `write_report`.
    verdicts
        One of each network.
    """

    results: Results
    images: Mapping[str, Images]
    headline: Headline
    scores: Scores
    names: Names
    verdicts: Sequence[Verdict]

    @property
    def shown(self) -> list[tuple[Verdict, Column]]:
        """The networks with a defined score, and their columns."""
        return [(v, v.column) for v in self.verdicts if v.column is not None and v.n_defined]

    def draw(
        self,
        kind: PlotKind,
        model: str,
        column: Column,
        *,
        title: str,
        label: str,
        height: float | Callable[[int], float],
    ) -> Drawing:
        """Draw a plot of the results of one network in two widths."""

        def draw(axes: Axes) -> None:
            self.results.plot(
                kind,
                axes,
                model=model,
                method=column.method,
                binarizer=column.binarizer or None,
                metric=column.metric,
                names=self.names.nouns,
            )
            fit_to_page(axes)

        whose = self.names.with_model(model, title)
        return draw_twice(draw, title=whose, label=with_minus(label), height=height)

    def make(
        self,
        kind: PlotKind,
        model: str,
        column: Column,
        *,
        title: str,
        label: str,
        caption: str,
        height: float | Callable[[int], float],
        data: Sequence[Table | None] = (),
        subtitle: str | None = None,
    ) -> Chart:
        """Return a figure of the results of one network; by default the column is its subtitle."""
        several = len(self.names.contents.models) > 1
        return Chart(
            one_line(model, 40) if several else "",
            self.names.column(column) if subtitle is None else subtitle,
            self.draw(kind, model, column, title=title, label=label, height=height),
            with_minus(caption),
            [table for table in data if table is not None],
        )
