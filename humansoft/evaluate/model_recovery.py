"""confusion: which model wins when each of them is true; asked before any claim about which model people use."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import HumansoftError, UsageError, did_you_mean
from humansoft.evaluate.simulate import simulate
from humansoft.fit.fitting import fit as fit_model
from humansoft.fit.result import Fit

_CRITERIA = ("bic", "aic")


def confusion(
    fits: Mapping[str, Fit], *, seed: int, repeats: int = 10, episodes: int | None = None, criterion: str = "bic"
) -> pd.DataFrame:
    """Simulate the people of each fit, fit all models to them, and count which wins.

    A model that wins on its own data only as often as on those of others cannot be claimed to be what people
    do (Wilson and Collins 2019).

    Args:
        fits: name -> fit, all of the same people; each is simulated with its own estimates, and its model fitted anew.
        seed: same seed, same table.
        repeats: simulated studies for each model.
        episodes: episodes a person; by default as many as the training data have, on average.
        criterion: "bic" or "aic", by which a model wins.

    Returns:
        One row a true model, one column a winner: share of the studies it won. ``table.attrs["num_failed"]`` counts
        the fits that did not work (not identified in that study, or not converged); such a model cannot win there.

    Raises:
        UsageError: fewer than two models, no repeats, or an unknown criterion.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> planners = ["kl", "boltzmann"]
        >>> models = {p: hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner=p) for p in planners}
        >>> fits = {name: hs.fit(model, log) for name, model in models.items()}
        >>> hs.confusion(fits, seed=1, repeats=1, episodes=1).sum(axis=1).tolist()
        [1.0, 1.0]
    """
    if criterion not in _CRITERIA:
        raise UsageError(f"there is no criterion {criterion!r} here.{did_you_mean(criterion, _CRITERIA)}")
    if len(fits) < 2 or repeats < 1:
        raise UsageError(f"confusion(repeats={repeats}) of {list(fits)}: it takes two models and one repeat at least")
    names = list(fits)
    won = pd.DataFrame(0.0, index=pd.Index(names, name="true"), columns=pd.Index(names, name="winner"))
    failed = 0
    for true, log in _studies(fits, repeats, episodes, seed):
        values = {name: _criterion(one, log, criterion) for name, one in fits.items()}
        failed += sum(value == np.inf for value in values.values())
        best = min(values.values())
        winners = [name for name, value in values.items() if value <= best + 1e-6]  # one likelihood: half a win each
        if np.isfinite(best):
            won.loc[true, winners] += 1.0 / len(winners)
    table = won / repeats
    table.attrs["num_failed"] = failed
    return table


def _studies(
    fits: Mapping[str, Fit], repeats: int, episodes: int | None, seed: int
) -> Iterator[tuple[str, BehaviorLog]]:
    """Simulate every study of every true model, each with a seed of its own."""
    seeds = np.random.default_rng(seed).integers(2**31, size=(len(fits), repeats)).tolist()
    for (name, one), own in zip(fits.items(), seeds, strict=True):
        number = episodes or max(round(len(one.training.starts) / len(one.subjects)), 1)
        for number_of_study in own:
            yield name, simulate(one, number, seed=number_of_study)


def _criterion(one: Fit, log: BehaviorLog, criterion: str) -> float:
    """Fit the model of a fit anew; infinity where that does not work."""
    try:
        refitted = fit_model(one.model, log)
    except HumansoftError:
        return np.inf
    return float(getattr(refitted, criterion)) if refitted.converged else np.inf
