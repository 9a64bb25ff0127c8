"""What a notebook takes from the package: a finished sweep, and single stages on arrays, equal to the pipeline's."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, snakemake
from sklearn.datasets import load_iris, load_wine

import umap_sweep
from umap_sweep import environment
from umap_sweep.errors import InputError

CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [5, 20], "min_dist": [0.1, 0.5], "seed": [10, 11]},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the folder of a finished sweep's results."""
    folder = tmp_path_factory.mktemp("sweep")
    run = snakemake(folder, config=CONFIG)
    assert run.code == 0, run.output
    return folder / "results/iris"


def axes(frame: pd.DataFrame) -> np.ndarray:
    return frame.filter(like="umap_").to_numpy()


class TestFinishedSweep:
    """Reading."""

    def test_a_cell_is_its_part_of_the_sweep(self, results):
        sweep = umap_sweep.read_sweep(results)
        cell = umap_sweep.read_cell(results, 20, 0.5, 11)
        part = sweep.query("n_neighbors == 20 and min_dist == 0.5 and seed == 11")
        pd.testing.assert_frame_equal(part[cell.columns].reset_index(drop=True), cell)
        assert len(umap_sweep.read_metrics(results)) == 8

    def test_the_graph_is_symmetric_and_of_all_rows(self, results):
        found = umap_sweep.read_graph(results, 5)
        assert found.shape == (150, 150)
        assert abs(found - found.T).max() == 0
        assert found.nnz < umap_sweep.read_graph(results, 20).nnz

    def test_the_knn_has_the_row_itself_first(self, results):
        indices, distances = umap_sweep.read_knn(results)
        assert indices.shape == distances.shape == (150, 20)
        assert (distances[:, 0] == 0).all()

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ({"n_neighbors": 7, "min_dist": 0.1}, "no embeddings with n_neighbors 7, min_dist 0.1; it has"),
            ({"n_neighbors": 5, "min_dist": 0.1}, "2 embeddings with n_neighbors 5, min_dist 0.1; give seed too"),
            ({"n_neighbors": 5, "min_dist": 0.1, "seed": 12}, "seed 10, 11"),
        ],
    )
    def test_what_is_not_there_is_said_with_what_is(self, results, key, said):
        with pytest.raises(InputError, match=said):
            umap_sweep.read_cell(results, **key)

    def test_no_sweep_at_all(self, tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            umap_sweep.read_sweep(tmp_path)
        with pytest.raises(InputError, match="no embeddings at all"):
            umap_sweep.read_cell(tmp_path, 5, 0.1)


class TestArrays:
    """Computing."""

    FEATURES = load_iris().data

    def test_the_knn_is_the_sweep_s(self, results):
        for here, there in zip(
            umap_sweep.nearest_neighbors(self.FEATURES, 20), umap_sweep.read_knn(results), strict=True
        ):
            assert here.tobytes() == there.tobytes()

    @pytest.mark.parametrize(("n_neighbors", "min_dist", "seed"), [(5, 0.1, 10), (20, 0.5, 11)])
    def test_a_cell_is_the_sweep_s(self, results, n_neighbors, min_dist, seed):
        there = axes(umap_sweep.read_cell(results, n_neighbors, min_dist, seed))
        neighbors = umap_sweep.read_knn(results)
        here = umap_sweep.compute_cell(self.FEATURES, n_neighbors, min_dist, seed, neighbors)
        assert here.tobytes() == there.tobytes()

    def test_metrics_are_the_sweep_s(self, results):
        row = umap_sweep.read_metrics(results).query("n_neighbors == 20 and min_dist == 0.5 and seed == 10").iloc[0]
        coordinates = axes(umap_sweep.read_cell(results, 20, 0.5, 10))
        labels = umap_sweep.read_cell(results, 20, 0.5, 10)["label"]
        found = umap_sweep.measure(self.FEATURES, coordinates, labels)
        assert "cross_entropy" not in found
        assert {"recall_15", "trustworthiness", "triplet_accuracy", "label_accuracy"} <= set(found)
        for name, value in found.items():
            assert value == row[name] or (value is None and pd.isna(row[name])), name

    def test_other_dimensions_and_other_methods(self):
        features = load_wine().data
        cell = umap_sweep.compute_cell(features, 10, 0.1, n_components=3, n_epochs=30)
        assert cell.shape == (178, 3)
        found = umap_sweep.measure(features, features[:, :2])
        assert 0 < found["trustworthiness"] <= 1
        assert found["label_accuracy"] is None

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"n_neighbors": 5, "epochs": 3}, "unknown key 'epochs'"),
            ({"n_neighbors": 1}, "allowed is"),
            ({"n_neighbors": 150}, "150 rows"),
            ({"n_neighbors": 5, "min_dist": 2.0}, "more than umap.spread"),
            ({"n_neighbors": 5, "metric": "far"}, "knn.metric is 'far'"),
            ({"n_neighbors": 5.5}, "n_neighbors is 5.5; allowed is a whole number"),
            ({"n_neighbors": 5, "min_dist": "0.1"}, "min_dist is '0.1'; allowed is a number"),
            ({"n_neighbors": 5, "seed": None}, "seed is None; allowed is a number"),
            ({"n_neighbors": 5, "neighbors": (np.zeros((3, 5)), np.zeros((3, 5)))}, "one row for each"),
            (
                {"n_neighbors": 5, "neighbors": (np.zeros((150, 4), int), np.zeros((150, 4)))},
                "fewer than n_neighbors 5",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, arguments, said):
        with pytest.raises(InputError, match=said):
            umap_sweep.compute_cell(self.FEATURES, **arguments)

    @pytest.mark.parametrize(
        "features",
        [
            np.zeros(5),
            np.zeros((0, 3)),
            np.zeros((30, 0)),
            [[1, 2], [3]],
            np.full((30, 2), np.nan),
            np.array([["a", "b"]] * 30),
        ],
        ids=["line", "no rows", "no columns", "ragged", "nan", "text"],
    )
    def test_no_data(self, features):
        with pytest.raises(InputError):
            umap_sweep.compute_cell(features, 5)

    def test_a_row_of_the_metrics_names_its_cell(self, results):
        """Pandas makes all numbers of a row floats."""
        row = umap_sweep.read_metrics(results).iloc[0]
        cell = umap_sweep.read_cell(results, row.n_neighbors, row.min_dist, row.seed)
        neighbors = umap_sweep.read_knn(results, knn_k=np.int64(20))
        here = umap_sweep.compute_cell(self.FEATURES, row.n_neighbors, row.min_dist, row.seed, neighbors)
        assert here.tobytes() == axes(cell).tobytes()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"k": 0}, "from 2"),
            ({"k": -3}, "from 2"),
            ({"k": True}, "k is True"),
            ({"k": 5, "method": "far"}, "allowed is one of auto"),
            ({"k": 5, "method": "plain"}, "allowed is one of auto"),
            ({"k": 5, "metric": "far"}, "knn.metric is 'far'"),
            ({"k": 5, "n_jobs": 0}, "knn.n_jobs is 0"),
            ({"k": 5, "threads": 0}, "threads is 0"),
            ({"k": 5, "seed": -1}, "knn.seed is -1"),
        ],
        ids=str,
    )
    def test_a_search_that_cannot_be_is_refused(self, arguments, said):
        with pytest.raises(InputError, match=said):
            umap_sweep.nearest_neighbors(self.FEATURES, **arguments)

    def test_a_knn_that_cannot_be_is_refused(self):
        indices, distances = umap_sweep.nearest_neighbors(self.FEATURES, 6)
        for bad in (
            (indices + 150, distances),
            (indices - 7, distances),
            (indices + 0.5, distances),
            (indices.astype(np.int64) + 2**32, distances),
            (indices, distances * np.nan),
            (indices, -distances),
            (indices[:, ::-1], distances[:, ::-1]),
            (distances, indices),
        ):
            with pytest.raises(InputError, match="The k-NN's"):
                umap_sweep.compute_cell(self.FEATURES, 5, neighbors=bad)
        cell = umap_sweep.compute_cell(self.FEATURES, 5, n_epochs=20, neighbors=(indices, distances, None))
        assert np.isfinite(cell).all()
        with pytest.raises(InputError, match="give one with 16 or more"):
            umap_sweep.measure(self.FEATURES, cell, neighbors=(indices, distances))

    def test_shapes_are_compared(self):
        with pytest.raises(InputError, match="one row of coordinates for each"):
            umap_sweep.measure(self.FEATURES, np.zeros((3, 2)))
        with pytest.raises(InputError, match="3 labels for 150 rows"):
            umap_sweep.measure(self.FEATURES, np.zeros((150, 2)), labels=[1, 2, 3])


def notebook(code: str, **variables: str) -> subprocess.CompletedProcess:
    """Run code in a process that is held to nothing, as a notebook's kernel is."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment.without_ours(os.environ) | variables,
        capture_output=True,
        text=True,
    )


class TestHeldCpu:
    """The CPU level of a sweep, in a notebook."""

    def test_too_late_is_said(self):
        done = notebook("import numpy, umap_sweep; umap_sweep.hold_cpu()")
        assert "numpy is imported already" in done.stderr

    def test_twice_is_once(self):
        assert notebook("import umap_sweep as u; u.hold_cpu(); import numpy; u.hold_cpu()").returncode == 0

    def test_an_unknown_level_is_refused(self):
        assert "allowed is one of native" in notebook("import umap_sweep; umap_sweep.hold_cpu('x')").stderr

    def test_importing_the_package_imports_nothing_heavy(self):
        code = "import umap_sweep, sys; print({'numpy', 'numba', 'pandas', 'snakemake'} & set(sys.modules))"
        assert notebook(code).stdout == "set()\n"

    def test_nothing_in_the_package_imports_snakemake(self):
        names = [
            ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
            for path in sorted((ROOT / "src/umap_sweep").rglob("*.py"))
        ]
        code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        done = notebook(code + "print('snakemake' in sys.modules)")
        assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/reproducibility.md"])
def test_the_lines_of_the_docs_make_a_notebook_agree(results, page):
    """umap-learn's own call has the cell's bits in a process that begins with what the page says."""
    text = (ROOT / page).read_text()
    lines = text.partition("```python\nimport os\n")[2].partition("```")[0]
    assert "NUMBA_CPU_NAME" in lines
    code = f"""import os
{lines}
import sys, warnings
import numpy as np
import pandas as pd
warnings.simplefilter("ignore")
from sklearn.datasets import load_iris
from umap import UMAP
knn = pd.read_parquet(sys.argv[1])
parts = [np.ascontiguousarray(knn.filter(like=name).to_numpy()[:, :20]) for name in ("index_", "distance_")]
model = UMAP(n_neighbors=20, min_dist=0.5, random_state=10, precomputed_knn=(*parts, None),
             force_approximation_algorithm=True)
np.save(sys.argv[2], model.fit(load_iris().data.astype(np.float32)).embedding_)
"""
    knn = next((results / "knn").rglob("knn.parquet"))
    out = results / "notebook.npy"
    variables = environment.without_ours(os.environ)
    done = subprocess.run([sys.executable, "-c", code, knn, out], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.load(out).tobytes() == axes(umap_sweep.read_cell(results, 20, 0.5, 10)).tobytes()
    warnings.resetwarnings()


def test_the_example_notebook_runs(tmp_path):
    """As its page says: on a finished sweep of digits, from the first line to the last."""
    import jupytext
    from nbclient import NotebookClient

    run = snakemake(tmp_path, config={"grid": {"n_neighbors": [15], "min_dist": [0.2]}})
    assert run.code == 0, run.output
    notebook = jupytext.read(ROOT / "docs/notebook.md")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output["data"]["text/plain"] for output in shown if "data" in output and "text/plain" in output["data"]]
    assert texts.count("True") == 2
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not [output for output in shown if output["output_type"] == "stream"]
