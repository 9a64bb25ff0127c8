"""Draw how much the embedding changes from each cell of the grid to the next, and with another seed.

A disc stands for one n_neighbors and min_dist, and shows the change with the seed where there are several. A band
between two discs shows the change from one to the other. Both have one colour scale: a band as light as the discs
beside it is a step that changes no more than another seed does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.cells.keys import optional_axes
from umap_sweep.cells.lines import in_order, line_of, short_name
from umap_sweep.figures.style import STYLE, drawing, save, ticks
from umap_sweep.quality.comparisons import with_other_umap_seeds

# Each panel: the column, its name, what it says, and whether a greater value is more change.
PANELS = [
    ("neighbor_overlap", "Neighbours that stay", "mean share of a point's 15 nearest points", False),
    ("procrustes_disparity", "Procrustes disparity", "of the whole arrangement; 0 is the same, 1 unrelated", True),
]
COLOURS, UNKNOWN = "cividis", "#d9d9d9"
QUIET = "#555555"
# From how many points on between cells there is room for discs and bands beside each other.
LEAST_STEP = 6


def node_link(
    axes: Axes, cells: pd.DataFrame, steps: pd.DataFrame, seeds: pd.DataFrame | None, column: str, reverse: bool
) -> None:
    """Draw the grid as discs and bands.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    cells : pandas.DataFrame
        Each setting of the grid: n_neighbors, min_dist and further axes.
    steps : pandas.DataFrame
        The table of `umap_sweep.quality.neighboring_cells`.
    seeds : pandas.DataFrame or None
        Rows of the table of `umap_sweep.quality.stability`; None where there is one seed.
    column : str
        The column of both tables to draw.
    reverse : bool
        Whether greater values are darker.
    """
    further = optional_axes(cells)
    of_cell = [*further, "n_neighbors", "min_dist"]
    settings: list[dict[Any, Any]] = cells.to_dict("records")
    rows, columns = in_order(map(line_of, settings)), sorted(cells["min_dist"].unique())
    place = {
        tuple(cell[name] for name in of_cell): (columns.index(cell["min_dist"]), rows.index(line_of(cell)))
        for cell in settings
    }
    # Cells that differ in a further axis do not lie beside each other; their mean is written below.
    beside = steps[~steps["along"].isin(further)]
    bands = beside.groupby([*of_cell, *(f"other_{name}" for name in of_cell)], as_index=False)[column].mean()
    discs = {} if seeds is None else seeds.groupby(of_cell)[column].mean().to_dict()
    # From 0 to 1, whatever the values are, so that little change looks like little change.
    scale = ScalarMappable(Normalize(0, 1), COLOURS + ("_r" if reverse else ""))
    size = 6.5 if max(len(columns), len(rows)) <= 6 else 5
    box = axes.get_window_extent()
    points = 72 / axes.figure.dpi
    across, down = points * box.width / len(columns), points * box.height / len(rows)
    step = min(across, down)
    along_min_dist = along_lines = 0.15 * step
    if step < LEAST_STEP:
        # Cells are too close for discs. The bands between close ones fill the room, and the others cross them.
        along_min_dist, along_lines = (0.3 * down, across) if across <= down else (down, 0.3 * across)
    drawn: list[dict[Any, Any]] = pd.DataFrame(bands).to_dict("records")
    for band in drawn:
        (x, y), (other_x, other_y) = (
            place[tuple(band[f"{prefix}{name}"] for name in of_cell)] for prefix in ("", "other_")
        )
        value = band[column]
        axes.plot(
            [x, other_x],
            [y, other_y],
            color=scale.to_rgba(value),
            linewidth=along_min_dist if y == other_y else along_lines,
            solid_capstyle="butt",
            zorder=1.5 if (y == other_y) == (across <= down) else 1,
        )
        if max(len(columns), len(rows)) <= 10:
            axes.text(
                (x + other_x) / 2,
                (y + other_y) / 2,
                f"{value:.2f}",
                ha="center",
                va="center",
                size=size,
                rotation=90 if x == other_x else 0,
                color=_readable(scale.to_rgba(value)),
            )
    for cell, (x, y) in place.items():
        value = discs.get(cell)
        colour = UNKNOWN if value is None else scale.to_rgba(value)
        axes.scatter(x, y, s=(0.35 * step) ** 2, color=[colour], edgecolors="white", linewidths=0.025 * step, zorder=2)
        if value is not None and max(len(columns), len(rows)) <= 10:
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", size=size, color=_readable(colour), zorder=3)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks(*ticks(columns), size=7)
    axes.set_yticks(*ticks([short_name(line) for line in rows]), size=7)
    axes.set_xlabel("min_dist", size=8)
    axes.set_ylabel(" · ".join([*further, "n_neighbors"]), size=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _readable(colour: Any) -> str:
    return "black" if np.dot(colour[:3], [0.299, 0.587, 0.114]) > 0.45 else "white"


def draw(steps: pd.DataFrame, seeds: pd.DataFrame | None, title: str) -> Figure:
    """Draw both panels, and below each its mean along either axis of the grid and with the seed.

    Parameters
    ----------
    steps, seeds
        As for `node_link`.
    title : str
    """
    of_cell = [*optional_axes(steps), "n_neighbors", "min_dist"]
    others = steps[[f"other_{name}" for name in of_cell]].set_axis(of_cell, axis=1)
    cells = pd.concat([steps[of_cell], others]).drop_duplicates()
    lines = in_order(line_of(cell) for cell in cells.to_dict("records"))
    # The means below a panel are one more for each further axis.
    wide = float(np.clip(0.85 * cells["min_dist"].nunique(), 3.6 + 1.3 * len(optional_axes(steps)), 8))
    high = float(np.clip(0.85 * len(lines), 1.2, 10))
    left_of = 0.65 + 0.06 * max(max(len(short_name(line)) for line in lines) - 4, 0)  # for names of lines
    width, height = 2 * (left_of + wide) + 0.2, 0.75 + 0.45 + high + 0.75
    figure = Figure(figsize=(width, height), facecolor="white")
    discs = "not known from one seed" if seeds is None else "change with the seed"
    figure.text(0.2 / width, 1 - 0.18 / height, title, size=12, va="top")
    figure.text(
        0.2 / width,
        1 - 0.45 / height,
        f"bands: change to the next cell of the grid · discs: {discs} · dark: much change, light: little",
        size=7,
        va="top",
        color=QUIET,
    )
    for panel, (column, name, meaning, reverse) in enumerate(PANELS):
        left = left_of + panel * (wide + left_of + 0.05)
        axes = figure.add_axes((left / width, 0.75 / height, wide / width, high / height), label=name)
        figure.text(left / width, (0.75 + high + 0.22) / height, name, size=9)
        figure.text(left / width, (0.75 + high + 0.08) / height, meaning, size=6.5, color=QUIET)
        node_link(axes, cells, steps, seeds, column, reverse)
        means = [f"along {along} {part[column].mean():.2f}" for along, part in steps.groupby("along", sort=False)]
        if seeds is not None:
            means.append(f"with the seed {seeds[column].mean():.2f}")
        figure.text(left / width, 0.12 / height, "mean: " + " · ".join(means), size=7)
    return figure


def plot_changes(
    steps: str | Path,
    stability: str | Path | None,
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
) -> None:
    """Draw the changes between the cells of a sweep.

    Parameters
    ----------
    steps : path
        From `umap_sweep.quality.neighboring_cells`.
    stability : path or None
        From `umap_sweep.quality.stability`, where there are several seeds.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: dpi.
    dataset : str
        Named in the title.
    """
    seeds = None if stability is None else with_other_umap_seeds(store.read(stability).to_pandas())
    with drawing(STYLE):
        figure = draw(store.read(steps).to_pandas(), seeds, f"What changes over the grid of {dataset}")
        save(figure, (png, vector), plot["dpi"])
