"""Axis legend and dtype policy: every shape in this package is spelt with these letters.

Axes:
    B subjects (people); C contexts (mazes, layouts, goals); S states; A actions; T time;
    F features; N decisions; P parameters; K successors of one state and action; L lines and
    E entries of a sparse matrix; R rows (the distinct rewards and temperatures of a model: one
    for everybody, a group or a person);
    D dimensions of a continuous action; J nodes that stand for all continuous actions;
    W walkers (copies of a world to act in); O numbers of an observation;
    M solved states: the disjoint union, over the (row, context) pairs that occur, of the states
    of the context. A batch of problems is one large problem of M states in separate blocks, so
    solvers know no batch axis; a task with one context has M = R * S, row after row.
    L links of a network, E its turns, G the (row, goal) pairs that occur: M = G * L; Z gates,
    the links on which goals differ.

Inference is done in float64 (``DTYPE``); codes are int64, and ``-1`` always means "none".
Shapes are jaxtyping annotations; they are checked by beartype in the tests only.
"""

from typing import Final

import torch

DTYPE: Final = torch.float64
"""The floating point type of all inference (float32 is for networks only)."""

NONE: Final = -1
"""The code of "no label here": a missing response, an unknown state, no next state."""
