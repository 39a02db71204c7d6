"""The paired tests of a page as a table."""

import pandas as pd

from cameval.evaluation import Results
from cameval.evaluation._comparisons import Comparison, compare_all, seed_of
from cameval.evaluation._contents import contents_of
from cameval.evaluation._headline import headline_of
from cameval.evaluation._scores import images_by_model, scores_of
from cameval.report._targets import targets_of

__all__ = ["page_tests"]


def page_tests(
    results: Results, *, binarizer: str | None = None, method: str | None = None
) -> pd.DataFrame:
    """Return the paired tests that `write_report` prints for the same arguments.

    A comparison that is quoted in a section of your own then has the p value that it has on the
    page.

    Parameters
    ----------
    results, binarizer, method
        As of :func:`write_report`.

    Returns
    -------
    pandas.DataFrame
        One row for each test: its kind (``"method"``, ``"model"`` or ``"target_class"``); the
        model, of two models the second; the labels of the two; the mean of ``first - second`` over
        the images; the interval (low, high) that agrees with p; p, adjusted by Holm's method for
        all tests of the page; the number of groups; the number of tests of the page.

    Raises
    ------
    SettingError
        If there is no such binarizer or method.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, evaluate_maps, iou
    >>> from cameval.report import page_tests
    >>> truth = np.zeros((32, 32), dtype=bool)
    >>> truth[8:24, 8:24] = True
    >>> images = np.random.default_rng(0).random((12, 32, 32), dtype=np.float32)
    >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
    >>> results = evaluate_maps(
    ...     {"exact": lambda one: 1.0 * one.mask}, samples, metrics=iou, progress=False
    ... )
    >>> tests = page_tests(results, binarizer="otsu")
    >>> tests[["first", "second", "groups"]].to_dict("records")[0]
    {'first': 'exact', 'second': 'center', 'groups': 12}
    """
    contents = contents_of(results, first_binarizer=binarizer)
    results = targets_of(results, contents).scored
    scores = scores_of(results, contents)
    headline = headline_of(contents, scores, method=method, binarizer=binarizer)
    family = compare_all(contents, headline, images_by_model(results), seed_of(results))
    return pd.DataFrame([_record(one, family.size) for one in family.comparisons], columns=_COLUMNS)


_COLUMNS = ["kind", "model", "first", "second", "difference", "low", "high", "p", "groups", "tests"]


def _record(one: Comparison, size: int) -> tuple[object, ...]:
    test = one.test
    about = (one.kind, one.model, one.first, one.second)
    return (*about, test.difference, test.low, test.high, one.p, test.n_groups, size)
