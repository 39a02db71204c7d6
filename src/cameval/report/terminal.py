"""The verdict of an evaluation as lines of text, for the end of a run."""

from collections.abc import Mapping, Sequence

import numpy as np

from cameval.evaluation import Results
from cameval.evaluation._comparisons import compare_all, seed_of
from cameval.evaluation._contents import Contents, contents_of_page
from cameval.evaluation._headline import Headline, headline_of
from cameval.evaluation._numbers import with_minus
from cameval.evaluation._scores import images_by_model, scores_of
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import CONSTANT
from cameval.report._accuracy import describe_accuracy
from cameval.report._names import Names, names_of
from cameval.report._negatives import describe_marks
from cameval.report._network_pairs import describe_pairs, pair_lines, pairs_of
from cameval.report._sentences import MOST_NAMED, plain
from cameval.report._targets import Targets, targets_of
from cameval.report._verdict import Verdict, verdicts_of
from cameval.report._verdict_words import Words, symbol_of, words_of
from cameval.report.formatting import format_count, format_interval, format_number

__all__ = ["verdict_lines"]

WIDTH = 80

_PLAIN = str.maketrans(
    {
        "\u25b2": "+",
        "\u2248": "~",
        "\u25bc": "-",
        "\u00b7": "|",
        "\u2212": "-",
        "\u2013": "-",
        "\u2026": "~",
        "\u00a0": " ",
        "\u2068": "",
        "\u2069": "",
    }
)


def verdict_lines(
    results: Results,
    *,
    binarizer: str | None = None,
    method: str | None = None,
    names: Mapping[str, str] | None = None,
    ascii_only: bool = False,
) -> list[str]:
    r"""Return the verdict of `write_report` as lines of at most 80 columns.

    A row for each network has its best maps with their mean score, the best blind baseline, and the
    upper bound of these masks. How often the network is right, the headline of the report and
    counts follow; of two or three networks also the paired difference of each pair with each
    binarizer, and in a metric of maps that needs none.

    Parameters
    ----------
    results, binarizer, method, names
        As of :func:`write_report`.
    ascii_only
        Whether the symbols are ASCII: ``+``, ``~`` and ``-`` for better, not clear and worse.

    Returns
    -------
    list of str
        The lines, without line ends.

    Raises
    ------
    SettingError
        If there is no such binarizer or method.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, evaluate_maps, iou
    >>> from cameval.report import verdict_lines
    >>> truth = np.zeros((32, 32), dtype=bool)
    >>> truth[8:24, 8:24] = True
    >>> images = np.random.default_rng(0).random((12, 32, 32), dtype=np.float32)
    >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
    >>> results = evaluate_maps(
    ...     {"exact": lambda one: 1.0 * one.mask}, samples, metrics=iou, progress=False
    ... )
    >>> print(*verdict_lines(results, binarizer="otsu", method="exact", ascii_only=True), sep="\n")
    12 images, 12 groups | mean IoU [95 % by group]
              best map                       best guess
      maps  + 1.000 [.712, 1.000] exact otsu .582 center
    + The maps find the object better than a guess.
    Of 12 images, 0 score below the guess.
    No groups were given: each of 12 images counts as its own; the intervals may be
    too narrow.
    Undefined scores: 0. Constant maps: 0.
    """
    contents = contents_of_page(results, binarizer)
    targets = targets_of(results, contents)
    scores = scores_of(targets.scored, contents)
    headline = headline_of(contents, scores, method=method, binarizer=binarizer)
    images = images_by_model(targets.scored)
    known = names_of(targets, contents, names)
    family = compare_all(contents, headline, images, seed_of(results))
    verdicts = verdicts_of(targets.scored, contents, images, headline, scores, family)
    pairs = pairs_of(contents, headline, images, family)
    told = describe_pairs(pairs, headline, scores, known)
    words = words_of(verdicts, targets, contents, headline, known, told)
    lines = [
        *_counts(targets, headline, known),
        *_table(verdicts),
        *_accuracy(results, known),
        *_wrap(f"{words.symbol} {words.headline}"),
        *_below(words),
        *pair_lines(pairs, headline, family),
        *(_wrap(plain(words.pairs)) if words.pairs else ()),
        *(line for sentence in words.caution for line in _wrap(plain(sentence))),
        *_negatives(results, targets, contents, headline, known),
        _undefined(verdicts, targets),
        *_undefined_of_others(verdicts, targets, headline),
    ]
    if ascii_only:
        lines = [line.translate(_PLAIN) for line in lines]
    return lines


def _counts(targets: Targets, headline: Headline, names: Names) -> list[str]:
    """Return what was evaluated, and which means the table has."""
    rows = targets.everything.samples.drop_duplicates(["sample", "label"])
    parts = [format_count(rows["sample"].nunique(), "image")]
    if names.several:
        parts.append(format_count(len(rows), "target"))
    if targets.n_negatives:
        present = int(rows["present"].sum())
        parts[-1] += f" ({present:,} with an object, {len(rows) - present:,} without)"
    classes = rows["label"].nunique()
    parts += [format_count(classes, "class", "classes")] if classes else []
    parts.append(names.count_groups(rows["group"].nunique()))
    text = ", ".join(parts)
    if headline.metric is None:
        return _wrap(text)
    last = f"mean {headline.title}{names.with_object} [95 % by {names.group}]"
    if len(text) + len(last) + 3 <= WIDTH:
        return [f"{text} \u00b7 {last}"]
    return [*_wrap(text), *_wrap(last)]


def _table(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a row for each network, in aligned columns that are cut where they are too wide."""
    shown = [one for one in verdicts if one.score is not None]
    if not shown:
        return []
    cells = [["", "", "best map", "", "best guess", "bound"], *map(_row, shown)]
    used = [k for k in range(6) if k < 4 or any(row[k] for row in cells[1:])]
    widths = [max(len(row[k]) for row in cells) for k in range(6)]
    widths[2] = max(len(row[2]) for row in cells[1:])
    over = 2 + sum(widths[k] for k in used) + len(used) - WIDTH
    for k, least in ((3, 12), (0, 12), (4, 10)):
        cut = min(max(0, over), max(0, widths[k] - least))
        widths[k] -= cut
        over -= cut
    lines = []
    for row in cells:
        parts = [f"{_cut(row[k], widths[k]):{widths[k]}}" for k in used]
        if row is cells[0]:
            parts[2:4] = [f"{row[2]:{widths[2] + 1 + widths[3]}}"]
        lines.append("  " + " ".join(parts).rstrip())
    return lines


def _row(one: Verdict) -> list[str]:
    """Return model, symbol, score, map, guess and bound as text."""
    assert one.column is not None  # it has a score
    assert one.score is not None
    column = one.column
    interval = format_interval(one.score.low, one.score.high)
    guess = ""
    if one.guess is not None:
        guess = f"{format_number(one.guess.mean)} {one_line(one.guess.column.method)}"
    return [
        one_line(one.model),
        f" {symbol_of(one.state)}",
        with_minus(f"{format_number(one.mean)} {interval}".strip()),
        " ".join(filter(None, [one_line(column.method), one_line(column.binarizer)])),
        with_minus(guess),
        "" if np.isnan(one.bound) else format_number(one.bound),
    ]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def _wrap(text: str) -> list[str]:
    """Return a text in lines of the width."""
    lines, line = [], ""
    for word in (_cut(one, WIDTH) for one in text.split(" ")):
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip() if line else word
    return [*lines, line]


def _below(words: Words) -> list[str]:
    """Return the sentence on images that score below the guess."""
    return [
        line
        for sentence in words.sentences
        if "guess" in plain(sentence) and not plain(sentence).startswith("Mean")
        for line in _wrap(plain(sentence))
    ]


def _accuracy(results: Results, names: Names) -> list[str]:
    """Return how often each classifier is right, where labels are given."""
    said = [
        describe_accuracy(images, names)
        for images in images_by_model(results).values()
        if images.has_labels
    ]
    return [line for one in said if one for line in _wrap(with_minus(one))]


def _negatives(
    results: Results, targets: Targets, contents: Contents, headline: Headline, names: Names
) -> list[str]:
    """Return what is marked on targets without an object."""
    if not targets.n_negatives:
        return []
    everything = images_by_model(results)
    said = [
        names.with_model(model, sentence)
        for model, column in headline.columns.items()
        for sentence in describe_marks(everything[model], column, contents, names)
    ]
    if not said:
        said = [
            f"No metric tells what is marked on the {names.row}s without an object; "
            "false_positive_rate and marked_area do."
        ]
    return [line for one in said for line in _wrap(one)]


def _undefined(verdicts: Sequence[Verdict], targets: Targets) -> str:
    """Return how many scores of these maps are undefined, and how many maps are constant."""
    undefined = constant = 0
    scored = targets.scored
    for one in verdicts:
        if one.column is not None:
            of_model = (scored.samples["model"] == one.model).to_numpy()
            at = scored.columns.index(one.column)
            undefined += int(np.isnan(scored.values[of_model, at]).sum())
            constant += int(((scored.codes[of_model, at] & CONSTANT) > 0).sum())
    return f"Undefined scores: {undefined:,}. Constant maps: {constant:,}."


def _undefined_of_others(
    verdicts: Sequence[Verdict], targets: Targets, headline: Headline
) -> list[str]:
    """Return how many maps of other methods are constant, and how many of their scores undefined.

    Of the binarizers of a method the one with the most is counted.
    """
    scored, shown = targets.scored, {(one.model, one.column) for one in verdicts}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for model in map(str, scored.samples["model"].unique()):
        of_model = (scored.samples["model"] == model).to_numpy()
        of_verdict = {column.method for name, column in shown if name == model and column}
        for at, column in enumerate(scored.columns):
            if column.kind != "method" or column.metric != headline.metric:
                continue
            if column.method in of_verdict:
                continue
            constant = int(((scored.codes[of_model, at] & CONSTANT) > 0).sum())
            counts = int(np.isnan(scored.values[of_model, at]).sum()), constant
            key = (model, column.method)
            found[key] = max(found.get(key, (0, 0)), counts)
    several = len(verdicts) > 1
    said = [
        f"{one_line(method, 40)}{f' of {one_line(model, 40)}' if several else ''} "
        f"{undefined:,} undefined, {constant:,} constant"
        for (model, method), (undefined, constant) in found.items()
        if undefined or constant
    ]
    more = f" and {len(said) - MOST_NAMED:,} more" if len(said) > MOST_NAMED else ""
    return _wrap(f"Of other maps: {'; '.join(said[:MOST_NAMED])}{more}.") if said else []
