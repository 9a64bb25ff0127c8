"""The exact k-NN of many rows, and what is refused before a k-NN is computed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import store_data
from scipy.spatial.distance import cdist
from test_exactness import clouds

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.stages import knn


def exact(features: np.ndarray, k: int, metric: str = "euclidean", threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact k-NN of float32 features."""
    features = np.ascontiguousarray(features, dtype=np.float32)
    indices, distances, used = knn.nearest_neighbors(
        features, k, metric, "exact", np.random.RandomState(0), 1, threads=threads
    )
    assert used == "exact"
    return indices, distances


@pytest.mark.parametrize(("metric", "scipy_metric"), [("euclidean", "euclidean"), ("manhattan", "cityblock")])
def test_exact_neighbours_are_all_pairs_nearest(metric, scipy_metric):
    features = clouds(4500, 6).astype(np.float32)
    indices, distances = exact(features, 20, metric)
    some = np.arange(0, 4500, 45)
    expected = np.sort(cdist(features[some].astype(float), features.astype(float), scipy_metric), axis=1)[:, :20]
    assert np.allclose(distances[some], expected, rtol=1e-6)
    assert (indices[:, 0] == np.arange(4500)).all()
    assert (distances[:, 0] == 0).all()
    assert (np.diff(distances, axis=1) >= 0).all()


def test_threads_and_ties_do_not_matter():
    """Integer-valued rows in two dimensions: many neighbours at one distance, and duplicates beyond k."""
    features = np.random.RandomState(0).randint(0, 20, size=(9000, 2))
    one, three = exact(features, 12), exact(features, 12, threads=3)
    assert np.array_equal(one[0], three[0])
    assert np.array_equal(one[1], three[1])
    assert (one[0][:, 0] == np.arange(9000)).all()
    assert all(len(set(row)) == 12 for row in one[0])


@pytest.mark.parametrize(
    ("k", "metric", "said"),
    [
        (50, "euclidean", "knn.n_neighbors is 50, but the data has 50 rows; choose at most 49"),
        (5, "haversine", "needs 2 columns"),
        (5, "hellinger", "needs values from 0, but the data has -3"),
    ],
)
def test_refused(k, metric, said):
    features = np.random.RandomState(0).normal(size=(50, 4)).astype(np.float32)
    features[3, 2] = -3
    with pytest.raises(InputError) as refused:
        knn.nearest_neighbors(features, k, metric, "auto", np.random.RandomState(0), 1)
    assert said in str(refused.value)


def test_undefined_distances_are_refused():
    """The Poincaré distance is defined inside the unit ball alone."""
    features = np.random.RandomState(0).uniform(-1, 1, size=(40, 3)).astype(np.float32)
    with pytest.raises(InputError, match=r"undefined \(NaN\) for \d+ of 40 rows"):
        knn.nearest_neighbors(features, 5, "poincare", "auto", np.random.RandomState(0), 1)


def test_nn_descent_is_compiled_once(tmp_path):
    """Of two jobs that start together with nothing compiled, one compiles, and the other loads all of that."""
    data = store_data(tmp_path, np.random.RandomState(0).normal(size=(4200, 6)))
    run = """
import sys
from numba.core import event
from umap_sweep.stages import knn
from pynndescent.pynndescent_ import process_candidates

compiled = []
class Listener(event.Listener):
    def on_start(self, event):
        pass
    def on_end(self, event):
        compiled.append(event.data["dispatcher"].py_func.__module__.partition(".")[0])

event.register("numba:compile", Listener())
knn.compute(*sys.argv[1:3], 10, "euclidean", "auto", int(sys.argv[3]), 1, {}, 1)
stats = process_candidates.stats
print(*(sum(count.values()) for count in (stats.cache_misses, stats.cache_hits)), compiled.count("pynndescent") > 0)
"""
    variables = os.environ | environment.job_variables(1, "x86-64-v3")
    variables |= {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    commands = [[sys.executable, "-c", run, data, tmp_path / f"{seed}.parquet", str(seed)] for seed in (1, 2)]
    jobs = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for command in commands]
    assert sorted(job.communicate()[0] for job in jobs) == ["0 1 False\n", "1 0 True\n"]
    for seed in (1, 2):
        here = tmp_path / "here.parquet"
        knn.compute(data, here, 10, "euclidean", "auto", seed, 1, {}, 1)
        assert store.fingerprint_of(here) == store.fingerprint_of(tmp_path / f"{seed}.parquet")
