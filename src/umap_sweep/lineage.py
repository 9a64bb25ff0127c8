"""Whether files belong together: each is what its place says, and was made as configuration and code say now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from umap_sweep import environment, store
from umap_sweep.errors import InputError

# The place of the features, below the folder of a data set.
DATA = "data/data.parquet"

# The folder in which `verify` computes a data set's stages again.
AGAIN = "verify"

# How many files a message names.
MOST_NAMED = 5

# Parameters of UMAP that only those keys hold in whose sweep they are used: what was made before there were such
# parameters stays what it is.
WHERE_USED = (
    *("disconnection_distance", "target", "target_metric", "target_weight"),
    *("densmap", "dens_lambda", "dens_frac", "dens_var_shift"),
)

# How folders begin that say such a parameter of a cell.
IN_PATHS = ("target_weight=", "dens_lambda=")


def check(paths: Iterable[str | Path], reads: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise an `InputError` unless a job may take these files for what it was planned to read.

    Another file may be in the place of one that it needs: moved there by hand, brought back from a backup, or made by
    other code, with other settings or from another data set.

    Parameters
    ----------
    paths : iterable of path
        What the job reads. Those that are not Parquet carry no record, and are not looked at.
    reads : mapping of str to mapping
        What each stage that it may read was made with: `digest` and `libraries` of the code, as
        `umap_sweep.code.of_script` returns them, and `key`, those settings that are not in paths; where these differ
        between the values of an axis of the grid, `by`: by the axis and its value the further entries of the key. The
        libraries are to have the versions that they have in this process.

    Raises
    ------
    InputError
        With what is wrong, the files, and how to mend it.
    """
    records = {str(path): store.read_record(path) for path in paths if Path(path).suffix == ".parquet"}
    _check_places(records, reads)
    _check_keys(records, reads)
    _check_code(records, reads)
    _check_inputs(records)
    _check_stored(records)


def _check_places(records: Mapping[str, Mapping[str, Any]], reads: Mapping[str, Any]) -> None:
    for path, record in records.items():
        if record["place"] != store.place_of(path) or record["stage"] not in reads:
            raise InputError(f"{path} is another file, {record['place']}, in its place. {store.how_to_mend(path)}")


def _check_keys(records: Mapping[str, Mapping[str, Any]], reads: Mapping[str, Mapping[str, Any]]) -> None:
    level = environment.cpu_level()
    for path, record in records.items():
        made = reads[record["stage"]]
        expected = dict(made["key"])
        for axis, of_values in made.get("by", {}).items():
            expected |= of_values.get(record["key"].get(axis), {})
        # Of those that the grid has, each cell's path says its own.
        own = dict(part.split("=", 1) for part in record["place"].split("/") if part.startswith(IN_PATHS))
        unused = {
            name: float(own[name]) if name in own else None
            for name in WHERE_USED
            if made["key"] and name not in made["key"]
        }
        for name, value in (expected | unused).items():
            found = record["environment"]["cpu_level"] if name == "cpu" else record["key"].get(name)
            if found != (level if name == "cpu" else value):
                raise InputError(
                    f"{path} was made with {name} {found!r}, but the configuration says {value!r}. "
                    f"{store.how_to_mend(path)}"
                )


def _check_code(records: Mapping[str, Mapping[str, Any]], reads: Mapping[str, Mapping[str, Any]]) -> None:
    versions = environment.versions()
    odd = []
    for path, record in records.items():
        made = reads[record["stage"]]
        libraries = [name for name in made["libraries"] if name in versions]
        same = all(record["environment"].get(name) == versions[name] for name in libraries)
        if record["code"] != made["digest"] or not same:
            odd.append(path)
    if odd:
        listed = ", ".join(odd[:MOST_NAMED]) + (f" and {len(odd) - MOST_NAMED} more" if len(odd) > MOST_NAMED else "")
        raise InputError(
            f"{len(odd)} of {len(records)} files were made by other code, or with other versions of libraries, than "
            f"today's: {listed}. Delete them and run again."
        )


def _check_inputs(records: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise an `InputError` where two files were made from different ones of the same place, or one from another."""
    known = {record["place"]: (record["fingerprint"], path) for path, record in records.items()}
    for path, record in records.items():
        for place, used in record["inputs"].items():
            fingerprint, other = known.setdefault(place, (used, path))
            if fingerprint != used:
                where = "the stored one" if records.get(other, record)["place"] == place else f"{other} was"
                raise InputError(f"{path} was made from another {place} than {where}. Delete it and run again.")


def _check_stored(records: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise an `InputError` where a file was made from other files than those that are stored now.

    A job need not read these itself: a figure reads a table of the sweep, and not the layouts. And the place of a file
    is the same in the folder of every data set.
    """
    known: dict[Path, Mapping[str, Any] | None] = {Path(path).absolute(): one for path, one in records.items()}
    for path, record in records.items():
        folder = _folder_of(path)
        if folder is None:
            continue
        if (data := _record_of(folder / DATA, known)) is not None:
            _check_name(folder, data)
        # That of a file of another data set, or of one that is in no folder of its key, begins with a data set. What
        # `verify` computes again may differ from what is stored beside its folder: to say so is its task.
        around = [folder] if folder.name == AGAIN and (folder.parent / DATA).exists() else [folder, folder.parent]
        for place, fingerprint in record["inputs"].items():
            for stored in (one / place for one in around):
                record_now = _record_of(stored, known)
                if record_now is not None and record_now["fingerprint"] != fingerprint:
                    raise InputError(
                        f"{path} was made from another {place} than that which is stored now. {store.how_to_mend(path)}"
                    )


def _folder_of(path: str | Path) -> Path | None:
    """Return the folder of the data set that a file belongs to, or None where it lies in none."""
    return next((one for one in Path(path).absolute().parents if (one / DATA).exists()), None)


def _record_of(path: Path, known: dict[Path, Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """Return the record of a file, or None where there is none; looked for once, since many are made from the same."""
    if path not in known:
        known[path] = store.read_record(path) if path.exists() else None
    return known[path]


def _check_name(folder: Path, data: Mapping[str, Any]) -> None:
    """Raise an `InputError` where the features in the folder of a data set are another data set."""
    # What is computed again to be compared has the folders of a data set, within that data set's own.
    names = (folder.name, folder.parent.name) if folder.name == AGAIN else (folder.name,)
    if data["key"].get("dataset") not in names:
        raise InputError(
            f"{folder / DATA} is the data set {data['key'].get('dataset')}, in the place of {names[-1]}. "
            f"{store.how_to_mend(folder / DATA)}"
        )
