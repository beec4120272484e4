"""Derivatives of the likelihood: implicit = unrolled = complex step in plain numpy; identities at the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.evaluate.flatness import with_released
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.rewards.known import KnownReward
from humansoft.solvers.bellman import action_value, log_soft_policy, newton_step, soft_value
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.expansion import Observations
from tests.oracle import reference
from tests.oracle.reference import PLANNERS, Array, Planner, World
from tests.oracle.worlds import problem_of, random_world, task_of

PEOPLE = ("ann", "bob", "cleo", "dan")
GROUP = {"ann": "young", "bob": "old", "cleo": "old", "dan": "young"}
FEATURES = ("step", "toll", "view")


@dataclass(frozen=True, eq=False)
class Case:
    """A model on a log, and the same likelihood written without the package.

    Attributes:
        likelihood: the package's.
        point: [P] where derivatives are taken.
        rows: one row an observation: person, world, time, state, action, weight, as codes.
        worlds: the contexts.
        features: [S, A, F] of each context.
        planner: how they plan.
        discount: of the task.
        horizon: of the task.
        sweeps: of value iteration in the reference.
    """

    likelihood: ExactLikelihood
    point: Array
    rows: pd.DataFrame
    worlds: tuple[World, ...]
    features: tuple[Array, ...]
    planner: Planner
    discount: float
    horizon: int | None
    sweeps: int

    def log_prob(self, points: Array) -> Array:
        """Return log pi(a|s) of each row [K, N] at parameter vectors [K, P], in plain numpy."""
        found = np.zeros((len(points), len(self.rows)), dtype=points.dtype)
        reward_of, temperature_of = self.places()
        for (person, place), rows in self.rows.groupby(["person", "world"]):
            weight = points[:, reward_of[person]]
            alpha = np.exp(points[:, temperature_of[person]])
            reward = np.einsum("saf,kf->ksa", self.features[place], weight)
            world = self.worlds[place]
            if self.horizon is None:
                answer = reference.solve(world, reward, alpha, self.planner, self.discount, sweeps=self.sweeps)
                table = answer.log_policy[None]
            else:
                answer = reference.solve_horizon(world, reward, alpha, self.planner, self.discount, self.horizon)
                table = answer.log_policy
            found[:, rows.index] = table[rows["time"], :, rows["state"], rows["action"]].T
        return found

    def log_likelihood(self, points: Array) -> Array:
        """Return the log-likelihood [K] at parameter vectors [K, P]."""
        total: Array = self.log_prob(points) @ self.rows["weight"].to_numpy()
        return total

    def places(self) -> tuple[list[list[int]], list[int]]:
        """Return where the reward weights and the log temperature of each person stand in the vector."""
        table = self.likelihood.model.table.rows
        reward_of, temperature_of = [], []
        for name in PEOPLE:
            mine = [p for p, row in enumerate(table) if row.label in (None, "all", name, GROUP[name])]
            reward_of.append([p for p in mine if table[p].kind == "reward"])
            temperature_of.append(next(p for p in mine if table[p].kind == "log_temperature"))
        return reward_of, temperature_of


def make_case(
    planner: Planner = "kl",
    *,
    shared: bool = True,
    temperature: hs.Fixed | hs.Shared | hs.PerGroup | hs.PerSubject | None = None,
    fixed: Mapping[str, float] | None = None,
    discount: float = 0.9,
    horizon: int | None = None,
    seed: int = 1,
) -> Case:
    """Two mazes, four people of whom one knows only one maze, three features."""
    generator = np.random.default_rng(seed)
    worlds = tuple(random_world(generator, n, 3, successors=3, ends=True, masked=True) for n in (5, 6))
    features = tuple(
        np.stack([world.available * 1.0, *generator.uniform(-1, 1, size=(2, *world.available.shape))], axis=-1)
        for world in worlds
    )
    tasks = {
        name: task_of(world, dict(zip(FEATURES, np.moveaxis(values, -1, 0), strict=True)), discount, horizon)
        for name, world, values in zip(("east", "west"), worlds, features, strict=True)
    }
    model = hs.SoftOptimalModel(
        hs.Task.union(tasks),
        hs.LinearReward(shared=shared, fixed=fixed),
        temperature if temperature is not None else hs.PerSubject(),
        planner,
    )
    rows = []
    for person in range(len(PEOPLE)):
        for place in (0, 1) if person else (0,):
            for state in np.flatnonzero(worlds[place].acting):
                for time in range(horizon or 1):
                    action = generator.choice(np.flatnonzero(worlds[place].available[state]))
                    rows.append((person, place, time, int(state), int(action), float(generator.integers(1, 4))))
    table = pd.DataFrame(rows, columns=["person", "world", "time", "state", "action", "weight"])
    log = log_of(table, horizon)
    bound = model.bind(log)
    point = generator.normal(0, 0.5, len(bound.table))
    for p, row in enumerate(bound.table.rows):
        if row.name == "step":
            point[p] -= 1.5  # every step costs: all planners have a solution without a discount
        if row.kind == "log_temperature":
            point[p] = generator.uniform(-0.7, 0.2)
    return Case(
        ExactLikelihood(bound, in_order(bound.observe(log, by="decision"), log)),
        point,
        table,
        worlds,
        features,
        planner,
        discount,
        horizon,
        sweeps=150 if discount < 1 else 250,  # 15 % of all steps end
    )


def log_of(table: pd.DataFrame, horizon: int | None) -> hs.BehaviorLog:
    """Write codes as a log: with a horizon, each (person, world, state) is an episode of its own decisions."""
    frame = pd.DataFrame(
        {
            "row": table.index,
            "subject": [PEOPLE[p] for p in table["person"]],
            "group": [GROUP[PEOPLE[p]] for p in table["person"]],
            "maze": [("east", "west")[w] for w in table["world"]],
            "episode": table.groupby(["person", "world", "state"]).ngroup() if horizon else table["person"],
            "step": table["time"] if horizon else table.index,
            "state": table["state"],
            "action": [f"a{a}" for a in table["action"]],
            "weight": table["weight"],
        }
    )
    return hs.read(frame, context="maze", weight="weight")


def in_order(seen: Observations, log: hs.BehaviorLog) -> Observations:
    """Return the observations in the order of the table they were written in."""
    order = np.argsort(log.frame["row"].to_numpy())
    return replace(seen.select(order), unit=np.arange(len(order)))


MODELS: dict[str, dict[str, object]] = {
    "shared reward, temperatures by person": {},
    "shared reward, one weight fixed, temperatures by group": {
        "temperature": hs.PerGroup("group"),
        "fixed": {"step": -1.0},
    },
    "own rewards, one temperature": {"shared": False, "temperature": hs.Shared(), "fixed": {"step": -1.0}},
    "own rewards, temperatures by group": {"shared": False, "temperature": hs.PerGroup("group")},
    "own rewards, own temperatures": {"shared": False},
    "undiscounted": {"discount": 1.0},
    "horizon": {"horizon": 4, "temperature": hs.PerGroup("group")},
    "horizon, undiscounted, own rewards": {"horizon": 3, "discount": 1.0, "shared": False},
}


CASES = [
    # In the fast run every model meets one planner, and every planner some models.
    pytest.param((name, planner), id=f"{name} / {planner}", marks=() if (i - j) % 3 == 0 else pytest.mark.slow)
    for i, name in enumerate(MODELS)
    for j, planner in enumerate(PLANNERS)
]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Every model under every planner."""
    name, planner = request.param
    return make_case(planner, **MODELS[name])  # type: ignore[arg-type]


def close(found: Array, expected: Array, relative: float) -> None:
    """Compare relative to the largest entry."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def by_parameter(likelihood: ExactLikelihood, scores: Array) -> Array:
    """Put scores [N, C] of observations in colors to the parameters they belong to [N, P]."""
    owner = likelihood.directions.owner[likelihood.directions.row_of_person[likelihood.observations.person]]
    found = np.zeros((len(scores), len(likelihood.model.table) + 1))
    np.put_along_axis(found, owner, scores, axis=1)
    return found[:, :-1]


def test_value_gradient_and_scores_are_those_of_plain_numpy(case: Case) -> None:
    point = torch.from_numpy(case.point)
    expected = case.log_likelihood(case.point[None])[0]
    np.testing.assert_allclose(case.likelihood.value(point), expected, rtol=1e-9)
    gradient = reference.complex_gradient(case.log_likelihood, case.point)
    free = case.likelihood.model.table.free
    close(case.likelihood.gradient(point), gradient * free, 1e-8)
    scores = reference.complex_gradient(case.log_prob, case.point)
    jacobian = case.likelihood.jacobian(point)
    close(by_parameter(case.likelihood, jacobian), scores * free, 1e-8)
    assert jacobian.shape[1] <= len(FEATURES) + len(set(GROUP.values())) + 1
    np.testing.assert_allclose(case.rows["weight"].to_numpy() @ scores, gradient, atol=1e-10)


def test_the_hessian_is_that_of_plain_numpy(case: Case) -> None:
    hessian = case.likelihood.hessian(torch.from_numpy(case.point)).toarray()
    free = case.likelihood.model.table.free
    close(hessian, reference.complex_hessian(case.log_likelihood, case.point) * np.outer(free, free), 1e-6)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9 * np.abs(hessian).max())


@pytest.mark.parametrize("horizon", [None, 6])
def test_a_known_reward_moves_nothing_by_itself(horizon: int | None) -> None:
    """Second derivatives and scores by temperatures alone are differences of first ones."""
    task = hs.Task.grid("S..\n.#.\n..G", discount=0.9, horizon=horizon)
    people = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.4, "bob": 0.8})
    known = KnownReward(-task.features[..., 0])
    model = hs.SoftOptimalModel(task, known, hs.PerSubject()).bind(hs.simulate(people, 5, seed=1))
    likelihood = ExactLikelihood(model, model.observe(hs.simulate(people, 5, seed=1)))
    point, width = torch.tensor([-0.7, 0.3], dtype=torch.float64), 1e-5
    ends = [(point + width * one, point - width * one) for one in torch.eye(2, dtype=torch.float64)]
    slopes = [(likelihood.gradient(up) - likelihood.gradient(down)) / (2 * width) for up, down in ends]
    close(likelihood.hessian(point).toarray(), np.stack(slopes), 1e-7)
    scores = by_parameter(likelihood, likelihood.jacobian(point))
    np.testing.assert_allclose(likelihood.observations.weight @ scores, likelihood.gradient(point), rtol=1e-9)


def test_what_was_derived_at_one_point_is_not_told_at_another() -> None:
    case, elsewhere = make_case(horizon=4), torch.from_numpy(make_case(horizon=4).point) + 0.1
    here = case.likelihood.hessian(torch.from_numpy(case.point)).toarray()
    there, afresh = case.likelihood.hessian(elsewhere), make_case(horizon=4).likelihood.hessian(elsewhere)
    np.testing.assert_array_equal(there.toarray(), afresh.toarray())
    assert np.abs(there.toarray() - here).max() > 0.01 * np.abs(here).max()
    again = case.likelihood.hessian(torch.from_numpy(case.point))
    np.testing.assert_array_equal(again.toarray(), here)


def test_scale_is_not_in_the_data(case: Case) -> None:
    """<r, dl/dr> + alpha dl/dalpha = 0: reward and temperature times the same number change nothing (Euler)."""
    everything = replace(case.likelihood, model=with_released(case.likelihood.model))  # fixed weights count as well
    gradient = everything.gradient(torch.from_numpy(case.point))
    kinds = np.array([row.kind for row in case.likelihood.model.table.rows])
    together = np.where(kinds == "reward", case.point, 1.0)
    assert abs(gradient @ together) < 1e-9 * np.abs(gradient).max()
    assert np.abs(gradient).max() > 0.1  # or nothing is tested


def test_central_differences_of_the_value_are_the_gradient() -> None:
    """The one check that uses nothing but the package itself, and no assumption about how it works."""
    case = make_case("entropy", discount=1.0)
    found = case.likelihood.gradient(torch.from_numpy(case.point))
    width = 1e-5
    for p in range(len(case.point)):
        shift = torch.from_numpy(width * np.eye(len(case.point))[p])
        up, down = (float(case.likelihood.value(torch.from_numpy(case.point) + s)) for s in (shift, -shift))
        assert (up - down) / (2 * width) == pytest.approx(found[p], rel=1e-6, abs=1e-6)


def test_fresh_and_warm_starts_agree() -> None:
    case = make_case("entropy", discount=1.0)
    point = torch.from_numpy(case.point)
    cold = case.likelihood.gradient(point)
    case.likelihood.gradient(point + 0.3)
    assert case.likelihood._warm is not None
    close(case.likelihood.gradient(point), cold, 1e-9)


# tracked steps against unrolled value iteration


def unrolled(world: World, counts: torch.Tensor, features: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    """Return the log-likelihood of 4 people by 400 tracked sweeps: weights, then 4 log temperatures."""
    transition = torch.from_numpy(world.transition)
    reward = features @ parameters[: features.shape[-1]]
    alpha = parameters[features.shape[-1] :].exp()[:, None, None]
    value = torch.zeros(len(alpha), len(world.available), dtype=torch.float64)
    for _ in range(400):
        q = reward + 0.9 * torch.einsum("san,bn->bsa", transition, value)
        value = alpha[:, :, 0] * torch.logsumexp(q / alpha, dim=-1)
    q = reward + 0.9 * torch.einsum("san,bn->bsa", transition, value)
    return (counts * torch.log_softmax(q / alpha, dim=-1)).sum()


def tracked(
    world: World, counts: torch.Tensor, features: torch.Tensor, parameters: torch.Tensor, steps: int
) -> torch.Tensor:
    """Return the same by ``steps`` Newton steps from the solution, each person a problem of their own."""
    problem = problem_of(world, reference.weights(world, "entropy"), 0.9)
    total = torch.zeros((), dtype=torch.float64)
    for person in range(4):
        alpha = parameters[features.shape[-1] + person].exp().expand(len(world.available))
        reward = features @ parameters[: features.shape[-1]]
        value = solve_stationary(problem, reward.detach(), alpha.detach()).value
        for _ in range(steps):
            value = newton_step(problem, reward, alpha, value)
        q = action_value(problem, reward, value)
        total = total + (counts[person] * log_soft_policy(q, problem.log_prior, alpha)).sum()
    return total


@pytest.mark.slow
def test_one_tracked_step_is_the_gradient_and_two_are_the_hessian() -> None:
    generator = np.random.default_rng(5)
    world = random_world(generator, 12, 3, successors=3)
    features = torch.from_numpy(generator.normal(size=(12, 3, 2)))
    counts = torch.from_numpy(generator.integers(0, 9, size=(4, 12, 3)).astype(float))
    parameters = torch.from_numpy(generator.normal(0, 0.5, size=6)).requires_grad_()

    def derivatives(value: torch.Tensor) -> tuple[Array, Array]:
        (gradient,) = torch.autograd.grad(value, parameters, create_graph=True)
        rows = [torch.autograd.grad(g, parameters, retain_graph=True)[0] for g in gradient]
        return gradient.detach().numpy(), torch.stack(rows).numpy()

    gradient, hessian = derivatives(unrolled(world, counts, features, parameters))
    errors = []
    for steps in (0, 1, 2):
        found = derivatives(tracked(world, counts, features, parameters, steps))
        errors.append([np.abs(f - e).max() / np.abs(e).max() for f, e in zip(found, (gradient, hessian), strict=True)])
    (gradient_0, _), (gradient_1, hessian_1), (gradient_2, hessian_2) = errors
    assert gradient_0 > 1e-2  # the trap: runs, and is wrong
    assert gradient_1 < 1e-12
    assert gradient_2 < 1e-12
    assert hessian_1 > 1e-4  # one step is not enough for second derivatives
    assert hessian_2 < 1e-11


# identities at the truth


def test_shaping_directions_have_no_gradient() -> None:
    """r + discount P v - v has the same policy for every v (v = 0 at the end): no derivative of any order."""
    generator = np.random.default_rng(6)
    for planner in PLANNERS:
        for discount in (0.9, 1.0):
            world = random_world(generator, 6, 3, successors=3, ends=True, masked=True)
            potential = generator.normal(size=6) * world.acting
            shaping = discount * world.transition @ potential - potential[:, None]
            features = {"step": world.available * 1.0, "toll": generator.uniform(-1, 1, (6, 3)), "shaping": shaping}
            task = task_of(world, features, discount)
            log = hs.simulate(hs.plan(task, {"step": -2.0, "toll": 1.0}, 0.7, planner), 20, seed=1)
            bound = hs.SoftOptimalModel(task, temperature=hs.Shared(), planner=planner).bind(log)
            likelihood = ExactLikelihood(bound, bound.observe(log))
            point = torch.tensor([-2.0, 1.0, 0.5, -0.3], dtype=torch.float64)
            size = np.abs(likelihood.gradient(point)).max()
            assert abs(likelihood.gradient(point)[2]) < 1e-10 * size
            assert np.abs(likelihood.jacobian(point)[:, 2]).max() < 1e-10
            assert np.abs(likelihood.hessian(point).toarray()[2]).max() < 1e-9 * size


def at_truth(planner: Planner, horizon: int | None, episodes: int) -> tuple[ExactLikelihood, torch.Tensor]:
    """People simulated at known parameters, and the likelihood of what they did."""
    generator = np.random.default_rng(7)
    world = random_world(generator, 6, 3, successors=3, ends=True, masked=True)
    features = {"step": world.available * 1.0, "toll": generator.uniform(-1, 1, (6, 3))}
    task = task_of(world, features, 0.95, horizon)
    people = {"ann": 0.4, "bob": 0.8, "cleo": 1.5}
    log = hs.simulate(hs.plan(task, {"step": -1.0, "toll": 1.0}, people, planner), episodes, seed=8)
    bound = hs.SoftOptimalModel(task, temperature=hs.PerSubject(), planner=planner).bind(log)
    point = torch.tensor([-1.0, 1.0, *np.log(list(people.values()))], dtype=torch.float64)
    return ExactLikelihood(bound, bound.observe(log)), point


@pytest.mark.parametrize("horizon", [None, 5])
@pytest.mark.parametrize("planner", PLANNERS)
def test_the_expected_score_is_zero_and_its_variance_is_the_information(planner: Planner, horizon: int | None) -> None:
    likelihood, point = at_truth(planner, horizon, episodes=400)
    everything = likelihood.every_action
    scores = by_parameter(everything, everything.jacobian(point))
    chance = np.exp(everything.log_prob(point).detach().numpy())  # type: ignore[union-attr]
    visits = everything.observations.weight
    # Exactly, given the states that were visited: over actions in each state, so in total.
    met = everything.observations
    place = (met.time * 100 + met.state) * 10 + met.person
    for state in np.unique(place):
        np.testing.assert_allclose(chance[place == state] @ scores[place == state], 0.0, atol=1e-10)
    np.testing.assert_allclose([chance[place == s].sum() for s in np.unique(place)], 1.0, rtol=1e-12)
    # E[-H] = E[score score'] = the Fisher information, when data are replaced by what is expected of them.
    seen = everything.observations
    mean = ExactLikelihood(
        likelihood.model,
        replace(seen, weight=visits * chance),
    )
    information = likelihood.expected_information(point).toarray()
    close(-mean.hessian(point).toarray(), information, 1e-9)
    close(information, scores.T @ (scores * (visits * chance)[:, None]), 1e-12)
    # In a sample: the score is within Monte-Carlo error, the sum of squared scores near its expectation.
    gradient = likelihood.gradient(point)
    deviation = gradient / np.sqrt(np.diag(information))
    assert np.abs(deviation).max() < 4
    assert gradient @ np.linalg.pinv(information, rcond=1e-9) @ gradient < 25  # chi-squared, 4 degrees of freedom
    jacobian, observed = likelihood.jacobian(point), likelihood.observations
    sampled = by_parameter(likelihood, jacobian)
    outer = sampled.T @ (sampled * observed.weight[:, None])
    close(likelihood.outer(jacobian * np.sqrt(observed.weight)[:, None], observed.person).toarray(), outer, 1e-12)
    np.testing.assert_allclose(outer, information, atol=0.15 * np.abs(information).max())


def test_masked_actions_carry_no_nan() -> None:
    """Every derivative stays finite although log pi = -inf where actions are missing."""
    for planner in PLANNERS:
        case = make_case(planner, discount=1.0)
        bound, point = case.likelihood.model, torch.from_numpy(case.point)
        assert not bool(bound.task.available.all())
        for finding in (
            case.likelihood.gradient(point),
            case.likelihood.hessian(point).toarray(),
            case.likelihood.jacobian(point),
            case.likelihood.expected_information(point).toarray(),
        ):
            assert np.isfinite(finding).all()


def test_gradient_reaches_the_reward_of_every_action_by_the_value_alone() -> None:
    """d V(s) / d r(s', a) = expected discounted visits of (s', a): the adjoint has an independent meaning."""
    generator, alpha = np.random.default_rng(9), 0.6
    world = random_world(generator, 5, 3, masked=True)
    measure = reference.weights(world, "kl")
    problem = problem_of(world, measure, 0.9)
    reward = torch.from_numpy(generator.normal(size=(5, 3))).requires_grad_()
    alphas = torch.full((5,), alpha, dtype=torch.float64, requires_grad=True)
    solution = solve_stationary(problem, reward, alphas)
    to_reward, to_alpha = torch.autograd.grad(solution.value[2], (reward, alphas))
    policy = solution.log_policy.detach().exp().numpy()
    kernel = np.einsum("sa,san->sn", policy, world.transition)
    visits = np.linalg.solve((np.eye(5) - 0.9 * kernel).T, np.eye(5)[2])
    np.testing.assert_allclose(to_reward, visits[:, None] * policy, atol=1e-12)
    log_ratio = np.where(policy > 0, np.log(np.where(policy > 0, policy, 1) / np.where(measure > 0, measure, 1)), 0)
    np.testing.assert_allclose(to_alpha, -visits * (policy * log_ratio).sum(axis=1), atol=1e-12)
    backup = soft_value(solution.q, problem.log_prior, alphas)
    np.testing.assert_allclose(backup.detach(), solution.value.detach(), atol=1e-10)
