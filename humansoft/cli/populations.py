"""Populations: the table of what is said of the people behind the people."""

import numpy as np

from humansoft.cli.tables import interval, labels, numbers, print_table, records
from humansoft.fit.hierarchical import WITHIN
from humansoft.fit.population import Population

_HOW = {
    "none": "people do not deviate from it",
    "quadrature": "people integrated out by quadrature",
    "laplace": "people integrated out by Laplace's method",
    "nuts": "sampled by NUTS",
}


def describe_population(population: Population) -> dict[str, object]:
    """Return a population as a record: how it was learned, its table of coefficients and standard deviations."""
    return {"formula": population.formula, **population.record(), "params": records(population.params)}


def print_population(population: Population) -> None:
    """Print coefficients of the mean log temperature (or weights) and standard deviations of people."""
    names = population.params.index.get_level_values("name")
    shown = np.array([label != "all" for label in population.params.index.get_level_values("label")], dtype=bool)
    table = population.params[shown].reset_index()
    rows = zip(table["ci_low"], table["ci_high"], strict=True)
    cells = {
        "parameter": labels(_parameter(name, label) for name, label in zip(names[shown], table["label"], strict=True)),
        "term": labels("log_temperature" if label == WITHIN else label for label in table["label"]),
        "estimate": numbers(table["estimate"]),
        "std. error": numbers(table["std_error"]),
        "95 % interval": [_interval(float(low), float(high)) for low, high in rows],
    }
    title = f"Population, log temperature {population.formula}; {_HOW[population.integration]}"
    print_table(title, cells, text=("parameter", "term"))


def _parameter(name: str, label: str) -> str:
    if name != "sd":
        return f"mean {name}"
    return "sd within people" if label == WITHIN else "sd between people"


def _interval(low: float, high: float) -> str:
    """Write an interval; of what may well be 0, the lower end is a number like others."""
    return f"{numbers([low])[0]} to {numbers([high])[0]}" if low == 0.0 and np.isfinite(high) else interval(low, high)
