"""Choice terms through every verb: what they accept, what they refuse, what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.fit.result import FitStatus

MAZE = "S..L...\n.#.#.#.\n...L..G"
ALL = (hs.Lapse(), hs.Stickiness(), hs.ActionBias())
FIXED = {"step": -1.0, "goal": 0.0}


def maze() -> hs.Task:
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"})


def sample(seed: int = 1, episodes: int = 60, choice: object = (hs.Lapse(0.05), hs.Stickiness(0.8))) -> hs.BehaviorLog:
    people = {"ann": 0.3, "bob": 0.6, "cai": 0.9}
    policy = hs.plan(maze(), {"step": -1.0, "lava": -2.0}, people, choice=choice)  # type: ignore[arg-type]
    return hs.simulate(policy, episodes=episodes, seed=seed)


def model(choice: object = ALL, temperature: hs.temperature.Temperature | None = None) -> hs.SoftOptimalModel:
    given = temperature or hs.PerSubject()
    return hs.SoftOptimalModel(maze(), hs.LinearReward(fixed=FIXED), given, choice=choice)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return sample()


@pytest.fixture(scope="module")
def fitted(log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(model(), log, seed=1)


def test_a_fit_has_a_row_for_each_number(fitted: hs.Fit) -> None:
    names = ["step", "goal", "lava", *["log_temperature"] * 3, "stickiness"]
    names += ["bias[down]", "bias[left]", "bias[right]", "logit_lapse"]
    assert fitted.params.index.get_level_values("name").tolist() == names
    summary = fitted.summary()
    lapse, logit = summary.loc[("lapse", "all")], fitted.params.loc[("logit_lapse", "all")]
    for column in ("estimate", "ci_low", "ci_high"):
        assert lapse[column] == pytest.approx(1 / (1 + np.exp(-logit[column])))
    assert lapse["std_error"] == pytest.approx(logit["std_error"] * lapse["estimate"] * (1 - lapse["estimate"]))
    assert summary.loc[("stickiness", "all"), "unit"] == "log odds"


def test_a_saved_fit_is_equal_when_it_is_loaded(fitted: hs.Fit, log: hs.BehaviorLog, tmp_path: Path) -> None:
    again = hs.load(hs.save(fitted, tmp_path / "run"))
    assert again == fitted
    assert again.model.choice.terms == fitted.model.choice.terms
    pd.testing.assert_frame_equal(hs.predict(again, log), hs.predict(fitted, log))
    assert hs.simulate(again, 3, seed=1) == hs.simulate(fitted, 3, seed=1)


def test_known_biases_survive_saving(log: hs.BehaviorLog, tmp_path: Path) -> None:
    given = [hs.ActionBias("left", {"up": 0.25}), hs.Lapse(0.02)]
    fitted = hs.fit(model(given), log)
    assert fitted.weight("bias[up]") == 0.25
    assert fitted.summary().loc[("lapse", "all"), "estimate"] == pytest.approx(0.02)
    assert hs.load(hs.save(fitted, tmp_path / "run")) == fitted


def test_terms_in_a_task_with_a_horizon(tmp_path: Path) -> None:
    task = hs.Task.grid(MAZE, discount=1.0, horizon=12, legend={"L": "lava"})
    reward = {"step": -1.0, "lava": -2.0, "goal": 6.0}
    terms = (hs.Stickiness(0.8), hs.Lapse(0.05))
    log = hs.simulate(hs.plan(task, reward, {"ann": 0.4, "bob": 0.8}, choice=terms), episodes=100, seed=1)
    given = hs.LinearReward(fixed={"step": -1.0, "goal": 6.0})
    fitted = hs.fit(hs.SoftOptimalModel(task, given, hs.PerSubject(), choice=ALL), log)
    params = fitted.params.droplevel("label")
    for name, value in (("stickiness", 0.8), ("logit_lapse", np.log(0.05 / 0.95)), ("lava", -2.0)):
        row = params.loc[name]
        assert abs(row["estimate"] - value) < 3.5 * row["std_error"], name
    assert hs.load(hs.save(fitted, tmp_path / "run")) == fitted
    assert hs.predict(fitted, log)["log_prob"].sum() == pytest.approx(fitted.log_likelihood, rel=1e-10)
    assert fitted.training.counts["weight"].sum() == len(log)


def test_fits_with_other_terms_are_not_equal(log: hs.BehaviorLog) -> None:
    assert hs.fit(model(hs.Lapse(0.02)), log) != hs.fit(model(hs.Lapse(0.03)), log)


def test_the_order_in_which_terms_are_given_does_not_matter(fitted: hs.Fit, log: hs.BehaviorLog) -> None:
    assert hs.fit(model(ALL[::-1]), log, seed=1) == fitted


def test_scores_are_the_likelihood_of_the_fit(fitted: hs.Fit, log: hs.BehaviorLog) -> None:
    table = hs.score(fitted, log, baselines="none")
    assert table.loc["model", "log_likelihood"] == pytest.approx(fitted.log_likelihood, rel=1e-10)
    assert hs.predict(fitted, log)["log_prob"].sum() == pytest.approx(fitted.log_likelihood, rel=1e-10)


def test_people_are_compared_beside_shared_terms(fitted: hs.Fit) -> None:
    table = hs.compare(fitted)
    assert table.index.tolist() == ["ann", "bob", "cai"]
    assert (table["ci_low"] < table["ci_high"]).all()


def test_relative_temperatures_and_choice_terms_go_together(log: hs.BehaviorLog) -> None:
    features = hs.LinearReward(["step", "lava"])
    task = maze()
    anchored = hs.LinearReward(["step", "lava"], fixed={"step": -1.0})
    one = hs.fit(hs.SoftOptimalModel(task, features, hs.PerSubject(), choice=ALL), log)
    two = hs.fit(hs.SoftOptimalModel(task, anchored, hs.PerSubject(), choice=ALL), log)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=1e-6)
    for name in ("stickiness", "bias[down]", "logit_lapse"):  # in log odds, whatever the unit of temperature
        assert one.weight(name) == pytest.approx(two.weight(name), abs=1e-4)
        errors = [float(f.params.loc[(name, "all"), "std_error"]) for f in (one, two)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-3)
    assert one.log_likelihood > hs.fit(hs.SoftOptimalModel(task, features, hs.PerSubject()), log).log_likelihood + 20


def test_a_model_without_terms_is_what_it_was(log: hs.BehaviorLog) -> None:
    bound = model(()).bind(log)
    assert "choice.weights" not in bound.state_dict()
    assert bound.observe(log).previous is None
    assert model(hs.Lapse()).bind(log).observe(log).previous is None  # nobody asks what was done before
    assert "previous" not in hs.fit(model(()), log).training.counts


def history(rows: list[tuple[int, int, str | None]]) -> hs.BehaviorLog:
    """Return a log of (episode, step, action) in one state of the maze."""
    frame = pd.DataFrame(rows, columns=["episode", "step", "action"])
    frame["action"] = frame["action"].astype(object).where(frame["action"].notna(), None)
    return hs.read(frame.assign(r=0, c=0, subject="ann"), state=["r", "c"], next_state=None)


def test_what_was_done_before_is_the_last_action_of_the_same_episode() -> None:
    rows = [(1, 0, "up"), (1, 1, None), (1, 2, "left"), (1, 3, "left"), (2, 0, None), (2, 1, "up"), (2, 2, "down")]
    log = history(rows)
    task = maze()
    bound = hs.SoftOptimalModel(task, hs.LinearReward(fixed=FIXED), choice=hs.Stickiness()).bind(log)
    previous = bound.observe(log, by="decision").previous
    assert previous is not None
    assert task.actions.decode(previous) == [None, "up", "up", "left", None, None, "up"]


def test_rows_in_any_order_have_the_same_history() -> None:
    rows: list[tuple[int, int, str | None]] = [(1, 0, "up"), (1, 1, "left"), (2, 0, "down"), (2, 1, "right")]
    task, observed = maze(), []
    for given in (rows, rows[::-1]):
        log = history(given)
        bound = hs.SoftOptimalModel(task, hs.LinearReward(fixed=FIXED), choice=hs.Stickiness()).bind(log)
        observed.append(bound.observe(log, by="decision").previous)
    np.testing.assert_array_equal(*observed)


@pytest.mark.slow
def test_people_who_never_lapse_have_a_one_sided_interval() -> None:
    log = sample(seed=5, choice=())
    fitted = hs.fit(model([hs.Lapse(), hs.Stickiness()]), log)
    assert fitted.status is FitStatus.BOUNDARY
    lapse = fitted.summary().loc[("lapse", "all")]
    assert lapse["boundary"] == "lower"
    assert lapse["estimate"] < 1e-9
    assert (lapse["ci_low"], np.isnan(lapse["std_error"])) == (0.0, True)
    assert 0.001 < lapse["ci_high"] < 0.05
    assert "can do without lapses" in fitted.message
    plain = hs.fit(model([hs.Stickiness()]), log)
    assert fitted.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-4)
    ours, theirs = (f.params["std_error"].to_numpy(dtype=float) for f in (fitted, plain))
    np.testing.assert_allclose(ours[:-1], theirs, rtol=1e-3)


@pytest.mark.parametrize("seed", [4, 5])  # of one the estimate is 0, of the other it is not but might be
@pytest.mark.slow
def test_the_bound_of_a_lapse_is_where_the_likelihood_has_fallen(seed: int) -> None:
    """Half the chi-square 90 % point, all other parameters following: a fit at the bound says so."""
    log = sample(seed=seed, choice=())
    fitted = hs.fit(model([hs.Lapse()]), log)
    lapse = fitted.summary().loc[("lapse", "all")]
    assert lapse["boundary"] == "lower"
    at_bound = hs.fit(model([hs.Lapse(float(lapse["ci_high"]))]), log)
    assert fitted.log_likelihood - at_bound.log_likelihood == pytest.approx(1.3528, abs=0.01)


def test_identify_names_a_bias_that_a_reward_can_stand_in_for() -> None:
    """Without foresight a reward of an action is its bias, in other units."""
    states = ["one", "two"]
    rows = [(s, a, t) for s in states for a in ("left", "right") for t in states]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state"]).assign(p=0.5)
    task = hs.Task.table(table, probability="p", states=states, actions=["left", "right"], discount=0.0)
    task = task.with_features(pay=np.array([[1.0, 0.0], [0.0, 2.0]]), rightness=np.array([[0.0, 1.0], [0.0, 1.0]]))
    log = hs.simulate(hs.plan(task, {"pay": 1.0}, 1.0), episodes=20, seed=1, max_steps=10)
    report = hs.identify(hs.SoftOptimalModel(task, choice=[hs.ActionBias()]), log)
    assert not report.identified
    assert report.directions[0].parameters == ("rightness", "bias[right]")
    assert "`rightness` and `bias[right]` trade off" in str(report)
    assert "ActionBias(fixed={'right': 0})" in str(report)
    with pytest.raises(hs.errors.IdentificationError, match="trade off"):
        hs.fit(hs.SoftOptimalModel(task, choice=[hs.ActionBias()]), log)
    assert hs.identify(hs.SoftOptimalModel(task, choice=[hs.ActionBias(fixed={"right": 0.0})]), log).identified


def test_identify_says_what_has_no_effect_in_these_data() -> None:
    single = history([(1, 0, "up"), (2, 0, "left"), (3, 0, "down"), (4, 0, "right")])
    report = hs.identify(hs.SoftOptimalModel(maze(), hs.LinearReward(fixed=FIXED), choice=hs.Stickiness()), single)
    flat = {direction.parameters: direction.message for direction in report.directions}
    assert "leave Stickiness() out" in flat[("stickiness",)]


def test_the_scale_of_rewards_is_named_as_before() -> None:
    free = hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"]), hs.Shared(), choice=ALL)
    report = hs.identify(free, sample())
    assert not report.identified
    assert report.num_parameters - report.rank == 1
    assert "only reward / temperature is in the data" in str(report)


def test_identify_says_when_lapses_are_hardly_told_from_noise(log: hs.BehaviorLog) -> None:
    assert not any("large gap" in note for note in hs.identify(model(), log).notes)
    task = maze()
    hot = hs.simulate(hs.plan(task, {"step": -1.0, "lava": -2.0}, 8.0), episodes=30, seed=1, max_steps=30)
    for temperature in (hs.Shared(), hs.PerSubject()):
        report = hs.identify(model(temperature=temperature), hot)
        assert any("decisions have a large gap" in note for note in report.notes)
    assert not any("large gap" in note for note in hs.identify(model(hs.Stickiness()), hot).notes)
    assert not any("large gap" in note for note in hs.identify(model(hs.Lapse(0.05)), hot).notes)


def test_many_people_are_solved_for_one_by_one() -> None:
    task = maze()
    people = {f"p{i:02}": 0.3 + 0.01 * i for i in range(70)}
    policy = hs.plan(task, {"step": -1.0, "lava": -2.0}, people, choice=hs.Stickiness(1.0))
    log = hs.simulate(policy, episodes=4, seed=1)
    fitted = hs.fit(model(hs.Stickiness()), log)
    assert fitted.weight("stickiness") == pytest.approx(1.0, abs=0.15)
    assert len(fitted.temperatures()) == 70


def test_what_depends_on_the_state_alone_is_refused_for_sticky_people() -> None:
    sticky = hs.plan(maze(), {"step": -1.0}, 0.5, choice=hs.Stickiness(0.8))
    for verb in (hs.occupancy, hs.expected_steps, lambda policy: hs.likely_paths(policy, (0, 0))):
        with pytest.raises(hs.errors.ModelError, match=r"these are sticky.*leave Stickiness\(\) out"):
            verb(sticky)


def test_expected_steps_count_lapses_and_biases() -> None:
    given = (hs.Lapse(0.2), hs.ActionBias("up", {"down": 0.5, "left": 0.0, "right": 0.0}))
    policy = hs.plan(maze(), {"step": -1.0}, 0.3, choice=given)
    steps = hs.expected_steps(policy).set_index("state")["steps"]
    seen = hs.simulate(policy, episodes=3000, seed=1)
    lengths = seen.frame.groupby("episode").agg(n=("step", "size"), r=("state_0", "first"), c=("state_1", "first"))
    first = lengths[(lengths["r"] == 0) & (lengths["c"] == 0)]["n"]
    assert abs(first.mean() - steps.loc[[(0, 0)]].item()) < 4 * first.std() / np.sqrt(len(first))
    alone = hs.expected_steps(hs.plan(maze(), {"step": -1.0}, 0.3)).set_index("state")["steps"]
    assert steps.loc[[(0, 0)]].item() > alone.loc[[(0, 0)]].item()


def test_a_changed_task_keeps_the_choice_terms(fitted: hs.Fit) -> None:
    changed = hs.counterfactual(fitted, hs.block(maze(), passages=[((0, 1), (0, 2))]))
    assert changed.identified
    assert "sticky" in changed.message
    lapse = float(fitted.summary().loc[("lapse", "all"), "estimate"])
    assert changed.predictions["probability"].min() >= lapse / 4 * 0.999
    simulated = hs.simulate(changed.policy, episodes=2, seed=1)
    assert len(simulated) > 0


def test_a_counted_log_knows_no_history(tmp_path: Path, log: hs.BehaviorLog) -> None:
    log.to_dataframe().to_csv(tmp_path / "log.csv", index=False)
    columns = {"state": ["state_0", "state_1"], "next_state": ["next_state_0", "next_state_1"]}
    counted = hs.read(tmp_path / "log.csv", counted=True, **columns)  # type: ignore[arg-type]
    with pytest.raises(hs.errors.LogError, match=r"without counted=True for Stickiness\(\)"):
        hs.fit(model(hs.Stickiness()), counted)
    whole = hs.fit(model([hs.Lapse(), hs.ActionBias()]), log)
    summed = hs.fit(model([hs.Lapse(), hs.ActionBias()]), counted)
    assert summed.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-10)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_lapse_lies_between_0_and_1(value: float) -> None:
    with pytest.raises(hs.errors.ModelError, match="between 0 and 1"):
        hs.Lapse(value)


def test_bad_terms_are_refused_all_at_once() -> None:
    with pytest.raises(hs.errors.ModelError, match="finite number of log odds"):
        hs.Stickiness(float("inf"))
    given = hs.ActionBias("leftt", {"rigth": 0.5, "up": float("nan")})
    with pytest.raises(hs.errors.ModelError) as error:
        model([given])
    for words in ("no action 'leftt'", "Did you mean 'left'", "no action 'rigth'", "fixed bias of 'up' is nan"):
        assert words in str(error.value)
    with pytest.raises(hs.errors.ModelError, match=r"1. Stickiness is given more than once\n.*2. Lapse is") as error:
        model([hs.Lapse(), hs.Stickiness(1.0), hs.Lapse(0.1), hs.Stickiness()])
    with pytest.raises(hs.errors.ModelError, match="names every action"):
        model(hs.ActionBias(fixed=dict.fromkeys(("up", "down", "left", "right"), 0.1)))
    with pytest.raises(hs.errors.ModelError, match="is the action of reference"):
        model(hs.ActionBias("up", {"up": 0.1}))


def test_plan_needs_the_numbers_of_its_terms() -> None:
    with pytest.raises(hs.errors.ModelError, match="give the numbers of stickiness, logit_lapse by fixed="):
        hs.plan(maze(), {"step": -1.0}, 0.5, choice=[hs.Stickiness(), hs.Lapse()])


def test_networks_have_no_choice_terms() -> None:
    edges = pd.DataFrame({"from": [1, 2, 2, 3], "to": [2, 1, 3, 2], "time": 1.0})
    task = hs.Task.network(edges, source="from", target="to", goals=[3], features=["time"])
    with pytest.raises(hs.errors.ModelError, match="not offered for networks"):
        hs.SoftOptimalModel(task, choice=hs.Lapse())
