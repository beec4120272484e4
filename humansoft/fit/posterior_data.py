"""Draws as ArviZ's InferenceData: every quantity with its name, people and terms by their labels."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from humansoft.fit.bayes_extra import arviz
from humansoft.fit.mixed import Mixed
from humansoft.fit.nuts import Chains
from humansoft.fit.population_density import PopulationDraws
from humansoft.parameters import Parameter

Real = npt.NDArray[np.float64]

PEOPLE = "decisions"
"""Name of what was observed: of each person the number of decisions, and their log-likelihood."""


def inference_data(
    mixed: Mixed,
    own: Sequence[Parameter],
    subjects: Sequence[Hashable],
    people: Sequence[Hashable],
    chains: Chains,
    draws: PopulationDraws,
    before: PopulationDraws,
    log_likelihood: Real,
    decisions: Real,
) -> Any:  # noqa: ANN401 - arviz.InferenceData, which is loaded on use
    """Return draws as ``arviz.InferenceData``.

    Its posterior holds ``reward`` [weight] and ``choice`` [choice_term] (what people share), one variable a parameter
    that everybody has alone (``log_temperature`` [subject]), ``coefficient`` [term] and ``sd`` [parameter]. Where
    subjects are conditions of people, what a person decided in all of them has the dimension ``person``.

    Args:
        mixed: the population.
        own: [k] what each subject has alone.
        subjects: [S] labels: people, or conditions of people.
        people: [B] labels.
        chains: how the draws were made.
        draws: the draws, chain after chain.
        before: draws from the prior.
        log_likelihood: [draws, B] of all that a person decided.
        decisions: [B] how many these are.
    """
    shape = chains.points.shape[:2]
    coords = {
        "subject": [_label(subject) for subject in subjects],
        "person": [] if subjects == people else [_label(person) for person in people],
        "weight": [str(row) for row in mixed.shared if row.fixed is None and row.kind == "reward"],
        "choice_term": [str(row) for row in mixed.shared if row.fixed is None and row.kind != "reward"],
        "term": [str(row.label) if row.kind == "log_temperature" else row.name for row in mixed.coefficients],
        "parameter": [str(row.label) for row in mixed.spread],
    }
    dims = {
        "reward": ["weight"],
        "choice": ["choice_term"],
        "coefficient": ["term"],
        "sd": ["parameter"],
        PEOPLE: ["person" if coords["person"] else "subject"],
    }
    dims |= {row.name: ["subject"] for row in own}
    return arviz().from_dict(
        posterior=_variables(mixed, own, draws, shape),
        prior=_variables(mixed, own, before, (1, len(before.full))),
        sample_stats=chains.stats,
        log_likelihood={PEOPLE: log_likelihood.reshape(*shape, -1)},
        observed_data={PEOPLE: decisions},
        coords={name: values for name, values in coords.items() if values},
        dims=dims,
    )


def _variables(
    mixed: Mixed, own: Sequence[Parameter], draws: PopulationDraws, shape: tuple[int, int]
) -> dict[str, Real]:
    """Return the quantities of a group, [chains, draws, ...]."""
    first, count = len(mixed.shared), len(mixed.coefficients)
    of_reward = np.array([row.kind == "reward" for row in mixed.shared], dtype=bool)
    found = {
        "reward": draws.full[:, :first][:, mixed.free_shared & of_reward],
        "choice": draws.full[:, :first][:, mixed.free_shared & ~of_reward],
        "coefficient": draws.full[:, first : first + count],
        "sd": np.exp(draws.full[:, first + count :]),
        **{row.name: draws.own[:, :, place] for place, row in enumerate(own)},
    }
    return {name: values.reshape(*shape, -1) for name, values in found.items() if values.shape[1]}


def _label(person: Hashable) -> str | int:
    """Return a label that a file can hold: text and whole numbers as they are."""
    return person if isinstance(person, str | int) else str(person)
