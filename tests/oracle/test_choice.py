"""Choice terms against a plain loop over decisions: likelihood, derivatives, predictions, whole episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.choice import ChoiceTerm
from humansoft.fit.choice_likelihood import ChoiceLikelihood
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.parameters import Parameter
from humansoft.planners import Planner
from tests.oracle import reference
from tests.oracle.reference import Array, World
from tests.oracle.test_derivatives import by_parameter, close
from tests.oracle.worlds import random_world, task_of

PEOPLE = ("ann", "bob", "cai")
ACTIONS = 4
ALL = (hs.Lapse(), hs.Stickiness(), hs.ActionBias())


class Bent(hs.AbstractReward):
    """Two weights, of which one counts by its exponential."""

    def build(self, task: hs.Task, subjects: Sequence[object]) -> None:
        self.weights = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, task: hs.Task) -> torch.Tensor:
        first, second = self.weights
        found: torch.Tensor = (first.exp() * task.features[:, :, 0] + second * task.features[:, :, 1])[None]
        return found

    def parameters_of(self, task: hs.Task, subjects: Sequence[object]) -> list[Parameter]:
        return [Parameter("one", "reward"), Parameter("two", "reward")]


@dataclass(frozen=True)
class Case:
    """A likelihood, where its derivatives are taken, and all it takes to loop over the decisions oneself."""

    model: hs.SoftOptimalModel
    log: hs.BehaviorLog
    point: Array
    world: World
    features: Array
    planner: Planner
    horizon: int | None

    @property
    def likelihood(self) -> AbstractLikelihood:
        bound = self.model.bind(self.log)
        return likelihood_of(bound, bound.observe(self.log))

    def planned(self, points: Array) -> list[Array]:
        """Return log pi [K, T, S, A] of each person at parameter vectors [K, P]."""
        rows = self.likelihood.model.table.rows
        found = []
        for name in PEOPLE:
            mine = [p for p, row in enumerate(rows) if row.kind == "reward" and row.label in (None, name)]
            weights = points[:, mine]
            if isinstance(self.model.reward, Bent):
                weights = np.column_stack([np.exp(weights[:, 0]), weights[:, 1]])
            own = [p for p, row in enumerate(rows) if row.kind == "log_temperature" and row.label in (None, name)]
            rewards = np.einsum("saf,kf->ksa", self.features[:, :, : weights.shape[1]], weights)
            alpha = np.exp(points[:, own[0]])
            if self.horizon is None:
                answer = reference.solve(self.world, rewards, alpha, self.planner, 0.9, sweeps=150)
                found.append(answer.log_policy[:, None])
            else:
                answer = reference.solve_horizon(self.world, rewards, alpha, self.planner, 0.9, self.horizon)
                found.append(np.moveaxis(answer.log_policy, 0, 1))
        return found

    def choices(self, points: Array) -> Array:
        """Return pi' of every action in each decision [K, N, A], one decision after the other."""
        names = [row.name for row in self.likelihood.model.table.rows]
        value = {name: points[:, names.index(name)] for name in names if name != "log_temperature"}
        planned, rows = self.planned(points), []
        whole, last = None, None
        for row in self.log.frame.itertuples():
            mine = row.subject if self.model.choice.sticks_within == "subject" else row.episode
            if mine != whole:
                whole, last = mine, None
            time = row.step if self.horizon is not None else 0
            logs = planned[PEOPLE.index(row.subject)][:, time, row.state]
            weight = np.where(self.world.available[row.state], np.exp(logs), 0.0)
            for a in range(ACTIONS):
                weight[:, a] = weight[:, a] * np.exp(value.get(f"bias[a{a}]", 0.0))
            if last is not None:
                weight[:, last] = weight[:, last] * np.exp(value.get("stickiness", 0.0))
            chance = weight / weight.sum(axis=1, keepdims=True)
            if "logit_lapse" in value:
                lapse = (1 / (1 + np.exp(-value["logit_lapse"])))[:, None]
                options = self.world.available[row.state]
                chance = (1 - lapse) * chance + lapse * options / options.sum()
            rows.append(chance)
            last = last if row.action is None else int(row.action[1:])
        return np.stack(rows, axis=1)

    def log_probs(self, points: Array) -> Array:
        """Return weight * log pi' of what was done in each decision [K, N], 0 without a response."""
        table, chances = self.log.frame, self.choices(points)
        done = [(n, int(a[1:])) for n, a in enumerate(table["action"]) if a is not None]
        found = np.zeros((len(points), len(table)), dtype=chances.dtype)
        for n, action in done:
            found[:, n] = table["weight"].iloc[n] * np.log(chances[:, n, action])
        return found

    def log_likelihood(self, points: Array) -> Array:
        total: Array = self.log_probs(points).sum(axis=1)
        return total


def make_case(
    choice: Sequence[ChoiceTerm] = ALL,
    planner: Planner = "kl",
    temperature: hs.temperature.Temperature | None = None,
    reward: hs.AbstractReward | None = None,
    horizon: int | None = None,
    seed: int = 3,
) -> Case:
    """A world with actions that are missing here and there; people who do anything, or do not respond."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, 5, ACTIONS, ends=True, masked=True)  # from anywhere to anywhere
    features = np.stack([-1.0 * world.available, *generator.uniform(-1, 1, size=(2, *world.available.shape))], axis=-1)
    task = task_of(world, dict(zip("xyz", np.moveaxis(features, -1, 0), strict=True)), 0.9, horizon)
    model = hs.SoftOptimalModel(
        task, reward or hs.LinearReward(), temperature or hs.PerSubject(), planner, choice=choice
    )
    rows = []
    for episode in range(18):
        for step in range(horizon or 6):
            state = int(generator.choice(np.flatnonzero(world.acting)))
            action: str | None = f"a{generator.choice(np.flatnonzero(world.available[state]))}"
            action = None if generator.random() < 0.15 else action
            weight = float(generator.integers(1, 4))
            rows.append((PEOPLE[episode % 3], episode, step, state, action, weight))
    names = ["subject", "episode", "step", "state", "action", "weight"]
    frame = pd.DataFrame(rows, columns=names)
    frame["action"] = frame["action"].astype(object).where(frame["action"].notna(), None)
    log = hs.read(frame, weight="weight", next_state=None)
    bound = model.bind(log)
    point = bound.table.project(generator.normal(0, 0.5, len(bound.table)))
    return Case(model, log, point, world, features, planner, horizon)


CASES = {
    "all": make_case(),
    "all, boltzmann": make_case(planner="boltzmann"),
    "all, one temperature": make_case(temperature=hs.Shared()),
    "lapses alone, entropy": make_case([hs.Lapse()], planner="entropy"),
    "stickiness alone": make_case([hs.Stickiness()]),
    "biases alone, one known": make_case([hs.ActionBias("a2", {"a0": 0.7})], temperature=hs.Fixed(0.8)),
    "some known": make_case([hs.Lapse(0.1), hs.Stickiness(), hs.ActionBias(fixed={"a1": -0.4})]),
    "stickiness known": make_case([hs.Lapse(), hs.Stickiness(1.3)], temperature=hs.Fixed(1.0)),
    "stickiness from episode to episode": make_case([hs.Lapse(), hs.Stickiness(within="subject")]),
    "all, own rewards": make_case(reward=hs.LinearReward(shared=False)),
    "all, horizon": make_case(horizon=4),
    "a reward that is not linear": make_case(reward=Bent(), temperature=hs.Shared()),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_likelihood_and_gradient_are_those_of_a_plain_loop(case: Case) -> None:
    likelihood, point = case.likelihood, torch.from_numpy(case.point)
    assert isinstance(likelihood, ChoiceLikelihood)
    expected = case.log_likelihood(case.point[None])[0]
    np.testing.assert_allclose(likelihood.value(point), expected, rtol=1e-9)
    np.testing.assert_allclose(likelihood.by_person(point).sum(), expected, rtol=1e-9)
    gradient = reference.complex_gradient(case.log_likelihood, case.point)
    close(likelihood.gradient(point), gradient * likelihood.model.table.free, 1e-8)


@pytest.mark.slow
def test_the_hessian_is_that_of_a_plain_loop(case: Case) -> None:
    likelihood = case.likelihood
    free = likelihood.model.table.free
    hessian = likelihood.hessian(torch.from_numpy(case.point)).toarray()
    close(hessian, reference.complex_hessian(case.log_likelihood, case.point) * np.outer(free, free), 1e-6)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9 * np.abs(hessian).max())


def test_scores_of_decisions_are_those_of_a_plain_loop(case: Case) -> None:
    bound = case.model.bind(case.log)
    likelihood = likelihood_of(bound, bound.observe(case.log, by="decision"))
    scores = reference.complex_gradient(case.log_probs, case.point)
    found = by_parameter(likelihood, likelihood.jacobian(torch.from_numpy(case.point)))  # type: ignore[arg-type]
    close(found * likelihood.observations.weight[:, None], scores * likelihood.model.table.free, 1e-8)


def test_the_information_is_the_mean_square_of_the_score_over_what_could_be_done(case: Case) -> None:
    def chances(points: Array) -> Array:
        found = case.choices(points)
        some = np.abs(found) > 0
        logs: Array = np.log(np.where(some, found, 1.0))
        return logs

    likelihood, free = case.likelihood, case.likelihood.model.table.free
    scores = reference.complex_gradient(chances, case.point) * free
    chance = case.choices(case.point[None])[0].real
    weight = np.where(case.log.responded, case.log.weight, 0.0)
    expected = np.einsum("n,na,nap,naq->pq", weight, chance, scores, scores)
    close(likelihood.expected_information(torch.from_numpy(case.point)).toarray(), expected, 1e-8)


def test_predictions_follow_the_history_of_the_log(case: Case) -> None:
    bound = case.model.bind(case.log).at(torch.from_numpy(case.point))
    with torch.no_grad():
        found = bound.log_policy_of(bound.observe(case.log, by="decision")).exp().numpy()
    np.testing.assert_allclose(found, case.choices(case.point[None])[0], rtol=1e-9, atol=1e-12)


def test_an_episode_is_as_probable_as_its_decisions_one_after_the_other(case: Case) -> None:
    bound = case.model.bind(case.log).at(torch.from_numpy(case.point))
    everywhere = np.tile(np.arange(len(bound.task.states)), len(PEOPLE))
    row = np.arange(len(PEOPLE)) if len(bound.groups) > 1 else np.zeros(len(PEOPLE), dtype=np.int64)
    policy = bound.policy_on(bound.subjects, row, bound.expand(np.repeat(row, len(bound.task.states)), everywhere))
    found = hs.episode_log_probs(policy, case.log, transitions=False)
    expected = pd.Series(case.log_probs(case.point[None])[0]).groupby(case.log.frame["episode"].to_numpy()).sum()
    np.testing.assert_allclose(found.set_index("episode")["log_prob"].sort_index(), expected, rtol=1e-9)


def test_a_path_remembers_what_was_done() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.95)
    policy = hs.plan(task, {"step": -1.0}, temperature=0.7, choice=hs.Stickiness(fixed=0.8))
    first = policy.action_distribution((0, 0))["right"]
    again = policy.action_distribution((0, 1), previous="right")["right"]
    path = ((0, 0), "right", (0, 1), "right", (0, 2))
    assert hs.path_log_prob(policy, path) == pytest.approx(np.log(first * again))
    fresh = policy.action_distribution((0, 1))
    sticky = policy.action_distribution((0, 1), previous="right")
    assert sticky["right"] / sticky["up"] == pytest.approx(fresh["right"] / fresh["up"] * np.exp(0.8))


def test_habits_that_last_longer_than_an_episode_are_simulated_and_found_again() -> None:
    """Trials of one decision: within an episode there is nothing to repeat."""
    edges = [{"state": "s", "action": side, "next_state": "end", "right": float(side == "r")} for side in "lr"]
    task = hs.Task.table(pd.DataFrame(edges), features=["right"], terminal=["end"], discount=0.9)
    habit = hs.Stickiness(1.5, within="subject")
    policy = hs.plan(task, {"right": 0.4}, dict.fromkeys("abcdefghijklmnopqrst", 1.0), choice=habit)
    log = hs.simulate(policy, 200, seed=1, max_steps=1)
    done = log.to_dataframe().groupby("subject")["action"]
    again = (done.shift() == log.to_dataframe()["action"]).mean()
    # Of two options with odds exp(.4) that are multiplied by exp(1.5) where they repeat: a chain of two states.
    stay = [1 / (1 + np.exp(side * 0.4 - 1.5)) for side in (-1, 1)]  # right after right, left after left
    share = (1 - stay[1]) / (2 - stay[0] - stay[1])
    assert again == pytest.approx(share * stay[0] + (1 - share) * stay[1], abs=0.015)
    model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), choice=hs.Stickiness(within="subject"))
    fit = hs.fit(model, log)
    found = fit.params.loc[("stickiness", "all")]
    assert found["ci_low"] < 1.5 < found["ci_high"]
    assert found["std_error"] < 0.1
    with pytest.raises(hs.errors.ModelError, match=r"Stickiness\(within='person'\)"):
        hs.Stickiness(within="person")  # type: ignore[arg-type]


def test_terms_that_do_nothing_leave_the_likelihood_as_it_is() -> None:
    case = make_case()
    plain = replace(case, model=hs.SoftOptimalModel(case.model.task, temperature=hs.PerSubject()))
    number = len(plain.likelihood.model.table)
    nothing = np.r_[case.point[:number], np.zeros(len(case.point) - number - 1), -60.0]
    ours, theirs = case.likelihood, plain.likelihood
    there, here = torch.from_numpy(case.point[:number]), torch.from_numpy(nothing)
    assert ours.value(here) == pytest.approx(theirs.value(there), rel=1e-12)
    close(ours.gradient(here)[:number], theirs.gradient(there), 1e-9)
    close(ours.hessian(here).toarray()[:number, :number], theirs.hessian(there).toarray(), 1e-9)
