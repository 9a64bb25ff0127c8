"""Which cells share a layout job, and that it shows in nothing but the time: not in results, nor in later plans."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, UMAP_DEFAULTS, Stages, snakemake
from sklearn.datasets import load_iris

from umap_sweep import store
from umap_sweep.planning import layout_jobs
from umap_sweep.stages import layouts

MIN_DIST = [0.25, 0.5, 0.75, 1.0]
IRIS = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 12},
    "grid": {"n_neighbors": [5, 12], "min_dist": MIN_DIST, "seed": [10]},
    "umap": {"n_epochs": 20},
}
TARGET = "results/iris/sweep.parquet"
ROW = "metric=euclidean/knn_k=12/knn_seed=10/knn_jobs=1/n_neighbors={n_neighbors}/min_dist={min_dist}/seed={seed}"
CELL = f"results/iris/layouts/{ROW}/layout.parquet"
TOGETHER = "layout_0p25_0p5_0p75_1p0"


def with_min_dist(*values: float) -> dict:
    return IRIS | {"grid": IRIS["grid"] | {"min_dist": list(values)}}


def grid(n_neighbors, min_dist, seeds=(10,)) -> pd.DataFrame:
    """Return a table of cells as `umap_sweep.cells.grid` makes it."""
    shared = {"metric": "euclidean", "knn_k": 50, "knn_seed": 10, "knn_jobs": 1}
    cells = itertools.product(n_neighbors, min_dist, seeds)
    return pd.DataFrame([shared | {"n_neighbors": k, "min_dist": m, "seed": s} for k, m, s in cells])


def cells_of(folder) -> dict:
    """Return the bytes and the time of change of every cell, by its path from `folder`."""
    paths = sorted(folder.glob("results/iris/layouts/**/layout.parquet"))
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def fingerprints(folder) -> dict:
    paths = sorted(folder.glob("**/layouts/**/layout.parquet"))
    return {str(path.relative_to(folder)): store.read_record(path)["fingerprint"] for path in paths}


def taking(folder, path, config):
    """Write a workflow that imports this one and takes one cell, and return its path."""
    snakefile = folder / "taking.smk"
    imported = f'module sweep:\n    snakefile: "{ROOT / "Snakefile"}"\n    config: {config}\n\nuse rule * from sweep\n'
    snakefile.write_text(f'rule taking:\n    input: "{path}"\n\n{imported}')
    return snakefile


class TestPlan:
    """Which min_dist are laid out together."""

    @pytest.mark.parametrize(
        ("cores", "widths"),
        [(1, [4]), (2, [4]), (4, [4]), (8, [4]), (16, []), (100, []), (None, [4])],
    )
    def test_no_core_idles(self, cores, widths):
        """Sixteen cells: on few cores a row is one job, on sixteen each cell is one."""
        cells = grid([15, 16, 17, 18], [0.0, 0.1, 0.25, 0.5])
        found = layout_jobs.together(cells, [False] * 16, cores, 4)
        assert [len(columns) for columns in found] == widths
        if widths:
            assert list(itertools.chain(*found)) == ["0.0", "0.1", "0.25", "0.5"]

    def test_one_row_on_two_cores_is_one_job(self):
        cells = grid([15], [0.0, 0.1, 0.25, 0.5])
        assert layout_jobs.together(cells, [False] * 4, 2, 4) == [("0.0", "0.1", "0.25", "0.5")]

    def test_more_than_a_job_carries_are_cut_evenly(self):
        found = layout_jobs.together(grid([15], np.linspace(0, 0.8, 9).round(2)), [False] * 9, 1, 4)
        assert [len(columns) for columns in found] == [3, 3, 3]

    @pytest.mark.parametrize("cores", [1, 2, 3, 4, 7, 8, 16, 30])
    def test_no_other_width_would_be_done_sooner(self, cores):
        """By trying them all, with jobs of one length, for which the time is the number of rounds."""
        cells = grid(range(15, 22), [0.0, 0.1, 0.25, 0.5])
        cells["n_neighbors"] = 15  # the rows differ in seed
        cells["seed"] = np.repeat(np.arange(7), 4)
        found = layout_jobs.together(cells, [False] * len(cells), cores, 4)

        def time(width: int) -> float:
            return -(-7 * (4 // width) // cores) * layout_jobs.cost(width)

        assert time(max(map(len, found), default=1)) <= layout_jobs.NEARLY_AS_SOON * min(map(time, (1, 2, 4)))

    def test_only_what_is_missing_in_the_same_rows_shares_a_job(self):
        cells = grid([15, 30], [0.0, 0.1, 0.2, 0.3, 0.4])
        stored = cells["min_dist"].isin([0.0, 0.2]) | ((cells["min_dist"] == 0.4) & (cells["n_neighbors"] == 15))
        found = layout_jobs.together(cells, stored.tolist(), 1, 4)
        assert found == [("0.0", "0.2"), ("0.1", "0.3")]

    def test_stored_cells_share_jobs_too(self):
        """Where changed code makes all of them anew."""
        cells = grid([15, 30], [0.0, 0.1, 0.2])
        assert layout_jobs.together(cells, [True] * 6, 2, 4) == [("0.0", "0.1", "0.2")]

    def test_a_table_s_rows_have_their_own_cells(self):
        cells = pd.concat([grid([15], [0.0, 0.1, 0.2]), grid([30], [0.1, 0.2]), grid([50], [0.3])], ignore_index=True)
        assert layout_jobs.together(cells, [False] * len(cells), 1, 4) == [("0.1", "0.2")]

    @pytest.mark.parametrize("pattern", ["{}", "umap_{}", "{}_of_1", "x_0p1_{}_2_3"])
    @pytest.mark.parametrize("columns", [("0.0", "0.5"), ("1e-05", "0.25", "1.0")])
    @pytest.mark.parametrize("rule", ["layout", "layout_again"])
    def test_a_name_tells_its_min_dist(self, rule, columns, pattern):
        name = pattern.format(layout_jobs.job_name(rule, columns))
        assert name.isidentifier()
        assert layout_jobs.named_columns(name, rule, pattern.format) == columns

    @pytest.mark.parametrize("name", ["layout", "umap_layout", "layout_again_0p1_0p2", "layout_0p1"])
    def test_other_names_tell_none(self, name):
        assert layout_jobs.named_columns(name, "layout", str) == ()


def test_together_or_alone_the_files_are_the_same(tmp_path):
    """All bytes, not the values alone; also where rows have no place, and in three dimensions."""
    features = load_iris().data.astype(np.float32)
    stages = Stages(tmp_path, features)
    umap = UMAP_DEFAULTS | {"n_epochs": 30, "n_components": 3}
    stages.cell(10, 0.1, 3, **umap)
    start = [*(tmp_path / f"{name}.parquet" for name in ("edges", "vertices", "start"))]
    # A file says where it belongs by the end of its path.
    alone = [tmp_path / "alone" / "cells" / f"{min_dist}.parquet" for min_dist in MIN_DIST]
    together = [tmp_path / "together" / "cells" / f"{min_dist}.parquet" for min_dist in MIN_DIST]
    for path, min_dist in zip(alone, MIN_DIST, strict=True):
        layouts.compute(*start, [path], [min_dist], {"seed": 3}, umap)
    costs = [tmp_path / f"{min_dist}.json" for min_dist in MIN_DIST]
    layouts.compute(*start, together, MIN_DIST, {"seed": 3}, umap, costs)
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together]
    assert [store.read_record(path)["key"]["min_dist"] for path in together] == MIN_DIST
    assert len({path.read_bytes() for path in together}) == 4
    found = [json.loads(path.read_text()) for path in costs]
    assert all(cost["cells"] == 4 and cost["layout_seconds"] > 0 and cost["layout_memory_mb"] > 50 for cost in found)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a sweep that one core has finished, four cells in a job. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("finished")
    run = snakemake(folder, TARGET, cores=1, config=IRIS)
    assert run.code == 0, run.output
    assert run.jobs[TOGETHER] == 2 and run.laid_out == 8
    return folder


@pytest.fixture(scope="module")
def on_many_cores(tmp_path_factory):
    """Return the folder of the same sweep by as many cores as cells, and the run that finished it."""
    folder = tmp_path_factory.mktemp("many")
    run = snakemake(folder, TARGET, cores=8, config=IRIS)
    assert run.code == 0, run.output
    assert run.jobs["layout"] == run.laid_out == 8
    return folder


class TestSweep:
    """The pipeline on machines with other numbers of cores."""

    def test_the_files_are_the_same(self, finished, on_many_cores):
        one, many = cells_of(finished), cells_of(on_many_cores)
        assert {path: cell for path, (cell, _) in one.items()} == {path: cell for path, (cell, _) in many.items()}
        assert len(one) == 8

    @pytest.mark.parametrize("cores", [1, 2, 4, 16])
    @pytest.mark.parametrize("made_on", ["finished", "on_many_cores"])
    def test_nothing_is_planned_afterwards(self, made_on, cores, request):
        run = snakemake(request.getfixturevalue(made_on), TARGET, "--dry-run", cores=cores, config=IRIS)
        assert "Nothing to be done" in run.output

    @pytest.mark.parametrize(
        "change",
        [
            {"umap": {"n_epochs": 20, "spread": 1.5}},
            {"umap": {"n_epochs": 20, "negative_sample_rate": 4}},
            {"cpu": "x86-64-v2"},
            {"blas_threads": 2},
        ],
        ids=lambda change: "".join(change),
    )
    def test_what_shapes_a_cell_is_seen_to_change(self, on_many_cores, change):
        """Also where it has been laid out alone, and would now be with others."""
        run = snakemake(on_many_cores, TARGET, "--dry-run", cores=1, config=IRIS | change)
        assert run.jobs[TOGETHER] == 2 and run.laid_out == 8

    @pytest.mark.parametrize(("place", "added", "cores"), [(0, 0.1, 1), (2, 0.6, 8), (4, 0.1, 2), (4, 0.05, 1)])
    def test_an_added_min_dist_is_laid_out_alone(self, finished, place, added, cores):
        values = [*MIN_DIST[:place], added, *MIN_DIST[place:]]
        run = snakemake(finished, TARGET, "--dry-run", cores=cores, config=with_min_dist(*values))
        assert run.jobs == {"layout": 2, "sweep": 1}

    def test_what_the_command_line_says_of_the_rule_is_about_its_cells(self, finished):
        run = snakemake(
            finished,
            *(TARGET, "--dry-run", "--quiet", "host", "--forceall", "--set-resources", "layout:mem_mb=1234"),
            cores=1,
            config=IRIS,
        )
        assert run.jobs[TOGETHER] == 2
        assert run.output.count("mem_mb=1234") == 2
        run = snakemake(finished, TARGET, "--dry-run", "--forcerun", "layout", cores=1, config=IRIS)
        assert run.jobs["layout"] == run.laid_out == 8

    @pytest.mark.parametrize("values", [(12, 0.3, 10), (8, 0.5, 10), (12, 0.5, 11)])
    def test_a_cell_outside_the_grid_is_made_alone(self, finished, values):
        """Because another workflow's rule takes it."""
        path = CELL.format(**dict(zip(("n_neighbors", "min_dist", "seed"), values, strict=True)))
        run = snakemake(finished, "taking", "--dry-run", cores=1, snakefile=taking(finished, path, IRIS))
        assert run.code == 0, run.output
        assert run.jobs["layout"] == run.laid_out == 1

    def test_a_cell_of_the_grid_that_is_asked_for_by_its_path_is_made_alone(self, tmp_path):
        run = snakemake(tmp_path, CELL.format(n_neighbors=12, min_dist=0.5, seed=10), "--dry-run", cores=1, config=IRIS)
        assert run.jobs["layout"] == run.laid_out == 1

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ((5, -1, 10), "min_dist -1; allowed is a number from 0"),
            ((5, 7, 10), "min_dist=7; write min_dist=7.0"),
            ((5, 7.0, 10), "more than umap.spread 1.0"),
            ((1, 0.25, 10), "n_neighbors 1; allowed is a whole number from 2"),
            ((0, 0.25, 10), "n_neighbors 0; allowed"),
            ((5, "0.250", 10), "min_dist=0.250; write min_dist=0.25"),
            ((5, "1e-3", 10), "min_dist=1e-3; write min_dist=0.001"),
            ((5, "1-3", 10), "min_dist 1-3; allowed"),
            ((5, 0.25, 99999999999), "seed 99999999999; allowed"),
        ],
    )
    def test_what_a_grid_would_refuse_is_refused_in_a_path(self, finished, values, said):
        path = CELL.format(**dict(zip(("n_neighbors", "min_dist", "seed"), values, strict=True)))
        run = snakemake(finished, path, "--dry-run", cores=1, config=IRIS)
        assert run.code != 0
        assert said in run.output, run.output

    @pytest.mark.parametrize("argument", ["--until=layout", "--omit-from=layout", "--forcerun=layout"])
    def test_the_rule_s_name_means_all_cells_however_it_is_written(self, tmp_path, argument):
        run = snakemake(tmp_path, argument, "--dry-run", cores=1, config=IRIS)
        assert run.code == 0, run.output
        assert run.jobs.get("layout", 0) == run.laid_out == (0 if "omit" in argument else 8)

    def test_a_table_s_job_makes_no_cell_that_it_has_not(self, finished):
        """Nor where a path is asked for whose parts are all in the table."""
        lines = ["n_neighbors,min_dist,seed", "5,0.25,1", "5,0.5,1", "12,0.25,2", "12,0.5,2", "12,0.75,2"]
        (finished / "cells.csv").write_text("\n".join(lines) + "\n")
        config = IRIS | {"grid": {"table": "cells.csv"}}
        run = snakemake(finished, TARGET, "--dry-run", cores=1, config=config)
        assert run.jobs["layout_0p25_0p5"] == 2
        assert run.jobs["layout"] == 1 and run.laid_out == 5
        path = CELL.format(n_neighbors=5, min_dist=0.5, seed=2)
        run = snakemake(finished, "taking", "--dry-run", cores=1, snakefile=taking(finished, path, config))
        assert run.code == 0, run.output
        assert run.jobs["layout"] == run.laid_out == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a finished sweep of two of the four min_dist, which tests may damage."""
    folder = tmp_path_factory.mktemp("going")
    assert snakemake(folder, TARGET, cores=1, config=with_min_dist(0.25, 0.75)).code == 0
    return folder


class TestSweepThatGoesOn:
    """A finished sweep that tests add to and damage, each on what the others left."""

    def test_added_cells_leave_the_others_as_they_are(self, folder, finished):
        before = cells_of(folder)
        assert len(before) == 4
        run = snakemake(folder, TARGET, cores=1, config=IRIS)
        assert run.code == 0, run.output
        assert run.jobs["layout_0p5_1p0"] == 2 and run.laid_out == 4
        after = cells_of(folder)
        assert {path: after[path] for path in before} == before
        assert fingerprints(folder) == fingerprints(finished)

    def test_a_lost_cell_is_laid_out_alone(self, folder, finished):
        before = cells_of(folder)
        lost = CELL.format(n_neighbors=12, min_dist=0.5, seed=10)
        # Snakemake looks for what is missing where something is to be made of it.
        (folder / lost).unlink()
        (folder / TARGET).unlink()
        run = snakemake(folder, TARGET, cores=1, config=IRIS)
        assert run.code == 0, run.output
        assert run.jobs["layout"] == run.laid_out == 1
        after = cells_of(folder)
        assert after.pop(lost)[0] == before.pop(lost)[0]
        assert after == before
        assert "Nothing to be done" in snakemake(folder, TARGET, "--dry-run", cores=1, config=IRIS).output

    def test_a_job_that_is_killed_leaves_no_cells(self, folder, finished):
        """It is killed when the first of its results has appeared, and the next run lays all of them out."""
        for path in folder.glob(CELL.format(n_neighbors=12, min_dist="*", seed=10)):
            path.unlink()
        (folder / TARGET).unlink()
        before = cells_of(folder)
        (folder / "sitecustomize.py").write_text(
            "import os, signal, sys\n"
            "replace = os.replace\n"
            "def replace_and_die(source, target):\n"
            "    replace(source, target)\n"
            "    if sys.argv[0].endswith('layout.py') and str(target).endswith('layout.parquet'):\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "os.replace = replace_and_die\n"
        )
        killed = snakemake(folder, TARGET, cores=1, config=IRIS, variables={"PYTHONPATH": str(folder)})
        assert killed.code != 0
        assert killed.jobs[TOGETHER] == 1
        assert cells_of(folder) == before
        run = snakemake(folder, TARGET, cores=1, config=IRIS)
        assert run.code == 0, run.output
        assert run.jobs[TOGETHER] == 1 and run.laid_out == 4
        assert fingerprints(folder) == fingerprints(finished)

    def test_a_cell_outside_the_grid(self, folder):
        """It is the only one that is laid out, and has the key that its path says."""
        before = cells_of(folder)
        path = CELL.format(n_neighbors=12, min_dist=0.3, seed=10)
        run = snakemake(folder, path, cores=1, config=IRIS)
        assert run.code == 0, run.output
        after = cells_of(folder)
        del after[path]
        assert after == before
        key = store.read_record(folder / path)["key"]
        assert (key["min_dist"], key["n_neighbors"], key["seed"], key["spread"]) == (0.3, 12, 10, 1.0)


@pytest.mark.parametrize(("jobs", "planned"), [(2, {"flowers_" + TOGETHER: 1}), (4, {"flowers_layout": 4})])
def test_a_cluster_s_processes_run_the_jobs_that_were_planned(tmp_path, finished, jobs, planned):
    """By their own command lines, on one core, with files that have appeared since, and below a prefix."""
    config = IRIS | {"grid": IRIS["grid"] | {"n_neighbors": [12]}}
    workflow = (
        f'module flowers:\n    snakefile: "{ROOT / "Snakefile"}"\n    config: {config}\n    prefix: "flowers"\n'
        "use rule * from flowers as flowers_*\n"
    )
    (tmp_path / "importing.smk").write_text(workflow)
    # A scheduler that starts each job at once, and says the number of its process.
    (tmp_path / "submit").write_text('#!/bin/sh\nsh "$1" >> job.log 2>&1 &\necho $!\n')
    (tmp_path / "submit").chmod(0o755)
    options = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit", "--jobs", str(jobs)]
    options += ["--seconds-between-status-checks", "1"]
    target = f"flowers/{TARGET}"
    snakefile = tmp_path / "importing.smk"
    run = snakemake(tmp_path, target, *options, cores=None, snakefile=snakefile)
    assert run.code == 0, run.output + (tmp_path / "job.log").read_text()
    assert {rule: count for rule, count in run.jobs.items() if "_layout" in rule and "initial" not in rule} == planned
    expected = fingerprints(finished)
    assert fingerprints(tmp_path / "flowers") == {path: expected[path] for path in expected if "n_neighbors=12" in path}
    assert "Nothing to be done" in snakemake(tmp_path, target, "--dry-run", cores=1, snakefile=snakefile).output
    # What is there is seen below the prefix.
    snakefile.write_text(workflow.replace(str(MIN_DIST), str([0.1, *MIN_DIST])))
    added = snakemake(tmp_path, target, "--dry-run", cores=1, snakefile=snakefile)
    assert added.jobs == {"flowers_layout": 1, "flowers_sweep": 1}
