"""Draw the cells of one k-NN seed and one UMAP seed: a panel for each cell, all with the same colours."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator

from umap_sweep import store
from umap_sweep.cells.keys import optional_axes
from umap_sweep.cells.lines import Line, in_order, line_of, name_of
from umap_sweep.errors import InputError
from umap_sweep.figures.pictures import (
    LEVELS,
    Colouring,
    colour_points,
    picture_of,
    shade,
    stack,
)
from umap_sweep.figures.style import (
    ABSENT_COLOUR,
    FRAME_COLOUR,
    SIDE_TEXT_COLOUR,
    STYLE,
    TEXT_COLOUR,
    drawing,
    save,
)
from umap_sweep.job import say
from umap_sweep.planning.panels import panel_side
from umap_sweep.quality import measures

# The columns of a sweep's table that tell its cells apart.
CELL, SEEDS = ("n_neighbors", "min_dist", "knn_k"), ("knn_seed", "seed")


@dataclass(frozen=True)
class Embeddings:
    """The cells of one figure, which are of the same data and have the same seeds.

    Attributes
    ----------
    cells : dict of (Line, float) to numpy.ndarray
        By line (`umap_sweep.cells.lines`: n_neighbors, with further axes of the grid) and min_dist: float32 array of
        shape (points, 1 or 2), the first one or two dimensions.
    labels : pyarrow.Array or None
        Label of each point: integers, floats or strings, null where there is none. None where the data has no labels.
    knn_k : int or None
        Columns of the k-NN that the cells share; None where each n_neighbors has a k-NN of its own
        (`knn.method: plain`).
    dimensions : int
        Dimensions of the embeddings, of which `cells` holds at most two.
    """

    cells: dict[tuple[Line, float], np.ndarray]
    labels: pa.Array | None
    knn_k: int | None
    dimensions: int


def read_embeddings(path: str | Path, knn_seed: int, seed: int) -> Embeddings:
    """Read the cells of one k-NN seed and one UMAP seed from a sweep's table.

    Only the columns that are drawn are read, one group of rows after the other, and labels of the first cell alone,
    because all cells have the same.

    Parameters
    ----------
    path : str or Path
        The sweep's table.
    knn_seed, seed : int

    Raises
    ------
    InputError
        Where the file is missing or damaged, has no such cell, or does not hold each cell's rows in one block.
    """
    parts: dict[tuple[Line, float], list[np.ndarray]] = {}
    labels: list[pa.Array] = []
    widths: set[int] = set()
    last = None
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        names = file.schema_arrow.names
        dimensions = sum(bool(re.fullmatch(r"umap_\d+", name)) for name in names)
        axes = ["umap_1", "umap_2"] if dimensions > 1 else ["umap_1"]
        for group in range(file.num_row_groups):
            runs = _runs(file.read_row_group(group, [*optional_axes(names), *CELL, *SEEDS]), knn_seed, seed)
            if not runs:
                continue
            first = next(iter(parts), runs[0][0])
            wanted = ["label"] if "label" in names and first in [cell for cell, _, _ in runs] else []
            table = file.read_row_group(group, [*axes, *wanted])
            points = np.column_stack([store.numbers(table[axis]) for axis in axes])
            for cell, width, rows in runs:
                if cell != last and cell in parts:
                    raise InputError(f"{path} does not hold the same rows once for each cell. Delete it and run again.")
                parts.setdefault(cell, []).append(points[rows])
                if wanted and cell == first:
                    labels += table["label"][rows].chunks
                widths.add(width)
                last = cell
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}). Delete it and run again.") from error
    if not parts:
        raise InputError(f"{path} holds no cell with knn_seed {knn_seed} and seed {seed}. Delete it and run again.")
    cells = {cell: blocks[0] if len(blocks) == 1 else np.concatenate(blocks) for cell, blocks in parts.items()}
    if len({len(points) for points in cells.values()}) > 1:
        raise InputError(f"{path} does not hold the same rows once for each cell. Delete it and run again.")
    return Embeddings(
        cells, pa.concat_arrays(labels) if labels else None, widths.pop() if len(widths) == 1 else None, dimensions
    )


def _runs(table: pa.Table, knn_seed: int, seed: int) -> list[tuple[tuple[Line, float], int, slice]]:
    """Return the cells of one k-NN seed and one UMAP seed in a group of rows: line and min_dist, k, rows."""
    columns = {name: store.numbers(table[name]) for name in (*CELL, *SEEDS)}
    for axis in optional_axes(table.column_names):
        columns[axis] = store.numbers(table[axis].combine_chunks().dictionary_encode().indices)
    if not table.num_rows:
        return []
    starts = np.flatnonzero(np.r_[True, np.logical_or.reduce([np.diff(column) != 0 for column in columns.values()])])
    runs = []
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), table.num_rows], strict=True):
        cell = {name: table[name][start].as_py() for name in table.column_names}
        if [cell["knn_seed"], cell["seed"]] == [knn_seed, seed]:
            runs.append(((line_of(cell), cell["min_dist"]), cell["knn_k"], slice(start, stop)))
    return runs


def aligned(
    cells: Mapping[tuple[Line, float], np.ndarray],
) -> tuple[dict[tuple[Line, float], np.ndarray], tuple[Line, float]]:
    """Rotate and reflect all cells onto the one in the middle of the grid.

    Parameters
    ----------
    cells : mapping of (Line, float) to ndarray of float32, shape (n, d)
        By line and min_dist.

    Returns
    -------
    cells : dict of (Line, float) to ndarray of float32, shape (n, d)
    reference : (Line, float)
        Line and min_dist of the cell in the middle, which is as it was.
    """
    reference = measures.middle_cell(cells)
    onto = cells[reference]
    turned = {}
    for key, points in cells.items():
        turned[key] = points if key == reference else measures.align(points, onto).astype(np.float32, copy=False)
    return turned, reference


class _Page:
    """A figure that grows downwards as it is filled. Lengths are in pixels; it is filled down to `y`, from the top."""

    def __init__(self, columns: int, side: int, dpi: int) -> None:
        self.dpi = dpi
        self.size = float(np.clip(side / dpi * 3.6, 4, 12))
        self.em = round(self.size * dpi / 72)
        self.width = self.em + columns * (side + self.em)
        self.y = self.em
        self.figure = Figure(dpi=dpi, facecolor="white")
        self._boxes: dict[Axes, tuple[float, ...]] = {}
        self.sheet = self.add_axes(0, self.width, 0, "page")
        self.sheet.axis("off")

    def add_axes(self, x: float, width: float, height: float, label: str) -> Axes:
        axes = self.figure.add_axes((0, 0, 1, 1), label=label, xticks=[], yticks=[])
        axes.spines[:].set(color=FRAME_COLOUR, linewidth=0.06 * self.size)
        self._boxes[axes] = (x, self.y, width, height)
        return axes

    def text_width(self, text: str, scale: float = 1) -> float:
        font = FontProperties(size=scale * self.size)
        return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] * self.dpi / 72

    def write(
        self, x: float, y: float, text: str, scale: float = 1, colour: str = TEXT_COLOUR, ha: str = "left"
    ) -> None:
        self.sheet.text(x, y, text, size=scale * self.size, color=colour, ha=ha, va="center")

    def write_lines(self, text: str, scale: float = 1, colour: str = TEXT_COLOUR) -> None:
        letters = int(0.96 * (self.width - 2 * self.em) * len(text) / max(self.text_width(text, scale), 1))
        for line in textwrap.wrap(text, max(letters, 1), break_on_hyphens=False):
            self.write(self.em, self.y + 0.7 * scale * self.em, line.removesuffix("\u00a0·"), scale, colour)
            self.y += round(1.4 * scale * self.em)

    def finish(self) -> Figure:
        height = self.y + self.em
        self._boxes[self.sheet] = (0, 0, self.width, height)
        self.sheet.set(xlim=(0, self.width), ylim=(height, 0))
        self.figure.set_size_inches(self.width / self.dpi, height / self.dpi)
        for axes, (x, y, wide, high) in self._boxes.items():
            axes.set_position((x / self.width, 1 - (y + high) / height, wide / self.width, high / height))
        return self.figure


def draw(
    embeddings: Embeddings,
    colouring: Colouring,
    title: str,
    facts: list[str],
    side: int,
    dpi: int,
    codes: Mapping[tuple[Line, float], np.ndarray] | None = None,
    absent: str = "not in the grid",
    notes: Mapping[tuple[Line, float], str] | None = None,
) -> Figure:
    """Draw the figure: rows are n_neighbors, columns min_dist, both ascending.

    Where the grid has further axes, rows are lines (`umap_sweep.cells.lines`); or, where there is one min_dist, rows
    are n_neighbors, and columns the values on these axes.

    Parameters
    ----------
    embeddings : Embeddings
        The cells.
    colouring : Colouring
        A colour for each point.
    title : str
        The figure's first line.
    facts : list of str
        Written below the title, separated by dots.
    side : int
        Width and height of a panel, in pixels; less where there are many panels, and the log and the terminal say so.
    dpi : int
        Pixels per inch.
    codes : mapping of (Line, float) to numpy.ndarray, optional
        By n_neighbors and min_dist, in place of the colouring's codes where colours differ from cell to cell.
    absent : str, default "not in the grid"
        Written where a row and a column have no cell.
    notes : mapping of (Line, float) to str, optional
        By n_neighbors and min_dist, what follows a panel's title.

    Returns
    -------
    matplotlib.figure.Figure
        Its first axes are the page. The panels follow, row by row from the top, each labelled with its title.

    Raises
    ------
    InputError
        Where there are too many cells for one figure.
    """
    rows = in_order(line for line, _ in embeddings.cells)
    columns = sorted({min_dist for _, min_dist in embeddings.cells})
    noted = notes or {}
    slots = _slots(rows, columns)
    titles = {
        (line, min_dist): f"{name_of(line)} · min_dist {min_dist:g}{noted.get((line, min_dist), '')}"
        for row in slots
        for line, min_dist in row
    }
    fits = panel_side(embeddings.cells, side)
    if fits is None:
        raise InputError(
            f"{len(rows):,} n_neighbors × {len(columns):,} min_dist are too many panels for one figure. "
            f"Look at the atlas, or sweep fewer of them."
        )
    if fits < side:
        say(f"{len(titles):,} panels of {side:,} pixels are too large for one figure; they have {fits:,} pixels each.")
        side = fits
    picture = picture_of(len(colouring.codes), side) if embeddings.dimensions > 1 else stack
    page = _Page(len(slots[0]), side, dpi)
    em, scale = page.em, min(1.0, side / max(map(page.text_width, titles.values())))
    page.write_lines(title, 1.5)
    page.write_lines("\u00a0· ".join(fact.replace(" ", "\u00a0") for fact in facts), 1, SIDE_TEXT_COLOUR)
    for row in slots:
        page.y += 2 * em
        below = page.y + side
        for place, cell in enumerate(row):
            left = em + place * (side + em)
            middle, points = left + side / 2, embeddings.cells.get(cell)
            panel = page.add_axes(left, side, side, titles[cell])
            colour = ABSENT_COLOUR if points is None else TEXT_COLOUR
            page.write(middle, page.y - 0.7 * em, titles[cell], scale, colour, "center")
            if points is None:
                panel.set_visible(False)
                page.write(middle, page.y + side / 2, absent, scale, colour, "center")
                continue
            drawn = measures.placed(points)
            if drawn.any():
                of_points = colouring.codes if codes is None else codes[cell]
                image = picture(points[drawn], replace(colouring, codes=of_points[drawn]), side)
                panel.imshow(image, origin="lower", interpolation="none", aspect="auto")
            if missing := int(np.sum(~drawn)):
                note = f"{missing:,} disconnected {'point' if missing == 1 else 'points'} not drawn"
                page.write(middle, page.y + side + 0.8 * em, note, 0.9 * scale, SIDE_TEXT_COLOUR, "center")
                below = page.y + side + round(1.3 * em)
        page.y = below
    page.y += em
    if colouring.title:
        _draw_legend(page, colouring)
    if picture is shade:
        page.y += em // 2
        mean = "value" if colouring.limits else "colour"
        paler = "" if colouring.limits else " and is paler where they are few"
        page.write_lines(f"A pixel has the mean {mean} of its points{paler}.", 0.85, SIDE_TEXT_COLOUR)
    return page.finish()


def _slots(lines: Sequence[Line], columns: Sequence[float]) -> list[list[tuple[Line, float]]]:
    """Return the places of the panels, row by row, each with the line and min_dist of its cell."""
    further = list(dict.fromkeys(line[:-1] for line in lines if isinstance(line, tuple)))
    if not further or len(columns) > 1:
        return [[(line, min_dist) for min_dist in columns] for line in lines]
    n_neighbors = sorted({line[-1] for line in lines if isinstance(line, tuple)})
    return [[((*values, one), columns[0]) for values in further] for one in n_neighbors]


def _draw_legend(page: _Page, colouring: Colouring) -> None:
    room = page.width - 2 * page.em
    page.write_lines(colouring.title)
    if colouring.limits:
        _draw_colour_bar(page, colouring, colouring.limits, min(room, 26 * page.em))
    if colouring.legend:
        _draw_entries(page, colouring, room)


def _draw_colour_bar(page: _Page, colouring: Colouring, limits: tuple[float, float], width: float) -> None:
    low, high = limits
    for intervals in (4, 3, 2, 1):
        ticks = [tick for tick in MaxNLocator(intervals).tick_values(low, high) if low <= tick <= high]
        widths = [page.text_width(f"{tick:.15g}") for tick in ticks]
        if sum(widths) + len(widths) * page.em <= width:
            break
    # A wide number at an end of the bar would reach beyond the edge of the page, and is left out.
    edges = [page.em + width * min(tick - low, high - tick) / (high - low) for tick in ticks]
    ticks = [tick for tick, number, edge in zip(ticks, widths, edges, strict=True) if number / 2 <= edge]
    axes = page.add_axes(page.em, width, page.em, "colour bar")
    scale = ScalarMappable(Normalize(low, high), ListedColormap(colouring.palette[:LEVELS]))
    bar = page.figure.colorbar(scale, axes, orientation="horizontal", extend=colouring.extend, extendfrac=0.03)
    bar.set_ticks(ticks, labels=[f"{tick:.15g}" for tick in ticks])
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    axes.tick_params(labelsize=page.size, length=0.3 * page.size, width=0.06 * page.size, pad=0.2 * page.size)
    page.y += 3 * page.em


def _draw_entries(page: _Page, colouring: Colouring, room: float) -> None:
    em, texts = page.em, []
    for name, points, _ in colouring.legend:
        while page.text_width(f"{name} ({points:,})") > room - 1.2 * em and len(name) > 1:
            name = name.rstrip("…")[:-1] + "…"
        texts.append(f"{name} ({points:,})")
    widths = [page.text_width(text) + 3 * em for text in texts]
    # As few lines as possible. Entries run down the columns, and each column is as wide as its longest entry.
    for lines in range(1, len(texts) + 1):
        columns = [max(widths[start : start + lines]) for start in range(0, len(widths), lines)]
        if sum(columns) <= room + 1.8 * em:
            break
    for place, (text, (_, _, code)) in enumerate(zip(texts, colouring.legend, strict=True)):
        x, y = em + sum(columns[: place // lines]), page.y + (0.75 + 1.5 * (place % lines)) * em
        page.sheet.plot(x + 0.45 * em, y - 0.1 * em, "o", color=colouring.palette[code], ms=0.8 * page.size, mew=0)
        page.write(x + 1.2 * em, y, text)
    page.y += round(1.5 * em * lines)


def read_annotation(rows: str | Path, name: str, points: int) -> pa.Array:
    """Return one annotation of the rows.

    Parameters
    ----------
    rows : str or Path
        From `umap_sweep.sources.rows`.
    name : str
    points : int
        How many rows there must be.

    Raises
    ------
    InputError
        Where the file is missing or damaged, has other rows or no such annotation.
    """
    known = store.column_names(rows)
    if name not in known:
        has = f"it has {', '.join(known[1:])}" if known[1:] else "it has none"
        raise InputError(f"plot.annotations has {name!r}, which is no annotation of the data; {has}.")
    table = store.read(rows, [name])
    if table.num_rows != points:
        raise InputError(f"{rows} has {table.num_rows} rows, and the cells {points}. Delete it and run again.")
    return table.column(0).combine_chunks()


def _of_umap(umap: Mapping[str, Any]) -> list[str]:
    """Return that a picture is supervised or keeps densities, as far as it is and does."""
    facts = []
    if "target" in umap:
        weight = f", weight {umap['target_weight']:g}" if "target_weight" in umap else ""
        facts.append(f"supervised by {umap['target']}{weight}")
    if umap.get("densmap"):
        facts.append(f"densMAP, lambda {umap['dens_lambda']:g}" if "dens_lambda" in umap else "densMAP")
    return facts


def plot_grid(
    sweep: str | Path,
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
    metric: str,
    knn_seed: int,
    seed: int,
    method: str = "auto",
    rows: str | Path | None = None,
    annotation: str | None = None,
    umap: Mapping[str, Any] | None = None,
) -> None:
    """Draw the cells of one k-NN seed and one UMAP seed.

    Parameters
    ----------
    sweep : path
        The sweep's table, from `umap_sweep.results.sweep`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: label_kind, panel_size and dpi.
    dataset, metric : str
        Named in the title.
    knn_seed, seed : int
        Of the cells to draw.
    method : str
        Of the k-NN. The seed of an imported one is unknown, and not named.
    rows : path, optional
        What describes the rows, where an annotation colours them.
    annotation : str, optional
        What colours the points in place of the label.
    umap : mapping, optional
        Of the configuration's section `umap`, what is named because a picture is another one by it.

    Raises
    ------
    InputError
        Where the table cannot be read or holds no such cell, there is no such annotation, the labels are not of the
        configured kind, or there are too many cells for one figure.
    """
    embeddings = read_embeddings(sweep, knn_seed, seed)
    cells, reference = aligned(embeddings.cells)
    embeddings = replace(embeddings, cells=cells)
    points = len(next(iter(embeddings.cells.values())))
    if annotation is None or rows is None:
        colouring = colour_points(embeddings.labels, plot["label_kind"], points)
    else:
        colouring = colour_points(read_annotation(rows, annotation, points), "auto", points, annotation)
    width = f"k = {embeddings.knn_k}" if embeddings.knn_k else "k = n_neighbors"
    knn = f"imported k-NN with {width}" if method == "imported" else f"k-NN with {width} and seed {knn_seed}"
    facts = [f"{points:,} rows", f"{metric} metric", knn, f"UMAP seed {seed}", *_of_umap(umap or {})]
    if annotation is not None:
        facts.insert(0, f"coloured by {annotation}")
    if len(cells) > 1:
        facts.append(f"rotated and reflected onto {name_of(reference[0])}, min_dist {reference[1]:g}")
    if embeddings.dimensions > 2:
        facts.append(f"first 2 of {embeddings.dimensions} dimensions")
    if embeddings.dimensions == 1:
        facts.append("1 dimension as a stacked histogram")
    with drawing(STYLE):
        side = max(1, round(plot["panel_size"] * plot["dpi"]))
        figure = draw(embeddings, colouring, f"UMAP of {dataset}", facts, side, plot["dpi"])
        save(figure, (png, vector), plot["dpi"])
