"""The words of a verdict: chip, headline, at most three sentences and one line of caution."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cameval.evaluation._caution_words import NOISE_ALONE
from cameval.evaluation._comparisons import ALPHA
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import short_writer
from cameval.evaluation._scores import images_by_model
from cameval.evaluation._words import one_line
from cameval.report._accuracy import (
    ask_for_order,
    describe_foreign_labels,
    describe_missing_labels,
)
from cameval.report._cautions import (
    by_label,
    chosen_by_scores,
    describe_guess,
    different_images,
    few_groups,
    many_undefined,
    one_sided,
    other_guesses,
    other_orders,
    out_of_reach,
    outguessed,
    uncorrected,
)
from cameval.report._data_cautions import (
    alike_groups,
    copies,
    crops,
    dark_images,
    given_alignments,
    hidden_objects,
    ignored_pixels,
    large_objects,
    left_out,
    map_shifts,
    mixed_spacings,
    no_groups,
    normalized_twice,
    other_data,
    placements,
    preparations,
    same_maps,
    selected,
    softmaxes,
)
from cameval.report._names import Names
from cameval.report._sentences import MOST_NAMED, Part, Sentence
from cameval.report._targets import Targets
from cameval.report._verdict import State, Verdict, state_of_all, writer_of

FAITHFULNESS = "Agreement with the truth does not show that a map is faithful to the network."
FAITHFULNESS_OF_MAPS = "Agreement with the truth does not show what a map is computed from."

SAME_BINARIZER = "a guess with the same binarizer"

SYMBOLS: Mapping[State, str] = {
    "better": "\u25b2",
    "better, not than the image": "\u25b2",
    "open": "\u2248",
    "worse": "\u25bc",
}
"""The symbols of verdicts that a test gives; all others have a question mark."""

CHIPS: Mapping[State, str] = {
    "better": "Better{score} than {guess}",
    "better, not than the image": "Better{score} than {guess}, not than the image alone",
    "noise alone": "Only compared with random maps",
    "open": "No clear difference from guessing",
    "worse": "Worse{score} than guessing",
    "no guess": "Nothing to compare with",
    "no score": "No score",
    "no direction": "No direction",
    "no method": "No method",
}

_COUNTS = ("", "one", "two", "three", "four", "five", "six")


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
        What limits the verdict; images that are almost black and the order of the classes first.
    guess
        What a guess is.
    pairs
        Which of several networks has the better maps.
    missing_labels
        That images have no labels, which the page says and the terminal does not.
    """

    symbol: str
    chip: str
    headline: str
    sentences: Sequence[Sentence]
    caution: Sequence[Sentence]
    guess: Sentence = ()
    pairs: Sentence = ()
    missing_labels: Sentence = ()


def symbol_of(state: State) -> str:
    """Return the symbol of a verdict."""
    return SYMBOLS.get(state, "?")


def words_of(
    verdicts: Sequence[Verdict],
    targets: Targets,
    contents: Contents,
    headline: Headline,
    names: Names,
    pairs: Sentence = (),
) -> Words:
    """Return the words of the verdicts, and the sentence on pairs of networks."""
    symbol, chip = chip_of(verdicts, headline, names)
    images = images_by_model(targets.everything).values()
    order, foreign, missing = (
        ask_for_order(images, names),
        describe_foreign_labels(images, names),
        describe_missing_labels(images, names),
    )
    sentences = (
        _scores(verdicts, headline, names),
        () if any(one.is_outguessed for one in verdicts) else other_guesses(verdicts, names),
        _bounds(verdicts, headline),
        _counts(verdicts, headline, names),
    )
    caution = (
        same_maps(targets),
        large_objects(targets, names),
        hidden_objects(targets, names),
        crops(targets),
        selected(targets),
        ignored_pixels(targets),
        other_data(targets, names),
        copies(targets, names),
        dark_images(targets),
        preparations(targets),
        placements(targets),
        normalized_twice(targets),
        softmaxes(targets, contents),
        mixed_spacings(targets, contents),
        (Part(order),) if order else (),
        one_sided(headline),
        outguessed(verdicts, headline, names),
        other_orders(verdicts),
        uncorrected(verdicts),
        (Part(NOISE_ALONE),) if _is_compared(verdicts) and contents.has_noise_alone else (),
        chosen_by_scores(verdicts, targets, contents, headline, names),
        different_images(verdicts, targets, headline, names),
        () if no_groups(targets, names) else few_groups(targets, names),
        many_undefined(verdicts, targets),
        by_label(verdicts, contents),
        map_shifts(targets),
        given_alignments(targets, contents),
        out_of_reach(verdicts),
        no_groups(targets, names),
        alike_groups(targets, names),
        left_out(targets),
        (Part(foreign),) if foreign else (),
    )
    return Words(
        symbol,
        chip,
        headline_words(verdicts, headline, contents, names),
        [one for one in sentences if one],
        [one for one in caution if one],
        describe_guess(verdicts, contents),
        pairs,
        (Part(missing),) if missing else (),
    )


def chip_of(verdicts: Sequence[Verdict], headline: Headline, names: Names) -> tuple[str, str]:
    """Return symbol and text of the verdict on all networks."""
    state = state_of_all(verdicts)
    if state is not None:
        return symbol_of(state), _chip_of(state, verdicts, headline, names)
    counts = Counter(_coarse(one.state) for one in verdicts)
    for first in ("better", "worse", "open"):
        if counts[first]:
            of = f"{counts[first]} of {len(verdicts)} {names.noun}s"
            chip = _chip_of(first, verdicts, headline, names)
            return symbol_of(first), f"{chip}: {of}"
    return "?", "Different verdicts"


def chip_text(verdict: Verdict, headline: Headline, names: Names) -> str:
    """Return the text of the verdict on one network."""
    return _chip_of(verdict.state, [verdict], headline, names)


def _chip_of(state: State, verdicts: Sequence[Verdict], headline: Headline, names: Names) -> str:
    """Return the text of a verdict; a guess with another binarizer may be better than the maps."""
    if state == "too few groups":
        return f"Too few {names.groups}"
    score = f" {one_line(headline.title)}" if headline.best_mask else ""
    guess = SAME_BINARIZER if _is_outguessed(verdicts) else "guessing"
    return CHIPS[state].format(score=score, guess=guess)


def _is_outguessed(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether maps that are better than a guess are not better than every guess."""
    return any(one.is_outguessed and _coarse(one.state) == "better" for one in verdicts)


def _is_compared(verdicts: Sequence[Verdict]) -> bool:
    return any(one.guess is not None for one in verdicts)


def _coarse(state: State) -> State:
    return "better" if state == "better, not than the image" else state


# --- Headline -------------------------------------------------------------------------------------


def headline_words(
    verdicts: Sequence[Verdict], headline: Headline, contents: Contents, names: Names
) -> str:
    """Return the headline."""
    n, state = len(verdicts), state_of_all(verdicts)
    noun = names.noun
    better, worse = than = _comparison(headline)
    if state is None:
        return _mixed(verdicts, noun, than)
    guess = SAME_BINARIZER if _is_outguessed(verdicts) else "a guess"
    if state in (
        "too few groups",
        "noise alone",
        "no guess",
        "no score",
        "no direction",
        "no method",
    ):
        return _unknown(state, verdicts, headline, contents, names)
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
        return f"{nobody} to {better} a guess."
    if state == "worse":
        return f"{whose} {worse} a guess."
    alone = ", but are not shown to do so better than the image alone"
    return f"{whose} {better} {guess}{alone * (state != 'better')}."


def _comparison(headline: Headline) -> tuple[str, str]:
    """Return the words between the maps and what they are compared with.

    A score that is best for a mask without the truth does not show that the object is found.
    """
    if not headline.best_mask:
        return "find the object better than", "find the object worse than"
    score = one_line(headline.title)
    return f"have a better {score} than", f"have a worse {score} than"


def _mixed(verdicts: Sequence[Verdict], noun: str, than: tuple[str, str]) -> str:
    """Return the headline of networks with different verdicts."""
    n = len(verdicts)
    better, worse = than
    states = Counter(one.state for one in verdicts)
    n_better = states["better"] + states["better, not than the image"]
    n_worse, alone = states["worse"], states["better, not than the image"]

    def some(*of: State) -> str:
        """Return how many networks are in these states; of a single one, its name."""
        models = [one.model for one in verdicts if one.state in of]
        if len(models) == 1:
            return f"{one_line(models[0], 24)}, one of {n} {noun}s,"
        return f"{len(models)} of {n} {noun}s"

    if n_better:
        guess = SAME_BINARIZER if _is_outguessed(verdicts) else "a guess"
        whose = some("better", "better, not than the image")
        text = f"The maps of {whose} {better} {guess}"
        if n_better == n:
            text = f"The maps of all {_number(n)} {noun}s {better} {guess}"
        text += f", those of {n_worse} worse" if n_worse else ""
        if alone:
            text += f"; those of {alone} are not shown to do so better than the image alone"
        return f"{text}."
    if n_worse:
        return f"The maps of {some('worse')} {worse} a guess."
    if n == 2:
        return f"The maps of neither {noun} are shown to {better} a guess."
    return f"The maps of none of the {_number(n)} {noun}s are shown to {better} a guess."


def _number(n: int) -> str:
    return _COUNTS[n] if n < len(_COUNTS) else f"{n:,}"


def _unknown(
    state: State,
    verdicts: Sequence[Verdict],
    headline: Headline,
    contents: Contents,
    names: Names,
) -> str:
    """Return the headline where no test can say anything."""
    first = verdicts[0]
    if state == "too few groups":
        tests = [one.guess.comparison for one in verdicts if one.guess and one.guess.comparison]
        groups = max(one.test.n_groups for one in tests)
        differing = max(one.test.n_differing for one in tests)
        after = _after_correction(verdicts)
        if differing == groups:
            return f"{names.count_groups(groups)} {_are(groups)} too few to tell{after}."
        return (
            f"{differing:,} of {names.count_groups(groups)} "
            f"{'differs' if differing == 1 else 'differ'}: too few to tell{after}."
        )
    if state == "noise alone":
        return "The maps were only compared with random maps."
    if state == "no guess":
        if first.guess is not None:
            return f"No {names.row} has a score of both the maps and a guess."
        if "nothing" in contents.baselines.values():
            return "No guess has a defined score beside the maps."
        return "No guess was evaluated beside the maps."
    if state == "no direction":
        return f"It is not known whether a higher {headline.title} is better."
    if state == "no method":
        return "No method was evaluated beside the baselines."
    if first.column is None:
        return f"There is no score of maps: {first.reason}."
    return f"No {names.row} has a defined score: {first.reason}."


def _after_correction(verdicts: Sequence[Verdict]) -> str:
    """Return after which correction groups are too few, where one test alone could tell."""
    guesses = [one.guess for one in verdicts if one.guess and one.guess.comparison]
    tests = [one.comparison for one in guesses if one.comparison is not None]
    if any(test.test.least_p >= ALPHA for test in tests):
        return ""
    return f" after correction for {guesses[0].n_tests:,} tests"


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
            ends = min(guesses), max(guesses)
            values = list(dict.fromkeys(map(short_writer([ends]), ends)))
            parts += [Part(f", best guess{'es' * (len(values) > 1)} ")]
            parts += [Part(" to ".join(values), "guess")]
        return (*parts, Part("."))
    write = writer_of(shown)
    for k, one in enumerate(shown):
        who = f"{one_line(one.model, 40)} " if len(verdicts) > 1 else ""
        parts += [Part(f"{'; ' * (k > 0)}{who}"), Part(write(one.mean), "net")]
        if one.guess is not None:
            parts += [Part(", best guess "), Part(write(one.guess.mean), "guess")]
            if 0 < one.guess.n_both < max(one.n_defined, one.guess.n_own):
                count = names.rows(one.guess.n_both)
                parts.append(Part(f" (on the {count} that have both scores)"))
    return (*parts, Part("."))


def _ends(numbers: Sequence[tuple[float, str]], look: str) -> list[Part]:
    """Return the lowest and the highest of some means, each with its network."""
    low, high = min(numbers), max(numbers)
    parts, write = [], short_writer([(low[0], high[0])])
    for link, (value, model) in (("from ", low), (" to ", high)):
        parts += [Part(link), Part(write(value), look), Part(f" ({one_line(model, 40)})")]
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
    write = short_writer((one.bound, np.nan) for one in shown)
    values = list(dict.fromkeys(write(one.bound) for one in shown))
    if len(values) == 1:
        return (*parts, Part(values[0], "truth"), Part("."))
    if len(shown) > MOST_NAMED:
        return (*parts, *_ends([(one.bound, one.model) for one in shown], "truth"), Part("."))
    for k, one in enumerate(shown):
        link = "" if k == 0 else " and " if k == len(shown) - 1 else ", "
        parts += [Part(link), Part(write(one.bound), "truth")]
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
