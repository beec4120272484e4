"""From options to nouns: the log, the task, the model."""

import dataclasses
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from humansoft.catalogue.load import load_dataset, load_log
from humansoft.choice import ActionBias, ChoiceTerm, Lapse, Stickiness
from humansoft.cli.options import EstimationOptions, LogOptions, ModelOptions
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import by_conditions
from humansoft.data.readers import read
from humansoft.errors import Problems, UsageError, did_you_mean
from humansoft.fit.fitting import METHODS
from humansoft.fit.hierarchical import Integrate
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.planners import PLANNERS
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.linear import LinearReward
from humansoft.rewards.table import TableReward
from humansoft.tasks.task import Task
from humansoft.temperature import ByFormula, Fixed, PerGroup, PerSubject, Shared, Temperature

Choice = TypeVar("Choice", bound=str)
RewardKind = Literal["linear", "state", "state_action"]
TemperatureKind = Literal["fixed", "shared", "per_subject", "per_group"]

ChoiceKind = Literal["lapse", "stickiness", "stickiness_within_subject", "action_bias"]

NOTHING = "none"
"""What stands for "there is no such column" on the command line."""

_ROLES = (
    *("subject", "episode", "step", "state", "action", "next_state"),
    *("context", "weight", "terminated", "truncated", "conditions"),
)
_LISTS = ("state", "next_state", "conditions")
_REWARDS: tuple[RewardKind, ...] = ("linear", "state", "state_action")
_TEMPERATURES: tuple[TemperatureKind, ...] = ("fixed", "shared", "per_subject", "per_group")
_CHOICES: tuple[ChoiceKind, ...] = ("lapse", "stickiness", "stickiness_within_subject", "action_bias")
_MAY_LACK = ("subject", "episode", "step")


def one_of(option: str, value: str, allowed: Sequence[Choice]) -> Choice:
    """Return a value that is among those allowed.

    Raises:
        UsageError: it is not; with "did you mean".
    """
    for choice in allowed:
        if value == choice:
            return choice
    raise UsageError(f"{option} {value}: there is no such choice.{did_you_mean(value, allowed)}")


def split_names(given: Sequence[str] | None) -> list[str]:
    """Split names that were given with commas, by repeating the option, or both."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def assignments(option: str, given: Sequence[str] | None) -> dict[str, float]:
    """Read NAME=VALUE pairs.

    Raises:
        UsageError: every pair that is not one, has no number, or comes twice.
    """
    values: dict[str, float] = {}
    with Problems(option, UsageError) as problems:
        for text in given or ():
            name, equals, number = text.rpartition("=")
            if not equals or not name:
                problems.add(f"{text!r} is not NAME=VALUE, for example {option} step=-1")
                continue
            try:
                value = float(number)
            except ValueError:
                problems.add(f"{number!r} in {text!r} is not a number")
                continue
            if name in values:
                problems.add(f"{name!r} has two values")
            values[name] = value
    return values


def read_log(options: LogOptions) -> BehaviorLog:
    """Read the log that the options name: a file, or a data set.

    Raises:
        UsageError: neither or not both, or columns of a data set, which are known.
    """
    columns = _columns_of(options)
    if options.dataset is None:
        if options.log is None:
            raise UsageError("which log? Give the file of a log, or --dataset NAME")
        if options.path is not None:
            raise UsageError("--path says where a data set lies: it needs --dataset NAME")
        return read(options.log, **columns, participants=options.participants, **_counting(options))
    _require_no_columns(options)
    conditions = split_names(options.conditions)
    if options.log is None:
        _require_not_counted(options.counted)
        return by_conditions(load_log(options.dataset, options.path), conditions)
    # Decisions that `split` or `simulate` wrote, in the data set's own columns.
    known = dataclasses.replace(load_log(options.dataset).columns, conditions=tuple(conditions))
    return read(options.log, **dataclasses.asdict(known), **_counting(options))


def read_log_and_task(options: LogOptions, task_file: Path | None) -> tuple[BehaviorLog, Task]:
    """Read the log and the task that the options name.

    Raises:
        UsageError: no task: neither a task file nor a data set.
    """
    if task_file is None and options.dataset is None:
        raise UsageError("which task? Give --task FILE (a task file, .toml) or --dataset NAME")
    if task_file is not None:
        log = read_log(options)
        # A counted log may not know what followed; a task that is estimated from it then says that counts are lacking.
        known = not log.counted or log.columns.next_state is not None
        return log, Task.from_toml(task_file, counts=log.transition_counts() if known else None)
    assert options.dataset is not None
    if options.log is not None:
        return read_log(options), load_dataset(options.dataset)[1]
    _require_no_columns(options)
    _require_not_counted(options.counted)
    log, task = load_dataset(options.dataset, options.path)
    return by_conditions(log, split_names(options.conditions)), task


def read_log_of_run(fit: Fit, file: Path | None, participants: Path | None, counted: bool = False) -> BehaviorLog:
    """Read a log in the same columns as the one that was fitted.

    Raises:
        UsageError: no file, where the run was not fitted to a data set of the catalogue.
    """
    training = fit.training
    if training.dataset is not None:
        _require_not_counted(counted)
        if participants is not None:
            raise UsageError(f"the run was fitted to data set {training.dataset!r}: leave out --participants")
        return by_conditions(load_log(training.dataset, file), training.columns.conditions)
    if file is None:
        raise UsageError(f"which log? The run was fitted to {training.source}: give that file, or another like it")
    grouping = fit.model.temperature.column if isinstance(fit.model.temperature, PerGroup) else None
    keep = [grouping] if counted and participants is None and grouping else []
    return read(file, **dataclasses.asdict(training.columns), participants=participants, counted=counted, keep=keep)


def build_model(options: ModelOptions, task: Task) -> SoftOptimalModel:
    """Build the model that the options describe.

    Raises:
        UsageError: options that do not exist or do not go together.
    """
    planner = one_of("--planner", options.planner, PLANNERS)
    return SoftOptimalModel(task, _reward(options, task), _temperature(options), planner, choice=_choice(options))


def estimation_of(options: EstimationOptions) -> dict[str, Any]:
    """Return how to estimate, as :func:`humansoft.fit` takes it; what was not given is left to its defaults.

    Raises:
        UsageError: a method that does not exist, or options that belong to another.
    """
    method = one_of("--method", options.method, METHODS)
    belongs = {"integrate": "hierarchical", "draws": "posterior", "tune": "posterior", "chains": "posterior"}
    given = {name: getattr(options, name) for name in belongs if getattr(options, name) is not None}
    with Problems(f"--method {method}", UsageError) as problems:
        for name in given:
            if belongs[name] != method:
                problems.add(f"--{name} belongs to --method {belongs[name]}")
    if options.integrate is not None:
        one_of("--integrate", options.integrate, get_args(Integrate))
    return {"method": method, **given}


def _columns_of(options: LogOptions) -> dict[str, Any]:
    """Return the columns that were named; "none" stands for no column."""
    columns: dict[str, Any] = {}
    for role in _ROLES:
        given = getattr(options, role)
        if role in _LISTS:
            given = split_names(given)
        if given:
            columns[role] = None if role in _MAY_LACK and given.lower() == NOTHING else given
    return columns


def _counting(options: LogOptions) -> dict[str, Any]:
    """Return how to read a file: row by row, or counted."""
    keep = split_names(options.keep)
    if keep and not options.counted:
        raise UsageError("--keep belongs to --counted: without it, all columns of the log are there")
    return {"counted": options.counted, "keep": keep}


def _require_not_counted(counted: bool) -> None:
    if counted:
        raise UsageError("data sets of the catalogue are small enough: leave out --counted")


def _require_no_columns(options: LogOptions) -> None:
    """Refuse what would change the meaning of a data set's columns, which are known."""
    given = [role for role in _columns_of(options) if role != "conditions"] + (
        ["participants"] if options.participants else []
    )
    if given:
        named = ", ".join(f"--{role.replace('_', '-')}" for role in given)
        raise UsageError(f"the columns of data set {options.dataset!r} are known; leave out {named}")
    if options.log is not None and options.path is not None:
        raise UsageError("LOG and --path both bring decisions; give one of them")


def _reward(options: ModelOptions, task: Task) -> AbstractReward:
    kind = one_of("--reward", options.reward, _REWARDS)
    fixed = assignments("--fixed", options.fixed)
    features = split_names(options.features) or None
    if kind == "linear":
        return LinearReward(features, fixed, shared=not options.own_rewards)
    if features or options.own_rewards:
        raise UsageError(f"--reward {kind} has no features and is one for all: leave out --features and --own-rewards")
    return TableReward(kind, _entries(kind, fixed, task))


def _entries(kind: str, fixed: dict[str, float], task: Task) -> dict[Hashable, float]:
    """Look up the labels whose text stands on the command line: (0, 1) is a tuple there."""
    labels: list[Hashable] = list(task.states.values)
    if kind == "state_action":
        labels = [(state, action) for state in labels for action in task.actions.values]
    by_text = {str(label): label for label in labels}
    with Problems("--fixed", UsageError) as problems:
        for text in fixed:
            if text not in by_text:
                problems.add(f"there is no entry {text!r}.{did_you_mean(text, by_text)}")
    return {by_text[text]: value for text, value in fixed.items()}


def _choice(options: ModelOptions) -> list[ChoiceTerm]:
    terms: list[ChoiceTerm] = []
    for text in split_names(options.choice):
        name, equals, _ = text.partition("=")
        kind = one_of("--choice", name.strip(), _CHOICES)
        value = assignments("--choice", [text])[name] if equals else None
        if kind == "action_bias" and equals:
            raise UsageError("--choice action_bias takes no number: every action has a bias of its own")
        if kind == "lapse":
            terms.append(Lapse(value))
        elif kind == "action_bias":
            terms.append(ActionBias())
        else:
            terms.append(Stickiness(value, "episode" if kind == "stickiness" else "subject"))
    return terms


def _temperature(options: ModelOptions) -> Temperature:
    formula = options.temperature.strip().startswith("~")
    kind = "formula" if formula else one_of("--temperature", options.temperature, _TEMPERATURES)
    with Problems(f"--temperature {kind}", UsageError) as problems:
        if (kind == "per_group") != (options.group is not None):
            problems.add("--temperature per_group and --group COLUMN need each other")
        if options.temperature_value is not None and kind != "fixed":
            problems.add("--temperature-value belongs to --temperature fixed")
    if formula:
        return ByFormula(options.temperature)
    if kind == "fixed":
        return Fixed(1.0 if options.temperature_value is None else options.temperature_value)
    if options.group is not None:
        return PerGroup(options.group)
    return Shared() if kind == "shared" else PerSubject()
