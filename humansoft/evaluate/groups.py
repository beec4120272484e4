"""Which group each person of a fit is in."""

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.errors import UsageError, did_you_mean, shortlist
from humansoft.fit.result import Fit


def group_of_people(fit: Fit, by: str) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Return the groups of a participants' column, and the code of each person's group [B].

    Raises:
        UsageError: the fit knows no such column, or somebody has no value there.
    """
    people = fit.training.participants
    if by not in people.columns:
        known = list(people.columns)
        raise UsageError(
            f"the fit knows no participants' column {by!r}.{did_you_mean(by, known) if known else ''} "
            "Read the log with participants=, or fit with temperature=PerGroup(column)"
        )
    column = people[by].reindex(list(fit.subjects.values))
    empty = list(column.index[column.isna()])
    if empty:
        raise UsageError(
            f"group column {by!r} is empty for {shortlist(empty)}; fill it in, or leave them out of the fit"
        )
    values: list[Hashable] = column.tolist()
    groups = Labels.of("group", values)
    return groups, groups.encode(values)
