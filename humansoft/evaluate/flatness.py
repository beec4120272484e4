"""A fit's own training data once more, and what moving its parameters changes in what people do."""

import copy

import numpy as np
import numpy.typing as npt
import torch

from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]


def training_likelihood(fit: Fit, released: bool = False) -> AbstractLikelihood:
    """Line the fit's own training counts up with its model; they keep no times: with a horizon, all is at time 0.

    Args:
        fit: the fit.
        released: take fixed parameters for free ones.
    """
    counts, model = fit.training.counts, with_released(fit.model) if released else fit.model
    person, state, action = (counts[name].to_numpy(copy=True) for name in ("subject", "state", "action"))
    row = person if model.rows_are_people else model.group_of_subject[person]
    weight = counts["weight"].to_numpy(dtype=float, copy=True)
    before = counts["previous"].to_numpy(copy=True) if "previous" in counts else None
    return likelihood_of(model, Observations(row, state, np.zeros_like(state), action, weight, person, person, before))


def with_released(model: SoftOptimalModel) -> SoftOptimalModel:
    """Return the same model with none of its parameters fixed."""
    released = copy.copy(model)
    released.table = model.table.released()
    return released


def effects(likelihood: AbstractLikelihood, full: Real, directions: Real) -> Real:
    """Return the change of pi(a|s) [N, K] by a unit step along each direction [P, K], in all that people can do.

    The likelihood's model has no fixed parameters (:func:`with_released`).
    """
    point = torch.from_numpy(full)
    log_prob = likelihood.log_prob(point)
    assert log_prob is not None, "the estimates are feasible"
    changes = np.exp(log_prob.numpy())[:, None] * likelihood.jacobian(point)
    row = likelihood.directions.row_of_person[likelihood.observations.person]
    moved = np.vstack([directions, np.zeros(directions.shape[1])])[likelihood.directions.owner]
    found: Real = np.einsum("nc,nck->nk", changes, moved[row])
    return found
