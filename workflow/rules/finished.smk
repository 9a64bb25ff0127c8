# Takes the cells; makes the lists of the files of a finished sweep, to look at what became of them.
from pathlib import Path


def finished_files(wildcards):
    """All that the default target makes, but for the manifest, which lists them."""
    between = [COST_FILE, POINTS_FILE, NEIGHBORS_FILE, CELL_METRICS_FILE, CONTRIBUTIONS_FILE]
    between += [f"{HIGH_DIMENSIONAL_FOLDER}/{part}.parquet" for part in HIGH_DIMENSIONAL_PARTS]
    between += REFERENCE_FILES if STEPS else []
    files = [*stages_and_rows(wildcards), *(path for one in between for path in of_cells(one, CELLS.table))]
    files += [*stability_points(wildcards), *seed_pairs(wildcards), f"results/{DATASET}/label_metrics/metrics.parquet"]
    files += of_cells(TRUST_FILE, CELLS.table) if NULLS else []
    # Embeddings are made of the data set to sweep alone.
    files += [path for cells in swept()[1:] for one in [*STAGE_FILES, *between] for path in of_cells(one, cells)]
    files += new_rows_files(NEW_NEIGHBORS_FILE)
    made = [path for path in targets(wildcards) if path != MANIFEST_FILE]
    without = [f"{RESULTS}/sweep.parquet", *of_new_rows()]  # these have no CSV
    tables = [path for path in made if path.endswith(".parquet") and path not in without]
    csvs = [path.replace(".parquet", ".csv") for path in tables]
    vectors = [path.replace(".png", f".{SETTINGS['plot']['vector_format']}") for path in made if path.endswith(".png")]
    return [*files, *made, *csvs, *vectors]


def costly_files(wildcards):
    """What takes more than moments to make, in the order in which it is made; beside a layout what says what it took.

    Of the data set to sweep, and of those that are derived from it.
    """
    high_dimensional = [f"{HIGH_DIMENSIONAL_FOLDER}/{part}.parquet" for part in HIGH_DIMENSIONAL_PARTS]
    reference = REFERENCE_FILES if STEPS else []
    patterns = [
        *STAGE_FILES,
        *reference,
        *high_dimensional,
        POINTS_FILE,
        NEIGHBORS_FILE,
        CELL_METRICS_FILE,
        CONTRIBUTIONS_FILE,
    ]
    found = []
    for cells in swept():
        costs = dict(zip(one_a_cell(LAYOUT_FILE, cells), one_a_cell(COST_FILE, cells)))
        paths = [path for pattern in patterns for path in of_cells(pattern, cells)]
        found.append({with_prefix(path): with_prefix(costs[path]) if path in costs else None for path in paths})
    return found


def benchmarks(wildcards):
    """The folders of what Snakemake measured, with the prefix that an importing workflow gives."""
    return [with_prefix(f"results/{name}/benchmarks") for name in (DATASET, *DERIVED)]


def stored_manifest(wildcards):
    """The manifest, with the prefix that an importing workflow gives."""
    return with_prefix(MANIFEST_FILE)
