"""The measures of all rows of a fit: at the estimates, at boundaries, and along the intervals of temperatures."""

import numpy as np
import numpy.typing as npt

from humansoft.evaluate.measures import Measured, measure
from humansoft.evaluate.solved_rows import MEASURES
from humansoft.evaluate.yardstick import Yardstick
from humansoft.fit.boundary import limit_temperatures

Real = npt.NDArray[np.float64]


def measured(yardstick: Yardstick, edge: "npt.NDArray[np.object_]") -> Measured:
    """Measure all rows, and how those move that are at no boundary."""
    values = np.full((len(edge), len(MEASURES)), np.nan)
    slopes = np.zeros((*values.shape, yardstick.directions.num_colors))
    own = np.full((len(yardstick.fit.subjects), len(MEASURES)), np.nan)
    for rows, moving in ((np.flatnonzero(edge == ""), True), (np.flatnonzero(edge != ""), False)):
        if len(rows):
            part = measure(yardstick, rows, yardstick.log_temperature[rows], slopes=moving)
            values[rows] = part.values
            own = np.where(np.isnan(own), part.own, own)
            if moving:
                slopes[rows] = part.slopes
    values[edge == "both"] = np.nan
    own[edge[yardstick.row_of_person] == "both"] = np.nan
    return Measured(values, slopes, own)


def at_boundaries(yardstick: Yardstick, edge: "npt.NDArray[np.object_]") -> Real:
    """Return the range [2, R, 7] of each measure between the limit of the temperature and its one-sided bound."""
    ends = np.full((2, len(edge), len(MEASURES)), np.nan)
    rows = np.flatnonzero((edge == "lower") | (edge == "upper"))
    if not len(rows):
        return ends
    fit = yardstick.fit
    place = fit.model.temperature_row().numpy()[rows]
    params = fit.params.loc[["log_temperature"]]
    bound = np.where(edge[rows] == "lower", params["ci_high"].to_numpy()[place], params["ci_low"].to_numpy()[place])
    limits = limit_temperatures(fit.model)
    limit = np.array([limits[kind] for kind in edge[rows]])
    temperatures = (bound.astype(float), limit, yardstick.log_temperature[rows])
    seen = np.stack([measure(yardstick, rows, at).values for at in temperatures])
    ends[:, rows] = seen.min(axis=0), seen.max(axis=0)
    return ends


def along_temperatures(yardstick: Yardstick, edge: "npt.NDArray[np.object_]", found: Measured) -> tuple[Measured, ...]:
    """Measure all rows at both ends of their temperature's interval, where a population tells that.

    Somebody who hardly erred has a wide interval, in which measures do not move as they do at the estimate.
    """
    fit, inner = yardstick.fit, np.flatnonzero(edge == "")
    if fit.population is None or fit.model.rows_are_people or not len(inner):
        return ()
    params = fit.params.loc[["log_temperature"], ["ci_low", "ci_high"]].to_numpy(dtype=float)[inner]
    parts = []
    for log_temperature in params.T:
        values, slopes = found.values.copy(), found.slopes.copy()
        there = measure(yardstick, inner, log_temperature, slopes=True)
        values[inner], slopes[inner] = there.values, there.slopes
        parts.append(Measured(values, slopes, found.own))
    return (found, *parts)
