"""De Cothi et al. (2022): people walk to a hidden goal through 25 mazes, ten times each.

The authors' log-likelihoods are sums over their published table of trials. Their learners start without
knowing the maze and have a fixed inverse temperature of 1 on values between 0 and 1. Ours know the maze,
pay 1 a move, and have one inverse temperature, fitted, for all; so the gap between them says how much
that one number matters, and nothing about how people learn. Our references are an independent check of the
same moves; the two halves of the trials, which show learning as falling noise, are under the boltzmann planner.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import humansoft as hs
from analysis.rows import Row, run
from humansoft.catalogue.load import load_table
from humansoft.planners import Planner


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Without the single trials."""

    json: Path | None = None
    """File to write the rows to."""


MOVES = "75554"
"""Moves up to the first arrival at the goal."""

RANDOM = "-87581.31"
"""Log-likelihood of random moves to free neighbours: the authors' own, and so ours."""

AUTHORS = {"model_free": "-85081.54", "model_based": "-83733.60", "successor": "-83151.16"}
"""Total log-likelihoods of the authors' learners."""

SHARED: dict[Planner, tuple[str, str, str]] = {
    "boltzmann": ("1.159", "-53266.2", "0.7050"),
    "entropy": ("1.669", "-53931.6", "0.7138"),
}
"""Inverse temperature, log-likelihood and nats per move, one temperature for all, by planner."""

OPTIMAL = ".864"
"""Share of moves that lie on a shortest way."""

HALVES = {"trials1to5": (range(5), "1.003"), "trials6to10": (range(5, 10), "1.341")}
"""Inverse temperature (boltzmann) in the first and in the last five trials of each maze."""


def study(args: Args) -> Iterator[Row]:
    """Compare the authors' learners with people who know the maze, then look at learning."""
    log, task = hs.load_dataset("tartarus_maze")
    yield Row("moves", len(log), MOVES, tolerance=0.0)
    state = task.states.encode(log.codebook.states.values)[log.state]
    options = task.available.sum(dim=1).numpy()[state]
    yield Row("random/log_likelihood", -float(np.log(options).sum()), RANDOM)
    trials = load_table("tartarus_maze", "author_loglik_per_trial")
    yield Row("authors/random/log_likelihood", trials["ll_random"].sum(), RANDOM)
    for name, printed in AUTHORS.items():
        yield Row(f"authors/{name}/log_likelihood", trials[f"ll_{name}"].sum(), printed)
    for planner, (inverse, total, nats) in SHARED.items():
        fit = fitted(log, task, planner)
        yield Row(f"{planner}/inverse_temperature", inverse_temperature(fit), inverse)
        yield Row(f"{planner}/log_likelihood", fit.log_likelihood, total)
        yield Row(f"{planner}/nats_per_move", -fit.log_likelihood / len(log), nats)
        gain = fit.log_likelihood - trials["ll_successor"].sum()
        yield Row(f"{planner}/gain_over_successor", gain)
    yield Row("optimal_moves", share_of_optimal_moves(log, task), OPTIMAL)
    trial = log.frame["episode"].str.split("-").str[1].astype(int).to_numpy()
    for name, (which, inverse) in HALVES.items():
        part = fitted(log.select(np.isin(trial, which)), task, "boltzmann")
        yield Row(f"boltzmann/{name}/inverse_temperature", inverse_temperature(part), inverse)
    for number in range(0 if args.quick else 10):
        part = fitted(log.select(trial == number), task, "boltzmann")
        yield Row(f"boltzmann/trial{number + 1}/inverse_temperature", inverse_temperature(part))


def share_of_optimal_moves(log: hs.BehaviorLog, task: hs.Task) -> float:
    """Return the share of moves that no other would have beaten."""
    policy = hs.plan(task, {"step": -1.0}, temperature=1.0, planner="boltzmann")
    state = task.states.encode(log.codebook.states.values)[log.state]
    action = task.actions.encode(log.codebook.actions.values)[log.action]
    logs = policy.log_prob(np.zeros_like(state), state)
    # A longer way costs at least one move, so that rounding cannot be mistaken for it.
    best = logs[np.arange(len(log)), action] > logs.max(axis=1) - 0.5
    return float(best.mean())


def fitted(log: hs.BehaviorLog, task: hs.Task, planner: Planner) -> hs.Fit:
    """Fit people who want to save moves and are equally noisy."""
    return hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), hs.Shared(), planner), log)


def inverse_temperature(fit: hs.Fit) -> float:
    """Return the inverse of the one temperature."""
    return float(np.exp(-fit.weight("log_temperature")))


if __name__ == "__main__":
    run(study, Args)
