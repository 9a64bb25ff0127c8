# Takes the cells; makes the paths of all stages, whose folders are their keys.

# The method is not part of the cells' folders, which users read as partitions.
KNN = "knn_k={knn_k}/knn_seed={knn_seed}/knn_jobs={knn_jobs}"
DATA_FILE = "results/{dataset}/data/data.parquet"
ROWS_FILE = "results/{dataset}/rows.parquet"
KNN_FILE = f"results/{{dataset}}/knn/metric={{metric}}/method={SETTINGS['knn']['method']}/{KNN}/knn.parquet"
GRAPH = f"metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}"
EDGES_FILE = f"results/{{dataset}}/graph/{GRAPH}/edges.parquet"
VERTICES_FILE = f"results/{{dataset}}/graph/{GRAPH}/vertices.parquet"
# What all min_dist of one graph and seed share, a row of the grid.
GRID_ROW = f"{GRAPH}/seed={{seed}}"
INITIAL_LAYOUT_FILE = f"results/{{dataset}}/initial_layout/{GRID_ROW}/initial_layout.parquet"
LAYOUT_FILE = f"results/{{dataset}}/layouts/{CELL_FOLDERS}/layout.parquet"
EMBEDDING_FILE = f"results/{{dataset}}/embeddings/{CELL_FOLDERS}/embedding.parquet"
COST_FILE = f"results/{{dataset}}/costs/{CELL_FOLDERS}/cost.json"
STAGE_FILES = [DATA_FILE, KNN_FILE, EDGES_FILE, VERTICES_FILE, INITIAL_LAYOUT_FILE, LAYOUT_FILE]

HIGH_DIMENSIONAL_FOLDER = "results/{dataset}/high_dimensional/metric={metric}"
# By rows of the grid, because a cell's metrics take about as long as the start of a job.
POINTS_FILE = f"results/{{dataset}}/points/{GRID_ROW}/points.parquet"
NEIGHBORS_FILE = f"results/{{dataset}}/neighbors/{GRID_ROW}/neighbors.parquet"
CELL_METRICS_FILE = f"results/{{dataset}}/metrics/{GRID_ROW}/metrics.parquet"
# All seeds of one n_neighbors and min_dist.
SEEDS = "metric={metric}/knn_k={knn_k}/knn_jobs={knn_jobs}/n_neighbors={n_neighbors}/min_dist={min_dist}"
STABILITY_FILE = f"results/{{dataset}}/stability/{SEEDS}/points.parquet"
SEED_PAIRS_FILE = f"results/{{dataset}}/seed_pairs/{SEEDS}/pairs.parquet"


wildcard_constraints:
    dataset=r"[A-Za-z0-9_.-]+",
    metric=r"[a-z0-9_]+",
    knn_k=r"\d+",
    knn_seed=r"\d+",
    knn_jobs=r"\d+",
    n_neighbors=r"\d+",
    min_dist=r"[0-9.e-]+",
    seed=r"\d+",
    figure=r"grid[^/]*",
    process=r"first|again",
    arm=r"[a-z_]+",


def one_a_cell(pattern, cells):
    """The files of one stage, one for each cell, in their order; cells may share them."""
    return expand(pattern, zip, dataset=[DATASET] * len(cells), **cells)


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


def start_of_cell(wildcards):
    """Where the layout of one cell starts. Any path may ask for it, so what a grid would refuse is refused here."""
    try:
        grid.check_path(dict(wildcards.items()), SETTINGS)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return INITIAL_LAYOUT_FILE.format(**dict(wildcards.items()))
