"""The paired tests of the study's pages: each comparison has one p value, wherever it is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cameval import Results
from cameval.report._comparisons import ALPHA, Family, family_of
from cameval.report._comparisons import Test as PageTest
from cameval.report._view import Facts, Preferred
from cameval.statistics import paired_tests
from study.words import between, count_of, number, p_in_words

__all__ = ["Comparison", "PageTests", "ahead", "family"]


@dataclass(frozen=True)
class Comparison:
    """A difference of two means over the same slices, tested by flipping signs of patients.

    Parameters
    ----------
    first, second
        What is compared.
    difference, low, high
        Mean over the slices of ``first - second``, with the interval that agrees with `p`.
    p
        Corrected for all tests of its family.
    size
        Number of tests of the family.
    n_groups
        Number of patients.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    size: int
    n_groups: int

    @property
    def clear(self) -> bool:
        """Whether the corrected p is below .05."""
        return self.p < ALPHA

    @property
    def numbers(self) -> str:
        """The difference with its interval, and p."""
        interval = between(self.low, self.high)
        corrected = f", both corrected for {count_of(self.size, 'test')}" if self.size > 1 else ""
        return (
            f"difference {number(self.difference)}{' ' * bool(interval)}{interval}, "
            f"{p_in_words(self.p)}{corrected}"
        )

    def turned(self) -> "Comparison":
        """Return the same comparison, the second minus the first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
        )


def ahead(one: Comparison) -> str:
    """Say whether the first scores more than the second or less, by the corrected test.

    Examples
    --------
    >>> ahead(Comparison("a", "b", -0.2, -0.3, -0.1, 0.01, 1, 40))
    'a scores clearly less (difference -.200 [-.300, -.100], p = .010)'
    """
    if not one.clear:
        return f"no clear difference ({one.numbers})"
    return f"{one.first} scores clearly {'more' if one.difference > 0 else 'less'} ({one.numbers})"


@dataclass(frozen=True)
class PageTests:
    """The tests that a page of `write_report` prints, to be cited in the study's own sentences."""

    family: Family

    @classmethod
    def of(cls, results: Results, binarizer: str | None, method: str) -> "PageTests":
        """Make the tests of the page that `write_report` makes of the same arguments."""
        return cls(family_of(Facts(results, Preferred(binarizer, method))))

    def of_methods(self, model: str, first: str, second: str) -> Comparison | None:
        """Return the test of two maps of one model, whichever was the reference; None if none."""
        return self._between(self.family.of("method", model), first, second)

    def of_models(self, first: str, second: str) -> Comparison | None:
        """Return the test of two models; None if there is none."""
        return self._between(self.family.of("model"), first, second)

    def all_models(self) -> list[Comparison]:
        """Return the tests of all pairs of models."""
        return [self._comparison(test) for test in self.family.of("model")]

    def _between(self, tests: Iterable[PageTest], first: str, second: str) -> Comparison | None:
        for test in tests:
            if (test.first, test.second) == (first, second):
                return self._comparison(test)
            if (test.first, test.second) == (second, first):
                return self._comparison(test).turned()
        return None

    def _comparison(self, test: PageTest) -> Comparison:
        found = test.found
        return Comparison(
            test.first,
            test.second,
            found.difference,
            found.low,
            found.high,
            test.p,
            self.family.size,
            found.n_groups,
        )


def family(
    pairs: Mapping[tuple[str, str], NDArray[np.float64]], groups: NDArray[np.str_], seed: int
) -> dict[tuple[str, str], Comparison]:
    """Test several differences together, with p values corrected for their number.

    Parameters
    ----------
    pairs
        By the names of the two, the difference of each slice. Any two pairs must differ in name.
    groups
        The patient of each slice.
    seed
        Of the random signs.
    """
    none = "nothing"
    names = {str(k): pair for k, pair in enumerate(pairs)}
    columns = dict(zip(names, pairs.values(), strict=True))
    zeros = {none: np.zeros(len(groups))}
    tests = paired_tests(columns | zeros, groups, reference=none, seed=seed)
    size = sum(not np.isnan(test.p) for test in tests)
    return {
        names[test.first]: Comparison(
            *names[test.first],
            test.difference,
            test.low_holm,
            test.high_holm,
            test.p_holm,
            size,
            test.n_groups,
        )
        for test in tests
    }
