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
import scipy.stats
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.figures import changes as plot_changes
from umap_sweep.figures import comparisons as plot_comparisons
from umap_sweep.figures import instability as plot_instability
from umap_sweep.figures import metrics as plot_metrics
from umap_sweep.figures import stability as plot_stability
from umap_sweep.figures import style
from umap_sweep.quality import comparisons, measures, neighboring_cells, seeds, shortlist

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
    stored = pa.Table.from_pandas(table, preserve_index=False)
    store.write(path, stored, store.make_record("test", {}, store.fingerprint(stored)))
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
    # In one heatmap with one seed the sample's error stands, of triplets.
    assert any("±" in text for text in texts(figure)) == (seeds > 1)


@pytest.mark.parametrize("lines", ["many columns", "many rows"])
@pytest.mark.parametrize("figure", ["metrics", "changes"])
def test_a_line_of_hundreds_of_cells_shows_their_colours(figure, lines):
    """No rule between cells, and no room around a band, is wider than what it parts."""
    many = [place / 500 for place in range(400)] if lines == "many columns" else list(range(2, 302))
    rows, columns = ([5, 10, 15], many) if lines == "many columns" else (many, [0.0, 0.1, 0.5])
    module = plot_metrics if figure == "metrics" else plot_changes
    with matplotlib.rc_context(module.STYLE):
        if figure == "metrics":
            drawn = plot_metrics.draw(metrics(rows, columns), set(), "title", ["fact"])
        else:
            drawn = plot_changes.draw(steps(rows, columns), None, "title")
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)
    box = drawn.axes[0].get_window_extent()
    panel = pixels[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]
    coloured = panel.max(axis=2) - panel.min(axis=2) > 20  # white and grey have three like values
    assert coloured.mean() > 0.5


def test_metrics_are_written_with_the_half_of_their_interval():
    table = metrics([5, 15], [0.0, 0.5], seeds=3)
    table["triplet_accuracy_sample_error"] = 0.25
    figure = plot_metrics.draw(table, set(), "title", [])
    panels = {axes.get_label(): axes for axes in figure.axes}
    of_cell = table[(table["n_neighbors"] == 15) & (table["min_dist"] == 0.5)]
    recall, triplets = of_cell["recall_15"], of_cell["triplet_accuracy"]
    low, high = scipy.stats.t.interval(0.95, 2, recall.mean(), recall.std() / 3**0.5)
    written = [text.get_text() for text in panels["Recall at 15"].texts]
    assert f"{recall.mean():.3f}\n± {(high - low) / 2:.3f}" in written
    error = (triplets.var() / 3 + 0.25**2) ** 0.5
    written = [text.get_text() for text in panels["Triplet accuracy"].texts]
    assert f"{triplets.mean():.3f}\n± {scipy.stats.t.isf(0.025, 2) * error:.3f}" in written
    # Seconds are of jobs that cells share.
    assert not any("±" in text.get_text() for text in panels["Seconds"].texts)


def test_one_seed_has_the_error_of_the_sample_alone():
    table = metrics([5, 15], [0.0, 0.5]).assign(triplet_accuracy_sample_error=0.25, recall_15_sample_error=0.0)
    figure = plot_metrics.draw(table, set(), "title", [])
    panels = {axes.get_label(): axes for axes in figure.axes}
    assert all(text.get_text().endswith("± 0.490") for text in panels["Triplet accuracy"].texts)
    assert not any("±" in text.get_text() for text in panels["Recall at 15"].texts)


def whiskers(axes: matplotlib.axes.Axes) -> list[np.ndarray]:
    """Return the ends of all whiskers of a panel that have a length."""
    found = axes.findobj(matplotlib.collections.LineCollection)
    return [line for one in found for line in one.get_segments() if not np.allclose(*line)]


def test_listed_cells_have_whiskers_in_both_directions():
    table = metrics([5, 15, 50], [0.0, 0.5], seeds=3)
    panel = plot_metrics.draw(table, {(5, 0.5), (50, 0.0)}, "title", []).axes[-1]
    expected = []
    for column, axis in (("recall_15", 0), ("triplet_accuracy", 1)):
        found = seeds.means(table, column)
        for setting in ((5, 0.5, 50), (50, 0.0, 50)):
            middle, half = found.loc[setting, "value"], found.loc[setting, "half_width"]
            expected.append((axis, middle - half, middle + half))
    drawn = []
    for line in whiskers(panel):
        axis = int(line[0, 0] == line[1, 0])
        drawn.append((axis, *line[:, axis]))
    np.testing.assert_allclose(sorted(drawn), sorted(expected))


def compared(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the figure of the comparisons is drawn from."""
    found = comparisons.compare_all(comparisons.measured_metrics(table, {}, pd.DataFrame()))
    return plot_comparisons.settings(
        table, None, shortlist.shortlist(shortlist.criteria(table, None), found, 0.005)
    ), found


def two_kinds(seeds: int = 4) -> pd.DataFrame:
    """Return metrics in which n_neighbors 5 is near and 50 is far, and min_dist changes nothing beyond the noise."""
    table = metrics([5, 50], [0.0, 0.5], seeds)
    noise = np.random.default_rng(1).normal(0, 0.002, (len(table), 2))
    near = table["n_neighbors"] == 5
    table["recall_15"] = np.where(near, 0.6, 0.4) + noise[:, 0]
    table["triplet_accuracy"] = np.where(near, 0.5, 0.7) + noise[:, 1]
    return table


def test_comparisons_show_what_cannot_be_told_apart():
    with matplotlib.rc_context(plot_comparisons.STYLE):
        figure = plot_comparisons.draw(*compared(two_kinds()), "Which settings of toy can be told apart")
        assert_nothing_leaves_the_page(figure)
    assert [axes.get_label() for axes in figure.axes] == ["recall_15", "triplet_accuracy"]
    for axes, best in zip(figure.axes, (5, 50), strict=True):
        names = {round(text.get_position()[1]): text.get_text() for text in axes.texts if "·" in text.get_text()}
        assert {int(names[place].split(" ")[0]) for place in (0, 1)} == {best}
        letters = {round(text.get_position()[1]): text.get_text() for text in axes.texts if text.get_weight() == "bold"}
        assert letters[0] == letters[1] != letters[2] == letters[3]
        bars = [
            line.get_ydata()
            for line in axes.lines
            if line.get_transform() != axes.transData and len(line.get_ydata()) == 2
        ]
        assert [[round(end) for end in bar] for bar in bars if bar[0] != bar[1]] == [[0, 1], [2, 3]]
        assert len(whiskers(axes)) == 4


def test_with_one_seed_the_comparisons_say_that_nothing_can_be_told_apart():
    with matplotlib.rc_context(plot_comparisons.STYLE):
        figure = plot_comparisons.draw(*compared(two_kinds(1)), "Which settings of toy can be told apart")
        assert_nothing_leaves_the_page(figure)
    assert any("nothing can be told apart" in " ".join(text.split()) for text in texts(figure))
    assert not any("bar joins" in text.replace("\u00a0", " ") for text in texts(figure))
    assert not [text for axes in figure.axes for text in axes.texts if text.get_weight() == "bold"]
    assert not [line for axes in figure.axes for line in axes.lines if line.get_color() == plot_comparisons.ACCENT]


@pytest.mark.parametrize(("rows", "columns", "named"), [(1, 1, True), (8, 5, True), (20, 20, False)])
def test_comparisons_of_any_grid_fit_the_page(rows, columns, named):
    table = metrics(list(range(5, 5 + rows)), [place / 25 for place in range(columns)], seeds=2)
    with matplotlib.rc_context(plot_comparisons.STYLE):
        figure = plot_comparisons.draw(*compared(table), "Which settings of toy can be told apart")
        assert_nothing_leaves_the_page(figure)
    assert figure.get_figheight() < 16
    assert len([text for text in figure.axes[0].texts if "·" in text.get_text()]) == rows * columns * named
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in marks) == rows * columns


def test_ties_are_the_longest_rows_of_which_no_two_are_told_apart():
    alike = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) < 3
    alike[4:, :4] = alike[:4, 4:] = False
    assert plot_comparisons.ties(alike) == [(0, 2), (1, 3), (4, 5)]
    assert plot_comparisons.ties(np.eye(3, dtype=bool)) == []
    assert plot_comparisons.lanes([(0, 2), (1, 3), (4, 5)]) == [0, 1, 0]


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


def test_axes_of_a_large_grid_name_no_more_values_than_there_is_room_for():
    rows, columns = [5, 15, 25], [place / 50 for place in range(50)]
    ends = ["n_neighbors", "min_dist", "other_n_neighbors", "other_min_dist"]
    steps = [(k, m, k, n) for k in rows for m, n in itertools.pairwise(columns)]
    values = {"along": "min_dist", "neighbor_overlap": 0.5, "procrustes_disparity": 0.1}
    table = pd.DataFrame(steps, columns=ends).assign(**values)
    with matplotlib.rc_context(plot_changes.STYLE):
        figure = plot_changes.draw(table, None, "What changes over the grid of toy")
        assert_nothing_leaves_the_page(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) > 10 and all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


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


def test_characters_that_no_font_has_are_said(tmp_path, capsys, caplog):
    """And a label that fonts can draw is not among them."""
    figure = Figure()
    figure.text(0.1, 0.5, "T-Zelle")
    figure.text(0.1, 0.7, "\U0010fffd")  # for private use, so that no font should have it
    style.save(figure, [tmp_path / "figure.png"], 50)
    said = capsys.readouterr().err
    assert r"No installed font has all characters of '\U0010fffd'" in said
    assert "T-Zelle" not in said
    assert "No installed font" in caplog.text


def test_same_tables_give_the_same_bytes(tmp_path):
    table = metrics([5, 15], [0.0, 0.5])
    inputs = {
        "metrics": stored(tmp_path / "metrics.parquet", table),
        "shortlist": stored(tmp_path / "shortlist.parquet", table.head(1).assign(group="a")),
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
