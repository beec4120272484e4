"""fit_mixture: several types of people, each with its own parameters, and nobody's type known (EM)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.special import logsumexp

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import LogError, NotConvergedError, UsageError
from humansoft.fit.fitting import fit
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.temperature import Fixed, Shared
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

_TOLERANCE, _MOST_ROUNDS, _FIRST_ROUNDS = 1e-5, 500, 8
_STEPS = 5  # of the optimiser in a round: it need not arrive, for people's types move once more
_LEAST_SHARE = 1e-12  # a person who belongs less to a type than this says nothing about it


@dataclass(frozen=True, eq=False)
class Mixture:
    """Types of people that were found in a log, the most frequent first.

    Attributes:
        fits: one fit a type, of everybody's decisions weighted by how far they belong to it. Its standard errors take
            types for known; they are too small where people are between types.
        shares: [K] share of people of each type.
        responsibilities: probability of each type [columns] for each person [rows].
        log_likelihood: of all decisions, with types unknown.
        num_decisions: weighted decisions with a response and more than one option.
        rank: number of identified parameters: those of all types, and shares less one.
        history: log-likelihood after each round of the start that won; it never falls.
        starts: final log-likelihood of every start; several that agree on the best speak for a global optimum.
        seed: of the starts.
    """

    fits: tuple[Fit, ...]
    shares: Real
    responsibilities: pd.DataFrame
    log_likelihood: float
    num_decisions: float
    rank: int
    history: tuple[float, ...]
    starts: tuple[float, ...]
    seed: int

    @property
    def aic(self) -> float:
        """Akaike's criterion, with the number of identified parameters."""
        return 2 * self.rank - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with the number of identified parameters and decisions, as of a :class:`Fit`."""
        return float(np.log(self.num_decisions) * self.rank - 2 * self.log_likelihood)

    def summary(self) -> pd.DataFrame:
        """Return the table to read: each type's share of people, then its parameters as in ``Fit.summary``."""
        tables = []
        for number, (share, one) in enumerate(zip(self.shares, self.fits, strict=True), 1):
            table = one.summary()
            row = {name: "" if table[name].dtype == object else np.nan for name in table.columns}
            row |= {"estimate": share, "unit": "share of people"}
            first = pd.DataFrame([row], index=pd.MultiIndex.from_tuples([("share", "all")], names=table.index.names))
            both = pd.concat([first[["estimate", "unit"]], table.astype(object)]).reindex(columns=table.columns)
            tables.append(pd.concat({number: both}, names=["type"]))
        return pd.concat(tables)

    def __repr__(self) -> str:
        """Show what was found, not the tables."""
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        return (
            f"Mixture({len(self.fits)} types: {shares} of {len(self.responsibilities)} people, log-likelihood "
            f"{self.log_likelihood:.3f}, {self.rank} parameters)"
        )


@one_thread()
def fit_mixture(
    models: SoftOptimalModel | Sequence[SoftOptimalModel],
    log: BehaviorLog,
    num_types: int = 2,
    *,
    seed: int,
    num_starts: int = 5,
) -> Mixture:
    r"""Find types of people by maximum likelihood, when nobody's type is known (expectation-maximisation).

    Every person belongs to one type for good. In turn, people are given the probability of each type under the
    present parameters, and each type's model is fitted to all decisions weighted by it. This goes on from several
    random starts for a few rounds, and from the best of them to the end.

    Args:
        models: one model, of which every type has its own parameters; or one for each type (different planners,
            different rewards), when ``num_types`` is their number. All with what a type shares:
            ``Fixed`` or ``Shared`` temperature and a shared reward.
        log: the decisions.
        num_types: number of types, when there is one model.
        seed: of the starts; same seed, same result.
        num_starts: number of starts.

    Returns:
        The types, the most frequent first. Compare numbers of types by ``bic``.

    Raises:
        UsageError: fewer than two types or people, or parameters of each person.
        IdentificationError: a type's model is not identified.
        NotConvergedError: the likelihood still rises after 500 rounds.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..G\n.L..", discount=0.95, legend={"L": "lava"})
        >>> temperatures = {f"p{i}": 0.3 if i < 4 else 3.0 for i in range(8)}
        >>> log = hs.simulate(hs.plan(task, {"step": -1.0}, temperature=temperatures), 10, seed=1)
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.Shared())
        >>> hs.fit_mixture(model, log, num_types=2, seed=1, num_starts=2).shares.round(1).tolist()
        [0.5, 0.5]
    """
    types = [models] * num_types if isinstance(models, SoftOptimalModel) else list(models)
    require_valid(log, types[0].task)
    _require_types(types, log)
    likelihoods = []
    for model in types:
        whole = fit(model, log, seed=seed)  # refuses what is not identified, and tells where to begin
        bound = model.bind(log)
        likelihoods.append((likelihood_of(bound, bound.observe(log)), whole.model))
    generator = np.random.default_rng(seed)
    em = _Mixing([own for own, _ in likelihoods], log)
    begun = []
    for _ in range(num_starts):
        shares = generator.dirichlet(np.ones(len(types)), size=len(log.subjects))
        begun.append(em.run(shares, _FIRST_ROUNDS))
    best = max(begun, key=lambda state: state.history[-1])
    ended = em.run(best.responsibility, _MOST_ROUNDS, best)
    if not ended.settled:
        raise NotConvergedError(
            f"after {len(ended.history)} rounds the log-likelihood still rises ({ended.history[-1]:.6f}): people are "
            "between types; ask for fewer of them"
        )
    return _assembled(types, log, ended, [state.history[-1] for state in begun], seed)


@dataclass(frozen=True)
class _State:
    """Where expectation-maximisation has come to."""

    responsibility: Real
    shares: Real
    points: list[Real]
    history: list[float]
    settled: bool


@dataclass(frozen=True)
class _Mixing:
    """The rounds of expectation-maximisation."""

    likelihoods: list[AbstractLikelihood]
    log: BehaviorLog

    def run(self, responsibility: Real, rounds: int, before: _State | None = None) -> _State:
        """Take up to so many rounds from people's probabilities of types [B, K]."""
        points = list(before.points) if before else [one.start().numpy().copy() for one in self.likelihoods]
        history = list(before.history) if before else []
        for _ in range(rounds):
            shares = responsibility.mean(axis=0)
            points = [self._fitted(k, responsibility[:, k], points[k]) for k in range(len(points))]
            by_person = [one.by_person(torch.from_numpy(p)) for one, p in zip(self.likelihoods, points, strict=True)]
            with np.errstate(divide="ignore"):  # a type may lose everybody
                joint = np.log(shares) + np.stack(by_person, axis=1)
            total = logsumexp(joint, axis=1)
            responsibility = np.exp(joint - total[:, None])
            history.append(float(total.sum()))
            if len(history) > 1 and history[-1] - history[-2] < _TOLERANCE:
                return _State(responsibility, shares, points, history, settled=True)
        return _State(responsibility, shares, points, history, settled=False)

    def _fitted(self, k: int, weight: Real, start: Real) -> Real:
        """Maximise a type's likelihood with people weighted, from where it was."""
        from humansoft.fit.learner import DecisionDataModule, SoftOptimalLearner, find_feasible_start, run_trainer

        whole = self.likelihoods[k]
        seen, kept = whole.observations, weight > _LEAST_SHARE
        if not whole.model.table.num_free or not kept.any():
            return start
        some = seen.select(kept[seen.person])
        weighted = likelihood_of(whole.model, dataclasses.replace(some, weight=some.weight * weight[some.person]))
        data = DecisionDataModule(whole.model, self.log, weighted)
        learner = SoftOptimalLearner(data.likelihood, _STEPS, near=bool(np.any(start)))
        learner.start_at(start)
        if not learner.is_feasible() and not find_feasible_start(learner):
            weighted.require_solvable(learner.full)
        before = weighted.value(torch.from_numpy(start))
        run_trainer(learner, data)
        found: Real = learner.full.detach().numpy().copy()
        # A flat or runaway type must not undo what the last round had reached.
        return found if weighted.value(torch.from_numpy(found)) >= before else start


def _require_types(types: Sequence[SoftOptimalModel], log: BehaviorLog) -> None:
    if len(types) < 2:
        raise UsageError(f"{len(types)} type of people is no mixture: ask for at least two, or use fit")
    if len(log.subjects) < len(types):
        raise LogError(f"{len(log.subjects)} people cannot be of {len(types)} types")
    for model in types:
        if not isinstance(model.temperature, Fixed | Shared) or model.bind(log).rows_are_people:
            raise UsageError(
                "people of a type share its parameters: use temperature=Fixed(...) or Shared() and a shared reward, "
                f"not {model.temperature!r} and {model.reward!r}"
            )


def _assembled(
    types: Sequence[SoftOptimalModel], log: BehaviorLog, ended: _State, starts: list[float], seed: int
) -> Mixture:
    order = np.argsort(-ended.shares, kind="stable")
    place = types[0].bind(log).subjects.encode(log.codebook.subjects.values)[log.subject]
    fits = []
    for k in order:
        share = ended.responsibility[:, k][place]
        kept = share > _LEAST_SHARE
        if not kept.any():
            raise UsageError(f"a type is left without people: ask for fewer than {len(types)} types")
        weighted = dataclasses.replace(log.select(kept), weight=(log.weight * share)[kept])
        fits.append(fit(types[k], weighted, seed=seed, allow_unidentified=True))
    people = types[0].bind(log).subjects
    return Mixture(
        fits=tuple(fits),
        shares=ended.shares[order],
        responsibilities=pd.DataFrame(
            ended.responsibility[:, order],
            index=pd.Index(list(people.values), name="subject", tupleize_cols=False),
            columns=pd.RangeIndex(1, len(types) + 1, name="type"),
        ),
        log_likelihood=ended.history[-1],
        num_decisions=sum(one.num_decisions for one in fits),
        rank=sum(one.rank for one in fits) + len(types) - 1,
        history=tuple(ended.history),
        starts=tuple(starts),
        seed=seed,
    )
