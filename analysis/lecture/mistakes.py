"""Group D, the human model: mistakes are exponentially unlikely in what they cost, and how data can say no."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import chi2

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_least, at_most
from analysis.lecture.policies import acting
from analysis.lecture.worlds import Array, action_values, random_world, soft_fixed_point
from analysis.rows import Row
from humansoft.solvers.exact import solve_stationary

TEMPERATURE = 0.7
NUM_BINS = 5
SLIP = 0.2
"""How often people of the control choose at random: a mistake is then as likely when it costs much."""

MAZE = "S.L..\n..L..\n.L...\n...L.\n.L..G"
REWARD = {"step": -1.0, "lava": -2.0}


def claims(args: Args) -> Iterator[Claim]:
    """Test the model in itself, and on simulated people who follow it or do not."""
    yield in_the_model()
    yield on_data(200 if args.quick else 500)


def in_the_model() -> Claim:
    """D7, as mathematics."""
    world = random_world(31)
    gaps, logs = gaps_and_logs()
    slope, _ = np.polyfit(gaps, logs, 1)
    rows = (
        Row("slope", float(slope), repr(-1 / TEMPERATURE), 1e-10),
        Row("r_squared", float(np.corrcoef(gaps, logs)[0, 1] ** 2), "1", 1e-12),
        Row("mistakes_possible", gaps.size - len(world.reward)),
    )
    care = (
        "The cost is the gap of the soft Q, which counts on later mistakes; it is that of the hard Q only for people "
        "who plan as if they would never err (planner='boltzmann')."
    )
    return Claim("D7", "Mistakes are exponentially unlikely in what they cost.", rows, care)


def gaps_and_logs() -> tuple[Array, Array]:
    """Return the gap of Q of every action, by numpy, and log(pi / pi of the best), by the package."""
    world = random_world(31)
    solution = solve_stationary(world.problem(), world.rewards, world.temperatures(TEMPERATURE))
    q = action_values(world, soft_fixed_point(world, TEMPERATURE))
    logs = solution.log_policy.numpy()
    best = q.argmax(axis=-1)[:, None]
    gaps = np.take_along_axis(q, best, axis=-1) - q
    return gaps.ravel(), (logs - np.take_along_axis(logs, best, axis=-1)).ravel()


@dataclass(frozen=True, eq=False)
class GapBins:
    """Mistakes seen and expected, by what they cost.

    Attributes:
        cost: [bins] what a mistake of each bin is expected to cost, in units of temperature.
        seen: [bins] mistakes counted.
        expected: [bins] mistakes that the fitted model expects in the states that people were in.
        covariance: [bins, bins] of the counts under the model.
    """

    cost: Array
    seen: Array
    expected: Array
    covariance: Array

    @property
    def chi_squared(self) -> float:
        """How far the counts are from those expected; as chi-squared with bins - 1 degrees where the model holds."""
        off = self.seen - self.expected
        return float(off @ np.linalg.pinv(self.covariance, hermitian=True) @ off)


def gap_bins(log: hs.BehaviorLog, task: hs.Task) -> GapBins:
    """Fit a temperature to people in a known task, and count their mistakes by gap, beside what it expects."""
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(fixed=REWARD), hs.Shared()), log)
    alpha = float(np.exp(fit.weight("log_temperature")))
    state = task.states.encode(log.codebook.states.values)[log.state]
    action = task.actions.encode(log.codebook.actions.values)[log.action]
    logs = hs.plan(task, REWARD, alpha).log_policy.numpy()[state]
    gaps = logs.max(axis=-1, keepdims=True) - logs  # (Q of the best - Q) / alpha
    chance = np.where(gaps > 1e-9, np.exp(logs), 0.0)  # the best, and what is as good, is no mistake
    order = np.argsort(gaps, axis=None)
    share = np.cumsum(chance.ravel()[order]) / chance.sum()
    edges = [gaps.ravel()[order][np.searchsorted(share, k / NUM_BINS)] for k in range(1, NUM_BINS)]
    inside = np.digitize(gaps, edges)[..., None] == np.arange(NUM_BINS)  # [N, A, bins]
    each = (chance[..., None] * inside).sum(axis=1)
    expected = each.sum(axis=0)
    cost = np.einsum("na,na,nab->b", chance, np.where(chance > 0, gaps, 0.0), inside) / expected
    decided = np.arange(len(action))
    wrong = chance[decided, action] > 0
    seen = inside[decided[wrong], action[wrong]].sum(axis=0).astype(float)
    return GapBins(cost, seen, expected, np.diag(expected) - each.T @ each)


def simulated(episodes: int) -> dict[str, GapBins]:
    """Simulate people who follow the model, and people who err whatever it costs; bin the mistakes of both."""
    task = hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"})
    policy = hs.plan(task, REWARD, TEMPERATURE)
    chosen = policy.log_policy.exp()
    best = (chosen == chosen.amax(dim=-1, keepdim=True)).to(chosen.dtype)
    options = task.available.sum(dim=-1, keepdim=True)
    careless = (1 - SLIP) * best / best.sum(dim=-1, keepdim=True) + SLIP / options
    greedy = acting(policy, torch.where(task.available, careless, 0.0).log())
    people = {"soft_optimal": policy, "random_slips": greedy}
    return {
        name: gap_bins(hs.simulate(source, episodes, seed=32, max_steps=40), task) for name, source in people.items()
    }


def on_data(episodes: int) -> Claim:
    """D7, as a test that data can fail."""
    bins = simulated(episodes)
    right, wrong = bins["soft_optimal"].chi_squared, bins["random_slips"].chi_squared
    degrees = NUM_BINS - 1
    rows = (
        Row("mistakes/soft_optimal", bins["soft_optimal"].seen.sum()),
        Row("mistakes/random_slips", bins["random_slips"].seen.sum()),
        at_most("chi_squared/soft_optimal", right, float(chi2.isf(0.01, degrees))),
        at_least("chi_squared/random_slips", wrong, float(chi2.isf(1e-6, degrees))),
    )
    care = "This is a hypothesis about people: counting mistakes by what they cost can refute it."
    return Claim("D7b", "... which makes it a model of how people err.", rows, care)
