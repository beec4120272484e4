"""humansoft beside numpyro on populations: people's temperatures come from a distribution that is learned with them.

The reward is known; everybody has a temperature. Both sample the same model with NUTS, as many chains and draws, in
float64; humansoft also maximises the population's likelihood, by quadrature and by Laplace-EM. Every system does every
run in a process of its own, in turn, with one thread.

Example: python -m analysis.benchmarks.population --json rows.json --markdown table.md
"""

from analysis.benchmarks import limits
from analysis.benchmarks.exact import run_all
from analysis.benchmarks.makers import make_known_reward
from analysis.benchmarks.workloads import HUMANSOFT, Bar, System, Workload, peer
from analysis.benchmarks.worlds import Shape

FASTER = 30
"""How many times faster than sampling by numpyro the maximum has to be, at the same correlation with the truth."""


def _people(count: int, side: int = 8) -> Workload:
    return Workload(
        name=f"population_{count}" + ("" if side == 8 else f"_grid_{side}"),
        what=f"a population of {count} temperatures, 5 x 20 steps each, {side} x {side} grid, known reward",
        bar=Bar(f"{FASTER} times as fast as numpyro, as near to the truth"),
        systems=(
            System(HUMANSOFT, "ours_population", "quadrature"),
            System("humansoft Laplace-EM", "ours_population", "laplace"),
            System("humansoft NUTS", "ours_population", "nuts"),
            peer("numpyro", "nuts", "numpyro NUTS"),
        ),
        make=make_known_reward,
        full=Shape(side, count, 5, 20),
        quick=Shape(4, 6, 5, 20),
        limit=limits.fitting_people,
        in_quick=count == 30,
    )


WORKLOADS = (_people(30), _people(100), _people(100, side=4))

if __name__ == "__main__":
    run_all(WORKLOADS, __doc__ or "")
