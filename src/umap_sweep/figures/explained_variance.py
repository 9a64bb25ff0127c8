"""Draw how much of the variance the principal components of each preparation explain: one by one, and together."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from umap_sweep import store
from umap_sweep.figures.style import SIDE_TEXT_COLOUR, STYLE, TEXT_COLOUR, drawing, save

RULE = "#e6e6e6"
# Lengths in inches.
WIDE, HIGH, LEFT, GAP = 3.2, 2.2, 0.65, 0.65


def draw(table: pd.DataFrame, title: str) -> Figure:
    """Draw the share of each component on the left, and that of all components up to it on the right.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.explained_variance`.
    title : str
    """
    width, height = LEFT + 2 * WIDE + GAP + 1.15, HIGH + 1.35
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.2 / width, 1 - 0.18 / height, title, size=12, va="top")
    facts = "of what goes into the PCA, after the steps before it; a dot is the last component that is kept"
    figure.text(0.2 / width, 1 - 0.45 / height, facts, size=7, va="top", color=SIDE_TEXT_COLOUR)
    lines = sorted(table.groupby("preparation", sort=False), key=lambda one: -len(one[1]))
    colours = matplotlib.colormaps["cividis"](np.linspace(0, 0.85, len(lines)))
    for place, (column, name) in enumerate((("share", "Of each component"), ("cumulative_share", "Of all up to it"))):
        left = LEFT + place * (WIDE + GAP)
        axes = figure.add_axes((left / width, 0.45 / height, WIDE / width, HIGH / height), label=name)
        figure.text(left / width, (0.45 + HIGH + 0.08) / height, name, size=9)
        for number, ((preparation, components), colour) in enumerate(zip(lines, colours, strict=True)):
            percent = 100 * components[column].to_numpy()
            # The widest lies lowest, and each that is narrower shows by its end.
            axes.plot(components["component"], percent, "-", color=colour, linewidth=3.2 - 0.8 * min(number, 3))
            axes.plot(components["component"].iloc[-1], percent[-1], "o", color=colour, markersize=5, clip_on=False)
            if place:
                words = f"{preparation}: {percent[-1]:.1f} %"
                end = components["component"].iloc[-1], percent[-1]
                axes.annotate(
                    words, end, (5, -9), textcoords="offset points", size=7, color=TEXT_COLOUR, annotation_clip=False
                )
        _finish(axes, is_share=not place)
    return figure


def _finish(axes: Axes, is_share: bool) -> None:
    axes.set_xlabel("component", size=7.5, labelpad=2)
    axes.set_ylabel("% of the variance", size=7.5, labelpad=3)
    axes.set_ylim(0, None if is_share else 100)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=7, length=2)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def plot_explained_variance(explained: str | Path, png: str | Path, vector: str | Path, dataset: str, dpi: int) -> None:
    """Draw the variance that the principal components of a sweep's preparations explain.

    Parameters
    ----------
    explained : path
        From `umap_sweep.quality.explained_variance`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    dataset : str
        Named in the title.
    dpi : int
        Dots per inch of the PNG.
    """
    table = store.read(explained).to_pandas()
    with drawing(STYLE):
        save(draw(table, f"Variance that principal components of {dataset} explain"), (png, vector), dpi)
