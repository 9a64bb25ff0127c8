"""Write the fingerprints of every stage into a small file that is worth committing."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from umap_sweep import store

# In the order in which they are made: where one differs, all below it do.
STAGES = ("data", "prepared", "knn", "graph", "initial_layout", "layouts", "embeddings", "transformed")


def name_of(path: str | Path) -> str:
    """Return what a stored stage is called: its stage and key, without the results folder and the ending.

    A path below `verify` has the name of the stage that it recomputes.
    """
    parts = Path(path).with_suffix("").parts
    # What follows results/<dataset>; a data set, or the folder of an importing workflow, may be called results too.
    folders = (*STAGES, "verify")
    start = next(place for place in range(2, len(parts)) if parts[place - 2] == "results" and parts[place] in folders)
    if parts[start] == "verify":
        start += 1
    return "/".join(parts[start:])


def collect(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Return the environments, the code and the fingerprint of each stage, by name.

    The values are read and their fingerprints computed anew: what the files claim of themselves is not enough.

    Parameters
    ----------
    paths : sequence of path
        Stored stages.

    Returns
    -------
    dict
        `environments`: each distinct one once; `code`: for each stage, the digests of the code that made its files;
        `fingerprints`: name to fingerprint.

    Raises
    ------
    InputError
        Where a stage is missing or damaged.
    """
    environments: list[dict[str, str]] = []
    code: dict[str, list[str]] = {}
    for path in paths:
        record = store.read_record(path)
        if record["environment"] not in environments:
            environments.append(record["environment"])
        digests = code.setdefault(name_of(path).partition("/")[0], [])
        if record.get("code") not in (None, *digests):
            digests.append(record["code"])
    fingerprints = {name_of(path): store.fingerprint_of(path) for path in paths}
    return {"environments": environments, "code": code, "fingerprints": fingerprints}


def write(paths: Sequence[str | Path], out: str | Path) -> None:
    """Write the fingerprints of the stages at `paths` to `out`, sorted, one a line."""
    with store.appearing(out) as temporary:
        temporary.write_text(json.dumps(collect(paths), indent=1, sort_keys=True) + "\n", encoding="utf-8")
