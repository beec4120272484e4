"""Full Bayes: the log density and its gradient, what is refused, and that a run of NUTS is a fit like any other."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import humansoft as hs
from humansoft.fit.assemble_posterior import _spread
from humansoft.fit.diagnosis import Diagnosis
from humansoft.fit.hierarchical import own_rows
from humansoft.fit.people_vector import people_vectors
from humansoft.fit.population_density import PopulationDensity
from humansoft.fit.population_fit import PopulationProblem, population_problem
from humansoft.fit.population_prior import advantage_size, prior_scales
from humansoft.fit.profiles import profiles_of
from tests.recovery.people import simulate_people

TEMPERATURES = {"ann": 0.2, "bob": 0.3, "cleo": 0.45, "dan": 0.6, "eve": 0.9, "fay": 0.35}
AGES = {"ann": 20.0, "bob": 31.0, "cleo": 25.0, "dan": 44.0, "eve": 52.0, "fay": 37.0}


@pytest.fixture(scope="module")
def people() -> tuple[hs.BehaviorLog, hs.Task]:
    log, task = simulate_people(TEMPERATURES, episodes=6)
    frame = log.to_dataframe()
    frame["age"] = frame["subject"].map(AGES)
    frame["club"] = np.where(frame["age"] > 35, "old", "young")
    roles = {"state": log.columns.state, "next_state": log.columns.next_state}
    return hs.read(frame, **roles, terminated="terminated", truncated="truncated"), task  # type: ignore[arg-type]


def model(task: hs.Task, temperature: object = None, shared: bool = True, **fixed: float) -> hs.SoftOptimalModel:
    reward = hs.LinearReward(["goal", "lava"], fixed=fixed, shared=shared)
    return hs.SoftOptimalModel(task, reward, temperature or hs.PerSubject())  # type: ignore[arg-type]


def problem_of(given: hs.SoftOptimalModel, log: hs.BehaviorLog) -> PopulationProblem:
    return population_problem(given, log, True, 1, 200, False)


def density_of(problem: PopulationProblem, prior: hs.PopulationPrior, share: float) -> PopulationDensity:
    own = own_rows(problem.people.likelihood.model)
    design = problem.people.by_subject(problem.mixed.design)
    scales = prior_scales(prior, problem.mixed, design, own, problem.alike, problem.seen)
    centring = np.full((problem.mixed.num_people, len(problem.mixed.varies.sources().sd_of)), share)
    return PopulationDensity(problem.mixed, scales, centring, problem.start)


MODELS = {
    "known reward": {"goal": 1.0, "lava": -1.5},
    "anchored": {"goal": 1.0},
    "average person = 1": {},
    "formula": {"goal": 1.0, "temperature": "~ age + club"},
    "groups": {"temperature": hs.PerGroup("club")},
    "own weights": {"temperature": hs.Fixed(0.5), "shared": False},
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.slow
def test_gradient_is_that_of_the_log_density(people: tuple[hs.BehaviorLog, hs.Task], kind: str) -> None:
    log, task = people
    problem = problem_of(model(task, **MODELS[kind]), log)  # type: ignore[arg-type]
    for share in (0.0, 0.6, 1.0):
        gradient_is_that_of_differences(problem, share)


def gradient_is_that_of_differences(problem: PopulationProblem, share: float) -> None:
    density, profiles = density_of(problem, hs.PopulationPrior(), share), profiles_of(problem.people.likelihood)
    generator = np.random.default_rng(3)
    deviation = 0.3 * generator.standard_normal((problem.mixed.num_people, problem.mixed.num_deviations))
    point = density.point_of(problem.start, deviation) + 0.02 * generator.standard_normal(density.size)
    _, gradient = density.value_and_gradient(profiles, point)
    scale = np.abs(gradient).max()
    for place in range(density.size):
        step = np.zeros(density.size)
        step[place] = 1e-5
        ends = [density.value_and_gradient(profiles, point + sign * step)[0] for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7 * scale + 1e-6)


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_log_density_is_likelihood_plus_the_priors_that_are_stated(
    people: tuple[hs.BehaviorLog, hs.Task], share: float
) -> None:
    log, task = people
    problem = problem_of(model(task, goal=1.0), log)
    prior = hs.PopulationPrior(level=1.2, sd=0.7, weight=3.0)
    density = density_of(problem, prior, share)
    full = np.array([1.0, -1.3, -0.8, np.log(0.4)])
    deviation = np.linspace(-0.5, 0.6, 6)[:, None]
    value, _ = density.value_and_gradient(profiles_of(problem.people.likelihood), density.point_of(full, deviation))
    own = full[2] + deviation[:, 0]
    likelihood = profiles_of(problem.people.likelihood).value(full[:2], own[:, None, None]).sum()
    unit = density.scales.shared[0] / prior.weight  # of a standardised weight
    level = np.log(advantage_size(problem.alike, problem.seen))
    stated = (
        stats.norm.logpdf(full[1] / unit, 0, prior.weight)
        + stats.norm.logpdf(full[2] - level, 0, prior.level)
        + stats.halfnorm.logpdf(0.4, scale=prior.sd)
        + stats.norm.logpdf(deviation[:, 0], 0, 0.4).sum()
    )
    # The density is one of the unconstrained vector: what each of its numbers moves is the size of its unit.
    moved = np.log(prior.weight) + np.log(prior.level) + np.log(0.4) + 6 * (1 - share) * np.log(0.4)
    assert value == pytest.approx(likelihood + stated + moved, abs=1e-8)


def test_vectors_and_parameters_are_one_another(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    problem = problem_of(model(task, "~ age + club", goal=1.0), log)
    density = density_of(problem, hs.PopulationPrior(), 0.4)
    full = problem.start + np.r_[0.0, 0.3, 0.1, 0.01, -0.2, 0.3]
    deviation = np.linspace(-1, 1, 6)[:, None]
    draws = density.draws(density.point_of(full, deviation)[None])
    np.testing.assert_allclose(draws.full[0], full, atol=1e-10)
    np.testing.assert_allclose(draws.own[0], problem.mixed.own(full, deviation[:, None])[:, 0], atol=1e-10)


def test_relative_temperatures_average_to_one_in_every_draw_of_the_prior(
    people: tuple[hs.BehaviorLog, hs.Task],
) -> None:
    log, task = people
    problem = problem_of(model(task, hs.PerGroup("club")), log)
    density = density_of(problem, hs.PopulationPrior(), 0.5)
    points = density.prior_points(50, np.random.default_rng(1))
    means = density.draws(points).full[:, 2:4] @ problem.mixed.mean_zero  # type: ignore[arg-type]
    np.testing.assert_allclose(means, 0.0, atol=1e-12)


@pytest.mark.slow
def test_draws_of_the_prior_have_the_moments_that_are_stated(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    problem = problem_of(model(task, goal=1.0), log)
    prior = hs.PopulationPrior(level=0.8, sd=0.5, weight=2.0)
    density = density_of(problem, prior, 0.7)
    count = 20_000
    draws = density.draws(density.prior_points(count, np.random.default_rng(5)))
    level = np.log(advantage_size(problem.alike, problem.seen))
    assert draws.full[:, 2].mean() == pytest.approx(level, abs=4 * 0.8 / np.sqrt(count))
    assert draws.full[:, 2].std() == pytest.approx(0.8, rel=4 / np.sqrt(2 * count))
    sd = np.exp(draws.full[:, 3])
    assert stats.kstest(sd / 0.5, stats.halfnorm.cdf).pvalue > 1e-3
    standard = (draws.own[:, :, 0] - draws.full[:, 2:3]) / sd[:, None]
    assert stats.kstest(standard[:, 3], stats.norm.cdf).pvalue > 1e-3


def test_the_prior_does_not_depend_on_how_groups_are_coded(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    found = []
    for formula in ("~ club", "~ 0 + club"):
        problem = problem_of(model(task, formula, goal=1.0), log)
        scales = density_of(problem, hs.PopulationPrior(), 0.0).scales
        means = problem.mixed.design[:, 0] @ scales.root
        found.append((problem.mixed.design[:, 0] @ scales.middle, means @ means.T))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-9)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-9)


def test_the_prior_of_temperatures_moves_with_the_unit_of_reward(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    small, large = (
        density_of(problem_of(model(task, goal=k, lava=-1.5 * k), log), hs.PopulationPrior(), 0.0).scales
        for k in (1.0, 100.0)
    )
    np.testing.assert_allclose(large.middle - small.middle, np.log(100.0), atol=1e-6)
    np.testing.assert_allclose(large.root, small.root)


def test_no_solution_is_minus_infinity_and_not_an_error(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    problem = problem_of(model(task, goal=1.0), log)
    density, profiles = density_of(problem, hs.PopulationPrior(), 0.0), profiles_of(problem.people.likelihood)
    point = density.point_of(problem.start, np.zeros((6, 1)))
    profiles.value_and_scores = lambda shared, own: None  # type: ignore[method-assign]
    value, gradient = density.value_and_gradient(profiles, point)
    assert value == -np.inf
    assert (gradient == 0).all()


@pytest.fixture(scope="module")
def told() -> list[tuple[int, float]]:
    """What the fit below tells of its draws."""
    return []


@pytest.fixture(scope="module")
def fitted(people: tuple[hs.BehaviorLog, hs.Task], told: list[tuple[int, float]]) -> hs.Fit:
    log, task = people
    given = model(task, "~ age", goal=1.0, lava=-1.5)
    return hs.fit(
        given, log, method="posterior", seed=7, draws=100, tune=100, chains=2, on_step=lambda *step: told.append(step)
    )


@pytest.mark.slow
def test_every_draw_is_told(fitted: hs.Fit, told: list[tuple[int, float]]) -> None:
    assert fitted.posterior is not None
    assert [number for number, _ in told] == list(range(1, 401))
    assert np.isfinite([value for _, value in told]).all()


@pytest.mark.slow
def test_a_posterior_has_every_group_with_its_labels(fitted: hs.Fit) -> None:
    data = fitted.posterior
    assert data is not None
    assert {"posterior", "prior", "log_likelihood", "observed_data", "sample_stats"} <= set(data.groups())
    draws = data.posterior
    assert draws["log_temperature"].sel(subject="dan").shape == (2, 100)
    assert list(draws["term"].values) == ["Intercept", "age"]
    assert list(draws["parameter"].values) == ["log_temperature"]
    assert "reward" not in draws
    assert data.log_likelihood["decisions"].dims == ("chain", "draw", "subject")
    assert data.observed_data["decisions"].sum() == fitted.training.counts["weight"].sum()
    assert data.prior["sd"].shape == (1, 1000, 1)


@pytest.mark.slow
def test_estimates_are_the_means_and_quantiles_of_the_draws(fitted: hs.Fit) -> None:
    assert fitted.posterior is not None
    assert fitted.population is not None
    draws = fitted.posterior.posterior["log_temperature"].sel(subject="eve").values.ravel()
    eve = fitted.params.loc[("log_temperature", "eve")]
    assert eve["estimate"] == pytest.approx(draws.mean())
    assert eve["std_error"] == pytest.approx(draws.std(ddof=1))
    assert [eve["ci_low"], eve["ci_high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    sd = fitted.posterior.posterior["sd"].values.ravel()
    assert fitted.population.sd["log_temperature"] == pytest.approx(sd.mean())
    assert fitted.population.integration == "nuts"
    age = fitted.population.contrast({"age": 1.0})
    assert age["std_error"] == pytest.approx(
        fitted.posterior.posterior["coefficient"].sel(term="age").values.std(ddof=1)
    )


@pytest.mark.slow
def test_standard_errors_of_the_covariance_are_those_of_the_draws(fitted: hs.Fit) -> None:
    free = ~fitted.params["fixed"]
    np.testing.assert_allclose(fitted.std_errors()[free], fitted.params["std_error"][free], rtol=1e-9)


@pytest.mark.slow
def test_leaving_people_out_works(fitted: hs.Fit) -> None:
    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of six people, one may weigh much
        found = az.loo(fitted.posterior, pointwise=True)  # type: ignore[no-untyped-call]
    assert found.n_data_points == 6
    assert found.elpd_loo < fitted.log_likelihood


@pytest.mark.slow
def test_the_likelihood_of_a_person_at_a_draw_is_the_integral_over_the_population(
    fitted: hs.Fit, people: tuple[hs.BehaviorLog, hs.Task]
) -> None:
    log, task = people
    assert fitted.posterior is not None
    problem = problem_of(model(task, "~ age", goal=1.0, lava=-1.5), log)
    profiles = profiles_of(problem.people.likelihood)
    draws = fitted.posterior.posterior
    for chain, draw in ((0, 3), (1, 99), (1, 77)):
        coefficients = draws["coefficient"].values[chain, draw]
        sd = float(draws["sd"].values[chain, draw, 0])
        mean = problem.people.terms.to_numpy() @ coefficients
        standard = np.linspace(-8, 8, 2001)
        own = mean[:, None] + sd * standard
        height = profiles.value(np.array([1.0, -1.5]), own[:, :, None]) + stats.norm.logpdf(standard)
        top = height.max(axis=1)
        integral = top + np.log(np.trapezoid(np.exp(height - top[:, None]), standard, axis=1))
        found = fitted.posterior.log_likelihood["decisions"].values[chain, draw]
        np.testing.assert_allclose(found, integral, atol=1e-4)


@pytest.mark.slow
def test_a_posterior_is_saved_and_loaded_as_it_is(fitted: hs.Fit, tmp_path: Path) -> None:
    hs.save(fitted, tmp_path / "run")
    again = hs.load(tmp_path / "run")
    assert again == fitted
    assert again.posterior is not None
    assert list(again.posterior.posterior["subject"].values) == list(TEMPERATURES)
    path = tmp_path / "run" / "posterior.nc"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(hs.errors.RunError, match=r"posterior\.nc was edited"):
        hs.load(tmp_path / "run")
    path.unlink()
    with pytest.raises(hs.errors.RunError, match=r"posterior\.nc is missing"):
        hs.load(tmp_path / "run")


@pytest.mark.slow
def test_other_draws_are_another_fit(fitted: hs.Fit) -> None:
    from dataclasses import replace

    assert fitted.posterior is not None
    other = fitted.posterior.copy()
    other.posterior["sd"] = other.posterior["sd"] * 1.5
    assert replace(fitted, posterior=other) != fitted
    assert replace(fitted, posterior=None) != fitted
    assert replace(fitted, posterior=fitted.posterior.copy()) == fitted


@pytest.mark.slow
def test_without_a_seed_one_is_drawn_and_noted_and_gives_the_same_draws_and_another_others(
    people: tuple[hs.BehaviorLog, hs.Task],
) -> None:
    log, task = people
    given = model(task, goal=1.0, lava=-1.5)
    first = hs.fit(given, log, method="posterior", draws=100, tune=100, chains=2)
    assert isinstance(first.seed, int)
    again = hs.fit(given, log, method="posterior", draws=100, tune=100, chains=2, seed=first.seed)
    assert again == first
    other = hs.fit(given, log, method="posterior", draws=100, tune=100, chains=1, seed=first.seed + 1)
    assert other.seed == first.seed + 1
    assert not np.array_equal(other.posterior.posterior["sd"].values[0], first.posterior.posterior["sd"].values[0])
    assert any("one chain cannot be compared" in note for note in other.notes)


@pytest.mark.slow
def test_the_notes_state_priors_and_how_chains_mixed(fitted: hs.Fit) -> None:
    assert "priors: mean log(temperature / sd of the advantage) ~ N(0, 1.5^2)" in fitted.message
    assert "standardised effects on log temperature ~ N(0, 1^2)" in fitted.message
    assert "sd of people ~ half-normal(1)" in fitted.message
    assert "2 chains of 100 draws: largest R-hat" in fitted.message


@pytest.mark.parametrize("chains", [1, 4])
def test_chains_that_agree_have_mixed_and_others_not(chains: int) -> None:
    import arviz as az

    free = np.random.default_rng(1).standard_normal((chains, 5000))
    quiet = {"diverging": np.zeros((chains, 5000), dtype=bool)}
    held = np.zeros((chains, 5000))  # a mean that is 0 by definition
    good = Diagnosis.of(az.from_dict({"free": free, "held": held}, sample_stats=quiet))
    assert good.has_mixed
    assert 0.99 < good.r_hat < 1.01
    assert good.bulk > 2500 * chains
    drifting = az.from_dict({"free": free + np.linspace(0, 2, 5000)}, sample_stats=quiet)
    assert not Diagnosis.of(drifting).has_mixed
    one = {"diverging": quiet["diverging"].copy()}
    one["diverging"][0, 5] = True
    assert not Diagnosis.of(az.from_dict({"free": free}, sample_stats=one)).has_mixed


def test_errors_of_the_caller_are_raised_and_not_swallowed(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people

    def fail(step: int, value: float) -> None:
        raise ZeroDivisionError(step, value)

    with pytest.raises(ZeroDivisionError):
        hs.fit(model(task, goal=1.0, lava=-1.5), log, method="posterior", draws=100, tune=100, on_step=fail)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"chains": 0}, "chains=0: method='posterior' needs at least 1"),
        ({"draws": 10}, "draws=10: method='posterior' needs at least 100"),
        ({"tune": 0}, "tune=0: method='posterior' needs at least 100"),
    ],
)
def test_numbers_of_draws_that_say_nothing_are_refused(
    people: tuple[hs.BehaviorLog, hs.Task], options: dict[str, int], said: str
) -> None:
    log, task = people
    with pytest.raises(hs.errors.UsageError, match=said):
        hs.fit(model(task, goal=1.0), log, method="posterior", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_prior_needs_positive_standard_deviations(value: float) -> None:
    with pytest.raises(hs.errors.ModelError, match="it is a standard deviation, a finite number above 0"):
        hs.PopulationPrior(sd=value)


def test_people_who_cannot_differ_are_refused(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    with pytest.raises(hs.errors.UsageError, match="needs people who differ"):
        hs.fit(model(task, hs.Shared(), goal=1.0), log, method="posterior")


@pytest.mark.parametrize("lacking", ["nutpie", "arviz"])
def test_a_lacking_extra_is_named_before_anything_is_computed(
    people: tuple[hs.BehaviorLog, hs.Task], monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    log, task = people
    for name in [name for name in sys.modules if name.partition(".")[0] in ("nutpie", "arviz")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacking, None)
    steps: list[int] = []
    with pytest.raises(hs.errors.NotAvailableError, match=r"pip install 'humansoft\[bayes\]'") as caught:
        hs.fit(model(task, goal=1.0), log, method="posterior", on_step=lambda step, _: steps.append(step))
    assert f"{lacking} is not installed" in str(caught.value)
    assert steps == []


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_choice_terms_have_the_priors_that_are_stated(people: tuple[hs.BehaviorLog, hs.Task], share: float) -> None:
    log, task = people
    given = hs.SoftOptimalModel(
        task,
        hs.LinearReward(["goal", "lava"], fixed={"goal": 1.0, "lava": -1.5}),
        hs.PerSubject(),
        choice=[hs.Lapse(), hs.Stickiness(), hs.ActionBias(fixed={"left": 0.1, "right": 0.0})],
    )
    problem = problem_of(given, log)
    prior = hs.PopulationPrior(tilt=1.5, lapse=0.8)
    density, profiles = density_of(problem, prior, share), profiles_of(problem.people.likelihood)
    full = np.array([1.0, -1.5, 0.4, -0.3, 0.1, 0.0, -2.5, -0.8, np.log(0.4)])
    assert [row.name for row in problem.mixed.rows][2:7] == [
        "stickiness",
        "bias[down]",
        "bias[left]",
        "bias[right]",
        "logit_lapse",
    ]
    deviation = np.linspace(-0.5, 0.6, 6)[:, None]
    point = density.point_of(full, deviation)
    np.testing.assert_allclose(density.draws(point[None]).full[0], full, atol=1e-12)
    value, gradient = density.value_and_gradient(profiles, point)
    own = full[7] + deviation[:, 0]
    level = np.log(advantage_size(problem.alike, problem.seen))
    stated = (
        stats.norm.logpdf(full[[2, 3]], 0, 1.5).sum()
        + stats.norm.logpdf(full[6], -3, 0.8)
        + stats.norm.logpdf(full[7] - level, 0, prior.level)
        + stats.halfnorm.logpdf(0.4, scale=prior.sd)
        + stats.norm.logpdf(deviation[:, 0], 0, 0.4).sum()
    )
    moved = np.log([1.5, 1.5, 0.8, prior.level, 0.4]).sum() + 6 * (1 - share) * np.log(0.4)
    likelihood = profiles.value(full[:7], own[:, None, None]).sum()
    assert value == pytest.approx(likelihood + stated + moved, abs=1e-8)
    for place in range(5):  # the two tilts, the lapse, the mean and the spread
        step = np.zeros(density.size)
        step[place] = 1e-5
        ends = [density.value_and_gradient(profiles, point + sign * step)[0] for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)
    assert "log odds of stickiness and action biases ~ N(0, 1.5^2)" in prior.notes(problem.mixed)[0]
    assert "logit of the lapse ~ N(-3, 0.8^2)" in prior.notes(problem.mixed)[0]


def test_what_is_planned_and_not_what_is_done_gives_temperatures_their_scale(
    people: tuple[hs.BehaviorLog, hs.Task],
) -> None:
    log, task = people
    sizes = []
    for choice in ((), (hs.Stickiness(3.0), hs.Lapse(0.3))):
        reward = hs.LinearReward(["goal", "lava"], fixed={"goal": 1.0, "lava": -1.5})
        alike = hs.SoftOptimalModel(task, reward, hs.Fixed(0.4), choice=choice).bind(log)
        sizes.append(advantage_size(alike, alike.observe(log)))
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-12)


def test_the_covariance_of_draws_of_a_person_alone_is_that_of_the_draws(
    people: tuple[hs.BehaviorLog, hs.Task],
) -> None:
    """A person alone has no block of their own: all of it is of what everybody shares."""
    log, task = people
    bound = model(task, goal=1.0).bind(log.select(log.subject == 0))
    generator = np.random.default_rng(1)
    full = np.column_stack([np.ones(200), generator.standard_normal((200, 3))])
    own = full[:, 2] + 0.5 * generator.standard_normal(200)
    vectors = people_vectors(bound, np.zeros(3), full[:, :2], own[:, None, None])
    np.testing.assert_array_equal(vectors, np.column_stack([full[:, :2], own]))
    found = _spread(bound, vectors, full)
    np.testing.assert_allclose(found.toarray(), np.cov(vectors, rowvar=False), atol=1e-12)


@pytest.mark.slow
def test_a_person_alone_has_a_posterior(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    alone = log.select(log.subject == 0)
    fit = hs.fit(model(task, goal=1.0, lava=-1.5), alone, method="posterior", seed=1, draws=100, tune=100, chains=1)
    assert fit.posterior is not None
    row = fit.params.loc[("log_temperature", "ann")]
    draws = fit.posterior.posterior["log_temperature"].values.ravel()
    assert row["estimate"] == pytest.approx(draws.mean())
    np.testing.assert_allclose(fit.std_errors()[~fit.params["fixed"]], draws.std(ddof=1), rtol=1e-9)
