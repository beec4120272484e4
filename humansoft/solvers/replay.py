"""Replay: the latest decisions, to learn from again and again in any order."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from humansoft.solvers.world import Step


class Replay(nn.Module):
    """A ring of decisions; a module, so that a checkpoint holds it like everything else that was learned.

    Args:
        size: decisions kept; older ones are overwritten.
        example: a state, for its shape and type.
        reward_dtype: type of rewards, and of continuous actions.
        num_dimensions: of continuous actions; ``None`` where actions are codes.

    Example:
        >>> Replay(100, torch.zeros(4)).state.shape
        torch.Size([100, 4])
    """

    state: Shaped[Tensor, "N *O"]
    action: Shaped[Tensor, "N *D"]
    reward: Float[Tensor, " N"]
    next_state: Shaped[Tensor, "N *O"]
    terminated: Bool[Tensor, " N"]
    added: Int[Tensor, ""]

    def __init__(
        self,
        size: int,
        example: Tensor,
        reward_dtype: torch.dtype | None = None,
        num_dimensions: int | None = None,
    ) -> None:
        """Make room."""
        super().__init__()
        shape, device = (size, *example.shape), example.device
        self.register_buffer("state", torch.zeros(shape, dtype=example.dtype, device=device))
        self.register_buffer("next_state", torch.zeros(shape, dtype=example.dtype, device=device))
        action = (size,) if num_dimensions is None else (size, num_dimensions)
        action_dtype = torch.int64 if num_dimensions is None else reward_dtype
        self.register_buffer("action", torch.zeros(action, dtype=action_dtype, device=device))
        self.register_buffer("reward", torch.zeros(size, dtype=reward_dtype, device=device))
        self.register_buffer("terminated", torch.zeros(size, dtype=torch.bool, device=device))
        self.register_buffer("added", torch.zeros((), dtype=torch.int64, device=device))

    def __len__(self) -> int:
        """Return how many decisions there are to draw from."""
        return min(int(self.added), len(self.action))

    def add(self, step: Step) -> None:
        """Keep the decisions of a step."""
        chosen = step.valid.nonzero()[:, 0].to(self.added.device)
        place = (self.added + torch.arange(len(chosen), device=self.added.device)) % len(self.action)
        for name in ("state", "action", "reward", "next_state", "terminated"):
            getattr(self, name)[place] = getattr(step, name).to(getattr(self, name))[chosen]
        self.added.add_(len(chosen))

    def sample(self, count: int, generator: torch.Generator) -> Step:
        """Draw decisions with replacement."""
        place = torch.randint(len(self), (count,), generator=generator, device=self.added.device)
        nothing = torch.zeros(count, dtype=torch.bool, device=self.added.device)
        return Step(
            self.state[place],
            self.action[place],
            self.reward[place],
            self.next_state[place],
            self.terminated[place],
            truncated=nothing,
            valid=~nothing,
        )
