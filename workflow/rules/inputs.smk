# Takes a job's wildcards; makes what it reads: the files and keys of its cells.
from umap_sweep.cells.groups import as_records
from umap_sweep.cells.keys import cell_key
from umap_sweep.cells.named import named_cell


def steps_of_preparation(wildcards):
    """The steps of a preparation in one form; where its path has none that is known, the input refuses it."""
    return STEPS.get(wildcards.preparation)


def cells_of(wildcards):
    """The cells that a job's wildcards leave open: with a seed one that `choose` may add, else those of the sweep."""
    return (KNOWN if "seed" in wildcards.keys() else CELLS).of(dict(wildcards.items()))


def named(section):
    """The one cell that a section of the configuration names, as a table of one."""
    try:
        return named_cell(CELLS.table, SETTINGS[section].get("cell"), f"{section}.cell")
    except InputError as error:
        raise WorkflowError(str(error)) from None


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


def cells_in_sweep(dataset, values):
    """The cells of the sweep that a path names together, such as a row of the grid, with the name of the data set."""
    try:
        return (KNOWN if "seed" in values else CELLS).of(values).assign(dataset=dataset)
    except KeyError:
        named = ", ".join(f"{name} {value}" for name, value in values.items())
    raise WorkflowError(f"The sweep of {dataset} has no cell of {named}; add it to the grid.")


def layouts_of(wildcards):
    return of_cells(LAYOUT_FILE, cells_in_sweep(wildcards.dataset, dict(wildcards.items())))


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


def contributions(wildcards):
    return of_cells(CONTRIBUTIONS_FILE, CELLS.table)


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


def widest_knn(wildcards):
    """The k-NN whose neighbours the atlas shows: the widest, and the first seed of several."""
    return of_cells(KNN_FILE, CELLS.table.nlargest(1, "knn_k"))[0]


def rows_of_target(wildcards):
    """What has the target of a supervised run; no other graph depends on anything that describes the rows."""
    return ROWS_FILE.format(dataset=wildcards.dataset) if "target" in SETTINGS["umap"] else []
