"""profile, bootstrap, profile-discount: how sure one can be of what was fitted."""

import typing
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from humansoft.cli.files import require_free_files, write_tables
from humansoft.cli.inputs import build_model, one_of, read_log_and_task, read_log_of_run, split_names
from humansoft.cli.options import LogOptions, ModelOptions
from humansoft.cli.tables import interval, labels, numbers, print_table, records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.errors import Problems, UsageError
from humansoft.fit.bootstrap import ResampledBy, bootstrap
from humansoft.fit.discounts import DISCOUNTS, discount_profile
from humansoft.fit.profile_likelihood import profile
from humansoft.fit.result import Fit
from humansoft.fit.storage import load


def run_profile(
    run: Path,
    file: Path | None,
    participants: Path | None,
    counting: bool,
    parameter: str,
    label: str | None,
    level: float,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Print profile likelihood intervals."""
    require_free_files([output], force)
    with working("reading") as show:
        fitted = load(run)
        log = read_log_of_run(fitted, file, participants, counting)
        show("fitting again around each value")
        table = profile(fitted, log, parameter, _label_of(fitted, label), level=level)
        _write(table.reset_index(), output)
    if as_json:
        print_json({"run": run, "output": output, "intervals": records(table)})
        return
    cells = {
        "who": labels(table.index.get_level_values("label")),
        parameter: numbers(table["estimate"]),
        f"{100 * level:g} % interval": _intervals(table["ci_low"], table["ci_high"]),
    }
    print_table(f"Profile likelihood intervals of {parameter}", cells, text=("who",))
    _say_written(output)


def run_bootstrap(
    run: Path,
    file: Path | None,
    participants: Path | None,
    by: str,
    draws: int,
    seed: int,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Print how estimates vary between resampled logs; the draws themselves go to a file, or into the document."""
    require_free_files([output], force)
    unit = one_of("--by", by, typing.get_args(ResampledBy))
    with working("reading") as show:
        fitted = load(run)
        log = read_log_of_run(fitted, file, participants)
        show("fitting resampled logs")
        table = bootstrap(fitted, log, by=unit, draws=draws, seed=seed)
        named = table.set_axis([f"{row}" for row in fitted.model.table.rows], axis=1)
        _write(named.reset_index(), output)
    free = ~fitted.params["fixed"].to_numpy(dtype=bool)
    low, high = (named.quantile(share, interpolation="nearest") for share in (0.025, 0.975))
    summary = pd.DataFrame(
        {
            "estimate": fitted.params["estimate"].to_numpy(dtype=float),
            "std_error": named.where(np.isfinite(named)).std().to_numpy(),
            "ci_low": low.to_numpy(),
            "ci_high": high.to_numpy(),
        },
        index=pd.Index(named.columns, name="parameter"),
    )[free]
    if as_json:
        given = {} if output else {"draws": records(named)}
        document = {"run": run, "by": by, "seed": seed, "num_draws": draws, "converged": table.attrs["converged"]}
        print_json({**document, "output": output, "summary": records(summary), **given})
        return
    cells = {
        "parameter": labels(summary.index),
        "estimate": numbers(summary["estimate"]),
        "std. error": numbers(summary["std_error"]),
        "95 % interval": _intervals(summary["ci_low"], summary["ci_high"]),
    }
    print_table(f"{draws} draws by {by} (temperatures as logarithms)", cells, text=("parameter",))
    if not table.attrs["converged"]:
        say("note: some draws did not reach their optimum")
    _say_written(output)


def run_profile_discount(
    source: LogOptions,
    task_file: Path | None,
    hypothesis: ModelOptions,
    discounts: Sequence[str] | None,
    seed: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Print how well a model fits at several discounts."""
    require_free_files([output], force)
    tried = _numbers_of("--discounts", discounts) or DISCOUNTS
    with working("reading") as show:
        log, task = read_log_and_task(source, task_file)
        model = build_model(hypothesis, task)
        show("fitting at each discount")
        table = discount_profile(model, log, discounts=tried, seed=seed or 0)
        _write(table.reset_index(), output)
    if as_json:
        print_json({"message": table.attrs["message"], "output": output, "profile": records(table)})
        return
    cells = {
        "discount": [f"{value:g}" for value in table.index],
        "log-likelihood": [f"{value:,.3f}" if np.isfinite(value) else "" for value in table["log_likelihood"]],
        "likelihood ratio": numbers(table["likelihood_ratio"]),
        "flat": ["yes" if flat else "" for flat in table["flat"]],
        "status": labels(table["status"]),
    }
    print_table("Profile of the discount", cells, text=("flat", "status"))
    say(table.attrs["message"])
    _say_written(output)


def _label_of(fitted: Fit, text: str | None) -> Hashable:
    """Look up the label whose text stands on the command line."""
    known = {str(label): label for label in fitted.params.index.get_level_values("label")}
    return None if text is None else known.get(text, text)


def _numbers_of(option: str, given: Sequence[str] | None) -> list[float]:
    found = []
    with Problems(option, UsageError) as problems:
        for text in split_names(given):
            try:
                found.append(float(text))
            except ValueError:
                problems.add(f"{text!r} is not a number")
    return found


def _intervals(low: "pd.Series[float]", high: "pd.Series[float]") -> list[str]:
    return [interval(float(one), float(other)) for one, other in zip(low, high, strict=True)]


def _write(table: pd.DataFrame, output: Path | None) -> None:
    if output is not None:
        write_tables([table], [output])


def _say_written(output: Path | None) -> None:
    if output is not None:
        say(f"Written: {relative(output)}")
