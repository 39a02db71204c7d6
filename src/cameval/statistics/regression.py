"""How a score depends on other properties of its images: by least squares."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

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
"""From how many degrees of freedom on a coefficient's interval is near the nominal one."""

_RANK = 1e-10  # what is left of a column of length 1 that the others explain, at most


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
        Degrees of freedom of the two. With fewer than 4 they are not to be trusted.
    """

    name: str
    estimate: float
    se: float
    low: float
    high: float
    p: float
    freedom: float

    @property
    def trusted(self) -> bool:
        """Whether there are at least 4 degrees of freedom."""
        return self.freedom >= ENOUGH_FREEDOM


@dataclass(frozen=True)
class Regression:
    """The coefficients of a regression and what they rest on.

    Attributes
    ----------
    coefficients
        The intercept, then one for each covariate.
    r_squared
        Share of the variance that the covariates explain; NaN if there is none.
    n
        Images for which everything is defined.
    n_groups
        Groups with such an image.
    n_undefined
        Images without.
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
    """Regress per-image values on covariates, with standard errors that respect groups.

    Ordinary least squares with an intercept. The standard errors are cluster-robust with Bell and
    McCaffrey's correction for few groups (CR2). Intervals and p-values are of Student's t with
    Satterthwaite's degrees of freedom, for each coefficient those that the sizes of the groups and
    the place of its covariate among them leave. With one image in each group the errors are those
    called HC2.

    Parameters
    ----------
    values
        One number for each image; NaN means undefined and is left out, but counted.
    covariates
        By name, one number for each image, with NaN as above.
    groups
        The group of each image: integers or strings.
    confidence
        Confidence of the intervals, in (0, 1).

    Returns
    -------
    Regression
        All but the estimate is NaN where a single group determines a coefficient, such as that of a
        class of one patient.

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
    >>> found = clustered_regression([1.0, 3.1, 4.9, 7.0], {"x": [0, 1, 2, 3]}, [1, 1, 2, 3])
    >>> round(found["x"].estimate, 3), found.n, found.n_groups
    (1.98, 4, 3)
    """
    check_confidence(confidence)
    y, labels = as_numbers(values), as_labels(groups)
    columns = {name: as_numbers(column, name) for name, column in covariates.items()}
    check_aligned(("values", y), *columns.items(), ("groups", labels))
    _check_new(covariates, {"intercept"})
    defined = _all_defined(y, *columns.values())
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

    A `clustered_regression` on ``log2(area)``, whose coefficient is the change with each doubling
    of the area, on an indicator ``label[...]`` for each class but the first in sorted order, and on
    further covariates.

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
        By name, one further number for each image, such as the confidence of the classifier.
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
    >>> area = [0.01, 0.02, 0.04, 0.01, 0.02, 0.04]
    >>> score = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    >>> found = log_area_regression(score, area, list("aaabbb"), [1, 2, 3, 4, 5, 6])
    >>> [(one.name, round(one.estimate, 3)) for one in found.coefficients]
    [('intercept', 0.764), ('log2(area)', 0.1), ('label[b]', 0.3)]
    """
    y, areas = as_numbers(values), as_numbers(area, "area")
    classes = as_labels(label, "label")
    further = {name: as_numbers(column, name) for name, column in (covariates or {}).items()}
    check_aligned(("values", y), ("area", areas), ("label", classes), *further.items())
    defined = _all_defined(y, areas, *further.values())
    if (areas[defined] <= 0).any():
        raise NonFiniteError(
            f"area must be positive where the metric is defined, got {areas[defined].min()}; "
            "make the metric NaN where the truth is empty"
        )
    logs = np.full(y.shape, np.nan)
    logs[defined] = np.log2(areas[defined])
    design: dict[str, Values] = {"log2(area)": logs}
    design |= {f"label[{one}]": classes == one for one in np.unique(classes[defined])[1:]}
    _check_new(further, set(design))
    return clustered_regression(y, design | further, groups, confidence=confidence)


def _all_defined(*columns: Floats) -> NDArray[np.bool_]:
    defined: NDArray[np.bool_] = np.logical_and.reduce([~np.isnan(column) for column in columns])
    return defined


def _check_new(covariates: Mapping[str, object], taken: set[str]) -> None:
    if again := taken & set(covariates):
        raise SettingError(f"covariates must not be named {min(again)!r}, which is in the model")


def _fit(
    y: Floats,
    design: Mapping[str, Floats],
    groups: Groups,
    confidence: float,
    defined: NDArray[np.bool_],
) -> Regression:
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
    """Take each column's part along the earlier ones away; something must be left."""
    basis: list[Floats] = []
    for name, column in design.items():
        length = np.linalg.norm(column)
        left = column / length if length > 0 else column
        for _ in range(2):  # once more for what rounding left
            for direction in basis:
                left = left - (direction @ left) * direction
        if np.linalg.norm(left) <= _RANK:
            raise SettingError(
                f"covariates must be linearly independent, got {name!r}, which is constant or "
                "a combination of those before it; leave it out"
            )
        basis.append(left / np.linalg.norm(left))
