"""Print how long umap-learn and this pipeline take for the configured grid on this machine."""

import logging
from pathlib import Path

import pandas as pd

from umap_sweep import store
from umap_sweep.timing.table import ARMS, seconds_text

HEADINGS = {
    "start": "start",
    "compilation": "compile",
    "knn": "k-NN",
    "graph": "graph",
    "initial_layout": "init",
    "layout": "layout",
    "other": "other",
}


def report(rows: pd.DataFrame) -> list[str]:
    """Return the table for the terminal: a line for each arm, at most 100 columns wide.

    Parameters
    ----------
    rows : pandas.DataFrame
        The table of `umap_sweep.timing.table`.
    """
    cells = ["total", *HEADINGS.values(), "times", "MB"]
    lines = ["wall-clock seconds".ljust(23) + "".join(name.rjust(8) for name in cells[:-2]) + " times     MB"]
    seconds = rows.pivot_table(index="arm", columns="stage", values="seconds", sort=False)
    totals = seconds.sum(axis=1)
    first = totals.get("pipeline", totals.min())
    for arm in totals.index:
        stages = seconds.loc[arm]
        found = rows[rows["arm"] == arm].iloc[0]
        name = ARMS[arm] + (" *" if found["sampled"] else "")
        times = [totals[arm], *(stages[stage] for stage in HEADINGS)]
        numbers = "".join(seconds_text(value).rjust(8) for value in times)
        lines.append(f"{name:23}{numbers}{totals[arm] / first:6.2f}{found['peak_memory_mb']:7.0f}")
    return lines


def say(timing: str | Path, plot: str | Path, dataset: str) -> None:
    """Print the table, the notes on it, and the sentence that compares the arms.

    Parameters
    ----------
    timing : path
        The table of `umap_sweep.timing.table`.
    plot : path
        The figure of it, named in the last line.
    dataset : str
        Named in the heading.
    """
    rows, record = store.read(timing).to_pandas(), store.read_record(timing)
    heading = (
        f"{rows['cells'].iloc[0]} cells of {dataset}, {record['rows']:,} × {record['dimensions']:,}, "
        f"on {record['threads']} cores of {record['environment']['cpu']}:"
    )
    marked = [f"{'* ' if note.startswith('Sampled') else ''}{note}" for note in record["notes"]]
    lines = [heading, *report(rows), *marked, record["sentence"], f"Look at {plot}, read {timing}."]
    logging.getLogger("umap_sweep").info("\n".join(lines))
    print("\n".join(lines), flush=True)
