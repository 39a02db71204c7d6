"""What limits a verdict, in the words that a page and a plot have in common."""

from collections.abc import Mapping

import pandas as pd

from cameval.evaluation._words import counted, one_line, plural
from cameval.statistics import ENOUGH_GROUPS

NOISE_ALONE = "Only compared with random maps: no mask in the middle was evaluated."


def describe_few_groups(samples: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return that there are fewer groups than intervals need; else an empty text.

    Examples
    --------
    >>> import pandas as pd
    >>> from cameval.evaluation._caution_words import describe_few_groups
    >>> samples = pd.DataFrame({"group": ["a", "a", "b"]})
    >>> describe_few_groups(samples, {"group": "patient"})
    'There are only 2 patients: intervals may be too narrow.'
    """
    groups = samples["group"].nunique()
    if groups >= ENOUGH_GROUPS:
        return ""
    if groups == 1:
        return f"There is only one {one_line(names.get('group', 'group'))}: means have no interval."
    return f"There are only {counted(groups, 'group', names)}: intervals may be too narrow."


def count_ungrouped(samples: pd.DataFrame) -> tuple[int, int]:
    """Return how many images are their own group, as those without a group, and of how many."""
    pairs = samples[["sample", "group"]].astype(str).drop_duplicates("sample")
    alone = ~pairs["group"].duplicated(keep=False)
    return int((alone & (pairs["group"] == pairs["sample"])).sum()), len(pairs)


def describe_no_groups(samples: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return how many images are their own group, as those of which no group was given.

    Examples
    --------
    >>> import pandas as pd
    >>> from cameval.evaluation._caution_words import describe_no_groups
    >>> describe_no_groups(pd.DataFrame({"sample": ["a", "b"], "group": ["a", "b"]}), {})
    'No groups were given: each of 2 images counts as its own; the intervals may be too narrow.'
    """
    own, n = count_ungrouped(samples)
    if n < 2 or not own:
        return ""
    text = f"No {plural('group', names)} were given: each of {n:,} images counts as its own"
    if own < n:
        have = "have" if own > 1 else "has"
        group = one_line(names.get("group", "group"))
        text = f"{own:,} of {n:,} images {have} no {group}: each counts as its own"
    return f"{text}; the intervals may be too narrow."


def describe_groups(samples: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return that no groups were given, or else that there are too few of them."""
    return describe_no_groups(samples, names) or describe_few_groups(samples, names)
