"""The start `spectral_lean`: its eigenvectors, and that their bits depend on the graph alone."""

import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from conftest import ROOT, UMAP_DEFAULTS, Stages, snakemake
from scipy.sparse.csgraph import connected_components
from sklearn.datasets import load_digits
from sklearn.datasets import make_blobs as blobs

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.stages import graph, initial_layout, lean_spectral, spectral
from umap_sweep.timing import arms


def symmetric(head: np.ndarray, tail: np.ndarray, weight: np.ndarray, n_rows: int) -> scipy.sparse.coo_matrix:
    """Return a graph with each edge in both directions, by row, as `umap_sweep.stages.fuzzy` makes it."""
    apart = head != tail
    one = scipy.sparse.coo_matrix((weight[apart], (head[apart], tail[apart])), shape=(n_rows, n_rows)).tocsr()
    edges = one.maximum(one.T).tocsr().astype(np.float32)
    edges.sort_indices()
    return edges.tocoo()


def random_graph(seed: int) -> scipy.sparse.coo_matrix:
    """Return a graph of any kind: few or many rows, in one piece or more, weights of one or of many magnitudes."""
    random = np.random.default_rng(seed)
    n_rows = int(random.choice([12, 40, 129, 300, 700, 1500]))
    degree = int(random.choice([2, 5, 15]))
    head = np.repeat(np.arange(n_rows), degree)
    if random.random() < 0.5:  # neighbours in the order of the rows, so that there is a large structure
        tail = np.clip(head + random.integers(-8, 9, size=len(head)), 0, n_rows - 1)
    else:
        tail = random.integers(n_rows, size=len(head))
    magnitudes = random.choice([0, 2, 4])
    weight = 10.0 ** -random.uniform(0, magnitudes, size=len(head)) if magnitudes else np.ones(len(head))
    cuts = random.integers(0, 3)
    piece = np.searchsorted(np.sort(random.integers(n_rows, size=cuts)), np.arange(n_rows))
    whole = piece[head] == piece[tail]
    if random.random() < 0.3:
        whole &= ~np.isin(head, [0, n_rows // 2]) & ~np.isin(tail, [0, n_rows // 2])
    return symmetric(head[whole], tail[whole], weight[whole], n_rows)


def ring(n_rows: int) -> scipy.sparse.coo_matrix:
    rows = np.arange(n_rows)
    return symmetric(rows, (rows + 1) % n_rows, np.ones(n_rows), n_rows)


def complete(n_rows: int) -> scipy.sparse.coo_matrix:
    head, tail = np.nonzero(~np.eye(n_rows, dtype=bool))
    return symmetric(head, tail, np.ones(len(head)), n_rows)


def hypercube(dimensions: int) -> scipy.sparse.coo_matrix:
    rows = np.repeat(np.arange(2**dimensions), dimensions)
    return symmetric(rows, rows ^ np.tile(1 << np.arange(dimensions), 2**dimensions), np.ones(len(rows)), 2**dimensions)


def cliques(count: int, size: int, bridge: float) -> scipy.sparse.coo_matrix:
    """Return cliques in a circle, each held to the next by one weak edge: as many eigenvalues near 1."""
    head, tail = np.nonzero(np.kron(np.eye(count), np.ones((size, size))))
    first = np.arange(count) * size
    weight = np.concatenate([np.ones(len(head)), np.full(count, bridge)])
    return symmetric(np.append(head, first), np.append(tail, np.roll(first, -1) + 1), weight, count * size)


def laplacian(edges: scipy.sparse.coo_matrix) -> np.ndarray:
    dense = edges.toarray().astype(np.float64)
    root = np.sqrt(dense.sum(axis=0))
    return np.eye(len(dense)) - dense / root / root[:, None]


def check_component(edges: scipy.sparse.coo_matrix, vectors: np.ndarray) -> None:
    """Hold the vectors of a connected graph against its dense eigenvectors."""
    matrix, n_vectors = laplacian(edges), vectors.shape[1]
    values, exact = np.linalg.eigh(matrix)
    found = (vectors * (matrix @ vectors)).sum(axis=0)
    assert vectors.T @ vectors == pytest.approx(np.eye(n_vectors), abs=1e-9)
    residuals = np.linalg.norm(matrix @ vectors - found * vectors, axis=0)
    # An eigenvalue is as good as the square of its residual, but among many that are alike no better than the residual.
    crowded = (values[2 : n_vectors + 2] - values[1 : n_vectors + 1] < 0.001 * found)[: len(found)].any()
    assert found == pytest.approx(values[1 : n_vectors + 1], rel=2e-4 if crowded else 1e-6, abs=1e-12)
    assert (residuals <= 1.001 * np.maximum(lean_spectral.TOLERANCE * found, lean_spectral.ROUNDING) + 1e-14).all()
    assert np.abs(exact[:, 0] @ vectors).max() < 1e-7
    # What they span is what the dense ones of these eigenvalues span, up to residual / gap, where there is a gap.
    for end in range(1, n_vectors + 1):
        gap = values[end + 1] - values[end] if end + 1 < len(values) else 1.0
        if gap > 10 * lean_spectral.TOLERANCE * values[end]:
            outside = vectors[:, :end] - exact[:, 1 : end + 1] @ (exact[:, 1 : end + 1].T @ vectors[:, :end])
            assert np.linalg.norm(outside, axis=0).max() <= 2 * np.linalg.norm(residuals[:end]) / gap + 1e-9
    largest = np.abs(vectors).argmax(axis=0)
    assert (vectors[largest, range(n_vectors)] > 0).all()


@pytest.mark.parametrize("seed", range(60))
def test_eigenvectors_are_those_of_the_dense_matrix(seed):
    """Of every component of random graphs; components that umap-learn places at random have none."""
    edges = random_graph(seed)
    n_vectors = int(np.random.default_rng(seed).choice([1, 2, 3, 10]))
    n_pieces, components = connected_components(edges)
    if n_pieces == 1 and len(components) < 2 * n_vectors + 3:
        with pytest.raises(InputError, match="rows"):
            lean_spectral.layout(edges, components, n_vectors)
        return
    vectors, converged = lean_spectral.layout(edges, components, n_vectors)
    assert converged
    for piece in range(n_pieces):
        rows = np.flatnonzero(components == piece)
        if len(rows) < 2 * n_vectors or len(rows) <= n_vectors + 1:
            assert np.isnan(vectors[rows]).all()
        else:
            check_component(edges.tocsr()[rows][:, rows].tocoo(), vectors[rows])


@pytest.mark.parametrize("n_vectors", [2, 10])
@pytest.mark.parametrize(
    "edges",
    [ring(50), ring(400), complete(30), complete(300), hypercube(9), cliques(3, 60, 1e-2), cliques(20, 30, 1e-4)],
    ids=["small ring", "ring", "small complete", "complete", "hypercube", "three cliques", "twenty cliques"],
)
def test_equal_and_crowded_eigenvalues(edges, n_vectors):
    components = np.zeros(edges.shape[0], dtype=np.int32)
    vectors, converged = lean_spectral.layout(edges, components, n_vectors)
    assert converged
    check_component(edges, vectors)
    assert lean_spectral.layout(edges, components, n_vectors)[0].tobytes() == vectors.tobytes()


def test_data_too_small_for_spectral_are_refused():
    with pytest.raises(InputError, match="fewer than 4 rows"):
        spectral.connected_layout(complete(3), 2)
    assert spectral.connected_layout(complete(4), 2).shape == (4, 2)
    edges = complete(6)
    with pytest.raises(InputError, match="spectral_lean cannot place 2 dimensions: the data has 6 rows, fewer than 7"):
        lean_spectral.layout(edges, np.zeros(6, dtype=np.int32), 2)
    lean_spectral.layout(complete(7), np.zeros(7, dtype=np.int32), 2)


def test_what_is_not_found_is_said(monkeypatch, caplog):
    monkeypatch.setattr(lean_spectral, "MOST_PRODUCTS", 20)
    with caplog.at_level(logging.INFO):
        vectors, converged = lean_spectral.layout(ring(5000), np.zeros(5000, dtype=np.int32), 2)
    assert not converged
    assert np.isfinite(vectors).all()
    assert "not found to the tolerance of 0.0001" in caplog.text
    assert "5000 rows: eigenvalues" in caplog.text


HERE = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import numpy as np
from scipy.sparse.csgraph import connected_components
from test_lean_spectral import cliques, random_graph
from umap_sweep.stages import lean_spectral
digest = hashlib.sha256()
for edges in (cliques(20, 30, 1e-4), *map(random_graph, range(20))):
    if edges.shape[0] > 100:
        digest.update(lean_spectral.layout(edges, connected_components(edges)[1], 3)[0].tobytes())
print(digest.hexdigest())
"""


def bits(**variables: str) -> str:
    """Return a digest of the vectors of several graphs, computed by a process under other variables."""
    code = HERE.format(tests=str(ROOT / "tests"))
    inherited = environment.without_ours(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_bits_depend_on_neither_threads_nor_level(tmp_path):
    """Of CPU levels, those that this machine has, and two kernels of OpenBLAS; compiled anew for each."""
    flags = environment._cpu_flags()
    levels = [level for level, needed in environment.LEVEL_FLAGS.items() if not flags or flags.issuperset(needed)]
    found = {}
    for level in levels:
        held = environment.job_variables(1, level) | {"NUMBA_CACHE_DIR": str(tmp_path), environment.CPU_VARIABLE: level}
        found[level] = bits(**held)
    many = {"OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"}
    found["threads"] = bits(**environment.job_variables(4, "native") | many)
    assert len(found) > 1
    assert len(set(found.values())) == 1, found


def test_digits_are_placed_as_by_spectral(tmp_path):
    stages = Stages(tmp_path, load_digits().data)
    for n_neighbors in (10, 15):
        found = {}
        for init in ("spectral", "spectral_lean"):
            vertices = tmp_path / f"{init}.parquet"
            settings = UMAP_DEFAULTS | {"init": init, "n_components": 4}
            graph.compute(stages.knn, tmp_path / "edges.parquet", vertices, n_neighbors, settings)
            found[init] = store.matrix(store.read(vertices), "spectral_")
        assert (np.abs((found["spectral"] * found["spectral_lean"]).sum(axis=0)) > 0.9999).all()
    assert store.read_record(vertices)["eigenvectors_converged"] is True


@pytest.mark.parametrize("centers", [3, 7])
def test_components_are_placed_as_by_spectral(tmp_path, centers):
    """Few components on axes, many by their centroids; the same draws, so that the noise and the generator agree."""
    features, _ = blobs(400, 5, centers=centers, center_box=(-100, 100), random_state=1)
    features = np.concatenate([features, 1000 + np.arange(15).reshape(3, 5)])
    # At distances of about 1 umap-learn's places for many components differ.
    stages = Stages(tmp_path, features / 100, k=6)
    edges, vertices = tmp_path / "edges.parquet", tmp_path / "vertices.parquet"
    starts = {}
    for init in ("spectral", "spectral_lean"):
        settings = UMAP_DEFAULTS | {"init": init}
        out = tmp_path / f"{init}.parquet"
        graph.compute(stages.knn, edges, vertices, 6, settings)
        initial_layout.compute(stages.data, stages.knn, edges, vertices, out, 3, "euclidean", settings)
        starts[init] = store.matrix(store.read(out), "init_")
    record = store.read_record(vertices)
    assert record["connected_components"] >= centers
    exact, lean = starts.values()
    components = store.numbers(store.read(vertices).column("component"))
    for piece in range(record["connected_components"]):
        rows = components == piece
        # The sign of an eigenvector is no more than a convention.
        for axis in range(2):
            one, two = (start[rows, axis].astype(np.float64) for start in (exact, lean))
            one, two = one - one.mean(), two - two.mean()
            # Rounding lets umap-learn shrink some of many components to a point.
            if np.linalg.norm(one) > 0.1:
                assert abs(one @ two) > 0.999 * np.linalg.norm(one) * np.linalg.norm(two)
    states = [store.read_record(tmp_path / f"{init}.parquet")["rng_state"] for init in starts]
    assert states[0] == states[1]


def test_a_notebook_lays_out_the_same_from_the_stored_vectors(tmp_path):
    """The lines of docs/large.md."""
    stages = Stages(tmp_path, load_digits().data[:600])
    ours = stages.cell(10, 0.1, 7, n_epochs=50, init="spectral_lean")
    vectors = store.matrix(store.read(tmp_path / "vertices.parquet"), "spectral_")
    random_state = np.random.RandomState(7)
    random_state.normal(size=(len(vectors), 3))
    start = (vectors * (10 / np.abs(vectors).max())).astype(np.float32)
    start += random_state.normal(scale=0.0001, size=start.shape).astype(np.float32)

    from umap import UMAP

    table = store.read(stages.knn)
    knn = [store.matrix(table, f"{kind}_")[:, :10] for kind in ("index", "distance")]
    model = UMAP(
        n_neighbors=10,
        min_dist=0.1,
        n_epochs=50,
        init=start,
        random_state=random_state,
        precomputed_knn=(*map(np.ascontiguousarray, knn), None),
        force_approximation_algorithm=True,
    )
    assert model.fit(stages.features.astype(np.float32)).embedding_.tobytes() == ours.tobytes()


def test_a_sweep_from_this_start(tmp_path):
    """Its fingerprints repeat, and a change to `spectral` plans graphs and what is made from them."""
    config = {
        "dataset": "iris",
        "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
        "knn": {"n_neighbors": 20},
        "grid": {"n_neighbors": [10, 20], "min_dist": [0.1], "seed": [1]},
        "umap": {"init": "spectral_lean"},
    }
    target = "results/iris/sweep.parquet"
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        run = snakemake(folder, target, config=config, cores=len(found) + 1)
        assert run.code == 0, run.output
        layouts = sorted((folder / "results/iris/layouts").rglob("layout.parquet"))
        found.append([store.fingerprint_of(path) for path in layouts])
    assert len(found[0]) == 2
    assert found[0] == found[1]
    key = store.read_record(next((folder / "results/iris/graph").rglob("vertices.parquet")))["key"]
    assert key["init"] == "spectral_lean"
    config["umap"] = {"init": "spectral"}
    planned = snakemake(folder, target, "--dry-run", config=config).jobs
    assert planned["graph"] == 2
    assert planned["layout"] == 2
    assert "knn" not in planned


def test_a_long_start_is_announced_once(tmp_path):
    """Where the eigenvectors of `spectral` take longer than a layout, and are not made by the lean solver."""
    np.save(tmp_path / "many.npy", np.random.default_rng(0).normal(size=(300_000, 2)).astype(np.float32))
    config = {
        "dataset": "many",
        "datasets": {"many": {"source": "file", "path": "many.npy"}},
        "knn": {"n_neighbors": 15, "seed": [1, 2]},
        "grid": {"n_neighbors": [10, 15], "min_dist": [0.1], "seed": [1]},
    }
    target = "results/many/sweep.parquet"
    fetched = snakemake(tmp_path, "results/many/data/data.parquet", config=config)
    assert fetched.code == 0, fetched.output
    said = "umap.init spectral will take about"
    announced = snakemake(tmp_path, target, "--dry-run", config=config)
    assert announced.code == 0, announced.output
    assert announced.output.count(said) == 1
    lean = snakemake(tmp_path, target, "--dry-run", config=config | {"umap": {"init": "spectral_lean"}})
    assert lean.code == 0, lean.output
    assert said not in lean.output


def test_umap_learn_is_timed_with_its_own_start(tmp_path, monkeypatch):
    monkeypatch.setattr(arms, "run_logged", lambda *_: (0.0, 1.0))
    (tmp_path / "intervals.json").write_text("[]")
    (tmp_path / "seen.jsonl").touch()
    settings = {"knn": {"metric": "euclidean"}, "umap": UMAP_DEFAULTS | {"init": "spectral_lean"}}
    arms.run_umap_learn(tmp_path / "data.parquet", tmp_path, "plain_seeded", [], settings, 15, 1)
    assert json.loads((tmp_path / "task.json").read_text())["umap"]["init"] == "spectral"
