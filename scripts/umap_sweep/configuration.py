"""The configuration: checked against its schema, completed with defaults, and turned into the cells of the sweep."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import yaml

from umap_sweep.errors import InputError

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"

# Keywords that the metrics of umap-learn take and a configuration can hold, that is single numbers.
METRIC_KEYWORDS = {"minkowski": {"p"}}

# The files that a k-NN can be imported from.
IMPORTED_SUFFIXES = (".npz", ".parquet", ".h5ad")

# The columns of the cells, in the order in which they become folders.
CELL_COLUMNS = ["metric", "knn_k", "knn_seed", "knn_jobs", "n_neighbors", "min_dist", "seed"]


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 5.0 for a whole number. As part of a path and of a key it would be another one than 5.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def complete(config: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Check a configuration and fill in the defaults of its optional keys.

    Parameters
    ----------
    config : mapping
        As Snakemake has merged it.
    given : mapping, optional
        What the user gave, before it was merged over the defaults. A data set of the user's replaces a default of the
        same name whole, and a table of cells replaces the default grid.

    Returns
    -------
    dict
        The same with every key present; seeds of the k-NN are a list.

    Raises
    ------
    InputError
        For the first wrong value: the key, the value, what is allowed.
    """
    settings = _plain(config)
    _replace_whole(settings, given or {})
    for path, value in _leaves(settings):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{_dotted(path)} is {value}; allowed is a finite number.")
    error = next(_Validator(schema()).iter_errors(settings), None)
    if error is not None:
        raise InputError(_explain(error))

    properties = schema()["properties"]
    for section in ("umap", "claims", "verify", "metrics", "timing", "plot", "atlas"):
        settings[section] = _defaults(properties[section]) | settings.get(section, {})
    known = settings["datasets"]
    for key, name in (("dataset", settings["dataset"]), ("claims.dataset", settings["claims"]["dataset"])):
        if name not in known:
            raise InputError(
                f"{key} is '{name}', which is not under datasets; known are {', '.join(known)}{_nearest(name, known)}."
            )
    for name, source in settings["datasets"].items():
        if "layer" in source and "obsm" in source:
            raise InputError(
                f"datasets.{name} has both a layer and an obsm; give one of the two, or neither to take X."
            )
        settings["datasets"][name] = _defaults(_definition(source["source"])) | source
    for name in ("cpu", "blas_threads"):
        settings.setdefault(name, properties[name]["default"])
    settings["knn"]["seed"] = _as_list(settings["knn"]["seed"])
    _check_metric_keywords(settings)
    _check_imported(settings["knn"])
    return settings


def check_source_exists(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where the data set to sweep, or a k-NN to bring in, is a file that is not there."""
    source = settings["datasets"][settings["dataset"]]
    paths = {f"datasets.{settings['dataset']}.path": source.get("path"), "knn.path": settings["knn"].get("path")}
    for key, path in paths.items():
        if path is not None and not Path(path).is_file():
            raise InputError(
                f"{key} is '{path}', which is not a file; give its path from the folder the sweep runs in."
            )


def _replace_whole(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Undo the merging of keys that exclude each other."""
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


def cells(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the cells of the sweep.

    Parameters
    ----------
    settings : mapping
        From `complete`.

    Returns
    -------
    pandas.DataFrame
        One row a cell; the columns are `CELL_COLUMNS`.

    Raises
    ------
    InputError
        Where the grid's table is unusable, or a cell contradicts the rest of the configuration.
    """
    knn, grid = settings["knn"], settings["grid"]
    if "table" in grid:
        rows = _read_table(Path(grid["table"]), knn["seed"], _as_list(grid.get("seed", [])))
        where = f"grid.table {grid['table']}"
    else:
        missing = [axis for axis in ("n_neighbors", "min_dist", "seed") if axis not in grid]
        if missing:
            raise InputError(f"grid.{missing[0]} is missing; give the grid's three lists, or grid.table.")
        rows = list(itertools.product(knn["seed"], grid["n_neighbors"], grid["min_dist"], _as_list(grid["seed"])))
        where = "grid"
    for _, n_neighbors, min_dist, _ in rows:
        if n_neighbors > knn["n_neighbors"] and knn["method"] != "plain":
            raise InputError(
                f"{where} has n_neighbors {n_neighbors}, more than knn.n_neighbors {knn['n_neighbors']}; "
                f"raise knn.n_neighbors or drop the value."
            )
        if min_dist > settings["umap"]["spread"]:
            raise InputError(
                f"{where} has min_dist {min_dist}, more than umap.spread {settings['umap']['spread']}; "
                f"raise umap.spread or drop the value."
            )
    table = pd.DataFrame(rows, columns=["knn_seed", "n_neighbors", "min_dist", "seed"]).astype({"min_dist": "float64"})
    table["knn_k"] = knn["n_neighbors"]
    if knn["method"] == "plain":
        if knn["n_jobs"] != 1:
            raise InputError(
                f"knn.n_jobs is {knn['n_jobs']}; with knn.method plain it must be 1, because a seeded UMAP uses one."
            )
        # A plain UMAP computes its k-NN at its own n_neighbors, from its own seed.
        table["knn_k"], table["knn_seed"] = table["n_neighbors"], table["seed"]
    table["metric"], table["knn_jobs"] = knn["metric"], knn["n_jobs"]
    if knn["method"] == "imported":
        if len(set(table["knn_seed"])) > 1:
            raise InputError("There are several k-NN seeds, but an imported k-NN is one; give one in knn.seed.")
        # Neither had a part in it.
        table["knn_seed"] = table["knn_jobs"] = 0
    return table[CELL_COLUMNS].drop_duplicates(ignore_index=True)


def timed_cells(settings: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that `timing` runs for umap-learn's arms: those of its columns of the grid.

    Parameters
    ----------
    settings : mapping
        From `complete`.
    table : pandas.DataFrame
        From `cells`.

    Returns
    -------
    pandas.DataFrame
        Some of its rows, or all.

    Raises
    ------
    InputError
        Where the grid has no such column, or an n_neighbors would have no cell.
    """
    columns, known = settings["timing"]["columns"], sorted(set(table["min_dist"]))
    if columns == "all":
        return table
    if isinstance(columns, int):
        # Evenly spread; one alone is the smallest.
        count = min(columns, len(known))
        columns = [known[round(place * (len(known) - 1) / max(count - 1, 1))] for place in range(count)]
    for column in columns:
        if column not in known:
            raise InputError(
                f"timing.columns has min_dist {column}, which is not in the grid; "
                f"known are {', '.join(map(str, known))}."
            )
    sample = table[table["min_dist"].isin(columns)]
    for n_neighbors in table["n_neighbors"]:
        if n_neighbors not in set(sample["n_neighbors"]):
            raise InputError(
                f"timing.columns leaves n_neighbors {n_neighbors} without a cell; add one of its min_dist."
            )
    return sample


def _read_table(path: Path, knn_seeds: Sequence[int], seeds: Sequence[int]) -> list[tuple[int, int, float, int]]:
    if path.suffix not in (".csv", ".tsv"):
        raise InputError(f"grid.table is '{path}'; allowed is a .csv or .tsv file.")
    try:
        table = pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")
    except FileNotFoundError:
        raise InputError(
            f"grid.table '{path}' does not exist; give its path from the folder the sweep runs in."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"grid.table '{path}' cannot be read: {error}. Write one row a cell under a header.") from None
    known = ("n_neighbors", "min_dist", "seed", "knn_seed")
    for column in table.columns:
        if column not in known:
            raise InputError(
                f"grid.table '{path}' has a column '{column}'; allowed are {', '.join(known)}{_nearest(column, known)}."
            )
    for column in known[:2]:
        if column not in table.columns:
            raise InputError(f"grid.table '{path}' lacks the column '{column}'; add it.")
    if table.empty:
        raise InputError(f"grid.table '{path}' has no rows; write one row a cell.")
    # Columns that the table leaves out take the configured values, each cell with each of them.
    for column, values in (("seed", seeds), ("knn_seed", knn_seeds)):
        if column not in table.columns:
            if not values:
                raise InputError(
                    f"grid.table '{path}' has no column 'seed', and grid.seed is missing; give one of them."
                )
            table = table.merge(pd.DataFrame({column: list(values)}), how="cross")
    definitions = schema()["$defs"]
    kinds = {
        "knn_seed": definitions["seed"],
        "n_neighbors": definitions["n_neighbors_axis"]["items"],
        "min_dist": definitions["min_dist_axis"]["items"],
        "seed": definitions["seed"],
    }
    for column, kind in kinds.items():
        for value in table[column].tolist():
            finite = not isinstance(value, float) or math.isfinite(value)
            if not finite or not jsonschema.Draft202012Validator(kind).is_valid(value):
                raise InputError(f"grid.table '{path}' has {column} {value!r}; allowed is {allowed(kind)}.")
    duplicates = table[table.duplicated()]
    if len(duplicates):
        cell = ", ".join(f"{name} {value}" for name, value in duplicates.iloc[0].items())
        raise InputError(f"grid.table '{path}' has the cell {cell} twice; keep one row of it.")
    return [
        (int(row.knn_seed), int(row.n_neighbors), float(row.min_dist), int(row.seed))
        for row in table.itertuples(index=False)
    ]


def _check_metric_keywords(settings: Mapping[str, Any]) -> None:
    metric = settings["knn"]["metric"]
    known = METRIC_KEYWORDS.get(metric, set())
    for name in settings["umap"]["metric_kwds"]:
        if name not in known:
            takes = f"only {', '.join(sorted(known))}" if known else "none"
            raise InputError(f"umap.metric_kwds has '{name}', but the metric {metric} takes {takes}; remove it.")


def _check_imported(knn: dict[str, Any]) -> None:
    """Check what an imported k-NN takes, and fill in which of an AnnData file's."""
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


def allowed(rule: Mapping[str, Any]) -> str:
    """Return in words what a part of the schema allows.

    Parameters
    ----------
    rule : mapping
        A JSON Schema of the kinds that `config.schema.yaml` uses.

    Returns
    -------
    str
        Such as `a whole number from 2` or `one of auto, exact, nn-descent`.
    """
    if "$ref" in rule:
        return allowed(schema()["$defs"][rule["$ref"].rpartition("/")[2]])
    if "anyOf" in rule:
        return ", or ".join(allowed(one) for one in rule["anyOf"])
    if "const" in rule:
        return f"`{rule['const']}`"
    if "enum" in rule:
        return "one of " + ", ".join(str(one) for one in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return " or ".join(_allowed_kind(kind, rule) for kind in kinds)


def described(rule: Mapping[str, Any]) -> str:
    """Return a part of the schema's own description, or that of the definition it refers to."""
    if "description" in rule or "$ref" not in rule:
        return rule["description"]
    return described(schema()["$defs"][rule["$ref"].rpartition("/")[2]])


def _allowed_kind(kind: str, rule: Mapping[str, Any]) -> str:
    if kind in ("integer", "number"):
        words = "a whole number" if kind == "integer" else "a number"
        if "minimum" in rule:
            words += f" from {rule['minimum']}"
        if "exclusiveMinimum" in rule:
            words += f" above {rule['exclusiveMinimum']}"
        if "maximum" in rule:
            words += f" to {rule['maximum']}"
        return words
    if kind == "array":
        return f"a list of different values, each {allowed(rule['items'])}"
    if kind == "string":
        return rule.get("title", "text")
    return {"object": "a mapping of keys to values", "null": "null", "boolean": "true or false"}[kind]


def _explain(error: jsonschema.ValidationError) -> str:
    if error.validator == "oneOf":
        return _explain_source(error)
    path = _dotted(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        inside = f"{path} has" if path else "the configuration has"
        return f"{inside} an unknown key '{unknown}'; allowed are {', '.join(known)}{_nearest(unknown, known)}."
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{path + '.' if path else ''}{missing} is missing; add it."
    if error.validator == "propertyNames" or "propertyNames" in error.schema_path:
        return f"{path} has the name '{error.instance}'; allowed are letters, digits, '_', '.' and '-'."
    rule = error.schema
    if error.validator == "anyOf" and isinstance(error.instance, list):
        rule = next(one for one in rule["anyOf"] if one.get("type") == "array")
    sentence = f"{path} is {error.instance!r}; allowed is {allowed(rule)}"
    if isinstance(error.instance, str) and "enum" in rule:
        sentence += _nearest(error.instance, rule["enum"])
    if isinstance(error.instance, str) and _is_number(error.instance):
        sentence += ". YAML reads this as text: write it plainly, as in 0.001 or 1.0e-3"
    return sentence + "."


def _explain_source(error: jsonschema.ValidationError) -> str:
    """Explain a data set by the source it names, instead of by all sources that it is not."""
    path = _dotted(error.absolute_path)
    names = [one["$ref"].rpartition("/source_")[2] for one in error.validator_value]
    source = error.instance.get("source") if isinstance(error.instance, dict) else None
    if source not in names:
        nearest = _nearest(str(source), names)
        return f"{path}.source is {source!r}; allowed is one of {', '.join(names)}{nearest}."
    return _explain(next(one for one in error.context if one.schema_path[0] == names.index(source)))


def _definition(source: str) -> dict[str, Any]:
    return schema()["$defs"][f"source_{source}"]


def _defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rule["default"] for name, rule in section["properties"].items() if "default" in rule}


def _nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(word), [str(one) for one in known], n=1)
    return f", nearest is '{close[0]}'" if close else ""


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _leaves(one, (*path, place))
    else:
        yield path, value


def _plain(value: Any) -> Any:
    """Copy a configuration into plain dicts and lists, which may then be changed."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
