"""The null: the same grid on permuted columns, what it leaves of each metric, and which points stand out from it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Stages, snakemake, store_data
from sklearn.datasets import load_digits
from test_fetch import refusal

from umap_sweep import store
from umap_sweep.cells.grid import cells
from umap_sweep.cells.groups import Cells
from umap_sweep.errors import InputError
from umap_sweep.planning import layout_jobs
from umap_sweep.quality import cell_metrics, measures, null
from umap_sweep.settings import configuration
from umap_sweep.sources import permuted

SEEDS = [1, 2, 3]
CONFIG = {
    "dataset": "noise",
    "datasets": {"noise": {"source": "file", "path": "noise.csv", "id": "point", "label": "kind"}},
    "claims": {"dataset": "noise"},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [15], "min_dist": [0.1, 0.5], "seed": SEEDS},
    "umap": {"n_epochs": 50},
    "choose": {"null": True, "permutations": 2},
}


class TestPermutedData:
    """The same values in each column, and nothing that columns have to do with one another."""

    def test_each_column_keeps_its_values_in_an_order_of_its_own(self):
        rows = np.arange(1000)
        matrix = np.repeat(rows[:, None], 40, axis=1).astype(np.float32)  # 40 times the same column
        permuted.permute_columns(matrix, 0)
        assert (np.sort(matrix, axis=0) == rows[:, None]).all()
        correlations = np.corrcoef(np.column_stack([rows, matrix]).T) - np.eye(41)
        assert abs(correlations).max() < 0.15  # of 820 independent pairs, each with a standard deviation of 0.032

    def test_it_is_seeded(self):
        matrices = [np.random.RandomState(0).normal(size=(50, 3)) for _ in range(3)]
        for matrix, seed in zip(matrices, (4, 4, 5), strict=True):
            permuted.permute_columns(matrix, seed)
        assert (matrices[0] == matrices[1]).all()
        assert (matrices[0] != matrices[2]).any()

    def test_features_are_those_of_the_stored_data_by_name(self, tmp_path):
        data = store_data(tmp_path, np.arange(60).reshape(20, 3))
        table, record = store.read(data), store.read_record(data)
        store.write(data, table, record | {"feature_names": list("abc")})
        found = permuted.read_features({"of": "mine", "seed": 0}, {"data": data})
        assert found.names == list("abc")
        values = store.from_lists(found.values)
        assert (values != store.read_features(data)).any()
        assert (np.sort(values, axis=0) == store.read_features(data)).all()


class TestConfiguration:
    """The null is a data set of its own, which is there where it is asked for."""

    def test_yaml_that_reads_the_key_as_no_text(self):
        given = CONFIG | yaml.safe_load("choose: {null: true}")
        known = configuration.complete(given)["datasets"]
        assert {name: one["seed"] for name, one in known.items() if one["source"] == "permuted"} == {
            "noise_null": 0,
            "noise_null_2": 1,
            "noise_null_3": 2,
        }
        assert all(known[name]["of"] == "noise" for name in known if name != "noise")

    def test_none_where_it_is_not_asked_for(self):
        settings = configuration.complete({name: one for name, one in CONFIG.items() if name != "choose"})
        assert settings["choose"] == {"seeds": 20, "worth": 0.005, "null": False, "permutations": 3, "leave_out": 0}
        assert list(settings["datasets"]) == ["noise"]

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"datasets": CONFIG["datasets"] | {"noise_null": CONFIG["datasets"]["noise"]}}, "has 'noise_null'"),
            ({"knn": {"n_neighbors": 20, "method": "imported", "path": "knn.npz"}}, "an imported k-NN is of the data"),
            ({"choose": {"null": "yes"}}, "choose.null is 'yes'; allowed is true or false"),
            ({"choose": {"seeds": 1}}, "choose.seeds is 1"),
            ({"choose": {"worth": 0}}, "choose.worth is 0"),
            (
                {"datasets": {"noise": {"source": "permuted", "of": "noise", "seed": 0}}},
                "source is 'permuted'; allowed",
            ),
        ],
    )
    def test_what_is_refused(self, changed, said):
        with pytest.raises(InputError, match=said):
            configuration.complete(CONFIG | changed)


class TestCells:
    """Which cells the null has, and which of them share a job."""

    def test_the_first_seeds_of_a_grid(self):
        grid = {"n_neighbors": [5, 15], "min_dist": [0.1, 0.5], "seed": SEEDS}
        table = cells(configuration.complete(CONFIG | {"grid": grid, "knn": {"n_neighbors": 20, "seed": [7, 8]}}))
        found = Cells(table).of_first_seeds
        assert len(found) == 4
        assert set(found["seed"]) == {1}
        assert set(found["knn_seed"]) == {7}

    def test_every_setting_of_a_table_and_whole_rows(self, tmp_path):
        rows = [(5, 0.1, 1), (5, 0.5, 2), (5, 0.1, 2), (5, 0.1, 3)]
        pd.DataFrame(rows, columns=["n_neighbors", "min_dist", "seed"]).to_csv(tmp_path / "cells.csv", index=False)
        table = cells(configuration.complete(CONFIG | {"grid": {"table": str(tmp_path / "cells.csv")}}))
        found = Cells(table).of_first_seeds
        assert list(found[["n_neighbors", "min_dist", "seed"]].itertuples(index=False, name=None)) == rows[:3]

    def test_what_is_stored_of_the_sweep_alone_is_no_part_of_a_job(self):
        table = cells(configuration.complete(CONFIG))
        both = pd.concat([table.assign(dataset="noise"), Cells(table).of_first_seeds.assign(dataset="noise_null")])
        stored = [False, True, True, True, True, True, True, False]
        assert layout_jobs.together(both, stored, 1, 4) == []  # of the sweep one cell is missing, of the null another
        stored = [True] * 6 + [False] * 2
        assert layout_jobs.together(both, stored, 1, 4) == [("0.1", "0.5")]


def metrics_of(values: dict[int, float], error: float) -> pd.DataFrame:
    """Return a table of one setting with these values of every metric by seed, each with a sample's error."""
    table = pd.DataFrame({"n_neighbors": 15, "min_dist": 0.1, "knn_k": 20, "knn_seed": 10, "seed": list(values)})
    for name in null.METRICS:
        table[name], table[f"{name}_sample_error"] = list(values.values()), error
    return table


class TestExcess:
    """The value less the null, and the error of that."""

    def test_all_metrics_of_a_cell_but_those_that_do_not_compare(self):
        left_out = ("cross_entropy", "disconnected")  # the first is of a graph, and the null has another
        expected = [name for name in cell_metrics.NUMBERS if name in measures.TITLES and name not in left_out]
        assert list(null.METRICS) == expected

    def test_errors_of_sample_and_seeds_add(self):
        found = null.against_null(metrics_of({1: 0.4, 2: 0.5, 3: 0.6}, 0.03), [metrics_of({1: 0.2}, 0.04)])
        assert found["metric"].tolist() == list(null.METRICS)
        row = found.iloc[0]
        assert row[["seeds", "value", "null", "excess"]].tolist() == pytest.approx([3, 0.5, 0.2, 0.3])
        assert row["value_error"] == pytest.approx(np.sqrt(0.01 / 3 + 0.03**2))
        assert row["null_error"] == pytest.approx(np.sqrt(0.01 + 0.04**2))  # of one seed, with the noise of the others
        assert row["error"] == pytest.approx(np.hypot(row["value_error"], row["null_error"]))

    def test_with_one_seed_the_error_is_that_of_the_sample_and_of_draws_nothing_is_known(self):
        found = null.against_null(metrics_of({1: 0.5}, 0.03), [metrics_of({1: 0.2}, 0.04)])
        of_draws = found["metric"].isin(["triplet_accuracy", "distance_correlation"])
        assert found[~of_draws]["error"].tolist() == pytest.approx([0.05] * 5)
        assert of_draws.sum() == 2 and found[of_draws][["null_error", "error"]].isna().all(axis=None)

    @pytest.mark.parametrize(("sample", "expected"), [(0.0, 0.1), (0.04, 0.1), (0.2, 0.2)])
    def test_several_permutations_say_what_another_would_give(self, sample, expected):
        permutations = [metrics_of({1: value}, sample) for value in (0.1, 0.2, 0.3)]
        found = null.against_null(metrics_of({1: 0.5}, 0.03), permutations)
        assert found["null"].tolist() == pytest.approx([0.2] * 7)
        assert found["null_error"].tolist() == pytest.approx([expected / np.sqrt(3)] * 7)
        assert found["error"].tolist() == pytest.approx([np.hypot(0.03, expected / np.sqrt(3))] * 7)

    def test_with_one_seed_and_all_rows_nothing_is_known_of_it(self):
        found = null.against_null(metrics_of({1: 0.5}, 0.0), [metrics_of({1: 0.2}, 0.0)])
        assert found["excess"].tolist() == pytest.approx([0.3] * 7)
        assert found[["value_error", "null_error", "error"]].isna().all(axis=None)


class TestPoints:
    """The p-value of each point's neighbourhood."""

    def test_p_values_are_those_of_direct_counting(self):
        random = np.random.RandomState(0)
        recall, of_null = ((random.randint(0, 16, size) / 15).astype(np.float32) for size in (300, 200))
        recall[7], of_null[:5] = np.nan, np.nan
        found = null.p_values(recall, of_null)
        expected = [(1 + sum(one >= point for one in of_null)) / (1 + 195) for point in recall]
        expected[7] = np.nan
        np.testing.assert_array_equal(found, expected)
        assert null.untrusted(found) == np.mean([one > 0.05 for one in expected if one == one])

    def test_no_point_without_any_of_the_null_is_trusted(self):
        assert null.p_values(np.ones(3, np.float32), np.full(4, np.nan, np.float32)).tolist() == [1, 1, 1]

    def test_nearly_all_points_of_digits_are_above_it(self, tmp_path):
        features = load_digits().data[:400].astype(np.float32)
        shuffled = features.copy()
        permuted.permute_columns(shuffled, 0)
        recalls = []
        for name, matrix in (("data", features), ("null", shuffled)):
            (tmp_path / name).mkdir()
            stages = Stages(tmp_path / name, matrix, k=20)
            nearest = store.matrix(store.read(stages.knn), "index_")[:, :16]
            cell = cell_metrics.Cell(stages.cell(15, 0.1, 1, n_epochs=50), np.arange(400), nearest[:, 1:])
            recalls.append(cell.recall_of_points(cell.neighbors(), nearest).astype(np.float32))
        assert null.untrusted(null.p_values(*recalls)) < 0.1


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a sweep of independent noise and of its null. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("noise")
    table = pd.DataFrame(np.random.RandomState(0).normal(size=(300, 5)), columns=list("abcde"))
    table.insert(0, "point", [f"p{row}" for row in range(300)])
    table["kind"] = np.where(table["a"] > 0, "high", "low")
    table.to_csv(folder / "noise.csv", index=False)
    run = snakemake(folder, "results/noise/plots/null.png", "results/noise_null/rows.parquet", config=CONFIG)
    assert run.code == 0, run.output
    return folder


class TestSweepOfNoise:
    """The pipeline, where there is nothing to find."""

    def test_no_setting_stands_out(self, finished):
        found = pd.read_parquet(finished / "results/noise/null.parquet")
        assert len(found) == 2 * 7
        assert (found["seeds"] == 3).all()
        assert (abs(found["excess"]) < 4 * found["error"]).all(), found
        metrics = pd.read_parquet(finished / "results/noise/metrics.parquet")
        expected = metrics.groupby("min_dist")["recall_15"].mean()
        assert found[found["metric"] == "recall_15"]["value"].tolist() == pytest.approx(expected.tolist())
        pd.testing.assert_frame_equal(pd.read_csv(finished / "results/noise/null.csv"), found, check_dtype=False)

    def test_about_one_in_twenty_points_is_trusted(self, finished):
        found = pd.read_parquet(finished / "results/noise/null.parquet")
        assert found["untrusted"].between(0.9, 0.995).all(), found["untrusted"]

    def test_the_trust_of_each_point_is_there_for_every_cell(self, finished):
        row = "metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1/n_neighbors=15/seed={}"
        points = f"points/{row}/points.parquet"
        of_null = [
            store.read(finished / "results" / name / points.format(1)) for name in ("noise_null", "noise_null_2")
        ]
        shares = []
        for seed in SEEDS:
            trust = store.read(finished / "results/noise/trust" / row.format(seed) / "trust.parquet")
            assert trust.column_names == ["min_dist=0.1", "min_dist=0.5"]
            recall = store.read(finished / "results/noise" / points.format(seed)).column("min_dist=0.5").to_numpy()
            other = np.concatenate([one.column("min_dist=0.5").to_numpy() for one in of_null])
            expected = (1 + (other[None] >= recall[:, None]).sum(axis=1)) / 601
            assert trust.column("min_dist=0.5").to_numpy().tobytes() == expected.astype(np.float32).tobytes()
            shares.append((expected > 0.05).mean())
        found = pd.read_parquet(finished / "results/noise/null.parquet")
        assert found[found["min_dist"] == 0.5]["untrusted"].iloc[0] == pytest.approx(np.mean(shares))

    def test_the_null_has_the_rows_of_the_data(self, finished):
        rows = [store.read(finished / "results" / name / "rows.parquet") for name in ("noise", "noise_null")]
        assert rows[0].equals(rows[1])
        data = [store.read_features(finished / f"results/{name}/data/data.parquet") for name in ("noise", "noise_null")]
        assert (data[0] != data[1]).any(axis=0).all()
        assert (np.sort(data[0], axis=0) == np.sort(data[1], axis=0)).all()

    def test_it_is_part_of_the_default_target_where_it_is_asked_for(self, finished):
        assert {"null", "plot_null"} & set(snakemake(finished, "--dry-run", config=CONFIG).jobs) == set()  # finished
        (null_off := json.loads(json.dumps(CONFIG)))["choose"]["null"] = False
        run = snakemake(finished, "--dry-run", "--forceall", config=CONFIG)
        without = snakemake(finished, "--dry-run", "--forceall", config=null_off)
        assert set(run.jobs) - set(without.jobs) == {"null", "plot_null"}
        assert (run.laid_out, without.laid_out) == (10, 6)

    def test_its_stages_and_metrics_are_among_the_finished_files(self, finished):
        run = snakemake(finished, "results/noise/manifest.json", "--dry-run", "--quiet", "host", config=CONFIG)
        files = run.output.partition("rule manifest:")[2].partition("output:")[0]
        for path in (finished / "results/noise_null").rglob("*.parquet"):
            if path.name != "rows.parquet":  # which nothing of a null is made from
                assert path.relative_to(finished).as_posix() in files

    def test_nothing_to_do_afterwards(self, finished):
        run = snakemake(finished, "--dry-run", "results/noise/plots/null.png", config=CONFIG)
        assert run.code == 0, run.output
        assert run.jobs == {}

    def test_another_label_computes_nothing_of_the_null_anew(self, finished):
        noise = {name: one for name, one in CONFIG["datasets"]["noise"].items() if name != "label"}
        config = CONFIG | {"datasets": {"noise": noise | {"annotations": ["kind"]}}}
        jobs = snakemake(finished, "--dry-run", "results/noise/plots/null.png", config=config).jobs
        assert "rows" in jobs
        assert not {"fetch", "knn", "high_dimensional", "graph", "cell_metrics"} & set(jobs)

    def test_a_finished_sweep_stays_where_the_null_is_added(self, finished, tmp_path):
        shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
        for name in ("noise_null", "noise_null_2"):
            shutil.rmtree(tmp_path / "copy/results" / name)
        for path in ("null.parquet", "null.csv", "plots/null.png", "plots/null.pdf"):
            (tmp_path / "copy/results/noise" / path).unlink()
        shutil.rmtree(tmp_path / "copy/results/noise/trust")
        run = snakemake(tmp_path / "copy", "--dry-run", "results/noise/plots/null.png", config=CONFIG)
        assert (run.jobs["fetch"], run.jobs["knn"], run.jobs["cell_metrics"], run.laid_out) == (2, 2, 2, 4)

    def test_files_that_were_moved_without_their_times_are_taken_over(self, finished, tmp_path):
        shutil.copytree(finished / "results", tmp_path / "results")
        shutil.copy(finished / "noise.csv", tmp_path)
        run = snakemake(tmp_path, "take_over", config=CONFIG)
        assert run.code == 0, run.output
        assert "59 of 59 files" in run.output, run.output  # 29 of the data, 15 of each permutation
        jobs = snakemake(tmp_path, "--dry-run", "results/noise/plots/null.png", config=CONFIG).jobs
        assert not {"fetch", "knn", "graph", "cell_metrics"} & set(jobs)

    def test_a_null_of_other_data_is_refused(self, finished, tmp_path):
        folder = finished / "results/noise"
        data = folder / "data/data.parquet"
        out = tmp_path / "noise/null.parquet"
        said = refusal(
            lambda: null.compute(folder / "metrics.parquet", [], [], [null.Permutation(data, [], [], [])], [], out, out)
        )
        assert "made from other data" in said

    def test_a_path_of_it_where_none_is_asked_for(self, finished):
        config = CONFIG | {"choose": {"null": False}}
        for path in ("results/noise/null.parquet", "results/noise/plots/null.png"):
            run = snakemake(finished, "--dry-run", path, config=config)
            assert run.code != 0
            assert "where choose.null is true; set it." in run.output
