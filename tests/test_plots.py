"""The figures that compare cells, judged by their texts, their colours and their bytes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.figures import changes as plot_changes
from umap_sweep.figures import instability as plot_instability
from umap_sweep.figures import metrics as plot_metrics
from umap_sweep.figures import stability as plot_stability
from umap_sweep.quality import measures, neighboring_cells

PLOT = {"label_kind": "auto", "panel_size": 1, "dpi": 60, "vector_format": "svg"}


def metrics(rows: list[int], columns: list[float], seeds: int = 1, labels: bool = True) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    cells = list(itertools.product(rows, columns, range(seeds)))
    table = pd.DataFrame(cells, columns=["n_neighbors", "min_dist", "seed"]).assign(knn_k=50, knn_seed=1)
    for column in measures.TITLES:
        table[column] = draw.random(len(table))
    table["disconnected"] = 0.0
    table["rows"], table["sample_rows"] = 5000, 1000
    if not labels:
        table[["label_accuracy", "silhouette"]] = np.nan
    return table


def steps(rows: list[int], columns: list[float]) -> pd.DataFrame:
    keys = [{"n_neighbors": k, "min_dist": m, "knn_seed": 1, "seed": 1} for k, m in itertools.product(rows, columns)]
    return pd.DataFrame(
        [
            {"along": along, "neighbor_overlap": 0.25, "procrustes_disparity": 0.5}
            | {axis: keys[first][axis] for axis in ("n_neighbors", "min_dist")}
            | {f"other_{axis}": keys[second][axis] for axis in ("n_neighbors", "min_dist")}
            for along, first, second in neighboring_cells.next_cells(keys)
        ]
    )


def pairs(cells: list[tuple[int, float]]) -> pd.DataFrame:
    kinds = ("UMAP seed", "k-NN seed", "both seeds")
    return pd.DataFrame(
        [
            {"n_neighbors": k, "min_dist": m, "across": across}
            | {"neighbor_overlap": overlap, "procrustes_disparity": 0.1}
            for (k, m), (across, overlap) in itertools.product(cells, zip(kinds, (0.75, 1.0, 0.75), strict=True))
        ]
    )  # fmt: skip


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def stored(path: Path, table: pd.DataFrame) -> Path:
    store.write(path, pa.Table.from_pandas(table, preserve_index=False), store.make_record("test", {}, "0"))
    return path


def assert_nothing_leaves_the_page(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ticks = {label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    for text in figure.findobj(matplotlib.text.Text):
        if text.get_text() and text not in ticks:  # ticks beyond the ends of an axis are there and not drawn
            box = text.get_window_extent(canvas.get_renderer())
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width, text.get_text()
            assert box.y0 >= 0 and box.y1 <= figure.bbox.height, text.get_text()


def test_heatmaps_hold_the_values_where_they_belong():
    table = metrics([5, 15], [0.0, 0.5, 0.9])
    figure = plot_metrics.draw(table, {(15, 0.5)}, "title", ["fact"])
    panel = next(axes for axes in figure.axes if axes.get_label() == "Recall at 15")
    value = table[(table["n_neighbors"] == 15) & (table["min_dist"] == 0.9)]["recall_15"].iloc[0]
    assert panel.get_images()[0].get_array()[1, 2] == value
    assert f"{value:.3f}" in [text.get_text() for text in panel.texts]
    outline = panel.patches[0]
    assert (outline.get_x() + 0.45, outline.get_y() + 0.45) == pytest.approx((1, 1))
    assert [axes.get_label() for axes in figure.axes][-1] == "Near against far"


@pytest.mark.parametrize(
    ("rows", "columns", "seeds"),
    [([15], [0.1], 1), ([5, 15], [0.0, 0.5], 3), (list(range(5, 35)), [place / 25 for place in range(25)], 1)],
    ids=["one cell", "seeds", "large"],
)
def test_metrics_of_any_grid_fit_the_page(rows, columns, seeds):
    table = metrics(rows, columns, seeds)
    facts = ["5,000 rows", "a sample of 1,000 against all rows, recall at 15 and label accuracy of all"]
    with matplotlib.rc_context(plot_metrics.STYLE):
        figure = plot_metrics.draw(table, {(rows[0], columns[0])}, "Metrics of the UMAP sweep of toy", facts)
        assert_nothing_leaves_the_page(figure)
    assert any("±" in text for text in texts(figure)) == (seeds > 1)


def test_names_of_listed_cells_lie_beside_each_other():
    table = metrics([5, 15, 50], [0.0, 0.5])
    table["recall_15"] = [0.1, 0.5, 0.51, 0.52, 0.5, 0.9]
    table["triplet_accuracy"] = [0.9, 0.5, 0.505, 0.5, 0.495, 0.1]
    cells = set(zip(table["n_neighbors"], table["min_dist"], strict=True))
    with matplotlib.rc_context(plot_metrics.STYLE):
        figure = plot_metrics.draw(table, cells, "title", [])
        FigureCanvasAgg(figure).draw()
    panel = figure.axes[-1]
    assert {text.get_text() for text in panel.texts} == {f"{k}, {m:g}" for k, m in cells}
    for one, other in itertools.combinations([text.get_window_extent() for text in panel.texts], 2):
        assert not one.shrunk(0.98, 0.9).overlaps(other.shrunk(0.98, 0.9))


def test_what_is_not_measured_is_not_drawn():
    figure = plot_metrics.draw(metrics([5, 15], [0.0, 0.5], labels=False), set(), "title", [])
    names = [axes.get_label() for axes in figure.axes]
    assert "Recall at 15" in names and not {"Label accuracy", "Silhouette of labels", "Disconnected"} & set(names)
    table = metrics([5, 15], [0.0, 0.5]).assign(disconnected=0.25)
    assert "Disconnected" in [axes.get_label() for axes in plot_metrics.draw(table, set(), "title", []).axes]


def test_changes_have_one_scale_for_steps_and_seeds():
    rows, columns = [5, 15, 50], [0.0, 0.5]
    with matplotlib.rc_context(plot_changes.STYLE):
        figure = plot_changes.draw(steps(rows, columns), None, "What changes over the grid of toy")
        assert_nothing_leaves_the_page(figure)
        seeds = pairs(list(itertools.product(rows, columns)))
        with_seeds = plot_changes.draw(steps(rows, columns), seeds, "What changes over the grid of toy")
        assert_nothing_leaves_the_page(with_seeds)
    panel = figure.axes[0]
    assert len(panel.lines) == 7  # four along n_neighbors, three along min_dist
    assert [text.get_text() for text in panel.texts] == ["0.25"] * 7
    # The same share has the same colour, and no change at all the lightest: the scale does not stretch.
    assert panel.lines[0].get_color() == matplotlib.colormaps[plot_changes.COLOURS](0.25)
    assert any("not known from one seed" in text for text in texts(figure))
    discs = [text.get_text() for text in with_seeds.axes[0].texts[7:]]
    assert discs == ["0.83"] * 6


def test_stability_shows_each_pair_by_the_seed_that_differs():
    with matplotlib.rc_context(plot_stability.STYLE):
        figure = plot_stability.draw(pairs([(5, 0.0), (5, 0.5)]), "What the seeds change in the sweep of toy")
        assert_nothing_leaves_the_page(figure)
    panel = figure.axes[0]
    assert panel.get_xlim() == (0, 1.02)
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        "n_neighbors 5 · min_dist 0",
        "n_neighbors 5 · min_dist 0.5",
    ]
    assert {"other UMAP seed", "other k-NN seed", "both other"} <= set(texts(figure))


def test_stability_of_hundreds_of_cells_stays_a_page():
    cells = list(itertools.product(range(5, 25), [place / 20 for place in range(20)]))
    with matplotlib.rc_context(plot_stability.STYLE):
        figure = plot_stability.draw(pairs(cells), "What the seeds change in the sweep of toy")
        assert_nothing_leaves_the_page(figure)
    assert figure.get_figheight() < 30
    named = figure.axes[0].get_yticklabels()
    boxes = [label.get_window_extent() for label in named]
    assert 40 < len(named) < 400 and all(above.y0 > below.y1 for above, below in itertools.pairwise(boxes))
    marks = figure.axes[0].collections
    assert len({mark.get_offsets()[0][1] for mark in marks}) == len(marks) == 400 * 3


def test_instability_has_one_scale_for_all_cells():
    shares = {(5, 0.0): np.float32([0, 0.5, 1]), (15, 0.0): np.float32([0.5, np.nan, 0.5])}
    colouring, codes = plot_instability.colour_shares(shares)
    assert colouring.limits == (0, 1)
    assert codes[5, 0.0].tolist() == [0, 128, 255]
    assert codes[15, 0.0].tolist() == [128, 256, 128]


def test_same_tables_give_the_same_bytes(tmp_path):
    table = metrics([5, 15], [0.0, 0.5])
    inputs = {
        "metrics": stored(tmp_path / "metrics.parquet", table),
        "shortlist": stored(tmp_path / "shortlist.parquet", table.head(1)),
        "steps": stored(tmp_path / "steps.parquet", steps([5, 15], [0.0, 0.5])),
        "stability": stored(tmp_path / "stability.parquet", pairs([(5, 0.0), (15, 0.0)])),
    }

    def plot(folder: Path) -> list[bytes]:
        out = [[folder / f"{name}.{kind}" for kind in ("png", "svg")] for name in ("metrics", "changes", "stability")]
        last: Any = (PLOT, "toy")
        plot_metrics.plot_metrics(inputs["metrics"], inputs["shortlist"], *out[0], *last)
        plot_changes.plot_changes(inputs["steps"], None, *out[1], *last)
        plot_stability.plot_stability(inputs["stability"], *out[2], *last)
        return [path.read_bytes() for pair in out for path in pair]

    first = plot(tmp_path / "a")
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": None}):
        assert plot(tmp_path / "b") == first
