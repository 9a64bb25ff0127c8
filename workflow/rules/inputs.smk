# Takes a job's wildcards; makes what it reads: the user's own files, and the files and keys of its cells.
import json
import os
from functools import cache
from pathlib import Path

from umap_sweep.cells.groups import as_records
from umap_sweep.cells.keys import cell_key
from umap_sweep.planning import features
from umap_sweep.sources import fetch


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
    """The user's own file; other sources have no input."""
    return own_file(source(wildcards))


def source_as_it_is(wildcards, output):
    """The same as `source`. Made from the output, as Snakemake sees it, it is no reason to read the features again."""
    return source(wildcards)


@cache
def stored_origin(dataset):
    """Found where a run is planned, and inherited by its jobs' processes, because it may take reading the source."""
    name = f"UMAP_SWEEP_ORIGIN_OF_{dataset}"
    if workflow.is_main_process or name not in os.environ:
        one = SETTINGS["datasets"][dataset]
        files = (
            workflow.modifier.modify_path(file.format(dataset=dataset), "output") for file in (DATA_FILE, ROWS_FILE)
        )
        os.environ[name] = json.dumps(features.origin_of_stored(one, one.get("path"), *files))
    return json.loads(os.environ[name])


def origin(wildcards):
    """What of the source the features depend on: as they are stored, where the source still has the same features."""
    one = source(wildcards)
    known = stored_origin(wildcards.dataset) or fetch.origin(one, one.get("path"))
    # The cache between workflows goes by the content of files, wherever and whenever they were written.
    # As text, because Snakemake would take another order for a change.
    return json.dumps({"settings": known["settings"]} if CACHED else known, sort_keys=True)


def source_of_features(wildcards):
    """The user's own file, so that a changed one is read again, but not where its features are those stored."""
    file = source_file(wildcards)
    return ancient(file) if file and stored_origin(wildcards.dataset) is not None else file


def annotation_files(wildcards):
    """The files beside the data set's own that its rows are annotated from."""
    return [local(one["path"]) for one in source(wildcards).get("annotations", []) if not isinstance(one, str)]


def rows_of_imported_knn(wildcards):
    """What names the rows, which an AnnData file's k-NN must agree with; another label is no reason to read it again."""
    is_named = SETTINGS["knn"].get("path", "").lower().endswith(".h5ad")
    return ancient(ROWS_FILE.format(dataset=wildcards.dataset)) if is_named else []


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


def key_of(wildcards):
    """The key of one cell, in the grid or not."""
    return cell_key({name: CELLS.types[name](wildcards[name]) for name in CELLS.types}, SETTINGS)


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
