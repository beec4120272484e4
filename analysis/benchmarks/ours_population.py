"""humansoft's side of the population benchmark: one temperature a person, from a distribution that is learned."""

from importlib import import_module
from pathlib import Path

import numpy as np

import humansoft as hs
from analysis.benchmarks.instances import Instance
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.ours import log_of, task_of
from analysis.benchmarks.sampling import CHAINS, DRAWS, SEED, TUNE, Told


def imports(work: str) -> None:
    """Import Lightning, and what samples, before the clock starts."""
    import_module("humansoft.fit.learner")
    if work == "nuts":
        import_module("humansoft.fit.bayes_extra").require_bayes()


def quadrature(folder: Path, clock: Stopwatch) -> Figures:
    """The population's maximum, people integrated out by adaptive quadrature; people's posterior means with errors."""
    return _fit(folder, clock, "quadrature")


def laplace(folder: Path, clock: Stopwatch) -> Figures:
    """The same by Laplace-EM."""
    return _fit(folder, clock, "laplace")


def nuts(folder: Path, clock: Stopwatch) -> Figures:
    """The posterior by NUTS."""
    return _fit(folder, clock, "nuts")


def _fit(folder: Path, clock: Stopwatch, how: str) -> Figures:
    instance = Instance.read(folder)
    with clock.reported("construction"):
        task, log = task_of(instance), log_of(instance)
        reward = hs.LinearReward(fixed={"f0": float(instance.truth["weights"][0])})
        model = hs.SoftOptimalModel(task, reward, hs.PerSubject(), planner="entropy")
    with clock.counted("fit"):
        if how == "nuts":
            fitted = hs.fit(model, log, method="posterior", seed=SEED, draws=DRAWS, tune=TUNE, chains=CHAINS)
        else:
            fitted = hs.fit(model, log, method="hierarchical", integrate=how, seed=SEED)  # type: ignore[arg-type]
        fitted.summary()
    return lambda: _told(fitted, instance, sum(wall for wall, _ in clock.work.values()))


def _told(fitted: hs.Fit, instance: Instance, seconds: float) -> dict[str, object]:
    population = fitted.population
    assert population is not None
    who = fitted.temperatures()
    place = who.index.to_numpy(dtype=np.int64)
    told = Told(
        mean=population.contrast({"Intercept": 1.0})["estimate"],
        sd=float(population.sd["log_temperature"]),
        correlation=instance.correlation(who["log_temperature"].to_numpy(dtype=float), place),
    )
    figures = told.figures() | {"converged": fitted.converged, "decisions": fitted.num_decisions}
    if fitted.posterior is not None:
        draws = fitted.posterior.posterior
        figures |= told.sampled([draws["coefficient"].values[..., 0], draws["sd"].values[..., 0]], seconds)
    return figures


if __name__ == "__main__":
    main({"quadrature": quadrature, "laplace": laplace, "nuts": nuts}, ("torch", "numpy", "scipy", "nutpie"), imports)
