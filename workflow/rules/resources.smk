# Takes the size of a job's input; makes what the job asks of a machine, and when it starts.
from umap_sweep.planning import resources
from umap_sweep.planning.sizes import job_size

# ARPACK, which only the start `spectral` runs, takes more than all else in a graph's job.
GRAPH_JOB = "graph" if SETTINGS["umap"]["init"] == "spectral" else "lean_graph"


def size_of(wildcards, input, neighbors, laid_out):
    """What a job works on. Where its input is still missing Snakemake leaves its resources open."""
    files = {name: [file] if isinstance(file, str) else file for name, file in input.items()}
    return job_size(files, dict(wildcards.items()), CELLS, neighbors, SETTINGS["metrics"], laid_out)


def memory_of(job, neighbors="knn_k", laid_out=1):
    """A rule's `mem_mb`, from the size of its input; twice as much when a job is tried again, as it may have lacked it."""

    def mem_mb(wildcards, input, attempt):
        size = size_of(wildcards, input, neighbors, laid_out)
        if job in ("knn", "graph"):  # once the data is there, and before the graph is made
            say_once_that_the_start_is_long(size.rows)
        return resources.asked_memory_mb(job, size, attempt)

    return mem_mb


def minutes_of(job, neighbors="knn_k", laid_out=1):
    """A rule's `runtime`, likewise."""

    def runtime(wildcards, input, attempt):
        return resources.asked_minutes(job, size_of(wildcards, input, neighbors, laid_out), attempt)

    return runtime


def doubling(amount):
    """A resource that does not grow with the data, or not in a way that is known; twice as much at each new try."""

    def resource(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return resource


def fetch_mem_mb(wildcards, input, attempt):
    """How large a data set is, is known when it has been fetched; a packed file may hold many times its size."""
    return doubling(2000 + 4 * int(input.size_mb))(wildcards, attempt)


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
