# Takes the size of a job's input; makes what the job asks of a machine, and when it starts.
from dataclasses import replace

from umap_sweep.planning import resources
from umap_sweep.planning.sizes import job_size

# ARPACK, which only the start `spectral` runs, takes more than all else in a graph's job.
GRAPH_JOB = "graph" if SETTINGS["umap"]["init"] == "spectral" else "lean_graph"


# The jobs in which umap-learn itself has a part.
BY_UMAP_LEARN = [
    *(["graph", "lean_graph"] if "target" in SETTINGS["umap"] else []),
    *(["layout"] if "densmap" in SETTINGS["umap"] else []),
]


def size_of(job, wildcards, input, neighbors, laid_out, times=1, seeds=0):
    """What a job works on. Where its input is still missing Snakemake leaves its resources open."""
    files = {name: [file] if isinstance(file, str) else file for name, file in input.items()}
    of_cells = neighbors, SETTINGS["metrics"], laid_out, times, seeds
    return replace(job_size(files, dict(wildcards.items()), CELLS, *of_cells), umap_learn=job in BY_UMAP_LEARN)


def memory_of(job, neighbors="knn_k", laid_out=1, seeds=0, settings=0):
    """A rule's `mem_mb`, from the size of its input; twice as much when a job is tried again, as it may have lacked it.

    `seeds` is how many a setting has, of a job that compares settings, and `settings` how many it holds comparisons of.
    """

    def mem_mb(wildcards, input, attempt):
        size = replace(size_of(job, wildcards, input, neighbors, laid_out, seeds=seeds), settings=settings)
        if job in ("knn", "graph"):  # once the data is there, and before the graph is made
            say_once_that_the_start_is_long(size.rows)
        return resources.asked_memory_mb(job, size, attempt)

    return mem_mb


def minutes_of(job, neighbors="knn_k", laid_out=1, times=1):
    """A rule's `runtime`, likewise; `times` is how often the job goes through each layout that it reads."""

    def runtime(wildcards, input, attempt):
        return resources.asked_minutes(job, size_of(job, wildcards, input, neighbors, laid_out, times), attempt)

    return runtime


def doubling(amount):
    """A resource that does not grow with the data, or not in a way that is known; twice as much at each new try."""

    def resource(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return resource


def fetch_mem_mb(wildcards, input, attempt):
    """How large a data set is, is known when it has been fetched; a packed file may hold many times its size."""
    return doubling(2000 + 4 * int(input.size_mb))(wildcards, attempt)


def prepared_mem_mb(wildcards, input, attempt):
    """All values as float64, and as many again where they are scaled or projected; once more for what a library copies."""
    size = size_of("prepared", wildcards, input, "knn_k", 1)
    return doubling(1000 + 3 * 8 * size.rows * size.dimensions // 10**6)(wildcards, attempt)


def longest_first(wildcards):
    """More neighbours take longer. What takes longest starts first, so that no core waits for it in the end."""
    return int(wildcards.n_neighbors)


def longest_first_of_graphs(wildcards):
    """Layouts wait for graphs, so these come before any layout."""
    return longest_first(wildcards) + CELLS.widest["n_neighbors"]


def before_all_else(wildcards):
    """Ids that are wrong are said before anything long is computed."""
    return 2 * CELLS.widest["n_neighbors"] + 1


def first_after_layouts(wildcards):
    """Tables, figures and atlas wait for the metrics of all cells, so these come before any of them."""
    return 1


def last_cells_first(wildcards):
    """Priority of a job that computes a stage once more: whole cells, and those last that a sweep starts first."""
    return CELLS.last_place(dict(wildcards.items()))
