"""What systems that learn a population are compared by. Needs only numpy, for it is also read by the peers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

CHAINS, TUNE, DRAWS = 2, 500, 500
"""Of every sampler."""

SEED = 1


@dataclass(frozen=True)
class Told:
    """What a system says of a population.

    Attributes:
        mean: of the log temperatures.
        sd: of the log temperatures.
        correlation: of people's estimates with what their decisions were drawn from.
    """

    mean: float
    sd: float
    correlation: float

    def figures(self) -> dict[str, object]:
        """Return them for the report."""
        return {"mean_of_people": self.mean, "sd_of_people": self.sd, "correlation_with_truth": self.correlation}

    def sampled(self, draws: Sequence[Real], seconds: float) -> dict[str, object]:
        """Return how good the draws [chains, draws] of the population's parameters are, and how many a second."""
        effective = min(effective_size(values) for values in draws)
        return {"effective_draws": effective, "effective_draws_per_s": effective / seconds}


def effective_size(draws: Real) -> float:
    """Return the effective sample size of a mean, by Geyer's initial monotone sequence over split chains.

    Written out (Vehtari et al. 2021, without their rank normalisation), so that everybody is measured by one rule.
    """
    half = draws.shape[1] // 2
    chains = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    count, length = chains.shape
    apart = chains - chains.mean(axis=1, keepdims=True)
    padded = np.fft.rfft(apart, 2 * length, axis=1)
    covariance = np.fft.irfft(padded * np.conj(padded), axis=1)[:, :length] / length
    within = covariance[:, 0].mean() * length / (length - 1)
    total = within * (length - 1) / length + chains.mean(axis=1).var(ddof=1)
    rho = 1 - (within - covariance.mean(axis=0)) / total
    pairs = rho[: length // 2 * 2].reshape(-1, 2).sum(axis=1)
    first = int(np.argmax(pairs < 0)) if (pairs < 0).any() else len(pairs)
    time = max(-1 + 2 * float(np.minimum.accumulate(pairs[:first]).sum()), 1 / np.log10(count * length))
    return float(count * length / time)
