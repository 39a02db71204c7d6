"""The two p values of a test as words: corrected, and of the test alone."""

from cameval.evaluation._comparisons import Comparison
from cameval.report.formatting import format_p


def equals(p: float) -> str:
    """Return a p value after its sign of equality or inequality."""
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"


def both_p(test: Comparison, n_tests: int) -> str:
    """Return p, of several tests both corrected and alone.

    Parameters
    ----------
    test
        The test, which has a p.
    n_tests
        How many tests it is corrected for.
    """
    if n_tests < 2:
        return f"p {equals(test.p)}"
    return f"p {equals(test.p)} corrected for {n_tests:,} tests, p {equals(test.test.p)} alone"
