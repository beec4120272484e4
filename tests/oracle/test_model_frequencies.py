"""Model frequencies among people, against hand calculation, quadrature and brute force."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import beta

import humansoft as hs
from humansoft.evaluate.model_frequencies import exceedance, posterior_draws, variational

Real = npt.NDArray[np.float64]


def decided(*numbers: int, nats: float = 60.0) -> Real:
    """People of whom each is certain to use one model: so many of each."""
    return nats * np.repeat(np.eye(len(numbers)), numbers, axis=0)


def vague(people: int, models: int, seed: int, spread: float = 1.0) -> Real:
    return np.random.default_rng(seed).normal(scale=spread, size=(people, models))


def density_of_two(evidence: Real) -> tuple[Real, Real, float]:
    """The exact posterior of the first of two frequencies on a grid, and the log evidence."""
    grid = (np.arange(20_000) + 0.5) / 20_000
    both = np.stack([np.log(grid), np.log1p(-grid)])
    logs = logsumexp(evidence[:, :, None] + both[None], axis=1).sum(axis=0)
    total = float(logsumexp(logs) - np.log(len(grid)))
    return grid, np.exp(logs - logsumexp(logs)), total


def test_with_clear_people_the_bound_is_the_evidence_itself_by_hand() -> None:
    """People are then counts, and the evidence that of a Dirichlet-multinomial distribution."""
    found = variational(decided(7, 2, 1))
    np.testing.assert_allclose(found.counts, [8.0, 3.0, 2.0], atol=1e-10)
    by_hand = gammaln(3) - gammaln(13) + gammaln([8, 3, 2]).sum() + 10 * 60.0
    assert found.free_energy == pytest.approx(by_hand, rel=1e-12)
    assert found.null_log_evidence == pytest.approx(10 * (60.0 - np.log(3)), rel=1e-12)
    risk = 1 / (1 + np.exp(by_hand - 10 * (60.0 - np.log(3))))
    assert found.omnibus_risk == pytest.approx(risk, rel=1e-9)
    np.testing.assert_allclose(found.protected_exceedance(), found.exceedance() * (1 - risk) + risk / 3, rtol=1e-9)


def test_the_published_example_has_the_published_exceedance() -> None:
    """Stephan et al. (2009): Dirichlet(11.8, 2.2) has mean 84.3 % and exceedance probability 99.7 %."""
    counts = np.array([11.8, 2.2])
    assert round(100 * counts[0] / counts.sum(), 1) == 84.3
    assert round(100 * exceedance(counts)[0], 1) == 99.7


def test_exceedance_of_two_models_is_that_of_a_beta_variable() -> None:
    np.testing.assert_allclose(exceedance(np.array([4.0, 9.0])), [beta.sf(0.5, 4, 9), beta.cdf(0.5, 4, 9)], atol=1e-14)


def test_exceedance_of_several_models_is_what_counting_draws_gives() -> None:
    counts = np.array([3.0, 5.0, 2.0, 6.0])
    draws = np.random.default_rng(1).dirichlet(counts, 400_000).argmax(axis=1)
    share = np.bincount(draws, minlength=4) / len(draws)
    np.testing.assert_allclose(exceedance(counts), share, atol=4 * np.sqrt(0.25 / len(draws)))


def test_three_models_of_which_one_is_absurd_are_two() -> None:
    """A model with evidence of practically nothing takes the prior's count and no people."""
    counts = np.array([31.0, 21.0, 1.0])
    assert exceedance(counts)[0] == pytest.approx(exceedance(counts[:2])[0], abs=1e-6)


@pytest.mark.parametrize("counts", [[1.0, 1.0, 2000.0], [500.0, 500.0, 500.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
def test_exceedance_sums_to_one_at_extreme_counts(counts: list[float]) -> None:
    found = exceedance(np.array(counts))
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    ties = np.array(counts) == max(counts)
    np.testing.assert_allclose(found[ties], 1.0 / ties.sum(), atol=1e-8)


def test_all_evidence_for_one_model_makes_it_certain() -> None:
    found = variational(decided(0, 40))
    assert found.exceedance()[1] > 1 - 1e-10
    assert found.omnibus_risk < 1e-9
    assert found.protected_exceedance()[1] > 1 - 1e-9


def test_evidence_that_says_nothing_protects_from_conclusions() -> None:
    found = variational(np.zeros((20, 3)))
    np.testing.assert_allclose(found.protected_exceedance(), 1 / 3, atol=1e-8)
    assert found.omnibus_risk > 0.75  # exactly 1/2 without the bound, which errs to the side of caution


def test_equal_shares_of_clear_people_speak_for_equal_frequencies() -> None:
    """The more people, the surer: the omnibus risk goes to 1."""
    risks = [variational(decided(n, n)).omnibus_risk for n in (5, 50, 500)]
    assert risks == sorted(risks)
    assert risks[-1] > 0.95


def test_names_do_not_matter_and_only_differences_within_a_person_do() -> None:
    evidence = vague(12, 3, seed=4, spread=2.0)
    order = [2, 0, 1]
    shift = np.random.default_rng(5).normal(scale=500.0, size=(12, 1))
    one, other = variational(evidence), variational(evidence[:, order] + shift)
    np.testing.assert_allclose(one.counts[order], other.counts, atol=1e-8)
    np.testing.assert_allclose(one.exceedance()[order], other.exceedance(), atol=1e-8)
    assert one.omnibus_risk == pytest.approx(other.omnibus_risk, abs=1e-8)


def test_the_bound_lies_below_the_exact_evidence_and_near_it() -> None:
    for seed in range(5):
        evidence = vague(10, 2, seed, spread=3.0)
        _, _, exact = density_of_two(evidence)
        found = variational(evidence)
        assert exact - 1.0 < found.free_energy <= exact + 1e-9


def test_the_evidence_of_three_models_is_that_of_brute_force() -> None:
    """Averaging the likelihood over a million frequencies drawn from the prior."""
    evidence = vague(5, 3, seed=2, spread=3.0)
    frequencies = np.random.default_rng(3).dirichlet(np.ones(3), 1_000_000)
    likelihood = np.prod(frequencies @ np.exp(evidence).T, axis=1)
    brute = float(np.log(likelihood.mean()))
    assert brute - 1.0 < variational(evidence).free_energy < brute + 0.01
    by_equal = float(np.log(np.exp(evidence).mean(axis=1)).sum())
    assert variational(evidence).null_log_evidence == pytest.approx(by_equal, rel=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.5, 4.0])
@pytest.mark.slow
def test_frequencies_and_intervals_are_those_of_the_exact_posterior(spread: float) -> None:
    evidence = vague(9, 2, seed=6, spread=spread)
    grid, mass, _ = density_of_two(evidence)
    table = hs.model_frequencies(pd.DataFrame(evidence, columns=["a", "b"]), seed=1, num_draws=40_000)
    assert table.loc["a", "frequency"] == pytest.approx(float(grid @ mass), abs=0.01)
    below = np.cumsum(mass)
    for column, share in (("ci_low", 0.025), ("ci_high", 0.975)):
        assert table.loc["a", column] == pytest.approx(float(grid[np.searchsorted(below, share)]), abs=0.02)


@pytest.mark.slow
def test_intervals_cover_the_frequencies_of_simulated_populations() -> None:
    """Calibration: frequencies from the prior, people from the frequencies, and evidence that is often wrong."""
    generator, covered = np.random.default_rng(8), []
    for _ in range(200):
        truth = generator.dirichlet(np.ones(3))
        uses = generator.choice(3, size=25, p=truth)
        # Each person's log evidence is that of a signal with noise: right in the mean, wrong for many.
        signal = generator.normal(size=(25, 3)) + 1.5 * np.eye(3)[uses]
        draws = posterior_draws(1.5 * signal, 1500, generator)
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        covered.append((low <= truth) & (truth <= high))
    share = np.mean(covered)
    assert 0.92 < share < 0.98  # 0.95, with 200 x 3 dependent intervals


def test_the_table_is_the_most_frequent_first_and_repeats_with_its_seed() -> None:
    people = pd.DataFrame(decided(3, 9), columns=["kl", "boltzmann"])
    table = hs.model_frequencies(people, seed=3)
    assert table.index.tolist() == ["boltzmann", "kl"]
    pd.testing.assert_frame_equal(table, hs.model_frequencies(people, seed=3))
    assert table["dirichlet"].tolist() == pytest.approx([10.0, 4.0])
    assert (table["ci_low"] < table["frequency"]).all()
    assert (table["frequency"] < table["ci_high"]).all()


def test_evidence_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(hs.errors.UsageError, match="at least two of each"):
        hs.model_frequencies({"kl": [-1.0, -2.0]}, seed=1)
    broken = pd.DataFrame({"kl": [-1.0, -np.inf], "boltzmann": [-1.0, -2.0]}, index=["ann", "bob"])
    with pytest.raises(hs.errors.UsageError, match="'bob' is not finite"):
        hs.model_frequencies(broken, seed=1)
