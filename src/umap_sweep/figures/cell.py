"""Draw one cell at the size at which it is printed: in millimetres, with text as text and names on their points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from umap_sweep import store
from umap_sweep.cells.lines import further_of
from umap_sweep.errors import InputError
from umap_sweep.figures import pictures
from umap_sweep.figures.grid import read_annotation
from umap_sweep.figures.pictures import LEVELS, Colouring
from umap_sweep.figures.style import SIDE_TEXT_COLOUR, STYLE, TEXT_COLOUR, drawing, save
from umap_sweep.job import say
from umap_sweep.quality import measures, tables

MM, POINT = 1 / 25.4, 1 / 72

# Up to so many points each is a circle of its own in PDF and SVG. More would make files that editors of figures cannot
# open, and lie on top of each other.
MOST_CIRCLES = 5000

# Pixels along a side of a picture of points at most: more show no more, and take the memory of their square.
MOST_PIXELS = 2400

# A panel less wide than this shows nothing.
LEAST_PANEL = 10

# Of the search for the densest place of a category: cells along a side, and how far a point counts, in cells.
CELLS, REACH = 100, 3.0

# Where a name may go if its place is taken: on so many rings around it, each half a line wider, at so many angles.
RINGS, ANGLES = 16, 24


@dataclass(frozen=True)
class _Name:
    """Where a name stands: the centre of its box, and the place on the points that it names; in em."""

    text: str
    x: float
    y: float
    at: tuple[float, float]
    width: float


class _Sheet:
    """The figure; lengths are in em, the size of its text, from its lower left corner."""

    def __init__(self, width: float, height: float, size: float) -> None:
        self.size, self.em = size, size * POINT
        self.width, self.height = width * MM / self.em, height * MM / self.em
        self.figure = Figure(figsize=(width * MM, height * MM), facecolor="white")
        self.page = self.axes(0, 0, self.width, self.height, "page")
        self.page.set(xlim=(0, self.width), ylim=(0, self.height), zorder=1)  # names are above points

    def axes(self, x: float, y: float, width: float, height: float, label: str) -> Axes:
        box = (x / self.width, y / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box, label=label)
        axes.axis("off")
        return axes

    def text_width(self, text: str) -> float:
        font = FontProperties(size=self.size)
        return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / self.size

    def write(self, x: float, y: float, text: str, **options: Any) -> None:
        self.page.text(x, y, text, **{"size": self.size, "color": TEXT_COLOUR, "va": "center", **options})


def densest_place(points: np.ndarray) -> np.ndarray:
    """Return where points lie densest: the mean of those near the place where most of them are near.

    Parameters
    ----------
    points : ndarray of float, shape (n, 2)
        Between 0 and 1.

    Returns
    -------
    ndarray of float64, shape (2,)
        A cluster in two parts is not named between them, as by its mean, nor a ring in its hole. The order of the
        points changes no bit.
    """
    places = np.minimum((points * CELLS).astype(np.int64), CELLS - 1)
    counts = np.bincount(places @ [CELLS, 1], minlength=CELLS**2).reshape(CELLS, CELLS)
    density = scipy.ndimage.gaussian_filter(counts.astype(np.float64), REACH, mode="constant")
    densest = np.array(np.unravel_index(int(np.rint(density / density.max() * 1e9).argmax()), density.shape))
    near = (np.abs(places - densest) <= REACH).all(axis=1)
    # A sum of whole numbers is the same in any order.
    whole = np.rint(points[near if near.any() else ...].astype(np.float64) * 2**20)
    mean: np.ndarray = whole.sum(axis=0) / 2**20 / len(whole)
    return mean


def place_names(wanted: Sequence[tuple[str, float, tuple[float, float]]], side: float) -> tuple[list[_Name], list[str]]:
    """Return where names go so that none lies on another, and those for which there is no room.

    Parameters
    ----------
    wanted : sequence of (str, float, (float, float))
        Name, width and place of each, in em, those first that are to be placed first.
    side : float
        Of the panel, which no name leaves.

    Returns
    -------
    placed : list of _Name
    left : list of str
    """
    placed: list[_Name] = []
    left = []
    for text, width, at in wanted:
        for x, y in _around(at):
            inside = width / 2 <= x <= side - width / 2 and 0.7 <= y <= side - 0.7
            free = all(abs(x - o.x) >= (width + o.width) / 2 + 0.3 or abs(y - o.y) >= 1.25 for o in placed)
            if inside and free:
                placed.append(_Name(text, x, y, at, width))
                break
        else:
            left.append(text)
    return placed, left


def _around(at: tuple[float, float]) -> list[tuple[float, float]]:
    """Return a place and those around it, the nearest first."""
    turns = [2 * math.pi * turn / ANGLES for turn in range(ANGLES)]
    rings = [(at[0] + r * math.cos(a), at[1] + r * math.sin(a)) for r in np.arange(1, RINGS + 1) / 2 for a in turns]
    return [at, *rings]


def draw(
    points: np.ndarray,
    colouring: Colouring,
    width: float,
    height: float | None,
    font_size: float,
    labels: bool,
    legend: str | bool,
    dpi: int,
    name: str = "",
) -> Figure:
    """Draw one cell.

    Parameters
    ----------
    points : ndarray of float32, shape (n, 1 or 2)
        NaN where a point has no place.
    colouring : Colouring
        Of the same points.
    width, height : float
        In millimetres. No height is that of a square panel and what is below it.
    font_size : float
        In points.
    labels : bool
        Whether the names of categories stand on their points.
    legend : bool or "auto"
        `auto` is one of what is not named on the points.
    dpi : int
        Of the points, where they are pixels.
    name : str
        What numbers are of, above their colour bar.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        Where the legend leaves no room for the points.
    """
    em = font_size * POINT / MM
    measure = _Sheet(width, width, font_size).text_width
    named = labels and colouring.named > 0 and points.shape[1] == 2
    shown = [] if legend is False else colouring.legend[colouring.named if named and legend == "auto" else 0 :]
    bar = bool(colouring.limits) and legend is not False
    placed: list[_Name] = []
    while True:
        lines = _lines(shown, measure, width / em)
        below = (4 if bar else 0) + 1.3 * len(lines)
        below += 0.5 if below else 0
        side = width / em if height is None else min(width, height - below * em) / em
        if side * em < LEAST_PANEL:
            raise InputError(
                f"The legend leaves {max(side * em, 0):.0f} mm of the figure for the points; raise figure.height, "
                f"lower figure.font_size, or set figure.legend to false."
            )
        if not named:
            break
        placed, left = _names(points, colouring, side, measure)
        # A name that has no room on the points is in the legend, which may leave less room for others.
        unsaid = [entry for entry in colouring.legend if entry[0] in left and entry not in shown]
        if not unsaid or legend is False:
            break
        shown = [entry for entry in colouring.legend if entry in shown or entry in unsaid]
    if named and legend is False and unsaid:
        names = ", ".join(name for name, _, _ in unsaid[:5])
        say(f"{len(unsaid)} names have no room on the points, and are not in the figure: {names}.")
    sheet = _Sheet(width, height or (side + below) * em, font_size)
    x, y = (sheet.width - side) / 2, sheet.height - side
    panel = sheet.axes(x, y, side, side, "points")
    panel.set(xlim=(0, 1), ylim=(0, 1))
    _draw_points(panel, points, colouring, side * em * MM, dpi)
    for one in placed:
        _write_name(sheet, one, x, y)
    _draw_legend(sheet, colouring, name if bar else None, lines, y - 0.5)
    return sheet.figure


def _unit(points: np.ndarray) -> np.ndarray:
    """Return points between 0 and 1, in the square that pictures show of them."""
    centre, half = pictures.square_around(points)
    unit: np.ndarray = (points.astype(np.float64) - centre) / (2 * half) + 0.5
    return unit


def _draw_points(panel: Axes, points: np.ndarray, colouring: Colouring, inches: float, dpi: int) -> None:
    drawn = measures.placed(points)
    if missing := int(np.sum(~drawn)):
        say(f"{missing:,} disconnected {'point has' if missing == 1 else 'points have'} no place in the figure.")
    points, codes = points[drawn], colouring.codes[drawn]
    if not len(points):
        return
    if points.shape[1] == 2 and len(points) <= MOST_CIRCLES:
        order = np.random.default_rng(0).permutation(len(points))
        size = (min(0.02, 0.45 / len(points) ** 0.5) * inches / POINT) ** 2
        x, y = _unit(points)[order].T
        panel.scatter(x, y, s=size, c=colouring.palette[codes[order]], alpha=0.85, linewidths=0)
        return
    side = min(round(inches * dpi), MOST_PIXELS)
    picture = pictures.stack if points.shape[1] == 1 else pictures.picture_of(len(points), side)
    of_points = Colouring(colouring.palette, codes, [], limits=colouring.limits)
    image = picture(points, of_points, side)
    panel.imshow(image, origin="lower", interpolation="none", aspect="auto", extent=(0, 1, 0, 1))


def _names(points: np.ndarray, colouring: Colouring, side: float, measure: Any) -> tuple[list[_Name], list[str]]:
    """Return where the names of categories stand on their points, the largest category placed first."""
    drawn = measures.placed(points)
    if points.shape[1] == 1 or not drawn.any():
        return [], []
    unit, codes = _unit(points[drawn]), colouring.codes[drawn]
    wanted = []
    for text, _, code in sorted(colouring.legend[: colouring.named], key=lambda entry: -entry[1]):
        of_code = unit[codes == code]
        if len(of_code):
            x, y = densest_place(of_code) * side
            wanted.append((text, measure(text) + 0.4, (float(x), float(y))))
    return place_names(wanted, side)


def _write_name(sheet: _Sheet, name: _Name, x: float, y: float) -> None:
    if math.dist((name.x, name.y), name.at) > 1:
        sheet.page.plot(
            [x + name.x, x + name.at[0]], [y + name.y, y + name.at[1]], color=SIDE_TEXT_COLOUR, linewidth=0.4
        )
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
    sheet.write(x + name.x, y + name.y, name.text, ha="center", bbox=box)


def _lines(entries: list[tuple[str, int, int]], measure: Any, room: float) -> list[list[tuple[float, str, int]]]:
    """Return entries of a legend by lines, each with where it begins."""
    texts = []
    for text, _, _ in entries:
        while measure(text) > room - 1.6 and len(text) > 1:
            text = text.rstrip("…")[:-1] + "…"
        texts.append(text)
    widths = [measure(text) + 1.1 for text in texts]
    for columns in range(len(widths), 0, -1):
        wide = [max(widths[column::columns]) + 1 for column in range(columns)]
        if sum(wide) - 1 <= room - 0.6 or columns == 1:
            break
    else:
        return []
    starts = [0.3 + sum(wide[:column]) for column in range(columns)]
    there = [
        (starts[place % columns], text, entry[2])
        for place, (text, entry) in enumerate(zip(texts, entries, strict=True))
    ]
    return [there[start : start + columns] for start in range(0, len(there), columns)]


def _draw_legend(
    sheet: _Sheet, colouring: Colouring, name: str | None, lines: list[list[tuple[float, str, int]]], top: float
) -> None:
    if colouring.limits and name is not None:
        low, high = colouring.limits
        sheet.write(sheet.width / 2, top - 0.5, name, ha="center")
        top -= 1.2
        bar = sheet.axes(sheet.width * 0.1, top - 0.8, sheet.width * 0.8, 0.7, "colour bar")
        bar.axis("on")
        scale = ScalarMappable(Normalize(low, high), ListedColormap(colouring.palette[:LEVELS]))
        drawn = sheet.figure.colorbar(scale, bar, orientation="horizontal", extend=colouring.extend, extendfrac=0.03)
        ticks = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
        drawn.set_ticks(ticks, labels=[f"{tick:.15g}" for tick in ticks])
        drawn.outline.set_visible(False)
        if drawn.solids is not None:
            drawn.solids.set_rasterized(True)
        bar.tick_params(labelsize=sheet.size, length=0.3 * sheet.size, width=0.06 * sheet.size, pad=0.15 * sheet.size)
        top -= 2.8
    for line in lines:
        for start, text, code in line:
            dot = {"markersize": 0.7 * sheet.size, "markeredgewidth": 0, "color": colouring.palette[code]}
            sheet.page.plot(start + 0.35, top - 0.65, "o", **dot)
            sheet.write(start + 1.0, top - 0.65, text)
        top -= 1.3


def plot_cell(
    layout: str | Path,
    rows: str | Path,
    out: Sequence[str | Path],
    figure: Mapping[str, Any],
    label_kind: str,
    dataset: str,
) -> None:
    """Draw one cell.

    Parameters
    ----------
    layout : path
        From `umap_sweep.stages.layouts`.
    rows : path
        From `umap_sweep.sources.rows`.
    out : sequence of path
        Each receives the figure in the format that its ending names.
    figure : mapping
        The configuration's section `figure`.
    label_kind : str
        How labels are coloured; see `umap_sweep.figures.pictures.colour_points`.
    dataset : str
        The name of the data set, for what the files say of themselves.

    Raises
    ------
    InputError
        Where a file is missing or damaged, or there is no such annotation, or no room for the points.
    """
    points = tables.coordinates_of(layout)
    name, known = figure["color_by"], store.column_names(rows)
    if name is not None and not (name == "label" and "label" not in known):
        if name not in known[1:]:
            has = f"it has {', '.join(known[1:])}" if known[1:] else "it has none"
            raise InputError(f"figure.color_by is {name!r}, which is no annotation of the data; {has}.")
        labels = read_annotation(rows, name, len(points))
    else:
        labels = None
    kind = label_kind if name == "label" else "auto"
    colouring = pictures.colour_points(labels, kind, len(points), name or "label")
    key = store.read_record(layout)["key"]
    axes = ("metric", "n_neighbors", "min_dist", "seed", "knn_k", "knn_seed")
    cell = ", ".join([*further_of(key), *(f"{axis} {key[axis]}" for axis in axes)])
    if points.shape[1] > 2:
        say(f"The figure shows the first two of the {points.shape[1]} dimensions of the cell.")
    options = {key: figure[key] for key in ("width", "height", "font_size", "labels", "legend", "dpi")}
    with drawing(STYLE):
        save(
            draw(points[:, :2], colouring, **options, name=name or ""), out, figure["dpi"], f"UMAP of {dataset}, {cell}"
        )
