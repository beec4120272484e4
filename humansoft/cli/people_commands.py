"""The commands about more people, or the same people again: adapt, reliability; see :mod:`humansoft.cli.program`."""

from pathlib import Path
from typing import Annotated

import typer

from humansoft.cli.options import Force, Json, OtherLog, Output, Participants, Run
from humansoft.cli.terminal import working


def adapt(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Log of new people, in the columns of the one fitted.")],
    participants: Participants = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="RUN", help="Folder to save the new people's run in.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Estimate new people through the population of a run (`fit --method hierarchical`)."""
    with working("starting"):
        from humansoft.cli.people import run_adapt
    run_adapt(run, file, participants, output, force, json)


def reliability(
    run: Run,
    file: OtherLog = None,
    session: Annotated[str, typer.Option(metavar="COLUMN", help="Column that tells the two sessions.")] = "session",
    output: Output = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say how well temperatures of one session predict those of another; FILE holds both sessions."""
    with working("starting"):
        from humansoft.cli.people import run_reliability
    run_reliability(run, file, session, output, force, json)
