"""Car routes in Borlange (Fosgerau, Frejinger & Karlstrom 2013): trips -> decisions, road network.

The state is the current link, the action the link chosen next; a trip ends on the dummy link of
its destination. All trips share the network and differ in the goal, which is the context.
"""

import pandas as pd

from humansoft.catalogue.dataset import DECISION_COLUMNS, Tables
from humansoft.data.log import BehaviorLog
from humansoft.data.readers import build_log
from humansoft.tasks.task import Task

TRIPS, NETWORK = "trips.csv.gz", "network.csv.gz"
RAW_COLUMNS = ("trip", "dest_link", "t", "link", "next_link", "fold")
NETWORK_COLUMNS = ("from_link", "to_link", "travel_time_min", "left_turn", "link_constant", "u_turn", "is_destination")

FEATURES = ("travel_time", "left_turn", "link_constant", "u_turn")
"""What a turn costs in the published model, in the order of the paper's table."""


def load_log(tables: Tables) -> BehaviorLog:
    """Return the link choices of all trips."""
    return build_log(decisions(tables.frame(TRIPS, RAW_COLUMNS)), DECISION_COLUMNS, tables.source)


def decisions(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the link choices, one row a decision.

    Drivers are not in the data, so all trips belong to one subject, "drivers".

    Args:
        trips: the table ``trips``, one row a link choice.

    Returns:
        Columns subject, episode (trip), step, context (destination link), state (link), action
        and next_state (both the next link), terminated (the destination was reached), truncated
        (the record ends before it) and fold (0-4, fixed random parts by trip).
    """
    last = ~trips.duplicated("trip", keep="last")
    arrived = trips["next_link"] == trips["dest_link"]
    return pd.DataFrame(
        {
            "subject": "drivers",
            "episode": trips["trip"],
            "step": trips["t"],
            "context": trips["dest_link"],
            "state": trips["link"],
            "action": trips["next_link"],
            "next_state": trips["next_link"],
            "terminated": last & arrived,
            "truncated": last & ~arrived,
            "fold": trips["fold"],
        }
    )


def load_task(tables: Tables) -> Task:
    """Return the road network, which trips to all destinations share.

    Features are those of the published model: travel_time (minutes on the link entered), left_turn, link_constant
    and u_turn (0 or 1).
    """
    table = tables.frame(NETWORK, NETWORK_COLUMNS).rename(columns={"travel_time_min": "travel_time"})
    return Task.network(
        table,
        source="from_link",
        target="to_link",
        goals=table.loc[table["is_destination"] == 1, "to_link"].drop_duplicates().tolist(),
        features=FEATURES,
        units={"travel_time": "per minute", "left_turn": "per turn", "link_constant": "per link", "u_turn": "per turn"},
    )
