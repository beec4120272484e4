"""Tower of London (Self-Regulation Ontology, session 1): balls on pegs to a target in as few moves as possible.

Every move costs 1, no discount, the target ends the problem. The article does not model the moves; the
references are an independent check of the same file. They are not maxima but the best points of a
coarse grid: both their inverse temperatures lie beside the maxima (2.24 and 1.56 beside 2.190 and 1.597),
and the nats printed with them are, to the last digit, ours at those points and not ours at the maxima
(1.1674 and 1.2302, against 1.1663 and 1.2299). One geometric grid with steps of 9.6 % explains all
seven numbers, the quartiles over people as well (exact: 1.292, 1.640, 2.083). That grid is inferred from
the references, which do not name theirs; so the rows "grid" carry the references, and the rows "maximum",
which are what these data say, carry none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import humansoft as hs
from analysis.rows import Row, run
from humansoft.catalogue.load import load_table
from humansoft.planners import Planner

Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Only counts, and one temperature for all."""

    json: Path | None = None
    """File to write the rows to."""


GRID = 1.555 * np.exp(0.0915 * np.arange(-40, 41))
"""Inverse temperatures, from .04 to 60: the grid that the references imply."""

FEASIBLE = GRID[GRID > 1.7]
"""Those at which moves cost more than the variety that the entropy planner gains from them."""

SOLVED = {"highest": ".97", "lowest": ".40"}
"""Largest and smallest solve rate of the twelve problems."""

MINIMAL = ".587"
"""Share of problems solved in the fewest possible moves."""

UNIFORM = "1.714"
"""Nats per move of a choice among the legal moves at random."""

SHARED: dict[Planner, tuple[str, str]] = {"entropy": ("2.24", "1.1674"), "boltzmann": ("1.56", "1.2302")}
"""Inverse temperature and nats per move, one for all, by planner."""

PER_PERSON = ("1.29", "1.71", "2.05")
"""Quartiles of people's inverse temperatures under the boltzmann planner."""


def study(args: Args) -> Iterator[Row]:
    """Count what people did, then fit all of them together and each of them."""
    yield from counts()
    log, task = hs.load_dataset("tower_of_london")
    yield Row("uniform/nats_per_move", -uniform_log_likelihood(log, task) / len(log), UNIFORM)
    for planner, (inverse, nats) in SHARED.items():
        fit = fitted(log, task, hs.Shared(), planner)
        yield Row(f"{planner}/maximum/inverse_temperature", float(np.exp(-fit.weight("log_temperature"))))
        yield Row(f"{planner}/maximum/nats_per_move", -fit.log_likelihood / len(log))
        grid = FEASIBLE if planner == "entropy" else GRID
        together = by_person(log, task, planner, grid).sum(axis=0)
        yield Row(f"{planner}/grid/inverse_temperature", grid[together.argmax()], inverse)
        yield Row(f"{planner}/grid/nats_per_move", -together.max() / len(log), nats)
    names = ("lower_quartile", "median", "upper_quartile")
    own = np.quantile(GRID[by_person(log, task, "boltzmann", GRID).argmax(axis=1)], [0.25, 0.5, 0.75])
    for name, value, reference in zip(names, own, PER_PERSON, strict=True):
        yield Row(f"boltzmann/per_person/grid/{name}", value, reference)
    if not args.quick:
        each = fitted(log, task, hs.PerSubject(), "boltzmann").temperatures()["inverse_temperature"]
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


def by_person(log: hs.BehaviorLog, task: hs.Task, planner: Planner, grid: Real) -> Real:
    """Return each person's log-likelihood [B, G] at every inverse temperature of a grid."""
    columns = []
    for inverse in grid:
        policy = hs.plan(task, {"step": -1.0}, temperature=1 / inverse, planner=planner)
        state = task.states.encode(log.codebook.states.values)[log.state]
        action = task.actions.encode(log.codebook.actions.values)[log.action]
        taken = policy.log_prob(np.zeros_like(state), state)[np.arange(len(log)), action]
        columns.append(np.bincount(log.subject, weights=taken))
    return np.stack(columns, axis=1)


def fitted(log: hs.BehaviorLog, task: hs.Task, temperature: hs.Shared | hs.PerSubject, planner: Planner) -> hs.Fit:
    """Fit people who want to save moves."""
    return hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), temperature, planner), log)


if __name__ == "__main__":
    run(study, Args)
