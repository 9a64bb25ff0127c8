"""Hold a sweep against its null: the same grid on the same data with the values of each column permuted.

What a metric gives where there is nothing to find is what it owes to UMAP and to the numbers of rows and columns alone.
The columns are permuted several times, and how much these permutations differ is the error of what they give.
Points are held against the null one by one, as EMBEDR does (Johnson and others, 2022, Patterns 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS, OPTIONAL_COLUMNS, optional_axes
from umap_sweep.errors import InputError
from umap_sweep.quality import sampling, tables
from umap_sweep.quality.comparisons import read_contributions
from umap_sweep.quality.seeds import SETTING, by_seed, moderated, setting_of

# Without UMAP's own loss, which is of a graph: that of the null is another, so that the two do not compare.
METRICS = (
    *("recall_15", "recall_50", "recall_150", "trustworthiness", "continuity"),
    *("triplet_accuracy", "distance_correlation"),
)

# A point is trusted where its p-value is no larger than this.
LEVEL = 0.05

# The grid's further axes, n_neighbors, min_dist, knn_k.
Setting = tuple[object, ...]

COLUMNS = {
    **{name: KEY_COLUMNS[name] for name in SETTING},
    "metric": pa.string(),
    "seeds": pa.int64(),
    "permutations": pa.int64(),
    **dict.fromkeys(("value", "value_error", "null", "null_error", "excess", "error", "untrusted"), pa.float64()),
}


@dataclass(frozen=True)
class Permutation:
    """The files of the sweep of one permutation.

    Attributes
    ----------
    data : path
        The permuted data.
    metrics, points, contributions : sequence of path
        From `umap_sweep.quality.cell_metrics`.
    """

    data: str | Path
    metrics: Sequence[str | Path]
    points: Sequence[str | Path]
    contributions: Sequence[str | Path]

    @property
    def files(self) -> list[str | Path]:
        """All of them."""
        return [self.data, *self.metrics, *self.points, *self.contributions]


def by_permutation(
    data: Sequence[str | Path],
    metrics: Sequence[str | Path],
    points: Sequence[str | Path],
    contributions: Sequence[str | Path],
) -> list[Permutation]:
    """Return the files of each permutation, of which each has as many, one permutation after the other."""
    parts = []
    for number, one in enumerate(data):
        of_one = []
        for paths in (metrics, points, contributions):
            count = len(paths) // len(data)
            of_one.append(paths[number * count : (number + 1) * count])
        parts.append(Permutation(one, *of_one))
    return parts


def p_values(recall: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return the empirical p-value of the neighbourhood of each point.

    It is (1 + b) / (1 + m), where b of the m points of the null keep at least as many of their neighbours as the point
    does (Phipson and Smyth, 2010, Statistical Applications in Genetics and Molecular Biology 9).

    Parameters
    ----------
    recall : ndarray of float32, shape (n,)
        Of each point; NaN where it has none.
    null : ndarray of float32, shape (m,)
        Of each point of the null; those with NaN do not count.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where the point has no recall.
    """
    known = np.sort(null[np.isfinite(null)])
    at_least = len(known) - np.searchsorted(known, recall, side="left")
    return np.where(np.isfinite(recall), (1 + at_least) / (1 + len(known)), np.nan)


def untrusted(values: np.ndarray) -> float:
    """Return which share of the points with a p-value is not trusted; NaN where there are none."""
    known = values[np.isfinite(values)]
    return float((known > LEVEL).mean()) if len(known) else float("nan")


def with_errors_of_rows(
    metrics: pd.DataFrame, points: Sequence[str | Path], contributions: Sequence[str | Path]
) -> pd.DataFrame:
    """Return metrics with the error that they have as means over rows that could have been others.

    Whether there is anything to find is asked of what the data was drawn from, and so the rows are a sample of that,
    also where all are looked at. Permuted rows are one of many permutations in the same way.

    Parameters
    ----------
    metrics : pandas.DataFrame
        From `umap_sweep.quality.metrics` or `umap_sweep.quality.cell_metrics`.
    points, contributions : sequence of path
        From `umap_sweep.quality.cell_metrics`, of the same cells, each once.

    Returns
    -------
    pandas.DataFrame
        The same with other values in the columns `…_sample_error` of means over rows: the standard deviation over the
        rows that are looked at, divided by the root of their number.
    """
    errors: dict[str, dict[tuple[object, ...], float]] = {}
    for path in points:
        key, table = store.read_record(path)["key"], store.read(path)
        for setting, column in _cells_of(path).items():
            recall = store.numbers(table.column(column))
            errors.setdefault("recall_15", {})[*setting, key["seed"], key["knn_seed"]] = sampling.error(recall, 0.0)
    for path in contributions:
        for cell, of_cell in read_contributions([path]).items():
            for name in [name for name in of_cell if name in sampling.OF_ROWS]:
                errors.setdefault(name, {})[cell] = sampling.error(of_cell[name], 0.0)
    cells = list(metrics[[*setting_of(metrics), "seed", "knn_seed"]].itertuples(index=False, name=None))
    columns = {f"{name}_sample_error": [found.get(cell, np.nan) for cell in cells] for name, found in errors.items()}
    return metrics.assign(**columns)


def against_null(metrics: pd.DataFrame, nulls: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return each metric of each setting beside what it is on the null.

    Errors are standard errors, of what is known: of the sample, and of the seeds, where there are several. Permuted
    rows have nothing to do with those of the data, so that the squares of the errors of value and null add.

    The null is the mean over its permutations. What another would give has a variance, which is the larger one of two:
    that between the permutations, moderated over all settings (`umap_sweep.quality.seeds.moderated`), in which
    permutation, seed and sample all are, but from few of them; and that of the sample and of the one seed that each
    permutation has, whose noise is taken to be that of the sweep's seeds. One permutation alone says nothing of
    triplets and pairs, which are no means over independent rows.

    Parameters
    ----------
    metrics : pandas.DataFrame
        From `umap_sweep.quality.metrics`, by way of `with_errors_of_rows`.
    nulls : sequence of pandas.DataFrame
        From `umap_sweep.quality.cell_metrics`, of each permutation, likewise; of several cells of one setting the first
        counts.

    Returns
    -------
    pandas.DataFrame
        The grid's further axes, and the columns `COLUMNS` but for `untrusted`, one row for each setting and metric of
        `METRICS` that the sweep has.
        `value` is the mean over the seeds, `excess` is `value` less `null`. An error is missing where nothing is known
        of it: with one seed, of a metric that looks at all there is; with one permutation, of one that is no mean over
        rows.
    """
    setting = setting_of(metrics)
    of_nulls = [null.drop_duplicates(setting).set_index(setting) for null in nulls]
    found = []
    for name in METRICS:
        if metrics[name].isna().all():
            continue
        values = by_seed(metrics, name)
        seeds = values.notna().sum(axis=1)
        of_seeds = values.var(axis=1).to_numpy(float, copy=True)
        several = (seeds > 1).to_numpy()
        if several.any():
            freedom = seeds.to_numpy(float)[several] - 1
            of_seeds[several], _ = moderated(of_seeds[several], freedom, len(values) * float(freedom.max()))
        permuted = np.column_stack([null[name].reindex(values.index) for null in of_nulls])
        sample_of_null = np.mean(
            [null[f"{name}_sample_error"].reindex(values.index).to_numpy(float) ** 2 for null in of_nulls], axis=0
        )
        samples = metrics.groupby(setting)[f"{name}_sample_error"].mean().reindex(values.index)
        table = pd.DataFrame({"metric": name, "seeds": seeds, "permutations": len(nulls)}, index=values.index)
        table["value"] = values.mean(axis=1)
        table["value_error"] = _together(samples, of_seeds / seeds)
        table["null"] = permuted.mean(axis=1)
        known = _together(np.sqrt(sample_of_null), of_seeds)
        table["null_error"] = _of_permutations(permuted, known, name in sampling.OF_DRAWS) / np.sqrt(len(nulls))
        table["excess"] = table["value"] - table["null"]
        table["error"] = np.hypot(table["value_error"], table["null_error"])
        found.append(table.reset_index())
    columns = [*optional_axes(metrics), *(name for name in COLUMNS if name != "untrusted")]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def _of_permutations(values: np.ndarray, known: np.ndarray, is_of_draws: bool) -> np.ndarray:
    """Return the standard deviation of what a metric gives on a permutation, as `against_null` says.

    Parameters
    ----------
    values : ndarray of float64, shape (settings, permutations)
    known : ndarray of float64, shape (settings,)
        The error of the sample and of the seeds.
    is_of_draws : bool
        Whether the metric is no mean over rows.
    """
    if values.shape[1] == 1:
        return np.full(len(known), np.nan) if is_of_draws else known
    between = values.var(axis=1, ddof=1)
    there = np.isfinite(between)
    freedom = values.shape[1] - 1.0
    # Settings share the permutations, so that they lend each other little that is new.
    between[there], _ = moderated(between[there], np.full(there.sum(), freedom), 2 * freedom)
    found: np.ndarray = np.sqrt(np.fmax(between, np.square(known)))
    return found


def _together(sample: pd.Series | np.ndarray, of_seeds: pd.Series | np.ndarray) -> np.ndarray:
    """Return the error of the sample and of the seeds together, of as much as is known; NaN where nothing is.

    Parameters
    ----------
    sample : pandas.Series or ndarray
        Standard errors, missing where the metric is.
    of_seeds : pandas.Series or ndarray
        Variances, missing where there is one seed.
    """
    errors, variances = np.nan_to_num(np.asarray(sample, float)), np.asarray(of_seeds, float)
    is_known = (errors > 0) | np.isfinite(variances)
    return np.where(is_known, np.sqrt(errors**2 + np.nan_to_num(variances)), np.nan)


def compute(
    metrics: str | Path,
    points: Sequence[str | Path],
    contributions: Sequence[str | Path],
    nulls: Sequence[Permutation],
    trust_out: Sequence[str | Path],
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Store what a sweep is beside its null.

    Parameters
    ----------
    metrics : path
        From `umap_sweep.quality.metrics`.
    points, contributions : sequence of path
        From `umap_sweep.quality.cell_metrics`, one for each row of the grid.
    nulls : sequence of Permutation
        At least one.
    trust_out : sequence of path
        Receive the p-values of `p_values` among the points of all permutations, float32, one file for each of
        `points`, with its rows and columns: a row for each row of the data, and a column for each cell, named by
        `umap_sweep.cells.keys.column_of`.
    out, csv_out : path
        Receive the table of `against_null` as Parquet and as CSV. `untrusted` is the share of the setting's points that
        are not to be trusted, the mean over its seeds.

    Raises
    ------
    InputError
        Where a file is missing or damaged, the null is of other data, or it lacks a setting.
    """
    # Of each setting, where each permutation has the recall of its points.
    of_null: dict[Setting, list[tuple[str | Path, str]]] = {}
    for null in nulls:
        tables.check_same_data(metrics, null.data)
        first: dict[Setting, tuple[str | Path, str]] = {}
        for path in null.points:
            for setting, column in _cells_of(path).items():
                first.setdefault(setting, (path, column))
        for setting, place in first.items():
            of_null.setdefault(setting, []).append(place)
    shares: dict[Setting, list[float]] = {}
    for path, trust in zip(points, trust_out, strict=True):
        table, found = store.read(path), {}
        for setting, column in _cells_of(path).items():
            if setting not in of_null:
                raise InputError(
                    f"The null has no cell of n_neighbors {setting[-3]} and {column}. Run the sweep again."
                )
            permuted = [store.numbers(_column(*place)) for place in of_null[setting]]
            values = p_values(store.numbers(table.column(column)), np.concatenate(permuted))
            shares.setdefault(setting, []).append(untrusted(values))
            found[column] = values.astype(np.float32)
        key = store.read_record(path)["key"]
        tables.write(trust, pa.table(found), "null", _inputs([path], [null.points for null in nulls]), key)
    against = against_null(
        with_errors_of_rows(store.read(metrics).to_pandas(), points, contributions),
        [
            with_errors_of_rows(
                pd.concat([store.read(path).to_pandas() for path in null.metrics], ignore_index=True),
                null.points,
                null.contributions,
            )
            for null in nulls
        ],
    )
    settings = against[setting_of(against)].itertuples(index=False, name=None)
    against["untrusted"] = [float(np.mean(shares[setting])) for setting in settings]
    columns = {axis: OPTIONAL_COLUMNS[axis] for axis in optional_axes(against)} | COLUMNS
    arrow = pa.Table.from_pandas(against, pa.schema(list(columns.items())), preserve_index=False)
    inputs = _inputs([metrics, *points, *contributions], [null.files for null in nulls])
    tables.write(out, arrow.replace_schema_metadata(None), "null", inputs, csv_out=csv_out)


def _cells_of(points: str | Path) -> dict[Setting, str]:
    """Return the column of each cell in the recall of the points of a row of the grid, by its setting."""
    key = store.read_record(points)["key"]
    columns = store.column_names(points)
    further = [key[axis] for axis in optional_axes(key)]
    return {(*further, key["n_neighbors"], float(one.partition("=")[2]), key["knn_k"]): one for one in columns}


def _column(path: str | Path, name: str) -> pa.ChunkedArray:
    return store.read(path, [name]).column(0)


def _inputs(of_sweep: Sequence[str | Path], of_nulls: Sequence[Sequence[str | Path]]) -> dict[str, str]:
    """Return what a record has of these files."""
    inputs = store.inputs_of(*of_sweep)
    for paths in of_nulls:
        inputs |= tables.inputs_of_derived(*paths)
    return inputs
