"""assumptions: what a comparison of temperatures takes for granted, tested on the data."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2

from humansoft.checking import require_valid
from humansoft.codebook import Codebook
from humansoft.data.columns import Columns
from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, shortlist
from humansoft.evaluate.anchor import anchor_names, anchors_of, people_without_anchor
from humansoft.evaluate.fitted_decisions import require_fitted
from humansoft.evaluate.flatness import training_likelihood
from humansoft.evaluate.gap_bins import GapBins, gap_bins
from humansoft.evaluate.groups import group_of_people
from humansoft.fit.fitting import fit as fit_model
from humansoft.fit.identification import identify
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.rewards.linear import LinearReward
from humansoft.temperature import Fixed, PerSubject
from humansoft.threads import one_thread

LEVEL = 0.01
"""A verdict speaks against an assumption from this p on."""

_SAME = 1e-6  # of a log-likelihood, relative


@dataclass(frozen=True)
class _Row:
    """One assumption, tested."""

    test: str
    verdict: str
    statistic: float = float("nan")
    df: float = float("nan")
    p: float = float("nan")
    group: Hashable = "all"


@one_thread()
def assumptions(fit: Fit, log: BehaviorLog | None = None, by: str | None = None) -> pd.DataFrame:
    r"""Test what a comparison of temperatures takes for granted.

    - "shared reward": likelihood-ratio test of one reward for all against a reward for each person, all else (choice
      terms, planner) alike; as many degrees of freedom as the data identify more parameters.
    - "mistakes by cost": are mistakes as exponentially unlikely in their cost as the model says? Chi-squared of the
      mistakes counted in bins of cost against those expected, given that the parameters were estimated. For each group
      with ``by``: misfit that differs between groups is absorbed into their temperatures.
    - "anchor": does the weight that gives the unit make a difference to everybody's choices?

    Fits of a population are tested at the estimates of the same people fitted one by one, without it.

    Args:
        fit: a fit.
        log: the log that was fitted. Needed with a horizon, and for sticky people's shared reward: the fit keeps how
            often each decision was made, but not when.
        by: a participants' column; mistakes are tested in each of its groups.

    Returns:
        One row a test (and group): test, group, statistic, df, p, verdict. What cannot be tested has a verdict
        that says why, and no numbers.

    Raises:
        NotConvergedError: the fit stopped early.
        UsageError: another log than the one fitted, none where it is needed, or an unknown column.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.L\n..G", discount=0.95, legend={"L": "lava"})
        >>> people = hs.plan(task, {"goal": 1.0, "lava": -1.0}, temperature={"ann": 0.3, "bob": 0.6})
        >>> log = hs.simulate(people, episodes=40, seed=1, max_steps=20)
        >>> reward = hs.LinearReward(["goal", "lava"], fixed={"goal": 1.0})
        >>> found = hs.assumptions(hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject()), log))
        >>> bool((found["p"].dropna() > 0.01).all())
        True
    """
    fit.require_converged()
    alone = _one_by_one(fit, log)
    likelihood = _likelihood(alone, log)
    rows = [_shared_reward(alone, log)]
    everybody = np.ones(len(alone.subjects), dtype=bool)
    if by is None:
        rows.append(_mistakes(alone, likelihood, everybody, "all"))
    else:
        groups, code = group_of_people(fit, by)
        code = code[fit.subjects.encode(alone.subjects.values)]
        rows += [_mistakes(alone, likelihood, code == g, label) for g, label in enumerate(groups.values)]
    rows.append(_anchor(fit))
    names = ["test", "group", "statistic", "df", "p", "verdict"]
    return pd.DataFrame([{name: getattr(row, name) for name in names} for row in rows], columns=names)


def _one_by_one(fit: Fit, log: BehaviorLog | None) -> Fit:
    """Return the fit of the same people without a population.

    What both tests ask is asked of choices, and their distributions are those of maximum likelihood: estimates of a
    population's people are drawn towards each other, and its likelihood is a marginal one.
    """
    if fit.population is None:
        return fit
    if log is None:
        _require_complete(fit)
    else:
        require_valid(log, fit.model.task)
        require_fitted(fit, log)
    temperature = fit.model.temperature if fit.model.rows_are_people else PerSubject()
    hypothesis = fit.model.changed(temperature=temperature)
    return fit_model(hypothesis, log or _counted(fit), allow_unidentified=True)


def _require_complete(fit: Fit) -> None:
    """Refuse to do without the log where the fit keeps too little of it."""
    if fit.model.task.horizon is not None:
        raise UsageError(
            "a fit with a horizon keeps no times of decisions: give the log that was fitted, assumptions(fit, log)"
        )
    if fit.population is not None and fit.model.choice.is_sticky:
        raise UsageError(
            "a population of sticky people is tested one by one, which takes what they did before each decision: give "
            "the log that was fitted, assumptions(fit, log)"
        )


def _likelihood(fit: Fit, log: BehaviorLog | None) -> AbstractLikelihood:
    """Return the likelihood of the decisions that were fitted."""
    if log is None:
        _require_complete(fit)
        return training_likelihood(fit)
    require_valid(log, fit.model.task)
    strangers = [label for label in log.subjects if label not in fit.subjects]
    if strangers:
        raise UsageError(f"this is not the log that was fitted: the fit does not know {shortlist(strangers)}")
    found = likelihood_of(fit.model, fit.model.observe(log))
    value = found.value(found.start())
    if abs(value - fit.log_likelihood) > _SAME * max(1.0, abs(fit.log_likelihood)):
        raise UsageError(
            f"this is not the log that was fitted: its log-likelihood is {value:.3f}, that of the fit is "
            f"{fit.log_likelihood:.3f}"
        )
    return found


def _shared_reward(fit: Fit, log: BehaviorLog | None) -> _Row:
    """Test one reward for all against one for each person."""
    name, model = "shared reward", fit.model
    why = _no_shared_reward(fit, logged=log is not None)
    if why:
        return _Row(name, f"not tested: {why}")
    log, shared = log or _counted(fit), fit
    edge = fit.temperatures()["boundary"].to_numpy() != ""
    if edge.any():
        log = log.select(~edge[fit.subjects.encode(log.codebook.subjects.values)[log.subject]])
    reward = model.reward
    assert isinstance(reward, LinearReward)
    absent = {name: value for name, value in reward.fixed.items() if value == 0.0}
    wide = model.changed(reward=LinearReward(reward.features, absent, shared=False), temperature=Fixed(1.0))
    people = len(log.subjects)
    if people < 2:
        return _Row(name, "not tested: it takes two people who are at no boundary")
    alone = _not_alone(wide, log)
    if alone:
        return _Row(
            name,
            f"not tested: the decisions of {shortlist(alone)} do not identify a reward of their own. Leave them out, "
            "or fix a weight that nobody meets at 0",
        )
    if edge.any():
        shared = fit_model(model.changed(), log)
    free = fit_model(wide, log)
    if not (free.converged and shared.converged):
        return _Row(name, "not tested: somebody's own reward has no finite estimate (they never erred, for instance)")
    statistic = max(0.0, 2 * (free.log_likelihood - shared.log_likelihood))
    df = _rank_planned(free) - _rank_planned(shared)
    p = float(chi2.sf(statistic, df))
    left_out = f" {int(edge.sum())} at a boundary left out." if edge.any() else ""
    verdict = (
        "people differ in what they want: their temperatures are no common scale; use rationality()"
        if p < LEVEL
        else "nothing against one reward for everybody"
    )
    return _Row(name, f"{verdict} ({people} people).{left_out}", statistic, float(df), p)


def _no_shared_reward(fit: Fit, logged: bool) -> str:
    """Say why there is no shared reward to be tested, or nothing."""
    model = fit.model
    if model.rows_are_people:
        return "everybody has a reward of their own in this fit"
    if not isinstance(model.reward, LinearReward):
        return "only a LinearReward has a form with weights for each person"
    weights = [row for row in model.table.rows if row.kind == "reward" and row.fixed != 0.0]
    if model.choice.is_sticky and not logged:
        return "sticky people's choices depend on what they did before, which takes the log: assumptions(fit, log)"
    if len(weights) < 2:
        return "with a single weight, a reward of one's own is a temperature of one's own"
    return ""


def _not_alone(wide: SoftOptimalModel, log: BehaviorLog) -> list[Hashable]:
    """Return the people whose decisions do not identify a reward of their own."""
    report = identify(wide, log)
    if report.identified:
        return []
    moving = {name for d in report.directions if d.severity == "structural" for name in d.parameters}
    rows = wide.bind(log).table.rows
    found = list(dict.fromkeys(row.label for row in rows if row.kind == "reward" and str(row) in moving))
    return found or list(log.subjects)


def _rank_planned(fit: Fit) -> int:
    """Return how many parameters are identified but those of choice terms, which both sides of a test have.

    One of them may hold a lapse at its boundary where the other does not.
    """
    table = fit.model.table
    return fit.rank - int(table.free[table.choices].sum())


def _counted(fit: Fit) -> BehaviorLog:
    """Return the decisions that a fit keeps as a counted log."""
    counts, model = fit.training.counts, fit.model
    size = len(counts)
    subject, state, action = (
        counts[name].to_numpy(dtype=np.int64, copy=True) for name in ("subject", "state", "action")
    )
    never, nothing = np.zeros(size, dtype=bool), np.full(size, -1, dtype=np.int64)
    return BehaviorLog(
        frame=counts.copy(),
        columns=Columns(episode=None, step=None, weight="weight"),
        codebook=Codebook(fit.subjects, model.task.states, model.task.actions),
        row=np.arange(size),
        subject=subject,
        state=state,
        action=action,
        episode=subject,
        step=np.zeros(size, dtype=np.int64),
        next_state=nothing,
        weight=counts["weight"].to_numpy(dtype=float, copy=True),
        terminated=never,
        truncated=never,
        participants=fit.training.participants,
        source=fit.training.source,
        multiplicity=np.ones(size, dtype=np.int64),
    )


def _mistakes(fit: Fit, likelihood: AbstractLikelihood, people: npt.NDArray[np.bool_], group: Hashable) -> _Row:
    """Test whether the mistakes of some people are as likely as what they cost makes them."""
    name = "mistakes by cost"
    if not fit.converged:
        return _Row(
            name, "not tested: one by one, without the population, somebody has no finite estimate", group=group
        )
    bins = gap_bins(fit, likelihood, people)
    statistic, df, p = bins.test
    if df == 0:
        return _Row(name, "not tested: too few mistakes are expected to be sorted by cost", group=group)
    if p >= LEVEL:
        verdict = "mistakes are as unlikely as the model says in what they cost"
    else:
        verdict = f"mistakes do not follow the model ({_how(bins)}): the temperature absorbs the misfit"
    return _Row(name, verdict, statistic, float(df), p, group)


def _how(bins: GapBins) -> str:
    """Say on which side the mistakes are too many."""
    worst = int(((bins.seen - bins.expected) / np.sqrt(bins.expected)).argmax())
    size = "costly" if bins.cost[worst] > np.median(bins.cost) else "cheap"
    return f"too many {size} ones: {bins.seen[worst]:.0f} seen, {bins.expected[worst]:.1f} expected"


def _anchor(fit: Fit) -> _Row:
    """Say whether the anchor acts on everybody."""
    name = "anchor"
    if not anchors_of(fit):
        return _Row(name, "no weight is anchored: temperatures have no unit beyond this fit")
    silent, people = people_without_anchor(fit), len(fit.subjects)
    named = ", ".join(anchor_names(fit))
    if silent:
        verdict = f"{named} makes no difference to any choice of {shortlist(silent)}: they have no part in its unit"
    else:
        verdict = f"{named} makes a difference to the choices of all {people} people"
    return _Row(name, verdict, statistic=float(people - len(silent)))
