"""Standard errors: inverse Hessian, BHHH and the clustered sandwich, each by name.

With H the Hessian of the log-likelihood, s_i the score of decision i and g_c = sum of s_i within
cluster c (SCIENCE 4.2):

    hessian   (-H)^-1
    bhhh      (sum_i s_i s_i')^-1
    sandwich  H^-1 (sum_c g_c g_c') H^-1, clustered by subject or by episode

A person's own parameters are never clustered by subject: that person's score is zero at the optimum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg
import torch
from scipy.linalg import null_space
from scipy.sparse import csr_array
from torch import Tensor

from humansoft.data.log import BehaviorLog
from humansoft.errors import NotAvailableError, did_you_mean
from humansoft.fit.arrow import ArrowMatrix, BlockCovariance, inverse
from humansoft.fit.intervals import FEWEST_EPISODES, Clusters
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.parameters import Parameters

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
CovarianceKind = Literal["hessian", "bhhh", "sandwich_by_subject", "sandwich_by_episode", "posterior"]
COVARIANCE_KINDS: tuple[CovarianceKind, ...] = (
    "hessian",
    "bhhh",
    "sandwich_by_subject",
    "sandwich_by_episode",
    "posterior",
)

_FLAT = "the data leave a direction of the parameters flat: see `identify`"
_DEGENERATE = 1e-6
"""A robust variance that is so small a share of the usual one is rounding.

With one temperature a person and nothing that fixes their unit, a step of all rewards at once can be made up for
by each person alone: scores summed by subject are then 0 along it, whatever the data.
"""
_SINGULAR = 1e-10  # smallest eigenvalue, relative to the largest, that is not rounding in a solution to 10 digits

_NO_EPISODES = (
    "the log was counted while reading, which keeps no episodes; use 'hessian' or 'sandwich_by_subject', or read it "
    "without counted=True"
)


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariance matrices of all parameters [P, P] by kind; a sentence where one is not available.

    Attributes:
        matrices: kind -> covariance (fixed parameters have variance 0), or the reason why not.
        kinds: [P] kind of the standard error reported by default for each parameter.
        index: (name, label) of the parameters.
    """

    matrices: Mapping[str, BlockCovariance | str]
    kinds: tuple[str, ...]
    index: "pd.Index[Any]"

    def matrix(self, kind: str) -> BlockCovariance:
        """Return one covariance in the form in which it is kept, which is small for any number of people.

        Raises:
            NotAvailableError: unknown kind, or the reason why this one does not exist.
        """
        if kind not in self.matrices:
            raise NotAvailableError(f"there is no covariance {kind!r}.{did_you_mean(kind, self.matrices)}")
        matrix = self.matrices[kind]
        if isinstance(matrix, str):
            raise NotAvailableError(f"covariance {kind!r} is not available: {matrix}")
        return matrix

    def table(self, kind: str) -> pd.DataFrame:
        """Return one covariance matrix as a table [P, P].

        Raises:
            NotAvailableError: unknown kind, or the reason why this one does not exist.
        """
        return pd.DataFrame(self.matrix(kind).toarray(), self.index, self.index)

    def std_errors(self, kind: str | None = None) -> npt.NDArray[np.float64]:
        """Return the standard error of each parameter [P]: of one kind, or the default of each."""
        kinds = np.array(self.kinds if kind is None else (kind,) * len(self.kinds), dtype=object)
        errors = np.full(len(kinds), np.nan)
        for name in dict.fromkeys(kinds):
            if name:
                variances = self.matrix(name).variances()
                chosen = (kinds == name) & (variances >= 0)
                errors[chosen] = np.sqrt(variances[chosen])
        return errors


def covariances(
    likelihood: AbstractLikelihood, full: Real, log: BehaviorLog, clusters: Clusters, identified: bool = True
) -> Covariances:
    """Compute every kind of covariance at the optimum.

    Args:
        likelihood: the likelihood that was maximised.
        full: [P] the estimates; those at a boundary count as fixed in the model's table.
        log: the decisions, episode by episode.
        clusters: how many people and episodes they are of.
        identified: false where a direction is known to be flat: matrices are then singular but for rounding.
    """
    table, point = likelihood.model.table, torch.from_numpy(full)
    seen = likelihood.observations
    information = likelihood.hessian(point).scaled(-1.0)
    scores = likelihood.jacobian(point)
    products = likelihood.outer(np.sqrt(seen.weight)[:, None] * scores, seen.person)
    bread = _inverse(information, table, "the observed information") if identified else _FLAT
    matrices: dict[str, BlockCovariance | str] = {
        "hessian": bread,
        "bhhh": _inverse(products, table, "the matrix of score products") if identified else _FLAT,
        "sandwich_by_subject": bread,
        "sandwich_by_episode": _NO_EPISODES if log.counted else bread,
    }
    if not isinstance(bread, str):
        by_subject, people = _clusters(likelihood, scores, seen.person)
        by_subject_matrix = _sandwich(bread, likelihood, by_subject, people, "subject")
        if not isinstance(by_subject_matrix, str):
            own = np.array([row.level == "subject" and row.fixed is None for row in table.rows], dtype=bool)
            by_subject_matrix = by_subject_matrix.without(own)
        matrices["sandwich_by_subject"] = by_subject_matrix
        if not log.counted:
            matrices["sandwich_by_episode"] = _sandwich(
                bread, likelihood, *_by_episode(likelihood, point, log), "episode"
            )
    return Covariances(matrices, tuple(_default_kinds(clusters, matrices)), table.index())


def _inverse(matrix: ArrowMatrix, table: Parameters, what: str) -> BlockCovariance | str:
    diagonal = matrix.diagonal()
    if not np.isfinite(diagonal).all():
        return f"{what} holds values that are not finite"
    still = int((table.free & (diagonal == 0)).sum())
    if still:
        return f"{what} is zero for {still} parameters: the data do not move them"
    found = inverse(matrix, table.free, table.mean_zero)
    if found.smallest <= _SINGULAR:
        return f"{what} is singular (smallest eigenvalue {found.smallest:.1e}): a direction is flat"
    return found.covariance


def _by_episode(likelihood: AbstractLikelihood, point: Tensor, log: BehaviorLog) -> tuple[Real, Index]:
    """Return the score of each episode [U, C] and whose it is [U]."""
    finer = likelihood.counting(likelihood.model.observe(log, by="episode"))
    return _clusters(finer, finer.jacobian(point), finer.observations.unit)


def _clusters(likelihood: AbstractLikelihood, scores: Real, unit: Index) -> tuple[Real, Index]:
    """Add the weighted scores [N, C] of each unit -> [U, C], and tell whose it is [U]."""
    seen = likelihood.observations
    _, first, place = np.unique(unit, return_index=True, return_inverse=True)
    gather: Any = csr_array((seen.weight, (place, np.arange(len(place)))))  # scipy's stubs promise too little
    total: Real = gather @ scores
    return total, seen.person[first]


def _sandwich(
    bread: BlockCovariance, likelihood: AbstractLikelihood, clusters: Real, person: Index, by: str
) -> BlockCovariance | str:
    table = likelihood.model.table
    common = np.flatnonzero(table.free & np.array([row.level != "subject" for row in table.rows], dtype=bool))
    meat = likelihood.outer(clusters, person)
    over = np.zeros((len(table), len(common)))  # directions that no person has alone
    over[common, np.arange(len(common))] = 1.0
    if table.mean_zero is not None and table.mean_zero[common].any():
        over = over @ null_space(table.mean_zero[None, common])
    needed = over.shape[1]
    if by == "subject" and not needed:
        return (
            "no parameter is shared, and a person's own are never clustered by subject (their score is zero at the "
            "optimum); use 'sandwich_by_episode' or 'hessian'"
        )
    if by == "subject" and len(clusters) <= needed:
        return (
            f"clustering by subject needs more subjects than the {needed} parameters they share, there are "
            f"{len(clusters)}; use 'sandwich_by_episode' or 'hessian'"
        )
    if by == "episode" and len(clusters) < FEWEST_EPISODES:
        return (
            f"clustering by episode needs at least {FEWEST_EPISODES} episodes, there are {len(clusters)}; use 'hessian'"
        )
    found = bread.around(meat)
    if needed and _smallest_share(over.T @ found.times(over), over.T @ bread.times(over)) < _DEGENERATE:
        return (
            f"the {len(clusters)} cluster sums span fewer than {needed} directions; "
            "use 'hessian', or cluster by episode"
        )
    return found


def _smallest_share(variance: Real, model_based: Real) -> float:
    """Return the smallest ratio of two covariances [q, q] over all directions."""
    return float(scipy.linalg.eigh(variance, model_based, eigvals_only=True)[0])


def _default_kinds(clusters: Clusters, matrices: Mapping[str, BlockCovariance | str]) -> list[str]:
    """Choose each parameter's default: by subject when many share it, by episode when it is one person's."""
    wanted = np.where(clusters.enough_people, "sandwich_by_subject", "hessian")
    wanted = np.where(clusters.enough_episodes, "sandwich_by_episode", wanted)
    there = [kind for kind, matrix in matrices.items() if not isinstance(matrix, str)]
    return [next((kind for kind in (first, "hessian") if kind in there), "") for first in wanted.tolist()]
