"""Networks solved for all goals at once, against the same networks spelled out goal by goal as a union of tables."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import humansoft as hs
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.planners import Planner
from humansoft.solvers import goal_expansion
from tests.oracle.networks import FEATURES, HOME, SHOP, by_goals, likelihood, model, spelled_out, streets, trips

GOALS = ([HOME, SHOP], [3, HOME], [5, 2, SHOP, HOME], [4, 1])


@pytest.mark.parametrize("planner", ["entropy", "kl"])
@pytest.mark.parametrize("goals", GOALS)
@pytest.mark.parametrize("temperature", [hs.Fixed(0.8), hs.PerSubject()])
def test_likelihood_and_derivatives(planner: Planner, goals: list[int], temperature: hs.Fixed | hs.PerSubject) -> None:
    edges = streets(1)
    whole = spelled_out(edges, goals)
    log = trips(whole, planner)
    point = torch.tensor([-1.7, -1.2, *([np.log(0.8)] if isinstance(temperature, hs.Fixed) else [0.2, -0.1, -0.1])])
    point = point.to(torch.float64)
    ours, theirs = (likelihood(task, log, planner, temperature) for task in (by_goals(edges, goals), whole))
    np.testing.assert_allclose(ours.value(point), theirs.value(point), rtol=1e-11)
    for name in ("gradient", "hessian", "expected_information"):
        found, wanted = getattr(ours, name)(point), getattr(theirs, name)(point)
        if name != "gradient":
            found, wanted = found.toarray(), wanted.toarray()
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize("planner", ["entropy", "kl"])
def test_fit_and_predictions(planner: Planner) -> None:
    edges, goals = streets(2), [3, HOME, SHOP]
    whole = spelled_out(edges, goals)
    log = trips(whole, planner, people=1)
    ours, theirs = (hs.fit(model(task, planner, hs.Fixed(1.0)), log) for task in (by_goals(edges, goals), whole))
    assert ours.converged
    columns = ["estimate", "std_error", "ci_low", "ci_high"]
    np.testing.assert_allclose(ours.params[columns], theirs.params[columns], rtol=1e-6)
    for kind in ("hessian", "bhhh", "sandwich_by_episode"):
        np.testing.assert_allclose(ours.std_errors(kind), theirs.std_errors(kind), rtol=1e-6)
    found, wanted = hs.predict(ours, log), hs.predict(theirs, log)
    for column in ("probability", "num_options"):
        np.testing.assert_allclose(found[column], wanted[column], rtol=1e-6)
    for slot in (n for n in found if str(n).startswith("turn_")):
        told = found[found[slot].notna()]
        by_label = wanted.to_numpy()[told.index, [wanted.columns.get_loc(f"p_{link}") for link in told[slot]]]
        np.testing.assert_allclose(told[f"p_{slot}"], by_label.astype(float), rtol=1e-6)
    scores = hs.score(ours, log)
    np.testing.assert_allclose(scores, hs.score(theirs, log).loc[scores.index], rtol=1e-6)
    assert list(scores.index) == ["model", "uniform"]


def test_temperatures_of_people() -> None:
    edges, goals = streets(2), [3, HOME, SHOP]
    whole = spelled_out(edges, goals)
    log = trips(whole, "kl")
    ours, theirs = (hs.fit(model(task, "kl", hs.PerSubject()), log) for task in (by_goals(edges, goals), whole))
    np.testing.assert_allclose(ours.params["estimate"], theirs.params["estimate"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.params["std_error"], theirs.params["std_error"], rtol=1e-5)
    assert hs.compare(ours).equals(hs.compare(ours))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(2, 9),
    goals=st.lists(st.sampled_from([0, 1, HOME, SHOP]), min_size=1, max_size=4, unique=True),
    weights=st.tuples(st.floats(-5, -1), st.floats(-3, 1)),
    planner=st.sampled_from(["entropy", "kl"]),
)
@pytest.mark.slow
def test_any_network(seed: int, size: int, goals: list[int], weights: tuple[float, float], planner: Planner) -> None:
    edges = streets(seed, size)
    whole = spelled_out(edges, goals)
    reward = dict(zip(FEATURES, weights, strict=True))
    try:
        wanted = hs.plan(whole, reward, 0.8, planner)
    except hs.errors.SolveError:
        with pytest.raises(hs.errors.SolveError):
            hs.plan(by_goals(edges, goals), reward, 0.8, planner)
        return
    found = hs.plan(by_goals(edges, goals), reward, 0.8, planner)
    for label in whole.states.values:
        assert isinstance(label, tuple)
        goal, link = label
        if link == goal or link in (HOME, SHOP):
            continue
        expected = wanted.action_distribution((goal, link))
        ours = found.action_distribution((goal, link))
        np.testing.assert_allclose(ours, expected[ours.index], atol=1e-9)
        assert ours.sum() == pytest.approx(1.0)


def test_sum_over_routes() -> None:
    """On a network without loops, the probability of a route is its desirability over that of all routes."""
    pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("b", "d"), ("c", "d"), ("d", "x"), ("c", "y"), ("d", "y")]
    edges = pd.DataFrame(pairs, columns=["from", "to"]).assign(time=[0.3, 1.1, 0.2, 0.9, 0.5, 0.4, 1.7, 0.1], toll=0.5)
    cost = dict(zip(pairs, edges["time"], strict=True))
    policy = hs.plan(by_goals(edges), {"time": -2.0}, 1.3, "entropy")

    def routes(link: str, goal: str) -> list[list[str]]:
        if link == goal:
            return [[goal]]
        onward = [end for start, end in pairs if start == link and (end == goal or end not in "xy")]
        return [[link, *rest] for end in onward for rest in routes(end, goal)]

    for goal in ("x", "y"):
        known = routes("a", goal)
        weights = np.exp([-2.0 * sum(cost[turn] for turn in itertools.pairwise(r)) / 1.3 for r in known])
        for route, share in zip(known, weights / weights.sum(), strict=True):
            steps = [
                policy.action_distribution((goal, link))[following] for link, following in itertools.pairwise(route)
            ]
            assert np.prod(steps) == pytest.approx(share, rel=1e-12)


def test_gradients_reach_the_model() -> None:
    edges = streets(3)
    log = trips(spelled_out(edges, [HOME, SHOP]), "entropy", people=1)
    bound = model(by_goals(edges), "entropy", hs.Fixed(1.0)).bind(log)
    seen, point = bound.observe(log), torch.tensor([-2.0, -1.0, 0.0], dtype=torch.float64)
    with torch.no_grad():
        bound.reward.weights.copy_(point[:2])
    total = (bound.log_prob(seen) * torch.from_numpy(seen.weight)).sum()
    (found,) = torch.autograd.grad(total, [bound.reward.weights])
    np.testing.assert_allclose(found.numpy().ravel(), likelihood_of(bound, seen).gradient(point)[:2], rtol=1e-10)


class Steep(hs.AbstractReward):
    """A cost of time that is not linear in its parameter."""

    def build(self, task: hs.Task, subjects: Sequence[object]) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, task: hs.Task) -> torch.Tensor:
        return -(self.weight.exp() * task.features[:, :, 0] + 0.3 * self.weight.exp() ** 2)[None]

    def parameters_of(self, task: hs.Task, subjects: Sequence[object]) -> list[hs.parameters.Parameter]:
        return [hs.parameters.Parameter("steep", "reward")]


def known(task: hs.Task) -> hs.KnownReward:
    """Return a cost of time that is known as a whole."""
    return hs.KnownReward(-1.5 * task.features[None, :, :, 0])


@pytest.mark.parametrize(
    ("reward", "temperature", "point"),
    [
        (lambda task: Steep(), hs.Fixed(1.0), [0.4, -0.1]),
        (known, hs.Shared(), [-0.1]),
        (known, hs.Fixed(1.0), [0.0]),
    ],
)
def test_rewards_that_are_no_weights_of_features(
    reward: Callable[[hs.Task], hs.AbstractReward], temperature: hs.temperature.Temperature, point: list[float]
) -> None:
    edges = streets(3)
    whole = spelled_out(edges, [HOME, SHOP, 2])
    log = trips(whole, "entropy", people=1)
    there = torch.tensor(point, dtype=torch.float64)
    found = []
    for task in (by_goals(edges, [HOME, SHOP, 2]), whole):
        bound = hs.SoftOptimalModel(task, reward(task), temperature, "entropy").bind(log)
        own = likelihood_of(bound, bound.observe(log))
        found.append([own.value(there), own.gradient(there), own.hessian(there).toarray()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_no_finite_value() -> None:
    edges = streets(1)
    task = by_goals(edges)
    with pytest.raises(hs.errors.SolveError, match=r"no finite solution.*temperature must stay below 0\.\d+"):
        hs.plan(task, {"time": -0.3}, 1.0, "entropy")
    log = trips(spelled_out(edges, [HOME, SHOP]), "entropy", people=1)
    own = likelihood(task, log, "entropy", hs.Fixed(1.0))
    assert own.value(torch.tensor([-0.3, 0.0, 0.0], dtype=torch.float64)) == -np.inf
    assert own.value(torch.tensor([800.0, 800.0, 0.0], dtype=torch.float64)) == -np.inf


@pytest.mark.parametrize("goals", [[HOME, SHOP], [2, 5], [3, HOME]])
def test_people_who_wander(goals: list[int]) -> None:
    """Without costs, the kl planner chooses at random, and everything is worth nothing."""
    edges = streets(1)
    other = streets(8).assign(**{"from": lambda t: t["from"] + 1000, "to": lambda t: t["to"] + 1000})
    both, ends = pd.concat([edges, other]), [*goals, 1000 + HOME, 1002]
    task = by_goals(both[both["to"].isin([*both["from"], *ends])], ends)  # no dead ends, which nobody would enter
    policy = hs.plan(task, {"time": 0.0}, 0.7, "kl")
    for goal, link in ((goals[0], 1), (1000 + HOME, 1001), (1002, 1001)):
        shares = policy.action_distribution((goal, link))
        np.testing.assert_allclose(shares, 1 / len(shares), rtol=1e-9)
    values = policy.value.reshape(len(goals) + 2, -1)
    assert float(values[torch.isfinite(values)].abs().max()) < 1e-10


def test_values_are_in_units_of_the_reward() -> None:
    edges, goals = streets(5), [HOME, 2]
    whole, ours = spelled_out(edges, goals), by_goals(edges, goals)
    reward = {"time": -2.0, "toll": -1.0}
    wanted, found = (hs.plan(task, reward, {"ann": 0.5, "bob": 2.0}) for task in (whole, ours))
    for row in (0, 1):
        for goal, link in ((HOME, 4), (2, 0)):
            places = [
                int(p.expansion.place(t, np.array([row]), t.states.encode([(goal, link)]))[0])
                for p, t in ((wanted, whole), (found, ours))
            ]
            assert float(wanted.value[places[0]]) == pytest.approx(float(found.value[places[1]]), rel=1e-10)


@pytest.mark.parametrize("planner", ["entropy", "kl"])
def test_costs_beyond_the_range_of_desirabilities(planner: Planner) -> None:
    """Routes that cost thousands of temperatures are solved goal by goal."""
    edges, goals = streets(4), [HOME, 2]
    whole = spelled_out(edges, goals)
    log = trips(whole, planner, people=1)
    point = torch.tensor([-2000.0, -1500.0, 0.0], dtype=torch.float64)
    ours, theirs = (likelihood(task, log, planner, hs.Fixed(1.0)) for task in (by_goals(edges, goals), whole))
    np.testing.assert_allclose(ours.value(point), theirs.value(point), rtol=1e-9)
    np.testing.assert_allclose(ours.gradient(point), theirs.gradient(point), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.jacobian(point), theirs.jacobian(point), rtol=1e-6, atol=1e-6)


def test_many_goals_start_from_the_most_frequent() -> None:
    """A city in which every crossing is a goal: the start changes the way, not the end."""
    side = 11
    nodes = [(x, y) for x in range(side) for y in range(side)]
    pairs = [(a, b) for a in nodes for b in nodes if abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1]
    rng = np.random.default_rng(5)
    edges = pd.DataFrame({"from": [f"{a}" for a, _ in pairs], "to": [f"{b}" for _, b in pairs]})
    edges = edges.assign(time=rng.uniform(1, 2, len(pairs)), toll=rng.integers(0, 2, len(pairs)))
    task = hs.Task.network(edges, goals=[f"{n}" for n in nodes], features=FEATURES)
    log = hs.simulate(hs.plan(task, {"time": -2.0, "toll": -1.0}, 1.0, "entropy"), episodes=1500, seed=2)
    fitted = hs.fit(model(task, "entropy", hs.Fixed(1.0)), log)
    assert fitted.converged
    own = likelihood(task, log, "entropy", hs.Fixed(1.0))
    assert own.pilot is not None
    assert len(own.pilot.observations) < len(own.observations) / 2
    full = torch.tensor([fitted.weight("time"), fitted.weight("toll"), 0.0], dtype=torch.float64)
    assert np.abs(own.gradient(full)[:2]).max() < 1e-5
    assert (np.abs(full.numpy()[:2] - [-2.0, -1.0]) < 4 * fitted.std_errors("hessian").to_numpy()[:2]).all()


def test_too_large_to_be_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goal_expansion, "_LARGEST_SPELLED_OUT", 10)
    task, log = by_goals(streets(4)), trips(spelled_out(streets(4), [HOME, SHOP]), "entropy", people=1)
    with pytest.raises(hs.errors.SolveError, match="cost so many temperatures"):
        hs.plan(task, {"time": -2000.0}, 1.0, "entropy")
    own = likelihood(task, log, "entropy", hs.Fixed(1.0))
    assert own.value(torch.tensor([-2000.0, -1500.0, 0.0], dtype=torch.float64)) == -np.inf
    assert np.isfinite(own.value(torch.tensor([-2.0, -1.5, 0.0], dtype=torch.float64)))


@pytest.mark.slow
def test_a_person_who_never_errs() -> None:
    """Temperatures near 0 leave the range of desirabilities; the bound is that of the spelled-out network."""
    edges, goals = streets(2), [3, HOME, SHOP]
    whole = spelled_out(edges, goals)
    reward = {"time": -1.5, "toll": -1.0}
    people = hs.plan(whole, reward, {"ann": 0.01, "bob": 1.0, "cem": 1.2}, "kl")
    log = hs.simulate(people, episodes=40, seed=4, max_steps=12)
    ours, theirs = (hs.fit(model(task, "kl", hs.PerSubject()), log) for task in (by_goals(edges, goals), whole))
    assert ours.temperatures()["boundary"].tolist() == theirs.temperatures()["boundary"].tolist() == ["lower", "", ""]
    np.testing.assert_allclose(ours.params["estimate"], theirs.params["estimate"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.params["ci_high"], theirs.params["ci_high"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("planner", ["entropy", "kl"])
def test_people_with_rewards_of_their_own(planner: Planner) -> None:
    edges, goals = streets(6), [HOME, 3]
    whole = spelled_out(edges, goals)
    log = trips(whole, planner)
    point = torch.tensor([-1.7, -1.2, -1.0, -0.3, -2.5, -1.0, np.log(0.8)], dtype=torch.float64)
    found = []
    for task in (by_goals(edges, goals), whole):
        bound = hs.SoftOptimalModel(task, hs.LinearReward(shared=False), hs.Fixed(0.8), planner).bind(log)
        own = likelihood_of(bound, bound.observe(log))
        curves = [own.hessian(point).toarray(), own.expected_information(point).toarray()]
        found.append([own.by_person(point), own.gradient(point), *curves, own.jacobian(point)[:, :2].sum(axis=0)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)
