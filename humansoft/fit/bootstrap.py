"""The bootstrap: how estimates vary when people, or everybody's episodes, are drawn again with replacement.

All draws are fitted as one: each draw has parameters of its own, that meet no other draw's, so the Hessian of all of
them is a block for each, and one Newton step moves them all. They start from the fit, which is near.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, did_you_mean
from humansoft.fit.assemble import is_optimum
from humansoft.fit.boundary import reward_scale
from humansoft.fit.directions import Directions
from humansoft.fit.profile_likelihood import fitted_likelihood
from humansoft.fit.repeated import RepeatedMeasures
from humansoft.fit.replicates import Replicates
from humansoft.fit.result import Fit
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.expansion import Observations
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
ResampledBy = Literal["subject", "episode"]

_MOST_PROBLEMS = 400_000  # states times rows times draws that are solved at once: memory, not time, sets it
_AT_LIMIT = 8.0  # log units from the size of the reward: beyond, behavior is that of the limit


@one_thread()
def bootstrap(
    fit: Fit, log: BehaviorLog, *, by: ResampledBy, draws: int = 200, seed: int, max_steps: int = 200
) -> pd.DataFrame:
    r"""Fit resampled logs, all of them at once, and return their estimates.

    Args:
        fit: a fit by maximum likelihood.
        log: the log that it was fitted to.
        by: "subject" draws whole people with replacement, in all their conditions; "episode" draws each person's
            episodes.
        draws: number of resampled logs, at least 2.
        seed: same seed, same draws.
        max_steps: largest number of optimiser iterations.

    Returns:
        One row a draw, one column a parameter (name, label): ``table.std()`` are standard errors, ``table.quantile``
        gives intervals. A person who is not in a draw is NaN there. Temperatures are log temperatures, infinite where
        a draw holds no mistake, or no preference. People whom the fit holds at a boundary stay there.
        ``table.attrs["converged"]`` says whether all draws reached their optimum.

    Raises:
        UsageError: another log, no such unit, fewer than 2 draws, nothing that people share (by="subject"), a
            population, a reward that is not linear.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..\n...\n..G", discount=0.95)
        >>> log = hs.simulate(hs.plan(task, {"step": -1.0}, 0.5), 20, seed=1)
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.Shared())
        >>> hs.bootstrap(hs.fit(model, log), log, by="episode", draws=10, seed=2).shape
        (10, 2)
    """
    _require_possible(fit, log, by, draws)
    likelihood = fitted_likelihood(fit, log)
    seen = likelihood.model.observe(log, by=by)
    who = RepeatedMeasures.of(log, likelihood.model.subjects.values).place[0]
    resampled = _Resampled.of(seen, who, by, draws, np.random.default_rng(seed))
    rows = len(likelihood.directions.owner)
    size = max(2, int(_MOST_PROBLEMS / max(rows * len(np.unique(seen.state)), 1)))
    parts = np.array_split(np.arange(draws), max(1, draws // size))
    estimates, converged = [], True
    for part in parts:
        found, done = _fitted(fit, resampled, part, max_steps)
        estimates.append(found)
        converged &= done
    table = pd.DataFrame(np.concatenate(estimates), columns=fit.params.index)
    table.index.name = "draw"
    table.attrs["converged"] = converged
    return table


def _require_possible(fit: Fit, log: BehaviorLog, by: str, draws: int) -> None:
    """Refuse what cannot be resampled, with the way out."""
    if by not in ("subject", "episode"):
        raise UsageError(f"bootstrap(by={by!r}).{did_you_mean(by, ['subject', 'episode'])}")
    if draws < 2:
        raise UsageError(f"bootstrap(draws={draws}): how estimates vary takes at least 2 draws")
    if by == "episode":
        log.require_episodes("draw by='subject', or read it without counted=True")
    if not isinstance(fit.model.reward, LinearReward) or fit.model.task.goals is not None:
        raise UsageError(
            "bootstrap needs a LinearReward, in a task that is not a network: make the entries of a table features of "
            "the task (task.with_features), or fit each resampled log"
        )
    shared = [row for row in fit.model.table.rows if row.fixed is None and row.level != "subject"]
    if by == "subject" and not shared:
        raise UsageError("people share no parameter, and which of them are drawn changes nothing: draw by='episode'")


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Resampled decisions, as weights of those that occur.

    Attributes:
        cells: [N] the distinct decisions (row of the model, time, state, action).
        weight: [draws, N] how often each of them is in a draw.
        people: [draws, S] how often each subject is.
    """

    cells: Observations
    weight: Any  # a sparse matrix, of which scipy's stubs promise too little
    people: Real

    @classmethod
    def of(
        cls, seen: Observations, who: Index, by: ResampledBy, draws: int, generator: np.random.Generator
    ) -> "_Resampled":
        """Draw units with replacement: people ([S] who each subject is), or the episodes of each subject."""
        _, first, unit = np.unique(seen.unit, return_index=True, return_inverse=True)
        owner = seen.person[first]
        people, times = np.ones((draws, len(who))), np.zeros((draws, len(owner)))
        if by == "subject":
            met, number = np.unique(who[owner], return_inverse=True)
            times[:] = generator.multinomial(len(met), np.full(len(met), 1 / len(met)), size=draws)[:, number]
            people[:] = 0.0
            people[:, owner] = times
        else:
            for one in np.unique(owner):
                mine = np.flatnonzero(owner == one)
                times[:, mine] = generator.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=draws)
        keys = np.stack([seen.row, seen.time, seen.state, seen.action])
        _, place, cell = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        counts: Any = csr_array((seen.weight, (unit, cell.ravel())), shape=(len(owner), len(place)))
        return cls(seen.select(place), csr_array(times) @ counts, people)


def _fitted(fit: Fit, resampled: _Resampled, part: Index, max_steps: int) -> tuple[Real, bool]:
    """Return the estimates [draws, P] of some draws, and whether all reached an optimum."""
    from humansoft.fit.learner import OneStep, SoftOptimalLearner, run_trainer  # Lightning takes seconds to import

    objective = Replicates.of(fit.model, resampled.cells, resampled.weight[part])
    learner = SoftOptimalLearner(objective, max_steps, near=True)
    learner.start_at(np.tile(fit.params["estimate"].to_numpy(dtype=float), len(part)))
    run_trainer(learner, OneStep())
    full = learner.full.detach().numpy().copy()
    done = is_optimum(objective, full)
    full, table = full.reshape(len(part), -1), fit.model.table
    away = full - reward_scale(fit.model)
    at_limit = table.is_temperature & table.free & (np.abs(away) > _AT_LIMIT)
    if table.mean_zero is not None:
        full = _relative(fit, full, resampled.people[part], at_limit)
    full = np.where(at_limit, np.sign(away) * np.inf, full)
    return np.where(objective.informed, full, np.nan), done


def _relative(fit: Fit, full: Real, people: Real, at_limit: npt.NDArray[np.bool_]) -> Real:
    """Give all draws [draws, P] the unit of the fit: the average of those drawn, but for people at a limit, is 1."""
    table, directions = fit.model.table, Directions(fit.model)
    assert table.mean_zero is not None
    drawn = np.stack([directions.summed(one) for one in people]) * (table.mean_zero > 0) * ~at_limit
    shift = (drawn * full).sum(axis=1, keepdims=True) / drawn.sum(axis=1, keepdims=True).clip(1e-300)
    found: Real = np.where(table.is_temperature, full - shift, full * np.exp(-shift))
    return found
