"""Turn the authors' pickled games into steps_train.parquet and layouts.json.

Run as ``python prepare.py RAW OUT``: RAW is the source archive of the Python package overcooked-ai
1.1.0 (overcooked_ai-1.1.0.tar.gz), clean_train_trials.pickle out of it, or a folder with either.
"""

import ast
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd

from humansoft.catalogue.cards import read_card
from humansoft.catalogue.raw_files import run_as_script, verify
from humansoft.errors import DatasetError

CARD = Path(__file__).with_name("card.toml")

ALLOWED = {
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.internals.managers": {"BlockManager"},
}
"""All that a pickled table of text and numbers needs, by module; nothing here runs foreign code."""

ORIENTATIONS = {(0, -1): "N", (0, 1): "S", (1, 0): "E", (-1, 0): "W"}
ACTIONS = {(0, 0): 0, (0, -1): 1, (0, 1): 2, (1, 0): 3, (-1, 0): 4, "interact": 5}


class TableUnpickler(pickle.Unpickler):
    """Reads a pickled DataFrame and refuses everything else that a pickle could name."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (signature of the base)
        """Return an allowed class or function; the integer index of old pandas is a plain one."""
        if (module, name) == ("pandas.core.indexes.numeric", "Int64Index"):
            return pd.Index
        if name not in ALLOWED.get(module, set()):
            raise pickle.UnpicklingError(f"no table needs {module}.{name}, which the pickle names")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_source(raw: Path) -> bytes:
    """Return the verified pickle of the training games.

    Raises:
        DatasetError: neither the archive nor the pickle is at ``raw``, or a file is not the publisher's.
    """
    card = read_card(CARD)
    (source,) = card.sources
    assert card.archive
    member = Path(source.path)
    names: list[Path] = [raw, raw / card.archive.path, raw / member.name, raw / member]
    file = next((name for name in names if name.is_file()), None)
    if file is None:
        raise DatasetError(
            f"{card.name}: neither {card.archive.path} nor {member.name} is in {raw}. "
            f"Get it from {card.repository} ({card.version})."
        )
    content = file.read_bytes()
    if file.suffix == ".gz":
        verify(file.name, content, card.archive.sha256)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            inside = tar.extractfile(f"{card.archive.path.removesuffix('.tar.gz')}/{member}")
            content = inside.read() if inside else b""
    verify(member.name, content, source.sha256)
    return content


def steps_of(games: pd.DataFrame) -> pd.DataFrame:
    """Return one row a joint step, in the order of run, pair, layout and step."""
    world = [ast.literal_eval(text) for text in games["state"]]
    both = [ast.literal_eval(text) for text in games["joint_action"]]
    table: dict[str, Any] = {
        "run": games["run"].to_numpy(),
        "pair": games["workerid_num"].to_numpy(),
        "layout": games["layout_name"].to_numpy(),
        "t": games["cur_gameloop"].astype("int64").to_numpy(),
    }
    for i in (0, 1):
        cooks = [state["players"][i] for state in world]
        table[f"p{i}_x"] = [cook["position"][0] for cook in cooks]
        table[f"p{i}_y"] = [cook["position"][1] for cook in cooks]
        table[f"p{i}_orient"] = [ORIENTATIONS[tuple(cook["orientation"])] for cook in cooks]
        table[f"p{i}_held"] = [cook.get("held_object", {"name": ""})["name"] for cook in cooks]
    table["objects"] = [objects_of(state) for state in world]
    table |= {f"a{i}": [action_of(joint[i]) for joint in both] for i in (0, 1)}
    table["reward"] = games["reward"].to_numpy()
    table["score"] = games["score"].to_numpy()
    table["time_s"] = games["time_elapsed"].round(3).to_numpy()
    steps = pd.DataFrame(table).sort_values(["run", "pair", "layout", "t"], ignore_index=True)
    step = steps.groupby(["run", "pair", "layout"])["t"]
    steps["done"] = (step.cumcount(ascending=False) == 0).astype("int64")
    steps["step_gap"] = step.diff().fillna(1).astype("int64")
    return steps


def objects_of(state: dict[str, Any]) -> str:
    """Return what lies about as compact JSON, sorted by kind and cell."""
    lying = [
        [thing["name"], *thing["position"], *([thing["state"]] if "state" in thing else [])]
        for thing in state["objects"].values()
    ]
    return json.dumps(sorted(lying), separators=(",", ":"))


def action_of(raw: str | list[int]) -> int:
    """Return the code of a recorded action: a word in any case, or a direction."""
    return ACTIONS[raw.lower() if isinstance(raw, str) else tuple(raw)]


def layouts_of(games: pd.DataFrame) -> dict[str, list[str]]:
    """Return the grid of every layout, in the order in which they were first played."""
    first = games.sort_values(["run", "workerid_num", "layout_name"]).drop_duplicates("layout_name")
    grids = zip(first["layout_name"], first["layout"], strict=True)
    return {name: ast.literal_eval(grid) for name, grid in grids}


def prepare(raw: Path, out: Path) -> None:
    """Write the canonical tables of this data set into ``out``, made from the file at ``raw``."""
    games: pd.DataFrame = TableUnpickler(io.BytesIO(read_source(raw))).load()
    out.mkdir(parents=True, exist_ok=True)
    steps = steps_of(games)
    words = ["run", "layout", "p0_orient", "p0_held", "p1_orient", "p1_held", "objects"]
    steps = steps.astype(dict.fromkeys(words, "category"))
    steps.to_parquet(out / "steps_train.parquet", index=False, compression="zstd")
    text = json.dumps(layouts_of(games), indent=1)
    (out / "layouts.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_as_script(prepare, __doc__)
