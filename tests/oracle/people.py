"""Fits whose parameters are set, not learned: people whose reward and temperature are known."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch

import humansoft as hs
from humansoft.choice import ChoiceTerm
from tests.oracle.reference import Array


def settled(fit: hs.Fit, full: Array) -> hs.Fit:
    """Return the same fit with other estimates [P]; its covariances are those of the old ones."""
    params = fit.params.assign(estimate=full)
    return dataclasses.replace(
        fit, model=fit.model.at(torch.from_numpy(np.array(full, dtype=np.float64))), params=params
    )


def known_people(
    task: hs.Task,
    reward: Mapping[str, float],
    temperatures: Mapping[str, float],
    planner: str = "kl",
    seed: int = 1,
    episodes: int = 20,
    template: hs.Fit | None = None,
    choice: Sequence[ChoiceTerm] = (),
) -> hs.Fit:
    """Return a fit of people who want ``reward``, with exactly these temperatures.

    The numbers of choice terms are known, too. Their decisions are simulated, or those of a template: a fit to the same
    people in a task of the same labels.
    """
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed=reward), hs.PerSubject(), planner, choice=choice)  # type: ignore[arg-type]
    if template is None:
        policy = hs.plan(task, reward, temperature=dict(temperatures), planner=planner, choice=choice)  # type: ignore[arg-type]
        fit = hs.fit(model, hs.simulate(policy, episodes, seed=seed, max_steps=12))
    else:
        old = template.model
        fit = dataclasses.replace(template, model=model.bound_to(old.subjects, old.groups, old.group_of_subject))
    logs = np.log([temperatures[str(who)] for who in fit.subjects.values])
    known = [row.fixed for row in fit.model.table.rows[fit.model.table.choices]]
    full = np.r_[list(reward.values()), logs, np.array(known, dtype=np.float64)]
    return settled(dataclasses.replace(fit, params=fit.params.assign(boundary="")), full)
