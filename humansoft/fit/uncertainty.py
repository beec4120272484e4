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
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.sparse import csr_array

from humansoft.data.log import BehaviorLog
from humansoft.errors import NotAvailableError, did_you_mean
from humansoft.fit.likelihood import Likelihood
from humansoft.parameters import Parameters

Real = npt.NDArray[np.float64]
CovarianceKind = Literal["hessian", "bhhh", "sandwich_by_subject", "sandwich_by_episode"]

MIN_EPISODES = 5
"""With fewer episodes, a sandwich clustered by episode says more about luck than about noise."""

_NO_EPISODES = (
    "the log was counted while reading, which keeps no episodes; use 'hessian' or 'sandwich_by_subject', or read it "
    "without counted=True"
)


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariance matrices of all parameters [P, P] by kind; a sentence where one is not available.

    Attributes:
        tables: kind -> covariance matrix (fixed parameters have variance 0), or the reason why not.
        kinds: [P] kind of the standard error reported by default for each parameter.
    """

    tables: Mapping[str, pd.DataFrame | str]
    kinds: tuple[str, ...]

    def table(self, kind: str) -> pd.DataFrame:
        """Return one covariance matrix.

        Raises:
            NotAvailableError: unknown kind, or the reason why this one does not exist.
        """
        if kind not in self.tables:
            raise NotAvailableError(f"there is no covariance {kind!r}.{did_you_mean(kind, self.tables)}")
        table = self.tables[kind]
        if isinstance(table, str):
            raise NotAvailableError(f"covariance {kind!r} is not available: {table}")
        return table

    def std_errors(self, kind: str | None = None) -> npt.NDArray[np.float64]:
        """Return the standard error of each parameter [P]: of one kind, or the default of each."""
        kinds = self.kinds if kind is None else (kind,) * len(self.kinds)
        errors = []
        for place, name in enumerate(kinds):
            variance = float(self.table(name).to_numpy()[place, place]) if name else np.nan
            errors.append(variance**0.5 if variance >= 0 else np.nan)
        return np.array(errors, dtype=float)


def covariances(likelihood: Likelihood, full: Real, log: BehaviorLog) -> Covariances:
    """Compute every kind of covariance at the optimum.

    Args:
        likelihood: the likelihood that was maximised.
        full: [P] the estimates; those at a boundary count as fixed in the model's table.
        log: the decisions, for the clusters.
    """
    table, point = likelihood.model.table, torch.from_numpy(full)
    information = -likelihood.hessian(point)
    bread, reason = _inverse(table.basis.T @ information @ table.basis, "the observed information")
    scores = likelihood.scores(likelihood.jacobian(point))
    outer = (scores.T @ scores.multiply(likelihood.observations.weight[:, None])).toarray()
    # A counted log has no episodes, and each person's decisions are one cluster already.
    by_episode = likelihood if log.counted else _episode_likelihood(likelihood, log)
    episode_scores = by_episode.scores(by_episode.jacobian(point))
    weighted = episode_scores.multiply(by_episode.observations.weight[:, None]).tocsr()
    per_episode = _summed(weighted, by_episode.observations.unit)
    per_subject = _summed(weighted, by_episode.observations.person)
    bhhh, bhhh_reason = _inverse(table.basis.T @ outer @ table.basis, "the matrix of score products")
    tables: dict[str, Real | str] = {
        "hessian": bread if bread is not None else reason,
        "bhhh": bhhh if bhhh is not None else bhhh_reason,
        "sandwich_by_subject": _sandwich(bread, reason, per_subject @ table.basis, table, "subject"),
        "sandwich_by_episode": _NO_EPISODES
        if log.counted
        else _sandwich(bread, reason, per_episode @ table.basis, table, "episode"),
    }
    own = np.array([row.level == "subject" and row.fixed is None for row in table.rows])
    index = table.index()
    named: dict[str, pd.DataFrame | str] = {
        kind: value if isinstance(value, str) else pd.DataFrame(table.basis @ value @ table.basis.T, index, index)
        for kind, value in tables.items()
    }
    by_subject = named["sandwich_by_subject"]
    if not isinstance(by_subject, str):
        by_subject.loc[own, :] = by_subject.loc[:, own] = np.nan
    return Covariances(named, tuple(_default_kinds(likelihood, named, table, log)))


def _inverse(matrix: Real, what: str) -> tuple[Real | None, str]:
    if not len(matrix):
        return matrix, ""
    if not np.isfinite(matrix).all():
        return None, f"{what} holds values that are not finite"
    size = np.sqrt(np.abs(np.diag(matrix)))
    if (size == 0).any():
        return None, f"{what} is zero for {int((size == 0).sum())} parameters: the data do not move them"
    scaled = matrix / np.outer(size, size)
    values = np.linalg.eigvalsh((scaled + scaled.T) / 2)
    if values[0] <= 1e-12 * values[-1]:
        return None, f"{what} is singular (smallest eigenvalue {values[0]:.1e}): a direction is flat"
    inverse = np.linalg.inv(scaled) / np.outer(size, size)
    return (inverse + inverse.T) / 2, ""


def _episode_likelihood(likelihood: Likelihood, log: BehaviorLog) -> Likelihood:
    finer = Likelihood(likelihood.model, likelihood.model.observe(log, by="episode"))
    finer._warm, finer._solved = likelihood._warm, likelihood._solved  # the same problem, only counted more finely
    return finer


def _summed(scores: csr_array, unit: npt.NDArray[np.int64]) -> Real:
    """Add the rows of each unit -> [U, P]."""
    _, place = np.unique(unit, return_inverse=True)
    gather = csr_array((np.ones(len(place)), (place, np.arange(len(place)))))
    total: Real = (gather @ scores).toarray()
    return total


def _sandwich(bread: Real | None, reason: str, clusters: Real, table: Parameters, by: str) -> Real | str:
    if bread is None:
        return reason
    own = np.array([row.level == "subject" for row in table.rows])
    common = np.abs(table.basis[own]).sum(axis=0) == 0  # directions that no person has alone
    needed = int(common.sum())
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
    if by == "episode" and len(clusters) < MIN_EPISODES:
        return f"clustering by episode needs at least {MIN_EPISODES} episodes, there are {len(clusters)}; use 'hessian'"
    meat = clusters.T @ clusters
    if needed and np.linalg.matrix_rank(meat[np.ix_(common, common)], hermitian=True) < needed:
        return (
            f"the {len(clusters)} cluster sums span fewer than {needed} directions; "
            "use 'hessian', or cluster by episode"
        )
    return bread @ meat @ bread


def _default_kinds(
    likelihood: Likelihood, tables: Mapping[str, pd.DataFrame | str], table: Parameters, log: BehaviorLog
) -> list[str]:
    """Choose each parameter's default: by subject when many share it, by episode when it is one person's."""
    episodes = pd.Series(log.episode).groupby(log.subject).nunique()
    per_person = dict(zip(log.codebook.subjects.decode(episodes.index), episodes, strict=True))
    members = likelihood.belongs.sum(axis=1)
    kinds = []
    for place, row in enumerate(table.rows):
        sharing = sum(
            other.level == row.level and other.label == row.label and other.fixed is None for other in table.rows
        )
        choices = ["hessian"]
        if row.level == "subject":
            if per_person.get(row.label, 0) >= MIN_EPISODES:
                choices.insert(0, "sandwich_by_episode")
        elif members[place] > sharing:
            choices.insert(0, "sandwich_by_subject")
        elif members[place] == 1 and log.num_episodes >= MIN_EPISODES:
            choices.insert(0, "sandwich_by_episode")
        kinds.append(next((kind for kind in choices if not isinstance(tables[kind], str)), ""))
    return kinds
