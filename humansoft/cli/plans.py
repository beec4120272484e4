"""plan: the policy of people whose reward and temperature are known, state by state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from humansoft.cli.files import require_free_files, write_tables
from humansoft.cli.inputs import assignments, one_of
from humansoft.cli.tables import labels, numbers, print_table, records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.errors import UsageError
from humansoft.planners import PLANNERS
from humansoft.planning import plan
from humansoft.solvers.policy import Policy
from humansoft.tasks.lookup import require_tables
from humansoft.tasks.task import Task


def run_plan(
    task_file: Path,
    reward: Sequence[str],
    temperature: float,
    planner: str,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Solve the forward problem of a task file and print it."""
    require_free_files([output], force)
    weights = assignments("--reward", reward)
    if not weights:
        raise UsageError("what do these people want? Give --reward NAME=VALUE, for example --reward step=-1")
    way = one_of("--planner", planner, PLANNERS)
    with working("planning"):
        task = Task.from_toml(task_file)
        table = tabulate(plan(task, weights, temperature, way))
        if output is not None:
            write_tables([table], [output])
    if as_json:
        known = {"reward": weights, "temperature": temperature, "planner": planner}
        print_json({**known, "output": output, "policy": records(table)})
        return
    _print(table, [name for name in table.columns if str(name).startswith(("context", "state"))])
    if output is not None:
        say(f"Written: {relative(output)}")


def tabulate(policy: Policy) -> pd.DataFrame:
    """Return one row a state (and step, with a horizon): value, likeliest action, all probabilities."""
    task = policy.task
    require_tables(task, "the table of a plan")
    state = np.arange(len(task.states))
    nobody = np.zeros_like(state)
    place = policy.expansion.place(task, policy.row[nobody], state)
    parts = []
    for step in range(task.horizon or 1):
        value = policy.value if task.horizon is None else policy.value[step]
        shares = np.exp(policy.log_prob(nobody, state, np.full_like(state, step)))
        acting = task.playable.numpy().any(axis=1)
        best = shares.argmax(axis=1)
        table = _state_columns(task)
        if task.horizon is not None:
            table.insert(0, "step", step)
        table["value"] = value.detach().numpy()[place]
        chosen = task.actions.decode(np.where(acting, best, -1).tolist())
        table["action"] = pd.Series(chosen, index=table.index, dtype=object)
        table["probability"] = np.where(acting, shares[state, best], np.nan)
        for code, label in enumerate(task.actions.values):
            table[f"p_{label}"] = np.where(acting, shares[:, code], np.nan)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _state_columns(task: Task) -> pd.DataFrame:
    """Return the states as columns of their own, named as `simulate` names them."""
    labels_of: dict[str, list[Any]] = {}
    inner: list[Any] = list(task.states.values)
    if task.has_contexts:
        labels_of["context"], inner = [pair[0] for pair in inner], [pair[1] for pair in inner]
    if all(isinstance(label, tuple) for label in inner):
        parts = zip(*inner, strict=True)
        labels_of |= {f"state_{place}": list(part) for place, part in enumerate(parts)}
    else:
        labels_of["state"] = inner
    return pd.DataFrame(labels_of)


def _print(table: pd.DataFrame, parts: Sequence[str]) -> None:
    cells = {
        **({"step": labels(table["step"])} if "step" in table.columns else {}),
        "state": [", ".join(labels(row)) for row in table[list(parts)].itertuples(index=False, name=None)],
        "value": numbers(table["value"], digits=4),
        "likeliest action": ["(the end)" if a is None else str(a) for a in table["action"]],
        "probability": numbers(table["probability"]),
    }
    print_table("Values and policy", cells, text=("state", "likeliest action"))
