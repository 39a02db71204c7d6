"""Linear regression of a score on properties of the images, for grouped images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval.errors import NonFiniteError, SettingError, ShapeError
from cameval.statistics._cluster_robust import cluster_robust
from cameval.statistics._inputs import (
    Floats,
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
    check_confidence,
)

__all__ = ["Coefficient", "Regression", "clustered_regression", "log_area_regression"]

ENOUGH_FREEDOM = 4
"""From this number of degrees of freedom on, intervals have nearly their nominal coverage."""

_RANK = 1e-10  # at most this is left of a unit column that depends on the others


@dataclass(frozen=True)
class Coefficient:
    """One coefficient of a regression.

    Attributes
    ----------
    name
        Name of the covariate.
    estimate, se
        The coefficient and its standard error.
    low, high, p
        The ends of its interval and its two-sided p-value.
    freedom
        Degrees of freedom of interval and p-value. With fewer than 4 they are not reliable.

    Examples
    --------
    >>> from cameval.statistics import clustered_regression
    >>> fit = clustered_regression([1.0, 3.1, 4.9, 7.0], {"x": [0, 1, 2, 3]}, [1, 1, 2, 3])
    >>> slope = fit["x"]
    >>> slope.name, round(slope.estimate, 2), slope.low < 2 < slope.high
    ('x', 1.98, True)
    >>> slope.freedom < 4, slope.is_reliable  # of three groups
    (True, False)
    """

    name: str
    estimate: float
    se: float
    low: float
    high: float
    p: float
    freedom: float

    @property
    def is_reliable(self) -> bool:
        """Whether there are at least 4 degrees of freedom."""
        return self.freedom >= ENOUGH_FREEDOM


@dataclass(frozen=True)
class Regression:
    """The coefficients of a regression with the numbers of images and groups.

    Attributes
    ----------
    coefficients
        The intercept, then one coefficient for each covariate.
    r_squared
        Share of the variance that the covariates explain; NaN without variance.
    n
        Number of images for which all values are defined.
    n_groups
        Number of groups with such an image.
    n_undefined
        Number of images with an undefined value.

    Examples
    --------
    >>> from cameval.statistics import clustered_regression
    >>> fit = clustered_regression([1.0, 3.0, 5.0, 8.0], {"x": [0, 1, 2, 3]}, [1, 2, 3, 4])
    >>> [(one.name, round(one.estimate, 2)) for one in fit.coefficients]
    [('intercept', 0.8), ('x', 2.3)]
    >>> round(fit.r_squared, 3), fit.n, fit.n_groups, fit.n_undefined
    (0.989, 4, 4, 0)
    """

    coefficients: tuple[Coefficient, ...]
    r_squared: float
    n: int
    n_groups: int
    n_undefined: int

    def __getitem__(self, name: str) -> Coefficient:
        """Return the coefficient of that name."""
        for coefficient in self.coefficients:
            if coefficient.name == name:
                return coefficient
        raise KeyError(f"{name!r} is none of {[each.name for each in self.coefficients]}")


def clustered_regression(
    values: Values,
    covariates: Mapping[str, Values],
    groups: Labels,
    *,
    confidence: float = 0.95,
) -> Regression:
    """Regress per-image values on covariates, with standard errors for grouped images.

    Ordinary least squares with an intercept. The standard errors are cluster-robust with Bell and
    McCaffrey's correction for few groups (CR2). Intervals and p-values are of Student's t with
    Satterthwaite's degrees of freedom, which depend on the sizes of the groups and the distribution
    of each covariate over them. With one image in each group these are HC2 standard errors.

    Parameters
    ----------
    values
        One number for each image; NaN means undefined and is left out, but counted.
    covariates
        One number for each image, by name; NaN as above.
    groups
        The group of each image: integers or strings.
    confidence
        Confidence of the intervals, in (0, 1).

    Returns
    -------
    Regression
        If a single group determines a coefficient, such as that of a class with one patient, all
        its numbers except the estimate are NaN.

    Raises
    ------
    ArrayTypeError
        If values or covariates are not real numbers.
    ShapeError
        If the shapes differ, or there are not more images than coefficients.
    NonFiniteError
        If a number is infinite or a group is missing.
    SettingError
        If a covariate is constant or a combination of others, or `confidence` is out of its range.

    References
    ----------
    R. M. Bell and D. F. McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with
    Multi-Stage Samples", Survey Methodology 28 (2002).
    J. E. Pustejovsky and E. Tipton, "Small-Sample Methods for Cluster-Robust Variance Estimation
    and Hypothesis Testing in Fixed Effects Models", Journal of Business and Economic Statistics 36
    (2018).

    Examples
    --------
    >>> from cameval.statistics import clustered_regression
    >>> fit = clustered_regression([1.0, 3.1, 4.9, 7.0], {"x": [0, 1, 2, 3]}, [1, 1, 2, 3])
    >>> round(fit["x"].estimate, 3), fit.n, fit.n_groups
    (1.98, 4, 3)
    """
    check_confidence(confidence)
    y, labels = as_numbers(values), as_labels(groups)
    columns = {name: as_numbers(column, name) for name, column in covariates.items()}
    check_aligned(("values", y), *columns.items(), ("groups", labels))
    _check_names(covariates, {"intercept"})
    defined = _where_defined(y, *columns.values())
    design = {"intercept": np.ones(defined.sum())}
    design |= {name: column[defined] for name, column in columns.items()}
    return _fit(y[defined], design, Groups.of(labels[defined]), confidence, defined)


def log_area_regression(
    values: Values,
    area: Values,
    label: Labels,
    groups: Labels,
    *,
    covariates: Mapping[str, Values] | None = None,
    confidence: float = 0.95,
) -> Regression:
    """Regress a metric on the logarithm of the true area and on the class.

    It is a `clustered_regression` on ``log2(area)``, on an indicator ``label[...]`` for each class
    except the first in sorted order, and on further covariates. The coefficient of ``log2(area)``
    is the change with each doubling of the area.

    Parameters
    ----------
    values
        The metric, one number for each image; NaN means undefined and is left out, but counted.
    area
        Area of the truth, in any unit; positive where the metric is defined.
    label
        The class of each image: integers or strings.
    groups
        The group of each image: integers or strings.
    covariates
        Further numbers for each image, by name, such as the confidence of the classifier.
    confidence
        Confidence of the intervals, in (0, 1).

    Returns
    -------
    Regression
        The intercept is the first class's metric at an area of 1.

    Raises
    ------
    NonFiniteError
        If an area is not positive where the metric is defined, a number is infinite, or a group or
        class is missing.
    ArrayTypeError, ShapeError, SettingError
        As of `clustered_regression`.

    Examples
    --------
    >>> from cameval.statistics import log_area_regression
    >>> area = [0.01, 0.02, 0.04, 0.01, 0.02, 0.04]
    >>> score = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    >>> fit = log_area_regression(score, area, list("aaabbb"), [1, 2, 3, 4, 5, 6])
    >>> [(one.name, round(one.estimate, 3)) for one in fit.coefficients]
    [('intercept', 0.764), ('log2(area)', 0.1), ('label[b]', 0.3)]
    """
    y, areas = as_numbers(values), as_numbers(area, "area")
    classes = as_labels(label, "label")
    further = {name: as_numbers(column, name) for name, column in (covariates or {}).items()}
    check_aligned(("values", y), ("area", areas), ("label", classes), *further.items())
    defined = _where_defined(y, areas, *further.values())
    if (areas[defined] <= 0).any():
        raise NonFiniteError(
            f"area must be positive where the metric is defined, got {areas[defined].min()}; "
            "make the metric NaN where the truth is empty"
        )
    logs = np.full(y.shape, np.nan)
    logs[defined] = np.log2(areas[defined])
    design: dict[str, Values] = {"log2(area)": logs}
    design |= {f"label[{one}]": classes == one for one in np.unique(classes[defined])[1:]}
    _check_names(further, set(design))
    return clustered_regression(y, design | further, groups, confidence=confidence)


def _where_defined(*columns: Floats) -> NDArray[np.bool_]:
    defined: NDArray[np.bool_] = np.logical_and.reduce([~np.isnan(column) for column in columns])
    return defined


def _check_names(covariates: Mapping[str, object], taken: set[str]) -> None:
    if again := taken & set(covariates):
        raise SettingError(f"covariates must not be named {min(again)!r}, which is in the model")


def _fit(
    y: Floats,
    design: Mapping[str, Floats],
    groups: Groups,
    confidence: float,
    defined: NDArray[np.bool_],
) -> Regression:
    from scipy.special import stdtr, stdtrit

    n, n_groups, k = y.size, groups.stratum.size, len(design)
    if n <= k:
        raise ShapeError(
            f"values must have more defined images than coefficients, got {n} images and {k} "
            "coefficients; leave covariates out"
        )
    _check_independent(design)
    x = np.column_stack(list(design.values()))
    fit = cluster_robust(y, x, groups)
    se = np.sqrt(np.diag(fit.covariance))
    margin = se * stdtrit(fit.freedom, (1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(fit.freedom, -np.abs(fit.estimates / se))
        r_squared = 1 - (fit.errors**2).sum() / ((y - y.mean()) ** 2).sum()
    ends = fit.estimates - margin, fit.estimates + margin
    columns = zip(
        design,
        *(a.tolist() for a in (fit.estimates, se, *ends, p, fit.freedom)),
        strict=True,
    )
    return Regression(
        coefficients=tuple(Coefficient(*column) for column in columns),
        r_squared=float(r_squared) if np.ptp(y) > 0 else float("nan"),
        n=n,
        n_groups=n_groups,
        n_undefined=int(defined.size - n),
    )


def _check_independent(design: Mapping[str, Floats]) -> None:
    """Check by Gram-Schmidt that no column is a combination of the columns before it."""
    basis: list[Floats] = []
    for name, column in design.items():
        length = np.linalg.norm(column)
        left = column / length if length > 0 else column
        for _ in range(2):  # twice, because of rounding
            for direction in basis:
                left = left - (direction @ left) * direction
        if np.linalg.norm(left) <= _RANK:
            raise SettingError(
                f"covariates must be linearly independent, got {name!r}, which is constant or "
                "a combination of those before it; leave it out"
            )
        basis.append(left / np.linalg.norm(left))
