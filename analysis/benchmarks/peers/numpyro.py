"""numpyro: the same population model written in JAX, sampled by its NUTS.

The soft Bellman equation of everybody is solved by Newton's method in one batch, in float64, and differentiated
implicitly: one more linear system, not the iterations.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jax import Array
from numpyro import distributions as dist
from numpyro.infer import MCMC, NUTS

from analysis.benchmarks.instances import Instance
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.sampling import CHAINS, DRAWS, SEED, TUNE, Told

SOLVED_TO, MOST_STEPS = 1e-10, 50


def nuts(folder: Path, clock: Stopwatch) -> Figures:
    """Draws of the population and of everybody in it; compilation counts, as it does for whoever waits."""
    numpyro.enable_x64()
    instance = Instance.read(folder)
    with clock.reported("construction"):
        transitions, reward = jnp.asarray(instance.dense("san")), jnp.asarray(instance.features.sum(axis=-1))
        log = instance.log
        counts = np.zeros((int(log["subject"].max()) + 1, *reward.shape))
        np.add.at(counts, (log["subject"], log["state"], log["action"]), 1.0)
        counts = jnp.asarray(counts)

        def population() -> None:
            mean = numpyro.sample("mean", dist.Normal(0.0, 1.5))
            sd = numpyro.sample("sd", dist.HalfNormal(1.0))
            with numpyro.plate("people", len(counts)):
                standard = numpyro.sample("standard", dist.Normal(0.0, 1.0))
            logs = numpyro.deterministic("log_temperature", mean + sd * standard)
            log_policy = soft_policy(reward * jnp.exp(-logs)[:, None, None], transitions, instance.discount)
            numpyro.factor("decisions", (counts * log_policy).sum())

        sampler = MCMC(
            NUTS(population),
            num_warmup=TUNE,
            num_samples=DRAWS,
            num_chains=CHAINS,
            chain_method="sequential",
            progress_bar=False,
        )
    with clock.counted("sampling"):
        sampler.run(jax.random.PRNGKey(SEED))
        draws = {name: np.asarray(values) for name, values in sampler.get_samples(group_by_chain=True).items()}
    seconds = sum(wall for wall, _ in clock.work.values())

    def figures() -> dict[str, object]:
        people = draws["log_temperature"].mean(axis=(0, 1))
        told = Told(float(draws["mean"].mean()), float(draws["sd"].mean()), instance.correlation(people))
        found = told.figures() | told.sampled([draws["mean"], draws["sd"]], seconds)
        return found | {"converged": None, "note": "reward in units of each temperature; one linear system a gradient"}

    return figures


def soft_policy(reward: Array, transitions: Array, discount: float) -> Array:
    """Return log policies [people, S, A] of rewards [people, S, A] at temperature 1."""
    size = reward.shape[1]

    def backed_up(value: Array, paid: Array) -> tuple[Array, Array]:
        q = paid + discount * jnp.einsum("san,pn->psa", transitions, value)
        return jax.nn.logsumexp(q, axis=-1), q

    def step(value: Array, paid: Array) -> Array:
        better, q = backed_up(value, paid)
        policy = jax.lax.stop_gradient(jnp.exp(q - better[..., None]))
        chain = jnp.einsum("psa,san->psn", policy, transitions)
        return value + jnp.linalg.solve(jnp.eye(size) - discount * chain, (better - value)[..., None])[..., 0]

    def unsolved(state: tuple[Array, Array, int]) -> Array:
        before, value, steps = state
        return (jnp.abs(value - before).max() > SOLVED_TO * (1 + jnp.abs(value).max())) & (steps < MOST_STEPS)

    def newton(state: tuple[Array, Array, int]) -> tuple[Array, Array, int]:
        _, value, steps = state
        return value, step(value, held), steps + 1

    held = jax.lax.stop_gradient(reward)
    start = jnp.zeros(reward.shape[:2])
    value = jax.lax.while_loop(unsolved, newton, (start - 1.0, start, 0))[1]
    # At the solution, the derivative of one step by the reward is that of the solution.
    value = step(jax.lax.stop_gradient(value), reward)
    better, q = backed_up(value, reward)
    return q - better[..., None]


if __name__ == "__main__":
    main({"nuts": nuts}, ("numpyro", "jax", "numpy"))
