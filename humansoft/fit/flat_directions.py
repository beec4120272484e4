"""Names for flat directions: from vectors to sentences with a fix."""

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from humansoft.model import SoftOptimalModel

Real = npt.NDArray[np.float64]
Named = tuple[tuple[str, ...], tuple[float, ...], str]

_MOST = 12  # a free table can have hundreds of flat directions; the first dozen tell the story
_MOST_WEAK = 3
_SMALL = 1e-6


def describe(bound: SoftOptimalModel, flat: Real, num_flat: int, full: Real) -> list[Named]:
    """Name a basis of structurally flat directions.

    Args:
        bound: the bound model.
        flat: [P, K] basis of the flat directions in the full parameters, or the first of very many.
        num_flat: how many there are.
        full: [P] the parameter values at which they were found.

    Returns:
        (parameters, weights, sentence) of each direction; the scale of reward and temperature first.
    """
    if flat.shape[1] == 0:
        return []
    found: list[Named] = []
    given = flat.shape[1]
    contained = _contained(flat, _scale_directions(bound, full, flat))
    if contained.shape[1]:
        found.append(_name_scale(bound, contained))
        flat = _without(flat, contained)
    found.extend(_name(bound, vector) for vector in _sparse_basis(flat).T[:_MOST])
    rest = max(flat.shape[1] - _MOST, 0) + (num_flat - given if flat.shape[1] else 0)
    if rest:
        found.append(((), (), f"and {rest} more directions like these"))
    return found


def describe_weak(bound: SoftOptimalModel, weak: Real) -> list[Named]:
    """Name directions in which the data say little."""
    found = []
    for vector in weak.T[:_MOST_WEAK]:
        names, weights = _support(bound, vector, 0.1)
        if names == ("logit_lapse",):  # small beside rewards by its nature; whether data tell it, gaps say
            continue
        found.append((names, weights, f"the data say little about {_listed(names)}: expect wide intervals"))
    if weak.shape[1] > _MOST_WEAK:
        found.append(((), (), f"and {weak.shape[1] - _MOST_WEAK} more directions like these"))
    return found


def _scale_directions(bound: SoftOptimalModel, full: Real, flat: Real) -> Real:
    """Return the directions "all rewards and temperatures times one number" [P, 1 or people that are in ``flat``].

    One for each set of people that share neither reward nor temperature with others.
    """
    rows = [row for row in bound.table.rows if row.kind in ("reward", "log_temperature")]
    own_rewards = any(row.kind == "reward" and row.level == "subject" for row in rows)
    together = np.where(bound.table.is_temperature, 1.0, np.where(bound.table.is_reward, full, 0.0))
    if not own_rewards or any(row.level != "subject" for row in rows):
        return together[:, None]
    moving = np.abs(flat).max(axis=1) > 0
    people = {
        label: i for i, label in enumerate(dict.fromkeys(rows[p].label for p in np.flatnonzero(moving[: len(rows)])))
    }
    scales = np.zeros((len(bound.table), len(people)))
    for p, row in enumerate(rows):
        if row.label in people:
            scales[p, people[row.label]] = together[p]
    return scales


def _contained(flat: Real, candidates: Real) -> Real:
    """Return a basis of what the span of the candidates shares with the flat directions."""
    candidates = candidates[:, np.linalg.norm(candidates, axis=0) > 0]
    flat_basis, _ = np.linalg.qr(flat)
    own_basis, _ = np.linalg.qr(candidates)
    _, cosines, rows = np.linalg.svd(flat_basis.T @ own_basis, full_matrices=False)
    shared: Real = own_basis @ rows[cosines > 1 - _SMALL].T
    return shared


def _without(flat: Real, removed: Real) -> Real:
    """Return a basis of what is left of a span when directions are taken out."""
    keep, _ = np.linalg.qr(removed)
    values, size, _ = np.linalg.svd(flat - keep @ (keep.T @ flat), full_matrices=False)
    return values[:, size > _SMALL * max(float(np.linalg.norm(flat)), 1e-300)]


def _sparse_basis(flat: Real) -> Real:
    """Return the same span in echelon form: each direction involves as few parameters as may be."""
    matrix = flat.T.copy()
    for row in range(len(matrix)):
        remaining = np.abs(matrix[row:])
        pivot_row, pivot = divmod(int(remaining.argmax()), remaining.shape[1])
        matrix[[row, row + pivot_row]] = matrix[[row + pivot_row, row]]
        matrix[row] /= matrix[row, pivot]
        others = np.arange(len(matrix)) != row
        matrix[others] -= matrix[others, pivot][:, None] * matrix[row]
    matrix[np.abs(matrix) < _SMALL] = 0.0
    return matrix.T


def _support(bound: SoftOptimalModel, vector: Real, least: float) -> tuple[tuple[str, ...], tuple[float, ...]]:
    effect = np.abs(vector) * bound.table.scales
    chosen = np.flatnonzero(effect > least * effect.max(initial=0.0))
    return tuple(str(bound.table.rows[i]) for i in chosen), tuple(float(vector[i]) for i in chosen)


def _listed(names: tuple[str, ...]) -> str:
    shown = [f"`{name}`" for name in names[:6]] + ([f"{len(names) - 6} more"] if len(names) > 6 else [])
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def _name_scale(bound: SoftOptimalModel, contained: Real) -> Named:
    names, weights = _support(bound, contained.sum(axis=1), 0.0)
    ways = (
        "Ways out: share the reward (LinearReward(shared=True)); fix one weight at a non-zero value "
        "(LinearReward(fixed={...})); or keep temperature=Fixed(1) and compare scale-free measures only"
    )
    if bound.rows_are_people:
        message = (
            f"reward and temperature both vary by subject (all {len(bound.subjects)} of them): only their ratio is in "
            f"the data. {ways}"
        )
    else:
        message = (
            "only reward / temperature is in the data: multiplying every reward weight and every temperature by the "
            "same number changes nothing. Use temperature=Fixed(1), which measures reward in units of temperature, or "
            "fix one reward weight at a non-zero value"
        )
    return names, weights, message


def _name(bound: SoftOptimalModel, vector: Real) -> Named:
    names, weights = _support(bound, vector, _SMALL)
    return names, weights, _sentence(bound, vector, names, weights)


def _sentence(bound: SoftOptimalModel, vector: Real, names: tuple[str, ...], weights: tuple[float, ...]) -> str:
    moving = [row for row, change in zip(bound.table.rows, vector, strict=True) if abs(change) > _SMALL]
    chosen = [row for row in moving if row.kind in ("tilt", "logit_lapse")]
    if chosen:
        return _of_choices(bound, names, chosen[-1].name)
    if len(names) == 1:
        return f"`{names[0]}` has no effect on behavior in the visited states; fix it, fixed={{{names[0]!r}: 0}}"
    fix = f"fix one of them, for example fixed={{{names[-1]!r}: 0}}"
    if len(names) == 2 and "log_temperature" not in names[1]:
        ratio = -weights[1] / weights[0]
        combination = f"{names[1]} {'+' if ratio >= 0 else '-'} {_number(abs(ratio), bound.task.discount)}{names[0]}"
        return f"`{names[0]}` and `{names[1]}` trade off: only {combination} is identified; {fix}"
    if any(row.kind == "log_temperature" for row in moving):
        weights_of = tuple(dict.fromkeys(row.name for row in moving if row.kind == "reward"))
        fixed = [row for row in bound.table.rows if row.kind == "reward" and row.fixed not in (None, 0.0)]
        anchors = list(dict.fromkeys(f"`{row.name}`" for row in fixed))  # once, also where everybody has their own
        return (
            f"{_listed((*weights_of, 'temperature'))} move together: fixing {' and '.join(anchors) or 'what is fixed'} "
            f"gives them no scale, because other weights can take its place; fix one more, for example "
            f"fixed={{{(weights_of or ('temperature',))[0]!r}: ...}}, or use temperature=Fixed(1)"
        )
    if _is_constant(bound, vector):
        return f"{_listed(names)} add up to a constant: the same amount more for every action changes nothing; {fix}"
    return f"{_listed(names)} trade off: a combination of them leaves behavior unchanged; {fix}"


def _of_choices(bound: SoftOptimalModel, names: tuple[str, ...], name: str) -> str:
    """Name a direction in which a choice term moves."""
    labels = [label for label in bound.task.actions.values if f"bias[{label}]" == name]
    terms = {"stickiness": "leave Stickiness() out", "logit_lapse": "leave Lapse() out"}
    fix = terms.get(name) or f"fix it, ActionBias(fixed={{{labels[0]!r}: 0}})"
    if len(names) == 1:
        return f"`{name}` has no effect on behavior in the visited states; {fix}"
    return f"{_listed(names)} trade off: together they can change and leave what people choose as it is; {fix}"


def _number(ratio: float, discount: float) -> str:
    """Write a ratio as the user knows it: 20 = 1/(1-discount)."""
    if abs(ratio - 1) < 1e-5:
        return ""
    for value, words in _familiar(discount):
        if abs(ratio - value) < 1e-5 * value:
            return f"{words} * "
    return f"{ratio:.4g} * "


def _familiar(discount: float) -> Iterator[tuple[float, str]]:
    if 0 < discount < 1:
        yield 1 / (1 - discount), "1/(1-discount)"
        yield discount / (1 - discount), "discount/(1-discount)"
        yield 1 - discount, "(1-discount)"
        yield (1 - discount) / discount, "(1-discount)/discount"


def _is_constant(bound: SoftOptimalModel, vector: Real) -> bool:
    """Whether moving along the direction adds the same reward to every available action."""
    trial = copy.deepcopy(bound.reward)
    with torch.no_grad():
        place = 0
        for parameter in trial.parameters():
            count = parameter.numel()
            parameter.copy_(torch.from_numpy(vector[place : place + count]).view_as(parameter))
            place += count
        change = trial(bound.task)[:, bound.task.available]
    return bool(change.max() - change.min() <= _SMALL * change.abs().max())
