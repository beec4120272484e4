"""quantecon: modified policy iteration for the easier problem of people who never err (hard maximum)."""

from pathlib import Path

import numpy as np
from quantecon.markov import DiscreteDP

from analysis.benchmarks.instances import Instance
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.reference import Problem

SOLVED_TO = 1e-8
MOST_STEPS = 100_000


def solve_hard(folder: Path, clock: Stopwatch) -> Figures:
    """Solve to the same accuracy as the others."""
    instance = Instance.read(folder)
    problem, reward = Problem(instance), instance.features.sum(axis=-1)
    pairs = np.arange(reward.size)
    with clock.reported("construction"):
        model = DiscreteDP(
            reward.ravel(),
            problem.transitions,
            instance.discount,
            pairs // instance.num_actions,
            pairs % instance.num_actions,
        )
    with clock.counted("solve"):
        found = model.solve(method="modified_policy_iteration", epsilon=SOLVED_TO, max_iter=MOST_STEPS)

    def figures() -> dict[str, object]:
        residual = np.abs(problem.q(reward, found.v).max(axis=1) - found.v).max()
        bound = float(residual / (1 - instance.discount))
        return {
            "error_bound": bound,
            "num_iterations": int(found.num_iter),
            "converged": bound <= 2 * SOLVED_TO,
            "problem": "hard maximum: an easier problem than the soft one",
        }

    return figures


if __name__ == "__main__":
    main({"solve_hard": solve_hard}, ("quantecon", "numba", "numpy"))
