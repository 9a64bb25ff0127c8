"""List the cells that no other cell beats, each with its reason in words."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store

CELL = ["n_neighbors", "min_dist", "knn_k"]

# What is compared, and how a reason calls it. More is better.
CRITERIA = {
    "recall_15": "neighbours kept",
    "triplet_accuracy": "triplets in order",
    "neighbor_overlap": "neighbours that stay under other seeds",
}
# To which values are compared: smaller differences are within what another seed changes.
DECIMALS = 2


def with_other_umap_seeds(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of runs whose UMAP seeds differ; all where there is one, so that only the k-NN's differ."""
    others = pairs[pairs["across"] != "k-NN seed"]
    return others if len(others) else pairs


def criteria(metrics: pd.DataFrame, stability: pd.DataFrame | None) -> pd.DataFrame:
    """Return what the cells are compared by: one row for each n_neighbors and min_dist, the mean over their seeds.

    Seeds are not compared with one another: to choose the best of several is to choose noise.

    Parameters
    ----------
    metrics : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    stability : pandas.DataFrame or None
        From `umap_sweep.quality.stability`, where there are several seeds.

    Returns
    -------
    pandas.DataFrame
        Columns `CELL`, then those of `CRITERIA` that all of the cells have.
    """
    table = metrics.groupby(CELL, as_index=False)[["recall_15", "triplet_accuracy"]].mean()
    if stability is not None:
        overlap = with_other_umap_seeds(stability).groupby(CELL, as_index=False)["neighbor_overlap"].mean()
        table = table.merge(overlap, on=CELL, how="left")
    return table.dropna(axis="columns")


def beats(values: np.ndarray) -> np.ndarray:
    """Tell which cells beat which: are as good in everything, and better in something.

    Those that none beats are the Pareto front.

    Parameters
    ----------
    values : ndarray of float, shape (cells, criteria)
        More is better.

    Returns
    -------
    ndarray of bool, shape (cells, cells)
        Whether the cell of the row beats that of the column.
    """
    as_good = (values[:, None] >= values[None]).all(axis=2)
    better = (values[:, None] > values[None]).any(axis=2)
    return as_good & better


def reason(cell: pd.Series, best: pd.Series) -> str:
    """Say why a cell is on the list.

    Parameters
    ----------
    cell : pandas.Series
        The criteria of a cell that no other beats, rounded.
    best : pandas.Series
        The best value of each criterion.
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
    """Return the cells that no other beats.

    Parameters are those of `criteria`.

    Returns
    -------
    pandas.DataFrame
        Columns `CELL`, the criteria, `beats` (how many other cells it is better than in all that differs) and `reason`,
        by n_neighbors and min_dist. Empty where there is nothing to compare by: too few rows for any metric.
    """
    table = criteria(metrics, stability)
    judged = [name for name in CRITERIA if name in table]
    if not judged:
        return table.head(0).assign(beats=pd.Series(dtype=np.int64), reason=pd.Series(dtype=str))
    values = table[judged].round(DECIMALS)
    wins = beats(values.to_numpy())
    table["beats"] = wins.sum(axis=1)
    table["reason"] = [reason(cell, values.max()) for _, cell in values.iterrows()]
    return table[~wins.any(axis=0)].reset_index(drop=True)


def compute(metrics: str | Path, stability: str | Path | None, out: str | Path, csv: str | Path) -> None:
    """Make the list from stored tables, as Parquet and, for people, as CSV."""
    table = shortlist(store.read(metrics).to_pandas(), None if stability is None else store.read(stability).to_pandas())
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    inputs = {str(path): store.read_record(path)["fingerprint"] for path in (metrics, stability) if path}
    store.write(out, arrow, store.make_record("shortlist", {}, store.fingerprint(arrow), inputs))
    store.write_csv(csv, arrow)
