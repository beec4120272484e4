"""Careers of young men (Keane & Wolpin 1997): yearly choices -> decisions and a decision process.

Every year a man goes to school, stays at home, or works in a white-collar, blue-collar or military
job. A state is his age, his completed years of schooling, the years he has worked in each occupation,
and what he did last year; a year in an activity adds one to the years in it.

The horizon is the record's own: eleven decisions, at ages 16 to 26; the task ends after the last. The
article lets decisions go on to 65, which would take millions of states. What a man's years are worth to
him after 26 is instead linear in the years he leaves with (features ``later_...``). Not represented:
permanent types, and wages, which enter only as indices of schooling and experience, in units of utility.
"""

import numpy as np
import pandas as pd

from humansoft.catalogue.dataset import Tables
from humansoft.data.log import BehaviorLog, Columns
from humansoft.data.readers import build_log
from humansoft.tasks.task import Task

CAREERS = "careers.csv.gz"

OCCUPATIONS = ("white_collar", "blue_collar", "military")
ACTIVITIES = ("school", "home", *OCCUPATIONS)

YEARS = {name: f"exp_{name}" for name in ("school", *OCCUPATIONS)}
"""The column that counts the years in each activity (none counts those at home)."""

STATE = ("age", *YEARS.values(), "lagged_choice")
NEXT = tuple(f"next_{column}" for column in STATE)
RAW_COLUMNS = ("subject", *STATE, "choice", "done")

FIRST_AGE, LAST_AGE = 16, 26
END = (LAST_AGE + 1, 0, 0, 0, 0, "end")
"""The one state after the last decision."""

OF_AGE = 18
HIGH_SCHOOL, COLLEGE, MOST_SCHOOLING = 12, 16, 20
"""Years of schooling that complete high school and college, and that nobody goes beyond (as published)."""

DISCOUNT = 0.787
"""The article's estimate, basic model."""

UNITS = {
    "school": "per year",
    "college": "per year beyond high school",
    "graduate_school": "per year beyond college",
    "high_school_diploma": "per completion",
    "college_degree": "per completion",
    "back_to_school": "per return",
    "back_to_college": "per return beyond high school, on top",
    "home_again": "per year that follows one at home",
    "minor_work": "per year of work before 18",
    **{name: "per year" for name in OCCUPATIONS},
    **{f"{name}_start": "per start" for name in OCCUPATIONS},
    **{f"{name}_schooling": "per year of schooling beyond high school and year" for name in OCCUPATIONS},
    **{f"{name}_experience": "per year of experience and year" for name in OCCUPATIONS},
    "white_collar_other_experience": "per year of blue-collar experience and year",
    "blue_collar_other_experience": "per year of white-collar experience and year",
    **{f"later_{name}": "per year in it, at the end" for name in YEARS},
}
"""The features and the units of their weights; a first year at home is the zero of the scale."""


def load_log(tables: Tables) -> BehaviorLog:
    """Return the published sample: everybody's choices from age 16 on."""
    columns = Columns(state=STATE, terminated="terminated", truncated="truncated")
    return build_log(decisions(tables.frame(CAREERS, RAW_COLUMNS)), columns, tables.source)


def load_task(tables: Tables) -> Task:
    """Return the decision process of every state that can be reached from those seen at age 16."""
    sample = decisions(tables.frame(CAREERS, RAW_COLUMNS))
    starts = sample.loc[sample["age"] == FIRST_AGE, list(STATE)]
    return Task.table(
        transitions(starts.drop_duplicates()),
        discount=DISCOUNT,
        state=STATE,
        next_state=NEXT,
        features=list(UNITS),
        units=UNITS,
        actions=ACTIVITIES,
        initial=starts.value_counts().to_dict(),
    )


def decisions(careers: pd.DataFrame) -> pd.DataFrame:
    """Return the choices from age 16 on, one row a decision; a man is one episode.

    Args:
        careers: the table ``careers``, one row a man and year from age 15.

    Returns:
        Columns subject, episode (0), step (age), the columns of the state, action, terminated (age
        26, the last of the task) and truncated (the record stops earlier).
    """
    sample = careers[careers["age"] >= FIRST_AGE].reset_index(drop=True)
    last, oldest = sample["done"] == 1, sample["age"] == LAST_AGE
    return pd.DataFrame(
        {
            "subject": sample["subject"],
            "episode": 0,
            "step": sample["age"],
            **{column: sample[column] for column in STATE},
            "action": sample["choice"],
            "terminated": oldest,
            "truncated": last & ~oldest,
        }
    )


def transitions(starts: pd.DataFrame) -> pd.DataFrame:
    """Return all years that can follow some first states, one row a state and activity.

    Age grows by one a year, so that a layer of states is found from the layer before it.

    Args:
        starts: distinct states of one age (columns ``STATE``).

    Returns:
        Columns ``STATE``, action, ``NEXT`` and the features. Every move is certain; those at age 26
        lead to ``END``.

    Example:
        >>> first = pd.DataFrame([(25, 20, 0, 0, 0, "school")], columns=STATE)
        >>> table = transitions(first)
        >>> len(table), table["action"].tolist()[:2]  # no school after 20 years of it
        (20, ['home', 'white_collar'])
    """
    layers, layer = [], starts
    while len(layer) and layer["age"].iloc[0] <= LAST_AGE:
        years = layer.merge(pd.DataFrame({"action": ACTIVITIES}), how="cross")
        years = years[(years["action"] != "school") | (years[YEARS["school"]] < MOST_SCHOOLING)]
        following = years[["age", *YEARS.values()]].copy()
        following["age"] += 1
        for name, column in YEARS.items():
            following[column] += years["action"] == name
        following["lagged_choice"] = years["action"]
        layer = following.drop_duplicates()
        layers.append(years.assign(**dict(zip(NEXT, following.to_numpy().T, strict=True))))
    table = pd.concat(layers, ignore_index=True)
    features = features_of(table)
    table.loc[table["age"] == LAST_AGE, list(NEXT)] = END
    return table.assign(**features)


def features_of(table: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """Return the features of each state and activity, by name in the order of ``UNITS``."""
    school, home = table["action"] == "school", table["action"] == "home"
    schooling = table[YEARS["school"]]
    works = {name: table["action"] == name for name in OCCUPATIONS}
    returns = school & (table["lagged_choice"] != "school")
    last = table["age"] == LAST_AGE
    flags = {
        "school": school,
        "college": school & (schooling >= HIGH_SCHOOL),
        "graduate_school": school & (schooling >= COLLEGE),
        "high_school_diploma": school & (schooling == HIGH_SCHOOL - 1),
        "college_degree": school & (schooling == COLLEGE - 1),
        "back_to_school": returns,
        "back_to_college": returns & (schooling >= HIGH_SCHOOL),
        "home_again": home & (table["lagged_choice"] == "home"),
        "minor_work": ~school & ~home & (table["age"] < OF_AGE),
        **works,
        **{f"{name}_start": flag & (table["lagged_choice"] != name) for name, flag in works.items()},
        **{f"{name}_schooling": flag * (schooling - HIGH_SCHOOL) for name, flag in works.items()},
        **{f"{name}_experience": flag * table[YEARS[name]] for name, flag in works.items()},
        "white_collar_other_experience": works["white_collar"] * table[YEARS["blue_collar"]],
        "blue_collar_other_experience": works["blue_collar"] * table[YEARS["white_collar"]],
        **{f"later_{name}": last * (table[column] + (table["action"] == name)) for name, column in YEARS.items()},
    }
    return {name: flag.astype(np.float64) for name, flag in flags.items()}
