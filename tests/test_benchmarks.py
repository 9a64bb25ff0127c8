"""The benchmarks' tables: how runs are merged and fitted, and the page that is made of them. Nothing is timed here."""

import itertools
import json
import os
import subprocess
import sys

import jobs
import numpy as np
import pandas as pd
import peer
import point
import pytest
import report
import synthetic
import tables
import yaml
from conftest import ROOT

from umap_sweep import store
from umap_sweep.planning import layout_jobs, resources
from umap_sweep.timing import arms as timing_arm
from umap_sweep.timing import watching


def points() -> pd.DataFrame:
    """Return a table in which a layout takes 3 + rows / 1,000 seconds and all memory follows one model."""
    base = {"rows": 8000, "dimensions": 50, "n_neighbors": 15, "cells": 1, "cores": 2}
    axes = {"rows": [1000, 8000, 64000, 512000], "dimensions": [10, 50], "n_neighbors": [5, 50], "cells": [1, 4]}
    frames = []
    for axis, sizes in axes.items():
        for size in sizes:
            at = base | {axis: size}
            run = timing_arm.Run(0.0, 100.0, [(10.0, 13.0 + at["rows"] / 1000, "layout"), (90.0, 99.0, "knn")], [], {})
            memory = 100 + at["rows"] * (at["dimensions"] * 8 + at["n_neighbors"] * 24) / 2**20
            frames.append(point.table(run).assign(**at, commit="1a2b3c4"))
            frames[-1].loc[frames[-1]["stage"].isin(tables.WORK), "peak_memory_mb"] = memory
    return pd.concat(frames).drop_duplicates(tables.POINT_KEY)


def test_seconds_of_a_stage_are_those_of_its_jobs_without_compilation():
    jobs = [(10.0, 20.0, "layout"), (10.0, 25.0, "layout"), (0.0, 5.0, "knn")]
    run = timing_arm.Run(-2.0, 30.0, jobs, [(1.0, 4.0, "knn"), (12.0, 13.0, "layout")], {"knn": 300.0, "layout": 200.0})
    table = point.table(run).set_index("stage")
    assert table["job_seconds"].dropna().to_dict() == {"knn": 2.0, "layout": 24.0}
    assert table["peak_memory_mb"].dropna().to_dict() == {"knn": 300.0, "layout": 200.0}
    assert table["seconds"].drop("total").sum() == pytest.approx(table.loc["total", "seconds"])
    assert table.loc["compilation", "seconds"] == pytest.approx(3.5)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.9])
def test_exponents(power):
    sizes = np.array([1e3, 1e4, 1e5, 1e6])
    assert tables.exponent(sizes, 3 * sizes**power) == pytest.approx(power)
    assert tables.exponent(sizes, np.array([10.0, 10.1, 10.5, 12])) is None
    assert tables.exponent(sizes[:2], sizes[:2]) is None


def measured_jobs() -> pd.DataFrame:
    """Return a table in which memory and time of k-NN and graph follow one model each."""
    rows = []
    for at in yaml.safe_load((ROOT / "benchmarks/config.yaml").read_text())["jobs"]:
        at = at | {"edges": 3 * at["rows"] * at["n_neighbors"]}
        size = jobs.sizes("knn", at)
        pairs = at["rows"] ** 2 if at["rows"] < 4096 else 0
        values = size.rows * size.dimensions * 8 + size.rows * size.neighbors * 24 + pairs * 16
        rows.append({**at, "job": "knn", "peak_memory_mb": 100 + values / 2**20, "seconds": 7.0})
        values = size.rows * size.neighbors * 60 + size.rows**1.5 * 8
        rows.append({**at, "job": "graph", "peak_memory_mb": 50 + values / 2**20, "seconds": 1 + values / 1e6})
    return pd.DataFrame(rows)


def test_the_weights_of_memory_and_time_are_found():
    found = jobs.weights(measured_jobs())
    expected = {"constant": 100 * 2**20, "rows × dimensions": 8, "rows × n_neighbors": 24, "rows²": 16}
    assert found["knn"]["memory"] == pytest.approx(expected, rel=0.01)
    expected = {"constant": 50 * 2**20, "rows × n_neighbors": 60, "rows × √rows": 8}
    assert found["graph"]["memory"] == pytest.approx(expected, rel=0.01)
    expected = {"constant": 1, "rows × n_neighbors": 60e-6, "rows × √rows": 8e-6}
    assert found["graph"]["seconds"] == pytest.approx(expected, rel=0.01)


def test_layout_jobs_of_several_cells_are_fitted_as_if_they_had_one():
    rows, sweeps = [], yaml.safe_load((ROOT / "benchmarks/config.yaml").read_text())["jobs"]
    for at, laid_out in itertools.product(sweeps, (1, 4)):
        at = at | {"edges": 3 * at["rows"] * at["n_neighbors"], "laid_out": laid_out}
        more = resources.BYTES_OF_A_CELL * at["rows"] * (laid_out - 1)
        values = at["rows"] * 80 + at["edges"] * 50
        seconds = (1 + at["rows"] / 1e4 + at["edges"] / 1e6) * layout_jobs.cost(laid_out)
        peak = 100 + (values + more) / 2**20
        rows.append({**at, "job": "layout", "peak_memory_mb": peak, "seconds": seconds})
    found = jobs.weights(pd.DataFrame(rows))["layout"]
    assert found["memory"] == pytest.approx({"constant": 100 * 2**20, "rows": 80, "edges": 50}, rel=0.01)
    assert found["seconds"] == pytest.approx({"constant": 1, "rows": 1e-4, "edges": 1e-6}, rel=0.01)


def test_a_watched_rule_goes_by_its_script_however_snakemake_calls_the_copy(tmp_path):
    seen = tmp_path / "seen.jsonl"
    for name in ("tmp12.knn.py", "scanpy_cells.py"):
        (tmp_path / name).write_text("")
        variables = watching.variables(tmp_path / f"watch {name}", seen)
        subprocess.run([sys.executable, str(tmp_path / name)], env=os.environ | variables, check=True)
    assert [line["script"] for line in watching.read(seen)] == ["knn.py", "scanpy_cells.py"]


def test_jobs_are_told_by_their_scripts(tmp_path):
    lines = [
        {"script": "knn.py", "start": 1.0, "end": 2.0},
        {"script": "knn.py", "peak_memory_mb": 300.0, "seconds": 4.0},
        {"script": "layout.py", "peak_memory_mb": 150.0, "seconds": 9.0},
        {"script": "layout.py", "peak_memory_mb": 170.0, "seconds": 5.0},
        {"script": "__main__.py", "peak_memory_mb": 900.0, "seconds": 60.0},
    ]
    (tmp_path / "seen.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert jobs.seen(tmp_path / "seen.jsonl", {"rows": 10}) == [
        {"rows": 10, "job": "knn", "peak_memory_mb": 300.0, "seconds": 4.0},
        {"rows": 10, "job": "layout", "peak_memory_mb": 170.0, "seconds": 9.0},
    ]


def test_a_series_varies_in_one_axis_alone():
    found = tables.series(points(), "rows")
    assert found["rows"].unique().tolist() == [1000, 8000, 64000, 512000]
    assert (found[["dimensions", "n_neighbors", "cells", "cores"]].drop_duplicates().to_numpy() == [50, 15, 1, 2]).all()


def test_a_run_replaces_its_rows_and_leaves_the_others(tmp_path):
    runs, measured = tmp_path / "runs", tmp_path / "measured"
    (runs / "points").mkdir(parents=True)
    points().to_csv(runs / "points/1.tsv", sep="\t", index=False)
    tables.merge(runs, measured)
    before = pd.read_csv(measured / "points.tsv", sep="\t")
    (runs / "points/1.tsv").unlink()
    again = points().query("rows == 64000").assign(seconds=7.0)
    again.to_csv(runs / "points/2.tsv", sep="\t", index=False)
    (runs / "points/.underway").mkdir()
    (runs / "points/.underway/cells.tsv").write_text("n_neighbors\n5\n")
    tables.merge(runs, measured)
    after = pd.read_csv(measured / "points.tsv", sep="\t")
    assert len(after) == len(before) == len(points())
    assert (after.loc[after["rows"] == 64000, "seconds"] == 7.0).all()
    others = tables.POINT_KEY
    left = before[before["rows"] != 64000].sort_values(others).reset_index(drop=True)
    assert left.equals(after[after["rows"] != 64000].sort_values(others).reset_index(drop=True))
    assert json.loads((measured / "machine.json").read_text())["cpu"]


def test_the_page_and_its_figure(tmp_path):
    measured = tmp_path / "some-machine"
    tables.merge(tmp_path, measured)
    points().to_csv(measured / "points.tsv", sep="\t", index=False)
    first = {"rows": 10000, "dimensions": 50, "cells": 6, "cores": 2, "version": "1.2.3", "compilation": None}
    others = [first | {"who": who, "seconds": 100.0 + n, "peak_memory_mb": 500} for n, who in enumerate(report.PEERS)]
    pd.DataFrame(others).to_csv(measured / "peers.tsv", sep="\t", index=False)
    report.report(measured, tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert "| 64,000 | 100 |" in page
    # Of 4, 11, 67 and 515 seconds, three are twice the least one.
    slope = np.polyfit(np.log([8000, 64000, 512000]), np.log([11, 67, 515]), 1)[0]
    assert f"**{slope:.2f}** | – |" in page
    for name, _ in report.PEERS.values():
        assert f"| {name} 1.2.3 | " in page
    assert (tmp_path / "performance.png").read_bytes().startswith(b"\x89PNG")


def test_peers_are_those_the_page_knows():
    config = yaml.safe_load((ROOT / "benchmarks/config.yaml").read_text())
    listed = config["peers"]["grids"] + config["peers"]["long"]
    assert {who for grid in listed for who in grid.get("who", config["peers"]["who"])} <= set(report.PEERS)
    assert (peer.PEERS / "uwot_cells.R").exists()


def test_synthetic_data_are_stored_as_the_pipeline_reads_them(tmp_path):
    synthetic.write(tmp_path / "data.parquet", 300, 7, seed=1)
    features = store.read_features(tmp_path / "data.parquet")
    assert features.shape == (300, 7)
    assert np.array_equal(features, synthetic.draw(300, 7, 1)[0])
    assert not np.array_equal(features, synthetic.draw(300, 7, 2)[0])
    clusters = store.read_rows(tmp_path / "data.parquet").column("label").to_numpy()
    assert np.array_equal(clusters, synthetic.draw(300, 7, 1)[1])
    assert len(np.unique(features, axis=0)) == 300


def test_scanpy_runs_the_grid_by_nn_descent(tmp_path):
    """From 8,192 rows on it searches with pynndescent."""
    grid = {"n_neighbors": [5], "min_dist": [0.5], "seed": 10}
    (row,) = peer.run("scanpy", tmp_path, 8200, 5, grid, 0, 2)
    assert row["who"] == "scanpy" and row["seconds"] > row["compilation"] > 0 and row["peak_memory_mb"] > 100
