"""Tower of London (Self-Regulation Ontology, session 1): balls on pegs to a target in as few moves as possible.

Every move costs 1, no discount, the target ends the problem. The article does not model the moves; the
references are an independent check of the same file. Its inverse temperatures are not maxima of the
likelihood (2.24 and 1.56, where the maxima lie at 2.190 and 1.597): its nats are held against ours at its own
inverse temperatures. The maxima, and the quartiles over people (1.29, 1.71, 2.05 there), are shown without a
reference: how the check searched is not known, so nothing says that they should agree.
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
    """Only counts, and one temperature for all."""

    json: Path | None = None
    """File to write the rows to."""


SOLVED = {"highest": ".97", "lowest": ".40"}
"""Largest and smallest solve rate of the twelve problems."""

MINIMAL = ".587"
"""Share of problems solved in the fewest possible moves."""

UNIFORM = "1.714"
"""Nats per move of a choice among the legal moves at random."""

SHARED: dict[Planner, tuple[str, str]] = {"entropy": ("2.24", "1.1674"), "boltzmann": ("1.56", "1.2302")}
"""Inverse temperature and nats per move, one for all, by planner."""


def study(args: Args) -> Iterator[Row]:
    """Count what people did, then fit all of them together and each of them."""
    yield from counts()
    log, task = hs.load_dataset("tower_of_london")
    yield Row("uniform/nats_per_move", -uniform_log_likelihood(log, task) / len(log), UNIFORM)
    for planner, (inverse, nats) in SHARED.items():
        fit = fitted(log, task, hs.Shared(), planner)
        yield Row(f"{planner}/maximum/inverse_temperature", float(np.exp(-fit.weight("log_temperature"))))
        yield Row(f"{planner}/maximum/nats_per_move", -fit.log_likelihood / len(log))
        there = log_likelihood(log, task, planner, float(inverse))
        yield Row(f"{planner}/at_{inverse}/nats_per_move", -there / len(log), nats)
    if not args.quick:
        each = fitted(log, task, hs.PerSubject(), "boltzmann").temperatures()["inverse_temperature"]
        names = ("lower_quartile", "median", "upper_quartile")
        for name, value in zip(names, each.quantile([0.25, 0.5, 0.75]), strict=True):
            yield Row(f"boltzmann/per_person/maximum/{name}", value)


def counts() -> Iterator[Row]:
    """Solve rate of each problem, and how many problems took no move too many."""
    moves = load_table("tower_of_london", "session1")
    problems = moves[moves["done"] == 1]
    rate = problems.groupby("problem")["solved"].mean()
    yield Row("solve_rate/highest", rate.max(), SOLVED["highest"])
    yield Row("solve_rate/lowest", rate.min(), SOLVED["lowest"])
    for problem, share in rate.items():
        yield Row(f"solve_rate/problem{problem}", share)
    fewest = (problems["solved"] == 1) & (problems["move"] + 1 == problems["min_moves"])
    yield Row("minimal_solutions", fewest.mean(), MINIMAL)


def uniform_log_likelihood(log: hs.BehaviorLog, task: hs.Task) -> float:
    """Return the log-likelihood of choosing among the legal moves at random."""
    options = task.available.sum(dim=1).numpy()
    state = task.states.encode(log.codebook.states.values)[log.state]
    return -float(np.log(options[state]).sum())


def log_likelihood(log: hs.BehaviorLog, task: hs.Task, planner: Planner, inverse_temperature: float) -> float:
    """Return the log-likelihood of all moves at one inverse temperature."""
    policy = hs.plan(task, {"step": -1.0}, temperature=1 / inverse_temperature, planner=planner)
    state = task.states.encode(log.codebook.states.values)[log.state]
    action = task.actions.encode(log.codebook.actions.values)[log.action]
    return float(policy.log_prob(np.zeros_like(state), state)[np.arange(len(log)), action].sum())


def fitted(log: hs.BehaviorLog, task: hs.Task, temperature: hs.Shared | hs.PerSubject, planner: Planner) -> hs.Fit:
    """Fit people who want to save moves."""
    return hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), temperature, planner), log)


if __name__ == "__main__":
    run(study, Args)
