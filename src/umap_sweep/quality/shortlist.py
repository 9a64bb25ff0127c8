"""List the settings that no other beats, each with its reason, and say which cannot be told apart.

A setting stands for all of its seeds: one n_neighbors and min_dist, with the mean of each criterion over the seeds.
Seeds are not compared with one another, because to choose the best of several seeds is to choose noise.
"""

from collections.abc import Iterator
from pathlib import Path
from string import ascii_letters

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.quality import tables
from umap_sweep.quality.comparisons import CRITERIA, HIGHER, LOWER, UNKNOWN, others_of, with_other_umap_seeds
from umap_sweep.quality.seeds import half_width, means, overlap_by_seed, setting_of

# One sign for each group, since readers take the signs of a setting one by one.
LETTERS = ascii_letters + "αβγδεζηθικλμνξοπρστυφχψωбвгджзийлптфцчшщъыьэюя"
# Said of every setting where nothing is known of the noise.
ONE_SEED = "what another UMAP seed would change is unknown, so that nothing is told apart"


def criteria(metrics: pd.DataFrame, stability: pd.DataFrame | None) -> pd.DataFrame:
    """Return the criteria of each setting, and their errors.

    Parameters
    ----------
    metrics : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    stability : pandas.DataFrame or None
        From `umap_sweep.quality.stability`, where there are several seeds.

    Returns
    -------
    pandas.DataFrame
        One row for each setting, ascending: the columns of `umap_sweep.quality.seeds.setting_of`, `seeds`, then those
        of `CRITERIA` that all settings have, each followed by its standard error, such as `recall_15_error`: of the
        mean over the seeds, and of the sample. It is missing where there is one seed.
    """
    setting = setting_of(metrics)
    table = metrics.groupby(setting, as_index=False).size()[setting].set_index(setting)
    for name in CRITERIA:
        if name == "neighbor_overlap":
            if stability is None:
                continue
            values = overlap_by_seed(with_other_umap_seeds(stability))
            table[name] = values.mean(axis=1)
            table[f"{name}_error"] = np.sqrt(values.var(axis=1) / values.notna().sum(axis=1))
        else:
            found = means(metrics, name)
            table["seeds"], table[name] = found["seeds"], found["value"]
            table[f"{name}_error"] = found["error"].where(found["seeds"] > 1)
    present = [name for name in CRITERIA if name in table and table[name].notna().all()]
    columns = [part for name in present for part in (name, f"{name}_error")]
    return table.reset_index()[[*setting, "seeds", *columns]]


def places_of(table: pd.DataFrame, comparisons: pd.DataFrame) -> tuple[list[int], list[int]]:
    """Return the places in a table of settings of the first and of the second setting of each comparison."""
    names = setting_of(table)
    place = {setting: number for number, setting in enumerate(table[names].itertuples(index=False, name=None))}
    first = [place[setting] for setting in comparisons[names].itertuples(index=False, name=None)]
    return first, [place[setting] for setting in comparisons[others_of(names)].itertuples(index=False, name=None)]


def verdicts(table: pd.DataFrame, comparisons: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what is told of every two settings, by criterion.

    Parameters
    ----------
    table : pandas.DataFrame
        From `criteria`.
    comparisons : pandas.DataFrame
        From `umap_sweep.quality.comparisons`.

    Returns
    -------
    told : dict of str to ndarray of int, shape (settings, settings)
        1 where the setting of the row is higher than that of the column, -1 where it is lower, 0 where the two are not
        told apart, or nothing is known of the noise.
    unknown : dict of str to ndarray of bool, shape (settings, settings)
        Where nothing is known of the noise.
    """
    found, unknown = {}, {}
    for name in [name for name in CRITERIA if name in table]:
        told, open_ = (np.zeros((len(table),) * 2, dtype=kind) for kind in (np.int8, bool))
        rows = comparisons[comparisons["metric"] == name]
        first, second = places_of(table, rows)
        sign = np.where(rows["verdict"] == HIGHER, 1, np.where(rows["verdict"] == LOWER, -1, 0))
        told[first, second], told[second, first] = sign, -sign
        open_[first, second] = open_[second, first] = rows["verdict"] == UNKNOWN
        found[name], unknown[name] = told, open_
    return found, unknown


def beats(table: pd.DataFrame, told: dict[str, np.ndarray], worth: float) -> np.ndarray:
    """Tell which settings beat which.

    A setting beats another where it is higher in some criterion beyond the noise, and in no criterion lower beyond the
    noise, or by `worth` or more as far as it was measured.

    Parameters
    ----------
    table : pandas.DataFrame
        From `criteria`.
    told : dict of str to ndarray
        From `verdicts`.
    worth : float
        The least difference of a criterion that matters.

    Returns
    -------
    ndarray of bool, shape (settings, settings)
        Whether the setting of the row beats that of the column.
    """
    signs = np.stack(list(told.values()))
    values = table[list(told)].to_numpy(float).T
    lower = (values[:, :, None] - values[:, None, :] <= -worth).any(axis=0)
    return np.asarray((signs > 0).any(axis=0) & ~(signs < 0).any(axis=0) & ~lower)


def unbeaten(wins: np.ndarray) -> np.ndarray:
    """Return which settings the list holds: bool, shape (settings,).

    No listed setting beats another listed one, and every other setting is beaten by a listed one (the kernel of the
    graph of who beats whom; von Neumann and Morgenstern, 1944). What is beaten only by settings that are beaten
    themselves is listed: not to be told apart is not transitive, and steps that are each within the noise may lead far.

    For the same reason settings may beat each other in a circle. Those of one circle do not count against each other.
    """
    from scipy.sparse.csgraph import connected_components

    _, circle = connected_components(wins, directed=True, connection="strong")
    against = wins & (circle[:, None] != circle[None])
    listed, open_ = np.zeros(len(wins), dtype=bool), np.ones(len(wins), dtype=bool)
    while open_.any():
        listed |= open_ & ~against[open_].any(axis=0)
        open_ &= ~listed & ~against[listed].any(axis=0)
    return listed


def groups(apart: np.ndarray) -> list[str]:
    """Return letters for settings: two that have a letter in common cannot be told apart.

    Not to be told apart is not transitive, so that groups overlap. They are the largest sets of settings of which no
    two are told apart (compact letter display; Piepho, 2004, Journal of Computational and Graphical Statistics 13).

    Parameters
    ----------
    apart : ndarray of bool, shape (settings, settings)
        Symmetric: whether two are told apart by some criterion.

    Returns
    -------
    list of str
        Of each setting, such as `a` or `ab`; letters are given in the order of the settings. Empty for all where there
        are more groups than letters, of which no reader could make anything.
    """
    count = len(apart)
    if not apart.any():
        return ["a"] * count
    alike = [{other for other in range(count) if other != one and not apart[one, other]} for one in range(count)]
    found = sorted(sorted(group) for group in _largest_groups(set(), set(range(count)), set(), alike))
    if len(found) > len(LETTERS):
        return [""] * count
    return ["".join(name for name, group in zip(LETTERS, found, strict=False) if one in group) for one in range(count)]


def _largest_groups(chosen: set[int], open_: set[int], seen: set[int], alike: list[set[int]]) -> Iterator[set[int]]:
    """Yield the maximal cliques of a graph (Bron and Kerbosch, 1973, with the pivot of Tomita and others, 2006)."""
    if not open_ and not seen:
        yield chosen
        return
    pivot = max(open_ | seen, key=lambda one: len(alike[one] & open_))
    for one in sorted(open_ - alike[pivot]):
        yield from _largest_groups(chosen | {one}, open_ & alike[one], seen & alike[one], alike)
        open_ = open_ - {one}
        seen = seen | {one}


def reason(cell: pd.Series, best: dict[str, float], leading: dict[str, bool], is_alone: bool = False) -> str:
    """Say why a setting is on the list.

    Parameters
    ----------
    cell : pandas.Series
        The criteria of a setting that no other beats, and their errors.
    best : dict of str to float
        The largest value of each criterion among all settings.
    leading : dict of str to bool
        By criterion, whether the setting is not told apart from the one with the largest value.
    is_alone : bool, default False
        Whether there is no other.
    """

    def said(name: str) -> str:
        error = cell[f"{name}_error"]
        if not np.isfinite(error):
            return f"{CRITERIA[name]} {cell[name]:.1%}"
        return f"{CRITERIA[name]} {cell[name]:.1%} ± {float(half_width(error, cell['seeds'])):.1%}"

    top = [said(name) for name, leads in leading.items() if leads]
    rest = [f"{said(name)} (best {best[name]:.1%})" for name, leads in leading.items() if not leads]
    if is_alone:
        return f"the only setting: {', '.join(top)}"
    if not rest:
        return f"with the best in everything: {', '.join(top)}"
    if top:
        return f"with the best in {', '.join(top)}; {', '.join(rest)}"
    return f"in between: {', '.join(rest)}; none is higher in one and lower in none"


def shortlist(
    table: pd.DataFrame, comparisons: pd.DataFrame, worth: float, left: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the short list: the settings that no other beats beyond the noise.

    Parameters
    ----------
    table : pandas.DataFrame
        From `criteria`.
    comparisons : pandas.DataFrame
        From `umap_sweep.quality.comparisons`.
    worth : float
        As for `beats`.
    left : ndarray of bool, shape (settings,), optional
        Which settings are listed, where that is decided already.

    Returns
    -------
    pandas.DataFrame
        The columns of `criteria`, `beats` (how many other settings the setting beats), `group` (letters; two settings
        with a letter in common cannot be told apart) and `reason`. First stand those that are with the best in most
        criteria, then those that beat most others, then the smallest n_neighbors and min_dist, which decides between
        equals. Where there is one seed nothing can be told apart: all settings are listed, by their mean rank in the
        criteria, and `group` is empty. No row where there is no criterion, because the data has too few rows.
    """
    judged = [name for name in CRITERIA if name in table]
    if not judged:
        return table.head(0).assign(
            beats=pd.Series(dtype=np.int64), group=pd.Series(dtype=str), reason=pd.Series(dtype=str)
        )
    known = comparisons[comparisons["metric"].isin(judged)]
    if len(table) > 1 and (known["verdict"] == UNKNOWN).all():
        ranked = np.argsort(table[judged].rank(ascending=False).mean(axis=1).to_numpy(), kind="stable")
        return table.iloc[ranked].assign(beats=0, group="", reason=ONE_SEED).reset_index(drop=True)
    told, unknown = verdicts(table, comparisons)
    wins = beats(table, told, worth)
    # With two seeds nothing is known of what stays under others.
    judged = [name for name in judged if len(table) == 1 or not unknown[name][~np.eye(len(table), dtype=bool)].all()]
    top = {name: int(table[name].argmax()) for name in judged}
    leading = {name: (told[name][place] <= 0) & ~unknown[name][place] for name, place in top.items()}
    best = {name: float(table[name].max()) for name in judged}
    reasons = [
        reason(cell, best, {name: bool(leads[place]) for name, leads in leading.items()}, len(table) == 1)
        for place, (_, cell) in enumerate(table.iterrows())
    ]
    table = table.assign(beats=wins.sum(axis=1), reason=reasons)
    places = np.flatnonzero(unbeaten(wins) if left is None else left)
    leads = np.sum(list(leading.values()), axis=0)
    order = places[np.lexsort((places, -wins.sum(axis=1)[places], -leads[places]))]
    listed = table.iloc[order].reset_index(drop=True)
    apart = np.asarray(np.stack([signs != 0 for signs in told.values()]).any(axis=0))
    listed.insert(len(listed.columns) - 1, "group", groups(apart[order][:, order]))
    return listed


def compute(
    metrics: str | Path,
    stability: str | Path | None,
    comparisons: str | Path,
    worth: float,
    out: str | Path,
    csv: str | Path,
) -> None:
    """Store the short list.

    Parameters
    ----------
    metrics : path
        From `umap_sweep.quality.metrics`.
    stability : path or None
        From `umap_sweep.quality.stability`, where there are several seeds.
    comparisons : path
        From `umap_sweep.quality.comparisons`.
    worth : float
        As for `beats`.
    out, csv : path
        Receive the list as Parquet and as CSV.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    pairs = None if stability is None else store.read(stability).to_pandas()
    measured = criteria(store.read(metrics).to_pandas(), pairs)
    table = shortlist(measured, store.read(comparisons).to_pandas(), worth)
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    inputs = store.inputs_of(metrics, comparisons, *([] if stability is None else [stability]))
    tables.write(out, arrow, "shortlist", inputs, {"worth": worth}, csv_out=csv)
