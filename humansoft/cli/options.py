"""The options of the commands: their names, types and help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

_COLUMNS = "Columns of LOG"
_MODEL = "Model"
_ESTIMATION = "Estimation"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what -o names.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `humansoft fit` saved.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table: .csv, .tsv or .parquet.")
]
TaskFile = Annotated[Path | None, typer.Option("--task", metavar="FILE", help="Task file, .toml.")]
SomeSeed = Annotated[int | None, typer.Option(help="Seed of random draws: same seed, same result.")]
OtherLog = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Log in the columns of the one fitted (default: the run's data set)."),
]
Participants = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Table with one row a person that brings group columns.")
]
Unknown = Annotated[
    str,
    typer.Option(metavar="average|raise", help="People the run does not know: take the average temperature, or stop."),
]
Counted = Annotated[
    bool, typer.Option("--counted", help="Large logs: sum equal decisions while reading (no episodes, no steps).")
]


def _column(role: str) -> Any:  # noqa: ANN401 - as typer.Option
    """Declare the option that names the column of a role."""
    return typer.Option(metavar="COLUMN", help=role, rich_help_panel=_COLUMNS)


def _model(metavar: str, text: str) -> Any:  # noqa: ANN401
    """Declare an option of the model."""
    return typer.Option(metavar=metavar, help=text, rich_help_panel=_MODEL)


def _estimation(metavar: str, text: str) -> Any:  # noqa: ANN401
    """Declare an option of how parameters are estimated."""
    return typer.Option(metavar=metavar, help=text, rich_help_panel=_ESTIMATION)


Planner = Annotated[str, _model("KIND", "How people plan: kl, entropy or boltzmann.")]


@dataclass(frozen=True)
class LogOptions:
    """Which log to read, and which of its columns plays which role.

    A role that is not given is ``None`` here: the defaults are those of :func:`humansoft.read`.
    """

    log: Annotated[Path | None, typer.Argument(metavar="LOG", help="One row a decision: .csv, .tsv or .parquet.")] = (
        None
    )
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A data set in place of LOG and its task; `humansoft datasets` lists them."),
    ] = None
    path: Annotated[Path | None, typer.Option(metavar="PATH", help="File or folder to read the data set from.")] = None
    participants: Participants = None
    subject: Annotated[str | None, _column("Person (default: subject; none: the log is one person's).")] = None
    episode: Annotated[str | None, _column("Run or trial (default: episode; none: one a person).")] = None
    step: Annotated[str | None, _column("Order of decisions (default: step; none: that of the rows).")] = None
    state: Annotated[
        list[str] | None, _column("State (default: state); several, with commas or repeated, make it together.")
    ] = None
    action: Annotated[str | None, _column("Response (default: action); an empty cell is a missing one.")] = None
    next_state: Annotated[list[str] | None, _column("Following state (default: state of the next row).")] = None
    context: Annotated[str | None, _column("Maze or layout in which the states live.")] = None
    weight: Annotated[str | None, _column("How often a row counts.")] = None
    terminated: Annotated[str | None, _column("True where the task ended.")] = None
    truncated: Annotated[str | None, _column("True where only the recording stopped.")] = None
    conditions: Annotated[
        list[str] | None, _column("Block, session or condition: each person is a subject of its own in each.")
    ] = None
    counted: Counted = False
    keep: Annotated[
        list[str] | None, _column("With --counted: more columns to tell decisions apart by (a group), with commas.")
    ] = None


@dataclass(frozen=True)
class ModelOptions:
    """The hypothesis about people: reward, temperature, planner."""

    reward: Annotated[
        str, _model("KIND", "linear: weights of features; state or state_action: a free number for every one.")
    ] = "linear"
    features: Annotated[list[str] | None, _model("NAMES", "Features to use, with commas (default: all).")] = None
    fixed: Annotated[list[str] | None, _model("NAME=VALUE", "A weight that is known; may be repeated.")] = None
    own_rewards: Annotated[
        bool, typer.Option("--own-rewards", help="Everybody has weights of their own.", rich_help_panel=_MODEL)
    ] = False
    temperature: Annotated[
        str,
        _model(
            "KIND",
            "Whose temperature is whose: fixed, shared, per_subject, per_group, or a formula of people's columns: "
            "'~ group + age'.",
        ),
    ] = "per_subject"
    group: Annotated[str | None, _model("COLUMN", "Group column, for per_group.")] = None
    temperature_value: Annotated[float | None, _model("NUMBER", "The temperature, for fixed (default: 1).")] = None
    planner: Planner = "kl"
    choice: Annotated[
        list[str] | None,
        _model(
            "TERMS",
            "Habits and slips, with commas: lapse, stickiness, stickiness_within_subject (from one episode to the "
            "next), action_bias; a known number as lapse=0.05.",
        ),
    ] = None


@dataclass(frozen=True)
class EstimationOptions:
    """How parameters are estimated.

    What is not given is ``None`` here: the defaults are those of :func:`humansoft.fit`.
    """

    method: Annotated[
        str,
        _estimation(
            "NAME",
            "maximum_likelihood: people one by one; hierarchical: from a population that is learned with them; "
            "posterior: the same by NUTS, with priors.",
        ),
    ] = "maximum_likelihood"
    integrate: Annotated[
        str | None, _estimation("HOW", "For hierarchical: auto, quadrature or laplace (default: auto).")
    ] = None
    draws: Annotated[int | None, _estimation("NUMBER", "For posterior: draws of each chain (default: 1000).")] = None
    tune: Annotated[int | None, _estimation("NUMBER", "For posterior: draws to adapt in before (default: 500).")] = None
    chains: Annotated[int | None, _estimation("NUMBER", "For posterior: chains (default: 4).")] = None
