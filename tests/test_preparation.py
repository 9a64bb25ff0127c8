"""The preparation of data, step by step, against scikit-learn's and numpy's own formulas."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from conftest import snakemake, store_data
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import RobustScaler, StandardScaler

from umap_sweep import store, transform
from umap_sweep import stored as stored_results
from umap_sweep.errors import InputError
from umap_sweep.settings import preparations
from umap_sweep.stages import knn, preparation
from umap_sweep.stages.preparation import Prepared


def counts(rows: int = 120, columns: int = 40) -> np.ndarray:
    """Return counts of which few are other than 0, of columns of many means; one column and one row have none."""
    random = np.random.RandomState(0)
    values = random.poisson(np.exp(random.normal(-2.5, 1.2, columns)) * random.uniform(0.3, 2, (rows, 1)))
    values[:, 7] = 0
    values[11] = 0
    return values.astype(np.float64)


def prepared(values: np.ndarray, written: list, sparse: bool = False) -> Prepared:
    held = scipy.sparse.csr_array(values) if sparse else values.copy()
    names = [f"column {number}" for number in range(values.shape[1])]
    return preparation.prepare(Prepared(held, names), preparations.steps(written))


def seurat_order(logarithms: np.ndarray) -> np.ndarray:
    """Return the columns by normalised dispersion, largest first, by the formulas of Satija and others (2015)."""
    data = np.expm1(logarithms)
    mean, variance = data.mean(axis=0), data.var(axis=0, ddof=1)
    varies = variance > 0
    dispersion = np.full(len(mean), np.nan)
    dispersion[varies] = np.log(variance[varies] / mean[varies])
    place = np.log1p(mean)
    edges = np.linspace(place.min(), place.max(), 21)
    bins = np.clip(np.searchsorted(edges, place, side="left") - 1, 0, 19)
    scores = np.full(len(mean), -np.inf)
    for one in range(20):
        inside = np.flatnonzero((bins == one) & varies)
        if len(inside) == 1:
            scores[inside] = 1.0
        elif len(inside):
            of_bin = dispersion[inside]
            scores[inside] = (of_bin - of_bin.mean()) / of_bin.std(ddof=1)
    return np.argsort(-scores, kind="stable")


@pytest.mark.parametrize("sparse", [False, True])
def test_each_step_is_what_the_formula_says(sparse):
    values = counts()
    sums = values.sum(axis=1, keepdims=True)
    normalized = values / np.where(sums == 0, 1, sums) * np.median(sums[sums > 0])
    found = prepared(values, ["normalize_total"], sparse)
    np.testing.assert_allclose(found.dense(), normalized, rtol=1e-14)
    assert found.facts["normalize_total"] == {"total": np.median(sums[sums > 0]), "empty_rows": 1}
    assert scipy.sparse.issparse(found.values) == sparse

    of_100 = prepared(values, [{"normalize_total": 100}], sparse).dense()
    np.testing.assert_allclose(of_100.sum(axis=1), np.where(sums.ravel() > 0, 100, 0))

    logarithms = np.log1p(normalized)
    found = prepared(values, ["normalize_total", "log1p"], sparse)
    np.testing.assert_allclose(found.dense(), logarithms, rtol=1e-14)

    for by, order in (("dispersion", seurat_order(logarithms)), ("variance", np.argsort(-logarithms.var(axis=0)))):
        found = prepared(logarithms, [{"variable": {"columns": 12, "by": by}}], sparse)
        assert found.names == [f"column {place}" for place in sorted(order[:12])]
        np.testing.assert_array_equal(found.dense(), logarithms[:, np.sort(order[:12])])
        assert scipy.sparse.issparse(found.values) == sparse

    for by, scaler in (("standard", StandardScaler()), ("robust", RobustScaler())):
        expected = scaler.fit_transform(logarithms)
        np.testing.assert_allclose(prepared(logarithms, [{"scale": by}], sparse).dense(), expected, rtol=1e-12)
        clipped = prepared(logarithms, [{"scale": {"by": by, "clip": 0.5}}], sparse).dense()
        np.testing.assert_allclose(clipped, expected.clip(-0.5, 0.5), rtol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rows", [120, 30])
def test_principal_components_are_scikit_learns(sparse, rows):
    values = counts(rows)
    found = prepared(values, [{"pca": 5}], sparse)
    model = PCA(n_components=5, svd_solver="full").fit(values)
    np.testing.assert_allclose(found.dense(), model.transform(values), atol=1e-10)
    assert found.facts["pca"]["solver"] == ("covariance_eigh" if rows == 120 else "full")
    np.testing.assert_allclose(found.facts["pca"]["explained_variance"], model.explained_variance_)
    np.testing.assert_allclose(found.facts["pca"]["explained_variance_ratio"], model.explained_variance_ratio_)
    assert found.names == [f"pc_{number}" for number in range(1, 6)]


def test_means_far_from_zero_leave_the_components_as_they_are():
    values = counts()
    far = prepared(values + 1e7, [{"pca": 5}]).dense()
    np.testing.assert_allclose(far, prepared(values, [{"pca": 5}]).dense(), atol=1e-6)


@pytest.mark.parametrize("columns", [40, 8])
def test_what_is_stored_is_rounded_once_and_says_what_it_is(tmp_path, columns):
    values = counts(columns=columns) + (columns == 8)  # one is held sparse, the other dense
    data = store_data(tmp_path, values)
    out, fitted = (tmp_path / "preparation=mine" / f"{name}.parquet" for name in ("prepared", "fitted"))
    written = ["normalize_total", "log1p", {"scale": "standard"}, {"pca": 3}]
    preparation.compute(data, out, fitted, "mine", preparations.steps(written), 1)
    expected = prepared(values, written, sparse=columns == 40)
    np.testing.assert_array_equal(store.read_features(out), expected.dense().astype(np.float32))
    record = store.read_record(out)
    assert record["key"]["steps"] == preparations.steps(written)
    assert record["inputs"][store.place_of(data)] == store.read_record(data)["fingerprint"]
    assert record["facts"] == expected.facts and record["feature_names"] == ["pc_1", "pc_2", "pc_3"]


@pytest.mark.parametrize(
    ("values", "written", "message"),
    [
        (
            [[-1.0, 2], [0, 1]],
            ["normalize_total"],
            "normalize_total needs values from 0, but the data has -1: .* or leave the step out",
        ),
        ([[0.0, 0], [0, 0]], ["normalize_total"], "all values of the data are 0. Give data that has others"),
        ([[-1.0, 2], [0, 1]], ["log1p"], "log1p needs values from 0, but the data has -1: .* or leave the step out"),
        ([[-1.0, 2], [0, 1]], [{"variable": 1}], "give log1p before it, or `by: variance`"),
        ([[0.0, 2000], [0, 1]], [{"variable": 1}], "values up to 2000, .* give log1p before it"),
        ([[0.0, 2], [0, 1]], [{"pca": 3}], "cannot make 3 components of 2 rows and 2 columns; ask for at most 2"),
        ([[1.0, 2], [1, 2]], [{"pca": 1}], "no column that varies"),
    ],
)
def test_a_step_that_means_nothing_on_the_data_is_refused(values, written, message):
    with pytest.raises(InputError, match=message):
        prepared(np.array(values), written)


def test_values_beyond_float32_are_refused(tmp_path):
    data = store_data(tmp_path, np.array([[1.0, 0], [0, 1]]))
    with pytest.raises(InputError, match="beyond what float32 can hold"):
        steps = preparations.steps([{"normalize_total": 1e39}])
        preparation.compute(data, tmp_path / "out.parquet", tmp_path / "fitted.parquet", "mine", steps, 1)


def fitted_to(folder: Path, values: np.ndarray, written: list) -> tuple[preparation.Fit, np.ndarray]:
    """Store the preparation of some data; return what its steps took from it, and the prepared data."""
    out, fitted = folder / "prepared.parquet", folder / "fitted.parquet"
    preparation.compute(store_data(folder, values), out, fitted, "mine", preparations.steps(written), 1)
    return preparation.read_fit(fitted), store.read_features(out)


# Of 40 columns the data is held sparse, of 8 that begin at 1 dense.
HELD = pytest.mark.parametrize("values", [counts(), counts(columns=8) + 1], ids=["sparse", "dense"])


@HELD
@pytest.mark.parametrize(("by", "scaler"), [("standard", StandardScaler()), ("robust", RobustScaler())])
def test_further_rows_are_prepared_as_scikit_learns_fitted_objects_do(tmp_path, values, by, scaler):
    known, new = values[:90], values[90:]
    written = ["normalize_total", "log1p", {"variable": 6}, {"scale": {"by": by, "clip": 2}}, {"pca": 4}]
    fit, _ = fitted_to(tmp_path, known, written)
    assert fit.sparse == (values.shape[1] == 40)

    sums = known.sum(axis=1)
    total = np.median(sums[sums > 0])
    logarithms = [np.log1p(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1) * total) for rows in (known, new)]
    kept = np.sort(seurat_order(logarithms[0])[:6])
    scaled = scaler.fit_transform(logarithms[0][:, kept]).clip(-2, 2)
    model = PCA(4, svd_solver="covariance_eigh").fit(scaled)
    expected = model.transform(scaler.transform(logarithms[1][:, kept]).clip(-2, 2))
    np.testing.assert_allclose(preparation.apply(fit, new), expected, atol=1e-12)

    table = store.read(tmp_path / "fitted.parquet").to_pandas()
    second = table[(table["step"] == 5) & (table["parameter"] == "pc_2")]
    assert second["column"].tolist() == [str(place) for place in kept]
    np.testing.assert_allclose(second["value"], model.components_[1], atol=1e-12)


@HELD
@pytest.mark.parametrize(
    ("written", "last"),
    [
        (["normalize_total", "log1p", {"variable": 6}, {"scale": "standard"}], "bits"),
        ([{"variable": {"columns": 6, "by": "variance"}}, "log1p", {"scale": "robust"}, {"scale": "standard"}], "bits"),
        (["log1p", {"variable": {"columns": 6, "by": "variance"}}, "normalize_total"], "rounded"),
        (["normalize_total", {"pca": 5}, {"scale": "standard"}, {"pca": 1}], "rounded"),
        ([{"pca": 5}], "rounded"),
    ],
)
def test_a_row_is_prepared_alone_as_among_others_and_as_when_it_was_fitted(tmp_path, values, written, last):
    values = (values * np.random.RandomState(1).uniform(0.5, 1.5, values.shape)).astype(np.float32)  # no whole numbers
    fit, stored = fitted_to(tmp_path, values, written)
    whole = preparation.apply(fit, values)
    order = np.random.RandomState(2).permutation(len(values))
    np.testing.assert_array_equal(preparation.apply(fit, values[order]), whole[order])
    alone = np.concatenate([preparation.apply(fit, values[row : row + 1]) for row in range(len(values))])
    np.testing.assert_array_equal(alone, whole)
    held = prepared(values.astype(np.float64), written, fit.sparse).dense()
    if last == "bits":
        np.testing.assert_array_equal(whole, held)
        np.testing.assert_array_equal(whole.astype(np.float32), stored)
    else:
        np.testing.assert_allclose(whole, held, atol=1e-12)


def test_a_further_row_that_a_step_means_nothing_on_is_refused(tmp_path):
    fit, _ = fitted_to(tmp_path, counts(), ["normalize_total", {"scale": "standard"}])
    scale = fit.found[1].parameters
    assert (preparation.apply(fit, np.zeros((1, 40)))[0] == -scale["centre"] / scale["spread"]).all()  # stays at zeros
    with pytest.raises(InputError, match="normalize_total needs values from 0, but a new row has -1"):
        preparation.apply(fit, -np.ones((1, 40)))
    for shape in ((3, 39), (3, 41), (40,)):
        with pytest.raises(InputError, match="fitted to 40 columns"):
            preparation.apply(fit, np.ones(shape))


def test_what_preparations_have_in_common_ends_where_they_part():
    several = [["log1p", {"variable": 9}, {"pca": 2}], ["log1p", {"variable": {"columns": 9}}, {"pca": 3}]]
    assert preparations.common([preparations.steps(one) for one in several]) == preparations.steps(several[0][:2])


SWEEP = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "claims": {"dataset": "iris"},
    "knn": {"n_neighbors": 10},
    "preparation": {
        "two": [{"scale": "standard"}, {"pca": 2}],
        "three": [{"scale": "standard"}, {"pca": 3}],
    },
    "grid": {"n_neighbors": [10], "min_dist": [0.1], "seed": [1, 2], "preparation": ["two", "three"]},
    "umap": {"n_epochs": 20},
    "transform": {
        "cell": {"n_neighbors": 10, "min_dist": 0.1, "seed": 1, "preparation": "two"},
        "source": {"source": "file", "path": "new.csv"},
    },
}
# Rows between those of iris, in another order of columns; the first is one of them.
NEW = load_iris(as_frame=True).data
NEW = ((NEW[:30] + NEW[120:].to_numpy()) / 2).round(2).iloc[:, ::-1]
NEW.iloc[0] = load_iris(as_frame=True).data.iloc[0, ::-1]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    NEW.to_csv(folder / "new.csv", index=False)
    run = snakemake(folder, config=SWEEP)
    assert run.code == 0, run.output
    return folder


class TestSweepOfPreparations:
    """A further axis of the grid, in paths and tables where the configuration has it."""

    def test_each_k_nn_is_that_of_its_prepared_data(self, sweep):
        scaled = StandardScaler().fit_transform(load_iris().data.astype(np.float32).astype(np.float64))
        for name, components in (("two", 2), ("three", 3)):
            expected = PCA(components, svd_solver="covariance_eigh").fit_transform(scaled).astype(np.float32)
            stored = sweep / f"results/iris/prepared/preparation={name}/prepared.parquet"
            np.testing.assert_allclose(store.read_features(stored), expected, atol=1e-6)
            random_state = np.random.RandomState(10)
            exact = knn.nearest_neighbors(store.read_features(stored), 10, "euclidean", "auto", random_state, 1)
            indices, distances = stored_results.read_knn(sweep / "results/iris", preparation=name)
            assert (indices == exact[0]).all() and (distances == exact[1]).all()

    def test_new_rows_are_prepared_as_the_stored_ones_and_placed(self, sweep):
        folder = sweep / "results/iris"
        scaler = StandardScaler().fit(load_iris().data)
        model = PCA(2, svd_solver="covariance_eigh").fit(scaler.transform(load_iris().data))
        fit = preparation.read_fit(folder / "prepared/preparation=two/fitted.parquet")
        features = preparation.apply(fit, NEW[fit.columns].to_numpy(np.float32))
        np.testing.assert_allclose(features, model.transform(scaler.transform(NEW[fit.columns].to_numpy())), atol=1e-5)
        stored = store.read_features(folder / "prepared/preparation=two/prepared.parquet")
        np.testing.assert_allclose(features[0], stored[0], atol=1e-6)
        cell = {"preparation": "two", "n_neighbors": 10, "min_dist": 0.1, "seed": 1}
        layout = stored_results.read_cell(folder, **cell)[["umap_1", "umap_2"]].to_numpy()
        expected = transform(stored, layout, features.astype(np.float32), 10, 0.1, n_epochs=20)
        (placed,) = (folder / "transformed/iris_new").rglob("embedding.parquet")
        np.testing.assert_array_equal(store.matrix(store.read(placed), "umap_"), expected)
        assert {"data/data.parquet", "preparation=two"} <= {
            part for place in store.read_record(placed)["inputs"] for part in (place, *place.split("/"))
        }

    def test_tables_say_which_preparation_a_cell_has(self, sweep):
        folder = sweep / "results/iris"
        for name in ("sweep", "metrics", "annotations", "stability", "shortlist"):
            assert set(store.read(folder / f"{name}.parquet").column("preparation").to_pylist()) <= {"two", "three"}
        compared = store.read(folder / "comparisons.parquet").to_pandas()
        assert set(zip(compared["preparation"], compared["other_preparation"], strict=True)) == {("three", "two")}
        steps = store.read(folder / "neighboring_cells.parquet").to_pandas()
        assert steps[["along", "preparation", "other_preparation"]].drop_duplicates().to_numpy().tolist() == [
            ["preparation", "two", "three"]
        ]
        explained = store.read(folder / "explained_variance.parquet").to_pandas()
        assert explained.groupby("preparation")["component"].max().to_dict() == {"two": 2, "three": 3}

    def test_all_cells_are_measured_against_what_their_preparations_have_in_common(self, sweep):
        folder = sweep / "results/iris"
        scaled = store.read_features(folder / "prepared/preparation=common/prepared.parquet")
        np.testing.assert_allclose(scaled, StandardScaler().fit_transform(load_iris().data), atol=1e-5)
        near = NearestNeighbors(n_neighbors=16).fit(scaled).kneighbors(return_distance=False)[:, :15]
        for cell in store.read(folder / "metrics.parquet").to_pylist():
            names = ("n_neighbors", "min_dist", "seed", "preparation")
            frame = stored_results.read_cell(folder, **{name: cell[name] for name in names})
            found = NearestNeighbors(n_neighbors=15).fit(frame[["umap_1", "umap_2"]]).kneighbors(return_distance=False)
            kept = [len(set(one) & set(other)) / 15 for one, other in zip(near, found, strict=True)]
            assert cell["recall_15"] == pytest.approx(np.mean(kept), abs=0.01)  # rows of iris are at equal distances

    def test_a_changed_preparation_is_made_anew_and_the_other_stays(self, sweep):
        done = snakemake(sweep, "-n", config=SWEEP)
        assert "Nothing to be done" in done.output
        changed = {**SWEEP["preparation"], "three": [{"scale": "standard"}, {"pca": 4}]}
        jobs = snakemake(sweep, "-n", config=SWEEP | {"preparation": changed}).jobs
        assert (jobs["prepared"], jobs["knn"], jobs["graph"], jobs["initial_layout"]) == (1, 1, 1, 2)
        assert "high_dimensional" not in jobs
        fewer = snakemake(sweep, "-n", config=SWEEP | {"grid": SWEEP["grid"] | {"preparation": "two"}}).jobs
        assert "knn" not in fewer and "layout" not in fewer

    def test_a_path_with_an_unknown_preparation_is_refused(self, sweep):
        path = "results/iris/prepared/preparation=tow/prepared.parquet"
        run = snakemake(sweep, "-n", path, config=SWEEP)
        assert run.code == 1
        assert "has preparation tow; known are two, three, common, nearest is 'two'." in run.output
        run = snakemake(sweep, "-n", "timing", config=SWEEP)
        assert run.code == 1 and "leave grid.preparation out" in run.output

    def test_choose_decides_between_preparations(self, sweep):
        run = snakemake(sweep, "choose", config=SWEEP | {"choose": {"seeds": 5}})
        assert run.code == 0, run.output
        table = store.read(sweep / "results/iris/choice.parquet")
        assert sorted(table["preparation"].to_pylist()) == ["three", "two"]
        # Also where none is beaten, which leaves the columns empty.
        for axis in ("preparation", "n_neighbors", "min_dist"):
            assert table.schema.field(f"beaten_by_{axis}").type == table.schema.field(axis).type
        assert "Choice of preparation, n_neighbors and min_dist" in (sweep / "results/iris/choice.html").read_text()


def test_a_refused_step_names_its_preparation(tmp_path):
    """Of several that a grid has, the data is wrong for one alone."""
    files = store_data(tmp_path, load_iris().data - 4), tmp_path / "out.parquet", tmp_path / "fitted.parquet"
    with pytest.raises(InputError, match=r"^Preparation 'logs': The preparation's log1p needs values from 0, but the"):
        preparation.compute(*files, "logs", preparations.steps(["log1p"]), 1)
    preparation.compute(*files, "scaled", preparations.steps([{"scale": "standard"}]), 1)
