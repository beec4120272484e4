"""The loops that a good programmer writes with numpy and scipy; the measure of what plain code can do."""

from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.benchmarks.instances import Instance, Real
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.reference import FLAT, Problem

SOLVED_TO = 1e-8


def fit(folder: Path, clock: Stopwatch) -> Figures:
    """Largest likelihood by L-BFGS-B, gradients by one adjoint solution; no standard errors."""
    instance = Instance.read(folder)
    with clock.counted("fit"):
        problem = Problem(instance)
        weights, likelihood, slope = problem.maximise()
    return lambda: {
        "log_likelihood": problem.judge(weights),
        "own_log_likelihood": likelihood,
        "largest_slope": slope,
        "weights": weights.tolist(),
        "converged": slope < FLAT,
        "std_errors": "none",
    }


def value_iteration(folder: Path, clock: Stopwatch) -> Figures:
    """Soft value iteration on sparse transitions."""
    return _solve(folder, clock, "value iteration")


def inexact_newton(folder: Path, clock: Stopwatch) -> Figures:
    """Newton's method with BiCGSTAB on I - discount * P_pi."""
    return _solve(folder, clock, "inexact Newton")


def _solve(folder: Path, clock: Stopwatch, how: str) -> Figures:
    instance = Instance.read(folder)
    problem, reward = Problem(instance), instance.features.sum(axis=-1)
    with clock.reported("construction"):
        _ = problem.transitions
    with clock.counted("solve"):
        solver = problem.value_iteration if how == "value iteration" else problem.inexact_newton
        value = solver(reward, SOLVED_TO)

    def figures() -> dict[str, object]:
        bound = problem.error_bound(reward, value)
        return {"error_bound": bound, "converged": bound <= 2 * SOLVED_TO}

    return figures


def one_temperature_a_person(folder: Path, clock: Stopwatch) -> Figures:
    """A bounded search for each person, each with value iteration of their own; no standard errors."""
    instance = Instance.read(folder)
    log = instance.log
    with clock.counted("fit"):
        problem, reward = Problem(instance), instance.features.sum(axis=-1)
        people = np.zeros((int(log["subject"].max()) + 1, *reward.shape))
        np.add.at(people, (log["subject"], log["state"], log["action"]), 1.0)
        found = [_own_temperature(problem, reward, counts) for counts in people]
    inverse, likelihood = np.array(found).T

    def figures() -> dict[str, object]:
        true = -np.log(instance.truth["temperatures"])
        return {
            "log_likelihood": float(likelihood.sum()),
            "correlation_with_truth": float(np.corrcoef(np.log(inverse), true)[0, 1]),
            "converged": None,
            "std_errors": "none",
        }

    return figures


def _own_temperature(problem: Problem, reward: Real, counts: Real) -> tuple[float, float]:
    """Return one person's inverse temperature and log-likelihood."""

    def cost(log_inverse: float) -> float:
        scaled = reward * np.exp(log_inverse)
        q = problem.q(scaled, problem.value_iteration(scaled, SOLVED_TO))
        largest = q.max(axis=1, keepdims=True)
        log_policy = q - largest - np.log(np.exp(q - largest).sum(axis=1, keepdims=True))
        return -float((counts * log_policy).sum())

    found = minimize_scalar(cost, bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x)), -float(found.fun)


def counting(folder: Path, clock: Stopwatch) -> Figures:
    """Stream a Parquet log into counts over (subject, state, action); reading only, no fit."""
    import pyarrow.parquet as pq

    people, states, actions = np.load(folder / "sizes.npy").tolist()
    with clock.counted("reading"):
        total = np.zeros(people * states * actions)
        columns = ["subject", "state", "action"]
        for batch in pq.ParquetFile(folder / "log.parquet").iter_batches(1_000_000, columns=columns):
            subject, state, action = (batch.column(i).to_numpy().astype(np.int64) for i in range(3))
            total += np.bincount((subject * states + state) * actions + action, minlength=len(total))
    return lambda: {"num_decisions": float(total.sum()), "distinct": int((total > 0).sum()), "converged": None}


if __name__ == "__main__":
    main(
        {
            "fit": fit,
            "value_iteration": value_iteration,
            "inexact_newton": inexact_newton,
            "one_temperature_a_person": one_temperature_a_person,
            "counting": counting,
        },
        ("numpy", "scipy"),
    )
