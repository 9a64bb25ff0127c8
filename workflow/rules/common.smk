import csv
import os
import sys
from functools import cache
from pathlib import Path

from pyarrow import ArrowException, parquet
from snakemake.utils import Paramspace

SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1] / "scripts"

sys.path.insert(0, str(SCRIPTS))

from umap_sweep import configuration, environment, measures, resources
from umap_sweep.errors import InputError

# An importing workflow may have modules of its own that are called like scripts here.
sys.path.remove(str(SCRIPTS))

if not SCRIPTS.samefile(Path(environment.__file__).parents[1]):
    raise WorkflowError(
        f"{Path(environment.__file__).parents[2]} and {SCRIPTS.parent} are two copies of umap-sweep in one workflow; "
        "import one of them twice."
    )

try:
    SETTINGS = configuration.complete(config, GIVEN)
    # An importing workflow may have a rule that makes the file.
    if not IMPORTED:
        configuration.check_source_exists(SETTINGS)
    CELLS = Paramspace(configuration.cells(SETTINGS), param_sep="=")
    TIMED_CELLS = configuration.timed_cells(SETTINGS, CELLS.dataframe)
    # Every job inherits these, on whichever machine it runs, because its own Snakemake process reads this file.
    # The claims compare a k-NN by one job with one by two, whatever the sweep's own takes.
    environment.hold(max(SETTINGS["knn"]["n_jobs"], 2), SETTINGS["cpu"])
except InputError as error:
    raise WorkflowError(f"{__name__}: {error}" if IMPORTED else str(error)) from None

DATASET = SETTINGS["dataset"]

# What turns the text of a cell's wildcards back into values.
KEY_TYPES = {name: type(value) for name, value in CELLS.dataframe.head(1).to_dict("records")[0].items()}

# What results depend on beside their own parameters. As params of the stages they make Snakemake see a change.
HELD = {name: SETTINGS[name] for name in ("cpu", "blas_threads")}

# Library versions too: a sweep of several environments is none. Packages that jobs get from conda need not be here.
VERSIONS = environment.versions()

# The key of Snakemake's cache between workflows has the content of files that are there from the start. Of one that an
# importing workflow makes it has no more than how, and code of a `run` or a package is not part of that.
PINNED = not IMPORTED or all(
    "path" not in one or "sha256" in one for one in (*SETTINGS["datasets"].values(), SETTINGS["knn"])
)

# Whether data and k-NN may come from that cache.
CACHED = workflow.workflow_settings.cache is not None and "SNAKEMAKE_OUTPUT_CACHE" in os.environ and PINNED

# A stage's key is its folder. The method is not part of the cells' folders, which users read as partitions.
KNN = "knn_k={knn_k}/knn_seed={knn_seed}/knn_jobs={knn_jobs}"
DATA_FILE = "results/{dataset}/data/data.parquet"
KNN_FILE = f"results/{{dataset}}/knn/metric={{metric}}/method={SETTINGS['knn']['method']}/{KNN}/knn.parquet"
GRAPH_FOLDER = f"results/{{dataset}}/graph/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}"
# What all min_dist of one graph and seed share, a row of the grid.
GRID_ROW = f"metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}/seed={{seed}}"
INITIAL_LAYOUT_FILE = f"results/{{dataset}}/initial_layout/{GRID_ROW}/initial_layout.parquet"
EMBEDDING_FILE = f"results/{{dataset}}/embeddings/{CELLS.wildcard_pattern}/embedding.parquet"
HIGH_DIMENSIONAL_FOLDER = "results/{dataset}/high_dimensional/metric={metric}"
# By rows of the grid, because a cell's metrics take about as long as the start of a job.
POINTS_FILE = f"results/{{dataset}}/points/{GRID_ROW}/points.parquet"
NEIGHBORS_FILE = f"results/{{dataset}}/neighbors/{GRID_ROW}/neighbors.parquet"
CELL_METRICS_FILE = f"results/{{dataset}}/metrics/{GRID_ROW}/metrics.parquet"
# What the seeds of one n_neighbors and min_dist share.
SEEDS = "metric={metric}/knn_k={knn_k}/knn_jobs={knn_jobs}/n_neighbors={n_neighbors}/min_dist={min_dist}"
STABILITY_FILE = f"results/{{dataset}}/stability/{SEEDS}/points.parquet"
SEED_PAIRS_FILE = f"results/{{dataset}}/seed_pairs/{SEEDS}/pairs.parquet"
EMBEDDING_BENCHMARK = f"results/{{dataset}}/benchmarks/embeddings/{CELLS.wildcard_pattern}.tsv"
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
    arm=r"[a-z_]+",


def source(wildcards):
    return SETTINGS["datasets"][wildcards.dataset]


def source_file(wildcards):
    """The user's own file, so that a changed one is fetched again; other sources have no input."""
    return own_file(source(wildcards))


def own_file(settings):
    """The `path` of a data set or a k-NN, if it has one.

    As a local file it is in the folder the sweep runs in, whatever prefix an importing workflow gives to the results.
    """
    return local(settings["path"]) if "path" in settings else []


def anndata_file(wildcards):
    """The user's own AnnData file, if the data set to sweep is from one."""
    own = SETTINGS["datasets"][DATASET]
    return own_file(own) if own["source"] == "anndata" else []


def imported_knn(wildcards):
    """The file of a k-NN that was made elsewhere."""
    return own_file(SETTINGS["knn"])


def provenance(wildcards, output):
    """What a stage depends on beside its input, script and other params, for the key of the cache between workflows.

    Made from the output, as Snakemake sees it, it is no reason to run a job again.
    """
    return environment.provenance() if CACHED else None


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
    return cell_key({name: convert(wildcards[name]) for name, convert in KEY_TYPES.items()})


def embedding_keys(wildcards):
    return [cell_key(cell) for cell in CELLS.dataframe.to_dict("records")]


def one_a_cell(pattern, cells):
    """The files of one stage, one for each cell, in their order; cells may share them."""
    return expand(pattern, zip, dataset=[DATASET] * len(cells), **cells)


def of_cells(pattern, cells):
    """The files of one stage, each once, in the order of the cells."""
    return list(dict.fromkeys(one_a_cell(pattern, cells)))


def embeddings(wildcards):
    return of_cells(EMBEDDING_FILE, CELLS.dataframe)


def neighbors(wildcards):
    return one_a_cell(NEIGHBORS_FILE, CELLS.dataframe)


@cache
def cells_by(names):
    """The cells that are alike in these wildcards, by their text."""
    groups = CELLS.dataframe.groupby(list(names), sort=False)
    return {tuple(map(str, key)): cells for key, cells in groups}


def cells_of(wildcards):
    """The cells that a job's wildcards leave open: a row of the grid, or the seeds of one n_neighbors and min_dist."""
    names = tuple(name for name in KEY_TYPES if name in wildcards.keys())
    return cells_by(names)[tuple(wildcards[name] for name in names)]


def embeddings_of(wildcards):
    return of_cells(EMBEDDING_FILE, cells_of(wildcards))


def keys_of(wildcards):
    return [cell_key(cell) for cell in cells_of(wildcards).to_dict("records")]


def neighbors_of_seeds(wildcards):
    return of_cells(NEIGHBORS_FILE, cells_of(wildcards))


def cells_with_seeds():
    """The cells of every n_neighbors and min_dist that has several seeds."""
    return CELLS.dataframe[CELLS.dataframe.duplicated(["knn_k", "n_neighbors", "min_dist"], keep=False)]


def has_neighboring_cells():
    cells = CELLS.dataframe
    return any(cells.duplicated(["knn_seed", "seed", axis]).any() for axis in ("n_neighbors", "min_dist"))


def seed_pairs(wildcards):
    return of_cells(SEED_PAIRS_FILE, cells_with_seeds())


def cell_metrics(wildcards):
    return one_a_cell(CELL_METRICS_FILE, CELLS.dataframe)


def embedding_benchmarks(wildcards):
    return of_cells(EMBEDDING_BENCHMARK, CELLS.dataframe)


def all_stages(wildcards):
    return [path for pattern in STAGE_FILES for path in of_cells(pattern, CELLS.dataframe)]


def again(pattern):
    """Where `verify` puts what it computes once more."""
    return pattern.replace("results/{dataset}/", "results/{dataset}/verify/", 1)


def stored_download(wildcards, output):
    """The folder of raw downloads that the stored data came from; `verify` needs no network."""
    return str(Path(output[0]).parents[2] / "data" / "download")


def cells_to_verify():
    """All cells or the seeded sample."""
    count = SETTINGS["verify"]["cells"]
    cells = CELLS.dataframe
    return cells if count == "all" else cells.sample(min(count, len(cells)), random_state=0)


def longest_first(wildcards):
    """More neighbours take longer. What takes longest starts first, so that no core waits for it in the end."""
    return int(wildcards.n_neighbors)


def longest_first_of_graphs(wildcards):
    """Layouts wait for graphs, so these come before any layout."""
    return longest_first(wildcards) + max(CELLS.dataframe["n_neighbors"])


@cache
def last_places(names):
    """The place of the last cell with the same text of these wildcards, in the order in which a sweep starts cells."""
    cells = CELLS.dataframe.sort_values("n_neighbors", ascending=False, kind="stable")[list(names)]
    return {tuple(map(str, key)): place for place, key in enumerate(cells.itertuples(index=False, name=None))}


def last_cells_first(wildcards):
    """Priority of a job that computes a stage once more: whole cells, and those last that a sweep starts first."""
    names = tuple(name for name in KEY_TYPES if name in wildcards.keys())
    return last_places(names)[tuple(wildcards[name] for name in names)]


# The inputs by which a job's size is told; of several the first.
SIZED_BY = ("data", "knn", "embedding", "embeddings", "sweep")

# A cluster that takes a rule's jobs as one array gives all of them what the first asks for, and which one that is, is
# left to chance: so each asks for what the widest of the sweep takes.
WIDEST = {name: int(CELLS.dataframe[name].max()) for name in ("n_neighbors", "knn_k")}


@cache
def stored_size(path, changed):
    """Rows of a stored table as it was at that time, and the dimensions of the data where it is the data set."""
    try:
        metadata = parquet.read_metadata(path)
    except (ArrowException, OSError):
        return 0, 0  # the job itself says what is wrong with the file
    schema = metadata.schema.to_arrow_schema()
    return metadata.num_rows, schema.field("features").type.list_size if "features" in schema.names else 0


def job_size(wildcards, input, neighbors):
    """What a job works on, by its input files. Where they are still missing Snakemake leaves its resources open."""
    files = {name: [file] if isinstance(file, str) else file for name, file in input.items()}
    sizes = {
        name: stored_size(file[0], os.stat(file[0]).st_mtime_ns)
        for name, file in files.items()
        if file and name in (*SIZED_BY, "edges")
    }
    rows, dimensions = next((sizes[name] for name in SIZED_BY if name in sizes), (0, 0))
    compared = SETTINGS["metrics"]
    own = {name: int(wildcards[name]) for name in WIDEST if name in wildcards.keys()}
    widest = {name: max(width, WIDEST[name]) for name, width in own.items()}
    return resources.Size(
        rows=rows,
        dimensions=dimensions,
        neighbors=widest.get(neighbors, 0),
        # Of more neighbours (the row itself is one) more are mutual, so that there are fewer edges for each of them.
        edges=sizes.get("edges", (0, 0))[0] * (widest.get("n_neighbors", 2) - 1) // (own.get("n_neighbors", 2) - 1),
        points=rows * len(files.get("embeddings", [None])),
        compared=measures.compared_rows(rows, compared["full_up_to"], compared["sample"]),
    )


def memory_of(job, neighbors="knn_k"):
    """A rule's `mem_mb`, from the size of its input; twice as much when a job is tried again, as it may have lacked it."""

    def mem_mb(wildcards, input, attempt):
        return resources.asked_memory_mb(job, job_size(wildcards, input, neighbors), attempt)

    return mem_mb


def minutes_of(job, neighbors="knn_k"):
    """A rule's `runtime`, likewise."""

    def runtime(wildcards, input, attempt):
        return resources.asked_minutes(job, job_size(wildcards, input, neighbors), attempt)

    return runtime


def fetch_mem_mb(wildcards, input, attempt):
    """How large a data set is, is known when it has been fetched; a packed file may hold many times its size."""
    return doubling(2000 + 4 * int(input.size_mb))(wildcards, attempt)


def doubling(amount):
    """A resource that does not grow with the data, or not in a way that is known; twice as much at each new try."""

    def resource(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return resource


def recomputed_stages(wildcards):
    return [path for pattern in STAGE_FILES for path in of_cells(again(pattern), cells_to_verify())]


def verify_folder(wildcards, input):
    """Where the recomputed stages are, with the prefix that an importing workflow gives; the first one is the data."""
    return str(Path(input[0]).parents[1])


def stages_to_verify(wildcards, input):
    folder = Path(verify_folder(wildcards, input))
    return [str(folder.parent / Path(path).relative_to(folder)) for path in input]


def figures():
    """The grid figures by name: one for each pair of k-NN seed and UMAP seed, the first is plain `grid`."""
    pairs = dict.fromkeys(zip(CELLS.dataframe["knn_seed"], CELLS.dataframe["seed"]))
    names = ["grid", *(f"grid_knn_seed={knn_seed}_seed={seed}" for knn_seed, seed in list(pairs)[1:])]
    return dict(zip(names, pairs))


def figure_knn_seed(wildcards):
    return int(figures()[wildcards.figure][0])


def figure_seed(wildcards):
    return int(figures()[wildcards.figure][1])


def comparisons():
    """The tables that compare cells, as far as the grid has what they compare."""
    folder = f"results/{DATASET}"
    tables = {"metrics": f"{folder}/metrics.parquet"}
    if has_neighboring_cells():
        tables["neighboring_cells"] = f"{folder}/neighboring_cells.parquet"
    if len(cells_with_seeds()):
        tables["stability"] = f"{folder}/stability.parquet"
    return tables


def compared(wildcards):
    """What the short list is made from."""
    return {name: path for name, path in comparisons().items() if name != "neighboring_cells"}


def changes(wildcards):
    """What the figure of the changes is made from."""
    return {name: path for name, path in comparisons().items() if name != "metrics"}


def stability_points(wildcards):
    return of_cells(STABILITY_FILE, cells_with_seeds())


def cells_with_stability():
    """n_neighbors and min_dist of each of `stability_points`."""
    columns = ["metric", "knn_k", "knn_jobs", "n_neighbors", "min_dist"]
    cells = cells_with_seeds()[columns].drop_duplicates()
    return list(zip(cells["n_neighbors"].tolist(), cells["min_dist"].tolist()))


def seeds_drawn():
    """The k-NN seed and the UMAP seed that most cells with several seeds have; of these the first."""
    pairs = cells_with_seeds().groupby(["knn_seed", "seed"], sort=False).size()
    return tuple(map(int, pairs.idxmax())) if len(pairs) else (None, None)


def comparing_figures():
    """The figures that compare cells, as far as the grid has what they compare."""
    figures = {"metrics": "metrics", "neighboring_cells": "changes", "stability": "stability"}
    names = [figure for table, figure in figures.items() if table in comparisons()]
    return [*names, *(["instability"] if "stability" in names else [])]


def widest_knn(wildcards):
    """The k-NN whose neighbours the atlas shows: the widest, and the first seed of several."""
    return of_cells(KNN_FILE, CELLS.dataframe.nlargest(1, "knn_k"))[0]


# The template, the style, and the scripts in the order in which they use each other.
ATLAS_PAGE = [
    workflow.source_path(f"../../scripts/atlas_page/{name}")
    for name in (
        *("page.html", "atlas.css"),
        *("painter.js", "data.js", "state.js", "drawing.js", "page.js", "saving.js", "controls.js"),
    )
]


def comparisons_in_atlas(wildcards):
    """What the atlas shows of the cells beside their points, as far as the grid has it."""
    return {
        "metrics": comparisons()["metrics"],
        "recall": one_a_cell(POINTS_FILE, CELLS.dataframe),
        "instability": stability_points(wildcards),
    }


def copied_settings():
    """The configuration of every cell apart from its grid, for the atlas to hand out; defaults of `umap` are left out."""
    defaults = configuration.complete({**config, "umap": {}}, GIVEN)["umap"]
    umap = {name: value for name, value in SETTINGS["umap"].items() if value != defaults[name]}
    return {
        "dataset": DATASET,
        "datasets": {DATASET: SETTINGS["datasets"][DATASET]},
        "knn": SETTINGS["knn"],
        **({"umap": umap} if umap else {}),
        **HELD,
    }


def targets(wildcards):
    folder = f"results/{DATASET}"
    return [
        f"{folder}/sweep.parquet",
        f"{folder}/manifest.json",
        *comparisons().values(),
        f"{folder}/shortlist.parquet",
        *(f"{folder}/plots/{name}.png" for name in (*figures(), *comparing_figures())),
        f"{folder}/atlas.html",
    ]


def timed(cells):
    """What the arms of `timing` need to know of cells."""
    return cells[["n_neighbors", "min_dist", "seed", "knn_seed", "knn_k"]].to_dict("records")


def timing_arms(wildcards):
    return [f"results/{wildcards.dataset}/timing/{arm}.parquet" for arm in SETTINGS["timing"]["arms"]]


def say_where_to_look():
    folder = Path("results") / DATASET
    # After other targets it would hide what they have to say.
    if set(workflow.dag_settings.targets) <= {"all"} and (folder / "shortlist.csv").exists():
        print("Cells that no other beats:")
        with (folder / "shortlist.csv").open(newline="", encoding="utf-8") as file:
            for cell in csv.DictReader(file):
                print(f"  n_neighbors {cell['n_neighbors']}, min_dist {cell['min_dist']}: {cell['reason']}")
    if (folder / "plots" / "grid.png").exists():
        print(f"Look at {folder}/plots/grid.png, read {folder}/sweep.parquet.")
    if (folder / "atlas.html").exists():
        print(f"Explore {(folder / 'atlas.html').resolve().as_uri()}")
