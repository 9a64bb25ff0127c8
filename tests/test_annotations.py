"""What describes the rows may change at any time, and nothing that UMAP sees is computed anew for it."""

import datetime
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run, snakemake
from sklearn.datasets import load_iris

from umap_sweep import store
from umap_sweep.cells.keys import KEY_COLUMNS
from umap_sweep.quality import annotation_metrics

# Two batches and three donors, who have nothing to do with what a flower looks like.
FLOWERS = load_iris(as_frame=True).frame.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
FLOWERS = FLOWERS.assign(
    flower=[f"f{row}" for row in range(150)],
    kind=load_iris().target_names[FLOWERS.pop("target")],
    donor=np.tile(["D1", "D2", "D3"], 50),
    batch=np.repeat([1, 2], 75),
)
SOURCE = {"source": "file", "path": "flowers.csv", "id": "flower", "label": "kind"}
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]

# What is made from the layouts and the rows, where a label or an annotation changes.
DESCRIBED = dict.fromkeys(
    [
        *("rows", "sweep", "embeddings", "annotation_metrics", "metrics", "comparisons", "shortlist", "manifest"),
        *("plot_grid", "plot_metrics", "plot_comparisons", "atlas", "all"),
    ],
    1,
)
COMPUTED = {"knn": 1, "high_dimensional": 1, "graph": 2, "initial_layout": 2, "layout_0p1_0p5": 2, "cell_metrics": 2}
EVERYTHING = (
    DESCRIBED | COMPUTED | {"fetch": 1, "features": 1, "plot_features": 1} | {"neighboring_cells": 1, "plot_changes": 1}
)


def config(**source: object) -> dict:
    return {
        "dataset": "flowers",
        "datasets": {"flowers": SOURCE | {"features": "numeric", "exclude": ["batch"]} | source},
        "knn": {"n_neighbors": 12},
        "grid": {"n_neighbors": [5, 12], "min_dist": [0.1, 0.5]},
        "umap": {"n_epochs": 20},
    }


def sweep(folder: Path, *arguments: str, **source: object) -> Run:
    run = snakemake(folder, *arguments, config=config(**source))
    assert run.code == 0, run.output
    return run


def stored(folder: Path, pattern: str) -> dict[str, tuple[bytes, int]]:
    """Return bytes and time of change of results, by path."""
    paths = sorted((folder / "results/flowers").glob(pattern))
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished sweep. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("flowers")
    FLOWERS.to_csv(folder / "flowers.csv", index=False)
    sweep(folder)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """Return a copy of it, with its files' times, that a test may change."""
    shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"


class TestPlans:
    """What a change of the data's description plans, and what one of its features does."""

    def test_the_first_run_is_everything(self, tmp_path):
        FLOWERS.to_csv(tmp_path / "flowers.csv", index=False)
        assert sweep(tmp_path, "--dry-run").jobs == EVERYTHING

    def test_nothing_to_do_afterwards(self, finished):
        assert sweep(finished, "--dry-run").jobs == {}

    @pytest.mark.parametrize(
        "source",
        [{"label": "donor"}, {"annotations": ["donor"]}, {"label": "donor", "annotations": ["kind"]}],
        ids=["label", "annotation", "both"],
    )
    def test_another_description(self, finished, source):
        assert sweep(finished, "--dry-run", **source).jobs == DESCRIBED

    def test_no_label_any_more(self, finished):
        changed = config()
        del changed["datasets"]["flowers"]["label"]
        assert snakemake(finished, "--dry-run", config=changed).jobs == DESCRIBED

    def test_a_column_that_was_no_feature_becomes_an_annotation(self, finished):
        assert sweep(finished, "--dry-run", annotations=["batch"]).jobs == DESCRIBED

    def test_a_category_renamed_in_the_file(self, copy):
        FLOWERS.replace({"kind": {"setosa": "bristly"}}).to_csv(copy / "flowers.csv", index=False)
        assert sweep(copy, "--dry-run").jobs == DESCRIBED
        before = stored(copy, "layouts/**/*.parquet")
        run = sweep(copy)
        assert run.jobs == DESCRIBED
        assert "Left out, because not numeric: donor ('D1' in line 2)." in run.output
        assert stored(copy, "layouts/**/*.parquet") == before
        table = pd.read_parquet(copy / "results/flowers/sweep.parquet")
        assert set(table["label"]) == {"bristly", "versicolor", "virginica"}
        cell = pd.read_parquet(next((copy / "results/flowers/embeddings").rglob("*.parquet")), partitioning=None)
        assert list(cell.columns) == ["id", "label", "umap_1", "umap_2"]
        assert set(cell["label"]) == {"bristly", "versicolor", "virginica"}
        again = sweep(copy, "--dry-run")
        assert again.jobs == {}
        assert "reading" not in again.output  # what was found out once is remembered

    def test_a_file_that_was_only_touched(self, copy):
        (copy / "flowers.csv").touch()
        assert not set(sweep(copy, "--dry-run").jobs) & (set(COMPUTED) | {"fetch"})

    def test_a_column_that_is_no_feature_is_added_to_the_file(self, copy):
        FLOWERS.assign(note="x").to_csv(copy / "flowers.csv", index=False)
        assert sweep(copy, "--dry-run", annotations=["note"]).jobs == DESCRIBED

    @pytest.mark.parametrize(
        "changed",
        [
            FLOWERS.drop(columns="sepal_width"),
            FLOWERS.drop(index=149),
            FLOWERS.assign(sepal_width=FLOWERS["sepal_width"].where(FLOWERS.index != 70, 9.0)),
            FLOWERS.iloc[::-1],
            FLOWERS.assign(height=1.5),
        ],
        ids=["column removed", "row removed", "value changed", "order", "column added"],
    )
    def test_other_features_in_the_file(self, copy, changed):
        changed.to_csv(copy / "flowers.csv", index=False)
        assert sweep(copy, "--dry-run").jobs == EVERYTHING

    @pytest.mark.parametrize(
        "source",
        [{"exclude": ["batch", "sepal_width"]}, {"features": FEATURES[::-1]}, {"exclude": ["petal*"]}],
        ids=["removed", "order", "pattern"],
    )
    def test_other_features_by_the_configuration(self, finished, source):
        assert sweep(finished, "--dry-run", **source).jobs == EVERYTHING

    def test_the_same_features_said_in_other_words(self, finished):
        assert set(sweep(finished, "--dry-run", features=["sepal*", "petal*"]).jobs) <= set(DESCRIBED)

    def test_another_annotation_file(self, copy):
        notes = pd.DataFrame({"flower": FLOWERS["flower"], "leiden": np.arange(150) % 4})
        notes.to_csv(copy / "clusters.csv", index=False)
        source = {"annotations": ["donor", {"path": "clusters.csv", "id": "flower", "columns": ["leiden"]}]}
        assert sweep(copy, **source).jobs == DESCRIBED
        assert sweep(copy, "--dry-run", **source).jobs == {}
        notes.assign(leiden=0).to_csv(copy / "clusters.csv", index=False)
        assert sweep(copy, "--dry-run", **source).jobs == DESCRIBED
        rows = pd.read_parquet(copy / "results/flowers/rows.parquet")
        assert list(rows.columns) == ["id", "label", "donor", "leiden"]
        assert rows["leiden"].tolist() == (np.arange(150) % 4).tolist()


class TestWrongDescriptions:
    """They end with one sentence, before anything long is computed."""

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ({"label": "knid"}, "'knid'"),
            ({"id": "donor"}, "'D1' occurs 50 times"),
            ({"annotations": ["donr"]}, "Did you mean 'donor'?"),
            ({"annotations": [{"path": "none.csv", "id": "flower"}]}, "none.csv"),
            ({"annotations": ["kind", "kind"]}, "a list of different values"),
        ],
        ids=["label", "id", "annotation", "file", "twice"],
    )
    def test_of_the_rows(self, tmp_path, source, said):
        FLOWERS.to_csv(tmp_path / "flowers.csv", index=False)
        run = snakemake(tmp_path, config=config(**source))
        assert run.code != 0
        assert said in run.output
        assert "Traceback" not in run.output
        assert not list(tmp_path.glob("results/flowers/layouts/**/*.parquet"))


class TestPurity:
    """How mixed the values of an annotation are, in the picture and in the data."""

    def brute(self, codes: np.ndarray, neighbors: np.ndarray) -> float:
        shares = []
        for row, near in enumerate(neighbors):
            known = [codes[one] for one in near if one >= 0 and codes[one] >= 0]
            if codes[row] >= 0 and known:
                shares.append(np.mean([one == codes[row] for one in known]))
        return float(np.mean(shares)) if shares else float("nan")

    @pytest.mark.parametrize("seed", range(20))
    def test_against_a_loop_over_rows(self, seed):
        random = np.random.RandomState(seed)
        rows, k = random.randint(2, 40), random.randint(1, 8)
        codes = random.randint(-1, random.randint(1, 5), rows)
        neighbors = random.randint(-1, rows, (rows, k))
        found, expected = annotation_metrics.purity(codes, neighbors), self.brute(codes, neighbors)
        assert found == pytest.approx(expected, nan_ok=True)

    @pytest.mark.parametrize("seed", range(5))
    def test_by_chance_is_that_of_two_rows_drawn_at_random(self, seed):
        random = np.random.RandomState(seed)
        codes = random.randint(-1, 4, 30)
        known = codes[codes >= 0]
        pairs = [(a, b) for a in range(len(known)) for b in range(len(known)) if a != b]
        expected = np.mean([known[a] == known[b] for a, b in pairs])
        assert annotation_metrics.purity_by_chance(codes) == pytest.approx(expected)

    def test_in_a_sweep(self, copy):
        sweep(copy, annotations=["donor", "batch"])
        table = pd.read_parquet(copy / "results/flowers/annotations.parquet")
        assert list(table.columns) == ["annotation", *KEY_COLUMNS, *annotation_metrics.ANNOTATION_COLUMNS]
        assert table.groupby("annotation", sort=False).size().to_dict() == {"label": 4, "donor": 4, "batch": 4}
        means = table.groupby("annotation")[["purity", "purity_in_data", "purity_by_chance"]].mean()
        # Kinds lie apart in the data and in the picture; donors are mixed in both.
        assert means.loc["label", "purity"] > 0.9 and means.loc["label", "purity_in_data"] > 0.9
        assert abs(means.loc["donor", "purity"] - means.loc["donor", "purity_by_chance"]) < 0.1
        assert means.loc["donor", "purity_by_chance"] == pytest.approx(49 / 149)
        cell = store.read(next((copy / "results/flowers/metrics").rglob("*.parquet"))).column_names
        assert not {"label_accuracy", "silhouette"} & set(cell)
        metrics = pd.read_parquet(copy / "results/flowers/metrics.parquet")
        assert metrics["label_accuracy"].between(0.85, 1).all()
        assert list(metrics.columns)[: len(KEY_COLUMNS)] == list(KEY_COLUMNS)


class TestFigures:
    """One more figure of the grid for each annotation that is asked for."""

    def test_they_are_drawn_and_nothing_else_is(self, finished, tmp_path):
        shutil.copytree(finished, tmp_path / "copy", copy_function=shutil.copy2)
        asked = config(annotations=["donor", "batch"]) | {"plot": {"annotations": ["donor"]}}
        run = snakemake(tmp_path / "copy", config=asked)
        assert run.code == 0, run.output
        assert run.jobs == DESCRIBED | {"plot_grid": 2}
        plots = tmp_path / "copy/results/flowers/plots"
        pictures = [(plots / f"{name}.png").read_bytes() for name in ("grid", "grid_by=donor")]
        assert all(picture.startswith(b"\x89PNG") for picture in pictures)
        assert pictures[0] != pictures[1]
        both = asked | {"plot": {"annotations": ["donor", "batch"]}}
        assert snakemake(tmp_path / "copy", "--dry-run", config=both).jobs == {"plot_grid": 1, "manifest": 1, "all": 1}


# Annotations that are odd, each with the number of rows that have a value.
ODD = {
    "many": ([f"category {row}" for row in range(150)], 150),
    "empty": ([None] * 150, 0),
    "same": (["one"] * 150, 150),
    "digits as text": (["007", "7", None] * 50, 100),
    "<b>&markup</b>": (["<script>alert(1)</script>", "&amp;", '"quoted"'] * 50, 150),
    "a/b": (["x", "y\nz", " "] * 50, 150),
    "long": (["n" * 3000, "m" * 3000, None] * 50, 100),
    "huge": ([1e308, -1e308, 5.0] * 50, 150),
    "whole": ([2**62, -(2**62), 0] * 50, 150),
    "yes": ([True, False, None] * 50, 100),
    "day": ([datetime.date(2024, 1, 2), datetime.date(2024, 2, 3), None] * 50, 100),
    "emoji 🦠": (["Клетка", "細胞", "خلية"] * 50, 150),
}


def test_odd_annotations_are_taken_as_they_are(tmp_path):
    """In tables, figures, atlas and AnnData, without a traceback and without a wrong value."""
    table = pa.Table.from_pandas(FLOWERS, preserve_index=False)
    for name, (values, _) in ODD.items():
        table = table.append_column(name, pa.array(values, pa.string() if name == "empty" else None))
    pq.write_table(table, tmp_path / "flowers.parquet")
    asked = config(path="flowers.parquet", features=FEATURES, annotations=list(ODD)) | {
        "plot": {"annotations": list(ODD)}
    }
    del asked["datasets"]["flowers"]["exclude"]
    run = snakemake(tmp_path, "all", "anndata", config=asked)
    assert run.code == 0, run.output
    assert "Traceback" not in run.output
    rows = store.read(tmp_path / "results/flowers/rows.parquet")
    for name, (values, known) in ODD.items():
        found = rows.column(name)
        assert len(found) - found.null_count == known
        if name not in ("day", "empty"):
            assert found.to_pylist() == list(values)
    assert rows.column("day").to_pylist()[:3] == ["2024-01-02", "2024-02-03", None]
    plots = [path.name for path in (tmp_path / "results/flowers/plots").glob("grid_by=*.png")]
    assert len(plots) == len(ODD)
    assert "grid_by=a%2Fb.png" in plots
    measured = pd.read_parquet(tmp_path / "results/flowers/annotations.parquet").set_index("annotation")
    assert measured.loc["same", "purity"].eq(1).all()
    assert measured.loc["many", "purity"].eq(0).all()
    assert measured.loc["empty", "purity"].isna().all()
    assert "huge" in measured.index or "huge" in rows.column_names
