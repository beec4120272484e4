"""The likelihood of people with choice terms: what they plan, tilted by habits and spoilt by lapses.

With log pi' = f(log pi, previous action, weights) of each decision (:mod:`humansoft.solvers.choosing`), first and
second derivatives are those of the planned policy with other counts. Where action a was chosen n(a) times, w(a) is the
share of it that is no lapse, and N = sum n w,

    G(a) = n(a) w(a) - N p(a)                                        derivative by log pi(a)
    H    = H_G - N Cov_p(e, e) + sum n w (1 - w) (e - l) (e - l)' - sum n epsilon (1 - epsilon) l l'

with H_G the second derivative of sum(G * log pi), e = d log p / d parameters, and l the direction of the lapse's logit.
"""

import copy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE, NONE
from humansoft.choice import ChoiceTerms
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.model import SoftOptimalModel
from humansoft.solvers.choosing import ChoiceRule, Chosen
from humansoft.solvers.derivatives import by_row
from humansoft.solvers.expansion import Observations
from humansoft.solvers.solution import SolveStatus

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def as_planned(model: SoftOptimalModel) -> SoftOptimalModel:
    """Return the same people, with the same parameters, who do what they plan: without choice terms."""
    planned = copy.deepcopy(model)
    planned.choice = ChoiceTerms((), model.task)
    planned.table = model.table.planned
    return planned


@dataclass(frozen=True, eq=False)
class Situations:
    """The distinct situations in which people decided (D of them): where, when, for whom, and after what.

    Attributes:
        position: [D] place in a time-major table of the states.
        previous: [D] code of the action made before, -1 for none.
        row: [D] row of the model, in ascending order.
        number: [D, A] how often each action was chosen.
        of_observation: [N] the situation of each observation.
    """

    position: Index
    previous: Index
    row: Index
    number: Float[Tensor, "D A"]
    of_observation: Index


@dataclass(eq=False)
class ChoiceLikelihood(ExactLikelihood):
    """The exact likelihood of a model with choice terms, for all of its people."""

    _latest_choices: tuple[bytes, Chosen, Tensor] | None = field(default=None, repr=False)

    @cached_property
    def situations(self) -> Situations:
        """The situations that occur; what people did in them is summed up first."""
        seen, num_actions = self.observations, len(self.model.task.actions)
        first, back, before, number = distinct_situations(seen, seen.row, self._position, num_actions)
        return Situations(self._position[first], before, seen.row[first], torch.from_numpy(number), back)

    def log_prob(self, full: Float[Tensor, " P"]) -> Float[Tensor, " N"] | None:
        """Return log pi'(a|s) of each observation, or ``None`` where the problem has no solution."""
        if self.solve(full).status is not SolveStatus.CONVERGED:
            return None
        place = torch.from_numpy(self.situations.of_observation)
        return self._chosen(full)[0].log_prob[place, torch.from_numpy(self.observations.action)]

    def value(self, full: Float[Tensor, " P"]) -> float:
        """Return the log-likelihood, minus infinity where the problem has no solution."""
        if self.solve(full).status is not SolveStatus.CONVERGED:
            return -np.inf
        number = self.situations.number
        return float(torch.where(number > 0, number * self._chosen(full)[0].log_prob, 0.0).sum())

    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return d log L / d parameters [P], 0 for fixed ones."""
        chosen, pull = self._chosen(full)
        found, table = self._gradient_of(full, self._by_state(pull)), self.model.table
        rule, number = self._rule(full), self.situations.number
        by_weight = torch.einsum("da,dak->k", pull, self._tilts)
        if rule.lapses:
            by_weight = torch.cat([by_weight, chosen.by_lapse(number, rule.logit_lapse).sum()[None]])
        found[table.choices] = np.where(table.free[table.choices], by_weight.numpy(), 0.0)
        return found

    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the exact Hessian of log L [P, P]."""
        chosen, pull = self._chosen(full)
        here, counts = self.situations, self._by_state(pull)
        derivatives, rows = self._derivatives(full), torch.from_numpy(here.row)
        by_state = derivatives.hessian(counts, self.expansion.row.to(counts.device)).cpu()
        change, done = self._change(full), here.number * chosen.kept
        planned = change * (done.sum(dim=-1, keepdim=True) * chosen.tilted)[..., None]
        by_state -= by_row(planned, change, rows, len(by_state))
        color = self._lapse_color
        if color is not None:
            change[..., color] = -1.0
        if self._rule(full).lapses:
            by_state += by_row(change * (done * (1.0 - chosen.kept))[..., None], change, rows, len(by_state))
        if color is not None:
            lapse = self._rule(full).logit_lapse.sigmoid()
            each = torch.zeros(len(by_state), dtype=DTYPE).index_add_(0, rows, here.number.sum(dim=-1))
            by_state[:, color, color] -= each * lapse * (1.0 - lapse)
        found = ArrowMatrix.of_rows(self.directions.layout, by_state.numpy())
        if self.model.reward.is_linear:
            return found
        by_reward = derivatives.adjoint.by_reward(derivatives.adjoint.pull(counts))
        return self._bent(full, self._pulled(by_reward), found)

    def jacobian(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Real:
        """Return d log pi'(a|s) / d color of each observation [N, colors]; see the base class for ``shift``."""
        scores = self._own_scores(full, shift).numpy()
        found: Real = scores[self.situations.of_observation, self.observations.action]
        return found

    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the Fisher information [P, P]: sum over visits of E[score score'] under the model."""
        here, scores = self.situations, self._own_scores(full)
        share = here.number.sum(dim=-1, keepdim=True) * self._chosen(full)[0].log_prob.exp()
        by_state = by_row(scores * share[..., None], scores, torch.from_numpy(here.row), 0)
        return ArrowMatrix.of_rows(self.directions.layout, by_state.numpy())

    def _of(self, observations: Observations) -> "ChoiceLikelihood":
        return ChoiceLikelihood(self.model, observations)

    def _own_scores(
        self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None
    ) -> Float[Tensor, "D A C"]:
        """Return d log pi' / d color in each situation, 0 for actions that cannot be chosen."""
        chosen, rule = self._chosen(full)[0], self._rule(full)
        scores = chosen.kept[..., None] * self._change(full, shift)
        if self._lapse_color is not None:
            own = 1.0 - chosen.kept - rule.logit_lapse.sigmoid()
            scores[..., self._lapse_color] = torch.where(torch.isfinite(chosen.log_prob), own, 0.0)
        return scores

    def _change(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Float[Tensor, "D A C"]:
        """Return d log p / d color in each situation: of what is done without lapses."""
        chosen, table = self._chosen(full)[0], self.model.table
        change = self._scores(full, self.situations.position, shift)
        colors = table.colors[table.choices][: self._tilts.shape[-1]]
        learned = np.flatnonzero(colors >= 0)
        change[..., torch.from_numpy(colors[learned])] = self._tilts[..., torch.from_numpy(learned)]
        change -= (chosen.tilted[..., None] * change).sum(dim=1, keepdim=True)
        return change.masked_fill_(~torch.isfinite(chosen.log_prob)[..., None], 0.0)

    def _chosen(self, full: Float[Tensor, " P"]) -> tuple[Chosen, Float[Tensor, "D A"]]:
        """Return what is done in each situation, and the derivative by log pi (G); those of the last one are kept."""
        key = full.detach().numpy().tobytes()
        if self._latest_choices is None or self._latest_choices[0] != key:
            here, logs = self.situations, self.solve(full).log_policy
            place = torch.from_numpy(here.position).to(logs.device)
            planned = logs.reshape(-1, logs.shape[-1])[place].cpu()
            chosen = self._rule(full).choose(planned, here.previous)
            self._latest_choices = (key, chosen, chosen.pull(here.number))
        return self._latest_choices[1:]

    def _by_state(self, table: Float[Tensor, "D A"]) -> Float[Tensor, "T M A"]:
        """Add up a table of situations over those of one state (and time)."""
        times, states = self.model.task.horizon or 1, len(self.expansion.state)
        found = torch.zeros((times * states, table.shape[1]), dtype=DTYPE)
        found.index_add_(0, torch.from_numpy(self.situations.position), table)
        return found.view(times, states, -1).to(self.expansion.problem.device)

    def _rule(self, full: Float[Tensor, " P"]) -> ChoiceRule:
        return self.model.choice.rule_at(full.detach()[self.model.table.choices])

    @cached_property
    def _tilts(self) -> Float[Tensor, "D A K"]:
        """What each stickiness and bias multiplies in every situation."""
        here = self.situations
        return self.model.choice.rule_at(torch.zeros(0, dtype=DTYPE)).tilts(here.previous, here.number.shape)

    @property
    def _lapse_color(self) -> int | None:
        """Color of the logit of the lapse, where it is learned."""
        table = self.model.table
        colors = table.colors[table.is_lapse & table.free]
        return int(colors[0]) if len(colors) else None


def distinct_situations(
    seen: Observations, who: Index, place: Index, num_actions: int
) -> tuple[Index, Index, Index, Real]:
    """Sum up what was done in each situation: by somebody ([N] ``who``), somewhere ([N] ``place``), after an action.

    Returns:
        The first observation of each situation [D], in the order of ``who``, the situation of each observation [N],
        the action made before [D] (-1 for none), and how often each action was chosen [D, A].
    """
    before = np.full(len(seen), NONE) if seen.previous is None else seen.previous
    key = (who * (place.max(initial=0) + 1) + place) * (num_actions + 1) + before + 1
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    number = np.bincount(back * num_actions + seen.action, seen.weight, len(first) * num_actions)
    return first, back, before[first], number.astype(np.float64).reshape(-1, num_actions)
