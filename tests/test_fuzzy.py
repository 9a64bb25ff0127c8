"""The fuzzy graph is umap-learn's own, bit for bit, on k-NN drawn wide."""

import numba
import numpy as np
import pytest

from umap_sweep.stages import fuzzy, graph

ROWS = 1500


def random_knn(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return indices, sorted distances and a local_connectivity: duplicates, infinities, far and near scales."""
    random = np.random.RandomState(seed)
    k = int(random.choice([2, 3, 5, 15, 40]))
    distances = np.abs(random.normal(size=(ROWS, k)) ** random.choice([1, 3, 6]))
    distances = np.sort(distances * random.choice([1e-8, 1e-3, 1, 1e6]), axis=1).astype(np.float32)
    distances[:, 0] = 0
    if seed % 3 == 0:
        distances[:300, : max(2, k // 2)] = 0
    if seed % 4 == 0:
        distances[300:400] = 0
    if seed % 5 == 0:
        distances[500:600, -1] = np.inf
    indices = np.stack([random.choice(ROWS, k, replace=False) for _ in range(ROWS)]).astype(np.int32)
    indices[:, 0] = np.arange(ROWS)
    indices[np.isinf(distances)] = -1
    return indices, distances, float(random.choice([1.0, 0.3, 1.5, 2.7])) if k > 3 else 1.0


@pytest.mark.parametrize("seed", range(24))
def test_bits_of_umap_learn(seed):
    from umap.umap_ import compute_membership_strengths, fuzzy_simplicial_set, smooth_knn_dist

    numba.set_num_threads(1)  # umap-learn's mean of all distances depends on it
    indices, distances, local_connectivity = random_knn(seed)
    mix = (1.0, 1.0, 0.4, 0.1)[seed % 4]
    sigmas, rhos = smooth_knn_dist(distances, float(indices.shape[1]), local_connectivity=local_connectivity)
    _, _, strengths, _ = compute_membership_strengths(indices, distances, sigmas, rhos)
    found = fuzzy.membership_strengths(indices, distances, local_connectivity)
    assert np.array_equal(found.ravel().view(np.uint32), strengths.view(np.uint32))

    whole, _, _ = fuzzy_simplicial_set(
        np.empty((ROWS, 0)),
        indices.shape[1],
        None,
        "euclidean",
        knn_indices=indices.copy(),
        knn_dists=distances.copy(),
        set_op_mix_ratio=mix,
        local_connectivity=local_connectivity,
    )
    disconnected = np.asarray(whole.sum(axis=1)).ravel() == 0
    # As umap.umap_.simplicial_set_embedding prepares it for 200 epochs.
    expected = whole.tocoo()
    expected.sum_duplicates()
    expected.data[expected.data < expected.data.max() / 200.0] = 0.0
    expected.eliminate_zeros()
    edges, found_disconnected = graph.fuzzy_graph(indices, distances, "euclidean", 200, mix, local_connectivity)
    assert np.array_equal(edges.row, expected.row)
    assert np.array_equal(edges.col, expected.col)
    assert np.array_equal(edges.data.view(np.uint32), expected.data.view(np.uint32))
    assert np.array_equal(found_disconnected, disconnected)
