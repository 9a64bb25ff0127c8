"""Draw the settings that `choose` left: a panel for each, under the first seed, with the letters of its groups."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umap_sweep import store
from umap_sweep.cells.lines import line_of, name_of
from umap_sweep.figures import grid
from umap_sweep.figures.pictures import colour_points
from umap_sweep.figures.style import STYLE, drawing, save
from umap_sweep.quality import tables
from umap_sweep.quality.choice import CONTENDER


def plot_choice(
    choice: str | Path,
    rows: str | Path,
    layouts: Sequence[str | Path],
    keys: Sequence[Mapping[str, Any]],
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
) -> None:
    """Draw the listed settings.

    Parameters
    ----------
    choice : path
        From `umap_sweep.quality.choice.conclude`.
    rows : path
        From `umap_sweep.sources.rows`: the label colours the points.
    layouts : sequence of path
        Of every setting under the first seed.
    keys : sequence of mapping
        The key of each of these cells.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: label_kind, panel_size and dpi.
    dataset : str
        Named in the title.

    Raises
    ------
    InputError
        Where a file is missing or damaged, or the figure would be too large to draw.
    """
    table = store.read(choice).to_pandas()
    listed = table[table["status"] == CONTENDER]
    letters = {(line_of(cell), float(cell["min_dist"])): cell["group"] for cell in listed.to_dict("records")}
    points = {}
    for path, key in zip(layouts, keys, strict=True):
        cell = line_of(key), key["min_dist"]
        if cell in letters:
            coordinates = tables.coordinates_of(path)
            dimensions = coordinates.shape[1]
            points[cell] = coordinates[:, :2]
    cells, reference = grid.aligned(points)
    count = len(cells[reference])
    labels = grid.read_annotation(rows, "label", count) if "label" in store.column_names(rows) else None
    embeddings = grid.Embeddings(cells, labels, None, dimensions)
    colouring = colour_points(labels, plot["label_kind"], count)
    facts = [f"{len(listed)} of {len(table)} settings", f"UMAP seed {keys[0]['seed']}"]
    if len(cells) > 1:
        facts.append(f"rotated and reflected onto {name_of(reference[0])}, min_dist {reference[1]:g}")
        facts.append("two with a letter in common cannot be told apart")
    notes = {cell: f" · {group}" for cell, group in letters.items()} if len(cells) > 1 else {}
    title = f"UMAP of {dataset}: what no other setting beats"
    side = max(1, round(plot["panel_size"] * plot["dpi"]))
    with drawing(STYLE):
        figure = grid.draw(embeddings, colouring, title, facts, side, plot["dpi"], None, "beaten", notes)
        save(figure, (png, vector), plot["dpi"])
