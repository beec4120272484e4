"""Overcooked: what one cook of a pair decides, with the partner as part of the kitchen.

Two people cook onion soup: three onions into a pot, a wait, a dish to take the soup out, delivery.
The joint game is reduced to one cook, for whom the world is *where I am, where I look, what I hold,
how far the soup is*:

    states        floor cell x orientation x held object x phase of the most advanced pot
    actions       stay, up, down, right, left, interact
    features      one of eight for every (state, action), none for ``stay``: the zero reference
    transitions   what the action does in an empty kitchen (one pseudo-count), plus what was seen
                  to happen, which brings in the partner and the cooking; unseen is not impossible

Recorded games become decisions in :mod:`humansoft.catalogue.overcooked_rows`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Labels, row_labels
from humansoft.errors import DatasetError, Problems, TaskError, did_you_mean
from humansoft.tasks.parts import TaskParts
from humansoft.tasks.task import Task

Cell = tuple[int, int]

ACTIONS = ("stay", "up", "down", "right", "left", "interact")
HEADINGS = {"up": "N", "down": "S", "right": "E", "left": "W"}
AHEAD: dict[str, Cell] = {"N": (0, -1), "S": (0, 1), "E": (1, 0), "W": (-1, 0)}  # y runs down
HELD = ("nothing", "onion", "dish", "soup")
POT = ("empty", "one onion", "two onions", "cooking", "ready")
STATE = ("x", "y", "orientation", "held", "pot")
NEXT_STATE = tuple(f"next_{part}" for part in STATE)
FEATURE_UNITS = {
    "deliver": "per soup",
    "onion_in_pot": "per onion",
    "take_onion": "per onion",
    "take_dish": "per dish",
    "take_soup": "per soup",
    "move": "per cell",
    "turn": "per turn",
    "useless_interact": "per press",
}
FEATURES = tuple(FEATURE_UNITS)
"""What an action may earn; ``stay`` earns nothing."""

ONIONS_PER_SOUP = 3
DISCOUNT = 0.95
"""One decision takes 0.15 s: the future within reach is about three seconds."""


class CookState(NamedTuple):
    """The world as one cook sees it; ``STATE`` names its parts as columns of a table."""

    x: int
    y: int
    orientation: str
    held: str
    pot: str


class Outcome(NamedTuple):
    """What an action leads to in an empty kitchen, and which feature it earns, if any."""

    next_state: CookState
    feature: str | None


@dataclass(frozen=True)
class Kitchen:
    """A layout, read: the cells of every kind in reading order; x runs right, y runs down.

    ``onions`` and ``dishes`` are dispensers, soup is delivered at ``servings``, and anything can be
    put down on ``counters``. Cooks stand on the ``floor``.

    Example:
        >>> Kitchen.parse("galley", ["XPX", "O S", "XDX"]).floor
        ((1, 1),)
    """

    name: str
    floor: tuple[Cell, ...]
    pots: tuple[Cell, ...]
    onions: tuple[Cell, ...]
    dishes: tuple[Cell, ...]
    servings: tuple[Cell, ...]
    counters: tuple[Cell, ...]

    @classmethod
    def parse(cls, name: str, rows: Sequence[str]) -> "Kitchen":
        """Read a character grid: P pot, O onions, D dishes, S serving, X counter, else floor.

        Blanks are floor, and so are digits, where the cooks start.
        """
        tiles = {(x, y): tile for y, row in enumerate(rows) for x, tile in enumerate(row)}
        with Problems(f"layout {name!r}", TaskError) as problems:
            for tile in sorted(set(tiles.values()) - set("PODSX 0123456789")):
                problems.add(f"unknown tile {tile!r}")
        kinds = (" 0123456789", *"PODSX")
        return cls(name, *(tuple(c for c, tile in tiles.items() if tile in kind) for kind in kinds))


def find_kitchen(layouts: Mapping[str, Sequence[str]], name: str) -> Kitchen:
    """Read one kitchen of ``layouts.json``; an unknown name is refused with the known ones."""
    if name not in layouts:
        raise DatasetError(f"there is no layout {name!r}.{did_you_mean(name, sorted(layouts))}")
    return Kitchen.parse(name, layouts[name])


def states(kitchen: Kitchen) -> tuple[CookState, ...]:
    """List every reduced state; its place is its code.

    Nested loops give the order, the last one fastest: cells in reading order, orientations N S E W,
    ``HELD``, ``POT``. All combinations are listed, so that any legal game finds its states.
    """
    combinations = product(kitchen.floor, AHEAD, HELD, POT)
    return tuple(CookState(*cell, *rest) for cell, *rest in combinations)


def ego_rule(kitchen: Kitchen, state: CookState, action: str) -> Outcome:
    """Say what an action does in a kitchen without a partner, where no time passes.

    ``useless_interact`` collects every press that brings no soup nearer: interacting in vain,
    putting something down on a counter, walking on against what one already faces.
    """
    if action == "stay":
        return Outcome(state, None)
    if action == "interact":
        return _interact(kitchen, state)
    return _walk(kitchen, state, HEADINGS[action])


def _walk(kitchen: Kitchen, state: CookState, heading: str) -> Outcome:
    x, y = target = _cell_ahead(state._replace(orientation=heading))
    if target in kitchen.floor:
        return Outcome(state._replace(x=x, y=y, orientation=heading), "move")
    if heading != state.orientation:
        return Outcome(state._replace(orientation=heading), "turn")
    return Outcome(state, "useless_interact")


def _interact(kitchen: Kitchen, state: CookState) -> Outcome:
    faced, held, onions = _cell_ahead(state), state.held, POT.index(state.pot)
    if faced in kitchen.onions and held == "nothing":
        return Outcome(state._replace(held="onion"), "take_onion")
    if faced in kitchen.dishes and held == "nothing":
        return Outcome(state._replace(held="dish"), "take_dish")
    if faced in kitchen.pots and held == "onion" and onions < ONIONS_PER_SOUP:
        # After "two onions" comes "cooking": the third onion starts it.
        return Outcome(state._replace(held="nothing", pot=POT[onions + 1]), "onion_in_pot")
    if faced in kitchen.pots and held == "dish" and state.pot == "ready":
        return Outcome(state._replace(held="soup", pot="empty"), "take_soup")
    if faced in kitchen.servings and held == "soup":
        return Outcome(state._replace(held="nothing"), "deliver")
    if faced in kitchen.counters:  # what lies on counters is not part of the state
        return Outcome(state._replace(held="nothing"), "useless_interact")
    return Outcome(state, "useless_interact")


def _cell_ahead(state: CookState) -> Cell:
    dx, dy = AHEAD[state.orientation]
    return state.x + dx, state.y + dy


def features(kitchen: Kitchen) -> npt.NDArray[np.float64]:
    """Return [S, A, F] the reward features of every ``states``, ``ACTIONS``, ``FEATURES``.

    Every action but ``stay`` earns exactly one.
    """
    earned = [[ego_rule(kitchen, s, a).feature for a in ACTIONS] for s in states(kitchen)]
    return np.array([[[f == name for name in FEATURES] for f in row] for row in earned], float)


def transitions(kitchen: Kitchen, decisions: pd.DataFrame, *, pseudo_count: float = 1.0) -> pd.DataFrame:
    """Estimate where actions lead: P(s'|s,a) = (c [s' = ego(s,a)] + n(s,a,s')) / (c + n(s,a)).

    Args:
        kitchen: where the decisions were made.
        decisions: training decisions, as ``read_decisions`` returns them; they are counted in n.
        pseudo_count: c > 0, how many observations the ego rule is worth.

    Returns:
        One row for each (state, action, next_state) of positive ``probability``, sorted, as codes
        into ``states`` and ``ACTIONS``; the rows of a (state, action) sum to 1.
    """
    if not pseudo_count > 0:
        raise TaskError(f"pseudo_count must be positive, not {pseudo_count}")
    code: dict[tuple[object, ...], int] = {state: s for s, state in enumerate(states(kitchen))}
    alone = [
        (code[state], a, code[ego_rule(kitchen, state, action).next_state], pseudo_count)
        for state in states(kitchen)
        for a, action in enumerate(ACTIONS)
    ]
    followed = decisions[~decisions["truncated"]]  # nobody knows what a time-out would have led to
    tally = followed.value_counts([*STATE, "action", *NEXT_STATE]).reset_index()
    before = tally[list(STATE)].itertuples(index=False, name=None)
    after = tally[list(NEXT_STATE)].itertuples(index=False, name=None)
    seen = [
        (code[state], ACTIONS.index(action), code[next_state], n)
        for state, action, next_state, n in zip(before, tally["action"], after, tally["count"], strict=True)
    ]
    key = ["state", "action", "next_state"]
    counts = pd.DataFrame([*alone, *seen], columns=[*key, "count"]).groupby(key)["count"].sum()
    shares = counts / counts.groupby(["state", "action"]).transform("sum")
    return shares.rename("probability").reset_index()


def build_task(kitchen: Kitchen, decisions: pd.DataFrame) -> Task:
    """Return the reduced decision process, its transitions learned from training decisions."""
    listed = states(kitchen)
    labels = Labels("state", tuple(tuple(state) for state in listed))  # plain tuples, as in a log
    table = transitions(kitchen, decisions)
    first = decisions[~decisions.duplicated(["subject", "episode"])]
    starts = np.bincount(labels.encode(row_labels(first, STATE)), minlength=len(listed))
    parts = TaskParts(
        states=labels,
        actions=Labels("action", ACTIONS),
        state=table["state"].to_numpy(),
        action=table["action"].to_numpy(),
        next_state=table["next_state"].to_numpy(),
        probability=table["probability"].to_numpy(),
        features=features(kitchen),
        terminal=np.zeros(len(listed), dtype=bool),  # a game ends by the clock only
        feature_units=FEATURE_UNITS,
        initial=starts / starts.sum(),
        exact=False,
        source=f"kitchen {kitchen.name}",
    )
    return Task.of_parts(parts, DISCOUNT)
