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
from umap_sweep.figures.style import STYLE, drawing, save
from umap_sweep.quality.shortlist import with_other_umap_seeds

# Each panel: the column, its name, what it says, and whether a greater value is more change.
PANELS = [
    ("neighbor_overlap", "Neighbours that stay", "mean share of a point's 15 nearest points", False),
    ("procrustes_disparity", "Procrustes disparity", "of the whole arrangement; 0 is the same, 1 unrelated", True),
]
COLOURS, UNKNOWN = "cividis", "#d9d9d9"
QUIET = "#555555"


def node_link(
    axes: Axes, cells: pd.DataFrame, steps: pd.DataFrame, seeds: pd.DataFrame | None, column: str, reverse: bool
) -> None:
    """Draw the grid as discs and bands.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    cells : pandas.DataFrame
        Each n_neighbors and min_dist of the grid.
    steps : pandas.DataFrame
        The table of `umap_sweep.quality.neighboring_cells`.
    seeds : pandas.DataFrame or None
        Rows of the table of `umap_sweep.quality.stability`; None where there is one seed.
    column : str
        The column of both tables to draw.
    reverse : bool
        Whether greater values are darker.
    """
    rows, columns = (sorted(cells[axis].unique()) for axis in ("n_neighbors", "min_dist"))
    place = {
        (cell.n_neighbors, cell.min_dist): (columns.index(cell.min_dist), rows.index(cell.n_neighbors))
        for cell in cells.itertuples()
    }
    ends = ["n_neighbors", "min_dist", "other_n_neighbors", "other_min_dist"]
    bands = steps.groupby(ends, as_index=False)[column].mean()
    discs = {} if seeds is None else seeds.groupby(["n_neighbors", "min_dist"])[column].mean().to_dict()
    # From 0 to 1, whatever the values are, so that little change looks like little change.
    scale = ScalarMappable(Normalize(0, 1), COLOURS + ("_r" if reverse else ""))
    size = 6.5 if max(len(columns), len(rows)) <= 6 else 5
    box = axes.get_window_extent()
    step = min(box.width / len(columns), box.height / len(rows)) * 72 / axes.figure.dpi  # points
    for band in bands.itertuples():
        (x, y), (other_x, other_y) = (
            place[band.n_neighbors, band.min_dist],
            place[band.other_n_neighbors, band.other_min_dist],
        )
        value = getattr(band, column)
        axes.plot(
            [x, other_x],
            [y, other_y],
            color=scale.to_rgba(value),
            linewidth=0.15 * step,
            solid_capstyle="butt",
            zorder=1,
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
    axes.set_xticks(range(len(columns)), [f"{value:g}" for value in columns], size=7)
    axes.set_yticks(range(len(rows)), [f"{value}" for value in rows], size=7)
    axes.set_xlabel("min_dist", size=8)
    axes.set_ylabel("n_neighbors", size=8)
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
    cells = pd.concat(
        [steps[["n_neighbors", "min_dist"]],
         steps[["other_n_neighbors", "other_min_dist"]].set_axis(["n_neighbors", "min_dist"], axis=1)]
    ).drop_duplicates()  # fmt: skip
    wide = float(np.clip(0.85 * cells["min_dist"].nunique(), 3.6, 8))
    high = float(np.clip(0.85 * cells["n_neighbors"].nunique(), 1.2, 10))
    width, height = 0.65 + 2 * wide + 0.7 + 0.15, 0.75 + 0.45 + high + 0.75
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
        left = 0.65 + panel * (wide + 0.7)
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
