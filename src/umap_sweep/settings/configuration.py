"""The configuration as a run uses it: checked, and completed with the defaults of the schema."""

from __future__ import annotations

import glob
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from umap_sweep import environment
from umap_sweep.errors import InputError
from umap_sweep.settings import preparations
from umap_sweep.settings.schema import check, defaults, nearest, schema, source, typed

# The keywords of umap-learn's metrics that a configuration can hold: those that are single numbers.
METRIC_KEYWORDS = {"minkowski": {"p"}}

# What is computed in arithmetic that no CPU changes: umap-learn's names of metrics, and starts, the default first. An
# imported k-NN has the bits of its file, whatever its metric.
PORTABLE_METRICS = (
    *("euclidean", "l2", "manhattan", "l1", "taxicab", "cosine", "correlation", "hamming", "jaccard", "dice"),
    *("chebyshev", "linf", "linfty", "linfinity", "canberra", "braycurtis"),
)
PORTABLE_INITS = ("spectral_lean", "random")

# The files that a k-NN can be imported from.
IMPORTED_SUFFIXES = (".npz", ".parquet", ".h5ad")

# Parameters of UMAP that say something only where another one is set, and how to set that.
SWITCHED = (
    ("target", ("target_metric", "target_weight"), "name a target"),
    ("densmap", ("dens_lambda", "dens_frac", "dens_var_shift"), "set it to true"),
)

# umap-learn's functions of these metrics change the rows that they are given.
CHANGING_METRICS = ("symmetric_kl",)

# The fewest epochs of a fit of which a third is an epoch.
LEAST_EPOCHS = 3

# By so many seconds the clocks of two machines, or of a machine and its file server, may differ unnoticed.
SECONDS_OFF = 5


def complete(
    config: Mapping[str, Any], given: Mapping[str, Any] | None = None, typed_in: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Check a configuration and fill in the defaults of its optional keys.

    Parameters
    ----------
    config : mapping
        As Snakemake has merged it.
    given : mapping, optional
        What the user gave, before it was merged over the defaults. A data set of the user's replaces a default of the
        same name entirely, and a table of cells replaces the default grid.
    typed_in : mapping, optional
        What of it is from the command line, whose numbers may be texts. There a table of cells replaces the lists of a
        file, and lists replace the table of a file.

    Returns
    -------
    dict
        The same with every key present, but for those of `umap` that are not used, and with the k-NN's seeds as a list.

    Raises
    ------
    InputError
        For the first wrong value; the message names the key, the value and what is allowed.
    """
    settings: dict[str, Any] = _plain(config)
    _replace_whole(settings, given or {}, typed_in or {})
    check(typed(settings, typed_in) if typed_in else settings)

    properties = schema()["properties"]
    settings = defaults(schema()) | {"cpu": environment.default_cpu()} | settings
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
    _add_new_rows(settings)
    _resolve_subsets(known)
    _find_files(known)
    for name, data_set in settings["datasets"].items():
        if "layer" in data_set and "obsm" in data_set:
            raise InputError(
                f"datasets.{name} has both a layer and an obsm; give one of the two, or neither to take X."
            )
        settings["datasets"][name] = defaults(source(data_set["source"])) | data_set
    _check_annotations(settings)
    _check_colour(settings)
    settings["knn"]["seed"] = as_list(settings["knn"]["seed"])
    _check_metric_keywords(settings)
    _check_imported(settings["knn"])
    _leave_out_unused(settings["umap"], _mapping(config.get("umap")))
    _take_axes_from_grid(settings, _mapping(config.get("umap")))
    _check_target(settings)
    _check_transform(settings)
    preparations.complete(settings)
    _add_derived(settings)
    if settings["cpu"] == environment.PORTABLE:
        _check_portable(settings, _mapping(config.get("umap")), _mapping(config.get("transform")))
    return settings


def check_sources(settings: Mapping[str, Any], now: float | None = None) -> None:
    """Raise an `InputError` where data to sweep, its annotations or a k-NN to bring in are files that cannot be used.

    Parameters
    ----------
    settings : mapping
        From `complete`.
    now : float, optional
        Seconds since the epoch. Files that were changed later, which none that is made from them could be newer than,
        are refused beside those that are not there.
    """
    paths: dict[str, Any] = {"knn.path": settings["knn"].get("path")}
    new = settings["transform"].get("dataset")
    for name in dict.fromkeys(
        whole_first(settings, settings["dataset"]) + ([] if new is None else whole_first(settings, new))
    ):
        data_set, key = settings["datasets"][name], f"datasets.{name}"
        key = "transform.source" if name == new == new_rows_of(settings["dataset"]) else key
        paths |= {f"{key}.path": data_set.get("path"), f"{key}.ids.path": data_set.get("ids", {}).get("path")}
        for place, entry in enumerate(data_set.get("annotations", [])):
            if not isinstance(entry, str):
                paths[f"{key}.annotations.{place}.path"] = entry["path"]
    for key, path in [(key, one) for key, paths_of_key in paths.items() for one in as_list(paths_of_key)]:
        if path is not None and not Path(path).is_file():
            what = "which no file fits" if glob.has_magic(path) else "which is not a file"
            raise InputError(f"{key} is '{path}', {what}; give its path from the folder the sweep runs in.")
        if path is not None and now is not None and Path(path).stat().st_mtime > now + SECONDS_OFF:
            changed = datetime.fromtimestamp(Path(path).stat().st_mtime).isoformat(" ", "seconds")
            raise InputError(
                f"{key} is '{path}', which was changed at {changed}, later than now by this machine's clock; "
                f"set the clock right, or give the file the time of now: touch {shlex.quote(str(path))}"
            )


def check_written(path: str | Path) -> None:
    """Raise an `InputError` where a file of configuration has a key twice, of which YAML would take the last alone.

    Parameters
    ----------
    path : str or Path
        YAML, or JSON. What is neither, and what YTE makes by conditions, is not looked at.
    """
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return  # Snakemake has refused it, or reads it by another way
    repeated = next(_repeated_keys(root, ()), None)
    if repeated is not None:
        key, first, second = repeated
        raise InputError(
            f"{path} has {key} twice, in lines {first} and {second}, and only the second would count; keep one of them."
        )


def _repeated_keys(node: yaml.Node | None, place: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Yield each key that a mapping in a YAML file has twice, with the lines of both.

    What an alias stands for begins before it, and is looked at where it is written, because it may hold the alias.
    """
    if isinstance(node, yaml.SequenceNode):
        for number, one in enumerate(node.value):
            if one.start_mark.index > node.start_mark.index:
                yield from _repeated_keys(one, (*place, str(number)))
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    if not place and any(key.value == "__use_yte__" for key, _ in node.value):
        return
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in lines:
            yield ".".join((*place, key.value)), lines[key.value], line
        lines[key.value] = line
        if value.start_mark.index > key.start_mark.index:
            yield from _repeated_keys(value, (*place, key.value))


def _replace_whole(config: dict[str, Any], given: Mapping[str, Any], typed_in: Mapping[str, Any]) -> None:
    """Drop the defaults that Snakemake has merged with what replaces them: a data set, or a table of cells."""
    for name, dataset in _mapping(given.get("datasets")).items():
        if "source" in _mapping(dataset):
            config["datasets"][name] = _plain(dataset)
    grid, typed_grid = _mapping(given.get("grid")), _mapping(typed_in.get("grid"))
    if "table" not in grid:
        return
    axes = [axis for axis in ("n_neighbors", "min_dist") if axis in grid]
    if "table" not in typed_grid and any(axis in typed_grid for axis in axes):
        del config["grid"]["table"]
        return
    if axes and ("table" not in typed_grid or any(axis in typed_grid for axis in axes)):
        raise InputError(
            f"grid has both a table and {' and '.join(axes)}; give one of the two: remove the table, or these lists."
        )
    for axis in ("n_neighbors", "min_dist"):
        config["grid"].pop(axis, None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _find_files(known: dict[str, dict[str, Any]]) -> None:
    """Put the files that fit a pattern in its place, sorted by path, and leave patterns that none fits.

    Raises
    ------
    InputError
        Where a file is named twice, whose rows would be there twice.
    """
    for name, data_set in [(name, one) for name, one in known.items() if one["source"] == "file"]:
        found: list[str] = []
        for path in as_list(data_set["path"]):
            is_pattern = glob.has_magic(path) and not Path(path).exists()
            fitting = (
                sorted(one for one in glob.glob(path, recursive=True) if Path(one).is_file()) if is_pattern else []
            )
            found += fitting or [path]
        counts = Counter(os.path.normpath(one) for one in found)
        if twice := [path for path, count in counts.items() if count > 1]:
            raise InputError(
                f"datasets.{name}.path names the file {twice[0]} twice, so that its rows would count twice; name it "
                f"once, or narrow the pattern that it fits."
            )
        data_set["path"] = found[0] if len(found) == 1 else found


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


def whole_first(settings: Mapping[str, Any], name: str) -> list[str]:
    """Return a data set and, where it is a subset, those that it is of, the whole one first."""
    names = [name]
    while settings["datasets"][names[0]]["source"] == "subset":
        names.insert(0, settings["datasets"][names[0]]["of"])
    return names


def nulls_of(dataset: str, count: int) -> list[str]:
    """Return the names of the data sets that are a data set with the values of each column permuted, each anew."""
    return [f"{dataset}_null{f'_{number}' if number > 1 else ''}" for number in range(1, count + 1)]


def subsamples_of(dataset: str, count: int) -> list[str]:
    """Return the names of the data sets that are a data set without a tenth of its rows, one for each draw of them."""
    return [f"{dataset}_without_{draw}" for draw in range(1, count + 1)]


def new_rows_of(dataset: str) -> str:
    """Return the name of the data set that `transform.source` describes."""
    return f"{dataset}_new"


def _add_new_rows(settings: dict[str, Any]) -> None:
    """Make `transform.source` a data set of its own, which `transform.dataset` names from then on."""
    transform, known, name = settings["transform"], settings["datasets"], new_rows_of(settings["dataset"])
    if "source" in transform:
        if "dataset" in transform:
            raise InputError("transform has both a source and a dataset; give one of the two.")
        if name in known:
            raise InputError(
                f"datasets has '{name}', the name that transform.source takes; rename it, or give transform.dataset."
            )
        known[name] = transform.pop("source")
        transform["dataset"] = name
    elif "dataset" in transform and transform["dataset"] not in known:
        given = transform["dataset"]
        raise InputError(
            f"transform.dataset is '{given}', which is not under datasets; known are {', '.join(known)}"
            f"{nearest(given, known)}."
        )


def _check_transform(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where new rows cannot be placed, as far as the configuration tells."""
    transform, knn, n_epochs = settings["transform"], settings["knn"], settings["umap"]["n_epochs"]
    if "dataset" not in transform:
        if "cell" in transform:
            raise InputError("transform has neither a source nor a dataset; say where the new rows are.")
        return
    if transform["dataset"] == settings["dataset"]:
        raise InputError(
            f"transform.dataset is {settings['dataset']}, the data to sweep, whose rows are on the cell; name others."
        )
    if knn["method"] == "imported":
        raise InputError(
            "transform places new rows by their distances to the stored ones, and how those of an imported k-NN were "
            "measured is not known; set another knn.method, or remove transform."
        )
    if knn["metric"] in CHANGING_METRICS:
        raise InputError(
            f"transform cannot take knn.metric {knn['metric']}: umap-learn's function of it changes the rows that it "
            f"compares, so that a new row's place depends on those before it; set another metric, or remove transform."
        )
    if settings["umap"].get("densmap"):
        raise InputError(
            "transform places no new rows by densMAP, because umap-learn does not; set umap.densmap to false, "
            "or remove transform."
        )
    if n_epochs is not None and n_epochs < LEAST_EPOCHS:
        raise InputError(
            f"umap.n_epochs is {n_epochs}, of which umap-learn takes a third to place new rows, rounded down: none; "
            f"set {LEAST_EPOCHS} or more, or remove transform."
        )


def _add_derived(settings: dict[str, Any]) -> None:
    """Add the data sets that are made from the one to sweep; their sources are none that a user can give."""
    dataset, choose, knn = settings["dataset"], settings["choose"], settings["knn"]
    derived: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for seed, name in enumerate(nulls_of(dataset, choose["permutations"] if choose["null"] else 0)):
        derived[name] = "null", "its permuted columns", {"source": "permuted", "seed": seed}
    # A plain UMAP computes its k-NN at its own n_neighbors, which the job of that k-NN checks.
    k = {} if knn["method"] == "plain" else {"k": knn["n_neighbors"]}
    for seed, name in enumerate(subsamples_of(dataset, choose["leave_out"]), 1):
        derived[name] = "leave_out", "nine tenths of its rows", {"source": "subsample", "seed": seed, **k}
    for name, (key, what, source_of_derived) in derived.items():
        off = "0" if key == "leave_out" else "false"
        if name in settings["datasets"]:
            raise InputError(
                f"datasets has '{name}', the name that choose.{key} takes for {dataset} with {what}; rename it, or set "
                f"choose.{key} to {off}."
            )
        if knn["method"] == "imported":
            raise InputError(
                f"choose.{key} is {str(choose[key]).lower()}, but knn.method is imported, and an imported k-NN is of "
                f"the data, not of {what}; set another method, or choose.{key} to {off}."
            )
        settings["datasets"][name] = source_of_derived | {"of": dataset}


def _check_annotations(settings: Mapping[str, Any]) -> None:
    """Check which annotations are drawn, as far as the configuration says which ones there are."""
    for name in settings["plot"]["annotations"]:
        _check_annotation(settings, "plot.annotations has", name)


def _check_colour(settings: Mapping[str, Any]) -> None:
    """Call a label that colours the figure of a cell what it is called where it is stored, and check an annotation."""
    figure, dataset = settings["figure"], settings["dataset"]
    if figure["color_by"] == _label_of(settings["datasets"], dataset):
        figure["color_by"] = None if figure["color_by"] is None else "label"
    elif figure["color_by"] not in ("label", None):
        _check_annotation(settings, "figure.color_by is", figure["color_by"])


def _check_annotation(settings: Mapping[str, Any], said: str, name: str) -> None:
    """Raise an `InputError` where the configuration says which annotations there are, and this is none of them."""
    known: list[str] = []
    for entry in [
        one
        for of in whole_first(settings, settings["dataset"])
        for one in settings["datasets"][of].get("annotations", [])
    ]:
        if not isinstance(entry, str) and "columns" not in entry:
            return  # all of a file's, which are known when it is read
        known += [entry] if isinstance(entry, str) else entry["columns"]
    if name not in known:
        has = f"known are {', '.join(known)}{nearest(name, known)}" if known else "it has none"
        raise InputError(f"{said} '{name}', which is no annotation of {settings['dataset']}; {has}.")


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


def _leave_out_unused(umap: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Leave out the parameters that no key holds where they are not used (`umap_sweep.lineage.WHERE_USED`).

    Raises
    ------
    InputError
        Where one is given that means nothing without another.
    """
    if umap["disconnection_distance"] is None:
        del umap["disconnection_distance"]
    for switch, of_it, remedy in SWITCHED:
        if umap[switch]:
            continue
        for name in of_it:
            if name in given:
                raise InputError(
                    f"umap.{name} is {given[name]!r}, which means nothing without umap.{switch}; {remedy}, or remove "
                    f"the key."
                )
            del umap[name]
        del umap[switch]


def _take_axes_from_grid(settings: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Leave out the parameters of UMAP that the grid has as axes, and write their values as numbers with a point.

    Raises
    ------
    InputError
        Where one is given in both places, or means nothing without another.
    """
    umap, grid = settings["umap"], settings["grid"]
    for switch, of_it, remedy in SWITCHED:
        for name in of_it:
            if name not in grid:
                continue
            if name in given:
                raise InputError(
                    f"grid has {name}, and umap.{name} is {given[name]!r}; give one of the two: the list in grid, or "
                    f"one value for all cells in umap."
                )
            if switch not in umap:
                raise InputError(
                    f"grid.{name} is {grid[name]!r}, which means nothing without umap.{switch}; {remedy}, or remove "
                    f"the key."
                )
            del umap[name]
            grid[name] = [float(value) for value in as_list(grid[name])]


def _check_target(settings: Mapping[str, Any]) -> None:
    """Call a label that a run is supervised by what it is called where it is stored, and check the target's name."""
    umap, dataset = settings["umap"], settings["dataset"]
    if "target" not in umap:
        return
    if umap["target"] == _label_of(settings["datasets"], dataset):
        umap["target"] = "label"
    if umap["target"] != "label":
        _check_annotation(settings, "umap.target is", umap["target"])


def _check_portable(settings: dict[str, Any], given: Mapping[str, Any], given_new_rows: Mapping[str, Any]) -> None:
    """Take the start that `cpu: portable` has where none is given, and refuse what it does not have."""
    knn, umap = settings["knn"], settings["umap"]
    if "init" not in given:
        umap["init"] = PORTABLE_INITS[0]
    transform, new_rows = "transform.dataset", settings["transform"].get("dataset")
    if new_rows == new_rows_of(settings["dataset"]) and "source" in given_new_rows:
        transform, new_rows = "transform.source", "given"
    refused = [
        ("knn.metric", knn["metric"], knn["metric"] in PORTABLE_METRICS, f"use one of {', '.join(PORTABLE_METRICS)}"),
        ("knn.method", knn["method"], knn["method"] != "plain", "use auto, exact or nn-descent"),
        ("umap.init", umap["init"], umap["init"] in PORTABLE_INITS, f"use {' or '.join(PORTABLE_INITS)}"),
        ("umap.target", umap.get("target"), "target" not in umap, "remove the key"),
        ("umap.densmap", True, "densmap" not in umap, "remove the key"),
        ("grid.preparation", ", ".join(preparations.used(settings)), not preparations.used(settings), "prepare before"),
        (transform, new_rows, new_rows is None, "remove the section transform"),
    ]
    for key, value, allowed, remedy in refused:
        if not allowed:
            raise InputError(
                f"{key} is {value}, which cpu portable does not have, because its bits would differ between CPUs; "
                f"{remedy}, or set another cpu."
            )


def _plain(value: Any) -> Any:
    """Copy a configuration into plain dicts and lists, which may then be changed, and dates as they were written.

    YAML reads the key of `choose: {null: true}` as no text but as its null.
    """
    if isinstance(value, Mapping):
        return {"null" if key is None else key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    # YAML makes a date of text such as 2024-05-01, which a value or a name in the data may be.
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


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
        **({"preparation": settings["preparation"]} if preparations.used(settings) else {}),
        **({"umap": umap} if umap else {}),
        "cpu": settings["cpu"],
        "blas_threads": settings["blas_threads"],
    }
