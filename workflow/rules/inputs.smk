# Takes a job's wildcards; makes what it reads: the user's own files, and the files and keys of its cells.
from pathlib import Path

from umap_sweep.cells.groups import as_records
from umap_sweep.cells.keys import cell_key


def cells_of(wildcards):
    """The cells that a job's wildcards leave open."""
    return CELLS.of(dict(wildcards.items()))


def source(wildcards):
    """The data set as the configuration describes it."""
    return SETTINGS["datasets"][wildcards.dataset]


def own_file(settings):
    """The `path` of a data set or a k-NN, if it has one.

    As a local file it is in the folder the sweep runs in, whatever prefix an importing workflow gives to the results.
    """
    return local(settings["path"]) if "path" in settings else []


def source_file(wildcards):
    """The user's own file, so that a changed one is fetched again; other sources have no input."""
    return own_file(source(wildcards))


def anndata_file(wildcards):
    """The user's own AnnData file, if the data set to sweep is from one."""
    own = SETTINGS["datasets"][DATASET]
    return own_file(own) if own["source"] == "anndata" else []


def imported_knn(wildcards):
    """The file of a k-NN that was made elsewhere."""
    return own_file(SETTINGS["knn"])


def stored_downloads(wildcards, output):
    """The folder of raw downloads that the stored data came from; `verify` needs no network."""
    return str(Path(output[0]).parents[2] / "data" / "download")


def keys(cells):
    return [cell_key(cell, SETTINGS) for cell in as_records(cells)]


def embedding_keys(wildcards):
    return keys(CELLS.table)


def keys_of(wildcards):
    return keys(cells_of(wildcards))


def embeddings(wildcards):
    return of_cells(EMBEDDING_FILE, CELLS.table)


def embeddings_of(wildcards):
    return of_cells(EMBEDDING_FILE, cells_of(wildcards))


def neighbors(wildcards):
    return one_a_cell(NEIGHBORS_FILE, CELLS.table)


def neighbors_of_seeds(wildcards):
    return of_cells(NEIGHBORS_FILE, cells_of(wildcards))


def cell_metrics(wildcards):
    return one_a_cell(CELL_METRICS_FILE, CELLS.table)


def costs(wildcards):
    return of_cells(COST_FILE, CELLS.table)


def seed_pairs(wildcards):
    return of_cells(SEED_PAIRS_FILE, CELLS.with_seeds)


def stability_points(wildcards):
    return of_cells(STABILITY_FILE, CELLS.with_seeds)


def all_stages(wildcards):
    return [path for pattern in STAGE_FILES for path in of_cells(pattern, CELLS.table)]


def recomputed_stages(wildcards):
    cells = CELLS.sample(SETTINGS["verify"]["cells"])
    return [path for pattern in STAGE_FILES for path in of_cells(again(pattern), cells)]


def verify_folder(wildcards, input):
    """Where the recomputed stages are, with the prefix that an importing workflow gives; the first one is the data."""
    return str(Path(input[0]).parents[1])


def stages_to_verify(wildcards, input):
    folder = Path(verify_folder(wildcards, input))
    return [str(folder.parent / Path(path).relative_to(folder)) for path in input]


def widest_knn(wildcards):
    """The k-NN whose neighbours the atlas shows: the widest, and the first seed of several."""
    return of_cells(KNN_FILE, CELLS.table.nlargest(1, "knn_k"))[0]
