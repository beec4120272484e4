"""Degrees of freedom of contrasts whose variance is estimated too (Satterthwaite 1946).

The variance v of a contrast depends on variances of deviations, which have errors themselves. With the standard errors
e_k that these give to v, independent of each other, v is distributed about like a chi-squared of

    df = 2 v^2 / sum_k e_k^2

degrees of freedom over df, and the contrast over its standard error like Student's t (Giesbrecht and Burns 1985; the
same as lmerTest, Kuznetsova et al. 2017). In a balanced comparison of groups of B people this is B less the number of
groups, whatever people's decisions tell of each.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import t

Real = npt.NDArray[np.float64]

_FEWEST = 1.0


def degrees_of_freedom(contrasts: Real, covariance: Real, errors: Real) -> Real:
    """Return the degrees of freedom [d] of contrasts; infinite where nothing is uncertain about their variance.

    Args:
        contrasts: [d, P] weights of the parameters.
        covariance: [P, P] of the parameters.
        errors: [V, P, P] independent standard errors of it.

    Example:
        >>> degrees_of_freedom(np.eye(1), np.array([[0.2]]), np.array([[[0.2 * np.sqrt(2 / 10)]]])).round(6).tolist()
        [10.0]
    """
    variance = np.einsum("dp,pq,dq->d", contrasts, covariance, contrasts)
    off = np.einsum("dp,vpq,dq->vd", contrasts, errors, contrasts)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * variance**2 / (off**2).sum(axis=0)
    return np.where(np.isnan(found), np.inf, np.maximum(found, _FEWEST))


def reach_95(freedom: Real | float) -> Real:
    """Return how many standard errors a 95 % interval reaches to each side, by degrees of freedom.

    Example:
        >>> reach_95(np.array([10.0, np.inf])).round(3).tolist()
        [2.228, 1.96]
    """
    return np.asarray(t.ppf(0.975, freedom), dtype=np.float64)
