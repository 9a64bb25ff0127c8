"""Draw new rows over the cell that they are placed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.figures.pictures import LEVELS, NO_LABEL_COLOUR, OTHER_COLOUR, Colouring, colour_points
from umap_sweep.figures.style import FRAME_COLOUR, SIDE_TEXT_COLOUR, STYLE, drawing, save
from umap_sweep.quality import labels, measures, tables
from umap_sweep.stages.new_rows import STRANGE

STORED_COLOUR, RING_COLOUR = "#d9d9d9", "#000000"
# What the grid draws in light greys, here darker, because stored points are of such a one.
DARKER = {OTHER_COLOUR: "#808080", NO_LABEL_COLOUR: "#585858"}
# Lengths in inches.
MARGIN, HEAD, FOOT, LEGEND = 0.15, 0.68, 0.42, 1.9
# Panels of this figure are so many times as wide as those of the grid, as it has only one.
WIDER = 2.2
# Entries of the legend in one column, and its letters at most.
MOST_ENTRIES, LONGEST = 26, 24


def draw(
    stored: np.ndarray,
    new: np.ndarray,
    strange: np.ndarray,
    colouring: Colouring,
    title: str,
    facts: list[list[str]],
    side: float,
    dpi: int,
) -> Figure:
    """Draw stored points in grey, new ones over them in colour, and a ring around each stranger.

    Parameters
    ----------
    stored : ndarray of float, shape (n, d)
    new : ndarray of float, shape (m, d)
        Of more than two dimensions the first two are drawn. NaN where a row has no place.
    strange : ndarray of bool, shape (m,)
    colouring : Colouring
        Of the new points.
    title : str
    facts : list of list of str
        The lines below the title.
    side : float
        Width and height of the panel, in inches.
    dpi : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    has_legend = bool(colouring.title)
    width, height = 2 * MARGIN + side + (LEGEND if has_legend else 0), HEAD + side + FOOT
    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    figure.text(MARGIN / width, 1 - 0.1 / height, title, size=11, weight="bold", va="top")
    for place, line in enumerate(facts):
        top = 1 - (0.32 + 0.16 * place) / height
        figure.text(MARGIN / width, top, " · ".join(line), size=7.5, color=SIDE_TEXT_COLOUR, va="top")
    axes = figure.add_axes((MARGIN / width, FOOT / height, side / width, side / height), xticks=[], yticks=[])
    axes.spines[:].set(color=FRAME_COLOUR, linewidth=0.6)
    is_plane = stored.shape[1] > 1
    old, new = _in_plane(stored, 0.0), _in_plane(new, 1.1)
    old = old[measures.placed(old)]
    axes.scatter(old[:, 0], old[:, 1], s=_size(len(old), side), c=STORED_COLOUR, linewidths=0, rasterized=True)
    there = measures.placed(new)
    # Shuffled, because the rows of many data sets are sorted by label, and what is drawn last lies on top.
    order = np.random.default_rng(0).permutation(np.flatnonzero(there))
    size = 2.2 * _size(len(order), side)
    colours = colouring.palette[colouring.codes[order]]
    axes.scatter(new[order, 0], new[order, 1], s=size, c=colours, alpha=0.9, linewidths=0, rasterized=True)
    ringed = new[there & strange]
    rings: dict[str, Any] = {"facecolors": "none", "edgecolors": RING_COLOUR, "linewidths": 0.8, "alpha": 0.8}
    axes.scatter(ringed[:, 0], ringed[:, 1], s=size + 30, rasterized=True, **rings)
    if is_plane:
        axes.set_aspect("equal", adjustable="datalim")
    words = ["grey: stored points", "colour: new points"]
    words += ["ring: stranger than 99 in 100 stored rows"] if len(ringed) else []
    words += [f"{int((~there).sum()):,} without a place are not drawn"] if not there.all() else []
    figure.text(MARGIN / width, 0.14 / height, " · ".join(words), size=7.5, color=SIDE_TEXT_COLOUR, va="bottom")
    if has_legend:
        _legend(figure, axes, colouring, (2 * MARGIN + side) / width, width, height, side)
    return figure


def _in_plane(points: np.ndarray, above: float) -> np.ndarray:
    """Return the first two dimensions; points of one dimension are scattered in a band that begins at a height."""
    if points.shape[1] > 1:
        return points[:, :2]
    band = above + np.random.default_rng(0).random(len(points))
    return np.column_stack([points[:, 0], np.where(np.isfinite(points[:, 0]), band, np.nan)])


def _size(points: int, side: float) -> float:
    """Return the area of a point, in square points of print, the smaller the more points there are."""
    return float((72 * side * min(0.009, 0.25 / max(points, 1) ** 0.5)) ** 2)


def _legend(
    figure: Figure, axes: Axes, colouring: Colouring, left: float, width: float, height: float, side: float
) -> None:
    top = (FOOT + side) / height
    figure.text(left, top, colouring.title.partition(":")[0], size=7.5, va="top")
    if colouring.limits:
        bar = figure.add_axes((left, (FOOT + 0.2 * side) / height, 0.14 / width, 0.6 * side / height))
        scale = ScalarMappable(Normalize(*colouring.limits), ListedColormap(colouring.palette[:LEVELS]))
        figure.colorbar(scale, bar, extend=colouring.extend).outline.set_visible(False)
        bar.tick_params(labelsize=7, color=FRAME_COLOUR)
    for place, (name, points, code) in enumerate(colouring.legend[:MOST_ENTRIES]):
        down = top - (0.24 + 0.17 * place) / height
        text = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        dot: dict[str, Any] = {
            "transform": figure.transFigure,
            "clip_on": False,
            "linestyle": "",
            "marker": "o",
            "markersize": 5,
        }
        axes.plot(
            [left + 0.05 / width], [down - 0.055 / height], **dot, color=colouring.palette[code], markeredgewidth=0
        )
        figure.text(left + 0.16 / width, down, f"{text} ({points:,})", size=7.5, va="top")


def colouring_of_new(stored: pa.Table, new: pa.Table, kind: str) -> Colouring:
    """Return the colours of new points: those that the figure of the grid has for the same labels.

    Labels that no stored point has take colours that are left. New points without a label, and those whose label has no
    colour of its own, are of darker greys than in the grid.

    Parameters
    ----------
    stored, new : pyarrow.Table
        `label`, where there is one.
    kind : str
        The configuration's `plot.label_kind`.

    Raises
    ------
    InputError
        Where `kind` is `numeric` and the labels are text.
    """
    rows = new.num_rows
    if "label" not in new.column_names:
        return colour_points(None, kind, rows)
    of_new = new.column("label").combine_chunks()
    of_stored = stored.column("label").combine_chunks() if "label" in stored.column_names else None
    in_common = None if of_stored is None else labels.in_common(of_stored, of_new, kind)
    if in_common is None:
        return _with_darker_greys(colour_points(of_new, kind, rows))
    both = pa.concat_arrays(in_common)
    colouring = colour_points(both, kind, len(both), leading=len(both) - rows)
    codes = colouring.codes[len(both) - rows :]
    counts = np.bincount(codes, minlength=len(colouring.palette))
    legend = [(name, int(counts[code]), code) for name, _, code in colouring.legend if counts[code]]
    return _with_darker_greys(replace(colouring, codes=codes, legend=legend))


def _with_darker_greys(colouring: Colouring) -> Colouring:
    palette = colouring.palette.copy()
    for colour, darker in DARKER.items():
        palette[(palette == to_rgb(colour)).all(axis=1)] = to_rgb(darker)
    return replace(colouring, palette=palette)


def plot_new_rows(
    layout: str | Path,
    rows: str | Path,
    placed: str | Path,
    metrics: str | Path,
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
    new: str,
    cell: str,
) -> None:
    """Draw stored new rows over their cell.

    Parameters
    ----------
    layout, rows : path
        Of the cell and of the stored rows.
    placed : path
        From `umap_sweep.stages.new_rows`.
    metrics : path
        From `umap_sweep.quality.new_rows_metrics`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: label_kind, panel_size and dpi.
    dataset, new, cell : str
        What the stored rows, the new rows and the cell are called.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    table, points = store.read(placed), tables.coordinates_of(layout)
    found = store.read(metrics).to_pylist()[0]
    strange = store.numbers(table.column("p_value")) <= STRANGE
    strangers = f"{found['strangers']:,} {'stranger' if found['strangers'] == 1 else 'strangers'}"
    second = [f"{strangers}; of rows like the stored ones 1 in 100 is one"]
    if found["label_accuracy"] is not None:
        second.append(f"{100 * found['label_accuracy']:.1f} % lie among stored points of their label")
    rows_in_words = f"{table.num_rows:,} new {'row' if table.num_rows == 1 else 'rows'}"
    facts = [[cell, f"{rows_in_words} over {len(points):,} stored ones"], second]
    if points.shape[1] != 2:
        facts[0].append(
            f"first 2 of {points.shape[1]} dimensions" if points.shape[1] > 2 else "1 dimension, in two bands"
        )
    with drawing(STYLE):
        colouring = colouring_of_new(store.read_rows(rows), table, plot["label_kind"])
        title, side = f"{new} on UMAP of {dataset}", WIDER * plot["panel_size"]
        figure = draw(points, store.matrix(table, "umap_"), strange, colouring, title, facts, side, plot["dpi"])
        save(figure, (png, vector), plot["dpi"])
