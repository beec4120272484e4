"""Car routes in Borlange (Fosgerau, Frejinger & Karlstrom 2013): trips -> decisions, road network.

The state is the current link, the action the link chosen next; a trip ends on the dummy link of
its destination. All trips share the network and differ in the goal, which is the context.
"""

import pandas as pd

from humansoft.catalogue.dataset import DECISION_COLUMNS, Tables
from humansoft.data.log import BehaviorLog
from humansoft.data.readers import build_log

TRIPS, NETWORK = "trips.csv.gz", "network.csv.gz"
RAW_COLUMNS = ("trip", "dest_link", "t", "link", "next_link", "fold")

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


def network(table: pd.DataFrame) -> pd.DataFrame:
    """Return the road network as a long table of turns, shared by all destinations.

    A turn with ``terminal`` true leads into the dummy link of one destination (its
    ``next_state``) and is allowed only on trips to that destination.

    Args:
        table: the table ``network``, one row a turn.

    Returns:
        Columns state, action, next_state (action and next state are the link entered),
        probability (1), terminal and the features travel_time (minutes of the link entered),
        left_turn, link_constant and u_turn (0 or 1).
    """
    links = {"state": "from_link", "action": "to_link", "next_state": "to_link"}
    features = {name: name for name in FEATURES} | {"travel_time": "travel_time_min"}
    return pd.DataFrame(
        {
            **{name: table[column] for name, column in links.items()},
            "probability": 1.0,
            "terminal": table["is_destination"] == 1,
            **{name: table[column].astype(float) for name, column in features.items()},
        }
    )
