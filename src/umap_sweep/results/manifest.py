"""Write down what was run on what, read from the results themselves, and hold finished files against it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umap_sweep import store
from umap_sweep.errors import InputError

# In the order in which they are made.
STAGES = ("data", "rows", "prepared", "knn", "graph", "initial_layout", "layout", "embedding")

# How many files a message names.
MOST_NAMED = 10


def manifest(stages: Sequence[str | Path], files: Sequence[str | Path]) -> dict[str, Any]:
    """Collect the records of all stages, and the sizes and checksums of all files.

    Nothing in it comes from the configuration, so it cannot differ from what the files hold.

    Parameters
    ----------
    stages : sequence of path
        Every stored stage of the sweep.
    files : sequence of path
        All files that were made, those of the stages among them.

    Returns
    -------
    dict
        `environments`, each distinct one once; `results`: path, stage, key, fingerprint, inputs, the digest of the code
        that made it, and the number of its environment; and `files`: by path the size in bytes and the SHA-256.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    records = {str(path): store.read_record(path) for path in stages}
    environments: list[dict[str, str]] = []
    results = []
    for path, record in sorted(records.items(), key=lambda item: (STAGES.index(item[1]["stage"]), item[0])):
        environment = record.pop("environment")
        if environment not in environments:
            environments.append(environment)
        results.append({"path": path, **record, "environment": environments.index(environment)})
    measured = {str(path): measure(path) for path in sorted(files, key=str)}
    return {"environments": environments, "results": results, "files": measured}


def measure(path: str | Path) -> dict[str, Any]:
    """Return the `size` of a file in bytes, and its `sha256`."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"size": file.tell(), "sha256": digest.hexdigest()}


def write(stages: Sequence[str | Path], files: Sequence[str | Path], out: str | Path) -> None:
    """Write the manifest to `out`; see `manifest`. Its last entry, `sha256`, is that of the rest."""
    content = manifest(stages, files)
    with store.appearing(out) as temporary:
        temporary.write_text(_as_text(content | {"sha256": _digest(content)}) + "\n", encoding="utf-8")


def _as_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_as_text(content).encode()).hexdigest()


def read(path: str | Path) -> dict[str, Any]:
    """Return a stored manifest.

    Raises
    ------
    InputError
        Where it is missing or not as it was written.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        expected = content.pop("sha256")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, because no sweep has been finished here. Run the sweep.") from None
    except (ValueError, KeyError, TypeError, AttributeError, IsADirectoryError):
        content = expected = None
    if content is None or _digest(content) != expected:
        raise InputError(f"{path} is damaged. Delete it and run again.")
    found: dict[str, Any] = content
    return found


def check(path: str | Path) -> list[str]:
    """Hold every finished file against the manifest, and return what there is to say.

    Parameters
    ----------
    path : str or Path
        The manifest.

    Raises
    ------
    InputError
        Where a file is missing, or is not as it was when the manifest was written, with all that are.
    """
    files = read(path)["files"]
    folder = Path(path).parent
    for file in files:
        # Data sets that are made from the one to sweep, such as its null, have folders beside its own, named after it.
        at = Path(file).relative_to(folder.parent).parts[0] if Path(file).is_relative_to(folder.parent) else ""
        if at != folder.name and not at.startswith(f"{folder.name}_"):
            raise InputError(f"{path} is of another sweep, with {file} in it. Delete it and run again.")
    wrong = []
    for file, expected in files.items():
        if not Path(file).exists():
            wrong.append(f"{file} is missing")
            continue
        if Path(file).is_dir():
            wrong.append(f"{file} is a folder")
            continue
        found = measure(file)
        if found["size"] != expected["size"]:
            wrong.append(f"{file} has {found['size']:,} bytes in place of {expected['size']:,}")
        elif found != expected:
            wrong.append(f"{file} has other content")
    if wrong:
        more = f"; and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise InputError(
            f"{len(wrong)} of {len(files)} files are not as they were when the sweep ended: "
            f"{'; '.join(wrong[:MOST_NAMED])}{more}. Delete them and run again."
        )
    size = sum(expected["size"] for expected in files.values())
    return [f"{len(files)} files of {size / 1e6:,.1f} MB are as they were when the sweep ended."]


def run_check(path: str | Path) -> None:
    """Check the finished files and say so; see `check`."""
    for line in check(path):
        print(f"umap-sweep: {line}", flush=True)
