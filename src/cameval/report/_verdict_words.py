"""The words of a verdict: chip, headline, at most three sentences and one line of caution."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import format_short
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import CONSTANT
from cameval.report._names import Names
from cameval.report._targets import Targets
from cameval.report._verdict import State, Verdict, state_of_all
from cameval.report.formatting import format_count, format_percent
from cameval.statistics import ENOUGH_GROUPS

FAITHFULNESS = "Agreement with the truth does not show that a map is faithful to the network."
FAITHFULNESS_OF_MAPS = "Agreement with the truth does not show what a map is computed from."

MANY = 0.05
"""Shares of undefined scores or constant maps above this are in the line of caution."""

SYMBOLS: Mapping[State, str] = {
    "better": "\u25b2",
    "better, not than the image": "\u25b2",
    "open": "\u2248",
    "worse": "\u25bc",
}
"""The symbols of verdicts that a test gives; all others have a question mark."""

CHIPS: Mapping[State, str] = {
    "better": "Better than guessing",
    "better, not than the image": "Better than guessing, not than the image alone",
    "open": "No clear difference from guessing",
    "worse": "Worse than guessing",
    "too few groups": "Too few groups",
    "no guess": "Nothing to compare with",
    "no score": "No score",
    "no direction": "No direction",
    "no method": "No method",
}

MOST_NAMED = 4
"""Of more networks, sentences name those with the lowest and the highest number."""

_COUNTS = ("", "one", "two", "three", "four", "five", "six")


@dataclass(frozen=True)
class Part:
    """A part of a sentence; `look` is ``"net"``, ``"guess"``, ``"truth"``, ``"name"`` or empty.

    `link` is the view of the images that it is about, if any.
    """

    text: str
    look: str = ""
    link: str = ""


Sentence = tuple[Part, ...]


def plain(sentence: Sentence) -> str:
    """Return a sentence as text."""
    return "".join(part.text for part in sentence)


@dataclass(frozen=True)
class Words:
    """The words of the first screen.

    Parameters
    ----------
    symbol, chip, headline
        The verdict.
    sentences
        Scores, bound, and counts.
    caution
        At most two sentences.
    """

    symbol: str
    chip: str
    headline: str
    sentences: Sequence[Sentence]
    caution: Sequence[Sentence]


def symbol_of(state: State) -> str:
    """Return the symbol of a verdict."""
    return SYMBOLS.get(state, "?")


def words_of(
    verdicts: Sequence[Verdict],
    targets: Targets,
    contents: Contents,
    headline: Headline,
    names: Names,
) -> Words:
    """Return the words of the verdicts."""
    symbol, chip = chip_of(verdicts, names)
    sentences = (
        _scores(verdicts, headline, names),
        _bounds(verdicts, headline),
        _counts(verdicts, headline, names),
    )
    caution = (caution_of(verdicts, targets, contents, headline, names), _guesses(verdicts))
    return Words(
        symbol,
        chip,
        headline_words(verdicts, headline, contents, names),
        [one for one in sentences if one],
        [one for one in caution if one],
    )


def chip_of(verdicts: Sequence[Verdict], names: Names) -> tuple[str, str]:
    """Return symbol and text of the verdict on all networks."""
    state = state_of_all(verdicts)
    if state is not None:
        return symbol_of(state), CHIPS[state]
    counts = Counter(_coarse(one.state) for one in verdicts)
    for first in ("better", "worse", "open"):
        if counts[first]:
            of = f"{counts[first]} of {len(verdicts)} {_noun(names)}s"
            return symbol_of(first), f"{CHIPS[first]}: {of}"
    return "?", "Different verdicts"


def _coarse(state: State) -> State:
    return "better" if state == "better, not than the image" else state


def _noun(names: Names) -> str:
    return "network" if names.contents.has_network else "set"


# --- Headline -------------------------------------------------------------------------------------


def headline_words(
    verdicts: Sequence[Verdict], headline: Headline, contents: Contents, names: Names
) -> str:
    """Return the headline."""
    n, state = len(verdicts), state_of_all(verdicts)
    noun = _noun(names)
    if state is None:
        return _mixed(verdicts, noun)
    if state in ("too few groups", "no guess", "no score", "no direction", "no method"):
        return _unknown(state, verdicts, headline, names.row)
    whose = {1: "The maps", 2: f"The maps of both {noun}s"}.get(
        n, f"The maps of all {_number(n)} {noun}s"
    )
    if len(contents.models) > n:
        whose = f"The maps of the first {_number(n)} {noun}s"
    if state == "open":
        nobody = {
            1: "The maps are not shown",
            2: f"The maps of neither {noun} are shown",
        }.get(n, f"The maps of none of the {_number(n)} {noun}s are shown")
        return f"{nobody} to find the object better than a guess."
    if state == "worse":
        return f"{whose} find the object worse than a guess."
    alone = ", but are not shown to do so better than the image alone"
    return f"{whose} find the object better than a guess{alone * (state != 'better')}."


def _mixed(verdicts: Sequence[Verdict], noun: str) -> str:
    """Return the headline of networks with different verdicts."""
    n = len(verdicts)
    states = Counter(one.state for one in verdicts)
    better = states["better"] + states["better, not than the image"]
    worse, alone = states["worse"], states["better, not than the image"]
    if better:
        text = f"The maps of {better} of {n} {noun}s find the object better than a guess"
        if better == n:
            text = f"The maps of all {_number(n)} {noun}s find the object better than a guess"
        text += f", those of {worse} worse" if worse else ""
        if alone:
            text += f"; those of {alone} are not shown to do so better than the image alone"
        return f"{text}."
    if worse:
        return f"The maps of {worse} of {n} {noun}s find the object worse than a guess."
    if n == 2:
        return f"The maps of neither {noun} are shown to find the object better than a guess."
    return (
        f"The maps of none of the {_number(n)} {noun}s are shown to find the object better than a "
        "guess."
    )


def _number(n: int) -> str:
    return _COUNTS[n] if n < len(_COUNTS) else f"{n:,}"


def _unknown(state: State, verdicts: Sequence[Verdict], headline: Headline, row: str) -> str:
    """Return the headline where no test can say anything."""
    first = verdicts[0]
    if state == "too few groups":
        tests = [one.guess.comparison for one in verdicts if one.guess and one.guess.comparison]
        groups = max(one.test.n_groups for one in tests)
        differing = max(one.test.n_differing for one in tests)
        if differing == groups:
            return f"{format_count(groups, 'group')} {_are(groups)} too few to tell."
        return (
            f"{differing:,} of {format_count(groups, 'group')} "
            f"{'differs' if differing == 1 else 'differ'}: too few to tell."
        )
    if state == "no guess":
        if first.guess is not None:
            return f"No {row} has a score of both the maps and a guess."
        return "No guess was evaluated beside the maps."
    if state == "no direction":
        return f"It is not known whether a higher {headline.title} is better."
    if state == "no method":
        return "No method was evaluated beside the baselines."
    if first.column is None:
        return f"There is no score of maps: {first.reason}."
    return f"No {row} has a defined score: {first.reason}."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


# --- Sentences ------------------------------------------------------------------------------------


def _scores(verdicts: Sequence[Verdict], headline: Headline, names: Names) -> Sentence:
    """Return the mean score and the best guess of each network."""
    shown = [one for one in verdicts if one.score is not None and one.n_defined]
    if not shown:
        return ()
    lower = " (lower is better)" if headline.meaning.higher_is_better is False else ""
    parts = [Part(f"Mean {headline.title} with the true masks{_of(shown, names)}{lower}: ")]
    if len(shown) > MOST_NAMED:
        guesses = [one.guess.mean for one in shown if one.guess is not None]
        parts += _ends([(one.mean, one.model) for one in shown], "net")
        if guesses:
            values = list(dict.fromkeys(map(format_short, (min(guesses), max(guesses)))))
            parts += [Part(f", best guess{'es' * (len(values) > 1)} ")]
            parts += [Part(" to ".join(values), "guess")]
        return (*parts, Part("."))
    for k, one in enumerate(shown):
        who = f"{one_line(one.model, 40)} " if len(verdicts) > 1 else ""
        parts += [Part(f"{'; ' * (k > 0)}{who}"), Part(format_short(one.mean), "net")]
        if one.guess is not None:
            parts += [Part(", best guess "), Part(format_short(one.guess.mean), "guess")]
            if 0 < one.guess.n_both < max(one.n_defined, one.guess.n_own):
                count = names.rows(one.guess.n_both)
                parts.append(Part(f" (on the {count} that have both scores)"))
    return (*parts, Part("."))


def _ends(numbers: Sequence[tuple[float, str]], look: str) -> list[Part]:
    """Return the lowest and the highest of some means, each with its network."""
    low, high = min(numbers), max(numbers)
    parts = []
    for link, (value, model) in (("from ", low), (" to ", high)):
        parts += [Part(link), Part(format_short(value), look), Part(f" ({one_line(model, 40)})")]
    return parts


def _of(shown: Sequence[Verdict], names: Names) -> str:
    """Return of which images the means are, if some have no object."""
    counts = {(one.n_defined, one.n_absent) for one in shown}
    if len(counts) > 1:
        return f" of {names.row}s{names.with_object}" if names.are_split else ""
    ((count, absent),) = counts
    if names.are_split:
        return f" of the {names.rows(count)}{names.with_object}"
    if 0 < absent < count:
        return f" of {names.rows(count)}, {absent:,} of them without an object"
    return ""


def _bounds(verdicts: Sequence[Verdict], headline: Headline) -> Sentence:
    """Return what masks of these areas could have reached, where that is an upper bound."""
    shown = [one for one in verdicts if headline.bound and not np.isnan(one.bound)]
    if not shown:
        return ()
    parts = [Part("Masks of these areas could have reached ")]
    values = list(dict.fromkeys(format_short(one.bound) for one in shown))
    if len(values) == 1:
        return (*parts, Part(values[0], "truth"), Part("."))
    if len(shown) > MOST_NAMED:
        return (*parts, *_ends([(one.bound, one.model) for one in shown], "truth"), Part("."))
    for k, one in enumerate(shown):
        link = "" if k == 0 else " and " if k == len(shown) - 1 else ", "
        parts += [Part(link), Part(format_short(one.bound), "truth")]
        parts.append(Part(f" ({one_line(one.model, 40)})"))
    return (*parts, Part("."))


def _counts(verdicts: Sequence[Verdict], headline: Headline, names: Names) -> Sentence:
    """Return on how many images the maps score worse than the guess."""
    shown = [one for one in verdicts if one.guess is not None and one.guess.n_both]
    guesses = [one.guess for one in shown if one.guess is not None]
    if not shown:
        return ()
    below = "below" if headline.meaning.higher_is_better else "worse than"
    totals = {guess.n_both for guess in guesses}
    if len(shown) > MOST_NAMED:
        return _range_of_counts(shown, below, names)
    if len(totals) == 1:
        numbers = [f"{guess.n_below:,}" for guess in guesses]
        several = ", ".join(numbers[:-1]) + " and " + numbers[-1] if len(numbers) > 1 else ""
        verb = "scores" if several == "" and guesses[0].n_below == 1 else "score"
        return (
            Part(f"Of {names.rows(totals.pop())}, "),
            Part(several or numbers[0], "count", "show=lt"),
            Part(f" {verb} {below} the guess."),
        )
    counted = [
        f"{one_line(one.model, 40)} {guess.n_below:,} of {names.rows(guess.n_both)}"
        for one, guess in zip(shown, guesses, strict=True)
    ]
    return (Part(f"{below.capitalize()} the guess: {', '.join(counted)}."),)


def _range_of_counts(shown: Sequence[Verdict], below: str, names: Names) -> Sentence:
    """Return the lowest and the highest share of images below the guess."""
    found = [(one.guess.n_below, one.guess.n_both, one.model) for one in shown if one.guess]
    low, high = (pick(found, key=lambda one: one[0] / one[1]) for pick in (min, max))
    texts = [
        f"{count:,} of {names.rows(of)} ({one_line(model, 40)})" for count, of, model in (low, high)
    ]
    return (
        Part(f"{below.capitalize()} the guess", "count", "show=lt"),
        Part(f": from {texts[0]} to {texts[1]}."),
    )


# --- Caution --------------------------------------------------------------------------------------


def caution_of(
    verdicts: Sequence[Verdict],
    targets: Targets,
    contents: Contents,
    headline: Headline,
    names: Names,
) -> Sentence:
    """Return the first caution that applies."""
    chosen = _choice(verdicts, contents, headline)
    if chosen.startswith("Optimistic"):
        return (Part(chosen),)
    groups = targets.scored.samples["group"].nunique()
    if groups < ENOUGH_GROUPS:
        only = "There is only one group" if groups == 1 else f"There are only {groups} groups"
        what = "means have no interval" if groups == 1 else "intervals may be too narrow"
        return (Part(f"{only}: {what}."),)
    for share, what in shares(verdicts, targets):
        if share > MANY:
            return (Part(f"{format_percent(share)} of {what}."),)
    return (Part(chosen),) if chosen else ()


def _choice(verdicts: Sequence[Verdict], contents: Contents, headline: Headline) -> str:
    """Return how method and binarizer were chosen, where scores chose them."""
    candidates = [of for one in verdicts if (of := headline.candidates[one.model])]
    if headline.meaning.higher_is_better is None or not candidates:
        return ""
    most = max(candidates, key=len)
    methods, binarizers = {c.method for c in most}, {c.binarizer for c in most}
    if len(most) > 1:
        what = "pairs of method and binarizer"
        if len(binarizers) == 1:
            what = "methods" if most[0].kind == "method" else "baselines"
        elif len(methods) == 1:
            what = "binarizers"
        return f"Optimistic: the best of {len(most)} {what}, chosen on these same images."
    origins = [
        origin
        for one in verdicts
        if one.column is not None
        and one.column.binarizer
        and (origin := contents.binarizers[one.column.binarizer].origin) is not None
    ]
    places = {origin.chosen_on for origin in origins}
    if "these same images" in places:
        return "Optimistic: the thresholds were chosen on these same images."
    if "other images of the same groups" in places:
        return "Optimistic: the thresholds were chosen on other images of the same groups."
    return "The thresholds were chosen on other images." if places else ""


def shares(verdicts: Sequence[Verdict], targets: Targets) -> list[tuple[float, str]]:
    """Return the shares of undefined scores and of constant maps of the columns of the verdict."""
    scored = targets.scored
    undefined = total = constant = 0
    for one in verdicts:
        if one.column is None:
            continue
        of_model = (scored.samples["model"] == one.model).to_numpy()
        at = scored.columns.index(one.column)
        undefined += int(np.isnan(scored.values[of_model, at]).sum())
        constant += int(((scored.codes[of_model, at] & CONSTANT) > 0).sum())
        total += int(of_model.sum())
    total = max(1, total)
    return [
        (undefined / total, "the scores are undefined"),
        (constant / total, "the maps are constant"),
    ]


def _guesses(verdicts: Sequence[Verdict]) -> Sentence:
    """Return which baseline the best guess is."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        if one.guess is not None:
            found.setdefault(one.guess.column.method, []).append(one.model)
    if not found:
        return ()
    if len(found) == 1:
        label = Part(one_line(next(iter(found)), 40), "name")
        return (Part("The best guess is "), label, Part(", a map that never sees the image."))
    parts = [Part("The best guess is ")]
    for k, (label_, models) in enumerate(found.items()):
        link = "" if k == 0 else " and " if k == len(found) - 1 else ", "
        whose = ", ".join(one_line(model, 40) for model in models)
        parts += [Part(link), Part(one_line(label_, 40), "name"), Part(f" for {whose}")]
    return (*parts, Part(": maps that never see the image."))
