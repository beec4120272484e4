"""humansoft's side of the benchmarks: the verbs as a user calls them, each in a process of its own."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import humansoft as hs
from analysis.benchmarks.instances import Instance, Real
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.reference import Problem
from humansoft.codebook import Labels
from humansoft.tasks.parts import TaskParts

SOLVED_TO = 1e-8


def imports(work: str) -> None:
    """Import what a verb loads on its first call (Lightning: five seconds) before the clock starts."""
    for module in ("planning",) if work == "solve" else ("fit.fitting", "fit.learner"):
        import_module(f"humansoft.{module}")


def fit(folder: Path, clock: Stopwatch) -> Figures:
    """Weights of all features, with standard errors."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        task, log = task_of(instance), log_of(instance)
        model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy")
    with clock.counted("fit"):
        fitted = hs.fit(model, log)
        errors = fitted.std_errors("hessian")
    weights = np.array([fitted.weight(name) for name in task.feature_names])
    return lambda: {
        **_told(fitted),
        "log_likelihood": Problem(instance).judge(weights),
        "own_log_likelihood": fitted.log_likelihood,
        "weights": weights.tolist(),
        "std_errors": [float(errors[name, "all"]) for name in task.feature_names],
    }


def rust(folder: Path, clock: Stopwatch) -> Figures:
    """Rust's engines of group 4, with three kinds of standard errors."""
    with clock.reported("construction"):
        log, task = hs.load_dataset("rust_bus_group4")
        model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy")
    with clock.counted("fit"):
        fitted = hs.fit(model, log)
        errors = {kind: fitted.std_errors(kind) for kind in ("bhhh", "hessian", "sandwich_by_subject")}
    names = ("replacement_cost", "maintenance_cost")
    weights = np.array([fitted.weight(name) for name in names])
    return lambda: {
        **_told(fitted),
        "log_likelihood": Problem(Instance.read(folder)).judge(weights),
        "own_log_likelihood": fitted.log_likelihood,
        "weights": weights.tolist(),
        **{f"std_errors_{kind}": [float(own[name, "all"]) for name in names] for kind, own in errors.items()},
    }


def solve(folder: Path, clock: Stopwatch) -> Figures:
    """One forward problem; building the task is told apart."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        parts = TaskParts(
            states=Labels("state", tuple(range(instance.num_states))),
            actions=Labels("action", tuple(range(instance.num_actions))),
            state=instance.state,
            action=instance.action,
            next_state=instance.next_state,
            probability=instance.probability,
            features=instance.features,
            feature_units={"reward": "units"},
            terminal=np.zeros(instance.num_states, dtype=bool),
        )
        task = hs.Task.of_parts(parts, instance.discount)
    with clock.counted("solve"):
        policy = hs.plan(task, {"reward": 1.0}, temperature=1.0, planner="entropy")
    value = np.empty(instance.num_states)
    value[np.asarray(policy.expansion.state)] = policy.value.numpy()

    def figures() -> dict[str, object]:
        bound = Problem(instance).error_bound(instance.features.sum(axis=-1), value)
        return {"error_bound": bound, "converged": bound <= 2 * SOLVED_TO}

    return figures


def people(folder: Path, clock: Stopwatch) -> Figures:
    """A temperature of everybody's own, with intervals; the first weight is known."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        task, log = task_of(instance), log_of(instance)
        reward = hs.LinearReward(fixed={"f0": float(instance.truth["weights"][0])})
        model = hs.SoftOptimalModel(task, reward, hs.PerSubject(), planner="entropy")
    with clock.counted("fit"):
        fitted = hs.fit(model, log)
        fitted.summary()
    return lambda: _told(fitted) | _recovery(fitted, instance)


def _recovery(fitted: hs.Fit, instance: Instance) -> dict[str, object]:
    """How the estimates lie around what the decisions were drawn from."""
    who, names = fitted.temperatures(), fitted.model.task.feature_names
    true = np.log(instance.truth["temperatures"][who.index.to_numpy(dtype=np.int64)])
    low, high = (np.log(who[end].to_numpy(dtype=float)) for end in ("ci_low", "ci_high"))
    inside = (low <= true) & (true <= high)
    found = who["log_temperature"].to_numpy(dtype=float)
    half = 1.96 * fitted.std_errors("hessian").loc[["log_temperature"]].to_numpy()[fitted.model.group_of_subject]
    settled = np.isfinite(found) & (who["boundary"] == "").to_numpy()
    weights = np.array([fitted.weight(name) for name in names])
    ends = fitted.params[["ci_low", "ci_high"]].to_numpy(dtype=float)
    rows = [fitted.params.index.get_loc((name, "all")) for name in names[1:]]
    around = [bool(ends[r, 0] <= t <= ends[r, 1]) for r, t in zip(rows, instance.truth["weights"][1:], strict=True)]
    return {
        "own_log_likelihood": fitted.log_likelihood,
        "share_of_true_temperatures_inside_95": float(inside.mean()),
        "share_inside_95_by_hessian": float((np.abs(found - true) <= half).mean()),
        "true_weights_inside_95": around,
        "people_at_a_boundary": int((~settled).sum()),
        "correlation_with_truth": float(np.corrcoef(found[settled], true[settled])[0, 1]),
        "weights": weights.tolist(),
        **({"log_likelihood": fitted.log_likelihood} if len(names) == 1 else {}),
    }


def borlange(folder: Path, clock: Stopwatch) -> Figures:
    """Recursive logit of car routes, 466 destinations over one network."""
    with clock.reported("construction"):
        log, task = hs.load_dataset("borlange_routes")
        model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy")
    with clock.counted("fit"):
        fitted = hs.fit(model, log)
        errors = fitted.std_errors("hessian")
    names = task.feature_names
    return lambda: {
        **_told(fitted),
        "log_likelihood": fitted.log_likelihood,
        "weights": [fitted.weight(name) for name in names],
        "std_errors": [float(errors[name, "all"]) for name in names],
    }


def vgc(folder: Path, clock: Stopwatch) -> Figures:
    """Arrow keys through many mazes, a temperature of everybody's own."""
    with clock.reported("construction"):
        log, task = hs.load_dataset("vgc_gridnav")
        model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), hs.PerSubject(), planner="kl")
    with clock.counted("fit"):
        fitted = hs.fit(model, log)
        fitted.summary()
    at_edge = int((fitted.temperatures()["boundary"] != "").sum())
    return lambda: _told(fitted) | {"own_log_likelihood": fitted.log_likelihood, "people_at_a_boundary": at_edge}


def long_log(folder: Path, clock: Stopwatch) -> Figures:
    """Stream a log of millions into counts and fit them; beside it the fit of a log a thousandth as long."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        task = task_of(instance)
        model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy")
    with clock.reported("reading of the short log"):
        short = _counted(folder / "short.parquet")
    with clock.reported("fit of the short log"):
        hs.fit(model, short).summary()
    with clock.counted("reading"):
        log = _counted(folder / "log.parquet")
    with clock.counted("fit"):
        fitted = hs.fit(model, log)
        fitted.summary()
    return lambda: {
        **_told(fitted),
        "fit_over_fit_of_short_log": clock.work["fit"][0] / clock.aside["fit of the short log"][0],
        "own_log_likelihood": fitted.log_likelihood,
        "weights": [fitted.weight(name) for name in task.feature_names],
        "true_weights": instance.truth["weights"].tolist(),
    }


def _counted(path: Path) -> Any:  # noqa: ANN401 - whatever a counted log is
    options: dict[str, Any] = {"counted": True}
    return hs.read(path, **options)


def task_of(instance: Instance) -> hs.Task:
    """Build the task of an instance from a long table, as a user does."""
    names = [f"f{k}" for k in range(instance.features.shape[-1])]
    paid: Real = instance.features[instance.state, instance.action]
    table = pd.DataFrame(
        {
            "state": instance.state,
            "action": instance.action,
            "next_state": instance.next_state,
            "probability": instance.probability,
        }
    ).join(pd.DataFrame(paid, columns=names))
    return hs.Task.table(
        table, discount=instance.discount, horizon=instance.horizon, probability="probability", features=names
    )


def log_of(instance: Instance) -> hs.BehaviorLog:
    """Read the log of an instance."""
    return hs.read(pd.DataFrame(dict(instance.log)), next_state="next_state")


def _told(fitted: hs.Fit) -> dict[str, object]:
    return {"converged": fitted.converged, "status": fitted.status.name.lower(), "decisions": fitted.num_decisions}


if __name__ == "__main__":
    works = {
        "fit": fit,
        "rust": rust,
        "solve": solve,
        "people": people,
        "borlange": borlange,
        "vgc": vgc,
        "long_log": long_log,
    }
    main(works, ("torch", "numpy", "scipy"), imports)
