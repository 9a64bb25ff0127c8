# Takes the size of the data and the cells; makes the sentences that are said once, before what takes long.
import sys

from umap_sweep.planning.resources import Size, minutes_of_long_start

SAID = set()


def say_once_that_the_start_is_long(rows):
    """Said by the process that plans the run, because jobs may run anywhere, and there are many of them."""
    minutes = minutes_of_long_start(Size(rows=rows, neighbors=CELLS.widest["n_neighbors"]))
    if minutes is None or SETTINGS["umap"]["init"] != "spectral" or SAID or not workflow.is_main_process:
        return
    SAID.add("start")
    print(
        f"umap.init spectral will take about {max(round(minutes), 1)} min for each graph of {rows:,} rows, longer than a "
        f"layout; umap.init spectral_lean finds the same eigenvectors in far less, for another picture (docs/large.md).",
        file=sys.stderr,
        flush=True,
    )


def say_once_that_figures_are_left_out(cells):
    """Of n_neighbors and min_dist; before anything runs, because it may run for long."""
    if "figures" in SAID or not workflow.is_main_process:
        return
    SAID.add("figures")
    rows, columns = (len({cell[axis] for cell in cells}) for axis in (0, 1))
    print(
        f"umap-sweep: {rows:,} n_neighbors × {columns:,} min_dist are too many panels for one figure: those of all cells, "
        f"such as plots/grid.png, are left out. The atlas shows the cells.",
        file=sys.stderr,
        flush=True,
    )
