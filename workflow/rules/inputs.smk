# Takes a job's wildcards; makes what it reads: the files and keys of its cells.
from pathlib import Path

from umap_sweep.cells.groups import as_records
from umap_sweep.cells.keys import cell_key


def cells_of(wildcards):
    """The cells that a job's wildcards leave open."""
    return CELLS.of(dict(wildcards.items()))


def anndata_file(wildcards):
    """The user's own AnnData file, if the data set to sweep is from one."""
    own = SETTINGS["datasets"][DATASET]
    return own_file(own) if own["source"] == "anndata" else []


def key_of_path(wildcards):
    """The key of one cell, in the grid or not, as a list of one."""
    return [cell_key({name: CELLS.types[name](wildcards[name]) for name in CELLS.types}, SETTINGS)]


def keys(cells):
    return [cell_key(cell, SETTINGS) for cell in as_records(cells)]


def embedding_keys(wildcards):
    return keys(CELLS.table)


def keys_of(wildcards):
    return keys(cells_of(wildcards))


def layouts(wildcards):
    return of_cells(LAYOUT_FILE, CELLS.table)


def layouts_of(wildcards):
    return of_cells(LAYOUT_FILE, cells_of(wildcards))


def knn_of_cells(wildcards):
    return one_a_cell(KNN_FILE, CELLS.table)


def neighbors(wildcards):
    return one_a_cell(NEIGHBORS_FILE, CELLS.table)


def neighbors_of_seeds(wildcards):
    return of_cells(NEIGHBORS_FILE, cells_of(wildcards))


def sample_of_cells(wildcards):
    return of_cells(f"{HIGH_DIMENSIONAL_FOLDER}/sample.parquet", CELLS.table)[0]


def cell_metrics(wildcards):
    return one_a_cell(CELL_METRICS_FILE, CELLS.table)


def costs(wildcards):
    return of_cells(COST_FILE, CELLS.table)


def seed_pairs(wildcards):
    return of_cells(SEED_PAIRS_FILE, CELLS.with_seeds)


def stability_points(wildcards):
    return of_cells(STABILITY_FILE, CELLS.with_seeds)


def all_stages(wildcards):
    return [path for pattern in (*STAGE_FILES, EMBEDDING_FILE) for path in of_cells(pattern, CELLS.table)]


def stages_and_rows(wildcards):
    return [*all_stages(wildcards), ROWS_FILE.format(dataset=DATASET)]


def recomputed_stages(wildcards):
    cells = CELLS.sample(SETTINGS["verify"]["cells"])
    return [path for pattern in STAGE_FILES for path in of_cells(again(pattern), cells)]


def verify_folder(wildcards, input):
    """Where the recomputed stages are, with the prefix that an importing workflow gives; the first one is the data."""
    return str(Path(input[0]).parents[1])


def stages_to_verify(wildcards, input):
    """What is stored, and what was recomputed of it; a layout stands for the embedding that is made from it too."""
    folder = Path(verify_folder(wildcards, input))
    pairs = {str(folder.parent / Path(path).relative_to(folder)): path for path in input}
    layouts = {path: again for path, again in pairs.items() if Path(path).name == "layout.parquet"}
    return pairs | {embedding_of(path): again for path, again in layouts.items()}


def embedding_of(layout):
    head, _, tail = layout.rpartition("/layouts/")
    return f"{head}/embeddings/{tail.removesuffix('layout.parquet')}embedding.parquet"


def widest_knn(wildcards):
    """The k-NN whose neighbours the atlas shows: the widest, and the first seed of several."""
    return of_cells(KNN_FILE, CELLS.table.nlargest(1, "knn_k"))[0]
