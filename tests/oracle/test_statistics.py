"""A soft-optimal model of one decision is the logit of statistics: estimates, errors and covariances by other means."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from statsmodels.discrete.conditional_models import ConditionalLogit  # type: ignore[import-untyped]

import humansoft as hs
from tests.oracle.reference import Array

END = "end"


def one_step_task(features: dict[str, Array], *, goes_on: bool = False) -> hs.Task:
    """Return a task of single decisions: state s, alternative j, features [S, J] by name.

    Every choice ends the episode, or (``goes_on``) leads anywhere: with discount 0 nobody minds.
    """
    size, choices = next(iter(features.values())).shape
    names = [f"s{s}" for s in range(size)]
    state, action = (index.ravel() for index in np.indices((size, choices)))
    table = pd.DataFrame({"state": [names[s] for s in state], "action": action})
    table = table.assign(**{name: values.ravel() for name, values in features.items()})
    following = pd.DataFrame(
        {"next_state": names, "chance": 1 / size} if goes_on else {"next_state": [END], "chance": 1.0}
    )
    return hs.Task.table(
        table.merge(following, how="cross"),
        probability="chance",
        discount=0.0,
        features=list(features),
        states=names if goes_on else [*names, END],
    )


def choices_log(state: Array, action: Array, subject: Array, episode: Array) -> hs.BehaviorLog:
    return hs.read(
        pd.DataFrame(
            {
                "subject": [f"p{i}" for i in subject],
                "episode": episode,
                "step": 0,
                "state": [f"s{s}" for s in state],
                "action": action,
            }
        )
    )


def fit_one_step(features: dict[str, Array], log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(one_step_task(features), temperature=hs.Fixed(1.0)), log)


def estimates(fit: hs.Fit) -> Array:
    """Return the learned weights."""
    free: Array = fit.params.loc[~fit.params["fixed"].to_numpy(dtype=bool), "estimate"].to_numpy(dtype=float)
    return free


def std_errors(fit: hs.Fit, kind: str) -> Array:
    free: Array = fit.std_errors(kind).to_numpy()[~fit.params["fixed"].to_numpy(dtype=bool)]
    return free


def test_multinomial_logit() -> None:
    """Traits of the chooser times alternative: statsmodels' MNLogit, its standard errors and its log-likelihood."""
    generator = np.random.default_rng(1)
    size, choices = 300, 3
    traits = np.column_stack([np.ones(size), generator.normal(size=(size, 2))])
    truth = np.array([[0.5, -1.0, 0.3], [-0.2, 0.8, 0.6]])
    utility = np.column_stack([np.zeros(size), traits @ truth.T])
    chosen = (utility + generator.gumbel(size=utility.shape)).argmax(axis=1)
    features = {
        f"x{k}_for_{j}": traits[:, [k]] * (np.arange(choices) == j) for j in range(1, choices) for k in range(3)
    }
    everyone = np.arange(size)
    fit = fit_one_step(features, choices_log(everyone, chosen, everyone, np.zeros(size)))
    expected = sm.MNLogit(chosen, traits).fit(method="newton", disp=0, tol=1e-12)
    np.testing.assert_allclose(estimates(fit), expected.params.T.ravel(), atol=1e-6)
    np.testing.assert_allclose(std_errors(fit, "hessian"), expected.bse.T.ravel(), rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(expected.llf, rel=1e-10)
    assert fit.aic == pytest.approx(expected.aic, rel=1e-10)
    assert fit.bic == pytest.approx(expected.bic, rel=1e-10)


def test_the_planner_of_one_decision_does_not_matter() -> None:
    generator = np.random.default_rng(2)
    features = {"price": generator.normal(size=(40, 3)), "speed": generator.normal(size=(40, 3))}
    state = np.repeat(np.arange(40), 5)
    log = choices_log(state, generator.integers(0, 3, 200), state % 10, np.arange(200))
    fits = [
        hs.fit(hs.SoftOptimalModel(one_step_task(features), temperature=hs.Fixed(1.0), planner=planner), log)
        for planner in ("kl", "entropy", "boltzmann")
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(estimates(fit), estimates(fits[0]), atol=1e-8)
        assert fit.log_likelihood == pytest.approx(fits[0].log_likelihood, rel=1e-12)


def test_a_temperature_is_the_scale_of_a_logit() -> None:
    """With the price fixed at -1, temperature and weight are -1 / price and weight / -price of the plain logit."""
    generator = np.random.default_rng(3)
    price, speed = generator.normal(size=(2, 400, 3))
    chosen = (-2.0 * price + 1.0 * speed + generator.gumbel(size=price.shape)).argmax(axis=1)
    log = choices_log(np.arange(400), chosen, np.zeros(400, dtype=int), np.arange(400))
    features = {"price": price, "speed": speed}
    plain = fit_one_step(features, log)
    reward = hs.LinearReward(fixed={"price": -1.0})
    scaled = hs.fit(hs.SoftOptimalModel(one_step_task(features), reward, hs.Shared()), log)
    weight_of_price, weight_of_speed = estimates(plain)
    np.testing.assert_allclose(
        estimates(scaled), [-weight_of_speed / weight_of_price, -np.log(-weight_of_price)], rtol=1e-6
    )
    assert scaled.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)


def travel_modes() -> tuple[dict[str, Array], Array]:
    """Greene and Hensher's 210 travellers between Sydney and Melbourne: features [210, 4] and their choices."""
    data = sm.datasets.modechoice.load_pandas().data.sort_values(["individual", "mode"])
    table = {name: data[name].to_numpy().reshape(210, 4) for name in ("choice", "gc", "ttme", "hinc")}
    modes = ("air", "train", "bus")
    constants = {mode: np.broadcast_to(np.arange(4) == j, (210, 4)) * 1.0 for j, mode in enumerate(modes)}
    features = {**constants, "gc": table["gc"], "ttme": table["ttme"], "income_air": table["hinc"] * constants["air"]}
    return features, table["choice"].argmax(axis=1)


@pytest.fixture(scope="module")
def travellers() -> tuple[hs.Fit, dict[str, Array], Array]:
    """Each traveller as a context of its own, with one choice among four modes."""
    features, chosen = travel_modes()
    who, mode = (index.ravel() for index in np.indices((210, 4)))
    table = pd.DataFrame({"trip": who, "state": "choosing", "action": mode, "next_state": END})
    table = table.assign(**{name: values.ravel() for name, values in features.items()})
    task = hs.Task.table(table, context="trip", discount=0.0, features=list(features))
    assert len(task.contexts) == 210
    trips = pd.DataFrame({"subject": np.arange(210), "trip": np.arange(210), "state": "choosing", "action": chosen})
    log = hs.read(trips, episode=None, step=None, context="trip")
    return hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log), features, chosen


def test_greene_travel_modes(travellers: tuple[hs.Fit, dict[str, Array], Array]) -> None:
    """The textbook's conditional logit to its printed digits."""
    fit, _, _ = travellers
    published = [5.2074, 3.8690, 3.1632, -0.01550, -0.09612, 0.01329]
    np.testing.assert_allclose(estimates(fit), published, atol=5e-5)
    np.testing.assert_allclose(estimates(fit)[3:], published[3:], atol=5e-6)
    assert fit.log_likelihood == pytest.approx(-199.128, abs=5e-4)
    assert fit.num_decisions == 210


def test_conditional_logit(travellers: tuple[hs.Fit, dict[str, Array], Array]) -> None:
    """statsmodels' ConditionalLogit on the same choices: one group a traveller, one chosen row in each."""
    fit, features, chosen = travellers
    rows = np.stack(list(features.values()), axis=-1).reshape(-1, len(features))
    picked = (np.arange(4) == chosen[:, None]).ravel().astype(int)
    model = ConditionalLogit(picked, rows, groups=np.repeat(np.arange(210), 4))
    # Its optimiser stops 1e-4 away from the optimum: ask its functions at ours.
    found, errors = estimates(fit), std_errors(fit, "hessian")
    assert fit.log_likelihood == pytest.approx(model.loglike(found), rel=1e-12)
    assert np.abs(model.score(found) * errors).max() < 1e-4
    np.testing.assert_allclose(errors, np.sqrt(np.diag(np.linalg.inv(-model.hessian(found)))), rtol=1e-5)


def test_every_covariance_is_its_formula() -> None:
    """Hessian, BHHH and both sandwiches of 30 people with unequal episodes, from x - E[x] in plain numpy."""
    generator = np.random.default_rng(4)
    size, choices, names = 25, 3, ("price", "speed", "comfort")
    values = generator.normal(size=(size, choices, len(names)))
    subject = np.repeat(np.arange(30), generator.integers(4, 20, size=30))
    episode = np.concatenate([np.arange(n) // 3 for n in np.bincount(subject)])
    count = len(subject)
    state = generator.integers(0, size, count)
    taste = generator.normal([-1, 0.5, 0.3], 0.7, size=(30, 3))  # people differ: clusters matter
    utility = np.einsum("njf,nf->nj", values[state], taste[subject]) + generator.gumbel(size=(count, choices))
    step = np.concatenate([np.arange(n) % 3 for n in np.bincount(subject)])
    weight = generator.integers(1, 4, count).astype(float)
    log = hs.read(
        pd.DataFrame(
            {
                "subject": [f"p{i:02}" for i in subject],
                "episode": episode,
                "step": step,
                "state": [f"s{s}" for s in state],
                "action": utility.argmax(axis=1),
                "weight": weight,
            }
        ),
        weight="weight",
    )
    task = one_step_task(dict(zip(names, np.moveaxis(values, -1, 0), strict=True)), goes_on=True)
    fit = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)

    x, theta = values[state], estimates(fit)
    chance = np.exp(x @ theta)
    chance /= chance.sum(axis=1, keepdims=True)
    mean = np.einsum("nj,njf->nf", chance, x)
    score = x[np.arange(count), utility.argmax(axis=1)] - mean
    spread = np.einsum("nj,njf,njg->nfg", chance, x - mean[:, None], x - mean[:, None])
    bread = np.linalg.inv(np.einsum("n,nfg->fg", weight, spread))
    weighted = weight[:, None] * score
    np.testing.assert_allclose(weighted.sum(axis=0), 0.0, atol=1e-4)
    by_subject = pd.DataFrame(weighted).groupby(subject).sum().to_numpy()
    by_episode = pd.DataFrame(weighted).groupby([subject, episode]).sum().to_numpy()
    expected = {
        "hessian": bread,
        # A weight is a count: a row of weight 2 is two people who did the same.
        "bhhh": np.linalg.inv(score.T @ weighted),
        "sandwich_by_subject": bread @ by_subject.T @ by_subject @ bread,
        "sandwich_by_episode": bread @ by_episode.T @ by_episode @ bread,
    }
    free = np.flatnonzero(~fit.params["fixed"].to_numpy(dtype=bool))
    for kind, matrix in expected.items():
        found = fit.covariances.table(kind).to_numpy()[np.ix_(free, free)]
        np.testing.assert_allclose(found, matrix, rtol=1e-6, atol=1e-9, err_msg=kind)
    errors = np.sqrt([np.diag(matrix) for matrix in expected.values()])
    assert (errors[2] > 1.1 * errors[0]).any()  # or nothing tells the formulas apart
