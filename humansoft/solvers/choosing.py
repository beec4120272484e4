"""From what people plan to what they do: habits and slips at the moment of choice.

With the planned policy pi, kappa for the action made before, a bias b_a of each action, and a lapse epsilon,

    p(a)    proportional to  pi(a|s) exp(kappa 1[a = previous] + b_a)         tilted
    pi'(a)  = (1 - epsilon) p(a) + epsilon / (number of available actions)    then lapsed

The share w(a) = (1 - epsilon) p(a) / pi'(a) of the times that action a was no lapse gives all derivatives: with
lambda = logit(epsilon) and any other parameter x,

    d log pi' / dx       = w d log p / dx
    d log pi' / dlambda  = 1 - w - epsilon
    dw                   = w (1 - w) (d log p - dlambda)
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from humansoft._types import NONE

Index = npt.NDArray[np.int64]

Within = Literal["episode", "subject"]
"""How far back the last action of a habit may lie: in the same episode, or in any of the same person."""


class Chosen(NamedTuple):
    """What people do in N decisions (or in each of N situations at several temperatures).

    Attributes:
        log_prob: [N, A] log pi', -inf where an action cannot be chosen.
        tilted: [N, A] p, what they would do without lapses.
        kept: [N, A] w, the share of the times an action is chosen that it is no lapse; 0 where it cannot be.
    """

    log_prob: Float[Tensor, "*N A"]
    tilted: Float[Tensor, "*N A"]
    kept: Float[Tensor, "*N A"]

    def pull(self, number: Float[Tensor, "*#N A"]) -> Float[Tensor, "*N A"]:
        """Return the derivative of the log-likelihood by log pi, G, where actions were chosen so many times."""
        done = number * self.kept
        return done - done.sum(dim=-1, keepdim=True) * self.tilted

    def by_lapse(self, number: Float[Tensor, "*#N A"], logit_lapse: Float[Tensor, ""]) -> Float[Tensor, "*N"]:
        """Return the derivative of the log-likelihood by the logit of the lapse."""
        return (number * (1.0 - self.kept - logit_lapse.sigmoid())).sum(dim=-1)


@dataclass(frozen=True, eq=False)
class ChoiceRule:
    """Habits and slips, with their numbers.

    Attributes:
        weights: [K] stickiness if there is any, a bias for each of ``biased``, the logit of the lapse if there is one;
            [N, K] where they are those of each decision.
        sticks_within: whether the action made before is favored, in the same "episode", or in any of the same
            "subject"; ``None``: it is not.
        biased: codes of the actions that have a bias of their own.
        lapses: whether people lapse.
    """

    weights: Float[Tensor, "*#N K"]
    sticks_within: Within | None
    biased: tuple[int, ...]
    lapses: bool

    @property
    def is_sticky(self) -> bool:
        """Whether the action made before is favored."""
        return self.sticks_within is not None

    @property
    def num_tilts(self) -> int:
        """Number of weights that are log odds; they come first."""
        return self.is_sticky + len(self.biased)

    @property
    def logit_lapse(self) -> Float[Tensor, ""]:
        """Logit of the probability of a lapse, minus infinity without any."""
        return self.weights[-1] if self.lapses else self.weights.new_tensor(-torch.inf)

    def tilts(self, previous: Index | None, shape: torch.Size) -> Float[Tensor, "N A K"]:
        """Return what each weight of ``num_tilts`` multiplies in the log odds of every action.

        Args:
            previous: [N] code of the action made before, -1 for none.
            shape: (N, A).
        """
        found = self.weights.new_zeros((*shape, self.num_tilts))
        if self.is_sticky and previous is not None:
            some = np.flatnonzero(previous != NONE)
            found[torch.from_numpy(some), torch.from_numpy(previous[some]), 0] = 1.0
        for place, action in enumerate(self.biased, int(self.is_sticky)):
            found[:, action, place] = 1.0
        return found

    def choose(self, log_policy: Float[Tensor, "N A"], previous: Index | None = None) -> Chosen:
        """Return what people do who plan to act by a policy.

        Args:
            log_policy: log pi(.|s), -inf where an action cannot be chosen.
            previous: [N] code of the action made before, -1 for none; ``None``: none anywhere.
        """
        if not self.num_tilts:
            return self.choose_tilted(log_policy, None)
        weights = self.weights[..., : self.num_tilts, None]
        return self.choose_tilted(log_policy, (self.tilts(previous, log_policy.shape) @ weights)[..., 0])

    def choose_tilted(self, log_policy: Float[Tensor, "*N A"], log_odds: Float[Tensor, "*#N A"] | None) -> Chosen:
        """Return the same where it is known what tilts add to the log odds of every action; ``None``: nothing."""
        available = torch.isfinite(log_policy)
        some = available.any(dim=-1, keepdim=True)  # an ended state has no action
        log_tilted = log_policy
        if log_odds is not None:
            log_tilted = torch.where(some, (log_policy + log_odds).where(some, 0.0).log_softmax(dim=-1), -torch.inf)
        if not self.lapses:
            return Chosen(log_tilted, log_tilted.exp(), available.to(log_policy.dtype))
        logit = self.weights[..., -1:]
        uniform = -available.sum(dim=-1, keepdim=True).clamp_min(1).to(log_policy.dtype).log()
        kept = log_tilted + logsigmoid(-logit)
        mixed = torch.where(available, torch.logaddexp(kept, uniform + logsigmoid(logit)), -torch.inf)
        return Chosen(mixed, log_tilted.exp(), torch.where(available, (kept - mixed).exp(), 0.0))

    def log_prob(self, log_policy: Float[Tensor, "*T M A"], previous: Index | None = None) -> Float[Tensor, "*T M A"]:
        """Return log pi' of a table of policies; see :meth:`choose`."""
        return self.choose(log_policy.reshape(-1, log_policy.shape[-1]), previous).log_prob.view(log_policy.shape)
