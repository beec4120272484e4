"""fit: from a model and a log to a frozen result, by the method that the user names."""

from collections.abc import Callable
from typing import Any, Literal

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, did_you_mean
from humansoft.fit.hierarchical import Integrate
from humansoft.fit.nuts import Sampling
from humansoft.fit.point import maximum_likelihood
from humansoft.fit.population_fit import population_fit
from humansoft.fit.population_prior import PopulationPrior
from humansoft.fit.posterior_fit import posterior_fit
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.temperature import ByFormula
from humansoft.threads import one_thread

OnStep = Callable[[int, float], None]
Method = Literal["maximum_likelihood", "hierarchical", "posterior"]
METHODS: tuple[Method, ...] = ("maximum_likelihood", "hierarchical", "posterior")


@one_thread()
def fit(
    model: SoftOptimalModel,
    log: BehaviorLog,
    *,
    method: Method = "maximum_likelihood",
    integrate: Integrate = "auto",
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    prior: PopulationPrior | None = None,
    progress: bool | None = None,
    seed: int | None = None,
    max_steps: int = 200,
    allow_unidentified: bool = False,
    on_step: OnStep | None = None,
) -> Fit:
    """Fit a model to a log; neither is changed.

    The log is checked against the task and the model against the log (:func:`humansoft.identify`)
    first. A model whose solver learns from samples is fitted as if it were solved exactly, and predicts
    with what it learns. Free parameters are learned by one Lightning module: trust-region Newton on the
    exact likelihood in float64, to a scaled gradient of 1e-6.

    "maximum_likelihood" takes people one by one. "hierarchical" takes them for draws from a population, whose mean
    (explained by a formula or a group column) and spread are learned with them; ``fit.population`` describes it, and
    people's estimates are drawn towards it as far as their own decisions leave it open. Its standard deviations are
    those of maximum likelihood (with few people too small, by about half the ratio of coefficients to people); the
    intervals of its coefficients are of Student's t with Satterthwaite's degrees of freedom, at the standard deviations
    of the restricted likelihood, which are not too small. "posterior" samples the same
    population with everybody in it by NUTS, under the priors of :class:`humansoft.PopulationPrior`; the draws are
    ``fit.posterior``, an ``arviz.InferenceData`` for ArviZ's plots and for ``az.loo``; estimates are posterior means.

    Args:
        model: the hypothesis.
        log: the decisions.
        method: how to estimate: "maximum_likelihood", "hierarchical" or "posterior".
        integrate: how a hierarchical fit integrates people's own parameters out: "quadrature" (exact for one or two
            a person, and for temperatures in any number of conditions), "laplace" (fast, biased with few decisions), or
            "auto": quadrature where it is affordable.
        draws: kept draws of each chain of the posterior.
        tune: draws of each chain before these, in which the sampler adapts.
        chains: how many chains.
        prior: priors of the posterior.
        progress: whether sampling shows a progress bar; by default where stderr is a terminal.
        seed: seed of the identification draws and of the posterior's, recorded in the result; same seed, same draws.
        max_steps: largest number of optimiser iterations.
        allow_unidentified: fit all the same when the data leave directions flat; the result is labelled.
        on_step: called after every iteration with (iteration, log-likelihood), or after every draw of any chain with
            (draws so far, log density).

    Returns:
        The fit; look at ``status`` and ``summary()``.

    Raises:
        LogError: the log does not fit the task (every problem, with places).
        IdentificationError: the data cannot tell the parameters apart (every flat direction, with fixes).
        SolveError: the model has no solution at any starting value.
        UsageError: a method that does not exist, or numbers of draws that say nothing.
        NotAvailableError: "posterior" without nutpie and ArviZ (``pip install humansoft[bayes]``).

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> fitted = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
        >>> fitted.converged
        True
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}.{did_you_mean(method, METHODS)}")
    require_valid(log, model.task)
    options: dict[str, Any] = {
        "seed": seed,
        "max_steps": max_steps,
        "allow_unidentified": allow_unidentified,
        "on_step": on_step,
    }
    if method == "posterior":
        sampling = Sampling(draws, tune, chains, prior or PopulationPrior(), progress)
        return posterior_fit(model, log, sampling=sampling, **options)
    if method == "hierarchical" or isinstance(model.temperature, ByFormula):
        return population_fit(model, log, deviate=method == "hierarchical", integrate=integrate, **options)
    return maximum_likelihood(model, log, **options)
