"""Draw each metric of a sweep beside what it is on the null, the same data with permuted columns."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from umap_sweep import store
from umap_sweep.cells.keys import optional_axes
from umap_sweep.cells.lines import line_of, name_of
from umap_sweep.figures.style import STYLE, drawing, save
from umap_sweep.quality import measures

# What is drawn of each setting: its column, mark, colours of mark and edge (Okabe and Ito's), words, and how far it is
# from the middle of the setting's line, so that no whisker hides another.
VALUE, NULL = "#0072b2", "#d55e00"
SERIES = [
    ("value", "o", VALUE, VALUE, "the data", -0.17),
    ("null", "D", "#ffffff", NULL, "permuted columns", 0.17),
]
QUIET, RULE = "#555555", "#e6e6e6"
WHISKER = 2  # standard errors on each side
PER_LINE = 4  # panels
# Lengths in inches.
LINE = 0.21  # from one setting to the next, where there is room
TALLEST = 12  # of a panel at most; with more settings, they lie closer together
NAME = 0.13  # the height that the name of a setting needs
WIDE, GAP, LEFT = 1.75, 0.3, 1.75


def metric_panel(axes: Axes, table: pd.DataFrame, line: float) -> None:
    """Draw one metric: of each setting the value and that of the null, with whiskers.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    table : pandas.DataFrame
        The rows of the metric, from `umap_sweep.quality.null`.
    line : float
        From one setting to the next, in inches.
    """
    size = min(1.0, max(line / LINE, 0.3))
    for column, mark, face, edge, words, aside in SERIES:
        axes.errorbar(
            table[column],
            np.arange(len(table)) + aside,
            xerr=WHISKER * table[f"{column}_error"].fillna(0.0),
            fmt=mark,
            markersize=4.2 * size,
            markerfacecolor=face,
            markeredgecolor=edge,
            markeredgewidth=0.9,
            ecolor=edge,
            elinewidth=0.9,
            capsize=1.8 * size,
            capthick=0.9,
            label=words,
        )
    axes.margins(x=0.08)


def untrusted_panel(axes: Axes, table: pd.DataFrame, line: float) -> None:
    """Draw the share of points that are not trusted, of each setting, as bars; parameters as in `metric_panel`."""
    axes.barh(np.arange(len(table)), table["untrusted"], height=0.6, color=NULL, alpha=0.75, linewidth=0)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))


def draw(table: pd.DataFrame, title: str, facts: str) -> Figure:
    """Draw a panel for each metric, and one for the points that are not trusted.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.null`.
    title : str
    facts : str
        Written below the title.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    first = table[table["metric"] == metrics[0]] if metrics else table
    settings = [(line_of(cell), cell["min_dist"]) for cell in first.to_dict("records")]
    line = min(LINE, TALLEST / max(len(settings), 1))
    high, step = line * max(len(settings), 1), math.ceil(NAME / line)  # names that would overlap are left out
    panels = [*metrics, "untrusted"]
    lines, columns = -(-len(panels) // PER_LINE), min(len(panels), PER_LINE)
    head, below = 1.12, 0.7
    beside = LEFT + 0.8 * len(optional_axes(table))
    width = beside + columns * WIDE + (columns - 1) * GAP + 0.2
    height = head + lines * (high + below) - below + 0.35
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.2 / width, 1 - 0.18 / height, title, size=12, va="top")
    figure.text(0.2 / width, 1 - 0.43 / height, facts, size=7, va="top", color=QUIET, linespacing=1.4)
    for place, name in enumerate(panels):
        left = beside + place % PER_LINE * (WIDE + GAP)
        top = head + place // PER_LINE * (high + below)
        words = measures.TITLES.get(name, ("Points not trusted", "share with p above 0.05"))
        axes = figure.add_axes((left / width, 1 - (top + high) / height, WIDE / width, high / height), label=words[0])
        figure.text(left / width, 1 - (top - 0.17) / height, words[0], size=9, va="bottom")
        figure.text(left / width, 1 - (top - 0.15) / height, words[1], size=6.5, va="top", color=QUIET)
        if name == "untrusted":
            untrusted_panel(axes, first, line)
        else:
            metric_panel(axes, table[table["metric"] == name], line)
        axes.set_ylim(len(settings) - 0.5, -0.5)
        for row in range(1, len(settings)):
            if settings[row][0] != settings[row - 1][0]:
                axes.axhline(row - 0.5, color=RULE, linewidth=0.8, zorder=0)
        names = [f"{name_of(one)} · min_dist {two:g}" for one, two in settings[::step]]
        axes.set_yticks(range(0, len(settings), step), names if place % PER_LINE == 0 else [], size=7)
        axes.locator_params(axis="x", nbins=4)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=6.5, length=2)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
    if metrics:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="upper right",
            bbox_to_anchor=(1 - 0.15 / width, 1 - 0.12 / height),
            ncols=2,
            frameon=False,
            fontsize=8,
        )
    return figure


def plot_null(null: str | Path, png: str | Path, vector: str | Path, plot: Mapping[str, Any], dataset: str) -> None:
    """Draw a sweep against its null.

    Parameters
    ----------
    null : path
        From `umap_sweep.quality.null`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: dpi.
    dataset : str
        Named in the title.
    """
    table = store.read(null).to_pandas()
    seeds = int(table["seeds"].max()) if len(table) else 1
    permutations = int(table["permutations"].max()) if len(table) else 1
    known = ["of the rows as a sample", "of the seeds" if seeds > 1 else ""]
    known.append(f"of the {permutations} permutations" if permutations > 1 else "")
    noise = [
        ", ".join(filter(None, known)),
        "" if seeds > 1 else "with one seed, what another would change in the data is unknown",
        "" if permutations > 1 else "with one permutation, what another would change in triplets and pairs is unknown",
    ]
    facts = (
        "the same grid on the same data with the values of each column permuted, where there is nothing to find\n"
        f"whiskers: {WHISKER} standard errors to each side, {'; '.join(filter(None, noise))}"
    )
    with drawing(STYLE):
        save(draw(table, f"The sweep of {dataset} against its null", facts), (png, vector), plot["dpi"])
