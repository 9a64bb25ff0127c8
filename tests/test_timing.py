"""The target `timing`: the grid by umap-learn and by this pipeline, each stage's time, and what is said of it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT, UMAP_DEFAULTS, snakemake, store_data

from umap_sweep import store
from umap_sweep.cells import grid
from umap_sweep.errors import InputError
from umap_sweep.figures import timing as plot_timing
from umap_sweep.settings import configuration
from umap_sweep.timing import arms as timing_arm
from umap_sweep.timing import notebook
from umap_sweep.timing import report as timing
from umap_sweep.timing import table as join_timing

IRIS = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 12},
    "grid": {"n_neighbors": [10], "min_dist": [0.1, 0.5], "seed": [10]},
    "umap": {"n_epochs": 20},
    "timing": {"arms": ["pipeline", "plain_seeded"], "columns": [0.5]},
}


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """Return the folder of a finished timing, and the run. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("timed")
    return folder, snakemake(folder, "timing", config=IRIS)


class TestTarget:
    """The whole target on few rows: one arm of umap-learn's on half of the grid, and the pipeline's."""

    def test_the_table(self, timed):
        folder, run = timed
        assert run.code == 0, run.output
        table = store.read(folder / "results/iris/timing.parquet").to_pandas()
        assert list(table.columns)[:3] == ["arm", "stage", "seconds"]
        assert table["arm"].unique().tolist() == ["plain_seeded", "pipeline", "pipeline_warm"]
        seconds = table.pivot_table(index="arm", columns="stage", values="seconds")
        assert set(seconds.columns) == set(timing_arm.STAGES)
        assert (seconds >= 0).all(axis=None)
        assert (seconds[["start", "knn", "graph", "initial_layout", "layout", "other"]] > 0).all(axis=None)
        assert (seconds.loc[["plain_seeded", "pipeline"], "compilation"] > 0).all()
        assert (table["threads"] == 2).all()
        assert (table["peak_memory_mb"] > 50).all()

    def test_a_sample_stands_for_all_where_it_can(self, timed):
        folder, _ = timed
        table = store.read(folder / "results/iris/timing.parquet").to_pandas().set_index(["arm", "stage"])
        of_learn, of_pipeline = table.loc["plain_seeded"], table.loc[["pipeline", "pipeline_warm"]]
        assert (of_learn["fits"] == 1).all()
        assert (of_learn["cells"] == 2).all()
        assert of_learn["sampled"].all()
        assert not of_pipeline["sampled"].any()
        times = (of_learn["seconds"] / of_learn["measured_seconds"]).to_dict()
        assert times == {stage: 1.0 if stage in ("start", "compilation") else 2.0 for stage in timing_arm.STAGES}
        assert (of_pipeline["seconds"] == of_pipeline["measured_seconds"]).all()

    def test_the_stages_add_up_to_the_wall_time(self, timed):
        folder, _ = timed
        table = store.read(folder / "results/iris/timing.parquet").to_pandas()
        for arm, measured in table.groupby("arm")["measured_seconds"].sum().items():
            if arm == "pipeline_warm":
                continue
            job = pd.read_csv(folder / f"results/iris/benchmarks/timing/{arm}.tsv", sep="\t")["s"].iloc[0]
            also = table.loc[table["arm"] == "pipeline_warm", "measured_seconds"].sum() if arm == "pipeline" else 0
            # The rest is the job's own start, and an import of umap-learn before the clock runs.
            assert job / 4 < measured + also < job

    def test_nothing_of_it_is_a_result_of_the_sweep(self, timed):
        folder, _ = timed
        assert sorted(path.name for path in (folder / "results").iterdir()) == ["iris"]
        found = sorted(path.name for path in (folder / "results/iris").iterdir())
        assert found == ["benchmarks", "data", "logs", "plots", "timing", "timing.csv", "timing.parquet"]
        assert sorted(path.name for path in (folder / "results/iris/timing").iterdir()) == [
            "pipeline.parquet",
            "plain_seeded.parquet",
        ]

    def test_what_is_said(self, timed):
        folder, run = timed
        record = store.read_record(folder / "results/iris/timing.parquet")
        assert "2 cells of iris, 150 × 4, on 2 cores of " in run.output
        assert record["sentence"] in run.output
        assert "* Sampled: 1 of 2 cells stand for all" in run.output
        lines = [line for line in run.output.splitlines() if line.startswith(("plain", "umap-sweep, "))]
        assert [line[:22].strip() for line in lines] == list(
            map(str.strip, ("plain, seeded *", "umap-sweep, seeded", "umap-sweep, warm cache"))
        )
        assert max(map(len, lines)) <= 100
        plots = folder / "results/iris/plots"
        assert (plots / "timing.png").read_bytes().startswith(b"\x89PNG")
        assert (plots / "timing.pdf").read_bytes().startswith(b"%PDF")

    def test_the_report_has_figure_and_table(self, timed):
        folder, _ = timed
        run = snakemake(folder, "timing", "--report", "report.html", config=IRIS)
        assert run.code == 0, run.output
        report = (folder / "report.html").read_text()
        assert "timing.png" in report and "timing.csv" in report
        assert "holds umap-learn to one thread" in " ".join(report.split())
        table = pd.read_csv(folder / "results/iris/timing.csv", float_precision="round_trip")
        assert table.equals(pd.read_parquet(folder / "results/iris/timing.parquet"))

    def test_asking_again_says_it_again_and_computes_nothing(self, timed):
        folder, _ = timed
        assert snakemake(folder, "timing", "--dry-run", config=IRIS).jobs == {"timing": 1}


class TestNotebook:
    """umap-learn's arms, as functions."""

    FITS = ({"n_neighbors": 5, "min_dist": 0.1, "seed": 3, "knn_seed": 7},)
    FITS += ({"n_neighbors": 8, "min_dist": 0.5, "seed": 4, "knn_seed": 7},)

    def run(self, tmp_path, arm):
        """Return the embeddings and intervals of an arm, and the features."""
        features = np.random.RandomState(0).normal(size=(60, 4)).astype(np.float32)
        umap = {name: value for name, value in UMAP_DEFAULTS.items() if name != "metric_kwds"} | {"n_epochs": 11}
        task = {"data": str(store_data(tmp_path, features)), "arm": arm, "fits": self.FITS, "k": 12, "umap": umap}
        clock = notebook.Clock()
        found = list(notebook.embeddings(task | {"metric": "euclidean", "metric_kwds": {}}, clock))
        return found, clock.intervals, features

    @pytest.mark.parametrize("arm", ["plain_seeded", "plain_parallel", "shared_parallel", "shared_seeded"])
    def test_runs_every_fit_by_umap_learns_own_call(self, tmp_path, arm):
        import umap
        from umap.umap_ import nearest_neighbors

        found, intervals, features = self.run(tmp_path, arm)
        assert umap.umap_.nearest_neighbors is nearest_neighbors
        assert not hasattr(nearest_neighbors, "__wrapped__")
        shared = [(stage, fit) for _, _, stage, fit in intervals if stage == "knn" and fit is None]
        assert shared == ([("knn", None)] if arm.startswith("shared") else [])
        assert {(stage, fit) for _, _, stage, fit in intervals} >= {
            (stage, fit) for stage in ("graph", "initial_layout", "layout", "other") for fit in (0, 1)
        }
        ends = [moment for start, end, _, _ in intervals for moment in (start, end)]
        assert ends == sorted(ends)  # no two overlap
        for embedding, fit in zip(found, self.FITS, strict=True):
            also = {}
            if arm.startswith("shared"):
                random_state = np.random.RandomState(7)
                also["precomputed_knn"] = nearest_neighbors(features, 12, "euclidean", {}, False, random_state)
            keys = {name: fit[name] for name in ("n_neighbors", "min_dist")}
            seed = fit["seed"] if arm.endswith("_seeded") else None
            model = umap.UMAP(**keys, **also, n_epochs=11, random_state=seed, n_jobs=1 if seed else -1)
            same = np.array_equal(model.fit(features).embedding_, embedding)
            assert same == arm.endswith("_seeded")


class TestShares:
    """The division of a run's time among its stages."""

    @pytest.mark.parametrize(
        ("jobs", "compiling", "expected"),
        [
            ([], [], {"start": 10}),
            ([(2, 5, "knn")], [], {"start": 7, "knn": 3}),
            ([(-1, 12, "knn")], [], {"knn": 10}),
            ([(0, 4, "graph"), (2, 6, "layout")], [], {"graph": 3, "layout": 3, "start": 4}),
            ([(0, 4, "layout"), (0, 4, "layout"), (0, 4, "graph")], [], {"layout": 8 / 3, "graph": 4 / 3, "start": 6}),
            ([(0, 8, "knn")], [(1, 3, "knn"), (3, 4, "knn")], {"knn": 5, "compilation": 3, "start": 2}),
            ([(0, 4, "graph"), (0, 4, "knn")], [(1, 3, "knn")], {"graph": 2, "knn": 1, "compilation": 1, "start": 6}),
            ([(5, 9, ("layout", 1))], [(1, 6, None)], {"compilation": 5, ("layout", 1): 3, "start": 2}),
            # Compiling that no job accounts for, such as an import before the job's clock runs.
            ([], [(1, 3, "knn")], {"compilation": 2, "start": 8}),
        ],
    )
    def test_every_moment_once(self, jobs, compiling, expected):
        found = timing_arm.shares(0, 10, jobs, compiling)
        assert {stage: seconds for stage, seconds in found.items() if seconds} == pytest.approx(expected)
        assert sum(found.values()) == pytest.approx(10)


def test_the_pipelines_stages_are_those_of_its_scripts_and_benchmarks():
    workflow = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for name in timing_arm.STAGE_OF_JOB:
        assert (ROOT / f"scripts/{name}.py").exists() or f"benchmarks/{name}/" in workflow, name


def test_scaling():
    measured = {"compilation": 5.0, "start": 2.0, ("knn", None): 7.0, ("layout", 0): 1.0, ("layout", 1): 10.0}
    found = timing_arm.scaled(measured, fits=[5, 20], cells=[5, 5, 5, 20, 20])
    expected = dict.fromkeys(timing_arm.STAGES, (0.0, 0.0))
    assert found == expected | {"compilation": (5, 5), "start": (2, 2), "knn": (7, 7), "layout": (23, 11)}


class TestColumns:
    """The choice of a sample."""

    @staticmethod
    def chosen(columns, **axes):
        settings = configuration.complete(
            {"dataset": "iris", "datasets": IRIS["datasets"], "claims": {"dataset": "iris"}}
            | {"knn": {"metric": "euclidean", "method": "auto", "n_neighbors": 30, "seed": 1, "n_jobs": 1}}
            | {"grid": {"n_neighbors": [5, 9], "min_dist": [0.5, 0.0, 0.2, 0.9], "seed": [1]} | axes}
            | {"timing": {"columns": columns}}
        )
        table = grid.cells(settings)
        return grid.timed_cells(settings, table)

    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ("all", {0.0, 0.2, 0.5, 0.9}),
            (1, {0.0}),
            (2, {0.0, 0.9}),
            (3, {0.0, 0.5, 0.9}),
            (9, {0.0, 0.2, 0.5, 0.9}),
            ([0.2], {0.2}),
            ([0.9, 0], {0.0, 0.9}),
        ],
    )
    def test_chosen(self, columns, expected):
        cells = self.chosen(columns)
        assert set(cells["min_dist"]) == expected
        assert len(cells) == 2 * len(expected)

    def test_a_column_that_is_not_there(self):
        with pytest.raises(InputError, match=r"timing\.columns has min_dist 0\.3, which is not in the grid; known are"):
            self.chosen([0.2, 0.3])

    def test_an_n_neighbors_left_out(self, tmp_path):
        table = tmp_path / "cells.csv"
        table.write_text("n_neighbors,min_dist\n5,0.1\n9,0.2\n")
        with pytest.raises(InputError, match=r"timing\.columns leaves n_neighbors 9 without a cell"):
            config = {"dataset": "iris", "datasets": IRIS["datasets"], "claims": {"dataset": "iris"}}
            config |= {"knn": {"metric": "euclidean", "method": "auto", "n_neighbors": 30, "seed": 1, "n_jobs": 1}}
            config |= {"grid": {"table": str(table), "seed": [1]}, "timing": {"columns": [0.1]}}
            complete = configuration.complete(config)
            grid.timed_cells(complete, grid.cells(complete))


def test_more_neighbours_than_rows(tmp_path):
    data = store_data(tmp_path, np.zeros((20, 2)))
    cells = [{"n_neighbors": 5, "min_dist": 0.1, "seed": 1, "knn_seed": 1, "knn_k": 20}]
    settings = {"knn": {"method": "auto"}, "umap": {}}
    with pytest.raises(InputError, match="largest k is 20, but the data has 20 rows"):
        timing_arm.compute(data, tmp_path / "out.parquet", "plain_seeded", cells, cells, settings, 1, "none")


ALL_ARMS = ("plain_seeded", "plain_parallel", "shared_parallel", "shared_seeded", "pipeline", "pipeline_warm")


def rows_of(arms, seconds, sampled=False) -> pd.DataFrame:
    """Return the rows of arms whose stages take `seconds` each in all, nine parts of ten in the layout."""
    rows = pd.DataFrame([{"arm": arm, "stage": stage} for arm in arms for stage in timing_arm.STAGES])
    rows["seconds"] = rows["arm"].map(dict(zip(arms, seconds, strict=True))).astype(float)
    rows["seconds"] *= rows["stage"].map(dict.fromkeys(timing_arm.STAGES, 0) | {"layout": 0.9, "knn": 0.1})
    rows["measured_seconds"] = rows["seconds"]
    rows = rows.assign(cells=16, fits=4 if sampled else 16, sampled=sampled, threads=2, peak_memory_mb=12345.6)
    rows["sampled"] &= ~rows["arm"].str.startswith("pipeline")
    return rows


def stored(path, arms, seconds, **record):
    """Store rows as `scripts/timing_arm.py` does."""
    also = {"rows": 70000, "dimensions": 784, "threads": 2} | record
    key = {"settings": {"knn": {"method": "auto"}}, "cells": [1]}
    table = pa.Table.from_pandas(rows_of(arms, seconds), preserve_index=False)
    made = store.make_record("timing", key, "", also.pop("inputs", {"data": "x"}), **also)
    store.write(path, table, made)
    return path


class TestJoining:
    """The joined table, and what is said of it."""

    def test_arms_in_one_order_with_their_ratios(self, tmp_path):
        paths = [
            stored(tmp_path / "1.parquet", ["pipeline", "pipeline_warm"], [200, 100]),
            stored(tmp_path / "2.parquet", ["shared_seeded"], [500]),
            stored(tmp_path / "3.parquet", ["plain_seeded"], [1000]),
        ]
        out = tmp_path / "timing.parquet"
        join_timing.join(paths, out, tmp_path / "timing.csv")
        arms = store.read(out).column("arm").to_pandas().unique().tolist()
        assert arms == ["plain_seeded", "shared_seeded", "pipeline", "pipeline_warm"]
        assert store.read_record(out)["sentence"] == (
            "umap-sweep took 200 s from an empty compile cache and 100 s from a warm one; umap-learn took, as "
            "multiples of the two, 5.00 and 10.00 (plain, seeded), 2.50 and 5.00 (shared k-NN, seeded). "
            "Sharing the k-NN alone divided umap-learn's time with a seed by 2.00."
        )
        assert store.read_record(out)["notes"] == []

    def test_without_the_pipeline(self):
        found = join_timing.sentence(pd.Series({"plain_parallel": 30.0, "shared_parallel": 10.0}))
        assert found == (
            "umap-learn took 10.0 s with the arm shared k-NN, parallel; as multiples of that, 3.00 (plain, parallel). "
            "Sharing the k-NN alone divided umap-learn's time without a seed by 3.00."
        )

    @pytest.mark.parametrize(
        ("record", "named"), [({"threads": 4}, "number of cores"), ({"inputs": {"data": "y"}}, "data")]
    )
    def test_what_cannot_be_compared(self, tmp_path, record, named):
        paths = [
            stored(tmp_path / "1.parquet", ["plain_seeded"], [1]),
            stored(tmp_path / "2.parquet", ["plain_parallel"], [1], **record),
        ]
        with pytest.raises(InputError, match=f"2.parquet was timed with another {named} than .*1.parquet"):
            join_timing.join(paths, tmp_path / "timing.parquet", tmp_path / "timing.csv")

    def test_notes(self):
        rows = rows_of(ALL_ARMS, [6, 5, 4, 3, 2, 1], sampled=True)
        said = join_timing.notes(1797, "auto", rows)
        assert [note.partition(" ")[0] for note in said] == ["Sampled:", "Below"]
        assert join_timing.notes(4096, "auto", rows[~rows["sampled"]]) == []
        assert "exact" in join_timing.notes(4096, "exact", rows[~rows["sampled"]])[0]


def test_the_longest_lines_fit_and_every_stage_is_drawn():
    rows = rows_of(ALL_ARMS, [99999, 5000, 4000, 300, 200, 1], sampled=True)
    lines = timing.report(rows)
    assert len(lines) == 7
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= 100
    record = {"rows": 70000, "dimensions": 784, "threads": 2, "notes": ["a note"], "environment": {"cpu": "a CPU"}}
    figure = plot_timing.draw(rows, record, "mnist", 50)
    axes = figure.axes[0]
    assert [bars.get_label() for bars in axes.containers] == list(plot_timing.NAMES.values())
    ends = [bar.get_x() + bar.get_width() for bar in axes.containers[-1]]
    assert ends == pytest.approx([seconds / 60 for seconds in (99999, 5000, 4000, 300, 200, 1)])
    assert axes.get_xlabel() == "wall-clock minutes"
