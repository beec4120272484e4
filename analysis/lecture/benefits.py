"""Group D: what soft optimality is good for, and what it costs."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_least, at_most, zero
from analysis.lecture.policies import acting, arrival, first_best, hard_plan, share_of
from analysis.lecture.worlds import World, random_world
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.planners import Planner
from humansoft.solvers.bellman import soft_backup

ROOM = "\n".join(["....G....", *["........."] * 3, "G...S...G", *["........."] * 3, "....G...."])
RING = ".....\n.###.\nS###G\n.###.\n....."
UNEVEN = ".....\n.###.\nS###G\n.###.\n.###.\n....."
"""Two routes, as long as each other or not."""


def claims(args: Args) -> Iterator[Claim]:
    """Test what exact mathematics shows of the benefits (the limits are in limits.py, mistakes in mistakes.py)."""
    yield four_exits()
    yield ties()
    yield blocked_way()
    yield entropy_farming()


def four_exits() -> Claim:
    """D2b: all modes are kept."""
    task = hs.Task.grid(ROOM, discount=0.95)
    exits = [task.states.values[s] for s in task.terminal.nonzero().ravel().tolist()]
    hard = hard_plan(task)
    soft = {f"soft/alpha_{a}": hs.plan(task, {"step": -1.0}, temperature=a) for a in (0.1, 0.5)}
    policies = {**soft, "any_best": hard, "first_best": first_best(hard)}
    centre, beside = (
        {name: np.array([share_of(policy, start, exit_) for exit_ in exits]) for name, policy in policies.items()}
        for start in ((4, 4), (4, 3))
    )
    walked = [arrival(soft["soft/alpha_0.5"], (4, 3), exit_) for exit_ in exits]
    rows = [Row(f"{name}/most_frequent_exit", centre[name].max(), "0.25", 1e-9) for name in (*soft, "any_best")]
    rows += [Row("first_best/most_frequent_exit", centre["first_best"].max(), "1", 1e-9)]
    rows += [at_least(f"off_centre/{name}/rarest_exit", beside[name].min(), 1e-12) for name in soft]
    rows += [zero("off_centre/any_best/rarest_exit", beside["any_best"].min(), 1e-12)]
    rows += [zero("solved_minus_walked", np.abs(beside["soft/alpha_0.5"] - walked).max(), 1e-10)]
    care = (
        "Between exits that are equally far, choosing at random among the best actions does as well; one step off the "
        "centre it has forgotten all exits but one, and how much the soft policy remembers depends on the temperature."
    )
    return Claim("D2b", "Training for entropy keeps all ways of solving a task, not one of them.", tuple(rows), care)


def ties() -> Claim:
    """D3: actions that are worth the same have the same probability, and what counts as an action matters."""
    world = random_world(41)
    twins = World(world.transition[:, [0, 1, 2, 0]], world.reward[:, [0, 1, 2, 0]], world.discount)
    solution = hs.Newton().value(twins.problem(), twins.rewards, twins.temperatures(0.3), None)
    q = twins.rewards + twins.discount * twins.problem().expected_next(solution.value)
    chosen = soft_backup(q, twins.problem().log_prior, twins.temperatures(0.3))[1].exp()
    rows = [
        zero("twin_actions/difference", float((chosen[:, 0] - chosen[:, 3]).abs().max()), 0.0),
        Row("clones/unit_advantage", preference([1.0, 0.0]), "0.731", 0.0005),
        Row("clones/unit_advantage_twice", preference([1.0, 1.0, 0.0]), "0.845", 0.0005),
    ]
    expected: list[tuple[Planner, float, str]] = [("entropy", alpha, "0.75") for alpha in (1.0, 0.1, 0.01)]
    expected += [("kl", 0.01, "0.5"), ("boltzmann", 0.01, "0.5")]
    for planner, alpha, reference in expected:
        share = path_preference(alpha, planner)
        rows.append(Row(f"path_counts/{planner}/alpha_{alpha}", share, reference, 1e-12))
    care = (
        "Equal soft advantage, not equal hard Q: with plain entropy an option with three best continuations beats one "
        "with a single one at any temperature, and a clone of an action takes a share of its own. So actions have to "
        "be distinct choices of the person."
    )
    return Claim("D3", "Ties are broken in a principled way: equal advantage, equal probability.", tuple(rows), care)


def preference(q: list[float]) -> float:
    """Return the probability of not choosing the last action, at temperature 1."""
    values = torch.tensor(q, dtype=DTYPE)
    return 1.0 - float(soft_backup(values, torch.zeros_like(values), torch.tensor(1.0, dtype=DTYPE))[1][-1].exp())


def path_preference(alpha: float, planner: Planner) -> float:
    """Return the probability of the option with three best continuations over that with one."""
    ways = [("fork", "wide", "three"), ("fork", "narrow", "one"), ("one", "wide", "end")]
    ways += [("three", action, "end") for action in ("wide", "narrow", "third")]
    table = pd.DataFrame(ways, columns=["state", "action", "next_state"]).assign(step=1.0)
    task = hs.Task.table(table, features=["step"], discount=1.0)
    policy = hs.plan(task, {"step": -1.0}, temperature=alpha, planner=planner)
    return float(policy.action_distribution("fork")["wide"])


def after_blocking(policy: hs.Policy, row: int, steps: int = 40) -> hs.Policy:
    """Return what people do who planned before the route along a row was blocked: the old policy, the new task."""
    blocked = hs.block(policy.task, passages=[((row, 2), (row, 3))])
    timed = dataclasses.replace(blocked, horizon=steps)
    changed = hs.plan(timed, {"step": -1.0}, temperature=1.0)
    return acting(changed, policy.log_policy.expand(steps, -1, -1))


def worst_case(policy: hs.Policy) -> float:
    """Return the smaller of the probabilities to arrive in 40 steps, with the first or the last row blocked."""
    last = int(np.array(policy.task.states.values)[:, 0].max())
    return min(share_of(after_blocking(policy, row), (2, 0), (2, 4)) for row in (0, last))


def ring_policies(maze: str) -> dict[str, hs.Policy]:
    """Return how people go who planned in a ring as it was."""
    task = hs.Task.grid(maze, discount=0.95)
    hard = hard_plan(task)
    soft = {f"soft/alpha_{a}": hs.plan(task, {"step": -1.0}, temperature=a) for a in (0.1, 0.3, 0.5, 1.0)}
    return {"first_best": first_best(hard), "any_best": hard, **soft}


def blocked_way() -> Claim:
    """D4: robustness when one way is blocked."""
    even, uneven = ring_policies(RING), ring_policies(UNEVEN)
    rows = [
        zero("first_best/worst_case", worst_case(even["first_best"]), 1e-12),
        Row("any_best/worst_case", worst_case(even["any_best"]), "0.500", 1e-9),
        *(Row(f"{name}/worst_case", worst_case(even[name]), "0.500") for name in even if name.startswith("soft")),
        zero("uneven/any_best/worst_case", worst_case(uneven["any_best"]), 1e-12),
        at_least("uneven/soft/alpha_1.0/worst_case", worst_case(uneven["soft/alpha_1.0"]), 0.05),
    ]
    changed = after_blocking(even["soft/alpha_0.5"], 0)
    walked = arrival(changed, (2, 0), (2, 4), steps=40)
    rows.append(zero("solved_minus_walked", walked - share_of(changed, (2, 0), (2, 4)), 1e-12))
    care = (
        "Between routes of the same length, choosing at random among the best actions does as well: there it is the "
        "ties that help. Only the soft policy keeps a longer route in mind (uneven)."
    )
    return Claim("D4", "When one way is blocked, whoever knows all ways may still arrive.", tuple(rows), care)


FARM = ".....\n.#.#.\nS...G\n.#.#.\n....."
"""21 cells: with 4 actions and steps that cost 1, entropy pays for walking on above alpha = 1 / log 4."""


def farming_plan(alpha: float, planner: Planner) -> float:
    """Return the probability of arriving in the 60 steps that people have."""
    task = hs.Task.grid(FARM, discount=1.0, horizon=60)
    return share_of(hs.plan(task, {"step": -1.0}, temperature=alpha, planner=planner), (2, 0), (2, 4))


def uniform_walk() -> float:
    """Return the same of people who walk at random."""
    task = hs.Task.grid(FARM, discount=1.0, horizon=60)
    return share_of(hs.plan(task, {}, temperature=1.0), (2, 0), (2, 4))


def feasible(alpha: float) -> float:
    """Return 1.0 where people with plain entropy and endless time want to arrive at all."""
    task = hs.Task.grid(FARM, discount=1.0)
    try:
        hs.plan(task, {"step": -1.0}, temperature=alpha, planner="entropy")
    except hs.errors.SolveError:
        return 0.0
    return 1.0


def largest_temperature() -> float:
    """Return the temperature above which walking on for ever is worth more: 1 / log(growth of paths), by numpy."""
    task = hs.Task.grid(FARM, discount=1.0)
    state, _, following, _ = task.transitions.to_triples()
    counts = np.zeros((len(task.states),) * 2)
    np.add.at(counts, (state, following), 1.0)
    free = ~task.terminal.numpy() & (counts.sum(axis=1) > 0)
    return 1 / float(np.log(np.abs(np.linalg.eigvals(counts[np.ix_(free, free)])).max()))


def entropy_farming() -> Claim:
    """S14: entropy as a wage for staying alive."""
    uniform, bound = uniform_walk(), largest_temperature()
    rows = (
        Row("uniform_walk", uniform),
        at_least("entropy/alpha_0.5", farming_plan(0.5, "entropy"), 0.9),
        Row("entropy/alpha_0.8", farming_plan(0.8, "entropy")),
        at_most("entropy/alpha_1.0", farming_plan(1.0, "entropy"), uniform),
        at_least("kl/alpha_1.0", farming_plan(1.0, "kl"), 0.99),
        at_least("kl/alpha_3.0", farming_plan(3.0, "kl"), 0.9),
        Row("largest_feasible_temperature", bound),
        at_least("largest_feasible_temperature/over_1/log4", bound * np.log(4), 1.0),
        Row("feasible/just_below", feasible(0.999 * bound), "1", 0.0),
        Row("feasible/just_above", feasible(1.001 * bound), "0", 0.0),
    )
    care = (
        "With plain entropy each step pays up to alpha * log(actions): above 1 / log 4 per unit of step cost, people "
        "walk about and arrive less often than at random. The divergence from uniform actions (the default of the "
        "package) pays nothing."
    )
    return Claim("S14", "(A caveat: the entropy bonus of the lecture is a wage for staying alive.)", rows, care)
