"""Draw what the seeds change: every two cells of one n_neighbors and min_dist, by which of their seeds differ."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.cells.keys import optional_axes
from umap_sweep.cells.lines import further_of
from umap_sweep.figures.style import STYLE, drawing, save

# Which seeds differ, with the colour (Okabe and Ito's) and the mark.
ACROSS = {"UMAP seed": ("#0072b2", "o"), "k-NN seed": ("#d55e00", "D"), "both seeds": ("#009e73", "^")}
PANELS = [
    ("neighbor_overlap", "Neighbours in common", "mean share of a point's 15 nearest points; 1 is the same"),
    ("procrustes_disparity", "Procrustes disparity", "of the whole arrangement; 0 is the same, 1 unrelated"),
]
QUIET, RULE = "#555555", "#e6e6e6"
# Lengths in inches.
LINE = 0.2  # from one kind of pair to the next, where there is room
TALLEST = 24  # of a panel at most; with more cells, lines lie closer together
NAME = 0.13  # the height that the name of a cell needs


def draw(pairs: pd.DataFrame, title: str) -> Figure:
    """Draw each pair of cells as a mark, and the mean of each kind of pair as a bar.

    Parameters
    ----------
    pairs : pandas.DataFrame
        The table of `umap_sweep.quality.stability`.
    title : str
    """
    further = optional_axes(pairs)
    cells: list[tuple[Any, pd.DataFrame]] = list(pairs.groupby([*further, "n_neighbors", "min_dist"]))
    kinds = [kind for kind in ACROSS if (pairs["across"] == kind).any()]
    line = min(LINE, TALLEST / len(cells) / (len(kinds) + 1))
    block = line * (len(kinds) + 1)
    step = math.ceil(NAME / block)  # where names would overlap, only every step-th one is written
    wide, left, head = 2.7, 1.75 + 0.8 * len(further), 0.95
    width, height = left + 2 * wide + 0.5 + 0.25, head + block * len(cells) + 0.75
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.2 / width, 1 - 0.18 / height, title, size=12, va="top")
    runs = f"{len(pairs):,} pairs of runs; a mark is a pair, a bar the mean"
    figure.text(0.2 / width, 1 - 0.45 / height, runs, size=7, va="top", color=QUIET)
    for panel, (column, name, meaning) in enumerate(PANELS):
        x = left + panel * (wide + 0.5)
        axes = figure.add_axes((x / width, 0.75 / height, wide / width, block * len(cells) / height), label=name)
        figure.text(x / width, 1 - (head - 0.16) / height, name, size=9, va="bottom")
        figure.text(x / width, 1 - (head - 0.13) / height, meaning, size=6.5, va="top", color=QUIET)
        for row, (_, cell) in enumerate(cells):
            for place, kind in enumerate(kinds):
                colour, mark = ACROSS[kind]
                values, y = cell.loc[cell["across"] == kind, column].to_numpy(), row * block + (place + 1) * line
                label = kind if row == 0 else None
                axes.scatter(
                    values,
                    np.full(len(values), y),
                    s=(4 * max(line / LINE, 0.25)) ** 2,
                    marker=mark,
                    color=colour,
                    alpha=0.6,
                    linewidths=0,
                    clip_on=False,  # those at 0 lie on the edge
                    label=label,
                )
                if len(values):
                    axes.plot([values.mean()] * 2, [y - 0.4 * line, y + 0.4 * line], color=colour, linewidth=1.6)
            axes.axhline((row + 1) * block, color=RULE, linewidth=0.6)
        axes.set(xlim=(0, 1.02), ylim=(len(cells) * block, 0))
        if column == "procrustes_disparity":
            axes.set_xlim(0, max(1.05 * pairs[column].max(), 0.01))
        names = [
            " · ".join(
                [
                    *further_of(dict(zip(further, cell, strict=False))),
                    f"n_neighbors {cell[-2]}",
                    f"min_dist {cell[-1]:g}",
                ]
            )
            for cell, _ in cells[::step]
        ]
        axes.set_yticks(
            [(row + 0.5) * block for row in range(0, len(cells), step)], names if panel == 0 else [], size=7
        )
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=7, length=2)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    words = [f"other {label}" if label != "both seeds" else "both other" for label in labels]
    figure.legend(
        handles,
        words,
        loc="lower left",
        bbox_to_anchor=(left / width, 0.02 / height),
        ncols=3,
        frameon=False,
        fontsize=7,
    )
    return figure


def plot_stability(
    stability: str | Path, png: str | Path, vector: str | Path, plot: Mapping[str, Any], dataset: str
) -> None:
    """Draw the stability of a sweep.

    Parameters
    ----------
    stability : path
        From `umap_sweep.quality.stability`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: dpi.
    dataset : str
        Named in the title.
    """
    with drawing(STYLE):
        figure = draw(store.read(stability).to_pandas(), f"What the seeds change in the sweep of {dataset}")
        save(figure, (png, vector), plot["dpi"])
