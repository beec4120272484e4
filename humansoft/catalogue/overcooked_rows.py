"""Recorded Overcooked games: raw joint steps -> one row a decision of one cook.

Raw step rows are those of the data set ``overcooked_2019``; its ``card.toml`` explains them.
"""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from humansoft.catalogue.dataset import Tables
from humansoft.catalogue.overcooked import (
    ACTIONS,
    AHEAD,
    HELD,
    NEXT_STATE,
    ONIONS_PER_SOUP,
    POT,
    STATE,
    Kitchen,
    build_task,
    find_kitchen,
)
from humansoft.data.log import BehaviorLog, Columns
from humansoft.data.readers import build_log
from humansoft.errors import DatasetError, LogError, Problems, did_you_mean
from humansoft.tasks.task import Task

Finding = tuple[str, list[str], "pd.Series[bool]"]

STEPS, LAYOUTS = "steps_train.parquet", "layouts.json"

COOKING_STEPS = 20

RAW_ACTIONS = dict(enumerate(ACTIONS))
RAW_HELD = dict(zip(("", *HELD[1:]), HELD, strict=True))
RAW_COLUMNS = (
    *("run", "pair", "layout", "t", "objects", "a0", "a1"),
    *("p0_x", "p0_y", "p0_orient", "p0_held", "p1_x", "p1_y", "p1_orient", "p1_held"),
)

COLUMNS = Columns(state=STATE, next_state=NEXT_STATE, truncated="truncated")


def load_log(tables: Tables, layout: str) -> BehaviorLog:
    """Return the decisions of one layout; rows of other layouts are left out, counted in ``source``."""
    decisions, source = _decisions_of(tables, layout)
    return build_log(decisions, COLUMNS, source)


def load_task(tables: Tables, layout: str) -> Task:
    """Return the reduced task of one layout, learned from the games of ``tables``."""
    decisions, _ = _decisions_of(tables, layout)
    return build_task(find_kitchen(tables.json(LAYOUTS), layout), decisions)


def _decisions_of(tables: Tables, layout: str) -> tuple[pd.DataFrame, str]:
    """Read the games of one layout from every file, and say what was read."""
    kitchen = find_kitchen(tables.json(LAYOUTS), layout)
    played: list[pd.DataFrame] = []
    others: dict[str, int] = {}
    files = {name: _as_recorded(steps, name) for name, steps in tables.frames(STEPS).items()}
    for name, steps in files.items():
        if "layout" not in steps.columns:
            if len(files) > 1:  # a folder may hold tables of another kind
                continue
            _check_columns(steps, name)
        here = steps["layout"].astype(str) == layout
        for other, count in steps.loc[~here, "layout"].astype(str).value_counts().items():
            others[str(other)] = others.get(str(other), 0) + count
        if here.any():
            played.append(read_decisions(steps[here], kitchen, name))
    if not played:
        found = ", ".join(f"{other!r} ({count:,} rows)" for other, count in others.items()) or "none"
        raise DatasetError(f"{tables.source}: no row has layout {layout!r}; layouts there: {found}")
    left = sum(others.values())
    source = tables.source + (f" ({left:,} rows of other layouts left out)" if left else "")
    return pd.concat(played, ignore_index=True), source


def _as_recorded(steps: pd.DataFrame, name: str) -> pd.DataFrame:
    """Give back what text files lose: an empty hand is the empty text, not a missing value."""
    if name.endswith((".parquet", ".pq")):
        return steps
    hands = [name for name in ("p0_held", "p1_held") if name in steps.columns]
    return steps.assign(**{name: steps[name].astype(object).where(steps[name].notna(), "") for name in hands})


def read_decisions(steps: pd.DataFrame, kitchen: Kitchen, source: str = "the steps") -> pd.DataFrame:
    """Turn the joint steps of one layout into one row a decision of one cook.

    Args:
        steps: raw step rows with ``RAW_COLUMNS``, all of the kitchen's layout; the index counts
            the rows of their file from 0.
        kitchen: the layout they were played in.
        source: what to call the steps in messages.

    Returns:
        A table sorted by ``subject`` ("pair03-p0"), ``episode`` ("run-1-pair03") and ``step``, with
        ``STATE``, ``action``, ``NEXT_STATE`` (empty on the last row of a game), ``truncated`` (true
        on that row: time ran out, the task did not end) and ``pair``.

    Raises:
        LogError: the rows are not valid; the message numbers all problems.
    """
    _check_columns(steps, source)
    _check_values(steps.reset_index(drop=True), kitchen, steps.index, source)
    steps = steps.sort_values(["run", "pair", "t"])
    table = pd.concat([_decisions_of_cook(steps, kitchen, cook) for cook in (0, 1)])
    return table.sort_values(["subject", "episode", "step"], ignore_index=True)


def _decisions_of_cook(steps: pd.DataFrame, kitchen: Kitchen, cook: int) -> pd.DataFrame:
    pair = steps["pair"].map(lambda p: f"pair{p:02d}" if isinstance(p, int) else f"pair{p}")
    phases = {text: pot_phase(kitchen, text) for text in steps["objects"].unique()}
    table = pd.DataFrame(
        {
            "subject": pair.astype(str) + f"-p{cook}",
            "episode": steps["run"].astype(str) + "-" + pair.astype(str),
            "step": steps["t"].astype("int64"),
            "x": steps[f"p{cook}_x"].astype("int64"),
            "y": steps[f"p{cook}_y"].astype("int64"),
            "orientation": steps[f"p{cook}_orient"].astype(str),
            "held": steps[f"p{cook}_held"].astype(str).map(RAW_HELD),
            "pot": steps["objects"].astype(str).map(phases),
            "action": steps[f"a{cook}"].map(RAW_ACTIONS),
        }
    )
    following = table.groupby("episode")[list(STATE)].shift(-1).add_prefix("next_")
    table = table.join(following.astype({"next_x": "Int64", "next_y": "Int64"}))
    last = ~table["episode"].duplicated(keep="last")
    return table.assign(truncated=last, pair=steps["pair"])


def pot_phase(kitchen: Kitchen, objects: str) -> str:
    """Say how far the most advanced pot is, from the JSON list of the objects lying about."""
    most = 0
    for name, x, y, *soup in json.loads(objects):
        if name == "soup" and (x, y) in kitchen.pots:
            _, onions, cooked = soup[0]
            full = POT.index("ready" if cooked >= COOKING_STEPS else "cooking")
            most = max(most, onions if onions < ONIONS_PER_SOUP else full)
    return POT[most]


def _check_columns(steps: pd.DataFrame, source: str) -> None:
    with Problems(source, LogError) as problems:
        for column in RAW_COLUMNS:
            if column not in steps.columns:
                problems.add(f"there is no column {column!r}.{did_you_mean(column, steps.columns)}")


def _check_values(steps: pd.DataFrame, kitchen: Kitchen, places: "pd.Index[int]", source: str) -> None:
    with Problems(f"{source}, layout {kitchen.name!r}", LogError) as problems:
        for problem, columns, wrong in _findings(steps, kitchen):
            rows = np.flatnonzero(wrong)
            values = steps[columns].iloc[rows[:5]].astype(object).to_numpy().tolist()
            named = zip(places[rows[:5]].tolist(), values, strict=True)
            shown = [f"row {place + 1} has {str(value)[1:-1]}" for place, value in named]
            more = [f"{len(rows) - 5} more rows"] if len(rows) > 5 else []
            if shown:
                problems.add(f"{', '.join(columns)}: {problem}: {', '.join(shown + more)}")


def _findings(steps: pd.DataFrame, kitchen: Kitchen) -> Iterator[Finding]:
    """Yield every possible problem, its columns, and [N] the rows that have it (maybe none)."""
    given = steps[list(RAW_COLUMNS)].notna()
    for column in RAW_COLUMNS:
        yield "missing (an empty hand is '')", [column], ~given[column]
    legends: dict[str, Sequence[object]] = {"layout": [kitchen.name]}
    legends |= {f"p{cook}_orient": list(AHEAD) for cook in (0, 1)}
    legends |= {f"p{cook}_held": list(RAW_HELD) for cook in (0, 1)}
    legends |= {f"a{cook}": list(RAW_ACTIONS) for cook in (0, 1)}
    for column, legend in legends.items():
        yield f"not one of {legend}", [column], given[column] & ~steps[column].isin(legend)
    for cell in (["p0_x", "p0_y"], ["p1_x", "p1_y"]):
        on_floor = pd.MultiIndex.from_frame(steps[cell]).isin(kitchen.floor)
        yield "not a floor cell", cell, given[cell].all(axis=1) & ~on_floor
    readable = [text for text in steps["objects"].dropna().unique() if _is_readable(kitchen, text)]
    unreadable = given["objects"] & ~steps["objects"].isin(readable)
    yield 'not JSON like [["soup",x,y,["onion",count,cook_steps]]]', ["objects"], unreadable
    in_order = steps.assign(t=pd.to_numeric(steps["t"], errors="coerce")).sort_values("t")
    gap = in_order.groupby(["run", "pair"], observed=True)["t"].diff().sort_index()
    yield "not one step after the row before in its game", ["t"], gap.notna() & gap.ne(1)


def _is_readable(kitchen: Kitchen, objects: object) -> bool:
    try:
        pot_phase(kitchen, str(objects))
    except (ValueError, TypeError, IndexError):
        return False
    return True
