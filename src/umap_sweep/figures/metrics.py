"""Draw the metrics of all cells: a heatmap over n_neighbors × min_dist for each metric, then two metrics as a scatter.

The scatter sets recall at 15, of near structure, against triplet accuracy, of far structure.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import text_to_path

from umap_sweep import store
from umap_sweep.figures.style import STYLE, drawing, save
from umap_sweep.quality import measures

# How the values of each metric are written.
NUMBERS = dict.fromkeys(measures.TITLES, "{:.3f}") | {"layout_seconds": "{:.1f}", "layout_memory_mb": "{:,.0f}"}
COLOURS = "cividis"  # looks nearly the same with every kind of colour vision
COLUMNS = 3
TEXT, QUIET, ACCENT = "#000000", "#555555", "#d55e00"
NAME_SIZE = 6  # of a cell's name, in points
MOST_WRITTEN = 10  # with more cells in a line, values are not written into them


def grid_of(table: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray, list[int], list[float]]:
    """Arrange a metric by n_neighbors (rows) and min_dist (columns).

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    column : str
        Of the metric.

    Returns
    -------
    mean, deviation : numpy.ndarray
        float64 of shape (values of n_neighbors, values of min_dist): mean and standard deviation over the seeds; NaN
        where the grid has no such cell. The deviation is NaN where there is one seed, too.
    n_neighbors : list of int
        Ascending.
    min_dist : list of float
        Ascending.
    """
    groups = table.groupby(["n_neighbors", "min_dist"])[column]
    mean, deviation = groups.mean().unstack(), groups.std().unstack()
    rows, columns = [int(value) for value in mean.index], [float(value) for value in mean.columns]
    return mean.to_numpy(float), deviation.to_numpy(float), rows, columns


def heatmap(axes: Axes, table: pd.DataFrame, column: str, number: str, outlined: set[tuple[int, float]]) -> None:
    """Draw one metric as a heatmap, from its smallest to its largest value, with the values in the cells.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    column : str
        Of the metric.
    number : str
        How a value is written, for `str.format`.
    outlined : set of (int, float)
        n_neighbors and min_dist of the cells on the short list.
    """
    mean, deviation, rows, columns = grid_of(table, column)
    image = axes.imshow(mean, cmap=COLOURS, aspect="auto")
    low, high = np.nanmin(mean), np.nanmax(mean)
    if low == high:
        image.set_clim(low - 1, high + 1)
    if len(columns) <= MOST_WRITTEN and len(rows) <= 2 * MOST_WRITTEN:
        size = 7 if len(columns) <= 5 else 5
        for (row, place), value in np.ndenumerate(mean):
            if not np.isfinite(value):
                continue
            dark = low == high or (value - low) / (high - low) < 0.55
            text = number.format(value)
            if np.isfinite(deviation[row, place]):
                text += "\n± " + number.format(deviation[row, place])
            axes.text(place, row, text, ha="center", va="center", size=size, color="white" if dark else "black")
    else:
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03)
        bar.ax.tick_params(labelsize=6)
    for n_neighbors, min_dist in outlined:
        corner = columns.index(min_dist) - 0.45, rows.index(n_neighbors) - 0.45
        axes.add_patch(Rectangle(corner, 0.9, 0.9, fill=False, edgecolor=ACCENT, linewidth=2, zorder=3))
    axes.set_xticks(*_ticks(columns), size=7)
    axes.set_yticks(*_ticks(rows), size=7)
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _ticks(values: Sequence[float]) -> tuple[list[int], list[str]]:
    step = -(-len(values) // 20)
    return list(range(0, len(values), step)), [f"{value:g}" for value in values[::step]]


def trade_off(axes: Axes, table: pd.DataFrame, outlined: set[tuple[int, float]]) -> None:
    """Draw triplet accuracy over recall at 15: a mark for each n_neighbors and min_dist, a line for each n_neighbors.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    outlined : set of (int, float)
        n_neighbors and min_dist of the cells on the short list, which are circled and named.
    """
    mean = table.groupby(["n_neighbors", "min_dist"], as_index=False)[["recall_15", "triplet_accuracy"]].mean()
    lines = list(mean.groupby("n_neighbors"))
    colours = matplotlib.colormaps[COLOURS](np.linspace(0, 0.9, len(lines)))
    for (n_neighbors, line), colour in zip(lines, colours, strict=True):
        axes.plot(line["recall_15"], line["triplet_accuracy"], "-", color=colour, linewidth=0.8, zorder=1)
        axes.scatter(
            line["recall_15"], line["triplet_accuracy"], color=[colour], s=14, zorder=2, label=f"{n_neighbors}"
        )
    listed: list[Any] = [cell for cell in mean.itertuples() if (cell.n_neighbors, cell.min_dist) in outlined]
    for cell in listed:
        x, y = cell.recall_15, cell.triplet_accuracy
        axes.scatter(x, y, s=50, facecolors="none", edgecolors=ACCENT, linewidths=1.5, zorder=3)
    axes.margins(0.15)
    if len(listed) <= 8:
        _name_cells(axes, listed, mean[["recall_15", "triplet_accuracy"]].to_numpy())
    axes.locator_params(nbins=5)
    axes.set_xlabel("recall at 15", size=7, labelpad=2)
    axes.set_ylabel("triplet accuracy", size=7, labelpad=2)
    axes.tick_params(labelsize=6, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) <= 8:
        axes.legend(title="n_neighbors", fontsize=6, title_fontsize=6, frameon=False, handlelength=1, loc="best")


def _name_cells(axes: Axes, listed: Sequence[Any], marks: np.ndarray) -> None:
    """Write n_neighbors and min_dist beside each listed cell.

    The text stands on the side where it overlaps least with marks and other names, and leaves the panel least.
    """
    axes.autoscale_view()
    point = axes.figure.dpi / 72
    there = [(*place, 4 * point, 4 * point) for place in axes.transData.transform(marks)]  # centre, width, height
    frame = axes.get_window_extent()

    def covered(box: tuple[float, ...]) -> float:
        x, y, width, height = box
        shared: float = sum(
            max(0, (width + w) / 2 - abs(x - u)) * max(0, (height + h) / 2 - abs(y - v)) for u, v, w, h in there
        )
        outside: float = max(0, frame.x0 - x + width / 2, x + width / 2 - frame.x1, y + height / 2 - frame.y1)
        return shared + 100 * outside

    for cell in listed:
        text = f"{cell.n_neighbors}, {cell.min_dist:g}"
        width = text_to_path.get_text_width_height_descent(text, FontProperties(size=NAME_SIZE), ismath=False)[0]
        x, y = axes.transData.transform((cell.recall_15, cell.triplet_accuracy))
        sides = [
            (right * (6 + width / 2), up * (6 if right else 9))
            for right, up in ((1, 1), (1, 0), (1, -1), (0, 1), (0, -1), (-1, 1), (-1, 0), (-1, -1))
        ]
        boxes = [(x + right * point, y + up * point, width * point, NAME_SIZE * point) for right, up in sides]
        least = min(range(len(sides)), key=lambda side: covered(boxes[side]))
        there.append(boxes[least])
        axes.annotate(
            text,
            (cell.recall_15, cell.triplet_accuracy),
            sides[least],
            textcoords="offset points",
            ha="center",
            va="center",
            size=NAME_SIZE,
            zorder=4,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )


def draw(table: pd.DataFrame, outlined: set[tuple[int, float]], title: str, facts: list[str]) -> Figure:
    """Draw all metrics that the table has.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    outlined : set of (int, float)
        n_neighbors and min_dist of the cells on the short list.
    title : str
    facts : list of str
        Written below the title, separated by dots.
    """
    present = [column for column in measures.TITLES if table[column].notna().any()]
    present = [column for column in present if column != "disconnected" or table[column].any()]
    crossed = {"recall_15", "triplet_accuracy"} <= set(present) and len(table) > 1
    rows, columns = table["n_neighbors"].nunique(), table["min_dist"].nunique()
    wide, high = max(2.3, min(0.5 * columns, 5)), max(1.5, min(0.38 * rows, 6))
    lines = -(-(len(present) + crossed) // COLUMNS)
    width = COLUMNS * (wide + 0.6) + 0.25
    written = textwrap.wrap(" · ".join(fact.replace(" ", "\u00a0") for fact in facts), int(18 * (width - 0.4)))
    head = 0.6 + 0.14 * len(written)
    height = head + lines * (high + 0.85) + 0.15
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.2 / width, 1 - 0.2 / height, title, size=12, va="top")
    figure.text(
        0.2 / width,
        1 - 0.47 / height,
        "\n".join(line.strip(" ·") for line in written),
        size=7,
        va="top",
        color=QUIET,
        linespacing=1.4,
    )
    for place, column in enumerate([*present, *[""] * crossed]):
        line, row = place % COLUMNS, place // COLUMNS
        left, top = 0.6 + line * (wide + 0.6), head + row * (high + 0.85) + 0.35
        name, meaning = measures.TITLES.get(column, ("Near against far", "circled: no other cell beats it"))
        axes = figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height), label=name)
        figure.text(left / width, 1 - (top - 0.2) / height, name, size=9, va="bottom")
        figure.text(left / width, 1 - (top - 0.17) / height, meaning, size=6.5, va="top", color=QUIET)
        if not column:
            trade_off(axes, table, outlined)
            continue
        heatmap(axes, table, column, NUMBERS[column], outlined)
        if line == 0:
            axes.set_ylabel("n_neighbors", size=7, labelpad=4)
        axes.set_xlabel("min_dist", size=7, labelpad=1)
    return figure


def plot_metrics(
    metrics: str | Path,
    shortlist: str | Path,
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
) -> None:
    """Draw a sweep's metrics.

    Parameters
    ----------
    metrics, shortlist : path
        From `umap_sweep.quality.metrics` and `umap_sweep.quality.shortlist`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: dpi.
    dataset : str
        Named in the title.
    """
    table = store.read(metrics).to_pandas()
    listed = store.read(shortlist, ["n_neighbors", "min_dist"]).to_pandas()
    outlined = set(zip(listed["n_neighbors"].tolist(), listed["min_dist"].tolist(), strict=True))
    rows, sampled = int(table["rows"].iloc[0]), int(table["sample_rows"].max())
    facts = [f"{rows:,} rows"]
    if sampled < rows:
        facts.append(f"a sample of {sampled:,} against all rows, recall at 15 and label accuracy of all")
    if len(table) > len(table[["n_neighbors", "min_dist"]].drop_duplicates()):
        facts.append("mean ± standard deviation over seeds")
    facts.append("each panel has its own colours, from its least to its greatest value")
    facts.append("outlined: no other cell beats it")
    with drawing(STYLE):
        save(draw(table, outlined, f"Metrics of the UMAP sweep of {dataset}", facts), (png, vector), plot["dpi"])
