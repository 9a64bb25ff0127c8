# Takes the cell and the data set that the configuration names for new rows; makes the paths of what becomes of them.
import os
from dataclasses import replace

from umap_sweep.cells.keys import optional_axes
from umap_sweep.planning import new_rows as new_rows_resources
from umap_sweep.planning import resources
from umap_sweep.planning.sizes import stored_size
from umap_sweep.planning.resources import Size

# What the figure calls the cell.
CELL_IN_WORDS = " · ".join(
    f"{name} {{{name}}}" for name in (*optional_axes(CELL_KEY), "n_neighbors", "min_dist", "seed")
)


def new_rows_files(*patterns):
    """The paths of these files, where there are new rows to place."""
    if NEW_CELL is None:
        return []
    cells = NEW_CELL.assign(new=SETTINGS["transform"]["dataset"])
    return [path for pattern in patterns for path in of_cells(pattern, cells)]


def of_new_rows():
    """What becomes of new rows: where they lie, how, the figure and the page."""
    made = ("metrics.parquet", "transform.png", "transform.html")
    return new_rows_files(NEW_ROWS_FILE, *(f"{NEW_ROWS_FOLDER}/{name}" for name in made))


def check_new_rows():
    if NEW_CELL is None:
        raise WorkflowError(
            "There are no new rows to place; give transform.cell, and transform.source or transform.dataset."
        )


def placed_new_rows(wildcards):
    check_new_rows()
    return of_new_rows()


def new_data(wildcards):
    check_path({"dataset": wildcards.new})
    return DATA_FILE.format(dataset=wildcards.new)


def new_rows_rows(wildcards):
    return ROWS_FILE.format(dataset=wildcards.new)


def cell_of_path(wildcards):
    """The cell in a job's path, as the table of the cells has it."""
    return {name: kind(wildcards[name]) for name, kind in CELLS.types.items()}


def sizes_with_new_rows(wildcards, input):
    new = Size(*stored_size(input.new_data, os.stat(input.new_data).st_mtime_ns))
    return size_of("new_rows", wildcards, input, "n_neighbors", 1), new


def new_rows_mem_mb(wildcards, input, attempt):
    return new_rows_resources.asked_memory_mb(*sizes_with_new_rows(wildcards, input), attempt)


def new_rows_minutes(wildcards, input, attempt):
    return new_rows_resources.asked_minutes(*sizes_with_new_rows(wildcards, input), attempt)


def size_of_page(wildcards, input):
    """That of an atlas of one cell, which has the new rows as points too."""
    size = size_of("atlas", wildcards, input, "n_neighbors", 1)
    return replace(size, points=size.rows + stored_size(input.placed, os.stat(input.placed).st_mtime_ns)[0])


def page_of_new_rows_mem_mb(wildcards, input, attempt):
    return resources.asked_memory_mb("atlas", size_of_page(wildcards, input), attempt)


def page_of_new_rows_minutes(wildcards, input, attempt):
    return resources.asked_minutes("atlas", size_of_page(wildcards, input), attempt)


def say_what_is_placed(folder):
    """How new rows lie on their cell, and where to look."""
    from umap_sweep.quality import new_rows_metrics  # here, because only the end of a run needs it

    path = folder / "metrics.parquet"
    if path.exists():
        for sentence in new_rows_metrics.sentences(path):
            print(sentence)
        print(f"Look at {folder}/transform.png, read {folder}/embedding.parquet.")
    if (folder / "transform.html").exists():
        print(f"Explore {(folder / 'transform.html').resolve().as_uri()}")
