"""Spend seeds where they decide: look at the settings again and again, each time under more seeds, and drop the beaten.

At each look the settings that are left, the contenders, are compared as `umap_sweep.quality.comparisons` compares them.
What is beaten is not looked at again, so that further seeds go to those that might still be best. Before the last look
only those are dropped of which it is known, too, that they are not better in anything. Looking often does not make a
chance difference more likely to be taken for a real one, because each look spends a part of the level alone, and all
parts of however many looks together are not more than the whole: also where further looks are allowed later.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import is_number, key_columns, neighbors_of, optional_axes
from umap_sweep.errors import InputError
from umap_sweep.quality import measures, tables
from umap_sweep.quality.comparisons import (
    ALIKE,
    CRITERIA,
    HIGHER,
    LOWER,
    Measured,
    columns_of,
    compare_all,
    measured_metrics,
    others_of,
    read_contributions,
)
from umap_sweep.quality.seeds import setting_of
from umap_sweep.quality.shortlist import beats, criteria, places_of, shortlist, unbeaten, verdicts

CONTENDER, BEATEN = "contender", "beaten"


def share_of_look(number: int) -> float:
    """Return which share of the level a look spends: 1/2, 1/6, 1/12 and so on, 1 in all of them together.

    The share does not depend on how many looks there are, so that a budget that is raised after a look takes nothing
    back (a spending function, as of Lan and DeMets, 1983: Discrete sequential boundaries for clinical trials,
    Biometrika 70; by Bonferroni, which asks nothing of how looks depend on each other).

    Parameters
    ----------
    number : int
        Of the look, from 1.
    """
    return 1 / (number * (number + 1))


def pairs_of_seeds(
    neighbors: Sequence[str | Path], keys: Sequence[Mapping[str, Any]], contenders: Sequence[tuple[Any, ...]]
) -> pd.DataFrame:
    """Return how much the neighbourhoods of two seeds have in common, for every two seeds of each contender.

    Parameters
    ----------
    neighbors : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell.
    keys : sequence of mapping
        The key of each cell.
    contenders : sequence of tuple
        The setting of each contender (`umap_sweep.quality.seeds.setting_of`).

    Returns
    -------
    pandas.DataFrame
        Of the columns of `umap_sweep.quality.stability` those that the comparison needs.
    """
    rows = []
    for setting in contenders:
        own = [place for place, key in enumerate(keys) if tuple(key[name] for name in setting_of(key)) == setting]
        near = {place: neighbors_of(neighbors[place], dict(keys[place])) for place in own}
        for first, second in combinations(own, 2):
            if keys[first]["seed"] == keys[second]["seed"]:
                continue
            shared = measures.overlap(near[first], near[second])
            there = np.isfinite(shared)
            rows.append(
                dict(zip(setting_of(keys[first]), setting, strict=True))
                | {name: keys[first][name] for name in ("knn_seed", "seed")}
                | {f"other_{name}": keys[second][name] for name in ("knn_seed", "seed")}
                | {"across": "UMAP seed", "neighbor_overlap": shared[there].mean() if there.any() else np.nan}
            )
    return pd.DataFrame(rows)


def stands(comparisons: pd.DataFrame, worth: float) -> bool:
    """Return whether further seeds would change nothing that matters.

    Parameters
    ----------
    comparisons : pandas.DataFrame
        Of the contenders, from `umap_sweep.quality.comparisons.compare_all`.
    worth : float
        The least difference of a criterion that is worth telling apart.

    Returns
    -------
    bool
        Whether, by every criterion, every two contenders are told apart, or known to differ by less than `worth`.
    """
    open_ = comparisons[comparisons["metric"].isin(list(CRITERIA)) & ~comparisons["verdict"].isin([HIGHER, LOWER])]
    alike = (open_["verdict"] == ALIKE) & (open_["lower"] > -worth) & (open_["upper"] < worth)
    return bool(alike.all())


def settled(table: pd.DataFrame, comparisons: pd.DataFrame, worth: float) -> np.ndarray:
    """Return of which settings it is known that another is not better in anything.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.shortlist.criteria`.
    comparisons : pandas.DataFrame
        Of its settings, from `umap_sweep.quality.comparisons.compare_all`.
    worth : float
        The least difference of a criterion that is worth telling apart.

    Returns
    -------
    ndarray of bool, shape (settings, settings)
        Whether the setting of the row is by no criterion lower than that of the column by `worth` or more.
    """
    known = np.ones((len(table),) * 2, dtype=bool)
    rows = comparisons[comparisons["metric"].isin([name for name in CRITERIA if name in table])]
    first, second = places_of(table, rows)
    lower, upper = (rows[side].to_numpy(float) for side in ("lower", "upper"))
    # A bound that is not known is not within anything.
    np.logical_and.at(known, (first, second), lower > -worth)
    np.logical_and.at(known, (second, first), upper < worth)
    return known


def look(
    metrics: pd.DataFrame,
    contributions: Mapping[tuple[object, ...], Mapping[str, np.ndarray]],
    pairs: pd.DataFrame,
    look_number: int,
    worth: float,
    is_last: bool,
    pairs_at_first: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Look at the contenders once.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Of the cells of all contenders: the columns that `umap_sweep.quality.cell_metrics` stores.
    contributions : mapping
        Of the same cells, from `umap_sweep.quality.comparisons.read_contributions`.
    pairs : pandas.DataFrame
        From `pairs_of_seeds`.
    look_number : int
        Of this look, from 1.
    worth : float
        As for `stands`.
    is_last : bool
        Whether there are no more seeds. Otherwise a setting is dropped only where it is known, too, that it is not
        better in anything by `worth` or more.
    pairs_at_first : int, default 0
        How many pairs of settings there were at the first look.

    Returns
    -------
    settings : pandas.DataFrame
        The columns of `umap_sweep.quality.shortlist.criteria`, then `status` (`contender` or `beaten`), and
        `beaten_by_n_neighbors` and `beaten_by_min_dist`, and the same of the grid's further axes: of those left that
        beat the setting, the one that beats most.
    comparisons : pandas.DataFrame
        The columns of `umap_sweep.quality.comparisons`, by the criteria.
    done : bool
        Whether the list stands.
    """
    measured = measured_metrics(metrics, contributions, pairs)
    table = criteria(metrics, pairs if len(pairs) else None)
    if not set(CRITERIA) & set(table.columns):
        raise InputError("The data has too few rows for any criterion, so that there is nothing to choose by.")
    judged = {name: one for name, one in measured.items() if name in CRITERIA}
    return decide(table, judged, look_number, worth, is_last, pairs_at_first)


def decide(
    table: pd.DataFrame,
    measured: Mapping[str, Measured],
    look_number: int,
    worth: float,
    is_last: bool,
    pairs_at_first: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Decide which contenders one look leaves.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.shortlist.criteria`.
    measured : mapping
        The criteria of the same settings, from `umap_sweep.quality.comparisons.measured_metrics`.
    look_number, worth, is_last, pairs_at_first
        As for `look`.

    Returns
    -------
    settings, comparisons, done
        As `look` returns them.
    """
    compared = compare_all(measured, share_of_look(look_number), pairs_at_first)
    table = table.copy()
    told, _ = verdicts(table, compared)
    wins = beats(table, told, worth)
    if not is_last:
        wins &= settled(table, compared, worth)
    left = unbeaten(wins)
    strongest = np.argsort(-wins.sum(axis=1), kind="stable")
    by = [next((int(one) for one in strongest if left[one] and wins[one, place]), -1) for place in range(len(table))]
    table["status"] = np.where(left, CONTENDER, BEATEN)
    further = [(axis, "Float64" if is_number(axis) else "object") for axis in optional_axes(table)]
    for name, kind in (*further, ("n_neighbors", "Int64"), ("min_dist", "Float64")):
        values = [None if left[place] or one < 0 else table[name][one] for place, one in enumerate(by)]
        table[f"beaten_by_{name}"] = pd.Series(values, dtype=kind)
    setting = setting_of(table)
    kept, others = table[left][setting], others_of(setting)
    of_kept = compared.merge(kept, on=setting).merge(kept.set_axis(others, axis=1), on=others)
    return table, compared, stands(of_kept, worth)


def contenders_of(previous: str | Path) -> list[tuple[Any, ...]]:
    """Return the columns of `umap_sweep.quality.seeds.setting_of` of each setting that a look left over."""
    setting = setting_of(store.column_names(previous))
    table = store.read(previous, [*setting, "status"]).to_pandas()
    return list(table[table["status"] == CONTENDER][setting].itertuples(index=False, name=None))


def list_stands(settings: str | Path) -> bool:
    """Return whether the list stands after a look, so that there is no further one."""
    return bool(store.read_record(settings)["stands"])


def compute(
    metrics: Sequence[str | Path],
    contributions: Sequence[str | Path],
    neighbors: Sequence[str | Path],
    keys: Sequence[dict[str, Any]],
    previous: str | Path | None,
    settings: int,
    look_number: int,
    is_last: bool,
    worth: float,
    settings_out: str | Path,
    comparisons_out: str | Path,
) -> None:
    """Store what one look found.

    Parameters
    ----------
    metrics, contributions, neighbors : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each cell; the cells of a row of the grid share one file.
    keys : sequence of mapping
        The key of each cell.
    previous : path or None
        What the look before found; None for the first look, at which all settings are contenders.
    settings : int
        How many the grid has.
    look_number, is_last, worth
        As for `look`.
    settings_out, comparisons_out : path
        Receive the tables of `look`. The record of the first says whether the list stands (`stands`).

    Raises
    ------
    InputError
        Where a file is missing or damaged, or the data has too few rows for any criterion.
    """
    found = [tuple(key[name] for name in setting_of(key)) for key in keys]
    contenders = list(dict.fromkeys(found)) if previous is None else contenders_of(previous)
    table = pa.concat_tables(
        [store.read(path).replace_schema_metadata(None) for path in dict.fromkeys(metrics)]
    ).to_pandas()
    wanted = pd.DataFrame([key for key, setting in zip(keys, found, strict=True) if setting in contenders])
    columns = list(key_columns(keys[0]))
    table = table.merge(wanted[columns], on=columns)
    of_cells = read_contributions(list(dict.fromkeys(contributions)))
    of_cells = {key: one for key, one in of_cells.items() if key[: len(contenders[0])] in contenders}
    pairs = pairs_of_seeds(neighbors, keys, contenders)
    pairs_at_first = settings * (settings - 1) // 2
    looked_at, comparisons, done = look(table, of_cells, pairs, look_number, worth, is_last, pairs_at_first)
    paths = [*dict.fromkeys([*metrics, *contributions, *neighbors]), *([] if previous is None else [previous])]
    inputs, key = store.inputs_of(*paths), {"look": look_number, "is_last": is_last, "worth": worth}
    compared = pa.Table.from_pandas(comparisons, pa.schema(list(columns_of(comparisons).items())), preserve_index=False)
    for out, arrow in ((settings_out, _typed(looked_at)), (comparisons_out, compared)):
        tables.write(out, arrow.replace_schema_metadata(None), "look", inputs, key, also={"stands": done})


def _typed(table: pd.DataFrame) -> pa.Table:
    """Return a table of settings, in which what beats a setting has the types of a setting, also where nothing does."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    for place, name in enumerate(arrow.column_names):
        own = name.removeprefix("beaten_by_")
        if own != name:
            arrow = arrow.set_column(place, name, arrow[name].cast(arrow.schema.field(own).type))
    return arrow


def conclude(
    looks: Sequence[str | Path], comparisons: Sequence[str | Path], out: str | Path, csv_out: str | Path
) -> None:
    """Join what all looks found into the choice: the list that stands, and what became of every other setting.

    Parameters
    ----------
    looks, comparisons : sequence of path
        The tables of settings and of comparisons of each look, in order.
    out, csv_out : path
        Receive, as Parquet and as CSV, one row for each setting of the grid, those of the list first: the columns of
        `umap_sweep.quality.shortlist.shortlist` as they were at the last look at which the setting was a contender,
        then `status`, `look` (the look at which it was beaten, or the last one), and `beaten_by_…` as `look` gives
        them. `group` and `reason` are null where a setting is beaten. The record says whether the list
        stands (`stands`), and how many seeds each look had (`seeds`).

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    records = [store.read_record(path) for path in looks]
    tables_of_looks = [store.read(path).to_pandas().assign(look=number) for number, path in enumerate(looks, 1)]
    last = tables_of_looks[-1]
    beaten = [table[table["status"] == BEATEN] for table in tables_of_looks]
    compared = store.read(comparisons[-1]).to_pandas()
    setting = setting_of(last)
    became = ["status", "look", *(name for name in last if name.startswith("beaten_by_"))]
    known = last.drop(columns=became)
    left = (last["status"] == CONTENDER).to_numpy()
    listed = shortlist(known, compared, records[-1]["key"]["worth"], left)
    listed = listed.merge(last[[*setting, *became]], on=setting)
    table = pd.concat([listed, *beaten[::-1]], ignore_index=True)
    arrow = _typed(table).replace_schema_metadata(None)
    also = {
        "stands": records[-1]["stands"],
        "seeds": [int(table["seeds"].max()) for table in tables_of_looks],
        "contenders": [int((table["status"] == CONTENDER).sum()) for table in tables_of_looks],
    }
    inputs = store.inputs_of(*looks, *comparisons)
    tables.write(out, arrow, "choice", inputs, records[-1]["key"], csv_out=csv_out, also=also)
