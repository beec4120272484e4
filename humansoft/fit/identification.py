"""What the data can and cannot tell: flat directions of the likelihood, found and named before fitting.

J = d log pi(a|s) / d parameters at the visited states, at random parameter values, weighted by
visits (SCIENCE 4.3). A singular value below 1e-8 of the largest is structural: no data of this kind
will ever tell; below 1e-3 it is weak.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft._types import DTYPE
from humansoft.data.log import BehaviorLog
from humansoft.errors import IdentificationError, SolveError, shortlist
from humansoft.fit.flat_directions import describe, describe_weak
from humansoft.fit.flat_space import STRUCTURAL, ReducedJacobian, spectrum
from humansoft.fit.gaps import gap_notes
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameters
from humansoft.tasks.lookup import playable_in
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

ONE_LIKELIHOOD = "are one likelihood here"
"""How the note of two planners that no data tell apart can be found."""

_DRAWS = 3
_ATTEMPTS = 20


@dataclass(frozen=True)
class Direction:
    """One direction along which the likelihood does not (or hardly) change.

    Attributes:
        severity: "structural" (no data of this kind can tell) or "weak".
        parameters: names of the parameters that trade off.
        weights: how much each of them moves along the direction.
        message: what is not identified and what would fix it, in the user's words.
    """

    severity: str
    parameters: tuple[str, ...]
    weights: tuple[float, ...]
    message: str


@dataclass(frozen=True, eq=False)
class Identification:
    """The identification report of a model on a log.

    Attributes:
        directions: flat directions, structural ones first.
        num_parameters: number of free parameters.
        rank: number of directions that the data identify.
        singular_values: of the weighted derivative matrix, largest first, relative to the first.
        notes: what else to know (equivalent planners, units).
    """

    directions: tuple[Direction, ...]
    num_parameters: int
    rank: int
    singular_values: Real
    notes: tuple[str, ...]

    @property
    def identified(self) -> bool:
        """True when no direction is structurally flat."""
        return self.rank == self.num_parameters

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a flat direction."""
        columns = ["severity", "parameters", "weights", "message"]
        return pd.DataFrame([[getattr(d, c) for c in columns] for d in self.directions], columns=columns)

    def __str__(self) -> str:
        """Say in words what is and what is not identified."""
        if self.identified:
            lines = [f"Identified: all {self.num_parameters} free parameters."]
        else:
            flat = self.num_parameters - self.rank
            lines = [f"Not identified: {flat} of {self.num_parameters} free directions are flat."]
        lines += [f"  {d.severity}: {d.message}" for d in self.directions]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def require(self) -> None:
        """Raise when a direction is structurally flat.

        Raises:
            IdentificationError: every flat direction with its fix.
        """
        if not self.identified:
            raise IdentificationError(
                f"{self}\nChange the model as proposed, or pass allow_unidentified=True to get labelled estimates."
            )


@one_thread()
def identify(model: SoftOptimalModel, log: BehaviorLog, seed: int = 0) -> Identification:
    """Find the directions in which the data say nothing about the parameters.

    Args:
        model: the hypothesis.
        log: the decisions that would be fitted.
        seed: seed of the random parameter values at which the derivatives are taken.

    Returns:
        The report; ``print`` it. :func:`humansoft.fit` refuses models that are not identified.

    Raises:
        SolveError: no parameter values were found at which the model has a solution.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> hs.identify(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log).identified
        True
    """
    bound = model.bind(log)
    return identified(likelihood_of(bound, bound.observe(log)), seed)


def identified(whole: AbstractLikelihood, seed: int) -> Identification:
    """Return the report of :func:`identify` for a likelihood that is at hand."""
    bound = whole.model
    free = bound.table.num_free
    if free == 0:
        return Identification((), 0, 0, np.zeros(0), ())
    generator = np.random.default_rng(seed)
    likelihood = (whole.pilot or whole).every_action_by_row
    best = spectrum(likelihood, _draw(likelihood, generator))
    if whole.pilot is not None and (best.rank < free or best.weak.shape[1]):  # what a part tells, all of it does
        likelihood = whole.every_action_by_row
        best = spectrum(likelihood, _draw(likelihood, generator))
    for _ in range(_DRAWS - 1):  # a direction is structural only if it is flat everywhere
        if best.rank == free:
            break
        best = max(best, spectrum(likelihood, _draw(likelihood, generator)), key=lambda s: s.rank)
    directions = [Direction("structural", *found) for found in describe(bound, best.flat, best.num_flat, best.full)]
    directions += [Direction("weak", *found) for found in describe_weak(bound, best.weak)]
    notes = _notes(bound, likelihood, best.full) + gap_notes(whole)
    return Identification(tuple(directions), free, best.rank, best.relative, tuple(notes))


def _draw(likelihood: AbstractLikelihood, generator: np.random.Generator) -> Real:
    """Draw parameter values at which the problem has a solution, cooling down until it does."""
    table = likelihood.model.table
    temperature, middle = table.is_temperature, _known_scale(table)
    for attempt in range(_ATTEMPTS):
        size = np.where(temperature, 0.1, 1.0 / table.scales)
        wanted = generator.normal(size=len(table)) * size + np.where(temperature, middle, table.start)
        # Undiscounted problems are solvable where steps are costly and temperatures low enough.
        wanted = np.where(temperature, wanted - 0.5 * attempt, -np.abs(wanted) if attempt % 2 else wanted)
        full = table.project(wanted)
        if np.isfinite(likelihood.value(torch.from_numpy(full))):
            return full
    raise SolveError(
        "no parameter values were found at which the model has a solution: without a discount, every way to the end "
        "must cost something (with planner='entropy' more than a step's entropy is worth); use a discount below 1, or "
        "fix a negative step weight"
    )


def _known_scale(table: Parameters) -> float:
    """Return the log of the largest effect of a fixed reward, in the units of the temperature; 0 without any."""
    known = np.array([abs(row.fixed or 0.0) * row.scale for row in table.rows if row.kind == "reward"])
    return float(np.log(known.max())) if known.max(initial=0.0) > 0 else 0.0


def _notes(bound: SoftOptimalModel, likelihood: AbstractLikelihood, full: Real) -> list[str]:
    notes = []
    if bound.planner in ("kl", "entropy") and planners_agree(bound, likelihood, full):
        other = "entropy" if bound.planner == "kl" else "kl"
        free_temperature = any(row.kind == "log_temperature" and row.fixed is None for row in bound.table.rows)
        notes.append(
            f"planner={bound.planner!r} and planner={other!r} {ONE_LIKELIHOOD}: no data of this kind tell them "
            "apart"
            + ("; only the scale differs, so ratios of temperatures depend on which one is chosen" * free_temperature)
        )
    if bound.is_relative:
        notes.append("temperatures are relative: their geometric mean over people is held at 1 (average person = 1)")
    silent = _silent(likelihood)
    if silent:
        notes.append(f"no decision with two options for {shortlist(silent)}: their temperatures cannot be estimated")
    return notes


def _silent(likelihood: AbstractLikelihood) -> list[Hashable]:
    """Return the labels of free temperatures, of several, whose people had no choice."""
    table, seen = likelihood.model.table, likelihood.observations
    people = len(likelihood.model.subjects)
    options = playable_in(likelihood.model.task, seen.state).sum(axis=1)
    choices = np.bincount(seen.person, weights=options > 1, minlength=people).astype(np.float64)
    asked = table.free & table.is_temperature
    if asked.sum() < 2:
        return []
    return [table.rows[p].label for p in np.flatnonzero(asked & (likelihood.directions.summed(choices) == 0))]


def planners_agree(bound: SoftOptimalModel, likelihood: AbstractLikelihood, full: Real) -> bool:
    """Whether the kl and the entropy planner give one likelihood on these data.

    kl with reward r is entropy with reward r - temperature * log(number of actions): the two agree
    where adding log|A(s)| to r / temperature can be undone by the free parameters.
    """
    if bound.prior is not None or bound.task.goals is not None:  # on a network, links differ in their turns
        return False
    wage = (
        bound.task.available.sum(dim=-1, keepdim=True).clamp_min(1).to(DTYPE).log().expand(bound.task.available.shape)
    )
    if (wage == wage[:1, :1]).all():  # what is paid whatever is done changes nothing
        return True
    derivatives = likelihood.jacobian(torch.from_numpy(full), wage)
    rows = derivatives * np.sqrt(likelihood.observations.weight)[:, None]
    # In units of each person's temperature the wage is the same for everybody.
    temperature = _temperature_of(bound, full)[likelihood.observations.person]
    rows[:, -1] *= temperature
    wanted = float(np.linalg.norm(rows[:, -1]))
    others = float(np.abs(rows[:, :-1]).max(initial=0.0))
    if np.abs(rows[:, -1]).max(initial=0.0) <= STRUCTURAL * max(others, 1e-300):
        return True
    if bound.table.num_free == 0:
        return False
    units = np.r_[np.ones(len(bound.table)), 0.0]
    return ReducedJacobian.of(likelihood, rows, units).explains(1e-6 * wanted)


def _temperature_of(bound: SoftOptimalModel, full: Real) -> Real:
    """Return the temperature of each person at a parameter vector."""
    own: Real = np.exp(full[bound.table.temperatures])
    return own[bound.group_of_subject]
