"""reliability: would the same people get the same temperatures again?

Correlations of estimates are too small by what the estimates miss the truth by; the joint model of both sessions
estimates the correlation of the temperatures themselves. Both are printed, with the ceiling that estimation error
alone sets (Schaaf et al. 2023; Waltmann et al. 2022).
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.optimize import brentq
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import ModelError, shortlist
from humansoft.fit.boundary import reward_scale
from humansoft.fit.fitting import fit as fit_one_by_one
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.intervals import NORMAL_95
from humansoft.fit.mixed import Mixed
from humansoft.fit.population_maximum import PopulationMaximum, by_quadrature
from humansoft.fit.population_table import uncertainty
from humansoft.fit.profiles import profiles_of
from humansoft.fit.repeated import RepeatedProfiles
from humansoft.fit.result import Fit
from humansoft.fit.sessions import Sessions, by_session, halves, two_sessions
from humansoft.fit.spreads import MOST_TWISTED
from humansoft.model import SoftOptimalModel
from humansoft.rewards.known import KnownReward
from humansoft.temperature import PerSubject
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

_FEWEST = 3  # pairs that make a correlation
_SOME_CORRELATION = 0.5  # inverse hyperbolic tangent, to start from
_SMALLEST_START = 0.3  # standard deviation of log temperatures
_CLOSE = 0.02  # the same, of an end of an interval


@one_thread()
def reliability(fit: Fit, log: BehaviorLog, session: str = "session") -> pd.DataFrame:
    r"""Say how well temperatures of one session predict those of another, by four measures.

    The reward and choice terms are held at those of the fit, so that temperatures of both sessions are on one scale.

    Args:
        fit: a fit whose people share the reward.
        log: decisions of people who were met in two sessions.
        session: column of the log that tells the two sessions.

    Returns:
        One row a measure (estimate, ci_low, ci_high, num_people, meaning):
        "icc_points": ICC(3,1) of everybody's own log temperatures in both sessions (Shrout and Fleiss 1979), people
        at a boundary left out;
        "model_correlation": correlation of the log temperatures themselves, from a joint model of both sessions; at
        1, or where the data hardly tell it, with the interval of its profile likelihood;
        "split_half_<session>": correlation r of every other episode's estimate with the others', lengthened by
        Spearman and Brown to 2 r / (1 + |r|);
        "ceiling": largest correlation that estimates with such standard errors could show, if people did not change.
        ``attrs["notes"]`` says who was left out.

    Raises:
        ModelError: people of the fit have rewards of their own.
        UsageError, LogError: no such column, not two sessions, fewer than three people met twice.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..\n.#.\n..G", discount=0.9)
        >>> once, again = {"a": 0.3, "b": 0.5, "c": 0.7, "d": 0.9}, {"a": 0.5, "b": 0.3, "c": 0.9, "d": 0.7}
        >>> met = [hs.plan(task, {"step": -1.0}, temperature=people) for people in (once, again)]
        >>> tables = [hs.simulate(people, 20, seed=s).to_dataframe().assign(session=s) for s, people in enumerate(met)]
        >>> tables[1]["episode"] += tables[0]["episode"].max()
        >>> log = hs.read(pd.concat(tables), state=["state_0", "state_1"])
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], fixed={"step": -1.0}), hs.PerSubject())
        >>> bool(hs.reliability(hs.fit(model, log), log)["estimate"].notna().all())
        True
    """
    require_valid(log, fit.model.task)
    sessions = by_session(log, session)
    hypothesis = _hypothesis(fit)
    both, errors = (points[sessions.measures.cell] for points in _points(hypothesis, sessions.log))
    kept = ~np.isnan(both.sum(axis=1))
    correlation, sds = _joint(hypothesis, sessions, both)
    rows = [
        _icc(both[kept]),
        {"measure": "model_correlation", **correlation, "num_people": len(sessions.people)},
        *(
            {"measure": f"split_half_{label}", **_split_half(hypothesis, sessions, place)}
            for place, label in enumerate(sessions.labels)
        ),
        _ceiling(sds, errors[kept]),
    ]
    columns = ["estimate", "ci_low", "ci_high", "num_people"]
    table = pd.DataFrame(rows).set_index("measure").reindex(columns=columns)
    table["meaning"] = [_meaning(str(measure)) for measure in table.index]
    table.attrs["notes"] = _notes(sessions, kept, correlation)
    return table


def _hypothesis(fit: Fit) -> SoftOptimalModel:
    """Return the hypothesis that everybody has a temperature of their own, and all else in common, as in the fit."""
    model = fit.model
    if model.rows_are_people:
        raise ModelError(
            "people of this fit have rewards of their own: only reward / temperature is in the data, so there is no "
            "temperature to be reliable; share the reward (LinearReward(shared=True))"
        )
    with torch.no_grad():
        reward = KnownReward(model.reward(model.task))
    return model.changed(reward=reward, temperature=PerSubject(), choice=model.choice.known())


def _points(hypothesis: SoftOptimalModel, log: BehaviorLog) -> tuple[Real, Real]:
    """Return everybody's own log temperature and standard error, in the order of the log; nan at a boundary."""
    found = fit_one_by_one(hypothesis, log)
    own = found.model.table.is_temperature
    rows = found.params[own]
    inner = (rows["boundary"] == "").to_numpy()
    errors = found.std_errors("hessian").to_numpy(dtype=float)[own]
    return np.where(inner, rows["estimate"].to_numpy(dtype=float), np.nan), np.where(inner, errors, np.nan)


def _joint(hypothesis: SoftOptimalModel, sessions: Sessions, both: Real) -> tuple[dict[str, float], Real]:
    """Return the correlation of the temperatures of both sessions, and their standard deviations [2]."""
    bound = hypothesis.bind(sessions.log)
    likelihood = likelihood_of(bound, bound.observe(sessions.log))
    mixed = two_sessions(sessions, [bound.table.rows[place] for place in bound.table.shared_places])
    profiles = RepeatedProfiles(profiles_of(likelihood), sessions.measures)
    start = mixed.table.project(np.r_[np.zeros(len(mixed.shared)), _start(both, reward_scale(bound))])
    best = by_quadrature(profiles, mixed, float(likelihood.observations.weight.sum()), start, None)
    low, high = _ends(best, mixed)
    found = {"estimate": _correlation(best.full[-1]), "ci_low": low, "ci_high": high}
    return found, np.exp(mixed.split(best.full)[2][:2])


def _start(both: Real, middle: float) -> Real:
    """Return means, log standard deviations and a correlation [5] near those of points [n, 2], some or all of them nan.

    Args:
        both: everybody's own log temperatures.
        middle: log temperature to start from where nobody has one.
    """
    found = []
    for points in both.T:
        inner = points[np.isfinite(points)]
        spread = inner.std() if len(inner) > 1 else 0.0
        found.append((inner.mean() if len(inner) else middle, max(spread, _SMALLEST_START)))
    means, spreads = np.array(found).T
    start: Real = np.r_[means, np.log(spreads), _SOME_CORRELATION]
    return start


def _correlation(twist: float) -> float:
    """Return a correlation of its inverse hyperbolic tangent; beyond some size of that it is as good as 1, or -1."""
    return float(np.sign(twist) if abs(twist) >= MOST_TWISTED else np.tanh(twist))


def _ends(best: PopulationMaximum, mixed: Mixed) -> tuple[float, float]:
    """Return a 95 % interval of the correlation: of its likelihood, where it has no curvature at the maximum."""
    twist = float(best.full[-1])
    variance = float(uncertainty(best.objective, best.full).covariance[-1, -1])
    if abs(twist) < MOST_TWISTED and 0 < variance < np.inf:
        half = NORMAL_95 * np.sqrt(variance)
        return _correlation(twist - half), _correlation(twist + half)
    twist = float(np.clip(twist, -MOST_TWISTED, MOST_TWISTED))
    place = np.arange(len(best.full)) == len(best.full) - 1
    top = float(best.objective.by_person(best.full).sum())

    def deviance(value: float) -> float:
        """Return by how much all else falls short when the correlation is held, less what an interval allows."""
        held = np.where(place, value, best.full)
        objective = best.objective
        again = by_quadrature(objective.profiles, mixed.holding(place, held), objective.decisions, held, None)
        return float(2 * (top - again.objective.by_person(again.full).sum()) - chi2.ppf(0.95, 1))

    def end(limit: float) -> float:
        return limit if twist == limit or deviance(limit) <= 0 else brentq(deviance, twist, limit, xtol=_CLOSE)

    return _correlation(end(-MOST_TWISTED)), _correlation(end(MOST_TWISTED))


def _icc(both: Real) -> dict[str, object]:
    """Return ICC(3,1) of two measurements [n, 2] with its F interval (Shrout and Fleiss 1979)."""
    count = len(both)
    if count < _FEWEST:
        return {"measure": "icc_points", "num_people": count}
    between = 2 * both.mean(axis=1).var(ddof=1)
    difference = both[:, 1] - both[:, 0]
    within = difference.var(ddof=1) / 2
    ratio = between / within
    bound = f_distribution.ppf(0.975, count - 1, count - 1)
    estimate, low, high = ((r - 1) / (r + 1) for r in (ratio, ratio / bound, ratio * bound))
    return {"measure": "icc_points", "estimate": estimate, "ci_low": low, "ci_high": high, "num_people": count}


def _split_half(hypothesis: SoftOptimalModel, sessions: Sessions, place: int) -> dict[str, object]:
    """Return the correlation of two halves of a session, lengthened to the whole by Spearman and Brown."""
    if sessions.log.counted:
        return {"num_people": 0}
    cells = np.isin(sessions.log.subject, sessions.measures.cell[:, place])
    parted = halves(sessions.log.select(cells))
    estimates = dict(zip(parted.subjects, _points(hypothesis, parted)[0], strict=True))
    pairs = np.array([[estimates.get((label, half), np.nan) for half in (0, 1)] for label in sessions.cells(place)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < _FEWEST:
        return {"num_people": len(pairs)}
    between = float(np.corrcoef(pairs.T)[0, 1])
    ends = np.tanh(np.arctanh(between) + NORMAL_95 / np.sqrt(max(len(pairs) - 3, 1)) * np.array([-1.0, 1.0]))
    estimate, low, high = (2 * r / (1 + abs(r)) for r in (between, *ends))
    return {"estimate": estimate, "ci_low": low, "ci_high": high, "num_people": len(pairs)}


def _ceiling(sds: Real, errors: Real) -> dict[str, object]:
    """Return the correlation that estimates with these standard errors [n, 2] show of people who do not change."""
    if not len(errors):
        return {"measure": "ceiling", "num_people": 0}
    share = sds**2 / (sds**2 + (errors**2).mean(axis=0))
    return {"measure": "ceiling", "estimate": float(np.sqrt(share.prod())), "num_people": len(errors)}


def _meaning(measure: str) -> str:
    if measure.startswith("split_half"):
        return "estimates of every other episode with the others', one session (Spearman-Brown)"
    return {
        "icc_points": "agreement of everybody's own estimates of both sessions, ICC(3,1)",
        "model_correlation": "correlation of the log temperatures themselves, by the joint model of both sessions",
        "ceiling": "largest correlation of estimates with such standard errors, if nobody changed",
    }[measure]


def _notes(sessions: Sessions, kept: npt.NDArray[np.bool_], correlation: dict[str, float]) -> list[str]:
    notes = []
    if abs(correlation["estimate"]) == 1:
        notes.append(
            f"model_correlation is at its edge, {correlation['estimate']:+.0f}: what the data tell of it is its "
            f"interval, {correlation['ci_low']:.2f} to {correlation['ci_high']:.2f}"
        )
    if sessions.once:
        notes.append(
            f"{len(sessions.once)} people were met in one session only and are left out: {shortlist(sessions.once)}"
        )
    if not kept.all():
        edge = [label for label, inner in zip(sessions.people, kept, strict=True) if not inner]
        notes.append(
            f"{len(edge)} people are at a boundary in a session, so that icc_points and ceiling leave them out: "
            f"{shortlist(edge)}; the joint model keeps them"
        )
    return notes
