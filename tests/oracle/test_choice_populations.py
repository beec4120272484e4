"""Populations of people with choice terms, against a plain loop over their decisions and brute-force integrals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import norm

import humansoft as hs
from humansoft.fit import choosing_profiles, met_situations
from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.gridded import GridLikelihood
from humansoft.fit.hierarchical import mixed_of
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.mixed import Mixed
from humansoft.fit.profiles import profiles_of
from tests.oracle.populations import CORRIDOR, STEP, choices_of_people, mean_of_all
from tests.oracle.test_choice import PEOPLE, Case, make_case

Real = npt.NDArray[np.float64]

CASES = {
    "all terms": make_case(),
    "lapses that are rare": make_case([hs.Lapse(0.0005)]),
    "a strong habit": make_case([hs.Stickiness(4.0), hs.ActionBias("a2", {"a0": 0.7})]),
    "horizon": make_case(horizon=4),
    "boltzmann": make_case(planner="boltzmann"),
}
OWN_REWARDS = make_case(reward=hs.LinearReward(["x"], shared=False), temperature=hs.Fixed(0.8))


@dataclass(frozen=True)
class Parts:
    """A population, and all it takes to work its likelihood out by oneself."""

    case: Case
    profiles: Profiles
    mixed: Mixed

    @classmethod
    def of(cls, case: Case) -> "Parts":
        likelihood = case.likelihood
        return cls(case, profiles_of(likelihood), mixed_of(likelihood.model, mean_of_all(case.log), deviate=True))

    def full(self) -> Real:
        """Return parameters of the population that nobody would take for special."""
        generator = np.random.default_rng(5)
        drawn = generator.normal(0, 0.4, len(self.mixed.rows))
        drawn[-2:] = -0.2, np.log(0.6)
        return self.mixed.table.project(drawn)

    def by_hand(self, full: Real, own: Real) -> Real:
        """Return the log-likelihood [B, Q] of each person at own parameters [Q], by a plain loop over decisions."""
        likelihood = self.case.likelihood
        table = likelihood.model.table
        points = np.tile(likelihood.start().numpy(), (len(own), 1))
        points[:, table.shared_places] = self.mixed.split(full)[0]
        points[:, [p for p, row in enumerate(table.rows) if row.level == "subject"]] = own[:, None]
        logs = self.case.log_probs(points)
        who = self.case.log.frame["subject"].to_numpy()
        return np.stack([logs[:, who == name].sum(axis=1) for name in PEOPLE])


def marginal(parts: Parts, full: Real, nodes: int) -> GridLikelihood:
    found = GridLikelihood.placed(parts.profiles, parts.mixed, 1.0, full, nodes)
    assert found is not None
    return found


def slopes(function: Callable[[Real], Real], point: Real, step: float = 1e-5) -> Real:
    """Return central differences by each number of a point, on a new last axis."""
    return np.stack(
        [(function(point + step * unit) - function(point - step * unit)) / (2 * step) for unit in np.eye(len(point))],
        axis=-1,
    )


@pytest.fixture(params=CASES)
def parts(request: pytest.FixtureRequest) -> Parts:
    return Parts.of(CASES[request.param])


def test_profiles_are_those_of_a_plain_loop(parts: Parts) -> None:
    assert isinstance(parts.profiles, choosing_profiles.ChoosingProfiles)
    full, own = parts.full(), np.linspace(-2.5, 1.5, 7)
    found = parts.profiles.value(parts.mixed.split(full)[0], np.tile(own, (3, 1))[..., None])
    np.testing.assert_allclose(found, parts.by_hand(full, own), rtol=0, atol=1e-8)


def test_derivatives_of_profiles_are_those_of_differences(parts: Parts) -> None:
    shared = parts.mixed.split(parts.full())[0]
    own = np.random.default_rng(2).normal(-0.3, 0.7, size=(3, 4, 1))
    found = parts.profiles.value_and_scores(shared, own)
    assert found is not None
    value, scores = found
    np.testing.assert_array_equal(value, parts.profiles.value(shared, own))
    by_shared = slopes(lambda x: parts.profiles.value(x, own), shared)[..., parts.mixed.free_shared]
    np.testing.assert_allclose(scores.shared, by_shared, atol=2e-6)
    step = 1e-5
    ends = [parts.profiles.value(shared, own + sign * step) for sign in (1, -1)]
    np.testing.assert_allclose(scores.own[..., 0], (ends[0] - ends[1]) / (2 * step), atol=2e-6)
    tops = [parts.profiles.scores(shared, own + sign * step).own for sign in (1, -1)]
    np.testing.assert_allclose(
        parts.profiles.curvature(shared, own)[..., 0], (tops[0] - tops[1]) / (2 * step), atol=5e-6
    )


def test_quadrature_is_the_integral_by_brute_force() -> None:
    parts = Parts.of(CASES["all terms"])
    full = parts.full()
    mean, sd = full[-2], float(np.exp(full[-1]))
    standard = np.linspace(-7, 7, 281)
    height = parts.by_hand(full, mean + sd * standard) + norm.logpdf(standard)
    exact = np.log(np.trapezoid(np.exp(height), standard, axis=1))
    np.testing.assert_allclose(marginal(parts, full, 45).by_person(full), exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["all terms", "own rewards"])
def test_gradients_of_the_marginal_likelihood_are_exact(name: str) -> None:
    parts = Parts.of(OWN_REWARDS if name == "own rewards" else CASES[name])
    full = parts.full()
    objective = marginal(parts, full, 5)
    found = objective.gradient(torch.from_numpy(full))
    differences = slopes(lambda x: np.array(objective.value(torch.from_numpy(x))), full)
    np.testing.assert_allclose(found, differences * parts.mixed.table.free, rtol=1e-6, atol=1e-5)


def test_own_rewards_are_integrated_beside_shared_terms() -> None:
    parts = Parts.of(OWN_REWARDS)
    full, own = parts.full(), np.linspace(-1.0, 1.5, 4)
    found = parts.profiles.value(parts.mixed.split(full)[0], np.tile(own, (3, 1))[..., None])
    np.testing.assert_allclose(found, parts.by_hand(full, own), atol=1e-8)


def test_people_are_worked_out_part_by_part_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts.of(CASES["all terms"])
    shared, own = parts.mixed.split(parts.full())[0], np.random.default_rng(1).normal(size=(3, 3, 1))
    whole = parts.profiles.value_and_scores(shared, own)
    monkeypatch.setattr(met_situations, "MOST", 20)
    again = Parts.of(CASES["all terms"]).profiles.value_and_scores(shared, own)
    assert whole is not None
    assert again is not None
    np.testing.assert_allclose(again[0], whole[0], rtol=1e-12)
    np.testing.assert_allclose(again[1].shared, whole[1].shared, atol=1e-10)


def test_people_who_meet_places_of_their_own_are_worked_out_in_as_little_room() -> None:
    people, met, states, actions, values = 300, 5, 900, 4, 15
    generator = np.random.default_rng(0)
    place = np.sort(generator.integers(0, states, (people, met)), axis=1).ravel()
    situations = met_situations.MetSituations(
        people,
        np.repeat(np.arange(people), met),
        place,
        np.full(people * met, -1),
        np.ones((people * met, actions)),
        np.ones((states, actions), dtype=bool),
    )
    parts = situations.parts(values, hs.choice.ChoiceTerms((), CORRIDOR).rule_at(torch.zeros(0, dtype=torch.float64)))
    sizes = [(p.people.stop - p.people.start) * values * len(p.places) * actions for p in parts]
    assert max(sizes) <= met_situations.MOST  # 16 million in one part of all of them
    assert sum(len(part.person) for part in parts) == people * met
    assert [part.people.start for part in parts[1:]] == [part.people.stop for part in parts[:-1]]


def test_terms_that_do_nothing_leave_the_population_as_it_is() -> None:
    log = choices_of_people(10, 15, seed=3, sd=0.7)
    nothing = (hs.Stickiness(0.0), hs.ActionBias("up", dict.fromkeys(("down", "left", "right"), 0.0)))
    own, found = np.random.default_rng(3).normal(size=(10, 3, 1)), []
    for choice in ((), nothing):
        bound = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject(), choice=choice).bind(log)
        likelihood = likelihood_of(bound, bound.observe(log))
        shared = np.r_[-1.0, np.zeros(len(bound.choice.parameters_of()))]
        found.append((profiles_of(likelihood), shared))
    (plain, without), (ours, shared) = found
    np.testing.assert_allclose(ours.value(shared, own), plain.value(without, own), rtol=1e-12)
    np.testing.assert_allclose(ours.scores(shared, own).own, plain.scores(without, own).own, atol=1e-9)
    np.testing.assert_allclose(ours.curvature(shared, own), plain.curvature(without, own), atol=1e-8)
