"""Write the recipe of a cell: a folder to hand over, which makes the cell again with umap-learn alone."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.results.recipe_text import COMPARE, IMPORTS, PARTS, README, SWITCHES
from umap_sweep.settings.schema import defaults, schema
from umap_sweep.stages.umap_learn import SMALL_DATA, default_epochs

# The files of every recipe, those of cells that take a k-NN of the sweep's, and that of cells that labels supervise.
FILES = ("README.md", "recipe.py", "recipe.ipynb", "requirements.txt", "features.npy", "rows.csv", "expected.npy")
KNN_FILES = ("knn_indices.npy", "knn_distances.npy")
TARGET_FILE = "target.npy"

# What NN-descent depends on, in the key of a k-NN.
KNN_KEYS = {"k": "n_neighbors", "seed": "seed", "jobs": "n_jobs"}


def check(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` where umap-learn has no call that makes the cells of a sweep.

    Parameters
    ----------
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.
    """
    if settings["cpu"] == environment.PORTABLE:
        raise InputError(
            "A cell with cpu portable has no recipe, because umap-learn's own arithmetic has other last bits on each "
            "kind of CPU; snakemake verify computes the cell again."
        )
    if settings["umap"]["init"] == "spectral_lean":
        raise InputError(
            "A cell with umap.init spectral_lean has no recipe, because that start is umap-sweep's own and umap-learn "
            "has no call for it; snakemake verify computes the cell again."
        )


def files_of(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the files of a recipe.

    Parameters
    ----------
    settings : mapping
        From `umap_sweep.settings.configuration.complete`.
    """
    of_knn = KNN_FILES if settings["knn"]["method"] != "plain" else ()
    return [*FILES, *of_knn, *([TARGET_FILE] if "target" in settings["umap"] else [])]


def write(
    data: str | Path, rows: str | Path, knn: str | Path, layout: str | Path, out: Sequence[str | Path], dataset: str
) -> None:
    """Write the recipe of one cell.

    Parameters
    ----------
    data, rows, knn, layout : path
        The stored data set, what names its rows, the k-NN, and the cell's layout.
    out : sequence of path
        Those of `files_of`, in one folder. `recipe.py` and `recipe.ipynb` say the same; `features.npy` (float32,
        shape (n, d)), `knn_indices.npy` (int32) and `knn_distances.npy` (shape (n, n_neighbors)) are what they start
        from; `rows.csv` has id and label, `target.npy` (int32 or float64) what supervises a cell, and `expected.npy`
        (float32) the coordinates.
    dataset : str
        The data set's name.

    Raises
    ------
    InputError
        Where an input is damaged.
    """
    # Here, because rules import this module for the names of files, and have no use for the compiler.
    from umap_sweep.sources.target import target_of
    from umap_sweep.stages import graph

    paths = {Path(path).name: Path(path) for path in out}
    cell, neighbors = store.read_record(layout), store.read_record(knn)
    arrays = {
        "features.npy": store.read_features(data),
        "expected.npy": np.ascontiguousarray(store.matrix(store.read(layout), "umap_")),
    }
    if neighbors["key"]["method"] != "plain":
        arrays |= dict(zip(KNN_FILES, graph.prune(knn, cell["key"]["n_neighbors"]), strict=True))
    if "target" in cell["key"]:
        arrays[TARGET_FILE] = target_of(rows, cell["key"]["target"], cell["key"]["target_metric"])
    for name, array in arrays.items():
        with store.appearing(paths[name]) as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    names = store.read_rows(rows)
    with store.appearing(paths["rows.csv"]) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(names.column_names)
        csv.writer(file).writerows(zip(*(column.to_pylist() for column in names.columns), strict=True))
    versions = [f"{name}=={cell['environment'][name]}\n" for name in environment.SHAPING_PACKAGES]
    _write_text(paths["requirements.txt"], "".join(versions))
    digests = {name: _digest_of(paths[name]) for name in (*arrays, "rows.csv", "requirements.txt")}
    words = _words(cell, neighbors, names.num_rows)
    values = _values(words, cell, neighbors, names.num_rows)
    # Of the coordinates alone: a layout by densMAP has radii beside them.
    coordinates = store.read(layout, [name for name in store.column_names(layout) if name.startswith("umap_")])
    values |= {"dataset": dataset, "files": _literal(digests), "fingerprint": store.fingerprint(coordinates)}
    _write_text(paths["recipe.py"], "\n\n".join(_parts({*words, "script"}, values)) + "\n")
    _write_text(paths["recipe.ipynb"], _notebook(_parts({*words, "notebook"}, values)))
    _write_text(paths["README.md"], "\n".join(_put_in(text, values) for text in _chosen(README, words)))


def _write_text(path: Path, text: str) -> None:
    with store.appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _words(cell: Mapping[str, Any], knn: Mapping[str, Any], n_rows: int) -> set[str]:
    """Return what holds of a recipe, in the words of `umap_sweep.results.recipe_text`."""
    level = environment.CPU_LEVELS.get(cell["environment"]["cpu_level"], {})
    used = knn["method_used"]
    holds = {
        "plain": knn["key"]["method"] == "plain",
        "imported": used == "imported",
        "pairs": used == "exact" and n_rows < SMALL_DATA,
        "descent": used == "nn-descent",
        "level": bool(level),
        "libc": "GLIBC_TUNABLES" in level,
        "supervised": "target" in cell["key"],
        "eigenvectors": cell["key"]["init"] in ("spectral", "tswspectral"),
    }
    holds["from_data"] = (holds["pairs"] or holds["descent"]) and not holds["plain"]
    return {word for word, does in holds.items() if does}


def _values(words: Collection[str], cell: Mapping[str, Any], knn: Mapping[str, Any], n_rows: int) -> dict[str, str]:
    """Return what is put into the text of a recipe, by name."""
    key, made_on = cell["key"], cell["environment"]
    usual = defaults(schema()["properties"]["umap"]) | {"n_epochs": default_epochs(n_rows)}
    umap = {"n_neighbors": key["n_neighbors"], "min_dist": key["min_dist"], "random_state": key["seed"]}
    umap |= {
        "metric": key["metric"],
        **{name: key[name] for name, value in usual.items() if name != "target" and key.get(name, value) != value},
    }
    # No result depends on the size of numba's pool, which must be as large as what it is asked for.
    threads = environment.job_variables(max(knn["key"].get("n_jobs", 1), 2), "native")
    threads = {name: threads[name] for name in ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")}
    places = {"Python": "python", "the system": "platform", "the C library": "libc"}
    places |= {} if "level" in words else {"the CPU": "cpu"}
    level = made_on["cpu_level"]
    return {
        "cell": f"n_neighbors {key['n_neighbors']}, min_dist {key['min_dist']}, seed {key['seed']}",
        "rows": f"{n_rows:,}",
        "python": made_on["python"],
        "cpu": level,
        "umap": _literal(umap),
        "target": f', np.load(HERE / "{TARGET_FILE}")' if "supervised" in words else "",
        **{f"knn_{one}": str(knn["key"].get(name)) for one, name in KNN_KEYS.items()},
        "threads": _literal(threads | {"OPENBLAS_NUM_THREADS": str(key["blas_threads"])}),
        "level": _literal(environment.CPU_LEVELS.get(level, {})),
        "flags": ", ".join(map(_literal, environment.LEVEL_FLAGS.get(level, ()))),
        "made_on": _literal({name: made_on[one] for name, one in places.items()}),
        "quotes": '"""',
        "compare": COMPARE.strip("\n"),
    }


def _chosen(parts: Sequence[tuple[str, str]], words: Collection[str]) -> Iterator[str]:
    """Yield the parts of which all holds that stands before them."""
    for needed, text in parts:
        if all((word.lstrip("!") in words) != word.startswith("!") for word in needed.split()):
            yield text


def _parts(words: Collection[str], values: Mapping[str, str]) -> list[str]:
    """Return the parts of a script or a notebook, with all that is put in."""
    lists = {"imports": IMPORTS, "switches": SWITCHES}
    lines = {name: _put_in("\n".join(_chosen(parts, words)), values) for name, parts in lists.items()}
    values = {**values, **lines}
    return [_put_in(text.removeprefix("\n").removesuffix("\n"), values) for text in _chosen(PARTS, words)]


def _put_in(text: str, values: Mapping[str, str]) -> str:
    return re.sub("«(.+?)»", lambda found: values[found[1]], text)


def _literal(value: Any) -> str:
    """Return a value as Python has it, with an entry of a mapping on each line."""
    if isinstance(value, Mapping):
        lines = (f"    {_literal(name)}: {_literal(one)},\n" for name, one in value.items())
        return "{\n" + "".join(lines) + "}" if value else "{}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _notebook(parts: Sequence[str]) -> str:
    """Return a notebook whose first part is text, and all others code."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code" if number else "markdown",
            "id": f"part-{number}",
            "metadata": {},
            "source": part.strip("\n").splitlines(keepends=True),
            **({"execution_count": None, "outputs": []} if number else {}),
        }
        for number, part in enumerate(parts)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"
