"""The maximum of a population's likelihood where that is hard to find: lapses, and posteriors with a plateau."""

from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

import humansoft as hs
from humansoft.choice import ChoiceTerm
from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.boundary import NEVER
from humansoft.fit.deviations import Posterior
from humansoft.fit.marginal import PopulationObjective
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Population
from humansoft.fit.population_lapse import missed_lapse, needless_lapse
from humansoft.fit.result import FitStatus
from humansoft.parameters import Parameter
from tests.oracle.populations import CORRIDOR, STEP

Real = npt.NDArray[np.float64]


def two_kinds(cold: list[float], hot: list[float], episodes: int, *, lapse: float, seed: int) -> hs.BehaviorLog:
    """Simulate people of two kinds: some hardly err, the others hardly care."""
    temperatures = {f"p{i:03d}": t for i, t in enumerate([*cold, *hot])}
    policy = hs.plan(CORRIDOR, {"step": -1.0}, temperatures, choice=[hs.Lapse(lapse)] if lapse else ())
    return hs.simulate(policy, episodes, seed=seed, max_steps=12)


def fit(log: hs.BehaviorLog, choice: ChoiceTerm | None = None, integrate: Any = "auto") -> hs.Fit:  # noqa: ANN401
    model = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject(), choice=[choice] if choice is not None else ())
    return hs.fit(model, log, method="hierarchical", integrate=integrate)


def population_of(found: hs.Fit) -> Population:
    assert found.population is not None
    return found.population


@dataclass(eq=False)
class OfALapse(PopulationObjective):
    """The likelihood of a population that knows of a lapse only: best at some logit, worse without."""

    best: float

    def by_person(self, full: Real) -> Real:
        return -np.abs(np.tanh((full - self.best) / 4))

    def scores(self, full: Real) -> Real:
        raise NotImplementedError


def lapses_best_at(logit: float, *, held: bool = False) -> OfALapse:
    mixed = Mixed((Parameter("logit_lapse", "logit_lapse"),), (), (), np.zeros((1, 1, 0)), ())
    if held:
        mixed = mixed.holding(np.array([True]), np.array([NEVER]))
    return OfALapse(Mock(spec=Profiles), mixed, 1.0, logit)


def test_a_lapse_is_held_at_none_only_where_it_has_become_rare() -> None:
    """None at all is better than far too many here, but not best."""
    objective = lapses_best_at(-14.0)
    assert objective.by_person(np.array([NEVER])) > objective.by_person(np.array([5.0]))
    assert not needless_lapse(objective, np.array([5.0])).any()
    assert not needless_lapse(objective, np.array([-12.0])).any()
    assert needless_lapse(lapses_best_at(-40.0), np.array([-12.0])).all()


def test_a_lapse_that_is_held_at_none_is_missed_where_some_are_better() -> None:
    free = lapses_best_at(0.0).mixed
    for logit, missed in ((-4.0, True), (-25.0, False)):
        assert bool(missed_lapse(lapses_best_at(logit, held=True), free, np.array([NEVER]))[0]) is missed


def test_many_nodes_integrate_over_a_plateau_with_an_edge() -> None:
    """Somebody who never erred: as likely at any low temperature, impossible at high ones."""
    errors = {}
    for count in (15, 45, 97):
        nodes = Posterior(np.array([[-0.8]]), np.array([[[0.6]]])).nodes(count)
        deviation = nodes.deviation[0, :, 0]
        total = np.sum(np.exp(nodes.log_weight[0]) * norm.cdf(-4.0 * deviation) * norm.pdf(deviation))
        errors[count] = abs(total - 0.5)
    assert errors[97] < 1e-9 < 1e-4 < errors[15]


@pytest.mark.slow
def test_people_of_two_kinds_are_integrated_over_well_enough() -> None:
    found = fit(two_kinds([0.1] * 3, [2.5] * 3, 6, lapse=0.0, seed=0))
    assert found.status is FitStatus.CONVERGED
    assert population_of(found).integration_error < 0.01


@pytest.mark.slow
def test_laplace_learns_a_lapse_from_above() -> None:
    found = fit(two_kinds([0.12] * 6, [2.5] * 6, 12, lapse=0.04, seed=0), hs.Lapse(), "laplace")
    assert found.status is FitStatus.CONVERGED
    assert found.log_likelihood > -1070.25  # -1073.17 without lapses
    assert population_of(found).params.loc[("logit_lapse", "all"), "estimate"] == pytest.approx(-4.407, abs=0.01)


@pytest.mark.slow
def test_a_lapse_that_is_learned_is_as_likely_as_any_that_is_known() -> None:
    log = two_kinds([0.12] * 3, [2.5] * 3, 6, lapse=0.04, seed=0)
    free, known = fit(log, hs.Lapse()), fit(log, hs.Lapse(fixed=0.04))
    assert (free.status, known.status) == (FitStatus.CONVERGED, FitStatus.CONVERGED)
    assert max(population_of(found).integration_error for found in (free, known)) < 0.01
    assert free.log_likelihood >= known.log_likelihood - 0.01
