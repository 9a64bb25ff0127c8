"""Draw the grid with each point coloured by how many of its nearest points change with the seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_rgba_array

from umap_sweep import store
from umap_sweep.cells.lines import Line, line_of
from umap_sweep.figures.grid import aligned, draw, read_embeddings
from umap_sweep.figures.pictures import LEVELS, NO_LABEL_COLOUR, Colouring
from umap_sweep.figures.style import STYLE, drawing, save

TITLE = "instability: share of a point's 15 nearest points that another seed exchanges"


def colour_shares(
    shares: Mapping[tuple[Line, float], np.ndarray],
) -> tuple[Colouring, dict[tuple[Line, float], np.ndarray]]:
    """Colour numbers from 0 to 1 by one scale for all cells.

    Parameters
    ----------
    shares : mapping of (Line, float) to numpy.ndarray
        By line of the grid and min_dist, one number for each point; NaN where there is none.

    Returns
    -------
    colouring : Colouring
        With the codes of the first cell.
    codes : dict of (Line, float) to numpy.ndarray
        The codes of every cell.
    """
    palette = np.vstack([matplotlib.colormaps["viridis"](np.arange(LEVELS)), to_rgba_array(NO_LABEL_COLOUR)])[:, :3]
    codes = {
        cell: np.where(np.isfinite(values), np.rint(np.nan_to_num(values) * (LEVELS - 1)), LEVELS).astype(np.int64)
        for cell, values in shares.items()
    }
    return Colouring(palette, next(iter(codes.values())), [], TITLE, (0.0, 1.0)), codes


def plot_instability(
    sweep: str | Path,
    points: Sequence[str | Path],
    keys: Sequence[Mapping[str, Any]],
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
    knn_seed: int,
    seed: int,
    method: str,
) -> None:
    """Draw the cells of one k-NN seed and one UMAP seed whose n_neighbors and min_dist have other seeds, too.

    Parameters
    ----------
    sweep : path
        The sweep's table.
    points : sequence of path
        The tables of points from `umap_sweep.quality.seed_pairs`.
    keys : sequence of mapping
        n_neighbors, min_dist and the grid's further axes, of each of these tables.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: panel_size and dpi.
    dataset : str
        Named in the title.
    knn_seed, seed : int
        Of the embeddings that are drawn.
    method : str
        Of the k-NN. The seed of an imported one is unknown, and not named.
    """
    embeddings = read_embeddings(sweep, knn_seed, seed)
    read = [store.numbers(store.read(path).column("instability")) for path in points]
    shares = dict(zip([(line_of(key), key["min_dist"]) for key in keys], read, strict=True))
    cells, _ = aligned({key: cell for key, cell in embeddings.cells.items() if key in shares})
    embeddings = replace(embeddings, cells=cells)
    colouring, codes = colour_shares({key: shares[key] for key in cells})
    facts = [
        f"{len(colouring.codes):,} rows",
        f"drawn: {'imported k-NN' if method == 'imported' else f'k-NN seed {knn_seed}'}, UMAP seed {seed}",
        "mean over all pairs of UMAP seeds",
    ]
    with drawing(STYLE):
        side = max(1, round(plot["panel_size"] * plot["dpi"]))
        figure = draw(
            embeddings, colouring, f"Which points of {dataset} move with the seed", facts, side, plot["dpi"], codes
        )
        save(figure, (png, vector), plot["dpi"])
