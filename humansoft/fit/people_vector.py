"""The parameters of a model of people as one vector: what they share, and what each has alone."""

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from humansoft.fit.arrow import BlockCovariance
from humansoft.fit.directions import Directions
from humansoft.model import SoftOptimalModel

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def own_places(model: SoftOptimalModel) -> Index:
    """Return where each person's own free parameters stand among those of a bound model [B, K]."""
    by_person: dict[Hashable, list[int]] = {label: [] for label in model.subjects.values}
    for place, row in enumerate(model.table.rows):
        if row.level == "subject" and row.fixed is None:
            by_person[row.label].append(place)
    return np.array(list(by_person.values()), dtype=np.int64)


def people_vectors(model: SoftOptimalModel, start: Real, shared: Real, own: Real) -> Real:
    """Return the parameters [T, P] of a model of people.

    Args:
        model: bound to them.
        start: [P] values of what is neither shared nor anybody's own to learn.
        shared: [T, S] what they share.
        own: [T, B, K] what each has alone.
    """
    found: Real = np.tile(start, (len(own), 1))
    found[:, model.table.shared_places] = shared
    found[:, own_places(model).ravel()] = own.reshape(len(own), -1)
    return found


def people_covariance(model: SoftOptimalModel, own: Real, factor: Real, core: Real) -> BlockCovariance:
    """Return the covariance [P, P] of a model of people: factor @ core @ factor', and blocks of what is each one's own.

    Args:
        model: bound to them.
        own: [B, K, K] covariances of people's own parameters, given the population.
        factor: [P, Q] how parameters move with the population's.
        core: [Q, Q] covariance of these.
    """
    layout, places = Directions(model).layout, own_places(model)
    if layout.own.shape[1]:
        return BlockCovariance(layout, own, factor, core)
    # A person alone shares everything with everybody: what is the person's own goes into the other part.
    mine = np.zeros((layout.size, places.shape[1]))
    mine[places[0]] = np.eye(places.shape[1])
    return BlockCovariance(layout, np.zeros((1, 0, 0)), np.hstack([factor, mine]), block_diag(core, own[0]))
