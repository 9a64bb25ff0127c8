"""The metrics against scikit-learn and SciPy, value by value, and what compares cells, on real data."""

import itertools
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.spatial
import scipy.stats
import sklearn.datasets
import sklearn.decomposition
import sklearn.manifold
import sklearn.metrics
from conftest import Stages, snakemake, store_rows
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from umap_sweep import store
from umap_sweep.cells import curve
from umap_sweep.cells.keys import KEY_COLUMNS
from umap_sweep.errors import InputError
from umap_sweep.quality import (
    annotation_metrics,
    cell_metrics,
    comparisons,
    high_dimensional,
    labels,
    measures,
    metrics,
    neighboring_cells,
    sampling,
    seed_pairs,
    seeds,
    shortlist,
)

DIGITS = {
    "dataset": "digits",
    "knn": {"n_neighbors": 20, "seed": [10, 11]},
    "grid": {"n_neighbors": [15], "min_dist": [0.1, 0.5], "seed": [1, 2, 3]},
    "umap": {"n_epochs": 100},
    "plot": {"dpi": 50},
}
METRICS = {"full_up_to": 3000, "sample": 1000, "seed": 0}
KEY = {"n_neighbors": 15, "min_dist": 0.1, "seed": 10, "knn_k": 20, "knn_seed": 10}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return the folder of a finished sweep of digits: two k-NN seeds, three UMAP seeds."""
    folder = tmp_path_factory.mktemp("digits")
    run = snakemake(folder, config=DIGITS)
    assert run.code == 0, run.output
    return folder / "results" / "digits", run


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return digits with a picture of them that is quick to make, as the stages store them."""
    folder = tmp_path_factory.mktemp("stored")
    features, targets = sklearn.datasets.load_digits(return_X_y=True)
    return Stored(folder, features, targets)


class Stored:
    """Stored stages of a data set, whose embedding is made of its first two principal components."""

    def __init__(self, folder: Path, features: np.ndarray, targets: np.ndarray) -> None:
        self.folder, self.features, self.targets = folder, features, targets
        self.stages = Stages(folder, features, k=KEY["knn_k"])
        self.points = sklearn.decomposition.PCA(2, random_state=0).fit_transform(features).astype(np.float32)

    def measure(self, points=None, label=None, label_kind="auto", k=KEY["knn_k"], **metrics):
        """Return the metrics' one row, and the two files of points, of an embedding of the data."""
        points = self.points if points is None else points
        names = (
            "layout",
            "sample",
            "ranks",
            "pairs",
            "triplets",
            "points",
            "neighbors",
            "metrics",
            "contributions",
            "labels",
            "annotations",
        )
        path = {name: self.folder / f"{name}.parquet" for name in names}
        table = pa.table({f"umap_{axis + 1}": points[:, axis] for axis in range(points.shape[1])})
        key = KEY | {"knn_k": k}
        store.write(path["layout"], table, store.make_record("layout", key, store.fingerprint(table)))
        rows = store_rows(self.folder, len(points), **({} if label is None else {"label": label}))
        out = [path[name] for name in ("sample", "ranks", "pairs", "triplets")]
        high_dimensional.compute(self.stages.data, *out, "euclidean", {}, METRICS | metrics)
        results = [path[name] for name in ("points", "neighbors", "metrics", "contributions")]
        cell_metrics.compute([path["layout"]], self.stages.knn, *out, *results, [key])
        annotation_metrics.compute(
            *([path["layout"]], [path["neighbors"]], rows, [self.stages.knn], path["sample"]),
            *(path["labels"], path["annotations"], self.folder / "annotations.csv", [key], label_kind),
        )
        per_point, near = (
            store.read(result).rename_columns([name])
            for result, name in zip(results[:2], ("recall", "neighbors"), strict=True)
        )
        measured = store.read(results[2]).to_pandas()
        measured = measured.assign(**store.read(path["labels"], list(annotation_metrics.LABEL_NUMBERS)).to_pandas())
        return [measured, per_point.to_pandas(), near.to_pandas()]


def recall(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return np.array([len(np.intersect1d(*pair)) / high.shape[1] for pair in zip(high, low, strict=True)])


def neighbors(points: np.ndarray, k: int) -> np.ndarray:
    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)


def expected(features: np.ndarray, points: np.ndarray, targets: np.ndarray | None) -> dict[str, float]:
    """Return what scikit-learn and SciPy say, on data whose distances have no ties that matter."""
    from_data, from_points = scipy.spatial.distance.pdist(features), scipy.spatial.distance.pdist(points)
    values = {
        "trustworthiness": sklearn.manifold.trustworthiness(features, points, n_neighbors=15),
        "continuity": sklearn.manifold.trustworthiness(points, features, n_neighbors=15),
        "distance_correlation": scipy.stats.spearmanr(from_data, from_points).statistic,
    }
    if targets is not None:
        values["label_accuracy"] = np.mean(KNeighborsClassifier(15).fit(points, targets).predict(None) == targets)
        values["silhouette"] = sklearn.metrics.silhouette_score(points, targets)
    return values


class TestSweptDigits:
    """What the pipeline's own tables say, held against direct calls on what it stored."""

    def test_value_by_value(self, swept):
        folder, _ = swept
        features, targets = sklearn.datasets.load_digits(return_X_y=True)
        table = pd.read_parquet(folder / "metrics.parquet")
        sweep = pd.read_parquet(folder / "sweep.parquet")
        key = list(KEY_COLUMNS)
        assert table[key].to_dict("records") == sweep[key].drop_duplicates().to_dict("records")
        assert (table[["rows", "recall_15_rows", "sample_rows"]] == 1797).all(axis=None)
        assert (table["sample_pairs"] == 1797 * 1796 / 2).all()
        high = neighbors(features, 150)
        triplets = pd.read_parquet(folder / "high_dimensional/metric=euclidean/triplets.parquet", partitioning=None)
        to_near, to_far = (self.distances(features, triplets["row"], triplets[side]) for side in ("near", "far"))
        assert (to_near < to_far).all() and (table["sample_triplets"] == len(triplets)).all()
        for row in table.iloc[[0, 7]].to_dict("records"):
            cell = sweep[(sweep[key] == [row[name] for name in key]).all(axis=1)]
            points = cell[["umap_1", "umap_2"]].to_numpy()
            low = neighbors(points, 150)
            for name, value in expected(features, points, targets).items():
                # Whole numbers have equal distances, and libraries break ties in different ways.
                assert row[name] == pytest.approx(value, abs=2e-5), name
            for k in (15, 50, 150):
                assert row[f"recall_{k}"] == pytest.approx(recall(high[:, :k], low[:, :k]).mean(), abs=5e-4), k
            in_order = self.distances(points, triplets["row"], triplets["near"]) < self.distances(
                points, triplets["row"], triplets["far"]
            )
            assert row["triplet_accuracy"] == pytest.approx(in_order.mean(), abs=2e-5)
            assert row["triplet_accuracy"] == pytest.approx(self.triplet_accuracy(features, points), abs=0.006)
            assert row["disconnected"] == 0

    @staticmethod
    def distances(points: np.ndarray, first: pd.Series, second: pd.Series) -> np.ndarray:
        return np.linalg.norm(points[first].astype(np.float64) - points[second], axis=1)

    @staticmethod
    def triplet_accuracy(features: np.ndarray, points: np.ndarray) -> float:
        """Of triplets drawn independently: 300,000, so that the standard error of the difference is near 0.002."""
        i, j, k = np.random.default_rng(7).integers(0, len(points), (3, 300_000))
        kept = (i != j) & (i != k) & (j != k)
        i, j, k = i[kept], j[kept], k[kept]
        near, far = (np.linalg.norm(features[i] - features[other], axis=1) for other in (j, k))
        low_near, low_far = (np.linalg.norm(points[i] - points[other], axis=1) for other in (j, k))
        return ((near < far) == (low_near < low_far))[near != far].mean()

    def test_points_are_the_recall_of_the_stored_k_nn(self, swept):
        folder, _ = swept
        row = "metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1/n_neighbors=15/seed=2"
        points = pd.read_parquet(folder / "points" / row / "points.parquet", partitioning=None)
        assert points.dtypes.to_dict() == {"min_dist=0.1": np.float32, "min_dist=0.5": np.float32}
        cell = row.replace("/seed=2", "/min_dist=0.5/seed=2")
        embedding = pd.read_parquet(folder / "embeddings" / cell / "embedding.parquet", partitioning=None)
        low = neighbors(embedding[["umap_1", "umap_2"]].to_numpy(), 15)
        knn = pd.read_parquet(next(folder.glob("knn/**/knn_seed=10/**/knn.parquet")), partitioning=None)
        high = knn[[f"index_{rank}" for rank in range(1, 16)]].to_numpy()
        # Where two points of the embedding are equally far, either may be the fifteenth.
        assert np.isclose(points["min_dist=0.5"], recall(high, low), atol=1e-6).mean() > 0.999

    def test_cost_is_what_the_job_measured(self, swept):
        folder, _ = swept
        table = pd.read_parquet(folder / "metrics.parquet")
        first = table.iloc[0]
        cell = "metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1/n_neighbors=15/min_dist=0.1/seed=1"
        measured = json.loads((folder / "costs" / cell / "cost.json").read_text())
        assert (first["layout_seconds"], first["layout_memory_mb"]) == (
            measured["layout_seconds"],
            measured["layout_memory_mb"],
        )
        # Snakemake measures the whole job, from before its script begins, and looks at its memory now and then.
        job = cell.replace("min_dist=0.1", "min_dist=0.1_0.5")
        whole = pd.read_csv(folder / "benchmarks/layouts" / f"{job}.tsv", sep="\t").iloc[0]
        assert measured["cells"] == 2
        assert 0 < 2 * first["layout_seconds"] <= whole["s"]
        assert first["layout_memory_mb"] >= 0.95 * whole["max_rss"]

    def test_an_exact_k_nn_does_not_depend_on_its_seed(self, swept):
        folder, _ = swept
        table = pd.read_parquet(folder / "stability.parquet")
        assert table.groupby(["min_dist", "across"]).size().to_dict() == {
            (min_dist, across): pairs
            for min_dist in (0.1, 0.5)
            for across, pairs in (("UMAP seed", 6), ("both seeds", 6), ("k-NN seed", 3))
        }
        same, other = table[table["across"] == "k-NN seed"], table[table["across"] == "UMAP seed"]
        assert (same["neighbor_overlap"] == 1).all() and np.allclose(same["procrustes_disparity"], 0, atol=1e-12)
        assert other["neighbor_overlap"].between(0.4, 0.95).all()
        sweep = pd.read_parquet(folder / "sweep.parquet").set_index(["min_dist", "knn_seed", "seed"]).sort_index()
        pair = other.iloc[0]
        left, right = (
            sweep.loc[(pair["min_dist"], knn_seed, seed), ["umap_1", "umap_2"]].to_numpy(np.float64)
            for knn_seed, seed in (
                (pair["knn_seed"], pair["seed"]),
                (pair["other_knn_seed"], pair["other_seed"]),
            )
        )
        assert pair["procrustes_disparity"] == pytest.approx(scipy.spatial.procrustes(left, right)[2], rel=1e-9)
        shared = recall(neighbors(left, 15), neighbors(right, 15)).mean()
        assert pair["neighbor_overlap"] == pytest.approx(shared, abs=1e-3)

    def test_neighboring_cells_value_by_value(self, swept):
        folder, _ = swept
        table = pd.read_parquet(folder / "neighboring_cells.parquet")
        assert table["along"].tolist() == ["min_dist"] * 6
        sweep = pd.read_parquet(folder / "sweep.parquet").set_index(["min_dist", "knn_seed", "seed"]).sort_index()
        step = table.iloc[1]
        left, right = (
            sweep.loc[(step[min_dist], step["knn_seed"], step["seed"]), ["umap_1", "umap_2"]].to_numpy(np.float64)
            for min_dist in ("min_dist", "other_min_dist")
        )
        assert step["procrustes_disparity"] == pytest.approx(scipy.spatial.procrustes(left, right)[2], rel=1e-9)
        assert step["neighbor_overlap"] == pytest.approx(
            recall(neighbors(left, 15), neighbors(right, 15)).mean(), abs=1e-3
        )

    def test_instability_of_points_is_that_of_the_table(self, swept):
        folder, _ = swept
        table = pd.read_parquet(folder / "stability.parquet")
        for min_dist in (0.1, 0.5):
            cell = f"metric=euclidean/knn_k=20/knn_jobs=1/n_neighbors=15/min_dist={min_dist}"
            points = pd.read_parquet(folder / "stability" / cell / "points.parquet", partitioning=None)
            assert points.dtypes.to_dict() == {"instability": np.float32} and len(points) == 1797
            assert points["instability"].between(0, 1).all()
            counted = (table["min_dist"] == min_dist) & (table["across"] != "k-NN seed")
            mean = table.loc[counted, "neighbor_overlap"].mean()
            assert 1 - points["instability"].mean() == pytest.approx(mean, abs=1e-5)

    def test_the_last_lines_are_the_short_list(self, swept):
        folder, run = swept
        table = pd.read_parquet(folder / "shortlist.parquet")
        assert len(table) >= 1
        said = run.output.strip().splitlines()
        for cell in table.itertuples():
            group = f" [{cell.group}]" if len(table) > 1 else ""
            assert f"  n_neighbors {cell.n_neighbors}, min_dist {cell.min_dist:g}{group}: {cell.reason}" in said
        assert pd.read_csv(folder / "shortlist.csv")["reason"].tolist() == table["reason"].tolist()

    def test_report_holds_every_figure_and_table(self, swept):
        """Nothing answers at that proxy: Snakemake brings what its report needs with it."""
        folder, _ = swept
        nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
        os.environ.update(nowhere)
        try:
            run = snakemake(folder.parents[1], "--report", "report.html", config=DIGITS)
        finally:
            for name in nowhere:
                del os.environ[name]
        assert run.code == 0, run.output
        report = (folder.parents[1] / "report.html").read_text()
        for name in ("grid.png", "metrics.png", "changes.png", "stability.png", "instability.png"):
            assert name in report
        for name in ("metrics.csv", "comparisons.csv", "shortlist.csv", "stability.csv", "neighboring_cells.csv"):
            assert name in report
        for category in ("Embeddings", "Which cell", "Stability"):
            assert category in report


def test_metrics_without_a_cells_row_are_no_table(digits, tmp_path):
    digits.measure()
    cost = tmp_path / "cost.json"
    cost.write_text('{"layout_seconds": 1.5, "layout_memory_mb": 300, "cells": 1}')
    outputs = [tmp_path / "metrics.parquet", tmp_path / "metrics.csv"]
    stored = digits.folder / "metrics.parquet"
    of_labels = digits.folder / "labels.parquet"
    metrics.join([stored], of_labels, [cost], [KEY], *outputs)
    assert store.read(outputs[0])["min_dist"].to_pylist() == [0.1]
    with pytest.raises(InputError, match=r"metrics.parquet has 0 rows of min_dist 0.3, and not one. Delete it"):
        metrics.join([stored], of_labels, [cost], [KEY | {"min_dist": 0.3}], *outputs)


def test_sample_estimates_the_full_value(digits):
    full, _, _ = digits.measure(label=digits.targets)
    sampled, _, _ = digits.measure(label=digits.targets, full_up_to=100, sample=500)
    again, _, _ = digits.measure(label=digits.targets, full_up_to=100, sample=500)
    other, _, _ = digits.measure(label=digits.targets, full_up_to=100, sample=500, seed=1)
    assert sampled.equals(again) and not sampled.equals(other)
    assert sampled.loc[0, ["sample_rows", "sample_pairs"]].tolist() == [500, 500 * 200]
    # Of all rows in any case.
    assert sampled.loc[0, "recall_15"] == full.loc[0, "recall_15"]
    assert sampled.loc[0, "label_accuracy"] == full.loc[0, "label_accuracy"]
    for name in ("trustworthiness", "continuity", "triplet_accuracy", "distance_correlation", "silhouette"):
        for one in (sampled, other):
            assert one.loc[0, name] == pytest.approx(full.loc[0, name], abs=0.03), name
        # The triplets are drawn alike from any sample, and so differ with the seed alone.
        assert other.loc[0, name] != full.loc[0, name]
    for name in ("recall_50", "recall_150"):
        assert sampled.loc[0, name] == pytest.approx(full.loc[0, name], abs=0.03)


def test_ranks_in_steps_hardly_change_trustworthiness(digits, monkeypatch):
    full, _, _ = digits.measure()
    for module in (high_dimensional, cell_metrics):
        monkeypatch.setattr(module, "rank_step", lambda n_rows: 4)
    stepped, _, _ = digits.measure()
    assert stepped.loc[0, "trustworthiness"] == pytest.approx(full.loc[0, "trustworthiness"], abs=4 / (2 * 1797))


@pytest.mark.parametrize("metrics", [{}, {"full_up_to": 100, "sample": 600}], ids=["full", "sample"])
def test_rows_without_coordinates_are_left_out(digits, metrics):
    lost = np.random.default_rng(3).random(1797) < 0.1
    points = digits.points.copy()
    points[lost] = np.nan
    numbers, per_point, near = digits.measure(points, label=digits.targets, **metrics)
    assert numbers.loc[0, "disconnected"] == pytest.approx(lost.mean())
    assert np.array_equal(per_point["recall"].isna(), lost)
    near = np.stack(near["neighbors"])
    assert (near[lost] == -1).all() and not lost[near[~lost]].any()
    assert numbers.loc[0, "recall_15_rows"] == (~lost).sum()
    if metrics:
        assert numbers.loc[0, "sample_rows"] < 600
    else:
        for name, value in expected(digits.features[~lost], points[~lost], digits.targets[~lost]).items():
            assert numbers.loc[0, name] == pytest.approx(value, abs=2e-5), name


def test_a_few_points_far_from_each_other_have_no_continuity(digits):
    """Of 150 neighbours in the data fewer than 15 have a place, so that nothing can be said of them."""
    points = np.full((1797, 2), np.nan, np.float32)
    points[:40] = digits.points[:40]
    numbers, _, _ = digits.measure(points, label=digits.targets)
    assert numbers["continuity"].isna()[0] and 0 < numbers.loc[0, "trustworthiness"] < 1


def test_an_embedding_without_any_point_is_null(digits):
    numbers, per_point, _ = digits.measure(np.full((1797, 2), np.nan, np.float32), label=digits.targets)
    assert numbers.loc[0, "disconnected"] == 1 and per_point["recall"].isna().all()
    assert numbers[["recall_15", "trustworthiness", "label_accuracy"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("label", "kind", "measured"),
    [
        (None, "auto", False),
        (np.linspace(0, 1, 1797), "auto", False),
        (np.arange(1797) % 3, "auto", True),
        (np.arange(1797) % 3, "numeric", False),
        (np.arange(1797) % 40, "auto", False),
        (np.arange(1797) % 40, "categorical", True),
        (np.array(["a", "b"])[np.arange(1797) % 2], "auto", True),
        (np.array(["a"] * 1797), "auto", None),
    ],
)
def test_labels_are_measured_where_they_are_categories(digits, label, kind, measured):
    numbers, _, _ = digits.measure(label=label, label_kind=kind)
    # One label alone is always right, and has no silhouette.
    assert (
        numbers.loc[0, "label_accuracy"] == 1 if measured is None else numbers["label_accuracy"].notna()[0] == measured
    )
    assert numbers["silhouette"].notna()[0] == bool(measured)


def test_missing_labels_neither_vote_nor_count(digits):
    targets = digits.targets.astype(float)
    targets[::3] = np.nan
    numbers, _, _ = digits.measure(label=targets)
    near, known = neighbors(digits.points, 15), ~np.isnan(targets)
    right = []
    for row in np.flatnonzero(known):
        votes = targets[near[row]]
        found, counts = np.unique(votes[~np.isnan(votes)], return_counts=True)
        right.append(found[counts.argmax()] == targets[row])
    assert numbers.loc[0, "label_accuracy"] == pytest.approx(np.mean(right), abs=1e-3)
    silhouette = sklearn.metrics.silhouette_score(digits.points[known], targets[known])
    assert numbers.loc[0, "silhouette"] == pytest.approx(silhouette, abs=1e-6)


def test_a_narrow_k_nn(digits):
    """The k-NN reaches 9 others: points are measured by these, recall at 15 by the exact neighbours of the sample."""
    wide, _, _ = digits.measure()
    numbers, per_point, _ = digits.measure(k=10, full_up_to=100, sample=300)
    assert numbers.loc[0, "recall_15_rows"] == 300
    assert numbers.loc[0, "recall_15"] == pytest.approx(wide.loc[0, "recall_15"], abs=0.03)
    assert set((per_point["recall"] * 9).round(4)) <= set(range(10))


@pytest.mark.parametrize("metric", ["cosine", "canberra", "hellinger"])
def test_ranks_follow_the_metric(metric):
    features = np.random.default_rng(0).random((60, 5)).astype(np.float32) + 0.1
    rows = np.array([3, 59])
    distances = high_dimensional.distances_from(features, rows, metric)
    functions = {
        "cosine": scipy.spatial.distance.cosine,
        "canberra": scipy.spatial.distance.canberra,
        "hellinger": lambda x, y: np.sqrt(1 - np.sqrt(x * y).sum() / np.sqrt(x.sum() * y.sum())),
    }
    others = np.array(
        [[functions[metric](features[row].astype(float), other.astype(float)) for other in features] for row in rows]
    )
    np.testing.assert_allclose(distances, others, atol=1e-3)
    order = high_dimensional.order_by_distance(distances, rows)
    assert order[:, 0].tolist() == rows.tolist()
    assert (np.diff(np.take_along_axis(distances, order, axis=1)[:, 1:], axis=1) >= 0).all()


def test_ranks_by_bins_are_those_of_sorting():
    """Neighbours are exact, and a rank is off by no more than its bin holds rows; crowded bins are sorted out."""
    draw = np.random.default_rng(2)
    distances, rows = draw.gamma(9, size=(3, 20_000)).astype(np.float32), np.array([3, 0, 19_999])
    ranks, nearest = high_dimensional.rank_rows(distances, rows, 150, sorted_out=False)
    order = high_dimensional.order_by_distance(distances, rows)
    exact = np.argsort(order, axis=1)
    assert np.array_equal(nearest, order[:, 1:151])
    off = ranks - exact
    assert 0 < np.abs(off).max() <= high_dimensional.MOST_IN_A_BIN and abs(off.mean()) < 0.5
    assert (ranks[np.arange(3), rows] == 0).all()
    far = distances.copy()
    far[:, 7] = 1e9
    for crowded in (np.rint(distances), far):
        ranks, nearest = high_dimensional.rank_rows(crowded, rows, 150, sorted_out=False)
        order = high_dimensional.order_by_distance(crowded, rows)
        assert np.array_equal(nearest, order[:, 1:151]) and np.array_equal(ranks, np.argsort(order, axis=1))


class TestCrossEntropy:
    """UMAP's own loss."""

    A, B = curve.parameters(1.0, 0.1)

    def direct(self, points: np.ndarray, edges: dict[tuple[int, int], float]) -> float:
        total = 0.0
        for first, second in itertools.combinations(range(len(points)), 2):
            distance = np.linalg.norm(points[first].astype(float) - points[second])
            q = np.clip(1 / (1 + self.A * distance ** (2 * self.B)), 1e-4, 1 - 1e-4)
            w = edges.get((first, second), 0.0)
            total += (w * np.log(w / q) if w > 0 else 0) + ((1 - w) * np.log((1 - w) / (1 - q)) if w < 1 else 0)
        return total / len(points)

    @pytest.fixture
    def case(self):
        draw = np.random.default_rng(5)
        points = draw.normal(size=(40, 2)).astype(np.float32)
        points[1] = points[0]
        chosen = draw.choice(780, 120, replace=False)
        all_pairs = list(itertools.combinations(range(40), 2))
        weights = np.r_[1.0, draw.random(119)].astype(np.float32)
        edges = dict(zip([all_pairs[place] for place in chosen], weights.tolist(), strict=True))
        head, tail = np.array(list(edges)).T.astype(np.int32)
        both = {"head": np.r_[head, tail], "tail": np.r_[tail, head], "weight": np.tile(weights, 2)}
        return points, edges, pa.table(both)

    def test_all_pairs_give_the_sum_over_all_pairs(self, case):
        points, edges, table = case
        cell = cell_metrics.Cell(points, np.arange(40), np.zeros((40, 15), np.int32))
        first, second = np.triu_indices(40, 1)
        found = cell_metrics.cross_entropy(cell, {"first": first, "second": second}, table, 1.0, 0.1)
        assert found["cross_entropy"] == pytest.approx(self.direct(points, edges), rel=1e-6)
        assert found["cross_entropy_sample_error"] == 0

    def test_random_pairs_give_it_within_their_error(self, case):
        points, edges, table = case
        cell = cell_metrics.Cell(points, np.arange(20), np.zeros((20, 15), np.int32))
        draw, expected, within = np.random.default_rng(6), self.direct(points, edges), []
        for _ in range(200):
            first = draw.integers(0, 40, 500)
            second = (first + draw.integers(1, 40, 500)) % 40
            found = cell_metrics.cross_entropy(cell, {"first": first, "second": second}, table, 1.0, 0.1)
            within.append(abs(found["cross_entropy"] - expected) < 1.96 * found["cross_entropy_sample_error"])
        assert 0.85 < np.mean(within) <= 1

    def test_a_layout_lowers_it(self, digits):
        """Of 1,797 rows: from the start to the embedding, and farther with more epochs."""
        losses = []
        for epochs in (1, 30, 200):
            points = digits.stages.cell(15, 0.1, 10, n_epochs=epochs)
            cell = cell_metrics.Cell(points, np.arange(1797), np.zeros((1797, 15), np.int32))
            first, second = np.triu_indices(1797, 1)
            edges = store.read(digits.folder / "edges.parquet")
            losses.append(cell_metrics.cross_entropy(cell, {"first": first, "second": second}, edges, 1.0, 0.1))
        values = [loss["cross_entropy"] for loss in losses]
        assert values[0] > values[1] > values[2]


def test_ties_are_broken_by_row_number():
    order = high_dimensional.order_by_distance(np.float32([[1, 0, 1, 0, 0.5]]), np.array([3]))
    assert order.tolist() == [[3, 1, 4, 0, 2]]


def test_measures_against_scikit_learn_and_scipy():
    draw = np.random.default_rng(1)
    values = draw.integers(0, 50, 400).astype(float)
    np.testing.assert_array_equal(measures.average_ranks(values), scipy.stats.rankdata(values))
    points = draw.normal(size=(300, 3))
    codes = np.r_[draw.integers(0, 5, 298), 7, 9]  # two labels stand alone
    expected_silhouette = sklearn.metrics.silhouette_score(points, codes)
    assert np.nanmean(measures.silhouettes(points, codes)) == pytest.approx(expected_silhouette, abs=1e-12)
    assert np.isnan(measures.silhouettes(points, np.zeros(300, int))).all()
    assert np.isnan(measures.silhouettes(points, np.arange(300))).all()
    near = neighbors(points, 15)
    predicted = KNeighborsClassifier(15).fit(points, codes).predict(None)
    assert measures.label_accuracy(codes, near) == np.mean(predicted == codes)


def test_a_point_is_never_its_own_neighbor():
    found = np.array([[0, 5, 2, 3], [4, 1, 2, 3], [7, 8, 9, 6]])  # first, second, and not at all among duplicates
    assert measures.others(found, np.array([0, 1, 2]), 3).tolist() == [[5, 2, 3], [4, 2, 3], [7, 8, 9]]
    points = np.zeros((30, 2))
    tree = scipy.spatial.cKDTree(points)
    near = measures.nearest(tree, points, np.arange(30), 15)
    assert not (near == np.arange(30)[:, None]).any() and all(len(set(row)) == 15 for row in near.tolist())


def test_category_codes_follow_the_order_of_the_labels():
    assert labels.category_codes(pa.array(["b", None, "a", "b"])).tolist() == [1, -1, 0, 1]
    assert labels.category_codes(pa.array([2.0, float("nan"), -1.0])).tolist() == [1, -1, 0]


def test_equal_runs_are_stable_and_shuffled_ones_are_not():
    draw = np.random.default_rng(0)
    points = draw.normal(size=(400, 2)).astype(np.float32)
    turned = points @ np.float32([[0, -2], [2, 0]])
    shuffled = points[draw.permutation(400)]
    lost = points.copy()
    lost[:5] = np.nan
    runs = [points, turned, shuffled, lost]
    near = [
        np.r_[np.full((5, 15), -1), neighbors(run[5:], 15) + 5] if run is lost else neighbors(run, 15) for run in runs
    ]
    keys = [KEY | {"seed": seed} for seed in range(4)]
    pairs, instability = seed_pairs.compare(runs[:2], near[:2], keys[:2])
    assert pairs[0]["across"] == "UMAP seed" and pairs[0]["procrustes_disparity"] == pytest.approx(0, abs=1e-9)
    assert (instability == 0).all()
    # A k-NN seed that changes nothing does not make points look stable.
    several = [(points, near[0], 1, 1), (points, near[0], 1, 2), (shuffled, near[2], 2, 1), (shuffled, near[2], 2, 2)]
    keys = [KEY | {"seed": seed, "knn_seed": knn_seed} for _, _, seed, knn_seed in several]
    _, instability = seed_pairs.compare([run[0] for run in several], [run[1] for run in several], keys)
    assert instability.mean() == pytest.approx(1 - 15 / 399, abs=0.02)
    pairs, instability = seed_pairs.compare([points, shuffled], [near[0], near[2]], [KEY, KEY | {"knn_seed": 9}])
    assert pairs[0]["across"] == "k-NN seed" and pairs[0]["procrustes_disparity"] > 0.9
    assert instability.mean() == pytest.approx(1 - 15 / 399, abs=0.02)
    _, instability = seed_pairs.compare([points, lost], [near[0], near[3]], [KEY, KEY | {"seed": 9, "knn_seed": 9}])
    assert np.isnan(instability).nonzero()[0].tolist() == list(range(5))


def test_next_cells_of_a_grid_with_a_hole():
    grid = [(5, 0.0), (5, 0.5), (15, 0.0), (50, 0.5), (50, 0.0)]
    keys = [{"n_neighbors": k, "min_dist": m, "knn_seed": 1, "seed": 1} for k, m in grid]
    keys.append(keys[0] | {"seed": 2})
    found = [(along, grid[first], grid[second]) for along, first, second in neighboring_cells.next_cells(keys)]
    assert sorted(found) == [
        ("min_dist", (5, 0.0), (5, 0.5)),
        ("min_dist", (50, 0.0), (50, 0.5)),
        ("n_neighbors", (5, 0.0), (15, 0.0)),
        ("n_neighbors", (5, 0.5), (50, 0.5)),
        ("n_neighbors", (15, 0.0), (50, 0.0)),
    ]


def metrics_table(*cells: tuple, rows: int = 100) -> pd.DataFrame:
    """Return metrics of cells that were measured on all rows."""
    names = ["n_neighbors", "min_dist", "recall_15", "triplet_accuracy", "seed"]
    return pd.DataFrame(cells, columns=names).assign(knn_k=50, knn_seed=0, rows=rows, sample_rows=rows)


def listed(table: pd.DataFrame, stability: pd.DataFrame | None = None) -> pd.DataFrame:
    pairs = pd.DataFrame() if stability is None else stability
    compared = comparisons.compare_all(comparisons.measured_metrics(table, {}, pairs))
    return shortlist.shortlist(shortlist.criteria(table, stability), compared, 0.005)


def under_seeds(settings: dict[tuple, tuple], noise: float, seeds: int = 5) -> pd.DataFrame:
    """Return metrics of settings under several seeds, with the noise of the seeds."""
    draw = np.random.default_rng(0)
    cells = [
        (*setting, *(np.array(values) + draw.normal(0, noise, 2)), seed)
        for seed in range(seeds)
        for setting, values in settings.items()
    ]
    return metrics_table(*cells)


SETTINGS = {(5, 0.0): (0.5, 0.6), (15, 0.0): (0.4, 0.7), (30, 0.0): (0.397, 0.703), (50, 0.0): (0.4, 0.6),
            (5, 0.5): (0.45, 0.65)}  # fmt: skip


def test_shortlist_holds_what_nothing_beats_beyond_the_noise():
    found = listed(under_seeds(SETTINGS, 0.003))
    # 50, 0 is beaten by all; 15 and 30 differ by as much as chance does.
    assert found[["n_neighbors", "min_dist"]].to_numpy().tolist() == [[5, 0], [15, 0], [30, 0], [5, 0.5]]
    assert found["beats"].tolist() == [1, 1, 1, 1]
    assert found["group"].tolist() == ["a", "b", "b", "c"]
    assert re.fullmatch(
        r"with the best in neighbours kept (49|50)\.\d% ± 0\.\d%; triplets in order (59|60)\.\d% ± 0\.\d% "
        r"\(best \d+\.\d%\)",
        found["reason"][0],
    )
    assert found["reason"][3].startswith("in between: neighbours kept 4")


def test_shortlist_tells_nothing_apart_where_noise_is_as_large_as_the_differences():
    found = listed(under_seeds(SETTINGS, 0.3))
    assert len(found) == len(SETTINGS)
    assert set(found["group"]) == {"a"}
    assert set(found["beats"]) == {0}


def test_with_one_seed_nothing_is_beaten_and_the_list_says_why():
    found = listed(under_seeds(SETTINGS, 0.0, seeds=1))
    assert len(found) == len(SETTINGS)
    assert set(found["reason"]) == {shortlist.ONE_SEED}
    assert set(found["group"]) == {""} and set(found["beats"]) == {0}
    assert found["recall_15_error"].isna().all()
    compared = comparisons.compare_all(comparisons.measured_metrics(under_seeds(SETTINGS, 0, 1), {}, pd.DataFrame()))
    assert set(compared["verdict"]) == {"unknown"}
    assert compared[["lower", "upper", "seed_error"]].isna().all(axis=None)


def test_the_best_in_one_criterion_is_not_beaten_step_by_step():
    """Each is a little lower in triplets than the next, within the noise, and higher in recall beyond it."""
    settings = {
        (n_neighbors, 0.0): (0.5 - 0.02 * place, 0.6 + 0.01 * place) for place, n_neighbors in enumerate((5, 9, 15, 30))
    }
    table = under_seeds(settings, 0.0015)
    table["triplet_accuracy"] += np.random.default_rng(1).normal(0, 0.008, len(table))
    assert 30 in listed(table)["n_neighbors"].tolist()


def test_what_only_a_beaten_setting_beats_is_listed():
    """In a line in which each beats the next, every second one is: the others are beaten by one that is listed."""
    wins = np.eye(5, k=1, dtype=bool)
    assert shortlist.unbeaten(wins).tolist() == [True, False, True, False, True]
    wins[0, 2] = True
    assert shortlist.unbeaten(wins).tolist() == [True, False, False, True, False]


def test_a_circle_of_settings_that_beat_each_other_is_not_beaten():
    wins = np.zeros((4, 4), bool)
    wins[0, 1] = wins[1, 2] = wins[2, 0] = True
    assert shortlist.unbeaten(wins).tolist() == [True, True, True, True]
    wins[0, 3] = True
    assert shortlist.unbeaten(wins).tolist() == [True, True, True, False]
    wins[3, :3] = False
    wins[0, 3] = False
    wins[3, 1] = True  # who beats one of a circle beats that one alone
    assert shortlist.unbeaten(wins).tolist() == [True, False, True, True]


def test_groups_overlap_where_not_to_be_told_apart_is_not_transitive():
    apart = np.zeros((3, 3), bool)
    apart[0, 2] = apart[2, 0] = True
    assert shortlist.groups(apart) == ["a", "ab", "b"]
    assert shortlist.groups(np.zeros((2, 2), bool)) == ["a", "a"]
    assert shortlist.groups(~np.eye(3, dtype=bool)) == ["a", "b", "c"]


def test_stability_decides_where_it_is_known():
    table = under_seeds({(5, 0.0): (0.5, 0.6), (15, 0.0): (0.5, 0.6)}, 0.001, seeds=4)
    draw = np.random.default_rng(1)
    pairs = pd.DataFrame(
        [
            (n_neighbors, 0.0, 50, "UMAP seed", seed, other, 0, 0, overlap + draw.normal(0, 0.003))
            for n_neighbors, overlap in ((5, 0.8), (15, 0.3))
            for seed, other in itertools.combinations(range(4), 2)
        ],
        columns=[*seeds.SETTING, "across", "seed", "other_seed", "knn_seed", "other_knn_seed", "neighbor_overlap"],
    )
    found = listed(table, pairs)
    assert found["n_neighbors"].tolist() == [5]
    assert found["neighbor_overlap"][0] == pytest.approx(0.8, abs=0.01)


def test_intervals_are_those_of_student_and_bonferroni():
    """For two settings, which have nothing to lend each other, and for one pair of metrics."""
    draw = np.random.default_rng(2)
    values = pd.DataFrame(
        draw.normal([[0.1], [0.3]], 0.02, (2, 6)), pd.MultiIndex.from_tuples([(5, 0.0, 50), (9, 0.0, 50)])
    )
    one = comparisons.Measured(values, np.zeros((2, 2)), 0)
    found = comparisons.compare(one, questions=3).iloc[0]
    test = scipy.stats.ttest_rel(*values.to_numpy())
    expected = test.confidence_interval(1 - 0.05 / 3)
    assert [found["lower"], found["upper"]] == pytest.approx([expected.low, expected.high])
    assert found["verdict"] == "lower"


def test_variances_are_pooled_where_chance_explains_how_they_differ():
    draw = np.random.default_rng(3)
    freedom = np.full(400, 4.0)
    alike = draw.chisquare(4, 400) / 4
    pooled, total = seeds.moderated(alike, freedom, most=1e9)
    assert pooled.std() < 0.1 * alike.std() and pooled.mean() == pytest.approx(1, abs=0.12)
    assert (total > 40).all()
    unlike = alike * np.geomspace(1e-4, 1e4, 400)
    kept, total = seeds.moderated(unlike, freedom, most=1e9)
    # The smallest are lifted, because nobody knows whether they are small by chance; the large ones stay.
    assert np.abs(np.log(kept / unlike))[200:].max() < 0.2 and (kept[:10] > unlike[:10]).all() and (total < 6).all()
    assert seeds.moderated(alike, freedom, most=9)[1].tolist() == [9.0] * 400


def test_errors_of_the_sample_are_those_of_the_mean_of_a_finite_population():
    draw = np.random.default_rng(4)
    population = draw.normal(size=(2, 500))
    population[1] += population[0]
    means, covariances = [], []
    for _ in range(4000):
        chosen = draw.choice(500, 200, replace=False)
        means.append(population[:, chosen].mean(axis=1))
        covariances.append(comparisons.covariance(list(population[:, chosen]), 0.4))
    np.testing.assert_allclose(np.mean(covariances, axis=0), np.cov(np.transpose(means)), rtol=0.06)
    errors = [
        sampling.error(population[0, :200], 0.4) ** 2,
        comparisons.covariance(list(population[:, :200]), 0.4)[0, 0],
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-5)


def test_shortlist_of_nothing_to_compare_is_empty():
    table = metrics_table((5, 0.0, None, None, 1), (15, 0.0, None, None, 1)).astype(
        {"recall_15": float, "triplet_accuracy": float}
    )
    assert not len(listed(table))
