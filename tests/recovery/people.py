"""Simulated people that the recovery tests share."""

import humansoft as hs

MAZE = """
S.....#
.##.L..
..#.#..
.L....#
..#.L..
.##...G
S...#..
"""


def lava_task(slip: float = 0.1) -> hs.Task:
    """A 7x7 maze with lava: two weights (goal, lava) that visits tell apart."""
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"}, slip=slip)


def simulate_people(
    temperatures: dict[str, float], *, episodes: int = 60, max_steps: int = 25, seed: int = 1, planner: str = "kl"
) -> tuple[hs.BehaviorLog, hs.Task]:
    """Simulate people with reward goal = 1, lava = -1.5 (STYLE 5.6)."""
    task = lava_task()
    policy = hs.plan(task, {"goal": 1.0, "lava": -1.5}, temperature=temperatures, planner=planner)  # type: ignore[arg-type]
    return hs.simulate(policy, episodes=episodes, seed=seed, max_steps=max_steps), task
