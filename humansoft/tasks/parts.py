"""TaskParts: the one normal form that every builder (grid, table, Gymnasium, counts) reduces to."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.tasks.goals import Goals

Index = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TaskParts:
    """A decision process as flat lists, before it is checked and becomes tensors.

    Attributes:
        states: labels of the S states.
        actions: labels of the A actions.
        state: [L] state code of each possible transition.
        action: [L] its action code.
        next_state: [L] code of the state it leads to.
        probability: [L] P(next_state | state, action).
        features: [S, A, F] feature values (expected over next states).
        terminal: [S] true where the episode has ended.
        feature_units: unit of each feature by name, in the order of F.
        initial: [S] probability of starting in each state, or ``None`` when unknown.
        exact: false when the probabilities were estimated from data.
        contextual: true when the state labels are (context, state) pairs.
        goals: the links that end a trip, when ``states`` are the links of a network that goals share.
        source: what was described, for messages.
    """

    states: Labels
    actions: Labels
    state: Index
    action: Index
    next_state: Index
    probability: Real
    features: Real
    terminal: Flags
    feature_units: dict[str, str] = field(default_factory=dict)
    initial: Real | None = None
    exact: bool = True
    contextual: bool = False
    goals: Goals | None = None
    source: str = "the task"
