"""Runs on disk: a fit as a folder of JSON, Parquet, safetensors and, for draws, netCDF (never pickle)."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from humansoft.codebook import Labels
from humansoft.data.log import Columns
from humansoft.errors import Problems, RunError
from humansoft.fit.result import Fit, FitStatus, TrainingData
from humansoft.fit.stored_covariances import covariance_tensors, read_covariances
from humansoft.fit.stored_parts import choice_of, choice_record, reward_of, reward_record, reward_tensors
from humansoft.fit.stored_population import population_tables, population_tensors, read_population
from humansoft.fit.stored_posterior import read_posterior, write_posterior
from humansoft.model import SoftOptimalModel
from humansoft.packing import checksum_of, checksum_of_file, deep, flat, pack, unpack
from humansoft.parameters import Parameter, Parameters
from humansoft.placing import placed
from humansoft.solvers.exact import SAMPLED_SOLVERS
from humansoft.tasks.storage import task_of, task_record, task_tensors
from humansoft.tasks.task import Task
from humansoft.temperature import PerSubject, temperature_of, temperature_record

FORMAT = 6


def save(fit: Fit, path: str | Path, *, overwrite: bool = False) -> Path:
    """Save a fit as a folder; :func:`load` gives an equal one back.

    The folder appears complete or not at all, and takes the place of an earlier run only then.

    Args:
        fit: the result.
        path: the folder to make.
        overwrite: replace a folder that holds an earlier run.

    Raises:
        RunError: the folder exists, or is not a run; a reward of the user's own class.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise RunError(f"{path} exists already; choose another name, or overwrite it (overwrite=True, --force)")
    if path.exists() and not (path / "fit.json").is_file() and any(path.iterdir() if path.is_dir() else [path]):
        raise RunError(f"{path} holds something else than a run; it is not overwritten")
    with placed(path) as folder:
        folder.mkdir()
        _write(fit, folder)
    return path


def load(path: str | Path) -> Fit:
    """Load a saved fit.

    Raises:
        RunError: no run there, a file is missing or was edited, or it is of another format; all
            problems at once.
        NotAvailableError: the run holds draws of a posterior, and ArviZ is not installed.
    """
    path = Path(path)
    if not (path / "fit.json").is_file():
        raise RunError(f"there is no run at {path}: it holds no fit.json (a run is the folder that `fit` saved)")
    try:
        record = json.loads((path / "fit.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path / 'fit.json'} is damaged ({error}); fit again or restore it") from error
    _verify(path, record)
    return _read(path, record)


def _write(fit: Fit, folder: Path) -> None:
    tables = {
        "params": flat(fit.params),
        "history": fit.history,
        "counts": fit.training.counts,
        "starts": fit.training.starts,
        "participants": flat(fit.training.participants),
        **population_tables(fit.population),
    }
    for name, table in tables.items():
        table.rename(columns=str).to_parquet(folder / f"{name}.parquet", index=False)
    tensors = _tensors(fit.model) | covariance_tensors(fit.covariances) | population_tensors(fit.population)
    save_file(tensors, folder / "tensors.safetensors")
    write_posterior(fit.posterior, folder)
    record = _record(fit)
    record["files"] = {p.name: checksum_of_file(p) for p in sorted(folder.iterdir())}
    record["checksum"] = checksum_of(record)
    (folder / "fit.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def _record(fit: Fit) -> dict[str, Any]:
    """Return what fit.json holds beside the checksums."""
    model = fit.model
    return {
        "format": FORMAT,
        "versions": fit.versions,
        "seed": fit.seed,
        "status": fit.status.name,
        "message": fit.message,
        "notes": list(fit.notes),
        "log_likelihood": fit.log_likelihood,
        "num_decisions": fit.num_decisions,
        "rank": fit.rank,
        "aic": fit.aic,
        "bic": fit.bic,
        "model": _model_record(model),
        "task": task_record(model.task),
        "training": {
            "columns": dataclasses.asdict(fit.training.columns),
            "dataset": fit.training.dataset,
            "source": fit.training.source,
        },
        "population": None if fit.population is None else fit.population.record(),
        "covariances": {
            "kinds": list(fit.covariances.kinds),
            "missing": {k: v for k, v in fit.covariances.matrices.items() if isinstance(v, str)},
        },
    }


def _model_record(model: SoftOptimalModel) -> dict[str, Any]:
    return {
        "planner": model.planner,
        "temperature": temperature_record(model.temperature),
        "reward": reward_record(model.reward),
        "choice": [choice_record(term) for term in model.choice.terms],
        "solver": _solver_record(model),
        "subjects": pack(model.subjects.values),
        "groups": pack(model.groups.values),
        "parameters": [{**dataclasses.asdict(row), "label": pack(row.label)} for row in model.table.rows],
    }


def _verify(path: Path, record: Mapping[str, Any]) -> None:
    with Problems(f"the run {path}", RunError) as problems:
        if record.get("format") != FORMAT:
            problems.add(f"it is of format {record.get('format')!r}, this version reads {FORMAT}: fit again")
            return
        if record.get("checksum") != checksum_of(record):
            problems.add("fit.json was edited after the run was saved")
        for name, expected in record.get("files", {}).items():
            if not (path / name).is_file():
                problems.add(f"{name} is missing")
            elif checksum_of_file(path / name) != expected:
                problems.add(f"{name} was edited after the run was saved")


def _read(path: Path, record: dict[str, Any]) -> Fit:
    tensors = load_file(path / "tensors.safetensors")
    model = _model(record["model"], task_of(record["task"], tensors), tensors)
    tables = {p.stem: pd.read_parquet(p) for p in path.glob("*.parquet")}
    params = deep(tables["params"], ["name", "label"])
    given: dict[str, Any] = record["training"]["columns"]
    roles: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    columns = Columns(**roles)
    return Fit(
        model=model,
        params=params,
        covariances=read_covariances(record["covariances"], tensors, params),
        log_likelihood=record["log_likelihood"],
        num_decisions=record["num_decisions"],
        rank=record["rank"],
        status=FitStatus[record["status"]],
        notes=tuple(record["notes"]),
        history=tables["history"],
        training=TrainingData(
            counts=tables["counts"],
            starts=tables["starts"],
            participants=deep(tables["participants"], [columns.subject or "subject"]),
            columns=columns,
            dataset=record["training"]["dataset"],
            source=record["training"]["source"],
        ),
        seed=record["seed"],
        versions=record["versions"],
        population=read_population(record["population"], tables, tensors, model.subjects.values),
        posterior=read_posterior(path),
    )


def _tensors(model: SoftOptimalModel) -> dict[str, torch.Tensor]:
    tensors = {
        **task_tensors(model.task),
        "model.log_temperature": model.log_temperature.detach(),
        "model.group_of_subject": torch.from_numpy(model.group_of_subject),
        **reward_tensors(model.reward),
    }
    if model.prior is not None:
        tensors["model.prior"] = model.prior
    if model.choice:
        tensors["model.choice"] = model.choice.weights.detach()
    if model.table.mean_zero is not None:
        tensors["model.mean_zero"] = torch.from_numpy(model.table.mean_zero)
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def _model(record: Mapping[str, Any], task: Task, tensors: Mapping[str, torch.Tensor]) -> SoftOptimalModel:
    choice = [choice_of(term) for term in record.get("choice", ())]
    temperature = temperature_of(record["temperature"])
    reward = reward_of(record["reward"], tensors)
    model = SoftOptimalModel(task, reward, temperature, record["planner"], choice=choice)
    model.prior = tensors.get("model.prior")
    if record.get("solver") is not None:
        options = dict(record["solver"])
        model.solver = SAMPLED_SOLVERS[options.pop("name")](**options)
    subjects = Labels("subject", unpack(record["subjects"]))
    kind = "subject" if isinstance(temperature, PerSubject) else "group"
    groups = Labels(kind, unpack(record["groups"]))
    bound = model.bound_to(subjects, groups, tensors["model.group_of_subject"].numpy())
    rows = tuple(Parameter(**{**row, "label": unpack(row["label"])}) for row in record["parameters"])
    mean_zero = tensors.get("model.mean_zero")
    bound.table = Parameters(rows, None if mean_zero is None else mean_zero.numpy())
    full = [tensors[f"reward.{n}"].reshape(-1) for n, _ in bound.reward.named_parameters()]
    weights = [tensors["model.choice"]] if choice else []
    return bound.at(torch.cat([*full, tensors["model.log_temperature"], *weights]))


def _solver_record(model: SoftOptimalModel) -> dict[str, Any] | None:
    """Return a solver whose answers depend on its options; all exact ones agree."""
    for name, kind in SAMPLED_SOLVERS.items():
        if isinstance(model.solver, kind):
            return {"name": name, **dataclasses.asdict(model.solver)}
    return None
