"""Scale-free measures of how well the people of a fit choose.

None of them changes when a reward and its temperature grow by the same factor, which behavior cannot tell apart.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from humansoft.evaluate.reference_states import own_visits
from humansoft.evaluate.solved_rows import MEASURES, SolvedRows
from humansoft.evaluate.worth import visits_of
from humansoft.evaluate.yardstick import Yardstick

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Measures of some rows of a model, and how they move.

    Attributes:
        values: [R, 7] in the reference's states, in the order of ``MEASURES``.
        slopes: [R, 7, C] derivatives by what each color of parameters is in the row; empty where not asked for.
        own: [B, 7] of each person in the person's own states; nan for people of other rows, or without a decision.
    """

    values: Real
    slopes: Real
    own: Real


def measure(yardstick: Yardstick, rows: Index, log_temperature: Real, slopes: bool = False) -> Measured:
    """Measure some rows [R'] at some temperatures [R'] of theirs.

    Args:
        yardstick: who is measured, and where; with the weights of :func:`completed`.
        rows: in ascending order.
        log_temperature: of each.
        slopes: also return how the measures move.
    """
    values, found = np.full((len(rows), len(MEASURES)), np.nan), []
    own = np.full((len(yardstick.fit.subjects), len(MEASURES)), np.nan)
    for part in yardstick.parts(len(rows)):
        solved = SolvedRows(yardstick, rows[part], log_temperature[part])
        values[part] = solved.values.detach().numpy()
        own[solved.people] = solved.own()
        if slopes:
            found.append(solved.slopes())
    return Measured(values, np.concatenate(found) if found else np.zeros((0, len(MEASURES), 0)), own)


def completed(yardstick: Yardstick) -> Yardstick:
    """Return it with the visits that all people together are expected to make, where the reference has no weights."""
    if yardstick.reference.weights is not None:
        return yardstick
    task = yardstick.fit.model.task
    decisions = np.asarray(own_visits(yardstick.fit).sum(axis=1))
    share = np.bincount(yardstick.row_of_person, weights=decisions, minlength=len(yardstick.log_temperature))
    total = np.zeros((task.horizon or 1, len(task.states)))
    rows = np.flatnonzero(share > 0)
    for part in yardstick.parts(len(rows)):
        solved = SolvedRows(yardstick, rows[part], yardstick.log_temperature[rows[part]])
        start = yardstick.reference.start[solved.state][:, None]
        visits = visits_of(solved.laid_out.problem, solved.policy, start)[:, :, 0]
        np.add.at(total.T, solved.state, (visits * share[solved.laid_out.row.numpy()]).T)
    return replace(yardstick, reference=yardstick.reference.completed(task, total))
