"""Draw how much of the distances between rows each feature decides."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.figures.style import FRAME_COLOUR, SIDE_TEXT_COLOUR, STYLE, drawing, save
from umap_sweep.quality.feature_shares import percent

# So many features have a bar of their own. Where all others together hold more than this, a curve says more than bars.
MOST_BARS, MOST_OF_OTHERS = 20, 0.25
LONGEST_NAME = 36
COLOUR, OTHERS_COLOUR, RULE = "#0072b2", "#b5b5b5", "#e8e8e8"
BEHIND_WORDS = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
# Lengths in inches.
WIDTH, BAR, HEAD, FOOT, RIGHT, MARGIN = 6.4, 0.22, 0.66, 0.5, 0.65, 0.15
LETTER = 0.068  # the width of a letter of a name
CURVE = 2.6  # the height of the curve


def draw(names: list[str], shares: np.ndarray | None, title: str, facts: list[str], nothing: str, dpi: int) -> Figure:
    """Draw the features with the largest shares as bars, or the cumulative share of many.

    Parameters
    ----------
    names : list of str
        d names of features.
    shares : ndarray of float, shape (d,), or None
        Their sum is 1.
    title : str
    facts : list of str
        Below the title.
    nothing : str
        What is said where there are no shares.
    dpi : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    if shares is None:
        figure = _page(title, facts, 0.4, dpi)
        figure.text(MARGIN / WIDTH, 0.3, nothing, size=8)
        return figure
    order = np.argsort(-shares, kind="stable")
    if shares[order[MOST_BARS:]].sum() <= MOST_OF_OTHERS:
        return _bars([names[place] for place in order], shares[order], title, facts, dpi)
    return _curve(shares[order], title, facts, dpi)


def _page(title: str, facts: list[str], below: float, dpi: int) -> Figure:
    """Return a figure with its title, and so many inches below that."""
    height = HEAD + below
    figure = Figure(figsize=(WIDTH, height), dpi=dpi, facecolor="white")
    figure.text(MARGIN / WIDTH, 1 - 0.12 / height, title, size=11, weight="bold", va="top")
    line = " · ".join(facts)
    figure.text(MARGIN / WIDTH, 1 - 0.36 / height, line, size=7.5, color=SIDE_TEXT_COLOUR, va="top")
    return figure


def _bars(names: list[str], shares: np.ndarray, title: str, facts: list[str], dpi: int) -> Figure:
    """Draw bars, the largest first; the features after the first `MOST_BARS` are one bar."""
    rest = len(names) - MOST_BARS
    if rest > 0:
        names = [*names[:MOST_BARS], f"{rest:,} other{'s' if rest > 1 else ''}"]
        shares = np.append(shares[:MOST_BARS], shares[MOST_BARS:].sum())
    written = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]
    left = MARGIN + 0.1 + LETTER * max(map(len, written))
    figure = _page(title, facts, BAR * len(names) + FOOT, dpi)
    height = figure.get_figheight()
    size = ((WIDTH - left - RIGHT) / WIDTH, BAR * len(names) / height)
    axes = figure.add_axes((left / WIDTH, FOOT / height, *size))
    colours = [COLOUR] * min(len(names), MOST_BARS) + [OTHERS_COLOUR] * (rest > 0)
    axes.barh(range(len(names)), 100 * shares, 0.7, color=colours)
    for place, share in enumerate(shares.tolist()):
        axes.text(100 * share, place, f" {percent(share)}", va="center", size=7.5)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 100 * shares.max()))
    axes.set_yticks(range(len(names)), written, size=7.5)
    axes.set_xlabel("share in the distances, %", size=8)
    _quiet(axes)
    axes.spines["left"].set_visible(False)
    return figure


def _curve(shares: np.ndarray, title: str, facts: list[str], dpi: int) -> Figure:
    """Draw how much the first features hold together, the largest first, and how many hold half and nine tenths."""
    held = np.concatenate([[0.0], np.cumsum(shares)])
    figure = _page(title, facts, CURVE + FOOT, dpi)
    left, height = 0.6, figure.get_figheight()
    axes = figure.add_axes((left / WIDTH, FOOT / height, (WIDTH - left - RIGHT) / WIDTH, CURVE / height))
    axes.plot([0, len(shares)], [0, 100], color=OTHERS_COLOUR, linewidth=0.8, linestyle="--")
    axes.plot(range(len(held)), 100 * held, color=COLOUR, linewidth=1.6)
    for level in (0.5, 0.9):
        count = int(np.searchsorted(held, level))
        axes.plot(count, 100 * held[count], "o", color=COLOUR, markersize=4)
        words = f"{count:,} of {len(shares):,} hold {100 * level:.0f} %"
        # Where there is room: above the curve in its right half, below it in its left.
        above = count > len(shares) / 2
        offset, side = ((-7, 4), ("right", "bottom")) if above else ((7, -4), ("left", "top"))
        place: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": side[0], "va": side[1]}
        axes.annotate(words, (count, 100 * held[count]), **place, size=7.5, bbox=BEHIND_WORDS)
    axes.set(xlim=(0, len(shares)), ylim=(0, 102))
    axes.set_xlabel("features, the largest share first (dashed: if all had the same)", size=8)
    axes.set_ylabel("share in the distances, %", size=8)
    _quiet(axes)
    return figure


def _quiet(axes: Axes) -> None:
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.tick_params(axis="x", labelsize=7.5, color=FRAME_COLOUR)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FRAME_COLOUR)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=RULE, linewidth=0.6)


def plot_features(features: str | Path, png: str | Path, vector: str | Path, dataset: str, dpi: int) -> None:
    """Draw the shares of a stored table, as a PNG file and as a PDF or SVG file.

    Parameters
    ----------
    features : path
        From `umap_sweep.quality.feature_shares`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    dataset : str
        Named in the title.
    dpi : int
        Dots per inch of the PNG.
    """
    table, record = store.read(features), store.read_record(features)
    metric, pairs = record["key"]["metric"], record["pairs"]
    shares = None if table.column("share").null_count else store.numbers(table.column("share"))
    facts = [f"{metric} distances", f"{record['rows']:,} rows × {table.num_rows:,} columns"]
    facts += [f"mean over {pairs:,} pairs of rows"] if pairs else []
    nothing = f"No two of these rows are apart by the metric {metric}."
    if pairs is None:
        nothing = f"{metric} distances have no parts that belong to one feature each."
    with drawing(STYLE):
        title = f"What decides the distances in {dataset}"
        figure = draw(table.column("feature").to_pylist(), shares, title, facts, nothing, dpi)
        save(figure, (png, vector), dpi)
