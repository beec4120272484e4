"""Rows of the nullity table that identify() cannot be asked about, for a model has one discount (SCIENCE 4.3).

The discount's column of the Jacobian is a numerical derivative (central differences of fourth order).
"""

import dataclasses

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.planners import Planner
from humansoft.solvers.observing import Unit
from tests.oracle.reference import Array, World, log_policy, weights
from tests.oracle.worlds import random_world, task_of

S, A = 5, 3
_STEP = 1e-3
_TOLD = 1e-6  # relative size of a singular value that a numerical derivative can tell from 0


def world_of(seed: int = 11) -> World:
    return random_world(np.random.default_rng(seed), S, A)


def every_entry() -> dict[str, Array]:
    """A free r(s, a) as one feature an entry, so that tasks share it."""
    return {f"r{s}{a}": np.eye(S * A)[s * A + a].reshape(S, A) for s in range(S) for a in range(A)}


def generic(count: int) -> dict[str, Array]:
    generator = np.random.default_rng(21)
    return {f"f{k}": generator.normal(size=(S, A)) for k in range(count)}


def everything(task: hs.Task, by: Unit = "subject") -> ExactLikelihood:
    """The likelihood of all decisions that one person can make, at all times."""
    log = hs.simulate(hs.plan(task, {}), 300, seed=2, max_steps=8)
    bound = hs.SoftOptimalModel(task, temperature=hs.Shared()).bind(log)
    found = ExactLikelihood(bound, bound.observe(log, by)).every_action
    assert isinstance(found, ExactLikelihood)
    assert len(found.observations) == S * A * (task.horizon or 1)  # everything was visited
    return found


def values(num_features: int) -> Array:
    """Some weights, and a log temperature at the end."""
    found: Array = np.r_[np.random.default_rng(3).normal(size=num_features) * 0.5, 0.2]
    return found


def jacobian(task: hs.Task, heats: bool) -> Array:
    """d log pi by weights, and by the log temperature where it is free."""
    found: Array = everything(task).jacobian(torch.from_numpy(values(len(task.feature_names))))
    kept: Array = found if heats else found[:, :-1]
    return kept


def by_discount(task: hs.Task) -> Array:
    point = torch.from_numpy(values(len(task.feature_names)))

    def log_prob(shift: float) -> Array:
        found = everything(dataclasses.replace(task, discount=task.discount + shift * _STEP)).log_prob(point)
        assert found is not None
        return found.numpy()

    wide, narrow = log_prob(2) - log_prob(-2), log_prob(1) - log_prob(-1)
    column: Array = (8 * narrow - wide)[:, None] / (12 * _STEP)
    return column


def nullity(matrix: Array) -> int:
    sizes = np.linalg.svd(matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-12), compute_uv=False)
    return int(matrix.shape[1]) - int((sizes > _TOLD * sizes[0]).sum())


@pytest.mark.parametrize(("heats", "flat"), [(False, 1), (True, 2)])
def test_two_discounts_identify_a_free_reward_up_to_a_constant(heats: bool, flat: int) -> None:
    tasks = [task_of(world_of(), every_entry(), discount) for discount in (0.5, 0.9)]
    assert nullity(jacobian(tasks[0], heats)) == S + heats
    assert nullity(np.vstack([jacobian(task, heats) for task in tasks])) == flat


def test_a_discount_of_a_stationary_free_reward_is_never_identified() -> None:
    task = task_of(world_of(), every_entry(), 0.9)
    column = by_discount(task)
    assert np.abs(column).max() > 1e-3  # it matters to behavior, but rewards can make up for it
    assert nullity(np.hstack([jacobian(task, True), column])) == S + 2


@pytest.mark.parametrize("other", [0.0, 0.5, 0.9])
def test_with_another_discount_another_reward_gives_the_same_policy(other: float) -> None:
    """r' = temperature log(pi / prior) + v - discount' P v for any v (Magnac and Thesmar 2002)."""
    world, temperature = world_of(), 0.7
    rewards = dict(zip(every_entry(), values(S * A)[:-1], strict=True))
    policy = hs.plan(task_of(world, every_entry(), 0.95), rewards, temperature).log_policy.numpy()
    v = np.random.default_rng(8).normal(size=S)
    bonus = temperature * (policy - np.log(weights(world, "kl")))
    twin = bonus + v[:, None] - other * world.transition @ v
    same = hs.plan(task_of(world, {"twin": twin}, other), {"twin": 1.0}, temperature).log_policy.numpy()
    np.testing.assert_allclose(same, policy, atol=1e-12)


def test_a_discount_with_few_features_is_identified_in_form() -> None:
    """Where k + 1 <= S (A - 1), and by nothing but the functional form; one more parameter is one too many."""
    for count, flat in ((3, 0), (S * (A - 1) - 1, 0), (S * (A - 1), 1)):
        task = task_of(world_of(), generic(count), 0.9)
        assert nullity(np.hstack([jacobian(task, False), by_discount(task)])) == flat


def test_more_features_than_choices_tell_leave_the_rest_flat() -> None:
    task = task_of(world_of(), generic(S * (A - 1) + 2), 0.9)
    log = hs.simulate(hs.plan(task, {}), 300, seed=2, max_steps=8)
    found = hs.identify(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
    assert found.num_parameters - found.rank == 2


@pytest.mark.parametrize(("horizon", "flat"), [(2, 3), (3, 2), (4, 2)])
def test_a_discount_is_identified_by_a_horizon_of_three(horizon: int, flat: int) -> None:
    """What stays flat is the constant and the scale; of two decisions, the discount too."""
    task = task_of(world_of(), every_entry(), 0.9, horizon)
    assert nullity(jacobian(task, True)) == 2
    assert nullity(np.hstack([jacobian(task, True), by_discount(task)])) == flat


def test_a_negative_temperature_is_a_negative_reward_and_is_refused() -> None:
    """(-r, -temperature) is the same policy, so the sign is a convention: temperatures are above 0."""
    world, temperature, discount = world_of(), 0.7, 0.9
    reward, measure = values(S * A)[:-1].reshape(S, A), weights(world, "kl")
    rewards = dict(zip(every_entry(), reward.ravel(), strict=True))
    ours = hs.plan(task_of(world, every_entry(), discount), rewards, temperature).log_policy.numpy()
    value = np.zeros(S)
    for _ in range(500):  # the soft Bellman equation of -r at -temperature, where log sum exp leans to the worst
        q = -reward + discount * world.transition @ value
        value = -temperature * np.log((measure * np.exp(q / -temperature)).sum(axis=1))
    np.testing.assert_allclose(log_policy(q, measure, -temperature), ours, atol=1e-12)
    with pytest.raises(hs.errors.ModelError, match="above 0"):
        hs.Fixed(-temperature)


@pytest.mark.parametrize("planner", ["entropy", "boltzmann"])
def test_each_planner_has_a_reward_for_every_policy(planner: Planner) -> None:
    """(planner, reward) pairs fit one task equally well (Armstrong and Mindermann 2018)."""
    world, temperature, discount = world_of(), 0.7, 0.9
    rewards = dict(zip(every_entry(), values(S * A)[:-1], strict=True))
    policy = hs.plan(task_of(world, every_entry(), discount), rewards, temperature).log_policy.numpy()
    v = np.random.default_rng(8).normal(size=S)
    advantage = temperature * policy  # entropy: the soft value of these is 0; boltzmann: the best one has to be
    advantage -= advantage.max(axis=1, keepdims=True) if planner == "boltzmann" else 0.0
    twin = advantage + v[:, None] - discount * world.transition @ v
    same = hs.plan(task_of(world, {"twin": twin}, discount), {"twin": 1.0}, temperature, planner)
    np.testing.assert_allclose(same.log_policy.numpy(), policy, atol=1e-11)


def test_a_reward_of_states_has_a_constant_a_side_in_a_bipartite_world() -> None:
    """Kim et al. (2021): where steps lead from one side to the other only, each side has its own constant."""
    generator = np.random.default_rng(4)
    size, half = 6, 3
    transition = np.zeros((size, A, size))
    transition[:half, :, half:] = generator.dirichlet(np.full(half, 0.5), size=(half, A))
    transition[half:, :, :half] = generator.dirichlet(np.full(half, 0.5), size=(half, A))
    world = World(transition, np.ones((size, A), dtype=bool))
    task = task_of(world, {"f": generator.normal(size=(size, A))}, 0.9)
    log = hs.simulate(hs.plan(task, {"f": 0.5}), 80, seed=2, max_steps=10)
    found = hs.identify(hs.SoftOptimalModel(task, hs.TableReward("state"), hs.Fixed(1.0)), log)
    assert found.num_parameters - found.rank == 2
