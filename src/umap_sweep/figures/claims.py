"""Draw each claim on reproducibility as the tutorial does: its two embeddings side by side, below the verdict on it."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from umap_sweep import store
from umap_sweep.figures.pictures import LEVELS, POINTS_PER_PIXEL, Colouring, colour_points, scatter, shade
from umap_sweep.figures.style import STYLE, drawing, save
from umap_sweep.reproduce.claim_runs import PLAIN_SEED, SEED, WIDER
from umap_sweep.reproduce.judge_claims import Arms, read_arms

# Lengths in inches.
PAIRS_IN_A_ROW, PANEL, GAP, BETWEEN, MARGIN = 4, 1.15, 0.06, 0.3, 0.25
HEADING, TITLE, CAPTION, LEGEND = 0.45, 0.5, 0.3, 0.35
LONGEST_TITLE, LONGEST_LINE = 44, 200  # letters
HOLDS_COLOUR, FAILS_COLOUR, QUIET_COLOUR, FRAME_COLOUR = "#00694c", "#b04a00", "#555555", "#c0c0c0"


def verdict(row: Any) -> str:
    """Return in one line what was observed of a claim.

    Parameters
    ----------
    row : namedtuple
        A row of the table of `umap_sweep.reproduce.judge_claims`.
    """
    of_knn = row.compared == "knn"
    differing = row.rows_rewired if of_knn else row.rows_moved
    what = "k-NN: " if of_knn else ""
    found = f"{what}{differing:,} of {row.rows:,} rows differ" if differing else f"{what}equal, bit for bit"
    return f"✓ {found}" if row.holds else f"✗ {found}, expected {row.expected}"


def draw(rows: pd.DataFrame, first: Arms, again: Arms, heading: str, note: str, plot: Mapping[str, Any]) -> Figure:
    """Draw all claims.

    Parameters
    ----------
    rows : pandas.DataFrame
        The table of `umap_sweep.reproduce.judge_claims`.
    first, again : mapping of str to pandas.DataFrame
        The arms of the two processes, by name.
    heading, note : str
        The figure's first two lines.
    plot : mapping
        The configuration's section `plot`: label_kind and dpi.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reference = first["reference"]
    labels = pa.Array.from_pandas(reference["label"]) if "label" in reference else None
    colouring = colour_points(labels, plot["label_kind"], len(reference))
    code_of = pd.Series(colouring.codes, index=reference["id"])
    pair, block = 2 * PANEL + GAP, TITLE + PANEL + CAPTION
    width = 2 * MARGIN + PAIRS_IN_A_ROW * (pair + BETWEEN) - BETWEEN
    height = 2 * MARGIN + HEADING + -(-len(rows) // PAIRS_IN_A_ROW) * block + LEGEND
    figure = Figure(figsize=(width, height), dpi=plot["dpi"], facecolor="white")

    def write(x: float, y: float, text: str, size: float, **also: Any) -> None:
        figure.text(x / width, 1 - y / height, text, size=size, **{"va": "top", **also})

    def panel(x: float, y: float, arm: pd.DataFrame, caption: str) -> None:
        axes = figure.add_axes(
            (x / width, 1 - (y + PANEL) / height, PANEL / width, PANEL / height), xticks=[], yticks=[]
        )
        axes.spines[:].set(color=FRAME_COLOUR, linewidth=0.5)
        points = arm[["umap_1", "umap_2"]].to_numpy()
        axes.imshow(_picture(points, code_of[arm["id"]].to_numpy(), colouring, plot["dpi"]), origin="lower")
        write(x + PANEL / 2, y + PANEL + 0.04, caption, 6, ha="center", color=QUIET_COLOUR)

    write(MARGIN, MARGIN, heading, 11, weight="bold")
    write(MARGIN, MARGIN + 0.24, note, 6.5, color=QUIET_COLOUR)
    judged: list[Any] = list(rows.itertuples())
    for place, row in enumerate(judged):
        x = MARGIN + place % PAIRS_IN_A_ROW * (pair + BETWEEN)
        y = MARGIN + HEADING + place // PAIRS_IN_A_ROW * block
        write(x, y + TITLE - 0.2, _wrapped(f"{row.claim} ({row.source})"), 7, va="bottom", linespacing=1.15)
        write(x, y + TITLE - 0.05, verdict(row), 7, va="bottom", color=HOLDS_COLOUR if row.holds else FAILS_COLOUR)
        both_processes = row.left == row.right
        panel(x, y + TITLE, first[row.left], "first process" if both_processes else row.left)
        right = again if both_processes else first
        panel(x + PANEL + GAP, y + TITLE, right[row.right], "second process" if both_processes else row.right)
    _draw_legend(figure, colouring)
    return figure


def _wrapped(text: str) -> str:
    """Break a text into as few lines as possible, of as equal length as possible."""
    widths = range(LONGEST_TITLE, 0, -1)
    broken = [textwrap.wrap(text, width, break_on_hyphens=False) for width in widths]
    return "\n".join([lines for lines in broken if len(lines) == len(broken[0])][-1])


def _picture(points: np.ndarray, codes: np.ndarray, colouring: Colouring, dpi: int) -> np.ndarray:
    # With twice the figure's resolution, because the panels are small.
    side = round(2 * PANEL * dpi)
    placed = np.isfinite(points).all(axis=1)
    there = Colouring(colouring.palette, codes[placed], colouring.legend, limits=colouring.limits)
    return (shade if placed.sum() > POINTS_PER_PIXEL * side**2 else scatter)(points[placed], there, side)


def _draw_legend(figure: Figure, colouring: Colouring) -> None:
    """Say at the bottom which colour is which label; of a scale of numbers, name its two ends and its middle."""
    entries = [(f"{name} ({points:,})", colouring.palette[code]) for name, points, code in colouring.legend]
    if colouring.limits:
        low, high = colouring.limits
        ends = [(low, 0), ((low + high) / 2, LEVELS // 2), (high, LEVELS - 1)]
        entries = [(f"{value:.4g}", colouring.palette[level]) for value, level in ends] + entries
    if not entries:
        return
    handles = [Line2D([], [], marker="o", ls="", ms=5, mew=0, color=colour, label=text) for text, colour in entries]
    figure.legend(
        handles=handles,
        title=colouring.title,
        loc="lower left",
        bbox_to_anchor=(MARGIN / figure.get_figwidth(), MARGIN / 2 / figure.get_figheight()),
        ncols=max(1, min(len(entries), LONGEST_LINE // (max(len(text) for text, _ in entries) + 6))),
        **{"fontsize": 6.5, "title_fontsize": 6.5, "alignment": "left", "frameon": False},
        **{"borderpad": 0, "borderaxespad": 0, "handletextpad": 0, "columnspacing": 1.2},
    )


def plot_claims(
    claims: str | Path,
    first: str | Path,
    again: str | Path,
    png: str | Path,
    vector: str | Path,
    dataset: str,
    plot: Mapping[str, Any],
) -> None:
    """Draw all claims.

    Parameters
    ----------
    claims : path
        The table of `umap_sweep.reproduce.judge_claims`.
    first, again : path
        What the two processes stored, from `umap_sweep.reproduce.claim_runs`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    dataset : str
        Named in the heading.
    plot : mapping
        The configuration's section `plot`.
    """
    rows, key = store.read(claims).to_pandas(), store.read_record(claims)["key"]
    hold = "all hold" if rows["holds"].all() else f"{int(rows['holds'].sum())} hold"
    heading = f"{len(rows)} statements on the reproducibility of UMAP, tried on {dataset}: {hold}"
    k = key["n_neighbors"]
    note = (
        f"{key['rows']:,} rows, umap-learn's defaults but n_neighbors {k}. Reference: k-NN with k = {k + WIDER}, seed "
        f"{SEED} and one job, pruned to {k}, UMAP seed {SEED}. Plain UMAP: seed {PLAIN_SEED}."
    )
    with drawing(STYLE):
        figure = draw(rows, read_arms(first), read_arms(again), heading, note, plot)
        save(figure, (png, vector), plot["dpi"])
