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
from umap_sweep.cells.keys import optional_axes
from umap_sweep.cells.lines import Line, in_order, line_of, short_name
from umap_sweep.figures.style import STYLE, drawing, save, ticks
from umap_sweep.quality import measures
from umap_sweep.quality.seeds import means, setting_of

# How the values of each metric are written.
NUMBERS = dict.fromkeys(measures.TITLES, "{:.3f}") | {"layout_seconds": "{:.1f}", "layout_memory_mb": "{:,.0f}"}
COLOURS = "cividis"  # looks nearly the same with every kind of colour vision
COLUMNS = 3
TEXT, QUIET, ACCENT = "#000000", "#555555", "#d55e00"
ONE_SEED = "one seed: nothing can be told apart"
NAME_SIZE = 6  # of a cell's name, in points
MOST_WHISKERS = 16  # where none is listed, of how many cells the scatter shows the errors
MOST_WRITTEN = 10  # with more cells in a line, values are not written into them
MOST_RULED = 50  # with more cells in a line, white rules between them would hide them


def grid_of(table: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray, list[Line], list[float]]:
    """Arrange a metric by line of the grid (rows) and min_dist (columns).

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    column : str
        Of the metric.

    Returns
    -------
    mean, half_width : numpy.ndarray
        float64 of shape (lines, values of min_dist): mean over the seeds, and half of its 95 % interval
        (`umap_sweep.quality.seeds.means`); NaN where the grid has no such cell. The half is NaN where nothing is known
        of the error, too.
    lines : list of Line
        Each n_neighbors, ascending; with further axes, below each of their values (`umap_sweep.cells.lines`).
    min_dist : list of float
        Ascending.
    """
    found = means(table, column).reset_index()
    rows = lines_of(table)
    found["line"] = [rows.index(line_of(row)) for row in found.to_dict("records")]
    groups = found.groupby(["line", "min_dist"])
    mean, half_width = groups["value"].mean().unstack(), groups["half_width"].mean().unstack()
    return mean.to_numpy(float), half_width.to_numpy(float), rows, [float(value) for value in mean.columns]


def lines_of(table: pd.DataFrame) -> list[Line]:
    """Return the lines of the grid that a table has cells of."""
    settings = table[[*optional_axes(table), "n_neighbors"]].drop_duplicates()
    return in_order(line_of(row) for row in settings.to_dict("records"))


def heatmap(axes: Axes, table: pd.DataFrame, column: str, number: str, outlined: set[tuple[Line, float]]) -> None:
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
    outlined : set of (Line, float)
        Line and min_dist of the cells on the short list.
    """
    mean, half_width, rows, columns = grid_of(table, column)
    image = axes.imshow(mean, cmap=COLOURS, aspect="auto", interpolation="nearest")
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
            if np.isfinite(half_width[row, place]) and column not in measures.MEASURED:
                text += "\n± " + number.format(half_width[row, place])
            axes.text(place, row, text, ha="center", va="center", size=size, color="white" if dark else "black")
    else:
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03)
        bar.ax.tick_params(labelsize=6)
    for line, min_dist in outlined:
        corner = columns.index(min_dist) - 0.45, rows.index(line) - 0.45
        axes.add_patch(Rectangle(corner, 0.9, 0.9, fill=False, edgecolor=ACCENT, linewidth=2, zorder=3))
    axes.set_xticks(*ticks(columns), size=7)
    axes.set_yticks(*ticks([short_name(line) for line in rows]), size=7)
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    if len(columns) <= MOST_RULED:
        axes.grid(which="minor", axis="x", color="white", linewidth=1)
    if len(rows) <= MOST_RULED:
        axes.grid(which="minor", axis="y", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def trade_off(axes: Axes, table: pd.DataFrame, outlined: set[tuple[Line, float]], room: bool) -> None:
    """Draw triplet accuracy over recall at 15: a mark for each setting, and a line for each line of the grid.

    Whiskers are the 95 % intervals of both means: of the listed cells, or of all where none is listed and all are few.
    Much longer ones are cut, so that marks stay apart.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    outlined : set of (Line, float)
        Line and min_dist of the cells on the short list, which are circled and named.
    room : bool
        Whether the legend has room to the right of the panel.
    """
    both = {column: means(table, column) for column in ("recall_15", "triplet_accuracy")}
    mean = pd.DataFrame({column: found["value"] for column, found in both.items()})
    for column, found in both.items():
        mean[f"{column}_half"] = found["half_width"]
    further = optional_axes(table)
    mean = mean.groupby([*further, "n_neighbors", "min_dist"]).mean().reset_index()
    known = lines_of(table)
    mean["line"] = [known.index(line_of(row)) for row in mean.to_dict("records")]
    lines = list(mean.groupby("line"))
    colours = matplotlib.colormaps[COLOURS](np.linspace(0, 0.9, len(lines)))
    for (number, line), colour in zip(lines, colours, strict=True):
        axes.plot(line["recall_15"], line["triplet_accuracy"], "-", color=colour, linewidth=0.8, zorder=1)
        axes.scatter(
            line["recall_15"],
            line["triplet_accuracy"],
            color=[colour],
            s=14,
            zorder=2,
            label=short_name(known[int(str(number))]),
        )
    every: list[Any] = list(mean.itertuples())
    listed = [cell for cell in every if (known[cell.line], cell.min_dist) in outlined]
    for cell in listed:
        x, y = cell.recall_15, cell.triplet_accuracy
        axes.scatter(x, y, s=50, facecolors="none", edgecolors=ACCENT, linewidths=1.5, zorder=3)
    with_whiskers = listed or (every if len(mean) <= MOST_WHISKERS else [])
    for cell in with_whiskers:
        half_widths = np.nan_to_num([cell.recall_15_half, cell.triplet_accuracy_half])
        axes.errorbar(
            cell.recall_15,
            cell.triplet_accuracy,
            xerr=half_widths[0] or None,
            yerr=half_widths[1] or None,
            ecolor=ACCENT if listed else QUIET,
            elinewidth=0.8,
            fmt="none",
            zorder=1.5,
        )
    shown = pd.DataFrame(with_whiskers or every)
    axes.set_xlim(_limits(mean["recall_15"], shown["recall_15"], shown["recall_15_half"]))
    axes.set_ylim(_limits(mean["triplet_accuracy"], shown["triplet_accuracy"], shown["triplet_accuracy_half"]))
    if len(listed) <= 8:
        names = [f"{short_name(known[cell.line])}, {cell.min_dist:g}" for cell in listed]
        _name_cells(axes, listed, names, mean[["recall_15", "triplet_accuracy"]].to_numpy())
    axes.locator_params(nbins=5)
    axes.set_xlabel("recall at 15", size=7, labelpad=2)
    axes.set_ylabel("triplet accuracy", size=7, labelpad=2)
    axes.tick_params(labelsize=6, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) <= 8:
        axes.legend(
            title=" · ".join([*further, "n_neighbors"]),
            fontsize=6,
            title_fontsize=6,
            frameon=False,
            handlelength=1,
            **({"loc": "upper left", "bbox_to_anchor": (1.05, 1)} if room else {"loc": "best"}),
        )


def _limits(marks: pd.Series, ends: pd.Series, half_widths: pd.Series) -> tuple[float, float]:
    """Return the limits of an axis: all marks, and of the whiskers as much again on either side."""
    low, high = marks.min(), marks.max()
    reach = (high - low) or 0.1 * abs(high) or 1.0
    half_widths = half_widths.fillna(0)
    low = min(low, max((ends - half_widths).min(), low - reach))
    high = max(high, min((ends + half_widths).max(), high + reach))
    pad = 0.15 * ((high - low) or reach)
    return low - pad, high + pad


def _name_cells(axes: Axes, listed: Sequence[Any], names: Sequence[str], marks: np.ndarray) -> None:
    """Write its name beside each listed cell.

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

    for cell, text in zip(listed, names, strict=True):
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


def draw(table: pd.DataFrame, outlined: set[tuple[Line, float]], title: str, facts: list[str]) -> Figure:
    """Draw all metrics that the table has.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.metrics`.
    outlined : set of (Line, float)
        Line and min_dist of the cells on the short list.
    title : str
    facts : list of str
        Written below the title, separated by dots.
    """
    far_note = "circled: no other beats it; whiskers: 95 %" if outlined else "whiskers: 95 %, as ±"
    present = [column for column in measures.TITLES if column in table and table[column].notna().any()]
    present = [column for column in present if column != "disconnected" or table[column].any()]
    crossed = {"recall_15", "triplet_accuracy"} <= set(present) and len(table) > 1
    known = lines_of(table)
    rows, columns = len(known), table["min_dist"].nunique()
    gap = 0.6 + 0.055 * max(max(len(short_name(line)) for line in known) - 4, 0)  # for the names beside a panel
    wide, high = max(2.3, min(0.5 * columns, 5)), max(1.5, min(0.38 * rows, 6))
    lines = -(-(len(present) + crossed) // COLUMNS)
    width = COLUMNS * (wide + gap) + 0.25
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
        left, top = gap + line * (wide + gap), head + row * (high + 0.85) + 0.35
        name, meaning = measures.TITLES.get(column, ("Near against far", far_note))
        axes = figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height), label=name)
        figure.text(left / width, 1 - (top - 0.2) / height, name, size=9, va="bottom")
        figure.text(left / width, 1 - (top - 0.17) / height, meaning, size=6.5, va="top", color=QUIET)
        if not column:
            trade_off(axes, table, outlined, room=line < COLUMNS - 1)
            continue
        heatmap(axes, table, column, NUMBERS[column], outlined)
        if line == 0:
            axes.set_ylabel(" · ".join([*optional_axes(table), "n_neighbors"]), size=7, labelpad=4)
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
    listed = store.read(shortlist).to_pandas()
    told = bool((listed["group"] != "").any())
    # Where nothing can be told apart all cells are listed, which is nothing to show.
    listed = listed if told else listed.head(0)
    outlined = {(line_of(cell), float(cell["min_dist"])) for cell in listed.to_dict("records")}
    rows, sampled = int(table["rows"].iloc[0]), int(table["sample_rows"].max())
    facts = [f"{rows:,} rows"]
    if sampled < rows:
        facts.append(f"a sample of {sampled:,} against all rows, recall at 15 and label accuracy of all")
    if table.groupby(setting_of(table)).size().max() > 1:
        facts.append("mean over seeds ± half of its 95 % interval, from sample and seeds")
    elif any(means(table, column)["half_width"].notna().any() for column in measures.TITLES if column in table):
        facts.append("± half of the 95 % interval, from the sample alone")
    if "label_accuracy_unseen" in table:
        facts.append("supervised: what is said of the label that it was given, the picture was made to show")
    if len(table[[*optional_axes(table), "n_neighbors", "min_dist"]].drop_duplicates()) > 1:
        facts.append("each panel has its own colours, from its least to its greatest value")
        facts.append("outlined: no other beats it beyond the noise" if told else ONE_SEED)
    else:
        outlined = set()
    with drawing(STYLE):
        save(draw(table, outlined, f"Metrics of the UMAP sweep of {dataset}", facts), (png, vector), plot["dpi"])
