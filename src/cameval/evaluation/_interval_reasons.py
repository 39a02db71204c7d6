"""Why the difference of a paired test has no interval."""

from typing import Literal, TypeAlias

import numpy as np

from cameval.statistics import PairedTest
from cameval.statistics._sign_flips import least_p

ALPHA = 0.05
"""The level of the tests of `Results.compare`."""


NoInterval: TypeAlias = Literal[
    "", "no pair", "no group differs", "too few groups", "too few resamples"
]
"""Why there is no interval; empty where there is one."""


def reasons(test: PairedTest) -> dict[str, NoInterval]:
    """Return why a test lacks its interval, and the one that is corrected.

    Examples
    --------
    >>> from cameval.evaluation._interval_reasons import reasons
    >>> from cameval.statistics import paired_tests
    >>> columns = {"a": [0.1, 0.2, 0.4], "b": [0.5, 0.5, 0.6]}
    >>> (test,) = paired_tests(columns, ["x", "y", "z"])
    >>> reasons(test)
    {'reason': 'too few groups', 'reason_holm': 'too few groups'}
    """
    corrected = ALPHA if np.isnan(test.p) else ALPHA * test.p / test.p_holm
    return {
        "reason": _reason(test, test.low, ALPHA),
        "reason_holm": _reason(test, test.low_holm, corrected),
    }


def _reason(test: PairedTest, low: float, level: float) -> NoInterval:
    if not np.isnan(low):
        return ""
    if test.n == 0:
        return "no pair"
    if test.n_differing == 0:
        return "no group differs"
    return "too few groups" if least_p(test.n_groups) >= level else "too few resamples"
