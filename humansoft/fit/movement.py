"""How people, as they are seen through a population, move with its parameters."""

import numpy as np
import numpy.typing as npt

from humansoft.fit.marginal import PopulationObjective, small_steps

Real = npt.NDArray[np.float64]


def movement(objective: PopulationObjective, full: Real, moving: npt.NDArray[np.bool_]) -> Real:
    """Return how people's own parameters, at posterior means, move with some of the population's [B, K, P].

    Args:
        objective: the population's likelihood.
        full: [P] where it is largest.
        moving: [P] which parameters move; others get 0.
    """
    mixed = objective.mixed
    moved = np.zeros((mixed.num_people, mixed.design.shape[1], len(full)))
    for place, step in small_steps(objective.table, moving):
        ends = []
        for there in (full + step, full - step):
            found = objective.posterior(there)
            assert found is not None, "a small step from the maximum is feasible"
            ends.append(mixed.own(there, found.mean[:, None])[:, 0])
        moved[:, :, place] = (ends[0] - ends[1]) / (2 * step[place])
    return moved
