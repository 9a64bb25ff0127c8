"""What other seeds change: the values of a metric by seed, and variances from few seeds that can be relied on.

The unit is a UMAP seed, with the mean over the k-NN seeds that it was run with; where there is one UMAP seed, a k-NN
seed.
"""

import math
from collections.abc import Container

import numpy as np
import pandas as pd

from umap_sweep.cells.keys import optional_axes

# One setting: a cell with all of its seeds.
SETTING = ["n_neighbors", "min_dist", "knn_k"]


def setting_of(names: Container[str]) -> list[str]:
    """Return which columns of a table, or entries of a key, tell settings apart: `SETTING` and the further axes."""
    return [*optional_axes(names), *SETTING]


def unit_of(table: pd.DataFrame) -> str:
    """Return the column that tells seeds apart, of a table with one row for each cell."""
    return "knn_seed" if table["seed"].nunique() == 1 else "seed"


def by_seed(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a metric by setting and seed.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each cell: `setting_of` its columns, `seed`, `knn_seed` and the column.
    column : str

    Returns
    -------
    pandas.DataFrame
        float64; the index is `setting_of` the columns, the columns are seeds, both ascending; NaN where there is no
        such cell.
    """
    setting = setting_of(table)
    found: pd.DataFrame = table.pivot_table(
        index=setting, columns=unit_of(table), values=column, aggfunc="mean", dropna=False, observed=True
    ).astype(float)
    present = table[setting].drop_duplicates().sort_values(setting)
    return found.reindex(pd.MultiIndex.from_frame(present)).sort_index(axis=1)


def half_width(error: np.ndarray | float, seeds: np.ndarray | int) -> np.ndarray:
    """Return half of the 95 % interval of one mean alone, from its standard error.

    The quantile is that of Student's t with one degree of freedom less than there are seeds, because with few seeds it
    is far from the normal's. Where there is one seed the error is that of the sample, which has hundreds of units, and
    the quantile is the normal's.

    Parameters
    ----------
    error : ndarray of float, shape (n,), or float
    seeds : ndarray of int, shape (n,), or int

    Returns
    -------
    ndarray of float64, shape (n,) or ()
    """
    from scipy.special import ndtri, stdtrit

    quantile = np.where(np.asarray(seeds) > 1, stdtrit(np.maximum(seeds, 2) - 1, 0.975), ndtri(0.975))
    return np.asarray(error * quantile)


def means(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean of a metric over the seeds of each setting, and how far it may be off.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    column : str
        Of the metric.

    Returns
    -------
    pandas.DataFrame
        float64 but for `seeds`; the index is that of `by_seed`. `value` is the mean; `error` its standard error, of the
        seeds and of the sample, or, where there is one seed, of the sample alone; `half_width` as the function of that
        name gives it. Both are NaN where nothing is known of the error: where one seed looked at all there is.
    """
    values = by_seed(table, column)
    seeds = values.notna().sum(axis=1)
    of_seeds = (values.var(axis=1) / seeds).where(seeds > 1, 0.0)
    of_sample: pd.Series | float = 0.0
    if f"{column}_sample_error" in table:
        of_sample = table.groupby(setting_of(table))[f"{column}_sample_error"].mean().reindex(values.index) ** 2
    error = np.sqrt(of_seeds + of_sample)
    error = error.where((seeds > 1) | (error > 0))
    found = pd.DataFrame({"value": values.mean(axis=1), "seeds": seeds, "error": error})
    return found.assign(half_width=half_width(error.to_numpy(float), seeds.to_numpy()))


def overlap_by_seed(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the part that each seed has in the mean overlap of pairs of seeds: the pseudo-values of the jackknife.

    The mean overlap is a U-statistic: pairs that share a seed depend on each other. The pseudo-value of a seed is
    S·U - (S - 1)·U', where U' is the mean without that seed; their mean is U, and their variance over S estimates the
    variance of U (Arvesen, 1969: Jackknifing U-statistics, Annals of Mathematical Statistics 40).

    Parameters
    ----------
    pairs : pandas.DataFrame
        From `umap_sweep.quality.stability`, of pairs whose seeds differ.

    Returns
    -------
    pandas.DataFrame
        As `by_seed` returns it. A setting with two seeds has the overlap of their one pair, under the first of them
        alone, because nothing is known of what another pair would say.
    """
    unit = "seed" if (pairs["seed"] != pairs["other_seed"]).any() else "knn_seed"
    both = [unit, f"other_{unit}"]
    names = setting_of(pairs)
    means = pairs.groupby([*names, *both], as_index=False)["neighbor_overlap"].mean()
    rows = []
    for setting, group in means.groupby(names, sort=True):
        shared, ends = group["neighbor_overlap"].to_numpy(float), group[both].to_numpy()
        seeds, places = np.unique(ends, return_inverse=True)
        if len(seeds) < 3:
            rows.append(pd.Series(shared.mean(), index=seeds[:1], name=setting))
            continue
        places = places.reshape(ends.shape)
        of_seed = sum(np.bincount(side, shared, len(seeds)) for side in places.T)
        without = len(shared) - np.bincount(places.ravel(), minlength=len(seeds))
        left = np.divide(shared.sum() - of_seed, without, out=np.full(len(seeds), shared.mean()), where=without > 0)
        rows.append(pd.Series(len(seeds) * shared.mean() - (len(seeds) - 1) * left, index=seeds, name=setting))
    table = pd.DataFrame(rows).sort_index(axis=1)
    table.index = pd.MultiIndex.from_tuples(table.index, names=names)
    return table


def moderated(variances: np.ndarray, freedom: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Return variances that lend each other what few seeds cannot say of each alone, and their degrees of freedom.

    A variance from three seeds is wrong by a factor of several as often as not. The variances of all comparisons are
    taken as drawn from one scaled inverse chi-square distribution, which is fitted to them by the moments of their
    logarithms; each is then the mean of its own and of the fitted one, weighted by degrees of freedom (Smyth, 2004:
    Linear models and empirical Bayes methods, Statistical Applications in Genetics and Molecular Biology 3). Where the
    variances are as alike as chance makes them, this is the pooled variance; where they are not, each keeps its own.

    Parameters
    ----------
    variances : ndarray of float, shape (comparisons,)
        Not negative.
    freedom : ndarray of float, shape (comparisons,)
        Degrees of freedom of each, at least 1.
    most : float
        No variance has more degrees of freedom in the end than this: those of all that was measured, because the
        comparisons share cells and are no independent ones.

    Returns
    -------
    variances, freedom : ndarray of float, shape (comparisons,)
    """
    from scipy.special import digamma, polygamma

    known = variances > 0
    if known.sum() < 2:
        return variances, freedom
    half = freedom[known] / 2
    logs = np.log(variances[known]) - digamma(half) + np.log(half)
    mean = logs.mean()
    beyond = logs.var(ddof=1) - polygamma(1, half).mean()
    prior_freedom = 2 * inverse_trigamma(beyond) if beyond > 0 else math.inf
    prior_freedom = min(prior_freedom, max(most - float(freedom.min()), 0.0))
    if not prior_freedom:
        return variances, freedom
    centre = math.exp(mean + float(digamma(prior_freedom / 2)) - math.log(prior_freedom / 2))
    total = freedom + prior_freedom
    return (freedom * variances + prior_freedom * centre) / total, total


def inverse_trigamma(value: float) -> float:
    """Return the positive number whose trigamma function is a positive value."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    # Between 1/x and 1/x + 1/x² for every x, so that the root lies between these bounds.
    low, high = 0.5 / value, 1 / value + 1 / math.sqrt(value) + 1
    return float(brentq(lambda x: polygamma(1, x) - value, low, high))
