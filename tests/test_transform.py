"""New rows on a finished cell: equal to umap-learn's own transform, whatever the batch, and strangers seen as such."""

import json
import re
import shutil

import numba
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import UMAP_DEFAULTS, Stages, snakemake, store_data, store_rows
from matplotlib.colors import to_hex
from sklearn.datasets import load_iris
from test_exactness import assert_same_bits, clouds
from test_fetch import refusal
from umap import UMAP

from umap_sweep import store, transform
from umap_sweep.errors import InputError
from umap_sweep.figures import new_rows as figure
from umap_sweep.figures.pictures import CATEGORY_COLOURS, NO_LABEL_COLOUR, OTHER_COLOUR, colour_points
from umap_sweep.quality import new_rows_metrics
from umap_sweep.settings import configuration
from umap_sweep.stages import new_rows, placing

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:umap")

IRIS = load_iris(as_frame=True)
FLOWERS = IRIS.data.assign(flower=[f"f{i}" for i in range(150)], species=IRIS.target_names[IRIS.target])
MIXED = FLOWERS.sample(frac=1, random_state=0)
OLD, NEW = MIXED[:120], MIXED[120:]
COLUMNS = IRIS.feature_names
CELL = "metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1/n_neighbors=15/min_dist=0.1/seed=10"
FOLDER = f"transformed/flowers_new/{CELL}"
CONFIG = {
    "dataset": "flowers",
    "datasets": {"flowers": {"source": "file", "path": "old.parquet", "id": "flower", "label": "species"}},
    "claims": {"dataset": "flowers"},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [15], "min_dist": [0.1], "seed": [10]},
    "umap": {"n_epochs": 60},
    "transform": {
        "cell": {"n_neighbors": 15, "min_dist": 0.1},
        "source": {"source": "file", "path": "new.csv", "id": "flower", "label": "species"},
    },
}


def rows_like(features, count, seed=1):
    """Return new rows around old ones; the first of them are old ones, and one is far from all."""
    random = np.random.RandomState(seed)
    new = features[random.randint(0, len(features), count)] + random.normal(size=(count, features.shape[1])) / 3
    new[:4], new[4] = features[:4], 9 * features[4]
    return new.astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread():
    """Have umap-learn add up mean distances on one thread: their last bits depend on the number of threads."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(threads)


def one_by_one(model, new):
    return np.concatenate([model.transform(new[row : row + 1]) for row in range(len(new))])


class Given:
    """A search index that finds what it was given."""

    _angular_trees = False

    def __init__(self, indices, distances):
        self.found = indices, distances

    def query(self, rows, k, epsilon):
        """Return the neighbours of the first rows."""
        return tuple(part[: len(rows)].copy() for part in self.found)


class TestBits:
    """Below 4,096 stored rows all is umap-learn's own, from there on all but the search."""

    @pytest.mark.parametrize(
        ("n_neighbors", "min_dist", "seed", "components", "metric"),
        [
            (15, 0.1, 10, 2, "euclidean"),
            (15, 0.5, 3, 3, "euclidean"),
            (2, 0.0, 10, 2, "manhattan"),
            (199, 0.1, 4, 2, "cosine"),
            (6, 0.1, 4, 1, "correlation"),
        ],
    )
    @pytest.mark.parametrize("islands", [False, True])
    def test_small_data(self, n_neighbors, min_dist, seed, components, metric, islands):
        features = clouds(200, 6).astype(np.float32)
        if islands:
            features[:70] += 1000
        new = rows_like(features, 40)
        model = UMAP(
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            random_state=seed,
            n_components=components,
            metric=metric,
            n_jobs=1,
        ).fit(features)
        found = [
            transform(features, model.embedding_, new, n_neighbors, min_dist, metric, together=together)
            for together in (True, False)
        ]
        assert_same_bits(found[0], model.transform(new))
        assert_same_bits(found[1], one_by_one(model, new))
        assert not (found[0] == found[1]).all()  # the batch matters to umap-learn, and so the two differ

    def test_all_parameters(self):
        features = clouds(150, 6).astype(np.float32)
        umap = {
            "n_epochs": 100,
            "spread": 1.5,
            "learning_rate": 0.3,
            "repulsion_strength": 0.7,
            "negative_sample_rate": 3,
            "local_connectivity": 2.5,
        }
        model = UMAP(n_neighbors=10, random_state=1, transform_seed=7, n_jobs=1, **umap).fit(features)
        new = rows_like(features, 30)
        found = transform(features, model.embedding_, new, 10, seed=7, together=True, **umap)
        assert_same_bits(found, model.transform(new))

    def test_many_stored_rows_on_the_same_neighbours(self, tmp_path):
        stages = Stages(tmp_path, clouds(4200, 5), k=10)
        columns = [store.matrix(store.read(stages.knn), kind) for kind in ("index_", "distance_")]
        model = UMAP(n_neighbors=10, random_state=3, n_epochs=30, precomputed_knn=(*columns, None)).fit(stages.features)
        new = rows_like(stages.features, 50)
        near = new_rows.neighbors_among(new, stages.features.astype(np.float32), 10, "euclidean")
        exact = np.linalg.norm(new[:, None] - stages.features.astype(np.float32), axis=2)
        assert (near[0] == np.argsort(exact, axis=1, kind="stable")[:, :10]).all()
        model._knn_search_index = Given(*near)
        found = transform(stages.features, model.embedding_, new, 10, together=True, n_epochs=30)
        assert_same_bits(found, model.transform(new))
        first = transform(stages.features, model.embedding_, new[:1], 10, n_epochs=30)
        assert_same_bits(first, model.transform(new[:1]))

    @pytest.mark.parametrize("n_epochs", [None, 31, 500])
    @pytest.mark.parametrize("rows", [1, 10_000, 10_001])
    def test_epochs(self, n_epochs, rows):
        expected = (100 if rows <= 10_000 else 30) if n_epochs is None else n_epochs // 3
        assert placing.epochs(n_epochs, rows) == expected


class TestBatch:
    """Neither the batch, nor its order, nor threads change a bit."""

    @pytest.mark.parametrize("rows", [300, 4100])
    def test_rows_are_placed_alone(self, rows):
        features = clouds(rows, 4).astype(np.float32)
        layout = clouds(rows, 2, seed=5).astype(np.float32)
        new = rows_like(features, 600)
        whole = transform(features, layout, new, 8)
        order = np.random.RandomState(2).permutation(600)
        assert_same_bits(transform(features, layout, new[order], 8, threads=3), whole[order])
        assert_same_bits(transform(features, layout, new[37:38], 8), whole[37:38])

    def test_together_threads_change_nothing_and_rows_do(self):
        features, layout = clouds(300, 4).astype(np.float32), clouds(300, 2, seed=5).astype(np.float32)
        new = rows_like(features, 600)
        whole = transform(features, layout, new, 8, together=True)
        assert_same_bits(transform(features, layout, new, 8, together=True, threads=4), whole)
        assert not (transform(features, layout, new[5:], 8, together=True) == whole[5:]).all()


class TestStrangers:
    """How far rows are by what is usual."""

    def measured(self, tmp_path, features, new, n_neighbors=10):
        stages = Stages(tmp_path, features, k=n_neighbors)
        table = store.read(stages.knn)
        near = new_rows.neighbors_among(new.astype(np.float32), features.astype(np.float32), n_neighbors, "euclidean")
        return new_rows.strangeness(store.matrix(table, "index_"), store.matrix(table, "distance_"), *near)

    def test_rows_of_the_same_kind_are_none_and_others_are(self, tmp_path):
        random = np.random.RandomState(0)
        features = random.normal(size=(1000, 5)) * np.where(np.arange(1000) < 500, 1, 30)[:, None] + 5
        same = random.normal(size=(1000, 5)) * np.where(np.arange(1000) < 500, 1, 30)[:, None] + 5
        _, strangeness, p_value = self.measured(tmp_path, features, same)
        assert abs(np.median(strangeness) - 1) < 0.1
        assert abs((p_value <= 0.1).mean() - 0.1) < 0.03
        assert (p_value <= 0.01).mean() < 0.025
        far = 5 + 300 * np.eye(5)
        distance, strangeness, p_value = self.measured(tmp_path, features, far)
        assert (p_value <= 2 / 1001).all()  # one stored row, between the groups, is as strange
        assert (distance > 100).all()
        assert (strangeness > 2).all()

    def test_what_is_strange_is_so_by_its_surroundings(self, tmp_path):
        """A row as far from a dense group as those of a loose one are from each other."""
        random = np.random.RandomState(0)
        features = np.concatenate([random.normal(size=(300, 2)) / 100, random.normal(size=(300, 2)) + 50])
        distance, _, p_value = self.measured(tmp_path, features, np.array([[0.3, 0.0], [50.0, 50.0]]))
        assert distance[0] < distance[1] + 0.3
        assert p_value[0] < 0.01 < p_value[1]

    def test_rows_that_are_all_the_same(self, tmp_path):
        _, strangeness, p_value = self.measured(tmp_path, np.ones((30, 2)), np.array([[1, 1], [2, 1]]), 5)
        assert strangeness.tolist() == [1, np.inf]
        assert p_value.tolist() == [1, 1 / 31]


class TestRefusals:
    """What cannot be placed."""

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["a", "c"], "lack 1 of the 3 columns of the stored ones: 'b'. Give"),
            (["a", "b", "c", "d"], "have 1 that the stored ones lack: 'd'"),
            (
                ["a", "b", "C"],
                "lack 1 of the 3 columns of the stored ones: 'c', and have 1 that the stored ones lack: 'C'",
            ),
        ],
    )
    def test_other_columns(self, names, said):
        assert said in refusal(lambda: new_rows.matched(names, ["a", "b", "c"]))

    def test_columns_are_taken_by_name(self):
        assert new_rows.matched(["c", "a", "b"], ["a", "b", "c"]).tolist() == [1, 2, 0]
        assert "another order" in refusal(lambda: new_rows.matched(["b", "a", "a"], ["a", "a", "b"]))

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"transform": {"cell": CONFIG["transform"]["cell"]}}, "transform has neither a source nor a dataset"),
            ({"transform": CONFIG["transform"] | {"dataset": "flowers"}}, "has both a source and a dataset"),
            (
                {"transform": {"cell": {"n_neighbors": 15, "min_dist": 0.1}, "dataset": "flowrs"}},
                "nearest is 'flowers'",
            ),
            ({"transform": {"cell": {"n_neighbors": 15, "min_dist": 0.1}, "dataset": "flowers"}}, "the data to sweep"),
            ({"transform": {"cell": {"n_neighbors": 15}, "dataset": "flowers"}}, "transform.cell.min_dist is missing"),
            ({"datasets": CONFIG["datasets"] | {"flowers_new": CONFIG["datasets"]["flowers"]}}, "has 'flowers_new'"),
            ({"knn": {"method": "imported", "path": "knn.npz", "n_neighbors": 20}}, "those of an imported k-NN"),
            ({"knn": {"metric": "symmetric_kl", "n_neighbors": 20}}, "changes the rows that it compares"),
            ({"umap": {"n_epochs": 2}}, "umap.n_epochs is 2, of which umap-learn takes a third"),
        ],
    )
    def test_configuration(self, changed, said):
        assert said in refusal(lambda: configuration.complete(CONFIG | changed))

    def test_a_cell_that_is_not_in_the_grid(self, tmp_path):
        OLD.to_parquet(tmp_path / "old.parquet")
        NEW.to_csv(tmp_path / "new.csv", index=False)
        cell = {"cell": {"n_neighbors": 15, "min_dist": 0.2}}
        run = snakemake(tmp_path, "-n", "transform", config=CONFIG | {"transform": CONFIG["transform"] | cell})
        assert run.code == 1
        assert "transform.cell is n_neighbors 15, min_dist 0.2, which the grid does not have" in run.output
        run = snakemake(tmp_path, "-n", "transform", config={key: CONFIG[key] for key in CONFIG if key != "transform"})
        assert "There are no new rows to place; give transform.cell" in run.output

    def stored(self, tmp_path, **changed):
        """Store old and new rows, a k-NN and a layout, and place them."""
        folders = [tmp_path / name for name in ("old", "new")]
        for folder in folders:
            folder.mkdir()
        stages = Stages(folders[0], OLD[COLUMNS].to_numpy(), k=5)
        layout = stages.cell(5, 0.1, 10, n_epochs=20)
        about = {"feature_names": COLUMNS, "missing": {}, "source_rows": 30, "rows": 30}
        data, new = stages.data, store_data(folders[1], NEW[COLUMNS].to_numpy())
        for path, more in ((data, {}), (new, changed)):
            store.write(path, store.read(path), store.read_record(path) | about | more)
        cell = folders[0] / "layout.parquet"
        if changed.get("lost"):
            layout[:2] = np.nan
            table = store.read(cell)
            for axis, name in enumerate(table.column_names):
                table = table.set_column(axis, name, [layout[:, axis]])
            store.write(cell, table, store.read_record(cell) | {"fingerprint": store.fingerprint(table)})
        rows = store_rows(folders[1], 30)
        settings = UMAP_DEFAULTS | {"n_epochs": 20}
        new_rows.compute(
            data,
            stages.knn,
            cell,
            new,
            rows,
            tmp_path / "out.parquet",
            tmp_path / "near.parquet",
            "new",
            5,
            0.1,
            "euclidean",
            settings,
            42,
            False,
            1,
        )
        return store.read(tmp_path / "out.parquet")

    def test_medians_of_the_new_rows(self, tmp_path):
        assert "medians of the new rows alone" in refusal(lambda: self.stored(tmp_path, missing={COLUMNS[0]: 2}))

    def test_rows_without_a_place(self, tmp_path):
        assert "2 rows of the cell have no place" in refusal(lambda: self.stored(tmp_path, lost=True))

    def test_else_they_are_placed(self, tmp_path):
        found = self.stored(tmp_path)
        assert found.column_names == ["id", "umap_1", "umap_2", "distance", "strangeness", "p_value"]
        assert found.num_rows == 30
        near = store.read(tmp_path / "near.parquet")
        apart = np.linalg.norm(NEW[COLUMNS].to_numpy()[:, None] - OLD[COLUMNS].to_numpy(), axis=2)
        np.testing.assert_allclose(store.matrix(near, "distance_"), np.sort(apart, axis=1)[:, :5], rtol=1e-5, atol=1e-6)
        chosen = np.take_along_axis(apart, store.matrix(near, "index_"), axis=1)
        np.testing.assert_allclose(chosen, store.matrix(near, "distance_"), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.column("distance"), chosen[:, :4].mean(axis=1), rtol=1e-5, atol=1e-6)

    def test_arrays(self):
        features, layout = clouds(20, 3), np.zeros((20, 2))
        with pytest.raises(InputError, match="new rows have 2 columns, and the features 3"):
            transform(features, layout, features[:, :2], 5)
        with pytest.raises(InputError, match="shape \\(19, 2\\), and there are 20 rows"):
            transform(features, layout[1:], features, 5)
        with pytest.raises(InputError, match="n_neighbors is 20, and there are 20 rows"):
            transform(features, layout, features, 20)
        with pytest.raises(InputError, match="metric hellinger needs values from 0"):
            transform(np.abs(features), layout, -np.abs(features), 5, metric="hellinger")


class TestColours:
    """Of new points: a label has the colour that the grid gives it, whatever else the new rows are called."""

    @staticmethod
    def of(stored, new, kind="auto"):
        found = figure.colouring_of_new(pa.table({"label": stored}), pa.table({"label": new}), kind)
        return [to_hex(found.palette[code]) for code in found.codes], found

    def test_labels_that_sort_between_and_rows_without_one(self):
        grid = colour_points(pa.array(["b", "d", "f"]), "auto", 3)
        colours, found = self.of(["b", "d", "f"], ["e", "d", "a", "f", None])
        assert colours[1] == to_hex(grid.palette[grid.codes[1]])
        assert colours[3] == to_hex(grid.palette[grid.codes[2]])
        assert (colours[2], colours[0]) == tuple(CATEGORY_COLOURS[3:5])
        assert colours[4] == figure.DARKER[NO_LABEL_COLOUR]
        assert [entry[:2] for entry in found.legend] == [("d", 1), ("f", 1), ("a", 1), ("e", 1), ("no label", 1)]

    def test_more_labels_than_colours(self):
        stored = [f"{number:02}" for number in range(24) for _ in range(2)]
        colours, _ = self.of(stored, ["new"] * 90 + ["07"])
        assert colours[0] == figure.DARKER[OTHER_COLOUR]
        assert colours[-1] == CATEGORY_COLOURS[7]

    def test_numbers_are_on_the_scale_of_the_stored_ones(self):
        _, found = self.of([0.25, 1.0], [0.5, 900.0])
        assert (found.limits, found.extend, found.codes.tolist()) == ((0.25, 1.0), "max", [85, 255])

    def test_many_new_whole_numbers_make_no_scale_of_categories(self):
        assert self.of(list(range(20)), list(range(40)))[1].limits is None


def kept(path, table):
    """Store a table as the stages do, with a record, and return its path."""
    store.write(path, table, store.make_record("test", {}, store.fingerprint(table)))
    return path


class TestWords:
    """What is counted of new rows, and what a run says of it."""

    @staticmethod
    def said(folder, new, *, labels=None, stored_labels=None, ids=None, lost=0, strangers=0, explicit=True):
        """Return the table of metrics and the sentences of so many new rows over 40 stored ones."""
        places = np.repeat([[0.0, 0.0], [50.0, 50.0]], 20, axis=0) + np.random.RandomState(0).normal(size=(40, 2))
        stored_ids = pa.array([f"r{row}" for row in range(40)])
        described = {} if stored_labels is None else {"label": stored_labels}
        layout = kept(folder / "layout.parquet", pa.table({f"umap_{axis + 1}": places[:, axis] for axis in (0, 1)}))
        rows = kept(folder / "rows.parquet", pa.table({"id": stored_ids, **described}))
        about = {
            "id": pa.array(ids or [f"n{row}" for row in range(new)]),
            **({} if labels is None else {"label": labels}),
        }
        at = np.where(np.arange(new)[:, None] < lost, np.nan, places[:new]).astype(np.float32)
        p_values = np.where(np.arange(new) < strangers, 0.005, 0.5)
        measured = {"strangeness": np.ones(new), "p_value": p_values}
        placed = kept(
            folder / "placed.parquet", pa.table({**about, "umap_1": at[:, 0], "umap_2": at[:, 1], **measured})
        )
        described_by = {"settings": {"id": "id"} if explicit else {}}
        table = pa.table(about)
        record = store.make_record("rows", {}, store.fingerprint(table), description=described_by)
        store.write(folder / "new.parquet", table, record)
        out = folder / "metrics.parquet"
        new_rows_metrics.compute(layout, rows, placed, folder / "new.parquet", out, "auto")
        return store.read(out).to_pylist()[0], new_rows_metrics.sentences(out)

    @pytest.mark.parametrize(
        ("rows", "lost", "strangers", "said"),
        [
            (3, 0, 2, "3 new rows are placed, of which 2 are stranger than 99 in 100"),
            (3, 0, 1, "3 new rows are placed, of which 1 is stranger than 99 in 100"),
            (1, 0, 0, "1 new row is placed, of which 0 are stranger than 99 in 100"),
            (3, 1, 0, "2 of 3 new rows are placed; 1 has no place, because the metric counts no stored row as near."),
            (3, 2, 1, "1 of 3 new rows is placed; 2 have no place, because the metric counts no stored row as near."),
            (1, 1, 1, "0 of 1 new row are placed; 1 has no place, because the metric counts no stored row as near."),
        ],
    )
    def test_how_many_are_placed(self, tmp_path, rows, lost, strangers, said):
        measured, sentences = self.said(tmp_path, rows, lost=lost, strangers=strangers)
        assert sentences[0].startswith(said)
        assert (measured["rows"], measured["disconnected"], measured["strangers"]) == (rows, lost, strangers)
        assert len(sentences) == (2 if lost else 1)

    @pytest.mark.parametrize(
        ("stored", "new"),
        [
            (pa.array([0, 7], pa.int64()), pa.array(["0", "0", "7.0", "noise", None])),
            (pa.array(["0", "7"]), pa.array([0, 0, 7, 9, None], pa.int64())),
            (pa.array(["00", "07"]), pa.array([0.0, 0.0, 7.0, 9.5, np.nan])),
            (pa.array([0, 7], pa.int8()), pa.array([0, 0, 7, 4000, None])),
            (pa.array([False, True]), pa.array(["False", "False", "TRUE", "x", None])),
        ],
        ids=["text on numbers", "numbers on text", "floats on text", "wider numbers", "truth values"],
    )
    def test_labels_of_other_types_are_compared_by_what_they_say(self, tmp_path, stored, new):
        of_rows = stored.take(pa.array(np.repeat([0, 1], 20)))
        measured, sentences = self.said(tmp_path, 5, labels=new, stored_labels=of_rows)
        # All five lie among stored points of the first label.
        assert (measured["labelled"], measured["unknown_labels"]) == (3, 1)
        assert measured["label_accuracy"] == pytest.approx(2 / 3)
        assert measured["labels_not_compared"] is None
        assert sentences[1] == "Of 3 that have a label which stored rows have, 66.7 % lie among points of it."
        colours = figure.colouring_of_new(pa.table({"label": of_rows}), pa.table({"label": new}), "auto")
        of_stored = colour_points(of_rows, "auto", 40)
        for row, code in ((0, 0), (1, 0), (2, 39)):
            assert (colours.palette[colours.codes[row]] == of_stored.palette[of_stored.codes[code]]).all()

    def test_ambiguous_labels_are_said_not_to_be_compared(self, tmp_path):
        stored = pa.array(["1", "01"] * 20)
        measured, sentences = self.said(tmp_path, 2, labels=pa.array([1, 2]), stored_labels=stored)
        assert measured["label_accuracy"] is None
        assert sentences[1].startswith(
            "Labels are not compared: those of the new rows are int64 and those of the stored"
        )
        assert "as 1 and 01 do" in sentences[1]

    def test_one_label_and_none(self, tmp_path):
        stored = pa.array(["a"] * 20 + ["b"] * 20)
        for label, said in (("a", "lies"), ("b", "does not lie")):
            _, sentences = self.said(tmp_path, 2, labels=pa.array([label, None]), stored_labels=stored)
            assert sentences[1] == f"The one that has a label which stored rows have {said} among points of it."
        _, sentences = self.said(tmp_path, 2, labels=pa.array(["c", None]), stored_labels=stored)
        assert sentences[1].startswith("No label of the new rows is one that a stored row has")

    def test_numbers_of_new_rows_stay_on_the_scale_of_the_stored_ones(self, tmp_path):
        stored = pa.array(np.linspace(0, 1, 40))
        measured, sentences = self.said(tmp_path, 3, labels=pa.array(["0.5", "noise", None]), stored_labels=stored)
        assert (measured["labelled"], measured["labels_not_compared"], len(sentences)) == (None, None, 1)
        found = figure.colouring_of_new(pa.table({"label": stored}), pa.table({"label": ["0.5", "x"]}), "auto")
        assert found.limits == (0, 1)
        assert found.codes.tolist() == [128, 256]

    @pytest.mark.parametrize(
        ("ids", "said"),
        [
            (
                ["r0", "n1", "r7"],
                "2 new rows have ids that a stored row has; this is as it should be only where they are",
            ),
            (
                ["n0", "n1", "r7"],
                "1 new row has an id that a stored row has; this is as it should be only where they are",
            ),
        ],
    )
    def test_ids_of_stored_rows_are_counted(self, tmp_path, ids, said):
        measured, sentences = self.said(tmp_path, 3, ids=ids)
        assert measured["stored_ids"] == int(said[0])
        assert sentences[-1].startswith(said)

    def test_row_numbers_are_no_ids_in_common(self, tmp_path):
        measured, sentences = self.said(tmp_path, 3, ids=[0, 1, 2], explicit=False)
        assert (measured["stored_ids"], len(sentences)) == (None, 1)
        assert self.said(tmp_path, 3, ids=[0, 1, 2])[0]["stored_ids"] == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a cell with new rows on it, three of them strangers. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("flowers")
    OLD.to_parquet(folder / "old.parquet")
    strangers = NEW[:3].assign(flower=["s1", "s2", "s3"], species="unknown")
    strangers[COLUMNS] *= 5
    # In another format, and with its columns in another order.
    pd.concat([NEW, strangers])[["species", *COLUMNS[::-1], "flower"]].to_csv(folder / "new.csv", index=False)
    run = snakemake(folder, "transform", config=CONFIG)
    assert run.code == 0, run.output
    assert "33 new rows are placed, of which" in run.output
    assert "Of 30 that have a label which stored rows have" in run.output
    return folder


class TestPipeline:
    """The target."""

    def test_it_is_umap_learn(self, finished):
        features = OLD[COLUMNS].to_numpy(np.float32)
        model = UMAP(n_neighbors=15, min_dist=0.1, random_state=10, n_epochs=60, n_jobs=1).fit(features)
        found = store.read(finished / f"results/flowers/{FOLDER}/embedding.parquet")
        assert found.column_names == ["id", "label", "umap_1", "umap_2", "distance", "strangeness", "p_value"]
        assert found.column("id").to_pylist() == [*NEW["flower"], "s1", "s2", "s3"]
        expected = one_by_one(model, NEW[COLUMNS].to_numpy(np.float32))
        assert_same_bits(store.matrix(found, "umap_")[:30], expected)

    def test_strangers_and_labels_are_measured(self, finished):
        found = store.read(finished / f"results/flowers/{FOLDER}/embedding.parquet").to_pandas()
        assert (found["p_value"][30:] <= 0.01).all()
        assert (found["p_value"][:30] <= 0.01).sum() <= 2
        measured = store.read(finished / f"results/flowers/{FOLDER}/metrics.parquet").to_pylist()[0]
        assert measured["rows"] == 33
        assert measured["strangers"] == (found["p_value"] <= 0.01).sum()
        assert measured["unknown_labels"] == 3
        assert measured["labelled"] == 30
        assert measured["label_accuracy"] > 0.8
        assert (finished / f"results/flowers/{FOLDER}/transform.png").stat().st_size > 10_000

    def test_the_page_has_all_rows_and_their_neighbours(self, finished):
        text = (finished / f"results/flowers/{FOLDER}/transform.html").read_text()
        header = json.loads(re.search(r'id="header">(.*?)</script>', text)[1])
        assert (header["dataset"], header["new"]["dataset"]) == ("flowers", "flowers_new")
        assert (header["rows"], header["new"]["rows"], header["points"]) == (120, 33, 153)
        assert set(header["ids"][120:]) == {*NEW["flower"], "s1", "s2", "s3"}
        assert header["label"]["names"][-1] == "unknown"
        found = store.read(finished / f"results/flowers/{FOLDER}/embedding.parquet").to_pandas()
        assert header["new"]["strangers"] == (found["p_value"] <= 0.01).sum()

    def test_nothing_to_do_and_what_a_change_runs(self, finished, tmp_path):
        assert "Nothing to be done" in snakemake(finished, "-n", "transform", config=CONFIG).output
        changed = CONFIG | {"transform": CONFIG["transform"] | {"together": True}}
        folder = shutil.copytree(finished, tmp_path / "copy")
        run = snakemake(folder, "transform", cores=1, config=changed)
        assert run.jobs == dict.fromkeys(
            ("new_rows", "new_rows_metrics", "plot_new_rows", "atlas_new_rows", "transform"), 1
        )
        assert run.code == 0, run.output
        # Another data set in the place of the new rows.
        shutil.copy(folder / "results/flowers/data/data.parquet", folder / "results/flowers_new/data/data.parquet")
        (folder / f"results/flowers/{FOLDER}/embedding.parquet").unlink()
        run = snakemake(folder, "transform", config=changed)
        assert run.code == 1
        assert "flowers_new/data/data.parquet is the data set flowers, in the place of flowers_new." in run.output

    def test_verify_places_them_again(self, finished, tmp_path):
        folder = shutil.copytree(finished, tmp_path / "copy")
        path = folder / f"results/flowers/{FOLDER}/embedding.parquet"
        table, record = store.read(path), store.read_record(path)
        moved = table.set_column(2, "umap_1", [store.numbers(table.column("umap_1")) + 1])
        store.write(path, moved, record | {"fingerprint": store.fingerprint(moved)})
        run = snakemake(folder, "verify", config=CONFIG)
        assert run.code == 1
        assert f"The first stage that differs from the stored results is transformed (flowers_new/{CELL}" in run.output
