"""The weight that gives temperatures a unit, and whose choices it makes no difference to."""

from collections.abc import Hashable

import numpy as np

from humansoft.evaluate.flatness import training_likelihood
from humansoft.fit.result import Fit
from humansoft.temperature import Fixed

_SILENT = 1e-10


def anchors_of(fit: Fit) -> list[int]:
    """Return the places of the weights that are fixed at a non-zero value, and so give the unit."""
    return [p for p, row in enumerate(fit.model.table.rows) if row.kind == "reward" and row.fixed not in (None, 0.0)]


def anchor_names(fit: Fit) -> list[str]:
    """Return the names of these weights, each once."""
    return list(dict.fromkeys(fit.model.table.rows[p].name for p in anchors_of(fit)))


def people_without_anchor(fit: Fit) -> list[Hashable]:
    """Return the people to whose choices the anchor makes no difference: its unit means nothing to them."""
    anchors = anchors_of(fit)
    likelihood = training_likelihood(fit, released=True).every_action
    colors = np.unique(likelihood.model.table.colors[anchors])
    derivative = np.abs(likelihood.jacobian(likelihood.start())[:, colors]).max(axis=1)
    moved = np.zeros(len(fit.subjects))
    np.maximum.at(moved, likelihood.observations.person, derivative)
    # At a boundary all derivatives vanish, whatever the anchor does.
    inner = fit.temperatures()["boundary"].to_numpy() == ""
    return [fit.subjects.values[i] for i in np.flatnonzero((moved <= _SILENT) & inner)]


def unit_of_reward(fit: Fit) -> str:
    """Return the unit that rewards are measured in, or "" where nothing gives one."""
    anchors = anchors_of(fit)
    if anchors:
        rows = [fit.model.table.rows[p] for p in anchors]
        named = dict.fromkeys(f"{row.name} = {row.fixed:g}" for row in rows)
        return f"reward units ({', '.join(named)})"
    known = not any(row.kind == "reward" for row in fit.model.table.rows)  # as a whole, and its unit with it
    return "reward units" if known and not isinstance(fit.model.temperature, Fixed) else ""
