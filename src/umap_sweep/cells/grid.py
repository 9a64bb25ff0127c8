"""The cells of a sweep, from its configuration: the product of the grid's lists, or the rows of its table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from umap_sweep import packing
from umap_sweep.cells import curve
from umap_sweep.cells.keys import OPTIONAL_COLUMNS, optional_axes, umap_axes
from umap_sweep.errors import InputError
from umap_sweep.settings import preparations
from umap_sweep.settings.configuration import as_list
from umap_sweep.settings.schema import allowed, is_allowed, nearest, schema

# The columns of the cells, in the order in which they become folders.
CELL_COLUMNS = ["metric", "knn_k", "knn_seed", "knn_jobs", "n_neighbors", "min_dist", "seed"]

# Before which of them each axis stands that a grid need not have. A graph depends on the weight of its target, the
# layout alone on that of densities.
STANDS_BEFORE = {"preparation": "metric", "target_weight": "min_dist", "dens_lambda": "min_dist"}


def cell_columns(settings: Mapping[str, Any]) -> list[str]:
    """Return the columns of the cells of a sweep: `CELL_COLUMNS`, and the axes that its grid has beside them."""
    columns = list(CELL_COLUMNS)
    for axis in optional_axes(settings["grid"]):
        columns.insert(columns.index(STANDS_BEFORE[axis]), axis)
    return columns


def cells(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the cells of the sweep.

    Parameters
    ----------
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.

    Returns
    -------
    pandas.DataFrame
        One row for each cell; the columns are those of `cell_columns`. `metric` and `preparation` are text,
        `target_weight`, `dens_lambda` and `min_dist` are float64, all others are int64.

    Raises
    ------
    InputError
        Where the grid's table is unusable, or a cell contradicts the rest of the configuration.
    """
    knn, grid = settings["knn"], settings["grid"]
    if "table" in grid:
        lists = {axis: as_list(grid[axis]) for axis in optional_axes(grid)}
        lists |= {"seed": as_list(grid.get("seed", [])), "knn_seed": knn["seed"]}
        found = _read_table(Path(grid["table"]), lists)
        where = f"grid.table {grid['table']}"
    else:
        missing = [axis for axis in ("n_neighbors", "min_dist", "seed") if axis not in grid]
        if missing:
            raise InputError(f"grid.{missing[0]} is missing; give the grid's three lists, or grid.table.")
        names = [*optional_axes(grid), "knn_seed", "n_neighbors", "min_dist", "seed"]
        values = (as_list(knn["seed"] if name == "knn_seed" else grid[name]) for name in names)
        found = pd.DataFrame(list(itertools.product(*values)), columns=names)
        where = "grid"
    for n_neighbors, min_dist in zip(found["n_neighbors"].tolist(), found["min_dist"].tolist(), strict=True):
        if n_neighbors > knn["n_neighbors"] and knn["method"] != "plain":
            raise InputError(
                f"{where} has n_neighbors {n_neighbors}, more than knn.n_neighbors {knn['n_neighbors']}; "
                f"raise knn.n_neighbors or drop the value."
            )
        if min_dist > settings["umap"]["spread"]:
            raise InputError(
                f"{where} has min_dist {min_dist}, more than umap.spread {settings['umap']['spread']}; "
                f"raise umap.spread or drop the value."
            )
    if settings["umap"]["spread"] != 1.0:  # with the default every min_dist has a curve
        for min_dist in sorted(set(found["min_dist"].tolist())):
            curve.parameters(settings["umap"]["spread"], min_dist)
    table = found.astype(dict.fromkeys([*umap_axes(settings), "min_dist"], "float64"))
    table["knn_k"] = knn["n_neighbors"]
    if knn["method"] == "plain":
        if knn["n_jobs"] != 1:
            raise InputError(
                f"knn.n_jobs is {knn['n_jobs']}; with knn.method plain it must be 1, because a seeded UMAP uses one."
            )
        # A plain UMAP computes its k-NN at its own n_neighbors, from its own seed.
        table["knn_k"], table["knn_seed"] = table["n_neighbors"], table["seed"]
    table["metric"], table["knn_jobs"] = knn["metric"], knn["n_jobs"]
    if knn["method"] == "imported":
        if len(set(table["knn_seed"])) > 1:
            raise InputError("There are several k-NN seeds, but an imported k-NN is one; give one in knn.seed.")
        # Neither a seed nor a number of threads of this sweep had a part in it.
        table["knn_seed"] = table["knn_jobs"] = 0
    return table[cell_columns(settings)].drop_duplicates(ignore_index=True)


def timed_cells(settings: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Return the cells on which umap-learn is timed: those with a min_dist of `timing.columns`.

    Parameters
    ----------
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.
    table : pandas.DataFrame
        From `cells`.

    Returns
    -------
    pandas.DataFrame
        Some of the table's rows, or all.

    Raises
    ------
    InputError
        Where the grid has no such min_dist, or an n_neighbors would have no cell.
    """
    columns, known = settings["timing"]["columns"], sorted(set(table["min_dist"]))
    if columns == "all":
        return table
    if isinstance(columns, int):
        # Evenly spread over the grid's min_dist; if only one is asked for, the smallest.
        count = min(columns, len(known))
        columns = [known[round(place * (len(known) - 1) / max(count - 1, 1))] for place in range(count)]
    for column in columns:
        if column not in known:
            raise InputError(
                f"timing.columns has min_dist {column}, which is not in the grid; "
                f"known are {', '.join(map(str, known))}."
            )
    sample = table[table["min_dist"].isin(columns)]
    for n_neighbors in table["n_neighbors"]:
        if n_neighbors not in set(sample["n_neighbors"]):
            raise InputError(
                f"timing.columns leaves n_neighbors {n_neighbors} without a cell; add one of its min_dist."
            )
    return sample


def _read_table(path: Path, lists: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return the cells of a table; what `lists` has of a column that it leaves out, each cell is repeated with."""
    if path.suffix not in (".csv", ".tsv"):
        raise InputError(f"grid.table is '{path}'; allowed is a .csv or .tsv file.")
    try:
        packing.check(path)
        table = pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")
    except FileNotFoundError:
        raise InputError(
            f"grid.table '{path}' does not exist; give its path from the folder the sweep runs in."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"grid.table '{path}' cannot be read: {error}. Write one row a cell under a header.") from None
    known = ("n_neighbors", "min_dist", "seed", "knn_seed", *optional_axes(lists))
    # The short list of another sweep, such as that of a sample, says more of its cells than which they are.
    if {"beats", "reason"} <= set(table.columns):
        table = table[[column for column in known if column in table.columns]]
    for column in table.columns:
        if column in OPTIONAL_COLUMNS and column not in known:
            raise InputError(
                f"grid.table '{path}' has a column '{column}', and grid.{column} is missing; list there what the "
                f"column has."
            )
        if column not in known:
            raise InputError(
                f"grid.table '{path}' has a column '{column}'; allowed are {', '.join(known)}{nearest(column, known)}."
            )
    for column in known[:2]:
        if column not in table.columns:
            raise InputError(f"grid.table '{path}' lacks the column '{column}'; add it.")
    if table.empty:
        raise InputError(f"grid.table '{path}' has no rows; write one row a cell.")
    # For a column that the table leaves out, each cell is repeated with each of the configured values.
    for column, values in lists.items():
        if column in optional_axes(table.columns):
            for value in table[column].tolist():
                if value not in values:
                    raise InputError(
                        f"grid.table '{path}' has {column} {value!r}; grid.{column} has {', '.join(map(str, values))}."
                    )
        if column not in table.columns:
            if not values:
                raise InputError(
                    f"grid.table '{path}' has no column 'seed', and grid.seed is missing; give one of them."
                )
            table = table.merge(pd.DataFrame({column: list(values)}), how="cross")
    for column, kind in _kinds().items():
        for value in table[column].tolist():
            if not is_allowed(value, kind):
                raise InputError(f"grid.table '{path}' has {column} {value!r}; allowed is {allowed(kind)}.")
    duplicates = table[table.duplicated()]
    if len(duplicates):
        cell = ", ".join(f"{name} {value}" for name, value in duplicates.iloc[0].items())
        raise InputError(f"grid.table '{path}' has the cell {cell} twice; keep one row of it.")
    whole = dict.fromkeys(["n_neighbors", "seed", "knn_seed"], "int64")
    return table.astype(whole)


def _kinds() -> dict[str, dict[str, Any]]:
    """Return the part of the schema that says what a value of each column may be."""
    definitions = schema()["$defs"]
    return {
        "knn_seed": definitions["seed"],
        "n_neighbors": definitions["n_neighbors_axis"]["items"],
        "min_dist": definitions["min_dist_axis"]["items"],
        "seed": definitions["seed"],
    }


def check_path(values: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` unless a configuration might have what a path names, in a grid or outside of it.

    Parameters
    ----------
    values : mapping of str to str
        What the path says of `dataset` and `CELL_COLUMNS`, as far as it does; all else is not looked at.
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.
    """
    if "dataset" in values and values["dataset"] not in settings["datasets"]:
        known = list(settings["datasets"])
        raise InputError(
            f"The path of a result has the data set {values['dataset']}; known are "
            f"{', '.join(known)}{nearest(values['dataset'], known)}."
        )
    numbers = {}
    for axis in optional_axes(values):
        _check_axis_in_path(axis, values[axis], settings)
    for column, kind in _path_kinds(settings).items():
        if column in values:
            numbers[column] = _value_in_path(column, values[column], kind)
    if numbers.get("n_neighbors", 0) > numbers.get("knn_k", math.inf):
        raise InputError(
            f"The path of a result has n_neighbors {values['n_neighbors']}, more than its k-NN's {values['knn_k']}; "
            f"ask for fewer, or raise knn.n_neighbors."
        )
    if numbers.get("min_dist", 0) > settings["umap"]["spread"]:
        raise InputError(
            f"The path of a result has min_dist {values['min_dist']}, more than umap.spread "
            f"{settings['umap']['spread']}; raise umap.spread or ask for another cell."
        )


def _check_axis_in_path(axis: str, value: str, settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where the grid has no such value on an axis that it need not have."""
    known = list(map(str, as_list(settings["grid"].get(axis, []))))
    if axis == "preparation" and known:
        known = [*known, preparations.COMMON]
    if value not in known:
        has = f"known are {', '.join(known)}{nearest(value, known)}" if known else f"there is no grid.{axis}"
        raise InputError(f"The path of a result has {axis} {value}; {has}.")


def _path_kinds(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    knn = schema()["properties"]["knn"]["properties"]
    kinds = {"metric": schema()["$defs"]["metric"], "knn_k": knn["n_neighbors"], "knn_jobs": knn["n_jobs"], **_kinds()}
    if settings["knn"]["method"] == "imported":
        kinds |= {"knn_seed": {"type": "integer", "const": 0}, "knn_jobs": {"type": "integer", "const": 0}}
    return kinds


def _value_in_path(column: str, text: str, kind: Mapping[str, Any]) -> Any:
    value: Any = text
    try:
        value = text if column == "metric" else float(text) if column == "min_dist" else int(text)
    except ValueError:
        value = math.nan
    if not is_allowed(value, kind):
        raise InputError(f"The path of a result has {column} {text}; allowed is {allowed(kind)}.")
    if str(value) != text:
        raise InputError(f"The path of a result has {column}={text}; write {column}={value}, as the sweep does.")
    return value
