"""The commands about uncertainty: profile, bootstrap, profile-discount; see :mod:`humansoft.cli.program`."""

from typing import Annotated

import typer

from humansoft.cli.option_groups import with_option_groups
from humansoft.cli.options import (
    Counted,
    Force,
    Json,
    LogOptions,
    ModelOptions,
    OtherLog,
    Output,
    Participants,
    Run,
    SomeSeed,
    TaskFile,
)
from humansoft.cli.terminal import working


def profile(
    run: Run,
    file: OtherLog = None,
    parameter: Annotated[str, typer.Option(metavar="NAME", help="A reward weight, or temperature.")] = "temperature",
    label: Annotated[str | None, typer.Option(metavar="LABEL", help="Whose (default: everybody's, in turn).")] = None,
    level: Annotated[float, typer.Option(help="Share of intervals that cover the truth.")] = 0.95,
    participants: Participants = None,
    counted: Counted = False,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Find profile likelihood intervals of a parameter of a run; FILE is the log that was fitted."""
    with working("starting"):
        from humansoft.cli.uncertainty import run_profile
    run_profile(run, file, participants, counted, parameter, label, level, output, force, json)


def bootstrap(
    run: Run,
    seed: Annotated[int, typer.Option(help="Same seed, same draws.")],
    file: OtherLog = None,
    by: Annotated[str, typer.Option(metavar="subject|episode", help="What is drawn whole.")] = "episode",
    draws: Annotated[int, typer.Option(min=2, help="Number of resampled logs.")] = 200,
    participants: Participants = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit resampled logs of a run, all at once; FILE is the log that was fitted."""
    with working("starting"):
        from humansoft.cli.uncertainty import run_bootstrap
    run_bootstrap(run, file, participants, by, draws, seed, output, force, json)


@with_option_groups
def profile_discount(
    source: LogOptions,
    hypothesis: ModelOptions,
    task: TaskFile = None,
    discounts: Annotated[
        list[str] | None, typer.Option(metavar="NUMBERS", help="Discounts to try, with commas.")
    ] = None,
    seed: SomeSeed = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Fit a model at several discounts and say how much the data tell about it."""
    with working("starting"):
        from humansoft.cli.uncertainty import run_profile_discount
    run_profile_discount(source, task, hypothesis, discounts, seed, output, force, json)
