"""Turn the points of an embedding into a picture in which the order of the rows hides nothing.

Few points are drawn as circles, in a shuffled order. With many, every pixel takes the mean of the points in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from umap_sweep.quality import labels as label_kinds
from umap_sweep.quality import measures

# Okabe and Ito's eight colours, then sixteen chosen one by one: each is, in OKLab, the colour farthest from white, from
# grey and from the colours before it. No two are nearer than 0.073, whether seen with normal colour vision,
# deuteranopia or protanopia.
CATEGORY_COLOURS = [
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000"),
    *("#840000", "#3c3c6c", "#0000fc", "#6084fc", "#a83c18", "#3018b4", "#3c6c6c", "#78c084"),
    *("#e4d89c", "#cc0c9c", "#006ce4", "#24e4fc", "#780c48", "#189cd8", "#d8cc48", "#9c183c"),
]

OTHER_COLOUR, NO_LABEL_COLOUR, DATA_WITHOUT_LABELS_COLOUR = "#b5b5b5", "#d0d0d0", "#08306b"

LEVELS = 256

LONGEST_NAME = 40

# With more points than this for each pixel of its panel, a picture is shaded: in a panel of `FULL_PANEL` × `FULL_PANEL`
# pixels or larger with more than 12,500 points, in a smaller panel with fewer.
POINTS_PER_PIXEL, FULL_PANEL = 0.05, 500

# The strength of a category's colour where one point lies alone in a shaded picture; 1 is the full colour.
PALEST = 0.55


@dataclass(frozen=True)
class Colouring:
    """A colour for each point, and the legend.

    Attributes
    ----------
    palette : numpy.ndarray
        float64 of shape (colours, 3): sRGB, 0 to 1.
    codes : numpy.ndarray
        int64 of shape (points,): each point's row in `palette`.
    legend : list of (str, int, int)
        Name, number of points and palette row of each entry.
    title : str
        Above the legend or the colour bar; empty where there is neither.
    limits : tuple of float, optional
        For numeric labels only: the palette's first `LEVELS` rows are a scale, and these are the values of its first
        and its last colour.
    extend : str
        On which side of the limits there are further labels: `neither`, `min`, `max` or `both`.
    named : int
        How many entries of the legend, the first ones, are categories.
    """

    palette: np.ndarray
    codes: np.ndarray
    legend: list[tuple[str, int, int]]
    title: str = ""
    limits: tuple[float, float] | None = None
    extend: str = "neither"
    named: int = 0


def colour_points(
    labels: pa.Array | None, kind: str, points: int, name: str = "label", leading: int | None = None
) -> Colouring:
    """Choose each point's colour.

    Parameters
    ----------
    labels : pyarrow.Array or None
        Integers, floats or strings; null and NaN are no label.
    kind : str
        `categorical`, `numeric`, or `auto`: text and up to 30 distinct whole numbers are categories.
    points : int
        Number of points.
    name : str
        What the legend calls the labels, where they are an annotation.
    leading : int, optional
        How many points choose the colours, the first ones: their labels have the colours that they have without the
        other points, and labels of others alone have what is left. Without it, all points do.

    Raises
    ------
    InputError
        Where `kind` is `numeric` and the labels are text.
    """
    if labels is None:
        return Colouring(to_rgba_array([DATA_WITHOUT_LABELS_COLOUR])[:, :3], np.zeros(points, np.int64), [])
    choosing = labels[:leading] if leading and labels[:leading].drop_null() else labels
    if label_kinds.are_categories(choosing, kind):
        return _colour_categories(labels, name, len(choosing))
    return _colour_numbers(label_kinds.as_numbers(labels), name, len(choosing))


def _colour_categories(labels: pa.Array, name: str, leading: int) -> Colouring:
    categories, of_point = label_kinds.natural_categories(labels)
    sizes = np.bincount(of_point[:leading], minlength=len(categories) + 1)
    by_size = sorted(np.flatnonzero(sizes[:-1]).tolist(), key=lambda category: -sizes[category])
    coloured = sorted(by_size[: len(CATEGORY_COLOURS)])
    coloured += np.flatnonzero(sizes[:-1] == 0).tolist()[: len(CATEGORY_COLOURS) - len(coloured)]
    other, no_label = len(coloured), len(coloured) + 1
    code_of = np.full(len(categories) + 1, other)
    code_of[coloured] = np.arange(len(coloured))
    code_of[-1] = no_label
    codes = code_of[of_point]
    names, title = [_name(categories[category]) for category in coloured], f"{_name(name)} (points)"
    one, several = ("label", "labels") if name == "label" else ("value", "values")
    if left := len(categories) - len(coloured):
        names.append(f"other: {left:,} {one if left == 1 else several}")
        title += f": the {len(coloured)} most frequent of {len(categories):,} are coloured"
    if np.any(codes == no_label):
        names.append(f"no {one}")
    present, counts = np.unique(codes, return_counts=True)
    legend = list(zip(names, counts.tolist(), present.tolist(), strict=True))
    colours = [*CATEGORY_COLOURS[: len(coloured)], OTHER_COLOUR, NO_LABEL_COLOUR]
    return Colouring(to_rgba_array(colours)[:, :3], codes, legend, title, named=len(coloured))


def _name(category: Any) -> str:
    """Return a category as one short line of printable text."""
    if isinstance(category, float) and category.is_integer():
        category = int(category)
    text = str(category)
    words = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_NAME]).split()
    return (" ".join(words) or "(blank)") + ("…" if len(text) > LONGEST_NAME else "")


def _colour_numbers(values: np.ndarray, name: str, leading: int) -> Colouring:
    unlabelled = np.isnan(values)
    low, high = label_kinds.scale_ends(values[:leading])
    beyond = bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[beyond]
    levels = np.rint(np.clip((np.where(unlabelled, low, values) - low) / (high - low), 0, 1) * (LEVELS - 1))
    codes = np.where(unlabelled, LEVELS, levels).astype(np.int64)
    palette = np.vstack([matplotlib.colormaps["viridis"](np.arange(LEVELS)), to_rgba_array(NO_LABEL_COLOUR)])[:, :3]
    none = "no label" if name == "label" else "no value"
    legend = [(none, int(unlabelled.sum()), LEVELS)] if unlabelled.any() else []
    title = f"{_name(name)}, {np.nanmin(values):.10g} to {np.nanmax(values):.10g}"
    return Colouring(palette, codes, legend, title, (low, high), extend)


def _pixels(points: np.ndarray, side: int) -> np.ndarray:
    """Return int64 pixel coordinates from 0 to side - 1, in a square that holds all points, with a margin."""
    centre, half = square_around(points)
    pixels: np.ndarray = (((points - centre) / (2 * half) + 0.5) * side).astype(np.int64)
    return pixels


def square_around(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the centre of the square, and half the length of its sides."""
    low, high = (side.astype(np.float64) for side in measures.corners(points))
    return (low + high) / 2, float((high - low).max() * 0.53) or 1.0


def picture_of(points: int, side: int) -> Callable[[np.ndarray, Colouring, int], np.ndarray]:
    """Return how so many points are drawn in a panel of so many pixels: `scatter`, or `shade` where they are many."""
    return shade if points > POINTS_PER_PIXEL * min(side, FULL_PANEL) ** 2 else scatter


def scatter(points: np.ndarray, colouring: Colouring, side: int) -> np.ndarray:
    """Draw few points, as circles in a shuffled order that are the smaller the more points there are.

    Parameters
    ----------
    points : numpy.ndarray
        Finite float array of shape (points, 2), at least one point.
    colouring : Colouring
        Of the same points.
    side : int
        Width and height in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 of shape (side, side, 3): sRGB, the first row at the bottom.
    """
    figure = Figure(figsize=(1, 1), dpi=side, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    centre, half = square_around(points)
    axes.set(xlim=centre[0] + [-half, half], ylim=centre[1] + [-half, half])
    # Shuffled, because the rows of many data sets are sorted by label, and what is drawn last lies on top.
    order = np.random.default_rng(0).permutation(len(points))
    diameter = 72 * min(0.03, 0.6 / len(points) ** 0.5)
    x, y = points[order].T
    axes.scatter(x, y, s=diameter**2, c=colouring.palette[colouring.codes[order]], alpha=0.85, linewidths=0)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[::-1, :, :3]


def shade(points: np.ndarray, colouring: Colouring, side: int) -> np.ndarray:
    """Draw many points: each pixel takes the mean of its points.

    Categories are averaged as light, in linear RGB, and are paler where points are few: by the logarithm of their
    number, up to its 99th percentile. Numbers are averaged as numbers, and are never paler, because lightness is part
    of their scale. A point covers a dot of 3 × 3 pixels or more, so that it is seen where it lies alone. All sums are
    of whole numbers, and so exact: the order of the points does not change the result by a bit.

    Parameters and result are those of `scatter`.
    """
    radius = max(1, round(side / 350))
    width, steps = side + 2 * radius, range(2 * radius + 1)
    dot = [(x, y) for x in steps for y in steps if (x - radius) ** 2 + (y - radius) ** 2 <= (radius + 0.5) ** 2]
    place = (_pixels(points, side) + radius) @ [1, width]

    def total(weights: np.ndarray) -> np.ndarray:
        raster = np.bincount(place, weights, minlength=width**2).reshape(width, width)
        return sum((raster[y : y + side, x : x + side] for x, y in dot), np.zeros((side, side)))

    linear = np.rint(_to_linear(colouring.palette) * 65535)
    covered = (counts := total(np.ones(len(points)))) > 0
    counts = counts[covered, None]
    if colouring.limits:
        known = colouring.codes < LEVELS
        known_counts = total(known)[covered, None]
        mean_level = total(np.where(known, colouring.codes, 0))[covered] / np.maximum(known_counts[:, 0], 1)
        light = linear[np.rint(mean_level).astype(np.int64)] * known_counts + linear[LEVELS] * (counts - known_counts)
        strength = 1
    else:
        light = np.column_stack([total(linear[colouring.codes, channel])[covered] for channel in range(3)])
        strength = PALEST + (1 - PALEST) * np.minimum(np.log1p(counts) / np.log1p(np.percentile(counts, 99)), 1)
    image = np.full((side, side, 3), 255, np.uint8)
    image[covered] = np.rint(255 * (1 - strength * (1 - _to_srgb(light / counts / 65535))))
    return image


def _to_linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _to_srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def stack(points: np.ndarray, colouring: Colouring, side: int) -> np.ndarray:
    """Draw a one-dimensional embedding: a histogram whose bars show the points in them, sorted by colour.

    Parameters and result are those of `scatter`, with points of shape (points, 1).
    """
    bins = max(1, side // 4)
    bin_of = _pixels(points, bins)[:, 0]
    stacked = colouring.codes[np.lexsort((colouring.codes, bin_of))]
    heights = np.bincount(bin_of, minlength=bins)
    rank = np.arange(side)[:, None] * heights.max() // max(1, round(side * 0.94))
    stacked_here = np.minimum(np.cumsum(heights) - heights + rank, len(points) - 1)
    palette = np.rint(colouring.palette * 255).astype(np.uint8)
    image = np.where((rank < heights)[..., None], palette[stacked[stacked_here]], np.uint8(255))
    return image[:, np.arange(side) * bins // side]
