"""The pipeline as users run it: Snakemake in a folder of its own, on real data."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, UMAP_DEFAULTS, Run, snakemake

from umap_sweep import store

IRIS = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [5, 20], "min_dist": [0.0, 0.5], "seed": [10]},
}
CELL = "results/iris/embeddings/metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1"

# What is made anew whenever there is another cell.
COMPARED = dict.fromkeys(
    [
        *(
            "sweep",
            "embeddings",
            "annotation_metrics",
            "metrics",
            "neighboring_cells",
            "comparisons",
            "shortlist",
            "plot_grid",
            "plot_metrics",
            "plot_comparisons",
            "plot_changes",
        ),
        *("atlas", "all"),
    ],
    1,
)


def iris(**sections: dict) -> dict:
    """Return the small sweep's configuration with some keys of its sections replaced."""
    return IRIS | {
        name: IRIS.get(name, {}) | keys if isinstance(keys, dict) else keys for name, keys in sections.items()
    }


def coordinates(folder, config=IRIS) -> dict[tuple, bytes]:
    """Return the bits of every cell's coordinates in the tidy table, by cell."""
    table = pd.read_parquet(folder / "results" / config["dataset"] / "sweep.parquet")
    axes = [name for name in table.columns if name.startswith("umap_")]
    cells = table.groupby(["knn_seed", "n_neighbors", "min_dist", "seed"])
    return {key: cell[axes].to_numpy().tobytes() for key, cell in cells}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished sweep, and the run that finished it. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, snakemake(folder, config=IRIS)


class TestFinishedSweep:
    """What a finished sweep holds, and what a change of the configuration runs again."""

    def test_ends_with_where_to_look(self, finished):
        folder, run = finished
        assert run.code == 0, run.output
        last = run.output.strip().splitlines()[-2:]
        assert "results/iris/plots/grid.png" in last[0]
        assert (folder / "results/iris/atlas.html").as_uri() in last[1]
        assert "Warning" not in run.output

    def test_says_how_long_it_will_still_take(self, finished):
        """Each time after a step, and in no job's process."""
        folder, run = finished
        said = re.findall(r"(?m)^\d+ of \d+ steps \(.+\) done\n((?:About|At least|Less than) .+ left\.)$", run.output)
        assert said
        assert len(re.findall(r"\bleft\.$", run.output, re.M)) == len(said)
        for log in (folder / "results/iris/logs").rglob("*.log"):
            assert "left." not in log.read_text()

    def test_tidy_table(self, finished):
        folder, _ = finished
        table = pq.read_table(folder / "results/iris/sweep.parquet")
        kinds = {field.name: str(field.type) for field in table.schema}
        assert kinds == {
            "n_neighbors": "int64",
            "min_dist": "double",
            "seed": "int64",
            "knn_k": "int64",
            "knn_seed": "int64",
            "id": "int64",
            "label": "string",
            "umap_1": "float",
            "umap_2": "float",
        }
        frame = table.to_pandas()
        assert len(frame) == 4 * 150
        assert frame.groupby(["n_neighbors", "min_dist"]).size().to_dict() == {
            (k, m): 150 for k in (5, 20) for m in (0.0, 0.5)
        }
        assert frame["label"].value_counts().to_dict() == {"setosa": 200, "versicolor": 200, "virginica": 200}
        assert np.isfinite(frame[["umap_1", "umap_2"]].to_numpy()).all()

    def test_cells_are_hive_partitions(self, finished):
        folder, _ = finished
        frame = pyarrow.dataset.dataset(folder / "results/iris/embeddings", partitioning="hive").to_table().to_pandas()
        assert len(frame) == 600
        assert set(frame["n_neighbors"]) == {5, 20}
        assert set(frame["min_dist"].astype(float)) == {0.0, 0.5}
        assert set(frame["metric"]) == {"euclidean"}

    def test_each_cell_carries_its_key_and_fingerprint(self, finished):
        folder, _ = finished
        path = folder / CELL / "n_neighbors=5/min_dist=0.5/seed=10/embedding.parquet"
        record = store.read_record(path)
        expected = {"knn_k": 20, "knn_seed": 10, "knn_jobs": 1, "n_neighbors": 5, "min_dist": 0.5, "seed": 10}
        expected |= UMAP_DEFAULTS | {"metric": "euclidean", "method": "auto", "n_epochs": 500}
        expected |= {"cpu": "x86-64-v3", "blas_threads": 1}
        assert record["key"] == expected
        assert record["fingerprint"] == store.fingerprint(store.read(path, ["umap_1", "umap_2"]))

    def test_manifest_is_what_the_files_say(self, finished):
        folder, _ = finished
        manifest = json.loads((folder / "results/iris/manifest.json").read_text())
        stages = [result["stage"] for result in manifest["results"]]
        assert {stage: stages.count(stage) for stage in stages} == {
            "data": 1,
            "rows": 1,
            "knn": 1,
            "graph": 2 * 2,  # edges and vertices
            "initial_layout": 2,
            "layout": 4,
            "embedding": 4,
        }
        for result in manifest["results"]:
            assert store.read_record(folder / result["path"])["fingerprint"] == result["fingerprint"]
        environment = manifest["environments"][0]
        assert {"cpu", "numba", "numpy", "python", "scipy", "umap-learn"} <= set(environment)

    def test_pictures(self, finished):
        folder, _ = finished
        plots = folder / "results/iris/plots"
        assert (plots / "grid.png").read_bytes().startswith(b"\x89PNG")
        assert (plots / "grid.pdf").read_bytes().startswith(b"%PDF")

    def test_every_job_has_a_log_and_a_benchmark(self, finished):
        folder, run = finished
        jobs = sum(run.jobs.values()) - 1
        assert len(list((folder / "results/iris/logs").rglob("*.log"))) == jobs
        assert len(list((folder / "results/iris/benchmarks").rglob("*.tsv"))) == jobs

    @pytest.mark.parametrize(
        ("sections", "jobs"),
        [
            ({}, {}),
            (
                {"grid": {"n_neighbors": [5], "min_dist": [0.0, 0.5, 0.25]}},
                {"layout": 1, "cell_metrics": 1, "manifest": 1, **COMPARED},
            ),
            (
                {"grid": {"n_neighbors": [5, 20, 12]}},
                {"graph": 1, "initial_layout": 1, "layout": 2, "cell_metrics": 1, "manifest": 1, **COMPARED},
            ),
            (
                {"plot": {"dpi": 100}},
                dict.fromkeys(
                    [
                        "plot_features",
                        "plot_grid",
                        "plot_metrics",
                        "plot_comparisons",
                        "plot_changes",
                        "manifest",
                        "all",
                    ],
                    1,
                ),
            ),
            ({"atlas": {"max_points": 100}}, {"atlas": 1, "manifest": 1, "all": 1}),
            (
                {"metrics": {"seed": 1}},
                {"high_dimensional": 1, "cell_metrics": 2, "features": 1, "plot_features": 1, "manifest": 1}
                | {name: 1 for name in COMPARED if name not in ("sweep", "embeddings", "plot_grid")},
            ),
            (
                {"grid": {"seed": [10, 11]}},
                {
                    "initial_layout": 2,
                    "layout_0p0_0p5": 2,
                    "cell_metrics": 2,
                    "manifest": 1,
                    **COMPARED,
                    "plot_grid": 2,
                }
                | {"seed_pairs": 4, "stability": 1, "plot_stability": 1, "plot_instability": 1},
            ),
            (
                {"umap": {"repulsion_strength": 2.0}},
                {"layout_0p0_0p5": 2, "cell_metrics": 2, "manifest": 1, **COMPARED},
            ),
            (
                {"cpu": "x86-64-v2"},
                {"knn": 1, "high_dimensional": 1, "graph": 2, "initial_layout": 2, "layout_0p0_0p5": 2}
                | {"cell_metrics": 2, "manifest": 1, **COMPARED}
                | {"features": 1, "plot_features": 1},
            ),
        ],
        ids=["nothing", "min_dist", "n_neighbors", "plot", "atlas", "metrics", "seed", "repulsion", "cpu"],
    )
    def test_a_change_runs_what_hangs_below_it_and_no_more(self, finished, sections, jobs):
        folder, _ = finished
        run = snakemake(folder, "--dry-run", config=iris(**sections))
        assert run.code == 0, run.output
        assert run.jobs == jobs
        assert ("Nothing to be done" in run.output) == (not jobs)

    def test_one_core_gives_the_same_bits(self, finished, tmp_path):
        folder, _ = finished
        run = snakemake(tmp_path, "--quiet", "progress", cores=1, config=IRIS)
        assert run.code == 0, run.output
        assert " left." not in run.output
        assert coordinates(tmp_path) == coordinates(folder)


def test_a_sweep_of_one_cell(tmp_path):
    """It compares nothing, and says so nowhere."""
    one = iris(grid={"n_neighbors": [15], "min_dist": [0.1], "seed": [10]}, plot={"vector_format": "svg"})
    run = snakemake(tmp_path, config=one)
    assert run.code == 0, run.output
    results = tmp_path / "results/iris"
    assert "n_neighbors 15, min_dist 0.1: the only setting: neighbours kept" in run.output
    assert {path.stem for path in (results / "plots").iterdir()} == {"grid", "metrics", "features"}
    assert "no other cell" not in (results / "plots/metrics.svg").read_text()
    assert {name for name in run.jobs if name.startswith("plot_")} == {"plot_grid", "plot_metrics", "plot_features"}
    assert len(pd.read_parquet(results / "metrics.parquet")) == len(pd.read_csv(results / "shortlist.csv")) == 1
    assert (results / "atlas.html").stat().st_size > 50_000
    assert snakemake(tmp_path, "check", config=one).code == 0
    assert snakemake(tmp_path, "--dry-run", config=one).jobs == {}


def test_figures_of_too_many_cells_are_left_out_from_the_start(tmp_path):
    """All else is planned."""
    wide = iris(grid={"n_neighbors": [15], "min_dist": [place / 1000 for place in range(201)], "seed": [10, 11]})
    run = snakemake(tmp_path, "--dry-run", "--quiet", "all", config=wide)
    assert run.code == 0, run.output
    assert run.output.count("1 n_neighbors × 201 min_dist are too many panels for one figure") == 1
    drawn = {name for name in run.jobs if name.startswith("plot_")}
    assert drawn == {"plot_features", "plot_metrics", "plot_comparisons", "plot_changes", "plot_stability"}
    assert run.jobs["atlas"] == run.jobs["manifest"] == 1


def test_further_axes_and_parameters(tmp_path):
    """Two k-NN seeds, two UMAP seeds, a table of cells, three dimensions: every cell is there and typed."""
    (tmp_path / "cells.csv").write_text("n_neighbors,min_dist,seed,knn_seed\n5,0.1,1,10\n7,0.3,2,11\n7,0.3,1,11\n")
    config = iris(knn={"seed": [10, 11]}, umap={"n_components": 3, "init": "pca"}) | {"grid": {"table": "cells.csv"}}
    run = snakemake(tmp_path, config=config)
    assert run.code == 0, run.output
    frame = pd.read_parquet(tmp_path / "results/iris/sweep.parquet")
    cells = frame.groupby(["n_neighbors", "min_dist", "seed", "knn_seed"]).size().to_dict()
    assert cells == {(5, 0.1, 1, 10): 150, (7, 0.3, 2, 11): 150, (7, 0.3, 1, 11): 150}
    assert np.isfinite(frame[["umap_1", "umap_2", "umap_3"]].to_numpy()).all()
    plots = {path.name for path in (tmp_path / "results/iris/plots").glob("*.png")}
    grids = {"grid.png", "grid_knn_seed=11_seed=2.png", "grid_knn_seed=11_seed=1.png"}
    # Only one n_neighbors and min_dist has several seeds, and no two cells are next to each other.
    compared = {"metrics.png", "comparisons.png", "stability.png", "instability.png"}
    assert plots == {*grids, *compared, "features.png"}


def assert_refused(run: Run, folder, *said: str) -> None:
    """Hold a failed run against what it must say, and see that it left no result."""
    assert run.code != 0, run.output
    for part in said:
        assert part in run.output
    assert "Traceback" not in run.output
    assert not list(folder.glob("results/*/sweep.parquet"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (iris(knn={"n_neighbors": 150}), ["knn.n_neighbors is 150", "150 rows", "at most 149"]),
        (iris(knn={"metric": "haversine"}), ["haversine needs 2 columns", "4"]),
        (iris(umap={"init": "pca", "n_components": 9}), ["umap.init pca", "9 dimensions", "lower umap.n_components"]),
        (iris(grid={"n_neighbors": [30]}), ["n_neighbors 30", "knn.n_neighbors 20"]),
        (IRIS | {"dataset": "iri"}, ["dataset is 'iri'", "nearest is 'iris'"]),
        (
            {"dataset": "mine", "datasets": {"mine": {"source": "file", "path": "nowhere.csv"}}},
            ["datasets.mine.path is 'nowhere.csv', which is not a file"],
        ),
    ],
    ids=["k", "metric", "pca", "grid", "dataset", "file"],
)
def test_bad_input_ends_with_one_message(tmp_path, config, said):
    assert_refused(snakemake(tmp_path, config=config), tmp_path, *said)


def test_bad_values_in_the_users_file(tmp_path):
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0] * 10, "y": np.arange(30.0)})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    config = {"dataset": "mine", "datasets": {"mine": {"source": "file", "path": "mine.csv"}}}
    run = snakemake(tmp_path, config=config)
    assert_refused(run, tmp_path, "x", "10")
    assert not (tmp_path / "results/mine/data/data.parquet").exists()


def test_a_changed_file_is_fetched_again(tmp_path):
    frame = pd.DataFrame(np.random.RandomState(0).normal(size=(40, 3)), columns=list("abc"))
    frame.to_csv(tmp_path / "mine.csv", index=False)
    config = {
        "dataset": "mine",
        "datasets": {"mine": {"source": "file", "path": "mine.csv"}},
        "knn": {"n_neighbors": 8},
        "grid": {"n_neighbors": [5], "min_dist": [0.1]},
    }
    target = "results/mine/data/data.parquet"
    assert snakemake(tmp_path, target, config=config).code == 0
    assert "Nothing to be done" in snakemake(tmp_path, "--dry-run", target, config=config).output
    before = store.read_record(tmp_path / target)["fingerprint"]
    frame.iloc[0, 0] += 1
    frame.to_csv(tmp_path / "mine.csv", index=False)
    assert snakemake(tmp_path, target, config=config).code == 0
    assert store.read_record(tmp_path / target)["fingerprint"] != before


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return the folder of a finished sweep of one cell that tests may damage."""
    folder = tmp_path_factory.mktemp("damaged")
    assert snakemake(folder, config=iris(grid={"n_neighbors": [5], "min_dist": [0.1]})).code == 0
    return folder


class TestDamage:
    """Damaged, stale and half-written files are never taken for results."""

    def test_damaged_knn(self, swept):
        path = next(swept.glob("results/iris/knn/**/knn.parquet"))
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
            path.write_bytes(damaged)
            run = snakemake(swept, config=iris(grid={"n_neighbors": [5], "min_dist": [0.1]}))
            assert run.code != 0
            assert f"{path.relative_to(swept)} is damaged" in run.output
            assert "Delete it and run again" in run.output
            assert "Traceback" not in run.output
        path.unlink()
        assert (
            snakemake(swept, "--forcerun", "knn", config=iris(grid={"n_neighbors": [5], "min_dist": [0.1]})).code == 0
        )
        store.read(path)

    def test_cell_of_another_configuration(self, swept):
        """Without Snakemake's own records nothing else would tell the two apart: the folders are the same."""
        config = iris(grid={"n_neighbors": [5], "min_dist": [0.1]}, umap={"spread": 2.0})
        run = snakemake(swept, "--rerun-triggers", "mtime", "--forcerun", "sweep", config=config)
        assert run.code != 0
        assert "was made with spread 1.0, but the configuration says 2.0" in run.output


def test_a_killed_run_leaves_nothing_half_written(tmp_path):
    """Everything is killed at once while a cell is being computed; the next run finishes with the right bits."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "2"]
    (tmp_path / "mine.yaml").write_text(json.dumps(IRIS))
    killed = subprocess.Popen(
        [*command, "--configfile", "mine.yaml"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("results/iris/logs/layouts/**/*.log")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    for path in tmp_path.glob("results/**/*.parquet"):
        if not path.name.startswith("."):
            store.read(path)  # whole, or an error
    assert snakemake(tmp_path, "--unlock", config=IRIS).code == 0
    assert snakemake(tmp_path, config=IRIS).code == 0
    assert len(coordinates(tmp_path)) == 4


def test_full_disk(tmp_path):
    """A file that cannot grow leaves no file, and says so without a traceback."""
    script = (
        "import numpy as np, pyarrow as pa\n"
        "from umap_sweep import job, store\n"
        "with job.running('job.log'):\n"
        "    table = pa.table({'x': np.random.RandomState(0).normal(size=100_000)})\n"
        "    store.write('x.parquet', table, store.make_record('knn', {}, store.fingerprint(table)))\n"
    )
    done = subprocess.run(
        ["bash", "-c", 'trap "" XFSZ; ulimit -f 200; exec "$0" -c "$1"', sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "snakemake", "--lint"],
        [
            "-m",
            "snakefmt",
            "--check",
            "Snakefile",
            "workflow/Snakefile",
            "workflow/rules",
            "docs/module/Snakefile",
            "docs/clusters/Snakefile",
        ],
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-m", "mypy"],
        ["-m", "codespell_lib"],
    ],
    ids=["snakemake", "snakefmt", "ruff check", "ruff format", "mypy", "codespell"],
)
def test_lint(command):
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
