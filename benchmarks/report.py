"""Take the measured runs into the machine's tables, and write docs/performance.md and its figure from them.

Run by the benchmarks' Snakefile, or, to write the page anew from the committed tables, as
`python benchmarks/report.py benchmarks/measured/MACHINE`.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import jobs
import machine
import matplotlib
import numpy as np
import pandas as pd
import tables
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from umap_sweep import job, store
from umap_sweep.figures.style import METADATA, STYLE
from umap_sweep.figures.timing import COLOURS, NAMES
from umap_sweep.planning import resources
from umap_sweep.timing.table import seconds_text

DOCS = machine.ROOT / "docs"
STAGES = list(NAMES)
AXIS_TITLES = {
    "rows": "Rows",
    "dimensions": "Dimensions",
    "n_neighbors": "n_neighbors",
    "cells": "Cells",
    "cores": "Cores",
}

# Name of each peer, and what it computes differently from this pipeline.
PEERS = {
    "umap-sweep": (
        "umap-sweep",
        "Seeded, the same bits on any number of cores. Empty numba cache, while umap-learn and scanpy find what their "
        "import has cached; Snakemake's own time included.",
    ),
    "umap-sweep warm": ("umap-sweep, warm cache", "The same with the compiled functions of the run before."),
    "umap-sweep_lean": ("umap-sweep, lean start", "With `umap.init: spectral_lean` (docs/large.md). Empty cache."),
    "umap-sweep_lean warm": ("umap-sweep, lean start, warm cache", "The same with the compiled functions."),
    "plain_seeded": (
        "umap-learn, seeded loop",
        "`UMAP(…, random_state=s, n_jobs=1).fit(X)` for each cell: a k-NN for each, all of it on one thread.",
    ),
    "plain_parallel": (
        "umap-learn, parallel loop",
        "`UMAP(…).fit(X)` for each cell, all cores, no seed: another picture every time.",
    ),
    "shared_parallel": (
        "umap-learn, shared k-NN",
        "One `nearest_neighbors` at the largest k, handed on as `precomputed_knn`; all cores, no seed.",
    ),
    "shared_seeded": ("umap-learn, shared k-NN, seeded", "The same with seeds; each layout on one thread."),
    "scanpy": (
        "scanpy",
        "`pp.neighbors` for each n_neighbors, `tl.umap` for each cell. Seeded. It searches a k-NN for each "
        "n_neighbors, by its own call of NN-descent (exact below 8,192 rows). NN-descent and layout on one thread, its "
        "default.",
    ),
    "uwot": (
        "uwot, serial layout",
        "`ret_nn` at the largest k, pruned and handed on as `nn_method`. Annoy instead of NN-descent (exact below "
        "4,096 rows). Seeded; neighbours on all cores, layout on one thread.",
    ),
    "uwot_batch": (
        "uwot, batch",
        "The same with `batch = TRUE`: another optimizer (Adam over whole epochs), seeded and on all cores.",
    ),
}

PEERS_HEAD = """## Peers

The same grid on the same data, each in a fresh process, one after the other, on the same cores. Seconds are wall time,
compilation included. Peak memory is that of the largest process. Rows that were not measured again are of earlier days,
between which this machine's speed differs by up to a quarter.
"""

WHO_IS_AHEAD = """Where umap-sweep is behind:

- At 10,000 rows from an empty cache uwot and umap-learn's unseeded loops are ahead of it, by up to 55 s: it compiles
  for 60 s, most of it NN-descent, which others find compiled or do without. That happens once on a machine.
- At a million rows with `umap.init: spectral` all others are ahead of it, umap-learn's unseeded loop by 171 s and
  uwot's batch mode by 412 s. ARPACK takes 570 s more than the lean solver for umap-learn's own eigenvectors, on one
  thread; uwot keeps fewer vectors, and umap-learn's loop searches and lays out on all cores, with another picture each
  time.
"""

HEAD = """# Performance

Made by `make benchmarks` from the tables in `benchmarks/measured/{name}/`; do not edit.

Measured on: {machine}.

Code: {commits}.

![Seconds and memory of each stage as rows, dimensions, n_neighbors and cells grow; time of each peer](performance.png)

## What is counted

- The data are 20 overlapping Gaussian clusters in 10 dimensions, turned into as many columns as are asked for, seeded.
- Every run is this pipeline as users run it: Snakemake in a folder of its own, up to `sweep.parquet`, with the data
  fetched already. Runs follow each other and have the machine to themselves. A stage's seconds are those of its jobs,
  from the start of Python to the end, without what numba compiles in them; compilation has a column of its own, and
  stays in a cache from one run to the next.
- Below 4,096 rows the k-NN is exact, from there on it is NN-descent, with as many jobs as there are cores.
- Layouts have 500 epochs up to 10,000 rows and 200 above, as in umap-learn: their time falls there.
- Peak memory is that of the largest process of a stage, as Linux counts it (VmHWM).
- An exponent p says that cost grows as size^p. It is fitted by least squares of the logarithms over those sizes where
  the stage took at least {above:g} times what it took at the smallest; “–” where fewer than three are left, that is
  where the start of Python hides the growth.
"""

MEMORY = """## Memory of each rule

What `mem_mb` is declared from ([resources.yaml](../src/umap_sweep/planning/resources.yaml)): a constant (MiB) and bytes
for each unit of what the job works on, fitted to whole sweeps of up to {most:,} rows; the smallest and the largest peak
that was measured (MiB), and how far the prediction was off at most. A quarter more than predicted is asked for, and
twice as much each time that a job is tried again.

"""

SIDE_BY_SIDE = """## Cells side by side

Cells that differ in min_dist alone take the same edges and negative samples, and are laid out together, four at a
time, with the same bits. Seconds of one core for layouts of few epochs, each the least of three turns.

"""

THREADS = """## One layout on several threads

The order of an epoch can be kept on several threads: a sampled edge waits for the last one before it that wrote what it
touches, or read what it writes. The edges that wait for nothing but earlier levels make a level, of about 100 at 70,000
rows. A prototype found the levels of each epoch, sorted the edges by them, and let two threads walk each level, with a
barrier of busy waiting behind it. All positions were equal, bit for bit. Nanoseconds for each sampled edge of MNIST's
graph, on two cores; the levels count by half, as if both threads found them, each for its own epochs:

| n_neighbors | cells side by side | in order, one thread | levels | walk, two threads | in all, two threads | ratio |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| 15 | 1 | 104 | 62 | 80 | 111 | 0.94 |
| 15 | 4 | 163 | 66 | 118 to 129 | 151 to 162 | 1.0 to 1.1 |
| 50 | 1 | 103 | 61 | 75 | 106 | 0.97 |

Below 1.5 it is not worth having, and it is not built: the walk in the order of levels jumps from vertex to vertex, and
finding the levels costs more than half of a walk in order. A sweep's cells are what its cores are for.
"""

COMMANDS = """## Measure it yourself

```
make benchmarks                                              # all but the long points; needs R with uwot
. .venv-benchmarks/bin/activate
snakemake -s benchmarks/Snakefile --cores all long           # 100,000 to 1,000,000 rows: hours, and up to 24 GiB
snakemake -s benchmarks/Snakefile --cores all --config peers='{"who": ["umap-sweep", "scanpy"]}'
python benchmarks/report.py benchmarks/measured/MACHINE      # this page anew, from the tables
python benchmarks/jobs.py benchmarks/measured/MACHINE        # resources.yaml anew, from the tables
```

On Debian and Ubuntu, uwot is `apt-get install r-base-core r-cran-uwot`. What is measured is in
`benchmarks/config.yaml`. Runs are kept in `benchmarks/runs`; delete that folder to measure anew. Each run replaces its
rows in the machine's tables, and leaves the others.

The target `timing` (`snakemake --cores all timing`) compares umap-learn and this pipeline on your own data and grid.
Its arms run in fresh processes, one after the other, on the same cores. umap-learn's run on the machine's own
instruction set and find what an import of umap-learn caches; the pipeline begins with an empty cache, and then runs
once more with a warm one. Compilation is what numba reports as such (its `numba:compile` events) in any of the
processes. A moment in which several jobs run is divided among their stages, so that the stages of an arm add up to its
wall time.
"""


def number(value: float | None) -> str:
    """Return a cell of a table; nothing for no value."""
    if value is None or pd.isna(value):
        return "–"
    return seconds_text(float(value))


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers."""
    header = list(header)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def growth(points: pd.DataFrame, axis: str) -> str:
    """Return the section on one axis: seconds of each stage, their exponents, and peak memory."""
    found = tables.series(points, axis)
    base = {name: found[name].iloc[0] for name in tables.AXES if name != axis}
    fixed = ", ".join(f"{name} {value:,}" for name, value in base.items())
    seconds = found.assign(cost=found["job_seconds"].fillna(found["seconds"])).pivot_table(
        index=axis, columns="stage", values="cost"
    )
    peaks = found.pivot_table(index=axis, columns="stage", values="peak_memory_mb")
    columns = ["total", *STAGES]
    rows = [[f"{size:,}", *(number(value) for value in seconds.loc[size, columns])] for size in seconds.index]
    if axis != "cores":
        of_work = [stage if stage in tables.WORK else None for stage in columns]
        sizes = seconds.index.to_numpy(float)
        fits = [None if stage is None else tables.exponent(sizes, seconds[stage].to_numpy()) for stage in of_work]
        rows.append(["**exponent**", *("–" if fit is None else f"**{fit:.2f}**" for fit in fits)])
    text = f"## {AXIS_TITLES[axis]}\n\nSeconds, with {fixed}. “total” is wall time.\n\n"
    text += markdown([axis, "total", *NAMES.values()], rows)
    if axis in ("rows", "dimensions", "n_neighbors"):
        rows = [[f"{size:,}", *(f"{peaks.loc[size, stage]:,.0f}" for stage in tables.WORK)] for size in peaks.index]
        text += "\nPeak memory in MiB.\n\n"
        text += markdown([axis, *(NAMES[stage] for stage in tables.WORK)], rows)
    return text


def memory(measured: pd.DataFrame) -> str:
    """Return the section on what the memory of each rule's jobs grows with, from `resources.yaml`.

    Parameters
    ----------
    measured : pandas.DataFrame
        A machine's `jobs.tsv`, which the file was fitted to.
    """
    rows = []
    for script, weights in jobs.weights(measured).items():
        of_script = measured[measured["job"] == script]
        predicted = [resources.memory(script, jobs.sizes(script, at)) / 2**20 for at in of_script.to_dict("records")]
        worst = np.abs(predicted / of_script["peak_memory_mb"] - 1).max()
        grown = [f"{weight:,.3g} × {term}" for term, weight in weights["memory"].items() if term != "constant"]
        constant = weights["memory"].get("constant", 0.0) / 2**20
        peaks = (f"{peak:,.0f}" for peak in (of_script["peak_memory_mb"].min(), of_script["peak_memory_mb"].max()))
        rows.append([script, f"{constant:,.0f}", ", ".join(grown) or "–", *peaks, f"{worst:.0%}"])
    text = MEMORY.format(most=measured["rows"].max())
    header = ["rule", "constant", "grows by", "smallest", "largest", "off by at most"]
    return text + markdown(header, rows)


def peers(found: pd.DataFrame) -> str:
    """Return the section on what others take for the same work."""
    text = PEERS_HEAD
    for (rows, dimensions, cells, cores), block in found.groupby(["rows", "dimensions", "cells", "cores"]):
        text += f"\n{rows:,} rows × {dimensions} dimensions, {cells} cell{'s' if cells > 1 else ''}, {cores} cores:\n\n"
        lines = [
            [
                f"{PEERS[row.who][0]} {row.version}",
                number(row.seconds),
                number(row.compilation),
                f"{row.peak_memory_mb:,.0f}",
            ]
            for row in block.sort_values("seconds").itertuples()
        ]
        text += markdown(["", "seconds", "of them compilation", "peak memory, MiB"], lines)
    present = [who for who in PEERS if who in set(found["who"])]
    text += f"\n{WHO_IS_AHEAD}\nWhat each of them does:\n\n"
    return text + "\n".join(f"- **{PEERS[who][0]}**: {PEERS[who][1]}" for who in present) + "\n"


def lanes(found: pd.DataFrame) -> str:
    """Return the section on cells that share a layout job."""
    lines = [
        [
            f"{row.rows:,}",
            f"{row.n_neighbors}",
            f"{row.cells}",
            f"{row.alone_seconds:.2f}",
            f"{row.together_seconds:.2f}",
            f"{row.alone_seconds / row.together_seconds:.2f}",
        ]
        for row in found.sort_values(["rows", "n_neighbors", "cells"]).itertuples()
    ]
    header = ["rows", "n_neighbors", "cells", "one after the other", "side by side", "ratio"]
    return SIDE_BY_SIDE + markdown(header, lines)


def page(measured: Path) -> str:
    """Return docs/performance.md.

    Parameters
    ----------
    measured : Path
        A machine's folder; see `tables.merge`.
    """
    points = pd.read_csv(measured / "points.tsv", sep="\t", dtype={"commit": str})
    about = json.loads((measured / "machine.json").read_text())
    where = ", ".join(f"{name} {value}" if name not in ("cpu", "system") else value for name, value in about.items())
    commits = ", ".join(sorted(set(points["commit"])))
    parts = [HEAD.format(name=measured.name, machine=where, commits=commits, above=tables.ABOVE_START)]
    parts += [growth(points, axis) for axis in AXIS_TITLES if points[axis].nunique() > 1]
    if (measured / "jobs.tsv").exists():
        parts.append(memory(pd.read_csv(measured / "jobs.tsv", sep="\t")))
    if (measured / "peers.tsv").exists():
        parts.append(peers(pd.read_csv(measured / "peers.tsv", sep="\t")))
    if (measured / "lanes.tsv").exists():
        parts.append(lanes(pd.read_csv(measured / "lanes.tsv", sep="\t")))
    parts.append(THREADS)
    return "\n".join([*parts, COMMANDS])


def draw(points: pd.DataFrame, others: pd.DataFrame | None) -> Figure:
    """Draw seconds against each axis, memory against rows, and below them the peers.

    Parameters
    ----------
    points, others : pandas.DataFrame
        The machine's tables; the second may be missing.

    Returns
    -------
    matplotlib.figure.Figure
    """
    axes_of = [axis for axis in AXIS_TITLES if points[axis].nunique() > 1]
    panels = [(axis, "seconds") for axis in axes_of] + [("rows", "memory")] * ("rows" in axes_of)
    lines = -(-len(panels) // 3)
    shown = None
    if others is not None:
        size = others.groupby("rows")["who"].nunique().idxmax()
        shown = others[others["rows"] == size].sort_values("seconds")
    low = 0.0 if shown is None else 0.75 + 0.26 * len(shown)
    height = 0.5 + 2.3 * lines + low
    figure = Figure(figsize=(8.4, height), facecolor="white")
    grid = figure.add_gridspec(
        lines, 3, left=0.07, right=0.985, top=1 - 0.55 / height, bottom=(low + 0.45) / height, wspace=0.3, hspace=0.5
    )
    for place, (axis, what) in enumerate(panels):
        _draw_panel(figure.add_subplot(grid[place // 3, place % 3]), tables.series(points, axis), axis, what)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.06, 1 - 0.05 / height), ncols=len(labels), **LEGEND
    )
    if shown is not None:
        top = 0.26 * len(shown)
        _draw_peers(figure.add_axes((0.27, 0.42 / height, 0.6, top / height)), shown)
    return figure


LEGEND = {"fontsize": 7.5, "frameon": False, "borderpad": 0, "handlelength": 1.4, "columnspacing": 1.3}


def _draw_panel(axes: Axes, found: pd.DataFrame, axis: str, what: str) -> None:
    column = "peak_memory_mb" if what == "memory" else "job_seconds"
    stages = tables.WORK if what == "memory" else ["total", "compilation", *tables.WORK]
    for stage in stages:
        of_stage = found[found["stage"] == stage]
        costs = of_stage[column].fillna(of_stage["seconds"]) if what == "seconds" else of_stage[column]
        colour, style = ("#000000", "-") if stage == "total" else (COLOURS[stage], "-")
        axes.plot(
            of_stage[axis], costs, style, marker="o", ms=3, lw=1.3, color=colour, label=NAMES.get(stage, "wall time")
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    values = sorted(set(found[axis]))
    ticks = values if len(values) <= 5 else values[:: -(-len(values) // 4)]
    axes.set_xticks(ticks, [_short(value) for value in ticks])
    axes.set_xticks([], minor=True)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{'peak memory, MiB' if what == 'memory' else 'seconds'}", size=8, loc="left", pad=3)
    axes.set_xlabel(axis, size=8, labelpad=1)
    axes.tick_params(labelsize=7, color="#c0c0c0", which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c0c0c0")
    axes.grid(color="#ececec", linewidth=0.6)
    axes.set_axisbelow(True)


def _short(value: int) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else str(value)


def _draw_peers(axes: Axes, shown: pd.DataFrame) -> None:
    compiling = shown["compilation"].fillna(0).to_numpy()
    places = np.arange(len(shown))
    ours = shown["who"].str.startswith("umap-sweep").to_numpy()
    colours = np.where(ours, COLOURS["layout"], COLOURS["knn"])
    axes.barh(places, shown["seconds"] - compiling, 0.66, color=colours)
    axes.barh(places, compiling, 0.66, shown["seconds"] - compiling, color=COLOURS["compilation"])
    for place, seconds in zip(places, shown["seconds"], strict=True):
        axes.text(seconds, place, f" {seconds_text(seconds)} s", va="center", size=7.5)
    axes.set(ylim=(len(shown) - 0.4, -0.6))
    axes.set_yticks(places, [PEERS[who][0] for who in shown["who"]], size=8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7, color="#c0c0c0")
    row = shown.iloc[0]
    title = f"{row.cells} cells of {row.rows:,} rows × {row.dimensions} dimensions on {row.cores} cores, seconds"
    axes.set_title(f"{title} (grey: compilation)", size=8, loc="left", x=-0.38, pad=5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c0c0c0")


def report(measured: Path, docs: Path = DOCS) -> None:
    """Write performance.md and performance.png into `docs` from a machine's tables."""
    points = pd.read_csv(measured / "points.tsv", sep="\t")
    path = measured / "peers.tsv"
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = draw(points, pd.read_csv(path, sep="\t") if path.exists() else None)
        with store.appearing(docs / "performance.png") as temporary:
            figure.savefig(temporary, format="png", dpi=200, metadata=METADATA["png"])
    with store.appearing(docs / "performance.md") as temporary:
        temporary.write_text(page(measured), encoding="utf-8")


if "snakemake" in globals():
    snakemake = globals()["snakemake"]
    with job.running(snakemake.log[0]):
        tables.merge(Path("benchmarks/runs"), Path(snakemake.params.measured))
        jobs.write_weights(Path(snakemake.params.measured))
        report(Path(snakemake.params.measured))
elif __name__ == "__main__":
    report(Path(sys.argv[1]))
