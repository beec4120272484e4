"""rationality: how well people choose, in measures that need no unit of reward.

Only reward / temperature is in the data (SCIENCE 4.4). What is said here stays the same when somebody's reward and
temperature grow by the same factor, so that it may be compared between people who want different things.
"""

import pandas as pd

from humansoft.errors import NotConvergedError, UsageError, shortlist
from humansoft.evaluate.anchor import unit_of_reward
from humansoft.evaluate.groups import group_of_people
from humansoft.evaluate.measured_people import MeasuredPeople
from humansoft.evaluate.methods import methods_of
from humansoft.evaluate.reference_states import Reference, Where
from humansoft.evaluate.yardstick import Yardstick
from humansoft.fit.result import Fit
from humansoft.tasks.lookup import require_tables
from humansoft.threads import one_thread

_CERTAIN = 30.0  # temperatures: a mistake that costs this much is made once in 1e13 decisions


@one_thread()
def rationality(
    fit: Fit, by: str | None = None, *, reference: Where = "pooled", threshold: float = 1.0, seed: int = 0
) -> pd.DataFrame:
    r"""Measure how well people choose, without a unit of reward: lawful whatever each of them wants.

    With J the expected reward (no bonus for variety), V* and Q* the values of the best policy, and averages over the
    states of the reference in which there is a choice:

    - ``normalised_value``: (J - J at random) / (J at best - J at random): 1 for the best policy, 0 for chance.
      It may be negative. ``normalised_regret`` is what is missing to 1.
    - ``choice_error``: probability of an action that is not among the best.
    - ``costly_error``: probability of an action that costs more than ``threshold`` times what one choice at random
      costs on average.
    - ``information_bits``: log2 of the number of options minus the entropy of the choice; needs no reward at all.
    - ``complexity_bits``: how much the choice depends on the state (mutual information); not more is not better.
    - ``signal_to_noise``: spread of Q* - V* over the options, divided by the temperature. Means of groups leave out
      people at a boundary, for whom it has no end.
    - ``regret_per_decision``: V* - Q* of what is chosen, in units of reward; only where a weight is anchored.

    People are measured by what they do: what they plan, with the lapses and action biases of the model's choice terms,
    which move them as well (their values, visits and mistakes). Stickiness depends on more than the state, so that
    sticky people are measured where nothing was done before, which the notes say.

    Adding a shaping reward discount * v(s') - v(s), with v 0 at the end, leaves all of them unchanged in tasks without
    a horizon. Intervals are by the delta method, on a scale on which the measure is unbounded (logarithm, logit):
    of reward, temperature and choice terms together, the states of reference held fixed, and so are choice terms that
    are known or at a boundary. People at a boundary have the interval that their one-sided bound on the temperature
    gives, all else held fixed. Of a population that shares the reward, intervals reach as far as those of people's
    temperatures make the measures move, and by the delta method for what else is uncertain.

    Args:
        fit: a fit; of a reward for each person (``LinearReward(shared=False)``, ``Fixed(1)``), or a shared one.
        by: a participants' column: rows with the mean of each group, and with the differences, are added.
        reference: states in which everybody is measured alike: "pooled" (recorded decisions of all people; with a
            horizon, decisions expected after all recorded starts), "task" (the task's start distribution, followed at
            random: comparable between fits), or a distribution {state: probability}.
        threshold: from where a mistake is costly.
        seed: of the draws that the intervals of ranks are counted from.

    Returns:
        One row a person, best first: rank by normalised value with its interval (``rank_low``, ``rank_high``), each
        measure with ``_low`` and ``_high``, and the measure in the person's own states (``_own``), which mixes skill
        with opportunity: not to be ranked by. With ``by``, rows are indexed by (kind, label), where
        kind is "subject", "group" or "difference". ``attrs``: notes, methods, reference, threshold, seed, regret_unit.

    Raises:
        IdentificationError: nothing is at stake, or the data do not identify what is measured.
        NotConvergedError: the fit stopped early.
        UsageError: an unknown reference or column, or one group only.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> people = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.3, "bob": 1.0})
        >>> log = hs.simulate(people, episodes=40, seed=1, max_steps=30)
        >>> own = hs.LinearReward(["step"], shared=False)  # everybody may care as much as they like
        >>> fitted = hs.fit(hs.SoftOptimalModel(task, own, hs.Fixed(1.0)), log)
        >>> hs.rationality(fitted)["normalised_value"].idxmax()
        'ann'
    """
    require_tables(fit.model.task, "rationality()")
    _require_converged(fit)
    if not threshold >= 0:
        raise UsageError(f"threshold={threshold}: a mistake is costly from some multiple (0 or more) of a typical cost")
    grouped = None if by is None else group_of_people(fit, by)
    if grouped is not None and len(grouped[0]) < 2:
        raise UsageError(f"column {by!r} has only the value {grouped[0].values[0]!r}: there is nothing to compare")
    yardstick = Yardstick(fit, Reference.of(fit, reference), threshold)
    people = MeasuredPeople.of(yardstick)
    table, notes = people.table(seed), list(people.notes)
    if grouped is not None:
        groups = people.of_groups(*grouped)
        named = pd.concat({"subject": table.rename_axis("label")}, names=["kind"])
        table = pd.concat([named, groups])
        lonely = list(groups.index.get_level_values("label")[groups["num_people"] == 1])
        if lonely:
            notes.append(
                f"one person is all of group {shortlist(lonely)}: the interval says nothing of others like them"
            )
    table.attrs = {
        "notes": notes,
        "methods": methods_of(fit, measured_in=yardstick.reference.words, by=by),
        "reference": yardstick.reference.words,
        "threshold": threshold,
        "seed": seed,
        "regret_unit": unit_of_reward(fit),
    }
    return table


def _require_converged(fit: Fit) -> None:
    """Refuse a fit that stopped early, and name the people who made it so."""
    if fit.converged or not fit.model.rows_are_people:
        fit.require_converged()
        return
    temperature = dict(zip(fit.subjects.values, fit.temperatures()["temperature"], strict=True))
    own = [
        (row.label, abs(value) * row.scale)
        for row, value in zip(fit.model.table.rows, fit.params["estimate"].to_numpy(dtype=float), strict=True)
        if row.kind == "reward" and row.level == "subject"
    ]
    certain = list(dict.fromkeys(who for who, size in own if size > _CERTAIN * temperature[who]))
    if certain:
        raise NotConvergedError(
            f"the decisions of {shortlist(certain)} are explained the better the larger a reward of their own is (they "
            "hardly ever erred, or made few decisions), so that it has no estimate. Leave them out, or let people "
            "share the reward: LinearReward(shared=True), temperature=PerSubject()"
        )
    fit.require_converged()
