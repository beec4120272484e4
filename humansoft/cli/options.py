"""The options of the commands: their names, types and help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_COLUMNS = "Columns of LOG"
_MODEL = "Model"

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
    typer.Argument(metavar="[FILE]", help="Log in the columns of the one fitted; default: the run's data set."),
]
Participants = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Table with one row a person that brings group columns.")
]
Unknown = Annotated[
    str,
    typer.Option(
        metavar="average|raise", help="People the run does not know: predict them at the average temperature, or stop."
    ),
]
Planner = Annotated[
    str, typer.Option(metavar="kl|entropy|boltzmann", help="How people plan.", rich_help_panel=_MODEL)
]


def _column(role: str, more: str = "") -> typer.models.OptionInfo:
    """Declare the option that names the column of a role."""
    option: typer.models.OptionInfo = typer.Option(metavar="COLUMN", help=f"{role}{more}", rich_help_panel=_COLUMNS)
    return option


@dataclass(frozen=True)
class LogOptions:
    """Which log to read, and which of its columns plays which role.

    A role that is not given is ``None`` here: the defaults are those of :func:`humansoft.read`.
    """

    log: Annotated[
        Path | None, typer.Argument(metavar="[LOG]", help="One row a decision: .csv, .tsv or .parquet.")
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A data set in place of LOG and its task; `humansoft datasets` lists them."),
    ] = None
    path: Annotated[
        Path | None, typer.Option(metavar="PATH", help="File or folder to read the data set from.")
    ] = None
    participants: Participants = None
    subject: Annotated[str | None, _column("Person [subject]", "; none: the log is one person's.")] = None
    episode: Annotated[str | None, _column("Run or trial [episode]", "; none: one a person.")] = None
    step: Annotated[str | None, _column("Order of decisions [step]", "; none: that of the rows.")] = None
    state: Annotated[
        list[str] | None, _column("State [state]", "; several, with commas or repeated, make it together.")
    ] = None
    action: Annotated[str | None, _column("Response [action]", "; an empty cell is a missing one.")] = None
    next_state: Annotated[
        list[str] | None, _column("Following state", "; default: the state of the next row.")
    ] = None
    context: Annotated[str | None, _column("Maze, layout or condition", ".")] = None
    weight: Annotated[str | None, _column("How often a row counts", ".")] = None
    terminated: Annotated[str | None, _column("True where the task ended", ".")] = None
    truncated: Annotated[str | None, _column("True where only the recording stopped", ".")] = None


@dataclass(frozen=True)
class ModelOptions:
    """The hypothesis about people: reward, temperature, planner."""

    reward: Annotated[
        str,
        typer.Option(
            metavar="linear|state|state_action",
            help="Weights of features, or a free number for every state (and action).",
            rich_help_panel=_MODEL,
        ),
    ] = "linear"
    features: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Features to use, with commas [all].", rich_help_panel=_MODEL),
    ] = None
    fixed: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A weight that is known; may be repeated.", rich_help_panel=_MODEL),
    ] = None
    own_rewards: Annotated[
        bool, typer.Option("--own-rewards", help="Everybody has weights of their own.", rich_help_panel=_MODEL)
    ] = False
    temperature: Annotated[
        str,
        typer.Option(
            metavar="fixed|shared|per_subject|per_group", help="Whose temperature is whose.", rich_help_panel=_MODEL
        ),
    ] = "per_subject"
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Group column, for per_group.", rich_help_panel=_MODEL),
    ] = None
    temperature_value: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="The temperature, for fixed [1].", rich_help_panel=_MODEL),
    ] = None
    planner: Planner = "kl"
