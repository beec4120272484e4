"""Trainings in environments: how long they are, whose trainer runs them, and what is refused before they begin."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

import humansoft as hs
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.learner import PolicyLearner, quiet, run_training
from humansoft.solvers.soft_q_learning import SoftQLearner

LAKE = "FrozenLake-v1"


def few(num_steps: int = 10) -> hs.SoftQLearning:
    return hs.SoftQLearning.for_environment(num_steps=num_steps, warm_up=1, num_walkers=4, rollout=3, batch_size=16)


def learned(**changes: Any) -> hs.EnvironmentPolicy:  # noqa: ANN401
    given = {"temperature": 0.5, "seed": 1, "solver": few(), "num_epochs": 2}
    policy: hs.EnvironmentPolicy = hs.plan_in(LAKE, **{**given, **changes})
    return policy


def trainer(**changes: Any) -> pl.Trainer:  # noqa: ANN401
    plain: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    with quiet():
        return pl.Trainer(**{"max_epochs": 2, "accelerator": "cpu", "enable_checkpointing": False, **plain, **changes})


@pytest.mark.parametrize(("num_steps", "num_epochs"), [(10, 3), (7, 7), (5, 1), (11, 4)])
def test_exactly_the_steps_that_were_asked_for_are_trained(num_steps: int, num_epochs: int) -> None:
    world = GymnasiumWorld(LAKE, num_walkers=4)
    learner = few(num_steps).learner_in(world)
    assert isinstance(learner, SoftQLearner)
    run_training(PolicyLearner(learner, num_epochs, num_steps, 1, {}), None, progress=False)
    assert int(learner.num_steps) == num_steps
    assert learner.rate_left() == 0.0


def test_unequal_epochs_go_on_to_the_same_result_too(tmp_path: Path) -> None:
    whole = learned(num_epochs=3)
    learned(num_epochs=3, checkpoint=tmp_path, trainer=trainer(max_epochs=3, callbacks=[StopAfter(epochs=2)]))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 1
    after = learned(num_epochs=3, checkpoint=tmp_path)
    np.testing.assert_array_equal(after.log_prob(range(16)), whole.log_prob(range(16)))


class StopAfter(pl.Callback):
    """Ends a training early."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


@pytest.mark.parametrize("own", [False, True], ids=["no checkpoints of its own", "checkpoints of its own"])
def test_a_trainer_that_is_given_saves_checkpoints_and_goes_on_from_them(own: bool, tmp_path: Path) -> None:
    others = {"enable_checkpointing": own, "default_root_dir": tmp_path / "root"}
    early = trainer(callbacks=[StopAfter(epochs=1)], **others)
    learned(checkpoint=tmp_path / "ours", trainer=early)
    assert (tmp_path / "ours" / "last.ckpt").is_file()
    assert (tmp_path / "root").exists() is own
    after = learned(checkpoint=tmp_path / "ours", trainer=trainer(**others))
    np.testing.assert_array_equal(after.log_prob(range(16)), learned().log_prob(range(16)))


def test_a_trainer_that_would_train_something_else_is_refused() -> None:
    with pytest.raises(hs.errors.ModelError, match="max_epochs=3, but num_epochs=2: give both the same"):
        learned(trainer=trainer(max_epochs=3))
    used = trainer()
    learned(trainer=used)
    with pytest.raises(hs.errors.ModelError, match="has trained before"):
        learned(trainer=used)
    with pytest.raises(hs.errors.ModelError, match=r"it must be a pytorch_lightning\.Trainer"):
        learned(trainer="mine")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    learned(checkpoint=tmp_path)
    file = tmp_path / "last.ckpt"
    whole = file.read_bytes()
    for damaged in (b"", b"no checkpoint", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(hs.errors.RunError, match=r"last.ckpt is damaged .*remove it to begin anew"):
            learned(checkpoint=tmp_path)
    torch.save({"epoch": 1}, file)
    with pytest.raises(hs.errors.RunError, match=r"last.ckpt is no checkpoint of plan_in"):
        learned(checkpoint=tmp_path)
    with pytest.raises(hs.errors.RunError, match=r"last.ckpt is a file; give a folder"):
        learned(checkpoint=file)


def test_options_of_numpys_types_are_saved_as_plain_ones(tmp_path: Path) -> None:
    given = {"is_slippery": np.bool_(False), "success_rate": np.float64(0.5)}
    one = learned(checkpoint=tmp_path / "checkpoint", **given)
    two = learned(checkpoint=tmp_path / "checkpoint", **given)
    np.testing.assert_array_equal(one.log_prob(range(16)), two.log_prob(range(16)))
    again = hs.EnvironmentPolicy.load(one.save(tmp_path / "policy"))
    assert again.options == {"is_slippery": False, "success_rate": 0.5}
    odd = hs.EnvironmentPolicy(LAKE, {"desc": [object()]}, one.scores, 0.5, 0.5)
    with pytest.raises(hs.errors.RunError, match=r"options\['desc'\]\[0\] is a object, which cannot be written down"):
        odd.save(tmp_path / "odd")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "policy"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"temperature": 0.5', '"temperature": -1', "policy.json was edited"),
        ('"env_id"', '"environment"', "policy.json was edited"),
        ('"scores"', '"score"', "policy.json was edited"),
        ('"checksum"', '"sum"', "policy.json was edited"),
        ('"format": 4', '"format": 2', "is of format 2, this version reads 4"),
        ("{", "[{", "policy.json is damaged"),
    ],
)
def test_a_record_that_was_edited_is_refused(before: str, after: str, said: str, tmp_path: Path) -> None:
    record = learned().save(tmp_path / "policy") / "policy.json"
    text = record.read_text(encoding="utf-8")
    assert before in text
    record.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(hs.errors.RunError, match=said):
        hs.EnvironmentPolicy.load(tmp_path / "policy")
    record.write_text("[1]", encoding="utf-8")
    with pytest.raises(hs.errors.RunError, match="holds no JSON object"):
        hs.EnvironmentPolicy.load(tmp_path / "policy")


def test_a_policy_keeps_the_temperature_that_was_asked_for(tmp_path: Path) -> None:
    policy = learned()
    assert policy.temperature == 0.5
    assert policy.score_unit == pytest.approx(5.0)  # inertia of 0.9 stretches what is learned
    again = hs.EnvironmentPolicy.load(policy.save(tmp_path / "policy"))
    assert (again.temperature, again.score_unit) == (0.5, policy.score_unit)


@pytest.mark.parametrize("temperature", [(1.0,), (0.1, 0.5, 1.0), [1.0], [], "hot", None, True, [0.1, "hot"]])
def test_temperatures_and_seeds_that_cannot_be(temperature: Any) -> None:  # noqa: ANN401
    with pytest.raises(hs.errors.ModelError, match="3 problems") as caught:
        learned(temperature=temperature, seed=1.5, num_epochs=2.5)
    assert f"temperature={temperature!r}; it must be a finite number above 0" in str(caught.value)
    assert "seed=1.5; it must be a whole number of at least 0" in str(caught.value)
    assert "num_epochs=2.5; it must be a whole number of at least 1" in str(caught.value)


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        (hs.Newton(), "does not learn from acting"),
        (None, "does not learn from acting"),
        (hs.PolicyGradient, r"is a class; give options, PolicyGradient\.for_environment\(\)"),
        (few(1), "num_steps=1 cannot be divided among so many"),
    ],
)
def test_solvers_that_cannot_be(solver: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(hs.errors.ModelError, match=said):
        learned(solver=solver)


@pytest.mark.parametrize("kind", [hs.SoftQLearning, hs.PolicyGradient])
def test_options_of_solvers_that_cannot_be(kind: Any) -> None:  # noqa: ANN401
    wrong = {"num_steps": 2.5, "num_walkers": True, "batch_size": "8", "seed": -1, "hidden": (8, 0)}
    for rate in (0.0, -1.0, float("nan"), float("inf"), "0.1"):
        with pytest.raises(hs.errors.ModelError, match="6 problems") as caught:
            kind(**wrong, learning_rate=rate)
        for name, value in {**wrong, "learning_rate": rate}.items():
            assert f"{name}={value!r}; it" in str(caught.value)
    for hidden in (8, (8, 2.5), None):
        with pytest.raises(hs.errors.ModelError, match="it is a tuple of whole numbers"):
            kind(hidden=hidden)


def test_what_cannot_be_simulated() -> None:
    with pytest.raises(hs.errors.UsageError, match="3 problems") as caught:
        hs.simulate(learned(), episodes=2.5, seed=-1, max_steps=0)  # type: ignore[arg-type]
    for said in ("episodes=2.5", "seed=-1", "max_steps=0"):
        assert f"{said}; it must be a whole number" in str(caught.value)
    with pytest.raises(hs.errors.UsageError, match="a str has no behavior"):
        hs.simulate("policy", seed=1)  # type: ignore[arg-type]
