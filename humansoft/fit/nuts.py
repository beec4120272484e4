"""NUTS: draws from a log density with its gradient, several chains at once, by nutpie."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from humansoft.errors import NotConvergedError, UsageError
from humansoft.fit.bayes_extra import nutpie
from humansoft.fit.population_prior import PopulationPrior

Real = npt.NDArray[np.float64]
OnStep = Callable[[int, float], None]
LogDensity = Callable[[Real], tuple[float, Real]]

FEWEST_DRAWS = 100
"""With fewer draws a chain, R-hat and effective sample sizes say nothing."""

_TARGET_ACCEPT = 0.9  # nutpie's default of 0.8 leaves a few divergences where standard deviations are small


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Attributes:
        draws: kept draws of each chain.
        tune: draws before, in which step size and mass matrix are learned.
        chains: how many.
        prior: what is assumed.
        progress: whether to show a bar; ``None``: where stderr is a terminal.
    """

    draws: int = 1000
    tune: int = 500
    chains: int = 4
    prior: PopulationPrior = field(default_factory=PopulationPrior)
    progress: bool | None = None

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing could be said.

        Raises:
            UsageError: which one, and its least value.
        """
        for name, least in (("draws", FEWEST_DRAWS), ("tune", FEWEST_DRAWS), ("chains", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)}: method='posterior' needs at least {least}")


@dataclass(frozen=True, eq=False)
class Chains:
    """What was drawn.

    Attributes:
        points: [chains, draws, n].
        stats: [chains, draws] of the sampler, by name.
    """

    points: Real
    stats: dict[str, npt.NDArray[Any]]


_STATS = {
    "logp": "lp",
    "energy": "energy",
    "depth": "tree_depth",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "mean_tree_accept": "acceptance_rate",
    "diverging": "diverging",
}
"""Names of the sampler's statistics, and those that ArviZ's plots look for."""


def sample(
    density_of_chain: Callable[[], LogDensity],
    start: Callable[[np.random.Generator], Real],
    sampling: Sampling,
    seed: int,
    on_step: OnStep | None,
) -> Chains:
    """Draw from a log density.

    Chains run in threads of their own. Where the log density is minus infinity, the sampler turns round: that is a
    divergence, and it is counted.

    Args:
        density_of_chain: makes a chain its log density, with whatever it keeps between points.
        start: draws a point to start from.
        sampling: how many draws and chains.
        seed: same seed, same draws.
        on_step: called after every draw of every chain with (their number, log density).

    Raises:
        NotConvergedError: no chain found a point to start from.
    """
    size, library = len(start(np.random.default_rng(seed))), nutpie()
    work = _Work(density_of_chain, start, on_step)
    model = library.compiled_pyfunc.from_pyfunc(
        size,
        work.make_log_density,
        work.make_expansion,
        [np.dtype(np.float64)],
        [(size,)],
        ["point"],
        make_initial_point_fn=work.start_from,
    )
    shown = sys.stderr.isatty() if sampling.progress is None else sampling.progress
    try:
        found = library.sample(
            model,
            draws=sampling.draws,
            tune=sampling.tune,
            chains=sampling.chains,
            seed=seed,
            progress_bar=shown,
            target_accept=_TARGET_ACCEPT,
        )
    except RuntimeError as error:
        work.raise_first()
        raise NotConvergedError(f"NUTS found no point to start from: {error}") from error
    work.raise_first()
    points = np.asarray(found.posterior["point"].values, dtype=np.float64)
    if points.shape[:2] != (sampling.chains, sampling.draws) or np.isnan(points).any():
        raise KeyboardInterrupt  # nutpie hands back what there is
    return Chains(points, {name: np.asarray(found.sample_stats[theirs].values) for theirs, name in _STATS.items()})


class _Turn(Exception):  # noqa: N818 - not an error: it tells the sampler to turn round
    """Ends a trajectory; the sampler looks at the attribute."""

    is_recoverable = True


@dataclass
class _Work:
    """What the sampler calls from its threads; the first error of ours is kept, for the sampler would panic.

    Attributes:
        density_of_chain: makes a chain its log density.
        start: draws a point to start from.
        on_step: told of every draw.
        first: the first error.
    """

    density_of_chain: Callable[[], LogDensity]
    start: Callable[[np.random.Generator], Real]
    on_step: OnStep | None
    first: Exception | None = None
    _drawn: int = 0
    _latest: float = float("nan")

    def make_log_density(self) -> LogDensity:
        """Make a chain its log density."""
        density = self.density_of_chain()

        def log_density(point: Real) -> tuple[float, Real]:
            if torch.get_num_threads() > 1:
                torch.set_num_threads(1)  # a setting of each thread, and this one is the sampler's
            if self.first is not None:
                raise _Turn
            try:
                self._latest, gradient = density(np.array(point))
            except Exception as error:
                self.first = error
                raise _Turn from error
            return self._latest, gradient

        return log_density

    def make_expansion(self, *seeds: int) -> Callable[[Real], dict[str, Real]]:
        """Make what is called after every draw."""
        del seeds

        def expand(point: Real) -> dict[str, Real]:
            self._drawn += 1
            if self.on_step is not None and self.first is None:
                try:
                    self.on_step(self._drawn, self._latest)
                except Exception as error:
                    self.first = error
            return {"point": point}

        return expand

    def start_from(self, seed: int) -> Real:
        """Draw a point to start from."""
        return self.start(np.random.default_rng(seed))

    def raise_first(self) -> None:
        """Raise the first error, if there was one."""
        if self.first is not None:
            raise self.first
