"""Compare settings two by two, on the same rows, triplets and seeds, and say which differences lie outside the noise.

A setting is one n_neighbors and min_dist with all of its seeds. The noise of a difference has two sources, which add:
the sample of rows, triplets and pairs that metrics look at, which all cells share, and the seeds.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS, OPTIONAL_COLUMNS, is_number, key_columns, optional_axes
from umap_sweep.errors import InputError
from umap_sweep.quality import sampling, tables
from umap_sweep.quality.seeds import SETTING, by_seed, moderated, overlap_by_seed, setting_of

# What settings are chosen by, and its name in a sentence. More is better.
CRITERIA = {
    "recall_15": "neighbours kept",
    "triplet_accuracy": "triplets in order",
    "neighbor_overlap": "neighbours that stay under other seeds",
}
# What is compared beside them.
OTHER_METRICS = (
    *("recall_50", "recall_150", "trustworthiness", "continuity", "label_accuracy", "silhouette"),
    "distance_correlation",
)

# All intervals of all criteria hold together with this probability.
CONFIDENCE = 0.95

HIGHER, LOWER, ALIKE, UNKNOWN = "higher", "lower", "not told apart", "unknown"

COLUMNS = {
    "metric": pa.string(),
    **{name: KEY_COLUMNS[name] for name in SETTING},
    **{f"other_{name}": KEY_COLUMNS[name] for name in SETTING},
    "difference": pa.float64(),
    "lower": pa.float64(),
    "upper": pa.float64(),
    "sample_error": pa.float64(),
    "seed_error": pa.float64(),
    "seeds": pa.int64(),
    "verdict": pa.string(),
}


def columns_of(names: Container[str]) -> dict[str, pa.DataType]:
    """Return the columns of the comparisons of settings with these columns: `COLUMNS`, and the grid's further axes."""
    further = {name: OPTIONAL_COLUMNS[axis] for axis in optional_axes(names) for name in (axis, f"other_{axis}")}
    return {"metric": COLUMNS["metric"]} | further | COLUMNS


def others_of(setting: Sequence[str]) -> list[str]:
    """Return the columns of the second setting of a comparison, by those of the first."""
    return [f"other_{name}" for name in setting]


@dataclass
class Measured:
    """One metric of all settings.

    Attributes
    ----------
    values : pandas.DataFrame
        By setting and seed, as `umap_sweep.quality.seeds.by_seed` returns it. More seeds say what another seed changes.
    sample : ndarray of float64, shape (settings, settings)
        The covariances of the settings' means through the sample that they share; 0 where all there is was looked at.
    units : int
        How many rows, triplets or batches of pairs the sample has.
    """

    values: pd.DataFrame
    sample: np.ndarray
    units: int


def covariance(contributions: Sequence[np.ndarray], share: float) -> np.ndarray:
    """Return the covariances that means over one random sample have.

    Parameters
    ----------
    contributions : sequence of ndarray of float, shape (m,)
        Of each setting, what each unit of the sample contributes; NaN where it does not count.
    share : float
        Which share of all units the sample is, as for `umap_sweep.quality.sampling.error`.

    Returns
    -------
    ndarray of float64, shape (settings, settings)
    """
    units = len(contributions[0])
    centred = np.empty((len(contributions), units), dtype=np.float32)
    for place, values in enumerate(contributions):
        centred[place] = values - np.nanmean(values)
    total, counted = np.zeros((len(contributions),) * 2), np.zeros((len(contributions),) * 2)
    for start in range(0, units, 4096):
        block = centred[:, start : start + 4096].astype(np.float64)
        there = np.isfinite(block)
        block[~there] = 0.0
        total += block @ block.T
        counted += there.astype(np.float64) @ there.T
    return np.asarray(total * (1 - share) / np.maximum(counted * (counted - 1), 1))


def compare(measured: Measured, questions: int, share: float = 1.0, pairs: int = 0) -> pd.DataFrame:
    """Compare all settings by one metric, two by two.

    The standard error of a difference has two parts. That of the seeds is from the differences under the same seed,
    whose variance is moderated over all comparisons (`umap_sweep.quality.seeds.moderated`); that of the sample is from
    the differences of what each row, triplet or batch contributes. Their sum has Satterthwaite's degrees of freedom
    (1946, Biometrics Bulletin 2), and the interval is that of Student's t at the level of Bonferroni: all intervals of
    `questions` metrics hold together with the probability `CONFIDENCE`, or, where there are further looks, err together
    with no more than a share of what is left of it.

    Parameters
    ----------
    measured : Measured
    questions : int
        How many metrics are decided by together.
    share : float, default 1
        Which share of 1 - `CONFIDENCE` this look may spend, where the same is looked at again and again.
    pairs : int, default 0
        How many pairs of settings there are, where some of them are not looked at any more.

    Returns
    -------
    pandas.DataFrame
        The columns of `columns_of` but for `metric`, one row for each two settings that both have a value. `verdict`
        says what the first is beside the other: `higher`, `lower`, `not told apart`, or `unknown` where they have fewer
        than two seeds in common, or the seeds change nothing, as those of an exact k-NN, so that nobody knows what
        another UMAP seed changes. There is no interval then.
    """
    from scipy import stats

    table = measured.values
    names = [str(name) for name in table.index.names]
    values, settings = table.to_numpy(float), table.index.to_frame().to_numpy()
    first, second = np.triu_indices(len(table), 1)
    differences = values[first] - values[second]
    seeds = np.isfinite(differences).sum(axis=1)
    if not len(first):
        return pd.DataFrame(columns=[name for name in columns_of(names) if name != "metric"])
    alone = np.nanmean(values, axis=1)
    shared = seeds > 0
    mean = alone[first] - alone[second]  # of settings without a seed in common
    mean[shared] = np.nanmean(differences[shared], axis=1)
    squares = np.nansum((differences - mean[:, None]) ** 2, axis=1)
    several = seeds > 1
    seed_variance, freedom = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    if several.any():
        own = squares[several] / (seeds[several] - 1)
        most = (len(table) - 1) * (float(seeds.max()) - 1)
        seed_variance[several], freedom[several] = moderated(own, seeds[several] - 1.0, most)
    several &= (seed_variance > 0) | (mean == 0)
    of_seeds = np.where(several, seed_variance / np.maximum(seeds, 1), np.nan)
    diagonal = np.diag(measured.sample)
    of_sample = np.maximum(diagonal[first] + diagonal[second] - 2 * measured.sample[first, second], 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = of_seeds**2 / freedom + of_sample**2 / max(measured.units - 1, 1)
        together = np.where(parts > 0, (of_seeds + of_sample) ** 2 / parts, freedom)
    tail = share * (1 - CONFIDENCE) / (2 * max(len(mean), pairs) * questions)
    half = stats.t.isf(tail, together) * np.sqrt(of_seeds + of_sample)
    verdict = np.where(mean - half > 0, HIGHER, np.where(mean + half < 0, LOWER, ALIKE))
    found = {name: settings[first, place] for place, name in enumerate(names)}
    found |= {name: settings[second, place] for place, name in enumerate(others_of(names))}
    found |= {"difference": mean, "lower": mean - half, "upper": mean + half, "sample_error": np.sqrt(of_sample)}
    found |= {"seed_error": np.sqrt(of_seeds), "seeds": seeds, "verdict": np.where(several, verdict, UNKNOWN)}
    kinds = {axis: "float64" if is_number(axis) else "object" for axis in ("min_dist", *optional_axes(names))}
    kinds = {name: kinds.get(name.removeprefix("other_"), "int64") for name in (*names, *others_of(names))}
    return pd.DataFrame(found).astype(kinds)


def measured_metrics(
    metrics: pd.DataFrame, contributions: Mapping[tuple[object, ...], Mapping[str, np.ndarray]], stability: pd.DataFrame
) -> dict[str, Measured]:
    """Return every metric that settings are compared by, as far as they have it.

    Parameters
    ----------
    metrics : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    contributions : mapping
        From `read_contributions`.
    stability : pandas.DataFrame
        From `umap_sweep.quality.stability`; empty where there is one seed.
    """
    found: dict[str, Measured] = {}
    setting = setting_of(metrics)
    for name in (*CRITERIA, *OTHER_METRICS):
        if name == "neighbor_overlap":
            if len(stability):
                values = overlap_by_seed(stability)
                found[name] = Measured(values, np.zeros((len(values),) * 2), 0)
            continue
        if name not in metrics or metrics[name].isna().all():
            continue
        values = by_seed(metrics, name)
        values = values[values.notna().any(axis=1)]
        sample, units = np.zeros((len(values),) * 2), 0
        of_cells: dict[tuple[object, ...], list[np.ndarray]] = {}
        for key, one in contributions.items():
            if name in one:
                of_cells.setdefault(key[: len(setting)], []).append(one[name])
        if of_cells:
            of_settings = [np.asarray(np.mean(of_cells[key], axis=0, dtype=np.float32)) for key in values.index]
            units = len(of_settings[0])
            share = min(units / float(metrics["rows"].iloc[0]), 1.0)
            sample = covariance(of_settings, sampling.share_of(name, share))
        elif f"{name}_sample_error" in metrics:
            # Where the parts are not stored, the errors of two settings are taken as independent, which they exceed.
            errors = metrics.groupby(setting)[f"{name}_sample_error"].mean().reindex(values.index).fillna(0.0)
            sample, units = np.diag(errors.to_numpy(float) ** 2), int(metrics["sample_rows"].max())
        found[name] = Measured(values, sample, units)
    return found


def read_contributions(paths: Sequence[str | Path]) -> dict[tuple[object, ...], dict[str, np.ndarray]]:
    """Return what each part of the sample contributes to the metrics of cells.

    Parameters
    ----------
    paths : sequence of path
        From `umap_sweep.quality.cell_metrics`, each once.

    Returns
    -------
    dict
        By the cell's setting (`umap_sweep.quality.seeds.setting_of`), seed and k-NN seed, and by metric.
    """
    found: dict[tuple[object, ...], dict[str, np.ndarray]] = {}
    for path in paths:
        table = store.read(path)
        lists = {
            name: store.from_lists(table.column(name))
            for name in table.column_names
            if name not in key_columns(table.column_names)
        }
        of_cell = [*setting_of(table.column_names), "seed", "knn_seed"]
        keys = zip(*(table.column(name).to_pylist() for name in of_cell), strict=True)
        for place, key in enumerate(keys):
            parts = {name: values[place] for name, values in lists.items()}
            found[key] = {name: values for name, values in parts.items() if np.isfinite(values).any()}
    return found


def compare_all(measured: Mapping[str, Measured], share: float = 1.0, pairs: int = 0) -> pd.DataFrame:
    """Compare all settings by every metric, and return one table; `share` and `pairs` as for `compare`."""
    questions = len([name for name in CRITERIA if name in measured])
    found = [compare(one, max(questions, 1), share, pairs).assign(metric=name) for name, one in measured.items()]
    if not found:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(found, ignore_index=True)[list(columns_of(found[0]))]


def compute(
    metrics: str | Path,
    contributions: Sequence[str | Path],
    stability: str | Path | None,
    out: str | Path,
    csv_out: str | Path,
) -> None:
    """Store the comparisons of the settings of a sweep.

    Parameters
    ----------
    metrics : path
        From `umap_sweep.quality.metrics`.
    contributions : sequence of path
        From `umap_sweep.quality.cell_metrics`, each once.
    stability : path or None
        From `umap_sweep.quality.stability`, where there are several seeds.
    out, csv_out : path
        Receive the table as Parquet and as CSV, with the columns of `columns_of`.

    Raises
    ------
    InputError
        Where a file is missing or damaged, or of another sweep.
    """
    table = store.read(metrics).to_pandas()
    of_cells = read_contributions(contributions)
    cells = set(table[[*setting_of(table), "seed", "knn_seed"]].itertuples(index=False, name=None))
    if not cells <= set(of_cells):
        raise InputError(f"{metrics} is of other cells than the contributions are. {store.how_to_mend(metrics)}")
    # A row of the grid is measured whole, also where a table of cells asks for a part of it.
    of_cells = {cell: of_cells[cell] for cell in of_cells if cell in cells}
    pairs = pd.DataFrame() if stability is None else with_other_umap_seeds(store.read(stability).to_pandas())
    found = compare_all(measured_metrics(table, of_cells, pairs))
    arrow = pa.Table.from_pandas(found, pa.schema(list(columns_of(found).items())), preserve_index=False)
    inputs = store.inputs_of(metrics, *contributions, *([] if stability is None else [stability]))
    tables.write(out, arrow.replace_schema_metadata(None), "comparisons", inputs, csv_out=csv_out)


def with_other_umap_seeds(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table of stability whose UMAP seeds differ; all rows where there is one UMAP seed."""
    others = pairs[pairs["across"] != "k-NN seed"]
    return others if len(others) else pairs
