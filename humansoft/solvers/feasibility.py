"""What to say where the soft Bellman equation has no solution, and up to which temperature it has one."""

import warnings
from collections.abc import Callable

from humansoft.errors import SolveError, SolveWarning
from humansoft.solvers.solution import SolveStatus


def require_solved(status: SolveStatus, temperature: float, is_feasible: Callable[[float], bool]) -> None:
    """Raise the solver's sentence, with the feasible bound where there is one.

    Args:
        status: how a solver ended.
        temperature: the highest temperature of the people.
        is_feasible: whether there is a solution when that temperature (and all others in proportion) is another one.

    Warns:
        SolveWarning: there is a policy, but it is not near the solution.

    Raises:
        SolveError: there is no solution.
    """
    if status is SolveStatus.UNSETTLED:
        warnings.warn(status.value, SolveWarning, stacklevel=2)
    if status.is_usable:
        return
    message = status.value
    if status is SolveStatus.INFEASIBLE:
        bound = feasible_bound(is_feasible, temperature)
        message += (
            f" Here the temperature must stay below {bound:.4g} (inverse temperature above {1 / bound:.4g}); "
            f"it was {temperature:.4g}."
            if bound > 0
            else " With this reward no temperature is low enough: some state gains by never ending."
        )
    raise SolveError(message)


def feasible_bound(is_feasible: Callable[[float], bool], infeasible: float) -> float:
    """Return the largest feasible temperature below an infeasible one, by bisection to 4 digits."""
    low, high = infeasible, infeasible
    while not is_feasible(low):
        low, high = low / 2, low
        if low < 1e-12:
            return 0.0
    while high / low > 1 + 1e-4:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if is_feasible(middle) else (low, middle)
    return low
