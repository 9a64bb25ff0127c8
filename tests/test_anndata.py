"""AnnData in and out, and a k-NN that was made elsewhere: what is read, what is refused, and what scanpy reads back."""

import functools
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata
import h5py
import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scanpy
import scipy.sparse
from anndata import AnnData
from conftest import Stages, snakemake, store_data
from sklearn.neighbors import KNeighborsTransformer
from test_exactness import assert_same_bits, clouds
from test_fetch import matrix, refusal
from umap import UMAP

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.results import export_anndata
from umap_sweep.sources import data_table, fetch, imported_knn, rows
from umap_sweep.stages import graph, knn
from umap_sweep.timing import arms as timing_arm

matplotlib.use("Agg")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:umap")

X = np.where(np.random.RandomState(0).uniform(size=(40, 6)) < 0.7, 0, np.random.RandomState(1).normal(size=(40, 6)))


def cells() -> AnnData:
    """Return forty cells of six genes with everything that a sweep reads of a file, and some that it does not."""
    random = np.random.RandomState(2)
    obs = pd.DataFrame(index=[f"cell{row}" for row in range(40)])
    obs["barcode"] = [f"AC{row}" for row in range(40)]
    obs["kind"] = pd.Categorical(["T", "B"] * 20)
    obs["cluster"] = pd.Categorical([3, 12] * 20)
    obs["score"] = random.normal(size=40)
    obs["batch"] = np.arange(40) % 3
    obs["often"] = "again"
    made = AnnData(X.astype(np.float32), obs, pd.DataFrame(index=[f"gene{column}" for column in range(6)]))
    made.raw = made
    made.layers["counts"] = random.poisson(3.0, size=(40, 6))
    made.layers["csr"] = scipy.sparse.csr_matrix(X)
    made.layers["csc"] = scipy.sparse.csc_matrix(X)
    made.obsm["X_pca"] = random.normal(size=(40, 3))
    made.obsm["frame"] = pd.DataFrame({"a": X[:, 0], "b": np.arange(40), "c": X[:, 1] > 0}, index=obs.index)
    made.obsm["sparse"] = scipy.sparse.csr_matrix(X[:, :2])
    made.obsm["text"] = pd.DataFrame({"a": X[:, 0], "word": "x"}, index=obs.index)
    made.uns["colours"] = ["red", "blue"]
    return made


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Give the path of a file with `cells`. Tests must leave it as it is."""
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    cells().write_h5ad(path)
    return path


def read(path: Path, **source: str) -> tuple[pa.Table, list[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = {"source": "anndata", "path": str(path), **source}
        with TemporaryDirectory() as name:
            data, described = Path(name) / "data.parquet", Path(name) / "rows.parquet"
            fetch.compute("test", source, path, None, data)
            rows.compute("test", source, path, data, described)
            table = store.read(described).append_column("features", store.read(data).column("features"))
            return table, store.read_record(data)["feature_names"]


def refused(path: Path, **source: str) -> str:
    return refusal(functools.partial(read, path, **source))


# A data set from an AnnData file


@pytest.mark.parametrize("block", [7, 2**22])
@pytest.mark.parametrize(
    ("source", "expected", "names"),
    [
        ({}, X, [f"gene{column}" for column in range(6)]),
        ({"layer": "counts"}, cells().layers["counts"], [f"gene{column}" for column in range(6)]),
        ({"layer": "csr"}, X, [f"gene{column}" for column in range(6)]),
        ({"layer": "csc"}, X, [f"gene{column}" for column in range(6)]),
        ({"obsm": "X_pca"}, cells().obsm["X_pca"], ["X_pca_1", "X_pca_2", "X_pca_3"]),
        ({"obsm": "frame"}, cells().obsm["frame"].to_numpy(float), ["a", "b", "c"]),
        ({"obsm": "sparse"}, X[:, :2], ["sparse_1", "sparse_2"]),
    ],
    ids=["X", "layer", "csr", "csc", "obsm", "frame", "sparse obsm"],
)
def test_features_are_what_is_stored(file, source, expected, names, block, monkeypatch):
    monkeypatch.setattr(data_table, "BLOCK_VALUES", block)
    # What a block left out would otherwise find the values of the last time in the memory that it is given.
    spoiled = [np.full(expected.shape, np.nan, np.float32) for _ in range(100)]
    del spoiled
    table, found = read(file, **source)
    np.testing.assert_array_equal(matrix(table), expected.astype(np.float32))
    assert found == names
    assert table.column_names == ["id", "features"]
    assert table.column("id").to_pylist() == [f"cell{row}" for row in range(40)]


def test_a_sparse_matrix_is_logged_with_its_dense_size(file, caplog):
    with caplog.at_level(logging.INFO):
        read(file, layer="csc")
    share = 100 * (X != 0).mean()
    expected = f"layers['csc'] of {file} is sparse (csc), {share:.1f} % of its values are stored; dense, as it is used"
    assert expected in caplog.text
    assert f"it takes {40 * 6 * 4 / 2**30:.3g} GiB" in caplog.text


@pytest.mark.parametrize(
    ("label", "kind", "first"),
    [
        ("kind", pa.string(), ["T", "B", "T"]),
        ("cluster", pa.string(), ["3", "12", "3"]),
        ("barcode", pa.string(), ["AC0", "AC1", "AC2"]),
        ("batch", pa.int64(), [0, 1, 2]),
        ("score", pa.float64(), cells().obs["score"].tolist()[:3]),
    ],
)
def test_labels_of_obs(file, label, kind, first):
    found = read(file, obsm="X_pca", label=label)[0].column("label")
    assert (found.type, found.to_pylist()[:3]) == (kind, first)


@pytest.mark.parametrize(("key", "column"), [("id", "id"), ("label", "label"), ("annotations", "swapped")])
def test_columns_of_obs_in_the_other_byte_order(tmp_path, key, column):
    path = tmp_path / "cells.h5ad"
    made = cells()
    made.obs["swapped"] = np.arange(40)
    made.write_h5ad(path)
    with h5py.File(path, "r+") as opened:
        attributes = dict(opened["obs/swapped"].attrs)
        del opened["obs/swapped"]
        opened["obs"].create_dataset("swapped", data=np.arange(40, dtype=">i8")[::-1]).attrs.update(attributes)
    table, _ = read(path, **{key: ["swapped"] if key == "annotations" else "swapped"})
    assert table.column(column).to_pylist() == list(range(40))[::-1]


def test_ids_of_obs_and_missing_labels(tmp_path):
    made = cells()
    made.obs["kind"] = made.obs["kind"].where(made.obs["kind"] == "T")
    made.obs["score"] = made.obs["score"].where(made.obs["score"] > 0)
    made.write_h5ad(tmp_path / "cells.h5ad")
    table, _ = read(tmp_path / "cells.h5ad", id="barcode", label="kind")
    assert table.column("id").to_pylist() == [f"AC{row}" for row in range(40)]
    assert table.column("label").to_pylist() == ["T", None] * 20
    assert read(tmp_path / "cells.h5ad", label="score")[0].column("label").null_count == int(
        (made.obs.score.isna()).sum()
    )


def test_a_named_sha256_that_does_not_fit(file):
    assert "the configuration asks for" in refused(file, sha256="0" * 64)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"layer": "count"}, "`layer` names the layer 'count', which {path} does not have. Did you mean 'counts'?"),
        ({"obsm": "pca"}, "`obsm` names the obsm entry 'pca', which {path} does not have. Did you mean 'X_pca'?"),
        (
            {"id": "barcod"},
            "`id` names the column of obs 'barcod', which {path} does not have. Did you mean 'barcode'?",
        ),
        ({"label": "zzz"}, "`label` names the column of obs 'zzz', which {path} does not have. It has 'barcode', "),
        ({"id": "kind", "label": "kind"}, "`id` and `label` both name the column 'kind'"),
        ({"id": "often"}, "'again' occurs 40 times"),
        ({"id": "score"}, "is of type double"),
        ({"obsm": "text"}, "obsm['text'] of {path} has columns that are not numeric: 'word'"),
    ],
)
def test_names_that_do_not_fit(file, source, expected):
    assert expected.format(path=file) in refused(file, **source)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix])
def test_values_that_float32_cannot_hold(tmp_path, kind, bad, monkeypatch):
    monkeypatch.setattr(data_table, "BLOCK_VALUES", 12)
    made, values = cells(), X.copy()
    values[[3, 20], 4] = bad
    made.layers["bad"] = kind(values)
    made.write_h5ad(tmp_path / "cells.h5ad")
    message = refused(tmp_path / "cells.h5ad", layer="bad")
    assert "has 2 rows with a value that is missing, infinite or beyond float32" in message
    assert "in the columns 'gene4'" in message


def change(path: Path, made: AnnData, how: str) -> None:
    """Write cells with something wrong that anndata itself lets pass or warns of."""
    if how == "obs names":
        made.obs_names = ["twice", "twice", *made.obs_names[2:]]
    if how == "var names":
        made.var_names = ["twice", "twice", *made.var_names[2:]]
    if how == "no X":
        made = AnnData(obs=made.obs, obsm={"X_pca": made.obsm["X_pca"]})
    if how == "complex":
        made.layers["complex"] = made.X + 1j
    if how == "cube":
        made.obsm["cube"] = np.zeros((40, 2, 2))
    if how == "no rows":
        made = made[:0].copy()
    made.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if how == "old":
            del file["obs"]
            file["obs"] = np.array([(b"a", 1.0)], dtype=[("index", "S1"), ("x", float)])
        if how == "index":
            file["layers/csr/indices"][0] = 10**6
        if how == "columns":
            file["layers/csc/indices"][0] = 10**6
        if how == "unknown":
            file["layers/counts"].attrs["encoding-type"] = "hologram"
        if how == "unknown obs":
            file["obs/barcode"].attrs["encoding-version"] = "99"
        if how == "shape":
            del file["X"]
            file["X"] = np.zeros((39, 6))


@pytest.mark.filterwarnings("ignore:.*names are not unique:UserWarning")
@pytest.mark.parametrize(
    ("how", "source", "expected"),
    [
        ("obs names", {}, "The obs names of {path} are not unique: 'twice' occur more than once. Call adata.obs_names"),
        ("var names", {}, "{path} has more than one variable of the name 'twice'. Call adata.var_names_make_unique()"),
        ("no X", {}, "{path} has no X. Name a `layer`, or one of its obsm entries ('X_pca') as `obsm`."),
        ("complex", {"layer": "complex"}, "is of type complex64, not real numbers"),
        ("cube", {"obsm": "cube"}, "has the shape (40, 2, 2). Reshape it"),
        ("no rows", {}, "X of {path} has no rows"),
        ("old", {}, "{path} is no AnnData file, or one of a version before 0.7."),
        ("index", {"layer": "csr"}, "{path} cannot be read as h5ad"),
        ("columns", {"layer": "csc"}, "{path} cannot be read as h5ad"),
        ("unknown", {"layer": "counts"}, "layers['counts'] of {path} is of the kind 'hologram', not a matrix"),
        ("unknown obs", {}, "{path} cannot be read as h5ad"),
        ("shape", {}, "X of {path} has the shape (39, 6), and the file names 40 rows and 6 columns."),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, how, source, expected):
    path = tmp_path / "cells.h5ad"
    change(path, cells(), how)
    assert expected.format(path=path) in refused(path, **source)


def test_a_damaged_or_missing_file(tmp_path, file):
    whole = file.read_bytes()
    path = tmp_path / "cells.h5ad"
    for damaged in (whole[: len(whole) // 2], b"not an hdf5 file"):
        path.write_bytes(damaged)
        message = refused(path)
        assert f"{path} cannot be read as h5ad" in message
        assert "Copy it again if it was cut short" in message
    path.write_bytes(b"")
    assert f"{path} is empty: it has 0 bytes." in refused(path)
    with h5py.File(path, "w") as other:
        other["values"] = np.zeros(3)
    assert "is no AnnData file" in refused(path)
    path.unlink()
    assert f"There is no file {path}" in refused(path)


def test_an_h5ad_as_another_source(file):
    call = functools.partial(fetch.fetch, {"source": "file", "path": str(file)}, file, file.parent)
    assert refusal(call) == f"{file} is an AnnData file. Read it from disk with `source: anndata`."


# The sweep as an AnnData file


def store_layout(path: Path, coordinates: np.ndarray, key: dict) -> None:
    table = pa.table({f"umap_{axis + 1}": coordinates[:, axis] for axis in range(coordinates.shape[1])})
    store.write(path, table, store.make_record("layout", key, store.fingerprint(table)))


SHARED = {"metric": "euclidean", "knn_jobs": 1, "method": "auto", "n_components": 2, "spread": 1.0, "init": "spectral"}
SHARED |= {"metric_kwds": {}, "n_epochs": 500, "cpu": "native", "blas_threads": 1}


def swept(folder: Path, source: dict, path: Path | None, **axes: list) -> tuple[dict, dict[str, np.ndarray]]:
    """Store the data of a source and made-up cells of it; return the arguments of `export`, and the cells by name."""
    data, described = folder / "data.parquet", folder / "rows.parquet"
    fetch.compute("mine", source, path, folder, data)
    rows.compute("mine", source, path, data, described, folder)
    count = store.read_rows(described).num_rows
    keys, layouts, named = [], [], {}
    axes = {"n_neighbors": [5, 15], "min_dist": [0.1], "seed": [10], "knn_seed": [10]} | axes
    for number, values in enumerate(pd.MultiIndex.from_product(axes.values())):
        key = dict(zip(axes, values, strict=True)) | {"knn_k": 15} | SHARED
        coordinates = np.random.RandomState(number).normal(size=(count, 2)).astype(np.float32)
        coordinates[3] = np.nan
        layouts.append(folder / f"{number}.parquet")
        store_layout(layouts[-1], coordinates, key)
        keys.append({name: value for name, value in key.items() if name != "n_epochs"})
        named[export_anndata.obsm_names(keys)[-1]] = coordinates
    arguments = {"data": data, "stored_rows": described, "layouts": layouts, "keys": keys}
    return arguments | {"out": folder / "sweep.h5ad", "dataset": "mine"}, named


def test_the_users_file_gains_the_cells_and_keeps_the_rest(tmp_path, file):
    arguments, named = swept(tmp_path, {"source": "anndata", "path": "cells.h5ad"}, file)
    export_anndata.export(**arguments, own=file)
    before, after = scanpy.read_h5ad(file), scanpy.read_h5ad(tmp_path / "sweep.h5ad")
    for name, coordinates in named.items():
        assert_same_bits(after.obsm[name], coordinates)
    about = after.uns.pop("umap_sweep")
    assert (
        about["cells"].index.tolist()
        == list(named)
        == [
            "X_umap_n_neighbors=5_min_dist=0.1_seed=10",
            "X_umap_n_neighbors=15_min_dist=0.1_seed=10",
        ]
    )
    assert about["cells"]["n_neighbors"].tolist() == [5, 15]
    expected = [store.read_record(path)["fingerprint"] for path in arguments["layouts"]]
    assert about["cells"]["fingerprint"].tolist() == expected
    assert about["parameters"] == SHARED
    assert (about["dataset"], len(about["data_fingerprint"])) == ("mine", 64)
    for name in named:
        del after.obsm[name]
    for part in ("obs", "var"):
        pd.testing.assert_frame_equal(getattr(after, part), getattr(before, part))
    np.testing.assert_array_equal(after.X, before.X)
    np.testing.assert_array_equal(after.raw.X, before.raw.X)
    assert (after.layers["csc"] != before.layers["csc"]).nnz == 0
    assert list(after.layers) == list(before.layers)
    assert list(after.obsm) == list(before.obsm)
    assert list(after.uns["colours"]) == ["red", "blue"]
    after.write_h5ad(tmp_path / "once_more.h5ad")


def annotated(folder: Path, own: Path, **columns: list) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Export with an annotation file of these columns; return obs of the user's file and of the sweep's."""
    names = scanpy.read_h5ad(own).obs_names
    pd.DataFrame({"barcode of the file": names, **columns}).to_csv(folder / "notes.csv", index=False)
    notes = {"path": str(folder / "notes.csv"), "id": "barcode of the file"}
    source = {"source": "anndata", "path": str(own), "label": "kind", "annotations": ["batch", notes]}
    arguments, _ = swept(folder, source, own)
    export_anndata.export(**arguments, own=own)
    return scanpy.read_h5ad(own).obs, scanpy.read_h5ad(folder / "sweep.h5ad").obs


def test_an_annotation_takes_the_place_of_an_own_column_that_is_kept(tmp_path, file, capsys):
    before, after = annotated(tmp_path, file, cluster=["new"] * 40, score=list(range(40)), fresh=["x"] * 40)
    assert after["cluster"].tolist() == ["new"] * 40
    assert after["score"].tolist() == list(range(40))
    assert after["fresh"].tolist() == ["x"] * 40
    pd.testing.assert_series_equal(after["cluster_before"], before["cluster"], check_names=False)
    pd.testing.assert_series_equal(after["score_before"], before["score"], check_names=False)
    others = ["barcode", "kind", "batch", "often"]
    pd.testing.assert_frame_equal(after[others], before[others])
    assert len(after.columns) == len(before.columns) + 3
    said = capsys.readouterr().out
    assert "obs of your file has another 'cluster' than the one that was swept; in " in said
    assert "it is 'score_before'" in said and "batch" not in said and "fresh" not in said


def test_an_annotation_that_the_file_has_already_changes_nothing(tmp_path, file, capsys):
    own = scanpy.read_h5ad(file).obs
    _, after = annotated(tmp_path, file, cluster=own["cluster"].tolist(), score=own["score"].tolist())
    pd.testing.assert_frame_equal(after, own)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("own", "annotations", "expected"),
    [
        (["a_b"], ["a/b", "a_b"], {"a_b": "new", "a_b_before": "own", "a_b_": "new"}),
        (["a_b"], ["a/b"], {"a_b": "own", "a_b_": "new"}),
        (["_index_"], ["_index", "."], {"_index_": "own", "_index__": "new", "._": "new"}),
        (["x", "x_before"], ["x"], {"x": "new", "x_before": "own", "x_before_": "own"}),
        (["x"], ["x", "x_before"], {"x": "new", "x_before": "new", "x_before_": "own"}),
        ([], ["cell"], {"cell": "new"}),  # the name of the index
    ],
)
def test_no_name_is_lost(tmp_path, own, annotations, expected):
    made = AnnData(X.astype(np.float32), pd.DataFrame(index=pd.Index([f"c{row}" for row in range(40)], name="cell")))
    for name in own:
        made.obs[name] = "own"
    made.obs["kind"], made.obs["batch"] = "k", 1
    made.write_h5ad(tmp_path / "own.h5ad")
    _, after = annotated(tmp_path, tmp_path / "own.h5ad", **{name: ["new"] * 40 for name in annotations})
    found = {name: set(after[name]) for name in after.columns if name not in ("kind", "batch")}
    assert found == {name: {value} for name, value in expected.items()}
    assert after.index.tolist() == [f"c{row}" for row in range(40)]


def test_scanpy_draws_the_cells(tmp_path, file):
    arguments, named = swept(tmp_path, {"source": "anndata", "path": "cells.h5ad"}, file)
    export_anndata.export(**arguments, own=file)
    made = scanpy.read_h5ad(tmp_path / "sweep.h5ad")
    name, coordinates = list(named.items())[1]
    axes = scanpy.pl.embedding(made, basis=name.removeprefix("X_"), color="kind", show=False)
    axes.figure.savefig(tmp_path / "cells.png")
    assert (tmp_path / "cells.png").read_bytes().startswith(b"\x89PNG")
    drawn = np.asarray(axes.collections[0].get_offsets(), np.float32)
    placed = coordinates[np.isfinite(coordinates).all(axis=1)]
    assert set(map(tuple, drawn[np.isfinite(drawn).all(axis=1)])) == set(map(tuple, placed))


@pytest.mark.parametrize("source", [{"source": "sklearn", "name": "iris"}, {"source": "tutorial_blobs", "rows": 4}])
def test_other_sources_become_an_anndata_file(tmp_path, source):
    arguments, named = swept(tmp_path, source, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_anndata.export(**arguments)
        made = scanpy.read_h5ad(tmp_path / "sweep.h5ad")
    np.testing.assert_array_equal(made.X, store.read_features(arguments["data"]))
    described, record = store.read_rows(arguments["stored_rows"]), store.read_record(arguments["data"])
    assert made.obs_names.tolist() == [str(value) for value in described["id"].to_pylist()]
    assert made.obs["label"].tolist() == described["label"].to_pylist()
    assert made.var_names.tolist() == record["feature_names"]
    for name, coordinates in named.items():
        assert_same_bits(made.obsm[name], coordinates)


@pytest.mark.parametrize(
    ("axes", "ends"),
    [
        ({"knn_seed": [10, 11]}, ["seed=10_knn_seed=10", "seed=10_knn_seed=11"]),
        ({"seed": [1, 2]}, ["seed=1", "seed=2"]),
    ],
)
def test_every_cell_has_a_name_of_its_own(axes, ends):
    axes = {"n_neighbors": [5], "min_dist": [0.25], "seed": [10], "knn_seed": [10]} | axes
    keys = [dict(zip(axes, values, strict=True)) for values in pd.MultiIndex.from_product(axes.values())]
    assert export_anndata.obsm_names(keys) == [f"X_umap_n_neighbors=5_min_dist=0.25_{end}" for end in ends]


@pytest.mark.parametrize("how", ["order", "rows", "layout"])
def test_what_does_not_belong_together_is_not_exported(tmp_path, file, how):
    arguments, _ = swept(tmp_path, {"source": "anndata", "path": "cells.h5ad"}, file)
    made, own = cells(), tmp_path / "own.h5ad"
    made = made[::-1].copy() if how == "order" else made[:39].copy() if how == "rows" else made
    made.write_h5ad(own)
    expected = f"{own} has other rows than the data that was swept."
    if how == "layout":
        first = arguments["layouts"][0]
        table = store.read(first).slice(1)
        store.write(first, table, store.read_record(first) | {"fingerprint": store.fingerprint(table)})
        expected = f"{first} has other rows than"
    with pytest.raises(InputError) as raised:
        export_anndata.export(**arguments, own=own)
    assert expected in str(raised.value)
    assert [path.name for path in tmp_path.iterdir() if "sweep.h5ad" in path.name] == []


# A k-NN that was made elsewhere

FEATURES = clouds(300, 5).astype(np.float32)
IDS = pa.chunked_array([[f"cell{row}" for row in range(300)]])


@functools.cache
def neighbors(k: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-NN of `FEATURES` as umap-learn takes it, itself first."""
    indices, distances, _ = knn.nearest_neighbors(FEATURES, k, "euclidean", "exact", np.random.RandomState(0), 1)
    return indices, distances


def write_knn(path: Path, indices: np.ndarray, distances: np.ndarray, lists: bool = False) -> Path:
    """Write a k-NN in the format of the path's name."""
    if path.suffix == ".npz":
        np.savez(path, indices=indices, distances=distances)
    elif lists:
        pq.write_table(pa.table({"indices": list(indices), "distances": list(distances)}), path)
    else:
        pq.write_table(knn.as_table(indices, distances), path)
    return path


def scanpy_file(folder: Path, k: int = 15, features: np.ndarray = FEATURES, **options: object) -> Path:
    """Write an AnnData file with the neighbours that scanpy finds."""
    obs = pd.DataFrame(index=[f"cell{row}" for row in range(len(features))])
    made = AnnData(features, obs)
    scanpy.pp.neighbors(made, n_neighbors=k, use_rep="X", **options)
    made.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def bring_in(path: Path, k: int = 15, metric: str = "euclidean", key: str | None = None) -> tuple:
    return imported_knn.read(path, k, IDS, metric, key)


@pytest.mark.parametrize("itself", [True, False], ids=["itself", "without itself"])
@pytest.mark.parametrize(
    ("name", "lists"), [("knn.npz", False), ("knn.parquet", False), ("knn.parquet", True)], ids=["npz", "own", "lists"]
)
def test_a_knn_in_arrays(tmp_path, name, lists, itself):
    indices, distances = neighbors()
    path = write_knn(tmp_path / name, *((indices, distances) if itself else (indices[:, 1:], distances[:, 1:])), lists)
    for k in (2, 9, 15):
        found = bring_in(path, k)
        np.testing.assert_array_equal(found[0], indices[:, :k])
        np.testing.assert_array_equal(found[1], distances[:, :k])
        assert (found[0].dtype, found[1].dtype) == (np.int32, distances.dtype)


@pytest.mark.parametrize(("given", "taken"), [("f4", "f4"), ("f8", "f8"), ("f2", "f8"), (">f4", "f8"), ("i8", "f8")])
def test_the_type_of_distances(tmp_path, given, taken):
    indices, distances = neighbors()
    path = write_knn(tmp_path / "knn.npz", indices.astype("u8"), distances.astype(given))
    found = bring_in(path)[1]
    assert found.dtype == np.dtype(taken)
    np.testing.assert_array_equal(found, distances.astype(given))


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "gauss"}, {"key_added": "mine"}, {"transformer": KNeighborsTransformer(n_neighbors=14)}],
    ids=["default", "gauss", "key", "transformer"],
)
@pytest.mark.parametrize("ordered", [True, False], ids=["by distance", "by row"])
def test_neighbours_of_scanpy(tmp_path, options, ordered, caplog):
    """Of a transformer of the user's it stores each row itself, too; pynndescent's sorts by row number."""
    path = scanpy_file(tmp_path, **options)
    if not ordered:
        made = anndata.read_h5ad(path)
        for graph in made.obsp.values():
            graph.sort_indices()
        made.write_h5ad(path)
    with caplog.at_level(logging.INFO):
        indices, distances = bring_in(path, key=options.get("key_added"))
    expected = neighbors()
    assert (indices[:, 0] == np.arange(300)).all()
    assert "Each row is put before its neighbours, at the distance 0." in caplog.text
    np.testing.assert_allclose(distances, expected[1], atol=1e-5)
    assert (indices == expected[0]).mean() > 0.999
    # What scanpy stores, by its own reading of it.
    stored = scanpy.read_h5ad(path).obsp["mine_distances" if options.get("key_added") else "distances"]
    for row in (0, 17, 299):
        assert stored[row, indices[row, 1:]].toarray().ravel().tolist() == distances[row, 1:].tolist()


def test_copies_of_a_row_in_scanpys_neighbours(tmp_path, caplog):
    """Of a row and its copy scanpy stores, for one of the two, the row itself and not the copy."""
    features = FEATURES.copy()
    features[100] = features[7]
    path = scanpy_file(tmp_path, features=features)
    with pytest.raises(
        InputError, match=r"1 of 300 rows .* row (7|100) \(cell\1\) has 13. Lower knn.n_neighbors to 14"
    ):
        bring_in(path, 15)
    indices, distances = bring_in(path, 14)
    assert "1 rows have a copy that is missing among their neighbours" in caplog.text
    assert sorted([7 in indices[100, 1:], 100 in indices[7, 1:]]) == [False, True]
    assert (indices[:, 0] == np.arange(300)).all()
    assert (distances[:, 0] == 0).all()


def test_more_copies_of_a_row_than_neighbours(tmp_path):
    """umap-learn's own k-NN leaves the row itself out then, or puts copies before it; it comes in as it is."""
    features = FEATURES.copy()
    features[:40] = features[0]
    stages = Stages(tmp_path, features)
    indices, distances = graph.prune(stages.knn, 15)
    assert (indices[:, 0] != np.arange(300)).sum() > 20
    found = bring_in(stages.knn)
    np.testing.assert_array_equal(found[0], indices)
    np.testing.assert_array_equal(found[1], distances)


def changed(rank: int, value: float, of: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-NN with one value of row 20 changed, of its indices (0) or distances (1)."""
    arrays = [array.copy() for array in neighbors()]
    arrays[of][20, rank] = value
    return tuple(arrays)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        (neighbors(12), "has 12 neighbours of each row, itself included, and knn.n_neighbors is 15. Lower it to 12"),
        ([a[:, 1:13] for a in neighbors()], "has 13 neighbours of each row, itself included"),
        ([a[:299] for a in neighbors()], "has the neighbours of 299 rows, and the data has 300 rows"),
        ((neighbors()[0], neighbors()[1][:, :9]), "have the shapes (300, 15) and (300, 9)"),
        ((neighbors()[0].astype(float), neighbors()[1]), "are of type float64 and float32"),
        ((neighbors()[0], neighbors()[1].astype(str)), "Make the first whole numbers"),
        (
            changed(3, 300),
            "1 row with a neighbour that is no row of the data, 0 to 299, first in row 20 (300 at place 3)",
        ),
        (changed(14, -1), "first in row 20 (-1 at place 14). Where there is none, lower knn.n_neighbors"),
        (changed(4, neighbors()[0][20, 3]), "1 row with a neighbour that is there twice, first in row 20"),
        (
            changed(14, np.nan, of=1),
            "1 row with a distance that is missing or infinite, first in row 20 (nan at place 14)",
        ),
        (changed(14, np.inf, of=1), "a distance that is missing or infinite"),
        (changed(0, -1.0, of=1), "1 row with a negative distance, first in row 20 (-1.0 at place 0)"),
        (changed(5, 100.0, of=1), "1 row with distances that do not ascend, first in row 20"),
        ([a[:, ::-1] for a in neighbors()], "300 rows with distances that do not ascend, first in row 0"),
        (
            changed(0, (neighbors()[0][20, 1:].max() + 1) % 300),
            "another row nearer than the row itself, first in row 20",
        ),
        (
            (neighbors()[0][:, [1, 0, *range(2, 15)]], neighbors()[1]),
            "another row nearer than the row itself",
        ),
    ],
)
def test_arrays_that_cannot_be_a_knn(tmp_path, arrays, expected):
    path = write_knn(tmp_path / "knn.npz", *arrays)
    message = refusal(functools.partial(bring_in, path))
    assert str(path) in message
    assert expected in message


def test_a_fault_behind_the_neighbours_that_are_taken(tmp_path):
    path = write_knn(tmp_path / "knn.npz", *changed(14, -1))
    np.testing.assert_array_equal(bring_in(path, 14)[0], neighbors()[0][:, :14])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("knn.npz", {"indices": neighbors()[0]}, "has no array 'distances', only 'indices'"),
        ("knn.npz", {"indices": neighbors()[0], "distances": np.array([None])}, "cannot be read as npz"),
        (
            "knn.parquet",
            {"index_0": [0], "distance_1": [0.0]},
            "has no column 'distance_0', only 'index_0', 'distance_1'",
        ),
        ("knn.parquet", {"indices": [[0]]}, "has no column 'distances'"),
        ("knn.parquet", {"indices": [1], "distances": [0.0]}, "The column 'indices' of {path} is of type int64"),
        (
            "knn.parquet",
            {"indices": [[0, 1], [1], [2, 0]], "distances": [[0.0, 1.0]] * 3},
            "that of row 1 holds 1, others up to 2. Give every row as many neighbours.",
        ),
        ("knn.parquet", {"indices": [[0, 1], None], "distances": [[0.0, 1.0]] * 2}, "rows without neighbours"),
        ("knn.parquet", {"indices": [[0, 1], [1, None]], "distances": [[0.0, 1.0]] * 2}, "1 missing values"),
        ("knn.parquet", b"PAR1 no more", "cannot be read as parquet"),
        ("knn.npz", b"PK no more", "cannot be read as npz"),
        ("knn.h5ad", b"HDF no more", "cannot be read as h5ad"),
    ],
)
def test_files_that_hold_no_knn(tmp_path, name, content, expected):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".npz":
        np.savez(path, **content)
    else:
        pq.write_table(pa.table(content), path)
    assert expected.format(path=path) in refusal(functools.partial(bring_in, path))


def without(path: Path, *places: str) -> Path:
    with h5py.File(path, "r+") as file:
        for place in places:
            del file[place]
    return path


def test_graphs_that_cannot_be_used(tmp_path):
    path = scanpy_file(tmp_path, key_added="mine")
    message = refusal(functools.partial(bring_in, path, key="mien"))
    assert (
        f"`knn.neighbors_key` names the entry of uns 'mien', which {path} does not have. Did you mean 'mine'?"
        in message
    )
    assert "It has 'mine'." in refusal(functools.partial(bring_in, path))
    message = refusal(functools.partial(bring_in, path, metric="cosine", key="mine"))
    assert "was computed with the metric euclidean, and knn.metric is cosine. Set knn.metric to euclidean" in message
    assert bring_in(path, metric="l2", key="mine")[0].shape == (300, 15)
    assert "300 of 300 rows" in refusal(functools.partial(bring_in, path, 16, key="mine"))
    call = functools.partial(imported_knn.read, path, 15, IDS[:299], "euclidean", "mine")
    assert "has the neighbours of 300 rows, and the data has 299 rows" in refusal(call)
    call = functools.partial(
        imported_knn.read, path, 15, pa.chunked_array([IDS.to_pylist()[::-1]]), "euclidean", "mine"
    )
    assert f"Row 0 is 'cell0' in {path} and 'cell299' in the data." in refusal(call)
    with h5py.File(path, "r+") as file:
        file["obsp/mine_distances/indices"][5] = 10**6
    assert "cannot be read as h5ad" in refusal(functools.partial(bring_in, path, key="mine"))
    without(path, "obsp/mine_distances")
    assert "has no obsp['mine_distances'], which uns['mine'] names" in refusal(
        functools.partial(bring_in, path, key="mine")
    )
    path = scanpy_file(tmp_path, knn=False, method="gauss")
    assert "obsp['distances'] of" in (message := refusal(functools.partial(bring_in, path)))
    assert "is not sparse. Run scanpy's pp.neighbors with knn=True." in message


def test_rows_with_too_few_neighbours(tmp_path):
    """Graphs made or pruned elsewhere need not have as many neighbours in every row."""
    path = scanpy_file(tmp_path)
    made = anndata.read_h5ad(path)
    rows = made.obsp["distances"].tolil()
    rows[33, rows.rows[33][4:]] = 0
    rows[34, rows.rows[34][9:]] = 0
    made.obsp["distances"] = scipy.sparse.csr_matrix(rows)
    made.write_h5ad(path)
    message = refusal(functools.partial(bring_in, path))
    assert "2 of 300 rows of" in message
    assert "than the 14 of knn.n_neighbors 15: row 33 (cell33) has 4. Lower knn.n_neighbors to 5" in message


@pytest.fixture
def stored(tmp_path):
    """Give the path of `FEATURES` as the fetch stage stores them."""
    return store_data(tmp_path, FEATURES)


def test_an_imported_knn_is_keyed_by_what_it_holds(tmp_path, stored):
    records = []
    for name, arrays in (("a.npz", neighbors()), ("b.parquet", neighbors(20)), ("c.npz", changed(1, 0.0, of=1))):
        path = write_knn(tmp_path / name, *arrays)
        knn.bring_in(stored, path, tmp_path / "knn.parquet", 15, "euclidean", {})
        records.append(store.read_record(tmp_path / "knn.parquet"))
    first, same, other = records
    print_ = first["fingerprint"]
    assert first["key"] == {
        **{"metric": "euclidean", "metric_kwds": {}, "method": "imported", "n_neighbors": 15},
        "imported": print_,
    }
    assert store.fingerprint_of(tmp_path / "knn.parquet") == other["fingerprint"] != print_
    assert same["key"] == first["key"]
    assert first["inputs"] == store.inputs_of(stored)


def test_distances_of_other_features_are_logged(tmp_path, stored, caplog):
    path = write_knn(tmp_path / "knn.npz", *neighbors())
    knn.bring_in(stored, path, tmp_path / "knn.parquet", 15, "euclidean", {})
    assert "apart from those of the data" not in caplog.text
    indices, distances = neighbors()
    order = np.random.RandomState(0).permutation(300)  # rows in another order, which look as right as any
    path = write_knn(tmp_path / "knn.npz", np.argsort(order)[indices[order]], distances[order])
    knn.bring_in(stored, path, tmp_path / "knn.parquet", 15, "euclidean", {})
    assert "of the largest apart from those of the data: it was made from other features" in caplog.text


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_cells_of_an_imported_knn_are_umaps_own(tmp_path, dtype, metric):
    """Approximate, as from elsewhere: some neighbours are missing, and distances are not to the last bit the data's."""
    indices, distances, _ = knn.nearest_neighbors(FEATURES, 20, metric, "exact", np.random.RandomState(0), 1)
    kept = np.delete(np.arange(20), [3, 7])
    indices, distances = indices[:, kept], (distances[:, kept] * 1.0001).astype(dtype)
    stages = Stages(tmp_path, FEATURES, metric=metric)
    path = write_knn(tmp_path / "mine.npz", indices.astype(np.int64), distances)
    knn.bring_in(stages.data, path, stages.knn, 18, metric, {})
    for n_neighbors in (6, 18):
        handed = (indices[:, :n_neighbors].astype(np.int32), distances[:, :n_neighbors].copy(), None)
        plain = UMAP(
            n_neighbors=n_neighbors,
            min_dist=0.2,
            random_state=10,
            metric=metric,
            precomputed_knn=handed,
            force_approximation_algorithm=True,
        )
        assert_same_bits(stages.cell(n_neighbors, 0.2, 10), plain.fit(FEATURES).embedding_)


def test_an_imported_knn_is_not_timed(tmp_path, stored):
    with pytest.raises(InputError, match="there is no k-NN to time; choose another method"):
        timing_arm.compute(
            stored, tmp_path / "arm.parquet", "pipeline", [], [], {"knn": {"method": "imported"}}, 1, "Snakefile"
        )


def test_the_knn_of_too_few_rows(tmp_path, stored):
    path = write_knn(tmp_path / "knn.npz", *neighbors())
    with pytest.raises(InputError, match=r"knn\.n_neighbors is 300, but the data has 300 rows"):
        knn.bring_in(stored, path, tmp_path / "knn.parquet", 300, "euclidean", {})


# The pipeline

GRID = {"n_neighbors": [5, 15], "min_dist": [0.1], "seed": [10]}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Return the folder and the configuration of a sweep that begins and ends in scanpy, and its run."""
    folder = tmp_path_factory.mktemp("pipeline")
    made = scanpy.datasets.pbmc68k_reduced()
    made.obsm["X_pca"] = made.obsm["X_pca"][:, :30]
    scanpy.pp.neighbors(made, n_neighbors=15, n_pcs=30)
    made.write_h5ad(folder / "cells.h5ad")
    config = {
        "dataset": "pbmc",
        "datasets": {"pbmc": {"source": "anndata", "path": "cells.h5ad", "obsm": "X_pca", "label": "bulk_labels"}},
        "knn": {"method": "imported", "path": "cells.h5ad", "n_neighbors": 15},
        "grid": GRID,
        "verify": {"cells": 1},
    }
    return folder, config, snakemake(folder, "anndata", config=config)


class TestPipeline:
    """From an AnnData file with scanpy's neighbours to one with the cells of a sweep."""

    def test_the_cells_are_umaps_own_on_scanpys_neighbours(self, pipeline):
        folder, _, run = pipeline
        assert run.code == 0, run.output
        made = scanpy.read_h5ad(folder / "results/pbmc/sweep.h5ad")
        about = made.uns["umap_sweep"]
        assert about["parameters"]["method"] == "imported"
        assert about["cells"]["knn_seed"].tolist() == [0, 0]
        distances = made.obsp["distances"]
        rows = np.arange(made.n_obs)[:, None]
        order = np.argsort(distances.data.reshape(-1, 14), axis=1, kind="stable")
        handed = [
            np.hstack([rows, np.take_along_axis(distances.indices.reshape(-1, 14), order, axis=1)]),
            np.hstack([0.0 * rows, np.take_along_axis(distances.data.reshape(-1, 14), order, axis=1)]),
        ]
        for name, cell in about["cells"].iterrows():
            k = cell["n_neighbors"]
            plain = UMAP(
                n_neighbors=k,
                min_dist=cell["min_dist"],
                random_state=cell["seed"],
                precomputed_knn=(handed[0][:, :k].astype(np.int32), handed[1][:, :k].copy(), None),
                force_approximation_algorithm=True,
            )
            assert_same_bits(made.obsm[name], plain.fit(made.obsm["X_pca"].astype(np.float32)).embedding_)

    def test_what_is_stored_says_where_it_is_from(self, pipeline):
        folder, _, _ = pipeline
        (path,) = folder.glob(
            "results/pbmc/knn/metric=euclidean/method=imported/knn_k=15/knn_seed=0/knn_jobs=0/*.parquet"
        )
        record = store.read_record(path)
        assert record["imported_from"] == "cells.h5ad"
        log = next((folder / "results/pbmc/logs/knn").rglob("*.log"))
        assert "apart from those of the data" not in log.read_text()

    def test_verify_brings_it_in_again(self, pipeline):
        folder, config, _ = pipeline
        run = snakemake(folder, "verify", config=config)
        assert run.code == 0, run.output
        assert run.jobs["knn_again"] == 1
        compared = store.read(folder / "results/pbmc/verify.parquet").to_pylist()
        assert {row["equal"] for row in compared if row["stage"] == "knn"} == {True}

    @pytest.mark.parametrize(
        ("knn", "jobs"),
        [
            ({}, set()),
            ({"seed": 3, "n_jobs": 2}, set()),
            ({"n_neighbors": 16}, {"knn", "graph", "initial_layout", "layout", "anndata"}),
            ({"neighbors_key": "other"}, {"knn", "graph", "initial_layout", "layout", "anndata"}),
        ],
        ids=["nothing", "seed and jobs", "k", "key"],
    )
    def test_what_a_change_runs_again(self, pipeline, knn, jobs):
        folder, config, _ = pipeline
        run = snakemake(folder, "--dry-run", "anndata", config=config | {"knn": config["knn"] | knn})
        assert run.code == 0, run.output
        assert set(run.jobs) == jobs

    def test_a_changed_file_is_brought_in_again(self, pipeline, tmp_path):
        folder, config, _ = pipeline
        made = scanpy.read_h5ad(folder / "cells.h5ad")
        made.write_h5ad(tmp_path / "cells.h5ad")
        made.write_h5ad(tmp_path / "neighbors.h5ad")
        config = config | {"knn": config["knn"] | {"path": "neighbors.h5ad"}}
        target = "results/pbmc/knn/metric=euclidean/method=imported/knn_k=15/knn_seed=0/knn_jobs=0/knn.parquet"
        assert snakemake(tmp_path, target, config=config).code == 0
        before = store.read_record(tmp_path / target)["key"]["imported"]
        scanpy.pp.neighbors(made, n_neighbors=16, n_pcs=30)
        made.obsp["distances"].data *= 0.5
        made.write_h5ad(tmp_path / "neighbors.h5ad")
        run = snakemake(tmp_path, target, config=config)
        assert (run.code, run.jobs) == (0, {"knn": 1})
        assert store.read_record(tmp_path / target)["key"]["imported"] != before
        log = next((tmp_path / "results/pbmc/logs/knn").rglob("*.log")).read_text()
        assert "apart from those of the data" in log


@pytest.mark.parametrize(
    ("knn", "said"),
    [
        ({"path": "nowhere.h5ad"}, "knn.path is 'nowhere.h5ad', which is not a file"),
        ({"n_neighbors": 40}, "700 of 700 rows of cells.h5ad have fewer neighbours"),
    ],
    ids=["file", "k"],
)
def test_a_bad_import_ends_with_one_message(pipeline, tmp_path, knn, said):
    folder, config, _ = pipeline
    (tmp_path / "cells.h5ad").write_bytes((folder / "cells.h5ad").read_bytes())
    run = snakemake(tmp_path, "anndata", config=config | {"knn": config["knn"] | knn})
    assert run.code != 0
    assert said in run.output
    assert "Traceback" not in run.output


def test_jobs_that_read_no_anndata_do_not_import_it():
    modules = [
        "sources.fetch",
        "stages.knn",
        "stages.graph",
        "stages.initial_layout",
        "stages.layouts",
        "results.sweep",
    ]
    code = f"import {', '.join(f'umap_sweep.{name}' for name in modules)}, sys; "
    code += "sys.exit(bool({'anndata', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
