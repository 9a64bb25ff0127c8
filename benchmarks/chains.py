"""Hold random whole chains, from features to coordinates, against umap-learn's own call on the same k-NN.

`python benchmarks/chains.py --count 1000 --seed 0` prints a table of what came out, and every case that differs; with
`--only 17` one case is tried by itself. It ends with exit code 1 where a case differs.
"""

import argparse
import logging
import os
import sys
import warnings
from collections import Counter
from typing import Any

from umap_sweep import environment

# Held before numba is imported, as in the pipeline's jobs.
if environment.CPU_VARIABLE not in os.environ:  # tests and tables that import this have set what they run under
    os.environ.update(environment.job_variables(knn_jobs=2, cpu=environment.default_cpu()))

import numpy as np
from threadpoolctl import threadpool_limits
from umap import UMAP
from umap.distances import named_distances

from umap_sweep.arrays import compute_cell, nearest_neighbors
from umap_sweep.errors import InputError
from umap_sweep.settings.schema import schema
from umap_sweep.stages.spectral import deterministic_arpack

BINARY = (
    "dice",
    "jaccard",
    "kulsinski",
    "matching",
    "rogerstanimoto",
    "russellrao",
    "sokalmichener",
    "sokalsneath",
    "yule",
)

OUTCOMES = {
    "equal": "equal, bit for bit",
    "arpack": "umap-learn does not repeat itself; equal with the generator of ARPACK fixed",
    "refused by both": "refused here in words; umap-learn fails too",
    "refused here": "refused here in words; umap-learn gives something",
    "umap-learn fails": "umap-learn fails on what is laid out here",
    "differs": "**differs**",
}


def case(seed: int, number: int) -> dict[str, Any]:
    """Return the features and all parameters of one random case."""
    random = np.random.default_rng([seed, number])
    metric = str(random.choice(schema()["$defs"]["metric"]["enum"]))
    rows = int(random.choice([random.integers(3, 10), random.integers(10, 80), random.integers(80, 400)]))
    columns = 2 if metric in ("haversine", "poincare") else int(random.integers(1, 13))
    kind = str(random.choice(["normal", "whole", "islands", "repeated", "scaled"]))
    features = random.normal(size=(rows, columns))
    if kind == "whole":
        features = np.rint(3 * features)
    elif kind == "islands":
        features += 50 * random.integers(0, random.integers(2, 9), size=(rows, 1))
    elif kind == "repeated":
        features = features[random.integers(0, max(rows // 3, 1), size=rows)]
    elif kind == "scaled":
        features *= 10.0 ** random.integers(-6, 7, size=columns)
    if metric in BINARY:
        features = (features > 0).astype(float)
    elif metric in ("hellinger", "symmetric_kl"):
        features = np.abs(features)
    elif metric == "poincare":
        features /= 1.1 + np.abs(features).max() * columns
    widest = max(min(rows - 1, 40), 2)
    umap: dict[str, Any] = {
        "n_components": int(random.choice([1, 2, 2, 2, 3, 5])),
        "n_epochs": int(random.integers(1, 40)),
        "spread": float(random.choice([0.5, 1.0, 1.0, 2.0])),
        "init": str(random.choice(["spectral", "spectral", "spectral", "random", "pca", "tswspectral"])),
        "learning_rate": float(random.choice([0.3, 1.0, 1.0, 2.0])),
        "repulsion_strength": float(random.choice([0.0, 0.5, 1.0, 1.0, 3.0])),
        "negative_sample_rate": int(random.choice([1, 3, 5, 5, 8])),
        "local_connectivity": float(random.choice([0.0, 0.5, 1.0, 1.0, 1.5, 2.0])),
        "set_op_mix_ratio": float(random.choice([0.0, 0.001, 0.3, 0.7, 1.0, 1.0])),
    }
    k = int(random.integers(2, widest + 1))
    return {
        "features": features.astype(np.float32),
        "kind": kind,
        "metric": metric,
        "k": k,
        "n_neighbors": int(random.integers(2, k + 1)),
        "min_dist": float(np.round(umap["spread"] * random.choice([0.0, 0.1, 0.3, 0.8, 1.0]), 3)),
        "seed": int(random.integers(0, 2**32)),
        "umap": umap,
    }


def plain(one: dict[str, Any], neighbors: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the coordinates by umap-learn's own call."""
    n_neighbors = one["n_neighbors"]
    model = UMAP(
        n_neighbors=n_neighbors,
        min_dist=one["min_dist"],
        random_state=one["seed"],
        metric=one["metric"],
        precomputed_knn=(*(part[:, :n_neighbors].copy() for part in neighbors), None),
        force_approximation_algorithm=True,
        **one["umap"],
    )
    coordinates: np.ndarray = model.fit(one["features"].copy()).embedding_
    return coordinates


def own_neighbors(one: dict[str, Any]) -> np.ndarray:
    """Return the distances of the k-NN that umap-learn computes below 4,096 rows."""
    from sklearn.metrics import pairwise_distances

    matrix = pairwise_distances(one["features"].copy(), metric=named_distances[one["metric"]])
    order = np.argsort(matrix, axis=1, kind="stable")[:, : one["k"]]
    distances: np.ndarray = np.take_along_axis(matrix, order, axis=1)
    return distances


def outcome(one: dict[str, Any]) -> tuple[str, str]:
    """Return which of `OUTCOMES` a case has, and what there is to say of it."""
    try:
        neighbors = nearest_neighbors(one["features"].copy(), one["k"], one["metric"])
        if own_neighbors(one).tobytes() != neighbors[1].tobytes():
            return "differs", "the k-NN's distances"
        cell = (one["features"].copy(), one["n_neighbors"], one["min_dist"], one["seed"], neighbors, one["metric"])
        ours = compute_cell(*cell, **one["umap"])
    except InputError as error:
        ours, said = None, str(error)
    except Exception as error:  # no case should end so
        return "differs", f"a traceback here, {type(error).__name__}: {error}"
    try:
        theirs = plain(one, neighbors) if ours is not None else plain_by_itself(one)
    except Exception as error:  # whatever it raises
        return ("refused by both", said) if ours is None else ("umap-learn fails", f"{type(error).__name__}: {error}")
    if ours is None:
        return "refused here", said
    if ours.tobytes() == theirs.tobytes():
        return "equal", ""
    with deterministic_arpack(1):
        fixed = plain(one, neighbors)
    if ours.tobytes() == fixed.tobytes():
        return "arpack", ""
    return "differs", f"{int((ours != fixed).any(axis=1).sum())} of {len(ours)} rows"


def plain_by_itself(one: dict[str, Any]) -> np.ndarray:
    """Return umap-learn's coordinates with the k-NN that it computes itself, where none was made here."""
    model = UMAP(
        n_neighbors=one["n_neighbors"],
        min_dist=one["min_dist"],
        random_state=one["seed"],
        metric=one["metric"],
        **one["umap"],
    )
    coordinates: np.ndarray = model.fit(one["features"].copy()).embedding_
    return coordinates


def main() -> int:
    """Try the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    found: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    with threadpool_limits(1, user_api="blas"):
        for number in [arguments.only] if arguments.only is not None else range(arguments.count):
            one = case(arguments.seed, number)
            kind, said = outcome(one)
            found[kind] += 1
            if kind in ("differs", "umap-learn fails") or arguments.only is not None:
                about = {name: value for name, value in one.items() if name != "features"}
                print(f"case {number}: {OUTCOMES[kind]}: {said}; {one['features'].shape} {about}", flush=True)
            elif said:
                refusals["".join("0" if letter.isdigit() else letter for letter in said)] += 1
    print("\n| chains | outcome |\n| ---: | --- |")
    for kind, words in OUTCOMES.items():
        print(f"| {found[kind]:,} | {words} |")
    for said, count in refusals.most_common():
        print(f"{count} × {said}", file=sys.stderr)
    return 1 if found["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
