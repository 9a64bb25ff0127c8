# Takes the configuration's sources; makes what features and rows are read from, and whether they need be read again.
import json
import os
from functools import cache
from pathlib import Path

from umap_sweep.planning import features
from umap_sweep.sources import fetch


def source(wildcards):
    """The data set as the configuration describes it."""
    check_path({"dataset": wildcards.dataset})
    return SETTINGS["datasets"][wildcards.dataset]


def own_file(settings):
    """The `path` of a data set or a k-NN, if it has one, or those of a data set in several files.

    As a local file it is in the folder the sweep runs in, whatever prefix an importing workflow gives to the results.
    """
    path = settings.get("path", [])
    return local(path) if isinstance(path, str) else [local(one) for one in path]


def source_file(wildcards):
    """The user's own file; other sources have no input."""
    return own_file(source(wildcards))


def source_as_it_is(wildcards, output):
    """The same as `source`. Made from the output, as Snakemake sees it, it is no reason to read the features again."""
    return source(wildcards)


@cache
def stored_origin(dataset):
    """Found where a run is planned, and inherited by its jobs' processes, because it may take reading the source."""
    name = f"UMAP_SWEEP_ORIGIN_OF_{with_prefix(DATA_FILE.format(dataset=dataset))}"
    if workflow.is_main_process or name not in os.environ:
        one = SETTINGS["datasets"][dataset]
        found = None
        if "of" not in one or stored_origin(one["of"]) is not None:
            whole = {part: with_prefix(file) for part, file in parent_of(dataset).items()} or None
            files = [with_prefix(file.format(dataset=dataset)) for file in (DATA_FILE, ROWS_FILE)]
            found = features.origin_of_stored(one, one.get("path"), *files, whole)
        os.environ[name] = json.dumps(found)
    return json.loads(os.environ[name])


def features_are_stored(wildcards):
    """Whether the stored features are those that the configured source has now: of the data, and of what is derived."""
    return [stored_origin(name) is not None for name in (DATASET, *DERIVED)]


def origin(wildcards):
    """The settings that the features depend on: as they are stored, where the source still has the same features.

    What else they depend on is a rule's input, which may be made in the same run. They are text, because Snakemake would
    take another order for a change.
    """
    known = stored_origin(wildcards.dataset) or fetch.origin(source(wildcards), None)
    return json.dumps(known["settings"], sort_keys=True)


def with_prefix(path):
    """Where a result is for a process, with the prefix that an importing workflow gives."""
    return workflow.modifier.modify_path(path, "output")


def source_once_more(wildcards):
    """What the features are read from: the user's own file, or the data set that a subset is of, and its list of ids.

    Features are permuted, or rows left out, whatever describes the rows.
    """
    one = source(wildcards)
    ids, parts = one.get("ids"), 1 if one["source"] in fetch.OF_FEATURES else None
    return {
        "source": source_file(wildcards),
        "parent": parent_files(wildcards)[:parts],
        "ids": local(ids["path"]) if ids else [],
    }


def source_of_features(wildcards):
    """The same, so that a changed file is read again, but not where its features are those stored."""
    go_on_after_a_killed_run()
    files, one = source_once_more(wildcards), source(wildcards)
    if stored_origin(wildcards.dataset) is None:
        return files
    if files["source"]:
        files["source"] = ancient(files["source"])
    # A subset is chosen by what describes the rows, which is ignored as long as it chooses the same ones.
    if files["parent"][1:] and rows_stay(one["of"]):
        files["parent"] = [files["parent"][0], ancient(files["parent"][1])]
    return files


def annotation_files(wildcards):
    """The files beside the data set's own that its rows are annotated from."""
    return [local(one["path"]) for one in source(wildcards).get("annotations", []) if not isinstance(one, str)]


def stored_downloads(wildcards, output):
    """The folder of raw downloads that the stored data came from; `verify` needs no network."""
    return str(Path(output[0]).parents[2] / "data" / "download")


def rows_of_imported_knn(wildcards):
    """What names the rows, which an AnnData file's k-NN must agree with; another label is no reason to read it again."""
    is_named = SETTINGS["knn"].get("path", "").lower().endswith(".h5ad")
    return ancient(ROWS_FILE.format(dataset=wildcards.dataset)) if is_named else []


def imported_knn(wildcards):
    """The file of a k-NN that was made elsewhere."""
    return own_file(SETTINGS["knn"])
