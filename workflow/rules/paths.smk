# Takes the cells; makes the paths of all stages, whose folders are their keys.
from umap_sweep.cells.groups import as_records

# The method is not part of the cells' folders, which users read as partitions.
KNN = "knn_k={knn_k}/knn_seed={knn_seed}/knn_jobs={knn_jobs}"
DATA_FILE = "results/{dataset}/data/data.parquet"
ROWS_FILE = "results/{dataset}/rows.parquet"
PREPARED_FILE = "results/{dataset}/prepared/preparation={preparation}/prepared.parquet"
FITTED_FILE = "results/{dataset}/prepared/preparation={preparation}/fitted.parquet"
# What the k-NN is made from, and the stage that makes it: the data, or what the grid prepares it to.
FEATURES_FILE, FEATURES = (PREPARED_FILE, "prepared") if STEPS else (DATA_FILE, "data")
# What the steps of a preparation take from the data, where the grid has preparations.
FITTED_FILES = [FITTED_FILE] if STEPS else []
STORED = list(dict.fromkeys(["data", FEATURES]))
# What stands in the folders of a k-NN before its k, seed and threads.
SEARCHED = folders(CELL_KEY[: CELL_KEY.index("knn_k")])
KNN_FILE = f"results/{{dataset}}/knn/{SEARCHED}/method={SETTINGS['knn']['method']}/{KNN}/knn.parquet"
GRAPH = folders(column for column in CELL_KEY if column not in (*OF_LAYOUT_ALONE, "seed"))
EDGES_FILE = f"results/{{dataset}}/graph/{GRAPH}/edges.parquet"
VERTICES_FILE = f"results/{{dataset}}/graph/{GRAPH}/vertices.parquet"
# What all min_dist of one graph and seed share, a row of the grid.
GRID_ROW = folders(column for column in CELL_KEY if column != "min_dist")
# And what all layouts of them start from, whatever the weight of densities.
START = folders(column for column in CELL_KEY if column not in OF_LAYOUT_ALONE)
INITIAL_LAYOUT_FILE = f"results/{{dataset}}/initial_layout/{START}/initial_layout.parquet"
LAYOUT_FILE = f"results/{{dataset}}/layouts/{CELL_FOLDERS}/layout.parquet"
EMBEDDING_FILE = f"results/{{dataset}}/embeddings/{CELL_FOLDERS}/embedding.parquet"
COST_FILE = f"results/{{dataset}}/costs/{CELL_FOLDERS}/cost.json"
MANIFEST_FILE = f"results/{DATASET}/manifest.json"
STAGE_FILES = [
    *dict.fromkeys([DATA_FILE, FEATURES_FILE]),
    *FITTED_FILES,
    KNN_FILE,
    EDGES_FILE,
    VERTICES_FILE,
    INITIAL_LAYOUT_FILE,
    LAYOUT_FILE,
]

REFERENCE_FILE = PREPARED_FILE.replace("{preparation}", REFERENCE) if REFERENCE in STEPS else DATA_FILE
# That, and what is made with it.
REFERENCE_FILES = [
    REFERENCE_FILE,
    *(path.replace("{preparation}", REFERENCE) for path in FITTED_FILES if REFERENCE in STEPS),
]
HIGH_DIMENSIONAL_FOLDER = "results/{dataset}/high_dimensional/metric={metric}"
HIGH_DIMENSIONAL_PARTS = ("sample", "ranks", "pairs", "triplets")
# By rows of the grid, because a cell's metrics take about as long as the start of a job.
POINTS_FILE = f"results/{{dataset}}/points/{GRID_ROW}/points.parquet"
NEIGHBORS_FILE = f"results/{{dataset}}/neighbors/{GRID_ROW}/neighbors.parquet"
CELL_METRICS_FILE = f"results/{{dataset}}/metrics/{GRID_ROW}/metrics.parquet"
CONTRIBUTIONS_FILE = f"results/{{dataset}}/contributions/{GRID_ROW}/contributions.parquet"
LOOK_FOLDER = f"results/{DATASET}/choose/look={{look}}"
# All seeds of one n_neighbors and min_dist.
SEEDS = folders(column for column in CELL_KEY if column not in ("knn_seed", "seed"))
STABILITY_FILE = f"results/{{dataset}}/stability/{SEEDS}/points.parquet"
SEED_PAIRS_FILE = f"results/{{dataset}}/seed_pairs/{SEEDS}/pairs.parquet"
# Beside the points of the same cells.
TRUST_FILE = f"results/{{dataset}}/trust/{GRID_ROW}/trust.parquet"
# New rows on a cell, by the data set that they are.
NEW_ROWS_FOLDER = f"results/{{dataset}}/transformed/{{new}}/{CELL_FOLDERS}"
NEW_ROWS_FILE = f"{NEW_ROWS_FOLDER}/embedding.parquet"
NEW_NEIGHBORS_FILE = f"{NEW_ROWS_FOLDER}/neighbors.parquet"


wildcard_constraints:
    dataset=r"[A-Za-z0-9_.-]+",
    preparation=r"[A-Za-z0-9_.-]+",
    metric=r"[a-z0-9_]+",
    knn_k=r"\d+",
    knn_seed=r"\d+",
    knn_jobs=r"\d+",
    n_neighbors=r"\d+",
    target_weight=r"[0-9.e-]+",
    dens_lambda=r"[0-9.e+-]+",
    min_dist=r"[0-9.e-]+",
    seed=r"\d+",
    figure=r"grid[^/]*",
    process=r"first|again",
    arm=r"[a-z_]+",
    new=r"[A-Za-z0-9_.-]+",
    look=rf"[1-{min(len(LOOKS), 9)}]",


def one_a_cell(pattern, cells):
    """The files of one stage, one for each cell, in their order; cells may share them.

    Cells are of the data set to sweep, where they have no column that says of which one they are.
    """
    # Not by `expand`, which takes ten times as long, and 2,000 cells have 40,000 paths in a plan.
    return [pattern.format(**{"dataset": DATASET, **cell}) for cell in as_records(cells)]


def of_cells(pattern, cells):
    """The files of one stage, each once, in the order of the cells."""
    return list(dict.fromkeys(one_a_cell(pattern, cells)))


def placed(pattern, below):
    """Where a file of the sweep is in a folder beside its stages."""
    return pattern.replace("results/{dataset}/", f"results/{{dataset}}/{below}", 1)


def again(pattern):
    """Where `verify` puts what it computes once more."""
    return placed(pattern, "verify/")


def of_columns(pattern, columns):
    """The files of one stage, one for each min_dist, with the wildcards of a row of the grid."""
    return [pattern.replace("{min_dist}", min_dist) for min_dist in columns]
