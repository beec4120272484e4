"""The program `humansoft`: its commands and their options.

Modules that do the work are imported inside the commands, because torch and pandas take seconds to
load: ``humansoft --help`` has to answer at once.
"""

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from humansoft.cli.command_line import CommandLine
from humansoft.cli.option_groups import with_option_groups
from humansoft.cli.options import (
    Counted,
    EstimationOptions,
    Force,
    Json,
    LogOptions,
    ModelOptions,
    OtherLog,
    Output,
    Participants,
    Planner,
    Run,
    SomeSeed,
    TaskFile,
    Unknown,
)
from humansoft.cli.people_commands import adapt, reliability
from humansoft.cli.terminal import say, working
from humansoft.cli.uncertainty_commands import bootstrap, profile, profile_discount

app = typer.Typer(
    cls=CommandLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fit soft-optimal models of people to logs of their decisions: what they want, and how rational they are.",
    epilog="Exit codes: 0 ok, 2 usage, 3 not identified, 4 not converged, 5 data invalid.",
)


def _print_version(wanted: bool | None) -> None:
    if wanted:
        try:
            say(f"humansoft {metadata.version('humansoft')}")
        except metadata.PackageNotFoundError:  # run from a source tree that is not installed
            say("humansoft (source)")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool | None,  # Typer passes None where the option is not given
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    """Take the options of the program itself."""


@app.command()
@with_option_groups
def check(source: LogOptions, task: TaskFile = None, json: Json = False) -> None:
    """List every problem of a log under a task, with counts and first rows."""
    with working("starting"):
        from humansoft.cli.logs import run_check
    run_check(source, task, json)


@app.command()
@with_option_groups
def identify(
    source: LogOptions,
    hypothesis: ModelOptions,
    task: TaskFile = None,
    seed: SomeSeed = None,
    json: Json = False,
) -> None:
    """Say what the data can and cannot tell about a model, before it is fitted."""
    with working("starting"):
        from humansoft.cli.fitting import run_identify
    run_identify(source, task, hypothesis, seed, json)


@app.command()
@with_option_groups
def split(
    source: LogOptions,
    output: Annotated[
        tuple[Path, Path], typer.Option("--output", "-o", metavar="TRAIN HELD_OUT", help="The two tables to write.")
    ],
    by: Annotated[str, typer.Option(metavar="subject|episode|time", help="What is held out whole.")] = "episode",
    fraction: Annotated[float, typer.Option(help="Share to hold out.")] = 0.2,
    seed: SomeSeed = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Split a log into a part to learn from and a part to be judged on."""
    with working("starting"):
        from humansoft.cli.logs import run_split
    run_split(source, by, fraction, seed, output, force, json)


@app.command()
@with_option_groups
def fit(
    source: LogOptions,
    hypothesis: ModelOptions,
    estimation: EstimationOptions,
    task: TaskFile = None,
    seed: SomeSeed = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Largest number of optimiser steps.")] = 200,
    allow_unidentified: Annotated[
        bool, typer.Option("--allow-unidentified", help="Fit even where the data cannot tell; labelled so.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="RUN", help="Folder to save the run in.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit a model to a log and save the run."""
    with working("starting"):
        from humansoft.cli.fitting import run_fit
    run_fit(source, task, hypothesis, estimation, seed, max_steps, allow_unidentified, output, force, json)


@app.command()
def predict(
    run: Run,
    file: OtherLog = None,
    participants: Participants = None,
    on_unknown: Unknown = "average",
    counted: Counted = False,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Predict every decision of a log: the probability of each action."""
    with working("starting"):
        from humansoft.cli.runs import run_predict
    run_predict(run, file, participants, on_unknown, counted, output, force, json)


@app.command()
def score(
    run: Run,
    file: OtherLog = None,
    participants: Participants = None,
    baselines: Annotated[list[str], typer.Option(metavar="all|none|NAMES", help="Simpler predictors.")] = ["all"],  # noqa: B006
    on_unknown: Unknown = "average",
    counted: Counted = False,
    json: Json = False,
) -> None:
    """Score predictions of a log beside simpler predictors."""
    with working("starting"):
        from humansoft.cli.runs import run_score
    run_score(run, file, participants, baselines, on_unknown, counted, json)


@app.command()
def compare(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `humansoft fit` saved.")],
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Group column of the participants.")] = None,
    scale_free: Annotated[
        bool, typer.Option("--scale-free", help="Measures without a unit, for people who want different things.")
    ] = False,
    reference: Annotated[
        str, typer.Option(metavar="pooled|task", help="With --scale-free: the states in which everybody is judged.")
    ] = "pooled",
    threshold: Annotated[
        float, typer.Option(help="With --scale-free: a costly mistake, in costs of one choice at random.")
    ] = 1.0,
    assumptions: Annotated[
        bool, typer.Option("--assumptions", help="Also test what a comparison of temperatures takes for granted.")
    ] = False,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compare how rational people or groups are, with intervals."""
    with working("starting"):
        from humansoft.cli.comparing import Comparison, run_compare
    run_compare(run, Comparison(by, scale_free, reference, threshold, assumptions), output, force, json)


@app.command()
def compare_models(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `humansoft fit` saved.")],
    unit: Annotated[str, typer.Option(metavar="subject|episode", help="What is left out of a fit.")] = "subject",
    criterion: Annotated[
        list[str], typer.Option(metavar="NAMES", help="aic, bic, loo, frequencies (needs --seed).")
    ] = [],  # noqa: B006
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The log that was fitted; needed by --unit episode.")
    ] = None,
    seed: SomeSeed = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compare models of the same decisions: information criteria, leave-one-out, frequencies among people."""
    with working("starting"):
        from humansoft.cli.models import run_compare_models
    run_compare_models(run, log, unit, criterion, seed, output, force, json)


for _command in (profile, bootstrap, profile_discount, adapt, reliability):
    app.command()(_command)


@app.command()
def simulate(
    run: Run,
    seed: Annotated[int, typer.Option(help="Same seed, same behavior.")],
    episodes: Annotated[int, typer.Option(help="Episodes a person.")] = 50,
    max_steps: Annotated[int | None, typer.Option(help="Cut episodes off after so many decisions.")] = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Simulate new behavior of the people of a run, as a log."""
    with working("starting"):
        from humansoft.cli.runs import run_simulate
    run_simulate(run, episodes, seed, max_steps, output, force, json)


@app.command()
def plan(
    task: Annotated[Path, typer.Argument(metavar="TASK", help="Task file, .toml.")],
    reward: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="Weight of a feature (others: 0); may be repeated.")
    ] = [],  # noqa: B006
    temperature: Annotated[float, typer.Option(help="Noise of the choices, > 0, in units of reward.")] = 1.0,
    planner: Planner = "kl",
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Solve a task for people with a known reward and temperature."""
    with working("starting"):
        from humansoft.cli.plans import run_plan
    run_plan(task, reward, temperature, planner, output, force, json)


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show the card of one.")] = None,
    json: Json = False,
) -> None:
    """List the data sets of real people, or show the card of one."""
    with working("starting"):
        from humansoft.cli.logs import run_datasets
    run_datasets(name, json)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="Folder to save the run in.")] = Path(
        "runs/demo"
    ),
    json: Json = False,
) -> None:
    """See the whole path on 16 real people: check, fit, predict, score, compare."""
    with working("starting"):
        from humansoft.cli.demo import run_demo
    run_demo(output, json)
