"""DATASETS: every name of the catalogue, with what makes its log and its task."""

from collections.abc import Sequence
from functools import partial

from humansoft.catalogue import (
    borlange_routes,
    kw97_careers,
    overcooked_rows,
    rust_bus,
    tartarus_maze,
    tower_of_london,
    vgc_gridnav,
)
from humansoft.catalogue.dataset import Dataset


def _kitchen(layout: str, people: int, decisions: int, looks: str) -> Dataset:
    return Dataset(
        name=f"overcooked_{layout}",
        folder="overcooked_2019",
        part=f"the games in {layout}: {looks}",
        people=people,
        decisions=decisions,
        table=(overcooked_rows.STEPS,),
        others=(overcooked_rows.LAYOUTS,),
        read_log=partial(overcooked_rows.load_log, layout=layout),
        build_task=partial(overcooked_rows.load_task, layout=layout),
        path_brings_games=True,
    )


def _buses(name: str, which: str, decisions: int, buses: int, groups: Sequence[int]) -> Dataset:
    return Dataset(
        name=name,
        folder="rust_bus",
        part=f"Rust's estimation sample of {which}: {buses} buses",
        people=1,
        decisions=decisions,
        table=(rust_bus.MONTHS,),
        others=(),
        read_log=partial(rust_bus.load_log, groups=groups),
        build_task=partial(rust_bus.load_task, groups=groups),
    )


def _mazes(name: str, people: int, decisions: int, experiments: Sequence[int], part: str) -> Dataset:
    return Dataset(
        name=name,
        folder="vgc_gridnav",
        part=part,
        people=people,
        decisions=decisions,
        table=tuple(vgc_gridnav.STEPS.format(n) for n in experiments),
        others=tuple(vgc_gridnav.GRIDS.format(n) for n in experiments),
        read_log=partial(vgc_gridnav.load_log, experiments=experiments),
        build_task=partial(vgc_gridnav.load_task, experiments=experiments),
    )


_ALL = (
    _kitchen("cramped_room", 16, 19_128, "one small room with one pot"),
    _kitchen("coordination_ring", 16, 19_238, "a narrow ring around a counter, two pots"),
    _kitchen("random0", 12, 14_302, "forced coordination, each cook reaches what the other needs"),
    _kitchen("random3", 16, 19_254, "a long ring around a counter, two pots"),
    _kitchen("asymmetric_advantages", 18, 21_536, "two separate rooms, each nearer to other things"),
    _buses("rust_bus", "group 4", 4_292, 37, (4,)),
    _buses("rust_bus_group4", "group 4", 4_292, 37, (4,)),
    _buses("rust_bus_groups1to3", "groups 1 to 3", 3_864, 67, (1, 2, 3)),
    _buses("rust_bus_groups1to4", "groups 1 to 4", 8_156, 104, (1, 2, 3, 4)),
    _mazes("vgc_gridnav_exp1", 161, 46_437, (1,), "experiment 1: obstacles always visible"),
    _mazes("vgc_gridnav_exp2", 162, 31_567, (2,), "experiment 2, full rounds: obstacles vanish at the first move"),
    _mazes("vgc_gridnav", 323, 78_004, (1, 2), "both experiments, full rounds; group column: experiment"),
    Dataset(
        name="borlange_routes",
        folder="borlange_routes",
        part="all trips",
        people=None,
        decisions=37_167,
        table=(borlange_routes.TRIPS,),
        others=(borlange_routes.NETWORK,),
        read_log=borlange_routes.load_log,
        build_task=borlange_routes.load_task,
    ),
    Dataset(
        name="tower_of_london",
        folder="tower_of_london",
        part="the first session",
        people=522,
        decisions=27_331,
        table=(tower_of_london.SESSION,),
        others=(),
        read_log=tower_of_london.load_log,
        build_task=tower_of_london.load_task,
    ),
    Dataset(
        name="tartarus_maze",
        folder="tartarus_maze",
        part="moves up to the first arrival at the goal",
        people=18,
        decisions=75_554,
        table=(tartarus_maze.STEPS,),
        others=(tartarus_maze.MAZES,),
        read_log=tartarus_maze.load_log,
        build_task=tartarus_maze.load_task,
    ),
    Dataset(
        name="kw97_careers",
        folder="kw97_careers",
        part="the published sample: ages 16 to 26",
        people=1_373,
        decisions=12_359,
        table=(kw97_careers.CAREERS,),
        others=(),
        read_log=kw97_careers.load_log,
        build_task=kw97_careers.load_task,
    ),
)

DATASETS = {dataset.name: dataset for dataset in _ALL}
"""Every data set by name, in the order in which they are listed."""
