"""Choice terms: what people do at the moment of choice that is no part of their plan.

Three of them: lapses, stickiness and action biases. None of them is planned with: the person does not foresee her
own slips and habits, so values and planned policies are those of the model without them. They are shared by everybody,
in fits of people one by one as in those of a population (``method="hierarchical"`` and ``"posterior"``), where people
differ in temperature, and in reward weights of their own. Networks have none.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import torch
from torch import nn

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems, did_you_mean
from humansoft.parameters import Parameter
from humansoft.solvers.choosing import ChoiceRule, Within
from humansoft.tasks.task import Task

LOG_ODDS = "log odds"
"""Unit of what is added to the logarithm of the odds of an action."""


@dataclass(frozen=True)
class Lapse:
    """Now and then, a choice that has nothing to do with the task: any available action, all alike.

    pi' = (1 - epsilon) pi + epsilon * uniform over the available actions; after stickiness and biases. Shared by
    everybody. Not planned with: the person does not foresee that she will lapse.

    Identification: a lapse and a high temperature both make people err. They are told apart by decisions with a
    large gap only, where a noisy person hardly errs but an absent-minded one does as often as anywhere;
    :func:`humansoft.identify` says when the data have hardly any. Where there are few errors of that
    kind, the likelihood is best at a lapse of 0, which is reported as a boundary with a one-sided interval.

    Attributes:
        fixed: the probability epsilon of a lapse, between 0 and 1, where it is known.
    """

    fixed: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no probability between 0 and 1."""
        if self.fixed is not None and not 0 < self.fixed < 1:
            raise ModelError(
                f"Lapse(fixed={self.fixed}): the probability of a lapse lies between 0 and 1, both excluded; "
                "for people who never lapse, leave the term out"
            )


@dataclass(frozen=True)
class Stickiness:
    """Whatever was done last is done again (perseveration), or avoided, if negative.

    pi' is proportional to pi * exp(kappa * 1[action = the last action]), of the same episode, or, where episodes are
    trials of a decision or two, of the same person (``within="subject"``), in the order of the episodes' labels. The
    first decision has no action before it (nor has the first one after a cut, of a log that was split by time), and a
    missing response keeps the last action that was made. What cannot be chosen now is not favored. Shared by
    everybody. Not planned with: the person does not foresee her habit.

    Identification: kappa is told apart from the reward wherever the last action is not the best one. Left out where
    it is at work, it biases the temperature: repetitions against one's interest look like noise. Where one state
    always follows the same action (a corridor), a weight of that action can stand in for it.

    Attributes:
        fixed: kappa in log odds, where it is known.
        within: how far back the last action may lie: in the same "episode", or in any of the same "subject".
    """

    fixed: float | None = None
    within: Within = "episode"

    def __post_init__(self) -> None:
        """Refuse what is no number, and an unknown ``within``."""
        if self.within not in get_args(Within):
            raise ModelError(f"Stickiness(within={self.within!r}).{did_you_mean(self.within, get_args(Within))}")
        if self.fixed is not None and not math.isfinite(self.fixed):
            raise ModelError(f"Stickiness(fixed={self.fixed}): stickiness is a finite number of log odds")


@dataclass(frozen=True)
class ActionBias:
    """A liking for some actions, whatever they lead to: a hand, a side of the screen.

    pi' is proportional to pi * exp(b_action), with b = 0 for one action of reference. Shared by everybody. It acts at
    the moment of choice only. A reference policy (``prior=`` of the "kl" planner) has the same form there but is also
    planned with: what deviates from it costs the person something in every later step, too.

    Identification: only differences of biases are in the data, hence the reference. Where nobody plans ahead
    (discount 0), or where moves are the same everywhere, a reward of an action is the same thing as its bias, in other
    units; fix one of them at 0. An action that was nowhere available beside others has no bias.

    Attributes:
        reference: the action with bias 0; by default the task's first one that is not in ``fixed``.
        fixed: biases that are known, in log odds, by action.
    """

    reference: Hashable = None
    fixed: Mapping[Hashable, float] = field(default_factory=dict)

    def actions(self, task: Task) -> tuple[int, ...]:
        """Return the codes of the actions that have a bias of their own.

        Raises:
            ModelError: actions that the task does not have, or biases that are no numbers; all of them at once.
        """
        usable = torch.nonzero(task.playable.any(dim=0))[:, 0].tolist()
        with Problems("ActionBias", ModelError) as problems:
            for label in (*(() if self.reference is None else (self.reference,)), *self.fixed):
                if label not in task.actions:
                    problems.add(f"the task has no action {label!r}.{task.actions.suggest(label)}")
                elif int(task.actions.encode([label])[0]) not in usable:
                    problems.add(f"the action {label!r} can be chosen nowhere; leave it out")
            for label, value in self.fixed.items():
                if not math.isfinite(value):
                    problems.add(f"the fixed bias of {label!r} is {value}; it is a finite number of log odds")
            if self.reference is not None and self.fixed.get(self.reference, 0.0) != 0.0:
                problems.add(f"{self.reference!r} is the action of reference, whose bias is 0; leave it out of fixed=")
            if len(usable) < 2:
                problems.add("the task has only one action: there is nothing to be biased between")
            unknown = [code for code in usable if task.actions.values[code] not in self.fixed]
            if self.reference is None and not unknown:
                problems.add(
                    "fixed= names every action; leave out one whose bias is 0: the others are measured from it"
                )
        first = unknown[0] if self.reference is None else int(task.actions.encode([self.reference])[0])
        return tuple(code for code in usable if code != first)


ChoiceTerm = Lapse | Stickiness | ActionBias
_LAPSE_SCALE = 0.05  # what a unit of the logit changes in a probability of about 5 %
_KINDS = (Stickiness, ActionBias, Lapse)  # in the order in which they act


class ChoiceTerms(nn.Module):
    """The choice terms of a model on its task, and their parameters.

    Args:
        terms: at most one of each kind; they act in the order stickiness and biases, then lapses.
        task: the task of the model.
    """

    def __init__(self, terms: Sequence[ChoiceTerm] | ChoiceTerm, task: Task) -> None:
        """Create the parameters.

        Raises:
            ModelError: no terms, a term given twice, a network; all of it at once.
        """
        super().__init__()
        given = (terms,) if isinstance(terms, _KINDS) else tuple(terms)
        with Problems("choice", ModelError) as problems:
            for term in given:
                if not isinstance(term, _KINDS):
                    problems.add(f"{term!r} is no choice term; there are Lapse(), Stickiness() and ActionBias()")
            for kind in _KINDS:
                if sum(isinstance(term, kind) for term in given) > 1:
                    problems.add(f"{kind.__name__} is given more than once")
            if given and task.goals is not None:
                problems.add("choice terms are not offered for networks, whose turns differ from link to link")
        self.terms = tuple(term for kind in _KINDS for term in given if isinstance(term, kind))
        biased = next((term.actions(task) for term in self.terms if isinstance(term, ActionBias)), ())
        self._labels = tuple(task.actions.values[code] for code in biased)
        sticks_within = next((term.within for term in self.terms if isinstance(term, Stickiness)), None)
        lapses = any(isinstance(term, Lapse) for term in self.terms)
        rows = self.parameters_of()
        if rows:
            self.weights = nn.Parameter(torch.tensor([row.start for row in rows], dtype=DTYPE))
        self._rule = ChoiceRule(torch.zeros(len(rows), dtype=DTYPE), sticks_within, biased, lapses)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.terms)

    @property
    def rule(self) -> ChoiceRule | None:
        """How people choose at the present parameters; ``None`` without terms: as they planned."""
        return self.rule_at(self.weights.detach()) if self else None

    def rule_at(self, weights: torch.Tensor) -> ChoiceRule:
        """Return how people choose at other parameters."""
        return replace(self._rule, weights=weights)

    @property
    def is_sticky(self) -> bool:
        """Whether it matters what was done before."""
        return self._rule.is_sticky

    @property
    def sticks_within(self) -> Within | None:
        """How far back it matters what was done before: in the same episode, or in any of the same person."""
        return self._rule.sticks_within

    def known(self) -> tuple[ChoiceTerm, ...]:
        """Return the terms as if their present numbers were known."""
        if not self:
            return ()
        numbers = dict(zip((row.name for row in self.parameters_of()), self.weights.tolist(), strict=True))
        found: list[ChoiceTerm] = []
        for term in self.terms:
            if isinstance(term, Stickiness):
                found.append(Stickiness(numbers["stickiness"], term.within))
            elif isinstance(term, ActionBias):
                found.append(ActionBias(term.reference, {label: numbers[f"bias[{label}]"] for label in self._labels}))
            else:
                found.append(Lapse(float(torch.tensor(numbers["logit_lapse"], dtype=DTYPE).sigmoid())))
        return tuple(found)

    def parameters_of(self) -> list[Parameter]:
        """Describe each number of the parameters, in their order."""
        rows = []
        for term in self.terms:
            if isinstance(term, Stickiness):
                rows.append(Parameter("stickiness", "tilt", unit=LOG_ODDS, fixed=term.fixed))
            elif isinstance(term, ActionBias):
                for label in self._labels:
                    value = term.fixed.get(label)
                    fixed = None if value is None else float(value)
                    rows.append(Parameter(f"bias[{label}]", "tilt", unit=LOG_ODDS, fixed=fixed))
            else:
                known = None if term.fixed is None else math.log(term.fixed / (1 - term.fixed))
                rows.append(Parameter("logit_lapse", "logit_lapse", unit=LOG_ODDS, fixed=known, scale=_LAPSE_SCALE))
        return rows
