"""The layout kernel gives umap-learn's own bits, whatever the graph, the positions and the parameters."""

import numpy as np
import pytest

from umap_sweep.cells import curve
from umap_sweep.stages import layout, vectors
from umap_sweep.stages.lanes import LANES

CASES = 60


def random_case(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, float]]:
    """Return initial positions, a graph and parameters, drawn wide."""
    random = np.random.RandomState(seed)
    n_vertices = int(random.choice([2, 3, 17, 200, 900]))
    n_components = int(random.choice([1, 2, 2, 2, 2, 3, 5]))
    n_edges = int(random.choice([1, 5, 40, 12])) * n_vertices
    head = np.sort(random.randint(0, n_vertices, n_edges)).astype(np.int32)
    tail = random.randint(0, n_vertices, n_edges).astype(np.int32)
    weight = random.choice([1.0, 0.7, 0.01], n_edges) * random.uniform(1e-3, 1.0, n_edges)
    initial = random.normal(size=(n_vertices, n_components)) * random.choice([1e-6, 1e-2, 1.0, 10.0, 1e5])
    if random.uniform() < 0.3:
        initial[random.randint(0, n_vertices, n_vertices // 2)] = initial[0]
    if random.uniform() < 0.3:
        initial = np.round(initial)  # ties, zeros and steps between representable numbers
    spread = random.choice([0.3, 1.0, 1.0, 4.0])
    a, b = curve.parameters(spread, spread * random.choice([0.0, 0.1, 0.5, 0.9, 1.0]))
    graph = {
        "head": head,
        "tail": tail,
        "weight": weight.astype(np.float32),
        "rng_state": random.randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64),
    }
    parameters = {
        "a": a,
        "b": b,
        "n_epochs": int(random.choice([1, 7, 40, 150])),
        "repulsion_strength": random.choice([0.0, 0.3, 1.0, 1.0, 8.0]),
        "learning_rate": random.choice([1e-3, 0.5, 1.0, 1.0, 30.0]),
        "negative_sample_rate": int(random.choice([1, 5, 5, 14])),
    }
    return initial.astype(np.float32), graph, parameters


def by_umap(initial: np.ndarray, graph: dict[str, np.ndarray], parameters: dict[str, float]) -> np.ndarray:
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import make_epochs_per_sample

    embedding = initial.copy()
    return optimize_layout_euclidean(
        embedding,
        embedding,
        graph["head"],
        graph["tail"],
        parameters["n_epochs"],
        len(initial),
        make_epochs_per_sample(graph["weight"], parameters["n_epochs"]),
        parameters["a"],
        parameters["b"],
        graph["rng_state"].copy(),
        gamma=parameters["repulsion_strength"],
        initial_alpha=parameters["learning_rate"],
        negative_sample_rate=parameters["negative_sample_rate"],
        parallel=False,
        move_other=True,
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_bits_of_umap_learn(seed):
    initial, graph, parameters = random_case(seed)
    kept = initial.copy()
    found = layout.optimize(initial, **graph, **parameters)
    expected = by_umap(initial, graph, parameters)
    differing = np.flatnonzero((found.view(np.uint32) != expected.view(np.uint32)).any(axis=1))
    assert len(differing) == 0, f"{len(differing)} of {len(found)} rows differ with {parameters}"
    assert np.array_equal(initial, kept), "the initial positions were written to"


@pytest.mark.parametrize("seed", range(CASES))
def test_cells_side_by_side(seed):
    """Any number of cells of one graph, in any mixture of curves, have the bits that umap-learn gives each of them."""
    initial, graph, parameters = random_case(1000 + seed)
    random = np.random.RandomState(seed)
    kept = initial.copy()
    spreads = random.choice([0.3, 1.0, 1.0, 4.0], random.randint(1, 2 * LANES + 2))
    curves = [curve.parameters(spread, spread * random.choice([0.0, 0.2, 0.5, 0.9, 1.0])) for spread in spreads]
    del parameters["a"], parameters["b"]
    found = layout.optimize_cells(initial, **graph, curves=curves, **parameters)
    assert len(found) == len(curves)
    for cell, (a, b) in zip(found, curves, strict=True):
        expected = by_umap(initial, graph, parameters | {"a": a, "b": b})
        differing = np.flatnonzero((cell.view(np.uint32) != expected.view(np.uint32)).any(axis=1))
        assert len(differing) == 0, f"{len(differing)} of {len(cell)} rows differ with a {a}, b {b}, {parameters}"
    assert np.array_equal(initial, kept), "the initial positions were written to"


def test_bits_in_a_long_run():
    """Long enough that a force wrong by the table's error, and not caught, changes some rounding."""
    random = np.random.RandomState(0)
    n_vertices, degree = 4000, 50
    initial = random.uniform(0, 10, (n_vertices, 2)).astype(np.float32)
    graph = {
        "head": np.repeat(np.arange(n_vertices, dtype=np.int32), degree),
        "tail": random.randint(0, n_vertices, n_vertices * degree).astype(np.int32),
        "weight": random.uniform(0.5, 1, n_vertices * degree).astype(np.float32),
        "rng_state": np.array([1, 2, 3]),
    }
    parameters = {"n_epochs": 100, "repulsion_strength": 1.0, "learning_rate": 1.0, "negative_sample_rate": 5}
    curves = [curve.parameters(1.0, min_dist) for min_dist in (0.0, 0.2, 0.9)]
    cells = layout.optimize_cells(initial, **graph, curves=curves, **parameters)
    parameters |= dict(zip("ab", curves[1], strict=True))
    found = layout.optimize(initial, **graph, **parameters)
    expected = by_umap(initial, graph, parameters)
    assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))
    assert np.array_equal(cells[1].view(np.uint32), expected.view(np.uint32))


def test_schedule_in_several_windows(monkeypatch):
    """However few edges are scheduled at once, the embedding is the same."""
    initial, graph, parameters = random_case(3)
    whole = layout.optimize(initial, **graph, **parameters)
    monkeypatch.setattr(layout, "SCHEDULE_ROWS", 1)
    assert np.array_equal(layout.optimize(initial, **graph, **parameters), whole)


@pytest.mark.parametrize("curve", [(1.93, 0.79), (0.115, 1.93), (5.07, 1.0)])
def test_force_table_within_its_error(curve):
    """At random distances, not those at which the table tried itself, its forces are within the stated error."""
    a, b = curve

    def repulsion(squared):
        return 2.0 * b / ((0.001 + squared) * (a * squared**b + 1.0))

    table, first = layout.force_table(repulsion)
    squared = np.exp2(np.random.RandomState(0).uniform(-20, 8, 200_000)).astype(np.float32)
    bits = squared.view(np.int32)
    segment = (bits >> vectors.SEGMENT_SHIFT) - first
    inside = (segment >= 0) & (segment < len(table))
    assert inside.mean() > 0.9, "the table does not reach as far as embeddings do"
    offset = ((bits & vectors.SEGMENT_MASK) - vectors.SEGMENT_CENTRE).astype(np.float64)[inside]
    powers = offset[:, None] ** np.arange(vectors.TERMS)
    found = (table[segment[inside]] * powers).sum(axis=1)
    exact = repulsion(squared[inside].astype(np.float64))
    assert np.abs(found / exact - 1).max() < layout.TABLE_ERROR
