"""Tell how often `choose` errs: decisions between settings of which it is known whether they differ.

Many seeds of a few settings on a small data set are laid out once. Each simulated decision draws other seeds from them,
as `choose` would have run them, and decides as `choose` does, look by look. Between a setting and the same setting
under other seeds, and between min_dist 0.1 and 0.101, nothing should be told apart; min_dist 0 and 0.9 should be.

`python benchmarks/decisions.py` prints the table of docs/choosing.md.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from umap_sweep import environment

# Held before numba is imported, as in the pipeline's jobs.
os.environ.update(environment.job_variables(knn_jobs=1, cpu="x86-64-v3"))

import numpy as np
import pandas as pd
import sklearn.datasets
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

import umap_sweep
from umap_sweep.cells.looks import seeds_of_looks
from umap_sweep.quality import cell_metrics, choice, high_dimensional
from umap_sweep.quality.comparisons import HIGHER, LOWER, Measured, compare_all, covariance
from umap_sweep.quality.seeds import SETTING, overlap_by_seed

K = 50
POOL = {"A": (15, 0.1), "A'": (15, 0.101), "B": (15, 0.0), "C": (15, 0.9), "D": (50, 0.1)}

# What is decided between: the names of the settings in `POOL`, of which the last may be the first under other seeds.
CASES = {
    "one setting under two sets of seeds": ("A", "A"),
    "min_dist 0.1 and 0.101": ("A", "A'"),
    "one setting twice, in a grid of five": ("A", "B", "C", "D", "A"),
    "min_dist 0 and 0.9": ("B", "C"),
    "min_dist 0 and 0.9, in a grid of five": ("B", "C", "A", "D", "A'"),
}
DIFFER = {"min_dist 0 and 0.9", "min_dist 0 and 0.9, in a grid of five"}


class Pool:
    """The settings of `POOL` under many seeds, measured as a sweep measures them.

    Attributes
    ----------
    seeds : mapping of str to int
        How many each setting has.
    numbers : dict of str to dict of str to ndarray of float64, shape (seeds,)
        By setting and metric.
    kept : dict of str to ndarray of float32, shape (seeds, triplets)
        Which triplets each cell has in order.
    shared : dict of str to ndarray of float64, shape (seeds, seeds)
        How much the neighbourhoods of every two seeds have in common.
    """

    def __init__(self, features: np.ndarray, seeds: Mapping[str, int]) -> None:
        rows = len(features)
        distances = cdist(features, features)
        order = high_dimensional.order_by_distance(distances.astype(np.float32), np.arange(rows))
        exact = order[:, 1:151].astype(np.int32)
        row, first, second = high_dimensional.choose_triplets(rows, 0)
        nearer = distances[row, first] < distances[row, second]
        triplets = {"row": row, "near": np.where(nearer, first, second), "far": np.where(nearer, second, first)}
        triplets = {name: values[distances[row, first] != distances[row, second]] for name, values in triplets.items()}
        nothing = {"first": np.zeros(0, np.int32), "second": np.zeros(0, np.int32), "distance_rank": np.zeros(0)}
        neighbors = umap_sweep.nearest_neighbors(features, K)
        self.seeds, self.numbers, self.kept, self.shared = seeds, {}, {}, {}
        for name, count in seeds.items():
            cells, is_near = [], np.zeros((count, rows, rows), dtype=np.float32)
            for seed in range(count):
                points = umap_sweep.compute_cell(features, *POOL[name], seed, neighbors)
                cell = cell_metrics.Cell(points, np.arange(rows), exact)
                cells.append(cell_metrics.measure(cell, nothing, triplets))
                np.put_along_axis(is_near[seed], cell.neighbors().astype(np.int64), 1.0, axis=1)
            flat = is_near.reshape(count, -1)
            self.shared[name] = (flat @ flat.T).astype(np.float64) / flat[0].sum()
            self.kept[name] = np.array([kept["triplet_accuracy"] for _, kept in cells])
            self.numbers[name] = {
                metric: np.array([numbers[metric] for numbers, _ in cells])
                for metric in ("recall_15", "triplet_accuracy")
            }
            print(f"{name}: {count} seeds", flush=True)


def decide(
    pool: Pool, names: tuple[str, ...], looks: list[list[int]], worth: float, drawn: list[np.ndarray]
) -> tuple[bool, int]:
    """Return whether the first two settings were told apart by any criterion, and the seeds spent.

    Parameters
    ----------
    pool : Pool
    names : tuple of str
        Of the settings.
    looks : list of list of int
        From `seeds_of_looks`.
    worth : float
    drawn : list of ndarray of int
        For each setting, which seed of the pool stands for each seed of the looks.
    """
    left = list(range(len(names)))
    pairs_at_first = len(names) * (len(names) - 1) // 2
    for number, seeds in enumerate(looks, 1):
        of_look = [(place, names[place], drawn[place][seeds]) for place in left]
        # Settings are told apart by n_neighbors, which is their place here.
        index = pd.MultiIndex.from_tuples([(place, 0.0, K) for place in left], names=SETTING)
        found = {
            metric: pd.DataFrame([pool.numbers[name][metric][own] for _, name, own in of_look], index)
            for metric in ("recall_15", "triplet_accuracy")
        }
        found["neighbor_overlap"] = overlap_by_seed(pd.concat([pairs(pool, *one) for one in of_look]))
        kept = [pool.kept[name][own].mean(axis=0) for _, name, own in of_look]
        measured = {name: Measured(values, np.zeros((len(left),) * 2), 0) for name, values in found.items()}
        measured["triplet_accuracy"].sample, measured["triplet_accuracy"].units = covariance(kept, 0.0), len(kept[0])
        compared = compare_all(measured, choice.share_of_look(number), pairs_at_first)
        asked = compared[(compared["n_neighbors"] == 0) & (compared["other_n_neighbors"] == 1)]
        if asked["verdict"].isin([HIGHER, LOWER]).any():
            return True, len(seeds)
        if number == len(looks) or choice.stands(compared, worth):
            break
        if len(left) > 2:  # of two, none is dropped that is not told apart
            table = pd.DataFrame({name: values.mean(axis=1) for name, values in found.items()}).reset_index()
            table, _, done = choice.decide(table, measured, number, worth, False, pairs_at_first)
            left = [int(place) for place in table[table["status"] == choice.CONTENDER]["n_neighbors"]]
            if done or not {0, 1} <= set(left):
                break
    return False, len(seeds)


def pairs(pool: Pool, place: int, name: str, own: np.ndarray) -> pd.DataFrame:
    """Return how much the neighbourhoods of every two seeds of one setting have in common."""
    first, second = np.triu_indices(len(own), 1)
    return pd.DataFrame(
        {"n_neighbors": place, "min_dist": 0.0, "knn_k": K, "seed": first, "other_seed": second}
        | {"neighbor_overlap": pool.shared[name][own[first], own[second]]}
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decisions", type=int, default=300)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--pool", type=int, default=300, help="seeds of the settings that do not differ")
    parser.add_argument("--others", type=int, default=120, help="seeds of each other setting")
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 10, 20], help="budgets, as choose.seeds")
    parser.add_argument("--worth", type=float, default=0.005)
    options = parser.parse_args()
    features = sklearn.datasets.load_digits().data[: options.rows].astype(np.float32)
    with threadpool_limits(1):
        pool = Pool(features, {name: options.pool if name in ("A", "A'") else options.others for name in POOL})
        print_table(pool, options.decisions, options.seeds, options.worth)


def print_table(pool: Pool, decisions: int, budgets: list[int], worth: float) -> None:
    """Print how often the first two of each case are told apart."""
    print("\n| between | most seeds | told apart in any criterion | seeds spent, mean |")
    print("| --- | --- | --- | --- |")
    for case, names in CASES.items():
        # The two that are asked about stand first and second.
        names = (names[0], names[-1], *names[1:-1]) if case not in DIFFER else names
        for budget in budgets:
            looks = seeds_of_looks([0], budget)
            found = []
            for number in range(decisions):
                order = np.random.default_rng([number, budget]).permutation(min(pool.seeds[name] for name in names))
                # As seeds are shared by all settings, but for the one that is another's twin under other seeds.
                drawn = [order[:budget]] * len(names)
                if names[0] == names[1]:
                    drawn[1] = order[budget : 2 * budget]
                found.append(decide(pool, names, looks, worth, drawn))
            told, spent = (np.mean(values) for values in zip(*found, strict=True))
            print(f"| {case} | {budget} | {told:.1%} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
