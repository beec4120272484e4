"""Group F, comparing people: what behavior says about rationality, and what it cannot say of anybody."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_least, zero
from analysis.rows import Row
from humansoft.evaluate.solved_rows import MEASURES

MAZE = "S.L..\n..L..\n.L...\n...L.\n.L..G"
REWARD = {"step": -1.0, "lava": -2.0}
STAKES = 3.0
SCALE_FREE = [measure for measure in MEASURES if measure != "regret_per_decision"]  # which has the unit of reward


def claims(args: Args) -> Iterator[Claim]:
    """Compare people who are known, then the two ways in which people who differ can be written down."""
    yield motivated_or_precise()
    yield two_ways_to_say_it(10 if args.quick else 40)
    yield who_may_be_compared(10 if args.quick else 40)


def maze() -> hs.Task:
    """A maze with lava, in which a step costs something."""
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"})


def known(task: hs.Task, stakes: float, temperature: float) -> pd.DataFrame:
    """Measure somebody whose stakes and temperature are known, in the states that chance leads to."""
    reward = {name: stakes * weight for name, weight in REWARD.items()}
    policy = hs.plan(task, reward, temperature={"somebody": temperature})
    model = hs.SoftOptimalModel(task, hs.LinearReward(list(reward), reward), hs.PerSubject())
    fit = hs.fit(model, hs.simulate(policy, 10, seed=1, max_steps=40))
    full = np.r_[list(reward.values()), np.log(temperature)]
    at = dataclasses.replace(fit, model=fit.model.at(torch.from_numpy(full)))
    return hs.rationality(at, reference="task")


def motivated_or_precise() -> Claim:
    """F5: three people. B has three times the stakes of A, C a third of A's temperature."""
    task = maze()
    people = {"A": known(task, 1.0, 1.0), "B": known(task, STAKES, 1.0), "C": known(task, 1.0, 1 / STAKES)}
    value = {name: table[SCALE_FREE].iloc[0].to_numpy(dtype=float) for name, table in people.items()}
    rows = [
        Row(f"{name}/{measure}", value[name][SCALE_FREE.index(measure)])
        for name in ("A", "B")
        for measure in ("normalised_value", "choice_error", "information_bits")
    ]
    rows += [
        zero("B_minus_C", float(np.abs(value["B"] - value["C"]).max()), 1e-12),
        at_least("B_minus_A/normalised_value", float(value["B"][0] - value["A"][0]), 0.01),
    ]
    care = "B cares more and C errs less; nothing that they do differs, so that no statistic of behavior tells which."
    return Claim("F5", "Three times the stakes and a third of the temperature are one behavior.", tuple(rows), care)


def simulated(num_people: int, episodes: int) -> hs.BehaviorLog:
    """Simulate people who want the same, with temperatures about 1."""
    temperatures = np.exp(np.random.default_rng(41).normal(scale=0.5, size=num_people))
    people = {f"p{i:02d}": float(t) for i, t in enumerate(temperatures)}
    return hs.simulate(hs.plan(maze(), REWARD, temperature=people), episodes, seed=42, max_steps=40)


def two_ways_to_say_it(episodes: int) -> Claim:
    """F5b: "one reward, temperatures of their own" against "rewards that are multiples, one temperature"."""
    log = simulated(12, episodes)
    task = maze()
    shared = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(list(REWARD), {"step": -1.0}), hs.PerSubject()), log)
    lava = shared.weight("lava")
    temperatures = dict(zip(shared.subjects.values, shared.temperatures()["temperature"], strict=True))
    whole = 0.0
    for who in shared.subjects.values:
        reward = {"step": -1.0 / temperatures[who], "lava": lava / temperatures[who]}
        own = log.select(log.subject == log.codebook.subjects.encode([who])[0])
        logs = hs.plan(task, reward, temperature={who: 1.0}).log_policy.numpy()
        counts = own.counts(task.states, task.actions)
        whole += float(counts.weight @ logs[counts.state, counts.action])
    rows = (
        Row("shared_reward/log_likelihood", shared.log_likelihood),
        zero("scaled_rewards_minus_shared", whole - shared.log_likelihood, 1e-9 * abs(shared.log_likelihood)),
    )
    care = "The two are one model: neither can be preferred by any data, only assumed."
    return Claim("F5b", "Differing in temperature is differing in the size of the reward.", rows, care)


def who_may_be_compared(episodes: int) -> Claim:
    """F5c: with one reward for all, temperatures are ranked; the test of that assumption passes."""
    log = simulated(12, episodes)
    task = maze()
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(list(REWARD), {"step": -1.0}), hs.PerSubject()), log)
    truth = np.exp(np.random.default_rng(41).normal(scale=0.5, size=12))
    estimated = fit.temperatures()["temperature"].to_numpy()
    tests = hs.assumptions(fit).set_index("test")["p"]
    table = hs.compare(fit)
    honest = any("nothing in behavior tells apart" in note for note in table.attrs["notes"])
    rows = (
        at_least("rank_correlation_with_truth", float(pd.Series(estimated).corr(pd.Series(truth), "spearman")), 0.8),
        at_least("p/shared_reward", float(tests["shared reward"]), 0.01),
        at_least("p/mistakes_by_cost", float(tests["mistakes by cost"]), 0.01),
        Row("compare_says_what_it_cannot_say", float(honest), "1", 0.0),
    )
    care = "That everybody wants the same is an assumption; it can be tested, and data can refute it."
    return Claim("F5c", "Rationality can be compared between people who want the same.", rows, care)
