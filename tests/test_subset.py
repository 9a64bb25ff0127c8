"""Subsets as data sets of their own: the right rows, their ids, and umap-learn's coordinates of those rows."""

import functools
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import snakemake, store_data, store_rows
from sklearn.datasets import load_iris
from test_annotations import FLOWERS, SOURCE
from test_fetch import refusal
from umap import UMAP

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.settings import configuration
from umap_sweep.sources import subset

ROWS = 60
DONORS = np.array(["D1", "D2", "D7", None], object)[np.arange(ROWS) % 4]
GENES = np.where(np.arange(ROWS) % 7 == 0, np.nan, np.arange(ROWS) * 10.0)
ON = np.arange(ROWS) % 3 == 0
TYPE = np.array(["T", "B", "NK"])[np.minimum(np.arange(ROWS) // 25, 2)]


# Texts of which YAML makes something else where they stand without quotes.
YES = np.array(["yes", "no"], object)[np.arange(ROWS) % 2]
PLATE = np.array(["01", "02", "10"], object)[np.arange(ROWS) % 3]
MIXED = np.array(["True", "yes", "1", "01"], object)[np.arange(ROWS) % 4]
DAY = np.array(["2024-05-01", "2024-05-02"], object)[np.arange(ROWS) % 2]
# Whole numbers that float64 cannot tell apart, as barcodes and hashes are.
LARGE = 2**53 + np.arange(ROWS)
LARGEST = 2**63 - 1 - np.arange(ROWS)
FLOATS = (2.0**53 + 2 * np.arange(ROWS)).astype(np.float64)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parent")
    data = store_data(folder, np.random.RandomState(0).normal(size=(ROWS, 4)))
    table, record = store.read(data), store.read_record(data)
    store.write(data, table, record | {"feature_names": list("abcd")})
    described = store_rows(
        folder,
        ROWS,
        label=pa.array(TYPE),
        donor=pa.array(DONORS),
        n_genes=pa.array(GENES, from_pandas=True),
        on=pa.array(ON),
        batch=pa.array(np.arange(ROWS) % 2),
        yes=pa.array(YES),
        plate=pa.array(PLATE),
        mixed=pa.array(MIXED),
        day=pa.array(DAY),
        large=pa.array(LARGE),
        largest=pa.array(LARGEST),
        floats=pa.array(FLOATS),
    )
    return {"data": data, "rows": described}


def chosen(parent: dict, **source: object) -> list[int]:
    return subset.choose({"source": "subset", "of": "mine", **source}, parent).tolist()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"label": ["T", "NK"]}, np.isin(TYPE, ["T", "NK"])),
        ({"label": "B"}, TYPE == "B"),
        ({"donor": {"not": ["D7"]}}, DONORS != "D7"),
        ({"donor": ["D1"], "label": ["T"]}, (DONORS == "D1") & (TYPE == "T")),
        ({"n_genes": {"min": 200}}, GENES >= 200),
        ({"n_genes": {"min": 200, "max": 300}}, (GENES >= 200) & (GENES <= 300)),
        ({"n_genes": [100, 110.0]}, np.isin(GENES, [100, 110])),
        ({"on": True}, ON),
        ({"on": [False]}, ~ON),
        ({"batch": 1}, np.arange(ROWS) % 2 == 1),
        ({"batch": ["1"]}, np.arange(ROWS) % 2 == 1),
        ({"id": {"max": 9}}, np.arange(ROWS) < 10),
        ({"large": [2**53 + 1, 2**53 + 3]}, np.isin(np.arange(ROWS), [1, 3])),
        ({"large": ["9007199254740993"]}, np.arange(ROWS) == 1),
        ({"large": {"not": [2**53 + 1]}}, np.arange(ROWS) != 1),
        ({"large": {"min": 2**53 + 3}}, np.arange(ROWS) >= 3),
        ({"large": {"max": 2**53 + 3}}, np.arange(ROWS) <= 3),
        ({"large": {"min": 2**53 + 3, "max": 2**53 + 5}}, np.isin(np.arange(ROWS), [3, 4, 5])),
        ({"large": {"min": -1e300, "max": 10**400}}, np.arange(ROWS) >= 0),
        ({"largest": {"min": 2**63 - 3}}, np.arange(ROWS) <= 2),
        ({"largest": [2**63 - 2]}, np.arange(ROWS) == 1),
        ({"floats": {"min": 2**53 + 3}}, np.arange(ROWS) >= 2),
        ({"floats": {"max": 2**53 + 3}}, np.arange(ROWS) <= 1),
        ({"floats": [2**53 + 4]}, np.arange(ROWS) == 2),
        ({"batch": {"min": 0.5}}, np.arange(ROWS) % 2 == 1),
        ({"batch": {"max": 0.5}}, np.arange(ROWS) % 2 == 0),
        ({"batch": [1.0, "0"]}, np.arange(ROWS) >= 0),
        ({"yes": True}, YES == "yes"),
        ({"yes": {"not": [True]}}, YES == "no"),
        ({"yes": "yes"}, YES == "yes"),
        ({"plate": [1, "02"]}, PLATE != "10"),
        ({"plate": 10}, PLATE == "10"),
        ({"mixed": ["True", "01"]}, np.isin(MIXED, ["True", "01"])),
        ({"day": "2024-05-02"}, DAY == "2024-05-02"),
    ],
)
def test_rows_by_what_describes_them(parent, where, expected):
    assert chosen(parent, where=where) == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"where": {"doner": ["D1"]}}, "Did you mean 'donor'?"),
        ({"where": {"donor": ["D1", "D9"]}}, "names the value 'D9'"),
        ({"where": {"donor": {"not": ["D9"]}}}, "names the value 'D9'"),
        ({"where": {"donor": {"min": 3}}}, "asks for a range, but the values are string"),
        ({"where": {"n_genes": ["many"]}}, "but the values are numbers"),
        ({"where": {"n_genes": {"min": 1e9}}}, "No row of mine fulfils"),
        ({"where": {"large": [2**53 + ROWS]}}, f"names the value '{2**53 + ROWS}'"),
        ({"where": {"large": [2.0**63]}}, "names the value '9.2"),
        ({"where": {"large": {"min": 1e300}}}, "No row of mine fulfils"),
        ({"where": {"largest": [2**63]}}, "names the value '9223372036854775808'"),
        ({"where": {"floats": [2**53 + 1]}}, "names the value '9007199254740993'"),
        ({"where": {"batch": [0.5]}}, "names the value '0.5'"),
        ({"where": {"batch": True}}, "asks for 'True', but the values are numbers"),
        (
            {"where": {"mixed": True}},
            "asks for True, which YAML makes of 'True', 'yes' alike. Put the one that is meant",
        ),
        ({"where": {"mixed": 1}}, "asks for 1, which YAML makes of '1', '01' alike"),
        ({"where": {"plate": 3}}, "names the value '3'"),
        ({"where": {"yes": "Yes"}}, "Did you mean 'yes'?"),
        ({"sample": {"rows": 5, "by": "kind"}}, "`sample.by` names the label or annotation 'kind'"),
    ],
)
def test_what_cannot_be_chosen(parent, source, said):
    assert said in refusal(functools.partial(chosen, parent, **source))


@pytest.mark.parametrize("where", [{"label": ["X"]}, {"label": {"min": 1}}])
def test_the_label_goes_by_its_own_name_in_messages(parent, tmp_path, where):
    described = tmp_path / "rows.parquet"
    record = store.read_record(parent["rows"]) | {"description": {"settings": {"label": "cell_type"}}}
    store.write(described, store.read(parent["rows"]), record)
    message = refusal(functools.partial(chosen, parent | {"rows": described}, where=where))
    assert "where.cell_type" in message and "where.label" not in message


def test_rows_by_the_ids_that_the_atlas_saves(parent, tmp_path):
    path = tmp_path / "selected.csv"
    path.write_bytes(b"id,label\r\n7,T\r\n30,B\r\n7,T\r\n999,T\r\n")
    assert chosen(parent, ids={"path": str(path)}) == [7, 30]
    assert chosen(parent, ids={"path": str(path)}, where={"label": "T"}) == [7]
    path.write_text("id\n7.0\n30.0\n")
    assert chosen(parent, ids={"path": str(path)}) == [7, 30]
    path.write_text("cell\nx\n")
    call = functools.partial(chosen, parent, ids={"path": str(path), "id": "cell"})
    assert "it has 'x', and the data '0', '1'" in refusal(call)
    assert "'id'" in refusal(functools.partial(chosen, parent, ids={"path": str(path)}))


class TestSample:
    """A seeded sample, with each category's share where it is asked for."""

    def test_it_is_seeded_and_has_its_size(self, parent):
        one = chosen(parent, sample={"rows": 20, "seed": 1})
        assert one == chosen(parent, sample={"rows": 20, "seed": 1}) == sorted(set(one))
        assert len(one) == 20
        assert one != chosen(parent, sample={"rows": 20, "seed": 2})

    def test_a_larger_one_holds_a_smaller_one_of_the_same_seed(self, parent):
        assert set(chosen(parent, sample={"rows": 10, "seed": 3})) <= set(
            chosen(parent, sample={"rows": 30, "seed": 3})
        )

    def test_each_category_has_its_share(self, parent):
        found = chosen(parent, sample={"rows": 12, "seed": 1, "by": "label"})
        assert Counter(TYPE[found]) == {"T": 5, "B": 5, "NK": 2}

    def test_a_rare_category_is_kept_and_missing_values_are_one(self, parent):
        found = chosen(parent, sample={"rows": 4, "seed": 5, "by": "donor"})
        assert Counter(DONORS[found]) == {"D1": 1, "D2": 1, "D7": 1, None: 1}

    def test_all_rows_where_it_is_larger(self, parent):
        assert chosen(parent, sample={"rows": 1000}) == list(range(ROWS))

    @pytest.mark.parametrize("seed", range(30))
    def test_shares_add_up_and_are_within_one_of_what_they_should_be(self, seed):
        random = np.random.RandomState(seed)
        sizes = random.randint(1, 200, random.randint(1, 20))
        most = random.randint(1, sizes.sum())
        found = subset.shares(sizes, most)
        assert found.sum() == most
        assert (found <= sizes).all()
        if most >= len(sizes):
            assert (found >= 1).all()
        assert (found - sizes * most / sizes.sum() < 1.0001).all() or (sizes * most / sizes.sum() < 1).any()


class TestConfiguration:
    """What is refused before anything runs."""

    def complete(self, **datasets: dict) -> dict:
        mine = {"source": "file", "path": "mine.csv", "label": "kind"}
        given = {"datasets": {"mine": mine} | datasets, "dataset": "mine", "claims": {"dataset": "mine"}}
        return configuration.complete(given)["datasets"]

    def test_a_label_goes_by_the_name_that_the_configuration_gives_it(self):
        part = {"source": "subset", "of": "mine", "where": {"kind": ["a"]}, "sample": {"rows": 5, "by": "kind"}}
        found = self.complete(part=part, again={"source": "subset", "of": "part", "where": {"kind": "a"}})
        assert found["part"]["where"] == {"label": ["a"]}
        assert found["part"]["sample"]["by"] == "label"
        assert found["again"]["where"] == {"label": "a"}

    @pytest.mark.parametrize(
        ("part", "said"),
        [
            ({"of": "mien"}, "nearest is 'mine'"),
            ({"of": "part"}, "a subset of itself"),
            ({"of": "mine", "where": {"kind": []}}, "where.kind"),
            ({"of": "mine", "sample": {"rows": 0}}, "sample.rows is 0"),
            ({"of": "mine", "where": {"kind": {"nor": ["a"]}}}, "where.kind"),
        ],
    )
    def test_what_contradicts_itself(self, part, said):
        with pytest.raises(InputError, match=said):
            self.complete(part={"source": "subset"} | part)


CONFIG = {
    "dataset": "part",
    "datasets": {
        "flowers": SOURCE | {"features": "numeric", "annotations": ["donor", "batch"]},
        "part": {"source": "subset", "of": "flowers", "where": {"kind": {"not": ["setosa"]}, "donor": ["D1", "D2"]}},
    },
    "claims": {"dataset": "flowers"},
    "knn": {"n_neighbors": 12},
    "grid": {"n_neighbors": [8], "min_dist": [0.1]},
    "umap": {"n_epochs": 50},
}


def of_part(**source: object) -> dict:
    return CONFIG | {"datasets": CONFIG["datasets"] | {"part": {"source": "subset", "of": "flowers", **source}}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished sweep of a subset. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("part")
    FLOWERS.to_csv(folder / "flowers.csv", index=False)
    run = snakemake(folder, config=CONFIG)
    assert run.code == 0, run.output
    return folder


class TestSweep:
    """The pipeline on a subset."""

    def test_coordinates_are_umap_learn_s_own_on_those_rows(self, finished):
        rows = FLOWERS[(FLOWERS["kind"] != "setosa") & FLOWERS["donor"].isin(["D1", "D2"])]
        table = pd.read_parquet(finished / "results/part/sweep.parquet")
        assert table["id"].tolist() == rows["flower"].tolist()
        assert table["label"].tolist() == rows["kind"].tolist()
        knn = store.read(next((finished / "results/part/knn").rglob("knn.parquet")))
        columns = (np.ascontiguousarray(store.matrix(knn, name)[:, :8]) for name in ("index_", "distance_"))
        model = UMAP(
            n_neighbors=8,
            min_dist=0.1,
            n_epochs=50,
            random_state=10,
            precomputed_knn=(*columns, None),
            force_approximation_algorithm=True,
        )
        features = np.ascontiguousarray(rows.iloc[:, :4], dtype=np.float32)
        assert table[["umap_1", "umap_2"]].to_numpy().tobytes() == model.fit(features).embedding_.tobytes()

    def test_annotations_are_those_of_the_whole(self, finished):
        rows = pd.read_parquet(finished / "results/part/rows.parquet")
        assert list(rows.columns) == ["id", "label", "donor", "batch"]
        assert set(rows["donor"]) == {"D1", "D2"}

    def test_nothing_to_do_afterwards(self, finished):
        assert snakemake(finished, "--dry-run", config=CONFIG).jobs == {}

    def test_the_whole_is_not_swept(self, finished):
        assert not (finished / "results/flowers/knn").exists()

    def test_verify_chooses_again(self, finished, tmp_path):
        shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
        run = snakemake(tmp_path / "copy", "verify", config=CONFIG)
        assert run.code == 0, run.output
        assert "equal to the stored results, bit for bit" in run.output

    @pytest.mark.parametrize(
        ("source", "fetched"),
        [
            ({"where": {"donor": ["D1", "D2"], "kind": ["versicolor", "virginica"]}}, False),
            ({"where": {"donor": ["D1"]}}, True),
            (CONFIG["datasets"]["part"] | {"label": "donor"}, False),
        ],
        ids=["the same in other words", "others", "label"],
    )
    def test_what_a_change_plans(self, finished, source, fetched):
        jobs = snakemake(finished, "--dry-run", config=of_part(**source)).jobs
        assert ("knn" in jobs) == ("fetch" in jobs) == ("layout" in jobs) == fetched

    def test_another_label_of_the_whole_lays_out_nothing(self, finished, tmp_path):
        shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
        whole = CONFIG["datasets"]["flowers"] | {"annotations": ["batch", "donor"]}
        config = CONFIG | {"datasets": CONFIG["datasets"] | {"flowers": whole}}
        run = snakemake(tmp_path / "copy", "results/flowers/rows.parquet", config=config)
        assert run.code == 0, run.output
        jobs = snakemake(tmp_path / "copy", "--dry-run", config=config).jobs
        assert "rows" in jobs and not {"fetch", "knn", "layout"} & set(jobs)


def test_a_stratified_sample_of_scikit_learn_s_data(tmp_path):
    config = of_part(of="iris", sample={"rows": 60, "seed": 1, "by": "label"})
    config["datasets"]["iris"] = {"source": "sklearn", "name": "iris"}
    run = snakemake(tmp_path, "results/part/sweep.parquet", config=config | {"claims": {"dataset": "iris"}})
    assert run.code == 0, run.output
    table = pd.read_parquet(tmp_path / "results/part/sweep.parquet")
    assert Counter(table["label"]) == {"setosa": 20, "versicolor": 20, "virginica": 20}
    expected = load_iris().data[table["id"]].astype(np.float32)
    assert store.read_features(tmp_path / "results/part/data/data.parquet").tobytes() == expected.tobytes()
