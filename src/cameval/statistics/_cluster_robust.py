"""Cluster-robust variances of least squares for few groups."""

from dataclasses import dataclass

import numpy as np

from cameval.statistics._inputs import Floats, Groups

_ALONE = 1e-9  # at most this is left of a direction that only one group determines


@dataclass(frozen=True)
class ClusterRobust:
    """Least-squares estimates with their CR2 covariances, for K coefficients.

    Attributes
    ----------
    estimates, errors
        Coefficients ``(K,)`` and residuals ``(N,)``.
    covariance
        CR2 covariances of the coefficients ``(K, K)``; NaN for a coefficient that a single group
        determines.
    freedom
        Satterthwaite's degrees of freedom of each coefficient, ``(K,)``.
    """

    estimates: Floats
    errors: Floats
    covariance: Floats
    freedom: Floats


def cluster_robust(y: Floats, x: Floats, groups: Groups) -> ClusterRobust:
    """Regress `y` on the linearly independent columns of `x`.

    The working model of the correction has independent errors. With ``x = q r`` the adjustment of a
    group, ``(1 - q_g q_g') ** -1/2``, acts only on the span of ``q_g``, where it is
    ``(1 - q_g' q_g) ** -1/2``. So no matrix has the squared number of its images as its size.
    """
    q, r = np.linalg.qr(x)
    estimates = np.linalg.solve(r, q.T @ y)
    errors = y - x @ estimates
    n_groups, k = groups.stratum.size, x.shape[1]
    outer = groups.sums_of_rows((q[:, :, None] * q[:, None, :]).reshape(-1, k * k).T)
    inner = outer.T.reshape(n_groups, k, k)  # q_g' q_g
    scores = groups.sums_of_rows((q * errors[:, None]).T).T

    lost, directions = np.linalg.eigh(inner)
    kept = 1 - lost
    alone = kept <= _ALONE
    factors = np.where(alone, 0, 1 / np.sqrt(np.where(alone, 1, kept)))
    adjust = (directions * factors[:, None, :]) @ directions.swapaxes(1, 2)
    pulls = np.linalg.inv(r) @ (adjust @ scores[:, :, None])  # (G, K, 1)
    covariance = pulls[:, :, 0].T @ pulls[:, :, 0]

    freedom = np.full(k, np.nan)
    for j, unit in enumerate(np.eye(k)):
        toward = np.linalg.solve(r.T, unit)  # x (x'x)^-1 is q times this
        undetermined = (directions.swapaxes(1, 2) @ toward)[alone]
        if np.any(np.abs(undetermined) > np.sqrt(_ALONE) * np.linalg.norm(toward)):
            covariance[j] = covariance[:, j] = np.nan
            continue
        adjusted = adjust @ toward
        seen = (inner @ adjusted[:, :, None])[:, :, 0]
        own = (adjusted * seen).sum(1)
        crossed = seen.T @ seen  # the products of all pairs of groups are seen @ seen.T
        expected = own - (seen**2).sum(1)
        squares = (own**2).sum() - 2 * (own * (seen**2).sum(1)).sum() + (crossed**2).sum()
        freedom[j] = expected.sum() ** 2 / squares
    return ClusterRobust(estimates, errors, covariance, freedom)
