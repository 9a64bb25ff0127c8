"""Rows left out: which tenth, what is laid out without it, and which neighbours stay."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import snakemake, store_data
from sklearn.datasets import load_iris
from sklearn.neighbors import NearestNeighbors
from test_fetch import refusal

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.quality import left_out
from umap_sweep.settings import configuration
from umap_sweep.sources import subset

DRAWS = 2
CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "claims": {"dataset": "iris"},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [15], "min_dist": [0.1, 0.5], "seed": [1, 2]},
    "umap": {"n_epochs": 30},
    "choose": {"leave_out": DRAWS},
}
WITHOUT = CONFIG | {"choose": {"leave_out": 0}}
TABLE = "results/iris/left_out.parquet"
ROW = "metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1/n_neighbors=15"


class TestRows:
    """Which rows are left."""

    def test_a_tenth_is_left_out_anew_by_each_seed(self):
        draws = [subset.nine_tenths(1005, seed) for seed in (1, 1, 2)]
        assert [len(draw) for draw in draws] == [905] * 3
        assert (np.diff(draws[0]) > 0).all()
        assert (draws[0] == draws[1]).all()
        missing = [set(range(1005)) - set(draw.tolist()) for draw in draws]
        assert len(missing[0] & missing[2]) < 30  # independent draws have ten in common on average
        assert len(subset.nine_tenths(5, 0)) == 4

    def test_every_row_is_left_out_as_often_as_others(self):
        counts = sum(np.bincount(subset.nine_tenths(50, seed), minlength=50) for seed in range(1000))
        assert abs(counts / 1000 - 0.9).max() < 0.04  # four standard deviations of a share of 1000

    def test_too_few_rows_for_the_k_nn(self, tmp_path):
        data = store_data(tmp_path, np.arange(66).reshape(22, 3))
        table, record = store.read(data), store.read_record(data)
        store.write(data, table, record | {"feature_names": list("abc")})
        source = {"source": "subsample", "of": "mine", "seed": 1}
        found = subset.read_subsample(source | {"k": 19}, {"data": data})
        assert found.rows.tolist() == subset.nine_tenths(22, 1).tolist()
        assert (store.from_lists(found.values) == store.read_features(data)[found.rows]).all()
        said = refusal(lambda: subset.read_subsample(source | {"k": 20}, {"data": data}))
        assert "leaves 20 of the 22 rows of mine, too few for knn.n_neighbors 20; choose at most 19" in said


class TestConfiguration:
    """Each draw is a data set of its own, which is there where it is asked for."""

    def test_one_data_set_a_draw(self):
        known = configuration.complete(CONFIG)["datasets"]
        assert list(known) == ["iris", "iris_without_1", "iris_without_2"]
        assert known["iris_without_2"] == {"source": "subsample", "of": "iris", "seed": 2, "k": 20}
        assert list(configuration.complete(WITHOUT)["datasets"]) == ["iris"]
        assert configuration.complete({})["choose"]["leave_out"] == 0

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"datasets": CONFIG["datasets"] | {"iris_without_2": CONFIG["datasets"]["iris"]}}, "has 'iris_without_2'"),
            ({"knn": {"n_neighbors": 20, "method": "imported", "path": "knn.npz"}}, "not of nine tenths of its rows"),
            ({"choose": {"leave_out": 21}}, "choose.leave_out is 21; allowed is"),
            ({"choose": {"leave_out": True}}, "choose.leave_out is True"),
            ({"choose": {"leave_out": -1}}, "choose.leave_out is -1"),
        ],
    )
    def test_what_is_refused(self, changed, said):
        with pytest.raises(InputError, match=said):
            configuration.complete(CONFIG | changed)


class TestShares:
    """Which neighbours stay, of single layouts."""

    def test_nothing_is_lost_by_being_moved_turned_or_absent(self):
        points = np.random.RandomState(0).normal(size=(60, 2)).astype(np.float32)
        other = points[:, ::-1] * 2 + 1
        other[:4], points[2:6] = np.nan, np.nan
        found = left_out.neighbors_that_stay(points, other)
        assert np.isnan(found[:6]).all()
        assert (found[6:] == 1).all()

    def test_chance_keeps_what_chance_would(self):
        layouts = [np.random.RandomState(seed).normal(size=(400, 2)) for seed in (0, 1)]
        assert abs(np.mean(left_out.neighbors_that_stay(*layouts)) - 15 / 399) < 0.01

    def test_few_points(self):
        assert left_out.neighbors_that_stay(*np.random.RandomState(0).normal(size=(2, 5, 2))).tolist() == [1] * 5
        alone = np.array([[np.nan, np.nan], [0, 1]])
        assert np.isnan(left_out.neighbors_that_stay(alone, alone)).all()

    def test_only_other_umap_seeds_count_as_such(self):
        layouts = np.random.RandomState(0).normal(size=(3, 60, 2)).astype(np.float32)
        layouts[1, :5] = np.nan
        expected = np.mean([shared(layouts[one, 5:], layouts[2, 5:]) for one in (0, 1)])
        assert left_out.under_seeds(layouts, [1, 1, 2]) == pytest.approx(expected)
        assert np.isnan(left_out.under_seeds(layouts, [1, 1, 1]))

    def test_the_error_is_that_of_the_draws(self):
        assert left_out.summary([0.4, np.nan, 0.6]) == pytest.approx(
            {"replicates": 2, "neighbors_stay": 0.5, "error": np.sqrt(0.02 / 2)}
        )
        assert left_out.summary([0.4]) == {"replicates": 1, "neighbors_stay": 0.4, "error": None}
        assert left_out.summary([np.nan]) == {"replicates": 0, "neighbors_stay": None, "error": None}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a sweep, of which rows were left out later. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("iris")
    first = snakemake(folder, "results/iris/stability.parquet", config=WITHOUT)
    assert first.code == 0, first.output
    run = snakemake(folder, TABLE, config=CONFIG)
    assert run.code == 0, run.output
    # Of each draw its data, k-NN, graph, start and two cells, and the table; nothing of the sweep.
    assert {name: count for name, count in run.jobs.items() if not name.startswith("layout")} == {
        **dict.fromkeys(("fetch", "knn", "graph", "initial_layout"), DRAWS),
        "left_out": 1,
    }
    assert run.laid_out == 2 * DRAWS
    assert set(run.jobs) - {"fetch", "knn", "graph", "initial_layout", "left_out"} == {"layout_0p1_0p5"}
    return folder


def points_of(folder, dataset, min_dist, seed=1):
    """Return the coordinates of one cell."""
    path = folder / f"results/{dataset}/layouts/{ROW}/min_dist={min_dist}/seed={seed}/layout.parquet"
    return store.matrix(store.read(path), "umap_")


def near(points):
    """Return the 15 nearest points of each, as scikit-learn finds them."""
    return NearestNeighbors(n_neighbors=15).fit(points).kneighbors(return_distance=False)


def shared(left, right):
    """Return the mean share of neighbours that two layouts of the same rows have in common."""
    pairs = zip(near(left).tolist(), near(right).tolist(), strict=True)
    return np.mean([len(set(one) & set(other)) / 15 for one, other in pairs])


class TestSweep:
    """The pipeline on iris."""

    def test_the_table_is_that_of_a_direct_computation(self, finished):
        found = pd.read_parquet(finished / TABLE)
        assert list(found) == list(left_out.COLUMNS)
        assert found[["n_neighbors", "min_dist", "knn_k", "replicates"]].values.tolist() == [
            [15, 0.1, 20, DRAWS],
            [15, 0.5, 20, DRAWS],
        ]
        for _, row in found.iterrows():
            whole, other = (points_of(finished, "iris", row["min_dist"], seed) for seed in (1, 2))
            shares, under_seeds = [], []
            for draw in range(1, DRAWS + 1):
                kept = np.sort(np.random.RandomState(draw).permutation(150)[15:])
                shares.append(shared(whole[kept], points_of(finished, f"iris_without_{draw}", row["min_dist"])))
                under_seeds.append(shared(whole[kept], other[kept]))
            assert row["neighbors_stay"] == pytest.approx(np.mean(shares))
            assert row["error"] == pytest.approx(np.std(shares, ddof=1) / np.sqrt(DRAWS))
            assert row["neighbors_stay_under_seeds"] == pytest.approx(np.mean(under_seeds))
            assert row["neighbors_stay_under_seeds"] != pytest.approx(shared(whole, other))
        pd.testing.assert_frame_equal(pd.read_csv(finished / "results/iris/left_out.csv"), found, check_dtype=False)

    def test_data_is_that_of_the_rows_left(self, finished):
        features = load_iris().data.astype(np.float32)
        drawn = []
        for draw in range(1, DRAWS + 1):
            path = finished / f"results/iris_without_{draw}/data/data.parquet"
            rows = store.numbers(store.read(path, ["row"]).column("row"))
            assert len(rows) == 135
            assert (store.read_features(path) == features[rows]).all()
            drawn.append(tuple(rows))
        assert len(set(drawn)) == DRAWS

    def test_ids_are_those_of_the_whole(self, finished, tmp_path):
        shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
        run = snakemake(tmp_path / "copy", "results/iris_without_1/rows.parquet", config=CONFIG)
        assert run.code == 0, run.output
        rows = [pd.read_parquet(tmp_path / f"copy/results/{name}/rows.parquet") for name in ("iris", "iris_without_1")]
        kept = subset.nine_tenths(150, 1)
        assert rows[1]["id"].tolist() == kept.tolist()
        assert rows[1]["label"].tolist() == rows[0]["label"].iloc[kept].tolist()

    def test_nothing_to_do_afterwards(self, finished):
        assert snakemake(finished, "--dry-run", TABLE, config=CONFIG).jobs == {}

    def test_it_is_part_of_the_default_target_where_it_is_asked_for(self, finished):
        run, without = (snakemake(finished, "--dry-run", "--forceall", config=one) for one in (CONFIG, WITHOUT))
        assert set(run.jobs) - set(without.jobs) == {"left_out"}
        assert (run.laid_out, without.laid_out) == (4 + 2 * DRAWS, 4)
        listed = snakemake(finished, "--dry-run", "--quiet", "host", config=CONFIG).output
        manifest = listed[listed.index("rule manifest:") :].partition("output:")[0]
        assert {TABLE, "results/iris/left_out.csv"} <= set(manifest.replace(",", " ").split())

    def test_one_more_draw_leaves_the_others(self, finished):
        run = snakemake(finished, "--dry-run", TABLE, config=CONFIG | {"choose": {"leave_out": DRAWS + 1}})
        assert (run.jobs["fetch"], run.jobs["knn"], run.laid_out, run.jobs["left_out"]) == (1, 1, 2, 1)

    def test_one_seed_has_no_other(self, finished, tmp_path):
        cells = [finished / f"results/{name}" for name in ("iris", "iris_without_1")]
        layout = f"layouts/{ROW}/min_dist=0.1/seed=1/layout.parquet"
        draws = left_out.by_draw([cells[1] / "data/data.parquet"], [cells[1] / layout])
        out = tmp_path / "iris/left_out.parquet"
        left_out.compute([cells[0] / layout], draws, [cells[0] / layout], out, out.with_suffix(".csv"))
        found = pd.read_parquet(out)
        assert found["replicates"].tolist() == [1]
        assert found[["error", "neighbors_stay_under_seeds"]].isna().all(axis=None)

    def test_what_is_left_of_other_data_is_refused(self, finished, tmp_path):
        whole = finished / f"results/iris/layouts/{ROW}/min_dist=0.1/seed=1/layout.parquet"
        out = tmp_path / "iris/left_out.parquet"
        draws = [(finished / "results/iris/data/data.parquet", [whole])]
        assert "is made from other data" in refusal(lambda: left_out.compute([whole], draws, [whole], out, out))

    def test_a_path_of_it_where_none_is_asked_for(self, finished):
        run = snakemake(finished, "--dry-run", TABLE, config=WITHOUT)
        assert run.code != 0
        assert "where choose.leave_out says how many times; set it" in run.output

    def test_too_few_rows_are_said_before_anything_long(self, tmp_path):
        config = CONFIG | {"knn": {"n_neighbors": 140}}
        run = snakemake(tmp_path, "results/iris_without_1/data/data.parquet", config=config)
        assert run.code != 0
        assert "leaves 135 of the 150 rows of iris, too few for knn.n_neighbors 140; choose at most 134" in run.output
        assert "Traceback" not in run.output
