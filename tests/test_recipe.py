"""The recipe of a cell: a folder that makes the cell again with umap-learn alone, and says whether it is the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pyarrow as pa
import pytest
from conftest import UMAP_DEFAULTS, snakemake, store_data, store_rows
from nbclient import NotebookClient

from umap_sweep import environment, store
from umap_sweep.cells.keys import cell_key
from umap_sweep.errors import InputError
from umap_sweep.results import recipe
from umap_sweep.settings.configuration import complete
from umap_sweep.stages import knn

CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 12},
    "grid": {"n_neighbors": [8, 12], "min_dist": [0.1], "seed": [10]},
    "umap": {"n_epochs": 40},
}

# Runs a recipe, and then one of another seed, in one process, because umap-learn takes long to compile.
RUNNER = """
import os, runpy, sys

def run(*arguments):
    sys.argv = list(arguments)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as error:
        print("Ended with:", error.code)

run("first/recipe.py", "--from-data")
os.environ["OPENBLAS_CORETYPE"] = "Nehalem"
run("second/recipe.py", "--as-is")
print("Imported:", sorted({"umap_sweep", "snakemake"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the recipe of one cell, taken elsewhere."""
    place = tmp_path_factory.mktemp("sweep")
    run = snakemake(place, "recipe", config={**CONFIG, "recipe": {"cell": {"n_neighbors": 8, "min_dist": 0.1}}})
    assert run.code == 0, run.output
    (found,) = (place / "results/iris/recipe").rglob("recipe.py")
    assert "The recipe is in results/iris/recipe/" in run.output
    return Path(shutil.copytree(found.parent, tmp_path_factory.mktemp("colleague") / "recipe"))


def without_ours() -> dict[str, str]:
    """Return the environment of somebody who has no sweep."""
    return {name: value for name, value in environment.without_ours(os.environ).items() if name != "PYTHONPATH"}


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=without_ours(), capture_output=True, text=True, check=False
    )


def test_it_makes_the_cell_again_and_says_what_differs(folder, tmp_path):
    first, second = (Path(shutil.copytree(folder, tmp_path / name)) for name in ("first", "second"))
    script = (second / "recipe.py").read_text()
    assert '"random_state": 10,' in script
    (second / "recipe.py").write_text(script.replace('"random_state": 10,', '"random_state": 11,'))
    (tmp_path / "runner.py").write_text(RUNNER)
    done = ran(tmp_path, "runner.py")
    assert done.returncode == 0, done.stderr
    met, _, other = done.stdout.partition("Met: the coordinates of 150 rows have the fingerprint")
    assert "Versions, CPU level and system are the sweep's." in met
    assert "beside the stored one: the same bits" in met
    assert "Ended with: Not met: the coordinates have the fingerprint" in other
    assert "150 of 150 rows lie elsewhere" in other
    assert "OPENBLAS_CORETYPE is Nehalem, in the sweep Haswell" in other
    assert "Imported: []" in done.stdout
    table = np.genfromtxt(first / "embedding.csv", delimiter=",", skip_header=1, usecols=(2, 3), dtype=np.float32)
    assert table.tobytes() == np.load(first / "expected.npy").tobytes()
    assert (first / "embedding.csv").read_text().splitlines()[1].startswith("0,setosa,")
    assert (second / "embedding_here.csv").exists()
    assert not (second / "embedding.csv").exists()


def test_the_notebook_says_the_same(folder, tmp_path):
    place = Path(shutil.copytree(folder, tmp_path / "recipe"))
    notebook = nbformat.read(place / "recipe.ipynb", as_version=4)
    nbformat.validate(notebook)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(place)}})
    client.execute(env=without_ours())
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "Met: the coordinates of 150 rows" in said
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", ["knn_indices.npy", "knn_distances.npy", "features.npy", "expected.npy", "rows.csv"])
def test_a_file_that_is_changed_or_lacks_is_said(folder, tmp_path, name):
    place = Path(shutil.copytree(folder, tmp_path / "recipe"))
    changed = bytearray((place / name).read_bytes())
    changed[-2] ^= 1
    (place / name).write_bytes(changed)
    done = ran(place, "recipe.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{name} is not as it was written; take the folder of the recipe anew.\n"
    (place / name).unlink()
    assert ran(place, "recipe.py").stderr == f"{name} is not in {place}; keep the files of a recipe together.\n"


def test_the_fingerprint_is_that_of_the_sweep(folder):
    script = (folder / "recipe.py").read_text()
    table = pa.table({f"umap_{axis + 1}": column for axis, column in enumerate(np.load(folder / "expected.npy").T)})
    assert f'FINGERPRINT = "{store.fingerprint(table)}"' in script


def written(folder: Path, method: str, used: str, n_rows: int = 20, **umap: object) -> Path:
    """Write the recipe of a cell whose values mean nothing."""
    settings = complete({"knn": {"n_neighbors": 5}, "umap": umap})
    random = np.random.RandomState(0)
    data = store_data(folder, random.normal(size=(n_rows, 3)))
    rows = store_rows(folder, n_rows, label=['a"b', "c,d", None, "ü"] * (n_rows // 4))
    key = {"metric": "euclidean", "n_neighbors": 5, "seed": 10, "n_jobs": 1, "method": method}
    neighbors, layout = folder / "knn.parquet", folder / "layout.parquet"
    table = knn.as_table(random.randint(0, n_rows, (n_rows, 5)).astype(np.int32), random.normal(size=(n_rows, 5)))
    store.write(neighbors, table, store.make_record("knn", key, store.fingerprint(table), method_used=used))
    table = pa.table({"umap_1": random.normal(size=n_rows).astype(np.float32)})
    cell = cell_key({"metric": "euclidean", "n_neighbors": 5, "min_dist": 0.1, "seed": 10}, settings)
    store.write(layout, table, store.make_record("layout", UMAP_DEFAULTS | cell, store.fingerprint(table)))
    out = [folder / "recipe" / name for name in recipe.files_of(settings | {"knn": {"method": method}})]
    recipe.write(data, rows, neighbors, layout, out, "some")
    return folder / "recipe"


@pytest.mark.parametrize("level", ["native", "x86-64-v2", "x86-64-v3"])
def test_every_kind_of_recipe_is_sound_python(tmp_path, monkeypatch, level):
    monkeypatch.setenv(environment.CPU_VARIABLE, level)
    kinds = {
        "pairs": ("auto", "exact", {}),
        "descent": ("nn-descent", "nn-descent", {}),
        "imported": ("imported", "imported", {"init": "random"}),
        "plain": ("plain", "exact", {"n_components": 3, "n_epochs": 7}),
        "stored": ("exact", "exact", {"n_rows": 4096}),
        "supervised": ("auto", "exact", {"target": "label", "target_weight": 0.7}),
    }
    for kind, (method, used, umap) in kinds.items():
        (tmp_path / kind).mkdir()
        place = written(tmp_path / kind, method, used, **umap)
        script = (place / "recipe.py").read_text()
        assert ("--from-data" in script) == (kind in ("pairs", "descent", "supervised")), kind
        assert ("target.npy" in script) == (kind == "supervised"), kind
        assert ("--as-is" in script) == (level != "native"), kind
        assert ("GLIBC_TUNABLES" in script) == (level == "x86-64-v2"), kind
        assert ("knn_indices" in script) == (kind != "plain"), kind
        assert "«" not in script + (place / "recipe.ipynb").read_text() + (place / "README.md").read_text(), kind
        cells = json.loads((place / "recipe.ipynb").read_text())["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        (place / "notebook.py").write_text(code)
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=E7,E9,F,B,UP", "--ignore=B905,UP015", "."]
    done = subprocess.run([*ruff, "--target-version=py311"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_labels_that_supervise_a_cell_are_in_its_recipe(tmp_path):
    config = {**CONFIG, "umap": {"target": "label", "target_weight": 0.7, "n_epochs": 60}}
    run = snakemake(tmp_path, "recipe", config=config | {"recipe": {"cell": {"n_neighbors": 8, "min_dist": 0.1}}})
    assert run.code == 0, run.output
    (script,) = (tmp_path / "results/iris/recipe").rglob("recipe.py")
    done = ran(script.parent, "recipe.py")
    assert done.returncode == 0, done.stderr
    assert "Met: the coordinates of 150 rows have the fingerprint" in done.stdout


def test_what_umap_learn_has_no_call_for_has_no_recipe():
    with pytest.raises(InputError, match="umap-learn has no call for it"):
        recipe.check(complete({"umap": {"init": "spectral_lean"}}))


def test_a_cell_that_is_not_named_is_asked_for(tmp_path):
    run = snakemake(tmp_path, "--dry-run", "recipe", config=CONFIG)
    assert run.code == 1
    assert "recipe.cell is missing, and the grid has 2 cells" in run.output
