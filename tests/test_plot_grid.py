"""The grid figure, judged by its pixels, its texts and its bytes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from umap_sweep.errors import InputError
from umap_sweep.figures import grid as plot_grid
from umap_sweep.figures import pictures, style
from umap_sweep.planning import panels as planned

PLOT = {"label_kind": "auto", "panel_size": 1.2, "dpi": 100, "vector_format": "svg"}
SIDE = 120
MANY = 2_000  # Enough for a panel of 120 pixels to be shaded.
BLUE, VERMILLION = (np.rint(255 * np.array(to_rgb(pictures.CATEGORY_COLOURS[place]))) for place in (0, 1))


def cloud(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 2)).astype(np.float32)


def write_sweep(path: Path, cells: dict[tuple[int, float], np.ndarray], labels: Any = None, seed: int = 10) -> Path:
    parts = []
    for (n_neighbors, min_dist), points in cells.items():
        rows = len(points)
        columns = {
            "n_neighbors": pa.array([n_neighbors] * rows, pa.int64()),
            "min_dist": pa.array([min_dist] * rows, pa.float64()),
            "seed": pa.array([seed] * rows, pa.int64()),
            "knn_k": pa.array([50] * rows, pa.int64()),
            "knn_seed": pa.array([3] * rows, pa.int64()),
            "id": pa.array(range(rows)),
        }
        if labels is not None:
            columns["label"] = pa.array(labels)
        for place in range(points.shape[1]):
            columns[f"umap_{place + 1}"] = pa.array(points[:, place])
        parts.append(pa.table(columns))
    pq.write_table(pa.concat_tables(parts), path, write_page_checksum=True, use_dictionary=False, compression="none")
    return path


def plot(sweep: Path, folder: Path, vector: str = "grid.svg", **changes: Any) -> tuple[Path, Path]:
    png, vector_path = folder / "grid.png", folder / vector
    plot_grid.plot_grid(sweep, png, vector_path, PLOT | changes, "toy_data", "cosine", 3, 10)
    return png, vector_path


def texts(svg: Path) -> list[str]:
    found = re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text())
    return [text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for text in found]


def colouring(labels: Any, kind: str = "auto") -> pictures.Colouring:
    return pictures.colour_points(pa.array(labels), kind, len(labels))


def drawn(cells: dict[tuple[int, float], np.ndarray], labels: Any, dimensions: int = 2) -> Figure:
    embeddings = plot_grid.Embeddings(cells, pa.array(labels), 50, dimensions)
    return plot_grid.draw(embeddings, colouring(labels), "title", ["fact"], SIDE, 100)


def panels(figure: Figure) -> dict[str, Any]:
    return {axes.get_label(): axes for axes in figure.axes if axes.get_label().startswith("n_neighbors")}


@pytest.mark.parametrize("rows", [40, MANY])
@pytest.mark.parametrize("vector", ["grid.svg", "grid.pdf"])
def test_same_input_gives_same_bytes(tmp_path: Path, rows: int, vector: str) -> None:
    cells = {(5, 0.1): cloud(rows), (15, 0.1): cloud(rows, 1)}
    sweep = write_sweep(tmp_path / "sweep.parquet", cells, np.arange(rows) % 3)
    first = [path.read_bytes() for path in plot(sweep, tmp_path / "a", vector)]
    with matplotlib.rc_context({"font.size": 30, "savefig.facecolor": "red", "svg.hashsalt": None}):
        again = [path.read_bytes() for path in plot(sweep, tmp_path / "b", vector)]
    assert first == again
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"grid.png", vector}


def test_rows_are_n_neighbors_and_columns_min_dist(tmp_path: Path) -> None:
    cells = {(k, m): cloud(30) for k in (200, 5) for m in (0.5, 0.0, 0.25)}
    found = panels(drawn(cells, list("abc") * 10))
    assert len(found) == 6
    corner = {label: axes.get_position() for label, axes in found.items()}
    at = corner["n_neighbors 5 · min_dist 0"]
    assert corner["n_neighbors 5 · min_dist 0.5"].x0 > corner["n_neighbors 5 · min_dist 0.25"].x0 > at.x0
    assert corner["n_neighbors 200 · min_dist 0"].y1 < at.y0
    assert corner["n_neighbors 200 · min_dist 0"].x0 == at.x0
    _, svg = plot(write_sweep(tmp_path / "sweep.parquet", cells, list("abc") * 10), tmp_path)
    assert set(found) <= set(texts(svg))


def test_panels_are_square_and_show_the_picture_pixel_for_pixel(tmp_path: Path) -> None:
    points, labels = cloud(MANY), np.arange(MANY) % 4
    png, _ = plot(write_sweep(tmp_path / "sweep.parquet", {(15, 0.1): points}, labels), tmp_path)
    page = np.rint(255 * matplotlib.image.imread(png)[..., :3]).astype(np.uint8)
    expected = pictures.shade(points, colouring(labels), SIDE)[::-1]
    inside = expected[4:-4, 4:-4]  # The frame covers the panel's edge.
    windows = np.lib.stride_tricks.sliding_window_view(page, inside.shape)[:, :, 0]
    candidates = np.argwhere((windows[:, :, 50, 50] == inside[50, 50]).all(axis=-1))
    assert any(np.array_equal(windows[y, x], inside) for y, x in candidates)


def test_title_says_what_was_done(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep.parquet", {(5, 0.1): cloud(1500), (5, 0.2): cloud(1500)}, [1.5] * 1500)
    _, svg = plot(sweep, tmp_path, panel_size=3)
    found = " ".join(texts(svg)).replace("\u00a0", " ")
    for fact in ("toy_data", "1,500 rows", "cosine metric", "k-NN with k = 50 and seed 3", "UMAP seed 10"):
        assert fact in found


def test_only_the_cells_of_the_seeds_are_drawn(tmp_path: Path) -> None:
    write_sweep(tmp_path / "a.parquet", {(5, 0.1): cloud(30)}, list("xyz") * 10)
    write_sweep(tmp_path / "b.parquet", {(5, 0.1): cloud(30, 1), (5, 0.9): cloud(30)}, list("xyz") * 10, seed=11)
    both = pa.concat_tables([pq.read_table(tmp_path / f"{name}.parquet") for name in "ab"])
    pq.write_table(both, tmp_path / "sweep.parquet")
    read = plot_grid.read_embeddings(tmp_path / "sweep.parquet", knn_seed=3, seed=10)
    assert list(read.cells) == [(5, 0.1)]
    np.testing.assert_array_equal(read.cells[5, 0.1], cloud(30))
    assert (read.knn_k, read.dimensions, read.labels.to_pylist()) == (50, 2, list("xyz") * 10)


@pytest.mark.parametrize("labels", [np.arange(MANY) % 7, np.random.default_rng(1).normal(size=MANY)])
def test_row_order_does_not_matter_where_points_are_many(labels: np.ndarray) -> None:
    points, order = cloud(MANY), np.random.default_rng(2).permutation(MANY)
    picture = pictures.shade(points, colouring(labels), SIDE)
    np.testing.assert_array_equal(picture, pictures.shade(points[order], colouring(labels[order]), SIDE))


def test_a_pixel_mixes_the_classes_in_it_by_their_shares() -> None:
    corners = np.array([[0, 0], [1, 1]])
    points = np.vstack([np.full((100, 2), 0.5), corners])

    def middle(share: int) -> np.ndarray:
        labels = ["a"] * share + ["b"] * (100 - share) + ["a", "b"]
        return pictures.shade(points, colouring(labels), SIDE)[60, 60].astype(float)

    np.testing.assert_array_equal(middle(100), BLUE)
    np.testing.assert_array_equal(middle(0), VERMILLION)
    reds = [middle(share)[0] for share in (100, 75, 50, 25, 0)]
    assert reds == sorted(reds) and len(set(reds)) == 5


@pytest.mark.parametrize("leading", ["a", "b"])
def test_no_class_lies_on_top_where_points_are_few(leading: str) -> None:
    points = cloud(1000) * 0.2 + np.float32(0.5)
    labels = sorted(["a", "b"] * 500, reverse=leading == "b")
    picture = pictures.scatter(points, colouring(labels), 300).astype(float)
    blue = np.linalg.norm(picture - BLUE, axis=-1) < 90
    vermillion = np.linalg.norm(picture - VERMILLION, axis=-1) < 90
    assert 0.8 < blue.sum() / vermillion.sum() < 1.25


@pytest.mark.parametrize("rows", [40, 1_000_000])
def test_a_point_that_lies_alone_is_seen(rows: int) -> None:
    points = cloud(rows)
    points[0] = [50, 50]
    draw = pictures.shade if rows > MANY else pictures.scatter
    picture = draw(points, colouring(["lone"] + ["of many"] * (rows - 1)), 520)
    corner = picture[-40:, -40:]
    marked = (corner < 140).any(axis=-1)
    assert marked.sum() >= 9
    darkest = corner.reshape(-1, 3)[corner.sum(axis=-1).argmin()].astype(float)
    assert np.linalg.norm(darkest - BLUE) < np.linalg.norm(darkest - VERMILLION)


def test_disconnected_points_are_counted_and_not_drawn(tmp_path: Path) -> None:
    with_gaps = cloud(60)
    with_gaps[:12] = np.nan
    labels = ["lost"] * 12 + ["seen"] * 48
    cells = {(5, 0.1): with_gaps, (5, 0.5): cloud(60), (15, 0.1): np.full((60, 2), np.nan, np.float32)}
    found = panels(drawn(cells, labels))
    image = found["n_neighbors 5 · min_dist 0.1"].get_images()[0].get_array()
    assert not (np.linalg.norm(np.asarray(image, float) - BLUE, axis=-1) < 60).any()
    assert not found["n_neighbors 15 · min_dist 0.1"].get_images()
    _, svg = plot(write_sweep(tmp_path / "sweep.parquet", cells, labels), tmp_path)
    assert [text for text in texts(svg) if "not drawn" in text] == [
        "12 disconnected points not drawn",
        "60 disconnected points not drawn",
    ]


def test_cells_missing_from_the_grid_are_named(tmp_path: Path) -> None:
    cells = {(5, 0.1): cloud(30), (15, 0.5): cloud(30)}
    _, svg = plot(write_sweep(tmp_path / "sweep.parquet", cells, [1, 2, 3] * 10), tmp_path)
    assert texts(svg).count("not in the grid") == 2
    assert "n_neighbors 5 · min_dist 0.5" in texts(svg)


def test_labels_are_plain_text_on_one_line(tmp_path: Path) -> None:
    labels = ["$x_1$", r"$\frac{", "_hidden", "<b>&amp;", "two\nlines\x00\x1b[1m", "", "W" * 5000, "日本", "%s{}", "\\"]
    sweep = write_sweep(tmp_path / "sweep.parquet", {(15, 0.1): cloud(30)}, labels * 3)
    plot(sweep, tmp_path, "grid.pdf")
    _, svg = plot(sweep, tmp_path, panel_size=2)
    found = texts(svg)
    for name in ("$x_1$", r"$\frac{", "_hidden", "<b>&amp;", "two lines [1m", "(blank)", "日本", "%s{}", "\\"):
        assert f"{name} (3)" in found
    assert any(re.fullmatch(r"W{5,40}… \(3\)", text) for text in found)
    assert max(len(name) for name, _, _ in colouring(labels).legend) == 41


def test_no_text_leaves_the_page() -> None:
    labels = [f"{'W' * 60} {place}" for place in range(30)]
    with matplotlib.rc_context(style.STYLE):
        figure = drawn({(15, 0.1): cloud(30)}, labels)
        canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts]
    assert len(boxes) > 27
    for box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert box.y0 >= 0 and box.y1 <= figure.bbox.height
    legend = sorted(boxes[-25:], key=lambda box: box.y0)
    assert all(upper.y0 > lower.y0 for lower, upper in itertools.pairwise(legend))


def test_of_thousands_of_categories_the_most_frequent_are_coloured() -> None:
    sizes = [200] * 24 + [1] * 2976
    labels = [f"c{place}" for place, size in enumerate(sizes) for _ in range(size)][::-1]
    found = colouring(labels)
    assert [entry[:2] for entry in found.legend[:24]] == [(f"c{place}", 200) for place in range(24)]
    assert found.legend[24:] == [("other: 2,976 labels", 2976, 24)]
    assert "24 most frequent of 3,000" in found.title
    assert np.allclose(found.palette[found.codes[0]], to_rgb(pictures.OTHER_COLOUR))


def test_missing_labels_are_light_grey_and_named() -> None:
    for labels in ([1.0, None, float("nan"), 2.0], ["a", None, None, "b"], [0.5, None, float("nan"), 0.7]):
        found = colouring(labels)
        assert found.legend[-1][:2] == ("no label", 2)
        for place in (1, 2):
            assert np.allclose(found.palette[found.codes[place]], to_rgb(pictures.NO_LABEL_COLOUR))
    none = pictures.colour_points(pa.array([None, None], pa.string()), "auto", 2)
    assert [entry[:2] for entry in none.legend] == [("no label", 2)]


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["b10", "b2", "a"], "auto", ["a", "b2", "b10"]),
        ([3, 1, 2], "auto", ["1", "2", "3"]),
        ([3.0, 1.0], "auto", ["1", "3"]),
        (list(range(30)), "auto", [*map(str, range(24)), "other: 6 labels"]),
        (list(range(31)), "auto", None),
        ([1.5, 2.0], "auto", None),
        ([1.5, 2.0], "categorical", ["1.5", "2"]),
        ([3, 1, 2], "numeric", None),
    ],
)
def test_label_kind(labels: list[Any], kind: str, names: list[str] | None) -> None:
    found = colouring(labels, kind)
    assert (found.limits is None) == (names is not None)
    assert [entry[0] for entry in found.legend] == (names or [])


def test_numeric_limits_resist_outliers_and_say_so() -> None:
    values = np.linspace(0, 1, 1000)
    assert colouring(values).limits == (0, 1) and colouring(values).extend == "neither"
    found = colouring(np.r_[values, 1e6, -np.inf])
    assert -0.1 < found.limits[0] < 0.1 and 0.9 < found.limits[1] < 1.1
    assert found.extend == "both" and "-inf to 1000000" in found.title
    constant = colouring([1.5, 1.5])
    assert constant.limits[0] < 1.5 < constant.limits[1]


def test_a_pixel_has_the_colour_of_the_mean_number() -> None:
    labels = np.r_[np.zeros(50), np.ones(50), 0.0, 1.0]
    points = np.vstack([np.full((100, 2), 0.5), [[0, 0], [1, 1]]])
    picture = pictures.shade(points, colouring(labels, "numeric"), SIDE)
    viridis = np.rint(255 * np.array(matplotlib.colormaps["viridis"](128)[:3]))
    assert np.abs(picture[60, 60] - viridis).max() <= 1


def test_data_without_labels_has_no_legend(tmp_path: Path) -> None:
    _, svg = plot(write_sweep(tmp_path / "sweep.parquet", {(15, 0.1): cloud(50)}), tmp_path)
    assert not any("label" in text for text in texts(svg))


@pytest.mark.parametrize(
    ("dimensions", "said"), [(1, "1 dimension as a stacked histogram"), (3, "first 2 of 3 dimensions")]
)
def test_other_dimensions(tmp_path: Path, dimensions: int, said: str) -> None:
    points = np.random.default_rng(0).normal(size=(200, dimensions)).astype(np.float32)
    _, svg = plot(write_sweep(tmp_path / "sweep.parquet", {(15, 0.1): points}, [0, 1] * 100), tmp_path)
    assert said in " ".join(texts(svg)).replace("\u00a0", " ")


def test_bars_of_a_histogram_are_as_high_as_their_points_are_many() -> None:
    points = np.repeat(np.float32([[0], [1]]), [300, 100], axis=0)
    picture = pictures.stack(points, colouring(["a"] * 150 + ["b"] * 250), 100)
    coloured = (picture < 255).any(axis=-1)
    heights = coloured.sum(axis=0)
    high, low = heights[:50].max(), heights[50:].max()
    assert high / low == pytest.approx(3, rel=0.05)
    bar = picture[:high, heights[:50].argmax()].astype(float)
    np.testing.assert_array_equal(bar[[0, high // 2 - 2, high // 2 + 2, -1]], [BLUE, BLUE, VERMILLION, VERMILLION])


@pytest.mark.parametrize(
    ("rows", "columns", "side"), [(1, 1, 520), (4, 4, 520), (10, 20, 520), (40, 50, 223), (1, 100, 320), (1, 300, None)]
)
def test_panels_of_many_cells_are_smaller_until_they_cannot_be_read(rows: int, columns: int, side: int | None) -> None:
    cells = list(itertools.product(range(2, 2 + rows), [place / columns for place in range(columns)]))
    assert planned.panel_side(cells, 520) == side
    assert planned.panel_side(cells, 50) == 50  # who wants small ones gets them


def test_a_figure_of_many_cells_says_that_its_panels_are_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(planned, "MOST_PIXELS", 24 * 70**2)
    monkeypatch.setattr(planned, "LEAST_SIDE", 40)
    many = {(k, m / 8): cloud(20) for k in (5, 15, 50) for m in range(8)}
    png, svg = plot(write_sweep(tmp_path / "sweep.parquet", many, list("xyzw") * 5), tmp_path)
    assert "24 panels of 120 pixels are too large for one figure; they have 70 pixels each" in capsys.readouterr().err
    assert {f"n_neighbors {k} · min_dist {m:g}" for k, m in many} <= set(texts(svg))
    assert matplotlib.image.imread(png).shape[1] < 8 * 90
    monkeypatch.setattr(planned, "LEAST_SIDE", 80)
    with pytest.raises(InputError, match="3 n_neighbors × 8 min_dist are too many panels for one figure"):
        plot(tmp_path / "sweep.parquet", tmp_path)


def test_wrong_input_is_explained(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep.parquet", {(15, 0.1): cloud(30)}, list("xyz") * 10)
    with pytest.raises(InputError, match=r"plot\.label_kind is numeric"):
        plot(sweep, tmp_path, label_kind="numeric")
    with pytest.raises(InputError, match="knn_seed 3 and seed 99"):
        plot_grid.read_embeddings(sweep, 3, 99)
    with pytest.raises(InputError, match="no cell"):
        plot(write_sweep(tmp_path / "empty.parquet", {(15, 0.1): cloud(0)}), tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        plot(tmp_path / "absent.parquet", tmp_path)
    with pytest.raises(InputError, match="same rows once for each cell"):
        plot(write_sweep(tmp_path / "uneven.parquet", {(5, 0.1): cloud(3), (15, 0.1): cloud(4)}), tmp_path)
    damaged, column = bytearray(sweep.read_bytes()), pq.read_metadata(sweep).row_group(0).column(7)
    assert column.path_in_schema == "umap_1"
    damaged[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    (tmp_path / "damaged.parquet").write_bytes(damaged)
    with pytest.raises(InputError, match="cannot be read"):
        plot(tmp_path / "damaged.parquet", tmp_path)
    assert not list(tmp_path.glob("grid.*"))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_panels_are_turned_onto_one_of_them_and_not_stretched(dimensions: int) -> None:
    onto = np.random.default_rng(0).normal(size=(200, dimensions)).astype(np.float32) * np.float32(3)
    turn = np.float32([[-1]]) if dimensions == 1 else np.float32([[0.6, -0.8], [-0.8, -0.6]])  # with a reflection
    points = (onto @ turn) * np.float32(0.5) + np.float32(7)
    points[:3] = np.nan
    cells, reference = plot_grid.aligned({(5, 0.1): points, (15, 0.1): onto, (50, 0.1): onto})
    assert reference == (15, 0.1) and cells[reference] is onto
    shown = cells[5, 0.1]
    assert np.isnan(shown[:3]).all() and np.isfinite(shown[3:]).all()
    np.testing.assert_allclose(shown[3:] * 2, onto[3:] - onto[3:].mean(axis=0), atol=1e-4)


def test_a_turned_cell_is_drawn_as_the_one_it_is_turned_onto() -> None:
    points, labels = cloud(MANY), np.arange(MANY) % 4
    turned = np.stack([-points[:, 1], points[:, 0]], axis=1)
    cells, _ = plot_grid.aligned({(5, 0.1): points, (15, 0.1): turned})
    first, second = (pictures.shade(cell, colouring(labels), SIDE).astype(int) for cell in cells.values())
    # But for points on the border of two pixels.
    assert (np.abs(first - second).max(axis=-1) > 30).mean() < 0.02
    assert (np.abs(first - pictures.shade(turned, colouring(labels), SIDE)).max(axis=-1) > 30).mean() > 0.2
