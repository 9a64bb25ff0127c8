"""One cell for other tools, read back by the readers of the formats; and a figure of it, measured in millimetres."""

import csv
import json
import re
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run, snakemake, store_rows

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.figures import cell as figures
from umap_sweep.figures import pictures
from umap_sweep.results import export

NAMES = ['=HYPERLINK("x")', "+1", "-2.5e3", "-A", "@SUM(A1)", "\t=1", "'-1", "naïve,\tB\nT", "plain", None]
KEY = {"metric": "euclidean", "n_neighbors": 3, "min_dist": 0.1, "seed": 10, "knn_k": 4, "knn_seed": 10}


@pytest.fixture
def stored(tmp_path):
    """Return the stored layout, rows and k-NN of ten rows with hostile labels, the fourth without a place."""
    return tmp_path, *stored_cell(tmp_path, 2, label=NAMES, X=[True, None] * 5, depth=np.arange(10) / 3)


def stored_cell(folder: Path, dimensions: int, **columns: object) -> tuple[Path, Path, Path]:
    points = np.random.default_rng(0).normal(size=(10, dimensions)).astype(np.float32)
    points[3] = np.nan
    rows = store_rows(folder, 10, **columns)
    layout, knn = folder / "layout.parquet", folder / "knn.parquet"
    table = pa.table({f"umap_{axis + 1}": points[:, axis] for axis in range(dimensions)})
    inputs = {"data/data.parquet": "0"}
    store.write(layout, table, store.make_record("layout", KEY, store.fingerprint(table), inputs))
    indices = (np.arange(10, dtype=np.int32)[:, None] + np.arange(4, dtype=np.int32)) % 10
    indices[5, 2] = -1  # as where NN-descent found fewer
    table = pa.table(
        {f"index_{place}": indices[:, place] for place in range(4)}
        | {f"distance_{place}": np.full(10, place / 2, np.float32) for place in range(4)}
    )
    store.write(knn, table, store.make_record("knn", {}, store.fingerprint(table), inputs))
    return layout, rows, knn


def coordinates(layout: Path) -> np.ndarray:
    return store.matrix(store.read(layout), "umap_")


class TestCsv:
    """The table for R and spreadsheets."""

    def test_values_are_those_of_the_cell(self, stored, capsys):
        folder, layout, rows, _ = stored
        export.table(layout, rows, folder / "cell.csv")
        found = pd.read_csv(folder / "cell.csv", float_precision="round_trip")
        assert list(found.columns) == ["id", "label", "X", "depth", "umap_1", "umap_2"]
        assert np.array_equal(found[["umap_1", "umap_2"]].astype("float32"), coordinates(layout), equal_nan=True)
        assert np.array_equal(found["depth"], np.arange(10) / 3)
        assert found["X"].isna().tolist() == [False, True] * 5
        assert "(5 in label)" in capsys.readouterr().err

    def test_no_value_is_a_formula_and_none_is_lost(self, stored):
        folder, layout, rows, _ = stored
        export.table(layout, rows, folder / "cell.csv")
        with (folder / "cell.csv").open(newline="", encoding="utf-8-sig") as file:
            labels = [row["label"] for row in csv.DictReader(file)]
        assert [label for label in labels if re.match(r"[=@\t]|[+-]\D", label)] == []
        assert labels[1:3] == ["+1", "-2.5e3"]  # numbers
        assert [re.sub(r"^'(?='*[=+\-@\t])", "", label) for label in labels] == [name or "" for name in NAMES]

    def test_the_mark_is_there_where_excel_needs_it(self, stored):
        folder, layout, rows, _ = stored
        export.table(layout, rows, folder / "cell.csv")
        assert (folder / "cell.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")
        (folder / "plain").mkdir()
        layout, rows, _ = stored_cell(folder / "plain", 2, label=["a"] * 10)
        export.table(layout, rows, folder / "plain.csv")
        assert (folder / "plain.csv").read_bytes().startswith(b"id,label,umap_1,umap_2\r\n0,a,")


class TestEmbeddingAtlas:
    """The Parquet file for Embedding Atlas, which reads it by pandas and takes its columns by name."""

    def test_coordinates_and_neighbours(self, stored):
        folder, layout, rows, knn = stored
        export.embedding_atlas(layout, rows, knn, folder / "atlas.parquet")
        found = pd.read_parquet(folder / "atlas.parquet")
        # DuckDB would take the annotation X for another x.
        assert list(found.columns) == ["id", "label", "X_", "depth", "x", "y", "neighbors"]
        assert np.array_equal(found[["x", "y"]], coordinates(layout), equal_nan=True)
        assert pq.read_table(folder / "atlas.parquet")["x"].null_count == 1
        assert found["neighbors"][0]["ids"].tolist() == [0, 1, 2]  # as many as the cell's n_neighbors, of four
        assert found["neighbors"][0]["distances"].tolist() == [0, 0.5, 1]
        assert found["neighbors"][5]["ids"].tolist() == [5, 6]
        assert store.read_record(folder / "atlas.parquet")["key"] == KEY

    @pytest.mark.parametrize(("dimensions", "names"), [(1, ["x", "y"]), (3, ["x", "y", "umap_3"])])
    def test_other_dimensions(self, tmp_path, dimensions, names):
        export.embedding_atlas(*stored_cell(tmp_path, dimensions), tmp_path / "atlas.parquet")
        found = pd.read_parquet(tmp_path / "atlas.parquet")
        assert list(found.columns) == ["id", *names, "neighbors"]
        assert found["y"].notna().sum() == 9


def projected(folder: Path, layout: Path, rows: Path) -> dict[str, Path]:
    files = {
        "vectors": "vectors.tsv",
        "metadata": "metadata.tsv",
        "config": "c.json",
        "pbtxt": "projector_config.pbtxt",
    }
    out = {name: folder / file for name, file in files.items()}
    export.projector(layout, rows, "n_neighbors 3", out)
    return out


class TestProjector:
    """The files for TensorBoard's projector."""

    def test_lines_belong_together(self, stored, capsys):
        folder, layout, rows, _ = stored
        out = projected(folder, layout, rows)
        vectors = np.loadtxt(out["vectors"], delimiter="\t", dtype=np.float32)
        assert np.array_equal(vectors[:, :2], np.delete(coordinates(layout), 3, axis=0))
        assert not vectors[:, 2:].any()
        lines = out["metadata"].read_text(encoding="utf-8").removesuffix("\n").split("\n")
        assert len(lines) == 10
        assert {line.count("\t") for line in lines} == {3}
        assert lines[0].split("\t") == ["id", "label", "X", "depth"]
        assert lines[7].split("\t")[:3] == ["7", "naïve, B T", ""]
        assert "1 disconnected row has no coordinates" in capsys.readouterr().err

    def test_a_single_column_has_no_header(self, tmp_path):
        layout, rows, _ = stored_cell(tmp_path, 1)
        out = projected(tmp_path, layout, rows)
        assert out["metadata"].read_text().split() == [str(row) for row in range(10) if row != 3]
        (one,) = json.loads(out["config"].read_text())["embeddings"]
        assert one["tensorShape"] == [9, 3]
        assert (tmp_path / one["tensorPath"], tmp_path / one["metadataPath"]) == (out["vectors"], out["metadata"])
        pbtxt = dict(re.findall(r'^  (\w+): "(.*)"$', out["pbtxt"].read_text(), re.M))
        assert pbtxt == {
            "tensor_name": one["tensorName"],
            "tensor_path": one["tensorPath"],
            "metadata_path": one["metadataPath"],
        }


class TestPlacesOfNames:
    """Where names stand on the points of a figure."""

    def test_neither_in_a_hole_nor_between_two_parts(self):
        turn = np.linspace(0, 2 * np.pi, 400)
        ring = 0.5 + 0.4 * np.column_stack([np.cos(turn), np.sin(turn)])
        assert np.linalg.norm(figures.densest_place(ring) - 0.5) > 0.3
        parts = np.random.default_rng(1).normal(0, 0.03, (300, 2)) + np.repeat(
            [[0.2, 0.2], [0.8, 0.8]], [200, 100], axis=0
        )
        assert np.allclose(figures.densest_place(parts), 0.2, atol=0.03)
        shuffled = np.random.default_rng(2).permutation(parts)
        assert (figures.densest_place(shuffled) == figures.densest_place(parts)).all()

    def test_no_name_lies_on_another_or_leaves_the_panel(self):
        at = np.random.default_rng(3).uniform(0, 36, (30, 2)) * [1, 0.3]
        wanted = [(f"name {place}", 4.0, (x, y)) for place, (x, y) in enumerate(at.tolist())]
        placed, left = figures.place_names(wanted, 36)
        assert len(placed) > 20
        assert len(placed) + len(left) == 30
        boxes = np.array([[one.x - one.width / 2, one.x + one.width / 2, one.y - 0.6, one.y + 0.6] for one in placed])
        assert boxes.min() >= 0
        assert boxes.max() <= 36
        for place, (low, high, bottom, top) in enumerate(boxes):
            for low_2, high_2, bottom_2, top_2 in boxes[:place]:
                assert high <= low_2 or high_2 <= low or top <= bottom_2 or top_2 <= bottom

    def test_a_name_without_room_is_in_the_legend(self):
        labels = pa.array([f"a rather long name, {place % 20}" for place in range(200)])
        points = np.random.default_rng(4).normal(size=(200, 2)).astype(np.float32)
        colouring = pictures.colour_points(labels, "auto", 200)
        drawn = figures.draw(points, colouring, 40, None, 8, True, "auto", 100)
        texts = [text.get_text().removesuffix("…") for text in drawn.axes[0].texts]
        assert len(texts) == len(set(texts)) == 20


TABLE = "\n".join(
    ["name,a,b,c,species,depth"]
    + [f"=p{row},{row % 7},{row * row % 11},{row % 3},{['Adélie', 'Gentoo'][row % 2]},{row}" for row in range(60)]
)
CELL = {"n_neighbors": 5, "min_dist": 0.1}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Run, dict]:
    """Return the folder of a finished run, the run, and its configuration."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "penguins.csv").write_text(TABLE)
    source = {"source": "file", "path": "penguins.csv", "id": "name", "label": "species", "annotations": ["depth"]}
    config = {
        "dataset": "penguins",
        "datasets": {"penguins": source},
        "knn": {"n_neighbors": 8},
        "grid": {"n_neighbors": [5, 8], "min_dist": [0.1], "seed": [1]},
        "umap": {"n_epochs": 10},
        "export": {"cell": CELL},
        "figure": {"cell": CELL | {"seed": 1}, "width": 89, "height": 60, "dpi": 300, "legend": True},
    }
    return folder, snakemake(folder, "export", "figure", config=config), config


class TestTargets:
    """`export` and `figure`, run by Snakemake."""

    def test_one_cell_is_laid_out_and_written(self, run):
        folder, done, _ = run
        assert done.code == 0, done.output
        assert done.laid_out == 1
        made = {path.name for path in folder.glob("results/penguins/export/**/seed=1/**/*.*")}
        assert made == {
            *("embedding_atlas.parquet", "cell.csv", "vectors.tsv", "metadata.tsv", "projector_config.json"),
            "projector_config.pbtxt",
        }
        written = [line.removeprefix("Wrote ") for line in done.output.splitlines() if line.startswith("Wrote ")]
        assert len(written) == 6
        assert all((folder / path).is_file() for path in written)
        assert "(60 in id)" in done.output

    def test_a_cell_that_the_grid_does_not_have(self, run):
        folder, _, config = run
        wrong = config | {"export": {"cell": {"n_neighbors": 15, "min_dist": 0.1}}}
        refused = snakemake(folder, "--dry-run", "export", config=wrong)
        assert refused.code == 1
        assert (
            "export.cell is n_neighbors 15, min_dist 0.1, which the grid does not have; it has n_neighbors 5, 8."
            in (refused.output)
        )
        assert "Traceback" not in refused.output
        refused = snakemake(folder, "--dry-run", "figure", config=config | {"figure": {}})
        assert "figure.cell is missing, and the grid has 2 cells; name one, as in {n_neighbors: 5," in refused.output

    def test_a_figure_has_its_size_and_its_text_is_text(self, run):
        path = next(run[0].glob("results/penguins/figure/**/figure.png"))
        header = path.read_bytes()
        assert struct.unpack(">II", header[16:24]) == (int(89 / 25.4 * 300), int(60 / 25.4 * 300))
        svg = path.with_suffix(".svg").read_text(encoding="utf-8")
        assert ">Adélie<" in svg
        width, height = (float(re.search(rf'{side}="([\d.]+)pt"', svg)[1]) for side in ("width", "height"))
        assert (width, height) == (pytest.approx(89 / 25.4 * 72, abs=1e-3), pytest.approx(60 / 25.4 * 72, abs=1e-3))
        assert "<image" not in svg  # of few points each is a circle
        pdf = path.with_suffix(".pdf").read_bytes()
        box = [float(number) for number in re.search(rb"/MediaBox \[ ([\d. ]+) \]", pdf)[1].split()]
        assert box == [0, 0, pytest.approx(89 / 25.4 * 72, abs=1e-3), pytest.approx(60 / 25.4 * 72, abs=1e-3)]
        assert b"/Subtype /Type0" in pdf or b"/Subtype /TrueType" in pdf
        assert b"n_neighbors 5, min_dist 0.1, seed 1" in pdf

    def test_the_same_bytes_every_time(self, run, tmp_path):
        (layout,) = run[0].glob("results/penguins/layouts/**/layout.parquet")
        first = next(run[0].glob("results/penguins/figure/**/figure.png"))
        figure = {
            "width": 89,
            "height": 60,
            "font_size": 7,
            "color_by": "label",
            "labels": True,
            "legend": True,
            "dpi": 300,
        }
        out = [tmp_path / f"figure.{ending}" for ending in ("pdf", "svg", "png")]
        rows = run[0] / "results/penguins/rows.parquet"
        figures.plot_cell(layout, rows, out, figure, "auto", "penguins")
        for path in out:
            assert path.read_bytes() == first.with_suffix(path.suffix).read_bytes(), path.name
        figures.plot_cell(layout, rows, out[2:], figure | {"color_by": "depth"}, "auto", "penguins")
        assert out[2].read_bytes() != first.read_bytes()
        with pytest.raises(InputError, match=r"color_by is 'dpth', which is no annotation .* it has label, depth"):
            figures.plot_cell(layout, rows, out, figure | {"color_by": "dpth"}, "auto", "penguins")
        with pytest.raises(InputError, match=r"leaves \d mm of the figure for the points; raise figure.height"):
            figures.plot_cell(layout, rows, out, figure | {"height": 20, "font_size": 18}, "auto", "penguins")


def test_a_figure_of_three_dimensions_says_which_it_shows(tmp_path, capsys):
    layout, rows, _ = stored_cell(tmp_path, 3)
    look = {"width": 40, "height": None, "font_size": 7, "color_by": None, "labels": True, "legend": "auto", "dpi": 72}
    figures.plot_cell(layout, rows, [tmp_path / "figure.png"], look, "auto", "mine")
    assert "The figure shows the first two of the 3 dimensions of the cell." in capsys.readouterr().err
    figures.plot_cell(*stored_cell(tmp_path, 2)[:2], [tmp_path / "figure.png"], look, "auto", "mine")
    assert "first two" not in capsys.readouterr().err


def test_many_points_are_pixels_in_a_vector_figure(tmp_path):
    points = np.random.default_rng(5).normal(size=(20_000, 2)).astype(np.float32)
    colouring = pictures.colour_points(None, "auto", len(points))
    with figures.drawing(figures.STYLE):
        figures.save(figures.draw(points, colouring, 50, None, 7, True, "auto", 150), [tmp_path / "figure.svg"], 150)
    svg = (tmp_path / "figure.svg").read_text()
    assert svg.count("<image") == 1
    assert len(svg) < 1_000_000
