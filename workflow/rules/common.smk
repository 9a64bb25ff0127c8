import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import Paramspace

sys.path.insert(0, str(Path(workflow.current_basedir.get_path_or_uri(secret_free=True)) / "../../scripts"))

from umap_sweep import configuration, environment
from umap_sweep.errors import InputError

try:
    SETTINGS = configuration.complete(config, GIVEN)
    configuration.check_source_exists(SETTINGS)
    CELLS = Paramspace(configuration.cells(SETTINGS), param_sep="=")
except InputError as error:
    raise WorkflowError(str(error)) from None

DATASET = SETTINGS["dataset"]

# What results depend on beside their own parameters. As params of the stages they make Snakemake see a change.
HELD = {name: SETTINGS[name] for name in ("cpu", "blas_threads")}

# Every job inherits these, on whichever machine it runs, because its own Snakemake process reads this file.
# The claims compare a k-NN by one job with one by two, whatever the sweep's own takes.
os.environ.update(environment.job_variables(max(SETTINGS["knn"]["n_jobs"], 2), SETTINGS["cpu"]))

# A stage's key is its folder. The method is not part of the cells' folders, which users read as partitions.
KNN = "knn_k={knn_k}/knn_seed={knn_seed}/knn_jobs={knn_jobs}"
DATA_FILE = "results/{dataset}/data/data.parquet"
KNN_FILE = f"results/{{dataset}}/knn/metric={{metric}}/method={SETTINGS['knn']['method']}/{KNN}/knn.parquet"
GRAPH_FOLDER = f"results/{{dataset}}/graph/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}"
INITIAL_LAYOUT_FOLDER = (
    f"results/{{dataset}}/initial_layout/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}/seed={{seed}}"
)
INITIAL_LAYOUT_FILE = f"{INITIAL_LAYOUT_FOLDER}/initial_layout.parquet"
EMBEDDING_FILE = f"results/{{dataset}}/embeddings/{CELLS.wildcard_pattern}/embedding.parquet"
STAGE_FILES = [
    DATA_FILE,
    KNN_FILE,
    f"{GRAPH_FOLDER}/edges.parquet",
    f"{GRAPH_FOLDER}/vertices.parquet",
    INITIAL_LAYOUT_FILE,
    EMBEDDING_FILE,
]


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


def source(wildcards):
    return SETTINGS["datasets"][wildcards.dataset]


def source_file(wildcards):
    """The user's own file, so that a changed one is fetched again; other sources have no input."""
    if source(wildcards)["source"] != "file":
        return []
    return source(wildcards)["path"]


def only(*names):
    """The UMAP parameters that one rule's script uses, so that a change of another does not run it again."""
    return {name: SETTINGS["umap"][name] for name in names}


def cell_key(cell):
    """The full key of a cell: what its folders say, and what is the same for all of them."""
    shared = {"method": SETTINGS["knn"]["method"], **SETTINGS["umap"], **HELD}
    if shared["n_epochs"] is None:
        del shared["n_epochs"]  # follows from the number of rows, and is stored when they are known
    return {**cell, **shared}


def embedding_key(wildcards):
    types = {name: type(value) for name, value in CELLS.dataframe.to_dict("records")[0].items()}
    return cell_key({name: convert(wildcards[name]) for name, convert in types.items()})


def embedding_keys(wildcards):
    return [cell_key(cell) for cell in CELLS.dataframe.to_dict("records")]


def of_cells(pattern, cells):
    """The files of one stage, each once, in the order of the cells."""
    return list(dict.fromkeys(expand(pattern, zip, dataset=[DATASET] * len(cells), **cells)))


def embeddings(wildcards):
    return of_cells(EMBEDDING_FILE, CELLS.dataframe)


def all_stages(wildcards):
    return [path for pattern in STAGE_FILES for path in of_cells(pattern, CELLS.dataframe)]


def again(pattern):
    """Where `verify` puts what it computes once more."""
    return pattern.replace("results/{dataset}/", "results/{dataset}/verify/", 1)


def cells_to_verify():
    """All cells or the seeded sample."""
    count = SETTINGS["verify"]["cells"]
    cells = CELLS.dataframe
    return cells if count == "all" else cells.sample(min(count, len(cells)), random_state=0)


def last_cells_first(wildcards):
    """Priority of a job that computes a stage once more, so that whole cells are computed from the last to the first."""
    cells = CELLS.dataframe
    for name in cells.columns.intersection(list(wildcards.keys())):
        cells = cells[cells[name].astype(str) == wildcards[name]]
    return int(cells.index[-1])


def stages_to_verify(wildcards):
    return [path for pattern in STAGE_FILES for path in of_cells(pattern, cells_to_verify())]


def recomputed_stages(wildcards):
    return [path for pattern in STAGE_FILES for path in of_cells(again(pattern), cells_to_verify())]


def figures():
    """The grid figures by name: one for each pair of k-NN seed and UMAP seed, the first is plain `grid`."""
    pairs = dict.fromkeys(zip(CELLS.dataframe["knn_seed"], CELLS.dataframe["seed"]))
    names = ["grid", *(f"grid_knn_seed={knn_seed}_seed={seed}" for knn_seed, seed in list(pairs)[1:])]
    return dict(zip(names, pairs))


def figure_knn_seed(wildcards):
    return int(figures()[wildcards.figure][0])


def figure_seed(wildcards):
    return int(figures()[wildcards.figure][1])


def targets(wildcards):
    folder = f"results/{DATASET}"
    return [
        f"{folder}/sweep.parquet",
        f"{folder}/manifest.json",
        *(f"{folder}/plots/{name}.png" for name in figures()),
    ]


def say_where_to_look():
    folder = Path("results") / DATASET
    if (folder / "plots" / "grid.png").exists():
        print(f"Look at {folder}/plots/grid.png, read {folder}/sweep.parquet.")
