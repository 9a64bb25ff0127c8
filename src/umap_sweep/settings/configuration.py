"""The configuration as a run uses it: checked, and completed with the defaults of the schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from umap_sweep.errors import InputError
from umap_sweep.settings.schema import check, defaults, nearest, schema, source, typed

# The keywords of umap-learn's metrics that a configuration can hold: those that are single numbers.
METRIC_KEYWORDS = {"minkowski": {"p"}}

# The files that a k-NN can be imported from.
IMPORTED_SUFFIXES = (".npz", ".parquet", ".h5ad")


def complete(
    config: Mapping[str, Any], given: Mapping[str, Any] | None = None, typed_in: Collection[str] = ()
) -> dict[str, Any]:
    """Check a configuration and fill in the defaults of its optional keys.

    Parameters
    ----------
    config : mapping
        As Snakemake has merged it.
    given : mapping, optional
        What the user gave, before it was merged over the defaults. A data set of the user's replaces a default of the
        same name entirely, and a table of cells replaces the default grid.
    typed_in : collection of str
        The top-level keys that are from the command line, whose numbers may be texts.

    Returns
    -------
    dict
        The same with every key present, and with the k-NN's seeds as a list.

    Raises
    ------
    InputError
        For the first wrong value; the message names the key, the value and what is allowed.
    """
    settings: dict[str, Any] = _plain(config)
    _replace_whole(settings, given or {})
    check(typed(settings, typed_in) if typed_in else settings)

    properties = schema()["properties"]
    settings = defaults(schema()) | settings
    for section, rule in properties.items():
        if "properties" in rule:
            settings[section] = defaults(rule) | settings.get(section, {})
    if "table" in settings["grid"]:
        for axis in ("n_neighbors", "min_dist"):
            settings["grid"].pop(axis)
    if "neighbors_key" not in config.get("knn", {}):
        settings["knn"].pop("neighbors_key")  # only a k-NN from an .h5ad has one
    known = settings["datasets"]
    for key, name in (("dataset", settings["dataset"]), ("claims.dataset", settings["claims"]["dataset"])):
        if name not in known:
            raise InputError(
                f"{key} is '{name}', which is not under datasets; known are {', '.join(known)}{nearest(name, known)}."
            )
    _resolve_subsets(known)
    for name, data_set in settings["datasets"].items():
        if "layer" in data_set and "obsm" in data_set:
            raise InputError(
                f"datasets.{name} has both a layer and an obsm; give one of the two, or neither to take X."
            )
        settings["datasets"][name] = defaults(source(data_set["source"])) | data_set
    _check_annotations(settings)
    settings["knn"]["seed"] = as_list(settings["knn"]["seed"])
    _check_metric_keywords(settings)
    _check_imported(settings["knn"])
    return settings


def check_source_exists(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where data to sweep, its annotations or a k-NN to bring in are files that are not there."""
    paths = {"knn.path": settings["knn"].get("path")}
    for name in dict.fromkeys([root_of(settings, settings["dataset"]), settings["dataset"]]):
        data_set, key = settings["datasets"][name], f"datasets.{name}"
        paths |= {f"{key}.path": data_set.get("path"), f"{key}.ids.path": data_set.get("ids", {}).get("path")}
        for place, entry in enumerate(data_set.get("annotations", [])):
            if not isinstance(entry, str):
                paths[f"{key}.annotations.{place}.path"] = entry["path"]
    for key, path in paths.items():
        if path is not None and not Path(path).is_file():
            raise InputError(
                f"{key} is '{path}', which is not a file; give its path from the folder the sweep runs in."
            )


def _replace_whole(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Drop the defaults that Snakemake has merged with what replaces them: a data set, or a table of cells."""
    for name, dataset in _mapping(given.get("datasets")).items():
        if "source" in _mapping(dataset):
            config["datasets"][name] = _plain(dataset)
    grid = _mapping(given.get("grid"))
    if "table" in grid:
        for axis in ("n_neighbors", "min_dist"):
            if axis in grid:
                raise InputError(f"grid has both a table and {axis}; give one of the two.")
            config["grid"].pop(axis, None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _resolve_subsets(known: dict[str, dict[str, Any]]) -> None:
    """Check what subsets are of, and call labels what they are called where they are stored: `label`."""
    for name, data_set in known.items():
        line, one = [name], data_set
        while one["source"] == "subset":
            if one["of"] not in known:
                have = ", ".join(known)
                raise InputError(
                    f"datasets.{line[-1]}.of is '{one['of']}', which is not under datasets; "
                    f"known are {have}{nearest(one['of'], known)}."
                )
            if one["of"] in line:
                raise InputError(f"datasets.{name} is a subset of itself, by way of {', '.join(line)}; take it apart.")
            line.append(one["of"])
            one = known[one["of"]]
    for data_set in [one for one in known.values() if one["source"] == "subset"]:
        label = _label_of(known, data_set["of"])
        if "where" in data_set:
            conditions = data_set["where"].items()
            data_set["where"] = {"label" if name == label else name: condition for name, condition in conditions}
        if label is not None and data_set.get("sample", {}).get("by") == label:
            data_set["sample"]["by"] = "label"
        if label is not None and data_set.get("label") == label:
            del data_set["label"]


def _label_of(known: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """Return which column is the label of a data set; of a subset without one, that of what it is a subset of."""
    while known[name]["source"] == "subset" and "label" not in known[name]:
        name = known[name]["of"]
    found: str | None = known[name].get("label")
    return found


def root_of(settings: Mapping[str, Any], name: str) -> str:
    """Return the data set that is no subset which a data set is of, or the data set itself."""
    while settings["datasets"][name]["source"] == "subset":
        name = settings["datasets"][name]["of"]
    return name


def _check_annotations(settings: Mapping[str, Any]) -> None:
    """Check which annotations are drawn, as far as the configuration says which ones there are."""
    names = dict.fromkeys([root_of(settings, settings["dataset"]), settings["dataset"]])
    known: list[str] = []
    for entry in [entry for name in names for entry in settings["datasets"][name].get("annotations", [])]:
        if not isinstance(entry, str) and "columns" not in entry:
            return  # all of a file's, which are known when it is read
        known += [entry] if isinstance(entry, str) else entry["columns"]
    for name in settings["plot"]["annotations"]:
        if name not in known:
            has = f"known are {', '.join(known)}{nearest(name, known)}" if known else "it has none"
            raise InputError(f"plot.annotations has '{name}', which is no annotation of {settings['dataset']}; {has}.")


def _check_metric_keywords(settings: Mapping[str, Any]) -> None:
    metric = settings["knn"]["metric"]
    known = METRIC_KEYWORDS.get(metric, set())
    for name in settings["umap"]["metric_kwds"]:
        if name not in known:
            takes = f"only {', '.join(sorted(known))}" if known else "none"
            raise InputError(f"umap.metric_kwds has '{name}', but the metric {metric} takes {takes}; remove it.")


def _check_imported(knn: dict[str, Any]) -> None:
    """Check the keys of an imported k-NN, and fill in the default of `neighbors_key` for an AnnData file."""
    imported = knn["method"] == "imported"
    if imported and "path" not in knn:
        raise InputError("knn.method is imported, but knn.path is missing; give the file that holds the k-NN.")
    for key in ("path", "neighbors_key"):
        if key in knn and not imported:
            raise InputError(
                f"knn.{key} is '{knn[key]}', but knn.method is {knn['method']}; set the method to imported, "
                f"or remove the key."
            )
    if not imported:
        return
    suffix = Path(knn["path"]).suffix.lower()
    if suffix not in IMPORTED_SUFFIXES:
        raise InputError(f"knn.path is '{knn['path']}'; allowed is a file of {', '.join(IMPORTED_SUFFIXES)}.")
    if suffix == ".h5ad":
        knn.setdefault("neighbors_key", schema()["properties"]["knn"]["properties"]["neighbors_key"]["default"])
    elif "neighbors_key" in knn:
        raise InputError(f"knn.neighbors_key is '{knn['neighbors_key']}', but knn.path is no .h5ad; remove the key.")


def _plain(value: Any) -> Any:
    """Copy a configuration into plain dicts and lists, which may then be changed."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and any other value as a list of one."""
    return value if isinstance(value, list) else [value]


def copied(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the configuration that all cells share, without the grid, for the user to copy.

    Parameters
    ----------
    settings : mapping
        From `complete`. Of its section `umap` only what differs from the defaults is taken.
    """
    usual = defaults(schema()["properties"]["umap"])
    umap = {name: value for name, value in settings["umap"].items() if value != usual[name]}
    return {
        "dataset": settings["dataset"],
        "datasets": {settings["dataset"]: settings["datasets"][settings["dataset"]]},
        "knn": settings["knn"],
        **({"umap": umap} if umap else {}),
        "cpu": settings["cpu"],
        "blas_threads": settings["blas_threads"],
    }
