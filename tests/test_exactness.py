"""Every cell equals umap-learn's own call on the pruned k-NN, and the k-NN is umap-learn's own, bit for bit."""

import chains
import numpy as np
import pytest
from conftest import Stages
from sklearn.datasets import load_digits

from umap_sweep.errors import InputError
from umap_sweep.stages.spectral import deterministic_arpack

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:umap")


def assert_same_bits(found: np.ndarray, expected: np.ndarray) -> None:
    """Hold two arrays against each other by their bits, so that NaN equals NaN and 0 does not equal -0."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    differing = int((found.view(np.uint32) != expected.view(np.uint32)).any(axis=1).sum())
    assert differing == 0, f"{differing} of {len(found)} rows differ"


def clouds(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Return real-valued rows around five centres, none of them an integer."""
    random = np.random.RandomState(seed)
    return random.normal(size=(rows, columns)) + 3.0 * random.normal(size=(5, columns))[random.randint(0, 5, rows)]


@pytest.mark.parametrize("n_neighbors", [5, 15])
@pytest.mark.parametrize("min_dist", [0.0, 0.9])
@pytest.mark.parametrize("seed", [3, 10])
def test_small_real_valued_data(tmp_path, n_neighbors, min_dist, seed):
    stages = Stages(tmp_path, clouds(600, 12))
    assert_same_bits(stages.cell(n_neighbors, min_dist, seed), stages.plain(n_neighbors, min_dist, seed))


def test_digits(tmp_path):
    stages = Stages(tmp_path, load_digits().data, k=50)
    assert_same_bits(stages.cell(30, 0.2, 10), stages.plain(30, 0.2, 10))


@pytest.mark.parametrize("rows", [4095, 4096, 5100])
def test_around_the_row_count_where_umap_changes_its_way(tmp_path, rows):
    stages = Stages(tmp_path, clouds(rows, 10), k=20)
    assert_same_bits(stages.cell(12, 0.1, 10, n_epochs=60), stages.plain(12, 0.1, 10, n_epochs=60))


@pytest.mark.parametrize("rows", [700, 4500])
def test_duplicated_rows(tmp_path, rows):
    """Thirty copies of some rows: more than n_neighbors, so that all their distances are 0."""
    features = clouds(rows, 8)
    features[:60] = features[0]
    features[100:130] = features[100]
    stages = Stages(tmp_path, features, k=20)
    assert_same_bits(stages.cell(10, 0.1, 10, n_epochs=80), stages.plain(10, 0.1, 10, n_epochs=80))


@pytest.mark.parametrize(("components", "seed"), [(2, 10), (3, 11), (7, 10), (7, 12)])
@pytest.mark.parametrize("n_components", [2, 3])
def test_graph_of_several_components(tmp_path, components, seed, n_components):
    """Up to twice n_components umap-learn places them on the axes, beyond that by their centroids."""
    random = np.random.RandomState(1)
    centres = 1000.0 * random.normal(size=(components, 6))
    features = np.concatenate([centre + random.normal(size=(60 + 5 * i, 6)) for i, centre in enumerate(centres)])
    stages = Stages(tmp_path, features)
    assert_same_bits(
        stages.cell(8, 0.1, seed, n_components=n_components), stages.plain(8, 0.1, seed, n_components=n_components)
    )


def small_groups(scale: float) -> np.ndarray:
    """Return 140 rows, of which 39 are groups of three and the distance of the groups is about `scale`."""
    random = np.random.RandomState(1)
    features = np.concatenate([scale * random.normal(size=(40, 5)), random.normal(size=(100, 5))])
    features[:39] = np.repeat(features[:13], 3, axis=0) + 0.01 * random.normal(size=(39, 5))
    return features


def test_components_of_few_rows(tmp_path):
    """Components of up to three rows are placed at random by umap-learn."""
    stages = Stages(tmp_path, small_groups(3.0), k=3)
    assert_same_bits(stages.cell(3, 0.1, 10), stages.plain(3, 0.1, 10))


@pytest.mark.parametrize(
    ("features", "n_neighbors"),
    [(np.eye(300), 5), (small_groups(1e4), 2)],
    ids=["rows all at one distance", "components far apart"],
)
def test_deterministic_where_umap_is_not(tmp_path, features, n_neighbors):
    """ARPACK asks for random vectors here, which SciPy draws from the operating system's entropy."""
    stages = Stages(tmp_path, features)
    cell = stages.cell(n_neighbors, 0.1, 10)
    plain = [stages.plain(n_neighbors, 0.1, 10) for _ in range(3)]
    assert not all(np.array_equal(plain[0], other) for other in plain[1:]), "umap-learn repeats itself now"
    for _ in range(3):
        assert_same_bits(stages.cell(n_neighbors, 0.1, 10), cell)
    with deterministic_arpack():
        assert_same_bits(cell, stages.plain(n_neighbors, 0.1, 10))


@pytest.mark.parametrize("rows", [500, 4200])
@pytest.mark.parametrize("metric", ["jaccard", "cosine"])
def test_metric_that_disconnects_rows(tmp_path, rows, metric):
    """Rows at the greatest distance from all others keep their row, with NaN coordinates."""
    random = np.random.RandomState(2)
    features = np.zeros((rows, 60))
    if metric == "jaccard":
        features[:, :40] = random.uniform(size=(rows, 40)) < 0.3
        for place, row in enumerate((3, 77, 401)):  # each has a column to itself
            features[row] = 0
            features[row, 40 + place] = 1
    else:
        features[:] = random.uniform(0.1, 1, size=features.shape)
        features[[3, 77]] = -1.0
        features[3, 1], features[77, 2] = -30.0, -20.0
    stages = Stages(tmp_path, features, metric=metric)
    found = stages.cell(10, 0.2, 10, n_epochs=100)
    assert_same_bits(found, stages.plain(10, 0.2, 10, n_epochs=100))
    if metric == "jaccard":
        assert np.flatnonzero(np.isnan(found).all(axis=1)).tolist() == [3, 77, 401]


@pytest.mark.parametrize("init", ["random", "pca", "tswspectral"])
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_other_inits(tmp_path, init, n_components):
    stages = Stages(tmp_path, clouds(500, 9))
    umap = {"init": init, "n_components": n_components}
    assert_same_bits(stages.cell(10, 0.3, 7, **umap), stages.plain(10, 0.3, 7, **umap))


@pytest.mark.parametrize(
    "umap",
    [
        {"n_epochs": 7},
        {"n_epochs": 11, "learning_rate": 0.3},
        {"spread": 2.5, "repulsion_strength": 0.4},
        {"negative_sample_rate": 1},
        {"negative_sample_rate": 13, "repulsion_strength": 0.0},
        {"local_connectivity": 2.7},
        {"local_connectivity": 0.0, "set_op_mix_ratio": 0.3},
        {"set_op_mix_ratio": 0.0},
        {"disconnection_distance": 3.0},
    ],
    ids=str,
)
def test_other_parameters(tmp_path, umap):
    stages = Stages(tmp_path, clouds(500, 9))
    assert_same_bits(stages.cell(10, 0.3, 7, **umap), stages.plain(10, 0.3, 7, **umap))


def test_rows_whose_every_edge_is_too_weak(tmp_path):
    """umap-learn gives them no place, because it looks for rows without edges after it has dropped the weak ones."""
    stages = Stages(tmp_path, load_digits().data)
    found = stages.cell(10, 0.1, 10, set_op_mix_ratio=0.0)
    assert_same_bits(found, stages.plain(10, 0.1, 10, set_op_mix_ratio=0.0))
    assert np.isnan(found).all(axis=1).sum() == 37


@pytest.mark.parametrize(("rows", "n_components"), [(4, 2), (5, 2), (6, 2), (4, 1), (60, 40)])
def test_small_graphs(tmp_path, rows, n_components):
    """SciPy takes no more Lanczos vectors than there are rows."""
    stages = Stages(tmp_path, clouds(rows, 50), k=rows - 1)
    umap = {"n_components": n_components, "n_epochs": 20}
    assert_same_bits(stages.cell(rows - 1, 0.1, 10, **umap), stages.plain(rows - 1, 0.1, 10, **umap))


@pytest.mark.parametrize("rows", [200, 4200])
def test_a_metric_that_writes_into_its_rows(tmp_path, rows):
    """symmetric_kl makes each row sum to 1 as it is measured, so that what was measured before decides last bits."""
    stages = Stages(tmp_path, np.abs(clouds(rows, 6)), metric="symmetric_kl", k=12)
    assert_same_bits(stages.cell(8, 0.1, 10, n_epochs=20), stages.plain(8, 0.1, 10, n_epochs=20))


@pytest.mark.parametrize("rows", [300, 4300])
@pytest.mark.parametrize("metric", ["manhattan", "minkowski", "correlation", "hellinger", "canberra", "l2"])
def test_other_metrics(tmp_path, rows, metric):
    metric_kwds = {"p": 3.0} if metric == "minkowski" else {}
    stages = Stages(tmp_path, np.abs(clouds(rows, 9)), metric=metric, metric_kwds=metric_kwds)
    assert_same_bits(
        stages.cell(10, 0.3, 7, n_epochs=40, metric_kwds=metric_kwds), stages.plain(10, 0.3, 7, n_epochs=40)
    )


def knn_arrays(stages: Stages) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and distances of the stored k-NN."""
    from umap_sweep.stages import graph

    return graph.prune(stages.knn, stages.k)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_knn_is_umaps_own_below_4096_rows(tmp_path, metric):
    from sklearn.metrics import pairwise_distances
    from umap.distances import named_distances
    from umap.umap_ import nearest_neighbors

    stages = Stages(tmp_path, clouds(900, 10), metric=metric, k=40)
    matrix = pairwise_distances(stages.features.astype(np.float32), metric=named_distances[metric])
    expected = nearest_neighbors(matrix, 40, "precomputed", {}, False, None)
    indices, distances = knn_arrays(stages)
    assert np.array_equal(indices, expected[0])
    assert np.array_equal(distances.view(np.uint64), expected[1].view(np.uint64))


@pytest.mark.parametrize("rows", [200, 4300])
def test_knn_of_a_metric_that_writes_into_its_rows(tmp_path, rows):
    from sklearn.metrics import pairwise_distances
    from umap.distances import named_distances
    from umap.umap_ import nearest_neighbors

    stages = Stages(tmp_path, np.abs(clouds(rows, 6)), metric="symmetric_kl", k=12)
    features = np.ascontiguousarray(stages.features, dtype=np.float32)
    if rows < 4096:
        matrix = pairwise_distances(features.copy(), metric=named_distances["symmetric_kl"])
        expected = nearest_neighbors(matrix, 12, "precomputed", {}, False, None)
    else:
        random_state = np.random.RandomState(10)
        expected = nearest_neighbors(features.copy(), 12, "symmetric_kl", {}, False, random_state, n_jobs=1)
    for found, other in zip(knn_arrays(stages), expected[:2], strict=True):
        assert found.tobytes() == other.astype(found.dtype).tobytes()


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_knn_is_umaps_own_from_4096_rows(tmp_path, n_jobs):
    from umap.umap_ import nearest_neighbors

    stages = Stages(tmp_path, clouds(4600, 10), k=40, n_jobs=n_jobs)
    random_state = np.random.RandomState(10)
    features = stages.features.astype(np.float32)
    expected = nearest_neighbors(features, 40, "euclidean", {}, False, random_state, n_jobs=n_jobs)
    indices, distances = knn_arrays(stages)
    assert np.array_equal(indices, expected[0])
    assert np.array_equal(distances.view(np.uint32), expected[1].view(np.uint32))
    assert stages.n_jobs == n_jobs


@pytest.mark.parametrize("number", [675, 685, 962])
def test_a_graph_with_undefined_weights_is_refused(tmp_path, number):
    """umap-learn lays it out, and what it shows is chance."""
    one = chains.case(1, number)
    stages = Stages(tmp_path, one["features"], metric=one["metric"], k=one["k"])
    with pytest.raises(InputError, match=r"have an undefined weight.*Use umap\.local_connectivity 1"):
        stages.cell(one["n_neighbors"], one["min_dist"], one["seed"], **one["umap"])


def test_distances_beyond_numbers_are_said_to_be_that(tmp_path):
    random = np.random.RandomState(0)
    with pytest.raises(InputError, match="beyond what numbers can hold: values of the features reach"):
        Stages(tmp_path, random.uniform(-3e38, 3e38, size=(60, 3)))
    groups = np.repeat([-3.3e38, 0.0, 3.3e38], 20)[:, None] + random.uniform(0, 1e36, size=(60, 3))
    stages = Stages(tmp_path, groups, metric="chebyshev")
    with pytest.raises(InputError, match="components are undefined under the metric, or beyond what numbers can hold"):
        stages.cell(8, 0.1, 10, n_epochs=20, n_components=1)
