"""Directions in which a fit's own training data are flat, and what moving along them does elsewhere."""

import numpy as np
import numpy.typing as npt
import torch

from humansoft.fit.identification import STRUCTURAL
from humansoft.fit.likelihood import Likelihood
from humansoft.fit.result import Fit
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]


def training_likelihood(fit: Fit) -> Likelihood:
    """Line the fit's own training counts up with its model; they keep no times: with a horizon, all is at time 0."""
    counts, model = fit.training.counts, fit.model
    person, state, action = (counts[name].to_numpy(copy=True) for name in ("subject", "state", "action"))
    row = person if model.rows_are_people else model.group_of_subject[person]
    expansion = model.expand(row, state)
    place = expansion.place(model.task, row, state)
    weight = counts["weight"].to_numpy(dtype=float, copy=True)
    return Likelihood(model, Observations(expansion, place, action, weight, person, person))


def flat_directions(likelihood: Likelihood, full: Real, basis: Real) -> Real:
    """Return the directions [P, K] in the span of ``basis`` [P, D] along which log pi(a|s) stays as it is.

    Args:
        likelihood: all actions in the visited states, weighted by visits.
        full: [P] parameters.
        basis: [P, D] directions among which to look.
    """
    table = likelihood.model.table
    observed = likelihood.observations
    units = np.abs(basis).T @ (1 / table.scales) / np.abs(basis).sum(axis=0)
    weighted = _jacobian(likelihood, full, np.sqrt(observed.weight))
    blocks = []
    for b in np.unique(observed.person):  # each person's rows are few numbers: reduce them first
        triangle: Real = np.linalg.qr(weighted[observed.person == b], mode="r")  # type: ignore[assignment]
        blocks.append(_spread(likelihood, triangle, int(b)) @ basis * units)
    _, size, rows = np.linalg.svd(np.vstack(blocks), full_matrices=True)
    size = np.r_[size, np.zeros(len(rows) - len(size))]
    rank = int((size > STRUCTURAL * size[0]).sum())
    flat: Real = basis @ (units[:, None] * rows[rank:].T)
    return flat


def effects(likelihood: Likelihood, full: Real, directions: Real) -> Real:
    """Return the change of pi(a|s) [N, K] by a unit step along each direction [P, K], in all that people can do."""
    jacobian = _jacobian(likelihood, full, np.ones(len(likelihood.observations.weight)), power=1.0)
    changes = np.zeros((len(jacobian), directions.shape[1]))
    for b in np.unique(likelihood.observations.person):
        rows = likelihood.observations.person == b
        changes[rows] = _spread(likelihood, jacobian[rows], int(b)) @ directions
    return changes


def _jacobian(likelihood: Likelihood, full: Real, weight: Real, power: float = 0.5) -> Real:
    """Return weight * pi(a|s) ** power * d log pi(a|s) / d color [N, colors]."""
    point = torch.from_numpy(full)
    log_prob = likelihood.log_prob(point)
    assert log_prob is not None, "the estimates are feasible"
    scaled: Real = likelihood.jacobian(point) * (weight * np.exp(power * log_prob.numpy()))[:, None]
    return scaled


def _spread(likelihood: Likelihood, columns: Real, person: int) -> Real:
    """Put a person's columns, one a color, to that person's parameters [.., P]."""
    mine = np.flatnonzero(likelihood.belongs[:, person])
    spread = np.zeros((len(columns), len(likelihood.model.table)))
    spread[:, mine] = columns[:, likelihood.model.table.colors[mine]]
    return spread
