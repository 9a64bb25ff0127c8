"""A rerun is held against the stored results and the committed fingerprints; the first stage that differs is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import ROOT, snakemake

from umap_sweep import store
from umap_sweep.reproduce import verify as verify_script
from umap_sweep.reproduce.fingerprints import name_of

CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [5, 20], "min_dist": [0.1], "seed": [10]},
    "umap": {"n_epochs": 50},
}
STAGES = {
    "data": "data/data.parquet",
    "knn": "knn/**/knn.parquet",
    "graph": "graph/**/n_neighbors=20/edges.parquet",
    "initial_layout": "initial_layout/**/n_neighbors=20/**/initial_layout.parquet",
    "layouts": "layouts/**/n_neighbors=20/**/layout.parquet",
    "embeddings": "embeddings/**/n_neighbors=20/**/embedding.parquet",
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return the folder of a finished and fingerprinted sweep, and a second, recomputed one beside it."""
    folder = tmp_path_factory.mktemp("swept")
    run = snakemake(folder, "all", "fingerprints", config=CONFIG)
    assert run.code == 0, run.output
    return folder


def stage_paths(folder: Path) -> list[Path]:
    """Return every stored stage of a sweep in `folder`."""
    stages = ("data", "knn", "graph", "initial_layout", "layouts", "embeddings")
    return sorted(path for stage in stages for path in (folder / "results/iris" / stage).rglob("*.parquet"))


def flip_a_bit(path: Path, name: str) -> None:
    """Flip the last bit of one stored value, and leave the file and its record in order."""
    table, record = store.read(path), store.read_record(path)
    column = table.column(name).combine_chunks()
    values = (column.flatten() if pa.types.is_fixed_size_list(column.type) else column).to_numpy().copy()
    values.view(np.uint8)[len(values) // 2 * values.itemsize] ^= 1
    if pa.types.is_fixed_size_list(column.type):
        changed = pa.FixedSizeListArray.from_arrays(pa.array(values), column.type.list_size)
    else:
        changed = pa.array(values)
    store.write(path, table.set_column(table.schema.get_field_index(name), name, changed), record)


class TestWholeRun:
    """`verify` as a target: it computes everything once more and never touches what is stored."""

    def test_everything_is_equal(self, swept):
        before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in stage_paths(swept)}
        run = snakemake(swept, "verify", config=CONFIG)
        assert run.code == 0, run.output
        assert "equal to the stored results, bit for bit" in run.output
        assert "equal to the committed fingerprints, bit for bit" in run.output
        assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in stage_paths(swept)} == before
        table = store.read(swept / "results/iris/verify.parquet").to_pandas()
        assert list(table.columns)[:6] == ["against", "stage", "key", "expected", "observed", "equal"]
        assert table["equal"].all()
        assert set(table["stage"]) == set(STAGES)
        assert len(table) == 2 * (2 + 3 * 2 + 2 + 2)
        assert not (swept / "results/iris/verify").exists()
        # In another order than the sweep, which makes the widest graph first and all graphs before a layout.
        benchmarks = swept / "results/iris/benchmarks"

        def ended(pattern: str) -> int:
            return next(benchmarks.glob(pattern)).stat().st_mtime_ns

        assert ended("verify/layouts/**/n_neighbors=5/**/seed=10.tsv") < ended("verify/graph/**/n_neighbors=20.tsv")
        assert ended("graph/**/n_neighbors=20.tsv") < ended("layouts/**/n_neighbors=5/**/seed=10.tsv")

    def test_a_damaged_cell_is_named_and_left_as_it_is(self, swept, tmp_path):
        shutil.copytree(swept, tmp_path / "copy")
        path = next((tmp_path / "copy/results/iris").glob(STAGES["embeddings"]))
        flip_a_bit(path, "umap_1")
        damaged = path.read_bytes()
        run = snakemake(tmp_path / "copy", "verify", config=CONFIG)
        assert run.code != 0
        assert "first stage that differs from the stored results is embeddings" in run.output
        assert "n_neighbors=20" in run.output
        assert "Traceback" not in run.output
        assert path.read_bytes() == damaged
        table = store.read(tmp_path / "copy/results/iris/verify.parquet").to_pandas()
        assert not table["equal"].all()

    def test_a_sample_is_a_sample(self, swept):
        run = snakemake(swept, "verify", "--dry-run", config=CONFIG | {"verify": {"cells": 1}})
        assert run.jobs["layout_again"] == 1
        assert run.jobs["graph_again"] == 1


class TestComparison:
    """The comparison itself, on copies of a finished sweep."""

    @pytest.fixture
    def copies(self, swept, tmp_path):
        """Return stored and recomputed stages, equal so far."""
        for name in ("stored", "recomputed"):
            shutil.copytree(swept / "results", tmp_path / name / "results")
        return stage_paths(tmp_path / "stored"), stage_paths(tmp_path / "recomputed")

    def refusal(self, copies, tmp_path, **options) -> str:
        """Return the message with which a comparison ends."""
        with pytest.raises(verify_script.InputError) as refused:
            verify_script.verify(
                *copies, tmp_path / "v.parquet", options.get("file", "none"), options.get("strict", False)
            )
        return str(refused.value)

    @pytest.mark.parametrize(
        ("stage", "column"),
        [
            ("data", "features"),
            ("knn", "index_7"),
            ("knn", "distance_19"),
            ("graph", "weight"),
            ("graph", "tail"),
            ("initial_layout", "init_2"),
            ("layouts", "umap_2"),
            ("embeddings", "umap_2"),
        ],
    )
    def test_one_flipped_bit(self, copies, tmp_path, stage, column):
        assert "equal to the stored results" in verify_script.verify(*copies, tmp_path / "v.parquet", "none", False)[0]
        flip_a_bit(next((tmp_path / "stored/results/iris").glob(STAGES[stage])), column)
        message = self.refusal(copies, tmp_path)
        assert f"The first stage that differs from the stored results is {stage} (" in message
        assert "What differs in the environment: nothing" in message
        table = store.read(tmp_path / "v.parquet").to_pandas()
        assert table.loc[~table["equal"], "stage"].tolist() == [stage]

    def test_the_first_of_several_stages_is_named(self, copies, tmp_path):
        for stage, column in (("layouts", "umap_1"), ("graph", "weight"), ("knn", "distance_3")):
            flip_a_bit(next((tmp_path / "stored/results/iris").glob(STAGES[stage])), column)
        assert "is knn (" in self.refusal(copies, tmp_path)

    def test_a_torn_file(self, copies, tmp_path):
        path = next((tmp_path / "stored/results/iris").glob(STAGES["graph"]))
        path.write_bytes(path.read_bytes()[:-100])
        message = self.refusal(copies, tmp_path)
        assert "is graph (" in message
        assert "damaged" in message

    def test_a_cell_of_another_seed(self, copies, tmp_path):
        """The file of one cell put in another's place: right bits, wrong key."""
        cells = sorted((tmp_path / "stored/results/iris/embeddings").rglob("*.parquet"))
        shutil.copy(cells[0], cells[1])
        message = self.refusal(copies, tmp_path)
        assert "is embeddings (" in message
        assert "another key: n_neighbors" in message
        assert "Procrustes disparity" in message

    def test_another_version_is_reported(self, copies, tmp_path):
        path = next((tmp_path / "stored/results/iris").glob(STAGES["knn"]))
        record = store.read_record(path)
        record["environment"]["numba"] = "0.1"
        store.write(path, store.read(path), record)
        flip_a_bit(path, "distance_3")
        assert "numba 0.1 → " in self.refusal(copies, tmp_path)

    def test_committed_fingerprints(self, swept, copies, tmp_path):
        file = tmp_path / "fingerprints.json"
        committed = json.loads((swept / "fingerprints.json").read_text())
        name = name_of(next((tmp_path / "stored/results/iris").glob(STAGES["knn"])))
        assert name in committed["fingerprints"]
        committed["fingerprints"][name] = "0" * 64
        file.write_text(json.dumps(committed))
        message = self.refusal(copies, tmp_path, file=file)
        assert "differs from the committed fingerprints is knn (" in message

        committed["environments"][0]["scipy"] = "1.0"
        file.write_text(json.dumps(committed))
        lines = verify_script.verify(*copies, tmp_path / "v.parquet", file, False)
        assert "scipy 1.0 → " in lines[1]
        assert "scipy 1.0 → " in self.refusal(copies, tmp_path, file=file, strict=True)


def test_fingerprints_are_sorted_lines(swept):
    text = (swept / "fingerprints.json").read_text()
    keys = [line.split('"')[1] for line in text.splitlines() if "/" in line]
    assert keys == sorted(keys)
    assert len(keys) == 2 + 3 * 2 + 2 + 2


def test_the_bits_of_this_project(tmp_path):
    """What the project promises its users, it does itself: a rerun held against committed fingerprints.

    Real-valued data and NN-descent, the stages that other CPUs and versions change most easily. Where a release is
    meant to change bits, run the targets of this test with `fingerprints` added and commit the new file.
    """
    config = {
        "dataset": "breast_cancer",
        "datasets": {"breast_cancer": {"source": "sklearn", "name": "breast_cancer"}},
        "knn": {"n_neighbors": 30, "method": "nn-descent"},
        "grid": {"n_neighbors": [10, 30], "min_dist": [0.0, 0.5], "seed": [10]},
        "verify": {"fingerprints": str(ROOT / "tests" / "fingerprints.json")},
    }
    run = snakemake(tmp_path, "results/breast_cancer/manifest.json", config=config)
    assert run.code == 0, run.output
    run = snakemake(tmp_path, "verify", config=config)
    assert run.code == 0, run.output
    assert "the committed fingerprints" in run.output
    assert "equal to the stored results, bit for bit" in run.output


@pytest.mark.parametrize("folder", ["results/iris", "results/results", "mine/results/data", "results/mine/results/knn"])
@pytest.mark.parametrize("below", ["", "verify/"])
def test_a_stage_has_one_name_wherever_it_is(folder, below):
    for stage in ("data/data", "knn/metric=cosine/knn"):
        assert name_of(f"{folder}/{below}{stage}.parquet") == stage
