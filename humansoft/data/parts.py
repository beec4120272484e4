"""Parts of people: sessions, conditions or halves, each as a subject of its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Codebook, Labels
from humansoft.data.log import BehaviorLog

Index = npt.NDArray[np.int64]

_ARRAYS = ("row", "episode", "step", "state", "action", "next_state", "weight", "terminated", "truncated")


def parted(log: BehaviorLog, part: Index, labels: Labels) -> BehaviorLog:
    """Return a log whose subjects are the (person, part) pairs that occur, sorted by person, then part.

    Args:
        log: the decisions.
        part: [N] code of the part each decision belongs to; an episode belongs to one part as a whole.
        labels: names of the parts.
    """
    pair = log.subject * len(labels) + part
    used, code = np.unique(pair, return_inverse=True)
    names = log.codebook.subjects.values
    subjects = tuple((names[p // len(labels)], labels.values[p % len(labels)]) for p in used)
    order = np.argsort(code, kind="stable")  # within a part, episodes and steps stay in order
    moved: dict[str, Any] = {name: getattr(log, name)[order] for name in _ARRAYS}
    if log.multiplicity is not None:
        moved["multiplicity"] = log.multiplicity[order]
    return replace(
        log,
        frame=log.frame.iloc[order],
        codebook=Codebook(Labels("subject", subjects), log.codebook.states, log.codebook.actions),
        subject=code[order],
        participants=pd.DataFrame(),
        **moved,
    )
