"""The first screen of the page: verdict, the figure of each network, and counts of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import numpy as np

from cameval.evaluation import Column
from cameval.evaluation._headline import MOST_MODELS
from cameval.evaluation._numbers import format_levels, with_minus
from cameval.evaluation._words import one_line
from cameval.report._all_scores import explain_question_mark, headline_data, tests_of
from cameval.report._answers import Known
from cameval.report._chart import Charts
from cameval.report._choices import chosen_for, describe_masks, method_choice
from cameval.report._headline_figure import draw_headline
from cameval.report._names import Names, join_words
from cameval.report._network_pairs import (
    NetworkPair,
    are_few,
    describe_pairs,
    pair_table,
    pairs_of,
)
from cameval.report._network_pairs_figure import draw_pairs
from cameval.report._networks import describe_networks, network_rows, network_table
from cameval.report._networks_figure import draw_networks
from cameval.report._sentences import MOST_NAMED, Sentence, plain
from cameval.report._strip import StripPicture
from cameval.report._svg import Drawing
from cameval.report._test_tables import has_interval
from cameval.report._verdict import Verdict, state_of_all, writer_of
from cameval.report._verdict_words import (
    FAITHFULNESS,
    FAITHFULNESS_OF_MAPS,
    Words,
    chip_text,
    symbol_of,
    words_of,
)
from cameval.report.formatting import format_count, format_interval, format_whole_percent
from cameval.report.sections import Table


@dataclass(frozen=True)
class Count:
    """A number of images, and the view of the browser that shows them."""

    number: str
    text: str
    link: str = ""


@dataclass(frozen=True)
class Panel:
    """What the first screen shows of one network."""

    title: str
    subtitle: str
    symbol: str = ""
    chip: str = ""
    drawing: Drawing | None = None
    strip: Sequence[StripPicture] = ()
    counts: Sequence[Count] = ()
    data: Sequence[Table] = ()
    whose: str = ""
    no_strip: str = ""


@dataclass(frozen=True)
class FirstScreen:
    """The first screen."""

    words: Words
    panels: Sequence[Panel] = ()
    overview: Panel | None = None
    reading: str = ""
    faithfulness: str = FAITHFULNESS
    more_models: str = field(default="")
    pairs: Panel | None = None


def first_screen_of(
    known: Known,
    charts: Charts,
    strips: Mapping[str, Sequence[StripPicture]],
    missing: Mapping[str, str],
) -> FirstScreen:
    """Return the first screen; `strips` are the pictures of each model, or why it has none."""
    contents, names, verdicts = known.contents, known.names, charts.verdicts
    panels = {
        one.model: replace(
            _panel(one, known, charts, strips.get(one.model, ())),
            no_strip=missing.get(one.model, ""),
        )
        for one in verdicts
        if one.n_defined
    }
    has_many = len(verdicts) > MOST_NAMED and bool(panels)
    more = len(contents.models) - MOST_MODELS
    has_network = contents.has_network
    pairs = pairs_of(contents, known.headline, known.images, known.family)
    told = describe_pairs(pairs, known.headline, known.scores, names)
    pairs_panel = _pairs_panel(pairs, told, known)
    return FirstScreen(
        words_of(verdicts, known.targets, contents, known.headline, names, told),
        list(panels.values()),
        _overview(known, charts, panels) if has_many else None,
        _reading(verdicts, known, has_many=has_many, has_pairs=pairs_panel is not None)
        if panels
        else "",
        FAITHFULNESS if has_network else FAITHFULNESS_OF_MAPS,
        _more(more, len(verdicts), known, has_many=has_many) if more > 0 else "",
        pairs_panel,
    )


def _more(more: int, tested: int, known: Known, *, has_many: bool) -> str:
    """Return of which networks the verdict is, if not of all."""
    noun = known.names.noun
    return (
        f"Verdict and tests are of the first {format_count(tested, noun)} of the results; "
        f"{format_count(more, f'more {noun}')} {'is' if more == 1 else 'are'} in "
        f"{'the figure and ' * has_many}the tables."
    )


def _pairs_panel(pairs: Sequence[NetworkPair], told: Sentence, known: Known) -> Panel | None:
    """Return the differences between few networks."""
    if not pairs or not are_few(known.headline):
        return None
    column, noun = pairs[0].tests[0].column, known.names.noun
    metrics = list(dict.fromkeys(pair.metric_title for pair in pairs))
    title = f"Difference in mean {join_words(metrics)} between {noun}s"
    return Panel(
        f"Which {noun} has the better maps?",
        f"paired differences, {known.names.column(replace(column, binarizer=''))}"
        f"{_own_thresholds(column, known)}",
        drawing=draw_pairs(pairs, title=title, label=plain(told)),
        data=[pair_table(pairs, title, known.names)],
    )


def _own_thresholds(column: Column, known: Known) -> str:
    """Return where the threshold of each network was chosen, and which it is."""
    meaning = known.contents.binarizers.get(column.binarizer)
    if meaning is None or meaning.origin is None:
        return ""
    chosen = [
        f"{join_words(found)} ({one_line(model, 24)})"
        for model, best in known.headline.columns.items()
        if (found := list(dict.fromkeys(chosen_for(best, model, known.runs))))
    ]
    where = known.names.chosen_on(meaning.origin.chosen_on)
    text = f", each with its own threshold, chosen on {where}"
    return text + (f": {', '.join(chosen)}" if chosen and meaning.origin.by is None else "")


def _panel(verdict: Verdict, known: Known, charts: Charts, strip: Sequence[StripPicture]) -> Panel:
    column, names, headline = verdict.column, known.names, known.headline
    assert column is not None  # it has a score
    several = len(known.contents.models) > 1
    meaning = known.contents.binarizers.get(column.binarizer)
    is_method_chosen = method_choice(known.contents, headline, known.runs) is not None
    subtitle = describe_masks(
        column, verdict.model, meaning, known.runs, names, with_method=is_method_chosen
    )
    if not several:
        subtitle = " \u00b7 ".join(filter(None, [one_line(column.method), subtitle]))
    right = verdict.n_known - verdict.n_wrong
    images = charts.images[verdict.model]
    if verdict.n_known and not images.is_multilabel and not names.several:
        share = f"{format_whole_percent(right / verdict.n_known)} classified right"
        subtitle = " \u00b7 ".join(filter(None, [subtitle, share]))
    mixed = state_of_all(charts.verdicts) is None
    data = headline_data(verdict, known.contents, headline, known.scores, names, known.family)
    title = f"Mean {headline.title} of the maps and of guesses"
    label, verdicts = _label(verdict, known, charts.verdicts), charts.verdicts
    drawing = draw_headline(verdict, known, verdicts=verdicts, title=title, label=label)
    return Panel(
        one_line(verdict.model, 40) if several else "",
        subtitle,
        symbol_of(verdict.state) if mixed else "",
        chip_text(verdict, headline, names) if mixed else "",
        drawing,
        strip,
        _counts(verdict, known),
        [data] if data is not None else [],
    )


def _label(verdict: Verdict, known: Known, verdicts: Sequence[Verdict]) -> str:
    """Return what the figure of one network says."""
    assert verdict.column is not None
    assert verdict.score is not None
    score = verdict.score
    interval = format_interval(score.low, score.high)
    text = f"Mean {known.headline.title} of {known.names.column(verdict.column)}: "
    write = writer_of(verdicts)
    text += f"{write(score.mean)} {interval}".strip()
    if verdict.guess is not None:
        method = one_line(verdict.guess.column.method)
        text += f"; best guess ({method}) {write(verdict.guess.mean)}"
    if not np.isnan(verdict.bound):
        text += f"; bound {write(verdict.bound)}"
    return with_minus(f"{text}.")


def _counts(verdict: Verdict, known: Known) -> list[Count]:
    """Return the counts that filter the images."""
    rows = known.names.row + "s"
    several = len(known.contents.models) > 1
    net = f"&net={quote(verdict.model, safe='', errors='replace')}" if several else ""
    counts: list[Count] = []

    def add(number: int, of: int, text: str, show: str) -> None:
        counts.append(Count(f"{number:,}", f"of {of:,} {rows} {text}", f"show={show}{net}"))

    guess = verdict.guess
    if guess is not None and guess.n_both:
        below = "below" if known.headline.meaning.higher_is_better else "worse than"
        add(guess.n_below, guess.n_both, f"{below} the guess", "lt")
    if verdict.n_high is not None and verdict.n_defined:
        add(verdict.n_high, verdict.n_defined, "above .5", "hi")
    if verdict.n_known:
        word = "missed" if known.names.is_multilabel else "classified wrong"
        add(verdict.n_wrong, verdict.n_known, word, "wrong")
    return counts


_COUNTED = "Counts of scores below or above the guess include differences that round to zero."


def _reading(verdicts: Sequence[Verdict], known: Known, *, has_many: bool, has_pairs: bool) -> str:
    """Return how the headline figure is read."""
    noun = known.names.noun
    text = f"A row is a {noun} with its best map. " if has_many else ""
    text += f"Orange: mean over {known.names.row}s{known.names.with_object}"
    text += f" with its 95 % interval by {known.names.group}. {_same_group(known.names)}"
    if any(one.guess is not None for one in verdicts):
        text += " Gray zone and diamond: its best guess." if has_many else ""
        used = {one.column.binarizer for one in verdicts if one.column is not None}
        meanings = [known.contents.binarizers.get(label) for label in used]
        is_chosen = any(one is not None and one.origin is not None for one in meanings)
        masks = "the binarizer that was chosen for it" if is_chosen else "the same binarizer"
        text += "" if has_many else f" Gray band: the best guess with {masks}."
    if any(one.guess is not None and one.guess.n_both for one in verdicts):
        text += f" {_COUNTED}"
    if known.headline.bound:
        text += " Blue: the highest mean that masks of these areas can have."
    if any(one.guess is not None and one.guess.comparison is not None for one in verdicts):
        corrected = " after Holm's correction" if known.family.size > 1 else ""
        text += (
            " At the end of a row, the difference from the best guess on the same "
            f"{known.names.row}s{_at_level(verdicts, known, all_maps=not has_many)}: "
            f"\u25b2 better, \u25bc worse (p < .05{corrected}), \u2248 neither is shown, "
            f"{explain_question_mark(known.contents, known.names)}, = the same."
        )
    if has_pairs:
        text += (
            f" Between {noun}s: a full mark where a difference is shown; the intervals agree with "
            "the same correction."
        )
    return text


def _at_level(verdicts: Sequence[Verdict], known: Known, *, all_maps: bool) -> str:
    """Return the level of the intervals of differences, which agree with the corrected p."""
    shown = (
        [*tests_of(verdicts, known.family).values()]
        if all_maps
        else [one.guess.comparison for one in verdicts if one.guess is not None]
    )
    levels = [one.level for one in shown if one is not None and has_interval(one)]
    return f", with its {format_levels(levels)} interval" if levels else ""


def _same_group(names: Names) -> str:
    """Return which images are of one group."""
    if names.group == "group":
        return (
            "Images with the same group id, such as those of one patient, are a group; an image "
            "without an id is a group of its own."
        )
    return (
        f"Images with the same {names.group} id are of one {names.group}; an image without an id "
        f"counts as {names.a_group} of its own."
    )


def _overview(known: Known, charts: Charts, panels: Mapping[str, Panel]) -> Panel:
    """Return the figure of all networks; beside it, the images of the best one."""
    rows = network_rows(charts.verdicts, known)
    noun = known.names.noun
    title = f"Mean {known.headline.title} of the best maps of each {noun}, and of its best guess"
    drawing = draw_networks(rows, known, title=title, label=describe_networks(rows, known))
    best = next(row.model for row in rows if row.model in panels)
    return Panel(
        f"The best maps of each {noun}",
        "the best mean first" if known.headline.meaning.higher_is_better is not None else "",
        drawing=drawing,
        strip=panels[best].strip,
        counts=panels[best].counts,
        data=[network_table(rows, known)],
        whose=one_line(best, 40),
        no_strip=panels[best].no_strip,
    )
