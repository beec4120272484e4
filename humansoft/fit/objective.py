"""What the learner maximises: a function of one flat parameter vector, with its exact derivatives."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.fit.arrow import ArrowMatrix
from humansoft.parameters import Parameters

Real = npt.NDArray[np.float64]


class Objective(ABC):
    """A log-likelihood (or log density) of named parameters."""

    @property
    @abstractmethod
    def table(self) -> Parameters:
        """Names and constraints of the parameters (P)."""

    @property
    @abstractmethod
    def num_decisions(self) -> float:
        """Weighted decisions that it speaks of, 1 at the least: the unit in which steps are judged."""

    @abstractmethod
    def value(self, full: Float[Tensor, " P"]) -> float:
        """Return the log-likelihood, minus infinity where the problem has no solution."""

    @abstractmethod
    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return its derivatives by the parameters [P], 0 for fixed ones."""

    @abstractmethod
    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return its Hessian [P, P], over free parameters."""

    @abstractmethod
    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return a matrix [P, P] near minus the Hessian that is positive semi-definite everywhere."""

    def differentiable(self, full: Float[Tensor, " P"]) -> Tensor:
        """Return the log-likelihood as a tensor through which its exact gradient flows back to ``full``."""
        return _Value.apply(full, self)  # type: ignore[no-any-return,no-untyped-call]


class _Value(torch.autograd.Function):
    """The objective at a parameter vector; its backward is the exact gradient."""

    @staticmethod
    def forward(ctx: Any, full: Tensor, objective: Objective) -> Tensor:  # noqa: ANN401
        ctx.full, ctx.objective = full.detach(), objective
        return torch.tensor(objective.value(full), dtype=DTYPE)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        with torch.enable_grad():  # for the reward module
            gradient = ctx.objective.gradient(ctx.full)
        return gradients[0] * torch.from_numpy(gradient), None
