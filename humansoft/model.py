"""SoftOptimalModel: a hypothesis about people = reward + temperature + planner on a task."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

from humansoft._types import DTYPE, NONE
from humansoft.choice import ChoiceTerm, ChoiceTerms
from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.devices import usable
from humansoft.errors import ModelError, did_you_mean
from humansoft.parameters import Parameters
from humansoft.planners import PLANNERS, Planner, checked_prior, log_prior, refuse_for_networks
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.exact import SampledSolver, Solver, refuse_impossible, solve_stationary, solver_named
from humansoft.solvers.expansion import Expansion, Observations, expand
from humansoft.solvers.feasibility import require_solved
from humansoft.solvers.finite_horizon import solve_finite_horizon
from humansoft.solvers.goal_expansion import GoalExpansion, expand_goals
from humansoft.solvers.goals import solve_goals
from humansoft.solvers.observing import Unit, observed
from humansoft.solvers.policy import Policy
from humansoft.solvers.solution import SoftSolution, SolveStatus
from humansoft.tasks.task import Task
from humansoft.temperature import AVERAGE_PERSON, Fixed, PerGroup, PerSubject, Shared, Temperature, named, scaled

Index = npt.NDArray[np.int64]

_PARTS = ("task", "reward", "temperature", "planner", "prior", "solver", "device")


class SoftOptimalModel(nn.Module):
    r"""People who plan and act soft-optimally: pi(a|s) = prior(a|s) exp((Q(s,a) - V(s)) / temperature).

    Args:
        task: what they could do.
        reward: what they want; by default a weight for every feature.
        temperature: :class:`Fixed`, :class:`Shared`, :class:`PerGroup` or :class:`PerSubject`; a formula over
            columns of the participants, "~ group + age", is short for :class:`ByFormula`.
        planner: "kl" (each step costs temperature * KL(policy || prior)), "entropy" (each step earns
            temperature * entropy) or "boltzmann" (plan hard, act soft): three hypotheses about people.
        prior: [S, A] reference policy of the "kl" planner; uniform over available actions by default.
        solver: how to solve, as an object or by name; chosen by the task when not given. Solvers that learn from
            samples ("soft_q_learning") predict and simulate; :func:`humansoft.fit` maximises the exact likelihood.
        choice: what they do at the moment of choice that is no part of their plan: :class:`Lapse`,
            :class:`Stickiness`, :class:`ActionBias`, one of them or a list.
        device: where the soft Bellman equation is solved, for example "cuda". Data, parameters and results
            stay on the CPU: only rewards and temperatures travel there, and what was asked for back.

    The model does not know the people yet; :meth:`bind` returns a copy with parameters for those of
    a log. :func:`humansoft.fit` does so itself and never changes the model it is given.

    Example:
        >>> task = Task.grid("S.G\n...", discount=0.95)
        >>> SoftOptimalModel(task, LinearReward(fixed={"step": -1.0}), PerSubject()).planner
        'kl'
    """

    log_temperature: nn.Parameter

    def __init__(
        self,
        task: Task,
        reward: AbstractReward | None = None,
        temperature: Temperature | str | None = None,
        planner: Planner = "kl",
        prior: npt.ArrayLike | None = None,
        solver: Solver | str | None = None,
        device: str | torch.device = "cpu",
        choice: Sequence[ChoiceTerm] | ChoiceTerm = (),
    ) -> None:
        """Note the hypothesis and refuse parts that do not go together."""
        super().__init__()
        if planner not in PLANNERS:
            raise ModelError(f"there is no planner {planner!r}.{did_you_mean(planner, PLANNERS)}")
        if task.goals is not None:
            refuse_for_networks(planner, prior, solver, usable(device))
        self.task = task
        self.reward = copy.deepcopy(reward) if reward is not None else LinearReward()
        self.temperature = named(temperature)
        self.planner = planner
        self.prior = None if prior is None else checked_prior(prior, task, planner)
        self.solver = solver_named(solver)
        refuse_impossible(self.solver, planner, task.horizon)
        self.device = usable(device)
        self.choice = ChoiceTerms(choice, task)
        self.subjects = Labels("subject", ())
        self.groups = Labels("group", ())
        self.group_of_subject: Index = np.zeros(0, dtype=np.int64)
        self.table = Parameters.of([])

    def changed(self, **parts: Any) -> "SoftOptimalModel":  # noqa: ANN401 - as the class takes them
        """Return the hypothesis, before it knew the people, with some parts (arguments of the class) replaced."""
        kept = {name: getattr(self, name) for name in _PARTS}
        return SoftOptimalModel(**{**kept, "choice": self.choice.terms, **parts})

    def bind(self, log: BehaviorLog) -> Self:
        """Return a copy with parameters for the people of a log (or for their groups).

        Raises:
            LogError: the group column is missing, empty, or not one value a person.
            ModelError: the reward names features that the task does not have.
        """
        people = Labels("subject", log.subjects)
        if isinstance(self.temperature, PerSubject):
            return self.bound_to(people, people, np.arange(len(people)))
        if isinstance(self.temperature, PerGroup):
            groups, codes = log.group(self.temperature.column)
            return self.bound_to(people, groups, codes[log.codebook.subjects.encode(people.values)])
        return self.bound_to(people, Labels("group", ("all",)), np.zeros(len(people), dtype=np.int64))

    def bound_to(self, subjects: Labels, groups: Labels, group_of_subject: Index) -> Self:
        """Return a copy with parameters for these people, of whom each has one group's temperature."""
        bound = copy.copy(self)
        bound._modules, bound._parameters = dict(self._modules), dict(self._parameters)
        bound.reward, bound.choice = copy.deepcopy(self.reward), copy.deepcopy(self.choice)
        bound.subjects, bound.groups, bound.group_of_subject = subjects, groups, group_of_subject
        bound.reward.build(self.task, subjects.values)
        rows = bound.reward.parameters_of(self.task, subjects.values)
        start = np.log(self.temperature.value) if isinstance(self.temperature, Fixed) else 0.0
        bound.log_temperature = nn.Parameter(torch.full((len(groups),), float(start), dtype=DTYPE))
        people = np.bincount(group_of_subject, minlength=len(groups)).astype(float)
        table = scaled(rows, self.temperature, groups, people)
        bound.table = table.followed_by(bound.choice.parameters_of())
        return bound

    def at(self, parameters: Float[Tensor, " P"]) -> Self:
        """Return the bound model at a vector of parameters (reward, log temperatures, choice terms)."""
        settled = copy.deepcopy(self)
        tensors = [*settled.reward.parameters(), settled.log_temperature, *settled.choice.parameters()]
        with torch.no_grad():
            for tensor, chunk in zip(tensors, torch.split(parameters, [t.numel() for t in tensors]), strict=True):
                tensor.copy_(chunk.view_as(tensor))
                tensor.requires_grad_(False)
        return settled

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the parameters; the task is immutable and shared."""
        copied = copy.copy(self)
        copied._modules = {k: copy.deepcopy(v, memo) for k, v in self._modules.items()}
        copied._parameters = {k: copy.deepcopy(v, memo) for k, v in self._parameters.items()}
        return copied

    @property
    def learns_from_samples(self) -> bool:
        """True when the solver does not solve the soft Bellman equation but learns from sampled decisions."""
        return isinstance(self.solver, SampledSolver)

    def solved_by(self, solver: Solver | None) -> Self:
        """Return the same people, solved for by another solver."""
        other = copy.copy(self)
        other.solver = solver
        return other

    @property
    def is_relative(self) -> bool:
        """True when the geometric-mean temperature is held at 1 because nothing else gives a scale."""
        return any(row.unit == AVERAGE_PERSON for row in self.table.rows)

    @property
    def rows_are_people(self) -> bool:
        """True when every person has a reward of their own, so that each must be solved for."""
        return any(row.kind == "reward" and row.level == "subject" for row in self.table.rows)

    def rows_of(self, log: BehaviorLog) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the row [B] of each subject of the log's codebook, and whether the model knows them.

        Unknown people get the last row: the geometric-mean temperature.
        """
        known = self.subjects.encode(log.codebook.subjects.values)
        row = known if self.rows_are_people else np.r_[self.group_of_subject, NONE][known]
        if isinstance(self.temperature, Fixed | Shared) and not self.rows_are_people:
            row = np.zeros_like(row)
        return np.where(row < 0, self._num_rows - 1, row), known >= 0

    @property
    def _num_rows(self) -> int:
        """Rows with parameters of their own, and one more for people the model does not know."""
        return (len(self.subjects) if self.rows_are_people else len(self.groups)) + 1

    def observe(self, log: BehaviorLog, by: Unit = "subject") -> Observations:
        """Return the responses of a checked log in the model's codes, summed ``by`` unit.

        Missing responses are left out, except by decision, where they keep their place with weight 0.
        """
        return observed(log, self.task, self.subjects, self.rows_of(log)[0], by, self.choice.sticks_within)

    def expand(self, row: Index, state: Index) -> Expansion:
        """Lay out the (row, context) pairs that occur, under this model's reference policy."""
        if self.task.goals is not None:
            return expand_goals(self.task, row, state, self._num_rows, is_counted=self.planner == "kl")
        reference = log_prior(self.task, self.planner, self.prior)
        return expand(self.task, row, state, self._num_rows, reference).on(self.device)

    def forward(
        self,
        expansion: Expansion,
        *,
        differentiable: bool = True,
        start: Tensor | None = None,
    ) -> SoftSolution:
        """Solve for all people at once; gradients reach the reward and ``log_temperature``.

        Args:
            expansion: the (row, context) pairs to solve for.
            differentiable: whether first derivatives are wanted.
            start: [M] value to start from.
        """
        rewards = self.reward(self.task)
        unknown = (self._average @ self.log_temperature)[None]
        row_temperature = torch.cat([self.log_temperature[self.temperature_row()], unknown]).exp()
        if rewards.shape[0] > 1:
            rewards = torch.cat([rewards, rewards.mean(dim=0, keepdim=True)])
        if isinstance(expansion, GoalExpansion):
            found = solve_goals(expansion, rewards, row_temperature)
            if found.status is not SolveStatus.OUT_OF_RANGE or not expansion.can_be_spelled_out:
                return found
        problem, reward = expansion.problem, expansion.laid_out(rewards)
        temperature = row_temperature[expansion.row].to(problem.device)
        hard = self.planner == "boltzmann"
        if self.task.horizon is not None:
            return solve_finite_horizon(problem, reward, temperature, plan_hard=hard)
        return solve_stationary(
            problem, reward, temperature, plan_hard=hard, solver=self.solver, start=start, differentiable=differentiable
        )

    @property
    def _average(self) -> Tensor:
        """[G] weights of the geometric-mean temperature over people, those at a boundary left out."""
        inner = self.table.free[self.table.is_temperature]
        people = np.bincount(self.group_of_subject, minlength=len(inner)) * (inner if inner.any() else 1.0)
        return torch.from_numpy(people / people.sum()).to(DTYPE)

    def temperature_row(self) -> Tensor:
        """Return the temperature's place for each row with parameters of its own."""
        rows = self.group_of_subject if self.rows_are_people else np.arange(len(self.groups))
        return torch.from_numpy(rows)

    def log_prob(self, observations: Observations, **options: Any) -> Float[Tensor, " N"]:  # noqa: ANN401
        """Return log pi(a|s) of each observation.

        Raises:
            SolveError: the soft Bellman equation has no finite solution at these parameters.
        """
        rows = self.log_policy_of(observations, **options)
        return rows[torch.arange(len(observations)), torch.from_numpy(observations.action)]

    def log_policy_of(self, observations: Observations, **options: Any) -> Float[Tensor, "N A"]:  # noqa: ANN401
        """Return what is done in the state of each observation, log pi(.|s) with the choice terms.

        Raises:
            SolveError: the soft Bellman equation has no finite solution at these parameters.
        """
        expansion = self.expand(observations.row, observations.state)
        solution = self(expansion, **options)
        self.require_solved(solution, expansion)
        planned: Tensor = solution.log_policy_at(expansion.position(self.task, observations))
        rule = self.choice.rule
        return planned if rule is None else rule.log_prob(planned, observations.previous)

    def require_solved(self, solution: SoftSolution, expansion: Expansion) -> None:
        """Raise the solver's sentence, with the feasible bound where there is one."""
        hottest = float(self.log_temperature.detach().max().exp())
        require_solved(solution.status, hottest, lambda t: self._solvable(expansion, t / hottest))

    def require_solvable(self, expansion: Expansion) -> None:
        """Raise the solver's sentence when there is no solution at the present parameters."""
        with torch.no_grad():
            self.require_solved(self(expansion, differentiable=False), expansion)

    def _solvable(self, expansion: Expansion, factor: float) -> bool:
        trial = self.solved_by(None)  # the bound is the problem's own: find it with the fastest solver
        trial._parameters = dict(self._parameters)
        trial.log_temperature = nn.Parameter(self.log_temperature.detach() + float(np.log(factor)))
        with torch.no_grad():
            return trial(expansion, differentiable=False).status is SolveStatus.CONVERGED

    def policy_on(self, subjects: Labels, row: Index, expansion: Expansion) -> Policy:
        """Return the policy of people with these rows on an expansion that has been laid out."""
        with torch.no_grad():
            solution = self(expansion, differentiable=False)
        self.require_solved(solution, expansion)
        here = torch.device("cpu")
        return Policy(self.task, subjects, row, expansion.on(here), solution.on(here), self.choice.rule)
