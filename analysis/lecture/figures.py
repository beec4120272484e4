"""The figures of the lecture, drawn from the same functions that test its claims."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import humansoft as hs
from analysis.lecture import (
    benefits,
    bridge,
    collapse,
    fine_tuning,
    inference,
    limits,
    mistakes,
    policy_gradient,
    q_learning,
)
from analysis.lecture.policies import first_best, hard_plan
from analysis.lecture.worlds import random_world
from humansoft.planners import PLANNERS
from humansoft.solvers.quadrature import ActionNodes


def draw_all(folder: Path) -> Iterator[Path]:
    """Draw every figure into a folder, and say which files they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in FIGURES:
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw(left, right)
        file = folder / f"{draw.__name__}.png"
        figure.savefig(file, dpi=110)
        yield file


def log_integral(left: Axes, right: Axes) -> None:
    """A3: quadrature in one dimension, sampling in three."""
    counts = np.arange(9, 100, 4)
    for name, rule in (("trapezoid", ActionNodes.trapezoid), ("Gauss-Legendre", ActionNodes.gauss_legendre)):
        errors_of = [abs(q_learning.error_of(rule([-8.0], [8.0], int(n)))) for n in counts]
        left.semilogy(counts, np.maximum(errors_of, 1e-17), marker=".", label=name)
    left.set(xlabel="nodes", ylabel="error of V", title="A3: log-integral by quadrature")
    left.legend()
    sizes = np.array([100, 300, 1_000, 3_000, 10_000, 30_000, 100_000])
    nodes = [q_learning.proposal(int(n)) for n in sizes]
    right.loglog(sizes, [abs(q_learning.error_of(n)) for n in nodes], "o", label="error of V")
    right.loglog(sizes, [q_learning.standard_error(n) for n in nodes], label="standard error")
    right.set(xlabel="samples", title="A3: by importance sampling, three dimensions")
    right.legend()


def gradients(left: Axes, right: Axes) -> None:
    """B6: how fast policy gradients converge."""
    world = random_world(0)
    for alpha in (1.0, 0.5):
        left.semilogy(policy_gradient.gradient_distances(world, alpha, 300, rate=2.0), label=f"temperature {alpha}")
        right.semilogy(policy_gradient.natural_distances(world, alpha, 6), marker="o", label=f"temperature {alpha}")
    for axes, title in (
        (left, "B6: policy gradient, step 2"),
        (right, "B6: natural gradient, step (1 - discount) / alpha"),
    ):
        axes.set(xlabel="steps", ylabel="total variation to the soft-optimal policy", title=title)
        axes.legend()


def entropy_collapse(left: Axes, right: Axes) -> None:
    """B5x: what exact policy gradients reach, and whether they still go on."""
    for alpha in (0.0, 0.05, 0.1, 0.4):
        found = collapse.ascend(collapse.chain(8), alpha)
        left.plot(found.gain, label=f"temperature {alpha} at first")
        right.plot(found.going_on, label=f"temperature {alpha} at first")
    left.axhline(collapse.QUIT, color="grey", linewidth=0.8)
    left.set(xlabel="steps of the gradient", ylabel="expected reward of an episode")
    left.set_title("B5x: quitting pays a little, the far end more")
    left.legend(loc="center right")
    right.set(xlabel="steps of the gradient", ylabel="probability of going on, first decision", ylim=(-0.03, 1.03))
    right.set_title("B5x: without entropy nobody looks any further")


def one_bridge(left: Axes, right: Axes) -> None:
    """C3 and C5: the two gradients and the term between them; Newton against value iteration."""
    world = random_world(12, 4, 3)
    q, target = bridge.drawn_q(13, world), bridge.drawn_q(14, world)
    visits = torch.full((4,), 0.25, dtype=q.dtype)
    learned = bridge.regression_gradient(q, target, visits).ravel()
    improved = bridge.improvement_gradient(q, target, visits).ravel()
    whole = improved + bridge.value_gradient(q, target, visits).ravel()
    left.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    left.plot(improved, learned, "x", label="alpha * policy gradient")
    left.plot(whole, learned, "o", fillstyle="none", label="... + dV (V_target - V)")
    left.set(xlabel="policy gradient", ylabel="soft Q-learning", title="C3: one term between the gradients")
    left.legend()
    world = random_world(12)
    problem, temperature = world.problem(), world.temperatures(bridge.TEMPERATURE)
    exact = hs.Newton(tolerance=1e-13).value(problem, world.rewards, temperature, None).value
    start = torch.zeros_like(exact)
    for name, step in (("value iteration", bridge.value_step), ("Newton = natural gradient", bridge.newton_from)):
        value, distance = start, []
        for _ in range(31):
            distance.append(max(float((value - exact).abs().max()), 1e-16))
            value = step(world, value)
        right.semilogy(distance, marker=".", label=name)
    right.set(xlabel="steps", ylabel="error of V", title="C5: the same equation, two speeds")
    right.legend()


def four_exits(left: Axes, right: Axes) -> None:
    """D2b: visits of the soft and of the classical policy."""
    task = hs.Task.grid(benefits.ROOM, discount=0.95)
    soft = hs.plan(task, {"step": -1.0}, temperature=0.1)
    policies = {"soft": soft, "first of the best actions": first_best(hard_plan(task))}
    for axes, (name, policy) in zip((left, right), policies.items(), strict=True):
        visits = hs.occupancy(policy, discounted=False)
        picture = np.zeros((9, 9))
        picture[tuple(np.array(visits["state"].tolist()).T)] = visits["visits"]
        axes.imshow(picture, cmap="Blues", vmin=0, vmax=1)
        axes.set(title=f"D2b: expected visits, {name}", xticks=[], yticks=[])


def specialisation(left: Axes, right: Axes) -> None:
    """D2x: fine-tuning to one exit, by what was trained before."""
    policies = fine_tuning.pretrained()
    for name, policy in policies.items():
        left.plot(list(islice(fine_tuning.successes(policy), 300)), label=name.replace("_", " ").replace("/", ", "))
    left.set(xlabel="steps of the gradient", ylabel="probability of that exit")
    left.set_title("D2x: fine-tuning to one of four exits")
    left.legend()
    steps = [fine_tuning.steps_needed(policy) for policy in policies.values()]
    right.barh([name.replace("_", " ").replace("/", ", ") for name in policies], steps, log=True)
    right.set(xlabel="steps of the gradient to 90 %", xlim=(1, None), title="D2x: how long it takes")
    right.invert_yaxis()


def blocked_way(left: Axes, right: Axes) -> None:
    """D4: the worst case after a route was blocked."""
    alphas = np.geomspace(0.1, 5, 15)
    mazes = {"two routes of one length": benefits.RING, "one route is longer": benefits.UNEVEN}
    for axes, (title, maze) in zip((left, right), mazes.items(), strict=True):
        task = hs.Task.grid(maze, discount=0.95)
        plans = [hs.plan(task, {"step": -1.0}, temperature=float(alpha)) for alpha in alphas]
        axes.semilogx(alphas, [benefits.worst_case(plan) for plan in plans], marker="o", label="soft")
        hard = hard_plan(task)
        axes.axhline(benefits.worst_case(hard), color="C1", linestyle="--", label="any of the best actions")
        axes.axhline(benefits.worst_case(first_best(hard)), color="C3", linestyle=":", label="first best action")
        axes.set(xlabel="temperature", ylabel="worst case of arriving in 40 steps", ylim=(-0.03, 1))
        axes.set_title(f"D4: a route is blocked, {title}")
        axes.legend()


def ties(left: Axes, right: Axes) -> None:
    """D3: clones and path counts."""
    clones = np.arange(1, 21)
    shares = [benefits.preference([1.0] * int(n) + [0.0]) for n in clones]
    left.plot(clones, shares, marker=".", label="one unit better")
    left.plot(clones, [benefits.preference([0.0] * int(n) + [0.0]) for n in clones], marker=".", label="equally good")
    left.set(xlabel="times that the option is listed", ylabel="probability of choosing it", xticks=clones[::3])
    left.set_title("D3: clones of an action")
    left.legend()
    alphas = np.geomspace(0.01, 2, 12)
    for planner, style in zip(PLANNERS, ("s-", "o-", "x:"), strict=True):
        paths = [benefits.path_preference(float(a), planner) for a in alphas]
        right.semilogx(alphas, paths, style, label=planner)
    right.set(xlabel="temperature", ylabel="probability of the wide way", ylim=(0, 1))
    right.set_title("D3: one best path against three")
    right.legend()


def falling_temperature(left: Axes, right: Axes) -> None:
    """D5: the value and the policy as the temperature falls."""
    alphas = np.geomspace(0.003, 3, 25)
    for name, world in (("no ties", random_world(51)), ("a twin action", limits.tied_world())):
        gaps = [max(limits.hard_gap(world, float(alpha)), 1e-15) for alpha in alphas]
        left.loglog(alphas, gaps, marker=".", label=name)
    left.loglog(alphas, alphas * np.log(3) / 0.1, "k--", linewidth=0.8, label="bound for 3 actions")
    left.set(xlabel="temperature", ylabel="largest V - V*", title="D5: the value", ylim=(1e-15, None))
    left.legend()
    policies = [limits.solved(random_world(51), float(alpha)).log_policy.exp() for alpha in alphas]
    for s in range(6):
        right.semilogx(alphas, [float(policy[s].max()) for policy in policies], label=f"state {s}")
    right.set(
        xlabel="temperature", ylabel="probability of the likeliest action", title="D5: the policy", ylim=(0, 1.03)
    )
    right.legend()


def costly_mistakes(left: Axes, right: Axes) -> None:
    """D7: mistakes in the model, and in data."""
    gaps, logs = mistakes.gaps_and_logs()
    left.plot(gaps, logs, "o")
    left.axline((0, 0), slope=-1 / mistakes.TEMPERATURE, color="grey", linewidth=0.8)
    left.set(xlabel="what the action costs", ylabel="log probability, relative to the best")
    left.set_title(f"D7: slope -1 / {mistakes.TEMPERATURE}")
    for (name, bins), style in zip(mistakes.simulated(200).items(), ("o-", "s-"), strict=True):
        error = np.sqrt(np.diag(bins.covariance)) / bins.expected
        label = f"{name.replace('_', ' ')} (chi-squared {bins.chi_squared:.0f})"
        right.errorbar(bins.cost, bins.seen / bins.expected, 2 * error, fmt=style, capsize=3, label=label)
    right.axhline(1, color="grey", linewidth=0.8)
    right.set(xlabel="what the mistake costs, in temperatures", ylabel="mistakes seen / expected", yscale="log")
    right.set_title("D7b: who follows the model and who does not")
    right.legend()


def farming(left: Axes, right: Axes) -> None:
    """S14 and E3: two ways in which the plain objective misleads."""
    alphas = np.linspace(0.3, 3, 19)
    for planner in ("entropy", "kl"):
        arrivals = [benefits.farming_plan(float(alpha), planner) for alpha in alphas]
        left.plot(alphas, arrivals, marker=".", label=planner)
    left.axhline(benefits.uniform_walk(), color="grey", linestyle="--", label="at random")
    left.axvline(1 / np.log(4), color="grey", linewidth=0.8)
    left.set(
        xlabel="temperature", ylabel="probability of arriving in 60 steps", title="S14: entropy pays for walking on"
    )
    left.legend()
    hopeful = [inference.risk(inference.lucky_value(float(alpha)), float(alpha)) for alpha in alphas]
    right.plot(alphas, hopeful, marker=".", label="log E[exp V]: exact inference")
    right.plot(alphas, [inference.planned_risk(float(alpha)) for alpha in alphas], marker=".", label="E[V]: a plan")
    right.set(xlabel="temperature", ylabel="probability of the risky option", ylim=(-0.03, 1.03))
    right.set_title("E3: optimism in a lottery")
    right.legend()


FIGURES = (
    log_integral,
    gradients,
    entropy_collapse,
    one_bridge,
    four_exits,
    specialisation,
    blocked_way,
    ties,
    falling_temperature,
    costly_mistakes,
    farming,
)
"""Every figure: a function that draws its two panels."""
