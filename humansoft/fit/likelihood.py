"""The likelihood of a bound model as a function of one flat parameter vector, and its derivatives."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor
from torch.func import functional_call

from humansoft._types import DTYPE
from humansoft.model import SoftOptimalModel
from humansoft.solvers.expansion import Observations
from humansoft.solvers.solution import SoftSolution, SolveStatus

Real = npt.NDArray[np.float64]

LOG_TEMPERATURE_LIMIT = 30.0
"""Largest |log temperature|: beyond e^30 behavior cannot be told from its limit in float64."""


@dataclass(eq=False)
class Likelihood:
    """log L(parameters) of observed decisions, exact to its second derivatives.

    Parameters are the full vector (P): the reward's tensors, then the log temperatures, fixed ones
    included. The last solution is kept as the start of the next one.

    Attributes:
        model: a bound model; never changed.
        observations: what its people did.
    """

    model: SoftOptimalModel
    observations: Observations
    _warm: Tensor | None = field(default=None, repr=False)

    def start(self) -> Float[Tensor, " P"]:
        """Return the model's current parameters as one vector."""
        tensors = [p.detach().reshape(-1) for p in (*self.model.reward.parameters(), self.model.log_temperature)]
        return torch.cat(tensors)

    def solve(self, full: Float[Tensor, " P"], tracked_steps: int) -> SoftSolution:
        """Solve the model at a parameter vector; derivatives flow back to ``full``."""
        named = list(self.model.reward.named_parameters())
        sizes = [p.numel() for _, p in named] + [self.model.log_temperature.numel()]
        chunks = torch.split(full, sizes)
        values = {f"reward.{name}": c.view_as(p) for (name, p), c in zip(named, chunks[:-1], strict=True)}
        values["log_temperature"] = chunks[-1].clamp(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT)
        options = {"tracked_steps": tracked_steps, "start": self._warm}
        solution: SoftSolution = functional_call(self.model, values, (self.observations.expansion,), options)
        if solution.status is SolveStatus.CONVERGED and self.model.task.horizon is None:
            self._warm = solution.value.detach()
        return solution

    def log_prob(self, full: Float[Tensor, " P"], tracked_steps: int = 1) -> Float[Tensor, " N"] | None:
        """Return log pi(a|s) of each observation, or ``None`` where the problem has no solution."""
        solution = self.solve(full, tracked_steps)
        if solution.status is not SolveStatus.CONVERGED:
            return None
        table = solution.log_policy.reshape(-1, len(self.model.task.actions))
        observed = self.observations
        return table[torch.from_numpy(observed.position), torch.from_numpy(observed.action)]

    @cached_property
    def weight(self) -> Float[Tensor, " N"]:
        """[N] weight of each observation."""
        return torch.from_numpy(self.observations.weight).to(DTYPE)

    def value(self, full: Float[Tensor, " P"], tracked_steps: int = 1) -> Tensor:
        """Return the log-likelihood, minus infinity where the problem has no solution."""
        log_prob = self.log_prob(full, tracked_steps)
        return torch.tensor(-torch.inf, dtype=DTYPE) if log_prob is None else (self.weight * log_prob).sum()

    @cached_property
    def belongs(self) -> npt.NDArray[np.bool_]:
        """[P, B] whether a parameter enters a person's likelihood (people in the model's order)."""
        people = self.model.subjects.values
        place = {label: i for i, label in enumerate(people)}
        member = np.ones((len(self.model.table), len(people)), dtype=bool)
        for p, row in enumerate(self.model.table.rows):
            if row.level == "subject":
                member[p] = np.arange(len(people)) == place[row.label]
            elif row.level == "group":
                member[p] = self.model.groups.encode([row.label])[0] == self.model.group_of_subject
        return member

    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return d log L / d parameters [P]."""
        full = full.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.value(full), full)
        return gradient.numpy()

    def hessian(self, full: Float[Tensor, " P"]) -> Real:
        """Return the exact Hessian of log L [P, P].

        Parameters of one color (the temperatures of different people) never meet, so one
        Hessian-vector product yields the rows of all of them.
        """
        full = full.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.value(full, tracked_steps=2), full, create_graph=True)
        colors = self.model.table.colors
        products = np.zeros((len(colors), int(colors.max(initial=-1)) + 1))
        for color in range(products.shape[1]):
            direction = torch.from_numpy((colors == color).astype(np.float64))
            (product,) = torch.autograd.grad(gradient @ direction, full, retain_graph=True)
            products[:, color] = product.numpy()
        member = self.belongs.astype(np.float64)
        meets = member @ member.T > 0
        size = member.sum(axis=1)
        by_row = products[:, colors]  # right where the row's parameter has the fewer people
        return np.where(meets, np.where(size[:, None] <= size[None, :], by_row, by_row.T), 0.0)

    def jacobian(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Real:
        """Return d log pi(a|s) / d color of each observation [N, colors].

        A person's derivative by a parameter of their own stands in the column of its color.

        Args:
            full: parameter vector.
            shift: a change of reward [S, A]; its derivative is appended as a last column.
        """
        full = full.detach().requires_grad_()
        colors = self.model.table.colors
        step = torch.zeros((), dtype=DTYPE, requires_grad=True)
        log_prob = self.log_prob(full) if shift is None else self._shifted(full, shift * step)
        assert log_prob is not None, "derivatives are asked for at feasible parameters only"
        dual = torch.zeros_like(log_prob, requires_grad=True)  # grad of grad: J v from J^T
        inputs = (full,) if shift is None else (full, step)
        gradients = torch.autograd.grad(log_prob, inputs, dual, create_graph=True)
        columns = [gradients[0] @ torch.from_numpy((colors == c).astype(np.float64)) for c in range(colors.max() + 1)]
        columns += list(gradients[1:])
        return np.column_stack([torch.autograd.grad(column, dual, retain_graph=True)[0].numpy() for column in columns])

    def _shifted(self, full: Tensor, shift: Tensor) -> Tensor | None:
        """Log probabilities with ``shift`` added to the reward."""
        reward = self.model.reward
        handle = reward.register_forward_hook(lambda _module, _inputs, output: output + shift)
        try:
            return self.log_prob(full)
        finally:
            handle.remove()

    @cached_property
    def every_action(self) -> "Likelihood":
        """The likelihood of all playable actions in all visited states, weighted by visits."""
        seen, num_actions = self.observations, len(self.model.task.actions)
        key = seen.position * (len(self.model.subjects) + 1) + seen.person
        _, first, place = np.unique(key, return_index=True, return_inverse=True)
        position = np.repeat(seen.position[first], num_actions)
        action = np.tile(np.arange(num_actions), len(first))
        playable = seen.expansion.problem.playable.numpy()[position % len(seen.expansion.state), action]
        visits = np.repeat(np.bincount(place, weights=seen.weight), num_actions)
        person = np.repeat(seen.person[first], num_actions)[playable]
        return Likelihood(
            self.model,
            Observations(seen.expansion, position[playable], action[playable], visits[playable], person, person),
        )

    def expected_information(self, full: Float[Tensor, " P"]) -> Real:
        """Return the Fisher information [P, P]: sum over visits of E[score score'] under the model."""
        everything = self.every_action
        everything._warm = self._warm
        scores = everything.scores(everything.jacobian(full))
        with torch.no_grad():
            log_prob = everything.log_prob(full, tracked_steps=0)
        assert log_prob is not None, "information is asked for at feasible parameters only"
        weight = everything.observations.weight * np.exp(log_prob.numpy())
        information: Real = (scores.T @ scores.multiply(weight[:, None])).toarray()
        return information

    def scores(self, jacobian: Real) -> csr_array:
        """Return d log pi(a|s) / d parameters of each observation as a sparse matrix [N, P]."""
        table, person = self.model.table, self.observations.person
        owner = np.zeros((len(self.model.subjects), jacobian.shape[1]), dtype=np.int64)
        for p, color in enumerate(table.colors):
            owner[self.belongs[p], color] = p
        count, width = jacobian.shape
        rows = np.repeat(np.arange(count), width)
        return csr_array((jacobian.ravel(), (rows, owner[person].ravel())), shape=(count, len(table)))
