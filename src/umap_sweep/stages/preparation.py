"""Prepare the features of a data set step by step: normalise, take logarithms, select columns, scale, project.

A matrix of which most values are 0, such as counts of molecules in cells, is held sparse until a step needs all of its
values. Everything is computed in float64, and rounded to float32 once, in the end.

What the steps take from the data, such as means and components, is stored beside the result, so that other rows can be
prepared as these were; see `apply`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse

from umap_sweep import store
from umap_sweep.errors import InputError

# Up to this share of values other than 0, in the first rows that are read, a matrix is held sparse.
SPARSE_UP_TO = 0.25
# For how many rows values are stored at a time.
BLOCK_ROWS = 8192
# For how many further rows all values are in memory at a time. No row depends on another, so it changes no bit.
APPLIED_TOGETHER = 256
# Bins of columns by their mean, within which dispersions are compared.
BINS = 20

Matrix = np.ndarray | scipy.sparse.csr_array

# Why a step takes no negative values.
DIVIDES = "it divides by sums. Give data without negative values, or leave the step out"
OF_COUNTS = "it takes logarithms of counts. Give counts, or leave the step out"


@dataclass(frozen=True)
class Fitted:
    """What one step took from the data, to do the same to other rows.

    Attributes
    ----------
    columns : list of str
        Of the data before the step; for what is one number for all of them, one name that is empty.
    parameters : dict of str to ndarray of float64
        Each has one number for each of these columns. `normalize_total`: `total`. `variable`: `kept`, 1 or 0. `scale`:
        `centre` and `spread`. `pca`: `mean`, the `remainder` that is left of it where it is taken away, which rounding
        leaves, and the coefficients of `pc_1`, `pc_2` and so on. `log1p` has none, and no columns.
    """

    columns: list[str] = field(default_factory=list)
    parameters: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """The steps of a preparation, and what they took from the data that it was made for.

    Attributes
    ----------
    steps : list of mapping
        As for `prepare`.
    found : list of Fitted
        One for each step.
    columns : list of str
        The names of the columns that the first step takes.
    sparse : bool
        Whether the data was held sparse, where sums of rows are added up in another order.
    """

    steps: Sequence[Mapping[str, Any]]
    found: Sequence[Fitted]
    columns: list[str]
    sparse: bool


@dataclass(frozen=True)
class Prepared:
    """Features, as far as they are prepared.

    Attributes
    ----------
    values : ndarray or scipy.sparse.csr_array of float64, shape (n, d)
    names : list of str
        d names of columns; of principal components `pc_1`, `pc_2` and so on.
    facts : dict
        What the steps found: `normalize_total` the total that rows were brought to and the number of rows without any;
        `variable` how many columns of how many were selected; `pca` the variance that each component explains and its
        share of all, and the solver.
    found : list of Fitted
        What each step so far took from the data.
    """

    values: Matrix
    names: list[str]
    facts: dict[str, Any] = field(default_factory=dict)
    found: list[Fitted] = field(default_factory=list)

    def dense(self) -> np.ndarray:
        """Return the values as an array that may be changed, where they are sparse as a new one."""
        return _dense(self.values)


def prepare(prepared: Prepared, steps: Sequence[Mapping[str, Any]], blas_threads: int = 1) -> Prepared:
    """Return features after some steps.

    Parameters
    ----------
    prepared : Prepared
        Its values may be changed.
    steps : sequence of mapping
        From `umap_sweep.settings.preparations.steps`: the name of each as `step`, and its parameters.
    blas_threads : int, default 1
        Threads of the linear algebra, on which the last bits depend.

    Raises
    ------
    InputError
        Where a step means nothing on these values.
    """
    for step in steps:
        given = {name: value for name, value in step.items() if name != "step"}
        match step["step"]:
            case "normalize_total":
                prepared = normalize_total(prepared, **given)
            case "log1p":
                prepared = log1p(prepared)
            case "variable":
                prepared = variable(prepared, **given)
            case "scale":
                prepared = scale(prepared, **given)
            case "pca":
                prepared = pca(prepared, **given, blas_threads=blas_threads)
    return prepared


def normalize_total(prepared: Prepared, total: float | None = None) -> Prepared:
    """Divide each row by its sum, so that all rows have the same sum; those of zeros alone stay as they are.

    The same as `scanpy.pp.normalize_total`.

    Parameters
    ----------
    prepared : Prepared
        Its values are at least 0.
    total : float, optional
        The sum; without it, the median of the sums above 0.

    Raises
    ------
    InputError
        Where a value is negative, or all are 0.
    """
    values = prepared.values
    _refuse_below(values, 0, "normalize_total", DIVIDES)
    sums = np.asarray(values.sum(axis=1), dtype=np.float64).ravel()
    empty = sums == 0
    if empty.all():
        raise InputError(
            "The preparation's normalize_total has nothing to divide: all values of the data are 0. Give data that has "
            "others."
        )
    target = float(np.median(sums[~empty])) if total is None else float(total)
    if empty.any():
        logging.getLogger("umap_sweep").warning(
            "%d rows have no value other than 0; normalize_total leaves them as they are.", empty.sum()
        )
    _bring_to(values, sums, target)
    facts = {"total": target, "empty_rows": int(empty.sum())}
    return _found(prepared, "normalize_total", facts, Fitted([""], {"total": np.array([target])}))


def _bring_to(values: Matrix, sums: np.ndarray, total: float) -> None:
    """Divide rows by their sums and multiply them by a number, in place; where the sum is 0 nothing changes."""
    factors = total / np.where(sums == 0, total, sums)
    if isinstance(values, np.ndarray):
        values *= factors[:, None]
    else:
        values.data *= np.repeat(factors, np.diff(values.indptr))


def log1p(prepared: Prepared) -> Prepared:
    """Replace each value x by the natural logarithm of 1 + x.

    Raises
    ------
    InputError
        Where a value is negative: such values are no counts, and may be logarithms already.
    """
    _refuse_below(prepared.values, 0, "log1p", OF_COUNTS)
    _take_logarithms(prepared.values)
    return replace(prepared, found=[*prepared.found, Fitted()])


def _take_logarithms(values: Matrix) -> None:
    stored = values if isinstance(values, np.ndarray) else values.data
    np.log1p(stored, out=stored)


def variable(prepared: Prepared, columns: int, by: str = "dispersion") -> Prepared:
    """Keep the columns that vary most, in their order; of equals the first.

    Parameters
    ----------
    prepared : Prepared
        For `dispersion`, logarithms as `log1p` makes them.
    columns : int
        How many; all where there are fewer.
    by : {"dispersion", "variance"}
        The variance of the values as they are, or `normalized_dispersions`, which compares columns of like means.

    Raises
    ------
    InputError
        For `dispersion`, where values are no logarithms of counts.
    """
    if by == "dispersion":
        scores = normalized_dispersions(prepared.values)
    else:
        _, scores = _moments(prepared.values)
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    kept = np.sort(order[:columns])
    if columns > len(order):
        logging.getLogger("umap_sweep").warning(
            "variable asks for %d columns of %d, and keeps all of them.", columns, len(order)
        )
    selected = replace(prepared, values=prepared.values[:, kept], names=[prepared.names[place] for place in kept])
    fitted = Fitted(prepared.names, {"kept": np.isin(np.arange(len(order)), kept).astype(np.float64)})
    return _found(selected, "variable", {"columns": len(kept), "of": len(order)}, fitted)


def normalized_dispersions(logarithms: Matrix) -> np.ndarray:
    """Return how much more each column varies than others of its mean do.

    The dispersion of a column is the variance of its counts over their mean. Its logarithm is compared with those of
    the columns in the same one of 20 bins of equal width, by the logarithm of 1 + mean: less their mean, over their
    standard deviation (Satija and others, 2015, Nature Biotechnology 33). The same as
    `scanpy.pp.highly_variable_genes(flavor="seurat")`.

    Parameters
    ----------
    logarithms : ndarray or csr_array of float64, shape (n, d)
        log(1 + count), where counts may have been normalised.

    Returns
    -------
    ndarray of float64, shape (d,)
        NaN for a column that does not vary. Alone in its bin, a column has the value 1.

    Raises
    ------
    InputError
        Where values are negative, or too large to be logarithms.
    """
    import pandas as pd

    what = "it selects by dispersion, which needs logarithms of counts; give log1p before it, or `by: variance`"
    _refuse_below(logarithms, 0, "variable", what)
    with np.errstate(over="ignore", invalid="ignore"):
        counts = np.expm1(logarithms) if isinstance(logarithms, np.ndarray) else logarithms.expm1()
        mean, variance = _moments(counts)
    if not np.isfinite(variance).all():
        raise InputError(f"The preparation's variable finds values up to {logarithms.max():.6g}, and {what}.")
    mean = np.where(mean == 0, 1e-12, mean)
    dispersion = variance / mean
    dispersion[dispersion == 0] = np.nan
    table = pd.DataFrame({"mean": np.log1p(mean), "dispersion": np.log(dispersion)})
    bins = pd.cut(table["mean"], BINS)
    of_bins = table.groupby(bins, observed=True)["dispersion"]
    centre, spread = of_bins.transform("mean"), of_bins.transform("std")
    alone = spread.isna()
    spread, centre = spread.where(~alone, centre), centre.where(~alone, 0.0)
    scores: np.ndarray = ((table["dispersion"] - centre) / spread).to_numpy(float)
    return scores


def scale(prepared: Prepared, by: str = "standard", clip: float | None = None) -> Prepared:
    """Bring all columns to one centre and one spread; a sparse matrix becomes dense.

    Parameters
    ----------
    prepared : Prepared
    by : {"standard", "robust"}
        `standard`: less the mean, over the standard deviation (of n, not n - 1), by scikit-learn's `StandardScaler`.
        `robust`: less the median, over the distance of the quartiles, by its `RobustScaler`. A column whose spread is 0
        is centred alone.
    clip : float, optional
        Values beyond it, on either side, are set to it.
    """
    from sklearn.preprocessing import RobustScaler, StandardScaler

    values = prepared.dense()
    scaler = (StandardScaler if by == "standard" else RobustScaler)(copy=False).fit(values)
    centre, spread = scaler.mean_ if by == "standard" else scaler.center_, scaler.scale_
    _bring_to_scale(values, centre, spread, clip)
    fitted = Fitted(prepared.names, {"centre": centre, "spread": spread})
    return replace(prepared, values=values, found=[*prepared.found, fitted])


def _bring_to_scale(values: np.ndarray, centre: np.ndarray, spread: np.ndarray, clip: float | None) -> None:
    values -= centre
    values /= spread
    if clip is not None:
        np.clip(values, -clip, clip, out=values)


def pca(prepared: Prepared, components: int, blas_threads: int = 1) -> Prepared:
    """Replace the columns by their first principal components, by scikit-learn's `PCA`.

    With as many rows as columns, or more, the components are the eigenvectors of the covariance matrix
    (`svd_solver="covariance_eigh"`), for which a sparse matrix may stay so; otherwise they are from the decomposition
    of the whole matrix (`svd_solver="full"`). Neither draws random numbers. The coefficient of each component that is
    largest in absolute value is positive, by scikit-learn's `svd_flip`.

    Parameters
    ----------
    prepared : Prepared
    components : int
        How many.
    blas_threads : int, default 1

    Raises
    ------
    InputError
        Where rows or columns are fewer than components, or no column varies.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    rows, columns = prepared.values.shape
    if components > min(rows, columns):
        raise InputError(
            f"The preparation's pca cannot make {components} components of {rows} rows and {columns} columns; ask for "
            f"at most {min(rows, columns)}."
        )
    solver = "covariance_eigh" if rows >= columns else "full"
    values = prepared.values if solver == "covariance_eigh" else prepared.dense()
    mean = np.zeros(columns)
    if isinstance(values, np.ndarray):
        # So that the solver does not take the difference of two large numbers where means are far from 0.
        mean = values.mean(axis=0)
        values -= mean
    with threadpool_limits(blas_threads, user_api="blas"):
        model = PCA(n_components=components, svd_solver=solver)
        with np.errstate(invalid="ignore"):  # of shares of no variance, which are refused
            projected = model.fit_transform(values)
    if not np.isfinite(model.explained_variance_ratio_).all():
        raise InputError("The preparation's pca finds no column that varies. Prepare other data, or drop the step.")
    found = {
        "solver": solver,
        "explained_variance": model.explained_variance_.tolist(),
        "explained_variance_ratio": model.explained_variance_ratio_.tolist(),
    }
    names = [f"pc_{number + 1}" for number in range(components)]
    parameters = {"mean": mean, "remainder": model.mean_, **dict(zip(names, model.components_, strict=True))}
    fitted = Fitted(prepared.names, parameters)
    return _found(replace(prepared, values=projected, names=names), "pca", found, fitted)


def apply(fit: Fit, values: np.ndarray) -> np.ndarray:
    """Prepare rows as those were prepared that the steps were fitted to; nothing is fitted to these.

    No row depends on the others: alone it has the same bits as among any. The rows that were fitted get the same bits
    as then from all steps but two. After `pca` the last bits differ, because the products are added up here row by row
    and in one order, and not by a library of linear algebra, whose order depends on the number of rows. So they may
    after a `normalize_total` that follows `variable`, of values that are no whole numbers and held dense.

    Parameters
    ----------
    fit : Fit
        From `read_fit`.
    values : ndarray, shape (m, d)
        In the order of `fit.columns`.

    Returns
    -------
    ndarray of float64, shape (m, dimensions)

    Raises
    ------
    InputError
        Where the values have other columns, or a step means nothing on them.
    """
    held: Matrix = np.array(values, dtype=np.float64, order="C")
    if held.ndim != 2 or held.shape[1] != len(fit.columns):
        raise InputError(
            f"The rows have the shape {held.shape}, and the steps were fitted to {len(fit.columns)} columns; give "
            f"those of fit.columns, in their order."
        )
    if fit.sparse:
        held = scipy.sparse.csr_array(held)
    for step, found in zip(fit.steps, fit.found, strict=True):
        parameters = found.parameters
        match step["step"]:
            case "normalize_total":
                _refuse_below(held, 0, "normalize_total", DIVIDES, "a new row")
                _bring_to(held, _sums_by_row(held), float(parameters["total"][0]))
            case "log1p":
                _refuse_below(held, 0, "log1p", OF_COUNTS, "a new row")
                _take_logarithms(held)
            case "variable":
                held = held[:, np.flatnonzero(parameters["kept"])]
            case "scale":
                held = _dense(held)
                _bring_to_scale(held, parameters["centre"], parameters["spread"], step.get("clip"))
            case "pca":
                held = _project(_dense(held), **parameters)
    return _dense(held)


def _sums_by_row(values: Matrix) -> np.ndarray:
    if isinstance(values, np.ndarray):
        # Each by itself, because numpy adds in another order where columns, and not rows, are in one piece.
        return np.array([row.sum() for row in np.ascontiguousarray(values)])
    return np.asarray(values.sum(axis=1), dtype=np.float64).ravel()


def _project(values: np.ndarray, mean: np.ndarray, remainder: np.ndarray, **components: np.ndarray) -> np.ndarray:
    """Return principal components, each row by itself and added up in one order, however many rows there are."""
    coefficients = np.stack(list(components.values()))
    projected, terms = np.empty((len(values), len(coefficients))), np.empty_like(coefficients)
    for row, place in zip(values, projected, strict=True):
        np.multiply(row - mean - remainder, coefficients, out=terms)
        terms.sum(axis=1, out=place)
    return projected


def read_fit(path: str | Path) -> Fit:
    """Return what the steps of a stored preparation took from the data.

    Parameters
    ----------
    path : path
        The file `fitted` of `compute`.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    table, record = store.read(path), store.read_record(path)
    numbers, values = store.numbers(table.column("step")), store.numbers(table.column("value"))
    columns, parameters = (table.column(name).to_pylist() for name in ("column", "parameter"))
    found = []
    for number in range(1, len(record["key"]["steps"]) + 1):
        first, end = np.searchsorted(numbers, [number, number + 1])
        names = list(dict.fromkeys(parameters[first:end]))
        of_step = values[first:end].reshape(len(names), -1) if names else values[:0]
        of_columns = columns[first : first + (end - first) // max(len(names), 1)]
        found.append(Fitted(of_columns, dict(zip(names, of_step, strict=True))))
    return Fit(record["key"]["steps"], found, record["feature_names"], record["sparse"])


def _table_of(found: Sequence[Fitted]) -> pa.Table:
    """Return a table of what steps took from the data, a row for each number."""
    rows = [
        (number, one.columns, name, values)
        for number, one in enumerate(found, 1)
        for name, values in one.parameters.items()
    ]
    counts = [len(values) for *_, values in rows]
    parameters = [name for (_, _, name, _), count in zip(rows, counts, strict=True) for _ in range(count)]
    return pa.table(
        {
            "step": np.repeat(np.array([number for number, *_ in rows], dtype=np.int32), counts),
            "column": pa.array([name for _, columns, *_ in rows for name in columns], pa.string()),
            "parameter": pa.array(parameters, pa.string()),
            "value": np.concatenate([np.empty(0), *(values for *_, values in rows)]),
        }
    )


def read_applied(fit: Fit, data: str | Path, places: np.ndarray) -> np.ndarray:
    """Return the features of a stored data set after the steps of another one's preparation; see `apply`.

    Parameters
    ----------
    fit : Fit
    data : path
    places : ndarray of int, shape (d,)
        In which of its columns each of `fit.columns` is.

    Returns
    -------
    ndarray of float32, shape (m, dimensions)
        In C order.

    Raises
    ------
    InputError
        As for `apply`, and where a value is beyond what float32 can hold.
    """
    return np.concatenate(
        [
            _single(apply(fit, batch[start : start + APPLIED_TOGETHER, places]), "remove the new rows that have them")
            for batch in store.read_feature_batches(data)
            for start in range(0, len(batch), APPLIED_TOGETHER)
        ]
    )


def read(path: str | Path) -> Prepared:
    """Return a stored data set as the first step takes it, sparse where few of its values are other than 0.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    record = store.read_record(path)
    blocks, start = [], 0
    values: Matrix = np.empty((record["rows"], 0))
    for batch in store.read_feature_batches(path):
        if not start and np.count_nonzero(batch) > SPARSE_UP_TO * batch.size:
            values = np.empty((record["rows"], batch.shape[1]))
        if values.shape[1]:
            values[start : start + len(batch)] = batch
        else:
            blocks.append(scipy.sparse.csr_array(batch.astype(np.float64)))
        start += len(batch)
    if blocks:
        values = scipy.sparse.vstack(blocks, format="csr")
    return Prepared(values, record["feature_names"])


def compute(
    data: str | Path,
    out: str | Path,
    fitted: str | Path,
    preparation: str,
    steps: Sequence[Mapping[str, Any]],
    blas_threads: int,
) -> None:
    """Prepare a stored data set and store the result.

    Parameters
    ----------
    data : path
        The stored data set.
    out : path
        Receives `features`, a list of float32 for each row. Its record holds the names of the columns and, as
        `facts`, what the steps found; see `Prepared`.
    fitted : path
        Receives what the steps took from the data, a row for each number: `step`, from 1; `column`, of the data before
        that step; `parameter` and `value` (float64); see `Fitted`. Its record holds the names of the columns before the
        first step, and whether the data was held `sparse`.
    preparation : str
        Its name in the configuration.
    steps, blas_threads
        As for `prepare`.

    Raises
    ------
    InputError
        As for `prepare`, with the name of the preparation, and where a value is beyond what float32 can hold.
    """
    logger = logging.getLogger("umap_sweep")
    source = read(data)
    logger.info(
        "%d rows, %d columns, held %s",
        *source.values.shape,
        "dense" if isinstance(source.values, np.ndarray) else "sparse",
    )
    columns, sparse = source.names, not isinstance(source.values, np.ndarray)
    try:
        prepared = prepare(source, steps, blas_threads)
    except InputError as error:
        # Of several preparations that a grid has, the data may be wrong for this one alone.
        raise InputError(f"Preparation {preparation!r}: {error}") from None
    del source
    table = pa.table({"features": _stored(prepared.values)})
    key = {"preparation": preparation, "steps": [dict(step) for step in steps], "blas_threads": blas_threads}
    record = store.make_record(
        "prepared",
        key,
        values=store.fingerprint(table),
        inputs=store.inputs_of(data),
        rows=table.num_rows,
        dimensions=len(prepared.names),
        feature_names=prepared.names,
        facts=prepared.facts,
    )
    store.write(out, table, record)
    logger.info("%s: %d columns", preparation, len(prepared.names))
    table = _table_of(prepared.found)
    values = store.fingerprint(table)
    # The prepared data is among its inputs, so that the two are of one run.
    record = store.make_record("prepared", key, values, store.inputs_of(out), feature_names=columns, sparse=sparse)
    store.write(fitted, table, record, dictionary=["step", "column", "parameter"])


def _stored(values: Matrix) -> pa.ChunkedArray:
    blocks = []
    for start in range(0, values.shape[0], BLOCK_ROWS):
        dense = _dense(values[start : start + BLOCK_ROWS])
        blocks.append(store.lists(_single(dense, "scale the data, or leave a step out")))
    return pa.chunked_array(blocks)


def _single(values: np.ndarray, remedy: str) -> np.ndarray:
    """Return values rounded to float32, in C order."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(single).all():
        most = np.abs(values).max()
        raise InputError(f"The preparation makes values up to {most:.3g}, beyond what float32 can hold; {remedy}.")
    return single


def _dense(values: Matrix) -> np.ndarray:
    return values if isinstance(values, np.ndarray) else values.toarray()


def _moments(values: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance (of n - 1) of each column."""
    rows = values.shape[0]
    mean = np.asarray(values.sum(axis=0), dtype=np.float64).ravel() / rows
    if isinstance(values, np.ndarray):
        squares = np.zeros_like(mean)
        for start in range(0, rows, BLOCK_ROWS):
            squares += ((values[start : start + BLOCK_ROWS] - mean) ** 2).sum(axis=0)
    else:
        # About the mean, zeros counted, because the difference of two large sums would lose digits.
        columns = values.indices
        squares = np.bincount(columns, (values.data - mean[columns]) ** 2, minlength=len(mean))
        squares += (rows - np.bincount(columns, minlength=len(mean))) * mean**2
    return mean, squares / max(rows - 1, 1)


def _refuse_below(values: Matrix, least: float, step: str, why: str, where: str = "the data") -> None:
    lowest = float(values.min())
    if lowest < least:
        raise InputError(f"The preparation's {step} needs values from {least:g}, but {where} has {lowest:.6g}: {why}.")


def _found(prepared: Prepared, step: str, facts: Mapping[str, Any], fitted: Fitted) -> Prepared:
    return replace(prepared, facts={**prepared.facts, step: dict(facts)}, found=[*prepared.found, fitted])
