"""Print the table of docs/metrics.md on the error of sampled metrics: `python tests/sample_error.py FOLDER [ROWS]`.

FOLDER holds a finished sweep's results. Its cells' metrics are computed in full, on all rows or on ROWS of them drawn
once, and from ten samples of 1,000 rows with other seeds.
"""

import sys
import tempfile
from pathlib import Path

import conftest  # puts the scripts on the path, and holds the CPU
import high_dimensional
import numpy as np
import pandas as pd
from cell_metrics import Cell, columns_of, measure
from umap_sweep import labels, store

SAMPLE, SEEDS = 1000, range(10)
NAMES = ["recall_50", "recall_150", "trustworthiness", "continuity", "triplet_accuracy", "distance_correlation"]


def numbers(folder: Path, data: Path, points: np.ndarray, codes: np.ndarray, metrics: dict) -> dict:
    """Return the metrics of one embedding, from as many rows as `metrics` says."""
    names = ("sample", "ranks", "pairs", "triplets")
    sample, ranks, pairs, triplets = (folder / f"{name}.parquet" for name in names)
    high_dimensional.compute(data, sample, ranks, pairs, triplets, "euclidean", {}, metrics)
    sampled = store.read(sample)
    cell = Cell(points, sampled.column("row").to_numpy(), store.from_lists(sampled.column("neighbors")))
    blocks = store.read_binary_rows(ranks, "ranks", "<u2")
    return measure(cell, cell.neighbors(), blocks, columns_of(pairs), columns_of(triplets), codes)


def main(folder: Path, most: int) -> None:
    """Print the table of one cell in the middle of the grid."""
    features = store.read_features(folder / "data" / "data.parquet")
    paths = sorted(folder.glob("embeddings/**/embedding.parquet"))
    table = store.read(paths[len(paths) // 2])
    rows = high_dimensional.choose_rows(len(features), most, most, 0)
    points, label = store.matrix(table, "umap_")[rows], table.column("label").combine_chunks().take(rows)
    codes = labels.category_codes(label)
    with tempfile.TemporaryDirectory() as name:
        data = conftest.store_data(Path(name), features[rows])
        full = numbers(Path(name), data, points, codes, {"full_up_to": len(rows), "sample": len(rows), "seed": 0})
        settings = [{"full_up_to": 100, "sample": SAMPLE, "seed": seed} for seed in SEEDS]
        sampled = pd.DataFrame([numbers(Path(name), data, points, codes, one) for one in settings])
    print(f"{folder.name}, {len(rows):,} rows, {paths[len(paths) // 2].parent}\n")
    print("| metric | full | mean of samples | standard deviation | largest error |\n| --- | --- | --- | --- | --- |")
    for name in [*NAMES, "silhouette"]:
        values = sampled[name]
        error = np.abs(values - full[name]).max()
        print(f"| {name} | {full[name]:.4f} | {values.mean():.4f} | {values.std():.4f} | {error:.4f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000)
