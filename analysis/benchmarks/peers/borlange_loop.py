"""Recursive logit of the routes in Borlange from the published files: one factorisation, adjoint gradient, BFGS.

The value of arriving at destination d solves the linear system z = M z + b_d, where M holds exp(reward) of
each turn and b_d those of the turns into d. All destinations share one factorisation of I - M.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.sparse import csc_matrix, identity
from scipy.sparse.linalg import splu

from analysis.benchmarks.instances import Index, Real
from analysis.benchmarks.measure import Figures, Stopwatch, main

FEATURES = ["travel_time_min", "left_turn", "link_constant", "u_turn"]
START = np.array([-2.0, -1.0, -1.0, -3.0])
"""Costs with which every route ends; at 0 the sums over routes would not exist."""


@dataclass
class Routes:
    """Turns between links, turns into destinations, and the trips, all numbered from 0.

    Attributes:
        start: [M] link of each ordinary turn.
        end: [M] link it leads to.
        features: [M, F] its features.
        last: [D] link from which each destination is reached (row), and which one (column).
        last_features: features of those turns.
        chosen: [F] features summed over all turns of all trips.
        origins: [links, D] how many trips start where, by destination.
    """

    start: Index
    end: Index
    features: Real
    last: tuple[Index, Index]
    last_features: Real
    chosen: Real
    origins: Real

    @classmethod
    def read(cls, folder: Path) -> "Routes":
        """Read the two published tables."""
        network, trips = (pd.read_csv(folder / f"{name}.csv.gz") for name in ("network", "trips"))
        arrives = network["is_destination"] == 1
        links, last_number = int(network.loc[~arrives, "to_link"].max()), int(network["to_link"].max())
        inner, outer = network[~arrives], network[arrives]
        taken = trips.merge(network, left_on=["link", "next_link"], right_on=["from_link", "to_link"], how="left")
        first = trips.drop_duplicates("trip")
        origins = np.zeros((links, last_number - links))
        np.add.at(origins, (first["link"].to_numpy() - 1, first["dest_link"].to_numpy() - links - 1), 1.0)
        return cls(
            start=inner["from_link"].to_numpy() - 1,
            end=inner["to_link"].to_numpy() - 1,
            features=inner[FEATURES].to_numpy(dtype=float),
            last=(outer["from_link"].to_numpy() - 1, outer["to_link"].to_numpy() - links - 1),
            last_features=outer[FEATURES].to_numpy(dtype=float),
            chosen=taken[FEATURES].to_numpy(dtype=float).sum(axis=0),
            origins=origins,
        )

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Links and destinations."""
        return self.origins.shape[0], self.origins.shape[1]

    def cost(self, weights: Real) -> tuple[float, Real]:
        """Return minus the log-likelihood and its gradient; infinite where the sums over routes do not exist."""
        size = self.shape[0]
        paid, paid_last = np.exp(self.features @ weights), np.exp(self.last_features @ weights)
        arriving = np.zeros(self.shape)
        np.add.at(arriving, self.last, paid_last)
        turns = csc_matrix((paid, (self.start, self.end)), shape=(size, size))
        factors = splu(csc_matrix(identity(size, format="csc") - turns))
        z = factors.solve(arriving)
        started = self.origins > 0
        if not (np.isfinite(z).all() and (z[started] > 0).all() and z.min() > -1e-12):
            return np.inf, np.zeros(len(weights))
        likelihood = float(self.chosen @ weights - (self.origins[started] * np.log(z[started])).sum())
        pull = np.zeros(self.shape)
        pull[started] = self.origins[started] / z[started]
        adjoint = factors.solve(pull, trans="T")  # type: ignore[call-overload] # the stubs know it of vectors only
        on_turn = paid * (adjoint[self.start] * z[self.end]).sum(axis=1)
        on_last = paid_last * adjoint[self.last]
        expected = self.features.T @ on_turn + self.last_features.T @ on_last
        return -likelihood, expected - self.chosen


def fit(folder: Path, clock: Stopwatch) -> Figures:
    """Largest likelihood by BFGS; standard errors from differences of the exact gradient."""
    routes = Routes.read(Path(os.environ["HUMANSOFT_DATA"]) / "borlange_routes")
    with clock.counted("fit"):
        found = minimize(routes.cost, START, jac=True, method="BFGS", options={"gtol": 1e-3})
        step = 1e-4
        rows = [routes.cost(found.x + d)[1] - routes.cost(found.x - d)[1] for d in step * np.eye(len(START))]
        information = np.array(rows) / (2 * step)
        std_errors = np.sqrt(np.diag(np.linalg.inv((information + information.T) / 2)))
    return lambda: {
        "log_likelihood": -float(found.fun),
        "largest_slope": float(np.abs(found.jac).max()),
        "weights": found.x.tolist(),
        "std_errors": std_errors.tolist(),
        "converged": bool(np.abs(found.jac).max() < 1e-2),
        "sizes": [int(n) for n in (*routes.shape, len(routes.start))],
    }


if __name__ == "__main__":
    main({"fit": fit}, ("numpy", "scipy"))
