"""List the cells that no other cell beats, each with its reason in words.

Here a cell stands for all of its seeds: one n_neighbors and min_dist, with the mean of each criterion over the seeds.
Seeds are not compared with one another, because to choose the best of several seeds is to choose noise.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.quality import tables

CELL = ["n_neighbors", "min_dist", "knn_k"]

# The columns that cells are compared by, and their names in a reason. More is better.
CRITERIA = {
    "recall_15": "neighbours kept",
    "triplet_accuracy": "triplets in order",
    "neighbor_overlap": "neighbours that stay under other seeds",
}
# Values are rounded to this many decimals before they are compared: another seed changes more than what is cut off.
DECIMALS = 2


def with_other_umap_seeds(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table of stability whose UMAP seeds differ; all rows where there is one UMAP seed."""
    others = pairs[pairs["across"] != "k-NN seed"]
    return others if len(others) else pairs


def criteria(metrics: pd.DataFrame, stability: pd.DataFrame | None) -> pd.DataFrame:
    """Return the criteria of each cell.

    Parameters
    ----------
    metrics : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    stability : pandas.DataFrame or None
        From `umap_sweep.quality.stability`, where there are several seeds.

    Returns
    -------
    pandas.DataFrame
        One row for each cell: the columns `CELL`, then those of `CRITERIA` that all cells have.
    """
    table = metrics.groupby(CELL, as_index=False)[["recall_15", "triplet_accuracy"]].mean()
    if stability is not None:
        overlap = with_other_umap_seeds(stability).groupby(CELL, as_index=False)["neighbor_overlap"].mean()
        table = table.merge(overlap, on=CELL, how="left")
    return table.dropna(axis="columns")


def beats(values: np.ndarray) -> np.ndarray:
    """Tell which cells beat which.

    A cell beats another where it is at least as good in everything, and better in something. The cells that no other
    beats are the Pareto front.

    Parameters
    ----------
    values : ndarray of float, shape (cells, criteria)
        More is better.

    Returns
    -------
    ndarray of bool, shape (cells, cells)
        Whether the cell of the row beats the cell of the column.
    """
    as_good = np.all(values[:, None] >= values[None], axis=2)
    better = np.any(values[:, None] > values[None], axis=2)
    result: np.ndarray = as_good & better
    return result


def reason(cell: pd.Series, best: pd.Series) -> str:
    """Say why a cell is on the list.

    Parameters
    ----------
    cell : pandas.Series
        The rounded criteria of a cell that no other beats.
    best : pandas.Series
        The best rounded value of each criterion among all cells.
    """
    top = [f"{CRITERIA[name]} {cell[name]:.0%}" for name in best.index if cell[name] == best[name]]
    rest = [
        f"{CRITERIA[name]} {cell[name]:.0%} (best {best[name]:.0%})" for name in best.index if cell[name] < best[name]
    ]
    if not rest:
        return f"best in everything: {', '.join(top)}"
    if top:
        return f"best in {', '.join(top)}; {', '.join(rest)}"
    return f"in between: {', '.join(rest)}; no cell is as good in all of these"


def shortlist(metrics: pd.DataFrame, stability: pd.DataFrame | None) -> pd.DataFrame:
    """Return the short list: the cells that no other beats.

    Parameters
    ----------
    metrics, stability
        As for `criteria`.

    Returns
    -------
    pandas.DataFrame
        The columns `CELL`, the criteria, `beats` (how many other cells the cell beats) and `reason`, by n_neighbors and
        min_dist. Empty where there is no criterion, because the data has too few rows for any metric.
    """
    table = criteria(metrics, stability)
    judged = [name for name in CRITERIA if name in table]
    if not judged:
        return table.head(0).assign(beats=pd.Series(dtype=np.int64), reason=pd.Series(dtype=str))
    values = table[judged].round(DECIMALS)
    wins = beats(values.to_numpy())
    table["beats"] = wins.sum(axis=1)
    table["reason"] = [reason(cell, values.max()) for _, cell in values.iterrows()]
    beaten: np.ndarray = np.logical_or.reduce(wins, axis=0)
    return table[~beaten].reset_index(drop=True)


def compute(metrics: str | Path, stability: str | Path | None, out: str | Path, csv: str | Path) -> None:
    """Store the short list.

    Parameters
    ----------
    metrics : path
        From `umap_sweep.quality.metrics`.
    stability : path or None
        From `umap_sweep.quality.stability`, where there are several seeds.
    out, csv : path
        Receive the list as Parquet and as CSV.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    table = shortlist(store.read(metrics).to_pandas(), None if stability is None else store.read(stability).to_pandas())
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    inputs = tables.by_path([path for path in (metrics, stability) if path])
    tables.write(out, arrow, "shortlist", inputs, csv_out=csv)
