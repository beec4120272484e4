"""Random-effects model selection: how many people use each model, from each person's evidence for each.

Every person uses one of K models, model k with frequency r_k, and r ~ Dirichlet(1, ..., 1) (Stephan, Penny,
Daunizeau, Moran and Friston 2009, NeuroImage 46). Unlike a sum of evidences, this asks neither that everybody
uses the same model, nor lets one person decide for all. Protected exceedance probabilities
weigh in that the models may be equally frequent and the differences chance (Rigoux, Stephan, Friston and
Daunizeau 2014, NeuroImage 84).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.integrate import quad
from scipy.special import digamma, gammaln, logsumexp, softmax
from scipy.stats import beta, gamma

from humansoft.errors import UsageError, shortlist

Real = npt.NDArray[np.float64]

_TOLERANCE, _MOST_ROUNDS = 1e-10, 10_000
_BURN_IN, _DRAWS = 500, 10_000


@dataclass(frozen=True, eq=False)
class Frequencies:
    """The variational posterior of model frequencies, a Dirichlet distribution.

    Attributes:
        counts: [K] its parameters: 1 + the expected number of people of each model.
        responsibility: [B, K] probability that each person uses each model.
        free_energy: lower bound of the log evidence of unequal frequencies.
        null_log_evidence: log evidence of equal frequencies (exact).
    """

    counts: Real
    responsibility: Real
    free_energy: float
    null_log_evidence: float

    @property
    def omnibus_risk(self) -> float:
        """Probability that all models are equally frequent (the Bayesian omnibus risk, BOR)."""
        return float(1.0 / (1.0 + np.exp(np.clip(self.free_energy - self.null_log_evidence, -700.0, 700.0))))

    def exceedance(self) -> Real:
        """Return the probability [K] that each model is more frequent than all others."""
        return exceedance(self.counts)

    def protected_exceedance(self) -> Real:
        """Return the same [K] averaged over equal and unequal frequencies."""
        risk = self.omnibus_risk
        averaged: Real = self.exceedance() * (1.0 - risk) + risk / len(self.counts)
        return averaged


def model_frequencies(
    log_evidence: pd.DataFrame | Mapping[str, Sequence[float]], *, seed: int, num_draws: int = _DRAWS
) -> pd.DataFrame:
    """Say how frequent each model is among people.

    ``frequency`` and its interval are of the exact posterior, sampled by Gibbs (each person's model given frequencies,
    and the reverse). ``dirichlet``, ``exceedance``, ``protected_exceedance`` and ``omnibus_risk`` are the published
    variational quantities, as other programs give them. The variational distribution is narrower than the posterior
    where people's evidence is vague, which is why intervals are not taken from it; where people are clear, the two
    agree. Its free energy is a lower bound, so that the omnibus risk errs to the side of caution: of evidences that say
    nothing it should be 1/2, and is larger.

    Args:
        log_evidence: log evidence (natural logarithm) of each person [rows] for each model [columns], from
            :func:`humansoft.log_evidence` or elsewhere. Only differences within a row count.
        seed: of the draws from the posterior.
        num_draws: number of draws.

    Returns:
        One row a model, most frequent first: frequency (posterior mean), ci_low, ci_high (95 %),
        dirichlet (the variational posterior's parameter), exceedance (probability that the model is the most frequent),
        protected_exceedance, omnibus_risk (probability that all are equally frequent) and num_people.

    Raises:
        UsageError: fewer than two models or people, or evidences that are not finite.

    Example:
        >>> import pandas as pd, humansoft as hs
        >>> people = pd.DataFrame({"kl": [-10.0, -12.0, -9.0], "boltzmann": [-15.0, -19.0, -13.0]})
        >>> table = hs.model_frequencies(people, seed=1)
        >>> table.index[0], bool(table.loc["kl", "exceedance"] > 0.9)
        ('kl', True)
    """
    table = _checked(pd.DataFrame(log_evidence))
    evidence = table.to_numpy(dtype=float)
    found = variational(evidence)
    draws = posterior_draws(evidence, num_draws, np.random.default_rng(seed))
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    rows = pd.DataFrame(
        {
            "frequency": draws.mean(axis=0),
            "ci_low": low,
            "ci_high": high,
            "dirichlet": found.counts,
            "exceedance": found.exceedance(),
            "protected_exceedance": found.protected_exceedance(),
            "omnibus_risk": found.omnibus_risk,
            "num_people": len(evidence),
        },
        index=pd.Index(table.columns, name="model"),
    )
    return rows.sort_values("frequency", ascending=False, kind="stable")


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    if table.shape[1] < 2 or len(table) < 2:
        raise UsageError(
            f"the evidence has {len(table)} people and {table.shape[1]} models: frequencies of models among people "
            "need at least two of each"
        )
    broken: list[Hashable] = table.index[~np.isfinite(table.to_numpy(dtype=float)).all(axis=1)].tolist()
    if broken:
        raise UsageError(
            f"the evidence of {shortlist(broken)} is not finite: leave these people out of all models, or "
            "refit the model that cannot explain them"
        )
    return table


def variational(log_evidence: Real) -> Frequencies:
    """Return the variational posterior of frequencies given log evidences [B, K]."""
    people, models = log_evidence.shape
    # Per person, only differences matter; what is subtracted is added again to both log evidences.
    level = log_evidence.max(axis=1, keepdims=True)
    relative = log_evidence - level
    counts = 1.0 + people * np.full(models, 1.0 / models)
    for _ in range(_MOST_ROUNDS):
        responsibility = softmax(relative + digamma(counts), axis=1)
        before, counts = counts, 1.0 + responsibility.sum(axis=0)
        if np.abs(counts - before).max() < _TOLERANCE:
            break
    free_energy = float(level.sum()) + _free_energy(relative, responsibility, counts)
    null = float(logsumexp(log_evidence, axis=1).sum() - people * np.log(models))
    return Frequencies(counts, responsibility, free_energy, null)


def _free_energy(evidence: Real, responsibility: Real, counts: Real) -> float:
    """Return the lower bound of the log evidence at a variational posterior."""
    expected_log = digamma(counts) - digamma(counts.sum())  # of the frequencies
    told = responsibility > 0
    entropy = -float((responsibility[told] * np.log(responsibility[told])).sum())
    joint = float((responsibility * (evidence + expected_log)).sum()) + float(gammaln(len(counts)))
    normaliser = float(gammaln(counts).sum() - gammaln(counts.sum()))
    return joint + entropy + normaliser - float(((counts - 1.0) * expected_log).sum())


def exceedance(counts: Real) -> Real:
    """Return the probability [K] that each entry of a Dirichlet(counts) variable is the largest; no sampling.

    A Dirichlet variable is a normalised vector of gamma variables, whose order is that of the gammas themselves:
    P(k largest) is the mean of the product of the other distribution functions at a quantile of the k-th gamma.
    """
    if len(counts) == 2:
        first = float(beta.sf(0.5, counts[0], counts[1]))
        return np.array([first, 1.0 - first])

    def largest(k: int) -> float:
        others = np.delete(counts, k)

        def density(x: float) -> float:
            return float(gamma.pdf(x, counts[k]) * np.prod(gamma.cdf(x, others)))

        middle, end = counts[k], float(gamma.isf(1e-14, counts.max()))
        spread = np.sqrt(middle)
        inner = np.clip([middle - 4 * spread, middle, middle + 4 * spread, counts.max()], 0.0, end)
        return float(quad(density, 0.0, end, points=np.unique(inner), limit=200, epsabs=1e-12)[0])

    found = np.array([largest(k) for k in range(len(counts))])
    total: Real = found / found.sum()  # rounding of the quadrature
    return total


def posterior_draws(log_evidence: Real, num_draws: int, generator: np.random.Generator) -> Real:
    """Draw frequencies [D, K] from their exact posterior given log evidences [B, K] (Gibbs sampling)."""
    people, models = log_evidence.shape
    likelihood = np.exp(log_evidence - log_evidence.max(axis=1, keepdims=True))
    frequency, draws = np.full(models, 1.0 / models), np.empty((num_draws, models))
    for draw in range(-_BURN_IN, num_draws):
        upto = np.cumsum(likelihood * frequency, axis=1)
        uses = (generator.random((people, 1)) * upto[:, -1:] >= upto[:, :-1]).sum(axis=1)
        frequency = generator.dirichlet(1.0 + np.bincount(uses, minlength=models))
        draws[max(draw, 0)] = frequency
    return draws
