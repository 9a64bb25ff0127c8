"""Print the table on the error of sampled metrics: `python tests/sample_error.py FOLDER [ROWS [SAMPLES [SAMPLE]]]`.

FOLDER holds a finished sweep's results, made with the euclidean metric. The metrics of the cell in the middle of its
grid are computed from all rows, or from all of ROWS drawn once, and, as a sweep does, from SAMPLES samples (10) of
SAMPLE (1,000) of them with other seeds. The last two columns hold the errors that the sweep itself states against the
full value: their mean, and how many of the 95 % intervals hold it. 20,000 rows take two minutes on one core, 70,000
about ten. docs/metrics.md and docs/choosing.md have such tables.
"""

import sys
import tempfile
from pathlib import Path

import conftest  # holds the CPU
import numpy as np
import pandas as pd
import scipy.stats
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist, pdist
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from umap_sweep import store
from umap_sweep.quality import high_dimensional, labels, measures, sampling
from umap_sweep.quality.annotation_metrics import of_label
from umap_sweep.quality.cell_metrics import Cell, Near, columns_of, measure, trustworthiness

# Up to so many rows all pairs and all triplets are counted, from there on this many random ones of either.
COUNTED_ROWS, DRAWN = 2000, 4_000_000
BLOCK_ROWS = 512


def of_all_rows(features: np.ndarray, points: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """Return the full values, from the ranks and neighbours of every row among all others."""
    n_rows = len(features)
    tree = cKDTree(points)
    low = measures.nearest(tree, points, np.arange(n_rows), 150)
    high = np.empty_like(low)
    ranks, low_ranks = np.empty((n_rows, 15)), np.empty((n_rows, 15))
    for start in range(0, n_rows, BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, n_rows))
        for row, distances in zip(rows, high_dimensional.distances_from(features, rows, "euclidean"), strict=True):
            of_row, nearest = exact_ranks(distances, row)
            ranks[row], high[row] = of_row[low[row, :15]], nearest[1:151]
        low_ranks[rows] = measures.ranks_within(tree, points[rows], high[rows, :15])
    whole = all_pairs_and_triplets if n_rows <= COUNTED_ROWS else many_pairs_and_triplets
    return {
        "recall_50": measures.overlap(high[:, :50], low[:, :50]).mean(),
        "recall_150": measures.overlap(high, low).mean(),
        "trustworthiness": measures.trustworthiness(ranks, 15, n_rows),
        "continuity": measures.trustworthiness(low_ranks, 15, n_rows),
        **whole(features, points),
        "silhouette": silhouette_score(points[codes >= 0], codes[codes >= 0]),
    }


def exact_ranks(distances: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of all rows by their distance from one, and the rows in that order."""
    order = high_dimensional.order_by_distance(distances[None], np.array([row]))[0]
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks, order


def all_pairs_and_triplets(features: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """Return what all pairs and all triplets say."""
    kept = unequal = 0
    for row in range(len(features)):
        high = cdist(features[row, None], np.delete(features, row, axis=0))[0]
        low = cdist(points[row, None], np.delete(points, row, axis=0))[0]
        nearer = high[:, None] < high
        unequal += np.count_nonzero(nearer)
        kept += np.count_nonzero(nearer & (low[:, None] < low))
    return {
        "triplet_accuracy": kept / unequal,
        "distance_correlation": scipy.stats.spearmanr(pdist(features), pdist(points)).statistic,
    }


def many_pairs_and_triplets(features: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """Return what random pairs and triplets say, so many that their own error is far below that of a sample."""
    draw = np.random.default_rng(1234)
    row, first, second = (draw.integers(0, len(features), DRAWN, dtype=np.int32) for _ in range(3))
    three = (row != first) & (row != second) & (first != second)
    row, first, second = row[three], first[three], second[three]
    others = first, second
    high, also_high = (high_dimensional.distances_of_pairs(features, row, other, "euclidean") for other in others)
    low, also_low = (measures.distances(points, row, other) for other in others)
    kept = np.where(high < also_high, low < also_low, also_low < low)
    return {
        "triplet_accuracy": kept[high != also_high].mean(),
        "distance_correlation": scipy.stats.spearmanr(high, low).statistic,
    }


def of_a_sample(
    folder: Path, data: Path, points: np.ndarray, codes: np.ndarray, seed: int, size: int
) -> dict[str, float | int]:
    """Return what a sweep measures from a sample, and its errors."""
    names = ("sample", "ranks", "pairs", "triplets")
    sample, ranks, pairs, triplets = (folder / f"{name}.parquet" for name in names)
    metrics = {"full_up_to": 100, "sample": size, "seed": seed}
    high_dimensional.compute(data, sample, ranks, pairs, triplets, "euclidean", {}, metrics)
    sampled = store.read(sample)
    cell = Cell(points, store.numbers(sampled.column("row")), store.from_lists(sampled.column("neighbors")))
    neighbors = cell.neighbors()
    blocks = store.read_binary_rows(ranks, "ranks", "<u2")
    ((trustworthy, of_rows),) = trustworthiness([Near(cell, neighbors)], blocks)
    numbers, contributions = measure(cell, columns_of(pairs), columns_of(triplets))
    share = size / len(points)
    for name, values in (contributions | {"trustworthiness": of_rows}).items():
        numbers[f"{name}_sample_error"] = sampling.error(values, sampling.share_of(name, share))
    numbers |= of_label(points, neighbors, codes, store.numbers(sampled.column("row")))
    return numbers | {"trustworthiness": trustworthy}


def main(folder: Path, most: int | None, samples: int, size: int) -> None:
    """Print the table of one cell in the middle of the grid."""
    features = store.read_features(folder / "data" / "data.parquet")
    paths = sorted(folder.glob("embeddings/**/embedding.parquet"))
    path = paths[len(paths) // 2]
    table = store.read(path)
    most = most or len(features)
    rows = high_dimensional.choose_rows(len(features), most, most, 0)
    features, points = features[rows], store.matrix(table, "umap_")[rows]
    codes = labels.category_codes(table.column("label").combine_chunks())[rows]
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        data = conftest.store_data(Path(name), features)
        sampled = pd.DataFrame([of_a_sample(Path(name), data, points, codes, seed, size) for seed in range(samples)])
        full = of_all_rows(features, points, codes)
    print(f"{folder.name}, {len(rows):,} rows, {samples} samples of {size:,}, {path.parent}\n")
    head = ["metric", "full", "mean of samples", "standard deviation", "largest error", "stated error", "95 % hold it"]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name, value in full.items():
        found = sampled[name]
        error, stated = np.abs(found - value), sampled[f"{name}_sample_error"]
        numbers = [value, found.mean(), found.std(), error.max(), stated.mean()]
        holds = (error <= 1.96 * stated).mean()
        print(f"| {name} | {' | '.join(f'{number:.4f}' for number in numbers)} | {holds:.0%} |")


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[2:]]
    main(Path(sys.argv[1]), *(given + [None, 10, 1000][len(given) :]))
