"""Draw how long each way of running the grid took, by stage."""

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from umap_sweep import store
from umap_sweep.figures.style import SIDE_TEXT_COLOUR, STYLE, drawing, save
from umap_sweep.timing.arms import STAGES
from umap_sweep.timing.table import ARMS, seconds_text

# Okabe and Ito's colours, and greys for stages that do no work on the data.
COLOURS = {
    "start": "#c8c8c8",
    "compilation": "#7d7d7d",
    "knn": "#0072b2",
    "graph": "#56b4e9",
    "initial_layout": "#e69f00",
    "layout": "#009e73",
    "other": "#cc79a7",
}
NAMES = {
    "start": "start-up",
    "compilation": "compilation",
    "knn": "k-NN",
    "graph": "fuzzy graph",
    "initial_layout": "initial layout",
    "layout": "layout",
    "other": "other",
}
# Lengths in inches.
WIDTH, BAR, LEFT, RIGHT, TOP, BOTTOM, LINE = 7.2, 0.36, 1.65, 1.2, 0.88, 0.5, 0.15
LETTERS = 132  # that fit into a line of notes


def unit(longest: float) -> tuple[str, float]:
    """Return the unit of the axis and how many seconds it has, for a longest bar of `longest` seconds."""
    return ("minutes", 60.0) if longest >= 600 else ("seconds", 1.0)


def draw(rows: pd.DataFrame, record: dict[str, Any], dataset: str, dpi: int) -> Figure:
    """Draw one bar for each arm.

    Parameters
    ----------
    rows : pandas.DataFrame
        The table of `umap_sweep.timing.table`.
    record : dict
        The record of that table.
    dataset : str
        Named in the title.
    dpi : int

    Returns
    -------
    matplotlib.figure.Figure
        Its only axes hold the bars of each stage as one container, labelled with the stage's name.
    """
    seconds = rows.pivot_table(index="arm", columns="stage", values="seconds", sort=False)[list(STAGES)]
    measured = rows.pivot_table(index="arm", columns="stage", values="measured_seconds", sort=False)
    scaled = seconds > measured[list(STAGES)]
    totals = seconds.sum(axis=1)
    first = totals.get("pipeline", totals.min())
    name, size = unit(totals.max())
    text = [line for note in record["notes"] for line in textwrap.wrap(note, LETTERS)]
    height = TOP + BAR * len(totals) + BOTTOM + LINE * (len(text) + 1)
    figure = Figure(figsize=(WIDTH, height), dpi=dpi, facecolor="white")
    low = BOTTOM + LINE * (len(text) + 1)
    axes = figure.add_axes((LEFT / WIDTH, low / height, (WIDTH - LEFT - RIGHT) / WIDTH, BAR * len(totals) / height))
    left = pd.Series(0.0, index=totals.index)
    for stage in STAGES:
        bars = axes.barh(
            range(len(totals)), seconds[stage] / size, 0.66, left / size, color=COLOURS[stage], label=NAMES[stage]
        )
        for bar, of_sample in zip(bars, scaled[stage], strict=True):
            if of_sample:
                bar.set(hatch="////", edgecolor="white", linewidth=0)
        left += seconds[stage]
    for place, total in enumerate(totals):
        label = f" {seconds_text(total)} s" + (f"  (× {total / first:.2f})" if total != first else "")
        axes.text(total / size, place, label, va="center", size=7.5)
    axes.set(ylim=(len(totals) - 0.5, -0.5), xlim=(0, 1.02 * totals.max() / size), xlabel=f"wall-clock {name}")
    axes.set_yticks(range(len(totals)), [ARMS[arm] for arm in totals.index], size=8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.5, color="#c0c0c0")
    axes.xaxis.label.set_fontsize(8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c0c0c0")
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e8e8e8", linewidth=0.6)

    def write(y: float, line: str, **also: Any) -> None:
        figure.text(0.12 / WIDTH, y / height, line, **{"va": "top", **also})

    write(height - 0.12, f"{rows['cells'].iloc[0]} UMAP cells of {dataset}", size=11, weight="bold")
    facts = f"{record['rows']:,} rows × {record['dimensions']:,} columns, {record['threads']} cores"
    write(height - 0.34, f"{facts}, {record['environment']['cpu']}", size=7.5, color=SIDE_TEXT_COLOUR)
    handles = [Patch(color=COLOURS[stage], label=NAMES[stage]) for stage in STAGES]
    if scaled.any(axis=None):
        handles.append(Patch(facecolor="#9a9a9a", edgecolor="white", hatch="////", linewidth=0, label="from a sample"))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.12 / WIDTH, 1 - 0.57 / height),
        ncols=len(handles),
        **{"fontsize": 7.5, "frameon": False, "borderpad": 0, "borderaxespad": 0},
        **{"handlelength": 1, "handleheight": 1, "handletextpad": 0.4, "columnspacing": 1.1},
    )
    for place, line in enumerate(text):
        write(LINE * (len(text) - place) + 0.08, line, size=6.5, color=SIDE_TEXT_COLOUR)
    return figure


def plot_timing(timing: str | Path, png: str | Path, vector: str | Path, dataset: str, dpi: int) -> None:
    """Draw the table of the timing, as a PNG file and as a PDF or SVG file.

    Parameters
    ----------
    timing : path
        From `umap_sweep.timing.table`.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    dataset : str
        Named in the title.
    dpi : int
        Dots per inch of the PNG.
    """
    with drawing(STYLE | {"hatch.linewidth": 0.7}):
        figure = draw(store.read(timing).to_pandas(), store.read_record(timing), dataset, dpi)
        save(figure, (png, vector), dpi)
