"""The Markov chain that a policy makes of a task: one matrix, who can reach what, and its linear systems.

Two matrices are meant in this package and must not be mixed up. I - discount * P is the planner's: what lies
t decisions ahead weighs discount ** t. I - P counts what really happens until an episode ends.
"""

import dataclasses
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.errors import Problems, SolveError
from humansoft.solvers.linear_system import linear_system
from humansoft.solvers.policy import Policy
from humansoft.solvers.problem import Problem
from humansoft.tasks.lookup import is_terminal

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ROUNDING = 1e-6


def probabilities_of(policy: Policy) -> Float[Array, "*T M A"]:
    """Return pi(a|s); 0 where nothing can be done.

    Raises:
        ModelError: sticky people, whose choices make no Markov chain of the states.
    """
    policy.require_memoryless("where a policy leads")
    table: Array = policy.log_policy.detach().exp().numpy()
    return table


def transition_matrix(problem: Problem, chosen: Float[Array, "M A"]) -> csr_array:
    """Return P_pi [M, M], without any discount; the row of an ended state is 0."""
    share = chosen[:, :, None] * problem.probabilities.numpy()
    state, action, place = np.nonzero(share)
    entries = (share[state, action, place], (state, problem.successors.numpy()[state, action, place]))
    return csr_array(entries, shape=(len(chosen), len(chosen)))


def solve_chain(
    problem: Problem,
    chosen: Float[Array, "M A"],
    right: Float[Array, "M *C"],
    discount: float,
    *,
    transposed: bool = False,
) -> Float[Array, "M *C"]:
    """Return (I - discount * P_pi)^-1 right, or the same of the transpose, whatever discount the task has.

    The system must be regular: with discount 1, a state from which nothing ends has to have no row (``chosen`` 0).
    Where it is so only on paper (people leave once in 1e20 decisions), the solution is NaN.
    """
    policy = torch.from_numpy(chosen).to(DTYPE)
    try:
        system = linear_system(dataclasses.replace(problem, discount=discount), policy)
    except RuntimeError:  # exactly singular after rounding
        return np.full(right.shape, np.nan)
    solution: Array = system.apply_inverse(torch.from_numpy(right).to(DTYPE), transposed).numpy()
    return solution


def can_reach(matrix: csr_array, goal: Bool[Mask, " M"]) -> Bool[Mask, " M"]:
    """Return from where a goal is reached with a probability above 0 (from itself: yes)."""
    size = matrix.shape[0]
    targets = np.flatnonzero(goal)
    backwards = matrix.T.tocoo()
    # One extra node leads to every goal: one search instead of one for each.
    source, target = np.r_[backwards.row, np.full(len(targets), size)], np.r_[backwards.col, targets]
    graph = csr_array((np.ones(len(source)), (source, target)), shape=(size + 1, size + 1))
    found = np.zeros(size + 1, dtype=bool)
    found[breadth_first_order(graph, size, return_predecessors=False)] = True
    return found[:size]


def ended(policy: Policy) -> Bool[Mask, " M"]:
    """[M] true in terminal states."""
    return is_terminal(policy.task, policy.expansion.task_state)


def require_accurate(error: float) -> None:
    """Refuse what rounding has spoilt: I - P is nearly singular where people all but never leave.

    Raises:
        SolveError: saying so.
    """
    if not error <= _ROUNDING:
        raise SolveError(
            "in this task people leave some states so rarely that the time to the end cannot be computed; "
            "it is astronomically long. Look at discounted visits instead, or at a goal that is nearer"
        )


def person_of(subjects: Labels, subject: Hashable, problems: Problems) -> int:
    """Return the code of a person, who may go unnamed where there is only one; note who is unknown."""
    if subject is None and len(subjects) == 1:
        return 0
    if subject is None:
        problems.add(f"whose? The policy has {len(subjects)} people: name one, subject=...")
    elif subject not in subjects:
        problems.add(f"unknown subject {subject!r}.{subjects.suggest(subject)}")
    return int(subjects.encode([subject])[0])
