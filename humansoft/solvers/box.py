"""Box: a bounded set of continuous actions."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """All vectors between two corners.

    Networks see it as the unit box, from -1 to 1 in each of its D dimensions.

    Attributes:
        low: lowest action in each dimension.
        high: highest action in each dimension.

    Example:
        >>> Box((-2.0,), (2.0,)).log_volume == math.log(4)
        True
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, space: Any) -> Self | None:  # noqa: ANN401 - a space of Gymnasium
        """Return the actions of a Gymnasium Box, nothing where it is endless, empty or not of real numbers."""
        low, high = np.asarray(space.low, dtype=np.float64).ravel(), np.asarray(space.high, dtype=np.float64).ravel()
        bounded = np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all() and low.size > 0
        if not bounded or not np.issubdtype(space.dtype, np.floating):
            return None
        return cls(tuple(low.tolist()), tuple(high.tolist()))

    @property
    def num_dimensions(self) -> int:
        """D."""
        return len(self.low)

    @property
    def log_volume(self) -> float:
        """Log of the volume: the uniform density is its exp(-log_volume)."""
        return sum(math.log(high - low) for low, high in zip(self.low, self.high, strict=True))

    @property
    def log_scale(self) -> float:
        """Log of how much larger it is than the unit box."""
        return self.log_volume - self.num_dimensions * math.log(2)

    def to_unit(self, action: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Return where an action lies in the unit box."""
        centre, half = self._centre_and_half(action)
        return (action - centre) / half

    def contains(self, action: Float[Tensor, "N D"]) -> Bool[Tensor, " N"]:
        """Return which actions lie in the box or on its edge, which is as exact as float32 is."""
        given = action.to(torch.float32)
        low, high = self._edges(given)
        return ((given >= low) & (given <= high)).all(dim=1)

    def from_unit(self, place: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Return the action at a place of the unit box."""
        centre, half = self._centre_and_half(place)
        return torch.clamp(centre + half * place, *self._edges(place))  # rounded, it may lie just outside

    def _centre_and_half(self, like: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self._edges(like)
        return (high + low) / 2, (high - low) / 2

    def _edges(self, like: Tensor) -> tuple[Tensor, Tensor]:
        low, high = (torch.tensor(edge, dtype=like.dtype, device=like.device) for edge in (self.low, self.high))
        return low, high
