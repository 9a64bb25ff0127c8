"""Which features decide the distances: shares against loops and umap-learn, odd data, and the whole in a run."""

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import umap.distances
from conftest import snakemake
from matplotlib.backends.backend_agg import FigureCanvasAgg

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.figures import features as plot_features
from umap_sweep.quality import feature_shares
from umap_sweep.settings import schema
from umap_sweep.sources import data_table, fetch

WITHOUT_PARTS = {"haversine", "poincare", "yule"}
METRICS = [name for name in schema.schema()["$defs"]["metric"]["enum"] if name not in WITHOUT_PARTS]
BINARY = ["matching", "jaccard", "dice", "rogerstanimoto", "sokalmichener", "sokalsneath"]


def loop(metric: str, x: list[float], y: list[float], p: float = 2) -> list[float]:
    """Return the parts of the distance of two rows, written out for one pair in Python's own floats."""
    d = range(len(x))
    match metric:
        case "euclidean" | "l2":
            return [(x[j] - y[j]) ** 2 for j in d]
        case "manhattan" | "l1" | "taxicab":
            return [abs(x[j] - y[j]) for j in d]
        case "minkowski":
            return [abs(x[j] - y[j]) ** p for j in d]
        case "chebyshev" | "linf" | "linfinity" | "linfty":
            most = max(abs(x[j] - y[j]) for j in d)
            return [float(abs(x[j] - y[j]) == most > 0) for j in d]
        case "cosine" | "correlation" | "hellinger":
            if metric == "correlation":
                x, y = ([one - math.fsum(row) / len(row) for one in row] for row in (x, y))
            if metric == "hellinger":
                x, y = ([math.sqrt(one) for one in row] for row in (x, y))
            lengths = [math.sqrt(math.fsum(one**2 for one in row)) for row in (x, y)]
            parts = [(x[j] / lengths[0] - y[j] / lengths[1]) ** 2 if min(lengths) > 1e-12 else 0.0 for j in d]
            return parts if sum(parts) > 1e-24 else [0.0] * len(x)
        case "canberra":
            return [abs(x[j] - y[j]) / (abs(x[j]) + abs(y[j])) if x[j] or y[j] else 0.0 for j in d]
        case "braycurtis":
            return [abs(x[j] - y[j]) if any(x[i] + y[i] for i in d) else 0.0 for j in d]
        case "symmetric_kl":
            x, y = ([float(np.float32(one + 1e-11)) for one in row] for row in (x, y))
            x, y = ([one / math.fsum(row) for one in row] for row in (x, y))
            parts = [(x[j] - y[j]) * math.log(x[j] / y[j]) for j in d]
            return parts if sum(parts) > 1e-24 else [0.0] * len(x)
        case "hamming":
            return [float(x[j] != y[j]) for j in d]
    one = [bool(x[j]) != bool(y[j]) for j in d]
    if metric in BINARY or not any(one):
        return [float(differs) for differs in one]
    return [(metric == "kulsinski") * one[j] + float(not (x[j] and y[j])) for j in d]


def mean_of_loops(metric: str, features: np.ndarray, pairs: Any, p: float = 2) -> list[float]:
    rows, shares = features.astype(np.float64).tolist(), []
    for first, second in pairs:
        parts = loop(metric, rows[first], rows[second], p)
        if (total := math.fsum(parts)) > 0:
            shares.append([part / total for part in parts])
    return [math.fsum(column) / len(shares) for column in zip(*shares, strict=True)]


def found(features: np.ndarray, metric: str = "euclidean", **keywords: float) -> tuple[Any, int]:
    parts = feature_shares.parts_of(metric, keywords)
    return feature_shares.shares(features, *feature_shares.choose_pairs(len(features), 0), parts)


def table(seed: int, rows: int = 30, columns: int = 7) -> np.ndarray:
    """Return values from 0 on, a third of them 0, with a row of zeros and three rows in one direction, two equal."""
    random = np.random.RandomState(seed)
    features = random.exponential(size=(rows, columns)) * 10.0 ** random.randint(-2, 3, columns)
    features[random.uniform(size=features.shape) < 0.3] = 0
    features[3], features[4], features[5] = 0, features[6], 2 * features[6]
    return features.astype(np.float32)


class TestShares:
    """The share of each feature."""

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("seed", range(3))
    def test_are_those_of_a_loop_over_pairs(self, metric, seed):
        features = table(seed)
        shares, pairs = found(features, metric)
        every = list(itertools.combinations(range(len(features)), 2))
        np.testing.assert_allclose(shares, mean_of_loops(metric, features, every), rtol=1e-9, atol=1e-14)
        assert shares.sum() == pytest.approx(1, abs=1e-12) and shares.min() >= 0
        assert 0 < pairs < len(every)  # two rows are equal

    @pytest.mark.parametrize("p", [0.5, 1, 3, 7.5])
    def test_of_minkowski_by_its_p(self, p):
        features = table(1)
        every = itertools.combinations(range(len(features)), 2)
        np.testing.assert_allclose(
            found(features, "minkowski", p=p)[0], mean_of_loops("minkowski", features, every, p), rtol=1e-9, atol=1e-14
        )

    def test_of_a_large_p_are_those_of_chebyshev(self):
        features = table(2)
        np.testing.assert_allclose(found(features, "minkowski", p=1e6)[0], found(features, "chebyshev")[0], atol=1e-3)

    @pytest.mark.parametrize("p", [0, -1])
    def test_none_where_minkowski_is_no_distance(self, p):
        assert feature_shares.parts_of("minkowski", {"p": p}) is None

    def test_every_metric_has_parts_or_is_known_to_have_none(self):
        assert [name for name in METRICS if feature_shares.parts_of(name, {}) is None] == []
        assert [name for name in WITHOUT_PARTS if feature_shares.parts_of(name, {}) is not None] == []

    @pytest.mark.parametrize("metric", METRICS)
    def test_parts_add_up_to_umap_learn_s_distance(self, metric):
        """By what each metric makes of its sum."""
        random = np.random.RandomState(5)
        x, y = (random.exponential(size=8) * (random.uniform(size=8) < 0.6) for _ in range(2))
        x[0], y[0], x[1], y[1] = 1, 0, 0.5, 2.0
        distance = umap.distances.named_distances[metric](x.copy(), y.copy())
        parts = feature_shares.parts_of(metric, {})(x[None], y[None])[0]
        total, largest = parts.sum(), np.abs(x - y).max()
        differing, both = ((x != 0) != (y != 0)).sum(), ((x != 0) & (y != 0)).sum()
        sums = {
            **dict.fromkeys(("euclidean", "l2", "minkowski"), largest * math.sqrt(total)),
            **dict.fromkeys(("manhattan", "l1", "taxicab"), largest * total),
            **dict.fromkeys(("chebyshev", "linf", "linfinity", "linfty"), np.abs(x - y) @ parts),
            **dict.fromkeys(("cosine", "correlation", "symmetric_kl"), total / 2),
            **dict.fromkeys(("hamming", "matching", "russellrao"), total / 8),
            **dict.fromkeys(("rogerstanimoto", "sokalmichener"), 2 * total / (8 + total)),
            "hellinger": math.sqrt(total / 2),
            "canberra": total,
            "braycurtis": total / (x + y).sum(),
            "jaccard": total / (differing + both),
            "dice": total / (2 * both + total),
            "sokalsneath": total / (0.5 * both + total),
            "kulsinski": total / (differing + 8),
        }
        assert sums[metric] == pytest.approx(distance, rel=1e-6)

    def test_of_a_sample_are_near_those_of_all_pairs(self):
        features = np.random.RandomState(0).normal(size=(400, 3)).astype(np.float32) * np.float32([1, 2, 4])
        first, second = feature_shares.choose_pairs(400, 0)
        assert len(first) == feature_shares.PAIRS and not (first == second).any()
        assert len(np.unique(first)) == 400 == len(np.unique(second))
        parts = feature_shares.parts_of("euclidean", {})
        every, _ = feature_shares.shares(features, *np.triu_indices(400, 1), parts)
        np.testing.assert_allclose(found(features)[0], every, atol=0.015)  # three standard errors
        again, other = feature_shares.choose_pairs(400, 0), feature_shares.choose_pairs(400, 1)
        assert (again[0] == first).all() and (other[0] != first).any()

    def test_do_not_depend_on_how_many_pairs_are_looked_at_together(self, monkeypatch):
        features = table(0)
        whole, pairs = found(features)
        monkeypatch.setattr(feature_shares, "BLOCK_VALUES", 20)
        parts, pairs_again = found(features)
        np.testing.assert_allclose(parts, whole, rtol=1e-12)
        assert pairs == pairs_again


class TestOddData:
    """Data that leaves nothing to share, or little to compute with."""

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("rows", [1, 2])
    def test_no_two_rows_are_apart(self, metric, rows):
        assert found(np.float32([[1, 2, 3]] * rows), metric) == (None, 0)

    @pytest.mark.parametrize("metric", ["cosine", "correlation", "hellinger", "symmetric_kl"])
    def test_rounding_alone_is_no_distance(self, metric):
        row = np.random.RandomState(0).uniform(1, 2, 50).astype(np.float32)
        assert found(np.stack([row, 2 * row, 1024 * row]), metric) == (None, 0)

    def test_rows_that_have_no_direction_do_not_count(self):
        rows = np.float32([[0.1] * 7, [0.7] * 7, [1, 2, 3, 4, 5, 6, 9]])
        assert found(rows, "correlation") == (None, 0)
        assert found(np.float32([[0, 0], [1, 2]]), "cosine") == (None, 0)

    @pytest.mark.parametrize("metric", [name for name in METRICS if name not in ("correlation", "cosine", "hellinger")])
    def test_one_column_is_all(self, metric):
        shares, _ = found(np.float32([[0], [1], [3]]), metric)
        assert shares is None if metric == "symmetric_kl" else shares.tolist() == [1]

    @pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev", "canberra", "braycurtis", "hamming"])
    def test_constant_columns_have_none(self, metric):
        features = table(4)
        features[:, [1, 5]] = 7.5
        shares, _ = found(features, metric)
        assert shares[[1, 5]].tolist() == [0, 0] and shares.sum() == pytest.approx(1)

    @pytest.mark.parametrize("scale", [3.4e38, 1e-44])
    @pytest.mark.parametrize("metric", ["euclidean", "manhattan", "minkowski", "cosine", "canberra"])
    def test_at_the_ends_of_float32(self, metric, scale):
        """Exactly, by fractions, where float32 itself would be infinite, or 0."""
        small = np.float32([[1, -1, 0.5], [-1, 1, 0.5], [1, 1, -1]])
        features = (small * np.float32(scale)).astype(np.float32)
        keywords = {"p": 3} if metric == "minkowski" else {}
        shares, pairs = found(features, metric, **keywords)
        assert pairs == 3 and np.isfinite(shares).all()
        exact = [[Fraction(float(one)) for one in row] for row in features]
        if metric in ("cosine", "canberra"):
            unit = max(abs(one) for row in exact for one in row)
            expected = mean_of_loops(metric, np.array([[float(one / unit) for one in row] for row in exact]), PAIRS)
        else:
            power = {"euclidean": 2, "manhattan": 1, "minkowski": 3}[metric]
            parts = [[abs(x - y) ** power for x, y in zip(exact[i], exact[j], strict=True)] for i, j in PAIRS]
            expected = [float(sum(part[column] / sum(part) for part in parts) / 3) for column in range(3)]
        np.testing.assert_allclose(shares, expected, rtol=1e-9)


PAIRS = [(0, 1), (0, 2), (1, 2)]


class TestRepeats:
    """Columns and rows that say nothing of their own, by loops."""

    @pytest.mark.parametrize("seed", range(10))
    @pytest.mark.parametrize("block", [4, 2**20])
    def test_against_loops(self, monkeypatch, seed, block):
        monkeypatch.setattr(feature_shares, "BLOCK_VALUES", block)
        random = np.random.RandomState(seed)
        features = random.randint(-1, 2, (random.randint(1, 12), random.randint(1, 9))).astype(np.float32)
        features = features[:, random.randint(0, features.shape[1], 9)]
        features[(features == 0) & (random.uniform(size=features.shape) < 0.5)] = -0.0
        rows, columns = features.tolist(), features.T.tolist()
        assert feature_shares.constant_columns(features).tolist() == [len(set(column)) == 1 for column in columns]
        first = [columns.index(column) for column in columns]
        expected = [-1 if first[place] == place else first[place] for place in range(len(first))]
        assert feature_shares.duplicate_columns(features).tolist() == expected
        assert feature_shares.repeated_rows(features) == sum(rows.count(row) > 1 for row in rows)


class TestRoundedIntegers:
    """Whole numbers that float32 cannot hold, counted where they are read."""

    @pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint32, np.uint64, np.float64])
    def test_each_by_python_s_integers(self, kind):
        random = np.random.RandomState(0)
        low, high = (0, 2**53) if kind is np.float64 else (np.iinfo(kind).min, np.iinfo(kind).max)
        powers = [2**power + add for power in range(20, 65) for add in (-1, 0, 1)]
        powers += [-one for one in powers] + [low, high, high - 1, low + 1, high - 2**30 + 1]
        values = [one for one in powers if low <= one <= high] + random.randint(0, 2**31 - 1, 500).tolist()
        array = np.array(values, dtype=kind).reshape(-1, 1)
        expected = [int(np.float32(one)) != one for one in values]
        assert data_table.rounded_integers(array)[:, 0].tolist() == expected
        assert 10 < sum(expected) < len(expected) - 10

    @pytest.mark.parametrize(
        "values",
        [
            [0.1, 2**24 + 0.5, np.nan, np.inf, -np.inf, 1e39],
            np.arange(-(2**24), -(2**24) + 5),
            np.array([True, False]),
            np.array([], dtype=np.int64),
            np.float32([3e38, 2**24 + 2]),
            np.array([], dtype=object),
        ],
        ids=["fractions", "small", "booleans", "none", "float32", "no objects"],
    )
    def test_nothing_else_is_one(self, values):
        assert not data_table.rounded_integers(np.asarray(values)).any()

    FRAME = pd.DataFrame({"x": [0.5, 1.5, 2.5, 3.5], "n": [1, 2**24 + 1, 2**24 + 2, 2**24 + 3]})

    def record(self, path: Path, source: str = "file", **keys: str) -> dict[str, int]:
        out = path.parent / "out" / "data.parquet"
        fetch.compute("mine", {"source": source, "path": str(path), **keys}, path, None, out)
        return store.read_record(out)["rounded"]

    @pytest.mark.parametrize("end", ["csv", "tsv", "parquet", "feather", "npy", "npz"])
    def test_in_each_format_of_a_table(self, tmp_path, end):
        path = tmp_path / f"mine.{end}"
        match end:
            case "csv" | "tsv":
                self.FRAME.to_csv(path, index=False, sep="," if end == "csv" else "\t")
            case "parquet" | "feather":
                getattr(self.FRAME, f"to_{end}")(path)
            case "npy":
                np.save(path, self.FRAME.to_numpy())
            case "npz":
                np.savez(path, X=self.FRAME["n"].to_numpy()[:, None])
        assert self.record(path) == {{"npy": "1", "npz": "0"}.get(end, "n"): 2}

    def test_beside_missing_values_and_in_long_numbers(self, tmp_path):
        path = tmp_path / "mine.parquet"
        columns = {
            "n": pa.array([2**62 + 1, None, 3, 4]),
            "m": pa.array([2**24 + 1, 2**24 + 1, 1, None]).cast(pa.decimal128(20)),
            "x": pa.array([0.5, 1.0, 2.0, 3.0]),
        }
        pa.parquet.write_table(pa.table(columns), path)
        assert self.record(path, missing="median") == {"n": 1, "m": 2}
        (tmp_path / "mine.csv").write_text("n,x\n1234567890123456789,1\n3,2\n")
        assert self.record(tmp_path / "mine.csv") == {"n": 1}

    @pytest.mark.parametrize("kind", ["dense", "csr", "csc", "obsm", "frame"])
    def test_in_anndata(self, tmp_path, monkeypatch, kind):
        monkeypatch.setattr(data_table, "BLOCK_VALUES", 4)  # so that columns and rows come in several blocks
        matrix = np.zeros((5, 3))
        matrix[1:4, 2], matrix[4, 1] = [2**24 + 1, 2**24 + 2, 2**25 + 1], 2**24 + 1
        of_x = {"dense": matrix, "csr": scipy.sparse.csr_matrix(matrix), "csc": scipy.sparse.csc_matrix(matrix)}
        data = anndata.AnnData(of_x.get(kind, np.zeros((5, 1))), obs=pd.DataFrame(index=list("abcde")))
        names = [str(place) for place in range(3)] if kind != "obsm" else ["own_1", "own_2", "own_3"]
        if kind in of_x:
            data.var_names = names
        else:
            frame = pd.DataFrame(matrix.astype(np.int64), columns=names, index=data.obs_names)
            data.obsm["own"] = matrix if kind == "obsm" else frame
        data.write_h5ad(tmp_path / "mine.h5ad")
        keys = {} if kind in of_x else {"obsm": "own"}
        assert self.record(tmp_path / "mine.h5ad", "anndata", **keys) == {names[1]: 1, names[2]: 2}


@pytest.mark.parametrize(
    ("shares", "constant", "few"),
    [
        ([0.91, 0.05, 0.04], [], [0]),
        ([0.05, 0.04, 0.91], [], [2]),
        ([0.9, 0.06, 0.04], [], []),
        ([0.95, 0.05], [], []),
        ([0.95, 0.05, 0.0], [2], []),
        ([1.0], [], []),
        ([None, None, None], [], []),
        ([0.46, 0.46] + [0.08 / 18] * 18, [], [0, 1]),
        ([0.46, 0.46] + [0.08 / 17] * 17, [], []),
        ([0.46, 0.46] + [0.08 / 17] * 17 + [0.0], [19], []),
        ([0.91, 0.05] + [0.04 / 18] * 18, [], [0]),
    ],
)
def test_few_columns_decide_where_they_hold_nearly_all(shares, constant, few):
    assert feature_shares.few_that_decide(shares, [place in constant for place in range(len(shares))]) == few


def measured(folder: Path, source: dict[str, Any], metric: str = "euclidean") -> list[str]:
    """Read a source and store its shares, as the two rules do, and return what is said of them."""
    data = folder / "data.parquet"
    fetch.compute("mine", source, source.get("path"), None, data)
    feature_shares.compute(data, folder / "features.parquet", folder / "features.csv", metric, {}, 0)
    return feature_shares.sentences(folder / "features.parquet")


@pytest.mark.parametrize(
    ("name", "decides"),
    [("digits", False), ("iris", False), ("diabetes", False), ("wine", True), ("breast_cancer", True)],
)
def test_real_data_is_told_where_units_decide_and_not_elsewhere(tmp_path, name, decides):
    said = " ".join(measured(tmp_path, {"source": "sklearn", "name": name}))
    assert ("of the euclidean distances" in said) == decides
    assert ("proline decides 95.1 %" in said) == (name == "wine")
    assert ("3 of 64 columns are constant" in said) == (name == "digits")
    assert ("2 of 150 rows equal another row" in said) == (name == "iris")


def test_a_metric_without_parts_has_null_shares(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.random.RandomState(0).uniform(size=(20, 2)))
    assert measured(tmp_path, {"source": "file", "path": str(path)}, "haversine") == []
    assert store.read(tmp_path / "features.parquet").column("share").to_pylist() == [None, None]
    assert store.read_record(tmp_path / "features.parquet")["pairs"] is None
    with pytest.raises(InputError, match="haversine needs 2 columns"):
        np.save(path, np.zeros((20, 3)))
        measured(tmp_path, {"source": "file", "path": str(path)}, "haversine")


def drawn(count: int, shares: np.ndarray | None, long: str = "") -> Any:
    names = [f"feature {place}{long}" for place in range(count)]
    figure = plot_features.draw(names, shares, "title", ["a fact"], "nothing to share", 150)
    FigureCanvasAgg(figure).draw()
    return figure


def on_the_page(axes: Any) -> None:
    page = axes.figure.bbox
    for text in (*axes.get_yticklabels(), *axes.texts, axes.xaxis.label, axes.yaxis.label):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text


class TestFigure:
    """Bars for few features or few that decide, a curve for many, a sentence for none."""

    @pytest.mark.parametrize("count", [1, 4, 20, 21, 64])
    def test_bars_and_one_of_all_others(self, count):
        shares = np.float64([2.0**-place for place in range(count)])
        axes = drawn(count, shares / shares.sum(), ", a name that is much too long for the page").axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        widths = [bar.get_width() for bar in axes.patches]
        assert len(widths) == len(names) == min(count, 21)
        assert sum(widths) == pytest.approx(100)
        if count > 20:
            assert names[-1] == ("1 other" if count == 21 else "44 others")
        on_the_page(axes)

    def test_a_curve_where_bars_would_show_little(self):
        axes = drawn(1000, np.full(1000, 0.001)).axes[0]
        assert [text.get_text() for text in axes.texts] == ["500 of 1,000 hold 50 %", "900 of 1,000 hold 90 %"]
        assert not axes.patches
        on_the_page(axes)
        assert axes.lines[1].get_ydata()[[0, -1]] == pytest.approx([0, 100])

    @pytest.mark.parametrize("power", [0.2, 1, 2])
    def test_its_words_are_on_the_page(self, power):
        shares = 1 / np.arange(1.0, 30_001) ** power
        shares[:20] = shares[20]
        on_the_page(drawn(30_000, shares / shares.sum()).axes[0])

    def test_nothing_to_share_is_said(self):
        assert "nothing to share" in [text.get_text() for text in drawn(3, None).texts]


def test_percent_is_never_more_than_there_is():
    shares = [0, 0.0004, 0.001, 0.2, 0.9, 0.9996, 0.99999, 1]
    said = ["0 %", "< 0.1 %", "0.1 %", "20 %", "90 %", "99.9 %", "99.9 %", "100 %"]
    assert [feature_shares.percent(share) for share in shares] == said


def penguins() -> pd.DataFrame:
    """Return birds like Palmer's: three columns of millimetres and one of grams, and some that say nothing."""
    random = np.random.RandomState(0)
    species = np.repeat([0, 1, 2], 40)

    def measure(means: list[float], deviation: float) -> np.ndarray:
        return (np.float64(means)[species] + deviation * random.normal(size=120)).round(1)

    frame = pd.DataFrame(
        {
            "bill_length_mm": measure([38.8, 48.8, 47.5], 3),
            "bill_depth_mm": measure([18.3, 18.4, 15.0], 1.1),
            "flipper_length_mm": measure([190, 196, 217], 6.5).round(),
            "body_mass_g": measure([3700, 3733, 5076], 450).round(-1),
        }
    )
    frame.iloc[119] = frame.iloc[118]
    return frame.assign(ring=2**24 + 1, weight=frame["body_mass_g"], species=np.array(["A", "C", "G"])[species])


def config(metric: str = "euclidean", **source: Any) -> dict[str, Any]:
    return {
        "dataset": "penguins",
        "datasets": {"penguins": {"source": "file", "path": "penguins.csv", "label": "species"} | source},
        "knn": {"n_neighbors": 10, "metric": metric},
        "grid": {"n_neighbors": [10], "min_dist": [0.1]},
        "umap": {"n_epochs": 20},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished sweep, and the run that finished it."""
    folder = tmp_path_factory.mktemp("penguins")
    penguins().to_csv(folder / "penguins.csv", index=False)
    run = snakemake(folder, config=config(exclude=["weight"]))
    assert run.code == 0, run.output
    return folder, run


class TestRun:
    """The whole, as users run it."""

    def test_table_is_that_of_a_loop(self, finished):
        folder, _ = finished
        table = pd.read_parquet(folder / "results/penguins/features.parquet")
        features = penguins().drop(columns=["weight", "species"])
        assert table["feature"].tolist() == list(features.columns)
        assert table["constant"].tolist() == [False] * 4 + [True]
        assert table["duplicate_of"].isna().all()
        every = itertools.combinations(range(120), 2)
        expected = mean_of_loops("euclidean", features.to_numpy(dtype=np.float32), every)
        np.testing.assert_allclose(table["share"], expected, rtol=1e-9)
        assert 0.98 < table["share"][3] < 1
        record = store.read_record(folder / "results/penguins/features.parquet")
        # All pairs, but the one of two equal rows.
        assert (record["pairs"], record["rows"], record["repeated_rows"]) == (120 * 119 // 2 - 1, 120, 2)
        assert record["rounded"] == {"ring": 120}
        assert list(pd.read_csv(folder / "results/penguins/features.csv")) == list(table)

    def test_it_is_said_in_two_sentences(self, finished):
        _, run = finished
        lines = [line for line in run.output.splitlines() if line.endswith("(docs/data.md).")]
        assert lines == [
            "body_mass_g decides 98.4 % of the euclidean distances between rows; with columns in different units "
            "rescale them, or choose another metric (docs/data.md).",
            "In the data, 1 of 5 columns is constant (ring); 2 of 120 rows equal another row; 120 whole numbers "
            "beyond 2^24 are rounded to float32 (ring) (docs/data.md).",
        ]

    def test_it_is_drawn_and_in_the_report(self, finished):
        folder, _ = finished
        plots = folder / "results/penguins/plots"
        assert (plots / "features.png").read_bytes().startswith(b"\x89PNG")
        assert (plots / "features.pdf").read_bytes().startswith(b"%PDF")
        run = snakemake(folder, "--report", "report.html", config=config(exclude=["weight"]))
        assert run.code == 0, run.output
        report = (folder / "report.html").read_text()
        assert "features.png" in report and "features.csv" in report

    def test_a_duplicate_is_named_and_another_metric_is_another_table(self, finished):
        folder, _ = finished
        target = "results/penguins/features.parquet"
        (folder / "other").mkdir()
        penguins().drop(columns="ring").to_csv(folder / "other/penguins.csv", index=False)
        run = snakemake(folder / "other", target, config=config())
        assert run.code == 0, run.output
        table = pd.read_parquet(folder / "other" / target)
        assert table["duplicate_of"].tolist() == [None] * 4 + ["body_mass_g"]
        assert "1 of 5 columns repeats another (weight = body_mass_g)" in " ".join(
            feature_shares.sentences(folder / "other" / target)
        )
        again = snakemake(folder / "other", "--dry-run", target, config=config("chebyshev"))
        assert again.jobs == {"features": 1}
