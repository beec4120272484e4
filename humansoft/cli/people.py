"""adapt and reliability: more people, and the same people again."""

from pathlib import Path

import numpy as np

from humansoft.cli.files import require_free_files, require_free_folder, write_tables
from humansoft.cli.fitting import describe_fit, print_fit
from humansoft.cli.inputs import read_log_of_run
from humansoft.cli.tables import interval, labels, number, print_table, records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.evaluate.reliability import reliability
from humansoft.fit.adapting import adapt
from humansoft.fit.storage import load, save


def run_adapt(
    run: Path, file: Path, participants: Path | None, folder: Path | None, force: bool, as_json: bool
) -> None:
    """Estimate new people through a population, print and save."""
    require_free_folder(folder, force)
    with working("reading") as show:
        fit = load(run)
        log = read_log_of_run(fit, file, participants)
        show("estimating")
        found = adapt(fit, log)
        if folder is not None:
            save(found, folder, overwrite=force)
    if as_json:
        print_json({"run": folder, **describe_fit(found)})
        return
    print_fit(found)
    say(f"Saved: {relative(folder)}" if folder else "Not saved: name a folder with -o to use these people later.")


def run_reliability(
    run: Path, file: Path | None, session: str, output: Path | None, force: bool, as_json: bool
) -> None:
    """Print how reliable temperatures are."""
    require_free_files([output], force)
    with working("reading") as show:
        fit = load(run)
        log = read_log_of_run(fit, file, None)
        show("fitting both sessions")
        table = reliability(fit, log, session)
        if output is not None:
            write_tables([table.reset_index()], [output])
    if as_json:
        print_json({"run": run, "output": output, "measures": records(table), "notes": table.attrs["notes"]})
        return
    ends = [(float(low), float(high)) for low, high in zip(table["ci_low"], table["ci_high"], strict=True)]
    cells = {
        "measure": labels(table.index),
        "estimate": [number(float(value)) for value in table["estimate"]],
        "95 % interval": ["" if np.isnan(low) else interval(low, high) for low, high in ends],
        "people": [str(int(count)) for count in table["num_people"]],
        "meaning": table["meaning"].tolist(),
    }
    print_table("Reliability of log temperatures", cells, text=("measure", "meaning"))
    for note in table.attrs["notes"]:
        say(f"note: {note}")
    if output is not None:
        say(f"Written: {relative(output)}")
