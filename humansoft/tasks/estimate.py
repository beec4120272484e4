"""Transitions estimated from counted transitions, with Dirichlet smoothing."""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, did_you_mean, shortlist
from humansoft.tasks.parts import Flags, Index, Real, TaskParts

END = "end"
"""Label of the terminal state of decisions that ended an episode in no recorded state."""

_COLUMNS = ("state", "action", "next_state", "count", "ended", "starts")


def estimated_parts(counts: pd.DataFrame, prior: float = 1.0, actions: Sequence[Hashable] | None = None) -> TaskParts:
    """Turn counted transitions into an estimated task; see :meth:`Task.from_counts` for the rules."""
    _check(counts, prior)
    recorded = counts["next_state"].notna().to_numpy()
    ended = counts["ended"].to_numpy(dtype=bool)
    acted = counts["action"].notna().to_numpy()
    origins = _paired(counts, counts["state"].tolist())
    followers = _paired(counts, counts["next_state"].where(recorded, END).tolist())
    states = _state_labels(origins, followers, recorded, ended)
    action_labels = _action_labels(counts["action"][acted].tolist(), actions)
    state, following = states.encode(origins), states.encode(followers)
    terminal = _terminal(states, np.unique(following[ended]), np.unique(state[acted]))
    weight = counts["count"].to_numpy(dtype=float)
    known = acted & (recorded | ended) & (weight > 0)  # the other rows only show that a state or action occurs
    action = action_labels.encode(counts["action"][known].tolist())
    s, a, n, p = _posterior_mean(
        state[known], action, following[known], weight[known], ~terminal, len(action_labels), prior
    )
    starts = np.bincount(state, weights=counts["starts"].to_numpy(dtype=float), minlength=len(states))
    return TaskParts(
        states=states,
        actions=action_labels,
        state=s,
        action=a,
        next_state=n,
        probability=p,
        features=np.zeros((len(states), len(action_labels), 0)),
        terminal=terminal,
        initial=starts / starts.sum() if starts.sum() > 0 else None,
        exact=False,
        contextual="context" in counts.columns,
        source="the task estimated from transition counts",
    )


def _check(counts: pd.DataFrame, prior: float) -> None:
    with Problems("the transition counts", TaskError) as problems:
        for column in _COLUMNS:
            if column not in counts.columns:
                problems.add(
                    f"there is no column {column!r}.{did_you_mean(column, list(counts.columns))} "
                    "log.transition_counts() makes such a table"
                )
        if counts.empty:
            problems.add("there are no rows")
        elif "count" in counts.columns and not counts["count"].between(0, np.inf, inclusive="left").all():
            problems.add("column 'count' must hold finite numbers of at least 0")
        if not 0 < prior < np.inf:
            problems.add(f"prior={prior} must be above 0: an action nobody took in a state still leads somewhere")


def _paired(counts: pd.DataFrame, labels: list[Hashable]) -> list[Hashable]:
    """Put the context before each label, where the counts have contexts."""
    return list(zip(counts["context"].tolist(), labels, strict=True)) if "context" in counts.columns else labels


def _state_labels(origins: list[Hashable], followers: list[Hashable], recorded: Flags, ended: Flags) -> Labels:
    """Collect the recorded states in natural order, then ``END`` (in each context) where it is needed."""
    states = Labels.of("state", [*origins, *(n for n, is_real in zip(followers, recorded, strict=True) if is_real)])
    ends = dict.fromkeys(n for n, made_up in zip(followers, ended & ~recorded, strict=True) if made_up)
    return Labels("state", (*states.values, *(end for end in ends if end not in states)))


def _action_labels(taken: list[Hashable], given: Sequence[Hashable] | None) -> Labels:
    if given is None:
        return Labels.of("action", taken)
    labels = Labels("action", tuple(given))
    unknown = [action for action in dict.fromkeys(taken) if action not in labels]
    if unknown:
        raise TaskError(f"actions {shortlist(unknown)} were taken but are not in the list.{labels.suggest(unknown[0])}")
    return labels


def _terminal(states: Labels, ends: Index, acted_in: Index) -> Flags:
    both = np.intersect1d(ends, acted_in)
    if len(both):
        raise TaskError(
            f"states {shortlist(states.decode(both.tolist()))} end an episode in some rows and are acted in in "
            "others; give the end a state label of its own"
        )
    terminal = np.zeros(len(states), dtype=bool)
    terminal[ends] = True
    return terminal


def _posterior_mean(
    state: Index, action: Index, following: Index, weight: Real, alive: Flags, num_actions: int, prior: float
) -> tuple[Index, Index, Index, Real]:
    """Return P(s' | s, a) = (n(s, a, s') + prior m(s' | s)) / (n(s, a) + prior) as four parallel lists.

    m(s' | s) = n(s, s') / n(s), the successors of s over all actions: a pooled guess for actions
    that were rarely or never taken there. A state whose successor was never seen keeps the person
    where they are: m(s | s) = 1.
    """
    size = len(alive)
    pairs, place = np.unique(state * size + following, return_inverse=True)
    pooled = np.bincount(place, weights=weight, minlength=len(pairs))
    origin, target = np.divmod(pairs, size)
    guess = pooled / np.bincount(origin, weights=pooled, minlength=size)[origin]
    stuck = np.setdiff1d(np.flatnonzero(alive), origin)
    origin, target, guess = np.r_[origin, stuck], np.r_[target, stuck], np.r_[guess, np.ones(len(stuck))]
    s = np.r_[state, np.repeat(origin, num_actions)]
    a = np.r_[action, np.tile(np.arange(num_actions), len(origin))]
    n = np.r_[following, np.repeat(target, num_actions)]
    mass = np.r_[weight, prior * np.repeat(guess, num_actions)]
    total = np.bincount(s * num_actions + a, weights=mass)
    return s, a, n, mass / total[s * num_actions + a]
