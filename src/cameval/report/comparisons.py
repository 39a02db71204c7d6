"""The paired tests of a page as a table."""

import pandas as pd

from cameval.evaluation import Results
from cameval.evaluation._comparisons import compare_all, seed_of
from cameval.evaluation._contents import contents_of_page
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
        One row for each test, with the names of `Results.compare`:

        - ``kind``: ``"method"``, ``"model"`` (of two or three models with each binarizer, unless
          one was fixed, and in the first metric of maps) or ``"target_class"``;
        - ``model``: the model, of two models the second;
        - ``first``, ``second``: the labels of the two;
        - ``target_class``, ``method``, ``binarizer``, ``metric``: of the scores of the first;
        - ``difference``: the mean of ``first - second`` over the images;
        - ``low``, ``high``, ``p``: the 95 % interval and the p value that agrees with it, not
          corrected;
        - ``low_holm``, ``high_holm``, ``p_holm``: what the page prints. p is corrected by Holm's
          method for the family, and the interval agrees with it;
        - ``confidence_holm``: the confidence of that interval;
        - ``n``, ``n_groups``, ``n_differing``, ``n_undefined``: the numbers of images with both
          scores, of their groups, of groups that differ, and of images without both scores;
        - ``n_patterns``, ``is_exact``, ``least_p``, ``is_reliable``: how many patterns of signs
          ``p`` is a share of, whether these are all, the smallest possible ``p``, and whether ten
          groups differ (with fewer the interval may be too narrow);
        - ``family``, ``tests``: what p is corrected together with, and the number of these tests.

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
    >>> tests[["first", "second", "binarizer", "n_groups"]].to_dict("records")[0]
    {'first': 'exact', 'second': 'center', 'binarizer': 'otsu', 'n_groups': 12}
    >>> bool((tests["p"] <= tests["p_holm"]).all()), set(tests["family"])
    (True, {'paired tests of the page'})
    """
    contents = contents_of_page(results, binarizer)
    results = targets_of(results, contents).scored
    scores = scores_of(results, contents)
    headline = headline_of(contents, scores, method=method, binarizer=binarizer)
    family = compare_all(contents, headline, images_by_model(results), seed_of(results))
    return pd.DataFrame(family.records(), columns=_COLUMNS)


_COLUMNS = [
    *("kind", "model", "first", "second", "target_class", "method", "binarizer", "metric"),
    *("difference", "low", "high", "p", "p_holm", "low_holm", "high_holm", "confidence_holm"),
    *("n", "n_groups", "n_differing", "n_undefined"),
    *("n_patterns", "is_exact", "least_p", "is_reliable", "family", "tests"),
]
"""The columns, which a table without a test has too."""
