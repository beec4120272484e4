"""Interpolation between temperatures: what it gives is what solving for everybody gives, to many digits."""

import re
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.chebyshev import NODES, WIDTH, Pieces
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.interpolated_likelihood import InterpolatedLikelihood, likelihood_of
from humansoft.fit.interpolation_error import error_bound
from humansoft.planners import PLANNERS, Planner
from tests.oracle.test_rewards_of_each_time import HORIZON, Deadline
from tests.oracle.worlds import random_world, task_of

PEOPLE = 80
FEATURES = ("step", "toll")


def test_polynomials_are_interpolated_with_their_derivatives() -> None:
    points = np.random.default_rng(1).uniform(-5, 5, 40)
    pieces = Pieces(points)
    assert pieces.nodes.size == NODES * len(np.unique(np.floor(points / WIDTH)))
    table = pieces.nodes[pieces.piece]
    for power in range(NODES):
        for order, weights in enumerate((pieces.weights.value, pieces.weights.slope, pieces.weights.bend)):
            factor = np.prod([float(power - k) for k in range(order)])
            expected = factor * points ** max(power - order, 0)
            found = (weights * table**power).sum(axis=1)
            np.testing.assert_allclose(found, expected, atol=1e-7 * 5.0**power)
            both = np.stack([0 * pieces.nodes, pieces.nodes**power], axis=1)[..., None]
            found = pieces.interpolated(both, np.ones(len(points), dtype=np.int64), order)[:, 0]
            np.testing.assert_allclose(found, expected, atol=1e-7 * 5.0**power)


@dataclass(frozen=True, eq=False)
class Pair:
    """One set of people's likelihood, solved for everybody and interpolated, and where to look."""

    exact: ExactLikelihood
    interpolated: InterpolatedLikelihood
    point: torch.Tensor


def make_pair(planner: Planner, discount: float, horizon: int | None = None, spread: float = 1.0) -> Pair:
    """Eighty people in a random world, of very different temperatures."""
    generator = np.random.default_rng(4)
    world = random_world(generator, 9, 3, successors=3, ends=True, masked=True)
    features = {"step": world.available * 1.0, "toll": generator.uniform(-1, 1, (9, 3))}
    task = task_of(world, features, discount, horizon)
    temperatures = {f"p{b:02d}": float(np.exp(spread * generator.normal())) for b in range(PEOPLE)}
    log = hs.simulate(hs.plan(task, {"step": -1.0, "toll": 1.0}, temperatures, planner), 5, seed=2, max_steps=30)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), hs.PerSubject(), planner).bind(log)
    seen = model.observe(log)
    point = torch.tensor([-1.0, 1.1, *np.log(list(temperatures.values()))], dtype=torch.float64)
    return Pair(ExactLikelihood(model, seen), InterpolatedLikelihood(model, seen), point)


CASES = [(planner, discount, horizon) for planner in PLANNERS for discount, horizon in ((0.95, None), (1.0, 6))]
CASES.append(("kl", 1.0, None))


def close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:  # type: ignore[type-arg]
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


def dense(matrix: ArrowMatrix) -> np.ndarray:  # type: ignore[type-arg]
    return matrix.toarray()


@pytest.mark.parametrize(("planner", "discount", "horizon"), CASES)
@pytest.mark.slow
def test_interpolated_and_exact_likelihoods_agree(planner: Planner, discount: float, horizon: int | None) -> None:
    pair = make_pair(planner, discount, horizon)
    exact, ours, point = pair.exact, pair.interpolated, pair.point
    np.testing.assert_allclose(ours.log_prob(point), exact.log_prob(point), atol=1e-8)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.by_person(point), exact.by_person(point), atol=1e-7)
    close(ours.gradient(point), exact.gradient(point), 1e-7)
    close(ours.jacobian(point), exact.jacobian(point), 1e-7)
    close(dense(ours.hessian(point)), dense(exact.hessian(point)), 1e-5)
    close(dense(ours.expected_information(point)), dense(exact.expected_information(point)), 1e-7)


@pytest.mark.parametrize(("planner", "discount", "horizon"), CASES)
def test_the_error_is_within_its_bound(planner: Planner, discount: float, horizon: int | None) -> None:
    pair = make_pair(planner, discount, horizon)
    people = np.arange(0, PEOPLE, 7)
    bound = error_bound(pair.interpolated, pair.point, people)
    ours, exact = (likelihood.log_prob(pair.point) for likelihood in (pair.interpolated, pair.exact))
    assert ours is not None
    assert exact is not None
    error = (ours - exact).abs().numpy()
    for person, most in zip(people, bound, strict=True):
        assert error[pair.exact.observations.person == person].max() <= most + 1e-12
    assert bound.max() < 1e-6


def test_a_bound_notices_values_that_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make_pair("kl", 0.95)
    tables = pair.interpolated.tables

    def shifted(*arguments: object) -> tuple[torch.Tensor, torch.Tensor]:
        values, logs = tables(*arguments)  # type: ignore[arg-type]
        return values + 1e-3 * torch.arange(values.shape[1]) / values.shape[1], logs

    monkeypatch.setattr(pair.interpolated, "tables", shifted)
    assert error_bound(pair.interpolated, pair.point, np.array([3])).min() > 1e-3


def test_a_change_of_reward_is_one_more_column() -> None:
    pair = make_pair("kl", 0.95)
    task = pair.exact.model.task
    shift = torch.from_numpy(np.random.default_rng(0).normal(size=tuple(task.available.shape)))
    close(pair.interpolated.jacobian(pair.point, shift), pair.exact.jacobian(pair.point, shift), 1e-7)


@pytest.mark.parametrize("bent", [False, True])
def test_rewards_of_each_time_are_interpolated_too(bent: bool) -> None:
    task = hs.Task.grid("S..G\n.#..", discount=0.9, slip=0.2, horizon=HORIZON)
    people = {f"p{b}": float(np.exp(0.5 * np.sin(b))) for b in range(PEOPLE)}
    log = hs.simulate(hs.plan(task, Deadline(), people), 3, seed=1)
    bound = hs.SoftOptimalModel(task, Deadline(bent), hs.PerSubject()).bind(log)
    exact, ours = (kind(bound, bound.observe(log)) for kind in (ExactLikelihood, InterpolatedLikelihood))
    point = torch.tensor([-0.5, -0.2, *np.log(list(people.values()))], dtype=torch.float64)
    np.testing.assert_allclose(ours.by_person(point), exact.by_person(point), atol=1e-8)
    close(ours.gradient(point), exact.gradient(point), 1e-8)
    close(dense(ours.hessian(point)), dense(exact.hessian(point)), 1e-6)
    assert isinstance(ours, InterpolatedLikelihood)
    assert error_bound(ours, point, np.array([0, 40])).max() < 1e-6


def test_temperatures_at_the_ends_of_the_scale_are_met() -> None:
    pair = make_pair("kl", 0.95)
    for log_temperature in (-14.0, -6.0, 6.0, 20.0, 40.0):
        point = pair.point.clone()
        point[2:10] = log_temperature
        np.testing.assert_allclose(
            pair.interpolated.by_person(point), pair.exact.by_person(point), rtol=1e-8, atol=1e-6
        )
        close(pair.interpolated.gradient(point), pair.exact.gradient(point), 1e-6)


def test_equations_do_not_grow_with_the_number_of_people() -> None:
    pair = make_pair("kl", 0.95, spread=0.3)
    assert pair.interpolated.num_nodes(pair.point) <= 4 * NODES
    model, seen = pair.exact.model, pair.exact.observations
    assert isinstance(likelihood_of(model, seen), InterpolatedLikelihood)
    few = seen.person < 20
    assert isinstance(likelihood_of(model, seen.select(few)), ExactLikelihood)


def test_where_hot_people_have_no_solution_nobody_is_interpolated() -> None:
    """With the entropy planner and no discount, a node may be too hot although nobody is."""
    pair = make_pair("kl", 1.0)
    model = hs.SoftOptimalModel(pair.exact.model.task, pair.exact.model.reward, hs.PerSubject(), "entropy")
    names = pair.exact.model.subjects
    bound = model.bound_to(names, names, np.arange(len(names)))
    assert isinstance(likelihood_of(bound, pair.exact.observations), ExactLikelihood)


@pytest.mark.slow
def test_a_fit_says_what_was_interpolated_and_solves_for_everybody_where_that_is_not_precise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = hs.Task.grid("S..\n.#.\n..G", discount=0.95, slip=0.1)
    people = {f"p{b:02d}": float(np.exp(0.4 * np.sin(b))) for b in range(70)}
    log = hs.simulate(hs.plan(task, {"step": -1.0}, people), 4, seed=2, max_steps=40)
    model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.PerSubject())
    ours = hs.fit(model, log)
    assert re.search(r"solved at \d+ temperatures and interpolated", ours.message)
    # By its module, for ``hs.fit`` is the verb of the same name.
    monkeypatch.setattr(sys.modules["humansoft.fit.point"], "TOLERANCE", 0.0)
    exact = hs.fit(model, log)
    assert "interpolated" not in exact.message
    assert ours.log_likelihood == pytest.approx(exact.log_likelihood, abs=1e-6)
    inner = ours.params["boundary"] == ""
    np.testing.assert_allclose(ours.params["estimate"][inner], exact.params["estimate"][inner], atol=1e-6)
    np.testing.assert_allclose(ours.params["std_error"][inner], exact.params["std_error"][inner], rtol=1e-5)


@pytest.mark.slow
def test_nodes_without_a_solution_do_not_bar_people_who_have_one() -> None:
    """With kl and no discount, a loop that pays is worth staying in for ever below some temperature."""
    table = pd.DataFrame({"state": "s", "action": ["stay", "go"], "next_state": ["s", "end"], "joy": [1.0, 0.0]})
    task = hs.Task.table(table, discount=1.0, features=["joy"])
    people = {f"p{b:02d}": 0.7 + b / 100 for b in range(PEOPLE)}
    log = hs.simulate(hs.plan(task, {"joy": 0.45}, people), 20, seed=1)
    bound = hs.SoftOptimalModel(task, temperature=hs.PerSubject()).bind(log)
    exact, ours = (kind(bound, bound.observe(log)) for kind in (ExactLikelihood, InterpolatedLikelihood))
    point = torch.tensor([0.45, *np.log(list(people.values()))], dtype=torch.float64)
    np.testing.assert_allclose(ours.by_person(point), exact.by_person(point))
    np.testing.assert_allclose(ours.gradient(point), exact.gradient(point))
    fitted = hs.fit(hs.SoftOptimalModel(task, temperature=hs.PerSubject()), log)
    assert fitted.converged
    assert fitted.log_likelihood >= exact.value(point)


@pytest.mark.slow
def test_the_error_is_measured_where_it_is_largest() -> None:
    """Very many equal ways bring a singularity near: interpolation is then refused."""
    ways = [(i, a) for i in range(6) for a in range(50)]
    rooms = [(f"r{i}", f"a{a}", f"r{i + 1}" if i < 5 else "end", 10 / 7, float(a == 0)) for i, a in ways]
    table = pd.DataFrame(rooms, columns=["state", "action", "next_state", "cost", "ill"])
    doors = pd.DataFrame([("r0", "door", "end", 1.0, 0.0)], columns=table.columns)
    task = hs.Task.table(pd.concat([table, doors]), discount=0.99, features=["cost", "ill"])
    people = {f"p{b:02d}": float(np.exp(-1.2 + 0.01 * b)) for b in range(PEOPLE)}
    log = hs.simulate(hs.plan(task, {"cost": -1.0, "ill": -0.2}, people, "entropy"), 5, seed=1)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"cost": -1.0}), hs.PerSubject(), "entropy").bind(log)
    exact, ours = (kind(model, model.observe(log)) for kind in (ExactLikelihood, InterpolatedLikelihood))
    point = torch.tensor([-1.0, -0.2, *np.log(list(people.values()))], dtype=torch.float64)
    both = [likelihood.log_prob(point) for likelihood in (ours, exact)]
    error = float((both[0] - both[1]).abs().max())  # type: ignore[operator]
    assert isinstance(ours, InterpolatedLikelihood)
    assert ours.largest_error(point) >= error / 2
    assert ours.largest_error(point) > 1e-6
    assert "interpolated" not in hs.fit(model, log).message
