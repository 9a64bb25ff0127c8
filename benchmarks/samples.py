"""Sweep samples of a data set and all of its rows, and write down how far a choice on a sample holds for all.

Run by the benchmarks' Snakefile. `python benchmarks/samples.py TABLE…` prints the tables of docs/samples.md.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import machine
import numpy as np
import pandas as pd
import yaml
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from umap_sweep import environment, job, store

CELL = ["n_neighbors", "min_dist"]
SEED = 10
# More is better in each; those that a data set without labels lacks are left out.
METRICS = [
    "recall_15",
    "recall_50",
    "trustworthiness",
    "continuity",
    "triplet_accuracy",
    "distance_correlation",
    "label_accuracy",
    "silhouette",
]
KINDS = {
    "near": ["recall_15", "recall_50", "trustworthiness", "continuity"],
    "far": ["triplet_accuracy", "distance_correlation"],
    "labels": ["label_accuracy", "silhouette"],
}
# n_neighbors of the sample times (rows of all / rows of the sample) to this power is n_neighbors of all.
CARRIED = {"same k": 0.0, "square root": 0.5, "same share": 1.0}
# The cell whose groups are looked for, and how near points have to be of one group.
LOOKED_AT = (15, 0.2)


def groups(path: Path, seed: int) -> None:
    """Write 70,000 rows of groups from 10 rows to half of them, well apart in 20 of 50 dimensions, as a table.

    Parameters
    ----------
    path : Path
        A .parquet file.
    seed : int
    """
    random = np.random.default_rng(seed)
    sizes = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000]
    sizes.append(70000 - sum(sizes))
    label = np.repeat([f"{size} rows" for size in sizes], sizes)
    centres = np.zeros((len(sizes), 50))
    centres[:, :20] = random.normal(scale=2.0, size=(len(sizes), 20))
    points = np.repeat(centres, sizes, axis=0) + random.normal(size=(len(label), 50))
    order = random.permutation(len(label))
    columns = {f"x{column}": points[order, column].astype(np.float32) for column in range(points.shape[1])}
    pd.DataFrame(columns | {"group": label[order]}).to_parquet(path, index=False)


def configuration(
    source: Mapping[str, Any], grid: Mapping[str, Any], sizes: Sequence[int], seeds: Sequence[int]
) -> dict:
    """Return the configuration of a data set, `all`, and of its samples, `rows=…_seed=…` and `…_by_label`."""
    datasets: dict[str, Any] = {"all": dict(source)}
    for rows in sizes:
        for seed in seeds:
            sample = {"rows": rows, "seed": seed}
            datasets[f"sample_{rows}_{seed}"] = {"source": "subset", "of": "all", "sample": sample}
        if "label" in source:
            # A name of its own for the first seed's sample in which each label has its share.
            by = {"rows": rows, "seed": seeds[0], "by": "label"}
            datasets[f"sample_{rows}_{seeds[0]}_by"] = {"source": "subset", "of": "all", "sample": by}
    return {
        "datasets": datasets,
        "knn": {"n_neighbors": max(grid["n_neighbors"]), "seed": SEED, "n_jobs": machine.cores()},
        "grid": {**grid, "seed": [SEED]},
    }


def sweep(folder: Path, dataset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Sweep one of the configured data sets up to its metrics and short list, and return the metrics."""
    results = f"results/{dataset}"
    command = [sys.executable, "-m", "snakemake"]
    command += [f"{results}/{table}.parquet" for table in ("sweep", "metrics", "shortlist")]
    command += ["--snakefile", str(machine.SNAKEFILE), "--cores", str(machine.cores()), "--quiet", "all"]
    command += ["--configfile=config.yaml", "--config", f"dataset={dataset}", f"grid={{seed: {list(seeds)}}}"]
    subprocess.run(command, cwd=folder, check=True, env=environment.without_ours(os.environ))
    frame: pd.DataFrame = store.read(folder / results / "metrics.parquet").to_pandas()
    return frame


def seen(folder: Path, dataset: str) -> pd.DataFrame:
    """Return for each label its `rows`, and how many of the nearest points of these share it, up to 15 of its own.

    A group is seen where that is half or more: it lies together, and apart from the others.
    """
    n_neighbors, min_dist = LOOKED_AT
    table = store.read(folder / "results" / dataset / "sweep.parquet").to_pandas()
    cell = (table.n_neighbors == n_neighbors) & np.isclose(table.min_dist, min_dist) & (table.seed == SEED)
    table = table[cell].dropna(subset=["umap_1"])
    labels = table["label"].to_numpy()
    places = NearestNeighbors(n_neighbors=16).fit(table[["umap_1", "umap_2"]]).kneighbors(return_distance=False)
    found = []
    for label in pd.unique(labels):
        own = np.flatnonzero(labels == label)
        near = places[own, : max(min(15, len(own) - 1), 1)]
        found.append({"label": label, "rows": len(own), "kept": float((labels[near] == label).mean())})
    return pd.DataFrame(found).assign(rows_of_all=len(labels))


def measure(source: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    """Sweep all rows, with two seeds, and the samples, and write what they say.

    Parameters
    ----------
    source : mapping
        The data set's entry in the configuration; `{source: groups}` is made here.
    wanted : mapping
        `sizes`, `seeds` (of the samples) and `grid` (n_neighbors and min_dist).
    out : Path
        A .tsv file. Receives a row for each cell of each sweep: `rows`, `sample_seed` (null for all), `by`,
        `n_neighbors`, `min_dist`, `seed`, the metrics, and `listed`; beside it, `…_groups.tsv` for labelled data.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=out.parent) as name:
        folder = Path(name).absolute()
        if source["source"] == "groups":
            groups(folder / "groups.parquet", SEED)
            source = {"source": "file", "path": "groups.parquet", "label": "group"}
        elif "path" in source:
            source = {**source, "path": str(Path(source["path"]).absolute())}
        config = configuration(source, wanted["grid"], wanted["sizes"], wanted["seeds"])
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        cells, labels = [], []
        for dataset in config["datasets"]:
            metrics = sweep(folder, dataset, [SEED, SEED + 1] if dataset == "all" else [SEED])
            parts = dataset.split("_")
            about = {
                "rows": store.read_record(folder / "results" / dataset / "data" / "data.parquet")["rows"],
                "sample_seed": int(parts[2]) if len(parts) > 2 else None,
                "by": dataset.endswith("_by"),
            }
            listed = store.read(folder / "results" / dataset / "shortlist.parquet").to_pandas()[CELL]
            on_list = set(listed.itertuples(index=False, name=None))
            metrics["listed"] = [cell in on_list for cell in metrics[CELL].itertuples(index=False, name=None)]
            kept = [*CELL, "seed", *(one for one in METRICS if metrics[one].notna().all()), "listed"]
            cells.append(metrics[kept].assign(**about))
            if "label" in source:
                labels.append(seen(folder, dataset).assign(sample_seed=about["sample_seed"], by=about["by"]))
        for path, frames in ((out, cells), (out.with_name(f"{out.stem}_groups.tsv"), labels)):
            if frames:
                with store.appearing(path) as temporary:
                    pd.concat(frames).to_csv(temporary, sep="\t", index=False, float_format="%.6g")


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Return how the cells of samples rank beside those of all rows, and what a choice on a sample loses.

    Parameters
    ----------
    table : pandas.DataFrame
        From `measure`.

    Returns
    -------
    pandas.DataFrame
        For each `metric` and number of `rows`, as means over samples: `ranks` (Spearman's correlation over the cells,
        at the same k), `between seeds` (the same for two seeds of all rows) and, for each way of carrying n_neighbors
        over, what is lost: how much worse, on all rows, the cell is that was best on the sample, as a part of the range
        over all cells.
    """
    every = table[table["sample_seed"].isna()]
    samples = table[table["sample_seed"].notna() & ~table["by"]]
    known = np.array(sorted(every["n_neighbors"].unique()))
    found = []
    for metric in [name for name in METRICS if name in table]:
        seeds = every.pivot_table(index=CELL, columns="seed", values=metric)
        whole = seeds.mean(axis=1)
        for rows, of_size in samples.groupby("rows"):
            ranks: list[float] = []
            lost: dict[str, list[float]] = {name: [] for name in CARRIED}
            for _, sample in of_size.groupby("sample_seed"):
                values = sample.set_index(CELL)[metric]
                ranks.append(spearmanr(values, whole.loc[values.index]).statistic)
                n_neighbors, min_dist = values.idxmax()
                for name, power in CARRIED.items():
                    asked = n_neighbors * (every.rows.iloc[0] / rows) ** power
                    nearest = known[np.argmin(np.abs(np.log(known / asked)))]
                    lost[name].append((whole.max() - whole[nearest, min_dist]) / (whole.max() - whole.min()))
            found.append(
                {
                    "metric": metric,
                    "rows": rows,
                    "ranks": np.mean(ranks),
                    "between seeds": spearmanr(*seeds.to_numpy().T).statistic,
                    **{name: np.mean(values) for name, values in lost.items()},
                }
            )
    return pd.DataFrame(found)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the means of `agreement` over the metrics of each of `KINDS`."""
    found = agreement(table)
    kinds = {metric: kind for kind, metrics in KINDS.items() for metric in metrics}
    numbers = ["ranks", "between seeds", *CARRIED]
    return (
        found.groupby([found["metric"].map(kinds).rename("metrics"), "rows"], sort=False)[numbers].mean().reset_index()
    )


def groups_seen(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each sample size and group how many of its rows a sample has, and how much of it lies together."""
    means = table.groupby(["by", "rows_of_all", "label"])[["rows", "kept"]].mean()
    return means.unstack("rows_of_all")


def lists(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each number of rows how many cells are on the short list, and on that of all rows too, as means."""
    every = set(table[table["sample_seed"].isna() & table["listed"]][CELL].itertuples(index=False, name=None))
    found = []
    for rows, of_size in table[table["sample_seed"].notna() & ~table["by"]].groupby("rows"):
        on_list = [
            set(sample[sample["listed"]][CELL].itertuples(index=False, name=None))
            for _, sample in of_size.groupby("sample_seed")
        ]
        both = [len(one & every) for one in on_list]
        found.append({"rows": rows, "listed": np.mean([len(one) for one in on_list]), "on both": np.mean(both)})
    return pd.DataFrame(found).assign(all=len(every))


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        measure(snakemake.params.source, snakemake.params.wanted, Path(snakemake.output[0]))
elif __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument)
        print(summary(pd.read_csv(argument, sep="\t")).to_markdown(index=False, floatfmt=".2f"))
        print(agreement(pd.read_csv(argument, sep="\t")).to_markdown(index=False, floatfmt=".2f"))
        print(lists(pd.read_csv(argument, sep="\t")).to_markdown(index=False, floatfmt=".1f"))
